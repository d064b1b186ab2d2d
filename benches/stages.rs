//! The outer stages: a footer decoded and opened, beside the `parquet` crate; records taken in; a table's commits.
//!
//! `cargo bench --bench stages` for all, `cargo bench --bench stages -- footer` for some.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hypostyle::ingest::{Ingest, IngestOptions};
use hypostyle::log::{NdjsonLog, NdjsonOptions, Source};
use hypostyle::parquet::format::footer;
use hypostyle::parquet::read::{FileReader, ReaderOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions, WrittenFile};
use hypostyle::storage::{Memory, Storage};
use hypostyle::table::{AddFile, CreateOptions, PartitionValues, Table};
use parquet::file::metadata::ParquetMetaDataReader;

/// A file of so many columns and row groups of two rows.
fn file(columns: usize, groups: usize) -> (Memory, WrittenFile) {
    let rows = (groups * 2) as i64;
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let batch = RecordBatch::try_from_iter((0..columns).map(|i| (format!("column {i}"), column.clone()))).unwrap();
    let storage = Memory::new();
    let options = WriterOptions::default().with_row_group_rows(2);
    let mut writer = FileWriter::new(storage.create("file").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    let written = writer.finish().unwrap();
    (storage, written)
}

fn footers(c: &mut Criterion) {
    for (name, columns, groups) in [("16 columns x 12", 16, 12), ("1,000 columns x 20", 1000, 20)] {
        let (storage, written) = file(columns, groups);
        let input = storage.open("file").unwrap();
        let bytes: Bytes = input.read(0..input.bytes()).unwrap();
        let encoded = footer::encode(&written.metadata).unwrap();
        let thrift = bytes.slice(bytes.len() - encoded.len()..bytes.len() - footer::TAIL_BYTES as usize);
        let mut group = c.benchmark_group(format!("footer {name}"));
        group.throughput(Throughput::Bytes(thrift.len() as u64)).sample_size(20);
        group.measurement_time(Duration::from_secs(1));
        group.bench_function(BenchmarkId::new("thrift", "hypostyle"), |b| {
            b.iter(|| black_box(footer::decode(&thrift, 0).unwrap()).num_rows);
        });
        group.bench_function(BenchmarkId::new("thrift", "parquet-rs"), |b| {
            b.iter(|| black_box(ParquetMetaDataReader::decode_metadata(&thrift).unwrap()).num_row_groups());
        });
        group.bench_function(BenchmarkId::new("read_footer", "hypostyle"), |b| {
            b.iter(|| black_box(FileReader::read_footer(&*input, &ReaderOptions::default()).unwrap()).num_rows);
        });
        group.bench_function(BenchmarkId::new("read_footer", "parquet-rs"), |b| {
            b.iter(|| black_box(ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap()).num_row_groups());
        });
        group.bench_function(BenchmarkId::new("open", "hypostyle"), |b| {
            b.iter(|| black_box(FileReader::open(input.clone(), ReaderOptions::default()).unwrap()).rows());
        });
        group.bench_function(BenchmarkId::new("encode", "hypostyle"), |b| {
            b.iter(|| black_box(footer::encode(&written.metadata).unwrap()).len());
        });
        group.finish();
    }
}

/// Records of six fields over a day, into windows of an hour.
fn ingest(c: &mut Criterion) {
    const RECORDS: usize = 50_000;
    let line = |n: usize| {
        let second = n * 86_400 / RECORDS;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let (user, price) = (n * 31 % 997, n % 1000);
        format!(
            "{{\"at\": \"2024-01-01T{hour:02}:{minute:02}:{:02}Z\", \"user\": {user}, \"price\": {price}.25, \
             \"page\": \"/item/{}\", \"ok\": {}, \"agent\": \"browser {}\"}}\n",
            second % 60,
            n % 5000,
            n.is_multiple_of(3),
            n % 17
        )
    };
    let text: String = (0..RECORDS).map(line).collect();
    let source: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut input = source.create("records.ndjson").unwrap();
    input.append(text.as_bytes()).unwrap();
    input.finish().unwrap();
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
    group.bench_function("hypostyle", |b| {
        b.iter(|| {
            let sources = vec![Source::file(source.clone(), "records.ndjson").unwrap()];
            let log = NdjsonLog::new(sources, NdjsonOptions::default()).unwrap();
            let options = IngestOptions::new("at", Duration::from_secs(3600));
            let (table, dead_letters) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
            let mut ingest = Ingest::new(Box::new(log), table, dead_letters, options).unwrap();
            let done = ingest.run(&AtomicBool::new(false), &mut |_| {}).unwrap();
            assert_eq!(done.rows_written, RECORDS as u64);
        });
    });
    group.finish();
}

/// Commits of one file each, and the table opened behind a hundred of them.
fn commits(c: &mut Criterion) {
    let (storage, written) = file(20, 1);
    let schema = FileReader::open(storage.open("file").unwrap(), ReaderOptions::default()).unwrap().schema().clone();
    let commit = |table: &mut Table| {
        let path = table.data_path(&PartitionValues::new());
        let columns = Arc::clone(&table.snapshot().schema);
        let add = AddFile::from_written(&written, &columns, &path, PartitionValues::new()).unwrap();
        let mut transaction = table.transaction();
        transaction.add(add);
        transaction.commit().unwrap();
        table.refresh().unwrap();
    };
    let mut group = c.benchmark_group("table");
    group.sample_size(10);
    group.bench_function("100 commits", |b| {
        b.iter(|| {
            let mut table = Table::create(Arc::new(Memory::new()), schema.clone(), CreateOptions::default()).unwrap();
            (0..100).for_each(|_| commit(&mut table));
        });
    });
    let memory: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut table = Table::create(memory.clone(), schema.clone(), CreateOptions::default()).unwrap();
    (0..100).for_each(|_| commit(&mut table));
    group.bench_function("open behind 100 commits", |b| {
        b.iter(|| black_box(Table::open(memory.clone()).unwrap()).snapshot().version);
    });
    group.finish();
}

criterion_group!(benches, footers, ingest, commits);
criterion_main!(benches);
