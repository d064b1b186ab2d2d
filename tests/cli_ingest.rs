//! `hypostyle ingest`: the program itself, run again, interrupted, from files, folders and standard input.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod program;

use std::io::Write;
use std::process::{Command, Stdio};

use program::{Folder, PROGRAM, RECORDS, Ran, table};

const WINDOW: [&str; 4] = ["--event-time", "t", "--window", "1d"];

fn ingest(folder: &Folder, source: &str, more: &[&str]) -> serde_json::Value {
    let arguments = [["ingest", source, "table", "--json"].as_slice(), &WINDOW, more].concat();
    serde_json::from_str(&folder.ok(&arguments)).unwrap()
}

fn count(folder: &Folder) -> String {
    folder.ok(&["scan", "table", "--count"])
}

#[test]
fn the_summary_is_one_line() {
    let folder = Folder::new();
    folder.put("in.ndjson", RECORDS);
    let arguments = ["ingest", "in.ndjson", "table", "--event-time", "t", "--window", "1d"];
    let ran = folder.run(&arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.stdout.starts_with("table: 4 rows written; 2 files in 2 windows, "), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("1 commit, version 1; 4 records read in ") && ran.stdout.lines().count() == 1,
        "{}",
        ran.stdout
    );
    let again = folder.ok(&arguments);
    assert!(again.starts_with("table: 0 rows written; ") && again.contains("version 1"), "{again}");
}

#[test]
fn what_is_appended_is_added_and_nothing_else() {
    let folder = Folder::new();
    table(&folder);
    let again = ingest(&folder, "in.ndjson", &[]);
    assert_eq!((&again["rows_written"], &again["version"]), (&0.into(), &1.into()));
    folder.put("in.ndjson", format!("{RECORDS}{{\"t\":\"2013-01-03T00:00:00Z\",\"carrier\":\"B6\"}}\n{{\"t\":\"2013"));
    let grown = ingest(&folder, "in.ndjson", &[]);
    assert_eq!((&grown["rows_written"], &grown["dead_lettered"]), (&1.into(), &0.into()));
    assert_eq!(grown["incomplete_tails"][0]["partition"], "in.ndjson");
    assert_eq!(count(&folder), "5\n");
}

#[test]
fn standard_input_and_folders() {
    let folder = Folder::new();
    let arguments = [["ingest", "-", "table", "--json"].as_slice(), &WINDOW].concat();
    let ran = folder.run_with(&arguments, RECORDS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(summary["rows_written"], 4);
    // The same text again adds nothing; longer text adds what is new.
    folder.run_with(&arguments, &format!("{RECORDS}{{\"t\":\"2013-01-03T00:00:00Z\"}}\n"));
    assert_eq!(count(&folder), "5\n");

    let other = Folder::new();
    other.put("in/a.ndjson", RECORDS);
    other.put("in/deep/b.jsonl", RECORDS);
    other.put("in/notes.txt", "not read");
    assert_eq!(ingest(&other, "in", &[])["rows_written"], 8);
    other.put("in/c.ndjson", RECORDS);
    assert_eq!(ingest(&other, "in", &[])["rows_written"], 4);
    assert_eq!(count(&other), "12\n");
    // Several sources before the table.
    other.put("d.ndjson", RECORDS);
    other.put("e.ndjson", RECORDS);
    other.ok(&[["ingest", "d.ndjson", "e.ndjson", "table"].as_slice(), &WINDOW].concat());
    assert_eq!(count(&other), "20\n");
}

#[test]
fn every_option_is_heard() {
    let folder = Folder::new();
    folder
        .put("schema.json", r#"{"fields":[{"name":"t","type":"int64","nullable":false},{"name":"n","type":"int32"}]}"#);
    folder.put(
        "in.ndjson",
        (0..100).map(|n| format!("{{\"t\":{},\"n\":{},\"extra\":1}}\n", n * 60, 100 - n)).collect::<String>(),
    );
    let summary = ingest(
        &folder,
        "in.ndjson",
        &[
            "--event-time-unit",
            "s",
            "--window-column",
            "hour",
            "--lateness",
            "10m",
            "--max-open",
            "1",
            "--max-open-age",
            "1h",
            "--target-file-bytes",
            "1MB",
            "--memory-bytes",
            "64MiB",
            "--sort-by",
            "n",
            "--compression",
            "snappy",
            "--schema",
            "schema.json",
            "--unknown-fields",
            "ignore",
            "--on-bad",
            "stop",
            "--sink",
            "mine",
            "--replay-bytes-max",
            "1m",
            "--line-bytes-max",
            "1k",
            "--dead-letters",
            "elsewhere",
        ],
    );
    assert_eq!(summary["rows_written"], 100);
    let printed = folder.ok(&["scan", "table", "--columns", "n,hour", "--limit", "2"]);
    assert!(printed.starts_with("    n  hour\nint32  timestamp(us, UTC)\n"), "{printed}");
    assert!(printed.contains("\n    1  1970-01-01T00:00:00Z\n"), "sorted by n: {printed}");
    let json: serde_json::Value = serde_json::from_str(&folder.ok(&["inspect", "table", "--json"])).unwrap();
    assert!(json["domains"].as_object().unwrap().contains_key("hypostyle.ingest.mine.in.ndjson"), "{json}");
    let file = format!("table/{}", json["data_files"][0]["path"].as_str().unwrap());
    let file: serde_json::Value = serde_json::from_str(&folder.ok(&["inspect", &file, "--json"])).unwrap();
    assert_eq!(file["row_groups"][0]["columns"][0]["codec"], "SNAPPY");
}

#[test]
fn bad_records_go_to_a_table_of_their_own_or_stop_the_run() {
    let folder = Folder::new();
    let (good, bad) = RECORDS.split_at(RECORDS.find('\n').unwrap() + 1);
    folder.put("in.ndjson", format!("{good}no JSON\n{bad}"));
    let summary = ingest(&folder, "in.ndjson", &[]);
    assert_eq!((&summary["rows_written"], &summary["dead_lettered"]), (&4.into(), &1.into()));
    let letters = folder.ok(&["scan", "table-dead-letters", "--columns", "source_partition,offset,raw"]);
    assert!(letters.contains(&format!("in.ndjson             {}  6e6f204a534f4e", good.len())), "{letters}");
    assert!(folder.ok(&["audit", "table"]).ends_with("the books add up\n"));

    let stopped = Folder::new();
    stopped.put("in.ndjson", format!("{good}no JSON\n{bad}"));
    let e = stopped.fails(&[["ingest", "in.ndjson", "table", "--on-bad", "stop"].as_slice(), &WINDOW].concat());
    assert!(e.contains(&format!("in.ndjson: at byte {}: ", good.len())), "{e}");
    assert_eq!(count(&stopped), "1\n", "what is before the bad record is committed");
}

#[test]
fn an_interrupt_commits_what_was_read() {
    let folder = Folder::new();
    let arguments = [["ingest", "-", "table"].as_slice(), &WINDOW].concat();
    let mut command = folder.command(PROGRAM, &arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(RECORDS.as_bytes()).unwrap();
    input.flush().unwrap();
    // The table is made once the program reads, and handles signals.
    let log = folder.path("table/_delta_log/00000000000000000000.json");
    while !log.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        std::thread::yield_now();
    }
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let ran = Ran::from(child.wait_with_output().unwrap());
    drop(input);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stdout.contains("stopped before the end"), "{ran:?}");
    // Whatever had been read by then is committed; the rest comes with the next run.
    let ran = folder.run_with(&arguments, RECORDS);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(count(&folder), "4\n");
}
