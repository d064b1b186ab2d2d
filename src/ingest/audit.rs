//! Proof that the books of a table's sinks add up.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::dead::{DOMAIN_PREFIX, DeadState, domain};
use super::sink::SINK_TAG;
use super::state::PartitionState;
use crate::error::Result;
use crate::storage::Storage;
use crate::table::{Snapshot, Table};

/// What [`audit`] found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuditReport {
    /// The table's version.
    pub version: u64,
    /// Its sinks, by name.
    pub sinks: Vec<SinkAudit>,
    /// What does not add up, a line each; none if all does.
    pub faults: Vec<String>,
}

/// The books of one sink.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SinkAudit {
    /// The sink's name.
    pub sink: String,
    /// Rows in the live files that it wrote.
    pub rows_in_files: u64,
    /// Live files that it wrote.
    pub files: u64,
    /// Rows in its dead letters.
    pub dead_letters: u64,
    /// The books of each source partition.
    pub partitions: Vec<PartitionAudit>,
}

/// The books of one source partition: `records == written + dead_lettered + dropped + pending`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PartitionAudit {
    /// The partition.
    pub partition: String,
    /// The next offset to read.
    pub position: u64,
    /// Records before it.
    pub records: u64,
    /// Of those, rows in the table.
    pub written: u64,
    /// Of those, dead letters.
    pub dead_lettered: u64,
    /// Of those, dropped by rule.
    pub dropped: u64,
    /// Of those, not yet committed: they will be read again.
    pub pending: u64,
    /// Where reading goes on after a restart.
    pub resume: u64,
}

/// Checks the books of every sink of a table against its files and its dead letters, as their logs have them: no data
/// file is read. It holds as long as nothing but the sinks (and what keeps their tags) has changed the sinks' files.
pub fn audit(table: &Arc<dyn Storage>, dead_letters: &Arc<dyn Storage>) -> Result<AuditReport> {
    let table = Table::open(Arc::clone(table))?;
    let dead = Table::open_if_exists(Arc::clone(dead_letters))?;
    let mut faults = Vec::new();
    let mut sinks: BTreeMap<String, SinkAudit> = BTreeMap::new();
    for (name, json) in &table.snapshot().domains {
        // A sink's name has no dot, so the first one ends it.
        let Some((sink, partition)) = name.strip_prefix(DOMAIN_PREFIX).and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        let of =
            sinks.entry(sink.to_owned()).or_insert_with(|| SinkAudit { sink: sink.to_owned(), ..SinkAudit::default() });
        match PartitionState::from_json(json) {
            Ok(state) => of.partitions.push(partition_audit(partition, &state)),
            Err(e) => faults.push(format!("sink {sink}, partition {partition}: {}", e.message())),
        }
    }
    for of in sinks.values_mut() {
        (of.files, of.rows_in_files) = tagged(table.snapshot(), &of.sink, &mut faults);
        let written = of.partitions.iter().fold(0_u64, |sum, p| sum.saturating_add(p.written));
        if written != of.rows_in_files {
            faults.push(format!(
                "sink {}: the books have {written} rows written, its {} files have {}",
                of.sink, of.files, of.rows_in_files
            ));
        }
        audit_dead(of, dead.as_ref(), &mut faults);
    }
    Ok(AuditReport { version: table.snapshot().version, sinks: sinks.into_values().collect(), faults })
}

/// The dead letters of a sink against its books.
fn audit_dead(of: &mut SinkAudit, dead: Option<&Table>, faults: &mut Vec<String>) {
    let sink = &of.sink;
    let states = dead.map(|dead| &dead.snapshot().domains);
    if let Some(dead) = dead {
        (_, of.dead_letters) = tagged(dead.snapshot(), sink, faults);
    }
    let mut counted = 0_u64;
    for partition in &of.partitions {
        let place = format!("sink {sink}, partition {}", partition.partition);
        let state = states.and_then(|states| states.get(&domain(sink, &partition.partition)));
        let state = match state.map(|json| DeadState::from_json(json)).transpose() {
            Ok(state) => state,
            Err(e) => {
                faults.push(format!("{place}: {}", e.message()));
                continue;
            }
        };
        let (rows, position) = state.map_or((0, 0), |state| (state.rows, state.position.0));
        counted = counted.saturating_add(rows);
        // A crash between the two commits leaves more dead letters than the books have, until the next run.
        let is_ahead = position > partition.position;
        if rows < partition.dead_lettered || (rows > partition.dead_lettered && !is_ahead) {
            faults.push(format!(
                "{place}: the books have {} dead letters, their table has {rows}",
                partition.dead_lettered
            ));
        }
    }
    // Those of partitions that the books do not have yet are in the files as well.
    let prefix = domain(sink, "");
    for (name, json) in states.into_iter().flatten() {
        let Some(partition) = name.strip_prefix(&prefix) else { continue };
        if of.partitions.iter().all(|known| known.partition != partition) {
            counted = counted.saturating_add(DeadState::from_json(json).map_or(0, |state| state.rows));
        }
    }
    if counted != of.dead_letters {
        faults.push(format!(
            "sink {sink}: the dead letters' state has {counted} of them, their files have {}",
            of.dead_letters
        ));
    }
}

fn partition_audit(partition: &str, state: &PartitionState) -> PartitionAudit {
    PartitionAudit {
        partition: partition.to_owned(),
        position: state.position.0,
        records: state.position_records,
        written: state.books.written,
        dead_lettered: state.books.dead_lettered,
        dropped: state.books.dropped,
        pending: state.books.pending,
        resume: state.resume.0,
    }
}

/// The live files of a sink, and their rows.
fn tagged(snapshot: &Snapshot, sink: &str, faults: &mut Vec<String>) -> (u64, u64) {
    let (mut files, mut rows) = (0, 0_u64);
    for file in snapshot.files.values().filter(|file| file.tags.get(SINK_TAG).is_some_and(|tag| tag == sink)) {
        files += 1;
        match file.rows() {
            Some(of) => rows = rows.saturating_add(of),
            None => faults.push(format!("sink {sink}: the table's log does not say how many rows {} has", file.path)),
        }
    }
    (files, rows)
}
