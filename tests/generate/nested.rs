//! Nested types and arrays of them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Int32Array, ListArray, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;

use super::{Nulls, Random};

/// Random types: what they are made of matters less than how they nest.
pub fn data_type() -> impl Strategy<Value = DataType> {
    nested(prop_oneof![Just(DataType::Int32), Just(DataType::Utf8)])
}

/// Random types of every leaf that can be written; but dictionaries, where a null may be the key's or the value's.
pub fn any_type() -> impl Strategy<Value = DataType> {
    let mut leaves = super::every_type();
    leaves.retain(|t| !matches!(t, DataType::Dictionary(..)));
    nested(prop::sample::select(leaves))
}

fn nested(leaf: impl Strategy<Value = DataType> + 'static) -> impl Strategy<Value = DataType> {
    leaf.prop_recursive(3, 12, 3, |inner| {
        let field = (inner, any::<bool>()).prop_map(|(t, n)| (t.clone(), n || t == DataType::Null));
        prop_oneof![
            field.clone().prop_map(|(t, n)| DataType::List(Arc::new(Field::new("element", t, n)))),
            field.clone().prop_map(|(t, n)| DataType::LargeList(Arc::new(Field::new("element", t, n)))),
            field.clone().prop_map(|(t, n)| DataType::FixedSizeList(Arc::new(Field::new("element", t, n)), 2)),
            field.clone().prop_map(|(t, n)| DataType::ListView(Arc::new(Field::new("element", t, n)))),
            field.clone().prop_map(|(t, n)| {
                let key = Arc::new(Field::new("key", DataType::Int32, false));
                let value = Arc::new(Field::new("value", t, n));
                let entries = Field::new("key_value", DataType::Struct(vec![key, value].into()), false);
                DataType::Map(Arc::new(entries), false)
            }),
            prop::collection::vec(field, 1..4).prop_map(|fields| {
                let fields = fields.into_iter().enumerate();
                DataType::Struct(fields.map(|(i, (t, n))| Field::new(format!("f{i}"), t, n)).collect())
            }),
        ]
    })
}

pub fn array(field: &Field, len: usize, r: &mut Random) -> ArrayRef {
    let nulls = field.is_nullable().then(|| (0..len).map(|_| r.below(4) > 0).collect::<NullBuffer>());
    let mut sizes = |max: u64| -> Vec<usize> { (0..len).map(|_| r.below(max) as usize).collect() };
    match field.data_type() {
        DataType::Int32 => {
            let values: Vec<i32> = (0..len).map(|_| r.below(1000) as i32).collect();
            Arc::new(Int32Array::new(values.into(), nulls))
        }
        DataType::Utf8 => {
            let values: Vec<String> = (0..len).map(|_| format!("s{}", r.below(1000))).collect();
            let plain = StringArray::from_iter_values(values);
            let (offsets, bytes, _) = plain.into_parts();
            Arc::new(StringArray::new(offsets, bytes, nulls))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|f| array(f, len, r)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, nulls))
        }
        DataType::List(f) => {
            let offsets = OffsetBuffer::<i32>::from_lengths(sizes(4));
            let values = array(f, offsets[len] as usize, r);
            Arc::new(ListArray::new(f.clone(), offsets, values, nulls))
        }
        DataType::LargeList(f) => {
            let offsets = OffsetBuffer::<i64>::from_lengths(sizes(4));
            let values = array(f, offsets[len] as usize, r);
            Arc::new(arrow_array::LargeListArray::new(f.clone(), offsets, values, nulls))
        }
        DataType::FixedSizeList(f, n) => {
            let values = array(f, len * *n as usize, r);
            Arc::new(
                arrow_array::FixedSizeListArray::try_new_with_length(f.clone(), *n, values, nulls, len).expect("fits"),
            )
        }
        DataType::ListView(f) => {
            // Views overlap and stand in any order.
            let sizes: Vec<i32> = sizes(4).into_iter().map(|s| s as i32).collect();
            let starts: Vec<i32> = (0..len).map(|_| r.below(5) as i32).collect();
            let values = array(f, 8, r);
            let (starts, sizes) = (ScalarBuffer::from(starts), ScalarBuffer::from(sizes));
            Arc::new(arrow_array::ListViewArray::new(f.clone(), starts, sizes, values, nulls))
        }
        DataType::Map(f, sorted) => {
            let offsets = OffsetBuffer::<i32>::from_lengths(sizes(3));
            let entries = array(f, offsets[len] as usize, r).as_struct().clone();
            Arc::new(arrow_array::MapArray::new(f.clone(), offsets, entries, nulls, *sorted))
        }
        leaf => {
            let some = if field.is_nullable() { Nulls::Some } else { Nulls::None };
            super::array(leaf, len, some, Some(30), r)
        }
    }
}
