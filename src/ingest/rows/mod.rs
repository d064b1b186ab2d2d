//! Records → rows: JSON text decoded straight into the cells of one row, and rows appended to columns.

mod columns;
mod decode;
mod number;

pub(crate) use columns::Columns;
pub(crate) use decode::{Row, RowDecoder};
#[cfg(feature = "cli")]
pub(crate) use number::parse_decimal;

/// A value of a row, checked and of its column's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    /// The record did not have the field.
    Missing,
    Null,
    Bool(bool),
    /// All integers, days, and microseconds.
    Int(i64),
    Float(f64),
    Decimal(i128),
    Str(&'a str),
    /// A range of the row's own bytes: text that had escapes, or decoded base64.
    Own(usize, usize),
}
