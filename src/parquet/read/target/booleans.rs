//! Booleans: bits in the page, bits in the array.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use arrow_buffer::NullBuffer;
use arrow_buffer::builder::BooleanBufferBuilder;

use super::spread::words;
use super::{Layout, Target};
use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::encoding::rle::{self, Run};
use crate::parquet::format::Type;
use crate::parquet::read::page::{Coding, PageBytes, Values};

#[derive(Debug)]
struct Booleans {
    out: BooleanBufferBuilder,
    /// Values before they are spread.
    dense: BooleanBufferBuilder,
}

pub(super) fn new(leaf: &Leaf) -> Option<Box<dyn Target>> {
    (leaf.physical == Type::Boolean).then(|| {
        Box::new(Booleans { out: BooleanBufferBuilder::new(0), dense: BooleanBufferBuilder::new(0) }) as Box<dyn Target>
    })
}

impl Target for Booleans {
    fn set_dictionary(&mut self, _: &mut PageBytes, _: usize, _: bool) -> Result<()> {
        Err(Error::corrupt("a dictionary of booleans"))
    }

    fn read(&mut self, values: &mut Values, count: usize) -> Result<()> {
        append(values, count, &mut self.out)
    }

    fn read_spaced(&mut self, values: &mut Values, present: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        self.dense.truncate(0);
        append(values, present, &mut self.dense)?;
        let mut dense = words(&self.dense);
        let (mut waiting, mut waiting_bits) = (0u64, 0);
        for (mask, bits) in words(mask) {
            let mut spread = 0u64;
            let mut mask = mask;
            while mask != 0 {
                if waiting_bits == 0 {
                    (waiting, waiting_bits) = dense.next().unwrap_or((0, 64));
                }
                // The lowest set bit of the mask takes the next value.
                let lowest = mask & mask.wrapping_neg();
                spread |= lowest * (waiting & 1);
                mask ^= lowest;
                waiting >>= 1;
                waiting_bits -= 1;
            }
            self.out.append_packed_range(0..bits, &spread.to_le_bytes());
        }
        Ok(())
    }

    fn layout(&self) -> Layout {
        Layout::Bits
    }

    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
        Ok(Arc::new(BooleanArray::new(self.out.finish(), nulls)))
    }
}

/// Whether bits `at..at + count` are there.
pub(super) fn check(bytes: &[u8], at: usize, count: usize) -> Result<()> {
    let there = bytes.len().saturating_mul(8);
    if at.checked_add(count).is_none_or(|end| end > there) {
        return Err(Error::corrupt(format!("{count} booleans wanted, {} are left", there.saturating_sub(at))));
    }
    Ok(())
}

fn append(values: &mut Values, count: usize, out: &mut BooleanBufferBuilder) -> Result<()> {
    values.coding = match values.coding {
        Coding::Plain(at) => {
            check(values.bytes(), at, count)?;
            out.append_packed_range(at..at + count, values.bytes());
            Coding::Plain(at + count)
        }
        Coding::Rle(position) => {
            let mut decoder = rle::Decoder::resume(values.bytes(), 1, position)?;
            let mut left = count;
            while left > 0 {
                let run = decoder.run(left)?;
                left -= match run.ok_or_else(|| Error::corrupt(format!("the booleans end, {left} are missing")))? {
                    Run::Repeated { value, count } => {
                        out.append_n(count, value & 1 == 1);
                        count
                    }
                    Run::Packed { bytes, skip, count } => {
                        out.append_packed_range(skip..skip + count, bytes);
                        count
                    }
                };
            }
            Coding::Rle(decoder.position())
        }
        Coding::Dictionary(_) => return Err(super::no_dictionary()),
        Coding::Lengths(..) | Coding::Prefixes => return Err(super::not_lengths()),
        Coding::Split(_) | Coding::Deltas => return Err(super::not_numbers()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spread_over_more_than_a_word() {
        let bits: Vec<bool> = (0..200).map(|i| i % 3 == 0).collect();
        let is_there: Vec<bool> = (0..300).map(|i| i % 3 != 1).collect();
        let mut plain = BooleanBufferBuilder::new(0);
        plain.append_slice(&bits);
        let mut values = Values { bytes: PageBytes::Own(plain.as_slice().to_vec()), ..Values::default() };
        let mut mask = BooleanBufferBuilder::new(0);
        mask.append_slice(&is_there);
        let mut target = Booleans { out: BooleanBufferBuilder::new(0), dense: BooleanBufferBuilder::new(0) };
        target.read_spaced(&mut values, 200, &mask).expect("reads");
        let mut next = bits.iter();
        for (i, &there) in is_there.iter().enumerate() {
            let want = there && *next.next().expect("as many as bits");
            assert_eq!(target.out.get_bit(i), want, "{i}");
        }
        assert!(target.read(&mut values, 1).is_err(), "all are read");
    }
}
