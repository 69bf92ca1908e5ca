//! Counters of a broker, as `GET_BROKER_RUNTIME_INFO` and `VIEW_BROKER_STATS_DATA` show them.

pub(crate) mod items;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::broker::names;
pub(crate) use items::{Counted, Item, Items};

/// Sampling period of the rates.
pub(crate) const SAMPLE_INTERVAL_MS: u64 = 1_000;

/// Samples kept: the longest rate looks back ten minutes.
const SAMPLES_MAX: usize = 601;

/// Totals since the start. Relaxed counters: they are read for people.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Messages stored.
    pub(crate) put_messages: AtomicU64,
    /// Bytes of the records stored.
    pub(crate) put_bytes: AtomicU64,
    /// Sends that were refused or failed.
    pub(crate) put_failed: AtomicU64,
    /// Messages handed to consumers.
    pub(crate) get_messages: AtomicU64,
    /// Pulls that found something.
    pub(crate) get_found: AtomicU64,
    /// Pulls that found nothing.
    pub(crate) get_missed: AtomicU64,
    /// Timed messages that the timer took from its queue.
    pub(crate) timer_enqueued: AtomicU64,
    /// Timed messages that it put into their topics, or back.
    pub(crate) timer_dequeued: AtomicU64,
}

/// One reading of the totals.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    at_ms: u64,
    put: u64,
    found: u64,
    missed: u64,
    transferred: u64,
    timer_enqueued: u64,
    timer_dequeued: u64,
}

/// The rates of ten seconds, one minute and ten minutes, a second each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates(pub [f64; 3]);

impl std::fmt::Display for Rates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [ten, minute, ten_minutes] = self.0;
        write!(
            f,
            "{} {} {}",
            JavaDouble(ten),
            JavaDouble(minute),
            JavaDouble(ten_minutes)
        )
    }
}

/// A number the way Java prints a double of everyday size.
struct JavaDouble(f64);

impl std::fmt::Display for JavaDouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The rates of the runtime information.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllRates {
    /// Messages stored.
    pub(crate) put: Rates,
    /// Pulls that found something.
    pub(crate) found: Rates,
    /// Pulls that found nothing.
    pub(crate) missed: Rates,
    /// Messages handed out.
    pub(crate) transferred: Rates,
    /// Timed messages taken by the timer.
    pub(crate) timer_enqueued: Rates,
    /// Timed messages put by it.
    pub(crate) timer_dequeued: Rates,
}

/// Messages of users that were stored and handed out up to some midnight, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Morning {
    /// Stored.
    pub(crate) put: u64,
    /// Handed out.
    pub(crate) got: u64,
}

/// The last two midnights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mornings {
    /// That of yesterday.
    pub(crate) yesterday: Morning,
    /// That of today.
    pub(crate) today: Morning,
    /// Number of the local day that is today.
    day: Option<i64>,
}

/// Counters and their recent history.
#[derive(Debug)]
pub(crate) struct Stats {
    /// Totals since the start.
    pub(crate) totals: Totals,
    /// Counters by topic and group.
    pub(crate) items: Items,
    mornings: Mutex<Mornings>,
    /// Wall-clock time of the start.
    pub(crate) boot_ms: i64,
    /// When a slave was last in step with its master's topics, groups and offsets (ms since the
    /// epoch); 0 never.
    pub(crate) metadata_taken_ms: AtomicI64,
    samples: Mutex<VecDeque<Sample>>,
    turn: AtomicU64,
}

impl Stats {
    /// Counters that begin at zero; `boot_ms` is wall-clock time, `now_ms` monotonic.
    #[must_use]
    pub(crate) fn new(boot_ms: i64, now_ms: u64) -> Self {
        Self {
            totals: Totals::default(),
            items: Items::new(now_ms),
            mornings: Mutex::default(),
            boot_ms,
            metadata_taken_ms: AtomicI64::new(0),
            samples: Mutex::default(),
            turn: AtomicU64::new(0),
        }
    }

    /// Counts messages that were stored in a topic, of so many bytes in all.
    pub(crate) fn stored(&self, topic: &str, messages: u64, bytes: u64, now_ms: u64) {
        let counted = Counted {
            messages,
            bytes,
            events: 1,
        };
        let item = self.items.topic(topic, now_ms);
        self.stored_with(&item, names::is_system_topic(topic), counted);
    }

    /// The same where the topic's counter is at hand.
    pub(crate) fn stored_with(&self, item: &Item, is_system: bool, counted: Counted) {
        self.stored_elsewhere(counted.messages, counted.bytes);
        item.add(counted);
        if !is_system {
            self.items.user_put.add_messages(counted.messages);
        }
    }

    /// The same where no topic is to count them.
    pub(crate) fn stored_elsewhere(&self, messages: u64, bytes: u64) {
        self.totals
            .put_messages
            .fetch_add(messages, Ordering::Relaxed);
        self.totals.put_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.items.broker_put.add_messages(messages);
    }

