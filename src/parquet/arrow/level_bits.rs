//! Levels, 64 at a time, as bits: which of them are at least so great, and so on.

/// Levels that one word of bits tells of.
pub const BLOCK: usize = 64;

/// A bit for each of the levels (at most [`BLOCK`]) of which `is` holds, the first one's lowest.
#[inline(always)]
pub fn bits(levels: &[u16], is: impl Fn(u16) -> bool) -> u64 {
    /// Moves the lowest bits of eight bytes into the highest byte.
    const TO_BITS: u64 = 0x0102_0408_1020_4080;
    let mut bytes = [0u8; BLOCK];
    for (byte, &level) in bytes.iter_mut().zip(levels) {
        *byte = u8::from(is(level));
    }
    let (eights, _) = bytes.as_chunks::<8>();
    eights.iter().rev().fold(0, |word, eight| word << 8 | u64::from_le_bytes(*eight).wrapping_mul(TO_BITS) >> 56)
}

/// The bits of `word` where `mask` has ones, moved together at the low end.
#[inline]
pub fn compress(word: u64, mask: u64) -> u64 {
    if mask & mask.wrapping_add(1) == 0 {
        // All of them, or all up to one: they stand together.
        return word & mask;
    }
    let (mut out, mut at, mut left) = (0, 0, mask);
    while left != 0 {
        out |= (word >> left.trailing_zeros() & 1) << at;
        at += 1;
        left &= left - 1;
    }
    out
}

/// The place of the set bit that has `before` set bits below it, if there is one.
#[inline]
pub fn select(word: u64, before: u32) -> Option<usize> {
    let mut left = word;
    for _ in 0..before {
        left &= left.checked_sub(1)?;
    }
    (left != 0).then(|| left.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_stand_for_levels(levels in prop::collection::vec(0u16..4, 0..=BLOCK), min in 0u16..4) {
            let word = bits(&levels, |level| level >= min);
            for (i, &level) in levels.iter().enumerate() {
                prop_assert_eq!(word >> i & 1 == 1, level >= min);
            }
            prop_assert!(levels.len() == BLOCK || word >> levels.len() == 0);
        }

        #[test]
        fn bits_are_moved_together(word: u64, mask: u64, low in 0u32..64) {
            for mask in [mask, (1 << low) - 1, u64::MAX, 0] {
                let kept = (0..64).filter(|i| mask >> i & 1 == 1).map(|i| word >> i & 1);
                let want = kept.enumerate().fold(0, |out, (i, bit)| out | bit << i);
                prop_assert_eq!(compress(word, mask), want);
            }
            let places: Vec<usize> = (0..64).filter(|i| word >> i & 1 == 1).collect();
            for before in 0..65 {
                prop_assert_eq!(select(word, before), places.get(before as usize).copied());
            }
        }
    }
}
