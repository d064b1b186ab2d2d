//! DELTA_BINARY_PACKED: differences of neighbours, packed in blocks, each with the fewest bits that hold it.
//!
//! Spec: Encodings.md, "Delta Encoding (DELTA_BINARY_PACKED = 5)".
//!
//! ```text
//! header = varint(values per block) varint(miniblocks per block) varint(values in all) zigzag(first value)
//! block  = zigzag(least difference) width (1 byte) × miniblocks, then the miniblocks that hold values
//! ```
//!
//! A miniblock holds `difference - least difference` of its values, bit-packed and padded to its full size.
//! All arithmetic wraps in the type's width, so that any values can be written.

use super::bit_pack::{self, BLOCK};
use super::plain::Fixed;
use crate::cursor::{Cursor, put_varint, put_zigzag};
use crate::error::Result;

/// Values per block that we write; readers must take any multiple of 128.
const BLOCK_VALUES: usize = 128;
/// Miniblocks per block that we write.
const MINIBLOCKS: usize = BLOCK_VALUES / BLOCK;

/// An integer that can be delta-encoded.
pub trait Delta: Copy + Default + Ord + Send + Sync + 'static {
    /// Bits of the type.
    const BITS: u32;
    /// `self - other`, wrapping.
    fn minus(self, other: Self) -> Self;
    /// `self + other`, wrapping.
    fn plus(self, other: Self) -> Self;
    /// `count` times `self`, wrapping.
    fn times(self, count: u64) -> Self;
    /// The bits, zero-extended.
    fn bits(self) -> u64;
    /// The low bits of `bits`.
    fn from_bits(bits: u64) -> Self;
    /// Sign-extended.
    fn wide(self) -> i64;
    /// As [`bit_pack::append_sums_64`].
    fn append_sums(packed: &[u8], width: u32, ends: (Self, Self), count: usize, out: &mut Vec<Self>) -> Option<Self>;
}

macro_rules! delta {
    ($($t:ty, $u:ty, $append_sums:ident;)*) => {$(
        impl Delta for $t {
            const BITS: u32 = <$t>::BITS;
            #[inline(always)]
            fn minus(self, other: $t) -> $t { self.wrapping_sub(other) }
            #[inline(always)]
            fn plus(self, other: $t) -> $t { self.wrapping_add(other) }
            #[inline(always)]
            fn times(self, count: u64) -> $t { self.wrapping_mul(count as $t) }
            #[inline(always)]
            fn bits(self) -> u64 { u64::from(self as $u) }
            #[inline(always)]
            fn from_bits(bits: u64) -> $t { bits as $t }
            #[inline(always)]
            fn wide(self) -> i64 { i64::from(self) }
            #[inline(always)]
            fn append_sums(packed: &[u8], width: u32, ends: ($t, $t), count: usize, out: &mut Vec<$t>) -> Option<$t> {
                bit_pack::$append_sums(packed, width, ends, count, out)
            }
        }
    )*};
}
delta!(i32, u32, append_sums_32; i64, u64, append_sums_64;);

/// Appends `values`, encoded.
pub fn encode<T: Delta>(values: &[T], out: &mut Vec<u8>) {
    put_varint(out, BLOCK_VALUES as u64);
    put_varint(out, MINIBLOCKS as u64);
    put_varint(out, values.len() as u64);
    let Some((&first, rest)) = values.split_first() else {
        put_zigzag(out, 0);
        return;
    };
    put_zigzag(out, first.wide());
    let mut last = first;
    let mut deltas = [T::default(); BLOCK_VALUES];
    for block in rest.chunks(BLOCK_VALUES) {
        let mut least = None;
        for (delta, &value) in deltas.iter_mut().zip(block) {
            *delta = value.minus(last);
            last = value;
            least = Some(least.map_or(*delta, |l: T| l.min(*delta)));
        }
        let least = least.unwrap_or_default();
        put_zigzag(out, least.wide());
        let widths_at = out.len();
        out.extend([0; MINIBLOCKS]);
        for (i, (mini, used)) in deltas.chunks(BLOCK).zip(block.chunks(BLOCK)).enumerate() {
            let mut packed = [0u64; BLOCK];
            let mut all = 0;
            for (to, from) in packed.iter_mut().zip(mini).take(used.len()) {
                *to = from.minus(least).bits();
                all |= *to;
            }
            let width = 64 - all.leading_zeros();
            if let Some(byte) = out.get_mut(widths_at + i) {
                *byte = width as u8;
            }
            bit_pack::pack_block_wide(&packed, width, out);
        }
    }
}

