//! The footer's structs: file, row groups, column chunks, statistics.
//!
//! Spec: parquet.thrift, `FileMetaData` and what it holds.

use std::fmt;
use std::str::FromStr;

use super::encryption::{ColumnCryptoMetaData, EncryptionAlgorithm};
use super::schema::{Empty, SchemaElement, Type};
use super::thrift::{choice, open_enum, record};
use crate::error::{Error, Result};

open_enum! {
    /// How values or levels are laid out in a page. Spec: Encodings.md.
    pub enum Encoding {
        Plain = 0,
        PlainDictionary = 2,
        Rle = 3,
        BitPacked = 4,
        DeltaBinaryPacked = 5,
        DeltaLengthByteArray = 6,
        DeltaByteArray = 7,
        RleDictionary = 8,
        ByteStreamSplit = 9,
        /// Preview in the format.
        Alp = 10,
    }
}

/// Each encoding's name in parquet.thrift.
const ENCODING_NAMES: [(Encoding, &str); 10] = [
    (Encoding::Plain, "PLAIN"),
    (Encoding::PlainDictionary, "PLAIN_DICTIONARY"),
    (Encoding::Rle, "RLE"),
    (Encoding::BitPacked, "BIT_PACKED"),
    (Encoding::DeltaBinaryPacked, "DELTA_BINARY_PACKED"),
    (Encoding::DeltaLengthByteArray, "DELTA_LENGTH_BYTE_ARRAY"),
    (Encoding::DeltaByteArray, "DELTA_BYTE_ARRAY"),
    (Encoding::RleDictionary, "RLE_DICTIONARY"),
    (Encoding::ByteStreamSplit, "BYTE_STREAM_SPLIT"),
    (Encoding::Alp, "ALP"),
];

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ENCODING_NAMES.iter().find(|(encoding, _)| encoding == self) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "encoding {}", i32::from(*self)),
        }
    }
}

/// By the name in parquet.thrift, in either case, with `-` for `_` as well; `dictionary` is RLE_DICTIONARY.
impl FromStr for Encoding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Encoding> {
        let name = text.to_ascii_uppercase().replace('-', "_");
        match ENCODING_NAMES.iter().find(|(_, known)| *known == name) {
            _ if name == "DICTIONARY" => Ok(Encoding::RleDictionary),
            Some((encoding, _)) => Ok(*encoding),
            None => {
                let names: Vec<_> = ENCODING_NAMES.iter().map(|(_, name)| *name).collect();
                Err(Error::invalid(format!("encoding {text:?} is not one of {}", names.join(", "))))
            }
        }
    }
}

open_enum! {
    /// How a page's bytes are compressed. Spec: Compression.md.
    pub enum Codec {
        Uncompressed = 0,
        Snappy = 1,
        Gzip = 2,
        Lzo = 3,
        Brotli = 4,
        /// The deprecated LZ4 in Hadoop's framing.
        Lz4 = 5,
        Zstd = 6,
        Lz4Raw = 7,
    }
}

open_enum! {
    pub enum PageType {
        DataPage = 0,
        IndexPage = 1,
        DictionaryPage = 2,
        DataPageV2 = 3,
    }
}

record! {
    /// What is known of the values of a chunk or page without reading them.
    ///
    /// `min_value` and `max_value` follow the column's [`ColumnOrder`]; `min` and `max` are the deprecated
    /// ones, ordered as signed bytes or numbers by writers of old.
    pub struct Statistics {
        1: optional max: Vec<u8>,
        2: optional min: Vec<u8>,
        3: optional null_count: i64,
        4: optional distinct_count: i64,
        5: optional max_value: Vec<u8>,
        6: optional min_value: Vec<u8>,
        7: optional is_max_value_exact: bool,
        8: optional is_min_value_exact: bool,
        9: optional nan_count: i64,
    }
}

record! {
    /// Sizes of a chunk before encoding. Spec: parquet.thrift, `SizeStatistics`.
    pub struct SizeStatistics {
        1: optional unencoded_byte_array_data_bytes: i64,
        2: optional repetition_level_histogram: Vec<i64>,
        3: optional definition_level_histogram: Vec<i64>,
    }
}

