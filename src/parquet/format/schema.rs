//! The schema's elements: physical types, repetition, logical types.
//!
//! Spec: parquet.thrift, `SchemaElement`, `LogicalType`, `ConvertedType`; LogicalTypes.md.

use super::thrift::{choice, open_enum, record};

open_enum! {
    /// A physical type.
    pub enum Type {
        Boolean = 0,
        Int32 = 1,
        Int64 = 2,
        Int96 = 3,
        Float = 4,
        Double = 5,
        ByteArray = 6,
        FixedLenByteArray = 7,
    }
}

open_enum! {
    /// How often a field stands in its parent.
    pub enum Repetition {
        Required = 0,
        Optional = 1,
        Repeated = 2,
        /// A fixed number of times, [`SchemaElement::vector_length`].
        Vector = 3,
    }
}

open_enum! {
    /// The annotation before logical types; still written, for old readers.
    pub enum ConvertedType {
        Utf8 = 0,
        Map = 1,
        MapKeyValue = 2,
        List = 3,
        Enum = 4,
        Decimal = 5,
        Date = 6,
        TimeMillis = 7,
        TimeMicros = 8,
        TimestampMillis = 9,
        TimestampMicros = 10,
        Uint8 = 11,
        Uint16 = 12,
        Uint32 = 13,
        Uint64 = 14,
        Int8 = 15,
        Int16 = 16,
        Int32 = 17,
        Int64 = 18,
        Json = 19,
        Bson = 20,
        Interval = 21,
    }
}

record! {
    /// One node of the schema tree, in depth-first order.
    pub struct SchemaElement {
        /// The physical type; none for groups.
        1: optional type_: Type,
        /// Bytes per value of FIXED_LEN_BYTE_ARRAY.
        2: optional type_length: i32,
        /// None only for the root.
        3: optional repetition: Repetition,
        4: required name: String,
        5: optional num_children: i32,
        6: optional converted_type: ConvertedType,
        /// Decimal scale, beside `converted_type`.
        7: optional scale: i32,
        /// Decimal precision, beside `converted_type`.
        8: optional precision: i32,
        9: optional field_id: i32,
        10: optional logical_type: LogicalType,
        /// How many elements each parent has, of a field that stands in a vector.
        11: optional vector_length: i32,
    }
}

record! {
    /// A logical type without parameters.
    pub struct Empty {}
}

record! {
    pub struct DecimalType {
        1: required scale: i32,
        2: required precision: i32,
    }
}

record! {
    pub struct TimeType {
        1: required is_adjusted_to_utc: bool,
        2: required unit: TimeUnit,
    }
}

record! {
    pub struct IntType {
        1: required bit_width: i8,
        2: required is_signed: bool,
    }
}

record! {
    pub struct VariantType {
        1: optional specification_version: i8,
    }
}

record! {
    pub struct GeometryType {
        1: optional crs: String,
    }
}

record! {
    pub struct GeographyType {
        1: optional crs: String,
        2: optional algorithm: i32,
    }
}

choice! {
    pub enum TimeUnit {
        1: Millis(Empty),
        2: Micros(Empty),
        3: Nanos(Empty),
    }
}

choice! {
    /// What the values mean.
    pub enum LogicalType {
        1: String(Empty),
        2: Map(Empty),
        3: List(Empty),
        4: Enum(Empty),
        5: Decimal(DecimalType),
        6: Date(Empty),
        7: Time(TimeType),
        8: Timestamp(TimeType),
        10: Integer(IntType),
        /// No value but null (`UNKNOWN` in the specification).
        11: Null(Empty),
        12: Json(Empty),
        13: Bson(Empty),
        14: Uuid(Empty),
        15: Float16(Empty),
        16: Variant(VariantType),
        17: Geometry(GeometryType),
        18: Geography(GeographyType),
        /// A reference to bytes in or outside of the file.
        19: File(Empty),
    }
}
