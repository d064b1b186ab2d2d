//! The open page of a column of booleans: PLAIN, which is Arrow's own layout.

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

use super::column_chunk::{Finished, Kernel};
use super::options::ChunkOptions;
use super::statistics::{Bound, PageStatistics};
use crate::parquet::format::Encoding;

/// The kernel of booleans.
#[derive(Debug)]
pub(super) struct Booleans {
    bits: BooleanBufferBuilder,
}

impl Booleans {
    pub fn new() -> Booleans {
        Booleans { bits: BooleanBufferBuilder::new(0) }
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

impl Kernel for Booleans {
    fn finish_page(&mut self, _: &ChunkOptions, body: &mut Vec<u8>) -> Finished {
        let bits = self.bits.finish();
        let mut statistics = PageStatistics { values: bits.len(), ..PageStatistics::default() };
        if !bits.is_empty() {
            let trues = bits.count_set_bits();
            statistics.min = Some(Bound::exact(vec![u8::from(trues == bits.len())]));
            statistics.max = Some(Bound::exact(vec![u8::from(trues > 0)]));
        }
        body.extend_from_slice(bits.values());
        Finished { encoding: Encoding::Plain, statistics }
    }

    fn dictionary_page(&self, _: &mut Vec<u8>) -> usize {
        0
    }

    fn open_bytes(&self) -> usize {
        self.bits.len() / 8
    }

    fn memory_bytes(&self) -> usize {
        self.bits.capacity() / 8
    }
}
