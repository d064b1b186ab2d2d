//! One field of a file's schema: elements that have been checked become Arrow's types, and the levels below them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};

use super::file_schema::FileSchema;
use super::node::{self, Kind, Levels, Node};
use super::values::{Mismatch, logical, value_type};
use super::{FIELD_ID_KEY, Leaf, ParquetSchema, extension, shape, value_order};
use crate::error::Result;
use crate::parquet::format::{ConvertedType, FileMetaData, KeyValue, LogicalType, Repetition, SchemaElement, Type};

/// How a file's schema is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaOptions {
    /// How deep groups may nest; at most [`node::DEPTH_MAX`].
    pub depth_max: usize,
    /// The unit of timestamps in INT96; None: what the file's Arrow schema says, else microseconds if Spark wrote it,
    /// else nanoseconds, of which what is beyond 64 bits runs over.
    pub int96_unit: Option<TimeUnit>,
    /// Whether strings and binary values are views, wherever they stand; not those in dictionaries.
    pub views: bool,
}

impl Default for SchemaOptions {
    fn default() -> SchemaOptions {
        SchemaOptions { depth_max: node::DEPTH_MAX, int96_unit: None, views: false }
    }
}

/// The schemas of a file.
///
/// A column that this crate cannot read does not fail the file: its leaves carry a refusal
/// ([`Leaf::check`]) and its Arrow type is a best guess. The Arrow schema under [`ARROW_SCHEMA_KEY`](super::ARROW_SCHEMA_KEY)
/// is used column by column where it agrees with the Parquet schema. Lists and maps are told by every rule of
/// LogicalTypes.md, "Nested Types", those for files of old included.
///
/// # Errors
/// [`Error::Corrupt`](crate::error::Error::Corrupt) when the elements form no tree or an annotation contradicts its type,
/// [`Error::Limit`](crate::error::Error::Limit) when groups nest too deep.
pub fn from_parquet(metadata: &FileMetaData) -> Result<ParquetSchema> {
    let key_values = metadata.key_value_metadata.as_deref();
    Ok(FileSchema::new(metadata.schema.clone(), key_values, SchemaOptions::default())?.whole(key_values))
}

/// Takes one element after another; `path` is that of the element being taken. All elements have been checked to form
/// a tree: that one is missing does not happen, and makes a field less.
pub(super) struct Walk<'a> {
    pub elements: &'a [SchemaElement],
    pub key_values: Option<&'a [KeyValue]>,
    pub int96_unit: TimeUnit,
    pub int96_is_asked: bool,
    pub next: usize,
    pub path: Vec<&'a str>,
    /// Those of this walk, numbered from 0 on.
    pub leaves: Vec<Leaf>,
    /// The top-level field.
    pub field: usize,
}

impl<'a> Walk<'a> {
    /// Takes the next element with all below it, as a field.
    pub fn field(&mut self, above: Levels) -> Option<Node> {
        let (index, element) = self.enter()?;
        let node = match element.repetition {
            Some(Repetition::Required) | None => self.value(index, element, above, false)?,
            Some(Repetition::Optional) => self.value(index, element, above, true)?,
            // "A repeated field that is not annotated is a required list of required elements."
            Some(Repetition::Repeated) => {
                let mut item = self.value(index, element, above.element_of(above.def), false)?;
                item.field = node::renamed(&item.field, "element");
                let field = Field::new(element.name.clone(), DataType::List(Arc::clone(&item.field)), false);
                let (rep, slot, present) = (above.rep, above.slot, above.def);
                Node { field: Arc::new(field), rep, slot, present, kind: Kind::List(Box::new(item)) }
            }
            Some(Repetition::Vector) => {
                let refusal = "VECTOR, a proposal of the format: fixed-size lists without repetition levels";
                self.refused(index, element, above, refusal)?
            }
            Some(Repetition::Unknown(n)) => {
                self.refused(index, element, above, &format!("the unknown repetition {n}"))?
            }
        };
        self.path.pop();
        Some(node)
    }

    /// Takes an element that this crate cannot read, with all below it.
    fn refused(&mut self, index: usize, element: &'a SchemaElement, above: Levels, why: &str) -> Option<Node> {
        let first = self.leaves.len();
        let node = self.value(index, element, above, false)?;
        self.leaves.iter_mut().skip(first).for_each(|leaf| leaf.refusal = Some(why.to_string()));
        Some(node)
    }

    /// Steps onto the next element; the caller pops its name when it is done.
    fn enter(&mut self) -> Option<(usize, &'a SchemaElement)> {
        let index = self.next;
        let element = self.elements.get(index)?;
        self.next += 1;
        self.path.push(&element.name);
        Some((index, element))
    }

