//! RLE / bit-packing hybrid: runs of one value, or of bit-packed groups of eight.
//!
//! Spec: Encodings.md, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".
//!
//! ```text
//! run        = rle-run | bit-packed-run
//! rle-run    = varint(count << 1)        value in ceil(width / 8) bytes, little-endian
//! bit-packed = varint(groups << 1 | 1)   groups × width bytes
//! ```
//!
//! Definition levels, dictionary indices and booleans stand in it. The width is not in the data, and neither
//! is the number of values: the last group may hold up to seven values too many.

mod encoder;

pub use encoder::{Encoder, encode, encode_bits, encode_run};

use super::bit_pack;
use crate::cursor::Cursor;
use crate::error::Result;

/// Values of one bit-packed group.
const GROUP: usize = 8;

/// A stretch of values, as [`Decoder::run`] gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run<'a> {
    /// `count` times `value`.
    Repeated {
        /// The value.
        value: u32,
        /// How often it stands.
        count: usize,
    },
    /// `count` values in `bytes`, after `skip` that were given before.
    Packed {
        /// The bytes from the run's first value on, what follows the run among them: loads of many bytes may reach there.
        bytes: &'a [u8],
        /// Values to pass over.
        skip: usize,
        /// Values after those.
        count: usize,
    },
}

/// Decodes values of one width, a run at a time.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    cursor: Cursor<'a>,
    width: u32,
    run: OpenRun,
}

/// Where a [`Decoder`] stands, without the bytes: who holds both can put the decoder away between reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    at: usize,
    run: OpenRun,
}

/// The run that is being read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OpenRun {
    /// Values that were not given yet.
    left: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Repeated {
        value: u32,
    },
    /// Bytes from `start` of the decoder's on; `skip` values were given.
    Packed {
        start: usize,
        skip: usize,
    },
}

impl Default for Kind {
    fn default() -> Kind {
        Kind::Repeated { value: 0 }
    }
}

impl Position {
    /// Bytes that are read, those of the run that it stands in too.
    pub fn bytes(self) -> usize {
        self.at
    }
}

impl<'a> Decoder<'a> {
    /// For `bytes` of values of `width` bits; wider than 32 is corrupt.
    pub fn new(bytes: &'a [u8], width: u32) -> Result<Decoder<'a>> {
        Decoder::resume(bytes, width, Position::default())
    }

    /// A decoder of the same bytes and width as the one that gave `position`, which goes on from there.
    pub fn resume(bytes: &'a [u8], width: u32, position: Position) -> Result<Decoder<'a>> {
        let mut cursor = Cursor::new(bytes);
        if width > 32 {
            return Err(cursor.corrupt(format!("a bit width of {width}; 32 is the widest")));
        }
        cursor.skip(position.at)?;
        Ok(Decoder { cursor, width, run: position.run })
    }

    /// Where it stands; see [`resume`](Self::resume).
    pub fn position(&self) -> Position {
        Position { at: self.cursor.position(), run: self.run }
    }

    /// The bits of a value.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// The next run, cut to `max` values; none at the end of the bytes.
    ///
    /// Every run consumes a byte at least or gives a value at least, so a loop over it ends.
    #[inline(always)]
    pub fn run(&mut self, max: usize) -> Result<Option<Run<'a>>> {
        if max == 0 {
            return Ok(None);
        }
        while self.run.left == 0 {
            if self.cursor.is_empty() {
                return Ok(None);
            }
            self.run = match self.short_header() {
                Some(run) => run,
                None => self.header()?,
            };
        }
        let count = max.min(self.run.left);
        self.run.left -= count;
        Ok(Some(match self.run.kind {
            Kind::Repeated { value } => Run::Repeated { value, count },
            Kind::Packed { start, skip } => {
                self.run.kind = Kind::Packed { start, skip: skip + count };
                Run::Packed { bytes: self.cursor.all().get(start..).unwrap_or_default(), skip, count }
            }
        }))
    }

    /// A header of one byte, with a value of one byte or packed bytes that are all there and are not the last: most runs of indices
    /// into small dictionaries, and of levels, are so short that this is much of what they take.
    #[inline(always)]
    fn short_header(&mut self) -> Option<OpenRun> {
        let [header @ ..0x80, value, ..] = *self.cursor.rest() else { return None };
        let n = usize::from(header >> 1);
        if header & 1 == 0 {
            if !(1..=8).contains(&self.width) || u32::from(value) >> self.width > 0 {
                return None;
            }
            self.cursor.skip(2).ok()?;
            return Some(OpenRun { left: n, kind: Kind::Repeated { value: u32::from(value) } });
        }
        let (start, end) = (self.cursor.position() + 1, 1 + n * self.width as usize);
        if end > self.cursor.remaining() {
            return None;
        }
        self.cursor.skip(end).ok()?;
        Some(OpenRun { left: n * GROUP, kind: Kind::Packed { start, skip: 0 } })
    }

    #[cold]
    #[inline(never)]
    fn header(&mut self) -> Result<OpenRun> {
        let header = self.cursor.varint()?;
        let too_long = |c: &Cursor<'a>| c.corrupt(format!("a run of {} values", header >> 1));
        let n = usize::try_from(header >> 1).map_err(|_| too_long(&self.cursor))?;
        if header & 1 == 0 {
            let mut value = [0u8; 4];
            let bytes = self.cursor.take(self.width.div_ceil(8) as usize)?;
            for (to, from) in value.iter_mut().zip(bytes) {
                *to = *from;
            }
            let value = u32::from_le_bytes(value);
            if u64::from(value) >> self.width > 0 {
                // Readers do not agree on what such a value is.
                return Err(self
                    .cursor
                    .corrupt(format!("a run of the value {value} at a bit width of {}", self.width)));
            }
            return Ok(OpenRun { left: n, kind: Kind::Repeated { value } });
        }
        let count = n.checked_mul(GROUP).ok_or_else(|| too_long(&self.cursor))?;
        let wanted = n.checked_mul(self.width as usize).ok_or_else(|| too_long(&self.cursor))?;
        // Some writers cut the last group after its last value.
        let start = self.cursor.position();
        let bytes = self.cursor.take(wanted.min(self.cursor.remaining()))?;
        let count = match self.width {
            0 => count,
            width => count.min((bytes.len() as u64 * 8 / u64::from(width)) as usize),
        };
        Ok(OpenRun { left: count, kind: Kind::Packed { start, skip: 0 } })
    }

    /// Fills `out`; fewer values than wanted are corrupt. The greatest of them; of none, 0.
    pub fn read(&mut self, out: &mut [u32]) -> Result<u32> {
        let mut rest = out;
        let mut greatest = 0;
        while !rest.is_empty() {
            let Some(run) = self.run(rest.len())? else {
                return Err(self.cursor.corrupt(format!("the values end, {} are missing", rest.len())));
            };
            let (Run::Repeated { count, .. } | Run::Packed { count, .. }) = run;
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(count);
            let greatest_of_it = match run {
                Run::Repeated { value, .. } => {
                    head.fill(value);
                    value
                }
                Run::Packed { bytes, skip, .. } => bit_pack::unpack(bytes, self.width, skip, head),
            };
            greatest = greatest.max(greatest_of_it);
            rest = tail;
        }
        Ok(greatest)
    }

    /// Passes over `n` values; fewer are corrupt.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        let mut left = n;
        while left > 0 {
            match self.run(left)? {
                Some(Run::Repeated { count, .. } | Run::Packed { count, .. }) => left -= count,
                None => return Err(self.cursor.corrupt(format!("the values end, {left} are missing"))),
            }
        }
        Ok(())
    }
}

