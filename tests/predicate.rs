//! What bounds decide, what does not bind, and how a batch must look.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;

use arrow_array::*;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use hypostyle::predicate::{Bounds, ColumnBounds, ColumnPath, Verdict, col, sql};

fn schema_of(fields: &[(&str, DataType)]) -> Schema {
    Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>())
}

/// Bounds of one column `x` over ten rows, none of them NULL or NaN.
struct Ten(ColumnBounds);

impl Ten {
    fn between(min: ArrayRef, max: ArrayRef) -> Ten {
        Ten(ColumnBounds { min: Some(min), max: Some(max), null_count: Some(0), nan_count: Some(0) })
    }
}

impl Bounds for Ten {
    fn rows(&self) -> u64 {
        10
    }

    fn column(&self, _: &ColumnPath) -> ColumnBounds {
        self.0.clone()
    }
}

fn verdict(text: &str, data_type: DataType, bounds: &Ten) -> Verdict {
    sql::parse(text).unwrap().bind(&schema_of(&[("x", data_type)])).unwrap().prune(bounds)
}

#[test]
fn bounds_decide_what_they_can() {
    use Verdict::{AllMatch, Drop, Keep};
    let ints = Ten::between(Arc::new(Int32Array::from(vec![10])), Arc::new(Int32Array::from(vec![20])));
    for (text, expected) in [
        ("x > 20", Drop),
        ("x >= 20", Keep),
        ("x < 10.5", Keep),
        ("x < 9.5", Drop),
        ("x <= 20", AllMatch),
        ("x < 1e100", AllMatch),
        ("x = 10.5", Drop),
        ("x <> 10.5", AllMatch),
        ("x = 9", Drop),
        ("x <> 9", AllMatch),
        ("x in (1, 2, 30)", Drop),
        ("x not in (1, 2, 30)", AllMatch),
        ("x between 5 and 25", AllMatch),
        ("x between 21 and 25", Drop),
        ("not x > 20", AllMatch),
        ("x is null", Drop),
        ("x is not null", AllMatch),
        ("x > 20 or x < 10", Drop),
        ("x > 5 and x < 25", AllMatch),
        ("x = NULL", Drop),
        ("(x = NULL) is unknown", AllMatch),
        ("x = x", Keep),
    ] {
        assert_eq!(verdict(text, DataType::Int32, &ints), expected, "{text}");
    }
    let texts = Ten::between(Arc::new(StringArray::from(vec!["ua1"])), Arc::new(StringArray::from(vec!["ua9"])));
    for (text, expected) in [
        ("x like 'ua%'", AllMatch),
        ("x like 'ua1%'", Keep),
        ("x like 'ub%'", Drop),
        ("x like 'a%'", Drop),
        ("x like 'b_c%'", Drop),
        ("x like '%'", AllMatch),
        ("x like '%a'", Keep),
        ("x = 'zz'", Drop),
    ] {
        assert_eq!(verdict(text, DataType::Utf8, &texts), expected, "{text}");
    }
    let instants = |n| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![n]).with_timezone("UTC")) };
    let day = Ten::between(instants(1_356_998_400_000_000), instants(1_357_084_799_999_999));
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for (text, expected) in [
        ("x >= '2013-01-01T00:00:00Z'", AllMatch),
        ("x < '2013-01-02'", AllMatch),
        ("x >= TIMESTAMP '2013-01-02'", Drop),
        ("x >= '2013-01-02T01:00:00+01:00'", Drop),
        ("x > DATE '2013-01-01'", Keep),
    ] {
        assert_eq!(verdict(text, utc.clone(), &day), expected, "{text}");
    }
}

