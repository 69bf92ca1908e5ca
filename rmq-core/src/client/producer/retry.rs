//! Whether a send is tried again.

use std::time::Duration;

use crate::base::{ErrorKind, Result};
use crate::client::raw::{SendReceipt, SendStatus};
use crate::protocol::code::ResponseCode;

/// Answers that another broker, or the same one a little later, may not give.
const AGAIN: [ResponseCode; 5] = [
    ResponseCode::SYSTEM_ERROR,
    ResponseCode::SYSTEM_BUSY,
    ResponseCode::SERVICE_NOT_AVAILABLE,
    ResponseCode::NO_PERMISSION,
    ResponseCode::TOPIC_NOT_EXIST,
];

/// The tries of one send.
#[derive(Debug)]
pub(crate) struct Tries {
    left: u32,
    deadline: Duration,
    retry_not_stored_ok: bool,
    /// Brokers that failed.
    pub(crate) failed: Vec<String>,
}

impl Tries {
    /// At most `times` tries until `deadline`.
    pub(crate) fn new(times: u32, deadline: Duration, retry_not_stored_ok: bool) -> Self {
        Self {
            left: times,
            deadline,
            retry_not_stored_ok,
            failed: Vec::new(),
        }
    }

    /// The time that is left for a try.
    pub(crate) fn time_left(&self, now: Duration) -> Option<Duration> {
        let left = self.deadline.saturating_sub(now);
        (!left.is_zero()).then_some(left)
    }

    /// A try on `broker` ended so: whether there is to be another.
    pub(crate) fn again(
        &mut self,
        broker: &str,
        outcome: &Result<SendReceipt>,
        now: Duration,
    ) -> bool {
        self.left = self.left.saturating_sub(1);
        let wanted = match outcome {
            Ok(receipt) => receipt.status != SendStatus::Ok && self.retry_not_stored_ok,
            Err(error) => match error.kind() {
                ErrorKind::Unreachable
                | ErrorKind::Timeout
                | ErrorKind::Busy
                | ErrorKind::NotFound => true,
                ErrorKind::Remote(code) => AGAIN.contains(&ResponseCode::new(code)),
                _ => false,
            },
        };
        if wanted && !self.failed.iter().any(|failed| failed == broker) {
            self.failed.push(broker.to_owned());
        }
        wanted && self.left > 0 && now < self.deadline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Error;

    const S: Duration = Duration::from_secs(1);

    fn failure(kind: ErrorKind) -> Result<SendReceipt> {
        Err(Error::new(kind, "test", ""))
    }

    fn stored(status: SendStatus) -> Result<SendReceipt> {
        Ok(SendReceipt {
            status,
            msg_id: String::new(),
            queue_id: 0,
            queue_offset: 0,
            transaction_id: None,
            recall_handle: None,
            region: None,
            trace_on: true,
        })
    }

    #[test]
    fn tries_end_by_number_and_by_time() {
        let mut tries = Tries::new(3, 3 * S, false);
        assert!(tries.again("a", &failure(ErrorKind::Unreachable), S));
        assert!(tries.again("a", &failure(ErrorKind::Remote(2)), S));
        assert_eq!(tries.failed, ["a"]);
        assert!(!tries.again("b", &failure(ErrorKind::Unreachable), S));
        let mut tries = Tries::new(3, 3 * S, false);
        assert_eq!(tries.time_left(S), Some(2 * S));
        assert_eq!(tries.time_left(3 * S), None);
        assert!(!tries.again("a", &failure(ErrorKind::Unreachable), 3 * S));
    }

    #[test]
    fn what_cannot_become_better_is_not_tried_again() {
        for kind in [ErrorKind::Remote(13), ErrorKind::Limit, ErrorKind::Closed] {
            assert!(!Tries::new(3, S, true).again("a", &failure(kind), Duration::ZERO));
        }
        assert!(!Tries::new(3, S, true).again("a", &stored(SendStatus::Ok), Duration::ZERO));
        let unsafe_yet = stored(SendStatus::FlushDiskTimeout);
        assert!(!Tries::new(3, S, false).again("a", &unsafe_yet, Duration::ZERO));
        assert!(Tries::new(3, S, true).again("a", &unsafe_yet, Duration::ZERO));
    }
}
