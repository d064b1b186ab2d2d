//! A disk that crashes and fails where a test asks for it, below the same [`Folder`] algorithm that
//! [`Local`](super::Local) runs. Everything it does follows from its seed and the order of operations.
//!
//! # Assumptions about media
//!
//! A write goes to the system's cache; the process sees it at once, the disk only what was synced. A **crash** (of the
//! machine: power, kernel) loses the cache. For each thing that was not synced it is open, independently of all
//! others and of their order, whether it has reached the disk:
//! - bytes appended to a file and not synced: some prefix of them is there, and what follows it may be zeros; or some blocks of
//!   512 bytes are there, in whatever order they reached the disk, and zeros in the place of the others;
//! - an entry of a folder (a file or folder made, renamed, linked, removed) whose folder was not synced since: made
//!   or not made. A rename happens whole or not at all. A file's entry can be there without the
//!   file's bytes, and a file whose folder's own entry was lost is lost with it;
//! - a cut of a file, and what was appended after it: the file is as it was when it was last synced, or it is cut, with
//!   some prefix of what was appended;
//! - syncing a file says nothing of its name, syncing a folder nothing of its files' bytes or of its own name.
//!
//! What was synced stays as it is: no bit rot, no sector torn that was durable. The operation during which the crash
//! comes may or may not have happened.
//!
//! An operation can **fail** while the process lives on ([`Fault`]). A failed sync of a file leaves bytes that no
//! later sync makes durable (the cache forgets that they are dirty, and the next sync says that all is well). A failed sync of
//! a folder leaves its entries as they were: not durable, until one succeeds. Reading can fail, too
//! ([`fail_read`](Faulty::fail_read)), and the disk can be full for good ([`set_space`](Faulty::set_space)).

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::folder::{Disk, DiskEntry, Folder, storage_by_folder};
use super::memory::{Memory, now_ms};
use super::{Input, io_error, path, slice};
use crate::error::Result;

/// When a [`Faulty`] disk crashes, and which operations fail. Operations are counted from 1: each file created,
/// append, sync, cut, folder made, rename, link, removal, opening and listing.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    /// Decides all that is open: how much of a failed append is written, whether the last operation happened.
    pub seed: u64,
    /// The machine crashes during this operation; it and all that follow fail.
    pub crash_at: Option<u64>,
    /// Operations that fail once, while the process lives.
    pub faults: Vec<(u64, Fault)>,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// "No space left": of an append a part may be written, anything else does not happen.
    NoSpace,
    /// "Input/output error": as `NoSpace`, and a failed sync of a file is final.
    Io,
    /// "Input/output error", but the operation did happen.
    AnswerLost,
    /// An append writes less than asked, and says so. Other operations are not changed.
    ShortWrite,
}

/// A disk that follows a [`FaultPlan`]. Cloning gives another handle on the same disk.
#[derive(Debug, Clone)]
pub struct Faulty {
    folder: Arc<Folder<FaultyDisk>>,
}

impl Faulty {
    /// A disk that holds what `content` holds, all of it durable.
    pub fn new(content: &Memory, plan: FaultPlan) -> Faulty {
        let mut world = World { random: plan.seed, plan, ..World::default() };
        for (path, bytes) in content.files() {
            for (at, _) in path.match_indices('/') {
                world.durable.insert(path.get(..at).unwrap_or_default().to_owned(), Node::Folder);
            }
            world.durable.insert(path, Node::File(world.inodes.len()));
            world.inodes.push(Inode { synced: bytes.len(), bytes: bytes.to_vec(), ..Inode::default() });
        }
        world.live = world.durable.clone();
        Faulty { folder: Folder::new(FaultyDisk { world: Arc::new(Mutex::new(world)) }) }
    }

    /// How many operations were asked for so far.
    pub fn operations(&self) -> u64 {
        self.folder.disk().lock().operations
    }

    /// Whether the crash has come.
    pub fn crashed(&self) -> bool {
        self.folder.disk().lock().crashed
    }

