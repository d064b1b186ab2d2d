//! What the table must hold: the source's lines, as far as the committed positions say that they were taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use hypostyle::ingest::audit;
use hypostyle::storage::{Memory, Storage};
use hypostyle::table::{ScanOptions, Table};
use serde_json::Value;

use crate::folder::Folder;
use crate::random::Random;

pub const WINDOW_MINUTES: i64 = 60;

/// A line of a source partition.
struct Line {
    offset: u64,
    /// The start of its window in microseconds, and its number; none if it is bad.
    good: Option<(i64, i64)>,
}

/// The source: text that grows, and what its lines are. Cloning gives another handle.
#[derive(Clone, Default)]
pub struct Source {
    pub files: Memory,
    lines: Arc<Mutex<BTreeMap<String, Vec<Line>>>>,
    next: Arc<Mutex<i64>>,
}

impl Source {
    pub fn partition(at: u64) -> String {
        format!("p{at}.ndjson")
    }

    /// Appends a few lines, mostly good ones, out of order; perhaps the beginning of one more.
    pub fn append(&self, partition: &str, random: &mut Random) {
        let mut lines = self.lines.lock().unwrap();
        let lines = lines.entry(partition.to_owned()).or_default();
        let mut text = self.files.get(partition).unwrap_or_default().to_vec();
        if text.last().is_some_and(|&byte| byte != b'\n') {
            // The rest of a line that had only begun: it is bad, whatever it would have been.
            lines.push(Line {
                offset: text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at as u64 + 1),
                good: None,
            });
            text.push(b'\n');
        }
        let base = random.below(8) as i64 * WINDOW_MINUTES;
        for _ in 0..random.below(25) {
            let offset = text.len() as u64;
            if random.below(12) == 0 {
                text.extend_from_slice(b"bad\n");
                lines.push(Line { offset, good: None });
                continue;
            }
            let mut next = self.next.lock().unwrap();
            let minute = base + random.below(3 * WINDOW_MINUTES as u64) as i64;
            let window = minute.div_euclid(WINDOW_MINUTES) * WINDOW_MINUTES * 60_000_000;
            text.extend_from_slice(format!("{{\"t\":{},\"n\":{next}}}\n", minute * 60).as_bytes());
            lines.push(Line { offset, good: Some((window, *next)) });
            *next += 1;
        }
        if random.below(6) == 0 {
            text.extend_from_slice(b"{\"t\":1");
        }
        self.files.put(partition, text).unwrap();
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub version: u64,
    pub rows: usize,
}

/// Checks what a disk holds: the table is there in a version that was acknowledged or a later one, has the rows that its own
/// positions say, each once, the dead letters too, and its books add up.
pub fn check(source: &Source, disk: &Memory, acknowledged: Option<u64>) -> Option<Found> {
    let disk: Arc<dyn Storage> = Arc::new(disk.clone());
    let (table, dead) = (Folder::at(&disk, "table"), Folder::at(&disk, "dead"));
    let Some(opened) = Table::open_if_exists(Arc::clone(&table)).unwrap() else {
        assert_eq!(acknowledged, None, "the table is gone");
        return None;
    };
    let snapshot = opened.snapshot();
    assert!(acknowledged.is_none_or(|version| version <= snapshot.version), "{acknowledged:?}, {}", snapshot.version);
    let lines = source.lines.lock().unwrap();
    let (mut expected, mut letters) = (Vec::new(), Vec::new());
    for (partition, lines) in lines.iter() {
        let Some(state) = snapshot.domains.get(&format!("hypostyle.ingest.default.{partition}")) else { continue };
        let state: Value = serde_json::from_str(state).unwrap();
        let (resume, position) = (state["resume"].as_u64().unwrap(), state["position"].as_u64().unwrap());
        let done = |window: i64| state["done"][window.to_string()].as_u64().unwrap_or(0);
        for line in lines {
            match line.good {
                Some((window, n)) if line.offset < resume.max(done(window)) => expected.push(n),
                Some(_) => {}
                None if line.offset < position => letters.push((partition.clone(), line.offset as i64)),
                None => {}
            }
        }
    }
    expected.sort_unstable();
    let rows = numbers(&opened, "n");
    assert_eq!(rows, expected, "version {}", snapshot.version);

    let mut found = Vec::new();
    if let Some(dead) = Table::open_if_exists(Arc::clone(&dead)).unwrap() {
        for batch in dead.scan(ScanOptions::default()).unwrap() {
            let batch = batch.unwrap();
            let partitions = batch.column_by_name("source_partition").unwrap().as_string::<i32>();
            let offsets = batch.column_by_name("offset").unwrap().as_primitive::<Int64Type>();
            found.extend(partitions.iter().zip(offsets.values()).map(|(p, &o)| (p.unwrap().to_owned(), o)));
        }
        found.sort_unstable();
    }
    // Dead letters are committed first: there may be more of them than the table knows, never less, and each once.
    assert!(found.windows(2).all(|two| two[0] != two[1]), "a dead letter twice: {found:?}");
    assert!(letters.iter().all(|letter| found.contains(letter)), "{letters:?} of {found:?}");
    let is_bad = |(partition, offset): &(String, i64)| {
        let lines = lines.get(partition);
        lines.is_some_and(|lines| lines.iter().any(|l| l.offset as i64 == *offset && l.good.is_none()))
    };
    assert!(found.iter().all(is_bad), "{found:?}");
    drop(lines);
    let report = audit(&table, &dead).unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
    Some(Found { version: report.version, rows: rows.len() })
}

/// How many good lines there are.
pub fn good_lines(source: &Source) -> usize {
    source.lines.lock().unwrap().values().flatten().filter(|line| line.good.is_some()).count()
}

fn numbers(table: &Table, column: &str) -> Vec<i64> {
    let mut numbers = Vec::new();
    for batch in table.scan(ScanOptions::default().with_columns([column])).unwrap() {
        numbers.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    numbers.sort_unstable();
    numbers
}
