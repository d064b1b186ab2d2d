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
//! The message comes from outside, and a wide file's is long: the text is decoded as a whole, and each field of the schema
//! when it is asked for. Types of the future are none, where arrow-ipc's own functions panic.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc::Field as F;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::ARROW_SCHEMA_KEY;
use super::flatbuffer::{Buffer, Table};
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

/// An Arrow schema, of which a field is decoded when it is asked for.
#[derive(Debug)]
pub(super) struct Hint(Buffer);

impl Hint {
    /// The schema of a message in base64; None when it is not one.
    pub fn decode(text: &str) -> Option<Hint> {
        let mut bytes = BASE64_STANDARD.decode(text.trim_ascii()).ok()?;
        if let Some(rest) = bytes.strip_prefix(&CONTINUATION) {
            let (length, message) = rest.split_first_chunk()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            bytes = message.get(..length)?.to_vec();
        }
        let hint = Hint(Buffer::new(bytes));
        hint.schema().is_some().then_some(hint)
    }

    /// The field of this number; None where it is not there, or of a type that is not known.
    pub fn field(&self, number: usize) -> Option<Field> {
        field(self.schema()?.table_of(arrow_ipc::Schema::VT_FIELDS, number)?, 0)
    }

    /// What stands beside the fields.
    pub fn metadata(&self) -> HashMap<String, String> {
        self.schema().map(|schema| metadata(schema, arrow_ipc::Schema::VT_CUSTOM_METADATA)).unwrap_or_default()
    }

    fn schema(&self) -> Option<Table<'_>> {
        use arrow_ipc::{Message, MessageHeader};
        let message = self.0.root()?;
        let is_schema = message.u8(Message::VT_HEADER_TYPE) == MessageHeader::Schema.0;
        message.table(Message::VT_HEADER).filter(|_| is_schema)
    }
}

fn metadata(table: Table<'_>, field: u16) -> HashMap<String, String> {
    use arrow_ipc::KeyValue as Pair;
    let pairs = table.tables(field).flatten();
    pairs
        .filter_map(|kv| Some((kv.string(Pair::VT_KEY)?.to_string(), kv.string(Pair::VT_VALUE)?.to_string())))
        .collect()
}

fn field(table: Table<'_>, depth: usize) -> Option<Field> {
    use arrow_ipc::DictionaryEncoding as Dictionary;
    if depth > DEPTH_MAX {
        return None;
    }
    let mut data_type = value_type(table, depth)?;
    let mut is_ordered = false;
    if table.has(F::VT_DICTIONARY) {
        let dictionary = table.table(F::VT_DICTIONARY)?;
        // Not there means 32 bits with a sign.
        let index = dictionary.table(Dictionary::VT_INDEXTYPE).map_or(Some(DataType::Int32), int_type)?;
        data_type = DataType::Dictionary(Box::new(index), Box::new(data_type));
        is_ordered = dictionary.bool(Dictionary::VT_ISORDERED);
    }
    let name = if table.has(F::VT_NAME) { table.string(F::VT_NAME)? } else { "" };
    let field = Field::new(name, data_type, table.bool(F::VT_NULLABLE));
    Some(field.with_dict_is_ordered(is_ordered).with_metadata(metadata(table, F::VT_CUSTOM_METADATA)))
}

