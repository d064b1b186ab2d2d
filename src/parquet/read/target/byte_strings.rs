//! Strings and binary values with offsets: their bytes stand back to back in the array.

use std::sync::Arc;

use arrow_array::{ArrayRef, GenericBinaryArray, GenericStringArray, OffsetSizeTrait};
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::spread::spread_ends;
use super::{Layout, Target, no_dictionary, not_boolean, not_numbers, not_picked, utf8};
use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::encoding::dictionary;
use crate::parquet::format::{Encoding, Type};
use crate::parquet::read::budget::Reservation;
use crate::parquet::read::page::{Coding, PageBytes, Values};

/// A string up to this long is copied as so many bytes, of which the rest is then cut off: a copy of a fixed
/// length is a few instructions, one of a variable length a call.
const SHORT_BYTES: usize = 32;

#[derive(Debug)]
struct ByteStrings<O> {
    is_utf8: bool,
    /// Where each string ends in `data`; the first entry is 0.
    ends: Vec<O>,
    data: Vec<u8>,
    /// Ends before they are spread.
    dense: Vec<O>,
    indices: Vec<u32>,
    dictionary: Option<Dictionary>,
    memory: Reservation,
}

/// The dictionary's strings back to back.
#[derive(Debug)]
struct Dictionary {
    /// Followed by [`SHORT_BYTES`] bytes of padding.
    data: Vec<u8>,
    /// One more than strings; the first is 0.
    ends: Vec<u32>,
}

pub(super) fn new(leaf: &Leaf, data_type: &DataType, memory: Reservation) -> Option<Box<dyn Target>> {
    if leaf.physical != Type::ByteArray {
        return None;
    }
    Some(match data_type {
        DataType::Utf8 => ByteStrings::<i32>::boxed(true, memory),
        DataType::Binary => ByteStrings::<i32>::boxed(false, memory),
        DataType::LargeUtf8 => ByteStrings::<i64>::boxed(true, memory),
        DataType::LargeBinary => ByteStrings::<i64>::boxed(false, memory),
        _ => return None,
    })
}

impl<O: OffsetSizeTrait + End> ByteStrings<O> {
    fn boxed(is_utf8: bool, memory: Reservation) -> Box<dyn Target> {
        Box::new(ByteStrings::<O> {
            is_utf8,
            ends: vec![O::zero()],
            data: Vec::new(),
            dense: Vec::new(),
            indices: Vec::new(),
            dictionary: None,
            memory,
        })
    }

    fn clear(&mut self) {
        self.ends.truncate(1);
        self.dense.clear();
        self.data.clear();
    }

    /// Appends `count` strings; their ends go to `ends`, which may be one of the own.
    fn append(&mut self, values: &mut Values, count: usize, into_dense: bool) -> Result<()> {
        let ends = if into_dense { &mut self.dense } else { &mut self.ends };
        ends.reserve(count);
        values.coding = match values.coding {
            Coding::Plain(at) => {
                let start = self.data.len();
                let first = ends.len();
                let taken = append_plain(values.bytes().get(at..).unwrap_or_default(), count, &mut self.data, ends)?;
                if self.data.len() > O::MAX_OFFSET {
                    return Err(too_long(O::MAX_OFFSET));
                }
                if self.is_utf8 {
                    let new = ends.get(first..).unwrap_or_default().iter().map(|e| e.as_usize() - start);
                    if let Err(e) = utf8::check(self.data.get(start..).unwrap_or_default(), new) {
                        self.clear();
                        return Err(e);
                    }
                }
                let dictionary = self.dictionary.as_ref().map_or(0, Dictionary::bytes);
                self.memory.resize(dictionary + self.data.len())?;
                Coding::Plain(at + taken)
            }
            Coding::Lengths(next, at) => {
                let lengths = super::lengths(values, next, count)?;
                let total: usize = lengths.iter().map(|&n| n as usize).sum();
                let bytes = values.bytes().get(at..).and_then(|rest| rest.get(..total));
                let bytes = bytes.ok_or_else(|| Error::corrupt("strings reach past the page").at_byte(at as u64))?;
                let start = self.data.len();
                if start.saturating_add(total) > O::MAX_OFFSET {
                    return Err(too_long(O::MAX_OFFSET));
                }
                if self.is_utf8 {
                    utf8::check(bytes, ends_of(lengths))?;
                }
                let dictionary = self.dictionary.as_ref().map_or(0, Dictionary::bytes);
                self.memory.resize(dictionary + start + total)?;
                self.data.extend_from_slice(bytes);
                ends.extend(ends_of(lengths).map(|end| <O as End>::of(start + end)));
                Coding::Lengths(next + count, at + total)
            }
            Coding::Dictionary(position) => {
                let dictionary = self.dictionary.as_ref().ok_or_else(no_dictionary)?;
                let mut decoder = dictionary::Decoder::resume(values.bytes(), position)?;
                self.indices.clear();
                decoder.read(dictionary.len(), count, &mut self.indices)?;
                // A short page of indices may stand for any number of long strings.
                let more = dictionary.bytes_of(&self.indices);
                let total = self.data.len().saturating_add(more);
                if total > O::MAX_OFFSET {
                    return Err(too_long(O::MAX_OFFSET));
                }
                self.memory.resize(total.saturating_add(dictionary.bytes()))?;
                self.data.reserve(more + SHORT_BYTES);
                dictionary.append(&self.indices, &mut self.data, ends);
                Coding::Dictionary(decoder.position())
            }
            Coding::Rle(_) => return Err(not_boolean()),
            Coding::Prefixes => return Err(not_picked()),
            Coding::Split(_) | Coding::Deltas => return Err(not_numbers()),
        };
        Ok(())
    }
}

