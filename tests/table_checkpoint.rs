//! Tables whose log begins with a checkpoint, as others leave them when they clean up.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use hypostyle::Error;
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Memory, Storage};
use hypostyle::table::{
    AddFile, CompactOptions, CreateOptions, PartitionValues, ScanOptions, Snapshot, Table, VacuumOptions,
};

fn table_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("day", DataType::Utf8, true), Field::new("n", DataType::Int64, true)]))
}

/// The columns of a checkpoint, with one that we do not know.
fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let integer = |name: &str| Field::new(name, DataType::Int64, true);
    let map = |name: &str| {
        Field::new_map(name, "key_value", Field::new("key", DataType::Utf8, false), text("value"), false, true)
    };
    let list = |name: &str| Field::new_list(name, text("element"), true);
    let part = |name: &str, fields: Vec<Field>| Field::new(name, DataType::Struct(Fields::from(fields)), true);
    let boolean = |name: &str| Field::new(name, DataType::Boolean, true);
    let stats = part("stats_parsed", vec![integer("numRecords")]);
    let format = part("format", vec![text("provider"), map("options")]);
    let versions = ["minReaderVersion", "minWriterVersion"].map(|name| Field::new(name, DataType::Int32, true));
    let [reader, writer] = versions;
    let file = || vec![text("path"), map("partitionValues"), integer("size"), boolean("dataChange")];
    let add = vec![
        integer("modificationTime"),
        text("stats"),
        stats,
        map("tags"),
        part("deletionVector", vec![text("storageType")]),
    ];
    Arc::new(Schema::new(vec![
        part("txn", vec![text("appId"), integer("version"), integer("lastUpdated")]),
        part("add", [file(), add].concat()),
        part("remove", [file(), vec![integer("deletionTimestamp")]].concat()),
        part(
            "metaData",
            vec![
                text("id"),
                text("name"),
                format,
                text("schemaString"),
                list("partitionColumns"),
                map("configuration"),
                integer("createdTime"),
            ],
        ),
        part("protocol", vec![reader, writer, list("readerFeatures"), list("writerFeatures")]),
        part("domainMetadata", vec![text("domain"), text("configuration"), boolean("removed")]),
        part("checkpointMetadata", vec![integer("version")]),
        part("sidecar", vec![text("path"), integer("sizeInBytes"), integer("modificationTime")]),
        part("sidecarOfTomorrow", vec![text("path")]),
    ]))
}

/// A checkpoint's file of these actions, one JSON object a line.
fn checkpoint(actions: &str) -> Vec<u8> {
    let mut decoder = arrow_json::ReaderBuilder::new(schema()).build_decoder().unwrap();
    decoder.decode(actions.as_bytes()).unwrap();
    let batch = decoder.flush().unwrap().unwrap();
    let storage = Memory::new();
    let mut writer = FileWriter::new(storage.create("c").unwrap(), schema(), WriterOptions::default()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    storage.get("c").unwrap().to_vec()
}

fn log(version: u64, ending: &str) -> String {
    format!("_delta_log/{version:020}{ending}")
}

/// A table of five versions: three files added, one removed again, state of writers; and all that its log holds at version 4,
/// as a checkpoint has it.
fn table() -> (Memory, Vec<String>) {
    let memory = Memory::new();
    let options = CreateOptions::default()
        .with_partition_columns(["day"])
        .with_property("delta.logRetentionDuration", "interval 1 day");
    let mut table = Table::create(Arc::new(memory.clone()), table_schema(), options).unwrap();
    for at in 0..3 {
        add(&mut table, if at == 1 { None } else { Some("a b") }, at * 10);
    }
    let first = table
        .snapshot()
        .files
        .values()
        .find(|file| file.rows() == Some(10) && file.modified_ms == 0)
        .unwrap()
        .path
        .clone();
    let mut transaction = table.transaction();
    transaction.remove(first).txn("app", 7).set_domain("state", "{\"x\":1}");
    transaction.commit().unwrap();
    let mut actions = Vec::new();
    let mut removed = Vec::new();
    for version in 0..=4 {
        let text = String::from_utf8(memory.get(&log(version, ".json")).unwrap().to_vec()).unwrap();
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            if value.get("commitInfo").is_some() {
                continue;
            }
            if let Some(remove) = value.get("remove") {
                removed.push(remove["path"].as_str().unwrap().to_owned());
            }
            actions.push(line.to_owned());
        }
    }
    // What was removed is no longer among what was added.
    actions.retain(|line| !line.contains("\"add\"") || removed.iter().all(|path| !line.contains(path)));
    (memory, actions)
}

