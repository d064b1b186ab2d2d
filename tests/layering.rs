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

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each layer and what it stands on.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("cursor", &["error"]),
    ("budget", &["error"]),
    ("storage", &["error"]),
    ("predicate", &["error"]),
    ("parquet::compress", &["error", "cursor"]),
    ("parquet::encoding", &["error", "cursor"]),
    ("parquet::format", &["error", "cursor"]),
    ("parquet::arrow", &["error", "parquet::format"]),
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

// ---- the scanner ------------------------------------------------------------------------------------------------

struct Source {
    /// Module path of the file: `[parquet, read, plan]`; empty for `lib.rs`.
    module: Vec<String>,
    tokens: Vec<Token>,
    lines: usize,
}

struct Token {
    text: String,
    line: usize,
}

/// A path with its start resolved: parts from the crate's root, or `::`, crate, … for another crate's.
#[derive(Debug, PartialEq)]
struct Reference {
    parts: Vec<String>,
    line: usize,
}

#[derive(Debug, PartialEq)]
struct Fault {
    line: usize,
    message: String,
}

fn fault(line: usize, message: String) -> Fault {
    Fault { line, message }
}

impl Source {
    /// `path` is relative to `src`.
    fn new(path: &str, text: &str) -> Source {
        let mut module: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod") {
            module.pop();
        }
        match path {
            "lib.rs" => module.clear(),
            "main.rs" => module = vec!["cli".to_owned()], // The program's few lines belong to it.
            _ => {}
        }
        Source { module, tokens: tokens(text), lines: text.lines().count() }
    }
}

/// Runs a check over each file of `src`, giving `path:line: message`.
fn over_source(check: impl Fn(&Source) -> Vec<Fault>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 10, "the source was not found");
    files.sort();
    let mut faults = Vec::new();
    for path in files {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let source = Source::new(&name, &std::fs::read_to_string(&path).unwrap());
        faults.extend(check(&source).iter().map(|fault| format!("src/{name}:{}: {}", fault.line, fault.message)));
    }
    faults
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

/// Every path that starts at `crate`, `self`, `super` or at another crate's name in front of `::`.
fn paths(tokens: &[Token], file_module: &[String]) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut module = file_module.to_vec();
    let mut inline: Vec<usize> = Vec::new(); // Depths at which inline modules were opened.
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        let after = |n: usize| tokens.get(at + n).map_or("", |token| token.text.as_str());
        match text {
            "mod" if after(2) == "{" => {
                module.push(after(1).to_owned());
                inline.push(depth);
                depth += 1;
                at += 3;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inline.last() == Some(&depth) {
                    inline.pop();
                    module.pop();
                }
            }
            _ if is_word(text) && after(1) == "::" => {
                at = tree(tokens, at, &start(text, &module), &mut found);
                continue;
            }
            // `use name;` of another crate, or `use super as up;`: a whole module at once.
            "use" if is_word(after(1)) && after(2) != "::" => {
                found.push(Reference { parts: start(after(1), &module), line: tokens[at].line });
                at += 2;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads the use tree (or plain path) whose first word is at `at`; gives the position after it.
fn tree(tokens: &[Token], at: usize, prefix: &[String], found: &mut Vec<Reference>) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut parts = prefix.to_vec();
    let mut next = at + 1;
    while text(next) == "::" {
        match text(next + 1) {
            "super" => {
                parts.pop();
                next += 2;
            }
            "{" => {
                next += 2;
                while !matches!(text(next), "}" | "") {
                    if text(next) == "," {
                        next += 1;
                        continue;
                    }
                    let mut inner = parts.clone();
                    match text(next) {
                        "self" => {}
                        word => inner.push(word.to_owned()),
                    }
                    next = tree(tokens, next, &inner, found);
                    if text(next) == "as" {
                        next += 2;
                    }
                }
                return next + 1;
            }
            word if is_word(word) || word == "*" => {
                parts.push(word.to_owned());
                next += 2;
            }
            _ => break, // A turbofish.
        }
    }
    found.push(Reference { parts, line: tokens[at].line });
    next
}

/// What the first word of a path stands for.
fn start(word: &str, module: &[String]) -> Vec<String> {
    match word {
        "crate" | "hypostyle" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().saturating_sub(1)].to_vec(),
        other => vec!["::".to_owned(), other.to_owned()],
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single signs; comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while at < bytes.len() {
        let rest = &text[at..];
        let (used, token) = match bytes[at] {
            b'/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            b'/' if rest.starts_with("/*") => (block_comment(rest), false),
            b'"' => (1 + quoted(&rest[1..]), false),
            b'b' | b'r' | b'c' if raw_string(rest).is_some() => (raw_string(rest).unwrap(), false),
            b'\'' => (character(rest), false),
            byte if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 => {
                (rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()), true)
            }
            b':' if rest.starts_with("::") => (2, true),
            byte if byte.is_ascii_whitespace() => (1, false),
            _ => (1, true),
        };
        if token {
            found.push(Token { text: rest[..used].to_owned(), line });
        }
        line += rest[..used].matches('\n').count();
        at += used;
    }
    found
}

/// Bytes of a block comment, which may hold others.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Bytes up to and with the closing quote.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Bytes of `r"…"`, `br#"…"#`, `b"…"` and their kin, if that is what stands here.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c: char| !matches!(c, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let hashes = rest[prefix..].bytes().take_while(|byte| *byte == b'#').count();
    let open = prefix + hashes;
    if rest.as_bytes().get(open) != Some(&b'"') {
        return None;
    }
    if !rest[..prefix].contains('r') {
        return (hashes == 0).then(|| open + 1 + quoted(&rest[open + 1..]));
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some(rest[open + 1..].find(&close).map_or(rest.len(), |found| open + 1 + found + close.len()))
}

/// Bytes of a character literal, or of a lifetime's quote and name.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            from + rest[from..].find('\'').map_or(0, |found| found + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1 + rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len() - 1),
    }
}

// ---- each check seen to fail ------------------------------------------------------------------------------------

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
