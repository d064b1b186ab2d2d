//! A table: Parquet data files in a folder, and a log of atomic commits that says which of them count.
//!
//! The format is Delta Lake's, so every engine that reads Delta reads these tables. Spec: PROTOCOL.md of Delta
//! Lake, "Delta Transaction Log Protocol".
//!
//! ```text
//! table/
//! ├── _delta_log/
//! │   ├── 00000000000000000000.json      commit 0: protocol, schema
//! │   └── 00000000000000000001.json      commit 1: files added, state of the writer
//! └── day=2013-01-01/
//!     └── part-0f3c….parquet             named by commit 1; without it, garbage
//! ```
//!
//! What always holds:
//! - A version's file is made once, whole, and never changed: a commit is a put-if-absent of the next number.
//! - Data files are durable before a commit names them.
//! - A table that asks for what this crate does not have is refused with the name of what is missing.
//! - Of two transactions that change the same thing, one gets [`Error::Conflict`].

mod actions;
mod checkpoint;
mod columns;
mod commit;
mod compact;
mod history;
mod log;
pub mod partition;
mod path;
mod protocol;
mod scan;
mod schema;
mod snapshot;
mod stats;
mod vacuum;
mod value;
mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_schema::{Schema, SchemaRef};
use serde_json::json;
use uuid::Uuid;

pub use actions::{AddFile, Format, Metadata};
pub use commit::Transaction;
pub use compact::{CompactOptions, CompactReport, CompactedGroup};
pub use history::CommitSummary;
pub use partition::PartitionValues;
pub use protocol::Protocol;
pub use scan::{FileDecision, FileExplanation, Part, ScanOptions, TableCounts, TableExplanation, TableScan};
pub use snapshot::{Snapshot, SnapshotStats};
pub use vacuum::{VacuumOptions, VacuumReport};
pub use verify::FileVerification;

use crate::error::{Error, Result};
use crate::storage::{Storage, is_not_found};
use actions::Action;
use log::Commit;

/// A table in a storage, as of the version last read.
#[derive(Debug, Clone)]
pub struct Table {
    storage: Arc<dyn Storage>,
    snapshot: Snapshot,
}

/// How a new table is made.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// Columns whose values become folders instead of standing in the files.
    pub partition_columns: Vec<String>,
    /// Table properties. Of those that begin with `delta.`, only ones that this crate honours.
    pub properties: BTreeMap<String, String>,
    /// What the owner calls it.
    pub name: Option<String>,
    /// What the owner says of it.
    pub description: Option<String>,
}

impl CreateOptions {
    /// The same options with these partition columns.
    #[must_use]
    pub fn with_partition_columns<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.partition_columns = columns.into_iter().map(Into::into).collect();
        self
    }

    /// The same options with a property set.
    #[must_use]
    pub fn with_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }
}

/// Delta's own properties that a new table may have: those that need nothing of a writer, and `appendOnly`.
const PROPERTIES: &[&str] = &[
    "delta.appendOnly",
    "delta.checkpointInterval",
    "delta.dataSkippingNumIndexedCols",
    "delta.deletedFileRetentionDuration",
    "delta.logRetentionDuration",
    "delta.parquet.compression.codec",
    "delta.targetFileSize",
];

impl Table {
    /// Makes a table where none is ([`Error::Conflict`] otherwise). A schema with what Delta has no type for, or
    /// partition columns that are not there, is [`Error::Invalid`].
    pub fn create(storage: Arc<dyn Storage>, schema: SchemaRef, options: CreateOptions) -> Result<Table> {
        let place = storage.name();
        create(storage, &schema, options).map_err(|e| e.in_file(place))
    }

    /// Opens the table in this storage; [`Error::Invalid`] if there is none.
    pub fn open(storage: Arc<dyn Storage>) -> Result<Table> {
        let name = storage.name();
        Table::open_if_exists(storage)?
            .ok_or_else(|| Error::invalid("there is no table here (no _delta_log folder with commits)").in_file(name))
    }

    /// Opens the table in this storage if there is one.
    pub fn open_if_exists(storage: Arc<dyn Storage>) -> Result<Option<Table>> {
        let place = storage.name();
        let Some(log::Extent { checkpoint, last }) = log::extent(storage.as_ref())? else { return Ok(None) };
        let vanished = |version| Error::corrupt("vanished from the table's log while it was read").in_version(version);
        let commit = |version| log::read(storage.as_ref(), version)?.ok_or_else(|| vanished(version));
        let base = checkpoint.map(|checkpoint| checkpoint::read(storage.as_ref(), &checkpoint)).transpose()?;
        let first = base.as_ref().map_or(0, |base| base.version + 1);
        let commits = base.map(Ok).into_iter().chain((first..=last).map(commit));
        let snapshot = Snapshot::fold(commits).map_err(|e| e.in_file(place))?;
        Ok(Some(Table { storage, snapshot }))
    }

