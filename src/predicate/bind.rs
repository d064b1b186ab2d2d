//! Predicate + schema → a predicate whose columns exist and whose constants have their column's type.

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Schema};

use super::coerce::{self, Settled};
use super::like::Pattern;
use super::nested::{self, Step};
use super::widen::Common;
use super::within::{self, Set};
use super::{ColumnPath, Comparison, Literal, Predicate};
use crate::error::{Error, Result};

/// A [`Predicate`] checked against a schema.
#[derive(Debug, Clone)]
pub struct BoundPredicate {
    pub(super) columns: Vec<BoundColumn>,
    pub(super) root: Node,
}

#[derive(Debug, Clone)]
pub(super) struct BoundColumn {
    pub(super) path: ColumnPath,
    /// From the top-level column to its values.
    pub(super) steps: Vec<Step>,
    /// The type of its values, with a dictionary's values instead of the dictionary.
    pub(super) data_type: DataType,
}

/// A condition over bound columns, named by their place in [`BoundPredicate::columns`].
#[derive(Debug, Clone)]
pub(super) enum Node {
    Constant(Option<bool>),
    /// The same answer for each value of the column, unknown where it is NULL.
    Known {
        column: usize,
        value: bool,
    },
    /// Against one value of the column's type.
    Compare {
        column: usize,
        op: Comparison,
        value: ArrayRef,
    },
    CompareColumns {
        left: usize,
        op: Comparison,
        right: usize,
        common: Common,
    },
    /// Is one of many values.
    In {
        column: usize,
        set: Set,
    },
    /// Some element of the lists on the column's path meets the condition, to which the column is all elements.
    Any {
        column: usize,
        steps: Vec<Step>,
        condition: Box<Node>,
    },
    IsNull {
        column: usize,
    },
    Like {
        column: usize,
        pattern: Pattern,
    },
    Is {
        condition: Box<Node>,
        value: Option<bool>,
    },
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// Conditions within conditions; a bound so that no tree exhausts the stack.
const DEPTH_MAX: usize = 200;

impl Predicate {
    /// Checks the predicate against a schema: [`Error::Invalid`] names a column that is not there (and those
    /// that are), or a constant that the column's type cannot be compared with.
    pub fn bind(&self, schema: &Schema) -> Result<BoundPredicate> {
        let mut binder = Binder { schema, columns: Vec::new() };
        let root = binder.node(self, 0)?;
        Ok(BoundPredicate { columns: binder.columns, root })
    }
}

impl BoundPredicate {
    /// The names of its top-level columns, each once.
    pub fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for column in &self.columns {
            if !names.iter().any(|name| name == column.path.name()) {
                names.push(column.path.name().to_owned());
            }
        }
        names
    }

    /// What it is about, each once, and how one comes there from the top-level column.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&ColumnPath, &[Step])> {
        self.columns.iter().map(|column| (&column.path, column.steps.as_slice()))
    }
}

struct Binder<'a> {
    schema: &'a Schema,
    columns: Vec<BoundColumn>,
}

