//! The columns that records are read into: what a schema file says, and its Arrow form.
//!
//! ```json
//! {"fields": [
//!   {"name": "at",     "type": "timestamp", "nullable": false},
//!   {"name": "fare",   "type": "decimal(10,2)"},
//!   {"name": "seen",   "type": "timestamp", "unit": "ms"},
//!   {"name": "detail", "type": "json"}
//! ]}
//! ```
//!
//! Types: `bool`, `int8`, `int16`, `int32`, `int64`, `float32`, `float64`, `utf8`, `timestamp`, `date`, `decimal(p,s)`, `binary`
//! (base64 in the records) and `json` (any value, kept as its text). A field is nullable unless it says otherwise.
//! A `timestamp` is read from RFC 3339 text with a zone, or, if it has a `unit` (`s`, `ms`, `us`, `ns`), from an integer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The columns of a sink, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowSchema {
    fields: Vec<RowField>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowField {
    /// Its name, which is the field's name in the records.
    pub name: String,
    /// What it holds.
    pub kind: FieldType,
    /// Whether it may be null or missing.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// `true` or `false`.
    Bool,
    /// An integer of 8 bits.
    Int8,
    /// An integer of 16 bits.
    Int16,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits.
    Int64,
    /// A number, rounded to the nearest that 32 bits hold.
    Float32,
    /// A number, rounded to the nearest that 64 bits hold.
    Float64,
    /// Text.
    Utf8,
    /// A moment, in microseconds since 1970 UTC; finer parts are cut off (towards the past).
    Timestamp {
        /// What an integer counts since 1970; without it, the records hold RFC 3339 text.
        unit: Option<TimeUnit>,
    },
    /// A day, as `2013-01-31`.
    Date,
    /// A number kept exactly, of up to 38 digits; one that does not fit is bad.
    Decimal {
        /// Digits, in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// Bytes, in the records as base64.
    Binary,
    /// Any value, kept as its JSON text.
    Json,
}

impl RowSchema {
    /// A schema of these columns; [`Error::Invalid`] when there is none, or two have one name.
    pub fn new(fields: Vec<RowField>) -> Result<RowSchema> {
        if fields.is_empty() {
            return Err(Error::invalid("a schema needs a field"));
        }
        let mut names = HashSet::new();
        for field in &fields {
            field.check()?;
            if !names.insert(field.name.as_str()) {
                return Err(Error::invalid("the schema has two fields of this name").in_column(&field.name));
            }
        }
        Ok(RowSchema { fields })
    }

    /// The columns.
    pub fn fields(&self) -> &[RowField] {
        &self.fields
    }

    /// Where a column stands.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// What a schema file says; the format is in the module's own words above.
    pub fn from_json(text: &str) -> Result<RowSchema> {
        let file: SchemaFile =
            serde_json::from_str(text).map_err(|e| Error::invalid(format!("not a schema: {e}")).with_source(e))?;
        let fields = file.fields.iter().map(|f| RowField::parse(&f.name, &f.kind, f.unit.as_deref(), f.nullable));
        RowSchema::new(fields.collect::<Result<_>>()?)
    }

    /// The schema file of these columns.
    pub fn to_json(&self) -> String {
        let fields = self.fields.iter().map(|field| FieldEntry {
            name: field.name.clone(),
            kind: field.kind.name(),
            unit: match field.kind {
                FieldType::Timestamp { unit: Some(unit) } => Some(unit_name(unit).to_owned()),
                _ => None,
            },
            nullable: field.nullable,
        });
        // It has names and numbers only.
        serde_json::to_string_pretty(&SchemaFile { fields: fields.collect() }).unwrap_or_default()
    }

    /// The Arrow schema of these columns.
    pub fn to_arrow(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields.iter().map(RowField::to_arrow).collect::<Vec<_>>()))
    }

    /// The columns of a table, without those of its partitions; [`Error::Unsupported`] names one that records cannot be
    /// read into.
    pub fn from_arrow(schema: &Schema, partition_columns: &[String]) -> Result<RowSchema> {
        let fields = schema.fields().iter().filter(|field| !partition_columns.contains(field.name())).map(|field| {
            let unit = field.metadata().get(UNIT).and_then(|unit| parse_unit(unit));
            let is_json = field.metadata().get(EXTENSION_NAME).is_some_and(|name| name == EXTENSION_JSON);
            let kind = match field.data_type() {
                DataType::Boolean => FieldType::Bool,
                DataType::Int8 => FieldType::Int8,
                DataType::Int16 => FieldType::Int16,
                DataType::Int32 => FieldType::Int32,
                DataType::Int64 => FieldType::Int64,
                DataType::Float32 => FieldType::Float32,
                DataType::Float64 => FieldType::Float64,
                DataType::Utf8 if is_json => FieldType::Json,
                DataType::Utf8 => FieldType::Utf8,
                DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => FieldType::Timestamp { unit },
                DataType::Date32 => FieldType::Date,
                DataType::Decimal128(precision, scale) => FieldType::Decimal { precision: *precision, scale: *scale },
                DataType::Binary => FieldType::Binary,
                other => {
                    return Err(Error::unsupported(format!("records cannot be read into a column of type {other}"))
                        .in_column(field.name()));
                }
            };
            Ok(RowField { name: field.name().clone(), kind, nullable: field.is_nullable() })
        });
        RowSchema::new(fields.collect::<Result<_>>()?)
    }
}

