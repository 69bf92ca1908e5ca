//! Replies of one reactor that wait: for the promise to their senders, and with them the news for
//! held pulls, which wait for the message to be visible.
//!
//! A reactor appends in turn, so the log ends that its replies wait for only grow: a queue is
//! enough, and moving a watermark costs one comparison for each reply that leaves.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::net::ConnectionId;

/// Above this many bytes of answered replies the buffer is moved to its front again.
const COMPACT_BYTES: usize = 1 << 20;

/// How far the store is, read once for all that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// What senders may be told of.
    pub(crate) promised: i64,
    /// What consumers may see.
    pub(crate) visible: i64,
    /// What this broker alone has, as safely as it is configured to.
    pub(crate) local: i64,
    /// What enough slaves have; `i64::MAX` where nobody waits for slaves.
    pub(crate) replicated: i64,
    /// Senders should wait for slaves, and there are not enough.
    pub(crate) unavailable: bool,
}

/// What a sender is told of its stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is stored as safely as configured.
    Kept,
    /// It is stored here; there are not enough slaves.
    SlaveNotAvailable,
    /// It is stored here; the slaves did not have it in time.
    FlushSlaveTimeout,
    /// It is stored; it was not durable in time.
    FlushDiskTimeout,
}

impl Marks {
    /// What can be said at once of a message that ends at `end`. Without enough slaves the sender
    /// hears of it as soon as the message is as safe here as this broker alone can make it.
    #[must_use]
    pub(crate) fn verdict(&self, end: i64) -> Option<Verdict> {
        if end <= self.promised {
            Some(Verdict::Kept)
        } else if self.unavailable && end <= self.local {
            Some(Verdict::SlaveNotAvailable)
        } else {
            None
        }
    }
}

/// Until when a sender waits (monotonic milliseconds).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadlines {
    /// For the disk.
    pub(crate) flush_ms: u64,
    /// For slaves.
    pub(crate) slave_ms: u64,
}

/// What waits: a reply, or only the news for held pulls that a message can be seen now.
#[derive(Debug)]
pub(crate) struct Waiting<Q> {
    /// Where the message ends in the log.
    end: i64,
    deadlines: Deadlines,
    /// Whom to answer.
    pub(crate) conn: ConnectionId,
    /// The queue that got the message.
    pub(crate) queue: Arc<Q>,
    /// Its place among all bytes ever written to the buffer.
    at: u64,
    len: usize,
    answered: bool,
}

/// What became of something that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled<'a> {
    /// The reply leaves: encoded as a success, to be told as the verdict says.
    Reply(&'a [u8], Verdict),
    /// Consumers may see the message now.
    Visible,
}

/// The waiting replies of one reactor, each already encoded as the success it will be. `Q` is the
/// queue that a message went to.
#[derive(Debug)]
pub(crate) struct PendingReplies<Q> {
    waiting: VecDeque<Waiting<Q>>,
    bytes: Vec<u8>,
    /// The place of the first byte of `bytes` among all ever written.
    base: u64,
    /// Before these indexes every entry is answered, told to consumers, or was looked at when its
    /// time for the slaves or the disk was over.
    answered: usize,
    told: usize,
    slave_checked: usize,
    flush_checked: usize,
}

impl<Q> Default for PendingReplies<Q> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: Vec::new(),
            base: 0,
            answered: 0,
            told: 0,
            slave_checked: 0,
            flush_checked: 0,
        }
    }
}

