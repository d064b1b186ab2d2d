//! The values of a chunk's dictionary, each with its index.
//!
//! Values are found by a fast hash of their bits; its seed is random, so that nobody can choose values that
//! all collide. Indices are given in the order in which values come first, so the hash leaves no trace.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use super::primitive::Native;
use crate::parquet::encoding::plain;

/// Where the entries of a dictionary are found by their hashes: each at the place that its hash points to, or the next one that is
/// free.
///
/// Most places are free, so that what is looked for is nearly always where its hash points: a branch that is not foretold costs
/// more than what there is to compare. They take four bytes each, to be many in the caches.
#[derive(Debug)]
struct Places {
    /// The entry's index and 1, or 0. As many as a power of two, or none.
    taken: Vec<u32>,
    /// Places for an entry, at least, where entries are many.
    share: usize,
}

/// Of the first entry.
const PLACES_LEAST: usize = 256;
/// Fewer than so many stay in the caches, and each entry has [`SHARE_OF_FEW`] at least.
const PLACES_FEW: usize = 1 << 16;
const SHARE_OF_FEW: usize = 16;

impl Places {
    fn new(share: usize) -> Places {
        Places { taken: Vec::new(), share }
    }

    /// The index of the entry with this hash for which `is_it` is true.
    #[inline]
    fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.taken.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        // There is always a place that is free.
        loop {
            match self.taken.get(at) {
                None | Some(0) => return None,
                Some(&next) if is_it(next - 1) => return Some(next - 1),
                Some(_) => at = (at + 1) & mask,
            }
        }
    }

    /// Adds the entry `index`, which is not there; `hash_of` gives the hashes of those before it.
    fn add(&mut self, index: u32, hash: u64, hash_of: impl Fn(u32) -> u64) {
        let places = self.taken.len();
        let (share, growth) = if places < PLACES_FEW { (SHARE_OF_FEW, 4) } else { (self.share, 2) };
        if (index as usize + 1) * share > places {
            let needed = ((index as usize + 1) * share).next_power_of_two();
            self.taken = vec![0; (places * growth).max(needed).max(PLACES_LEAST)];
            (0..index).for_each(|index| self.take(index, hash_of(index)));
        }
        self.take(index, hash);
    }

    fn take(&mut self, index: u32, hash: u64) {
        let mask = self.taken.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        while let Some(place) = self.taken.get_mut(at) {
            if *place == 0 {
                *place = index + 1;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn memory_bytes(&self) -> usize {
        self.taken.capacity() * size_of::<u32>()
    }
}

/// A dictionary of numbers.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    values: Vec<T>,
    /// Of values that are not among those of `close`, at least.
    places: Places,
    /// Of values that lie close to each other, by what they are.
    close: Close,
    seed: u64,
}

/// Where entries are found by their bits, if these lie so close to each other that a place for each number between them is no more
/// than places by hashes would be: nothing is to be hashed or compared then, and values that follow each other closely are in the
/// caches together.
#[derive(Debug, Default)]
struct Close {
    /// The bits that the first place is for.
    first: u64,
    /// The entry's index and 1, or 0. None, where entries are few or far from each other.
    taken: Vec<u32>,
}

/// Fewer entries are found as soon by their hashes.
const CLOSE_LEAST: usize = 128;
/// Places for an entry, at most.
const CLOSE_SHARE: usize = 16;

impl Close {
    /// Of the entries whose bits these are, in order, with as many places more as they span at both ends.
    fn of(entries: impl Iterator<Item = u64> + Clone) -> Close {
        let (count, low, high) =
            entries.clone().fold((0usize, u64::MAX, 0), |(n, low, high), bits| (n + 1, low.min(bits), high.max(bits)));
        let span = high.wrapping_sub(low);
        let first = low.saturating_sub(span / 2);
        let places = high.saturating_add(span / 2).wrapping_sub(first).saturating_add(1);
        if count < CLOSE_LEAST || places > (count * CLOSE_SHARE) as u64 {
            return Close::default();
        }
        let mut close = Close { first, taken: vec![0; places as usize] };
        for (index, bits) in entries.enumerate() {
            close.take(bits, index as u32);
        }
        close
    }

    /// The place for these bits, if there is one.
    #[inline]
    fn get(&self, bits: u64) -> Option<u32> {
        self.taken.get(self.place_of(bits)?).copied()
    }

    /// Whether there is a place for these bits, which the entry has now.
    fn take(&mut self, bits: u64, index: u32) -> bool {
        let place = self.place_of(bits).and_then(|at| self.taken.get_mut(at));
        place.map(|place| *place = index + 1).is_some()
    }

    #[inline]
    fn place_of(&self, bits: u64) -> Option<usize> {
        usize::try_from(bits.wrapping_sub(self.first)).ok()
    }

    fn memory_bytes(&self) -> usize {
        self.taken.capacity() * size_of::<u32>()
    }
}

/// Values whose changes tell those of the values behind them.
const TOLD_BY: usize = 64;
/// Fewer changes than one in so many values are few.
const CHANGES_SHARE: usize = 16;

impl<T: Native> Numbers<T> {
    pub fn new() -> Numbers<T> {
        Numbers { values: Vec::new(), places: Places::new(8), close: Close::default(), seed: *SEED }
    }

    /// Appends the index of each value; values not met before get the next ones.
    pub fn indices(&mut self, values: &[T], out: &mut Vec<u32>) {
        let head = values.get(..TOLD_BY).unwrap_or(values);
        let changes = head.iter().zip(head.iter().skip(1)).filter(|(a, b)| a.bits() != b.bits()).count();
        // Looking at the value before pays where nearly all are the same: a branch that is not foretold costs more than to look a
        // few values up that are in the caches.
        if changes * CHANGES_SHARE >= head.len() {
            match self.close.taken.is_empty() {
                true => out.extend(values.iter().map(|&value| self.index_by_hash(value))),
                false => out.extend(values.iter().map(|&value| self.index(value))),
            }
            return;
        }
        let mut last = None;
        out.extend(values.iter().map(|&value| match last {
            Some((bits, index)) if bits == value.bits() => index,
            _ => {
                let index = self.index(value);
                last = Some((value.bits(), index));
                index
            }
        }));
    }

    #[inline]
    fn index(&mut self, value: T) -> u32 {
        match self.close.get(value.bits()) {
            Some(0) => self.add(value),
            Some(next) => next - 1,
            None => self.index_by_hash(value),
        }
    }

    /// The same of a value that may be among those that are found by their hashes.
    #[inline]
    fn index_by_hash(&mut self, value: T) -> u32 {
        let bits = value.bits();
        let is_it = |index: u32| self.values.get(index as usize).is_some_and(|value| value.bits() == bits);
        match self.places.find(hash(bits, self.seed), is_it) {
            Some(index) => index,
            None => self.add(value),
        }
    }

    /// Adds a value that is not found by its hash.
    #[cold]
    #[inline(never)]
    fn add(&mut self, value: T) -> u32 {
        if let Some(next @ 1..) = self.close.get(value.bits()) {
            return next - 1;
        }
        let index = self.values.len() as u32;
        self.values.push(value);
        // As often as there are twice as many, so that all of it costs no more than the entries.
        if index as usize >= CLOSE_LEAST && index.is_power_of_two() {
            self.close_up();
        }
        if !self.close.take(value.bits(), index) {
            let (values, seed) = (&self.values, self.seed);
            let hash_of = |index: u32| values.get(index as usize).map_or(0, |value| hash(value.bits(), seed));
            self.places.add(index, hash_of(index), hash_of);
        }
        index
    }

    /// Looks whether the entries lie close to each other. Places by hashes are made anew by the next entry that needs one.
    fn close_up(&mut self) {
        let had = !self.close.taken.is_empty();
        self.close = Close::of(self.values.iter().map(|value| value.bits()));
        if had || !self.close.taken.is_empty() {
            self.places = Places::new(self.places.share);
        }
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Forgets all but the first `len` values. No value may be looked up afterwards.
    pub fn freeze(&mut self, len: usize) {
        self.values.truncate(len);
        (self.places.taken, self.close) = (Vec::new(), Close::default());
    }

    /// The values, by index.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// The values at indices that were given.
    pub fn get<'a>(&'a self, indices: impl Iterator<Item = &'a u32>) -> impl Iterator<Item = T> {
        indices.filter_map(|&index| self.values.get(index as usize).copied())
    }

    pub fn memory_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>() + self.places.memory_bytes() + self.close.memory_bytes()
    }
}

