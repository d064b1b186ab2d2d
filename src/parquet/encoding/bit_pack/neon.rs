//! Unpacking of eight values at a time with NEON, which every 64-bit ARM processor has.
//!
//! ```text
//! packed   values 0..4 in 16 bytes from byte 0, values 4..8 in 16 bytes from byte W / 2
//! table    to each 32-bit lane the four bytes in which its value begins
//! shift    each lane by the bits before its value; mask to W bits
//! ```
//!
//! A value of up to 25 bits lies in the four bytes in which it begins, wherever in the first one it does. One of up to
//! 57 bits lies in eight: then a load holds two values, and a step is four loads, from bytes 0, W / 4, W / 2 and
//! W * 3 / 4.
#![expect(
    unsafe_code,
    reason = "vector loads and stores: two instructions a value instead of three to five, a sum in four, not eight"
)]

use std::arch::aarch64::*;

use super::super::cpu;
use super::BLOCK;

/// The widest value that lies in a lane of 32 bits, and of 64.
const WIDTH_MAX: usize = 25;
const WIDE_MAX: usize = 57;
/// Values of a step.
const STEP: usize = 8;
/// Bytes of a load.
const LOAD: usize = 16;

/// A load of a step, and what makes lanes of it.
#[derive(Clone, Copy)]
struct Load {
    /// Its first byte, of those of the step; not before that of the load before.
    at: usize,
    bytes: [u8; LOAD],
    /// The least byte of each lane's shift, which is all that is looked at. Negative: nothing else shifts to the right
    /// by what a register says.
    shifts: [u8; LOAD],
}

/// For each width the loads of a step: of four values in lanes of 32 bits, and of two in lanes of 64.
static NARROW: [[Load; 2]; WIDTH_MAX + 1] = table();
static WIDE: [[Load; 4]; WIDE_MAX + 1] = table();

