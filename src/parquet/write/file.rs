//! A whole file: magic, row groups, page indexes, footer.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::options::WriterOptions;
use super::orders;
use super::pending::{self, Pending};
use super::row_group::{EncodedIndexes, Presses, RowGroupWriter};
use super::seal::FileSeal;
use super::sink::{self, Sink};
use super::strip;
use crate::error::{Error, Result};
use crate::parquet::arrow::{ARROW_SCHEMA_KEY, ParquetSchema, arrow_schema_metadata, to_parquet};
use crate::parquet::format::{ColumnChunk, FileMetaData, KeyValue, RowGroup, footer};
use crate::storage::Output;

/// What the footer says wrote the file.
pub(super) const CREATED_BY: &str = concat!("hypostyle version ", env!("CARGO_PKG_VERSION"));

/// The version that the footer names: 2 allows every encoding and logical type.
pub(super) const FORMAT_VERSION: i32 = 2;

/// Writes record batches of one schema to a Parquet file.
///
/// Rows go into the open row group: pages are encoded and compressed as they fill, and kept so until the
/// group closes by [`row_group_rows`](WriterOptions::row_group_rows),
/// [`row_group_bytes`](WriterOptions::row_group_bytes) or [`flush`](Self::flush). Nothing appears under the
/// file's name before [`finish`](Self::finish); a writer that is dropped, or that has failed once, leaves no file.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use arrow_array::{Int64Array, RecordBatch, StringArray};
/// use hypostyle::parquet::write::{FileWriter, WriterOptions};
/// # struct Shared(Arc<Mutex<Vec<u8>>>);
/// # impl hypostyle::storage::Output for Shared {
/// #     fn append(&mut self, bytes: &[u8]) -> hypostyle::Result<()> {
/// #         self.0.lock().unwrap().extend_from_slice(bytes);
/// #         Ok(())
/// #     }
/// #     fn finish(self: Box<Self>) -> hypostyle::Result<()> { Ok(()) }
/// # }
/// # let bytes = Arc::new(Mutex::new(Vec::new()));
/// # let output = Box::new(Shared(bytes.clone()));
///
/// let batch = RecordBatch::try_from_iter([
///     ("id", Arc::new(Int64Array::from(vec![1, 2])) as _),
///     ("name", Arc::new(StringArray::from(vec![Some("a"), None])) as _),
/// ])?;
/// // `output` comes from a `Storage`: storage.create("names.parquet")?
/// let mut writer = FileWriter::new(output, batch.schema(), WriterOptions::default())?;
/// writer.write(&batch)?;
/// let written = writer.finish()?;
/// assert_eq!(written.metadata.num_rows, 2);
/// # assert_eq!(bytes.lock().unwrap().len() as u64, written.bytes);
/// # Ok::<(), hypostyle::Error>(())
/// ```
pub struct FileWriter {
    pub(super) out: Sink,
    pub(super) options: WriterOptions,
    pub(super) schema: ParquetSchema,
    pub(super) presses: Presses,
    /// Of an encrypted file.
    pub(super) seal: Option<FileSeal>,
    pub(super) open: RowGroupWriter,
    /// The next rows of the open row group, where several threads shall begin together, with some work for each, or large
    /// dictionaries shall be gone to less often.
    pending: Pending,
    pub(super) row_groups: Vec<RowGroup>,
    /// Of each row group, of each chunk.
    pub(super) indexes: Vec<Vec<EncodedIndexes>>,
    pub(super) indexes_bytes: usize,
    /// Bytes appended.
    pub(super) position: u64,
    pub(super) rows: u64,
    /// The key-values of the file that this one goes on with.
    pub(super) carried: Option<Vec<KeyValue>>,
    pub(super) has_failed: bool,
}

/// A file that is there.
#[derive(Debug, Clone)]
pub struct WrittenFile {
    /// Its footer; of an encrypted file as who has the footer's key reads it.
    pub metadata: FileMetaData,
    /// Its length.
    pub bytes: u64,
}

impl FileWriter {
    /// Begins a file of batches of `schema` in `out`.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming a column that cannot be written, [`Error::Invalid`] for
    /// options that contradict each other or the schema.
    pub fn new(out: Box<dyn Output>, schema: SchemaRef, options: WriterOptions) -> Result<FileWriter> {
        let mut writer = FileWriter::over(out, to_parquet(&schema)?, options)?;
        let magic = writer.seal.as_ref().map_or(footer::MAGIC, FileSeal::magic);
        writer.append(&magic)?;
        Ok(writer)
    }

