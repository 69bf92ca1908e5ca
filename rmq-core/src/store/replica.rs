//! A slave's store: the log of its master, byte for byte, and the queues that follow from it.

use std::sync::Arc;

use super::consume_queue::{Entry, Queue};
use super::core::Core;
use super::dispatch;
use super::recover::check_level;
use crate::base::error::{Error, ErrorKind, Result};
use crate::protocol::message::record::{
    BLANK_LEN, CheckLevel, Checked, MAGIC_AT, MAGIC_BLANK, MAGIC_V1, MAGIC_V2, PHYSICAL_OFFSET_AT,
    RecordRef, TOTAL_SIZE_AT,
};

const OP: &str = "store.replica";

/// A jump of queue offsets up to this size is filled with blank entries; no broker makes a larger.
const MAX_HOLE: i64 = 1_000_000;

/// Whole records at the end of the log.
struct Run {
    bytes: usize,
    last_store_ms: Option<i64>,
    arrivals: Vec<Arrival>,
}

/// A record's place in its queue.
struct Arrival {
    queue: Arc<Queue>,
    offset: i64,
    entry: Entry,
}

/// What lies at the start of some bytes.
enum Next {
    /// A record or blank of this length.
    Whole(usize),
    /// The beginning of one.
    Part,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn corrupt(offset: i64, what: impl std::fmt::Display) -> Error {
    let context = format!("what the master sent for log offset {offset} is no record: {what}");
    Error::new(ErrorKind::Corrupt, OP, context)
}

impl Core {
    /// Appends the whole records at the start of `bytes`, which belong at the end of the log.
    /// Returns how many bytes were taken.
    pub(super) fn append_replica(&self, bytes: &[u8]) -> Result<usize> {
        let level = check_level(&self.options);
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            let (run, failed) = self.next_run(rest, level);
            if run.bytes > 0 {
                self.log.append_raw(&rest[..run.bytes], run.last_store_ms)?;
                self.index.appended();
                self.follow(&run.arrivals)?;
                taken += run.bytes;
            }
            // What is good counts, also before something that is not.
            match failed {
                Some(error) if taken == 0 => return Err(error),
                Some(_) => return Ok(taken),
                None if run.bytes == 0 || taken == bytes.len() => return Ok(taken),
                None => {}
            }
        }
    }

    /// The records at the start of `bytes` up to the end of a file, and why there are no more.
    fn next_run(&self, bytes: &[u8], level: CheckLevel) -> (Run, Option<Error>) {
        let (start, room) = (self.marks.appended(), self.log.room());
        let mut run = Run {
            bytes: 0,
            last_store_ms: None,
            arrivals: Vec::new(),
        };
        while run.bytes < room {
            let offset = start + run.bytes as i64;
            let rest = &bytes[run.bytes..];
            let next = self.peek(rest, offset, room - run.bytes);
            let len = match next {
                Ok(Next::Whole(len)) => len,
                Ok(Next::Part) => return (run, None),
                Err(error) => return (run, Some(error)),
            };
            match RecordRef::check(&rest[..len], level) {
                Ok(Checked::Record(record)) => {
                    run.last_store_ms = Some(record.store_timestamp_ms());
                    run.arrivals.extend(self.arrival(&record));
                }
                Ok(Checked::Blank { .. }) => {}
                Ok(Checked::End) => return (run, Some(corrupt(offset, "there is none"))),
                Err(error) => return (run, Some(corrupt(offset, error))),
            }
            run.bytes += len;
        }
        (run, None)
    }

