//! What the consume queues were known to hold, durably, at some point of the log.
//!
//! RocketMQ's checkpoint is a time, and a queue whose files were lost or cut looks like a shorter
//! queue. This file tells more: up to which log offset the queues are complete, and how far each
//! of them goes. Recovery reads the log from there on and notices queues that lost something.
//! Apache's broker does not know the file and leaves it alone; where it is missing or older than
//! what another broker wrote, recovery does without, only slower.
//!
//! ```text
//! "RMQ1"  i64 position
//! i64 offset, i32 size, i64 store timestamp of the record that ends there
//! u32 count, of each queue: u16 length, topic  i32 queue  i64 next  i64 offset, i32 size of last
//! u32 count, of each deletion: u16 length, topic  i64 position
//! u32 CRC-32 of all before
//! ```

use std::sync::Arc;

use super::consume_queue::Entry;

const MAGIC: &[u8; 4] = b"RMQ1";

/// The record that ends at the position of a snapshot; proof that it belongs to this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastRecord {
    pub(super) offset: i64,
    pub(super) size: i32,
    pub(super) store_ms: i64,
}

/// One queue: offset behind its last durable entry, and where that points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueMark {
    pub(super) topic: Arc<str>,
    pub(super) queue_id: i32,
    pub(super) next: i64,
    pub(super) last_offset: i64,
    pub(super) last_size: i32,
}

/// Records of this topic before this log offset belong to a topic that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deletion {
    pub(super) topic: Arc<str>,
    pub(super) position: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Queues have the entries of all records that end at or below this log offset.
    pub(super) position: i64,
    pub(super) last: LastRecord,
    pub(super) queues: Vec<QueueMark>,
    pub(super) deletions: Vec<Deletion>,
}

impl Snapshot {
    /// Of a log in which nothing is known to be complete.
    pub(super) fn empty() -> Self {
        Self {
            position: -1,
            last: LastRecord {
                offset: -1,
                size: 0,
                store_ms: 0,
            },
            queues: Vec::new(),
            deletions: Vec::new(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.queues.len() * 48);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.position.to_be_bytes());
        out.extend_from_slice(&self.last.offset.to_be_bytes());
        out.extend_from_slice(&self.last.size.to_be_bytes());
        out.extend_from_slice(&self.last.store_ms.to_be_bytes());
        put_count(&mut out, self.queues.len());
        for queue in &self.queues {
            put_topic(&mut out, &queue.topic);
            out.extend_from_slice(&queue.queue_id.to_be_bytes());
            out.extend_from_slice(&queue.next.to_be_bytes());
            out.extend_from_slice(&queue.last_offset.to_be_bytes());
            out.extend_from_slice(&queue.last_size.to_be_bytes());
        }
        put_count(&mut out, self.deletions.len());
        for deletion in &self.deletions {
            put_topic(&mut out, &deletion.topic);
            out.extend_from_slice(&deletion.position.to_be_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (content, crc) = bytes.split_last_chunk::<4>().ok_or("too short")?;
        if u32::from_be_bytes(*crc) != crc32fast::hash(content) {
            return Err("wrong check sum");
        }
        Self::parse(content).ok_or("wrong layout")
    }

    fn parse(content: &[u8]) -> Option<Self> {
        let mut get = Get(content.strip_prefix(MAGIC)?);
        let position = get.i64()?;
        let last = LastRecord {
            offset: get.i64()?,
            size: get.i32()?,
            store_ms: get.i64()?,
        };
        let mut queues = Vec::new();
        let mut topic: Option<Arc<str>> = None;
        for _ in 0..get.count()? {
            let name = get.topic()?;
            // Queues of a topic follow each other and share its name.
            let name = match topic.take().filter(|last| **last == *name) {
                Some(last) => last,
                None => Arc::from(name),
            };
            topic = Some(Arc::clone(&name));
            queues.push(QueueMark {
                topic: name,
                queue_id: get.i32()?,
                next: get.i64()?,
                last_offset: get.i64()?,
                last_size: get.i32()?,
            });
        }
        let mut deletions = Vec::new();
        for _ in 0..get.count()? {
            deletions.push(Deletion {
                topic: Arc::from(get.topic()?),
                position: get.i64()?,
            });
        }
        get.0.is_empty().then_some(Self {
            position,
            last,
            queues,
            deletions,
        })
    }
}

impl QueueMark {
    /// Whether `entry` is the one the mark speaks of.
    pub(super) fn matches(&self, entry: &Entry) -> bool {
        entry.offset == self.last_offset && entry.size == self.last_size
    }
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u32).to_be_bytes());
}

fn put_topic(out: &mut Vec<u8>, topic: &str) {
    // Topics are names of directories, so they are short.
    out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
}

struct Get<'a>(&'a [u8]);

impl<'a> Get<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    fn count(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn topic(&mut self) -> Option<&'a str> {
        let len = usize::from(u16::from_be_bytes(self.take()?));
        let (topic, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(topic).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Snapshot {
        let mark = |topic: &str, queue_id| QueueMark {
            topic: Arc::from(topic),
            queue_id,
            next: 7,
            last_offset: 1000,
            last_size: 200,
        };
        Snapshot {
            position: 1200,
            last: LastRecord {
                offset: 1000,
                size: 200,
                store_ms: 99,
            },
            queues: vec![mark("A", 0), mark("A", 1), mark("B", 0)],
            deletions: vec![Deletion {
                topic: Arc::from("C"),
                position: 5,
            }],
        }
    }

    #[test]
    fn a_snapshot_reads_back() {
        let snapshot = example();
        assert_eq!(Snapshot::decode(&snapshot.encode()), Ok(snapshot));
        let empty = Snapshot::empty();
        assert_eq!(Snapshot::decode(&empty.encode()), Ok(empty));
    }

    #[test]
    fn damaged_snapshots_are_refused() {
        let bytes = example().encode();
        for cut in 0..bytes.len() {
            assert!(Snapshot::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            assert!(Snapshot::decode(&damaged).is_err(), "{at}");
        }
        let mut longer = bytes[..bytes.len() - 4].to_vec();
        longer.push(0);
        let crc = crc32fast::hash(&longer);
        longer.extend_from_slice(&crc.to_be_bytes());
        assert_eq!(Snapshot::decode(&longer), Err("wrong layout"));
    }
}
