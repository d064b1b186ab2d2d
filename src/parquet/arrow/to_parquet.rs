//! The Parquet schema that values of an Arrow schema are written under.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::node::{Kind, Node, unpacked};
use super::{FIELD_ID_KEY, INTERVAL_BYTES, Leaf, ParquetSchema, decimal_bytes, extension, value_order};
use crate::error::{Error, Result};
use crate::parquet::format::schema::{DecimalType, IntType, TimeType, TimeUnit as ParquetTimeUnit};
use crate::parquet::format::{ConvertedType, Empty, LogicalType, Repetition, SchemaElement, Type};

/// The schemas of a file that holds batches of `arrow`.
///
/// # Errors
/// [`Error::Unsupported`] naming the column for unions, structs without fields and negative decimal scales; [`Error::Invalid`] for types that no value can have (a FixedSizeBinary of 0 bytes) and
/// for extensions whose metadata is broken; [`Error::Limit`] when types nest too deep.
pub fn to_parquet(arrow: &Schema) -> Result<ParquetSchema> {
    let fields = arrow.fields();
    let count = i32::try_from(fields.len()).map_err(|_| Error::limit("more than 2147483647 columns"))?;
    let mut elements = Vec::with_capacity(fields.len() + 1);
    elements.push(element("schema", None));
    if let Some(root) = elements.first_mut() {
        root.num_children = Some(count);
    }
    let mut leaves = Vec::with_capacity(fields.len());
    let mut nodes = Vec::with_capacity(fields.len());
    for (index, field) in fields.iter().enumerate() {
        let (node, _) = Node::of_arrow(field, leaves.len())?;
        let mut shape = Shape { elements: &mut elements, leaves: &mut leaves, path: Vec::new(), field: index };
        shape.emit(&node, field.name(), nullability(field)).map_err(|e| e.in_column(field.name()))?;
        nodes.push(node);
    }
    Ok(ParquetSchema { elements, leaves, arrow: Arc::new(arrow.clone()), nodes })
}

fn nullability(field: &Field) -> Repetition {
    if field.is_nullable() { Repetition::Optional } else { Repetition::Required }
}

/// Emits one element after another, depth first.
struct Shape<'a> {
    elements: &'a mut Vec<SchemaElement>,
    leaves: &'a mut Vec<Leaf>,
    path: Vec<String>,
    field: usize,
}

impl Shape<'_> {
    /// Spec: LogicalTypes.md, "Nested Types": three levels for lists and maps, with the names given there.
    fn emit(&mut self, node: &Node, name: &str, repetition: Repetition) -> Result<()> {
        self.path.push(name.to_string());
        match &node.kind {
            Kind::Leaf(_) => self.leaf(node, name, repetition)?,
            Kind::Struct(children) => {
                let logical = extension::logical(&node.field, unpacked(node.field.data_type()))?;
                self.group(name, repetition, children.len(), logical, Some(&node.field))?;
                for child in children {
                    self.emit(child, child.field.name(), nullability(&child.field))?;
                }
            }
            Kind::List(entries) => match (unpacked(node.field.data_type()), &entries.kind) {
                (DataType::Map(..), Kind::Struct(pair)) => {
                    self.group(name, repetition, 1, Some(LogicalType::Map(Empty {})), Some(&node.field))?;
                    self.path.push("key_value".into());
                    self.group("key_value", Repetition::Repeated, pair.len(), None, None)?;
                    for (child, name) in pair.iter().zip(["key", "value"]) {
                        self.emit(child, name, nullability(&child.field))?;
                    }
                    self.path.pop();
                }
                _ => {
                    self.group(name, repetition, 1, Some(LogicalType::List(Empty {})), Some(&node.field))?;
                    self.path.push("list".into());
                    self.group("list", Repetition::Repeated, 1, None, None)?;
                    self.emit(entries, "element", nullability(&entries.field))?;
                    self.path.pop();
                }
            },
        }
        self.path.pop();
        Ok(())
    }

    fn leaf(&mut self, node: &Node, name: &str, repetition: Repetition) -> Result<()> {
        let column = stored(&node.field)?;
        self.leaves.push(Leaf {
            path: self.path.clone(),
            element: self.elements.len(),
            physical: column.physical,
            type_length: column.type_length,
            order: value_order(column.physical, column.logical.as_ref(), column.is_interval),
            logical: column.logical.clone(),
            def_max: node.present,
            rep_max: node.rep,
            slot: node.slot,
            field: self.field,
            data_type: node.field.data_type().clone(),
            runs_over: false,
            refusal: None,
        });
        self.elements.push(column.element(&node.field, name, repetition));
        Ok(())
    }

    fn group(
        &mut self,
        name: &str,
        repetition: Repetition,
        children: usize,
        logical: Option<LogicalType>,
        field: Option<&Field>,
    ) -> Result<()> {
        if children == 0 {
            // Nothing would say which rows have it.
            return Err(Error::unsupported("a struct without fields cannot be written to Parquet"));
        }
        let mut group = element(name, None);
        group.repetition = Some(repetition);
        group.num_children = i32::try_from(children).ok();
        group.converted_type = logical.as_ref().and_then(converted);
        group.logical_type = logical;
        group.field_id = field.and_then(field_id);
        self.elements.push(group);
        Ok(())
    }
}

