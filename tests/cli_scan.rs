//! `hypostyle scan`, `inspect`, `vacuum` and `audit`: the program itself, with its exact output.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod program;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use program::{Folder, PROGRAM, RECORDS, table};

#[test]
fn rows_are_printed_as_a_table() {
    let folder = Folder::new();
    table(&folder);
    let ran = folder.run(&["scan", "table"]);
    assert_eq!(
        ran.stdout,
        "\
t                        carrier       n        x  window_start
timestamp(us, UTC)       utf8      int64  float64  timestamp(us, UTC)
-----------------------  --------  -----  -------  --------------------
2013-01-01T05:00:00Z     UA            1      1.5  2013-01-01T00:00:00Z
2013-01-01T07:00:00.25Z  UA          -30      2.0  2013-01-01T00:00:00Z
2013-01-01T05:00:00Z     a \"b\", c      4    1e100  2013-01-01T00:00:00Z
2013-01-02T05:00:00Z     AA         null     null  2013-01-02T00:00:00Z
"
    );
    assert!(
        ran.stderr.starts_with("4 rows; files 2 read, 0 skipped; row groups 2 read, 0 skipped; pages "),
        "{}",
        ran.stderr
    );
}

#[test]
fn conditions_columns_and_limits() {
    let folder = Folder::new();
    table(&folder);
    let ran = folder.run(&["scan", "table", "--where", "carrier = 'UA' and n > -30", "--columns", "x, n"]);
    assert_eq!(ran.stdout, "      x      n\nfloat64  int64\n-------  -----\n    1.5      1\n");
    assert!(ran.stderr.starts_with("1 row; files 1 read, 1 skipped; "), "{}", ran.stderr);
    let count = |condition: &str| folder.ok(&["scan", "table", "--count", "--where", condition]);
    assert_eq!(folder.ok(&["scan", "table", "--count"]), "4\n");
    assert_eq!(count("n is null"), "1\n");
    assert_eq!(count("window_start >= '2013-01-02'"), "1\n");
    assert_eq!(count("t between '2013-01-01T05:00:00Z' and TIMESTAMP '2013-01-01 06:00:00'"), "2\n");
    assert_eq!(count("carrier like 'a %' or x in (2, 7)"), "2\n");
    assert_eq!(count("n > 1000000000000000000000"), "0\n");
    assert_eq!(folder.ok(&["scan", "table", "--columns", "n", "--limit", "1"]), "    n\nint64\n-----\n    1\n");
    assert_eq!(folder.ok(&["scan", "table", "--columns", "n", "--limit", "0"]), "    n\nint64\n-----\n(no rows)\n");
    assert_eq!(folder.ok(&["scan", "table", "--columns", ""]), "(4 rows without columns)\n");
    let ran = folder.run(&["scan", "table", "--where", "window_start = '2013-01-02'", "--count"]);
    assert!(ran.stderr.starts_with("1 row; files 1 read, 1 skipped; "), "{}", ran.stderr);
}

