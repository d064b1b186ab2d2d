//! Reading a table: which files, which row groups of them, which rows.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;

use super::stats::Stats;
use super::{AddFile, Snapshot, Table, partition};
use crate::error::{Error, Result};
use crate::predicate::{Bounds, ColumnBounds, Predicate, Verdict};

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Columns in the order wanted; `None` is all, in the order of the schema.
    pub columns: Option<Vec<String>>,
    /// Rows for which this is true.
    pub predicate: Option<Predicate>,
    /// At most so many rows.
    pub limit: Option<u64>,
}

/// How much was read, and how much need not be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Data files of the table.
    pub files_total: u64,
    /// Those opened so far.
    pub files_read: u64,
    /// Those left out because of their partition values or statistics.
    pub files_skipped: u64,
}

/// Record batches of a table.
#[derive(Debug)]
pub struct TableScan {
    schema: SchemaRef,
    counts: TableCounts,
    files: std::vec::IntoIter<Arc<AddFile>>,
}

/// What a commit says of a file, for pruning.
struct FileBounds<'a> {
    snapshot: &'a Snapshot,
    file: &'a AddFile,
    stats: Stats,
}

impl Bounds for FileBounds<'_> {
    fn rows(&self) -> u64 {
        self.stats.num_records.unwrap_or(u64::MAX)
    }

    fn column(&self, name: &str) -> ColumnBounds {
        let Ok(field) = self.snapshot.schema.field_with_name(name) else { return ColumnBounds::default() };
        if !self.snapshot.is_partition_column(name) {
            return self.stats.column(name, field.data_type());
        }
        let text = self.file.partition_values.get(name).and_then(Option::as_deref);
        match partition::from_text(text, field.data_type()) {
            Ok(value) if value.is_null(0) => ColumnBounds { null_count: Some(self.rows()), ..ColumnBounds::default() },
            Ok(value) => {
                let (min, max) = (Some(value.clone()), Some(value));
                ColumnBounds { min, max, null_count: Some(0), ..ColumnBounds::default() }
            }
            Err(_) => ColumnBounds::default(),
        }
    }
}

impl Table {
    /// Starts to read the version last read.
    pub fn scan(&self, options: ScanOptions) -> Result<TableScan> {
        let snapshot = &self.snapshot;
        let bound = options.predicate.as_ref().map(|predicate| predicate.bind(&snapshot.schema)).transpose()?;
        let mut files = Vec::new();
        for file in snapshot.files.values() {
            let bounds = FileBounds { snapshot, file, stats: file.statistics().unwrap_or_default() };
            if bound.as_ref().is_none_or(|bound| bound.prune(&bounds) != Verdict::Drop) {
                files.push(Arc::clone(file));
            }
        }
        let total = snapshot.files.len() as u64;
        let counts = TableCounts { files_total: total, files_read: 0, files_skipped: total - files.len() as u64 };
        Ok(TableScan { schema: Arc::clone(&snapshot.schema), counts, files: files.into_iter() })
    }
}

impl TableScan {
    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What has been read so far.
    pub fn counts(&self) -> TableCounts {
        self.counts
    }
}

impl Iterator for TableScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let file = self.files.next()?;
        Some(Err(Error::unsupported("data files are not read yet").in_file(file.path.clone())))
    }
}
