//! SQL with joins and aggregates over files and tables, by Apache DataFusion (feature `datafusion`).
//!
//! ```text
//! SQL ─> DataFusion ─ columns, filters, limit ─> Provider ─ predicate ─> parquet::read, table::scan ─> batches ─> DataFusion
//! ```
//!
//! A [`Provider`] is a table of DataFusion's: one Parquet file, several, or a table. DataFusion asks it for columns, with
//! filters and a limit, in parts that are read at the same time; what it asks for is read as a scan of this crate reads it.
//!
//! ```
//! # use std::sync::Arc;
//! # use datafusion::prelude::SessionContext;
//! # use hypostyle::datafusion::Provider;
//! # use hypostyle::table::Table;
//! # async fn example(flights: Table) -> datafusion::error::Result<()> {
//! let context = SessionContext::new();
//! context.register_table("flights", Arc::new(Provider::table(flights, Default::default())?))?;
//! let busy = context.sql("select carrier, count(*) from flights where dep_delay > 60 group by carrier").await?;
//! println!("{} rows", busy.count().await?);
//! # Ok(())
//! # }
//! ```
//!
//! # What is handed down
//! - A filter is evaluated here if its meaning here is the one that it has there ([`Provider`] has the list); others are
//!   DataFusion's, above the scan. `EXPLAIN` tells which: those of a scan stand in its line as `predicate`.
//! - A limit, if all filters are evaluated here.
//! - Counts of rows and NULLs, least and greatest values, where the log or the footers have them; as exact where they are
//!   (then `select count(*), max(x)` reads no page), else as an estimate.
//! - `EXPLAIN ANALYZE` counts the row groups and pages that were read and passed over, and the bytes.

mod error;
mod exec;
mod filter;
mod provider;
mod share;
mod source;
mod statistics;

pub use provider::Provider;
