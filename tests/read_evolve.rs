//! Files read under a schema that is not theirs: nothing is lost, nothing is dropped wrongly, and what cannot be held is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType as D, Field, Fields, Schema, SchemaRef, TimeUnit as U};
use arrow_select::concat::concat_batches;
use generate::{Nulls, Random};
use hypostyle::parquet::read::{FileReader, Matching, ReaderOptions, ScanCounts, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::predicate::{Predicate, col, sql};
use hypostyle::storage::{Memory, Storage};
use hypostyle::{Error, Result};

fn file(batch: &RecordBatch) -> FileReader {
    let memory = Memory::new();
    let options = WriterOptions::default().with_page_rows(20).with_row_group_rows(100);
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    FileReader::open(memory.open("f").unwrap(), ReaderOptions::default().with_batch_rows(70)).unwrap()
}

fn of(name: &str, array: ArrayRef) -> RecordBatch {
    let field = Field::new(name, array.data_type().clone(), true);
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

fn scan(file: &FileReader, options: ScanOptions) -> Result<(RecordBatch, ScanCounts)> {
    let mut scan = file.scan(options)?;
    let batches: Vec<RecordBatch> = scan.by_ref().collect::<Result<_>>()?;
    for batch in &batches {
        assert_eq!(batch.schema(), *scan.schema());
    }
    Ok((concat_batches(scan.schema(), &batches).unwrap(), scan.counts()))
}

fn under(file: &FileReader, asked: &SchemaRef) -> Result<RecordBatch> {
    scan(file, ScanOptions::default().with_schema(asked.clone())).map(|(batch, _)| batch)
}

fn column(batch: RecordBatch, to: D) -> Result<ArrayRef> {
    let name = batch.schema().field(0).name().clone();
    under(&file(&batch), &schema(vec![Field::new(name, to, true)])).map(|batch| batch.column(0).clone())
}

/// What Delta Lake and Iceberg let a column become, and what else loses nothing.
fn widenings() -> Vec<(D, D)> {
    let utc = |unit| D::Timestamp(unit, Some("UTC".into()));
    let mut all = vec![
        (D::Int8, D::Int16),
        (D::Int8, D::Int32),
        (D::Int8, D::Int64),
        (D::Int16, D::Int32),
        (D::Int16, D::Int64),
        (D::Int32, D::Int64),
        (D::UInt8, D::Int16),
        (D::UInt16, D::UInt32),
        (D::UInt32, D::Int64),
        (D::Int8, D::Float64),
        (D::Int16, D::Float64),
        (D::Int32, D::Float64),
        (D::UInt32, D::Float64),
        (D::Int8, D::Decimal128(10, 0)),
        (D::Int32, D::Decimal128(12, 2)),
        (D::Int32, D::Decimal64(10, 0)),
        (D::Int64, D::Decimal128(20, 0)),
        (D::Int64, D::Decimal256(40, 10)),
        (D::UInt64, D::Decimal128(20, 0)),
        (D::Float32, D::Float64),
        (D::Float16, D::Float32),
        (D::Decimal128(5, 2), D::Decimal128(9, 2)),
        (D::Decimal128(5, 2), D::Decimal128(9, 4)),
        (D::Decimal128(5, 5), D::Decimal256(60, 20)),
        (D::Decimal32(9, 2), D::Decimal64(12, 2)),
        (D::Decimal64(18, 18), D::Decimal128(38, 20)),
        (D::Decimal256(9, 1), D::Decimal128(10, 1)),
        (D::Date32, D::Timestamp(U::Microsecond, None)),
        (D::Date32, D::Timestamp(U::Second, None)),
        (D::Timestamp(U::Millisecond, None), D::Timestamp(U::Microsecond, None)),
        (utc(U::Second), utc(U::Millisecond)),
        (utc(U::Microsecond), D::Timestamp(U::Microsecond, Some("Europe/Berlin".into()))),
        (D::Time32(U::Second), D::Time32(U::Millisecond)),
        (D::Time32(U::Millisecond), D::Time64(U::Microsecond)),
        (D::Time64(U::Microsecond), D::Time64(U::Nanosecond)),
        (D::FixedSizeBinary(16), D::Binary),
        (D::FixedSizeBinary(16), D::BinaryView),
        (D::Dictionary(D::Int8.into(), D::Utf8.into()), D::Utf8View),
        (D::Utf8, D::Dictionary(D::Int64.into(), D::LargeUtf8.into())),
        (D::Dictionary(D::UInt32.into(), D::Int64.into()), D::Decimal128(38, 3)),
    ];
    for from in [D::Utf8, D::LargeUtf8, D::Utf8View] {
        for to in [D::Utf8, D::LargeUtf8, D::Utf8View, D::Binary, D::LargeBinary, D::BinaryView] {
            all.push((from.clone(), to));
        }
    }
    for from in [D::Binary, D::LargeBinary, D::BinaryView] {
        for to in [D::Binary, D::LargeBinary, D::BinaryView] {
            all.push((from.clone(), to));
        }
    }
    all
}

/// One value as text that does not depend on the type that holds it.
fn text(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "null".to_owned();
    }
    let to = |t: D| arrow_cast::cast(&array.slice(row, 1), &t).unwrap();
    match array.data_type() {
        D::Dictionary(_, value) => text(&to(value.as_ref().clone()), 0),
        t if t.is_integer()
            || matches!(t, D::Decimal32(..) | D::Decimal64(..) | D::Decimal128(..) | D::Decimal256(..)) =>
        {
            let text = to(D::Utf8).as_string::<i32>().value(0).to_owned();
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
        t if t.is_floating() => {
            let value = to(D::Float64).as_primitive::<Float64Type>().value(0);
            if value.fract() == 0.0 && value.abs() < 1e15 { format!("{}", value as i64) } else { format!("{value:?}") }
        }
        D::Utf8 | D::LargeUtf8 | D::Utf8View => format!("{:?}", to(D::Binary).as_binary::<i32>().value(0)),
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => {
            format!("{:?}", to(D::Binary).as_binary::<i32>().value(0))
        }
        D::Date32 => (i128::from(array.as_primitive::<Date32Type>().value(row)) * 86_400_000_000_000).to_string(),
        D::Time32(u) | D::Time64(u) | D::Timestamp(u, _) => {
            let count = match array.data_type() {
                D::Time32(_) => arrow_cast::cast(&to(D::Int32), &D::Int64).unwrap(),
                _ => to(D::Int64),
            };
            let ns = match u {
                U::Second => 1_000_000_000,
                U::Millisecond => 1_000_000,
                U::Microsecond => 1_000,
                U::Nanosecond => 1,
            };
            (i128::from(count.as_primitive::<Int64Type>().value(0)) * ns).to_string()
        }
        other => panic!("{other}"),
    }
}

/// Values of the type that stay small enough for any unit.
fn values(data_type: &D, rows: usize, random: &mut Random) -> ArrayRef {
    match data_type {
        D::Date32 => Arc::new(Date32Array::from_iter(
            (0..rows).map(|n| (n % 7 > 0).then(|| random.below(60_000) as i32 - 20_000)),
        )),
        D::Timestamp(..) | D::Time32(_) | D::Time64(_) => {
            let counts = (0..rows).map(|n| (n % 7 > 0).then(|| random.below(86_400) as i64));
            let counts: ArrayRef = Arc::new(Int64Array::from_iter(counts));
            match data_type {
                D::Time32(_) => arrow_cast::cast(&arrow_cast::cast(&counts, &D::Int32).unwrap(), data_type).unwrap(),
                _ => arrow_array::make_array(
                    counts.to_data().into_builder().data_type(data_type.clone()).build().unwrap(),
                ),
            }
        }
        other => generate::array(other, rows, Nulls::Some, None, random),
    }
}

#[test]
fn widened_values_are_the_same_values_and_predicates_on_them_drop_nothing() {
    let mut random = Random::new(9);
    for (from, to) in widenings() {
        let array = values(&from, 250, &mut random);
        let stored = file(&of("c", array.clone()));
        let asked = schema(vec![Field::new("c", to.clone(), true)]);
        let wide = under(&stored, &asked).unwrap_or_else(|e| panic!("{from} -> {to}: {e}"));
        let wide = wide.column(0);
        assert_eq!((wide.len(), wide.data_type()), (250, &to));
        for row in 0..250 {
            assert_eq!(text(wide, row), text(&array, row), "{from} -> {to}, row {row}");
        }
        // A pruned scan against all rows filtered.
        let plain = |t: &D| matches!(t, D::Dictionary(..));
        for row in [1, 50, 123, 249] {
            if wide.is_null(row) || plain(&to) {
                continue;
            }
            for op in ["<", ">=", "=", "<>"] {
                let Some(predicate) = predicate(wide, row, op) else { continue };
                let options = ScanOptions::default().with_schema(asked.clone());
                let (pruned, _) = scan(&stored, options.with_predicate(predicate.clone())).unwrap();
                let all = RecordBatch::try_new(asked.clone(), vec![wide.clone()]).unwrap();
                let keep = predicate.bind(&asked).unwrap().evaluate(&all).unwrap();
                let expected = arrow_select::filter::filter_record_batch(&all, &keep).unwrap();
                // NaN is not equal to itself.
                let texts =
                    |batch: &RecordBatch| (0..batch.num_rows()).map(|n| text(batch.column(0), n)).collect::<Vec<_>>();
                assert_eq!(texts(&pruned), texts(&expected), "{from} -> {to}: {predicate}");
            }
        }
    }
}

fn predicate(array: &ArrayRef, row: usize, op: &str) -> Option<Predicate> {
    let literal = match array.data_type() {
        t if t.is_integer() || matches!(t, D::Decimal128(..) | D::Decimal64(..)) => text(array, row),
        D::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            value.is_finite().then(|| format!("{value:?}"))?
        }
        D::Utf8 | D::LargeUtf8 | D::Utf8View => {
            let text = arrow_cast::cast(&array.slice(row, 1), &D::Utf8).unwrap().as_string::<i32>().value(0).to_owned();
            format!("'{}'", text.replace('\'', "''"))
        }
        D::Timestamp(U::Microsecond, None) => {
            let micros: i64 = text(array, row).parse::<i128>().unwrap().div_euclid(1000) as i64;
            let text = arrow_cast::display::array_value_to_string(&TimestampMicrosecondArray::from(vec![micros]), 0);
            format!("timestamp '{}'", text.unwrap())
        }
        _ => return None,
    };
    sql::parse(&format!("c {op} {literal}")).ok()
}

#[test]
fn what_could_be_lost_is_refused_with_the_column_and_both_types() {
    let mut random = Random::new(2);
    let utc = D::Timestamp(U::Microsecond, Some("UTC".into()));
    for (from, to) in [
        (D::Int64, D::Int32),
        (D::Int32, D::UInt64),
        (D::UInt32, D::Int32),
        (D::Int64, D::Float64),
        (D::Int32, D::Float32),
        (D::Float64, D::Float32),
        (D::Int32, D::Decimal128(9, 0)),
        (D::Int32, D::Decimal128(11, 2)),
        (D::Int64, D::Decimal128(18, 0)),
        (D::Decimal128(18, 3), D::Decimal128(17, 3)),
        (D::Decimal128(18, 3), D::Decimal128(20, 2)),
        (D::Decimal128(18, 3), D::Decimal128(20, 6)),
        (D::Decimal128(18, 3), D::Float64),
        (D::Date32, utc.clone()),
        (D::Date32, D::Int32),
        (D::Timestamp(U::Nanosecond, None), D::Timestamp(U::Microsecond, None)),
        (D::Timestamp(U::Microsecond, None), utc.clone()),
        (utc, D::Date32),
        (D::Time64(U::Microsecond), D::Time32(U::Millisecond)),
        (D::Binary, D::Utf8),
        (D::Binary, D::FixedSizeBinary(3)),
        (D::Utf8, D::Int32),
        (D::Boolean, D::Int8),
        (D::Int8, D::Boolean),
        (D::Int8, D::Utf8),
    ] {
        let stored = file(&of("c", generate::array(&from, 5, Nulls::Some, None, &mut random)));
        let e = under(&stored, &schema(vec![Field::new("c", to.clone(), true)])).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)), "{from} -> {to}: {e}");
        assert_eq!(e.place().column.as_deref(), Some("c"));
        let expected = format!("the file has {from}, {to} is asked for, which cannot hold all of its values");
        assert_eq!(e.message(), expected);
    }
}

