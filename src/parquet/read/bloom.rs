//! Bloom filters: fetched, opened, and asked whether a chunk may hold a value.
//!
//! Spec: BloomFilter.md.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType};
use arrow_buffer::i256;
use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Result};
use crate::parquet::arrow::{Leaf, Scaling};
use crate::parquet::format::Type;
use crate::parquet::format::bloom_filter::{self, BloomFilter};
use crate::parquet::format::encryption::{self, ModuleType};

use super::file::FileParts;

/// Enough for the header of a filter whose length is not told, encrypted or not.
const HEADER_GUESS_BYTES: u64 = 256;

/// The Bloom filter of a chunk, if it has one.
pub(super) fn filter(file: &FileParts, group: usize, leaf: usize) -> Result<Option<BloomFilter>> {
    let (meta, cipher) = file.open_chunk(group, leaf)?;
    let Some(offset) = meta.bloom_filter_offset else { return Ok(None) };
    let file_bytes = file.input.bytes();
    let length = meta.bloom_filter_length.map(u64::try_from).transpose().ok().flatten();
    let wrong = || Error::corrupt(format!("a Bloom filter at byte {offset}, the file has {file_bytes}"));
    let start = u64::try_from(offset).ok().filter(|&at| at < file_bytes).ok_or_else(wrong)?;
    let left = file_bytes - start;
    let fits = |bytes: u64| match bytes {
        _ if bytes > left => {
            Err(Error::corrupt(format!("a Bloom filter of {bytes} bytes, {left} are left")).at_byte(start))
        }
        _ if bytes > file.memory_bytes as u64 => {
            Err(Error::limit(format!("a Bloom filter of {bytes} bytes: raise memory_bytes")))
        }
        _ => Ok(bytes),
    };
    let first = match length {
        Some(length) => fits(length)?,
        None => left.min(HEADER_GUESS_BYTES),
    };
    let mut bytes = file.input.read(start..start + first)?;
    // What the header takes, the bits behind it, and all together in the file.
    let (header_bytes, bits_bytes) = match &cipher {
        None => {
            let (bits, used) = bloom_filter::decode_header(&bytes, start)?;
            (used, bits)
        }
        Some(cipher) => {
            let (header, used) = cipher.open(ModuleType::BloomFilterHeader, 0, &bytes)?;
            bloom_filter::decode_header(&header, 0)?;
            let rest = bytes.get(used..).unwrap_or_default();
            (used, encryption::module_bytes(rest)?)
        }
    };
    let whole = fits(header_bytes as u64 + bits_bytes as u64)?;
    if whole > bytes.len() as u64 {
        if length.is_some() {
            let has = bytes.len();
            return Err(Error::corrupt(format!("a Bloom filter of {whole} bytes in {has}")).at_byte(start));
        }
        bytes = file.input.read(start..start + whole)?;
    }
    let bits = bytes.get(header_bytes..header_bytes + bits_bytes).unwrap_or_default();
    match &cipher {
        None => BloomFilter::from_bits(bits).map(Some),
        Some(cipher) => BloomFilter::from_bits(&cipher.open(ModuleType::BloomFilterBitset, 0, bits)?.0).map(Some),
    }
    .map_err(|e| e.at_byte(start))
}

/// Whether the filter of a chunk of `leaf` says that the value may be in it. `value` is one element of the column's type.
/// `is_in_range`: all of the chunk's integers are known to be ones of that type.
pub(super) fn may_contain(filter: &BloomFilter, leaf: &Leaf, value: &ArrayRef, is_in_range: bool) -> bool {
    match plain(leaf, value, is_in_range) {
        Some(all) => all.iter().any(|bytes| filter.may_contain(BloomFilter::hash(bytes))),
        None => true,
    }
}

