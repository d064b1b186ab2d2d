//! `hypostyle merge`: Parquet files of one schema become one, row group by row group, without being decoded.

use std::io::{self, Write};

use clap::Args;

use super::formats::{self, Place};
use super::quantities::{bytes, of, parse_memory};
use super::{Ending, say};
use crate::error::{Error, Result};
use crate::parquet::splice::{MergeOptions, merge};
use crate::storage::Storage;

/// Copy the row groups of Parquet files into one file
///
/// The files must have the same columns. Their pages, page indexes and Bloom filters are copied as they are, which takes
/// little memory and no time for decoding; `convert` makes larger row groups of small ones. OUT appears whole or not at
/// all, replaces a file that is there, and may be one of the files itself.
#[derive(Debug, Args)]
pub(super) struct Merge {
    /// The file to write: .parquet
    #[arg(value_name = "OUT")]
    to: String,
    /// The Parquet files, in the order of their rows
    #[arg(value_name = "FILE", required = true)]
    files: Vec<String>,
    /// Memory that the metadata of a file may take
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_memory)]
    memory_bytes: usize,
}

impl Merge {
    pub(super) fn run(&self) -> Result<Ending> {
        let mut inputs = Vec::with_capacity(self.files.len());
        for path in &self.files {
            let Place::Parquet(input) = formats::place(path)? else {
                return Err(Error::invalid("only Parquet files can be merged; convert it first").in_file(path));
            };
            inputs.push(input);
        }
        let (storage, name) = formats::parquet_output(&self.to)?;
        let merged =
            merge(&inputs, storage.create(&name)?, &MergeOptions::default().with_memory_bytes(self.memory_bytes))?;
        for key in &merged.left_out {
            say(format_args!("left out: the metadata {key}, of which the files say different things"));
        }
        writeln!(
            io::stdout(),
            "{} of {} in {} written to {}, {}",
            of(u64::try_from(merged.metadata.num_rows).unwrap_or(0), "row", "rows"),
            of(self.files.len() as u64, "file", "files"),
            of(merged.metadata.row_groups.len() as u64, "row group", "row groups"),
            self.to,
            bytes(merged.bytes)
        )?;
        Ok(Ending::Done)
    }
}
