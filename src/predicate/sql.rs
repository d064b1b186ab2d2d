//! SQL → [`Predicate`].

use super::Predicate;
use crate::error::{Error, Result};

/// Parses the condition of a `WHERE`.
pub fn parse(_text: &str) -> Result<Predicate> {
    Err(Error::unsupported("SQL is not parsed yet"))
}
