//! `hypostyle inspect`: what a Parquet file or a table is made of.

mod parquet;
mod table;

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_schema::Field;
use clap::Args;
use serde_json::Value;

use super::Ending;
use super::cells::{Form, cells};
use super::display::fit;
use super::formats::{self, Place};
use super::keys::Keys;
use super::quantities::parse_memory;
use crate::error::{Error, Result};
use crate::parquet::read::{FileReader, ReaderOptions};
use crate::table::Table;

/// Show what a Parquet file or a table is made of
///
/// Of a file: the schema, row groups, column chunks with their encodings, sizes and statistics, and with --pages each page.
/// Of a table: the schema, its last versions, and the state of those who write to it.
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// A Parquet file, or a table's folder
    #[arg(value_name = "FILE|TABLE")]
    path: String,
    /// Each page of each column chunk too
    #[arg(long)]
    pages: bool,
    /// As one JSON document
    #[arg(long)]
    json: bool,
    /// Memory that reading may take
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_memory)]
    memory_bytes: usize,
    #[command(flatten)]
    keys: Keys,
}

impl Inspect {
    pub(super) fn run(&self) -> Result<Ending> {
        let mut out = BufWriter::new(io::stdout().lock());
        match formats::place(&self.path)? {
            Place::Parquet(input) => {
                let options = ReaderOptions { decryption: self.keys.read()?, ..ReaderOptions::default() };
                let file = FileReader::open(input, options.with_memory_bytes(self.memory_bytes))?;
                match self.json {
                    true => print_json(&parquet::json(&file, self.pages)?, &mut out)?,
                    false => parquet::print(&file, self.pages, &mut out)?,
                }
            }
            Place::Table(storage) => {
                let table = Table::open(Arc::clone(&storage))?;
                match self.json {
                    true => print_json(&table::json(&table)?, &mut out)?,
                    false => table::print(&table, &self.path, &mut out)?,
                }
            }
            _ => {
                let message = "is neither a Parquet file nor a table; those can be inspected, the rest can be scanned";
                return Err(Error::invalid(message).in_file(&self.path));
            }
        }
        out.flush()?;
        Ok(Ending::Done)
    }
}

fn print_json(json: &Value, out: &mut impl Write) -> Result<()> {
    let text = serde_json::to_string_pretty(json).map_err(io::Error::from)?;
    writeln!(out, "{text}")?;
    Ok(())
}

/// The text of a bound, whole.
fn bound_text(bound: Option<&ArrayRef>) -> Option<String> {
    let bound = bound.filter(|b| b.len() == 1 && b.logical_null_count() == 0)?;
    let mut text = String::new();
    cells(&Field::new("", bound.data_type().clone(), true), bound, Form::Text).ok()?(0, &mut text);
    Some(text)
}

/// Lines of columns as wide as the widest text; `>` before a heading puts its column to the right.
struct Aligned {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Aligned {
    fn new(headings: &[&'static str]) -> Aligned {
        Aligned { headings: headings.to_vec(), rows: Vec::new() }
    }

    fn row(&mut self, texts: Vec<String>) {
        self.rows.push(texts.iter().map(|t| fit(t)).collect());
    }

    fn print(&self, indent: &str, out: &mut impl Write) -> Result<()> {
        use unicode_width::UnicodeWidthStr;
        let names: Vec<String> = self.headings.iter().map(|h| h.trim_start_matches('>').to_owned()).collect();
        let all = || std::iter::once(&names).chain(&self.rows);
        let width = |at: usize| all().filter_map(|row| row.get(at)).map(|t| t.width()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..names.len()).map(width).collect();
        for row in all() {
            let mut line = indent.to_owned();
            for ((text, width), heading) in row.iter().zip(&widths).zip(&self.headings) {
                let padding = " ".repeat(width.saturating_sub(text.width()));
                if heading.starts_with('>') {
                    line.push_str(&padding);
                    line.push_str(text);
                } else {
                    line.push_str(text);
                    line.push_str(&padding);
                }
                line.push_str("  ");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Aligned::new(&["name", ">size"]);
        table.row(vec!["a".into(), "1".into()]);
        table.row(vec!["日本語".into(), "1,000".into()]);
        let mut out = Vec::new();
        table.print("  ", &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "  name     size\n  a           1\n  日本語  1,000\n");
    }

    #[test]
    fn bounds_have_a_text() {
        let text = |array: ArrayRef| bound_text(Some(&array));
        assert_eq!(text(Arc::new(Int64Array::from(vec![5]))), Some("5".into()));
        assert_eq!(text(Arc::new(StringArray::from(vec!["x y"]))), Some("x y".into()));
        assert_eq!(text(Arc::new(Int64Array::from(vec![None]))), None);
        assert_eq!(bound_text(None), None);
    }
}
