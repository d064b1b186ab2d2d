//! `hypostyle convert`: rows from one format to another.

use std::io::{self, Write};
use std::str::FromStr;

use clap::Args;

use super::formats::{self, RowWriter};
use super::keys::EncryptionArgs;
use super::quantities::{bytes, of, parse_memory};
use super::selection::Selection;
use super::{Ending, interrupt};
use crate::error::{Error, Result};
use crate::parquet::compress::Compression;
use crate::parquet::format::Encoding;
use crate::parquet::write::{BloomFilters, ColumnOptions, Compatibility, PageVersion, WriterOptions};

/// Write the rows of a table or file in another format
///
/// The names say the formats: .parquet, .arrow (Arrow IPC), .ndjson, .csv; a folder is a table. A file appears whole or not at
/// all, and replaces one that is there; a table is written to a folder that is empty or not there.
#[derive(Debug, Args)]
pub(super) struct Convert {
    /// A table's folder, or a file: .parquet, .arrow, .ndjson (also .gz or .zst), .csv
    #[arg(value_name = "IN")]
    from: String,
    /// The file to write: .parquet, .arrow, .ndjson, .csv; or a table's folder, with a / behind its name
    #[arg(value_name = "OUT")]
    to: String,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    parquet: Parquet,
    #[command(flatten)]
    encryption: EncryptionArgs,
}

/// How a Parquet file is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Parquet output")]
pub(super) struct Parquet {
    /// zstd:3, snappy, lz4, gzip:6, brotli:5 or none
    #[arg(long, value_name = "CODEC", default_value = "zstd:3")]
    compression: Compression,
    /// Rows of a row group, at most
    #[arg(long, value_name = "ROWS")]
    row_group_rows: Option<usize>,
    /// Encoded size at which a row group is closed
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    row_group_bytes: Option<usize>,
    /// Size at which a page is closed, before compression
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    page_bytes: Option<usize>,
    /// Rows of a page, at most
    #[arg(long, value_name = "ROWS")]
    page_rows: Option<usize>,
    /// Who shall read the file: universal (every reader of the last ten years), modern (those since about 2022: data pages
    /// v2 and more encodings) or preview (ALP besides, which few can read yet)
    #[arg(long, value_name = "LEVEL", default_value = "universal")]
    compatibility: Compatibility,
    /// The layout of data pages, 1 or 2 [default: 1 for universal, else 2]
    #[arg(long, value_name = "VERSION")]
    page_version: Option<PageVersion>,
    /// Write values without dictionaries
    #[arg(long)]
    no_dictionary: bool,
    /// The encoding of a column's values, by its path: plain, dictionary, delta-binary-packed, delta-length-byte-array,
    /// delta-byte-array, byte-stream-split, rle or alp; for several columns, several times
    #[arg(long, value_name = "COLUMN=ENCODING", value_parser = parse_column::<Encoding>)]
    encoding: Vec<(String, Encoding)>,
    /// The compression of a column, by its path; for several columns, several times
    #[arg(long, value_name = "COLUMN=CODEC", value_parser = parse_column::<Compression>)]
    column_compression: Vec<(String, Compression)>,
    /// Write a Bloom filter of a column, by its path, that wrongly says yes with this probability [default: 0.01]; for several
    /// columns, several times
    #[arg(long, value_name = "COLUMN[=PROBABILITY]", value_parser = parse_bloom_filter)]
    bloom_filter: Vec<(String, f64)>,
    /// Write no statistics and page index
    #[arg(long)]
    no_statistics: bool,
}

/// `COLUMN=VALUE`; a column's name may hold `=`, too.
fn parse_column<T: FromStr<Err = Error>>(text: &str) -> Result<(String, T)> {
    match text.rsplit_once('=') {
        Some((column, value)) => Ok((column.into(), value.parse()?)),
        None => Err(Error::invalid(format!("{text:?} is not COLUMN=VALUE"))),
    }
}

/// `COLUMN` or `COLUMN=PROBABILITY`.
fn parse_bloom_filter(text: &str) -> Result<(String, f64)> {
    match text.rsplit_once('=') {
        None => Ok((text.into(), 0.01)),
        Some((column, rate)) => {
            let rate = rate.parse().ok().filter(|rate| *rate > 0.0 && *rate < 1.0);
            let rate =
                rate.ok_or_else(|| Error::invalid(format!("{text:?}: a probability between 0 and 1 is needed")))?;
            Ok((column.into(), rate))
        }
    }
}

impl Parquet {
    pub(super) fn options(&self) -> WriterOptions {
        let mut options = WriterOptions { compression: self.compression, ..WriterOptions::default() };
        options.compatibility = self.compatibility;
        options.page_version = self.page_version;
        options.dictionary = !self.no_dictionary;
        options.statistics = !self.no_statistics;
        let mut column = |path: &String, set: &dyn Fn(&mut ColumnOptions)| {
            set(options.columns.entry(path.clone()).or_default());
        };
        self.encoding.iter().for_each(|(path, encoding)| column(path, &|c| c.encoding = Some(*encoding)));
        self.column_compression.iter().for_each(|(path, codec)| column(path, &|c| c.compression = Some(*codec)));
        let rate = |c: &mut ColumnOptions, rate| c.bloom_filter = Some(BloomFilters::Rate(rate));
        self.bloom_filter.iter().for_each(|(path, probability)| column(path, &|c| rate(c, *probability)));
        let set = |field: &mut usize, value: Option<usize>| *field = value.unwrap_or(*field);
        set(&mut options.row_group_rows, self.row_group_rows);
        set(&mut options.row_group_bytes, self.row_group_bytes);
        set(&mut options.page_bytes, self.page_bytes);
        set(&mut options.page_rows, self.page_rows);
        options
    }
}

impl Convert {
    pub(super) fn run(&self) -> Result<Ending> {
        let rows = formats::open(&self.from, self.selection.request()?)?;
        let in_output = |e: Error| e.in_file(&self.to);
        let mut options = self.parquet.options();
        options.encryption = self.encryption.read()?;
        options.threads = self.selection.threads();
        let mut writer = RowWriter::create(&self.to, rows.schema().clone(), options).map_err(in_output)?;
        let mut written = 0;
        for batch in rows {
            let batch = batch?;
            written += batch.num_rows() as u64;
            writer.write(&batch).map_err(in_output)?;
            if interrupt::is_set() {
                // Dropped unfinished, the file never appears.
                return Ok(Ending::Interrupted);
            }
        }
        let size = writer.finish().map_err(in_output)?;
        writeln!(io::stdout(), "{} written to {}, {}", of(written, "row", "rows"), self.to, bytes(size))?;
        Ok(Ending::Done)
    }
}