#[test]
fn bounds_that_cannot_be_relied_on_drop_nothing() {
    use Verdict::{Drop, Keep};
    let int = |n| -> ArrayRef { Arc::new(Int32Array::from(vec![n])) };
    let float = |f: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![f])) };
    // Wrongly ordered; of another type; NULL; more than one.
    assert_eq!(verdict("x = 15", DataType::Int32, &Ten::between(int(20), int(10))), Keep);
    assert_eq!(verdict("x = 5", DataType::Int64, &Ten::between(int(10), int(20))), Keep);
    let null: ArrayRef = Arc::new(Int32Array::from(vec![None]));
    assert_eq!(verdict("x = 5", DataType::Int32, &Ten::between(null.clone(), null)), Keep);
    let two: ArrayRef = Arc::new(Int32Array::from(vec![10, 10]));
    assert_eq!(verdict("x = 5", DataType::Int32, &Ten::between(two.clone(), two)), Keep);
    // More NULLs than rows.
    let mut odd = Ten::between(int(1), int(2));
    odd.0.null_count = Some(11);
    assert_eq!(verdict("x is not null", DataType::Int32, &odd), Keep);
    // NaN for a bound; NaN perhaps among the values.
    let nan = Ten::between(float(f64::NAN), float(f64::NAN));
    assert_eq!(verdict("x = 5", DataType::Float64, &nan), Keep);
    let mut tainted = Ten::between(float(1.0), float(2.0));
    assert_eq!(verdict("x > 2", DataType::Float64, &tainted), Drop);
    tainted.0.nan_count = None;
    assert_eq!(verdict("x > 2", DataType::Float64, &tainted), Keep);
    assert_eq!(verdict("x < 1", DataType::Float64, &tainted), Drop);
    assert_eq!(verdict("x <= 2", DataType::Float64, &tainted), Keep);
    // -0.0 and 0.0 are one value, whichever way the bound was written.
    assert_eq!(verdict("x = 0", DataType::Float64, &Ten::between(float(0.0), float(0.0))), Verdict::AllMatch);
    assert_eq!(verdict("x < 0", DataType::Float64, &Ten::between(float(-0.0), float(0.0))), Drop);
    assert_eq!(verdict("x >= 0", DataType::Float64, &Ten::between(float(-0.0), float(3.0))), Verdict::AllMatch);
}

#[test]
fn what_does_not_bind_is_named() {
    let schema = schema_of(&[
        ("carrier", DataType::Utf8),
        ("delay", DataType::Int64),
        ("at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("ok", DataType::Boolean),
    ]);
    for (text, message) in [
        ("carier = 'UA'", "there is no column carier; those there are carrier, delay, at, ok"),
        ("carrier = 5", "column carrier: a value of type Utf8 cannot be compared with 5; write '5'"),
        (
            "delay > '5'",
            "column delay: a value of type Int64 cannot be compared with '5'; write the number without quotes",
        ),
        ("ok = 1", "column ok: a value of type Boolean cannot be compared with 1; write TRUE or FALSE"),
        ("delay", "column delay: a value of type Int64 cannot be compared with TRUE"),
        (
            "at > 'noon'",
            "column at: a value of type Timestamp(µs, \"UTC\") cannot be compared with 'noon'; write it as '2013-01-31T12:00:00Z'",
        ),
        ("delay = carrier", "delay and carrier: values of types Int64 and Utf8 cannot be compared"),
        ("delay like 'x%'", "column delay: LIKE wants a column of strings, not of type Int64"),
    ] {
        let e = sql::parse(text).unwrap().bind(&schema).unwrap_err();
        assert!(matches!(e, hypostyle::Error::Invalid(_)), "{e:?}");
        assert_eq!(e.to_string(), message);
    }
    let bound = sql::parse("delay > 5 and carrier = 'UA' and delay < 7").unwrap().bind(&schema).unwrap();
    assert_eq!(bound.columns(), ["delay", "carrier"]);
    let deep = (0..1000).fold(col("ok").is_true(), |p, _| !p);
    assert!(matches!(deep.bind(&schema), Err(hypostyle::Error::Limit(_))));
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    let bound = col("x").gt(5).bind(&schema_of(&[("x", DataType::Int32)])).unwrap();
    let other = |name: &str, array: ArrayRef| RecordBatch::try_from_iter([(name, array)]).unwrap();
    let e = bound.evaluate(&other("y", Arc::new(Int32Array::from(vec![1])))).unwrap_err();
    assert_eq!(e.to_string(), "column x: the condition asks for the column, but the batch lacks it");
    let e = bound.evaluate(&other("x", Arc::new(Int64Array::from(vec![1])))).unwrap_err();
    assert_eq!(e.to_string(), "column x: the condition was bound to type Int32, the batch has Int64");
    let empty = bound.evaluate(&other("x", Arc::new(Int32Array::from(Vec::<i32>::new())))).unwrap();
    assert_eq!(empty.len(), 0);
}
