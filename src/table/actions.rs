//! The actions of a commit, as they stand in its file: one JSON object a line, one action an object.
//!
//! Spec: PROTOCOL.md, "Actions". Unknown actions and unknown fields are skipped: those that must not be are
//! announced by a feature of the protocol, which [`Protocol`] refuses.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::path;
use super::protocol::Protocol;
use crate::error::{Error, Result};

/// One action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    CommitInfo(Map<String, Value>),
    Protocol(Protocol),
    Metadata(Metadata),
    Add(AddFile),
    Remove(RemoveFile),
    Txn(Txn),
    Domain(DomainMetadata),
    /// Of a checkpoint alone: a file of it.
    Sidecar(Sidecar),
    /// Of a checkpoint alone: the version that it is of.
    CheckpointMetadata(CheckpointMetadata),
}

/// What a table is: its schema, its partition columns, its properties.
///
/// Spec: PROTOCOL.md, "Change Metadata".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Unique to the table.
    pub id: String,
    /// What its owner calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What its owner says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How data files are encoded.
    pub format: Format,
    /// The schema as JSON; see [`Snapshot::schema`](super::Snapshot) for it as Arrow's.
    pub schema_string: String,
    /// Columns whose values the log holds, not the files.
    pub partition_columns: Vec<String>,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
    /// The table's properties.
    #[serde(default, deserialize_with = "without_nulls")]
    pub configuration: BTreeMap<String, String>,
}

/// The encoding of data files: always Parquet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// `parquet`.
    pub provider: String,
    /// Empty.
    #[serde(default, deserialize_with = "without_nulls")]
    pub options: BTreeMap<String, String>,
}

impl Default for Format {
    fn default() -> Format {
        Format { provider: "parquet".to_owned(), options: BTreeMap::new() }
    }
}

/// A data file of the table.
///
/// Spec: PROTOCOL.md, "Add File and Remove File".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddFile {
    /// Its path in the table's storage (not percent-encoded, as it is in the log).
    pub path: String,
    /// The value of each partition column as text; `None` is null. See [`partition`](super::partition).
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Its length.
    pub bytes: u64,
    /// Milliseconds since 1970.
    pub modified_ms: i64,
    /// What is known of its values, as Delta's JSON.
    pub stats: Option<String>,
    /// Whatever its writer wants to find again.
    pub tags: BTreeMap<String, String>,
}

/// A data file that is no longer part of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoveFile {
    pub path: String,
    /// Milliseconds since 1970.
    pub deletion_ms: Option<i64>,
    pub partition_values: BTreeMap<String, Option<String>>,
    pub bytes: u64,
}

/// How far an application has come, by its own count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Txn {
    pub app_id: String,
    pub version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// A named piece of state.
///
/// Spec: PROTOCOL.md, "Domain Metadata".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DomainMetadata {
    pub domain: String,
    pub configuration: String,
    pub removed: bool,
}

/// A file beside a checkpoint, with files that the table has and had.
///
/// Spec: PROTOCOL.md, "Sidecar File Information".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sidecar {
    /// Its name, as the log writes paths.
    pub path: String,
    #[serde(rename = "sizeInBytes")]
    pub bytes: u64,
}

/// What a checkpoint says of itself.
///
/// Spec: PROTOCOL.md, "Checkpoint Metadata".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CheckpointMetadata {
    pub version: u64,
}

/// One line of a commit's file. A line has one action; should it have more, all count.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_info: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<Protocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta_data: Option<Metadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    add: Option<AddLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remove: Option<RemoveLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    txn: Option<Txn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain_metadata: Option<DomainMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sidecar: Option<Sidecar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_metadata: Option<CheckpointMetadata>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddLine {
    path: String,
    #[serde(default)]
    partition_values: BTreeMap<String, Option<String>>,
    size: u64,
    modification_time: i64,
    data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<String>,
    #[serde(default, deserialize_with = "without_nulls", skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing)]
    deletion_vector: Option<IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemoveLine {
    path: String,
    deletion_timestamp: Option<i64>,
    data_change: bool,
    #[serde(default)]
    extended_file_metadata: Option<bool>,
    #[serde(default)]
    partition_values: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default, skip_serializing)]
    deletion_vector: Option<IgnoredAny>,
}

