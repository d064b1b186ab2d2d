//! Columns written by several threads: the file is the same to the byte, and errors name their column.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use generate::nested::array;
use generate::{Random, every_type};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::write::{BloomFilters, ColumnOptions, FileWriter, WriterOptions};
use hypostyle::storage::{Memory, Storage};

/// A column of every type, plain and in a list, and a struct of several; enough rows that threads are worth while.
fn batches(seed: u64) -> Vec<RecordBatch> {
    let mut fields: Vec<Field> = Vec::new();
    for (number, data_type) in every_type().into_iter().enumerate() {
        if number % 5 == 0 {
            let item = Arc::new(Field::new("item", data_type.clone(), true));
            fields.push(Field::new(format!("list {number}"), DataType::List(item), true));
        }
        fields.push(Field::new(format!("c{number}"), data_type, true));
    }
    let inside = [DataType::Int32, DataType::Utf8, DataType::Float64];
    let inside: Fields = inside.into_iter().enumerate().map(|(i, t)| Field::new(format!("f{i}"), t, true)).collect();
    fields.push(Field::new("struct", DataType::Struct(inside), true));
    let schema = Arc::new(Schema::new(fields));
    let mut random = Random::new(seed);
    let batch = |rows: usize| {
        let columns = schema.fields().iter().map(|field| array(field, rows, &mut random)).collect();
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    [700, 3, 1500, 2000].map(batch).into()
}

fn write(batches: &[RecordBatch], options: WriterOptions) -> Bytes {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    memory.get("f").unwrap()
}

#[test]
fn the_file_is_the_same_with_any_number_of_threads() {
    let batches = batches(1);
    for options in [
        WriterOptions::default(),
        WriterOptions::default()
            .with_row_group_rows(1100)
            .with_compression(Compression::Snappy)
            .with_bloom_filter(BloomFilters::Rate(0.05))
            .with_column("c7", ColumnOptions { compression: Some(Compression::Gzip(1)), ..ColumnOptions::default() }),
    ] {
        let one = write(&batches, options.clone());
        for threads in [0, 2, 3, 200] {
            assert!(one == write(&batches, options.clone().with_threads(threads)), "{threads} threads");
        }
    }
}

#[test]
fn a_value_that_does_not_fit_is_told_by_column() {
    let rows = 20_000;
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, false),
        Field::new("c", DataType::Utf8, true),
    ]);
    let good = Int64Array::from_iter_values(0..rows);
    let bad: Int64Array = (0..rows).map(|n| (n != 19_000).then_some(n)).collect();
    let names = StringArray::from_iter_values((0..rows).map(|n| format!("name {n}")));
    let nullable =
        Schema::new(schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>());
    let columns: Vec<Arc<dyn Array>> = vec![Arc::new(good), Arc::new(bad), Arc::new(names)];
    let batch = RecordBatch::try_new(Arc::new(nullable), columns).unwrap();
    for threads in [1, 2, 4] {
        let memory = Memory::new();
        let options = WriterOptions::default().with_threads(threads);
        let mut writer = FileWriter::new(memory.create("f").unwrap(), Arc::new(schema.clone()), options).unwrap();
        let e = writer.write(&batch).unwrap_err();
        assert_eq!(e.place().column.as_deref(), Some("b"), "{e}");
        assert!(writer.finish().is_err(), "nothing more is written");
        assert!(memory.get("f").is_none());
    }
}
