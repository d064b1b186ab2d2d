//! Values of a fixed width in the array: numbers, dates, times, decimals.
//!
//! Spec: Encodings.md, "Plain"; LogicalTypes.md, "DECIMAL", "Temporal Types".

use std::any::Any;

use arrow_array::{ArrayRef, make_array};
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_buffer::{ArrowNativeType, Buffer, IntervalDayTime, IntervalMonthDayNano, NullBuffer, i256};
use arrow_data::ArrayData;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use half::f16;

use super::entries::{Decode, Entries};
use super::spread::spread;
use super::{Layout, Target, no_dictionary, not_boolean, not_lengths, not_numbers};
use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::parquet::arrow::{DAY_MS, INTERVAL_BYTES, Leaf, Scaling};
use crate::parquet::encoding::delta_binary_packed::{self, Delta};
use crate::parquet::encoding::plain::{self, Fixed};
use crate::parquet::encoding::{byte_stream_split, dictionary};
use crate::parquet::format::{Encoding, Type};
use crate::parquet::read::budget::Reservation;
use crate::parquet::read::page::{Coding, PageBytes, Values};

#[derive(Debug)]
struct Numbers<T> {
    data_type: DataType,
    layout: Layout,
    width: usize,
    decode: Decode<T>,
    /// Whether it takes values as they are.
    is_own: bool,
    out: Vec<T>,
    /// Values before they are spread.
    dense: Vec<T>,
    /// Values in PLAIN, [`SCRATCH_BYTES`] at most.
    scratch: Vec<u8>,
    dictionary: Option<Entries<T>>,
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
        (P::Int32, D::Int32 | D::Date32 | D::Time32(_) | D::Decimal32(..)) => {
            make.own(|b, _, n, out| each(b, n, out, i32::from_le_bytes))
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
            make.own(|b, _, n, out| each(b, n, out, i64::from_le_bytes))
        }
        (P::Int64, D::Decimal128(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i128::from(i64::from_le_bytes(v))))
        }
        (P::Int64, D::Decimal256(..)) => {
            make.fixed(|b, _, n, out| each(b, n, out, |v| i256::from(i64::from_le_bytes(v))))
        }
        (P::Int96, D::Timestamp(TimeUnit::Microsecond, _)) if leaf.runs_over => {
            make.fixed(|b, _, n, out| each(b, n, out, int96_running_over::<1000>))
        }
        (P::Int96, D::Timestamp(TimeUnit::Nanosecond, _)) if leaf.runs_over => {
            make.fixed(|b, _, n, out| each(b, n, out, int96_running_over::<1>))
        }
        (P::Int96, D::Timestamp(unit, _)) => match unit {
            TimeUnit::Second => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1_000_000_000>)),
            TimeUnit::Millisecond => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1_000_000>)),
            TimeUnit::Microsecond => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1000>)),
            TimeUnit::Nanosecond => make.fixed(|b, _, n, out| try_each(b, n, out, int96::<1>)),
        },
        (P::FixedLenByteArray, D::Interval(unit)) if leaf.type_length == INTERVAL_BYTES => match unit {
            IntervalUnit::YearMonth => make.fixed(|b, _, n, out| try_each(b, n, out, interval_months)),
            IntervalUnit::DayTime => make.fixed(|b, _, n, out| try_each(b, n, out, interval_days)),
            IntervalUnit::MonthDayNano => make.fixed(|b, _, n, out| try_each(b, n, out, interval)),
        },
        (P::Float, D::Float32) => make.fixed(|b, _, n, out| each(b, n, out, f32::from_le_bytes)),
        (P::Double, D::Float64) => make.fixed(|b, _, n, out| each(b, n, out, f64::from_le_bytes)),
        (P::FixedLenByteArray, D::Float16) if leaf.type_length == 2 => {
            make.fixed(|b, _, n, out| each(b, n, out, f16::from_le_bytes))
        }
        (P::FixedLenByteArray, D::Decimal32(..)) => {
            make.fixed(|b, w, n, out| each_decimal(b, w, n, out, |v, s| i32::from_be_bytes(v) >> s, decimal32))
        }
        (P::FixedLenByteArray, D::Decimal64(..)) => {
            make.fixed(|b, w, n, out| each_decimal(b, w, n, out, |v, s| i64::from_be_bytes(v) >> s, decimal64))
        }
        (P::FixedLenByteArray, D::Decimal128(..)) => {
            make.fixed(|b, w, n, out| each_decimal(b, w, n, out, |v, s| i128::from_be_bytes(v) >> s, decimal128))
        }
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

    /// Values that are in the array what they are in the file.
    fn own<T: ArrowNativeType>(self, decode: Decode<T>) -> Box<dyn Target> {
        let width = size_of::<T>();
        Box::new(Numbers { is_own: true, ..self.numbers(Layout::Fixed(width), width, decode) })
    }

    fn variable<T: ArrowNativeType>(self, decode: Decode<T>) -> Box<dyn Target> {
        self.target(Layout::Variable, 0, decode)
    }

    fn target<T: ArrowNativeType>(self, layout: Layout, width: usize, decode: Decode<T>) -> Box<dyn Target> {
        Box::new(self.numbers(layout, width, decode))
    }

    fn numbers<T: ArrowNativeType>(self, layout: Layout, width: usize, decode: Decode<T>) -> Numbers<T> {
        Numbers {
            data_type: self.data_type.clone(),
            layout,
            width,
            decode,
            is_own: false,
            out: Vec::new(),
            dense: Vec::new(),
            scratch: Vec::new(),
            dictionary: None,
            memory: self.memory,
        }
    }
}

