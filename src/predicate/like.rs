//! `LIKE`: a pattern, taken apart once.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, LargeStringArray, Scalar, StringArray, StringViewArray};
use arrow_schema::DataType;
use arrow_string::like;

use crate::error::{Error, Result};

/// A pattern over a string column.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    kind: Kind,
    /// Every text that matches starts with this.
    pub(super) prefix: String,
    /// The kernel's right side, of the column's type.
    operand: ArrayRef,
}

/// Which kernel answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `abc`
    Exact,
    /// `abc%`, `%` too
    Prefix,
    /// `%abc`
    Suffix,
    /// `%abc%`
    Contains,
    /// Anything else.
    General,
    /// Any pattern, upper and lower case the same.
    IgnoreCase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Char(char),
}

impl Pattern {
    /// Takes a pattern apart, for a column of strings of this type.
    pub(super) fn new(pattern: &str, escape: Option<char>, ignore_case: bool, data_type: &DataType) -> Result<Pattern> {
        let tokens = tokens(pattern, escape)?;
        let literal = |tokens: &[Token]| {
            tokens.iter().map(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect::<Option<String>>()
        };
        let prefix: String =
            tokens.iter().map_while(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect();
        let (kind, text) = match tokens.as_slice() {
            _ if ignore_case => (Kind::IgnoreCase, None),
            all if literal(all).is_some() => (Kind::Exact, literal(all)),
            [head @ .., Token::Any] if literal(head).is_some() => (Kind::Prefix, literal(head)),
            [Token::Any, tail @ ..] if literal(tail).is_some() => (Kind::Suffix, literal(tail)),
            [Token::Any, middle @ .., Token::Any] if literal(middle).is_some() => (Kind::Contains, literal(middle)),
            _ => (Kind::General, None),
        };
        let text = text.unwrap_or_else(|| escaped(&tokens));
        let operand: ArrayRef = match data_type {
            DataType::Utf8 => Arc::new(StringArray::from(vec![text])),
            DataType::LargeUtf8 => Arc::new(LargeStringArray::from(vec![text])),
            DataType::Utf8View => Arc::new(StringViewArray::from(vec![text])),
            other => {
                return Err(Error::invalid(format!("LIKE wants a column of strings, not of type {other}")));
            }
        };
        Ok(Pattern { kind, prefix: if ignore_case { String::new() } else { prefix }, operand })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Which elements of an array of the column's type match.
    pub(super) fn matches(&self, array: &ArrayRef) -> Result<BooleanArray> {
        let operand = Scalar::new(Arc::clone(&self.operand));
        Ok(match self.kind {
            Kind::Exact => arrow_ord::cmp::eq(array, &operand)?,
            Kind::Prefix => like::starts_with(array, &operand)?,
            Kind::Suffix => like::ends_with(array, &operand)?,
            Kind::Contains => like::contains(array, &operand)?,
            Kind::General => like::like(array, &operand)?,
            Kind::IgnoreCase => like::ilike(array, &operand)?,
        })
    }
}

fn tokens(pattern: &str, escape: Option<char>) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            c if Some(c) == escape => {
                let next = chars.next().ok_or_else(|| {
                    Error::invalid(format!("the pattern '{pattern}' ends in its escape character {c}; double it"))
                })?;
                Token::Char(next)
            }
            '%' => {
                // Many are as one, and cost more.
                if tokens.last() == Some(&Token::Any) {
                    continue;
                }
                Token::Any
            }
            '_' => Token::One,
            c => Token::Char(c),
        });
    }
    Ok(tokens)
}

/// The pattern with `\` as its escape, as the kernels want it.
fn escaped(tokens: &[Token]) -> String {
    let mut text = String::new();
    for token in tokens {
        match token {
            Token::Any => text.push('%'),
            Token::One => text.push('_'),
            Token::Char(c) => {
                if matches!(c, '%' | '_' | '\\') {
                    text.push('\\');
                }
                text.push(*c);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_find_their_kernel_and_prefix() {
        for (pattern, kind, prefix) in [
            ("abc", Kind::Exact, "abc"),
            ("", Kind::Exact, ""),
            ("%", Kind::Prefix, ""),
            ("%%", Kind::Prefix, ""),
            ("a%", Kind::Prefix, "a"),
            ("%a", Kind::Suffix, ""),
            ("%a%", Kind::Contains, ""),
            ("a%b", Kind::General, "a"),
            ("a_", Kind::General, "a"),
            (r"a\%%", Kind::Prefix, "a%"),
            (r"\\", Kind::Exact, r"\"),
        ] {
            let p = Pattern::new(pattern, Some('\\'), false, &DataType::Utf8).unwrap();
            assert_eq!((p.kind(), p.prefix.as_str()), (kind, prefix), "{pattern}");
        }
    }

    #[test]
    fn texts_match() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("abc"),
            Some("a%c"),
            Some("ABC"),
            Some(""),
            None,
            Some("a\nc"),
            Some(r"a\c"),
        ]));
        let matched = |pattern: &str, escape, ignore_case| -> Vec<Option<bool>> {
            let p = Pattern::new(pattern, escape, ignore_case, &DataType::Utf8).unwrap();
            p.matches(&texts).unwrap().iter().collect()
        };
        let (t, f) = (Some(true), Some(false));
        assert_eq!(matched("a_c", Some('\\'), false), [t, t, f, f, None, t, t]);
        assert_eq!(matched(r"a\%c", Some('\\'), false), [f, t, f, f, None, f, f]);
        assert_eq!(matched("a!%c", Some('!'), false), [f, t, f, f, None, f, f]);
        assert_eq!(matched(r"a\c", None, false), [f, f, f, f, None, f, t]);
        assert_eq!(matched(r"a\_", None, false), [f, f, f, f, None, f, t]);
        assert_eq!(matched("a_C", Some('\\'), true), [t, t, t, f, None, t, t]);
        assert_eq!(matched("%", Some('\\'), false), [t, t, t, t, None, t, t]);
        assert_eq!(matched("%b%", Some('\\'), false), [t, f, f, f, None, f, f]);
    }

    #[test]
    fn a_dangling_escape_is_refused() {
        let e = Pattern::new(r"a\", Some('\\'), false, &DataType::Utf8).unwrap_err();
        assert_eq!(e.to_string(), r"the pattern 'a\' ends in its escape character \; double it");
        assert!(Pattern::new("a", None, false, &DataType::Int32).is_err());
    }
}
