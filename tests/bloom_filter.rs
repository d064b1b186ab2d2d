//! Bloom filters: the `parquet` crate reads ours and we read its own; they drop row groups, and never a row that matches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::{Arc, Mutex};

use arrow_array::builder::{Int64Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::*;
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use generate::{Nulls, Random};
use half::f16;
use hypostyle::Error;
use hypostyle::parquet::format::bloom_filter::BloomFilter;
use hypostyle::parquet::read::{Decryption, FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{BloomFilters, ColumnOptions, Encryption, FileWriter, WriterOptions};
use hypostyle::predicate::{Literal, Predicate, col, sql};
use hypostyle::storage::{Memory, Output, Storage};
use parquet::arrow::ArrowWriter;
use parquet::bloom_filter::Sbbf;
use parquet::file::properties::{EnabledStatistics, ReaderProperties, WriterProperties};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use proptest::prelude::*;

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Output for Shared {
    fn append(&mut self, bytes: &[u8]) -> hypostyle::Result<()> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> hypostyle::Result<()> {
        Ok(())
    }
}

fn write(batch: &RecordBatch, options: WriterOptions) -> Vec<u8> {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let mut writer = FileWriter::new(Box::new(Shared(bytes.clone())), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    std::mem::take(&mut *bytes.lock().unwrap())
}

fn open(bytes: &[u8], options: ReaderOptions) -> hypostyle::Result<FileReader> {
    let storage = Memory::new();
    let mut out = storage.create("it.parquet").unwrap();
    out.append(bytes).unwrap();
    out.finish().unwrap();
    FileReader::open(storage.open("it.parquet").unwrap(), options)
}

/// The rows that match, and how many row groups Bloom filters skipped.
fn read(file: &FileReader, predicate: Predicate) -> (RecordBatch, u64) {
    let mut scan = file.scan(ScanOptions::default().with_predicate(predicate)).unwrap();
    let schema = scan.schema().clone();
    let batches: Vec<RecordBatch> = scan.by_ref().map(Result::unwrap).collect();
    (concat_batches(&schema, &batches).unwrap(), scan.counts().row_groups_skipped_by_bloom_filter)
}

/// Random ids, of which bounds say nothing.
fn ids(rows: usize) -> RecordBatch {
    let mut random = Random::new(7);
    let ids: Vec<i64> = (0..rows).map(|_| random.next() as i64).collect();
    let texts: StringArray = ids.iter().map(|id| (id % 3 != 0).then(|| format!("{:x}", id % 1000))).collect();
    let mut lists = ListBuilder::new(Int64Builder::new());
    for id in &ids {
        lists.append_value((0..id.rem_euclid(3)).map(|i| Some(id ^ i)));
    }
    RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
        ("text", Arc::new(texts)),
        ("list", Arc::new(lists.finish())),
    ])
    .unwrap()
}

fn filtered() -> WriterOptions {
    WriterOptions::default().with_row_group_rows(1000).with_bloom_filter(BloomFilters::Rate(0.01))
}

#[test]
fn a_row_group_without_the_value_is_not_read() {
    let batch = ids(10_000);
    let encryption =
        Encryption::new(*b"0123456789012345").with_column_key("id", *b"1234567890123450").with_column("text");
    let keys = Decryption::new().with_footer_key(*b"0123456789012345").with_column_key("id", *b"1234567890123450");
    for (options, reader) in [
        (filtered(), ReaderOptions::default()),
        (filtered().with_dictionary(false), ReaderOptions::default()),
        (filtered().with_encryption(encryption), ReaderOptions::default().with_decryption(keys)),
    ] {
        let file = open(&write(&batch, options), reader).unwrap();
        let all: &Int64Array = batch.column(0).as_primitive();
        for row in [0, 1234, 5678, 9999] {
            let (found, skipped) = read(&file, col("id").eq(all.value(row)));
            assert_eq!(found, batch.slice(row, 1));
            assert!(skipped >= 8, "{skipped} of 9 skipped");
        }
        let some = [all.value(17), all.value(9017), 12_345];
        let (found, skipped) = read(&file, col("id").is_in(some));
        assert_eq!(found.num_rows(), 2);
        assert!(skipped >= 6, "{skipped} of 8 skipped");
        assert_eq!(read(&file, col("text").eq("nowhere")).0.num_rows(), 0);
        // What a filter cannot tell, it is not asked.
        let (found, skipped) = read(&file, !col("id").eq(all.value(0)));
        assert_eq!((found.num_rows(), skipped), (9_999, 0));
        assert_eq!(read(&file, col("id").gt(0)).1, 0);
    }
}

#[test]
fn filters_are_as_large_as_what_came() {
    let batch = ids(1000);
    let file = open(&write(&batch, filtered()), ReaderOptions::default()).unwrap();
    let bytes = |column| file.bloom_filter(0, column).unwrap().map(|filter| filter.bytes());
    // 1000 values at 9.7 bits; 667 of the texts are there, fewer of them differ.
    assert_eq!((bytes(0), bytes(1), bytes(2)), (Some(2048), Some(1024), Some(2048)));
    let none = ColumnOptions { bloom_filter: Some(BloomFilters::Never), ..ColumnOptions::default() };
    let small = ColumnOptions { bloom_filter: Some(BloomFilters::Bytes(100)), ..ColumnOptions::default() };
    let options = filtered().with_column("text", none).with_column("id", small);
    let file = open(&write(&batch, options), ReaderOptions::default()).unwrap();
    assert_eq!(file.bloom_filter(0, 1).unwrap(), None);
    assert_eq!(file.bloom_filter(0, 0).unwrap().unwrap().bytes(), 128);
    // Behind the chunks, before the page index.
    let (meta, chunk) = (file.column_metadata(0, 0).unwrap(), file.chunk(0, 0).unwrap());
    let (start, length) = (meta.bloom_filter_offset.unwrap(), i64::from(meta.bloom_filter_length.unwrap()));
    let last = file.column_metadata(0, 2).unwrap();
    assert_eq!(
        start,
        last.data_page_offset.min(last.dictionary_page_offset.unwrap_or(i64::MAX)) + last.total_compressed_size
    );
    assert!(start + length <= chunk.column_index_offset.unwrap());
}

#[test]
fn what_cannot_be_is_named() {
    let batch = RecordBatch::try_from_iter([("b", Arc::new(BooleanArray::from(vec![true])) as ArrayRef)]).unwrap();
    let of_b = |filter| {
        let column = ColumnOptions { bloom_filter: Some(filter), ..ColumnOptions::default() };
        WriterOptions::default().with_column("b", column)
    };
    for (options, says) in [
        (of_b(BloomFilters::Rate(0.01)), "column b: a Bloom filter of Boolean values"),
        (of_b(BloomFilters::Rate(1.0)), "between 0 and 1"),
        (WriterOptions::default().with_bloom_filter(BloomFilters::Rate(f64::NAN)), "between 0 and 1"),
        (WriterOptions::default().with_bloom_filter(BloomFilters::Bytes(1 << 30)), "at most 134217728"),
    ] {
        let e = FileWriter::new(Box::new(Shared(Arc::default())), batch.schema(), options).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains(says), "{e}");
    }
    // For all columns, it is for those that can.
    let file = open(&write(&batch, filtered()), ReaderOptions::default()).unwrap();
    assert_eq!(file.bloom_filter(0, 0).unwrap(), None);
}

