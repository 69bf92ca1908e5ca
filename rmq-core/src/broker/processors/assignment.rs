//! QUERY_ASSIGNMENT: which queues a consumer gets, and whether it pulls or pops them.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::assignment::{self, Queues, Strategy};
use crate::broker::control::Context;
use crate::broker::names;
use crate::broker::reply::{Answer, encode_answer, success};
use crate::broker::shared::Shared;
use crate::config::broker::RequestMode;
use crate::net::ConnectionId;
use crate::protocol::body::assignment::{Assignments, QueryAssignment, QueueAssignment};
use crate::protocol::body::heartbeat::MessageModel;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::body::request_mode::{MessageRequestMode, RequestModeTable};
use crate::protocol::body::route::TopicRouteData;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::namesrv::GetRouteInfoRequest;

/// Time that a nameserver has to tell a route.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(2);

/// A question that waits for a route.
struct Question {
    shared: Arc<Shared>,
    conn: ConnectionId,
    request: Command,
    query: QueryAssignment,
    mode: MessageRequestMode,
    share: i32,
}

pub(super) fn query(context: &Context<'_>, request: &Command) -> Answer {
    let shared = context.shared;
    let query = QueryAssignment::decode(&request.body)?;
    let (mode, share) = mode_of(shared, &query)?;
    let question = Question {
        shared: Arc::clone(shared),
        conn: context.conn,
        request: request.clone(),
        query,
        mode,
        share,
    };
    let config = shared.config();
    let now_ms = shared.clock.monotonic_ms();
    let since_ms = now_ms.saturating_sub(config.assignment_route_ms);
    let topic = &question.query.topic;
    if config.namesrv_addr.is_empty() {
        let queues = own_queues(shared, topic);
        return Ok(Some(question.answer(queues)));
    }
    if let Some(queues) = shared.routes.get(topic, since_ms).filter(Option::is_some) {
        return Ok(Some(question.answer(queues)));
    }
    question.ask(config.namesrv_addr.clone());
    Ok(None)
}

/// How the group gets messages of the topic, and how many consumers share a queue.
fn mode_of(
    shared: &Shared,
    query: &QueryAssignment,
) -> crate::base::Result<(MessageRequestMode, i32)> {
    let file = &shared.files.request_mode;
    let table = file.load(RequestModeTable::decode)?.unwrap_or_default();
    let set = table
        .modes
        .get(&query.topic)
        .and_then(|groups| groups.get(&query.consumer_group));
    if let Some(set) = set {
        return Ok((set.mode, set.pop_share_queue_num));
    }
    let config = shared.config();
    let of_retries = query.topic.starts_with(names::RETRY_PREFIX);
    Ok(match config.default_request_mode {
        RequestMode::Pop if !of_retries => {
            (MessageRequestMode::Pop, config.default_pop_share_queues)
        }
        _ => (MessageRequestMode::Pull, 0),
    })
}

/// The queues of this broker, where no nameserver knows of others.
fn own_queues(shared: &Shared, topic: &str) -> Queues {
    let config = shared.topics.get(topic)?;
    let queues = (0..config.read_queue_nums).map(|queue_id| MessageQueue {
        broker_name: shared.config().broker_name.clone(),
        queue_id,
        topic: topic.to_owned(),
    });
    Some(Arc::new(queues.collect()))
}

impl Question {
    /// Asks the nameservers one after the other, and answers with the first route.
    fn ask(self, mut nameservers: Vec<String>) {
        let (Some(client), false) = (self.shared.routes.client(), nameservers.is_empty()) else {
            return self.finish(None);
        };
        let nameserver = nameservers.remove(0);
        let header = GetRouteInfoRequest {
            topic: self.query.topic.clone(),
            accept_standard_json_only: Some(true),
        };
        let command = Command::request(RequestCode::GET_ROUTEINFO_BY_TOPIC, &header);
        client.call_async(&nameserver, command, ROUTE_TIMEOUT, move |reply| {
            let route = match reply {
                Ok(reply) if reply.response_code() == ResponseCode::SUCCESS => {
                    TopicRouteData::decode(&reply.body).ok()
                }
                Ok(_) => return self.finish(None),
                Err(_) => None,
            };
            match route {
                None => self.ask(nameservers),
                Some(route) => {
                    let topic = &self.query.topic;
                    let queues = Some(Arc::new(assignment::queues_of(topic, &route)));
                    let now_ms = self.shared.clock.monotonic_ms();
                    self.shared.routes.put(topic, now_ms, queues.clone());
                    self.finish(queues);
                }
            }
        });
    }

    fn finish(self, queues: Queues) {
        // What was known is better than nothing while no nameserver answers.
        let queues = queues.or_else(|| self.shared.routes.get(&self.query.topic, 0).flatten());
        let answer = self.answer(queues);
        if let Some(bytes) = encode_answer(&self.request, Ok(Some(answer))) {
            self.shared.send(self.conn, bytes);
        }
    }

    fn answer(&self, queues: Queues) -> Command {
        let assigned = queues.and_then(|queues| self.assign(&queues));
        let queues = assigned.map(|assigned| {
            let with_mode = |message_queue| QueueAssignment {
                message_queue,
                mode: self.mode,
            };
            assigned.into_iter().map(with_mode).collect()
        });
        success(&self.request).with_body(Assignments { queues }.encode())
    }

    /// What the consumer gets; `None` when that cannot be told, and it keeps what it has.
    fn assign(&self, queues: &[MessageQueue]) -> Option<Vec<MessageQueue>> {
        let query = &self.query;
        let broadcasting = query.message_model == MessageModel::Broadcasting;
        if broadcasting || !self.shared.config().assigns_queues {
            return Some(queues.to_vec());
        }
        let mut clients: Vec<String> = {
            let consumers = self.shared.consumers.read();
            let group = consumers.group(&query.consumer_group)?;
            group.members().map(|one| one.client_id.clone()).collect()
        };
        clients.sort_unstable();
        clients.dedup();
        let strategy = Strategy::from_name(&query.strategy_name)?;
        Some(match self.mode {
            MessageRequestMode::Pop => {
                strategy.allocate_pop(&query.client_id, queues, &clients, self.share)
            }
            MessageRequestMode::Pull => strategy.allocate(&query.client_id, queues, &clients),
        })
    }
}
