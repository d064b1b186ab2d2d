//! Bit packing: values of a fixed width of 0 to 32 bits, the least significant bit first.
//!
//! Spec: Encodings.md, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)", `bit-packed-run`.
//!
//! ```text
//! values 0 1 2 3 4 5 6 7 of width 3:
//! bit    76543210  76543210  76543210
//! value  22111000  54443332  77766655
//! byte      0         1         2
//! ```
//!
//! Work is done on blocks of 32 values, which fill whole 32-bit words at every width; the width is a
//! constant inside the kernel, which is unrolled into shifts by constants, without a branch.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
use avx2 as by_eight;
#[cfg(target_arch = "aarch64")]
use neon as by_eight;

/// Values in a block.
pub const BLOCK: usize = 32;
/// Values after which packed ones begin on a whole byte again, at every width.
const GROUP: usize = 8;

/// Bytes that `count` values of `width` bits take.
#[inline]
pub fn packed_bytes(count: usize, width: u32) -> usize {
    (count as u64 * u64::from(width)).div_ceil(8) as usize
}

/// Appends `values`, each of at most `width` bits, padding the last byte with zero bits.
pub fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    debug_assert!(width <= 32 && values.iter().all(|&v| u64::from(v) < 1 << width));
    if width == 0 {
        return;
    }
    let rest = pack_groups(values, width, out);
    out.reserve(packed_bytes(rest.len(), width) + 8);
    let mut word = 0u64;
    let mut bits = 0;
    for &value in rest {
        word |= u64::from(value) << bits;
        bits += width;
        if bits >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            bits -= 32;
        }
    }
    let tail = word.to_le_bytes();
    out.extend(tail.iter().take(bits.div_ceil(8) as usize));
}

/// Packs whole groups of eight of a width of at most 16; the values that are left.
///
/// Values are joined in pairs, pairs of pairs and so on, so that hardly one waits for another.
fn pack_groups<'v>(values: &'v [u32], width: u32, out: &mut Vec<u8>) -> &'v [u32] {
    const WIDTH_MAX: u32 = 16;
    if width > WIDTH_MAX {
        return values;
    }
    let (groups, rest) = values.as_chunks::<GROUP>();
    let start = out.len();
    let end = start + groups.len() * width as usize;
    // Each group is written as 16 bytes, of which the next one overwrites what is too much.
    out.resize(end + 16, 0);
    let mut at = start;
    for group in groups {
        let [a, b, c, d, e, f, g, h] = group.map(u64::from);
        let (low, high) =
            ((a | b << width) | (c | d << width) << (2 * width), (e | f << width) | (g | h << width) << (2 * width));
        let all = u128::from(low) | u128::from(high) << (4 * width);
        if let Some(to) = out.get_mut(at..at + 16) {
            to.copy_from_slice(&all.to_le_bytes());
        }
        at += width as usize;
    }
    out.truncate(end);
    rest
}

/// Unpacks values `skip..skip + out.len()` of `packed`; values beyond its end come out as 0. The greatest of them; of none, 0.
///
/// The caller has checked that the bytes are there; missing ones are no panic.
pub fn unpack(packed: &[u8], width: u32, skip: usize, out: &mut [u32]) -> u32 {
    if width == 0 {
        out.fill(0);
        return 0;
    }
    let mut greatest = 0;
    // To the group of eight that holds the first value wanted; groups begin on whole bytes.
    let (groups_before, inside) = (skip / GROUP, skip % GROUP);
    let mut packed = packed.get(groups_before.saturating_mul(width as usize)..).unwrap_or_default();
    let mut out = out;
    let mut block = [0u32; BLOCK];
    if inside > 0 {
        unpack_block(packed, width, &mut block);
        packed = packed.get(width as usize..).unwrap_or_default();
        let n = out.len().min(GROUP - inside);
        let (head, rest) = out.split_at_mut(n);
        for (to, from) in head.iter_mut().zip(block.iter().skip(inside)) {
            *to = *from;
            greatest = greatest.max(*from);
        }
        out = rest;
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(greatest_of_them) = avx512::unpack(packed, width, out) {
        return greatest.max(greatest_of_them);
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    {
        let (done, greatest_of_them) = by_eight::unpack(packed, width, out);
        greatest = greatest.max(greatest_of_them);
        packed = packed.get(packed_bytes(done, width)..).unwrap_or_default();
        out = out.get_mut(done..).unwrap_or_default();
    }
    let (whole, rest) = out.as_chunks_mut::<BLOCK>();
    for block in whole {
        packed = unpack_block(packed, width, block);
        greatest = block.iter().fold(greatest, |greatest, &value| greatest.max(value));
    }
    if !rest.is_empty() {
        unpack_block(packed, width, &mut block);
        for (to, from) in rest.iter_mut().zip(&block) {
            *to = *from;
            greatest = greatest.max(*from);
        }
    }
    greatest
}

/// Unpacks one block of a width of at most 32 from the start of `packed`, padded with zero bits at its end; what is left of it.
#[inline]
pub fn unpack_block<'a>(packed: &'a [u8], width: u32, block: &mut [u32; BLOCK]) -> &'a [u8] {
    let block_bytes = BLOCK / 8 * width as usize;
    #[cfg(target_arch = "x86_64")]
    if avx512::unpack(packed, width, block).is_some() || avx2::unpack(packed, width, block).0 == BLOCK {
        return packed.get(block_bytes..).unwrap_or_default();
    }
    #[cfg(target_arch = "aarch64")]
    if neon::unpack(packed, width, block).0 == BLOCK {
        return packed.get(block_bytes..).unwrap_or_default();
    }
    if let Some((head, rest)) = packed.split_at_checked(block_bytes) {
        unpack_whole(head, width, block);
        return rest;
    }
    // The last block of a page is cut short: pad it.
    let mut padded = [0u8; 4 * BLOCK];
    for (to, from) in padded.iter_mut().zip(packed) {
        *to = *from;
    }
    unpack_whole(padded.get(..block_bytes).unwrap_or_default(), width, block);
    &[]
}

