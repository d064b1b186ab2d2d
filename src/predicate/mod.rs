//! Expressions over columns, evaluated over Arrow rows and over bounds.
//!
//! A [`Predicate`] is a tree of comparisons, written with [`col`] or parsed from SQL by [`sql::parse`]; both
//! give the same tree. [`Predicate::bind`] checks it against a schema, once, into a [`BoundPredicate`], which
//! answers two questions: which rows of a batch match ([`BoundPredicate::evaluate`]), and whether any or all
//! rows *can* match, given only what is known of their least and greatest values ([`BoundPredicate::prune`]).
//!
//! ```
//! use hypostyle::predicate::{col, sql};
//!
//! let built = col("carrier").eq("UA").and(col("dep_delay").gt(60));
//! assert_eq!(sql::parse("carrier = 'UA' and dep_delay > 60")?, built);
//! assert_eq!(built.to_string(), "carrier = 'UA' AND dep_delay > 60");
//! # Ok::<(), hypostyle::Error>(())
//! ```
//!
//! What the answers mean:
//! - Logic is SQL's, with three values: a comparison with NULL is unknown, and only rows where the whole is
//!   *true* match.
//! - Floats: NaN equals NaN and is greater than everything else; -0.0 equals 0.0.
//! - A literal means its exact value: `int8_column > 1000` is false for every value, `int_column = 1.5` too.
//!   Only for a float column is a number rounded to the column's nearest value first, as SQL casts it.
//! - Strings and binary values are ordered by their bytes.
//! - A field of a struct, `a.b`, is NULL where the struct is. `any(tags) = 'x'` is true if some element is equal; else it is
//!   unknown if some element (or the list) is NULL, and false otherwise, of an empty list too. `NOT` in front or in the
//!   middle (`any(tags) not in …`) denies the whole.
//! - Timestamps are instants; one written without a zone is taken as UTC, and so is a column without one.

mod bind;
mod builder;
mod coerce;
mod display;
mod evaluate;
mod like;
mod literal;
mod nested;
mod path;
mod prune;
mod reason;
mod scalar;
pub mod sql;
mod widen;
mod within;

use arrow_array::ArrayRef;

pub use bind::BoundPredicate;
pub use builder::{Operand, Subject, col};
pub use literal::{Literal, Number};
pub(crate) use nested::Step;
pub use path::ColumnPath;
pub use reason::{Evidence, Reason};

/// A condition on a row. See the [module](self) for its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// True, false or (`None`) unknown for every row.
    Constant(Option<bool>),
    /// A column against a constant. A boolean column alone is `column = TRUE`.
    Compare {
        /// The column.
        column: ColumnPath,
        /// How they compare.
        op: Comparison,
        /// The right side.
        value: Literal,
    },
    /// A column against another one.
    CompareColumns {
        /// The left column.
        left: ColumnPath,
        /// How they compare.
        op: Comparison,
        /// The right column.
        right: ColumnPath,
    },
    /// The column's value is neither less than the one nor greater than the other.
    Between {
        /// The column.
        column: ColumnPath,
        /// The least value.
        low: Literal,
        /// The greatest value.
        high: Literal,
    },
    /// The column's value is one of these.
    In {
        /// The column.
        column: ColumnPath,
        /// The values; NULL among them makes every row that matches no other one unknown.
        values: Vec<Literal>,
    },
    /// The column has no value in this row. Never unknown.
    IsNull {
        /// The column.
        column: ColumnPath,
    },
    /// A string column against a pattern of `%` (any characters) and `_` (any one character).
    Like {
        /// The column.
        column: ColumnPath,
        /// The pattern.
        pattern: String,
        /// The character that makes the next one stand for itself; `None`: none does.
        escape: Option<char>,
        /// Whether upper and lower case are the same (`ILIKE`).
        ignore_case: bool,
    },
    /// The condition is true, false or (`None`) unknown. Never unknown itself.
    Is {
        /// The condition.
        condition: Box<Predicate>,
        /// What it should be.
        value: Option<bool>,
    },
    /// Not the condition.
    Not(Box<Predicate>),
    /// All conditions; true when there is none.
    And(Vec<Predicate>),
    /// Any condition; false when there is none.
    Or(Vec<Predicate>),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

/// What is known of a set of rows (a page, a row group, a file) without reading them.
pub trait Bounds {
    /// How many rows there are.
    fn rows(&self) -> u64;

    /// What is known of a column; [`ColumnBounds::default`] when that is nothing. Of any elements of a list, the bounds are
    /// those of all elements, and a count of NULLs that is 0 says that no element is.
    fn column(&self, column: &ColumnPath) -> ColumnBounds;

