//! Arrow's values as Parquet stores them: without the nulls, in one slice.
//!
//! Where both hold them alike, and no value is null, nothing is copied.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::{NullBuffer, i256};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use arrow_select::take::take;

use crate::error::{Error, Result};
use crate::parquet::arrow::DAY_MS;
/// The type of an array's values once it is [`flat`].
pub(super) use crate::parquet::arrow::node::unpacked as value_type;

/// The array without a dictionary or runs.
pub(super) fn flat(array: &ArrayRef) -> Result<ArrayRef> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        return flat(&take(dictionary.values(), dictionary.keys(), None)?);
    }
    match array.data_type() {
        DataType::RunEndEncoded(_, values) => flat(&arrow_cast::cast(array, values.data_type())?),
        _ => Ok(array.clone()),
    }
}

/// The values of an INT32 column.
pub(super) fn int32s<'a>(array: &'a dyn Array, scratch: &'a mut Vec<i32>) -> Result<&'a [i32]> {
    Ok(match array.data_type() {
        DataType::Int8 => cast::<Int8Type, _>(array, scratch, i32::from),
        DataType::Int16 => cast::<Int16Type, _>(array, scratch, i32::from),
        DataType::Int32 => same::<Int32Type>(array, scratch),
        DataType::UInt8 => cast::<UInt8Type, _>(array, scratch, i32::from),
        DataType::UInt16 => cast::<UInt16Type, _>(array, scratch, i32::from),
        DataType::UInt32 => cast::<UInt32Type, _>(array, scratch, u32::cast_signed),
        DataType::Date32 => same::<Date32Type>(array, scratch),
        DataType::Date64 => try_cast::<Date64Type, _>(array, scratch, |v| {
            let days = if v % DAY_MS == 0 { i32::try_from(v / DAY_MS).ok() } else { None };
            days.ok_or_else(|| Error::invalid(format!("the Date64 {v} ms is not a whole day that a date can hold")))
        })?,
        DataType::Time32(TimeUnit::Second) => try_cast::<Time32SecondType, _>(array, scratch, |v| {
            v.checked_mul(1000).ok_or_else(|| beyond(v, "milliseconds of a time"))
        })?,
        DataType::Time32(_) => same::<Time32MillisecondType>(array, scratch),
        DataType::Decimal32(p, _) => same_decimal::<Decimal32Type>(array, *p, scratch)?,
        DataType::Decimal64(p, _) => decimal::<Decimal64Type, _>(array, *p, scratch, |v| v as i32)?,
        DataType::Decimal128(p, _) => decimal::<Decimal128Type, _>(array, *p, scratch, |v| v as i32)?,
        DataType::Decimal256(p, _) => decimal::<Decimal256Type, _>(array, *p, scratch, |v| v.as_i128() as i32)?,
        other => return Err(unexpected(other)),
    })
}

/// The values of an INT64 column.
pub(super) fn int64s<'a>(array: &'a dyn Array, scratch: &'a mut Vec<i64>) -> Result<&'a [i64]> {
    Ok(match array.data_type() {
        DataType::Int64 => same::<Int64Type>(array, scratch),
        DataType::UInt64 => cast::<UInt64Type, _>(array, scratch, u64::cast_signed),
        DataType::Time64(TimeUnit::Microsecond) => same::<Time64MicrosecondType>(array, scratch),
        DataType::Time64(_) => same::<Time64NanosecondType>(array, scratch),
        DataType::Timestamp(TimeUnit::Second, _) => try_cast::<TimestampSecondType, _>(array, scratch, |v| {
            v.checked_mul(1000).ok_or_else(|| beyond(v, "milliseconds of a timestamp"))
        })?,
        DataType::Timestamp(TimeUnit::Millisecond, _) => same::<TimestampMillisecondType>(array, scratch),
        DataType::Timestamp(TimeUnit::Microsecond, _) => same::<TimestampMicrosecondType>(array, scratch),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => same::<TimestampNanosecondType>(array, scratch),
        DataType::Duration(TimeUnit::Second) => same::<DurationSecondType>(array, scratch),
        DataType::Duration(TimeUnit::Millisecond) => same::<DurationMillisecondType>(array, scratch),
        DataType::Duration(TimeUnit::Microsecond) => same::<DurationMicrosecondType>(array, scratch),
        DataType::Duration(TimeUnit::Nanosecond) => same::<DurationNanosecondType>(array, scratch),
        DataType::Decimal64(p, _) => same_decimal::<Decimal64Type>(array, *p, scratch)?,
        DataType::Decimal128(p, _) => decimal::<Decimal128Type, _>(array, *p, scratch, |v| v as i64)?,
        DataType::Decimal256(p, _) => decimal::<Decimal256Type, _>(array, *p, scratch, |v| v.as_i128() as i64)?,
        other => return Err(unexpected(other)),
    })
}

