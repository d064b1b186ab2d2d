//! The files of `_delta_log/`: which versions there are, and what is in them.
//!
//! Spec: PROTOCOL.md, "Delta Log Entries".

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::storage::{Storage, is_not_found};

use super::actions::{self, Action};
use super::checkpoint::{self, Checkpoint};

/// The folder of the log, as a prefix to list.
pub(super) const FOLDER: &str = "_delta_log/";

/// The actions of one version.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub version: u64,
    pub actions: Vec<Action>,
}

/// The path of a version's file.
pub(super) fn path(version: u64) -> String {
    format!("{FOLDER}{version:020}.json")
}

/// What there is of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where it begins; none: with version 0.
    pub checkpoint: Option<Checkpoint>,
    /// Its last version.
    pub last: u64,
}

/// What there is of the log that a table can be folded from; `None` if there is nothing. A log that is whole from version 0
/// needs no checkpoint, one that is not begins with the last checkpoint. One with gaps behind it is [`Error::Corrupt`], one
/// that only has checkpoints of a kind that is not known [`Error::Unsupported`].
pub(super) fn extent(storage: &dyn Storage) -> Result<Option<Extent>> {
    let (mut commits, mut parts, mut other) = (Vec::new(), BTreeMap::<(u64, u64), Vec<(u64, String)>>::new(), None);
    let mut v2 = None;
    for entry in storage.list(FOLDER)? {
        let name = entry.path.strip_prefix(FOLDER).unwrap_or_default();
        let Some((version, ending)) = name.split_at_checked(20) else { continue };
        let Some(version) = version.bytes().all(|b| b.is_ascii_digit()).then(|| version.parse::<u64>().ok()).flatten()
        else {
            continue;
        };
        if ending == ".json" {
            // Listed in order, because all names have the same length.
            commits.push(version);
        } else if let Some((part, of)) = checkpoint::part(ending) {
            parts.entry((version, of)).or_default().push((part, entry.path));
        } else if checkpoint::is_v2(ending) {
            // Each has a name of its own, and is there as a whole.
            v2 = v2.max(Some((version, entry.path)));
        } else if ending.starts_with(".checkpoint.") {
            other = other.max(Some(version));
        }
    }
    let whole = parts.into_iter().rfind(|((_, of), parts)| parts.len() as u64 == *of);
    let classic = whole.map(|((version, _), mut parts)| {
        parts.sort_unstable();
        Checkpoint { version, files: parts.into_iter().map(|(_, path)| path).collect() }
    });
    let v2 = v2.map(|(version, path)| Checkpoint { version, files: vec![path] });
    let checkpoint = classic.into_iter().chain(v2).max_by_key(|checkpoint| checkpoint.version);
    let last = commits.last().copied();
    // Where the next gap is, from a version on.
    let gap = |from: u64| {
        let behind = commits.iter().copied().filter(|&version| version >= from);
        (from..).zip(behind).find(|(expected, version)| expected != version)
    };
    let place = |e: Error| e.in_file(storage.name());
    match (last, checkpoint) {
        (None, None) if other.is_none() => Ok(None),
        (Some(last), _) if gap(0).is_none() => Ok(Some(Extent { checkpoint: None, last })),
        (last, Some(checkpoint)) => match gap(checkpoint.version + 1) {
            None => {
                let last = last.unwrap_or(0).max(checkpoint.version);
                Ok(Some(Extent { checkpoint: Some(checkpoint), last }))
            }
            Some((missing, found)) => Err(place(missing_before(missing, found))),
        },
        (last, None) => match (gap(0), other) {
            (Some((missing, found)), None) => Err(place(missing_before(missing, found))),
            (_, other) => Err(place(Error::unsupported(format!(
                "the table's log starts from the checkpoint of version {}, which is neither a classic one nor a v2 one; this \
                 version of the program reads no others",
                other.or(last).unwrap_or(0)
            )))),
        },
    }
}

fn missing_before(missing: u64, found: u64) -> Error {
    Error::corrupt(format!("is missing from the table's log, which has version {found}")).in_version(missing)
}

/// Reads one version; `None` if there is no such version.
pub(super) fn read(storage: &dyn Storage, version: u64) -> Result<Option<Commit>> {
    let Some(bytes) = read_bytes(storage, version)? else { return Ok(None) };
    let actions = actions::decode(&bytes).map_err(|e| e.in_version(version).in_file(storage.name()))?;
    Ok(Some(Commit { version, actions }))
}

/// The bytes of one version's file; `None` if there is no such version.
pub(super) fn read_bytes(storage: &dyn Storage, version: u64) -> Result<Option<bytes::Bytes>> {
    match storage.open(&path(version)) {
        Ok(input) => Ok(Some(input.read(0..input.bytes())?)),
        Err(e) if is_not_found(&e) => Ok(None),
        Err(e) => Err(e),
    }
}
