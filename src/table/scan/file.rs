//! One file of a scan: opened, read, and made into rows of the table.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::{Schema, SchemaRef};
use arrow_select::filter::{filter, filter_record_batch};

use super::project;
use crate::MemoryBudget;
use crate::error::{Error, Result};
use crate::parquet::read::{self, ColumnCounts, FileReader, ReaderOptions, ScanCounts};
use crate::predicate::{BoundPredicate, Predicate};
use crate::storage::{Storage, is_not_found};
use crate::table::AddFile;
use crate::table::columns::{Columns, is_same};

/// What is asked of each file. Those who read them share it.
#[derive(Clone)]
pub(super) struct Job {
    pub storage: Arc<dyn Storage>,
    pub version: u64,
    pub table_schema: SchemaRef,
    pub partition_columns: Vec<String>,
    /// Columns wanted by name, in order.
    pub wanted: Vec<String>,
    /// The column for rows' places in their files, which stand last, with the files' paths.
    pub row_numbers: Option<String>,
    /// Of the batches.
    pub schema: SchemaRef,
    /// Conditions that all must hold.
    pub conditions: Vec<Predicate>,
    pub reader: ReaderOptions,
    /// Of all files together, whose buffers go from one to the next.
    pub memory: MemoryBudget,
}

/// A file to open.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub file: Arc<AddFile>,
    /// All rows match the predicate, by partition values alone.
    pub all_match: bool,
    /// Only row groups whose middle is in here.
    pub byte_range: Option<Range<u64>>,
    /// Rows that match and have been given before.
    pub rows_taken: u64,
}

/// A file that is open, and what is read of it.
pub(super) struct Prepared {
    pub reader: FileReader,
    pub options: read::ScanOptions,
    pub columns: Columns,
    /// What the file's reader does not check.
    pub rest: Option<BoundPredicate>,
}

/// The file that is being read.
pub(super) struct Open {
    job: Arc<Job>,
    path: String,
    scan: read::Scan,
    columns: Columns,
    /// What the file's reader did not check.
    rest: Option<BoundPredicate>,
    /// Rows that match and have been given before.
    skip: u64,
}

impl Job {
    /// Opens a file, to be read by so many threads; of its rows that match, the first `limit` are wanted.
    pub(super) fn open(self: &Arc<Job>, planned: &Planned, limit: Option<u64>, threads: usize) -> Result<Open> {
        let Prepared { reader, options, columns, rest } = self.prepare(planned)?;
        let limit = limit.filter(|_| rest.is_none()).map(|limit| limit.saturating_add(planned.rows_taken));
        let options = read::ScanOptions { threads, limit, ..options };
        let scan = reader.scan(options).map_err(|e| e.in_file(reader.name()))?;
        let (job, path) = (Arc::clone(self), planned.file.path.clone());
        Ok(Open { job, path, scan, columns, rest, skip: planned.rows_taken })
    }

    pub(super) fn prepare(&self, planned: &Planned) -> Result<Prepared> {
        let Planned { file, all_match, byte_range, .. } = planned;
        let input = self.storage.open(&file.path).map_err(|e| self.missing(file, e))?;
        let name = input.name().to_owned();
        let in_file = |e: Error| e.in_file(name.clone());
        let reader = FileReader::open(input, self.reader.clone().with_memory(self.memory.clone())).map_err(in_file)?;
        let conditions: &[Predicate] = if *all_match { &[] } else { &self.conditions };
        let (pushed, rest): (Vec<Predicate>, Vec<Predicate>) =
            conditions.iter().cloned().partition(|condition| self.is_of_file(condition, reader.schema()));
        let rest = (!rest.is_empty()).then_some(Predicate::And(rest));

        // The columns wanted, then those that only the rest of the predicate needs.
        let mut names = self.wanted.clone();
        for name in rest.iter().flat_map(Predicate::columns) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let schema = project(&self.table_schema, &names)?;
        let columns =
            Columns::new(schema, &self.partition_columns, &file.partition_values, reader.schema()).map_err(in_file)?;
        let rest = rest.map(|rest| rest.bind(&self.table_schema)).transpose()?;
        let options = read::ScanOptions {
            columns: Some(columns.in_file()),
            predicate: (!pushed.is_empty()).then_some(Predicate::And(pushed)),
            byte_range: byte_range.clone(),
            row_numbers: self.row_numbers.clone(),
            ..read::ScanOptions::default()
        };
        Ok(Prepared { reader, options, columns, rest })
    }

    /// Whether the file's reader can evaluate a condition: it has the columns, in the types of the table.
    fn is_of_file(&self, condition: &Predicate, file: &Schema) -> bool {
        condition.columns().iter().all(|name| {
            let types = (self.table_schema.field_with_name(name), file.field_with_name(name));
            let is_same = matches!(types, (Ok(table), Ok(file)) if is_same(table.data_type(), file.data_type()));
            is_same && !self.partition_columns.contains(name)
        })
    }

    fn missing(&self, file: &AddFile, cause: Error) -> Error {
        if !is_not_found(&cause) {
            return cause;
        }
        let message =
            "a data file of the table is not there; was it removed by hand, or by a vacuum with too short an age?";
        let name = cause.place().file.clone().unwrap_or_else(|| file.path.clone());
        Error::io(message).with_source(cause).in_version(self.version).in_file(name)
    }
}

impl Open {
    pub(super) fn counts(&self) -> ScanCounts {
        self.scan.counts()
    }

    pub(super) fn column_counts(&self) -> Vec<ColumnCounts> {
        self.scan.column_counts()
    }

    /// The next rows that match.
    pub(super) fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let batch = self.next_rows().map_err(|e| e.in_file(&self.path))?;
            let Some(batch) = batch else { return Ok(None) };
            let first = batch.num_rows().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= first as u64;
            if batch.num_rows() > first {
                return Ok(Some(if first == 0 { batch } else { batch.slice(first, batch.num_rows() - first) }));
            }
        }
    }

    fn next_rows(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.scan.next().transpose()? else { return Ok(None) };
        let mut numbers = self.job.row_numbers.as_ref().and_then(|name| batch.column_by_name(name)).cloned();
        let mut batch = self.columns.of_table(&batch)?;
        if let Some(rest) = &self.rest {
            let answers = rest.evaluate(&batch)?;
            batch = filter_record_batch(&batch, &answers)?;
            numbers = numbers.map(|numbers| filter(&numbers, &answers)).transpose()?;
        }
        let rows = batch.num_rows();
        // Columns that only the rest of the predicate needs stand behind those wanted.
        let mut columns: Vec<ArrayRef> = batch.columns().iter().take(self.job.wanted.len()).cloned().collect();
        if let Some(numbers) = numbers {
            columns.push(numbers);
            columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&self.path, rows))));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.job.schema), columns, &options)?))
    }
}
