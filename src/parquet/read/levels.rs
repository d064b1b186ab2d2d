//! Definition levels of a flat column: they are its validity bitmap.
//!
//! Spec: Encodings.md, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)" and "Bit-packed (Deprecated)
//! (BIT_PACKED = 4)"; README.md, "Definition levels".
//!
//! Of a flat column the greatest level is 1 (a value is there) or there are no levels at all. Runs become
//! fills of bits, bit-packed groups are copied as bits.

use arrow_buffer::NullBuffer;
use arrow_buffer::bit_chunk_iterator::UnalignedBitChunk;
use arrow_buffer::builder::BooleanBufferBuilder;

use crate::error::{Error, Result};
use crate::parquet::encoding::rle::{self, Run};

/// The levels of one page, from where the last read ended.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// A copy: at most a bit per row, which outlives whatever buffer the page came in.
    bytes: Vec<u8>,
    form: Form,
}

#[derive(Debug, Clone, Copy, Default)]
enum Form {
    /// No levels: every value is there.
    #[default]
    AllPresent,
    Rle(rle::Position),
    /// One bit a row, from this bit on.
    Bits(usize),
}

impl Levels {
    /// Every value is there.
    pub(super) fn set_all_present(&mut self) {
        self.form = Form::AllPresent;
    }

    /// Levels in the RLE / bit-packing hybrid of width 1.
    pub(super) fn set_rle(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.form = Form::Rle(rle::Position::default());
    }

    /// Levels in the deprecated bit-packing of width 1, from the most significant bit down.
    pub(super) fn set_bit_packed(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend(bytes.iter().map(|b| b.reverse_bits()));
        self.form = Form::Bits(0);
    }

    /// The next `count` rows: how many have values, and (unless all do) which, in `mask`.
    pub(super) fn read(&mut self, count: usize, mask: &mut BooleanBufferBuilder) -> Result<usize> {
        mask.truncate(0);
        if let Form::Rle(position) = self.form {
            // A page without nulls is one run.
            let mut decoder = rle::Decoder::resume(&self.bytes, 1, position)?;
            if let Some(Run::Repeated { value: 1, count: n }) = decoder.run(count)?
                && n == count
            {
                self.form = Form::Rle(decoder.position());
                return Ok(count);
            }
        }
        self.runs(count, |run| match run {
            Run::Repeated { value, count } => mask.append_n(count, value == 1),
            Run::Packed { bytes, skip, count } => mask.append_packed_range(skip..skip + count, bytes),
        })
    }

    /// Passes over `count` rows: how many have values.
    pub(super) fn skip(&mut self, count: usize) -> Result<usize> {
        self.runs(count, |_| {})
    }

    /// How many of the next `count` rows have values.
    pub(super) fn present(&self, count: usize) -> Result<usize> {
        self.form_after(count, |_| {}).map(|(present, _)| present)
    }

