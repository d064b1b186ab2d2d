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
use hypostyle::parquet::write::{BloomFilters, ColumnOptions, FileWriter, WriterMemory, WriterOptions};
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

/// Files side by side and one after another, of pieces that others had before.
#[test]
fn the_file_is_the_same_of_shared_memory() {
    let batches = batches(2);
    let options = WriterOptions::default().with_row_group_rows(1100).with_page_rows(100);
    let alone = write(&batches, options.clone());
    let memory = WriterMemory::new(2 << 20);
    let options = options.with_memory(memory.clone());
    std::thread::scope(|scope| {
        for threads in [1, 1, 2] {
            let (batches, alone, options) = (&batches, &alone, options.clone().with_threads(threads));
            scope.spawn(move || (0..3).for_each(|_| assert!(write(batches, options.clone()) == *alone)));
        }
    });
    let free = memory.free_bytes();
    assert!((1..=2 << 20).contains(&free), "{free}");

    // A file that is given up gives its pieces back as well.
    memory.release();
    let mut writer = FileWriter::new(Memory::new().create("f").unwrap(), batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.flush().unwrap();
    let rest = memory.free_bytes();
    batches[..1].iter().for_each(|batch| writer.write(batch).unwrap());
    assert!(memory.free_bytes() < rest, "{rest}");
    drop(writer);
    assert!(memory.free_bytes() >= rest, "{rest}");
}

/// Rows wait until there are enough for threads, but never beyond where a row group closes.
#[test]
fn row_groups_close_with_the_same_rows_with_any_number_of_threads() {
    let mut random = Random::new(3);
    let batch = |rows: usize| {
        let noise: Vec<i64> = (0..rows).map(|_| random.next() as i64).collect();
        let text: StringArray = noise.iter().map(|n| (n % 7 != 0).then(|| format!("{:x}", n % 5000))).collect();
        let few: Int64Array = noise.iter().map(|n| n % 3).collect();
        let columns: [(_, Arc<dyn Array>); 3] =
            [("noise", Arc::new(Int64Array::from(noise))), ("text", Arc::new(text)), ("few", Arc::new(few))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let batches: Vec<RecordBatch> = [100_000, 1, 30_000, 8192, 8192, 8192, 350_000, 5].map(batch).into();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    for (bytes, group_rows) in [(600 << 10, 1 << 20), (128 << 20, 123_456), (128 << 20, 1 << 20)] {
        let options = WriterOptions::default().with_row_group_bytes(bytes).with_row_group_rows(group_rows);
        let one = write(&batches, options.clone());
        for threads in [2, 3] {
            assert!(one == write(&batches, options.clone().with_threads(threads)), "{bytes} bytes, {threads} threads");
        }
    }

    let memory = Memory::new();
    let options = WriterOptions::default().with_threads(2);
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batches[0].schema(), options).unwrap();
    for (at, batch) in batches.iter().enumerate() {
        writer.write(batch).unwrap();
        let written: usize = batches[..=at].iter().map(RecordBatch::num_rows).sum();
        assert_eq!(writer.rows(), written as u64);
    }
    writer.flush().unwrap();
    assert_eq!(writer.finish().unwrap().metadata.row_groups[0].num_rows, rows as i64);
}

/// Of strings that take a dictionary of several megabytes, and numbers.
fn large_dictionary(rows: usize, random: &mut Random, with_null: bool) -> RecordBatch {
    let text = (0..rows).map(|_| Some(format!("a string of some length, number {:08}", random.next() % 50_000)));
    let number = (0..rows).map(|row| (!with_null || row != 7).then_some(row as i64));
    let columns: [(_, Arc<dyn Array>); 2] =
        [("text", Arc::new(text.collect::<StringArray>())), ("number", Arc::new(number.collect::<Int64Array>()))];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// With one thread rows wait for the sake of large dictionaries: none is left out, row groups are the same, and so are errors.
#[test]
fn rows_that_wait_for_large_dictionaries_come_in_their_order() {
    let mut random = Random::new(4);
    let batches: Vec<RecordBatch> = (0..30).map(|_| large_dictionary(8192, &mut random, false)).collect();
    for (bytes, group_rows) in [(3 << 20, 1 << 20), (128 << 20, 123_456), (128 << 20, 1 << 20)] {
        let options = WriterOptions::default()
            .with_row_group_bytes(bytes)
            .with_row_group_rows(group_rows)
            .with_compression(Compression::Uncompressed);
        let one = write(&batches, options.clone());
        for threads in [2, 3] {
            assert!(one == write(&batches, options.clone().with_threads(threads)), "{bytes} bytes, {threads} threads");
        }
    }

    let schema =
        Schema::new(vec![Field::new("text", DataType::Utf8, false), Field::new("number", DataType::Int64, false)]);
    let output = Memory::new().create("f").unwrap();
    let mut writer = FileWriter::new(output, Arc::new(schema), WriterOptions::default()).unwrap();
    let mut most = 0;
    for batch in &batches {
        let before = writer.memory_bytes();
        writer.write(batch).unwrap();
        most = most.max(writer.memory_bytes().saturating_sub(before));
    }
    assert!(most > 200_000, "no rows have waited: {most}");
    let message = writer.write(&large_dictionary(100, &mut random, true)).unwrap_err().to_string();
    assert!(message.contains("number") && message.contains("not nullable"), "{message}");
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
        // With threads, rows wait for more of them.
        let e = writer.write(&batch).and_then(|()| writer.flush()).unwrap_err();
        assert_eq!(e.place().column.as_deref(), Some("b"), "{e}");
        assert!(writer.finish().is_err(), "nothing more is written");
        assert!(memory.get("f").is_none());
    }
}
