//! Types both ways: what Arrow has goes into a file and comes back, what only Parquet has keeps its annotation, and
//! what is not known harms no column but its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, NullBuffer, OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use bytes::Bytes;
use hypostyle::Error;
use hypostyle::parquet::format::{
    Codec, ColumnOrder, ConvertedType, Empty, Encoding, FileMetaData, GeospatialStatistics, LogicalType, Repetition,
    Type, footer,
};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, FloatOrder, WriterOptions, WrittenFile};
use hypostyle::predicate::{Literal, Predicate, col};
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn write(batch: &RecordBatch, options: WriterOptions) -> (Bytes, WrittenFile) {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    (memory.get("f").unwrap(), written)
}

fn open(bytes: &Bytes, options: ReaderOptions) -> Result<FileReader, Error> {
    let memory = Memory::new();
    memory.put("f", bytes.clone()).unwrap();
    FileReader::open(memory.open("f").unwrap(), options)
}

fn scan(bytes: &Bytes, options: ReaderOptions, what: ScanOptions) -> Result<RecordBatch, Error> {
    let scan = open(bytes, options)?.scan(what)?;
    let schema = scan.schema().clone();
    let batches = scan.collect::<Result<Vec<_>, _>>()?;
    Ok(arrow_select::concat::concat_batches(&schema, &batches).unwrap())
}

fn read(bytes: &Bytes) -> RecordBatch {
    scan(bytes, ReaderOptions::default(), ScanOptions::default()).unwrap()
}

fn one(field: Field, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

fn plain(array: impl Array + 'static) -> RecordBatch {
    one(Field::new("a", array.data_type().clone(), true), Arc::new(array))
}

/// The file with another footer.
fn with_footer(bytes: &Bytes, change: impl FnOnce(&mut FileMetaData)) -> Bytes {
    let mut metadata = open(bytes, ReaderOptions::default()).unwrap().metadata().unwrap().clone();
    let tail: [u8; 8] = bytes[bytes.len() - 8..].try_into().unwrap();
    let (place, _) = footer::locate(tail, bytes.len() as u64).unwrap();
    change(&mut metadata);
    let mut out = bytes[..place.start as usize].to_vec();
    out.extend(footer::encode(&metadata).unwrap());
    out.into()
}

fn without_arrow_schema(bytes: &Bytes) -> Bytes {
    with_footer(bytes, |metadata| metadata.key_value_metadata = None)
}

fn judged_by_the_other_crate(bytes: &Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap();
    reader.map(Result::unwrap).next().unwrap()
}

#[test]
fn intervals_of_every_unit_come_back() {
    let months = plain(IntervalYearMonthArray::from(vec![Some(14), None, Some(0), Some(i32::MAX)]));
    let days = plain(IntervalDayTimeArray::from(vec![
        Some(IntervalDayTime::new(3, 4000)),
        None,
        Some(IntervalDayTime::new(i32::MAX, i32::MAX)),
        Some(IntervalDayTime::new(0, 0)),
    ]));
    let all = plain(IntervalMonthDayNanoArray::from(vec![
        Some(IntervalMonthDayNano::new(1, 2, 3_000_000)),
        None,
        Some(IntervalMonthDayNano::new(i32::MAX, i32::MAX, i64::from(u32::MAX) * 1_000_000)),
        Some(IntervalMonthDayNano::new(0, 0, 0)),
    ]));
    for batch in [&months, &days, &all] {
        let (bytes, written) = write(batch, WriterOptions::default());
        let leaf = &written.metadata.schema[1];
        assert_eq!((leaf.type_, leaf.type_length), (Some(Type::FixedLenByteArray), Some(12)));
        assert_eq!((leaf.converted_type, &leaf.logical_type), (Some(ConvertedType::Interval), &None));
        let statistics = written.metadata.row_groups[0].columns[0].meta_data.clone().unwrap().statistics.unwrap();
        assert_eq!((statistics.min_value, statistics.null_count), (None, Some(1)), "intervals have no order");
        assert_eq!(read(&bytes), *batch);
        // By the Parquet schema alone, the widest.
        let alone = read(&without_arrow_schema(&bytes));
        assert_eq!(*alone.column(0).data_type(), DataType::Interval(IntervalUnit::MonthDayNano));
        assert_eq!(alone.column(0).null_count(), 1);
    }
    assert_eq!(judged_by_the_other_crate(&write(&months, WriterOptions::default()).0), months);
    assert_eq!(judged_by_the_other_crate(&write(&days, WriterOptions::default()).0), days);
    let alone = read(&without_arrow_schema(&write(&days, WriterOptions::default()).0));
    let value = alone.column(0).as_any().downcast_ref::<IntervalMonthDayNanoArray>().unwrap().value(0);
    assert_eq!(value, IntervalMonthDayNano::new(0, 3, 4_000_000_000));
}

#[test]
fn an_interval_that_parquet_does_not_have_is_refused() {
    for bad in [
        plain(IntervalYearMonthArray::from(vec![-1])),
        plain(IntervalDayTimeArray::from(vec![IntervalDayTime::new(0, -1)])),
        plain(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 0, 1)])),
    ] {
        let mut writer =
            FileWriter::new(Memory::new().create("f").unwrap(), bad.schema(), WriterOptions::default()).unwrap();
        let e = writer.write(&bad).unwrap_err();
        assert!(e.kind() == "invalid" && e.to_string().contains("column a: an interval of"), "{e}");
    }
}