/// Bits that hold every value up to `max`.
pub fn width_of(max: u32) -> u32 {
    32 - max.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(values: &[u32], width: u32) -> Vec<u8> {
        let mut e = Encoder::new(width);
        values.iter().for_each(|&value| e.push(value));
        e.finish()
    }

    fn decode(bytes: &[u8], width: u32, n: usize) -> Result<Vec<u32>> {
        let mut out = vec![0; n];
        let greatest = Decoder::new(bytes, width)?.read(&mut out)?;
        assert_eq!(greatest, out.iter().copied().max().unwrap_or(0));
        Ok(out)
    }

    #[test]
    fn a_run_and_a_group_are_laid_out_as_specified() {
        assert_eq!(encode(&[4; 100], 3), [0xC8, 0x01, 4]);
        assert_eq!(encode(&[0, 1, 2, 3, 4, 5, 6, 7], 3), [0x03, 0x88, 0xC6, 0xFA]);
        assert_eq!(encode(&[300; 8], 9), [0x10, 0x2C, 0x01]);
        assert_eq!(encode(&[], 5), Vec::<u8>::new());
        assert_eq!(encode(&[0; 9], 0), [0x12]);
    }

    #[test]
    fn slices_are_laid_out_as_specified() {
        let slice = |values: &[u32], width| {
            let mut out = Vec::new();
            super::encode(values, width, &mut out);
            out
        };
        assert_eq!(slice(&[4; 100], 3), [0xC8, 0x01, 4]);
        assert_eq!(slice(&[0, 1, 2, 3, 4, 5, 6, 7], 3), [0x03, 0x88, 0xC6, 0xFA]);
        assert_eq!(slice(&[300; 8], 9), [0x10, 0x2C, 0x01]);
        assert_eq!(slice(&[0; 9], 0), [0x12]);
        assert_eq!(slice(&[], 5), Vec::<u8>::new());
        let mut bits = Vec::new();
        encode_bits(&[0xff, 0xff, 0x0f], 20, &mut bits);
        assert_eq!(bits, [0x20, 1, 0x03, 0x0f]);
        bits.clear();
        encode_bits(&[0x55, 0xff, 0x55, 0xff, 0xff, 0xff, 0xff, 0x01], 57, &mut bits);
        assert_eq!(bits, [0x07, 0x55, 0xff, 0x55, 0x40, 1, 0x03, 0x01]);
    }

    #[test]
    fn a_run_after_a_group_begins_at_the_group_border() {
        let mut values = vec![1, 0, 1, 0, 1, 0, 1, 1];
        values.extend([1; 20]);
        values.push(0);
        assert_eq!(decode(&encode(&values, 1), 1, values.len()).expect("decodes"), values);
    }

    #[test]
    fn push_run_is_push_many_times() {
        let mut a = Encoder::new(2);
        let mut b = Encoder::new(2);
        for (value, count) in [(1, 3), (2, 100), (2, 1), (0, 7), (3, 8), (3, 0), (1, 1)] {
            a.push_run(value, count);
            (0..count).for_each(|_| b.push(value));
        }
        assert_eq!(a.finish(), b.finish());
    }

    proptest! {
        #[test]
        fn round_trips(runs in prop::collection::vec((any::<u32>(), 1usize..40), 0..60), width in 0u32..=32, cut in 0usize..50) {
            let mask = ((1u64 << width) - 1) as u32;
            let values: Vec<u32> = runs.iter().flat_map(|&(v, n)| std::iter::repeat_n(v & mask, n)).collect();
            let bytes = encode(&values, width);
            prop_assert_eq!(&decode(&bytes, width, values.len()).expect("decodes"), &values);
            let mut whole = Vec::new();
            super::encode(&values, width, &mut whole);
            prop_assert_eq!(&decode(&whole, width, values.len()).expect("decodes"), &values);
            // In two steps, with a skip first.
            let cut = cut.min(values.len());
            let mut d = Decoder::new(&bytes, width).expect("width");
            d.skip(cut).expect("skips");
            let mut out = vec![0; values.len() - cut];
            d.clone().read(&mut out).expect("reads");
            prop_assert_eq!(&out, &values[cut..]);
            // Put away and taken up again.
            out.fill(0);
            Decoder::resume(&bytes, width, d.position()).expect("resumes").read(&mut out).expect("reads");
            prop_assert_eq!(&out, &values[cut..]);
        }

        #[test]
        fn extending_is_pushing_many_times(
            runs in prop::collection::vec((0u16..3, 1usize..40), 0..60),
            cuts in prop::collection::vec(0usize..400, 0..5),
        ) {
            let values: Vec<u16> = runs.iter().flat_map(|&(v, n)| std::iter::repeat_n(v, n)).collect();
            let (mut a, mut b) = (Encoder::new(2), Encoder::new(2));
            values.iter().for_each(|&value| a.push(u32::from(value)));
            let mut rest = values.as_slice();
            for cut in cuts {
                let (now, after) = rest.split_at(cut.min(rest.len()));
                b.extend(now);
                rest = after;
            }
            b.extend(rest);
            prop_assert_eq!(a.finish(), b.finish());
        }

        #[test]
        fn bits_round_trip(runs in prop::collection::vec((any::<bool>(), 1usize..80), 0..60), offset in 0usize..8) {
            let values: Vec<bool> = runs.iter().flat_map(|&(v, n)| std::iter::repeat_n(v, n)).skip(offset).collect();
            let mut bits = Vec::new();
            crate::parquet::encoding::plain::encode_booleans(values.iter().copied(), &mut bits);
            let mut bytes = Vec::new();
            encode_bits(&bits, values.len(), &mut bytes);
            let back = decode(&bytes, 1, values.len()).expect("decodes");
            prop_assert_eq!(back, values.iter().map(|&v| u32::from(v)).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_end_in_values_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), width in 0u32..=40, n in 0usize..5000) {
            if let Ok(values) = decode(&bytes, width, n) {
                prop_assert_eq!(values.len(), n);
            }
        }
    }

    #[test]
    fn a_value_of_more_bits_than_there_are_is_corrupt() {
        assert_eq!(decode(&[6, 1], 1, 3).expect("decodes"), [1; 3]);
        let e = decode(&[6, 0x80], 1, 3).expect_err("8 bits");
        assert_eq!(e.message(), "a run of the value 128 at a bit width of 1");
        assert!(decode(&[6, 0xff, 0x02], 9, 3).is_err() && decode(&[6, 0xff, 0x01], 9, 3).is_ok());
        assert_eq!(decode(&[6, 0xff, 0xff, 0xff, 0xff], 32, 3).expect("decodes"), [u32::MAX; 3]);
    }

    #[test]
    fn endless_empty_runs_end() {
        // Runs of no values: each takes bytes, so the decoder comes to their end.
        assert!(decode(&[0; 1000], 8, 1).is_err());
        assert!(decode(&[1; 1000], 0, 1).is_err());
        // A group of width 0 has values but no bytes.
        assert_eq!(decode(&[3], 0, 8).expect("decodes"), [0; 8]);
    }
}