impl<O: OffsetSizeTrait + End> Target for ByteStrings<O> {
    fn set_dictionary(&mut self, bytes: &mut PageBytes, count: usize, _: bool) -> Result<()> {
        // A string takes four bytes at least.
        let count_max = count.min(bytes.len() / 4);
        self.memory.resize(self.data.len() + bytes.len() + SHORT_BYTES + count_max * size_of::<u32>())?;
        let mut dictionary =
            Dictionary { data: Vec::with_capacity(bytes.len()), ends: Vec::with_capacity(count_max + 1) };
        dictionary.ends.push(0);
        append_plain(bytes, count, &mut dictionary.data, &mut dictionary.ends)?;
        if self.is_utf8 {
            utf8::check(&dictionary.data, dictionary.ends.iter().map(|&e| e as usize))?;
        }
        dictionary.data.extend_from_slice(&[0; SHORT_BYTES]);
        self.dictionary = Some(dictionary);
        Ok(())
    }

    fn clear_dictionary(&mut self) -> PageBytes {
        self.dictionary = None;
        PageBytes::default()
    }

    fn read(&mut self, values: &mut Values, count: usize) -> Result<()> {
        self.append(values, count, false)
    }

    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.dense.clear();
        let last = self.ends.last().copied().unwrap_or_default();
        self.append(values, present, true)?;
        spread_ends(&self.dense, mask, last, &mut self.ends);
        Ok(())
    }

    fn layout(&self) -> Layout {
        Layout::Variable
    }

    fn takes(&self) -> &'static [Encoding] {
        &[Encoding::DeltaLengthByteArray, Encoding::DeltaByteArray]
    }

    #[expect(unsafe_code, reason = "the strings were checked page by page, a tenth of reading them is spared")]
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        // The next batch is likely as long.
        let mut next_ends = Vec::with_capacity(self.ends.len());
        next_ends.push(O::zero());
        let ends = std::mem::replace(&mut self.ends, next_ends);
        let next_data = Vec::with_capacity(self.data.len() + self.data.len() / 16 + SHORT_BYTES);
        let data = std::mem::replace(&mut self.data, next_data);
        self.memory.resize(self.dictionary.as_ref().map_or(0, Dictionary::bytes))?;
        if nulls.as_ref().is_some_and(|n| n.len() + 1 != ends.len())
            || ends.last().is_some_and(|e| e.as_usize() > data.len())
        {
            return Err(Error::corrupt("strings and their validity differ in number"));
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        let data = Buffer::from_vec(data);
        Ok(if self.is_utf8 {
            // SAFETY: `append` has checked each string, or has taken all back, and the bytes between two ends are one string
            // or none; the offsets ascend (`OffsetBuffer::new` looks at each), the last is within `data`, and there are
            // as many slots as bits of validity.
            Arc::new(unsafe { GenericStringArray::<O>::new_unchecked(offsets, data, nulls) })
        } else {
            Arc::new(GenericBinaryArray::<O>::try_new(offsets, data, nulls)?)
        })
    }
}

impl Dictionary {
    fn len(&self) -> usize {
        self.ends.len().saturating_sub(1)
    }

    fn bytes(&self) -> usize {
        self.data.len() + self.ends.len() * size_of::<u32>()
    }

