//! Lists and maps in every shape that LogicalTypes.md knows.

use std::sync::Arc;

use super::*;
use crate::parquet::format::{ConvertedType, Empty, FileMetaData, Repetition};
use arrow_schema::{DataType, Field};

/// One line of a schema: depth, repetition, name, type (`group` or a leaf's), children, annotation.
fn schema(lines: &[(&str, &str, &str, i32)]) -> FileMetaData {
    let mut elements = vec![element("required", "schema", "group", lines.first().map_or(0, |_| 1))];
    elements.extend(lines.iter().map(|&(repetition, name, kind, children)| element(repetition, name, kind, children)));
    if let Some(root) = elements.first_mut() {
        root.repetition = None;
    }
    FileMetaData {
        version: 1,
        schema: elements,
        num_rows: 0,
        row_groups: vec![],
        key_value_metadata: None,
        created_by: None,
        column_orders: None,
        encryption_algorithm: None,
        footer_signing_key_metadata: None,
    }
}

fn element(repetition: &str, name: &str, kind: &str, children: i32) -> SchemaElement {
    let repetition = match repetition {
        "required" => Repetition::Required,
        "optional" => Repetition::Optional,
        _ => Repetition::Repeated,
    };
    let (type_, logical_type, converted_type) = match kind {
        "int32" => (Some(Type::Int32), None, None),
        "string" => (Some(Type::ByteArray), Some(LogicalType::String(Empty {})), Some(ConvertedType::Utf8)),
        "LIST" => (None, Some(LogicalType::List(Empty {})), Some(ConvertedType::List)),
        // As files of old have it: the converted type alone.
        "list" => (None, None, Some(ConvertedType::List)),
        "MAP" => (None, Some(LogicalType::Map(Empty {})), Some(ConvertedType::Map)),
        "MAP_KEY_VALUE" => (None, None, Some(ConvertedType::MapKeyValue)),
        _ => (None, None, None),
    };
    SchemaElement {
        type_,
        type_length: None,
        repetition: Some(repetition),
        name: name.into(),
        num_children: type_.is_none().then_some(children),
        converted_type,
        scale: None,
        precision: None,
        field_id: None,
        logical_type,
        vector_length: None,
    }
}

fn read(lines: &[(&str, &str, &str, i32)]) -> (ParquetSchema, Field) {
    let read = from_parquet(&schema(lines)).expect("read");
    let field = read.arrow.field(0).clone();
    (read, field)
}

fn list(element: DataType, nullable: bool) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, nullable)))
}

fn tuple(fields: &[(&str, DataType, bool)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, t, nullable)| Field::new(*name, t.clone(), *nullable)).collect())
}

#[test]
fn lists_by_every_rule() {
    use DataType::{Int32, Utf8};
    type Case<'a> = (&'a [(&'a str, &'a str, &'a str, i32)], DataType, bool);
    let cases: Vec<Case<'_>> = vec![
        // Three levels, with and without nulls.
        (
            &[
                ("required", "my_list", "LIST", 1),
                ("repeated", "list", "group", 1),
                ("optional", "element", "string", 0),
            ],
            list(Utf8, true),
            false,
        ),
        (
            &[
                ("optional", "my_list", "LIST", 1),
                ("repeated", "element", "group", 1),
                ("required", "str", "string", 0),
            ],
            list(Utf8, false),
            true,
        ),
        // No annotation: a required list of required elements.
        (&[("repeated", "num", "int32", 0)], list(Int32, false), false),
        (
            &[("repeated", "my_list", "group", 2), ("required", "num", "int32", 0), ("optional", "str", "string", 0)],
            list(tuple(&[("num", Int32, false), ("str", Utf8, true)]), false),
            false,
        ),
        // Rule 1.
        (&[("optional", "my_list", "list", 1), ("repeated", "element", "int32", 0)], list(Int32, false), true),
        // Rule 2.
        (
            &[
                ("optional", "my_list", "LIST", 1),
                ("repeated", "element", "group", 2),
                ("required", "str", "string", 0),
                ("required", "num", "int32", 0),
            ],
            list(tuple(&[("str", Utf8, false), ("num", Int32, false)]), false),
            true,
        ),
        // Rule 3.
        (
            &[("optional", "my_list", "LIST", 1), ("repeated", "array", "LIST", 1), ("repeated", "array", "int32", 0)],
            list(list(Int32, false), false),
            true,
        ),
        // Rule 4, both names.
        (
            &[("optional", "my_list", "LIST", 1), ("repeated", "array", "group", 1), ("required", "str", "string", 0)],
            list(tuple(&[("str", Utf8, false)]), false),
            true,
        ),
        (
            &[
                ("optional", "my_list", "LIST", 1),
                ("repeated", "my_list_tuple", "group", 1),
                ("required", "str", "string", 0),
            ],
            list(tuple(&[("str", Utf8, false)]), false),
            true,
        ),
        // Rule 5.
        (
            &[
                ("optional", "my_list", "LIST", 1),
                ("repeated", "element", "group", 1),
                ("optional", "str", "string", 0),
            ],
            list(Utf8, true),
            true,
        ),
        // An annotation that does not fit its group: a struct.
        (
            &[("optional", "my_list", "LIST", 1), ("optional", "list", "int32", 0)],
            tuple(&[("list", Int32, true)]),
            true,
        ),
    ];
    for (lines, data_type, nullable) in cases {
        let (read, field) = read(lines);
        assert_eq!((field.data_type(), field.is_nullable()), (&data_type, nullable), "{lines:?}");
        assert_eq!(read.nodes[0].field.as_ref(), &field);
    }
}

#[test]
fn maps_by_every_rule() {
    let map = |key: &str, value: &str, nullable| {
        let entries = tuple(&[(key, DataType::Utf8, false), (value, DataType::Int32, nullable)]);
        DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
    };
    let (_, field) = read(&[
        ("required", "my_map", "MAP", 1),
        ("repeated", "key_value", "group", 2),
        ("required", "key", "string", 0),
        ("optional", "value", "int32", 0),
    ]);
    assert_eq!((field.data_type(), field.is_nullable()), (&map("key", "value", true), false));
    // Other names; the old annotation; a key that may be null by its schema.
    for annotation in ["MAP", "MAP_KEY_VALUE"] {
        let (read, field) = read(&[
            ("optional", "my_map", annotation, 1),
            ("repeated", "map", "group", 2),
            ("optional", "str", "string", 0),
            ("required", "num", "int32", 0),
        ]);
        assert_eq!((field.data_type(), field.is_nullable()), (&map("str", "num", false), true));
        let levels: Vec<_> = read.leaves.iter().map(|l| (l.def_max, l.rep_max, l.slot)).collect();
        assert_eq!(levels, [(3, 1, 2), (2, 1, 2)]);
    }
    // Keys alone.
    let (_, field) = read(&[
        ("optional", "my_map", "MAP", 1),
        ("repeated", "key_value", "group", 1),
        ("required", "key", "string", 0),
    ]);
    assert_eq!(field.data_type(), &list(DataType::Utf8, false));
}
