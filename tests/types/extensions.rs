//! What Arrow has as extensions: VARIANT, FILE, GEOMETRY, GEOGRAPHY, ENUM, BSON, UUID.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use hypostyle::parquet::format::{ConvertedType, GeospatialStatistics};
use hypostyle::parquet::read::ReaderOptions;
use hypostyle::parquet::write::WriterOptions;

use super::file::*;

fn extension(field: Field, name: &str, metadata: &str) -> Field {
    field.with_metadata(HashMap::from([
        ("ARROW:extension:name".to_string(), name.to_string()),
        ("ARROW:extension:metadata".to_string(), metadata.to_string()),
    ]))
}

/// A shredded Variant: what is in `typed_value` is not in `value`.
fn variant() -> (Field, ArrayRef) {
    let object = Fields::from(vec![
        Field::new("value", DataType::Binary, true),
        Field::new("typed_value", DataType::Int32, true),
    ]);
    let typed = Fields::from(vec![Field::new("a", DataType::Struct(object.clone()), false)]);
    let fields = Fields::from(vec![
        Field::new("metadata", DataType::Binary, false),
        Field::new("value", DataType::Binary, true),
        Field::new("typed_value", DataType::Struct(typed.clone()), true),
    ]);
    let inner = StructArray::new(
        object,
        vec![bytes_of(&[None, Some(&[12, 7]), None]), Arc::new(Int32Array::from(vec![Some(1), None, None]))],
        None,
    );
    let typed = StructArray::new(typed, vec![Arc::new(inner)], Some(NullBuffer::from(vec![true, true, false])));
    let metadata = bytes_of(&[Some(&[1, 1, 0, 1, b'a']), Some(&[1, 1, 0, 1, b'a']), Some(&[1, 0, 0])]);
    let array =
        StructArray::new(fields.clone(), vec![metadata, bytes_of(&[None, None, Some(&[0])]), Arc::new(typed)], None);
    (extension(Field::new("v", DataType::Struct(fields), true), "arrow.parquet.variant", ""), Arc::new(array))
}