/// Reads the actions of a commit. Errors name the line.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Action>> {
    let mut actions = Vec::new();
    for (at, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            decode_line(line, &mut actions).map_err(|e| match e {
                Error::Unsupported(_) => e,
                e => Error::corrupt(format!("line {}: {}", at + 1, e.message())).with_source(e),
            })?;
        }
    }
    Ok(actions)
}

fn decode_line(line: &[u8], actions: &mut Vec<Action>) -> Result<()> {
    let line: Line = serde_json::from_slice(line).map_err(|e| Error::corrupt(e.to_string()))?;
    actions.extend(line.commit_info.map(Action::CommitInfo));
    actions.extend(line.protocol.map(Action::Protocol));
    actions.extend(line.meta_data.map(Action::Metadata));
    if let Some(add) = line.add {
        refuse_deletion_vector(&add.path, add.deletion_vector)?;
        actions.push(Action::Add(AddFile {
            path: path::decode(&add.path)?,
            partition_values: add.partition_values,
            bytes: add.size,
            modified_ms: add.modification_time,
            stats: add.stats,
            tags: add.tags,
        }));
    }
    if let Some(remove) = line.remove {
        refuse_deletion_vector(&remove.path, remove.deletion_vector)?;
        actions.push(Action::Remove(RemoveFile {
            path: path::decode(&remove.path)?,
            deletion_ms: remove.deletion_timestamp,
            partition_values: remove.partition_values.unwrap_or_default(),
            bytes: remove.size.unwrap_or(0),
        }));
    }
    actions.extend(line.txn.map(Action::Txn));
    actions.extend(line.domain_metadata.map(Action::Domain));
    actions.extend(line.sidecar.map(Action::Sidecar));
    actions.extend(line.checkpoint_metadata.map(Action::CheckpointMetadata));
    Ok(())
}

/// `vector`: whatever it is, if there is one.
pub(super) fn refuse_deletion_vector<V>(path: &str, vector: Option<V>) -> Result<()> {
    match vector {
        None => Ok(()),
        Some(_) => {
            Err(Error::unsupported(format!("file {path} has a deletion vector, which this version cannot read")))
        }
    }
}

/// The bytes of a commit's file. `data_change`: whether the files added and removed change the rows of the table.
pub(super) fn encode(actions: &[Action], data_change: bool) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for action in actions {
        let line = match action.clone() {
            Action::CommitInfo(info) => Line { commit_info: Some(info), ..Line::default() },
            Action::Protocol(protocol) => Line { protocol: Some(protocol), ..Line::default() },
            Action::Metadata(metadata) => Line { meta_data: Some(metadata), ..Line::default() },
            Action::Add(add) => Line { add: Some(add_line(add, data_change)), ..Line::default() },
            Action::Remove(remove) => Line { remove: Some(remove_line(remove, data_change)), ..Line::default() },
            Action::Txn(txn) => Line { txn: Some(txn), ..Line::default() },
            Action::Domain(domain) => Line { domain_metadata: Some(domain), ..Line::default() },
            Action::Sidecar(sidecar) => Line { sidecar: Some(sidecar), ..Line::default() },
            Action::CheckpointMetadata(of) => Line { checkpoint_metadata: Some(of), ..Line::default() },
        };
        serde_json::to_writer(&mut out, &line).map_err(|e| Error::invalid(e.to_string()))?;
        out.push(b'\n');
    }
    Ok(out)
}

fn add_line(add: AddFile, data_change: bool) -> AddLine {
    AddLine {
        path: path::encode(&add.path),
        partition_values: add.partition_values,
        size: add.bytes,
        modification_time: add.modified_ms,
        data_change,
        stats: add.stats,
        tags: add.tags,
        deletion_vector: None,
    }
}