fn add(table: &mut Table, day: Option<&str>, from: i64) {
    let values = PartitionValues::from([("day".to_owned(), day.map(str::to_owned))]);
    let path = table.data_path(&values);
    let files = table.snapshot().file_schema();
    let mut writer =
        FileWriter::new(table.storage().create(&path).unwrap(), Arc::clone(&files), WriterOptions::default()).unwrap();
    writer
        .write(&RecordBatch::try_new(files, vec![Arc::new(Int64Array::from_iter_values(from..from + 10))]).unwrap())
        .unwrap();
    let written = writer.finish().unwrap();
    let mut file = AddFile::from_written(&written, &table.snapshot().schema, path, values).unwrap();
    file.modified_ms = from;
    file.tags.insert("t".to_owned(), "v".to_owned());
    let mut transaction = table.transaction();
    transaction.add(file);
    transaction.commit().unwrap();
}

/// The same log without the commits up to a version.
fn cleaned(memory: &Memory, up_to: u64) -> Memory {
    let cleaned = Memory::new();
    for entry in memory.list("").unwrap() {
        if (0..=up_to).all(|version| entry.path != log(version, ".json")) {
            cleaned.put(&entry.path, memory.get(&entry.path).unwrap()).unwrap();
        }
    }
    cleaned
}

fn open(memory: &Memory) -> hypostyle::Result<Table> {
    Table::open(Arc::new(memory.clone()))
}

fn assert_same(found: &Snapshot, expected: &Snapshot) {
    assert_eq!(found.version, expected.version);
    assert_eq!(found.protocol, expected.protocol);
    assert_eq!(found.metadata, expected.metadata);
    assert_eq!(found.files, expected.files);
    assert_eq!(found.removed, expected.removed);
    assert_eq!((&found.txns, &found.domains), (&expected.txns, &expected.domains));
}

fn rows(table: &Table) -> usize {
    table.scan(ScanOptions::default()).unwrap().map(|batch| batch.unwrap().num_rows()).sum()
}

#[test]
fn a_log_that_begins_with_a_checkpoint_is_the_same_table_and_goes_on() {
    let (memory, actions) = table();
    let whole = open(&memory).unwrap();
    memory.put(&log(4, ".checkpoint.parquet"), checkpoint(&actions.join("\n"))).unwrap();
    // All commits before it are gone, or those up to it, or some.
    for up_to in [1, 3, 4] {
        let cleaned = cleaned(&memory, up_to);
        let mut table = open(&cleaned).unwrap();
        assert_same(table.snapshot(), whole.snapshot());
        assert_eq!(rows(&table), 20);
        assert_eq!(table.history(100).unwrap().len() as u64, 4 - up_to);
        add(&mut table, None, 30);
        let mut again = open(&cleaned).unwrap();
        assert_eq!((again.snapshot().version, rows(&again)), (5, 30));
        assert_eq!(table.refresh().unwrap(), 5);
        let report = again.compact(&CompactOptions::default(), &AtomicBool::new(false)).unwrap();
        assert_eq!((report.groups.len(), rows(&again)), (1, 30));
        let vacuumed = again.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
        assert_eq!((vacuumed.removed.len(), rows(&open(&cleaned).unwrap())), (3, 30));
    }
}