impl<T: ArrowNativeType> Target for Numbers<T> {
    fn set_dictionary(&mut self, bytes: &mut PageBytes, count: usize, is_sparse: bool) -> Result<()> {
        // No value takes less than a byte, so this bounds a count that the bytes cannot hold.
        let slots = count.min(bytes.len());
        self.take_memory(bytes.len() + slots.saturating_mul(size_of::<T>()), self.out.len())?;
        self.dictionary = Some(Entries::new(bytes, self.width, count, is_sparse, self.decode)?);
        Ok(())
    }

    fn clear_dictionary(&mut self) {
        self.dictionary = None;
    }

    fn read(&mut self, values: &mut Values, count: usize) -> Result<()> {
        self.take_memory(self.dictionary_bytes(), self.out.len() + count)?;
        let mut source = Source {
            decode: self.decode,
            is_own: self.is_own,
            width: self.width,
            dictionary: self.dictionary.as_mut(),
        };
        source.append(values, count, &mut self.scratch, &mut self.out)
    }

    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.take_memory(self.dictionary_bytes(), self.out.len() + mask.len())?;
        self.dense.clear();
        let mut source = Source {
            decode: self.decode,
            is_own: self.is_own,
            width: self.width,
            dictionary: self.dictionary.as_mut(),
        };
        source.append(values, present, &mut self.scratch, &mut self.dense)?;
        spread(&self.dense, mask, &mut self.out);
        Ok(())
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn takes(&self) -> &'static [Encoding] {
        match self.layout {
            Layout::Fixed(_) => &[Encoding::ByteStreamSplit, Encoding::DeltaBinaryPacked],
            _ => &[],
        }
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
    fn dictionary_bytes(&self) -> usize {
        self.dictionary.as_ref().map_or(0, Entries::bytes)
    }

    fn take_memory(&mut self, dictionary_bytes: usize, slots: usize) -> Result<()> {
        self.memory.resize(dictionary_bytes.saturating_add(slots.saturating_mul(size_of::<T>())))
    }
}

/// Bytes of values that are turned into PLAIN at a time, or one value: they stay in the nearest cache.
const SCRATCH_BYTES: usize = 8 << 10;

/// What turns coded values into numbers.
struct Source<'a, T> {
    decode: Decode<T>,
    is_own: bool,
    width: usize,
    dictionary: Option<&'a mut Entries<T>>,
}

impl<T: ArrowNativeType> Source<'_, T> {
    fn append(&mut self, values: &mut Values, count: usize, scratch: &mut Vec<u8>, out: &mut Vec<T>) -> Result<()> {
        values.coding = match values.coding {
            Coding::Plain(at) => {
                let taken = (self.decode)(values.bytes().get(at..).unwrap_or_default(), self.width, count, out)?;
                Coding::Plain(at + taken)
            }
            Coding::Dictionary(position) => {
                let entries = self.dictionary.as_mut().ok_or_else(no_dictionary)?;
                let mut indices = dictionary::Decoder::resume(values.bytes(), position)?;
                entries.gather(&mut indices, count, self.decode, out)?;
                Coding::Dictionary(indices.position())
            }
            Coding::Split(at) => {
                let mut next = at;
                let at_once = self.at_once();
                scratch.resize(at_once * self.width, 0);
                while next < at + count {
                    let n = at_once.min(at + count - next);
                    let piece = scratch.get_mut(..n * self.width).unwrap_or_default();
                    byte_stream_split::decode(values.bytes(), self.width, next, piece)?;
                    (self.decode)(piece, self.width, n, out)?;
                    next += n;
                }
                Coding::Split(next)
            }
            Coding::Deltas => {
                match self.width {
                    4 => self.deltas::<i32>(values, count, scratch, out)?,
                    8 => self.deltas::<i64>(values, count, scratch, out)?,
                    _ => return Err(not_numbers()),
                }
                Coding::Deltas
            }
            Coding::Rle(_) => return Err(not_boolean()),
            Coding::Lengths(..) | Coding::Prefixes => return Err(not_lengths()),
        };
        Ok(())
    }

    /// Values for which there is room in scratch. The page has one of them at least, so none is wider than the page.
    fn at_once(&self) -> usize {
        (SCRATCH_BYTES / self.width.max(1)).max(1)
    }

    fn deltas<D: Delta + Fixed>(
        &self,
        values: &mut Values,
        count: usize,
        scratch: &mut Vec<u8>,
        out: &mut Vec<T>,
    ) -> Result<()> {
        let mut decoder = delta_binary_packed::Decoder::<D>::resume(values.bytes(), &values.deltas)?;
        let mut left = count;
        if self.is_own
            && let Some(out) = (out as &mut dyn Any).downcast_mut::<Vec<D>>()
        {
            out.reserve(count);
            decoder.read(count, out)?;
            left = 0;
        }
        while left > 0 {
            let n = self.at_once().min(left);
            scratch.clear();
            decoder.read_plain(n, scratch)?;
            (self.decode)(scratch, self.width, n, out)?;
            left -= n;
        }
        values.deltas = decoder.position();
        Ok(())
    }
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

