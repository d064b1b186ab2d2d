//! What a condition is about: a column, a field inside structs, or any element of a list.

use std::fmt::{Display, Formatter, Result};

/// A column of a schema, a field inside it, or the elements of a list in it. See [`col`](super::col).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnPath {
    /// Of the top-level column.
    name: String,
    /// Of the fields below it, outermost first.
    fields: Vec<String>,
    is_any: bool,
}

impl ColumnPath {
    /// The name of the top-level column.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of the fields below it, outermost first.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether it stands for every element of the lists on the way, of which one that meets the condition is enough.
    pub fn is_any(&self) -> bool {
        self.is_any
    }

    /// The top-level column's name, if it is about that column as a whole.
    pub fn as_column(&self) -> Option<&str> {
        (self.fields.is_empty() && !self.is_any).then_some(&self.name)
    }

    /// As errors call it, without quotes.
    pub(crate) fn plain(&self) -> String {
        let path = std::iter::once(&self.name).chain(&self.fields).map(String::as_str).collect::<Vec<_>>().join(".");
        if self.is_any { format!("any({path})") } else { path }
    }

    /// The field of this name inside.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>) -> ColumnPath {
        self.fields.push(name.into());
        self
    }

    /// Any element instead of the list.
    #[must_use]
    pub fn any(mut self) -> ColumnPath {
        self.is_any = true;
        self
    }
}

impl<T: Into<String>> From<T> for ColumnPath {
    fn from(name: T) -> ColumnPath {
        ColumnPath { name: name.into(), fields: Vec::new(), is_any: false }
    }
}

impl Display for ColumnPath {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.is_any {
            f.write_str("any(")?;
        }
        write!(f, "{}", Name(&self.name))?;
        self.fields.iter().try_for_each(|field| write!(f, ".{}", Name(field)))?;
        if self.is_any { f.write_str(")") } else { Ok(()) }
    }
}

/// A column's name, in double quotes where SQL would take it for something else.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut chars = self.0.chars();
        let plain = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !sqlparser::keywords::ALL_KEYWORDS.contains(&self.0.to_ascii_uppercase().as_str());
        if plain { f.write_str(self.0) } else { write!(f, "\"{}\"", self.0.replace('"', "\"\"")) }
    }
}
