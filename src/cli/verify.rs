//! `hypostyle verify`: a file or table, read and checked whole.

use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::sync::Arc;

use clap::Args;

use super::formats::{self, Place};
use super::keys::Keys;
use super::quantities::{bytes, of, parse_memory};
use super::{Ending, interrupt};
use crate::error::{Error, Result};
use crate::parquet::read::{FileReader, Harm, ReaderOptions, Verification};
use crate::parquet::splice::salvage;
use crate::storage::{Input, Storage};
use crate::table::Table;

/// Read and check all of a Parquet file or table
///
/// Every page is read and decoded, and what the metadata says of it is compared: checksums, counts, sizes, statistics, page
/// index, Bloom filters, sorting; of a table, the log with its files, too. Each fault is a line with its place, and the end says
/// which rows can be read. The exit code is 1 where anything is wrong.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A Parquet file, or a table's folder
    #[arg(value_name = "FILE|TABLE")]
    path: String,
    /// Copy the row groups of a file whose rows can all be read into this one, and of their bounds and indexes those that are
    /// right
    #[arg(long, value_name = "OUT")]
    salvage: Option<String>,
    /// Memory to use at most
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_memory)]
    memory_bytes: usize,
    #[command(flatten)]
    keys: Keys,
}

impl Verify {
    pub(super) fn run(&self) -> Result<Ending> {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut reader = ReaderOptions::default().with_memory_bytes(self.memory_bytes);
        reader.decryption = self.keys.read()?;
        let ending = match formats::place(&self.path)? {
            Place::Parquet(input) => self.file(&input, reader, &mut out)?,
            Place::Table(_) if self.salvage.is_some() => {
                return Err(Error::invalid("is a table: salvage its files one by one").in_file(&self.path));
            }
            Place::Table(storage) => table(storage, &reader, &mut out)?,
            _ => return Err(Error::invalid("is neither a Parquet file nor a table").in_file(&self.path)),
        };
        out.flush()?;
        Ok(ending)
    }

    fn file(&self, input: &Arc<dyn Input>, reader: ReaderOptions, out: &mut impl Write) -> Result<Ending> {
        let file = FileReader::open(Arc::clone(input), reader)?;
        let found = file.verify();
        report(&file, &found, out)?;
        if let Some(to) = &self.salvage {
            let groups = found.whole_groups();
            let (storage, name) = formats::parquet_output(to)?;
            let keeps = |group, column| found.can_prune(group, column);
            let salvaged = salvage(input, &groups, &keeps, storage.create(&name)?)?;
            writeln!(
                out,
                "{} in {} written to {to}, {}",
                of(u64::try_from(salvaged.metadata.num_rows).unwrap_or(0), "row", "rows"),
                of(groups.len() as u64, "row group", "row groups"),
                bytes(salvaged.bytes)
            )?;
        }
        Ok(if found.is_sound() { Ending::Done } else { Ending::Failed })
    }
}

/// A line a finding, then what can be read.
fn report(file: &FileReader, found: &Verification, out: &mut impl Write) -> Result<()> {
    for finding in &found.findings {
        let harm = match finding.harm {
            Harm::Unchecked => "not checked",
            Harm::Rows => "broken rows",
            Harm::Pruning => "wrong bounds",
            Harm::Counts => "wrong counts",
        };
        let group = finding.row_group.map_or(String::new(), |group| format!(" in row group {group}"));
        writeln!(out, "{harm}{group}: {}", finding.error)?;
    }
    let name = file.name();
    let safe = found.safe_rows();
    let rows = safe.iter().map(|range| range.end - range.start).sum::<u64>();
    if found.is_sound() {
        writeln!(
            out,
            "{name}: sound, {} in {} and {}",
            of(rows, "row", "rows"),
            of(found.groups.len() as u64, "row group", "row groups"),
            of(found.pages, "page", "pages")
        )?;
    } else {
        writeln!(
            out,
            "{name}: {}; {} of {} can be read{}",
            of(found.findings.len() as u64, "fault", "faults"),
            rows,
            of(file.rows(), "row", "rows"),
            if rows > 0 && rows < file.rows() { format!(": {}", ranges(&safe)) } else { String::new() }
        )?;
        if found.findings.iter().any(|f| f.harm == Harm::Pruning) {
            writeln!(out, "{name}: a condition may miss rows, since bounds are wrong; salvage or convert it")?;
        }
    }
    Ok(())
}

/// Row numbers from 0, both ends among them.
fn ranges(rows: &[Range<u64>]) -> String {
    let one = |range: &Range<u64>| format!("{} to {}", range.start, range.end.saturating_sub(1));
    rows.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Every live file of the table, and whether the log is right about it.
fn table(storage: Arc<dyn Storage>, reader: &ReaderOptions, out: &mut impl Write) -> Result<Ending> {
    let table = Table::open(Arc::clone(&storage))?;
    let (mut broken, mut rows, mut files) = (0u64, 0u64, 0u64);
    for file in table.verify(reader)? {
        let file = file?;
        files += 1;
        rows += file.rows;
        broken += u64::from(!file.is_sound());
        for fault in &file.faults {
            writeln!(out, "{fault}")?;
        }
        if let Some((reader, found)) = file.found.as_ref().filter(|(_, found)| !found.is_sound()) {
            report(reader, found, out)?;
        }
        if interrupt::is_set() {
            return Ok(Ending::Interrupted);
        }
    }
    let version = table.snapshot().version;
    match broken {
        0 => writeln!(
            out,
            "{}: version {version} is sound, {} in {}",
            storage.name(),
            of(rows, "row", "rows"),
            of(files, "file", "files")
        )?,
        _ => writeln!(
            out,
            "{}: version {version} has faults in {broken} of {}",
            storage.name(),
            of(files, "file", "files")
        )?,
    }
    Ok(if broken == 0 { Ending::Done } else { Ending::Failed })
}
