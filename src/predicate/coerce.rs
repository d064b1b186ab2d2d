//! Constant + column type → the constant as a value of that type, or where it lies between such values.
//!
//! A constant that the type cannot hold (`int8_column > 1000`, `int_column = 1.5`) is neither refused nor
//! wrapped round: the comparison with it still has an exact answer.

use std::sync::Arc;

use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::i256;
use arrow_schema::{DataType, TimeUnit};
use half::f16;

use super::literal::OnGrid;
use super::{Comparison, Literal};
use crate::error::{Error, Result};

/// Where a constant lies among the values of a type. Arrays hold one element.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// It is this value.
    Exact(ArrayRef),
    /// It lies between this value and the type's next one.
    Above(ArrayRef),
    /// It is less than the type's least value.
    TooSmall,
    /// It is greater than the type's greatest value.
    TooLarge,
    /// It is NULL.
    Null,
}

/// A comparison with a constant, once the constant's place is known.
#[derive(Debug, Clone)]
pub(super) enum Settled {
    /// Compare with a value of the type.
    Compare(Comparison, ArrayRef),
    /// The same answer for each value.
    Always(bool),
    /// Unknown, whatever the value.
    Unknown,
}

/// What `column op literal` asks of a column of this type; the message of the error says why it cannot.
pub(super) fn settle(op: Comparison, literal: &Literal, data_type: &DataType) -> Result<Settled> {
    use Comparison::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    Ok(match (place(literal, data_type)?, op) {
        (Place::Null, _) => Settled::Unknown,
        (Place::Exact(value), op) => Settled::Compare(op, value),
        (Place::Above(_) | Place::TooSmall | Place::TooLarge, Eq) => Settled::Always(false),
        (Place::Above(_) | Place::TooSmall | Place::TooLarge, NotEq) => Settled::Always(true),
        (Place::Above(below), Lt | LtEq) => Settled::Compare(LtEq, below),
        (Place::Above(below), Gt | GtEq) => Settled::Compare(Gt, below),
        (Place::TooSmall, Lt | LtEq) | (Place::TooLarge, Gt | GtEq) => Settled::Always(false),
        (Place::TooSmall, Gt | GtEq) | (Place::TooLarge, Lt | LtEq) => Settled::Always(true),
    })
}

fn place(literal: &Literal, data_type: &DataType) -> Result<Place> {
    use DataType::*;
    let mismatch = || mismatch(literal, data_type);
    if *literal == Literal::Null {
        return Ok(Place::Null);
    }
    let exact = |array: ArrayRef| Ok(Place::Exact(array));
    match data_type {
        Boolean => match literal {
            Literal::Boolean(b) => exact(Arc::new(BooleanArray::from(vec![*b]))),
            _ => Err(mismatch()),
        },
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => {
            Ok(of_type(on_grid(literal, 0).ok_or_else(mismatch)?, data_type))
        }
        Decimal32(_, scale) | Decimal64(_, scale) | Decimal128(_, scale) | Decimal256(_, scale) => {
            Ok(of_type(on_grid(literal, i64::from(*scale)).ok_or_else(mismatch)?, data_type))
        }
        Float16 | Float32 | Float64 => float(literal, data_type).ok_or_else(mismatch),
        Utf8 | LargeUtf8 | Utf8View => {
            let Literal::String(text) = literal else { return Err(mismatch()) };
            match data_type {
                Utf8 => exact(Arc::new(StringArray::from(vec![text.as_str()]))),
                LargeUtf8 => exact(Arc::new(LargeStringArray::from(vec![text.as_str()]))),
                _ => exact(Arc::new(StringViewArray::from(vec![text.as_str()]))),
            }
        }
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => {
            let bytes = bytes(literal, data_type).ok_or_else(mismatch)?;
            match data_type {
                LargeBinary => exact(Arc::new(LargeBinaryArray::from(vec![bytes.as_slice()]))),
                BinaryView => exact(Arc::new(BinaryViewArray::from(vec![bytes.as_slice()]))),
                // Values of a fixed size are compared as binary, since the constant may be shorter or longer.
                _ => exact(Arc::new(BinaryArray::from(vec![bytes.as_slice()]))),
            }
        }
        Timestamp(unit, _) => Ok(of_type(steps(instant(literal, mismatch)?, unit_ns(*unit)), data_type)),
        Date32 => Ok(of_type(steps(instant(literal, mismatch)?, DAY_NS), data_type)),
        Date64 => Ok(of_type(steps(instant(literal, mismatch)?, unit_ns(TimeUnit::Millisecond)), data_type)),
        Time32(unit) | Time64(unit) => {
            let ns = match literal {
                Literal::Time(ns) => *ns,
                Literal::String(text) => parse_time(text).ok_or_else(mismatch)?,
                _ => return Err(mismatch()),
            };
            Ok(of_type(steps(i128::from(ns), unit_ns(*unit)), data_type))
        }
        Dictionary(_, values) => place(literal, values),
        Null => Ok(Place::Null),
        Struct(_) => Err(Error::invalid("it is a struct: ask for a field of it, as in a.b")),
        List(_) | LargeList(_) | FixedSizeList(..) => {
            Err(Error::invalid("it is a list: ask for any of its elements, as in any(tags) = 'x'"))
        }
        other => {
            Err(Error::unsupported(format!("values of type {other} cannot be compared yet; IS NULL can be asked")))
        }
    }
}

