//! How a file is written.

use std::collections::BTreeMap;
use std::str::FromStr;

use arrow_schema::DataType;

use super::bloom;
use super::choose;
use super::memory::WriterMemory;
use super::seal::Encryption;
use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::compress::Compression;
use crate::parquet::format::{Encoding, SortingColumn};

/// Which readers the writer has in mind when it chooses encodings by the values it sees.
///
/// Whatever a caller asks for by name is written at every level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compatibility {
    /// Data pages v1, with what every reader since parquet-mr 1.8 reads: PLAIN, dictionaries and the DELTA encodings.
    #[default]
    Universal,
    /// Data pages v2, and BYTE_STREAM_SPLIT and RLE for booleans besides: the readers since about 2022.
    Modern,
    /// ALP besides, which is a preview in the format: this crate, and whoever implements it early.
    Preview,
}

impl FromStr for Compatibility {
    type Err = Error;

    fn from_str(text: &str) -> Result<Compatibility> {
        match text.to_ascii_lowercase().as_str() {
            "universal" => Ok(Compatibility::Universal),
            "modern" => Ok(Compatibility::Modern),
            "preview" => Ok(Compatibility::Preview),
            _ => Err(Error::invalid(format!("compatibility {text:?} is not one of universal, modern, preview"))),
        }
    }
}

/// The layout of data pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageVersion {
    /// Levels and values compressed together.
    V1,
    /// Levels stand uncompressed, and values that do not shrink too; the header counts nulls and rows.
    V2,
}

impl FromStr for PageVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<PageVersion> {
        match text {
            "1" => Ok(PageVersion::V1),
            "2" => Ok(PageVersion::V2),
            _ => Err(Error::invalid(format!("page version {text:?} is not one of 1, 2"))),
        }
    }
}

/// How a [`FileWriter`](super::FileWriter) writes. The defaults are read by every reader of the last ten years.
///
/// ```
/// use hypostyle::parquet::compress::Compression;
/// use hypostyle::parquet::write::{ColumnOptions, WriterOptions};
///
/// let options = WriterOptions::default()
///     .with_compression(Compression::Snappy)
///     .with_row_group_rows(100_000)
///     .with_column("id", ColumnOptions { dictionary: Some(false), ..ColumnOptions::default() });
/// assert_eq!(options.page_rows_least, 32_768);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct WriterOptions {
    /// Who shall read the file; [`Compatibility::Universal`].
    pub compatibility: Compatibility,
    /// The layout of data pages; None: as [`compatibility`](Self::compatibility) says.
    pub page_version: Option<PageVersion>,
    /// How pages are compressed; ZSTD level 3.
    pub compression: Compression,
    /// A row group closes at this many rows; 1,048,576.
    pub row_group_rows: usize,
    /// A row group closes when its encoded, compressed pages reach about this many bytes; 128 MiB.
    pub row_group_bytes: usize,
    /// A page closes at this many rows, whatever they hold; 131,072.
    pub page_rows: usize,
    /// A page closes before its values exceed this many bytes in PLAIN; 1 MiB. One row may.
    pub page_bytes: usize,
    /// A page closes once it has this many rows and [`page_bytes_least`](Self::page_bytes_least); 32,768, which
    /// fill the codec's blocks with numbers of 4 and 8 bytes.
    pub page_rows_least: usize,
    /// A page of fewer encoded bytes goes on: a small page costs more than it lets a reader skip; 64 KiB.
    pub page_bytes_least: usize,
    /// Whether columns are written through a dictionary while it pays; true.
    pub dictionary: bool,
    /// A dictionary that reaches this many bytes is given up; 4 MiB.
    pub dictionary_bytes: usize,
    /// Whether statistics of chunks and the page index are written; true.
    pub statistics: bool,
    /// Whether pages carry a CRC-32; true.
    pub crc: bool,
    /// How the bounds of floating-point columns compare; by value.
    pub float_order: FloatOrder,
    /// Whether timestamps are written as INT96, which the format has deprecated, for readers of old; false.
    pub int96: bool,
    /// Bounds of strings and binary values are cut to this many bytes; 64.
    pub bounds_bytes_max: usize,
    /// What the footer says besides, by key.
    pub key_values: Vec<(String, String)>,
    /// By which columns the rows are sorted. The caller promises it; the writer does not check.
    pub sorting_columns: Vec<SortingColumn>,
    /// What single columns do otherwise, by path.
    pub columns: BTreeMap<String, ColumnOptions>,
    /// Which Bloom filters columns have; none.
    pub bloom_filter: BloomFilters,
    /// How the file is encrypted; not at all.
    pub encryption: Option<Encryption>,
    /// Threads that encode and compress columns, the caller's among them; 1. With several, one more appends a row group that is
    /// full to the output while the next one is encoded. The file is the same with any number of them.
    pub threads: usize,
    /// Memory that is shared with other writers, such as those of the files before and after; None: the file has its own.
    pub memory: Option<WriterMemory>,
}

