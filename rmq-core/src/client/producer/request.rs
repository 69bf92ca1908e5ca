//! Request-reply: a message that waits for another in answer.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::core::{Core, closed};
use super::launch::{Leaving, in_slices};
use super::{Producer, SendOptions, SendResult};
use crate::base::{Error, ErrorKind, Result};
use crate::client::wait::Slot;
use crate::net::PushedRequest;
use crate::protocol::code::ResponseCode;
use crate::protocol::command::Command;
use crate::protocol::message::compress;
use crate::protocol::message::properties::names;
use crate::protocol::message::sysflag;
use crate::protocol::message::user::{Message, ReceivedMessage, property_map};
use crate::protocol::request::push::PushReplyMessageRequest;

const OP: &str = "request";

/// What who waits is told.
type Reply = Result<ReceivedMessage>;
type ReplyDone = Box<dyn FnOnce(Reply) + Send>;

/// Requests that wait for their replies, by correlation id. Whoever takes one out of the list
/// tells it what came, so each is told once.
#[derive(Default)]
pub(crate) struct Requests {
    waiting: Mutex<HashMap<String, ReplyDone>>,
}

impl Requests {
    fn tell(&self, id: &str, reply: Reply) -> bool {
        let done = self.waiting.lock().remove(id);
        done.map(|done| done(reply)).is_some()
    }
}

fn late(timeout: Duration) -> Error {
    let context = format!("no reply within {timeout:?}");
    Error::new(ErrorKind::Timeout, OP, context)
}

impl Producer {
    /// Sends a message and waits for the message that its consumer answers with. `Timeout`: nobody
    /// answered within `timeout`, the sending included. Other errors as for sends.
    pub fn request(&self, message: Message, timeout: Duration) -> Result<ReceivedMessage> {
        self.request_while(message, timeout, Duration::MAX, &mut || true)
    }

    /// As [`request`](Self::request), for callers that have to look up while they wait, as with
    /// [`send_while`](Self::send_while).
    pub fn request_while(
        &self,
        message: Message,
        timeout: Duration,
        every: Duration,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<ReceivedMessage> {
        let until = self.core.now().saturating_add(timeout);
        let (slot, leaving) = (Slot::new(), Leaving(Arc::clone(&self.core)));
        let filled = slot.clone();
        let done: ReplyDone = Box::new(move |reply| {
            drop(leaving);
            filled.put(reply);
        });
        let id = self.begin_request(message, timeout, (usize::MAX, timeout), done)?;
        let left = until.saturating_sub(self.core.now());
        let reply = in_slices(left, every, go_on, |slice| slot.take(slice));
        reply.unwrap_or_else(|| {
            self.core.requests.tell(&id, Err(late(timeout)));
            // Whoever ended the request has put its reply there, or is about to.
            slot.take(Duration::MAX)
                .unwrap_or_else(|| Err(late(timeout)))
        })
    }

    /// As [`request`](Self::request), without waiting. After `Ok`, `done` is called exactly once,
    /// with the reply or with what came in its place, from a thread of the runtime; it may call
    /// anything of the client. After an error it is never called; errors are those of
    /// [`send_async`](Self::send_async). Never blocks.
    pub fn request_async(
        &self,
        message: Message,
        timeout: Duration,
        done: impl FnOnce(Result<ReceivedMessage>) + Send + 'static,
    ) -> Result<()> {
        let leaving = Leaving(Arc::clone(&self.core));
        let done: ReplyDone = Box::new(move |reply| {
            let runtime = Arc::clone(&leaving.0.instance.runtime);
            runtime.call_back(move || {
                let _leaving = leaving;
                done(reply);
            });
        });
        let limits = (self.core.options.max_in_flight, Duration::ZERO);
        let id = self.begin_request(message, timeout, limits, done)?;
        let core = self.core.own();
        self.core.instance.runtime.work.run_after(timeout, move || {
            if let Some(core) = core.upgrade() {
                core.requests.tell(&id, Err(late(timeout)));
            }
        });
        Ok(())
    }

    /// Sends a request, for whose reply `done` waits, which counts as one that is under way until
    /// it is over. After an error `done` is not called.
    fn begin_request(
        &self,
        mut message: Message,
        timeout: Duration,
        (most, patience): (usize, Duration),
        done: ReplyDone,
    ) -> Result<String> {
        let core = &self.core;
        // `done` counts itself out; what does not begin counts nothing in.
        core.pending.enter(usize::MAX);
        core.check()?;
        let id = core.unique_id();
        message
            .set_property(names::CORRELATION_ID, id.clone())
            .set_property(names::REPLY_TO_CLIENT, self.client_id())
            .set_property(names::TTL, timeout.as_millis().to_string());
        let options = SendOptions::within(timeout);
        let (outgoing, watch) = self.ready(message, &options)?;
        if let Err(error) = core.enter(most.saturating_add(1), outgoing.body.len(), patience) {
            watch.end(Err(&error));
            return Err(error);
        }
        core.requests.waiting.lock().insert(id.clone(), done);
        let (leaving, asked) = (Leaving(Arc::clone(core)), id.clone());
        let sent = move |outcome: Result<SendResult>| {
            if let Err(error) = watch.told(outcome) {
                leaving.0.requests.tell(&asked, Err(error));
            }
        };
        core.go(outgoing, (options.target, timeout), Box::new(sent));
        // Closed meanwhile, perhaps after the list was emptied.
        if let Err(error) = core.check() {
            core.requests.tell(&id, Err(error));
        }
        Ok(id)
    }
}

/// The message that answers a request; a producer sends it like any other. `Invalid`: the message
/// does not wait for a reply.
pub fn reply_to(request: &ReceivedMessage, body: impl Into<bytes::Bytes>) -> Result<Message> {
    let needed = |name: &str| {
        let value = request.message.property(name);
        value.map(str::to_owned).ok_or_else(|| {
            let context = format!("the message waits for no reply: it has no {name}");
            Error::new(ErrorKind::Invalid, OP, context)
        })
    };
    let topic = format!("{}_REPLY_TOPIC", needed(names::CLUSTER)?);
    let mut reply = Message::new(topic, body);
    reply.set_property(names::MSG_TYPE, super::sending::REPLY);
    for name in [names::CORRELATION_ID, names::REPLY_TO_CLIENT, names::TTL] {
        reply.set_property(name, needed(name)?);
    }
    Ok(reply)
}

impl Core {
    /// Ends every request.
    pub(crate) fn close_requests(&self) {
        let waiting = std::mem::take(&mut *self.requests.waiting.lock());
        for done in waiting.into_values() {
            done(Err(closed()));
        }
    }

