//! The open page of a column of byte strings, of any or of fixed length.

use std::cmp::Ordering;
use std::ops::Range;

use arrow_buffer::NullBuffer;

use super::choose::{Choice, DictionaryPage, SAMPLE_BYTES, SAMPLE_VALUES, Trial};
use super::dictionary::Strings;
use super::kernel::{Finished, Kernel};
use super::options::ChunkOptions;
use super::source::Source;
use super::statistics::{self, Bound, PageStatistics};
use crate::error::{Error, Result};
use crate::parquet::arrow::{Leaf, ValueOrder};
use crate::parquet::encoding::{bit_pack, byte_stream_split, delta_byte_array, delta_length_byte_array, plain};
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
    choice: Choice,
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

/// Bytes of an INT96.
pub(super) const INT96_BYTES: usize = 12;

/// Bytes before each value that is not of fixed length.
const LENGTH_BYTES: usize = 4;

/// The longest value: a page's size has 31 bits, and it may hold another page's worth of values.
const VALUE_BYTES_MAX: usize = 1 << 30;

impl ByteArrays {
    pub fn new(leaf: &Leaf, options: &ChunkOptions) -> ByteArrays {
        let width = match leaf.physical {
            Type::FixedLenByteArray => Some(leaf.type_length),
            Type::Int96 => Some(INT96_BYTES),
            _ => None,
        };
        ByteArrays {
            dictionary: options.dictionary.then(|| Strings::new(width.is_some())),
            is_open: options.dictionary,
            dictionary_start: (0, 0),
            indices: Vec::new(),
            seen: Vec::new(),
            page: 0,
            plain: Vec::new(),
            values: 0,
            bytes: 0,
            extremes: None,
            width,
            choice: Choice::new(leaf.physical, options),
            order: leaf.order,
            is_utf8: statistics::is_utf8(leaf),
            statistics: options.statistics,
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
                let entries = self.entries();
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
                // A value that was there before changes neither.
                if self.is_open && self.entries() > entries {
                    if self.choice.is_hopeless(self.values, self.entries()) {
                        self.spill();
                        self.dictionary = None;
                    } else if self.choice.widens(self.values, self.entries(), 1) {
                        return Ok((row + 1 - rows.start, true));
                    }
                }
            }
            page_is_empty = false;
        }
        Ok((rows.len(), false))
    }

    fn entries(&self) -> usize {
        self.dictionary.as_ref().map_or(0, Strings::len)
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
        let above = front > extremes.high.0
            || (front == extremes.high.0 && compare(self.order, value, at(&extremes.high.1)) == Ordering::Greater);
        // Sorted values are above all before them: the least one need not be looked at.
        let below = !above
            && (front < extremes.low.0
                || (front == extremes.low.0 && compare(self.order, value, at(&extremes.low.1)) == Ordering::Less));
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
    if order == ValueOrder::Chronological {
        // The day decides, and what it leaves open is compared in full.
        return u64::from(statistics::int96_key(value).0.cast_unsigned() ^ 1 << 31);
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
        ValueOrder::SignedBytes => statistics::compare_signed(a, b),
        ValueOrder::Chronological => statistics::int96_key(a).cmp(&statistics::int96_key(b)),
        _ => a.cmp(b),
    }
}

impl ByteArrays {
    /// Closes a page that stands as indices so far: they go to `body`, or the values to `plain`. Whether they stay indices.
    fn finish_indices(
        &mut self,
        dictionary: &Strings,
        limits: &ChunkOptions,
        body: &mut Vec<u8>,
        trial: &mut Trial<'_>,
    ) -> Result<bool> {
        let new = dictionary.page().get(self.dictionary_start.1..).unwrap_or_default();
        // A page without values costs nothing either way.
        let mut stays = true;
        if self.values > 0 && !self.choice.is_settled() {
            let mut sample = Vec::new();
            for &index in self.indices.iter().take(SAMPLE_VALUES) {
                if sample.len() >= SAMPLE_BYTES {
                    break;
                }
                put(self.width, dictionary.get(index), &mut sample);
            }
            self.settle(&sample, trial)?;
            self.choice.weigh(new, &self.indices, dictionary.len(), trial)?;
        }
        let encoded = self.choice.encode_indices(&self.indices, dictionary.len());
        if self.values > 0 {
            let lengths = if self.width.is_some() { 0 } else { self.values * LENGTH_BYTES };
            let page = DictionaryPage {
                indices: &self.indices,
                encoded_bytes: encoded.len(),
                entries: dictionary.len(),
                bytes: dictionary.page().len(),
                new_bytes: new.len(),
                plain_bytes: self.bytes as usize + lengths,
            };
            stays = self.choice.keeps_dictionary(&page, limits, trial.is_last);
        }
        if stays {
            body.extend_from_slice(&encoded);
            self.dictionary_start = (dictionary.len(), dictionary.page().len());
        } else {
            self.indices.iter().for_each(|&index| put(self.width, dictionary.get(index), &mut self.plain));
            self.is_open = false;
        }
        Ok(stays)
    }

