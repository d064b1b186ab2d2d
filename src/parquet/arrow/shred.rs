//! Nested Arrow values → levels and leaf values.
//!
//! The entries of a node are expanded to those of its children, level by level, from the root to each leaf; what
//! leaves share of their paths is done once. An entry that ends early (a null, an empty list) stays in its place
//! as a dead one, with the definition level that it reached.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type, RunEndIndexType};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::DataType;
use arrow_select::take::take;

use super::node::{Kind, Node};
use crate::error::{Error, Result};

/// What a leaf's column gets of one batch.
#[derive(Debug, Clone)]
pub struct LeafEntries {
    /// The column's number.
    pub leaf: usize,
    /// Repetition levels, one per entry; none where no list is on the path.
    pub rep: Option<Vec<u16>>,
    /// Definition levels, one per entry; none where nothing on the path can be missing.
    pub def: Option<Vec<u16>>,
    /// The values of the entries with the greatest definition level, in order, without nulls.
    pub values: ArrayRef,
    /// Entries in all.
    pub entries: usize,
}

/// An entry that has ended.
const DEAD: u32 = u32::MAX;

#[derive(Debug, Clone)]
struct Entries {
    rep: Vec<u16>,
    def: Vec<u16>,
    /// Index into the node's array, or [`DEAD`].
    at: Vec<u32>,
}

/// The entries of all leaves of `node`, for the rows of `array`.
///
/// # Errors
/// [`Error::Invalid`] for a null where the schema has none; [`Error::Limit`] for 2³² entries or more.
pub fn shred(node: &Node, array: &ArrayRef) -> Result<Vec<LeafEntries>> {
    let rows = u32::try_from(array.len()).ok().filter(|&n| n < DEAD).ok_or_else(too_many)?;
    let entries = Entries { rep: vec![0; array.len()], def: vec![0; array.len()], at: (0..rows).collect() };
    let mut out = Vec::new();
    descend(node, array, entries, &mut out).map_err(|e| e.in_column(node.field.name()))?;
    Ok(out)
}

fn descend(node: &Node, array: &ArrayRef, mut entries: Entries, out: &mut Vec<LeafEntries>) -> Result<()> {
    // Lists and structs know their nulls; of leaves, dictionaries hide them in their values.
    let nulls = array.logical_nulls().filter(|n| n.null_count() > 0);
    if node.field.is_nullable() {
        presence(&mut entries, nulls.as_ref(), node.present);
    } else if let Some(nulls) = &nulls {
        // A null in a slot that cannot be null is the caller's mistake; below a null parent it is none.
        if entries.at.iter().any(|&at| at != DEAD && nulls.is_null(at as usize)) {
            let name = node.field.name();
            return Err(Error::invalid(format!("a null in \"{name}\", which the schema calls not nullable")));
        }
    }
    let unpacked;
    let array = match &node.kind {
        Kind::Leaf(_) => array,
        _ => {
            unpacked = unpack(array, &mut entries)?;
            &unpacked
        }
    };
    match &node.kind {
        Kind::Leaf(leaf) => {
            let values = match stretch(&entries.at) {
                Some((start, count)) if start as usize + count <= array.len() => array.slice(start as usize, count),
                _ => {
                    let live: UInt32Array = entries.at.iter().copied().filter(|&at| at != DEAD).collect();
                    take(array.as_ref(), &live, None)?
                }
            };
            out.push(LeafEntries {
                leaf: *leaf,
                entries: entries.at.len(),
                rep: (node.rep > 0).then_some(entries.rep),
                def: (node.present > 0).then_some(entries.def),
                values,
            });
        }
        Kind::Struct(children) => {
            let array = array
                .as_struct_opt()
                .filter(|a| a.num_columns() == children.len())
                .ok_or_else(|| mismatch(node, array.data_type()))?;
            let (last, others) = match children.split_last() {
                Some(split) => split,
                None => return Ok(()),
            };
            for (child, column) in others.iter().zip(array.columns()) {
                descend(child, column, entries.clone(), out)?;
            }
            if let Some(column) = array.columns().last() {
                descend(last, column, entries, out)?;
            }
        }
        Kind::List(element) => {
            let (values, ranges) = ranges(array).ok_or_else(|| mismatch(node, array.data_type()))?;
            let entries = expand(&entries, &ranges, element.rep, element.slot)?;
            descend(element, &values, entries, out)?;
        }
    }
    Ok(())
}

/// Where the entries that have not ended begin and how many there are, if they lie one behind the other: the elements of lists
/// do, unless some are null.
fn stretch(at: &[u32]) -> Option<(u32, usize)> {
    let mut live = at.iter().copied().filter(|&at| at != DEAD);
    let Some(start) = live.next() else { return Some((0, 0)) };
    let mut count = 1;
    for at in live {
        if at != start.wrapping_add(count) {
            return None;
        }
        count = count.wrapping_add(1);
    }
    Some((start, count as usize))
}