    /// How many reads of files' bytes were asked for so far. They are no operations.
    pub fn reads(&self) -> u64 {
        self.folder.disk().lock().reads
    }

    /// Lets one read of a file's bytes, counted from 1, fail with "input/output error".
    pub fn fail_read(&self, at: u64) {
        self.folder.disk().lock().failing_read = Some(at);
    }

    /// Leaves room for so many bytes: what does not fit is not written, and "no space left" is said until there is room
    /// again. None: there is room for all.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.folder.disk().lock().space = bytes;
    }

    /// What the disk could hold after a crash now and a reboot; `seed` picks one of the outcomes.
    pub fn after_crash(&self, seed: u64) -> Memory {
        let world = self.folder.disk().lock();
        let mut random = seed;
        let mut entries = world.durable.clone();
        for change in &world.unsynced {
            if coin(&mut random) {
                change.apply(&mut entries);
            }
        }
        let memory = Memory::new();
        for (path, node) in &entries {
            let Node::File(inode) = node else { continue };
            let reachable =
                path.match_indices('/').all(|(at, _)| path.get(..at).is_some_and(|f| entries.contains_key(f)));
            if let Some(inode) = world.inodes.get(*inode).filter(|_| reachable) {
                // The paths were checked when they came in.
                let _ = memory.put(path, inode.after_crash(&mut random));
            }
        }
        memory
    }
}

storage_by_folder!(Faulty);

#[derive(Clone)]
struct FaultyDisk {
    world: Arc<Mutex<World>>,
}

/// The cache and the disk below it.
#[derive(Default)]
struct World {
    plan: FaultPlan,
    random: u64,
    operations: u64,
    crashed: bool,
    reads: u64,
    failing_read: Option<u64>,
    /// Bytes that there is room for, if not for all.
    space: Option<u64>,
    inodes: Vec<Inode>,
    /// What the process sees.
    live: BTreeMap<String, Node>,
    /// What is on the disk for certain.
    durable: BTreeMap<String, Node>,
    /// What leads from the second to the first.
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder,
}

#[derive(Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    synced: usize,
    /// What was durable beyond `synced` before a cut that is not.
    cut: Option<Vec<u8>>,
    /// A sync failed: what is not synced will never be.
    failed: bool,
    modified_ms: i64,
}

impl Inode {
    fn after_crash(&self, random: &mut u64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let Some(cut) = &self.cut
            && coin(random)
        {
            bytes.truncate(self.synced);
            bytes.extend_from_slice(cut);
            return bytes;
        }
        let kept = self.synced + below(random, self.bytes.len() - self.synced + 1);
        match below(random, 3) {
            0 => bytes.truncate(kept),
            1 => bytes.iter_mut().skip(kept).for_each(|lost| *lost = 0),
            _ => {
                let blocks = bytes.get_mut(self.synced..).unwrap_or_default().chunks_mut(BLOCK_BYTES);
                blocks.filter(|_| coin(random)).for_each(|lost| lost.fill(0));
            }
        }
        bytes
    }
}

#[derive(Debug)]
enum Change {
    Put { path: String, node: Node },
    Gone { path: String },
    Moved { from: String, to: String, node: Node },
}

impl Change {
    fn folder(&self) -> &str {
        match self {
            Change::Put { path, .. } | Change::Gone { path } | Change::Moved { to: path, .. } => path::folder(path),
        }
    }

    fn apply(&self, entries: &mut BTreeMap<String, Node>) {
        match self {
            Change::Put { path, node } => {
                entries.insert(path.clone(), *node);
            }
            Change::Gone { path } => {
                entries.remove(path);
            }
            Change::Moved { from, to, node } => {
                entries.remove(from);
                entries.insert(to.clone(), *node);
            }
        }
    }
}

