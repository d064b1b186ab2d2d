//! Kills the program (SIGKILL, a real process) at random moments of an ingest, at least 50 times, and starts it again.
//!
//! After each kill, what a reader finds is a part of the input without a duplicate; in the end it is the input, once; a further
//! run adds no version; and `vacuum` takes away what the kills left behind and nothing else.
//!
//! The moments are drawn from a seed that is printed; `HYPOSTYLE_SEED=…` draws them again (what the machine was doing at those
//! moments does not come back with them).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryType, TimestampMicrosecondType};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use hypostyle::storage::Local;
use hypostyle::table::{ScanOptions, Table, VacuumOptions};

const KILLS: usize = 50;
/// A run that is not through after this many starts makes no progress.
const STARTS_MAX: usize = 60;
const NULL: &str = "null";
const FIELDS: [&str; 10] = [
    "scheduled_departure",
    "carrier",
    "flight",
    "tail",
    "origin",
    "dest",
    "dep_delay",
    "arr_delay",
    "air_time",
    "distance",
];

#[test]
fn killed_at_random_moments_everything_arrives_once() {
    let seed = std::env::var("HYPOSTYLE_SEED").ok().map_or_else(clock_seed, |text| text.parse().unwrap());
    println!("HYPOSTYLE_SEED={seed}");
    let mut random = Random(seed);
    let folder = quick_folder();
    let inputs = [Input::flights(), Input::flights_with_bad_lines(folder.path())];
    let whole_run = inputs[0].time_of_a_whole_run(folder.path());

    let mut kills = 0;
    for round in 0.. {
        let input = &inputs[round % inputs.len()];
        let table = folder.path().join(format!("table-{round}"));
        kills += input.ingest_through_kills(&table, whole_run, &mut random);
        input.assert_whole(&table);
        input.assert_nothing_is_added(&table);
        input.assert_vacuum_takes_garbage_only(&table);
        if kills >= KILLS {
            println!("{kills} kills in {} tables; a whole run takes {whole_run:?}", round + 1);
            break;
        }
    }
}

/// A source, and what its table must hold.
struct Input {
    source: PathBuf,
    /// Each record as one line of text, sorted.
    rows: Vec<String>,
    /// The raw bytes of each bad line, in the source's order.
    bad: Vec<String>,
}

impl Input {
    fn flights() -> Input {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/flights.ndjson.gz");
        let mut rows: Vec<String> = flight_lines(&source).iter().map(|line| row_of_json(line)).collect();
        rows.sort_unstable();
        assert_eq!(rows.len(), 20_000);
        Input { source, rows, bad: Vec::new() }
    }

    /// As plain text, and with lines in between that are no records.
    fn flights_with_bad_lines(folder: &Path) -> Input {
        let whole = Input::flights();
        let mut text = String::new();
        let mut bad = Vec::new();
        for (number, line) in flight_lines(&whole.source).iter().enumerate() {
            text += line;
            text += "\n";
            if number % 613 == 0 {
                bad.push(format!("{{\"scheduled_departure\": \"bad line {number}\"}}"));
                text += &bad[bad.len() - 1];
                text += "\n";
            }
        }
        let source = folder.join("flights.ndjson");
        fs::write(&source, text).unwrap();
        Input { source, rows: whole.rows, bad }
    }