/// Appends the sums of DELTA_BINARY_PACKED for `count` values of `width` bits from the start of `packed`: each is the one before and
/// `least` and the value, wrapping. The last of them; nothing is done, and none given, where it can be done no faster than value by
/// value.
#[inline]
pub fn append_sums_32(packed: &[u8], width: u32, ends: (i32, i32), count: usize, out: &mut Vec<i32>) -> Option<i32> {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(last) = avx512::append_sums_32(packed, width, ends, count, out) {
            return Some(last);
        }
        let wide = (i64::from(ends.0), i64::from(ends.1));
        if let Some(last) = avx512::append_sums_64(packed, width, wide, count, out) {
            return Some(last as i32);
        }
        avx2::append_sums(packed, width, ends, count, out)
    }
    #[cfg(target_arch = "aarch64")]
    {
        neon::append_sums_32(packed, width, ends, count, out)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = (packed, width, ends, count, out);
        None
    }
}

/// The same of 64 bits.
#[inline]
pub fn append_sums_64(packed: &[u8], width: u32, ends: (i64, i64), count: usize, out: &mut Vec<i64>) -> Option<i64> {
    #[cfg(target_arch = "x86_64")]
    {
        let last = avx512::append_sums_64(packed, width, ends, count, out);
        last.or_else(|| avx2::append_sums(packed, width, ends, count, out))
    }
    #[cfg(target_arch = "aarch64")]
    {
        neon::append_sums_64(packed, width, ends, count, out)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = (packed, width, ends, count, out);
        None
    }
}

macro_rules! by_width {
    ($width:expr, $input:expr, $out:expr, $($w:literal)*) => {
        match $width {
            $($w => kernel::<$w>($input, $out),)*
            _ => $out.fill(0),
        }
    };
}

fn unpack_whole(input: &[u8], width: u32, out: &mut [u32; BLOCK]) {
    by_width!(width, input, out,
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

/// `$get::<W, 0>(words), …, $get::<W, 31>(words)`: written out, because the compiler leaves a loop of 32 as one, with
/// shifts by variables.
macro_rules! block_of {
    ($get:ident, $w:ident, $words:expr) => {
        block_of!($get, $w, $words, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
    };
    ($get:ident, $w:ident, $words:expr, $($i:literal)*) => {
        [$($get::<$w, $i>($words)),*]
    };
}

#[inline(always)]
fn kernel<const W: usize>(input: &[u8], out: &mut [u32; BLOCK]) {
    let words = words::<W>(input);
    *out = block_of!(value, W, &words);
}

#[inline(always)]
fn words<const W: usize>(input: &[u8]) -> [u32; W] {
    let mut words = [0u32; W];
    for (word, bytes) in words.iter_mut().zip(input.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// Value `I` of a block of width `W`.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "indices are constants below W")]
fn value<const W: usize, const I: usize>(words: &[u32; W]) -> u32 {
    let (at, shift) = (I * W / 32, I * W % 32);
    let mask = if W == 32 { u32::MAX } else { (1u32 << W) - 1 };
    let mut value = words[at] >> shift;
    if shift + W > 32 {
        value |= words[at + 1] << (32 - shift);
    }
    value & mask
}

/// Unpacks a block of 32 values of up to 64 bits from the start of `packed`, padded with zero bits at its end;
/// what is left of it. A width beyond 64 gives zeros.
pub fn unpack_block_wide<'a>(packed: &'a [u8], width: u32, block: &mut [u64; BLOCK]) -> &'a [u8] {
    #[cfg(target_arch = "x86_64")]
    if avx512::unpack_wide(packed, width, block) {
        return packed.get(BLOCK / 8 * width as usize..).unwrap_or_default();
    }
    #[cfg(target_arch = "aarch64")]
    if neon::unpack_wide(packed, width, block) {
        return packed.get(BLOCK / 8 * width as usize..).unwrap_or_default();
    }
    if width <= 32 {
        let mut narrow = [0u32; BLOCK];
        let rest = unpack_block(packed, width, &mut narrow);
        for (to, from) in block.iter_mut().zip(narrow) {
            *to = u64::from(from);
        }
        return rest;
    }
    let block_bytes = BLOCK / 8 * width as usize;
    if let Some((head, rest)) = packed.split_at_checked(block_bytes) {
        unpack_whole_wide(head, width, block);
        return rest;
    }
    let mut padded = [0u8; 8 * BLOCK];
    for (to, from) in padded.iter_mut().zip(packed) {
        *to = *from;
    }
    unpack_whole_wide(padded.get(..block_bytes).unwrap_or_default(), width, block);
    &[]
}

fn unpack_whole_wide(input: &[u8], width: u32, out: &mut [u64; BLOCK]) {
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                $($w => kernel_wide::<$w>(input, out),)*
                _ => out.fill(0),
            }
        };
    }
    by_width!(33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64);
}

