//! Values of a fixed width in the array: numbers, dates, times, decimals.
//!
//! Spec: Encodings.md, "Plain"; LogicalTypes.md, "DECIMAL", "Temporal Types".

use arrow_array::{ArrayRef, make_array};
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, i256};
use arrow_data::ArrayData;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use half::f16;

use super::spread::spread;
use super::{Layout, Target, no_dictionary, not_boolean};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::parquet::arrow::{DAY_MS, Leaf, Scaling};
use crate::parquet::encoding::{dictionary, plain};
use crate::parquet::format::Type;
use crate::parquet::read::budget::Reservation;
use crate::parquet::read::page::{Coding, PageBytes, Values};

/// Appends `count` values from the start of the bytes (each so many wide, where that is not known from the
/// type); the bytes that they took.
type Decode<T> = fn(bytes: &[u8], width: usize, count: usize, out: &mut Vec<T>) -> Result<usize>;

#[derive(Debug)]
struct Numbers<T> {
    data_type: DataType,
    layout: Layout,
    width: usize,
    decode: Decode<T>,
    out: Vec<T>,
    /// Values before they are spread.
    dense: Vec<T>,
    dictionary: Option<Vec<T>>,
    memory: Reservation,
}

pub(super) fn new(leaf: &Leaf, data_type: &DataType, memory: Reservation) -> Option<Box<dyn Target>> {
    use DataType as D;
    use Type as P;

    let make = Make { leaf, data_type, memory };
    Some(match (leaf.physical, data_type) {
        (P::Int32, D::Int8) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as i8)),
        (P::Int32, D::Int16) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as i16)),
        (P::Int32, D::UInt8) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as u8)),
        (P::Int32, D::UInt16) => make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v) as u16)),
        (P::Int32, D::UInt32) => make.fixed(|b, _, n, out| each(b, n, out, u32::from_le_bytes)),
        (P::Int32, D::Time32(TimeUnit::Second)) if leaf.scaling() == Scaling::Seconds => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i32::from_le_bytes(v).div_euclid(1000)))
        }
        (P::Int32, D::Int32 | D::Date32 | D::Time32(_) | D::Decimal32(..) | D::Interval(IntervalUnit::YearMonth)) => {
            make.fixed(|b, _, n, out| each(b, n, out, i32::from_le_bytes))
        }
        (P::Int32, D::Date64) => {
            // 2^31 days of 86,400,000 ms stay within 64 bits.
            make.fixed(|b, _, n, out| each(b, n, out, |v| i64::from(i32::from_le_bytes(v)) * DAY_MS))
        }
        (P::Int32, D::Decimal64(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i64::from(i32::from_le_bytes(v))))
        }
        (P::Int32, D::Decimal128(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i128::from(i32::from_le_bytes(v))))
        }
        (P::Int32, D::Decimal256(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i256::from(i32::from_le_bytes(v))))
        }
        (P::Int64, D::UInt64) => make.fixed(|b, _, n, out| each(b, n, out, u64::from_le_bytes)),
        (P::Int64, D::Timestamp(TimeUnit::Second, _)) if leaf.scaling() == Scaling::Seconds => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i64::from_le_bytes(v).div_euclid(1000)))
        }
        (P::Int64, D::Int64 | D::Date64 | D::Time64(_) | D::Timestamp(..) | D::Duration(_) | D::Decimal64(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, i64::from_le_bytes))
        }
        (P::Int64, D::Decimal128(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i128::from(i64::from_le_bytes(v))))
        }
        (P::Int64, D::Decimal256(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i256::from(i64::from_le_bytes(v))))
        }
        (P::Int96, D::Timestamp(TimeUnit::Nanosecond, _)) => make.fixed(|b, _, n, out| each(b, n, out, int96)),
        (P::Float, D::Float32) => make.fixed(|b, _, n, out| each(b, n, out, f32::from_le_bytes)),
        (P::Double, D::Float64) => make.fixed(|b, _, n, out| each(b, n, out, f64::from_le_bytes)),
        (P::FixedLenByteArray, D::Float16) if leaf.type_length == 2 => {
            make.fixed(|b, _, n, out| each(b, n, out, f16::from_le_bytes))
        }
        (P::FixedLenByteArray, D::Decimal32(..)) => make.fixed(|b, w, n, out| each_of(b, w, n, out, decimal32)),
        (P::FixedLenByteArray, D::Decimal64(..)) => make.fixed(|b, w, n, out| each_of(b, w, n, out, decimal64)),
        (P::FixedLenByteArray, D::Decimal128(..)) => make.fixed(|b, w, n, out| each_of(b, w, n, out, decimal128)),
        (P::FixedLenByteArray, D::Decimal256(..)) => make.fixed(|b, w, n, out| each_of(b, w, n, out, decimal256)),
        (P::ByteArray, D::Decimal128(..)) => make.variable(|b, _, n, out| each_string(b, n, out, decimal128)),
        (P::ByteArray, D::Decimal256(..)) => make.variable(|b, _, n, out| each_string(b, n, out, decimal256)),
        _ => return None,
    })
}

