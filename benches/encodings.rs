//! The inner stages: bit packing, each encoding both ways, levels, each codec; bytes of decoded values a second.
//!
//! `cargo bench --bench encodings` for all, `cargo bench --bench encodings -- delta` for some.
#![allow(clippy::unwrap_used, missing_docs, reason = "a bench may panic")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hypostyle::parquet::compress::{Compression, Compressor, Decompressor};
use hypostyle::parquet::encoding::{
    alp, bit_pack, byte_stream_split, delta_binary_packed, delta_byte_array, delta_length_byte_array, dictionary,
    plain, rle,
};

/// Values of a page.
const VALUES: usize = 32 << 10;

/// A number without a pattern for each row.
fn noise(row: usize) -> u64 {
    let mixed = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

fn integers(of: impl Fn(usize) -> i64) -> Vec<i64> {
    (0..VALUES).map(of).collect()
}

fn words() -> Vec<Vec<u8>> {
    let mut words: Vec<_> =
        (0..VALUES).map(|r| format!("https://example.org/{}/{}", r / 50, noise(r) % 1000).into_bytes()).collect();
    words.sort_unstable();
    words
}

struct Stage<'a> {
    criterion: &'a mut Criterion,
    name: &'static str,
    bytes: usize,
}

impl Stage<'_> {
    fn bench<T>(&mut self, name: &str, mut run: impl FnMut() -> T) {
        let mut group = self.criterion.benchmark_group(self.name);
        group.throughput(Throughput::Bytes(self.bytes as u64)).sample_size(20);
        group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_millis(700));
        group.bench_function(name, |b| b.iter(|| black_box(run())));
        group.finish();
    }
}

fn stage<'a>(criterion: &'a mut Criterion, name: &'static str, bytes: usize) -> Stage<'a> {
    Stage { criterion, name, bytes }
}

fn bit_packing(c: &mut Criterion) {
    let mut stage = stage(c, "bit_pack", VALUES * 4);
    for width in [1, 3, 8, 13, 20, 32] {
        let mask = u32::MAX >> (32 - width);
        let values: Vec<u32> = (0..VALUES).map(|r| noise(r) as u32 & mask).collect();
        let mut packed = Vec::new();
        stage.bench(&format!("pack {width}"), || {
            packed.clear();
            bit_pack::pack(&values, width, &mut packed);
        });
        // As in a page, something follows.
        packed.extend([0; 32]);
        let mut out = vec![0; VALUES];
        stage.bench(&format!("unpack {width}"), || bit_pack::unpack(&packed, width, 0, &mut out));
    }
}

/// Encoding into a buffer that is used again, and decoding what came out.
fn both_ways<T>(stage: &mut Stage<'_>, encode: impl Fn(&mut Vec<u8>), mut decode: impl FnMut(&[u8]) -> T) {
    let mut encoded = Vec::new();
    stage.bench("encode", || {
        encoded.clear();
        encode(&mut encoded);
    });
    stage.bench("decode", || decode(&encoded));
}

