//! Runs the built program in a folder of its own.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder that the program runs in; it goes with the test.
pub struct Folder(tempfile::TempDir);

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_hypostyle");

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn get(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.get(name)).unwrap()
    }

    /// Every file under the folder, hidden ones too.
    pub fn files(&self) -> Vec<String> {
        fn walk(folder: &std::path::Path, top: &std::path::Path, files: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, top, files),
                    false => files.push(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned()),
                }
            }
        }
        let mut files = Vec::new();
        walk(self.0.path(), self.0.path(), &mut files);
        files.sort();
        files
    }

    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.0.path()).env_remove("HYPOSTYLE_LOG").env("RUST_BACKTRACE", "0");
        command
    }

    /// Runs the program without anything on its standard input.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.command(PROGRAM, arguments).stdin(Stdio::null()).output().unwrap().into()
    }

    /// Runs the program with this text on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(PROGRAM, arguments);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        // It may end without reading all.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// Runs the program, which must end well; gives what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
        ran.stdout
    }

    /// Runs the program, which must fail with one line on standard error and nothing on standard output; gives the line,
    /// without `error: `.
    pub fn fails(&self, arguments: &[&str]) -> String {
        self.run(arguments).error()
    }
}

impl Ran {
    /// The one line of a failure.
    pub fn error(&self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "more than one line: {line}");
        line.strip_prefix("error: ").unwrap().to_owned()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Four records of two days, out of order.
pub const RECORDS: &str = r#"{"t":"2013-01-01T05:00:00Z","carrier":"UA","n":1,"x":1.5}
{"t":"2013-01-02T05:00:00Z","carrier":"AA","n":null,"x":null}
{"t":"2013-01-01T07:00:00.25Z","carrier":"UA","n":-30,"x":2}
{"t":"2013-01-01T06:00:00+01:00","carrier":"a \"b\", c","n":4,"x":1e100}
"#;

/// A table of [`RECORDS`].
pub fn table(folder: &Folder) {
    folder.put("in.ndjson", RECORDS);
    folder.ok(&["ingest", "in.ndjson", "table", "--event-time", "t", "--window", "1d"]);
}
