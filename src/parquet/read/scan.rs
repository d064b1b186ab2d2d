//! The scan: row group after row group into batches, the predicate's columns first.
//!
//! Without a predicate, every column is read for the batch's rows, across row groups. With one, a window of
//! candidate rows at a time: the predicate's columns are read and judged, then the other columns for the rows
//! that are left; pages without such rows are passed over.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::coalesce::BatchCoalescer;
use arrow_select::filter::FilterBuilder;

use crate::error::{Error, Result};
use crate::predicate::BoundPredicate;

use super::evolve::{ColumnReader, Columns, Found};
use super::file::FileParts;
use super::prune::{Answer, Named, Question};
use super::selection::Selection;
use super::split;
use super::{Pruning, ReaderOptions, ScanCounts, ScanOptions};

/// Rows that match in runs shorter than this on average are read with their neighbours, and filtered after.
const RUN_ROWS_MIN: usize = 8;

/// The batches of a scan. Ends after an error.
#[derive(Debug)]
pub struct Scan {
    file: Arc<FileParts>,
    schema: SchemaRef,
    batch_rows: usize,
    /// The decoders; those of the predicate's columns come first.
    columns: Vec<ScanColumn>,
    /// Which of them the batches hold.
    output: Vec<usize>,
    filter: Option<Filter>,
    groups: VecDeque<usize>,
    group: Option<Group>,
    /// Rows that may still be returned.
    left: u64,
    counts: ScanCounts,
    is_done: bool,
}

#[derive(Debug)]
struct ScanColumn {
    decoder: ColumnReader,
    field: usize,
    is_output: bool,
}

/// What a predicate adds to a scan.
#[derive(Debug)]
struct Filter {
    predicate: BoundPredicate,
    /// Its columns, the first of the scan's.
    columns: Vec<Named>,
    schema: SchemaRef,
    pruning: Pruning,
    verify_crc: bool,
    /// Makes whole batches of what is left of windows.
    coalescer: BatchCoalescer,
}

/// The row group that is being read.
#[derive(Debug)]
struct Group {
    number: usize,
    /// Rows to read yet.
    selection: Selection,
    /// All columns stand before this row.
    at: usize,
    rows: usize,
    /// Statistics say that the predicate is true for all rows.
    all_match: bool,
}

impl Scan {
    pub(super) fn new(file: Arc<FileParts>, reader: &ReaderOptions, mut options: ScanOptions) -> Result<Scan> {
        let named = Columns::new(&file, &mut options);
        let all = &named.schema;
        let names = options.columns.unwrap_or_else(|| all.fields().iter().map(|f| f.name().clone()).collect());
        let bound = options.predicate.map(|p| p.bind(all)).transpose()?;
        let budget = file.budget.clone();
        let mut columns: Vec<ScanColumn> = Vec::new();
        let mut add = |name: &str, is_output: bool| -> Result<(usize, Named, Arc<Field>)> {
            let found = named.find(&file, name)?;
            let at = match columns.iter().position(|c| c.field == found.number) {
                Some(at) => at,
                None => {
                    let decoder = ColumnReader::new(&file, &found, &budget, reader.verify_crc)?;
                    columns.push(ScanColumn { decoder, field: found.number, is_output: false });
                    columns.len() - 1
                }
            };
            if let Some(column) = columns.get_mut(at) {
                column.is_output |= is_output;
            }
            let Found { field, leaf, origin, .. } = found;
            Ok((at, Named { name: name.to_string(), leaf, origin }, field))
        };
        let mut filter_columns = Vec::new();
        let mut filter_fields = Vec::new();
        for name in bound.iter().flat_map(BoundPredicate::columns) {
            let (_, named, field) = add(&name, false)?;
            if field.data_type().is_nested() {
                return Err(Error::unsupported(format!("a predicate on a {}", field.data_type())).in_column(name));
            }
            filter_columns.push(named);
            filter_fields.push(field);
        }
        let mut output = Vec::with_capacity(names.len());
        let mut fields = Vec::with_capacity(names.len());
        for name in &names {
            let (at, _, field) = add(name, true)?;
            output.push(at);
            fields.push(field);
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, all.metadata().clone()));
        let filter = bound.map(|predicate| Filter {
            predicate,
            columns: filter_columns,
            schema: Arc::new(Schema::new(filter_fields)),
            pruning: options.pruning,
            verify_crc: reader.verify_crc,
            coalescer: BatchCoalescer::new(Arc::clone(&schema), reader.batch_rows)
                .with_biggest_coalesce_batch_size(Some(reader.batch_rows / 2)),
        });
        let groups = split::groups(&file.footer, options.row_groups, options.byte_range, options.start_offsets)?;
        Ok(Scan {
            file,
            schema,
            batch_rows: reader.batch_rows,
            columns,
            output,
            filter,
            groups: groups.into(),
            group: None,
            left: options.limit.unwrap_or(u64::MAX),
            counts: ScanCounts::default(),
            is_done: false,
        })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What has been read and what not; complete after the last batch.
    pub fn counts(&self) -> ScanCounts {
        self.counts
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.filter.is_some() { self.next_filtered() } else { self.next_plain() }
    }