    /// Few open windows and small files, so that there are many files and commits to die between.
    fn command(&self, table: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hypostyle"));
        command.arg("ingest").arg(&self.source).arg(table);
        command.args(["--event-time", "scheduled_departure", "--window", "2h", "--max-open", "2"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn time_of_a_whole_run(&self, folder: &Path) -> Duration {
        let from = Instant::now();
        succeed(&mut self.command(&folder.join("untouched")));
        let table = Table::open(Arc::new(Local::new(folder.join("untouched")).unwrap())).unwrap();
        assert!(table.snapshot().version >= 10, "too few commits to die between: {}", table.snapshot().version);
        from.elapsed()
    }

    /// Starts the program again and again until it ends by itself; gives how often it was killed.
    fn ingest_through_kills(&self, table: &Path, whole_run: Duration, random: &mut Random) -> usize {
        for kills in 0..STARTS_MAX {
            let mut child = self.command(table).spawn().unwrap();
            // Up to half of a whole run, so that a table takes several kills; each start begins further on.
            std::thread::sleep(whole_run.mul_f64(random.unit() / 2.0));
            if let Some(status) = child.try_wait().unwrap() {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                assert!(status.success(), "{said}");
                return kills;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            self.assert_part(table);
        }
        panic!("not through after {STARTS_MAX} starts");
    }

    /// At any moment: no duplicate, nothing that is not in the input.
    fn assert_part(&self, table: &Path) {
        let Some(found) = rows(table) else { return };
        let mut wanted = self.rows.iter();
        for row in &found {
            // Both are sorted and the input's rows are distinct: a duplicate or a stranger finds no partner.
            assert!(wanted.any(|other| other == row), "twice, or not in the input: {row}");
        }
    }

    fn assert_whole(&self, table: &Path) {
        let found = rows(table).expect("a table");
        self.assert_part(table);
        assert_eq!(found.len(), self.rows.len(), "records were lost");
        assert_eq!(self.dead_letters(table), self.bad);
    }

    fn dead_letters(&self, table: &Path) -> Vec<String> {
        let mut found: Vec<(u64, String)> = batches(&dead_letters_of(table))
            .unwrap_or_default()
            .iter()
            .flat_map(|batch| {
                let offset = text_of(batch, "offset");
                let raw = batch.column_by_name("raw").unwrap().as_bytes::<BinaryType>().clone();
                let raw =
                    raw.iter().map(|value| String::from_utf8(value.unwrap().to_vec()).unwrap()).collect::<Vec<_>>();
                offset.into_iter().map(|text| text.parse().unwrap()).zip(raw)
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, raw)| raw).collect()
    }

    fn assert_nothing_is_added(&self, table: &Path) {
        let versions = |table: &Path| fs::read_dir(table.join("_delta_log")).unwrap().count();
        let before = versions(table);
        succeed(&mut self.command(table));
        assert_eq!(versions(table), before, "a run over consumed input added a version");
        succeed(
            Command::new(env!("CARGO_BIN_EXE_hypostyle"))
                .arg("audit")
                .arg(table)
                .stdout(Stdio::null())
                .stderr(Stdio::piped()),
        );
    }

    fn assert_vacuum_takes_garbage_only(&self, table: &Path) {
        let mut opened = open(table).unwrap();
        let live: BTreeSet<String> = opened.snapshot().files.keys().cloned().collect();
        let commits: BTreeSet<String> =
            (0..=opened.snapshot().version).map(|version| format!("_delta_log/{version:020}.json")).collect();
        let needed: BTreeSet<String> = live.union(&commits).cloned().collect();
        let before = all_files(table);
        assert!(before.is_superset(&needed), "not there: {:?}", needed.difference(&before));
        opened.vacuum(&VacuumOptions { older_than: Duration::ZERO, dry_run: false }).unwrap();
        assert_eq!(all_files(table), needed);
        self.assert_whole(table);
    }
}

// ---- reading ----------------------------------------------------------------------------------------------------

fn open(table: &Path) -> Option<Table> {
    Table::open_if_exists(Arc::new(Local::new(table).unwrap())).unwrap()
}

fn batches(table: &Path) -> Option<Vec<RecordBatch>> {
    Some(open(table)?.scan(ScanOptions::default()).unwrap().collect::<Result<_, _>>().unwrap())
}

/// Each row as one line of text, sorted; nothing if there is no table yet.
fn rows(table: &Path) -> Option<Vec<String>> {
    let mut rows = Vec::new();
    for batch in batches(table)? {
        let columns: Vec<Vec<String>> = FIELDS.iter().map(|field| text_of(&batch, field)).collect();
        let windows = text_of(&batch, "window_start");
        for row in 0..batch.num_rows() {
            let (day, hour) = (&columns[0][row][..11], columns[0][row][11..13].parse::<u32>().unwrap());
            assert_eq!(windows[row], format!("{day}{:02}:00:00Z", hour / 2 * 2), "a record in another's window");
            rows.push(columns.iter().map(|column| column[row].as_str()).collect::<Vec<_>>().join("|"));
        }
    }
    rows.sort_unstable();
    Some(rows)
}

fn text_of(batch: &RecordBatch, name: &str) -> Vec<String> {
    let mut column =
        batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name} in {:?}", batch.schema())).clone();
    if let Some(moments) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        column = Arc::new(moments.clone().with_timezone("+00:00")); // The formatter has no table of named zones.
    }
    let options = FormatOptions::default().with_null(NULL);
    let formatter = ArrayFormatter::try_new(&column, &options).unwrap();
    (0..batch.num_rows()).map(|row| formatter.value(row).to_string()).collect()
}

fn flight_lines(source: &Path) -> Vec<String> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(source).unwrap()).read_to_string(&mut text).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn row_of_json(line: &str) -> String {
    let record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
    let text = |field: &&str| match &record[*field] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    FIELDS.iter().map(text).collect::<Vec<_>>().join("|")
}

fn all_files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// In memory, where there is such a place: what a kill leaves is the same on any file system, and a sync costs nothing there.
fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn dead_letters_of(table: &Path) -> PathBuf {
    table.with_file_name(format!("{}-dead-letters", table.file_name().unwrap().to_str().unwrap()))
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

// ---- chance -----------------------------------------------------------------------------------------------------

fn clock_seed() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// SplitMix64.
struct Random(u64);

impl Random {
    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
