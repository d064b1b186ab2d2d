//! Checkpoints: Parquet files that say what a table is at a version, so that the commits before it need not be there.
//!
//! Spec: PROTOCOL.md, "Checkpoints". They are read only of a log that does not reach back to version 0; none are written.
//!
//! ```text
//! 00000000000000000010.checkpoint.parquet                                           whole
//! 00000000000000000010.checkpoint.0000000001.0000000002.parquet                     part 1 of 2
//! 00000000000000000010.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet      v2; or .json, as a commit's file
//! _sidecars/3a0d65cd-4056-49b8-937b-95f9e3ee90e5.parquet                            adds and removes of a v2 one that names it
//! ```
//!
//! A row is an action: a column a kind of action, all but one of them null. Actions become the same as those of commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};

use uuid::Uuid;

use super::actions::{
    self, Action, AddFile, CheckpointMetadata, DomainMetadata, Format, Metadata, RemoveFile, Sidecar, Txn,
};
use super::log::Commit;
use super::path;
use super::protocol::Protocol;
use crate::error::{Error, Result};
use crate::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use crate::storage::{Input, Storage};

/// A checkpoint that is there with all its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub version: u64,
    /// The paths of its parts, in order, without sidecars.
    pub files: Vec<String>,
}

/// Where sidecars are: nowhere else.
const SIDECARS: &str = "_delta_log/_sidecars/";

/// What actions may take in memory, and how many times the bytes that they are read from if that is more: Parquet can say the
/// same row a billion times in a few bytes.
const MEMORY_BYTES: usize = 1 << 30;
const MEMORY_TIMES: usize = 64;

/// Whether this is what follows the version in the name of a v2 checkpoint.
pub(super) fn is_v2(ending: &str) -> bool {
    let middle = ending.strip_prefix(".checkpoint.").and_then(|rest| rest.rsplit_once('.'));
    middle.is_some_and(|(id, kind)| ["parquet", "json"].contains(&kind) && Uuid::try_parse(id).is_ok())
}

