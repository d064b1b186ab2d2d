//! The table of dead letters: each bad record once, with its place, its bytes and what is wrong.
//!
//! Its own commits carry, by partition, the position below which every bad record is in it. They come before the
//! commits of the table that count those records, so that a crash in between makes it know more than that
//! table, never less.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::sink::SINK_TAG;
use crate::error::{Error, Result};
use crate::log::Offset;
use crate::parquet::write::{FileWriter, WriterOptions};
use crate::storage::Storage;
use crate::table::{AddFile, CreateOptions, PartitionValues, Table};

/// The state of a partition in the dead letters' own commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeadState {
    pub version: u32,
    pub epoch: u64,
    /// Every bad record below it is in the table.
    pub position: Offset,
    /// How many those are.
    pub rows: u64,
}

impl DeadState {
    pub(super) fn from_json(text: &str) -> Result<DeadState> {
        let state: DeadState = serde_json::from_str(text)
            .map_err(|e| Error::corrupt(format!("the dead letters' state is no state: {e}")).with_source(e))?;
        match state.version {
            STATE_VERSION => Ok(state),
            other => Err(Error::unsupported(format!(
                "the dead letters' state has version {other}, this program knows {STATE_VERSION}; use a newer one"
            ))),
        }
    }
}

pub(super) struct DeadLetters {
    storage: Arc<dyn Storage>,
    sink: String,
    writer_options: WriterOptions,
    /// Made with the first bad record.
    table: Option<Table>,
    partitions: BTreeMap<String, DeadPartition>,
    columns: DeadColumns,
    /// The open file, and its path.
    file: Option<(FileWriter, String)>,
}

#[derive(Default)]
struct DeadPartition {
    stored: Option<(DeadState, String)>,
    /// Since the last commit.
    new_rows: u64,
    /// After the last bad record that came.
    position: Offset,
}

impl DeadLetters {
    /// Opens the table if there is one.
    pub(super) fn open(storage: Arc<dyn Storage>, sink: &str, writer_options: WriterOptions) -> Result<DeadLetters> {
        let table = Table::open_if_exists(Arc::clone(&storage))?;
        let mut letters = DeadLetters {
            storage,
            sink: sink.to_owned(),
            writer_options,
            table: None,
            partitions: BTreeMap::new(),
            columns: DeadColumns::default(),
            file: None,
        };
        if let Some(table) = table {
            check(&table)?;
            // What is there already is not written again: it must not be lost when the sink's position has passed it.
            table.settle()?;
            let prefix = domain(sink, "");
            for (name, json) in &table.snapshot().domains {
                if let Some(partition) = name.strip_prefix(&prefix) {
                    let state = DeadState::from_json(json).map_err(|e| e.in_file(letters.storage.name()))?;
                    let known = letters.partitions.entry(partition.to_owned()).or_default();
                    known.stored = Some((state, json.clone()));
                }
            }
            letters.table = Some(table);
        }
        Ok(letters)
    }

    /// Takes a bad record, unless the table has it.
    pub(super) fn push(
        &mut self,
        partition: &str,
        offset: Offset,
        next: Offset,
        error: &str,
        raw: &[u8],
    ) -> Result<bool> {
        if !self.partitions.contains_key(partition) {
            self.partitions.insert(partition.to_owned(), DeadPartition::default());
        }
        let Some(known) = self.partitions.get_mut(partition) else { return Ok(false) };
        if known.stored.as_ref().is_some_and(|(state, _)| offset < state.position) {
            return Ok(false);
        }
        known.new_rows += 1;
        known.position = next;
        self.columns.push(&self.sink, partition, offset, error, raw)?;
        if self.columns.bytes >= BATCH_BYTES {
            self.write()?;
        }
        Ok(true)
    }

    /// Whether a commit has what is bad at this offset.
    pub(super) fn has(&self, partition: &str, offset: Offset) -> bool {
        let stored = self.partitions.get(partition).and_then(|known| known.stored.as_ref());
        stored.is_some_and(|(state, _)| offset < state.position)
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.columns.rows > 0 || self.file.is_some()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.columns.bytes * 2 + self.file.as_ref().map_or(0, |(writer, _)| writer.memory_bytes())
    }

