//! How much memory a piece of work may take: asked before each allocation whose size comes from input.
//!
//! A [`MemoryBudget`] is shared by its clones, in any thread. A [`part`](MemoryBudget::part) of one is bounded by its own
//! limit *and* by the whole's, so a program can give each of its readers a bound and all of them together one. What is
//! taken is held by a [`Reservation`], which gives it back when it is dropped.
//!
//! Who shares a budget shares buffers too: fresh memory costs several times what it costs to fill it, so those of pages that were
//! read are kept for the next ones, of whatever reader: 8 MiB of them at most, a sixteenth of the budget at most, and no longer
//! than nobody else wants the memory.
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

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};

/// A number of bytes that reservations share. A clone is the same budget; two are equal when they are the same.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit: usize,
    /// With what is kept.
    used: AtomicUsize,
    peak: AtomicUsize,
    /// What this is a part of.
    whole: Option<MemoryBudget>,
    /// Of a budget that is a part of no other: buffers that wait for their next use.
    kept: Mutex<Kept>,
    kept_bytes: AtomicUsize,
}

/// Buffers, the largest first.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    of_bytes: Vec<Vec<u8>>,
    of_views: Vec<Vec<u128>>,
}

/// What buffers are kept of.
pub(crate) trait Keep: Sized {
    fn of(kept: &mut Kept) -> &mut Vec<Vec<Self>>;
}

impl Keep for u8 {
    fn of(kept: &mut Kept) -> &mut Vec<Vec<u8>> {
        &mut kept.of_bytes
    }
}

impl Keep for u128 {
    fn of(kept: &mut Kept) -> &mut Vec<Vec<u128>> {
        &mut kept.of_views
    }
}

fn bytes_of<T>(buffer: &Vec<T>) -> usize {
    buffer.capacity().saturating_mul(size_of::<T>())
}

