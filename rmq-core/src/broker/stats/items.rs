//! Counters by name and key over the last minute, hour and day: what `VIEW_BROKER_STATS_DATA`
//! shows.
//!
//! A counter is a few atomics that reactors add to, and a short ring of readings for each span that
//! the control thread takes. Times are monotonic milliseconds.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::protocol::body::broker_stats::{BrokerStatsData, BrokerStatsItem};

/// The names that tools ask by.
pub(crate) mod names {
    /// Messages stored in a topic; the key is the topic.
    pub(crate) const TOPIC_PUT_NUMS: &str = "TOPIC_PUT_NUMS";
    /// Their bytes in the log.
    pub(crate) const TOPIC_PUT_SIZE: &str = "TOPIC_PUT_SIZE";
    /// Messages that a group was given of a topic; the key is `topic@group`.
    pub(crate) const GROUP_GET_NUMS: &str = "GROUP_GET_NUMS";
    /// Their bytes in the log.
    pub(crate) const GROUP_GET_SIZE: &str = "GROUP_GET_SIZE";
    /// Messages that a group sent back; the key is `topic@group`.
    pub(crate) const SNDBCK_PUT_NUMS: &str = "SNDBCK_PUT_NUMS";
    /// Messages stored by the broker; the key is the cluster.
    pub(crate) const BROKER_PUT_NUMS: &str = "BROKER_PUT_NUMS";
    /// Messages handed out by the broker; the key is the cluster.
    pub(crate) const BROKER_GET_NUMS: &str = "BROKER_GET_NUMS";
    /// The same without the topics of the system.
    pub(crate) const BROKER_PUT_NUMS_USER: &str = "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC";
    /// The same without the topics of the system.
    pub(crate) const BROKER_GET_NUMS_USER: &str = "BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC";
}

/// How often the readings of a span are taken, and how many are kept.
struct Span {
    interval_ms: i64,
    kept: usize,
}

const MINUTE: usize = 0;
const HOUR: usize = 1;
const DAY: usize = 2;

const SPANS: [Span; 3] = [
    Span {
        interval_ms: 10_000,
        kept: 6,
    },
    Span {
        interval_ms: 600_000,
        kept: 6,
    },
    Span {
        interval_ms: 3_600_000,
        kept: 24,
    },
];

/// A counter at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reading {
    at_ms: i64,
    messages: u64,
    bytes: u64,
    events: u64,
}

/// Which of a counter's figures is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Messages,
    Bytes,
}

/// The readings of a counter, oldest first; never empty.
#[derive(Debug)]
struct History {
    spans: [VecDeque<Reading>; SPANS.len()],
}

impl History {
    /// Of a counter that is made at `now_ms` with nothing counted: as if nothing had come during
    /// one interval, so that the first events do not make a huge rate.
    fn new(now_ms: i64) -> Self {
        Self {
            spans: std::array::from_fn(|span| {
                let at_ms = now_ms - SPANS[span].interval_ms;
                VecDeque::from([Reading {
                    at_ms,
                    ..Reading::default()
                }])
            }),
        }
    }

    fn sample(&mut self, reading: Reading, due: [bool; SPANS.len()]) {
        for ((readings, span), due) in self.spans.iter_mut().zip(&SPANS).zip(due) {
            if due {
                readings.push_back(reading);
                while readings.len() > span.kept {
                    readings.pop_front();
                }
            }
        }
    }

    fn over(&self, span: usize, now: &Reading, figure: Figure) -> BrokerStatsItem {
        let Some(first) = self.spans[span].front() else {
            return BrokerStatsItem::default();
        };
        let counted = match figure {
            Figure::Messages => now.messages.saturating_sub(first.messages),
            Figure::Bytes => now.bytes.saturating_sub(first.bytes),
        };
        let events = now.events.saturating_sub(first.events);
        let elapsed_ms = (now.at_ms - first.at_ms).max(1);
        BrokerStatsItem {
            average: match events {
                0 => 0.0,
                events => counted as f64 / events as f64,
            },
            sum: i64::try_from(counted).unwrap_or(i64::MAX),
            tps: counted as f64 * 1000.0 / elapsed_ms as f64,
        }
    }

    fn data(&self, now: &Reading, figure: Figure) -> BrokerStatsData {
        BrokerStatsData {
            stats_day: self.over(DAY, now, figure),
            stats_hour: self.over(HOUR, now, figure),
            stats_minute: self.over(MINUTE, now, figure),
        }
    }
}

/// What is added to a counter at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Messages.
    pub(crate) messages: u64,
    /// Their bytes in the log.
    pub(crate) bytes: u64,
    /// The requests that brought or took them.
    pub(crate) events: u64,
}

