//! Arrow values as text: for people, for CSV and for NDJSON.
//!
//! ```text
//! type                     text and CSV             NDJSON
//! ------------------------------------------------------------------------------
//! booleans, integers       true  -12                the same
//! decimals                 every digit: 12.50       the same, as a number
//! floats                   the shortest that reads back as the same value: 0.1  1e300
//! NaN, infinities          NaN  Infinity            "NaN"  "-Infinity" (JSON has no such numbers)
//! strings                  as they are              quoted; a column of JSON texts as it is
//! binary                   hexadecimal; CSV base64  base64
//! UUID                     01234567-89ab-…          the same, quoted
//! timestamps               2013-01-31T12:00:00.5Z, in UTC; without the Z when the type has no zone
//! dates, times             2013-01-31  12:00:00.5
//! durations, intervals     PT1.5S  P1M2DT0.5S
//! ```
//! Nested values are JSON everywhere.

use std::fmt::Write;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::nested::nested_cells;
use crate::error::{Error, Result};

/// Who reads the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Csv,
    Json,
}

/// Appends the text of the element at an index, which must not be NULL.
pub(super) type Cells<'a> = Box<dyn Fn(usize, &mut String) + 'a>;

/// How the values of a column are written; [`Error::Unsupported`] when the form has no way to.
pub(super) fn cells<'a>(field: &Field, array: &'a ArrayRef, form: Form) -> Result<Cells<'a>> {
    let json = form == Form::Json;
    let extension = field.metadata().get("ARROW:extension:name").map(String::as_str);
    macro_rules! primitive {
        ($t:ty, $write:expr) => {{
            let array = array.as_primitive::<$t>();
            let write = $write;
            Box::new(move |i, out: &mut String| write(array.value(i), out))
        }};
    }
    macro_rules! integers {
        ($t:ty) => {
            primitive!($t, |v, out: &mut String| put(out, format_args!("{v}")))
        };
    }
    macro_rules! decimal {
        ($t:ty, $p:expr, $s:expr) => {{
            let (p, s) = (*$p, *$s);
            primitive!($t, move |v, out: &mut String| out.push_str(&<$t>::format_decimal(v, p, s)))
        }};
    }
    // In quotes where JSON wants them; none of these texts needs an escape.
    macro_rules! quoted {
        ($t:ty, $write:expr) => {{
            let write = $write;
            primitive!($t, move |v, out: &mut String| in_quotes(json, out, |out| write(v, out)))
        }};
    }
    macro_rules! strings {
        ($array:expr) => {{
            let array = $array;
            let is_json = extension == Some("arrow.json");
            Box::new(move |i, out: &mut String| match array.value(i) {
                text if !json => out.push_str(text),
                text if is_json && is_one_json_value(text) => out.push_str(&text.replace(['\n', '\r'], " ")),
                text => out.push_str(&serde_json::Value::from(text).to_string()),
            })
        }};
    }
    macro_rules! binaries {
        ($array:expr) => {{
            let array = $array;
            Box::new(move |i, out: &mut String| {
                let bytes: &[u8] = array.value(i);
                match form {
                    Form::Text => bytes.iter().for_each(|b| put(out, format_args!("{b:02x}"))),
                    Form::Csv | Form::Json => in_quotes(json, out, |out| BASE64.encode_string(bytes, out)),
                }
            })
        }};
    }
    Ok(match array.data_type() {
        DataType::Null => Box::new(|_, _| {}),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(move |i, out| out.push_str(if array.value(i) { "true" } else { "false" }))
        }
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        // The shortest text that reads back as the same value of the type: 0.1 for the f32 nearest to it.
        DataType::Float16 => primitive!(Float16Type, move |v: half::f16, out: &mut String| {
            float(json, out, v.to_f64(), format!("{:?}", v.to_f32()));
        }),
        DataType::Float32 => {
            primitive!(Float32Type, move |v: f32, out: &mut String| float(json, out, v.into(), format!("{v:?}")))
        }
        DataType::Float64 => {
            primitive!(Float64Type, move |v: f64, out: &mut String| float(json, out, v, format!("{v:?}")))
        }
        DataType::Decimal32(p, s) => decimal!(Decimal32Type, p, s),
        DataType::Decimal64(p, s) => decimal!(Decimal64Type, p, s),
        DataType::Decimal128(p, s) => decimal!(Decimal128Type, p, s),
        DataType::Decimal256(p, s) => decimal!(Decimal256Type, p, s),
        DataType::Utf8 => strings!(array.as_string::<i32>()),
        DataType::LargeUtf8 => strings!(array.as_string::<i64>()),
        DataType::Utf8View => strings!(array.as_string_view()),
        DataType::FixedSizeBinary(16) if extension == Some("arrow.uuid") => {
            let array = array.as_fixed_size_binary();
            Box::new(move |i, out| {
                let uuid = uuid::Uuid::from_slice(array.value(i)).unwrap_or_default();
                in_quotes(json, out, |out| put(out, format_args!("{uuid}")));
            })
        }
        DataType::Binary => binaries!(array.as_binary::<i32>()),
        DataType::LargeBinary => binaries!(array.as_binary::<i64>()),
        DataType::BinaryView => binaries!(array.as_binary_view()),
        DataType::FixedSizeBinary(_) => binaries!(array.as_fixed_size_binary()),
        DataType::Timestamp(unit, zone) => {
            let (unit, zoned) = (*unit, zone.is_some());
            let write = move |v: i64, out: &mut String| instant(v, unit, zoned, out);
            match unit {
                TimeUnit::Second => quoted!(TimestampSecondType, write),
                TimeUnit::Millisecond => quoted!(TimestampMillisecondType, write),
                TimeUnit::Microsecond => quoted!(TimestampMicrosecondType, write),
                TimeUnit::Nanosecond => quoted!(TimestampNanosecondType, write),
            }
        }
        DataType::Date32 => quoted!(Date32Type, |v: i32, out: &mut String| date(v.into(), out)),
        DataType::Date64 => quoted!(Date64Type, |v: i64, out: &mut String| match v.rem_euclid(DAY_MS) {
            0 => date(v.div_euclid(DAY_MS), out),
            _ => instant(v, TimeUnit::Millisecond, false, out),
        }),
        DataType::Time32(TimeUnit::Second) => {
            quoted!(Time32SecondType, |v: i32, out: &mut String| clock(v.into(), TimeUnit::Second, out))
        }
        DataType::Time32(_) => {
            quoted!(Time32MillisecondType, |v: i32, out: &mut String| clock(v.into(), TimeUnit::Millisecond, out))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            quoted!(Time64MicrosecondType, |v: i64, out: &mut String| clock(v, TimeUnit::Microsecond, out))
        }
        DataType::Time64(_) => {
            quoted!(Time64NanosecondType, |v: i64, out: &mut String| clock(v, TimeUnit::Nanosecond, out))
        }
        DataType::Duration(unit) => {
            let unit = *unit;
            let write = move |v: i64, out: &mut String| {
                out.push_str("PT");
                seconds(v, unit, out);
                out.push('S');
            };
            match unit {
                TimeUnit::Second => quoted!(DurationSecondType, write),
                TimeUnit::Millisecond => quoted!(DurationMillisecondType, write),
                TimeUnit::Microsecond => quoted!(DurationMicrosecondType, write),
                TimeUnit::Nanosecond => quoted!(DurationNanosecondType, write),
            }
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            quoted!(IntervalYearMonthType, |v: i32, out: &mut String| put(out, format_args!("P{v}M")))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            quoted!(IntervalDayTimeType, |v: arrow_buffer::IntervalDayTime, out: &mut String| {
                put(out, format_args!("P{}DT", v.days));
                seconds(v.milliseconds.into(), TimeUnit::Millisecond, out);
                out.push('S');
            })
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            quoted!(IntervalMonthDayNanoType, |v: arrow_buffer::IntervalMonthDayNano, out: &mut String| {
                put(out, format_args!("P{}M{}DT", v.months, v.days));
                seconds(v.nanoseconds, TimeUnit::Nanosecond, out);
                out.push('S');
            })
        }
        DataType::Dictionary(..) => {
            let Some(dictionary) = array.as_any_dictionary_opt() else {
                return Err(Error::invalid("a dictionary that is none").in_column(field.name()));
            };
            // Arrow panics over the keys of a dictionary without values; all of them are NULL then.
            let keys = if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() };
            let values = cells(field, dictionary.values(), form)?;
            Box::new(move |i, out| {
                if let Some(key) = keys.get(i) {
                    values(*key, out);
                }
            })
        }
        other => match nested_cells(array)? {
            Some(cells) => cells,
            None => {
                let message = format!("values of type {other} cannot be written as text yet; choose other columns");
                return Err(Error::unsupported(message).in_column(field.name()));
            }
        },
    })
}