/// The PLAIN bytes of a value: every one that reads as something equal to it. None where they are not known for certain.
fn plain(leaf: &Leaf, value: &ArrayRef, is_in_range: bool) -> Option<Vec<Vec<u8>>> {
    use DataType as D;
    use Type as P;
    let mut value_type = &leaf.data_type;
    while let D::Dictionary(_, values) = value_type {
        value_type = values;
    }
    if value.len() != 1 || value.is_null(0) || value.data_type() != value_type || leaf.scaling() == Scaling::Seconds {
        return None;
    }
    fn number<T: ArrowPrimitiveType>(value: &ArrayRef) -> T::Native {
        value.as_primitive::<T>().value(0)
    }
    let one = |bytes: &[u8]| Some(vec![bytes.to_vec()]);
    let int32 = |v: i32| one(&v.to_le_bytes());
    let int64 = |v: i64| one(&v.to_le_bytes());
    match (leaf.physical, value_type) {
        // Numbers of 8 and 16 bits are cut out of wider ones when they are read: many bytes may read as the same.
        (P::Int32, D::Int8 | D::Int16 | D::UInt8 | D::UInt16) if !is_in_range => None,
        (P::Int32, D::Int8) => int32(number::<Int8Type>(value).into()),
        (P::Int32, D::Int16) => int32(number::<Int16Type>(value).into()),
        (P::Int32, D::UInt8) => int32(number::<UInt8Type>(value).into()),
        (P::Int32, D::UInt16) => int32(number::<UInt16Type>(value).into()),
        (P::Int32, D::Int32) => int32(number::<Int32Type>(value)),
        (P::Int32, D::UInt32) => int32(number::<UInt32Type>(value).cast_signed()),
        (P::Int32, D::Date32) => int32(number::<Date32Type>(value)),
        (P::Int32, D::Time32(TimeUnit::Millisecond)) => int32(number::<Time32MillisecondType>(value)),
        (P::Int64, D::Int64) => int64(number::<Int64Type>(value)),
        (P::Int64, D::UInt64) => int64(number::<UInt64Type>(value).cast_signed()),
        (P::Int64, D::Time64(TimeUnit::Microsecond)) => int64(number::<Time64MicrosecondType>(value)),
        (P::Int64, D::Time64(TimeUnit::Nanosecond)) => int64(number::<Time64NanosecondType>(value)),
        (P::Int64, D::Timestamp(TimeUnit::Millisecond, _)) => int64(number::<TimestampMillisecondType>(value)),
        (P::Int64, D::Timestamp(TimeUnit::Microsecond, _)) => int64(number::<TimestampMicrosecondType>(value)),
        (P::Int64, D::Timestamp(TimeUnit::Nanosecond, _)) => int64(number::<TimestampNanosecondType>(value)),
        (P::Float, D::Float32) => float(number::<Float32Type>(value).into(), 4),
        (P::Double, D::Float64) => float(number::<Float64Type>(value), 8),
        (P::FixedLenByteArray, D::Float16) if leaf.type_length == 2 => float(number::<Float16Type>(value).into(), 2),
        (_, D::Decimal32(..)) => decimal(leaf, i256::from(number::<Decimal32Type>(value))),
        (_, D::Decimal64(..)) => decimal(leaf, i256::from(number::<Decimal64Type>(value))),
        (_, D::Decimal128(..)) => decimal(leaf, i256::from_i128(number::<Decimal128Type>(value))),
        (_, D::Decimal256(..)) => decimal(leaf, number::<Decimal256Type>(value)),
        (P::ByteArray, D::Utf8) => one(value.as_string::<i32>().value(0).as_bytes()),
        (P::ByteArray, D::LargeUtf8) => one(value.as_string::<i64>().value(0).as_bytes()),
        (P::ByteArray, D::Utf8View) => one(value.as_string_view().value(0).as_bytes()),
        (P::ByteArray, D::Binary) => one(value.as_binary::<i32>().value(0)),
        (P::ByteArray, D::LargeBinary) => one(value.as_binary::<i64>().value(0)),
        (P::ByteArray, D::BinaryView) => one(value.as_binary_view().value(0)),
        (P::FixedLenByteArray, D::FixedSizeBinary(_)) => {
            one(value.as_fixed_size_binary().value(0)).filter(|all| all.iter().all(|v| v.len() == leaf.type_length))
        }
        _ => None,
    }
}

/// Zeros of both signs are equal, and NaN, which has many bytes, equals NaN.
fn float(value: f64, width: usize) -> Option<Vec<Vec<u8>>> {
    let bytes = |v: f64| match width {
        2 => half::f16::from_f64(v).to_le_bytes().to_vec(),
        4 => (v as f32).to_le_bytes().to_vec(),
        _ => v.to_le_bytes().to_vec(),
    };
    match value {
        _ if value.is_nan() => None,
        0.0 => Some(vec![bytes(0.0), bytes(-0.0)]),
        _ => Some(vec![bytes(value)]),
    }
}

/// In BYTE_ARRAY a decimal may have more bytes than it needs, so that its bytes are not known.
fn decimal(leaf: &Leaf, value: i256) -> Option<Vec<Vec<u8>>> {
    let narrow = value.to_i128().and_then(|v| i64::try_from(v).ok());
    let bytes = match leaf.physical {
        Type::Int32 => i32::try_from(narrow?).ok()?.to_le_bytes().to_vec(),
        Type::Int64 => narrow?.to_le_bytes().to_vec(),
        Type::FixedLenByteArray => {
            let wide = value.to_be_bytes();
            let sign = if value.is_negative() { 0xff } else { 0 };
            let mut bytes = vec![sign; leaf.type_length.saturating_sub(wide.len())];
            let (cut, kept) = wide.split_at_checked(wide.len().saturating_sub(leaf.type_length))?;
            // What does not fit is not there, but nobody needs to know.
            if cut.iter().any(|&b| b != sign) {
                return None;
            }
            bytes.extend_from_slice(kept);
            bytes
        }
        _ => return None,
    };
    Some(vec![bytes])
}
