//! One row group after another: the decoders of a scan's columns, and what they read of the open group.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use super::filter::Filter;
use super::plan::{GroupPlan, Output, Request};
use super::window::Window;
use crate::error::Result;
use crate::parquet::read::budget::Budget;
use crate::parquet::read::column::ChunkCounts;
use crate::parquet::read::evolve::ColumnReader;
use crate::parquet::read::selection::Selection;
use crate::parquet::read::{ColumnCounts, ScanCounts};
use crate::storage::Input;

/// A window grows to so many batches' rows where few rows match: what a window costs besides its rows is paid less often.
const WINDOW_BATCHES_MAX: usize = 4;
/// It grows as long as it leaves less than this part of a batch: where more is left, columns are read for most of its rows, and
/// arrays of many rows are fresh memory, which takes longer than what is saved.
const FEW: f64 = 1.0 / 256.0;

/// Reads row groups, one at a time.
#[derive(Debug)]
pub(super) struct GroupReader {
    request: Arc<Request>,
    budget: Budget,
    /// One a column; none where columns are read [alone](GroupReader::read_alone).
    decoders: Vec<ColumnReader>,
    /// Bytes of values of the columns that were read alone.
    decoded_alone: Vec<u64>,
    filter: Option<Filter>,
    open: Option<Open>,
    window_rows: usize,
    /// The places in the file of the rows that were appended, if they are asked for.
    row_numbers: Vec<i64>,
    counts: ScanCounts,
    /// Of the chunks that were ended, one a column.
    columns: Vec<ChunkCounts>,
    /// Bytes of values that were counted by [`GroupReader::take_counts`], one a column.
    taken: Vec<u64>,
}

/// The row group that is being read.
#[derive(Debug)]
struct Open {
    plan: GroupPlan,
    /// Rows to read yet.
    todo: Selection,
    /// All columns stand before this row.
    at: usize,
}

/// Which of the rows that match are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    /// The first so many are not.
    pub skip: u64,
    /// So many of those after them are.
    pub left: u64,
}

impl Quota {
    pub(super) const ALL: Quota = Quota { skip: 0, left: u64::MAX };

    /// The rows of a batch that are wanted.
    pub(super) fn cut(&mut self, batch: RecordBatch) -> Option<RecordBatch> {
        let rows = batch.num_rows();
        let first = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows);
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(rows - first);
        self.skip -= first as u64;
        self.left -= count as u64;
        (count > 0).then(|| if count == rows { batch } else { batch.slice(first, count) })
    }
}

impl GroupReader {
    pub(super) fn new(request: &Arc<Request>, budget: &Budget) -> Result<GroupReader> {
        let mut reader = GroupReader::without_decoders(request, budget);
        reader.decoders = request.decoders(&reader.budget)?;
        Ok(reader)
    }

    /// For a scan of one row group that is a batch, which is [read alone](Self::read_alone); all its columns can be read.
    pub(super) fn alone(request: &Arc<Request>, budget: &Budget) -> Result<GroupReader> {
        let mut reader = GroupReader::without_decoders(request, budget);
        request.check(&reader.budget)?;
        reader.decoded_alone = vec![0; request.columns.len()];
        Ok(reader)
    }

    /// Whether it reads alone.
    pub(super) fn is_alone(&self) -> bool {
        !self.decoded_alone.is_empty()
    }

    /// From now on it does not.
    pub(super) fn make_decoders(&mut self) -> Result<()> {
        if self.is_alone() {
            self.decoders = self.request.decoders(&self.budget)?;
            self.decoded_alone.clear();
        }
        Ok(())
    }

    fn without_decoders(request: &Arc<Request>, budget: &Budget) -> GroupReader {
        let filter = request.condition.as_ref().map(|condition| Filter::new(request, condition));
        GroupReader {
            request: Arc::clone(request),
            decoders: Vec::new(),
            decoded_alone: Vec::new(),
            budget: budget.for_scan(1),
            filter,
            open: None,
            window_rows: request.batch_rows,
            row_numbers: Vec::new(),
            counts: ScanCounts::default(),
            columns: vec![ChunkCounts::default(); request.columns.len()],
            taken: vec![0; request.columns.len()],
        }
    }

    /// Goes to the start of a row group, whose pages are in `data`; the one before has been ended.
    pub(super) fn start(&mut self, plan: GroupPlan, data: &Arc<dyn Input>) -> Result<()> {
        for (decoder, is_needed) in self.decoders.iter_mut().zip(self.request.needed(&plan)) {
            if is_needed {
                plan.start(&self.request, decoder, data)?;
            }
        }
        if let Some(filter) = &mut self.filter {
            filter.start(&plan);
        }
        // What is left of a group is judged at once, if it is little: no page is needed twice then.
        let few = plan.candidates.rows();
        let at_once = self.request.batch_rows.saturating_mul(WINDOW_BATCHES_MAX);
        if few <= at_once && few <= plan.rows / WINDOW_BATCHES_MAX && self.budget.is_mostly_free() {
            self.window_rows = self.window_rows.max(few);
        }
        let todo = plan.candidates.clone();
        self.open = Some(Open { plan, todo, at: 0 });
        Ok(())
    }

