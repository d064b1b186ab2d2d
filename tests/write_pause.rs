//! A paused file goes on: after a pause in the same process, a crash of the machine at any operation, a SIGKILL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use generate::Random;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, PauseToken, WriterOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{FaultPlan, Faulty, Local, Memory, Storage, is_not_found};
use hypostyle::table::{CreateOptions, Table, VacuumOptions};
use hypostyle::{Error, Result};
use proptest::prelude::*;

/// Rows `from..to` of one endless stream: ids in order, texts, lists.
fn rows(from: usize, to: usize) -> RecordBatch {
    let ids = Int64Array::from_iter_values((from..to).map(|n| n as i64));
    let texts = StringArray::from_iter((from..to).map(|n| (n % 5 > 0).then(|| format!("text {}", n % 97))));
    let lists = OffsetBuffer::<i32>::from_lengths((from..to).map(|n| n % 3));
    let values = Int64Array::from_iter_values((from..to).flat_map(|n| (0..n % 3).map(move |k| (10 * n + k) as i64)));
    let element = Arc::new(Field::new("element", DataType::Int64, true));
    let lists = ListArray::new(element, lists, Arc::new(values), None);
    RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(texts), Arc::new(lists)]).unwrap()
}

fn schema() -> SchemaRef {
    let list = DataType::List(Arc::new(Field::new("element", DataType::Int64, true)));
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("list", list, true),
    ]))
}

fn options() -> WriterOptions {
    WriterOptions::default().with_page_rows(50).with_row_group_rows(400).with_key_value("who", "me")
}

fn begin(storage: &dyn Storage) -> FileWriter {
    FileWriter::new(storage.create("day/f.parquet").unwrap(), schema(), options()).unwrap()
}

fn resume(storage: &dyn Storage, token: &PauseToken) -> Result<FileWriter> {
    FileWriter::resume(storage, token, schema(), options())
}

fn open(storage: &dyn Storage) -> FileReader {
    FileReader::open(storage.open("day/f.parquet").unwrap(), ReaderOptions::default()).unwrap()
}

fn read(storage: &dyn Storage) -> RecordBatch {
    let batches: Vec<RecordBatch> = open(storage).scan(ScanOptions::default()).unwrap().collect::<Result<_>>().unwrap();
    concat_batches(&schema(), &batches).unwrap()
}

/// All rows once, in order, and indexes that prune as in any file.
fn check(storage: &dyn Storage, count: usize) {
    assert_eq!(read(storage), rows(0, count));
    let file = open(storage);
    assert_eq!(file.metadata().unwrap().num_rows, count as i64);
    assert!(file.metadata().unwrap().key_value_metadata.iter().flatten().any(|pair| pair.key == "who"));
    let (mut first, wanted) = (0, (count / 2) as i64);
    for (number, group) in file.metadata().unwrap().row_groups.iter().enumerate() {
        assert_eq!(group.ordinal, Some(number as i16));
        assert_eq!(group.columns.len(), 3);
        let bounds = file.chunk_bounds(number, 0).unwrap();
        let min = bounds.min.unwrap();
        assert_eq!(*min, Int64Array::from(vec![first]) as Int64Array);
        first += group.num_rows;
        for column in 0..3 {
            let index = file.offset_index(number, column).unwrap().expect("an offset index");
            assert_eq!(index.page_locations[0].first_row_index, 0);
        }
        assert!(file.column_index(number, 0).unwrap().is_some());
    }
    let mut scan = file.scan(ScanOptions::default().with_predicate(col("id").eq(wanted))).unwrap();
    let found: Vec<RecordBatch> = scan.by_ref().collect::<Result<_>>().unwrap();
    assert_eq!(found, [rows(count / 2, count / 2 + 1)]);
    assert!(scan.counts().rows_read <= 50, "the page index is used: {:?}", scan.counts());
}

fn through_bytes(token: &PauseToken) -> PauseToken {
    PauseToken::from_bytes(&token.to_bytes().unwrap()).unwrap()
}

