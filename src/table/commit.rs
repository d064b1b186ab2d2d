//! Transactions: actions gathered, checked against what the table is, and published as the next version.
//!
//! The commit is a put-if-absent of the next version's file. Losing it means: read the commits that won, check them for
//! conflict with this one, and try the version after them. What conflicts:
//! - another protocol or schema, because this transaction was made for the old one;
//! - a domain that this transaction expects to be as it was ([`Transaction::expect_domain`]);
//! - the same application's `txn`, because the two count the same steps;
//! - a file that this transaction removes and that was removed, or that it adds and that is there.
//!
//! When publishing fails with an error, the file may be there all the same. It is published again: if it exists by
//! then, its bytes are compared with ours (each commit holds a random id, so that equal bytes are our own).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::actions::{self, Action, AddFile, DomainMetadata, RemoveFile, Txn};
use super::log::{self, Commit};
use super::protocol::Use;
use super::snapshot::Snapshot;
use super::{Table, now_ms, partition};
use crate::error::{Error, Result};
use crate::storage::{Published, Storage};

/// How often a commit is tried. Each try that is lost is another writer's commit that won, so the whole moves on.
const TRIES_MAX: usize = 100_000;

/// Changes to a table that become visible together, or not at all. Nothing happens before
/// [`commit`](Self::commit).
#[derive(Debug)]
pub struct Transaction<'t> {
    table: &'t mut Table,
    operation: String,
    info: Map<String, Value>,
    adds: Vec<AddFile>,
    removes: BTreeSet<String>,
    domains: BTreeMap<String, String>,
    txns: BTreeMap<String, i64>,
    expected: BTreeMap<String, Option<String>>,
    /// The rows stay, only their files change.
    rearranges: bool,
}