#[test]
fn files_are_scanned_too() {
    let folder = Folder::new();
    table(&folder);
    for file in ["f.parquet", "f.arrow", "f.ndjson", "f.csv"] {
        folder.ok(&["convert", "table", file]);
        let printed = folder.ok(&["scan", file, "--where", "n = 4", "--columns", "carrier,n"]);
        assert_eq!(printed, "carrier       n\nutf8      int64\n--------  -----\na \"b\", c      4\n", "{file}");
    }
    let ran = folder.run(&["scan", "f.parquet", "--where", "n > 100", "--count"]);
    assert_eq!(ran.stdout, "0\n");
    assert!(ran.stderr.starts_with("0 rows; row groups 0 read, 1 skipped; pages 0 read, "), "{}", ran.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new();
    folder.put("big.ndjson", (0..200_000).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let mut command = folder.command(PROGRAM, &["scan", "big.ndjson"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert_eq!(first.trim(), "n");
    drop(lines);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert_eq!(stderr, "");
}

#[test]
fn a_file_is_inspected() {
    let folder = Folder::new();
    table(&folder);
    folder.ok(&["convert", "table", "f.parquet", "--columns", "carrier,n", "--compression", "none"]);
    let printed = folder.ok(&["inspect", "f.parquet", "--pages"]);
    for part in [
        "f.parquet: Parquet, 4 rows in 1 row group, ",
        "  carrier  optional BYTE_ARRAY STRING  utf8\n",
        "  n        optional INT64              int64\n",
        "row group 0: 4 rows, ",
        "  pages of carrier\n",
    ] {
        assert!(printed.contains(part), "{part:?} is not in\n{printed}");
    }
    let line = |start: &str| printed.lines().find(|l| l.trim_start().starts_with(start)).unwrap().to_owned();
    let chunk: Vec<String> = printed.lines().filter(|l| l.contains("UNCOMPRESSED")).map(str::to_owned).collect();
    assert!(
        chunk[0].contains(" AA ") && chunk[0].contains("a \"b\", c") && chunk[0].ends_with("column offset"),
        "{chunk:?}"
    );
    assert!(chunk[1].split_whitespace().collect::<Vec<_>>().ends_with(&["column", "offset"]), "{chunk:?}");
    assert!(line("0 ").contains("DATA_PAGE") && line("0 ").ends_with("yes"), "{printed}");

    let json: serde_json::Value =
        serde_json::from_str(&folder.ok(&["inspect", "f.parquet", "--json", "--pages"])).unwrap();
    assert_eq!(json["rows"], 4);
    let n = &json["row_groups"][0]["columns"][1];
    assert_eq!((n["codec"].as_str(), n["values"].as_i64()), (Some("UNCOMPRESSED"), Some(4)));
    let statistics = &n["statistics"];
    assert_eq!((&statistics["min"], &statistics["max"], &statistics["nulls"]), (&"-30".into(), &"4".into(), &1.into()));
    assert_eq!(n["pages"][0]["values"], 4);
}

#[test]
fn a_table_is_inspected() {
    let folder = Folder::new();
    table(&folder);
    let printed = folder.ok(&["inspect", "table"]);
    for part in [
        "table: table, version 1, 4 rows in 2 files, ",
        "protocol reader 1, writer 7 (domainMetadata)\n",
        "  window_start  timestamp(us, UTC)  no        partitions the table\n",
        "  hypostyle.ingest.default.in.ndjson\n",
    ] {
        assert!(printed.contains(part), "{part:?} is not in\n{printed}");
    }
    let json: serde_json::Value = serde_json::from_str(&folder.ok(&["inspect", "table", "--json"])).unwrap();
    assert_eq!((&json["version"], &json["rows"], &json["files"]), (&1.into(), &4.into(), &2.into()));
    assert_eq!(json["partition_columns"], serde_json::json!(["window_start"]));
    let state = &json["domains"]["hypostyle.ingest.default.in.ndjson"];
    assert_eq!(state["resume"], RECORDS.len());
    assert_eq!(json["last_versions"][0]["rows_added"], 4);
}

#[test]
fn a_table_is_vacuumed_and_audited() {
    let folder = Folder::new();
    table(&folder);
    let printed = folder.ok(&["audit", "table"]);
    assert_eq!(
        printed,
        format!(
            "version 1, 1 sink\nsink default: 4 rows in 2 files, 0 dead letters\n  in.ndjson: 4 records up to position {0} = 4 \
             written + 0 dead-lettered + 0 dropped + 0 pending; resumes at {0}\nthe books add up\n",
            RECORDS.len()
        )
    );
    folder.put("table/part-0.parquet", "left behind by a crash");
    let files = folder.files();
    assert_eq!(
        folder.ok(&["vacuum", "table"]),
        "removed 0 files, 0 B; kept 2 files of the table, and 1 too young to go\n"
    );
    assert_eq!(
        folder.ok(&["vacuum", "table", "--older-than", "0s", "--dry-run"]),
        "would remove part-0.parquet (22 B)\nwould remove 1 file, 22 B; kept 2 files of the table, and 0 too young to go\n"
    );
    assert_eq!(folder.files(), files);
    folder.ok(&["vacuum", "table", "--older-than", "0s"]);
    assert_eq!(folder.files(), files.into_iter().filter(|f| f != "table/part-0.parquet").collect::<Vec<_>>());
    assert_eq!(folder.ok(&["scan", "table", "--count"]), "4\n");

    // A data file that is gone from the log makes the books wrong.
    let commit = folder.text("table/_delta_log/00000000000000000001.json");
    let kept: String = commit.lines().filter(|l| !l.contains("2013-01-02")).map(|l| format!("{l}\n")).collect();
    assert_ne!(kept, commit);
    folder.put("table/_delta_log/00000000000000000001.json", kept);
    let ran = folder.run(&["audit", "table"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("\nfault: ") && ran.stdout.ends_with("the books do NOT add up\n"), "{}", ran.stdout);
}

#[test]
fn a_table_is_compacted() {
    let folder = Folder::new();
    folder.put("in.ndjson", RECORDS);
    let ingest = ["ingest", "in.ndjson", "table", "--event-time", "t", "--window", "1d"];
    folder.ok(&ingest);
    // The same two days again, in a file that has grown.
    folder.put("in.ndjson", RECORDS.repeat(2));
    folder.ok(&ingest);
    let rows = |folder: &Folder| {
        folder.ok(&["convert", "table", "rows.ndjson"]);
        let mut lines: Vec<String> = folder.text("rows.ndjson").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = rows(&folder);
    let files = folder.files();
    let planned = folder.ok(&["compact", "table", "--dry-run"]);
    assert!(
        planned.starts_with("would compact 2 files, ") && planned.contains(" of window_start=2013-01-01T"),
        "{planned}"
    );
    assert!(planned.contains("\nwould make 2 files of 4 files, "), "{planned}");
    assert_eq!(folder.files(), files);
    let said = folder.ok(&["compact", "table", "--compression", "snappy"]);
    assert!(said.starts_with("compacted 4 files, ") && said.contains(" to 2, "), "{said}");
    assert!(said.contains("; 1 commit, version 3; "), "{said}");
    assert_eq!(rows(&folder), before);
    assert!(folder.ok(&["audit", "table"]).ends_with("the books add up\n"));
    assert!(folder.ok(&["inspect", "table"]).contains("8 rows in 2 files"));
    folder.ok(&["vacuum", "table", "--older-than", "0s"]);
    assert_eq!(rows(&folder), before);
    assert!(folder.ok(&["compact", "table"]).starts_with("compacted 0 files, 0 B, to 0, 0 B; 0 commits, version 3"));
    // And the sink goes on.
    folder.put("in.ndjson", RECORDS.repeat(3));
    folder.ok(&ingest);
    assert_eq!(rows(&folder).len(), 12);
    folder.fails(&["compact", "in.ndjson"]);
    assert!(folder.fails(&["compact", "table", "--min-files", "1"]).contains("one file of two at least"));
}

#[test]
fn row_groups_are_picked_by_bytes_starts_numbers_and_parts() {
    let folder = Folder::new();
    folder.put("in.ndjson", (0..10_000).map(|n| format!("{{\"n\":{}}}\n", n * n)).collect::<String>());
    folder.ok(&["convert", "in.ndjson", "f.parquet", "--row-group-rows", "3000", "--compression", "none"]);
    let count = |file: &str, option: &str, value: &str| folder.ok(&["scan", file, "--count", option, value]);
    assert_eq!(count("f.parquet", "--row-groups", "0,3"), "4000\n");
    assert_eq!(count("f.parquet", "--start-offsets", "4"), "3000\n");
    assert_eq!(count("f.parquet", "--byte-range", "..5"), "0\n");
    assert_eq!(count("f.parquet", "--byte-range", "5.."), "10000\n");
    let parts: Vec<usize> =
        ["0/2", "1/2"].map(|part| count("f.parquet", "--part", part).trim().parse().unwrap()).to_vec();
    assert!(parts.iter().sum::<usize>() == 10_000 && parts.iter().all(|&rows| rows > 0), "{parts:?}");
    folder.ok(&["convert", "in.ndjson", "table/"]);
    let both = [count("table", "--part", "0/2"), count("table", "--part", "1/2")];
    assert!(both == ["10000\n", "0\n"] || both == ["0\n", "10000\n"], "{both:?}");
    for (file, option, says) in [
        ("table", "--row-groups=1", "a table is divided by --part"),
        ("in.ndjson", "--part=0/2", "--part is about tables and Parquet files"),
        ("f.parquet", "--start-offsets=5", "no row group begins at byte 5"),
        ("f.parquet", "--part=2/2", "is no part"),
    ] {
        let ran = folder.run(&["scan", file, "--count", option]);
        assert!(ran.code != Some(0) && ran.stderr.contains(says), "{option}: {}", ran.stderr);
    }
}

#[test]
fn rows_are_passed_over_numbered_and_put_in_order() {
    let folder = Folder::new();
    table(&folder);
    folder.ok(&["convert", "table", "f.parquet"]);
    folder.ok(&["convert", "table", "f.csv"]);
    for from in ["table", "f.parquet", "f.csv"] {
        let rows = folder.ok(&["scan", from, "--columns", "n", "--offset", "1", "--limit", "2", "--threads", "2"]);
        assert!(rows.ends_with("  -30\n    4\n"), "{from}: {rows}");
    }
    for from in ["table", "f.parquet"] {
        let rows = folder.ok(&["scan", from, "--columns", "n", "--order-by", "n desc", "--limit", "2"]);
        assert_eq!(rows, "    n\nint64\n-----\n    4\n    1\n", "{from}");
        let rows = folder.ok(&["scan", from, "--columns", "n", "--order-by", "n", "--limit", "9", "--where", "n < 4"]);
        assert_eq!(rows, "    n\nint64\n-----\n  -30\n    1\n", "{from}");
    }
    let rows = folder.ok(&["scan", "table", "--columns", "n", "--row-numbers", "row", "--where", "n is null"]);
    assert!(rows.contains("  row  row_file\n") && rows.contains("\n null      0  window_start="), "{rows}");
    let rows = folder.ok(&["scan", "f.parquet", "--columns", "n", "--row-numbers", "row", "--where", "n is null"]);
    assert_eq!(rows, "    n    row\nint64  int64\n-----  -----\n null      3\n");
    for (arguments, message) in [
        (&["scan", "table", "--row-numbers", "n"][..], "there is a column of the name n"),
        (&["scan", "f.csv", "--row-numbers", "row"], "--order-by and --row-numbers are about Parquet"),
    ] {
        let error = folder.fails(arguments);
        assert!(error.contains(message), "{error}");
    }
    let ran = folder.run(&["scan", "f.parquet", "--order-by", "n"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--limit <ROWS>"), "{ran:?}");
}
