//! Each encoding and codec: any bytes decode or are refused, and what is encoded comes back.

use super::Input;
use crate::parquet::compress::{Compression, Compressor, Decompressor};
use crate::parquet::encoding::delta_binary_packed::{self, Delta};
use crate::parquet::encoding::plain::{self as plain_, Fixed};
use crate::parquet::encoding::{alp as alp_, byte_stream_split as split, delta_byte_array as prefixes};
use crate::parquet::encoding::{delta_length_byte_array as lengths, dictionary as dictionary_, rle as rle_};

/// Values that are asked for at most.
const VALUES: usize = 4096;

/// The input as numbers.
fn numbers<T: Fixed>(bytes: &[u8]) -> Vec<T> {
    let mut values = Vec::new();
    let count = bytes.len() / T::BYTES;
    let _ = plain_::decode_fixed(bytes, count, &mut values);
    values
}

/// The input as byte strings, whose lengths it gives.
fn strings(bytes: &[u8]) -> Vec<&[u8]> {
    let mut input = Input(bytes);
    let mut strings = Vec::new();
    while !input.is_empty() {
        let length = usize::from(input.byte() % 40);
        strings.push(input.take(length));
    }
    strings
}

pub(super) fn plain(bytes: &[u8]) {
    let mut out = Vec::<i64>::new();
    assert_eq!(plain_::decode_fixed(bytes, VALUES, &mut out).is_ok(), bytes.len() >= VALUES * 8);
    let mut reader = plain_::ByteArrays::new(bytes);
    while let Ok(value) = reader.read() {
        assert!(value.len() <= bytes.len());
    }
    let values = strings(bytes);
    let mut encoded = Vec::new();
    values.iter().for_each(|value| plain_::encode_byte_array(value, &mut encoded));
    let mut reader = plain_::ByteArrays::new(&encoded);
    assert!(values.iter().all(|value| reader.read().is_ok_and(|read| read == *value)));
    assert_eq!(reader.remaining(), 0);
}

pub(super) fn rle(bytes: &[u8]) {
    let mut input = Input(bytes);
    let width = u32::from(input.byte() % 36);
    let rest = input.0;
    if let Ok(mut decoder) = rle_::Decoder::new(rest, width) {
        let mut out = vec![0; VALUES];
        let _ = decoder.read(&mut out);
    }
    if let Ok(mut decoder) = rle_::Decoder::new(rest, width) {
        let mut left = VALUES;
        while let Ok(Some(run)) = decoder.run(left) {
            let count = match run {
                rle_::Run::Repeated { count, .. } | rle_::Run::Packed { count, .. } => count,
            };
            assert!(0 < count && count <= left, "a run of {count}, {left} were asked for");
            left -= count;
            if left == 0 {
                break;
            }
        }
    }
    let width = width.min(32);
    let mask = if width == 32 { u32::MAX } else { (1u32 << width) - 1 };
    let mut values: Vec<u32> = rest.iter().map(|&b| u32::from(b).wrapping_mul(0x0101_0101) & mask).collect();
    // Runs, too.
    values.extend(rest.iter().flat_map(|&b| std::iter::repeat_n(u32::from(b) & mask, usize::from(b % 20))));
    let mut encoded = Vec::new();
    rle_::encode(&values, width, &mut encoded);
    let mut back = vec![0; values.len()];
    let read = rle_::Decoder::new(&encoded, width).and_then(|mut d| d.read(&mut back));
    assert!(read.is_ok(), "width {width}");
    assert_eq!(back, values);
}

pub(super) fn dictionary(bytes: &[u8]) {
    if let Ok(mut decoder) = dictionary_::Decoder::new(bytes) {
        let mut out = Vec::new();
        if decoder.read(100, VALUES, &mut out).is_ok() {
            assert!(out.len() == VALUES && out.iter().all(|&index| index < 100));
        }
    }
    if let Ok(mut decoder) = dictionary_::Decoder::new(bytes) {
        let dictionary: Vec<u64> = (0..50).map(|n| n * 3).collect();
        let mut out = Vec::new();
        if decoder.gather(&dictionary, VALUES, &mut out).is_ok() {
            assert!(out.len() == VALUES && out.iter().all(|value| dictionary.contains(value)));
        }
    }
    let indices: Vec<u32> = bytes.iter().map(|&b| u32::from(b)).collect();
    let encoded = dictionary_::encode(&indices, dictionary_::width(256));
    let mut back = Vec::new();
    let read = dictionary_::Decoder::new(&encoded).and_then(|mut d| d.read(256, indices.len(), &mut back));
    assert!(read.is_ok() && back == indices);
}

