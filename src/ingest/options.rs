//! What an [`Ingest`](super::Ingest) is asked to do.

use std::time::Duration;

use arrow_schema::TimeUnit;

use super::schema::RowSchema;
use crate::error::{Error, Result};
use crate::parquet::write::WriterOptions;

/// What to do, and within which bounds. Start from [`IngestOptions::new`] and change fields.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// Names this stream of records in the table: letters, digits, `_` and `-`. Each sink keeps its own state,
    /// so the same source into another sink is written again. `default` unless said otherwise.
    pub sink: String,
    /// The column that says when a record happened.
    pub event_time: String,
    /// Needed when the event time is an integer: what it counts since 1970.
    pub event_time_unit: Option<TimeUnit>,
    /// The length of a window, in whole microseconds. Windows start at multiples of it since 1970, UTC.
    pub window: Duration,
    /// The column that says a row's window; the table is partitioned by it.
    pub window_column: String,
    /// How late a record may be and still find its window open; a quarter of the window unless said otherwise.
    /// A record that is later still is written too, to another file of its window.
    pub lateness: Option<Duration>,
    /// The columns; if not given, they are the table's, or else inferred from a sample.
    pub schema: Option<RowSchema>,
    /// How many records, and how many bytes of them, are looked at to infer the columns.
    pub sample_records: usize,
    /// See `sample_records`.
    pub sample_bytes: usize,
    /// What a field is that the schema does not have.
    pub unknown_fields: UnknownFields,
    /// What becomes of a bad record.
    pub on_bad: OnBad,
    /// Sorts by this column, within each row group.
    pub sort_by: Option<String>,
    /// Windows open at the same time, at most; the one not written to for the longest is closed for a new one.
    pub max_open: usize,
    /// Closes a window that has been open for longer, by the clock on the wall. Not given: 15 minutes for sources
    /// that may never end, never for others.
    pub max_open_age: Option<Duration>,
    /// Closes a window whose file has reached this size.
    pub target_file_bytes: u64,
    /// Bounds what rows and pages being built and text being read may take.
    pub memory_bytes: usize,
    /// Closes the oldest window when more text than this would have to be read again after a crash.
    pub replay_bytes_max: u64,
    /// Commits when this many windows have been closed.
    pub commit_windows: usize,
    /// Commits closed windows no later than this after the last commit.
    pub commit_interval: Duration,
    /// Threads that decode records, the caller's, and encode rows, the others; 1. With more than one, a file may be closed by
    /// its size a batch later.
    pub threads: usize,
    /// How many closed files are made durable at a time, on a thread each; 0: one after the other, on the caller's thread.
    pub finish_threads: usize,
    /// Leaves a partition that gives nothing for this long out of the watermark.
    pub idle_after: Duration,
    /// How the files are written. What it says of sorting is set by `sort_by`.
    pub writer: WriterOptions,
}

/// What becomes of a record that is not JSON, has no event time, or does not fit the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBad {
    /// It goes to the table of dead letters, with its place, its bytes and what is wrong.
    #[default]
    DeadLetter,
    /// What is before it is committed; then the run fails.
    Stop,
}

/// What a field is that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownFields {
    /// The record is bad.
    #[default]
    Bad,
    /// The field is not kept.
    Ignore,
}

impl IngestOptions {
    /// The defaults, for records whose event time is in `event_time`, in windows of this length.
    pub fn new(event_time: impl Into<String>, window: Duration) -> IngestOptions {
        IngestOptions {
            sink: "default".into(),
            event_time: event_time.into(),
            event_time_unit: None,
            window,
            window_column: "window_start".into(),
            lateness: None,
            schema: None,
            sample_records: 10_000,
            sample_bytes: 16 << 20,
            unknown_fields: UnknownFields::Bad,
            on_bad: OnBad::DeadLetter,
            sort_by: None,
            max_open: 64,
            max_open_age: None,
            target_file_bytes: 128 << 20,
            memory_bytes: 256 << 20,
            replay_bytes_max: 256 << 20,
            commit_windows: 16,
            commit_interval: Duration::from_secs(5),
            threads: 1,
            finish_threads: 4,
            idle_after: Duration::from_secs(10),
            writer: WriterOptions::default(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let name_ok = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if self.sink.is_empty() || !self.sink.chars().all(name_ok) {
            return Err(Error::invalid(format!(
                "the sink's name {:?} may have letters, digits, _ and - only, and must have one",
                self.sink
            )));
        }
        if self.window_us() <= 0 {
            return Err(Error::invalid("the window must last a microsecond at least, and 100 years at most"));
        }
        if self.window_column.is_empty() || self.window_column == self.event_time {
            return Err(Error::invalid("the window's column needs a name of its own").in_column(&self.window_column));
        }
        if self.max_open == 0 || self.commit_windows == 0 {
            return Err(Error::invalid("at least one window must be allowed to be open, and to be closed by a commit"));
        }
        if self.memory_bytes < MEMORY_BYTES_MIN {
            return Err(Error::limit(format!(
                "{} bytes of memory are too few to write with; give {MEMORY_BYTES_MIN} or more",
                self.memory_bytes
            )));
        }
        Ok(())
    }

    /// The window's length in microseconds, 0 if it is out of range.
    pub(super) fn window_us(&self) -> i64 {
        i64::try_from(self.window.as_micros()).ok().filter(|us| *us <= WINDOW_US_MAX).unwrap_or(0)
    }

    pub(super) fn lateness_us(&self) -> i64 {
        match self.lateness {
            Some(lateness) => i64::try_from(lateness.as_micros()).unwrap_or(i64::MAX),
            None => self.window_us() / 4,
        }
    }
}

const WINDOW_US_MAX: i64 = 100 * 366 * 86_400_000_000;
const MEMORY_BYTES_MIN: usize = 16 << 20;
