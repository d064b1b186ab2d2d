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

/// For each width what `steps_of` has as constants.
static LANES: [([u8; 32], [u32; 8]); WIDTH_MAX as usize + 1] = {
    let mut all = [([0; 32], [0; 8]); WIDTH_MAX as usize + 1];
    let mut width = 1;
    while width <= WIDTH_MAX as usize {
        #[expect(clippy::indexing_slicing, reason = "a constant, within bounds or it does not compile")]
        {
            all[width] = (shuffle(width), shifts(width));
        }
        width += 1;
    }
    all
};

/// Appends `count` sums, whole steps: `last` and `least` and the first of the values that `packed` begins with, that and `least` and the
/// second, and so on, all wrapping. The last sum; nothing is done, and none given, where the bytes end too near behind the values, or the
/// width or the processor is not known.
#[inline]
pub(super) fn append_sums<T: Sum>(
    packed: &[u8],
    width: u32,
    (least, last): (T, T),
    count: usize,
    out: &mut Vec<T>,
) -> Option<T> {
    let steps = count / STEP;
    let last_step = steps.checked_sub(1)?.checked_mul(width as usize)?;
    let end = last_step.checked_add(width as usize / 2 + LOAD)?;
    if width == 0 || !count.is_multiple_of(STEP) || packed.len() < end || !cpu::has_avx2() {
        return None;
    }
    let lanes = LANES.get(width as usize)?;
    out.reserve(count);
    // SAFETY: the processor has AVX2; the last step's second load, which ends furthest, ends within `packed`, and there is room for
    // `count` sums, all of which are written.
    unsafe {
        let to = out.as_mut_ptr().add(out.len());
        let last = T::sums(packed.as_ptr(), width as usize, lanes, (least, last), steps, to);
        out.set_len(out.len() + count);
        Some(last)
    }
}

/// A number that differences are of.
pub(super) trait Sum: Copy {
    /// Stores the sums of so many steps; the last of them.
    ///
    /// # Safety
    /// The processor has AVX2; `(steps - 1) * width + width / 2 + LOAD` bytes can be read from `from` on, `steps * STEP` sums
    /// written from `to` on.
    unsafe fn sums(
        from: *const u8,
        width: usize,
        lanes: &([u8; 32], [u32; 8]),
        ends: (Self, Self),
        steps: usize,
        to: *mut Self,
    ) -> Self;
}

/// The values of a step.
///
/// # Safety
/// The processor has AVX2, and `width / 2 + LOAD` bytes can be read from `from` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn step(from: *const u8, width: usize, shuffle: __m256i, shift: __m256i, mask: __m256i) -> __m256i {
    // SAFETY: as the caller promises.
    let (low, high) = unsafe { (_mm_loadu_si128(from.cast()), _mm_loadu_si128(from.wrapping_add(width / 2).cast())) };
    let bytes = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), shuffle);
    _mm256_and_si256(_mm256_srlv_epi32(bytes, shift), mask)
}

impl Sum for i32 {
    #[target_feature(enable = "avx2")]
    unsafe fn sums(
        mut from: *const u8,
        width: usize,
        lanes: &([u8; 32], [u32; 8]),
        (least, last): (i32, i32),
        steps: usize,
        mut to: *mut i32,
    ) -> i32 {
        // SAFETY: both arrays are 32 bytes long.
        let (shuffle, shift) =
            unsafe { (_mm256_loadu_si256(lanes.0.as_ptr().cast()), _mm256_loadu_si256(lanes.1.as_ptr().cast())) };
        let mask = _mm256_set1_epi32(((1u32 << width) - 1).cast_signed());
        let (least, end) = (_mm256_set1_epi32(least), _mm256_set1_epi32(STEP as i32 - 1));
        let mut last = _mm256_set1_epi32(last);
        for _ in 0..steps {
            // SAFETY: as the caller promises; behind the last step the pointers are not used.
            let values = unsafe { step(from, width, shuffle, shift, mask) };
            let sums = _mm256_add_epi32(values, least);
            let sums = _mm256_add_epi32(sums, _mm256_slli_si256::<4>(sums));
            let sums = _mm256_add_epi32(sums, _mm256_slli_si256::<8>(sums));
            // The first half's sum is a part of those of the second.
            let half = _mm256_shuffle_epi32::<0xff>(_mm256_permute2x128_si256::<0x08>(sums, sums));
            let sums = _mm256_add_epi32(sums, half);
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(to.cast(), _mm256_add_epi32(sums, last)) };
            // Nothing waits for the step before but this.
            last = _mm256_add_epi32(last, _mm256_permutevar8x32_epi32(sums, end));
            from = from.wrapping_add(width);
            to = to.wrapping_add(STEP);
        }
        _mm256_cvtsi256_si32(last)
    }
}

impl Sum for i64 {
    #[target_feature(enable = "avx2")]
    unsafe fn sums(
        mut from: *const u8,
        width: usize,
        lanes: &([u8; 32], [u32; 8]),
        (least, last): (i64, i64),
        steps: usize,
        mut to: *mut i64,
    ) -> i64 {
        // SAFETY: both arrays are 32 bytes long.
        let (shuffle, shift) =
            unsafe { (_mm256_loadu_si256(lanes.0.as_ptr().cast()), _mm256_loadu_si256(lanes.1.as_ptr().cast())) };
        let mask = _mm256_set1_epi32(((1u32 << width) - 1).cast_signed());
        let least = _mm256_set1_epi64x(least);
        let mut last = _mm256_set1_epi64x(last);
        for _ in 0..steps {
            // SAFETY: as the caller promises; behind the last step the pointers are not used.
            let values = unsafe { step(from, width, shuffle, shift, mask) };
            for four in [_mm256_castsi256_si128(values), _mm256_extracti128_si256::<1>(values)] {
                let sums = _mm256_add_epi64(_mm256_cvtepu32_epi64(four), least);
                let sums = _mm256_add_epi64(sums, _mm256_slli_si256::<8>(sums));
                let half = _mm256_permute2x128_si256::<0x08>(sums, sums);
                let sums = _mm256_add_epi64(sums, _mm256_unpackhi_epi64(half, half));
                // SAFETY: as above.
                unsafe { _mm256_storeu_si256(to.cast(), _mm256_add_epi64(sums, last)) };
                last = _mm256_add_epi64(last, _mm256_permute4x64_epi64::<0xff>(sums));
                to = to.wrapping_add(STEP / 2);
            }
            from = from.wrapping_add(width);
        }
        _mm_cvtsi128_si64(_mm256_castsi256_si128(last))
    }
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
