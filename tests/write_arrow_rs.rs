//! Files that this crate writes, as the `parquet` crate reads them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, SchemaRef};
use bytes::Bytes;
use generate::{Nulls, Random, array, every_type, schema_of};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::{
    Compatibility, FileReader, FileWriter, ReaderOptions, ScanOptions, WriterOptions, WrittenFile,
};
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use proptest::prelude::*;

fn write(schema: &SchemaRef, batches: &[RecordBatch], options: WriterOptions) -> (Bytes, WrittenFile) {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), schema.clone(), options).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    let written = writer.finish().unwrap();
    let bytes = memory.get("f").unwrap();
    assert_eq!(bytes.len() as u64, written.bytes);
    (bytes, written)
}

fn open(bytes: &Bytes) -> ParquetRecordBatchReaderBuilder<Bytes> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options.clone()).unwrap();
    // That crate restores the types of dictionaries of views and fixed arrays, but cannot read PLAIN pages into them.
    let is_unread = |t: &DataType| matches!(t, DataType::Dictionary(_, v) if **v != DataType::Utf8);
    if builder.schema().fields().iter().any(|f| is_unread(f.data_type())) {
        let options = options.with_skip_arrow_metadata(true);
        return ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options).unwrap();
    }
    builder
}

fn read(bytes: &Bytes) -> RecordBatch {
    let builder = open(bytes).with_batch_size(1000);
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

/// The same through this crate's own reader, which restores every type.
fn assert_read_back(bytes: &Bytes, written: &RecordBatch) {
    let memory = Memory::new();
    memory.put("f", bytes.clone()).unwrap();
    let reader = FileReader::open(memory.open("f").unwrap(), ReaderOptions::default().with_batch_rows(777)).unwrap();
    assert_eq!(reader.schema(), written.schema_ref());
    let batches: Vec<_> = reader.scan(ScanOptions::default()).unwrap().map(Result::unwrap).collect();
    let read = arrow_select::concat::concat_batches(reader.schema(), &batches).unwrap();
    assert_eq!(read.num_rows(), written.num_rows());
    for (i, (read, written)) in read.columns().iter().zip(written.columns()).enumerate() {
        assert_eq!(read.data_type(), written.data_type());
        assert_eq!(&flat(read), &flat(written), "column {i} of {}", written.data_type());
    }
}

/// A dictionary as its values.
fn flat(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Dictionary(_, value) => {
            let dictionary = array.as_any_dictionary();
            let flat = arrow_select::take::take(dictionary.values(), dictionary.keys(), None).unwrap();
            assert_eq!(flat.data_type(), value.as_ref());
            flat
        }
        _ => array.clone(),
    }
}

/// Equal, where that crate restores the type, or as what it reads instead (seconds come back as milliseconds).
fn assert_same(read: &RecordBatch, written: &RecordBatch) {
    assert_eq!(read.num_rows(), written.num_rows());
    assert_eq!(read.num_columns(), written.num_columns());
    for (i, (read, written)) in read.columns().iter().zip(written.columns()).enumerate() {
        let (read, written) = (flat(read), flat(written));
        let as_read = arrow_cast::cast(&written, read.data_type()).unwrap();
        assert_eq!(&read, &as_read, "column {i} of {}", written.data_type());
    }
}

