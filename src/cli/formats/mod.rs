//! Where rows come from and go to: tables and files of each format, behind [`Rows`] and [`RowWriter`].

mod arrow;
mod csv;
mod ndjson;
mod place;
mod selected;
mod table;
mod text;

use std::io;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use self::arrow::ArrowWriter;
pub(super) use self::place::{Place, input as place};

use self::place::{Format, OutputPlace};
use self::selected::Selected;
use self::table::TableWriter;
use self::text::{Lines, TextWriter};
use super::quantities::{bytes, count};
use super::split::Split;
use crate::error::{Error, Result};
use crate::ingest::RowSchema;
use crate::parquet::read::{ColumnCounts, Decryption, FileReader, ReaderOptions, Scan, ScanCounts, ScanOptions, TopK};
use crate::parquet::write::{FileWriter, WriterOptions};
use crate::predicate::Predicate;
use crate::storage::{Local, Output, Storage};
use crate::table::{ScanOptions as TableScanOptions, Table, TableScan};

/// Which rows and columns are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// In this order; `None` is all.
    pub(super) columns: Option<Vec<String>>,
    pub(super) predicate: Option<Predicate>,
    pub(super) offset: u64,
    pub(super) limit: Option<u64>,
    /// The first rows by a column, instead of all in their own order.
    pub(super) order: Option<TopK>,
    /// A column for rows' places in a Parquet file; of a table, another one for the file.
    pub(super) row_numbers: Option<String>,
    /// That read Parquet.
    pub(super) threads: usize,
    pub(super) memory_bytes: usize,
    /// The columns of text, if they are not to be inferred; those that a Parquet file is read as.
    pub(super) schema: Option<RowSchema>,
    /// Which row groups of Parquet files.
    pub(super) split: Split,
    /// Of encrypted Parquet.
    pub(super) keys: Option<Decryption>,
}

impl Request {
    /// What it asks of a table, but for the order.
    pub(super) fn of_table(self) -> Result<TableScanOptions> {
        let reader = self.reader();
        let part = self.split.of_table()?;
        let Request { columns, predicate, offset, limit, row_numbers, threads, .. } = self;
        Ok(TableScanOptions { columns, predicate, offset, limit, part, row_numbers, threads, reader, unordered: false })
    }

    /// What it asks of a Parquet file of so many bytes, but for the order.
    pub(super) fn of_parquet(self, bytes: u64) -> (ReaderOptions, ScanOptions) {
        let reader = self.reader();
        let Request { columns, predicate, offset, limit, row_numbers, threads, schema, split, .. } = self;
        let schema = schema.map(|schema| schema.to_arrow());
        let wanted =
            ScanOptions { columns, predicate, offset, limit, row_numbers, threads, schema, ..ScanOptions::default() };
        (reader, split.of_file(bytes, wanted))
    }

    fn reader(&self) -> ReaderOptions {
        let mut options = ReaderOptions::default().with_memory_bytes(self.memory_bytes);
        options.decryption = self.keys.clone();
        options
    }
}

/// Batches and their schema, of a format that cannot leave anything out by itself.
struct Batches {
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>>>,
}

/// The rows of a table or file that were asked for.
pub(super) struct Rows {
    path: String,
    schema: SchemaRef,
    source: Source,
}

enum Source {
    /// With the bytes of all its files.
    Table(Box<TableScan>, u64),
    Parquet(Box<Scan>),
    Plain(Selected),
    /// The first rows by a column.
    First(Option<RecordBatch>),
}

impl Rows {
    /// The schema of the batches.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What Parquet's reader has counted so far.
    pub(super) fn scan_counts(&self) -> Option<ScanCounts> {
        match &self.source {
            Source::Table(scan, _) => Some(scan.counts().scan),
            Source::Parquet(scan) => Some(scan.counts()),
            Source::First(_) | Source::Plain(_) => None,
        }
    }

    /// The same by column.
    pub(super) fn column_counts(&self) -> Option<Vec<ColumnCounts>> {
        match &self.source {
            Source::Table(scan, _) => Some(scan.column_counts()),
            Source::Parquet(scan) => Some(scan.column_counts()),
            Source::First(_) | Source::Plain(_) => None,
        }
    }

