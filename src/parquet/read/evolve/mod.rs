//! A file read under a schema that was asked for: columns that it lacks, has in another order or has in narrower types.
//!
//! Spec: Delta Lake's PROTOCOL.md, "Type Widening"; Iceberg's "Schema Evolution". Both change a table's schema and
//! leave its files as they are, so a reader makes of each file what the table has become:
//!
//! ```text
//! schema asked for ─ each field ─> the file's field by name or id ─ no loss? ─> change its values (change.rs)
//!                                  none ─ default, or null where allowed ─────> the same value in each row
//! ```
//!
//! A predicate is about the schema asked for. Bounds are changed as values are, which keeps their order.

mod change;
mod column;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::{Field, Schema, SchemaRef};

pub(crate) use self::change::{Change, Rules};
pub(super) use self::column::ColumnReader;
use super::ScanOptions;
use super::file::FileParts;
use crate::error::{Error, Result};
use crate::parquet::arrow::Node;
use crate::parquet::format::Type;
use crate::predicate::ColumnBounds;

/// How a field of the schema asked for finds its field in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Matching {
    /// By its name.
    #[default]
    Name,
    /// By its field id, which both have in their metadata under `PARQUET:field_id`; names do not matter. Elements of
    /// lists, keys and values of maps go by their place.
    FieldId,
}

/// The columns that a scan may name: of a wide file, those that it does not name are not converted.
#[derive(Debug)]
pub(super) struct Columns {
    /// None: they are the file's own.
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    schema: SchemaRef,
    matching: Matching,
    defaults: BTreeMap<String, ArrayRef>,
}

/// Where the values of a column come from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// The file's field of this number.
    File(usize, Option<Arc<Change>>),
    /// This one value in every row.
    Constant(ArrayRef),
}

/// A column of the scan.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Its place in the schema.
    pub number: usize,
    pub field: Arc<Field>,
    /// The first leaf of the file's field, if there is one.
    pub leaf: Option<usize>,
    pub origin: Origin,
    /// These leaves of the file's field alone; `field` is then as they are.
    pub part: Option<Arc<Node>>,
}

impl Columns {
    pub(super) fn new(options: &mut ScanOptions) -> Columns {
        let (matching, defaults) = (options.matching, std::mem::take(&mut options.defaults));
        Columns { asked: options.schema.take().map(|schema| Asked { schema, matching, defaults }) }
    }

    /// How many there are.
    pub(super) fn count(&self, file: &FileParts) -> usize {
        self.asked.as_ref().map_or_else(|| file.schema.fields(), |asked| asked.schema.fields().len())
    }