impl RowField {
    /// Of what a schema file says of a column; [`Error::Invalid`] for a type that is not there.
    pub(crate) fn parse(name: &str, kind: &str, unit: Option<&str>, nullable: bool) -> Result<RowField> {
        let kind = FieldType::parse(kind, unit).map_err(|e| e.in_column(name))?;
        let field = RowField { name: name.to_owned(), kind, nullable };
        field.check().map(|()| field)
    }

    /// The Arrow field of the column.
    pub(crate) fn to_arrow(&self) -> Field {
        let mut metadata = HashMap::new();
        match self.kind {
            FieldType::Json => drop(metadata.insert(EXTENSION_NAME.into(), EXTENSION_JSON.into())),
            FieldType::Timestamp { unit: Some(unit) } => drop(metadata.insert(UNIT.into(), unit_name(unit).into())),
            _ => {}
        }
        Field::new(&self.name, self.kind.to_arrow(), self.nullable).with_metadata(metadata)
    }

    fn check(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::invalid("a field needs a name"));
        }
        if let FieldType::Decimal { precision, scale } = self.kind
            && (precision == 0 || precision > 38 || scale < 0 || scale.unsigned_abs() > precision)
        {
            return Err(Error::invalid("a decimal has 1 to 38 digits, and no more of them after the point")
                .in_column(&self.name));
        }
        Ok(())
    }
}

impl FieldType {
    /// Its name in a schema file.
    pub fn name(self) -> String {
        match self {
            FieldType::Bool => "bool".into(),
            FieldType::Int8 => "int8".into(),
            FieldType::Int16 => "int16".into(),
            FieldType::Int32 => "int32".into(),
            FieldType::Int64 => "int64".into(),
            FieldType::Float32 => "float32".into(),
            FieldType::Float64 => "float64".into(),
            FieldType::Utf8 => "utf8".into(),
            FieldType::Timestamp { .. } => "timestamp".into(),
            FieldType::Date => "date".into(),
            FieldType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            FieldType::Binary => "binary".into(),
            FieldType::Json => "json".into(),
        }
    }

    fn parse(name: &str, unit: Option<&str>) -> Result<FieldType> {
        if unit.is_some() && name != "timestamp" {
            return Err(Error::invalid("only a timestamp has a unit"));
        }
        Ok(match name {
            "bool" => FieldType::Bool,
            "int8" => FieldType::Int8,
            "int16" => FieldType::Int16,
            "int32" => FieldType::Int32,
            "int64" => FieldType::Int64,
            "float32" => FieldType::Float32,
            "float64" => FieldType::Float64,
            "utf8" => FieldType::Utf8,
            "timestamp" => FieldType::Timestamp {
                unit: match unit {
                    None => None,
                    Some(name) => Some(parse_unit(name).ok_or_else(|| {
                        Error::invalid(format!("no unit {name:?}; a timestamp's is s, ms, us or ns"))
                    })?),
                },
            },
            "date" => FieldType::Date,
            "binary" => FieldType::Binary,
            "json" => FieldType::Json,
            other => {
                let digits = other.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
                let digits = digits.and_then(|digits| digits.split_once(','));
                let parsed = digits.and_then(|(p, s)| Some((p.trim().parse().ok()?, s.trim().parse().ok()?)));
                let Some((precision, scale)) = parsed else {
                    return Err(Error::invalid(format!(
                        "no type {other:?}; there are bool, int8, int16, int32, int64, float32, float64, utf8, timestamp, \
                         date, decimal(p,s), binary and json"
                    )));
                };
                FieldType::Decimal { precision, scale }
            }
        })
    }

