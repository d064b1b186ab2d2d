//! The options that `scan` and `convert` share: which rows and columns.

use clap::Args;

use super::formats::Request;
use super::ingest::read_schema;
use super::keys::Keys;
use super::quantities::parse_memory;
use super::split::Split;
use crate::error::{Error, Result};
use crate::parquet::read::TopK;
use crate::predicate::sql;

/// Which rows and columns.
#[derive(Debug, Args)]
pub(super) struct Selection {
    /// Only rows for which this is true, such as "carrier = 'UA' and dep_delay > 60"
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Only these columns, in this order, with commas between; "a,b" in double quotes is one name
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<String>,
    /// Pass over so many rows first
    #[arg(long, value_name = "ROWS", default_value_t = 0, hide_default_value = true)]
    offset: u64,
    /// At most so many rows
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// The rows with the least values of a column, or ("COLUMN desc") with the greatest, in order
    #[arg(long, value_name = "COLUMN", requires = "limit", conflicts_with = "offset")]
    order_by: Option<String>,
    /// Add each row's place in the Parquet file, from 0 on, as a column of this name; of a table, also its data file, as
    /// NAME_file
    #[arg(long, value_name = "NAME")]
    row_numbers: Option<String>,
    /// Threads that read Parquet, and as many that write it
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    threads: usize,
    /// Memory that reading may take
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_memory)]
    memory_bytes: usize,
    /// The columns of NDJSON or CSV, as a JSON file [default: inferred from all of it]; those that a Parquet file is read as
    #[arg(long, value_name = "FILE")]
    schema: Option<String>,
    #[command(flatten)]
    split: Split,
    #[command(flatten)]
    keys: Keys,
}

impl Selection {
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn request(&self) -> Result<Request> {
        Ok(Request {
            columns: self.columns.as_deref().map(parse_columns).transpose()?,
            predicate: self.condition.as_deref().map(sql::parse).transpose().map_err(|e| e.in_file("--where"))?,
            offset: self.offset,
            limit: self.limit,
            order: self.order_by.as_deref().map(|text| parse_order(text, self.limit)),
            row_numbers: self.row_numbers.clone(),
            threads: self.threads,
            memory_bytes: self.memory_bytes,
            schema: self.schema.as_deref().map(read_schema).transpose()?,
            split: self.split.clone(),
            keys: self.keys.read()?,
        })
    }
}

/// `COLUMN`, `COLUMN asc` or `COLUMN desc`; in double quotes, a name as it is.
fn parse_order(text: &str, limit: Option<u64>) -> TopK {
    let text = text.trim();
    let without = |word: &str| {
        let (name, last) = text.rsplit_once(char::is_whitespace)?;
        last.eq_ignore_ascii_case(word).then(|| name.trim_end())
    };
    let (name, descending) = match (without("desc"), without("asc")) {
        (Some(name), _) => (name, true),
        (None, name) => (name.unwrap_or(text), false),
    };
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    let rows = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    TopK { column: name.to_owned(), descending, rows }
}

fn parse_columns(text: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (name, after) = quoted
                    .split_once('"')
                    .ok_or_else(|| Error::invalid(format!("--columns {text}: a double quote is not closed")))?;
                (name, after)
            }
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        let name = if rest.starts_with('"') { name } else { name.trim() };
        if names.iter().any(|n| n == name) {
            return Err(Error::invalid(format!("--columns {text}: column {name} is there twice")));
        }
        names.push(name.to_owned());
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.trim().is_empty() => "",
            None => return Err(Error::invalid(format!("--columns {text}: a comma is missing after \"{name}\""))),
        };
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_column_and_a_direction() {
        let parsed = |text| {
            let top = parse_order(text, Some(3));
            (top.column, top.descending, top.rows)
        };
        assert_eq!(parsed("dep_delay"), ("dep_delay".to_owned(), false, 3));
        assert_eq!(parsed("dep_delay DESC"), ("dep_delay".to_owned(), true, 3));
        assert_eq!(parsed("a b asc"), ("a b".to_owned(), false, 3));
        assert_eq!(parsed("\"a desc\""), ("a desc".to_owned(), false, 3));
        assert_eq!(parsed("\"a\" desc"), ("a".to_owned(), true, 3));
    }

    #[test]
    fn columns_are_split_at_commas() {
        let parsed = |text| parse_columns(text).unwrap();
        assert_eq!(parsed("flight,dest, dep_delay"), ["flight", "dest", "dep_delay"]);
        assert_eq!(parsed("\"a,b\", c"), ["a,b", "c"]);
        assert_eq!(parsed("a b"), ["a b"]);
        assert_eq!(parsed(""), [""; 0]);
        assert!(parse_columns("a,a").unwrap_err().to_string().contains("twice"));
        assert!(parse_columns("\"a").is_err());
        assert!(parse_columns("\"a\"b").is_err());
    }
}
