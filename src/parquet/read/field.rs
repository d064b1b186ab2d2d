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
use super::target;
use crate::error::{Error, Result};
use crate::parquet::arrow::node::{Kind, Node};
use crate::storage::Input;

/// The decoder of a field, and which leaves it is made of.
#[derive(Debug)]
pub(super) enum FieldReader {
    /// Of one leaf, of this number.
    Flat(usize, Box<Column>),
    /// Of these.
    Nested(Vec<usize>, NestedColumn),
}

impl FieldReader {
    /// For the field of this number; [`Error::Unsupported`] where a leaf of it cannot be read.
    pub(super) fn new(file: &FileParts, field: usize, budget: &Budget, verify_crc: bool) -> Result<FieldReader> {
        FieldReader::of_node(file, node_of(file, field)?, budget, verify_crc)
    }

    /// For a field of the schema, or a part of its leaves.
    pub(super) fn of_node(file: &FileParts, node: &Node, budget: &Budget, verify_crc: bool) -> Result<FieldReader> {
        let leaf = |number: usize| file.leaf(number).map(Arc::clone);
        if let Kind::Leaf(number) = node.kind {
            return Ok(FieldReader::Flat(number, Box::new(Column::new(leaf(number)?, budget, verify_crc)?)));
        }
        let numbers = numbers(node)?;
        let leaves = numbers.iter().map(|&n| Ok((n, leaf(n)?))).collect::<Result<Vec<_>>>()?;
        Ok(FieldReader::Nested(numbers, NestedColumn::new(node.clone(), leaves, budget, verify_crc)?))
    }

    /// Whether there can be one: [`Error::Unsupported`] where a leaf of the node cannot be read.
    pub(super) fn check(file: &FileParts, node: &Node, budget: &Budget) -> Result<()> {
        let check = |number: usize| -> Result<()> {
            let leaf = file.leaf(number)?;
            leaf.check()?;
            target::new(leaf, budget).map(drop)
        };
        match node.kind {
            Kind::Leaf(number) => check(number),
            _ => numbers(node)?.into_iter().try_for_each(check),
        }
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
        let chunk = |leaf: usize| chunk(file, data, group, leaf, selection, is_selective);
        match self {
            FieldReader::Flat(leaf, column) => column.start_chunk(chunk(*leaf)?, rows, is_selective),
            FieldReader::Nested(leaves, column) => {
                column.start_chunks(leaves.iter().map(|&leaf| chunk(leaf)).collect::<Result<Vec<_>>>()?);
            }
        }
        Ok(())
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
        let leaves = match self {
            FieldReader::Flat(leaf, _) => std::slice::from_ref(leaf),
            FieldReader::Nested(leaves, _) => leaves,
        };
        leaves.iter().map(|&leaf| chunk(file, data, group, leaf, selection, is_selective)).collect()
    }

    /// The column, if it is of one leaf and without lists.
    pub(super) fn as_flat(&mut self) -> Option<&mut Column> {
        match self {
            FieldReader::Flat(_, column) => Some(column),
            FieldReader::Nested(..) => None,
        }
    }

    /// Ends the row group, whose rows are all read or skipped if `is_whole`; what it took.
    pub(super) fn end(&mut self, is_whole: bool) -> Result<ChunkCounts> {
        match self {
            FieldReader::Flat(_, column) => column.end_chunk(is_whole),
            FieldReader::Nested(_, column) => column.end_chunks(is_whole),
        }
    }

    /// What decoding it took so far: bytes of pages that were opened, and rows. Only differences mean something.
    pub(super) fn work(&self) -> u64 {
        match self {
            FieldReader::Flat(_, column) => column.work(),
            FieldReader::Nested(_, column) => column.work(),
        }
    }

    /// Bytes of the values made so far.
    pub(super) fn decoded(&self) -> u64 {
        match self {
            FieldReader::Flat(_, column) => column.decoded(),
            FieldReader::Nested(_, column) => column.decoded(),
        }
    }

    /// So many rows are read about as fast as they are passed over and the column is taken up again behind them.
    pub(super) fn gap_rows(&self) -> usize {
        match self {
            FieldReader::Flat(_, column) => column.gap_rows(),
            FieldReader::Nested(..) => 32,
        }
    }

    /// Passes over the next `rows` rows, when the ones behind are read.
    pub(super) fn skip(&mut self, rows: usize) {
        match self {
            FieldReader::Flat(_, column) => column.skip(rows),
            FieldReader::Nested(_, column) => column.skip(rows),
        }
    }

    /// Lets other columns have what it has of a page of which nothing more is read.
    pub(super) fn release(&mut self) -> Result<()> {
        match self {
            FieldReader::Flat(_, column) => column.release(),
            FieldReader::Nested(..) => Ok(()),
        }
    }

    /// Appends the next `rows` rows to the batch.
    pub(super) fn read(&mut self, rows: usize) -> Result<()> {
        match self {
            FieldReader::Flat(_, column) => column.read(rows),
            FieldReader::Nested(_, column) => column.read(rows),
        }
    }

    /// The batch's array; the batch is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        match self {
            FieldReader::Flat(_, column) => column.finish(),
            FieldReader::Nested(_, column) => column.finish(),
        }
    }
}

/// What the field of this number is made of.
pub(super) fn node_of(file: &FileParts, field: usize) -> Result<&Node> {
    let found = file.field(field).map(|field| &field.node);
    found.ok_or_else(|| Error::invalid(format!("there is no field {field} in the schema")))
}

/// Those of the leaves below a node, of which there are some.
fn numbers(node: &Node) -> Result<Vec<usize>> {
    let mut numbers = Vec::new();
    node.leaves(&mut |_, number| numbers.push(number));
    match numbers.is_empty() {
        true => Err(Error::unsupported("a group without columns in it: leave it out").in_column(node.field.name())),
        false => Ok(numbers),
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
    let chunk = chunk.with_copies(&file.budget);
    Ok(match cipher {
        Some(_) => chunk.with_cipher(cipher),
        None => chunk,
    })
}
