//! Delta's schema (`schemaString`) ⇄ Arrow's.
//!
//! Spec: PROTOCOL.md, "Schema Serialization Format".
//!
//! ```text
//! Delta                       Arrow                       written from, too
//! ------------------------------------------------------------------------------
//! boolean                     Boolean
//! byte short integer long     Int8 Int16 Int32 Int64
//! float double                Float32 Float64
//! decimal(p,s)                Decimal128(p, s)
//! string                      Utf8                        LargeUtf8, Utf8View
//! binary                      Binary                      LargeBinary, BinaryView
//! date                        Date32
//! timestamp                   Timestamp(us, "UTC")        other names of UTC
//! timestamp_ntz               Timestamp(us)
//! struct array map            Struct List Map
//! void                        Null                        (read only)
//! ```
//!
//! Whatever else Arrow has is refused by name: nothing is changed in silence.
//!
//! A field's metadata is kept, as strings. Arrow's extension types (a string that is JSON, say) are kept under keys of our own:
//! readers take `ARROW:extension:name` of a Delta schema for a type that the data files must then have, and some refuse
//! the table when they find it in one place and not the other. For the same reason data files go without them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// The zone of a `timestamp` column in Arrow.
pub(super) const UTC: &str = "UTC";

const ARROW_EXTENSION: &str = "ARROW:extension:";
const OWN_EXTENSION: &str = "hypostyle.extension.";

/// The field without what makes it an extension type, as data files have it.
pub(super) fn plain(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.retain(|key, _| !key.starts_with(ARROW_EXTENSION));
    field.clone().with_metadata(metadata)
}

/// Delta's schema as Arrow's.
pub(super) fn to_arrow(schema_string: &str) -> Result<SchemaRef> {
    // The parser bounds the depth, so that the recursion below is bounded too.
    let json: Value = serde_json::from_str(schema_string).map_err(|e| broken(e.to_string()))?;
    let DataType::Struct(fields) = data_type(&json, "")? else {
        return Err(broken("the top is no struct"));
    };
    check_names(&fields)?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Arrow's schema as Delta's: [`Error::Invalid`] with the column's name for a type that Delta lacks.
pub(super) fn to_delta(schema: &Schema) -> Result<String> {
    check_names(schema.fields()).map_err(|e| Error::invalid(e.message()))?;
    Ok(json!({"type": "struct", "fields": fields_json(schema.fields(), "")?}).to_string())
}

/// Names are unique regardless of case, as the protocol demands.
fn check_names(fields: &Fields) -> Result<()> {
    let mut seen = HashSet::new();
    for field in fields {
        if field.name().is_empty() {
            return Err(broken("a column has no name"));
        }
        if !seen.insert(field.name().to_lowercase()) {
            let message = "another column has this name (Delta ignores case); rename one";
            return Err(Error::corrupt(message).in_column(field.name().clone()));
        }
    }
    Ok(())
}

fn data_type(json: &Value, path: &str) -> Result<DataType> {
    let broken = |message: &str| broken(message).in_column(path);
    match json {
        Value::String(name) => primitive(name).ok_or_else(|| {
            Error::unsupported(format!("the Delta type {name} is not one this version reads")).in_column(path)
        }),
        Value::Object(object) => match object.get("type").and_then(Value::as_str) {
            Some("struct") => {
                let fields =
                    object.get("fields").and_then(Value::as_array).ok_or_else(|| broken("a struct without fields"))?;
                Ok(DataType::Struct(fields.iter().map(|f| field(f, path)).collect::<Result<_>>()?))
            }
            Some("array") => {
                let nullable = flag(object, "containsNull");
                let element = data_type(member(object, "elementType", path)?, &join(path, "element"))?;
                Ok(DataType::List(Arc::new(Field::new("element", element, nullable))))
            }
            Some("map") => {
                let key = data_type(member(object, "keyType", path)?, &join(path, "key"))?;
                let value = data_type(member(object, "valueType", path)?, &join(path, "value"))?;
                let value = Field::new("value", value, flag(object, "valueContainsNull"));
                let entries = DataType::Struct(vec![Field::new("key", key, false), value].into());
                Ok(DataType::Map(Arc::new(Field::new("key_value", entries, false)), false))
            }
            _ => Err(broken("a type that is neither struct, array nor map")),
        },
        _ => Err(broken("a type that is neither a name nor an object")),
    }
}

fn field(json: &Value, path: &str) -> Result<Field> {
    let object = json.as_object().ok_or_else(|| broken("a field that is no object").in_column(path))?;
    let name =
        object.get("name").and_then(Value::as_str).ok_or_else(|| broken("a field without name").in_column(path))?;
    let path = join(path, name);
    let data_type = data_type(member(object, "type", &path)?, &path)?;
    let mut metadata = HashMap::new();
    for (key, value) in object.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        let key = match key.strip_prefix(OWN_EXTENSION) {
            Some(rest) => format!("{ARROW_EXTENSION}{rest}"),
            None => key.clone(),
        };
        metadata.insert(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    Ok(Field::new(name, data_type, flag(object, "nullable")).with_metadata(metadata))
}

fn member<'a>(object: &'a Map<String, Value>, name: &str, path: &str) -> Result<&'a Value> {
    object.get(name).ok_or_else(|| broken(format!("{name} is missing")).in_column(path))
}