/// The values of an array that Parquet stores as they are.
pub(super) fn same<'a, A: ArrowPrimitiveType>(
    array: &'a dyn Array,
    scratch: &'a mut Vec<A::Native>,
) -> &'a [A::Native] {
    let array = array.as_primitive::<A>();
    match nulls(array) {
        None => array.values(),
        Some(nulls) => {
            gather(array.values(), nulls, scratch);
            scratch
        }
    }
}

fn cast<'a, A: ArrowPrimitiveType, T>(
    array: &'a dyn Array,
    scratch: &'a mut Vec<T>,
    to: impl Fn(A::Native) -> T,
) -> &'a [T] {
    let array = array.as_primitive::<A>();
    scratch.clear();
    match nulls(array) {
        None => scratch.extend(array.values().iter().map(|&v| to(v))),
        Some(_) => scratch.extend(array.iter().flatten().map(to)),
    }
    scratch
}

fn try_cast<'a, A: ArrowPrimitiveType, T>(
    array: &'a dyn Array,
    scratch: &'a mut Vec<T>,
    to: impl Fn(A::Native) -> Result<T>,
) -> Result<&'a [T]> {
    scratch.clear();
    for value in array.as_primitive::<A>().iter().flatten() {
        scratch.push(to(value)?);
    }
    Ok(scratch)
}

/// Arrow does not hold a decimal's digits to its precision; Parquet's readers rely on it.
fn decimal<'a, A: DecimalType, T>(
    array: &'a dyn Array,
    precision: u8,
    scratch: &'a mut Vec<T>,
    to: impl Fn(A::Native) -> T,
) -> Result<&'a [T]> {
    let mut gathered = Vec::new();
    let values = same_decimal::<A>(array, precision, &mut gathered)?;
    scratch.clear();
    scratch.extend(values.iter().map(|&v| to(v)));
    Ok(scratch)
}

fn same_decimal<'a, A: DecimalType>(
    array: &'a dyn Array,
    precision: u8,
    scratch: &'a mut Vec<A::Native>,
) -> Result<&'a [A::Native]> {
    let values = same::<A>(array, scratch);
    // All of them without a branch; which one it was is asked when one was.
    if values.iter().fold(true, |all, &v| all & fits::<A>(v, precision)) {
        return Ok(values);
    }
    match values.iter().find(|v| !fits::<A>(**v, precision)) {
        Some(v) => Err(digits::<A>(*v, precision)),
        None => Ok(values),
    }
}