fn timestamps(unit: TimeUnit, zone: Option<&str>, values: Vec<Option<i64>>) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    let data_type = DataType::Timestamp(unit, zone.map(Into::into));
    one(Field::new("a", data_type.clone(), true), arrow_cast::cast(&values, &data_type).unwrap())
}

#[test]
fn timestamps_in_int96_have_bounds_in_their_own_order() {
    use TimeUnit::*;
    for (unit, zone) in [(Second, None), (Millisecond, Some("+01:00")), (Microsecond, None), (Nanosecond, Some("UTC"))]
    {
        let batch = timestamps(unit, zone, vec![Some(5), None, Some(-86_400_000_000_001), Some(0), Some(7)]);
        let (bytes, written) = write(&batch, WriterOptions::default().with_int96(true));
        let leaf = &written.metadata.schema[1];
        assert_eq!((leaf.type_, &leaf.logical_type, leaf.converted_type), (Some(Type::Int96), &None, None));
        assert_eq!(written.metadata.column_orders, Some(vec![ColumnOrder::Int96TimestampOrder(Empty {})]));
        let statistics = written.metadata.row_groups[0].columns[0].meta_data.clone().unwrap().statistics.unwrap();
        assert_eq!((statistics.min, statistics.max), (None, None), "these have no chronological order");
        assert_eq!(statistics.is_min_value_exact, Some(true));
        let reader = open(&bytes, ReaderOptions::default()).unwrap();
        let bounds = reader.chunk_bounds(0, 0).unwrap();
        assert_eq!(bounds.min.unwrap().as_ref(), batch.column(0).slice(2, 1).as_ref(), "before 1970");
        assert_eq!(bounds.max.unwrap().as_ref(), batch.column(0).slice(4, 1).as_ref());
        assert_eq!(read(&bytes), batch, "{unit:?}");
        // Under any other order, bounds of INT96 mean nothing.
        let other = with_footer(&bytes, |m| m.column_orders = Some(vec![ColumnOrder::TypeOrder(Empty {})]));
        assert!(open(&other, ReaderOptions::default()).unwrap().chunk_bounds(0, 0).unwrap().min.is_none());
    }
    let batch = timestamps(Nanosecond, None, vec![Some(1), None, Some(-1), Some(i64::MAX)]);
    let int96 = ColumnOptions { int96: Some(true), ..ColumnOptions::default() };
    assert_eq!(judged_by_the_other_crate(&write(&batch, WriterOptions::default().with_column("a", int96)).0), batch);
}

#[test]
fn pages_of_int96_are_passed_over_by_their_bounds() {
    let values = |range: std::ops::Range<i64>| range.map(|i| Some(i * 1_000_000_007)).collect();
    let batch = timestamps(TimeUnit::Microsecond, Some("UTC"), values(-2000..2000));
    let options = WriterOptions::default().with_int96(true).with_page_rows(100).with_dictionary(false);
    let (bytes, _) = write(&batch, options);
    let predicate = col("a").ge(Literal::Timestamp(1_500 * 1_000_000_007 * 1000));
    let mut scan =
        open(&bytes, ReaderOptions::default()).unwrap().scan(ScanOptions::default().with_predicate(predicate)).unwrap();
    let rows: usize = scan.by_ref().map(|b| b.unwrap().num_rows()).sum();
    assert_eq!(rows, 500);
    assert_eq!((scan.counts().pages_read, scan.counts().pages_skipped), (5, 35));
}