struct Make<'a> {
    leaf: &'a Leaf,
    data_type: &'a DataType,
    memory: Reservation,
}

impl Make<'_> {
    fn fixed<T: ArrowNativeType>(self, decode: Decode<T>) -> Box<dyn Target> {
        let width = match self.leaf.physical {
            Type::Int32 | Type::Float => 4,
            Type::Int64 | Type::Double => 8,
            Type::Int96 => 12,
            _ => self.leaf.type_length,
        };
        self.target(Layout::Fixed(width), width, decode)
    }

    fn variable<T: ArrowNativeType>(self, decode: Decode<T>) -> Box<dyn Target> {
        self.target(Layout::Variable, 0, decode)
    }

    fn target<T: ArrowNativeType>(self, layout: Layout, width: usize, decode: Decode<T>) -> Box<dyn Target> {
        Box::new(Numbers {
            data_type: self.data_type.clone(),
            layout,
            width,
            decode,
            out: Vec::new(),
            dense: Vec::new(),
            dictionary: None,
            memory: self.memory,
        })
    }
}

impl<T: ArrowNativeType> Target for Numbers<T> {
    fn set_dictionary(&mut self, bytes: PageBytes, count: usize) -> Result<()> {
        // No value takes less than a byte, so this bounds a count that the bytes cannot hold.
        let slots = count.min(bytes.len());
        self.take_memory(slots, self.out.len())?;
        let mut dictionary = Vec::with_capacity(slots);
        (self.decode)(&bytes, self.width, count, &mut dictionary)?;
        self.dictionary = Some(dictionary);
        Ok(())
    }

    fn read(&mut self, values: &mut Values, count: usize) -> Result<()> {
        self.take_memory(self.dictionary_len(), self.out.len() + count)?;
        append(values, count, self.decode, self.width, self.dictionary.as_deref(), &mut self.out)
    }

    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.take_memory(self.dictionary_len(), self.out.len() + mask.len())?;
        self.dense.clear();
        append(values, present, self.decode, self.width, self.dictionary.as_deref(), &mut self.dense)?;
        spread(&self.dense, mask, &mut self.out);
        Ok(())
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        // The next batch is likely as long.
        let next = Vec::with_capacity(self.out.len());
        let out = std::mem::replace(&mut self.out, next);
        let data = ArrayData::builder(self.data_type.clone())
            .len(out.len())
            .add_buffer(Buffer::from_vec(out))
            .nulls(nulls)
            .build()?;
        Ok(make_array(data))
    }
}

impl<T: ArrowNativeType> Numbers<T> {
    fn dictionary_len(&self) -> usize {
        self.dictionary.as_ref().map_or(0, Vec::len)
    }

    fn take_memory(&mut self, dictionary: usize, slots: usize) -> Result<()> {
        self.memory.resize(dictionary.saturating_add(slots).saturating_mul(size_of::<T>()))
    }
}

fn append<T: ArrowNativeType>(
    values: &mut Values,
    count: usize,
    decode: Decode<T>,
    width: usize,
    dictionary: Option<&[T]>,
    out: &mut Vec<T>,
) -> Result<()> {
    values.coding = match values.coding {
        Coding::Plain(at) => {
            let taken = decode(values.bytes().get(at..).unwrap_or_default(), width, count, out)?;
            Coding::Plain(at + taken)
        }
        Coding::Dictionary(position) => {
            let dictionary = dictionary.ok_or_else(no_dictionary)?;
            let mut indices = dictionary::Decoder::resume(values.bytes(), position)?;
            indices.gather(dictionary, count, out)?;
            Coding::Dictionary(indices.position())
        }
        Coding::Rle(_) => return Err(not_boolean()),
    };
    Ok(())
}

/// Values of `W` bytes each.
#[inline(always)]
fn each<const W: usize, T>(
    bytes: &[u8],
    count: usize,
    out: &mut Vec<T>,
    value: impl Fn([u8; W]) -> T,
) -> Result<usize> {
    let (values, _) = plain::split(bytes, count, W)?;
    out.extend(values.as_chunks::<W>().0.iter().map(|v| value(*v)));
    Ok(count * W)
}