impl World {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.unsynced.push(change);
    }

    fn file(&self, path: &str) -> io::Result<usize> {
        match self.live.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn folder(&self, path: &str) -> io::Result<()> {
        match self.live.get(path) {
            Some(Node::Folder) => Ok(()),
            None if path.is_empty() => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn absent(&self, path: &str) -> io::Result<()> {
        self.folder(path::folder(path))?;
        if self.live.contains_key(path) { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(()) }
    }
}

impl FaultyDisk {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation, and does it, or not, as the plan has it.
    fn operation<T>(&self, does: impl FnOnce(&mut World) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.lock();
        match world.begin()? {
            None | Some(Fault::ShortWrite) => does(&mut world),
            Some(Fault::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Io) => Err(io::Error::other("input/output error (injected)")),
            Some(Fault::AnswerLost) => {
                does(&mut world)?;
                Err(world.lost())
            }
        }
    }
}

impl World {
    /// The fault of the operation that starts now. At the crash: whether it still happens.
    fn begin(&mut self) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(self.lost());
        }
        self.operations += 1;
        if self.plan.crash_at == Some(self.operations) {
            self.crashed = true;
            return if coin(&mut self.random) { Ok(Some(Fault::AnswerLost)) } else { Err(self.lost()) };
        }
        Ok(self.plan.faults.iter().find(|(at, _)| *at == self.operations).map(|(_, fault)| *fault))
    }

    fn lost(&self) -> io::Error {
        if self.crashed {
            return io::Error::other(format!("the disk has crashed (operation {})", self.operations));
        }
        io::Error::other("input/output error (injected, but it was done)")
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.lock();
        write!(f, "FaultyDisk({:?}, {} operations)", world.plan, world.operations)
    }
}

impl Disk for FaultyDisk {
    type File = usize;

    fn create_new(&self, path: &str) -> io::Result<usize> {
        self.operation(|world| {
            world.absent(path)?;
            let inode = world.inodes.len();
            world.inodes.push(Inode { modified_ms: now_ms(), ..Inode::default() });
            world.change(Change::Put { path: path.to_owned(), node: Node::File(inode) });
            Ok(inode)
        })
    }

    fn reopen(&self, path: &str) -> io::Result<usize> {
        self.operation(|world| world.file(path))
    }

    fn cut(&self, file: &mut usize, bytes: u64) -> io::Result<()> {
        self.operation(|world| {
            let Some(inode) = world.inodes.get_mut(*file) else { return Err(io::ErrorKind::NotFound.into()) };
            let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
            if bytes < inode.synced {
                let mut cut = inode.bytes.get(bytes..inode.synced).unwrap_or_default().to_vec();
                cut.extend(inode.cut.take().unwrap_or_default());
                (inode.synced, inode.cut) = (bytes, Some(cut));
            }
            if bytes < inode.bytes.len() {
                inode.bytes.truncate(bytes);
                inode.modified_ms = now_ms();
            }
            // What a failed sync forgot is gone; what is appended now is new to the cache.
            inode.failed &= bytes > inode.synced;
            Ok(())
        })
    }

    fn append(&self, file: &mut usize, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.lock();
        let crashed_before = world.crashed;
        let fault = world.begin();
        let part = 1 + below(&mut world.random, bytes.len().max(1));
        let part = match &fault {
            Ok(None) | Ok(Some(Fault::AnswerLost)) => bytes,
            _ => bytes.get(..part).unwrap_or(bytes),
        };
        let room = world.space.map_or(part.len(), |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let part = part.get(..room).unwrap_or(part);
        if let Some(inode) = world.inodes.get_mut(*file).filter(|_| !crashed_before) {
            inode.bytes.extend_from_slice(part);
            inode.modified_ms = now_ms();
        }
        world.space = world.space.map(|bytes| bytes - part.len() as u64);
        match fault? {
            None | Some(Fault::ShortWrite) if part.is_empty() && !bytes.is_empty() => {
                Err(io::ErrorKind::StorageFull.into())
            }
            None | Some(Fault::ShortWrite) => Ok(part.len()),
            Some(Fault::NoSpace) => Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Io) => Err(io::Error::other("input/output error (injected)")),
            Some(Fault::AnswerLost) => Err(world.lost()),
        }
    }

