//! A page header without its statistics: enough to decode the page, and small enough to be handed on by value.
//!
//! Spec: parquet.thrift, `PageHeader`.

use super::metadata::{Encoding, PageType};
use super::page::PageHeader;
use super::skip::{self, Walk};
use super::thrift;
use crate::error::Result;

/// [`PageHeader`] without statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageHead {
    pub type_: PageType,
    pub uncompressed_page_size: i32,
    pub compressed_page_size: i32,
    /// CRC-32 of the page's bytes as they stand in the file, its header left out.
    pub crc: Option<i32>,
    pub data_page_header: Option<DataPageHead>,
    pub dictionary_page_header: Option<DictionaryPageHead>,
    pub data_page_header_v2: Option<DataPageHeadV2>,
}

/// [`DataPageHeader`](super::DataPageHeader) without statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataPageHead {
    /// Level entries, nulls included.
    pub num_values: i32,
    pub encoding: Encoding,
    pub definition_level_encoding: Encoding,
    pub repetition_level_encoding: Encoding,
}

/// [`DictionaryPageHeader`](super::DictionaryPageHeader), as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DictionaryPageHead {
    pub num_values: i32,
    pub encoding: Encoding,
}

/// [`DataPageHeaderV2`](super::DataPageHeaderV2) without statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataPageHeadV2 {
    pub num_values: i32,
    pub num_nulls: i32,
    pub num_rows: i32,
    pub encoding: Encoding,
    pub definition_levels_byte_length: i32,
    pub repetition_levels_byte_length: i32,
    /// Whether the values are compressed; true where absent.
    pub is_compressed: Option<bool>,
}

impl PageHead {
    /// Decodes the header at the start of `bytes`, whose first byte is byte `base` of the file; also the bytes that it took.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) where they are no `PageHeader`; statistics are passed over, whatever they hold.
    pub fn decode(bytes: &[u8], base: u64) -> Result<(PageHead, usize)> {
        match walk(bytes) {
            Some(found) => Ok(found),
            None => thrift::decode::<PageHeader>(bytes, base).map(|(header, used)| ((&header).into(), used)),
        }
    }
}

impl From<&PageHeader> for PageHead {
    fn from(header: &PageHeader) -> PageHead {
        PageHead {
            type_: header.type_,
            uncompressed_page_size: header.uncompressed_page_size,
            compressed_page_size: header.compressed_page_size,
            crc: header.crc,
            data_page_header: header.data_page_header.as_ref().map(|h| DataPageHead {
                num_values: h.num_values,
                encoding: h.encoding,
                definition_level_encoding: h.definition_level_encoding,
                repetition_level_encoding: h.repetition_level_encoding,
            }),
            dictionary_page_header: header
                .dictionary_page_header
                .as_ref()
                .map(|h| DictionaryPageHead { num_values: h.num_values, encoding: h.encoding }),
            data_page_header_v2: header.data_page_header_v2.as_ref().map(|h| DataPageHeadV2 {
                num_values: h.num_values,
                num_nulls: h.num_nulls,
                num_rows: h.num_rows,
                encoding: h.encoding,
                definition_levels_byte_length: h.definition_levels_byte_length,
                repetition_levels_byte_length: h.repetition_levels_byte_length,
                is_compressed: h.is_compressed,
            }),
        }
    }
}

/// None where something is wrong or rare.
fn walk(bytes: &[u8]) -> Option<(PageHead, usize)> {
    let mut walk = Walk::new(bytes, 0);
    let (mut type_, mut uncompressed, mut compressed, mut crc) = (None, None, None, None);
    let (mut data, mut dictionary, mut v2, mut last) = (None, None, None, 0);
    while let Some((id, kind)) = walk.field(&mut last)? {
        match (id, kind) {
            (1, kind) => type_ = walk.i32(kind, type_)?,
            (2, kind) => uncompressed = walk.i32(kind, uncompressed)?,
            (3, kind) => compressed = walk.i32(kind, compressed)?,
            (4, kind) => crc = walk.i32(kind, crc)?,
            (5, skip::STRUCT) => data = Some(walk_data(&mut walk)?),
            (7, skip::STRUCT) => dictionary = Some(walk_dictionary(&mut walk)?),
            (8, skip::STRUCT) => v2 = Some(walk_v2(&mut walk)?),
            (_, kind) => walk.skip(kind)?,
        }
    }
    let head = PageHead {
        type_: PageType::from(type_?),
        uncompressed_page_size: uncompressed?,
        compressed_page_size: compressed?,
        crc,
        data_page_header: data,
        dictionary_page_header: dictionary,
        data_page_header_v2: v2,
    };
    Some((head, walk.at()))
}

