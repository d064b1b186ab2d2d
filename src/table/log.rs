//! The files of `_delta_log/`: which versions there are, and what is in them.
//!
//! Spec: PROTOCOL.md, "Delta Log Entries".

use crate::error::{Error, Result};
use crate::storage::{Storage, is_not_found};

use super::actions::{self, Action};

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

/// The versions whose commits can be read to fold the table from its beginning: 0 to the returned one; `None` if there
/// is no log. A log that starts later needs a checkpoint: [`Error::Unsupported`]. One with gaps is [`Error::Corrupt`].
pub(super) fn last_version(storage: &dyn Storage) -> Result<Option<u64>> {
    let mut next = 0;
    let mut checkpoint = None;
    for entry in storage.list(FOLDER)? {
        let name = entry.path.strip_prefix(FOLDER).unwrap_or_default();
        let Some((version, ending)) = name.split_at_checked(20) else { continue };
        let Some(version) = version.bytes().all(|b| b.is_ascii_digit()).then(|| version.parse::<u64>().ok()).flatten()
        else {
            continue;
        };
        if ending.starts_with(".checkpoint.") {
            checkpoint = checkpoint.or(Some(version));
        } else if ending == ".json" {
            // Listed in order, because all names have the same length.
            if version != next {
                return Err(gap(next, version, checkpoint).in_file(storage.name()));
            }
            next = version + 1;
        }
    }
    match (next.checked_sub(1), checkpoint) {
        (None, Some(checkpoint)) => Err(gap(0, checkpoint, Some(checkpoint)).in_file(storage.name())),
        (last, _) => Ok(last),
    }
}

fn gap(missing: u64, found: u64, checkpoint: Option<u64>) -> Error {
    match checkpoint {
        Some(checkpoint) if checkpoint >= missing => Error::unsupported(format!(
            "the table's log starts from the checkpoint of version {checkpoint}, and this version of the program reads \
             no checkpoints yet, only logs that are whole from version 0"
        )),
        _ => Error::corrupt(format!("is missing from the table's log, which has version {found}")).in_version(missing),
    }
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