#[test]
fn a_resumed_file_is_the_bytes_of_one_that_was_flushed_there() {
    let (whole, parts) = (Memory::new(), Memory::new());
    let mut writer = begin(&whole);
    let mut paused = begin(&parts);
    for (from, to) in [(0, 130), (130, 131), (131, 1000), (1000, 1000)] {
        writer.write(&rows(from, to)).unwrap();
        writer.flush().unwrap();
        paused.write(&rows(from, to)).unwrap();
        let token = through_bytes(&paused.pause().unwrap());
        assert_eq!((token.rows(), token.path()), (to as u64, "day/f.parquet"));
        // These rows are lost.
        paused.write(&rows(0, 77)).unwrap();
        drop(paused);
        paused = resume(&parts, &token).unwrap();
        assert_eq!(paused.rows(), to as u64);
    }
    writer.write(&rows(1000, 1500)).unwrap();
    paused.write(&rows(1000, 1500)).unwrap();
    writer.finish().unwrap();
    let written = paused.finish().unwrap();
    assert_eq!(whole.get("day/f.parquet"), parts.get("day/f.parquet"));
    assert_eq!(written.bytes, parts.get("day/f.parquet").unwrap().len() as u64);
    assert_eq!(parts.list_unfinished().unwrap(), []);
    check(&parts, 1500);
}

#[test]
fn a_token_is_small() {
    let memory = Memory::new();
    let mut writer =
        FileWriter::new(memory.create("day/f.parquet").unwrap(), schema(), WriterOptions::default()).unwrap();
    let mut random = Random::new(1);
    for _ in 0..30 {
        let ids = Int64Array::from_iter_values((0..20_000).map(|_| random.next() as i64));
        let batch = rows(0, 20_000);
        let columns = vec![Arc::new(ids) as _, batch.column(1).clone(), batch.column(2).clone()];
        writer.write(&RecordBatch::try_new(schema(), columns).unwrap()).unwrap();
    }
    let bytes = writer.pause().unwrap().to_bytes().unwrap().len();
    assert!((bytes as u64) < writer.file_bytes() / 500, "{bytes} of {}", writer.file_bytes());
}

#[test]
fn an_older_token_goes_back_and_a_finished_or_discarded_file_is_gone() {
    let memory = Memory::new();
    let mut writer = begin(&memory);
    writer.write(&rows(0, 100)).unwrap();
    let older = writer.pause().unwrap();
    writer.write(&rows(100, 200)).unwrap();
    let newer = writer.pause().unwrap();
    drop(writer);
    let mut writer = resume(&memory, &older).unwrap();
    writer.write(&rows(100, 150)).unwrap();
    let e = { resume(&memory, &newer).map(|_| ()) };
    // In memory only what was paused is there; the newer state still is.
    assert!(e.is_ok());
    writer.finish().unwrap();
    check(&memory, 150);
    let e = resume(&memory, &older).unwrap_err();
    assert!(is_not_found(&e) && e.to_string().contains("was it finished, or removed?"), "{e}");

    let mut writer = begin(&memory);
    writer.write(&rows(0, 100)).unwrap();
    let token = writer.pause().unwrap();
    drop(writer);
    assert_eq!(memory.list_unfinished().unwrap().len(), 1);
    token.clone().discard(&memory).unwrap();
    assert_eq!(memory.list_unfinished().unwrap(), []);
    assert!(is_not_found(&resume(&memory, &token).unwrap_err()));
}

#[test]
fn a_damaged_token_is_corrupt_at_every_byte() {
    let memory = Memory::new();
    let mut writer = begin(&memory);
    writer.write(&rows(0, 60)).unwrap();
    let bytes = writer.pause().unwrap().to_bytes().unwrap();
    for at in 0..bytes.len() {
        for change in [1, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            let e = PauseToken::from_bytes(&damaged).unwrap_err();
            assert!(matches!(e, Error::Corrupt(_)), "byte {at}: {e}");
        }
        assert!(matches!(PauseToken::from_bytes(&bytes[..at]), Err(Error::Corrupt(_))), "{at} bytes");
    }
}