#[test]
fn an_int96_beyond_the_unit_is_an_error_or_another_unit() {
    // The year 9999: no nanoseconds since 1970 in 64 bits.
    let far = timestamps(TimeUnit::Microsecond, None, vec![Some(253_402_214_400_000_000), Some(-1)]);
    let (bytes, _) = write(&far, WriterOptions::default().with_int96(true));
    assert_eq!(read(&bytes), far, "the Arrow schema says microseconds");
    let alone = without_arrow_schema(&bytes);
    // Nothing tells the unit: nanoseconds, as others read them.
    let over = arrow_cast::cast(read(&alone).column(0), &DataType::Int64).unwrap();
    let over = over.as_any().downcast_ref::<Int64Array>().unwrap();
    assert_eq!((over.value(0), over.value(1)), (253_402_214_400_000_000i64.wrapping_mul(1000), -1000));
    assert!(open(&alone, ReaderOptions::default()).unwrap().chunk_bounds(0, 0).unwrap().max.is_none());
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond] {
        for file in [&alone, &bytes] {
            let options = ReaderOptions::default().with_int96_unit(unit);
            let got = scan(file, options, ScanOptions::default()).unwrap();
            assert_eq!(*got.column(0).data_type(), DataType::Timestamp(unit, None));
            let micros = arrow_cast::cast(got.column(0), &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
            let micros = micros.as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap();
            assert_eq!(micros.value(0), 253_402_214_400_000_000);
            assert!(micros.value(1) < 0, "rounded down");
        }
    }
    let options = ReaderOptions::default().with_int96_unit(TimeUnit::Nanosecond);
    let e = scan(&bytes, options, ScanOptions::default()).unwrap_err();
    assert!(e.kind() == "limit" && e.to_string().contains("column a") && e.to_string().contains("int96_unit"), "{e}");
    // Spark's are of microseconds, and its files say so.
    let spark = with_footer(&bytes, |m| {
        m.key_value_metadata.as_mut().unwrap()[0].key = "org.apache.spark.version".into();
    });
    assert_eq!(read(&spark).column(0), far.column(0));
}

fn extension(field: Field, name: &str, metadata: &str) -> Field {
    field.with_metadata(HashMap::from([
        ("ARROW:extension:name".to_string(), name.to_string()),
        ("ARROW:extension:metadata".to_string(), metadata.to_string()),
    ]))
}

