//! Single values as text, as partition values and statistics have them.
//!
//! Spec: PROTOCOL.md, "Partition Value Serialization" and "Per-file Statistics".

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp, Unit};

/// The value of `row`, which is not null, as text; `None` for a type that has no text here, or a time beyond the
/// years 0001 to 9999.
pub(super) fn print(array: &dyn Array, row: usize) -> Option<String> {
    Some(match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => print_float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => print_float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).to_owned(),
        DataType::Utf8View => array.as_string_view().value(row).to_owned(),
        DataType::Date32 => print_date(array.as_primitive::<Date32Type>().value(row))?,
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            print_timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row), zone.is_some())?
        }
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        _ => return None,
    })
}

/// The value that a text means, as an array of one; `None` when it means none.
pub(super) fn parse(text: &str, data_type: &DataType) -> Option<ArrayRef> {
    Some(match data_type {
        DataType::Boolean if text.eq_ignore_ascii_case("true") => Arc::new(BooleanArray::from(vec![true])),
        DataType::Boolean if text.eq_ignore_ascii_case("false") => Arc::new(BooleanArray::from(vec![false])),
        DataType::Int8 => Arc::new(Int8Array::from(vec![text.parse::<i8>().ok()?])),
        DataType::Int16 => Arc::new(Int16Array::from(vec![text.parse::<i16>().ok()?])),
        DataType::Int32 => Arc::new(Int32Array::from(vec![text.parse::<i32>().ok()?])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![text.parse::<i64>().ok()?])),
        DataType::Float32 => Arc::new(Float32Array::from(vec![text.parse::<f32>().ok()?])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![text.parse::<f64>().ok()?])),
        DataType::Utf8 => Arc::new(StringArray::from(vec![text])),
        DataType::Date32 => Arc::new(Date32Array::from(vec![parse_date(text)?])),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let array = TimestampMicrosecondArray::from(vec![parse_timestamp(text)?]);
            Arc::new(array.with_timezone_opt(zone.clone()))
        }
        DataType::Decimal128(precision, scale) => {
            let array = Decimal128Array::from(vec![parse_decimal(text, *precision, *scale)?]);
            Arc::new(array.with_precision_and_scale(*precision, *scale).ok()?)
        }
        _ => return None,
    })
}

/// The shortest text that reads back to the same double; infinities as Java writes them.
fn print_float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    format!("{value:?}")
}

/// `2013-01-01T00:00:00.000000Z`, without the `Z` if it is no instant.
pub(super) fn print_timestamp(micros: i64, is_instant: bool) -> Option<String> {
    let time = Timestamp::from_microsecond(micros).ok()?;
    let civil = jiff::tz::Offset::UTC.to_datetime(time);
    if !(1..=9999).contains(&civil.year()) {
        return None;
    }
    let zone = if is_instant { "Z" } else { "" };
    Some(format!("{}T{}.{:06}{zone}", civil.date(), civil.strftime("%H:%M:%S"), civil.subsec_nanosecond() / 1000))
}

pub(super) fn print_date(days: i32) -> Option<String> {
    let date = EPOCH.checked_add(Span::new().try_days(days).ok()?).ok()?;
    (1..=9999).contains(&date.year()).then(|| date.to_string())
}

const EPOCH: Date = jiff::civil::date(1970, 1, 1);

fn parse_date(text: &str) -> Option<i32> {
    // `parse` takes what follows a date, too.
    let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
    Some(date.since((Unit::Day, EPOCH)).ok()?.get_days())
}

/// Microseconds since 1970, rounded down. A text without a zone is taken as UTC.
fn parse_timestamp(text: &str) -> Option<i64> {
    let nanos = match text.parse::<Timestamp>() {
        Ok(time) => time.as_nanosecond(),
        Err(_) => {
            let civil: DateTime = text.parse().ok()?;
            jiff::tz::Offset::UTC.to_timestamp(civil).ok()?.as_nanosecond()
        }
    };
    i64::try_from(nanos.div_euclid(1000)).ok()
}

