//! Hypostyle: an embedded storage engine. Streams go in exactly once, Parquet tables by event time come out, and every
//! analytics engine reads them.
//!
//! One sentence holds it together: *a log is sunk into columnar tables.* A source is a [`log`]; [`ingest`] sinks it
//! into a [`table`], a Delta Lake table whose files the crate writes and reads with its own [`parquet`]. Each part
//! can be used alone.
//!
//! | to | use |
//! |---|---|
//! | write or read a Parquet file | [`parquet::write::FileWriter`], [`parquet::read::FileReader`] |
//! | stop in the middle of one and go on, add to a finished one, make one of many | [`pause`](parquet::write::FileWriter::pause), [`append_to`](parquet::write::FileWriter::append_to), [`parquet::splice::merge`] |
//! | count, find extremes or first rows without reading all | [`count`](parquet::read::FileReader::count), [`min_max`](parquet::read::FileReader::min_max), [`top_k`](parquet::read::FileReader::top_k) |
//! | fetch a file's bytes yourself | [`plan`](parquet::read::FileReader::plan) |
//! | read one under another schema | [`with_schema`](parquet::read::ScanOptions::with_schema) |
//! | have a table with atomic commits | [`table::Table`] |
//! | follow NDJSON files into a table, exactly once | [`log::NdjsonLog`] and [`ingest::Ingest`] |
//! | bound the memory of many readers together | [`MemoryBudget`] |
//! | ask for rows | [`predicate::col`], or SQL through [`predicate::sql`] |
//! | ask for joins and aggregates | `datafusion::Provider`, with the feature `datafusion` |
//! | keep it all in memory, or let the disk fail | [`storage::Memory`], [`storage::Faulty`] |
//!
//! # The tour
//!
//! Two records, out of order, into a table of one window an hour; then a question, which finds its file by the log
//! alone.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//! use std::time::Duration;
//!
//! use hypostyle::ingest::{Ingest, IngestOptions};
//! use hypostyle::log::{NdjsonLog, NdjsonOptions, Source};
//! use hypostyle::predicate::col;
//! use hypostyle::storage::{Memory, Storage};
//! use hypostyle::table::{ScanOptions, Table};
//!
//! let text = br#"{"at":"2026-05-01T10:59:00Z","user":"ann","clicks":3}
//! {"at":"2026-05-01T09:30:00Z","user":"bob","clicks":5}
//! "#;
//! // A `storage::Local` is the same on a disk.
//! let source: Arc<dyn Storage> = Arc::new(Memory::new());
//! let mut file = source.create("clicks.ndjson")?;
//! file.append(text)?;
//! file.finish()?;
//! let (folder, dead_letters) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
//!
//! let run = || -> hypostyle::Result<u64> {
//!     let log = NdjsonLog::new(vec![Source::file(source.clone(), "clicks.ndjson")?], NdjsonOptions::default())?;
//!     let options = IngestOptions::new("at", Duration::from_secs(3600));
//!     let mut ingest = Ingest::new(Box::new(log), folder.clone(), dead_letters.clone(), options)?;
//!     Ok(ingest.run(&AtomicBool::new(false), &mut |_| {})?.rows_written)
//! };
//! assert_eq!(run()?, 2);
//! // Again: where the last run ended stands in the table itself, so nothing is written twice.
//! assert_eq!(run()?, 0);
//!
//! let table = Table::open(folder)?;
//! let busy = ScanOptions::default().with_columns(["user"]).with_predicate(col("clicks").gt(4));
//! let mut scan = table.scan(busy)?;
//! let rows: usize = scan.by_ref().map(|batch| Ok(batch?.num_rows())).sum::<hypostyle::Result<usize>>()?;
//! assert_eq!(rows, 1);
//! assert_eq!(scan.counts().files_skipped, 1);
//! # Ok::<(), hypostyle::Error>(())
//! ```
//!
//! # What holds
//!
//! - An [`Error`] says who must act, and where: file, byte, column, page, version.
//! - What comes from outside (a file, a log of commits, a record, a condition) ends in a result or an `Error`,
//!   within a budget of memory that the caller sets.
//! - A file or commit is there whole and durable, or not at all.

pub mod budget;
pub mod cursor;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod ingest;
pub mod log;
mod null;
pub mod parquet;
pub mod predicate;
pub mod storage;
pub mod table;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "datafusion")]
pub mod datafusion;

pub use budget::MemoryBudget;
pub use error::{Error, Result};