fn field_id(field: &Field) -> Option<i32> {
    field.metadata().get(FIELD_ID_KEY).and_then(|id| id.parse().ok())
}

/// How a field's values are stored.
struct Stored {
    physical: Type,
    type_length: usize,
    logical: Option<LogicalType>,
    /// INTERVAL, which is no logical type.
    is_interval: bool,
}

impl Stored {
    fn element(self, field: &Field, name: &str, repetition: Repetition) -> SchemaElement {
        let mut element = element(name, Some(self.physical));
        if self.physical == Type::FixedLenByteArray {
            element.type_length = i32::try_from(self.type_length).ok();
        }
        element.repetition = Some(repetition);
        element.converted_type = match &self.logical {
            Some(logical) => converted(logical),
            None => self.is_interval.then_some(ConvertedType::Interval),
        };
        if let Some(LogicalType::Decimal(decimal)) = &self.logical {
            element.precision = Some(decimal.precision);
            element.scale = Some(decimal.scale);
        }
        element.field_id = field_id(field);
        element.logical_type = self.logical;
        element
    }
}

fn element(name: &str, type_: Option<Type>) -> SchemaElement {
    SchemaElement {
        type_,
        type_length: None,
        repetition: None,
        name: name.to_string(),
        num_children: None,
        converted_type: None,
        scale: None,
        precision: None,
        field_id: None,
        logical_type: None,
        vector_length: None,
    }
}

fn stored(field: &Field) -> Result<Stored> {
    use DataType as D;
    use LogicalType as L;

    let plain = |physical| Stored { physical, type_length: 0, logical: None, is_interval: false };
    let annotated = |physical, logical| Stored { logical: Some(logical), ..plain(physical) };
    let integer = |physical, bit_width, is_signed| annotated(physical, L::Integer(IntType { bit_width, is_signed }));
    let value_type = unpacked(field.data_type());
    let asked = extension::logical(field, value_type)?;
    Ok(match value_type {
        D::Null => annotated(Type::Int32, L::Null(Empty {})),
        D::Boolean => plain(Type::Boolean),
        D::Int8 => integer(Type::Int32, 8, true),
        D::Int16 => integer(Type::Int32, 16, true),
        D::Int32 => plain(Type::Int32),
        D::Int64 => plain(Type::Int64),
        D::UInt8 => integer(Type::Int32, 8, false),
        D::UInt16 => integer(Type::Int32, 16, false),
        D::UInt32 => integer(Type::Int32, 32, false),
        D::UInt64 => integer(Type::Int64, 64, false),
        D::Float16 => fixed(2, Some(L::Float16(Empty {}))),
        D::Float32 => plain(Type::Float),
        D::Float64 => plain(Type::Double),
        D::Utf8 | D::LargeUtf8 | D::Utf8View => annotated(Type::ByteArray, asked.unwrap_or(L::String(Empty {}))),
        D::Binary | D::LargeBinary | D::BinaryView => Stored { logical: asked, ..plain(Type::ByteArray) },
        D::FixedSizeBinary(n @ 1..) => fixed(*n as usize, asked),
        D::FixedSizeBinary(n) => {
            return Err(Error::invalid(format!("FixedSizeBinary({n}): Parquet's fixed arrays have a byte at least")));
        }
        D::Date32 | D::Date64 => annotated(Type::Int32, L::Date(Empty {})),
        D::Time32(unit) => annotated(Type::Int32, L::Time(time(*unit, extension::is_adjusted_to_utc(field)))),
        D::Time64(unit) => annotated(Type::Int64, L::Time(time(*unit, extension::is_adjusted_to_utc(field)))),
        D::Timestamp(unit, zone) => {
            let has_zone = zone.as_ref().is_some_and(|z| !z.is_empty());
            annotated(Type::Int64, L::Timestamp(time(*unit, has_zone)))
        }
        D::Duration(_) => plain(Type::Int64),
        D::Interval(_) => Stored { is_interval: true, ..fixed(INTERVAL_BYTES, None) },
        D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) | D::Decimal256(p, s) => decimal(*p, *s)?,
        other => return Err(Error::unsupported(format!("columns of type {other} cannot be written to Parquet yet"))),
    })
}

