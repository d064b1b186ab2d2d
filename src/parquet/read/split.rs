//! Dividing a file's row groups among readers that do not talk to each other.
//!
//! A row group belongs to the byte range that holds its middle, as in Hadoop's input splits: ranges that cover the file
//! without overlapping have each group exactly once, however they are cut.
//!
//! ```text
//! row group   |---------------|---------------|------|--------------------|
//! middle              ^               ^           ^             ^
//! ranges      [0 ............. a)[a .............. b)[b .................. ∞)
//! ```

use std::ops::Range;

use crate::error::{Error, Result};
use crate::parquet::format::{ColumnChunk, Footer};

/// The least offset that data can have: the magic stands before it.
const DATA_MIN: i64 = 4;

/// Where row group `number` begins: the first page of its first column, a dictionary page where there is one. None for a
/// group without columns.
pub(super) fn start(footer: &Footer, number: usize) -> Result<Option<u64>> {
    let Some(group) = footer.groups.get(number) else {
        return Err(Error::invalid(format!(
            "there is no row group {number}: the file has {}, from 0 on",
            footer.groups.len()
        )));
    };
    if group.columns == 0 {
        return Ok(None);
    }
    let chunk = footer.chunk(number, 0)?;
    let start = match first_page(&chunk) {
        Some(start) => Some(start),
        // The column's metadata is encrypted; the group's own offset is not.
        None => group.file_offset.filter(|&at| at >= DATA_MIN),
    };
    let start = start.and_then(|at| u64::try_from(at).ok());
    start.map(Some).ok_or_else(|| Error::corrupt(format!("nothing tells where row group {number} begins")))
}

/// The first page of a chunk. Writers of old set a dictionary's offset of 0 where there is no dictionary.
fn first_page(chunk: &ColumnChunk) -> Option<i64> {
    let meta = chunk.meta_data.as_ref()?;
    let data = meta.data_page_offset;
    let dictionary = meta.dictionary_page_offset.filter(|&at| (DATA_MIN..data).contains(&at));
    Some(dictionary.unwrap_or(data)).filter(|&at| at >= DATA_MIN)
}

/// The byte in the middle of row group `number`; that of a group without columns is the file's first.
fn middle(footer: &Footer, number: usize) -> Result<u64> {
    let Some(start) = start(footer, number)? else { return Ok(0) };
    // A sum that does not fit is as large as can be.
    let bytes = footer.stored_bytes(number).try_fold(0u64, |sum, bytes| bytes.map(|n| sum.saturating_add(n)))?;
    Ok(start.saturating_add(bytes / 2))
}

/// The row groups of a scan: those that all of its options name, in the order in which it names them.
///
/// # Errors
/// [`Error::Invalid`] for a number or start that no row group has.
pub(super) fn groups(
    footer: &Footer,
    numbers: Option<Vec<usize>>,
    byte_range: Option<Range<u64>>,
    starts: Option<Vec<u64>>,
) -> Result<Vec<usize>> {
    let count = footer.groups.len();
    let mut groups = numbers.unwrap_or_else(|| (0..count).collect());
    if let Some(wrong) = groups.iter().find(|&&g| g >= count) {
        return Err(Error::invalid(format!("there is no row group {wrong}: the file has {count}, from 0 on")));
    }
    if let Some(range) = byte_range {
        let mut inside = Vec::with_capacity(groups.len());
        for number in groups {
            if range.contains(&middle(footer, number)?) {
                inside.push(number);
            }
        }
        groups = inside;
    }
    if let Some(starts) = starts {
        let begin = at_starts(footer, &starts)?;
        groups.retain(|number| begin.contains(number));
    }
    Ok(groups)
}

/// The row groups that begin at one of `starts`.
///
/// # Errors
/// [`Error::Invalid`] for a start at which none begins: it is of another file, or of another version of it.
fn at_starts(footer: &Footer, starts: &[u64]) -> Result<Vec<usize>> {
    let mut begins = Vec::with_capacity(footer.groups.len());
    for number in 0..footer.groups.len() {
        begins.push(start(footer, number)?);
    }
    if let Some(wrong) = starts.iter().find(|&&at| !begins.contains(&Some(at))) {
        let known: Vec<String> = begins.iter().flatten().map(u64::to_string).collect();
        return Err(Error::invalid(format!("no row group begins at byte {wrong}; they begin at {}", known.join(", "))));
    }
    let wanted = begins.iter().enumerate().filter(|(_, begin)| begin.is_some_and(|at| starts.contains(&at)));
    Ok(wanted.map(|(number, _)| number).collect())
}