/// A type's name, short enough to stand over a column.
pub(super) fn type_name(data_type: &DataType) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    match data_type {
        DataType::Boolean => "bool".into(),
        DataType::Timestamp(u, None) => format!("timestamp({})", unit(u)),
        DataType::Timestamp(u, Some(zone)) => format!("timestamp({}, {zone})", unit(u)),
        DataType::Time32(u) => format!("time32({})", unit(u)),
        DataType::Time64(u) => format!("time64({})", unit(u)),
        DataType::Duration(u) => format!("duration({})", unit(u)),
        DataType::Decimal32(p, s) => format!("decimal32({p},{s})"),
        DataType::Decimal64(p, s) => format!("decimal64({p},{s})"),
        DataType::Decimal128(p, s) => format!("decimal({p},{s})"),
        DataType::Decimal256(p, s) => format!("decimal256({p},{s})"),
        DataType::FixedSizeBinary(n) => format!("fixed({n})"),
        DataType::Utf8View => "utf8_view".into(),
        DataType::BinaryView => "binary_view".into(),
        DataType::LargeUtf8 => "large_utf8".into(),
        DataType::LargeBinary => "large_binary".into(),
        DataType::Dictionary(key, value) => format!("dictionary({}, {})", type_name(key), type_name(value)),
        DataType::List(item) => format!("list({})", type_name(item.data_type())),
        DataType::LargeList(item) => format!("large_list({})", type_name(item.data_type())),
        DataType::FixedSizeList(item, size) => format!("list({}, {size})", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let parts: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.name(), type_name(f.data_type()))).collect();
            format!("struct({})", parts.join(", "))
        }
        DataType::Map(entry, _) => match entry.data_type() {
            DataType::Struct(parts) => {
                let parts: Vec<String> = parts.iter().map(|f| type_name(f.data_type())).collect();
                format!("map({})", parts.join(", "))
            }
            other => format!("map({})", type_name(other)),
        },
        other => other.to_string().to_ascii_lowercase(),
    }
}

