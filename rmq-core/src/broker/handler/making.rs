//! Sends that wait for the topic that they go to. The control thread is asked to make it; what
//! comes before it has answered waits behind the send that asked, so that the messages of a
//! connection are stored in the order in which it sent them.

use std::collections::{HashMap, VecDeque};

use super::DataHandler;
use super::send::NotStaged;
use crate::broker::control::{NewTopic, Task};
use crate::broker::names;
use crate::broker::overload;
use crate::broker::processors;
use crate::broker::reply::Refusal;
use crate::net::{ConnectionId, Io};
use crate::protocol::code::ResponseCode;
use crate::protocol::frame::FrameRef;
use crate::protocol::request::send::SendRequest;

/// A send that waits.
#[derive(Debug)]
pub(super) struct WaitingSend {
    conn: ConnectionId,
    /// The whole frame.
    frame: Vec<u8>,
}

/// The sends to one topic, in the order in which they came.
#[derive(Debug, Default)]
struct Line {
    /// Whether the control thread was asked, for the first of them, and did not answer yet.
    asked: bool,
    sends: VecDeque<WaitingSend>,
}

/// The sends of one reactor that wait for their topics.
#[derive(Debug)]
pub(super) struct TopicsInMaking {
    lines: HashMap<String, Line>,
    /// Of all frames that wait.
    bytes: usize,
    bytes_max: usize,
}

impl TopicsInMaking {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            lines: HashMap::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// A send waits only if what waits already is less than this.
    pub(super) fn set_limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many sends wait.
    pub(super) fn len(&self) -> usize {
        self.lines.values().map(|line| line.sends.len()).sum()
    }

    /// Whether a send to this topic has to wait. Costs nothing while no topic is made.
    fn is_asked_for(&self, topic: &str) -> bool {
        !self.lines.is_empty() && self.lines.get(topic).is_some_and(|line| line.asked)
    }

    fn has_room(&self) -> bool {
        self.bytes < self.bytes_max
    }

    /// Puts a send to the end of those that wait.
    fn join(&mut self, topic: &str, send: WaitingSend) {
        self.bytes += send.frame.len();
        let line = self.lines.entry(topic.to_owned()).or_default();
        line.sends.push_back(send);
    }

    /// Puts the send for which the control thread was asked before those that wait.
    fn lead(&mut self, topic: &str, send: WaitingSend) {
        self.bytes += send.frame.len();
        let line = self.lines.entry(topic.to_owned()).or_default();
        debug_assert!(!line.asked, "a line has one send that leads it");
        line.asked = true;
        line.sends.push_front(send);
    }

    /// The control thread has answered.
    fn answered(&mut self, topic: &str) {
        if let Some(line) = self.lines.get_mut(topic) {
            line.asked = false;
        }
    }

    /// The next send that goes on; none when there is none, or the control thread was asked again.
    fn next(&mut self, topic: &str) -> Option<WaitingSend> {
        let line = self.lines.get_mut(topic).filter(|line| !line.asked)?;
        let Some(send) = line.sends.pop_front() else {
            self.lines.remove(topic);
            return None;
        };
        self.bytes -= send.frame.len();
        Some(send)
    }
}

impl DataHandler {
    /// Has a send wait if its topic is being made.
    pub(super) fn wait_for_topic(
        &mut self,
        conn: ConnectionId,
        topic: &str,
        frame: &FrameRef<'_>,
    ) -> Result<(), NotStaged> {
        if !self.making.is_asked_for(topic) {
            return Ok(());
        }
        if !self.making.has_room() {
            return Err(overload::full().into());
        }
        let frame = processors::bytes_of(frame);
        self.making.join(topic, WaitingSend { conn, frame });
        Err(NotStaged::Deferred)
    }

