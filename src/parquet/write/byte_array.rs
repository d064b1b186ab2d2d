//! The open page of a column of byte strings, of any or of fixed length.

use std::cmp::Ordering;
use std::ops::Range;

use arrow_buffer::NullBuffer;

use super::column_chunk::{Finished, Kernel};
use super::dictionary::Strings;
use super::options::ChunkOptions;
use super::source::Source;
use super::statistics::{self, Bound, PageStatistics};
use crate::error::{Error, Result};
use crate::parquet::arrow::{Leaf, ValueOrder};
use crate::parquet::encoding::{dictionary, plain};
use crate::parquet::format::{Encoding, Type};

/// The kernel of byte strings.
#[derive(Debug)]
pub(super) struct ByteArrays {
    dictionary: Option<Strings>,
    /// Whether the dictionary still takes values.
    is_open: bool,
    /// How long it was when the page began: values, bytes.
    dictionary_start: (usize, usize),
    indices: Vec<u32>,
    /// The page of which an entry of the dictionary was last looked at for bounds, by index.
    seen: Vec<u32>,
    page: u32,
    plain: Vec<u8>,
    /// Values in the page.
    values: usize,
    /// Their bytes, without lengths.
    bytes: u64,
    /// The bounds in `plain`.
    extremes: Option<Extremes>,
    /// None: of any length.
    width: Option<usize>,
    order: ValueOrder,
    is_utf8: bool,
    statistics: bool,
}

/// The least and the greatest value of the page, by their place in `plain`, and their first bytes as numbers.
#[derive(Debug, Clone)]
struct Extremes {
    low: (u64, Range<usize>),
    high: (u64, Range<usize>),
}

/// Bytes before each value that is not of fixed length.
const LENGTH_BYTES: usize = 4;

/// The longest value: a page's size has 31 bits, and it may hold another page's worth of values.
const VALUE_BYTES_MAX: usize = 1 << 30;

impl ByteArrays {
    pub fn new(leaf: &Leaf, dictionary: bool, statistics: bool) -> ByteArrays {
        let width = (leaf.physical == Type::FixedLenByteArray).then_some(leaf.type_length);
        ByteArrays {
            dictionary: dictionary.then(|| Strings::new(width.is_some())),
            is_open: dictionary,
            dictionary_start: (0, 0),
            indices: Vec::new(),
            seen: Vec::new(),
            page: 0,
            plain: Vec::new(),
            values: 0,
            bytes: 0,
            extremes: None,
            width,
            order: leaf.order,
            is_utf8: statistics::is_utf8(leaf),
            statistics,
        }
    }

    /// Takes rows from the front of `rows` until the page is full; how many were taken, and whether it must
    /// close. A page that has no row yet takes one in any case.
    pub fn push(
        &mut self,
        source: impl Source,
        nulls: Option<&NullBuffer>,
        rows: Range<usize>,
        page_is_empty: bool,
        limits: &ChunkOptions,
    ) -> Result<(usize, bool)> {
        match nulls {
            None => self.push_rows(source, rows.clone(), |_| true, rows, page_is_empty, limits),
            Some(nulls) => self.push_rows(source, rows.clone(), |row| nulls.is_valid(row), rows, page_is_empty, limits),
        }
    }

    /// Whether the open page has room for these values, too.
    pub fn has_room(&self, source: impl Source, values: Range<usize>, limits: &ChunkOptions) -> bool {
        let new = values.map(|i| source.get(i).len() + LENGTH_BYTES).fold(0, usize::saturating_add);
        (self.bytes as usize + self.values * LENGTH_BYTES).saturating_add(new) <= limits.page_bytes
    }

    /// Takes the values of one row, whatever room there is.
    pub fn push_row(&mut self, source: impl Source, values: Range<usize>, limits: &ChunkOptions) -> Result<()> {
        for i in values {
            let value = source.get(i);
            check_length(value)?;
            if !self.push_value(value, limits) {
                self.spill();
                self.append(value);
            }
            self.values += 1;
            self.bytes += value.len() as u64;
        }
        Ok(())
    }