/// The Bloom filter of each chunk of a column: it tells whether a value can be among those of the chunk. It is worth its
/// bytes where single values are asked for that statistics do not tell apart, such as random ids. Booleans have none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum BloomFilters {
    /// None is written.
    #[default]
    Never,
    /// Of so many bytes: a power of two, from 32 to 128 MiB; another number is rounded up.
    Bytes(usize),
    /// Of as many bytes as it takes, for the values that came, to wrongly say yes with at most this probability (above 0, below
    /// 1). It is made for as many different values as a row group has rows: lists with more of them answer wrongly more often.
    Rate(f64),
}

impl BloomFilters {
    fn check(self) -> Result<()> {
        match self {
            BloomFilters::Rate(rate) if !(rate > 0.0 && rate < 1.0) => {
                Err(Error::invalid(format!("a Bloom filter with false positives of {rate}: between 0 and 1 is needed")))
            }
            BloomFilters::Bytes(bytes) if bytes > BLOOM_FILTER_MAX => {
                Err(Error::invalid(format!("a Bloom filter of {bytes} bytes: at most {BLOOM_FILTER_MAX}")))
            }
            _ => Ok(()),
        }
    }
}

const BLOOM_FILTER_MAX: usize = 128 << 20;

/// What one column does otherwise than [`WriterOptions`] say; None: as they say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ColumnOptions {
    /// How its pages are compressed.
    pub compression: Option<Compression>,
    /// Whether it is written through a dictionary while it pays.
    pub dictionary: Option<bool>,
    /// Whether its statistics and page index are written.
    pub statistics: Option<bool>,
    /// How its values are encoded, whatever they are; through a dictionary only where `dictionary` is true, too.
    /// RLE_DICTIONARY: through a dictionary while it has room, whether it pays or not.
    pub encoding: Option<Encoding>,
    /// Rows at which its pages close, whatever they hold.
    pub page_rows: Option<usize>,
    /// Bytes at which its pages close.
    pub page_bytes: Option<usize>,
    /// Bytes at which its dictionary is given up.
    pub dictionary_bytes: Option<usize>,
    /// Bytes to which its bounds are cut.
    pub bounds_bytes_max: Option<usize>,
    /// How bounds of its floating-point values compare.
    pub float_order: Option<FloatOrder>,
    /// Whether its timestamps are written as INT96.
    pub int96: Option<bool>,
    /// Which Bloom filters it has.
    pub bloom_filter: Option<BloomFilters>,
}

/// How the bounds of a floating-point column compare. Spec: parquet.thrift, `ColumnOrder`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FloatOrder {
    /// By value (`TYPE_ORDER`), as every reader knows it. A page or chunk with a NaN has no bounds.
    #[default]
    Value,
    /// By IEEE 754 (`IEEE_754_TOTAL_ORDER`): bounds are those of what is no NaN, and of NaN where there is nothing
    /// else. Readers that do not know this order do without bounds.
    Total,
}

impl Default for WriterOptions {
    fn default() -> WriterOptions {
        WriterOptions {
            compatibility: Compatibility::default(),
            page_version: None,
            compression: Compression::default(),
            row_group_rows: 1 << 20,
            row_group_bytes: 128 << 20,
            page_rows: 128 << 10,
            page_bytes: 1 << 20,
            page_rows_least: 32 << 10,
            page_bytes_least: 64 << 10,
            dictionary: true,
            dictionary_bytes: 4 << 20,
            statistics: true,
            crc: true,
            float_order: FloatOrder::Value,
            int96: false,
            bounds_bytes_max: 64,
            key_values: Vec::new(),
            sorting_columns: Vec::new(),
            columns: BTreeMap::new(),
            bloom_filter: BloomFilters::Never,
            encryption: None,
            threads: 1,
            memory: None,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $field:ident, $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $field: $type) -> WriterOptions {
            self.$field = $field;
            self
        }
    )*};
}