pub(super) fn delta_binary_packed(bytes: &[u8]) {
    fn of<T: Delta + Fixed + std::fmt::Debug>(bytes: &[u8]) {
        if let Ok(mut decoder) = delta_binary_packed::Decoder::<T>::new(bytes) {
            let mut out = Vec::new();
            let wanted = decoder.remaining().min(VALUES);
            if decoder.read(wanted, &mut out).is_ok() {
                assert_eq!(out.len(), wanted);
                // What is skipped is what would have been read.
                let half = wanted / 2;
                let mut tail = Vec::new();
                let again = delta_binary_packed::Decoder::<T>::new(bytes).and_then(|mut decoder| {
                    decoder.skip(half)?;
                    let position = decoder.position();
                    delta_binary_packed::Decoder::<T>::resume(bytes, &position)?.read(wanted - half, &mut tail)
                });
                assert!(again.is_ok() && out.ends_with(&tail));
            }
        }
        let values = numbers::<T>(bytes);
        let mut encoded = Vec::new();
        delta_binary_packed::encode(&values, &mut encoded);
        let mut back = Vec::new();
        let read = delta_binary_packed::Decoder::<T>::new(&encoded).and_then(|mut d| d.read(values.len(), &mut back));
        assert!(read.is_ok());
        assert_eq!(back, values);
    }
    of::<i32>(bytes);
    of::<i64>(bytes);
}

pub(super) fn delta_length_byte_array(bytes: &[u8]) {
    if let Ok(mut decoder) = lengths::Decoder::new(bytes, VALUES) {
        while decoder.remaining() > 0 && decoder.read().is_ok() {}
    }
    let values = strings(bytes);
    let mut encoded = Vec::new();
    lengths::encode(values.iter().copied(), &mut encoded);
    let decoder = lengths::Decoder::new(&encoded, values.len());
    assert!(decoder.is_ok_and(|mut d| values.iter().all(|value| d.read().is_ok_and(|read| read == *value))));
}

pub(super) fn delta_byte_array(bytes: &[u8]) {
    if let Ok(mut decoder) = prefixes::Decoder::new(bytes, VALUES) {
        let bound = decoder.bytes();
        let mut sum = 0usize;
        // The caller takes memory for the sum, so it must be right.
        while decoder.remaining() > 0 && sum < 1 << 20 {
            let Ok(value) = decoder.read() else { break };
            sum += value.len();
            assert!(sum <= bound);
        }
    }
    let values = strings(bytes);
    let mut encoded = Vec::new();
    prefixes::encode(values.iter().copied(), &mut encoded);
    let decoder = prefixes::Decoder::new(&encoded, values.len());
    assert!(decoder.is_ok_and(|mut d| values.iter().all(|value| d.read().is_ok_and(|read| read == *value))));
}

pub(super) fn byte_stream_split(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (width, skip, count) = (usize::from(input.byte() % 18), usize::from(input.byte()), usize::from(input.short()));
    let rest = input.0;
    let mut out = vec![0; count * width];
    if split::decode(rest, width, skip, &mut out).is_ok() {
        let number = |i: usize| rest.iter().skip(skip + i / width).step_by(rest.len() / width).nth(i % width);
        assert!(out.iter().enumerate().all(|(i, byte)| number(i) == Some(byte)));
    }
    let width = width.max(1);
    let values = rest.get(..rest.len() / width * width).unwrap_or_default();
    let (mut encoded, mut back) = (Vec::new(), vec![0; values.len()]);
    split::encode(values, width, &mut encoded);
    assert!(split::decode(&encoded, width, 0, &mut back).is_ok() && back == values);
}

pub(super) fn alp(bytes: &[u8]) {
    fn of<T: alp_::Float>(bytes: &[u8]) {
        if let Ok(decoder) = alp_::Decoder::new(bytes) {
            let mut out = Vec::<T>::new();
            let wanted = decoder.len().min(VALUES);
            if decoder.read::<T>(0, wanted, &mut out).is_ok() {
                assert_eq!(out.len(), wanted);
            }
        }
        let values = numbers::<T>(bytes);
        let mut encoded = Vec::new();
        if alp_::encode(&values, &mut encoded).is_ok() {
            let mut back = Vec::<T>::new();
            let read = alp_::Decoder::new(&encoded).and_then(|d| d.read::<T>(0, values.len(), &mut back));
            assert!(read.is_ok());
            // Bit by bit: NaN and the zeros, too.
            let (mut left, mut right) = (Vec::new(), Vec::new());
            T::encode(&values, &mut left);
            T::encode(&back, &mut right);
            assert_eq!(left, right);
        }
    }
    of::<f32>(bytes);
    of::<f64>(bytes);
}

pub(super) fn codecs(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (codec, size) = (i32::from(input.byte() % 9), usize::from(input.short()) * usize::from(input.byte()));
    let rest = input.0;
    let mut out = Vec::new();
    let mut decompressor = Decompressor::new();
    if decompressor.decompress(codec, rest, &mut out, size).is_ok() {
        assert_eq!(out.len(), size);
    }
    let way = match codec {
        0 => Compression::Uncompressed,
        1 => Compression::Snappy,
        2 => Compression::Gzip(1),
        4 => Compression::Brotli(1),
        6 => Compression::Zstd(1),
        7 => Compression::Lz4Raw,
        _ => return,
    };
    let mut packed = Vec::new();
    let written = Compressor::new(way).and_then(|mut c| c.compress(rest, &mut packed));
    assert!(written.is_ok());
    // With the context that has seen the bytes above.
    let read = decompressor.decompress(codec, &packed, &mut out, rest.len());
    assert!(read.is_ok() && out == rest, "{way}");
}
