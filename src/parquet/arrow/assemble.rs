//! Levels and leaf values → nested Arrow values.
//!
//! Offsets and validity of a list or struct come from the levels of its first leaf; that its other leaves
//! agree is checked by their lengths.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, LargeListArray, LargeListViewArray, ListArray, ListViewArray, MapArray,
    StructArray, UInt64Array, make_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;
use arrow_select::take::take;

use super::level_bits::{BLOCK, bits, compress};
use super::node::{Kind, Node};
use crate::error::{Error, Result};
use crate::null;

/// A leaf's decoded column: one level pair per entry, one value slot per entry that is one.
#[derive(Debug, Clone, Default)]
pub struct LeafSlots {
    /// Repetition levels; empty stands for zeros.
    pub rep: Vec<u16>,
    /// Definition levels; empty stands for the leaf's greatest.
    pub def: Vec<u16>,
    /// One slot per entry with `def >= leaf.slot`, null where `def < leaf.present`.
    pub slots: Option<ArrayRef>,
}

/// Builds the array of `node` from its leaves; `leaf(n)` gives column `n`, once each is taken.
///
/// # Errors
/// [`Error::Corrupt`] when leaves contradict each other.
pub fn assemble(node: &Node, rows: usize, leaf: &mut impl FnMut(usize) -> Option<LeafSlots>) -> Result<ArrayRef> {
    let built = build(node, rows, leaf)?;
    if built.array.len() != rows {
        let got = built.array.len();
        return Err(Error::corrupt(format!("{got} values in {rows} rows")).in_column(node.field.name()));
    }
    Ok(built.array)
}

/// A node's array, with the levels of its first leaf for the nodes above.
struct Built {
    array: ArrayRef,
    rep: Vec<u16>,
    def: Vec<u16>,
    /// The levels are those of a leaf (and not of a struct without fields).
    has_levels: bool,
}

fn build(node: &Node, rows: usize, leaf: &mut impl FnMut(usize) -> Option<LeafSlots>) -> Result<Built> {
    match &node.kind {
        Kind::Leaf(number) => {
            let taken = leaf(*number).unwrap_or_default();
            let Some(array) = taken.slots else {
                return Err(Error::corrupt("a leaf's values are missing").in_column(node.field.name()));
            };
            let entries = taken.def.len().max(taken.rep.len()).max(if node.present == 0 { array.len() } else { 0 });
            let fill = |levels: Vec<u16>, level| if levels.is_empty() { vec![level; entries] } else { levels };
            Ok(Built { array, rep: fill(taken.rep, 0), def: fill(taken.def, node.present), has_levels: true })
        }
        Kind::Struct(children) => build_struct(node, children, rows, leaf),
        Kind::List(element) => {
            let child = build(element, rows, leaf)?;
            let array = list(node, element, &child)?;
            Ok(Built { array, ..child })
        }
    }
}

fn build_struct(
    node: &Node,
    children: &[Node],
    rows: usize,
    leaf: &mut impl FnMut(usize) -> Option<LeafSlots>,
) -> Result<Built> {
    let mut arrays = Vec::with_capacity(children.len());
    let mut levels: Option<(Vec<u16>, Vec<u16>)> = None;
    for child in children {
        let built = build(child, rows, leaf)?;
        arrays.push(built.array);
        if levels.is_none() && built.has_levels {
            levels = Some((built.rep, built.def));
        }
    }
    let DataType::Struct(fields) = node.field.data_type() else {
        return Err(Error::invalid("a struct node without a struct type").in_column(node.field.name()));
    };
    let Some((rep, def)) = levels else {
        // No leaf below: nothing in the file says how many there are but the rows.
        let array: ArrayRef = Arc::new(StructArray::new_empty_fields(rows, None));
        return Ok(Built { array, rep: vec![], def: vec![], has_levels: false });
    };
    let (slots, validity) = validity(node, &rep, &def);
    if let Some((child, array)) = children.iter().zip(&arrays).find(|(_, a)| a.len() != slots) {
        let message = format!("{} values of \"{}\" in {slots} structs", array.len(), child.field.name());
        return Err(Error::corrupt(message).in_column(node.field.name()));
    }
    let array = StructArray::try_new_with_length(fields.clone(), arrays, validity, slots)
        .map_err(|e| Error::corrupt(e.to_string()).in_column(node.field.name()))?;
    Ok(Built { array: Arc::new(array), rep, def, has_levels: true })
}

fn list(node: &Node, element: &Node, child: &Built) -> Result<ArrayRef> {
    let (slots, validity) = validity(node, &child.rep, &child.def);
    // Where each slot's elements begin, and where the last one's end.
    let mut offsets = Vec::with_capacity(slots + 1);
    let mut elements = 0usize;
    for (rep, def) in child.rep.chunks(BLOCK).zip(child.def.chunks(BLOCK)) {
        let mut begins = bits(rep, |r| r <= node.rep) & bits(def, |d| d >= node.slot);
        let holds = bits(rep, |r| r <= element.rep) & bits(def, |d| d >= element.slot);
        while begins != 0 {
            let before = (begins & begins.wrapping_neg()) - 1;
            offsets.push(elements + (holds & before).count_ones() as usize);
            begins &= begins - 1;
        }
        elements += holds.count_ones() as usize;
    }
    offsets.push(elements);
    if offsets.first().is_some_and(|&first| first > 0) {
        return Err(corrupt(node, "the first repetition level is not 0"));
    }
    if elements != child.array.len() {
        let got = child.array.len();
        return Err(corrupt(node, format!("{got} elements where the levels tell of {elements}")));
    }
    layout(node, child.array.clone(), &offsets, validity)
}

