//! Which Arrow type the values of a leaf have, by the Parquet schema alone.

use arrow_schema::{DECIMAL128_MAX_PRECISION, DataType, TimeUnit};

use super::decimal_digits;
use crate::parquet::format::schema::{DecimalType, IntType, TimeType, TimeUnit as ParquetTimeUnit};
use crate::parquet::format::{ConvertedType, Empty, LogicalType, SchemaElement, Type};

/// The element's logical type; where it has none that is known, what its converted type stands for.
///
/// Spec: LogicalTypes.md, the compatibility section of each type.
pub(super) fn logical(element: &SchemaElement) -> Option<LogicalType> {
    match &element.logical_type {
        None | Some(LogicalType::Unknown(_)) => {}
        Some(_) => return element.logical_type.clone(),
    }
    let time = |unit| TimeType { is_adjusted_to_utc: true, unit };
    let millis = || time(ParquetTimeUnit::Millis(Empty {}));
    let micros = || time(ParquetTimeUnit::Micros(Empty {}));
    let integer = |bit_width, is_signed| Some(LogicalType::Integer(IntType { bit_width, is_signed }));
    match element.converted_type {
        Some(ConvertedType::Utf8) => Some(LogicalType::String(Empty {})),
        Some(ConvertedType::Map | ConvertedType::MapKeyValue) => Some(LogicalType::Map(Empty {})),
        Some(ConvertedType::List) => Some(LogicalType::List(Empty {})),
        Some(ConvertedType::Enum) => Some(LogicalType::Enum(Empty {})),
        Some(ConvertedType::Decimal) => Some(LogicalType::Decimal(DecimalType {
            scale: element.scale.unwrap_or(0),
            precision: element.precision.unwrap_or(0),
        })),
        Some(ConvertedType::Date) => Some(LogicalType::Date(Empty {})),
        Some(ConvertedType::TimeMillis) => Some(LogicalType::Time(millis())),
        Some(ConvertedType::TimeMicros) => Some(LogicalType::Time(micros())),
        Some(ConvertedType::TimestampMillis) => Some(LogicalType::Timestamp(millis())),
        Some(ConvertedType::TimestampMicros) => Some(LogicalType::Timestamp(micros())),
        Some(ConvertedType::Uint8) => integer(8, false),
        Some(ConvertedType::Uint16) => integer(16, false),
        Some(ConvertedType::Uint32) => integer(32, false),
        Some(ConvertedType::Uint64) => integer(64, false),
        Some(ConvertedType::Int8) => integer(8, true),
        Some(ConvertedType::Int16) => integer(16, true),
        Some(ConvertedType::Int32) => integer(32, true),
        Some(ConvertedType::Int64) => integer(64, true),
        Some(ConvertedType::Json) => Some(LogicalType::Json(Empty {})),
        Some(ConvertedType::Bson) => Some(LogicalType::Bson(Empty {})),
        Some(ConvertedType::Interval | ConvertedType::Unknown(_)) | None => element.logical_type.clone(),
    }
}

pub(super) enum Mismatch {
    Corrupt,
    Unsupported(String),
}