fn batch_of(schema: &SchemaRef, rows: usize, nulls: Nulls, distinct: Option<u64>, seed: u64) -> RecordBatch {
    let mut random = Random::new(seed);
    let columns = schema
        .fields()
        .iter()
        .map(|f| {
            let nulls = if f.is_nullable() { nulls } else { Nulls::None };
            array(f.data_type(), rows, nulls, distinct, &mut random)
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).unwrap()
}

/// Bounds hold every value, exact ones are values, counts count, and pages follow each other.
fn assert_bounded(bytes: &Bytes, written: &RecordBatch) {
    let builder = open(bytes);
    let metadata = builder.metadata();
    let (arrow, parquet) = (builder.schema(), builder.parquet_schema());
    let groups: Vec<usize> = (0..metadata.num_row_groups()).collect();
    let mut bounded = 0;
    for (i, column) in written.columns().iter().enumerate() {
        let values = arrow_cast::cast(&flat(column), flat_type(arrow.field(i).data_type())).unwrap();
        let converter = match StatisticsConverter::try_new(arrow.field(i).name(), arrow, parquet) {
            Ok(converter) if converter.parquet_column_index().is_some() => converter,
            _ => panic!("column {i}"),
        };
        let mins = converter.row_group_mins(metadata.row_groups()).unwrap();
        let maxes = converter.row_group_maxes(metadata.row_groups()).unwrap();
        let null_counts = converter.row_group_null_counts(metadata.row_groups()).unwrap();
        let mut at = 0;
        for (g, group) in metadata.row_groups().iter().enumerate() {
            let rows = group.num_rows() as usize;
            let values = values.slice(at, rows);
            assert_eq!(null_counts.value(g) as usize, null_count(&values), "column {i}");
            bounded += usize::from(assert_within(&values, &mins, &maxes, g, i));
            let chunk = group.column(i);
            if let Some(statistics) = chunk.statistics()
                && let (Some(min), Some(max)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt())
                && matches!(values.data_type(), DataType::Utf8 | DataType::Binary)
            {
                let exact = |bound: &[u8], is_exact: bool| {
                    assert!(is_exact || bound.len() <= 64);
                    let is_value = (0..rows).any(|r| values.is_valid(r) && bytes_at(&values, r) == bound);
                    assert!(is_value || !is_exact, "column {i}: an exact bound that is no value");
                };
                exact(min, statistics.min_is_exact());
                exact(max, statistics.max_is_exact());
            }
            at += rows;
        }
        assert_eq!(at, written.num_rows());
        assert_pages(metadata, &converter, &values, &groups, i);
    }
    assert!(bounded > 0 || written.num_columns() < 10, "no column has bounds");
}

fn assert_pages(
    metadata: &ParquetMetaData,
    converter: &StatisticsConverter<'_>,
    values: &ArrayRef,
    groups: &[usize],
    i: usize,
) {
    let Some(offsets) = metadata.offset_index() else { return };
    let index = metadata.column_index();
    let mut row = 0;
    for &g in groups {
        let locations = offsets[g][i].page_locations();
        let chunk = metadata.row_group(g).column(i);
        let rows = metadata.row_group(g).num_rows() as usize;
        let (start, length) = chunk.byte_range();
        let mut next = chunk.data_page_offset();
        assert!(chunk.dictionary_page_offset().is_none_or(|at| at < next && at as u64 == start));
        for (p, location) in locations.iter().enumerate() {
            assert_eq!(location.offset, next, "pages follow each other");
            next += i64::from(location.compressed_page_size);
            let first = location.first_row_index as usize;
            let last = locations.get(p + 1).map_or(rows, |l| l.first_row_index as usize);
            assert!(first < last && (p > 0 || first == 0));
        }
        assert_eq!(next as u64, start + length);
        let Some(index) = index else { continue };
        let one = [g];
        let mins = converter.data_page_mins(index, offsets, &one).unwrap();
        let maxes = converter.data_page_maxes(index, offsets, &one).unwrap();
        let nulls = converter.data_page_null_counts(index, offsets, &one).unwrap();
        for (p, location) in locations.iter().enumerate() {
            let first = location.first_row_index as usize;
            let last = locations.get(p + 1).map_or(rows, |l| l.first_row_index as usize);
            let page = values.slice(row + first, last - first);
            assert_within(&page, &mins, &maxes, p, i);
            if nulls.is_valid(p) {
                assert_eq!(nulls.value(p) as usize, null_count(&page), "column {i}, page {p}");
            }
        }
        row += rows;
    }
}

/// Whether there were bounds.
fn assert_within(values: &ArrayRef, mins: &ArrayRef, maxes: &ArrayRef, at: usize, column: usize) -> bool {
    if mins.is_null(at) && maxes.is_null(at) {
        return false;
    }
    let (min, max) = (mins.slice(at, 1), maxes.slice(at, 1));
    assert_eq!(min.data_type(), values.data_type());
    let options = arrow_schema::SortOptions::default();
    let to_min = arrow_ord::ord::make_comparator(values, &min, options).unwrap();
    let to_max = arrow_ord::ord::make_comparator(values, &max, options).unwrap();
    for row in (0..values.len()).filter(|&r| values.is_valid(r)) {
        assert!(min.is_null(0) || to_min(row, 0).is_ge(), "column {column}, row {row} is below {min:?}");
        assert!(max.is_null(0) || to_max(row, 0).is_le(), "column {column}, row {row} is above {max:?}");
    }
    true
}

fn null_count(array: &ArrayRef) -> usize {
    array.logical_null_count()
}

fn flat_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

fn bytes_at(array: &ArrayRef, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        _ => array.as_binary::<i32>().value(row),
    }
}