impl WriterOptions {
    setters! {
        /// Sets [`threads`](Self::threads).
        with_threads: threads, usize;
        /// Sets [`compatibility`](Self::compatibility).
        with_compatibility: compatibility, Compatibility;
        /// Sets [`page_version`](Self::page_version).
        with_page_version: page_version, Option<PageVersion>;
        /// Sets [`compression`](Self::compression).
        with_compression: compression, Compression;
        /// Sets [`row_group_rows`](Self::row_group_rows).
        with_row_group_rows: row_group_rows, usize;
        /// Sets [`row_group_bytes`](Self::row_group_bytes).
        with_row_group_bytes: row_group_bytes, usize;
        /// Sets [`page_rows`](Self::page_rows).
        with_page_rows: page_rows, usize;
        /// Sets [`page_bytes`](Self::page_bytes).
        with_page_bytes: page_bytes, usize;
        /// Sets [`page_rows_least`](Self::page_rows_least).
        with_page_rows_least: page_rows_least, usize;
        /// Sets [`page_bytes_least`](Self::page_bytes_least).
        with_page_bytes_least: page_bytes_least, usize;
        /// Sets [`dictionary`](Self::dictionary).
        with_dictionary: dictionary, bool;
        /// Sets [`dictionary_bytes`](Self::dictionary_bytes).
        with_dictionary_bytes: dictionary_bytes, usize;
        /// Sets [`statistics`](Self::statistics).
        with_statistics: statistics, bool;
        /// Sets [`crc`](Self::crc).
        with_crc: crc, bool;
        /// Sets [`float_order`](Self::float_order).
        with_float_order: float_order, FloatOrder;
        /// Sets [`int96`](Self::int96).
        with_int96: int96, bool;
        /// Sets [`bounds_bytes_max`](Self::bounds_bytes_max).
        with_bounds_bytes_max: bounds_bytes_max, usize;
        /// Sets [`bloom_filter`](Self::bloom_filter).
        with_bloom_filter: bloom_filter, BloomFilters;
        /// Sets [`sorting_columns`](Self::sorting_columns).
        with_sorting_columns: sorting_columns, Vec<SortingColumn>;
    }

    /// Adds a pair to [`key_values`](Self::key_values).
    #[must_use]
    pub fn with_key_value(mut self, key: impl Into<String>, value: impl Into<String>) -> WriterOptions {
        self.key_values.push((key.into(), value.into()));
        self
    }

    /// Sets [`encryption`](Self::encryption).
    #[must_use]
    pub fn with_encryption(mut self, encryption: Encryption) -> WriterOptions {
        self.encryption = Some(encryption);
        self
    }

    /// Sets [`memory`](Self::memory).
    #[must_use]
    pub fn with_memory(mut self, memory: WriterMemory) -> WriterOptions {
        self.memory = Some(memory);
        self
    }

    /// Gives memory to the writers of many files, whose work may take `bytes` in all, unless they have some.
    pub(crate) fn share_memory(&mut self, bytes: usize) {
        /// What of it is kept free for the pages to come, at most.
        const FREE_PART: usize = 16;
        self.memory.get_or_insert_with(|| WriterMemory::new(bytes / FREE_PART));
    }

    /// Sets what the column at `path` does otherwise.
    #[must_use]
    pub fn with_column(mut self, path: impl Into<String>, options: ColumnOptions) -> WriterOptions {
        self.columns.insert(path.into(), options);
        self
    }

    /// [`Error::Invalid`] for options that cannot be followed with these columns.
    pub(super) fn check(&self, leaves: &[Leaf]) -> Result<()> {
        for (name, value) in [("row_group_rows", self.row_group_rows), ("row_group_bytes", self.row_group_bytes)] {
            if value == 0 {
                return Err(Error::invalid(format!("{name} is 0: at least 1 is needed")));
            }
        }
        check_page("page_rows", self.page_rows)?;
        check_page("page_bytes", self.page_bytes)?;
        self.bloom_filter.check()?;
        for sorting in &self.sorting_columns {
            if usize::try_from(sorting.column_idx).map_or(true, |i| i >= leaves.len()) {
                let (i, n) = (sorting.column_idx, leaves.len());
                return Err(Error::invalid(format!("rows sorted by column {i}: there are {n} columns, from 0")));
            }
        }
        for (path, column) in &self.columns {
            let Some(leaf) = leaves.iter().find(|leaf| leaf.name() == *path) else {
                let names: Vec<_> = leaves.iter().map(Leaf::name).collect();
                return Err(Error::invalid(format!(
                    "options for column {path}: there is none, only {}",
                    names.join(", ")
                )));
            };
            column.check(leaf).map_err(|e| e.in_column(path))?;
        }
        Ok(())
    }

