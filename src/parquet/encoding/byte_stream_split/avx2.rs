//! Streams of bytes put together with AVX2, 32 values at a time.
//!
//! ```text
//! load      stream i of W: 32 bytes, those of values 0..16 in the low lane, of 16..32 in the high one
//! rounds    log2(W) times, bytes of streams i and i + W / 2 in turn, in each lane
//! store     all low lanes, then all high lanes
//! ```
#![expect(unsafe_code, reason = "vector loads and stores: a third of the time to read split columns without")]

use std::arch::x86_64::*;

use super::super::cpu;

/// Values of a step.
const STEP: usize = 32;
/// Bytes of a lane.
const LANE: usize = 16;

/// Writes the values whose bytes stand in `columns` into `values`, as many as fill whole steps; how many. None where the
/// processor is not known. `W` is a power of two.
#[inline]
pub(super) fn join<const W: usize>(columns: &[&[u8]; W], values: &mut [u8]) -> usize {
    let shortest = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let steps = shortest.min(values.len() / W) / STEP;
    if steps == 0 || !cpu::has_avx2() {
        return 0;
    }
    // SAFETY: the processor has AVX2; each column has `steps * STEP` bytes at least, `values` `W` times as many.
    unsafe { steps_of(columns, values, steps) };
    steps * STEP
}

/// # Safety
/// The caller has seen AVX2; each column has `steps * STEP` bytes at least, `values` `W` times as many.
#[target_feature(enable = "avx2")]
unsafe fn steps_of<const W: usize>(columns: &[&[u8]; W], values: &mut [u8], steps: usize) {
    debug_assert!(columns.iter().all(|column| column.len() >= steps * STEP) && values.len() >= steps * STEP * W);
    let mut to = values.as_mut_ptr();
    for step in 0..steps {
        let mut block = [_mm256_setzero_si256(); W];
        for (register, column) in block.iter_mut().zip(columns) {
            // SAFETY: as promised by the caller, 32 bytes stand there.
            *register = unsafe { _mm256_loadu_si256(column.as_ptr().add(step * STEP).cast()) };
        }
        let mut width = W;
        while width > 1 {
            block = zip(&block);
            width /= 2;
        }
        for (lane, register) in block.iter().enumerate() {
            // SAFETY: as promised by the caller, there is room for `STEP * W` bytes; W lanes of 16 are the first half.
            unsafe {
                _mm_storeu_si128(to.add(lane * LANE).cast(), _mm256_castsi256_si128(*register));
                _mm_storeu_si128(to.add((W + lane) * LANE).cast(), _mm256_extracti128_si256::<1>(*register));
            }
        }
        to = to.wrapping_add(STEP * W);
    }
}

/// Registers i and i + W / 2 as two registers with their bytes in turn, lane by lane.
#[inline]
#[target_feature(enable = "avx2")]
fn zip<const W: usize>(block: &[__m256i; W]) -> [__m256i; W] {
    let mut out = [_mm256_setzero_si256(); W];
    let (low, high) = block.split_at(W / 2);
    for (pair, (a, b)) in out.as_chunks_mut::<2>().0.iter_mut().zip(low.iter().zip(high)) {
        *pair = [_mm256_unpacklo_epi8(*a, *b), _mm256_unpackhi_epi8(*a, *b)];
    }
    out
}
