//! Reading flat columns: bytes of Arrow data a second, beside the `parquet` crate's reader in the same process, from
//! the same file in memory.
//!
//! `cargo bench --bench read` for all, `cargo bench --bench read -- strings` for some.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may panic")]

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::storage::{Input, Memory, Storage};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const ROWS: usize = 1 << 19;
const BATCH_ROWS: usize = 8192;

/// A number without a pattern for each row.
fn noise(row: usize) -> u64 {
    let mixed = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let rows = 0..ROWS;
    let word = |n: u64| format!("word-{n}");
    let integers = |of: fn(usize) -> i64| Arc::new(Int64Array::from_iter_values((0..ROWS).map(of))) as ArrayRef;
    vec![
        ("int64 random", integers(|r| noise(r) as i64)),
        ("int64 few", integers(|r| (noise(r) % 500) as i64)),
        (
            "int64 nullable",
            Arc::new(
                rows.clone().map(|r| (!noise(r).is_multiple_of(4)).then_some(noise(r) as i64)).collect::<Int64Array>(),
            ),
        ),
        ("float64", Arc::new(Float64Array::from_iter_values(rows.clone().map(|r| noise(r) as f64 / 1e9)))),
        ("boolean", Arc::new(rows.clone().map(|r| Some(noise(r).is_multiple_of(2))).collect::<BooleanArray>())),
        ("strings", Arc::new(StringArray::from_iter_values(rows.clone().map(|r| word(noise(r)))))),
        ("strings few", Arc::new(StringArray::from_iter_values(rows.clone().map(|r| word(noise(r) % 200))))),
        (
            "strings nullable",
            Arc::new(
                rows.map(|r| (!noise(r).is_multiple_of(4)).then(|| word(noise(r) % 20_000))).collect::<StringArray>(),
            ),
        ),
    ]
}

fn file(batch: &RecordBatch, compression: Compression) -> Bytes {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes.into()
}

fn ours(input: &Arc<dyn Input>) {
    let options = ReaderOptions::default().with_batch_rows(BATCH_ROWS);
    let file = FileReader::open(Arc::clone(input), options).unwrap();
    for batch in file.scan(ScanOptions::default()).unwrap() {
        black_box(batch.unwrap());
    }
}

fn theirs(bytes: &Bytes) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    for batch in builder.with_batch_size(BATCH_ROWS).build().unwrap() {
        black_box(batch.unwrap());
    }
}

fn read(c: &mut Criterion) {
    for (codec, compression) in
        [("none", Compression::UNCOMPRESSED), ("zstd:3", Compression::ZSTD(ZstdLevel::try_new(3).unwrap()))]
    {
        for (name, column) in columns() {
            let arrow_bytes = column.to_data().get_slice_memory_size().unwrap();
            let bytes = file(&RecordBatch::try_from_iter([("column", column)]).unwrap(), compression);
            let storage = Memory::new();
            storage.put("file", bytes.clone()).unwrap();
            let input = storage.open("file").unwrap();
            let mut group = c.benchmark_group(format!("read {codec}"));
            group.throughput(Throughput::Bytes(arrow_bytes as u64)).sample_size(10);
            group.bench_function(BenchmarkId::new(name, "hypostyle"), |b| b.iter(|| ours(&input)));
            group.bench_function(BenchmarkId::new(name, "parquet-rs"), |b| b.iter(|| theirs(&bytes)));
            group.finish();
        }
    }
}

criterion_group!(benches, read);
criterion_main!(benches);
