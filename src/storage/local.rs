//! A folder of the file system.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::folder::{Disk, DiskEntry, Folder, storage_by_folder};
use super::{Input, check_range, io_error, map, slice};
use crate::error::{Error, Result};

/// A folder of the file system. Cloning gives another handle on the same folder.
///
/// Writing needs a file system with hard links (all usual ones of Unix and NTFS), because a link is what
/// makes a name atomically *only if* it is not there.
///
/// Reading maps files into memory. If another program makes a mapped file shorter in place, touching what is gone
/// ends the process with SIGBUS. Nothing in this crate does that to a file; for folders where others might (log
/// files that get truncated), use [`without_map`](Self::without_map).
///
/// Symbolic links to files are followed when reading. Those to folders are not entered, so that nothing outside
/// the folder is listed, written or removed; the folder itself may be one.
#[derive(Debug, Clone)]
pub struct Local {
    folder: Arc<Folder<OsDisk>>,
}

impl Local {
    /// The folder at `root`, which is made by the first write, not here. [`Error::Invalid`] if a file is there.
    pub fn new(root: impl AsRef<Path>) -> Result<Local> {
        Local::with(root.as_ref(), true)
    }

    /// The same folder, with files read by plain reads instead of memory maps.
    #[must_use]
    pub fn without_map(&self) -> Local {
        let disk = OsDisk { root: self.folder.disk().root.clone(), mapped: false };
        Local { folder: Folder::new(disk) }
    }

    /// What a user names as a file: its folder, and its name in there.
    pub fn file(path: impl AsRef<Path>) -> Result<(Local, String)> {
        let path = path.as_ref();
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(Error::invalid("names a folder; name a file").in_file(path.display().to_string()));
        };
        let Some(name) = name.to_str() else {
            return Err(Error::invalid("the name is not UTF-8; rename the file").in_file(path.display().to_string()));
        };
        Ok((Local::new(path.parent().unwrap_or(Path::new("")))?, name.to_owned()))
    }

    fn with(root: &Path, mapped: bool) -> Result<Local> {
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        if fs::metadata(root).is_ok_and(|root| !root.is_dir()) {
            return Err(Error::invalid("is a file, where a folder is wanted").in_file(root.display().to_string()));
        }
        Ok(Local { folder: Folder::new(OsDisk { root: root.to_owned(), mapped }) })
    }
}

storage_by_folder!(Local);

#[derive(Debug)]
struct OsDisk {
    root: PathBuf,
    mapped: bool,
}

impl OsDisk {
    fn at(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.clone() } else { self.root.join(path) }
    }

    /// Fails if a folder on the way from the top to `folder`, itself included, is a symbolic link.
    fn refuse_linked_folders(&self, folder: &str) -> io::Result<()> {
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        for part in ends.filter_map(|end| folder.get(..end)).filter(|part| !part.is_empty()) {
            if self.at(part).symlink_metadata().is_ok_and(|m| m.is_symlink()) {
                return Err(io::Error::other(format!("the folder {part} is a symbolic link, which is not entered")));
            }
        }
        Ok(())
    }
}

impl Disk for OsDisk {
    type File = File;

    fn create_new(&self, path: &str) -> io::Result<File> {
        File::options().append(true).create_new(true).open(self.at(path))
    }

    fn reopen(&self, path: &str) -> io::Result<File> {
        self.refuse_linked_folders(super::path::folder(path))?;
        let file = File::options().append(true).open(self.at(path))?;
        self.hold(&file)?;
        Ok(file)
    }

    fn cut(&self, file: &mut File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }

    /// By the system's advisory lock, which goes with the process; a file system without locks holds nobody off.
    fn hold(&self, file: &File) -> io::Result<()> {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
            Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
        }
    }

    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(file, bytes)
    }

    fn sync_file(&self, file: &mut File) -> io::Result<()> {
        file.sync_all()
    }

    fn make_root(&self) -> io::Result<()> {
        let parent = |path: &Path| match path.parent() {
            Some(p) if p.as_os_str().is_empty() => Some(PathBuf::from(".")),
            parent => parent.map(Path::to_owned),
        };
        let mut missing = Vec::new();
        let mut next = Some(self.root.clone());
        while let Some(path) = next.filter(|path| !path.exists()) {
            next = parent(&path);
            missing.push(path);
        }
        for path in missing.iter().rev() {
            match fs::create_dir(path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            if let Some(parent) = parent(path) {
                sync_names(&parent)?;
            }
        }
        if missing.is_empty()
            && let Some(parent) = parent(&self.root)
        {
            // Whoever made it may have died before this. A parent that we may not open is not ours to sync.
            let _ = sync_names(&parent);
        }
        Ok(())
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.refuse_linked_folders(path)?;
        fs::create_dir(self.at(path))
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        sync_names(&self.at(path))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        fs::hard_link(self.at(from), self.at(to))
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.refuse_linked_folders(super::path::folder(path))?;
        fs::remove_file(self.at(path))
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn Input>> {
        self.refuse_linked_folders(super::path::folder(path))?;
        let at = self.at(path);
        // Asked before it is opened, because opening a pipe waits for its writer.
        let kind = fs::metadata(&at)?.file_type();
        if kind.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !kind.is_file() {
            return Err(io::Error::other("not a regular file; give what comes through a pipe on standard input"));
        }
        let file = File::open(&at)?;
        let bytes = file.metadata()?.len();
        let name = at.display().to_string();
        // A file system may be unable to map; an empty file cannot be.
        let length = usize::try_from(bytes).ok().filter(|&length| self.mapped && length > 0);
        let content = match length.and_then(|length| map::map(&file, length).ok()) {
            Some(map) => Content::Mapped(map, Few::new(file)),
            None => Content::Read(file, bytes),
        };
        Ok(Arc::new(LocalInput { name, content }))
    }

    fn entries(&self, folder: &str) -> io::Result<Vec<DiskEntry>> {
        self.refuse_linked_folders(folder)?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.at(folder))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            // A link's target counts where it is a file; one without target, or gone since, is not there.
            let target = if kind.is_symlink() { fs::metadata(entry.path()) } else { entry.metadata() };
            let Ok(target) = target else { continue };
            if !target.is_file() && !kind.is_dir() {
                continue;
            }
            let name = entry.file_name().into_string().map_err(|name: OsString| {
                io::Error::other(format!("the name {} is not UTF-8; rename it", name.display()))
            })?;
            let modified = target.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            entries.push(DiskEntry {
                name,
                is_folder: kind.is_dir(),
                bytes: target.len(),
                modified_ms: modified.map_or(0, |t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX)),
            });
        }
        Ok(entries)
    }

    fn display(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }
}

