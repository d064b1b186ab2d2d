//! The start of a page: where none of its last rows is wanted, their values are not decompressed.
//!
//! ```text
//! rows wanted    0 0 1 0 0 1 0 0 0 0 0 0
//! decompressed   |---------->|               levels, values in PLAIN: where these end is known before, or likely
//! ```

use crate::parquet::arrow::Leaf;
use crate::parquet::compress::decompresses_start;
use crate::parquet::encoding::plain;
use crate::parquet::format::{Codec, Encoding, PageHead, Type};

use super::page::Page;
use super::raw_page::data_values;
use super::transcode;

/// How many bytes of a flat column's page likely hold the levels and the values of its first `rows` rows, where that can be
/// told: not all of them.
pub(super) fn likely_bytes(header: &PageHead, leaf: &Leaf, codec: Codec, rows: usize) -> Option<usize> {
    /// The length of levels that stand before the values, and of a run of them.
    const LEVELS_HEAD: usize = 16;
    let (encoding, has_levels) = match (&header.data_page_header, &header.data_page_header_v2) {
        (Some(v1), _) => (v1.encoding, leaf.def_max > 0),
        (None, Some(v2)) => (v2.encoding, false),
        (None, None) => return None,
    };
    if encoding != Encoding::Plain || !leaf.is_flat() {
        return None;
    }
    let all_rows = data_values(header)?;
    let values = match (leaf.physical, transcode::width(leaf)) {
        (Type::ByteArray, _) => {
            let bytes = usize::try_from(header.uncompressed_page_size).ok()?;
            let mean = (bytes as u128 * rows as u128 / all_rows.max(1) as u128) as usize;
            mean + mean / 8 + 256
        }
        (_, 0) => return None,
        (_, width) => rows.checked_mul(width)?,
    };
    let wanted = if has_levels { values + LEVELS_HEAD + all_rows.div_ceil(8) } else { values };
    decompresses_start(codec, usize::try_from(header.uncompressed_page_size).ok()?, wanted).then_some(wanted)
}

/// Whether all bytes of what the first `rows` rows have are there, in PLAIN.
pub(super) fn holds(page: &Page, leaf: &Leaf, rows: usize) -> bool {
    let Ok(count) = page.levels.present(rows) else { return false };
    let bytes = page.values.bytes();
    match transcode::width(leaf) {
        0 => plain::ByteArrays::new(bytes).skip(count).is_ok(),
        width => bytes.len() / width >= count,
    }
}
