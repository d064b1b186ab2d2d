//! A condition on a field of a struct, or on elements of a list, reads the leaves that it is about and no others.
//!
//! A nested column that conditions name is read in parts, each of the same nesting with other leaves:
//!
//! ```text
//! column   a: struct { b, c: list<struct { d, e }> }       where a.b = 1 and any(a.c.d) > 2
//! parts    a: struct { b }       a: struct { c: list<struct { d }> }       a: struct { c: list<struct { e }> }
//! ```
//!
//! A list whose elements are divided is read as a plain one in each part, whatever its type is: an entry of a map needs both its
//! key and its value.
//!
//! If the column is in the batches, too, the other leaves are a part of their own, which is read for the rows that are
//! left, and the parts are put together: each leaf is decoded once.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, GenericListArray, OffsetSizeTrait, StructArray};
use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::parquet::arrow::assemble;
use crate::parquet::arrow::node::{Kind, Node, struct_of};
use crate::predicate::Step;

/// Leaves of a column that are read together.
pub(super) type Leaves = Vec<usize>;

/// Whether a column may be read in parts: structs and lists, and nothing that would fall apart.
pub(super) fn is_divisible(node: &Node) -> bool {
    match &node.kind {
        Kind::Leaf(_) => true,
        Kind::Struct(fields) => !fields.is_empty() && fields.iter().all(is_divisible),
        // A condition finds key and value by these names in a part, where one of them is alone.
        Kind::List(element) if matches!(node.field.data_type(), DataType::Map(..)) => match &element.kind {
            Kind::Struct(entry) => {
                entry.iter().map(|field| field.field.name().as_str()).eq(["key", "value"]) && is_divisible(element)
            }
            _ => false,
        },
        Kind::List(element) => is_divisible(element),
    }
}

/// The leaf that tells all of what `steps` lead to: its own; of a struct or list, which can only be asked whether it is
/// there, its first.
pub(super) fn leaf(node: &Node, steps: &[Step]) -> Option<usize> {
    match (&node.kind, steps) {
        (_, []) => node.first_leaf(),
        (Kind::Struct(fields), [Step::Field(at), rest @ ..]) => leaf(fields.get(*at)?, rest),
        (Kind::List(element), [Step::Elements, rest @ ..]) => leaf(element, rest),
        _ => None,
    }
}

/// The parts of which each of `wanted` is one or in one: those that share a leaf are one.
pub(super) fn divide(wanted: &[Leaves]) -> Vec<Leaves> {
    let mut parts: Vec<Leaves> = Vec::new();
    for leaves in wanted.iter().filter(|leaves| !leaves.is_empty()) {
        let mut joined = leaves.clone();
        parts.retain(|part| {
            let is_apart = part.iter().all(|leaf| !joined.contains(leaf));
            if !is_apart {
                joined.extend(part);
            }
            is_apart
        });
        joined.sort_unstable();
        joined.dedup();
        parts.push(joined);
    }
    parts
}

/// All leaves of a node.
pub(super) fn leaves_of(node: &Node) -> Leaves {
    let mut leaves = Leaves::new();
    node.leaves(&mut |_, leaf| leaves.push(leaf));
    leaves
}

/// The node with these of its leaves only; none if it has none of them.
pub(super) fn part(node: &Node, leaves: &[usize]) -> Option<Node> {
    if leaves_of(node).iter().all(|leaf| leaves.contains(leaf)) {
        return Some(node.clone());
    }
    let (data_type, kind) = match &node.kind {
        Kind::Leaf(leaf) => return leaves.contains(leaf).then(|| node.clone()),
        Kind::Struct(fields) => {
            let fields: Vec<Node> = fields.iter().filter_map(|field| part(field, leaves)).collect();
            if fields.is_empty() {
                return None;
            }
            (struct_of(fields.iter().map(|field| Arc::clone(&field.field)).collect()), Kind::Struct(fields))
        }
        Kind::List(element) => {
            let element = part(element, leaves)?;
            let field = Arc::clone(&element.field);
            let data_type = if is_large(node) { DataType::LargeList(field) } else { DataType::List(field) };
            (data_type, Kind::List(Box::new(element)))
        }
    };
    let field = Arc::new(node.field.as_ref().clone().with_data_type(data_type));
    Some(Node { field, kind, ..node.clone() })
}