/// Decodes the values one stretch after another.
#[derive(Debug, Clone)]
pub struct Decoder<'a, T> {
    cursor: Cursor<'a>,
    /// Values that were not given yet.
    left: usize,
    block_values: usize,
    miniblock_values: usize,
    /// Widths of the block's miniblocks that were not begun, and where they are.
    widths: &'a [u8],
    widths_at: usize,
    width: u32,
    least: T,
    last: T,
    first: bool,
    /// The bytes from the first one of the miniblock that was not unpacked, and how many of its values these hold.
    packed: &'a [u8],
    packed_left: usize,
    ready: [T; BLOCK],
    ready_at: usize,
    ready_len: usize,
}

/// Where a [`Decoder`] stands, without the bytes: who holds both can put the decoder away between reads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Position {
    /// None before the header.
    open: Option<Open>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    at: usize,
    left: usize,
    block_values: usize,
    miniblock_values: usize,
    /// Where the widths of miniblocks that were not begun are, and how many.
    widths: (usize, usize),
    width: u32,
    least: i64,
    last: i64,
    first: bool,
    packed_at: usize,
    packed_left: usize,
    ready: [i64; BLOCK],
    ready_at: usize,
    ready_len: usize,
}

impl<'a, T: Delta> Decoder<'a, T> {
    /// A decoder of the same bytes as the one that gave `position`, which goes on from there.
    pub fn resume(bytes: &'a [u8], position: &Position) -> Result<Decoder<'a, T>> {
        let Some(open) = &position.open else { return Decoder::new(bytes) };
        let mut cursor = Cursor::new(bytes);
        cursor.skip(open.at)?;
        let (from, count) = open.widths;
        Ok(Decoder {
            cursor,
            left: open.left,
            block_values: open.block_values,
            miniblock_values: open.miniblock_values,
            widths_at: from,
            widths: bytes.get(from..).and_then(|widths| widths.get(..count)).unwrap_or_default(),
            width: open.width,
            least: T::from_bits(open.least as u64),
            last: T::from_bits(open.last as u64),
            first: open.first,
            packed: bytes.get(open.packed_at..).unwrap_or_default(),
            packed_left: open.packed_left,
            ready: open.ready.map(|value| T::from_bits(value as u64)),
            ready_at: open.ready_at,
            ready_len: open.ready_len,
        })
    }

    /// Where it stands; see [`resume`](Self::resume).
    pub fn position(&self) -> Position {
        let bytes = self.cursor.position() + self.cursor.rest().len();
        let open = Open {
            at: self.cursor.position(),
            left: self.left,
            block_values: self.block_values,
            miniblock_values: self.miniblock_values,
            widths: (self.widths_at, self.widths.len()),
            width: self.width,
            least: self.least.wide(),
            last: self.last.wide(),
            first: self.first,
            packed_at: bytes - self.packed.len(),
            packed_left: self.packed_left,
            ready: self.ready.map(Delta::wide),
            ready_at: self.ready_at,
            ready_len: self.ready_len,
        };
        Position { open: Some(open) }
    }

    /// Reads the header.
    pub fn new(bytes: &'a [u8]) -> Result<Decoder<'a, T>> {
        let mut cursor = Cursor::new(bytes);
        let block_values = cursor.varint()?;
        let miniblocks = cursor.varint()?;
        let count = cursor.varint()?;
        let first = cursor.zigzag()?;
        let refuse = |c: &Cursor<'_>| {
            c.corrupt(format!(
                "delta blocks of {block_values} values in {miniblocks} miniblocks; \
                 a block must be a multiple of 128, a miniblock of 32"
            ))
        };
        let too_many = |c: &Cursor<'_>| c.corrupt(format!("{count} delta-encoded values"));
        if miniblocks == 0 || block_values == 0 || block_values % 128 != 0 {
            return Err(refuse(&cursor));
        }
        let miniblock_values = block_values / miniblocks;
        if miniblock_values % 32 != 0 || miniblock_values * miniblocks != block_values || block_values > 1 << 30 {
            return Err(refuse(&cursor));
        }
        Ok(Decoder {
            left: usize::try_from(count).map_err(|_| too_many(&cursor))?,
            block_values: block_values as usize,
            miniblock_values: miniblock_values as usize,
            widths: &[],
            widths_at: 0,
            width: 0,
            least: T::default(),
            last: T::from_bits(first as u64),
            first: true,
            packed: &[],
            packed_left: 0,
            ready: [T::default(); BLOCK],
            ready_at: 0,
            ready_len: 0,
            cursor,
        })
    }

    /// Values that are left, as the header claims; the bytes may hold fewer.
    pub fn remaining(&self) -> usize {
        self.left
    }

    /// Appends `n` values; fewer are corrupt.
    pub fn read(&mut self, n: usize, out: &mut Vec<T>) -> Result<()> {
        // To the end of the block that was begun; then whole ones, which nothing stands between.
        let begun = usize::from(self.first) + self.ready_len - self.ready_at;
        let mut want = n;
        if n <= self.left && n > begun {
            self.each(begun, |values| out.extend_from_slice(values))?;
            want -= begun;
            while want >= BLOCK {
                if self.packed_left == 0 {
                    self.next_miniblock()?;
                }
                let count = self.packed_left.min(want) / BLOCK * BLOCK;
                if count == 0 {
                    break;
                }
                self.append_blocks(count, out);
                (self.packed_left, self.left, want) = (self.packed_left - count, self.left - count, want - count);
            }
        }
        self.each(want, |values| out.extend_from_slice(values))
    }

    /// Appends the next `count` values, which the miniblock has; whole blocks.
    #[inline]
    fn append_blocks(&mut self, count: usize, out: &mut Vec<T>) {
        let ends = (self.least, self.last);
        if self.width > 0
            && let Some(last) = T::append_sums(self.packed, self.width, ends, count, out)
        {
            self.last = last;
            self.packed = self.packed.get(bit_pack::packed_bytes(count, self.width)..).unwrap_or_default();
            return;
        }
        for _ in 0..count / BLOCK {
            self.append_block(out);
        }
    }

    /// Appends the next 32 values, which the miniblock has.
    #[inline]
    fn append_block(&mut self, out: &mut Vec<T>) {
        let (mut last, least) = (self.last, self.least);
        let mut next = |step: T| {
            last = last.plus(least.plus(step));
            last
        };
        match self.width {
            // Steps of one size: no value waits for the one before.
            0 => {
                let last = self.last;
                out.extend((0..BLOCK as u64).map(|step| last.plus(least.times(step + 1))));
            }
            1..=32 => {
                let mut block = [0u32; BLOCK];
                self.packed = bit_pack::unpack_block(self.packed, self.width, &mut block);
                out.extend(block.iter().map(|&step| next(T::from_bits(u64::from(step)))));
            }
            width => {
                let mut block = [0u64; BLOCK];
                self.packed = bit_pack::unpack_block_wide(self.packed, width, &mut block);
                out.extend(block.iter().map(|&step| next(T::from_bits(step))));
            }
        }
        if let Some(&value) = out.last() {
            self.last = value;
        }
    }

    /// Appends `n` values in PLAIN; fewer are corrupt.
    pub fn read_plain(&mut self, n: usize, out: &mut Vec<u8>) -> Result<()>
    where
        T: Fixed,
    {
        self.each(n, |values| T::encode(values, out))
    }

    /// Passes over `n` values; fewer are corrupt. They are decoded all the same: each rests on the one before.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        self.each(n, |_| {})
    }

