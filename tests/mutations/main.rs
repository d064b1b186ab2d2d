//! Valid files with one thing changed: a bit, a field of their metadata, a page in the place of another. Whatever it is,
//! reading ends in rows or an error that names the file, in 2 seconds and 256 MiB; and where checksums cover the change, no
//! wrong row is given.
//!
//! The mutations are read in a process of their own, whose limits the system enforces. `HYPOSTYLE_MUTATIONS=200000` makes
//! it that many, `HYPOSTYLE_MUTATIONS_FROM` begins at another number; what was found is told by its number.
//! `HYPOSTYLE_MUTATIONS_KEEP` names a folder that the mutants are written to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

#[path = "../generate/mod.rs"]
mod generate;
mod mutate;
mod read;
mod seeds;
mod thrift;

use std::io::{BufRead, BufReader, Read, Write};
use std::panic::AssertUnwindSafe;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use generate::Random;
use nix::time::{ClockId, clock_gettime};
use rustix::process::{Resource, Rlimit, setrlimit};
use seeds::Seed;

/// What each may take, measured as the process's time and address space.
const SECONDS_MAX: f64 = 2.0;
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// In `cargo test`.
const MUTATIONS: u64 = 4_000;
/// What a reader that never ends gets.
const SECONDS_UNTIL_KILLED: f64 = 10.0;

#[test]
fn one_change_is_rows_or_an_error_within_its_limits() {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let count = number("HYPOSTYLE_MUTATIONS").unwrap_or(MUTATIONS);
    let first = number("HYPOSTYLE_MUTATIONS_FROM").unwrap_or(0);
    let mut findings = Vec::new();
    let mut at = first;
    while at < first + count && findings.len() < 40 {
        at = run(at, first + count, &mut findings);
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// Reads the mutations `from..to` in a process of its own, as far as it comes; where to go on.
fn run(from: u64, to: u64, findings: &mut Vec<String>) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["in_a_process_of_its_own", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("HYPOSTYLE_MUTATIONS_CHILD", format!("{from} {to}"))
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = child.stderr.take().unwrap();
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        errors.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let mut last = from;
    let mut is_done = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, n)) = line.split_once("@at ") {
            last = n.parse().unwrap();
        } else if let Some((_, finding)) = line.split_once("@found ") {
            findings.push(finding.to_owned());
        } else if let Some((_, summary)) = line.split_once("@done ") {
            is_done = true;
            println!("{summary}");
        }
    }
    let status = child.wait().unwrap();
    let errors = errors.join().unwrap().unwrap();
    if is_done {
        return to;
    }
    let seeds = seeds::seeds();
    let what = mutation(&seeds, last).map(|(seed, m)| format!("{}: {}", seed.name, m.what)).unwrap_or_default();
    findings.push(format!("{last}: {what}: the process ended with {status}: {}", errors.trim()));
    last + 1
}

/// The mutation of this number.
fn mutation(seeds: &[Seed], number: u64) -> Option<(&Seed, mutate::Mutant)> {
    let mut random = Random::new(number + 1);
    let seed = &seeds[random.below(seeds.len() as u64) as usize];
    mutate::mutant(seed, &mut random).map(|m| (seed, m))
}

#[test]
#[ignore = "the other test runs it"]
fn in_a_process_of_its_own() {
    let Ok(range) = std::env::var("HYPOSTYLE_MUTATIONS_CHILD") else { return };
    let (from, to) = range.split_once(' ').unwrap();
    let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());

    let said = Arc::new(Mutex::new(String::new()));
    let hook = Arc::clone(&said);
    std::panic::set_hook(Box::new(move |info| *hook.lock().unwrap() = info.to_string().replace('\n', " ")));
    let seeds = seeds::seeds();
    let rows = |seed: &Seed, views| {
        let rows = read::rows(&seed.bytes, seed, views);
        rows.unwrap_or_else(|e| panic!("{}: {e}: {}", seed.name, said.lock().unwrap()))
    };
    let wanted: Vec<[read::Rows; 2]> = seeds.iter().map(|seed| [false, true].map(|views| rows(seed, views))).collect();
    let watch = Watch::start();
    let limit = address_space() + MEMORY_BYTES_MAX;
    setrlimit(Resource::As, Rlimit { current: Some(limit), maximum: Some(limit) }).unwrap();

    let keep = std::env::var("HYPOSTYLE_MUTATIONS_KEEP").ok();
    let mut out = std::io::stdout();
    let (mut done, mut refused, mut protected, mut slowest) = (0u64, 0u64, 0u64, 0f64);
    for number in from..to {
        let Some((seed, mutant)) = mutation(&seeds, number) else { continue };
        writeln!(out, "@at {number}").unwrap();
        if let Some(folder) = &keep {
            std::fs::write(std::path::Path::new(folder).join(number.to_string()), &mutant.bytes).unwrap();
        }
        let place = seeds.iter().position(|s| std::ptr::eq(s, seed)).unwrap();
        let started = cpu_seconds();
        watch.begin(number);
        // Strings are views in every other one.
        let views = number % 2 == 1;
        let wanted = &wanted[place][usize::from(views)];
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| read::check(&mutant, seed, wanted, views)));
        let seconds = cpu_seconds() - started;
        done += 1;
        protected += u64::from(mutant.is_protected);
        slowest = slowest.max(seconds);
        let finding = match read {
            Ok(Ok(outcome)) => {
                refused += u64::from(outcome == read::Outcome::Refused);
                (seconds > SECONDS_MAX).then(|| format!("took {seconds} s"))
            }
            Ok(Err(fault)) => Some(fault),
            Err(_) => Some(said.lock().unwrap().clone()),
        };
        if let Some(finding) = finding {
            writeln!(out, "@found {number}: {}: {}: {finding}", seed.name, mutant.what).unwrap();
        }
    }
    assert!(refused * 4 > done || done < 100, "{refused} of {done}: much of what is broken is noticed");
    writeln!(
        out,
        "@done {done} mutations of {} files, {refused} refused, {protected} under checksums, the slowest took {slowest:.3} s",
        seeds.len()
    )
    .unwrap();
}

/// Ends the process when a mutation takes far too long.
struct Watch {
    started: Arc<(AtomicU64, AtomicU64)>,
    _alive: mpsc::Sender<()>,
}

impl Watch {
    fn start() -> Watch {
        let started = Arc::new((AtomicU64::new(0), AtomicU64::new(f64::MAX.to_bits())));
        let (alive, ended) = mpsc::channel();
        let of = Arc::clone(&started);
        std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_millis(200)) == Err(mpsc::RecvTimeoutError::Timeout) {
                if cpu_seconds() - f64::from_bits(of.1.load(Ordering::SeqCst)) > SECONDS_UNTIL_KILLED {
                    eprintln!("mutation {} does not end", of.0.load(Ordering::SeqCst));
                    std::process::exit(3);
                }
            }
        });
        Watch { started, _alive: alive }
    }

    fn begin(&self, number: u64) {
        self.started.0.store(number, Ordering::SeqCst);
        self.started.1.store(cpu_seconds().to_bits(), Ordering::SeqCst);
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap();
    time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
}

/// Of this process, in bytes.
fn address_space() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').next().unwrap().parse::<u64>().unwrap() * rustix::param::page_size() as u64
}
