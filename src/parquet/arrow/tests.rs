//! Both directions of the schema, against each other and against hostile elements.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_buffer::i256;
use arrow_schema::{DataType as D, Field, Schema, TimeUnit as U};

use super::*;
use crate::parquet::format::schema::{DecimalType, IntType};
use crate::parquet::format::{ConvertedType, Empty, FileMetaData, KeyValue, Repetition};

/// Every type that can be written, with each parameter that matters.
fn every_type() -> Vec<Field> {
    let mut types = vec![
        D::Null,
        D::Boolean,
        D::Int8,
        D::Int16,
        D::Int32,
        D::Int64,
        D::UInt8,
        D::UInt16,
        D::UInt32,
        D::UInt64,
        D::Float16,
        D::Float32,
        D::Float64,
        D::Utf8,
        D::LargeUtf8,
        D::Utf8View,
        D::Binary,
        D::LargeBinary,
        D::BinaryView,
        D::FixedSizeBinary(1),
        D::FixedSizeBinary(16),
        D::Date32,
        D::Date64,
        D::Time32(U::Second),
        D::Time32(U::Millisecond),
        D::Time64(U::Microsecond),
        D::Time64(U::Nanosecond),
        D::Decimal32(9, 2),
        D::Decimal64(9, 0),
        D::Decimal64(18, 18),
        D::Decimal128(5, 5),
        D::Decimal128(18, 3),
        D::Decimal128(38, 10),
        D::Decimal256(9, 1),
        D::Decimal256(38, 1),
        D::Decimal256(76, 70),
        D::Dictionary(D::Int8.into(), D::Utf8.into()),
        D::Dictionary(D::UInt32.into(), D::Int64.into()),
        D::Dictionary(D::Int32.into(), D::Timestamp(U::Second, Some("UTC".into())).into()),
    ];
    for unit in [U::Second, U::Millisecond, U::Microsecond, U::Nanosecond] {
        types.push(D::Duration(unit));
        types.push(D::Timestamp(unit, None));
        types.push(D::Timestamp(unit, Some("UTC".into())));
        types.push(D::Timestamp(unit, Some("Europe/Berlin".into())));
    }
    types.into_iter().enumerate().map(|(i, t)| Field::new(format!("c{i}"), t, i % 2 == 0)).collect()
}

fn file(elements: Vec<SchemaElement>, arrow: Option<&Schema>) -> FileMetaData {
    FileMetaData {
        version: 2,
        schema: elements,
        num_rows: 0,
        row_groups: vec![],
        key_value_metadata: arrow.map(|a| vec![arrow_schema_metadata(a)]),
        created_by: None,
        column_orders: None,
        encryption_algorithm: None,
        footer_signing_key_metadata: None,
    }
}

fn element(name: &str, type_: Option<Type>, children: Option<i32>) -> SchemaElement {
    SchemaElement {
        type_,
        type_length: None,
        repetition: Some(Repetition::Optional),
        name: name.into(),
        num_children: children,
        converted_type: None,
        scale: None,
        precision: None,
        field_id: None,
        logical_type: None,
        vector_length: None,
    }
}

fn of_one(leaf: SchemaElement) -> FileMetaData {
    file(vec![element("schema", None, Some(1)), leaf], None)
}

