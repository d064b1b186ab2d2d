//! Why bounds leave out rows, for people: the condition that no row meets, and what is known of its columns.

use std::fmt::{Display, Formatter};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, make_array};
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;

use super::bind::{BoundPredicate, Node};
use super::prune::Sources;
use super::{Bounds, ColumnPath, Predicate};

/// A condition that no row meets, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The condition as SQL.
    pub condition: String,
    /// What is known of its columns, each once.
    pub evidence: Vec<Evidence>,
}

/// What is known of a column that shows that no row meets a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// Its bounds.
    Bounds {
        /// The column as SQL.
        column: String,
        /// At most the least value, as text.
        min: Option<String>,
        /// At least the greatest value, as text.
        max: Option<String>,
        /// How many rows are NULL.
        nulls: Option<u64>,
    },
    /// Its Bloom filter has none of the values asked for.
    BloomFilter {
        /// The column as SQL.
        column: String,
    },
    /// None of the values that it has in these rows meets the condition.
    Values {
        /// The column as SQL.
        column: String,
        /// How many different values there are at most.
        values: usize,
    },
}

impl BoundPredicate {
    /// The conditions of `predicate`, which this is bound from, for which no row of `bounds` matches: one is enough where all
    /// must hold, and each where any may. None if some row may match.
    pub fn reasons(&self, predicate: &Predicate, bounds: &dyn Bounds) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if !self.can_match(&self.root, bounds, Sources::ALL) {
            self.collect(predicate, &self.root, bounds, &mut reasons);
        }
        reasons
    }

    /// Adds the reasons why no row matches `node`, which is bound from `predicate`.
    fn collect(&self, predicate: &Predicate, node: &Node, bounds: &dyn Bounds, reasons: &mut Vec<Reason>) {
        match (predicate, node) {
            (Predicate::And(conditions), Node::And(nodes)) => {
                let mut both = conditions.iter().zip(nodes);
                match both.find(|(_, node)| !self.can_match(node, bounds, Sources::ALL)) {
                    Some((condition, node)) => self.collect(condition, node, bounds, reasons),
                    // Only several of them together leave no row.
                    None => reasons.push(self.reason(predicate, node, bounds)),
                }
            }
            (Predicate::Or(conditions), Node::Or(nodes)) => {
                conditions.iter().zip(nodes).for_each(|(p, node)| self.collect(p, node, bounds, reasons));
            }
            _ => reasons.push(self.reason(predicate, node, bounds)),
        }
    }

    fn reason(&self, predicate: &Predicate, node: &Node, bounds: &dyn Bounds) -> Reason {
        let sources = [Sources::BOUNDS, Sources { filters: true, ..Sources::BOUNDS }, Sources::ALL];
        let decided_by = sources.into_iter().find(|sources| !self.can_match(node, bounds, *sources));
        let mut places = Vec::new();
        node.columns(&mut places);
        let paths = places.into_iter().filter_map(|at| self.columns.get(at)).map(|column| &column.path);
        let evidence = paths.map(|path| match decided_by {
            Some(Sources { values: true, .. }) => match bounds.values(path) {
                Some(values) => Evidence::Values { column: path.to_string(), values: values.len() },
                None => bounds_of(path, bounds),
            },
            Some(Sources { filters: true, .. }) => Evidence::BloomFilter { column: path.to_string() },
            _ => bounds_of(path, bounds),
        });
        Reason { condition: predicate.to_string(), evidence: evidence.collect() }
    }
}

fn bounds_of(path: &ColumnPath, bounds: &dyn Bounds) -> Evidence {
    let known = bounds.column(path);
    Evidence::Bounds {
        column: path.to_string(),
        min: known.min.as_ref().and_then(text),
        max: known.max.as_ref().and_then(text),
        nulls: known.null_count,
    }
}

/// A value as text; strings in quotes, and no more of them than a person reads.
fn text(value: &ArrayRef) -> Option<String> {
    const CHARS_MAX: usize = 40;
    if value.len() != 1 || value.is_null(0) {
        return None;
    }
    let text = match value.data_type() {
        DataType::Utf8 => value.as_string::<i32>().value(0).to_owned(),
        DataType::LargeUtf8 => value.as_string::<i64>().value(0).to_owned(),
        DataType::Utf8View => value.as_string_view().value(0).to_owned(),
        // Instants in UTC, whatever their zone is called.
        DataType::Timestamp(unit, Some(_)) => {
            let utc = value.to_data().into_builder().data_type(DataType::Timestamp(*unit, None)).build().ok()?;
            return array_value_to_string(&make_array(utc), 0).ok().map(|text| format!("{text}Z"));
        }
        _ => return array_value_to_string(value, 0).ok(),
    };
    let cut: String = text.chars().take(CHARS_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    Some(format!("'{}{more}'", cut.replace('\'', "''")))
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.condition)?;
        let mut separator = ": ";
        for evidence in &self.evidence {
            write!(f, "{separator}{evidence}")?;
            separator = "; ";
        }
        Ok(())
    }
}

impl Display for Evidence {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Evidence::Bounds { column, min, max, nulls } => {
                match (min, max) {
                    (Some(min), Some(max)) if min == max => write!(f, "{column} is {min}")?,
                    (Some(min), Some(max)) => write!(f, "{column} is {min} to {max}")?,
                    (Some(min), None) => write!(f, "{column} is at least {min}")?,
                    (None, Some(max)) => write!(f, "{column} is at most {max}")?,
                    (None, None) => write!(f, "{column} has no bounds")?,
                }
                match nulls {
                    Some(0) => f.write_str(", never NULL"),
                    Some(1) => f.write_str(", once NULL"),
                    Some(n) => write!(f, ", {n} times NULL"),
                    None => Ok(()),
                }
            }
            Evidence::BloomFilter { column } => write!(f, "not in the Bloom filter of {column}"),
            Evidence::Values { column, values: 1 } => write!(f, "not the one value of {column} in its dictionary"),
            Evidence::Values { column, values } => {
                write!(f, "none of the {values} values of {column} in its dictionary")
            }
        }
    }
}
