//! When a message with a time is due, and whether it may wait so long: no clock, no store.

use crate::broker::relay;
use crate::protocol::message::properties::{PropertyError, Scan, Scanned, names};

/// Properties that a waiting message gets from the broker.
const REPLACED: [&str; 4] = [
    names::TIMER_OUT_MS,
    names::REAL_TOPIC,
    names::REAL_QUEUE_ID,
    names::CRC32,
];

/// What limits the time of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueLimits {
    /// Longest wait, ms.
    pub(crate) max_delay_ms: i64,
    /// Length of a tick of the wheel, ms.
    pub(crate) tick_ms: i64,
}

/// When a message is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is.
    Now,
    /// When the tick that begins at this time (ms since the epoch) is over.
    After(i64),
}

/// The time of a message cannot be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IllegalTime;

/// When a message with these properties is due; `None` when it names no time.
pub(crate) fn due(
    found: &Scan<'_>,
    limits: &DueLimits,
    now_ms: i64,
) -> Option<Result<Due, IllegalTime>> {
    let asked = [
        (Scanned::TimerDelaySec, now_ms, 1000),
        (Scanned::TimerDelayMs, now_ms, 1),
        (Scanned::TimerDeliverMs, 0, 1),
    ];
    let (which, base_ms, unit_ms) = asked.into_iter().find(|one| found.has(one.0))?;
    let value = found
        .get_str(which)
        .and_then(|text| text.parse::<i64>().ok());
    let Some(value) = value else {
        return Some(Err(IllegalTime));
    };
    let deliver_ms = base_ms.saturating_add(value.saturating_mul(unit_ms));
    let is_delete = found.has(Scanned::TimerDelUniqKey);
    Some(match deliver_ms {
        past if past <= now_ms && is_delete => Err(IllegalTime),
        past if past <= now_ms => Ok(Due::Now),
        far if far.saturating_sub(now_ms) > limits.max_delay_ms => Err(IllegalTime),
        // What is due exactly between two ticks is due when the first is over.
        ahead => Ok(Due::After(
            (ahead - 1).div_euclid(limits.tick_ms) * limits.tick_ms,
        )),
    })
}

/// The properties of a message for `queue_id` of `topic` while it waits until `out_ms`.
pub(crate) fn timed_properties(
    text: &[u8],
    out_ms: i64,
    topic: &str,
    queue_id: i32,
) -> Result<Vec<u8>, PropertyError> {
    let wait = (names::TIMER_OUT_MS, &*out_ms.to_string());
    relay::waiting_properties(text, &REPLACED, wait, (topic, queue_id))
}

/// Whether a slot with so many messages takes no more. Between the limit and twice as many it
/// depends on `dice` (0 to 999), the more the fuller the slot is.
pub(crate) fn is_congested(num: i64, limit: i64, dice: i64) -> bool {
    if num <= limit {
        return false;
    }
    num >= limit.saturating_mul(2) || dice < (num - limit).saturating_mul(1000) / limit.max(1)
}

