//! Arrow layouts, sliced: lists, views, dictionaries, runs, decimals of every width.

use std::sync::Arc;

use arrow_array::builder::*;
use arrow_array::types::*;
use arrow_array::*;
use arrow_buffer::{NullBuffer, OffsetBuffer, i256};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Memory, Storage};

use super::file::*;

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
fn dictionaries_and_runs_of_nested_values_are_written_as_the_values() {
    let item = Arc::new(Field::new("item", DataType::LargeUtf8, true));
    let words: LargeStringArray = [Some("a"), None, Some("b"), Some("c")].into_iter().collect();
    let nulls = Some(NullBuffer::from(vec![true, true, false, true]));
    // [a, NULL], [], NULL, [b, c]
    let offsets = OffsetBuffer::new(vec![0, 2, 2, 2, 4].into());
    let lists: ArrayRef = Arc::new(ListArray::new(item.clone(), offsets, Arc::new(words), nulls));
    let keys = Int8Array::from(vec![Some(3), None, Some(0), Some(1), Some(2), Some(0), Some(3)]);
    let dictionary: ArrayRef = Arc::new(DictionaryArray::new(keys, lists.clone()));
    let says = ["[b, c]", "NULL", "[a, NULL]", "[]", "NULL", "[a, NULL]", "[b, c]"];
    let ends = Int16Array::from(vec![2, 3, 6, 7]);
    let runs: ArrayRef = Arc::new(RunArray::try_new(&ends, lists.as_ref()).unwrap());
    let in_runs = ["[a, NULL]", "[a, NULL]", "[]", "NULL", "NULL", "NULL", "[b, c]"];
    let pairs = |number: ArrayRef| -> ArrayRef {
        let fields =
            vec![Field::new("x", dictionary.data_type().clone(), true), Field::new("n", DataType::Int32, false)];
        Arc::new(StructArray::new(fields.into(), vec![dictionary.clone(), number], None))
    };
    let structs = pairs(Arc::new(Int32Array::from_iter_values(0..7)));
    let of_structs: ArrayRef =
        Arc::new(DictionaryArray::new(UInt32Array::from(vec![Some(6), Some(1), None, Some(6)]), structs));
    let in_structs = ["{x: [b, c], n: 6}", "{x: NULL, n: 1}", "NULL", "{x: [b, c], n: 6}"];
    for (array, says) in [(dictionary.clone(), &says[..]), (runs, &in_runs[..]), (of_structs, &in_structs[..])] {
        for (from, length) in [(0, array.len()), (1, 3), (2, 1), (0, 0)] {
            let batch = one(Field::new("a", array.data_type().clone(), true), array.slice(from, length));
            let (bytes, written) = write(&batch, WriterOptions::default());
            let got = read(&bytes);
            assert_eq!(text(got.column(0)), &says[from..from + length], "{}", array.data_type());
            let field = got.schema().field(0).clone();
            assert!(!matches!(field.data_type(), DataType::Dictionary(..) | DataType::RunEndEncoded(..)));
            assert!(field.data_type().to_string().contains("LargeUtf8"), "what is inside is as it was: {field}");
            // A file of the values themselves is of the same schema.
            assert!(written.metadata.schema.iter().any(|e| e.name == "element"));
            if length > 0 {
                assert_eq!(
                    text(judged_by_the_other_crate(&without_arrow_schema(&bytes)).column(0)),
                    text(got.column(0))
                );
            }
        }
    }
    // Without a value, all is null.
    let none = DictionaryArray::new(Int8Array::from(vec![None, None]), lists.slice(0, 0));
    assert_eq!(text(read(&write(&plain(none), WriterOptions::default()).0).column(0)), ["NULL", "NULL"]);
    // A null among the values is one of the column, and refused where that has none.
    let null = one(Field::new("a", dictionary.data_type().clone(), true), dictionary.slice(4, 1));
    let schema = Arc::new(Schema::new(vec![Field::new("a", dictionary.data_type().clone(), false)]));
    let mut writer = FileWriter::new(Memory::new().create("f").unwrap(), schema, WriterOptions::default()).unwrap();
    assert_eq!(writer.write(&null).unwrap_err().kind(), "invalid");
}
