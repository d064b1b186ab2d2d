//! One window's open file: rows gathered into batches, sorted if asked, written as they fill.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;

use super::encode::{Coming, Encoders};
use super::rows::{Columns, Row};
use super::schema::RowSchema;
use crate::error::{Error, Result};
use crate::parquet::format::SortingColumn;
use crate::parquet::write::{FileWriter, WriterOptions, WrittenFile};
use crate::storage::Storage;

/// How the files of a sink are made.
#[derive(Debug)]
pub(super) struct FileRecipe {
    pub schema: RowSchema,
    pub arrow: SchemaRef,
    pub writer: WriterOptions,
    /// The column to sort by.
    pub sort_by: Option<usize>,
}

impl FileRecipe {
    /// For files of a table; `arrow` is the schema that it wants them to have.
    pub(super) fn new(
        schema: RowSchema,
        arrow: SchemaRef,
        mut writer: WriterOptions,
        sort_by: Option<&str>,
    ) -> Result<FileRecipe> {
        let sort_by = match sort_by {
            None => None,
            Some(name) => Some(schema.index_of(name).ok_or_else(|| {
                let names: Vec<&str> = schema.fields().iter().map(|field| field.name.as_str()).collect();
                Error::invalid(format!("to sort by, and not there; there are {}", names.join(", "))).in_column(name)
            })?),
        };
        writer.sorting_columns = Vec::new();
        if let Some(at) = sort_by {
            let column_idx = i32::try_from(at).map_err(|_| Error::invalid("too many columns"))?;
            writer.sorting_columns = vec![SortingColumn { column_idx, descending: false, nulls_first: false }];
        }
        Ok(FileRecipe { arrow, schema, writer, sort_by })
    }
}

/// A window whose file is open.
pub(super) struct OpenWindow {
    path: String,
    columns: Columns,
    writer: Writer,
    rows: u64,
    pub opened: Instant,
    /// The number of the block that wrote to it last.
    pub written_at: u64,
    /// True when event time had passed its end before it was opened.
    pub is_late: bool,
}

/// Who has the writer of a window's file.
enum Writer {
    /// It is made when the first batch is full.
    Nobody,
    Here(Box<FileWriter>),
    /// A thread, which encodes a batch.
    Away {
        back: Coming<Result<FileWriter>>,
        /// Before it, with the batch.
        memory_bytes: usize,
        /// Before it.
        file_bytes: u64,
    },
}

/// Where a sink's files come from.
pub(super) struct Files {
    pub recipe: Arc<FileRecipe>,
    pub storage: Arc<dyn Storage>,
    /// Threads that encode; none: whoever pushes rows does.
    pub encoders: Option<Encoders>,
}

/// A window's finished file.
pub(super) struct FinishedFile {
    pub path: String,
    pub written: WrittenFile,
}

/// Files being finished, in the order in which they were closed. Making a file durable is waiting, most of the time: many
/// wait together, on a thread each.
#[derive(Default)]
pub(super) struct Finishing {
    files: VecDeque<FinishingFile>,
}

struct FinishingFile {
    window: i64,
    rows: u64,
    memory_bytes: usize,
    work: Work,
}

enum Work {
    Thread(JoinHandle<Result<FinishedFile>>),
    Done(Box<Result<FinishedFile>>),
}

impl Finishing {
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// What the windows held when they were closed.
    pub(super) fn memory_bytes(&self) -> usize {
        self.files.iter().map(|file| file.memory_bytes).sum()
    }

    pub(super) fn windows(&self) -> impl Iterator<Item = i64> {
        self.files.iter().map(|file| file.window)
    }

    /// Finishes a window's file: on a thread, or at once.
    pub(super) fn start(&mut self, window: i64, open: OpenWindow, files: &Files, threaded: bool) -> Result<()> {
        let (rows, memory_bytes) = (open.rows, open.memory_bytes());
        let (recipe, storage) = (Arc::clone(&files.recipe), Arc::clone(&files.storage));
        let work = if threaded {
            let finish = move || open.finish(&recipe, storage.as_ref());
            let thread = std::thread::Builder::new().name("ingest-finish".into()).spawn(finish);
            Work::Thread(
                thread.map_err(|e| Error::io(format!("cannot start a thread to finish a file: {e}")).with_source(e))?,
            )
        } else {
            Work::Done(Box::new(open.finish(&recipe, storage.as_ref())))
        };
        self.files.push_back(FinishingFile { window, rows, memory_bytes, work });
        Ok(())
    }

    /// Waits for the first of them: its window, its rows and its file.
    pub(super) fn wait(&mut self) -> Option<(i64, u64, Result<FinishedFile>)> {
        let FinishingFile { window, rows, work, .. } = self.files.pop_front()?;
        let file = match work {
            Work::Thread(thread) => {
                thread.join().unwrap_or_else(|_| Err(Error::io("the thread that finished a file has panicked")))
            }
            Work::Done(file) => *file,
        };
        Some((window, rows, file))
    }
}