/// Bytes and number of the buffers that are kept at most.
const KEPT_BYTES_MAX: usize = 8 << 20;
const KEPT_MAX: usize = 32;
/// The part of the budget that they may be.
const KEPT_PART: usize = 16;
/// A buffer is not used for what needs less than this part of it, as that would hold the whole of it.
const USED_PART: usize = 4;

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
        let (used, peak, kept_bytes) = Default::default();
        let shared = Shared { limit, used, peak, whole, kept: Mutex::default(), kept_bytes };
        MemoryBudget { shared: Arc::new(shared) }
    }

    /// What can be taken at most, in bytes.
    pub fn limit(&self) -> usize {
        self.shared.limit
    }

    /// What is taken now, in bytes.
    pub fn used(&self) -> usize {
        let kept = self.shared.kept_bytes.load(Ordering::Relaxed);
        self.shared.used.load(Ordering::Relaxed).saturating_sub(kept)
    }

    /// Whether less than an eighth of it is used.
    pub(crate) fn is_mostly_free(&self) -> bool {
        self.used() < self.limit() / 8
    }

    /// The most that was taken at a time, in bytes.
    pub fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::Relaxed)
    }

    /// A reservation of nothing yet.
    pub fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }

    /// Keeps a buffer, of which nothing is taken any more, if there is room for it.
    pub(crate) fn keep<T: Keep>(&self, buffer: Vec<T>) {
        let whole = self.whole();
        let most = KEPT_BYTES_MAX.min(whole.limit() / KEPT_PART);
        let capacity = bytes_of(&buffer);
        if capacity > most || !self.is_mostly_free() || !whole.is_mostly_free() {
            return;
        }
        let mut all = whole.lock_kept();
        let kept = T::of(&mut all);
        let at = kept.partition_point(|other| bytes_of(other) > capacity);
        kept.insert(at, buffer);
        // Taken before it is counted as kept: what is used is never too little.
        if whole.take_now(capacity).is_err() {
            kept.remove(at);
            return;
        }
        let mut sum = whole.shared.kept_bytes.fetch_add(capacity, Ordering::Relaxed) + capacity;
        while (sum > most || kept.len() > KEPT_MAX)
            && let Some(smallest) = kept.pop()
        {
            sum -= bytes_of(&smallest);
            whole.let_go(bytes_of(&smallest));
        }
    }

    /// A buffer that was kept and has room for so many values, with whatever is in it; else an empty one: to grow one that is
    /// too small would copy what is in it. Nothing is taken for it yet.
    pub(crate) fn reuse<T: Keep>(&self, count: usize) -> Vec<T> {
        let bytes = count.saturating_mul(size_of::<T>());
        let whole = self.whole();
        if whole.shared.kept_bytes.load(Ordering::Relaxed) < bytes {
            return Vec::new();
        }
        let mut all = whole.lock_kept();
        let kept = T::of(&mut all);
        let at = kept.iter().rposition(|buffer| buffer.capacity() >= count);
        match at.and_then(|at| Some((at, bytes_of(kept.get(at)?)))) {
            Some((at, capacity)) if capacity / USED_PART <= bytes => {
                whole.let_go(capacity);
                kept.remove(at)
            }
            _ => Vec::new(),
        }
    }

    /// Frees what is kept; whether that was anything.
    pub(crate) fn free_kept(&self) -> bool {
        let whole = self.whole();
        if whole.shared.kept_bytes.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut kept = whole.lock_kept();
        let Kept { of_bytes, of_views } = std::mem::take(&mut *kept);
        whole.let_go(of_bytes.iter().map(bytes_of).sum::<usize>() + of_views.iter().map(bytes_of).sum::<usize>());
        !(of_bytes.is_empty() && of_views.is_empty())
    }

    /// Bytes of buffers that are kept no more.
    fn let_go(&self, bytes: usize) {
        self.shared.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.give_back(bytes);
    }

    fn lock_kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is held.
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this is a part of in the end.
    fn whole(&self) -> &MemoryBudget {
        let mut budget = self;
        while let Some(whole) = &budget.shared.whole {
            budget = whole;
        }
        budget
    }

    #[inline]
    fn take(&self, bytes: usize) -> Result<()> {
        self.take_now(bytes).or_else(|e| self.take_kept(bytes, e))
    }

    /// Takes what was refused, if something was kept.
    #[cold]
    fn take_kept(&self, bytes: usize, e: Error) -> Result<()> {
        if self.free_kept() { self.take_now(bytes) } else { Err(e) }
    }

    fn take_now(&self, bytes: usize) -> Result<()> {
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
            && let Err(e) = whole.take_now(bytes)
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
    fn buffers_of_views_are_kept_beside_those_of_bytes() {
        let budget = MemoryBudget::new(16 * 1024);
        let (bytes, views) = (Vec::<u8>::with_capacity(512), Vec::<u128>::with_capacity(16));
        let places = (bytes.as_ptr(), views.as_ptr());
        budget.keep(bytes);
        budget.keep(views);
        assert_eq!(budget.shared.kept_bytes.load(Ordering::Relaxed), 512 + 256);
        // A larger one of views is more than may be kept with the others, and they are more than one of them.
        budget.keep(Vec::<u128>::with_capacity(40));
        assert_eq!(budget.shared.kept_bytes.load(Ordering::Relaxed), 512);
        budget.keep(Vec::<u128>::with_capacity(20));
        let (bytes, views): (Vec<u8>, Vec<u128>) = (budget.reuse(400), budget.reuse(17));
        assert_eq!((bytes.as_ptr(), bytes.capacity(), views.capacity()), (places.0, 512, 20));
        budget.keep(views);
        assert!(budget.free_kept() && !budget.free_kept());
        assert_eq!(budget.shared.used.load(Ordering::Relaxed), 0);
        assert_eq!(budget.reuse::<u128>(1).capacity(), 0);
    }

    #[test]
    fn buffers_are_kept_as_long_as_there_is_room() {
        let whole = MemoryBudget::new(1600);
        let part = whole.part(1000);
        let buffer = |bytes| Vec::<u8>::with_capacity(bytes);
        let place = |buffer: &Vec<u8>| buffer.as_ptr();
        let (ten, twenty, eighty) = (buffer(10), buffer(20), buffer(80));
        let places = [place(&ten), place(&twenty), place(&eighty)];
        for kept in [twenty, ten] {
            part.keep(kept);
        }
        assert_eq!((whole.used(), whole.peak(), part.peak()), (0, 30, 0), "what is kept is not in use");
        // The smallest that has room, but none of which most would be for nothing.
        let other = whole.part(10);
        assert_eq!((other.reuse::<u8>(21).capacity(), other.reuse::<u8>(1).capacity()), (0, 0));
        let got = other.reuse(9);
        assert_eq!((place(&got), whole.peak()), (places[0], 30));
        part.keep(got);
        // A sixteenth is kept at most, and the larger ones rather.
        part.keep(eighty);
        assert_eq!((place(&part.reuse(15)), part.reuse::<u8>(15).capacity()), (places[1], 0));
        assert_eq!(place(&part.reuse(30)), places[2]);
        part.keep(buffer(101));
        assert_eq!(part.reuse::<u8>(60).capacity(), 0);
        // Nothing is refused because of what is kept.
        part.keep(buffer(60));
        let mut taken = whole.reservation();
        taken.resize(1541).expect("with what was kept");
        assert_eq!((whole.used(), part.reuse::<u8>(60).capacity()), (1541, 0));
        part.keep(buffer(30));
        assert_eq!(part.reuse::<u8>(30).capacity(), 0, "most of it is in use");
        drop(taken);
        part.keep(buffer(30));
        assert!(whole.free_kept() && !whole.free_kept());
        assert_eq!((whole.used(), whole.shared.used.load(Ordering::Relaxed)), (0, 0));
        for _ in 0..100 {
            part.keep(buffer(2));
        }
        assert_eq!(whole.shared.used.load(Ordering::Relaxed), 2 * KEPT_MAX);
    }

    #[test]
    fn threads_never_hold_more_than_the_limit() {
        let budget = MemoryBudget::new(1000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..2000 {
                        let mut taken = budget.reservation();
                        if taken.resize(n % 600).is_ok() && n % 5 == 0 {
                            drop(taken);
                            let bytes = budget.reuse::<u8>(n % 60).capacity().max(n % 60);
                            budget.keep(Vec::<u8>::with_capacity(bytes));
                        }
                    }
                });
            }
        });
        assert_eq!(budget.used(), 0);
        budget.free_kept();
        assert_eq!(budget.shared.used.load(Ordering::Relaxed), 0);
        assert!(budget.peak() <= 1000);
    }
}
