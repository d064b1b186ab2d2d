//! What a provider reads: files, or a table.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::share::{Share, shares};
use crate::error::{Error, Result};
use crate::parquet::read::{FileReader, ReaderOptions, Scan, ScanCounts, ScanOptions};
use crate::predicate::Predicate;
use crate::table::{ScanOptions as TableScanOptions, Table, TableScan};

/// Memory that a part of a scan is given at least, by reading no more parts at a time than there is memory for.
const PART_BYTES_MIN: usize = 32 << 20;

#[derive(Debug)]
pub(super) enum Source {
    /// Under the schema of the first one.
    Files(Vec<FileReader>, ReaderOptions),
    Table(Box<Table>, ReaderOptions),
}

/// What is to be read.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub columns: Vec<String>,
    pub predicate: Option<Predicate>,
    /// Of each part.
    pub limit: Option<u64>,
}

/// What a part of a scan reads.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Files(Share),
    /// Of a table, this part of so many.
    Table(u64, u64),
}

impl Source {
    pub(super) fn schema(&self) -> SchemaRef {
        match self {
            // A provider has one at least.
            Source::Files(files, _) => files.first().map_or_else(|| Arc::new(arrow_schema::Schema::empty()), schema_of),
            Source::Table(table, _) => Arc::clone(&table.snapshot().schema),
        }
    }

    /// What a person calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Source::Files(files, _) => match files.as_slice() {
                [only] => only.name().to_owned(),
                [first, rest @ ..] => format!("{} and {} more", first.name(), rest.len()),
                [] => String::new(),
            },
            Source::Table(table, _) => table.storage().name(),
        }
    }

    /// Parts that can be read at the same time, at most `count`.
    pub(super) fn parts(&self, count: usize) -> Result<Vec<Part>> {
        let (Source::Files(_, reader) | Source::Table(_, reader)) = self;
        let count = count.min(reader.memory_bytes / PART_BYTES_MIN).max(1);
        match self {
            Source::Files(files, _) => {
                let bytes = files.iter().map(FileReader::row_group_bytes).collect::<Result<Vec<_>>>()?;
                Ok(shares(&bytes, count).into_iter().map(Part::Files).collect())
            }
            Source::Table(..) => {
                let count = count as u64;
                Ok((0..count).map(|number| Part::Table(number, count)).collect())
            }
        }
    }

    /// Rows of a part without a predicate, if nothing need be read to know.
    pub(super) fn rows(&self, part: &Part) -> Option<u64> {
        match (self, part) {
            (Source::Files(files, _), Part::Files(share)) => {
                let rows = share.iter().flat_map(|(file, groups)| {
                    let footer = files.get(*file).map(FileReader::footer);
                    groups.iter().map(move |&group| u64::try_from(footer?.groups.get(group)?.num_rows).ok())
                });
                rows.sum()
            }
            _ => None,
        }
    }

    /// Starts to read a part.
    pub(super) fn read(self: &Arc<Source>, part: Part, request: Request) -> Result<Rows> {
        let counts = ScanCounts::default();
        let reading = match (&**self, part) {
            (Source::Files(..), Part::Files(share)) => {
                Reading::Files { source: Arc::clone(self), left: share.into_iter(), current: None }
            }
            (Source::Table(table, reader), Part::Table(number, of)) => {
                let Request { columns, predicate, limit } = request.clone();
                let options = TableScanOptions {
                    columns: Some(columns),
                    predicate,
                    limit,
                    reader: reader.clone(),
                    ..TableScanOptions::default()
                };
                Reading::Table(Box::new(table.scan(options.with_part(number, of))?))
            }
            _ => return Err(Error::invalid("a part of a table is no part of a file")),
        };
        Ok(Rows { request, reading, counts, files: 0 })
    }

    /// The options under which a file of several is read.
    pub(super) fn options(&self, file: usize) -> ScanOptions {
        let options = ScanOptions::default();
        if file == 0 { options } else { options.with_schema(self.schema()) }
    }
}

fn schema_of(file: &FileReader) -> SchemaRef {
    Arc::clone(file.schema())
}

/// The rows of a part.
pub(super) struct Rows {
    request: Request,
    reading: Reading,
    /// Of files that have been read, and how many were begun.
    counts: ScanCounts,
    files: u64,
}

enum Reading {
    Files { source: Arc<Source>, left: std::vec::IntoIter<(usize, Vec<usize>)>, current: Option<Box<Scan>> },
    Table(Box<TableScan>),
}

impl Rows {
    /// What has been read so far, and not.
    pub(super) fn counts(&self) -> ScanCounts {
        let mut counts = self.counts;
        match &self.reading {
            Reading::Files { current, .. } => counts += current.as_ref().map(|scan| scan.counts()).unwrap_or_default(),
            Reading::Table(scan) => counts += scan.counts().scan,
        }
        counts
    }

    /// Files that were opened.
    pub(super) fn files_read(&self) -> u64 {
        match &self.reading {
            Reading::Files { .. } => self.files,
            Reading::Table(scan) => scan.counts().files_read,
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Rows { request, reading, counts, files: begun } = self;
        let (source, left, current) = match reading {
            Reading::Table(scan) => return scan.next().transpose(),
            Reading::Files { source, left, current } => (source, left, current),
        };
        loop {
            if let Some(scan) = current {
                if let Some(batch) = scan.next().transpose()? {
                    if let Some(limit) = &mut request.limit {
                        *limit = limit.saturating_sub(batch.num_rows() as u64);
                    }
                    return Ok(Some(batch));
                }
                *counts += scan.counts();
                *current = None;
            }
            if request.limit == Some(0) {
                return Ok(None);
            }
            let Some((number, groups)) = left.next() else { return Ok(None) };
            let Source::Files(files, _) = &**source else { return Ok(None) };
            let Some(file) = files.get(number) else { return Ok(None) };
            let Request { columns, predicate, limit } = request.clone();
            let options = ScanOptions {
                columns: Some(columns),
                predicate,
                limit,
                row_groups: Some(groups),
                ..source.options(number)
            };
            *current = Some(Box::new(file.scan(options)?));
            *begun += 1;
        }
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.next_batch().transpose()
    }
}
