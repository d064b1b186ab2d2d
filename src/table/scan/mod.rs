//! Reading a table: which files, which row groups of them, which rows.
//!
//! ```text
//! live files ─ partition values, statistics ─> files to open ─ parquet::read ─> batches ─ rest of the predicate ─> rows
//! ```
//!
//! A condition is passed to the file's reader if the file has its columns in the types of the table; what is about
//! partition columns, or columns that the file lacks, is evaluated on the finished rows.

mod bounds;
mod explain;
mod file;
mod options;
mod parallel;
mod summary;
mod top;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use self::bounds::FileBounds;
pub use self::explain::{FileDecision, FileExplanation, TableExplanation};
use self::file::{Job, Open, Planned, Prepared};
pub use self::options::{Part, ScanOptions};
use self::parallel::{Next, Parallel};
use super::Table;
use crate::MemoryBudget;
use crate::error::{Error, Result};
use crate::parquet::read::{ColumnCounts, Decision, ScanCounts};
use crate::predicate::{BoundPredicate, Predicate, Verdict};

/// How much was read, and how much need not be.
#[derive(Debug, Clone, Default)]
pub struct TableCounts {
    /// Data files of the table.
    pub files_total: u64,
    /// Those opened so far.
    pub files_read: u64,
    /// Those left out because of their partition values or statistics.
    pub files_skipped: u64,
    /// Rows given out so far.
    pub rows_returned: u64,
    /// What went on inside the files that were opened; its rows are before the part of the predicate that is not the files'.
    pub scan: ScanCounts,
}

/// Record batches of a table, file by file in the order of their paths.
pub struct TableScan {
    job: Arc<Job>,
    threads: usize,
    is_ordered: bool,
    /// Rows still to pass over.
    skip: u64,
    /// Rows still to give, if there is a limit.
    left: Option<u64>,
    files: std::vec::IntoIter<Planned>,
    current: Option<Open>,
    parallel: Option<Parallel>,
    counts: TableCounts,
    columns: Vec<ColumnCounts>,
}

impl Table {
    /// Starts to read the version last read. A column that is not there is [`Error::Invalid`].
    pub fn scan(&self, options: ScanOptions) -> Result<TableScan> {
        self.plan(options).map_err(|e| e.in_file(self.storage.name()))
    }

    fn plan(&self, options: ScanOptions) -> Result<TableScan> {
        let snapshot = &self.snapshot;
        let all = || snapshot.schema.fields().iter().map(|field| field.name().clone()).collect();
        let wanted: Vec<String> = options.columns.unwrap_or_else(all);
        let schema = project(&snapshot.schema, &wanted)?;
        if wanted.iter().collect::<BTreeSet<_>>().len() != wanted.len() {
            return Err(Error::invalid("a column is asked for twice"));
        }
        let schema = match &options.row_numbers {
            Some(name) => with_places(&schema, &snapshot.schema, name)?,
            None => schema,
        };
        let bound = options.predicate.as_ref().map(|predicate| predicate.bind(&snapshot.schema)).transpose()?;
        let by_partition =
            |bound: &BoundPredicate| bound.columns().iter().all(|name| snapshot.is_partition_column(name));
        // What statistics say of all rows is left to the file's own reader, which has better ones.
        let may_match_all = bound.as_ref().is_none_or(by_partition);
        let mut files = Vec::new();
        for file in snapshot.files.values() {
            let verdict =
                bound.as_ref().map_or(Verdict::AllMatch, |bound| bound.prune(&FileBounds::new(snapshot, file)));
            if verdict != Verdict::Drop {
                let all_match = may_match_all && verdict == Verdict::AllMatch;
                files.push(Planned { file: Arc::clone(file), all_match, byte_range: None, rows_taken: 0 });
            }
        }
        if let Some(part) = options.part {
            files = part.of_files(files)?;
        }
        let total = snapshot.files.len() as u64;
        let mut reader = options.reader;
        let bytes = reader.memory_bytes;
        let memory = reader.memory.take().map_or_else(|| MemoryBudget::new(bytes), |whole| whole.part(bytes));
        let job = Job {
            storage: Arc::clone(&self.storage),
            version: snapshot.version,
            table_schema: Arc::clone(&snapshot.schema),
            partition_columns: snapshot.metadata.partition_columns.clone(),
            wanted,
            row_numbers: options.row_numbers,
            schema,
            conditions: match options.predicate {
                Some(Predicate::And(conditions)) => conditions,
                other => other.into_iter().collect(),
            },
            reader,
            memory,
        };
        Ok(TableScan {
            job: Arc::new(job),
            threads: options.threads,
            is_ordered: !options.unordered,
            skip: options.offset,
            left: options.limit,
            counts: TableCounts {
                files_total: total,
                files_skipped: total - files.len() as u64,
                ..TableCounts::default()
            },
            files: files.into_iter(),
            current: None,
            parallel: None,
            columns: Vec::new(),
        })
    }
}

