//! The `hypostyle` program: `ingest`, `scan`, `convert`, `merge`, `append`, `inspect`, `compact`, `vacuum`, `audit`, `verify`, `recover`, and with the
//! feature `datafusion` `sql`. Thin over the library.
//!
//! Results go to standard output, all else to standard error; an error is one line there, and the exit code says what became
//! of the work: 0 done, 1 failed, 2 not understood, 130 interrupted. Output that nobody reads any more (`| head`) ends the
//! program quietly.

mod append;
mod audit;
mod cells;
mod compact;
mod convert;
mod display;
mod explain;
mod formats;
mod ingest;
mod inspect;
mod interrupt;
mod keys;
mod merge;
mod nested;
mod panics;
mod progress;
mod quantities;
mod recover;
mod scan;
mod selection;
mod split;
#[cfg(feature = "datafusion")]
mod sql;
mod vacuum;
mod verify;
mod written_schema;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Streams go in exactly once, Parquet tables by event time come out.
#[derive(Debug, Parser)]
#[command(name = "hypostyle", version, propagate_version = true, max_term_width = 120)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ingest(Box<ingest::Ingest>),
    Scan(scan::Scan),
    #[cfg(feature = "datafusion")]
    Sql(sql::Sql),
    Convert(convert::Convert),
    Merge(merge::Merge),
    Append(append::Append),
    Inspect(inspect::Inspect),
    Compact(Box<compact::Compact>),
    Vacuum(vacuum::Vacuum),
    Audit(audit::Audit),
    Verify(verify::Verify),
    Recover(recover::Recover),
}

/// How a command's work ended, if not by an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    /// What was asked about is not as it should be; that has been said.
    Failed,
    /// By Ctrl-C, soundly.
    Interrupted,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let program = Program::parse();
    log_if_asked();
    interrupt::install();
    let ended = match program.command {
        Command::Ingest(ingest) => ingest.run(),
        Command::Scan(scan) => scan.run(),
        #[cfg(feature = "datafusion")]
        Command::Sql(sql) => sql.run(),
        Command::Convert(convert) => convert.run(),
        Command::Merge(merge) => merge.run(),
        Command::Append(append) => append.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Compact(compact) => compact.run(),
        Command::Vacuum(vacuum) => vacuum.run(),
        Command::Audit(audit) => audit.run(),
        Command::Verify(verify) => verify.run(),
        Command::Recover(recover) => recover.run(),
    };
    match ended {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Ok(Ending::Interrupted) => ExitCode::from(interrupt::EXIT_CODE),
        Err(e) if is_closed_output(&e) => ExitCode::SUCCESS,
        Err(e) => {
            say(format_args!("error: {}", one_line(&e)));
            ExitCode::FAILURE
        }
    }
}

/// A line on standard error; nothing can be done when that is closed.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn log_if_asked() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("HYPOSTYLE_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    }
}

/// Only standard output is written without a name.
fn is_stdout(e: &Error) -> bool {
    matches!(e, Error::Io(_)) && e.place().file.is_none()
}

fn is_closed_output(e: &Error) -> bool {
    let cause = std::error::Error::source(e).and_then(|s| s.downcast_ref::<io::Error>());
    is_stdout(e) && cause.is_some_and(|c| c.kind() == io::ErrorKind::BrokenPipe)
}

fn one_line(e: &Error) -> String {
    let place = if is_stdout(e) { "standard output: " } else { "" };
    let text = format!("{place}{e}");
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_line() {
        assert_eq!(one_line(&Error::invalid("a\n  b\r\nc").in_file("f")), "f: a b c");
        let full = Error::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(one_line(&full), "standard output: no storage space");
    }

    #[test]
    fn only_a_closed_standard_output_is_quiet() {
        let broken = || Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_closed_output(&broken()));
        assert!(!is_closed_output(&broken().in_file("x.parquet")));
        assert!(!is_closed_output(&Error::from(io::Error::from(io::ErrorKind::StorageFull))));
    }

    #[test]
    fn the_options_fit_together() {
        <Program as clap::CommandFactory>::command().debug_assert();
    }
}
