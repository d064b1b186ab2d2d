//! A finished file whose row groups are wanted: its footer, checked for what copying relies on.

use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::parquet::arrow::{ParquetSchema, from_parquet};
use crate::parquet::format::footer::{self, TAIL_BYTES};
use crate::parquet::format::{
    ColumnChunk, ColumnOrder, FileMetaData, Footer, FooterLimits, LogicalType, RowGroup, place,
};
use crate::storage::Input;

/// What a file's footer may take in memory, unless the caller says otherwise.
pub(super) const MEMORY_BYTES: usize = 1 << 30;

/// A file that row groups are copied from.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub input: Arc<dyn Input>,
    /// Its footer.
    pub metadata: FileMetaData,
    /// Its schema.
    pub schema: ParquetSchema,
    /// Where its footer begins: everything it names lies before.
    pub footer_start: u64,
}

impl Source {
    /// Reads the footer.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it is no Parquet file or its metadata contradicts itself, [`Error::Unsupported`] for what cannot
    /// be moved: encrypted columns, column chunks in other files or whose size is not told rightly, annotations of the
    /// future. They name file and column.
    pub fn open(input: Arc<dyn Input>) -> Result<Source> {
        Source::open_within(input, MEMORY_BYTES)
    }

    /// The same, whose footer takes at most `memory_bytes` in memory; [`Error::Limit`] where it takes more.
    pub fn open_within(input: Arc<dyn Input>, memory_bytes: usize) -> Result<Source> {
        let name = input.name().to_owned();
        Source::read(input, memory_bytes).map_err(|e| e.in_file(name))
    }

    /// Reads the footer as if the file had only these row groups; `keeps` says of a group and leaf whether its bounds, indexes
    /// and filter are kept. What is broken of other groups does not matter.
    pub(super) fn part(
        input: Arc<dyn Input>,
        groups: &[usize],
        keeps: &dyn Fn(usize, usize) -> bool,
    ) -> Result<Source> {
        let range = locate(input.as_ref(), MEMORY_BYTES)?;
        let limits = FooterLimits { memory_bytes: MEMORY_BYTES, schema_elements: usize::MAX, places: false };
        let (footer, schema) = Footer::decode(input.read(range.clone())?, range.start, limits)?;
        let mut row_groups = Vec::with_capacity(groups.len());
        for &number in groups {
            let group = footer.groups.get(number);
            let group = group.ok_or_else(|| Error::invalid(format!("there is no row group {number}")))?;
            let mut columns = (0..group.columns).map(|c| footer.chunk(number, c)).collect::<Result<Vec<_>>>()?;
            for (_, chunk) in columns.iter_mut().enumerate().filter(|(column, _)| !keeps(number, *column)) {
                (chunk.column_index_offset, chunk.offset_index_offset) = (None, None);
                if let Some(meta) = &mut chunk.meta_data {
                    (meta.statistics, meta.bloom_filter_offset, meta.size_statistics) = (None, None, None);
                    meta.geospatial_statistics = None;
                }
            }
            let is_sorted = (0..group.columns).all(|column| keeps(number, column));
            row_groups.push(RowGroup {
                columns,
                total_byte_size: group.total_byte_size,
                num_rows: group.num_rows,
                sorting_columns: group.sorting_columns.clone().filter(|_| is_sorted),
                file_offset: group.file_offset,
                total_compressed_size: group.total_compressed_size,
                ordinal: group.ordinal,
            });
        }
        let rows = row_groups.iter().map(|group| group.num_rows).fold(0i64, i64::saturating_add);
        let metadata = FileMetaData {
            version: footer.version,
            schema,
            num_rows: rows,
            row_groups,
            key_value_metadata: footer.key_value_metadata.clone(),
            created_by: footer.created_by.clone(),
            column_orders: footer.column_orders.clone(),
            encryption_algorithm: footer.encryption_algorithm.clone(),
            footer_signing_key_metadata: None,
        };
        Source::of(input, metadata, range.start)
    }

    fn read(input: Arc<dyn Input>, memory_bytes: usize) -> Result<Source> {
        let range = locate(input.as_ref(), memory_bytes)?;
        let metadata = footer::decode_within(&input.read(range.clone())?, range.start, memory_bytes)?;
        Source::of(input, metadata, range.start)
    }

