//! A file, read in every way.

use arrow_array::{Array, RecordBatch};
use arrow_select::concat::concat_batches;
use hypostyle::parquet::read::{FileReader, ScanOptions};
use hypostyle::parquet::splice::{MergeOptions, merge};
use hypostyle::predicate::{Predicate, col};
use hypostyle::storage::{Memory, Output, Storage};
use hypostyle::{Error, Result};

use super::mutate::Mutant;
use super::seeds::{Seed, open};

/// Rows that a scan of broken bytes may claim: a run of nulls is cheap to claim and true of some files.
const ROWS_MAX: u64 = 100_000;

/// What a file gives: all rows, those of a condition, those of its nested columns.
pub type Rows = Vec<(ScanOptions, RecordBatch)>;

#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Read,
    Refused,
}

/// The rows of a file that is sound; strings as views, if asked for.
pub fn rows(bytes: &[u8], seed: &Seed, views: bool) -> Result<Rows> {
    let file = open(bytes, seed.keys.clone(), views)?;
    let mut rows = Vec::new();
    for options in scans(&file) {
        let mut batches = Vec::new();
        let e = scan(&file, options.clone(), &mut batches);
        e.map_or(Ok(()), Err)?;
        let schema = file.scan(options.clone())?.schema().clone();
        rows.push((options, concat_batches(&schema, &batches).unwrap()));
    }
    assert!(rows.iter().any(|(_, batch)| batch.num_rows() > 0) || file.rows() == 0);
    Ok(rows)
}

/// The ways to scan a file.
fn scans(file: &FileReader) -> Vec<ScanOptions> {
    let fields = file.schema().fields();
    let whole = ScanOptions::default().with_limit(ROWS_MAX);
    let mut scans = vec![whole.clone()];
    let is_flat = |f: &&arrow_schema::FieldRef| !f.data_type().is_nested();
    let conditions = fields.iter().filter(is_flat).take(4).map(|f| condition(f));
    if let Some(predicate) = conditions.reduce(Predicate::or) {
        scans.push(whole.clone().with_predicate(predicate));
    }
    if let Some(last) = fields.iter().rfind(is_flat) {
        let columns: Vec<_> = fields.iter().take(2).map(|f| f.name()).collect();
        scans.push(whole.clone().with_predicate(col(last.name().as_str()).is_null()).with_columns(columns));
    }
    let nested: Vec<_> = fields.iter().filter(|f| f.data_type().is_nested()).map(|f| f.name()).collect();
    if !nested.is_empty() && nested.len() < fields.len() {
        scans.push(whole.with_columns(nested));
    }
    scans
}

fn condition(field: &arrow_schema::Field) -> Predicate {
    let column = col(field.name().as_str());
    match field.data_type() {
        t if t.is_signed_integer() => column.gt(20),
        arrow_schema::DataType::Utf8 | arrow_schema::DataType::Utf8View => column.gt("text 1"),
        _ => column.is_not_null(),
    }
}

/// The error that it ends with, if any.
fn scan(file: &FileReader, options: ScanOptions, batches: &mut Vec<RecordBatch>) -> Option<Error> {
    let scan = match file.scan(options) {
        Ok(scan) => scan,
        Err(e) => return Some(e),
    };
    for batch in scan {
        match batch {
            Ok(batch) => batches.push(batch),
            Err(e) => return Some(e),
        }
    }
    None
}

/// Reads a mutant as `wanted` was read; what is wrong with how that went.
pub fn check(mutant: &Mutant, seed: &Seed, wanted: &Rows, views: bool) -> std::result::Result<Outcome, String> {
    let mut outcome = Outcome::Read;
    let mut refused = |e: Error| -> std::result::Result<(), String> {
        outcome = Outcome::Refused;
        let text = e.to_string();
        match e {
            Error::Io(_) | Error::Conflict(_) => Err(format!("the disk is not at fault: {text}")),
            _ if !text.starts_with("memory:f") => Err(format!("an error without the file: {text}")),
            _ => Ok(()),
        }
    };
    let file = match open(&mutant.bytes, seed.keys.clone(), views) {
        Ok(file) => file,
        Err(e) => {
            refused(e)?;
            return Ok(outcome);
        }
    };
    for (options, want) in wanted {
        let mut batches = Vec::new();
        let error = scan(&file, options.clone(), &mut batches);
        let mut at = 0;
        for batch in &batches {
            for column in batch.columns() {
                // What comes out is sound all through, not only at its surface.
                column.to_data().validate_full().map_err(|e| format!("an array that is not sound: {e}"))?;
            }
            if mutant.is_protected {
                if at + batch.num_rows() > want.num_rows() || want.slice(at, batch.num_rows()) != *batch {
                    return Err(format!("wrong rows, from row {at} on"));
                }
                at += batch.num_rows();
            }
        }
        if mutant.is_protected && error.is_none() && at != want.num_rows() {
            return Err(format!("{at} rows of {}", want.num_rows()));
        }
        error.map_or(Ok(()), &mut refused)?;
    }
    file.metadata().err().map_or(Ok(()), &mut refused)?;
    for group in 0..file.footer().groups.len().min(3) {
        for column in 0..file.parquet_schema().leaves.len() {
            let faults = [
                file.pages(group, column).err(),
                file.column_index(group, column).err(),
                file.offset_index(group, column).err(),
                file.chunk_bounds(group, column).err(),
                file.bloom_filter(group, column).err(),
                file.column_metadata(group, column).err(),
            ];
            faults.into_iter().flatten().try_for_each(&mut refused)?;
        }
    }
    let storage = Memory::new();
    storage.put("f", mutant.bytes.clone()).map_err(|e| e.to_string())?;
    let input = storage.open("f").map_err(|e| e.to_string())?;
    merge(&[input], Box::new(Nowhere), &MergeOptions::default()).err().map_or(Ok(()), &mut refused)?;
    Ok(outcome)
}

struct Nowhere;

impl Output for Nowhere {
    fn append(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}
