//! Files that the `parquet` crate wrote, over types, nulls, codecs, page versions, dictionaries and page sizes,
//! are read back equal; projections, batch sizes, limits and predicates give what filtering afterwards gives.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, FixedSizeBinaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use half::f16;
use hypostyle::Error;
use hypostyle::parquet::format::Encoding;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::predicate::{Predicate, col};
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use proptest::prelude::*;

/// A source of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    None,
    Some,
    Runs,
    All,
}

/// Values of every type that can be read; `distinct` bounds how many different ones there are.
fn columns(rows: usize, nulls: Nulls, distinct: u64, seed: u64) -> Vec<(&'static str, ArrayRef)> {
    let mut numbers = Numbers(seed | 1);
    let picked: Vec<Option<u64>> = (0..rows)
        .map(|row| {
            let value = (numbers.next() % distinct).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let is_there = match nulls {
                Nulls::None => true,
                Nulls::Some => !numbers.next().is_multiple_of(3),
                Nulls::Runs => row / 100 % 2 == 0,
                Nulls::All => false,
            };
            is_there.then_some(value)
        })
        .collect();
    macro_rules! primitive {
        ($t:ty, $f:expr) => {
            Arc::new(picked.iter().map(|v| v.map($f)).collect::<PrimitiveArray<$t>>()) as ArrayRef
        };
    }
    let text: StringArray =
        picked.iter().map(|v| v.map(|v| "größer als ".repeat((v % 5) as usize) + &(v % 1000).to_string())).collect();
    let binary: BinaryArray = picked.iter().map(|v| v.map(|v| v.to_le_bytes()[..(v % 9) as usize].to_vec())).collect();
    let mut flags = BooleanBuilder::new();
    let mut fixed = FixedSizeBinaryBuilder::new(5);
    for value in &picked {
        flags.append_option(value.map(|v| v & 64 == 0));
        match value {
            Some(v) => fixed.append_value(&v.to_be_bytes()[..5]).unwrap(),
            None => fixed.append_null(),
        }
    }
    let day = |v: u64| (v % 40_000) as i32;
    let decimal128 = |p, s, digits: u64| {
        let array = picked.iter().map(|v| v.map(|v| i128::from(v % digits) - i128::from(digits / 2)));
        Arc::new(array.collect::<Decimal128Array>().with_precision_and_scale(p, s).unwrap()) as ArrayRef
    };
    let wide = picked.iter().map(|v| v.map(|v| i256::from_i128(-i128::from(v)).wrapping_mul(i256::from_i128(1 << 90))));
    let wide: Decimal256Array = wide.collect::<Decimal256Array>().with_precision_and_scale(60, 3).unwrap();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    vec![
        ("flag", Arc::new(flags.finish())),
        ("i8", primitive!(Int8Type, |v| v as i8)),
        ("i16", primitive!(Int16Type, |v| v as i16)),
        ("i32", primitive!(Int32Type, |v| v as i32)),
        ("i64", primitive!(Int64Type, |v| v as i64)),
        ("u8", primitive!(UInt8Type, |v| v as u8)),
        ("u16", primitive!(UInt16Type, |v| v as u16)),
        ("u32", primitive!(UInt32Type, |v| v as u32)),
        ("u64", primitive!(UInt64Type, |v| v)),
        ("f16", primitive!(Float16Type, |v| f16::from_f32(v as i16 as f32))),
        ("f32", primitive!(Float32Type, |v| v as i32 as f32 / 7.0)),
        ("f64", primitive!(Float64Type, |v| v as i64 as f64 / 7.0)),
        ("date32", primitive!(Date32Type, day)),
        ("date64", primitive!(Date64Type, |v| i64::from(day(v)) * 86_400_000)),
        ("time_s", primitive!(Time32SecondType, |v| (v % 86_400) as i32)),
        ("time_ms", primitive!(Time32MillisecondType, |v| (v % 86_400_000) as i32)),
        ("time_us", primitive!(Time64MicrosecondType, |v| (v % 86_400_000_000) as i64)),
        ("time_ns", primitive!(Time64NanosecondType, |v| (v % 86_400_000_000_000) as i64)),
        ("ts_s", primitive!(TimestampSecondType, |v| (v % 4_000_000_000) as i64)),
        ("ts_ms", primitive!(TimestampMillisecondType, |v| v as i64 >> 8)),
        ("ts_us", primitive!(TimestampMicrosecondType, |v| v as i64 >> 4)),
        ("ts_ns", primitive!(TimestampNanosecondType, |v| v as i64)),
        (
            "ts_utc",
            Arc::new(
                picked
                    .iter()
                    .map(|v| v.map(|v| v as i64 >> 4))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
        ),
        ("duration", primitive!(DurationMillisecondType, |v| v as i64)),
        ("decimal_9", decimal128(9, 2, 100_000_000)),
        ("decimal_18", decimal128(18, 4, 10_000_000_000)),
        ("decimal_38", decimal128(38, 10, u64::MAX)),
        ("decimal_60", Arc::new(wide)),
        ("large_text", cast(&text, &DataType::LargeUtf8).unwrap()),
        ("text_view", cast(&text, &DataType::Utf8View).unwrap()),
        ("binary_view", cast(&binary, &DataType::BinaryView).unwrap()),
        ("large_binary", cast(&binary, &DataType::LargeBinary).unwrap()),
        ("dictionary", cast(&text, &dictionary).unwrap()),
        ("text", Arc::new(text)),
        ("binary", Arc::new(binary)),
        ("fixed", Arc::new(fixed.finish())),
        ("nothing", Arc::new(NullArray::new(rows))),
    ]
}

fn batch(columns: Vec<(&'static str, ArrayRef)>, is_nullable: bool) -> RecordBatch {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), is_nullable || *name == "nothing"))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, a)| a).collect()).unwrap()
}

fn write(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn open(bytes: Vec<u8>, options: ReaderOptions) -> FileReader {
    let storage = Memory::new();
    storage.put("file.parquet", bytes).unwrap();
    FileReader::open(storage.open("file.parquet").unwrap(), options).unwrap()
}

fn read(file: &FileReader, options: ScanOptions) -> RecordBatch {
    let scan = file.scan(options).unwrap();
    let schema = Arc::clone(scan.schema());
    let batches: Vec<RecordBatch> = scan.map(|b| b.unwrap()).collect();
    assert!(batches.iter().all(|b| b.num_rows() > 0), "no batch is empty");
    concat(&schema, &batches)
}

fn concat(schema: &SchemaRef, batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(schema, batches).unwrap()
}

/// Compares values and types; how nulls are filled underneath does not count.
fn assert_equal(got: &RecordBatch, want: &RecordBatch, what: &str) {
    assert_eq!(got.num_rows(), want.num_rows(), "{what}");
    assert_eq!(got.num_columns(), want.num_columns(), "{what}");
    for (field, (g, w)) in got.schema().fields().iter().zip(got.columns().iter().zip(want.columns())) {
        assert_eq!(g.data_type(), w.data_type(), "{what}: type of {}", field.name());
        assert_eq!(g, w, "{what}: column {}", field.name());
        if let Some(text) = g.as_string_opt::<i32>() {
            assert_eq!(
                text.values().len(),
                text.iter().flatten().map(str::len).sum::<usize>(),
                "{what}: nulls are empty"
            );
        }
    }
}

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder().set_write_batch_size(64)
}

#[test]
fn every_type_is_read_with_every_kind_of_nulls_page_and_dictionary() {
    for nulls in [Nulls::None, Nulls::Some, Nulls::Runs, Nulls::All] {
        for (is_dictionary, version, distinct) in [
            (true, WriterVersion::PARQUET_1_0, 20),
            (true, WriterVersion::PARQUET_2_0, 300),
            (false, WriterVersion::PARQUET_1_0, u64::MAX),
            (true, WriterVersion::PARQUET_1_0, u64::MAX),
            // The writer's choice for these are the delta encodings.
            (false, WriterVersion::PARQUET_2_0, u64::MAX),
        ] {
            let want = batch(columns(2500, nulls, distinct, 7), nulls != Nulls::None);
            for page_rows in [97, 20_000] {
                let properties = properties()
                    .set_dictionary_enabled(is_dictionary)
                    .set_writer_version(version)
                    .set_data_page_row_count_limit(page_rows)
                    .set_dictionary_page_size_limit(if distinct > 300 { 2000 } else { 1 << 20 })
                    .set_max_row_group_row_count(Some(1000))
                    .build();
                let bytes = write(&want, properties);
                for batch_rows in [333, 8192] {
                    let file = open(bytes.clone(), ReaderOptions::default().with_batch_rows(batch_rows));
                    let what = format!(
                        "{nulls:?}, dictionary {is_dictionary}, {version:?}, pages of {page_rows}, batches of {batch_rows}"
                    );
                    assert_eq!(file.rows(), 2500);
                    assert_equal(&read(&file, ScanOptions::default()), &want, &what);
                }
            }
        }
    }
}

#[test]
fn every_codec_is_read() {
    let want = batch(columns(1000, Nulls::Some, 50, 3), true);
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4_RAW,
        Compression::LZ4,
    ] {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let built =
                properties().set_compression(codec).set_writer_version(version).set_data_page_row_count_limit(300);
            let file = open(write(&want, built.build()), ReaderOptions::default());
            assert_equal(&read(&file, ScanOptions::default()), &want, &format!("{codec:?} {version:?}"));
        }
    }
}

