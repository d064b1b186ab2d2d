//! The Arrow schema beside the Parquet schema: an IPC message in base64.
//!
//! Spec: Arrow columnar format, "Encapsulated message format".
//!
//! ```text
//! OFFSET  SIZE  DESCRIPTION
//! 0       4     ff ff ff ff (writers of old leave it out, and the length)
//! 4       4     n, little-endian
//! 8       n     Message flatbuffer with a Schema as its header
//! ```
//!
//! The message comes from outside. Flatbuffers are verified as a whole first; what the schema then says is
//! read by the functions below and not by arrow-ipc's own, which panic on values they do not know.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::ARROW_SCHEMA_KEY;
use super::node::DEPTH_MAX;
use crate::parquet::format::KeyValue;

const CONTINUATION: [u8; 4] = [0xff; 4];

/// The file's key-value pair that keeps `arrow` for readers that know it.
pub fn arrow_schema_metadata(arrow: &Schema) -> KeyValue {
    let message = IpcDataGenerator::default()
        .schema_to_bytes_with_dictionary_tracker(arrow, &mut DictionaryTracker::new(true), &IpcWriteOptions::default())
        .ipc_message;
    let mut bytes = CONTINUATION.to_vec();
    // A schema beyond 4 GiB cannot be a key-value pair of a footer, whose length has 32 bits too.
    bytes.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&message);
    KeyValue { key: ARROW_SCHEMA_KEY.into(), value: Some(BASE64_STANDARD.encode(bytes)) }
}

/// What could be understood of an Arrow schema.
#[derive(Debug)]
pub(super) struct Hint {
    /// None where the field is of a type that is not known.
    pub fields: Vec<Option<Field>>,
    pub metadata: HashMap<String, String>,
}

/// The schema of a message in base64; None when it is not one.
pub(super) fn decode(text: &str) -> Option<Hint> {
    let bytes = BASE64_STANDARD.decode(text.trim_ascii()).ok()?;
    let message = match bytes.strip_prefix(&CONTINUATION) {
        Some(rest) => rest.get(4..)?,
        None => bytes.as_slice(),
    };
    let schema = arrow_ipc::root_as_message(message).ok()?.header_as_schema()?;
    let fields = schema.fields()?.iter().map(|f| field(f, 0)).collect();
    Some(Hint { fields, metadata: metadata(schema.custom_metadata().into_iter().flatten()) })
}

fn metadata<'a>(pairs: impl Iterator<Item = arrow_ipc::KeyValue<'a>>) -> HashMap<String, String> {
    pairs.filter_map(|kv| Some((kv.key()?.to_string(), kv.value()?.to_string()))).collect()
}

fn field(fb: arrow_ipc::Field<'_>, depth: usize) -> Option<Field> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut data_type = value_type(fb, depth)?;
    let mut is_ordered = false;
    if let Some(dictionary) = fb.dictionary() {
        data_type = DataType::Dictionary(Box::new(int_type(dictionary.indexType()?)?), Box::new(data_type));
        is_ordered = dictionary.isOrdered();
    }
    let field = Field::new(fb.name().unwrap_or_default(), data_type, fb.nullable());
    Some(field.with_dict_is_ordered(is_ordered).with_metadata(metadata(fb.custom_metadata().into_iter().flatten())))
}

