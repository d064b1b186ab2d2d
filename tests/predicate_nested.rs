//! Fields of structs and elements of lists, against answers worked out row by row.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};
use hypostyle::predicate::{Predicate, col, sql};
use proptest::prelude::*;

type Lists = Vec<Option<Vec<Option<i64>>>>;

fn list(rows: &Lists) -> ListArray {
    let mut builder = ListBuilder::new(Int64Builder::new());
    rows.iter().for_each(|row| builder.append_option(row.clone()));
    builder.finish()
}

fn answers(text: &str, batch: &RecordBatch) -> Vec<Option<bool>> {
    let bound = sql::parse(text).unwrap().bind(&batch.schema()).unwrap_or_else(|e| panic!("{text}: {e}"));
    bound.evaluate(batch).unwrap().iter().collect()
}

/// What SQL says of `value = ANY (list)`, for any condition.
fn any_of(row: &Option<Vec<Option<i64>>>, holds: &dyn Fn(Option<i64>) -> Option<bool>) -> Option<bool> {
    let answers: Vec<Option<bool>> = row.as_ref()?.iter().map(|value| holds(*value)).collect();
    match () {
        () if answers.contains(&Some(true)) => Some(true),
        () if answers.contains(&None) => None,
        () => Some(false),
    }
}

type Condition = (&'static str, fn(Option<i64>) -> Option<bool>);

const CONDITIONS: [Condition; 8] = [
    ("any(x) = 3", |v| v.map(|v| v == 3)),
    ("any(x) <> 3", |v| v.map(|v| v != 3)),
    ("any(x) > 5", |v| v.map(|v| v > 5)),
    ("any(x.element) between 2 and 4", |v| v.map(|v| (2..=4).contains(&v))),
    ("any(x) in (1, 7)", |v| v.map(|v| v == 1 || v == 7)),
    ("any(x.item) in (0, 2, 4, 6, 8, 10, 12, 14, 16)", |v| v.map(|v| v % 2 == 0)),
    ("any(x) in (1, null)", |v| v.and_then(|v| (v == 1).then_some(true))),
    ("any(x) is null", |v| Some(v.is_none())),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_element_is_asked(rows in prop::collection::vec(
        prop::option::weighted(0.9, prop::collection::vec(prop::option::weighted(0.8, 0i64..9), 0..4)), 1..20,
    ), start in 0usize..20) {
        let lists = list(&rows);
        let start = start.min(rows.len());
        let large = arrow_cast::cast(&lists, &DataType::LargeList(Arc::new(Field::new("item", DataType::Int64, true)))).unwrap();
        let of_structs = {
            let entry = Arc::new(Field::new("v", DataType::Int64, true));
            let values = StructArray::new(vec![entry].into(), vec![lists.values().clone()], None);
            let element = Arc::new(Field::new("element", values.data_type().clone(), true));
            ListArray::new(element, lists.offsets().clone(), Arc::new(values), lists.nulls().cloned())
        };
        for (text, holds) in CONDITIONS {
            let expected: Vec<Option<bool>> = rows.iter().map(|row| any_of(row, &holds)).collect();
            for (name, array, text) in [
                ("list", Arc::new(lists.clone()) as ArrayRef, text.to_owned()),
                ("large", large.clone(), text.to_owned()),
                ("structs", Arc::new(of_structs.clone()), text.replace("x.element", "x").replace("x.item", "x").replace("(x)", "(x.v)")),
            ] {
                let batch = RecordBatch::try_from_iter_with_nullable([("x", array, true)]).unwrap();
                prop_assert_eq!(&answers(&text, &batch), &expected, "{} {}", name, text);
                let tail = batch.slice(start, rows.len() - start);
                prop_assert_eq!(&answers(&text, &tail), &expected[start..], "{} {} from {}", name, text, start);
                let denied: Vec<Option<bool>> = expected.iter().map(|is| is.map(|is| !is)).collect();
                prop_assert_eq!(&answers(&format!("not {text}"), &batch), &denied);
            }
        }
    }
}

fn nested() -> RecordBatch {
    let city: ArrayRef = Arc::new(StringArray::from(vec![Some("Paris"), None, Some("Rome"), Some("Oslo")]));
    let zip: ArrayRef =
        Arc::new(DictionaryArray::<types::Int8Type>::from_iter([Some("1"), Some("2"), None, Some("1")]));
    let fields = vec![
        Arc::new(Field::new("city", DataType::Utf8, true)),
        Arc::new(Field::new("zip code", zip.data_type().clone(), true)),
    ];
    // The last row has no address, whatever its fields hold.
    let nulls = NullBuffer::from(vec![true, true, true, false]);
    let address: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![city, zip], Some(nulls)));
    let outer = Arc::new(Field::new("address", address.data_type().clone(), true));
    let person: ArrayRef = Arc::new(StructArray::new(vec![outer].into(), vec![address], None));
    let mut scores = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in [&[("a", Some(1)), ("b", None)][..], &[], &[("c", Some(3))]] {
        row.iter().for_each(|(key, value)| {
            scores.keys().append_value(key);
            scores.values().append_option(*value);
        });
        scores.append(true).unwrap();
    }
    scores.append(false).unwrap();
    let inner = list(&vec![Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(2)]), Some(vec![Some(3)])]);
    let element = Arc::new(Field::new("element", inner.data_type().clone(), true));
    let offsets = OffsetBuffer::<i32>::from_lengths([2, 0, 1, 2]);
    let deep = ListArray::new(element, offsets, Arc::new(inner), None);
    RecordBatch::try_from_iter_with_nullable([
        ("person", person, true),
        ("scores", Arc::new(scores.finish()) as ArrayRef, true),
        ("deep", Arc::new(deep), true),
    ])
    .unwrap()
}