#[test]
fn split_bytes_are_read() {
    let all = columns(1000, Nulls::Some, 50, 3).into_iter();
    let is_split = |name: &str| ["i32", "i64", "f16", "f32", "f64", "ts_us", "decimal_38", "fixed"].contains(&name);
    let want = batch(all.filter(|(name, _)| is_split(name)).collect(), true);
    let built = properties().set_dictionary_enabled(false).set_encoding(parquet::basic::Encoding::BYTE_STREAM_SPLIT);
    let file = open(write(&want, built.build()), ReaderOptions::default());
    assert_equal(&read(&file, ScanOptions::default()), &want, "byte stream split");
    assert!(file.pages(0, 0).unwrap().iter().all(|p| p.encoding == Some(Encoding::ByteStreamSplit)));
}

#[test]
fn an_empty_file_and_no_columns_have_rows() {
    let none = batch(columns(0, Nulls::None, 1, 1), false);
    let file = open(write(&none, properties().build()), ReaderOptions::default());
    assert_eq!(file.scan(ScanOptions::default()).unwrap().count(), 0);
    let some = batch(columns(100, Nulls::None, 9, 1), false);
    let file = open(write(&some, properties().build()), ReaderOptions::default().with_batch_rows(30));
    let scan = file.scan(ScanOptions::default().with_columns([""; 0])).unwrap();
    assert_eq!(scan.map(|b| b.unwrap().num_rows()).collect::<Vec<_>>(), [30, 30, 30, 10]);
}