    /// Ends the row group, so that little stays in memory.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.columns.rows > 0 {
            self.write()?;
        }
        self.file.as_mut().map_or(Ok(()), |(writer, _)| writer.flush())
    }

    fn write(&mut self) -> Result<()> {
        if self.table.is_none() {
            // Another sink may be quicker. If it was another writer of this sink, then the commit will say so: what it
            // has written is not taken up here, because what was gathered may have it as well.
            let made = match Table::create(Arc::clone(&self.storage), schema(), CreateOptions::default()) {
                Err(Error::Conflict(_)) => Table::open(Arc::clone(&self.storage)),
                made => made,
            }?;
            check(&made)?;
            self.table = Some(made);
        }
        let Some(table) = &self.table else { return Ok(()) };
        let batch = self.columns.take()?;
        let (writer, _) = match &mut self.file {
            Some(file) => file,
            none => {
                let path = table.data_path(&PartitionValues::new());
                let output = self.storage.create(&path)?;
                none.insert((FileWriter::new(output, schema(), self.writer_options.clone())?, path))
            }
        };
        writer.write(&batch)
    }

    /// Commits what came since the last time.
    pub(super) fn commit(&mut self) -> Result<()> {
        if self.columns.rows > 0 {
            self.write()?;
        }
        let (Some((writer, path)), Some(table)) = (self.file.take(), &mut self.table) else { return Ok(()) };
        let written = writer.finish()?;
        let arrow = Arc::clone(&table.snapshot().schema);
        let mut add = AddFile::from_written(&written, &arrow, &path, PartitionValues::new())?;
        add.tags.insert(SINK_TAG.to_owned(), self.sink.clone());
        let mut transaction = table.transaction();
        transaction.operation("DEAD LETTERS").add(add);
        let mut after = Vec::new();
        for (partition, known) in self.partitions.iter().filter(|(_, known)| known.new_rows > 0) {
            let (epoch, rows) = known.stored.as_ref().map_or((0, 0), |(state, _)| (state.epoch, state.rows));
            let state = DeadState {
                version: STATE_VERSION,
                epoch: epoch + 1,
                position: known.position,
                rows: rows + known.new_rows,
            };
            let json = serde_json::to_string(&state).map_err(|e| Error::invalid(e.to_string()).with_source(e))?;
            let domain = domain(&self.sink, partition);
            transaction.expect_domain(&domain, known.stored.as_ref().map(|(_, json)| json.as_str()));
            transaction.txn(&domain, i64::try_from(state.epoch).unwrap_or(i64::MAX));
            transaction.set_domain(&domain, &json);
            after.push((partition.clone(), state, json));
        }
        let done = transaction.commit();
        if let Err(Error::Conflict(_)) = done {
            // Nobody names it, and nobody will.
            let _ = self.storage.remove(&path);
        }
        done?;
        for (partition, state, json) in after {
            let position = state.position;
            self.partitions.insert(partition, DeadPartition { stored: Some((state, json)), new_rows: 0, position });
        }
        Ok(())
    }
}

/// Whether a table is one of dead letters.
fn check(table: &Table) -> Result<()> {
    let there = table.snapshot().schema.fields();
    if there.iter().map(|field| field.name()).eq(schema().fields().iter().map(|field| field.name())) {
        return Ok(());
    }
    Err(Error::invalid("is a table, and not one of dead letters; move it away").in_file(table.storage().name()))
}

/// The domain of a partition's state, in the table and in that of its dead letters.
pub(super) fn domain(sink: &str, partition: &str) -> String {
    format!("{DOMAIN_PREFIX}{sink}.{partition}")
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("sink", DataType::Utf8, false),
        Field::new("source_partition", DataType::Utf8, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("error", DataType::Utf8, false),
        Field::new("raw", DataType::Binary, false),
    ]))
}

#[derive(Default)]
struct DeadColumns {
    sink: StringBuilder,
    partition: StringBuilder,
    offset: Int64Builder,
    error: StringBuilder,
    raw: BinaryBuilder,
    rows: usize,
    bytes: usize,
}

impl DeadColumns {
    fn push(&mut self, sink: &str, partition: &str, offset: Offset, error: &str, raw: &[u8]) -> Result<()> {
        let offset = i64::try_from(offset.0).map_err(|_| Error::limit("an offset beyond 2^63"))?;
        self.sink.append_value(sink);
        self.partition.append_value(partition);
        self.offset.append_value(offset);
        self.error.append_value(error);
        self.raw.append_value(raw);
        self.rows += 1;
        self.bytes += 32 + sink.len() + partition.len() + error.len() + raw.len();
        Ok(())
    }

    fn take(&mut self) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.sink.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.error.finish()),
            Arc::new(self.raw.finish()),
        ];
        self.rows = 0;
        self.bytes = 0;
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}

pub(super) const DOMAIN_PREFIX: &str = "hypostyle.ingest.";
const STATE_VERSION: u32 = 1;
const BATCH_BYTES: usize = 4 << 20;
