//! Shredding and assembling are each other's inverse, over random types and values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, ListArray, StringArray, StructArray, UInt32Array, new_null_array};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef};
use proptest::prelude::*;

use super::assemble::{LeafSlots, assemble};
use super::node::Node;
use super::shred::{LeafEntries, shred};

/// Random types: what they are made of matters less than how they nest.
pub(super) fn data_type() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![Just(DataType::Int32), Just(DataType::Utf8)];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let field = (inner, any::<bool>());
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

/// Numbers without end, from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn array(field: &Field, len: usize, r: &mut Random) -> ArrayRef {
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
        other => unreachable!("{other}"),
    }
}

/// What a reader makes of a leaf's entries: a slot for each that has one.
fn slots(entries: &LeafEntries, node: &Node) -> LeafSlots {
    let mut leaf = None;
    node.leaves(&mut |l, n| {
        if n == entries.leaf {
            leaf = Some((l.slot, l.present, l.field.clone()));
        }
    });
    let (slot, present, field) = leaf.expect("the leaf");
    let mut next = 0u32;
    let def = entries.def.clone().unwrap_or_else(|| vec![present; entries.entries]);
    let picks: UInt32Array = def
        .iter()
        .filter(|&&d| d >= slot)
        .map(|&d| {
            (d >= present).then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let slots = if entries.values.is_empty() {
        new_null_array(field.data_type(), picks.len())
    } else {
        arrow_select::take::take(&entries.values, &picks, None).expect("takes")
    };
    LeafSlots {
        rep: entries.rep.clone().unwrap_or_default(),
        def: entries.def.clone().unwrap_or_default(),
        slots: Some(slots),
        rows: 0,
    }
}

fn round_trip(field: &FieldRef, array: &ArrayRef) -> ArrayRef {
    let (node, leaves) = Node::of_arrow(field, 0).expect("a tree");
    let entries = shred(&node, array).expect("shreds");
    assert_eq!(entries.len(), leaves);
    let mut slots: Vec<Option<LeafSlots>> = entries.iter().map(|e| Some(slots(e, &node))).collect();
    assemble(&node, array.len(), &mut |n| slots[n].take()).expect("assembles")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn assemble_undoes_shred(data_type in data_type(), nullable: bool, len in 0usize..30, seed: u64, cut in 0usize..10) {
        let field: FieldRef = Arc::new(Field::new("x", data_type, nullable));
        let whole = array(&field, len, &mut Random(seed));
        let cut = cut.min(len);
        // A slice too: offsets do not begin at 0 there.
        for array in [whole.clone(), whole.slice(cut, len - cut)] {
            let back = round_trip(&field, &array);
            prop_assert_eq!(back.len(), array.len());
            let comparator = arrow_cast::display::ArrayFormatter::try_new(&array, &Default::default()).expect("formats");
            let other = arrow_cast::display::ArrayFormatter::try_new(&back, &Default::default()).expect("formats");
            for row in 0..array.len() {
                prop_assert_eq!(array.is_null(row), back.is_null(row));
                prop_assert_eq!(comparator.value(row).to_string(), other.value(row).to_string());
            }
        }
    }
}

/// The levels of [[1, null], null, [], [3]] as the specification has them.
#[test]
fn the_levels_of_a_list() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
        Some(vec![Some(3)]),
    ]);
    let field: FieldRef = Arc::new(Field::new("a", list.data_type().clone(), true));
    let (node, _) = Node::of_arrow(&field, 0).expect("a tree");
    let entries = shred(&node, &(Arc::new(list) as ArrayRef)).expect("shreds").remove(0);
    assert_eq!(entries.rep, Some(vec![0, 1, 0, 0, 0]));
    assert_eq!(entries.def, Some(vec![3, 2, 0, 1, 3]));
    assert_eq!(entries.values.as_primitive::<Int32Type>().values(), &[1, 3]);
}

#[test]
fn a_null_where_none_may_be_is_the_callers_mistake() {
    let field: FieldRef = Arc::new(Field::new("a", DataType::Int32, false));
    let (node, _) = Node::of_arrow(&field, 0).expect("a tree");
    let array: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let e = shred(&node, &array).expect_err("a null");
    assert_eq!(e.to_string(), "column a: a null in \"a\", which the schema calls not nullable");
}

#[test]
fn contradicting_leaves_are_corrupt() {
    let fields = vec![Field::new("b", DataType::Int32, false), Field::new("c", DataType::Int32, false)];
    let element = Field::new("element", DataType::Struct(fields.into()), false);
    let field: FieldRef = Arc::new(Field::new("a", DataType::List(Arc::new(element)), false));
    let (node, _) = Node::of_arrow(&field, 0).expect("a tree");
    let leaf = |rep: Vec<u16>, def: Vec<u16>, n: i32| {
        let slots: ArrayRef = Arc::new(Int32Array::from_iter_values(0..n));
        Some(LeafSlots { rep, def, slots: Some(slots), rows: 0 })
    };
    let mut good = [leaf(vec![0, 1, 0], vec![1, 1, 1], 3), leaf(vec![0, 1, 0], vec![1, 1, 1], 3)];
    assert!(assemble(&node, 2, &mut |n| good[n].take()).is_ok());
    let mut short = [leaf(vec![0, 1, 0], vec![1, 1, 1], 3), leaf(vec![0, 0], vec![1, 1], 2)];
    let e = assemble(&node, 2, &mut |n| short[n].take()).expect_err("lengths differ");
    assert!(e.to_string().contains("2 values of \"c\" in 3 structs"), "{e}");
    let mut headless = [leaf(vec![1, 1, 0], vec![1, 1, 1], 3), leaf(vec![1, 1, 0], vec![1, 1, 1], 3)];
    let e = assemble(&node, 1, &mut |n| headless[n].take()).expect_err("no first row");
    assert!(e.to_string().contains("the first repetition level is not 0"), "{e}");
    let mut rows = [leaf(vec![0, 1, 0], vec![1, 1, 1], 3), leaf(vec![0, 1, 0], vec![1, 1, 1], 3)];
    assert!(assemble(&node, 5, &mut |n| rows[n].take()).is_err());
}
