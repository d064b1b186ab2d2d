//! A crash at every operation of the disk, and other writers of the same sink.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hypostyle::ingest::{Ingest, IngestOptions, Summary};
use hypostyle::storage::{Fault, FaultPlan, Faulty, Memory, Storage};
use hypostyle::table::{Table, VacuumOptions};
use hypostyle::{Error, Result};

use crate::folder::Folder;
use crate::read_back::{World, options, records};

/// Commits in the middle of the run, with windows open over them.
fn busy() -> IngestOptions {
    let mut options = options();
    options.commit_windows = 2;
    options.max_open = 3;
    // So that the order of operations is the same each time.
    options.finish_threads = 0;
    options
}

/// Out of order, with bad records, over two partitions.
fn source() -> World {
    let mut a = String::new();
    for part in 0..4 {
        a += &records(part * 10, (0..10).map(|at| (part * 60 + at * 17) % 300));
        a += "bad\n";
    }
    World::new(&[("a.ndjson", &a), ("b.ndjson", &records(1_000, (0..15).map(|at| (at * 61) % 240)))])
}

#[test]
fn two_writers_of_one_sink_lose_nothing_and_double_nothing() {
    let world = World::new(&[("a.ndjson", &records(0, 0..300)), ("b.ndjson", &records(1_000, 0..300))]);
    let mut first = world.open(busy()).unwrap();
    let mut second = world.open(busy()).unwrap();
    first.run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let version = world.version();
    let e = second.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(e, Error::Conflict(_)), "{e}");
    assert!(e.to_string().contains("another writer owns") && e.to_string().contains("sink default"), "{e}");
    assert_eq!((world.version(), world.rows()), (version, world.expected()));
    // Its files are gone, as far as it knew of them; and it does not go on.
    let live = Table::open(Arc::new(world.table.clone())).unwrap().snapshot().files.len();
    assert_eq!(world.table.list("window_start").unwrap().len(), live);
    assert!(second.run(&AtomicBool::new(false), &mut |_| {}).is_err());
    world.check_books();
}

#[test]
fn the_loser_of_the_dead_letters_stops_too() {
    let world = World::new(&[("a.ndjson", &format!("{}bad\n", records(0, 0..10)))]);
    let mut first = world.open(options()).unwrap();
    let mut second = world.open(options()).unwrap();
    first.run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let e = second.run(&AtomicBool::new(false), &mut |_| {}).unwrap_err();
    assert!(matches!(e, Error::Conflict(_)), "{e}");
    assert_eq!((world.rows(), world.dead_letters().len()), (world.expected(), 1));
}

#[test]
fn two_sinks_of_one_table_do_not_mind_each_other() {
    let world = World::new(&[("a.ndjson", &records(0, 0..300))]);
    let mut other = busy();
    other.sink = "other".into();
    let mut first = world.open(busy()).unwrap();
    let mut second = world.open(other).unwrap();
    first.run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    second.run(&AtomicBool::new(false), &mut |_| {}).unwrap();
    assert_eq!(world.rows().len(), 600);
    world.check_books();
}

fn run_on(world: &World, disk: &Faulty) -> Result<Summary> {
    let disk: Arc<dyn Storage> = Arc::new(disk.clone());
    let (table, dead) = (Folder::at(&disk, "table"), Folder::at(&disk, "dead"));
    Ingest::new(Box::new(world.log()), table, dead, busy())?.run(&AtomicBool::new(false), &mut |_| {})
}

/// The disk's table and dead letters, apart, as [`World`] has them.
fn apart(world: &World, disk: &Memory) -> World {
    let apart = World { source: world.source.clone(), ..World::default() };
    for entry in disk.list("").unwrap() {
        let (folder, path) = entry.path.split_once('/').unwrap();
        let to = if folder == "table" { &apart.table } else { &apart.dead };
        to.put(path, disk.get(&entry.path).unwrap()).unwrap();
    }
    apart
}

/// The table is whole, has each record once, and nothing but live files once it is vacuumed.
fn check_whole(world: &World, disk: &Memory) {
    let apart = apart(world, disk);
    assert_eq!(apart.rows(), apart.expected());
    let letters: Vec<String> =
        apart.dead_letters().into_iter().map(|(_, offset, raw)| format!("{offset} {raw}")).collect();
    let text = String::from_utf8(world.source.get("a.ndjson").unwrap().to_vec()).unwrap();
    let bad: Vec<String> = text.match_indices("bad").map(|(at, bad)| format!("{at} {bad}")).collect();
    assert_eq!(letters, bad);
    apart.check_books();
    for memory in [&apart.table, &apart.dead] {
        let mut table = Table::open(Arc::new(memory.clone())).unwrap();
        table.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
        let mut files: Vec<String> = memory.list("").unwrap().into_iter().map(|entry| entry.path).collect();
        files.retain(|path| path.ends_with(".parquet"));
        assert_eq!(files, table.snapshot().files.keys().cloned().collect::<Vec<_>>());
    }
    assert_eq!(apart.rows(), apart.expected());
}

