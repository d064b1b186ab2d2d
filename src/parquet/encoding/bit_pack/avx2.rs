//! Unpacking of eight values at a time with AVX2.
//!
//! ```text
//! packed   values 0..4 in 16 bytes from byte 0, values 4..8 in 16 bytes from byte W / 2
//! shuffle  to each 32-bit lane the four bytes in which its value begins
//! shift    each lane by the bits before its value; mask to W bits
//! ```
//!
//! A value of up to 25 bits lies in the four bytes in which it begins, wherever in the first one it does.
#![expect(
    unsafe_code,
    reason = "vector loads and stores; unpacking is a quarter of reading dictionary columns without"
)]

use std::arch::x86_64::*;

use super::super::cpu;

/// The widest value that this knows.
const WIDTH_MAX: u32 = 25;
/// Values of a step.
const STEP: usize = 8;
/// Bytes of a load.
const LOAD: usize = 16;

/// Unpacks from the start of `packed` as many of the values as can be without reading past its end, eight by eight; how
/// many, and the greatest of them. None at all, and 0, where the width or the processor is not known.
#[inline]
pub(super) fn unpack(packed: &[u8], width: u32, out: &mut [u32]) -> (usize, u32) {
    // Of a step, the second load ends furthest.
    let last_load = width as usize / 2 + LOAD;
    if width == 0 || width > WIDTH_MAX || packed.len() < last_load || out.len() < STEP || !cpu::has_avx2() {
        return (0, 0);
    }
    let all = out.len() / STEP;
    // Nearly always there is more behind: a product is faster than to divide.
    let steps = match (all - 1).checked_mul(width as usize) {
        Some(last) if last <= packed.len() - last_load => all,
        _ => all.min((packed.len() - last_load) / width as usize + 1),
    };
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                // SAFETY: the processor has AVX2, and `steps` is such that (steps - 1) * width + last_load is within
                // `packed` and steps * STEP within `out`.
                $($w => unsafe { steps_of::<$w>(packed, out, steps) },)*
                _ => return (0, 0),
            }
        };
    }
    let greatest = by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25);
    (steps * STEP, greatest)
}

/// The greatest of the values.
///
/// # Safety
/// The caller has seen AVX2; `packed` has `(steps - 1) * W + W / 2 + LOAD` bytes at least, `out` `steps * STEP` values.
#[target_feature(enable = "avx2")]
unsafe fn steps_of<const W: usize>(packed: &[u8], out: &mut [u32], steps: usize) -> u32 {
    debug_assert!(packed.len() >= (steps - 1) * W + W / 2 + LOAD && out.len() >= steps * STEP);
    let (shuffle, shift) = const { (shuffle(W), shifts(W)) };
    // SAFETY: both arrays are 32 bytes long.
    let (shuffle, shift) =
        unsafe { (_mm256_loadu_si256(shuffle.as_ptr().cast()), _mm256_loadu_si256(shift.as_ptr().cast())) };
    let mask = _mm256_set1_epi32(((1u32 << W) - 1).cast_signed());
    let mut greatest = _mm256_setzero_si256();
    let (mut from, mut to) = (packed.as_ptr(), out.as_mut_ptr());
    for _ in 0..steps {
        // SAFETY: as promised by the caller, both loads and the store are within the slices in each step; behind the last
        // step the pointers are not used.
        unsafe {
            let low = _mm_loadu_si128(from.cast());
            let high = _mm_loadu_si128(from.add(W / 2).cast());
            let bytes = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), shuffle);
            let values = _mm256_and_si256(_mm256_srlv_epi32(bytes, shift), mask);
            _mm256_storeu_si256(to.cast(), values);
            greatest = _mm256_max_epu32(greatest, values);
            from = from.wrapping_add(W);
            to = to.wrapping_add(STEP);
        }
    }
    let greatest = _mm_max_epu32(_mm256_castsi256_si128(greatest), _mm256_extracti128_si256::<1>(greatest));
    let greatest = _mm_max_epu32(greatest, _mm_shuffle_epi32::<0b01_00_11_10>(greatest));
    let greatest = _mm_max_epu32(greatest, _mm_shuffle_epi32::<0b10_11_00_01>(greatest));
    _mm_cvtsi128_si32(greatest).cast_unsigned()
}

/// The bit of value `i` in its half's 16 bytes.
const fn bit(width: usize, i: usize) -> usize {
    // The second half begins at bit 4 * W, its load at byte W / 2.
    if i < 4 { i * width } else { (i - 4) * width + 4 * (width % 2) }
}

const fn shuffle(width: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut i = 0;
    while i < 32 {
        #[expect(clippy::indexing_slicing, reason = "a constant, within bounds or it does not compile")]
        {
            bytes[i] = (bit(width, i / 4) / 8 + i % 4) as u8;
        }
        i += 1;
    }
    bytes
}

const fn shifts(width: usize) -> [u32; 8] {
    let mut shifts = [0; 8];
    let mut i = 0;
    while i < 8 {
        #[expect(clippy::indexing_slicing, reason = "a constant, within bounds or it does not compile")]
        {
            shifts[i] = (bit(width, i) % 8) as u32;
        }
        i += 1;
    }
    shifts
}