    fn runs(&mut self, count: usize, each: impl FnMut(Run<'_>)) -> Result<usize> {
        let (present, form) = self.form_after(count, each)?;
        self.form = form;
        Ok(present)
    }

    fn form_after(&self, count: usize, mut each: impl FnMut(Run<'_>)) -> Result<(usize, Form)> {
        match self.form {
            Form::AllPresent => Ok((count, Form::AllPresent)),
            Form::Rle(position) => {
                let mut decoder = rle::Decoder::resume(&self.bytes, 1, position)?;
                let (mut left, mut present) = (count, 0);
                while left > 0 {
                    let run = decoder.run(left)?.ok_or_else(|| missing(left))?;
                    let n = match run {
                        Run::Repeated { value: value @ 2.., .. } => {
                            return Err(Error::corrupt(format!("a definition level of {value}, 1 is the greatest")));
                        }
                        Run::Repeated { value, count } => {
                            present += value as usize * count;
                            count
                        }
                        Run::Packed { bytes, skip, count } => {
                            present += UnalignedBitChunk::new(bytes, skip, count).count_ones();
                            count
                        }
                    };
                    each(run);
                    left -= n;
                }
                Ok((present, Form::Rle(decoder.position())))
            }
            Form::Bits(at) => {
                if at + count > self.bytes.len() * 8 {
                    return Err(missing(at + count - self.bytes.len() * 8));
                }
                each(Run::Packed { bytes: &self.bytes, skip: at, count });
                let present = UnalignedBitChunk::new(&self.bytes, at, count).count_ones();
                Ok((present, Form::Bits(at + count)))
            }
        }
    }
}

#[cold]
fn missing(rows: usize) -> Error {
    Error::corrupt(format!("the definition levels end, those of {rows} rows are missing"))
}

/// The validity bitmap of the batch that is being filled; no bits before the first null.
#[derive(Debug, Default)]
pub(super) struct Validity {
    bits: Option<BooleanBufferBuilder>,
    len: usize,
}

impl Validity {
    pub(super) fn push_present(&mut self, count: usize) {
        self.len += count;
        if let Some(bits) = &mut self.bits {
            bits.append_n(count, true);
        }
    }

    pub(super) fn push_mask(&mut self, mask: &BooleanBufferBuilder) {
        let bits = self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(self.len + mask.len());
            bits.append_n(self.len, true);
            bits
        });
        bits.append_packed_range(0..mask.len(), mask.as_slice());
        self.len += mask.len();
    }

    /// The bitmap; none where there is no null. Empty again.
    pub(super) fn finish(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        self.bits.take().map(|mut bits| NullBuffer::new(bits.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(mask: &BooleanBufferBuilder) -> Vec<bool> {
        (0..mask.len()).map(|i| mask.get_bit(i)).collect()
    }

    #[test]
    fn runs_and_groups_become_bits() {
        let mut want = vec![true; 50];
        want.extend([true, false, true, true, false, false, true, false, true]);
        want.extend([false; 30]);
        let mut encoder = rle::Encoder::new(1);
        want.iter().for_each(|&w| encoder.push(u32::from(w)));
        let mut levels = Levels::default();
        levels.set_rle(&encoder.finish());
        let mut mask = BooleanBufferBuilder::new(0);
        assert_eq!(levels.read(40, &mut mask).expect("reads"), 40);
        assert!(mask.is_empty(), "no bits are needed where all are there");
        assert_eq!(levels.skip(5).expect("skips"), 5);
        assert_eq!(levels.read(20, &mut mask).expect("reads"), want[45..65].iter().filter(|&&b| b).count());
        assert_eq!(bits(&mask), want[45..65]);
        assert_eq!(levels.skip(24).expect("skips"), 0);
        let e = levels.read(10, &mut mask).expect_err("the last group's padding and no more");
        assert!(e.to_string().contains("definition levels end"), "{e}");
    }

    #[test]
    fn the_deprecated_packing_starts_at_the_highest_bit() {
        let mut levels = Levels::default();
        levels.set_bit_packed(&[0b1010_0000, 0b0100_0000]);
        let mut mask = BooleanBufferBuilder::new(0);
        assert_eq!(levels.read(3, &mut mask).expect("reads"), 2);
        assert_eq!(bits(&mask), [true, false, true]);
        assert_eq!(levels.read(7, &mut mask).expect("reads"), 1);
        assert_eq!(bits(&mask), [false, false, false, false, false, false, true]);
        assert!(levels.read(7, &mut mask).is_err());
    }

    #[test]
    fn a_level_beyond_the_greatest_is_corrupt() {
        let mut levels = Levels::default();
        levels.set_rle(&[20, 2]);
        assert!(levels.skip(10).is_err());
    }

    #[test]
    fn validity_has_no_bits_before_the_first_null() {
        let mut validity = Validity::default();
        validity.push_present(10);
        assert!(validity.finish().is_none());
        validity.push_present(3);
        let mut mask = BooleanBufferBuilder::new(0);
        mask.append_slice(&[false, true]);
        validity.push_mask(&mask);
        validity.push_present(1);
        let nulls = validity.finish().expect("a null");
        assert_eq!(nulls.iter().collect::<Vec<_>>(), [true, true, true, false, true, true]);
    }
}
