//! Replies of one reactor that wait for the safe watermark.
//!
//! A reactor appends in turn, so the log ends that its replies wait for only grow: a queue is
//! enough, and moving the watermark costs one comparison for each reply that leaves.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::net::ConnectionId;
/// Above this many bytes of answered replies the buffer is moved to its front again.
const COMPACT_BYTES: usize = 1 << 20;

/// What waits: a reply, or only the news for held pulls that a message can be seen now.
#[derive(Debug)]
pub(crate) struct Waiting<Q> {
    /// The log offset that must be safe.
    pub(crate) end: i64,
    /// When the sender is told that it took too long (monotonic milliseconds).
    pub(crate) deadline_ms: u64,
    /// Whom to answer.
    pub(crate) conn: ConnectionId,
    /// The queue that got the message.
    pub(crate) queue: Arc<Q>,
    reply_len: usize,
    expired: bool,
}

/// The waiting replies of one reactor, each already encoded as the success it will be. `Q` is the
/// queue that a message went to.
#[derive(Debug)]
pub(crate) struct PendingReplies<Q> {
    waiting: VecDeque<Waiting<Q>>,
    bytes: Vec<u8>,
    head: usize,
    /// Entries before this index were expired already.
    expired: usize,
}

impl<Q> Default for PendingReplies<Q> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: Vec::new(),
            head: 0,
            expired: 0,
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

    /// Adds what waits for `end`; `encode` writes the reply, or nothing if there is none.
    pub(crate) fn push(
        &mut self,
        end: i64,
        deadline_ms: u64,
        conn: ConnectionId,
        queue: Arc<Q>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) {
        debug_assert!(self.waiting.back().is_none_or(|last| last.end <= end));
        let before = self.bytes.len();
        encode(&mut self.bytes);
        let reply_len = self.bytes.len() - before;
        let expired = false;
        self.waiting.push_back(Waiting {
            end,
            deadline_ms,
            conn,
            queue,
            reply_len,
            expired,
        });
    }

    /// Hands out, oldest first, everything up to the watermark with its reply; a reply that was
    /// already answered as late comes as an empty slice.
    pub(crate) fn release(&mut self, safe: i64, mut out: impl FnMut(&Waiting<Q>, &[u8])) {
        while self.waiting.front().is_some_and(|first| first.end <= safe) {
            let Some(first) = self.waiting.pop_front() else {
                break;
            };
            let reply = &self.bytes[self.head..self.head + first.reply_len];
            out(&first, if first.expired { &[] } else { reply });
            self.head += first.reply_len;
            self.expired = self.expired.saturating_sub(1);
        }
        self.compact();
    }

    /// Hands out the replies whose deadline has come. Their messages stay in the queue of news.
    pub(crate) fn expire(&mut self, now_ms: u64, mut out: impl FnMut(&Waiting<Q>, &[u8])) {
        let mut at = self.head;
        let skipped = self.waiting.iter().take(self.expired);
        at += skipped.map(|one| one.reply_len).sum::<usize>();
        for one in self.waiting.iter_mut().skip(self.expired) {
            if one.deadline_ms > now_ms {
                break;
            }
            out(one, &self.bytes[at..at + one.reply_len]);
            at += one.reply_len;
            one.expired = true;
            self.expired += 1;
        }
    }

    /// When the next reply is late.
    #[must_use]
    pub(crate) fn next_deadline_ms(&self) -> Option<u64> {
        self.waiting.get(self.expired).map(|one| one.deadline_ms)
    }

    fn compact(&mut self) {
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head > COMPACT_BYTES {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::slots::Key;

    fn pending(ends: &[(i64, u64, &str)]) -> PendingReplies<()> {
        let mut pending = PendingReplies::default();
        let conn = ConnectionId::new(
            0,
            Key {
                slot: 0,
                generation: 0,
            },
        );
        for (end, deadline_ms, reply) in ends {
            pending.push(*end, *deadline_ms, conn, Arc::new(()), |out| {
                out.extend_from_slice(reply.as_bytes());
            });
        }
        pending
    }

    fn released(pending: &mut PendingReplies<()>, safe: i64) -> Vec<(i64, String)> {
        let mut out = Vec::new();
        pending.release(safe, |one, reply| {
            out.push((one.end, String::from_utf8(reply.to_vec()).unwrap()));
        });
        out
    }

    fn expired(pending: &mut PendingReplies<()>, now_ms: u64) -> Vec<(i64, String)> {
        let mut out = Vec::new();
        pending.expire(now_ms, |one, reply| {
            out.push((one.end, String::from_utf8(reply.to_vec()).unwrap()));
        });
        out
    }

    #[test]
    fn replies_leave_in_order_when_their_offset_is_safe() {
        let mut pending = pending(&[(10, 99, "a"), (20, 99, ""), (30, 99, "ccc")]);
        assert_eq!(released(&mut pending, 9), []);
        let first = [(10, "a".to_owned()), (20, String::new())];
        assert_eq!(released(&mut pending, 29), first);
        assert_eq!(released(&mut pending, 30), [(30, "ccc".to_owned())]);
        assert!(pending.is_empty());
        assert_eq!(pending.bytes.len(), 0);
    }

    #[test]
    fn a_late_reply_is_answered_once_and_still_becomes_news() {
        let mut pending = pending(&[(10, 5, "a"), (20, 6, "bb"), (30, 50, "c")]);
        assert_eq!(pending.next_deadline_ms(), Some(5));
        assert_eq!(expired(&mut pending, 4), []);
        assert_eq!(expired(&mut pending, 5), [(10, "a".to_owned())]);
        assert_eq!(expired(&mut pending, 7), [(20, "bb".to_owned())]);
        assert_eq!(expired(&mut pending, 7), []);
        assert_eq!(pending.next_deadline_ms(), Some(50));
        // Released later: no second answer, but the queue is still told.
        assert_eq!(released(&mut pending, 10), [(10, String::new())]);
        assert_eq!(expired(&mut pending, 50), [(30, "c".to_owned())]);
        assert_eq!(released(&mut pending, 30).len(), 2);
        assert_eq!(pending.next_deadline_ms(), None);
    }
}
