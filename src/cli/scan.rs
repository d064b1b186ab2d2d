//! `hypostyle scan`: rows of a table or file, as an aligned table.

use std::io::{self, BufWriter, Write};

use clap::Args;

use super::display::TablePrinter;
use super::explain::{self, Explained};
use super::formats;
use super::quantities::of;
use super::selection::Selection;
use super::{Ending, interrupt, say};
use crate::error::Result;

/// Print rows of a table or file
///
/// Prints the rows as an aligned table with the columns' types, and says on standard error how much was read and how much
/// could be skipped. Values longer than 64 characters are cut; `convert` writes them whole.
#[derive(Debug, Args)]
pub(super) struct Scan {
    /// A table's folder, or a file: .parquet, .arrow, .ndjson, .csv
    #[arg(value_name = "TABLE|FILE")]
    from: String,
    #[command(flatten)]
    selection: Selection,
    /// Print only how many rows there are
    #[arg(long)]
    count: bool,
    /// Print what is left out of the reading and why, instead of rows
    #[arg(long, conflicts_with = "count")]
    explain: bool,
    /// With --explain: as one JSON document, with the counts
    #[arg(long, requires = "explain")]
    json: bool,
}

impl Scan {
    pub(super) fn run(&self) -> Result<Ending> {
        let mut request = self.selection.request()?;
        if self.count && request.columns.is_none() {
            // The columns of the condition are read, the others need not be.
            request.columns = Some(Vec::new());
        }
        let explained = match self.explain {
            true => Some(Explained::new(&self.from, self.selection.request()?)?),
            false => None,
        };
        let mut rows = formats::open(&self.from, request)?;
        let mut out = BufWriter::new(io::stdout().lock());
        if let Some(explained) = explained.as_ref().filter(|_| !self.json) {
            explained.print(&self.from, &mut out)?;
        }
        let mut returned = 0;
        let mut ending = Ending::Done;
        let mut printer = (!self.count && !self.explain).then(|| TablePrinter::new(&mut out, rows.schema().clone()));
        for batch in rows.by_ref() {
            let batch = batch?;
            returned += batch.num_rows() as u64;
            if let Some(printer) = &mut printer {
                printer.write(&batch)?;
            }
            if interrupt::is_set() {
                ending = Ending::Interrupted;
                break;
            }
        }
        match printer {
            Some(printer) => printer.finish()?,
            None if self.count && ending == Ending::Done => writeln!(out, "{returned}")?,
            None => {}
        }
        if let Some(columns) = rows.column_counts().filter(|_| self.explain && !self.json) {
            explain::columns(&columns, &mut out)?;
        }
        if let Some(explained) = explained.filter(|_| self.json) {
            let json = explained.json(rows.scan_counts().as_ref(), &rows.column_counts().unwrap_or_default());
            let text = serde_json::to_string_pretty(&json).map_err(io::Error::from)?;
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        match rows.counts() {
            Some(counts) => say(format_args!("{}; {counts}", of(returned, "row", "rows"))),
            None => say(format_args!("{}", of(returned, "row", "rows"))),
        }
        Ok(ending)
    }
}
