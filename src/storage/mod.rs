//! The only door to the disk.
//!
//! A [`Storage`] is a folder of files named by relative, `/`-separated paths. A file becomes visible whole
//! or not at all: [`Storage::create`] writes somewhere no reader looks until [`Output::finish`], and
//! [`Storage::publish_if_absent`] is the atomic step that the table's log rests on.
//!
//! [`Local`] is a folder of the file system, [`Memory`] one that lives in memory, and [`Faulty`] a disk that
//! crashes and fails where a test asks for it, below the very algorithm that `Local` runs.

mod faulty;
mod folder;
mod local;
mod map;
mod memory;
mod path;

use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

pub use faulty::{Fault, FaultPlan, Faulty};
pub use local::Local;
pub use memory::Memory;

use crate::error::{Error, Result};

/// A folder of files. Paths are relative, with `/` between parts, and mean themselves (a `%` is a `%`);
/// one that is absolute or has an empty, `.` or `..` part is [`Error::Invalid`]. Errors name the path; an
/// [`Error::Io`] has the [`io::Error`] as its source.
pub trait Storage: Debug + Send + Sync {
    /// Opens a file for reading; [`Error::Io`] when it is not there (see [`is_not_found`]).
    fn open(&self, path: &str) -> Result<Arc<dyn Input>>;

    /// Starts a file that appears under `path` when finished, replacing one that is there. Until then
    /// no [`list`](Self::list) shows it. Folders on the way are made.
    fn create(&self, path: &str) -> Result<Box<dyn Output>>;

    /// Makes `path` with these bytes, durable on return, if no file is there yet; a reader sees all of them
    /// or no file. Two callers at once: exactly one gets [`Published::Done`].
    ///
    /// After an error the file may or may not be there. Publish again to know: `Exists`, with these
    /// bytes in the file, means that it was.
    fn publish_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Published>;

    /// All finished files whose path starts with `prefix` (a folder's ends in `/`; empty: all), at any depth,
    /// sorted by path. A folder that is not there has no files.
    fn list(&self, prefix: &str) -> Result<Vec<Entry>>;

    /// Files that were started and are not finished, at any depth, sorted by path: of writers that are at work,
    /// or that died. [`remove`](Self::remove) takes these paths.
    fn list_unfinished(&self) -> Result<Vec<Entry>>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, path: &str) -> Result<()>;

    /// Goes on with a file that [`Output::pause`] kept: at its first [`bytes`](Paused::bytes), what came after them is
    /// gone.
    ///
    /// # Errors
    /// [`Error::Io`] when it is not there, because it was finished or removed; [`Error::Conflict`] while whoever
    /// paused it still has it open, as far as the storage can tell; [`Error::Invalid`] when it is shorter than it
    /// was, or is another file; [`Error::Unsupported`] from a storage that cannot pause.
    fn resume(&self, paused: &Paused) -> Result<Box<dyn Output>> {
        Err(Error::unsupported("this storage cannot go on with a file").in_file(&paused.path))
    }

    /// What a person calls this folder, for errors and output.
    fn name(&self) -> String;
}

/// What became of [`Storage::publish_if_absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The file is there, with these bytes, durable.
    Done,
    /// Another file was there before; its name is durable too.
    Exists,
}

/// One file of [`Storage::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the storage's folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Milliseconds since 1970 of its last change.
    pub modified_ms: i64,
}

/// An open file to read ranges of.
pub trait Input: Debug + Send + Sync {
    /// Its length in bytes when it was opened.
    fn bytes(&self) -> u64;

    /// The bytes of `range`, without a copy where the storage can;
    /// [`Error::Corrupt`] when it reaches past the end.
    fn read(&self, range: Range<u64>) -> Result<Bytes>;

    /// Fills `out` with the bytes from position `at` on; errors as of [`read`](Self::read).
    fn read_into(&self, at: u64, out: &mut [u8]) -> Result<()> {
        let bytes = self.read(at..at.saturating_add(out.len() as u64))?;
        match bytes.len() == out.len() {
            true => out.copy_from_slice(&bytes),
            false => return Err(Error::io("the storage gave other bytes than were asked for").in_file(self.name())),
        }
        Ok(())
    }

    /// Whether [`read_into`](Self::read_into) memory that was used before takes less than [`read`](Self::read), where few bytes
    /// of the file are wanted.
    fn prefers_copies(&self) -> bool {
        false
    }

