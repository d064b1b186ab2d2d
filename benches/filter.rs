//! Filtering: rows of the file a second, beside the `parquet` crate's `RowFilter` with its page index, and beside reading
//! everything and filtering then, all in the same process and from the same file in memory.
//!
//! `cargo bench --bench filter` for all, `cargo bench --bench filter -- dictionary` for some.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs, reason = "a bench may panic")]

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, WriterOptions};
use hypostyle::predicate::{BoundPredicate, Predicate, col, sql};
use hypostyle::storage::{Input, Memory, Storage};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowFilter,
};
use parquet::file::metadata::PageIndexPolicy;

const ROWS: usize = 1 << 20;
const BATCH_ROWS: usize = 8192;

/// A number without a pattern for each row.
fn noise(row: usize) -> u64 {
    let mixed = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 8
}

/// A key in order, marks of each selectivity, strings in a dictionary and not, and columns that are only carried.
fn data() -> RecordBatch {
    let rows = || 0..ROWS;
    let integers = |of: fn(usize) -> i64| Arc::new(Int64Array::from_iter_values((0..ROWS).map(of))) as ArrayRef;
    let word = |r: usize| format!("https://example.org/{}", noise(r) % 5000);
    let url = |r: usize| format!("https://example.org/{}/{}", noise(r) % 977, noise(r + ROWS));
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("key".into(), integers(|r| r as i64)),
        ("percent".into(), integers(|r| (noise(r) % 100) as i64)),
        ("cluster".into(), integers(|r| (noise(r / 4000) % 100) as i64)),
        ("id".into(), integers(|r| noise(r) as i64)),
        ("word".into(), Arc::new(StringArray::from_iter_values(rows().map(word)))),
        ("url".into(), Arc::new(StringArray::from_iter_values(rows().map(url)))),
    ];
    for number in 0..5 {
        let values = Int64Array::from_iter_values(rows().map(|r| noise(r * 5 + number) as i64 >> (number * 8)));
        columns.push((format!("n{number}"), Arc::new(values)));
        let texts = StringArray::from_iter_values(rows().map(|r| format!("text {}", noise(r * 7 + number) % 100_000)));
        columns.push((format!("t{number}"), Arc::new(texts)));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

fn file() -> (Arc<dyn Input>, Bytes) {
    let batch = data();
    let plain = ColumnOptions { dictionary: Some(false), ..ColumnOptions::default() };
    let options = WriterOptions::default()
        .with_compression(Compression::Snappy)
        .with_row_group_rows(ROWS / 4)
        .with_page_rows(20_000)
        .with_page_rows_least(10_000)
        .with_column("url", plain);
    let storage = Memory::new();
    let mut writer = FileWriter::new(storage.create("file").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let input = storage.open("file").unwrap();
    let bytes = input.read(0..input.bytes()).unwrap();
    (input, bytes)
}

struct Case {
    name: &'static str,
    predicate: Predicate,
    columns: Vec<String>,
}

fn cases() -> Vec<Case> {
    let all: Vec<String> = data().schema().fields().iter().map(|f| f.name().clone()).collect();
    let case = |name, text: &str| Case { name, predicate: sql::parse(text).unwrap(), columns: all.clone() };
    let two = |name, text: &str| Case { columns: vec!["n0".into(), "t1".into()], ..case(name, text) };
    let ids = (0..1000).map(|r| noise(r * 977) as i64);
    vec![
        case("point look-up", "key = 700001"),
        case("selective range", "key between 500000 and 505000"),
        case("random 1 %", "percent < 1"),
        case("random 10 %", "percent < 10"),
        case("random 50 %", "percent < 50"),
        case("random 99 %", "percent < 99"),
        case("clustered 10 %", "cluster < 10"),
        case("dictionary string", "word = 'https://example.org/4321'"),
        two("dictionary string, 2 of 16", "word = 'https://example.org/4321'"),
        case("plain string", "url like 'https://example.org/321/%'"),
        two("plain string, 2 of 16", "url like 'https://example.org/321/%'"),
        Case { name: "in of 1000", predicate: col("id").is_in(ids), columns: all.clone() },
        two("random 10 %, 2 of 16", "percent < 10"),
        two("two conditions, 2 of 16", "url like '%/3_1/%' and percent < 5"),
    ]
}

fn ours(input: &Arc<dyn Input>, case: &Case) -> usize {
    let options = ReaderOptions::default().with_batch_rows(BATCH_ROWS);
    let file = FileReader::open(Arc::clone(input), options).unwrap();
    let options = ScanOptions::default().with_columns(case.columns.clone()).with_predicate(case.predicate.clone());
    file.scan(options).unwrap().map(|batch| black_box(batch.unwrap()).num_rows()).sum()
}

fn read_then_filter(input: &Arc<dyn Input>, case: &Case) -> usize {
    let options = ReaderOptions::default().with_batch_rows(BATCH_ROWS);
    let file = FileReader::open(Arc::clone(input), options).unwrap();
    let bound = case.predicate.bind(file.schema()).unwrap();
    let mut names = case.columns.clone();
    names.extend(bound.columns().into_iter().filter(|name| !case.columns.contains(name)));
    let scan = file.scan(ScanOptions::default().with_columns(names)).unwrap();
    let wanted: Vec<usize> = (0..case.columns.len()).collect();
    scan.map(|batch| {
        let batch = batch.unwrap();
        let answers = bound.evaluate(&batch).unwrap();
        black_box(filter_record_batch(&batch.project(&wanted).unwrap(), &answers).unwrap()).num_rows()
    })
    .sum()
}

/// Answers of the same kernels, as the other reader wants them.
fn evaluate(bound: &BoundPredicate, batch: &RecordBatch) -> BooleanArray {
    bound.evaluate(batch).unwrap()
}

fn theirs(bytes: &Bytes, case: &Case) -> usize {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load(bytes, options).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes.clone(), metadata);
    let schema = builder.parquet_schema();
    let mask = |names: &[String]| ProjectionMask::columns(schema, names.iter().map(String::as_str));
    let bound = case.predicate.bind(builder.schema()).unwrap();
    let of_filter = mask(&bound.columns());
    let filter = ArrowPredicateFn::new(of_filter, move |batch| Ok(evaluate(&bound, &batch)));
    let output = mask(&case.columns);
    let reader = builder
        .with_batch_size(BATCH_ROWS)
        .with_projection(output)
        .with_row_filter(RowFilter::new(vec![Box::new(filter)]))
        .build()
        .unwrap();
    reader.map(|batch| black_box(batch.unwrap()).num_rows()).sum()
}

fn filter(c: &mut Criterion) {
    let (input, bytes) = file();
    for case in cases() {
        let mut group = c.benchmark_group(case.name);
        group.throughput(Throughput::Elements(ROWS as u64)).sample_size(10);
        group.bench_function(BenchmarkId::from_parameter("hypostyle"), |b| {
            assert_eq!(ours(&input, &case), read_then_filter(&input, &case), "{}", case.name);
            b.iter(|| ours(&input, &case));
        });
        group.bench_function(BenchmarkId::from_parameter("read, then filter"), |b| {
            b.iter(|| read_then_filter(&input, &case));
        });
        group.bench_function(BenchmarkId::from_parameter("parquet-rs"), |b| {
            assert_eq!(theirs(&bytes, &case), read_then_filter(&input, &case), "{}", case.name);
            b.iter(|| theirs(&bytes, &case));
        });
        group.finish();
    }
}

criterion_group!(benches, filter);
criterion_main!(benches);
