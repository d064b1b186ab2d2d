//! Rows into windows, windows into files, files into commits: what is open, what is closed, and when.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Instant;

use arrow_array::TimestampMicrosecondArray;
use arrow_schema::SchemaRef;
use hashbrown::HashMap;
use serde_json::json;

use super::IngestOptions;
use super::dead::{DeadLetters, domain};
use super::encode::Encoders;
use super::rows::Row;
use super::state::{Admit, Ledger, PartitionState, Rules};
use super::summary::Summary;
use super::window::{FileRecipe, Files, FinishedFile, Finishing, OpenWindow};
use crate::error::{Error, Result};
use crate::log::{Log, Offset, PartitionId, RecordSpan};
use crate::parquet::write::WriterMemory;
use crate::table::{AddFile, PartitionValues, Table, partition};

/// The tag of the files of a sink.
pub(super) const SINK_TAG: &str = "hypostyle.sink";

/// Everything of a sink but its reading.
pub(super) struct Sink {
    options: IngestOptions,
    files: Files,
    rules: Rules,
    table: Table,
    table_schema: SchemaRef,
    dead: DeadLetters,
    partitions: Vec<SinkPartition>,
    open: HashMap<i64, OpenWindow>,
    finishing: Finishing,
    closed: Vec<ClosedFile>,
    /// Counts blocks, to know which window was written to least recently.
    block: u64,
    watermark_us: Option<i64>,
    last_commit: Instant,
    windows_committed: HashSet<i64>,
    /// The version when the run began, or after its last commit.
    version: u64,
    /// True when a commit failed and may have happened all the same: then its files must stay.
    in_doubt: bool,
    pub(super) summary: Summary,
}

pub(super) struct SinkPartition {
    pub id: PartitionId,
    pub ledger: Ledger,
    /// Its state as the table has it, to the letter.
    pub stored_json: Option<String>,
}

/// A finished file that no commit names yet.
struct ClosedFile {
    window: i64,
    add: AddFile,
    rows: u64,
}

impl Sink {
    pub(super) fn new(
        options: IngestOptions,
        recipe: FileRecipe,
        rules: Rules,
        table: Table,
        dead: DeadLetters,
        partitions: Vec<SinkPartition>,
    ) -> Result<Sink> {
        let version = table.snapshot().version;
        let encoders = options.threads.saturating_sub(1);
        let encoders = if encoders > 0 { Some(Encoders::new(encoders)?) } else { None };
        let files = Files { recipe: Arc::new(recipe), storage: Arc::clone(table.storage()), encoders };
        Ok(Sink {
            table_schema: Arc::clone(&table.snapshot().schema),
            options,
            files,
            rules,
            table,
            dead,
            partitions,
            open: HashMap::new(),
            finishing: Finishing::default(),
            closed: Vec::new(),
            block: 0,
            watermark_us: None,
            last_commit: Instant::now(),
            windows_committed: HashSet::new(),
            version,
            in_doubt: false,
            summary: Summary { version: Some(version), ..Summary::default() },
        })
    }

    pub(super) fn open_windows(&self) -> usize {
        self.open.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let open: usize = self.open.values().map(OpenWindow::memory_bytes).sum();
        let free = self.options.writer.memory.as_ref().map_or(0, WriterMemory::free_bytes);
        open + self.finishing.memory_bytes() + self.dead.memory_bytes() + free
    }

    /// Takes the next record of a partition, which is good.
    pub(super) fn good(&mut self, partition: usize, window: i64, row: &Row<'_>, span: &RecordSpan) -> Result<()> {
        self.summary.records += 1;
        let Some(of) = self.partitions.get_mut(partition) else { return Err(no_partition()) };
        if of.ledger.record(window, span.offset, span.next) == Admit::Skip {
            self.summary.skipped += 1;
            return Ok(());
        }
        if !self.open.contains_key(&window) {
            self.open_window(window)?;
        }
        let Some(open) = self.open.get_mut(&window) else { return Err(Error::invalid("no window")) };
        open.written_at = self.block;
        open.push(row, &self.files)?;
        if open.file_bytes() >= self.options.target_file_bytes {
            self.close(window)?;
        }
        Ok(())
    }

