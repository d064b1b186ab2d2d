//! Files that are broken in one way each: what finds it, under which name, and where; and what is saved of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]
#![allow(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]

#[path = "mutations/thrift.rs"]
#[allow(dead_code, reason = "each test file uses its part")]
mod thrift;

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_select::concat::concat_batches;
use hypostyle::Error;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::{Encoding, FileMetaData, SortingColumn, footer};
use hypostyle::parquet::read::{FileReader, Harm, PageInfo, ReaderOptions, ScanOptions, Verification};
use hypostyle::parquet::splice::salvage;
use hypostyle::parquet::write::{BloomFilters, ColumnOptions, FileWriter, PageVersion, WriterOptions};
use hypostyle::storage::{Memory, Storage};
use thrift::Tree;

const ID: usize = 0;
const TEXT: usize = 1;
const LIST: usize = 2;
const DELTA: usize = 3;

fn batch() -> RecordBatch {
    let text: StringArray = (0..200).map(|r| Some(format!("text {}", r % 9))).collect();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..200).map(|r| (r % 7 != 2).then(|| (0..r % 4).map(move |i| Some(r * 10 + i)))),
    );
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(0..200)) as ArrayRef, false),
        ("text", Arc::new(text), false),
        ("list", Arc::new(list), true),
        ("delta", Arc::new((0..200i64).map(|r| Some(r * 37 % 100)).collect::<Int64Array>()), false),
        ("some", Arc::new((0..200i64).map(|r| (r % 3 == 0).then_some(r)).collect::<Int64Array>()), true),
    ])
    .unwrap()
}

/// Two row groups, of two pages a column each.
fn file(version: PageVersion, compression: Compression) -> Vec<u8> {
    let of = |encoding| ColumnOptions { encoding: Some(encoding), ..ColumnOptions::default() };
    let mut options = WriterOptions::default()
        .with_page_rows(50)
        .with_row_group_rows(100)
        .with_page_version(Some(version))
        .with_compression(compression);
    options.columns.insert("id".into(), of(Encoding::Plain));
    options.columns.insert("delta".into(), of(Encoding::DeltaBinaryPacked));
    options.columns.insert("text".into(), of(Encoding::RleDictionary));
    options.bloom_filter = BloomFilters::Rate(0.01);
    options.sorting_columns = vec![SortingColumn { column_idx: 0, descending: false, nulls_first: false }];
    let storage = Memory::new();
    let batch = batch();
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let input = storage.open("f").unwrap();
    input.read(0..input.bytes()).unwrap().to_vec()
}

fn plain() -> Vec<u8> {
    file(PageVersion::V1, Compression::Uncompressed)
}

fn open(bytes: &[u8]) -> hypostyle::Result<FileReader> {
    let storage = Memory::new();
    storage.put("f", bytes.to_vec()).unwrap();
    FileReader::open(storage.open("f").unwrap(), ReaderOptions::default())
}

fn verify(bytes: &[u8]) -> Verification {
    open(bytes).unwrap().verify()
}

fn scan(bytes: &[u8]) -> Option<Error> {
    match open(bytes) {
        Ok(file) => file.scan(ScanOptions::default()).unwrap().find_map(Result::err),
        Err(e) => Some(e),
    }
}

/// The file with its footer changed.
fn with_footer(bytes: &[u8], change: impl FnOnce(&mut FileMetaData)) -> Vec<u8> {
    let (range, _) = footer::locate(*bytes.last_chunk().unwrap(), bytes.len() as u64).unwrap();
    let mut metadata = footer::decode(&bytes[range.start as usize..range.end as usize], range.start).unwrap();
    change(&mut metadata);
    let mut changed = bytes[..range.start as usize].to_vec();
    changed.extend(footer::encode(&metadata).unwrap());
    changed
}

fn page(bytes: &[u8], group: usize, column: usize, number: usize) -> PageInfo {
    open(bytes).unwrap().pages(group, column).unwrap()[number].clone()
}

/// The file with a page's body changed in place, and its checksum made right.
fn with_body(bytes: &[u8], page: &PageInfo, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let start = page.offset as usize + page.header_bytes;
    change(&mut changed[start..start + page.compressed_bytes]);
    let crc = crc32fast::hash(&changed[start..start + page.compressed_bytes]);
    with_header(&changed, page, |header| *header.field(4).unwrap() = Tree::Int(5, i64::from(crc.cast_signed())))
}

