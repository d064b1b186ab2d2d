//! A top-level column of a scan, of one leaf or of many.

use std::sync::Arc;

use arrow_array::ArrayRef;

use super::budget::Budget;
use super::column::{ChunkCounts, Column};
use super::column_chunk::ChunkPages;
use super::file::FileParts;
use super::nested::NestedColumn;
use super::prune;
use super::selection::Selection;
use crate::error::{Error, Result};
use crate::parquet::arrow::node::{Kind, Node};
use crate::storage::Input;

/// The decoder of a field, and which leaves it is made of.
#[derive(Debug)]
pub(super) struct FieldReader {
    leaves: Vec<usize>,
    decoder: Decoder,
}

#[derive(Debug)]
enum Decoder {
    Flat(Box<Column>),
    Nested(NestedColumn),
}

impl FieldReader {
    /// For the field of this number; [`Error::Unsupported`] where a leaf of it cannot be read.
    pub(super) fn new(file: &FileParts, field: usize, budget: &Budget, verify_crc: bool) -> Result<FieldReader> {
        let field =
            file.field(field).ok_or_else(|| Error::invalid(format!("there is no field {field} in the schema")))?;
        FieldReader::of_node(file, &field.node, budget, verify_crc)
    }

    /// For a field of the schema, or a part of its leaves.
    pub(super) fn of_node(file: &FileParts, node: &Node, budget: &Budget, verify_crc: bool) -> Result<FieldReader> {
        let mut numbers = Vec::new();
        node.leaves(&mut |_, number| numbers.push(number));
        if numbers.is_empty() {
            return Err(Error::unsupported("a group without columns in it: leave it out").in_column(node.field.name()));
        }
        let leaf = |number: usize| file.leaf(number).map(Arc::clone);
        let decoder = match node.kind {
            Kind::Leaf(number) => Decoder::Flat(Box::new(Column::new(leaf(number)?, budget, verify_crc)?)),
            _ => {
                let leaves = numbers.iter().map(|&n| Ok((n, leaf(n)?))).collect::<Result<Vec<_>>>()?;
                Decoder::Nested(NestedColumn::new(node.clone(), leaves, budget, verify_crc)?)
            }
        };
        Ok(FieldReader { leaves: numbers, decoder })
    }

    /// Goes to the start of a row group of `rows` rows; with `is_selective`, pages are found by their index, so that
    /// those without rows of `selection` need not be fetched. `data` has the pages.
    pub(super) fn start(
        &mut self,
        file: &FileParts,
        data: &Arc<dyn Input>,
        group: usize,
        rows: usize,
        selection: &Selection,
        is_selective: bool,
    ) -> Result<()> {
        let mut chunks = self.leaves.iter().map(|&leaf| chunk(file, data, group, leaf, selection, is_selective));
        match &mut self.decoder {
            Decoder::Flat(column) => chunks.try_for_each(|chunk| {
                column.start_chunk(chunk?, rows, is_selective);
                Ok(())
            }),
            Decoder::Nested(column) => {
                column.start_chunks(chunks.collect::<Result<Vec<_>>>()?);
                Ok(())
            }
        }
    }

    /// The chunks of a row group, one a leaf; none of their pages is fetched yet.
    pub(super) fn chunks(
        &self,
        file: &FileParts,
        data: &Arc<dyn Input>,
        group: usize,
        selection: &Selection,
        is_selective: bool,
    ) -> Result<Vec<ChunkPages>> {
        self.leaves.iter().map(|&leaf| chunk(file, data, group, leaf, selection, is_selective)).collect()
    }

    /// The column, if it is of one leaf and without lists.
    pub(super) fn as_flat(&mut self) -> Option<&mut Column> {
        match &mut self.decoder {
            Decoder::Flat(column) => Some(column),
            Decoder::Nested(_) => None,
        }
    }

    /// Ends the row group, whose rows are all read or skipped if `is_whole`; what it took.
    pub(super) fn end(&mut self, is_whole: bool) -> Result<ChunkCounts> {
        match &mut self.decoder {
            Decoder::Flat(column) => column.end_chunk(is_whole),
            Decoder::Nested(column) => column.end_chunks(is_whole),
        }
    }

    /// What decoding it took so far: bytes of pages that were opened, and rows. Only differences mean something.
    pub(super) fn work(&self) -> u64 {
        match &self.decoder {
            Decoder::Flat(column) => column.work(),
            Decoder::Nested(column) => column.work(),
        }
    }

    /// Bytes of the values made so far.
    pub(super) fn decoded(&self) -> u64 {
        match &self.decoder {
            Decoder::Flat(column) => column.decoded(),
            Decoder::Nested(column) => column.decoded(),
        }
    }

    /// So many rows are read about as fast as they are passed over and the column is taken up again behind them.
    pub(super) fn gap_rows(&self) -> usize {
        match &self.decoder {
            Decoder::Flat(column) => column.gap_rows(),
            Decoder::Nested(_) => 32,
        }
    }

    /// Passes over the next `rows` rows, when the ones behind are read.
    pub(super) fn skip(&mut self, rows: usize) {
        match &mut self.decoder {
            Decoder::Flat(column) => column.skip(rows),
            Decoder::Nested(column) => column.skip(rows),
        }
    }

    /// Lets other columns have what it has of a page of which nothing more is read.
    pub(super) fn release(&mut self) -> Result<()> {
        match &mut self.decoder {
            Decoder::Flat(column) => column.release(),
            Decoder::Nested(_) => Ok(()),
        }
    }

    /// Appends the next `rows` rows to the batch.
    pub(super) fn read(&mut self, rows: usize) -> Result<()> {
        match &mut self.decoder {
            Decoder::Flat(column) => column.read(rows),
            Decoder::Nested(column) => column.read(rows),
        }
    }

    /// The batch's array; the batch is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        match &mut self.decoder {
            Decoder::Flat(column) => column.finish(),
            Decoder::Nested(column) => column.finish(),
        }
    }
}

/// The chunk of one leaf; none of its pages is fetched yet.
fn chunk(
    file: &FileParts,
    data: &Arc<dyn Input>,
    group: usize,
    number: usize,
    selection: &Selection,
    is_selective: bool,
) -> Result<ChunkPages> {
    let leaf = file.leaf(number)?;
    let place = |e: Error| e.in_column(leaf.name());
    let (meta, cipher) = file.open_pages(group, number).map_err(place)?;
    // A full scan needs no index, so that it cannot fail by one.
    let spans = if is_selective { prune::spans(file, group, number)? } else { None };
    let input = Arc::clone(data);
    let chunk = ChunkPages::new(input, &meta, file.overrun, leaf.is_flat(), spans, selection).map_err(place)?;
    Ok(match cipher {
        Some(_) => chunk.with_cipher(cipher),
        None => chunk,
    })
}
