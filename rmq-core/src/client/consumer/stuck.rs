//! Messages that the listener does not return, or whose handles nobody answers for.

use std::sync::Arc;
use std::time::Duration;

use super::consuming::{Running, TRIES};
use super::core::{Core, Mode};

/// Their delay level, as Java clients have it.
const DELAY_LEVEL: i32 = 3;
/// Most messages of a queue that are sent back at a time.
const AT_A_TIME: usize = 16;
/// They are looked for at least and at most this often.
const LOOKS: [Duration; 2] = [Duration::from_secs(60), Duration::from_millis(100)];

impl Core {
    /// How often stuck messages are looked for; `None` where they are not.
    pub(crate) fn look_for_stuck(&self) -> Option<Duration> {
        let timeout_ms = self.options.consume_timeout_ms;
        let looks = matches!(self.mode, Mode::Concurrent(_)) && !self.options.is_broadcast();
        let often = Duration::from_millis(timeout_ms / 4).clamp(LOOKS[1], LOOKS[0]);
        (looks && timeout_ms > 0).then_some(often)
    }

    /// Has the broker deliver messages again that somebody works on for too long, so that they do
    /// not hold up the offset of their queue. Blocks.
    pub(crate) fn send_back_stuck(self: &Arc<Self>) {
        let timeout = Duration::from_millis(self.options.consume_timeout_ms);
        let Some(before) = self.instance.runtime.now().checked_sub(timeout) else {
            return;
        };
        let max = self.options.max_reconsume_times.unwrap_or(TRIES);
        let _running = Running::new(&self.running);
        for queue in self.assigned() {
            let stuck = queue.state.lock().stuck(before, AT_A_TIME);
            for stuck in stuck {
                if stuck.taken {
                    // Nobody waits for its answer any more.
                    self.handed.leave();
                }
                let (offset, at) = (stuck.queue_offset, stuck.physical_offset);
                let broker = &queue.queue.broker_name;
                match self.send_back_from(broker, at, None, DELAY_LEVEL, max) {
                    Ok(()) => {
                        tracing::warn!(queue = ?queue.queue, offset, "not consumed in time");
                        queue.state.lock().done([offset]);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a message could not be sent back");
                        queue.state.lock().stays(offset);
                    }
                }
            }
        }
    }
}
