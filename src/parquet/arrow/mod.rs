//! Parquet schema ⇄ Arrow schema.
//!
//! Spec: parquet.thrift, `SchemaElement`; LogicalTypes.md.
//!
//! ```text
//! Arrow                          Parquet: physical, logical (and converted) type
//! ---------------------------------------------------------------------------------------------
//! Null                           INT32, UNKNOWN
//! Boolean                        BOOLEAN
//! Int8, Int16 / Int32            INT32, INTEGER(8|16, signed) / INT32
//! UInt8, UInt16, UInt32          INT32, INTEGER(8|16|32, unsigned)
//! Int64 / UInt64                 INT64 / INT64, INTEGER(64, unsigned)
//! Float16 / Float32 / Float64    FIXED_LEN_BYTE_ARRAY(2), FLOAT16 / FLOAT / DOUBLE
//! Utf8, LargeUtf8, Utf8View      BYTE_ARRAY, STRING (JSON where the field says `arrow.json`, ENUM where asked for)
//! Binary, Large…, …View          BYTE_ARRAY (GEOMETRY, GEOGRAPHY where it says `geoarrow.wkb`, BSON where asked for)
//! FixedSizeBinary(n)             FIXED_LEN_BYTE_ARRAY(n) (UUID where the field says `arrow.uuid`)
//! Date32 / Date64                INT32, DATE (a Date64 must be a whole day)
//! Time32(s|ms) / Time64(us|ns)   INT32, TIME(ms) / INT64, TIME(us|ns); adjusted to UTC where the field says `adjusted_to_utc`
//! Timestamp(s|ms|us|ns)          INT64, TIMESTAMP(ms|ms|us|ns), adjusted to UTC where a zone is given
//! Duration(unit)                 INT64
//! Interval(unit)                 FIXED_LEN_BYTE_ARRAY(12), converted type INTERVAL; whole milliseconds, none negative
//! Decimal*(p, s)                 INT32 to 9 digits, INT64 to 18, then the shortest FIXED_LEN_BYTE_ARRAY; DECIMAL
//! Dictionary(_, v)               as v, which may be nested
//! RunEndEncoded(_, v)            as v, which may be nested
//! Struct                         group (VARIANT, FILE where the field says `arrow.parquet.variant`, `….file`)
//! List and its layouts, Map      three levels, LIST; MAP
//! ```
//!
//! What Parquet has no word for (large offsets, views, dictionaries, seconds, zones, durations, metadata) is
//! kept beside the schema, in the key `ARROW:schema`, and restored from there: column by column, and only
//! where it fits what the Parquet schema says, which has the last word.
//!
//! Timestamps are read from INT96, too, and written there where that is asked for. Read only: decimals in BYTE_ARRAY,
//! converted types without logical types. What is read of ENUM and BSON says so under [`LOGICAL_TYPE_KEY`]. Refused
//! where the column is asked for: VECTOR (a proposal of the format), types and repetitions that are not known.

pub mod assemble;
mod extension;
mod file_schema;
mod flatbuffer;
mod from_parquet;
mod ipc;
pub mod level_bits;
#[cfg(test)]
mod nested_schema_tests;
pub mod node;
mod restore;
mod same;
mod shape;
pub mod shred;
mod to_parquet;
mod values;

use arrow_schema::{DataType, SchemaRef, TimeUnit};

pub use file_schema::{FieldSchema, FileSchema};
pub use from_parquet::{INTERVAL_BYTES, SchemaOptions, from_parquet};
pub use ipc::arrow_schema_metadata;
pub use node::Node;
pub use same::check_same;
pub use to_parquet::to_parquet;

use crate::error::{Error, Result};
use crate::parquet::format::schema::TimeUnit as ParquetTimeUnit;
use crate::parquet::format::{LogicalType, SchemaElement, Type};

