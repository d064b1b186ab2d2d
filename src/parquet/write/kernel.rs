//! The values of an open page, by physical type: what the column asks of each.

use super::choose::Trial;
use super::options::ChunkOptions;
use super::statistics::PageStatistics;
use crate::error::Result;
use crate::parquet::format::Encoding;

/// The values of an open page, by physical type.
pub(super) trait Kernel {
    /// Appends the page's values as they are encoded, and begins the next page.
    fn finish_page(&mut self, options: &ChunkOptions, body: &mut Vec<u8>, trial: &mut Trial<'_>) -> Result<Finished>;
    /// The dictionary that finished pages refer to, in PLAIN, in the empty `body` unless it is there already; and how many
    /// values it has.
    fn dictionary_page<'a>(&'a self, body: &'a mut Vec<u8>) -> (&'a [u8], usize);
    /// Bytes of the open page's values as they will be encoded, before compression, about.
    fn page_bytes(&self) -> usize;
    /// Bytes of the open page and the dictionary, before compression, about.
    fn open_bytes(&self) -> usize;
    /// Bytes in memory of the dictionary that values are looked up in.
    fn dictionary_bytes(&self) -> usize {
        0
    }
    /// Bytes that it takes in memory.
    fn memory_bytes(&self) -> usize;
}

/// What [`Kernel::finish_page`] did.
pub(super) struct Finished {
    pub encoding: Encoding,
    pub statistics: PageStatistics,
}

/// The kernel of a column that has no value but null.
#[derive(Debug)]
pub(super) struct Nulls;

impl Kernel for Nulls {
    fn finish_page(&mut self, _: &ChunkOptions, _: &mut Vec<u8>, _: &mut Trial<'_>) -> Result<Finished> {
        Ok(Finished { encoding: Encoding::Plain, statistics: PageStatistics::default() })
    }

    fn dictionary_page<'a>(&'a self, _: &'a mut Vec<u8>) -> (&'a [u8], usize) {
        (&[], 0)
    }

    fn page_bytes(&self) -> usize {
        0
    }

    fn open_bytes(&self) -> usize {
        0
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}

/// Appends levels, or booleans in runs, behind their length.
pub(super) fn put_levels(body: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = body.len();
    body.extend_from_slice(&[0; 4]);
    put(body);
    // A page's count has 31 bits, its levels take less than its values' limit.
    let bytes = ((body.len() - start - 4) as u32).to_le_bytes();
    if let Some(slot) = body.get_mut(start..start + 4) {
        slot.copy_from_slice(&bytes);
    }
}
