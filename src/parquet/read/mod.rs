//! Parquet files → Arrow record batches.
//!
//! ```text
//! footer ──> prune ──────> column_chunk ──> page ──────────> target ───> scan
//! (file)     (row groups,  (byte ranges,    (checksum,       (values ->  (predicate columns
//!             row ranges)   page headers)    decompression,   Arrow       first, then the
//!                                            levels)          buffers)    rest; batches)
//! ```
//!
//! Planning names byte ranges, fetching takes them from a [`storage::Input`](crate::storage::Input), decoding
//! works on the bytes alone. A page that holds no row that is asked for is never decoded; with an offset
//! index it is not even fetched.
//!
//! Nothing in the file is trusted: sizes are checked against the bytes that are there and against
//! [`ReaderOptions::memory_bytes`] before they are taken, and whatever the bytes are, the end is batches or an
//! [`Error`](crate::Error) that names column, page and byte.

mod bloom;
mod bounds;
mod budget;
mod column;
mod column_chunk;
mod decoded;
mod decryption;
mod dictionary;
mod evolve;
mod explain;
mod field;
mod file;
mod inspect;
mod levels;
mod nested;
mod nested_levels;
mod page;
mod page_start;
mod prune;
mod raw_page;
mod recover;
mod scan;
mod selection;
mod spare;
mod split;
mod target;
mod transcode;
mod verify;

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_schema::{SchemaRef, TimeUnit};

use crate::budget::MemoryBudget;
use crate::parquet::arrow::node::DEPTH_MAX;
use crate::predicate::Predicate;

pub use decryption::{Decryption, KeyRetriever};
pub use evolve::Matching;
pub(crate) use evolve::{Change, Rules};
pub use explain::{Decision, Explanation, RowGroupExplanation};
pub use file::FileReader;
pub use inspect::PageInfo;
pub use prune::Step;
pub use recover::{Recovered, WrittenLike, recover};
pub(crate) use scan::{ColumnSummary, Extremes};
pub use scan::{MinMax, PlannedGroup, PushDecoder, PushStep, Scan, ScanPlan, TopK};
pub use verify::{Finding, GroupState, Harm, Verification};

/// How a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderOptions {
    /// What the file and its scans may hold in memory together: what is decoded of its footer, decompressed pages,
    /// dictionaries and the batch that is being filled. Bytes that the storage maps or holds anyway are not counted, nor
    /// are batches that have been given. 1 GiB by default.
    pub memory_bytes: usize,
    /// A budget that this reader's is a part of, shared with others: buffers of pages too, which are kept from scan to scan, so
    /// short scans take a quarter to a third less time. None by default.
    pub memory: Option<MemoryBudget>,
    /// Whether a page's checksum, where it has one, is compared with its bytes. True by default.
    pub verify_crc: bool,
    /// Rows of a batch at most. 8192 by default.
    pub batch_rows: usize,
    /// The keys of encrypted files. None by default: encrypted columns and footers cannot be read.
    pub decryption: Option<Decryption>,
    /// Bytes of a page at most, before and after decompression. 2 GiB by default, which is the format's own limit.
    pub page_bytes_max: usize,
    /// The same of a dictionary page.
    pub dictionary_bytes_max: usize,
    /// Elements of a schema at most, groups and columns. 1 Mi by default.
    pub schema_elements_max: usize,
    /// How deep groups may nest. 64 by default, which is the most there can be.
    pub schema_depth_max: usize,
    /// The unit of timestamps in INT96; a value beyond its range is an error, one between two units is rounded down.
    /// None by default: the unit of the file's Arrow schema, else microseconds in files of Spark, else nanoseconds. Of these
    /// last two, what is beyond 64 bits (with nanoseconds, outside of the years 1677 to 2262) runs over, as in PyArrow and
    /// arrow-rs, and bounds are not used.
    pub int96_unit: Option<TimeUnit>,
    /// Whether strings and binary values are read as views (`Utf8View`, `BinaryView`) whatever the file's Arrow schema
    /// says, but for those in dictionaries: long ones are not copied then. False by default.
    pub views: bool,
}

impl Default for ReaderOptions {
    fn default() -> ReaderOptions {
        ReaderOptions {
            memory_bytes: 1 << 30,
            memory: None,
            verify_crc: true,
            batch_rows: 8192,
            page_bytes_max: i32::MAX as usize,
            dictionary_bytes_max: i32::MAX as usize,
            schema_elements_max: 1 << 20,
            schema_depth_max: DEPTH_MAX,
            int96_unit: None,
            views: false,
            decryption: None,
        }
    }
}

