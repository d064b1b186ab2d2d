//! Everything at once: workers that ingest growing files into one table, each its own and now and then another's too, compaction
//! and vacuum between them and in the middle of each other's operations, on a disk that fails, fills up and crashes.
//! After each step, what the disk would hold after a crash is compared with the model in `model`.
//!
//! Each run follows from its seed, but for the random names of files, which decide the order of files made in one millisecond.
//! `HYPOSTYLE_SIMULATOR_SEEDS=N` runs N seeds, `HYPOSTYLE_SIMULATOR_SEED=K` that one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

#[path = "../folder/mod.rs"]
mod folder;
#[path = "../hooked/mod.rs"]
mod hooked;
mod model;
mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use folder::Folder;
use hooked::{Call, Hooked};
use hypostyle::ingest::{Ingest, IngestOptions, RowSchema};
use hypostyle::log::{NdjsonLog, NdjsonOptions, Source as LogSource};
use hypostyle::storage::{Fault, FaultPlan, Faulty, Memory, Storage};
use hypostyle::table::{CompactOptions, Table, VacuumOptions};
use hypostyle::{Error, Result};
use model::{Source, WINDOW_MINUTES, check, good_lines};
use random::Random;

const PARTITIONS: u64 = 3;
const SEEDS: u64 = 60;
/// These found something once: dead letters that a crash took away though the sink's position had passed them.
const FOUND: [u64; 1] = [265];

