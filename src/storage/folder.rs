//! A folder over a disk: in which order bytes and names are written and made durable. It is all here, once;
//! what differs between a real disk and a faulty one is behind [`Disk`].
//!
//! ```text
//! create, finish      new temp file ─ append… ─ sync file ─ rename temp → path ─ sync folder
//! publish_if_absent   new temp file ─ append… ─ sync file ─ link temp → path ─── sync folder ─ remove temp
//! pause               sync temp file ─ sync folder (the first time)
//! resume              open temp file ─ cut it to the paused length ─ append… ─ as create
//! ```
//!
//! The file is synced before it has its name, or a crash could leave the name over bytes that are not there.
//! The folder is synced after, or the name can be lost. A folder that we made is an entry of its parent,
//! and is synced in the same way, once in each process (whoever made it may have died before its sync).

use std::collections::HashSet;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Entry, Input, Output, Paused, Published, check_paused, check_tail, extend_tail, io_error, path};
use crate::error::{Error, Result};

/// The raw operations of a disk. Paths are checked; the empty one is the folder itself.
pub(super) trait Disk: Debug + Send + Sync + 'static {
    type File: Send;

    /// Makes a file that must not be there.
    fn create_new(&self, path: &str) -> io::Result<Self::File>;
    /// Opens a file to append to; `ResourceBusy` when somebody [holds](Self::hold) it.
    fn reopen(&self, path: &str) -> io::Result<Self::File>;
    /// Cuts a file to its first `bytes` bytes.
    fn cut(&self, file: &mut Self::File, bytes: u64) -> io::Result<()>;
    /// Keeps others from reopening the file while it is open, where the disk can do that.
    fn hold(&self, _file: &Self::File) -> io::Result<()> {
        Ok(())
    }
    /// Appends some of the bytes, and says how many, as `write(2)` does.
    fn append(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;
    /// Makes the bytes of a file durable, not its name.
    fn sync_file(&self, file: &mut Self::File) -> io::Result<()>;
    /// Makes the folder itself, with what is missing above it, durable.
    fn make_root(&self) -> io::Result<()>;
    /// Makes one folder, `AlreadyExists` when it is there.
    fn make_folder(&self, path: &str) -> io::Result<()>;
    /// Makes the entries of a folder durable.
    fn sync_folder(&self, path: &str) -> io::Result<()>;
    /// Atomic; replaces what is there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// A second name for a file, `AlreadyExists` when the name is taken.
    fn link(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name.
    fn unlink(&self, path: &str) -> io::Result<()>;
    /// Opens a file for reading.
    fn open(&self, path: &str) -> io::Result<Arc<dyn Input>>;
    /// What is in one folder.
    fn entries(&self, folder: &str) -> io::Result<Vec<DiskEntry>>;
    /// What a person calls the file.
    fn display(&self, path: &str) -> String;
}

pub(super) struct DiskEntry {
    pub name: String,
    pub is_folder: bool,
    pub bytes: u64,
    pub modified_ms: i64,
}

#[derive(Debug)]
pub(super) struct Folder<D> {
    disk: D,
    /// Folders whose own entry this process has synced.
    durable: Mutex<HashSet<String>>,
}

/// Appends shorter than this are gathered, so that a page header is no system call of its own.
const GATHER_BYTES: usize = 32 << 10;

impl<D: Disk> Folder<D> {
    pub(super) fn new(disk: D) -> Arc<Folder<D>> {
        Arc::new(Folder { disk, durable: Mutex::default() })
    }

    pub(super) fn disk(&self) -> &D {
        &self.disk
    }

    pub(super) fn open(&self, path: &str) -> Result<Arc<dyn Input>> {
        path::check(path)?;
        self.disk.open(path).map_err(|e| io_error("open it", self.disk.display(path), e))
    }

    pub(super) fn create(self: &Arc<Self>, path: &str) -> Result<Box<FolderOutput<D>>> {
        path::check(path)?;
        self.make_folders(path::folder(path))?;
        let temp = path::unfinished(path);
        let file = self.disk.create_new(&temp).map_err(|e| io_error("create it", self.disk.display(path), e))?;
        Ok(Box::new(FolderOutput {
            folder: Arc::clone(self),
            file: Some(file),
            temp,
            path: path.to_owned(),
            gathered: Vec::new(),
            bytes: 0,
            tail: Vec::new(),
            is_kept: false,
            failed: false,
        }))
    }

    pub(super) fn resume(self: &Arc<Self>, paused: &Paused) -> Result<Box<FolderOutput<D>>> {
        check_paused(paused)?;
        let name = || self.disk.display(&paused.path);
        let mut file = self.disk.reopen(&paused.hidden).map_err(|e| match e.kind() {
            io::ErrorKind::ResourceBusy => {
                Error::conflict("whoever paused it is still writing it").with_source(e).in_file(name())
            }
            io::ErrorKind::NotFound => io_error("go on with it (was it finished, or removed?)", name(), e),
            _ => io_error("go on with it", name(), e),
        })?;
        // Nothing is cut before the file is known to be the one.
        check_tail(paused, self.open(&paused.hidden)?.as_ref())?;
        self.disk.cut(&mut file, paused.bytes).map_err(|e| io_error("cut it to where it was paused", name(), e))?;
        Ok(Box::new(FolderOutput {
            folder: Arc::clone(self),
            file: Some(file),
            temp: paused.hidden.clone(),
            path: paused.path.clone(),
            gathered: Vec::new(),
            bytes: paused.bytes,
            tail: paused.tail.clone(),
            is_kept: true,
            failed: false,
        }))
    }

    pub(super) fn publish_if_absent(self: &Arc<Self>, path: &str, bytes: &[u8]) -> Result<Published> {
        let mut output = self.create(path)?;
        output.append(bytes)?;
        output.sync()?;
        let published = match self.disk.link(&output.temp, path) {
            Ok(()) => Published::Done,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Published::Exists,
            Err(e) => {
                return Err(io_error(
                    "publish it by a hard link (the file system must have them)",
                    self.disk.display(path),
                    e,
                ));
            }
        };
        // Of a file that was there, too: its writer may have died between the link and the sync.
        self.sync_names(path)?;
        Ok(published)
    }

    /// All files below the folder part of `prefix` whose path starts with it and is wanted, sorted.
    pub(super) fn list(&self, prefix: &str, wanted: fn(&str) -> bool) -> Result<Vec<Entry>> {
        path::check_prefix(prefix)?;
        let mut found = Vec::new();
        let mut folders = vec![path::folder(prefix).to_owned()];
        while let Some(folder) = folders.pop() {
            let entries = match self.disk.entries(&folder) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(io_error("list it", self.disk.display(&folder), e)),
            };
            for entry in entries {
                let path = path::join(&folder, &entry.name);
                if entry.is_folder {
                    // On the way to the prefix, or below it.
                    if path.starts_with(prefix) || prefix.starts_with(&format!("{path}/")) {
                        folders.push(path);
                    }
                } else if path.starts_with(prefix) && wanted(&path) {
                    found.push(Entry { path, bytes: entry.bytes, modified_ms: entry.modified_ms });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    pub(super) fn remove(&self, path: &str) -> Result<()> {
        path::check(path)?;
        match self.disk.unlink(path) {
            // Not synced: a file that comes back after a crash is garbage again, and removed again.
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(io_error("remove it", self.disk.display(path), e)),
        }
    }

    /// Makes the folder of a file and all above it up to the top, durable.
    fn make_folders(&self, folder: &str) -> Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if durable.contains(folder) {
            return Ok(());
        }
        if !durable.contains("") {
            self.disk.make_root().map_err(|e| io_error("make the folder", self.disk.display(""), e))?;
            durable.insert(String::new());
        }
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        for part in ends.filter_map(|end| folder.get(..end)) {
            if durable.contains(part) {
                continue;
            }
            let fault = |e| io_error("make the folder", self.disk.display(part), e);
            match self.disk.make_folder(part) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(fault(e)),
            }
            self.disk.sync_folder(path::folder(part)).map_err(fault)?;
            durable.insert(part.to_owned());
        }
        Ok(())
    }

    /// Makes the names in the folder of `path` durable.
    fn sync_names(&self, path: &str) -> Result<()> {
        let folder = path::folder(path);
        self.disk.sync_folder(folder).map_err(|e| io_error("sync the folder", self.disk.display(folder), e))
    }
}

/// A file that is being written under its temporary name, which goes when this is dropped.
pub(super) struct FolderOutput<D: Disk> {
    folder: Arc<Folder<D>>,
    /// Gone once synced.
    file: Option<D::File>,
    /// Empty once renamed.
    temp: String,
    path: String,
    gathered: Vec<u8>,
    /// Taken in so far.
    bytes: u64,
    /// The last of them.
    tail: Vec<u8>,
    /// It was paused: it stays when this is dropped.
    is_kept: bool,
    failed: bool,
}

impl<D: Disk> FolderOutput<D> {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        let disk = &self.folder.disk;
        while !bytes.is_empty() {
            let file = self.file.as_mut().filter(|_| !self.failed);
            let written = match file.map(|file| disk.append(file, bytes)) {
                Some(Ok(n)) if n > 0 => n,
                Some(Err(e)) if e.kind() == io::ErrorKind::Interrupted => continue,
                Some(Err(e)) => return Err(self.fault("write it", e)),
                Some(Ok(_)) => return Err(self.fault("write it", io::ErrorKind::WriteZero.into())),
                None => return Err(self.fault("write it", io::Error::other("an earlier write to it failed"))),
            };
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    fn write_gathered(&mut self) -> Result<()> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let written = self.write(&gathered);
        gathered.clear();
        self.gathered = gathered;
        written
    }

    /// All bytes down to the disk.
    fn sync(&mut self) -> Result<()> {
        self.write_gathered()?;
        if self.failed {
            // An earlier append failed: some bytes are missing, and no retry of a sync can tell which.
            return Err(self.fault("finish it", io::Error::other("an earlier write to it failed")));
        }
        if let Some(file) = &mut self.file
            && let Err(e) = self.folder.disk.sync_file(file)
        {
            return Err(self.fault("sync it", e));
        }
        Ok(())
    }

    fn fault(&mut self, doing: &str, cause: io::Error) -> Error {
        self.failed = true;
        io_error(doing, self.folder.disk.display(&self.path), cause)
    }
}

impl<D: Disk> Output for FolderOutput<D> {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        extend_tail(&mut self.tail, bytes);
        if self.gathered.len() + bytes.len() > GATHER_BYTES {
            self.write_gathered()?;
        }
        if bytes.len() > GATHER_BYTES {
            return self.write(bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.sync()?;
        self.file = None;
        let folder = Arc::clone(&self.folder);
        match folder.disk.rename(&self.temp, &self.path) {
            Ok(()) => {
                self.temp.clear();
                folder.sync_names(&self.path)
            }
            Err(e) => Err(self.fault("give it its name", e)),
        }
    }

    fn pause(&mut self) -> Result<Paused> {
        self.sync()?;
        if !self.is_kept {
            if let Some(file) = &self.file
                && let Err(e) = self.folder.disk.hold(file)
            {
                return Err(self.fault("hold it", e));
            }
            self.folder.sync_names(&self.temp)?;
            self.is_kept = true;
        }
        Ok(Paused { path: self.path.clone(), hidden: self.temp.clone(), bytes: self.bytes, tail: self.tail.clone() })
    }
}

impl<D: Disk> Drop for FolderOutput<D> {
    fn drop(&mut self) {
        self.file = None;
        if !self.temp.is_empty() && !self.is_kept {
            // Best effort: what stays is listed as unfinished.
            let _ = self.folder.disk.unlink(&self.temp);
        }
    }
}

/// [`Storage`](super::Storage) for a type whose `self.folder` is a [`Folder`].
macro_rules! storage_by_folder {
    ($storage:ty) => {
        impl crate::storage::Storage for $storage {
            fn open(&self, path: &str) -> crate::Result<std::sync::Arc<dyn crate::storage::Input>> {
                self.folder.open(path)
            }
            fn create(&self, path: &str) -> crate::Result<Box<dyn crate::storage::Output>> {
                Ok(self.folder.create(path)?)
            }
            fn publish_if_absent(&self, path: &str, bytes: &[u8]) -> crate::Result<crate::storage::Published> {
                self.folder.publish_if_absent(path, bytes)
            }
            fn list(&self, prefix: &str) -> crate::Result<Vec<crate::storage::Entry>> {
                self.folder.list(prefix, |path| !crate::storage::path::is_unfinished(path))
            }
            fn list_unfinished(&self) -> crate::Result<Vec<crate::storage::Entry>> {
                self.folder.list("", crate::storage::path::is_unfinished)
            }
            fn remove(&self, path: &str) -> crate::Result<()> {
                self.folder.remove(path)
            }
            fn resume(&self, paused: &crate::storage::Paused) -> crate::Result<Box<dyn crate::storage::Output>> {
                Ok(self.folder.resume(paused)?)
            }
            fn name(&self) -> String {
                crate::storage::folder::Disk::display(self.folder.disk(), "")
            }
        }
    };
}
pub(super) use storage_by_folder;