#[test]
fn the_parquet_crate_reads_our_filters() {
    let batch = ids(3000);
    let bytes = Bytes::from(write(&batch, filtered()));
    let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
    let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
    let reader = SerializedFileReader::new_with_options(bytes, options).unwrap();
    let (ids, texts): (&Int64Array, &StringArray) = (batch.column(0).as_primitive(), batch.column(1).as_string());
    for group in 0..3 {
        let group_reader = reader.get_row_group(group).unwrap();
        let filter = |column| group_reader.get_column_bloom_filter(column).unwrap();
        let rows = group * 1000..(group + 1) * 1000;
        assert!(rows.clone().all(|row| filter(0).check(&ids.value(row))));
        assert!(rows.clone().all(|row| texts.is_null(row) || filter(1).check(texts.value(row))));
        let wrong = (0..10_000i64).filter(|v| filter(0).check(v)).count();
        assert!(wrong < 150, "{wrong}");
    }
}

#[test]
fn the_parquet_crates_filters_are_read() {
    let batch = ids(3000);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(1000))
        .set_bloom_filter_enabled(true)
        .set_bloom_filter_fpp(0.01)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let file = open(&writer.into_inner().unwrap(), ReaderOptions::default()).unwrap();
    let (ids, texts): (&Int64Array, &StringArray) = (batch.column(0).as_primitive(), batch.column(1).as_string());
    let (found, skipped) = read(&file, col("id").eq(ids.value(2500)));
    assert_eq!((found, skipped), (batch.slice(2500, 1), 2));
    let there = (0..3000).find(|&row| texts.is_valid(row)).unwrap();
    assert!(read(&file, col("text").eq(texts.value(there))).0.num_rows() > 0);
    assert_eq!(read(&file, col("text").eq("nowhere")).1, 3);
}

