//! Holds the source to the layers: who may import whom, who may touch the disk, who may print, how long a
//! file may be and what a module may not be called.
//!
//! [`MAY_IMPORT`] is the list of layers, from the bottom up. A row names the layers that it stands on; what *they* stand
//! on may be named too (their types appear in their interfaces), so a row reaches the closure of its list and nothing else.
//! Test code inside `src/` is held to the same rules.
//!
//! The scanner reads tokens, not types: it follows `crate::…`, `self::…` and `super::…` paths through nested use trees
//! and inline modules. It does not expand macros.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

#[path = "layering/scanner.rs"]
mod scanner;

use std::collections::BTreeSet;

use scanner::{Fault, Source, fault, over_source, paths};

/// Each layer and what it stands on.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("cursor", &["error"]),
    ("budget", &["error"]),
    ("storage", &["error"]),
    ("null", &["error"]),
    ("predicate", &["error", "null"]),
    ("parquet::compress", &["error", "cursor"]),
    ("parquet::encoding", &["error", "cursor"]),
    ("parquet::format", &["error", "cursor"]),
    ("parquet::arrow", &["error", "null", "parquet::format"]),
    ("parquet::splice", &["error", "storage", "parquet::format", "parquet::arrow"]),
    // And all that `read` has: what they share is below `splice`, or named here.
    ("parquet::write", &["cursor", "budget", "predicate", "parquet::compress", "parquet::encoding", "parquet::splice"]),
    ("parquet::read", PARQUET_BELOW),
    ("parquet", &["parquet::write", "parquet::read"]),
    ("table", &["storage", "predicate", "parquet"]),
    ("log", &["error", "cursor", "storage"]),
    ("ingest", &["log", "table"]),
    ("store", &["log", "table", "ingest"]),
    ("datafusion", &["table"]),
    ("fuzzing", &["ingest", "log", "table"]),
    ("cli", &["ingest", "log", "table", "store", "datafusion"]),
];

/// All that `write` and `read` share; neither names the other.
const PARQUET_BELOW: &[&str] = &[
    "error",
    "cursor",
    "budget",
    "storage",
    "null",
    "predicate",
    "parquet::compress",
    "parquet::encoding",
    "parquet::format",
    "parquet::arrow",
];

/// What the crate's root re-exports, and the layer it comes from.
const ROOT_NAMES: &[(&str, &str)] = &[("Error", "error"), ("Result", "error"), ("MemoryBudget", "budget")];

const LINES_MAX: usize = 600;
const BANNED_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];
const PRINTERS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