fn numbers(c: &mut Criterion) {
    let random = integers(|r| noise(r) as i64);
    let mut out: Vec<i64> = Vec::with_capacity(VALUES);
    both_ways(
        &mut stage(c, "plain int64", VALUES * 8),
        |to| plain::Fixed::encode(&random, to),
        |bytes| {
            out.clear();
            plain::decode_fixed::<i64>(bytes, VALUES, &mut out).unwrap().len()
        },
    );

    let entries = integers(|r| noise(r) as i64);
    let (entries, _) = entries.split_at(500);
    let indices: Vec<u32> = (0..VALUES).map(|r| (noise(r) % 500) as u32).collect();
    both_ways(
        &mut stage(c, "dictionary int64", VALUES * 8),
        |to| to.extend(dictionary::encode(&indices, dictionary::width(entries.len()))),
        |bytes| {
            out.clear();
            dictionary::Decoder::new(bytes).unwrap().gather(entries, VALUES, &mut out).unwrap();
        },
    );

    for (name, values) in [
        ("delta_binary_packed ascending", integers(|r| r as i64 * 1000 + (noise(r) % 1000) as i64)),
        ("delta_binary_packed random", random.clone()),
        ("delta_binary_packed even steps", integers(|r| r as i64 * 7)),
    ] {
        both_ways(
            &mut stage(c, name, VALUES * 8),
            |to| delta_binary_packed::encode(&values, to),
            |bytes| {
                out.clear();
                delta_binary_packed::Decoder::new(bytes).unwrap().read(VALUES, &mut out).unwrap();
            },
        );
    }

    let mut bytes_out = Vec::new();
    for (name, width) in [("byte_stream_split float", 4), ("byte_stream_split double", 8)] {
        let values: Vec<u8> = (0..VALUES * width).map(|r| noise(r) as u8).collect();
        both_ways(
            &mut stage(c, name, VALUES * width),
            |to| byte_stream_split::encode(&values, width, to),
            |bytes| byte_stream_split::decode_all(bytes, width, &mut bytes_out).unwrap(),
        );
    }

    let prices: Vec<f64> = (0..VALUES).map(|r| (noise(r) % 1_000_000) as f64 / 100.0).collect();
    let mut floats: Vec<f64> = Vec::with_capacity(VALUES);
    both_ways(
        &mut stage(c, "alp double", VALUES * 8),
        |to| alp::encode(&prices, to).unwrap(),
        |bytes| {
            floats.clear();
            alp::Decoder::new(bytes).unwrap().read(0, VALUES, &mut floats).unwrap();
        },
    );
}

fn strings(c: &mut Criterion) {
    let words = words();
    let values = || words.iter().map(Vec::as_slice);
    let bytes: usize = words.iter().map(Vec::len).sum();
    both_ways(
        &mut stage(c, "delta_length_byte_array", bytes),
        |to| delta_length_byte_array::encode(values(), to),
        |encoded| {
            let mut decoder = delta_length_byte_array::Decoder::new(encoded, VALUES).unwrap();
            decoder.take(VALUES).unwrap().len()
        },
    );
    let (mut lengths, mut out) = (Vec::new(), Vec::new());
    both_ways(
        &mut stage(c, "delta_byte_array", bytes),
        |to| delta_byte_array::encode(values(), to),
        |encoded| {
            let decoder = delta_byte_array::Decoder::new(encoded, VALUES).unwrap();
            decoder.read_all(&mut lengths, &mut out, |_| Ok(())).unwrap();
        },
    );
}

/// Definition levels of a flat column, as bits, and repetition levels of lists.
fn levels(c: &mut Criterion) {
    for (name, width, of) in [
        ("levels: no nulls", 1, (|_| 1) as fn(usize) -> u32),
        ("levels: a tenth null", 1, |r| u32::from(!noise(r).is_multiple_of(10))),
        ("levels: runs of nulls", 1, |r| u32::from(!noise(r / 100).is_multiple_of(3))),
        ("levels: lists of lists", 2, |r| (noise(r) % 3) as u32),
    ] {
        let values: Vec<u32> = (0..VALUES).map(of).collect();
        let mut out = vec![0; VALUES];
        both_ways(
            &mut stage(c, name, VALUES * 4),
            |to| rle::encode(&values, width, to),
            |bytes| rle::Decoder::new(bytes, width).unwrap().read(&mut out).unwrap(),
        );
    }
}

fn codecs(c: &mut Criterion) {
    // A page of URLs in PLAIN.
    let mut page = Vec::new();
    words().iter().step_by(8).for_each(|word| plain::encode_byte_array(word, &mut page));
    let (mut packed, mut back) = (Vec::new(), Vec::new());
    for compression in
        [Compression::Snappy, Compression::Gzip(6), Compression::Brotli(5), Compression::Zstd(3), Compression::Lz4Raw]
    {
        let mut stage = stage(c, "codec", page.len());
        let mut compressor = Compressor::new(compression).unwrap();
        stage.bench(&format!("{compression} compress"), || {
            packed.clear();
            compressor.compress(&page, &mut packed).unwrap();
        });
        let mut decompressor = Decompressor::new();
        stage.bench(&format!("{compression} decompress"), || {
            decompressor.decompress(compression.codec::<i32>(), &packed, &mut back, page.len()).unwrap();
        });
    }
}

criterion_group!(benches, bit_packing, numbers, strings, levels, codecs);
criterion_main!(benches);
