//! The open row group: one writer a column, then their chunks one after another in the file.

use arrow_array::RecordBatch;

use super::column_chunk::{ColumnWriter, Press};
use super::options::{ChunkOptions, WriterOptions};
use super::seal::FileSeal;
use crate::error::Result;
use crate::parquet::arrow::node::Kind;
use crate::parquet::arrow::shred::shred;
use crate::parquet::arrow::{Leaf, ParquetSchema};
use crate::parquet::compress::Compression;
use crate::parquet::format::encryption::{ChunkCipher, ModuleType};
use crate::parquet::format::{ColumnChunk, RowGroup, SortingColumn, thrift};
use crate::storage::Output;

/// What all row groups of a file share: each column's options, and a press for each codec that is used.
#[derive(Debug)]
pub(super) struct Presses {
    presses: Vec<(Compression, Press)>,
    /// Options and the press of each column.
    columns: Vec<(ChunkOptions, usize)>,
}

impl Presses {
    pub fn new(leaves: &[Leaf], options: &WriterOptions) -> Result<Presses> {
        let mut presses: Vec<(Compression, Press)> = Vec::new();
        let mut columns = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let mut options = options.of_column(&leaf.name());
            options.mind_readers(leaf);
            let index = match presses.iter().position(|(compression, _)| *compression == options.compression) {
                Some(index) => index,
                None => {
                    presses.push((options.compression, Press::new(options.compression)?));
                    presses.len() - 1
                }
            };
            columns.push((options, index));
        }
        Ok(Presses { presses, columns })
    }

    fn of(&mut self, column: usize) -> Option<&mut Press> {
        let (_, index) = self.columns.get(column)?;
        self.presses.get_mut(*index).map(|(_, press)| press)
    }

    pub fn memory_bytes(&self) -> usize {
        let of_press = |press: &Press| {
            let buffers = [&press.body, &press.scratch, &press.trial];
            buffers.iter().map(|b| b.capacity()).sum::<usize>() + press.compressor.memory_bytes()
        };
        self.presses.iter().map(|(_, press)| of_press(press)).sum()
    }

    /// Lets go of buffers and of what compressors have gathered; the next page takes them anew.
    pub fn release(&mut self) -> Result<()> {
        for (compression, press) in &mut self.presses {
            *press = Press::new(*compression)?;
        }
        Ok(())
    }
}

/// The page index of one chunk, encoded, until the footer is written.
#[derive(Debug, Clone, Default)]
pub(super) struct EncodedIndexes {
    pub column: Option<Vec<u8>>,
    pub offset: Option<Vec<u8>>,
}

impl EncodedIndexes {
    pub fn bytes(&self) -> usize {
        [&self.column, &self.offset].into_iter().flatten().map(Vec::len).sum()
    }
}

/// Writes one row group.
#[derive(Debug)]
pub(super) struct RowGroupWriter {
    columns: Vec<ColumnWriter>,
    pub rows: usize,
}

impl RowGroupWriter {
    /// For the row group of number `ordinal`.
    pub fn new(leaves: &[Leaf], presses: &Presses, seal: Option<&FileSeal>, ordinal: usize) -> Result<RowGroupWriter> {
        let mut columns = Vec::with_capacity(leaves.len());
        for (at, (leaf, (options, _))) in leaves.iter().zip(&presses.columns).enumerate() {
            let cipher = seal.map(|seal| seal.chunk(ordinal, at)).transpose()?.flatten();
            columns.push(ColumnWriter::new(leaf, *options).with_cipher(cipher));
        }
        Ok(RowGroupWriter { columns, rows: 0 })
    }

