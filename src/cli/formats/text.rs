//! NDJSON and CSV, written.
//!
//! NDJSON: a line for each row, an object with every column in order, NULL written out, so that what reads it back sees all
//! columns. CSV (RFC 4180, lines end in `\n`): a header; NULL is an empty field and empty text is `""`. The texts of values are
//! those of [`crate::cli::cells`].

use std::io::Write;

use arrow_array::{Array, RecordBatch};
use arrow_schema::SchemaRef;

use super::OutputFile;
use crate::cli::cells::{Form, cells};
use crate::cli::nested::key;
use crate::error::{Error, Result};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    Ndjson,
    Csv,
}

/// Writes rows as lines.
pub(super) struct TextWriter {
    out: OutputFile,
    schema: SchemaRef,
    lines: Lines,
}

impl TextWriter {
    pub(super) fn new(mut out: OutputFile, schema: SchemaRef, lines: Lines) -> Result<TextWriter> {
        if schema.fields().is_empty() && lines == Lines::Csv {
            return Err(Error::invalid("CSV cannot say how many rows there are when there is no column"));
        }
        // So that a column without a text is refused before anything is written.
        write_rows(&RecordBatch::new_empty(schema.clone()), lines, &mut String::new())?;
        if lines == Lines::Csv {
            let mut header = String::new();
            for (at, field) in schema.fields().iter().enumerate() {
                if at > 0 {
                    header.push(',');
                }
                put_csv(field.name(), &mut header);
            }
            header.push('\n');
            out.write_all(header.as_bytes())?;
        }
        Ok(TextWriter { out, schema, lines })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        debug_assert_eq!(batch.num_columns(), self.schema.fields().len());
        let mut text = String::new();
        for start in (0..batch.num_rows()).step_by(ROWS) {
            text.clear();
            write_rows(&batch.slice(start, ROWS.min(batch.num_rows() - start)), self.lines, &mut text)?;
            self.out.append(text.as_bytes())?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<u64> {
        self.out.finish()
    }
}

/// Rows whose text is held at a time.
const ROWS: usize = 1024;

fn write_rows(batch: &RecordBatch, lines: Lines, text: &mut String) -> Result<()> {
    let schema = batch.schema();
    let form = if lines == Lines::Csv { Form::Csv } else { Form::Json };
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| Ok((key(field.name()), cells(field, array, form)?, array.logical_nulls())))
        .collect::<Result<Vec<_>>>()?;
    let mut cell = String::new();
    for row in 0..batch.num_rows() {
        if lines == Lines::Ndjson {
            text.push('{');
        }
        for (at, (key, write, nulls)) in columns.iter().enumerate() {
            let is_null = nulls.as_ref().is_some_and(|n| n.is_null(row));
            if at > 0 {
                text.push(',');
            }
            match (lines, is_null) {
                (Lines::Ndjson, null) => {
                    text.push_str(key);
                    if null { text.push_str("null") } else { write(row, text) }
                }
                (Lines::Csv, true) => {}
                (Lines::Csv, false) => {
                    cell.clear();
                    write(row, &mut cell);
                    put_csv(&cell, text);
                }
            }
        }
        text.push_str(if lines == Lines::Ndjson { "}\n" } else { "\n" });
    }
    Ok(())
}

fn put_csv(value: &str, out: &mut String) {
    let outer_space = value.starts_with(char::is_whitespace) || value.ends_with(char::is_whitespace);
    if value.is_empty() || outer_space || value.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&value.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![Some(1), None])) as ArrayRef),
            ("a \"b\"", Arc::new(StringArray::from(vec![Some("x,\"y\"\n"), Some("")]))),
            ("f", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN)]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("UTC"))),
        ])
        .unwrap()
    }

    fn text(lines: Lines) -> String {
        let mut text = String::new();
        write_rows(&batch(), lines, &mut text).unwrap();
        text
    }

    #[test]
    fn rows_as_ndjson() {
        assert_eq!(
            text(Lines::Ndjson),
            concat!(
                r#"{"n":1,"a \"b\"":"x,\"y\"\n","f":0.5,"at":"1970-01-01T00:00:00Z"}"#,
                "\n",
                r#"{"n":null,"a \"b\"":"","f":"NaN","at":null}"#,
                "\n"
            )
        );
    }

    #[test]
    fn rows_as_csv() {
        assert_eq!(text(Lines::Csv), "1,\"x,\"\"y\"\"\n\",0.5,1970-01-01T00:00:00Z\n,\"\",NaN,\n");
        let mut header = String::new();
        put_csv("a \"b\"", &mut header);
        assert_eq!(header, "\"a \"\"b\"\"\"");
    }
}