#[test]
fn a_crash_at_any_operation_costs_nothing() {
    let world = source();
    let whole = Faulty::new(&Memory::new(), FaultPlan::default());
    let summary = run_on(&world, &whole).unwrap();
    assert!(summary.commits >= 4 && summary.files > 8, "{summary:?}");
    let operations = whole.operations();
    assert!(operations > 100, "{operations}");
    for crash_at in 1..=operations {
        let plan = FaultPlan { seed: crash_at, crash_at: Some(crash_at), ..FaultPlan::default() };
        let disk = Faulty::new(&Memory::new(), plan);
        let crashed = run_on(&world, &disk);
        assert!(disk.crashed() && (crashed.is_err() || crash_at == operations), "{crash_at}");
        let after = disk.after_crash(crash_at.wrapping_mul(0x9E37_79B9));
        // A second crash, while the first is being made good.
        let plan = FaultPlan { seed: crash_at, crash_at: Some(1 + crash_at * 7 % 60), ..FaultPlan::default() };
        let disk = Faulty::new(&after, plan);
        let again = run_on(&world, &disk);
        let after = if disk.crashed() { disk.after_crash(crash_at) } else { after_run(&disk, again.is_ok()) };
        let disk = Faulty::new(&after, FaultPlan::default());
        run_on(&world, &disk).unwrap_or_else(|e| panic!("crash at {crash_at}: {e}"));
        assert_eq!(run_on(&world, &disk).unwrap().commits, 0);
        check_whole(&world, &after_run(&disk, true));
    }
}

/// What the disk holds after a run that ended well: all of it was synced, so a crash then takes nothing away.
fn after_run(disk: &Faulty, is_ok: bool) -> Memory {
    assert!(is_ok);
    disk.after_crash(0)
}

#[test]
fn an_operation_that_fails_costs_nothing() {
    let world = source();
    let whole = Faulty::new(&Memory::new(), FaultPlan::default());
    run_on(&world, &whole).unwrap();
    let mut failed = 0;
    for at in 1..=whole.operations() {
        {
            let fault = [Fault::NoSpace, Fault::Io, Fault::AnswerLost, Fault::ShortWrite][at as usize % 4];
            let disk =
                Faulty::new(&Memory::new(), FaultPlan { seed: at, faults: vec![(at, fault)], ..FaultPlan::default() });
            let run = run_on(&world, &disk);
            failed += usize::from(run.is_err());
            if let Err(e) = run {
                assert!(matches!(e, Error::Io(_)), "{fault:?} at {at}: {e}");
                run_on(&world, &disk).unwrap_or_else(|e| panic!("{fault:?} at {at}: {e}"));
            }
            check_whole(&world, &disk.after_crash(at));
        }
    }
    assert!(failed > 50, "{failed}");
}

/// Batches are encoded by other threads, which meet the fault.
#[test]
fn an_operation_that_fails_on_a_thread_costs_nothing() {
    let parts = (0..3).map(|part| records(part * 10_000, (0..10_000).map(|at| at % 120)));
    let text: String = parts.chain(["bad\n".into()]).collect();
    let world = World::new(&[("a.ndjson", &text)]);
    let run = |disk: &Faulty| {
        let disk: Arc<dyn Storage> = Arc::new(disk.clone());
        let (table, dead) = (Folder::at(&disk, "table"), Folder::at(&disk, "dead"));
        let options = IngestOptions { threads: 3, target_file_bytes: 40_000, ..busy() };
        Ingest::new(Box::new(world.log()), table, dead, options)?.run(&AtomicBool::new(false), &mut |_| {})
    };
    let whole = Faulty::new(&Memory::new(), FaultPlan::default());
    assert!(run(&whole).unwrap().files > 2);
    let mut failed = 0;
    for at in 1..=whole.operations() {
        let fault = [Fault::NoSpace, Fault::Io, Fault::AnswerLost, Fault::ShortWrite][at as usize % 4];
        let disk =
            Faulty::new(&Memory::new(), FaultPlan { seed: at, faults: vec![(at, fault)], ..FaultPlan::default() });
        if let Err(e) = run(&disk) {
            failed += 1;
            assert!(matches!(e, Error::Io(_)), "{fault:?} at {at}: {e}");
            run(&disk).unwrap_or_else(|e| panic!("{fault:?} at {at}: {e}"));
        }
        check_whole(&world, &disk.after_crash(at));
    }
    assert!(failed > 10, "{failed}");
}
