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
mod options;
mod summary;
mod top;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;

use self::bounds::FileBounds;
pub use self::explain::{FileDecision, FileExplanation, TableExplanation};
pub use self::options::{Part, ScanOptions};
use super::columns::{Columns, is_same};
use super::{AddFile, Table};
use crate::error::{Error, Result};
use crate::parquet::read::{self, Decision, FileReader, ReaderOptions, ScanCounts};
use crate::predicate::{BoundPredicate, Predicate, Verdict};
use crate::storage::{Storage, is_not_found};

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
    storage: Arc<dyn Storage>,
    version: u64,
    table_schema: SchemaRef,
    partition_columns: Vec<String>,
    /// Columns wanted by name, in order.
    wanted: Vec<String>,
    /// Of the batches.
    schema: SchemaRef,
    /// Conditions that all must hold.
    conditions: Vec<Predicate>,
    reader: ReaderOptions,
    threads: usize,
    /// Rows still to pass over.
    skip: u64,
    /// Rows still to give, if there is a limit.
    left: Option<u64>,
    files: std::vec::IntoIter<Planned>,
    current: Option<Open>,
    counts: TableCounts,
}

/// A file to open.
#[derive(Debug, Clone)]
struct Planned {
    file: Arc<AddFile>,
    /// All rows match the predicate, by partition values alone.
    all_match: bool,
    /// Only row groups whose middle is in here.
    byte_range: Option<Range<u64>>,
}

/// A file that is open, and what is read of it.
struct Prepared {
    reader: FileReader,
    options: read::ScanOptions,
    columns: Columns,
    /// What the file's reader does not check.
    rest: Option<BoundPredicate>,
}

/// The file that is being read.
struct Open {
    file: Arc<AddFile>,
    scan: read::Scan,
    columns: Columns,
    /// What the file's reader did not check.
    rest: Option<BoundPredicate>,
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
                files.push(Planned { file: Arc::clone(file), all_match, byte_range: None });
            }
        }
        if let Some(part) = options.part {
            files = part.of_files(files)?;
        }
        let total = snapshot.files.len() as u64;
        Ok(TableScan {
            storage: Arc::clone(&self.storage),
            version: snapshot.version,
            table_schema: Arc::clone(&snapshot.schema),
            partition_columns: snapshot.metadata.partition_columns.clone(),
            wanted,
            schema,
            conditions: match options.predicate {
                Some(Predicate::And(conditions)) => conditions,
                other => other.into_iter().collect(),
            },
            reader: options.reader,
            threads: options.threads,
            skip: options.offset,
            left: options.limit,
            counts: TableCounts {
                files_total: total,
                files_skipped: total - files.len() as u64,
                ..TableCounts::default()
            },
            files: files.into_iter(),
            current: None,
        })
    }
}

impl TableScan {
    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What has been read so far.
    pub fn counts(&self) -> TableCounts {
        let mut counts = self.counts.clone();
        if let Some(Open { scan, .. }) = &self.current {
            counts.scan += scan.counts();
        }
        counts
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.left != Some(0) {
            if self.current.is_none() {
                let Some(planned) = self.files.next() else { break };
                if self.passes_over(&planned) {
                    continue;
                }
                self.current = Some(self.open(planned)?);
            }
            let Some(open) = &mut self.current else { break };
            let batch = open.next_batch().map_err(|e| e.in_file(open.file.path.clone()))?;
            let Some(batch) = batch else {
                self.close();
                continue;
            };
            let mut batch =
                batch.project(&(0..self.wanted.len()).collect::<Vec<_>>())?.with_schema(Arc::clone(&self.schema))?;
            let skipped = batch.num_rows().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            batch = batch.slice(skipped, batch.num_rows() - skipped);
            if let Some(left) = &mut self.left {
                let rows = batch.num_rows().min(usize::try_from(*left).unwrap_or(usize::MAX));
                batch = batch.slice(0, rows);
                *left -= rows as u64;
            }
            if batch.num_rows() > 0 {
                self.counts.rows_returned += batch.num_rows() as u64;
                return Ok(Some(batch));
            }
        }
        self.close();
        Ok(None)
    }

    /// Whether all rows of a file are among those to pass over, as the log says: they are then passed.
    fn passes_over(&mut self, planned: &Planned) -> bool {
        let is_whole = planned.byte_range.is_none() && (planned.all_match || self.conditions.is_empty());
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

    /// Ends the current file.
    fn close(&mut self) {
        if let Some(Open { scan, .. }) = self.current.take() {
            self.counts.scan += scan.counts();
        }
    }

    fn open(&mut self, planned: Planned) -> Result<Open> {
        self.counts.files_read += 1;
        let Prepared { reader, options, columns, rest } = self.prepare(&planned)?;
        let name = reader.name().to_owned();
        let scan = reader.scan(options).map_err(|e| e.in_file(name))?;
        Ok(Open { file: planned.file, scan, columns, rest })
    }

    /// What would be read of the files that have not been opened yet.
    pub(super) fn explain(mut self) -> Result<Vec<FileExplanation>> {
        let mut files = Vec::with_capacity(self.files.len());
        while let Some(planned) = self.files.next() {
            let Prepared { reader, options, rest, .. } = self.prepare(&planned)?;
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

    fn prepare(&self, planned: &Planned) -> Result<Prepared> {
        let Planned { file, all_match, byte_range } = planned;
        let input = self.storage.open(&file.path).map_err(|e| self.missing(file, e))?;
        let name = input.name().to_owned();
        let in_file = |e: Error| e.in_file(name.clone());
        let reader = FileReader::open(input, self.reader.clone()).map_err(in_file)?;
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
            limit: self.left.filter(|_| rest.is_none()).map(|left| left.saturating_add(self.skip)),
            byte_range: byte_range.clone(),
            threads: self.threads,
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
        f.debug_struct("TableScan").field("version", &self.version).field("files_left", &left).finish_non_exhaustive()
    }
}

impl Open {
    /// The next rows: the columns wanted, then those of the rest of the predicate, which they satisfy.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.scan.next().transpose()? else { return Ok(None) };
        let batch = self.columns.of_table(&batch)?;
        match &self.rest {
            Some(rest) => Ok(Some(filter_record_batch(&batch, &rest.evaluate(&batch)?)?)),
            None => Ok(Some(batch)),
        }
    }
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
