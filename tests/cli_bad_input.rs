//! Bad input: one clear line on standard error, exit code 1, nothing half-written that a reader could take for data.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod program;

use std::process::Stdio;

use program::{Folder, PROGRAM, RECORDS, Ran, table};

fn parquet(folder: &Folder) -> Vec<u8> {
    folder.put(
        "in.ndjson",
        (0..3000).map(|n| format!("{{\"n\":{n},\"s\":\"text {}\"}}\n", n * 7919 % 3001)).collect::<String>(),
    );
    folder.ok(&["convert", "in.ndjson", "good.parquet", "--compression", "none", "--page-bytes", "4k"]);
    folder.get("good.parquet")
}

#[test]
fn a_truncated_parquet_file() {
    let folder = Folder::new();
    let good = parquet(&folder);
    for length in [0, 3, 4, 11, 12, 100, good.len() / 2, good.len() - 8, good.len() - 4, good.len() - 1] {
        folder.put("cut.parquet", &good[..length]);
        for command in
            [&["scan", "cut.parquet"][..], &["inspect", "cut.parquet"], &["convert", "cut.parquet", "out.arrow"]]
        {
            let e = folder.fails(command);
            assert!(e.starts_with("cut.parquet: ") || e.starts_with("./cut.parquet: "), "{length}: {e}");
        }
        assert!(!folder.path("out.arrow").exists());
    }
}

#[test]
fn a_flipped_parquet_file() {
    let folder = Folder::new();
    let good = parquet(&folder);
    let rows = folder.ok(&["scan", "good.parquet"]);
    let (mut refused, mut pages) = (0, 0);
    for at in (0..good.len()).step_by(good.len() / 60) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        folder.put("bad.parquet", &bad);
        let ran = folder.run(&["convert", "bad.parquet", "out.ndjson"]);
        if ran.code == Some(0) {
            // What may be flipped unseen: the index, statistics, names of no meaning. Never the values.
            folder.ok(&["convert", "out.ndjson", "back.parquet"]);
            assert_eq!(folder.ok(&["scan", "back.parquet"]), rows, "byte {at}");
            std::fs::remove_file(folder.path("out.ndjson")).unwrap();
        } else {
            let e = ran.error();
            assert!(e.contains("bad.parquet: "), "{e}");
            refused += 1;
            pages += usize::from(e.contains("column ") && e.contains("page ") && e.contains("at byte "));
            assert!(!folder.path("out.ndjson").exists());
        }
    }
    assert!(refused > 40 && pages > 40, "{refused} refused, {pages} named the page");
}

#[test]
fn a_damaged_arrow_file() {
    let folder = Folder::new();
    parquet(&folder);
    folder.ok(&["convert", "good.parquet", "good.arrow"]);
    let good = folder.get("good.arrow");
    for length in (0..good.len()).step_by(good.len() / 15) {
        folder.put("cut.arrow", &good[..length]);
        let e = folder.fails(&["convert", "cut.arrow", "out.parquet"]);
        assert!(e.contains("cut.arrow: "), "{e}");
    }
    // The footer, where arrow-ipc itself would panic over some of the bytes.
    for at in (good.len() - 900..good.len()).step_by(13) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        folder.put("bad.arrow", &bad);
        let ran = folder.run(&["scan", "bad.arrow", "--count"]);
        assert!(matches!(ran.code, Some(0 | 1)), "byte {at}: {ran:?}");
        assert!(!ran.stderr.contains("panicked"), "byte {at}: {ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "byte {at}: {ran:?}");
    }
    assert!(!folder.path("out.parquet").exists());
}

#[test]
fn text_that_is_not_what_its_name_says() {
    let folder = Folder::new();
    folder.put("a.ndjson", "{\"n\":1}\n[2]\n");
    assert!(folder.fails(&["scan", "a.ndjson"]).contains("a.ndjson: at byte 8: the record is bad: "));
    folder.put("b.ndjson", "{\"n\":1}\n{\"n\":");
    assert!(folder.fails(&["scan", "b.ndjson"]).contains("b.ndjson: at byte 8: the last line is no whole record"));
    folder.put("c.csv", "a,b\n1\n");
    assert!(folder.fails(&["scan", "c.csv"]).starts_with("c.csv: not valid as CSV: "));
    folder.put("d.ndjson.gz", "not gzip");
    assert!(folder.fails(&["scan", "d.ndjson.gz"]).contains("d.ndjson.gz: "));
    folder.put("e.dat", "what");
    assert!(folder.fails(&["scan", "e.dat"]).starts_with("e.dat: has no name of a format that is read: "));
    assert!(
        folder.fails(&["convert", "a.ndjson", "out"]).starts_with("out: has no name of a format that is written: ")
    );
    assert!(folder.fails(&["scan", "nowhere.parquet"]).contains("nowhere.parquet: "));
}