    /// Gives the dictionary up in the middle of a page: its values so far become PLAIN.
    fn spill(&mut self) {
        self.is_open = false;
        let Some(dictionary) = self.dictionary.take() else { return };
        for index in std::mem::take(&mut self.indices) {
            self.append(dictionary.get(index));
        }
        self.dictionary = Some(dictionary);
    }

    fn push_rows(
        &mut self,
        source: impl Source,
        each: impl Iterator<Item = usize>,
        is_valid: impl Fn(usize) -> bool,
        rows: Range<usize>,
        mut page_is_empty: bool,
        limits: &ChunkOptions,
    ) -> Result<(usize, bool)> {
        for row in each {
            if is_valid(row) {
                let value = source.get(row);
                let bytes = self.bytes as usize + self.values * LENGTH_BYTES + value.len() + LENGTH_BYTES;
                if bytes > limits.page_bytes && !page_is_empty {
                    return Ok((row - rows.start, true));
                }
                check_length(value)?;
                if !self.push_value(value, limits) {
                    if !page_is_empty {
                        // The page ends with what the dictionary holds; the next one is without.
                        self.is_open = false;
                        return Ok((row - rows.start, true));
                    }
                    self.is_open = false;
                    self.append(value);
                }
                self.values += 1;
                self.bytes += value.len() as u64;
            }
            page_is_empty = false;
        }
        Ok((rows.len(), false))
    }

    /// False when the dictionary is open and has no room for it.
    #[inline]
    fn push_value(&mut self, value: &[u8], limits: &ChunkOptions) -> bool {
        match &mut self.dictionary {
            Some(dictionary) if self.is_open => match dictionary.index(value, limits.dictionary_bytes) {
                Some(index) => self.indices.push(index),
                None => return false,
            },
            _ => self.append(value),
        }
        true
    }

    #[inline]
    fn append(&mut self, value: &[u8]) {
        if self.width.is_some() {
            self.plain.extend_from_slice(value);
        } else {
            plain::encode_byte_array(value, &mut self.plain);
        }
        if self.statistics && self.order != ValueOrder::Undefined {
            let range = self.plain.len() - value.len()..self.plain.len();
            self.widen(value, range);
        }
    }

    /// Takes a value that stands in `plain` into the bounds.
    #[inline]
    fn widen(&mut self, value: &[u8], range: Range<usize>) {
        let front = front(value, self.order);
        let at = |range: &Range<usize>| self.plain.get(range.clone()).unwrap_or_default();
        let Some(extremes) = &self.extremes else {
            self.extremes = Some(Extremes { low: (front, range.clone()), high: (front, range) });
            return;
        };
        let below = front < extremes.low.0
            || (front == extremes.low.0 && compare(self.order, value, at(&extremes.low.1)) == Ordering::Less);
        let above = front > extremes.high.0
            || (front == extremes.high.0 && compare(self.order, value, at(&extremes.high.1)) == Ordering::Greater);
        if let Some(extremes) = self.extremes.as_mut().filter(|_| below || above) {
            if below {
                extremes.low = (front, range.clone());
            }
            if above {
                extremes.high = (front, range);
            }
        }
    }

    /// The bounds of the page, whose values stand in `plain` or, by the indices, in the dictionary.
    fn bounds(&mut self, bytes_max: usize) -> (Option<Bound>, Option<Bound>) {
        let (low, high) = if let Some(extremes) = self.extremes.take() {
            let at = |range: Range<usize>| self.plain.get(range).unwrap_or_default();
            (at(extremes.low.1), at(extremes.high.1))
        } else {
            let Some(dictionary) = &self.dictionary else { return (None, None) };
            let Some(&first) = self.indices.first() else { return (None, None) };
            self.page += 1;
            self.seen.resize(dictionary.len(), 0);
            let first = dictionary.get(first);
            let (mut low, mut high) = (first, first);
            let (mut low_front, mut high_front) = (front(first, self.order), front(first, self.order));
            for &index in &self.indices {
                // Each entry once: a page repeats few of them often.
                let Some(seen) = self.seen.get_mut(index as usize).filter(|seen| **seen != self.page) else { continue };
                *seen = self.page;
                let value = dictionary.get(index);
                let front = front(value, self.order);
                if front < low_front || (front == low_front && compare(self.order, value, low) == Ordering::Less) {
                    (low, low_front) = (value, front);
                }
                if front > high_front || (front == high_front && compare(self.order, value, high) == Ordering::Greater)
                {
                    (high, high_front) = (value, front);
                }
            }
            (low, high)
        };
        match self.width {
            // Half a number or identifier bounds nothing that readers expect: whole or not at all.
            Some(width) if width > bytes_max.max(32) => (None, None),
            Some(_) => (Some(Bound::exact(low.to_vec())), Some(Bound::exact(high.to_vec()))),
            None => (
                Some(statistics::lower(low, bytes_max, self.is_utf8)),
                statistics::upper(high, bytes_max, self.is_utf8),
            ),
        }
    }
}

