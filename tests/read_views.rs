//! Strings and binary values read as views.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, LargeStringBuilder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Memory, Storage};

/// Empty, short, as long as a view holds, longer, with characters of several bytes; some null.
fn text(row: usize) -> Option<String> {
    match row % 7 {
        0 => None,
        1 => Some(String::new()),
        2 => Some("é".repeat(row % 13)),
        3 => Some("twelve bytes".into()),
        4 => Some(format!("thirteen byte{row}")),
        _ => Some(format!("row {row} of many, each of them longer than a view")),
    }
}

fn batch(rows: usize) -> RecordBatch {
    let mut plain = StringBuilder::new();
    let mut large = LargeStringBuilder::new();
    let mut binary = BinaryBuilder::new();
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in 0..rows {
        plain.append_option(text(row));
        large.append_option(text(row * 3));
        binary.append_option(text(row * 5).map(|t| [&[0xff], t.as_bytes()].concat()));
        for i in 0..row % 4 {
            lists.values().append_option(text(row + i));
        }
        lists.append(row % 5 != 0);
        map.keys().append_value(format!("key {row}"));
        map.values().append_option(text(row));
        map.append(true).unwrap();
    }
    let plain: ArrayRef = Arc::new(plain.finish());
    let fields = vec![Arc::new(Field::new("s", DataType::Utf8, true))];
    let nested = StructArray::new(fields.into(), vec![Arc::clone(&plain)], None);
    RecordBatch::try_from_iter_with_nullable([
        ("plain", plain, true),
        ("large", Arc::new(large.finish()) as ArrayRef, true),
        ("binary", Arc::new(binary.finish()) as ArrayRef, true),
        ("lists", Arc::new(lists.finish()) as ArrayRef, true),
        ("map", Arc::new(map.finish()) as ArrayRef, true),
        ("nested", Arc::new(nested) as ArrayRef, true),
    ])
    .unwrap()
}

fn read(storage: &Memory, options: ReaderOptions) -> Vec<RecordBatch> {
    let file = FileReader::open(storage.open("f").unwrap(), options).unwrap();
    file.scan(ScanOptions::default()).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn all_strings_at_any_depth_are_views() {
    let rows = batch(5000);
    for dictionary in [true, false] {
        for compression in [Compression::Uncompressed, Compression::Snappy] {
            let storage = Memory::new();
            let options = WriterOptions::default()
                .with_compression(compression)
                .with_dictionary(dictionary)
                .with_page_bytes(16 << 10);
            let mut writer = FileWriter::new(storage.create("f").unwrap(), rows.schema(), options).unwrap();
            writer.write(&rows).unwrap();
            writer.finish().unwrap();
            // All batches are held until the last one is read, so no page's buffer may be filled again before.
            let got = read(&storage, ReaderOptions::default().with_views(true).with_batch_rows(700));
            let want = read(&storage, ReaderOptions::default().with_batch_rows(700));
            assert_eq!(want.iter().map(RecordBatch::num_rows).sum::<usize>(), 5000);
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(&want) {
                for (name, data_type) in
                    [("plain", DataType::Utf8View), ("large", DataType::Utf8View), ("binary", DataType::BinaryView)]
                {
                    let (got, want) = (got.column_by_name(name).unwrap(), want.column_by_name(name).unwrap());
                    assert_eq!(got.data_type(), &data_type, "{name}");
                    got.to_data().validate_full().unwrap();
                    assert_eq!(&cast(got, want.data_type()).unwrap(), want, "{name}");
                }
                for name in ["lists", "map", "nested"] {
                    let (got, want) = (got.column_by_name(name).unwrap(), want.column_by_name(name).unwrap());
                    got.to_data().validate_full().unwrap();
                    let (views, strings) = match name {
                        "lists" => (got.as_list::<i32>().values(), want.as_list::<i32>().values()),
                        "map" => (got.as_map().values(), want.as_map().values()),
                        _ => (got.as_struct().column(0), want.as_struct().column(0)),
                    };
                    assert_eq!(views.data_type(), &DataType::Utf8View, "{name}");
                    assert_eq!(&cast(views, strings.data_type()).unwrap(), strings, "{name}");
                    assert_eq!(got.logical_nulls(), want.logical_nulls(), "{name}");
                }
            }
        }
    }
}
