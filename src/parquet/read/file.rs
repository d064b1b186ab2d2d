//! An open file: its footer, checked, and its page indexes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::{Field, SchemaRef};
use bytes::Bytes;

use crate::budget;
use crate::error::{Error, Result};
use crate::parquet::arrow::{FieldSchema, FileSchema, Leaf, Node, ParquetSchema, SchemaOptions};
use crate::parquet::format::bloom_filter::BloomFilter;
use crate::parquet::format::encryption::{ChunkCipher, ModuleType};
use crate::parquet::format::footer::{self, TAIL_BYTES};
use crate::parquet::format::{
    ChunkPlace, ColumnChunk, ColumnIndex, ColumnMetaData, FileMetaData, Footer, FooterLimits, KeyValue, OffsetIndex,
    thrift,
};
use crate::predicate::ColumnBounds;
use crate::storage::Input;

use super::bloom;
use super::budget::Budget;
use super::column_chunk::{self, index_range};
use super::decryption::{self, Decryptor, OpenedFooter};
use super::explain::{self, Explanation};
use super::inspect::{self, PageInfo};
#[cfg(feature = "datafusion")]
use super::scan::ColumnSummary;
use super::scan::{self, MinMax, Scan, ScanPlan, TopK};
use super::split;
use super::{ReaderOptions, ScanOptions};

/// What is read of the file's end at once: most footers are shorter.
const TAIL_GUESS_BYTES: u64 = 64 << 10;

/// What a schema's element becomes: the element, a leaf or group of the Arrow schema, its names and types.
const SCHEMA_ELEMENT_BYTES: usize = size_of::<Leaf>() + size_of::<Node>() + size_of::<Field>() + 256;

/// A Parquet file, open for reading. A clone shares what is open.
///
/// ```
/// # use std::sync::Arc;
/// # use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
/// # use hypostyle::storage::Input;
/// # fn example(input: Arc<dyn Input>) -> hypostyle::Result<()> {
/// let file = FileReader::open(input, ReaderOptions::default())?;
/// for batch in file.scan(ScanOptions::default().with_columns(["carrier", "dep_delay"]))? {
///     let batch = batch?;
///     assert_eq!(batch.num_columns(), 2);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FileReader {
    pub(super) parts: Arc<FileParts>,
    options: ReaderOptions,
}

impl FileReader {
    /// Reads the footer.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is no Parquet file, is cut short or its metadata contradicts itself;
    /// [`Error::Invalid`] when the footer is encrypted and [`ReaderOptions::decryption`] has no key for it;
    /// [`Error::Limit`] when it is larger than the budget.
    pub fn open(input: Arc<dyn Input>, options: ReaderOptions) -> Result<FileReader> {
        let name = input.name().to_string();
        let parts = FileParts::open(input, &options).map_err(|e| e.in_file(name))?;
        Ok(FileReader { parts: Arc::new(parts), options })
    }

