//! Compaction: the same rows in fewer files, whoever else is at work and wherever the disk fails.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod hooked;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use hooked::{Call, Hooked};
use hypostyle::parquet::read::{FileReader, ReaderOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Fault, FaultPlan, Faulty, Memory, Storage};
use hypostyle::table::{
    AddFile, CompactOptions, CompactReport, CreateOptions, PartitionValues, ScanOptions, Table, VacuumOptions,
};
use hypostyle::{Error, Result};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("day", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
        Field::new("text", DataType::Utf8, true),
    ]))
}

fn create(storage: &Arc<dyn Storage>) -> Table {
    let options = CreateOptions::default().with_partition_columns(["day"]);
    Table::create(Arc::clone(storage), schema(), options).unwrap()
}

/// Adds a file of these numbers; each number is in the table once, so that the numbers tell what is lost or doubled.
fn add(table: &mut Table, day: Option<&str>, numbers: std::ops::Range<i64>, sink: &str) -> Result<()> {
    let values = PartitionValues::from([("day".to_owned(), day.map(str::to_owned))]);
    let path = table.data_path(&values);
    let files = table.snapshot().file_schema();
    let text = StringArray::from_iter(numbers.clone().map(|n| (n % 3 != 0).then(|| format!("text {n}"))));
    let batch = RecordBatch::try_new(
        Arc::clone(&files),
        vec![Arc::new(Int64Array::from_iter_values(numbers.clone())), Arc::new(text)],
    )?;
    let mut writer = FileWriter::new(table.storage().create(&path)?, files, WriterOptions::default())?;
    writer.write(&batch)?;
    let written = writer.finish()?;
    let mut file = AddFile::from_written(&written, &table.snapshot().schema, path, values)?;
    file.tags.insert("hypostyle.sink".to_owned(), sink.to_owned());
    // They are made within a millisecond.
    file.modified_ms = numbers.start;
    let mut transaction = table.transaction();
    transaction.add(file);
    transaction.commit().map(|_| ())
}

/// A storage with small files, and the table there, opened so that others can act before its operations.
fn watched() -> (Arc<dyn Storage>, Hooked, Table) {
    let inner: Arc<dyn Storage> = Arc::new(Memory::new());
    small_files(&inner);
    let hooked = Hooked::new(Arc::clone(&inner));
    let table = Table::open(Arc::new(hooked.clone())).unwrap();
    (inner, hooked, table)
}

/// The numbers with their days, in the order of the scan.
fn rows(storage: &Arc<dyn Storage>) -> Vec<(String, i64)> {
    let table = Table::open(Arc::clone(storage)).unwrap();
    let mut rows = Vec::new();
    for batch in table.scan(ScanOptions::default()).unwrap() {
        let batch = batch.unwrap();
        let (days, text) = (batch.column(0).as_string::<i32>(), batch.column(2).as_string::<i32>());
        for (at, n) in batch.column(1).as_primitive::<Int64Type>().iter().enumerate() {
            let n = n.unwrap();
            let expected = (n % 3 != 0).then(|| format!("text {n}"));
            assert_eq!(text.iter().nth(at).unwrap(), expected.as_deref());
            rows.push((days.iter().nth(at).unwrap().unwrap_or("null").to_owned(), n));
        }
    }
    rows
}

fn sorted(mut rows: Vec<(String, i64)>) -> Vec<(String, i64)> {
    rows.sort();
    rows
}

fn compact(table: &mut Table, options: &CompactOptions) -> Result<CompactReport> {
    table.compact(options, &AtomicBool::new(false))
}

/// Three days of four files each, made one after the other.
fn small_files(storage: &Arc<dyn Storage>) -> Table {
    let mut table = create(storage);
    for at in 0..12 {
        let day = [Some("1"), Some("2"), None][at % 3];
        add(&mut table, day, at as i64 * 10..at as i64 * 10 + 10, "a").unwrap();
    }
    table
}