    /// Their names, in order.
    pub(super) fn names<'a>(&'a self, file: &'a FileParts) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        match &self.asked {
            Some(asked) => Box::new(asked.schema.fields().iter().map(|field| field.name().as_str())),
            None => Box::new(file.schema.names()),
        }
    }

    /// What the schema has beside them.
    pub(super) fn metadata(&self, file: &FileParts) -> HashMap<String, String> {
        self.asked.as_ref().map_or_else(|| file.schema_metadata(), |asked| asked.schema.metadata().clone())
    }

    /// The place of the column of this name, the first of these; [`Error::Invalid`] when there is none.
    pub(super) fn number(&self, file: &FileParts, name: &str) -> Result<usize> {
        self.names(file).position(|of| of == name).ok_or_else(|| {
            let names: Vec<&str> = self.names(file).collect();
            Error::invalid(format!("there is no column {name}; the columns are {}", names.join(", ")))
        })
    }

    /// The schema of these columns alone.
    pub(super) fn of(&self, file: &FileParts, names: &[String]) -> Result<Schema> {
        let field = |name: &String| self.field(file, self.number(file, name)?);
        Ok(Schema::new(names.iter().map(field).collect::<Result<Vec<_>>>()?))
    }

    fn field(&self, file: &FileParts, number: usize) -> Result<Arc<Field>> {
        let field = match &self.asked {
            Some(asked) => asked.schema.fields().get(number),
            None => file.field(number).map(|field| &field.node.field),
        };
        field
            .map(Arc::clone)
            .ok_or_else(|| Error::invalid(format!("there is no column {number}: there are {}", self.count(file))))
    }

    /// The column of this number; [`Error::Invalid`] when it is not there, or cannot be made of the file's.
    pub(super) fn find(&self, file: &FileParts, number: usize) -> Result<Found> {
        let field = self.field(file, number)?;
        let Some(Asked { matching, defaults, .. }) = &self.asked else {
            let leaf = Some(first_leaf(file, number)?);
            return Ok(Found { number, leaf, field, origin: Origin::File(number, None), part: None });
        };
        let mut rules = Rules { matching: *matching, defaults, rounds: false, is_int96: false };
        let at = match matching {
            Matching::Name => {
                let same = file.schema.names().enumerate().filter(|(_, name)| name == field.name());
                change::only(same.map(|(at, _)| at), || field.name().clone())?
            }
            Matching::FieldId => rules.position(&field, file.arrow().fields(), "")?,
        };
        let Some(at) = at else {
            let value = rules.constant(&field, field.name())?;
            return Ok(Found { number, field, leaf: None, origin: Origin::Constant(value), part: None });
        };
        let leaf = first_leaf(file, at)?;
        rules.is_int96 = file.leaf(leaf)?.physical == Type::Int96;
        let change = match file.field(at) {
            Some(there) => Change::new(&there.node.field, &field, &rules, field.name())?,
            None => None,
        };
        let origin = Origin::File(at, change.map(Arc::new));
        Ok(Found { number, field, leaf: Some(leaf), origin, part: None })
    }
}

impl Found {
    /// The node of the file's field, if values stand in the file as they are asked for.
    pub(super) fn node<'a>(&self, file: &'a FileParts) -> Option<&'a Node> {
        let Origin::File(number, None) = self.origin else { return None };
        let node = &file.field(number)?.node;
        let is_same =
            node.field.data_type() == self.field.data_type() && node.field.is_nullable() == self.field.is_nullable();
        is_same.then_some(node)
    }
}

impl Origin {
    /// What is known of the column in these rows, from what the file knows of its own.
    pub(super) fn bounds(&self, rows: u64, stored: impl FnOnce() -> Result<ColumnBounds>) -> Result<ColumnBounds> {
        match self {
            Origin::File(_, None) => stored(),
            Origin::File(_, Some(change)) => Ok(change.bounds(stored()?)),
            Origin::Constant(value) if value.is_null(0) => {
                Ok(ColumnBounds { null_count: Some(rows), ..ColumnBounds::default() })
            }
            // A NaN is no bound.
            Origin::Constant(value) if value.data_type().is_floating() => {
                Ok(ColumnBounds { null_count: Some(0), ..ColumnBounds::default() })
            }
            Origin::Constant(value) => {
                let edge = Some(Arc::clone(value));
                Ok(ColumnBounds { min: edge.clone(), max: edge, null_count: Some(0), nan_count: None })
            }
        }
    }
}

impl Origin {
    /// The values of the column, of those that the file has; none where they are not known, or do not all become one.
    pub(super) fn values(&self, stored: ArrayRef) -> Option<ArrayRef> {
        match self {
            Origin::File(_, None) => Some(stored),
            Origin::File(_, Some(change)) => change.apply(&stored).ok(),
            Origin::Constant(_) => None,
        }
    }
}

fn first_leaf(file: &FileParts, number: usize) -> Result<usize> {
    let field = file.field(number);
    field.filter(|field| !field.leaves.is_empty()).map(|field| field.first_leaf).ok_or_else(|| {
        let name = field.map_or_else(String::new, |field| field.node.field.name().clone());
        Error::unsupported("a group without columns in it: leave it out").in_column(name)
    })
}
