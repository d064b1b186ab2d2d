//! Intervals, timestamps in INT96, times of the day.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::*;
use arrow_buffer::{IntervalDayTime, IntervalMonthDayNano, OffsetBuffer};
use arrow_schema::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use hypostyle::parquet::format::{ColumnOrder, ConvertedType, Empty, LogicalType, Type};
use hypostyle::parquet::read::{ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, WriterOptions};
use hypostyle::predicate::{Literal, col};
use hypostyle::storage::{Memory, Storage};

use super::file::*;

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

#[test]
fn times_of_utc_stay_times_of_utc() {
    let at = |value: &str| HashMap::from([("adjusted_to_utc".to_string(), value.to_string())]);
    let item = Arc::new(Field::new("item", DataType::Time64(TimeUnit::Nanosecond), true).with_metadata(at("true")));
    let values = Time64NanosecondArray::from(vec![Some(5), None]);
    let list = ListArray::new(item.clone(), OffsetBuffer::new(vec![0, 2].into()), Arc::new(values), None);
    let fields = vec![
        Field::new("utc", DataType::Time32(TimeUnit::Millisecond), true).with_metadata(at("true")),
        Field::new("local", DataType::Time32(TimeUnit::Second), true),
        Field::new("says_no", DataType::Time64(TimeUnit::Microsecond), true).with_metadata(at("false")),
        Field::new("list", DataType::List(item), true),
    ];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Time32MillisecondArray::from(vec![7])),
        Arc::new(Time32SecondArray::from(vec![8])),
        Arc::new(Time64MicrosecondArray::from(vec![9])),
        Arc::new(list),
    ];
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let (bytes, written) = write(&batch, WriterOptions::default());
    let is_utc = written.metadata.schema.iter().filter_map(|element| match &element.logical_type {
        Some(LogicalType::Time(time)) => Some((element.name.as_str(), time.is_adjusted_to_utc)),
        _ => None,
    });
    assert!(is_utc.eq([("utc", true), ("local", false), ("says_no", false), ("element", true)]));
    assert_eq!(read(&bytes), batch);
    let alone = read(&without_arrow_schema(&bytes)).schema();
    let told = alone.fields().iter().map(|f| f.metadata().get("adjusted_to_utc").map(String::as_str));
    assert!(told.eq([Some("true"), None, None, None]), "{alone}");
    let DataType::List(item) = alone.field(3).data_type() else { panic!("a list") };
    assert_eq!(item.metadata(), &at("true"));
}
