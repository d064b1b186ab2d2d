//! Answers that are less than rows: the least and the greatest value of a column.
//!
//! Statistics of a chunk are the answer for its row group if they are exact and all rows of the group match. They are
//! where the writer says so; where it says nothing, values of a fixed width are not cut short, others may be. Of floats,
//! they are if no NaN is among the values. Any other group is read, unless its bounds lie within what has been found.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_ord::ord::make_comparator;
use arrow_schema::{DataType, SortOptions};
use half::f16;

#[cfg(feature = "datafusion")]
use super::plan::Request;
use super::plan::{Known, Output};
use super::{Next, Scan, Step};
use crate::error::{Error, Result};
use crate::parquet::read::ScanOptions;
#[cfg(feature = "datafusion")]
use crate::parquet::read::{ReaderOptions, file::FileParts};
use crate::predicate::ColumnBounds;

/// The least and the greatest value of a column that are not null, one element each, of the column's type (of a
/// dictionary, of its values'). They compare as in predicates: NaN is greater than all else, and zero is 0.0.
#[derive(Debug, Clone)]
pub struct MinMax {
    /// The least one.
    pub min: ArrayRef,
    /// The greatest one.
    pub max: ArrayRef,
}

/// What statistics say of a column over many rows.
#[derive(Debug, Clone)]
pub(crate) struct ColumnSummary {
    pub rows: u64,
    pub null_count: Option<u64>,
    /// At most the least value and at least the greatest one, if there are values and bounds of them.
    pub bounds: Option<(ArrayRef, ArrayRef)>,
    /// Whether both are values of the column.
    pub is_exact: bool,
}

impl ColumnSummary {
    #[cfg(feature = "datafusion")]
    pub(crate) fn of_no_rows() -> ColumnSummary {
        ColumnSummary { rows: 0, null_count: Some(0), bounds: None, is_exact: true }
    }

    pub(crate) fn new(rows: u64, bounds: ColumnBounds, is_exact: bool) -> ColumnSummary {
        let ColumnBounds { min, max, null_count, .. } = bounds;
        let bounds = min.zip(max);
        ColumnSummary { rows, null_count, is_exact: is_exact && bounds.is_some(), bounds }
    }

    /// Whether no row has a value.
    pub(crate) fn is_all_null(&self) -> bool {
        self.null_count == Some(self.rows)
    }

    /// Of the rows of both.
    #[cfg(feature = "datafusion")]
    pub(crate) fn and(self, other: ColumnSummary) -> Result<ColumnSummary> {
        let (bounds, is_exact) = match (self.is_all_null(), other.is_all_null()) {
            (true, _) => (other.bounds, other.is_exact),
            (false, true) => (self.bounds, self.is_exact),
            (false, false) => {
                let bounds = match self.bounds.zip(other.bounds) {
                    Some(((min, max), (other_min, other_max))) => {
                        let is_less = order(&comparable(&other_min)?, &comparable(&min)?)?.is_lt();
                        let is_greater = order(&comparable(&other_max)?, &comparable(&max)?)?.is_gt();
                        Some((if is_less { other_min } else { min }, if is_greater { other_max } else { max }))
                    }
                    None => None,
                };
                (bounds, self.is_exact && other.is_exact)
            }
        };
        let null_count = self.null_count.zip(other.null_count).map(|(a, b)| a.saturating_add(b));
        let is_exact = is_exact && (bounds.is_some() || null_count == Some(self.rows.saturating_add(other.rows)));
        Ok(ColumnSummary { rows: self.rows.saturating_add(other.rows), null_count, bounds, is_exact })
    }
}

/// What statistics say of each column of a scan in all rows of the file.
#[cfg(feature = "datafusion")]
pub(in crate::parquet::read) fn summaries(
    file: &Arc<FileParts>,
    reader: &ReaderOptions,
    mut options: ScanOptions,
) -> Result<Vec<ColumnSummary>> {
    let request = Request::new(Arc::clone(file), reader, &mut options)?;
    let mut all = Vec::with_capacity(request.output.len());
    for output in &request.output {
        let Output::Column(column) = output else { continue };
        let mut summary = ColumnSummary::of_no_rows();
        for group in 0..file.footer.groups.len() {
            let Known { bounds, is_exact } = request.known(*column, group)?;
            summary = summary.and(ColumnSummary::new(file.group_rows(group)? as u64, bounds, is_exact))?;
        }
        all.push(summary);
    }
    Ok(all)
}

impl ScanOptions {
    /// For an answer about `column` of all rows that match.
    pub(in crate::parquet::read) fn for_summary(mut self, column: &str) -> Result<ScanOptions> {
        if self.limit.is_some() || self.offset > 0 {
            return Err(Error::invalid("limit and offset are about rows in the file's order, and this is not"));
        }
        self.columns = Some(vec![column.to_owned()]);
        Ok(self)
    }
}