#[test]
fn what_cannot_be_asked_for_is_named() {
    let file =
        open(write(&batch(columns(10, Nulls::None, 9, 1), false), properties().build()), ReaderOptions::default());
    let e = file.scan(ScanOptions::default().with_columns(["fare"])).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("no column fare"), "{e}");
    let e = file.scan(ScanOptions::default().with_row_groups([0, 1])).unwrap_err();
    assert!(e.to_string().contains("no row group 1"), "{e}");
    let e = file.scan(ScanOptions::default().with_predicate(col("speed").gt(1))).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("speed"), "{e}");
    assert!(e.to_string().starts_with("memory:file.parquet: "), "{e}");
}

/// Sorted keys, so that pages can be dropped; each row group of 1000, each page of 100 rows.
fn sorted_file(options: ReaderOptions) -> (RecordBatch, FileReader) {
    let mut columns = columns(5000, Nulls::Some, 1000, 11);
    columns.push(("key", Arc::new((0..5000i64).map(Some).collect::<Int64Array>())));
    let want = batch(columns, true);
    let built = properties()
        .set_max_row_group_row_count(Some(1000))
        .set_data_page_row_count_limit(100)
        .set_write_batch_size(100)
        .build();
    let file = open(write(&want, built), options);
    (want, file)
}

