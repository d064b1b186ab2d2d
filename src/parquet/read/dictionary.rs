//! A chunk's dictionary, read for what it proves: a row group whose dictionary holds no value that a condition is true for
//! has no such row.
//!
//! Spec: Encodings.md, "Dictionary Encoding"; parquet.thrift, `ColumnMetaData.encodings`, `PageEncodingStats`.
//!
//! It proves that only if every data page is encoded by it. `encoding_stats` say so; without them `encodings` do in
//! files of old, where the name PLAIN_DICTIONARY stands for both the dictionary and the pages by it, so that a page that
//! is encoded otherwise adds another name. In newer ones PLAIN is there for the dictionary itself, and proves nothing.

use std::ops::Range;

use arrow_array::{Array, ArrayRef};

use crate::error::{Error, Result};
use crate::parquet::format::{ColumnMetaData, Encoding, PageType, Type};

use super::budget::Reservation;
use super::column_chunk::{self, DICTIONARY_ENCODINGS};
use super::file::FileParts;
use super::page::{PageOpener, Values};
use super::raw_page;
use super::target;

/// The values of a dictionary, and the memory they take.
#[derive(Debug)]
pub(super) struct Dictionary {
    pub values: ArrayRef,
    /// Bytes fetched for it.
    pub bytes: u64,
    _memory: Reservation,
}

/// The dictionary of a chunk, if all its values are known to be in it, and if reading it can pay where so many of the row
/// group's rows are still to be read.
///
/// # Errors
/// Whatever keeps it from being read. Only [`Error::Io`] should stop a scan: who needs the values meets the others again.
pub(super) fn of_chunk(
    file: &FileParts,
    group: usize,
    leaf: usize,
    selected_rows: usize,
    verify_crc: bool,
) -> Result<Option<Dictionary>> {
    let (meta, cipher) = file.open_chunk(group, leaf)?;
    let leaf = file.leaf(leaf)?;
    leaf.check()?;
    if leaf.physical == Type::Boolean || !is_whole(&meta) {
        return Ok(None);
    }
    let rows = file.group_rows(group)?;
    let pays = |range: &Range<u64>| pays(range, &meta, selected_rows, rows);
    let Some(range) = range(&meta, file.input.bytes())?.filter(pays) else { return Ok(None) };
    let bytes = range.end - range.start;
    if bytes > file.memory_bytes as u64 {
        return Err(Error::limit(format!("a dictionary of {bytes} bytes: raise memory_bytes")));
    }
    let fetched = file.input.read(range.clone())?;
    let page = raw_page::first_page(fetched, range.start, cipher)?;
    if page.header.type_ != PageType::DictionaryPage {
        return Ok(None);
    }
    let mut opener = PageOpener::new(verify_crc, &file.budget);
    let (plain, count) = opener.open_dictionary(&page, meta.codec)?;
    // No value takes less than a byte; those who read the column say what is wrong.
    if count > plain.len() {
        return Ok(None);
    }
    let mut target = target::new(leaf, &file.budget)?;
    let mut values = Values { bytes: plain, ..Values::default() };
    target.read(&mut values, count)?;
    let values = target.finish(None)?;
    let mut memory = file.budget.reservation();
    memory.resize(values.get_array_memory_size())?;
    Ok(Some(Dictionary { values, bytes, _memory: memory }))
}

/// Whether every data page of the chunk is surely encoded by its dictionary.
fn is_whole(meta: &ColumnMetaData) -> bool {
    match &meta.encoding_stats {
        Some(stats) => {
            let mut data = stats.iter().filter(|s| s.page_type != PageType::DictionaryPage && s.count != 0).peekable();
            data.peek().is_some() && data.all(|s| DICTIONARY_ENCODINGS.contains(&s.encoding))
        }
        None => {
            // RLE and BIT_PACKED are for levels: values in them are booleans, which have no dictionary.
            let known = [Encoding::PlainDictionary, Encoding::Rle, Encoding::BitPacked];
            meta.encodings.contains(&Encoding::PlainDictionary) && meta.encodings.iter().all(|e| known.contains(e))
        }
    }
}

/// Where the dictionary page lies: from its own offset to that of the first data page. None if either is not told.
fn range(meta: &ColumnMetaData, file_bytes: u64) -> Result<Option<Range<u64>>> {
    let chunk = column_chunk::byte_range(&meta.into(), file_bytes)?;
    let data = u64::try_from(meta.data_page_offset).ok().filter(|&data| data > chunk.start && data <= chunk.end);
    Ok(data.map(|data| chunk.start..data))
}