fn check_length(value: &[u8]) -> Result<()> {
    match value.len() {
        0..=VALUE_BYTES_MAX => Ok(()),
        n => Err(Error::limit(format!("a value of {n} bytes: {VALUE_BYTES_MAX} are the most"))),
    }
}

/// The first bytes as a number that orders as they do.
#[inline]
fn front(value: &[u8], order: ValueOrder) -> u64 {
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
    if order == ValueOrder::SignedBytes { statistics::compare_signed(a, b) } else { a.cmp(b) }
}

impl Kernel for ByteArrays {
    fn finish_page(&mut self, limits: &ChunkOptions, body: &mut Vec<u8>) -> Finished {
        let mut statistics = PageStatistics { values: self.values, ..PageStatistics::default() };
        if self.width.is_none() {
            statistics.byte_array_bytes = Some(self.bytes);
        }
        if self.statistics && self.order != ValueOrder::Undefined {
            (statistics.min, statistics.max) = self.bounds(limits.bounds_bytes_max);
        }
        self.extremes = None;

        let mut encoding = Encoding::Plain;
        let from_dictionary = self.plain.is_empty() && self.indices.len() == self.values;
        if let Some(dictionary) =
            self.dictionary.as_mut().filter(|d| from_dictionary && d.len() > 0 && (self.is_open || self.values > 0))
        {
            let encoded = dictionary::encode(&self.indices, dictionary.len());
            let new_bytes = dictionary.page().len() - self.dictionary_start.1;
            let lengths = if self.width.is_some() { 0 } else { self.values * LENGTH_BYTES };
            // A page without values costs nothing either way.
            if self.values == 0 || new_bytes + encoded.len() < self.bytes as usize + lengths {
                body.extend_from_slice(&encoded);
                encoding = Encoding::RleDictionary;
                self.dictionary_start = (dictionary.len(), dictionary.page().len());
            } else {
                for &index in &self.indices {
                    let value = dictionary.get(index);
                    if self.width.is_some() {
                        self.plain.extend_from_slice(value);
                    } else {
                        plain::encode_byte_array(value, &mut self.plain);
                    }
                }
                self.is_open = false;
            }
        }
        self.indices.clear();
        if let Some(dictionary) = self.dictionary.as_mut().filter(|_| !self.is_open) {
            dictionary.freeze(self.dictionary_start.0);
            self.indices = Vec::new();
            self.seen = Vec::new();
        }
        body.extend_from_slice(&self.plain);
        self.plain.clear();
        (self.values, self.bytes) = (0, 0);
        Finished { encoding, statistics }
    }

    fn dictionary_page(&self, body: &mut Vec<u8>) -> usize {
        let Some(dictionary) = &self.dictionary else { return 0 };
        body.extend_from_slice(dictionary.page());
        dictionary.len()
    }

    fn open_bytes(&self) -> usize {
        self.plain.len() + self.indices.len() * 2 + self.dictionary.as_ref().map_or(0, |d| d.page().len())
    }

    fn memory_bytes(&self) -> usize {
        self.plain.capacity()
            + (self.indices.capacity() + self.seen.capacity()) * 4
            + self.dictionary.as_ref().map_or(0, Strings::memory_bytes)
    }
}
