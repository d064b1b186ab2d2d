//! A chunk whose pages are all there: its bytes, and what the footer and the page index say of it.

use super::bloom::BloomBuilder;
use super::column_chunk::Chunk;
use super::geospatial::Geospatial;
use super::index;
use super::memory::Segments;
use super::options::PageVersion;
use crate::error::Result;
use crate::parquet::format::encryption::{ChunkCipher, ModuleType};
use crate::parquet::format::{
    ColumnIndex, ColumnMetaData, Encoding, OffsetIndex, PageEncodingStats, PageType, SizeStatistics,
};

/// A chunk that awaits its place in the file: its dictionary page, then its data pages.
#[derive(Debug)]
pub(super) struct FinishedChunk {
    pub dictionary: Segments,
    pub dictionary_raw: u64,
    /// How many different values it has, where that is known.
    pub distinct: Option<u64>,
    pub chunk: Chunk,
}

impl FinishedChunk {
    /// Its bytes in the file, in order.
    pub fn into_segments(self) -> [Segments; 2] {
        [self.dictionary, self.chunk.pages]
    }

    /// What the footer says of it when it begins at `base` in the file.
    pub fn metadata(&self, base: u64) -> ColumnMetaData {
        let chunk = &self.chunk;
        let dictionary_bytes = self.dictionary.bytes();
        let mut encodings = Vec::new();
        let mut encoding_stats = Vec::new();
        let mut stats = |page_type, encoding, count: usize| {
            if count > 0 {
                if !encodings.contains(&encoding) {
                    encodings.push(encoding);
                }
                encoding_stats.push(PageEncodingStats {
                    page_type,
                    encoding,
                    count: i32::try_from(count).unwrap_or(i32::MAX),
                });
            }
        };
        stats(PageType::DictionaryPage, Encoding::Plain, usize::from(dictionary_bytes > 0));
        let data_page = match chunk.options.page_version {
            PageVersion::V1 => PageType::DataPage,
            PageVersion::V2 => PageType::DataPageV2,
        };
        chunk.encodings.iter().for_each(|&(encoding, pages)| stats(data_page, encoding, pages));
        if (chunk.def_max > 0 || chunk.rep_max > 0) && !encodings.contains(&Encoding::Rle) {
            encodings.push(Encoding::Rle);
        }
        let statistics = &chunk.statistics;
        let def_histogram = match chunk.def_max {
            0 => None,
            // Of a flat column nulls and values are counted anyway.
            1 if chunk.def_histogram.iter().all(|&n| n == 0) => {
                Some(vec![statistics.nulls as i64, statistics.values as i64])
            }
            _ => Some(chunk.def_histogram.clone()),
        };
        let sizes = SizeStatistics {
            unencoded_byte_array_data_bytes: statistics.byte_array_bytes.map(|n| n as i64),
            repetition_level_histogram: (chunk.rep_max > 0).then(|| chunk.rep_histogram.clone()),
            definition_level_histogram: def_histogram,
        };
        let has_sizes = sizes.unencoded_byte_array_data_bytes.is_some() || chunk.def_max > 0;
        ColumnMetaData {
            type_: chunk.physical,
            encodings,
            path_in_schema: chunk.path.clone(),
            codec: chunk.options.compression.codec(),
            num_values: chunk.total_entries as i64,
            total_uncompressed_size: (self.dictionary_raw + chunk.raw_bytes) as i64,
            total_compressed_size: (dictionary_bytes + chunk.pages.bytes()) as i64,
            key_value_metadata: None,
            data_page_offset: (base + dictionary_bytes) as i64,
            index_page_offset: None,
            dictionary_page_offset: (dictionary_bytes > 0).then_some(base as i64),
            statistics: chunk.options.statistics.then(|| statistics.finish(chunk.comparison.order, self.distinct)),
            encoding_stats: Some(encoding_stats),
            bloom_filter_offset: None,
            bloom_filter_length: None,
            size_statistics: has_sizes.then_some(sizes),
            geospatial_statistics: chunk.geospatial.as_ref().and_then(Geospatial::finish),
        }
    }

    /// Takes its Bloom filter, as it goes into the file.
    pub fn take_bloom_filter(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(filter) = self.chunk.bloom.take().map(BloomBuilder::finish) else { return Ok(None) };
        let Some(cipher) = &self.chunk.cipher else { return Ok(Some(filter.encode())) };
        let mut sealed = cipher.seal(ModuleType::BloomFilterHeader, 0, &filter.encode_header())?;
        sealed.extend(cipher.seal(ModuleType::BloomFilterBitset, 0, &filter.encode_bits())?);
        Ok(Some(sealed))
    }

    /// What seals its modules, where it is encrypted.
    pub fn cipher(&self) -> Option<&ChunkCipher> {
        self.chunk.cipher.as_ref()
    }

    /// Its page index when it begins at `base` in the file.
    pub fn indexes(&self, base: u64) -> (Option<ColumnIndex>, Option<OffsetIndex>) {
        let chunk = &self.chunk;
        if !chunk.options.statistics {
            return (None, None);
        }
        let offsets = index::offset_index(&chunk.entries, base + self.dictionary.bytes());
        (index::column_index(&chunk.entries, chunk.comparison), Some(offsets))
    }
}
