//! What was done to a table, commit by commit.

use serde_json::{Map, Value};

use super::actions::Action;
use super::{Table, log};
use crate::error::Result;

/// One commit, as the history tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitSummary {
    /// The version it made.
    pub version: u64,
    /// Milliseconds since 1970, by its writer's clock.
    pub timestamp_ms: Option<i64>,
    /// What its writer calls it, such as `WRITE`.
    pub operation: Option<String>,
    /// Which program wrote it.
    pub engine: Option<String>,
    /// All that its writer noted.
    pub info: Map<String, Value>,
    /// Data files added.
    pub files_added: u64,
    /// Their bytes together.
    pub bytes_added: u64,
    /// Their rows together, if each of them says.
    pub rows_added: Option<u64>,
    /// Data files removed.
    pub files_removed: u64,
    /// Domains whose state it set or removed.
    pub domains: Vec<String>,
}

impl Table {
    /// The last `limit` commits up to the version last read, the newest first; of a log that begins with a checkpoint, those
    /// that are still there.
    pub fn history(&self, limit: usize) -> Result<Vec<CommitSummary>> {
        let place = self.storage.name();
        let summary = |version| {
            let commit = log::read(self.storage.as_ref(), version).map_err(|e| e.in_file(&place));
            commit.map(|commit| Some(summarise(version, commit?.actions))).transpose()
        };
        (0..=self.snapshot.version).rev().take(limit).map_while(summary).collect()
    }
}

fn summarise(version: u64, actions: Vec<Action>) -> CommitSummary {
    let mut summary = CommitSummary {
        version,
        timestamp_ms: None,
        operation: None,
        engine: None,
        info: Map::new(),
        files_added: 0,
        bytes_added: 0,
        rows_added: Some(0),
        files_removed: 0,
        domains: Vec::new(),
    };
    for action in actions {
        match action {
            Action::CommitInfo(info) => {
                let text = |key: &str| info.get(key).and_then(Value::as_str).map(str::to_owned);
                summary.timestamp_ms = info.get("timestamp").and_then(Value::as_i64);
                summary.operation = text("operation");
                summary.engine = text("engineInfo");
                summary.info = info;
            }
            Action::Add(add) => {
                summary.files_added += 1;
                summary.bytes_added = summary.bytes_added.saturating_add(add.bytes);
                summary.rows_added = summary.rows_added.zip(add.rows()).and_then(|(sum, rows)| sum.checked_add(rows));
            }
            Action::Remove(_) => summary.files_removed += 1,
            Action::Domain(domain) => summary.domains.push(domain.domain),
            Action::Protocol(_)
            | Action::Metadata(_)
            | Action::Txn(_)
            | Action::Sidecar(_)
            | Action::CheckpointMetadata(_) => {}
        }
    }
    summary
}
