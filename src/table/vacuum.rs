//! Removing files that no version needs any more: of commits that never came, and of rows removed long ago.

use std::time::Duration;

use super::{Table, now_ms};
use crate::error::Result;
use crate::storage::Entry;

/// What may be removed.
#[derive(Debug, Clone)]
pub struct VacuumOptions {
    /// Only files last changed (and, if they once counted, removed from the table) at least this long ago. It must be longer
    /// than any writer works on a file before it commits, and than any reader stays on an old version.
    pub older_than: Duration,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// A week, as is usual for Delta tables.
impl Default for VacuumOptions {
    fn default() -> VacuumOptions {
        VacuumOptions { older_than: Duration::from_secs(7 * 24 * 3600), dry_run: false }
    }
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VacuumReport {
    /// Files removed, or that would be.
    pub removed: Vec<Entry>,
    /// Files that no version needs, and that are too young to go.
    pub kept_young: Vec<Entry>,
    /// Files that are neither data files nor leftovers of this crate: somebody's, not touched.
    pub kept_foreign: Vec<Entry>,
    /// Data files of the table.
    pub live: u64,
}

impl VacuumReport {
    /// Bytes of what was removed.
    pub fn removed_bytes(&self) -> u64 {
        self.removed.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }
}

impl Table {
    /// Removes what no version needs, by the newest version: Parquet files that are not live and whose removal, if
    /// there was one, is old enough, and what dead writers left unfinished. Hidden folders (`_…`, `.…`), the log and
    /// tables inside of this one are not touched.
    pub fn vacuum(&mut self, options: &VacuumOptions) -> Result<VacuumReport> {
        // Listed before the log is read: a file that is committed in between is seen as live, not as garbage.
        let entries = self.storage.list("")?;
        let unfinished = self.storage.list_unfinished()?;
        self.refresh()?;
        self.snapshot.protocol.check_write(&self.snapshot.metadata, &self.snapshot.schema, Default::default())?;
        let age = i64::try_from(options.older_than.as_millis()).unwrap_or(i64::MAX);
        let limit = now_ms().saturating_sub(age);
        let nested: Vec<&str> = entries.iter().filter_map(|entry| nested_table(&entry.path)).collect();
        let is_nested = |path: &str| nested.iter().any(|folder| path.starts_with(folder));
        let mut report = VacuumReport::default();
        for entry in &entries {
            let path = entry.path.as_str();
            if self.snapshot.files.contains_key(path) {
                report.live += 1;
            } else if self.is_hidden(path) || is_nested(path) {
                continue;
            } else if !path.ends_with(".parquet") {
                report.kept_foreign.push(entry.clone());
            } else if entry.modified_ms > limit || self.snapshot.removed.get(path).is_some_and(|at| *at > limit) {
                report.kept_young.push(entry.clone());
            } else {
                report.removed.push(entry.clone());
            }
        }
        for entry in unfinished.into_iter().filter(|entry| !is_nested(&entry.path)) {
            if entry.modified_ms > limit { &mut report.kept_young } else { &mut report.removed }.push(entry);
        }
        if !options.dry_run && !report.removed.is_empty() {
            self.settle()?;
            for entry in &report.removed {
                self.storage.remove(&entry.path)?;
            }
        }
        Ok(report)
    }

    /// Whether a part of the path is hidden. The folder of a partition column is not, whatever its name.
    fn is_hidden(&self, path: &str) -> bool {
        let columns = &self.snapshot.metadata.partition_columns;
        path.split('/').any(|part| {
            let column = part.split_once('=').map(|(column, _)| column);
            let is_partition = columns.iter().any(|name| Some(super::path::encode_part(name).as_str()) == column);
            part.starts_with(['_', '.']) && !is_partition
        })
    }
}

/// The folder, with its `/`, of a table inside of this one that the path is part of the log of.
fn nested_table(path: &str) -> Option<&str> {
    path.find("/_delta_log/").and_then(|at| path.get(..=at))
}
