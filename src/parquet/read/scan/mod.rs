//! The scan: row group after row group into batches, the predicate's columns first.
//!
//! ```text
//! plan     which row groups, which rows of them can match, which match for sure
//! group    the columns' decoders, from row group to row group
//! window   the rows that are judged at a time, and what is read of them
//! filter   the predicate's parts in the order that was learned, each on the rows that are left
//! ```
//!
//! Without a predicate, every column is read for the batch's rows, across row groups. With one, a window of
//! candidate rows at a time: the predicate's columns are read and judged, then the other columns for the rows
//! that are left; pages without such rows are passed over.

mod filter;
mod group;
mod lanes;
mod parallel;
mod parts;
mod plan;
mod push;
mod summary;
mod top;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::coalesce::BatchCoalescer;

use self::group::{GroupReader, Quota};
use self::lanes::Lanes;
use self::parallel::{Parallel, Threads};
use self::plan::{GroupPlan, Request};
pub use self::push::{PlannedGroup, PushDecoder, PushStep, ScanPlan};
pub use self::summary::MinMax;
#[cfg(feature = "datafusion")]
pub(super) use self::summary::summaries;
pub(crate) use self::summary::{ColumnSummary, Extremes};
pub use self::top::TopK;
pub(super) use self::top::top_k;
use super::file::FileParts;
use super::split;
use super::{ColumnCounts, ReaderOptions, ScanCounts, ScanOptions};
use crate::error::{Error, Result};
use crate::storage::Input;

/// The batches of a scan. Ends after an error.
#[derive(Debug)]
pub struct Scan {
    request: Arc<Request>,
    /// What has the pages.
    data: Arc<dyn Input>,
    reader: GroupReader,
    groups: VecDeque<Next>,
    /// How many row groups may be begun now.
    may_open: usize,
    /// Rows in the batch that is begun, without a predicate.
    appended: usize,
    threads: Threads,
    /// Threads that have rows each.
    parallel: Option<Parallel>,
    /// Threads that have columns each.
    lanes: Option<Lanes>,
    quota: Quota,
    batches: Batches,
    counts: ScanCounts,
    is_done: bool,
}

/// A row group to be read.
#[derive(Debug)]
enum Next {
    Number(usize),
    Planned(GroupPlan),
}

impl Next {
    fn number(&self) -> usize {
        match self {
            Next::Number(number) => *number,
            Next::Planned(plan) => plan.number,
        }
    }
}

/// What comes next.
enum Step {
    Batch(RecordBatch),
    /// The next row group may not be begun yet.
    Wait,
    End,
}