/// Puts elements and the offsets of slots into the list's Arrow layout.
pub fn layout(node: &Node, values: ArrayRef, offsets: &[usize], nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    let broken = |e: arrow_schema::ArrowError| corrupt(node, e.to_string());
    let slots = offsets.len().saturating_sub(1);
    let narrow = || -> Result<Vec<i32>> {
        match i32::try_from(values.len()) {
            Ok(_) => Ok(offsets.iter().map(|&o| o as i32).collect()),
            Err(_) => Err(Error::limit("a batch's lists hold 2^31 elements or more: read smaller batches")),
        }
    };
    let wide = || -> Vec<i64> { offsets.iter().map(|&o| o as i64).collect() };
    let sizes = offsets.iter().zip(offsets.iter().skip(1)).map(|(start, end)| end - start);
    Ok(match node.field.data_type() {
        DataType::List(f) => {
            let offsets = OffsetBuffer::new(narrow()?.into());
            Arc::new(ListArray::try_new(f.clone(), offsets, values, nulls).map_err(broken)?)
        }
        DataType::LargeList(f) => {
            let offsets = OffsetBuffer::new(wide().into());
            Arc::new(LargeListArray::try_new(f.clone(), offsets, values, nulls).map_err(broken)?)
        }
        DataType::Map(f, sorted) => {
            let entries = values.as_any().downcast_ref::<StructArray>().cloned();
            let entries = entries.ok_or_else(|| corrupt(node, "a map without entries"))?;
            let offsets = OffsetBuffer::new(narrow()?.into());
            Arc::new(MapArray::try_new(f.clone(), offsets, entries, nulls, *sorted).map_err(broken)?)
        }
        DataType::ListView(f) => {
            let mut starts = narrow()?;
            starts.truncate(slots);
            let sizes: Vec<i32> = sizes.map(|s| s as i32).collect();
            Arc::new(ListViewArray::try_new(f.clone(), starts.into(), sizes.into(), values, nulls).map_err(broken)?)
        }
        DataType::LargeListView(f) => {
            let mut starts = wide();
            starts.truncate(slots);
            let sizes: Vec<i64> = sizes.map(|s| s as i64).collect();
            Arc::new(
                LargeListViewArray::try_new(f.clone(), starts.into(), sizes.into(), values, nulls).map_err(broken)?,
            )
        }
        DataType::FixedSizeList(f, size) => {
            let values = fixed(node, values, offsets, nulls.as_ref(), *size)?;
            Arc::new(FixedSizeListArray::try_new_with_length(f.clone(), *size, values, nulls, slots).map_err(broken)?)
        }
        other => return Err(Error::invalid(format!("a list node of type {other}")).in_column(node.field.name())),
    })
}

/// The elements with room for those of null slots, which Parquet does not store but this layout wants.
fn fixed(node: &Node, values: ArrayRef, offsets: &[usize], nulls: Option<&NullBuffer>, size: i32) -> Result<ArrayRef> {
    let size = usize::try_from(size).unwrap_or(0);
    let mut picks: Vec<Option<u64>> = Vec::with_capacity(offsets.len().saturating_mul(size));
    let mut start = 0;
    for (slot, &end) in offsets.iter().skip(1).enumerate() {
        if nulls.is_some_and(|n| n.is_null(slot)) {
            picks.extend(std::iter::repeat_n(None, size));
        } else if end - start != size {
            return Err(corrupt(node, format!("{} elements in a list of always {size}", end - start)));
        } else {
            picks.extend((start..end).map(|i| Some(i as u64)));
        }
        start = end;
    }
    if nulls.is_none() {
        return Ok(values);
    }
    // Below a null slot an element that cannot be null must be something: the first there is, or a default.
    let element_nullable = super::node::element(node.field.data_type()).is_none_or(|f| f.is_nullable());
    if element_nullable {
        return Ok(take(values.as_ref(), &UInt64Array::from(picks), None)?);
    }
    let values = if values.is_empty() { zero(values.data_type())? } else { values };
    let filled: UInt64Array = picks.into_iter().map(|p| Some(p.unwrap_or(0))).collect();
    Ok(take(values.as_ref(), &filled, None)?)
}

/// One value of any type that is not null, and not seen either.
fn zero(data_type: &DataType) -> Result<ArrayRef> {
    fn strip(data: ArrayData) -> Result<ArrayData> {
        let children = data.child_data().iter().cloned().map(strip).collect::<Result<_>>()?;
        Ok(data.into_builder().nulls(None).child_data(children).build()?)
    }
    strip(null::one(data_type)?.to_data()).map(make_array)
}

/// How many slots the node has, and their validity, where one is missing. That holds for slots that cannot be null
/// themselves, too: they are missing where the struct around them is, and Arrow wants a null value below to have a null above.
fn validity(node: &Node, rep: &[u16], def: &[u16]) -> (usize, Option<NullBuffer>) {
    let mut slots = 0;
    let mut validity: Option<BooleanBufferBuilder> = None;
    for (rep, def) in rep.chunks(BLOCK).zip(def.chunks(BLOCK)) {
        let is_slot = bits(rep, |r| r <= node.rep) & bits(def, |d| d >= node.slot);
        let count = is_slot.count_ones() as usize;
        let is_present = bits(def, |d| d >= node.present);
        if validity.is_none() && is_slot & !is_present != 0 {
            let mut all = BooleanBufferBuilder::new(slots + def.len());
            all.append_n(slots, true);
            validity = Some(all);
        }
        if let Some(validity) = &mut validity {
            validity.append_packed_range(0..count, &compress(is_present, is_slot).to_le_bytes());
        }
        slots += count;
    }
    (slots, validity.map(|mut bits| NullBuffer::new(bits.finish())))
}

fn corrupt(node: &Node, message: impl Into<String>) -> Error {
    Error::corrupt(message).in_column(node.field.name())
}