#[test]
fn fields_of_structs_are_null_where_the_struct_is() {
    let batch = nested();
    let (t, f, u) = (Some(true), Some(false), None);
    for (text, expected) in [
        ("person.address.city = 'Paris'", [t, u, f, u]),
        ("person.address.city is null", [f, t, f, t]),
        ("person.address is null", [f, f, f, t]),
        ("person is null", [f, f, f, f]),
        ("person.address.\"zip code\" = '1'", [t, f, u, u]),
        ("person.address.city like '%o%' or person.address.\"zip code\" > '1'", [f, t, t, u]),
        ("any(scores.key) = 'b'", [t, f, f, u]),
        ("any(scores.value) >= 3", [u, f, t, u]),
        ("any(scores.value) is null", [t, f, f, u]),
        ("scores is null", [f, f, f, t]),
        ("any(deep) = 2", [u, f, f, t]),
        ("any(deep) = 1", [t, f, f, f]),
        ("not any(deep) = 3", [u, t, t, f]),
        ("starts_with(person.address.city, 'Pa')", [t, u, f, u]),
    ] {
        assert_eq!(answers(text, &batch), expected, "{text}");
    }
}

#[test]
fn what_leads_nowhere_is_named() {
    let schema = nested().schema();
    let fails = |predicate: Predicate| predicate.bind(&schema).unwrap_err().to_string();
    for (predicate, says) in [
        (col("person").field("name").eq("x"), "column person.name: there is no field name; those there are address"),
        (col("person").eq("x"), "column person: it is a struct: ask for a field of it, as in a.b"),
        (col("deep").eq(1), "column deep: it is a list: ask for any of its elements, as in any(tags) = 'x'"),
        (
            col("deep").field("x").eq(1),
            "column deep.x: x is in a list: any(…) around the path asks for one of its elements",
        ),
        (col("deep").any().field("x").eq(1), "column any(deep.x): there is no field x in values of type Int64"),
        (
            col("person").any().field("address").is_null(),
            "column any(person.address): there is no list in it: leave any(…) out",
        ),
        (col("scores").any().eq(1), "column any(scores): it is a map: ask for its key or its value, as in any(m.key)"),
        (col("persn").field("x").eq(1), "there is no column persn; those there are person, scores, deep"),
        (col("deep").any().eq(col("deep").any()), "any(deep) = any(deep): any(…) can be compared with constants only"),
        (
            col("deep").any().eq("x"),
            "column any(deep): a value of type Int64 cannot be compared with 'x'; write the number without quotes",
        ),
    ] {
        assert_eq!(fails(predicate), says);
    }
    let bound =
        sql::parse("person.address.city = 'x' and any(deep) > 1 and person is null").unwrap().bind(&schema).unwrap();
    assert_eq!(bound.columns(), ["person", "deep"]);
    // A batch of another shape.
    let other = RecordBatch::try_from_iter([("x", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let e = col("x").eq(1).bind(&other.schema()).unwrap().evaluate(&nested()).unwrap_err();
    assert!(e.to_string().contains("the batch lacks it"), "{e}");
    let lists = RecordBatch::try_from_iter([("x", Arc::new(list(&vec![Some(vec![Some(1)])])) as ArrayRef)]).unwrap();
    let bound = col("x").any().eq(1).bind(&lists.schema()).unwrap();
    assert!(bound.evaluate(&other).is_err());
    let texts: ArrayRef = Arc::new({
        let mut builder = ListBuilder::new(StringBuilder::new());
        builder.append_value([Some("a")]);
        builder.finish()
    });
    assert!(bound.evaluate(&RecordBatch::try_from_iter([("x", texts)]).unwrap()).is_err());
}
