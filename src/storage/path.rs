//! Names inside a storage: what a relative path may be, and which names are ours alone.

use uuid::Uuid;

use crate::error::{Error, Result};

/// Checks a path from a caller (or from a table's log, which is outside input): relative, `/` between
/// non-empty parts, none of them `.` or `..`, no NUL. So no path leads out of the folder.
pub(super) fn check(path: &str) -> Result<()> {
    let fault = if path.is_empty() {
        "an empty path names no file"
    } else if path.starts_with('/') {
        "an absolute path; paths are relative to the storage's folder"
    } else if path.contains('\0') || (cfg!(windows) && path.contains(['\\', ':'])) {
        "a character that no file name may hold"
    } else if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        "an empty part, `.` or `..`; name the file by its plain path below the storage's folder"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!("path {path:?}: {fault}")))
}

/// Checks a prefix to list: empty, or the start of a path that [`check`] allows.
pub(super) fn check_prefix(prefix: &str) -> Result<()> {
    match prefix.strip_suffix('/').unwrap_or(prefix) {
        "" if prefix.is_empty() => Ok(()),
        path => check(path),
    }
}

/// The folder of a path; empty for the top.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// `folder/name`, or `name` at the top.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

const UNFINISHED_START: &str = ".hypostyle-";
const UNFINISHED_END: &str = ".unfinished";

/// A fresh hidden name beside `path` for a file that is being written: in the same folder, because a rename
/// is atomic only there.
pub(super) fn unfinished(path: &str) -> String {
    join(folder(path), &format!("{UNFINISHED_START}{}{UNFINISHED_END}", Uuid::new_v4().simple()))
}

/// Whether the last part of `path` is a name that [`unfinished`] made.
pub(super) fn is_unfinished(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.starts_with(UNFINISHED_START) && name.ends_with(UNFINISHED_END)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_folder() {
        for bad in ["", "/etc/passwd", "..", "a/../b", "a//b", "a/", "./a", "a/.", "a\0b"] {
            let e = check(bad).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(e.starts_with(&format!("path {bad:?}: ")), "{bad:?}: {e}");
        }
        for good in ["a", "a/b", "day=2013-01-01T00%3A00/part-0.parquet", "..a/b..", ".hidden"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for (prefix, allowed) in [("", true), ("a/", true), ("a/b", true), ("/", false), ("../", false), ("a//", false)]
        {
            assert_eq!(check_prefix(prefix).is_ok(), allowed, "{prefix:?}");
        }
    }

    #[test]
    fn unfinished_names_stay_in_the_folder_and_are_known() {
        let name = unfinished("a/b/c.parquet");
        assert_eq!(folder(&name), "a/b");
        assert!(is_unfinished(&name));
        assert_ne!(name, unfinished("a/b/c.parquet"));
        assert!(!is_unfinished("a/.hypostyle-x/c.parquet"));
    }
}
