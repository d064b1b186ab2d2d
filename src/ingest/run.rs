//! Reading: partitions merged by event time, records decoded, each to its window.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow_schema::TimeUnit;

use super::options::{IngestOptions, OnBad};
use super::rows::{Cell, Row, RowDecoder};
use super::sink::Sink;
use super::summary::{IncompleteTail, Progress, Summary};
use super::time;
use crate::error::{Error, Result};
use crate::log::{Log, PartitionId, Poll, RecordBlock, RecordSpan};

/// Reads a log into a table, exactly once, by event time. See the module for how.
pub struct Ingest {
    pub(super) log: Box<dyn Log>,
    pub(super) options: IngestOptions,
    pub(super) decoder: RecordDecoder,
    pub(super) sources: Vec<SourcePartition>,
    pub(super) sink: Sink,
    /// After a failure what is in memory may be more than is committed: only a new start knows.
    pub(super) has_failed: bool,
}

/// A partition being read.
pub(super) struct SourcePartition {
    pub id: PartitionId,
    pub name: String,
    /// Read ahead, to know the columns and the first event time.
    pub ahead: VecDeque<Result<Poll>>,
    /// The greatest event time seen in it.
    pub clock_us: Option<i64>,
    pub ended: bool,
    pub idle_since: Option<Instant>,
    /// When it last had nothing.
    pub asked: Instant,
    pub stored_bytes: u64,
    pub stored_bytes_total: Option<u64>,
}

/// Whose fault ended the reading.
enum Halt {
    /// The source's: what came before is good.
    Source(Error),
    /// The table's, or ours.
    Sink(Error),
}

impl From<Error> for Halt {
    fn from(e: Error) -> Halt {
        Halt::Sink(e)
    }
}

impl Ingest {
    /// Reads to the end of the log, or until `stop` is set; all that was read is committed then. `progress` is called a few
    /// times a second.
    ///
    /// # Errors
    /// A fault of the source (a broken file; a bad record, if they are to stop the run) comes after everything before it
    /// has been committed. [`Error::Conflict`] says that another writer of this sink has committed meanwhile. After any
    /// error, open a new `Ingest` to go on: it starts from what is committed.
    pub fn run(&mut self, stop: &AtomicBool, progress: &mut dyn FnMut(&Progress)) -> Result<Summary> {
        if self.has_failed {
            return Err(Error::invalid("this run has failed before; open it anew to go on from what is committed"));
        }
        let began = Instant::now();
        let read = self.read(stop, progress, began);
        let done = match read {
            Ok(()) => self.sink.finish(self.log.as_mut()),
            // The source's fault is told, unless what came before it cannot be committed either.
            Err(Halt::Source(e)) => self.sink.finish(self.log.as_mut()).and(Err(e)),
            Err(Halt::Sink(e)) => Err(e),
        };
        if let Err(e) = done {
            self.has_failed = true;
            self.sink.abandon();
            return Err(e);
        }
        self.sink.summary.stopped = stop.load(Ordering::Relaxed) && self.sources.iter().any(|source| !source.ended);
        self.sink.summary.seconds = began.elapsed().as_secs_f64();
        let tails = self.log.incomplete_tails().into_iter();
        self.sink.summary.incomplete_tails =
            tails.map(|(partition, offset)| IncompleteTail { partition: partition.0, offset: offset.0 }).collect();
        progress(&self.progress(began));
        Ok(self.sink.summary.clone())
    }