    /// A broker brings a reply.
    pub(crate) fn take_reply(&self, request: &PushedRequest) {
        let max = self.options.max_message_bytes.saturating_mul(2);
        let (code, remark) = match read_reply(&request.command, max) {
            Ok(mut reply) => {
                self.instance.unwrap_topic(&mut reply.message);
                let id = reply.message.property(names::CORRELATION_ID);
                let id = id.unwrap_or_default().to_owned();
                if !self.requests.tell(&id, Ok(reply)) {
                    tracing::debug!(id, "a reply that nobody waits for");
                }
                (ResponseCode::SUCCESS, None)
            }
            Err(error) => (ResponseCode::SYSTEM_ERROR, Some(error.to_string())),
        };
        request.answer(Command::response_to(&request.command, code, remark));
    }
}

fn read_reply(command: &Command, max_bytes: usize) -> Result<ReceivedMessage> {
    let header: PushReplyMessageRequest = command.header()?;
    let inflated = compress::inflate_body(&command.body, header.sys_flag, max_bytes)?;
    let text = header.properties.unwrap_or_default();
    let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    // Java writes an address with a slash before it.
    let host = |text: &str| text.trim_start_matches('/').parse().unwrap_or(unknown);
    Ok(ReceivedMessage {
        message: Message {
            topic: header.topic,
            flag: header.flag,
            body: inflated.map_or_else(|| command.body.clone(), Into::into),
            properties: property_map(text.as_bytes()),
        },
        queue_id: header.queue_id,
        queue_offset: 0,
        physical_offset: 0,
        sys_flag: sysflag::without_compression(header.sys_flag),
        born_timestamp_ms: header.born_timestamp_ms,
        born_host: host(&header.born_host),
        store_timestamp_ms: header.store_timestamp_ms,
        store_host: host(&header.store_host),
        reconsume_times: header.reconsume_times.unwrap_or(0),
        prepared_transaction_offset: 0,
        body_crc: 0,
        store_len: command.body.len(),
    })
}
