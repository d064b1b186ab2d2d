//! Repetition and definition levels of a column below lists or structs.
//!
//! Spec: Encodings.md, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)" and "Bit-packed (Deprecated)
//! (BIT_PACKED = 4)"; README.md, "Nested Encoding".

use crate::error::{Error, Result};
use crate::parquet::encoding::rle;

/// Levels that are decoded at a time.
const CHUNK: usize = 1024;

/// Both kinds of levels of one page, from where the last read ended.
#[derive(Debug, Default)]
pub(super) struct NestedLevels {
    pub rep: LevelStream,
    pub def: LevelStream,
}

/// One kind.
#[derive(Debug, Default)]
pub(super) struct LevelStream {
    /// A copy, which outlives whatever buffer the page came in.
    bytes: Vec<u8>,
    max: u16,
    form: Form,
}

#[derive(Debug, Clone, Copy, Default)]
enum Form {
    /// The column has no such levels: all are 0.
    #[default]
    Zero,
    Rle(rle::Position),
    /// The deprecated packing, from the most significant bit down; from this bit on.
    Packed(usize),
}

impl LevelStream {
    /// All levels are 0.
    pub(super) fn set_zero(&mut self) {
        self.form = Form::Zero;
    }

    /// Levels of at most `max` in the RLE / bit-packing hybrid.
    pub(super) fn set_rle(&mut self, bytes: &[u8], max: u16) {
        self.set(bytes, max, Form::Rle(rle::Position::default()));
    }

    /// Levels of at most `max` in the deprecated packing.
    pub(super) fn set_bit_packed(&mut self, bytes: &[u8], max: u16) {
        self.set(bytes, max, Form::Packed(0));
    }

    fn set(&mut self, bytes: &[u8], max: u16, form: Form) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        (self.max, self.form) = (max, form);
    }

    /// Whether no bytes are left. Those of another width would hardly end where the levels do.
    pub(super) fn is_used_up(&self) -> bool {
        match self.form {
            Form::Zero => true,
            Form::Rle(position) => position.bytes() == self.bytes.len(),
            Form::Packed(bit) => bit.div_ceil(8) == self.bytes.len(),
        }
    }

    /// Appends the next `count` levels.
    pub(super) fn read(&mut self, count: usize, out: &mut Vec<u16>) -> Result<()> {
        let start = out.len();
        match &mut self.form {
            Form::Zero => out.resize(start + count, 0),
            Form::Rle(position) => {
                let mut decoder = rle::Decoder::resume(&self.bytes, width(self.max), *position)?;
                let mut levels = [0u32; CHUNK];
                let mut left = count;
                while left > 0 {
                    let levels = levels.get_mut(..left.min(CHUNK)).unwrap_or_default();
                    // The width may hold more than the greatest level.
                    let greatest = decoder.read(levels)?;
                    if greatest > u32::from(self.max) {
                        return Err(beyond(greatest, self.max));
                    }
                    out.extend(levels.iter().map(|&l| l as u16));
                    left -= levels.len();
                }
                *position = decoder.position();
            }
            Form::Packed(bit) => {
                let width = width(self.max) as usize;
                if bit.saturating_add(count * width) > self.bytes.len() * 8 {
                    return Err(Error::corrupt(format!("the levels end, those of {count} entries are missing")));
                }
                for _ in 0..count {
                    let level = (*bit..*bit + width).fold(0u16, |level, at| {
                        let byte = self.bytes.get(at / 8).copied().unwrap_or(0);
                        level << 1 | u16::from(byte >> (7 - at % 8) & 1)
                    });
                    if level > self.max {
                        return Err(beyond(u32::from(level), self.max));
                    }
                    out.push(level);
                    *bit += width;
                }
            }
        }
        Ok(())
    }
}

#[cold]
fn beyond(level: u32, max: u16) -> Error {
    Error::corrupt(format!("a level of {level}, {max} is the greatest"))
}

/// Bits of a level.
pub(super) fn width(max: u16) -> u32 {
    rle::width_of(u32::from(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_back_piece_by_piece() {
        let want: Vec<u16> = (0..5000).map(|i| if i < 1500 { 2 } else { i * 7 % 6 }).collect();
        let mut encoder = rle::Encoder::new(width(5));
        want.iter().for_each(|&l| encoder.push(u32::from(l)));
        let mut stream = LevelStream::default();
        stream.set_rle(&encoder.finish(), 5);
        let mut got = Vec::new();
        for count in [1, 1499, 3, 2500, 997] {
            stream.read(count, &mut got).expect("reads");
        }
        assert_eq!(got, want);
        assert!(stream.read(9, &mut got).is_err(), "the last group's padding and no more");
    }

    #[test]
    fn the_deprecated_packing_is_read_from_the_highest_bit() {
        // Encodings.md: 0 to 7 of width 3 are 00000101 00111001 01110111.
        let mut stream = LevelStream::default();
        stream.set_bit_packed(&[0b0000_0101, 0b0011_1001, 0b0111_0111], 7);
        let mut got = Vec::new();
        stream.read(3, &mut got).expect("reads");
        stream.read(5, &mut got).expect("reads");
        assert_eq!(got, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(stream.read(1, &mut got).is_err());
    }

    #[test]
    fn a_level_beyond_the_greatest_is_corrupt() {
        let mut stream = LevelStream::default();
        stream.set_rle(&[20, 3], 2);
        assert_eq!(stream.read(5, &mut Vec::new()).expect_err("3").to_string(), "a level of 3, 2 is the greatest");
    }
}