impl TableScan {
    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.job.schema
    }

    /// What has been read so far.
    pub fn counts(&self) -> TableCounts {
        let mut counts = self.counts.clone();
        if let Some(open) = &self.current {
            counts.scan += open.counts();
        }
        if let Some(parallel) = &self.parallel {
            let (files_read, scan, _) = parallel.counts();
            counts.files_read += files_read;
            counts.scan += scan;
        }
        counts
    }

    /// What has been read so far of each column of the files.
    pub fn column_counts(&self) -> Vec<ColumnCounts> {
        let mut columns = self.columns.clone();
        ColumnCounts::merge(&mut columns, self.current.iter().flat_map(Open::column_counts));
        ColumnCounts::merge(&mut columns, self.parallel.iter().flat_map(|parallel| parallel.counts().2));
        columns
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.left != Some(0) {
            let Some(batch) = self.next_of_files()? else { break };
            let rows = batch.num_rows();
            let first = rows.min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            let count =
                (rows - first).min(self.left.map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX)));
            self.skip -= first as u64;
            self.left = self.left.map(|left| left - count as u64);
            if count > 0 {
                self.counts.rows_returned += count as u64;
                return Ok(Some(if count == rows { batch } else { batch.slice(first, count) }));
            }
        }
        self.close();
        Ok(None)
    }

    /// The next rows that match, before offset and limit.
    fn next_of_files(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(parallel) = &mut self.parallel {
                match parallel.next()? {
                    Next::Batch(batch) => return Ok(Some(batch)),
                    Next::End => return Ok(None),
                    // What threads could not read together is read by this one.
                    Next::Alone(files) => {
                        self.close();
                        self.threads = 1;
                        self.files = files.into_iter();
                    }
                }
                continue;
            }
            if let Some(open) = &mut self.current {
                match open.next_batch()? {
                    Some(batch) => return Ok(Some(batch)),
                    None => self.close(),
                }
                continue;
            }
            let Some(planned) = self.files.next() else { return Ok(None) };
            if self.passes_over(&planned) {
                continue;
            }
            let few = self.left.is_some_and(|left| left <= self.job.reader.batch_rows as u64);
            if self.threads > 1 && self.files.len() > 0 && !few {
                let files = std::iter::once(planned).chain(self.files.by_ref()).collect();
                self.parallel = Some(Parallel::new(&self.job, files, self.threads, self.is_ordered)?);
                continue;
            }
            self.current = Some(self.open(&planned)?);
        }
    }

    fn open(&mut self, planned: &Planned) -> Result<Open> {
        self.counts.files_read += 1;
        let limit = self.left.map(|left| left.saturating_add(self.skip));
        self.job.open(planned, limit, self.threads)
    }

    /// Whether all rows of a file are among those to pass over, as the log says: they are then passed.
    fn passes_over(&mut self, planned: &Planned) -> bool {
        let is_whole = planned.byte_range.is_none()
            && planned.rows_taken == 0
            && (planned.all_match || self.job.conditions.is_empty());
        let rows = planned.file.statistics().and_then(|stats| stats.num_records);
        match rows.filter(|&rows| is_whole && rows <= self.skip && self.skip > 0) {
            Some(rows) => {
                self.skip -= rows;
                self.counts.files_skipped += 1;
                true
            }
            None => false,
        }
    }

    /// Ends what is being read.
    fn close(&mut self) {
        if let Some(open) = self.current.take() {
            self.counts.scan += open.counts();
            ColumnCounts::merge(&mut self.columns, open.column_counts());
        }
        if let Some(parallel) = self.parallel.take() {
            let (files_read, scan, columns) = parallel.ended();
            self.counts.files_read += files_read;
            self.counts.scan += scan;
            ColumnCounts::merge(&mut self.columns, columns);
        }
    }

    /// What would be read of the files that have not been opened yet.
    pub(super) fn explain(mut self) -> Result<Vec<FileExplanation>> {
        let mut files = Vec::with_capacity(self.files.len());
        for planned in self.files.by_ref() {
            let Prepared { reader, options, rest, .. } = self.job.prepare(&planned)?;
            let mut explanation = reader.explain(options)?;
            for group in explanation.row_groups.iter_mut().filter(|_| rest.is_some()) {
                // The rest of the predicate is evaluated for all rows that come.
                if group.decision == Decision::AllMatch {
                    group.decision = Decision::Read { rows: group.rows, sure: 0 };
                }
            }
            let Planned { file, .. } = planned;
            let decision = FileDecision::Open(explanation);
            files.push(FileExplanation { path: file.path.clone(), bytes: file.bytes, decision });
        }
        Ok(files)
    }
}

impl Iterator for TableScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Result<RecordBatch>> {
        let batch = self.next_batch();
        if batch.is_err() {
            // An error ends the scan.
            self.left = Some(0);
            self.close();
        }
        batch.transpose()
    }
}

impl fmt::Debug for TableScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.files.len();
        f.debug_struct("TableScan")
            .field("version", &self.job.version)
            .field("files_left", &left)
            .finish_non_exhaustive()
    }
}

/// With fields for the places of rows; [`Error::Invalid`] where the table has columns of these names.
fn with_places(schema: &Schema, table: &Schema, name: &str) -> Result<SchemaRef> {
    let places = [Field::new(name, DataType::Int64, false), Field::new(format!("{name}_file"), DataType::Utf8, false)];
    if let Some(field) = places.iter().find(|field| table.fields().find(field.name()).is_some()) {
        let taken = field.name();
        return Err(Error::invalid(format!("row numbers as {name}: there is a column of the name {taken}")));
    }
    let fields: Vec<_> = schema.fields().iter().cloned().chain(places.map(Arc::new)).collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

/// The fields of these names; [`Error::Invalid`] names one that is not there, and those that are.
fn project(schema: &Schema, names: &[String]) -> Result<SchemaRef> {
    let field = |name: &String| match schema.fields().find(name) {
        Some((_, field)) => Ok(Arc::clone(field)),
        None => {
            let all: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            Err(Error::invalid(format!("there is no column {name}; there are {}", all.join(", "))))
        }
    };
    Ok(Arc::new(Schema::new(names.iter().map(field).collect::<Result<Vec<_>>>()?)))
}