/// A flag of a schema; one that is missing lets nulls be.
fn flag(object: &Map<String, Value>, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool).unwrap_or(true)
}

fn primitive(name: &str) -> Option<DataType> {
    Some(match name {
        "boolean" => DataType::Boolean,
        "byte" => DataType::Int8,
        "short" => DataType::Int16,
        "integer" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "void" => DataType::Null,
        "decimal" => DataType::Decimal128(10, 0),
        _ => {
            let (precision, scale) = name.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
            let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
            return is_decimal(precision, scale).then_some(DataType::Decimal128(precision, scale));
        }
    })
}

fn is_decimal(precision: u8, scale: i8) -> bool {
    (1..=38).contains(&precision) && u8::try_from(scale).is_ok_and(|scale| scale <= precision)
}

fn fields_json(fields: &Fields, path: &str) -> Result<Vec<Value>> {
    let json = |field: &Arc<Field>| {
        let own = |key: &String| match key.strip_prefix(ARROW_EXTENSION) {
            Some(rest) => format!("{OWN_EXTENSION}{rest}"),
            None => key.clone(),
        };
        let metadata: Map<String, Value> =
            field.metadata().iter().map(|(key, value)| (own(key), Value::from(value.as_str()))).collect();
        Ok(json!({
            "name": field.name(),
            "type": type_json(field.data_type(), &join(path, field.name()))?,
            "nullable": field.is_nullable(),
            "metadata": metadata,
        }))
    };
    fields.iter().map(json).collect()
}

fn type_json(data_type: &DataType, path: &str) -> Result<Value> {
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "byte",
        DataType::Int16 => "short",
        DataType::Int32 => "integer",
        DataType::Int64 => "long",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::Date32 => "date",
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "timestamp",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp_ntz",
        DataType::Decimal128(precision, scale) if is_decimal(*precision, *scale) => {
            return Ok(Value::from(format!("decimal({precision},{scale})")));
        }
        DataType::Struct(fields) => return Ok(json!({"type": "struct", "fields": fields_json(fields, path)?})),
        DataType::List(item) | DataType::LargeList(item) => {
            let element = type_json(item.data_type(), &join(path, "element"))?;
            return Ok(json!({"type": "array", "elementType": element, "containsNull": item.is_nullable()}));
        }
        DataType::Map(entries, _) => {
            if let DataType::Struct(entries) = entries.data_type()
                && let [key, value] = entries.as_ref()
            {
                let key = type_json(key.data_type(), &join(path, "key"))?;
                let contains_null = value.is_nullable();
                let value = type_json(value.data_type(), &join(path, "value"))?;
                return Ok(
                    json!({"type": "map", "keyType": key, "valueType": value, "valueContainsNull": contains_null}),
                );
            }
            return Err(lacking(data_type, "give the map a key and a value", path));
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            return Err(lacking(data_type, "cast it to the next wider signed integer", path));
        }
        DataType::UInt64 => return Err(lacking(data_type, "cast it to decimal(20,0), or to int64 if it fits", path)),
        DataType::Float16 => return Err(lacking(data_type, "cast it to float32", path)),
        DataType::Timestamp(..) => {
            return Err(lacking(data_type, "cast it to timestamp(us, UTC), or to timestamp(us) without a zone", path));
        }
        DataType::Date64 => return Err(lacking(data_type, "cast it to date32", path)),
        DataType::Dictionary(_, value) => {
            return Err(lacking(data_type, &format!("cast it to its values' type, {value}"), path));
        }
        _ => return Err(lacking(data_type, "cast it to a type that Delta has, or leave the column out", path)),
    };
    Ok(Value::from(name))
}

