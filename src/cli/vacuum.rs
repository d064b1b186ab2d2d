//! `hypostyle vacuum`: files that a table needs no more are removed.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::Ending;
use super::quantities::{bytes, of, parse_duration};
use crate::error::Result;
use crate::storage::Local;
use crate::table::{Table, VacuumOptions};

/// Remove files that a table needs no more
///
/// That is what interrupted runs left behind, and data files that a commit has removed from the table. Files of the live
/// table, and files that are nobody's of this program, stay.
#[derive(Debug, Args)]
pub(super) struct Vacuum {
    /// A table's folder
    table: String,
    /// Only files that were last changed, and removed from the table, at least so long ago; longer than any writer or reader
    /// takes
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = parse_duration)]
    older_than: Duration,
    /// Only print what would be removed
    #[arg(long)]
    dry_run: bool,
}

impl Vacuum {
    pub(super) fn run(&self) -> Result<Ending> {
        let mut table = Table::open(Arc::new(Local::new(&self.table)?))?;
        let report = table.vacuum(&VacuumOptions { older_than: self.older_than, dry_run: self.dry_run })?;
        let mut out = BufWriter::new(io::stdout().lock());
        let verb = if self.dry_run { "would remove" } else { "removed" };
        for entry in &report.removed {
            writeln!(out, "{verb} {} ({})", entry.path, bytes(entry.bytes))?;
        }
        for entry in &report.kept_foreign {
            writeln!(out, "kept {} ({}), which is no file of the table", entry.path, bytes(entry.bytes))?;
        }
        writeln!(
            out,
            "{verb} {}, {}; kept {} of the table, and {} too young to go",
            of(report.removed.len() as u64, "file", "files"),
            bytes(report.removed_bytes()),
            of(report.live, "file", "files"),
            report.kept_young.len()
        )?;
        out.flush()?;
        Ok(Ending::Done)
    }
}
