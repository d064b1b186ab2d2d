//! `hypostyle scan --explain`: what is left out of a scan, and why.

use std::io::Write;

use serde_json::{Value, json};

use super::formats::{self, Place, Request};
use super::quantities::{bytes, count, of};
use crate::error::{Error, Result};
use crate::parquet::read::{ColumnCounts, Decision, Explanation, FileReader, ScanCounts, Step};
use crate::predicate::{Evidence, Reason};
use crate::table::{FileDecision, Table, TableExplanation};

/// What was found out of a file or table.
pub(super) enum Explained {
    File(Explanation),
    Table(TableExplanation),
}

impl Explained {
    /// Explains a scan of what a user names.
    pub(super) fn new(path: &str, request: Request) -> Result<Explained> {
        match formats::place(path)? {
            Place::Table(storage) => {
                let options = request.of_table().map_err(|e| e.in_file(path))?;
                Ok(Explained::Table(Table::open(storage)?.explain(options)?))
            }
            Place::Parquet(input) => {
                let (reader, options) = request.of_parquet(input.bytes());
                Ok(Explained::File(FileReader::open(input, reader)?.explain(options)?))
            }
            _ => {
                Err(Error::invalid("is read whole: there is nothing to explain but of Parquet and tables")
                    .in_file(path))
            }
        }
    }

