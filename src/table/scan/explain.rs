//! What a scan of a table would read, and why not the rest: files by the log, row groups by the files themselves.

use super::{FileBounds, ScanOptions};
use crate::error::Result;
use crate::parquet::read::Explanation;
use crate::predicate::{Predicate, Reason};
use crate::table::Table;

/// What a scan makes of a table's files; see [`Table::explain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableExplanation {
    /// In the order of their paths.
    pub files: Vec<FileExplanation>,
}

/// What a scan makes of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileExplanation {
    /// Its path in the table.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// What is done with it.
    pub decision: FileDecision,
}

/// What is done with a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileDecision {
    /// It is not opened: by its partition values and statistics in the log, no row meets these conditions.
    Skip(Vec<Reason>),
    /// It is opened, for these row groups.
    Open(Explanation),
}

impl Table {
    /// What [`scan`](Table::scan) would read of the version last read, and why not the rest. Files that it would open are
    /// opened for their footers, indexes, Bloom filters and dictionaries; no rows are read.
    pub fn explain(&self, options: ScanOptions) -> Result<TableExplanation> {
        let predicate = options.predicate.clone();
        let mut opened = self.scan(options)?.explain()?;
        let mut files = Vec::new();
        if let Some(predicate) = &predicate {
            files = self.skipped(predicate)?;
        }
        files.append(&mut opened);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(TableExplanation { files })
    }

    fn skipped(&self, predicate: &Predicate) -> Result<Vec<FileExplanation>> {
        let bound = predicate.bind(&self.snapshot.schema)?;
        let skipped = self.snapshot.files.values().filter_map(|file| {
            let bounds = FileBounds::new(&self.snapshot, file);
            let reasons = bound.reasons(predicate, &bounds);
            (!reasons.is_empty()).then(|| FileExplanation {
                path: file.path.clone(),
                bytes: file.bytes,
                decision: FileDecision::Skip(reasons),
            })
        });
        Ok(skipped.collect())
    }
}
