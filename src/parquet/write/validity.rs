//! Which rows of the open page of a flat nullable column have a value: its definition levels, 0 or 1.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer};

use crate::parquet::encoding::rle;

/// Definition levels as bits; of a page without nulls only their number.
#[derive(Debug)]
pub(super) struct Validity {
    /// Rows before the first piece with nulls, all valid; not among the bits yet.
    valid: usize,
    bits: BooleanBufferBuilder,
}

impl Validity {
    pub fn new() -> Validity {
        Validity { valid: 0, bits: BooleanBufferBuilder::new(0) }
    }

    /// Appends rows that all have a value, or all have none.
    pub fn push_run(&mut self, is_valid: bool, count: usize) {
        if is_valid && self.bits.is_empty() {
            self.valid += count;
        } else {
            self.spread();
            self.bits.append_n(count, is_valid);
        }
    }

    /// Appends rows of which some have none.
    pub fn push(&mut self, nulls: &NullBuffer) {
        self.spread();
        self.bits.append_buffer(nulls.inner());
    }

    fn spread(&mut self) {
        self.bits.append_n(std::mem::take(&mut self.valid), true);
    }

    /// Appends the levels of the page, encoded; the next page begins.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.bits.is_empty() {
            rle::encode_run(1, std::mem::take(&mut self.valid), 1, out);
            return;
        }
        let bits = self.bits.finish();
        rle::encode_bits(bits.values(), bits.len(), out);
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.bits.capacity() / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut validity = Validity::new();
        for _page in 0..2 {
            let mut expected = vec![1u32; 13];
            validity.push_run(true, 13);
            let nulls = NullBuffer::from(vec![true, false, true, false, false]).slice(1, 4);
            validity.push(&nulls);
            expected.extend([0, 1, 0, 0]);
            validity.push_run(true, 100);
            validity.push_run(false, 50);
            expected.extend([1; 100].into_iter().chain([0; 50]));
            let mut bytes = Vec::new();
            validity.finish(&mut bytes);
            let mut back = vec![9; expected.len()];
            rle::Decoder::new(&bytes, 1).and_then(|mut d| d.read(&mut back)).expect("decodes");
            assert_eq!(back, expected);
        }
    }

    #[test]
    fn a_page_without_nulls_is_one_run() {
        let mut validity = Validity::new();
        validity.push_run(true, 60);
        validity.push_run(true, 40);
        let mut bytes = Vec::new();
        validity.finish(&mut bytes);
        assert_eq!(bytes, [0xC8, 0x01, 1]);
        assert_eq!(validity.memory_bytes(), 0);
    }
}
