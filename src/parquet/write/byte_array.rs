//! The open page of a column of byte strings, of any or of fixed length.

use std::ops::Range;

use arrow_buffer::NullBuffer;

use super::byte_page::{BytePage, Extremes, Values};
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
    /// Values that are no indices.
    plain: BytePage,
    /// Values in the page.
    values: usize,
    /// Their bytes, without lengths.
    bytes: u64,
    /// None: of any length.
    width: Option<usize>,
    choice: Choice,
    order: ValueOrder,
    is_utf8: bool,
    statistics: bool,
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
            plain: BytePage::default(),
            values: 0,
            bytes: 0,
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
            None if !self.is_open => self.push_run(source, rows, page_is_empty, limits),
            None => self.push_rows(source, rows.clone(), |_| true, rows, page_is_empty, limits),
            Some(nulls) if !self.is_open => {
                // Between nulls, at once.
                for (start, end) in nulls.slice(rows.start, rows.len()).valid_slices() {
                    let run = rows.start + start..rows.start + end;
                    let is_empty = page_is_empty && start == 0;
                    let (count, is_full) = self.push_run(source, run.clone(), is_empty, limits)?;
                    if is_full || count < run.len() {
                        return Ok((start + count, is_full));
                    }
                }
                Ok((rows.len(), false))
            }
            Some(nulls) => self.push_rows(source, rows.clone(), |row| nulls.is_valid(row), rows, page_is_empty, limits),
        }
    }

    /// How many of these values, from the first on, the open page has room for, and their own bytes.
    pub fn fit(&self, source: impl Source, values: Range<usize>, limits: &ChunkOptions) -> (usize, usize) {
        let taken = self.bytes as usize + self.values * LENGTH_BYTES;
        let room = limits.page_bytes.saturating_sub(taken).min(VALUE_BYTES_MAX);
        source.fit(values, room, LENGTH_BYTES)
    }

    /// Takes values, whatever room there is.
    pub fn push_values(&mut self, source: impl Source, values: Range<usize>, limits: &ChunkOptions) -> Result<()> {
        for i in values {
            let value = source.get(i);
            check_length(value)?;
            if !self.push_value(value, limits) {
                self.spill();
                self.plain.push(value);
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
            self.plain.push(dictionary.get(index));
        }
        self.dictionary = Some(dictionary);
    }

    /// Takes rows none of which is null, without the dictionary: at once.
    fn push_run(
        &mut self,
        source: impl Source,
        rows: Range<usize>,
        page_is_empty: bool,
        limits: &ChunkOptions,
    ) -> Result<(usize, bool)> {
        let (count, bytes) = self.fit(source, rows.clone(), limits);
        if count == 0 && page_is_empty && !rows.is_empty() {
            let one = rows.start..rows.start + 1;
            return self.push_rows(source, one.clone(), |_| true, one, true, limits);
        }
        self.plain.append(source, rows.start..rows.start + count);
        self.values += count;
        self.bytes += bytes as u64;
        Ok((count, count < rows.len()))
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
                    self.plain.push(value);
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
            _ => self.plain.push(value),
        }
        true
    }

    /// The bounds of the page, whose values stand in `plain` or, by the indices, in the dictionary.
    fn bounds(&mut self, bytes_max: usize) -> (Option<Bound>, Option<Bound>) {
        let (low, high) = if self.plain.is_empty() {
            let Some(dictionary) = &self.dictionary else { return (None, None) };
            let Some(&first) = self.indices.first() else { return (None, None) };
            self.page += 1;
            self.seen.resize(dictionary.len(), 0);
            let mut extremes = Extremes::of(dictionary.get(first), self.order);
            for &index in &self.indices {
                // Each entry once: a page repeats few of them often.
                let Some(seen) = self.seen.get_mut(index as usize).filter(|seen| **seen != self.page) else { continue };
                *seen = self.page;
                extremes.widen(dictionary.get(index));
            }
            (extremes.low.1, extremes.high.1)
        } else {
            let Some(extremes) = self.plain.values().extremes(self.order) else { return (None, None) };
            extremes
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
            let mut sample = BytePage::default();
            for &index in self.indices.iter().take(SAMPLE_VALUES) {
                if sample.bytes.len() >= SAMPLE_BYTES {
                    break;
                }
                sample.push(dictionary.get(index));
            }
            self.settle(&sample, trial)?;
            self.choice.weigh(new, &self.indices, dictionary.len(), trial)?;
        }
        let encoded = self.choice.encode_indices(&self.indices, dictionary.len());
        if self.values > 0 {
            let lengths = self.values * self.length_bytes();
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
            self.indices.iter().for_each(|&index| self.plain.push(dictionary.get(index)));
            self.is_open = false;
        }
        Ok(stays)
    }

    /// Of the encodings, the best for the first of these values.
    fn settle(&mut self, values: &BytePage, trial: &mut Trial<'_>) -> Result<()> {
        let sample = values.head(SAMPLE_VALUES, SAMPLE_BYTES, self.length_bytes());
        let bytes = sample.bytes().len() + sample.lengths.len() * self.length_bytes();
        self.choice.settle(bytes, trial, |encoding, out| encode(encoding, sample, self.width, out))
    }

    /// Bytes in PLAIN of the values that are no indices.
    fn plain_bytes(&self) -> usize {
        self.plain.bytes.len() + self.plain.lengths.len() * self.length_bytes()
    }

    /// Bytes before each value in PLAIN.
    fn length_bytes(&self) -> usize {
        if self.width.is_some() { 0 } else { LENGTH_BYTES }
    }
}

/// Appends values as they stand in a page.
fn encode(encoding: Encoding, values: Values<'_>, width: Option<usize>, out: &mut Vec<u8>) -> Result<()> {
    match encoding {
        Encoding::Plain if width.is_some() => out.extend_from_slice(values.bytes()),
        Encoding::Plain => plain::encode_joined(values.lengths, values.bytes(), out),
        Encoding::DeltaLengthByteArray => delta_length_byte_array::encode_joined(values.lengths, values.bytes(), out),
        Encoding::DeltaByteArray => delta_byte_array::encode_joined(values.lengths, values.bytes(), out),
        Encoding::ByteStreamSplit => byte_stream_split::encode(values.bytes(), width.unwrap_or(0), out),
        // Options are checked, so this is never seen.
        other => return Err(Error::invalid(format!("{other} is not for the column's values"))),
    }
    Ok(())
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
            encode(encoding, plain.values(), self.width, body)?;
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

    fn dictionary_page<'a>(&'a self, _: &'a mut Vec<u8>) -> (&'a [u8], usize) {
        self.dictionary.as_ref().map_or((&[], 0), |dictionary| (dictionary.page(), dictionary.len()))
    }

    fn page_bytes(&self) -> usize {
        let entries = self.dictionary.as_ref().map_or(0, Strings::len);
        let indices = bit_pack::packed_bytes(self.indices.len(), self.choice.index_width(entries));
        indices + self.choice.encoded_bytes(self.plain_bytes())
    }

    fn open_bytes(&self) -> usize {
        self.plain_bytes() + self.indices.len() * 2 + self.dictionary.as_ref().map_or(0, |d| d.page().len())
    }

    fn dictionary_bytes(&self) -> usize {
        self.dictionary.as_ref().filter(|_| self.is_open).map_or(0, Strings::memory_bytes)
    }

    fn memory_bytes(&self) -> usize {
        self.plain.memory_bytes()
            + (self.indices.capacity() + self.seen.capacity()) * 4
            + self.dictionary.as_ref().map_or(0, Strings::memory_bytes)
    }
}
