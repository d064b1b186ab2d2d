//! `hypostyle sql`: a query over tables and Parquet files, answered by DataFusion.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use datafusion::common::TableReference;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::StreamExt;

use super::display::TablePrinter;
use super::formats::{self, Place, RowWriter};
use super::keys::Keys;
use super::quantities::{bytes, of, parse_memory};
use super::{Ending, interrupt, say};
use crate::MemoryBudget;
use crate::datafusion::Provider;
use crate::error::{Error, Result};
use crate::parquet::read::ReaderOptions;
use crate::parquet::write::WriterOptions;
use crate::storage::Input;
use crate::table::Table;

/// Answer a query over tables and Parquet files
///
/// Each TABLE or FILE is a table of the query, by the last part of its path without its ending (flights for
/// /tmp/flights and for flights.parquet), or by another name with NAME= in front; Parquet files of one name are one table.
/// A name with other signs than lower-case letters, digits and _ stands in double quotes in the query. EXPLAIN in front of
/// it tells how it is answered, EXPLAIN ANALYZE also what was read.
#[derive(Debug, Args)]
pub(super) struct Sql {
    /// A table's folder or a Parquet file, with NAME= in front if it is to be called so
    #[arg(value_name = "TABLE|FILE", required = true)]
    from: Vec<String>,
    /// The query, such as "select carrier, count(*) from flights group by carrier"
    #[arg(value_name = "QUERY")]
    query: String,
    /// Write the rows to this file (or table) instead of printing them: .parquet, .arrow, .ndjson, .csv
    #[arg(long, value_name = "FILE")]
    output: Option<String>,
    /// Threads that read and work [default: as many as there are processors]
    #[arg(long, value_name = "NUMBER")]
    threads: Option<usize>,
    /// Memory that the query may take: one half is to read with, one half for sorts, joins and aggregates, which go to
    /// temporary files beyond it
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_memory)]
    memory_bytes: usize,
    #[command(flatten)]
    keys: Keys,
}

impl Sql {
    pub(super) fn run(&self) -> Result<Ending> {
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let threads = threads.unwrap_or(1).max(1);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build()?;
        let ended = runtime.block_on(self.answer(threads));
        // Threads that still read for a query that was interrupted are not waited for.
        runtime.shutdown_background();
        ended
    }

    async fn answer(&self, threads: usize) -> Result<Ending> {
        let context = self.context(threads)?;
        let mut rows = rows(&context, &self.query).await?;
        let mut out = match &self.output {
            Some(path) => Out::File(path, Box::new(RowWriter::create(path, rows.schema(), WriterOptions::default())?)),
            None => Out::Screen(TablePrinter::new(BufWriter::new(io::stdout().lock()), rows.schema())),
        };
        let mut returned = 0u64;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            returned += batch.num_rows() as u64;
            match &mut out {
                Out::File(_, writer) => writer.write(&batch)?,
                Out::Screen(printer) => printer.write(&batch)?,
            }
            if interrupt::is_set() {
                return Ok(Ending::Interrupted);
            }
        }
        let returned = of(returned, "row", "rows");
        match out {
            Out::File(path, writer) => say(format_args!("{path}: {returned}, {}", bytes(writer.finish()?))),
            Out::Screen(printer) => {
                printer.finish()?;
                say(format_args!("{returned}"));
            }
        }
        Ok(Ending::Done)
    }

    /// A session that has the tables.
    fn context(&self, threads: usize) -> Result<SessionContext> {
        let half = self.memory_bytes / 2;
        let pool = Arc::new(FairSpillPool::new(half));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?;
        let config = SessionConfig::new().with_target_partitions(threads).with_information_schema(true);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let mut reader = ReaderOptions::default().with_memory_bytes(half).with_memory(MemoryBudget::new(half));
        reader.decryption = self.keys.read()?;
        for (name, paths) in named(&self.from) {
            let provider = provider(&paths, &reader)?;
            context.register_table(TableReference::bare(name), Arc::new(provider))?;
        }
        Ok(context)
    }
}

enum Out<'a, W: Write> {
    File(&'a str, Box<RowWriter>),
    Screen(TablePrinter<W>),
}

async fn rows(context: &SessionContext, query: &str) -> DataFusionResult<SendableRecordBatchStream> {
    // Nothing but queries: tables are written by `ingest`, files by --output.
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    context.sql_with_options(query, options).await?.execute_stream().await
}

/// The tables by name, in the order in which they were named first.
fn named(from: &[String]) -> Vec<(String, Vec<&str>)> {
    let mut tables: Vec<(String, Vec<&str>)> = Vec::new();
    for text in from {
        // A path that is there is one, whatever signs it has.
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains('/') && !Path::new(text).exists() => {
                (name.to_owned(), path)
            }
            _ => (name_of(text), text.as_str()),
        };
        match tables.iter_mut().find(|(other, _)| *other == name) {
            Some((_, paths)) => paths.push(path),
            None => tables.push((name, vec![path])),
        }
    }
    tables
}

/// The last part of a path, without its ending.
fn name_of(path: &str) -> String {
    let here = Path::new(path);
    let full = here.canonicalize().ok();
    // Of `.` the folder's name.
    let last = here.file_name().or_else(|| full.as_deref().and_then(Path::file_name));
    let name = last.map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned());
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && matches!(ending, "parquet" | "parq" | "pq") => stem.to_owned(),
        _ => name,
    }
}

fn provider(paths: &[&str], reader: &ReaderOptions) -> Result<Provider> {
    let mut inputs: Vec<Arc<dyn Input>> = Vec::new();
    for path in paths {
        match formats::place(path)? {
            Place::Parquet(input) => inputs.push(input),
            Place::Table(storage) if paths.len() == 1 => return Provider::table(Table::open(storage)?, reader.clone()),
            Place::Table(_) => {
                let message = "is a table, and another one has its name: give one a name of its own, as in other=PATH";
                return Err(Error::invalid(message).in_file(*path));
            }
            _ => {
                let message = "is no table and no Parquet file; `hypostyle convert` makes one of it";
                return Err(Error::invalid(message).in_file(*path));
            }
        }
    }
    Provider::files(inputs, reader.clone().with_views(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_by_their_paths() {
        let from = ["/tmp/flights", "a/b.parquet", "x=c.parquet", "x=d.pq", "f.csv", "="].map(str::to_owned);
        let expected: [(&str, &[&str]); 5] = [
            ("flights", &["/tmp/flights"]),
            ("b", &["a/b.parquet"]),
            ("x", &["c.parquet", "d.pq"]),
            ("f.csv", &["f.csv"]),
            ("=", &["="]),
        ];
        let found = named(&from);
        let found: Vec<(&str, &[&str])> = found.iter().map(|(name, paths)| (name.as_str(), paths.as_slice())).collect();
        assert_eq!(found, expected);
    }
}
