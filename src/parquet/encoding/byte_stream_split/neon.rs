//! Streams of bytes put together with NEON, 16 values at a time.
//!
//! ```text
//! load      16 bytes of each of W streams
//! rounds    log2(W) times, bytes of streams i and i + W / 2 in turn
//! ```
#![expect(unsafe_code, reason = "vector loads and stores: three instructions a value of eight bytes instead of 34")]

use std::arch::aarch64::*;

use super::super::cpu;

/// Values of a step.
const STEP: usize = 16;

/// Writes the values whose bytes stand in `columns` into `values`, as many as fill whole steps; how many. None where
/// that is not wanted. `W` is a power of two.
#[inline]
pub(super) fn join<const W: usize>(columns: &[&[u8]; W], values: &mut [u8]) -> usize {
    let shortest = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let steps = shortest.min(values.len() / W) / STEP;
    if steps == 0 || !cpu::has_neon() {
        return 0;
    }
    // SAFETY: NEON is part of the architecture's baseline; each column has `steps * STEP` bytes at least, `values` `W`
    // times as many.
    unsafe { steps_of(columns, values, steps) };
    steps * STEP
}

/// # Safety
/// Each column has `steps * STEP` bytes at least, `values` `W` times as many.
#[target_feature(enable = "neon")]
unsafe fn steps_of<const W: usize>(columns: &[&[u8]; W], values: &mut [u8], steps: usize) {
    debug_assert!(columns.iter().all(|column| column.len() >= steps * STEP) && values.len() >= steps * STEP * W);
    let mut to = values.as_mut_ptr();
    for step in 0..steps {
        let mut block = [vdupq_n_u8(0); W];
        for (register, column) in block.iter_mut().zip(columns) {
            // SAFETY: as promised by the caller, 16 bytes stand there.
            *register = unsafe { vld1q_u8(column.as_ptr().add(step * STEP)) };
        }
        let mut width = W;
        while width > 1 {
            block = zip(&block);
            width /= 2;
        }
        for register in block {
            // SAFETY: as promised by the caller, there is room for `W` times 16 bytes; behind the last step the pointer
            // is not used.
            unsafe { vst1q_u8(to, register) };
            to = to.wrapping_add(STEP);
        }
    }
}

/// Registers i and i + W / 2 as two registers with their bytes in turn.
#[inline]
#[target_feature(enable = "neon")]
fn zip<const W: usize>(block: &[uint8x16_t; W]) -> [uint8x16_t; W] {
    let mut out = [vdupq_n_u8(0); W];
    let (low, high) = block.split_at(W / 2);
    for (pair, (a, b)) in out.as_chunks_mut::<2>().0.iter_mut().zip(low.iter().zip(high)) {
        *pair = [vzip1q_u8(*a, *b), vzip2q_u8(*a, *b)];
    }
    out
}