fn remove_line(remove: RemoveFile, data_change: bool) -> RemoveLine {
    RemoveLine {
        path: path::encode(&remove.path),
        deletion_timestamp: remove.deletion_ms,
        data_change,
        extended_file_metadata: Some(true),
        partition_values: Some(remove.partition_values),
        size: Some(remove.bytes),
        deletion_vector: None,
    }
}

/// A map whose null values count as absent, as does a null map.
fn without_nulls<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let map = Option::<BTreeMap<String, Option<String>>>::deserialize(from)?;
    Ok(map.unwrap_or_default().into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(path: &str) -> AddFile {
        AddFile {
            path: path.to_owned(),
            partition_values: BTreeMap::from([("day".to_owned(), None), ("k".to_owned(), Some("é \"".to_owned()))]),
            bytes: 7,
            modified_ms: -1,
            stats: Some("{\"numRecords\":3}".to_owned()),
            tags: BTreeMap::from([("t".to_owned(), "v".to_owned())]),
        }
    }

    #[test]
    fn actions_round_trip() {
        let actions = vec![
            Action::CommitInfo(Map::from_iter([("timestamp".to_owned(), Value::from(5))])),
            Action::Add(add("day=2013-01-01T00%3A00%3A00Z/part é.parquet")),
            Action::Remove(RemoveFile {
                path: "x".to_owned(),
                deletion_ms: Some(9),
                partition_values: BTreeMap::new(),
                bytes: 1,
            }),
            Action::Txn(Txn { app_id: "a".to_owned(), version: 3, last_updated: None }),
            Action::Domain(DomainMetadata { domain: "d".to_owned(), configuration: "{}".to_owned(), removed: false }),
        ];
        let bytes = encode(&actions, true).unwrap();
        assert_eq!(decode(&bytes).unwrap(), actions);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(r#""path":"day=2013-01-01T00%253A00%253A00Z/part%20%C3%A9.parquet""#), "{text}");
        assert_eq!(text.lines().count(), 5);
    }

    #[test]
    fn unknown_actions_fields_blank_lines_and_nulls_are_skipped() {
        let text = concat!(
            "{\"cdc\":{\"path\":\"c\"}}\r\n\n",
            "{\"add\":{\"path\":\"a\",\"partitionValues\":{},\"size\":1,\"modificationTime\":2,\"dataChange\":true,",
            "\"tags\":null,\"baseRowId\":4,\"deletionVector\":null}}\n",
            "{\"remove\":{\"path\":\"b\",\"dataChange\":true,\"partitionValues\":null}}"
        );
        let actions = decode(text.as_bytes()).unwrap();
        assert_eq!(actions.len(), 2);
        assert!(matches!(&actions[0], Action::Add(add) if add.path == "a" && add.bytes == 1 && add.modified_ms == 2));
        assert!(matches!(&actions[1], Action::Remove(remove) if remove.path == "b" && remove.deletion_ms.is_none()));
    }

    #[test]
    fn what_is_broken_is_refused_with_its_line() {
        for (text, wanted) in [
            ("{}\n{\"add\":", "line 2: EOF"),
            ("[1]\n", "line 1: invalid type"),
            (
                "{\"add\":{\"path\":\"a\",\"size\":-1,\"modificationTime\":2,\"dataChange\":true}}",
                "line 1: invalid value",
            ),
            ("{\"txn\":{\"version\":1}}", "line 1: missing field `appId`"),
            ("{\"remove\":{\"path\":\"a%zz\",\"dataChange\":true}}", "line 1: path \"a%zz\""),
        ] {
            let e = decode(text.as_bytes()).unwrap_err();
            assert!(matches!(e, Error::Corrupt(_)), "{e}");
            assert!(e.message().starts_with(wanted), "{e}");
        }
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert!(decode(deep.as_bytes()).is_err());
        let vector = r#"{"add":{"path":"a","size":1,"modificationTime":2,"dataChange":true,"deletionVector":{"storageType":"u"}}}"#;
        let e = decode(vector.as_bytes()).unwrap_err();
        assert!(matches!(e, Error::Unsupported(_)) && e.message().contains("deletion vector"), "{e}");
    }
}