    fn to_arrow(self) -> DataType {
        match self {
            FieldType::Bool => DataType::Boolean,
            FieldType::Int8 => DataType::Int8,
            FieldType::Int16 => DataType::Int16,
            FieldType::Int32 => DataType::Int32,
            FieldType::Int64 => DataType::Int64,
            FieldType::Float32 => DataType::Float32,
            FieldType::Float64 => DataType::Float64,
            FieldType::Utf8 | FieldType::Json => DataType::Utf8,
            FieldType::Timestamp { .. } => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            FieldType::Date => DataType::Date32,
            FieldType::Decimal { precision, scale } => DataType::Decimal128(precision, scale),
            FieldType::Binary => DataType::Binary,
        }
    }
}

/// `s`, `ms`, `us` or `ns`.
pub fn parse_unit(name: &str) -> Option<TimeUnit> {
    match name {
        "s" => Some(TimeUnit::Second),
        "ms" => Some(TimeUnit::Millisecond),
        "us" => Some(TimeUnit::Microsecond),
        "ns" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

pub(super) fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SchemaFile {
    fields: Vec<FieldEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldEntry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(default = "nullable_unless_said")]
    nullable: bool,
}

fn nullable_unless_said() -> bool {
    true
}

const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_JSON: &str = "arrow.json";
/// What a timestamp's integers count: kept in the column's metadata.
const UNIT: &str = "hypostyle.unit";

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"{"fields":[
        {"name":"a","type":"bool"},{"name":"b","type":"int8"},{"name":"c","type":"int16"},{"name":"d","type":"int32"},
        {"name":"e","type":"int64","nullable":false},{"name":"f","type":"float32"},{"name":"g","type":"float64"},
        {"name":"h","type":"utf8"},{"name":"i","type":"timestamp"},{"name":"j","type":"timestamp","unit":"ms"},
        {"name":"k","type":"date"},{"name":"l","type":"decimal(10,2)"},{"name":"m","type":"binary"},{"name":"n","type":"json"}]}"#;

    #[test]
    fn a_file_its_arrow_schema_and_back_are_the_same() {
        let schema = RowSchema::from_json(ALL).unwrap();
        assert_eq!(schema.fields().len(), 14);
        assert_eq!(RowSchema::from_json(&schema.to_json()).unwrap(), schema);
        assert_eq!(RowSchema::from_arrow(&schema.to_arrow(), &[]).unwrap(), schema);
        assert!(!schema.fields()[4].nullable && schema.fields()[5].nullable);
        assert_eq!(schema.fields()[9].kind, FieldType::Timestamp { unit: Some(TimeUnit::Millisecond) });
        assert_eq!(schema.fields()[11].kind, FieldType::Decimal { precision: 10, scale: 2 });
    }

    #[test]
    fn what_is_no_schema_is_refused_with_the_column() {
        for (text, says) in [
            ("{}", "missing field"),
            (r#"{"fields":[]}"#, "needs a field"),
            (r#"{"fields":[{"name":"a","type":"bool"},{"name":"a","type":"bool"}]}"#, "column a"),
            (r#"{"fields":[{"name":"a","type":"int"}]}"#, "column a: no type \"int\""),
            (r#"{"fields":[{"name":"a","type":"decimal(39,2)"}]}"#, "1 to 38 digits"),
            (r#"{"fields":[{"name":"a","type":"decimal(2,3)"}]}"#, "1 to 38 digits"),
            (r#"{"fields":[{"name":"a","type":"int8","unit":"s"}]}"#, "only a timestamp"),
            (r#"{"fields":[{"name":"a","type":"timestamp","unit":"h"}]}"#, "no unit"),
            (r#"{"fields":[{"name":"a","type":"bool","null":true}]}"#, "unknown field"),
        ] {
            let e = RowSchema::from_json(text).unwrap_err();
            assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains(says), "{text}: {e}");
        }
    }

    #[test]
    fn the_partition_column_is_no_field_and_other_types_are_named() {
        let arrow = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("w", DataType::UInt8, true)]);
        assert_eq!(RowSchema::from_arrow(&arrow, &["w".into()]).unwrap().fields().len(), 1);
        let e = RowSchema::from_arrow(&arrow, &[]).unwrap_err();
        assert_eq!(e.place().column.as_deref(), Some("w"));
    }
}