#[test]
fn small_files_of_a_partition_become_one_with_the_same_rows() {
    let memory = Memory::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let mut table = small_files(&storage);
    // Not with those of another sink.
    add(&mut table, Some("1"), 1000..1010, "b").unwrap();
    let before = rows(&storage);

    let planned = compact(&mut table, &CompactOptions { dry_run: true, ..CompactOptions::default() }).unwrap();
    assert_eq!((planned.groups.len(), planned.files_before(), planned.commits, planned.files_left), (3, 12, 0, 1));
    assert!(planned.groups.iter().all(|group| group.written.is_none() && group.rows == Some(40)));
    assert_eq!(table.snapshot().version, 13);

    let report = compact(&mut table, &CompactOptions::default()).unwrap();
    assert_eq!((report.groups.len(), report.commits, report.version, report.lost), (3, 1, 14, 0));
    assert_eq!(sorted(rows(&storage)), sorted(before));
    let table = Table::open(Arc::clone(&storage)).unwrap();
    assert_eq!((table.snapshot().files.len(), table.snapshot().stats().rows), (4, Some(130)));
    for group in &report.groups {
        let (path, bytes) = group.written.clone().unwrap();
        let file = &table.snapshot().files[&path];
        assert_eq!((file.bytes, file.rows(), &file.partition_values), (bytes, Some(40), &group.partition_values));
        assert_eq!(file.tags["hypostyle.sink"], "a");
        let stats: serde_json::Value = serde_json::from_str(file.stats.as_deref().unwrap()).unwrap();
        let first = stats["minValues"]["n"].as_i64().unwrap();
        assert_eq!(stats["maxValues"]["n"], first + 99);
        // One row group, the rows in the order in which they were added.
        let reader = FileReader::open(storage.open(&path).unwrap(), ReaderOptions::default()).unwrap();
        assert_eq!(reader.metadata().unwrap().row_groups.len(), 1);
        assert!(reader.verify().is_sound());
        let numbers =
            |batch: Result<RecordBatch>| batch.unwrap().column(0).as_primitive::<Int64Type>().values().to_vec();
        let found: Vec<i64> = reader.scan(Default::default()).unwrap().flat_map(numbers).collect();
        let expected: Vec<i64> = (0..4).flat_map(|file| first + file * 30..first + file * 30 + 10).collect();
        assert_eq!(found, expected);
    }
    let commit = String::from_utf8(memory.get("_delta_log/00000000000000000014.json").unwrap().to_vec()).unwrap();
    assert_eq!(commit.matches("\"dataChange\":false").count(), 15);
    assert!(!commit.contains("\"dataChange\":true") && commit.contains("\"operation\":\"OPTIMIZE\""), "{commit}");

    // What is done is done; and a version before it can still be read until a vacuum.
    let mut table = table;
    let again = compact(&mut table, &CompactOptions::default()).unwrap();
    assert_eq!((again.groups.len(), again.version), (0, 14));
    let removed = table.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
    assert_eq!((removed.removed.len(), removed.live), (12, 4));
    assert_eq!(rows(&storage).len(), 130);
}

#[test]
fn sizes_and_numbers_say_what_is_worth_it() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut table = small_files(&storage);
    let bytes = table.snapshot().files.values().map(|file| file.bytes).max().unwrap();
    let planned = |table: &mut Table, options: CompactOptions| {
        let report = compact(table, &CompactOptions { dry_run: true, ..options }).unwrap();
        report.groups.iter().map(|group| group.files.len()).collect::<Vec<_>>()
    };
    let all = CompactOptions { target_file_bytes: bytes * 3, small_file_bytes: Some(bytes * 2), ..Default::default() };
    assert_eq!(planned(&mut table, all.clone()), [3, 3, 3], "a fourth would be too much, and alone is not worth it");
    assert_eq!(planned(&mut table, CompactOptions { files_min: 4, ..all.clone() }), [0; 0]);
    assert_eq!(planned(&mut table, CompactOptions { small_file_bytes: Some(1), ..all }), [0; 0]);
    for bad in [
        CompactOptions { files_min: 1, ..Default::default() },
        CompactOptions { target_file_bytes: 0, ..Default::default() },
    ] {
        assert!(matches!(compact(&mut table, &bad), Err(Error::Invalid(_))));
    }
    // A budget for a few rows makes small row groups, and no error.
    let little = CompactOptions { memory_bytes: 1 << 20, ..Default::default() };
    assert_eq!(compact(&mut table, &little).unwrap().groups.len(), 3);
    assert_eq!(rows(&storage).len(), 120);
}

#[test]
fn an_append_only_table_is_compacted_and_rows_are_counted() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let options = CreateOptions::default().with_partition_columns(["day"]).with_property("delta.appendOnly", "true");
    let mut table = Table::create(Arc::clone(&storage), schema(), options).unwrap();
    add(&mut table, None, 0..5, "a").unwrap();
    add(&mut table, None, 5..9, "a").unwrap();
    assert_eq!(compact(&mut table, &CompactOptions::default()).unwrap().groups.len(), 1);
    assert_eq!(sorted(rows(&storage)).len(), 9);

    let path = table.snapshot().files.keys().next().unwrap().clone();
    let mut transaction = table.transaction();
    transaction.remove(path.clone());
    assert!(matches!(transaction.commit(), Err(Error::Invalid(_))), "append-only");
    let mut transaction = table.transaction();
    transaction.rearranges().remove(path);
    let e = transaction.commit().unwrap_err();
    assert!(e.to_string().contains("files of 0 rows cannot stand for files of 9"), "{e}");
}

