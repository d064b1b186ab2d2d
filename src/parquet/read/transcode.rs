//! Encodings without a decoder of their own in the targets: a page of them is turned into PLAIN when opened.
//!
//! Spec: Encodings.md, "Delta Encoding", "Delta-length byte array", "Delta Strings", "Byte Stream Split"; AlpEncoding.md.

use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::encoding::delta_binary_packed::{self, Delta};
use crate::parquet::encoding::plain::{self, Fixed};
use crate::parquet::encoding::{alp, byte_stream_split, delta_byte_array, delta_length_byte_array};
use crate::parquet::format::{Encoding, Type};

/// Replaces `out` by the page's values in PLAIN; at most `values_max` are there. `take_memory` is asked for what the
/// work will hold in all, before it does. [`Error::Unsupported`] names an encoding that is not known.
pub(super) fn to_plain(
    encoding: Encoding,
    leaf: &Leaf,
    bytes: &[u8],
    values_max: usize,
    mut take_memory: impl FnMut(usize) -> Result<()>,
    out: &mut Vec<u8>,
) -> Result<()> {
    // Split bytes are put together over what is there.
    if encoding != Encoding::ByteStreamSplit || bytes.is_empty() {
        out.clear();
    }
    let width = width(leaf);
    match (encoding, leaf.physical) {
        // A page of nothing but nulls may be without the header.
        _ if bytes.is_empty() => Ok(()),
        (Encoding::DeltaBinaryPacked, Type::Int32) => integers::<i32>(bytes, values_max, take_memory, out),
        (Encoding::DeltaBinaryPacked, Type::Int64) => integers::<i64>(bytes, values_max, take_memory, out),
        (
            Encoding::ByteStreamSplit,
            Type::Int32 | Type::Int64 | Type::Float | Type::Double | Type::FixedLenByteArray,
        ) => {
            take_memory(bytes.len())?;
            byte_stream_split::decode_all(bytes, width, out)
        }
        (Encoding::DeltaLengthByteArray, Type::ByteArray) => {
            let lengths_bytes = values_max.saturating_mul(size_of::<i32>());
            take_memory(lengths_bytes)?;
            let mut values = delta_length_byte_array::Decoder::new(bytes, values_max)?;
            let count = values.remaining();
            // Each string with its length, none of them longer than what is there.
            take_memory(lengths_bytes.saturating_add(bytes.len()).saturating_add(4 * count))?;
            out.reserve(bytes.len() + 4 * count);
            for _ in 0..count {
                plain::encode_byte_array(values.read()?, out);
            }
            Ok(())
        }
        (Encoding::DeltaByteArray, Type::ByteArray | Type::FixedLenByteArray) => {
            let lengths_bytes = values_max.saturating_mul(2 * size_of::<i32>());
            take_memory(lengths_bytes)?;
            let mut values = delta_byte_array::Decoder::new(bytes, values_max)?;
            let count = values.remaining();
            // A few bytes can stand for a long prefix of the value before, again and again.
            let plain_bytes = values.bytes().saturating_add(count.saturating_mul(4));
            take_memory(lengths_bytes.saturating_add(plain_bytes))?;
            out.reserve(plain_bytes);
            for _ in 0..count {
                let value = values.read()?;
                if leaf.physical == Type::ByteArray {
                    plain::encode_byte_array(value, out);
                } else if value.len() == width {
                    out.extend_from_slice(value);
                } else {
                    return Err(Error::corrupt(format!("a value of {} bytes in a column of {width}", value.len())));
                }
            }
            Ok(())
        }
        (Encoding::Alp, Type::Float) => decimals::<f32>(bytes, values_max, take_memory, out),
        (Encoding::Alp, Type::Double) => decimals::<f64>(bytes, values_max, take_memory, out),
        (
            Encoding::DeltaBinaryPacked
            | Encoding::DeltaLengthByteArray
            | Encoding::DeltaByteArray
            | Encoding::ByteStreamSplit
            | Encoding::Alp,
            physical,
        ) => Err(Error::corrupt(format!("values of {physical:?} in the encoding {encoding:?}"))),
        _ => Err(Error::unsupported(format!("values in the encoding {encoding:?} cannot be read yet"))),
    }
}

/// Bytes of a value of what BYTE_STREAM_SPLIT can hold; 0 of other types.
pub(super) fn width(leaf: &Leaf) -> usize {
    match leaf.physical {
        Type::Int32 | Type::Float => 4,
        Type::Int64 | Type::Double => 8,
        Type::FixedLenByteArray => leaf.type_length,
        _ => 0,
    }
}