#[test]
fn every_type_comes_back() {
    let all = every_type();
    let tiny = |o: WriterOptions| o.with_page_rows(37).with_page_bytes(300).with_row_group_rows(450);
    for (name, rows, nulls, distinct, options) in [
        ("plain", 1000, Nulls::None, None, WriterOptions::default().with_dictionary(false)),
        ("plain with nulls", 1000, Nulls::Some, None, tiny(WriterOptions::default().with_dictionary(false))),
        ("dictionary", 1000, Nulls::None, Some(10), tiny(WriterOptions::default())),
        ("dictionary with nulls", 1000, Nulls::Some, Some(10), tiny(WriterOptions::default())),
        ("dictionary in one page", 3000, Nulls::Some, Some(100), WriterOptions::default()),
        ("fallback", 1000, Nulls::Some, None, tiny(WriterOptions::default()).with_dictionary_bytes(200)),
        ("all null", 500, Nulls::All, None, tiny(WriterOptions::default())),
        ("one row", 1, Nulls::None, None, WriterOptions::default()),
    ] {
        for nullable in [true, false] {
            if nulls != Nulls::None && !nullable {
                continue;
            }
            let schema = schema_of(&all, nullable);
            let batch = batch_of(&schema, rows, nulls, distinct, rows as u64);
            let (bytes, _) = write(&schema, std::slice::from_ref(&batch), options.clone());
            eprintln!("{name}, nullable {nullable}: {} bytes", bytes.len());
            assert_same(&read(&bytes), &batch);
            assert_read_back(&bytes, &batch);
            assert_bounded(&bytes, &batch);
        }
    }
}

#[test]
fn every_codec_comes_back() {
    let schema = schema_of(&every_type(), true);
    let batch = batch_of(&schema, 700, Nulls::Some, Some(300), 5);
    for codec in ["none", "snappy", "gzip:1", "brotli:1", "zstd:1", "lz4"] {
        for dictionary in [true, false] {
            let compression: Compression = codec.parse().unwrap();
            let options = WriterOptions::default().with_compression(compression).with_dictionary(dictionary);
            let (bytes, _) = write(&schema, std::slice::from_ref(&batch), options.with_page_rows(111));
            assert_same(&read(&bytes), &batch);
            assert_read_back(&bytes, &batch);
        }
    }
}

#[test]
fn slices_and_many_batches_come_back() {
    let schema = schema_of(&every_type(), true);
    let whole = batch_of(&schema, 2000, Nulls::Some, Some(40), 6);
    let mut slices = Vec::new();
    let (mut at, mut random) = (3, Random::new(1));
    while at < 1990 {
        let rows = (1 + random.below(300) as usize).min(1990 - at);
        slices.push(whole.slice(at, rows));
        slices.push(whole.slice(at, 0));
        at += rows;
    }
    let options = WriterOptions::default().with_page_rows(100).with_row_group_rows(777);
    let (bytes, written) = write(&schema, &slices, options);
    assert_same(&read(&bytes), &whole.slice(3, 1987));
    assert_read_back(&bytes, &whole.slice(3, 1987));
    assert_bounded(&bytes, &whole.slice(3, 1987));
    let rows: Vec<i64> = written.metadata.row_groups.iter().map(|g| g.num_rows).collect();
    assert_eq!(rows, [777, 777, 433]);
}