    /// The bytes behind the last value's miniblock, once all values have been read.
    pub fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    fn each(&mut self, n: usize, mut take: impl FnMut(&[T])) -> Result<()> {
        if n > self.left {
            return Err(self.cursor.corrupt(format!("{n} delta-encoded values wanted, {} are left", self.left)));
        }
        let mut want = n;
        if want > 0 && self.first {
            self.first = false;
            self.left -= 1;
            want -= 1;
            take(&[self.last]);
        }
        while want > 0 {
            if self.ready_at == self.ready_len {
                self.fill()?;
            }
            let end = self.ready_len.min(self.ready_at + want);
            let values = self.ready.get(self.ready_at..end).unwrap_or_default();
            take(values);
            want -= values.len();
            self.left -= values.len();
            self.ready_at = end;
        }
        Ok(())
    }

    /// Decodes the next up to 32 values into `ready`.
    fn fill(&mut self) -> Result<()> {
        if self.packed_left == 0 {
            self.next_miniblock()?;
        }
        let (mut last, least) = (self.last, self.least);
        match self.width {
            // Steps of one size: no value waits for the one before.
            0 => {
                for (to, step) in self.ready.iter_mut().zip(1u64..) {
                    *to = last.plus(least.times(step));
                }
            }
            1..=32 => {
                let mut block = [0u32; BLOCK];
                self.packed = bit_pack::unpack_block(self.packed, self.width, &mut block);
                for (to, from) in self.ready.iter_mut().zip(block) {
                    // The step does not wait for the value before.
                    last = last.plus(least.plus(T::from_bits(u64::from(from))));
                    *to = last;
                }
            }
            width => {
                let mut block = [0u64; BLOCK];
                self.packed = bit_pack::unpack_block_wide(self.packed, width, &mut block);
                for (to, from) in self.ready.iter_mut().zip(block) {
                    last = last.plus(least.plus(T::from_bits(from)));
                    *to = last;
                }
            }
        }
        self.ready_at = 0;
        self.ready_len = BLOCK.min(self.packed_left).min(self.left);
        self.packed_left -= self.ready_len;
        if let Some(&value) = self.ready_len.checked_sub(1).and_then(|i| self.ready.get(i)) {
            self.last = value;
        }
        Ok(())
    }

