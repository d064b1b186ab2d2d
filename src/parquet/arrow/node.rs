//! How a field's values nest: what the levels mean at each of its nodes.
//!
//! Spec: README.md of parquet-format, "Nested Encoding" (the levels of Dremel).
//!
//! A leaf's column is a row of entries, each with a repetition level (`rep`: in which list it continues) and a
//! definition level (`def`: how much of its path is there). At a node,
//!
//! ```text
//! an entry is a slot       iff rep <= node.rep and def >= node.slot
//! the slot is not null     iff def >= node.present
//! of a list, it has elements iff def >  node.present; entries with rep <= element.rep and def > node.present are them
//! ```

use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields};

use crate::error::{Error, Result};

/// How deep types may nest.
pub const DEPTH_MAX: usize = 64;

/// One node of a field's tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name, Arrow type and nullability.
    pub field: FieldRef,
    /// Repetition level of the innermost list around it; 0 outside of lists.
    pub rep: u16,
    /// Definition level from which there is a slot: that of an element of the innermost list around it. A struct
    /// that is null has slots in its children, too.
    pub slot: u16,
    /// Definition level from which the slot is not null.
    pub present: u16,
    /// What is below it.
    pub kind: Kind,
}

/// What is below a [`Node`].
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Values: the column chunk of this number.
    Leaf(usize),
    /// Fields side by side.
    Struct(Vec<Node>),
    /// A list of any layout, or a map as a list of its entries. The element's `rep` is one more, its `slot` is the
    /// list's `present + 1`.
    List(Box<Node>),
}

/// What a node inherits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Levels {
    pub rep: u16,
    pub slot: u16,
    /// The definition level of what is there above it.
    pub def: u16,
}

impl Levels {
    /// What the elements inherit of a list that is there from definition level `present` on.
    pub fn element_of(self, present: u16) -> Levels {
        Levels { rep: self.rep + 1, slot: present + 1, def: present + 1 }
    }
}

impl Node {
    /// The tree of an Arrow field whose first leaf is column `leaf`, and the number behind its last one.
    ///
    /// # Errors
    /// [`Error::Limit`] beyond [`DEPTH_MAX`].
    pub fn of_arrow(field: &FieldRef, leaf: usize) -> Result<(Node, usize)> {
        let mut next = leaf;
        let node = Node::at(field, Levels { rep: 0, slot: 0, def: 0 }, &mut next, 0)?;
        Ok((node, next))
    }

    fn at(field: &FieldRef, above: Levels, next: &mut usize, depth: usize) -> Result<Node> {
        if depth > DEPTH_MAX {
            return Err(Error::limit(format!("types nest deeper than {DEPTH_MAX}")).in_column(field.name()));
        }
        let present = above.def + u16::from(field.is_nullable());
        let data_type = unpacked(field.data_type());
        let kind = if let Some(element) = element(data_type) {
            Kind::List(Box::new(Node::at(element, above.element_of(present), next, depth + 1)?))
        } else if let DataType::Struct(fields) = data_type {
            let below = Levels { def: present, ..above };
            Kind::Struct(fields.iter().map(|f| Node::at(f, below, next, depth + 1)).collect::<Result<_>>()?)
        } else {
            *next += 1;
            Kind::Leaf(*next - 1)
        };
        Ok(Node { field: Arc::clone(field), rep: above.rep, slot: above.slot, present, kind })
    }

    /// The number of the first leaf at or below it; none below a struct without fields.
    pub fn first_leaf(&self) -> Option<usize> {
        match &self.kind {
            Kind::Leaf(leaf) => Some(*leaf),
            Kind::Struct(children) => children.iter().find_map(Node::first_leaf),
            Kind::List(element) => element.first_leaf(),
        }
    }

    /// Counts its leaves from `first` on, which were counted from 0 on.
    pub(super) fn count_from(&mut self, first: usize) {
        match &mut self.kind {
            Kind::Leaf(leaf) => *leaf += first,
            Kind::Struct(children) => children.iter_mut().for_each(|child| child.count_from(first)),
            Kind::List(element) => element.count_from(first),
        }
    }

    /// Calls `visit` for each leaf with its column's number.
    pub fn leaves<'a>(&'a self, visit: &mut impl FnMut(&'a Node, usize)) {
        match &self.kind {
            Kind::Leaf(leaf) => visit(self, *leaf),
            Kind::Struct(children) => children.iter().for_each(|c| c.leaves(visit)),
            Kind::List(element) => element.leaves(visit),
        }
    }
}

/// The type of the values that a dictionary or runs stand for.
pub fn unpacked(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, value) => unpacked(value),
        DataType::RunEndEncoded(_, values) => unpacked(values.data_type()),
        other => other,
    }
}

/// The element of a list type; of a map its entries.
pub fn element(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::FixedSizeList(f, _)
        | DataType::ListView(f)
        | DataType::LargeListView(f)
        | DataType::Map(f, _) => Some(f),
        _ => None,
    }
}

/// The same list type around another element.
pub fn with_element(data_type: &DataType, element: FieldRef) -> DataType {
    match data_type {
        DataType::LargeList(_) => DataType::LargeList(element),
        DataType::FixedSizeList(_, n) => DataType::FixedSizeList(element, *n),
        DataType::ListView(_) => DataType::ListView(element),
        DataType::LargeListView(_) => DataType::LargeListView(element),
        DataType::Map(_, sorted) => DataType::Map(element, *sorted),
        _ => DataType::List(element),
    }
}

/// The same field by another name.
pub fn renamed(field: &Field, name: &str) -> FieldRef {
    Arc::new(field.clone().with_name(name))
}

/// A struct type of these fields.
pub fn struct_of(fields: Vec<FieldRef>) -> DataType {
    DataType::Struct(Fields::from(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_of_a_nullable_list_of_nullable_structs() {
        // optional group a (LIST) { repeated group list { optional group element { required b; optional c } } }
        let element = struct_of(vec![
            Arc::new(Field::new("b", DataType::Int32, false)),
            Arc::new(Field::new("c", DataType::Utf8, true)),
        ]);
        let list = DataType::List(Arc::new(Field::new("element", element, true)));
        let (node, next) = Node::of_arrow(&Arc::new(Field::new("a", list, true)), 5).expect("a tree");
        assert_eq!(next, 7);
        assert_eq!((node.rep, node.slot, node.present), (0, 0, 1));
        let Kind::List(element) = &node.kind else { panic!("a list") };
        assert_eq!((element.rep, element.slot, element.present), (1, 2, 3));
        let mut leaves = Vec::new();
        node.leaves(&mut |leaf, n| leaves.push((n, leaf.rep, leaf.slot, leaf.present)));
        assert_eq!(leaves, [(5, 1, 2, 3), (6, 1, 2, 4)]);
    }

    #[test]
    fn depth_is_bounded() {
        let mut field = Arc::new(Field::new("x", DataType::Int32, true));
        for _ in 0..100 {
            field = Arc::new(Field::new("x", DataType::List(field), true));
        }
        assert!(matches!(Node::of_arrow(&field, 0), Err(Error::Limit(_))));
    }
}
