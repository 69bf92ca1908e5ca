//! Tells nameservers of a few changed topics without all others: request 217 for each. A whole
//! registration of ten thousand topics is two megabytes.
//!
//! A nameserver that has not taken the last whole registration, or does not know the request
//! (before 5.0), gets a whole one.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{PATIENCE, Registration, Rounds};
use crate::base::Result;
use crate::protocol::body::route::{QueueData, TopicRouteData};
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;
use crate::protocol::request::namesrv::RegisterTopicRequest;

/// So many topics are told of one by one, however few the broker has.
const ALWAYS_SINGLE: usize = 32;
/// More of the broker's topics than one in so many are told of with all others.
const SINGLE_SHARE: usize = 8;

/// The answers of one nameserver to several requests, of which the worst counts.
struct Answers {
    left: usize,
    worst: Option<Result<Command>>,
}

impl Answers {
    /// Takes an answer; the one that counts after the last.
    fn take(&mut self, answer: Result<Command>) -> Option<Result<Command>> {
        self.left = self.left.saturating_sub(1);
        let is_good = |answer: &Result<Command>| {
            let reply = answer.as_ref();
            reply.is_ok_and(|reply| reply.response_code() == ResponseCode::SUCCESS)
        };
        if self.worst.as_ref().is_none_or(is_good) {
            self.worst = Some(answer);
        }
        match self.left {
            0 => self.worst.take(),
            _ => None,
        }
    }
}

impl Registration {
    /// Tells every nameserver of these topics. False when they are to be told of all topics.
    pub(super) fn register_topics(&self, topics: &BTreeSet<String>) -> bool {
        if topics.is_empty() {
            // The round before told of those that were asked for.
            return true;
        }
        let Some(commands) = self.single_commands(topics) else {
            return false;
        };
        let config = self.shared.config();
        let timeout = Duration::from_millis(config.register_timeout_ms);
        let mut whole = Vec::new();
        let mut rounds = self.rounds.lock();
        self.settle_received(&mut rounds);
        let mut asked = HashSet::new();
        for nameserver in &config.namesrv_addr {
            let standing = rounds.standings.entry(nameserver.clone()).or_default();
            if standing.in_flight {
                standing.stale = true;
            } else if standing.whole_only || standing.stale || standing.taken != Some(true) {
                whole.push(nameserver.clone());
            } else {
                standing.in_flight = true;
                asked.insert(nameserver.as_str());
                self.ask_each(&rounds, nameserver, &commands, timeout);
            }
        }
        self.await_answers(&mut rounds, asked.clone(), PATIENCE);
        for nameserver in asked {
            let standing = rounds.standings.get(nameserver);
            if standing.is_some_and(|one| !one.in_flight && one.taken != Some(true)) {
                whole.push(nameserver.to_owned());
            }
        }
        drop(rounds);
        self.register_with(&whole, PATIENCE);
        true
    }

    fn ask_each(&self, rounds: &Rounds, nameserver: &str, commands: &[Command], timeout: Duration) {
        let answers = Arc::new(Mutex::new(Answers {
            left: commands.len(),
            worst: None,
        }));
        for command in commands {
            let (answers, sender) = (Arc::clone(&answers), rounds.answers.clone());
            let name = nameserver.to_owned();
            let take = move |answer| {
                if let Some(answer) = answers.lock().take(answer) {
                    // The receiver is gone only when the broker is.
                    let _ = sender.send((name, answer));
                }
            };
            self.client
                .call_async(nameserver, command.clone(), timeout, take);
        }
    }

    /// The requests; `None` when a whole registration is the better way.
    fn single_commands(&self, names: &BTreeSet<String>) -> Option<Vec<Command>> {
        let shared = &self.shared;
        let most = ALWAYS_SINGLE.max(shared.topics.len() / SINGLE_SHARE);
        if names.len() > most || !shared.is_master() {
            return None;
        }
        let config = shared.config();
        let permission = config.broker_permission.cast_signed();
        let command = |name: &String| {
            let topic = shared.topics.get(name)?;
            let perm = match permission & 6 {
                6 => topic.perm,
                _ => topic.perm & permission,
            };
            let route = TopicRouteData {
                queues: vec![QueueData {
                    broker_name: config.broker_name.clone(),
                    perm,
                    read_queue_nums: topic.read_queue_nums,
                    topic_sys_flag: topic.topic_sys_flag,
                    write_queue_nums: topic.write_queue_nums,
                }],
                ..TopicRouteData::default()
            };
            let header = RegisterTopicRequest {
                topic: name.clone(),
            };
            let code = RequestCode::REGISTER_TOPIC_IN_NAMESRV;
            Some(Command::request(code, &header).with_body(route.encode()))
        };
        names.iter().map(command).collect()
    }
}