impl Scan {
    pub(super) fn new(file: Arc<FileParts>, reader: &ReaderOptions, mut options: ScanOptions) -> Result<Scan> {
        let request = Arc::new(Request::new(file, reader, &mut options)?);
        let footer = &request.file.footer;
        let groups = split::groups(footer, options.row_groups, options.byte_range, options.start_offsets)?;
        let quota = Quota { skip: options.offset, left: options.limit.unwrap_or(u64::MAX) };
        let group_reader = match *groups {
            [group] if options.threads < 2 && request.is_batch(group, quota) => {
                GroupReader::alone(&request, &request.file.budget)?
            }
            _ => GroupReader::new(&request, &request.file.budget)?,
        };
        let all_bytes = groups.iter().map(|&number| request.group_bytes(number)).fold(0, u64::saturating_add);
        Ok(Scan {
            data: Arc::clone(&request.file.input),
            may_open: usize::MAX,
            appended: 0,
            threads: Threads { count: options.threads, is_ordered: !options.unordered },
            parallel: None,
            lanes: None,
            batches: Batches::new(Arc::clone(&request.schema), request.batch_rows),
            reader: group_reader,
            groups: groups.into_iter().map(Next::Number).collect(),
            quota,
            // What is read is taken off.
            counts: ScanCounts { bytes_skipped: all_bytes, ..ScanCounts::default() },
            is_done: false,
            request,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.request.schema
    }

    /// What has been read and what not; complete after the last batch.
    pub fn counts(&self) -> ScanCounts {
        let mut counts = self.counts;
        counts += self.reader.counts();
        counts += self.parallel.as_ref().map(Parallel::counts).unwrap_or_default();
        counts += self.lanes.as_ref().map(Lanes::counts).unwrap_or_default();
        counts.bytes_skipped = counts.bytes_skipped.saturating_sub(counts.bytes_read);
        counts
    }

    /// What has been read of each column, those of the predicate first; complete after the last batch.
    pub fn column_counts(&self) -> Vec<ColumnCounts> {
        let mut counts = self.reader.column_counts();
        ColumnCounts::merge(&mut counts, self.parallel.iter().flat_map(Parallel::column_counts));
        ColumnCounts::merge(&mut counts, self.lanes.iter().flat_map(Lanes::column_counts));
        counts
    }

    /// The next batch, or why there is none.
    fn step(&mut self) -> Result<Step> {
        if self.is_done {
            return Ok(Step::End);
        }
        let has_threads = self.parallel.is_some() || self.lanes.is_some();
        let is_parallel = self.threads.count > 1 && (has_threads || self.quota.left > self.request.batch_rows as u64);
        let step = if is_parallel { self.next_parallel() } else { self.next_here() };
        let step = step.and_then(|step| match &step {
            Step::Batch(batch) => {
                self.counts.rows_returned += batch.num_rows() as u64;
                Ok(step)
            }
            Step::Wait => Ok(step),
            Step::End => self.finish().map(|()| step),
        });
        step.map_err(|e| {
            self.is_done = true;
            (self.parallel, self.lanes) = (None, None);
            e.in_file(self.request.file.input.name())
        })
    }

    /// On the caller's thread.
    fn next_here(&mut self) -> Result<Step> {
        match self.request.condition {
            Some(_) => self.next_filtered(),
            None if self.reader.is_alone() => self.next_alone(),
            None => self.next_plain(),
        }
    }

    /// The only row group, which is a batch; not if others, or parts of it, have taken its place.
    fn next_alone(&mut self) -> Result<Step> {
        if !matches!(self.groups.make_contiguous(), [] | [Next::Number(_)]) {
            self.reader.make_decoders()?;
            return self.next_plain();
        }
        let Some(plan) = self.next_group()? else { return Ok(Step::End) };
        self.quota.left -= plan.rows as u64;
        self.reader.read_alone(&plan, &self.data).map(Step::Batch)
    }

    fn next_plain(&mut self) -> Result<Step> {
        let wanted = self.request.batch_rows.min(usize::try_from(self.quota.left).unwrap_or(usize::MAX));
        while self.appended < wanted {
            match self.open_group()? {
                Opened::Yes => {
                    self.reader.pass_over_sure(&mut self.quota);
                    self.appended += self.reader.append(wanted - self.appended)?;
                }
                Opened::Wait => return Ok(Step::Wait),
                Opened::End => break,
            }
        }
        let rows = std::mem::take(&mut self.appended);
        if rows == 0 {
            return Ok(Step::End);
        }
        self.quota.left -= rows as u64;
        self.reader.finish(rows).map(Step::Batch)
    }

    fn next_filtered(&mut self) -> Result<Step> {
        loop {
            if let Some(batch) = self.batches.next() {
                return Ok(Step::Batch(batch));
            }
            match self.open_group()? {
                Opened::Yes => {
                    if let Some(batch) = self.reader.window(&mut self.quota)? {
                        self.batches.push(batch)?;
                    }
                }
                Opened::Wait => return Ok(Step::Wait),
                Opened::End => return Ok(self.batches.rest()?.map_or(Step::End, Step::Batch)),
            }
        }
    }

    fn next_parallel(&mut self) -> Result<Step> {
        let count = self.threads.count;
        if self.lanes.is_none() && self.parallel.is_none() && Lanes::suit(&self.request, &self.groups, count) {
            self.lanes = Some(Lanes::new(&self.request, &mut self.groups, count, &mut self.quota)?);
        }
        if let Some(lanes) = &mut self.lanes {
            match lanes.next() {
                Err(Error::Limit(_)) => {
                    // One thread takes less memory.
                    let (groups, rows) = lanes.stop();
                    groups.into_iter().rev().for_each(|group| self.groups.push_front(group));
                    (self.threads.count, self.quota) = (1, Quota { skip: 0, left: rows });
                    return self.next_here();
                }
                next => return Ok(next?.map_or(Step::End, Step::Batch)),
            }
        }
        let parallel = match &mut self.parallel {
            Some(parallel) => parallel,
            None => {
                let groups = std::mem::take(&mut self.groups);
                self.parallel.insert(Parallel::new(&self.request, groups, self.threads, &mut self.quota)?)
            }
        };
        loop {
            if let Some(batch) = self.batches.next() {
                return Ok(Step::Batch(batch));
            }
            let batch = if self.quota.left > 0 { parallel.next()? } else { None };
            let Some(batch) = batch else {
                return Ok(self.batches.rest()?.map_or(Step::End, Step::Batch));
            };
            if let Some(batch) = self.quota.cut(batch) {
                self.batches.push(batch)?;
            }
        }
    }

    /// Makes sure that a group with rows to read is open.
    fn open_group(&mut self) -> Result<Opened> {
        loop {
            if !self.reader.is_done() && self.quota.left > 0 {
                return Ok(Opened::Yes);
            }
            self.reader.end()?;
            if self.quota.left == 0 || self.groups.is_empty() {
                return Ok(Opened::End);
            }
            let Some(may_open) = self.may_open.checked_sub(1) else { return Ok(Opened::Wait) };
            self.may_open = may_open;
            if let Some(plan) = self.next_group()? {
                self.reader.start(plan, &self.data)?;
            }
        }
    }

    /// What to read of the next row group, if anything.
    fn next_group(&mut self) -> Result<Option<GroupPlan>> {
        let plan = match self.groups.pop_front() {
            Some(Next::Number(number)) => self.request.plan_group(number, &mut self.counts)?,
            Some(Next::Planned(plan)) => Some(plan),
            None => None,
        };
        self.counts.row_groups_read += u64::from(plan.is_some());
        Ok(plan)
    }

    /// Ends the scan's books: what was not reached is skipped.
    fn finish(&mut self) -> Result<()> {
        self.is_done = true;
        self.reader.end()?;
        if let Some(parallel) = self.parallel.as_mut() {
            parallel.finish();
        }
        self.counts.row_groups_skipped += self.groups.len() as u64;
        self.groups.clear();
        Ok(())
    }
}

/// What became of opening a row group.
enum Opened {
    Yes,
    Wait,
    End,
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        match self.step() {
            Ok(Step::Batch(batch)) => Some(Ok(batch)),
            Ok(Step::Wait | Step::End) => None,
            Err(e) => Some(Err(e)),
        }
    }
}

/// Makes batches of what windows leave: small pieces are put together, large ones pass as they are.
///
/// A coalescer makes room for a whole batch with its first row. Most look-ups leave a few rows in all, which wait in a smaller
/// one: their batch holds no memory of others.
#[derive(Debug)]
struct Batches {
    schema: SchemaRef,
    /// Made for the first small piece: a scan without a predicate has none.
    pieces: Option<Pieces>,
    ready: VecDeque<RecordBatch>,
    batch_rows: usize,
}

#[derive(Debug)]
struct Pieces {
    few: BatchCoalescer,
    /// Holds rows only while `few` does not.
    many: BatchCoalescer,
}

/// The part of a batch that waits in [`Pieces::few`].
const FEW_PART: usize = 16;

impl Batches {
    fn new(schema: SchemaRef, batch_rows: usize) -> Batches {
        Batches { schema, pieces: None, ready: VecDeque::new(), batch_rows }
    }

