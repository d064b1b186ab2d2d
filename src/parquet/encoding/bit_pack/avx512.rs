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
    cpu::has_avx512() && unsafe { steps_wide(packed, width, bytes, shifts, out) }
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

/// True.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn steps_wide(mut packed: &[u8], width: usize, bytes: &Lanes, shifts: &Lanes, out: &mut [u64]) -> bool {
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
    true
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