    /// The bytes that would be fetched for a row group, by column.
    pub(super) fn ranges(&mut self, plan: &GroupPlan) -> Result<Vec<(String, Vec<Range<u64>>)>> {
        let is_selective = plan.is_selective(&self.request);
        let mut ranges: Vec<(String, Vec<Range<u64>>)> = Vec::new();
        let needed = self.request.needed(plan);
        for ((decoder, column), _) in
            self.decoders.iter_mut().zip(&self.request.columns).zip(needed).filter(|(_, is_needed)| *is_needed)
        {
            let of = decoder.ranges(&self.request.file, plan.number, &plan.candidates, is_selective)?;
            // Parts of one column are one.
            match ranges.iter_mut().find(|(name, _)| name == column.name()) {
                Some((_, ranges)) => ranges.extend(of),
                None => ranges.push((column.name().to_owned(), of)),
            }
        }
        Ok(ranges)
    }

    /// What is left to read of the open group.
    pub(super) fn left(&self) -> Selection {
        self.open.as_ref().map_or_else(Selection::default, |open| open.todo.clone())
    }

    /// Whether no group is open of which rows are left.
    pub(super) fn is_done(&self) -> bool {
        self.open.as_ref().is_none_or(|open| open.todo.is_empty())
    }

    /// Ends the open group.
    pub(super) fn end(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        for (decoder, column) in self.decoders.iter_mut().zip(&mut self.columns) {
            let counts = decoder.end(open.at == open.plan.rows)?;
            count(&mut self.counts, counts);
            *column += counts;
        }
        Ok(())
    }

    /// What was read since the counts were taken.
    pub(super) fn counts(&self) -> ScanCounts {
        let bytes_decoded = self.decoded().sum::<u64>() - self.taken.iter().sum::<u64>();
        ScanCounts { bytes_decoded, ..self.counts }
    }

    /// Bytes of the values made so far, by column.
    fn decoded(&self) -> impl Iterator<Item = u64> {
        self.decoders.iter().map(ColumnReader::decoded).chain(self.decoded_alone.iter().copied())
    }

    /// The same by column; parts of one are one.
    pub(super) fn column_counts(&self) -> Vec<ColumnCounts> {
        let mut all = Vec::with_capacity(self.columns.len());
        let columns = self.request.columns.iter().zip(&self.columns).zip(self.decoded().zip(&self.taken));
        let of = columns.map(|((column, counts), (decoded, taken))| counts.of_column(column.name(), decoded - taken));
        ColumnCounts::merge(&mut all, of);
        all
    }

    /// Both, which then begin anew.
    pub(super) fn take_counts(&mut self) -> (ScanCounts, Vec<ColumnCounts>) {
        let taken = (self.counts(), self.column_counts());
        self.counts = ScanCounts::default();
        self.columns.fill(ChunkCounts::default());
        self.taken = self.decoded().collect();
        taken
    }

    /// Without a predicate: appends at most `rows` rows of the open group to the batch; how many.
    pub(super) fn append(&mut self, rows: usize) -> Result<usize> {
        let Some(open) = &mut self.open else { return Ok(0) };
        let part = open.todo.split_front(rows);
        for range in part.ranges() {
            for decoder in &mut self.decoders {
                decoder.skip(range.start - open.at);
                decoder.read(range.len())?;
            }
            open.at = range.end;
        }
        if self.request.output.contains(&Output::RowNumbers) {
            self.row_numbers.extend(open.plan.row_numbers(&part));
        }
        Ok(part.rows())
    }

    /// Reads all rows of a row group, without a predicate, as a batch: each column from its decoder's beginning to its end, so that
    /// the memory of one is the next one's: of many columns of few rows, to find memory is most of the work.
    pub(super) fn read_alone(&mut self, plan: &GroupPlan, data: &Arc<dyn Input>) -> Result<RecordBatch> {
        let request = Arc::clone(&self.request);
        let mut arrays = Vec::with_capacity(request.columns.len());
        let columns = request.columns.iter().zip(self.columns.iter_mut().zip(&mut self.decoded_alone));
        for (wanted, (column, decoded)) in columns {
            let mut decoder = request.decoder(wanted, &self.budget)?;
            plan.start(&request, &mut decoder, data)?;
            decoder.read(plan.rows)?;
            arrays.push(Some(decoder.finish()?));
            let counts = decoder.end(true)?;
            count(&mut self.counts, counts);
            *column += counts;
            *decoded += decoder.decoded();
        }
        self.counts.rows_read += plan.rows as u64;
        let row_numbers = match request.output.contains(&Output::RowNumbers) {
            true => plan.row_numbers(&plan.candidates).collect(),
            false => Vec::new(),
        };
        request.batch(&arrays, row_numbers, plan.rows)
    }

