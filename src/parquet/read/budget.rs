//! What a scan may hold in memory, taken before it is allocated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::ReaderOptions;
use crate::error::{Error, Result};
use crate::parquet::format::{PageHeader, PageType};

/// A number of bytes that reservations share.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
    /// Bytes of a page, and of a dictionary page.
    page_max: usize,
    dictionary_max: usize,
}

impl Budget {
    #[cfg(test)]
    pub(super) fn new(limit: usize) -> Budget {
        Budget::of(&ReaderOptions::default().with_memory_bytes(limit))
    }

    pub(super) fn of(options: &ReaderOptions) -> Budget {
        let shared = Shared {
            limit: options.memory_bytes,
            used: AtomicUsize::new(0),
            page_max: options.page_bytes_max,
            dictionary_max: options.dictionary_bytes_max,
        };
        Budget { shared: Arc::new(shared) }
    }

    /// A reservation of nothing yet.
    pub(super) fn reservation(&self) -> Reservation {
        Reservation { shared: Arc::clone(&self.shared), bytes: 0 }
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Reservation {
    /// [`Error::Limit`] for a page of more bytes, stored or decompressed, than was asked for.
    pub(super) fn check_page(&self, header: &PageHeader) -> Result<()> {
        let bytes = header.uncompressed_page_size.max(header.compressed_page_size);
        let (max, name) = match header.type_ {
            PageType::DictionaryPage => (self.shared.dictionary_max, "dictionary_bytes_max"),
            _ => (self.shared.page_max, "page_bytes_max"),
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
        if bytes <= self.bytes {
            self.shared.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
            self.bytes = bytes;
            return Ok(());
        }
        let more = bytes - self.bytes;
        let used = self.shared.used.fetch_add(more, Ordering::Relaxed);
        if used.checked_add(more).is_none_or(|sum| sum > self.shared.limit) {
            self.shared.used.fetch_sub(more, Ordering::Relaxed);
            return Err(Error::limit(format!(
                "{more} bytes wanted, {used} of the reader's {} are in use: raise memory_bytes or lower batch_rows",
                self.shared.limit
            )));
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_share_and_give_back() {
        let budget = Budget::new(100);
        let (mut a, mut b) = (budget.reservation(), budget.reservation());
        a.resize(60).expect("fits");
        let e = b.resize(41).expect_err("too much");
        assert!(matches!(e, Error::Limit(_)) && e.to_string().contains("60 of the reader's 100"), "{e}");
        b.resize(40).expect("fits");
        a.resize(10).expect("shrinks");
        b.resize(90).expect("fits again");
        assert!(a.resize(usize::MAX).is_err());
        drop(b);
        a.resize(100).expect("all of it");
    }
}