    /// The options that hold for the column at `path`.
    pub(super) fn of_column(&self, path: &str) -> ChunkOptions {
        let column = self.columns.get(path).copied().unwrap_or_default();
        let page_rows = column.page_rows.unwrap_or(self.page_rows);
        ChunkOptions {
            compatibility: self.compatibility,
            page_version: self.page_version.unwrap_or(match self.compatibility {
                Compatibility::Universal => PageVersion::V1,
                Compatibility::Modern | Compatibility::Preview => PageVersion::V2,
            }),
            compression: column.compression.unwrap_or(self.compression),
            encoding: column.encoding,
            dictionary: column.dictionary.unwrap_or(match column.encoding {
                None => self.dictionary,
                Some(encoding) => encoding == Encoding::RleDictionary,
            }),
            statistics: column.statistics.unwrap_or(self.statistics),
            page_rows,
            page_rows_least: self.page_rows_least.clamp(1, page_rows),
            page_bytes_least: self.page_bytes_least,
            page_bytes: column.page_bytes.unwrap_or(self.page_bytes),
            dictionary_bytes: column.dictionary_bytes.unwrap_or(self.dictionary_bytes),
            bounds_bytes_max: column.bounds_bytes_max.unwrap_or(self.bounds_bytes_max),
            crc: self.crc,
            bloom_filter: column.bloom_filter.unwrap_or(self.bloom_filter),
            row_group_rows: self.row_group_rows,
            is_plain: false,
        }
    }
}

impl ChunkOptions {
    /// Leaves out, where the caller asked for no encoding, what an engine fails on although it reads the encoding elsewhere.
    pub fn mind_readers(&mut self, leaf: &Leaf) {
        if self.encoding.is_some() {
            return;
        }
        if matches!(leaf.data_type, DataType::Dictionary(..)) {
            // PyArrow makes a dictionary again of pages of a dictionary and PLAIN ones only, and inside structs only of the former.
            self.is_plain = true;
            self.encoding = self.dictionary.then_some(Encoding::RleDictionary);
        } else if self.compatibility != Compatibility::Preview && is_in_struct(leaf) {
            // Polars 2.1 loses count over several pages of deltas that cannot be null in a struct that can.
            self.is_plain = true;
        }
    }
}

/// Whether what is right around the leaf is a struct, and not a list or a map.
fn is_in_struct(leaf: &Leaf) -> bool {
    let path: Vec<&str> = leaf.path.iter().map(String::as_str).collect();
    path.len() > 1 && !matches!(path.as_slice(), [.., "list", "element"] | [.., "key_value", "key" | "value"])
}

impl ColumnOptions {
    fn check(&self, leaf: &Leaf) -> Result<()> {
        check_page("page_rows", self.page_rows.unwrap_or(1))?;
        check_page("page_bytes", self.page_bytes.unwrap_or(1))?;
        let filter = self.bloom_filter.unwrap_or_default();
        filter.check()?;
        if filter != BloomFilters::Never && !bloom::can_have(leaf.physical) {
            return Err(Error::invalid(format!("a Bloom filter of {:?} values, which have none", leaf.physical)));
        }
        let allowed = choose::allowed(leaf.physical);
        match self.encoding {
            Some(encoding) if !allowed.contains(&encoding) => {
                let names: Vec<_> = allowed.iter().map(Encoding::to_string).collect();
                Err(Error::invalid(format!("{encoding} is not for its values: {} are", names.join(", "))))
            }
            Some(Encoding::RleDictionary) if self.dictionary == Some(false) => {
                Err(Error::invalid("RLE_DICTIONARY is asked for, and no dictionary"))
            }
            _ => Ok(()),
        }
    }
}