#[test]
fn a_missing_event_time() {
    let folder = Folder::new();
    folder.put("in.ndjson", RECORDS);
    let e = folder.fails(&["ingest", "in.ndjson", "table", "--event-time", "when", "--window", "1d"]);
    assert!(e.contains("column when: ") && e.contains("t, carrier, n, x"), "{e}");
    assert_eq!(folder.files(), ["in.ndjson"]);
}

#[test]
fn an_unknown_column_and_a_condition_that_is_none() {
    let folder = Folder::new();
    table(&folder);
    folder.ok(&["convert", "table", "f.parquet"]);
    for from in ["table", "f.parquet"] {
        let e = folder.fails(&["scan", from, "--where", "carier = 'UA'"]);
        assert!(e.contains("there is no column carier; ") && e.contains("t, carrier, n, x, window_start"), "{e}");
        let e = folder.fails(&["scan", from, "--columns", "carier"]);
        assert!(e.contains("there is no column carier; "), "{e}");
        let e = folder.fails(&["convert", from, "out.csv", "--where", "n = 'x'"]);
        assert!(
            e.contains("column n: a value of type Int64 cannot be compared with 'x'; write the number without quotes"),
            "{e}"
        );
    }
    let e = folder.fails(&["scan", "table", "--where", "n >"]);
    assert!(e.starts_with("--where: the condition cannot be read: "), "{e}");
    let e = folder.fails(&["scan", "table", "--where", "n + 1 > 2"]);
    assert!(e.starts_with("--where: the condition holds `n + 1 > 2`, which is not understood"), "{e}");
    assert!(!folder.path("out.csv").exists());
}

