//! A folder that lives in memory: for tests, and for tables that need not outlive the process.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::{
    Entry, Input, Output, Paused, Published, Storage, TAIL_BYTES, check_paused, check_tail, io_error, path, slice,
};
use crate::error::Result;

/// A folder in memory. Cloning gives another handle on the same folder.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: Arc<Mutex<BTreeMap<String, File>>>,
}

/// Content and time of one file.
#[derive(Debug, Clone)]
struct File {
    bytes: Bytes,
    modified_ms: i64,
}

impl Memory {
    /// An empty folder.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Puts a file there, replacing one.
    pub fn put(&self, path: &str, bytes: impl Into<Bytes>) -> Result<()> {
        path::check(path)?;
        self.lock().insert(path.to_owned(), File { bytes: bytes.into(), modified_ms: now_ms() });
        Ok(())
    }

    /// The bytes of a file, if it is there.
    pub fn get(&self, path: &str) -> Option<Bytes> {
        self.lock().get(path).map(|file| file.bytes.clone())
    }

    /// Makes a file look as if it was last changed then (milliseconds since 1970); false if it is not there.
    pub fn set_modified_ms(&self, path: &str, modified_ms: i64) -> bool {
        self.lock().get_mut(path).map(|file| file.modified_ms = modified_ms).is_some()
    }

    /// All files, unfinished ones too.
    pub(super) fn files(&self) -> Vec<(String, Bytes)> {
        self.lock().iter().map(|(path, file)| (path.clone(), file.bytes.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self, wanted: impl Fn(&str) -> bool) -> Vec<Entry> {
        let entry = |(path, file): (&String, &File)| Entry {
            path: path.clone(),
            bytes: file.bytes.len() as u64,
            modified_ms: file.modified_ms,
        };
        self.lock().iter().filter(|(path, _)| wanted(path)).map(entry).collect()
    }
}

impl Storage for Memory {
    fn open(&self, path: &str) -> Result<Arc<dyn Input>> {
        path::check(path)?;
        match self.get(path) {
            Some(bytes) => Ok(Arc::new(MemoryInput { name: display(path), bytes })),
            None => Err(io_error("open it", display(path), std::io::ErrorKind::NotFound.into())),
        }
    }

    fn create(&self, path: &str) -> Result<Box<dyn Output>> {
        path::check(path)?;
        Ok(Box::new(MemoryOutput { memory: self.clone(), path: path.to_owned(), hidden: None, bytes: Vec::new() }))
    }

    fn publish_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Published> {
        path::check(path)?;
        let mut files = self.lock();
        if files.contains_key(path) {
            return Ok(Published::Exists);
        }
        let file = File { bytes: Bytes::copy_from_slice(bytes), modified_ms: now_ms() };
        files.insert(path.to_owned(), file);
        Ok(Published::Done)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        path::check_prefix(prefix)?;
        Ok(self.entries(|path| path.starts_with(prefix) && !path::is_unfinished(path)))
    }

    fn list_unfinished(&self) -> Result<Vec<Entry>> {
        Ok(self.entries(path::is_unfinished))
    }

    fn remove(&self, path: &str) -> Result<()> {
        path::check(path)?;
        self.lock().remove(path);
        Ok(())
    }

    fn resume(&self, paused: &Paused) -> Result<Box<dyn Output>> {
        check_paused(paused)?;
        let Some(there) = self.get(&paused.hidden) else {
            let cause = std::io::ErrorKind::NotFound.into();
            return Err(io_error("go on with it (was it finished, or removed?)", display(&paused.path), cause));
        };
        let there = MemoryInput { name: display(&paused.hidden), bytes: there };
        check_tail(paused, &there)?;
        Ok(Box::new(MemoryOutput {
            memory: self.clone(),
            path: paused.path.clone(),
            hidden: Some(paused.hidden.clone()),
            bytes: there.read(0..paused.bytes)?.to_vec(),
        }))
    }

    fn name(&self) -> String {
        "memory:".to_owned()
    }
}

fn display(path: &str) -> String {
    format!("memory:{path}")
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[derive(Debug)]
struct MemoryInput {
    name: String,
    bytes: Bytes,
}

impl Input for MemoryInput {
    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        slice(&self.bytes, range, &self.name)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

struct MemoryOutput {
    memory: Memory,
    path: String,
    /// The name that it was paused under.
    hidden: Option<String>,
    bytes: Vec<u8>,
}

impl Output for MemoryOutput {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.memory.put(&self.path, self.bytes)?;
        self.hidden.map_or(Ok(()), |hidden| self.memory.remove(&hidden))
    }

    fn pause(&mut self) -> Result<Paused> {
        let hidden = self.hidden.get_or_insert_with(|| path::unfinished(&self.path)).clone();
        self.memory.put(&hidden, Bytes::copy_from_slice(&self.bytes))?;
        let tail = self.bytes.split_at(self.bytes.len().saturating_sub(TAIL_BYTES)).1.to_vec();
        Ok(Paused { path: self.path.clone(), hidden, bytes: self.bytes.len() as u64, tail })
    }
}