/// The Arrow type of a leaf's values, from the Parquet schema alone.
pub(super) fn value_type(
    physical: Type,
    type_length: usize,
    logical: Option<&LogicalType>,
) -> Result<DataType, Mismatch> {
    use LogicalType as L;
    use ParquetTimeUnit as P;

    // A file is read by what it stores where the annotation is from the future.
    let logical = logical.filter(|l| !matches!(l, L::Unknown(_)));
    Ok(match (physical, logical) {
        (_, Some(L::Null(_))) => DataType::Null,
        (Type::Boolean, None) => DataType::Boolean,
        (Type::Int32, None) => DataType::Int32,
        (Type::Int64, None) => DataType::Int64,
        (Type::Int96, None) => DataType::Timestamp(TimeUnit::Nanosecond, None),
        (Type::Float, None) => DataType::Float32,
        (Type::Double, None) => DataType::Float64,
        (Type::ByteArray, None | Some(L::Bson(_) | L::Geometry(_) | L::Geography(_))) => DataType::Binary,
        (Type::ByteArray, Some(L::String(_) | L::Json(_) | L::Enum(_))) => DataType::Utf8,
        (Type::FixedLenByteArray, None) => DataType::FixedSizeBinary(type_length as i32),
        (Type::FixedLenByteArray, Some(L::Uuid(_))) if type_length == 16 => DataType::FixedSizeBinary(16),
        (Type::FixedLenByteArray, Some(L::Float16(_))) if type_length == 2 => DataType::Float16,
        (Type::Int32, Some(L::Integer(i))) => match (i.bit_width, i.is_signed) {
            (8, true) => DataType::Int8,
            (16, true) => DataType::Int16,
            (32, true) => DataType::Int32,
            (8, false) => DataType::UInt8,
            (16, false) => DataType::UInt16,
            (32, false) => DataType::UInt32,
            _ => return Err(Mismatch::Corrupt),
        },
        (Type::Int64, Some(L::Integer(i))) => match (i.bit_width, i.is_signed) {
            (64, true) => DataType::Int64,
            (64, false) => DataType::UInt64,
            _ => return Err(Mismatch::Corrupt),
        },
        (Type::Int32, Some(L::Date(_))) => DataType::Date32,
        (Type::Int32, Some(L::Time(TimeType { unit: P::Millis(_), .. }))) => DataType::Time32(TimeUnit::Millisecond),
        (Type::Int64, Some(L::Time(TimeType { unit: P::Micros(_), .. }))) => DataType::Time64(TimeUnit::Microsecond),
        (Type::Int64, Some(L::Time(TimeType { unit: P::Nanos(_), .. }))) => DataType::Time64(TimeUnit::Nanosecond),
        (Type::Int32 | Type::Int64, Some(L::Time(TimeType { unit: P::Unknown(_), .. }))) => {
            return Err(Mismatch::Unsupported("times of an unknown unit".into()));
        }
        (Type::Int64, Some(L::Timestamp(t))) => {
            let unit = match t.unit {
                P::Millis(_) => TimeUnit::Millisecond,
                P::Micros(_) => TimeUnit::Microsecond,
                P::Nanos(_) => TimeUnit::Nanosecond,
                P::Unknown(_) => return Err(Mismatch::Unsupported("timestamps of an unknown unit".into())),
            };
            DataType::Timestamp(unit, t.is_adjusted_to_utc.then(|| "UTC".into()))
        }
        (_, Some(L::Decimal(d))) => return decimal_type(physical, type_length, d),
        (Type::Unknown(n), _) => return Err(Mismatch::Unsupported(format!("values of the unknown type {n}"))),
        _ => return Err(Mismatch::Corrupt),
    })
}

/// Spec: LogicalTypes.md, "DECIMAL": 0 <= scale <= precision, and what precision each type can hold.
fn decimal_type(physical: Type, type_length: usize, decimal: &DecimalType) -> Result<DataType, Mismatch> {
    /// What Arrow's widest decimal holds.
    const DIGITS_MAX: usize = 76;
    let digits_max = match physical {
        Type::Int32 => 9,
        Type::Int64 => 18,
        Type::FixedLenByteArray if type_length > 32 => {
            return Err(Mismatch::Unsupported(format!("decimals of {type_length} bytes: 32 are the most")));
        }
        Type::FixedLenByteArray => decimal_digits(type_length),
        Type::ByteArray => usize::MAX,
        _ => return Err(Mismatch::Corrupt),
    };
    let precision = usize::try_from(decimal.precision).map_err(|_| Mismatch::Corrupt)?;
    if precision == 0 || precision > digits_max || !(0..=decimal.precision).contains(&decimal.scale) {
        return Err(Mismatch::Corrupt);
    }
    if precision > DIGITS_MAX {
        return Err(Mismatch::Unsupported(format!("decimals of {precision} digits: {DIGITS_MAX} are the most")));
    }
    let (digits, scale) = (precision as u8, decimal.scale as i8);
    // A longer array than 128 bits holds numbers beyond them, whatever the precision says.
    if digits <= DECIMAL128_MAX_PRECISION && type_length <= 16 {
        Ok(DataType::Decimal128(digits, scale))
    } else {
        Ok(DataType::Decimal256(digits, scale))
    }
}