    /// Reads the footer alone, with the places of all column chunks: what a planner wants of many files. No schema is made of
    /// it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read_footer(input: &dyn Input, options: &ReaderOptions) -> Result<Footer> {
        let mut memory = Budget::of(options).memory().reservation();
        let (opened, _) = open_footer(input, options, &mut memory, true).map_err(|e| e.in_file(input.name()))?;
        Ok(opened.footer)
    }

    /// The Arrow schema of all columns. It is made when it is asked for first; a scan of some columns does without.
    pub fn schema(&self) -> &SchemaRef {
        self.parts.arrow()
    }

    /// The footer, read over but for its column chunks.
    pub fn footer(&self) -> &Footer {
        &self.parts.footer
    }

    /// The whole footer. It is decoded when it is asked for first; scans do without.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where the metadata of some column chunk is broken.
    pub fn metadata(&self) -> Result<&FileMetaData> {
        self.parts.whole().map_err(|e| e.in_file(self.name()))
    }

    /// What the footer says of a column chunk; of an encrypted one, by its key. `column` counts leaves.
    pub fn column_metadata(&self, row_group: usize, column: usize) -> Result<ColumnMetaData> {
        let opened = self.parts.open_chunk(row_group, column);
        opened.map(|(metadata, _)| metadata).map_err(|e| self.place(e, column))
    }

    /// The metadata of one column chunk as it stands in the footer, encrypted or not. `column` counts leaves.
    pub fn chunk(&self, row_group: usize, column: usize) -> Result<ColumnChunk> {
        self.parts.chunk(row_group, column).map_err(|e| self.place(e, column))
    }

    /// The Parquet schema, its leaves and their Arrow types: all of it, made when it is asked for first.
    pub fn parquet_schema(&self) -> &ParquetSchema {
        self.parts.whole_schema.get_or_init(|| {
            let parts = &self.parts;
            let fields: Vec<_> = (0..parts.schema.fields()).filter_map(|number| parts.field(number)).collect();
            ParquetSchema {
                elements: parts.schema.elements().to_vec(),
                leaves: fields.iter().flat_map(|field| field.leaves.iter().map(|leaf| Leaf::clone(leaf))).collect(),
                arrow: Arc::clone(parts.arrow()),
                nodes: fields.into_iter().map(|field| field.node.clone()).collect(),
            }
        })
    }

    /// Rows of all row groups.
    pub fn rows(&self) -> u64 {
        self.parts.rows
    }

    /// Bytes of the column chunks of each row group.
    #[cfg(feature = "datafusion")]
    pub(crate) fn row_group_bytes(&self) -> Result<Vec<u64>> {
        let footer = &self.parts.footer;
        let of = |number| footer.stored_bytes(number).try_fold(0u64, |sum, bytes| Ok(sum.saturating_add(bytes?)));
        (0..footer.groups.len()).map(of).collect::<Result<_>>().map_err(|e| e.in_file(self.name()))
    }

    /// The file's length.
    pub fn bytes(&self) -> u64 {
        self.parts.input.bytes()
    }

    /// What a person calls the file.
    pub fn name(&self) -> &str {
        self.parts.input.name()
    }

    /// The byte at which a row group begins: the first page of its first column. None for one without columns.
    pub fn row_group_start(&self, row_group: usize) -> Result<Option<u64>> {
        split::start(&self.parts.footer, row_group).map_err(|e| e.in_file(self.name()))
    }

    /// Starts a scan. Nothing is fetched before its first batch is asked for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a column or row group that is not there, or a predicate that does not fit the
    /// schema; [`Error::Unsupported`] for a column that cannot be read.
    pub fn scan(&self, options: ScanOptions) -> Result<Scan> {
        Scan::new(Arc::clone(&self.parts), &self.options, options).map_err(|e| e.in_file(self.name()))
    }

    /// How many rows a scan would give. Where no predicate is asked for, or bounds decide it, no page is read.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub fn count(&self, options: ScanOptions) -> Result<u64> {
        let options = ScanOptions { columns: Some(Vec::new()), row_numbers: None, ..options };
        self.scan(options)?.map(|batch| Ok(batch?.num_rows() as u64)).sum()
    }

    /// The least and the greatest value of a column among the rows of a scan; none where there is no value. Where exact
    /// statistics tell, no page is read.
    ///
    /// # Errors
    /// As [`scan`](Self::scan); [`Error::Invalid`] with a limit or offset, [`Error::Unsupported`] for a nested column.
    pub fn min_max(&self, column: &str, options: ScanOptions) -> Result<Option<MinMax>> {
        let scan =
            options.for_summary(column).and_then(|options| Scan::new(Arc::clone(&self.parts), &self.options, options));
        scan.and_then(Scan::min_max).map_err(|e| e.in_file(self.name()))
    }

    /// What statistics say of the columns of a scan, in all rows of the file.
    #[cfg(feature = "datafusion")]
    pub(crate) fn summaries(&self, options: ScanOptions) -> Result<Vec<ColumnSummary>> {
        scan::summaries(&self.parts, &self.options, options).map_err(|e| e.in_file(self.name()))
    }

    /// The rows of a scan with the least or greatest values of a column, in order; which of equal ones is not
    /// specified. Row groups and pages that cannot hold them are passed over, and other columns are read for them only.
    ///
    /// # Errors
    /// As [`min_max`](Self::min_max).
    pub fn top_k(&self, top: &TopK, options: ScanOptions) -> Result<RecordBatch> {
        scan::top_k(&self.parts, &self.options, top, options).map_err(|e| e.in_file(self.name()))
    }

    /// Plans a scan: which row groups, and which bytes of the file, before any of these is fetched. Page indexes and Bloom
    /// filters are, as far as the predicate asks for them.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub fn plan(&self, options: ScanOptions) -> Result<ScanPlan> {
        let plan = Scan::new(Arc::clone(&self.parts), &self.options, options).and_then(ScanPlan::new);
        plan.map_err(|e| e.in_file(self.name()))
    }

    /// What a scan with these options would read, and why not the rest. It fetches what the scan's pruning would, and reads
    /// no rows; a limit is not heeded.
    ///
    /// # Errors
    /// As those of [`scan`](Self::scan).
    pub fn explain(&self, options: ScanOptions) -> Result<Explanation> {
        explain::explain(&self.parts, &self.options, options).map_err(|e| e.in_file(self.name()))
    }

    /// The pages of a column chunk, in file order, the dictionary page among them. `column` counts leaves.
    pub fn pages(&self, row_group: usize, column: usize) -> Result<Vec<PageInfo>> {
        inspect::pages(&self.parts, row_group, column).map_err(|e| self.place(e, column))
    }

    /// What the statistics of a column chunk say of its values, as values of the column. `column` counts leaves.
    pub fn chunk_bounds(&self, row_group: usize, column: usize) -> Result<ColumnBounds> {
        inspect::chunk_bounds(&self.parts, row_group, column).map_err(|e| self.place(e, column))
    }

    /// The bounds of a chunk's pages, if the file has them.
    pub fn column_index(&self, row_group: usize, column: usize) -> Result<Option<ColumnIndex>> {
        self.parts.column_index(row_group, column).map_err(|e| self.place(e, column))
    }

    /// The places of a chunk's pages, if the file has them.
    pub fn offset_index(&self, row_group: usize, column: usize) -> Result<Option<OffsetIndex>> {
        self.parts.offset_index(row_group, column).map_err(|e| self.place(e, column))
    }

    /// The Bloom filter of a column chunk, if it has one. `column` counts leaves.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for one that is broken, as far as that can be seen: nothing protects its bits. A scan does
    /// without such a filter. [`Error::Limit`] for one larger than the budget.
    pub fn bloom_filter(&self, row_group: usize, column: usize) -> Result<Option<BloomFilter>> {
        bloom::filter(&self.parts, row_group, column).map_err(|e| self.place(e, column))
    }

    fn place(&self, e: Error, column: usize) -> Error {
        let e = match self.parts.leaf(column) {
            Ok(leaf) => e.in_column(leaf.name()),
            Err(_) => e,
        };
        e.in_file(self.name())
    }
}