impl Binder<'_> {
    fn node(&mut self, predicate: &Predicate, depth: usize) -> Result<Node> {
        if depth > DEPTH_MAX {
            return Err(Error::limit(format!("the condition is nested more than {DEPTH_MAX} deep")));
        }
        let below = depth + 1;
        Ok(match predicate {
            Predicate::Constant(value) => Node::Constant(*value),
            Predicate::Compare { column, op, value } => {
                let compared = self.compare(column, *op, value)?;
                self.of_any(column, compared)?
            }
            Predicate::Between { column, low, high } => {
                let both = [(Comparison::GtEq, low), (Comparison::LtEq, high)];
                let both =
                    both.map(|(op, value)| self.compare(column, op, value)).into_iter().collect::<Result<_>>()?;
                self.of_any(column, Node::And(both))?
            }
            Predicate::CompareColumns { left, op, right } => {
                if left.is_any() || right.is_any() {
                    return Err(Error::unsupported(format!(
                        "{left} {op} {right}: any(…) can be compared with constants only"
                    )));
                }
                let (l, r) = (self.column(left)?, self.column(right)?);
                match Common::of(&self.data_type(l), &self.data_type(r)) {
                    Ok(Some(common)) => Node::CompareColumns { left: l, op: *op, right: r, common },
                    Ok(None) => Node::Constant(None),
                    Err(e) => {
                        let (left, right) = (left.plain(), right.plain());
                        return Err(Error::invalid(format!("{left} and {right}: {}", e.message())));
                    }
                }
            }
            Predicate::In { column, values } => {
                let is_in = self.is_in(column, values)?;
                self.of_any(column, is_in)?
            }
            Predicate::IsNull { column } => {
                let is_null = Node::IsNull { column: self.column(column)? };
                self.of_any(column, is_null)?
            }
            Predicate::Like { column, pattern, escape, ignore_case } => {
                let index = self.column(column)?;
                let pattern = Pattern::new(pattern, *escape, *ignore_case, &self.data_type(index))
                    .map_err(|e| e.in_column(column.plain()))?;
                self.of_any(column, Node::Like { column: index, pattern })?
            }
            Predicate::Is { condition, value } => {
                Node::Is { condition: Box::new(self.node(condition, below)?), value: *value }
            }
            Predicate::Not(inner) => Node::Not(Box::new(self.node(inner, below)?)),
            Predicate::And(all) => Node::And(all.iter().map(|p| self.node(p, below)).collect::<Result<_>>()?),
            Predicate::Or(all) => Node::Or(all.iter().map(|p| self.node(p, below)).collect::<Result<_>>()?),
        })
    }

    /// A condition on the elements of a path, if it goes through lists.
    fn of_any(&mut self, path: &ColumnPath, condition: Node) -> Result<Node> {
        if !path.is_any() {
            return Ok(condition);
        }
        let column = self.column(path)?;
        let steps = self.columns.get(column).map(|c| c.steps.clone()).unwrap_or_default();
        Ok(Node::Any { column, steps, condition: Box::new(condition) })
    }

    fn is_in(&mut self, path: &ColumnPath, values: &[Literal]) -> Result<Node> {
        let column = self.column(path)?;
        let all = values.iter().map(|value| self.compare(path, Comparison::Eq, value)).collect::<Result<Vec<_>>>()?;
        if all.len() < within::VALUES_MIN {
            return Ok(Node::Or(all));
        }
        let mut has_null = false;
        let mut known = Vec::with_capacity(all.len());
        for node in &all {
            match node {
                Node::Compare { value, .. } => known.push(ArrayRef::clone(value)),
                Node::Constant(None) => has_null = true,
                // What the type does not have is in no row.
                _ => {}
            }
        }
        Ok(match Set::new(&known, has_null)? {
            Some(set) => Node::In { column, set },
            None => Node::Or(all),
        })
    }

    fn compare(&mut self, path: &ColumnPath, op: Comparison, literal: &Literal) -> Result<Node> {
        let column = self.column(path)?;
        let settled = coerce::settle(op, literal, &self.data_type(column)).map_err(|e| e.in_column(path.plain()))?;
        Ok(match settled {
            Settled::Compare(op, value) => Node::Compare { column, op, value },
            Settled::Always(value) => Node::Known { column, value },
            Settled::Unknown => Node::Constant(None),
        })
    }

    /// The place of a column, which is bound now if it was not yet.
    fn column(&mut self, path: &ColumnPath) -> Result<usize> {
        if let Some(index) = self.columns.iter().position(|c| c.path == *path) {
            return Ok(index);
        }
        let name = path.name();
        let mut found = self.schema.fields().iter().filter(|f| f.name() == name);
        let (field, second) = (found.next(), found.next());
        let Some(field) = field else {
            return Err(Error::invalid(format!("there is no column {name}; {}", those_there(self.schema))));
        };
        if second.is_some() {
            return Err(Error::invalid(format!("column {name} is there more than once: it cannot be named")));
        }
        let (steps, data_type) = nested::steps(path, field.data_type())?;
        self.columns.push(BoundColumn { path: path.clone(), steps, data_type });
        Ok(self.columns.len() - 1)
    }

    fn data_type(&self, column: usize) -> DataType {
        self.columns.get(column).map_or(DataType::Null, |c| c.data_type.clone())
    }
}

/// The schema's columns for a message; a wide one's first.
fn those_there(schema: &Schema) -> String {
    const SHOWN: usize = 30;
    let names: Vec<&str> = schema.fields().iter().take(SHOWN).map(|f| f.name().as_str()).collect();
    match schema.fields().len() {
        0 => "there are none".to_owned(),
        n if n > SHOWN => format!("those there are {} and {} more", names.join(", "), n - SHOWN),
        _ => format!("those there are {}", names.join(", ")),
    }
}
