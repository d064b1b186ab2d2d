//! Values of a dictionary by their indices.
#![expect(unsafe_code, reason = "a check per value is half the cost of taking it; one for all of them is next to none")]

use super::bit_pack;

/// Appends what `value` makes of the entry at each of `indices`; nothing, and the greatest index, where that is beyond the
/// dictionary.
#[inline]
pub(super) fn append<D: Copy, T>(
    dictionary: &[D],
    indices: &[u32],
    out: &mut Vec<T>,
    value: impl Fn(D) -> T,
) -> Result<(), u32> {
    let Some(max) = max(indices) else { return Ok(()) };
    if max as usize >= dictionary.len() {
        return Err(max);
    }
    // SAFETY: no index is greater than `max`, which is within the dictionary.
    out.extend(indices.iter().map(|&i| value(unsafe { *dictionary.get_unchecked(i as usize) })));
    Ok(())
}

/// The same of entries as they stand.
#[inline]
pub(super) fn append_each<T: Copy>(dictionary: &[T], indices: &[u32], out: &mut Vec<T>) -> Result<(), u32> {
    let Some(max) = max(indices) else { return Ok(()) };
    if max as usize >= dictionary.len() {
        return Err(max);
    }
    // SAFETY: no index is greater than `max`, which is within the dictionary.
    unsafe { append_copies(dictionary, indices, out) };
    Ok(())
}

/// The same of the `indices.len()` indices of `width` bits after `skip` of `packed`, which are unpacked there.
#[inline]
pub(super) fn append_packed<D: Copy, T>(
    dictionary: &[D],
    packed: (&[u8], u32, usize),
    indices: &mut [u32],
    out: &mut Vec<T>,
    value: impl Fn(D) -> T,
) -> Result<(), u32> {
    unpack_below(dictionary.len(), packed, indices)?;
    // SAFETY: each index is within the dictionary, as `unpack_below` has seen.
    out.extend(indices.iter().map(|&i| value(unsafe { *dictionary.get_unchecked(i as usize) })));
    Ok(())
}

/// The same of entries as they stand.
#[inline]
pub(super) fn append_packed_copies<T: Copy>(
    dictionary: &[T],
    packed: (&[u8], u32, usize),
    indices: &mut [u32],
    out: &mut Vec<T>,
) -> Result<(), u32> {
    unpack_below(dictionary.len(), packed, indices)?;
    // SAFETY: each index is within the dictionary, as `unpack_below` has seen.
    unsafe { append_copies(dictionary, indices, out) };
    Ok(())
}

/// Unpacks `indices`, and sees that each of them is below `len`; else the greatest.
#[inline]
fn unpack_below(len: usize, (packed, width, skip): (&[u8], u32, usize), indices: &mut [u32]) -> Result<(), u32> {
    if indices.is_empty() {
        return Ok(());
    }
    let max = bit_pack::unpack(packed, width, skip, indices);
    debug_assert_eq!(Some(max), indices.iter().copied().max());
    if max as usize >= len { Err(max) } else { Ok(()) }
}

/// Appends copies of the entries at `indices`. Not made of what is read of them: the compiler moves numbers of 128 bits in halves
/// then.
///
/// # Safety
/// Each index is within the dictionary.
#[inline]
unsafe fn append_copies<T: Copy>(dictionary: &[T], indices: &[u32], out: &mut Vec<T>) {
    debug_assert!(indices.iter().all(|&i| (i as usize) < dictionary.len()));
    out.reserve(indices.len());
    for (to, &i) in out.spare_capacity_mut().iter_mut().zip(indices) {
        // SAFETY: the entry is there, as the caller promises; where it is copied to is no part of the dictionary.
        unsafe { std::ptr::copy_nonoverlapping(dictionary.as_ptr().add(i as usize), to.as_mut_ptr(), 1) };
    }
    // SAFETY: there is room for as many as there are indices, and all of it has been written.
    unsafe { out.set_len(out.len() + indices.len()) };
}

/// The greatest of them; none of none.
#[inline]
pub(super) fn max(indices: &[u32]) -> Option<u32> {
    #[cfg(target_arch = "x86_64")]
    if super::cpu::has_avx2() {
        // SAFETY: the processor has AVX2.
        return unsafe { max_avx2(indices) };
    }
    indices.iter().copied().max()
}

/// The same code for wider registers: the baseline has no maximum of 32 bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn max_avx2(indices: &[u32]) -> Option<u32> {
    let max = indices.iter().fold(0, |max, &i| max.max(i));
    (!indices.is_empty()).then_some(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_index_decides() {
        let dictionary: Vec<u64> = (0..100).map(|i| i * 3).collect();
        for len in [0usize, 1, 7, 8, 9, 31, 64, 200] {
            let mut indices: Vec<u32> = (0..len as u32).map(|i| i * 37 % 100).collect();
            let want: Vec<u64> = indices.iter().map(|&i| u64::from(i) * 3).collect();
            let mut out = vec![];
            append(&dictionary, &indices, &mut out, |v| v).expect("within");
            assert_eq!(out, want);
            let mut copies = vec![7];
            append_each(&dictionary, &indices, &mut copies).expect("within");
            assert_eq!((copies[0], &copies[1..]), (7, &want[..]));
            for at in 0..len {
                let kept = std::mem::replace(&mut indices[at], 100);
                assert_eq!(append(&dictionary, &indices, &mut out, |v| v), Err(100), "{at} of {len}");
                assert_eq!(append_each(&dictionary, &indices, &mut copies), Err(100), "{at} of {len}");
                indices[at] = kept;
            }
            assert_eq!(out.len(), len, "nothing was appended");
            assert_eq!(max(&indices), indices.iter().copied().max());
        }
        assert_eq!(append(&[], &[0], &mut vec![], |v: u8| v), Err(0));
    }
}