impl<Q> PendingReplies<Q> {
    /// How many wait.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a message that ends at `end`; `encode` writes its reply, or nothing if there is none.
    pub(crate) fn push(
        &mut self,
        end: i64,
        deadlines: Deadlines,
        conn: ConnectionId,
        queue: Arc<Q>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.end <= end));
        let before = self.bytes.len();
        encode(&mut self.bytes);
        let len = self.bytes.len() - before;
        self.waiting.push_back(Waiting {
            end,
            deadlines,
            conn,
            queue,
            at: self.base + before as u64,
            len,
            answered: len == 0,
        });
    }

    /// Hands out what the marks and the time allow, the oldest first.
    pub(crate) fn settle(
        &mut self,
        marks: &Marks,
        now_ms: u64,
        mut out: impl FnMut(&Waiting<Q>, Settled<'_>),
    ) {
        while let Some(one) = self.waiting.get_mut(self.answered) {
            if !one.answered {
                let Some(verdict) = marks.verdict(one.end) else {
                    break;
                };
                answer(one, &self.bytes, self.base, verdict, &mut out);
            }
            self.answered += 1;
        }
        self.settle_late(marks, now_ms, &mut out);
        while let Some(one) = self.waiting.get(self.told) {
            if one.end > marks.visible {
                break;
            }
            out(one, Settled::Visible);
            self.told += 1;
        }
        self.forget_settled();
    }

    /// Answers those whose time is over. Their messages stay for the news.
    fn settle_late(
        &mut self,
        marks: &Marks,
        now_ms: u64,
        out: &mut impl FnMut(&Waiting<Q>, Settled<'_>),
    ) {
        let late = |verdict| match marks.unavailable {
            true => Verdict::SlaveNotAvailable,
            false => verdict,
        };
        while let Some(one) = self.waiting.get_mut(self.slave_checked) {
            if one.deadlines.slave_ms > now_ms {
                break;
            }
            if !one.answered && one.end > marks.replicated {
                let verdict = late(Verdict::FlushSlaveTimeout);
                answer(one, &self.bytes, self.base, verdict, out);
            }
            self.slave_checked += 1;
        }
        while let Some(one) = self.waiting.get_mut(self.flush_checked) {
            if one.deadlines.flush_ms > now_ms {
                break;
            }
            if !one.answered && one.end > marks.local {
                let verdict = late(Verdict::FlushDiskTimeout);
                answer(one, &self.bytes, self.base, verdict, out);
            }
            self.flush_checked += 1;
        }
    }

    fn forget_settled(&mut self) {
        while self.told > 0
            && let Some(first) = self.waiting.pop_front_if(|first| first.answered)
        {
            self.told -= 1;
            self.answered = self.answered.saturating_sub(1);
            self.slave_checked = self.slave_checked.saturating_sub(1);
            self.flush_checked = self.flush_checked.saturating_sub(1);
            let used = index(first.at, self.base) + first.len;
            if used == self.bytes.len() {
                self.base += used as u64;
                self.bytes.clear();
            } else if used > COMPACT_BYTES {
                self.base += used as u64;
                self.bytes.drain(..used);
            }
        }
    }

    /// When the next reply may be late.
    #[must_use]
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        let slave = self.waiting.get(self.slave_checked);
        let flush = self.waiting.get(self.flush_checked);
        let slave_ms = slave.map(|one| one.deadlines.slave_ms);
        let flush_ms = flush.map(|one| one.deadlines.flush_ms);
        slave_ms.into_iter().chain(flush_ms).min()
    }
}

/// The index of a place in a buffer that begins at `base`.
fn index(at: u64, base: u64) -> usize {
    // What waits is never before the buffer's start.
    (at - base) as usize
}