    /// `plain` begins with the values to try.
    fn settle(&mut self, plain: &[u8], trial: &mut Trial<'_>) -> Result<()> {
        let pieces = Pieces { rest: plain, width: self.width };
        let mut bytes = 0;
        for value in pieces.take(SAMPLE_VALUES) {
            bytes += value.len() + if self.width.is_some() { 0 } else { LENGTH_BYTES };
            if bytes >= SAMPLE_BYTES {
                break;
            }
        }
        let sample = plain.get(..bytes).unwrap_or(plain);
        self.choice.settle(sample.len(), trial, |encoding, out| encode(encoding, sample, self.width, out))
    }
}

/// Appends a value in PLAIN.
#[inline]
fn put(width: Option<usize>, value: &[u8], out: &mut Vec<u8>) {
    match width {
        Some(_) => out.extend_from_slice(value),
        None => plain::encode_byte_array(value, out),
    }
}

/// Appends what stands in PLAIN as it stands in a page.
fn encode(encoding: Encoding, plain: &[u8], width: Option<usize>, out: &mut Vec<u8>) -> Result<()> {
    let pieces = Pieces { rest: plain, width };
    match encoding {
        Encoding::Plain => out.extend_from_slice(plain),
        Encoding::DeltaLengthByteArray => delta_length_byte_array::encode(pieces, out),
        Encoding::DeltaByteArray => delta_byte_array::encode(pieces, out),
        Encoding::ByteStreamSplit => byte_stream_split::encode(plain, width.unwrap_or(0), out),
        // Options are checked, so this is never seen.
        other => return Err(Error::invalid(format!("{other} is not for the column's values"))),
    }
    Ok(())
}

/// The values that stand in PLAIN.
#[derive(Debug, Clone)]
struct Pieces<'a> {
    rest: &'a [u8],
    width: Option<usize>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let width = match self.width {
            Some(width) => width,
            None => {
                let (length, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                u32::from_le_bytes(*length) as usize
            }
        };
        let (value, rest) =
            self.rest.split_at_checked(width).filter(|_| self.width.is_none() || !self.rest.is_empty())?;
        self.rest = rest;
        Some(value)
    }
}

impl Kernel for ByteArrays {
    fn finish_page(&mut self, limits: &ChunkOptions, body: &mut Vec<u8>, trial: &mut Trial<'_>) -> Result<Finished> {
        let mut statistics = PageStatistics { values: self.values, ..PageStatistics::default() };
        if self.width.is_none() {
            statistics.byte_array_bytes = Some(self.bytes);
        }
        if self.statistics && self.order != ValueOrder::Undefined {
            (statistics.min, statistics.max) = self.bounds(limits.bounds_bytes_max);
        }
        self.extremes = None;

        let mut stays = false;
        let are_indices = self.plain.is_empty() && self.indices.len() == self.values;
        let has_place = |d: &mut Strings| are_indices && d.len() > 0 && (self.is_open || self.values > 0);
        if let Some(dictionary) = self.dictionary.take_if(has_place) {
            let result = self.finish_indices(&dictionary, limits, body, trial);
            self.dictionary = Some(dictionary);
            stays = result?;
        }
        let mut encoding = Encoding::RleDictionary;
        if !stays {
            let plain = std::mem::take(&mut self.plain);
            if !self.choice.is_settled() && self.values > 0 {
                self.settle(&plain, trial)?;
            }
            encoding = if self.values == 0 { Encoding::Plain } else { self.choice.encoding() };
            encode(encoding, &plain, self.width, body)?;
            self.plain = plain;
            self.plain.clear();
        }
        self.indices.clear();
        if let Some(dictionary) = self.dictionary.as_mut().filter(|_| !self.is_open) {
            dictionary.freeze(self.dictionary_start.0);
            self.indices = Vec::new();
            self.seen = Vec::new();
        }
        (self.values, self.bytes) = (0, 0);
        Ok(Finished { encoding, statistics })
    }

    fn dictionary_page(&self, body: &mut Vec<u8>) -> usize {
        let Some(dictionary) = &self.dictionary else { return 0 };
        body.extend_from_slice(dictionary.page());
        dictionary.len()
    }

    fn page_bytes(&self) -> usize {
        let entries = self.dictionary.as_ref().map_or(0, Strings::len);
        let indices = bit_pack::packed_bytes(self.indices.len(), self.choice.index_width(entries));
        indices + self.choice.encoded_bytes(self.plain.len())
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