/// A dictionary of byte strings, held as its page has it.
#[derive(Debug)]
pub(super) struct Strings {
    /// PLAIN: each value behind its length, or, of fixed width, alone.
    page: Vec<u8>,
    entries: Vec<Entry>,
    places: Places,
    seed: u64,
    is_fixed: bool,
}

/// A value of a dictionary of byte strings.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Its [`key`].
    key: u64,
    /// Where in the page it begins and ends.
    start: u32,
    end: u32,
}

impl Strings {
    /// Of values behind their lengths, or of fixed width without.
    pub fn new(is_fixed: bool) -> Strings {
        Strings { page: Vec::new(), entries: Vec::new(), places: Places::new(4), seed: *SEED, is_fixed }
    }

    /// The index of `value`; None when it is not there and would make the page larger than `bytes_max`.
    #[inline]
    pub fn index(&mut self, value: &[u8], bytes_max: usize) -> Option<u32> {
        let key = key(value, self.seed);
        let is_it = |index: u32| {
            let Some(entry) = self.entries.get(index as usize).filter(|entry| entry.key == key) else { return false };
            key & LONG == 0 || equal(self.bytes_of(*entry), value)
        };
        match self.places.find(hash(key, self.seed), is_it) {
            Some(index) => Some(index),
            None => self.add(key, value, bytes_max),
        }
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, key: u64, value: &[u8], bytes_max: usize) -> Option<u32> {
        if self.page.len() + value.len() + 4 > bytes_max {
            return None;
        }
        let (index, entries, seed) = (self.entries.len() as u32, &self.entries, self.seed);
        let hash_of = |index: u32| entries.get(index as usize).map_or(0, |entry| hash(entry.key, seed));
        self.places.add(index, hash(key, seed), hash_of);
        if self.is_fixed {
            self.page.extend_from_slice(value);
        } else {
            plain::encode_byte_array(value, &mut self.page);
        }
        let end = self.page.len() as u32;
        self.entries.push(Entry { key, start: end - value.len() as u32, end });
        Some(index)
    }