fn integers<T: Delta + Fixed>(
    bytes: &[u8],
    values_max: usize,
    mut take_memory: impl FnMut(usize) -> Result<()>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let mut decoder = delta_binary_packed::Decoder::<T>::new(bytes)?;
    let count = decoder.remaining();
    if count > values_max {
        return Err(Error::corrupt(format!("{count} delta-encoded values in a page of {values_max}")));
    }
    take_memory(count.saturating_mul(size_of::<T>()))?;
    // The count is what the header says; the bytes may hold fewer.
    out.reserve(count.min(bytes.len().saturating_mul(8)) * size_of::<T>());
    decoder.read_plain(count, out)
}

fn decimals<T: alp::Float>(
    bytes: &[u8],
    values_max: usize,
    mut take_memory: impl FnMut(usize) -> Result<()>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let decoder = alp::Decoder::new(bytes)?;
    let count = decoder.len();
    if count > values_max {
        return Err(Error::corrupt(format!("{count} ALP values in a page of {values_max}")));
    }
    take_memory(count.saturating_mul(size_of::<T>() * 2))?;
    // The count is what the header says; the bytes may hold fewer.
    let mut values = Vec::with_capacity(count.min(bytes.len().saturating_mul(8)));
    decoder.read::<T>(0, count, &mut values)?;
    T::encode(&values, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_encoding_becomes_plain() {
        let numbers: Vec<i64> = (0..500).map(|i| i * i - 7).collect();
        let (mut encoded, mut want, mut got) = (Vec::new(), Vec::new(), vec![1, 2, 3]);
        delta_binary_packed::encode(&numbers, &mut encoded);
        i64::encode(&numbers, &mut want);
        let page = Leaf::required(Type::Int64, 0);
        to_plain(Encoding::DeltaBinaryPacked, &page, &encoded, 500, |_| Ok(()), &mut got).expect("integers");
        assert_eq!(got, want);
        assert!(to_plain(Encoding::DeltaBinaryPacked, &page, &encoded, 499, |_| Ok(()), &mut got).is_err());

        let mut split = Vec::new();
        byte_stream_split::encode(&want, 8, &mut split);
        to_plain(Encoding::ByteStreamSplit, &page, &split, 500, |_| Ok(()), &mut got).expect("split");
        assert_eq!(got, want);

        let prices: Vec<f64> = numbers.iter().map(|&n| n as f64 / 100.0).collect();
        let (mut encoded, mut want) = (Vec::new(), Vec::new());
        alp::encode(&prices, &mut encoded).expect("few");
        f64::encode(&prices, &mut want);
        let page = Leaf::required(Type::Double, 0);
        to_plain(Encoding::Alp, &page, &encoded, 500, |_| Ok(()), &mut got).expect("decimals");
        assert_eq!(got, want);
        assert!(to_plain(Encoding::Alp, &page, &encoded, 499, |_| Ok(()), &mut got).is_err());
        assert!(to_plain(Encoding::Alp, &Leaf::required(Type::Int64, 0), &encoded, 500, |_| Ok(()), &mut got).is_err());

        let strings: [&[u8]; 3] = [b"axis", b"axle", b""];
        let mut want = Vec::new();
        strings.iter().for_each(|s| plain::encode_byte_array(s, &mut want));
        let page = Leaf::required(Type::ByteArray, 0);
        for encoding in [Encoding::DeltaLengthByteArray, Encoding::DeltaByteArray] {
            let mut encoded = Vec::new();
            match encoding {
                Encoding::DeltaByteArray => delta_byte_array::encode(strings.into_iter(), &mut encoded),
                _ => delta_length_byte_array::encode(strings.into_iter(), &mut encoded),
            }
            to_plain(encoding, &page, &encoded, 3, |_| Ok(()), &mut got).expect("strings");
            assert_eq!(got, want);
        }
    }

    #[test]
    fn prefixes_cannot_take_more_than_the_budget() {
        let long = vec![b'x'; 10_000];
        let mut encoded = Vec::new();
        delta_byte_array::encode(std::iter::repeat_n(long.as_slice(), 50_000), &mut encoded);
        assert!(encoded.len() < 30_000);
        let mut out = Vec::new();
        let take = |bytes| if bytes > 50_000_000 { Err(Error::limit("budget")) } else { Ok(()) };
        let e =
            to_plain(Encoding::DeltaByteArray, &Leaf::required(Type::ByteArray, 0), &encoded, 50_000, take, &mut out);
        assert!(matches!(e, Err(Error::Limit(_))));
        assert!(out.len() < 50_000_000);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let page = Leaf::required(Type::ByteArray, 0);
        let e = to_plain(Encoding::Unknown(42), &page, &[1], 1, |_| Ok(()), &mut Vec::new()).expect_err("unknown");
        assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("42"), "{e}");
        assert!(to_plain(Encoding::DeltaBinaryPacked, &page, &[1], 1, |_| Ok(()), &mut Vec::new()).is_err());
    }
}
