//! `hypostyle scan --explain`, and the library behind it: which step leaves what out, by which condition and what is known.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod program;

use hypostyle::parquet::read::{Decision, FileReader, Pruning, ReaderOptions, ScanOptions, Step};
use hypostyle::predicate::{Evidence, Reason, sql};
use hypostyle::storage::{Local, Storage};
use program::{Folder, table};

/// Three row groups of 2,000 rows; names without order, ratings in it.
fn names(folder: &Folder, options: &[&str]) {
    let names = [
        ["Amy", "Penny", "Leonard", "Wil"],
        ["Amy", "Sheldon", "Howard", "Zack"],
        ["Bernadette", "Raj", "Stuart", "Raj"],
    ];
    let line = |row: usize| {
        let name = names[row / 2000][(row * 7 + row / 3) % 4];
        format!("{{\"rating\":{},\"who\":\"{name}\"}}\n", row / 60)
    };
    folder.put("in.ndjson", (0..6000).map(line).collect::<String>());
    let convert = ["convert", "in.ndjson", "f.parquet", "--row-group-rows", "2000", "--compression", "none"];
    folder.ok(&[&convert[..], options].concat());
}

#[test]
fn each_row_group_says_why() {
    let folder = Folder::new();
    names(&folder, &[]);
    let ran = folder.run(&["scan", "f.parquet", "--explain", "--where", "who = 'Sheldon' and rating > 40"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], "f.parquet: 3 row groups, 1 to read");
    assert!(
        lines[1].starts_with("row group 0: 2,000 rows of ") && lines[1].ends_with(" skipped by statistics"),
        "{}",
        ran.stdout
    );
    assert_eq!(lines[2], "  rating > 40: rating is 0 to 33, never NULL");
    assert_eq!(lines[3], "row group 1: 2,000 rows read");
    assert!(lines[4].ends_with(" skipped by dictionary"), "{}", ran.stdout);
    assert_eq!(lines[5], "  who = 'Sheldon': none of the 3 values of who in its dictionary");
    // Of each column what was fetched, opened and made of it: of names, the entries of the dictionary and what matched.
    assert!(
        lines[6].starts_with("column who: pages 1 read, 0 skipped; ") && lines[6].ends_with(" decoded"),
        "{}",
        lines[6]
    );
    assert!(lines[7].starts_with("column rating: pages 1 read, 0 skipped; "), "{}", ran.stdout);
    assert_eq!(lines.len(), 8);
    assert!(
        ran.stderr.starts_with("256 rows; row groups 1 read, 2 skipped (1 by dictionary); pages "),
        "{}",
        ran.stderr
    );

    let json = folder.ok(&["scan", "f.parquet", "--explain", "--json", "--where", "who = 'Sheldon' and rating > 40"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let groups = json["row_groups"].as_array().unwrap();
    let decisions: Vec<&str> = groups.iter().map(|g| g["decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["skip", "read", "skip"]);
    let evidence = &groups[0]["reasons"][0]["evidence"][0];
    assert_eq!(
        *evidence,
        serde_json::json!({ "column": "rating", "by": "bounds", "min": "0", "max": "33", "nulls": 0 })
    );
    assert_eq!(
        (&json["counts"]["row_groups_skipped_by_dictionary"], &json["counts"]["rows_returned"]),
        (&1.into(), &256.into())
    );
    let columns = json["columns"].as_array().unwrap();
    let sum = |key: &str| columns.iter().map(|column| column[key].as_u64().unwrap()).sum::<u64>();
    let count = |key: &str| json["counts"][key].as_u64().unwrap();
    assert_eq!((sum("bytes_fetched"), sum("pages_read")), (count("bytes_read"), count("pages_read")));
    assert_eq!(sum("bytes_decompressed"), count("bytes_decompressed"));
    assert_eq!(sum("bytes_decoded"), count("bytes_decoded"));
    // Pages are not compressed, and what is fetched are their headers, too.
    assert!(sum("bytes_decompressed") > 0 && sum("bytes_decompressed") < sum("bytes_fetched"), "{json}");
    assert!(folder.run(&["scan", "in.ndjson", "--explain"]).error().contains("nothing to explain"));
    assert_eq!(folder.run(&["scan", "f.parquet", "--json"]).code, Some(2));
}

#[test]
fn the_library_tells_steps_conditions_and_evidence() {
    let folder = Folder::new();
    names(&folder, &["--bloom-filter", "who=0.0001"]);
    let storage = Local::new(folder.path("")).unwrap();
    let file = FileReader::open(storage.open("f.parquet").unwrap(), ReaderOptions::default()).unwrap();
    let explain = |text: &str, pruning: Pruning| {
        let options = ScanOptions::default().with_predicate(sql::parse(text).unwrap()).with_pruning(pruning);
        file.explain(options).unwrap().row_groups.into_iter().map(|g| g.decision).collect::<Vec<_>>()
    };
    let all = Pruning::default();
    let skip = |step, condition: &str, evidence| Decision::Skip {
        step,
        reasons: vec![Reason { condition: condition.to_owned(), evidence: vec![evidence] }],
    };
    let filter = || Evidence::BloomFilter { column: "who".into() };
    assert_eq!(
        explain("who = 'Sheldon'", all),
        [
            skip(Step::BloomFilter, "who = 'Sheldon'", filter()),
            Decision::Read { rows: 2000, sure: 0 },
            skip(Step::BloomFilter, "who = 'Sheldon'", filter()),
        ]
    );
    // What a filter cannot tell; the conditions of one column together.
    let values = |values| Evidence::Values { column: "who".into(), values };
    let both = "who > 'Q' AND who < 'S'";
    assert_eq!(
        explain(both, all),
        [
            skip(Step::Dictionary, both, values(4)),
            skip(Step::Dictionary, both, values(4)),
            Decision::Read { rows: 2000, sure: 0 }
        ]
    );
    assert_eq!(explain(both, Pruning { dictionaries: false, ..all }), vec![Decision::Read { rows: 2000, sure: 0 }; 3]);
    // Each of several, where any may hold; pages; what all rows meet.
    let Decision::Skip { step: Step::Statistics, reasons } = &explain("rating > 90 or who > 'x'", all)[0] else {
        panic!()
    };
    assert_eq!(reasons.iter().map(|r| r.condition.as_str()).collect::<Vec<_>>(), ["rating > 90", "who > 'x'"]);
    assert_eq!(explain("rating >= 34", all)[2], Decision::AllMatch);
    assert_eq!(
        file.explain(ScanOptions::default().with_row_groups([1])).unwrap().row_groups[0].decision,
        Decision::AllMatch
    );
    assert!(file.explain(ScanOptions::default().with_columns(["nme"])).is_err());
}

#[test]
fn a_tables_files_say_why() {
    let folder = Folder::new();
    table(&folder);
    let printed = folder.ok(&["scan", "table", "--explain", "--where", "window_start = '2013-01-02' and n is null"]);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "table: 2 files, 1 to open");
    assert!(
        lines[1].starts_with("window_start=2013-01-01") && lines[1].ends_with(": not opened, by the log"),
        "{printed}"
    );
    assert_eq!(
        lines[2], "  window_start = '2013-01-02': window_start is 2013-01-01T00:00:00Z, never NULL",
        "{printed}"
    );
    let json = folder.ok(&["scan", "table", "--explain", "--json", "--where", "n > 100"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["files"].as_array().unwrap().iter().filter(|f| f["decision"] == "skip").count(), 2, "{json}");
}