#[test]
fn every_schema_comes_back() {
    let mut fields = every_type();
    let metadata = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    fields.push(
        Field::new("uuid", D::FixedSizeBinary(16), true).with_metadata(metadata(&[(EXTENSION_NAME_KEY, "arrow.uuid")])),
    );
    fields.push(Field::new("json", D::LargeUtf8, true).with_metadata(metadata(&[
        (EXTENSION_NAME_KEY, "arrow.json"),
        (EXTENSION_METADATA_KEY, "{}"),
        ("mine", "kept"),
        (FIELD_ID_KEY, "7"),
    ])));
    fields.push(Field::new("ordered", D::Dictionary(D::Int16.into(), D::Utf8.into()), true).with_dict_is_ordered(true));
    let schema = Schema::new_with_metadata(fields, HashMap::from([("owner".to_string(), "ünïted".to_string())]));
    let written = to_parquet(&schema).expect("every type is written");
    let read = from_parquet(&file(written.elements.clone(), Some(&schema))).expect("every type is read");
    assert_eq!(*read.arrow, schema);
    assert_eq!(read.elements, written.elements);
    assert_eq!(read.elements.iter().find(|e| e.name == "json").and_then(|e| e.field_id), Some(7));
    assert_eq!(read.leaves.len(), schema.fields().len());
    for ((read, written), field) in read.leaves.iter().zip(&written.leaves).zip(schema.fields()) {
        assert_eq!(read.data_type, *field.data_type());
        assert_eq!(format!("{read:?}"), format!("{written:?}"));
        read.check().expect("it can be read");
    }
}

#[test]
fn without_the_arrow_schema_the_nearest_types_come_back() {
    let schema = Schema::new(every_type());
    let written = to_parquet(&schema).expect("written");
    let read = from_parquet(&file(written.elements, None)).expect("read");
    for (read, field) in read.arrow.fields().iter().zip(schema.fields()) {
        let mut nearest = match field.data_type() {
            D::Dictionary(_, value) => value.as_ref().clone(),
            other => other.clone(),
        };
        nearest = match nearest {
            D::LargeUtf8 | D::Utf8View => D::Utf8,
            D::LargeBinary | D::BinaryView => D::Binary,
            D::Date64 => D::Date32,
            D::Duration(_) => D::Int64,
            D::Time32(_) => D::Time32(U::Millisecond),
            D::Timestamp(unit, zone) => {
                let unit = if unit == U::Second { U::Millisecond } else { unit };
                D::Timestamp(unit, zone.map(|_| "UTC".into()))
            }
            D::Decimal32(p, s) | D::Decimal64(p, s) | D::Decimal128(p, s) => D::Decimal128(p, s),
            D::Decimal256(p, s) if p <= 38 => D::Decimal128(p, s),
            other => other,
        };
        assert_eq!((read.data_type(), read.is_nullable()), (&nearest, field.is_nullable()), "{field}");
    }
}

#[test]
fn converted_types_alone_are_understood() {
    let cases = [
        (Type::ByteArray, ConvertedType::Utf8, D::Utf8),
        (Type::ByteArray, ConvertedType::Enum, D::Utf8),
        (Type::ByteArray, ConvertedType::Json, D::Utf8),
        (Type::ByteArray, ConvertedType::Bson, D::Binary),
        (Type::Int32, ConvertedType::Uint8, D::UInt8),
        (Type::Int32, ConvertedType::Int16, D::Int16),
        (Type::Int64, ConvertedType::Uint64, D::UInt64),
        (Type::Int32, ConvertedType::Date, D::Date32),
        (Type::Int32, ConvertedType::TimeMillis, D::Time32(U::Millisecond)),
        (Type::Int64, ConvertedType::TimeMicros, D::Time64(U::Microsecond)),
        (Type::Int64, ConvertedType::TimestampMillis, D::Timestamp(U::Millisecond, Some("UTC".into()))),
        (Type::Int64, ConvertedType::TimestampMicros, D::Timestamp(U::Microsecond, Some("UTC".into()))),
        (Type::Int64, ConvertedType::Decimal, D::Decimal128(12, 3)),
        (Type::Int32, ConvertedType::Unknown(99), D::Int32),
    ];
    for (physical, converted, expected) in cases {
        let mut leaf = element("x", Some(physical), None);
        leaf.converted_type = Some(converted);
        (leaf.precision, leaf.scale) = (Some(12), Some(3));
        // A logical type of the future does not hide it.
        for logical in [None, Some(LogicalType::Unknown(99))] {
            leaf.logical_type = logical;
            let read = from_parquet(&of_one(leaf.clone())).expect("read");
            assert_eq!(read.arrow.field(0).data_type(), &expected, "{converted:?}");
        }
    }
}