fn bytes_of(values: &[Option<&[u8]>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<BinaryArray>())
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

/// Rows that a predicate keeps, by their text.
fn kept(bytes: &Bytes, predicate: Predicate) -> Vec<String> {
    let batch =
        scan(bytes, ReaderOptions::default(), ScanOptions::default().with_predicate(predicate).with_columns(["id"]));
    let batch = batch.unwrap();
    let ids = batch.column(0).as_any().downcast_ref::<Int32Array>().unwrap();
    ids.iter().map(|id| format!("{id:?}")).collect()
}

#[test]
fn floats_of_either_order_are_never_wrongly_dropped() {
    let (nan, low_nan) = (f64::from_bits(0x7ff8_0000_0000_0001), f64::from_bits(0xfff8_0000_0000_0000));
    // Pages of 4: numbers, zeros, numbers with NaN, NaN of both signs alone, nothing.
    let values = [
        [Some(1.0), Some(-3.0), None, Some(7.5)],
        [Some(0.0), Some(-0.0), Some(-0.0), None],
        [Some(nan), Some(100.0), Some(101.0), None],
        [Some(low_nan), None, Some(nan), Some(nan)],
        [None; 4],
        [Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(f64::MIN_POSITIVE), None],
    ];
    let values: Vec<Option<f64>> = values.concat();
    let doubles: ArrayRef = Arc::new(Float64Array::from(values.clone()));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int32Array::from_iter_values(0..values.len() as i32)) as ArrayRef, false),
        ("x", doubles.clone(), true),
        ("f", arrow_cast::cast(&doubles, &DataType::Float32).unwrap(), true),
        ("h", arrow_cast::cast(&doubles, &DataType::Float16).unwrap(), true),
    ])
    .unwrap();
    let base = || WriterOptions::default().with_page_rows(4).with_dictionary(false);
    let (oracle, _) = write(&batch, WriterOptions { statistics: false, ..base() });
    for order in [FloatOrder::Value, FloatOrder::Total] {
        let (bytes, written) = write(&batch, base().with_float_order(order));
        let metadata = &written.metadata;
        let want = match order {
            FloatOrder::Value => ColumnOrder::TypeOrder(Empty {}),
            FloatOrder::Total => ColumnOrder::Ieee754TotalOrder(Empty {}),
        };
        let type_order = ColumnOrder::TypeOrder(Empty {});
        assert_eq!(metadata.column_orders, Some(vec![type_order, want.clone(), want.clone(), want]));
        let reader = open(&bytes, ReaderOptions::default()).unwrap();
        for column in 1..4 {
            let statistics = metadata.row_groups[0].columns[column].meta_data.clone().unwrap().statistics.unwrap();
            assert_eq!((statistics.nan_count, statistics.null_count), (Some(4), Some(9)));
            assert_eq!(
                statistics.max_value.is_some(),
                order == FloatOrder::Total,
                "NaN leave bounds out by value only"
            );
            let index = reader.column_index(0, column).unwrap();
            assert_eq!(index.is_some(), order == FloatOrder::Total);
            if let Some(index) = index {
                assert_eq!(index.nan_counts, Some(vec![0, 0, 1, 3, 0, 0]));
                assert_eq!(index.null_pages, [false, false, false, false, true, false]);
            }
        }
        if order == FloatOrder::Total {
            let index = reader.column_index(0, 1).unwrap().unwrap();
            let bits = |v: &Vec<u8>| u64::from_le_bytes(v[..].try_into().unwrap());
            assert_eq!(bits(&index.min_values[1]), (-0f64).to_bits());
            assert_eq!(bits(&index.max_values[1]), 0f64.to_bits());
            assert_eq!((bits(&index.min_values[2]), bits(&index.max_values[2])), (100f64.to_bits(), 101f64.to_bits()));
            assert_eq!((bits(&index.min_values[3]), bits(&index.max_values[3])), (low_nan.to_bits(), nan.to_bits()));
            let statistics = metadata.row_groups[0].columns[1].meta_data.clone().unwrap().statistics.unwrap();
            assert_eq!(bits(&statistics.min_value.unwrap()), f64::NEG_INFINITY.to_bits());
            assert_eq!(bits(&statistics.max_value.unwrap()), f64::INFINITY.to_bits());
        }
        for column in ["x", "f", "h"] {
            for literal in [-3.0, -0.0, 0.0, 7.5, 100.0, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
                for predicate in [
                    col(column).lt(literal),
                    col(column).le(literal),
                    col(column).gt(literal),
                    col(column).ge(literal),
                    col(column).eq(literal),
                    col(column).ne(literal),
                ] {
                    assert_eq!(
                        kept(&bytes, predicate.clone()),
                        kept(&oracle, predicate.clone()),
                        "{predicate} {order:?}"
                    );
                }
            }
        }
        if order == FloatOrder::Total {
            let mut scan = reader.scan(ScanOptions::default().with_predicate(col("x").gt(1000.0))).unwrap();
            scan.by_ref().for_each(|b| assert!(b.unwrap().num_rows() > 0));
            assert!(scan.counts().pages_skipped > 0, "bounds are used beside NaN: {:?}", scan.counts());
        }
    }
}