#[test]
fn instants_beyond_a_finer_unit_are_an_error() {
    let late: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![0, i64::MAX / 1000, i64::MIN / 1000 - 1]));
    let e = column(of("t", late.slice(0, 3)), D::Timestamp(U::Microsecond, None)).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)), "{e}");
    assert!(e.to_string().contains("column t: the Timestamp(ms) -9223372036854776 is beyond what Timestamp"), "{e}");
    let fine = column(of("t", late.slice(0, 2)), D::Timestamp(U::Microsecond, None)).unwrap();
    assert_eq!(fine.as_primitive::<TimestampMicrosecondType>().value(1), i64::MAX / 1000 * 1000);
    let day: ArrayRef = Arc::new(Date32Array::from(vec![40_000_000]));
    assert!(column(of("t", day.clone()), D::Timestamp(U::Nanosecond, None)).is_err());
    assert!(column(of("t", day), D::Timestamp(U::Microsecond, None)).is_ok());
    // Bounds that overflow drop nothing: the row is read, and fails.
    let stored = file(&of("t", late));
    let asked = schema(vec![Field::new("t", D::Timestamp(U::Nanosecond, None), true)]);
    let options = ScanOptions::default().with_schema(asked).with_predicate(col("t").eq("2000-01-01"));
    assert!(scan(&stored, options).is_err());
}