    /// What a person calls this file, for errors.
    fn name(&self) -> &str;
}

/// A file being written. Dropped without [`finish`](Self::finish), it never appears.
pub trait Output: Send {
    /// Appends bytes. After an error the file cannot be finished.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the file durable (its bytes, then its name) and visible under its path.
    fn finish(self: Box<Self>) -> Result<()>;

    /// Makes what was appended durable without making it visible. From then on the file stays when this is dropped,
    /// for [`Storage::resume`]; until it is finished, [`Storage::list_unfinished`] lists it. More can be appended.
    ///
    /// # Errors
    /// [`Error::Unsupported`] from a storage that cannot pause.
    fn pause(&mut self) -> Result<Paused> {
        Err(Error::unsupported("this storage cannot pause a file"))
    }
}

/// A file that was begun and can be gone on with, even by another process after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paused {
    /// Where it appears when finished.
    pub path: String,
    /// Where it is until then, in the same storage.
    pub hidden: String,
    /// How many bytes of it are durable.
    pub bytes: u64,
    /// The last of them, by which the file is known again.
    pub tail: Vec<u8>,
}

/// Bytes of a [`Paused`] file's tail, at most.
const TAIL_BYTES: usize = 64;

/// Adds to the last bytes of what is being written.
fn extend_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() >= TAIL_BYTES {
        tail.clear();
    }
    tail.extend_from_slice(bytes.split_at(bytes.len().saturating_sub(TAIL_BYTES)).1);
    tail.drain(..tail.len().saturating_sub(TAIL_BYTES));
}

/// Checks that what ends at the paused length is what was there.
fn check_tail(paused: &Paused, there: &dyn Input) -> Result<()> {
    let start = paused.bytes.checked_sub(paused.tail.len() as u64).filter(|_| paused.bytes <= there.bytes());
    let Some(start) = start else {
        let (has, had) = (there.bytes(), paused.bytes);
        return Err(Error::invalid(format!("the paused file has {has} bytes, it had {had}")).in_file(&paused.path));
    };
    if there.read(start..paused.bytes)? != paused.tail {
        return Err(Error::invalid("another file is in the place of the paused one")
            .at_byte(start)
            .in_file(&paused.path));
    }
    Ok(())
}

/// Checks what comes from outside as a whole: only files that [`Output::pause`] kept are opened to be cut.
fn check_paused(paused: &Paused) -> Result<()> {
    path::check(&paused.path)?;
    path::check(&paused.hidden)?;
    if path::is_unfinished(&paused.hidden) && path::folder(&paused.hidden) == path::folder(&paused.path) {
        return Ok(());
    }
    Err(Error::invalid(format!("{:?} is no name of an unfinished file beside it", paused.hidden)).in_file(&paused.path))
}

/// Whether an error says that a file (or folder) is not there.
pub fn is_not_found(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|s| s.downcast_ref::<io::Error>());
    matches!(error, Error::Io(_)) && source.is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
}

/// An [`Error::Io`] that says what could not be done, why, and what helps; the cause stays its source.
fn io_error(doing: &str, name: impl Into<String>, cause: io::Error) -> Error {
    use io::ErrorKind as Kind;
    let advice = match cause.kind() {
        Kind::PermissionDenied => "; give this user the permission, or choose another place",
        Kind::StorageFull | Kind::QuotaExceeded => "; free some space, then run it again",
        Kind::ReadOnlyFilesystem => "; choose a place that can be written",
        Kind::NotADirectory => "; a part of the path is a file, not a folder",
        Kind::IsADirectory => "; it is a folder, name a file in it",
        _ => "",
    };
    Error::io(format!("cannot {doing}: {cause}{advice}")).with_source(cause).in_file(name)
}

/// The piece of a file's bytes that `range` names.
fn slice(bytes: &Bytes, range: Range<u64>, name: &str) -> Result<Bytes> {
    let length = bytes.len() as u64;
    check_range(&range, length, name)?;
    // Both ends are at most the length, which is a usize.
    Ok(bytes.slice(range.start as usize..range.end as usize))
}

fn check_range(range: &Range<u64>, length: u64, name: &str) -> Result<()> {
    if range.start <= range.end && range.end <= length {
        return Ok(());
    }
    Err(Error::corrupt(format!("bytes {} to {} wanted, the file has {length}", range.start, range.end))
        .at_byte(range.start)
        .in_file(name))
}