    fn next_miniblock(&mut self) -> Result<()> {
        if self.widths.is_empty() {
            self.least = T::from_bits(self.cursor.zigzag()? as u64);
            self.widths_at = self.cursor.position();
            self.widths = self.cursor.take(self.block_values / self.miniblock_values)?;
        }
        let (&width, rest) = self.widths.split_first().unwrap_or((&0, &[]));
        self.widths = rest;
        self.widths_at += 1;
        self.width = u32::from(width);
        // DuckDB takes the differences of 32-bit numbers in 64 bits, so that they have up to 33. The low 32 are what counts.
        if self.width > u64::BITS {
            return Err(self.cursor.corrupt(format!("a delta of {width} bits")));
        }
        self.packed_left = self.miniblock_values.min(self.left);
        let bytes = bit_pack::packed_bytes(self.miniblock_values, self.width);
        // The last miniblock is padded by the format, but not by every writer.
        let needed = bit_pack::packed_bytes(self.packed_left, self.width);
        // What follows is there to be loaded with it, so that the last values can be unpacked as the others are.
        let packed = self.cursor.rest();
        self.cursor.skip(bytes.min(packed.len()).max(needed))?;
        self.packed = packed;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode<T: Delta>(bytes: &[u8], n: usize) -> Result<Vec<T>> {
        let mut out = Vec::new();
        Decoder::new(bytes)?.read(n, &mut out)?;
        Ok(out)
    }

    fn encoded<T: Delta>(values: &[T]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, &mut out);
        out
    }

    #[test]
    fn the_specifications_own_examples() {
        // 1, 2, 3, 4, 5: all differences are 1, so the miniblock has no bits.
        assert_eq!(encoded(&[1i32, 2, 3, 4, 5]), [0x80, 0x01, 4, 5, 2, 2, 0, 0, 0, 0]);
        // 7, 5, 3, 1, 2, 3, 4, 5: least difference -2, packed 0 0 0 3 3 3 3 in two bits.
        let bytes = encoded(&[7i64, 5, 3, 1, 2, 3, 4, 5]);
        assert_eq!(bytes[..11], [0x80, 0x01, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000]);
        assert_eq!(bytes[11], 0b0011_1111);
    }