    fn next_plain(&mut self) -> Result<Option<RecordBatch>> {
        let wanted = self.batch_rows.min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut rows = 0;
        while rows < wanted && self.open_group()? {
            let Some(group) = &mut self.group else { break };
            let take = group.selection.split_front(wanted - rows).rows();
            for column in &mut self.columns {
                column.decoder.read(take)?;
            }
            group.at += take;
            rows += take;
        }
        if rows == 0 {
            return Ok(None);
        }
        self.left -= rows as u64;
        self.counts.rows_read += rows as u64;
        let mut arrays: Vec<Option<ArrayRef>> = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            arrays.push(Some(column.decoder.finish()?));
        }
        self.batch(&arrays, rows).map(Some)
    }

    fn next_filtered(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(filter) = &mut self.filter {
                if let Some(batch) = filter.coalescer.next_completed_batch() {
                    return Ok(Some(batch));
                }
                if self.left == 0 || (self.group.is_none() && self.groups.is_empty()) {
                    filter.coalescer.finish_buffered_batch()?;
                    return Ok(filter.coalescer.next_completed_batch());
                }
            }
            if !self.open_group()? {
                continue;
            }
            if let Some(batch) = self.window()?
                && let Some(filter) = &mut self.filter
            {
                filter.coalescer.push_batch(batch)?;
            }
        }
    }

    /// Reads the next candidate rows of the open group; those that match.
    fn window(&mut self) -> Result<Option<RecordBatch>> {
        let Some((group, filter)) = self.group.as_mut().zip(self.filter.as_ref()) else { return Ok(None) };
        let window = group.selection.split_front(self.batch_rows);
        let rows = window.rows();
        let all_match = group.all_match;
        let start = group.at;
        let end = window.ranges().last().map_or(start, |r| r.end);
        group.at = end;

        let mut arrays: Vec<Option<ArrayRef>> = vec![None; self.columns.len()];
        let filter_columns = filter.columns.len();
        let mut mask = BooleanBuffer::new_set(rows);
        if !all_match {
            self.counts.rows_read += rows as u64;
            let mut judged = Vec::with_capacity(filter_columns);
            for (column, slot) in self.columns.iter_mut().zip(&mut arrays).take(filter_columns) {
                read_ranges(&mut column.decoder, start, window.ranges(), end)?;
                let array = column.decoder.finish()?;
                judged.push(Arc::clone(&array));
                *slot = Some(array);
            }
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(Arc::clone(&filter.schema), judged, &options)?;
            mask = is_true(&filter.predicate.evaluate(&batch)?);
        }
        let mut matching = mask.count_set_bits();
        if matching as u64 > self.left {
            mask = first_set(&mask, usize::try_from(self.left).unwrap_or(usize::MAX));
            matching = mask.count_set_bits();
        }
        self.left -= matching as u64;
        if matching == 0 {
            for (column, array) in self.columns.iter_mut().zip(&arrays) {
                if array.is_none() {
                    column.decoder.skip(end - start);
                }
            }
            return Ok(None);
        }
        let is_all = matching == rows;
        let runs = if is_all { Vec::new() } else { mask.set_slices().collect::<Vec<_>>() };
        let by_runs = !is_all && matching >= runs.len() * RUN_ROWS_MIN;
        let wanted = if by_runs { rows_of(&window, &runs) } else { window.clone() };
        let by_mask = (!is_all).then(|| FilterBuilder::new(&BooleanArray::new(mask, None)).optimize().build());
        for (column, slot) in self.columns.iter_mut().zip(&mut arrays) {
            if let Some(array) = slot {
                if let Some(by_mask) = &by_mask
                    && column.is_output
                {
                    *array = by_mask.filter(array)?;
                }
                continue;
            }
            if !column.is_output {
                column.decoder.skip(end - start);
                continue;
            }
            read_ranges(&mut column.decoder, start, wanted.ranges(), end)?;
            let array = column.decoder.finish()?;
            *slot = Some(match &by_mask {
                Some(by_mask) if !by_runs => by_mask.filter(&array)?,
                _ => array,
            });
        }
        self.batch(&arrays, matching).map(Some)
    }

    /// Makes sure that a group with rows to read is open; false when there is none left.
    fn open_group(&mut self) -> Result<bool> {
        loop {
            if self.group.as_ref().is_some_and(|g| !g.selection.is_empty()) && self.left > 0 {
                return Ok(true);
            }
            self.close_group()?;
            if self.left == 0 {
                return Ok(false);
            }
            let Some(number) = self.groups.pop_front() else { return Ok(false) };
            let rows = self.file.group_rows(number)?;
            let answer = match &self.filter {
                Some(filter) => filter.question(&self.file).ask(number)?,
                None => {
                    Answer { selection: Selection::all(rows), all_match: false, dropped_by: None, bytes_fetched: 0 }
                }
            };
            self.counts.count(&answer, rows);
            let Answer { selection, all_match, .. } = answer;
            if selection.is_empty() && rows > 0 {
                self.count_skipped(number);
                continue;
            }
            self.counts.row_groups_read += 1;
            for column in &mut self.columns {
                column.decoder.start(&self.file, number, rows, &selection, self.filter.is_some())?;
            }
            self.group = Some(Group { number, selection, at: 0, rows, all_match });
        }
    }

    fn close_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut bytes_read = 0;
        for column in &mut self.columns {
            let counts = column.decoder.end(group.at == group.rows)?;
            self.counts.pages_read += counts.pages_read;
            self.counts.pages_skipped += counts.pages_skipped;
            bytes_read += counts.bytes_read;
        }
        self.counts.bytes_read += bytes_read;
        self.counts.bytes_skipped += self.group_bytes(group.number).saturating_sub(bytes_read);
        Ok(())
    }

    /// Ends the scan's books: what was not reached is skipped.
    fn finish(&mut self) -> Result<()> {
        self.is_done = true;
        self.close_group()?;
        while let Some(number) = self.groups.pop_front() {
            self.count_skipped(number);
        }
        Ok(())
    }

    fn count_skipped(&mut self, number: usize) {
        self.counts.row_groups_skipped += 1;
        self.counts.bytes_skipped += self.group_bytes(number);
    }

    /// Bytes of all column chunks of a group.
    fn group_bytes(&self, number: usize) -> u64 {
        // These are counts: a chunk that cannot be read is an error where its column is.
        self.file.footer.stored_bytes(number).flatten().fold(0, u64::saturating_add)
    }

    fn batch(&self, arrays: &[Option<ArrayRef>], rows: usize) -> Result<RecordBatch> {
        let columns = self.output.iter().filter_map(|&at| arrays.get(at).cloned().flatten()).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        if self.is_done {
            return None;
        }
        let result = self.next_batch().and_then(|batch| match batch {
            Some(batch) => {
                self.counts.rows_returned += batch.num_rows() as u64;
                Ok(Some(batch))
            }
            None => self.finish().map(|()| None),
        });
        match result {
            Ok(batch) => batch.map(Ok),
            Err(e) => {
                self.is_done = true;
                Some(Err(e.in_file(self.file.input.name())))
            }
        }
    }
}