/// One counter.
#[derive(Debug)]
pub(crate) struct Item {
    messages: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
    history: Mutex<History>,
}

impl Item {
    fn new(now_ms: i64) -> Self {
        Self {
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            history: Mutex::new(History::new(now_ms)),
        }
    }

    /// Counts messages.
    pub(crate) fn add(&self, counted: Counted) {
        self.messages.fetch_add(counted.messages, Ordering::Relaxed);
        self.bytes.fetch_add(counted.bytes, Ordering::Relaxed);
        self.events.fetch_add(counted.events, Ordering::Relaxed);
    }

    /// Counts messages where their number is all that is asked for.
    pub(crate) fn add_messages(&self, messages: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// How many messages were counted.
    #[must_use]
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    fn read(&self, at_ms: i64) -> Reading {
        Reading {
            at_ms,
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            events: self.events.load(Ordering::Relaxed),
        }
    }

    fn sample(&self, at_ms: i64, due: [bool; SPANS.len()]) {
        self.history.lock().sample(self.read(at_ms), due);
    }

    fn data(&self, now_ms: i64, figure: Figure) -> BrokerStatsData {
        let history = self.history.lock();
        history.data(&self.read(now_ms), figure)
    }

    fn minute_rate(&self, now_ms: i64) -> f64 {
        let history = self.history.lock();
        let now = self.read(now_ms);
        history.over(MINUTE, &now, Figure::Messages).tps
    }
}

/// Topic, then group: both are looked up without building a key.
type ByGroup = RwLock<HashMap<String, HashMap<String, Arc<Item>>>>;

fn of_group(table: &ByGroup, topic: &str, group: &str) -> Option<Arc<Item>> {
    table.read().get(topic)?.get(group).cloned()
}

fn count_for_group(table: &ByGroup, (topic, group): (&str, &str), counted: Counted, now_ms: i64) {
    if let Some(item) = of_group(table, topic, group) {
        return item.add(counted);
    }
    let mut topics = table.write();
    let groups = topics.entry(topic.to_owned()).or_default();
    let item = groups.entry(group.to_owned());
    item.or_insert_with(|| Arc::new(Item::new(now_ms)))
        .add(counted);
}

/// The counters of a broker. Every method may be called from any thread.
#[derive(Debug)]
pub(crate) struct Items {
    put: RwLock<HashMap<String, Arc<Item>>>,
    got: ByGroup,
    sent_back: ByGroup,
    /// Of the whole broker: all that was stored and handed out.
    pub(crate) broker_put: Item,
    /// See `broker_put`.
    pub(crate) broker_got: Item,
    /// Of the whole broker without the topics of the system.
    pub(crate) user_put: Item,
    /// See `user_put`.
    pub(crate) user_got: Item,
    due_ms: Mutex<[i64; SPANS.len()]>,
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

impl Items {
    /// Counters that begin at `now_ms`.
    #[must_use]
    pub(crate) fn new(now_ms: u64) -> Self {
        let now_ms = signed(now_ms);
        let item = || Item::new(now_ms);
        Self {
            put: RwLock::default(),
            got: RwLock::default(),
            sent_back: RwLock::default(),
            broker_put: item(),
            broker_got: item(),
            user_put: item(),
            user_got: item(),
            due_ms: Mutex::new(std::array::from_fn(|span| now_ms + SPANS[span].interval_ms)),
        }
    }

    /// The counter of what is stored in a topic; it counts until the topic is removed.
    pub(crate) fn topic(&self, topic: &str, now_ms: u64) -> Arc<Item> {
        if let Some(item) = self.put.read().get(topic) {
            return Arc::clone(item);
        }
        let mut put = self.put.write();
        let item = put.entry(topic.to_owned());
        Arc::clone(item.or_insert_with(|| Arc::new(Item::new(signed(now_ms)))))
    }

    /// Counts what a group was given of a topic by one pull.
    pub(crate) fn group_got(&self, topic: &str, group: &str, counted: Counted, now_ms: u64) {
        count_for_group(&self.got, (topic, group), counted, signed(now_ms));
    }

    /// Counts a message that a group sent back to a topic.
    pub(crate) fn sent_back(&self, topic: &str, group: &str, bytes: u64, now_ms: u64) {
        let counted = Counted {
            messages: 1,
            bytes,
            events: 1,
        };
        count_for_group(&self.sent_back, (topic, group), counted, signed(now_ms));
    }

    /// Forgets what was counted of a topic.
    pub(crate) fn remove_topic(&self, topic: &str) {
        self.put.write().remove(topic);
        self.got.write().remove(topic);
        self.sent_back.write().remove(topic);
    }

    /// Forgets what was counted of a group.
    pub(crate) fn remove_group(&self, group: &str) {
        for table in [&self.got, &self.sent_back] {
            table.write().retain(|_, groups| {
                groups.remove(group);
                !groups.is_empty()
            });
        }
    }