#[test]
fn what_others_add_meanwhile_stays_and_what_they_remove_is_theirs() {
    let (inner, hooked, mut table) = watched();
    // Before the commit another writer adds a file to each day, and a compaction of one day wins.
    let other = Arc::clone(&inner);
    let mut has_acted = false;
    hooked.before(move |call, _| {
        if call == Call::Publish && !std::mem::replace(&mut has_acted, true) {
            let mut table = Table::open(Arc::clone(&other)).unwrap();
            let all = CompactOptions::default();
            let theirs = table.snapshot().files.values().filter(|f| f.partition_values["day"].is_none()).cloned();
            let theirs: Vec<_> = theirs.collect();
            let mut transaction = table.transaction();
            transaction.rearranges();
            // Of the day without a name they take two files into one: here it is their own, under another path.
            for file in &theirs[..2] {
                let bytes = other.open(&file.path).unwrap();
                let mut output = other.create(&format!("copy-{}", file.path.rsplit('/').next().unwrap())).unwrap();
                output.append(&bytes.read(0..bytes.bytes()).unwrap()).unwrap();
                output.finish().unwrap();
                let path = format!("copy-{}", file.path.rsplit('/').next().unwrap());
                transaction.remove(&file.path).add(AddFile { path, ..AddFile::clone(file) });
            }
            transaction.commit().unwrap();
            for (at, day) in [Some("1"), Some("2"), None].into_iter().enumerate() {
                add(&mut table, day, 500 + at as i64..501 + at as i64, "a").unwrap();
            }
            assert_eq!(all.files_min, 2);
        }
    });
    let report = compact(&mut table, &CompactOptions::default()).unwrap();
    assert_eq!((report.groups.len(), report.lost, report.commits), (2, 1, 1));
    let all: Vec<i64> = sorted(rows(&inner)).into_iter().map(|(_, n)| n).collect();
    let mut all = all;
    all.sort_unstable();
    assert_eq!(all, (0..120).chain(500..503).collect::<Vec<_>>());
    // What was given up left nothing behind.
    let parquet = inner.list("").unwrap().into_iter().filter(|entry| entry.path.ends_with(".parquet")).count();
    assert_eq!(parquet, 12 + 2 + 3 + 2);
    // The next run takes it up.
    let mut table = Table::open(Arc::clone(&inner)).unwrap();
    assert_eq!(compact(&mut table, &CompactOptions::default()).unwrap().lost, 0);
    assert_eq!(table.snapshot().files.len(), 3);
    assert_eq!(rows(&inner).len(), 123);
}

#[test]
fn files_that_vanish_while_they_are_read_are_another_writers_work() {
    let (inner, hooked, mut table) = watched();
    let other = Arc::clone(&inner);
    let mut has_acted = false;
    hooked.before(move |call, path| {
        if call == Call::Open && path.ends_with(".parquet") && !std::mem::replace(&mut has_acted, true) {
            let mut table = Table::open(Arc::clone(&other)).unwrap();
            compact(&mut table, &CompactOptions::default()).unwrap();
            table.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
        }
    });
    let report = compact(&mut table, &CompactOptions::default()).unwrap();
    assert_eq!((report.groups.len(), report.lost, report.commits), (0, 3, 0));
    assert_eq!(rows(&inner).len(), 120);
    // A file that is gone and still counts is a fault, and no other writer's work.
    let path = table.snapshot().files.keys().next().unwrap().clone();
    add(&mut table, Some("1"), 500..501, "a").unwrap();
    add(&mut table, Some("2"), 501..502, "a").unwrap();
    add(&mut table, None, 502..503, "a").unwrap();
    inner.remove(&path).unwrap();
    assert!(matches!(compact(&mut table, &CompactOptions::default()), Err(Error::Io(_))));
}

#[test]
fn a_run_that_is_stopped_keeps_what_is_finished() {
    let (inner, hooked, mut table) = watched();
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let mut created = 0;
    hooked.before(move |call, _| {
        created += usize::from(call == Call::Create);
        flag.store(created == 3, std::sync::atomic::Ordering::Relaxed);
    });
    let report = table.compact(&CompactOptions::default(), &stop).unwrap();
    assert!(report.stopped);
    assert_eq!((report.groups.len(), report.commits, table.snapshot().files.len()), (2, 1, 6));
    assert_eq!(rows(&inner).len(), 120);
    assert_eq!(inner.list_unfinished().unwrap(), []);
}