    fn read(&mut self, stop: &AtomicBool, progress: &mut dyn FnMut(&Progress), began: Instant) -> Result<(), Halt> {
        let mut told = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            let Some(at) = self.next_source() else { return Ok(()) };
            self.read_block(at)?;
            if told.elapsed() >= PROGRESS_INTERVAL {
                told = Instant::now();
                progress(&self.progress(began));
            }
        }
        Ok(())
    }

    /// The partition that is furthest behind in event time. One that had nothing is not asked again at once, unless all
    /// have nothing; then they take turns.
    fn next_source(&self) -> Option<usize> {
        let open = || self.sources.iter().enumerate().filter(|(_, source)| !source.ended);
        let rests = |source: &SourcePartition| source.idle_since.is_some() && source.asked.elapsed() < IDLE_REST;
        let behind = open().filter(|(_, source)| !rests(source)).min_by_key(|(_, source)| source.clock_us);
        behind.or_else(|| open().min_by_key(|(_, source)| source.asked)).map(|(at, _)| at)
    }

    fn read_block(&mut self, at: usize) -> Result<(), Halt> {
        let Some(source) = self.sources.get_mut(at) else { return Ok(()) };
        let poll = match source.ahead.pop_front() {
            Some(poll) => poll,
            None => self.log.poll(&source.id, BLOCK_BYTES),
        };
        match poll.map_err(Halt::Source)? {
            Poll::Records(block) => {
                source.idle_since = None;
                source.stored_bytes = block.stored_bytes;
                self.take(at, &block)?;
                self.tell_watermark()?;
                self.sink.block_done(at, block.next, self.log.as_mut())?;
            }
            Poll::Idle => {
                source.asked = Instant::now();
                source.idle_since.get_or_insert(source.asked);
                self.tell_watermark()?;
                self.sink.close_by_age()?;
                self.sink.commit_if_due(self.log.as_mut())?;
            }
            Poll::End => {
                source.ended = true;
                self.tell_watermark()?;
            }
        }
        Ok(())
    }

    fn take(&mut self, at: usize, block: &RecordBlock) -> Result<(), Halt> {
        let Some(source) = self.sources.get_mut(at) else { return Ok(()) };
        let text = simdutf8::basic::from_utf8(&block.bytes).ok();
        let mut row = Row::default();
        for span in &block.records {
            match self.decoder.decode(block, text, span, &mut row) {
                Ok((event_us, window)) => {
                    source.clock_us = source.clock_us.max(Some(event_us));
                    self.sink.good(at, window, &row, span)?;
                    if self.sink.has_closed_enough() {
                        self.sink.commit_if_due(self.log.as_mut())?;
                    }
                }
                Err(reason) => {
                    if self.options.on_bad == OnBad::Stop && !self.sink.knows_bad(at, span.offset) {
                        let e = Error::invalid(format!("bad record: {reason}"));
                        return Err(Halt::Source(e.at_byte(span.offset.0).in_file(&source.name)));
                    }
                    self.sink.bad(at, span, &reason, block.record(span))?;
                }
            }
        }
        self.sink.summary.text_bytes += block.bytes.len() as u64;
        Ok(())
    }

    /// What all partitions have passed, but for those that are idle.
    fn tell_watermark(&mut self) -> Result<()> {
        let idle = |source: &SourcePartition| {
            source.idle_since.is_some_and(|since| since.elapsed() >= self.options.idle_after)
        };
        let mut clocks = self.sources.iter().filter(|source| !source.ended && !idle(source)).peekable();
        if clocks.peek().is_none() {
            return Ok(());
        }
        // One that has shown no event time yet may have any.
        let least = clocks.try_fold(i64::MAX, |least, source| Some(least.min(source.clock_us?)));
        match least {
            Some(clock) => self.sink.watermark(clock.saturating_sub(self.options.lateness_us())),
            None => Ok(()),
        }
    }

    fn progress(&self, began: Instant) -> Progress {
        let summary = &self.sink.summary;
        Progress {
            records: summary.records,
            text_bytes: summary.text_bytes,
            source_bytes: self.sources.iter().map(|source| source.stored_bytes).sum(),
            source_bytes_total: self.sources.iter().map(|source| source.stored_bytes_total).sum(),
            rows_committed: summary.rows_written,
            dead_lettered: summary.dead_lettered,
            open_windows: self.sink.open_windows(),
            memory_bytes: self.sink.memory_bytes(),
            watermark_us: summary.watermark_us,
            seconds: began.elapsed().as_secs_f64(),
        }
    }
}

/// Records → rows with their event time and their window: a pure function of the record and the sink's rules.
pub(super) struct RecordDecoder {
    pub rows: RowDecoder,
    /// Where the event time stands, and what it counts if it is an integer.
    pub event_time: (usize, Option<TimeUnit>),
    pub window_us: i64,
}

impl RecordDecoder {
    /// The event time and the window of a record, whose cells are then in `row`; or why it is bad, in a line. `text` is the
    /// whole block, if all of it is UTF-8.
    pub(super) fn decode<'a>(
        &self,
        block: &'a RecordBlock,
        text: Option<&'a str>,
        span: &RecordSpan,
        row: &mut Row<'a>,
    ) -> Result<(i64, i64), String> {
        if !span.whole {
            return Err("the line is longer than allowed; these are its first bytes".to_owned());
        }
        let text = match text.and_then(|text| text.get(span.start as usize..span.end as usize)) {
            Some(text) => text,
            None => std::str::from_utf8(block.record(span))
                .map_err(|e| format!("not UTF-8 from byte {} of the record on", e.valid_up_to()))?,
        };
        self.rows.decode(text, row)?;
        let (column, unit) = self.event_time;
        let event_us = match (row.cells().get(column), unit) {
            (Some(Cell::Int(count)), Some(unit)) => time::from_unit(*count, unit)
                .ok_or_else(|| format!("the event time {count} is out of the years 1 to 9999"))?,
            (Some(Cell::Int(us)), None) => *us,
            _ => return Err("it has no event time".to_owned()),
        };
        let window = time::window_start(event_us, self.window_us)
            .ok_or_else(|| "the window of its event time begins before the year 1".to_owned())?;
        Ok((event_us, window))
    }

    /// The event time of the first good record of a block.
    pub(super) fn first_event_us(&self, block: &RecordBlock) -> Option<i64> {
        let text = simdutf8::basic::from_utf8(&block.bytes).ok();
        let mut row = Row::default();
        block
            .records
            .iter()
            .find_map(|span| self.decode(block, text, span, &mut row).ok())
            .map(|(event_us, _)| event_us)
    }
}

/// What is asked of a log at once.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// How long a partition that had nothing is left alone while others have something.
const IDLE_REST: Duration = Duration::from_secs(1);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
