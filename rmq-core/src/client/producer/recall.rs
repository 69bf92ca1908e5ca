//! Taking a message back that waits for its time.

use super::Producer;
use crate::base::{Error, ErrorKind, Result};
use crate::client::raw;
use crate::client::trace::{DEFAULT_REGION, Event, Traced};
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::message::recall::RecallHandle;
use crate::protocol::request::query::{RecallMessageRequest, RecallMessageResponse};

const OP: &str = "recall message";

impl Producer {
    /// Takes back a message that was sent with a time and is not delivered yet: `recall_handle` is
    /// that of its [`SendResult`](super::SendResult). Answers the message's unique id. A success
    /// says that the broker has noted it; what is due meanwhile may still come.
    ///
    /// `Invalid`: this is no handle of a message of this topic; `Remote` with the code of a broker
    /// that refused (it does not recall, or the time is over); else the errors of a send.
    pub fn recall(&self, topic: &str, recall_handle: &str) -> Result<String> {
        self.core.check()?;
        let instance = &self.core.instance;
        let inner = topic;
        let topic = instance.namespace.wrap(topic).into_owned();
        let place = RecallHandle::decode(recall_handle)
            .filter(|place| place.topic == topic)
            .ok_or_else(|| {
                let context = format!("this is no recall handle of the topic {topic}");
                Error::new(ErrorKind::Invalid, OP, context)
            })?;
        instance.route_now(&topic)?;
        let master = instance.master(&place.broker_name)?;
        let header = RecallMessageRequest {
            producer_group: Some(self.core.options.group.clone()),
            topic,
            recall_handle: recall_handle.to_owned(),
        };
        let request = Command::request(RequestCode::RECALL_MESSAGE, &header);
        let answer = instance.call(&master, request)?;
        let success = answer.response_code() == ResponseCode::SUCCESS;
        if let Some(tracer) = self.core.tracer.as_ref().filter(|t| t.wants(inner)) {
            let recalled = Traced {
                topic: inner.to_owned(),
                msg_id: place.unique_id,
                ..Traced::default()
            };
            tracer.note(DEFAULT_REGION, recalled, Event::Recalled { success });
        }
        if !success {
            return Err(raw::remote(OP, &master, &answer));
        }
        let recalled: RecallMessageResponse = answer.header()?;
        Ok(recalled.msg_id)
    }
}