#[test]
fn a_predicate_skips_row_groups_and_pages() {
    let (want, file) = sorted_file(ReaderOptions::default());
    let mut scan = file
        .scan(
            ScanOptions::default()
                .with_columns(["text", "i32"])
                .with_predicate(col("key").ge(2310).and(col("key").lt(2330))),
        )
        .unwrap();
    let batches: Vec<RecordBatch> = scan.by_ref().map(|b| b.unwrap()).collect();
    let got = concat(&Arc::clone(scan.schema()), &batches);
    let all = want.project(&[want.schema().index_of("text").unwrap(), want.schema().index_of("i32").unwrap()]).unwrap();
    assert_equal(&got, &all.slice(2310, 20), "rows 2310 to 2330");
    let counts = scan.counts();
    assert_eq!((counts.row_groups_read, counts.row_groups_skipped), (1, 4));
    assert_eq!((counts.pages_read, counts.pages_skipped), (3, 27), "one page of each column");
    assert_eq!((counts.rows_read, counts.rows_returned), (100, 20));
    let all_bytes: i64 = file
        .metadata()
        .unwrap()
        .row_groups
        .iter()
        .flat_map(|g| &g.columns)
        .map(|c| c.meta_data.as_ref().unwrap().total_compressed_size)
        .sum();
    assert_eq!(counts.bytes_read + counts.bytes_skipped, all_bytes as u64);
    assert!(counts.bytes_read * 20 < all_bytes as u64, "{counts:?}");
}

/// A text of words, so that it is compressed.
fn words(row: usize) -> String {
    (0..row % 9 + 1).map(|word| ["carefully ", "final ", "deposits ", "sleep "][(row >> word) % 4]).collect()
}

/// Of a page in PLAIN that Snappy compressed, no more is decompressed than what stands before the last row that is wanted, and
/// of pages no more fetched than those that have one, whatever pages of the judged column have it.
#[test]
fn of_a_page_its_start_is_decompressed() {
    const ROWS: usize = 20_000;
    const PAGE: usize = 2000;
    let keys: Int64Array = (0..ROWS as i64).map(Some).collect();
    let sparse: Int32Array = (0..ROWS).map(|row| (row % 7 != 0).then_some((row * row) as i32 % 100)).collect();
    // From the middle of each page on, nothing.
    let halves: StringArray = (0..ROWS).map(|row| (row % PAGE < PAGE / 2).then(|| words(row))).collect();
    let texts: StringArray = (0..ROWS).map(|row| Some(words(row))).collect();
    let names = ["key", "sparse", "halves", "texts", "key_too"];
    let arrays: [ArrayRef; 5] =
        [Arc::new(keys.clone()), Arc::new(sparse), Arc::new(halves), Arc::new(texts), Arc::new(keys)];
    let want = batch(names.into_iter().zip(arrays).collect(), true);
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let built = properties()
            .set_dictionary_enabled(false)
            .set_compression(Compression::SNAPPY)
            .set_writer_version(version)
            .set_column_encoding("texts".into(), parquet::basic::Encoding::PLAIN)
            .set_column_encoding("halves".into(), parquet::basic::Encoding::PLAIN)
            .set_column_encoding("sparse".into(), parquet::basic::Encoding::PLAIN)
            .set_column_encoding("key".into(), parquet::basic::Encoding::PLAIN)
            .set_column_encoding("key_too".into(), parquet::basic::Encoding::PLAIN)
            .set_data_page_row_count_limit(PAGE)
            .set_write_batch_size(100);
        let file = open(write(&want, built.build()), ReaderOptions::default());
        let whole = |column: usize, row: usize| {
            let index = file.offset_index(0, column).unwrap().unwrap();
            let page = index.page_locations.iter().rfind(|page| page.first_row_index <= row as i64).unwrap();
            page.compressed_page_size as u64
        };
        let seen = |condition: Predicate, rows: &[usize]| {
            let mut scan = file.scan(ScanOptions::default().with_predicate(condition)).unwrap();
            let batches: Vec<RecordBatch> = scan.by_ref().map(|b| b.unwrap()).collect();
            let parts: Vec<RecordBatch> = rows.iter().map(|&row| want.slice(row, 1)).collect();
            assert_equal(&concat(&want.schema(), &batches), &concat(&want.schema(), &parts), "the rows");
            scan.column_counts()
        };
        let key = |row: usize| col("key").eq(row as i64);
        // A row near the start, in the middle, behind which nothing is, and near the end.
        let counts = [10, 1010, 1990].map(|row| seen(key(4000 + row), &[4000 + row]));
        for (column, name) in names.iter().enumerate() {
            let [start, middle, end] = [0, 1, 2].map(|at| counts[at][column].bytes_decompressed);
            if *name == "key" {
                assert_eq!((start, middle), (end, end), "it is judged for all rows");
                continue;
            }
            assert!(start > 0 && start * 5 < end, "{name}: {start} of {end}");
            assert!(
                start < middle && middle * 3 < end * if *name == "halves" { 4 } else { 2 },
                "{name}: {middle} of {end}"
            );
        }
        // Rows of two pages: of the first one all is wanted, or its start.
        let two = seen(key(4010).or(key(6010)), &[4010, 6010]);
        assert_eq!(two[4].bytes_decompressed, 2 * counts[0][4].bytes_decompressed);
        assert_eq!(two[4].bytes_fetched, whole(4, 4010) + whole(4, 6010));
        let all = seen(key(4010).or(key(5999)), &[4010, 5999]);
        assert!(all[4].bytes_decompressed >= counts[2][4].bytes_decompressed);
    }
}