/// The key of a file's metadata that holds its Arrow schema.
pub const ARROW_SCHEMA_KEY: &str = "ARROW:schema";
/// The key of a field's metadata that holds its Parquet field id.
pub const FIELD_ID_KEY: &str = "PARQUET:field_id";

/// The key of a field's metadata that names the logical type ENUM or BSON, for which Arrow has no word.
pub const LOGICAL_TYPE_KEY: &str = "PARQUET:logical_type";

/// The key of a field's metadata that says of a TIME that it is adjusted to UTC, which Arrow's type does not tell.
pub const ADJUSTED_TO_UTC_KEY: &str = "adjusted_to_utc";

const EXTENSION_NAME_KEY: &str = "ARROW:extension:name";
const EXTENSION_METADATA_KEY: &str = "ARROW:extension:metadata";

/// Both schemas of a file, and how they hang together.
#[derive(Debug, Clone)]
pub struct ParquetSchema {
    /// The Parquet schema: its tree's nodes in depth-first order, the root first.
    pub elements: Vec<SchemaElement>,
    /// The tree's leaves in order; `leaves[i]` is column chunk `i` of each row group.
    pub leaves: Vec<Leaf>,
    /// The Arrow schema: one field a child of the root.
    pub arrow: SchemaRef,
    /// How each field's values nest, down to its leaves.
    pub nodes: Vec<Node>,
}

/// One leaf of a Parquet schema: a column of values with levels.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Names from the root's child down to the leaf.
    pub path: Vec<String>,
    /// Its place in [`ParquetSchema::elements`].
    pub element: usize,
    /// How values are stored.
    pub physical: Type,
    /// Bytes per value of FIXED_LEN_BYTE_ARRAY, else 0.
    pub type_length: usize,
    /// What values mean; converted types are folded in.
    pub logical: Option<LogicalType>,
    /// The definition level of a value that is there.
    pub def_max: u16,
    /// How many of its ancestors (and itself) are repeated.
    pub rep_max: u16,
    /// The definition level from which an entry has a slot in the innermost list around it; 0 outside of lists.
    pub slot: u16,
    /// The place of its top-level field in [`ParquetSchema::arrow`].
    pub field: usize,
    /// The Arrow type of its values; of a column whose whole field is this leaf, the field's type.
    pub data_type: DataType,
    /// How the values of this leaf compare in statistics.
    pub order: ValueOrder,
    /// Of INT96 whose unit nobody has told: what is beyond 64 bits of it runs over, as in other readers.
    pub runs_over: bool,
    /// Why this crate cannot read the column; see [`Leaf::check`].
    pub refusal: Option<String>,
}

/// How the values of a leaf compare in statistics and the page index: where the file says `TypeOrder`, but for
/// `FloatTotal` and `Chronological`, which are orders of their own.
///
/// Spec: parquet.thrift, `ColumnOrder`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueOrder {
    /// False before true.
    Boolean,
    /// INT32 or INT64 as signed numbers.
    Signed,
    /// INT32 or INT64 as unsigned numbers.
    Unsigned,
    /// FLOAT, DOUBLE or FLOAT16 by value; NaN has no place.
    Float,
    /// By unsigned bytes, a prefix before what it begins.
    Bytes,
    /// FLOAT, DOUBLE or FLOAT16 by IEEE 754 total order among what is no NaN; NaN bound pages of nothing else.
    FloatTotal,
    /// A big-endian number in two's complement (decimals in byte arrays).
    SignedBytes,
    /// INT96 by day, then by nanosecond.
    Chronological,
    /// No order: bounds mean nothing.
    Undefined,
}

/// How a leaf's stored integers become the values of its Arrow type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// As they are.
    None,
    /// Stored in milliseconds, held in seconds.
    Seconds,
    /// Stored in days, held in milliseconds (Date64).
    DayMillis,
}

/// Milliseconds of a day, the factor of [`Scaling::DayMillis`].
pub const DAY_MS: i64 = 86_400_000;

