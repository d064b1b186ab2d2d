//! `hypostyle verify`: what it says, its exit code, and what it saves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod program;

use program::{Folder, table};

/// Three row groups of a hundred rows.
fn file(folder: &Folder) {
    let rows: String = (0..300).map(|r| format!("{{\"id\":{r},\"text\":\"text {r}\"}}\n")).collect();
    folder.put("in.ndjson", rows);
    let options = ["--row-group-rows", "100", "--compression", "none", "--encoding", "text=plain", "--no-dictionary"];
    folder.ok(&[&["convert", "in.ndjson", "a.parquet"], &options[..]].concat());
}

#[test]
fn a_sound_file_and_table_are_said_to_be() {
    let folder = Folder::new();
    file(&folder);
    assert_eq!(folder.ok(&["verify", "a.parquet"]), "./a.parquet: sound, 300 rows in 3 row groups and 6 pages\n");
    table(&folder);
    let said = folder.ok(&["verify", "table"]);
    assert!(said.ends_with(": version 1 is sound, 4 rows in 2 files\n"), "{said}");
}

#[test]
fn a_broken_page_is_told_and_the_rest_saved() {
    let folder = Folder::new();
    file(&folder);
    let mut bytes = std::fs::read(folder.path("a.parquet")).unwrap();
    let at = bytes.windows(8).position(|w| w == b"text 150").unwrap();
    bytes[at] ^= 1;
    std::fs::write(folder.path("a.parquet"), bytes).unwrap();
    let ran = folder.run(&["verify", "a.parquet", "--salvage", "saved.parquet"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with("broken rows in row group 1: ./a.parquet: column text, page 0 at byte "), "{lines:?}");
    assert!(lines[0].contains(": the page's checksum is "), "{lines:?}");
    assert_eq!(lines[1], "./a.parquet: 1 fault; 200 of 300 rows can be read: 0 to 99, 200 to 299");
    assert!(lines[2].starts_with("200 rows in 2 row groups written to saved.parquet, "), "{lines:?}");
    assert_eq!(
        folder.ok(&["verify", "saved.parquet"]),
        "./saved.parquet: sound, 200 rows in 2 row groups and 4 pages\n"
    );
    assert_eq!(folder.ok(&["scan", "saved.parquet", "--count", "--where", "id < 150"]), "100\n");
}

#[test]
fn a_table_whose_files_are_not_what_its_log_says() {
    let folder = Folder::new();
    table(&folder);
    let files: Vec<String> =
        folder.files().into_iter().filter(|f| f.ends_with(".parquet") && f.starts_with("table")).collect();
    assert_eq!(files.len(), 2);
    std::fs::remove_file(folder.path(&files[0])).unwrap();
    folder.put("one.ndjson", "{\"t\":\"2013-01-01T05:00:00Z\"}\n");
    folder.ok(&["convert", "one.ndjson", "one.parquet"]);
    std::fs::copy(folder.path("one.parquet"), folder.path(&files[1])).unwrap();
    let ran = folder.run(&["verify", "table"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("the log names this file, and it is not there"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the log tells of"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("version 1 has faults in 2 of 2 files\n"), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    let folder = Folder::new();
    folder.put("no.parquet", "PAR1 no");
    assert!(folder.fails(&["verify", "no.parquet"]).contains("no.parquet"));
    folder.put("in.ndjson", "{}\n");
    assert!(folder.fails(&["verify", "in.ndjson"]).contains("neither a Parquet file nor a table"));
}