#[test]
fn another_file_and_another_schema_are_refused_and_nothing_is_cut() {
    let memory = Memory::new();
    let mut writer = begin(&memory);
    writer.write(&rows(0, 60)).unwrap();
    let token = writer.pause().unwrap();
    drop(writer);
    let hidden = memory.list_unfinished().unwrap().remove(0).path;
    let there = memory.get(&hidden).unwrap();

    let fields = |change: &dyn Fn(&mut Vec<Field>)| {
        let mut fields: Vec<Field> = schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        change(&mut fields);
        let e = FileWriter::resume(&memory, &token, Arc::new(Schema::new(fields)), options()).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)), "{e}");
        e.to_string()
    };
    let e = fields(&|f| f[0] = Field::new("id", DataType::Int32, false));
    assert_eq!(e, "column id: another schema: Int32, where it is Int64");
    let e = fields(&|f| f[1] = Field::new("text", DataType::LargeUtf8, true));
    assert_eq!(e, "column text: LargeUtf8 is given, the file was begun with Utf8");
    let e = fields(&|f| drop(f.pop()));
    assert_eq!(e, "column list: another schema: it is missing");

    memory.put(&hidden, there.slice(..there.len() - 1)).unwrap();
    let e = resume(&memory, &token).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("the paused file has"), "{e}");
    let mut other = there.to_vec();
    *other.last_mut().unwrap() ^= 1;
    memory.put(&hidden, other.clone()).unwrap();
    let e = resume(&memory, &token).unwrap_err();
    assert!(e.to_string().contains("another file is in the place of the paused one"), "{e}");
    assert_eq!(memory.get(&hidden).unwrap(), other);

    memory.put(&hidden, there).unwrap();
    resume(&memory, &token).unwrap().finish().unwrap();
    check(&memory, 60);
}

#[test]
fn while_the_paused_writer_lives_nobody_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::new(folder.path()).unwrap();
    let mut writer = begin(&local);
    writer.write(&rows(0, 60)).unwrap();
    let token = writer.pause().unwrap();
    let e = resume(&local, &token).unwrap_err();
    assert!(matches!(e, Error::Conflict(_)), "{e}");
    drop(writer);
    let mut writer = resume(&local, &token).unwrap();
    assert!(matches!(resume(&local, &token), Err(Error::Conflict(_))));
    writer.write(&rows(60, 100)).unwrap();
    writer.finish().unwrap();
    check(&local, 100);
}

/// Pauses at each of `pauses`, and finishes at `ROWS`; the tokens are kept outside of the disk that crashes.
fn run(disk: &Faulty, token: Option<&PauseToken>, pauses: &[usize], tokens: &mut Vec<PauseToken>) -> Result<()> {
    let mut writer = match token {
        Some(token) => resume(disk, token)?,
        None => FileWriter::new(disk.create("day/f.parquet")?, schema(), options())?,
    };
    for to in pauses.iter().copied().filter(|to| *to as u64 > token.map_or(0, PauseToken::rows)) {
        writer.write(&rows(writer.rows() as usize, to))?;
        tokens.push(through_bytes(&writer.pause()?));
    }
    writer.write(&rows(writer.rows() as usize, ROWS))?;
    writer.finish().map(|_| ())
}

const ROWS: usize = 500;

#[test]
fn after_a_crash_at_every_operation_and_another_one_the_file_goes_on() {
    const PAUSES: [usize; 3] = [40, 41, 300];
    let whole = Faulty::new(&Memory::new(), FaultPlan::default());
    run(&whole, None, &PAUSES, &mut Vec::new()).unwrap();
    let operations = whole.operations();
    assert!(operations > 12, "{operations}");
    let (mut resumed, mut finished, mut twice) = (0, 0, 0);
    for crash_at in 1..=operations {
        for seed in 0..12 {
            let what = format!("crash at {crash_at}, seed {seed}");
            let mut tokens = Vec::new();
            let plan = |seed, crash_at| FaultPlan { seed, crash_at: Some(crash_at), faults: vec![] };
            let disk = Faulty::new(&Memory::new(), plan(seed, crash_at));
            let mut ended = run(&disk, None, &PAUSES, &mut tokens);
            let mut after = disk.after_crash(seed ^ 77);
            // The next process may die, too.
            if let Some(token) = tokens.last().cloned().filter(|_| ended.is_err()) {
                let disk = Faulty::new(&after, plan(seed, seed + 1));
                ended = run(&disk, Some(&token), &PAUSES, &mut tokens);
                twice += usize::from(disk.crashed());
                after = disk.after_crash(seed);
            }
            let there = after.get("day/f.parquet").is_some();
            assert!(ended.is_err() || there, "{what}: acknowledged and lost");
            if there {
                // The answer may have been lost, but a file that is there is whole.
                check(&after, ROWS);
                finished += 1;
                continue;
            }
            let Some(token) = tokens.last() else { continue };
            run(&Faulty::new(&after, FaultPlan::default()), Some(token), &PAUSES, &mut tokens.clone()).expect(&what);
            let disk = Faulty::new(&after, FaultPlan::default());
            run(&disk, Some(token), &PAUSES, &mut Vec::new()).expect(&what);
            check(&disk, ROWS);
            assert_eq!(disk.list_unfinished().unwrap(), [], "{what}");
            resumed += 1;
        }
    }
    assert!(
        resumed > 40 && finished > 20 && twice > 40,
        "{resumed} resumed, {finished} finished, {twice} crashed twice"
    );
}

