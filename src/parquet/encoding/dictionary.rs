//! RLE_DICTIONARY (and its old name PLAIN_DICTIONARY): indices into the dictionary page's values.
//!
//! Spec: Encodings.md, "Dictionary Encoding (PLAIN_DICTIONARY = 2 and RLE_DICTIONARY = 8)".
//!
//! ```text
//! width (1 byte) | indices in the RLE / bit-packing hybrid
//! ```

use std::ops::Range;

use super::bit_pack;
use super::gather;
use super::plain::Fixed;
use super::rle::{self, Position, Run, width_of};
use crate::error::{Error, Result};

/// Indices that are unpacked at a time: they stay in the nearest cache.
const CHUNK: usize = 1024;
/// The same of a read of fewer, which costs less than to make room for more.
const CHUNK_OF_SOME: usize = 256;
const CHUNK_OF_FEW: usize = 64;

/// Places to be picked that are this far from each other are unpacked by themselves.
const APART: usize = 128;

/// Packed indices, their width in bits, and how many go before those that are wanted.
type Packed<'a> = (&'a [u8], u32, usize);

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
    pub fn gather<T: Copy>(&mut self, dictionary: &[T], count: usize, out: &mut Vec<T>) -> Result<()> {
        self.gather_by(dictionary, count, out, |value| value, gather::append_packed_copies)
    }

    /// The same of a dictionary page's bytes, in PLAIN.
    pub fn gather_plain<T: Fixed>(&mut self, dictionary: &[u8], count: usize, out: &mut Vec<T>) -> Result<()> {
        let append = |dictionary: &[_], from: Packed<'_>, indices: &mut [u32], out: &mut Vec<T>| {
            gather::append_packed(dictionary, from, indices, out, T::of)
        };
        self.gather_by(T::plain(dictionary), count, out, T::of, append)
    }

    #[inline]
    fn gather_by<D: Copy, T: Copy>(
        &mut self,
        dictionary: &[D],
        count: usize,
        out: &mut Vec<T>,
        value: impl Fn(D) -> T,
        append: impl Fn(&[D], Packed<'_>, &mut [u32], &mut Vec<T>) -> Result<(), u32>,
    ) -> Result<()> {
        match count {
            0..=CHUNK_OF_FEW => self.gather_in(&mut [0; CHUNK_OF_FEW], dictionary, count, out, value, append),
            n if n <= CHUNK_OF_SOME => self.gather_in(&mut [0; CHUNK_OF_SOME], dictionary, count, out, value, append),
            _ => self.gather_in(&mut [0; CHUNK], dictionary, count, out, value, append),
        }
    }

    /// The same, with `chunk` for indices.
    fn gather_in<D: Copy, T: Copy>(
        &mut self,
        chunk: &mut [u32],
        dictionary: &[D],
        count: usize,
        out: &mut Vec<T>,
        value: impl Fn(D) -> T,
        append: impl Fn(&[D], Packed<'_>, &mut [u32], &mut Vec<T>) -> Result<(), u32>,
    ) -> Result<()> {
        let mut left = count;
        out.reserve(count);
        while left > 0 {
            match self.next_run(left)? {
                Run::Repeated { value: index, count } => {
                    let entry = *dictionary.get(index as usize).ok_or_else(|| beyond(index, dictionary.len()))?;
                    out.extend(std::iter::repeat_n(value(entry), count));
                    left -= count;
                }
                Run::Packed { bytes, mut skip, count } => {
                    let mut packed = count;
                    while packed > 0 {
                        let n = packed.min(chunk.len());
                        let indices = chunk.get_mut(..n).unwrap_or_default();
                        let from = (bytes, self.indices.width(), skip);
                        append(dictionary, from, indices, out).map_err(|max| beyond(max, dictionary.len()))?;
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
        match self.indices.read(indices)? {
            greatest if greatest as usize >= dictionary_len && count > 0 => Err(beyond(greatest, dictionary_len)),
            _ => Ok(()),
        }
    }

    /// Appends the indices at `ranges` of the next `span`, whatever they are, and passes over the others. The ranges ascend, and end
    /// within the span.
    pub fn pick(&mut self, ranges: &[Range<usize>], span: usize, out: &mut Vec<u32>) -> Result<()> {
        let mut chunk = [0u32; CHUNK];
        let (mut at, mut next) = (0, 0);
        let start_of = |range: usize| ranges.get(range).map_or(usize::MAX, |range| range.start);
        // The next place that is wanted.
        let mut from = start_of(0);
        while at < span {
            let run = self.next_run(span - at)?;
            let (Run::Repeated { count, .. } | Run::Packed { count, .. }) = run;
            let end = at + count;
            while from < end {
                // As far as what is wanted lies close together.
                let stop = match run {
                    Run::Repeated { .. } => end,
                    Run::Packed { .. } => end.min(from + CHUNK),
                };
                let near = ranges.get(next..).unwrap_or_default().iter();
                let mut far = from;
                for range in near.take_while(|range| range.start < stop) {
                    if range.start >= far + APART {
                        break;
                    }
                    far = range.end.min(stop);
                }
                let mut unpacked: &[u32] = &[];
                if let Run::Packed { bytes, skip, .. } = run {
                    let indices = chunk.get_mut(..far - from).unwrap_or_default();
                    bit_pack::unpack(bytes, self.indices.width(), skip + (from - at), indices);
                    unpacked = indices;
                }
                let base = from;
                while let Some(range) = ranges.get(next)
                    && from < far
                {
                    let until = range.end.min(far);
                    match run {
                        Run::Repeated { value, .. } => out.extend(std::iter::repeat_n(value, until - from)),
                        Run::Packed { .. } => out.extend(unpacked.get(from - base..until - base).unwrap_or_default()),
                    }
                    from = until;
                    if until == range.end {
                        next += 1;
                        from = start_of(next);
                    }
                }
            }
            at = end;
        }
        Ok(())
    }

    /// Passes over `n` values.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        self.indices.skip(n)
    }

    #[inline(always)]
    fn next_run(&mut self, max: usize) -> Result<Run<'a>> {
        self.indices.run(max)?.ok_or_else(|| Error::corrupt(format!("the indices end, {max} are missing")))
    }
}

/// Appends the value of `dictionary` at each of `indices`; one beyond it is corrupt.
pub fn values_at<T: Copy>(dictionary: &[T], indices: &[u32], out: &mut Vec<T>) -> Result<()> {
    gather::append_each(dictionary, indices, out).map_err(|max| beyond(max, dictionary.len()))
}

/// The same of a dictionary page's bytes, in PLAIN.
pub fn plain_values_at<T: Fixed>(dictionary: &[u8], indices: &[u32], out: &mut Vec<T>) -> Result<()> {
    let dictionary = T::plain(dictionary);
    gather::append(dictionary, indices, out, T::of).map_err(|max| beyond(max, dictionary.len()))
}

/// Whether each of `indices` is within a dictionary of so many values; one beyond it is corrupt.
pub fn check(indices: &[u32], dictionary_len: usize) -> Result<()> {
    match gather::max(indices) {
        Some(max) if max as usize >= dictionary_len => Err(beyond(max, dictionary_len)),
        _ => Ok(()),
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
        // From anywhere in memory.
        let mut page = vec![0; 3];
        page.extend(dictionary.iter().flat_map(|v| v.to_le_bytes()));
        page.extend([0; 7]);
        got.clear();
        Decoder::new(&bytes).expect("width").gather_plain(&page[3..], indices.len(), &mut got).expect("gathers");
        assert_eq!(got, want);
        assert!(Decoder::new(&bytes).expect("width").gather_plain(&page[3..2402], 3000, &mut got).is_err());

        let mut d = Decoder::new(&bytes).expect("width");
        d.skip(1001).expect("skips");
        let mut back = Vec::new();
        d.read(dictionary.len(), indices.len() - 1001, &mut back).expect("reads");
        assert_eq!(back, indices[1001..]);
    }

    #[test]
    fn what_is_picked_is_what_was_read() {
        let mut indices: Vec<u32> = (0..5000).map(|i| i * 7 % 300).collect();
        indices.extend([299; 700]);
        indices.extend((0..3000).map(|i| i % 5));
        indices.extend([1; 40]);
        let bytes = encode(&indices, 9);
        let mut seed = 1u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for (gap, length) in [(1, 1), (3, 2), (40, 3), (400, 1), (2000, 1500), (100, 8000), (1, 3000)] {
            let (mut ranges, mut at) = (Vec::new(), random(gap));
            while at < indices.len() {
                let end = indices.len().min(at + 1 + random(length));
                ranges.push(at..end);
                at = end + 1 + random(gap);
            }
            let want: Vec<u32> = ranges.iter().flat_map(|r| indices[r.clone()].to_vec()).collect();
            let mut got = Vec::new();
            Decoder::new(&bytes).expect("width").pick(&ranges, indices.len(), &mut got).expect("picks");
            assert!(got == want, "{gap} {length}");
            // In two parts, of which the first one ends somewhere.
            let cut = random(indices.len());
            let first: Vec<_> =
                ranges.iter().map(|r| r.start.min(cut)..r.end.min(cut)).filter(|r| !r.is_empty()).collect();
            let second: Vec<_> =
                ranges.iter().map(|r| r.start.max(cut) - cut..r.end.max(cut) - cut).filter(|r| !r.is_empty()).collect();
            let mut decoder = Decoder::new(&bytes).expect("width");
            got.clear();
            decoder.pick(&first, cut, &mut got).expect("picks");
            decoder.pick(&second, indices.len() - cut, &mut got).expect("picks");
            assert!(got == want, "{gap} {length} cut at {cut}");
        }
        let e = Decoder::new(&bytes).expect("width").pick(&[], indices.len() + 9, &mut Vec::new());
        assert!(e.is_err(), "a span beyond the end");
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