/// A value of each column as the predicate has it.
fn literal(array: &dyn Array, row: usize) -> Option<String> {
    Some(match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = arrow_cast::cast(array, &DataType::Utf8).unwrap();
            format!("'{}'", text.as_string::<i32>().value(row).replace('\'', "''"))
        }
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => {
            format!("'{}'", arrow_cast::display::array_value_to_string(array, row).ok()?)
        }
        t if t.is_numeric() => arrow_cast::display::array_value_to_string(array, row).unwrap(),
        _ => return None,
    })
}

#[test]
fn every_value_of_every_type_is_found() {
    let mut random = Random::new(11);
    let mut judged = 0;
    for data_type in generate::every_type() {
        let schema = generate::schema_of(std::slice::from_ref(&data_type), true);
        for distinct in [Some(20), None] {
            let array = generate::array(&data_type, 200, Nulls::Some, distinct, &mut random);
            let batch = RecordBatch::try_new(schema.clone(), vec![array]).unwrap();
            let name = schema.field(0).name().clone();
            // Without statistics, only the filter tells.
            let options = filtered().with_row_group_rows(40).with_statistics(false);
            let file = open(&write(&batch, options), ReaderOptions::default()).unwrap();
            let back = file.scan(ScanOptions::default()).unwrap().collect::<hypostyle::Result<Vec<_>>>().unwrap();
            let back = concat_batches(file.schema(), &back).unwrap();
            for row in (0..200).step_by(7) {
                let Some(text) = literal(back.column(0), row).filter(|_| batch.column(0).is_valid(row)) else {
                    continue;
                };
                let Ok(predicate) = sql::parse(&format!("\"{name}\" = {text}")) else { continue };
                let Ok(bound) = predicate.bind(file.schema()) else { continue };
                let want = filter_record_batch(&back, &bound.evaluate(&back).unwrap()).unwrap();
                assert_eq!(read(&file, predicate).0, want, "{data_type}: {text}");
                judged += usize::from(want.num_rows() > 0);
            }
        }
    }
    assert!(judged > 500, "{judged}");
}

#[test]
fn equal_values_of_other_bytes_are_found() {
    let floats = Float64Array::from(vec![-0.0, f64::from_bits(0x7ff8_0000_0000_0001), 5.0]);
    let halves = Float16Array::from(vec![f16::NEG_ZERO, f16::NAN, f16::ONE]);
    let seconds = TimestampSecondArray::from(vec![-1, 0, 1]);
    let bytes = Int8Array::from(vec![-1, 0, 1]);
    let decimals = Decimal128Array::from(vec![-5, 0, 7]).with_precision_and_scale(30, 2).unwrap();
    let batch = RecordBatch::try_from_iter([
        ("f", Arc::new(floats) as ArrayRef),
        ("h", Arc::new(halves)),
        ("s", Arc::new(seconds)),
        ("b", Arc::new(bytes)),
        ("d", Arc::new(decimals)),
    ])
    .unwrap();
    let file = open(&write(&batch, filtered().with_statistics(false)), ReaderOptions::default()).unwrap();
    for (predicate, row) in [
        (col("f").eq(0.0), 0),
        (col("f").eq(f64::NAN), 1),
        (col("h").eq(0.0), 0),
        (col("s").eq(Literal::from("1970-01-01T00:00:01")), 2),
        (col("b").eq(-1), 0),
        (sql::parse("d = -0.05").unwrap(), 0),
        (sql::parse("d = 0.07").unwrap(), 2),
    ] {
        assert_eq!(read(&file, predicate.clone()).0, batch.slice(row, 1), "{predicate}");
    }
    assert_eq!(read(&file, col("f").eq(6.0)).1, 1);
    assert_eq!(read(&file, sql::parse("d = 0.06").unwrap()).1, 1);
}

#[test]
fn short_numbers_are_looked_up_where_bounds_show_that_none_is_cut() {
    let odd: ArrayRef = Arc::new(Int8Array::from_iter_values((-60..60).map(|n| n * 2 + 1)));
    let wide: ArrayRef = Arc::new(UInt16Array::from_iter_values((0..120).map(|n| n * 500 + 3)));
    let batch = RecordBatch::try_from_iter([("odd", odd), ("wide", wide)]).unwrap();
    let options = WriterOptions::default().with_bloom_filter(BloomFilters::Rate(0.0001)).with_dictionary(false);
    let file = open(&write(&batch, options.clone()), ReaderOptions::default()).unwrap();
    for (text, rows, skipped) in [("odd = 4", 0, 1), ("odd = -7", 1, 0), ("wide = 50000", 0, 1), ("wide = 59503", 1, 0)]
    {
        let (found, by_filter) = read(&file, sql::parse(text).unwrap());
        assert_eq!((found.num_rows(), by_filter), (rows, skipped), "{text}");
    }
    let without = open(&write(&batch, options.with_statistics(false)), ReaderOptions::default()).unwrap();
    assert_eq!(read(&without, col("odd").eq(4)).1, 0);
    assert_eq!(read(&without, col("odd").eq(-7)).0.num_rows(), 1);
}

