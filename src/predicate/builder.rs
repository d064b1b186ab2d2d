//! The typed way to write a predicate: `col("x").gt(5)`.

use super::{ColumnPath, Comparison, Literal, Predicate};

/// A column by name, to compare: `col("dep_delay").gt(60)`; a field of one: `col("origin").field("city").eq("Paris")`; any
/// element of a list: `col("tags").any().eq("late")`, and with fields in any order `col("stops").any().field("city")`.
pub fn col(name: impl Into<String>) -> Subject {
    Subject(ColumnPath::from(name))
}

/// What a condition is about, on its way to a [`Predicate`].
#[derive(Debug, Clone)]
pub struct Subject(ColumnPath);

/// The right side of a comparison: a constant, or another column.
#[derive(Debug, Clone)]
pub enum Operand {
    /// A constant.
    Literal(Literal),
    /// A column.
    Column(ColumnPath),
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident => $op:ident;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(self, other: impl Into<Operand>) -> Predicate {
            self.compare(Comparison::$op, other)
        })*
    };
}

impl Subject {
    /// The field of this name in a struct.
    #[must_use]
    pub fn field(self, name: impl Into<String>) -> Subject {
        Subject(self.0.field(name))
    }

    /// Any element of the list, which may be met on the way to a field: the condition is true if it is for one of them.
    #[must_use]
    pub fn any(self) -> Subject {
        Subject(self.0.any())
    }

    comparisons! {
        /// `column = other`
        eq => Eq;
        /// `column <> other`
        ne => NotEq;
        /// `column < other`
        lt => Lt;
        /// `column <= other`
        le => LtEq;
        /// `column > other`
        gt => Gt;
        /// `column >= other`
        ge => GtEq;
    }

    /// `column op other`
    #[must_use]
    pub fn compare(self, op: Comparison, other: impl Into<Operand>) -> Predicate {
        match other.into() {
            Operand::Literal(value) => Predicate::Compare { column: self.0, op, value },
            Operand::Column(right) => Predicate::CompareColumns { left: self.0, op, right },
        }
    }

    /// `column BETWEEN low AND high`, both ends within.
    #[must_use]
    pub fn between(self, low: impl Into<Operand>, high: impl Into<Operand>) -> Predicate {
        match (low.into(), high.into()) {
            (Operand::Literal(low), Operand::Literal(high)) => Predicate::Between { column: self.0, low, high },
            (low, high) => self.clone().ge(low).and(self.le(high)),
        }
    }

    /// `column IN (values)`
    #[must_use]
    pub fn is_in<L: Into<Literal>>(self, values: impl IntoIterator<Item = L>) -> Predicate {
        Predicate::In { column: self.0, values: values.into_iter().map(Into::into).collect() }
    }

    /// `column LIKE pattern`, with `\` as the escape.
    #[must_use]
    pub fn like(self, pattern: impl Into<String>) -> Predicate {
        Predicate::Like { column: self.0, pattern: pattern.into(), escape: Some('\\'), ignore_case: false }
    }

    /// `column LIKE 'prefix%'`, whatever characters the prefix has.
    #[must_use]
    pub fn starts_with(self, prefix: &str) -> Predicate {
        let mut pattern = String::with_capacity(prefix.len() + 1);
        for c in prefix.chars() {
            if matches!(c, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('%');
        self.like(pattern)
    }

    /// `column IS NULL`
    #[must_use]
    pub fn is_null(self) -> Predicate {
        Predicate::IsNull { column: self.0 }
    }

    /// `column IS NOT NULL`
    #[must_use]
    pub fn is_not_null(self) -> Predicate {
        !self.is_null()
    }

    /// A boolean column by itself.
    #[must_use]
    pub fn is_true(self) -> Predicate {
        self.eq(true)
    }
}

impl From<Subject> for Operand {
    fn from(column: Subject) -> Operand {
        Operand::Column(column.0)
    }
}

macro_rules! operands {
    ($($t:ty),*) => {
        $(impl From<$t> for Operand {
            fn from(value: $t) -> Operand {
                Operand::Literal(Literal::from(value))
            }
        })*
    };
}

operands!(bool, i8, i16, i32, i64, i128, u8, u16, u32, u64, f32, f64, &str, String);

impl From<ColumnPath> for Operand {
    fn from(column: ColumnPath) -> Operand {
        Operand::Column(column)
    }
}

impl From<ColumnPath> for Subject {
    fn from(column: ColumnPath) -> Subject {
        Subject(column)
    }
}

impl From<Literal> for Operand {
    fn from(value: Literal) -> Operand {
        Operand::Literal(value)
    }
}