#[test]
fn annotations_that_arrow_has_as_extensions_are_carried_through() {
    let (variant_field, variant_array) = variant();
    let uri = Field::new("uri", DataType::Utf8, true);
    let inline = Field::new("inline", DataType::Binary, true);
    let file = StructArray::new(
        vec![uri.clone(), inline.clone()].into(),
        vec![Arc::new(StringArray::from(vec![Some("s3://b/x"), None, None])), bytes_of(&[None, Some(b"abc"), None])],
        Some(NullBuffer::from(vec![true, true, false])),
    );
    let point = [&[1u8, 1, 0, 0, 0][..], &1f64.to_le_bytes(), &2f64.to_le_bytes()].concat();
    let points = bytes_of(&[Some(&point), None, Some(&point)]);
    let fields = vec![
        variant_field,
        extension(Field::new("f", DataType::Struct(vec![uri, inline].into()), true), "arrow.parquet.file", ""),
        extension(Field::new("g", DataType::Binary, true), "geoarrow.wkb", r#"{"crs":"5070","crs_type":"srid"}"#),
        extension(
            Field::new("e", DataType::Binary, true),
            "geoarrow.wkb",
            r#"{"crs":"OGC:CRS84","crs_type":"authority_code","edges":"karney"}"#,
        ),
        Field::new("enum", DataType::Utf8, true)
            .with_metadata(HashMap::from([("PARQUET:logical_type".to_string(), "ENUM".to_string())])),
        Field::new("bson", DataType::Binary, true)
            .with_metadata(HashMap::from([("PARQUET:logical_type".to_string(), "BSON".to_string())])),
        extension(Field::new("uuid", DataType::FixedSizeBinary(16), true), "arrow.uuid", ""),
    ];
    let uuids =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([7; 16]), None, Some([9; 16])].into_iter(), 16);
    let columns: Vec<ArrayRef> = vec![
        variant_array,
        Arc::new(file),
        points.clone(),
        points.clone(),
        Arc::new(StringArray::from(vec![Some("RED"), None, Some("BLUE")])),
        points,
        Arc::new(uuids.unwrap()),
    ];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let (bytes, written) = write(&batch, WriterOptions::default());
    let logical = |name: &str| {
        let element = written.metadata.schema.iter().find(|e| e.name == name).unwrap();
        (element.logical_type.clone().map(|l| format!("{l:?}")).unwrap_or_default(), element.converted_type)
    };
    for (name, says, converted) in [
        ("v", "Variant(VariantType { specification_version: Some(1) })", None),
        ("f", "File(Empty)", None),
        ("g", "Geometry(GeometryType { crs: Some(\"srid:5070\") })", None),
        ("e", "Geography(GeographyType { crs: None, algorithm: Some(4) })", None),
        ("enum", "Enum(Empty)", Some(ConvertedType::Enum)),
        ("bson", "Bson(Empty)", Some(ConvertedType::Bson)),
        ("uuid", "Uuid(Empty)", None),
    ] {
        assert_eq!(logical(name), (says.to_string(), converted), "{name}");
    }
    assert_eq!(read(&bytes), batch);
    // The Parquet schema alone says the same of all but the UUID's empty metadata.
    let alone = read(&without_arrow_schema(&bytes));
    for (own, field) in alone.schema().fields().iter().zip(batch.schema().fields()).take(6) {
        assert_eq!(own.data_type(), field.data_type());
        assert_eq!(own.metadata().get("ARROW:extension:name"), field.metadata().get("ARROW:extension:name"));
        assert_eq!(own.metadata().get("PARQUET:logical_type"), field.metadata().get("PARQUET:logical_type"));
        let json = |f: &Field| {
            let text = f.metadata().get("ARROW:extension:metadata").filter(|m| !m.is_empty())?;
            Some(serde_json::from_str::<serde_json::Value>(text).unwrap())
        };
        assert_eq!(json(own), json(field), "{}", own.name());
    }
    assert_eq!(alone.columns(), batch.columns());
    // What the footer knows of the geometries, and no bounds by bytes.
    let reader = open(&bytes, ReaderOptions::default()).unwrap();
    let leaves = &reader.parquet_schema().leaves;
    let of = |name: &str| {
        let column = leaves.iter().position(|leaf| leaf.name() == name).unwrap();
        let meta = reader.column_metadata(0, column).unwrap();
        (meta.geospatial_statistics, meta.statistics.unwrap())
    };
    let (geometry, statistics) = of("g");
    let GeospatialStatistics { bbox, geospatial_types } = geometry.unwrap();
    let bbox = bbox.unwrap();
    assert_eq!((bbox.xmin, bbox.xmax, bbox.ymin, bbox.ymax), (1.0, 1.0, 2.0, 2.0));
    assert_eq!(geospatial_types, Some(vec![1]));
    assert_eq!((statistics.min_value, statistics.max_value, statistics.null_count), (None, None, Some(1)));
    let (geography, _) = of("e");
    assert_eq!(geography.unwrap(), GeospatialStatistics { bbox: None, geospatial_types: Some(vec![1]) });
    assert_eq!(of("bson").0, None);
}

#[test]
fn geometries_below_lists_are_counted_too_and_a_broken_one_fails_nothing() {
    let point = |x: f64| [&[1u8, 1, 0, 0, 0][..], &x.to_le_bytes(), &0f64.to_le_bytes()].concat();
    let item = Arc::new(extension(Field::new("item", DataType::Binary, true), "geoarrow.wkb", "{}"));
    let of = |last: Vec<u8>| {
        let values = bytes_of(&[Some(&point(9.0)), Some(&point(-1.0)), None, Some(&last)]);
        // The first element stands in no list.
        let offsets = OffsetBuffer::new(vec![1, 2, 2, 4].into());
        let list = ListArray::new(item.clone(), offsets, values, None);
        let batch = one(Field::new("a", DataType::List(item.clone()), true), Arc::new(list));
        let (bytes, written) = write(&batch, WriterOptions::default());
        assert_eq!(read(&bytes), batch);
        written.metadata.row_groups[0].columns[0].meta_data.clone().unwrap().geospatial_statistics
    };
    let bbox = of(point(5.0)).unwrap().bbox.unwrap();
    assert_eq!((bbox.xmin, bbox.xmax), (-1.0, 5.0));
    assert_eq!(of(vec![1, 2, 3]), None);
}