#[test]
fn both_annotations_are_written() {
    let schema = Schema::new(vec![
        Field::new("s", D::Utf8, true),
        Field::new("t", D::Timestamp(U::Microsecond, None), true),
        Field::new("n", D::Timestamp(U::Nanosecond, None), true),
        Field::new("d", D::Decimal128(20, 4), false),
        Field::new("u", D::UInt16, false),
    ]);
    let written = to_parquet(&schema).expect("written").elements;
    let of = |i: usize| (written[i].converted_type, written[i].logical_type.clone());
    assert_eq!(of(1), (Some(ConvertedType::Utf8), Some(LogicalType::String(Empty {}))));
    assert_eq!(of(2).0, Some(ConvertedType::TimestampMicros));
    assert_eq!(of(3).0, None);
    assert_eq!(
        of(4),
        (Some(ConvertedType::Decimal), Some(LogicalType::Decimal(DecimalType { scale: 4, precision: 20 })))
    );
    assert_eq!((written[4].precision, written[4].scale, written[4].type_length), (Some(20), Some(4), Some(9)));
    assert_eq!(
        of(5),
        (Some(ConvertedType::Uint16), Some(LogicalType::Integer(IntType { bit_width: 16, is_signed: false })))
    );
    assert_eq!(
        (written[1].repetition, written[5].repetition),
        (Some(Repetition::Optional), Some(Repetition::Required))
    );
    assert_eq!((written[0].num_children, written[0].repetition), (Some(5), None));
}

#[test]
fn what_cannot_be_written_is_named() {
    for (data_type, kind) in [
        (D::Struct(arrow_schema::Fields::empty()), "unsupported"),
        (D::Union(arrow_schema::UnionFields::empty(), arrow_schema::UnionMode::Dense), "unsupported"),
        (D::Dictionary(D::Int8.into(), D::Struct(arrow_schema::Fields::empty()).into()), "unsupported"),
        (D::Decimal128(5, -2), "unsupported"),
        (D::FixedSizeBinary(0), "invalid"),
    ] {
        let e = to_parquet(&Schema::new(vec![Field::new("good", D::Int8, true), Field::new("bad", data_type, true)]))
            .expect_err("refused");
        assert_eq!((e.kind(), e.place().column.as_deref()), (kind, Some("bad")));
    }
}

#[test]
fn the_levels_of_leaves_in_groups() {
    let metadata = file(
        vec![
            element("schema", None, Some(3)),
            element("a", Some(Type::Int32), None),
            element("g", None, Some(2)),
            element("x", Some(Type::Int64), None),
            SchemaElement { repetition: Some(Repetition::Repeated), ..element("y", Some(Type::Double), None) },
            element("b", Some(Type::Int32), Some(0)),
        ],
        None,
    );
    let read = from_parquet(&metadata).expect("read");
    let names: Vec<_> = read.leaves.iter().map(|l| (l.name(), l.field, l.def_max, l.rep_max, l.element)).collect();
    assert_eq!(
        names,
        [("a".into(), 0, 1, 0, 1), ("g.x".into(), 1, 2, 0, 3), ("g.y".into(), 1, 2, 1, 4), ("b".into(), 2, 1, 0, 5)]
    );
    assert!(matches!(read.arrow.field(1).data_type(), D::Struct(f) if f.len() == 2));
}