impl Filter {
    fn question<'a>(&'a self, file: &'a FileParts) -> Question<'a> {
        Question {
            file,
            columns: &self.columns,
            predicate: &self.predicate,
            pruning: self.pruning,
            verify_crc: self.verify_crc,
        }
    }
}

/// Reads `ranges` of rows, standing before `start`, and goes to `end`.
fn read_ranges(decoder: &mut ColumnReader, start: usize, ranges: &[Range<usize>], end: usize) -> Result<()> {
    let mut at = start;
    for range in ranges {
        decoder.skip(range.start - at);
        decoder.read(range.len())?;
        at = range.end;
    }
    decoder.skip(end - at);
    Ok(())
}

/// The rows of `window` at `runs`, which count its rows from 0.
fn rows_of(window: &Selection, runs: &[(usize, usize)]) -> Selection {
    let mut rows = Selection::default();
    let mut ranges = window.ranges().iter();
    let mut range = ranges.next().cloned().unwrap_or_default();
    // What the window's rows before `range` are.
    let mut before = 0;
    for &(start, end) in runs {
        let mut at = start;
        while at < end {
            while before + range.len() <= at {
                before += range.len();
                match ranges.next() {
                    Some(next) => range = next.clone(),
                    None => return rows,
                }
            }
            let first = range.start + (at - before);
            let count = (end - at).min(range.end - first);
            rows.push(first..first + count);
            at += count;
        }
    }
    rows
}

/// The rows for which the answer is true.
fn is_true(answers: &BooleanArray) -> BooleanBuffer {
    match answers.nulls() {
        Some(nulls) => answers.values() & nulls.inner(),
        None => answers.values().clone(),
    }
}

/// The first `count` set bits.
fn first_set(mask: &BooleanBuffer, count: usize) -> BooleanBuffer {
    let cut = mask.set_indices().nth(count).unwrap_or(mask.len());
    BooleanBuffer::collect_bool(mask.len(), |at| at < cut && mask.value(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_window_are_rows_of_the_group() {
        let mut window = Selection::default();
        window.push(10..15);
        window.push(20..22);
        window.push(30..40);
        let rows = rows_of(&window, &[(0, 1), (3, 8), (16, 17)]);
        assert_eq!(rows.ranges(), [10..11, 13..15, 20..22, 30..31, 39..40]);
        assert!(rows_of(&window, &[(17, 20)]).is_empty());
    }

    #[test]
    fn a_limit_keeps_the_first_matches() {
        let mask = BooleanBuffer::from(vec![false, true, true, false, true]);
        let kept: Vec<usize> = first_set(&mask, 2).set_indices().collect();
        assert_eq!(kept, [1, 2]);
        assert_eq!(first_set(&mask, 9), mask);
        assert_eq!(first_set(&mask, 0).count_set_bits(), 0);
    }
}