    #[test]
    fn extremes_wrap() {
        let values = [i64::MIN, i64::MAX, 0, -1, i64::MIN, i64::MIN, i64::MAX];
        assert_eq!(decode::<i64>(&encoded(&values), 7).expect("decodes"), values);
        let values = [i32::MIN, i32::MAX, 0, -1, i32::MIN, i32::MIN, i32::MAX];
        assert_eq!(decode::<i32>(&encoded(&values), 7).expect("decodes"), values);
    }

    #[test]
    fn other_block_sizes_are_read() {
        // One block of 256 values in 2 miniblocks of 128: 0, 1, 3, 6, … as width-1 and width-0 deltas.
        let mut bytes = Vec::new();
        for v in [256, 2, 130] {
            put_varint(&mut bytes, v);
        }
        put_zigzag(&mut bytes, 10);
        put_zigzag(&mut bytes, 1);
        bytes.extend([1, 0]);
        bytes.extend([0b1010_1010; 16]);
        let mut want = vec![10i64];
        for i in 0..129 {
            want.push(want[i] + 1 + if i < 128 { (i % 2) as i64 } else { 0 });
        }
        assert_eq!(decode::<i64>(&bytes, 130).expect("decodes"), want);
    }

    #[test]
    fn small_numbers_with_wide_differences_are_read() {
        let values = [i32::MIN, i32::MAX, 0, -1, i32::MIN, i32::MAX];
        let wide = values.map(i64::from);
        assert!(encoded(&wide).contains(&33), "a miniblock of 33 bits");
        assert_eq!(decode::<i32>(&encoded(&wide), 6).expect("decodes"), values);
    }

    #[test]
    fn hostile_headers_are_refused() {
        for header in [[0u64, 1, 5], [128, 0, 5], [100, 4, 5], [128, 3, 5], [128, 8, 5], [1 << 40, 4, 5]] {
            let mut bytes = Vec::new();
            header.iter().for_each(|&v| put_varint(&mut bytes, v));
            put_zigzag(&mut bytes, 0);
            assert!(Decoder::<i32>::new(&bytes).is_err(), "{header:?}");
        }
        let mut bytes = encoded(&[1i32, 100]);
        let width = bytes.iter().rposition(|&b| b == 0).expect("unused widths are 0") - 2;
        bytes[width - 1] = 65;
        assert!(decode::<i32>(&bytes, 2).is_err());
    }

    proptest! {
        #[test]
        fn i64_round_trips(values in prop::collection::vec(any::<i64>(), 0..400), cut in 0usize..400) {
            let mut bytes = encoded(&values);
            bytes.push(0xab);
            let cut = cut.min(values.len());
            let mut d = Decoder::<i64>::new(&bytes).expect("header");
            prop_assert_eq!(d.remaining(), values.len());
            d.skip(cut).expect("skips");
            let mut out = Vec::new();
            d.read(values.len() - cut, &mut out).expect("reads");
            prop_assert_eq!(&out[..], &values[cut..]);
            prop_assert_eq!(d.rest(), [0xab]);
        }

        #[test]
        fn i32_round_trips(values in prop::collection::vec(-1000i32..1000, 0..400)) {
            prop_assert_eq!(decode::<i32>(&encoded(&values), values.len()).expect("decodes"), values);
        }

        #[test]
        fn it_goes_on_where_it_was_put_away(
            values in prop::collection::vec(any::<i32>(), 0..400), steps in prop::collection::vec(0usize..70, 1..40),
        ) {
            let bytes = encoded(&values);
            let (mut position, mut out) = (Position::default(), Vec::new());
            for n in steps {
                let mut decoder = Decoder::<i32>::resume(&bytes, &position).expect("resumes");
                decoder.read(n.min(decoder.remaining()), &mut out).expect("reads");
                position = decoder.position();
            }
            prop_assert_eq!(&out[..], &values[..out.len()]);
        }

        #[test]
        fn any_bytes_end_in_values_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), n in 0usize..5000) {
            if let Ok(values) = decode::<i32>(&bytes, n) {
                prop_assert_eq!(values.len(), n);
            }
        }
    }
}