/// Of a checkpoint's file name, behind the version: which part it is, and of how many; `None` for other kinds.
pub(super) fn part(ending: &str) -> Option<(u64, u64)> {
    let middle = ending.strip_prefix(".checkpoint.")?;
    if middle == "parquet" {
        return Some((1, 1));
    }
    let (part, of) = middle.strip_suffix(".parquet")?.split_once('.')?;
    let number = |text: &str| {
        let is_number = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (part, of) = (number(part)?, number(of)?);
    (1..=of).contains(&part).then_some((part, of))
}

/// The table at the checkpoint's version, as one commit of everything.
pub(super) fn read(storage: &dyn Storage, checkpoint: &Checkpoint) -> Result<Commit> {
    let mut gathered = Gathered::default();
    for path in &checkpoint.files {
        let input = storage.open(path)?;
        let name = input.name().to_owned();
        let in_file = |e: Error| e.in_version(checkpoint.version).in_file(name.clone());
        let sidecars = gathered.file(input, path, &schema()).and_then(|()| gathered.sidecars(checkpoint.version));
        for (path, bytes) in sidecars.map_err(in_file)? {
            let input = storage.open(&path).map_err(|e| e.in_version(checkpoint.version))?;
            let name = input.name().to_owned();
            let read = match input.bytes() {
                there if there == bytes => gathered.file(input, &path, &sidecar_schema()),
                there => Err(Error::corrupt(format!("has {there} bytes, the checkpoint tells of {bytes}"))),
            };
            read.map_err(|e| e.in_version(checkpoint.version).in_file(name))?;
        }
    }
    Ok(Commit { version: checkpoint.version, actions: gathered.actions })
}

/// What was read.
#[derive(Default)]
struct Gathered {
    actions: Vec<Action>,
    /// Names of sidecars: each is read once.
    named: BTreeSet<String>,
    /// Bytes of files read, and of what is held.
    stored: usize,
    held: usize,
}

impl Gathered {
    fn file(&mut self, input: Arc<dyn Input>, path: &str, schema: &SchemaRef) -> Result<()> {
        let bytes = input.bytes();
        self.stored = self.stored.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        if path.ends_with(".json") {
            self.actions.append(&mut actions::decode(&input.read(0..bytes)?)?);
            return Ok(());
        }
        let file = FileReader::open(input, ReaderOptions::default())?;
        let mut row = 0;
        for batch in file.scan(ScanOptions::default().with_schema(Arc::clone(schema)))? {
            let batch = batch?;
            let values = batch.get_array_memory_size();
            let held = batch.num_rows().saturating_mul(size_of::<Action>()).saturating_add(values);
            self.held = self.held.saturating_add(held);
            let most = self.stored.saturating_mul(MEMORY_TIMES).max(MEMORY_BYTES);
            if self.held > most {
                return Err(Error::limit(format!("the actions of a checkpoint take more than {most} bytes")));
            }
            take(&batch, row, &mut self.actions)?;
            row += batch.num_rows();
        }
        Ok(())
    }

    /// Takes the sidecars that were named out of the actions: paths, and how long the files are.
    fn sidecars(&mut self, version: u64) -> Result<Vec<(String, u64)>> {
        let mut sidecars = Vec::new();
        for action in &self.actions {
            match action {
                Action::Sidecar(sidecar) => {
                    let name = path::decode(&sidecar.path)?;
                    if name.contains('/') {
                        let message = format!("a sidecar {name:?}, which is to be a name in {SIDECARS}");
                        return Err(Error::unsupported(message));
                    }
                    if !self.named.insert(name.clone()) {
                        return Err(Error::corrupt(format!("the sidecar {name} is named twice")));
                    }
                    sidecars.push((format!("{SIDECARS}{name}"), sidecar.bytes));
                }
                Action::CheckpointMetadata(of) if of.version != version => {
                    return Err(Error::corrupt(format!("is of version {}", of.version)));
                }
                _ => {}
            }
        }
        self.actions.retain(|action| !matches!(action, Action::Sidecar(_) | Action::CheckpointMetadata(_)));
        Ok(sidecars)
    }
}

/// The columns of [`schema`] that a sidecar has.
fn sidecar_schema() -> SchemaRef {
    let all = schema();
    let fields = all.fields().iter().filter(|field| ["add", "remove"].contains(&field.name().as_str())).cloned();
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// The columns that are read; what a checkpoint lacks of them is null.
fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let integer = |name: &str| Field::new(name, DataType::Int64, true);
    let map = |name: &str| {
        Field::new_map(name, "key_value", Field::new("key", DataType::Utf8, false), text("value"), false, true)
    };
    let list = |name: &str| Field::new_list(name, text("element"), true);
    let part = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(Fields::from(fields)), true);
    let vector = || part("deletionVector", vec![text("storageType")]);
    let small = |name: &str| Field::new(name, DataType::Int32, true);
    let add = vec![
        text("path"),
        map("partitionValues"),
        integer("size"),
        integer("modificationTime"),
        text("stats"),
        map("tags"),
        vector(),
    ];
    let remove = vec![text("path"), integer("deletionTimestamp"), map("partitionValues"), integer("size"), vector()];
    let metadata = vec![
        text("id"),
        text("name"),
        text("description"),
        part("format", vec![text("provider"), map("options")]),
        text("schemaString"),
        list("partitionColumns"),
        integer("createdTime"),
        map("configuration"),
    ];
    let protocol =
        vec![small("minReaderVersion"), small("minWriterVersion"), list("readerFeatures"), list("writerFeatures")];
    Arc::new(Schema::new(vec![
        part("txn", vec![text("appId"), integer("version"), integer("lastUpdated")]),
        part("add", add),
        part("remove", remove),
        part("metaData", metadata),
        part("protocol", protocol),
        part(
            "domainMetadata",
            vec![text("domain"), text("configuration"), Field::new("removed", DataType::Boolean, true)],
        ),
        part("sidecar", vec![text("path"), integer("sizeInBytes")]),
        part("checkpointMetadata", vec![integer("version")]),
    ]))
}