    /// Takes all rows of a batch of the file's schema.
    pub fn write(&mut self, batch: &RecordBatch, schema: &ParquetSchema, presses: &mut Presses) -> Result<()> {
        for (node, array) in schema.nodes.iter().zip(batch.columns()) {
            if let Kind::Leaf(index) = node.kind {
                self.write_leaf(index, schema, presses, |column, press| column.write(array, press))?;
                continue;
            }
            for entries in shred(node, array)? {
                self.write_leaf(entries.leaf, schema, presses, |column, press| column.write_nested(&entries, press))?;
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    fn write_leaf(
        &mut self,
        index: usize,
        schema: &ParquetSchema,
        presses: &mut Presses,
        write: impl FnOnce(&mut ColumnWriter, &mut Press) -> Result<()>,
    ) -> Result<()> {
        match (self.columns.get_mut(index), presses.of(index), schema.leaves.get(index)) {
            (Some(column), Some(press), Some(leaf)) => write(column, press).map_err(|e| e.in_column(leaf.name())),
            _ => Ok(()),
        }
    }

    /// Bytes that it will take in the file, about.
    pub fn encoded_bytes(&self) -> u64 {
        self.columns.iter().map(ColumnWriter::encoded_bytes).sum()
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(ColumnWriter::memory_bytes).sum()
    }

    /// Appends the chunks and their Bloom filters to `out`, which is `base` bytes long.
    pub fn finish(
        self,
        leaves: &[Leaf],
        presses: &mut Presses,
        out: &mut dyn Output,
        base: u64,
        ordinal: usize,
        sorting: &[SortingColumn],
        seal: Option<&FileSeal>,
    ) -> Result<(RowGroup, Vec<EncodedIndexes>, u64)> {
        let rows = self.rows;
        let mut position = base;
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut indexes = Vec::with_capacity(self.columns.len());
        let mut ciphers = Vec::with_capacity(self.columns.len());
        let mut filters = Vec::with_capacity(self.columns.len());
        for (index, (column, leaf)) in self.columns.into_iter().zip(leaves).enumerate() {
            let Some(press) = presses.of(index) else { continue };
            let mut chunk = column.finish(press).map_err(|e| e.in_column(leaf.name()))?;
            columns.push(ColumnChunk::of(Some(chunk.metadata(position))));
            let (column_index, offset_index) = chunk.indexes(position);
            let cipher = chunk.cipher();
            indexes.push(EncodedIndexes {
                column: column_index
                    .map(|i| module(thrift::encode(&i), ModuleType::ColumnIndex, cipher))
                    .transpose()?,
                offset: offset_index
                    .map(|i| module(thrift::encode(&i), ModuleType::OffsetIndex, cipher))
                    .transpose()?,
            });
            for segment in chunk.segments() {
                out.append(segment)?;
                position += segment.len() as u64;
            }
            filters.push(chunk.take_bloom_filter()?);
            ciphers.push(chunk.cipher().cloned());
        }
        // Behind the row group's chunks, so that they need not be kept until the file ends.
        for (chunk, filter) in columns.iter_mut().zip(filters) {
            let (Some(meta), Some(filter)) = (&mut chunk.meta_data, filter) else { continue };
            meta.bloom_filter_offset = Some(position as i64);
            meta.bloom_filter_length = i32::try_from(filter.len()).ok();
            out.append(&filter)?;
            position += filter.len() as u64;
        }
        let sum = |size: fn(&ColumnChunk) -> i64| columns.iter().map(size).sum();
        let total_byte_size = sum(|c| c.meta_data.as_ref().map_or(0, |m| m.total_uncompressed_size));
        let total_compressed_size = sum(|c| c.meta_data.as_ref().map_or(0, |m| m.total_compressed_size));
        if let Some(seal) = seal {
            for (index, (chunk, cipher)) in columns.iter_mut().zip(&ciphers).enumerate() {
                if let Some(cipher) = cipher {
                    seal.hide(chunk, index, cipher)?;
                }
            }
        }
        let row_group = RowGroup {
            total_byte_size,
            total_compressed_size: Some(total_compressed_size),
            num_rows: rows as i64,
            sorting_columns: (!sorting.is_empty()).then(|| sorting.to_vec()),
            file_offset: Some(base as i64),
            ordinal: i16::try_from(ordinal).ok(),
            columns,
        };
        Ok((row_group, indexes, position - base))
    }
}

/// A module of a chunk as it goes into the file.
fn module(plain: Vec<u8>, kind: ModuleType, cipher: Option<&ChunkCipher>) -> Result<Vec<u8>> {
    match cipher {
        Some(cipher) => cipher.seal(kind, 0, &plain),
        None => Ok(plain),
    }
}
