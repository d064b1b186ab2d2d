//! How much memory a piece of work may take: asked before each allocation whose size comes from input.
//!
//! A [`MemoryBudget`] is shared by its clones, in any thread. A [`part`](MemoryBudget::part) of one is bounded by its own
//! limit *and* by the whole's, so a program can give each of its readers a bound and all of them together one. What is
//! taken is held by a [`Reservation`], which gives it back when it is dropped.
//!
//! ```
//! use hypostyle::MemoryBudget;
//!
//! let whole = MemoryBudget::new(100);
//! let part = whole.part(80);
//! let mut page = part.reservation();
//! page.resize(70)?;
//! assert_eq!((whole.used(), part.used()), (70, 70));
//! assert!(whole.reservation().resize(31).is_err());
//! drop(page);
//! assert_eq!(whole.used(), 0);
//! # Ok::<(), hypostyle::Error>(())
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// A number of bytes that reservations share. A clone is the same budget; two are equal when they are the same.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
    /// What this is a part of.
    whole: Option<MemoryBudget>,
}

impl MemoryBudget {
    /// A budget of `bytes`, a part of no other.
    pub fn new(bytes: usize) -> MemoryBudget {
        MemoryBudget::of(bytes, None)
    }

    /// A budget of `bytes` at most, all of which is taken from this one too.
    #[must_use]
    pub fn part(&self, bytes: usize) -> MemoryBudget {
        MemoryBudget::of(bytes, Some(self.clone()))
    }

    fn of(limit: usize, whole: Option<MemoryBudget>) -> MemoryBudget {
        let shared = Shared { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0), whole };
        MemoryBudget { shared: Arc::new(shared) }
    }

    /// What can be taken at most, in bytes.
    pub fn limit(&self) -> usize {
        self.shared.limit
    }

    /// What is taken now, in bytes.
    pub fn used(&self) -> usize {
        self.shared.used.load(Ordering::Relaxed)
    }

    /// The most that was taken at a time, in bytes.
    pub fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::Relaxed)
    }

    /// A reservation of nothing yet.
    pub fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: usize) -> Result<()> {
        let shared = &*self.shared;
        let sum_of = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= shared.limit);
        // What is refused is not added for a moment either: another thread's small wish would be refused by it.
        let taken = shared.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum_of);
        let sum = taken.map(|used| used.saturating_add(bytes)).map_err(|used| {
            Error::limit(format!(
                "{bytes} bytes wanted, {used} of the reader's {} are in use: raise memory_bytes or lower batch_rows",
                shared.limit
            ))
        })?;
        if let Some(whole) = &shared.whole
            && let Err(e) = whole.take(bytes)
        {
            shared.used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(e);
        }
        if sum > shared.peak.load(Ordering::Relaxed) {
            shared.peak.fetch_max(sum, Ordering::Relaxed);
        }
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.shared.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.shared.whole {
            whole.give_back(bytes);
        }
    }
}

impl PartialEq for MemoryBudget {
    fn eq(&self, other: &MemoryBudget) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for MemoryBudget {}

/// Bytes taken of a [`MemoryBudget`], given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: usize,
}

impl Reservation {
    /// A reservation of nothing yet, of the same budget.
    pub fn another(&self) -> Reservation {
        self.budget.reservation()
    }

    /// What is taken, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it `bytes` in all; [`Error::Limit`] when the budget has not that much left, and nothing is changed then.
    #[inline]
    pub fn resize(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.bytes {
            self.budget.take(bytes - self.bytes)?;
        } else if bytes < self.bytes {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Takes `bytes` more.
    #[inline]
    pub fn grow(&mut self, bytes: usize) -> Result<()> {
        self.resize(self.bytes.saturating_add(bytes))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_share_and_give_back() {
        let budget = MemoryBudget::new(100);
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
        assert_eq!((budget.used(), budget.peak()), (100, 100));
    }

    #[test]
    fn a_part_takes_from_the_whole() {
        let whole = MemoryBudget::new(100);
        let (left, right) = (whole.part(70), whole.part(70));
        let (mut a, mut b) = (left.reservation(), right.reservation());
        a.resize(70).expect("fits");
        assert!(b.resize(31).expect_err("the whole has 30").to_string().contains("70 of the reader's 100"));
        assert_eq!((right.used(), whole.used()), (0, 70), "what was refused is not taken");
        b.grow(30).expect("fits");
        assert!(a.grow(1).is_err());
        drop((a, b));
        assert_eq!((left.used(), right.used(), whole.used(), whole.peak()), (0, 0, 0, 100));
    }

    #[test]
    fn threads_never_hold_more_than_the_limit() {
        let budget = MemoryBudget::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2000 {
                        let mut taken = budget.reservation();
                        let _ = taken.resize(n % 600);
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
        assert!(budget.peak() <= 1000);
    }
}