/// Unpacks from the start of `packed` as many of the values as can be without reading past its end, eight by eight; how
/// many, and the greatest of them. None at all, and 0, where the width is not known.
#[inline]
pub(super) fn unpack(packed: &[u8], width: u32, out: &mut [u32]) -> (usize, u32) {
    match (NARROW.get(width as usize), WIDE.get(width as usize)) {
        // SAFETY: NEON is part of the architecture's baseline.
        (Some(loads), _) => unsafe { unpack_by(loads, packed, width, out) },
        // SAFETY: as above.
        (None, Some(loads)) if width <= 32 => unsafe { unpack_by(loads, packed, width, out) },
        _ => (0, 0),
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn unpack_by<const N: usize>(loads: &[Load; N], packed: &[u8], width: u32, out: &mut [u32]) -> (usize, u32)
where
    [Lanes; N]: Step,
{
    let steps = steps_within(packed, width, loads, out.len() / STEP);
    if steps == 0 {
        return (0, 0);
    }
    let (lanes, mask) = (loads.each_ref().map(|load| Lanes::of(load)), vdupq_n_u32(u32::MAX >> (32 - width)));
    let mut greatest = (vdupq_n_u32(0), vdupq_n_u32(0));
    let (mut from, mut to) = (packed.as_ptr(), out.as_mut_ptr());
    for _ in 0..steps {
        // SAFETY: the loads of `steps` steps end within `packed`, as `steps_within` has seen, and `out` has room for
        // what is stored; behind the last step the pointers are not used.
        unsafe {
            let [low, high] = lanes.values(from, mask);
            vst1q_u32(to, low);
            vst1q_u32(to.add(STEP / 2), high);
            greatest = (vmaxq_u32(greatest.0, low), vmaxq_u32(greatest.1, high));
        }
        from = from.wrapping_add(width as usize);
        to = to.wrapping_add(STEP);
    }
    (steps * STEP, vmaxvq_u32(vmaxq_u32(greatest.0, greatest.1)))
}

/// Unpacks a block of wide values: whether it was done, as a whole or not at all.
#[inline]
pub(super) fn unpack_wide(packed: &[u8], width: u32, block: &mut [u64; BLOCK]) -> bool {
    // SAFETY: NEON is part of the architecture's baseline.
    WIDE.get(width as usize).is_some_and(|loads| unsafe { unpack_wide_by(loads, packed, width, block) })
}

#[inline]
#[target_feature(enable = "neon")]
fn unpack_wide_by(loads: &[Load; 4], packed: &[u8], width: u32, block: &mut [u64; BLOCK]) -> bool {
    let (steps, _) = block.as_chunks_mut::<STEP>();
    if steps_within(packed, width, loads, steps.len()) < steps.len() {
        return false;
    }
    let (lanes, mask) = (loads.each_ref().map(|load| Lanes::of(load)), vdupq_n_u64((1 << width) - 1));
    let mut from = packed.as_ptr();
    for step in steps {
        for (to, lanes) in step.as_chunks_mut::<2>().0.iter_mut().zip(&lanes) {
            // SAFETY: the loads of all steps end within `packed`, as `steps_within` has seen; two values are stored
            // where two are.
            unsafe { vst1q_u64(to.as_mut_ptr(), two(lanes, from, mask)) };
        }
        from = from.wrapping_add(width as usize);
    }
    true
}

/// Appends `count` sums, whole steps: `last` and `least` and the first of the values that `packed` begins with, that
/// and `least` and the second, and so on, all wrapping. The last sum; nothing is done, and none given, where the bytes
/// end too near behind the values, or the width is not known.
#[inline]
pub(super) fn append_sums_32(
    packed: &[u8],
    width: u32,
    ends: (i32, i32),
    count: usize,
    out: &mut Vec<i32>,
) -> Option<i32> {
    match (NARROW.get(width as usize), WIDE.get(width as usize)) {
        // SAFETY: `append` sees to what is asked for, and all sums are written; NEON is part of the baseline.
        (Some(loads), _) => unsafe {
            append(loads, packed, width, count, out, |from, steps, to| sums_32(loads, from, width, ends, steps, to))
        },
        // SAFETY: as above.
        (None, Some(loads)) => unsafe {
            append(loads, packed, width, count, out, |from, steps, to| sums_32(loads, from, width, ends, steps, to))
        },
        _ => None,
    }
}

/// The same of 64 bits.
#[inline]
pub(super) fn append_sums_64(
    packed: &[u8],
    width: u32,
    ends: (i64, i64),
    count: usize,
    out: &mut Vec<i64>,
) -> Option<i64> {
    match (NARROW.get(width as usize), WIDE.get(width as usize)) {
        // SAFETY: `append` sees to what is asked for, and all sums are written; NEON is part of the baseline.
        (Some(loads), _) => unsafe {
            append(loads, packed, width, count, out, |from, steps, to| sums_64(loads, from, width, ends, steps, to))
        },
        // SAFETY: as above.
        (None, Some(loads)) => unsafe {
            append(loads, packed, width, count, out, |from, steps, to| {
                sums_64_wide(loads, from, width, ends, steps, to)
            })
        },
        _ => None,
    }
}

/// Appends the `count` sums that `sums` stores, if all steps can be loaded. It is told where to load from, how many
/// steps, and where to store: the loads of so many steps can be read, `count` sums written.
///
/// # Safety
/// `sums` writes all of them.
#[inline]
unsafe fn append<const N: usize, T>(
    loads: &[Load; N],
    packed: &[u8],
    width: u32,
    count: usize,
    out: &mut Vec<T>,
    sums: impl FnOnce(*const u8, usize, *mut T) -> T,
) -> Option<T> {
    let steps = count / STEP;
    if steps == 0 || !count.is_multiple_of(STEP) || steps_within(packed, width, loads, steps) < steps {
        return None;
    }
    out.reserve(count);
    let last = sums(packed.as_ptr(), steps, out.spare_capacity_mut().as_mut_ptr().cast());
    // SAFETY: there is room for `count` more, which have been written, as the caller promises.
    unsafe { out.set_len(out.len() + count) };
    Some(last)
}

/// How many steps, `wanted` at most, can be done without reading past the end of `packed`.
#[inline]
fn steps_within<const N: usize>(packed: &[u8], width: u32, loads: &[Load; N], wanted: usize) -> usize {
    // Of a step, the last load ends furthest.
    let last_load = loads.last().map_or(0, |load| load.at) + LOAD;
    if width == 0 || packed.len() < last_load || wanted == 0 || !cpu::has_neon() {
        return 0;
    }
    let (width, spare) = (width as usize, packed.len() - last_load);
    // Nearly always there is more behind: a product is faster than to divide.
    match (wanted - 1).checked_mul(width) {
        Some(last) if last <= spare => wanted,
        _ => wanted.min(spare / width + 1),
    }
}

/// A [`Load`] in registers.
#[derive(Clone, Copy)]
struct Lanes {
    at: usize,
    bytes: uint8x16_t,
    shifts: uint8x16_t,
}

impl Lanes {
    #[inline]
    #[target_feature(enable = "neon")]
    fn of(load: &Load) -> Lanes {
        // SAFETY: both arrays are 16 bytes long.
        let (bytes, shifts) = unsafe { (vld1q_u8(load.bytes.as_ptr()), vld1q_u8(load.shifts.as_ptr())) };
        Lanes { at: load.at, bytes, shifts }
    }

    /// The bytes of each lane.
    ///
    /// # Safety
    /// `LOAD` bytes can be read from `from.add(self.at)` on.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(&self, from: *const u8) -> uint8x16_t {
        // SAFETY: as the caller promises.
        vqtbl1q_u8(unsafe { vld1q_u8(from.add(self.at)) }, self.bytes)
    }
}

/// Four values in lanes of 32 bits.
///
/// # Safety
/// As of [`Lanes::load`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn four(lanes: &Lanes, from: *const u8, mask: uint32x4_t) -> uint32x4_t {
    // SAFETY: as the caller promises.
    let bytes = unsafe { lanes.load(from) };
    vandq_u32(vshlq_u32(vreinterpretq_u32_u8(bytes), vreinterpretq_s32_u8(lanes.shifts)), mask)
}