    /// How much has been read so far, of a format that can leave things out.
    pub(super) fn counts(&self) -> Option<Counts> {
        match &self.source {
            Source::Table(scan, total) => {
                let counts = scan.counts();
                let mut all = Counts::of_file(&counts.scan);
                all.files = Some((counts.files_read, counts.files_skipped));
                all.bytes.1 = total.saturating_sub(all.bytes.0);
                Some(all)
            }
            Source::Parquet(scan) => Some(Counts::of_file(&scan.counts())),
            Source::Plain(_) | Source::First(_) => None,
        }
    }
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        match &mut self.source {
            Source::Table(scan, _) => scan.next(),
            Source::Parquet(scan) => scan.next(),
            Source::First(rows) => rows.take().filter(|rows| rows.num_rows() > 0).map(Ok),
            Source::Plain(rows) => rows.next().map(|batch| batch.map_err(|e| e.in_file(&self.path))),
        }
    }
}

/// How much of a table or file was read, and how much need not be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Read and skipped; `None` for a file by itself.
    pub(super) files: Option<(u64, u64)>,
    pub(super) row_groups: (u64, u64),
    /// Row groups skipped by Bloom filters.
    pub(super) by_bloom_filter: u64,
    /// Row groups skipped by dictionaries.
    pub(super) by_dictionary: u64,
    pub(super) pages: (u64, u64),
    pub(super) bytes: (u64, u64),
}

impl Counts {
    fn of_file(counts: &ScanCounts) -> Counts {
        Counts {
            files: None,
            row_groups: (counts.row_groups_read, counts.row_groups_skipped),
            by_bloom_filter: counts.row_groups_skipped_by_bloom_filter,
            by_dictionary: counts.row_groups_skipped_by_dictionary,
            pages: (counts.pages_read, counts.pages_skipped),
            bytes: (counts.bytes_read, counts.bytes_skipped),
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((read, skipped)) = self.files {
            write!(f, "files {} read, {} skipped; ", count(read), count(skipped))?;
        }
        let ((groups, groups_skipped), (pages, pages_skipped)) = (self.row_groups, self.pages);
        write!(f, "row groups {} read, {} skipped", count(groups), count(groups_skipped))?;
        match (self.by_bloom_filter, self.by_dictionary) {
            (0, 0) => {}
            (filters, 0) => write!(f, " ({} by Bloom filter)", count(filters))?,
            (0, dictionaries) => write!(f, " ({} by dictionary)", count(dictionaries))?,
            (filters, dictionaries) => {
                write!(f, " ({} by Bloom filter, {} by dictionary)", count(filters), count(dictionaries))?;
            }
        }
        write!(f, "; ")?;
        write!(f, "pages {} read, {} skipped; ", count(pages), count(pages_skipped))?;
        write!(f, "bytes {} read, {} skipped", bytes(self.bytes.0), bytes(self.bytes.1))
    }
}

/// Opens what a user names, for the rows of `request`.
pub(super) fn open(path: &str, mut request: Request) -> Result<Rows> {
    let (schema, source) = match place(path)? {
        Place::Table(storage) => {
            let order = request.order.take();
            let options = request.of_table().map_err(|e| e.in_file(path))?;
            let table = Table::open(storage)?;
            match order {
                Some(top) => {
                    let rows = table.top_k(&top, TableScanOptions { limit: None, ..options })?;
                    (rows.schema(), Source::First(Some(rows)))
                }
                None => {
                    let scan = table.scan(options)?;
                    (scan.schema().clone(), Source::Table(Box::new(scan), table.snapshot().stats().bytes))
                }
            }
        }
        Place::Parquet(input) => {
            let order = request.order.take();
            let (reader, wanted) = request.of_parquet(input.bytes());
            let file = FileReader::open(input, reader)?;
            match order {
                Some(top) => {
                    let rows = file.top_k(&top, ScanOptions { limit: None, ..wanted })?;
                    (rows.schema(), Source::First(Some(rows)))
                }
                None => {
                    let scan = file.scan(wanted)?;
                    (scan.schema().clone(), Source::Parquet(Box::new(scan)))
                }
            }
        }
        Place::Arrow(input) => {
            let rows = Selected::new(arrow::open(&input)?, &request).map_err(|e| e.in_file(path))?;
            (rows.schema(), Source::Plain(rows))
        }
        Place::Ndjson(storage, name) => {
            let rows = ndjson::open(storage, &name, request.schema.clone()).map_err(|e| e.in_file(path))?;
            let rows = Selected::new(rows, &request).map_err(|e| e.in_file(path))?;
            (rows.schema(), Source::Plain(rows))
        }
        Place::Csv(input) => {
            let rows = csv::open(&input, request.schema.clone()).map_err(|e| e.in_file(path))?;
            let rows = Selected::new(rows, &request).map_err(|e| e.in_file(path))?;
            (rows.schema(), Source::Plain(rows))
        }
    };
    Ok(Rows { path: path.to_owned(), schema, source })
}

/// The folder and name of a Parquet file that will be written, or written on.
pub(super) fn parquet_output(path: &str) -> Result<(Local, String)> {
    match place::output(path)? {
        OutputPlace::File(out) if out.format == Format::Parquet => Ok((out.storage, out.name)),
        _ => Err(Error::invalid("is written as Parquet: give it a name that ends with .parquet").in_file(path)),
    }
}

/// Whether a path's name is that of text, whose columns are not told by itself.
pub(super) fn is_text(path: &str) -> bool {
    matches!(place(path), Ok(Place::Ndjson(..) | Place::Csv(_)))
}

/// Writes rows to a new table, or to a file of the format that its name says.
pub(super) struct RowWriter(Writer);

enum Writer {
    Table(Box<TableWriter>),
    Parquet(Box<FileWriter>),
    Arrow(Box<ArrowWriter>),
    Text(TextWriter),
}

impl RowWriter {
    /// Starts the file (or table); it is there when [`finish`](Self::finish) is done, and not before.
    pub(super) fn create(path: &str, schema: SchemaRef, options: WriterOptions) -> Result<RowWriter> {
        let out = place::output(path)?;
        let out = match out {
            OutputPlace::Table(storage) => {
                let writer = TableWriter::new(storage, &schema, options)?;
                return Ok(RowWriter(Writer::Table(Box::new(writer))));
            }
            OutputPlace::File(out) => out,
        };
        let file = || Ok::<_, Error>(OutputFile::new(out.storage.create(&out.name)?));
        let writer = match out.format {
            Format::Parquet => {
                Writer::Parquet(Box::new(FileWriter::new(out.storage.create(&out.name)?, schema, options)?))
            }
            Format::Arrow => Writer::Arrow(Box::new(ArrowWriter::new(file()?, schema)?)),
            Format::Ndjson => Writer::Text(TextWriter::new(file()?, schema, Lines::Ndjson)?),
            Format::Csv => Writer::Text(TextWriter::new(file()?, schema, Lines::Csv)?),
        };
        Ok(RowWriter(writer))
    }

