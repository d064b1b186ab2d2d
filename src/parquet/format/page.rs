//! The header before each page.
//!
//! Spec: parquet.thrift, `PageHeader`.

use super::metadata::{Encoding, PageType, Statistics};
use super::schema::Empty;
use super::thrift::record;

record! {
    pub struct DataPageHeader {
        /// Level entries, nulls included.
        1: required num_values: i32,
        2: required encoding: Encoding,
        3: required definition_level_encoding: Encoding,
        4: required repetition_level_encoding: Encoding,
        5: optional statistics: Statistics,
    }
}

record! {
    pub struct DictionaryPageHeader {
        1: required num_values: i32,
        2: required encoding: Encoding,
        3: optional is_sorted: bool,
    }
}

record! {
    pub struct DataPageHeaderV2 {
        1: required num_values: i32,
        2: required num_nulls: i32,
        3: required num_rows: i32,
        4: required encoding: Encoding,
        5: required definition_levels_byte_length: i32,
        6: required repetition_levels_byte_length: i32,
        /// Whether the values are compressed; true where absent.
        7: optional is_compressed: bool,
        8: optional statistics: Statistics,
    }
}

record! {
    pub struct PageHeader {
        1: required type_: PageType,
        2: required uncompressed_page_size: i32,
        3: required compressed_page_size: i32,
        /// CRC-32 of the page's bytes as they stand in the file, its header left out.
        4: optional crc: i32,
        5: optional data_page_header: DataPageHeader,
        6: optional index_page_header: Empty,
        7: optional dictionary_page_header: DictionaryPageHeader,
        8: optional data_page_header_v2: DataPageHeaderV2,
    }
}
