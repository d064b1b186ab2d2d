//! Dense values → slots with gaps where nulls are.

use arrow_buffer::builder::BooleanBufferBuilder;

/// Appends a slot for each bit of `mask`: the next of `dense` where it is set, else the default.
pub(super) fn spread<T: Copy + Default>(dense: &[T], mask: &BooleanBufferBuilder, out: &mut Vec<T>) {
    out.reserve(mask.len());
    let mut rest = dense;
    for (word, bits) in words(mask) {
        let present = word.count_ones() as usize;
        let (head, tail) = rest.split_at_checked(present).unwrap_or((rest, &[]));
        rest = tail;
        if present == bits {
            out.extend_from_slice(head);
        } else if present == 0 {
            out.resize(out.len() + bits, T::default());
        } else {
            let start = out.len();
            out.resize(start + bits, T::default());
            let slots = out.get_mut(start..).unwrap_or_default();
            let mut word = word;
            for value in head {
                // As many values as set bits.
                if let Some(slot) = slots.get_mut(word.trailing_zeros() as usize) {
                    *slot = *value;
                }
                word &= word.wrapping_sub(1);
            }
        }
    }
}

/// Appends a slot for each bit of `mask`: the next of `dense` where it is set, else the slot before again.
/// So ends of strings make nulls empty.
pub(super) fn spread_ends<T: Copy>(dense: &[T], mask: &BooleanBufferBuilder, mut last: T, out: &mut Vec<T>) {
    out.reserve(mask.len());
    let mut rest = dense.iter();
    for (word, bits) in words(mask) {
        let mut word = word;
        out.extend((0..bits).map(|_| {
            if word & 1 == 1
                && let Some(&end) = rest.next()
            {
                last = end;
            }
            word >>= 1;
            last
        }));
    }
}

/// The mask's bits, 64 at a time, with the count of those that are of the mask.
pub(super) fn words(mask: &BooleanBufferBuilder) -> impl Iterator<Item = (u64, usize)> + '_ {
    let len = mask.len();
    mask.as_slice().chunks(8).enumerate().map(move |(i, bytes)| {
        let mut word = [0u8; 8];
        for (to, from) in word.iter_mut().zip(bytes) {
            *to = *from;
        }
        let bits = (len - i * 64).min(64);
        let word = u64::from_le_bytes(word);
        (if bits == 64 { word } else { word & ((1 << bits) - 1) }, bits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(bits: &[bool]) -> BooleanBufferBuilder {
        let mut mask = BooleanBufferBuilder::new(0);
        mask.append_slice(bits);
        mask
    }

    proptest! {
        #[test]
        fn values_stand_where_bits_are_set(runs in prop::collection::vec((any::<bool>(), 1usize..90), 0..12)) {
            let bits: Vec<bool> = runs.iter().flat_map(|&(b, n)| std::iter::repeat_n(b, n)).collect();
            let dense: Vec<u32> = (1..=bits.iter().filter(|&&b| b).count() as u32).collect();
            let mut next = 0;
            let want: Vec<u32> = bits.iter().map(|&b| { next += u32::from(b); if b { next } else { 0 } }).collect();
            let mut got = vec![7];
            spread(&dense, &mask(&bits), &mut got);
            prop_assert_eq!(&got[1..], &want);
            let mut next = 0;
            let want: Vec<u32> = bits.iter().map(|&b| { next += u32::from(b); next }).collect();
            let mut got = vec![];
            spread_ends(&dense, &mask(&bits), 0, &mut got);
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn too_few_values_are_no_panic() {
        let mut out = Vec::new();
        spread(&[1u8], &mask(&[true, false, true, true]), &mut out);
        assert_eq!(out, [1, 0, 0, 0]);
    }
}