    /// Looks at the head of a record for log offset `offset`, `room` bytes before the end of its
    /// file, as early as there are enough bytes to see that it is none.
    fn peek(&self, bytes: &[u8], offset: i64, room: usize) -> Result<Next> {
        let (Some(total), Some(magic)) = (number(bytes, TOTAL_SIZE_AT), number(bytes, MAGIC_AT))
        else {
            return Ok(Next::Part);
        };
        let (total, magic) = (i32::from_be_bytes(total), u32::from_be_bytes(magic));
        if !matches!(magic, MAGIC_V1 | MAGIC_V2 | MAGIC_BLANK) {
            return Err(corrupt(offset, format_args!("its magic is {magic:#x}")));
        }
        let total = usize::try_from(total)
            .ok()
            .filter(|total| *total >= BLANK_LEN)
            .ok_or_else(|| corrupt(offset, format_args!("its length is {total}")))?;
        if magic != MAGIC_BLANK
            && let Some(stated) = number(bytes, PHYSICAL_OFFSET_AT)
            && i64::from_be_bytes(stated) != offset
        {
            let stated = i64::from_be_bytes(stated);
            return Err(corrupt(offset, format_args!("it belongs at {stated}")));
        }
        let fits = match magic {
            MAGIC_BLANK => total == room,
            _ => total + BLANK_LEN <= room,
        };
        if !fits {
            let len = self.log.segments().segment_bytes();
            let context = format!(
                "at log offset {offset} the master's file does not end where ours of {len} bytes \
                 does: mappedFileSizeCommitLog has to be as at the master"
            );
            return Err(Error::new(ErrorKind::Invalid, OP, context));
        }
        Ok(match bytes.len() < total {
            true => Next::Part,
            false => Next::Whole(total),
        })
    }

    fn arrival(&self, record: &RecordRef<'_>) -> Option<Arrival> {
        let entry = dispatch::entry_of(record, &self.options.delay_levels_ms)?;
        let queue = std::str::from_utf8(record.topic_bytes())
            .ok()
            .and_then(|topic| self.queues.find_or_create(topic, record.queue_id()).ok());
        let Some(queue) = queue else {
            tracing::warn!(?record, "a record for a queue that cannot be is left out");
            return None;
        };
        Some(Arrival {
            queue,
            offset: record.queue_offset(),
            entry,
        })
    }

    /// Lets the queues follow records that are in the log now.
    fn follow(&self, arrivals: &[Arrival]) -> Result<()> {
        let mut done = 0;
        while let Some(arrival) = arrivals.get(done) {
            // Queues are only appended to under the log's lock.
            let stopped = self.log.locked(|_| {
                for arrival in &arrivals[done..] {
                    if !self.follow_one(arrival)? {
                        return Ok(true);
                    }
                    done += 1;
                }
                Ok(false)
            });
            if stopped.map_err(|e| {
                let queue = &arrival.queue;
                let context = format!("queue {} of topic {}", queue.id(), queue.topic());
                Error::io(OP, context, e)
            })? {
                // The topic was deleted at the master and made again.
                let first = &arrivals[done];
                self.delete_topic_before(first.queue.topic(), first.entry.offset)?;
            }
        }
        let mut last: Option<&Arc<Queue>> = None;
        for arrival in arrivals {
            if last.is_none_or(|last| !Arc::ptr_eq(last, &arrival.queue)) {
                self.arrived(&arrival.queue);
            }
            last = Some(&arrival.queue);
        }
        Ok(())
    }

    /// Adds one entry. False when the queue has that offset already.
    fn follow_one(&self, arrival: &Arrival) -> std::io::Result<bool> {
        let mut queue = &arrival.queue;
        let again;
        if queue.is_deleted() {
            match self.queues.find_or_create(queue.topic(), queue.id()) {
                Ok(found) => again = found,
                Err(_) => return Ok(true),
            }
            queue = &again;
        }
        let next = queue.next_offset();
        if arrival.offset < next {
            return Ok(false);
        }
        if arrival.offset > next {
            let hole = arrival.offset - next;
            if next == 0 {
                // The log does not go back to its first message.
                queue.begin_at(arrival.offset)?;
            } else if hole > MAX_HOLE {
                tracing::error!(
                    ?queue,
                    hole,
                    "queue offsets jump: messages stay unreachable"
                );
                return Ok(true);
            } else {
                for _ in 0..hole {
                    self.enqueue(queue, Entry::BLANK);
                }
            }
        }
        self.enqueue(queue, arrival.entry);
        Ok(true)
    }

    fn enqueue(&self, queue: &Arc<Queue>, entry: Entry) {
        if queue.append(entry) {
            self.queues.activate([Arc::clone(queue)]);
        }
    }
}