#[test]
fn a_broken_filter_is_an_error_or_passed_over() {
    let batch = ids(100);
    let bytes = write(&batch, filtered());
    let file = open(&bytes, ReaderOptions::default()).unwrap();
    let meta = file.column_metadata(0, 0).unwrap();
    let start = meta.bloom_filter_offset.unwrap() as usize;
    let id = batch.column(0).as_primitive::<types::Int64Type>().value(50);
    // The header says how many bytes there are, and how they are made.
    let header = BloomFilter::with_bytes(256).encode().len() - 256;
    let mut refused = 0;
    for at in start..start + header {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            let file = open(&changed, ReaderOptions::default()).unwrap();
            refused += usize::from(file.bloom_filter(0, 0).is_err());
            let _ = read(&file, col("id").eq(id));
        }
    }
    assert!(refused > 4 * header, "{refused}");
    let mut changed = bytes.clone();
    changed[start..start + header].fill(0xff);
    let file = open(&changed, ReaderOptions::default()).unwrap();
    assert!(matches!(file.bloom_filter(0, 0).unwrap_err(), Error::Corrupt(_)));
    assert_eq!(read(&file, col("id").eq(id)).0, batch.slice(50, 1));
    // A filter beyond the budget is none, too.
    let big = ColumnOptions { bloom_filter: Some(BloomFilters::Bytes(4 << 20)), ..ColumnOptions::default() };
    let bytes = write(&batch, WriterOptions::default().with_column("id", big));
    let file = open(&bytes, ReaderOptions::default().with_memory_bytes(1 << 20)).unwrap();
    assert!(matches!(file.bloom_filter(0, 0).unwrap_err(), Error::Limit(_)));
    assert_eq!(read(&file, col("id").eq(id)).0, batch.slice(50, 1));
}

#[test]
fn the_bits_are_those_of_the_parquet_crate() {
    let ours = {
        let mut filter = BloomFilter::with_bytes(1024);
        (0..100i64).for_each(|v| filter.insert(BloomFilter::hash(&v.to_le_bytes())));
        filter.encode()
    };
    let theirs = {
        let mut filter = Sbbf::new_with_num_of_bytes(1024);
        (0..100i64).for_each(|v| filter.insert(&v));
        let mut out = Vec::new();
        filter.write(&mut out).unwrap();
        out
    };
    assert_eq!(ours, theirs);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_row_that_matches_is_dropped(
        values in prop::collection::vec(prop::option::of(-50i64..50), 1..400),
        asked in prop::collection::vec(-60i64..60, 1..5),
        rate in prop::sample::select(vec![0.9, 0.3, 0.01]),
        rows in 1usize..100,
        negate in any::<bool>(),
    ) {
        let texts: StringArray = values.iter().map(|v| v.map(|v| v.to_string())).collect();
        let floats: Float64Array = values.iter().map(|v| v.map(|v| v as f64 / 2.0)).collect();
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(values)) as ArrayRef),
            ("t", Arc::new(texts)),
            ("f", Arc::new(floats)),
        ]).unwrap();
        let options = WriterOptions::default().with_row_group_rows(rows).with_bloom_filter(BloomFilters::Rate(rate));
        let file = open(&write(&batch, options), ReaderOptions::default()).unwrap();
        let texts: Vec<String> = asked.iter().map(i64::to_string).collect();
        for predicate in [
            col("n").eq(asked[0]),
            col("n").is_in(asked.clone()),
            col("t").eq(texts[0].as_str()).or(col("n").eq(asked[0])),
            col("t").is_in(texts.iter().map(String::as_str)).and(col("n").gt(0)),
            col("f").eq(asked[0] as f64 / 2.0),
        ] {
            let predicate = if negate { !predicate } else { predicate };
            let answers = predicate.bind(&batch.schema()).unwrap().evaluate(&batch).unwrap();
            let want = filter_record_batch(&batch, &answers).unwrap();
            prop_assert_eq!(read(&file, predicate).0, want);
        }
    }
}