fn answer<Q>(
    one: &mut Waiting<Q>,
    bytes: &[u8],
    base: u64,
    verdict: Verdict,
    out: &mut impl FnMut(&Waiting<Q>, Settled<'_>),
) {
    one.answered = true;
    let from = index(one.at, base);
    out(one, Settled::Reply(&bytes[from..from + one.len], verdict));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::slots::Key;

    const FLUSH_MS: u64 = 5_000;
    const SLAVE_MS: u64 = 3_000;

    /// A message for each end, `reply` of it one letter long, appended at the times given.
    fn pending(messages: &[(i64, u64, &str)]) -> PendingReplies<()> {
        let mut pending = PendingReplies::default();
        let key = Key {
            slot: 0,
            generation: 0,
        };
        for (end, now_ms, reply) in messages {
            let deadlines = Deadlines {
                flush_ms: now_ms + FLUSH_MS,
                slave_ms: now_ms + SLAVE_MS,
            };
            let conn = ConnectionId::new(0, key);
            pending.push(*end, deadlines, conn, Arc::new(()), |out| {
                out.extend_from_slice(reply.as_bytes());
            });
        }
        pending
    }

    /// A master that waits for slaves and has them.
    fn marks(local: i64, replicated: i64) -> Marks {
        Marks {
            promised: local.min(replicated),
            visible: local.min(replicated),
            local,
            replicated,
            unavailable: false,
        }
    }

    fn unavailable(local: i64, replicated: i64) -> Marks {
        Marks {
            visible: local,
            unavailable: true,
            ..marks(local, replicated)
        }
    }

    /// "a" is a success, "a!" with the code of another verdict; a number is news of that end.
    fn settle(pending: &mut PendingReplies<()>, marks: &Marks, now_ms: u64) -> Vec<String> {
        let mut out = Vec::new();
        pending.settle(marks, now_ms, |one, settled| {
            out.push(match settled {
                Settled::Visible => one.end.to_string(),
                Settled::Reply(reply, verdict) => {
                    let reply = std::str::from_utf8(reply).unwrap();
                    let code = match verdict {
                        Verdict::Kept => "",
                        Verdict::SlaveNotAvailable => " 11",
                        Verdict::FlushSlaveTimeout => " 12",
                        Verdict::FlushDiskTimeout => " 10",
                    };
                    format!("{reply}{code}")
                }
            });
        });
        out
    }

    #[test]
    fn replies_leave_in_order_when_promised_and_news_when_visible() {
        let mut pending = pending(&[(10, 0, "a"), (20, 0, ""), (30, 0, "ccc")]);
        assert!(settle(&mut pending, &marks(30, 9), 0).is_empty());
        assert_eq!(settle(&mut pending, &marks(30, 29), 0), ["a", "10", "20"]);
        assert_eq!(settle(&mut pending, &marks(30, 30), 0), ["ccc", "30"]);
        assert!(pending.is_empty());
        assert_eq!((pending.bytes.len(), pending.next_deadline_ms()), (0, None));
    }

    #[test]
    fn a_late_disk_is_told_once_and_the_message_still_becomes_news() {
        let max = i64::MAX;
        let mut pending = pending(&[(10, 0, "a"), (20, 1, "bb"), (30, 50, "c")]);
        assert_eq!(pending.next_deadline_ms(), Some(SLAVE_MS));
        assert!(settle(&mut pending, &marks(0, max), FLUSH_MS - 1).is_empty());
        assert_eq!(settle(&mut pending, &marks(0, max), FLUSH_MS), ["a 10"]);
        assert_eq!(
            settle(&mut pending, &marks(0, max), FLUSH_MS + 1),
            ["bb 10"]
        );
        assert!(settle(&mut pending, &marks(0, max), FLUSH_MS + 1).is_empty());
        assert_eq!(pending.next_deadline_ms(), Some(FLUSH_MS + 50));
        // Durable later: no second answer, but the queue is still told.
        assert_eq!(settle(&mut pending, &marks(10, max), FLUSH_MS + 2), ["10"]);
        assert_eq!(
            settle(&mut pending, &marks(30, max), FLUSH_MS + 3),
            ["c", "20", "30"]
        );
        assert_eq!(pending.next_deadline_ms(), None);
    }

    #[test]
    fn a_late_slave_and_a_late_disk_are_told_apart() {
        let mut pending = pending(&[(10, 0, "a"), (20, 0, "b"), (30, 0, "c")]);
        // The first is with the slave and not on the disk, the others the other way round.
        let now = Marks {
            promised: 0,
            visible: 0,
            local: 0,
            replicated: 10,
            unavailable: false,
        };
        assert_eq!(settle(&mut pending, &now, SLAVE_MS), ["b 12", "c 12"]);
        assert_eq!(pending.next_deadline_ms(), Some(FLUSH_MS));
        assert_eq!(settle(&mut pending, &now, FLUSH_MS), ["a 10"]);
        assert_eq!(
            settle(&mut pending, &marks(30, 30), FLUSH_MS),
            ["10", "20", "30"]
        );
        assert!(pending.is_empty());
    }

    #[test]
    fn without_slaves_the_sender_waits_for_this_broker_alone() {
        let mut pending = pending(&[(10, 0, "a"), (20, 0, "b"), (30, 0, "c"), (40, 0, "d")]);
        assert_eq!(settle(&mut pending, &marks(20, 10), 1), ["a", "10"]);
        // The slave is gone: what is durable here is answered at once, the rest when it is.
        assert_eq!(
            settle(&mut pending, &unavailable(20, 10), 2),
            ["b 11", "20"]
        );
        assert_eq!(
            settle(&mut pending, &unavailable(30, 10), 3),
            ["c 11", "30"]
        );
        assert_eq!(
            settle(&mut pending, &unavailable(30, 10), SLAVE_MS),
            ["d 11"]
        );
        assert_eq!(settle(&mut pending, &marks(40, 40), SLAVE_MS), ["40"]);
        assert!(pending.is_empty());
        assert_eq!(
            unavailable(9, 0).verdict(9),
            Some(Verdict::SlaveNotAvailable)
        );
        assert_eq!(unavailable(9, 0).verdict(10), None);
        assert_eq!(marks(9, 0).verdict(9), None);
    }

    #[test]
    fn replies_keep_their_bytes_when_the_buffer_is_moved() {
        let long = "x".repeat(COMPACT_BYTES);
        let mut pending = pending(&[(10, 0, &long), (20, 0, "b"), (30, 0, "c")]);
        settle(&mut pending, &marks(30, 20), 0);
        assert_eq!(pending.bytes.len(), 1);
        assert_eq!(settle(&mut pending, &marks(30, 30), 0), ["c", "30"]);
    }
}
