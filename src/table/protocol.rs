//! Which tables this crate may read and write.
//!
//! Spec: PROTOCOL.md, "Table Features". A table says what one must be able to do to read or write it. What is not in
//! the lists below is refused by its name: half-read would be wrong data, half-written a broken table.

use std::collections::BTreeMap;

use arrow_schema::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::actions::Metadata;
use crate::error::{Error, Result};

/// What one must be able to do to read or write the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protocol {
    /// 1, 2, or 3 for "see `reader_features`".
    pub min_reader_version: u32,
    /// 1 to 6, or 7 for "see `writer_features`".
    pub min_writer_version: u32,
    /// There iff the reader version is 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader_features: Option<Vec<String>>,
    /// There iff the writer version is 7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer_features: Option<Vec<String>>,
}

/// State that a writer keeps in the table.
pub(super) const DOMAIN_METADATA: &str = "domainMetadata";
/// Timestamps without a zone.
pub(super) const TIMESTAMP_NTZ: &str = "timestampNtz";
/// Checkpoints may have sidecars. They are read, and none of any kind are written.
const V2_CHECKPOINT: &str = "v2Checkpoint";
/// Rows may be added only.
pub(super) const APPEND_ONLY: &str = "appendOnly";

/// Reader features that we have, or that mean nothing while they are not in use (which is checked).
const READABLE: &[&str] = &[TIMESTAMP_NTZ, V2_CHECKPOINT, "vacuumProtocolCheck", "columnMapping"];

/// Writer features that we have, or that mean nothing while they are not in use (which is checked).
const WRITABLE: &[&str] = &[
    DOMAIN_METADATA,
    TIMESTAMP_NTZ,
    APPEND_ONLY,
    V2_CHECKPOINT,
    "vacuumProtocolCheck",
    "columnMapping",
    "invariants",
    "checkConstraints",
    "changeDataFeed",
    "generatedColumns",
    "identityColumns",
];

/// What a transaction is about to do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Use {
    pub removes: bool,
    pub domains: bool,
}

impl Protocol {
    /// The protocol of a new table: reader version 1, which every reader has, unless the schema needs more.
    pub(super) fn of_new_table(schema: &Schema, configuration: &BTreeMap<String, String>) -> Protocol {
        let mut writer = vec![DOMAIN_METADATA.to_owned()];
        let mut reader = None;
        if configuration.contains_key("delta.appendOnly") {
            writer.push(APPEND_ONLY.to_owned());
        }
        if schema.fields().iter().any(|field| has_local_timestamp(field.data_type())) {
            writer.push(TIMESTAMP_NTZ.to_owned());
            reader = Some(vec![TIMESTAMP_NTZ.to_owned()]);
        }
        Protocol {
            min_reader_version: if reader.is_some() { 3 } else { 1 },
            min_writer_version: 7,
            reader_features: reader,
            writer_features: Some(writer),
        }
    }

    /// [`Error::Unsupported`] naming what this crate lacks to read the table.
    pub(super) fn check_read(&self, metadata: &Metadata) -> Result<()> {
        match self.min_reader_version {
            1 | 2 => {}
            3 => {
                let lacking = lacking(&self.reader_features, READABLE);
                if !lacking.is_empty() {
                    return Err(refused("reading", &lacking));
                }
            }
            other => {
                let message = format!("the table asks for Delta reader version {other}; this version reads up to 3");
                return Err(Error::unsupported(message));
            }
        }
        let mode = metadata.configuration.get("delta.columnMapping.mode");
        if mode.is_some_and(|mode| mode != "none") {
            return Err(refused("reading", "columnMapping"));
        }
        if metadata.format.provider != "parquet" {
            let message = format!("its data files are {:?}; this version reads parquet", metadata.format.provider);
            return Err(Error::unsupported(message));
        }
        Ok(())
    }

    /// [`Error::Unsupported`] naming what this crate lacks to write the table, [`Error::Invalid`] naming what the
    /// table forbids. [`check_read`](Self::check_read) is known to pass.
    pub(super) fn check_write(&self, metadata: &Metadata, schema: &Schema, what: Use) -> Result<()> {
        match self.min_writer_version {
            1..=6 => {}
            7 => {
                let lacking = lacking(&self.writer_features, WRITABLE);
                if !lacking.is_empty() {
                    return Err(refused("writing", &lacking));
                }
            }
            other => {
                let message = format!("the table asks for Delta writer version {other}; this version writes up to 7");
                return Err(Error::unsupported(message));
            }
        }
        if what.domains && !self.writer_features.iter().flatten().any(|feature| feature == DOMAIN_METADATA) {
            let message = "the table has no feature domainMetadata, which keeps the writer's state; \
                           choose a new table, or add the feature to this one";
            return Err(Error::unsupported(message));
        }
        let is_on = |key: &str| metadata.configuration.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if what.removes && is_on("delta.appendOnly") {
            return Err(Error::invalid("the table is append-only (delta.appendOnly): nothing may be removed"));
        }
        if what.removes && is_on("delta.enableChangeDataFeed") {
            return Err(refused("removing from", "changeDataFeed"));
        }
        if metadata.configuration.keys().any(|key| key.starts_with("delta.constraints.")) {
            return Err(refused("writing", "checkConstraints"));
        }
        schema.fields().iter().try_for_each(|field| check_field(field))
    }
}

