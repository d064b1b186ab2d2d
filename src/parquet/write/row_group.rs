//! The open row group: one writer a column, then their chunks one after another in the file.

use std::time::Instant;

use arrow_array::{ArrayRef, RecordBatch};

use super::column_chunk::{ColumnWriter, Press};
use super::finished_chunk::FinishedChunk;
use super::memory::{Segments, WriterMemory};
use super::options::{ChunkOptions, WriterOptions};
use super::seal::FileSeal;
use super::sink::Sink;
use super::threads;
use crate::error::{Error, Result};
use crate::parquet::arrow::node::{Kind, Node};
use crate::parquet::arrow::shred::shred;
use crate::parquet::arrow::{Leaf, ParquetSchema};
use crate::parquet::compress::Compression;
use crate::parquet::format::encryption::{ChunkCipher, ModuleType};
use crate::parquet::format::{ColumnChunk, RowGroup, SortingColumn, thrift};

/// What all row groups of a file share: each column's options, and for each thread a press for each codec that is used.
#[derive(Debug)]
pub(super) struct Presses {
    /// One set a thread.
    sets: Vec<PressSet>,
    /// Options and the press of each column.
    columns: Vec<(ChunkOptions, usize)>,
    /// How long each top-level column took the last time, where there are several threads.
    seconds: Vec<f32>,
    /// Where pages lie until their row group closes.
    memory: WriterMemory,
    /// Whether other writers have a part in it.
    is_shared: bool,
}

type PressSet = Vec<(Compression, Press)>;

impl Presses {
    pub fn new(schema: &ParquetSchema, options: &WriterOptions) -> Result<Presses> {
        let leaves = &schema.leaves;
        let mut codecs: Vec<Compression> = Vec::new();
        let mut columns = Vec::with_capacity(leaves.len());
        let threads = options.threads.clamp(1, leaves.len().max(1));
        for leaf in leaves {
            let mut options = options.of_column(&leaf.name());
            options.mind_readers(leaf);
            let index = codecs.iter().position(|codec| *codec == options.compression).unwrap_or_else(|| {
                codecs.push(options.compression);
                codecs.len() - 1
            });
            columns.push((options, index));
        }
        let set = || codecs.iter().map(|&codec| Ok((codec, Press::new(codec)?))).collect::<Result<PressSet>>();
        Ok(Presses {
            sets: (0..threads).map(|_| set()).collect::<Result<_>>()?,
            columns,
            seconds: vec![0.0; schema.nodes.len()],
            memory: options.memory.clone().unwrap_or_else(|| WriterMemory::new(options.row_group_bytes)),
            is_shared: options.memory.is_some(),
        })
    }

    pub fn threads(&self) -> usize {
        self.sets.len()
    }

    pub fn memory_bytes(&self) -> usize {
        let of_press = |press: &Press| {
            let buffers = [&press.body, &press.scratch, &press.trial];
            buffers.iter().map(|b| b.capacity()).sum::<usize>() + press.compressor.memory_bytes()
        };
        let presses = self.sets.iter().flatten().map(|(_, press)| of_press(press)).sum::<usize>();
        if self.is_shared { presses } else { presses + self.memory.free_bytes() }
    }

    /// Lets go of buffers and of what compressors have gathered; the next page takes them anew.
    pub fn release(&mut self) -> Result<()> {
        for (compression, press) in self.sets.iter_mut().flatten() {
            *press = Press::new(*compression)?;
        }
        if !self.is_shared {
            self.memory.release();
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
            columns.push(ColumnWriter::new(leaf, *options, &presses.memory).with_cipher(cipher));
        }
        Ok(RowGroupWriter { columns, rows: 0 })
    }