    /// Takes the next record of a partition, which is bad.
    pub(super) fn bad(&mut self, partition: usize, span: &RecordSpan, error: &str, raw: &[u8]) -> Result<()> {
        self.summary.records += 1;
        let Some(of) = self.partitions.get_mut(partition) else { return Err(no_partition()) };
        of.ledger.bad(span.offset, span.next);
        if self.dead.push(&of.id.0, span.offset, span.next, error, raw)? {
            self.summary.dead_lettered += 1;
        }
        Ok(())
    }

    /// Whether a bad record is a dead letter already.
    pub(super) fn knows_bad(&self, partition: usize, offset: Offset) -> bool {
        self.partitions.get(partition).is_some_and(|of| self.dead.has(&of.id.0, offset))
    }

    /// Ends a block: everything of the partition before `next` has been taken. Closes and commits what is due.
    pub(super) fn block_done(&mut self, partition: usize, next: Offset, log: &mut dyn Log) -> Result<()> {
        self.block += 1;
        let Some(of) = self.partitions.get_mut(partition) else { return Err(no_partition()) };
        of.ledger.pass(next);
        let cap = self.options.replay_bytes_max;
        if of.ledger.behind_bytes() > cap {
            // With those that would be next, so that it is one commit for all of them.
            for window in of.ledger.open_behind(cap / 4 * 3).collect::<BTreeSet<_>>() {
                self.close(window)?;
            }
            self.commit(false, log)?;
        }
        self.keep_within_memory()?;
        self.close_by_age()?;
        self.commit_if_due(log)
    }

    /// Closes windows that event time has passed.
    pub(super) fn watermark(&mut self, watermark_us: i64) -> Result<()> {
        if self.watermark_us.is_some_and(|known| watermark_us <= known) {
            return Ok(());
        }
        self.watermark_us = Some(watermark_us);
        self.summary.watermark_us = Some(watermark_us);
        // What was opened behind the watermark has no end in event time: it waits for the other bounds, or each late record
        // would make a file.
        let window_us = self.options.window_us();
        let passed = |start: i64| start.saturating_add(window_us) <= watermark_us;
        let due = self.open.iter().filter(|(start, open)| !open.is_late && passed(**start)).map(|(start, _)| *start);
        // In order, so that a run is the same each time.
        for window in due.collect::<BTreeSet<_>>() {
            self.close(window)?;
        }
        Ok(())
    }

    pub(super) fn close_by_age(&mut self) -> Result<()> {
        let Some(age) = self.options.max_open_age else { return Ok(()) };
        let due = self.open.iter().filter(|(_, open)| open.opened.elapsed() >= age).map(|(start, _)| *start);
        for window in due.collect::<BTreeSet<_>>() {
            self.close(window)?;
        }
        Ok(())
    }

    fn open_window(&mut self, window: i64) -> Result<()> {
        if self.open.len() >= self.options.max_open
            && let Some(oldest) =
                self.open.iter().min_by_key(|(start, open)| (open.written_at, **start)).map(|(w, _)| *w)
        {
            self.close(oldest)?;
        }
        let end = window.saturating_add(self.options.window_us());
        let is_late = self.watermark_us.is_some_and(|watermark| end <= watermark);
        let path = self.table.data_path(&self.values(window)?);
        self.open.insert(window, OpenWindow::new(path, &self.files.recipe, self.block, is_late)?);
        Ok(())
    }

    fn values(&self, window: i64) -> Result<PartitionValues> {
        let start = TimestampMicrosecondArray::from(vec![window]).with_timezone("UTC");
        Ok(PartitionValues::from([(self.options.window_column.clone(), partition::to_text(&start, 0)?)]))
    }

