//! Rows as an aligned table.

use std::io::Write;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cells::{Form, cells, is_number, type_name};
use crate::error::Result;

/// Rows that are held back to find how wide the columns are.
const BLOCK_ROWS: usize = 1_000;
/// Columns on the screen that one value may take.
const CELL_WIDTH_MAX: usize = 64;
const GAP: &str = "  ";

/// Prints batches as a table: the names, their types, a line, the rows. Columns are as wide as the widest of the
/// first thousand rows; later blocks may widen them, since not all rows are held in memory.
pub(super) struct TablePrinter<W> {
    out: W,
    schema: SchemaRef,
    widths: Vec<usize>,
    right: Vec<bool>,
    block: Vec<Vec<String>>,
    header_done: bool,
    rows: u64,
}

impl<W: Write> TablePrinter<W> {
    pub(super) fn new(out: W, schema: SchemaRef) -> TablePrinter<W> {
        let right = schema.fields().iter().map(|f| is_number(f.data_type())).collect();
        let widths = schema.fields().iter().map(|f| fit(f.name()).width().max(fit(&type_name(f.data_type())).width()));
        TablePrinter {
            widths: widths.collect(),
            out,
            schema: schema.clone(),
            right,
            block: Vec::new(),
            header_done: false,
            rows: 0,
        }
    }

    /// Takes a batch of the schema; what is whole of a block is printed.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let schema = self.schema.clone();
        let columns = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, array)| Ok((cells(field, array, Form::Text)?, array.logical_nulls())))
            .collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let texts = columns.iter().map(|(write, nulls)| {
                if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                    return "null".to_owned();
                }
                let mut text = String::new();
                write(row, &mut text);
                fit(&text)
            });
            self.block.push(texts.collect());
            if self.block.len() == BLOCK_ROWS {
                self.flush()?;
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Prints the rest.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        match (self.schema.fields().is_empty(), self.rows) {
            (_, 0) => writeln!(self.out, "(no rows)")?,
            (true, n) => writeln!(self.out, "({n} rows without columns)")?,
            _ => {}
        }
        self.out.flush()?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let block = std::mem::take(&mut self.block);
        for row in &block {
            for (width, text) in self.widths.iter_mut().zip(row) {
                *width = text.width().max(*width);
            }
        }
        if self.schema.fields().is_empty() {
            return Ok(());
        }
        if !self.header_done {
            self.header_done = true;
            let names: Vec<String> = self.schema.fields().iter().map(|f| fit(f.name())).collect();
            let types: Vec<String> = self.schema.fields().iter().map(|f| fit(&type_name(f.data_type()))).collect();
            let rules: Vec<String> = self.widths.iter().map(|w| "-".repeat(*w)).collect();
            for line in [names, types, rules] {
                self.line(&line)?;
            }
        }
        block.iter().try_for_each(|row| self.line(row))
    }

    fn line(&mut self, texts: &[String]) -> Result<()> {
        let mut line = String::new();
        for ((text, width), right) in texts.iter().zip(&self.widths).zip(&self.right) {
            let padding = " ".repeat(width.saturating_sub(text.width()));
            if *right {
                line.push_str(&padding);
                line.push_str(text);
            } else {
                line.push_str(text);
                line.push_str(&padding);
            }
            line.push_str(GAP);
        }
        writeln!(self.out, "{}", line.trim_end())?;
        Ok(())
    }
}

/// The text on one line, without what would move the cursor, cut where it takes too much room.
pub(super) fn fit(text: &str) -> String {
    let mut shown = String::new();
    let mut width = 0;
    for c in text.chars() {
        let escaped = match c {
            '\n' => Some("\\n".to_owned()),
            '\r' => Some("\\r".to_owned()),
            '\t' => Some("\\t".to_owned()),
            c if c.is_control() => Some(c.escape_unicode().to_string()),
            _ => None,
        };
        let wide = escaped.as_ref().map_or_else(|| c.width().unwrap_or(0), String::len);
        if width + wide > CELL_WIDTH_MAX {
            // Takes back what the mark needs room for.
            while shown.width() + 1 > CELL_WIDTH_MAX {
                shown.pop();
            }
            shown.push('…');
            return shown;
        }
        width += wide;
        match escaped {
            Some(escaped) => shown.push_str(&escaped),
            None => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::*;
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    fn printed(batches: &[RecordBatch], schema: SchemaRef) -> String {
        let mut out = Vec::new();
        let mut printer = TablePrinter::new(&mut out, schema);
        batches.iter().for_each(|b| printer.write(b).unwrap());
        printer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_typed() {
        let batch = RecordBatch::try_from_iter([
            ("flight", Arc::new(Int64Array::from(vec![Some(1545), None])) as ArrayRef),
            ("dest", Arc::new(StringArray::from(vec![Some("日本"), Some("a\nb")]))),
            ("x", Arc::new(Float64Array::from(vec![Some(-1.5), Some(1e100)]))),
        ])
        .unwrap();
        assert_eq!(
            printed(std::slice::from_ref(&batch), batch.schema()),
            "\
flight  dest        x
 int64  utf8  float64
------  ----  -------
  1545  日本     -1.5
  null  a\\nb    1e100
"
        );
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(fit(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(fit(&"x".repeat(65)), format!("{}…", "x".repeat(63)));
        let wide = fit(&"日".repeat(100));
        assert!(wide.ends_with("日…") && wide.width() <= 64, "{wide}");
        assert_eq!(fit("\u{1b}[2J"), "\\u{1b}[2J");
    }

    #[test]
    fn no_rows_and_no_columns() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int8, true)]));
        assert_eq!(printed(&[], schema), "   a\nint8\n----\n(no rows)\n");
        let none = Arc::new(Schema::empty());
        let options = RecordBatchOptions::new().with_row_count(Some(3));
        let rows = RecordBatch::try_new_with_options(none.clone(), vec![], &options).unwrap();
        assert_eq!(printed(&[rows], none), "(3 rows without columns)\n");
    }

    #[test]
    fn later_blocks_widen_their_columns() {
        let numbers = |range: std::ops::Range<i64>| -> RecordBatch {
            RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from_iter_values(range)) as ArrayRef)]).unwrap()
        };
        let batch = numbers(99_500..100_500);
        let text = printed(&[batch.clone(), numbers(1_000_000..1_000_001)], batch.schema());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3 + 1001);
        assert_eq!((lines[0], lines[3], lines[1003]), ("     n", " 99500", "1000000"));
    }
}