    /// Takes all rows of batches of the file's schema.
    pub fn write(&mut self, batches: &[RecordBatch], schema: &ParquetSchema, presses: &mut Presses) -> Result<()> {
        let Presses { sets, columns: options, seconds, .. } = presses;
        let mut columns = self.columns.as_mut_slice();
        let mut leaf = 0;
        let mut tasks = Vec::with_capacity(schema.nodes.len());
        for (at, (node, seconds)) in schema.nodes.iter().zip(seconds).enumerate() {
            let mut leaves = 0;
            node.leaves(&mut |_, _| leaves += 1);
            let (own, rest) = columns.split_at_mut_checked(leaves).unwrap_or_default();
            columns = rest;
            let arrays = batches.iter().filter_map(|batch| batch.columns().get(at)).collect();
            tasks.push(Task { node, arrays, columns: own, leaf, seconds });
            leaf += leaves;
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        // Less is done before another thread has begun.
        let threads = if rows * leaf < VALUES_MIN { 1 } else { sets.len() };
        if threads > 1 {
            // The long ones first, or the last one begun would be waited for.
            tasks.sort_by(|a, b| b.seconds.total_cmp(a.seconds));
        }
        threads::run(sets.get_mut(..threads).unwrap_or_default(), tasks, |presses, task| {
            let start = (threads > 1).then(Instant::now);
            let seconds = task.run(schema, options, presses)?;
            if let Some(start) = start {
                *seconds = start.elapsed().as_secs_f32();
            }
            Ok(())
        })?;
        self.rows += rows;
        Ok(())
    }

    /// Bytes that it will take in the file, about.
    pub fn encoded_bytes(&self) -> u64 {
        self.columns.iter().map(ColumnWriter::encoded_bytes).sum()
    }

    /// Bytes in memory of the dictionaries that values are looked up in.
    pub fn dictionary_bytes(&self) -> usize {
        self.columns.iter().map(ColumnWriter::dictionary_bytes).sum()
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.columns.iter().map(ColumnWriter::memory_bytes).sum()
    }

    /// Gives the chunks and their Bloom filters to `out`, which has been given `base` bytes before.
    pub fn finish(
        self,
        leaves: &[Leaf],
        presses: &mut Presses,
        out: &mut Sink,
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
        for chunk in self.finish_columns(leaves, presses)? {
            let mut chunk = chunk?;
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
            filters.push(chunk.take_bloom_filter()?);
            ciphers.push(chunk.cipher().cloned());
            for segments in chunk.into_segments() {
                position += segments.bytes();
                out.take(segments)?;
            }
        }
        // Behind the row group's chunks, so that they need not be kept until the file ends.
        for (chunk, filter) in columns.iter_mut().zip(filters) {
            let (Some(meta), Some(filter)) = (&mut chunk.meta_data, filter) else { continue };
            meta.bloom_filter_offset = Some(position as i64);
            meta.bloom_filter_length = i32::try_from(filter.len()).ok();
            let mut segments = Segments::new(&presses.memory);
            segments.append(&filter);
            position += segments.bytes();
            out.take(segments)?;
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

impl RowGroupWriter {
    /// All chunks, in order: at once where there are threads, else one after another, as they are asked for.
    fn finish_columns<'a>(
        self,
        leaves: &'a [Leaf],
        presses: &'a mut Presses,
    ) -> Result<Box<dyn Iterator<Item = Result<FinishedChunk>> + 'a>> {
        let Presses { sets, columns: options, .. } = presses;
        let columns = self.columns.into_iter().zip(leaves).zip(options.iter());
        let finish = |column: ColumnWriter, leaf: &Leaf, press: &mut Press| {
            column.finish(press).map_err(|e| e.in_column(leaf.name()))
        };
        let sets = match sets.as_mut_slice() {
            [set] => {
                let finished =
                    columns.map(move |((column, leaf), (_, press))| finish(column, leaf, press_of(set, *press)?));
                return Ok(Box::new(finished));
            }
            sets => sets,
        };
        let mut chunks = Vec::new();
        chunks.resize_with(leaves.len(), || None);
        let tasks = columns.zip(chunks.iter_mut()).collect();
        threads::run(sets, tasks, |set, (((column, leaf), (_, press)), chunk)| {
            *chunk = Some(finish(column, leaf, press_of(set, *press)?)?);
            Ok(())
        })?;
        Ok(Box::new(chunks.into_iter().flatten().map(Ok)))
    }
}

/// Values of a batch from which on it is worth a second thread.
const VALUES_MIN: usize = 16 << 10;

/// What is to be done for a column.
struct Task<'a> {
    node: &'a Node,
    /// Its rows, one array after another.
    arrays: Vec<&'a ArrayRef>,
    /// Writers of its leaves.
    columns: &'a mut [ColumnWriter],
    /// The number of its first leaf.
    leaf: usize,
    /// What it took the last time.
    seconds: &'a mut f32,
}

impl<'a> Task<'a> {
    /// Takes the rows; where to say how long that took.
    fn run(
        self,
        schema: &ParquetSchema,
        options: &[(ChunkOptions, usize)],
        presses: &mut PressSet,
    ) -> Result<&'a mut f32> {
        let Task { node, arrays, columns, leaf: first, seconds } = self;
        let mut with = |index: usize, write: &dyn Fn(&mut ColumnWriter, &mut Press) -> Result<()>| {
            let column = index.checked_sub(first).and_then(|i| columns.get_mut(i));
            let (Some(column), Some((_, press)), Some(leaf)) = (column, options.get(index), schema.leaves.get(index))
            else {
                return Ok(());
            };
            write(column, press_of(presses, *press)?).map_err(|e| e.in_column(leaf.name()))
        };
        for array in arrays {
            if let Kind::Leaf(index) = node.kind {
                with(index, &|column, press| column.write(array, press))?;
                continue;
            }
            for entries in shred(node, array)? {
                with(entries.leaf, &|column, press| column.write_nested(&entries, press))?;
            }
        }
        Ok(seconds)
    }
}

fn press_of(set: &mut PressSet, index: usize) -> Result<&mut Press> {
    let press = set.get_mut(index).map(|(_, press)| press);
    press.ok_or_else(|| Error::invalid("a column without a codec"))
}

/// A module of a chunk as it goes into the file.
fn module(plain: Vec<u8>, kind: ModuleType, cipher: Option<&ChunkCipher>) -> Result<Vec<u8>> {
    match cipher {
        Some(cipher) => cipher.seal(kind, 0, &plain),
        None => Ok(plain),
    }
}