/// Whether a zone is a name of UTC.
pub(super) fn is_utc(zone: &str) -> bool {
    ["UTC", "Z", "+00:00", "-00:00", "+0000", "Etc/UTC", "GMT"].contains(&zone)
}

fn lacking(data_type: &DataType, advice: &str, path: &str) -> Error {
    Error::invalid(format!("Delta tables have no type {data_type}; {advice}")).in_column(path)
}

fn broken(message: impl Into<String>) -> Error {
    Error::corrupt(format!("the table's schema: {}", message.into()))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_round_trips() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
        let map = DataType::Struct(
            vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Int64, true)].into(),
        );
        let types = vec![
            DataType::Boolean,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Decimal128(38, 38),
            DataType::Utf8,
            DataType::Binary,
            DataType::Date32,
            utc,
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Struct(vec![Field::new("x", DataType::Int8, false)].into()),
            DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
            DataType::Map(Arc::new(Field::new("key_value", map, false)), false),
        ];
        let field = |(at, data_type): (usize, DataType)| {
            Field::new(format!("c{at}"), data_type, at % 2 == 0)
                .with_metadata([("ARROW:extension:name".to_owned(), format!("\"{at}"))].into())
        };
        let schema = Schema::new(types.into_iter().enumerate().map(field).collect::<Vec<_>>());
        let delta = to_delta(&schema).unwrap();
        assert_eq!(*to_arrow(&delta).unwrap(), schema);
        assert!(delta.contains("hypostyle.extension.name") && !delta.contains("ARROW:"), "{delta}");
        assert!(schema.fields().iter().all(|field| plain(field).metadata().is_empty()));
    }

    #[test]
    fn what_delta_lacks_is_refused_with_column_and_advice() {
        for (data_type, wanted) in [
            (DataType::UInt32, "column c: Delta tables have no type UInt32; cast it to the next wider"),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), "cast it to timestamp(us"),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into())), "cast it to timestamp(us"),
            (DataType::Duration(TimeUnit::Second), "leave the column out"),
            (DataType::Decimal128(5, -1), "Decimal128(5, -1)"),
        ] {
            let e = to_delta(&Schema::new(vec![Field::new("c", data_type, true)])).unwrap_err();
            assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains(wanted), "{e}");
        }
        let twice = Schema::new(vec![Field::new("a", DataType::Int8, true), Field::new("A", DataType::Int8, true)]);
        assert!(matches!(to_delta(&twice), Err(Error::Invalid(_))));
    }

    #[test]
    fn broken_schemas_are_refused() {
        let of =
            |fields: &str| to_arrow(&format!("{{\"type\":\"struct\",\"fields\":[{fields}]}}")).unwrap_err().to_string();
        assert!(
            of(r#"{"name":"v","type":"variant","nullable":true,"metadata":{}}"#)
                .contains("column v: the Delta type variant")
        );
        assert!(of(r#"{"name":"v","type":"decimal(39,0)","nullable":true}"#).contains("decimal(39,0)"));
        assert!(of(r#"{"type":"long"}"#).contains("a field without name"));
        assert!(
            of(r#"{"name":"a","type":{"type":"array"}}"#)
                .contains("column a: the table's schema: elementType is missing")
        );
        assert!(to_arrow("\"long\"").unwrap_err().to_string().contains("the top is no struct"));
        assert!(to_arrow("{").is_err());
        let deep = "{\"type\":\"array\",\"containsNull\":true,\"elementType\":".repeat(200);
        assert!(to_arrow(&deep).is_err());
    }
}