    fn sync_file(&self, file: &mut usize) -> io::Result<()> {
        let inode = *file;
        let synced = self.operation(|world| {
            if let Some(inode) = world.inodes.get_mut(inode).filter(|inode| !inode.failed) {
                inode.synced = inode.bytes.len();
                inode.cut = None;
            }
            Ok(())
        });
        if synced.is_err()
            && let Some(inode) = self.lock().inodes.get_mut(inode)
        {
            inode.failed = true;
        }
        synced
    }

    fn make_root(&self) -> io::Result<()> {
        Ok(())
    }

    fn make_folder(&self, path: &str) -> io::Result<()> {
        self.operation(|world| {
            world.absent(path)?;
            world.change(Change::Put { path: path.to_owned(), node: Node::Folder });
            Ok(())
        })
    }

    fn sync_folder(&self, path: &str) -> io::Result<()> {
        self.operation(|world| {
            world.folder(path)?;
            let (synced, rest) = std::mem::take(&mut world.unsynced).into_iter().partition(|c| c.folder() == path);
            world.unsynced = rest;
            let synced: Vec<Change> = synced;
            synced.iter().for_each(|change| change.apply(&mut world.durable));
            Ok(())
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operation(|world| {
            let node = Node::File(world.file(from)?);
            world.change(Change::Moved { from: from.to_owned(), to: to.to_owned(), node });
            Ok(())
        })
    }

    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.operation(|world| {
            let node = Node::File(world.file(from)?);
            world.absent(to)?;
            world.change(Change::Put { path: to.to_owned(), node });
            Ok(())
        })
    }

    fn unlink(&self, path: &str) -> io::Result<()> {
        self.operation(|world| {
            world.file(path)?;
            world.change(Change::Gone { path: path.to_owned() });
            Ok(())
        })
    }

    fn open(&self, path: &str) -> io::Result<Arc<dyn Input>> {
        self.operation(|world| {
            let inode = world.file(path)?;
            let bytes = world.inodes.get(inode).map(|inode| Bytes::copy_from_slice(&inode.bytes)).unwrap_or_default();
            Ok(Arc::new(FaultyInput { disk: self.clone(), name: self.display(path), bytes }) as Arc<dyn Input>)
        })
    }

    fn entries(&self, folder: &str) -> io::Result<Vec<DiskEntry>> {
        self.operation(|world| {
            world.folder(folder)?;
            let here = world.live.iter().filter(|(path, _)| path::folder(path) == folder);
            let entry = |(path, node): (&String, &Node)| {
                let inode = match node {
                    Node::File(inode) => world.inodes.get(*inode),
                    Node::Folder => None,
                };
                DiskEntry {
                    name: path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name).to_owned(),
                    is_folder: inode.is_none(),
                    bytes: inode.map_or(0, |inode| inode.bytes.len() as u64),
                    modified_ms: inode.map_or(0, |inode| inode.modified_ms),
                }
            };
            Ok(here.map(entry).collect())
        })
    }

    fn display(&self, path: &str) -> String {
        format!("faulty:{path}")
    }
}

#[derive(Debug)]
struct FaultyInput {
    disk: FaultyDisk,
    name: String,
    bytes: Bytes,
}

impl Input for FaultyInput {
    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let mut world = self.disk.lock();
        world.reads += 1;
        if world.crashed {
            return Err(io_error("read it", &self.name, world.lost()));
        }
        if world.failing_read == Some(world.reads) {
            return Err(io_error("read it", &self.name, io::Error::other("input/output error (injected)")));
        }
        slice(&self.bytes, range, &self.name)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// What reaches the disk whole or not at all.
const BLOCK_BYTES: usize = 512;

/// The next number of the splitmix64 sequence.
fn next(random: &mut u64) -> u64 {
    *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *random;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn coin(random: &mut u64) -> bool {
    next(random) & 1 == 1
}

fn below(random: &mut u64, bound: usize) -> usize {
    (next(random) % bound.max(1) as u64) as usize
}
