//! Buffers that arrays share and give back when the last of them is dropped, for what is read next: fresh memory costs several times
//! what it costs to fill it, and memory that one thread allocates and another frees is mostly fresh.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow_buffer::{ArrowNativeType, ToByteSlice as _};
use bytes::Bytes;

use super::budget::{IDLE_BYTES_MIN, Idle};

/// Where the buffers of one column come back to.
#[derive(Debug)]
pub(super) struct Spare<T, H: Home<T> = ()> {
    home: H,
    /// Made with the first buffer that is lent: most columns of a wide file lend none.
    waiting: OnceLock<Arc<Waiting<T, H>>>,
}

/// Where buffers go in the end: to those who come after the column.
pub(super) trait Home<T>: Clone + Debug + Send + Sync + 'static {
    fn give(&self, buffer: Vec<T>);
}

/// Nowhere.
impl<T> Home<T> for () {
    fn give(&self, _: Vec<T>) {}
}

impl Home<u8> for Option<Idle> {
    fn give(&self, buffer: Vec<u8>) {
        match self {
            Some(idle) if buffer.capacity() >= IDLE_BYTES_MIN => idle.give(buffer),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct Waiting<T, H: Home<T>> {
    /// Those of no capacity are none.
    buffers: Mutex<[Vec<T>; SPARE_MAX]>,
    /// What they take: asked for each page, while most columns never lend anything.
    bytes: AtomicUsize,
    home: H,
}

/// Buffers that wait at most: those of the batch before.
const SPARE_MAX: usize = 2;

impl<T, H: Home<T> + Default> Default for Spare<T, H> {
    fn default() -> Spare<T, H> {
        Spare { home: H::default(), waiting: OnceLock::new() }
    }
}

impl Spare<u8, Option<Idle>> {
    /// Of buffers that are for others when no array shares them, and the column is not there any more.
    pub(super) fn before(idle: &Idle) -> Self {
        Spare { home: Some(idle.clone()), waiting: OnceLock::new() }
    }
}

impl<T: ArrowNativeType, H: Home<T>> Spare<T, H> {
    /// The values' bytes, to share.
    pub(super) fn lend(&self, values: Vec<T>) -> Bytes {
        let new = || {
            let buffers = Mutex::new([const { Vec::new() }; SPARE_MAX]);
            Arc::new(Waiting { buffers, bytes: AtomicUsize::new(0), home: self.home.clone() })
        };
        let waiting = Arc::clone(self.waiting.get_or_init(new));
        Bytes::from_owner(Lent { values, waiting })
    }

    /// A buffer that came back, with whatever is in it, or an empty one.
    pub(super) fn take(&self) -> Vec<T> {
        let Some(waiting) = self.waiting.get().filter(|waiting| waiting.bytes() > 0) else { return Vec::new() };
        let mut buffers = waiting.lock();
        let last = buffers.iter_mut().rfind(|buffer| buffer.capacity() > 0);
        let buffer = last.map(std::mem::take).unwrap_or_default();
        waiting.count(&*buffers);
        buffer
    }

    /// What waits, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.waiting.get().map_or(0, |waiting| waiting.bytes())
    }
}

impl<T, H: Home<T>> Waiting<T, H> {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn count(&self, buffers: &[Vec<T>]) {
        let bytes = buffers.iter().map(|buffer| buffer.capacity().saturating_mul(size_of::<T>())).sum();
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, [Vec<T>; SPARE_MAX]> {
        // Nothing panics while it is held.
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, H: Home<T>> Drop for Waiting<T, H> {
    fn drop(&mut self) {
        let buffers = self.buffers.get_mut().unwrap_or_else(PoisonError::into_inner);
        buffers.iter_mut().for_each(|buffer| self.home.give(std::mem::take(buffer)));
    }
}

/// A buffer that arrays share.
struct Lent<T: ArrowNativeType, H: Home<T>> {
    values: Vec<T>,
    waiting: Arc<Waiting<T, H>>,
}

impl<T: ArrowNativeType, H: Home<T>> AsRef<[u8]> for Lent<T, H> {
    fn as_ref(&self) -> &[u8] {
        self.values.as_slice().to_byte_slice()
    }
}

impl<T: ArrowNativeType, H: Home<T>> Drop for Lent<T, H> {
    fn drop(&mut self) {
        let mut buffers = self.waiting.lock();
        match buffers.iter_mut().find(|buffer| buffer.capacity() == 0) {
            Some(free) => {
                *free = std::mem::take(&mut self.values);
                self.waiting.count(&*buffers);
            }
            None => self.waiting.home.give(std::mem::take(&mut self.values)),
        }
    }
}

/// The values of the array that is being filled. Each array takes the buffer of one before it, if that is back by then.
#[derive(Debug)]
pub(super) struct Filling<T> {
    values: Vec<T>,
    spare: Spare<T>,
    /// Of the array before: the next one is likely as long.
    len_before: usize,
}

impl<T: ArrowNativeType> Default for Filling<T> {
    fn default() -> Filling<T> {
        Filling { values: Vec::new(), spare: Spare::default(), len_before: 0 }
    }
}

impl<T: ArrowNativeType> Filling<T> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// To append to.
    pub(super) fn values(&mut self) -> &mut Vec<T> {
        if self.values.capacity() == 0 && self.len_before > 0 {
            // Not when the array before was taken: a caller that drops it first gets the same memory, which is in the cache.
            self.values = self.spare.take();
            self.values.clear();
            if self.values.capacity() < self.len_before {
                // To grow it would copy what was in it.
                self.values = Vec::with_capacity(self.len_before);
            }
        }
        &mut self.values
    }

    /// The values' bytes, to share; empty again.
    pub(super) fn take(&mut self) -> Bytes {
        self.len_before = self.values.len();
        self.spare.lend(std::mem::take(&mut self.values))
    }

    /// Lets the next array take memory as it grows.
    pub(super) fn foresee_nothing(&mut self) {
        self.len_before = 0;
    }

    /// What was lent and waits, in bytes.
    pub(super) fn waiting(&self) -> usize {
        self.spare.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::read::budget::Budget;

    #[test]
    fn a_buffer_comes_back_when_the_last_that_shares_it_is_dropped() {
        let mut filling = Filling::<u32>::default();
        filling.values().extend([1, 2, 3]);
        let place = filling.values().as_ptr();
        let bytes = filling.take();
        assert_eq!((&bytes[..], filling.len()), (&[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0][..], 0));
        let part = bytes.slice(4..8);
        drop(bytes);
        assert_eq!(filling.waiting(), 0, "a part of it lives");
        filling.values().push(4);
        assert_ne!(filling.values().as_ptr(), place);
        let other = filling.take();
        drop(part);
        assert!(filling.waiting() >= 12);
        filling.values().extend([5, 6]);
        assert_eq!((filling.values().as_ptr(), filling.waiting()), (place, 0));
        assert_eq!((&other[..], &filling.take()[..]), (&[4, 0, 0, 0][..], &[5, 0, 0, 0, 6, 0, 0, 0][..]));
        // What comes back and is too short for the next array is let go.
        filling.values().extend([7; 1000]);
        let long = filling.take();
        drop(other);
        assert!(filling.waiting() > 0);
        filling.values().push(8);
        assert!(filling.values().capacity() >= 1000 && filling.waiting() == 0);
        drop(long);
    }

    #[test]
    fn no_more_wait_than_the_batch_before_had() {
        let spare = Spare::<u32>::default();
        let lent: Vec<Bytes> = (0..5).map(|n| spare.lend(vec![n; 10])).collect();
        drop(lent);
        assert_eq!(spare.bytes(), 2 * 40);
    }

    #[test]
    fn pages_are_for_others_when_their_column_is_gone() {
        let budget = Budget::new(1 << 20).for_scan(1);
        let page = |bytes: usize| vec![1u8; bytes];
        let spare = Spare::before(budget.idle());
        let places: [Bytes; 4] = [5000, 6000, 7000, 100].map(|bytes| spare.lend(page(bytes)));
        let mut at = places.each_ref().map(|bytes| bytes.as_ptr());
        let [first, second, third, small] = places;
        drop((first, second));
        assert_eq!((spare.bytes(), budget.idle().take::<u8>(5000).capacity()), (11_000, 0));
        // Two wait for the column; it needs no more.
        drop((third, small));
        let got: Vec<u8> = budget.idle().take(6500);
        assert_eq!((got.as_ptr(), budget.idle().take::<u8>(50).capacity()), (at[2], 0));
        let last = spare.lend(got);
        drop(spare);
        assert_eq!(budget.idle().take::<u8>(5000).capacity(), 0, "an array of the column's is there yet");
        drop(last);
        let buffers: [Vec<u8>; 3] = [4000, 4000, 6500].map(|bytes| budget.idle().take(bytes));
        let mut got = buffers.each_ref().map(|buffer| buffer.as_ptr());
        got.sort();
        at[..3].sort();
        assert_eq!(got, at[..3]);
    }
}