impl ReaderOptions {
    /// With another [`memory_bytes`](Self::memory_bytes).
    #[must_use]
    pub fn with_memory_bytes(mut self, bytes: usize) -> ReaderOptions {
        self.memory_bytes = bytes;
        self
    }

    /// With a budget, shared with others, that [`memory_bytes`](Self::memory_bytes) is taken from.
    #[must_use]
    pub fn with_memory(mut self, whole: MemoryBudget) -> ReaderOptions {
        self.memory = Some(whole);
        self
    }

    /// With another [`verify_crc`](Self::verify_crc).
    #[must_use]
    pub fn with_verify_crc(mut self, verify: bool) -> ReaderOptions {
        self.verify_crc = verify;
        self
    }

    /// With another [`batch_rows`](Self::batch_rows).
    #[must_use]
    pub fn with_batch_rows(mut self, rows: usize) -> ReaderOptions {
        self.batch_rows = rows;
        self
    }

    /// With [`decryption`](Self::decryption).
    #[must_use]
    pub fn with_decryption(mut self, keys: Decryption) -> ReaderOptions {
        self.decryption = Some(keys);
        self
    }

    /// With another [`page_bytes_max`](Self::page_bytes_max).
    #[must_use]
    pub fn with_page_bytes_max(mut self, bytes: usize) -> ReaderOptions {
        self.page_bytes_max = bytes;
        self
    }

    /// With another [`dictionary_bytes_max`](Self::dictionary_bytes_max).
    #[must_use]
    pub fn with_dictionary_bytes_max(mut self, bytes: usize) -> ReaderOptions {
        self.dictionary_bytes_max = bytes;
        self
    }

    /// With another [`schema_elements_max`](Self::schema_elements_max).
    #[must_use]
    pub fn with_schema_elements_max(mut self, elements: usize) -> ReaderOptions {
        self.schema_elements_max = elements;
        self
    }

    /// With another [`schema_depth_max`](Self::schema_depth_max).
    #[must_use]
    pub fn with_schema_depth_max(mut self, depth: usize) -> ReaderOptions {
        self.schema_depth_max = depth;
        self
    }

    /// With another [`views`](Self::views).
    #[must_use]
    pub fn with_views(mut self, views: bool) -> ReaderOptions {
        self.views = views;
        self
    }

    /// With another [`int96_unit`](Self::int96_unit).
    #[must_use]
    pub fn with_int96_unit(mut self, unit: TimeUnit) -> ReaderOptions {
        self.int96_unit = Some(unit);
        self
    }
}

/// What to read of a file; by default everything.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Top-level columns of the batches, in this order; `None`: all of them, in the file's order.
    pub columns: Option<Vec<String>>,
    /// Only rows for which it is true. Its columns need not be among `columns`.
    pub predicate: Option<Predicate>,
    /// Without the first so many rows of those.
    pub offset: u64,
    /// The first so many rows of those, after `offset`.
    pub limit: Option<u64>,
    /// A column of this name with each row's place in the file, from 0 on, as Int64; it stands where `columns` has the name,
    /// else last.
    pub row_numbers: Option<String>,
    /// Only these row groups, in this order.
    pub row_groups: Option<Vec<usize>>,
    /// Only row groups whose middle is in this range of the file's bytes. Ranges that cover the file without overlapping
    /// have each group exactly once, so readers can divide a file without talking to each other.
    pub byte_range: Option<Range<u64>>,
    /// Only row groups that begin at one of these bytes; see [`FileReader::row_group_start`].
    pub start_offsets: Option<Vec<u64>>,
    /// How many threads read, row groups or parts of them each; up to 1, the caller's own. Memory is the reader's budget,
    /// whatever their number.
    pub threads: usize,
    /// Whether several threads may give batches in another order than the file's, as they come. False by default.
    pub unordered: bool,
    /// The schema to read the file under, instead of its own. `columns` and the predicate are about it; a column that the
    /// file lacks is null, or its default, and one that is narrower there is widened.
    pub schema: Option<SchemaRef>,
    /// How the fields of `schema` find those of the file.
    pub matching: Matching,
    /// What fields of `schema` are that the file lacks: by dotted path, one value of the field's type.
    pub defaults: BTreeMap<String, ArrayRef>,
    /// What may be asked for rows that cannot match. All of it by default.
    pub pruning: Pruning,
}