/// Whether values stand at the right of their column.
pub(super) fn is_number(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_number(values),
        other => other.is_numeric(),
    }
}

/// A timestamp as `2013-01-31T12:00:00.5`, with a `Z` for a type that has a zone. Years beyond 9999 have a sign, as
/// ISO 8601 wants.
pub(super) fn instant(value: i64, unit: TimeUnit, zoned: bool, out: &mut String) {
    let per_second = per_second(unit);
    let (seconds, fraction) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    date(seconds.div_euclid(86_400), out);
    let of_day = seconds.rem_euclid(86_400);
    put(out, format_args!("T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60));
    put_fraction(fraction, per_second, out);
    if zoned {
        out.push('Z');
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = out.write_fmt(text);
}

fn in_quotes(quotes: bool, out: &mut String, write: impl FnOnce(&mut String)) {
    if quotes {
        out.push('"');
        write(out);
        out.push('"');
    } else {
        write(out);
    }
}

/// Line breaks in such a text are between its parts, since they cannot stand in JSON's strings.
fn is_one_json_value(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

fn float(json: bool, out: &mut String, value: f64, shortest: String) {
    match value {
        v if v.is_nan() => in_quotes(json, out, |out| out.push_str("NaN")),
        v if v.is_infinite() => {
            in_quotes(json, out, |out| out.push_str(if v > 0.0 { "Infinity" } else { "-Infinity" }));
        }
        _ => out.push_str(&shortest),
    }
}

const DAY_MS: i64 = 86_400_000;

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn put_fraction(fraction: i64, per_second: i64, out: &mut String) {
    if fraction != 0 {
        let digits = per_second.ilog10() as usize;
        let text = format!("{fraction:0digits$}");
        put(out, format_args!(".{}", text.trim_end_matches('0')));
    }
}

/// A day counted from 1970-01-01, in the Gregorian calendar.
fn date(days: i64, out: &mut String) {
    // Years that begin in March end in the leap day; eras of 400 years have the same number of days each.
    let from_march = days + 719_468;
    let era = from_march.div_euclid(146_097);
    let day_of_era = from_march.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    match year {
        0..=9999 => put(out, format_args!("{year:04}-{month:02}-{day:02}")),
        _ => put(out, format_args!("{year:+07}-{month:02}-{day:02}")),
    }
}

fn clock(value: i64, unit: TimeUnit, out: &mut String) {
    let per_second = per_second(unit);
    if value < 0 {
        out.push('-');
    }
    // The least i64 has no positive of its own.
    let (seconds, fraction) = ((value / per_second).unsigned_abs(), (value % per_second).abs());
    put(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    put_fraction(fraction, per_second, out);
}

fn seconds(value: i64, unit: TimeUnit, out: &mut String) {
    let per_second = per_second(unit);
    if value < 0 {
        out.push('-');
    }
    put(out, format_args!("{}", (value / per_second).unsigned_abs()));
    put_fraction((value % per_second).abs(), per_second, out);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::*;

    use super::*;

    fn texts(array: ArrayRef, form: Form) -> Vec<String> {
        texts_of(&Field::new("x", array.data_type().clone(), true), array, form)
    }

    fn texts_of(field: &Field, array: ArrayRef, form: Form) -> Vec<String> {
        let cells = cells(field, &array, form).unwrap();
        let text = |i| {
            let mut out = String::new();
            cells(i, &mut out);
            out
        };
        (0..array.len()).filter(|i| array.is_valid(*i)).map(text).collect()
    }

    #[test]
    fn numbers() {
        assert_eq!(texts(Arc::new(Int8Array::from(vec![-128, 127])), Form::Json), ["-128", "127"]);
        assert_eq!(texts(Arc::new(UInt64Array::from(vec![u64::MAX])), Form::Text), ["18446744073709551615"]);
        let floats = vec![0.1, -0.0, 1e300, 100.0, f64::NAN, f64::NEG_INFINITY];
        assert_eq!(
            texts(Arc::new(Float64Array::from(floats.clone())), Form::Csv),
            ["0.1", "-0.0", "1e300", "100.0", "NaN", "-Infinity"]
        );
        assert_eq!(
            texts(Arc::new(Float64Array::from(floats)), Form::Json),
            ["0.1", "-0.0", "1e300", "100.0", "\"NaN\"", "\"-Infinity\""]
        );
        assert_eq!(texts(Arc::new(Float32Array::from(vec![0.1, 16777216.0])), Form::Json), ["0.1", "16777216.0"]);
        let halves = [65504.0, 2.5, 0.0].map(half::f16::from_f64).to_vec();
        assert_eq!(texts(Arc::new(Float16Array::from(halves)), Form::Json), ["65504.0", "2.5", "0.0"]);
        let decimals = Decimal128Array::from(vec![1250, -5, 0]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(texts(Arc::new(decimals), Form::Json), ["12.50", "-0.05", "0.00"]);
    }

    #[test]
    fn strings_and_bytes() {
        let quotes: ArrayRef = Arc::new(StringArray::from(vec!["a\"b\n", "ü"]));
        assert_eq!(texts(quotes.clone(), Form::Json), ["\"a\\\"b\\n\"", "\"ü\""]);
        assert_eq!(texts(quotes, Form::Csv), ["a\"b\n", "ü"]);
        let extension = |t: DataType, name: &str| {
            Field::new("x", t, true).with_metadata([("ARROW:extension:name".into(), name.into())].into())
        };
        let json: ArrayRef = Arc::new(StringArray::from(vec!["{\"a\":\n [1]}", "", "1,2"]));
        let expected = ["{\"a\":  [1]}", "\"\"", "\"1,2\""];
        assert_eq!(texts_of(&extension(DataType::Utf8, "arrow.json"), json, Form::Json), expected);
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![b"\x0f\xa0".as_slice(), b""]));
        assert_eq!(texts(bytes.clone(), Form::Text), ["0fa0", ""]);
        assert_eq!(texts(bytes.clone(), Form::Csv), ["D6A=", ""]);
        assert_eq!(texts(bytes, Form::Json), ["\"D6A=\"", "\"\""]);
        let uuid: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([[7u8; 16]].iter()).unwrap());
        let field = extension(DataType::FixedSizeBinary(16), "arrow.uuid");
        assert_eq!(texts_of(&field, uuid, Form::Json), ["\"07070707-0707-0707-0707-070707070707\""]);
        let dictionary: DictionaryArray<Int8Type> = vec![Some("b"), None, Some("a"), Some("b")].into_iter().collect();
        assert_eq!(texts(Arc::new(dictionary), Form::Json), ["\"b\"", "\"a\"", "\"b\""]);
        let empty: DictionaryArray<Int8Type> = vec![None::<&str>, None].into_iter().collect();
        assert_eq!(texts(Arc::new(empty), Form::Json), [""; 0]);
    }

    #[test]
    fn times() {
        let us = |v: Vec<i64>| TimestampMicrosecondArray::from(v);
        assert_eq!(
            texts(Arc::new(us(vec![1_357_017_300_000_000, -1, 0]).with_timezone("America/New_York")), Form::Json),
            ["\"2013-01-01T05:15:00Z\"", "\"1969-12-31T23:59:59.999999Z\"", "\"1970-01-01T00:00:00Z\""]
        );
        assert_eq!(texts(Arc::new(us(vec![500_000])), Form::Text), ["1970-01-01T00:00:00.5"]);
        // Neither the ends of the range nor years of five digits stop it.
        assert_eq!(
            texts(Arc::new(TimestampSecondArray::from(vec![i64::MAX, i64::MIN, 253_402_300_800])), Form::Text),
            ["+292277026596-12-04T15:30:07", "-292277022657-01-27T08:29:52", "+010000-01-01T00:00:00"]
        );
        assert_eq!(
            texts(Arc::new(Date32Array::from(vec![0, 15_736, -719_528, 11_016, i32::MAX])), Form::Csv),
            ["1970-01-01", "2013-01-31", "0000-01-01", "2000-02-29", "+5881580-07-11"]
        );
        assert_eq!(
            texts(Arc::new(Date64Array::from(vec![DAY_MS, 1])), Form::Text),
            ["1970-01-02", "1970-01-01T00:00:00.001"]
        );
        assert_eq!(
            texts(Arc::new(Time32MillisecondArray::from(vec![0, 43_200_500])), Form::Text),
            ["00:00:00", "12:00:00.5"]
        );
        assert_eq!(texts(Arc::new(Time64NanosecondArray::from(vec![1, i64::MIN])), Form::Text).len(), 2);
        assert_eq!(
            texts(Arc::new(DurationMillisecondArray::from(vec![1500, -1])), Form::Json),
            ["\"PT1.5S\"", "\"PT-0.001S\""]
        );
    }

    #[test]
    fn dates_agree_with_the_calendar() {
        for days in (-800_000..800_000i64).step_by(97) {
            let mut text = String::new();
            date(days, &mut text);
            if let Ok(parsed) = text.parse::<jiff::civil::Date>() {
                let since = parsed.since(jiff::civil::date(1970, 1, 1)).unwrap();
                assert_eq!(i64::from(since.get_days()), days, "{text}");
            } else {
                assert!(text.starts_with(['+', '-']), "{text}");
            }
        }
    }

    #[test]
    fn types_have_short_names() {
        for (data_type, name) in [
            (DataType::Int64, "int64"),
            (DataType::Utf8, "utf8"),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "timestamp(us, UTC)"),
            (DataType::Decimal128(10, 2), "decimal(10,2)"),
            (DataType::Boolean, "bool"),
            (DataType::new_list(DataType::Utf8, true), "list(utf8)"),
            (DataType::Struct(vec![Field::new("a", DataType::Int8, true)].into()), "struct(a: int8)"),
            (DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into()), "dictionary(int32, utf8)"),
        ] {
            assert_eq!(type_name(&data_type), name);
        }
    }
}