/// What readers of one file share.
#[derive(Debug)]
pub(super) struct FileParts {
    pub input: Arc<dyn Input>,
    pub footer: Footer,
    pub schema: FileSchema,
    whole_schema: OnceLock<ParquetSchema>,
    pub rows: u64,
    /// Where the footer begins: all chunks lie before.
    footer_start: u64,
    /// What pages may reach past their chunks by.
    pub overrun: u64,
    /// What the file and its scans may take.
    pub budget: Budget,
    /// What the footer and the schema take of it, and the whole metadata if it was asked for.
    memory: Mutex<budget::Reservation>,
    pub memory_bytes: usize,
    /// Of a file that is encrypted.
    decryptor: Option<Decryptor>,
}

impl FileParts {
    fn open(input: Arc<dyn Input>, options: &ReaderOptions) -> Result<FileParts> {
        if options.batch_rows == 0 {
            return Err(Error::invalid("batch_rows is 0: a batch needs a row"));
        }
        let budget = Budget::of(options);
        let mut memory = budget.memory().reservation();
        let (opened, footer_start) = open_footer(&*input, options, &mut memory, false)?;
        let OpenedFooter { footer, elements, decryptor } = opened;
        memory.grow(footer.memory_bytes())?;
        memory.grow(elements.len().saturating_mul(SCHEMA_ELEMENT_BYTES))?;
        let schema_options =
            SchemaOptions { depth_max: options.schema_depth_max, int96_unit: options.int96_unit, views: options.views };
        let schema = FileSchema::new(elements, footer.key_value_metadata.as_deref(), schema_options)?;
        let mut rows = 0u64;
        for (number, group) in footer.groups.iter().enumerate() {
            let (has, wants) = (group.columns, schema.leaves());
            if has != wants {
                return Err(Error::corrupt(format!("row group {number} has {has} columns, the schema {wants}")));
            }
            rows = u64::try_from(group.num_rows)
                .ok()
                .and_then(|n| rows.checked_add(n))
                .filter(|&n| i64::try_from(n).is_ok())
                .ok_or_else(|| Error::corrupt(format!("row group {number} has {} rows", group.num_rows)))?;
        }
        let overrun = column_chunk::overrun(footer.created_by.as_deref());
        let (memory, memory_bytes) = (Mutex::new(memory), options.memory_bytes);
        let whole_schema = OnceLock::new();
        Ok(FileParts {
            input,
            footer_start,
            footer,
            schema,
            whole_schema,
            rows,
            overrun,
            budget,
            memory,
            memory_bytes,
            decryptor,
        })
    }

