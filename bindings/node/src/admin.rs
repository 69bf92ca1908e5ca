//! Administration.

use std::collections::HashMap;
use std::sync::Arc;

use napi::bindgen_prelude::BigInt;
use napi_derive::napi;
use rmq_core::embed::{Admin, ReceivedMessage, admin_invoke, admin_options};

use crate::hub::Hub;
use crate::message::{NativeQueue, NativeReceived};
use crate::server::properties;

/// Offsets of a queue.
#[napi(object)]
pub struct NativeOffsets {
    /// The queue.
    pub queue: NativeQueue,
    /// The first offset there is, or the one that a group committed.
    pub first: BigInt,
    /// The offset that the next message will get.
    pub end: BigInt,
}

/// A client for administration.
#[napi]
pub struct NativeAdmin {
    inner: Arc<Admin>,
}

/// Starts one.
#[napi]
pub fn start_admin(hub: &Hub, id: u32, keys: HashMap<String, String>) {
    hub.sender().run(id, move || {
        let inner = Admin::start(admin_options(&properties(keys))?)?;
        Ok(NativeAdmin {
            inner: Arc::new(inner),
        })
    });
}

fn shown(messages: &[ReceivedMessage]) -> Vec<NativeReceived> {
    messages.iter().map(NativeReceived::plain).collect()
}

#[napi]
impl NativeAdmin {
    /// Runs a command by name; arguments and answer are JSON.
    #[napi]
    pub fn invoke(&self, hub: &Hub, id: u32, command: String, arguments: String) {
        hub.run_on(id, &self.inner, move |inner| {
            admin_invoke(inner, &command, &arguments)
        });
    }

    /// First and last offsets of every queue of a topic.
    #[napi]
    pub fn topic_offsets(&self, hub: &Hub, id: u32, topic: String) {
        hub.run_on(id, &self.inner, move |inner| {
            let offsets = inner.topic_offsets(&topic)?.offsets.into_iter();
            let offsets = offsets.map(|(queue, offset)| NativeOffsets {
                queue: queue.into(),
                first: offset.min_offset.into(),
                end: offset.max_offset.into(),
            });
            Ok(offsets.collect::<Vec<_>>())
        });
    }

    /// How far a group has come with a topic.
    #[napi]
    pub fn group_offsets(&self, hub: &Hub, id: u32, group: String, topic: String) {
        hub.run_on(id, &self.inner, move |inner| {
            let offsets = inner.group_offsets(&group, &topic)?.offsets.into_iter();
            let offsets = offsets.map(|(queue, offset)| NativeOffsets {
                queue: queue.into(),
                first: offset.consumer_offset.into(),
                end: offset.broker_offset.into(),
            });
            Ok(offsets.collect::<Vec<_>>())
        });
    }

    /// Messages by key.
    #[napi]
    pub fn messages_by_key(&self, hub: &Hub, id: u32, topic: String, key: String, max: i32) {
        hub.run_on(id, &self.inner, move |inner| {
            Ok(shown(&inner.messages_by_key(&topic, &key, max)?))
        });
    }

    /// Messages by the id that their producer gave them.
    #[napi]
    pub fn messages_by_id(&self, hub: &Hub, id: u32, topic: String, msg_id: String) {
        hub.run_on(id, &self.inner, move |inner| {
            Ok(shown(&inner.messages_by_id(&topic, &msg_id)?))
        });
    }

    /// The message that is stored at a place.
    #[napi]
    pub fn message_at(&self, hub: &Hub, id: u32, offset_msg_id: String) {
        hub.run_on(id, &self.inner, move |inner| {
            Ok(NativeReceived::plain(&inner.message_at(&offset_msg_id)?))
        });
    }

    /// Ends its connections.
    #[napi]
    pub fn close(&self, hub: &Hub, id: u32) {
        hub.run_on(id, &self.inner, move |inner| {
            inner.close();
            Ok(())
        });
    }
}