    /// What the strings at `indices`, which are all in the dictionary, take together.
    fn bytes_of(&self, indices: &[u32]) -> usize {
        indices.iter().map(|&i| self.span(i)).map(|(start, end)| end - start).sum()
    }

    fn append<O: OffsetSizeTrait>(&self, indices: &[u32], data: &mut Vec<u8>, ends: &mut Vec<O>) {
        ends.extend(indices.iter().map(|&index| {
            let (start, end) = self.span(index);
            let length = end - start;
            let new_length = data.len() + length;
            match self.data.get(start..).and_then(|rest| rest.first_chunk::<SHORT_BYTES>()) {
                Some(chunk) if length <= SHORT_BYTES => {
                    data.extend_from_slice(chunk);
                    data.truncate(new_length);
                }
                _ => data.extend_from_slice(self.data.get(start..end).unwrap_or_default()),
            }
            O::usize_as(new_length)
        }));
    }

    #[inline]
    fn span(&self, index: u32) -> (usize, usize) {
        let at = index as usize;
        match self.ends.get(at..at + 2) {
            Some(&[start, end]) => (start as usize, end as usize),
            _ => (0, 0),
        }
    }
}

/// Appends `count` strings from the start of `bytes`; the bytes that they took.
fn append_plain<E: End>(bytes: &[u8], count: usize, data: &mut Vec<u8>, ends: &mut Vec<E>) -> Result<usize> {
    let mut rest = bytes;
    // A string takes four bytes at least.
    ends.reserve(count.min(bytes.len() / 4));
    for _ in 0..count {
        let (length, behind) = rest.split_first_chunk().ok_or_else(|| cut_short(bytes, rest))?;
        let length = u32::from_le_bytes(*length) as usize;
        let (string, next) = behind.split_at_checked(length).ok_or_else(|| cut_short(bytes, rest))?;
        let new_length = data.len() + length;
        match behind.first_chunk::<SHORT_BYTES>() {
            Some(chunk) if length <= SHORT_BYTES => {
                data.extend_from_slice(chunk);
                data.truncate(new_length);
            }
            _ => data.extend_from_slice(string),
        }
        ends.push(E::of(new_length));
        rest = next;
    }
    Ok(bytes.len() - rest.len())
}

/// Where values of these lengths end that stand back to back.
pub(super) fn ends_of(lengths: &[i32]) -> impl Iterator<Item = usize> + '_ {
    lengths.iter().scan(0, |end, &length| {
        *end += length as usize;
        Some(*end)
    })
}

#[cold]
fn cut_short(bytes: &[u8], rest: &[u8]) -> Error {
    let at = (bytes.len() - rest.len()) as u64;
    Error::corrupt(format!("a string reaches past the page, of which {} bytes are left", rest.len())).at_byte(at)
}

/// An offset into bytes; its range is checked by whoever knows it.
trait End {
    fn of(end: usize) -> Self;
}

impl End for u32 {
    fn of(end: usize) -> u32 {
        // A page is shorter than 2 GiB.
        end as u32
    }
}

impl End for i32 {
    fn of(end: usize) -> i32 {
        end as i32
    }
}

impl End for i64 {
    fn of(end: usize) -> i64 {
        end as i64
    }
}

#[cold]
fn too_long(bytes_max: usize) -> Error {
    Error::limit(format!("the strings of one batch take more than {bytes_max} bytes: lower batch_rows"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::encoding::plain::encode_byte_array;

    #[test]
    fn strings_of_all_lengths_are_copied_exactly() {
        let strings: Vec<Vec<u8>> = (0..60usize).map(|n| (0..n as u8).collect()).collect();
        let mut bytes = Vec::new();
        strings.iter().for_each(|s| encode_byte_array(s, &mut bytes));
        let (mut data, mut ends) = (Vec::new(), vec![0u32]);
        assert_eq!(append_plain(&bytes, 60, &mut data, &mut ends).expect("reads"), bytes.len());
        assert_eq!(data, strings.concat());
        data.extend([0; SHORT_BYTES]);
        let dictionary = Dictionary { data, ends };
        let (mut got, mut got_ends) = (Vec::new(), Vec::<i64>::new());
        dictionary.append(&[59, 0, 32, 33, 1], &mut got, &mut got_ends);
        assert_eq!(got_ends, [59, 59, 91, 124, 125]);
        assert_eq!(got[59..91], strings[32][..]);
        assert_eq!(dictionary.bytes_of(&[59, 0, 32, 33, 1]), 125);
        assert!(append_plain(&bytes, 61, &mut Vec::new(), &mut Vec::<u32>::new()).is_err());
    }
}