    /// A writer that has written nothing, not even the first bytes.
    pub(super) fn over(out: Box<dyn Output>, mut schema: ParquetSchema, options: WriterOptions) -> Result<FileWriter> {
        orders::apply(&mut schema, &options);
        options.check(&schema.leaves)?;
        if options.key_values.iter().any(|(key, _)| key == ARROW_SCHEMA_KEY) {
            return Err(Error::invalid(format!("the key {ARROW_SCHEMA_KEY} is the writer's own")));
        }
        let presses = Presses::new(&schema, &options)?;
        let seal = options.encryption.as_ref().map(|e| FileSeal::new(e, &schema.leaves)).transpose()?;
        Ok(FileWriter {
            open: RowGroupWriter::new(&schema.leaves, &presses, seal.as_ref(), 0)?,
            seal,
            out: Sink::new(out, presses.threads() > 1),
            options,
            schema,
            presses,
            pending: Pending::default(),
            row_groups: Vec::new(),
            indexes: Vec::new(),
            indexes_bytes: 0,
            position: 0,
            rows: 0,
            carried: None,
            has_failed: false,
        })
    }

    /// Appends the rows of a batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the column when the batch's schema is another (fields' metadata and
    /// nullability aside), a column that is not nullable has a null, or a value does not fit its type: then
    /// nothing more can be written. With several [threads](WriterOptions::threads), a later call may be the one to tell of a
    /// value, or of an output that failed.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.check_usable()?;
        self.check_schema(&batch.schema())?;
        let result = self.write_rows(batch);
        self.has_failed |= result.is_err();
        result
    }

    fn write_rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let strip_bytes = (self.options.row_group_bytes / 8).clamp(STRIP_BYTES_MIN, STRIP_BYTES_MAX);
        let mut at = 0;
        while at < batch.num_rows() {
            let room = self.options.row_group_rows - self.open.rows - self.pending.rows;
            let (strip, bytes) = strip::next(batch, at, room, strip_bytes);
            at += strip.num_rows();
            self.rows += strip.num_rows() as u64;
            let is_sure = self.presses.threads() > 1 || pending::is_sure(&strip, bytes, &self.schema);
            self.pending.push(strip, bytes);
            if is_sure && self.can_wait() {
                continue;
            }
            self.write_pending()?;
            let (encoded, bytes_max) = (self.open.encoded_bytes(), self.options.row_group_bytes as u64);
            if self.open.rows >= self.options.row_group_rows || encoded >= bytes_max {
                self.close_row_group()?;
                self.out.start()?;
            } else if encoded.saturating_add(self.out.bytes()) > bytes_max {
                // No more than one row group is in memory, however slow the output is.
                self.out.settle()?;
            }
        }
        Ok(())
    }

    /// Whether more rows should come before these are encoded. Not where the row group may be full before: it closes with the
    /// same row whenever they are.
    fn can_wait(&self) -> bool {
        let Pending { rows, bytes, .. } = self.pending;
        let leaves = self.schema.leaves.len();
        let is_little = match self.presses.threads() {
            // Whether an encrypted page can be sealed is told when it is.
            1 => self.seal.is_none() && self.pending.is_little_for_dictionaries(self.open.dictionary_bytes()),
            _ => self.pending.is_little_for_threads(leaves),
        };
        // With what pages' levels and headers may take.
        let bytes_more = bytes.saturating_mul(2).saturating_add(leaves.saturating_mul(OPEN_BYTES));
        is_little
            && self.open.rows + rows < self.options.row_group_rows
            && self.open.encoded_bytes().saturating_add(bytes_more as u64) < self.options.row_group_bytes as u64
    }

    fn write_pending(&mut self) -> Result<()> {
        let Pending { strips, .. } = std::mem::take(&mut self.pending);
        self.open.write(&strips, &self.schema, &mut self.presses)
    }

    /// Closes the row group, if there are rows in it, has the output take all bytes of it, and lets go of all memory that the next
    /// one does not need.
    pub fn flush(&mut self) -> Result<()> {
        self.check_usable()?;
        let result = self.flush_row_group();
        self.has_failed |= result.is_err();
        result
    }

    fn flush_row_group(&mut self) -> Result<()> {
        self.close_row_group()?;
        self.out.settle()?;
        self.presses.release()
    }

    fn close_row_group(&mut self) -> Result<()> {
        self.write_pending()?;
        if self.open.rows == 0 {
            return Ok(());
        }
        let leaves = &self.schema.leaves;
        let seal = self.seal.as_ref();
        let next = RowGroupWriter::new(leaves, &self.presses, seal, self.row_groups.len() + 1)?;
        let open = std::mem::replace(&mut self.open, next);
        let (row_group, indexes, bytes) = open.finish(
            leaves,
            &mut self.presses,
            &mut self.out,
            self.position,
            self.row_groups.len(),
            &self.options.sorting_columns,
            seal,
        )?;
        self.indexes_bytes += indexes.iter().map(EncodedIndexes::bytes).sum::<usize>();
        self.row_groups.push(row_group);
        self.indexes.push(indexes);
        self.position += bytes;
        Ok(())
    }

    /// Bytes in memory that the file takes: the pages of the open row group, those of the one before that the output has not taken
    /// yet, rows that wait, one open page and dictionary a column, compressors with their buffers, and the page index so far.
    pub fn memory_bytes(&self) -> usize {
        let behind = usize::try_from(self.out.bytes()).unwrap_or(usize::MAX);
        self.open.memory_bytes() + self.pending.bytes + self.presses.memory_bytes() + self.indexes_bytes + behind
    }

    /// Bytes of the file so far, the open row group included as it will be encoded, about; without the footer.
    pub fn file_bytes(&self) -> u64 {
        self.position + self.open.encoded_bytes() + self.pending.bytes as u64 + self.indexes_bytes as u64
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The Arrow schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema.arrow
    }

    /// Closes the row group, writes the page index and the footer, and makes the file durable and visible.
    pub fn finish(mut self) -> Result<WrittenFile> {
        self.flush()?;
        self.write_indexes()?;
        let mut metadata = self.metadata();
        let tail = match &self.seal {
            Some(seal) => seal.footer(&mut metadata)?,
            None => footer::encode(&metadata)?,
        };
        self.append(&tail)?;
        self.out.finish()?;
        Ok(WrittenFile { metadata, bytes: self.position })
    }

    /// All column indexes, then all offset indexes: a reader that wants one kind finds it in one piece.
    fn write_indexes(&mut self) -> Result<()> {
        let indexes = std::mem::take(&mut self.indexes);
        self.write_index(
            &indexes,
            |i| i.column.as_deref(),
            |chunk, offset, length| {
                (chunk.column_index_offset, chunk.column_index_length) = (Some(offset), Some(length));
            },
        )?;
        self.write_index(
            &indexes,
            |i| i.offset.as_deref(),
            |chunk, offset, length| {
                (chunk.offset_index_offset, chunk.offset_index_length) = (Some(offset), Some(length));
            },
        )
    }

    fn write_index(
        &mut self,
        indexes: &[Vec<EncodedIndexes>],
        pick: fn(&EncodedIndexes) -> Option<&[u8]>,
        place: fn(&mut ColumnChunk, i64, i32),
    ) -> Result<()> {
        let mut row_groups = std::mem::take(&mut self.row_groups);
        for (chunk, index) in row_groups.iter_mut().flat_map(|g| &mut g.columns).zip(indexes.iter().flatten()) {
            if let Some(bytes) = pick(index) {
                let length = i32::try_from(bytes.len())
                    .map_err(|_| Error::limit("a page index beyond 2 GiB: larger pages are needed"))?;
                place(chunk, self.position as i64, length);
                self.append(bytes)?;
            }
        }
        self.row_groups = row_groups;
        Ok(())
    }

    fn metadata(&mut self) -> FileMetaData {
        let own = match self.carried.take() {
            Some(carried) => carried,
            None => vec![arrow_schema_metadata(&self.schema.arrow)],
        };
        let given = std::mem::take(&mut self.options.key_values);
        let own: Vec<KeyValue> = own.into_iter().filter(|own| !given.iter().any(|(key, _)| *key == own.key)).collect();
        let given = given.into_iter().map(|(key, value)| KeyValue { key, value: Some(value) });
        FileMetaData {
            version: FORMAT_VERSION,
            schema: std::mem::take(&mut self.schema.elements),
            num_rows: self.rows as i64,
            row_groups: std::mem::take(&mut self.row_groups),
            key_value_metadata: Some(given.chain(own).collect()),
            created_by: Some(CREATED_BY.into()),
            column_orders: Some(orders::column_orders(&self.schema.leaves)),
            encryption_algorithm: None,
            footer_signing_key_metadata: None,
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.append(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn check_usable(&self) -> Result<()> {
        if self.has_failed {
            return Err(sink::failed_before());
        }
        Ok(())
    }

    fn check_schema(&self, batch: &Schema) -> Result<()> {
        let mine = &self.schema.arrow;
        if std::ptr::eq(Arc::as_ptr(mine), batch) {
            return Ok(());
        }
        for (mine, theirs) in mine.fields().iter().zip(batch.fields()) {
            if mine.name() != theirs.name() {
                let (mine, theirs) = (mine.name(), theirs.name());
                return Err(Error::invalid(format!("the batch has \"{theirs}\" in its place")).in_column(mine));
            }
            if mine.data_type() != theirs.data_type() {
                let (file, batch) = (mine.data_type(), theirs.data_type());
                return Err(Error::invalid(format!("{batch} in the batch, {file} in the file")).in_column(mine.name()));
            }
        }
        let (count, theirs) = (mine.fields().len(), batch.fields().len());
        match (mine.fields().get(theirs), batch.fields().get(count)) {
            (Some(missing), _) => Err(Error::invalid("the batch does not have it").in_column(missing.name())),
            (_, Some(extra)) => Err(Error::invalid("the file does not have it").in_column(extra.name())),
            (None, None) => Ok(()),
        }
    }
}

impl std::fmt::Debug for FileWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileWriter")
            .field("rows", &self.rows)
            .field("position", &self.position)
            .field("row_groups", &self.row_groups.len())
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

/// What a column may have besides its values, at most, about.
const OPEN_BYTES: usize = 64 << 10;

const STRIP_BYTES_MIN: usize = 64 << 10;
const STRIP_BYTES_MAX: usize = 8 << 20;
