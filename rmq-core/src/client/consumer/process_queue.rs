//! What was pulled from one queue and is not done with.

use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::Answer;
use crate::protocol::message::user::ReceivedMessage;

/// When no more is pulled from a queue until something is done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowLimits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Most offsets between the first and the last message.
    pub(crate) span: i64,
}

/// A message that was handed out.
#[derive(Clone, Debug)]
struct Out {
    body_len: usize,
    physical_offset: i64,
    /// When somebody began to work on it.
    begun: Option<Duration>,
    /// Of its handle, if somebody has one.
    answer: Option<Answer>,
    /// The broker is being asked to deliver it again, so that what is said of it comes too late.
    returning: bool,
}

/// A message that somebody works on for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) queue_offset: i64,
    pub(crate) physical_offset: i64,
    /// Its handle was taken from the program just now.
    pub(crate) taken: bool,
}

/// The messages of one queue: those that wait, and those that were handed out. The position, which
/// is what is committed, is the first of them that is not done with.
#[derive(Debug)]
pub(crate) struct ProcessQueue {
    waiting: BTreeMap<i64, ReceivedMessage>,
    /// By offset, what was handed out.
    out: BTreeMap<i64, Out>,
    bytes: usize,
    next_pull: i64,
    /// Counts seeks, so that the answer to an older pull is known.
    epoch: u64,
}

impl ProcessQueue {
    /// A queue that begins at `offset`.
    pub(crate) fn new(offset: i64) -> Self {
        Self {
            waiting: BTreeMap::new(),
            out: BTreeMap::new(),
            bytes: 0,
            next_pull: offset,
            epoch: 0,
        }
    }

    /// Where to pull next, and what its answer is to be put with.
    pub(crate) fn next_pull(&self) -> (i64, u64) {
        (self.next_pull, self.epoch)
    }

    /// A pull brought `messages`, and the next one is to begin at `next_pull`. False when the queue
    /// was set to another place meanwhile.
    pub(crate) fn put(
        &mut self,
        epoch: u64,
        messages: Vec<ReceivedMessage>,
        next_pull: i64,
    ) -> bool {
        if epoch != self.epoch {
            return false;
        }
        self.next_pull = next_pull;
        for message in messages {
            let (offset, len) = (message.queue_offset, message.message.body.len());
            if !self.out.contains_key(&offset) && self.waiting.insert(offset, message).is_none() {
                self.bytes += len;
            }
        }
        true
    }