impl<'t> Transaction<'t> {
    pub(super) fn new(table: &'t mut Table) -> Transaction<'t> {
        Transaction {
            table,
            operation: "WRITE".to_owned(),
            info: Map::new(),
            adds: Vec::new(),
            removes: BTreeSet::new(),
            domains: BTreeMap::new(),
            txns: BTreeMap::new(),
            expected: BTreeMap::new(),
            rearranges: false,
        }
    }

    /// Adds a data file, which is finished by now.
    pub fn add(&mut self, file: AddFile) -> &mut Self {
        self.adds.push(file);
        self
    }

    /// Removes a data file from the table. Its bytes stay until [`Table::vacuum`].
    pub fn remove(&mut self, path: impl Into<String>) -> &mut Self {
        self.removes.insert(path.into());
        self
    }

    /// Sets the state of a domain.
    pub fn set_domain(&mut self, domain: impl Into<String>, configuration: impl Into<String>) -> &mut Self {
        self.domains.insert(domain.into(), configuration.into());
        self
    }

    /// Fences other writers off: the commit is an [`Error::Conflict`] unless the domain's state is exactly this one
    /// (`None`: not set) in the version before.
    pub fn expect_domain(&mut self, domain: impl Into<String>, expected: Option<&str>) -> &mut Self {
        self.expected.insert(domain.into(), expected.map(str::to_owned));
        self
    }

    /// Records how far an application has come.
    pub fn txn(&mut self, app_id: impl Into<String>, version: i64) -> &mut Self {
        self.txns.insert(app_id.into(), version);
        self
    }

    /// Promises that the files added have the rows of those removed, and no others: the log says of each that it changes no
    /// data, which is allowed in an append-only table, too. Numbers of rows that differ are [`Error::Invalid`].
    pub fn rearranges(&mut self) -> &mut Self {
        self.rearranges = true;
        self
    }

    /// What the history calls this commit; `WRITE` by default.
    pub fn operation(&mut self, operation: impl Into<String>) -> &mut Self {
        self.operation = operation.into();
        self
    }

    /// Puts something into the history beside the commit.
    pub fn commit_info(&mut self, key: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        self.info.insert(key.into(), value.into());
        self
    }

    /// Publishes the changes as the table's next version, which is returned. The table is at that version then; after
    /// an [`Error::Conflict`] it is at the one that was in the way.
    ///
    /// After an [`Error::Io`] it may be open whether the commit happened: open the table again to know.
    pub fn commit(self) -> Result<u64> {
        let place = self.table.storage.name();
        self.publish().map_err(|e| e.in_file(place))
    }

    fn publish(mut self) -> Result<u64> {
        self.check_parts()?;
        self.table.check_base()?;
        self.catch_up()?;
        let bytes = self.encode()?;
        for _ in 0..TRIES_MAX {
            self.check_against(&self.table.snapshot)?;
            let version = self.table.snapshot.version + 1;
            if publish(self.table.storage.as_ref(), version, &bytes)? {
                let actions = actions::decode(&bytes)?;
                self.table.snapshot.advance(Commit { version, actions })?;
                return Ok(version);
            }
            self.catch_up()?;
        }
        Err(Error::conflict(format!("other writers won {TRIES_MAX} times in a row; try again")))
    }

    /// Checks that do not depend on what others commit.
    fn check_parts(&self) -> Result<()> {
        let reserved = ["timestamp", "operation", "operationParameters", "engineInfo", "txnId", "isBlindAppend"];
        if let Some(key) = self.info.keys().find(|key| reserved.contains(&key.as_str())) {
            return Err(Error::invalid(format!(
                "the commit info {key} is set by the commit itself; choose another key"
            )));
        }
        if let Some(domain) = self.domains.keys().find(|domain| domain.starts_with("delta.") || domain.is_empty()) {
            return Err(Error::invalid(format!("the domain {domain:?} is Delta's own; choose another name")));
        }
        let mut paths = BTreeSet::new();
        for add in &self.adds {
            if !paths.insert(&add.path) || self.removes.contains(&add.path) {
                return Err(Error::invalid(format!("the file {} is named twice in one commit", add.path)));
            }
        }
        Ok(())
    }

    /// Checks against the version that this commit would follow.
    fn check_against(&self, base: &Snapshot) -> Result<()> {
        let removes = !self.removes.is_empty() && !self.rearranges;
        let what = Use { removes, domains: !self.domains.is_empty() };
        base.protocol.check_write(&base.metadata, &base.schema, what)?;
        for (domain, expected) in &self.expected {
            if base.domains.get(domain) != expected.as_ref() {
                let message = format!("another writer has changed the state {domain} since it was read");
                return Err(Error::conflict(message).in_version(base.version));
            }
        }
        for add in &self.adds {
            if base.files.contains_key(&add.path) {
                return Err(Error::conflict(format!("the file {} is in the table already", add.path)));
            }
            partition::check(&base.metadata.partition_columns, &add.partition_values, &base.schema)
                .map_err(|e| e.in_file(add.path.clone()))?;
        }
        if let Some(path) = self.removes.iter().find(|path| !base.files.contains_key(*path)) {
            return Err(Error::conflict(format!("the file {path} to remove is not in the table (any more)")));
        }
        if self.rearranges {
            let removed = self.removes.iter().filter_map(|path| base.files.get(path));
            let removed = removed.map(|file| file.rows()).sum::<Option<u64>>();
            let added = self.adds.iter().map(AddFile::rows).sum::<Option<u64>>();
            if let (Some(removed), Some(added)) = (removed, added)
                && removed != added
            {
                return Err(Error::invalid(format!("files of {added} rows cannot stand for files of {removed}")));
            }
        }
        Ok(())
    }

    /// Reads the commits that others have made since.
    fn catch_up(&mut self) -> Result<()> {
        while let Some(winner) = self.table.read_next()? {
            let conflict = winner.actions.iter().find_map(|action| match action {
                Action::Protocol(_) => Some("its protocol".to_owned()),
                Action::Metadata(_) => Some("its schema or properties".to_owned()),
                Action::Txn(txn) if self.txns.contains_key(&txn.app_id) => {
                    Some(format!("the progress of the application {}", txn.app_id))
                }
                _ => None,
            });
            let version = winner.version;
            self.table.snapshot.advance(winner)?;
            if let Some(what) = conflict {
                let message =
                    format!("another writer has changed the table meanwhile: {what}; read it again, then retry");
                return Err(Error::conflict(message).in_version(version));
            }
        }
        Ok(())
    }

    /// The bytes of the commit. They are the same for every version that is tried, because of a file that is to be removed
    /// the path alone decides, and paths are never used twice.
    fn encode(&self) -> Result<Vec<u8>> {
        let now = now_ms();
        let mut actions = vec![Action::CommitInfo(self.commit_info_action(now))];
        for path in &self.removes {
            // One that is not there is found by the check before publishing.
            let file = self.table.snapshot.files.get(path);
            actions.push(Action::Remove(RemoveFile {
                path: path.clone(),
                deletion_ms: Some(now),
                partition_values: file.map(|file| file.partition_values.clone()).unwrap_or_default(),
                bytes: file.map_or(0, |file| file.bytes),
            }));
        }
        actions.extend(self.adds.iter().cloned().map(Action::Add));
        for (app_id, version) in &self.txns {
            let txn = Txn { app_id: app_id.clone(), version: *version, last_updated: Some(now) };
            actions.push(Action::Txn(txn));
        }
        for (domain, configuration) in &self.domains {
            let (domain, configuration) = (domain.clone(), configuration.clone());
            actions.push(Action::Domain(DomainMetadata { domain, configuration, removed: false }));
        }
        actions::encode(&actions, !self.rearranges)
    }

    fn commit_info_action(&self, now: i64) -> Map<String, Value> {
        let parameters = if self.rearranges { json!({"predicate": "[]"}) } else { json!({"mode": "Append"}) };
        let mut info = commit_info(&self.operation, parameters, now);
        info.insert("isBlindAppend".to_owned(), Value::from(self.removes.is_empty()));
        info.extend(self.info.clone());
        info
    }
}

/// The first action of every commit.
pub(super) fn commit_info(operation: &str, parameters: Value, now: i64) -> Map<String, Value> {
    let info = json!({
        "timestamp": now,
        "operation": operation,
        "operationParameters": parameters,
        "engineInfo": concat!("hypostyle/", env!("CARGO_PKG_VERSION")),
        "txnId": Uuid::new_v4().to_string(),
    });
    match info {
        Value::Object(info) => info,
        _ => Map::new(),
    }
}

impl Table {
    /// Makes sure that the version last read outlives a crash. Its writer may have died, or failed, before it made the
    /// version's name durable. Whoever acts elsewhere on what it says (removes files, moves a position past dead letters) does
    /// this first; a commit to the same table is enough, too.
    pub(crate) fn settle(&self) -> Result<()> {
        for path in self.base_files()? {
            let input = self.storage.open(&path)?;
            self.storage.publish_if_absent(&path, &input.read(0..input.bytes())?)?;
        }
        Ok(())
    }
}

/// Publishes the bytes as this version's file: true if it is ours by now, false if another writer's is there.
pub(super) fn publish(storage: &dyn Storage, version: u64, bytes: &[u8]) -> Result<bool> {
    let path = log::path(version);
    match storage.publish_if_absent(&path, bytes) {
        Ok(Published::Done) => return Ok(true),
        Ok(Published::Exists) => return Ok(false),
        Err(first) => match storage.publish_if_absent(&path, bytes) {
            Ok(Published::Done) => return Ok(true),
            Ok(Published::Exists) => {}
            Err(_) => return Err(first.in_version(version)),
        },
    }
    // The first try may have been the one that made it.
    let there = log::read_bytes(storage, version)?;
    Ok(there.is_some_and(|there| there == bytes))
}