/// The values of an array by row that Parquet stores in `width` bytes each; zeros where it is null. Decimals are
/// big-endian, INTERVAL is months, days, milliseconds, INT96 nanoseconds of the day and the Julian day.
pub(super) fn fixed_bytes(array: &dyn Array, width: usize, scratch: &mut Vec<u8>) -> Result<()> {
    scratch.clear();
    scratch.reserve(array.len() * width + size_of::<i128>());
    match array.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            slots::<IntervalYearMonthType>(array, scratch, |months| interval(months, 0, 0))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            slots::<IntervalDayTimeType>(array, scratch, |v| interval(0, v.days, i64::from(v.milliseconds) * 1_000_000))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            slots::<IntervalMonthDayNanoType>(array, scratch, |v| interval(v.months, v.days, v.nanoseconds))
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            slots::<TimestampSecondType>(array, scratch, |v| int96(v, 1_000_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            slots::<TimestampMillisecondType>(array, scratch, |v| int96(v, 1_000_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            slots::<TimestampMicrosecondType>(array, scratch, |v| int96(v, 1000))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            slots::<TimestampNanosecondType>(array, scratch, |v| int96(v, 1))
        }
        DataType::Decimal32(p, _) => narrow::<Decimal32Type>(array, *p, width, scratch, i128::from),
        DataType::Decimal64(p, _) => narrow::<Decimal64Type>(array, *p, width, scratch, i128::from),
        DataType::Decimal128(p, _) => narrow::<Decimal128Type>(array, *p, width, scratch, |v| v),
        DataType::Decimal256(p, _) => fixed::<Decimal256Type>(array, *p, width, scratch, |v| v),
        other => Err(unexpected(other)),
    }
}

/// The same for those of 16 bytes at most: as many are written for each, a copy of so many as `width` would be a call.
fn narrow<A: DecimalType>(
    array: &dyn Array,
    precision: u8,
    width: usize,
    out: &mut Vec<u8>,
    to: impl Fn(A::Native) -> i128,
) -> Result<()> {
    const BYTES: usize = size_of::<i128>();
    let Some(spare) = BYTES.checked_sub(width).filter(|&spare| spare < BYTES) else {
        return fixed::<A>(array, precision, width, out, |v| i256::from_i128(to(v)));
    };
    let array: &PrimitiveArray<A> = array.as_primitive();
    // The last ones reach behind the end.
    out.resize(array.len() * width + BYTES, 0);
    for (at, value) in array.iter().enumerate() {
        let value = match value {
            Some(v) if !fits::<A>(v, precision) => return Err(digits::<A>(v, precision)),
            Some(v) => to(v),
            None => 0,
        };
        if let Some(slot) = out.get_mut(at * width..).and_then(<[u8]>::first_chunk_mut) {
            *slot = (value << (8 * spare)).to_be_bytes();
        }
    }
    out.truncate(array.len() * width);
    Ok(())
}

fn fixed<A: DecimalType>(
    array: &dyn Array,
    precision: u8,
    width: usize,
    out: &mut Vec<u8>,
    to: impl Fn(A::Native) -> i256,
) -> Result<()> {
    let array: &PrimitiveArray<A> = array.as_primitive();
    for value in array {
        match value {
            Some(v) if !fits::<A>(v, precision) => return Err(digits::<A>(v, precision)),
            Some(v) => out.extend_from_slice(to(v).to_be_bytes().get(32 - width..).unwrap_or_default()),
            None => out.resize(out.len() + width, 0),
        }
    }
    Ok(())
}

fn slots<A: ArrowPrimitiveType>(
    array: &dyn Array,
    out: &mut Vec<u8>,
    to: impl Fn(A::Native) -> Result<[u8; 12]>,
) -> Result<()> {
    for value in array.as_primitive::<A>() {
        out.extend_from_slice(&value.map_or(Ok([0; 12]), &to)?);
    }
    Ok(())
}

/// Spec: LogicalTypes.md, "INTERVAL": three numbers without a sign.
fn interval(months: i32, days: i32, nanoseconds: i64) -> Result<[u8; 12]> {
    let milliseconds = u32::try_from(nanoseconds / 1_000_000).ok().filter(|_| nanoseconds % 1_000_000 == 0);
    match (u32::try_from(months), u32::try_from(days), milliseconds) {
        (Ok(months), Ok(days), Some(milliseconds)) => Ok(three(months, days, milliseconds)),
        _ => Err(Error::invalid(format!(
            "an interval of {months} months, {days} days and {nanoseconds} ns: Parquet's are of whole milliseconds, \
             32 bits of each, and not negative"
        ))),
    }
}

fn three(a: u32, b: u32, c: u32) -> [u8; 12] {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3], [c0, c1, c2, c3]) = (a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes());
    [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3]
}

fn int96(value: i64, unit_ns: i128) -> Result<[u8; 12]> {
    const JULIAN_DAY_OF_1970: i128 = 2_440_588;
    const DAY_NS: i128 = 86_400_000_000_000;
    let since_1970 = i128::from(value) * unit_ns;
    let day = i32::try_from(since_1970.div_euclid(DAY_NS) + JULIAN_DAY_OF_1970)
        .map_err(|_| Error::invalid(format!("the timestamp {value} is beyond INT96, whose days have 32 bits")))?;
    let nanoseconds = since_1970.rem_euclid(DAY_NS) as u64;
    Ok(three(nanoseconds as u32, (nanoseconds >> 32) as u32, day.cast_unsigned()))
}

#[inline]
fn fits<A: DecimalType>(value: A::Native, precision: u8) -> bool {
    A::is_valid_decimal_precision(value, precision)
}

