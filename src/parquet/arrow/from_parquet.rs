//! A file's schema, checked: the elements come from outside, what leaves here is sound.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema, TimeUnit};

use super::{
    ARROW_SCHEMA_KEY, EXTENSION_METADATA_KEY, EXTENSION_NAME_KEY, FIELD_ID_KEY, JSON_EXTENSION, Leaf, ParquetSchema,
    UUID_EXTENSION, decimal_digits, ipc, restore, value_order,
};
use crate::error::{Error, Result};
use crate::parquet::format::schema::{DecimalType, IntType, TimeType, TimeUnit as ParquetTimeUnit};
use crate::parquet::format::{ConvertedType, Empty, FileMetaData, LogicalType, Repetition, SchemaElement, Type};

/// How deep groups may nest.
const DEPTH_MAX: usize = 64;
/// What the names in all leaves' paths may take together: a long name above many leaves stands in each path.
const PATH_BYTES_MAX: usize = 64 << 20;

/// The schemas of a file.
///
/// A column that this crate cannot read does not fail the file: its leaves carry a refusal
/// ([`Leaf::check`]) and its Arrow type is a best guess. The Arrow schema under [`ARROW_SCHEMA_KEY`] is used
/// column by column where it agrees with the Parquet schema.
///
/// # Errors
/// [`Error::Corrupt`] when the elements form no tree or an annotation contradicts its type,
/// [`Error::Limit`] when groups nest deeper than 64.
pub fn from_parquet(metadata: &FileMetaData) -> Result<ParquetSchema> {
    let elements = metadata.schema.as_slice();
    let root = elements.first().ok_or_else(|| Error::corrupt("the schema has no root"))?;
    let children = match root.num_children {
        Some(n) => usize::try_from(n).map_err(|_| Error::corrupt(format!("the schema's root has {n} children")))?,
        None if elements.len() == 1 => 0,
        None => return Err(Error::corrupt("the schema's root has no count of children")),
    };
    let hint = metadata
        .key_value_metadata
        .iter()
        .flatten()
        .find(|kv| kv.key == ARROW_SCHEMA_KEY)
        .and_then(|kv| kv.value.as_deref())
        .and_then(ipc::decode);

    let mut walk = Walk { elements, next: 1, path: Vec::new(), path_bytes: 0, leaves: Vec::new() };
    let mut fields = Vec::new();
    for index in 0..children {
        let first_leaf = walk.leaves.len();
        let mut field = walk.field(Place { field: index, def: 0, rep: 0 })?;
        if let (Some(Some(hint)), Some([leaf])) =
            (hint.as_ref().map(|h| h.fields.get(index).and_then(Option::as_ref)), walk.leaves.get_mut(first_leaf..))
        {
            field = restore::restore(field, leaf, hint);
        }
        fields.push(field);
    }
    if walk.next != elements.len() {
        let left = elements.len() - walk.next;
        return Err(Error::corrupt(format!("{left} schema elements belong to no group")));
    }
    let metadata = hint.map(|h| h.metadata).unwrap_or_default();
    Ok(ParquetSchema {
        leaves: walk.leaves,
        arrow: Arc::new(Schema::new_with_metadata(fields, metadata)),
        elements: elements.to_vec(),
    })
}

/// Where in the tree the walk stands: the top-level field and the levels above the next element.
#[derive(Clone, Copy)]
struct Place {
    field: usize,
    def: u16,
    rep: u16,
}

struct Walk<'a> {
    elements: &'a [SchemaElement],
    next: usize,
    path: Vec<String>,
    path_bytes: usize,
    leaves: Vec<Leaf>,
}

