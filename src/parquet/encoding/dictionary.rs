//! RLE_DICTIONARY (and its old name PLAIN_DICTIONARY): indices into the dictionary page's values.
//!
//! Spec: Encodings.md, "Dictionary Encoding (PLAIN_DICTIONARY = 2 and RLE_DICTIONARY = 8)".
//!
//! ```text
//! width (1 byte) | indices in the RLE / bit-packing hybrid
//! ```

use super::bit_pack;
use super::gather;
use super::rle::{self, Position, Run, width_of};
use crate::error::{Error, Result};

/// Indices that are unpacked at a time: they stay in the nearest cache.
const CHUNK: usize = 1024;
/// The same of a read of a few, which costs less than to make room for more.
const CHUNK_OF_FEW: usize = 64;

/// Bits that hold every index into a dictionary of `dictionary_len` values.
pub fn width(dictionary_len: usize) -> u32 {
    width_of(u32::try_from(dictionary_len.saturating_sub(1)).unwrap_or(u32::MAX))
}

/// The data page's values for `indices` of at most `width` bits each.
pub fn encode(indices: &[u32], width: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(bit_pack::packed_bytes(indices.len(), width) + 64);
    out.push(width as u8);
    rle::encode(indices, width, &mut out);
    out
}

/// Decodes the indices of one data page.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    indices: rle::Decoder<'a>,
}

impl<'a> Decoder<'a> {
    /// From a page's values. A page without values may be without the width, too.
    pub fn new(bytes: &'a [u8]) -> Result<Decoder<'a>> {
        Decoder::resume(bytes, Position::default())
    }

    /// A decoder of the same bytes as the one that gave `position`, which goes on from there.
    pub fn resume(bytes: &'a [u8], position: Position) -> Result<Decoder<'a>> {
        let (&width, rest) = bytes.split_first().unwrap_or((&0, &[]));
        Ok(Decoder { indices: rle::Decoder::resume(rest, u32::from(width), position)? })
    }

    /// Where it stands; see [`resume`](Self::resume).
    pub fn position(&self) -> Position {
        self.indices.position()
    }

    /// Appends `count` values of `dictionary`, by index; an index beyond it is corrupt.
    pub fn gather<T: Copy + Default>(&mut self, dictionary: &[T], count: usize, out: &mut Vec<T>) -> Result<()> {
        match count {
            ..=CHUNK_OF_FEW => self.gather_by(&mut [0; CHUNK_OF_FEW], dictionary, count, out),
            _ => self.gather_by(&mut [0; CHUNK], dictionary, count, out),
        }
    }

    /// The same, with `chunk` for indices.
    fn gather_by<T: Copy + Default>(
        &mut self,
        chunk: &mut [u32],
        dictionary: &[T],
        count: usize,
        out: &mut Vec<T>,
    ) -> Result<()> {
        let mut left = count;
        out.reserve(count);
        while left > 0 {
            match self.next_run(left)? {
                Run::Repeated { value, count } => {
                    let value = *dictionary.get(value as usize).ok_or_else(|| beyond(value, dictionary.len()))?;
                    out.extend(std::iter::repeat_n(value, count));
                    left -= count;
                }
                Run::Packed { bytes, mut skip, count } => {
                    let mut packed = count;
                    while packed > 0 {
                        let n = packed.min(chunk.len());
                        let indices = chunk.get_mut(..n).unwrap_or_default();
                        bit_pack::unpack(bytes, self.indices.width(), skip, indices);
                        gather::append(dictionary, indices, out).map_err(|max| beyond(max, dictionary.len()))?;
                        skip += n;
                        packed -= n;
                    }
                    left -= count;
                }
            }
        }
        Ok(())
    }

    /// Appends `count` indices, each below `dictionary_len`.
    pub fn read(&mut self, dictionary_len: usize, count: usize, out: &mut Vec<u32>) -> Result<()> {
        let start = out.len();
        out.resize(start + count, 0);
        let indices = out.get_mut(start..).unwrap_or_default();
        self.indices.read(indices)?;
        match gather::max(indices) {
            Some(max) if max as usize >= dictionary_len => Err(beyond(max, dictionary_len)),
            _ => Ok(()),
        }
    }

    /// Passes over `n` values.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        self.indices.skip(n)
    }

    fn next_run(&mut self, max: usize) -> Result<Run<'a>> {
        self.indices.run(max)?.ok_or_else(|| Error::corrupt(format!("the indices end, {max} are missing")))
    }
}

#[cold]
fn beyond(index: u32, len: usize) -> Error {
    Error::corrupt(format!("index {index} into a dictionary of {len} values"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_round_trip_through_runs_and_groups() {
        let dictionary: Vec<i64> = (0..300).map(|i| i * i).collect();
        let mut indices: Vec<u32> = (0..3000).map(|i| i * 7 % 300).collect();
        indices.extend([299; 50]);
        indices.extend([0, 1, 2]);
        let bytes = encode(&indices, width(dictionary.len()));
        assert_eq!(bytes[0], 9);
        let want: Vec<i64> = indices.iter().map(|&i| dictionary[i as usize]).collect();
        let mut got = Vec::new();
        Decoder::new(&bytes).expect("width").gather(&dictionary, indices.len(), &mut got).expect("gathers");
        assert_eq!(got, want);

        let mut d = Decoder::new(&bytes).expect("width");
        d.skip(1001).expect("skips");
        let mut back = Vec::new();
        d.read(dictionary.len(), indices.len() - 1001, &mut back).expect("reads");
        assert_eq!(back, indices[1001..]);
    }

    #[test]
    fn an_index_beyond_the_dictionary_is_named() {
        let bytes = encode(&[0, 1, 2, 3, 4, 5, 6, 7, 5], width(8));
        let e = Decoder::new(&bytes).expect("width").gather(&[0u8; 5], 9, &mut Vec::new()).expect_err("beyond");
        assert_eq!(e.to_string(), "index 7 into a dictionary of 5 values");
        let bytes = encode(&[3; 20], width(8));
        assert!(Decoder::new(&bytes).expect("width").gather(&[0u8; 3], 20, &mut Vec::new()).is_err());
        assert!(Decoder::new(&bytes).expect("width").read(3, 20, &mut Vec::new()).is_err());
        assert!(Decoder::new(&[]).expect("empty").gather(&[0u8; 3], 1, &mut Vec::new()).is_err());
        assert!(Decoder::new(&[33]).is_err());
    }
}
