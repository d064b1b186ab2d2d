//! What a reader does not know, and what it was told not to take.

use std::sync::Arc;

use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use hypostyle::parquet::format::{
    Codec, ColumnOrder, ConvertedType, Encoding, FileMetaData, LogicalType, Repetition, Type,
};
use hypostyle::parquet::read::{ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, WriterOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{Memory, Storage};

use super::file::*;

#[test]
fn what_is_not_known_harms_its_own_column_alone() {
    let batch = RecordBatch::try_from_iter([
        ("good", Arc::new(Int32Array::from_iter_values(0..100)) as ArrayRef),
        ("odd", Arc::new(Int32Array::from_iter_values(0..100)) as ArrayRef),
    ])
    .unwrap();
    let (bytes, _) = write(&batch, WriterOptions::default());
    type Change = fn(&mut FileMetaData);
    let changes: [(Change, &str); 7] = [
        (|m| m.schema[2].type_ = Some(Type::Unknown(99)), "unknown type 99"),
        (|m| m.schema[2].repetition = Some(Repetition::Unknown(9)), "unknown repetition 9"),
        (|m| m.schema[2].repetition = Some(Repetition::Vector), "VECTOR"),
        (|m| m.row_groups[0].columns[1].meta_data.as_mut().unwrap().codec = Codec::Unknown(77), "77"),
        (|m| m.row_groups[0].columns[1].file_path = Some("other.parquet".into()), "other.parquet"),
        (|m| m.row_groups[0].columns[1].meta_data = None, "metadata"),
        (|m| m.row_groups[0].columns[1].meta_data.as_mut().unwrap().data_page_offset = -5, "-5"),
    ];
    for (change, says) in changes {
        let odd = with_footer(&bytes, change);
        let good = scan(&odd, ReaderOptions::default(), ScanOptions::default().with_columns(["good"])).unwrap();
        assert_eq!(good.column(0), batch.column(0), "{says}");
        let e = scan(&odd, ReaderOptions::default(), ScanOptions::default().with_columns(["odd"])).unwrap_err();
        assert!(e.to_string().contains("odd") && e.to_string().contains(says), "{says}: {e}");
    }
    // What only annotates or informs changes nothing.
    let silent: [Change; 4] = [
        |m| m.schema[2].logical_type = Some(LogicalType::Unknown(0)),
        |m| m.schema[2].converted_type = Some(ConvertedType::Unknown(55)),
        |m| m.column_orders = Some(vec![ColumnOrder::Unknown(0); 2]),
        |m| {
            let meta = m.row_groups[0].columns[1].meta_data.as_mut().unwrap();
            meta.encodings = vec![Encoding::Unknown(88)];
            meta.dictionary_page_offset = Some(0);
        },
    ];
    for change in silent {
        let odd = with_footer(&bytes, change);
        let got = scan(&odd, ReaderOptions::default(), ScanOptions::default().with_predicate(col("odd").gt(49)));
        assert_eq!(got.unwrap().num_rows(), 50);
    }
}

#[test]
fn limits_are_the_callers() {
    let strings: StringArray = (0..2000).map(|i| Some(format!("a string of some length {}", i % 1000))).collect();
    let list = Arc::new(Field::new("item", DataType::Int32, true));
    let deep = (0..5).fold(list, |f, _| Arc::new(Field::new("item", DataType::List(f), true)));
    let nested = new_null_array(deep.data_type(), 2000);
    let batch = RecordBatch::try_from_iter([("text", Arc::new(strings) as ArrayRef), ("deep", nested)]).unwrap();
    let encoding = ColumnOptions { encoding: Some(Encoding::RleDictionary), ..ColumnOptions::default() };
    let (bytes, _) = write(&batch, WriterOptions::default().with_column("text", encoding));
    let of = |options: ReaderOptions| scan(&bytes, options, ScanOptions::default().with_columns(["text"]));
    let default = ReaderOptions::default;
    for (options, says) in [
        (default().with_page_bytes_max(1000), "page_bytes_max"),
        (default().with_dictionary_bytes_max(10_000), "dictionary_bytes_max"),
        (default().with_schema_elements_max(12), "13 elements"),
        (default().with_schema_depth_max(10), "deeper than 10"),
        (default().with_memory_bytes(20_000), "memory_bytes"),
    ] {
        let Err(e) = of(options) else { panic!("{says} is no limit") };
        assert!(e.kind() == "limit" && e.to_string().contains(says), "{says}: {e}");
    }
    let enough = default()
        .with_page_bytes_max(100_000)
        .with_dictionary_bytes_max(100_000)
        .with_schema_elements_max(13)
        .with_schema_depth_max(11);
    assert_eq!(of(enough).unwrap().num_rows(), 2000);
    // No schema is written that could not be read.
    let too_deep = (0..80).fold(deep, |f, _| Arc::new(Field::new("item", DataType::List(f), true)));
    let schema = Arc::new(Schema::new(vec![too_deep]));
    let e = FileWriter::new(Memory::new().create("f").unwrap(), schema, WriterOptions::default()).unwrap_err();
    assert_eq!(e.kind(), "limit", "{e}");
}
