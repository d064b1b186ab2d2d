//! The rows with the least or greatest values of a column.
//!
//! Row groups are visited in the order of their bounds, the best first. Once there are enough rows, the worst of them is a
//! condition on all that follow, so row groups and pages whose bounds are no better are passed over by the ways of any
//! predicate. Up to here only the column itself is read, and those of the predicate; the other columns are read for the
//! rows that have won, and no others.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt64Array};
use arrow_ord::sort::{SortColumn, lexsort_to_indices};
use arrow_schema::SortOptions;
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;

use super::plan::{GroupPlan, Output};
use super::summary::{comparable, order};
use super::{Next, Scan};
use crate::error::{Error, Result};
use crate::parquet::read::file::FileParts;
use crate::parquet::read::selection::Selection;
use crate::parquet::read::{ReaderOptions, ScanOptions};
use crate::predicate::{ColumnBounds, Comparison, Literal, Predicate, col};

/// Which rows of a file or table come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopK {
    /// By this column.
    pub column: String,
    /// The greatest values first; else the least. Rows without a value come last either way.
    pub descending: bool,
    /// So many rows at most.
    pub rows: usize,
}

impl TopK {
    /// The `rows` rows with the least values.
    pub fn least(column: impl Into<String>, rows: usize) -> TopK {
        TopK { column: column.into(), descending: false, rows }
    }

    /// The `rows` rows with the greatest values.
    pub fn greatest(column: impl Into<String>, rows: usize) -> TopK {
        TopK { descending: true, ..TopK::least(column, rows) }
    }

    /// What a row must fulfil to come before all of these, which are as many as are wanted and in order; none if nothing is
    /// known to be.
    pub(crate) fn condition(&self, best: &RecordBatch) -> Option<Predicate> {
        let last = best.column_by_name(&self.column).filter(|_| best.num_rows() >= self.rows.max(1))?;
        let last = comparable(&last.slice(last.len() - 1, 1)).ok()?;
        let worst = Literal::from_array(&last)?;
        let op = if self.descending { Comparison::Gt } else { Comparison::Lt };
        let better = col(&self.column).compare(op, worst);
        // What the column cannot be compared with is no condition.
        better.bind(&best.schema()).is_ok().then_some(better)
    }

    /// Parts of a file or table by what is known of the column in them: those first that may hold the first rows.
    pub(crate) fn in_order<T>(&self, parts: Vec<(T, ColumnBounds)>) -> Result<Vec<T>> {
        let mut sorted = Vec::with_capacity(parts.len());
        for (part, bounds) in parts {
            // A NaN would be greater than its bound.
            let is_known = |max: &ArrayRef| !max.data_type().is_floating() || bounds.nan_count == Some(0);
            let bound = if self.descending { bounds.max.filter(is_known) } else { bounds.min };
            sorted.push((part, bound.map(|bound| comparable(&bound)).transpose()?));
        }
        let mut failed = None;
        // What is not known may be best.
        sorted.sort_by(|(_, a), (_, b)| match (a, b) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => {
                let order = order(a, b).unwrap_or_else(|e| {
                    failed = Some(e);
                    Ordering::Equal
                });
                if self.descending { order.reverse() } else { order }
            }
        });
        failed.map_or(Ok(()), Err)?;
        Ok(sorted.into_iter().map(|(part, _)| part).collect())
    }

    /// The first rows of both; of equals, those that come first here.
    pub(crate) fn merge(&self, best: &RecordBatch, more: &RecordBatch) -> Result<RecordBatch> {
        let all = concat_batches(&best.schema(), [best, more])?;
        let key = all.column_by_name(&self.column).ok_or_else(|| Error::invalid("the batch lacks it"))?;
        let options = Some(SortOptions { descending: self.descending, nulls_first: false });
        let places: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..all.num_rows() as u64));
        let columns = [SortColumn { values: comparable(key)?, options }, SortColumn { values: places, options: None }];
        let indices = lexsort_to_indices(&columns, Some(self.rows))?;
        Ok(take_record_batch(&all, &indices)?)
    }
}

