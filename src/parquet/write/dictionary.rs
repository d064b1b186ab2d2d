//! The values of a chunk's dictionary, each with its index.
//!
//! Values are found by a fast hash of their bits; its seed is random, so that nobody can choose values that
//! all collide. Indices are given in the order in which values come first, so the hash leaves no trace.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use hashbrown::HashTable;

use super::primitive::Native;
use crate::parquet::encoding::plain;

/// A dictionary of numbers.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    values: Vec<T>,
    /// The bits of a value, and its index.
    table: HashTable<(u64, u32)>,
    seed: u64,
}

impl<T: Native> Numbers<T> {
    pub fn new() -> Numbers<T> {
        Numbers { values: Vec::new(), table: HashTable::new(), seed: *SEED }
    }

    /// Appends the index of each value; values not met before get the next ones.
    pub fn indices(&mut self, values: &[T], out: &mut Vec<u32>) {
        let next = values.get(1..).unwrap_or_default();
        let repeats = values.iter().zip(next).filter(|(a, b)| a.bits() == b.bits()).count();
        // Looking at the value before pays where most are the same: the branch is foretold then, and costs more than it saves else.
        if repeats * 2 < values.len() {
            out.extend(values.iter().map(|&value| self.index(value)));
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
        let bits = value.bits();
        let hash = hash(bits, self.seed);
        match self.table.find(hash, |of| of.0 == bits) {
            Some(&(_, index)) => index,
            None => self.add(hash, value),
        }
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, hash: u64, value: T) -> u32 {
        let index = self.values.len() as u32;
        let seed = self.seed;
        self.table.insert_unique(hash, (value.bits(), index), |of| self::hash(of.0, seed));
        self.values.push(value);
        index
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Forgets all but the first `len` values. No value may be looked up afterwards.
    pub fn freeze(&mut self, len: usize) {
        self.values.truncate(len);
        self.table = HashTable::new();
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
        self.values.capacity() * size_of::<T>() + self.table.allocation_size()
    }
}

/// A dictionary of byte strings, held as its page has it.
#[derive(Debug)]
pub(super) struct Strings {
    /// PLAIN: each value behind its length, or, of fixed width, alone.
    page: Vec<u8>,
    /// Where in the page each value begins and ends.
    ranges: Vec<(u32, u32)>,
    /// The [`key`] of a value, and its index.
    table: HashTable<(u64, u32)>,
    seed: u64,
    is_fixed: bool,
}

impl Strings {
    /// Of values behind their lengths, or of fixed width without.
    pub fn new(is_fixed: bool) -> Strings {
        Strings { page: Vec::new(), ranges: Vec::new(), table: HashTable::new(), seed: *SEED, is_fixed }
    }

    /// The index of `value`; None when it is not there and would make the page larger than `bytes_max`.
    #[inline]
    pub fn index(&mut self, value: &[u8], bytes_max: usize) -> Option<u32> {
        let key = key(value, self.seed);
        let hash = hash(key, self.seed);
        let (page, ranges) = (&self.page, &self.ranges);
        let found = match key & LONG {
            0 => self.table.find(hash, |of| of.0 == key),
            _ => self.table.find(hash, |of| of.0 == key && equal(get(page, ranges, of.1), value)),
        };
        match found {
            Some(&(_, index)) => Some(index),
            None => self.add(key, value, bytes_max),
        }
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, key: u64, value: &[u8], bytes_max: usize) -> Option<u32> {
        if self.page.len() + value.len() + 4 > bytes_max {
            return None;
        }
        let (index, seed) = (self.ranges.len() as u32, self.seed);
        self.table.insert_unique(hash(key, seed), (key, index), |of| hash(of.0, seed));
        if self.is_fixed {
            self.page.extend_from_slice(value);
        } else {
            plain::encode_byte_array(value, &mut self.page);
        }
        let end = self.page.len() as u32;
        self.ranges.push((end - value.len() as u32, end));
        Some(index)
    }

    /// The value at an index that was given.
    #[inline]
    pub fn get(&self, index: u32) -> &[u8] {
        get(&self.page, &self.ranges, index)
    }

    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Forgets all but the first `len` values. No value may be looked up afterwards.
    pub fn freeze(&mut self, len: usize) {
        self.ranges.truncate(len);
        self.page.truncate(self.ranges.last().map_or(0, |&(_, end)| end as usize));
        self.table = HashTable::new();
    }

    /// The dictionary page.
    pub fn page(&self) -> &[u8] {
        &self.page
    }

    pub fn memory_bytes(&self) -> usize {
        self.page.capacity() + self.ranges.capacity() * size_of::<(u32, u32)>() + self.table.allocation_size()
    }
}

#[inline]
fn get<'a>(page: &'a [u8], ranges: &[(u32, u32)], index: u32) -> &'a [u8] {
    let (start, end) = ranges.get(index as usize).copied().unwrap_or_default();
    page.get(start as usize..end as usize).unwrap_or_default()
}

/// Whether two byte strings are the same; those of up to 32 bytes without a call.
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
        for len in 0..40usize {
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
