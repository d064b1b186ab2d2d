//! `hypostyle compact`: small files of a table become files of a good size.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use clap::Args;

use super::convert::Parquet;
use super::quantities::{bytes, of, parse_bytes, parse_memory};
use super::{Ending, interrupt};
use crate::error::Result;
use crate::storage::Local;
use crate::table::{CompactOptions, CompactedGroup, Table};

/// Make few files of many small ones
///
/// Small files of a partition become files of a good size, with the same rows in the same order, file after file. Whoever reads
/// or writes the table meanwhile is not disturbed; the old files stay until `vacuum` removes them. Ctrl-C keeps what is finished.
#[derive(Debug, Args)]
pub(super) struct Compact {
    /// A table's folder
    table: String,
    /// Bytes of the files that become one, at most
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = parse_bytes)]
    target_file_bytes: u64,
    /// Only files smaller than this [default: half of --target-file-bytes]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    small_file_bytes: Option<u64>,
    /// Only where so many files become one, at least
    #[arg(long, value_name = "FILES", default_value_t = 2)]
    min_files: usize,
    /// Memory that reading and writing may take
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_memory)]
    memory_bytes: usize,
    /// Only print what would be compacted
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    parquet: Parquet,
}

impl Compact {
    pub(super) fn run(&self) -> Result<Ending> {
        let mut table = Table::open(Arc::new(Local::new(&self.table)?))?;
        let options = CompactOptions {
            target_file_bytes: self.target_file_bytes,
            small_file_bytes: self.small_file_bytes,
            files_min: self.min_files,
            memory_bytes: self.memory_bytes,
            dry_run: self.dry_run,
            writer: self.parquet.options(),
            ..CompactOptions::default()
        };
        let report = table.compact(&options, interrupt::flag())?;
        let mut out = BufWriter::new(io::stdout().lock());
        for group in report.groups.iter().filter(|_| self.dry_run) {
            writeln!(out, "would compact {} of {}", described(group), partition(group))?;
        }
        let before = of(report.files_before(), "file", "files");
        let after = report.groups.len() as u64;
        if self.dry_run {
            let size = bytes(report.bytes_before());
            writeln!(out, "would make {} of {before}, {size}", of(after, "file", "files"))?;
        } else {
            writeln!(
                out,
                "compacted {before}, {}, to {}, {}; {}, version {}; `vacuum` removes the old ones in time",
                bytes(report.bytes_before()),
                report.groups.iter().filter(|group| group.written.is_some()).count(),
                bytes(report.bytes_after()),
                of(report.commits, "commit", "commits"),
                report.version
            )?;
        }
        if report.lost > 0 {
            let groups = of(report.lost, "group of files was", "groups of files were");
            writeln!(out, "{groups} left, because another writer has removed some of them")?;
        }
        out.flush()?;
        Ok(if report.stopped { Ending::Interrupted } else { Ending::Done })
    }
}

fn described(group: &CompactedGroup) -> String {
    let rows = group.rows.map_or(String::new(), |rows| format!(", {}", of(rows, "row", "rows")));
    format!("{}, {}{rows}", of(group.files.len() as u64, "file", "files"), bytes(group.bytes))
}

fn partition(group: &CompactedGroup) -> String {
    if group.partition_values.is_empty() {
        return "the table".to_owned();
    }
    let value =
        |(column, value): (&String, &Option<String>)| format!("{column}={}", value.as_deref().unwrap_or("null"));
    group.partition_values.iter().map(value).collect::<Vec<_>>().join("/")
}
