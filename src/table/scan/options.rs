//! What to read of a table, and dividing it among readers.

use std::ops::Range;

use super::Planned;
use crate::error::{Error, Result};
use crate::parquet::read::ReaderOptions;
use crate::predicate::Predicate;

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Columns in the order wanted; `None` is all, in the order of the schema. An empty list gives batches that only have a
    /// number of rows.
    pub columns: Option<Vec<String>>,
    /// Rows for which this is true.
    pub predicate: Option<Predicate>,
    /// Without the first so many rows.
    pub offset: u64,
    /// At most so many rows, after `offset`.
    pub limit: Option<u64>,
    /// How many threads read, a file each or row groups of one; up to 1, the caller's own. Memory is the reader's, whatever
    /// their number.
    pub threads: usize,
    /// Whether several threads may give batches in another order than that of the files, as they come. False by default.
    pub unordered: bool,
    /// Only this part of the row groups, of the parts that readers divide the table into.
    pub part: Option<Part>,
    /// Two more columns, behind the others: each row's place in its data file, from 0 on, as Int64 under this name, and the file's
    /// path in the table, as Utf8 under this name and `_file`. Together they name a row of the version for good, whatever else
    /// is asked for.
    pub row_numbers: Option<String>,
    /// How each file is read.
    pub reader: ReaderOptions,
}

/// One of the parts into which readers of the same version with the same predicate divide a table, by the bytes of its
/// files, without talking to each other: together the parts have each row exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 0 on.
    pub number: u64,
    /// How many there are.
    pub of: u64,
}

impl ScanOptions {
    /// With this part of the row groups only.
    #[must_use]
    pub fn with_part(mut self, number: u64, of: u64) -> ScanOptions {
        self.part = Some(Part { number, of });
        self
    }

    /// With these columns only.
    #[must_use]
    pub fn with_columns(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> ScanOptions {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// With [`row_numbers`](Self::row_numbers) under this name.
    #[must_use]
    pub fn with_row_numbers(mut self, name: impl Into<String>) -> ScanOptions {
        self.row_numbers = Some(name.into());
        self
    }

    /// With rows only for which the predicate is true.
    #[must_use]
    pub fn with_predicate(mut self, predicate: Predicate) -> ScanOptions {
        self.predicate = Some(predicate);
        self
    }

    /// Without the first so many rows.
    #[must_use]
    pub fn with_offset(mut self, rows: u64) -> ScanOptions {
        self.offset = rows;
        self
    }

    /// With so many threads.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> ScanOptions {
        self.threads = threads;
        self
    }

    /// With another [`unordered`](Self::unordered).
    #[must_use]
    pub fn with_unordered(mut self, unordered: bool) -> ScanOptions {
        self.unordered = unordered;
        self
    }

    /// With so many rows at most.
    #[must_use]
    pub fn with_limit(mut self, rows: u64) -> ScanOptions {
        self.limit = Some(rows);
        self
    }
}

impl Part {
    /// Its own of `total` bytes: all parts together have each byte once.
    pub(crate) fn of_bytes(self, total: u128) -> Range<u128> {
        let border = |number: u64| total * u128::from(number) / u128::from(self.of);
        border(self.number)..border(self.number + 1)
    }

    /// The files that lie in this part of the bytes of all, and which of their bytes do. Every row group has its middle in
    /// just one part, even if a file is not as long as the log says: its last part has no end.
    pub(super) fn of_files(self, files: Vec<Planned>) -> Result<Vec<Planned>> {
        let Part { number, of } = self;
        if number >= of {
            return Err(Error::invalid(format!("part {number} of {of}: parts are counted from 0")));
        }
        let bytes = |planned: &Planned| u128::from(planned.file.bytes.max(1));
        let total: u128 = files.iter().map(bytes).sum();
        let Range { start: from, end: to } = self.of_bytes(total);
        let mut of_part = Vec::new();
        let mut start = 0;
        for planned in files {
            let end = start + bytes(&planned);
            let low = from.max(start) - start;
            let high = if to >= end { u64::MAX } else { u64::try_from(to.saturating_sub(start)).unwrap_or(u64::MAX) };
            if from < end && to > start {
                let low = u64::try_from(low).unwrap_or(u64::MAX);
                of_part.push(Planned { byte_range: Some(low..high), ..planned });
            }
            start = end;
        }
        Ok(of_part)
    }
}