/// The type of the field's values: those of its dictionary where it has one.
fn value_type(table: Table<'_>, depth: usize) -> Option<DataType> {
    use arrow_ipc::Type as T;
    let child = |n: usize| field(table.table_of(F::VT_CHILDREN, n)?, depth + 1).map(Arc::new);
    let of = table.table(F::VT_TYPE_);
    Some(match arrow_ipc::Type(table.u8(F::VT_TYPE_TYPE)) {
        T::Null => DataType::Null,
        T::Bool => DataType::Boolean,
        T::Int => int_type(of?)?,
        T::Binary => DataType::Binary,
        T::LargeBinary => DataType::LargeBinary,
        T::BinaryView => DataType::BinaryView,
        T::Utf8 => DataType::Utf8,
        T::LargeUtf8 => DataType::LargeUtf8,
        T::Utf8View => DataType::Utf8View,
        T::FixedSizeBinary => DataType::FixedSizeBinary(of?.i32(arrow_ipc::FixedSizeBinary::VT_BYTEWIDTH, 0)),
        T::FloatingPoint => match arrow_ipc::Precision(of?.i16(arrow_ipc::FloatingPoint::VT_PRECISION, 0)) {
            arrow_ipc::Precision::HALF => DataType::Float16,
            arrow_ipc::Precision::SINGLE => DataType::Float32,
            arrow_ipc::Precision::DOUBLE => DataType::Float64,
            _ => return None,
        },
        T::Date => match arrow_ipc::DateUnit(of?.i16(arrow_ipc::Date::VT_UNIT, arrow_ipc::DateUnit::MILLISECOND.0)) {
            arrow_ipc::DateUnit::DAY => DataType::Date32,
            arrow_ipc::DateUnit::MILLISECOND => DataType::Date64,
            _ => return None,
        },
        T::Time => {
            let bits = of?.i32(arrow_ipc::Time::VT_BITWIDTH, 32);
            match (bits, unit(of?, arrow_ipc::Time::VT_UNIT, arrow_ipc::TimeUnit::MILLISECOND)?) {
                (32, unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => DataType::Time32(unit),
                (64, unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond)) => DataType::Time64(unit),
                _ => return None,
            }
        }
        T::Timestamp => {
            let unit = unit(of?, arrow_ipc::Timestamp::VT_UNIT, arrow_ipc::TimeUnit::SECOND)?;
            let zone = of?.string(arrow_ipc::Timestamp::VT_TIMEZONE);
            if zone.is_none() && of?.has(arrow_ipc::Timestamp::VT_TIMEZONE) {
                return None;
            }
            DataType::Timestamp(unit, zone.map(Into::into))
        }
        T::Interval => DataType::Interval(match arrow_ipc::IntervalUnit(of?.i16(arrow_ipc::Interval::VT_UNIT, 0)) {
            arrow_ipc::IntervalUnit::YEAR_MONTH => IntervalUnit::YearMonth,
            arrow_ipc::IntervalUnit::DAY_TIME => IntervalUnit::DayTime,
            arrow_ipc::IntervalUnit::MONTH_DAY_NANO => IntervalUnit::MonthDayNano,
            _ => return None,
        }),
        T::Duration => DataType::Duration(unit(of?, arrow_ipc::Duration::VT_UNIT, arrow_ipc::TimeUnit::MILLISECOND)?),
        T::Decimal => {
            let precision = u8::try_from(of?.i32(arrow_ipc::Decimal::VT_PRECISION, 0)).ok()?;
            let scale = i8::try_from(of?.i32(arrow_ipc::Decimal::VT_SCALE, 0)).ok()?;
            match of?.i32(arrow_ipc::Decimal::VT_BITWIDTH, 128) {
                32 => DataType::Decimal32(precision, scale),
                64 => DataType::Decimal64(precision, scale),
                128 => DataType::Decimal128(precision, scale),
                256 => DataType::Decimal256(precision, scale),
                _ => return None,
            }
        }
        T::Struct_ => {
            let children = table.tables(F::VT_CHILDREN);
            DataType::Struct(children.map(|child| field(child?, depth + 1)).collect::<Option<_>>()?)
        }
        T::List => DataType::List(child(0)?),
        T::LargeList => DataType::LargeList(child(0)?),
        T::ListView => DataType::ListView(child(0)?),
        T::LargeListView => DataType::LargeListView(child(0)?),
        T::FixedSizeList => DataType::FixedSizeList(child(0)?, of?.i32(arrow_ipc::FixedSizeList::VT_LISTSIZE, 0)),
        T::Map => DataType::Map(child(0)?, of?.bool(arrow_ipc::Map::VT_KEYSSORTED)),
        // Written as its values.
        T::RunEndEncoded => child(1)?.data_type().clone(),
        _ => return None,
    })
}

fn unit(of: Table<'_>, field: u16, default: arrow_ipc::TimeUnit) -> Option<TimeUnit> {
    Some(match arrow_ipc::TimeUnit(of.i16(field, default.0)) {
        arrow_ipc::TimeUnit::SECOND => TimeUnit::Second,
        arrow_ipc::TimeUnit::MILLISECOND => TimeUnit::Millisecond,
        arrow_ipc::TimeUnit::MICROSECOND => TimeUnit::Microsecond,
        arrow_ipc::TimeUnit::NANOSECOND => TimeUnit::Nanosecond,
        _ => return None,
    })
}

fn int_type(int: Table<'_>) -> Option<DataType> {
    Some(match (int.i32(arrow_ipc::Int::VT_BITWIDTH, 0), int.bool(arrow_ipc::Int::VT_IS_SIGNED)) {
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
