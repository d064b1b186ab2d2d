//! A table: schema, files, last versions, the state of its writers.

use std::io::Write;

use arrow_schema::TimeUnit;
use serde_json::{Value, json};

use super::Aligned;
use crate::cli::cells::{instant, type_name};
use crate::cli::quantities::{bytes, count, of};
use crate::error::Result;
use crate::table::{CommitSummary, Protocol, Table};

/// Versions shown to people.
const VERSIONS: usize = 10;

pub(super) fn print(table: &Table, path: &str, out: &mut impl Write) -> Result<()> {
    let snapshot = table.snapshot();
    let stats = snapshot.stats();
    let rows = stats.rows.map_or("an unknown number of rows".to_owned(), |rows| of(rows, "row", "rows"));
    writeln!(
        out,
        "{path}: table, version {}, {rows} in {}, {}",
        snapshot.version,
        of(stats.files, "file", "files"),
        bytes(stats.bytes)
    )?;
    writeln!(out, "protocol {}", protocol(&snapshot.protocol))?;
    writeln!(out, "id {}", snapshot.metadata.id)?;
    if let Some(name) = &snapshot.metadata.name {
        writeln!(out, "name {name}")?;
    }
    if let Some(description) = &snapshot.metadata.description {
        writeln!(out, "description {}", crate::cli::display::fit(description))?;
    }
    for (key, value) in &snapshot.metadata.configuration {
        writeln!(out, "property {key} = {value}")?;
    }
    writeln!(out, "\nschema")?;
    let mut schema = Aligned::new(&["column", "type", "nullable", "note"]);
    for field in snapshot.schema.fields() {
        let note = if snapshot.is_partition_column(field.name()) { "partitions the table" } else { "" };
        let nullable = if field.is_nullable() { "yes" } else { "no" };
        schema.row(vec![field.name().clone(), type_name(field.data_type()), nullable.into(), note.into()]);
    }
    schema.print("  ", out)?;
    writeln!(out, "\nlast versions")?;
    let mut versions =
        Aligned::new(&[">version", "time", "operation", ">files added", ">removed", ">rows added", ">size added"]);
    for commit in table.history(VERSIONS)? {
        versions.row(vec![
            commit.version.to_string(),
            commit.timestamp_ms.map_or("-".into(), time),
            commit.operation.clone().unwrap_or("-".into()),
            count(commit.files_added),
            count(commit.files_removed),
            commit.rows_added.map_or("-".into(), count),
            bytes(commit.bytes_added),
        ]);
    }
    versions.print("  ", out)?;
    if !snapshot.domains.is_empty() {
        writeln!(out, "\nstate of writers")?;
        for (domain, state) in &snapshot.domains {
            writeln!(out, "  {domain}")?;
            for (key, value) in entries(state) {
                writeln!(out, "    {key}: {value}")?;
            }
        }
    }
    if !snapshot.txns.is_empty() {
        writeln!(out, "\napplications")?;
        for (app, version) in &snapshot.txns {
            writeln!(out, "  {app}: {version}")?;
        }
    }
    Ok(())
}

pub(super) fn json(table: &Table) -> Result<Value> {
    let snapshot = table.snapshot();
    let stats = snapshot.stats();
    let schema = snapshot.schema.fields().iter().map(|field| {
        json!({
            "name": field.name(),
            "type": type_name(field.data_type()),
            "nullable": field.is_nullable(),
            "partition": snapshot.is_partition_column(field.name()),
        })
    });
    let files = snapshot.files.values().map(|file| {
        json!({
            "path": file.path,
            "bytes": file.bytes,
            "rows": file.rows(),
            "modified_ms": file.modified_ms,
            "partition_values": file.partition_values,
            "tags": file.tags,
        })
    });
    let versions: Vec<Value> = table.history(VERSIONS)?.iter().map(version_json).collect();
    let domains = snapshot.domains.iter().map(|(domain, state)| {
        (domain.clone(), serde_json::from_str(state).unwrap_or_else(|_| Value::from(state.as_str())))
    });
    Ok(json!({
        "table": table.storage().name(),
        "version": snapshot.version,
        "files": stats.files,
        "bytes": stats.bytes,
        "rows": stats.rows,
        "protocol": snapshot.protocol,
        "id": snapshot.metadata.id,
        "name": snapshot.metadata.name,
        "description": snapshot.metadata.description,
        "partition_columns": snapshot.metadata.partition_columns,
        "properties": snapshot.metadata.configuration,
        "schema": schema.collect::<Vec<_>>(),
        "data_files": files.collect::<Vec<_>>(),
        "last_versions": versions,
        "domains": domains.collect::<serde_json::Map<_, _>>(),
        "applications": snapshot.txns,
    }))
}

fn version_json(commit: &CommitSummary) -> Value {
    json!({
        "version": commit.version,
        "timestamp_ms": commit.timestamp_ms,
        "operation": commit.operation,
        "engine": commit.engine,
        "files_added": commit.files_added,
        "files_removed": commit.files_removed,
        "rows_added": commit.rows_added,
        "bytes_added": commit.bytes_added,
        "domains": commit.domains,
        "info": commit.info,
    })
}

fn protocol(protocol: &Protocol) -> String {
    let features = |features: &Option<Vec<String>>| match features {
        Some(names) if !names.is_empty() => format!(" ({})", names.join(", ")),
        _ => String::new(),
    };
    format!(
        "reader {}{}, writer {}{}",
        protocol.min_reader_version,
        features(&protocol.reader_features),
        protocol.min_writer_version,
        features(&protocol.writer_features)
    )
}

fn time(ms: i64) -> String {
    let mut text = String::new();
    instant(ms, TimeUnit::Millisecond, true, &mut text);
    text
}

/// The state's own entries, if it is a JSON object, else the whole.
fn entries(state: &str) -> Vec<(String, String)> {
    match serde_json::from_str::<Value>(state) {
        Ok(Value::Object(entries)) => entries.into_iter().map(|(key, value)| (key, value.to_string())).collect(),
        _ => vec![("state".to_owned(), state.to_owned())],
    }
}