    /// Takes a batch of the schema.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.0 {
            Writer::Table(writer) => writer.write(batch),
            Writer::Parquet(writer) => writer.write(batch),
            Writer::Arrow(writer) => writer.write(batch),
            Writer::Text(writer) => writer.write(batch),
        }
    }

    /// Makes the file whole and visible; gives its length.
    pub(super) fn finish(self) -> Result<u64> {
        match self.0 {
            Writer::Table(writer) => writer.finish(),
            Writer::Parquet(writer) => Ok(writer.finish()?.bytes),
            Writer::Arrow(writer) => writer.finish(),
            Writer::Text(writer) => writer.finish(),
        }
    }
}

/// An output that counts and gathers small writes, and is an [`io::Write`] for those who want one.
struct OutputFile {
    out: Box<dyn Output>,
    buffer: Vec<u8>,
    bytes: u64,
    error: Option<Error>,
}

const BUFFER_BYTES: usize = 1 << 18;

impl OutputFile {
    fn new(out: Box<dyn Output>) -> OutputFile {
        OutputFile { out, buffer: Vec::new(), bytes: 0, error: None }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.out.append(&std::mem::take(&mut self.buffer))?;
        }
        if bytes.len() > BUFFER_BYTES {
            return self.out.append(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self) -> Result<u64> {
        self.out.append(&self.buffer)?;
        self.out.finish()?;
        Ok(self.bytes)
    }

    /// What made a write fail, as it was before it became an [`io::Error`].
    fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }
}

impl io::Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.append(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(e) => {
                let message = e.to_string();
                self.error = Some(e);
                Err(io::Error::other(message))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
