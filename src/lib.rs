//! Hypostyle: an embedded storage engine. Streams go in exactly once, Parquet tables by event time come out.

pub mod cursor;
pub mod error;
pub mod ingest;
pub mod log;
pub mod parquet;
pub mod predicate;
pub mod storage;
pub mod table;

#[cfg(feature = "cli")]
pub mod cli;

pub use error::{Error, Result};