/// The file with a field of a page's header changed; what follows moves along.
fn with_header(bytes: &[u8], page: &PageInfo, change: impl FnOnce(&mut Tree)) -> Vec<u8> {
    let at = page.offset as usize;
    let (mut tree, _) = thrift::parse(&bytes[at..at + page.header_bytes]).unwrap();
    change(&mut tree);
    let header = tree.bytes();
    let moved = header.len() as i64 - page.header_bytes as i64;
    let mut changed = bytes.to_vec();
    changed.splice(at..at + page.header_bytes, header);
    with_footer(&changed, |metadata| {
        for chunk in metadata.row_groups.iter_mut().flat_map(|g| &mut g.columns) {
            (chunk.offset_index_offset, chunk.column_index_offset) = (None, None);
            let meta = chunk.meta_data.as_mut().unwrap();
            meta.bloom_filter_offset = None;
            let start = meta.dictionary_page_offset.unwrap_or(meta.data_page_offset);
            if (start..start + meta.total_compressed_size).contains(&(at as i64)) {
                meta.total_compressed_size += moved;
                meta.total_uncompressed_size += moved;
            }
            for offset in [Some(&mut meta.data_page_offset), meta.dictionary_page_offset.as_mut()].into_iter().flatten()
            {
                *offset += if *offset > at as i64 { moved } else { 0 };
            }
        }
    })
}

/// The fault is found by a scan, too.
#[track_caller]
fn broken(bytes: &[u8], what: &str, column: &str) -> Verification {
    let e = scan(bytes).unwrap_or_else(|| panic!("a scan sees nothing of: {what}"));
    assert!(matches!(e, Error::Corrupt(_)) && e.to_string().contains(what), "a scan says: {e}");
    assert!(e.to_string().starts_with("memory:f: "), "{e}");
    assert_eq!(e.place().column.as_deref(), Some(column), "{e}");
    let found = verify(bytes);
    assert!(found.findings.iter().any(|f| f.harm == Harm::Rows && f.error.to_string().contains(what)), "{found:?}");
    found
}

/// Only the whole check finds it: no row is harmed.
#[track_caller]
fn told_wrong(bytes: &[u8], what: &str, harm: Harm) -> Verification {
    assert!(scan(bytes).is_none());
    let found = verify(bytes);
    let is_it = |f: &&hypostyle::parquet::read::Finding| f.harm == harm && f.error.to_string().contains(what);
    let finding = found.findings.iter().find(is_it).unwrap_or_else(|| panic!("{what}: {found:?}"));
    assert!(matches!(finding.error, Error::Corrupt(_)));
    assert_eq!(found.safe_rows(), [0..200], "{found:?}");
    found
}

#[test]
fn what_is_sound_is_found_so() {
    for version in [PageVersion::V1, PageVersion::V2] {
        for compression in [Compression::Uncompressed, Compression::Zstd(3)] {
            let found = verify(&file(version, compression));
            assert!(found.is_sound(), "{:?}", found.findings);
            assert_eq!(found.safe_rows(), [0..200]);
            assert_eq!(found.pages, 20);
        }
    }
}

#[test]
fn a_checksum_that_differs_costs_its_page() {
    let bytes = plain();
    let second = page(&bytes, 1, ID, 1);
    let mut changed = bytes.clone();
    changed[second.offset as usize + second.header_bytes + 9] ^= 1;
    let found = broken(&changed, "the page's checksum is", "id");
    assert_eq!(found.safe_rows(), [0..150]);
    let error = &found.findings[0].error;
    assert_eq!((error.place().page, error.place().byte), (Some(1), Some(second.offset)));
    // A dictionary is that of all pages; of a list, no page is told from the next.
    for (column, name) in [(TEXT, "text"), (LIST, "list.list.element")] {
        let first = page(&bytes, 0, column, 0);
        let mut changed = bytes.clone();
        changed[first.offset as usize + first.header_bytes + 9] ^= 1;
        let found = broken(&changed, "the page's checksum is", name);
        assert_eq!(found.safe_rows(), [100..200]);
    }
}

