//! Records on their way into the log: encoded outside the lock, placed inside.

use std::fmt;
use std::sync::Arc;

use crate::base::error::{Error, ErrorKind};
use crate::protocol::message::record::{NewRecord, RecordError, StageOptions, Staged};
use crate::protocol::message::sysflag;
use crate::store::consume_queue::Queue;

/// Where a record was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it begins in the commit log.
    pub physical_offset: i64,
    /// Its offset in the queue.
    pub queue_offset: i64,
    /// When it was stored, ms since the epoch.
    pub store_timestamp_ms: i64,
    /// Its length in the commit log, bytes.
    pub len: usize,
}

impl Appended {
    /// The log offset that has to be safe before the record counts as stored.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.physical_offset + self.len as i64
    }
}

/// Why a record was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// A part of the message, or the record, is longer than allowed or than a file of the log.
    TooLarge,
    /// The message cannot become a record.
    Illegal(RecordError),
    /// The store does not take it: `DiskFull` (comes back by itself), `ReadOnly`, `Closed`,
    /// `Invalid` (the name of the topic cannot be stored), `Busy` (not tried yet).
    Store(ErrorKind),
}

impl AppendError {
    /// The kind of the matching [`Error`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge => ErrorKind::Limit,
            Self::Illegal(_) => ErrorKind::Invalid,
            Self::Store(kind) => *kind,
        }
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the message is too large"),
            Self::Illegal(error) => error.fmt(f),
            Self::Store(ErrorKind::DiskFull) => f.write_str("no space is left for the log"),
            Self::Store(ErrorKind::ReadOnly) => {
                f.write_str("the store stopped taking messages after a failure")
            }
            Self::Store(ErrorKind::Closed) => f.write_str("the store is closed"),
            Self::Store(ErrorKind::Invalid) => f.write_str("the topic cannot be stored"),
            Self::Store(kind) => write!(f, "the store refused: {kind:?}"),
        }
    }
}

impl std::error::Error for AppendError {}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Self {
        Self::new(error.kind(), "store.append", error.to_string())
    }
}

impl From<RecordError> for AppendError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::TooLong { .. } => Self::TooLarge,
            other => Self::Illegal(other),
        }
    }
}

/// What becomes of a record's tags code.
#[derive(Clone, Copy, Debug)]
pub(super) enum TagsCode {
    Is(i64),
    /// Store timestamp plus this many ms.
    After(i64),
}

pub(super) struct Item {
    pub(super) staged: Staged,
    /// Where its bytes begin in the staging buffer.
    pub(super) at: usize,
    pub(super) queue: Arc<Queue>,
    pub(super) tags_code: TagsCode,
    /// Whether consumers see it: half messages and roll-backs have no place in a queue.
    pub(super) queued: bool,
}

/// Records to append together, with one take of the lock.
///
/// [`push`](Self::push) encodes and computes check sums; long bodies stay borrowed until they are
/// copied into the log.
pub struct AppendBatch<'a> {
    options: StageOptions,
    pub(super) stops_at_failure: bool,
    pub(super) buffer: Vec<u8>,
    pub(super) items: Vec<Item>,
    pub(super) bodies: Vec<&'a [u8]>,
    pub(super) results: Vec<Result<Appended, AppendError>>,
}

impl fmt::Debug for AppendBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendBatch")
            .field("results", &self.results)
            .finish_non_exhaustive()
    }
}

/// A staging buffer larger than this is given back after use, bytes.
const KEEP_BUFFER_BYTES: usize = 1 << 20;

impl<'a> AppendBatch<'a> {
    /// An empty batch; `options` as given by [`StoreOptions`](crate::store::StoreOptions).
    #[must_use]
    pub fn new(options: StageOptions) -> Self {
        Self {
            options,
            stops_at_failure: false,
            buffer: Vec::new(),
            items: Vec::new(),
            bodies: Vec::new(),
            results: Vec::new(),
        }
    }

    /// An empty batch in the memory of this one, free of what it borrowed.
    #[must_use]
    pub fn recycle<'b>(mut self) -> AppendBatch<'b> {
        self.truncate(0);
        self.buffer.shrink_to(KEEP_BUFFER_BYTES);
        AppendBatch {
            options: self.options,
            stops_at_failure: false,
            buffer: self.buffer,
            items: self.items,
            // It is empty; the collection keeps its memory.
            bodies: self.bodies.into_iter().map(|_| &[][..]).collect(),
            results: self.results,
        }
    }

    /// Leaves the records behind one that cannot be appended out of the log too: none is there
    /// without all those before it.
    pub fn stop_at_failure(&mut self) {
        self.stops_at_failure = true;
    }

    /// Takes back all records but the first `len`, before they are appended.
    pub fn truncate(&mut self, len: usize) {
        if let Some(item) = self.items.get(len) {
            self.buffer.truncate(item.at);
        }
        self.items.truncate(len);
        self.bodies.truncate(len);
        self.results.truncate(len);
    }

    /// Adds a record to be put into `queue`; `tags_code` is the hash of its tag. On error the batch
    /// is as before.
    pub fn push(
        &mut self,
        record: &NewRecord<'a>,
        queue: Arc<Queue>,
        tags_code: i64,
    ) -> Result<(), RecordError> {
        self.stage(record, record.body, queue, TagsCode::Is(tags_code))
    }

    /// As [`push`](Self::push), with `body` in the place of the record's: the other parts of the
    /// record are copied here and need not live as long.
    pub fn push_with_body(
        &mut self,
        record: &NewRecord<'_>,
        body: &'a [u8],
        queue: Arc<Queue>,
        tags_code: i64,
    ) -> Result<(), RecordError> {
        self.stage(record, body, queue, TagsCode::Is(tags_code))
    }

    /// As [`push_with_body`](Self::push_with_body), for a record of the schedule topic that is due
    /// `delay_ms` after it was stored.
    pub fn push_delayed(
        &mut self,
        record: &NewRecord<'_>,
        body: &'a [u8],
        queue: Arc<Queue>,
        delay_ms: i64,
    ) -> Result<(), RecordError> {
        self.stage(record, body, queue, TagsCode::After(delay_ms))
    }

    fn stage(
        &mut self,
        record: &NewRecord<'_>,
        body: &'a [u8],
        queue: Arc<Queue>,
        tags_code: TagsCode,
    ) -> Result<(), RecordError> {
        let at = self.buffer.len();
        let staged = NewRecord { body, ..*record }.stage(&self.options, &mut self.buffer)?;
        let queued = is_queued(sysflag::transaction(record.sys_flag));
        self.items.push(Item {
            staged,
            at,
            queue,
            tags_code,
            queued,
        });
        self.bodies.push(body);
        self.results.push(Err(AppendError::Store(ErrorKind::Busy)));
        Ok(())
    }

    /// Number of records pushed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether nothing was pushed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// What became of each record, in the order pushed.
    pub fn results(&self) -> &[Result<Appended, AppendError>] {
        &self.results
    }
}

/// Whether a record with these transaction bits has an entry in its queue.
pub(in crate::store) fn is_queued(transaction: i32) -> bool {
    !matches!(
        transaction,
        sysflag::TRANSACTION_PREPARED | sysflag::TRANSACTION_ROLLBACK
    )
}
