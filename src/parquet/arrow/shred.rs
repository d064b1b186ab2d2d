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
    let Some(&start) = at.iter().find(|&&at| at != DEAD) else { return Some((0, 0)) };
    let (mut next, mut are_stretch) = (start, true);
    // Without a branch, of which those at the ends of lists would not be foretold.
    for &at in at {
        are_stretch &= at == DEAD || at == next;
        next = next.wrapping_add(u32::from(at != DEAD));
    }
    are_stretch.then_some((start, next.wrapping_sub(start) as usize))
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
    let Some(nulls) = nulls else {
        for (at, def) in entries.at.iter().zip(&mut entries.def) {
            *def = if *at == DEAD { *def } else { present };
        }
        return;
    };
    for (at, def) in entries.at.iter_mut().zip(&mut entries.def) {
        if *at == DEAD {
            continue;
        }
        if nulls.is_null(*at as usize) {
            *at = DEAD;
        } else {
            *def = present;
        }
    }
}

/// The entries of a list's elements; empty lists end.
fn expand(entries: &Entries, ranges: &[(u32, u32)], element_rep: u16, element_def: u16) -> Result<Entries> {
    let range = |at: u32| match at {
        DEAD => (0, 0),
        at => ranges.get(at as usize).copied().unwrap_or_default(),
    };
    let total = entries.at.iter().map(|&at| u64::from(range(at).1.max(1))).sum::<u64>();
    if total >= u64::from(DEAD) {
        return Err(too_many());
    }
    let total = total as usize;
    // Most entries continue a list and have a value; where lists begin is written over that.
    let mut next =
        Entries { rep: vec![element_rep; total], def: vec![element_def; total], at: vec![DEAD; total + SHORT] };
    let mut first = 0;
    for ((&rep, &def), &at) in entries.rep.iter().zip(&entries.def).zip(&entries.at) {
        let (start, len) = range(at);
        let is_empty = len == 0;
        if let (Some(first_rep), Some(first_def)) = (next.rep.get_mut(first), next.def.get_mut(first)) {
            *first_rep = rep;
            *first_def = if is_empty { def } else { element_def };
        }
        // As many as a short list may have, whatever it has: how often a loop turns would not be foretold. The next one puts its
        // own over what is too much.
        if let Some(short) = next.at.get_mut(first..).and_then(|rest| rest.first_chunk_mut::<SHORT>()) {
            *short = std::array::from_fn(|n| start.wrapping_add(n as u32));
            if is_empty {
                *short = [DEAD; SHORT];
            }
        }
        let len = len as usize;
        if len > SHORT
            && let Some(all) = next.at.get_mut(first..first + len)
        {
            all.iter_mut().zip(start..).for_each(|(at, element)| *at = element);
        }
        first += len.max(1);
    }
    next.at.truncate(total);
    Ok(next)
}

/// Elements of a list that are taken without asking how many it has.
const SHORT: usize = 8;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_any_length_are_expanded() {
        // Of each length twice, among them empty ones and more than short ones; every fifth has ended before.
        let lens: Vec<u32> = (0..3 * SHORT as u32).chain((0..3 * SHORT as u32).rev()).collect();
        let range = |next: &mut u32, &len: &u32| Some((std::mem::replace(next, *next + len), len));
        let ranges: Vec<(u32, u32)> = lens.iter().scan(7, range).collect();
        let at: Vec<u32> = (0..lens.len() as u32).map(|n| if n % 5 == 2 { DEAD } else { n }).collect();
        let rep = (0..lens.len() as u16).map(|n| n % 2).collect();
        let def = at.iter().map(|&at| if at == DEAD { 1 } else { 3 }).collect();
        let entries = Entries { rep, def, at };
        let next = expand(&entries, &ranges, 2, 4).expect("few");
        let mut expected = Vec::new();
        for ((&rep, &def), &at) in entries.rep.iter().zip(&entries.def).zip(&entries.at) {
            match ranges.get(at as usize) {
                Some(&(start, len)) if len > 0 => {
                    expected.extend((start..start + len).map(|at| (if at == start { rep } else { 2 }, 4, at)));
                }
                _ => expected.push((rep, def, DEAD)),
            }
        }
        let got = next.rep.iter().zip(&next.def).zip(&next.at).map(|((&rep, &def), &at)| (rep, def, at));
        assert_eq!(got.collect::<Vec<_>>(), expected);
        assert_eq!((next.rep.len(), next.def.len(), next.at.len()), (expected.len(), expected.len(), expected.len()));
    }

    #[test]
    fn a_stretch_has_no_gap_but_ends() {
        assert_eq!(stretch(&[]), Some((0, 0)));
        assert_eq!(stretch(&[DEAD, DEAD]), Some((0, 0)));
        assert_eq!(stretch(&[DEAD, 5, 6, DEAD, 7]), Some((5, 3)));
        assert_eq!(stretch(&[5, 7]), None);
        assert_eq!(stretch(&[5, 5]), None);
        assert_eq!(stretch(&[5, DEAD, 4]), None);
    }
}
