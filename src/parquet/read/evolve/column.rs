//! The reader of a column, which may be changed on the way, or not be in the file at all.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, UInt64Array};
use arrow_schema::Field;
use arrow_select::take::take;

use super::{Change, Found, Origin};
use crate::error::{Error, Result};
use crate::parquet::read::budget::Budget;
use crate::parquet::read::column::{ChunkCounts, Column};
use crate::parquet::read::column_chunk::ChunkPages;
use crate::parquet::read::field::{FieldReader, node_of};
use crate::parquet::read::file::FileParts;
use crate::parquet::read::selection::Selection;
use crate::storage::Input;

/// Reads a column of a scan.
#[derive(Debug)]
pub(in crate::parquet::read) enum ColumnReader {
    /// As it is stored.
    Stored(FieldReader),
    /// Changed, to values of this field.
    Changed(FieldReader, Arc<Change>, Arc<Field>),
    /// One value, repeated.
    Constant(Constant),
}

#[derive(Debug)]
pub(in crate::parquet::read) struct Constant {
    value: ArrayRef,
    /// As many of it as a batch ever had.
    many: ArrayRef,
    rows: usize,
}

impl ColumnReader {
    pub(in crate::parquet::read) fn new(
        file: &FileParts,
        found: &Found,
        budget: &Budget,
        verify_crc: bool,
    ) -> Result<ColumnReader> {
        Ok(match &found.origin {
            Origin::File(number, None) => {
                if let Some(part) = &found.part {
                    return FieldReader::of_node(file, part, budget, verify_crc).map(ColumnReader::Stored);
                }
                let stored = FieldReader::new(file, *number, budget, verify_crc)?;
                // What its own schema says of nulls holds; one that was asked for may say more.
                let is_nullable = file.field(*number).is_some_and(|field| field.node.field.is_nullable());
                match is_nullable && !found.field.is_nullable() {
                    true => ColumnReader::Changed(stored, Arc::new(Change::None), Arc::clone(&found.field)),
                    false => ColumnReader::Stored(stored),
                }
            }
            Origin::File(number, Some(change)) => {
                let stored = FieldReader::new(file, *number, budget, verify_crc)?;
                ColumnReader::Changed(stored, Arc::clone(change), Arc::clone(&found.field))
            }
            Origin::Constant(value) => {
                ColumnReader::Constant(Constant { value: Arc::clone(value), many: Arc::clone(value), rows: 0 })
            }
        })
    }

    /// Whether there can be one.
    pub(in crate::parquet::read) fn check(file: &FileParts, found: &Found, budget: &Budget) -> Result<()> {
        match (&found.origin, &found.part) {
            (Origin::File(_, None), Some(part)) => FieldReader::check(file, part, budget),
            (Origin::File(number, _), _) => FieldReader::check(file, node_of(file, *number)?, budget),
            (Origin::Constant(_), _) => Ok(()),
        }
    }

    fn stored(&mut self) -> Option<&mut FieldReader> {
        match self {
            ColumnReader::Stored(reader) | ColumnReader::Changed(reader, ..) => Some(reader),
            ColumnReader::Constant(_) => None,
        }
    }

    /// As [`FieldReader::start`].
    pub(in crate::parquet::read) fn start(
        &mut self,
        file: &FileParts,
        data: &Arc<dyn Input>,
        group: usize,
        rows: usize,
        selection: &Selection,
        is_selective: bool,
    ) -> Result<()> {
        self.stored().map_or(Ok(()), |reader| reader.start(file, data, group, rows, selection, is_selective))
    }

    /// The bytes that [`start`](Self::start) would have fetched for `selection`.
    pub(in crate::parquet::read) fn ranges(
        &mut self,
        file: &FileParts,
        group: usize,
        selection: &Selection,
        is_selective: bool,
    ) -> Result<Vec<Range<u64>>> {
        let Some(reader) = self.stored() else { return Ok(Vec::new()) };
        let chunks = reader.chunks(file, &file.input, group, selection, is_selective)?;
        Ok(chunks.iter().flat_map(ChunkPages::ranges).collect())
    }

    /// The column as it is stored, if it is of one leaf, without lists and not changed.
    pub(in crate::parquet::read) fn as_flat(&mut self) -> Option<&mut Column> {
        match self {
            ColumnReader::Stored(reader) => reader.as_flat(),
            ColumnReader::Changed(..) | ColumnReader::Constant(_) => None,
        }
    }

    /// As [`FieldReader::end`].
    pub(in crate::parquet::read) fn end(&mut self, is_whole: bool) -> Result<ChunkCounts> {
        self.stored().map_or(Ok(ChunkCounts::default()), |reader| reader.end(is_whole))
    }

    /// As [`FieldReader::work`].
    pub(in crate::parquet::read) fn work(&self) -> u64 {
        match self {
            ColumnReader::Stored(reader) | ColumnReader::Changed(reader, ..) => reader.work(),
            ColumnReader::Constant(_) => 0,
        }
    }

    /// As [`FieldReader::decoded`].
    pub(in crate::parquet::read) fn decoded(&self) -> u64 {
        match self {
            ColumnReader::Stored(reader) | ColumnReader::Changed(reader, ..) => reader.decoded(),
            ColumnReader::Constant(_) => 0,
        }
    }

    /// As [`FieldReader::gap_rows`].
    pub(in crate::parquet::read) fn gap_rows(&self) -> usize {
        match self {
            ColumnReader::Stored(reader) | ColumnReader::Changed(reader, ..) => reader.gap_rows(),
            ColumnReader::Constant(_) => usize::MAX,
        }
    }

    /// As [`FieldReader::skip`].
    pub(in crate::parquet::read) fn skip(&mut self, rows: usize) {
        if let Some(reader) = self.stored() {
            reader.skip(rows);
        }
    }

    /// As [`FieldReader::release`].
    pub(in crate::parquet::read) fn release(&mut self) -> Result<()> {
        self.stored().map_or(Ok(()), FieldReader::release)
    }

    /// As [`FieldReader::read`].
    pub(in crate::parquet::read) fn read(&mut self, rows: usize) -> Result<()> {
        match self {
            ColumnReader::Stored(reader) | ColumnReader::Changed(reader, ..) => reader.read(rows),
            ColumnReader::Constant(constant) => {
                constant.rows += rows;
                Ok(())
            }
        }
    }

    /// As [`FieldReader::finish`].
    pub(in crate::parquet::read) fn finish(&mut self) -> Result<ArrayRef> {
        match self {
            ColumnReader::Stored(reader) => reader.finish(),
            ColumnReader::Changed(reader, change, field) => {
                let array = change.apply(&reader.finish()?).map_err(|e| e.in_column(field.name()))?;
                if !field.is_nullable() && array.null_count() > 0 {
                    let message = "it has nulls, and the schema asked for says that it has none";
                    return Err(Error::invalid(message).in_column(field.name()));
                }
                Ok(array)
            }
            ColumnReader::Constant(constant) => constant.finish(),
        }
    }
}

impl Constant {
    fn finish(&mut self) -> Result<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        if self.many.len() < rows {
            self.many = take(&self.value, &UInt64Array::from(vec![0; rows]), None)?;
        }
        Ok(self.many.slice(0, rows))
    }
}
