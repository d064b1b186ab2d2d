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

use super::bit_pack;
use crate::cursor::{Cursor, put_varint};
use crate::error::Result;

/// Values of one bit-packed group.
const GROUP: usize = 8;

/// Encodes values of one width.
///
/// Values wait in `pending` until they are eight, then either join a repeated run or are packed.
#[derive(Debug)]
pub struct Encoder {
    width: u32,
    out: Vec<u8>,
    /// The value that repeats at the end, and how often; its first values may still be in `pending`.
    repeated: u32,
    repeats: u64,
    pending: [u32; GROUP],
    pending_len: usize,
    /// Bit-packed values that have no header yet; always whole groups.
    packed: Vec<u32>,
}

/// Groups per bit-packed run, so that its header stays one byte.
const GROUPS_MAX: usize = 63;

impl Encoder {
    /// For values of `width` bits, 0 to 32.
    pub fn new(width: u32) -> Encoder {
        debug_assert!(width <= 32);
        Encoder {
            width,
            out: Vec::new(),
            repeated: 0,
            repeats: 0,
            pending: [0; GROUP],
            pending_len: 0,
            packed: Vec::new(),
        }
    }

    /// Appends one value.
    #[inline]
    pub fn push(&mut self, value: u32) {
        if value == self.repeated && self.repeats > 0 {
            self.repeats += 1;
            if self.repeats > GROUP as u64 {
                // In the run already; nothing to keep.
                return;
            }
            if self.repeats == GROUP as u64 && self.pending_len == GROUP - 1 {
                // The whole group is one value: a run, with what was packed before it closed.
                self.flush_packed();
                self.pending_len = 0;
                return;
            }
        } else {
            if self.repeats >= GROUP as u64 && self.pending_len == 0 {
                self.flush_run();
            }
            self.repeated = value;
            self.repeats = 1;
        }
        if let Some(slot) = self.pending.get_mut(self.pending_len) {
            *slot = value;
        }
        self.pending_len += 1;
        if self.pending_len == GROUP {
            self.pack_pending();
        }
    }

    /// Appends `count` times the same value.
    pub fn push_run(&mut self, value: u32, count: usize) {
        let mut left = count;
        // Value by value until a run has begun; then only its length grows.
        while left > 0 && !(self.in_run() && self.repeated == value) {
            self.push(value);
            left -= 1;
        }
        self.repeats += left as u64;
    }

    /// Appends all of `values`.
    pub fn extend(&mut self, values: &[u32]) {
        for &value in values {
            self.push(value);
        }
    }

    /// Bytes so far, about: what is buffered is counted as packed.
    pub fn bytes(&self) -> usize {
        self.out.len() + bit_pack::packed_bytes(self.packed.len() + self.pending_len, self.width) + 8
    }

    /// The encoded bytes; the encoder is empty again.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.in_run() {
            self.flush_run();
        } else if self.pending_len > 0 {
            // A tail of one value takes fewer bytes as a run.
            if self.packed.is_empty() && self.repeats as usize == self.pending_len {
                self.flush_run();
            } else {
                for slot in self.pending.iter_mut().skip(self.pending_len) {
                    *slot = 0;
                }
                self.pack_pending();
            }
        }
        self.flush_packed();
        self.repeats = 0;
        self.pending_len = 0;
        std::mem::take(&mut self.out)
    }

    fn in_run(&self) -> bool {
        self.repeats >= GROUP as u64 && self.pending_len == 0
    }

    fn flush_run(&mut self) {
        put_run(self.repeated, self.repeats, self.width, &mut self.out);
        self.repeats = 0;
        self.pending_len = 0;
    }

    fn pack_pending(&mut self) {
        self.packed.extend_from_slice(&self.pending);
        self.pending_len = 0;
        // What was packed cannot be part of a run any more.
        self.repeats = 0;
        if self.packed.len() == GROUPS_MAX * GROUP {
            self.flush_packed();
        }
    }

    fn flush_packed(&mut self) {
        put_packed(&self.packed, self.width, &mut self.out);
        self.packed.clear();
    }
}

