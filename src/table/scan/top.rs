//! The first rows of a table by a column.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::{FileBounds, Planned, ScanOptions};
use crate::error::{Error, Result};
use crate::parquet::read::TopK;
use crate::predicate::{Bounds, ColumnBounds, ColumnPath, Predicate, Verdict};
use crate::table::{AddFile, Table};

impl Table {
    /// The rows with the least or greatest values of a column, in order; which of equal ones is not specified. Files, row
    /// groups and pages that cannot hold them are passed over.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column that is not there, or with a limit or offset; [`Error::Unsupported`] for a nested
    /// column.
    pub fn top_k(&self, top: &TopK, options: ScanOptions) -> Result<RecordBatch> {
        self.first_rows(top, options).map_err(|e| e.in_file(self.storage.name()))
    }

    fn first_rows(&self, top: &TopK, mut options: ScanOptions) -> Result<RecordBatch> {
        if options.limit.is_some() || options.offset > 0 {
            return Err(Error::invalid("limit and offset are about rows in the order of files, and this is not"));
        }
        let wanted = options.columns.as_ref().map(Vec::len);
        // The column itself is needed, too.
        if let Some(columns) = options.columns.as_mut().filter(|columns| !columns.contains(&top.column)) {
            columns.push(top.column.clone());
        }
        let mut scan = self.plan(options)?;
        let conditions = scan.job.conditions.clone();
        let mut best = RecordBatch::new_empty(Arc::clone(scan.schema()));
        for planned in
            top.in_order(scan.files.by_ref().map(|p| (p.clone(), self.bounds(&p.file, &top.column))).collect())?
        {
            let better = top.condition(&best);
            if let Some(better) = &better
                && better.bind(&self.snapshot.schema)?.prune(&self.file_bounds(&planned.file)) == Verdict::Drop
            {
                scan.counts.files_skipped += 1;
                continue;
            }
            let conditions: Vec<Predicate> = match (planned.all_match, &better) {
                (true, _) => better.into_iter().collect(),
                (false, _) => conditions.iter().cloned().chain(better).collect(),
            };
            let all_match = conditions.is_empty();
            Arc::make_mut(&mut scan.job).conditions = conditions;
            scan.files = vec![Planned { all_match, ..planned }].into_iter();
            while let Some(batch) = scan.next_batch()? {
                best = top.merge(&best, &batch)?;
            }
        }
        let all = best.num_columns();
        let places = if scan.job.row_numbers.is_some() { all - 2..all } else { all..all };
        Ok(best.project(&(0..wanted.unwrap_or(places.start)).chain(places).collect::<Vec<_>>())?)
    }

    fn file_bounds<'a>(&'a self, file: &'a AddFile) -> FileBounds<'a> {
        FileBounds::new(&self.snapshot, file)
    }

    fn bounds(&self, file: &AddFile, column: &str) -> ColumnBounds {
        self.file_bounds(file).column(&ColumnPath::from(column))
    }
}