/// What makes an action of a row's struct.
type Read = fn(&Part) -> Result<Action>;

/// The actions of a batch, the first row of which is number `first` of its file.
fn take(batch: &RecordBatch, first: usize, actions: &mut Vec<Action>) -> Result<()> {
    let kinds: [(&str, Read); 8] = [
        ("protocol", protocol),
        ("metaData", metadata),
        ("txn", txn),
        ("add", add),
        ("remove", remove),
        ("domainMetadata", domain),
        ("sidecar", sidecar),
        ("checkpointMetadata", checkpoint_metadata),
    ];
    for (name, read) in kinds {
        let column = batch.column_by_name(name).and_then(|column| column.as_struct_opt());
        let Some(values) = column else { continue };
        for row in (0..batch.num_rows()).filter(|&row| values.is_valid(row)) {
            let action = read(&Part { values, row }).map_err(|e| match e {
                Error::Unsupported(_) => e,
                e => Error::corrupt(format!("row {}: {name}: {}", first + row, e.message())).with_source(e),
            })?;
            actions.push(action);
        }
    }
    Ok(())
}

fn protocol(of: &Part) -> Result<Action> {
    let version = |name: &str| {
        let column = of.column(name)?.as_primitive_opt::<Int32Type>();
        column.and_then(|values| u32::try_from(values.value(of.row)).ok())
    };
    let needed = |name: &'static str| version(name).ok_or_else(|| missing(name));
    Ok(Action::Protocol(Protocol {
        min_reader_version: needed("minReaderVersion")?,
        min_writer_version: needed("minWriterVersion")?,
        reader_features: of.list("readerFeatures")?,
        writer_features: of.list("writerFeatures")?,
    }))
}

fn metadata(of: &Part) -> Result<Action> {
    let format = of.part("format").ok_or_else(|| missing("format"))?;
    let without_nulls = |map: Option<BTreeMap<String, Option<String>>>| {
        map.unwrap_or_default().into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    };
    Ok(Action::Metadata(Metadata {
        id: of.needed("id")?,
        name: of.text("name"),
        description: of.text("description"),
        format: Format { provider: format.needed("provider")?, options: without_nulls(format.map("options")?) },
        schema_string: of.needed("schemaString")?,
        partition_columns: of.list("partitionColumns")?.unwrap_or_default(),
        created_time: of.integer("createdTime"),
        configuration: without_nulls(of.map("configuration")?),
    }))
}

fn txn(of: &Part) -> Result<Action> {
    Ok(Action::Txn(Txn {
        app_id: of.needed("appId")?,
        version: of.integer("version").ok_or_else(|| missing("version"))?,
        last_updated: of.integer("lastUpdated"),
    }))
}

fn add(of: &Part) -> Result<Action> {
    let path = of.needed("path")?;
    actions::refuse_deletion_vector(&path, of.part("deletionVector").map(|_| ()))?;
    let tags = of.map("tags")?.unwrap_or_default();
    Ok(Action::Add(AddFile {
        path: path::decode(&path)?,
        partition_values: of.map("partitionValues")?.unwrap_or_default(),
        bytes: of.bytes("size")?.ok_or_else(|| missing("size"))?,
        modified_ms: of.integer("modificationTime").ok_or_else(|| missing("modificationTime"))?,
        stats: of.text("stats"),
        tags: tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
    }))
}

fn remove(of: &Part) -> Result<Action> {
    let path = of.needed("path")?;
    actions::refuse_deletion_vector(&path, of.part("deletionVector").map(|_| ()))?;
    Ok(Action::Remove(RemoveFile {
        path: path::decode(&path)?,
        deletion_ms: of.integer("deletionTimestamp"),
        partition_values: of.map("partitionValues")?.unwrap_or_default(),
        bytes: of.bytes("size")?.unwrap_or(0),
    }))
}

fn domain(of: &Part) -> Result<Action> {
    let removed = of.column("removed").and_then(|column| column.as_boolean_opt().map(|values| values.value(of.row)));
    Ok(Action::Domain(DomainMetadata {
        domain: of.needed("domain")?,
        configuration: of.text("configuration").unwrap_or_default(),
        removed: removed.unwrap_or(false),
    }))
}