/// Two values in lanes of 64 bits.
///
/// # Safety
/// As of [`Lanes::load`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn two(lanes: &Lanes, from: *const u8, mask: uint64x2_t) -> uint64x2_t {
    // SAFETY: as the caller promises.
    let bytes = unsafe { lanes.load(from) };
    vandq_u64(vshlq_u64(vreinterpretq_u64_u8(bytes), vreinterpretq_s64_u8(lanes.shifts)), mask)
}

/// The loads of a step.
trait Step {
    /// The values of a step, or the low 32 bits of them; `mask` has no more.
    ///
    /// # Safety
    /// As of [`Lanes::load`], for all of them.
    unsafe fn values(&self, from: *const u8, mask: uint32x4_t) -> [uint32x4_t; 2];
}

impl Step for [Lanes; 2] {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn values(&self, from: *const u8, mask: uint32x4_t) -> [uint32x4_t; 2] {
        // SAFETY: as the caller promises.
        self.each_ref().map(|lanes| unsafe { four(lanes, from, mask) })
    }
}

impl Step for [Lanes; 4] {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn values(&self, from: *const u8, mask: uint32x4_t) -> [uint32x4_t; 2] {
        let all = vdupq_n_u64(u64::MAX);
        // SAFETY: as the caller promises.
        let [a, b, c, d] = self.each_ref().map(|lanes| vreinterpretq_u32_u64(unsafe { two(lanes, from, all) }));
        [vandq_u32(vuzp1q_u32(a, b), mask), vandq_u32(vuzp1q_u32(c, d), mask)]
    }
}

/// Stores the sums of so many steps; the last of them.
///
/// # Safety
/// The loads of so many steps can be read, the first of them from `from` on, and `steps * STEP` sums written from `to`
/// on.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sums_32<const N: usize>(
    loads: &[Load; N],
    mut from: *const u8,
    width: u32,
    (least, last): (i32, i32),
    steps: usize,
    mut to: *mut i32,
) -> i32
where
    [Lanes; N]: Step,
{
    let mask = vdupq_n_u32(u32::MAX >> 32u32.saturating_sub(width));
    let (lanes, least) = (loads.each_ref().map(|load| Lanes::of(load)), vdupq_n_u32(least.cast_unsigned()));
    let mut last = vdupq_n_u32(last.cast_unsigned());
    for _ in 0..steps {
        // SAFETY: as the caller promises; behind the last step the pointers are not used.
        let values = unsafe { lanes.values(from, mask) };
        let [low, high] = sums_of(values.map(|four| vaddq_u32(four, least)));
        // SAFETY: as above.
        unsafe {
            vst1q_u32(to.cast(), vaddq_u32(low, last));
            vst1q_u32(to.add(STEP / 2).cast(), vaddq_u32(high, last));
        }
        // Nothing waits for the step before but this.
        last = vaddq_u32(last, vdupq_laneq_u32::<3>(high));
        from = from.wrapping_add(width as usize);
        to = to.wrapping_add(STEP);
    }
    vgetq_lane_u32::<0>(last).cast_signed()
}