record! {
    /// The box around all geometries of a chunk; on the antimeridian `xmin` may be above `xmax`.
    pub struct BoundingBox {
        1: required xmin: f64,
        2: required xmax: f64,
        3: required ymin: f64,
        4: required ymax: f64,
        5: optional zmin: f64,
        6: optional zmax: f64,
        7: optional mmin: f64,
        8: optional mmax: f64,
    }
}

record! {
    /// What is known of the geometries of a chunk. Spec: Geospatial.md, "Statistics".
    pub struct GeospatialStatistics {
        1: optional bbox: BoundingBox,
        /// Codes of the kinds of geometry there are; empty: not known.
        2: optional geospatial_types: Vec<i32>,
    }
}

record! {
    pub struct KeyValue {
        1: required key: String,
        2: optional value: String,
    }
}

record! {
    /// By which column a row group's rows are sorted.
    pub struct SortingColumn {
        1: required column_idx: i32,
        2: required descending: bool,
        3: required nulls_first: bool,
    }
}

record! {
    /// How many pages of a kind and encoding a chunk has.
    pub struct PageEncodingStats {
        1: required page_type: PageType,
        2: required encoding: Encoding,
        3: required count: i32,
    }
}

record! {
    pub struct ColumnMetaData {
        1: required type_: Type,
        2: required encodings: Vec<Encoding>,
        3: required path_in_schema: Vec<String>,
        4: required codec: Codec,
        /// Level entries (nulls included) of the chunk.
        5: required num_values: i64,
        /// Bytes of all pages with their headers, before compression.
        6: required total_uncompressed_size: i64,
        /// Bytes of all pages with their headers, as in the file.
        7: required total_compressed_size: i64,
        8: optional key_value_metadata: Vec<KeyValue>,
        9: required data_page_offset: i64,
        10: optional index_page_offset: i64,
        11: optional dictionary_page_offset: i64,
        12: optional statistics: Statistics,
        13: optional encoding_stats: Vec<PageEncodingStats>,
        14: optional bloom_filter_offset: i64,
        15: optional bloom_filter_length: i32,
        16: optional size_statistics: SizeStatistics,
        17: optional geospatial_statistics: GeospatialStatistics,
    }
}

record! {
    pub struct ColumnChunk {
        1: optional file_path: String,
        /// Deprecated; written as 0.
        2: optional file_offset: i64,
        3: optional meta_data: ColumnMetaData,
        4: optional offset_index_offset: i64,
        5: optional offset_index_length: i32,
        6: optional column_index_offset: i64,
        7: optional column_index_length: i32,
        /// By which key its metadata and pages are encrypted.
        8: optional crypto_metadata: ColumnCryptoMetaData,
        /// `meta_data` as a module, where it is encrypted.
        9: optional encrypted_column_metadata: Vec<u8>,
    }
}

impl ColumnChunk {
    /// A chunk in this file, in the clear and without indexes.
    pub fn of(meta_data: Option<ColumnMetaData>) -> ColumnChunk {
        ColumnChunk {
            file_path: None,
            // Spec: parquet.thrift: writers that put no metadata there set it to 0.
            file_offset: Some(0),
            meta_data,
            offset_index_offset: None,
            offset_index_length: None,
            column_index_offset: None,
            column_index_length: None,
            crypto_metadata: None,
            encrypted_column_metadata: None,
        }
    }
}

record! {
    pub struct RowGroup {
        1: required columns: Vec<ColumnChunk>,
        2: required total_byte_size: i64,
        3: required num_rows: i64,
        4: optional sorting_columns: Vec<SortingColumn>,
        5: optional file_offset: i64,
        6: optional total_compressed_size: i64,
        7: optional ordinal: i16,
    }
}

choice! {
    /// How `min_value` and `max_value` of a column compare.
    pub enum ColumnOrder {
        1: TypeOrder(Empty),
        2: Ieee754TotalOrder(Empty),
        3: Int96TimestampOrder(Empty),
    }
}

record! {
    /// The footer.
    pub struct FileMetaData {
        1: required version: i32,
        2: required schema: Vec<SchemaElement>,
        3: required num_rows: i64,
        4: required row_groups: Vec<RowGroup>,
        5: optional key_value_metadata: Vec<KeyValue>,
        6: optional created_by: String,
        7: optional column_orders: Vec<ColumnOrder>,
        /// Of files with encrypted columns and a footer in the clear.
        8: optional encryption_algorithm: EncryptionAlgorithm,
        9: optional footer_signing_key_metadata: Vec<u8>,
    }
}