/// The column of row numbers among the keys.
const ROW: &str = "\u{0}row";

/// The first rows by `top` among those of `options`, in order.
pub(in crate::parquet::read) fn top_k(
    file: &Arc<FileParts>,
    reader: &ReaderOptions,
    top: &TopK,
    options: ScanOptions,
) -> Result<RecordBatch> {
    let mut keys = options.clone().for_summary(&top.column)?;
    (keys.row_numbers, keys.threads) = (Some(ROW.to_owned()), 0);
    let first = Scan::new(Arc::clone(file), reader, keys.clone())?;
    (keys.byte_range, keys.start_offsets) = (None, None);
    let mut best = RecordBatch::new_empty(Arc::clone(first.schema()));
    for number in in_order(&first, top)? {
        let condition = top.condition(&best);
        let predicate = match (options.predicate.clone(), condition) {
            (Some(all), Some(better)) => Some(all.and(better)),
            (all, better) => all.or(better),
        };
        let scan = ScanOptions { predicate, row_groups: Some(vec![number]), ..keys.clone() };
        for batch in Scan::new(Arc::clone(file), reader, scan)? {
            best = top.merge(&best, &batch?)?;
        }
    }
    let rows = best.column_by_name(ROW).map(|rows| rows.as_primitive::<Int64Type>().values().to_vec());
    rows_of(file, reader, options, &rows.unwrap_or_default())
}

/// The row groups of a scan of the column, those first that may hold the first rows.
fn in_order(scan: &Scan, top: &TopK) -> Result<Vec<usize>> {
    let column = scan.request.output.first();
    let mut groups = Vec::with_capacity(scan.groups.len());
    for next in &scan.groups {
        let number = next.number();
        let bounds = match column {
            Some(&Output::Column(column)) => scan.request.known(column, number)?.bounds,
            _ => ColumnBounds::default(),
        };
        groups.push((number, bounds));
    }
    top.in_order(groups)
}

/// The rows at these places of the file, in the order given.
fn rows_of(file: &Arc<FileParts>, reader: &ReaderOptions, options: ScanOptions, rows: &[i64]) -> Result<RecordBatch> {
    let mut sorted: Vec<u64> = rows.iter().filter_map(|&row| u64::try_from(row).ok()).collect();
    sorted.sort_unstable();
    let options =
        ScanOptions { predicate: None, row_groups: None, byte_range: None, start_offsets: None, threads: 0, ..options };
    let mut scan = Scan::new(Arc::clone(file), reader, options)?;
    let mut groups = VecDeque::new();
    let (mut first_row, mut left) = (0, sorted.as_slice());
    for number in 0..file.footer.groups.len() {
        let rows = file.group_rows(number)?;
        let end = first_row + rows as u64;
        let (here, behind) = left.split_at(left.partition_point(|&row| row < end));
        left = behind;
        if !here.is_empty() {
            let mut candidates = Selection::default();
            for row in here.iter().filter_map(|row| usize::try_from(row - first_row).ok()) {
                candidates.push(row..row + 1);
            }
            let sure = candidates.clone();
            groups.push_back(Next::Planned(GroupPlan {
                number,
                rows,
                first_row,
                candidates,
                sure,
                decided: Vec::new(),
            }));
        }
        first_row = end;
    }
    scan.groups = groups;
    let schema = Arc::clone(scan.schema());
    let all = concat_batches(&schema, &scan.collect::<Result<Vec<_>>>()?)?;
    let place = |row: &i64| u64::try_from(*row).ok().and_then(|row| sorted.binary_search(&row).ok());
    let places = UInt64Array::from_iter_values(rows.iter().filter_map(place).map(|at| at as u64));
    Ok(take_record_batch(&all, &places)?)
}
