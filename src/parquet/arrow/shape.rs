//! Whether a file's schema elements form a tree that can be read: all of them are looked at, none is converted.
//!
//! Spec: parquet.thrift, `SchemaElement`: "the nodes of the tree in depth first traversal".

use super::Type;
use super::values::{Mismatch, logical, value_type};
use crate::error::{Error, Result};
use crate::parquet::format::SchemaElement;

/// What the names in all leaves' paths may take together: a long name above many leaves stands in each path.
const PATH_BYTES_MAX: usize = 64 << 20;

/// Where a child of the root begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its element.
    pub element: usize,
    /// The number of the first leaf at or below it, if there is one.
    pub leaf: usize,
}

/// The places of the root's children, and one behind the last.
///
/// # Errors
/// [`Error::Corrupt`] when the elements form no tree or an annotation contradicts its type, [`Error::Limit`] when
/// groups nest deeper than `depth_max`.
pub(super) fn check(elements: &[SchemaElement], depth_max: usize) -> Result<Vec<Place>> {
    let root = elements.first().ok_or_else(|| Error::corrupt("the schema has no root"))?;
    let children = match root.num_children {
        Some(n) => usize::try_from(n).map_err(|_| Error::corrupt(format!("the schema's root has {n} children")))?,
        None if elements.len() == 1 => 0,
        None => return Err(Error::corrupt("the schema's root has no count of children")),
    };
    let mut walk = Walk { elements, depth_max, next: 1, leaves: 0, path: Vec::new(), path_bytes: 0 };
    let mut places = Vec::with_capacity(children.min(elements.len()) + 1);
    for _ in 0..children {
        places.push(walk.place());
        walk.element(0)?;
    }
    places.push(walk.place());
    if walk.next != elements.len() {
        let left = elements.len() - walk.next;
        return Err(Error::corrupt(format!("{left} schema elements belong to no group")));
    }
    Ok(places)
}

/// Takes one element after another; `path` is that of the element being taken.
struct Walk<'a> {
    elements: &'a [SchemaElement],
    depth_max: usize,
    next: usize,
    leaves: usize,
    path: Vec<&'a str>,
    path_bytes: usize,
}

impl Walk<'_> {
    fn place(&self) -> Place {
        Place { element: self.next, leaf: self.leaves }
    }

    /// Takes the next element with all below it. `above`: what the names of the path to it take.
    fn element(&mut self, above: usize) -> Result<()> {
        let Some(element) = self.elements.get(self.next) else {
            let group = self.path.join(".");
            return Err(Error::corrupt(format!("the schema ends before the last child of group \"{group}\"")));
        };
        self.next += 1;
        self.path.push(&element.name);
        if self.path.len() > self.depth_max {
            return Err(Error::limit(format!("groups nest deeper than {}", self.depth_max)).in_column(self.name()));
        }
        if element.repetition.is_none() {
            return Err(self.corrupt("a field without a repetition".into()));
        }
        let path_bytes = above + element.name.len() + size_of::<String>();
        match (element.type_, element.num_children) {
            (Some(physical), None | Some(0)) => self.leaf(element, physical, path_bytes)?,
            (None, Some(children @ 0..)) => (0..children).try_for_each(|_| self.element(path_bytes))?,
            (type_, children) => {
                return Err(self.corrupt(format!("a field of type {type_:?} with {children:?} children")));
            }
        }
        self.path.pop();
        Ok(())
    }

    fn leaf(&mut self, element: &SchemaElement, physical: Type, path_bytes: usize) -> Result<()> {
        self.leaves += 1;
        self.path_bytes += path_bytes;
        if self.path_bytes > PATH_BYTES_MAX {
            return Err(Error::limit(format!("the columns' paths take more than {PATH_BYTES_MAX} bytes")));
        }
        let Some(type_length) = type_length(element) else {
            return Err(self.corrupt(format!("FIXED_LEN_BYTE_ARRAY of length {:?}", element.type_length)));
        };
        let logical = logical(element);
        if let Err(Mismatch::Corrupt) = value_type(physical, type_length, logical.as_ref()) {
            let logical = logical.map(|l| format!("{l:?}")).unwrap_or_default();
            return Err(self.corrupt(format!("{logical} cannot annotate {physical:?}({type_length})")));
        }
        Ok(())
    }

    fn corrupt(&self, message: String) -> Error {
        Error::corrupt(message).in_column(self.name())
    }

    fn name(&self) -> String {
        self.path.join(".")
    }
}

/// Bytes of each value of FIXED_LEN_BYTE_ARRAY, else 0; None where there must be some.
pub(super) fn type_length(element: &SchemaElement) -> Option<usize> {
    match (element.type_, element.type_length) {
        (Some(Type::FixedLenByteArray), length) => length.filter(|&n| n > 0).and_then(|n| usize::try_from(n).ok()),
        _ => Some(0),
    }
}
