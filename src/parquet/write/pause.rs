//! Writing that survives: a file is made durable in the middle, and gone on with later, by another process if need be.
//!
//! A file that is not finished has no footer; the writer has it in memory. `pause` hands it out as a token. Columns lie one
//! behind the other in a row group, so pages of several columns cannot be laid down while the group is open: `pause`
//! closes it. Whoever pauses often gets small row groups.
//!
//! ```text
//! OFFSET   SIZE  DESCRIPTION
//! 0        4     "HYPP"
//! 4        1     version, 1
//! 5        n     Token, thrift compact: path, hidden path, length, last bytes, footer, page indexes
//! 5 + n    8     XXH64 (seed 0) of all bytes before, little-endian
//! ```
//!
//! `footer` is the FileMetaData of the row groups so far, and `indexes` has an entry a column chunk, in order; their page
//! indexes are written at the file's end.

use arrow_schema::SchemaRef;

use super::file::{CREATED_BY, FORMAT_VERSION, FileWriter};
use super::options::WriterOptions;
use super::orders;
use super::row_group::EncodedIndexes;
use crate::error::{Error, Result};
use crate::parquet::arrow::{ParquetSchema, arrow_schema_metadata, check_same, from_parquet, to_parquet};
use crate::parquet::format::thrift::{self, record};
use crate::parquet::format::{FileMetaData, RowGroup, footer};
use crate::storage::{Paused, Storage};

const MAGIC: [u8; 4] = *b"HYPP";
const VERSION: u8 = 1;

record! {
    /// What the bytes of a token hold.
    pub struct Token {
        1: required path: String,
        2: required hidden: String,
        3: required bytes: i64,
        4: required tail: Vec<u8>,
        5: required footer: Vec<u8>,
        6: required indexes: Vec<TokenIndexes>,
    }
}

record! {
    /// The page index of one chunk.
    pub struct TokenIndexes {
        1: optional column: Vec<u8>,
        2: optional offset: Vec<u8>,
    }
}

/// What it takes to go on with a paused file: see [`FileWriter::pause`]. Keep its [bytes](Self::to_bytes) in a safe place.
#[derive(Debug, Clone)]
pub struct PauseToken {
    paused: Paused,
    /// The footer as it would be now, without the caller's key-values.
    metadata: FileMetaData,
    schema: ParquetSchema,
    indexes: Vec<EncodedIndexes>,
}

impl PauseToken {
    /// The token as bytes: some for the footer's row groups and for the page index, about a thousandth of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut metadata = footer::encode(&self.metadata)?;
        metadata.truncate(metadata.len() - footer::TAIL_BYTES as usize);
        let indexes = self.indexes.iter();
        let token = Token {
            path: self.paused.path.clone(),
            hidden: self.paused.hidden.clone(),
            bytes: self.paused.bytes as i64,
            tail: self.paused.tail.clone(),
            footer: metadata,
            indexes: indexes.map(|i| TokenIndexes { column: i.column.clone(), offset: i.offset.clone() }).collect(),
        };
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        out.extend(thrift::encode(&token));
        let hash = hash(&out);
        out.extend_from_slice(&hash.to_le_bytes());
        Ok(out)
    }

    /// The token from its bytes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they are damaged or no token; [`Error::Unsupported`] when a newer version wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Result<PauseToken> {
        let corrupt = |what: &str| Error::corrupt(format!("the token of a paused file {what}"));
        let Some((head, sum)) = bytes.split_last_chunk::<8>() else { return Err(corrupt("is cut short")) };
        let Some(([magic @ .., version], body)) = head.split_first_chunk::<5>() else {
            return Err(corrupt("is cut short"));
        };
        if *magic != MAGIC {
            return Err(Error::corrupt("these bytes are no token of a paused file"));
        }
        if u64::from_le_bytes(*sum) != hash(head) {
            return Err(corrupt("is damaged: its checksum does not fit"));
        }
        if *version != VERSION {
            let message = format!("the token of a paused file has version {version}, this is for version {VERSION}");
            return Err(Error::unsupported(message));
        }
        let (token, _) = thrift::decode::<Token>(body, 5)?;
        let metadata = footer::decode(&token.footer, 0)?;
        let schema = from_parquet(&metadata)?;
        let paused = Paused {
            path: token.path,
            hidden: token.hidden,
            bytes: u64::try_from(token.bytes).map_err(|_| corrupt("names a negative length"))?,
            tail: token.tail,
        };
        let chunks = metadata.row_groups.len() * schema.leaves.len();
        let rows = metadata.row_groups.iter().try_fold(0i64, |sum, group| sum.checked_add(group.num_rows));
        if metadata.row_groups.iter().any(|group| group.columns.len() != schema.leaves.len() || group.num_rows < 0)
            || token.indexes.len() != chunks
            || rows != Some(metadata.num_rows)
            || paused.bytes < footer::MAGIC.len() as u64
        {
            return Err(corrupt("contradicts itself"));
        }
        let indexes = token.indexes.into_iter();
        Ok(PauseToken {
            paused,
            metadata,
            schema,
            indexes: indexes.map(|i| EncodedIndexes { column: i.column, offset: i.offset }).collect(),
        })
    }

    /// Where the file appears when it is finished.
    pub fn path(&self) -> &str {
        &self.paused.path
    }

    /// The footer of what is durable: no bounds of pages are in the file yet.
    pub fn metadata(&self) -> &FileMetaData {
        &self.metadata
    }

    /// Bytes that are durable.
    pub fn bytes(&self) -> u64 {
        self.paused.bytes
    }

    /// Rows that are durable.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.num_rows).unwrap_or(0)
    }

    /// Removes the paused file, of which nothing is wanted any more.
    pub fn discard(self, storage: &dyn Storage) -> Result<()> {
        storage.remove(&self.paused.hidden)
    }
}