fn check_page(name: &str, value: usize) -> Result<()> {
    match value {
        0 => Err(Error::invalid(format!("{name} is 0: at least 1 is needed"))),
        1..=PAGE_MAX => Ok(()),
        _ => Err(Error::invalid(format!("{name} is {value}: a page holds at most {PAGE_MAX}"))),
    }
}

/// A page's sizes and counts are 32-bit signed numbers; half of that leaves room for levels and one value more.
const PAGE_MAX: usize = 1 << 30;

/// The options of one column.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkOptions {
    pub compatibility: Compatibility,
    pub page_version: PageVersion,
    pub compression: Compression,
    pub encoding: Option<Encoding>,
    pub dictionary: bool,
    pub statistics: bool,
    pub page_rows: usize,
    pub page_bytes: usize,
    pub page_rows_least: usize,
    pub page_bytes_least: usize,
    pub dictionary_bytes: usize,
    pub bounds_bytes_max: usize,
    pub crc: bool,
    pub bloom_filter: BloomFilters,
    pub row_group_rows: usize,
    /// Values outside of a dictionary are PLAIN, whatever the compatibility allows.
    pub is_plain: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::arrow::to_parquet;
    use arrow_schema::{DataType, Field, Schema};

    #[test]
    fn what_cannot_be_followed_is_named() {
        let schema = Schema::new(vec![Field::new("a", DataType::Int32, true), Field::new("b", DataType::Utf8, true)]);
        let leaves = to_parquet(&schema).expect("flat").leaves;
        let sorting = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: false };
        let good = WriterOptions::default;
        let encoded = |path: &str, encoding| {
            good().with_column(path, ColumnOptions { encoding: Some(encoding), ..ColumnOptions::default() })
        };
        for (options, says) in [
            (good().with_page_rows(0), "page_rows is 0: at least 1 is needed"),
            (good().with_page_bytes(usize::MAX), "a page holds at most 1073741824"),
            (good().with_row_group_bytes(0), "row_group_bytes is 0"),
            (good().with_sorting_columns(vec![sorting(2)]), "column 2: there are 2 columns"),
            (good().with_sorting_columns(vec![sorting(-1)]), "column -1"),
            (good().with_column("c", ColumnOptions::default()), "column c: there is none, only a, b"),
            (encoded("b", Encoding::ByteStreamSplit), "column b: BYTE_STREAM_SPLIT is not for its values: PLAIN, "),
            (encoded("a", Encoding::Alp), "column a: ALP is not for its values"),
            (
                good().with_column("a", ColumnOptions { page_rows: Some(0), ..ColumnOptions::default() }),
                "page_rows is 0",
            ),
        ] {
            let e = options.check(&leaves).expect_err(says);
            assert!(e.kind() == "invalid" && e.to_string().contains(says), "{e}");
        }
        good().with_sorting_columns(vec![sorting(1)]).check(&leaves).expect("good");
    }

    #[test]
    fn a_column_may_do_otherwise() {
        let otherwise = ColumnOptions { compression: Some(Compression::Snappy), ..ColumnOptions::default() };
        let options = WriterOptions::default().with_dictionary(false).with_column("b", otherwise);
        assert_eq!(options.of_column("a").compression, Compression::default());
        assert_eq!(options.of_column("b").compression, Compression::Snappy);
        assert!(!options.of_column("b").dictionary);
        let encoded = |encoding, dictionary| {
            let column = ColumnOptions { encoding: Some(encoding), dictionary, ..ColumnOptions::default() };
            WriterOptions::default().with_column("a", column).of_column("a")
        };
        assert!(!encoded(Encoding::DeltaBinaryPacked, None).dictionary);
        assert!(encoded(Encoding::DeltaBinaryPacked, Some(true)).dictionary);
        assert!(encoded(Encoding::RleDictionary, None).dictionary);
    }

    #[test]
    fn compatibility_says_which_pages_unless_asked() {
        let of = |options: WriterOptions| options.of_column("a").page_version;
        let options = WriterOptions::default;
        assert_eq!(of(options()), PageVersion::V1);
        assert_eq!(of(options().with_compatibility(Compatibility::Modern)), PageVersion::V2);
        assert_eq!(of(options().with_page_version(Some(PageVersion::V2))), PageVersion::V2);
        let both = options().with_compatibility(Compatibility::Preview).with_page_version(Some(PageVersion::V1));
        assert_eq!(of(both), PageVersion::V1);
    }
}
