//! `hypostyle merge` and `append`: more rows in one file, without touching those that are there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod program;

use program::{Folder, table};

fn numbers(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("{{\"n\":{n},\"s\":\"text {}\"}}\n", n % 7)).collect()
}

fn file(folder: &Folder, name: &str, from: u32, to: u32) {
    folder.put("in.ndjson", numbers(from, to));
    folder.ok(&["convert", "in.ndjson", name, "--row-group-rows", "400"]);
    std::fs::remove_file(folder.path("in.ndjson")).unwrap();
}

fn ndjson(folder: &Folder, file: &str) -> String {
    folder.ok(&["convert", file, "out.ndjson"]);
    let text = folder.text("out.ndjson");
    std::fs::remove_file(folder.path("out.ndjson")).unwrap();
    text
}

fn json(folder: &Folder, file: &str) -> serde_json::Value {
    serde_json::from_str(&folder.ok(&["inspect", file, "--json", "--pages"])).unwrap()
}

#[test]
fn merged_files_have_all_rows_and_the_same_pages() {
    let folder = Folder::new();
    file(&folder, "a.parquet", 0, 1000);
    file(&folder, "b.parquet", 1000, 1500);
    let printed = folder.ok(&["merge", "all.parquet", "a.parquet", "b.parquet"]);
    let size = folder.get("all.parquet").len() as u64;
    assert!(printed.starts_with("1,500 rows of 2 files in 5 row groups written to all.parquet, "), "{printed} {size}");
    assert_eq!(ndjson(&folder, "all.parquet"), numbers(0, 1500));
    assert_eq!(folder.ok(&["scan", "all.parquet", "--count", "--where", "n >= 990 and n < 1010"]), "20\n");
    let (a, all) = (json(&folder, "a.parquet"), json(&folder, "all.parquet"));
    for group in 0..3 {
        for column in 0..2 {
            let of = |file: &serde_json::Value, group: usize, key: &str| {
                file["row_groups"][group]["columns"][column][key].clone()
            };
            for key in ["encodings", "compressed_bytes", "statistics", "column_index", "offset_index"] {
                assert_eq!(of(&all, group, key), of(&a, group, key), "{key}");
            }
        }
    }
    // Into one of the files itself.
    folder.ok(&["merge", "a.parquet", "a.parquet", "b.parquet", "b.parquet"]);
    assert_eq!(ndjson(&folder, "a.parquet"), numbers(0, 1500) + &numbers(1000, 1500));
    assert_eq!(folder.files(), ["a.parquet", "all.parquet", "b.parquet"]);
}

#[test]
fn what_does_not_go_together_is_not_merged() {
    let folder = Folder::new();
    table(&folder);
    file(&folder, "a.parquet", 0, 10);
    folder.ok(&["convert", "table", "t.parquet"]);
    folder.put("in.csv", "n\n1\n");
    let e = folder.fails(&["merge", "out.parquet", "a.parquet", "t.parquet"]);
    assert!(e.ends_with("t.parquet: column n: another schema: \"t\" stands in its place"), "{e}");
    for not in ["in.csv", "table"] {
        let e = folder.fails(&["merge", "out.parquet", "a.parquet", not]);
        assert_eq!(e, format!("{not}: only Parquet files can be merged; convert it first"));
    }
    let e = folder.fails(&["merge", "out.csv", "a.parquet"]);
    assert_eq!(e, "out.csv: is written as Parquet: give it a name that ends with .parquet");
    let e = folder.fails(&["merge", "out.parquet", "none.parquet"]);
    assert!(e.contains("none.parquet: cannot open it: "), "{e}");
    assert_eq!(folder.run(&["merge", "out.parquet"]).code, Some(2));
    assert!(!folder.path("out.parquet").exists());
}