#[test]
fn pages_are_fetched_for_the_rows_that_were_judged() {
    const ROWS: usize = 20_000;
    let keys: ArrayRef = Arc::new((0..ROWS as i64).map(Some).collect::<Int64Array>());
    let texts: ArrayRef = Arc::new((0..ROWS).map(|row| Some(words(row))).collect::<StringArray>());
    let want = batch(vec![("key", keys), ("text", texts)], true);
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        // Some pages of texts go with one of keys.
        let built = properties()
            .set_dictionary_enabled(false)
            .set_compression(compression)
            .set_data_page_row_count_limit(4000)
            .set_data_page_size_limit(32_000)
            .set_write_batch_size(100);
        let file = open(write(&want, built.build()), ReaderOptions::default());
        let pages = |column| file.offset_index(0, column).unwrap().unwrap().page_locations;
        assert!(pages(1).len() > 2 * pages(0).len(), "{}", pages(1).len());
        for row in [4000, 5000, 7990] {
            let mut scan = file.scan(ScanOptions::default().with_predicate(col("key").eq(row))).unwrap();
            let batches: Vec<RecordBatch> = scan.by_ref().map(|b| b.unwrap()).collect();
            assert_equal(&concat(&want.schema(), &batches), &want.slice(row as usize, 1), "the row");
            let page = pages(1).into_iter().rfind(|page| page.first_row_index <= row).unwrap();
            assert_eq!(scan.column_counts()[1].bytes_fetched, page.compressed_page_size as u64, "row {row}");
        }
    }
}

#[test]
fn a_limit_ends_early() {
    let (want, file) = sorted_file(ReaderOptions::default().with_batch_rows(100));
    let mut scan = file.scan(ScanOptions::default().with_limit(150)).unwrap();
    let rows: Vec<usize> = scan.by_ref().map(|b| b.unwrap().num_rows()).collect();
    assert_eq!(rows, [100, 50]);
    assert_eq!(scan.counts().row_groups_skipped, 4);
    let options = ScanOptions::default().with_predicate(col("key").ge(1999)).with_limit(3);
    assert_equal(&read(&file, options), &want.slice(1999, 3), "three rows across a border");
    assert_eq!(file.scan(ScanOptions::default().with_limit(0)).unwrap().count(), 0);
}

#[test]
fn row_groups_are_read_in_the_order_asked_for() {
    let (want, file) = sorted_file(ReaderOptions::default());
    let got = read(&file, ScanOptions::default().with_row_groups([3, 0]));
    assert_equal(&got, &concat(&want.schema(), &[want.slice(3000, 1000), want.slice(0, 1000)]), "groups 3 and 0");
}

#[test]
fn all_matching_groups_are_not_judged_row_by_row() {
    let (want, file) = sorted_file(ReaderOptions::default());
    let mut scan = file.scan(ScanOptions::default().with_columns(["i64"]).with_predicate(col("key").ge(1000))).unwrap();
    let rows: usize = scan.by_ref().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(rows, 4000);
    assert_eq!(scan.counts().rows_read, 0, "statistics said that all of them match");
    assert_eq!(want.num_rows(), 5000);
}

