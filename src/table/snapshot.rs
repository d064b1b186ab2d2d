//! What the log says the table is: a pure fold over commits, without I/O.
//!
//! Spec: PROTOCOL.md, "Action Reconciliation".

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

use super::actions::{Action, AddFile, Metadata};
use super::log::Commit;
use super::protocol::Protocol;
use super::{partition, schema};
use crate::error::{Error, Result};

/// A table at one version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The number of its last commit.
    pub version: u64,
    /// What one must be able to do to read or write it.
    pub protocol: Protocol,
    /// Its id, partition columns, properties.
    pub metadata: Metadata,
    /// All columns, those that partition it too.
    pub schema: SchemaRef,
    /// Its data files by path.
    pub files: BTreeMap<String, Arc<AddFile>>,
    /// Files that were removed, and when (milliseconds since 1970): readers of older versions may still want them.
    pub removed: BTreeMap<String, i64>,
    /// How far applications have come, by their id.
    pub txns: BTreeMap<String, i64>,
    /// State of writers by domain, usually JSON.
    pub domains: BTreeMap<String, String>,
}

impl Snapshot {
    /// The table after these commits, which start at version 0 or with what a checkpoint holds.
    pub(super) fn fold(commits: impl Iterator<Item = Result<Commit>>) -> Result<Snapshot> {
        let mut protocol = None;
        let mut metadata = None;
        let mut state = State::default();
        let mut last = None;
        for commit in commits {
            let commit = commit?;
            let expected = last.map_or(commit.version, |version: u64| version + 1);
            if commit.version != expected {
                return Err(Error::corrupt("is missing from the table's log").in_version(expected));
            }
            last = Some(commit.version);
            for action in commit.actions {
                match action {
                    Action::Protocol(new) => protocol = Some(new),
                    Action::Metadata(new) => metadata = Some(new),
                    other => state.apply(other),
                }
            }
        }
        let version = last.ok_or_else(|| Error::corrupt("the table's log is empty"))?;
        let protocol: Protocol = protocol.ok_or_else(|| missing("protocol").in_version(version))?;
        let metadata = metadata.ok_or_else(|| missing("metaData").in_version(version))?;
        let schema = check(&protocol, &metadata).map_err(|e| e.in_version(version))?;
        let State { files, removed, txns, domains } = state;
        Ok(Snapshot { version, protocol, metadata, schema, files, removed, txns, domains })
    }

    /// Goes on to the next version. After an error the snapshot is as it was.
    pub(super) fn advance(&mut self, commit: Commit) -> Result<()> {
        let version = commit.version;
        if version != self.version + 1 {
            return Err(Error::corrupt("is missing from the table's log").in_version(self.version + 1));
        }
        let find = |wanted: fn(&Action) -> bool| commit.actions.iter().rfind(|action| wanted(action));
        let new_protocol = match find(|action| matches!(action, Action::Protocol(_))) {
            Some(Action::Protocol(new)) => Some(new.clone()),
            _ => None,
        };
        let new_metadata = match find(|action| matches!(action, Action::Metadata(_))) {
            Some(Action::Metadata(new)) => Some(new.clone()),
            _ => None,
        };
        if new_protocol.is_some() || new_metadata.is_some() {
            let protocol = new_protocol.unwrap_or_else(|| self.protocol.clone());
            let metadata = new_metadata.unwrap_or_else(|| self.metadata.clone());
            self.schema = check(&protocol, &metadata).map_err(|e| e.in_version(version))?;
            (self.protocol, self.metadata) = (protocol, metadata);
        }
        let mut state = State {
            files: std::mem::take(&mut self.files),
            removed: std::mem::take(&mut self.removed),
            txns: std::mem::take(&mut self.txns),
            domains: std::mem::take(&mut self.domains),
        };
        commit.actions.into_iter().for_each(|action| state.apply(action));
        let State { files, removed, txns, domains } = state;
        (self.version, self.files, self.removed, self.txns, self.domains) = (version, files, removed, txns, domains);
        Ok(())
    }

    /// Rows and bytes of all data files; rows are `None` when a file does not say how many it has.
    pub fn stats(&self) -> SnapshotStats {
        SnapshotStats {
            files: self.files.len() as u64,
            bytes: self.files.values().fold(0, |sum, file| sum.saturating_add(file.bytes)),
            rows: self.files.values().try_fold(0_u64, |sum, file| file.rows()?.checked_add(sum)),
        }
    }

    /// Whether a column partitions the table.
    pub fn is_partition_column(&self, name: &str) -> bool {
        self.metadata.partition_columns.iter().any(|column| column == name)
    }

    /// The columns that data files hold: all but those that partition the table. They are plain, without Arrow's
    /// extension types, because some readers want files to have exactly the types of the log. Write files with this schema.
    pub fn file_schema(&self) -> SchemaRef {
        let fields = self.schema.fields().iter().filter(|field| !self.is_partition_column(field.name()));
        Arc::new(Schema::new(fields.map(|field| schema::plain(field)).collect::<Vec<_>>()))
    }
}

/// What [`Snapshot::stats`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotStats {
    /// Data files.
    pub files: u64,
    /// Their lengths together.
    pub bytes: u64,
    /// Their rows together, if each of them says.
    pub rows: Option<u64>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<AddFile>>,
    removed: BTreeMap<String, i64>,
    txns: BTreeMap<String, i64>,
    domains: BTreeMap<String, String>,
}

impl State {
    fn apply(&mut self, action: Action) {
        match action {
            Action::Add(add) => {
                self.removed.remove(&add.path);
                self.files.insert(add.path.clone(), Arc::new(add));
            }
            Action::Remove(remove) => {
                self.files.remove(&remove.path);
                // One that does not say when: as long ago as can be.
                self.removed.insert(remove.path, remove.deletion_ms.unwrap_or(0));
            }
            Action::Txn(txn) => {
                self.txns.insert(txn.app_id, txn.version);
            }
            Action::Domain(domain) if domain.removed => {
                self.domains.remove(&domain.domain);
            }
            Action::Domain(domain) => {
                self.domains.insert(domain.domain, domain.configuration);
            }
            // A commit has no sidecars; those of a checkpoint are read with it.
            Action::CommitInfo(_)
            | Action::Protocol(_)
            | Action::Metadata(_)
            | Action::Sidecar(_)
            | Action::CheckpointMetadata(_) => {}
        }
    }
}

/// Checks that we can read such a table, and gives its schema.
fn check(protocol: &Protocol, metadata: &Metadata) -> Result<SchemaRef> {
    protocol.check_read(metadata)?;
    let schema = schema::to_arrow(&metadata.schema_string)?;
    for column in &metadata.partition_columns {
        let field = schema.field_with_name(column).map_err(|_| {
            Error::corrupt("the table is partitioned by a column that its schema does not have").in_column(column)
        })?;
        if !partition::can_partition(field.data_type()) {
            let message = format!(
                "the table is partitioned by a column of type {}, which this version does not read",
                field.data_type()
            );
            return Err(Error::unsupported(message).in_column(column));
        }
    }
    Ok(schema)
}

fn missing(action: &str) -> Error {
    Error::corrupt(format!("the table's log has no {action} action up to here"))
}
