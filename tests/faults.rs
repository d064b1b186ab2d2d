//! The write path on a disk that fails in every way that `storage::Faulty` knows: an error or success, and never a row lost or
//! doubled. Ingest, the log and compaction have such tests of their own; `tests/simulator` has all of them together.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions as FileScan};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Fault, FaultPlan, Faulty, Memory, Storage};
use hypostyle::table::{
    AddFile, CompactOptions, CompactReport, CreateOptions, PartitionValues, ScanOptions, Table, VacuumOptions,
    VacuumReport,
};
use hypostyle::{Error, Result};

const FAULTS: [Fault; 4] = [Fault::NoSpace, Fault::Io, Fault::AnswerLost, Fault::ShortWrite];
const ROWS: i64 = 60_000;

fn schema() -> SchemaRef {
    let fields = vec![Field::new("n", DataType::Int64, false), Field::new("text", DataType::Utf8, true)];
    Arc::new(Schema::new(fields))
}

fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
    let text = StringArray::from_iter(numbers.clone().map(|n| (n % 3 != 0).then(|| format!("text {}", n * 7919))));
    let columns: Vec<arrow_array::ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(numbers)), Arc::new(text)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Writes a file of several row groups and many appends.
fn write_file(storage: &dyn Storage) -> Result<()> {
    let options = WriterOptions::default().with_row_group_rows(20_000);
    let mut writer = FileWriter::new(storage.create("folder/f.parquet")?, schema(), options)?;
    for at in 0..6 {
        writer.write(&batch(at * ROWS / 6..(at + 1) * ROWS / 6))?;
    }
    writer.finish().map(|_| ())
}

/// The file is there and whole, or not there at all; whether it is there.
fn is_whole(disk: &Memory, what: &str) -> bool {
    if disk.get("folder/f.parquet").is_none() {
        return false;
    }
    let open = |disk: &Memory| FileReader::open(disk.open("folder/f.parquet")?, ReaderOptions::default());
    let file = open(disk).unwrap_or_else(|e| panic!("{what}: {e}"));
    let mut rows = 0;
    for found in file.scan(FileScan::default()).unwrap() {
        let found = found.unwrap_or_else(|e| panic!("{what}: {e}"));
        let end = rows + found.num_rows() as i64;
        assert_eq!(found.columns(), batch(rows..end).columns(), "{what}");
        rows = end;
    }
    assert_eq!(rows, ROWS, "{what}");
    true
}

#[test]
fn a_parquet_file_is_whole_or_not_there_wherever_the_disk_crashes_or_fails() {
    let whole = Faulty::new(&Memory::new(), FaultPlan::default());
    write_file(&whole).unwrap();
    let operations = whole.operations();
    assert!(operations > 10, "{operations}");
    let (mut there, mut gone) = (0, 0);
    for at in 1..=operations {
        for seed in 0..4 {
            let what = format!("crash at {at}, seed {seed}");
            let disk = Faulty::new(&Memory::new(), FaultPlan { seed, crash_at: Some(at), ..FaultPlan::default() });
            let written = write_file(&disk);
            let is_there = is_whole(&disk.after_crash(seed), &what);
            assert!(is_there || written.is_err(), "{what}: lost");
            if is_there { there += 1 } else { gone += 1 }
        }
        for fault in FAULTS {
            let what = format!("{fault:?} at {at}");
            let disk =
                Faulty::new(&Memory::new(), FaultPlan { seed: at, faults: vec![(at, fault)], ..FaultPlan::default() });
            match write_file(&disk) {
                Ok(()) => assert!((0..4).all(|seed| is_whole(&disk.after_crash(seed), &what)), "{what}: lost"),
                Err(e) => {
                    assert!(matches!(e, Error::Io(_)) && fault != Fault::ShortWrite, "{what}: {e}");
                    is_whole(&disk.after_crash(at), &what);
                    // It is written again, and then it is there.
                    write_file(&disk).unwrap();
                    assert!((0..4).all(|seed| is_whole(&disk.after_crash(seed), &what)), "{what}: lost again");
                }
            }
        }
    }
    assert!(there > 3 && gone > 30, "{there}, {gone}");
}