#[test]
fn a_schema_that_changes_meanwhile_is_a_conflict_and_nothing_is_left_behind() {
    let (inner, hooked, mut table) = watched();
    let other = Arc::clone(&inner);
    let mut has_acted = false;
    hooked.before(move |call, _| {
        if call == Call::Publish && !std::mem::replace(&mut has_acted, true) {
            let first = other.open("_delta_log/00000000000000000000.json").unwrap();
            let text = String::from_utf8(first.read(0..first.bytes()).unwrap().to_vec()).unwrap();
            let metadata = text.lines().find(|line| line.contains("metaData")).unwrap();
            other.publish_if_absent("_delta_log/00000000000000000013.json", metadata.as_bytes()).unwrap();
        }
    });
    let before = inner.list("day").unwrap().len();
    let e = compact(&mut table, &CompactOptions::default()).unwrap_err();
    assert!(matches!(e, Error::Conflict(_)), "{e}");
    assert_eq!(inner.list("day").unwrap().len(), before);
}

/// A table of two days on a disk, and what a plan does to its compaction.
fn on_faulty_disk(content: &Memory, plan: FaultPlan) -> (Faulty, Result<CompactReport>) {
    let disk = Faulty::new(content, plan);
    let compacted =
        Table::open(Arc::new(disk.clone())).and_then(|mut table| compact(&mut table, &CompactOptions::default()));
    (disk, compacted)
}

fn two_days() -> Memory {
    let memory = Memory::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let mut table = create(&storage);
    for at in 0..4 {
        add(&mut table, Some(["1", "2"][at % 2]), at as i64 * 10..at as i64 * 10 + 10, "a").unwrap();
    }
    memory
}

/// Every row once, whatever happened; and once it is compacted and vacuumed, two files and no garbage.
fn check(content: &Memory, what: &str) {
    let storage: Arc<dyn Storage> = Arc::new(content.clone());
    let numbers = || {
        let mut numbers: Vec<i64> = rows(&storage).into_iter().map(|(_, n)| n).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(), (0..40).collect::<Vec<_>>(), "{what}");
    let mut table = Table::open(Arc::clone(&storage)).unwrap();
    compact(&mut table, &CompactOptions::default()).unwrap();
    table.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
    assert_eq!(numbers(), (0..40).collect::<Vec<_>>(), "{what}");
    assert_eq!(storage.list("day").unwrap().len(), 2, "{what}");
    assert_eq!(storage.list_unfinished().unwrap(), [], "{what}");
}

#[test]
fn a_crash_at_any_operation_loses_and_doubles_nothing() {
    let content = two_days();
    let (disk, compacted) = on_faulty_disk(&content, FaultPlan::default());
    assert_eq!(compacted.unwrap().groups.len(), 2);
    let (mut there, mut gone) = (0, 0);
    for crash_at in 1..=disk.operations() {
        for seed in 0..8 {
            let what = format!("crash at {crash_at}, seed {seed}");
            let (disk, compacted) =
                on_faulty_disk(&content, FaultPlan { seed, crash_at: Some(crash_at), faults: vec![] });
            let after = disk.after_crash(seed);
            let version = Table::open(Arc::new(after.clone())).unwrap().snapshot().version;
            match compacted {
                Ok(report) => assert_eq!(report.version, version, "{what}"),
                Err(e) => assert!(matches!(e, Error::Io(_)), "{what}: {e}"),
            }
            if version == 5 {
                there += 1
            } else {
                gone += 1
            }
            check(&after, &what);
        }
    }
    assert!(there > 5 && gone > 50, "both happen: {there}, {gone}");
}

#[test]
fn an_operation_that_fails_once_loses_and_doubles_nothing() {
    let content = two_days();
    let (disk, _) = on_faulty_disk(&content, FaultPlan::default());
    let mut mended = 0;
    for at in 1..=disk.operations() {
        for fault in [Fault::NoSpace, Fault::Io, Fault::AnswerLost, Fault::ShortWrite] {
            let what = format!("{fault:?} at {at}");
            let (disk, compacted) =
                on_faulty_disk(&content, FaultPlan { seed: at, crash_at: None, faults: vec![(at, fault)] });
            match compacted {
                Ok(report) => {
                    mended += usize::from(fault != Fault::ShortWrite);
                    assert_eq!((report.version, report.lost), (5, 0), "{what}");
                }
                Err(e) => assert!(matches!(e, Error::Io(_)) && fault != Fault::ShortWrite, "{what}: {e}"),
            }
            check(&disk.after_crash(at), &what);
        }
    }
    assert!(mended > 5, "{mended}");
}
