//! `hypostyle scan`: rows of a table or file, as an aligned table.

use std::io::{self, BufWriter, Write};

use clap::Args;

use super::display::TablePrinter;
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
}

impl Scan {
    pub(super) fn run(&self) -> Result<Ending> {
        let mut request = self.selection.request()?;
        if self.count && request.columns.is_none() {
            // The columns of the condition are read, the others need not be.
            request.columns = Some(Vec::new());
        }
        let mut rows = formats::open(&self.from, request)?;
        let mut out = BufWriter::new(io::stdout().lock());
        let mut returned = 0;
        let mut ending = Ending::Done;
        let mut printer = (!self.count).then(|| TablePrinter::new(&mut out, rows.schema().clone()));
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
            None if ending == Ending::Done => writeln!(out, "{returned}")?,
            None => {}
        }
        out.flush()?;
        match rows.counts() {
            Some(counts) => say(format_args!("{}; {counts}", of(returned, "row", "rows"))),
            None => say(format_args!("{}", of(returned, "row", "rows"))),
        }
        Ok(ending)
    }
}