    pub(super) fn print(&self, path: &str, out: &mut impl Write) -> Result<()> {
        match self {
            Explained::File(explanation) => {
                writeln!(out, "{path}: {}", summary(explanation))?;
                row_groups(explanation, "", out)
            }
            Explained::Table(table) => {
                let opened = table.files.iter().filter(|f| matches!(f.decision, FileDecision::Open(_))).count() as u64;
                let all = of(table.files.len() as u64, "file", "files");
                writeln!(out, "{path}: {all}, {} to open", count(opened))?;
                for file in &table.files {
                    match &file.decision {
                        FileDecision::Skip(reasons) => {
                            writeln!(out, "{}: not opened, by the log", file.path)?;
                            print_reasons(reasons, "  ", out)?;
                        }
                        FileDecision::Open(explanation) => {
                            writeln!(out, "{}: {}", file.path, summary(explanation))?;
                            row_groups(explanation, "  ", out)?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// The same for machines, with what was counted when the rows were read.
    pub(super) fn json(&self, counts: Option<&ScanCounts>, columns: &[ColumnCounts]) -> Value {
        let mut json = match self {
            Explained::File(explanation) => json!({ "row_groups": json_row_groups(explanation) }),
            Explained::Table(table) => {
                let files = table.files.iter().map(|file| match &file.decision {
                    FileDecision::Skip(reasons) => json!({
                        "path": file.path,
                        "bytes": file.bytes,
                        "decision": "skip",
                        "reasons": json_reasons(reasons),
                    }),
                    FileDecision::Open(explanation) => json!({
                        "path": file.path,
                        "bytes": file.bytes,
                        "decision": "open",
                        "row_groups": json_row_groups(explanation),
                    }),
                });
                json!({ "files": files.collect::<Vec<_>>() })
            }
        };
        if let Some(json) = json.as_object_mut() {
            json.insert("counts".to_owned(), counts.map_or(Value::Null, json_counts));
            json.insert("columns".to_owned(), columns.iter().map(json_column).collect());
        }
        json
    }
}

/// What was read of each column.
pub(super) fn columns(columns: &[ColumnCounts], out: &mut impl Write) -> Result<()> {
    for column in columns {
        let ColumnCounts { name, pages_read, pages_skipped, bytes_fetched, bytes_decompressed, bytes_decoded } = column;
        let (fetched, opened, decoded) = (bytes(*bytes_fetched), bytes(*bytes_decompressed), bytes(*bytes_decoded));
        writeln!(
            out,
            "column {name}: pages {} read, {} skipped; {fetched} fetched, {opened} decompressed, {decoded} decoded",
            count(*pages_read),
            count(*pages_skipped),
        )?;
    }
    Ok(())
}

fn json_column(column: &ColumnCounts) -> Value {
    json!({
        "name": column.name,
        "pages_read": column.pages_read,
        "pages_skipped": column.pages_skipped,
        "bytes_fetched": column.bytes_fetched,
        "bytes_decompressed": column.bytes_decompressed,
        "bytes_decoded": column.bytes_decoded,
    })
}

fn summary(explanation: &Explanation) -> String {
    let groups = &explanation.row_groups;
    let read = groups.iter().filter(|g| !matches!(g.decision, Decision::Skip { .. })).count() as u64;
    format!("{}, {} to read", of(groups.len() as u64, "row group", "row groups"), count(read))
}

fn row_groups(explanation: &Explanation, indent: &str, out: &mut impl Write) -> Result<()> {
    for group in &explanation.row_groups {
        write!(out, "{indent}row group {}: ", group.number)?;
        match &group.decision {
            Decision::Skip { step, reasons } => {
                writeln!(out, "{} of {} skipped by {}", rows(group.rows), bytes(group.bytes), name(*step))?;
                print_reasons(reasons, &format!("{indent}  "), out)?;
            }
            Decision::Read { rows: wanted, sure } => {
                let sure = if *sure > 0 { format!(", {} of them match for sure", count(*sure)) } else { String::new() };
                match *wanted < group.rows {
                    true => {
                        let all = rows(group.rows);
                        writeln!(out, "{} of {all} read{sure}, the others skipped by page index", count(*wanted))?;
                    }
                    false => writeln!(out, "{} read{sure}", rows(group.rows))?,
                }
            }
            Decision::AllMatch => writeln!(out, "{}, all of which match", rows(group.rows))?,
        }
    }
    Ok(())
}

fn print_reasons(reasons: &[Reason], indent: &str, out: &mut impl Write) -> Result<()> {
    for reason in reasons {
        writeln!(out, "{indent}{reason}")?;
    }
    Ok(())
}

fn rows(number: u64) -> String {
    of(number, "row", "rows")
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Statistics => "statistics",
        Step::PageIndex => "page index",
        Step::BloomFilter => "Bloom filter",
        Step::Dictionary => "dictionary",
    }
}

fn json_row_groups(explanation: &Explanation) -> Vec<Value> {
    let groups = explanation.row_groups.iter().map(|group| {
        let mut json = json!({
            "number": group.number,
            "rows": group.rows,
            "bytes": group.bytes,
            "bytes_fetched_to_prune": group.bytes_fetched,
        });
        let more = match &group.decision {
            Decision::Skip { step, reasons } => {
                json!({ "decision": "skip", "step": name(*step), "reasons": json_reasons(reasons) })
            }
            Decision::Read { rows, sure } => {
                json!({ "decision": "read", "rows_selected": rows, "rows_sure": sure })
            }
            Decision::AllMatch => json!({ "decision": "all match", "rows_selected": group.rows }),
        };
        if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
            json.extend(more);
        }
        json
    });
    groups.collect()
}

fn json_reasons(reasons: &[Reason]) -> Vec<Value> {
    let evidence = |evidence: &Evidence| match evidence {
        Evidence::Bounds { column, min, max, nulls } => {
            json!({ "column": column, "by": "bounds", "min": min, "max": max, "nulls": nulls })
        }
        Evidence::BloomFilter { column } => json!({ "column": column, "by": "Bloom filter" }),
        Evidence::Values { column, values } => json!({ "column": column, "by": "dictionary", "values": values }),
    };
    let reason = |reason: &Reason| {
        let all: Vec<Value> = reason.evidence.iter().map(evidence).collect();
        json!({ "condition": reason.condition, "evidence": all })
    };
    reasons.iter().map(reason).collect()
}

fn json_counts(counts: &ScanCounts) -> Value {
    json!({
        "row_groups_read": counts.row_groups_read,
        "row_groups_skipped": counts.row_groups_skipped,
        "row_groups_skipped_by_statistics": counts.row_groups_skipped_by_statistics,
        "row_groups_skipped_by_page_index": counts.row_groups_skipped_by_page_index,
        "row_groups_skipped_by_bloom_filter": counts.row_groups_skipped_by_bloom_filter,
        "row_groups_skipped_by_dictionary": counts.row_groups_skipped_by_dictionary,
        "rows_skipped_by_page_index": counts.rows_skipped_by_page_index,
        "pages_read": counts.pages_read,
        "pages_skipped": counts.pages_skipped,
        "bytes_read": counts.bytes_read,
        "bytes_read_to_prune": counts.bytes_read_to_prune,
        "bytes_skipped": counts.bytes_skipped,
        "bytes_decompressed": counts.bytes_decompressed,
        "bytes_decoded": counts.bytes_decoded,
        "rows_read": counts.rows_read,
        "rows_returned": counts.rows_returned,
    })
}
