//! What the log says of a data file.

use arrow_array::Array;
use arrow_schema::DataType;

use crate::predicate::{Bounds, ColumnBounds, ColumnPath};
use crate::table::stats::Stats;
use crate::table::{AddFile, Snapshot, partition};

/// What a commit says of a file, for pruning.
pub(in crate::table) struct FileBounds<'a> {
    snapshot: &'a Snapshot,
    file: &'a AddFile,
    stats: Stats,
}

impl<'a> FileBounds<'a> {
    pub(in crate::table) fn new(snapshot: &'a Snapshot, file: &'a AddFile) -> FileBounds<'a> {
        FileBounds { snapshot, file, stats: file.statistics().unwrap_or_default() }
    }

    /// Whether the bounds of a column are values of it; of one that partitions the table, if there are rows.
    pub(super) fn is_exact(&self, column: &str, data_type: &DataType) -> bool {
        self.snapshot.is_partition_column(column) || self.stats.are_bounds_exact(data_type)
    }
}

impl Bounds for FileBounds<'_> {
    fn rows(&self) -> u64 {
        self.stats.num_records.unwrap_or(u64::MAX)
    }

    fn column(&self, column: &ColumnPath) -> ColumnBounds {
        let Some(name) = column.as_column() else { return ColumnBounds::default() };
        let Ok(field) = self.snapshot.schema.field_with_name(name) else { return ColumnBounds::default() };
        if !self.snapshot.is_partition_column(name) {
            return self.stats.column(name, field.data_type());
        }
        let text = self.file.partition_values.get(name).and_then(Option::as_deref);
        match partition::from_text(text, field.data_type()) {
            Ok(value) if value.is_null(0) => ColumnBounds { null_count: Some(self.rows()), ..ColumnBounds::default() },
            // A NaN is no bound.
            Ok(value) if value.data_type().is_floating() => {
                ColumnBounds { null_count: Some(0), ..ColumnBounds::default() }
            }
            Ok(value) => {
                let (min, max) = (Some(value.clone()), Some(value));
                ColumnBounds { min, max, null_count: Some(0), ..ColumnBounds::default() }
            }
            Err(_) => ColumnBounds::default(),
        }
    }
}