#[test]
fn row_counts_that_differ() {
    let more = with_footer(&plain(), |m| (m.row_groups[0].num_rows, m.num_rows) = (101, 201));
    broken(&more, "1 rows are missing", "id");
    let fewer = with_footer(&plain(), |m| (m.row_groups[1].num_rows, m.num_rows) = (99, 199));
    broken(&fewer, "a page of 50 values, the row group has 49 rows left", "id");
    let sum = with_footer(&plain(), |m| m.num_rows = 7);
    told_wrong(&sum, "the footer tells of 7 rows, its row groups of 200", Harm::Counts);
    let unequal = with_footer(&plain(), |m| {
        let meta = m.row_groups[0].columns[DELTA].meta_data.as_mut().unwrap();
        let second = page(&plain(), 0, DELTA, 1);
        meta.total_compressed_size = second.offset as i64 - meta.data_page_offset;
    });
    let found = broken(&unequal, "rows are missing", "delta");
    assert_eq!(found.safe_rows(), [100..200]);
}

#[test]
fn counts_and_sizes_that_differ() {
    let meta = |change: fn(&mut hypostyle::parquet::format::ColumnMetaData)| {
        with_footer(&plain(), |m| change(m.row_groups[1].columns[ID].meta_data.as_mut().unwrap()))
    };
    told_wrong(&meta(|m| m.num_values += 1), "tells of 101 values, its pages of 100", Harm::Counts);
    told_wrong(&meta(|m| m.total_uncompressed_size += 1), "bytes before compression", Harm::Counts);
    broken(&meta(|m| m.total_compressed_size -= 1), "are left of the chunk", "id");
    let second = page(&plain(), 0, ID, 1);
    broken(&with_header(&plain(), &second, |h| *h.field(3).unwrap() = Tree::Int(5, -1)), "a page of -1 bytes", "id");
    let packed = file(PageVersion::V1, Compression::Zstd(3));
    let first = page(&packed, 0, ID, 0);
    let longer = with_header(&packed, &first, |h| *h.field(2).unwrap() = Tree::Int(5, first.uncompressed_bytes + 1));
    broken(&longer, "promised", "id");
}

#[test]
fn offsets_and_sizes_beyond_the_file_or_in_the_footer() {
    let meta = |change: &dyn Fn(&mut hypostyle::parquet::format::ColumnMetaData)| {
        with_footer(&plain(), |m| change(m.row_groups[1].columns[ID].meta_data.as_mut().unwrap()))
    };
    let length = plain().len() as i64;
    for (what, changed) in [
        ("from byte -8 on", meta(&|m| m.data_page_offset = -8)),
        ("a chunk of -1 bytes", meta(&|m| m.total_compressed_size = -1)),
        ("the file has", meta(&|m| m.data_page_offset = length + 1)),
        // The last bytes of it would be those of the footer.
        ("the file has", meta(&|m| m.data_page_offset = length - 8 - m.total_compressed_size)),
        ("the file has", meta(&|m| m.total_compressed_size = i64::MAX)),
    ] {
        let found = broken(&changed, what, "id");
        assert_eq!(found.safe_rows(), [0..100]);
    }
    let shared = with_footer(&plain(), |m| {
        let first = m.row_groups[0].columns[ID].meta_data.as_ref().unwrap().data_page_offset;
        m.row_groups[1].columns[ID].meta_data.as_mut().unwrap().data_page_offset = first;
    });
    assert!(verify(&shared).findings.iter().any(|f| f.error.to_string().contains("lies on another")));
}

#[test]
fn levels_that_cannot_be() {
    let bytes = plain();
    let first = page(&bytes, 0, LIST, 0);
    // A length of 4 bytes, the run's header, then the levels of the first eight entries.
    let changed = with_body(&bytes, &first, |body| body[5] |= 1);
    broken(&changed, "the first repetition level of the chunk is not 0", "list.list.element");
    let v2 = file(PageVersion::V2, Compression::Uncompressed);
    let nulls = with_header(&v2, &page(&v2, 0, ID, 0), |h| *h.field(8).unwrap().field(2).unwrap() = Tree::Int(5, 3));
    broken(&nulls, "3 nulls in a column that is required", "id");
    let told = with_footer(&bytes, |m| {
        let meta = m.row_groups[0].columns[ID].meta_data.as_mut().unwrap();
        meta.statistics.as_mut().unwrap().null_count = Some(2);
    });
    told_wrong(&told, "2 nulls are told of in a required column", Harm::Pruning);
}