impl Walk<'_> {
    /// Takes the next element with all below it.
    fn field(&mut self, mut place: Place) -> Result<Field> {
        let index = self.next;
        let Some(element) = self.elements.get(index) else {
            let group = self.path.join(".");
            return Err(Error::corrupt(format!("the schema ends before the last child of group \"{group}\"")));
        };
        self.next += 1;
        self.path.push(element.name.clone());
        if self.path.len() > DEPTH_MAX {
            return Err(Error::limit(format!("groups nest deeper than {DEPTH_MAX}")).in_column(self.name()));
        }
        match element.repetition {
            Some(Repetition::Required) => {}
            Some(Repetition::Optional) => place.def += 1,
            Some(Repetition::Repeated) => {
                place.def += 1;
                place.rep += 1;
            }
            other => return Err(self.corrupt(format!("a field's repetition is {other:?}"))),
        }
        let field = match (element.type_, element.num_children) {
            (Some(physical), None | Some(0)) => self.leaf(element, index, physical, place)?,
            (None, Some(children @ 0..)) => self.group(element, children, place)?,
            (type_, children) => {
                return Err(self.corrupt(format!("a field of type {type_:?} with {children:?} children")));
            }
        };
        self.path.pop();
        Ok(field)
    }

    /// A group: read by nobody yet, so its Arrow type only describes it.
    fn group(&mut self, element: &SchemaElement, children: i32, place: Place) -> Result<Field> {
        let fields = (0..children).map(|_| self.field(place)).collect::<Result<Vec<_>>>()?;
        Ok(field(element, DataType::Struct(fields.into()), HashMap::new()))
    }

    fn leaf(&mut self, element: &SchemaElement, index: usize, physical: Type, place: Place) -> Result<Field> {
        self.path_bytes += self.path.iter().map(|part| part.len() + size_of::<String>()).sum::<usize>();
        if self.path_bytes > PATH_BYTES_MAX {
            return Err(Error::limit(format!("the columns' paths take more than {PATH_BYTES_MAX} bytes")));
        }
        let type_length = match (physical, element.type_length) {
            (Type::FixedLenByteArray, Some(n @ 1..)) => n as usize,
            (Type::FixedLenByteArray, n) => {
                return Err(self.corrupt(format!("FIXED_LEN_BYTE_ARRAY of length {n:?}")));
            }
            _ => 0,
        };
        let logical = logical(element);
        let mut refusal = None;
        let data_type = match value_type(physical, type_length, logical.as_ref()) {
            Ok(data_type) => data_type,
            Err(Mismatch::Corrupt) => {
                let logical = logical.map(|l| format!("{l:?}")).unwrap_or_default();
                return Err(self.corrupt(format!("{logical} cannot annotate {physical:?}({type_length})")));
            }
            Err(Mismatch::Unsupported(reason)) => {
                refusal = Some(reason);
                DataType::Binary
            }
        };
        if self.path.len() > 1 || place.rep > 0 {
            refusal = Some("nested columns cannot be read yet: leave the column out".into());
        }
        let is_interval = element.converted_type == Some(ConvertedType::Interval);
        self.leaves.push(Leaf {
            path: self.path.clone(),
            element: index,
            physical,
            type_length,
            order: value_order(physical, logical.as_ref(), is_interval),
            def_max: place.def,
            rep_max: place.rep,
            field: place.field,
            data_type: data_type.clone(),
            refusal,
            logical: logical.clone(),
        });
        Ok(field(element, data_type, extension(logical.as_ref())))
    }

    fn corrupt(&self, message: String) -> Error {
        Error::corrupt(message).in_column(self.name())
    }

    fn name(&self) -> String {
        self.path.join(".")
    }
}

/// An Arrow field of this element; a repeated one is a list of what it repeats.
fn field(element: &SchemaElement, data_type: DataType, mut metadata: HashMap<String, String>) -> Field {
    if let Some(id) = element.field_id {
        metadata.insert(FIELD_ID_KEY.into(), id.to_string());
    }
    let data_type = match element.repetition {
        Some(Repetition::Repeated) => DataType::List(Arc::new(Field::new("element", data_type, false))),
        _ => data_type,
    };
    let nullable = element.repetition == Some(Repetition::Optional);
    Field::new(element.name.clone(), data_type, nullable).with_metadata(metadata)
}

/// The Arrow extension that a logical type stands for, as a field's metadata.
fn extension(logical: Option<&LogicalType>) -> HashMap<String, String> {
    let entry = |key: &str, value: &str| (key.to_string(), value.to_string());
    match logical {
        Some(LogicalType::Uuid(_)) => HashMap::from([entry(EXTENSION_NAME_KEY, UUID_EXTENSION)]),
        Some(LogicalType::Json(_)) => {
            HashMap::from([entry(EXTENSION_NAME_KEY, JSON_EXTENSION), entry(EXTENSION_METADATA_KEY, "")])
        }
        _ => HashMap::new(),
    }
}

/// The element's logical type; where it has none that is known, what its converted type stands for.
///
/// Spec: LogicalTypes.md, the compatibility section of each type.
fn logical(element: &SchemaElement) -> Option<LogicalType> {
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

enum Mismatch {
    Corrupt,
    Unsupported(String),
}

/// The Arrow type of a leaf's values, from the Parquet schema alone.
fn value_type(physical: Type, type_length: usize, logical: Option<&LogicalType>) -> Result<DataType, Mismatch> {
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
