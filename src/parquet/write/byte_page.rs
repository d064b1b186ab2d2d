//! The byte strings of an open page that are no indices: back to back, their lengths aside.
//!
//! So they are taken in runs, and most encodings want them so; PLAIN puts each length before its value when the page closes.

use std::cmp::Ordering;
use std::ops::Range;

use super::source::Source;
use super::statistics::{compare_signed, int96_key};
use crate::parquet::arrow::ValueOrder;

/// Values of a page, none of them beyond 1 GiB.
#[derive(Debug, Default)]
pub(super) struct BytePage {
    pub lengths: Vec<i32>,
    pub bytes: Vec<u8>,
}

impl BytePage {
    #[inline]
    pub fn push(&mut self, value: &[u8]) {
        self.lengths.push(value.len() as i32);
        self.bytes.extend_from_slice(value);
    }

    pub fn append(&mut self, source: impl Source, rows: Range<usize>) {
        source.append(rows, &mut self.lengths, &mut self.bytes);
    }

    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    pub fn clear(&mut self) {
        self.lengths.clear();
        self.bytes.clear();
    }

    /// Values from the first on until there are as many, or they take as many bytes, each with so many before it.
    pub fn head(&self, values_max: usize, bytes_max: usize, length_bytes: usize) -> Values<'_> {
        let mut bytes = 0;
        let before = self.lengths.iter().take(values_max).take_while(|&&length| {
            let fits = bytes < bytes_max;
            bytes += length as usize + length_bytes;
            fits
        });
        let count = before.count();
        Values { lengths: self.lengths.get(..count).unwrap_or_default(), bytes: &self.bytes }
    }

    pub fn values(&self) -> Values<'_> {
        Values { lengths: &self.lengths, bytes: &self.bytes }
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.lengths.capacity() * size_of::<i32>()
    }
}

/// Values one after another; behind the last one there may be more bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub lengths: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> Values<'a> {
    /// The bytes of all of them.
    pub fn bytes(&self) -> &'a [u8] {
        let end = self.lengths.iter().map(|&length| length as usize).sum();
        self.bytes.get(..end).unwrap_or(self.bytes)
    }

    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.bytes;
        self.lengths.iter().map(move |&length| {
            let (value, after) = rest.split_at_checked(length as usize).unwrap_or((rest, &[]));
            rest = after;
            value
        })
    }

    /// The least and the greatest; None of none.
    pub fn extremes(&self, order: ValueOrder) -> Option<(&'a [u8], &'a [u8])> {
        let mut values = self.iter();
        let mut extremes = Extremes::of(values.next()?, order);
        values.for_each(|value| extremes.widen(value));
        Some((extremes.low.1, extremes.high.1))
    }
}

/// The least and the greatest of values, with their first bytes as numbers.
#[derive(Debug)]
pub(super) struct Extremes<'a> {
    pub low: (u64, &'a [u8]),
    pub high: (u64, &'a [u8]),
    order: ValueOrder,
}

impl<'a> Extremes<'a> {
    pub fn of(value: &'a [u8], order: ValueOrder) -> Extremes<'a> {
        let first = (front(value, order), value);
        Extremes { low: first, high: first, order }
    }

    #[inline]
    pub fn widen(&mut self, value: &'a [u8]) {
        let front = front(value, self.order);
        // Sorted values are above all before them: the least one need not be looked at.
        if front > self.high.0 || (front == self.high.0 && compare(self.order, value, self.high.1).is_gt()) {
            self.high = (front, value);
        } else if front < self.low.0 || (front == self.low.0 && compare(self.order, value, self.low.1).is_lt()) {
            self.low = (front, value);
        }
    }
}

/// The first bytes as a number that orders as they do.
#[inline]
fn front(value: &[u8], order: ValueOrder) -> u64 {
    if order == ValueOrder::Chronological {
        // The day decides, and what it leaves open is compared in full.
        return u64::from(int96_key(value).0.cast_unsigned() ^ 1 << 31);
    }
    let front = match value.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            for (to, from) in bytes.iter_mut().zip(value) {
                *to = *from;
            }
            u64::from_be_bytes(bytes)
        }
    };
    if order == ValueOrder::SignedBytes { front ^ 1 << 63 } else { front }
}

#[inline]
fn compare(order: ValueOrder, a: &[u8], b: &[u8]) -> Ordering {
    match order {
        // Of one sign and length, numbers are ordered as their bytes are.
        ValueOrder::SignedBytes if a.len() == b.len() && is_negative(a) == is_negative(b) => compare_words(a, b),
        ValueOrder::SignedBytes => compare_signed(a, b),
        ValueOrder::Chronological => int96_key(a).cmp(&int96_key(b)),
        _ => compare_words(a, b),
    }
}

#[inline]
fn is_negative(number: &[u8]) -> bool {
    number.first().is_some_and(|first| first & 0x80 != 0)
}

/// As slices compare, a word at a time: a call costs more where a few bytes are to be compared, which mostly begin alike.
#[inline]
fn compare_words(a: &[u8], b: &[u8]) -> Ordering {
    let word = |bytes: &[u8; 8]| u64::from_be_bytes(*bytes);
    let (a_words, b_words) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    if let Some((a, b)) = a_words.iter().zip(b_words).find(|(a, b)| a != b) {
        return word(a).cmp(&word(b));
    }
    match (a.last_chunk(), b.last_chunk()) {
        // What the words left out lies within the last ones.
        (Some(a_last), Some(b_last)) if a.len() == b.len() => word(a_last).cmp(&word(b_last)),
        _ => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_compare_as_slices_do(start in prop::collection::vec(0u8..3, 0..30), ends in prop::array::uniform2("[a-c\u{e9}]{0,9}")) {
            let [a, b] = ends.map(|end| [&start[..], end.as_bytes()].concat());
            prop_assert_eq!(compare_words(&a, &b), a.cmp(&b));
            prop_assert_eq!(compare_words(&a, &start), a.cmp(&start));
        }

        #[test]
        fn numbers_compare_by_words_as_by_bytes(a in prop::collection::vec(any::<u8>(), 16), b in prop::collection::vec(any::<u8>(), 16), alike in 0usize..=16, length in 0usize..=16) {
            let b = [&a[..alike], &b[alike..]].concat();
            for (a, b) in [(&a[..length], &b[..length]), (&a[..], &b[..length])] {
                prop_assert_eq!(compare(ValueOrder::SignedBytes, a, b), compare_signed(a, b));
                prop_assert_eq!(compare(ValueOrder::SignedBytes, b, a), compare_signed(b, a));
            }
        }

        #[test]
        fn a_page_gives_back_what_it_took(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..30)) {
            let mut page = BytePage::default();
            values.iter().for_each(|value| page.push(value));
            prop_assert_eq!(page.values().iter().collect::<Vec<_>>(), values.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let slices = || values.iter().map(Vec::as_slice);
            let extremes = slices().min().zip(slices().max());
            prop_assert_eq!(page.values().extremes(ValueOrder::Bytes), extremes);
            let head = page.head(7, 60, 4);
            let but_last = head.iter().take(head.lengths.len().saturating_sub(1)).map(|value| value.len() + 4);
            prop_assert!(head.lengths.len() <= 7 && but_last.sum::<usize>() < 60);
            prop_assert!(page.bytes.starts_with(head.bytes()));
            prop_assert_eq!(head.lengths.is_empty(), values.is_empty());
        }
    }
}