fn sidecar(of: &Part) -> Result<Action> {
    let bytes = of.bytes("sizeInBytes")?.ok_or_else(|| missing("sizeInBytes"))?;
    Ok(Action::Sidecar(Sidecar { path: of.needed("path")?, bytes }))
}

fn checkpoint_metadata(of: &Part) -> Result<Action> {
    let version = of.bytes("version")?.ok_or_else(|| missing("version"))?;
    Ok(Action::CheckpointMetadata(CheckpointMetadata { version }))
}

/// One value of a struct.
struct Part<'a> {
    values: &'a StructArray,
    row: usize,
}

impl<'a> Part<'a> {
    /// The array of a field, if it has a value here.
    fn column(&self, name: &str) -> Option<&'a ArrayRef> {
        self.values.column_by_name(name).filter(|column| column.is_valid(self.row))
    }

    fn text(&self, name: &str) -> Option<String> {
        Some(self.column(name)?.as_string_opt::<i32>()?.value(self.row).to_owned())
    }

    fn needed(&self, name: &'static str) -> Result<String> {
        self.text(name).ok_or_else(|| missing(name))
    }

    fn integer(&self, name: &str) -> Option<i64> {
        Some(self.column(name)?.as_primitive_opt::<Int64Type>()?.value(self.row))
    }

    fn bytes(&self, name: &'static str) -> Result<Option<u64>> {
        let negative = |_| Error::corrupt(format!("{name} is negative"));
        self.integer(name).map(|bytes| u64::try_from(bytes).map_err(negative)).transpose()
    }

    fn part(&self, name: &str) -> Option<Part<'a>> {
        Some(Part { values: self.column(name)?.as_struct_opt()?, row: self.row })
    }

    fn list(&self, name: &'static str) -> Result<Option<Vec<String>>> {
        let Some(list) = self.column(name).and_then(|column| column.as_list_opt::<i32>()) else { return Ok(None) };
        let values = list.value(self.row);
        let texts = values.as_string_opt::<i32>().ok_or_else(|| missing(name))?;
        let null = || Error::corrupt(format!("{name} has a null"));
        texts.iter().map(|text| text.map(str::to_owned).ok_or_else(null)).collect::<Result<_>>().map(Some)
    }

    fn map(&self, name: &'static str) -> Result<Option<BTreeMap<String, Option<String>>>> {
        let Some(map) = self.column(name).and_then(|column| column.as_map_opt()) else { return Ok(None) };
        let entries = map.value(self.row);
        let texts = |at: usize| entries.columns().get(at).and_then(|column| column.as_string_opt::<i32>());
        let (keys, values) = texts(0).zip(texts(1)).ok_or_else(|| missing(name))?;
        let null = || Error::corrupt(format!("{name} has a key that is null"));
        let entry = |(key, value): (Option<&str>, Option<&str>)| {
            key.map(|key| (key.to_owned(), value.map(str::to_owned))).ok_or_else(null)
        };
        keys.iter().zip(values.iter()).map(entry).collect::<Result<_>>().map(Some)
    }
}

fn missing(name: &str) -> Error {
    Error::corrupt(format!("has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts() {
        assert_eq!(part(".checkpoint.parquet"), Some((1, 1)));
        assert_eq!(part(".checkpoint.0000000002.0000000003.parquet"), Some((2, 3)));
        for other in [
            ".json",
            ".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet",
            ".checkpoint.0000000004.0000000003.parquet",
            ".checkpoint.0000000000.0000000003.parquet",
            ".checkpoint.2.3.parquet",
        ] {
            assert_eq!(part(other), None, "{other}");
        }
        assert!(is_v2(".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet"));
        assert!(is_v2(".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"));
        for other in [".json", ".checkpoint.parquet", ".checkpoint.0000000001.0000000002.parquet", ".checkpoint.x.json"]
        {
            assert!(!is_v2(other), "{other}");
        }
    }
}