    /// What was appended, `rows` rows.
    pub(super) fn finish(&mut self, rows: usize) -> Result<RecordBatch> {
        self.counts.rows_read += rows as u64;
        let arrays: Vec<Option<ArrayRef>> =
            self.decoders.iter_mut().map(|decoder| decoder.finish().map(Some)).collect::<Result<_>>()?;
        let row_numbers = std::mem::take(&mut self.row_numbers);
        self.request.batch(&arrays, row_numbers, rows)
    }

    /// Passes over the first rows of the open group that match, if that can be done without reading any.
    pub(super) fn pass_over_sure(&mut self, quota: &mut Quota) {
        let Some(open) = &mut self.open else { return };
        while quota.skip > 0
            && let Some(first) = open.todo.ranges().first().map(|r| r.start)
            && let (true, end) = open.plan.sure.stretch(first)
        {
            let part = open.todo.split_front_before(usize::try_from(quota.skip).unwrap_or(usize::MAX), end);
            quota.skip -= part.rows() as u64;
        }
    }

    /// With a predicate: judges the next rows of the open group; those that match, of which there may be none.
    pub(super) fn window(&mut self, quota: &mut Quota) -> Result<Option<RecordBatch>> {
        self.pass_over_sure(quota);
        let request = Arc::clone(&self.request);
        let Some((open, (filter, condition))) =
            self.open.as_mut().zip(self.filter.as_mut().zip(request.condition.as_ref()))
        else {
            return Ok(None);
        };
        let Some(first) = open.todo.ranges().first().map(|r| r.start) else { return Ok(None) };
        let (is_sure, end) = open.plan.sure.stretch(first);
        let left = usize::try_from(quota.left).unwrap_or(usize::MAX);
        let most = if is_sure { request.batch_rows.min(left) } else { self.window_rows };
        let part = open.todo.split_front_before(most, end);
        let next = open.todo.ranges().first().map_or(open.plan.rows, |r| r.start);
        let mut window = Window::new(part, open.at, next, self.decoders.len());
        open.at = window.end();
        if !is_sure {
            self.counts.rows_read += window.rows() as u64;
            filter.judge(&request, condition, &open.plan, &mut window, &mut self.decoders)?;
            let skipped = quota.skip.min(window.alive_rows as u64);
            quota.skip -= skipped;
            window.cut(usize::try_from(skipped).unwrap_or(usize::MAX), left);
        }
        let matching = window.alive_rows;
        quota.left -= matching as u64;
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.decoders.len()];
        for ((at, decoder), array) in self.decoders.iter_mut().enumerate().zip(&mut arrays) {
            if matching > 0 && request.columns.get(at).is_some_and(|c| c.is_output) {
                window.read(at, decoder)?;
                *array = window.take_last(at)?;
            } else {
                window.pass_over(at, decoder);
            }
        }
        if matching == 0 {
            self.choose_window();
            return Ok(None);
        }
        let row_numbers = match request.output.contains(&Output::RowNumbers) {
            true => open.plan.row_numbers(&window.alive_in_group()).collect(),
            false => Vec::new(),
        };
        self.choose_window();
        request.batch(&arrays, row_numbers, matching).map(Some)
    }

    /// The rows of the next window, by what the last ones left.
    fn choose_window(&mut self) {
        let batch_rows = self.request.batch_rows;
        let share = self.filter.as_ref().and_then(|filter| filter.share.seen()).unwrap_or(1.0);
        let left = share * self.window_rows as f64;
        // A larger one must not be what exceeds the budget.
        self.window_rows = if left < FEW * batch_rows as f64 && self.budget.is_mostly_free() {
            (self.window_rows * 2).min(batch_rows.saturating_mul(WINDOW_BATCHES_MAX))
        } else if left > 8.0 * FEW * batch_rows as f64 {
            batch_rows
        } else {
            self.window_rows
        };
    }
}

/// Adds what a column read of one chunk.
fn count(all: &mut ScanCounts, of: ChunkCounts) {
    all.pages_read += of.pages_read;
    all.pages_skipped += of.pages_skipped;
    all.bytes_read += of.bytes_read;
    all.bytes_decompressed += of.bytes_decompressed;
}
