//! `hypostyle audit`: do a table's books add up?

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use clap::Args;

use super::Ending;
use super::ingest::dead_letters_of;
use super::quantities::{count, of};
use crate::error::Result;
use crate::ingest::{AuditReport, audit};
use crate::storage::{Local, Storage};

/// Prove that the books of a table's sinks add up
///
/// Of every record that was consumed, the books say whether it was written, dead-lettered, dropped or is still to come; this
/// compares them with the rows of the table's files and of its dead letters. The exit code is 1 when they do not agree.
#[derive(Debug, Args)]
pub(super) struct Audit {
    /// A table's folder
    table: String,
    /// Where its dead letters are, if not beside it
    #[arg(long, value_name = "FOLDER")]
    dead_letters: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(super) fn run(&self) -> Result<Ending> {
        let table: Arc<dyn Storage> = Arc::new(Local::new(&self.table)?);
        let dead_letters = self.dead_letters.clone().unwrap_or_else(|| dead_letters_of(&self.table));
        let dead_letters: Arc<dyn Storage> = Arc::new(Local::new(dead_letters)?);
        let report = audit(&table, &dead_letters)?;
        let mut out = BufWriter::new(io::stdout().lock());
        if self.json {
            let json = serde_json::to_string(&report).map_err(io::Error::from)?;
            writeln!(out, "{json}")?;
        } else {
            print(&report, &mut out)?;
        }
        out.flush()?;
        Ok(if report.faults.is_empty() { Ending::Done } else { Ending::Failed })
    }
}

fn print(report: &AuditReport, out: &mut impl Write) -> Result<()> {
    writeln!(out, "version {}, {}", report.version, of(report.sinks.len() as u64, "sink", "sinks"))?;
    for sink in &report.sinks {
        writeln!(
            out,
            "sink {}: {} in {}, {}",
            sink.sink,
            of(sink.rows_in_files, "row", "rows"),
            of(sink.files, "file", "files"),
            of(sink.dead_letters, "dead letter", "dead letters")
        )?;
        for p in &sink.partitions {
            writeln!(
                out,
                "  {}: {} up to position {} = {} written + {} dead-lettered + {} dropped + {} pending; resumes at {}",
                p.partition,
                of(p.records, "record", "records"),
                p.position,
                count(p.written),
                count(p.dead_lettered),
                count(p.dropped),
                count(p.pending),
                p.resume
            )?;
        }
    }
    for fault in &report.faults {
        writeln!(out, "fault: {fault}")?;
    }
    let verdict = if report.faults.is_empty() { "the books add up" } else { "the books do NOT add up" };
    writeln!(out, "{verdict}")?;
    Ok(())
}
