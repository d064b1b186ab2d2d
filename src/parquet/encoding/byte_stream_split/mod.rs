//! BYTE_STREAM_SPLIT: first bytes of all values, then their second bytes, and so on.
//!
//! Spec: Encodings.md, "Byte Stream Split (BYTE_STREAM_SPLIT = 9)".
//!
//! ```text
//! values     AABBCCDD 00112233 A3B4C5D6
//! encoded    AA 00 A3 | BB 11 B4 | CC 22 C5 | DD 33 D6
//! ```
//!
//! Nothing gets smaller by it, but like bytes stand together for the codec that follows.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(target_arch = "x86_64")]
use avx2::join;
#[cfg(target_arch = "aarch64")]
use neon::join;

use crate::error::{Error, Result};

/// Appends the values of `width` bytes each that stand back to back in `values`.
pub fn encode(values: &[u8], width: usize, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    debug_assert_eq!(values.len() % width, 0);
    out.reserve(values.len());
    for stream in 0..width {
        out.extend(values.iter().skip(stream).step_by(width));
    }
}

/// Writes values from number `skip` on, back to back, into `values`: as many as fill it, of a page that holds
/// `bytes.len() / width`.
pub fn decode(bytes: &[u8], width: usize, skip: usize, values: &mut [u8]) -> Result<()> {
    if width == 0 || !bytes.len().is_multiple_of(width) {
        return Err(Error::corrupt(format!("{} bytes of values of {width} bytes each", bytes.len())));
    }
    let (total, count) = (bytes.len() / width, values.len() / width);
    if skip.checked_add(count).is_none_or(|end| end > total) {
        return Err(Error::corrupt(format!("values {skip} to {skip} + {count} wanted, {total} are there")));
    }
    if count > 0 {
        fill(bytes, width, skip, values);
    }
    Ok(())
}

/// Replaces `out` by all values of a page; what is in it is overwritten, and not zeroed before.
pub fn decode_all(bytes: &[u8], width: usize, out: &mut Vec<u8>) -> Result<()> {
    out.resize(bytes.len(), 0);
    decode(bytes, width, 0, out)
}

/// Writes values from number `skip` on into `values`, of a page that has them.
fn fill(bytes: &[u8], width: usize, skip: usize, values: &mut [u8]) {
    let total = bytes.len() / width.max(1);
    // The common widths as constants, so that the inner loop is a plain transposition.
    match width {
        2 => transpose::<2>(bytes, total, skip, values),
        4 => transpose::<4>(bytes, total, skip, values),
        8 => transpose::<8>(bytes, total, skip, values),
        _ => {
            for (stream, column) in bytes.chunks_exact(total.max(1)).enumerate() {
                let column = column.get(skip..).unwrap_or_default();
                for (to, from) in values.iter_mut().skip(stream).step_by(width.max(1)).zip(column) {
                    *to = *from;
                }
            }
        }
    }
}

#[inline]
fn transpose<const W: usize>(bytes: &[u8], total: usize, skip: usize, values: &mut [u8]) {
    let mut streams = bytes.chunks_exact(total.max(1));
    let mut columns: [&[u8]; W] = [&[]; W];
    for column in &mut columns {
        *column = streams.next().and_then(|s| s.get(skip..)).unwrap_or_default();
    }
    let done = join(&columns, values);
    for column in &mut columns {
        *column = column.get(done..).unwrap_or_default();
    }
    let values = values.get_mut(done * W..).unwrap_or_default();
    let done = whole(&mut columns, values);
    let (rows, _) = values.get_mut(done..).unwrap_or_default().as_chunks_mut::<W>();
    for (i, row) in rows.iter_mut().enumerate() {
        for (to, column) in row.iter_mut().zip(&columns) {
            *to = column.get(i).copied().unwrap_or_default();
        }
    }
}

/// Of other processors no vectors are known.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn join<const W: usize>(_: &[&[u8]; W], _: &mut [u8]) -> usize {
    0
}

/// Bytes of a stream that are taken at a time.
const STEP: usize = 16;

