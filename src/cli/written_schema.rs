//! The columns that a lost file had, as `recover --schema` takes them: those of `ingest --schema`, and nested ones.
//!
//! ```json
//! {"fields": [
//!   {"name": "at",    "type": "timestamp", "nullable": false},
//!   {"name": "tags",  "type": "list", "element": {"type": "utf8"}},
//!   {"name": "place", "type": "struct", "fields": [{"name": "x", "type": "float64"}]},
//!   {"name": "sums",  "type": "map", "key": {"type": "utf8"}, "value": {"type": "int64"}}
//! ]}
//! ```
//!
//! Fields, elements and values are nullable unless they say otherwise; keys never are.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema};
use serde::Deserialize;

use super::ingest::read_schema_text;
use crate::error::{Error, Result};
use crate::ingest::RowField;

/// What a schema file says.
pub(super) fn read(path: &str) -> Result<Schema> {
    of_text(&read_schema_text(path)?).map_err(|e| e.in_file(path))
}

fn of_text(text: &str) -> Result<Schema> {
    // The parser bounds the depth, so that the recursion below is bounded too.
    let file: File =
        serde_json::from_str(text).map_err(|e| Error::invalid(format!("not a schema: {e}")).with_source(e))?;
    Ok(Schema::new(fields(&file.fields, "")?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fields: Vec<Typed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    /// Of a field; elements, keys and values have none.
    name: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    unit: Option<String>,
    nullable: Option<bool>,
    fields: Option<Vec<Typed>>,
    element: Option<Box<Typed>>,
    key: Option<Box<Typed>>,
    value: Option<Box<Typed>>,
}

/// The fields of a schema or struct, the path of which is `above`.
fn fields(named: &[Typed], above: &str) -> Result<Fields> {
    if named.is_empty() {
        return Err(at(Error::invalid("a schema or struct needs a field"), above));
    }
    let mut names = HashSet::new();
    let mut fields = Vec::with_capacity(named.len());
    for of in named {
        let name = of.name.as_ref().ok_or_else(|| at(Error::invalid("a field needs a name"), above))?;
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if !names.insert(name.as_str()) {
            return Err(at(Error::invalid("the schema has two fields of this name"), &path));
        }
        fields.push(field(name, of, &path)?);
    }
    Ok(fields.into())
}

fn field(name: &str, of: &Typed, path: &str) -> Result<Field> {
    let parts = [of.fields.is_some(), of.element.is_some(), of.key.is_some(), of.value.is_some()];
    let has = |wanted: [bool; 4], what: &str| {
        let is_right = parts == wanted && (wanted == [false; 4] || of.unit.is_none());
        is_right.then_some(()).ok_or_else(|| at(Error::invalid(format!("a {} has {what}", of.kind)), path))
    };
    let nullable = of.nullable.unwrap_or(true);
    let below = |name: &str| format!("{path}.{name}");
    let data_type = match (of.kind.as_str(), &of.fields, &of.element, of.key.as_deref().zip(of.value.as_deref())) {
        ("struct", Some(named), ..) => {
            has([true, false, false, false], "fields and no more")?;
            DataType::Struct(fields(named, path)?)
        }
        ("list", _, Some(element), _) => {
            has([false, true, false, false], "an element and no more")?;
            DataType::List(Arc::new(field("element", element, &below("element"))?))
        }
        ("map", _, _, Some((key, value))) => {
            has([false, false, true, true], "a key, a value and no more")?;
            if key.nullable == Some(true) {
                return Err(at(Error::invalid("keys are never null"), path));
            }
            let key = field("key", key, &below("key"))?.with_nullable(false);
            let entries = vec![key, field("value", value, &below("value"))?];
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries.into()), false)), false)
        }
        ("struct", ..) => return Err(at(Error::invalid("a struct has fields"), path)),
        ("list", ..) => return Err(at(Error::invalid("a list has an element"), path)),
        ("map", ..) => return Err(at(Error::invalid("a map has a key and a value"), path)),
        (kind, ..) => {
            has([false; 4], "no others inside of it")?;
            let leaf = RowField::parse(name, kind, of.unit.as_deref(), nullable);
            return leaf.map(|leaf| leaf.to_arrow()).map_err(|e| at(Error::invalid(e.message()), path));
        }
    };
    if name.is_empty() {
        return Err(at(Error::invalid("a field needs a name"), path));
    }
    Ok(Field::new(name, data_type, nullable))
}

fn at(e: Error, path: &str) -> Error {
    if path.is_empty() { e } else { e.in_column(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_columns_have_the_types_that_they_say() {
        let text = r#"{"fields":[
            {"name":"at","type":"timestamp","nullable":false},
            {"name":"tags","type":"list","element":{"type":"list","element":{"type":"utf8","nullable":false}}},
            {"name":"place","type":"struct","nullable":false,"fields":[{"name":"x","type":"decimal(5,2)"}]},
            {"name":"sums","type":"map","key":{"type":"utf8"},"value":{"type":"json"}}]}"#;
        let schema = of_text(text).expect("a schema");
        let shown: Vec<String> =
            schema.fields().iter().map(|f| format!("{} {}", f.data_type(), f.is_nullable())).collect();
        assert_eq!(
            shown,
            [
                "Timestamp(µs, \"UTC\") false",
                "List(List(non-null Utf8, field: 'element'), field: 'element') true",
                "Struct(\"x\": Decimal128(5, 2)) false",
                "Map(\"key_value\": non-null Struct(\"key\": non-null Utf8, \"value\": Utf8, metadata: {\"ARROW:extension:name\": \"arrow.json\"}), unsorted) true",
            ]
        );
    }

    #[test]
    fn what_is_no_schema_is_refused_with_the_path() {
        for (field, says) in [
            (r#"{"name":"a","type":"list"}"#, "column a: a list has an element"),
            (r#"{"name":"a","type":"list","element":{"type":"int"}}"#, "column a.element: no type \"int\""),
            (r#"{"name":"a","type":"list","element":{"type":"bool"},"key":{"type":"bool"}}"#, "an element and no more"),
            (r#"{"name":"a","type":"bool","element":{"type":"bool"}}"#, "column a: a bool has no others inside of it"),
            (r#"{"name":"a","type":"struct","fields":[]}"#, "column a: a schema or struct needs a field"),
            (
                r#"{"name":"a","type":"struct","fields":[{"name":"b","type":"bool"},{"name":"b","type":"bool"}]}"#,
                "column a.b: the schema has two fields of this name",
            ),
            (r#"{"name":"a","type":"map","key":{"type":"utf8"}}"#, "column a: a map has a key and a value"),
            (
                r#"{"name":"a","type":"map","key":{"type":"utf8","nullable":true},"value":{"type":"utf8"}}"#,
                "keys are never null",
            ),
            (r#"{"name":"a","type":"list","element":{"type":"decimal(39,0)"}}"#, "column a.element: a decimal has"),
            (r#"{"name":"a","type":"bool","null":true}"#, "unknown field"),
            (r#"{"name":"","type":"list","element":{"type":"bool"}}"#, "needs a name"),
        ] {
            let e = of_text(&format!("{{\"fields\":[{field}]}}")).unwrap_err();
            assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains(says), "{field}: {e}");
        }
        let deep = format!("{{\"fields\":[{{\"name\":\"a\",{}", "\"type\":\"list\",\"element\":{".repeat(200));
        assert!(of_text(&deep).is_err());
    }
}