/// The nulls of an array that has some.
pub(super) fn nulls(array: &dyn Array) -> Option<&NullBuffer> {
    array.nulls().filter(|nulls| nulls.null_count() > 0)
}

/// Replaces `out` by the values that are not null.
fn gather<T: Copy + Default>(values: &[T], nulls: &NullBuffer, out: &mut Vec<T>) {
    out.clear();
    out.reserve(values.len() - nulls.null_count());
    let bits = nulls.inner().bit_chunks();
    let (blocks, rest) = values.as_chunks::<64>();
    for (block, mask) in blocks.iter().zip(bits.iter()) {
        gather_block(block, mask, out);
    }
    let mask = bits.remainder_bits();
    out.extend(rest.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, v)| *v));
}

/// Appends the values whose bit is set.
#[inline]
fn gather_block<T: Copy + Default>(block: &[T; 64], mask: u64, out: &mut Vec<T>) {
    match mask {
        u64::MAX => out.extend_from_slice(block),
        0 => {}
        _ => {
            // Each value is put down, and the next one upon it if it was null: no branch to guess.
            let mut dense = [T::default(); 64];
            let mut count = 0usize;
            for (i, value) in block.iter().enumerate() {
                #[expect(clippy::indexing_slicing, reason = "at most 63 values came before")]
                {
                    dense[count & 63] = *value;
                }
                count += (mask >> i & 1) as usize;
            }
            out.extend_from_slice(dense.get(..count).unwrap_or_default());
        }
    }
}

#[cold]
fn digits<A: DecimalType>(value: A::Native, precision: u8) -> Error {
    Error::invalid(format!("the decimal {value:?} has more than the type's {precision} digits"))
}

#[cold]
fn beyond(value: impl std::fmt::Display, what: &str) -> Error {
    Error::invalid(format!("{value} s are more {what} than fit"))
}

/// The schema said that the column is stored so, and the batch has the schema.
#[cold]
fn unexpected(data_type: &DataType) -> Error {
    Error::invalid(format!("no values of type {data_type} belong here"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_int96_is_a_julian_day_and_nanoseconds() {
        assert_eq!(int96(0, 1).expect("fits"), [0, 0, 0, 0, 0, 0, 0, 0, 0x8c, 0x3d, 0x25, 0]);
        let before = int96(-1, 1000).expect("fits");
        assert_eq!(before[..8], (86_400_000_000_000u64 - 1000).to_le_bytes());
        assert_eq!(before[8..], 2_440_587i32.to_le_bytes());
        assert!(int96(i64::MAX, 1_000_000_000).is_err() && int96(i64::MIN, 1_000_000_000).is_err());
        assert!(int96(i64::MAX, 1).is_ok() && int96(i64::MIN, 1000).is_ok());
    }

    #[test]
    fn an_interval_has_no_sign_and_whole_milliseconds() {
        let bytes = interval(1, 2, 3_000_000).expect("fits");
        assert_eq!(bytes, [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
        assert!(interval(0, 0, 4_294_967_295_999_999).is_err());
        assert!(interval(0, 0, 4_294_967_295_000_000).is_ok());
        for (months, days, ns) in [(-1, 0, 0), (0, -1, 0), (0, 0, -1_000_000), (0, 0, 1), (0, 0, 4_294_967_296_000_000)]
        {
            assert_eq!(interval(months, days, ns).expect_err("does not fit").kind(), "invalid");
        }
    }

    #[test]
    fn values_that_are_not_null_are_gathered() {
        let values: Vec<i32> = (0..1000).collect();
        // Nulls at random, none and only nulls for more than a block each.
        let valid: Vec<bool> = (0..1000).map(|i| i < 200 || (i > 400 && i * i % 7 > 2)).collect();
        for (start, end) in [(0, 1000), (0, 64), (3, 67), (100, 700), (150, 450), (399, 1000), (5, 5)] {
            let nulls = NullBuffer::from(valid.clone()).slice(start, end - start);
            let mut out = vec![7];
            gather(&values[start..end], &nulls, &mut out);
            let expected: Vec<i32> = (start..end).filter(|&i| valid[i]).map(|i| i as i32).collect();
            assert_eq!(out, expected, "{start}..{end}");
        }
    }
}