#[cfg(unix)]
fn sync_names(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened to be synced; its file system journals names by itself.
#[cfg(not(unix))]
fn sync_names(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[derive(Debug)]
struct LocalInput {
    name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Mapped(Bytes, Few),
    /// The file, and its length when it was opened.
    Read(File, u64),
}

/// The file of a map, for reads of few bytes: to copy these takes less than to page them in and out, and of a map that nobody has
/// touched little is to be undone. Many files are opened for their footer only.
///
/// Files that are open have a limit, maps hardly any: behind the first read a file stays open as long as few others do.
#[derive(Debug)]
struct Few {
    /// Whether nothing was read yet.
    is_first: AtomicBool,
    /// None behind the first read, where it did not stay open.
    file: Mutex<Option<Arc<File>>>,
}

/// A first read of more goes to the map.
const FIRST_BYTES_MAX: u64 = 64 << 10;
/// Files that stay open behind their first read, of all that this process has mapped.
const KEPT_MAX: usize = 64;
static KEPT: AtomicUsize = AtomicUsize::new(0);

impl Few {
    fn new(file: File) -> Few {
        Few { is_first: AtomicBool::new(true), file: Mutex::new(Some(Arc::new(file))) }
    }

    /// The bytes of `range`, which is in the file, if this is the first read and a short one.
    fn first(&self, range: &Range<u64>) -> io::Result<Option<Bytes>> {
        // The file is taken under its lock; most reads look no further than this.
        if !self.is_first.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_first.swap(false, Ordering::Relaxed) {
            return Ok(None);
        }
        let Some(open) = file.take() else { return Ok(None) };
        let wanted = range.end - range.start;
        if wanted > FIRST_BYTES_MAX {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(wanted as usize);
        let mut from = &*open;
        from.seek(SeekFrom::Start(range.start))?;
        from.take(wanted).read_to_end(&mut out)?;
        if out.len() as u64 != wanted {
            // The map has nothing there either, and ends the process.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let stay = |kept| (kept < KEPT_MAX).then_some(kept + 1);
        if KEPT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, stay).is_ok() {
            *file = Some(open);
        }
        Ok(Some(out.into()))
    }

    /// The file, if it stays open behind the first read.
    fn kept(&self) -> Option<Arc<File>> {
        let is_first = self.is_first.load(Ordering::Relaxed);
        (!is_first).then(|| self.file.lock().unwrap_or_else(PoisonError::into_inner).clone()).flatten()
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        if self.kept().is_some() {
            KEPT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl LocalInput {
    fn fill(&self, file: &File, at: u64, out: &mut [u8]) -> Result<()> {
        read_exact_at(file, out, at).map_err(|e| io_error("read it", &self.name, e).at_byte(at))
    }
}

impl Input for LocalInput {
    fn bytes(&self) -> u64 {
        match &self.content {
            Content::Mapped(bytes, _) => bytes.len() as u64,
            Content::Read(_, bytes) => *bytes,
        }
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        match &self.content {
            Content::Mapped(bytes, few) => {
                let mapped = slice(bytes, range.clone(), &self.name)?;
                let copy = few.first(&range).map_err(|e| io_error("read it", &self.name, e).at_byte(range.start))?;
                Ok(copy.unwrap_or(mapped))
            }
            Content::Read(file, bytes) => {
                check_range(&range, *bytes, &self.name)?;
                let wanted = usize::try_from(range.end - range.start)
                    .map_err(|_| Error::limit("the range is larger than memory").in_file(&self.name))?;
                let mut out = vec![0; wanted];
                self.fill(file, range.start, &mut out)?;
                Ok(out.into())
            }
        }
    }

    fn read_into(&self, at: u64, out: &mut [u8]) -> Result<()> {
        let range = at..at.saturating_add(out.len() as u64);
        check_range(&range, self.bytes(), &self.name)?;
        match &self.content {
            Content::Read(file, _) => self.fill(file, at, out),
            Content::Mapped(bytes, few) => match few.kept() {
                Some(file) => self.fill(&file, at, out),
                None => {
                    out.copy_from_slice(&slice(bytes, range, &self.name)?);
                    Ok(())
                }
            },
        }
    }

    fn prefers_copies(&self) -> bool {
        match &self.content {
            Content::Read(..) => true,
            Content::Mapped(_, few) => few.kept().is_some(),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
    while !out.is_empty() {
        let n = std::os::windows::fs::FileExt::seek_read(file, out, at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out = out.get_mut(n..).unwrap_or_default();
        at += n as u64;
    }
    Ok(())
}