/// Appends all of `values`, of `width` bits, at once: faster than value by value.
pub fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    debug_assert!(width <= 32);
    // A run within packed groups costs its own head and another one after it.
    let run_min = if width >= 4 { GROUP } else { 4 * GROUP / width.max(1) as usize };
    let mut rest = values;
    // Values at the start of `rest` that will be packed: whole groups.
    let mut packed = 0;
    while let Some((group, after)) = rest.get(packed..).and_then(|tail| tail.split_first_chunk::<GROUP>()) {
        let [first, ..] = *group;
        if group.iter().fold(0, |differ, v| differ | (v ^ first)) == 0 {
            let run = GROUP + after.iter().take_while(|&&v| v == first).count();
            if run >= run_min || packed + run == rest.len() {
                put_packed(rest.get(..packed).unwrap_or_default(), width, out);
                put_run(first, run as u64, width, out);
                rest = rest.get(packed + run..).unwrap_or_default();
                packed = 0;
                continue;
            }
        }
        packed += GROUP;
        if packed == GROUPS_MAX * GROUP {
            put_packed(rest.get(..packed).unwrap_or_default(), width, out);
            rest = rest.get(packed..).unwrap_or_default();
            packed = 0;
        }
    }
    match rest.split_first() {
        None => {}
        // A tail of one value takes fewer bytes as a run.
        Some((first, others)) if packed == 0 && others.iter().all(|v| v == first) => {
            put_run(*first, rest.len() as u64, width, out);
        }
        Some(_) => put_packed(rest, width, out),
    }
}

/// Appends the first `count` of `bits`, the least significant bit first, as values of width 1.
///
/// A byte of them is a packed group as it stands.
pub fn encode_bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    /// Bytes of one value that are worth a run.
    const RUN_MIN: usize = 4;
    let (whole, tail_bits) = (count / GROUP, count % GROUP);
    let mut rest = bits.get(..whole).unwrap_or(bits);
    let mut packed = 0;
    while let Some((&byte, after)) = rest.get(packed..).and_then(<[u8]>::split_first) {
        if byte == 0 || byte == u8::MAX {
            let run = 1 + after.iter().take_while(|&&b| b == byte).count();
            if run >= RUN_MIN || packed + run == rest.len() {
                put_packed_bits(rest.get(..packed).unwrap_or_default(), out);
                put_run(u32::from(byte & 1), (run * GROUP) as u64, 1, out);
                rest = rest.get(packed + run..).unwrap_or_default();
                packed = 0;
                continue;
            }
        }
        packed += 1;
        if packed == GROUPS_MAX {
            put_packed_bits(rest.get(..packed).unwrap_or_default(), out);
            rest = rest.get(packed..).unwrap_or_default();
            packed = 0;
        }
    }
    put_packed_bits(rest, out);
    if let Some(&last) = bits.get(whole).filter(|_| tail_bits > 0) {
        put_packed_bits(&[last & ((1u16 << tail_bits) - 1) as u8], out);
    }
}

/// Appends `count` times the same value.
pub fn encode_run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    if count > 0 {
        put_run(value, count as u64, width, out);
    }
}

fn put_run(value: u32, count: u64, width: u32, out: &mut Vec<u8>) {
    put_varint(out, count << 1);
    out.extend(value.to_le_bytes().iter().take(width.div_ceil(8) as usize));
}

fn put_packed(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(GROUP);
    if groups > 0 {
        put_varint(out, groups as u64 * 2 + 1);
        let end = out.len() + groups * width as usize;
        bit_pack::pack(values, width, out);
        out.resize(end, 0);
    }
}

/// Groups of eight bits.
fn put_packed_bits(groups: &[u8], out: &mut Vec<u8>) {
    if !groups.is_empty() {
        put_varint(out, groups.len() as u64 * 2 + 1);
        out.extend_from_slice(groups);
    }
}

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
        e.extend(values);
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