/// As many values as whole steps of them are wanted; the bytes that these take in `values`. The columns go on behind them.
#[inline]
fn whole<const W: usize>(columns: &mut [&[u8]; W], values: &mut [u8]) -> usize {
    let mut done = 0;
    while let Some(to) = values.get_mut(done..done + STEP * W) {
        let mut block = [[0u8; STEP]; W];
        for (chunk, column) in block.iter_mut().zip(columns.iter_mut()) {
            let Some((head, rest)) = column.split_first_chunk::<STEP>() else { return done };
            (*chunk, *column) = (*head, rest);
        }
        // Each round puts the bytes of stream i and i + W / 2 beside each other.
        let mut width = W;
        while width > 1 {
            block = zip(&block);
            width /= 2;
        }
        for (to, chunk) in to.as_chunks_mut::<STEP>().0.iter_mut().zip(&block) {
            *to = *chunk;
        }
        done += STEP * W;
    }
    done
}

/// Blocks i and i + W / 2 as two blocks with their bytes in turn.
#[inline(always)]
fn zip<const W: usize>(block: &[[u8; STEP]; W]) -> [[u8; STEP]; W] {
    let mut out = [[0u8; STEP]; W];
    let (low, high) = block.split_at(W / 2);
    for (pair, (a, b)) in out.as_chunks_mut::<2>().0.iter_mut().zip(low.iter().zip(high)) {
        *pair = in_turn(*a, *b);
    }
    out
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "bytes in turn are one instruction, and sixteen without: a third of the time to split")]
#[inline(always)]
fn in_turn(a: [u8; STEP], b: [u8; STEP]) -> [[u8; STEP]; 2] {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8};

    // SAFETY: SSE2 is part of the architecture's baseline; the loads and stores are of whole arrays.
    unsafe {
        let (a, b) = (_mm_loadu_si128(a.as_ptr().cast()), _mm_loadu_si128(b.as_ptr().cast()));
        let mut out = [[0; STEP]; 2];
        let [low, high] = &mut out;
        _mm_storeu_si128(low.as_mut_ptr().cast(), _mm_unpacklo_epi8(a, b));
        _mm_storeu_si128(high.as_mut_ptr().cast(), _mm_unpackhi_epi8(a, b));
        out
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn in_turn(a: [u8; STEP], b: [u8; STEP]) -> [[u8; STEP]; 2] {
    let mut out = [[0; STEP]; 2];
    for (pair, (a, b)) in out.as_flattened_mut().as_chunks_mut::<2>().0.iter_mut().zip(a.into_iter().zip(b)) {
        *pair = [a, b];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_specifications_own_example() {
        let values = [0xAA, 0xBB, 0xCC, 0xDD, 0x00, 0x11, 0x22, 0x33, 0xA3, 0xB4, 0xC5, 0xD6];
        let mut out = Vec::new();
        encode(&values, 4, &mut out);
        assert_eq!(out, [0xAA, 0x00, 0xA3, 0xBB, 0x11, 0xB4, 0xCC, 0x22, 0xC5, 0xDD, 0x33, 0xD6]);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(decode(&[0; 10], 4, 0, &mut [0; 8]).is_err());
        assert!(decode(&[0; 8], 4, 1, &mut [0; 8]).is_err());
        assert!(decode(&[0; 8], 4, usize::MAX, &mut [0; 8]).is_err());
        assert!(decode(&[], 4, 0, &mut []).is_ok());
        assert!(decode(&[], 0, 0, &mut []).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(count in 0usize..300, width in 1usize..20, cut in 0usize..100, seed in any::<u8>()) {
            let values: Vec<u8> = (0..count * width).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
            let mut bytes = Vec::new();
            encode(&values, width, &mut bytes);
            let cut = cut.min(count);
            let mut out = vec![1; (count - cut) * width];
            decode(&bytes, width, cut, &mut out).expect("decodes");
            prop_assert_eq!(&out[..], &values[cut * width..]);
            decode_all(&bytes, width, &mut out).expect("decodes");
            prop_assert_eq!(out, values);
        }
    }
}