/// A dictionary that is fetched in vain is fetched twice, since the column is then decoded. So it is asked where it is small
/// against the data pages that it may save (of values that hardly repeat, it is not), or small by itself and no row is
/// ruled out yet.
fn pays(range: &Range<u64>, meta: &ColumnMetaData, selected_rows: usize, rows: usize) -> bool {
    const SMALL_BYTES: u64 = 64 << 10;
    let bytes = range.end - range.start;
    let chunk = u64::try_from(meta.total_compressed_size).unwrap_or(0);
    let saved = u128::from(chunk) * selected_rows as u128 / rows.max(1) as u128;
    u128::from(bytes) <= saved / 2 || (bytes <= SMALL_BYTES && selected_rows == rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::format::{Codec, PageEncodingStats};

    fn meta(encodings: &[Encoding], stats: Option<&[(PageType, Encoding, i32)]>) -> ColumnMetaData {
        let stats = stats.map(|stats| {
            stats.iter().map(|&(page_type, encoding, count)| PageEncodingStats { page_type, encoding, count }).collect()
        });
        ColumnMetaData {
            type_: Type::Int32,
            encodings: encodings.to_vec(),
            path_in_schema: vec![],
            codec: Codec::Uncompressed,
            num_values: 0,
            total_uncompressed_size: 100,
            total_compressed_size: 100,
            key_value_metadata: None,
            data_page_offset: 40,
            index_page_offset: None,
            dictionary_page_offset: Some(10),
            statistics: None,
            encoding_stats: stats,
            bloom_filter_offset: None,
            bloom_filter_length: None,
            size_statistics: None,
            geospatial_statistics: None,
        }
    }

    #[test]
    fn only_chunks_that_are_surely_all_dictionary_are_told_by_it() {
        use Encoding::{BitPacked, DeltaBinaryPacked, Plain, PlainDictionary, Rle, RleDictionary};
        use PageType::{DataPage, DataPageV2, DictionaryPage};
        for (encodings, is) in [
            (&[PlainDictionary, Rle, BitPacked][..], true),
            (&[PlainDictionary], true),
            (&[PlainDictionary, Plain, Rle], false),
            (&[PlainDictionary, DeltaBinaryPacked], false),
            (&[RleDictionary, Plain, Rle], false),
            (&[RleDictionary, Rle], false),
            (&[Plain, Rle], false),
            (&[], false),
        ] {
            assert_eq!(is_whole(&meta(encodings, None)), is, "{encodings:?}");
        }
        for (stats, is) in [
            (&[(DictionaryPage, Plain, 1), (DataPage, RleDictionary, 3)][..], true),
            (&[(DataPage, PlainDictionary, 3), (DataPageV2, RleDictionary, 1)], true),
            (&[(DictionaryPage, Plain, 1), (DataPage, RleDictionary, 3), (DataPage, Plain, 1)], false),
            (&[(DataPage, RleDictionary, 3), (DataPage, Plain, 0)], true),
            (&[(DataPage, RleDictionary, 3), (DataPage, Plain, -1)], false),
            (&[(DataPage, RleDictionary, 0)], false),
            (&[(DictionaryPage, Plain, 1)], false),
            (&[], false),
        ] {
            // What the stats say, the encodings do not change.
            assert_eq!(is_whole(&meta(&[PlainDictionary], Some(stats))), is, "{stats:?}");
        }
    }

    #[test]
    fn it_lies_between_its_offset_and_the_first_data_page() {
        let range = |dictionary, data| {
            let meta = ColumnMetaData { dictionary_page_offset: dictionary, data_page_offset: data, ..meta(&[], None) };
            range(&meta, 500).expect("fits")
        };
        assert_eq!(range(Some(10), 40), Some(10..40));
        // Not told, 0 for none, behind the data, or beyond the chunk.
        for none in [range(None, 40), range(Some(0), 40), range(Some(50), 40), range(Some(10), 111)] {
            assert_eq!(none, None);
        }
        let large = ColumnMetaData { total_compressed_size: 300_000, ..meta(&[], None) };
        for (bytes, selected, does) in [
            (150_000, 1000, true),
            (150_001, 1000, false),
            (75_000, 500, true),
            (75_001, 500, false),
            (100, 10, true),
            (100, 0, false),
        ] {
            assert_eq!(pays(&(0..bytes), &large, selected, 1000), does, "{bytes} of {selected} rows");
        }
        let small = ColumnMetaData { total_compressed_size: 70_000, ..meta(&[], None) };
        assert!(pays(&(0..65_536), &small, 1000, 1000) && !pays(&(0..65_536), &small, 999, 1000));
    }
}