fn people() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int32Array::from_iter_values(0..250));
    let names: ArrayRef = Arc::new(StringArray::from_iter((0..250).map(|n| (n % 3 > 0).then(|| format!("n{n}")))));
    let fields = vec![Field::new("id", D::Int32, false), Field::new("name", D::Utf8, true)];
    RecordBatch::try_new(schema(fields), vec![ids, names]).unwrap()
}

#[test]
fn columns_go_by_name_and_missing_ones_are_null_or_their_default() {
    let stored = file(&people());
    let asked = schema(vec![
        Field::new("note", D::Utf8View, true),
        Field::new("name", D::LargeUtf8, true),
        Field::new("grade", D::Int16, false),
        Field::new("id", D::Int64, true),
    ]);
    let e = under(&stored, &asked).unwrap_err();
    let says = "column grade: the file does not have it, it may not be null, and it has no default";
    assert!(matches!(e, Error::Invalid(_)) && e.to_string().ends_with(says), "{e}");
    let options = || {
        let grade: ArrayRef = Arc::new(Int16Array::from(vec![7]));
        ScanOptions::default().with_schema(asked.clone()).with_default("grade", grade)
    };
    let (all, _) = scan(&stored, options()).unwrap();
    assert_eq!(all.schema(), asked);
    assert_eq!((all.num_rows(), all.column(0).null_count()), (250, 250));
    assert_eq!(all.column(1).as_string::<i64>().value(248), "n248");
    assert!(all.column(2).as_primitive::<Int16Type>().iter().all(|v| v == Some(7)));
    assert_eq!(all.column(3).as_primitive::<Int64Type>().values(), &(0..250).collect::<Vec<i64>>()[..]);

    // Of these columns only, also when none of them is in the file.
    let (some, _) = scan(&stored, options().with_columns(["grade", "note"]).with_limit(130)).unwrap();
    assert_eq!((some.num_rows(), some.num_columns()), (130, 2));
    // Predicates know the values that are not in the file.
    let count = |text: &str| {
        let (batch, counts) = scan(&stored, options().with_predicate(sql::parse(text).unwrap())).unwrap();
        (batch.num_rows(), counts.row_groups_skipped)
    };
    assert_eq!(count("grade = 7"), (250, 0));
    assert_eq!(count("grade <> 7"), (0, 3));
    assert_eq!(count("note is null and grade < 9"), (250, 0));
    assert_eq!(count("note = 'x'"), (0, 3));
    assert_eq!(count("id > 5000000000"), (0, 3));
    assert_eq!(count("id = 123 and grade = 7"), (1, 2));
    assert_eq!(count("id = 123 or note = 'x'"), (1, 2));
    let one = options().with_predicate(col("id").eq(123i64)).with_columns(["note", "grade", "name"]);
    let (batch, counts) = scan(&stored, one).unwrap();
    assert_eq!((batch.num_rows(), counts.rows_read), (1, 20), "one page is read: {counts:?}");

    for (default, says) in [
        (Arc::new(Int32Array::from(vec![1])) as ArrayRef, "its default is 1 of Int32, wanted is one Int16"),
        (Arc::new(Int16Array::from(vec![1, 2])), "its default is 2 of Int16, wanted is one Int16"),
        (Arc::new(Int16Array::from(vec![None])), "its default is null, and it may not be"),
    ] {
        let e = scan(&stored, options().with_default("grade", default)).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains(says), "{e}");
    }
    let e = scan(&stored, options().with_columns(["nam"])).unwrap_err();
    assert!(e.to_string().ends_with("there is no column nam; the columns are note, name, grade, id"), "{e}");
    let e = scan(&stored, options().with_predicate(col("other").eq(1))).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)), "{e}");
}