    /// Hands out the first `most` messages that wait.
    pub(crate) fn take(&mut self, most: usize) -> Vec<ReceivedMessage> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((offset, message)) = self.waiting.pop_first()
        {
            let out = Out {
                body_len: message.message.body.len(),
                physical_offset: message.physical_offset,
                begun: None,
                answer: None,
                returning: false,
            };
            self.out.insert(offset, out);
            taken.push(message);
        }
        taken
    }

    /// Somebody begins to work on a message. False when it is not out any more.
    pub(crate) fn begin(&mut self, offset: i64, now: Duration) -> bool {
        let out = self.out.get_mut(&offset);
        out.map(|out| out.begun = Some(now)).is_some()
    }

    /// Whether a message is out, and whoever has it may say what becomes of it.
    pub(crate) fn is_out(&self, offset: i64) -> bool {
        self.out.get(&offset).is_some_and(|out| !out.returning)
    }

    /// A stuck message could not be sent back.
    pub(crate) fn stays(&mut self, offset: i64) {
        if let Some(out) = self.out.get_mut(&offset) {
            out.returning = false;
        }
    }

    /// A message that is out has a handle.
    pub(crate) fn is_handed(&mut self, offset: i64, answer: Answer) {
        if let Some(out) = self.out.get_mut(&offset) {
            out.answer = Some(answer);
        }
    }

    /// The first messages that somebody works on since `before` or longer, which are to be sent
    /// back. Their handles can no longer be answered; those that were answered are not stuck.
    pub(crate) fn stuck(&mut self, before: Duration, most: usize) -> Vec<Stuck> {
        let is_stuck = |out: &Out| out.begun.is_some_and(|begun| begun <= before);
        let stuck = self.out.iter_mut().filter(|(_, out)| is_stuck(out));
        let stuck = stuck.filter_map(|(queue_offset, out)| {
            let taken = match &out.answer {
                Some(answer) if !answer.miss() => return None,
                Some(_) => true,
                None => false,
            };
            // Found again, it is nobody's.
            out.answer = None;
            out.returning = true;
            Some(Stuck {
                queue_offset: *queue_offset,
                physical_offset: out.physical_offset,
                taken,
            })
        });
        stuck.take(most).collect()
    }

    /// Messages that were handed out are done with.
    pub(crate) fn done(&mut self, offsets: impl IntoIterator<Item = i64>) {
        for offset in offsets {
            if let Some(out) = self.out.remove(&offset) {
                self.bytes = self.bytes.saturating_sub(out.body_len);
            }
        }
    }

    /// Messages that were handed out wait again.
    pub(crate) fn give_back(&mut self, messages: Vec<ReceivedMessage>) {
        for message in messages {
            if self.out.remove(&message.queue_offset).is_some() {
                self.waiting.insert(message.queue_offset, message);
            }
        }
    }

    /// Goes on at `offset`; what was pulled is forgotten.
    pub(crate) fn seek(&mut self, offset: i64) {
        let epoch = self.epoch + 1;
        *self = Self {
            epoch,
            ..Self::new(offset)
        };
    }

    /// The offset before which everything is done with.
    pub(crate) fn position(&self) -> i64 {
        let first = [self.waiting.keys().next(), self.out.keys().next()];
        first
            .into_iter()
            .flatten()
            .min()
            .copied()
            .unwrap_or(self.next_pull)
    }

    /// Whether a message waits.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn is_full(&self, limits: &FlowLimits) -> bool {
        let last = [self.waiting.keys().next_back(), self.out.keys().next_back()];
        let last = last.into_iter().flatten().max();
        self.waiting.len() + self.out.len() >= limits.messages
            || self.bytes >= limits.bytes
            || last.is_some_and(|last| last - self.position() > limits.span)
    }

    /// Messages and body bytes that are held.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.waiting.len() + self.out.len(), self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::user::Message;

    fn message(queue_offset: i64) -> ReceivedMessage {
        ReceivedMessage {
            queue_offset,
            ..ReceivedMessage::new(Message::new("T", vec![0; 10]))
        }
    }

    fn pulled(offsets: impl IntoIterator<Item = i64>, next_pull: i64) -> ProcessQueue {
        let mut queue = ProcessQueue::new(0);
        let messages = offsets.into_iter().map(message).collect();
        assert!(queue.put(0, messages, next_pull));
        queue
    }

    fn offsets(messages: &[ReceivedMessage]) -> Vec<i64> {
        messages.iter().map(|m| m.queue_offset).collect()
    }

    #[test]
    fn the_position_waits_for_the_slowest() {
        let mut queue = pulled([3, 4, 7], 9);
        assert_eq!(queue.position(), 3);
        let taken = queue.take(2);
        assert_eq!(offsets(&taken), [3, 4]);
        queue.done([4]);
        assert_eq!(queue.position(), 3);
        queue.done([3]);
        assert_eq!(queue.position(), 7);
        queue.take(9);
        queue.done([7, 7, 100]);
        // What was filtered out is passed too.
        assert_eq!(queue.position(), 9);
        assert_eq!(queue.held(), (0, 0));
    }

    #[test]
    fn what_is_given_back_comes_first_again() {
        let mut queue = pulled([1, 2, 3], 4);
        let taken = queue.take(2);
        queue.give_back(taken);
        assert_eq!((queue.position(), queue.has_waiting()), (1, true));
        assert_eq!(offsets(&queue.take(9)), [1, 2, 3]);
        assert!(!queue.has_waiting());
    }

    #[test]
    fn what_is_pulled_twice_is_held_once() {
        let mut queue = pulled([1, 2], 3);
        queue.take(1);
        queue.put(0, vec![message(1), message(2), message(3)], 4);
        assert_eq!(queue.held(), (3, 30));
        assert_eq!(offsets(&queue.take(9)), [2, 3]);
    }

    #[test]
    fn a_seek_forgets_what_was_pulled_and_what_is_on_its_way() {
        let mut queue = pulled([1, 2], 3);
        let (_, epoch) = queue.next_pull();
        let old = queue.take(1);
        queue.seek(100);
        assert!(!queue.put(epoch, vec![message(3)], 4));
        queue.done([1]);
        queue.give_back(old);
        assert_eq!((queue.position(), queue.held()), (100, (0, 0)));
        let (at, epoch) = queue.next_pull();
        assert_eq!(at, 100);
        assert!(queue.put(epoch, vec![message(100)], 101));
    }

    fn stuck(queue_offset: i64) -> Stuck {
        Stuck {
            queue_offset,
            physical_offset: 0,
            taken: false,
        }
    }

    #[test]
    fn a_handle_is_taken_once_and_not_after_its_answer() {
        let at = Duration::from_secs;
        let mut queue = pulled([1, 2], 3);
        queue.take(2);
        let answers = [Answer::default(), Answer::default()];
        for (offset, answer) in [1, 2].into_iter().zip(&answers) {
            queue.is_handed(offset, answer.clone());
            assert!(queue.begin(offset, at(10)));
        }
        assert!(answers[1].give());
        let taken = Stuck {
            taken: true,
            ..stuck(1)
        };
        assert_eq!(queue.stuck(at(10), 9), [taken]);
        assert!(answers[0].is_late() && !answers[0].give() && !answers[1].is_late());
        // Where sending it back failed it is found again.
        assert_eq!(queue.stuck(at(10), 9), [stuck(1)]);
    }

    #[test]
    fn what_takes_too_long_is_found_until_it_is_done() {
        let at = Duration::from_secs;
        let mut queue = pulled([1, 2, 3, 4], 5);
        queue.take(3);
        assert!(queue.begin(1, at(10)) && queue.begin(2, at(11)) && !queue.begin(4, at(0)));
        // What waits for a thread is not stuck.
        assert_eq!(queue.stuck(at(99), 9), [stuck(1), stuck(2)]);
        assert_eq!(queue.stuck(at(99), 1), [stuck(1)]);
        assert_eq!(queue.stuck(at(10), 9), [stuck(1)]);
        assert_eq!(queue.stuck(at(9), 9), []);
        // What is being sent back is nobody's any more, unless that fails.
        assert!(!queue.is_out(1) && !queue.is_out(2) && queue.is_out(3));
        queue.stays(2);
        queue.done([1]);
        assert!(!queue.is_out(1) && queue.is_out(2));
        assert!(!queue.begin(1, at(12)));
        assert_eq!(queue.stuck(at(99), 9), [stuck(2)]);
        // Began once more.
        assert!(queue.begin(2, at(50)));
        assert_eq!(queue.stuck(at(49), 9), []);
        queue.seek(0);
        assert_eq!(queue.stuck(at(99), 9), []);
    }

    #[test]
    fn each_limit_stops_pulling_when_it_is_reached() {
        let limits = |messages, bytes, span| FlowLimits {
            messages,
            bytes,
            span,
        };
        let queue = pulled([1, 2, 9], 10);
        for (full, limits) in [
            (false, limits(4, 31, 8)),
            (true, limits(3, 31, 8)),
            (true, limits(4, 30, 8)),
            (true, limits(4, 31, 7)),
        ] {
            assert_eq!(queue.is_full(&limits), full, "{limits:?}");
        }
    }
}
