//! Writing flat columns: bytes of Arrow data a second, beside the `parquet` crate's writer in the same process.
//!
//! `cargo bench --bench write` for all, `cargo bench --bench write -- strings` for some.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may panic")]

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hypostyle::Result;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::Output;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

const ROWS: usize = 1 << 18;

/// Takes bytes and forgets them.
struct Sink;

impl Output for Sink {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        black_box(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

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
        ("int64 ascending", integers(|r| 1_700_000_000_000 + (r as i64) * 1000 + (noise(r) % 1000) as i64)),
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

fn ours(batch: &RecordBatch, compression: Compression) -> u64 {
    let options = WriterOptions::default().with_compression(compression);
    let mut writer = FileWriter::new(Box::new(Sink), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap().bytes
}

fn theirs(batch: &RecordBatch, compression: parquet::basic::Compression) {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(std::io::sink(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    black_box(writer.close().unwrap());
}

fn write(c: &mut Criterion) {
    for (codec, compression, peer) in [
        ("none", Compression::Uncompressed, parquet::basic::Compression::UNCOMPRESSED),
        (
            "zstd:3",
            Compression::Zstd(3),
            parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::try_new(3).unwrap()),
        ),
    ] {
        for (name, column) in columns() {
            let bytes = column.to_data().get_slice_memory_size().unwrap();
            let batch = RecordBatch::try_from_iter([("column", column)]).unwrap();
            let mut group = c.benchmark_group(format!("write {codec}"));
            group.throughput(Throughput::Bytes(bytes as u64)).sample_size(10);
            group.bench_function(BenchmarkId::new(name, "hypostyle"), |b| b.iter(|| ours(&batch, compression)));
            group.bench_function(BenchmarkId::new(name, "parquet-rs"), |b| b.iter(|| theirs(&batch, peer)));
            group.finish();
        }
    }
}

criterion_group!(benches, write);
criterion_main!(benches);