#[test]
fn values_that_cannot_be() {
    let bytes = plain();
    // The dictionary page is the first; a data page begins with the width of its indices, in 4 bits of which 9 are valid.
    let indices = page(&bytes, 0, TEXT, 1);
    broken(&with_body(&bytes, &indices, |body| body[2..].fill(0xff)), "dictionary", "text");
    broken(&with_body(&bytes, &indices, |body| body[0] = 33), "width of 33", "text");
    // The size of a block stands first: 128 becomes 129.
    let deltas = page(&bytes, 1, DELTA, 0);
    let found = broken(&with_body(&bytes, &deltas, |body| body[0] = 0x81), "blocks of 129", "delta");
    assert_eq!(found.safe_rows(), [0..100, 150..200]);
}

#[test]
fn bounds_indexes_filters_and_orders_that_lie() {
    let bytes = plain();
    let low = with_footer(&bytes, |m| {
        let meta = m.row_groups[0].columns[ID].meta_data.as_mut().unwrap();
        meta.statistics.as_mut().unwrap().max_value = Some(98i64.to_le_bytes().to_vec());
    });
    let found = told_wrong(&low, "a value is above the greatest", Harm::Pruning);
    assert!(!found.can_prune(0, ID) && found.can_prune(0, TEXT) && found.can_prune(1, ID));
    let nulls = with_footer(&bytes, |m| {
        let meta = m.row_groups[0].columns[4].meta_data.as_mut().unwrap();
        meta.statistics.as_mut().unwrap().null_count = Some(1);
    });
    told_wrong(&nulls, "1 nulls are told of, there are 66", Harm::Pruning);
    let swapped = with_footer(&bytes, |m| {
        let other = m.row_groups[1].columns[TEXT].offset_index_offset;
        m.row_groups[0].columns[TEXT].offset_index_offset = other;
    });
    told_wrong(&swapped, "the offset index has", Harm::Pruning);
    let page_bounds = with_footer(&bytes, |m| {
        let other = m.row_groups[1].columns[ID].column_index_offset;
        m.row_groups[0].columns[ID].column_index_offset = other;
    });
    told_wrong(&page_bounds, "a value is below the least", Harm::Pruning);
    let filter = with_footer(&bytes, |m| {
        let other = m.row_groups[1].columns[ID].meta_data.as_ref().unwrap().bloom_filter_offset;
        m.row_groups[0].columns[ID].meta_data.as_mut().unwrap().bloom_filter_offset = other;
    });
    told_wrong(&filter, "the Bloom filter says that a value is not there", Harm::Pruning);
    let unsorted = with_footer(&bytes, |m| {
        m.row_groups[1].sorting_columns.as_mut().unwrap()[0].descending = true;
    });
    told_wrong(&unsorted, "row 1 of row group 1 is out of the order", Harm::Pruning);
}

#[test]
fn whole_row_groups_are_saved() {
    let bytes = plain();
    let hurt = page(&bytes, 0, DELTA, 0);
    let mut changed = with_footer(&bytes, |m| {
        let meta = m.row_groups[1].columns[ID].meta_data.as_mut().unwrap();
        meta.statistics.as_mut().unwrap().min_value = Some(150i64.to_le_bytes().to_vec());
    });
    changed[hurt.offset as usize + hurt.header_bytes] ^= 1;
    let storage = Memory::new();
    storage.put("f", changed.clone()).unwrap();
    let found = verify(&changed);
    assert_eq!(found.whole_groups(), [1]);
    let keeps = |group, column| found.can_prune(group, column);
    salvage(&storage.open("f").unwrap(), &[1], &keeps, storage.create("saved").unwrap()).unwrap();
    let saved = FileReader::open(storage.open("saved").unwrap(), ReaderOptions::default()).unwrap();
    assert!(saved.verify().is_sound(), "{:?}", saved.verify());
    let batches: Vec<_> = saved.scan(ScanOptions::default()).unwrap().map(|b| b.unwrap()).collect();
    assert_eq!(concat_batches(saved.schema(), &batches).unwrap().columns(), batch().slice(100, 100).columns());
    let metadata = saved.metadata().unwrap();
    let statistics =
        |column: usize| metadata.row_groups[0].columns[column].meta_data.as_ref().unwrap().statistics.is_some();
    assert!(!statistics(ID) && statistics(DELTA), "bounds that lie are left out, others are kept");
}