impl PauseToken {
    /// Checks that batches of `schema` belong into the file.
    fn check_schema(&self, schema: &ParquetSchema) -> Result<()> {
        check_same(&self.schema, schema)?;
        // Arrow's types, as the finished file will tell them.
        let given = from_parquet(&metadata(schema, 0, Vec::new()))?;
        for (mine, given) in self.schema.arrow.fields().iter().zip(given.arrow.fields()) {
            if mine.data_type() != given.data_type() {
                let message = format!("{} is given, the file was begun with {}", given.data_type(), mine.data_type());
                return Err(Error::invalid(message).in_column(mine.name()));
            }
        }
        // The footer states one order for all row groups.
        if self.metadata.column_orders != Some(orders::column_orders(&schema.leaves)) {
            let message = "the options put floats or INT96 in another order than the file was begun with";
            return Err(Error::invalid(message).in_file(self.path()));
        }
        if self.schema.elements != schema.elements {
            return Err(Error::invalid("the schema is not the one that the file was begun with").in_file(self.path()));
        }
        Ok(())
    }
}

impl FileWriter {
    /// Makes all rows so far durable without making the file visible, and gives what it takes to go on with it by
    /// [`resume`](Self::resume), after the end of this process if need be. This writer can be written on, too.
    ///
    /// The open row group is closed. The unfinished file stays until it is finished or
    /// [discarded](PauseToken::discard); a table's vacuum takes it when it has not been changed for long.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the storage cannot pause, and for an encrypted file.
    pub fn pause(&mut self) -> Result<PauseToken> {
        refuse_encryption(&self.options)?;
        self.flush()?;
        let paused = self.out.settle().and_then(|out| out.pause());
        self.has_failed |= !matches!(paused, Ok(_) | Err(Error::Unsupported(_)));
        let paused = paused?;
        if paused.bytes != self.position {
            let message = format!("the storage has {} bytes, {} were written", paused.bytes, self.position);
            return Err(Error::io(message).in_file(paused.path));
        }
        let metadata = metadata(&self.schema, self.rows, self.row_groups.clone());
        Ok(PauseToken {
            schema: from_parquet(&metadata)?,
            paused,
            metadata,
            indexes: self.indexes.iter().flatten().cloned().collect(),
        })
    }

    /// Goes on with a file where [`pause`](Self::pause) made it durable; what was written after is dropped. Of several
    /// tokens of a file, any will do: rows after it are lost, those before it are there.
    ///
    /// `schema` is that of the paused writer. Options are the caller's again, not the token's: key-values and sorting columns
    /// stand in the footer as given here.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the column when the schema is another, or when the storage has another file in the place
    /// of the paused one; [`Error::Conflict`] when the paused writer is still at work; [`Error::Io`] when the file is not
    /// there: finished, or discarded.
    pub fn resume(
        storage: &dyn Storage,
        token: &PauseToken,
        schema: SchemaRef,
        options: WriterOptions,
    ) -> Result<FileWriter> {
        refuse_encryption(&options)?;
        let mut schema = to_parquet(&schema)?;
        orders::apply(&mut schema, &options);
        token.check_schema(&schema)?;
        // Whatever is wrong with the options, before anything is cut.
        options.check(&schema.leaves)?;
        let mut writer = FileWriter::over(storage.resume(&token.paused)?, schema, options)?;
        writer.position = token.paused.bytes;
        writer.rows = token.rows();
        writer.row_groups = token.metadata.row_groups.clone();
        let columns = writer.schema.leaves.len().max(1);
        writer.indexes = token.indexes.chunks(columns).map(<[_]>::to_vec).collect();
        writer.indexes_bytes = writer.indexes.iter().flatten().map(EncodedIndexes::bytes).sum();
        Ok(writer)
    }
}

/// The token would have to hold what makes each file's AAD its own, and is kept by others than the keys.
pub(super) fn refuse_encryption(options: &WriterOptions) -> Result<()> {
    match options.encryption {
        Some(_) => {
            Err(Error::unsupported("an encrypted file is written in one go: it cannot be paused or appended to"))
        }
        None => Ok(()),
    }
}

/// The footer of these row groups.
fn metadata(schema: &ParquetSchema, rows: u64, row_groups: Vec<RowGroup>) -> FileMetaData {
    FileMetaData {
        version: FORMAT_VERSION,
        schema: schema.elements.clone(),
        num_rows: rows as i64,
        row_groups,
        key_value_metadata: Some(vec![arrow_schema_metadata(&schema.arrow)]),
        created_by: Some(CREATED_BY.into()),
        column_orders: Some(orders::column_orders(&schema.leaves)),
        encryption_algorithm: None,
        footer_signing_key_metadata: None,
    }
}

fn hash(bytes: &[u8]) -> u64 {
    twox_hash::XxHash64::oneshot(0, bytes)
}