    /// Takes the readings that are due; to be called at least every ten seconds.
    pub(crate) fn sample(&self, now_ms: u64) {
        let now_ms = signed(now_ms);
        let mut due_ms = self.due_ms.lock();
        let mut due = [false; SPANS.len()];
        for ((due, due_ms), span) in due.iter_mut().zip(due_ms.iter_mut()).zip(&SPANS) {
            *due = now_ms >= *due_ms;
            if *due {
                // A sleep of the host is made up for by one reading.
                *due_ms = (*due_ms + span.interval_ms).max(now_ms + span.interval_ms / 2);
            }
        }
        drop(due_ms);
        if due == [false; SPANS.len()] {
            return;
        }
        for item in [
            &self.broker_put,
            &self.broker_got,
            &self.user_put,
            &self.user_got,
        ] {
            item.sample(now_ms, due);
        }
        for item in self.put.read().values() {
            item.sample(now_ms, due);
        }
        for table in [&self.got, &self.sent_back] {
            for item in table.read().values().flat_map(HashMap::values) {
                item.sample(now_ms, due);
            }
        }
    }

    /// What was counted under a name and a key; `None` when nothing ever was.
    #[must_use]
    pub(crate) fn find(
        &self,
        (name, key): (&str, &str),
        cluster: &str,
        now_ms: u64,
    ) -> Option<BrokerStatsData> {
        let now_ms = signed(now_ms);
        let by_topic = |figure| Some(self.put.read().get(key)?.data(now_ms, figure));
        let by_group = |table: &ByGroup, figure| {
            let (topic, group) = key.split_once('@')?;
            Some(of_group(table, topic, group)?.data(now_ms, figure))
        };
        let of_broker = |item: &Item| {
            (key == cluster && item.messages() > 0).then(|| item.data(now_ms, Figure::Messages))
        };
        match name {
            names::TOPIC_PUT_NUMS => by_topic(Figure::Messages),
            names::TOPIC_PUT_SIZE => by_topic(Figure::Bytes),
            names::GROUP_GET_NUMS => by_group(&self.got, Figure::Messages),
            names::GROUP_GET_SIZE => by_group(&self.got, Figure::Bytes),
            names::SNDBCK_PUT_NUMS => by_group(&self.sent_back, Figure::Messages),
            names::BROKER_PUT_NUMS => of_broker(&self.broker_put),
            names::BROKER_GET_NUMS => of_broker(&self.broker_got),
            names::BROKER_PUT_NUMS_USER => of_broker(&self.user_put),
            names::BROKER_GET_NUMS_USER => of_broker(&self.user_got),
            _ => None,
        }
    }

    /// Messages a second that were stored in a topic during the last minute.
    #[must_use]
    pub(crate) fn put_rate(&self, topic: &str, now_ms: u64) -> f64 {
        let item = self.put.read().get(topic).cloned();
        item.map_or(0.0, |item| item.minute_rate(signed(now_ms)))
    }

