//! Row groups picked without a predicate: by byte ranges, by where they begin, by number; and a table divided into parts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::{FileMetaData, footer};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Memory, Storage};
use hypostyle::table::{self, AddFile, CreateOptions, PartitionValues, Table};
use proptest::prelude::*;

/// Rows `from..to`, of which every group is longer than the one before.
fn batch(from: i64, to: i64) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    let text: ArrayRef = Arc::new(StringArray::from_iter_values((from..to).map(|n| "x".repeat(n as usize % 50))));
    RecordBatch::try_from_iter([("id", id), ("text", text)]).unwrap()
}

fn write(storage: &Memory, name: &str, rows: std::ops::Range<i64>, group_rows: usize) {
    let options = WriterOptions::default().with_row_group_rows(group_rows).with_compression(Compression::Uncompressed);
    let batch = batch(rows.start, rows.end);
    let mut writer = FileWriter::new(storage.create(name).unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
}

fn file(group_rows: usize) -> FileReader {
    let storage = Memory::new();
    write(&storage, "f", 0..1000, group_rows);
    FileReader::open(storage.open("f").unwrap(), ReaderOptions::default()).unwrap()
}

fn ids(batches: impl Iterator<Item = hypostyle::Result<RecordBatch>>) -> Vec<i64> {
    batches.flat_map(|batch| batch.unwrap()["id"].as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn of(file: &FileReader, options: ScanOptions) -> Vec<i64> {
    ids(file.scan(options).unwrap())
}

/// The file with its footer changed.
fn with_footer(file: &FileReader, change: impl FnOnce(&mut FileMetaData)) -> FileReader {
    let mut metadata = file.metadata().unwrap().clone();
    change(&mut metadata);
    let storage = Memory::new();
    let old = Memory::new();
    write(&old, "f", 0..1000, 300);
    let bytes = old.open("f").unwrap();
    let all = bytes.read(0..bytes.bytes()).unwrap();
    let length = u32::from_le_bytes(all[all.len() - 8..all.len() - 4].try_into().unwrap()) as usize;
    let mut out = storage.create("f").unwrap();
    out.append(&all[..all.len() - 8 - length]).unwrap();
    out.append(&footer::encode(&metadata).unwrap()).unwrap();
    out.finish().unwrap();
    FileReader::open(storage.open("f").unwrap(), ReaderOptions::default()).unwrap()
}

#[test]
fn a_group_belongs_to_the_range_that_holds_its_middle() {
    let file = file(300);
    let groups = &file.metadata().unwrap().row_groups;
    assert_eq!(groups.len(), 4);
    for (number, group) in groups.iter().enumerate() {
        let start = file.row_group_start(number).unwrap().unwrap();
        assert_eq!(start, group.file_offset.unwrap() as u64);
        let middle = start + group.total_compressed_size.unwrap() as u64 / 2;
        let rows: Vec<i64> = (number as i64 * 300..(number as i64 * 300 + group.num_rows)).collect();
        assert_eq!(of(&file, ScanOptions::default().with_byte_range(middle..middle + 1)), rows);
        assert_eq!(of(&file, ScanOptions::default().with_byte_range(middle + 1..middle + 9)), [0i64; 0]);
        assert_eq!(of(&file, ScanOptions::default().with_start_offsets([start])), rows);
    }
}

#[test]
fn all_that_is_named_must_hold() {
    let file = file(300);
    let starts: Vec<u64> = (0..4).map(|number| file.row_group_start(number).unwrap().unwrap()).collect();
    let two = ScanOptions::default().with_start_offsets([starts[3], starts[1]]);
    assert_eq!(of(&file, two.clone()), (300..600).chain(900..1000).collect::<Vec<_>>());
    assert_eq!(of(&file, two.clone().with_row_groups([3, 2])), (900..1000).collect::<Vec<_>>());
    assert_eq!(of(&file, two.with_byte_range(0..starts[3])), (300..600).collect::<Vec<_>>());
    let e = file.scan(ScanOptions::default().with_start_offsets([starts[1] + 1])).unwrap_err().to_string();
    assert!(e.contains(&format!("no row group begins at byte {}", starts[1] + 1)), "{e}");
    assert!(e.contains(&format!("{}, {}", starts[0], starts[1])), "{e}");
}

#[test]
fn what_writers_of_old_leave_out_or_set_to_zero_is_no_place() {
    let plain = file(300);
    let starts: Vec<_> = (0..4).map(|number| plain.row_group_start(number).unwrap()).collect();
    let odd = with_footer(&plain, |metadata| {
        for group in &mut metadata.row_groups {
            (group.file_offset, group.total_compressed_size, group.ordinal) = (None, None, None);
            for chunk in &mut group.columns {
                let meta = chunk.meta_data.as_mut().unwrap();
                if meta.dictionary_page_offset.is_none() {
                    meta.dictionary_page_offset = Some(0);
                }
            }
        }
    });
    assert_eq!((0..4).map(|number| odd.row_group_start(number).unwrap()).collect::<Vec<_>>(), starts);
    let middle = starts[2].unwrap();
    let both = [0..middle, middle..u64::MAX].map(|range| of(&odd, ScanOptions::default().with_byte_range(range)));
    assert_eq!(both, [(0..600).collect::<Vec<_>>(), (600..1000).collect::<Vec<_>>()]);
    let broken = with_footer(&plain, |metadata| {
        metadata.row_groups[1].columns[0].meta_data.as_mut().unwrap().data_page_offset = -7;
        metadata.row_groups[1].columns[0].meta_data.as_mut().unwrap().dictionary_page_offset = None;
        metadata.row_groups[1].file_offset = None;
    });
    let e = broken.scan(ScanOptions::default().with_byte_range(0..9)).unwrap_err();
    assert!(matches!(e, hypostyle::Error::Corrupt(_)), "{e}");
}

#[test]
fn parts_of_a_table_have_each_row_once() {
    let memory = Memory::new();
    let mut table = Table::create(Arc::new(memory.clone()), batch(0, 1).schema(), CreateOptions::default()).unwrap();
    for (number, rows) in [0..1000, 1000..1001, 1001..1500, 1500..4000].into_iter().enumerate() {
        let path = table.data_path(&PartitionValues::new());
        let options = WriterOptions::default().with_row_group_rows(90 + number * 70);
        let batch = batch(rows.start, rows.end);
        let mut writer = FileWriter::new(memory.create(&path).unwrap(), batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        let written = writer.finish().unwrap();
        let schema = Arc::clone(&table.snapshot().schema);
        let mut add = AddFile::from_written(&written, &schema, &path, PartitionValues::new()).unwrap();
        // What the log says of a length may be wrong; rows may not get lost by it.
        add.bytes = [add.bytes, 0, add.bytes / 3, add.bytes * 5][number];
        let mut transaction = table.transaction();
        transaction.add(add);
        transaction.commit().unwrap();
        table.refresh().unwrap();
    }
    for of in [1, 2, 3, 7, 100] {
        let part = |number| ids(table.scan(table::ScanOptions::default().with_part(number, of)).unwrap());
        let parts: Vec<Vec<i64>> = (0..of).map(part).collect();
        if of == 100 {
            assert!(parts.iter().filter(|part| !part.is_empty()).count() > 1, "it is really divided");
        }
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..4000).collect::<Vec<_>>(), "{of} parts");
    }
    assert!(table.scan(table::ScanOptions::default().with_part(2, 2)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ranges_that_cover_the_file_have_each_group_once(
        group_rows in 1usize..400,
        cuts in prop::collection::vec(0u64..60_000, 0..12),
    ) {
        let file = file(group_rows);
        let mut borders = cuts;
        borders.extend([0, u64::MAX]);
        borders.sort_unstable();
        let parts = borders.windows(2).map(|pair| of(&file, ScanOptions::default().with_byte_range(pair[0]..pair[1])));
        let all: Vec<i64> = parts.flatten().collect();
        prop_assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }
}
