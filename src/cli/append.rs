//! `hypostyle append`: rows of any format become row groups at the end of a Parquet file.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};
use arrow_select::take::take;
use clap::Args;

use super::convert::Parquet;
use super::formats::{self, Request};
use super::quantities::{bytes, of, parse_memory};
use super::{Ending, interrupt};
use crate::error::{Error, Result};
use crate::ingest::RowSchema;
use crate::parquet::read::{Change, FileReader, Matching, ReaderOptions, Rules};
use crate::parquet::write::FileWriter;
use crate::storage::Storage;

/// Add rows to the end of a Parquet file
///
/// The rows become new row groups of the file's columns: by name, widened where the file's type holds all values of the
/// input's, null where the input lacks one. The old row groups stay as they are. The file is the old one until the new one
/// is complete, whatever happens.
#[derive(Debug, Args)]
pub(super) struct Append {
    /// The Parquet file
    file: String,
    /// Tables' folders, or files: .parquet, .arrow, .ndjson (also .gz or .zst), .csv
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<String>,
    /// Memory that reading may take
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_memory)]
    memory_bytes: usize,
    #[command(flatten)]
    parquet: Parquet,
}

impl Append {
    pub(super) fn run(&self) -> Result<Ending> {
        let (storage, name) = formats::parquet_output(&self.file)?;
        let reader =
            FileReader::open(storage.open(&name)?, ReaderOptions::default().with_memory_bytes(self.memory_bytes))?;
        let schema = Arc::clone(reader.schema());
        drop(reader);
        let mut writer = FileWriter::append_to(&storage, &name, Arc::clone(&schema), self.parquet.options())?;
        let before = writer.rows();
        for path in &self.inputs {
            let request = Request {
                memory_bytes: self.memory_bytes,
                // Text has the file's columns, if records can be read into them.
                schema: RowSchema::from_arrow(&schema, &[]).ok().filter(|_| formats::is_text(path)),
                ..Request::default()
            };
            let rows = formats::open(path, request)?;
            let in_input = |e: Error| e.in_file(path);
            let columns = Columns::new(rows.schema(), &schema).map_err(in_input)?;
            for batch in rows {
                let batch = columns.of_file(&batch?).map_err(in_input)?;
                writer.write(&batch).map_err(in_input)?;
                if interrupt::is_set() {
                    // Dropped unfinished, the old file stays.
                    return Ok(Ending::Interrupted);
                }
            }
        }
        let added = writer.rows() - before;
        let written = writer.finish()?;
        writeln!(
            io::stdout(),
            "{} added to {}, which has {} now, {}",
            of(added, "row", "rows"),
            self.file,
            of(before + added, "row", "rows"),
            bytes(written.bytes)
        )?;
        Ok(Ending::Done)
    }
}

/// How an input's columns become the file's.
struct Columns {
    schema: SchemaRef,
    from: Vec<From>,
}

enum From {
    Input(usize, Option<Change>),
    Constant(ArrayRef),
}

impl Columns {
    fn new(input: &Schema, file: &SchemaRef) -> Result<Columns> {
        if let Some(extra) = input.fields().iter().find(|field| file.field_with_name(field.name()).is_err()) {
            return Err(Error::invalid("the file to append to has no such column").in_column(extra.name()));
        }
        let defaults = BTreeMap::new();
        let rules = Rules { matching: Matching::Name, defaults: &defaults, rounds: false, is_int96: false };
        let from = |field: &Arc<Field>| {
            let at = rules.position(field, input.fields(), "")?;
            Ok(match at.and_then(|at| Some((at, input.fields().get(at)?))) {
                Some((at, there)) => From::Input(at, Change::new(there, field, &rules, field.name())?),
                None => From::Constant(rules.constant(field, field.name())?),
            })
        };
        let from = file.fields().iter().map(from).collect::<Result<_>>()?;
        // What may not be null the writer says, with the column's name.
        let fields = file.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        Ok(Columns { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), from })
    }

    fn of_file(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let column = |(from, field): (&From, &Arc<Field>)| match from {
            From::Input(at, change) => {
                let missing = || Error::invalid("the input's reader did not give it").in_column(field.name());
                let column = batch.columns().get(*at).ok_or_else(missing)?;
                match change {
                    Some(change) => change.apply(column).map_err(|e| e.in_column(field.name())),
                    None => Ok(Arc::clone(column)),
                }
            }
            From::Constant(value) => Ok(take(value, &arrow_array::UInt64Array::from(vec![0; rows]), None)?),
        };
        let columns = self.from.iter().zip(self.schema.fields()).map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}
