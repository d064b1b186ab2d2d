//! Small sources, runs over them, and what a reader that is not ours finds in the table afterwards.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use hypostyle::Result;
use hypostyle::ingest::{Ingest, IngestOptions, Summary, audit};
use hypostyle::log::{NdjsonLog, NdjsonOptions, Source};
use hypostyle::storage::{Memory, Storage};
use hypostyle::table::Table;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub const HOUR_US: i64 = 3_600_000_000;

/// A source, a table and its dead letters, all in memory.
#[derive(Clone, Default)]
pub struct World {
    pub source: Memory,
    pub table: Memory,
    pub dead: Memory,
}

impl World {
    /// With one file per text.
    pub fn new(files: &[(&str, &str)]) -> World {
        let world = World::default();
        files.iter().for_each(|(path, text)| world.set(path, text));
        world
    }

    pub fn set(&self, path: &str, text: &str) {
        self.source.put(path, text.as_bytes().to_vec()).unwrap();
    }

    pub fn append(&self, path: &str, text: &str) {
        let mut bytes = self.source.get(path).unwrap().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        self.source.put(path, bytes).unwrap();
    }

    pub fn log(&self) -> NdjsonLog {
        let source: Arc<dyn Storage> = Arc::new(self.source.clone());
        NdjsonLog::new(Source::folder(&source).unwrap(), NdjsonOptions::default()).unwrap()
    }

    pub fn open(&self, options: IngestOptions) -> Result<Ingest> {
        Ingest::new(Box::new(self.log()), Arc::new(self.table.clone()), Arc::new(self.dead.clone()), options)
    }

    pub fn run(&self, options: IngestOptions) -> Result<Summary> {
        let summary = self.open(options)?.run(&AtomicBool::new(false), &mut |_| {})?;
        self.check_books();
        Ok(summary)
    }

    /// Runs, and checks that the table has exactly the good records of the source then.
    pub fn run_all(&self, options: IngestOptions) -> Summary {
        let summary = self.run(options).unwrap();
        assert_eq!(self.rows(), self.expected());
        summary
    }

    pub fn check_books(&self) {
        let table: Arc<dyn Storage> = Arc::new(self.table.clone());
        let report = audit(&table, &(Arc::new(self.dead.clone()) as Arc<dyn Storage>)).unwrap();
        assert_eq!(report.faults, Vec::<String>::new());
        assert!(!report.sinks.is_empty());
    }

    pub fn version(&self) -> u64 {
        Table::open(Arc::new(self.table.clone())).unwrap().snapshot().version
    }

    /// Of each row its window, its event time and its number, sorted.
    pub fn rows(&self) -> Vec<(i64, i64, i64)> {
        rows_of(&self.table)
    }

    /// What [`rows`](Self::rows) should be, from the plain files of the source: the records of [`record`].
    pub fn expected(&self) -> Vec<(i64, i64, i64)> {
        let mut rows = Vec::new();
        for entry in self.source.list("").unwrap() {
            let text = self.source.get(&entry.path).unwrap();
            for line in String::from_utf8_lossy(&text).lines() {
                let Ok(value) = serde_json::from_str::<serde_json::Value>(line) else { continue };
                let (Some(t), Some(n)) = (value["t"].as_str(), value["n"].as_i64()) else { continue };
                let t: jiff::Timestamp = t.parse().unwrap();
                let us = t.as_microsecond();
                rows.push((us.div_euclid(HOUR_US) * HOUR_US, us, n));
            }
        }
        rows.sort_unstable();
        rows
    }

    /// Of each dead letter its partition, offset and bytes, sorted.
    pub fn dead_letters(&self) -> Vec<(String, i64, String)> {
        let mut letters = Vec::new();
        for (_, batch) in batches_of(&self.dead) {
            let (partitions, offsets) =
                (batch["source_partition"].as_string::<i32>(), batch["offset"].as_primitive::<Int64Type>());
            let raw = batch["raw"].as_binary::<i32>();
            for row in 0..batch.num_rows() {
                let raw = String::from_utf8_lossy(raw.value(row)).into_owned();
                letters.push((partitions.value(row).to_owned(), offsets.value(row), raw));
            }
        }
        letters.sort_unstable();
        letters
    }
}

/// Windows of an hour, a file whenever event time has passed one, commits at the end only.
pub fn options() -> IngestOptions {
    let mut options = IngestOptions::new("t", Duration::from_secs(3600));
    options.commit_interval = Duration::from_secs(3600);
    options.lateness = Some(Duration::ZERO);
    options
}

/// A record that happened so many minutes after 2024 began.
pub fn record(minute: i64, n: i64) -> String {
    let start: jiff::Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
    let t = jiff::Timestamp::from_second(start.as_second() + minute * 60).unwrap();
    format!("{{\"t\":\"{t}\",\"n\":{n}}}\n")
}

/// Records in this order of minutes, numbered from `first` on.
pub fn records(first: i64, minutes: impl IntoIterator<Item = i64>) -> String {
    minutes.into_iter().enumerate().map(|(at, minute)| record(minute, first + at as i64)).collect()
}

pub fn rows_of(table: &Memory) -> Vec<(i64, i64, i64)> {
    let mut rows = Vec::new();
    for (window, batch) in batches_of(table) {
        let window: jiff::Timestamp = window.unwrap().parse().unwrap();
        let (times, numbers) =
            (batch["t"].as_primitive::<TimestampMicrosecondType>(), batch["n"].as_primitive::<Int64Type>());
        rows.extend((0..batch.num_rows()).map(|row| (window.as_microsecond(), times.value(row), numbers.value(row))));
    }
    rows.sort_unstable();
    rows
}

/// The batches of the live files with their window, read by the parquet crate.
pub fn batches_of(table: &Memory) -> Vec<(Option<String>, RecordBatch)> {
    let Some(opened) = Table::open_if_exists(Arc::new(table.clone())).unwrap() else { return Vec::new() };
    let mut batches = Vec::new();
    for file in opened.snapshot().files.values() {
        let window = file.partition_values.get("window_start").cloned().flatten();
        let bytes = table.get(&file.path).unwrap_or_else(|| panic!("{} is committed and not there", file.path));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
        batches.extend(reader.map(|batch| (window.clone(), batch.unwrap())));
    }
    batches
}
