//! What a run says about itself.

use serde::Serialize;

/// How far a run is; given to the callback a few times a second.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Progress {
    /// Records read, whatever became of them.
    pub records: u64,
    /// Bytes of text read.
    pub text_bytes: u64,
    /// Bytes read as they are stored (compressed).
    pub source_bytes: u64,
    /// How many there are, if that is known of every partition.
    pub source_bytes_total: Option<u64>,
    /// Rows that are committed.
    pub rows_committed: u64,
    /// Bad records so far.
    pub dead_lettered: u64,
    /// Windows with an open file.
    pub open_windows: usize,
    /// Memory held by rows and pages being built.
    pub memory_bytes: usize,
    /// Event time (microseconds since 1970) that every partition has passed, less the lateness.
    pub watermark_us: Option<i64>,
    /// Since the run began.
    pub seconds: f64,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Records read, whatever became of them.
    pub records: u64,
    /// Rows committed to the table.
    pub rows_written: u64,
    /// Records that went to the table of dead letters.
    pub dead_lettered: u64,
    /// Records read again that an earlier run had committed.
    pub skipped: u64,
    /// Data files committed.
    pub files: u64,
    /// Commits to the table.
    pub commits: u64,
    /// Windows that got rows.
    pub windows: u64,
    /// Bytes of text read.
    pub text_bytes: u64,
    /// Bytes of data files committed.
    pub file_bytes: u64,
    /// The last watermark, in microseconds since 1970.
    pub watermark_us: Option<i64>,
    /// The table's version now.
    pub version: Option<u64>,
    /// True when the run was stopped before its sources ended.
    pub stopped: bool,
    /// Unterminated last lines that are no whole record yet; they are left for the next run.
    pub incomplete_tails: Vec<IncompleteTail>,
    /// Partitions that the table knows and the source no longer has.
    pub gone: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// A last line that is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncompleteTail {
    /// The partition.
    pub partition: String,
    /// Where the line starts.
    pub offset: u64,
}