fn fixed(type_length: usize, logical: Option<LogicalType>) -> Stored {
    Stored { physical: Type::FixedLenByteArray, type_length, logical, is_interval: false }
}

/// Parquet has no seconds: they become milliseconds.
fn time(unit: TimeUnit, is_adjusted_to_utc: bool) -> TimeType {
    let unit = match unit {
        TimeUnit::Second | TimeUnit::Millisecond => ParquetTimeUnit::Millis(Empty {}),
        TimeUnit::Microsecond => ParquetTimeUnit::Micros(Empty {}),
        TimeUnit::Nanosecond => ParquetTimeUnit::Nanos(Empty {}),
    };
    TimeType { is_adjusted_to_utc, unit }
}

fn decimal(precision: u8, scale: i8) -> Result<Stored> {
    if scale < 0 {
        return Err(Error::unsupported(format!("decimals of scale {scale}: Parquet's scales are not negative")));
    }
    if !(1..=76).contains(&precision) || scale as u8 > precision {
        return Err(Error::invalid(format!("decimals of {precision} digits, {scale} of them behind the point")));
    }
    let logical = Some(LogicalType::Decimal(DecimalType { scale: i32::from(scale), precision: i32::from(precision) }));
    Ok(match precision {
        1..=9 => Stored { physical: Type::Int32, type_length: 0, logical, is_interval: false },
        10..=18 => Stored { physical: Type::Int64, type_length: 0, logical, is_interval: false },
        _ => fixed(decimal_bytes(precision), logical),
    })
}

/// The converted type for readers that know no logical types.
///
/// Spec: LogicalTypes.md, the compatibility section of each type. Local times too: "must annotate local
/// timestamps with legacy annotations".
fn converted(logical: &LogicalType) -> Option<ConvertedType> {
    Some(match logical {
        LogicalType::String(_) => ConvertedType::Utf8,
        LogicalType::Map(_) => ConvertedType::Map,
        LogicalType::List(_) => ConvertedType::List,
        LogicalType::Enum(_) => ConvertedType::Enum,
        LogicalType::Decimal(_) => ConvertedType::Decimal,
        LogicalType::Date(_) => ConvertedType::Date,
        LogicalType::Time(t) => match t.unit {
            ParquetTimeUnit::Millis(_) => ConvertedType::TimeMillis,
            ParquetTimeUnit::Micros(_) => ConvertedType::TimeMicros,
            _ => return None,
        },
        LogicalType::Timestamp(t) => match t.unit {
            ParquetTimeUnit::Millis(_) => ConvertedType::TimestampMillis,
            ParquetTimeUnit::Micros(_) => ConvertedType::TimestampMicros,
            _ => return None,
        },
        LogicalType::Integer(i) => match (i.bit_width, i.is_signed) {
            (8, true) => ConvertedType::Int8,
            (16, true) => ConvertedType::Int16,
            (32, true) => ConvertedType::Int32,
            (64, true) => ConvertedType::Int64,
            (8, false) => ConvertedType::Uint8,
            (16, false) => ConvertedType::Uint16,
            (32, false) => ConvertedType::Uint32,
            (64, false) => ConvertedType::Uint64,
            _ => return None,
        },
        LogicalType::Json(_) => ConvertedType::Json,
        LogicalType::Bson(_) => ConvertedType::Bson,
        _ => return None,
    })
}