/// Values of `width` bytes each.
#[inline(always)]
fn each_of<T>(
    bytes: &[u8],
    width: usize,
    count: usize,
    out: &mut Vec<T>,
    value: impl Fn(&[u8]) -> Option<T>,
) -> Result<usize> {
    let (values, _) = plain::split(bytes, count, width)?;
    out.reserve(count);
    for bytes in values.chunks_exact(width.max(1)) {
        out.push(value(bytes).ok_or_else(|| too_wide(bytes))?);
    }
    Ok(count * width)
}

/// Values behind their lengths.
fn each_string<T>(bytes: &[u8], count: usize, out: &mut Vec<T>, value: impl Fn(&[u8]) -> Option<T>) -> Result<usize> {
    let mut cursor = Cursor::new(bytes);
    for _ in 0..count {
        let length = cursor.u32_le()?;
        let bytes = cursor.take(length as usize)?;
        out.push(value(bytes).ok_or_else(|| too_wide(bytes))?);
    }
    Ok(cursor.position())
}

#[cold]
fn too_wide(bytes: &[u8]) -> Error {
    Error::corrupt(format!("a decimal of {} bytes is beyond the column's precision", bytes.len()))
}

/// Big-endian two's complement of any length; none if the number does not fit. No bytes are 0.
fn decimal32(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(sign_extend(bytes)?))
}

fn decimal64(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(sign_extend(bytes)?))
}

fn decimal128(bytes: &[u8]) -> Option<i128> {
    Some(i128::from_be_bytes(sign_extend(bytes)?))
}

fn decimal256(bytes: &[u8]) -> Option<i256> {
    Some(i256::from_be_bytes(sign_extend(bytes)?))
}

#[inline(always)]
fn sign_extend<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let sign = if bytes.first().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let (extra, bytes) = match bytes.len().checked_sub(N) {
        Some(extra) => bytes.split_at_checked(extra)?,
        None => (&[][..], bytes),
    };
    // What is cut off may only repeat the sign, the first bit that stays among it.
    let keeps_sign = extra.is_empty() || bytes.first().is_some_and(|b| b & 0x80 == sign & 0x80);
    if !keeps_sign || extra.iter().any(|&b| b != sign) {
        return None;
    }
    let mut wide = [sign; N];
    for (to, from) in wide.iter_mut().rev().zip(bytes.iter().rev()) {
        *to = *from;
    }
    Some(wide)
}

/// Nanoseconds of the day (8 bytes), Julian day (4 bytes) → nanoseconds since 1970, modulo 2^64.
fn int96(bytes: [u8; 12]) -> i64 {
    const JULIAN_DAY_OF_1970: i64 = 2_440_588;
    const DAY_NS: i64 = 86_400_000_000_000;
    let [a, b, c, d, e, f, g, h, day @ ..] = bytes;
    let nanoseconds = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let days = i64::from(u32::from_le_bytes(day)) - JULIAN_DAY_OF_1970;
    days.wrapping_mul(DAY_NS).wrapping_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_any_length_keep_their_sign() {
        assert_eq!(decimal128(&[]), Some(0));
        assert_eq!(decimal128(&[0xff]), Some(-1));
        assert_eq!(decimal128(&[0x01, 0x00]), Some(256));
        assert_eq!(decimal128(&i128::MIN.to_be_bytes()), Some(i128::MIN));
        let mut long = vec![0xff; 4];
        long.extend((-5i128).to_be_bytes());
        assert_eq!(decimal128(&long), Some(-5));
        long[0] = 0xfe;
        assert_eq!(decimal128(&long), None);
        // 2^127 in 17 bytes: the bits would fit, the sign not.
        let mut wide = vec![0];
        wide.extend(i128::MIN.to_be_bytes());
        assert_eq!(decimal128(&wide), None);
        assert_eq!(decimal256(&wide), i256::from_i128(i128::MAX).checked_add(i256::from_i128(1)));
        assert_eq!(decimal256(&[0x80]), Some(i256::from_i128(-128)));
    }

    #[test]
    fn int96_counts_from_the_julian_day() {
        let mut bytes = [0u8; 12];
        bytes[8..].copy_from_slice(&2_440_589u32.to_le_bytes());
        bytes[0] = 7;
        assert_eq!(int96(bytes), 86_400_000_000_007);
        bytes[8..].copy_from_slice(&2_440_587u32.to_le_bytes());
        assert_eq!(int96(bytes), -86_400_000_000_000 + 7);
        assert_ne!(int96([0xff; 12]), 0, "far beyond the range is no panic");
    }
}