    /// The value at an index that was given.
    #[inline]
    pub fn get(&self, index: u32) -> &[u8] {
        self.bytes_of(self.entries.get(index as usize).copied().unwrap_or_default())
    }

    #[inline]
    fn bytes_of(&self, entry: Entry) -> &[u8] {
        self.page.get(entry.start as usize..entry.end as usize).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets all but the first `len` values. No value may be looked up afterwards.
    pub fn freeze(&mut self, len: usize) {
        self.entries.truncate(len);
        self.page.truncate(self.entries.last().map_or(0, |entry| entry.end as usize));
        self.places.taken = Vec::new();
    }

    /// The dictionary page.
    pub fn page(&self) -> &[u8] {
        &self.page
    }

    pub fn memory_bytes(&self) -> usize {
        self.page.capacity() + self.entries.capacity() * size_of::<Entry>() + self.places.memory_bytes()
    }
}

/// Whether two byte strings are the same; those of up to 64 bytes without a call.
#[inline]
fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (8..=16, Some(first), Some(last)) = (a.len(), a.first_chunk::<8>(), a.last_chunk::<8>()) {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    if let (17..=32, Some(first), Some(last)) = (a.len(), a.first_chunk::<16>(), a.last_chunk::<16>()) {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    if let (33..=64, Some(first), Some(last)) = (a.len(), a.first_chunk::<32>(), a.last_chunk::<32>()) {
        return b.first_chunk() == Some(first) && b.last_chunk() == Some(last);
    }
    a == b
}

static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0u64));

/// An odd number without a pattern: the golden ratio's fraction.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// The high and the low half of a product, folded.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

#[inline]
fn hash(bits: u64, seed: u64) -> u64 {
    fold(bits ^ seed, MIX)
}

/// Set in the key of a string that its key does not hold.
const LONG: u64 = 1 << 63;

/// What a string is found by: one of up to 7 bytes by these and their number, so that no other has the same; a longer one by
/// a hash.
#[inline]
fn key(value: &[u8], seed: u64) -> u64 {
    if value.len() > 7 {
        return hash_bytes(value, seed) | LONG;
    }
    let few = match (value.first_chunk::<4>(), value.last_chunk::<4>()) {
        // Where they overlap, they are the same.
        (Some(first), Some(last)) => {
            let last = u64::from(u32::from_le_bytes(*last)) << (8 * (value.len() - 4));
            u64::from(u32::from_le_bytes(*first)) | last
        }
        _ => value.iter().rev().fold(0, |few, &byte| few << 8 | u64::from(byte)),
    };
    few | (value.len() as u64) << 56
}

