//! Merged and appended files: the same rows, indexes and filters that are right in their new place, and nothing else when
//! a file cannot be moved.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod append;
mod file;
#[path = "../generate/mod.rs"]
mod generate;
mod merge;
mod refuse;