#[test]
fn a_column_that_may_not_be_null_has_no_nulls_or_is_an_error() {
    let stored = file(&people());
    let required = |name: &str, t: D| schema(vec![Field::new(name, t, false)]);
    for t in [D::Utf8, D::LargeUtf8] {
        let e = under(&stored, &required("name", t)).unwrap_err();
        let says = "column name: it has nulls, and the schema asked for says that it has none";
        assert!(matches!(e, Error::Invalid(_)) && e.to_string().ends_with(says), "{e}");
    }
    let batch = people().slice(1, 2);
    assert!(under(&file(&batch), &required("name", D::Utf8)).is_ok());
}

fn with_id(field: Field, id: i32) -> Field {
    field.with_metadata([("PARQUET:field_id".to_owned(), id.to_string())].into())
}

#[test]
fn columns_go_by_field_id_under_any_name() {
    let inner = |a: &str, b: &str, t: D| {
        D::Struct(Fields::from(vec![with_id(Field::new(a, t, true), 21), with_id(Field::new(b, D::Utf8, true), 22)]))
    };
    let fields = vec![
        with_id(Field::new("id", D::Int32, true), 1),
        with_id(Field::new("s", inner("x", "y", D::Int32), true), 2),
    ];
    let (x, y): (ArrayRef, ArrayRef) =
        (Arc::new(Int32Array::from(vec![10, 20])), Arc::new(StringArray::from(vec!["a", "b"])));
    let D::Struct(parts) = fields[1].data_type().clone() else { panic!() };
    let s: ArrayRef = Arc::new(StructArray::new(parts, vec![x, y], Some(NullBuffer::from(vec![true, false]))));
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
    let stored = file(&RecordBatch::try_new(schema(fields), vec![ids, s]).unwrap());

    let swapped = D::Struct(Fields::from(vec![
        with_id(Field::new("new", D::Boolean, true), 23),
        with_id(Field::new("x", D::LargeUtf8, true), 22),
        with_id(Field::new("y", D::Int64, true), 21),
    ]));
    let asked = schema(vec![
        with_id(Field::new("id", swapped, true), 2),
        with_id(Field::new("s", D::Int64, true), 1),
        with_id(Field::new("z", D::Int64, true), 9),
    ]);
    let by_id = ScanOptions::default().with_schema(asked.clone()).with_matching(Matching::FieldId);
    let (batch, _) = scan(&stored, by_id).unwrap();
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert_eq!(batch.column(2).null_count(), 2);
    let s = batch.column(0).as_struct();
    assert_eq!((s.is_valid(0), s.is_valid(1), s.column(0).is_null(0)), (true, false, true));
    assert_eq!(s.column(1).as_string::<i64>().value(0), "a");
    assert_eq!(s.column(2).as_primitive::<Int64Type>().value(0), 10);

    let e = under(&stored, &asked).unwrap_err();
    assert!(e.to_string().contains("column id: the file has Int32, Struct("), "by name: {e}");
    let asked = schema(vec![Field::new("id", D::Int64, true)]);
    let e = scan(&stored, ScanOptions::default().with_schema(asked).with_matching(Matching::FieldId)).unwrap_err();
    assert!(e.to_string().contains("column id: columns are matched by field id, and it has none"), "{e}");
}