    /// False only if no row has this value in the column. Asked where bounds leave it open, about one element of the
    /// column's Arrow type (a dictionary's values instead of the dictionary).
    fn may_contain(&self, column: &ColumnPath, value: &ArrayRef) -> bool {
        let _ = (column, value);
        true
    }

    /// The values of the column that are not NULL, each at least once, if they are known; there may be others among them.
    /// Of the column's Arrow type, without a dictionary. Asked last, of columns on which the answer still depends.
    fn values(&self, column: &ColumnPath) -> Option<ArrayRef> {
        let _ = column;
        None
    }
}

/// What is known of a column's values in a set of rows. Nothing, by default.
#[derive(Debug, Clone, Default)]
pub struct ColumnBounds {
    /// At most the least value that is neither NULL nor NaN (need not be a value itself: truncated strings are
    /// good bounds). One element, of the column's Arrow type.
    pub min: Option<ArrayRef>,
    /// At least the greatest value that is neither NULL nor NaN; as `min`.
    pub max: Option<ArrayRef>,
    /// How many rows are NULL.
    pub null_count: Option<u64>,
    /// How many values of a float column are NaN. While this is not known, a NaN, greater than every bound,
    /// may be there. Other types do not have it.
    pub nan_count: Option<u64>,
}

/// What bounds say about a predicate over their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Some rows may match: read them.
    Keep,
    /// No row matches.
    Drop,
    /// Every row matches.
    AllMatch,
}

impl Predicate {
    /// Both conditions.
    #[must_use]
    pub fn and(self, other: Predicate) -> Predicate {
        Predicate::all([self, other])
    }

    /// Either condition.
    #[must_use]
    pub fn or(self, other: Predicate) -> Predicate {
        Predicate::any([self, other])
    }

    /// All conditions. Those that are `And` themselves are taken in flat.
    pub fn all(conditions: impl IntoIterator<Item = Predicate>) -> Predicate {
        let flat = conditions.into_iter().flat_map(|p| match p {
            Predicate::And(inner) => inner,
            other => vec![other],
        });
        Predicate::And(flat.collect())
    }

    /// Any of the conditions. Those that are `Or` themselves are taken in flat.
    pub fn any(conditions: impl IntoIterator<Item = Predicate>) -> Predicate {
        let flat = conditions.into_iter().flat_map(|p| match p {
            Predicate::Or(inner) => inner,
            other => vec![other],
        });
        Predicate::Or(flat.collect())
    }

    /// The names of its top-level columns, each once, in order of first use.
    pub fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for path in self.paths() {
            if !names.iter().any(|name| name == path.name()) {
                names.push(path.name().to_owned());
            }
        }
        names
    }

    /// What it is about, each once, in order of first use.
    pub(crate) fn paths(&self) -> Vec<&ColumnPath> {
        let mut paths = Vec::new();
        self.collect_paths(&mut paths);
        paths
    }

    fn collect_paths<'a>(&'a self, paths: &mut Vec<&'a ColumnPath>) {
        let mut add = |path: &'a ColumnPath| {
            if !paths.contains(&path) {
                paths.push(path);
            }
        };
        match self {
            Predicate::Constant(_) => {}
            Predicate::Compare { column, .. }
            | Predicate::Between { column, .. }
            | Predicate::In { column, .. }
            | Predicate::IsNull { column }
            | Predicate::Like { column, .. } => add(column),
            Predicate::CompareColumns { left, right, .. } => {
                add(left);
                add(right);
            }
            Predicate::Is { condition: inner, .. } | Predicate::Not(inner) => inner.collect_paths(paths),
            Predicate::And(all) | Predicate::Or(all) => all.iter().for_each(|p| p.collect_paths(paths)),
        }
    }
}

impl std::ops::Not for Predicate {
    type Output = Predicate;

    fn not(self) -> Predicate {
        Predicate::Not(Box::new(self))
    }
}

impl Comparison {
    /// The comparison with its sides exchanged: `5 < x` is `x > 5`.
    #[must_use]
    pub fn flip(self) -> Comparison {
        match self {
            Comparison::Eq | Comparison::NotEq => self,
            Comparison::Lt => Comparison::Gt,
            Comparison::LtEq => Comparison::GtEq,
            Comparison::Gt => Comparison::Lt,
            Comparison::GtEq => Comparison::LtEq,
        }
    }

    /// Whether two values in this order compare so.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Comparison::Eq => order.is_eq(),
            Comparison::NotEq => order.is_ne(),
            Comparison::Lt => order.is_lt(),
            Comparison::LtEq => order.is_le(),
            Comparison::Gt => order.is_gt(),
            Comparison::GtEq => order.is_ge(),
        }
    }
}