/// A bound of timestamps. It may have been cut to milliseconds, so an upper one is taken to its millisecond's end.
pub(super) fn parse_time_bound(text: &str, data_type: &DataType, is_upper: bool) -> Option<ArrayRef> {
    let DataType::Timestamp(TimeUnit::Microsecond, zone) = data_type else { return None };
    let micros = parse_timestamp(text)?;
    let cut = is_upper && micros.rem_euclid(1000) == 0;
    let micros = if cut { micros.checked_add(999)? } else { micros };
    Some(Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone_opt(zone.clone())))
}

/// The unscaled value of a decimal number that fits exactly: `[-]digits[.digits][e[±]digits]`.
fn parse_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = fraction.bytes().all(|b| b.is_ascii_digit());
    if !digits || text.len() > 100 || !(-100..=100).contains(&exponent) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = i32::from(scale) + exponent - i32::try_from(fraction.len()).ok()?;
    let factor = 10_i128.checked_pow(shift.unsigned_abs());
    let value = match (shift >= 0, factor) {
        _ if unscaled == 0 => 0,
        (true, Some(factor)) => unscaled.checked_mul(factor)?,
        (false, Some(factor)) if unscaled % factor == 0 => unscaled / factor,
        _ => return None,
    };
    (value.unsigned_abs() < 10_u128.checked_pow(precision.into())?).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::schema::UTC;

    fn both(array: ArrayRef, text: &str) {
        assert_eq!(print(&array, 0).as_deref(), Some(text));
        assert_eq!(&parse(text, array.data_type()).unwrap(), &array, "{text}");
    }

    #[test]
    fn values_print_and_parse() {
        both(Arc::new(BooleanArray::from(vec![true])), "true");
        both(Arc::new(Int64Array::from(vec![i64::MIN])), "-9223372036854775808");
        both(Arc::new(Float64Array::from(vec![1e300])), "1e300");
        both(Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])), "-Infinity");
        both(Arc::new(Float32Array::from(vec![0.1])), "0.10000000149011612");
        both(Arc::new(StringArray::from(vec!["a b"])), "a b");
        both(Arc::new(Date32Array::from(vec![-1])), "1969-12-31");
        both(Arc::new(Date32Array::from(vec![15706])), "2013-01-01");
        let decimal = |v: i128| Arc::new(Decimal128Array::from(vec![v]).with_precision_and_scale(5, 2).unwrap());
        both(decimal(-12345), "-123.45");
        both(decimal(5), "0.05");
        let times = TimestampMicrosecondArray::from(vec![1_356_998_400_000_001]);
        both(Arc::new(times.clone().with_timezone(UTC)), "2013-01-01T00:00:00.000001Z");
        both(Arc::new(times), "2013-01-01T00:00:00.000001");
        both(Arc::new(TimestampMicrosecondArray::from(vec![-1])), "1969-12-31T23:59:59.999999");
    }

    #[test]
    fn the_other_ways_to_write_a_time_are_read() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
        for (text, micros) in [
            ("1970-01-01 00:00:01", 1_000_000),
            ("1970-01-01 00:00:01.5", 1_500_000),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T23:59:59.9999999Z", -1),
            ("1970-01-02", 86_400_000_000),
        ] {
            let array = parse(text, &utc).unwrap();
            assert_eq!(array.as_primitive::<TimestampMicrosecondType>().value(0), micros, "{text}");
        }
    }

    #[test]
    fn what_means_no_value_is_none() {
        let decimal = DataType::Decimal128(5, 2);
        for (text, data_type) in [
            ("", DataType::Int64),
            ("128", DataType::Int8),
            ("yes", DataType::Boolean),
            ("2013-02-30", DataType::Date32),
            ("2013-02-03T00:00", DataType::Date32),
            ("noon", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("1000", decimal.clone()),
            ("0.001", decimal.clone()),
            ("1e99", decimal.clone()),
            ("1.-5", decimal.clone()),
            ("x", DataType::Binary),
        ] {
            assert!(parse(text, &data_type).is_none(), "{text}");
        }
        assert!(parse("1.2e2", &decimal).is_some());
        assert!(print(&TimestampMicrosecondArray::from(vec![i64::MAX]), 0).is_none());
        assert!(print(&Date32Array::from(vec![i32::MIN]), 0).is_none());
    }
}