impl OpenWindow {
    pub(super) fn new(path: String, recipe: &FileRecipe, block: u64, is_late: bool) -> Result<OpenWindow> {
        let columns = Columns::new(&recipe.schema, Arc::clone(&recipe.arrow))?;
        let (opened, writer) = (Instant::now(), Writer::Nobody);
        Ok(OpenWindow { path, columns, writer, rows: 0, opened, written_at: block, is_late })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let writer = match &self.writer {
            Writer::Nobody => 0,
            Writer::Here(writer) => writer.memory_bytes(),
            Writer::Away { memory_bytes, .. } => *memory_bytes,
        };
        self.columns.memory_bytes() + writer
    }

    /// Of rows that a thread encodes, those that it has got before are counted.
    pub(super) fn file_bytes(&self) -> u64 {
        match &self.writer {
            Writer::Nobody => 0,
            Writer::Here(writer) => writer.file_bytes(),
            Writer::Away { file_bytes, .. } => *file_bytes,
        }
    }

    pub(super) fn push(&mut self, row: &Row<'_>, files: &Files) -> Result<()> {
        self.columns.push(row)?;
        self.rows += 1;
        let (rows_max, bytes_max) = match files.recipe.sort_by {
            None => (BATCH_ROWS, BATCH_BYTES),
            Some(_) => (SORT_ROWS, SORT_BYTES),
        };
        if self.columns.rows() >= rows_max || self.columns.memory_bytes() >= bytes_max {
            self.write(files)?;
        }
        Ok(())
    }

    /// Waits for the thread that has the writer, if one has.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.writer = match std::mem::replace(&mut self.writer, Writer::Nobody) {
            Writer::Away { back, .. } => Writer::Here(Box::new(back.wait()??)),
            writer => writer,
        };
        Ok(())
    }

    /// Ends the row group, so that nothing but indexes stays in memory.
    pub(super) fn flush(&mut self, files: &Files) -> Result<()> {
        self.write(files)?;
        self.settle()?;
        if let Writer::Here(writer) = &mut self.writer { writer.flush() } else { Ok(()) }
    }

    fn finish(mut self, recipe: &FileRecipe, storage: &dyn Storage) -> Result<FinishedFile> {
        self.settle()?;
        let mut writer = self.take_writer();
        if self.columns.rows() > 0 {
            writer = Some(encode(writer, &self.columns.take()?, &self.path, recipe, storage)?);
        }
        let Some(writer) = writer else { return Err(Error::invalid("a window without rows has no file")) };
        Ok(FinishedFile { written: writer.finish()?, path: self.path })
    }

    /// Hands the gathered rows to the writer. A thread has one batch of a window at a time, so that what is decided by the
    /// file's size does not depend on who is faster.
    fn write(&mut self, files: &Files) -> Result<()> {
        if self.columns.rows() == 0 {
            return Ok(());
        }
        let batch = self.columns.take()?;
        self.settle()?;
        let before = self.file_bytes();
        let memory_bytes = self.memory_bytes() + batch.get_array_memory_size();
        let writer = self.take_writer();
        let Some(encoders) = &files.encoders else {
            let writer = encode(writer, &batch, &self.path, &files.recipe, files.storage.as_ref())?;
            self.writer = Writer::Here(Box::new(writer));
            return Ok(());
        };
        let (recipe, storage, path) = (Arc::clone(&files.recipe), Arc::clone(&files.storage), self.path.clone());
        let back = encoders.start(move || encode(writer, &batch, &path, &recipe, storage.as_ref()));
        self.writer = Writer::Away { back, memory_bytes, file_bytes: before };
        Ok(())
    }

    /// The writer, if it is here.
    fn take_writer(&mut self) -> Option<FileWriter> {
        match std::mem::replace(&mut self.writer, Writer::Nobody) {
            Writer::Here(writer) => Some(*writer),
            Writer::Nobody | Writer::Away { .. } => None,
        }
    }
}

/// Writes a batch of a window, to a new file if there is no writer yet.
fn encode(
    writer: Option<FileWriter>,
    batch: &RecordBatch,
    path: &str,
    recipe: &FileRecipe,
    storage: &dyn Storage,
) -> Result<FileWriter> {
    let mut writer = match writer {
        Some(writer) => writer,
        None => FileWriter::new(storage.create(path)?, Arc::clone(&recipe.arrow), recipe.writer.clone())?,
    };
    match recipe.sort_by {
        None => writer.write(batch)?,
        Some(column) => {
            writer.write(&sorted(batch, column)?)?;
            // Sorted is a row group, not a file: the next rows begin from the smallest again.
            writer.flush()?;
        }
    }
    Ok(writer)
}

/// The rows by one column, nulls last; equal ones stay in the order in which they came.
fn sorted(batch: &RecordBatch, column: usize) -> Result<RecordBatch> {
    let Some(values) = batch.columns().get(column) else { return Err(Error::invalid("no column to sort by")) };
    let rows = u32::try_from(batch.num_rows()).map_err(|_| Error::limit("too many rows to sort"))?;
    let order: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..rows));
    let by = |values: &ArrayRef| SortColumn {
        values: Arc::clone(values),
        options: Some(SortOptions { descending: false, nulls_first: false }),
    };
    let indices = lexsort_to_indices(&[by(values), by(&order)], None)?;
    Ok(take_record_batch(batch, &indices)?)
}

const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 << 20;
/// What is sorted is a row group of its own, so it is worth gathering more.
const SORT_ROWS: usize = 131_072;
const SORT_BYTES: usize = 32 << 20;
