//! Records with offsets.
//!
//! A [`Log`] has partitions; a record is bytes at an [`Offset`] of one. Offsets grow, with gaps: a *position* is the
//! next offset to read, never "last + 1". Whoever reads a log keeps positions and seeks back to them;
//! the [`Identity`] kept beside a position tells a log that has grown from one that was replaced.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::Result;

pub mod ndjson;

pub use ndjson::{NdjsonLog, NdjsonOptions, Source};

/// A source of records: a few partitions, each read from a position on, in order.
pub trait Log: Send {
    /// The partitions that there are, in the order of their ids. Asked once, at the start.
    fn partitions(&mut self) -> Result<Vec<Partition>>;

    /// Goes to `position`, which must be one that this log gave (or 0), and checks that the text before it is what
    /// `known` remembers: [`Error::Invalid`](crate::Error::Invalid) when the partition was truncated or replaced.
    /// A stream that cannot go back refuses to.
    fn seek(&mut self, partition: &PartitionId, position: Offset, known: Option<&Identity>) -> Result<()>;

    /// The next records: about `bytes_max` bytes of them, at least one. Partitions never sought start at 0.
    ///
    /// An error comes after every complete record before it has been delivered.
    fn poll(&mut self, partition: &PartitionId, bytes_max: usize) -> Result<Poll>;

    /// What to remember about the text before `position`, which must not be past what was polled, nor before the
    /// last one asked for. It may cover less than all of it.
    fn identity(&mut self, partition: &PartitionId, position: Offset) -> Result<Identity>;

    /// Which of the log's options decide what its records are, in words: a sink keeps to them.
    fn rules(&self) -> String;

    /// What was left unread at the end: an unterminated last line that is no whole record yet, by partition.
    fn incomplete_tails(&self) -> Vec<(PartitionId, Offset)> {
        Vec::new()
    }
}

/// One partition of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name in the log, stable over restarts.
    pub id: PartitionId,
    /// What a person calls it, for errors.
    pub name: String,
    /// Its size as stored (compressed, if it is), when known; [`RecordBlock::stored_bytes`] counts up to it.
    pub stored_bytes: Option<u64>,
    /// True when it may never end, so that windows must also close by the clock on the wall.
    pub unbounded: bool,
}

/// A partition's name: a file's name without its compression ending, a topic partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionId(pub String);

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a record is in its partition; for text, the position of its line's first byte (uncompressed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What [`Log::poll`] found.
#[derive(Debug, Clone)]
pub enum Poll {
    /// Records, or at least a new position.
    Records(RecordBlock),
    /// Nothing now; there may be more later. The log has waited a moment already.
    Idle,
    /// Nothing more.
    End,
}

/// Records in order.
#[derive(Debug, Clone)]
pub struct RecordBlock {
    /// The bytes that the records are ranges of.
    pub bytes: Bytes,
    /// The records, in order of offset.
    pub records: Vec<RecordSpan>,
    /// The position after the last of them (and after what is no record, as blank lines).
    pub next: Offset,
    /// How many stored (compressed) bytes have been read of the partition up to here.
    pub stored_bytes: u64,
}

/// A record of a [`RecordBlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordSpan {
    /// Its offset.
    pub offset: Offset,
    /// The position after it.
    pub next: Offset,
    /// Its first byte in [`RecordBlock::bytes`].
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
    /// False when it was longer than the log allows: then only its first bytes are here.
    pub whole: bool,
}

impl RecordBlock {
    /// The bytes of a record, without its line ending.
    pub fn record(&self, span: &RecordSpan) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}

/// Hashes (XXH3, 64 bits) of a partition's first bytes and of those just before `position`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// What it covers: nothing at or after this position.
    pub position: Offset,
    /// How many bytes from the start `head_hash` is of, at most 64 KiB.
    pub head_bytes: u64,
    /// Hash of those.
    pub head_hash: u64,
    /// How many bytes before `position` `tail_hash` is of, at most 4 KiB.
    pub tail_bytes: u64,
    /// Hash of those.
    pub tail_hash: u64,
}