    /// What the element is, its repetition aside.
    fn value(&mut self, index: usize, element: &'a SchemaElement, above: Levels, is_nullable: bool) -> Option<Node> {
        let present = above.def + u16::from(is_nullable);
        if let Some(physical) = element.type_ {
            return Some(self.leaf(index, element, physical, above, is_nullable));
        }
        let children = element.num_children.unwrap_or(0);
        // An annotation on a group of another shape than it promises says nothing; the group is a struct then.
        let repeated =
            self.elements.get(self.next).filter(|e| children == 1 && e.repetition == Some(Repetition::Repeated));
        let logical = logical(element);
        let metadata = extension::of_group(logical.as_ref());
        let (data_type, kind) = match (logical, repeated) {
            (Some(LogicalType::List(_)), Some(repeated)) => self.list(element, repeated, above.element_of(present))?,
            (Some(LogicalType::Map(_)), Some(repeated)) => self.map(element, repeated, above.element_of(present))?,
            _ => {
                let below = Levels { def: present, ..above };
                let nodes = (0..children).map(|_| self.field(below)).collect::<Option<Vec<_>>>()?;
                (DataType::Struct(nodes.iter().map(|n| Arc::clone(&n.field)).collect()), Kind::Struct(nodes))
            }
        };
        let field = arrow_field(element, data_type, is_nullable, metadata);
        Some(Node { field: Arc::new(field), rep: above.rep, slot: above.slot, present, kind })
    }

    /// The element of a list, by the rules of LogicalTypes.md, "Lists", "Backward-compatibility rules".
    fn list(&mut self, list: &SchemaElement, repeated: &SchemaElement, item: Levels) -> Option<(DataType, Kind)> {
        let only_child = self.elements.get(self.next + 1).filter(|_| repeated.num_children == Some(1));
        let is_element = match only_child {
            // 1: not a group; 2: several fields (or none).
            None => true,
            // 3: one that repeats itself; 4: by name.
            Some(child) => {
                child.repetition == Some(Repetition::Repeated)
                    || repeated.name == "array"
                    || repeated.name.strip_suffix("_tuple") == Some(list.name.as_str())
            }
        };
        let (index, repeated) = self.enter()?;
        let mut node = if is_element { self.value(index, repeated, item, false)? } else { self.field(item)? };
        self.path.pop();
        node.field = node::renamed(&node.field, "element");
        Some((DataType::List(Arc::clone(&node.field)), Kind::List(Box::new(node))))
    }

    /// Spec: LogicalTypes.md, "Maps". Keys and values are told by their place; keys alone make a list.
    fn map(&mut self, map: &SchemaElement, repeated: &SchemaElement, item: Levels) -> Option<(DataType, Kind)> {
        if repeated.num_children != Some(2) {
            return self.list(map, repeated, item);
        }
        self.enter()?;
        let mut key = self.field(item)?;
        let value = self.field(item)?;
        self.path.pop();
        // Some writers let keys be null; Arrow's cannot, and a null one is corrupt when it comes.
        key.field = Arc::new(key.field.as_ref().clone().with_nullable(false));
        let entries = node::struct_of(vec![Arc::clone(&key.field), Arc::clone(&value.field)]);
        let entries = Node {
            field: Arc::new(Field::new("key_value", entries, false)),
            rep: item.rep,
            slot: item.slot,
            present: item.def,
            kind: Kind::Struct(vec![key, value]),
        };
        Some((DataType::Map(Arc::clone(&entries.field), false), Kind::List(Box::new(entries))))
    }

    fn leaf(
        &mut self,
        index: usize,
        element: &SchemaElement,
        physical: Type,
        above: Levels,
        is_nullable: bool,
    ) -> Node {
        let type_length = shape::type_length(element).unwrap_or(0);
        let logical = logical(element);
        let is_interval = logical.is_none()
            && element.converted_type == Some(ConvertedType::Interval)
            && physical == Type::FixedLenByteArray
            && type_length == INTERVAL_BYTES;
        let mut refusal = None;
        let data_type = match value_type(physical, type_length, logical.as_ref()) {
            Ok(_) if is_interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Ok(DataType::Timestamp(_, zone)) if physical == Type::Int96 => DataType::Timestamp(self.int96_unit, zone),
            Ok(data_type) => data_type,
            // Not once the elements are checked.
            Err(Mismatch::Corrupt) => {
                refusal = Some("an annotation that contradicts its type".into());
                DataType::Binary
            }
            Err(Mismatch::Unsupported(reason)) => {
                refusal = Some(reason);
                DataType::Binary
            }
        };
        let present = above.def + u16::from(is_nullable);
        let field =
            arrow_field(element, data_type.clone(), is_nullable, extension::of_leaf(logical.as_ref(), self.key_values));
        self.leaves.push(Leaf {
            path: self.path.iter().map(|&name| name.to_owned()).collect(),
            element: index,
            physical,
            type_length,
            order: value_order(physical, logical.as_ref(), is_interval),
            def_max: present,
            rep_max: above.rep,
            slot: above.slot,
            field: self.field,
            data_type,
            runs_over: physical == Type::Int96 && !self.int96_is_asked,
            refusal,
            logical,
        });
        let kind = Kind::Leaf(self.leaves.len() - 1);
        Node { field: Arc::new(field), rep: above.rep, slot: above.slot, present, kind }
    }
}

/// Bytes of an INTERVAL: months, days and milliseconds of 4 each.
pub const INTERVAL_BYTES: usize = 12;

/// An Arrow field of this element.
fn arrow_field(
    element: &SchemaElement,
    data_type: DataType,
    is_nullable: bool,
    mut metadata: HashMap<String, String>,
) -> Field {
    if let Some(id) = element.field_id {
        metadata.insert(FIELD_ID_KEY.into(), id.to_string());
    }
    Field::new(element.name.clone(), data_type, is_nullable).with_metadata(metadata)
}
