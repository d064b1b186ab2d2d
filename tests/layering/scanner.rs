//! The scanner: tokens of the source, and the paths that they make.

use std::path::{Path, PathBuf};

pub(super) struct Source {
    /// Module path of the file: `[parquet, read, plan]`; empty for `lib.rs`.
    pub(super) module: Vec<String>,
    pub(super) tokens: Vec<Token>,
    pub(super) lines: usize,
}

pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// A path with its start resolved: parts from the crate's root, or `::`, crate, … for another crate's.
#[derive(Debug, PartialEq)]
pub(super) struct Reference {
    pub(super) parts: Vec<String>,
    pub(super) line: usize,
}

#[derive(Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) message: String,
}

pub(super) fn fault(line: usize, message: String) -> Fault {
    Fault { line, message }
}

impl Source {
    /// `path` is relative to `src`.
    pub(super) fn new(path: &str, text: &str) -> Source {
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
pub(super) fn over_source(check: impl Fn(&Source) -> Vec<Fault>) -> Vec<String> {
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
pub(super) fn paths(tokens: &[Token], file_module: &[String]) -> Vec<Reference> {
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