    /// Has a window's file finished; a commit will name it.
    fn close(&mut self, window: i64) -> Result<()> {
        let Some(open) = self.open.remove(&window) else { return Ok(()) };
        while self.finishing.len() >= self.options.finish_threads.max(1) {
            self.take_finished()?;
        }
        let threaded = self.options.finish_threads > 0;
        self.finishing.start(window, open, &self.files, threaded)?;
        if threaded { Ok(()) } else { self.take_finished() }
    }

    /// Waits for the file that was closed first.
    fn take_finished(&mut self) -> Result<()> {
        let Some((window, rows, file)) = self.finishing.wait() else { return Ok(()) };
        let FinishedFile { path, written } = file?;
        let mut add = AddFile::from_written(&written, &self.table_schema, path, self.values(window)?)?;
        add.tags.insert(SINK_TAG.to_owned(), self.options.sink.clone());
        self.closed.push(ClosedFile { window, add, rows });
        Ok(())
    }

    /// Ends the row group of the largest window; but when all are small, a window that nothing was written to for long is
    /// closed instead, because many small row groups are no good.
    fn keep_within_memory(&mut self) -> Result<()> {
        let budget = self.options.memory_bytes.saturating_sub(READING_BYTES);
        if self.memory_bytes() > budget {
            // What threads have encoded by now takes less.
            self.open.values_mut().try_for_each(OpenWindow::settle)?;
        }
        while self.memory_bytes() > budget {
            // What was kept for the pages to come goes first.
            if self.options.writer.memory.as_ref().is_some_and(WriterMemory::release) {
                continue;
            }
            if self.finishing.len() > 0 {
                self.take_finished()?;
                continue;
            }
            let largest = self.open.iter().map(|(start, open)| (open.memory_bytes(), *start)).max();
            let stalest = self.open.iter().map(|(start, open)| (open.written_at, *start)).min();
            let (Some((memory_bytes, largest)), Some((written_at, stalest))) = (largest, stalest) else {
                return self.dead.flush();
            };
            if memory_bytes < budget / WORTH_A_ROW_GROUP && self.block - written_at > STALE_BLOCKS {
                self.close(stalest)?;
                continue;
            }
            let Some(open) = self.open.get_mut(&largest) else { return Ok(()) };
            open.flush(&self.files)?;
            if open.memory_bytes() > memory_bytes / 2 {
                // It is not rows that take the memory.
                self.close(largest)?;
            }
        }
        Ok(())
    }

    /// Whether so many windows are closed that a commit is due.
    pub(super) fn has_closed_enough(&self) -> bool {
        self.closed.len() + self.finishing.len() >= self.options.commit_windows
    }

    pub(super) fn commit_if_due(&mut self, log: &mut dyn Log) -> Result<()> {
        let waiting = !self.closed.is_empty() || self.finishing.len() > 0 || self.dead.is_waiting();
        if self.has_closed_enough() || (waiting && self.last_commit.elapsed() >= self.options.commit_interval) {
            return self.commit(false, log);
        }
        Ok(())
    }

    /// Closes and commits everything.
    pub(super) fn finish(&mut self, log: &mut dyn Log) -> Result<()> {
        for window in self.open.keys().copied().collect::<BTreeSet<_>>() {
            self.close(window)?;
        }
        self.commit(true, log)
    }