/// The column of a node, of the arrays of its parts.
///
/// # Errors
/// [`Error::Corrupt`] where the parts do not nest alike.
pub(super) fn merge(node: &Node, parts: &[(&Node, ArrayRef)]) -> Result<ArrayRef> {
    let column = |message: &str| Error::corrupt(message).in_column(node.field.name());
    let [(first, array), rest @ ..] = parts else { return Err(column("a part of it is missing")) };
    if rest.is_empty() && first.field.data_type() == node.field.data_type() {
        return Ok(Arc::clone(array));
    }
    match (&node.kind, node.field.data_type()) {
        (Kind::Struct(children), DataType::Struct(fields)) => {
            let mut arrays = Vec::with_capacity(children.len());
            for child in children {
                let leaves = leaves_of(child);
                let mut found = Vec::new();
                for (of, array) in parts {
                    let Kind::Struct(here) = &of.kind else { continue };
                    let at = here.iter().position(|part| part.first_leaf().is_some_and(|leaf| leaves.contains(&leaf)));
                    if let Some((at, part)) = at.and_then(|at| Some((at, here.get(at)?))) {
                        let column = array.as_struct().columns().get(at);
                        found.extend(column.map(|column| (part, Arc::clone(column))));
                    }
                }
                arrays.push(merge(child, &found)?);
            }
            let nulls = array.nulls().cloned();
            let merged = StructArray::try_new_with_length(fields.clone(), arrays, nulls, array.len());
            Ok(Arc::new(merged.map_err(|e| column(&e.to_string()))?))
        }
        (Kind::List(element), _) if is_large(node) => merge_lists::<i64>(node, element, parts),
        (Kind::List(element), _) => merge_lists::<i32>(node, element, parts),
        _ => Err(column("parts of it are not of its type")),
    }
}

/// Whether a list's offsets have 64 bits.
fn is_large(node: &Node) -> bool {
    matches!(node.field.data_type(), DataType::LargeList(_) | DataType::LargeListView(_))
}

fn merge_lists<O: OffsetSizeTrait>(node: &Node, element: &Node, parts: &[(&Node, ArrayRef)]) -> Result<ArrayRef> {
    let column = |message: String| Error::corrupt(message).in_column(node.field.name());
    let mut shape: Option<(Vec<usize>, _)> = None;
    let mut elements = Vec::with_capacity(parts.len());
    for (of, array) in parts {
        let list: &GenericListArray<O> = array.as_list();
        let Kind::List(below) = &of.kind else { continue };
        let (from, to) = (list.value_offsets().first().copied(), list.value_offsets().last().copied());
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        let offsets: Vec<usize> = list.value_offsets().iter().map(|&offset| (offset - from).as_usize()).collect();
        match &shape {
            None => shape = Some((offsets, list.nulls().cloned())),
            Some((other, _)) if *other == offsets => {}
            Some(_) => return Err(column("its leaves have lists of different lengths".to_owned())),
        }
        elements.push((&**below, list.values().slice(from.as_usize(), to.as_usize() - from.as_usize())));
    }
    let Some((offsets, nulls)) = shape else { return Err(column("a part of it is missing".to_owned())) };
    assemble::layout(node, merge(element, &elements)?, &offsets, nulls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::Field;

    #[test]
    fn what_shares_a_leaf_is_one_part() {
        assert_eq!(divide(&[vec![1], vec![2], vec![1]]), [vec![2], vec![1]]);
        assert_eq!(divide(&[vec![1], vec![4], vec![2, 1], vec![3]]), [vec![4], vec![1, 2], vec![3]]);
        assert!(divide(&[vec![]]).is_empty());
    }

    #[test]
    fn a_part_has_the_leaves_asked_for() {
        let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
        let inner = struct_of(vec![field("d", DataType::Int32), field("e", DataType::Utf8)]);
        let list = DataType::List(field("element", inner));
        let column = field("a", struct_of(vec![field("b", DataType::Int64), field("c", list)]));
        let (node, _) = Node::of_arrow(&column, 3).expect("a tree");
        assert!(is_divisible(&node));
        let e = part(&node, &[5]).expect("a part");
        assert_eq!((leaves_of(&e), e.rep, e.slot, e.present), (vec![5], node.rep, node.slot, node.present));
        let only = DataType::List(field("element", struct_of(vec![field("e", DataType::Utf8)])));
        assert_eq!(e.field.data_type(), &struct_of(vec![field("c", only)]));
        assert_eq!(part(&node, &[3, 4, 5]), Some(node.clone()));
        assert_eq!(part(&node, &[9]), None);
        assert_eq!(leaf(&node, &[Step::Field(1), Step::Elements, Step::Field(1)]), Some(5));
        assert_eq!(leaf(&node, &[Step::Field(1)]), Some(4));
    }
}
