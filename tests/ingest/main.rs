//! Log → table, exactly once, by event time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod bad_records;
mod crashes;
#[path = "../folder/mod.rs"]
mod folder;
mod options;
mod read_back;
mod streams;
mod windows;