/// Of 8 bytes or more.
#[inline]
fn hash_bytes(value: &[u8], seed: u64) -> u64 {
    let mut state = seed ^ (value.len() as u64).wrapping_mul(MIX);
    // Both factors are secret: whoever can make one of them 0 makes every product 0.
    let secret = seed.rotate_left(32) ^ MIX;
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    let (words, _) = value.as_chunks::<16>();
    for pair in words {
        let (Some(a), Some(b)) = (pair.first_chunk::<8>(), pair.last_chunk::<8>()) else { break };
        state = fold(state ^ word(a), word(b) ^ secret);
    }
    // Whatever the pairs left out lies within the last 16 bytes; the first stand for values shorter.
    let before = value.len().checked_sub(16).and_then(|at| value.get(at..)?.first_chunk::<8>());
    let [first, last] = [before.or(value.first_chunk::<8>()), value.last_chunk::<8>()].map(|w| w.map_or(0, word));
    fold(state ^ first, last ^ secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_their_bits() {
        let mut numbers = Numbers::new();
        let nan = f64::from_bits(0x7ff8_0000_0000_0001);
        let mut indices = Vec::new();
        numbers.indices(&[0.0, -0.0, 0.0, f64::NAN, nan, f64::NAN, 1.5, 1.5], &mut indices);
        assert_eq!(indices, [0, 1, 0, 2, 3, 2, 4, 4]);
        assert_eq!(numbers.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>()[1], (-0f64).to_bits());
        numbers.freeze(2);
        assert_eq!(numbers.len(), 2);
    }

    #[test]
    fn runs_and_changes_give_the_same_indices() {
        for run in [1, 3, 15, 16, 17, 40, 500] {
            let values: Vec<i64> = (0..5000).map(|i| i / run % 300).collect();
            for stride in [1, 63, 64, 65, 1000, 5000] {
                let (mut numbers, mut indices) = (Numbers::new(), Vec::new());
                values.chunks(stride).for_each(|values| numbers.indices(values, &mut indices));
                let expected: Vec<u32> = values.iter().map(|&value| value as u32).collect();
                assert_eq!(indices, expected, "runs of {run}, {stride} at a time");
            }
        }
    }

    /// Looks values up in pieces, and sees that each has the index of the first one with its bits; the dictionary.
    fn looked_up<T: Native>(values: &[T], piece: usize) -> Numbers<T> {
        let (mut numbers, mut indices) = (Numbers::new(), Vec::new());
        values.chunks(piece).for_each(|values| numbers.indices(values, &mut indices));
        let mut known = std::collections::HashMap::new();
        for (value, &index) in values.iter().zip(&indices) {
            let next = known.len() as u32;
            assert_eq!(index, *known.entry(value.bits()).or_insert(next), "{:x}", value.bits());
            assert_eq!(numbers.values()[index as usize].bits(), value.bits());
        }
        assert_eq!(numbers.len(), known.len());
        numbers
    }

    #[test]
    fn values_that_lie_close_are_found_by_their_bits() {
        let scattered = |i: i64| i.wrapping_mul(MIX.cast_signed());
        // In no order, 5,000 of 7,001.
        let close: Vec<i64> = (0..20_000).map(|i| 1_000_000 + i * 37 % 5000 * 7 / 5).collect();
        let numbers = looked_up(&close, 1024);
        assert!(!numbers.close.taken.is_empty() && numbers.close.taken.len() <= CLOSE_SHARE * numbers.len());
        assert!(numbers.places.taken.is_empty());
        assert!(looked_up(&(0..5000).map(scattered).collect::<Vec<_>>(), 1024).close.taken.is_empty());
        // Where they go on growing, beyond what there is a place for; and where the ends of all bits are among them.
        let walk: Vec<f32> = (0..50_000).map(|i| 12.0 + (i as f32 / 50.0).sin() * 0.01 + i as f32 * 1e-6).collect();
        assert!(!looked_up(&walk, 1000).close.taken.is_empty());
        assert!(
            !looked_up(&(0..3000u32).map(|i| (u32::MAX - i).cast_signed()).collect::<Vec<_>>(), 7)
                .close
                .taken
                .is_empty()
        );
        assert!(!looked_up(&(0..3000).map(|i| i64::from(i) - 3000).collect::<Vec<_>>(), 4096).close.taken.is_empty());
        // Close at first, then not; not at first, then close; and back and forth, with runs.
        let far: Vec<i64> = (0..9000).map(scattered).collect();
        assert!(looked_up(&[&close[..], &far, &close].concat(), 500).close.taken.is_empty());
        // Those that were found by their bits alone when they were close no more.
        let (first, second) = close.split_at(3000);
        assert!(looked_up(&[first, &far[..1], second, &far, &close].concat(), 500).close.taken.is_empty());
        let few_far = [&far[..200], &close, &[i64::MIN, i64::MAX, -1], &close].concat();
        looked_up(&few_far, 64);
        let mixed: Vec<i64> = (0..30_000).map(|i| if i % 3 == 0 { scattered(i % 300) } else { i / 40 * 3 }).collect();
        looked_up(&mixed, 777);
        looked_up(&mixed.iter().flat_map(|&value| [value; 40]).collect::<Vec<_>>(), 1024);
    }

    proptest::proptest! {
        #[test]
        fn any_numbers_have_the_index_of_the_first_that_is_the_same(
            seeds in proptest::collection::vec((0u8..4, 0i64..3000), 1..6000), piece in 1usize..3000
        ) {
            let values: Vec<i64> = seeds
                .iter()
                .map(|&(kind, n)| match kind {
                    0 | 1 => n,
                    2 => n * 8 + 5000,
                    _ => n.wrapping_mul(MIX.cast_signed()) >> (n % 60),
                })
                .collect();
            looked_up(&values, piece);
        }
    }

    #[test]
    fn places_are_found_by_one_hash_and_by_many() {
        for spread in [0, 1, MIX] {
            let hash = |index: u32| u64::from(index).wrapping_mul(spread);
            let mut places = Places::new(4);
            for index in 0..3000 {
                assert_eq!(places.find(hash(index), |of| of == index), None);
                places.add(index, hash(index), hash);
                let room = places.taken.len() / (index as usize + 1);
                assert!(room >= if places.taken.len() < PLACES_FEW { SHARE_OF_FEW } else { 4 }, "{room} for {index}");
            }
            assert!((0..3000).all(|index| places.find(hash(index), |of| of == index) == Some(index)));
        }
    }

    #[test]
    fn strings_are_found_again_and_bounded() {
        let mut strings = Strings::new(false);
        let words: Vec<Vec<u8>> = (0..5000usize)
            .map(|i| vec![b'x'; i % 40].into_iter().chain(i.to_string().into_bytes()).collect())
            .collect();
        for round in 0..2 {
            for (i, word) in words.iter().enumerate() {
                assert_eq!(strings.index(word, 1 << 20), Some(i as u32), "round {round}");
            }
        }
        assert_eq!(strings.get(4999), words[4999]);
        let size = strings.page().len();
        assert_eq!(size, words.iter().map(|w| w.len() + 4).sum::<usize>());
        assert_eq!(strings.index(b"new", size), None);
        assert_eq!(strings.index(&words[7], size), Some(7));
        strings.freeze(1);
        assert_eq!((strings.len(), strings.page()), (1, [1, 0, 0, 0, b'0'].as_slice()));
    }

    #[test]
    fn fixed_strings_have_no_lengths() {
        let mut strings = Strings::new(true);
        for value in [b"aaaa", b"bbbb", b"aaaa"] {
            strings.index(value, 100).expect("fits");
        }
        assert_eq!((strings.page(), strings.get(1)), (b"aaaabbbb".as_slice(), b"bbbb".as_slice()));
    }

    #[test]
    fn each_byte_counts_when_strings_are_compared() {
        for len in 0..80usize {
            let value: Vec<u8> = (0..len as u8).collect();
            assert!(equal(&value, &value.clone()) && !equal(&value, &[&value[..], &[0]].concat()));
            for at in 0..len {
                let mut other = value.clone();
                other[at] ^= 0x80;
                assert!(!equal(&value, &other), "byte {at} of {len}");
            }
        }
    }

    #[test]
    fn no_word_that_is_known_hides_the_others() {
        for len in [12, 16, 24, 40] {
            let of = |i: u32| [&i.to_le_bytes()[..], &vec![0; len - 12], &MIX.to_le_bytes()].concat();
            let all: std::collections::HashSet<u64> = (0..1000).map(|i| key(&of(i), *SEED)).collect();
            assert_eq!(all.len(), 1000, "of {len} bytes");
        }
    }

    #[test]
    fn each_byte_counts_in_the_key() {
        for len in 1..70usize {
            let value = vec![0u8; len];
            let all: std::collections::HashSet<u64> = (0..len)
                .map(|at| {
                    let mut other = value.clone();
                    other[at] = 1;
                    key(&other, 5)
                })
                .chain([key(&value, 5), key(&value[1..], 5)])
                .collect();
            assert_eq!(all.len(), len + 2, "of {len} bytes");
        }
    }
}