    pub(super) fn of(input: Arc<dyn Input>, metadata: FileMetaData, footer_start: u64) -> Result<Source> {
        if metadata.encryption_algorithm.is_some() {
            return Err(encrypted());
        }
        if place::overrun(metadata.created_by.as_deref()) > 0 {
            let message =
                "written by parquet-mr before 1.2.9, which tells the size of column chunks wrongly; convert it first";
            return Err(Error::unsupported(message));
        }
        let schema = from_parquet(&metadata)?;
        let source = Source { input, metadata, schema, footer_start };
        source.check()?;
        Ok(source)
    }

    fn check(&self) -> Result<()> {
        for element in &self.schema.elements {
            if let Some(LogicalType::Unknown(id)) = element.logical_type {
                let message = format!("its logical type has the unknown number {id}, which would be lost");
                return Err(Error::unsupported(message).in_column(&element.name));
            }
        }
        let mut rows = 0i64;
        let mut bytes = 0u64;
        for (number, group) in self.metadata.row_groups.iter().enumerate() {
            let (has, wants) = (group.columns.len(), self.schema.leaves.len());
            if has != wants {
                return Err(Error::corrupt(format!("row group {number} has {has} columns, the schema {wants}")));
            }
            let sum = rows.checked_add(group.num_rows).filter(|_| group.num_rows >= 0);
            rows = sum.ok_or_else(|| Error::corrupt(format!("row group {number} has {} rows", group.num_rows)))?;
            for (chunk, leaf) in group.columns.iter().zip(&self.schema.leaves) {
                let range = self.range(chunk).map_err(|e| e.in_column(leaf.name()))?;
                bytes = bytes.saturating_add(range.end - range.start);
            }
        }
        if rows != self.metadata.num_rows {
            let (all, sum) = (self.metadata.num_rows, rows);
            return Err(Error::corrupt(format!("the footer tells of {all} rows, its row groups of {sum}")));
        }
        // Copied one by one, chunks that share their bytes would grow without bound.
        if bytes > self.footer_start {
            return Err(Error::corrupt(format!("column chunks of {bytes} bytes in a file of {}", self.input.bytes())));
        }
        Ok(())
    }

    /// Where the chunk lies; an error where it cannot be moved.
    pub(super) fn range(&self, chunk: &ColumnChunk) -> Result<Range<u64>> {
        if chunk.crypto_metadata.is_some() || chunk.encrypted_column_metadata.is_some() {
            return Err(encrypted());
        }
        if let Some(path) = &chunk.file_path {
            return Err(Error::unsupported(format!("the chunk lies in another file, {path}")));
        }
        let Some(meta) = &chunk.meta_data else { return Err(Error::corrupt("the chunk has no metadata")) };
        let range = place::byte_range(&meta.into(), self.footer_start)?;
        let dictionary = meta.dictionary_page_offset.and_then(|at| u64::try_from(at).ok()).filter(|at| *at > 0);
        // Of a chunk without values, some writers tell of a place that nothing is at.
        if let Some(dictionary) = dictionary.filter(|at| meta.num_values > 0 && !range.contains(at)) {
            return Err(Error::unsupported("its dictionary page lies outside of the chunk").at_byte(dictionary));
        }
        Ok(range)
    }

    /// The order that the file states for a column's bounds, if it is one that is known.
    pub(super) fn order(&self, column: usize) -> Option<&ColumnOrder> {
        let order = self.metadata.column_orders.as_ref()?.get(column)?;
        (!matches!(order, ColumnOrder::Unknown(_))).then_some(order)
    }
}

/// Where the footer lies, which must be in the clear.
fn locate(input: &dyn Input, memory_bytes: usize) -> Result<Range<u64>> {
    let bytes = input.bytes();
    let tail = input.read(bytes.saturating_sub(TAIL_BYTES)..bytes)?;
    let Some(tail) = tail.last_chunk::<{ TAIL_BYTES as usize }>() else {
        return Err(Error::corrupt(format!("a file of {bytes} bytes is too short to be Parquet")));
    };
    let (range, is_encrypted) = footer::locate(*tail, bytes)?;
    if is_encrypted {
        return Err(encrypted());
    }
    let footer_bytes = range.end - range.start;
    if footer_bytes > memory_bytes as u64 {
        return Err(Error::limit(format!(
            "a footer of {footer_bytes} bytes, {memory_bytes} may be: raise memory_bytes"
        )));
    }
    Ok(range)
}

fn encrypted() -> Error {
    Error::unsupported("encrypted: its pages are bound to their places in the file and cannot be moved; convert it")
}