#[test]
fn nested_fields_are_widened_added_dropped_and_turned_round() {
    // c: list<struct<a: int32, b: utf8>>, m: map<utf8, float32>
    let parts = Fields::from(vec![Field::new("a", D::Int32, false), Field::new("b", D::Utf8, true)]);
    let a: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3, 4]));
    let b: ArrayRef = Arc::new(StringArray::from(vec![Some("p"), None, Some("q"), Some("r")]));
    let items: ArrayRef =
        Arc::new(StructArray::new(parts.clone(), vec![a, b], Some(NullBuffer::from(vec![true, true, false, true]))));
    let lists = OffsetBuffer::<i32>::from_lengths([2, 0, 0, 2]);
    let item = Arc::new(Field::new("item", D::Struct(parts), true));
    let nulls = Some(NullBuffer::from(vec![true, false, true, true]));
    let c: ArrayRef = Arc::new(ListArray::new(item, lists, items, nulls));
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["k", "l", "k"]));
    let values: ArrayRef = Arc::new(Float32Array::from(vec![Some(0.5), None, Some(2.0)]));
    let pair = Fields::from(vec![Field::new("keys", D::Utf8, false), Field::new("values", D::Float32, true)]);
    let entries = StructArray::new(pair.clone(), vec![keys, values], None);
    let field = Arc::new(Field::new("entries", D::Struct(pair), false));
    let m: ArrayRef =
        Arc::new(MapArray::new(field, OffsetBuffer::<i32>::from_lengths([1, 0, 2, 0]), entries, None, false));
    let stored = file(&RecordBatch::try_from_iter_with_nullable([("c", c, true), ("m", m, true)]).unwrap());

    let asked_item = |fields: Vec<Field>| D::LargeList(Arc::new(Field::new("element", D::Struct(fields.into()), true)));
    let asked_map = |key: D, value: D| {
        let pair = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
        D::Map(Arc::new(Field::new("key_value", D::Struct(pair), false)), false)
    };
    let asked = |item: D, map: D| schema(vec![Field::new("m", map, true), Field::new("c", item, true)]);
    let item = vec![Field::new("n", D::Int8, true), Field::new("d", D::Int8, false), Field::new("a", D::Int64, false)];
    let wide = asked(asked_item(item.clone()), asked_map(D::LargeUtf8, D::Float64));
    let nine: ArrayRef = Arc::new(Int8Array::from(vec![9]));
    let options = |asked: &SchemaRef| ScanOptions::default().with_schema(asked.clone());
    let (batch, _) = scan(&stored, options(&wide).with_default("c.element.d", nine)).unwrap();
    assert_eq!(batch.schema(), wide);
    let c = batch.column(1).as_list::<i64>();
    assert_eq!((c.value_length(0), c.is_null(1), c.value_length(2), c.value_length(3)), (2, true, 0, 2));
    let items = c.values().as_struct();
    assert_eq!((0..4).map(|n| items.is_valid(n)).collect::<Vec<_>>(), [true, true, false, true]);
    assert_eq!(items.column(0).null_count(), 4);
    assert_eq!(items.column(1).as_primitive::<Int8Type>().value(3), 9);
    let a = items.column(2).as_primitive::<Int64Type>();
    assert_eq!((a.value(0), a.value(1), a.value(3)), (1, 2, 4));
    let m = batch.column(0).as_map();
    assert_eq!(m.keys().as_string::<i64>().iter().flatten().collect::<Vec<_>>(), ["k", "l", "k"]);
    assert_eq!(m.values().as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(0.5), None, Some(2.0)]);

    let e = scan(&stored, options(&wide)).unwrap_err();
    let says = "column c.element.d: the file does not have it, it may not be null, and it has no default";
    assert!(e.to_string().ends_with(says), "{e}");
    let narrow = vec![Field::new("a", D::Int16, true)];
    let e = scan(&stored, options(&asked(asked_item(narrow), asked_map(D::Utf8, D::Float32)))).unwrap_err();
    assert!(e.to_string().contains("column c.element.a: the file has Int32, Int16 is asked for"), "{e}");
    let same = vec![Field::new("a", D::Int32, false)];
    let e = scan(&stored, options(&asked(asked_item(same.clone()), asked_map(D::Utf8, D::Float16)))).unwrap_err();
    assert!(e.to_string().contains("column m.value: the file has Float32, Float16 is asked for"), "{e}");
    let e = scan(&stored, options(&asked(D::Int32, asked_map(D::Utf8, D::Float32)))).unwrap_err();
    assert!(e.to_string().contains("column c: the file has List("), "{e}");
    // A field that may not be null and is.
    let required = vec![Field::new("b", D::Utf8, false)];
    let e = scan(&stored, options(&asked(asked_item(required), asked_map(D::Utf8, D::Float32)))).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)) && e.place().column.as_deref() == Some("c"), "{e}");
    // Every layout of lists.
    for list in [D::List, D::LargeList, D::ListView, D::LargeListView] {
        let asked =
            schema(vec![Field::new("c", list(Arc::new(Field::new("x", D::Struct(same.clone().into()), true))), true)]);
        match under(&stored, &asked) {
            Ok(batch) => assert_eq!((batch.num_rows(), batch.column(0).null_count()), (4, 1)),
            Err(e) => assert!(e.to_string().contains("is asked for"), "{e}"),
        }
    }
}

