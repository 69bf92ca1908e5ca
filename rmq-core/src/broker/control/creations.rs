//! Creations of topics that came together share one write of the table of topics, which is as long
//! as all topics; each is answered when that write is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Control, Task};
use crate::base::thread;
use crate::broker::processors;
use crate::broker::reply::{Answer, Refusal, encode_answer};
use crate::broker::shared::{Mail, Shared};
use crate::net::ConnectionId;
use crate::protocol::code::{RequestCode, ResponseCode};
use crate::protocol::command::Command;

/// Creations that share one write.
const TOGETHER_MAX: usize = 1_024;

/// Answers that wait for a write.
#[derive(Debug, Default)]
struct Held {
    answers: Vec<(ConnectionId, Command, Answer)>,
    /// Topics that sends wait for at these reactors.
    made: Vec<(usize, String, Result<(), Refusal>)>,
    /// Requests that go back to their reactors.
    frames: Vec<(ConnectionId, Vec<u8>)>,
}

impl Held {
    fn len(&self) -> usize {
        self.answers.len() + self.made.len() + self.frames.len()
    }

    /// Refuses what would have succeeded.
    fn fail(&mut self, refusal: &Refusal) {
        for (_, _, answer) in &mut self.answers {
            if answer.is_ok() {
                *answer = Err(refusal.clone());
            }
        }
        for (_, _, outcome) in &mut self.made {
            if outcome.is_ok() {
                *outcome = Err(refusal.clone());
            }
        }
        for (conn, frame) in self.frames.drain(..) {
            if let Some(request) = processors::decode_frame(&frame) {
                self.answers.push((conn, request, Err(refusal.clone())));
            }
        }
    }

    fn release(self, shared: &Shared) {
        for (conn, request, answer) in self.answers {
            if let Some(bytes) = encode_answer(&request, answer) {
                shared.send(conn, bytes);
            }
        }
        for (reactor, topic, outcome) in self.made {
            shared.post(reactor, Mail::TopicMade { topic, outcome });
        }
        for (conn, bytes) in self.frames {
            let reactor = usize::from(conn.reactor());
            shared.post(reactor, Mail::Frame { conn, bytes });
        }
    }
}

/// Whether a task makes or changes topics and does nothing else.
fn is_creation(task: &Task) -> bool {
    match task {
        Task::Request { command, .. } => matches!(
            command.request_code(),
            RequestCode::UPDATE_AND_CREATE_TOPIC | RequestCode::UPDATE_AND_CREATE_TOPIC_LIST
        ),
        Task::CreateTopic { .. } | Task::CreateGroupTopic { .. } => true,
        _ => false,
    }
}

impl Control {
    /// Handles a task, and with a creation those that wait behind it, up to the first other task.
    pub(super) fn handle_from(&self, first: Task) {
        if !is_creation(&first) {
            self.handle(first);
            return;
        }
        let shared = &self.shared;
        shared.answers_held.store(true, Ordering::Release);
        shared.topics.gather();
        let mut held = Held::default();
        let mut next = Some(first);
        while let Some(task) = next.take_if(|task| is_creation(task)) {
            self.create(task, &mut held);
            if held.len() < TOGETHER_MAX {
                next = shared.control.try_pop();
            }
        }
        if let Err(error) = shared.topics.commit() {
            tracing::error!(%error, "topics could not be written");
            held.fail(&Refusal::from(error));
        }
        let releasing = Arc::clone(shared);
        shared.after_registration(move || held.release(&releasing));
        shared.answers_held.store(false, Ordering::Release);
        if let Some(other) = next {
            self.handle(other);
        }
    }

    /// Gathers a creation and holds its answer.
    fn create(&self, task: Task, held: &mut Held) {
        match task {
            Task::CreateTopic { reactor, topic } => {
                let outcome = made(|| processors::topic::create_by_send(&self.shared, &topic));
                held.made.push((reactor, topic.topic, outcome));
            }
            Task::CreateGroupTopic { conn, frame, topic } => {
                match made(|| processors::topic::create_for_group(&self.shared, &topic)) {
                    Ok(()) => held.frames.push((conn, frame)),
                    Err(refusal) => {
                        if let Some(request) = processors::decode_frame(&frame) {
                            held.answers.push((conn, request, Err(refusal)));
                        }
                    }
                }
            }
            Task::Request {
                conn,
                peer,
                command,
                since_ms,
            } => {
                let answer = self.answer(conn, peer, &command, since_ms);
                held.answers.push((conn, command, answer));
            }
            _ => {}
        }
    }
}

/// What `make` says; a panic in it is a refusal, so that nobody waits for an answer for ever.
fn made(make: impl FnOnce() -> Result<(), Refusal>) -> Result<(), Refusal> {
    thread::catch(make).unwrap_or_else(|what| {
        tracing::error!(what, "a creation of a topic panicked");
        let remark = format!("internal error: {what}");
        Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark))
    })
}