#[test]
fn a_vacuum_takes_a_paused_file_only_when_it_is_old() {
    let memory = Memory::new();
    let columns = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    let mut table = Table::create(Arc::new(memory.clone()), columns, CreateOptions::default()).unwrap();
    let mut writer = begin(&memory);
    writer.write(&rows(0, 60)).unwrap();
    let token = writer.pause().unwrap();
    drop(writer);
    let report = table.vacuum(&VacuumOptions::default()).unwrap();
    assert_eq!((report.removed.len(), report.kept_young.len()), (0, 1));
    let mut writer = resume(&memory, &token).unwrap();
    writer.write(&rows(60, 61)).unwrap();
    drop(writer);
    let hidden = memory.list_unfinished().unwrap().remove(0).path;
    assert!(memory.set_modified_ms(&hidden, 1_000));
    assert_eq!(table.vacuum(&VacuumOptions::default()).unwrap().removed.len(), 1);
    assert!(is_not_found(&resume(&memory, &token).unwrap_err()));
}

const CHILD: &str = "HYPOSTYLE_PAUSE_CHILD";

/// Not a test of its own: what is killed in the next one.
#[test]
#[ignore = "started by the test of kills"]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let local = Local::new(&folder).unwrap();
    let mut writer = match local.open("token") {
        Ok(token) => {
            let token = PauseToken::from_bytes(&token.read(0..token.bytes()).unwrap()).unwrap();
            resume(&local, &token).unwrap()
        }
        Err(_) => begin(&local),
    };
    while writer.rows() < KILLED_ROWS as u64 {
        let from = writer.rows() as usize;
        writer.write(&rows(from, from + 100)).unwrap();
        let token = writer.pause().unwrap().to_bytes().unwrap();
        let mut out = local.create("token").unwrap();
        out.append(&token).unwrap();
        out.finish().unwrap();
    }
    writer.finish().unwrap();
}

const KILLED_ROWS: usize = 12_000;

#[test]
fn a_killed_process_goes_on() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let run = |folder: &Path| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child", "--ignored"]).env(CHILD, folder).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    let whole = folder.path().join("whole");
    let from = Instant::now();
    assert!(run(&whole).wait().unwrap().success());
    let a_run = from.elapsed().max(Duration::from_millis(20));
    check(&Local::new(&whole).unwrap(), KILLED_ROWS);

    let mut random = Random::new(from.elapsed().as_nanos() as u64);
    let mut kills = 0;
    for round in 0.. {
        let folder = folder.path().join(format!("{round}"));
        let local = Local::new(&folder).unwrap();
        loop {
            let mut child = run(&folder);
            // What is killed at a random moment, not waited for.
            std::thread::sleep(a_run.mul_f64(random.below(1000) as f64 / 2000.0));
            if child.try_wait().unwrap().is_some_and(|status| status.success()) {
                break;
            }
            child.kill().unwrap();
            let ended = child.wait().unwrap();
            if ended.success() || local.open("day/f.parquet").is_ok() {
                break;
            }
            kills += 1;
        }
        check(&local, KILLED_ROWS);
        if kills >= 10 {
            break;
        }
        assert!(round < 200, "{kills} kills only");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_splits_give_the_same_rows(
        ends in proptest::collection::vec((0..400usize, 0..3u8), 1..8),
        last in 1..400usize,
    ) {
        let memory = Memory::new();
        let mut writer = begin(&memory);
        let mut at = 0;
        for (more, what) in ends {
            writer.write(&rows(at, at + more)).unwrap();
            at += more;
            if what > 0 {
                let token = writer.pause().unwrap();
                if what > 1 {
                    drop(writer);
                    writer = resume(&memory, &through_bytes(&token)).unwrap();
                }
            }
        }
        writer.write(&rows(at, at + last)).unwrap();
        writer.finish().unwrap();
        check(&memory, at + last);
    }
}