    fn key_values(&self) -> Option<&[KeyValue]> {
        self.footer.key_value_metadata.as_deref()
    }

    /// The Arrow schema of all fields.
    pub(super) fn arrow(&self) -> &SchemaRef {
        self.schema.arrow(self.key_values())
    }

    /// What the Arrow schema has beside its fields.
    pub(super) fn schema_metadata(&self) -> HashMap<String, String> {
        self.schema.metadata(self.key_values())
    }

    /// A top-level field by its number.
    pub(super) fn field(&self, number: usize) -> Option<&FieldSchema> {
        self.schema.field(number, self.key_values())
    }

    /// All of the footer, decoded once.
    fn whole(&self) -> Result<&FileMetaData> {
        if !self.footer.is_whole() {
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.footer.is_whole() {
                let before = memory.bytes();
                memory.grow(self.footer.whole_memory_bytes())?;
                if let Err(e) = self.footer.whole() {
                    memory.resize(before)?;
                    return Err(e);
                }
            }
        }
        self.footer.whole()
    }

    pub(super) fn leaf(&self, leaf: usize) -> Result<&Arc<Leaf>> {
        self.schema.leaf(leaf, self.key_values()).ok_or_else(|| {
            let leaves = self.schema.leaves();
            Error::invalid(format!("there is no column {leaf}: the file has {leaves}, from 0 on"))
        })
    }

    /// Decodes the metadata of a column chunk.
    pub(super) fn chunk(&self, group: usize, leaf: usize) -> Result<ColumnChunk> {
        let column = self.leaf(leaf)?;
        self.footer.chunk(group, leaf).map_err(|e| e.in_column(column.name()))
    }

    /// What the footer says of a chunk, in the clear or decrypted, and what opens its other modules where it is encrypted.
    pub(super) fn open_chunk(&self, group: usize, leaf: usize) -> Result<(ColumnMetaData, Option<ChunkCipher>)> {
        let mut chunk = self.chunk(group, leaf)?;
        let cipher = self.cipher(&chunk, group, leaf)?;
        if let (Some(cipher), Some(sealed)) = (&cipher, chunk.encrypted_column_metadata.take()) {
            chunk.meta_data = Some(decryption::column_metadata(&sealed, cipher)?);
        }
        let metadata = column_chunk::metadata(chunk)?;
        column_chunk::byte_range(&(&metadata).into(), self.footer_start)?;
        Ok((metadata, cipher))
    }

    /// Where a chunk lies, and what opens its pages where it is encrypted.
    pub(super) fn open_pages(&self, group: usize, leaf: usize) -> Result<(ChunkPlace, Option<ChunkCipher>)> {
        match self.footer.place(group, leaf)? {
            Some(place) => {
                column_chunk::byte_range(&place, self.footer_start)?;
                Ok((place, None))
            }
            None => self.open_chunk(group, leaf).map(|(meta, cipher)| ((&meta).into(), cipher)),
        }
    }

    fn cipher(&self, chunk: &ColumnChunk, group: usize, leaf: usize) -> Result<Option<ChunkCipher>> {
        if chunk.crypto_metadata.is_none() {
            return Ok(None);
        }
        let Some(decryptor) = &self.decryptor else {
            return Err(Error::unsupported("it is encrypted, and the footer does not say how"));
        };
        let ordinal = self.footer.groups.get(group).and_then(|g| usize::try_from(g.ordinal?).ok());
        decryptor.chunk(chunk, ordinal.unwrap_or(group), leaf, &self.leaf(leaf)?.name())
    }

