//! The only door to the disk.
//!
//! A [`Storage`] is a folder of files named by relative, `/`-separated paths. A file becomes visible whole
//! or not at all: [`Storage::create`] writes somewhere no reader looks until [`Output::finish`], and
//! [`Storage::publish_if_absent`] is the atomic step that the table's log rests on.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Result;

/// A folder of files. Paths are relative, with `/` between parts; errors name the path.
pub trait Storage: Debug + Send + Sync {
    /// Opens a file for reading; [`Error::Io`](crate::Error::Io) when it is not there.
    fn open(&self, path: &str) -> Result<Arc<dyn Input>>;

    /// Starts a file that appears under `path` when finished, replacing one that is there. Until then
    /// no [`list`](Self::list) shows it. Folders on the way are made.
    fn create(&self, path: &str) -> Result<Box<dyn Output>>;

    /// Makes `path` with these bytes, durable on return, if no file is there yet; a reader sees all of them
    /// or no file. Two callers at once: exactly one gets [`Published::Done`].
    ///
    /// After an error the file may or may not be there; read it to know.
    fn publish_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Published>;

    /// All finished files whose path starts with `prefix` (a folder's ends in `/`; empty: all), at any depth,
    /// sorted by path. A folder that is not there has no files.
    fn list(&self, prefix: &str) -> Result<Vec<Entry>>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, path: &str) -> Result<()>;

    /// What a person calls this folder, for errors and output.
    fn name(&self) -> String;
}

/// What became of [`Storage::publish_if_absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The file is there, with these bytes, durable.
    Done,
    /// Another file was there before.
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
    /// Its length in bytes.
    fn bytes(&self) -> u64;

    /// The bytes of `range`, without a copy where the storage can;
    /// [`Error::Corrupt`](crate::Error::Corrupt) when it reaches past the end.
    fn read(&self, range: Range<u64>) -> Result<Bytes>;

    /// What a person calls this file, for errors.
    fn name(&self) -> &str;
}

/// A file being written. Dropped without [`finish`](Self::finish), it never appears.
pub trait Output: Send {
    /// Appends bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the file durable (its bytes, then its name) and visible under its path.
    fn finish(self: Box<Self>) -> Result<()>;
}