#[test]
fn rows_of_every_format_are_appended() {
    let folder = Folder::new();
    file(&folder, "f.parquet", 0, 1000);
    let old = folder.get("f.parquet");
    file(&folder, "g.parquet", 1000, 1005);
    folder.ok(&["convert", "g.parquet", "g.arrow"]);
    folder.put("g.ndjson", numbers(1005, 1010));
    folder.put("g.csv", "s,n\ntext 2,1010\n,1011\n");
    let printed = folder.ok(&["append", "f.parquet", "g.parquet", "g.ndjson", "g.arrow", "g.csv"]);
    assert!(printed.starts_with("17 rows added to f.parquet, which has 1,017 rows now, "), "{printed}");
    let expected = numbers(0, 1010) + &numbers(1000, 1005) + "{\"n\":1010,\"s\":\"text 2\"}\n{\"n\":1011,\"s\":null}\n";
    assert_eq!(ndjson(&folder, "f.parquet"), expected);
    let groups = json(&folder, "f.parquet")["row_groups"].as_array().unwrap().len();
    assert_eq!(groups, 4, "three old row groups and a new one");
    let data =
        json(&folder, "f.parquet")["row_groups"][2]["columns"][1]["pages"][0]["offset"].as_u64().unwrap() as usize;
    assert_eq!(folder.get("f.parquet")[..data], old[..data]);
    // A column that is narrower, and none of the other.
    folder.put("s.json", r#"{"fields":[{"name":"n","type":"int16"}]}"#);
    folder.put("n.csv", "n\n7\n");
    folder.ok(&["convert", "n.csv", "n.parquet", "--schema", "s.json"]);
    folder.ok(&["append", "f.parquet", "n.parquet"]);
    assert_eq!(folder.ok(&["scan", "f.parquet", "--count", "--where", "n = 7 and s is null"]), "1\n");
}

#[test]
fn what_does_not_fit_is_not_appended_and_the_file_stays() {
    let folder = Folder::new();
    table(&folder);
    file(&folder, "f.parquet", 0, 10);
    let old = folder.get("f.parquet");
    let e = folder.fails(&["append", "f.parquet", "table"]);
    assert_eq!(e, "table: column t: the file to append to has no such column");
    folder.put("x.ndjson", "{\"n\":1}\n{\"n\":\"one\"}\n");
    let e = folder.fails(&["append", "f.parquet", "x.ndjson"]);
    assert!(e.starts_with("x.ndjson: ") && e.contains("column n") || e.contains("\"one\""), "{e}");
    folder.put("x.csv", "n\n1.5\n");
    folder.ok(&["convert", "x.csv", "x.parquet"]);
    let e = folder.fails(&["append", "f.parquet", "x.parquet"]);
    assert!(e.starts_with("x.parquet: column n: the file has Float64, Int64 is asked for"), "{e}");
    let e = folder.fails(&["append", "none.parquet", "x.csv"]);
    assert!(e.contains("none.parquet: cannot open it: "), "{e}");
    assert_eq!(folder.get("f.parquet"), old);
    assert_eq!(folder.files().iter().filter(|f| f.contains("unfinished")).count(), 0);
}

#[test]
fn a_schema_says_what_a_parquet_file_is_read_as() {
    let folder = Folder::new();
    file(&folder, "f.parquet", 0, 3);
    let schema = r#"{"fields":[{"name":"note","type":"utf8"},{"name":"n","type":"decimal(25,2)"}]}"#;
    folder.put("s.json", schema);
    folder.ok(&["convert", "f.parquet", "out.csv", "--schema", "s.json", "--where", "n > 0.5 and note is null"]);
    assert_eq!(folder.text("out.csv"), "note,n\n,1.00\n,2.00\n");
    folder.put("s.json", r#"{"fields":[{"name":"n","type":"int8"}]}"#);
    let e = folder.fails(&["scan", "f.parquet", "--schema", "s.json"]);
    assert!(
        e.ends_with("f.parquet: column n: the file has Int64, Int8 is asked for, which cannot hold all of its values"),
        "{e}"
    );
}
