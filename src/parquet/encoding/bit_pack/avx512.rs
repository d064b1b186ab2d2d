//! Unpacking of sixteen values at a time, or of eight wide ones, with AVX-512.
//!
//! ```text
//! packed   64 bytes, or as many as are left of them
//! permute  to each lane the bytes in which its value lies, wherever they are (VBMI)
//! shift    each lane by the bits before its value; mask to W bits
//! ```
//!
//! A value of up to 25 bits lies in the four bytes in which it begins, wherever in the first one it does; one of up to 57
//! bits in eight.
#![expect(unsafe_code, reason = "vector loads and stores; half the time of unpacking by AVX2")]

use std::arch::x86_64::*;

use super::super::cpu;

/// The widest value that lies in a lane of 32 bits, and of 64.
const WIDTH_MAX: usize = 25;
const WIDE_MAX: usize = 57;
/// Values of a step.
const STEP: usize = 16;
const STEP_WIDE: usize = 8;

/// Sixty-four bytes of a constant.
#[repr(align(64))]
struct Lanes([u8; 64]);

/// For each width which bytes make the lanes, and the bits before the value in each.
static BYTES: [Lanes; WIDTH_MAX + 1] = table::<{ WIDTH_MAX + 1 }, 4>(false);
static SHIFTS: [Lanes; WIDTH_MAX + 1] = table::<{ WIDTH_MAX + 1 }, 4>(true);
static BYTES_WIDE: [Lanes; WIDE_MAX + 1] = table::<{ WIDE_MAX + 1 }, 8>(false);
static SHIFTS_WIDE: [Lanes; WIDE_MAX + 1] = table::<{ WIDE_MAX + 1 }, 8>(true);

/// Unpacks values from the start of `packed`, all that `out` holds; those that are not there come out as 0. The greatest of them;
/// nothing is done, and none given, where the width or the processor is not known.
#[inline]
pub(super) fn unpack(packed: &[u8], width: u32, out: &mut [u32]) -> Option<u32> {
    let width = width as usize;
    let (bytes, shifts) = (BYTES.get(width)?, SHIFTS.get(width)?);
    // SAFETY: the processor has what the function is compiled for.
    cpu::has_avx512().then(|| unsafe { steps(packed, width, bytes, shifts, out) })
}