    /// Asks for the topic of a send, which waits for it.
    pub(super) fn ask_for_topic(
        &mut self,
        conn: ConnectionId,
        request: &SendRequest<'_>,
        frame: &FrameRef<'_>,
    ) -> Result<(), NotStaged> {
        let topic = request.topic;
        names::check_topic(topic)
            .map_err(|remark| Refusal::new(ResponseCode::INVALID_PARAMETER, remark))?;
        if names::is_send_forbidden(topic) {
            let remark = format!("Sending message to topic[{topic}] is forbidden.");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark).into());
        }
        if !self.making.has_room() {
            return Err(overload::full().into());
        }
        let task = Task::CreateTopic {
            reactor: self.index,
            topic: NewTopic {
                topic: topic.to_owned(),
                default_topic: request.default_topic.to_string(),
                queue_nums: request.default_topic_queue_nums,
                unit_mode: request.unit_mode,
            },
        };
        let pushed = self.shared.control.try_push(task);
        pushed.map_err(|_| overload::full())?;
        let frame = processors::bytes_of(frame);
        self.making.lead(topic, WaitingSend { conn, frame });
        Err(NotStaged::Deferred)
    }

    /// The control thread made a topic, or will not: what waits for it goes on, until one asks
    /// again. What is refused is refused for the first; each other one says itself what it wants.
    pub(super) fn topic_made(
        &mut self,
        io: &mut Io<'_>,
        topic: &str,
        outcome: Result<(), Refusal>,
    ) {
        self.making.answered(topic);
        if let Err(refusal) = outcome
            && let Some(first) = self.making.next(topic)
            && let Some(frame) = processors::frame_of(&first.frame)
        {
            self.refuse_frame(io, first.conn, &frame, &refusal);
        }
        while let Some(send) = self.making.next(topic) {
            if let Some(frame) = processors::frame_of(&send.frame) {
                self.guarded(io, send.conn, |this, io| {
                    this.handle_frames(io, send.conn, &[frame]);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::slots::Key;

    /// A send of so many bytes, which begin with `number`.
    fn send(number: u8, len: usize) -> WaitingSend {
        let key = Key {
            slot: 0,
            generation: 0,
        };
        let mut frame = vec![0; len];
        frame[0] = number;
        WaitingSend {
            conn: ConnectionId::new(0, key),
            frame,
        }
    }

    fn taken(making: &mut TopicsInMaking, topic: &str) -> Vec<u8> {
        std::iter::from_fn(|| making.next(topic).map(|send| send.frame[0])).collect()
    }

    #[test]
    fn sends_go_on_in_the_order_in_which_they_came() {
        let mut making = TopicsInMaking::new(1 << 20);
        assert!(!making.is_asked_for("T"));
        making.lead("T", send(1, 10));
        making.join("T", send(2, 10));
        making.lead("U", send(9, 10));
        making.join("T", send(3, 10));
        assert!(making.is_asked_for("T") && !making.is_asked_for("V"));
        assert!(making.next("T").is_none(), "not before the answer");
        making.answered("T");
        assert_eq!(taken(&mut making, "T"), [1, 2, 3]);
        assert!(!making.is_asked_for("T") && making.is_asked_for("U"));
        assert_eq!((making.len(), making.bytes), (1, 10));
        making.answered("U");
        assert_eq!(taken(&mut making, "U"), [9]);
        assert!(making.is_empty() && making.bytes == 0);
    }

    #[test]
    fn a_send_that_asks_again_stays_before_those_behind_it() {
        let mut making = TopicsInMaking::new(1 << 20);
        making.lead("T", send(1, 10));
        making.join("T", send(2, 10));
        making.join("T", send(3, 10));
        making.answered("T");
        assert_eq!(making.next("T").unwrap().frame[0], 1);
        let second = making.next("T").unwrap();
        making.lead("T", second);
        assert!(making.next("T").is_none());
        making.join("T", send(4, 10));
        making.answered("T");
        assert_eq!(taken(&mut making, "T"), [2, 3, 4]);
        assert!(making.is_empty());
    }

    #[test]
    fn there_is_room_below_the_limit_and_not_at_it() {
        let mut making = TopicsInMaking::new(20);
        making.lead("T", send(1, 19));
        assert!(making.has_room());
        making.join("T", send(2, 1));
        assert!(!making.has_room());
        making.set_limit(21);
        assert!(making.has_room());
        making.answered("T");
        making.next("T");
        making.set_limit(2);
        assert!(making.has_room());
    }

    #[test]
    fn an_answer_that_nobody_waits_for_changes_nothing() {
        let mut making = TopicsInMaking::new(20);
        making.answered("T");
        assert!(making.next("T").is_none() && making.is_empty());
    }
}
