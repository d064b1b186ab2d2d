//! The table's log: what a commit does, what two writers do to each other, which logs are refused.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::thread;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use hypostyle::Error;
use hypostyle::storage::{Entry, Fault, FaultPlan, Faulty, Local, Memory, Storage};
use hypostyle::table::{AddFile, CreateOptions, PartitionValues, Table, VacuumOptions, partition};

fn schema() -> SchemaRef {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("window_start", utc, false),
        Field::new("carrier", DataType::Utf8, true),
        Field::new("delay", DataType::Int64, true),
    ]))
}

fn options() -> CreateOptions {
    CreateOptions::default().with_partition_columns(["window_start"])
}

fn window(day: u32) -> PartitionValues {
    PartitionValues::from([("window_start".to_owned(), Some(format!("2013-01-{day:02}T00:00:00.000000Z")))])
}

fn file(path: &str) -> AddFile {
    AddFile { path: path.to_owned(), partition_values: window(1), bytes: 3, ..AddFile::default() }
}

fn commit(table: &mut Table, path: &str) -> hypostyle::Result<u64> {
    let mut transaction = table.transaction();
    transaction.add(file(path));
    transaction.commit()
}

fn paths(table: &Table) -> Vec<&str> {
    table.snapshot().files.keys().map(String::as_str).collect()
}