/// The values that a dictionary or runs stand for, none of them repeated: the entries go to them.
fn unpack(array: &ArrayRef, entries: &mut Entries) -> Result<ArrayRef> {
    fn of_runs<R: RunEndIndexType>(array: &ArrayRef, live: &[u32]) -> Option<Result<(ArrayRef, Vec<usize>)>> {
        let runs = array.as_run_opt::<R>()?;
        let rows: Vec<R::Native> = live.iter().map(|&at| R::Native::from_usize(at as usize)).collect::<Option<_>>()?;
        Some(runs.get_physical_indices(&rows).map(|at| (Arc::clone(runs.values()), at)).map_err(Error::from))
    }
    let live: Vec<u32> = entries.at.iter().copied().filter(|&at| at != DEAD).collect();
    let (values, places) = if let Some(dictionary) = array.as_any_dictionary_opt() {
        // Without values all keys are null.
        let keys = if live.is_empty() { Vec::new() } else { dictionary.normalized_keys() };
        let keys = live.iter().filter_map(|&at| keys.get(at as usize).copied()).collect();
        (Arc::clone(dictionary.values()), keys)
    } else if let DataType::RunEndEncoded(..) = array.data_type() {
        let found = of_runs::<Int16Type>(array, &live)
            .or_else(|| of_runs::<Int32Type>(array, &live))
            .or_else(|| of_runs::<Int64Type>(array, &live));
        found.ok_or_else(too_many)??
    } else {
        return Ok(Arc::clone(array));
    };
    let mut places = places.into_iter();
    for at in entries.at.iter_mut().filter(|at| **at != DEAD) {
        *at = places.next().and_then(|at| u32::try_from(at).ok()).ok_or_else(too_many)?;
    }
    unpack(&values, entries)
}

/// Ends the entries that are null; the others reach `present`.
fn presence(entries: &mut Entries, nulls: Option<&NullBuffer>, present: u16) {
    for (at, def) in entries.at.iter_mut().zip(&mut entries.def) {
        if *at == DEAD {
            continue;
        }
        if nulls.is_some_and(|n| n.is_null(*at as usize)) {
            *at = DEAD;
        } else {
            *def = present;
        }
    }
}

/// The entries of a list's elements; empty lists end.
fn expand(entries: &Entries, ranges: &[(u32, u32)], element_rep: u16, element_def: u16) -> Result<Entries> {
    let live = entries.at.iter().filter(|&&at| at != DEAD);
    let total: u64 = live.map(|&at| u64::from(ranges.get(at as usize).map_or(0, |r| r.1).max(1))).sum::<u64>()
        + entries.at.len() as u64;
    if total >= u64::from(DEAD) {
        return Err(too_many());
    }
    let total = total as usize;
    let mut next =
        Entries { rep: Vec::with_capacity(total), def: Vec::with_capacity(total), at: Vec::with_capacity(total) };
    for ((&rep, &def), &at) in entries.rep.iter().zip(&entries.def).zip(&entries.at) {
        let (start, len) = match at {
            DEAD => (0, 0),
            at => ranges.get(at as usize).copied().unwrap_or_default(),
        };
        if len == 0 {
            next.rep.push(rep);
            next.def.push(def);
            next.at.push(DEAD);
            continue;
        }
        next.rep.push(rep);
        next.rep.extend(std::iter::repeat_n(element_rep, len as usize - 1));
        next.def.extend(std::iter::repeat_n(element_def, len as usize));
        next.at.extend(start..start + len);
    }
    Ok(next)
}

/// The elements of a list array, and start and length of each slot among them.
fn ranges(array: &ArrayRef) -> Option<(ArrayRef, Vec<(u32, u32)>)> {
    fn by_offsets<O: Copy + TryInto<u32>>(offsets: &[O]) -> Option<Vec<(u32, u32)>> {
        let starts = offsets.iter().map(|&o| o.try_into().ok()).collect::<Option<Vec<u32>>>()?;
        Some(starts.iter().zip(starts.iter().skip(1)).map(|(&a, &b)| (a, b.saturating_sub(a))).collect())
    }
    fn by_sizes<O: Copy + TryInto<u32>>(offsets: &[O], sizes: &[O]) -> Option<Vec<(u32, u32)>> {
        offsets.iter().zip(sizes).map(|(&o, &s)| Some((o.try_into().ok()?, s.try_into().ok()?))).collect()
    }
    Some(match array.data_type() {
        DataType::List(_) => {
            let a = array.as_list_opt::<i32>()?;
            (a.values().clone(), by_offsets(a.value_offsets())?)
        }
        DataType::LargeList(_) => {
            let a = array.as_list_opt::<i64>()?;
            (a.values().clone(), by_offsets(a.value_offsets())?)
        }
        DataType::Map(..) => {
            let a = array.as_map_opt()?;
            (Arc::new(a.entries().clone()), by_offsets(a.value_offsets())?)
        }
        DataType::FixedSizeList(..) => {
            let a = array.as_fixed_size_list_opt()?;
            let size = u32::try_from(a.value_length()).ok()?;
            let rows = u32::try_from(a.len()).ok()?;
            rows.checked_mul(size)?;
            (a.values().clone(), (0..rows).map(|i| (i * size, size)).collect())
        }
        DataType::ListView(_) => {
            let a = array.as_list_view_opt::<i32>()?;
            (a.values().clone(), by_sizes(a.value_offsets(), a.value_sizes())?)
        }
        DataType::LargeListView(_) => {
            let a = array.as_list_view_opt::<i64>()?;
            (a.values().clone(), by_sizes(a.value_offsets(), a.value_sizes())?)
        }
        _ => return None,
    })
}

fn mismatch(node: &Node, got: &DataType) -> Error {
    let field = &node.field;
    Error::invalid(format!("\"{}\" is {got}, the schema wants {}", field.name(), field.data_type()))
}

fn too_many() -> Error {
    Error::limit("a batch of 2^32 entries or more: write it in smaller ones")
}
