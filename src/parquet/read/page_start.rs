//! The start of a page: where none of its last rows is wanted, their values are not decompressed.
//!
//! ```text
//! rows wanted    0 0 1 0 0 1 0 0 0 0 0 0
//! decompressed   |---------->|               levels, values in PLAIN: where these end is known before, or likely
//! ```

use crate::parquet::arrow::Leaf;
use crate::parquet::compress::decompresses_start;
use crate::parquet::encoding::plain;
use crate::parquet::format::{Codec, Encoding, PageHead, PageType, Type};

use super::page::Page;
use super::raw_page::data_values;
use super::transcode;

/// How many bytes of a flat column's page likely hold the levels and the values of its first `rows` rows, where that can be
/// told: not all of them.
pub(super) fn likely_bytes(header: &PageHead, leaf: &Leaf, codec: Codec, rows: usize) -> Option<usize> {
    /// The length of levels that stand before the values, and of a run of them.
    const LEVELS_HEAD: usize = 16;
    // A header can have both parts; the page is of its kind.
    let (encoding, has_levels) = match header.type_ {
        PageType::DataPage => (header.data_page_header.as_ref()?.encoding, leaf.def_max > 0),
        PageType::DataPageV2 => (header.data_page_header_v2.as_ref()?.encoding, false),
        _ => return None,
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
    let wanted = values.checked_add(if has_levels { LEVELS_HEAD + all_rows.div_ceil(8) } else { 0 })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::format::{DataPageHead, DataPageHeadV2};

    #[test]
    fn a_page_is_of_its_kind_whatever_else_its_header_has() {
        let leaf = |physical, def_max| Leaf { def_max, ..Leaf::required(physical, 0) };
        let head = |type_, v1, v2| PageHead {
            type_,
            uncompressed_page_size: 8000,
            compressed_page_size: 4000,
            crc: None,
            data_page_header: Some(DataPageHead {
                num_values: 1000,
                encoding: v1,
                definition_level_encoding: Encoding::Rle,
                repetition_level_encoding: Encoding::Rle,
            }),
            dictionary_page_header: None,
            data_page_header_v2: Some(DataPageHeadV2 {
                num_values: 1000,
                num_nulls: 0,
                num_rows: 1000,
                encoding: v2,
                definition_levels_byte_length: 0,
                repetition_levels_byte_length: 0,
                is_compressed: None,
            }),
        };
        let bytes = |head: &PageHead, def_max| likely_bytes(head, &leaf(Type::Int64, def_max), Codec::Snappy, 100);
        let (plain, split) = (Encoding::Plain, Encoding::ByteStreamSplit);
        assert_eq!(bytes(&head(PageType::DataPage, plain, split), 0), Some(800));
        assert_eq!(bytes(&head(PageType::DataPage, plain, split), 1), Some(800 + 16 + 125));
        assert_eq!(bytes(&head(PageType::DataPageV2, split, plain), 1), Some(800));
        assert_eq!(bytes(&head(PageType::DataPageV2, plain, split), 0), None);
        assert_eq!(bytes(&head(PageType::DataPage, split, plain), 0), None);
        assert_eq!(bytes(&head(PageType::DictionaryPage, plain, plain), 0), None);
        let plain = head(PageType::DataPage, plain, plain);
        assert_eq!(likely_bytes(&plain, &leaf(Type::Int64, 0), Codec::Zstd, 100), None);
        assert_eq!(likely_bytes(&plain, &leaf(Type::Int64, 0), Codec::Snappy, 900), None, "most of it");
        assert_eq!(likely_bytes(&plain, &leaf(Type::Boolean, 0), Codec::Snappy, 100), None);
        assert_eq!(likely_bytes(&plain, &leaf(Type::ByteArray, 0), Codec::Snappy, 100), Some(800 + 100 + 256));
    }
}