    fn push(&mut self, batch: RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows < self.batch_rows.div_ceil(4) {
            let few_rows = self.batch_rows.div_ceil(FEW_PART);
            let Pieces { few, many } = self.pieces.get_or_insert_with(|| Pieces {
                few: BatchCoalescer::new(Arc::clone(&self.schema), few_rows),
                many: BatchCoalescer::new(Arc::clone(&self.schema), self.batch_rows),
            });
            if many.get_buffered_rows() == 0 {
                if few.get_buffered_rows() + rows < few_rows {
                    return Ok(few.push_batch(batch)?);
                }
                few.finish_buffered_batch()?;
                if let Some(few) = few.next_completed_batch() {
                    many.push_batch(few)?;
                }
            }
            many.push_batch(batch)?;
            self.ready.extend(many.next_completed_batch());
            return Ok(());
        }
        self.flush()?;
        let mut at = 0;
        while at < rows {
            let count = self.batch_rows.min(rows - at);
            self.ready.push_back(batch.slice(at, count));
            at += count;
        }
        Ok(())
    }

    fn next(&mut self) -> Option<RecordBatch> {
        self.ready.pop_front()
    }

    /// The last pieces, when no more come.
    fn rest(&mut self) -> Result<Option<RecordBatch>> {
        self.flush()?;
        Ok(self.next())
    }

    fn flush(&mut self) -> Result<()> {
        for coalescer in self.pieces.iter_mut().flat_map(|pieces| [&mut pieces.few, &mut pieces.many]) {
            coalescer.finish_buffered_batch()?;
            self.ready.extend(coalescer.next_completed_batch());
        }
        Ok(())
    }
}