#[test]
fn a_budget_that_is_too_small_is_a_limit() {
    let (_, file) = sorted_file(ReaderOptions::default().with_memory_bytes(60_000));
    let e = file.scan(ScanOptions::default()).unwrap().find_map(Result::err).unwrap();
    assert!(matches!(e, Error::Limit(_)), "{e}");
}

fn predicates() -> impl Strategy<Value = Predicate> {
    let leaf = prop_oneof![
        (-100i64..5100).prop_map(|v| col("key").gt(v)),
        (-100i64..5100).prop_map(|v| col("key").le(v)),
        any::<i32>().prop_map(|v| col("i32").lt(i64::from(v))),
        any::<i8>().prop_map(|v| col("i8").ge(i64::from(v))),
        (0u32..1000).prop_map(|v| col("text").gt(v.to_string())),
        (0u32..1000).prop_map(|v| col("dictionary").eq(v.to_string())),
        any::<i32>().prop_map(|v| col("f64").lt(f64::from(v))),
        Just(col("flag").eq(true)),
        Just(col("decimal_38").gt(0)),
        Just(col("text_view").is_null()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(|a| !a),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn projections_predicates_and_limits_are_as_filtering_afterwards(
        predicate in prop::option::of(predicates()),
        picked in prop::collection::vec(0usize..38, 1..6),
        batch_rows in prop_oneof![Just(8192usize), 1usize..300, 900usize..1100],
        limit in prop::option::of(0u64..6000),
        at in 0..4usize,
    ) {
        static FILES: std::sync::OnceLock<[(RecordBatch, Vec<u8>); 4]> = std::sync::OnceLock::new();
        let files = FILES.get_or_init(|| {
            let plain = |version| properties()
                .set_dictionary_enabled(false)
                .set_compression(Compression::SNAPPY)
                .set_writer_version(version);
            [
                (properties(), EnabledStatistics::Page),
                (properties(), EnabledStatistics::None),
                // Of their pages, starts are decompressed.
                (plain(WriterVersion::PARQUET_1_0), EnabledStatistics::Page),
                (plain(WriterVersion::PARQUET_2_0), EnabledStatistics::None),
            ].map(|(properties, statistics)| {
                let mut columns = columns(5000, Nulls::Some, 1000, 11);
                columns.push(("key", Arc::new((0..5000i64).map(Some).collect::<Int64Array>())));
                let want = batch(columns, true);
                let built = properties
                    .set_max_row_group_row_count(Some(1000))
                    .set_data_page_row_count_limit(100)
                    .set_write_batch_size(50)
                    .set_statistics_enabled(statistics)
                    .set_offset_index_disabled(statistics == EnabledStatistics::None)
                    .build();
                let bytes = write(&want, built);
                (want, bytes)
            })
        });
        let (all, bytes) = &files[at];
        let file = open(bytes.clone(), ReaderOptions::default().with_batch_rows(batch_rows));
        let mut picked = picked;
        picked.dedup();
        let names: Vec<String> = picked.iter().map(|&i| all.schema().field(i).name().clone()).collect();
        let mut options = ScanOptions::default().with_columns(names);
        let mut want = all.clone();
        if let Some(predicate) = &predicate {
            let mask = predicate.bind(&all.schema()).unwrap().evaluate(&want).unwrap();
            want = filter_record_batch(&want, &mask).unwrap();
            options = options.with_predicate(predicate.clone());
        }
        if let Some(limit) = limit {
            want = want.slice(0, want.num_rows().min(limit as usize));
            options = options.with_limit(limit);
        }
        let want = want.project(&picked).unwrap();
        let mut scan = file.scan(options).unwrap();
        let batches: Vec<RecordBatch> = scan.by_ref().map(|b| b.unwrap()).collect();
        prop_assert!(batches.iter().all(|b| b.num_rows() > 0 && b.num_rows() <= batch_rows));
        let counts = scan.counts();
        let got = concat(&Arc::clone(scan.schema()), &batches);
        prop_assert_eq!(counts.rows_returned as usize, want.num_rows());
        prop_assert_eq!(counts.row_groups_read + counts.row_groups_skipped, 5);
        assert_equal(&got, &want, &format!("{predicate:?}"));
    }
}