fn walk_data(walk: &mut Walk<'_>) -> Option<DataPageHead> {
    let (mut values, mut encoding, mut definition, mut repetition, mut last) = (None, None, None, None, 0);
    while let Some((id, kind)) = walk.field(&mut last)? {
        match id {
            1 => values = walk.i32(kind, values)?,
            2 => encoding = walk.i32(kind, encoding)?,
            3 => definition = walk.i32(kind, definition)?,
            4 => repetition = walk.i32(kind, repetition)?,
            _ => walk.skip(kind)?,
        }
    }
    Some(DataPageHead {
        num_values: values?,
        encoding: Encoding::from(encoding?),
        definition_level_encoding: Encoding::from(definition?),
        repetition_level_encoding: Encoding::from(repetition?),
    })
}

fn walk_dictionary(walk: &mut Walk<'_>) -> Option<DictionaryPageHead> {
    let (mut values, mut encoding, mut last) = (None, None, 0);
    while let Some((id, kind)) = walk.field(&mut last)? {
        match id {
            1 => values = walk.i32(kind, values)?,
            2 => encoding = walk.i32(kind, encoding)?,
            _ => walk.skip(kind)?,
        }
    }
    Some(DictionaryPageHead { num_values: values?, encoding: Encoding::from(encoding?) })
}

fn walk_v2(walk: &mut Walk<'_>) -> Option<DataPageHeadV2> {
    let (mut values, mut nulls, mut rows, mut encoding) = (None, None, None, None);
    let (mut definition, mut repetition, mut is_compressed, mut last) = (None, None, None, 0);
    while let Some((id, kind)) = walk.field(&mut last)? {
        match id {
            1 => values = walk.i32(kind, values)?,
            2 => nulls = walk.i32(kind, nulls)?,
            3 => rows = walk.i32(kind, rows)?,
            4 => encoding = walk.i32(kind, encoding)?,
            5 => definition = walk.i32(kind, definition)?,
            6 => repetition = walk.i32(kind, repetition)?,
            7 => is_compressed = walk.boolean(kind, is_compressed)?,
            _ => walk.skip(kind)?,
        }
    }
    Some(DataPageHeadV2 {
        num_values: values?,
        num_nulls: nulls?,
        num_rows: rows?,
        encoding: Encoding::from(encoding?),
        definition_levels_byte_length: definition?,
        repetition_levels_byte_length: repetition?,
        is_compressed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::format::{DataPageHeader, DataPageHeaderV2, DictionaryPageHeader, Statistics};

    #[test]
    fn a_head_is_the_header_without_statistics() {
        let statistics = Statistics {
            max: None,
            min: None,
            null_count: Some(3),
            distinct_count: None,
            max_value: Some(vec![0xff; 200]),
            min_value: Some(vec![]),
            is_max_value_exact: Some(false),
            is_min_value_exact: Some(true),
            nan_count: None,
        };
        let data = DataPageHeader {
            num_values: 70_000,
            encoding: Encoding::RleDictionary,
            definition_level_encoding: Encoding::Rle,
            repetition_level_encoding: Encoding::BitPacked,
            statistics: Some(statistics.clone()),
        };
        let v2 = DataPageHeaderV2 {
            num_values: 5,
            num_nulls: 1,
            num_rows: 4,
            encoding: Encoding::Unknown(77),
            definition_levels_byte_length: 2,
            repetition_levels_byte_length: -1,
            is_compressed: Some(false),
            statistics: Some(statistics),
        };
        let dictionary = DictionaryPageHeader { num_values: 9, encoding: Encoding::Plain, is_sorted: Some(true) };
        let header = PageHeader {
            type_: PageType::DataPage,
            uncompressed_page_size: i32::MAX,
            compressed_page_size: i32::MIN,
            crc: Some(-5),
            data_page_header: Some(data),
            index_page_header: None,
            dictionary_page_header: Some(dictionary),
            data_page_header_v2: Some(v2),
        };
        let mut bytes = thrift::encode(&header);
        let end = bytes.len();
        bytes.extend([0xff; 9]);
        assert_eq!(walk(&bytes), Some((PageHead::from(&header), end)));
        assert_eq!(PageHead::decode(&bytes, 0).expect("decodes"), (PageHead::from(&header), end));
        for cut in 0..end {
            assert!(PageHead::decode(&bytes[..cut], 0).is_err(), "{cut} bytes");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let e = PageHead::decode(&[0x15, 0, 0x15, 2, 0], 70).expect_err("has no size");
        assert_eq!(e.message(), "PageHeader has no compressed_page_size");
    }
}
