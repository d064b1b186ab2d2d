//! A column chunk in its new place: what names a place is moved along, what cannot be relied on there is left out.

use std::ops::Range;

use super::Source;
use crate::error::{Error, Result};
use crate::parquet::arrow::{Leaf, ValueOrder};
use crate::parquet::format::bloom_filter::BloomFilterHeader;
use crate::parquet::format::{ColumnChunk, ColumnMetaData, OffsetIndex, place, thrift};

/// A filter's header is some ten bytes; read with room for fields of the future.
const BLOOM_HEADER_BYTES: u64 = 1 << 10;
/// An index of one chunk beyond this is left out.
const INDEX_BYTES_MAX: u64 = 256 << 20;

/// What belongs to a chunk that was copied, and lies elsewhere in its old file.
pub(super) struct Moved<'a> {
    pub source: &'a Source,
    /// Where the chunk was, and where it is now.
    from: Range<u64>,
    to: u64,
    bloom_filter: Option<(u64, Option<u64>)>,
    pub column_index: Option<Range<u64>>,
    offset_index: Option<Range<u64>>,
}

/// The chunk, which lay at `from`, as it stands in the new file at `to`. Without `keeps_bounds`, the new file states
/// another order for the column than its bounds are in.
pub(super) fn moved<'a>(
    source: &'a Source,
    chunk: &ColumnChunk,
    leaf: &Leaf,
    from: Range<u64>,
    to: u64,
    keeps_bounds: bool,
) -> (ColumnChunk, Moved<'a>) {
    let mut meta_data = chunk.meta_data.clone();
    let mut bloom_filter = None;
    if let Some(meta) = &mut meta_data {
        let shift =
            |at: i64| u64::try_from(at).ok().filter(|at| from.contains(at)).map(|at| (to + (at - from.start)) as i64);
        // It lies in the range or is its start, and a chunk without bytes has no pages.
        meta.data_page_offset = shift(meta.data_page_offset).unwrap_or(to as i64);
        meta.dictionary_page_offset = meta.dictionary_page_offset.and_then(shift);
        meta.index_page_offset = meta.index_page_offset.and_then(shift);
        meta.path_in_schema.clone_from(&leaf.path);
        bloom_filter = meta.bloom_filter_offset.take().and_then(|at| u64::try_from(at).ok()).map(|at| {
            let length = meta.bloom_filter_length.take().and_then(|n| u64::try_from(n).ok());
            (at, length)
        });
        settle_bounds(meta, leaf, keeps_bounds);
    }
    let index = |offset, length| {
        let range = place::index_range(offset, length, source.footer_start).ok().flatten();
        range.filter(|range| range.end - range.start <= INDEX_BYTES_MAX)
    };
    let there = Moved {
        source,
        bloom_filter,
        column_index: index(chunk.column_index_offset, chunk.column_index_length).filter(|_| keeps_bounds),
        offset_index: index(chunk.offset_index_offset, chunk.offset_index_length),
        from,
        to,
    };
    (ColumnChunk::of(meta_data), there)
}

/// Leaves out bounds that would be misread in a file of this writer and its orders.
pub(crate) fn settle_bounds(meta: &mut ColumnMetaData, leaf: &Leaf, keeps_bounds: bool) {
    let Some(statistics) = &mut meta.statistics else { return };
    if !keeps_bounds {
        (statistics.min_value, statistics.max_value) = (None, None);
        (statistics.is_min_value_exact, statistics.is_max_value_exact) = (None, None);
    }
    // The fields of old were compared as signed, whatever the type; readers told by the writer's name whom to trust.
    let is_signed =
        matches!(leaf.order, ValueOrder::Boolean | ValueOrder::Signed | ValueOrder::Float | ValueOrder::FloatTotal);
    if !is_signed {
        (statistics.min, statistics.max) = (None, None);
    }
}

impl Moved<'_> {
    /// The bytes of the chunk's Bloom filter; none if it cannot be one.
    pub fn bloom_filter(&self) -> Result<Option<Range<u64>>> {
        let Some((start, length)) = self.bloom_filter else { return Ok(None) };
        let end = self.source.footer_start;
        if start >= end {
            return Ok(None);
        }
        let head = self.source.input.read(start..end.min(start + BLOOM_HEADER_BYTES))?;
        let Ok((header, header_bytes)) = thrift::decode::<BloomFilterHeader>(&head, start) else { return Ok(None) };
        let Ok(blocks) = u64::try_from(header.num_bytes) else { return Ok(None) };
        // Writers of old do not tell the length; one that is told wrongly is no filter.
        let whole = header_bytes as u64 + blocks;
        let is_told_so = length.is_none_or(|length| length == whole);
        Ok(start.checked_add(whole).filter(|stop| is_told_so && *stop <= end).map(|stop| start..stop))
    }

    /// Forgets both indexes when the pages' places cannot be right.
    pub fn settle_offset_index(&mut self) -> Result<()> {
        if self.offset_index.is_some() && self.offset_index()?.is_none() {
            self.offset_index = None;
        }
        if self.offset_index.is_none() {
            self.column_index = None;
        }
        Ok(())
    }

    /// The offset index with the pages' new places; none if it cannot be right.
    pub fn offset_index(&self) -> Result<Option<Vec<u8>>> {
        let Some(range) = self.offset_index.clone() else { return Ok(None) };
        let bytes = self.source.input.read(range.clone())?;
        let Ok((mut index, _)) = thrift::decode::<OffsetIndex>(&bytes, range.start) else { return Ok(None) };
        for page in &mut index.page_locations {
            let start = u64::try_from(page.offset).ok();
            let size = u64::try_from(page.compressed_page_size).ok();
            let within = start.zip(size).filter(|(start, size)| {
                *start >= self.from.start && start.checked_add(*size).is_some_and(|end| end <= self.from.end)
            });
            let Some((start, _)) = within else { return Ok(None) };
            page.offset = i64::try_from(self.to + (start - self.from.start))
                .map_err(|_| Error::limit("a file of more than 2^63 bytes"))?;
        }
        Ok(Some(thrift::encode(&index)))
    }
}