/// Of each value the sum of all up to it, wrapping.
#[inline]
#[target_feature(enable = "neon")]
fn sums_of(values: [uint32x4_t; 2]) -> [uint32x4_t; 2] {
    let none = vdupq_n_u32(0);
    let [low, high] = values.map(|four| {
        let pairs = vaddq_u32(four, vextq_u32::<3>(none, four));
        vaddq_u32(pairs, vextq_u32::<2>(none, pairs))
    });
    [low, vaddq_u32(high, vdupq_laneq_u32::<3>(low))]
}

/// The same of 64 bits, of values of up to 25.
///
/// # Safety
/// As of [`sums_32`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sums_64(
    loads: &[Load; 2],
    mut from: *const u8,
    width: u32,
    (least, last): (i64, i64),
    steps: usize,
    mut to: *mut i64,
) -> i64 {
    let (lanes, mask) =
        (loads.each_ref().map(|load| Lanes::of(load)), vdupq_n_u32(u32::MAX >> 32u32.saturating_sub(width)));
    let once = vdupq_n_u64(least.cast_unsigned());
    let twice = vaddq_u64(once, once);
    let four_times = vaddq_u64(twice, twice);
    // What `least` adds to each of a step: once to the first, eight times to the last.
    let first = vaddq_u64(once, vextq_u64::<1>(vdupq_n_u64(0), once));
    let second = vaddq_u64(first, twice);
    let times = [first, second, vaddq_u64(first, four_times), vaddq_u64(second, four_times)];
    let mut last = vdupq_n_u64(last.cast_unsigned());
    for _ in 0..steps {
        // Eight values of 25 bits have a sum of 28.
        // SAFETY: as the caller promises; behind the last step the pointers are not used.
        let [low, high] = sums_of(unsafe { lanes.values(from, mask) });
        let [a, b, c, d] = times.map(|least| vaddq_u64(last, least));
        let (c, d) = (vaddw_u32(c, vget_low_u32(high)), vaddw_high_u32(d, high));
        // SAFETY: as above.
        unsafe {
            vst1q_u64(to.cast(), vaddw_u32(a, vget_low_u32(low)));
            vst1q_u64(to.add(2).cast(), vaddw_high_u32(b, low));
            vst1q_u64(to.add(4).cast(), c);
            vst1q_u64(to.add(6).cast(), d);
        }
        last = vdupq_laneq_u64::<1>(d);
        from = from.wrapping_add(width as usize);
        to = to.wrapping_add(STEP);
    }
    vgetq_lane_u64::<0>(last).cast_signed()
}

/// The same of wider values.
///
/// # Safety
/// As of [`sums_32`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sums_64_wide(
    loads: &[Load; 4],
    mut from: *const u8,
    width: u32,
    (least, last): (i64, i64),
    steps: usize,
    mut to: *mut i64,
) -> i64 {
    let (lanes, mask) = (loads.each_ref().map(|load| Lanes::of(load)), vdupq_n_u64((1 << width) - 1));
    let (least, none) = (vdupq_n_u64(least.cast_unsigned()), vdupq_n_u64(0));
    let mut last = vdupq_n_u64(last.cast_unsigned());
    for _ in 0..steps {
        for (lanes, at) in lanes.iter().zip([0, 2, 4, 6]) {
            // SAFETY: as the caller promises; behind the last step the pointers are not used.
            let sums = vaddq_u64(unsafe { two(lanes, from, mask) }, least);
            let sums = vaddq_u64(sums, vextq_u64::<1>(none, sums));
            // SAFETY: as above.
            unsafe { vst1q_u64(to.add(at).cast(), vaddq_u64(sums, last)) };
            // As above.
            last = vaddq_u64(last, vdupq_laneq_u64::<1>(sums));
        }
        from = from.wrapping_add(width as usize);
        to = to.wrapping_add(STEP);
    }
    vgetq_lane_u64::<0>(last).cast_signed()
}