    pub(super) fn group_rows(&self, group: usize) -> Result<usize> {
        let rows = self.footer.groups.get(group).map_or(0, |g| g.num_rows);
        usize::try_from(rows).map_err(|_| Error::corrupt(format!("row group {group} has {rows} rows")))
    }

    /// The place in the file of a group's first row.
    pub(super) fn first_row(&self, group: usize) -> u64 {
        let before = self.footer.groups.iter().take(group);
        // Opening the file has shown that they are numbers, and what their sum is.
        before.filter_map(|g| u64::try_from(g.num_rows).ok()).sum()
    }

    pub(super) fn column_index(&self, group: usize, leaf: usize) -> Result<Option<ColumnIndex>> {
        let chunk = self.chunk(group, leaf)?;
        let range = index_range(chunk.column_index_offset, chunk.column_index_length, self.input.bytes())?;
        self.index(range, self.cipher(&chunk, group, leaf), ModuleType::ColumnIndex)
    }

    pub(super) fn offset_index(&self, group: usize, leaf: usize) -> Result<Option<OffsetIndex>> {
        let chunk = self.chunk(group, leaf)?;
        let range = index_range(chunk.offset_index_offset, chunk.offset_index_length, self.input.bytes())?;
        self.index(range, self.cipher(&chunk, group, leaf), ModuleType::OffsetIndex)
    }

    fn index<T: thrift::Value>(
        &self,
        range: Option<Range<u64>>,
        cipher: Result<Option<ChunkCipher>>,
        kind: ModuleType,
    ) -> Result<Option<T>> {
        let Some(range) = range else { return Ok(None) };
        if range.end - range.start > self.memory_bytes as u64 {
            return Err(Error::limit(format!("a page index of {} bytes: raise memory_bytes", range.end - range.start)));
        }
        let cipher = cipher?;
        let bytes = self.input.read(range.clone())?;
        let Some(cipher) = cipher else {
            return thrift::decode_within::<T>(&bytes, range.start, self.memory_bytes).map(Some);
        };
        let (plain, _) = cipher.open(kind, 0, &bytes).map_err(|e| e.at_byte(range.start))?;
        let index = thrift::decode_within::<T>(&plain, 0, self.memory_bytes)
            .map_err(|e| Error::corrupt(format!("{} (in a decrypted page index)", e.message())))?;
        Ok(Some(index))
    }
}

/// Finds and reads the footer, with the places of all chunks if asked for; also the byte at which it begins.
fn open_footer(
    input: &dyn Input,
    options: &ReaderOptions,
    memory: &mut budget::Reservation,
    places: bool,
) -> Result<(OpenedFooter, u64)> {
    let file_bytes = input.bytes();
    let guess = file_bytes.saturating_sub(TAIL_GUESS_BYTES)..file_bytes;
    let end = input.read(guess.clone())?;
    let Some(tail) = end.last_chunk::<{ TAIL_BYTES as usize }>() else {
        return Err(Error::corrupt(format!("a file of {file_bytes} bytes is too short to be Parquet")));
    };
    let (range, is_encrypted) = footer::locate(*tail, file_bytes)?;
    memory.resize(usize::try_from(range.end - range.start).unwrap_or(usize::MAX))?;
    let bytes = match range.start.checked_sub(guess.start).and_then(|start| usize::try_from(start).ok()) {
        Some(start) => {
            let footer = end.slice(start..end.len().saturating_sub(TAIL_BYTES as usize));
            // What was read beside a short one is not held for as long as the file is open.
            if footer.len() < end.len() / 2 { Bytes::copy_from_slice(&footer) } else { footer }
        }
        None => input.read(range.clone())?,
    };
    let memory_left = options.memory_bytes.saturating_sub(memory.bytes());
    let limits = FooterLimits { memory_bytes: memory_left, schema_elements: options.schema_elements_max, places };
    let opened = decryption::open_footer(bytes, range.start, is_encrypted, options.decryption.as_ref(), limits)?;
    Ok((opened, range.start))
}