/// The time of the slot that a message goes to, and whether it is put back from there. A message
/// that is further away than the window waits that long, or half of it when the rest would
/// otherwise be short.
pub(crate) fn slot_ms(out_ms: i64, now_ms: i64, window_ticks: i64, tick_ms: i64) -> (i64, bool) {
    let window_ms = window_ticks * tick_ms;
    let rest_ms = out_ms.saturating_sub(now_ms).saturating_sub(window_ms);
    if rest_ms < 0 {
        return (out_ms, false);
    }
    if rest_ms < window_ticks / 3 * tick_ms {
        return (now_ms + window_ticks / 2 * tick_ms, true);
    }
    (now_ms + window_ms, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::properties;

    const NOW_MS: i64 = 1_795_357_533_250;
    const LIMITS: DueLimits = DueLimits {
        max_delay_ms: 259_200_000,
        tick_ms: 1000,
    };

    fn of(text: &str) -> Option<Result<Due, IllegalTime>> {
        due(&properties::scan(text.as_bytes()), &LIMITS, NOW_MS)
    }

    #[test]
    fn a_time_is_rounded_so_that_nothing_is_early() {
        let at = |ms: i64| of(&format!("TIMER_DELIVER_MS\u{1}{ms}\u{2}"));
        let after = |ms: i64| Some(Ok(Due::After(ms)));
        assert_eq!(at(1_795_357_534_000), after(1_795_357_533_000));
        assert_eq!(at(1_795_357_534_001), after(1_795_357_534_000));
        assert_eq!(at(1_795_357_534_999), after(1_795_357_534_000));
        assert_eq!(at(1_795_357_535_000), after(1_795_357_534_000));
        assert_eq!(at(NOW_MS + 1), after(1_795_357_533_000));
        assert_eq!(at(NOW_MS), Some(Ok(Due::Now)));
        assert_eq!(at(-1), Some(Ok(Due::Now)));
        assert_eq!(at(NOW_MS + 259_200_000), after(1_795_616_733_000));
        assert_eq!(at(NOW_MS + 259_200_001), Some(Err(IllegalTime)));
        assert_eq!(at(i64::MAX), Some(Err(IllegalTime)));
    }

    #[test]
    fn seconds_go_before_milliseconds_and_both_before_a_time() {
        let all = "TIMER_DELIVER_MS\u{1}1\u{2}TIMER_DELAY_MS\u{1}7000\u{2}";
        assert_eq!(of(all), Some(Ok(Due::After(1_795_357_540_000))));
        let seconds = format!("{all}TIMER_DELAY_SEC\u{1}2\u{2}");
        assert_eq!(of(&seconds), Some(Ok(Due::After(1_795_357_535_000))));
        assert_eq!(of("TIMER_DELAY_SEC\u{1}0\u{2}"), Some(Ok(Due::Now)));
        assert_eq!(of("TIMER_DELAY_SEC\u{1}two\u{2}"), Some(Err(IllegalTime)));
        assert_eq!(of("TIMER_DELAY_MS\u{1} \u{2}"), Some(Err(IllegalTime)));
        assert_eq!(of("KEYS\u{1}k\u{2}TIMER_DEL_UNIQKEY\u{1}k\u{2}"), None);
    }

    #[test]
    fn what_takes_back_a_message_that_is_due_is_refused() {
        let text = "TIMER_DELIVER_MS\u{1}1\u{2}TIMER_DEL_UNIQKEY\u{1}k\u{2}";
        assert_eq!(of(text), Some(Err(IllegalTime)));
    }

    #[test]
    fn a_far_message_is_put_back_in_steps() {
        let day_ms = 86_400_000;
        let slot = |out_ms: i64| slot_ms(out_ms, 0, 172_800, 1000);
        assert_eq!(slot(2 * day_ms - 1000), (2 * day_ms - 1000, false));
        assert_eq!(slot(2 * day_ms), (day_ms, true));
        assert_eq!(slot(2 * day_ms + 57_599_000), (day_ms, true));
        assert_eq!(slot(2 * day_ms + 57_600_000), (2 * day_ms, true));
        assert_eq!(slot(3 * day_ms), (2 * day_ms, true));
        assert_eq!(slot(-5000), (-5000, false));
    }

    #[test]
    fn a_full_slot_refuses_more_and_more() {
        assert!(!is_congested(10, 10, 0));
        assert!(is_congested(11, 10, 99));
        assert!(!is_congested(11, 10, 100));
        assert!(is_congested(15, 10, 499));
        assert!(!is_congested(15, 10, 500));
        assert!(is_congested(20, 10, 999));
        assert!(is_congested(1, 0, 999));
    }

    #[test]
    fn a_waiting_message_says_where_it_goes_and_when() {
        let text = "KEYS\u{1}k\u{2}REAL_TOPIC\u{1}liar\u{2}TIMER_DELAY_SEC\u{1}5\u{2}";
        let waiting = timed_properties(text.as_bytes(), 9000, "t", 3).unwrap();
        let expected = "KEYS\u{1}k\u{2}TIMER_DELAY_SEC\u{1}5\u{2}TIMER_OUT_MS\u{1}9000\u{2}\
                        REAL_TOPIC\u{1}t\u{2}REAL_QID\u{1}3\u{2}";
        assert_eq!(String::from_utf8(waiting).unwrap(), expected);
    }
}