/// Values of `W` bytes each, of which some may not fit.
fn try_each<const W: usize, T>(
    bytes: &[u8],
    count: usize,
    out: &mut Vec<T>,
    value: impl Fn([u8; W]) -> Result<T>,
) -> Result<usize> {
    let (values, _) = plain::split(bytes, count, W)?;
    out.reserve(count);
    for bytes in values.as_chunks::<W>().0 {
        out.push(value(*bytes)?);
    }
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

/// Decimals of `width` bytes each: of `W` bytes that begin with the value, big-endian, `narrow` makes the value by a shift;
/// `value` is the way of those for which that cannot be.
#[inline(always)]
fn each_decimal<const W: usize, T>(
    bytes: &[u8],
    width: usize,
    count: usize,
    out: &mut Vec<T>,
    narrow: impl Fn([u8; W], u32) -> T,
    value: impl Fn(&[u8]) -> Option<T>,
) -> Result<usize> {
    let (values, _) = plain::split(bytes, count, width)?;
    let shift = match W.checked_sub(width) {
        Some(spare) if width > 0 => 8 * spare as u32,
        _ => return each_of(bytes, width, count, out, value),
    };
    // Bytes of the next values are shifted out, so the last ones have to be taken one by one.
    let wide = values.windows(W).step_by(width).filter_map(<[u8]>::first_chunk);
    let done = if values.len() < W { 0 } else { (values.len() - W) / width + 1 };
    out.reserve(count);
    out.extend(wide.take(done).map(|chunk| narrow(*chunk, shift)));
    each_of(values.get(done * width..).unwrap_or_default(), width, count - done, out, value)?;
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

/// Like [`int96`], but modulo 2^64, of a day without a sign: what PyArrow and arrow-rs make of a file that does not tell its unit.
fn int96_running_over<const UNIT: i64>(bytes: [u8; 12]) -> i64 {
    let [a, b, c, d, e, f, g, h, day @ ..] = bytes;
    let nanoseconds = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let days = i64::from(u32::from_le_bytes(day)) - 2_440_588;
    days.wrapping_mul(86_400_000_000_000 / UNIT).wrapping_add(nanoseconds.div_euclid(UNIT))
}

/// Nanoseconds of the day (8 bytes), Julian day (4 bytes) → units of `UNIT` nanoseconds since 1970, rounded down.
///
/// Of the last years that 64 bits of microseconds hold, Spark's count of microseconds since the first Julian day runs over, and
/// its day is negative: it is run back.
fn int96<const UNIT: i128>(bytes: [u8; 12]) -> Result<i64> {
    const JULIAN_DAY_OF_1970: i128 = 2_440_588;
    const DAY_NS: i128 = 86_400_000_000_000;
    let [a, b, c, d, e, f, g, h, day @ ..] = bytes;
    let nanoseconds = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let julian_day = i32::from_le_bytes(day);
    let days = i128::from(julian_day) - JULIAN_DAY_OF_1970;
    let since_1970 = (days * DAY_NS + i128::from(nanoseconds)).div_euclid(UNIT);
    if UNIT == 1000 && julian_day < 0 {
        return Ok(since_1970 as i64);
    }
    i64::try_from(since_1970).map_err(|_| {
        let unit = match UNIT {
            1 => "nanoseconds",
            1000 => "microseconds",
            _ => "milliseconds",
        };
        Error::limit(format!(
            "a timestamp in INT96, {days} days from 1970, is beyond 64 bits of {unit}: set int96_unit"
        ))
    })
}

/// Months, days and milliseconds of an INTERVAL, each without a sign.
fn interval_parts(bytes: [u8; INTERVAL_BYTES]) -> Result<(i32, i32, u32)> {
    let [m0, m1, m2, m3, d0, d1, d2, d3, milliseconds @ ..] = bytes;
    let (months, days) = (u32::from_le_bytes([m0, m1, m2, m3]), u32::from_le_bytes([d0, d1, d2, d3]));
    let signed = |value: u32, what: &str| {
        i32::try_from(value)
            .map_err(|_| Error::limit(format!("an interval of {value} {what}: 2147483647 are the most")))
    };
    Ok((signed(months, "months")?, signed(days, "days")?, u32::from_le_bytes(milliseconds)))
}

fn interval(bytes: [u8; INTERVAL_BYTES]) -> Result<IntervalMonthDayNano> {
    let (months, days, milliseconds) = interval_parts(bytes)?;
    Ok(IntervalMonthDayNano::new(months, days, i64::from(milliseconds) * 1_000_000))
}

fn interval_days(bytes: [u8; INTERVAL_BYTES]) -> Result<IntervalDayTime> {
    match interval_parts(bytes)? {
        (0, days, milliseconds) => match i32::try_from(milliseconds) {
            Ok(milliseconds) => Ok(IntervalDayTime::new(days, milliseconds)),
            Err(_) => Err(Error::limit(format!("an interval of {milliseconds} ms: 2147483647 are the most"))),
        },
        (months, ..) => Err(Error::corrupt(format!("an interval of {months} months in a column of days"))),
    }
}

fn interval_months(bytes: [u8; INTERVAL_BYTES]) -> Result<i32> {
    match interval_parts(bytes)? {
        (months, 0, 0) => Ok(months),
        (_, days, ms) => Err(Error::corrupt(format!("an interval of {days} days and {ms} ms in a column of months"))),
    }
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
        assert_eq!(int96::<1>(bytes).expect("fits"), 86_400_000_000_007);
        bytes[8..].copy_from_slice(&2_440_587u32.to_le_bytes());
        assert_eq!(int96::<1>(bytes).expect("fits"), -86_400_000_000_000 + 7);
        assert_eq!(int96::<1000>(bytes).expect("fits"), -86_400_000_000, "rounded down");
        bytes[0] = 0;
        assert_eq!(int96::<1_000_000_000>(bytes).expect("fits"), -86_400);
        // The year 9999, and farther than any unit goes.
        bytes[8..].copy_from_slice(&5_373_484u32.to_le_bytes());
        assert_eq!(int96::<1000>(bytes).expect("fits"), 253_402_214_400_000_000);
        assert!(int96::<1>(bytes).expect_err("beyond").to_string().contains("set int96_unit"));
        assert_eq!(int96_running_over::<1000>(bytes), 253_402_214_400_000_000);
        assert_eq!(int96_running_over::<1>(bytes), 253_402_214_400_000_000i64.wrapping_mul(1000));
        // 290000-12-31, as Spark writes it.
        bytes[8..].copy_from_slice(&(-105_862_232i32).to_le_bytes());
        assert_eq!(int96::<1000>(bytes).expect("runs back"), 9_089_380_425_709_551_616);
        assert!(int96::<1>(bytes).is_err());
        for far in [[0xff; 12], [0x7f; 12]] {
            assert!(int96::<1>(far).is_err());
            assert!(int96::<1_000_000_000>(far).is_ok());
        }
    }

    #[test]
    fn an_interval_that_does_not_fit_is_no_other() {
        let bytes = |months: u32, days: u32, ms: u32| -> [u8; 12] {
            [months, days, ms].map(u32::to_le_bytes).as_flattened().try_into().expect("12 bytes")
        };
        let most = interval(bytes(3, 4, u32::MAX)).expect("fits");
        assert_eq!(most, IntervalMonthDayNano::new(3, 4, 4_294_967_295_000_000));
        assert!(interval(bytes(1 << 31, 0, 0)).is_err() && interval(bytes(0, 1 << 31, 0)).is_err());
        assert_eq!(interval_days(bytes(0, 4, 5)).expect("fits"), IntervalDayTime::new(4, 5));
        assert!(interval_days(bytes(1, 4, 5)).is_err() && interval_days(bytes(0, 0, 1 << 31)).is_err());
        assert_eq!(interval_months(bytes(7, 0, 0)).expect("fits"), 7);
        assert!(interval_months(bytes(7, 1, 0)).is_err() && interval_months(bytes(7, 0, 1)).is_err());
    }
}
