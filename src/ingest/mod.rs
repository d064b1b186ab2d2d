//! Log → table, exactly once, by event time.
//!
//! [`Ingest`] reads the partitions of a [`Log`](crate::log::Log), finds each record's window by its event time, and
//! writes it to the open file of that window. Files are closed when event time has passed their window, or by one of the
//! bounds in [`IngestOptions`], and committed to the table together with the state of the partitions they came from:
//! one atomic commit has both, so that after any crash reading goes on where the committed files end.
//!
//! ```text
//! log ── block of records ── decode ──┬── window 2013-01-01 ── file ──┐
//!        (by event time over          ├── window 2013-01-02 ── file ──┼── one commit: files + state
//!         all partitions)             └── bad ── dead letters ────────┘
//! ```
//!
//! What always holds, and what tests hold it to:
//! - A record is in one committed file exactly, or in the dead letters exactly once.
//! - What a record becomes (its row, its window, or a dead letter) depends on the record and the sink's rules alone.
//! - Memory is bounded by [`IngestOptions::memory_bytes`], however long a window is and however many there are.
//! - The books balance at each commit; [`audit()`] adds them up against the files.

mod audit;
mod dead;
mod encode;
pub(crate) mod infer;
mod options;
pub(crate) mod rows;
mod run;
pub mod schema;
mod setup;
mod sink;
mod state;
mod summary;
pub(crate) mod time;
mod window;

pub use audit::{AuditReport, PartitionAudit, SinkAudit, audit};
pub use options::{IngestOptions, OnBad, UnknownFields};
pub use run::Ingest;
pub use schema::{FieldType, RowField, RowSchema};
/// What a sink keeps of itself, from any text; for fuzzing.
pub(crate) fn check_state(text: &str) {
    if let Ok(state) = state::PartitionState::from_json(text) {
        let again = state.to_json().and_then(|text| state::PartitionState::from_json(&text));
        assert!(again.is_ok_and(|again| again == state));
    }
}

pub use summary::{IncompleteTail, Progress, Summary};