/// Names of the features that are not among those we have.
fn lacking(features: &Option<Vec<String>>, have: &[&str]) -> String {
    let names: Vec<&str> = features.iter().flatten().map(String::as_str).filter(|name| !have.contains(name)).collect();
    names.join(", ")
}

fn check_field(field: &Field) -> Result<()> {
    for (key, feature) in [
        ("delta.invariants", "invariants"),
        ("delta.generationExpression", "generatedColumns"),
        ("delta.identity.", "identityColumns"),
    ] {
        if field.metadata().keys().any(|name| name.starts_with(key)) {
            return Err(refused("writing", feature).in_column(field.name().clone()));
        }
    }
    children(field.data_type()).into_iter().try_for_each(check_field)
}

fn has_local_timestamp(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, None))
        || children(data_type).iter().any(|field| has_local_timestamp(field.data_type()))
}

/// The fields of a nested type. Their depth is bounded where the schema is read.
fn children(data_type: &DataType) -> Vec<&Field> {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        DataType::List(field) | DataType::Map(field, _) => vec![field.as_ref()],
        _ => Vec::new(),
    }
}

fn refused(doing: &str, features: &str) -> Error {
    Error::unsupported(format!(
        "{doing} this table needs the Delta feature {features}, which this version does not have"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(configuration: &[(&str, &str)]) -> Metadata {
        Metadata {
            id: "i".to_owned(),
            name: None,
            description: None,
            format: super::super::actions::Format::default(),
            schema_string: String::new(),
            partition_columns: Vec::new(),
            created_time: None,
            configuration: configuration.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    fn protocol(reader: u32, writer: u32, features: &[&str]) -> Protocol {
        let features: Vec<String> = features.iter().map(|f| (*f).to_owned()).collect();
        Protocol {
            min_reader_version: reader,
            min_writer_version: writer,
            reader_features: (reader == 3).then(|| features.clone()),
            writer_features: (writer == 7).then_some(features),
        }
    }

    #[test]
    fn what_we_lack_to_read_is_refused_by_name() {
        let plain = metadata(&[]);
        assert!(protocol(1, 2, &[]).check_read(&plain).is_ok());
        assert!(protocol(3, 7, &["timestampNtz", "columnMapping", "v2Checkpoint"]).check_read(&plain).is_ok());
        let mapped = metadata(&[("delta.columnMapping.mode", "name")]);
        for (protocol, metadata, wanted) in [
            (protocol(3, 7, &["deletionVectors"]), &plain, "deletionVectors"),
            (protocol(3, 7, &["variantType", "timestampNtz", "new"]), &plain, "variantType, new, which"),
            (protocol(2, 5, &[]), &mapped, "columnMapping"),
            (protocol(4, 7, &[]), &plain, "reader version 4"),
        ] {
            let e = protocol.check_read(metadata).unwrap_err();
            assert!(matches!(e, Error::Unsupported(_)) && e.message().contains(wanted), "{e}");
        }
    }

    #[test]
    fn what_we_lack_to_write_is_refused_by_name_and_only_when_in_use() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
        let constrained = Schema::new(vec![
            Field::new("a", DataType::Int64, true)
                .with_metadata([("delta.invariants".to_owned(), "{}".to_owned())].into()),
        ]);
        let plain = metadata(&[]);
        let (append, remove) = (Use::default(), Use { removes: true, domains: false });
        let domains = Use { removes: false, domains: true };
        assert!(protocol(1, 4, &[]).check_write(&plain, &schema, remove).is_ok());
        assert!(protocol(1, 7, &["invariants", "appendOnly"]).check_write(&plain, &schema, remove).is_ok());
        assert!(protocol(1, 7, &["domainMetadata"]).check_write(&plain, &schema, domains).is_ok());
        let append_only = metadata(&[("delta.appendOnly", "true")]);
        assert!(protocol(1, 2, &[]).check_write(&append_only, &schema, append).is_ok());
        for (protocol, metadata, schema, what, wanted) in [
            (protocol(1, 7, &["rowTracking"]), &plain, &schema, append, "rowTracking"),
            (protocol(1, 8, &[]), &plain, &schema, append, "writer version 8"),
            (protocol(1, 2, &[]), &plain, &constrained, append, "invariants"),
            (protocol(1, 2, &[]), &plain, &schema, domains, "domainMetadata"),
            (protocol(1, 2, &[]), &append_only, &schema, remove, "append-only"),
            (
                protocol(1, 4, &[]),
                &metadata(&[("delta.enableChangeDataFeed", "true")]),
                &schema,
                remove,
                "changeDataFeed",
            ),
            (protocol(1, 3, &[]), &metadata(&[("delta.constraints.c", "a>1")]), &schema, append, "checkConstraints"),
        ] {
            let e = protocol.check_write(metadata, schema, what).unwrap_err();
            assert!(e.message().contains(wanted), "{wanted}: {e}");
        }
    }
}
