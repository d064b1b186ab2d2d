//! `hypostyle sql`: the program itself, with its exact output.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod program;

use program::{Folder, table};

#[test]
fn tables_and_files_are_joined() {
    let folder = Folder::new();
    table(&folder);
    folder.ok(&["convert", "table", "f.parquet", "--columns", "carrier,n"]);
    let query = "select t.carrier, count(*) as rows, sum(f.n) as n from \"table\" t join f on t.carrier = f.carrier \
                 group by t.carrier order by t.carrier";
    let ran = folder.run(&["sql", "table", "f.parquet", query]);
    assert_eq!(
        ran.stdout,
        "\
carrier    rows      n
utf8      int64  int64
--------  -----  -----
AA            1   null
UA            4    -58
a \"b\", c      1      4
",
        "{}",
        ran.stderr
    );
    assert_eq!((ran.stderr.as_str(), ran.code), ("3 rows\n", Some(0)));
    // Two files of one name are one table.
    assert_eq!(
        folder.ok(&["sql", "both=f.parquet", "both=f.parquet", "select count(*) as c from both"]),
        "    c\nint64\n-----\n    8\n"
    );
}

#[test]
fn rows_are_written_to_a_file() {
    let folder = Folder::new();
    table(&folder);
    let query = "select carrier, n * 2 as n from t where n > 0 order by n";
    let ran = folder.run(&["sql", "t=table", query, "--output", "out.csv"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("out.csv: 2 rows, "), "{}", ran.stderr);
    assert_eq!(folder.text("out.csv"), "carrier,n\nUA,2\n\"a \"\"b\"\", c\",8\n");
    folder.ok(&["sql", "t=table", query, "--output", "out.parquet"]);
    assert_eq!(folder.ok(&["scan", "out.parquet", "--columns", "n"]), "    n\nint64\n-----\n    2\n    8\n");
}

#[test]
fn explain_tells_what_is_handed_down() {
    let folder = Folder::new();
    table(&folder);
    let explain = |query: &str| {
        folder.ok(&["convert", "table", "f.parquet"])
            + &folder.ok(&["sql", "f.parquet", query, "--output", "plan.ndjson"])
    };
    explain("explain select carrier from f where n > 3 limit 2");
    let plan = folder.text("plan.ndjson");
    assert!(plan.contains("Hypostyle: source=") && plan.contains("predicate=n > 3, limit=2"), "{plan}");
}

#[test]
fn errors_are_one_line() {
    let folder = Folder::new();
    table(&folder);
    folder.ok(&["convert", "table", "f.parquet"]);
    folder.put("x.ndjson", "{}\n");
    for (arguments, expected) in [
        (&["f.parquet", "select nothing from f"][..], "nothing"),
        (&["f.parquet", "select * from g"], "g"),
        (&["f.parquet", "selec"], "selec"),
        (&["f.parquet", "create table x as select * from f"], "DDL"),
        (&["f.parquet", "copy f to 'x.csv'"], "DML"),
        (&["f.parquet", "set datafusion.execution.batch_size = 1"], "Statement"),
        (&["none.parquet", "select 1"], "none.parquet"),
        (&["x.ndjson", "select 1"], "hypostyle convert"),
        (&["a=f.parquet", "a=table", "select 1"], "is a table"),
        (&["f.parquet", "select cast(carrier as int) from f"], "UA"),
        (&["f.parquet", "select 1", "--memory-bytes", "1"], "memory"),
    ] {
        let ran = folder.run(&[&["sql"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.lines().count() == 1, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{arguments:?}: {}", ran.stderr);
    }
    // A file whose bytes changed: the error is the reader's own.
    let mut bytes = folder.get("f.parquet");
    bytes[30] ^= 1;
    folder.put("f.parquet", bytes);
    let ran = folder.run(&["sql", "f.parquet", "select * from f"]);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("f.parquet: column "), "{}", ran.stderr);
}
