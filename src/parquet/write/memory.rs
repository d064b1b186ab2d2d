//! Memory of encoded pages: the pieces that a chunk grows by, and those that no chunk needs any more.
//!
//! The pages of a row group stay in memory until it closes. Memory that is fresh from the system costs several times what it
//! costs to fill it, so pieces go from chunk to chunk, and from writer to writer where these share a [`WriterMemory`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memory that writers share: what one has written its pages from, the next one puts its own into. A clone is the same memory.
///
/// It holds no data and changes no file. Pieces that are free count towards `bytes_max`; those of open row groups do not.
///
/// ```
/// use hypostyle::parquet::write::{WriterMemory, WriterOptions};
///
/// // For files that are written one after another, or side by side.
/// let options = WriterOptions::default().with_memory(WriterMemory::new(64 << 20));
/// assert_eq!(options.memory.map(|memory| memory.free_bytes()), Some(0));
/// ```
#[derive(Clone)]
pub struct WriterMemory {
    shared: Arc<Shared>,
}

struct Shared {
    bytes_max: usize,
    free: Mutex<Free>,
}

/// Pieces by their size, which is that of their place.
#[derive(Default)]
struct Free {
    sizes: [Vec<Vec<u8>>; SIZES],
    bytes: usize,
}

/// A piece has a power of two bytes, from the least to the most.
const PIECE_BYTES_MIN: usize = 4 << 10;
const PIECE_BYTES_MAX: usize = 1 << 20;
const SIZES: usize = (PIECE_BYTES_MAX / PIECE_BYTES_MIN).ilog2() as usize + 1;

impl WriterMemory {
    /// Keeps `bytes_max` at most that are free.
    pub fn new(bytes_max: usize) -> WriterMemory {
        WriterMemory { shared: Arc::new(Shared { bytes_max, free: Mutex::default() }) }
    }

    /// Bytes that are free.
    pub fn free_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Gives what is free back to the system; whether that was anything.
    pub fn release(&self) -> bool {
        std::mem::take(&mut *self.lock()).bytes > 0
    }

    /// An empty piece of `PIECE_BYTES_MIN << size` bytes.
    fn take(&self, size: usize) -> Vec<u8> {
        let bytes = PIECE_BYTES_MIN << size;
        let mut free = self.lock();
        if let Some(piece) = free.sizes.get_mut(size).and_then(Vec::pop) {
            free.bytes -= bytes;
            return piece;
        }
        drop(free);
        Vec::with_capacity(bytes)
    }

    fn give_back(&self, pieces: impl Iterator<Item = Vec<u8>>) {
        let mut free = self.lock();
        for mut piece in pieces {
            let bytes = piece.capacity();
            let size = (bytes / PIECE_BYTES_MIN).checked_ilog2().unwrap_or(0) as usize;
            let Some(alike) = free.sizes.get_mut(size) else { continue };
            piece.clear();
            alike.push(piece);
            free.bytes += bytes;
        }
        // What there is most of is least likely to be wanted again.
        while free.bytes > self.shared.bytes_max
            && let Some((_, most)) = (0..).zip(&mut free.sizes).max_by_key(|(size, alike)| alike.len() << size)
            && let Some(piece) = most.pop()
        {
            free.bytes -= piece.capacity();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Free> {
        // Nothing panics while it is held.
        self.shared.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for WriterMemory {
    fn eq(&self, other: &WriterMemory) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for WriterMemory {}

impl fmt::Debug for WriterMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes_max, free_bytes) = (self.shared.bytes_max, self.free_bytes());
        f.debug_struct("WriterMemory").field("bytes_max", &bytes_max).field("free_bytes", &free_bytes).finish()
    }
}

/// Bytes that grow at the end, in pieces: nothing is moved to grow, and little is taken ahead.
#[derive(Debug)]
pub(super) struct Segments {
    pieces: Vec<Vec<u8>>,
    bytes: u64,
    memory: WriterMemory,
}

impl Segments {
    /// Nothing yet; pieces come from `memory` and go back to it.
    pub fn new(memory: &WriterMemory) -> Segments {
        Segments { pieces: Vec::new(), bytes: 0, memory: memory.clone() }
    }

    /// Nothing yet, of the same memory.
    pub fn another(&self) -> Segments {
        Segments::new(&self.memory)
    }

    pub fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let last = match self.pieces.last_mut() {
                Some(last) if last.capacity() > last.len() => last,
                _ => {
                    // As much again as there is, so that there are few pieces.
                    let so_far = usize::try_from(self.bytes).unwrap_or(usize::MAX);
                    let wanted = bytes.len().max(so_far).clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX);
                    let size = (wanted / PIECE_BYTES_MIN).ilog2() as usize;
                    self.pieces.push_mut(self.memory.take(size))
                }
            };
            let room = last.capacity() - last.len();
            let (now, rest) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            last.extend_from_slice(now);
            self.bytes += now.len() as u64;
            bytes = rest;
        }
    }

    /// Bytes in it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.pieces.iter().map(Vec::capacity).sum()
    }

    /// Its pieces in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(Vec::as_slice)
    }
}

impl Drop for Segments {
    fn drop(&mut self) {
        self.memory.give_back(self.pieces.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_keep_their_order_and_do_not_run_ahead() {
        let memory = WriterMemory::new(0);
        let mut out = Segments::new(&memory);
        let mut all = Vec::new();
        for i in 0..3000usize {
            let page = vec![i as u8; i % 1000 + 100_000 * usize::from(i == 77)];
            out.append(&page);
            all.extend(page);
            assert!(out.memory_bytes() <= all.len() * 2 + PIECE_BYTES_MIN, "{i}");
        }
        assert_eq!(out.iter().flatten().copied().collect::<Vec<_>>(), all);
        assert_eq!(out.bytes(), all.len() as u64);
    }

    #[test]
    fn what_one_chunk_had_the_next_one_has() {
        let memory = WriterMemory::new(4 << 20);
        let places =
            |segments: &Segments| segments.iter().map(<[u8]>::as_ptr).collect::<std::collections::BTreeSet<_>>();
        let fill = |bytes: usize| {
            let mut segments = Segments::new(&memory);
            (0..bytes / 1000).for_each(|_| segments.append(&[1; 1000]));
            segments
        };
        let first = fill(3_000_000);
        let (before, taken) = (places(&first), first.memory_bytes());
        assert_eq!(memory.free_bytes(), 0, "what is in use is not free");
        drop(first);
        assert_eq!(memory.free_bytes(), taken);
        let second = fill(3_000_000);
        assert_eq!((places(&second), memory.free_bytes()), (before, 0));
        drop(second);
        memory.release();
        assert_eq!(memory.free_bytes(), 0);
    }

    #[test]
    fn no_more_is_kept_than_was_said() {
        let memory = WriterMemory::new(1 << 20);
        let mut large = Segments::new(&memory);
        large.append(&vec![1; 5 << 20]);
        let mut small = Segments::new(&memory);
        small.append(&[1; 5000]);
        let little = small.memory_bytes();
        drop(small);
        drop(large);
        assert_eq!(memory.free_bytes(), little, "pieces of a megabyte have no room beside the small ones");
    }
}
