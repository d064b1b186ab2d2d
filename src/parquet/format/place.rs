//! Where things lie in a file, as its metadata says: checked against the file's length.
//!
//! Spec: README.md, "Column chunks"; PageIndex.md.

use std::ops::Range;

use super::chunk_place::ChunkPlace;
use crate::error::{Error, Result};

/// Where a chunk's pages lie: from its dictionary page if there is one before the data pages.
pub fn byte_range(meta: &ChunkPlace, file_bytes: u64) -> Result<Range<u64>> {
    let start = match meta.dictionary_page_offset {
        // Some writers leave 0 for "none".
        Some(dictionary) if dictionary > 0 && dictionary < meta.data_page_offset => dictionary,
        _ => meta.data_page_offset,
    };
    let whole = u64::try_from(start)
        .ok()
        .zip(u64::try_from(meta.total_compressed_size).ok())
        .and_then(|(start, size)| Some(start..start.checked_add(size)?))
        .filter(|range| range.end <= file_bytes);
    whole.ok_or_else(|| {
        Error::corrupt(format!(
            "a chunk of {} bytes from byte {start} on, the file has {file_bytes}",
            meta.total_compressed_size
        ))
    })
}

/// How far a chunk's last page may reach past the chunk in a file of this writer.
///
/// parquet-mr before 1.2.9 left the dictionary page's header out of the chunk's size (PARQUET-816).
pub fn overrun(created_by: Option<&str>) -> u64 {
    const HEADER_BYTES_MAX: u64 = 100;
    let Some(version) = created_by.and_then(|by| by.strip_prefix("parquet-mr")) else { return 0 };
    let mut numbers = version.trim_start_matches(" version ").split(['.', '-', ' ']).map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0u32);
    if (next(), next(), next()) < (1, 2, 9) { HEADER_BYTES_MAX } else { 0 }
}

/// The index of this chunk as bytes: its place in the file, if it has one.
pub fn index_range(offset: Option<i64>, length: Option<i32>, file_bytes: u64) -> Result<Option<Range<u64>>> {
    let (Some(offset), Some(length)) = (offset, length) else { return Ok(None) };
    let range = u64::try_from(offset)
        .ok()
        .zip(u64::try_from(length).ok())
        .and_then(|(start, length)| Some(start..start.checked_add(length)?))
        .filter(|range| range.end <= file_bytes);
    match range {
        Some(range) if range.is_empty() => Ok(None),
        Some(range) => Ok(Some(range)),
        None => Err(Error::corrupt(format!(
            "a page index of {length} bytes from byte {offset} on, the file has {file_bytes}"
        ))),
    }
}