    /// Messages a second that a group was given of a topic during the last minute.
    #[must_use]
    pub(crate) fn got_rate(&self, topic: &str, group: &str, now_ms: u64) -> f64 {
        let item = of_group(&self.got, topic, group);
        item.map_or(0.0, |item| item.minute_rate(signed(now_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock, ManualClock};

    const CLUSTER: &str = "c";

    fn one_event(messages: u64, bytes: u64) -> Counted {
        Counted {
            messages,
            bytes,
            events: 1,
        }
    }

    fn find(items: &Items, name: &str, key: &str, clock: &ManualClock) -> Option<BrokerStatsData> {
        items.find((name, key), CLUSTER, clock.monotonic_ms())
    }

    /// Lets time pass second by second, with a sample whenever one may be due.
    fn pass(items: &Items, clock: &ManualClock, seconds: u64, mut each: impl FnMut(u64)) {
        for _ in 0..seconds {
            clock.advance(std::time::Duration::from_secs(1));
            each(clock.monotonic_ms());
            items.sample(clock.monotonic_ms());
        }
    }

    #[test]
    fn a_steady_rate_is_seen_in_every_span() {
        let clock = ManualClock::new(0);
        let items = Items::new(clock.monotonic_ms());
        assert_eq!(find(&items, names::TOPIC_PUT_NUMS, "T", &clock), None);
        let item = items.topic("T", clock.monotonic_ms());
        pass(&items, &clock, 26 * 3600, |_| item.add(one_event(4, 400)));
        let nums = find(&items, names::TOPIC_PUT_NUMS, "T", &clock).unwrap();
        for (span, seconds) in [
            (nums.stats_minute, 50..=60),
            (nums.stats_hour, 3000..=3600),
            (nums.stats_day, 23 * 3600..=24 * 3600),
        ] {
            assert!(seconds.contains(&(span.sum / 4)), "{span:?}");
            assert_eq!((span.tps, span.average), (4.0, 4.0), "{span:?}");
        }
        let size = find(&items, names::TOPIC_PUT_SIZE, "T", &clock).unwrap();
        assert_eq!(size.stats_hour.sum, 100 * nums.stats_hour.sum);
        assert_eq!(size.stats_minute.average, 400.0);
        assert_eq!(items.put_rate("T", clock.monotonic_ms()), 4.0);
    }

    #[test]
    fn a_burst_leaves_the_minute_then_the_hour_then_the_day() {
        let clock = ManualClock::new(0);
        let items = Items::new(clock.monotonic_ms());
        let burst = || items.group_got("T", "g", one_event(100, 5000), clock.monotonic_ms());
        burst();
        let sums = || {
            let data = find(&items, names::GROUP_GET_NUMS, "T@g", &clock).unwrap();
            [data.stats_minute, data.stats_hour, data.stats_day].map(|span| span.sum)
        };
        // It is seen at once, at a rate as if ten seconds had brought it.
        assert_eq!(sums(), [100, 100, 100]);
        assert_eq!(items.got_rate("T", "g", clock.monotonic_ms()), 10.0);
        pass(&items, &clock, 45, |_| ());
        assert_eq!(sums(), [100, 100, 100]);
        pass(&items, &clock, 25, |_| ());
        assert_eq!(sums(), [0, 100, 100]);
        pass(&items, &clock, 3600, |_| ());
        assert_eq!(sums(), [0, 0, 100]);
        pass(&items, &clock, 24 * 3600, |_| ());
        assert_eq!(sums(), [0, 0, 0]);
        assert_eq!(items.got_rate("T", "g", clock.monotonic_ms()), 0.0);
    }

    #[test]
    fn a_host_that_slept_takes_one_reading_and_goes_on() {
        let clock = ManualClock::new(0);
        let items = Items::new(clock.monotonic_ms());
        let item = items.topic("T", clock.monotonic_ms());
        clock.advance(std::time::Duration::from_secs(40 * 3600));
        item.add(one_event(7, 70));
        items.sample(clock.monotonic_ms());
        let data = find(&items, names::TOPIC_PUT_NUMS, "T", &clock).unwrap();
        assert_eq!(data.stats_day.sum, 7);
        pass(&items, &clock, 120, |_| ());
        let data = find(&items, names::TOPIC_PUT_NUMS, "T", &clock).unwrap();
        assert_eq!((data.stats_minute.sum, data.stats_day.sum), (0, 7));
    }

    #[test]
    fn keys_are_told_apart_and_forgotten_with_what_they_name() {
        let clock = ManualClock::new(0);
        let items = Items::new(clock.monotonic_ms());
        let now_ms = clock.monotonic_ms();
        items.topic("T", now_ms).add(one_event(1, 10));
        for (topic, group) in [("T", "g"), ("T", "h"), ("U", "g")] {
            items.group_got(topic, group, one_event(2, 20), now_ms);
        }
        items.sent_back("V", "g", 30, now_ms);
        items.broker_put.add_messages(1);
        let there = |name: &str, key: &str| find(&items, name, key, &clock).is_some();
        assert!(there(names::SNDBCK_PUT_NUMS, "V@g"));
        assert!(there(names::BROKER_PUT_NUMS, CLUSTER));
        assert!(!there(names::BROKER_PUT_NUMS, "other"));
        assert!(!there(names::BROKER_GET_NUMS, CLUSTER));
        assert!(!there(names::GROUP_GET_NUMS, "T"));
        assert!(!there("NO_SUCH_NAME", "T"));
        items.remove_group("g");
        assert!(!there(names::GROUP_GET_NUMS, "T@g") && !there(names::GROUP_GET_NUMS, "U@g"));
        assert!(there(names::GROUP_GET_SIZE, "T@h"));
        assert!(!there(names::SNDBCK_PUT_NUMS, "V@g"));
        items.remove_topic("T");
        assert!(!there(names::TOPIC_PUT_NUMS, "T") && !there(names::GROUP_GET_NUMS, "T@h"));
    }

    #[test]
    fn memory_is_bounded() {
        let clock = ManualClock::new(0);
        let items = Items::new(clock.monotonic_ms());
        let item = items.topic("T", clock.monotonic_ms());
        pass(&items, &clock, 30 * 3600, |_| item.add(one_event(1, 1)));
        let history = item.history.lock();
        assert_eq!(history.spans.each_ref().map(VecDeque::len), [6, 6, 24]);
    }
}
