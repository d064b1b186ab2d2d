//! `hypostyle ingest`: NDJSON into a table, exactly once, by event time.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::TimeUnit;
use clap::{Args, ValueEnum};

use super::progress::ProgressBar;
use super::quantities::{bytes, count, of, parse_bytes, parse_duration, parse_memory};
use super::{Ending, interrupt};
use crate::error::{Error, Result};
use crate::ingest::{Ingest as Run, IngestOptions, OnBad, RowSchema, Summary, UnknownFields};
use crate::log::{NdjsonLog, NdjsonOptions, Source};
use crate::parquet::compress::Compression;
use crate::storage::{Local, Storage};

/// Read NDJSON into a table, exactly once, by event time
///
/// Each file of SOURCE is a partition; where reading goes on is part of the table's own commits, so the same command run
/// again adds what is new, and nothing twice. Ctrl-C commits what was read and ends; after a crash, the same command goes on.
#[derive(Debug, Args)]
pub(super) struct Ingest {
    /// NDJSON files (.ndjson, .jsonl, also with .gz or .zst), folders of them, or - for standard input
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<String>,
    /// The table's folder; made if it is not there
    #[arg(value_name = "TABLE")]
    table: String,
    /// The column that says when a record happened: RFC 3339 text, or integers with --event-time-unit
    #[arg(long, value_name = "COLUMN")]
    event_time: String,
    /// What an integer event time counts since 1970
    #[arg(long, value_name = "UNIT")]
    event_time_unit: Option<Unit>,
    /// Length of a window, UTC: 1h, 1d, 15m
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = parse_duration)]
    window: Duration,
    /// Name of the column that holds the start of a row's window
    #[arg(long, value_name = "COLUMN", default_value = "window_start")]
    window_column: String,
    /// How late a record may be and still find its window open [default: a quarter of the window]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    lateness: Option<Duration>,
    /// Windows open at a time, at most
    #[arg(long, value_name = "WINDOWS")]
    max_open: Option<usize>,
    /// Closes windows that have been open for longer [default: 15m for standard input, never for files]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_open_age: Option<Duration>,
    /// Size at which a data file is closed
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    target_file_bytes: Option<u64>,
    /// Memory for rows and pages being built and text being read
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory_bytes: Option<usize>,
    /// Threads: one reads, the others encode
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Sort rows by this column within each row group
    #[arg(long, value_name = "COLUMN")]
    sort_by: Option<String>,
    /// zstd:3, snappy, lz4, gzip:6, brotli:5 or none
    #[arg(long, value_name = "CODEC", default_value = "zstd:3")]
    compression: Compression,
    /// The columns, as a JSON file [default: the table's, or else inferred from a sample]
    #[arg(long, value_name = "FILE")]
    schema: Option<String>,
    /// What a field is that the schema does not have
    #[arg(long, value_name = "WHAT", default_value = "bad")]
    unknown_fields: Unknown,
    /// What becomes of a record that is not JSON, has no event time or does not fit the schema; dead letters go to a table
    /// named as this one with -dead-letters behind
    #[arg(long, value_name = "WHAT", default_value = "dead-letter")]
    on_bad: Bad,
    /// Where dead letters go [default: TABLE-dead-letters]
    #[arg(long, value_name = "FOLDER")]
    dead_letters: Option<String>,
    /// Names this stream in the table; a stream of another name is written again
    #[arg(long, value_name = "NAME", default_value = "default")]
    sink: String,
    /// Text that may have to be read again after a crash, at most
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    replay_bytes_max: Option<u64>,
    /// Length of a line beyond which a record is bad
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse_memory)]
    line_bytes_max: usize,
    /// Print the summary as a line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Unit {
    S,
    Ms,
    Us,
    Ns,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Unknown {
    /// The record is bad
    Bad,
    /// The field is not kept
    Ignore,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bad {
    /// What is before it is committed; then the run fails
    Stop,
    /// It goes to the table of dead letters
    DeadLetter,
}

/// The folder of a table's dead letters, when no other is named.
pub(super) fn dead_letters_of(table: &str) -> String {
    format!("{}-dead-letters", table.trim_end_matches(['/', '\\']))
}

impl Ingest {
    pub(super) fn run(&self) -> Result<Ending> {
        let log = self.log()?;
        let table = Arc::new(Local::new(&self.table)?);
        let dead_letters = self.dead_letters.clone().unwrap_or_else(|| dead_letters_of(&self.table));
        let dead_letters = Arc::new(Local::new(dead_letters)?);
        let mut run = Run::new(Box::new(log), table, dead_letters, self.options()?)?;
        let mut bar = ProgressBar::new();
        let summary = run.run(interrupt::flag(), &mut |progress| bar.show(progress));
        bar.clear();
        let summary = summary?;
        let mut out = io::stdout();
        if self.json {
            let json = serde_json::to_string(&summary).map_err(io::Error::from)?;
            writeln!(out, "{json}")?;
        } else {
            writeln!(out, "{}", line(&summary, &self.table))?;
        }
        Ok(if summary.stopped { Ending::Interrupted } else { Ending::Done })
    }

    fn log(&self) -> Result<NdjsonLog> {
        let mut sources = Vec::new();
        for source in &self.sources {
            if source == "-" {
                sources.push(Source::stream("stdin", io::stdin()));
            } else if Path::new(source).is_dir() {
                if Path::new(source).join("_delta_log").is_dir() {
                    return Err(Error::invalid("is a table; name NDJSON files or a folder of them").in_file(source));
                }
                let folder: Arc<dyn Storage> = Arc::new(Local::new(source)?.without_map());
                let files = Source::folder(&folder)?;
                if files.is_empty() {
                    return Err(Error::invalid("has no NDJSON files (.ndjson or .jsonl, also with .gz or .zst)")
                        .in_file(source));
                }
                sources.extend(files);
            } else {
                let (folder, name) = Local::file(source)?;
                sources.push(Source::file(Arc::new(folder.without_map()), &name)?);
            }
        }
        NdjsonLog::new(sources, NdjsonOptions { line_bytes_max: self.line_bytes_max })
    }

    fn options(&self) -> Result<IngestOptions> {
        let mut options = IngestOptions::new(&self.event_time, self.window);
        options.sink = self.sink.clone();
        options.event_time_unit = self.event_time_unit.map(|unit| match unit {
            Unit::S => TimeUnit::Second,
            Unit::Ms => TimeUnit::Millisecond,
            Unit::Us => TimeUnit::Microsecond,
            Unit::Ns => TimeUnit::Nanosecond,
        });
        options.window_column = self.window_column.clone();
        options.lateness = self.lateness;
        options.max_open_age = self.max_open_age;
        options.sort_by = self.sort_by.clone();
        options.schema = self.schema.as_deref().map(read_schema).transpose()?;
        options.unknown_fields = match self.unknown_fields {
            Unknown::Bad => UnknownFields::Bad,
            Unknown::Ignore => UnknownFields::Ignore,
        };
        options.on_bad = match self.on_bad {
            Bad::Stop => OnBad::Stop,
            Bad::DeadLetter => OnBad::DeadLetter,
        };
        options.writer.compression = self.compression;
        options.max_open = self.max_open.unwrap_or(options.max_open);
        options.target_file_bytes = self.target_file_bytes.unwrap_or(options.target_file_bytes);
        options.memory_bytes = self.memory_bytes.unwrap_or(options.memory_bytes);
        options.threads = self.threads;
        options.replay_bytes_max = self.replay_bytes_max.unwrap_or(options.replay_bytes_max);
        Ok(options)
    }
}

/// What a schema file says.
pub(super) fn read_schema(path: &str) -> Result<RowSchema> {
    RowSchema::from_json(&read_schema_text(path)?).map_err(|e| e.in_file(path))
}

/// The text of a schema file, which has no reason to be large.
pub(super) fn read_schema_text(path: &str) -> Result<String> {
    const BYTES_MAX: u64 = 16 << 20;
    let (folder, name) = Local::file(path)?;
    let input = folder.open(&name)?;
    if input.bytes() > BYTES_MAX {
        return Err(Error::limit(format!("is longer than {BYTES_MAX} bytes, which no schema is")).in_file(path));
    }
    let bytes = input.read(0..input.bytes())?;
    String::from_utf8(bytes.into()).map_err(|_| Error::invalid("is no UTF-8 text").in_file(path))
}

/// The summary for people.
fn line(summary: &Summary, table: &str) -> String {
    let mut line = format!("{table}: {} written", of(summary.rows_written, "row", "rows"));
    let mut also = |number: u64, what: &str| {
        if number > 0 {
            line.push_str(&format!(", {} {what}", count(number)));
        }
    };
    also(summary.dead_lettered, "dead-lettered");
    also(summary.skipped, "already there");
    line.push_str(&format!(
        "; {} in {}, {}, {}",
        of(summary.files, "file", "files"),
        of(summary.windows, "window", "windows"),
        bytes(summary.file_bytes),
        of(summary.commits, "commit", "commits"),
    ));
    if let Some(version) = summary.version {
        line.push_str(&format!(", version {version}"));
    }
    let rate = summary.records as f64 / summary.seconds.max(1e-9);
    line.push_str(&format!("; {} read in {:.1} s", of(summary.records, "record", "records"), summary.seconds));
    if summary.records > 0 {
        line.push_str(&format!(", {}/s", count(rate as u64)));
    }
    for tail in &summary.incomplete_tails {
        line.push_str(&format!(
            "; {}: the last line, at byte {}, has no end yet and is left for the next run",
            tail.partition, tail.offset
        ));
    }
    if !summary.gone.is_empty() {
        line.push_str(&format!("; no longer in the source: {}", summary.gone.join(", ")));
    }
    if summary.stopped {
        line.push_str("; stopped before the end, run it again to go on");
    }
    line
}