#[test]
fn parts_of_a_checkpoint_count_together_or_not_at_all() {
    let (memory, actions) = table();
    let whole = open(&memory).unwrap();
    let (first, second) = actions.split_at(3);
    let part = |number: u32| log(4, &format!(".checkpoint.{number:010}.0000000002.parquet"));
    let memory = cleaned(&memory, 3);
    memory.put(&part(2), checkpoint(&second.join("\n"))).unwrap();
    // The rest of it is not there (yet).
    let e = open(&memory).unwrap_err();
    assert!(matches!(e, Error::Corrupt(_)), "{e}");
    memory.put(&part(1), checkpoint(&first.join("\n"))).unwrap();
    assert_same(open(&memory).unwrap().snapshot(), whole.snapshot());
    // A later one of which a part is missing changes nothing.
    memory.put(&log(5, ".checkpoint.0000000001.0000000003.parquet"), "x").unwrap();
    assert_same(open(&memory).unwrap().snapshot(), whole.snapshot());
}

/// A v2 checkpoint of version 4 in this format, with sidecars of this name, that says so of itself.
fn put_v2(memory: &Memory, kind: &str, actions: &[String], names: &[&str]) {
    let is_file = |line: &&String| line.contains("\"add\"") || line.contains("\"remove\"");
    let (files, others): (Vec<&String>, Vec<&String>) = actions.iter().partition(is_file);
    let mut lines = vec![r#"{"checkpointMetadata":{"version":4}}"#.to_owned()];
    lines.extend(others.into_iter().cloned());
    for (name, files) in names.iter().zip(files.chunks(files.len().div_ceil(names.len().max(1)))) {
        let bytes = checkpoint(&files.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n"));
        lines.push(format!(
            r#"{{"sidecar":{{"path":"{name}","sizeInBytes":{},"modificationTime":1,"tags":{{"x":"y"}}}}}}"#,
            bytes.len()
        ));
        memory.put(&format!("_delta_log/_sidecars/{}", name.replace("%20", " ")), bytes).unwrap();
    }
    let manifest = if kind == "json" { lines.join("\n").into_bytes() } else { checkpoint(&lines.join("\n")) };
    memory.put(&log(4, &format!(".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.{kind}")), manifest).unwrap();
}

#[test]
fn a_v2_checkpoint_is_read_with_its_sidecars() {
    let (memory, mut actions) = table();
    let whole = open(&memory).unwrap();
    let protocol = actions.iter_mut().find(|line| line.contains("\"protocol\"")).unwrap();
    *protocol = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"],"writerFeatures":["v2Checkpoint","domainMetadata"]}}"#.to_owned();
    for kind in ["parquet", "json"] {
        for names in [&["3a0d.parquet", "a%20b.parquet"][..], &["one.parquet"]] {
            for up_to in [3, 4] {
                let memory = cleaned(&memory, up_to);
                put_v2(&memory, kind, &actions, names);
                let mut table = open(&memory).unwrap();
                assert_eq!(table.snapshot().protocol.reader_features, Some(vec!["v2Checkpoint".to_owned()]));
                let protocol = whole.snapshot().protocol.clone();
                assert_same(&Snapshot { protocol, ..table.snapshot().clone() }, whole.snapshot());
                assert_eq!(rows(&table), 20);
                add(&mut table, None, 30);
                assert_eq!((rows(&open(&memory).unwrap()), table.snapshot().version), (30, 5));
                // Nothing of the log is garbage.
                let before = memory.list("_delta_log/").unwrap().len();
                table.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
                assert_eq!(memory.list("_delta_log/").unwrap().len(), before);
            }
        }
    }
    // All of it in one file.
    let (memory, path) = (cleaned(&memory, 4), ".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet");
    memory.put(&log(4, path), checkpoint(&actions.join("\n"))).unwrap();
    assert_eq!(rows(&open(&memory).unwrap()), 20);
}

#[test]
fn sidecars_that_cannot_be_are_refused_with_file_and_reason() {
    let (memory, actions) = table();
    let memory = cleaned(&memory, 4);
    put_v2(&memory, "json", &actions, &["s.parquet"]);
    let path = log(4, ".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json");
    let manifest = String::from_utf8(memory.get(&path).unwrap().to_vec()).unwrap();
    let sidecar = manifest.lines().last().unwrap().to_owned();
    let line = |path: &str| sidecar.replace("s.parquet", path);
    memory.put("x.parquet", memory.get("_delta_log/_sidecars/s.parquet").unwrap()).unwrap();
    for (line, wanted) in [
        (line("../../x.parquet"), "has an empty, `.` or `..` part"),
        (line("%2e%2e/%2e%2e/x.parquet"), "has an empty, `.` or `..` part"),
        (line("/etc/passwd"), "is outside of the table's folder"),
        (line("file:///etc/passwd"), "is outside of the table's folder"),
        (line("a/b.parquet"), "is to be a name in _delta_log/_sidecars/"),
        (line("a%2Fb.parquet"), "is to be a name in _delta_log/_sidecars/"),
        (format!("{sidecar}\n{sidecar}"), "the sidecar s.parquet is named twice"),
        (sidecar.replace("\"sizeInBytes\":", "\"sizeInBytes\":1"), "the checkpoint tells of 1"),
        (sidecar.replace("\"sizeInBytes\":", "\"sizeInBytes\":-"), "line "),
        (line("gone.parquet"), "gone.parquet"),
        (r#"{"checkpointMetadata":{"version":5}}"#.to_owned(), "is of version 5"),
    ] {
        memory.put(&path, manifest.replace(&sidecar, &line)).unwrap();
        let e = open(&memory).unwrap_err();
        assert!(e.to_string().contains(wanted) && e.to_string().contains("_delta_log/"), "{e}\nwanted: {wanted}");
    }
    memory.put(&path, manifest).unwrap();
    assert_eq!(rows(&open(&memory).unwrap()), 20);
    memory.put("_delta_log/_sidecars/s.parquet", "x").unwrap();
    let e = open(&memory).unwrap_err();
    assert!(
        matches!(e, Error::Corrupt(_)) && e.to_string().contains("_sidecars/s.parquet: version 4: has 1 bytes"),
        "{e}"
    );
}

#[test]
fn what_follows_a_checkpoint_without_its_commit_is_no_hole_in_the_past() {
    let (memory, actions) = table();
    memory.put(&log(4, ".checkpoint.parquet"), checkpoint(&actions.join("\n"))).unwrap();
    let memory = cleaned(&memory, 4);
    let (mut first, mut second) = (open(&memory).unwrap(), open(&memory).unwrap());
    add(&mut first, None, 30);
    // Another has committed meanwhile; the checkpoint is still where the log goes on from.
    add(&mut second, None, 40);
    assert_eq!((second.snapshot().version, rows(&second)), (6, 40));
    // Others go on, and clean up behind a later checkpoint.
    let mut late = open(&cleaned(&memory, 6)).unwrap();
    let storage = late.storage().clone();
    let cleaner = open(&memory).unwrap();
    storage.create(&log(9, ".checkpoint.parquet")).unwrap().finish().unwrap();
    let mut transaction = late.transaction();
    transaction.set_domain("state", "late");
    let e = transaction.commit().unwrap_err();
    assert!(matches!(e, Error::Conflict(_)) && e.to_string().contains("open the table again"), "{e}");
    assert_eq!(cleaner.snapshot().version, 6);
}

/// A billion rows in a few bytes.
#[test]
fn a_checkpoint_of_one_action_a_billion_times_ends_at_its_bound() {
    let path = Arc::new(arrow_array::StringArray::from(vec![Some("a"); 1 << 20]));
    let app = Arc::new(Field::new("appId", DataType::Utf8, true));
    let version = Arc::new(Field::new("version", DataType::Int64, true));
    let numbers = Arc::new(Int64Array::from(vec![1; 1 << 20]));
    let txn = arrow_array::StructArray::from(vec![(app, path as _), (version, numbers as _)]);
    let batch = RecordBatch::try_from_iter([("txn", Arc::new(txn) as _)]).unwrap();
    let memory = Memory::new();
    let output = memory.create(&log(4, ".checkpoint.parquet")).unwrap();
    let mut writer = FileWriter::new(output, batch.schema(), WriterOptions::default()).unwrap();
    for _ in 0..16 {
        writer.write(&batch).unwrap();
    }
    let bytes = writer.finish().unwrap().bytes;
    assert!(bytes < 1 << 20, "{bytes}");
    let e = open(&memory).unwrap_err();
    assert!(
        matches!(e, Error::Limit(_)) && e.to_string().contains("checkpoint take more than 1073741824 bytes"),
        "{e}"
    );
}

#[test]
fn what_is_no_checkpoint_is_refused_with_file_row_and_reason() {
    let (memory, actions) = table();
    let memory = cleaned(&memory, 3);
    let path = log(4, ".checkpoint.parquet");
    let refused = |bytes: Vec<u8>| {
        memory.put(&path, bytes).unwrap();
        let e = open(&memory).unwrap_err();
        assert!(e.to_string().contains("00000000000000000004.checkpoint.parquet"), "{e}");
        e
    };
    let whole = checkpoint(&actions.join("\n"));
    assert!(matches!(refused(whole[..whole.len() - 1].to_vec()), Error::Corrupt(_)));
    for (line, wanted) in [
        (r#"{"add":{"path":"x","size":1}}"#, "row 0: add: has no modificationTime"),
        (r#"{"add":{"path":"x","size":-1,"modificationTime":1}}"#, "row 0: add: size is negative"),
        (r#"{"add":{"path":"../x","size":1,"modificationTime":1}}"#, r#"row 0: add: path "../x" has"#),
        (r#"{"txn":{"version":1}}"#, "row 0: txn: has no appId"),
        (r#"{"protocol":{"minReaderVersion":-1,"minWriterVersion":2}}"#, "row 0: protocol: has no minReaderVersion"),
        (
            r#"{"add":{"path":"x","size":1,"modificationTime":1,"deletionVector":{"storageType":"u"}}}"#,
            "has a deletion vector",
        ),
    ] {
        let e = refused(checkpoint(line));
        assert!(e.to_string().contains(wanted), "{e}\nwanted: {wanted}");
    }
    let without_protocol: Vec<_> = actions.iter().filter(|line| !line.contains("\"protocol\"")).cloned().collect();
    memory.put(&path, checkpoint(&without_protocol.join("\n"))).unwrap();
    assert!(open(&memory).unwrap_err().to_string().contains("no protocol action"));
}

#[test]
fn a_checkpoint_of_delta_rs_is_read() {
    let memory = Memory::new();
    memory.put(&log(2, ".checkpoint.parquet"), &include_bytes!("data/delta-rs.checkpoint.parquet")[..]).unwrap();
    let table = open(&memory).unwrap();
    let snapshot = table.snapshot();
    assert_eq!((snapshot.version, snapshot.stats().rows, snapshot.files.len()), (2, Some(15), 4));
    assert_eq!(snapshot.removed.values().collect::<Vec<_>>(), [&1_795_309_000_163; 2]);
    assert_eq!(
        (snapshot.metadata.name.as_deref(), &snapshot.metadata.partition_columns[..]),
        (Some("n"), &["kind".to_owned()][..])
    );
    assert_eq!(snapshot.metadata.configuration["delta.logRetentionDuration"], "interval 1 days");
    assert_eq!((snapshot.protocol.min_reader_version, snapshot.protocol.min_writer_version), (1, 2));
    assert_eq!(snapshot.schema.field(0).data_type(), &DataType::Int64);
    let path = "kind=a%20b/part-00000-03d4e7a6-b0e0-4a5f-8b53-acd3f8ceae44-c000.zstd.parquet";
    let file = &snapshot.files[path];
    assert_eq!((file.bytes, file.modified_ms, file.rows()), (512, 1_795_309_000_172, Some(2)));
    assert_eq!(file.partition_values["kind"].as_deref(), Some("a b"));
    assert_eq!(snapshot.files.values().filter(|file| file.partition_values["kind"].is_none()).count(), 2);
}
