//! What a file and its scans may hold in memory, and how large their pages may be.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use super::ReaderOptions;
use crate::budget::{self, Keep, MemoryBudget};
use crate::error::{Error, Result};
use crate::parquet::compress::Decompressor;
use crate::parquet::format::{PageHead, PageType};

/// The memory of a file's reader, the bounds of its pages, and the contexts of codecs.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    memory: MemoryBudget,
    pages: PageLimits,
    codecs: Codecs,
    idle: Idle,
    /// Whether it is a part of another one.
    is_shared: bool,
}

/// Contexts that all columns of a scan share, one set for each of its threads: they are large beside what a small column takes.
#[derive(Debug, Clone)]
pub(super) struct Codecs(Arc<[Mutex<Decompressor>]>);

impl Codecs {
    fn new(threads: usize) -> Codecs {
        Codecs((0..threads.max(1)).map(|_| Mutex::default()).collect())
    }

    /// Decompresses with contexts that no other thread uses meanwhile.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Decompressor) -> T) -> T {
        // Whatever a panic would leave in a context, the next page begins anew.
        let free = self.0.iter().find_map(|codecs| match codecs.try_lock() {
            Ok(codecs) => Some(codecs),
            Err(TryLockError::Poisoned(codecs)) => Some(codecs.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let first = || Some(self.0.first()?.lock().unwrap_or_else(PoisonError::into_inner));
        match free.or_else(first) {
            Some(mut codecs) => work(&mut codecs),
            // There is one at least.
            None => work(&mut Decompressor::default()),
        }
    }
}

/// Bytes of a page, and of a dictionary page.
#[derive(Debug, Clone, Copy)]
struct PageLimits {
    page_max: usize,
    dictionary_max: usize,
}

impl Budget {
    #[cfg(test)]
    pub(super) fn new(limit: usize) -> Budget {
        Budget::of(&ReaderOptions::default().with_memory_bytes(limit))
    }

    pub(super) fn of(options: &ReaderOptions) -> Budget {
        let memory = match &options.memory {
            Some(whole) => whole.part(options.memory_bytes),
            None => MemoryBudget::new(options.memory_bytes),
        };
        let pages = PageLimits { page_max: options.page_bytes_max, dictionary_max: options.dictionary_bytes_max };
        let is_shared = options.memory.is_some();
        Budget { idle: Idle::new(&memory, is_shared), memory, pages, codecs: Codecs::new(1), is_shared }
    }

    /// The same, for a scan by so many threads: with contexts, and buffers that are not shared, that end with it.
    pub(super) fn for_scan(&self, threads: usize) -> Budget {
        let idle = Idle::new(&self.memory, self.is_shared);
        Budget { codecs: Codecs::new(threads), idle, ..self.clone() }
    }

    pub(super) fn idle(&self) -> &Idle {
        &self.idle
    }

    pub(super) fn codecs(&self) -> &Codecs {
        &self.codecs
    }

    /// Without the bounds of pages.
    pub(super) fn memory(&self) -> &MemoryBudget {
        &self.memory
    }

    /// Whether less than an eighth of it is used.
    pub(super) fn is_mostly_free(&self) -> bool {
        self.memory.is_mostly_free()
    }

    /// A reservation of nothing yet.
    pub(super) fn reservation(&self) -> Reservation {
        Reservation { taken: self.memory.reservation(), pages: self.pages }
    }
}

/// A buffer of less is not handed on to other columns: it is made anew faster.
pub(super) const IDLE_BYTES_MIN: usize = 4 << 10;

/// Buffers of pages that were read, kept by the budget for the next ones: of all of its readers, where it is shared, else of this
/// scan.
#[derive(Debug, Clone)]
pub(super) struct Idle {
    memory: MemoryBudget,
    /// Of a scan that keeps nothing for others.
    _ends: Option<Arc<Ends>>,
}

/// Frees what is kept at the end of a scan.
#[derive(Debug)]
struct Ends(MemoryBudget);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.free_kept();
    }
}

impl Idle {
    fn new(memory: &MemoryBudget, is_shared: bool) -> Idle {
        let ends = (!is_shared).then(|| Arc::new(Ends(memory.clone())));
        Idle { memory: memory.clone(), _ends: ends }
    }

    /// Takes a buffer, if there is room for it.
    pub(super) fn give<T: Keep>(&self, buffer: Vec<T>) {
        self.memory.keep(buffer);
    }

    /// A buffer with room for so many values, with whatever is in it, or an empty one.
    pub(super) fn take<T: Keep>(&self, count: usize) -> Vec<T> {
        self.memory.reuse(count)
    }
}

/// Bytes that a reservation may hold beyond what it is asked for.
const SLACK: usize = 1 << 10;

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    taken: budget::Reservation,
    pages: PageLimits,
}

impl Reservation {
    /// [`Error::Limit`] for a page of more bytes, stored or decompressed, than was asked for.
    pub(super) fn check_page(&self, header: &PageHead) -> Result<()> {
        let bytes = header.uncompressed_page_size.max(header.compressed_page_size);
        let (max, name) = match header.type_ {
            PageType::DictionaryPage => (self.pages.dictionary_max, "dictionary_bytes_max"),
            _ => (self.pages.page_max, "page_bytes_max"),
        };
        match usize::try_from(bytes) {
            Ok(bytes) if bytes > max => {
                Err(Error::limit(format!("a page of {bytes} bytes, {max} may be: raise {name}")))
            }
            _ => Ok(()),
        }
    }

    /// Makes it `bytes` in all, or a little more; [`Error::Limit`] when the budget has not that much left.
    #[inline]
    pub(super) fn resize(&mut self, bytes: usize) -> Result<()> {
        // What others share is changed seldom: not for each of the small pages of many columns.
        match self.taken.bytes().checked_sub(bytes) {
            Some(0..=SLACK) => Ok(()),
            _ => self.taken.resize(bytes),
        }
    }

    /// Takes `bytes` more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<()> {
        self.taken.grow(bytes)
    }

    /// A reservation of nothing yet, of the same budget.
    pub(super) fn another(&self) -> Reservation {
        Reservation { taken: self.taken.another(), pages: self.pages }
    }

    /// What is taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.taken.bytes()
    }
}
