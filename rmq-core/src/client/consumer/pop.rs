//! What is known of popped messages: how many of a queue are out, what a broker says of each, and
//! what follows from the listener's answer. Without sockets and clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use super::core::ConsumeStatus;
use crate::protocol::body::message_queue::MessageQueue;
use crate::protocol::message::properties::names;
use crate::protocol::message::user::ReceivedMessage;
use crate::protocol::request::pop::PopMessageResponse;
use crate::protocol::request::pop::extra::{ExtraInfo, RetryKind};

/// A queue, or with the number -1 all those of a broker, that the consumer pops of.
#[derive(Debug)]
pub(crate) struct PopQueue {
    pub(crate) queue: MessageQueue,
    /// It was taken away: nothing more is popped of it.
    dropped: AtomicBool,
    /// Messages that nobody said anything of yet.
    waiting: AtomicUsize,
    last_pop_ms: AtomicI64,
}

impl PopQueue {
    pub(crate) fn new(queue: MessageQueue) -> Self {
        Self {
            queue,
            dropped: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            last_pop_ms: AtomicI64::new(0),
        }
    }

    pub(crate) fn let_go(&self) {
        self.dropped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self, now_ms: i64) {
        self.last_pop_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn last_pop_ms(&self) -> i64 {
        self.last_pop_ms.load(Ordering::Relaxed)
    }

    pub(crate) fn found(&self, count: usize) {
        self.waiting.fetch_add(count, Ordering::SeqCst);
    }

    pub(crate) fn settled(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::SeqCst);
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }
}

/// What becomes of a message that the listener has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done with.
    Acknowledge,
    /// It comes again after this time.
    Again(Duration),
    /// It becomes a dead letter.
    GiveUp,
}

/// What follows from the listener's answer about a message that was consumed so often before.
/// `delays_ms` are the times until it comes again, by level; the last one is for all levels above.
pub(crate) fn verdict(
    status: ConsumeStatus,
    reconsume_times: i32,
    max_reconsume_times: i32,
    delays_ms: &[u64],
) -> Verdict {
    let level = match status {
        ConsumeStatus::Success => return Verdict::Acknowledge,
        ConsumeStatus::LaterAtLevel(level) if level < 0 => return Verdict::GiveUp,
        _ if reconsume_times >= max_reconsume_times => return Verdict::GiveUp,
        ConsumeStatus::Later | ConsumeStatus::LaterAtLevel(0) => reconsume_times,
        ConsumeStatus::LaterAtLevel(level) => level,
    };
    let at = usize::try_from(level).unwrap_or(0);
    let delay_ms = delays_ms.get(at).or(delays_ms.last());
    Verdict::Again(Duration::from_millis(delay_ms.copied().unwrap_or_default()))
}

type Key = (RetryKind, i32);

/// `KIND QUEUE VALUE` for each queue, separated by semicolons; what cannot be read is left out.
fn by_queue(list: Option<&str>) -> BTreeMap<Key, &str> {
    let rows = list.unwrap_or_default().split(';').filter_map(|row| {
        let mut parts = row.splitn(3, ' ');
        let kind = RetryKind::from_flag(parts.next()?)?;
        Some(((kind, parts.next()?.parse().ok()?), parts.next()?))
    });
    rows.collect()
}