#[test]
fn a_sync_that_failed_is_never_made_good_by_another() {
    let mut seen = 0;
    for at in 1..40 {
        let plan = FaultPlan { seed: at, faults: vec![(at, Fault::Io)], ..FaultPlan::default() };
        let disk = Faulty::new(&Memory::new(), plan);
        let mut output = disk.create("f").unwrap_or_else(|_| disk.create("f").unwrap());
        let appended = output.append(&[7; 50_000]);
        let paused = output.pause();
        let finished = output.finish();
        let there =
            (0..32).filter(|&seed| disk.after_crash(seed).get("f").is_some_and(|b| b == [7; 50_000][..])).count();
        match (appended, paused, finished) {
            (Ok(()), Ok(_), Ok(())) => assert_eq!(there, 32, "fault at {at}"),
            // Of the bytes' sync: the cache has forgotten what it could not write, and says yes to the next one.
            (Ok(()), Err(_), Err(_)) => {
                seen += 1;
                assert!((0..32).all(|seed| disk.after_crash(seed).get("f").is_none()), "fault at {at}");
            }
            // Of the folder's: it is made good by the one that succeeds.
            (Ok(()), Err(_), Ok(())) => assert_eq!(there, 32, "fault at {at}"),
            (_, _, Err(_)) => {}
            other => panic!("fault at {at}: {other:?}"),
        }
    }
    assert!(seen >= 1, "{seen}");
}

/// A table of six files, two of which no version needs, and one that nobody ever named.
fn table() -> Memory {
    let memory = Memory::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let mut table = Table::create(Arc::clone(&storage), schema(), CreateOptions::default()).unwrap();
    for at in 0..4 {
        add(&mut table, at * 10..at * 10 + 10);
    }
    let all = CompactOptions { target_file_bytes: 4096, small_file_bytes: Some(4096), ..CompactOptions::default() };
    assert!(table.compact(&all, &AtomicBool::new(false)).unwrap().files_before() >= 2);
    add(&mut table, 40..50);
    memory.put("part-of-nobody.parquet", "PAR1").unwrap();
    memory
}

fn add(table: &mut Table, numbers: std::ops::Range<i64>) {
    let path = table.data_path(&PartitionValues::new());
    let files = table.snapshot().file_schema();
    let mut writer = FileWriter::new(table.storage().create(&path).unwrap(), files, WriterOptions::default()).unwrap();
    writer.write(&batch(numbers)).unwrap();
    let schema = &table.snapshot().schema;
    let file = AddFile::from_written(&writer.finish().unwrap(), schema, path, PartitionValues::new()).unwrap();
    let mut transaction = table.transaction();
    transaction.add(file);
    transaction.commit().unwrap();
}

fn vacuum(storage: Arc<dyn Storage>) -> Result<VacuumReport> {
    Table::open(storage)?.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false })
}

fn compact(storage: Arc<dyn Storage>) -> Result<CompactReport> {
    Table::open(storage)?.compact(&CompactOptions::default(), &AtomicBool::new(false))
}

fn check_rows(disk: &Memory, what: &str) {
    let table = Table::open(Arc::new(disk.clone())).unwrap_or_else(|e| panic!("{what}: {e}"));
    let mut numbers = Vec::new();
    for batch in table.scan(ScanOptions::default().with_columns(["n"])).unwrap() {
        let batch = batch.unwrap_or_else(|e| panic!("{what}: {e}"));
        numbers.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>(), "{what}");
}

#[test]
fn a_vacuum_that_crashes_or_fails_takes_nothing_that_counts() {
    let content = table();
    let whole = Faulty::new(&content, FaultPlan::default());
    assert!(vacuum(Arc::new(whole.clone())).unwrap().removed.len() >= 3);
    for at in 1..=whole.operations() {
        for (plan, what) in FAULTS
            .map(|fault| {
                (
                    FaultPlan { seed: at, faults: vec![(at, fault)], ..FaultPlan::default() },
                    format!("{fault:?} at {at}"),
                )
            })
            .into_iter()
            .chain([(FaultPlan { seed: at, crash_at: Some(at), ..FaultPlan::default() }, format!("crash at {at}"))])
        {
            let disk = Faulty::new(&content, plan);
            let _ = vacuum(Arc::new(disk.clone()));
            let after = disk.after_crash(at);
            check_rows(&after, &what);
            // The next one takes what this one left.
            vacuum(Arc::new(after.clone())).unwrap();
            check_rows(&after, &what);
            let live = Table::open(Arc::new(after.clone())).unwrap().snapshot().files.len();
            let files = after.list("").unwrap().into_iter().filter(|entry| entry.path.ends_with(".parquet")).count();
            assert_eq!(files, live, "{what}");
        }
    }
}