/// Batches of every layout, cut from the middle of larger arrays, with something below each null.
fn layouts() -> Vec<(&'static str, ArrayRef)> {
    let strings: StringArray = (0..40).map(|i| (i % 5 != 0).then(|| format!("word {i}"))).collect();
    let numbers: Int32Array = (0..40).map(|i| (i % 7 != 3).then_some(i)).collect();
    let item = |t: &DataType| Arc::new(Field::new("item", t.clone(), true));
    let nulls = || Some(NullBuffer::from((0..10).map(|i| i % 4 != 1).collect::<Vec<_>>()));
    let offsets: Vec<i32> = vec![0, 3, 7, 7, 12, 12, 13, 20, 30, 38, 40];
    let list = ListArray::new(
        item(&DataType::Utf8),
        OffsetBuffer::new(offsets.clone().into()),
        Arc::new(strings.clone()),
        nulls(),
    );
    let large = LargeListArray::new(
        item(&DataType::Int32),
        OffsetBuffer::new(offsets.iter().map(|&o| i64::from(o)).collect::<Vec<_>>().into()),
        Arc::new(numbers.clone()),
        nulls(),
    );
    let fixed = FixedSizeListArray::new(item(&DataType::Int32), 4, Arc::new(numbers.clone()), nulls());
    // Views overlap, go backwards, and leave elements out.
    let starts = vec![30, 0, 5, 5, 5, 20, 1, 39, 40, 2];
    let sizes = vec![5, 3, 0, 2, 4, 10, 1, 1, 0, 3];
    let view = ListViewArray::new(
        item(&DataType::Utf8),
        starts.clone().into(),
        sizes.clone().into(),
        Arc::new(strings.clone()),
        nulls(),
    );
    let large_view = LargeListViewArray::new(
        item(&DataType::Int32),
        starts.iter().map(|&n| i64::from(n)).collect::<Vec<i64>>().into(),
        sizes.iter().map(|&n| i64::from(n)).collect::<Vec<i64>>().into(),
        Arc::new(numbers.clone()),
        nulls(),
    );
    let keys: StringArray = (0..40).map(|i| Some(format!("k{i}"))).collect();
    let entries = StructArray::from(vec![
        (Arc::new(Field::new("keys", DataType::Utf8, false)), Arc::new(keys) as ArrayRef),
        (Arc::new(Field::new("values", DataType::Int32, true)), Arc::new(numbers.clone()) as ArrayRef),
    ]);
    let map = MapArray::new(
        Arc::new(Field::new("entries", entries.data_type().clone(), false)),
        OffsetBuffer::new(offsets.clone().into()),
        entries,
        nulls(),
        false,
    );
    let words: DictionaryArray<Int8Type> = (0..40).map(|i| (i % 6 != 2).then(|| ["x", "yy", "z"][i % 3])).collect();
    let dictionaries = ListArray::new(
        item(words.data_type()),
        OffsetBuffer::new(offsets.clone().into()),
        Arc::new(words.clone()),
        nulls(),
    );
    let nested = StructArray::new(
        Fields::from(vec![
            Field::new("map", map.data_type().clone(), true),
            Field::new("views", view.data_type().clone(), true),
            Field::new("none", DataType::Null, true),
        ]),
        vec![Arc::new(map.clone()), Arc::new(view.clone()), Arc::new(NullArray::new(10))],
        nulls(),
    );
    let deep = ListArray::new(
        item(nested.data_type()),
        OffsetBuffer::new(vec![0, 1, 4, 4, 6, 6, 7, 7, 8, 9, 10].into()),
        Arc::new(nested.clone()),
        nulls(),
    );
    let numbers_of = |values: ArrayRef| {
        let keys = UInt16Array::from((0..10).map(|i| (i != 4).then_some(i % 3)).collect::<Vec<_>>());
        DictionaryArray::new(keys, values)
    };
    let views: StringViewArray = strings.iter().collect();
    let mut all: Vec<(&'static str, ArrayRef)> = vec![
        ("list", Arc::new(list)),
        ("large_list", Arc::new(large)),
        ("fixed_size_list", Arc::new(fixed)),
        ("list_view", Arc::new(view)),
        ("large_list_view", Arc::new(large_view)),
        ("map", Arc::new(map)),
        ("struct", Arc::new(nested)),
        ("deep", Arc::new(deep)),
        ("dictionaries", Arc::new(dictionaries)),
        ("dictionary", Arc::new(words.slice(0, 10))),
        ("of_i64", Arc::new(numbers_of(Arc::new(Int64Array::from(vec![7, -7, i64::MIN]))))),
        ("of_f32", Arc::new(numbers_of(Arc::new(Float32Array::from(vec![0.5, -0.0, 1e9]))))),
        ("of_date", Arc::new(numbers_of(Arc::new(Date32Array::from(vec![1, 2, 3]))))),
        ("of_decimal", Arc::new(numbers_of(Arc::new(Decimal128Array::from(vec![1, 2, 3]))))),
        ("of_binary", Arc::new(numbers_of(bytes_of(&[Some(b"a"), Some(b""), Some(b"\xff")])))),
        ("utf8_view", Arc::new(views.slice(3, 10))),
        ("null", Arc::new(NullArray::new(10))),
    ];
    let decimals: Vec<i256> = (0..10).map(|i| i256::from_i128(i * 1_000_000_007 - 5)).collect();
    for (p, s) in [(1u8, 0i8), (9, 2), (18, 18), (38, 0), (39, 5), (76, 76)] {
        let values = decimals.iter().map(|v| v.checked_rem(i256::from_i128(10i128.pow(u32::from(p.min(30))))).unwrap());
        let array = Decimal256Array::from_iter_values(values).with_precision_and_scale(p, s).unwrap();
        all.push(("decimal256", Arc::new(array)));
    }
    all.push(("decimal32", Arc::new(Decimal32Array::from_iter_values(-5..5).with_precision_and_scale(9, 3).unwrap())));
    all.push(("decimal64", Arc::new(Decimal64Array::from_iter_values(-5..5).with_precision_and_scale(18, 3).unwrap())));
    for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond] {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(-5..5));
        for data_type in [
            DataType::Timestamp(unit, None),
            DataType::Timestamp(unit, Some("+02:00".into())),
            DataType::Duration(unit),
        ] {
            all.push(("temporal", arrow_cast::cast(&numbers, &data_type).unwrap()));
        }
    }
    all
}