impl Scan {
    /// The extremes of the only column of a scan.
    pub(in crate::parquet::read) fn min_max(mut self) -> Result<Option<MinMax>> {
        let request = Arc::clone(&self.request);
        let column = match request.output.first() {
            Some(&Output::Column(column)) => column,
            Some(Output::Parts(_)) => return Err(Error::unsupported("an order of nested values")),
            _ => return Ok(None),
        };
        let mut found = Extremes::default();
        let mut open = VecDeque::new();
        for next in std::mem::take(&mut self.groups) {
            let Some(plan) = request.plan_group(next.number(), &mut self.counts)? else { continue };
            let Known { bounds, is_exact } = request.known(column, plan.number)?;
            let is_whole = plan.sure.rows() == plan.rows;
            if is_whole && bounds.null_count == Some(plan.rows as u64) {
                continue;
            }
            match (&bounds.min, &bounds.max) {
                (Some(min), Some(max)) if is_whole && is_exact => {
                    found.add(min)?;
                    found.add(max)?;
                }
                _ => open.push_back((plan, bounds)),
            }
        }
        for (plan, bounds) in open {
            if found.holds(&bounds)? {
                continue;
            }
            self.groups.push_back(Next::Planned(plan));
            while let Step::Batch(batch) = self.next_here()? {
                if let Some(array) = batch.columns().first() {
                    found.add(array)?;
                }
            }
        }
        Ok(found.ended())
    }
}

/// The extremes of what has been seen of a column.
#[derive(Debug, Default)]
pub(crate) struct Extremes {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
}

impl Extremes {
    pub(crate) fn add(&mut self, array: &ArrayRef) -> Result<()> {
        let array = &comparable(array)?;
        let compare = make_comparator(array, array, SortOptions::default())?;
        let nulls = array.logical_nulls();
        let mut there = (0..array.len()).filter(|&at| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at)));
        let Some(first) = there.next() else { return Ok(()) };
        let (least, greatest) = there.fold((first, first), |(least, greatest), at| {
            let least = if compare(at, least).is_lt() { at } else { least };
            let greatest = if compare(at, greatest).is_gt() { at } else { greatest };
            (least, greatest)
        });
        let (least, greatest) = (array.slice(least, 1), array.slice(greatest, 1));
        if self.min.as_ref().map_or(Ok(true), |min| Ok::<_, Error>(order(&least, min)?.is_lt()))? {
            self.min = Some(least);
        }
        if self.max.as_ref().map_or(Ok(true), |max| Ok::<_, Error>(order(&greatest, max)?.is_gt()))? {
            self.max = Some(greatest);
        }
        Ok(())
    }

    /// They, if there was a value.
    pub(crate) fn ended(self) -> Option<MinMax> {
        self.min.zip(self.max).map(|(min, max)| MinMax { min, max })
    }

    /// Whether nothing between the bounds is beyond what was found.
    pub(crate) fn holds(&self, bounds: &ColumnBounds) -> Result<bool> {
        let (Some(min), Some(max)) = (&self.min, &self.max) else { return Ok(false) };
        let (Some(least), Some(greatest)) = (&bounds.min, &bounds.max) else { return Ok(false) };
        // A NaN would be greater than its bound.
        if max.data_type().is_floating() && bounds.nan_count != Some(0) {
            return Ok(false);
        }
        let (least, greatest) = (comparable(least)?, comparable(greatest)?);
        Ok(order(&least, min)?.is_ge() && order(&greatest, max)?.is_le())
    }
}

/// How the first elements of two arrays compare, which [`comparable`] made.
pub(super) fn order(a: &ArrayRef, b: &ArrayRef) -> Result<Ordering> {
    Ok(make_comparator(a, b, SortOptions::default())?(0, 0))
}

/// The array in a form that Arrow's kernels order as predicates do: without a dictionary, one NaN and one zero.
pub(super) fn comparable(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Dictionary(_, values) => return comparable(&cast(array, values)?),
        DataType::Float16 => {
            let one = |v: f16| if v.is_nan() { f16::NAN } else { v + f16::ZERO };
            Arc::new(array.as_primitive::<Float16Type>().unary::<_, Float16Type>(one))
        }
        DataType::Float32 => {
            let one = |v: f32| if v.is_nan() { f32::NAN } else { v + 0.0 };
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(one))
        }
        DataType::Float64 => {
            let one = |v: f64| if v.is_nan() { f64::NAN } else { v + 0.0 };
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(one))
        }
        nested if nested.is_nested() => {
            return Err(Error::unsupported(format!("an order of values of type {nested}")));
        }
        _ => Arc::clone(array),
    })
}
