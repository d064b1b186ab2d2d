//! A table on a disk that crashes at every operation in turn: what was acknowledged is there, what was not is there
//! whole or not at all, and all else is garbage that `vacuum` removes.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{DataType, Field, Schema};
use hypostyle::storage::{Fault, FaultPlan, Faulty, Memory, Storage};
use hypostyle::table::{AddFile, CreateOptions, PartitionValues, Table, VacuumOptions};
use hypostyle::{Error, Result};

const COMMITS: usize = 3;
const SEEDS: u64 = 6;

fn values(at: usize) -> PartitionValues {
    PartitionValues::from([("day".to_owned(), Some(format!("2013-01-0{}", at + 1)))])
}

/// The content of the file of a commit: enough for more than one append.
fn content(at: usize) -> Vec<u8> {
    vec![u8::try_from(at).unwrap() + 1; 40_000]
}

fn open_or_create(storage: &Arc<dyn Storage>) -> Result<Table> {
    if let Some(table) = Table::open_if_exists(Arc::clone(storage))? {
        return Ok(table);
    }
    let fields = vec![Field::new("day", DataType::Date32, true), Field::new("a", DataType::Int64, true)];
    let options = CreateOptions::default().with_partition_columns(["day"]);
    Table::create(Arc::clone(storage), Arc::new(Schema::new(fields)), options)
}

/// How many commits the table says it has.
fn progress(table: &Table) -> usize {
    table.snapshot().domains.get("progress").map_or(0, |state| state.parse().unwrap())
}

/// Goes on from where the table is to the end; `acknowledged` counts what is done, 1 for the table and 1 a commit.
fn work(storage: &Arc<dyn Storage>, acknowledged: &mut usize) -> Result<()> {
    let mut table = open_or_create(storage)?;
    *acknowledged = progress(&table) + 1;
    for at in progress(&table)..COMMITS {
        let path = table.data_path(&values(at));
        let mut output = storage.create(&path)?;
        output.append(&content(at))?;
        output.finish()?;
        let mut transaction = table.transaction();
        transaction.add(AddFile { path, partition_values: values(at), bytes: 40_000, ..AddFile::default() });
        let before = at.checked_sub(1).map(|_| at.to_string());
        transaction.expect_domain("progress", before.as_deref()).set_domain("progress", (at + 1).to_string());
        transaction.commit()?;
        *acknowledged += 1;
    }
    Ok(())
}

/// Checks what a disk holds: the table after `done` commits, each with its file, whole. Returns the count.
fn check(storage: &Arc<dyn Storage>, acknowledged: usize, what: &str) -> usize {
    let Some(table) = Table::open_if_exists(Arc::clone(storage)).unwrap_or_else(|e| panic!("{what}: {e}")) else {
        assert_eq!(acknowledged, 0, "{what}: the table was acknowledged and is gone");
        return 0;
    };
    let done = progress(&table);
    assert!(
        done < COMMITS + 1 && (done + 1 == acknowledged || done == acknowledged),
        "{what}: {done} of {acknowledged}"
    );
    assert_eq!(table.snapshot().files.len(), done, "{what}");
    let mut files: Vec<_> = table.snapshot().files.values().collect();
    files.sort_by_key(|file| file.partition_values["day"].clone());
    for (at, file) in files.into_iter().enumerate() {
        assert_eq!(file.partition_values, values(at), "{what}");
        let input = storage.open(&file.path).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(input.read(0..input.bytes()).unwrap() == content(at), "{what}: the file's bytes");
    }
    done
}

/// Goes on to the end after the fault, and leaves nothing but the table.
fn recover(storage: &Arc<dyn Storage>, what: &str) {
    let mut acknowledged = 0;
    work(storage, &mut acknowledged).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(check(storage, COMMITS + 1, what), COMMITS);
    let mut table = Table::open(Arc::clone(storage)).unwrap();
    table.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
    let left = storage.list("").unwrap();
    assert_eq!(left.iter().filter(|entry| entry.path.ends_with(".parquet")).count(), COMMITS, "{what}");
    assert_eq!(left.iter().filter(|entry| entry.path.starts_with("_delta_log/")).count(), COMMITS + 1, "{what}");
    assert_eq!(left.len(), 2 * COMMITS + 1, "{what}");
    assert_eq!(storage.list_unfinished().unwrap(), [], "{what}");
    assert_eq!(check(storage, COMMITS + 1, what), COMMITS);
}

