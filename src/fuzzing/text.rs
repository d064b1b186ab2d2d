//! What comes as text: conditions, logs of tables, records, and what a sink keeps of itself.

use std::sync::Arc;

use crate::ingest;
use crate::log::{Log, NdjsonLog, NdjsonOptions, Poll, RecordSpan, Source};
use crate::predicate::sql;
use crate::storage::{Memory, Storage};
use crate::table::Table;

/// A condition is parsed, and its own text means the same.
pub(super) fn condition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(parsed) = sql::parse(text) else { return };
    let shown = parsed.to_string();
    let again = sql::parse(&shown);
    assert!(again.as_ref().is_ok_and(|again| again.to_string() == shown), "{text} is shown as {shown}: {again:?}");
}

/// Any bytes as the first commit of a table, or, behind a line feed of their own, as the first and the second.
pub(super) fn table_log(bytes: &[u8]) {
    let storage = Memory::new();
    for (version, commit) in bytes.split(|&b| b == 0).take(4).enumerate() {
        if storage.put(&format!("_delta_log/{version:020}.json"), commit.to_vec()).is_err() {
            return;
        }
    }
    let Ok(table) = Table::open(Arc::new(storage)) else { return };
    let _ = table.snapshot().stats();
    if let Ok(scan) = table.scan(crate::table::ScanOptions::default()) {
        let _ = scan.take(3).count();
    }
}

/// Any bytes as the checkpoint that a log begins with, and as one of v2; or, with a zero byte behind its JSON, as a v2 one and
/// the sidecar `s` that it may name.
pub(super) fn table_checkpoint(bytes: &[u8]) {
    const ID: &str = "80a083e8-7026-4e79-81be-64bd76c43a11";
    let open = |ending: &str, checkpoint: &[u8], sidecar: &[u8]| {
        let storage = Memory::new();
        let checkpoint = storage.put(&format!("_delta_log/{:020}.checkpoint.{ending}", 4), checkpoint.to_vec());
        if checkpoint.is_ok()
            && storage.put("_delta_log/_sidecars/s", sidecar.to_vec()).is_ok()
            && let Ok(table) = Table::open(Arc::new(storage))
        {
            let _ = (table.snapshot().stats(), table.history(3));
        }
    };
    open("parquet", bytes, bytes);
    open(&format!("{ID}.parquet"), bytes, bytes);
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        let (json, sidecar) = bytes.split_at(at);
        open(&format!("{ID}.json"), json, sidecar.get(1..).unwrap_or_default());
    }
}

/// Lines of any bytes: every record is where the next one begins, whatever the pieces that are asked for.
pub(super) fn ndjson_log(bytes: &[u8]) {
    let pieces = usize::from(bytes.first().copied().unwrap_or(1)) + 1;
    let records = |piece: usize| -> crate::error::Result<Vec<String>> {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let mut out = storage.create("in.ndjson")?;
        out.append(bytes)?;
        out.finish()?;
        let mut log = NdjsonLog::new(vec![Source::file(storage, "in.ndjson")?], NdjsonOptions::default())?;
        let mut records = Vec::new();
        for partition in log.partitions()? {
            // Each poll gives a record at least, so there are no more than bytes.
            for _ in 0..=bytes.len() {
                match log.poll(&partition.id, piece)? {
                    Poll::Records(block) => {
                        let text = |r: &RecordSpan| format!("{} {:?} {}", r.offset, block.record(r), r.whole);
                        records.extend(block.records.iter().map(text));
                    }
                    _ => break,
                }
            }
        }
        Ok(records)
    };
    let (few, all) = (records(pieces), records(1 << 20));
    assert_eq!(few.is_ok(), all.is_ok());
    if let (Ok(few), Ok(all)) = (few, all) {
        assert_eq!(few, all);
    }
}

pub(super) fn ingest_state(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        ingest::check_state(text);
    }
}