    /// Counts messages that a pull handed out, of so many bytes in all.
    pub(crate) fn handed_out(&self, topic: &str, group: &str, counted: (u64, u64), now_ms: u64) {
        let (messages, bytes) = counted;
        let counted = Counted {
            messages,
            bytes,
            events: 1,
        };
        self.totals.get_found.fetch_add(1, Ordering::Relaxed);
        self.totals
            .get_messages
            .fetch_add(messages, Ordering::Relaxed);
        self.items.group_got(topic, group, counted, now_ms);
        self.items.broker_got.add_messages(messages);
        if !names::is_system_topic(topic) {
            self.items.user_got.add_messages(messages);
        }
    }

    /// How much there was at the last two midnights.
    #[must_use]
    pub(crate) fn mornings(&self) -> Mornings {
        *self.mornings.lock()
    }

    /// Takes note of the local day that it is, by number; to be called more often than daily.
    pub(crate) fn note_day(&self, day: i64) {
        let mut mornings = self.mornings.lock();
        let before = mornings.day.replace(day);
        if before.is_some_and(|before| before < day) {
            mornings.yesterday = mornings.today;
            mornings.today = Morning {
                put: self.items.user_put.messages(),
                got: self.items.user_got.messages(),
            };
        }
    }

    /// A queue for a sender that leaves the choice to the broker: each in turn.
    #[must_use]
    pub(crate) fn next_queue(&self, queues: i32) -> i32 {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        i32::try_from(turn % u64::from(queues.max(1).unsigned_abs())).unwrap_or(0)
    }

    fn read(&self, at_ms: u64) -> Sample {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Sample {
            at_ms,
            put: load(&self.totals.put_messages),
            found: load(&self.totals.get_found),
            missed: load(&self.totals.get_missed),
            transferred: load(&self.totals.get_messages),
            timer_enqueued: load(&self.totals.timer_enqueued),
            timer_dequeued: load(&self.totals.timer_dequeued),
        }
    }

    /// Notes the totals; to be called every `SAMPLE_INTERVAL_MS`.
    pub(crate) fn sample(&self, now_ms: u64) {
        let mut samples = self.samples.lock();
        samples.push_back(self.read(now_ms));
        if samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// The rates up to now.
    #[must_use]
    pub(crate) fn rates(&self, now_ms: u64) -> AllRates {
        let samples = self.samples.lock();
        let last = self.read(now_ms);
        let rate = |of: fn(&Sample) -> u64| {
            Rates([10_000, 60_000, 600_000].map(|span_ms: u64| {
                let from_ms = now_ms.saturating_sub(span_ms);
                let Some(first) = samples.iter().find(|one| one.at_ms >= from_ms) else {
                    return 0.0;
                };
                let elapsed_ms = now_ms.saturating_sub(first.at_ms);
                if elapsed_ms == 0 {
                    return 0.0;
                }
                (of(&last) - of(first)) as f64 * 1000.0 / elapsed_ms as f64
            }))
        };
        AllRates {
            put: rate(|one| one.put),
            found: rate(|one| one.found),
            missed: rate(|one| one.missed),
            transferred: rate(|one| one.transferred),
            timer_enqueued: rate(|one| one.timer_enqueued),
            timer_dequeued: rate(|one| one.timer_dequeued),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_look_back_over_their_span_only() {
        let stats = Stats::new(0, 0);
        for second in 0..=20 {
            stats.sample(second * 1000);
            let rate = if second < 10 { 100 } else { 10 };
            stats.totals.put_messages.fetch_add(rate, Ordering::Relaxed);
        }
        let rates = stats.rates(20_000);
        assert_eq!(rates.put.0[0], 11.0);
        assert_eq!(rates.put.0[1], (1000.0 + 110.0) / 20.0);
        assert_eq!(rates.missed, Rates([0.0; 3]));
        assert_eq!(Rates([0.0, 1.5, 20.0]).to_string(), "0.0 1.5 20.0");
    }

    #[test]
    fn midnights_part_the_days() {
        let stats = Stats::new(0, 0);
        stats.note_day(7);
        stats.stored("T", 3, 30, 0);
        stats.stored("SCHEDULE_TOPIC_XXXX", 5, 50, 0);
        stats.handed_out("T", "g", (2, 20), 0);
        stats.note_day(7);
        assert_eq!(stats.mornings().today, Morning::default());
        stats.note_day(8);
        let first = Morning { put: 3, got: 2 };
        assert_eq!(stats.mornings().today, first);
        stats.stored("T", 1, 10, 0);
        stats.note_day(9);
        let mornings = stats.mornings();
        assert_eq!(mornings.yesterday, first);
        assert_eq!(mornings.today, Morning { put: 4, got: 2 });
        // A clock that is set back does not make a day.
        stats.note_day(8);
        assert_eq!(stats.mornings().today, mornings.today);
        assert_eq!(stats.totals.put_messages.load(Ordering::Relaxed), 9);
    }

    #[test]
    fn history_is_bounded() {
        let stats = Stats::new(0, 0);
        for second in 0..2000 {
            stats.sample(second * 1000);
        }
        assert_eq!(stats.samples.lock().len(), SAMPLES_MAX);
    }
}
