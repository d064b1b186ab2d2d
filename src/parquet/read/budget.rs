//! What a file and its scans may hold in memory, and how large their pages may be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use super::ReaderOptions;
use crate::budget::{self, MemoryBudget};
use crate::error::{Error, Result};
use crate::parquet::compress::Decompressor;
use crate::parquet::format::{PageHeader, PageType};

/// The memory of a file's reader, the bounds of its pages, and the contexts of codecs.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    memory: MemoryBudget,
    pages: PageLimits,
    codecs: Codecs,
}

/// Contexts that all columns of a thread share: they are large beside what a small column takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Codecs(Arc<Mutex<Vec<(ThreadId, Decompressor)>>>);

impl Codecs {
    /// Decompresses with the contexts of this thread. Where it panics, they are lost.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Decompressor) -> T) -> T {
        let own = thread::current().id();
        let mut all = self.lock();
        let at = all.iter().position(|(of, _)| *of == own);
        let mut codecs = at.map_or_else(Decompressor::default, |at| all.swap_remove(at).1);
        drop(all);
        let done = work(&mut codecs);
        self.lock().push((own, codecs));
        done
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(ThreadId, Decompressor)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        Budget { memory, pages, codecs: Codecs::default() }
    }

    /// The same, for a scan: with contexts that end with it.
    pub(super) fn for_scan(&self) -> Budget {
        Budget { codecs: Codecs::default(), ..self.clone() }
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
        self.memory.used() < self.memory.limit() / 8
    }

    /// A reservation of nothing yet.
    pub(super) fn reservation(&self) -> Reservation {
        Reservation { taken: self.memory.reservation(), pages: self.pages }
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    taken: budget::Reservation,
    pages: PageLimits,
}

impl Reservation {
    /// [`Error::Limit`] for a page of more bytes, stored or decompressed, than was asked for.
    pub(super) fn check_page(&self, header: &PageHeader) -> Result<()> {
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

    /// Makes it `bytes` in all; [`Error::Limit`] when the budget has not that much left.
    #[inline]
    pub(super) fn resize(&mut self, bytes: usize) -> Result<()> {
        self.taken.resize(bytes)
    }

    /// Takes `bytes` more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<()> {
        self.taken.grow(bytes)
    }

    /// What is taken, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.taken.bytes()
    }
}