/// Notes in each message what it is to be acknowledged with, and gives it the topic that was
/// popped of. A broker that handed out a retry has noted it already.
pub(crate) fn note_check_points(
    header: &PopMessageResponse,
    queue: &MessageQueue,
    messages: &mut [ReceivedMessage],
) {
    let starts = by_queue(header.start_offset_info.as_deref());
    let offsets = by_queue(header.msg_offset_info.as_deref());
    // Of brokers that say no offsets: a queue's pop begins at its first message.
    let mut firsts: BTreeMap<Key, i64> = BTreeMap::new();
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    for received in messages {
        let message = &mut received.message;
        if !message.properties.contains_key(names::POP_CK) {
            let key = (RetryKind::of_topic(&message.topic), received.queue_id);
            let place = places.entry(key).or_default();
            let listed = offsets.get(&key).map(|list| {
                let mut all = list.split(',').filter_map(|offset| offset.parse().ok());
                let same = all
                    .clone()
                    .any(|offset: i64| offset == received.queue_offset);
                // A queue that only points to messages has numbers of its own for them.
                all.nth(*place).filter(|_| !same)
            });
            *place += 1;
            let first = *firsts.entry(key).or_insert(received.queue_offset);
            let start = starts.get(&key).and_then(|start| start.parse().ok());
            let info = ExtraInfo {
                start_offset: start.unwrap_or(first),
                pop_time_ms: header.pop_time_ms,
                invisible_time_ms: header.invisible_time_ms,
                revive_queue_id: header.revive_queue_id,
                retry: key.0,
                broker_name: queue.broker_name.clone(),
                queue_id: received.queue_id,
                queue_offset: Some(listed.flatten().unwrap_or(received.queue_offset)),
            };
            message.set_property(names::POP_CK, info.to_text());
        }
        if !message.properties.contains_key(names::FIRST_POP_TIME) {
            message.set_property(names::FIRST_POP_TIME, header.pop_time_ms.to_string());
        }
        message.topic.clone_from(&queue.topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::user::Message;

    fn message(topic: &str, queue_id: i32, queue_offset: i64) -> ReceivedMessage {
        ReceivedMessage {
            queue_id,
            queue_offset,
            ..ReceivedMessage::new(Message::new(topic, "x"))
        }
    }

    fn header(starts: Option<&str>, offsets: Option<&str>) -> PopMessageResponse {
        PopMessageResponse {
            pop_time_ms: 1_700,
            invisible_time_ms: 60,
            revive_queue_id: 3,
            start_offset_info: starts.map(str::to_owned),
            msg_offset_info: offsets.map(str::to_owned),
            ..PopMessageResponse::empty()
        }
    }

    fn noted(header: &PopMessageResponse, messages: &mut [ReceivedMessage]) -> Vec<String> {
        let queue = MessageQueue {
            topic: "T".to_owned(),
            broker_name: "b".to_owned(),
            queue_id: -1,
        };
        note_check_points(header, &queue, messages);
        assert!(messages.iter().all(|m| m.message.topic == "T"));
        let texts = messages.iter().map(|m| m.message.property(names::POP_CK));
        texts.map(|text| text.unwrap().to_owned()).collect()
    }

    #[test]
    fn check_points_are_those_that_the_broker_named() {
        let header = header(Some("0 0 5;0 1 7;1 0 2"), Some("0 0 5,6;0 1 9;1 0 2"));
        let mut messages = [
            message("T", 0, 5),
            message("T", 0, 6),
            message("T", 1, 9),
            message("%RETRY%g_T", 0, 2),
        ];
        messages[3].message.set_property(names::FIRST_POP_TIME, "9");
        let texts = noted(&header, &mut messages);
        assert_eq!(texts[0], "5 1700 60 3 0 b 0 5");
        assert_eq!(texts[1], "5 1700 60 3 0 b 0 6");
        assert_eq!(texts[2], "7 1700 60 3 0 b 1 9");
        assert_eq!(texts[3], "2 1700 60 3 1 b 0 2");
        let firsts = messages
            .iter()
            .map(|m| m.message.property(names::FIRST_POP_TIME));
        let firsts: Vec<_> = firsts.flatten().collect();
        assert_eq!(firsts, ["1700", "1700", "1700", "9"]);
    }

    #[test]
    fn what_a_broker_noted_stays() {
        let mut messages = [message("T", 0, 5)];
        let text = "2 1 60000 3 1 b 0 5";
        messages[0].message.set_property(names::POP_CK, text);
        assert_eq!(noted(&header(None, None), &mut messages), [text]);
    }

    #[test]
    fn older_and_pointing_queues_are_understood() {
        let mut messages = [message("T", 0, 5), message("T", 0, 6)];
        let texts = noted(&header(None, None), &mut messages);
        assert_eq!(texts, ["5 1700 60 3 0 b 0 5", "5 1700 60 3 0 b 0 6"]);
        // Two messages of a queue that numbers them by itself.
        let mut messages = [message("T", 0, 50), message("T", 0, 61)];
        let texts = noted(&header(Some("0 0 1"), Some("0 0 1,2")), &mut messages);
        assert_eq!(texts, ["1 1700 60 3 0 b 0 1", "1 1700 60 3 0 b 0 2"]);
        let mut messages = [message("T", 0, 5)];
        let texts = noted(&header(Some("x;0 z 1;"), Some("0 0 a,b")), &mut messages);
        assert_eq!(texts, ["5 1700 60 3 0 b 0 5"]);
    }

    #[test]
    fn what_fails_comes_again_later_and_later_and_is_given_up() {
        let delays = [10, 30, 60];
        let after = |status, times| verdict(status, times, 4, &delays);
        let again = |ms| Verdict::Again(Duration::from_millis(ms));
        let later = ConsumeStatus::Later;
        assert_eq!(after(ConsumeStatus::Success, 9), Verdict::Acknowledge);
        assert_eq!(
            [0, 1, 2].map(|n| after(later, n)),
            [again(10), again(30), again(60)]
        );
        assert_eq!(after(later, 3), again(60));
        assert_eq!([4, 5].map(|n| after(later, n)), [Verdict::GiveUp; 2]);
        let at = ConsumeStatus::LaterAtLevel;
        assert_eq!(
            [0, 1, 99].map(|l| after(at(l), 1)),
            [again(30), again(30), again(60)]
        );
        assert_eq!(after(at(-1), 0), Verdict::GiveUp);
        assert_eq!(verdict(later, 0, 1, &[]), again(0));
    }

    #[test]
    fn a_queue_counts_what_is_out() {
        let queue = PopQueue::new(MessageQueue::default());
        queue.found(3);
        queue.settled(2);
        assert_eq!((queue.waiting(), queue.is_dropped()), (1, false));
        queue.let_go();
        assert!(queue.is_dropped());
    }
}