#[test]
fn the_source_keeps_to_its_layers() {
    let faults = over_source(imports);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn only_storage_touches_the_disk() {
    let faults = over_source(disk);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn only_cli_prints() {
    let faults = over_source(prints);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    let faults = over_source(shape);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_table_stands_on_rows_above_it_only() {
    for (at, (layer, below)) in MAY_IMPORT.iter().enumerate() {
        for name in *below {
            // `store` is planned: a row may be listed before its module exists, never out of order.
            let position = MAY_IMPORT.iter().position(|(other, _)| other == name).unwrap();
            assert!(position < at, "{layer} stands on {name}, which is not above it");
        }
    }
    assert!(!reach("parquet::read").contains("parquet::write"));
    assert!(!reach("parquet::write").contains("parquet::read"));
    assert!(!reach("log").contains("table"));
}

// ---- the checks -------------------------------------------------------------------------------------------------

/// Imports of layers that are not below the file's own.
fn imports(file: &Source) -> Vec<Fault> {
    let Some(own) = layer_of(&file.module) else {
        // The crate's root, which only lists its parts.
        return match file.module.as_slice() {
            [] => Vec::new(),
            _ => vec![fault(1, format!("module {} is in no row of MAY_IMPORT", file.module.join("::")))],
        };
    };
    let reach = reach(own);
    let mut faults = Vec::new();
    for path in paths(&file.tokens, &file.module) {
        if path.parts.first().is_some_and(|first| first == "::") {
            continue; // Another crate.
        }
        let target = match path.parts.as_slice() {
            [name] if ROOT_NAMES.iter().any(|(root, _)| root == name) => {
                ROOT_NAMES.iter().find(|(root, _)| root == name).map(|(_, layer)| *layer)
            }
            parts => layer_of(parts),
        };
        match target {
            Some(target) if target == own || reach.contains(target) => {}
            // A folder's own `mod.rs` names its children, and a child may reach for a layer inside itself.
            _ if own != "parquet" && path.parts.starts_with(&file.module) && target.is_none() => {}
            Some(target) => faults.push(fault(path.line, format!("{own} may not import {target}"))),
            None => faults.push(fault(
                path.line,
                format!(
                    "{own} imports `{}`, which is in no layer",
                    ["crate".to_owned()].iter().chain(&path.parts).cloned().collect::<Vec<_>>().join("::")
                ),
            )),
        }
    }
    faults
}

/// Uses of the file system outside `storage`.
fn disk(file: &Source) -> Vec<Fault> {
    if file.module.first().is_some_and(|first| first == "storage") {
        return Vec::new();
    }
    paths(&file.tokens, &file.module)
        .into_iter()
        .filter(|path| {
            let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
            matches!(
                parts.as_slice(),
                ["::", "std", "fs", ..] | ["::", "std", "os", _, "fs", ..] | ["::", "memmap2", ..]
            )
        })
        .map(|path| fault(path.line, format!("only storage may use {}", path.parts[1..].join("::"))))
        .collect()
}

/// Output to the terminal outside `cli`.
fn prints(file: &Source) -> Vec<Fault> {
    if file.module.first().is_some_and(|first| first == "cli") {
        return Vec::new();
    }
    let mut faults: Vec<Fault> = file
        .tokens
        .windows(2)
        .filter(|pair| PRINTERS.contains(&pair[0].text.as_str()) && pair[1].text == "!")
        .map(|pair| fault(pair[0].line, format!("only cli may print: {}!", pair[0].text)))
        .collect();
    for path in paths(&file.tokens, &file.module) {
        let parts: Vec<&str> = path.parts.iter().map(String::as_str).collect();
        if matches!(parts.as_slice(), ["::", "std", "io", "stdout" | "stderr", ..]) {
            faults.push(fault(path.line, "only cli may write to the terminal".to_owned()));
        }
    }
    faults
}

/// Too long a file, or a name that says nothing.
fn shape(file: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    if file.lines > LINES_MAX {
        faults.push(fault(LINES_MAX + 1, format!("{} lines, {LINES_MAX} are allowed", file.lines)));
    }
    if let Some(name) = file.module.iter().find(|name| BANNED_NAMES.contains(&name.as_str())) {
        faults.push(fault(1, format!("a module called `{name}` holds anything")));
    }
    for pair in file.tokens.windows(2) {
        if pair[0].text == "mod" && BANNED_NAMES.contains(&pair[1].text.as_str()) {
            faults.push(fault(pair[0].line, format!("a module called `{}` holds anything", pair[1].text)));
        }
    }
    faults
}

/// All layers that `layer` may name, itself left out.
fn reach(layer: &'static str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut open = vec![layer];
    while let Some(next) = open.pop() {
        if let Some((_, below)) = MAY_IMPORT.iter().find(|(name, _)| *name == next) {
            open.extend(below.iter().copied().filter(|name| found.insert(*name)));
        }
    }
    found
}

/// The row that a module path lies in: the longest that it starts with.
fn layer_of(path: &[String]) -> Option<&'static str> {
    MAY_IMPORT
        .iter()
        .map(|(layer, _)| *layer)
        .filter(|layer| layer.split("::").count() <= path.len() && layer.split("::").zip(path).all(|(a, b)| a == b))
        .max_by_key(|layer| layer.len())
        // `parquet` itself is a row for what is directly in it, not for a folder that has no row.
        .filter(|layer| {
            *layer != "parquet"
                || path.get(1).is_none_or(|name| name == "*" || name.starts_with(|c: char| c.is_uppercase()))
        })
}

fn messages(path: &str, text: &str, check: impl Fn(&Source) -> Vec<Fault>) -> Vec<(usize, String)> {
    check(&Source::new(path, text)).into_iter().map(|fault| (fault.line, fault.message)).collect()
}

#[track_caller]
fn assert_import(path: &str, text: &str, expected: &[(usize, &str)]) {
    let expected: Vec<(usize, String)> = expected.iter().map(|(line, text)| (*line, (*text).to_owned())).collect();
    assert_eq!(messages(path, text, imports), expected, "{path}: {text}");
}

#[test]
fn an_import_from_above_is_found() {
    assert_import(
        "cursor.rs",
        "use crate::error::Error;\nuse crate::storage::Local;",
        &[(2, "cursor may not import storage")],
    );
    assert_import("log/ndjson.rs", "\n\nuse crate::table::Table;", &[(3, "log may not import table")]);
    assert_import(
        "parquet/read/mod.rs",
        "use crate::parquet::write::FileWriter;",
        &[(1, "parquet::read may not import parquet::write")],
    );
    assert_import(
        "parquet/write/mod.rs",
        "fn f() { crate::parquet::read::go::<u8>(); }",
        &[(1, "parquet::write may not import parquet::read")],
    );
    assert_import("table/mod.rs", "use crate::ingest;", &[(1, "table may not import ingest")]);
    assert_import(
        "parquet/format/page.rs",
        "use crate::parquet::FileReader;",
        &[(1, "parquet::format may not import parquet")],
    );
}

#[test]
fn what_lies_below_is_no_fault() {
    assert_import(
        "parquet/read/mod.rs",
        "use crate::parquet::{arrow::ParquetSchema, format::*};\nuse crate::Error;",
        &[],
    );
    assert_import(
        "ingest/mod.rs",
        "use crate::{log::Log, table::Table, parquet::write::FileWriter, storage::Storage};",
        &[],
    );
    assert_import("table/scan.rs", "use crate::parquet::FileReader; use crate::predicate::Predicate;", &[]);
    assert_import("parquet/encoding/rle.rs", "use super::bit_pack; use super::super::encoding::plain;", &[]);
    assert_import("main.rs", "fn main() { hypostyle::cli::main() }", &[]);
}

#[test]
fn use_trees_supers_and_inline_modules_are_followed() {
    assert_import(
        "cursor.rs",
        "use crate::{error::{Error, Result}, table::{self, Table}};",
        &[(1, "cursor may not import table"), (1, "cursor may not import table")],
    );
    assert_import(
        "parquet/read/plan.rs",
        "use super::super::{format, write::FileWriter};",
        &[(1, "parquet::read may not import parquet::write")],
    );
    assert_import(
        "parquet/read/plan.rs",
        "mod tests {\n use super::super::super::write::FileWriter;\n}",
        &[(2, "parquet::read may not import parquet::write")],
    );
    assert_import(
        "parquet/read/plan.rs",
        "mod tests {\n use super::*; }\n mod more { mod deep { use super::super::super::scan; } }",
        &[],
    );
    assert_import("storage/local.rs", "use {std::io, crate::cursor::Cursor};", &[(1, "storage may not import cursor")]);
}

#[test]
fn whole_crates_and_unlisted_modules_are_found() {
    assert_import("table/mod.rs", "use crate as all;", &[(1, "table imports `crate`, which is in no layer")]);
    assert_import("table/mod.rs", "use crate::*;", &[(1, "table imports `crate::*`, which is in no layer")]);
    assert_import("parquet/read/mod.rs", "use super::*;", &[(1, "parquet::read may not import parquet")]);
    assert_import("cache/mod.rs", "", &[(1, "module cache is in no row of MAY_IMPORT")]);
    assert_import("parquet/extra/mod.rs", "", &[(1, "module parquet::extra is in no row of MAY_IMPORT")]);
}

#[test]
fn text_that_is_no_code_is_no_import() {
    let text = r####"
        // use crate::table::Table;
        /* crate::table /* nested */ crate::table::Table */
        const A: &str = "use crate::table::Table; \" crate::table::X";
        const B: &str = r#"crate::table::Table "quoted" "#;
        const C: &[u8] = b"crate::table::Y";
        const D: char = '"'; const E: char = '\''; const F: u8 = b'"';
        fn g<'a>(x: &'a str) -> &'a str { x }
        use crate::storage::Local;
    "####;
    assert_import("cursor.rs", text, &[(9, "cursor may not import storage")]);
}

#[test]
fn the_disk_is_found_outside_storage() {
    let text = "use std::{io, fs::File};\nfn f() { std::fs::remove_file(p); }\nuse std::os::unix::fs::FileExt;";
    let faults = messages("log/ndjson.rs", text, disk);
    assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(messages("storage/local.rs", text, disk), []);
    assert_eq!(messages("log/ndjson.rs", "use std::io::Read; use crate::storage::fs;", disk), []);
}

#[test]
fn printing_is_found_outside_cli() {
    let text = "fn f() {\n println!(\"x\");\n std::io::stderr().lock();\n}";
    assert_eq!(messages("table/mod.rs", text, prints).iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(messages("cli/scan.rs", text, prints), []);
    assert_eq!(messages("table/mod.rs", "fn print(x: u8) { print(x) } // println!(\"\")", prints), []);
}

#[test]
fn long_files_and_empty_names_are_found() {
    let long = "\n".repeat(LINES_MAX + 1);
    assert_eq!(messages("error.rs", &long, shape), [(601, "601 lines, 600 are allowed".to_owned())]);
    assert_eq!(messages("error.rs", &long[1..], shape), []);
    assert_eq!(messages("table/utils.rs", "", shape).len(), 1);
    assert_eq!(messages("common/mod.rs", "", shape).len(), 1);
    assert_eq!(messages("table/mod.rs", "mod helpers;", shape).len(), 1);
}
