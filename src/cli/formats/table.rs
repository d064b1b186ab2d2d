//! A table, written: one data file, and a log that names it.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::parquet::write::{FileWriter, WriterOptions};
use crate::storage::{Local, Memory, Storage};
use crate::table::{AddFile, CreateOptions, PartitionValues, Table};

/// Writes rows to a new table.
pub(super) struct TableWriter {
    storage: Arc<Local>,
    path: String,
    writer: FileWriter,
    schema: SchemaRef,
}

impl TableWriter {
    /// Starts a table in a folder that is empty or not there.
    pub(super) fn new(storage: Local, schema: &Schema, options: WriterOptions) -> Result<TableWriter> {
        if !storage.list("")?.is_empty() {
            return Err(Error::invalid(
                "is a folder with files in it; a table is written to one that is empty or not there",
            ));
        }
        let plain = schema.fields().iter().map(|field| {
            let mut data_type = field.data_type();
            while let DataType::Dictionary(_, values) = data_type {
                data_type = values;
            }
            Field::new(field.name(), data_type.clone(), field.is_nullable())
        });
        // Made in memory first: what a table has no type for is refused before anything is written.
        let plain = Arc::new(Schema::new(plain.collect::<Vec<_>>()));
        let trial = Table::create(Arc::new(Memory::new()), plain, CreateOptions::default());
        let trial = trial.map_err(|e| match e.place().column.clone() {
            Some(column) => Error::invalid(e.message()).in_column(column),
            None => Error::invalid(e.message()),
        })?;
        let path = trial.data_path(&PartitionValues::new());
        let schema = Arc::clone(&trial.snapshot().schema);
        let writer = FileWriter::new(storage.create(&path)?, Arc::clone(&schema), options)?;
        Ok(TableWriter { storage: Arc::new(storage), path, writer, schema })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let typed = batch.columns().iter().zip(self.schema.fields()).map(|(array, field)| {
            if array.data_type() == field.data_type() {
                return Ok(Arc::clone(array));
            }
            cast_with_options(array, field.data_type(), &strict).map_err(|e| Error::from(e).in_column(field.name()))
        });
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let columns = typed.collect::<Result<_>>()?;
        self.writer.write(&RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)?)
    }

    pub(super) fn finish(self) -> Result<u64> {
        let written = self.writer.finish()?;
        let add = AddFile::from_written(&written, &self.schema, &self.path, PartitionValues::new())?;
        let storage: Arc<dyn Storage> = self.storage;
        let mut table = Table::create(storage, self.schema, CreateOptions::default())?;
        let mut transaction = table.transaction();
        transaction.operation("CONVERT").add(add);
        transaction.commit()?;
        Ok(written.bytes)
    }
}