#[test]
fn every_layout_comes_back_from_a_slice_too() {
    for (name, array) in layouts() {
        assert_eq!(array.len(), 10, "{name}");
        for (offset, length) in [(0, 10), (1, 9), (3, 4), (9, 1), (5, 0)] {
            let part = array.slice(offset, length);
            let batch = one(Field::new(name, part.data_type().clone(), true), part);
            for rows in [1, 3, 100] {
                let (bytes, _) = write(&batch, WriterOptions::default().with_page_rows(rows));
                let got = read(&bytes);
                got.column(0).to_data().validate_full().unwrap();
                assert_eq!(got.schema(), batch.schema());
                // Views are laid out anew, and dictionaries made anew: by value.
                assert_eq!(text(got.column(0)), text(batch.column(0)), "{name} {offset}..+{length}");
            }
        }
    }
}

fn text(array: &ArrayRef) -> Vec<String> {
    let options = arrow_cast::display::FormatOptions::default().with_null("NULL");
    let formatter = arrow_cast::display::ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}

#[test]
fn runs_are_written_as_plain_values() {
    let mut builder = StringRunBuilder::<Int32Type>::new();
    for word in [Some("a"), Some("a"), None, None, Some("b"), Some("b"), Some("b")] {
        builder.append_option(word);
    }
    let runs = builder.finish();
    let item = Arc::new(Field::new("item", runs.data_type().clone(), true));
    let list = ListArray::new(item, OffsetBuffer::new(vec![0, 2, 5, 7].into()), Arc::new(runs.clone()), None);
    let want = StringArray::from(vec![Some("a"), Some("a"), None, None, Some("b"), Some("b"), Some("b")]);
    for (from, length) in [(0, 7), (1, 3), (3, 4)] {
        let got = read(&write(&plain(runs.slice(from, length)), WriterOptions::default()).0);
        assert_eq!(got.column(0).as_ref(), &want.slice(from, length) as &dyn Array);
    }
    let got = read(&write(&plain(list), WriterOptions::default()).0);
    assert_eq!(text(got.column(0)), ["[a, a]", "[NULL, NULL, b]", "[b, b]"]);
}

