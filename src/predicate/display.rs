//! A predicate as SQL text, which [`super::sql::parse`] reads back as the same predicate.

use std::fmt::{Display, Formatter, Result};

use super::{Comparison, Literal, Predicate};

impl Display for Predicate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Predicate::Constant(value) => f.write_str(constant(*value)),
            Predicate::Compare { column, op, value } => write!(f, "{column} {op} {value}"),
            Predicate::CompareColumns { left, op, right } => write!(f, "{left} {op} {right}"),
            Predicate::Between { column, low, high } => write!(f, "{column} BETWEEN {low} AND {high}"),
            Predicate::In { column, values } => {
                write!(f, "{column} IN (")?;
                separated(f, values, ", ", |f, value| write!(f, "{value}"))?;
                f.write_str(")")
            }
            Predicate::IsNull { column } => write!(f, "{column} IS NULL"),
            Predicate::Like { column, pattern, escape, ignore_case } => {
                let like = if *ignore_case { "ILIKE" } else { "LIKE" };
                write!(f, "{column} {like} {}", Quoted(pattern, '\''))?;
                match escape {
                    Some('\\') => Ok(()),
                    Some(c) => write!(f, " ESCAPE {}", Quoted(&c.to_string(), '\'')),
                    None => f.write_str(" ESCAPE ''"),
                }
            }
            Predicate::Is { condition, value: Some(value) } => write!(f, "({condition}) IS {}", constant(Some(*value))),
            Predicate::Is { condition, value: None } => write!(f, "({condition}) IS UNKNOWN"),
            Predicate::Not(inner) => match inner.as_ref() {
                Predicate::IsNull { column } => write!(f, "{column} IS NOT NULL"),
                inner => write!(f, "NOT ({inner})"),
            },
            Predicate::And(all) if all.is_empty() => f.write_str("TRUE"),
            Predicate::And(all) => separated(f, all, " AND ", part),
            Predicate::Or(any) if any.is_empty() => f.write_str("FALSE"),
            Predicate::Or(any) => separated(f, any, " OR ", part),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Comparison::Eq => "=",
            Comparison::NotEq => "<>",
            Comparison::Lt => "<",
            Comparison::LtEq => "<=",
            Comparison::Gt => ">",
            Comparison::GtEq => ">=",
        })
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Literal::Null => f.write_str("NULL"),
            Literal::Boolean(value) => f.write_str(constant(Some(*value))),
            Literal::Number(number) => write!(f, "{number}"),
            Literal::NaN => f.write_str("'NaN'"),
            Literal::Infinity => f.write_str("'Infinity'"),
            Literal::NegativeInfinity => f.write_str("'-Infinity'"),
            Literal::String(text) => write!(f, "{}", Quoted(text, '\'')),
            Literal::Binary(bytes) => {
                f.write_str("X'")?;
                bytes.iter().try_for_each(|b| write!(f, "{b:02X}"))?;
                f.write_str("'")
            }
            Literal::Timestamp(ns) => match jiff::Timestamp::from_nanosecond(*ns) {
                Ok(instant) => write!(f, "TIMESTAMP '{instant}'"),
                Err(_) => write!(f, "TIMESTAMP '{ns} ns'"),
            },
            Literal::Date(days) => {
                let ns = i128::from(*days) * 86_400_000_000_000;
                match jiff::Timestamp::from_nanosecond(ns) {
                    Ok(instant) => write!(f, "DATE '{}'", instant.strftime("%Y-%m-%d")),
                    Err(_) => write!(f, "DATE '{days} days'"),
                }
            }
            Literal::Time(ns) => {
                let (seconds, fraction) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
                write!(f, "TIME '{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
                if fraction != 0 { write!(f, ".{fraction:09}'") } else { f.write_str("'") }
            }
        }
    }
}

fn constant(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "TRUE",
        Some(false) => "FALSE",
        None => "NULL",
    }
}

/// A condition under AND or OR.
fn part(f: &mut Formatter<'_>, p: &Predicate) -> Result {
    match p {
        Predicate::And(_) | Predicate::Or(_) => write!(f, "({p})"),
        _ => write!(f, "{p}"),
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    all: &[T],
    separator: &str,
    print: impl Fn(&mut Formatter<'_>, &T) -> Result,
) -> Result {
    for (i, one) in all.iter().enumerate() {
        if i > 0 {
            f.write_str(separator)?;
        }
        print(f, one)?;
    }
    Ok(())
}

struct Quoted<'a>(&'a str, char);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Quoted(text, quote) = self;
        write!(f, "{quote}{}{quote}", text.replace(*quote, &format!("{quote}{quote}")))
    }
}