#[test]
fn trees_that_are_none_are_corrupt() {
    let leaf = || element("x", Some(Type::Int32), None);
    let root = |n| element("schema", None, Some(n));
    let cases: Vec<Vec<SchemaElement>> = vec![
        vec![],
        vec![root(-1)],
        vec![root(2), leaf()],
        vec![root(i32::MAX), leaf()],
        vec![root(1), leaf(), leaf()],
        vec![element("schema", None, None), leaf()],
        vec![root(1), element("g", None, Some(-1))],
        vec![root(1), element("g", None, None)],
        vec![root(1), element("g", None, Some(i32::MAX)), leaf()],
        vec![root(1), element("g", Some(Type::Int32), Some(1)), leaf()],
        vec![root(1), SchemaElement { repetition: None, ..leaf() }],
    ];
    for (i, elements) in cases.into_iter().enumerate() {
        let e = from_parquet(&file(elements, None)).expect_err("corrupt");
        assert_eq!(e.kind(), "corrupt", "case {i}: {e}");
    }
    let mut deep = vec![root(1)];
    deep.extend((0..1_000_000).map(|_| element("g", None, Some(1))));
    let e = from_parquet(&file(deep, None)).expect_err("too deep");
    assert_eq!(e.kind(), "limit");
    // One long name above many leaves would stand in each of their paths.
    let mut wide = vec![root(1), element(&"n".repeat(1 << 20), None, Some(1000))];
    wide.extend((0..1000).map(|_| leaf()));
    assert_eq!(from_parquet(&file(wide, None)).expect_err("too much").kind(), "limit");
}

#[test]
fn annotations_that_contradict_their_type_are_corrupt() {
    let decimal = |scale, precision| LogicalType::Decimal(DecimalType { scale, precision });
    let integer = |bit_width, is_signed| LogicalType::Integer(IntType { bit_width, is_signed });
    for (physical, length, logical) in [
        (Type::Int32, 0, LogicalType::String(Empty {})),
        (Type::ByteArray, 0, LogicalType::Date(Empty {})),
        (Type::ByteArray, 0, LogicalType::List(Empty {})),
        (Type::Int32, 0, integer(64, true)),
        (Type::Int64, 0, integer(7, true)),
        (Type::Int32, 0, decimal(0, 10)),
        (Type::Int64, 0, decimal(0, 19)),
        (Type::Int64, 0, decimal(-1, 5)),
        (Type::Int64, 0, decimal(6, 5)),
        (Type::Int64, 0, decimal(0, 0)),
        (Type::Int64, 0, decimal(i32::MIN, i32::MIN)),
        (Type::FixedLenByteArray, 4, decimal(0, 10)),
        (Type::FixedLenByteArray, 0, decimal(0, 1)),
        (Type::FixedLenByteArray, -5, decimal(0, 1)),
        (Type::FixedLenByteArray, 15, LogicalType::Uuid(Empty {})),
        (Type::FixedLenByteArray, 4, LogicalType::Float16(Empty {})),
        (Type::Boolean, 0, decimal(0, 1)),
    ] {
        let mut leaf = element("x", Some(physical), None);
        leaf.type_length = Some(length);
        leaf.logical_type = Some(logical.clone());
        let e = from_parquet(&of_one(leaf)).expect_err("contradiction");
        assert_eq!((e.kind(), e.place().column.as_deref()), ("corrupt", Some("x")), "{physical:?} {logical:?}");
    }
    for (length, precision) in [(33, 5), (i32::MAX, 5)] {
        let mut leaf = element("x", Some(Type::FixedLenByteArray), None);
        leaf.type_length = Some(length);
        leaf.logical_type = Some(decimal(0, precision));
        let read = from_parquet(&of_one(leaf)).expect("valid");
        assert_eq!(read.leaves[0].check().expect_err("too wide for Arrow").kind(), "unsupported");
    }
}

