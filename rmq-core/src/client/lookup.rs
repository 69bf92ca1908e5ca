//! Asking nameservers for a route, one after the other, without blocking anybody.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::instance::Instance;
use super::names::AUTO_CREATE_TOPIC;
use super::routes::TopicRoute;
use crate::base::{Error, ErrorKind, Result};
use crate::protocol::body::route::TopicRouteData;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::namesrv::GetRouteInfoRequest;

const OP: &str = "get route";

/// One search for the route of a topic.
#[derive(Debug)]
pub(crate) struct Lookup {
    instance: Arc<Instance>,
    topic: String,
    /// The topic does not exist: the one that it inherits from is asked for.
    inherits: bool,
    /// Nameservers that were not asked yet.
    left: usize,
}

impl Lookup {
    /// Begins a search, whose end is told to the instance.
    pub(crate) fn begin(instance: &Arc<Instance>, topic: &str) {
        let lookup = Self {
            instance: Arc::clone(instance),
            topic: topic.to_owned(),
            inherits: false,
            left: instance.nameservers.len(),
        };
        lookup.ask();
    }

    fn ask(self) {
        let instance = Arc::clone(&self.instance);
        let at = instance.nameserver.load(Ordering::Relaxed) % instance.nameservers.len();
        let asked = if self.inherits {
            AUTO_CREATE_TOPIC
        } else {
            &self.topic
        };
        let header = GetRouteInfoRequest {
            topic: asked.to_owned(),
            accept_standard_json_only: Some(true),
        };
        let request = Command::request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &header);
        let request = instance.marked(request);
        let nameserver = &instance.nameservers[at];
        let timeout = instance.request_timeout();
        let done = move |answer| self.answered(at, answer);
        instance
            .runtime
            .net
            .call_async(nameserver, request, timeout, done);
    }

    fn answered(mut self, at: usize, answer: Result<Command>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return self.next(at, error),
        };
        match answer.response_code() {
            ResponseCode::SUCCESS => match TopicRouteData::decode(&answer.body) {
                Ok(data) => {
                    let route = self.made_from(data);
                    self.end(Ok(route));
                }
                Err(error) => {
                    let error = Error::new(ErrorKind::Corrupt, OP, error.to_string());
                    self.next(at, error);
                }
            },
            ResponseCode::TOPIC_NOT_EXIST if !self.inherits && self.may_inherit() => {
                self.inherits = true;
                self.ask();
            }
            ResponseCode::TOPIC_NOT_EXIST => {
                let context = format!("no nameserver knows the topic {}", self.topic);
                self.end(Err(Error::new(ErrorKind::NotFound, OP, context)));
            }
            code => {
                let remark = answer.remark.unwrap_or_default();
                let context = format!("{} answered {code}: {remark}", self.nameserver(at));
                self.next(at, Error::new(ErrorKind::Remote(code.value()), OP, context));
            }
        }
    }

    fn may_inherit(&self) -> bool {
        self.instance.new_topic_queue_nums.is_some()
    }

    fn nameserver(&self, at: usize) -> &str {
        &self.instance.nameservers[at]
    }

    fn made_from(&self, data: TopicRouteData) -> TopicRoute {
        match self.instance.new_topic_queue_nums {
            Some(nums) if self.inherits => TopicRoute::inherited(&self.topic, data, nums),
            _ => TopicRoute::new(&self.topic, data),
        }
    }

    /// Asks the next nameserver, which all later searches then ask first.
    fn next(mut self, at: usize, error: Error) {
        self.left -= 1;
        tracing::debug!(nameserver = self.nameserver(at), %error, "no route from a nameserver");
        let (from, to) = (at, (at + 1) % self.instance.nameservers.len());
        let order = Ordering::Relaxed;
        let _ = self
            .instance
            .nameserver
            .compare_exchange(from, to, order, order);
        if self.left == 0 {
            return self.end(Err(error));
        }
        self.ask();
    }

    fn end(self, found: Result<TopicRoute>) {
        self.instance.route_arrived(&self.topic, found);
    }
}