#[test]
fn a_table_is_what_was_committed_to_it() {
    let memory = Memory::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    assert!(Table::open_if_exists(Arc::clone(&storage)).unwrap().is_none());
    assert!(matches!(Table::open(Arc::clone(&storage)), Err(Error::Invalid(_))));
    let mut table = Table::create(Arc::clone(&storage), schema(), options().with_property("owner", "me")).unwrap();
    let path = table.data_path(&window(1));
    assert!(path.starts_with("window_start=2013-01-01T00%3A00%3A00Z/part-"), "{path}");
    let mut transaction = table.transaction();
    let mut described = file(&path);
    described.stats = Some(r#"{"numRecords":5}"#.to_owned());
    described.tags.insert("sink".to_owned(), "default".to_owned());
    transaction.add(described.clone()).set_domain("state", r#"{"resume":7}"#).txn("app", 3);
    transaction.operation("INGEST").commit_info("books", serde_json::json!({"read": 5}));
    assert_eq!(transaction.commit().unwrap(), 1);
    assert_eq!(commit(&mut table, "x.parquet").unwrap(), 2);
    let mut transaction = table.transaction();
    transaction.remove("x.parquet").set_domain("state", "2");
    assert_eq!(transaction.commit().unwrap(), 3);

    let other = Table::open(storage).unwrap();
    for snapshot in [table.snapshot(), other.snapshot()] {
        assert_eq!(snapshot.version, 3);
        assert_eq!(snapshot.schema, schema());
        assert_eq!(snapshot.metadata.configuration["owner"], "me");
        assert_eq!(snapshot.files.len(), 1);
        assert_eq!(*snapshot.files[&path], described);
        assert!(snapshot.removed["x.parquet"] > 1_600_000_000_000);
        assert_eq!(snapshot.domains["state"], "2");
        assert_eq!(snapshot.txns["app"], 3);
        assert_eq!((snapshot.stats().files, snapshot.stats().bytes, snapshot.stats().rows), (1, 3, Some(5)));
        assert_eq!(snapshot.protocol.min_reader_version, 1);
    }
    let history = other.history(2).unwrap();
    assert_eq!(history.iter().map(|c| c.version).collect::<Vec<_>>(), [3, 2]);
    let history = other.history(100).unwrap();
    assert_eq!(history.len(), 4);
    let first = &history[2];
    assert_eq!((first.files_added, first.rows_added, first.bytes_added), (1, Some(5), 3));
    assert_eq!(first.operation.as_deref(), Some("INGEST"));
    assert_eq!(first.info["books"]["read"], 5);
    assert_eq!(first.domains, ["state"]);
    assert_eq!((history[0].files_removed, history[1].rows_added), (1, None));
    assert_eq!(history[3].operation.as_deref(), Some("CREATE TABLE"));
}

#[test]
fn a_commit_starts_with_its_info_and_is_never_equal_to_another() {
    let memory = Memory::new();
    let mut table = Table::create(Arc::new(memory.clone()), schema(), options()).unwrap();
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        let mut transaction = table.transaction();
        transaction.set_domain("d", "1");
        let version = transaction.commit().unwrap();
        let bytes = memory.get(&format!("_delta_log/{version:020}.json")).unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert!(first["commitInfo"]["engineInfo"].as_str().unwrap().starts_with("hypostyle/"));
        assert!(seen.insert(first["commitInfo"]["txnId"].as_str().unwrap().to_owned()));
    }
}

#[test]
fn what_cannot_be_created_or_committed_is_refused_before_anything_is_written() {
    let memory = Memory::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let unsigned =
        Arc::new(Schema::new(vec![Field::new("a", DataType::UInt64, true), Field::new("b", DataType::Utf8, true)]));
    let create =
        |schema: SchemaRef, options| Table::create(Arc::clone(&storage), schema, options).unwrap_err().to_string();
    assert!(create(unsigned, CreateOptions::default()).contains("column a: Delta tables have no type UInt64"));
    let by = |column: &str| CreateOptions::default().with_partition_columns([column]);
    assert!(create(schema(), by("nope")).contains("column nope: partitions the table, and is not in its schema"));
    let retention = options().with_property("delta.setTransactionRetentionDuration", "interval 1 day");
    assert!(create(schema(), retention).contains("delta.setTransactionRetentionDuration"));
    assert_eq!(memory.list("").unwrap(), []);

    let mut table = Table::create(Arc::clone(&storage), schema(), options()).unwrap();
    let again = create(schema(), options());
    assert!(again.contains("there is a table here already"), "{again}");
    let refuse = |table: &mut Table, add: AddFile| {
        let mut transaction = table.transaction();
        transaction.add(add);
        transaction.commit().unwrap_err().to_string()
    };
    let e = refuse(&mut table, AddFile { partition_values: PartitionValues::new(), ..file("a") });
    assert!(e.contains("a: column window_start: has no partition value"), "{e}");
    let value = |text: Option<&str>| PartitionValues::from([("window_start".to_owned(), text.map(str::to_owned))]);
    let e = refuse(&mut table, AddFile { partition_values: value(Some("noon")), ..file("a") });
    assert!(e.contains("\"noon\" is no Timestamp"), "{e}");
    let e = refuse(&mut table, AddFile { partition_values: value(None), ..file("a") });
    assert!(e.contains("null, and the column forbids it"), "{e}");
    let mut transaction = table.transaction();
    transaction.add(file("a")).add(file("a"));
    assert!(matches!(transaction.commit(), Err(Error::Invalid(_))));
    let mut transaction = table.transaction();
    transaction.set_domain("delta.mine", "1");
    assert!(matches!(transaction.commit(), Err(Error::Invalid(_))));
    assert_eq!(memory.list("").unwrap().len(), 1);
}

fn race(storages: [Arc<dyn Storage>; 3]) {
    const COMMITS: usize = 15;
    Table::create(Arc::clone(&storages[0]), schema(), options()).unwrap();
    let barrier = Barrier::new(storages.len());
    let versions: Vec<u64> = thread::scope(|scope| {
        let writer = |(writer, storage): (usize, &Arc<dyn Storage>)| {
            let (storage, barrier) = (Arc::clone(storage), &barrier);
            scope.spawn(move || {
                let mut table = Table::open(storage).unwrap();
                barrier.wait();
                let domain = format!("writer.{writer}");
                let mut versions = Vec::new();
                for at in 0..COMMITS {
                    let mut transaction = table.transaction();
                    let before = at.checked_sub(1).map(|n| n.to_string());
                    transaction.add(file(&format!("{writer}-{at}"))).set_domain(&domain, at.to_string());
                    transaction.expect_domain(&domain, before.as_deref());
                    versions.push(transaction.commit().unwrap());
                }
                versions
            })
        };
        let threads: Vec<_> = storages.iter().enumerate().map(writer).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let distinct: BTreeSet<u64> = versions.iter().copied().collect();
    assert_eq!(distinct, (1..=45).collect());
    let table = Table::open(Arc::clone(&storages[0])).unwrap();
    assert_eq!(table.snapshot().version, 45);
    let wanted: BTreeSet<String> = (0..3).flat_map(|w| (0..COMMITS).map(move |at| format!("{w}-{at}"))).collect();
    assert_eq!(table.snapshot().files.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    let added: u64 = table.history(100).unwrap().iter().map(|commit| commit.files_added).sum();
    assert_eq!(added, 45, "each file once");
    assert_eq!(storages[0].list("").unwrap().len(), 46);
    assert_eq!(storages[0].list_unfinished().unwrap(), []);
}

#[test]
fn of_racing_writers_all_commit_exactly_once() {
    let memory: Arc<dyn Storage> = Arc::new(Memory::new());
    race([Arc::clone(&memory), Arc::clone(&memory), memory]);
    let folder = tempfile::tempdir().unwrap();
    race([0; 3].map(|_| Arc::new(Local::new(folder.path().join("t")).unwrap()) as Arc<dyn Storage>));
}

#[test]
fn of_racing_creators_one_wins() {
    let memory = Memory::new();
    let results = thread::scope(|scope| {
        let create = |_| {
            let storage = Arc::new(memory.clone());
            scope.spawn(move || Table::create(storage, schema(), options()))
        };
        let threads: Vec<_> = (0..4).map(create).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    let ids: Vec<&str> = results.iter().flatten().map(|table| table.snapshot().metadata.id.as_str()).collect();
    assert_eq!(ids.len(), 1);
    assert!(results.iter().all(|r| r.is_ok() || matches!(r, Err(Error::Conflict(_)))));
    assert_eq!(Table::open(Arc::new(memory)).unwrap().snapshot().metadata.id, ids[0]);
}

#[test]
fn a_writer_that_lost_its_domain_is_fenced_off_with_its_name() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut mine = Table::create(Arc::clone(&storage), schema(), options()).unwrap();
    let mut theirs = Table::open(Arc::clone(&storage)).unwrap();
    let step = |table: &mut Table, path: &str, from: Option<&str>, to: &str| {
        let mut transaction = table.transaction();
        transaction.add(file(path)).expect_domain("ingest.default.0", from).set_domain("ingest.default.0", to);
        transaction.commit()
    };
    step(&mut mine, "a", None, "1").unwrap();
    let e = step(&mut theirs, "b", None, "1").unwrap_err();
    assert!(matches!(e, Error::Conflict(_)), "{e}");
    assert!(e.to_string().contains("version 1: another writer has changed the state ingest.default.0"), "{e}");
    // Having read the table again does not lift the fence: it is about what was expected, not about when.
    theirs.refresh().unwrap();
    assert!(matches!(step(&mut theirs, "b", None, "1"), Err(Error::Conflict(_))));
    step(&mut theirs, "c", Some("1"), "2").unwrap();
    assert!(matches!(step(&mut mine, "d", Some("1"), "2"), Err(Error::Conflict(_))));
    // Other domains, and commits without any, pass.
    commit(&mut mine, "e").unwrap();
    assert_eq!(paths(&Table::open(storage).unwrap()), ["a", "c", "e"]);
}

#[test]
fn removals_txns_and_schemas_conflict() {
    let memory = Memory::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let mut mine = Table::create(Arc::clone(&storage), schema(), options()).unwrap();
    commit(&mut mine, "a").unwrap();
    let mut theirs = Table::open(Arc::clone(&storage)).unwrap();
    let remove = |table: &mut Table| {
        let mut transaction = table.transaction();
        transaction.remove("a");
        transaction.commit()
    };
    remove(&mut mine).unwrap();
    let e = remove(&mut theirs).unwrap_err();
    assert!(matches!(e, Error::Conflict(_)) && e.to_string().contains("the file a to remove"), "{e}");

    let txn = |table: &mut Table| {
        let mut transaction = table.transaction();
        transaction.txn("app", 1);
        transaction.commit()
    };
    let mut theirs = Table::open(Arc::clone(&storage)).unwrap();
    txn(&mut mine).unwrap();
    let e = txn(&mut theirs).unwrap_err();
    assert!(matches!(e, Error::Conflict(_)) && e.to_string().contains("the application app"), "{e}");

    commit(&mut mine, "b").unwrap();
    let version = mine.snapshot().version + 1;
    let zero = memory.get("_delta_log/00000000000000000000.json").unwrap();
    memory.put(&format!("_delta_log/{version:020}.json"), zero).unwrap();
    let e = commit(&mut mine, "c").unwrap_err();
    assert!(matches!(e, Error::Conflict(_)) && e.to_string().contains("another writer has changed the table"), "{e}");
    commit(&mut mine, "c").unwrap();
    assert_eq!(paths(&Table::open(storage).unwrap()), ["b", "c"]);
}

#[test]
fn a_log_cleaned_up_below_a_stale_table_gets_no_commit_into_its_past() {
    let memory = Memory::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let mut stale = Table::create(Arc::clone(&storage), schema(), options()).unwrap();
    let mut other = Table::open(storage).unwrap();
    for path in ["a", "b", "c"] {
        commit(&mut other, path).unwrap();
    }
    for version in 0..3 {
        memory.remove(&format!("_delta_log/{version:020}.json")).unwrap();
    }
    let e = commit(&mut stale, "d").unwrap_err();
    assert!(matches!(e, Error::Conflict(_)) && e.to_string().contains("version 0: is gone"), "{e}");
    assert_eq!(memory.list("").unwrap().len(), 1);
}

#[test]
fn an_answer_that_was_lost_is_found_in_the_log() {
    // create: make folder, sync, create, append, sync, link, sync, unlink, each counted; before it one listing.
    let disk = |faults| Faulty::new(&Memory::new(), FaultPlan { seed: 7, crash_at: None, faults });
    let clean = disk(vec![]);
    let mut table = Table::create(Arc::new(clean.clone()), schema(), options()).unwrap();
    let before = clean.operations();
    commit(&mut table, "a").unwrap();
    let mut resolved = 0;
    for at in before + 1..=clean.operations() {
        for fault in [Fault::AnswerLost, Fault::Io, Fault::NoSpace] {
            let disk = disk(vec![(at, fault)]);
            let mut table = Table::create(Arc::new(disk.clone()), schema(), options()).unwrap();
            let result = commit(&mut table, "a");
            let there = Table::open(Arc::new(disk.clone())).unwrap();
            assert!(there.snapshot().version <= 1);
            assert_eq!(result.is_ok(), there.snapshot().version == 1, "{fault:?} at {at}: {result:?}");
            resolved += usize::from(result.is_ok());
            if result.is_ok() {
                let durable = Table::open(Arc::new(disk.after_crash(at))).unwrap();
                assert_eq!(paths(&durable), ["a"], "{fault:?} at {at}");
            }
        }
    }
    assert!(resolved >= 9, "only {resolved} were tried again");
}

#[test]
fn vacuum_removes_what_no_version_needs_and_nothing_else() {
    let memory = Memory::new();
    let mut table = Table::create(Arc::new(memory.clone()), schema(), options()).unwrap();
    let folder = partition::folder(&["window_start".to_owned()], &window(1));
    let [live, removed, orphan, young] =
        ["live", "removed", "orphan", "young"].map(|name| format!("{folder}/{name}.parquet"));
    let others = ["README.txt", "_hidden/x.parquet", ".hidden.parquet", "nested/_delta_log/0.json", "nested/x.parquet"];
    for path in [&live, &removed, &orphan, &young] {
        memory.put(path, "PAR1").unwrap();
    }
    for path in others {
        memory.put(path, "x").unwrap();
    }
    memory.put(".hypostyle-0.unfinished", "half").unwrap();
    commit(&mut table, &live).unwrap();
    commit(&mut table, &removed).unwrap();
    for entry in memory.list("").unwrap() {
        memory.set_modified_ms(&entry.path, 1000);
    }
    memory.set_modified_ms(".hypostyle-0.unfinished", 1000);
    memory.put(&young, "PAR1").unwrap();
    let mut transaction = table.transaction();
    transaction.remove(&removed);
    transaction.commit().unwrap();

    let paths = |entries: &[Entry]| entries.iter().map(|entry| entry.path.clone()).collect::<Vec<_>>();
    let before = memory.list("").unwrap();
    let report = table.vacuum(&VacuumOptions { dry_run: true, ..VacuumOptions::default() }).unwrap();
    assert_eq!(memory.list("").unwrap(), before);
    assert_eq!(paths(&report.removed), [orphan.as_str(), ".hypostyle-0.unfinished"]);
    let report = table.vacuum(&VacuumOptions::default()).unwrap();
    assert_eq!(paths(&report.removed), [orphan.as_str(), ".hypostyle-0.unfinished"]);
    // The removed file's bytes are old, its removal is not.
    assert_eq!(paths(&report.kept_young), [removed.as_str(), young.as_str()]);
    assert_eq!(paths(&report.kept_foreign), ["README.txt"]);
    assert_eq!((report.live, report.removed_bytes()), (1, 8));
    assert_eq!(memory.list_unfinished().unwrap(), []);
    let report = table.vacuum(&VacuumOptions { older_than: std::time::Duration::ZERO, dry_run: false }).unwrap();
    assert_eq!(paths(&report.removed), [removed.as_str(), young.as_str()]);
    for path in others.iter().copied().chain([live.as_str()]) {
        assert!(memory.get(path).is_some(), "{path}");
    }
}

/// A table whose log is these lines, one array a version.
fn foreign(versions: &[&[&str]]) -> hypostyle::Result<Table> {
    let memory = Memory::new();
    for (version, lines) in versions.iter().enumerate() {
        memory.put(&format!("_delta_log/{version:020}.json"), lines.join("\n")).unwrap();
    }
    Table::open(Arc::new(memory))
}

const OLD_PROTOCOL: &str = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#;
const METADATA: &str = r#"{"metaData":{"id":"i","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"window_start\",\"type\":\"timestamp\",\"nullable\":true,\"metadata\":{}},{\"name\":\"a\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":["window_start"],"configuration":{},"createdTime":1}}"#;

#[test]
fn a_foreign_table_of_an_old_writer_takes_appends_and_no_state() {
    let mut table = foreign(&[&[r#"{"commitInfo":{"timestamp":1}}"#, OLD_PROTOCOL, METADATA]]).unwrap();
    commit(&mut table, "a").unwrap();
    let mut transaction = table.transaction();
    transaction.set_domain("state", "1");
    let e = transaction.commit().unwrap_err();
    assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("no feature domainMetadata"), "{e}");
    assert_eq!(paths(&table), ["a"]);
}

#[test]
fn logs_that_are_broken_or_ask_for_more_are_refused_in_one_clear_line() {
    let vectors = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}"#;
    let mapped = METADATA.replace("\"configuration\":{}", "\"configuration\":{\"delta.columnMapping.mode\":\"name\"}");
    let outside = r#"{"add":{"path":"s3://b/x","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}"#;
    let wrong = METADATA.replace("[\"window_start\"]", "[\"nope\"]");
    for (versions, wanted) in [
        (vec![vec![OLD_PROTOCOL]], "memory:: version 0: the table's log has no metaData action up to here"),
        (vec![vec![METADATA]], "memory:: version 0: the table's log has no protocol action up to here"),
        (vec![vec![OLD_PROTOCOL, METADATA], vec!["{\"add\":{\"path\":"]], "memory:: version 1: line 1: EOF"),
        (
            vec![vec![vectors, METADATA]],
            "memory:: version 0: reading this table needs the Delta feature deletionVectors",
        ),
        (
            vec![vec![OLD_PROTOCOL, &mapped]],
            "memory:: version 0: reading this table needs the Delta feature columnMapping",
        ),
        (vec![vec![OLD_PROTOCOL, METADATA, outside]], "memory:: version 0: file s3://b/x is outside"),
        (vec![vec![OLD_PROTOCOL, &wrong]], "memory:: version 0, column nope: the table is partitioned by a column"),
    ] {
        let versions: Vec<&[&str]> = versions.iter().map(Vec::as_slice).collect();
        let e = foreign(&versions).unwrap_err().to_string();
        assert!(e.starts_with(wanted), "{e}\nwanted: {wanted}");
        assert_eq!(e.lines().count(), 1);
    }
}

#[test]
fn gaps_are_corrupt_and_checkpoints_of_other_kinds_unsupported() {
    let open = |names: &[&str]| {
        let memory = Memory::new();
        for name in names {
            memory.put(&format!("_delta_log/{name}"), [OLD_PROTOCOL, METADATA].join("\n")).unwrap();
        }
        Table::open(Arc::new(memory))
    };
    let [zero, one, two] = [0, 1, 2].map(|v| format!("{v:020}.json"));
    let checkpoint = format!("{:020}.checkpoint.of-another-kind.parquet", 1);
    let e = open(&[&zero, &two]).unwrap_err();
    assert!(matches!(e, Error::Corrupt(_)), "{e}");
    assert_eq!(e.to_string(), "memory:: version 1: is missing from the table's log, which has version 2");
    assert!(matches!(open(&[&one]), Err(Error::Corrupt(_))));
    for names in [vec![checkpoint.as_str(), &one, &two], vec![checkpoint.as_str()]] {
        let e = open(&names).unwrap_err();
        assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("checkpoint of version 1"), "{e}");
    }
    // A checkpoint beside a whole log is only a shortcut; other files are none of our business.
    let crc = format!("{:020}.crc", 1);
    let names = [
        zero.as_str(),
        &one,
        &checkpoint,
        &crc,
        "_last_checkpoint",
        "00000000000000000000.00000000000000000001.compacted.json",
    ];
    assert_eq!(open(&names).unwrap().snapshot().version, 1);
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_log_with_any_bytes_changed_is_read_or_refused(changes in proptest::collection::vec((0..2000_usize, 0..=255_u8), 1..6), cut in 0..4000_usize) {
        let memory = Memory::new();
        let mut table = Table::create(Arc::new(memory.clone()), schema(), options()).unwrap();
        let mut transaction = table.transaction();
        let stats = Some(r#"{"numRecords":1,"minValues":{"delay":1},"maxValues":{"delay":2},"nullCount":{"delay":0}}"#.to_owned());
        transaction.add(AddFile { stats, ..file("a%3A/b") }).remove("x").set_domain("d", "{}").txn("t", 1);
        transaction.commit().unwrap_err();
        let mut transaction = table.transaction();
        transaction.add(file("a%3A/b")).set_domain("d", "{}").txn("t", 1);
        transaction.commit().unwrap();
        for version in 0..2 {
            let path = format!("_delta_log/{version:020}.json");
            let mut bytes = memory.get(&path).unwrap().to_vec();
            let length = bytes.len();
            for (at, byte) in &changes {
                bytes[at % length] = *byte;
            }
            bytes.truncate(cut.max(1));
            memory.put(&path, bytes).unwrap();
        }
        if let Ok(table) = Table::open(Arc::new(memory)) {
            let predicate = hypostyle::predicate::col("delay").gt(5);
            if let Ok(scan) = table.scan(hypostyle::table::ScanOptions::default().with_predicate(predicate)) {
                for batch in scan {
                    proptest::prop_assert!(batch.is_err(), "no data file is there");
                }
            }
            let _ = table.history(10).map(|history| history.len());
        }
    }
}