const DAY_NS: i128 = 86_400_000_000_000;

/// Nanoseconds in a unit of time.
pub(super) fn unit_ns(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Nanoseconds since 1970 in UTC of a timestamp as people write it: RFC 3339, with a space for the `T` if they
/// like, the zone left out for UTC, the time left out for midnight.
pub(super) fn parse_timestamp(text: &str) -> Option<i128> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(instant.as_nanosecond());
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    // A text whose zone was there but did not parse as an instant must not lose it.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"-:.tT ,".contains(&b));
    let instant = plain.then(|| civil.to_zoned(jiff::tz::TimeZone::UTC).ok()).flatten()?;
    Some(instant.timestamp().as_nanosecond())
}

/// Days since 1970 of `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Option<i32> {
    let date = text.trim().parse::<jiff::civil::Date>().ok()?;
    (text.trim().len() == 10).then_some(())?;
    i32::try_from(parse_timestamp(&date.to_string())? / DAY_NS).ok()
}

/// Nanoseconds since midnight of `HH:MM[:SS[.fraction]]`.
pub(super) fn parse_time(text: &str) -> Option<i64> {
    let time = text.trim().parse::<jiff::civil::Time>().ok()?;
    let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond()))
}

fn instant(literal: &Literal, mismatch: impl Fn() -> Error) -> Result<i128> {
    match literal {
        Literal::Timestamp(ns) => Ok(*ns),
        Literal::Date(days) => Ok(i128::from(*days) * DAY_NS),
        Literal::String(text) => parse_timestamp(text).ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

fn steps(ns: i128, unit_ns: i128) -> OnGrid {
    let step = i256::from_i128(ns.div_euclid(unit_ns));
    if ns.rem_euclid(unit_ns) == 0 { OnGrid::Exact(step) } else { OnGrid::Above(step) }
}

fn on_grid(literal: &Literal, scale: i64) -> Option<OnGrid> {
    match literal {
        Literal::Number(number) => Some(number.on_grid(scale)),
        Literal::NaN | Literal::Infinity => Some(OnGrid::TooLarge),
        Literal::NegativeInfinity => Some(OnGrid::TooSmall),
        _ => None,
    }
}

/// A place on the grid as a place among the values of an integer-backed type.
fn of_type(grid: OnGrid, data_type: &DataType) -> Place {
    macro_rules! fit {
        ($t:ty, $native:expr, $max:expr) => {{
            let native = $native;
            let array = |n| -> ArrayRef {
                Arc::new(PrimitiveArray::<$t>::new(vec![n].into(), None).with_data_type(data_type.clone()))
            };
            match grid {
                OnGrid::TooSmall => Place::TooSmall,
                OnGrid::TooLarge => Place::TooLarge,
                OnGrid::Exact(step) | OnGrid::Above(step) => match native(step) {
                    None if step.is_negative() => Place::TooSmall,
                    None => Place::TooLarge,
                    Some(n) if matches!(grid, OnGrid::Exact(_)) => Place::Exact(array(n)),
                    Some(n) if n == $max => Place::TooLarge,
                    Some(n) => Place::Above(array(n)),
                },
            }
        }};
        ($t:ty) => {{
            type Native = <$t as ArrowPrimitiveType>::Native;
            fit!($t, |step: i256| step.to_i128().and_then(|n| Native::try_from(n).ok()), Native::MAX)
        }};
    }
    match data_type {
        DataType::Int8 => fit!(Int8Type),
        DataType::Int16 => fit!(Int16Type),
        DataType::Int32 => fit!(Int32Type),
        DataType::UInt8 => fit!(UInt8Type),
        DataType::UInt16 => fit!(UInt16Type),
        DataType::UInt32 => fit!(UInt32Type),
        DataType::UInt64 => fit!(UInt64Type),
        DataType::Decimal32(..) => fit!(Decimal32Type),
        DataType::Decimal64(..) => fit!(Decimal64Type),
        DataType::Decimal128(..) => fit!(Decimal128Type),
        DataType::Decimal256(..) => fit!(Decimal256Type, Some, i256::MAX),
        DataType::Timestamp(TimeUnit::Second, _) => fit!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => fit!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => fit!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fit!(TimestampNanosecondType),
        DataType::Date32 => fit!(Date32Type),
        DataType::Date64 => fit!(Date64Type),
        DataType::Time32(TimeUnit::Second) => fit!(Time32SecondType),
        DataType::Time32(_) => fit!(Time32MillisecondType),
        DataType::Time64(TimeUnit::Microsecond) => fit!(Time64MicrosecondType),
        DataType::Time64(_) => fit!(Time64NanosecondType),
        _ => fit!(Int64Type),
    }
}

/// The nearest value of a float type. One that rounds to an infinity lies beyond the greatest finite value, but
/// is not infinite: it is above that value, or above minus infinity.
fn float(literal: &Literal, data_type: &DataType) -> Option<Place> {
    macro_rules! nearest {
        ($array:ty, $zero:expr, $nearest:expr, $float:ident) => {{
            let array = |v: $float| -> ArrayRef { Arc::new(<$array>::from(vec![v])) };
            let special = |text: &str| match text.to_ascii_lowercase().as_str() {
                "nan" => Some(Place::Exact(array($float::NAN))),
                "infinity" | "+infinity" | "inf" | "+inf" => Some(Place::Exact(array($float::INFINITY))),
                "-infinity" | "-inf" => Some(Place::Exact(array($float::NEG_INFINITY))),
                _ => None,
            };
            match literal {
                Literal::Number(number) => {
                    let value: $float = $nearest(number)?;
                    Some(match value.is_finite() {
                        true => Place::Exact(array(value)),
                        false if value > $zero => Place::Above(array($float::MAX)),
                        false => Place::Above(array($float::NEG_INFINITY)),
                    })
                }
                Literal::NaN => special("nan"),
                Literal::Infinity => special("inf"),
                Literal::NegativeInfinity => special("-inf"),
                Literal::String(text) => special(text),
                _ => None,
            }
        }};
    }
    match data_type {
        DataType::Float16 => {
            nearest!(Float16Array, f16::ZERO, |n: &super::Number| n.nearest::<f64>().map(f16::from_f64), f16)
        }
        DataType::Float32 => nearest!(Float32Array, 0.0, super::Number::nearest::<f32>, f32),
        _ => nearest!(Float64Array, 0.0, super::Number::nearest::<f64>, f64),
    }
}

fn bytes(literal: &Literal, data_type: &DataType) -> Option<Vec<u8>> {
    match (literal, data_type) {
        (Literal::Binary(bytes), _) => Some(bytes.clone()),
        // A UUID is kept in 16 bytes and written as text.
        (Literal::String(text), DataType::FixedSizeBinary(16)) if text.len() != 16 => {
            uuid::Uuid::parse_str(text).ok().map(|u| u.as_bytes().to_vec())
        }
        (Literal::String(text), _) => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

fn mismatch(literal: &Literal, data_type: &DataType) -> Error {
    let hint = match (literal, data_type) {
        (Literal::Number(n), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => format!("; write '{n}'"),
        (Literal::String(_), t) if t.is_numeric() => "; write the number without quotes".to_owned(),
        (Literal::String(_) | Literal::Number(_), DataType::Boolean) => "; write TRUE or FALSE".to_owned(),
        (_, DataType::Timestamp(..)) => "; write it as '2013-01-31T12:00:00Z'".to_owned(),
        (_, DataType::Date32 | DataType::Date64) => "; write it as '2013-01-31'".to_owned(),
        (_, DataType::Time32(_) | DataType::Time64(_)) => "; write it as '12:00:00'".to_owned(),
        _ => String::new(),
    };
    Error::invalid(format!("a value of type {data_type} cannot be compared with {literal}{hint}"))
}
