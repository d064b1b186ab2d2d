//! Predicate + schema → a predicate whose columns exist and whose constants have their column's type.

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Schema};

use super::coerce::{self, Settled};
use super::like::Pattern;
use super::widen::Common;
use super::{Comparison, Literal, Predicate};
use crate::error::{Error, Result};

/// A [`Predicate`] checked against a schema.
#[derive(Debug, Clone)]
pub struct BoundPredicate {
    pub(super) columns: Vec<BoundColumn>,
    pub(super) root: Node,
}

#[derive(Debug, Clone)]
pub(super) struct BoundColumn {
    pub(super) name: String,
    /// Its type, with a dictionary's values instead of the dictionary.
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
    /// The names of its columns, each once.
    pub fn columns(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
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
            Predicate::Compare { column, op, value } => self.compare(column, *op, value)?,
            Predicate::CompareColumns { left, op, right } => {
                let (l, r) = (self.column(left)?, self.column(right)?);
                match Common::of(&self.data_type(l), &self.data_type(r)) {
                    Ok(Some(common)) => Node::CompareColumns { left: l, op: *op, right: r, common },
                    Ok(None) => Node::Constant(None),
                    Err(e) => return Err(Error::invalid(format!("{left} and {right}: {}", e.message()))),
                }
            }
            Predicate::In { column, values } => {
                self.column(column)?;
                let all = values.iter().map(|v| self.compare(column, Comparison::Eq, v));
                Node::Or(all.collect::<Result<_>>()?)
            }
            Predicate::IsNull { column } => Node::IsNull { column: self.column(column)? },
            Predicate::Like { column, pattern, escape, ignore_case } => {
                let index = self.column(column)?;
                let pattern = Pattern::new(pattern, *escape, *ignore_case, &self.data_type(index))
                    .map_err(|e| e.in_column(column))?;
                Node::Like { column: index, pattern }
            }
            Predicate::Is { condition, value } => {
                Node::Is { condition: Box::new(self.node(condition, below)?), value: *value }
            }
            Predicate::Not(inner) => Node::Not(Box::new(self.node(inner, below)?)),
            Predicate::And(all) => Node::And(all.iter().map(|p| self.node(p, below)).collect::<Result<_>>()?),
            Predicate::Or(all) => Node::Or(all.iter().map(|p| self.node(p, below)).collect::<Result<_>>()?),
        })
    }

    fn compare(&mut self, name: &str, op: Comparison, literal: &Literal) -> Result<Node> {
        let column = self.column(name)?;
        let settled = coerce::settle(op, literal, &self.data_type(column)).map_err(|e| e.in_column(name))?;
        Ok(match settled {
            Settled::Compare(op, value) => Node::Compare { column, op, value },
            Settled::Always(value) => Node::Known { column, value },
            Settled::Unknown => Node::Constant(None),
        })
    }

    /// The place of a column, which is bound now if it was not yet.
    fn column(&mut self, name: &str) -> Result<usize> {
        if let Some(index) = self.columns.iter().position(|c| c.name == name) {
            return Ok(index);
        }
        let mut found = self.schema.fields().iter().filter(|f| f.name() == name);
        let (field, second) = (found.next(), found.next());
        let Some(field) = field else {
            return Err(Error::invalid(format!("there is no column {name}; {}", those_there(self.schema))));
        };
        if second.is_some() {
            return Err(Error::invalid(format!("column {name} is there more than once: it cannot be named")));
        }
        let mut data_type = field.data_type();
        while let DataType::Dictionary(_, values) = data_type {
            data_type = values;
        }
        self.columns.push(BoundColumn { name: name.to_owned(), data_type: data_type.clone() });
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
