//! `hypostyle recover`: what a file without a footer still holds.

use std::io::{self, Write};
use std::sync::Arc;

use clap::Args;

use super::Ending;
use super::formats::{self, Place};
use super::quantities::{bytes, of, parse_memory};
use super::written_schema;
use crate::error::{Error, Result};
use crate::parquet::compress::Compression;
use crate::parquet::read::{FileReader, ReaderOptions, WrittenLike, recover};
use crate::parquet::splice::rebuild;
use crate::parquet::write::PauseToken;
use crate::storage::{Input, Local, Storage};

/// Save the complete row groups of a Parquet file that has lost its footer
///
/// A writer that died leaves pages without the footer that says what they are. With a file of the same kind beside it, the
/// columns' names and types, or the token of a paused writer, the row groups that are complete are found again, decoded to be
/// sure, and copied to OUT.
#[derive(Debug, Args)]
pub(super) struct Recover {
    /// The broken file
    file: String,
    /// The file to write: .parquet
    #[arg(value_name = "OUT")]
    to: String,
    /// A sound Parquet file of the same schema and writer
    #[arg(long, value_name = "SIBLING", required_unless_present_any = ["token", "schema"])]
    like: Option<String>,
    /// The columns that were written, in their order, as `ingest --schema` has them: {"fields":[{"name":"a","type":"int64"}]}; and
    /// nested ones: {"name":"b","type":"list","element":{"type":"utf8"}}, a "struct" with "fields", a "map" with "key" and "value"
    #[arg(long, value_name = "FILE", conflicts_with = "like")]
    schema: Option<String>,
    /// With --schema: how the pages are compressed
    #[arg(long, value_name = "CODEC", default_value = "zstd:3", requires = "schema")]
    compression: Compression,
    /// With --schema: rows of a row group that is not the last one
    #[arg(long, value_name = "ROWS", default_value_t = 1 << 20, requires = "schema")]
    row_group_rows: usize,
    /// The token of the writer that was paused last, as a file
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["like", "schema"])]
    token: Option<String>,
    /// Memory that reading may take
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_memory)]
    memory_bytes: usize,
}

impl Recover {
    pub(super) fn run(&self) -> Result<Ending> {
        let open = |path: &str| -> Result<Arc<dyn Input>> {
            let (storage, name) = Local::file(std::path::Path::new(path))?;
            storage.open(&name).map_err(|e| e.in_file(path))
        };
        let input = open(&self.file)?;
        let options = ReaderOptions::default().with_memory_bytes(self.memory_bytes);
        let (metadata, end, fits_too) = match (&self.token, &self.like, &self.schema) {
            (Some(path), ..) => {
                let token = open(path)?;
                let token = PauseToken::from_bytes(&token.read(0..token.bytes())?).map_err(|e| e.in_file(path))?;
                (token.metadata().clone(), token.bytes(), None)
            }
            (None, Some(path), _) => {
                let Place::Parquet(sibling) = formats::place(path)? else {
                    return Err(Error::invalid("is no Parquet file").in_file(path));
                };
                let like = WrittenLike::file(&FileReader::open(sibling, options.clone())?)?;
                let found = recover(&input, &like, &options)?;
                (found.metadata, found.end, found.fits_too)
            }
            (None, None, Some(path)) => {
                let schema = written_schema::read(path)?;
                let like = WrittenLike::schema(&schema, self.compression, self.row_group_rows)?;
                let found = recover(&input, &like, &options)?;
                (found.metadata, found.end, found.fits_too)
            }
            (None, None, None) => return Err(Error::invalid("--like, --schema or --token is needed")),
        };
        if metadata.row_groups.is_empty() {
            return Err(Error::corrupt("no complete row group was found").in_file(&self.file));
        }
        let (storage, name) = formats::parquet_output(&self.to)?;
        let saved = rebuild(&input, metadata, end, storage.create(&name)?)?;
        writeln!(
            io::stdout(),
            "{} in {} written to {}, {}; {} behind them are lost",
            of(u64::try_from(saved.metadata.num_rows).unwrap_or(0), "row", "rows"),
            of(saved.metadata.row_groups.len() as u64, "row group", "row groups"),
            self.to,
            bytes(saved.bytes),
            bytes(input.bytes().saturating_sub(end))
        )?;
        if let Some(rows) = fits_too {
            writeln!(
                io::stderr(),
                "the pages would fit row groups of {} as well, with other values in each column: look whether the columns have \
                 their own{}",
                of(rows as u64, "row", "rows"),
                if self.schema.is_some() { ", or be sure of --row-group-rows" } else { "" }
            )?;
        }
        Ok(Ending::Done)
    }
}