/// For each width the `LOADS` loads of a step.
const fn table<const LOADS: usize, const WIDTHS: usize>() -> [[Load; LOADS]; WIDTHS] {
    let lane = LOAD * LOADS / STEP;
    let mut all = [[Load { at: 0, bytes: [0; LOAD], shifts: [0; LOAD] }; LOADS]; WIDTHS];
    let mut width = 0;
    while width < WIDTHS {
        let mut i = 0;
        while i < LOADS * LOAD {
            let (load, byte) = (i / LOAD, i % LOAD);
            let at = load * width / LOADS;
            let bit = i / lane * width - at * 8;
            #[expect(clippy::indexing_slicing, reason = "a constant, within bounds or it does not compile")]
            {
                let load = &mut all[width][load];
                load.at = at;
                load.bytes[byte] = (bit / 8 + byte % lane) as u8;
                // Little-endian: the least byte of the lane.
                load.shifts[byte] = if byte % lane == 0 { 0u8.wrapping_sub((bit % 8) as u8) } else { 0 };
            }
            i += 1;
        }
        width += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_are_done_as_the_bytes_allow() {
        let sums = |packed: &[u8], width, steps: usize| {
            let (mut narrow, mut wide) = (vec![], vec![]);
            let done = append_sums_32(packed, width, (1, 2), steps * STEP, &mut narrow).is_some();
            assert_eq!(append_sums_64(packed, width, (1, 2), steps * STEP, &mut wide).is_some(), done);
            assert_eq!((narrow.len(), wide.len()), if done { (steps * STEP, steps * STEP) } else { (0, 0) });
            done
        };
        let bytes = [0xff; 600];
        for width in 1..=WIDE_MAX as u32 {
            let last_load = LOAD + if width <= 25 { width / 2 } else { width * 3 / 4 } as usize;
            for steps in 1..=8 {
                let end = (steps - 1) * width as usize + last_load;
                // In memory of their own: a sanitiser sees what is read behind them.
                let (whole, cut) = (bytes[..end].to_vec(), bytes[..end - 1].to_vec());
                let is_on = cpu::has_neon();
                assert_eq!(sums(&whole, width, steps), is_on, "{width} bits, {steps} steps");
                assert!(!sums(&cut, width, steps), "{width} bits, {steps} steps");
                if width <= 32 {
                    let mut out = [0; 9 * STEP];
                    let (done, greatest) = unpack(&whole, width, &mut out);
                    let value = if is_on { u32::MAX >> (32 - width) } else { 0 };
                    assert_eq!(
                        (done, greatest),
                        (if is_on { steps * STEP } else { 0 }, value),
                        "{width} bits, {steps} steps"
                    );
                    assert!(out[..done].iter().all(|&v| v == value) && out[done..].iter().all(|&v| v == 0));
                    let done = unpack(&cut, width, &mut out).0;
                    assert_eq!(done, if is_on { (steps - 1) * STEP } else { 0 }, "{width} bits, {steps} steps");
                }
            }
            let end = 3 * width as usize + width as usize * 3 / 4 + LOAD;
            let (whole, cut) = (bytes[..end].to_vec(), bytes[..end - 1].to_vec());
            let mut block = [0; BLOCK];
            assert!(!unpack_wide(&cut, width, &mut block) && block == [0; BLOCK], "{width} bits");
            assert_eq!(unpack_wide(&whole, width, &mut block), cpu::has_neon(), "{width} bits");
            assert!(!cpu::has_neon() || block == [u64::MAX >> (64 - width); BLOCK], "{width} bits");
        }
        for width in [0, WIDE_MAX as u32 + 1, 64, 65, u32::MAX] {
            assert_eq!(unpack(&bytes, width, &mut [0; 64]), (0, 0));
            assert!(!unpack_wide(&bytes, width, &mut [0; BLOCK]) && !sums(&bytes, width, 1));
        }
        assert_eq!(unpack(&bytes, 33, &mut [0; 64]), (0, 0), "no such value in 32 bits");
    }
}
