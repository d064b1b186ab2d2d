//! Answers about a table that are less than rows: how many there are, and the extremes of a column.
//!
//! A file of which all rows match is answered for by the log, if that says it exactly; else by its footer; and only what
//! that does not tell is read.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};

use super::{FileBounds, Planned, Prepared, ScanOptions, TableScan};
use crate::error::{Error, Result};
use crate::parquet::read::{ColumnSummary, Extremes, MinMax};
use crate::predicate::{Bounds, ColumnBounds, ColumnPath};
use crate::table::{Snapshot, Table};

/// What the log says of a file.
#[cfg(feature = "datafusion")]
pub(crate) struct FileSummary {
    pub rows: Option<u64>,
    /// Of the columns asked for.
    pub columns: Vec<ColumnSummary>,
}

impl Table {
    /// How many rows a scan would give. Files that the log counts are not opened, and pages are read only where a predicate
    /// is asked for that bounds do not decide.
    ///
    /// # Errors
    /// As [`scan`](Table::scan).
    pub fn count(&self, options: ScanOptions) -> Result<u64> {
        let (offset, limit) = (options.offset, options.limit.unwrap_or(u64::MAX));
        let options = ScanOptions { columns: Some(Vec::new()), offset: 0, limit: None, ..options };
        let enough = offset.saturating_add(limit);
        let mut rows = 0u64;
        let mut scan = self.plan(options).map_err(|e| e.in_file(self.storage.name()))?;
        for planned in std::mem::take(&mut scan.files) {
            if rows >= enough {
                break;
            }
            let known = planned.file.rows().filter(|_| scan.is_whole(&planned));
            rows = rows.saturating_add(match known {
                Some(rows) => rows,
                None => scan.only(planned).map(|batch| Ok(batch?.num_rows() as u64)).sum::<Result<u64>>()?,
            });
        }
        Ok(rows.saturating_sub(offset).min(limit))
    }

    /// The least and the greatest value of a column among the rows of a scan; none where there is no value. Where the log
    /// or footers tell them exactly, no page is read.
    ///
    /// # Errors
    /// As [`scan`](Table::scan); [`Error::Invalid`] with a limit or offset, [`Error::Unsupported`] for a nested column.
    pub fn min_max(&self, column: &str, options: ScanOptions) -> Result<Option<MinMax>> {
        if options.limit.is_some() || options.offset > 0 {
            return Err(Error::invalid("limit and offset are about rows in the order of files, and this is not"));
        }
        let mut scan = self.plan(options.with_columns([column])).map_err(|e| e.in_file(self.storage.name()))?;
        let mut found = Extremes::default();
        let mut open = Vec::new();
        for planned in std::mem::take(&mut scan.files) {
            let (summary, bounds) = summary(&self.snapshot, &planned, column);
            match summary.filter(|_| scan.is_whole(&planned)) {
                Some(summary) if summary.is_all_null() => {}
                Some(ColumnSummary { bounds: Some((min, max)), is_exact: true, .. }) => {
                    found.add(&min)?;
                    found.add(&max)?;
                }
                _ => open.push((planned, bounds)),
            }
        }
        for (planned, bounds) in open {
            if !found.holds(&bounds)? {
                scan.extremes(planned, column, &mut found)?;
            }
        }
        Ok(found.ended())
    }

    /// What the log says of each file, about these columns.
    #[cfg(feature = "datafusion")]
    pub(crate) fn summaries(&self, columns: &[String]) -> Vec<FileSummary> {
        let of_file = |file| {
            let bounds = FileBounds::new(&self.snapshot, file);
            let columns = columns.iter().map(|column| of_column(&self.snapshot, &bounds, column));
            FileSummary { rows: file.rows(), columns: columns.collect() }
        };
        self.snapshot.files.values().map(|file| of_file(file)).collect()
    }
}

/// What the log says of a column in a file, if it knows of how many rows.
fn summary(snapshot: &Snapshot, planned: &Planned, column: &str) -> (Option<ColumnSummary>, ColumnBounds) {
    let bounds = FileBounds::new(snapshot, &planned.file);
    let summary = planned.file.rows().map(|_| of_column(snapshot, &bounds, column));
    (summary, bounds.column(&ColumnPath::from(column)))
}

fn of_column(snapshot: &Snapshot, bounds: &FileBounds<'_>, column: &str) -> ColumnSummary {
    let (known, rows) = (bounds.column(&ColumnPath::from(column)), bounds.rows());
    let field = snapshot.schema.field_with_name(column);
    let is_exact = rows > 0 && field.is_ok_and(|field| bounds.is_exact(column, field.data_type()));
    ColumnSummary::new(rows, known, is_exact)
}

impl TableScan {
    /// Whether all rows of a file are in the answer.
    fn is_whole(&self, planned: &Planned) -> bool {
        planned.byte_range.is_none() && (planned.all_match || self.job.conditions.is_empty())
    }

    /// The rows of one file.
    fn only(&mut self, planned: Planned) -> &mut TableScan {
        self.files = vec![planned].into_iter();
        self
    }

    fn extremes(&mut self, planned: Planned, column: &str, found: &mut Extremes) -> Result<()> {
        let Prepared { reader, options, mut columns, rest } = self.job.prepare(&planned)?;
        let field = reader.schema().field_with_name(column).ok().cloned();
        // Of a dictionary the extremes are values, which are no column of the file's.
        if let Some(field) = field.filter(|field| !matches!(field.data_type(), DataType::Dictionary(..)))
            && rest.is_none()
            && options.columns.as_deref().unwrap_or_default() == [column]
        {
            let Some(MinMax { min, max }) = reader.min_max(column, options)? else { return Ok(()) };
            let schema = Arc::new(Schema::new(vec![field]));
            for array in [min, max] {
                let batch = columns.of_table(&RecordBatch::try_new(Arc::clone(&schema), vec![array])?)?;
                batch.columns().first().map_or(Ok(()), |array| found.add(array))?;
            }
            return Ok(());
        }
        for batch in self.only(planned) {
            batch?.columns().first().map_or(Ok(()), |array| found.add(array))?;
        }
        Ok(())
    }
}
