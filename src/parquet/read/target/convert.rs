//! Values in PLAIN, one after another, as the numbers of an array.
//!
//! Spec: Encodings.md, "Plain"; LogicalTypes.md, "DECIMAL", "INTERVAL"; the Julian days of INT96 are those of Impala.

use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, i256};

use crate::cursor::Cursor;
use crate::error::{Error, Result};
use crate::parquet::arrow::INTERVAL_BYTES;
use crate::parquet::encoding::plain;

/// Values of `W` bytes each.
#[inline(always)]
pub(super) fn each<const W: usize, T>(
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
pub(super) fn try_each<const W: usize, T>(
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
pub(super) fn each_of<T>(
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
pub(super) fn each_decimal<const W: usize, T>(
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
    let done = if values.len() < W { 0 } else { (values.len() - W) / width + 1 };
    let wide = |at: usize| values.get(at * width..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; W]);
    out.extend((0..done).map(|at| narrow(wide(at), shift)));
    each_of(values.get(done * width..).unwrap_or_default(), width, count - done, out, value)?;
    Ok(count * width)
}

/// Values behind their lengths.
pub(super) fn each_string<T>(
    bytes: &[u8],
    count: usize,
    out: &mut Vec<T>,
    value: impl Fn(&[u8]) -> Option<T>,
) -> Result<usize> {
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
pub(super) fn decimal32(bytes: &[u8]) -> Option<i32> {
    Some(i32::from_be_bytes(sign_extend(bytes)?))
}

pub(super) fn decimal64(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(sign_extend(bytes)?))
}

pub(super) fn decimal128(bytes: &[u8]) -> Option<i128> {
    Some(i128::from_be_bytes(sign_extend(bytes)?))
}

pub(super) fn decimal256(bytes: &[u8]) -> Option<i256> {
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
pub(super) fn int96_running_over<const UNIT: i64>(bytes: [u8; 12]) -> i64 {
    let [a, b, c, d, e, f, g, h, day @ ..] = bytes;
    let nanoseconds = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let days = i64::from(u32::from_le_bytes(day)) - 2_440_588;
    days.wrapping_mul(86_400_000_000_000 / UNIT).wrapping_add(nanoseconds.div_euclid(UNIT))
}

/// Nanoseconds of the day (8 bytes), Julian day (4 bytes) → units of `UNIT` nanoseconds since 1970, rounded down.
///
/// Of the last years that 64 bits of microseconds hold, Spark's count of microseconds since the first Julian day runs over, and
/// its day is negative: it is run back.
pub(super) fn int96<const UNIT: i128>(bytes: [u8; 12]) -> Result<i64> {
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

pub(super) fn interval(bytes: [u8; INTERVAL_BYTES]) -> Result<IntervalMonthDayNano> {
    let (months, days, milliseconds) = interval_parts(bytes)?;
    Ok(IntervalMonthDayNano::new(months, days, i64::from(milliseconds) * 1_000_000))
}

pub(super) fn interval_days(bytes: [u8; INTERVAL_BYTES]) -> Result<IntervalDayTime> {
    match interval_parts(bytes)? {
        (0, days, milliseconds) => match i32::try_from(milliseconds) {
            Ok(milliseconds) => Ok(IntervalDayTime::new(days, milliseconds)),
            Err(_) => Err(Error::limit(format!("an interval of {milliseconds} ms: 2147483647 are the most"))),
        },
        (months, ..) => Err(Error::corrupt(format!("an interval of {months} months in a column of days"))),
    }
}

pub(super) fn interval_months(bytes: [u8; INTERVAL_BYTES]) -> Result<i32> {
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
    fn decimals_of_any_width_are_read_alike() {
        let mut seed = 1u64;
        for width in 1..=16usize {
            for count in [0, 1, 2, 3, 17, 40] {
                let bytes: Vec<u8> = (0..count * width)
                    .map(|_| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        (seed >> 56) as u8
                    })
                    .collect();
                let want: Vec<i128> = bytes.chunks(width).map(|b| decimal128(b).expect("fits")).collect();
                let mut got = Vec::new();
                let wide = |v, shift| i128::from_be_bytes(v) >> shift;
                assert_eq!(each_decimal(&bytes, width, count, &mut got, wide, decimal128).expect("reads"), bytes.len());
                assert_eq!(got, want, "{width} bytes");
                got.clear();
                let narrow = |v, shift| i128::from(i64::from_be_bytes(v) >> shift);
                each_decimal(&bytes, width, count, &mut got, narrow, decimal128).expect("reads");
                assert_eq!(got, want, "{width} bytes");
                assert!(each_decimal(&bytes, width, count + 1, &mut got, narrow, decimal128).is_err());
            }
        }
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