    /// Commits the closed windows, with the state that says so. With `all`, also that of partitions of which nothing but
    /// the position has changed.
    fn commit(&mut self, all: bool, log: &mut dyn Log) -> Result<()> {
        self.last_commit = Instant::now();
        let closed = self.closed.iter().map(|file| file.window);
        let windows: BTreeSet<i64> = closed.chain(self.finishing.windows()).collect();
        // A window that is committed is committed up to here, so what came late for it must be closed too.
        for window in &windows {
            self.close(*window)?;
        }
        while self.finishing.len() > 0 {
            self.take_finished()?;
        }
        let is_committed = |window: i64| windows.contains(&window);
        let mut states: Vec<(usize, PartitionState, String)> = Vec::new();
        for (at, of) in self.partitions.iter().enumerate() {
            if !(of.ledger.is_touched_by(is_committed) || (all && of.ledger.is_ahead())) {
                continue;
            }
            let mut state = of.ledger.after(is_committed, &self.rules).map_err(|e| e.in_file(&of.id.0))?;
            state.identity = log.identity(&of.id, state.resume)?;
            let json = state.to_json()?;
            states.push((at, state, json));
        }
        self.dead.commit().map_err(|e| self.lost(e))?;
        if states.is_empty() {
            return Ok(());
        }
        let rows: u64 = self.closed.iter().map(|file| file.rows).sum();
        let transaction_done = self.transact(&states, rows);
        let version = match transaction_done {
            Ok(version) => version,
            Err(e) => {
                // Only a conflict says for sure that the commit is not there.
                self.in_doubt = !matches!(e, Error::Conflict(_));
                return Err(self.lost(e));
            }
        };
        for (at, state, json) in states {
            if let Some(of) = self.partitions.get_mut(at) {
                of.ledger.committed(state, is_committed);
                of.stored_json = Some(json);
            }
        }
        self.version = version;
        self.windows_committed.extend(&windows);
        self.summary.version = Some(version);
        self.summary.commits += 1;
        self.summary.files += self.closed.len() as u64;
        self.summary.rows_written += rows;
        self.summary.file_bytes += self.closed.iter().map(|file| file.add.bytes).sum::<u64>();
        self.summary.windows = self.windows_committed.len() as u64;
        self.closed.clear();
        Ok(())
    }

    fn transact(&mut self, states: &[(usize, PartitionState, String)], rows: u64) -> Result<u64> {
        let sink = &self.options.sink;
        let mut transaction = self.table.transaction();
        transaction.operation("INGEST");
        for file in &self.closed {
            transaction.add(file.add.clone());
        }
        let mut books = serde_json::Map::new();
        for (at, state, json) in states {
            let Some(of) = self.partitions.get(*at) else { return Err(no_partition()) };
            let domain = domain(sink, &of.id.0);
            transaction.expect_domain(&domain, of.stored_json.as_deref());
            transaction.txn(&domain, i64::try_from(state.epoch).unwrap_or(i64::MAX));
            transaction.set_domain(&domain, json);
            let entry = json!({"position": state.position, "records": state.position_records, "books": state.books});
            books.insert(of.id.0.clone(), entry);
        }
        transaction.commit_info("hypostyle", json!({"sink": sink, "rows": rows, "partitions": books}));
        transaction.commit()
    }

    /// A conflict in the words of a sink.
    fn lost(&self, e: Error) -> Error {
        let Error::Conflict(_) = e else { return e };
        Error::conflict(format!(
            "another writer owns a partition of the sink {}: stopped, nothing of this run since version {} is committed; let \
             one writer run, and start it again ({})",
            self.options.sink,
            self.version,
            e.message()
        ))
        .in_file(self.files.storage.name())
        .with_source(e)
    }

    /// Removes what was written and is not committed, as far as that is sure; `vacuum` finds the rest.
    pub(super) fn abandon(&mut self) {
        // Open files have no name yet: dropping them removes them, once nobody writes to them.
        self.open.values_mut().for_each(|open| drop(open.settle()));
        self.open.clear();
        while self.finishing.len() > 0 {
            let _ = self.take_finished();
        }
        if self.in_doubt {
            return;
        }
        for file in self.closed.drain(..) {
            let _ = self.files.storage.remove(&file.add.path);
        }
    }
}

fn no_partition() -> Error {
    Error::invalid("no such partition")
}

/// What is set aside of the budget for text being read.
const READING_BYTES: usize = 4 << 20;
/// A window that holds this part of the budget has enough for a row group.
const WORTH_A_ROW_GROUP: usize = 16;
/// A window that none of so many blocks has written to may be over.
const STALE_BLOCKS: u64 = 64;
