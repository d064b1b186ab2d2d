//! Log → table, exactly once, by event time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

mod audit;
mod infer;
mod options;
mod rows;
pub mod schema;
mod state;
mod summary;
mod time;

pub use audit::{AuditReport, PartitionAudit, SinkAudit, audit};
pub use options::{IngestOptions, OnBad, UnknownFields};
pub use schema::{FieldType, RowField, RowSchema};
pub use summary::{IncompleteTail, Progress, Summary};

use crate::error::{Error, Result};
use crate::log::Log;
use crate::storage::Storage;

/// Reads a log into a table.
pub struct Ingest {}

impl Ingest {
    /// Opens the table (made if it is not there), takes up its state and checks the log against it.
    /// `dead_letters` is the folder of the table of bad records, made when there is one.
    pub fn new(
        log: Box<dyn Log>,
        table: Arc<dyn Storage>,
        dead_letters: Arc<dyn Storage>,
        options: IngestOptions,
    ) -> Result<Ingest> {
        let _ = (log, table, dead_letters, options.lateness_us());
        options.check()?;
        Err(Error::unsupported("no ingest yet"))
    }

    /// Reads to the end of the log, or until `stop`; all that was read is committed then.
    pub fn run(&mut self, stop: &AtomicBool, progress: &mut dyn FnMut(&Progress)) -> Result<Summary> {
        let _ = (stop, progress);
        Err(Error::unsupported("no ingest yet"))
    }
}
