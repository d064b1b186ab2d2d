//! Byte strings of one width.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray};
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType;

use super::spread::words;
use super::{Layout, Target, no_dictionary, not_boolean, not_lengths, not_numbers};
use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::encoding::{dictionary, plain};
use crate::parquet::format::Type;
use crate::parquet::read::budget::Reservation;
use crate::parquet::read::page::{Coding, PageBytes, Values};
use crate::parquet::read::spare::Filling;

#[derive(Debug)]
struct FixedBytes {
    width: usize,
    size: i32,
    out: Filling<u8>,
    /// Slots in `out`.
    len: usize,
    /// Values before they are spread.
    dense: Vec<u8>,
    indices: Vec<u32>,
    dictionary: Option<PageBytes>,
    dictionary_len: usize,
    memory: Reservation,
    dictionary_memory: usize,
}

pub(super) fn new(leaf: &Leaf, data_type: &DataType, memory: Reservation) -> Option<Box<dyn Target>> {
    let &DataType::FixedSizeBinary(size) = data_type else { return None };
    let width = usize::try_from(size).ok().filter(|&w| w > 0 && w == leaf.type_length)?;
    (leaf.physical == Type::FixedLenByteArray).then(|| {
        Box::new(FixedBytes {
            width,
            size,
            out: Filling::default(),
            len: 0,
            dense: Vec::new(),
            indices: Vec::new(),
            dictionary: None,
            dictionary_len: 0,
            memory,
            dictionary_memory: 0,
        }) as Box<dyn Target>
    })
}

impl Target for FixedBytes {
    fn set_dictionary(&mut self, bytes: &mut PageBytes, count: usize, _: bool) -> Result<()> {
        plain::split(bytes, count, self.width)?;
        self.dictionary_memory = bytes.len();
        self.take_memory(0)?;
        self.dictionary = Some(std::mem::take(bytes));
        self.dictionary_len = count;
        Ok(())
    }

    fn clear_dictionary(&mut self) -> PageBytes {
        self.dictionary = None;
        // The reservation shrinks when the next values are taken.
        self.dictionary_memory = 0;
        PageBytes::default()
    }

    fn read(&mut self, values: &mut Values, count: usize) -> Result<()> {
        self.take_memory(count)?;
        self.len += count;
        let dictionary = self.dictionary.as_deref().map(|d| (d, self.dictionary_len));
        append(values, count, self.width, dictionary, &mut self.indices, self.out.values())
    }

    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.take_memory(mask.len())?;
        self.dense.clear();
        let dictionary = self.dictionary.as_deref().map(|d| (d, self.dictionary_len));
        append(values, present, self.width, dictionary, &mut self.indices, &mut self.dense)?;
        spread(&self.dense, self.width, mask, self.out.values());
        self.len += mask.len();
        Ok(())
    }

    fn layout(&self) -> Layout {
        Layout::Fixed(self.width)
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        self.len = 0;
        let array = FixedSizeBinaryArray::try_new(self.size, Buffer::from(self.out.take()), nulls)?;
        if self.width > FORESEEN_WIDTH_MAX {
            self.out.foresee_nothing();
        }
        self.take_memory(0)?;
        Ok(Arc::new(array))
    }
}

impl FixedBytes {
    /// Before `more` slots are added.
    fn take_memory(&mut self, more: usize) -> Result<()> {
        let slots = self.len.saturating_add(more).saturating_mul(self.width);
        self.memory.resize(self.dictionary_memory.saturating_add(slots).saturating_add(self.out.waiting()))
    }
}

fn append(
    values: &mut Values,
    count: usize,
    width: usize,
    dictionary: Option<(&[u8], usize)>,
    indices: &mut Vec<u32>,
    out: &mut Vec<u8>,
) -> Result<()> {
    values.coding = match values.coding {
        Coding::Plain(at) => {
            let (taken, _) = plain::split(values.bytes().get(at..).unwrap_or_default(), count, width)?;
            out.extend_from_slice(taken);
            Coding::Plain(at + taken.len())
        }
        Coding::Dictionary(position) => {
            let (dictionary, dictionary_len) = dictionary.ok_or_else(no_dictionary)?;
            let mut decoder = dictionary::Decoder::resume(values.bytes(), position)?;
            indices.clear();
            decoder.read(dictionary_len, count, indices)?;
            gather(dictionary, width, indices, out)?;
            Coding::Dictionary(decoder.position())
        }
        Coding::Rle(_) => return Err(not_boolean()),
        Coding::Lengths(..) | Coding::Prefixes => return Err(not_lengths()),
        Coding::Split(_) | Coding::Deltas => return Err(not_numbers()),
    };
    Ok(())
}

/// Of wider values, an array's room is not made as large as that of the one before: rows that do not come might take gigabytes.
const FORESEEN_WIDTH_MAX: usize = 64;

/// Appends the entries of these numbers.
fn gather(dictionary: &[u8], width: usize, indices: &[u32], out: &mut Vec<u8>) -> Result<()> {
    out.reserve(indices.len() * width);
    // A copy of so many bytes as the compiler knows is a few instructions, one of others a call.
    match width {
        12 => gather_of(dictionary, 12, indices, out),
        16 => gather_of(dictionary, 16, indices, out),
        20 => gather_of(dictionary, 20, indices, out),
        32 => gather_of(dictionary, 32, indices, out),
        _ => gather_of(dictionary, width, indices, out),
    }
}

#[inline(always)]
fn gather_of(dictionary: &[u8], width: usize, indices: &[u32], out: &mut Vec<u8>) -> Result<()> {
    for &index in indices {
        let at = index as usize * width;
        let value = dictionary.get(at..at + width);
        out.extend_from_slice(value.ok_or_else(|| Error::corrupt("an index beyond the dictionary"))?);
    }
    Ok(())
}

/// Appends `dense` values where `mask` is set, zeros where it is not.
fn spread(dense: &[u8], width: usize, mask: &BooleanBufferBuilder, out: &mut Vec<u8>) {
    out.reserve(mask.len() * width);
    match width {
        12 => spread_of(dense, 12, mask, out),
        16 => spread_of(dense, 16, mask, out),
        20 => spread_of(dense, 20, mask, out),
        32 => spread_of(dense, 32, mask, out),
        _ => spread_of(dense, width, mask, out),
    }
}

#[inline(always)]
fn spread_of(dense: &[u8], width: usize, mask: &BooleanBufferBuilder, out: &mut Vec<u8>) {
    let mut dense = dense.chunks_exact(width);
    for (mut word, bits) in words(mask) {
        for _ in 0..bits {
            let value = if word & 1 == 1 { dense.next() } else { None };
            match value {
                Some(value) => out.extend_from_slice(value),
                None => out.resize(out.len() + width, 0),
            }
            word >>= 1;
        }
    }
}