impl Leaf {
    /// A flat column's, which is required.
    #[cfg(test)]
    pub(crate) fn required(physical: Type, type_length: usize) -> Leaf {
        Leaf {
            path: vec!["x".into()],
            element: 1,
            physical,
            type_length,
            logical: None,
            def_max: 0,
            rep_max: 0,
            slot: 0,
            field: 0,
            data_type: DataType::Binary,
            order: ValueOrder::Undefined,
            runs_over: false,
            refusal: None,
        }
    }

    /// The names of the path with dots between, as errors and people call it.
    pub fn name(&self) -> String {
        self.path.join(".")
    }

    /// Whether a value may be null.
    pub fn is_nullable(&self) -> bool {
        self.def_max > 0
    }

    /// Whether it is a field of its own: each row has one entry, whose definition level is its validity.
    pub fn is_flat(&self) -> bool {
        self.rep_max == 0 && self.path.len() == 1
    }

    /// [`Error::Unsupported`] naming the column when this crate cannot read it.
    pub fn check(&self) -> Result<()> {
        match &self.refusal {
            Some(reason) => Err(Error::unsupported(reason.clone()).in_column(self.name())),
            None => Ok(()),
        }
    }

    /// How stored integers become values of [`data_type`](Self::data_type).
    pub fn scaling(&self) -> Scaling {
        let value_type = match &self.data_type {
            DataType::Dictionary(_, value) => value,
            other => other,
        };
        match (&self.logical, value_type) {
            (
                Some(LogicalType::Timestamp(t) | LogicalType::Time(t)),
                DataType::Timestamp(TimeUnit::Second, _) | DataType::Time32(TimeUnit::Second),
            ) if matches!(t.unit, ParquetTimeUnit::Millis(_)) => Scaling::Seconds,
            (Some(LogicalType::Date(_)), DataType::Date64) => Scaling::DayMillis,
            _ => Scaling::None,
        }
    }
}

/// The order of values of this physical and logical type.
fn value_order(physical: Type, logical: Option<&LogicalType>, is_interval: bool) -> ValueOrder {
    match (physical, logical) {
        (Type::Boolean, _) => ValueOrder::Boolean,
        (_, Some(LogicalType::Null(_) | LogicalType::Unknown(_))) => ValueOrder::Undefined,
        (Type::Int32 | Type::Int64, Some(LogicalType::Integer(i))) if !i.is_signed => ValueOrder::Unsigned,
        (Type::Int32 | Type::Int64, _) => ValueOrder::Signed,
        (Type::Float | Type::Double, _) => ValueOrder::Float,
        (Type::FixedLenByteArray, Some(LogicalType::Float16(_))) => ValueOrder::Float,
        (Type::ByteArray | Type::FixedLenByteArray, Some(LogicalType::Decimal(_))) => ValueOrder::SignedBytes,
        (
            Type::ByteArray | Type::FixedLenByteArray,
            Some(LogicalType::Variant(_) | LogicalType::Geometry(_) | LogicalType::Geography(_)),
        ) => ValueOrder::Undefined,
        (Type::FixedLenByteArray, _) if is_interval => ValueOrder::Undefined,
        (Type::ByteArray | Type::FixedLenByteArray, _) => ValueOrder::Bytes,
        (Type::Int96 | Type::Unknown(_), _) => ValueOrder::Undefined,
    }
}

/// The fewest bytes whose two's complement holds every number of `precision` decimal digits, for 1 to 76.
fn decimal_bytes(precision: u8) -> usize {
    // Bits of 10^p - 1, and one of sign. 1701/512 is just above log2(10), so from 1 to 76 the ceiling of the
    // product is the exact count of bits.
    let bits = (usize::from(precision) * 1701).div_ceil(512) + 1;
    bits.div_ceil(8)
}

/// The most decimal digits that a two's complement number of `bytes` bytes always holds.
fn decimal_digits(bytes: usize) -> usize {
    (1..=76u8).take_while(|&p| decimal_bytes(p) <= bytes).count()
}

#[cfg(test)]
mod tests;