#[test]
fn a_table_that_is_not_ours() {
    let folder = Folder::new();
    folder.put("in.ndjson", RECORDS);
    folder.put("folder/file.txt", "x");
    let e = folder.fails(&["scan", "folder"]);
    assert!(e.starts_with("folder: is a folder without _delta_log, so no table; name "), "{e}");
    let commit = |protocol: &str| {
        let schema = r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"n\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}"#;
        format!(
            "{{\"protocol\":{protocol}}}\n{{\"metaData\":{{\"id\":\"x\",\"format\":{{\"provider\":\"parquet\",\"options\":{{}}}},\
             \"schemaString\":\"{schema}\",\"partitionColumns\":[],\"configuration\":{{}}}}}}\n"
        )
    };
    let ingest = |table: &str| folder.fails(&["ingest", "in.ndjson", table, "--event-time", "t"]);
    // One that needs what we do not have.
    let vectors = r#"{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}"#;
    folder.put("vectors/_delta_log/00000000000000000000.json", commit(vectors));
    for e in [folder.fails(&["scan", "vectors"]), folder.fails(&["vacuum", "vectors"]), ingest("vectors")] {
        assert!(e.contains("vectors: ") && e.contains("deletionVectors"), "{e}");
    }
    // One without windows.
    folder.put("plain/_delta_log/00000000000000000000.json", commit(r#"{"minReaderVersion":1,"minWriterVersion":2}"#));
    assert_eq!(folder.ok(&["scan", "plain", "--count"]), "0\n");
    let before = folder.files();
    let e = ingest("plain");
    assert!(e.contains("plain"), "{e}");
    // One whose log is damaged.
    folder.put("damaged/_delta_log/00000000000000000000.json", "{\"protocol\":\n");
    let e = folder.fails(&["scan", "damaged"]);
    assert!(e.starts_with("damaged") && e.contains("00000000000000000000.json") || e.contains("version 0"), "{e}");
    assert_eq!(folder.files().iter().filter(|f| !f.starts_with("damaged")).cloned().collect::<Vec<_>>(), before);
    // A file where the folder should be.
    let e = ingest("in.ndjson");
    assert!(e.contains("in.ndjson: is a file, where a folder is wanted"), "{e}");
}

/// With a limit on the size of files, writing fails as on a full disk.
fn on_a_full_disk(folder: &Folder, arguments: &[&str]) -> Ran {
    let script = "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"";
    let arguments = [["-c", script, PROGRAM].as_slice(), arguments].concat();
    folder.command("sh", &arguments).stdin(Stdio::null()).output().unwrap().into()
}

#[test]
fn a_full_disk() {
    let folder = Folder::new();
    parquet(&folder);
    for out in ["out.parquet", "out.arrow", "out.ndjson", "out.csv"] {
        let before = folder.files();
        let e = on_a_full_disk(&folder, &["convert", "good.parquet", out, "--compression", "none"]).error();
        assert!(e.contains(&format!("{out}: cannot write it: ")), "{e}");
        assert_eq!(folder.files(), before);
    }
    let records = |n: std::ops::Range<u32>| -> String {
        // No encoding makes these few.
        let mixed = |n: u32| n.wrapping_mul(2_654_435_761);
        let hash = |n: u32| mixed(mixed(n) ^ mixed(n) >> 15);
        n.map(|n| format!("{{\"t\":\"2013-01-01T00:00:00Z\",\"a\":{},\"b\":{}}}\n", hash(n), hash(hash(n)))).collect()
    };
    folder.put("in.ndjson", records(0..2000));
    let arguments = ["ingest", "in.ndjson", "table", "--event-time", "t"];
    let e = on_a_full_disk(&folder, &arguments).error();
    assert!(e.contains("table/") && e.contains("cannot write it: "), "{e}");
    // The table is there, perhaps, and has no rows; with room again, all of them come.
    assert!(!folder.files().iter().any(|f| f.ends_with("00000000000000000001.json")), "{:?}", folder.files());
    folder.ok(&arguments);
    assert_eq!(folder.ok(&["scan", "table", "--count"]), "2000\n");
    // Full in the middle of a table's life.
    folder.put("in.ndjson", records(0..4000));
    on_a_full_disk(&folder, &arguments).error();
    assert_eq!(folder.ok(&["scan", "table", "--count"]), "2000\n");
    folder.ok(&arguments);
    assert_eq!(folder.ok(&["scan", "table", "--count"]), "4000\n");
    assert!(folder.ok(&["audit", "table"]).ends_with("the books add up\n"));
}

#[test]
fn a_place_that_cannot_be_written() {
    let folder = Folder::new();
    table(&folder);
    // Root may write everywhere but in here.
    let e = folder.fails(&["convert", "table", "/proc/out.csv"]);
    assert!(e.contains("/proc/out.csv: cannot create it: "), "{e}");
    let e = folder.fails(&["convert", "table", "in.ndjson/out.csv"]);
    assert!(e.contains("in.ndjson: is a file, where a folder is wanted"), "{e}");
    let e = folder.fails(&["convert", "table", "/dev/null"]);
    assert_eq!(e, "/dev/null: is no ordinary file; name one");
    let e = folder.fails(&["ingest", "in.ndjson", "/proc/table", "--event-time", "t"]);
    assert!(e.contains("/proc/table"), "{e}");
    let full = folder
        .command(PROGRAM, &["scan", "table"])
        .stdout(std::fs::File::create("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(1));
    let stderr = String::from_utf8(full.stderr).unwrap();
    assert!(stderr.starts_with("error: standard output: ") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn usage_errors_are_code_2() {
    let folder = Folder::new();
    for arguments in [
        &["ingest", "in.ndjson"][..],
        &["ingest", "a", "b"],
        &["scan"],
        &["frobnicate"],
        &["scan", "x", "--limit", "many"],
        &["vacuum", "x", "--older-than", "soon"],
        &["convert", "a", "b", "--compression", "zip"],
    ] {
        let ran = folder.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.starts_with("error: "), "{ran:?}");
    }
    let help = folder.ok(&["--help"]);
    for command in ["ingest", "scan", "convert", "merge", "append", "inspect", "compact", "vacuum", "audit"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
}
