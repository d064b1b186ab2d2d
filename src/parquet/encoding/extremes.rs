//! The least and the greatest of numbers, for statistics.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "wider registers take two thirds of the time, and only unsafe code may ask for them")
)]
#![cfg_attr(
    target_arch = "aarch64",
    expect(
        unsafe_code,
        reason = "vector loads and stores: a double in four instructions instead of twelve, a float in two"
    )
)]

/// A number with a least and a greatest among many.
pub trait Extreme: Copy {
    /// The least and the greatest of `ends` and the values, and whether one of these is a NaN, which is passed over. Integers
    /// are compared as signed ones once the bits of `flip` are flipped in all but `ends`, and come back so; floats have none.
    fn extremes(values: &[Self], ends: (Self, Self), flip: Self) -> (Self, Self, bool);
}

/// Lanes side by side, so that the comparisons of one need not wait for those of the other, and become wide ones.
const LANES: usize = 16;

/// What a number is compared as.
trait Compared: Copy + PartialOrd {
    fn flipped(self, flip: Self) -> Self;
}

macro_rules! extreme {
    ($t:ty, $flipped:expr $(, $neon:ident)?) => {
        impl Compared for $t {
            #[inline(always)]
            fn flipped(self, flip: $t) -> $t {
                ($flipped)(self, flip)
            }
        }

        impl Extreme for $t {
            #[inline]
            fn extremes(values: &[$t], ends: ($t, $t), flip: $t) -> ($t, $t, bool) {
                #[cfg(target_arch = "x86_64")]
                if super::cpu::has_avx2() {
                    /// The same code for wider registers: the baseline compares no integers of 64 bits.
                    #[target_feature(enable = "avx2")]
                    fn avx2(values: &[$t], ends: ($t, $t), flip: $t) -> ($t, $t, bool) {
                        widen(values, ends, flip)
                    }
                    // SAFETY: the processor has AVX2.
                    return unsafe { avx2(values, ends, flip) };
                }
                $(
                    #[cfg(target_arch = "aarch64")]
                    if super::cpu::has_neon() {
                        // SAFETY: NEON is part of the architecture's baseline.
                        return unsafe { neon::$neon(values, ends) };
                    }
                )?
                widen(values, ends, flip)
            }
        }
    };
}
extreme!(i32, |v, flip| v ^ flip);
extreme!(i64, |v, flip| v ^ flip);
extreme!(f32, |v, _| v, f32);
extreme!(f64, |v, _| v, f64);
extreme!(half::f16, |v, _| v);

#[inline(always)]
fn widen<T: Compared>(values: &[T], (low, high): (T, T), flip: T) -> (T, T, bool) {
    let (mut lows, mut highs, mut nans) = ([low; LANES], [high; LANES], [false; LANES]);
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for ((low, high), v) in lows.iter_mut().zip(&mut highs).zip(block) {
            let v = v.flipped(flip);
            (*low, *high) = (least(*low, v), greatest(*high, v));
        }
        for (is, &v) in nans.iter_mut().zip(block) {
            *is |= is_nan(v);
        }
    }
    let (mut low, mut high, mut has_nan) = (low, high, nans.contains(&true));
    for (&lane_low, &lane_high) in lows.iter().zip(&highs) {
        (low, high) = (least(low, lane_low), greatest(high, lane_high));
    }
    for v in rest {
        let v = v.flipped(flip);
        (low, high) = (least(low, v), greatest(high, v));
        has_nan |= is_nan(v);
    }
    (low, high, has_nan)
}

/// `a` where either is a NaN.
#[inline(always)]
fn least<T: PartialOrd>(a: T, b: T) -> T {
    if b < a { b } else { a }
}

/// The same of the greatest.
#[inline(always)]
fn greatest<T: PartialOrd>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

#[inline(always)]
fn is_nan<T: Copy + PartialOrd>(value: T) -> bool {
    value.partial_cmp(&value).is_none()
}

