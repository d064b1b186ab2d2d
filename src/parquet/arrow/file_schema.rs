//! A file's schema, converted field by field: one column of ten thousand does not cost ten thousand.
//!
//! Opening a file checks that its elements form a tree. What a field is in Arrow, with its levels and leaves, is made when the
//! field is first asked for, and kept.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow_schema::{Schema, SchemaRef, TimeUnit};

use super::from_parquet::{SchemaOptions, Walk};
use super::node::{self, Levels};
use super::shape::{self, Place};
use super::{ARROW_SCHEMA_KEY, Leaf, Node, ParquetSchema, extension, ipc, restore};
use crate::error::Result;
use crate::parquet::format::{KeyValue, SchemaElement};

/// Under which key a file of Spark says so. Its timestamps are of microseconds, in INT96 too.
const SPARK_KEY: &str = "org.apache.spark.version";

/// The schema of a file, checked as a whole and converted where it is asked for.
///
/// The functions that convert take the file's key-value metadata, which holds its Arrow schema: always the same.
#[derive(Debug)]
pub struct FileSchema {
    elements: Vec<SchemaElement>,
    options: SchemaOptions,
    /// The unit of timestamps in INT96, if the Arrow schema names none.
    int96_unit: TimeUnit,
    /// Of each field, and one behind the last.
    places: Vec<Place>,
    fields: Vec<OnceLock<FieldSchema>>,
    hint: OnceLock<Option<ipc::Hint>>,
    arrow: OnceLock<SchemaRef>,
}

/// One top-level field.
#[derive(Debug, Clone)]
pub struct FieldSchema {
    /// How its values nest. Leaves have the numbers of the file's column chunks.
    pub node: Node,
    /// The number of the first of its leaves.
    pub first_leaf: usize,
    /// Its leaves in order.
    pub leaves: Vec<Arc<Leaf>>,
}

impl FileSchema {
    /// Checks the elements of a footer.
    ///
    /// # Errors
    /// As [`from_parquet`](super::from_parquet()).
    pub fn new(
        elements: Vec<SchemaElement>,
        key_values: Option<&[KeyValue]>,
        options: SchemaOptions,
    ) -> Result<FileSchema> {
        let places = shape::check(&elements, options.depth_max.min(node::DEPTH_MAX))?;
        extension::check_shared(&elements, key_values)?;
        let by_writer = match find(key_values, SPARK_KEY) {
            Some(_) => TimeUnit::Microsecond,
            None => TimeUnit::Nanosecond,
        };
        Ok(FileSchema {
            int96_unit: options.int96_unit.unwrap_or(by_writer),
            fields: std::iter::repeat_with(OnceLock::new).take(places.len().saturating_sub(1)).collect(),
            elements,
            options,
            places,
            hint: OnceLock::new(),
            arrow: OnceLock::new(),
        })
    }

    /// How many fields it has.
    pub fn fields(&self) -> usize {
        self.fields.len()
    }

    /// How many leaves it has.
    pub fn leaves(&self) -> usize {
        self.places.last().map_or(0, |end| end.leaf)
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let elements = self.places.iter().filter_map(|place| self.elements.get(place.element));
        elements.map(|element| element.name.as_str())
    }

    /// The elements of the Parquet schema, the root first.
    pub fn elements(&self) -> &[SchemaElement] {
        &self.elements
    }

    /// A field by its number, from 0 on.
    pub fn field(&self, number: usize, key_values: Option<&[KeyValue]>) -> Option<&FieldSchema> {
        let cell = self.fields.get(number)?;
        match cell.get() {
            Some(field) => Some(field),
            None => {
                let field = self.convert(number, key_values)?;
                Some(cell.get_or_init(|| field))
            }
        }
    }

    /// A leaf by its number, which counts those of all fields.
    pub fn leaf(&self, number: usize, key_values: Option<&[KeyValue]>) -> Option<&Arc<Leaf>> {
        let begins = |field: usize, leaf: usize| self.places.get(field).is_some_and(|place| place.leaf == leaf);
        let field = match begins(number, number) && begins(number + 1, number + 1) {
            // As many fields as leaves so far: few schemas are nested, and wide ones less so.
            true => number,
            // A group without leaves begins where the next field does.
            false => self.places.partition_point(|place| place.leaf <= number).checked_sub(1)?,
        };
        let field = self.field(field, key_values)?;
        field.leaves.get(number.checked_sub(field.first_leaf)?)
    }

    /// The Arrow schema of all fields.
    pub fn arrow(&self, key_values: Option<&[KeyValue]>) -> &SchemaRef {
        self.arrow.get_or_init(|| {
            let fields = (0..self.fields.len()).filter_map(|number| self.field(number, key_values));
            let fields: Vec<_> = fields.map(|field| Arc::clone(&field.node.field)).collect();
            Arc::new(Schema::new_with_metadata(fields, self.metadata(key_values)))
        })
    }