#[test]
fn whatever_happens_each_record_is_there_once() {
    let of = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match of("HYPOSTYLE_SIMULATOR_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..of("HYPOSTYLE_SIMULATOR_SEEDS").unwrap_or(SEEDS),
    };
    for seed in FOUND {
        let told = Told(seed);
        simulate(seed, &mut Totals::default());
        drop(told);
    }
    let next = AtomicU64::new(seeds.start);
    let totals: Vec<Totals> = std::thread::scope(|scope| {
        let work = || {
            let mut totals = Totals::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end {
                    return totals;
                }
                let told = Told(seed);
                simulate(seed, &mut totals);
                drop(told);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let all = totals.into_iter().fold(Totals::default(), Totals::plus);
    println!("{} seeds: {all:?}", seeds.end - seeds.start);
    // A simulator in which nothing happens proves nothing.
    if seeds.end - seeds.start >= SEEDS {
        let Totals { runs, crashes, failures, fenced, compacted, lost, vacuumed, nested, .. } = all;
        for (what, number) in [
            ("runs", runs),
            ("crashes", crashes),
            ("failures", failures),
            ("workers fenced off", fenced),
            ("groups compacted", compacted),
            ("groups lost to others", lost),
            ("files vacuumed", vacuumed),
            ("acts amid others", nested),
        ] {
            assert!(number > 0, "there were no {what}");
        }
    }
}

/// Says the seed of a run that fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to see it again: HYPOSTYLE_SIMULATOR_SEED={}", self.0);
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    runs: u64,
    rows: u64,
    crashes: u64,
    failures: u64,
    fenced: u64,
    compacted: u64,
    lost: u64,
    vacuumed: u64,
    nested: u64,
}

impl Totals {
    fn plus(self, other: Totals) -> Totals {
        Totals {
            runs: self.runs + other.runs,
            rows: self.rows + other.rows,
            crashes: self.crashes + other.crashes,
            failures: self.failures + other.failures,
            fenced: self.fenced + other.fenced,
            compacted: self.compacted + other.compacted,
            lost: self.lost + other.lost,
            vacuumed: self.vacuumed + other.vacuumed,
            nested: self.nested + other.nested,
        }
    }
}

/// What an actor leaves behind.
#[derive(Debug, Clone, Copy, Default)]
struct Outcome {
    /// The version of its last commit.
    acknowledged: Option<u64>,
    totals: Totals,
}

/// The table's surroundings, as an actor sees them.
#[derive(Clone)]
struct Scene {
    source: Source,
    disk: Arc<dyn Storage>,
}

impl Scene {
    fn table(&self) -> Arc<dyn Storage> {
        Folder::at(&self.disk, "table")
    }

    fn dead(&self) -> Arc<dyn Storage> {
        Folder::at(&self.disk, "dead")
    }

    /// A worker of some partitions, which has read the table's state.
    fn worker(&self, partitions: &[u64], random: &mut Random) -> Result<Ingest> {
        let files: Arc<dyn Storage> = Arc::new(self.source.files.clone());
        let sources = partitions.iter().map(|&at| LogSource::file(Arc::clone(&files), &Source::partition(at)));
        let log = NdjsonLog::new(sources.collect::<Result<Vec<_>>>()?, NdjsonOptions::default())?;
        let mut options = IngestOptions::new("t", Duration::from_secs(WINDOW_MINUTES as u64 * 60));
        options.event_time_unit = Some(arrow_schema::TimeUnit::Second);
        let schema = r#"{"fields":[{"name":"t","type":"int64","nullable":false},{"name":"n","type":"int64"}]}"#;
        options.schema = Some(RowSchema::from_json(schema)?);
        // Nothing by the clock, nothing on other threads: a run is the same each time.
        options.commit_interval = Duration::from_secs(3600);
        options.finish_threads = 0;
        options.lateness = Some(Duration::from_secs(random.below(2) * 3600));
        options.commit_windows = 1 + random.below(4) as usize;
        options.max_open = 1 + random.below(4) as usize;
        if random.once_in(3) {
            options.replay_bytes_max = 100 + random.below(400);
        }
        if random.once_in(4) {
            options.sort_by = Some("n".into());
        }
        Ingest::new(Box::new(log), self.table(), self.dead(), options)
    }

    fn partitions(random: &mut Random) -> Vec<u64> {
        match random.below(4) {
            0 => (0..PARTITIONS).collect(),
            _ => vec![random.below(PARTITIONS)],
        }
    }

    fn ingest(&self, random: &mut Random) -> Result<Outcome> {
        let partitions = Scene::partitions(random);
        let worker = self.worker(&partitions, random)?;
        Scene::run(worker)
    }

    fn run(mut worker: Ingest) -> Result<Outcome> {
        let summary = worker.run(&AtomicBool::new(false), &mut |_| {})?;
        let totals = Totals { runs: 1, rows: summary.rows_written, ..Totals::default() };
        // A run without commits promises nothing of those that it has found.
        Ok(Outcome { acknowledged: summary.version.filter(|_| summary.commits > 0), totals })
    }

    fn compact(&self, random: &mut Random) -> Result<Outcome> {
        let dead = random.once_in(5);
        let Some(mut table) = Table::open_if_exists(if dead { self.dead() } else { self.table() })? else {
            return Ok(Outcome::default());
        };
        let target_file_bytes = 2_000 + random.below(20_000);
        let options = CompactOptions {
            target_file_bytes,
            small_file_bytes: Some(1 + random.below(target_file_bytes)),
            ..CompactOptions::default()
        };
        let report = table.compact(&options, &AtomicBool::new(false))?;
        let totals = Totals { compacted: report.groups.len() as u64, lost: report.lost, ..Totals::default() };
        Ok(Outcome { acknowledged: Some(report.version).filter(|_| report.commits > 0 && !dead), totals })
    }

    /// Nobody may be at work on a file that is younger.
    fn vacuum(&self, older_than: Duration) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        for storage in [self.table(), self.dead()] {
            if let Some(mut table) = Table::open_if_exists(storage)? {
                let report = table.vacuum(&VacuumOptions { older_than, dry_run: false })?;
                outcome.totals.vacuumed += report.removed.len() as u64;
            }
        }
        Ok(outcome)
    }

    fn act(&self, random: &mut Random, vacuum_older_than: Duration) -> Result<Outcome> {
        match random.below(8) {
            0..4 => self.ingest(random),
            4..7 => self.compact(random),
            _ => self.vacuum(vacuum_older_than),
        }
    }
}

/// A disk with faults to come; whether there are any.
fn boot(content: &Memory, random: &mut Random) -> (Faulty, bool) {
    let mut plan = FaultPlan { seed: random.next(), ..FaultPlan::default() };
    if random.once_in(2) {
        plan.crash_at = Some(1 + random.below(400));
    }
    for _ in 0..random.below(4) {
        let fault = [Fault::NoSpace, Fault::Io, Fault::AnswerLost, Fault::ShortWrite][random.below(4) as usize];
        let at = 1 + random.below(600);
        plan.faults.push((at, fault));
        if random.once_in(3) {
            // What is tried again may fail again.
            plan.faults.extend((at + 1..at + 9).map(|at| (at, fault)).filter(|_| random.once_in(3)));
        }
    }
    let mut fails = plan.crash_at.is_some() || !plan.faults.is_empty();
    let disk = Faulty::new(content, plan);
    if random.once_in(4) {
        disk.fail_read(1 + random.below(200));
        fails = true;
    }
    (disk, fails)
}

fn simulate(seed: u64, totals: &mut Totals) {
    let mut random = Random(seed);
    let source = Source::default();
    for at in 0..PARTITIONS {
        source.append(&Source::partition(at), &mut random);
    }
    let mut acknowledged = None;
    let (mut disk, mut fails) = boot(&Memory::new(), &mut random);
    // A worker that has read the state and waits: others may be faster.
    let mut waiting: Option<Ingest> = None;
    let steps = 6 + random.below(14);
    for _ in 0..steps {
        let hooked = Hooked::new(Arc::new(disk.clone()));
        let scene = Scene { source: source.clone(), disk: Arc::new(hooked.clone()) };
        let amid = Amid::new(&source, &disk, &mut random);
        if let Some(amid) = &amid {
            amid.hook(&hooked);
        }
        let outcome = match random.below(10) {
            0 => {
                source.append(&Source::partition(random.below(PARTITIONS)), &mut random);
                Ok(Outcome::default())
            }
            1 => {
                disk.set_space(Some(random.below(30_000)));
                fails = true;
                scene.act(&mut random, Duration::from_secs(3600))
            }
            2 => {
                let partitions = Scene::partitions(&mut random);
                scene.worker(&partitions, &mut random).map(|worker| {
                    waiting = Some(worker);
                    Outcome::default()
                })
            }
            3 if waiting.is_some() => waiting.take().map_or(Ok(Outcome::default()), Scene::run),
            // Nobody else is at work, so nothing is too young.
            4 if amid.is_none() => scene.vacuum(Duration::ZERO),
            _ => scene.act(&mut random, Duration::from_secs(3600)),
        };
        disk.set_space(None);
        // What was done amid it came before its end.
        let others = amid.map(Amid::ended).unwrap_or_default();
        for outcome in others.into_iter().chain([outcome]) {
            match outcome {
                Ok(outcome) => {
                    acknowledged = acknowledged.max(outcome.acknowledged);
                    *totals = totals.plus(outcome.totals);
                }
                Err(Error::Conflict(_)) => totals.fenced += 1,
                Err(e @ Error::Io(_)) => {
                    assert!(fails, "nothing was to fail: {e}");
                    totals.failures += 1;
                }
                Err(e) => panic!("{e}"),
            }
        }
        check(&source, &disk.after_crash(random.next()), acknowledged);
        if disk.crashed() || random.once_in(12) {
            totals.crashes += 1;
            waiting = None;
            let content = disk.after_crash(random.next());
            let found = check(&source, &content, acknowledged);
            // It was read from the disk itself, so it stays.
            acknowledged = acknowledged.max(found.map(|found| found.version));
            (disk, fails) = boot(&content, &mut random);
        }
    }
    end(&source, &disk.after_crash(random.next()), acknowledged, &mut random);
}

/// All that was read is written, once all that fails is over; and nothing but it is left.
fn end(source: &Source, content: &Memory, acknowledged: Option<u64>, random: &mut Random) {
    for at in 0..PARTITIONS {
        // So that no line is half there.
        source.append(&Source::partition(at), random);
        let partition = Source::partition(at);
        let text = source.files.get(&partition).unwrap();
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        source.files.put(&partition, text.slice(..whole)).unwrap();
    }
    let disk = Faulty::new(content, FaultPlan::default());
    let scene = Scene { source: source.clone(), disk: Arc::new(disk.clone()) };
    let all: Vec<u64> = (0..PARTITIONS).collect();
    let run = |random: &mut Random| Scene::run(scene.worker(&all, random).unwrap()).unwrap();
    let version = run(random).acknowledged;
    let found = check(source, &disk.after_crash(0), acknowledged.max(version)).unwrap();
    assert_eq!(found.rows, good_lines(source), "some were never read");
    assert_eq!(run(random).acknowledged, None, "there was nothing left to do");
    scene.compact(random).unwrap();
    scene.vacuum(Duration::ZERO).unwrap();
    let after = disk.after_crash(0);
    assert_eq!(check(source, &after, acknowledged).unwrap().rows, found.rows);
    for storage in [scene.table(), scene.dead()] {
        let Some(table) = Table::open_if_exists(Arc::clone(&storage)).unwrap() else { continue };
        let files: Vec<String> = storage.list("").unwrap().into_iter().map(|entry| entry.path).collect();
        let files: Vec<&String> = files.iter().filter(|path| !path.starts_with("_delta_log/")).collect();
        assert_eq!(files, table.snapshot().files.keys().collect::<Vec<_>>());
        assert_eq!(storage.list_unfinished().unwrap(), []);
    }
}

/// Somebody who acts amid another's operations.
struct Amid {
    at: u64,
    scene: Scene,
    random: Random,
    outcomes: Arc<std::sync::Mutex<Vec<Result<Outcome>>>>,
}

impl Amid {
    fn new(source: &Source, disk: &Faulty, random: &mut Random) -> Option<Amid> {
        random.once_in(2).then(|| Amid {
            at: 1 + random.below(60),
            // What it does itself is not hooked.
            scene: Scene { source: source.clone(), disk: Arc::new(disk.clone()) },
            random: Random(random.next()),
            outcomes: Arc::default(),
        })
    }

    /// Before the call that it waits for, and a while later again; before a commit most often.
    fn hook(&self, hooked: &Hooked) {
        let (scene, outcomes, mut random) = (self.scene.clone(), Arc::clone(&self.outcomes), self.random.clone());
        let (mut calls, mut at) = (0, self.at);
        hooked.before(move |call, _| {
            calls += if call == Call::Publish { 20 } else { 1 };
            if calls < at {
                return;
            }
            at += 1 + random.below(100);
            if random.once_in(4) {
                scene.source.append(&Source::partition(random.below(PARTITIONS)), &mut random);
            }
            let mut outcome = scene.act(&mut random, Duration::from_secs(3600));
            if let Ok(outcome) = &mut outcome {
                outcome.totals.nested = 1;
            }
            outcomes.lock().unwrap().push(outcome);
        });
    }

    fn ended(self) -> Vec<Result<Outcome>> {
        std::mem::take(&mut self.outcomes.lock().unwrap())
    }
}
