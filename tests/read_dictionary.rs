//! Dictionary pages are read where a page needs them, and stand for nothing in another chunk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::{Encoding, PageType};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{Memory, Storage};

const ROWS: i64 = 60_000;

/// Few names in the first rows, then each one another: the dictionary is given up on the way.
fn written() -> Vec<u8> {
    let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let name = |row: i64| if row < ROWS / 2 { format!("name {}", row % 100) } else { format!("row {row} alone") };
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(name)));
    let batch = RecordBatch::try_from_iter([("row", rows), ("name", names)]).unwrap();
    let storage = Memory::new();
    let options = WriterOptions::default()
        .with_compression(Compression::Uncompressed)
        .with_dictionary_bytes(16 << 10)
        .with_page_bytes(32 << 10);
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let input = storage.open("f").unwrap();
    input.read(0..input.bytes()).unwrap().to_vec()
}

fn open(bytes: &[u8]) -> FileReader {
    let storage = Memory::new();
    let mut output = storage.create("f").unwrap();
    output.append(bytes).unwrap();
    output.finish().unwrap();
    FileReader::open(storage.open("f").unwrap(), ReaderOptions::default()).unwrap()
}

#[test]
fn rows_of_plain_pages_need_no_dictionary() {
    let mut bytes = written();
    let pages = open(&bytes).pages(0, 1).unwrap();
    assert_eq!(pages[0].kind, PageType::DictionaryPage);
    assert_eq!(pages[1].encoding, Some(Encoding::RleDictionary));
    assert_ne!(pages.last().unwrap().encoding, Some(Encoding::RleDictionary), "given up on the way");
    // A byte of the dictionary's body is flipped: its checksum tells whoever reads it.
    let at = usize::try_from(pages[1].offset).unwrap() - 5;
    bytes[at] ^= 1;
    let file = open(&bytes);
    let of = |low: i64, high: i64| {
        let predicate = col("row").ge(low).and(col("row").lt(high));
        let scan = file.scan(ScanOptions::default().with_predicate(predicate)).unwrap();
        scan.collect::<Result<Vec<_>, _>>()
    };
    let got = of(ROWS - 3, ROWS).expect("no dictionary is wanted");
    let rows: Vec<i64> = got.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    let names: Vec<String> =
        got.iter().flat_map(|b| b.column(1).as_string::<i32>().iter().flatten().map(String::from)).collect();
    assert_eq!(rows, [ROWS - 3, ROWS - 2, ROWS - 1]);
    assert_eq!(names, rows.iter().map(|row| format!("row {row} alone")).collect::<Vec<_>>());
    let e = of(0, 3).expect_err("indices into what is broken");
    assert_eq!(e.kind(), "corrupt");
    assert_eq!(e.place().column.as_deref(), Some("name"));
}
