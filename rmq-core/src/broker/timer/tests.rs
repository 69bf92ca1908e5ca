//! The thread's steps over a store in memory, under a clock that is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use super::due::{Due, DueLimits, due, timed_properties};
use super::worker::Worker;
use crate::broker::fixture::{self, Stepped, record, record_of, rung, small_store};
use crate::broker::names::TIMER_TOPIC;
use crate::broker::shared::Shared;
use crate::config::{BrokerConfig, BrokerRole};
use crate::protocol::message::properties::{self, find_str, names};
use crate::store::FlushMode;
use crate::store::disk::Crash;

mod model;
mod scenarios;

const START_MS: i64 = 1_795_357_533_250;
const HOUR_MS: u64 = 3_600_000;
/// Two hours, twice.
const TEST_SLOTS: i64 = 2 * 7200;

type Fixture = fixture::Fixture<Worker>;

impl Stepped for Worker {
    fn start(shared: &Arc<Shared>) -> Self {
        Self::new(Arc::clone(shared)).with_slots(TEST_SLOTS)
    }

    fn step(&mut self) -> Option<u64> {
        Worker::step(self)
    }

    fn finish(&mut self) {
        Worker::finish(self);
    }
}

impl Fixture {
    fn new(flush: FlushMode, edit: impl FnOnce(&mut BrokerConfig)) -> Self {
        let mut config = BrokerConfig::embedded_defaults("/store");
        config.store.timer_log_file_bytes = 52 * 9 + 30;
        edit(&mut config);
        Self::open(START_MS, small_store(flush), config)
    }

    fn asynchronous() -> Self {
        Self::new(FlushMode::Async, |_| {})
    }

    /// Stores a message that waits `delay_ms`, as a send does. The body is its unique id.
    fn send(&self, delay_ms: i64, topic: &str, id: &str) -> i64 {
        let text = format!("TIMER_DELAY_MS\u{1}{delay_ms}\u{2}UNIQ_KEY\u{1}{id}\u{2}TAGS\u{1}t");
        self.send_with(topic, id, &text).unwrap()
    }

    /// Stores what takes back the message of this id, whose slot begins at `out_ms`.
    fn recall(&self, out_ms: i64, topic: &str, key: &str) {
        let deliver_ms = out_ms + 1;
        let text = format!("TIMER_DELIVER_MS\u{1}{deliver_ms}\u{2}TIMER_DEL_UNIQKEY\u{1}{key}");
        // Too late is too late.
        let _ = self.send_with(topic, "0", &text);
    }

    /// Stores a message; returns the begin of its slot, `None` when the time is refused.
    fn send_with(&self, topic: &str, body: &str, text: &str) -> Option<i64> {
        let limits = DueLimits {
            max_delay_ms: i64::from(self.config.store.timer_max_delay_secs) * 1000,
            tick_ms: self.config.store.timer_tick_ms.cast_signed(),
        };
        let found = properties::scan(text.as_bytes());
        let Some(Ok(Due::After(out_ms))) = due(&found, &limits, self.now_ms()) else {
            return None;
        };
        let properties = timed_properties(text.as_bytes(), out_ms, topic, 1).unwrap();
        self.append(TIMER_TOPIC, 0, body, &properties);
        self.shared.timer.appended();
        Some(out_ms)
    }

    fn append(&self, topic: &str, queue_id: i32, body: &str, properties: &[u8]) {
        self.store_record(&record((topic, queue_id), body, properties), None);
    }

    fn count(&self, topic: &str) -> i64 {
        let metrics = self.shared.timer.metrics();
        metrics.counts.get(topic).map_or(0, |metric| metric.count)
    }

    fn rung(&self) -> bool {
        rung(&self.shared.timer.inbox)
    }
}