#[test]
fn a_vacuum_behind_a_commit_that_is_not_durable_makes_it_so_first() {
    let content = table();
    let whole = Faulty::new(&content, FaultPlan::default());
    compact(Arc::new(whole.clone())).unwrap();
    let mut in_doubt = 0;
    for first in 1..=whole.operations() {
        for second in first + 1..first + 10 {
            let faults = vec![(first, Fault::Io), (second, Fault::Io)];
            let disk = Faulty::new(&content, FaultPlan { seed: first, faults, ..FaultPlan::default() });
            let before = Table::open(Arc::new(content.clone())).unwrap().snapshot().version;
            let compacted = compact(Arc::new(disk.clone()));
            let Ok(table) = Table::open(Arc::new(disk.clone())) else { continue };
            if compacted.is_ok() || table.snapshot().version == before {
                continue;
            }
            // The commit is there, and its writer could not make its name durable.
            in_doubt += 1;
            assert!(vacuum(Arc::new(disk.clone())).unwrap().removed.len() >= 2);
            for seed in 0..16 {
                check_rows(&disk.after_crash(seed), &format!("{first} and {second}, seed {seed}"));
            }
        }
    }
    assert!(in_doubt > 0, "no commit was in doubt");
}

#[test]
fn a_full_disk_keeps_what_it_has_and_goes_on_when_there_is_room() {
    let content = table();
    let mut failed = 0;
    for room in (0..12_000).step_by(97) {
        let what = format!("room for {room} bytes");
        let disk = Faulty::new(&content, FaultPlan::default());
        disk.set_space(Some(room));
        match compact(Arc::new(disk.clone())) {
            Ok(_) => {}
            Err(e) => {
                failed += 1;
                assert!(e.to_string().contains("free some space"), "{what}: {e}");
                assert_eq!(disk.list_unfinished().unwrap(), [], "{what}");
            }
        }
        check_rows(&disk.after_crash(room), &what);
        disk.set_space(None);
        compact(Arc::new(disk.clone())).unwrap();
        vacuum(Arc::new(disk.clone())).unwrap();
        check_rows(&disk.after_crash(room), &what);
        assert_eq!(Table::open(Arc::new(disk)).unwrap().snapshot().files.len(), 1, "{what}");
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn a_read_that_fails_is_an_error_and_no_end_of_rows() {
    let content = table();
    let whole = Faulty::new(&content, FaultPlan::default());
    compact(Arc::new(whole.clone())).unwrap();
    assert!(whole.reads() > 10);
    let mut failed = 0;
    for at in 1..=whole.reads() {
        let what = format!("read {at}");
        let disk = Faulty::new(&content, FaultPlan::default());
        disk.fail_read(at);
        if let Err(e) = compact(Arc::new(disk.clone())) {
            failed += 1;
            assert!(matches!(e, Error::Io(_)) && e.to_string().contains("input/output error"), "{what}: {e}");
        }
        check_rows(&disk.after_crash(at), &what);
        compact(Arc::new(disk.clone())).unwrap();
        check_rows(&disk.after_crash(at), &what);
    }
    assert!(failed as u64 + 3 >= whole.reads(), "{failed} of {}", whole.reads());
}

#[test]
fn blocks_that_were_not_synced_come_back_in_any_order() {
    let disk = Faulty::new(&Memory::new(), FaultPlan::default());
    let mut output = disk.create("f").unwrap();
    output.append(&[7; 40_000]).unwrap();
    let paused = output.pause().unwrap();
    output.append(&[8; 40_000]).unwrap();
    std::mem::forget(output);
    let mut torn = 0;
    for seed in 0..64 {
        let bytes = disk.after_crash(seed).get(&paused.hidden).unwrap();
        assert!(bytes[..40_000].iter().all(|&byte| byte == 7), "what was synced stays");
        let rest = &bytes[40_000..];
        // A block that is there behind one that is not.
        torn += usize::from(rest.windows(2).any(|two| two == [0, 8]));
    }
    assert!(torn > 5, "{torn}");
}