#[test]
fn what_is_not_known_harms_its_own_column_alone() {
    let batch = RecordBatch::try_from_iter([
        ("good", Arc::new(Int32Array::from_iter_values(0..100)) as ArrayRef),
        ("odd", Arc::new(Int32Array::from_iter_values(0..100)) as ArrayRef),
    ])
    .unwrap();
    let (bytes, _) = write(&batch, WriterOptions::default());
    type Change = fn(&mut FileMetaData);
    let changes: [(Change, &str); 7] = [
        (|m| m.schema[2].type_ = Some(Type::Unknown(99)), "unknown type 99"),
        (|m| m.schema[2].repetition = Some(Repetition::Unknown(9)), "unknown repetition 9"),
        (|m| m.schema[2].repetition = Some(Repetition::Vector), "VECTOR"),
        (|m| m.row_groups[0].columns[1].meta_data.as_mut().unwrap().codec = Codec::Unknown(77), "77"),
        (|m| m.row_groups[0].columns[1].file_path = Some("other.parquet".into()), "other.parquet"),
        (|m| m.row_groups[0].columns[1].meta_data = None, "metadata"),
        (|m| m.row_groups[0].columns[1].meta_data.as_mut().unwrap().data_page_offset = -5, "-5"),
    ];
    for (change, says) in changes {
        let odd = with_footer(&bytes, change);
        let good = scan(&odd, ReaderOptions::default(), ScanOptions::default().with_columns(["good"])).unwrap();
        assert_eq!(good.column(0), batch.column(0), "{says}");
        let e = scan(&odd, ReaderOptions::default(), ScanOptions::default().with_columns(["odd"])).unwrap_err();
        assert!(e.to_string().contains("odd") && e.to_string().contains(says), "{says}: {e}");
    }
    // What only annotates or informs changes nothing.
    let silent: [Change; 4] = [
        |m| m.schema[2].logical_type = Some(LogicalType::Unknown(0)),
        |m| m.schema[2].converted_type = Some(ConvertedType::Unknown(55)),
        |m| m.column_orders = Some(vec![ColumnOrder::Unknown(0); 2]),
        |m| {
            let meta = m.row_groups[0].columns[1].meta_data.as_mut().unwrap();
            meta.encodings = vec![Encoding::Unknown(88)];
            meta.dictionary_page_offset = Some(0);
        },
    ];
    for change in silent {
        let odd = with_footer(&bytes, change);
        let got = scan(&odd, ReaderOptions::default(), ScanOptions::default().with_predicate(col("odd").gt(49)));
        assert_eq!(got.unwrap().num_rows(), 50);
    }
}

#[test]
fn limits_are_the_callers() {
    let strings: StringArray = (0..2000).map(|i| Some(format!("a string of some length {}", i % 1000))).collect();
    let list = Arc::new(Field::new("item", DataType::Int32, true));
    let deep = (0..5).fold(list, |f, _| Arc::new(Field::new("item", DataType::List(f), true)));
    let nested = new_null_array(deep.data_type(), 2000);
    let batch = RecordBatch::try_from_iter([("text", Arc::new(strings) as ArrayRef), ("deep", nested)]).unwrap();
    let encoding = ColumnOptions { encoding: Some(Encoding::RleDictionary), ..ColumnOptions::default() };
    let (bytes, _) = write(&batch, WriterOptions::default().with_column("text", encoding));
    let of = |options: ReaderOptions| scan(&bytes, options, ScanOptions::default().with_columns(["text"]));
    let default = ReaderOptions::default;
    for (options, says) in [
        (default().with_page_bytes_max(1000), "page_bytes_max"),
        (default().with_dictionary_bytes_max(10_000), "dictionary_bytes_max"),
        (default().with_schema_elements_max(12), "13 elements"),
        (default().with_schema_depth_max(10), "deeper than 10"),
        (default().with_memory_bytes(20_000), "memory_bytes"),
    ] {
        let Err(e) = of(options) else { panic!("{says} is no limit") };
        assert!(e.kind() == "limit" && e.to_string().contains(says), "{says}: {e}");
    }
    let enough = default()
        .with_page_bytes_max(100_000)
        .with_dictionary_bytes_max(100_000)
        .with_schema_elements_max(13)
        .with_schema_depth_max(11);
    assert_eq!(of(enough).unwrap().num_rows(), 2000);
    // No schema is written that could not be read.
    let too_deep = (0..80).fold(deep, |f, _| Arc::new(Field::new("item", DataType::List(f), true)));
    let schema = Arc::new(Schema::new(vec![too_deep]));
    let e = FileWriter::new(Memory::new().create("f").unwrap(), schema, WriterOptions::default()).unwrap_err();
    assert_eq!(e.kind(), "limit", "{e}");
}