/// Of floats, which the compiler takes one by one here; integers it takes several at a time.
#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{greatest, least, widen};

    /// Vectors side by side: of eight, not all of what is kept of each would have a register.
    const VECTORS: usize = 4;

    macro_rules! floats {
        ($t:ident, $lanes:literal: $load:ident $store:ident $less:ident $equal:ident $choose:ident $and:ident $all:expr) => {
            /// As [`super::Extreme::extremes`].
            #[inline]
            #[target_feature(enable = "neon")]
            pub(super) fn $t(values: &[$t], (low, high): ($t, $t)) -> ($t, $t, bool) {
                // SAFETY: what is loaded, here and below, is an array of as many numbers as a register has.
                let each = |value: $t| unsafe { [$load([value; $lanes].as_ptr()); VECTORS] };
                let (mut lows, mut highs) = (each(low), each(high));
                let mut numbers = each(0.0).map(|zeros| $equal(zeros, zeros));
                let (blocks, rest) = values.as_chunks::<{ VECTORS * $lanes }>();
                for block in blocks {
                    let lanes = lows.iter_mut().zip(&mut highs).zip(&mut numbers);
                    for (((low, high), numbers), values) in lanes.zip(block.as_chunks::<$lanes>().0) {
                        // SAFETY: as above.
                        let values = unsafe { $load(values.as_ptr()) };
                        // A NaN is neither less nor equal.
                        *low = $choose($less(values, *low), values, *low);
                        *high = $choose($less(*high, values), values, *high);
                        *numbers = $and(*numbers, $equal(values, values));
                    }
                }
                let (mut low, mut high, mut has_nan) = widen(rest, (low, high), 0.0);
                for ((lows, highs), numbers) in lows.into_iter().zip(highs).zip(numbers) {
                    let mut ends = [[0.0; $lanes]; 2];
                    let [low_lanes, high_lanes] = &mut ends;
                    // SAFETY: both arrays hold as many numbers as a register has.
                    unsafe {
                        $store(low_lanes.as_mut_ptr(), lows);
                        $store(high_lanes.as_mut_ptr(), highs);
                    }
                    (low, high) =
                        (low_lanes.iter().copied().fold(low, least), high_lanes.iter().copied().fold(high, greatest));
                    has_nan |= !($all)(numbers);
                }
                (low, high, has_nan)
            }
        };
    }
    floats!(f32, 4: vld1q_f32 vst1q_f32 vcltq_f32 vceqq_f32 vbslq_f32 vandq_u32 |lanes| vminvq_u32(lanes) > 0);
    floats!(f64, 2: vld1q_f64 vst1q_f64 vcltq_f64 vceqq_f64 vbslq_f64 vandq_u64
        |lanes| vminvq_u32(vreinterpretq_u32_u64(lanes)) > 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_are_compared_signed_or_flipped(values in prop::collection::vec(any::<i64>(), 0..70), narrow: bool) {
            let values: Vec<i64> = values.into_iter().map(|v| if narrow { v % 5 } else { v }).collect();
            let (low, high, nan) = i64::extremes(&values, (3, 3), 0);
            let all = || values.iter().copied().chain([3]);
            prop_assert_eq!((Some(low), Some(high), nan), (all().min(), all().max(), false));
            let flip = i64::MIN;
            let (low, high, _) = i64::extremes(&values, (3 ^ flip, 3 ^ flip), flip);
            let unsigned = || all().map(i64::cast_unsigned);
            let back = |v: i64| Some((v ^ flip).cast_unsigned());
            prop_assert_eq!((back(low), back(high)), (unsigned().min(), unsigned().max()));
            let short: Vec<i32> = values.iter().map(|&v| v as i32).collect();
            let (low, high, _) = i32::extremes(&short, (3, 3), 0);
            let all = || short.iter().copied().chain([3]);
            prop_assert_eq!((Some(low), Some(high)), (all().min(), all().max()));
        }

        #[test]
        fn a_nan_is_passed_over_and_told(values in prop::collection::vec(prop::option::weighted(0.97, -5.0f64..5.0), 0..70)) {
            let values: Vec<f64> = values.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect();
            let has_nan = values.iter().any(|v| v.is_nan());
            let none = (f64::INFINITY, f64::NEG_INFINITY);
            let low = values.iter().copied().fold(none.0, f64::min);
            let high = values.iter().copied().fold(none.1, f64::max);
            prop_assert_eq!(f64::extremes(&values, none, 0.0), (low, high, has_nan));
            let short: Vec<f32> = values.iter().map(|&v| v as f32).collect();
            let (low, high, told) = f32::extremes(&short, (f32::INFINITY, f32::NEG_INFINITY), 0.0);
            prop_assert_eq!((low, high), (short.iter().copied().fold(f32::INFINITY, f32::min), short.iter().copied().fold(f32::NEG_INFINITY, f32::max)));
            prop_assert_eq!(told, has_nan);
        }
    }
}
