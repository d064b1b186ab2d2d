//! The open page of a column of booleans: PLAIN, which is Arrow's own layout, or runs.

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

use super::choose::{Choice, SAMPLE_BYTES, Trial};
use super::kernel::{Finished, Kernel, put_levels};
use super::options::ChunkOptions;
use super::statistics::{Bound, PageStatistics};
use crate::error::Result;
use crate::parquet::encoding::rle;
use crate::parquet::format::{Encoding, Type};

/// The kernel of booleans.
#[derive(Debug)]
pub(super) struct Booleans {
    bits: BooleanBufferBuilder,
    choice: Choice,
}

impl Booleans {
    pub fn new(options: &ChunkOptions) -> Booleans {
        Booleans { bits: BooleanBufferBuilder::new(0), choice: Choice::new(Type::Boolean, options) }
    }

    /// How many values the page may take yet.
    pub fn room(&self, limits: &ChunkOptions) -> usize {
        limits.page_bytes.saturating_mul(8).saturating_sub(self.bits.len()).max(1)
    }

    /// Takes values into the page; true when it must close.
    pub fn push(&mut self, values: &BooleanBuffer, limits: &ChunkOptions) -> bool {
        self.bits.append_buffer(values);
        self.bits.len() / 8 >= limits.page_bytes
    }
}

/// Appends the first `count` of `bits` as they stand in a page.
fn encode(encoding: Encoding, bits: &[u8], count: usize, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Rle => put_levels(out, |out| rle::encode_bits(bits, count, out)),
        _ => out.extend_from_slice(bits.get(..count.div_ceil(8)).unwrap_or(bits)),
    }
}

impl Kernel for Booleans {
    fn finish_page(&mut self, _: &ChunkOptions, body: &mut Vec<u8>, trial: &mut Trial<'_>) -> Result<Finished> {
        let bits = self.bits.finish();
        let mut statistics = PageStatistics { values: bits.len(), ..PageStatistics::default() };
        if !bits.is_empty() {
            let trues = bits.count_set_bits();
            statistics.min = Some(Bound::exact(vec![u8::from(trues == bits.len())]));
            statistics.max = Some(Bound::exact(vec![u8::from(trues > 0)]));
        }
        if !self.choice.is_settled() && !bits.is_empty() {
            let count = bits.len().min(SAMPLE_BYTES * 8);
            let encode = |encoding, out: &mut Vec<u8>| {
                encode(encoding, bits.values(), count, out);
                Ok(())
            };
            self.choice.settle(count.div_ceil(8), trial, encode)?;
        }
        let encoding = if bits.is_empty() { Encoding::Plain } else { self.choice.encoding() };
        encode(encoding, bits.values(), bits.len(), body);
        Ok(Finished { encoding, statistics })
    }

    fn dictionary_page<'a>(&'a self, _: &'a mut Vec<u8>) -> (&'a [u8], usize) {
        (&[], 0)
    }

    fn page_bytes(&self) -> usize {
        self.choice.encoded_bytes(self.bits.len() / 8)
    }

    fn open_bytes(&self) -> usize {
        self.bits.len() / 8
    }

    fn memory_bytes(&self) -> usize {
        self.bits.capacity() / 8
    }
}