    /// What the Arrow schema has beside its fields.
    pub fn metadata(&self, key_values: Option<&[KeyValue]>) -> HashMap<String, String> {
        self.hint(key_values).map(|hint| hint.metadata()).unwrap_or_default()
    }

    /// All of it, converted.
    pub fn whole(self, key_values: Option<&[KeyValue]>) -> ParquetSchema {
        let arrow = Arc::clone(self.arrow(key_values));
        let (mut leaves, mut nodes) = (Vec::with_capacity(self.leaves()), Vec::with_capacity(self.fields()));
        for field in self.fields.into_iter().filter_map(OnceLock::into_inner) {
            leaves.extend(field.leaves.into_iter().map(Arc::unwrap_or_clone));
            nodes.push(field.node);
        }
        ParquetSchema { elements: self.elements, leaves, arrow, nodes }
    }

    fn hint(&self, key_values: Option<&[KeyValue]>) -> Option<&ipc::Hint> {
        let decode = || find(key_values, ARROW_SCHEMA_KEY).and_then(|kv| ipc::Hint::decode(kv.value.as_deref()?));
        self.hint.get_or_init(decode).as_ref()
    }

    fn convert(&self, number: usize, key_values: Option<&[KeyValue]>) -> Option<FieldSchema> {
        let (place, end) = (self.places.get(number)?, self.places.get(number + 1)?);
        let mut walk = Walk {
            elements: &self.elements,
            key_values,
            int96_unit: self.int96_unit,
            int96_is_asked: self.options.int96_unit.is_some(),
            next: place.element,
            path: Vec::new(),
            leaves: Vec::with_capacity(end.leaf.saturating_sub(place.leaf)),
            field: number,
        };
        let mut node = walk.field(Levels { rep: 0, slot: 0, def: 0 })?;
        let mut leaves = walk.leaves;
        if let Some(hint) = self.hint(key_values).and_then(|hint| hint.field(number)) {
            restore::restore(&mut node, &mut leaves, &hint, self.options.int96_unit.is_some());
        }
        if self.options.views
            && let Some(field) = restore::with_views(&node.field)
        {
            restore::restore(&mut node, &mut leaves, &field, self.options.int96_unit.is_some());
        }
        node.count_from(place.leaf);
        // Not collected from what is consumed: that would keep its memory, of which a pointer each needs a small part.
        let mut shared = Vec::with_capacity(leaves.len());
        shared.extend(leaves.into_iter().map(Arc::new));
        Some(FieldSchema { node, first_leaf: place.leaf, leaves: shared })
    }
}

fn find<'a>(key_values: Option<&'a [KeyValue]>, key: &str) -> Option<&'a KeyValue> {
    key_values.and_then(|pairs| pairs.iter().find(|kv| kv.key == key))
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};

    use super::super::{arrow_schema_metadata, to_parquet};
    use super::*;

    #[test]
    fn fields_are_converted_alone_and_as_they_are_together() {
        let pair = vec![Field::new("x", DataType::LargeUtf8, true), Field::new("y", DataType::Date64, false)];
        let fields = vec![
            Field::new("a", DataType::Duration(TimeUnit::Second), true),
            Field::new("b", DataType::Struct(pair.into()), true),
            Field::new("none", DataType::List(Arc::new(Field::new("item", DataType::UInt8, true))), false),
            Field::new("c", DataType::Utf8View, true),
        ];
        let schema = Schema::new_with_metadata(fields, HashMap::from([("k".into(), "v".into())]));
        let elements = to_parquet(&schema).expect("written").elements;
        let key_values = [arrow_schema_metadata(&schema)];
        let new = || FileSchema::new(elements.clone(), Some(&key_values), SchemaOptions::default()).expect("sound");
        let whole = new().whole(Some(&key_values));
        assert_eq!(*whole.arrow, schema);
        assert_eq!(whole.leaves.len(), 5);
        for number in 0..4 {
            let lazy = new();
            let field = lazy.field(number, Some(&key_values)).expect("a field");
            assert_eq!(field.node, whole.nodes[number]);
            assert_eq!(lazy.fields.iter().filter(|field| field.get().is_some()).count(), 1, "and no other");
            let mut leaves = Vec::new();
            field.node.leaves(&mut |_, leaf| leaves.push(leaf));
            assert_eq!(leaves, (field.first_leaf..field.first_leaf + field.leaves.len()).collect::<Vec<_>>());
        }
        let lazy = new();
        for (number, leaf) in whole.leaves.iter().enumerate() {
            assert_eq!(lazy.leaf(number, Some(&key_values)).expect("a leaf").path, leaf.path);
        }
        assert!(lazy.leaf(5, Some(&key_values)).is_none() && lazy.field(4, Some(&key_values)).is_none());
        assert_eq!((lazy.fields(), lazy.leaves()), (4, 5));
        assert_eq!(lazy.names().collect::<Vec<_>>(), ["a", "b", "none", "c"]);
        assert_eq!(lazy.metadata(Some(&key_values)), schema.metadata);
    }
}