fn operations() -> u64 {
    let disk = Faulty::new(&Memory::new(), FaultPlan::default());
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    work(&storage, &mut 0).unwrap();
    disk.operations()
}

#[test]
fn a_crash_at_any_operation_loses_nothing_acknowledged() {
    let operations = operations();
    assert!(operations > 50, "{operations}");
    let (mut in_flight_there, mut in_flight_gone) = (0, 0);
    for crash_at in 1..=operations {
        for seed in 0..SEEDS {
            let what = format!("crash at {crash_at}, seed {seed}");
            let disk = Faulty::new(&Memory::new(), FaultPlan { seed, crash_at: Some(crash_at), faults: vec![] });
            let storage: Arc<dyn Storage> = Arc::new(disk.clone());
            let mut acknowledged = 0;
            match work(&storage, &mut acknowledged) {
                Err(e) => assert!(matches!(e, Error::Io(_)), "{what}: {e}"),
                // Removing the temporary name after the last commit is the only step that nobody waits for.
                Ok(()) => assert_eq!(crash_at, operations),
            }
            assert!(disk.crashed());

            let rebooted: Arc<dyn Storage> = Arc::new(Faulty::new(&disk.after_crash(seed), FaultPlan::default()));
            let done = check(&rebooted, acknowledged, &what);
            if done == acknowledged && acknowledged > 0 {
                in_flight_there += 1
            } else {
                in_flight_gone += 1
            }
            recover(&rebooted, &what);
        }
    }
    assert!(in_flight_there > 10 && in_flight_gone > 10, "both happen: {in_flight_there}, {in_flight_gone}");
}

#[test]
fn a_second_crash_during_recovery_loses_nothing_either() {
    let operations = operations();
    for seed in 0..200_u64 {
        let what = format!("seed {seed}");
        let mut content = Memory::new();
        let mut acknowledged = 0;
        for round in 0..4 {
            let crash_at = 1 + (seed * 31 + round * 17) % operations;
            let disk =
                Faulty::new(&content, FaultPlan { seed: seed + round, crash_at: Some(crash_at), faults: vec![] });
            let storage: Arc<dyn Storage> = Arc::new(disk.clone());
            let mut now = 0;
            let finished = work(&storage, &mut now).is_ok();
            acknowledged = acknowledged.max(now);
            content = disk.after_crash(seed + round);
            let rebooted: Arc<dyn Storage> = Arc::new(content.clone());
            let done = check(&rebooted, acknowledged, &what);
            // What was read after the reboot is on the disk, so it cannot be lost any more.
            acknowledged =
                acknowledged.max(if Table::open_if_exists(rebooted).unwrap().is_some() { done + 1 } else { 0 });
            assert!(!finished || done == COMMITS, "{what}");
        }
        recover(&(Arc::new(content) as Arc<dyn Storage>), &what);
    }
}

#[test]
fn an_operation_that_fails_once_stops_the_commit_or_is_mended_and_never_half_done() {
    let operations = operations();
    let mut mended = 0;
    for at in 1..=operations {
        for fault in [Fault::NoSpace, Fault::Io, Fault::AnswerLost, Fault::ShortWrite] {
            let what = format!("{fault:?} at {at}");
            let disk = Faulty::new(&Memory::new(), FaultPlan { seed: at, crash_at: None, faults: vec![(at, fault)] });
            let storage: Arc<dyn Storage> = Arc::new(disk.clone());
            let mut acknowledged = 0;
            match work(&storage, &mut acknowledged) {
                Ok(()) => mended += usize::from(fault != Fault::ShortWrite),
                Err(e) => assert!(matches!(e, Error::Io(_)) && fault != Fault::ShortWrite, "{what}: {e}"),
            }
            let crashed: Arc<dyn Storage> = Arc::new(disk.after_crash(at));
            check(&crashed, acknowledged, &what);
            check(&storage, acknowledged, &what);
            recover(&storage, &what);
        }
    }
    assert!(mended > 20, "only {mended} faults were mended");
}