#[inline(always)]
fn kernel_wide<const W: usize>(input: &[u8], out: &mut [u64; BLOCK]) {
    let words = words::<W>(input);
    *out = block_of!(value_wide, W, &words);
}

/// Value `I` of a block of width `W`, 33 to 64.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "indices are constants below W")]
fn value_wide<const W: usize, const I: usize>(words: &[u32; W]) -> u64 {
    let (at, shift) = (I * W / 32, I * W % 32);
    let mask = if W == 64 { u64::MAX } else { (1u64 << W) - 1 };
    // Wider than 32 bits: a value lies in two words at least, in three at most.
    let mut value = (u64::from(words[at]) | u64::from(words[at + 1]) << 32) >> shift;
    if shift + W > 64 {
        value |= u64::from(words[at + 2]) << (64 - shift);
    }
    value & mask
}

/// Appends a block of 32 values of up to 64 bits.
pub fn pack_block_wide(values: &[u64; BLOCK], width: u32, out: &mut Vec<u8>) {
    out.reserve(packed_bytes(BLOCK, width));
    if width <= 32 {
        // The usual case, in a word of the processor.
        let (mut word, mut bits) = (0u64, 0);
        for &value in values {
            word |= value << bits;
            bits += width;
            if bits >= 32 {
                out.extend_from_slice(&(word as u32).to_le_bytes());
                word >>= 32;
                bits -= 32;
            }
        }
        return;
    }
    let mut word = 0u128;
    let mut bits = 0;
    for &value in values {
        word |= u128::from(value) << bits;
        bits += width;
        while bits >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            bits -= 32;
        }
    }
    debug_assert_eq!(bits, 0, "32 values fill whole words");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specifications_own_example() {
        // Encodings.md: 0..=7 at width 3 are 88 C6 FA.
        let mut out = Vec::new();
        pack(&[0, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [0x88, 0xC6, 0xFA]);
        let mut back = [0; 8];
        unpack(&out, 3, 0, &mut back);
        assert_eq!(back, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn every_width_and_start_round_trips() {
        for width in 0..=32u32 {
            let mask = ((1u64 << width) - 1) as u32;
            let values: Vec<u32> = (0..150u32).map(|i| i.wrapping_mul(2_654_435_761) & mask).collect();
            let mut packed = Vec::new();
            pack(&values, width, &mut packed);
            assert_eq!(packed.len(), packed_bytes(values.len(), width));
            for skip in [0, 1, 7, 8, 11, 31, 32, 33, 64, 149, 150] {
                let mut back = vec![9; values.len() - skip];
                let greatest = unpack(&packed, width, skip, &mut back);
                assert_eq!(greatest, back.iter().copied().max().unwrap_or(0), "width {width} skip {skip}");
                assert_eq!(back, values[skip..], "width {width}, from {skip}");
            }
        }
    }

    #[test]
    fn the_greatest_is_found_wherever_it_stands() {
        for width in 1..=32u32 {
            for at in 0..77 {
                let mut values = [0; 77];
                values[at] = u32::MAX >> (32 - width);
                let mut packed = Vec::new();
                pack(&values, width, &mut packed);
                for skip in [0, 3, 8] {
                    let mut back = vec![9; values.len() - skip];
                    let want = if at < skip { 0 } else { values[at] };
                    assert_eq!(unpack(&packed, width, skip, &mut back), want, "{width} bits, {at}, from {skip}");
                }
            }
        }
    }

    #[test]
    fn every_kernel_unpacks_the_same_wherever_the_bytes_end() {
        let bytes: Vec<u8> = (0..300u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for width in 0..=64u32 {
            for len in (0..packed_bytes(BLOCK, width) + 5).chain([200, 300]) {
                // In memory of their own: a sanitiser sees what is read behind them.
                let packed = &bytes[..len].to_vec()[..];
                let mut padded = [0; 8 * BLOCK];
                padded[..len.min(8 * BLOCK)].copy_from_slice(&packed[..len.min(8 * BLOCK)]);
                let value = |i: usize| {
                    let (from, width) = (i * width as usize, width as usize);
                    (0..width)
                        .fold(0u64, |v, bit| v | u64::from(padded[(from + bit) / 8] >> ((from + bit) % 8) & 1) << bit)
                };
                let want: [u64; BLOCK] = std::array::from_fn(value);
                let mut wide = [9; BLOCK];
                unpack_block_wide(packed, width, &mut wide);
                assert_eq!(wide, want, "{width} bits of {len} bytes");
                if width <= 32 {
                    let narrow: [u32; BLOCK] = want.map(|value| value as u32);
                    let mut block = [9; BLOCK];
                    unpack_block(packed, width, &mut block);
                    assert_eq!(block, narrow, "{width} bits of {len} bytes");
                    for count in [1, 7, 15, 16, 17, 31] {
                        let mut some = vec![9; count + 1];
                        assert_eq!(
                            unpack(packed, width, 0, &mut some[..count]),
                            *narrow[..count].iter().max().unwrap()
                        );
                        assert_eq!((&some[..count], some[count]), (&narrow[..count], 9), "{width} bits of {len} bytes");
                    }
                }
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_values_one_by_one() {
        let bytes: Vec<u8> = (0..700u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let ends = (-7_654_321_987_654_321_i64, 0x1234_5678_9abc_def0_i64);
        for width in 1..=64u32 {
            for (len, count) in [(700, 32), (700, 70), (40, 32), (3, 9), (0, 1), (700, 1), (700, 0), (65, 64)] {
                let packed = &bytes[..len].to_vec()[..];
                let mut want = Vec::new();
                let mut rest = packed;
                while want.len() < count {
                    let mut block = [0; BLOCK];
                    rest = unpack_block_wide(rest, width, &mut block);
                    want.extend(block);
                }
                want.truncate(count);
                let wide = |last: &mut i64, &value: &u64| {
                    *last = last.wrapping_add(ends.0).wrapping_add(value as i64);
                    Some(*last)
                };
                let want: Vec<i64> = want.iter().scan(ends.1, wide).collect();
                let mut out = vec![5i64; 3];
                if let Some(last) = append_sums_64(packed, width, ends, count, &mut out) {
                    assert_eq!(out, [&[5; 3], &want[..]].concat(), "{width} bits of {len} bytes");
                    assert_eq!(last, want.last().copied().unwrap_or(ends.1), "{width} bits of {len} bytes");
                } else {
                    assert_eq!(out, [5; 3]);
                }
                let mut out = vec![5i32; 3];
                let ends = (ends.0 as i32, ends.1 as i32);
                if let Some(last) = append_sums_32(packed, width, ends, count, &mut out) {
                    let want: Vec<i32> = want.iter().map(|&sum| sum as i32).collect();
                    assert_eq!(out, [&[5; 3], &want[..]].concat(), "{width} bits of {len} bytes");
                    assert_eq!(last, want.last().copied().unwrap_or(ends.1), "{width} bits of {len} bytes");
                } else {
                    assert_eq!(out, [5; 3]);
                }
            }
        }
    }

    #[test]
    fn every_wide_width_round_trips() {
        for width in 0..=64u32 {
            let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
            let values: [u64; BLOCK] =
                std::array::from_fn(|i| (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) & mask);
            let mut packed = Vec::new();
            pack_block_wide(&values, width, &mut packed);
            assert_eq!(packed.len(), packed_bytes(BLOCK, width));
            packed.push(7);
            let mut back = [9; BLOCK];
            assert_eq!(unpack_block_wide(&packed, width, &mut back), [7]);
            assert_eq!(back, values, "width {width}");
            // Cut short, the values that are there still come out.
            packed.truncate(packed_bytes(5, width));
            unpack_block_wide(&packed, width, &mut back);
            assert_eq!(back[..5], values[..5], "width {width}, cut");
        }
    }

    #[test]
    fn bytes_that_are_not_there_are_no_panic() {
        let mut out = [7; 70];
        unpack(&[0xff; 3], 5, 40, &mut out);
        assert_eq!(out, [0; 70]);
        unpack(&[], 32, usize::MAX / 64, &mut out);
        assert_eq!(out, [0; 70]);
    }
}