/// The type of the field's values: those of its dictionary where it has one.
fn value_type(fb: arrow_ipc::Field<'_>, depth: usize) -> Option<DataType> {
    use arrow_ipc::Type as T;
    let child = |n: usize| {
        let children = fb.children().filter(|c| n < c.len())?;
        field(children.get(n), depth + 1).map(Arc::new)
    };
    Some(match fb.type_type() {
        T::Null => DataType::Null,
        T::Bool => DataType::Boolean,
        T::Int => int_type(fb.type_as_int()?)?,
        T::Binary => DataType::Binary,
        T::LargeBinary => DataType::LargeBinary,
        T::BinaryView => DataType::BinaryView,
        T::Utf8 => DataType::Utf8,
        T::LargeUtf8 => DataType::LargeUtf8,
        T::Utf8View => DataType::Utf8View,
        T::FixedSizeBinary => DataType::FixedSizeBinary(fb.type_as_fixed_size_binary()?.byteWidth()),
        T::FloatingPoint => match fb.type_as_floating_point()?.precision() {
            arrow_ipc::Precision::HALF => DataType::Float16,
            arrow_ipc::Precision::SINGLE => DataType::Float32,
            arrow_ipc::Precision::DOUBLE => DataType::Float64,
            _ => return None,
        },
        T::Date => match fb.type_as_date()?.unit() {
            arrow_ipc::DateUnit::DAY => DataType::Date32,
            arrow_ipc::DateUnit::MILLISECOND => DataType::Date64,
            _ => return None,
        },
        T::Time => {
            let time = fb.type_as_time()?;
            match (time.bitWidth(), unit(time.unit())?) {
                (32, unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => DataType::Time32(unit),
                (64, unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond)) => DataType::Time64(unit),
                _ => return None,
            }
        }
        T::Timestamp => {
            let timestamp = fb.type_as_timestamp()?;
            DataType::Timestamp(unit(timestamp.unit())?, timestamp.timezone().map(Into::into))
        }
        T::Interval => DataType::Interval(match fb.type_as_interval()?.unit() {
            arrow_ipc::IntervalUnit::YEAR_MONTH => IntervalUnit::YearMonth,
            arrow_ipc::IntervalUnit::DAY_TIME => IntervalUnit::DayTime,
            arrow_ipc::IntervalUnit::MONTH_DAY_NANO => IntervalUnit::MonthDayNano,
            _ => return None,
        }),
        T::Duration => DataType::Duration(unit(fb.type_as_duration()?.unit())?),
        T::Decimal => {
            let decimal = fb.type_as_decimal()?;
            let precision = u8::try_from(decimal.precision()).ok()?;
            let scale = i8::try_from(decimal.scale()).ok()?;
            match decimal.bitWidth() {
                32 => DataType::Decimal32(precision, scale),
                64 => DataType::Decimal64(precision, scale),
                128 => DataType::Decimal128(precision, scale),
                256 => DataType::Decimal256(precision, scale),
                _ => return None,
            }
        }
        T::Struct_ => {
            let children = fb.children().into_iter().flatten();
            DataType::Struct(children.map(|c| field(c, depth + 1)).collect::<Option<_>>()?)
        }
        T::List => DataType::List(child(0)?),
        T::LargeList => DataType::LargeList(child(0)?),
        T::ListView => DataType::ListView(child(0)?),
        T::LargeListView => DataType::LargeListView(child(0)?),
        T::FixedSizeList => DataType::FixedSizeList(child(0)?, fb.type_as_fixed_size_list()?.listSize()),
        T::Map => DataType::Map(child(0)?, fb.type_as_map()?.keysSorted()),
        // Written as its values.
        T::RunEndEncoded => child(1)?.data_type().clone(),
        _ => return None,
    })
}

fn unit(unit: arrow_ipc::TimeUnit) -> Option<TimeUnit> {
    Some(match unit {
        arrow_ipc::TimeUnit::SECOND => TimeUnit::Second,
        arrow_ipc::TimeUnit::MILLISECOND => TimeUnit::Millisecond,
        arrow_ipc::TimeUnit::MICROSECOND => TimeUnit::Microsecond,
        arrow_ipc::TimeUnit::NANOSECOND => TimeUnit::Nanosecond,
        _ => return None,
    })
}

fn int_type(int: arrow_ipc::Int<'_>) -> Option<DataType> {
    Some(match (int.bitWidth(), int.is_signed()) {
        (8, true) => DataType::Int8,
        (16, true) => DataType::Int16,
        (32, true) => DataType::Int32,
        (64, true) => DataType::Int64,
        (8, false) => DataType::UInt8,
        (16, false) => DataType::UInt16,
        (32, false) => DataType::UInt32,
        (64, false) => DataType::UInt64,
        _ => return None,
    })
}