    /// The table as of the version last read.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Where the table is.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Reads the commits that have been made since, and returns the version.
    pub fn refresh(&mut self) -> Result<u64> {
        while let Some(commit) = self.read_next()? {
            self.snapshot.advance(commit).map_err(|e| e.in_file(self.storage.name()))?;
        }
        Ok(self.snapshot.version)
    }

    /// Starts a transaction on top of the version last read.
    pub fn transaction(&mut self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// A fresh path for a data file with these partition values: `day=2013-01-01/part-<random>.parquet`.
    pub fn data_path(&self, values: &PartitionValues) -> String {
        let name = format!("part-{}.parquet", Uuid::new_v4());
        match partition::folder(&self.snapshot.metadata.partition_columns, values) {
            folder if folder.is_empty() => name,
            folder => format!("{folder}/{name}"),
        }
    }

    /// The commit after the version last read, if there is one by now.
    fn read_next(&self) -> Result<Option<Commit>> {
        log::read(self.storage.as_ref(), self.snapshot.version + 1)
    }

    /// Checks that the log still holds the version last read. Were it cleaned up by a retention, then what looks like the
    /// next free version would be a hole in the past.
    fn check_base(&self) -> Result<()> {
        self.base_files().map(|_| ())
    }

    /// The files that hold the version last read: its commit or, where others have cleaned that up, the checkpoint that the
    /// log goes on from. [`Error::Conflict`] when they are gone.
    fn base_files(&self) -> Result<Vec<String>> {
        let version = self.snapshot.version;
        let commit = log::path(version);
        match self.storage.open(&commit) {
            Ok(_) => return Ok(vec![commit]),
            Err(e) if is_not_found(&e) => {}
            Err(e) => return Err(e),
        }
        // Were there a later checkpoint, commits between the two could be cleaned up, too.
        let extent = match log::extent(self.storage.as_ref()) {
            // What is left of the log tells of no table, less so of this version.
            Err(Error::Corrupt(_) | Error::Unsupported(_)) => None,
            extent => extent?,
        };
        let checkpoint = extent.and_then(|extent| extent.checkpoint);
        let checkpoint = checkpoint.filter(|checkpoint| checkpoint.version == version);
        let gone = || Error::conflict("is gone from the table's log; open the table again").in_version(version);
        checkpoint.map(|checkpoint| checkpoint.files).ok_or_else(gone)
    }
}

fn create(storage: Arc<dyn Storage>, schema: &Schema, options: CreateOptions) -> Result<Table> {
    for column in &options.partition_columns {
        let field = schema
            .field_with_name(column)
            .map_err(|_| Error::invalid("partitions the table, and is not in its schema").in_column(column))?;
        if !partition::can_partition(field.data_type()) {
            return Err(
                Error::invalid(format!("of type {} cannot partition a table", field.data_type())).in_column(column)
            );
        }
        if options.partition_columns.iter().filter(|other| *other == column).count() > 1 {
            return Err(Error::invalid("partitions the table twice").in_column(column));
        }
    }
    if schema.fields().len() <= options.partition_columns.len() {
        return Err(Error::invalid("a table needs a column that does not partition it"));
    }
    let unknown = |key: &&String| key.starts_with("delta.") && !PROPERTIES.contains(&key.as_str());
    if let Some(key) = options.properties.keys().find(unknown) {
        return Err(Error::unsupported(format!("the table property {key} is not one that this version honours")));
    }
    let now = now_ms();
    let metadata = Metadata {
        id: Uuid::new_v4().to_string(),
        name: options.name,
        description: options.description,
        format: Format::default(),
        schema_string: schema::to_delta(schema)?,
        partition_columns: options.partition_columns,
        created_time: Some(now),
        configuration: options.properties,
    };
    let protocol = Protocol::of_new_table(schema, &metadata.configuration);
    let partition_by = serde_json::to_string(&metadata.partition_columns).unwrap_or_default();
    let info = commit::commit_info("CREATE TABLE", json!({"partitionBy": partition_by}), now);
    let actions = vec![Action::CommitInfo(info), Action::Protocol(protocol), Action::Metadata(metadata)];
    let bytes = actions::encode(&actions, true)?;
    // Whatever is in the log, even what we cannot read, is somebody's table.
    if !storage.list(log::FOLDER)?.is_empty() || !commit::publish(storage.as_ref(), 0, &bytes)? {
        return Err(Error::conflict("there is a table here already; open it, or choose another folder"));
    }
    let snapshot = Snapshot::fold([Ok(Commit { version: 0, actions })].into_iter())?;
    Ok(Table { storage, snapshot })
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