#[test]
fn an_arrow_schema_that_disagrees_is_ignored_column_by_column() {
    let schema = Schema::new(vec![
        Field::new("a", D::Int64, true),
        Field::new("b", D::Utf8, true),
        Field::new("c", D::Timestamp(U::Millisecond, None), false),
        Field::new("d", D::Decimal128(30, 2), true),
        Field::new("e", D::FixedSizeBinary(4), true),
    ]);
    let elements = to_parquet(&schema).expect("written").elements;
    let lies = [
        vec![D::Utf8, D::Int32, D::Timestamp(U::Microsecond, None), D::Decimal64(10, 2), D::FixedSizeBinary(5)],
        vec![
            D::Float64,
            D::Decimal128(3, 1),
            D::Timestamp(U::Second, Some("UTC".into())),
            D::Decimal128(30, 3),
            D::Utf8,
        ],
        vec![
            D::Dictionary(D::Int8.into(), D::Utf8.into()),
            D::Dictionary(D::Int8.into(), D::Int8.into()),
            D::Date32,
            D::Decimal128(29, 2),
            D::List(Arc::new(Field::new("item", D::Int8, true))),
        ],
    ];
    for lie in lies {
        let fields: Vec<_> =
            schema.fields().iter().zip(lie).map(|(f, t)| Field::new(f.name(), t, !f.is_nullable())).collect();
        let read = from_parquet(&file(elements.clone(), Some(&Schema::new(fields)))).expect("read");
        assert_eq!(*read.arrow, schema);
    }
    // A true word about one column is heard beside a false one about another, and of the wrong name not at all.
    let half = Schema::new(vec![
        Field::new("a", D::Utf8, true),
        Field::new("b", D::Utf8View, true),
        Field::new("z", D::Timestamp(U::Second, None), false),
    ]);
    let read = from_parquet(&file(elements, Some(&half))).expect("read");
    assert_eq!(read.arrow.field(0).data_type(), &D::Int64);
    assert_eq!(read.arrow.field(1).data_type(), &D::Utf8View);
    assert_eq!(read.arrow.field(2).data_type(), &D::Timestamp(U::Millisecond, None));
}

#[test]
fn a_broken_arrow_schema_is_as_none() {
    let schema = Schema::new(every_type());
    let written = to_parquet(&schema).expect("written");
    let plain = from_parquet(&file(written.elements.clone(), None)).expect("read").arrow;
    let good = arrow_schema_metadata(&schema).value.expect("a value");
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD as BASE64;
    let bytes = BASE64.decode(&good).expect("base64");
    let mut texts = vec![String::new(), "!".into(), "AAAA".into(), "/////w==".into()];
    texts.extend((0..bytes.len()).step_by(7).map(|n| BASE64.encode(&bytes[..n])));
    for text in texts {
        let mut metadata = file(written.elements.clone(), None);
        metadata.key_value_metadata = Some(vec![KeyValue { key: ARROW_SCHEMA_KEY.into(), value: Some(text) }]);
        assert_eq!(from_parquet(&metadata).expect("read").arrow, plain);
    }
    // Flipped bytes may still mean something; they must neither panic nor change what is nullable.
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] ^= flip;
            let mut metadata = file(written.elements.clone(), None);
            let value = Some(BASE64.encode(&bytes));
            metadata.key_value_metadata = Some(vec![KeyValue { key: ARROW_SCHEMA_KEY.into(), value }]);
            let read = from_parquet(&metadata).expect("read").arrow;
            assert!(read.fields().iter().zip(plain.fields()).all(|(a, b)| a.is_nullable() == b.is_nullable()));
        }
    }
}

#[test]
fn decimal_bytes_are_the_fewest() {
    for precision in 1..=76u8 {
        let bytes = decimal_bytes(precision);
        let most = i256::from_i128(10).wrapping_pow(u32::from(precision)).wrapping_sub(i256::ONE);
        let fits = |n: usize| {
            // Up to 2^(8n - 1) - 1; 76 digits fit in the 32 bytes of the type itself.
            n == 32 || most < i256::ONE << (8 * n - 1) as u8
        };
        assert!(fits(bytes), "{precision} digits in {bytes} bytes");
        assert!(bytes == 1 || !fits(bytes - 1), "{precision} digits fit in less than {bytes} bytes");
    }
    assert_eq!((decimal_bytes(9), decimal_bytes(18), decimal_bytes(38), decimal_bytes(76)), (4, 8, 16, 32));
    assert_eq!((decimal_digits(4), decimal_digits(8), decimal_digits(16), decimal_digits(32)), (9, 18, 38, 76));
    assert_eq!(decimal_digits(0), 0);
}