/// What a scan asks before it reads rows, in this order, each step for what the ones before leave open. None of it changes
/// which rows come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruning {
    /// The statistics of column chunks.
    pub statistics: bool,
    /// The bounds of pages. (Where pages lie is told by another index, which is used anyway.)
    pub page_index: bool,
    /// Bloom filters, where a condition asks for a value.
    pub bloom_filters: bool,
    /// Dictionary pages, of chunks all of whose values are in them.
    pub dictionaries: bool,
}

impl Default for Pruning {
    fn default() -> Pruning {
        Pruning { statistics: true, page_index: true, bloom_filters: true, dictionaries: true }
    }
}

impl Pruning {
    /// Nothing is asked.
    pub const NONE: Pruning =
        Pruning { statistics: false, page_index: false, bloom_filters: false, dictionaries: false };
}

impl ScanOptions {
    /// With these columns only.
    #[must_use]
    pub fn with_columns(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> ScanOptions {
        self.columns = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// With rows only for which the predicate is true.
    #[must_use]
    pub fn with_predicate(mut self, predicate: Predicate) -> ScanOptions {
        self.predicate = Some(predicate);
        self
    }

    /// With the first so many rows only.
    #[must_use]
    pub fn with_limit(mut self, rows: u64) -> ScanOptions {
        self.limit = Some(rows);
        self
    }

    /// Without the first so many rows.
    #[must_use]
    pub fn with_offset(mut self, rows: u64) -> ScanOptions {
        self.offset = rows;
        self
    }

    /// With each row's place in the file, as a column of this name. It is the same whatever is left out.
    ///
    /// ```
    /// # use hypostyle::parquet::read::{FileReader, ScanOptions};
    /// # use hypostyle::predicate::col;
    /// # fn example(file: &FileReader) -> hypostyle::Result<()> {
    /// let options = ScanOptions::default().with_predicate(col("dep_delay").gt(600)).with_columns(["flight"]);
    /// for batch in file.scan(options.with_row_numbers("row"))? {
    ///     assert_eq!(batch?.schema().field(1).name(), "row");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_row_numbers(mut self, name: impl Into<String>) -> ScanOptions {
        self.row_numbers = Some(name.into());
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

    /// With these row groups only.
    #[must_use]
    pub fn with_row_groups(mut self, row_groups: impl IntoIterator<Item = usize>) -> ScanOptions {
        self.row_groups = Some(row_groups.into_iter().collect());
        self
    }

    /// With row groups only whose middle is in this range of bytes.
    #[must_use]
    pub fn with_byte_range(mut self, range: Range<u64>) -> ScanOptions {
        self.byte_range = Some(range);
        self
    }

    /// With row groups only that begin at one of these bytes.
    #[must_use]
    pub fn with_start_offsets(mut self, offsets: impl IntoIterator<Item = u64>) -> ScanOptions {
        self.start_offsets = Some(offsets.into_iter().collect());
        self
    }

    /// Under this schema. [`FileReader::scan`] is then an [`Error::Invalid`](crate::Error::Invalid) that names column and both
    /// types where the schema's type cannot hold all values of the file's, and where a column that may not be null is
    /// neither in the file nor has a default.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use arrow_schema::{DataType, Field, Schema};
    /// # use hypostyle::parquet::read::{FileReader, ScanOptions};
    /// # use hypostyle::predicate::col;
    /// # fn example(file: &FileReader) -> hypostyle::Result<()> {
    /// // The file was written when `id` was an Int32 and there was no `note`.
    /// let schema = Arc::new(Schema::new(vec![
    ///     Field::new("id", DataType::Int64, false),
    ///     Field::new("note", DataType::Utf8, true),
    /// ]));
    /// let options = ScanOptions::default().with_schema(schema).with_predicate(col("id").gt(1i64 << 40));
    /// assert_eq!(file.scan(options)?.count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_schema(mut self, schema: SchemaRef) -> ScanOptions {
        self.schema = Some(schema);
        self
    }

    /// With another [`pruning`](Self::pruning).
    #[must_use]
    pub fn with_pruning(mut self, pruning: Pruning) -> ScanOptions {
        self.pruning = pruning;
        self
    }

    /// With another [`matching`](Self::matching).
    #[must_use]
    pub fn with_matching(mut self, matching: Matching) -> ScanOptions {
        self.matching = matching;
        self
    }

    /// With a value for the field at `path` where the file lacks it.
    #[must_use]
    pub fn with_default(mut self, path: impl Into<String>, value: ArrayRef) -> ScanOptions {
        self.defaults.insert(path.into(), value);
        self
    }
}

/// What a scan has read so far, and what it did not need to. Complete when the scan has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanCounts {
    /// Row groups of which rows were read, or none were needed to count them.
    pub row_groups_read: u64,
    /// Row groups that statistics, page indexes, Bloom filters or dictionaries proved to hold no match, or that lie behind
    /// the limit.
    pub row_groups_skipped: u64,
    /// Those of them that the statistics of chunks did.
    pub row_groups_skipped_by_statistics: u64,
    /// Those that page indexes did, where statistics had not.
    pub row_groups_skipped_by_page_index: u64,
    /// Those that Bloom filters did, where nothing before had.
    pub row_groups_skipped_by_bloom_filter: u64,
    /// Those that dictionaries did, where nothing else had.
    pub row_groups_skipped_by_dictionary: u64,
    /// Rows of row groups read that page indexes proved not to match.
    pub rows_skipped_by_page_index: u64,
    /// Data pages decoded.
    pub pages_read: u64,
    /// Data pages of the columns asked for that were passed over in row groups read, as far as they were met.
    pub pages_skipped: u64,
    /// Bytes of column chunks fetched from the storage.
    pub bytes_read: u64,
    /// Bytes of dictionary pages fetched only to learn whether a row group can match; where it can, they are read again.
    pub bytes_read_to_prune: u64,
    /// All bytes but [`bytes_read`](Self::bytes_read) of the file's column chunks, those of columns not asked for among them.
    pub bytes_skipped: u64,
    /// Bytes of the pages that were opened, dictionary pages too, after decompression.
    pub bytes_decompressed: u64,
    /// Bytes of the values that were made of them, as Arrow has them.
    pub bytes_decoded: u64,
    /// Rows for which the predicate was evaluated; without a predicate, rows returned.
    pub rows_read: u64,
    /// Rows in the batches.
    pub rows_returned: u64,
}