/// The same of wide values; whether it was done.
#[inline]
pub(super) fn unpack_wide(packed: &[u8], width: u32, out: &mut [u64]) -> bool {
    let width = width as usize;
    let (Some(bytes), Some(shifts)) = (BYTES_WIDE.get(width), SHIFTS_WIDE.get(width)) else { return false };
    // SAFETY: the processor has what the function is compiled for.
    cpu::has_avx512().then(|| unsafe { steps_wide(packed, width, bytes, shifts, out) }).is_some()
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn steps(mut packed: &[u8], width: usize, bytes: &Lanes, shifts: &Lanes, out: &mut [u32]) -> u32 {
    let (bytes, shifts) = (load(&bytes.0), load(&shifts.0));
    let mask = _mm512_set1_epi32(((1u32 << width) - 1).cast_signed());
    let mut greatest = _mm512_setzero_si512();
    let (whole, rest) = out.as_chunks_mut::<STEP>();
    for step in whole {
        let lanes = _mm512_permutexvar_epi8(bytes, load(packed));
        let values = _mm512_and_si512(_mm512_srlv_epi32(lanes, shifts), mask);
        // SAFETY: a step is 64 bytes long.
        unsafe { _mm512_storeu_si512(step.as_mut_ptr().cast(), values) };
        greatest = _mm512_max_epu32(greatest, values);
        packed = packed.get(width * (STEP / 8)..).unwrap_or_default();
    }
    if !rest.is_empty() {
        let wanted = (1u16 << rest.len()) - 1;
        let lanes = _mm512_permutexvar_epi8(bytes, load(packed));
        let values = _mm512_maskz_srlv_epi32(wanted, lanes, shifts);
        let values = _mm512_and_si512(values, mask);
        // SAFETY: as many values are stored as `rest` holds.
        unsafe { _mm512_mask_storeu_epi32(rest.as_mut_ptr().cast(), wanted, values) };
        greatest = _mm512_max_epu32(greatest, values);
    }
    _mm512_reduce_max_epu32(greatest)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn steps_wide(mut packed: &[u8], width: usize, bytes: &Lanes, shifts: &Lanes, out: &mut [u64]) {
    let (bytes, shifts) = (load(&bytes.0), load(&shifts.0));
    let mask = _mm512_set1_epi64(((1u64 << width) - 1).cast_signed());
    let (whole, rest) = out.as_chunks_mut::<STEP_WIDE>();
    for step in whole {
        let lanes = _mm512_permutexvar_epi8(bytes, load(packed));
        let values = _mm512_and_si512(_mm512_srlv_epi64(lanes, shifts), mask);
        // SAFETY: a step is 64 bytes long.
        unsafe { _mm512_storeu_si512(step.as_mut_ptr().cast(), values) };
        packed = packed.get(width..).unwrap_or_default();
    }
    if !rest.is_empty() {
        let wanted = (1u8 << rest.len()) - 1;
        let lanes = _mm512_permutexvar_epi8(bytes, load(packed));
        let values = _mm512_and_si512(_mm512_srlv_epi64(lanes, shifts), mask);
        // SAFETY: as many values are stored as `rest` holds.
        unsafe { _mm512_mask_storeu_epi64(rest.as_mut_ptr().cast(), wanted, values) };
    }
}

/// Appends `count` sums: `last` and `least` and the first of the values that `packed` begins with, that and `least` and the second, and so
/// on, all wrapping. Values that are not there count as 0. The last sum; nothing is done, and none given, where the width or the
/// processor is not known.
#[inline]
pub(super) fn append_sums_32(
    packed: &[u8],
    width: u32,
    (least, last): (i32, i32),
    count: usize,
    out: &mut Vec<i32>,
) -> Option<i32> {
    let width = width as usize;
    let (bytes, shifts) = (BYTES.get(width)?, SHIFTS.get(width)?);
    // SAFETY: the processor has what the function is compiled for.
    cpu::has_avx512().then(|| unsafe { sums_32(packed, width, (bytes, shifts), (least, last), count, out) })
}

/// The same of wide values, and of sums of 64 bits or their low 32.
#[inline]
pub(super) fn append_sums_64<T: Sum>(
    packed: &[u8],
    width: u32,
    (least, last): (i64, i64),
    count: usize,
    out: &mut Vec<T>,
) -> Option<i64> {
    let width = width as usize;
    let (bytes, shifts) = (BYTES_WIDE.get(width)?, SHIFTS_WIDE.get(width)?);
    // SAFETY: the processor has what the function is compiled for.
    cpu::has_avx512().then(|| unsafe { sums_64(packed, width, (bytes, shifts), (least, last), count, out) })
}

/// What sums of 64 bits are stored as.
pub(super) trait Sum: Copy {
    /// Stores the first of the sums.
    ///
    /// # Safety
    /// The processor has AVX-512, and there is room at `to` for as many as `wanted` has bits.
    unsafe fn store(to: *mut Self, wanted: u8, sums: __m512i);
}

impl Sum for i64 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    unsafe fn store(to: *mut i64, wanted: u8, sums: __m512i) {
        // SAFETY: as the caller promises.
        unsafe { _mm512_mask_storeu_epi64(to, wanted, sums) };
    }
}

impl Sum for i32 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    unsafe fn store(to: *mut i32, wanted: u8, sums: __m512i) {
        // SAFETY: as the caller promises.
        unsafe { _mm256_mask_storeu_epi32(to, wanted, _mm512_cvtepi64_epi32(sums)) };
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn sums_32(
    mut packed: &[u8],
    width: usize,
    (bytes, shifts): (&Lanes, &Lanes),
    (least, last): (i32, i32),
    count: usize,
    out: &mut Vec<i32>,
) -> i32 {
    let (bytes, shifts) = (load(&bytes.0), load(&shifts.0));
    let mask = _mm512_set1_epi32(((1u32 << width) - 1).cast_signed());
    let (least, zero, end) = (_mm512_set1_epi32(least), _mm512_setzero_si512(), _mm512_set1_epi32(STEP as i32 - 1));
    let mut last = _mm512_set1_epi32(last);
    out.reserve(count);
    let mut left = count;
    while left > 0 {
        let n = left.min(STEP);
        let wanted = u16::MAX >> (STEP - n);
        let lanes = _mm512_permutexvar_epi8(bytes, load(packed));
        let steps = _mm512_and_si512(_mm512_srlv_epi32(lanes, shifts), mask);
        // Those that are not wanted add nothing, so that the last lane is the last sum.
        let steps = _mm512_maskz_add_epi32(wanted, steps, least);
        let sums = _mm512_add_epi32(steps, _mm512_alignr_epi32::<15>(steps, zero));
        let sums = _mm512_add_epi32(sums, _mm512_alignr_epi32::<14>(sums, zero));
        let sums = _mm512_add_epi32(sums, _mm512_alignr_epi32::<12>(sums, zero));
        let sums = _mm512_add_epi32(sums, _mm512_alignr_epi32::<8>(sums, zero));
        // SAFETY: room for `count` values was reserved; `left` of them are not written yet, of which these are the first.
        unsafe {
            let to = out.as_mut_ptr().add(out.len());
            _mm512_mask_storeu_epi32(to, wanted, _mm512_add_epi32(sums, last));
            out.set_len(out.len() + n);
        }
        // Nothing waits for the sums before but this.
        last = _mm512_add_epi32(last, _mm512_permutexvar_epi32(end, sums));
        packed = packed.get(width * (STEP / 8)..).unwrap_or_default();
        left -= n;
    }
    _mm512_cvtsi512_si32(last)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn sums_64<T: Sum>(
    mut packed: &[u8],
    width: usize,
    (bytes, shifts): (&Lanes, &Lanes),
    (least, last): (i64, i64),
    count: usize,
    out: &mut Vec<T>,
) -> i64 {
    let (bytes, shifts) = (load(&bytes.0), load(&shifts.0));
    let mask = _mm512_set1_epi64(((1u64 << width) - 1).cast_signed());
    let (least, zero) = (_mm512_set1_epi64(least), _mm512_setzero_si512());
    let end = _mm512_set1_epi64(STEP_WIDE as i64 - 1);
    let mut last = _mm512_set1_epi64(last);
    out.reserve(count);
    let mut left = count;
    while left > 0 {
        let n = left.min(STEP_WIDE);
        let wanted = u8::MAX >> (STEP_WIDE - n);
        let lanes = _mm512_permutexvar_epi8(bytes, load(packed));
        let steps = _mm512_and_si512(_mm512_srlv_epi64(lanes, shifts), mask);
        // As above.
        let steps = _mm512_maskz_add_epi64(wanted, steps, least);
        let sums = _mm512_add_epi64(steps, _mm512_alignr_epi64::<7>(steps, zero));
        let sums = _mm512_add_epi64(sums, _mm512_alignr_epi64::<6>(sums, zero));
        let sums = _mm512_add_epi64(sums, _mm512_alignr_epi64::<4>(sums, zero));
        // SAFETY: room for `count` values was reserved; `left` of them are not written yet, of which these are the first.
        unsafe {
            T::store(out.as_mut_ptr().add(out.len()), wanted, _mm512_add_epi64(sums, last));
            out.set_len(out.len() + n);
        }
        last = _mm512_add_epi64(last, _mm512_permutexvar_epi64(end, sums));
        packed = packed.get(width..).unwrap_or_default();
        left -= n;
    }
    _mm_cvtsi128_si64(_mm512_castsi512_si128(last))
}

/// The first 64 bytes, zeros behind the end.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
#[inline]
fn load(bytes: &[u8]) -> __m512i {
    match bytes.first_chunk::<64>() {
        // SAFETY: all 64 bytes are there.
        Some(bytes) => unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) },
        None => {
            let there = (1u64 << bytes.len()) - 1;
            // SAFETY: only the bytes that are there are loaded, fewer than 64.
            unsafe { _mm512_maskz_loadu_epi8(there, bytes.as_ptr().cast()) }
        }
    }
}

/// Of each width the byte of `packed` for each byte of the lanes of `LANE` bytes, or the shift of each lane.
const fn table<const WIDTHS: usize, const LANE: usize>(is_shift: bool) -> [Lanes; WIDTHS] {
    let mut all = [const { Lanes([0; 64]) }; WIDTHS];
    let mut width = 0;
    while width < WIDTHS {
        let mut i = 0;
        while i < 64 {
            let bit = i / LANE * width;
            #[expect(clippy::indexing_slicing, reason = "a constant, within bounds or it does not compile")]
            {
                all[width].0[i] = match is_shift {
                    // Little-endian: the least byte of the lane.
                    true if i % LANE == 0 => (bit % 8) as u8,
                    true => 0,
                    false => (bit / 8 + i % LANE) as u8,
                };
            }
            i += 1;
        }
        width += 1;
    }
    all
}
