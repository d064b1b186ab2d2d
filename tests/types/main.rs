//! Types both ways: what Arrow has goes into a file and comes back, what only Parquet has keeps its annotation, and
//! what is not known harms no column but its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod extensions;
mod file;
mod floats;
mod layouts;
mod temporal;
mod unknown;