/// What a scan has read of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnCounts {
    /// The top-level column's name.
    pub name: String,
    /// Data pages opened.
    pub pages_read: u64,
    /// Data pages passed over in row groups read, as far as they were met.
    pub pages_skipped: u64,
    /// Bytes of its chunks fetched from the storage.
    pub bytes_fetched: u64,
    /// Bytes of the pages that were opened, dictionary pages too, after decompression.
    pub bytes_decompressed: u64,
    /// Bytes of the values that were made of them, as Arrow has them. Rows that were judged by the entries of a dictionary, or
    /// passed over inside of a page, are not among them.
    pub bytes_decoded: u64,
}

impl ColumnCounts {
    /// Adds what was read of columns to that of others: to the one of the same name, if there is one.
    pub(crate) fn merge(all: &mut Vec<ColumnCounts>, more: impl IntoIterator<Item = ColumnCounts>) {
        for more in more {
            let Some(one) = all.iter_mut().find(|one| one.name == more.name) else {
                all.push(more);
                continue;
            };
            one.pages_read += more.pages_read;
            one.pages_skipped += more.pages_skipped;
            one.bytes_fetched += more.bytes_fetched;
            one.bytes_decompressed += more.bytes_decompressed;
            one.bytes_decoded += more.bytes_decoded;
        }
    }
}

/// Of several files.
impl std::ops::AddAssign for ScanCounts {
    fn add_assign(&mut self, more: ScanCounts) {
        let ScanCounts {
            row_groups_read,
            row_groups_skipped,
            row_groups_skipped_by_statistics,
            row_groups_skipped_by_page_index,
            row_groups_skipped_by_bloom_filter,
            row_groups_skipped_by_dictionary,
            rows_skipped_by_page_index,
            pages_read,
            pages_skipped,
            bytes_read,
            bytes_read_to_prune,
            bytes_skipped,
            bytes_decompressed,
            bytes_decoded,
            rows_read,
            rows_returned,
        } = more;
        self.row_groups_read += row_groups_read;
        self.row_groups_skipped += row_groups_skipped;
        self.row_groups_skipped_by_statistics += row_groups_skipped_by_statistics;
        self.row_groups_skipped_by_page_index += row_groups_skipped_by_page_index;
        self.row_groups_skipped_by_bloom_filter += row_groups_skipped_by_bloom_filter;
        self.row_groups_skipped_by_dictionary += row_groups_skipped_by_dictionary;
        self.rows_skipped_by_page_index += rows_skipped_by_page_index;
        self.pages_read += pages_read;
        self.pages_skipped += pages_skipped;
        self.bytes_read += bytes_read;
        self.bytes_read_to_prune += bytes_read_to_prune;
        self.bytes_skipped += bytes_skipped;
        self.bytes_decompressed += bytes_decompressed;
        self.bytes_decoded += bytes_decoded;
        self.rows_read += rows_read;
        self.rows_returned += rows_returned;
    }
}
