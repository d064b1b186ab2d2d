//! What DataFusion may know of a scan before it reads: rows, NULLs, least and greatest values.

use arrow_schema::{Schema, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

use super::source::Source;
use crate::error::Result;
use crate::parquet::read::ColumnSummary;

/// Of all rows, for the columns of `schema`.
pub(super) fn of_all(source: &Source, schema: &SchemaRef) -> Result<Statistics> {
    let columns: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut summaries = vec![ColumnSummary::of_no_rows(); columns.len()];
    let mut rows = Some(0u64);
    match source {
        Source::Files(files, _) => {
            for (number, file) in files.iter().enumerate() {
                rows = rows.and_then(|rows| rows.checked_add(file.rows()));
                let of_file = file.summaries(source.options(number).with_columns(&columns))?;
                summaries = merge(summaries, of_file)?;
            }
        }
        Source::Table(table, _) => {
            for file in table.summaries(&columns) {
                rows = rows.zip(file.rows).and_then(|(rows, more)| rows.checked_add(more));
                summaries = merge(summaries, file.columns)?;
            }
        }
    }
    let rows = rows.and_then(|rows| usize::try_from(rows).ok());
    let columns = summaries.into_iter().map(|summary| column(summary, rows)).collect::<Result<_>>()?;
    Ok(Statistics {
        num_rows: rows.map_or(Precision::Absent, Precision::Exact),
        total_byte_size: Precision::Absent,
        column_statistics: columns,
    })
}

fn merge(all: Vec<ColumnSummary>, more: Vec<ColumnSummary>) -> Result<Vec<ColumnSummary>> {
    all.into_iter().zip(more).map(|(a, b)| a.and(b)).collect()
}

fn column(summary: ColumnSummary, rows: Option<usize>) -> Result<ColumnStatistics> {
    let ColumnSummary { null_count, bounds, is_exact, .. } = summary;
    let null_count = null_count.filter(|_| rows.is_some()).and_then(|nulls| usize::try_from(nulls).ok());
    let mut column = ColumnStatistics::new_unknown();
    column.null_count = null_count.map_or(Precision::Absent, Precision::Exact);
    if let Some((min, max)) = bounds {
        let (min, max) = (scalar(&min, is_exact), scalar(&max, is_exact));
        (column.min_value, column.max_value) = (min, max);
    }
    Ok(column)
}

/// A bound. Whether a zero is 0.0 or -0.0 is not told by it.
fn scalar(bound: &arrow_array::ArrayRef, is_exact: bool) -> Precision<ScalarValue> {
    let Ok(value) = ScalarValue::try_from_array(bound, 0) else { return Precision::Absent };
    let is_zero = value.data_type().is_floating()
        && ScalarValue::new_zero(&value.data_type())
            .ok()
            .is_some_and(|zero| value == zero || value.arithmetic_negate().is_ok_and(|negated| negated == zero));
    if is_exact && !is_zero { Precision::Exact(value) } else { Precision::Inexact(value) }
}

/// Of a part of which so many rows are known.
pub(super) fn of_part(schema: &Schema, rows: Option<u64>) -> Statistics {
    let rows = rows.and_then(|rows| usize::try_from(rows).ok());
    Statistics::new_unknown(schema).with_num_rows(rows.map_or(Precision::Absent, Precision::Exact))
}