#[test]
fn the_files_own_schema_changes_nothing() {
    let mut random = Random::new(3);
    let types = generate::every_type();
    let all = generate::schema_of(&types, true);
    let columns = types.iter().map(|t| {
        let nulls = if *t == D::Null { Nulls::All } else { Nulls::Some };
        generate::array(t, 150, nulls, None, &mut random)
    });
    let stored = file(&RecordBatch::try_new(all.clone(), columns.collect()).unwrap());
    let (own, _) = scan(&stored, ScanOptions::default()).unwrap();
    let asked = under(&stored, &all).unwrap();
    assert_eq!(format!("{:?}", own.columns()), format!("{:?}", asked.columns()));
}

#[test]
fn int96_is_utc_if_asked() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/int96.parquet");
    let memory = Memory::new();
    memory.put("f", std::fs::read(path).unwrap()).unwrap();
    let stored = FileReader::open(memory.open("f").unwrap(), ReaderOptions::default()).unwrap();
    let field =
        stored.schema().fields().iter().find(|f| matches!(f.data_type(), D::Timestamp(U::Nanosecond, _))).unwrap();
    let asked =
        |zone: Option<Arc<str>>| schema(vec![Field::new(field.name(), D::Timestamp(U::Nanosecond, zone), true)]);
    let (utc, naive) = (under(&stored, &asked(Some("UTC".into()))).unwrap(), under(&stored, &asked(None)));
    assert_eq!(utc.num_rows() as u64, stored.rows());
    let (utc, own) = (utc.column(0).clone(), under(&stored, stored.schema()).unwrap());
    let own = own.column_by_name(field.name()).unwrap().clone();
    let counts = |array: &ArrayRef| array.as_primitive::<TimestampNanosecondType>().values().to_vec();
    assert_eq!(counts(&utc), counts(&own));
    assert_eq!(naive.is_ok(), matches!(field.data_type(), D::Timestamp(_, None)));
}