#[test]
fn no_rows_and_no_columns() {
    let schema = schema_of(&every_type(), true);
    let (bytes, written) = write(&schema, &[], WriterOptions::default());
    assert_eq!((written.metadata.row_groups.len(), written.metadata.num_rows), (0, 0));
    assert_eq!(read(&bytes).num_rows(), 0);
    let (bytes, _) = write(&schema, &[batch_of(&schema, 0, Nulls::None, None, 1)], WriterOptions::default());
    assert_eq!(read(&bytes).num_columns(), schema.fields().len());

    let none = schema_of(&[], true);
    let batch = batch_of(&none, 5, Nulls::None, None, 1);
    let (bytes, written) = write(&none, &[batch.clone(), batch], WriterOptions::default().with_row_group_rows(7));
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    assert_eq!(builder.metadata().file_metadata().num_rows(), 10);
    assert_eq!(written.metadata.row_groups.iter().map(|g| g.num_rows).collect::<Vec<_>>(), [7, 3]);
}

fn any_nulls() -> impl Strategy<Value = Nulls> {
    prop_oneof![Just(Nulls::None), Just(Nulls::Some), Just(Nulls::Some), Just(Nulls::All)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
    #[test]
    fn whatever_is_written_is_read(
        types in prop::collection::vec(prop::sample::select(every_type()), 1..5),
        batches in prop::collection::vec((0usize..300, any_nulls(), prop::option::of(1u64..50)), 0..5),
        (page_rows, page_bytes, group_rows, group_bytes) in (1usize..200, 1usize..5000, 1usize..400, 1usize..20_000),
        (dictionary, dictionary_bytes, bounds) in (any::<bool>(), 1usize..3000, 0usize..65),
        codec in prop::sample::select(vec!["none", "snappy", "zstd:1", "lz4"]),
        compatibility in prop::sample::select(vec![Compatibility::Universal, Compatibility::Modern]),
        seed in any::<u64>(),
    ) {
        let schema = schema_of(&types, true);
        let batches: Vec<_> = batches
            .into_iter()
            .enumerate()
            .map(|(i, (rows, nulls, distinct))| batch_of(&schema, rows, nulls, distinct, seed.wrapping_add(i as u64)))
            .collect();
        let options = WriterOptions::default()
            .with_page_rows(page_rows)
            .with_page_bytes(page_bytes)
            .with_row_group_rows(group_rows)
            .with_row_group_bytes(group_bytes)
            .with_dictionary(dictionary)
            .with_dictionary_bytes(dictionary_bytes)
            .with_bounds_bytes_max(bounds)
            .with_compatibility(compatibility)
            .with_compression(codec.parse().unwrap());
        let (bytes, written) = write(&schema, &batches, options);
        let whole = arrow_select::concat::concat_batches(&schema, &batches).unwrap();
        prop_assert_eq!(written.metadata.num_rows as usize, whole.num_rows());
        assert_same(&read(&bytes), &whole);
        assert_read_back(&bytes, &whole);
        assert_bounded(&bytes, &whole);
    }
}

#[test]
fn the_arrow_schema_is_kept() {
    let metadata = [("k".to_string(), "v".to_string())].into();
    let fields = schema_of(&[DataType::LargeUtf8, DataType::Date64], true).fields().clone();
    let schema: SchemaRef = Arc::new(arrow_schema::Schema::new_with_metadata(fields, metadata));
    let (bytes, _) = write(&schema, &[], WriterOptions::default().with_key_value("origin", "test"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    assert_eq!(builder.schema().fields(), schema.fields());
    assert_eq!(builder.schema().metadata().get("k").map(String::as_str), Some("v"));
    let file = builder.metadata().file_metadata();
    let pairs = file.key_value_metadata().unwrap();
    assert!(pairs.iter().any(|kv| kv.key == "origin" && kv.value.as_deref() == Some("test")));
    assert_eq!(file.created_by(), Some("hypostyle version 0.1.0"));
    assert_eq!(file.column_orders().map(Vec::len), Some(2));
}
