//! DELTA_BYTE_ARRAY: how much of the value before is kept, then what follows it.
//!
//! Spec: Encodings.md, "Delta Strings (DELTA_BYTE_ARRAY = 7)".
//!
//! ```text
//! prefix lengths as int32 in DELTA_BINARY_PACKED | suffixes in DELTA_LENGTH_BYTE_ARRAY
//! ```

use super::plain::{SHORT, put, put_string};
use super::{delta_binary_packed as delta, delta_length_byte_array as delta_length};
use crate::error::{Error, Result};

/// Appends `values`, encoded. A value beyond 2 GiB is the caller's to refuse.
pub fn encode<'v>(values: impl Iterator<Item = &'v [u8]> + Clone, out: &mut Vec<u8>) {
    let lengths: Vec<i32> = values.clone().map(|v| v.len() as i32).collect();
    let bytes: Vec<u8> = values.flatten().copied().collect();
    encode_joined(&lengths, &bytes, out);
}

/// Appends values of these lengths that stand back to back in `bytes`, encoded.
pub fn encode_joined(lengths: &[i32], bytes: &[u8], out: &mut Vec<u8>) {
    let mut prefixes = Vec::with_capacity(lengths.len());
    let mut suffixes = Vec::with_capacity(lengths.len());
    let mut last: &[u8] = &[];
    let mut rest = bytes;
    for &length in lengths {
        let (value, after) = rest.split_at_checked(length as usize).unwrap_or((rest, &[]));
        let prefix = common_prefix(last, value) as i32;
        prefixes.push(prefix);
        suffixes.push(length - prefix);
        (last, rest) = (value, after);
    }
    delta::encode(&prefixes, out);
    delta::encode(&suffixes, out);
    let total: usize = suffixes.iter().map(|&suffix| suffix as usize).sum();
    let start = out.len();
    out.resize(start + total + SHORT, 0);
    let (mut from, mut to) = (0, start);
    for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
        let (prefix, suffix) = (prefix as usize, suffix as usize);
        from += prefix;
        put_string(out, to, bytes, from, suffix);
        (from, to) = (from + suffix, to + suffix);
    }
    out.truncate(to);
}

/// How many bytes both begin with.
#[inline]
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    let mut same = 0;
    for (a, b) in a_words.iter().zip(b_words) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return same + (differ.trailing_zeros() / 8) as usize;
        }
        same += 8;
    }
    let (a, b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    same + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Decodes the values one after another.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    prefixes: std::vec::IntoIter<i32>,
    suffixes: delta_length::Decoder<'a>,
    last: Vec<u8>,
}

impl<'a> Decoder<'a> {
    /// Reads the lengths; more than `values_max` of them are corrupt.
    pub fn new(bytes: &'a [u8], values_max: usize) -> Result<Decoder<'a>> {
        let mut prefixes = Vec::new();
        let rest = delta_length::read_lengths(bytes, values_max, &mut prefixes)?;
        let suffixes = delta_length::Decoder::new(rest, values_max)?;
        if prefixes.len() != suffixes.remaining() {
            return Err(Error::corrupt(format!("{} prefixes for {} suffixes", prefixes.len(), suffixes.remaining())));
        }
        Ok(Decoder { prefixes: prefixes.into_iter(), suffixes, last: Vec::new() })
    }

    /// Values that are left.
    pub fn remaining(&self) -> usize {
        self.prefixes.len()
    }

    /// Bytes of all values that are left, which a page of n bytes may make n² of: the caller bounds what it keeps.
    pub fn bytes(&self) -> usize {
        let lengths = self.prefixes.as_slice().iter().chain(self.suffixes.lengths());
        lengths.map(|&n| n as usize).fold(0, usize::saturating_add)
    }

    /// Replaces `out` by all values that are left, back to back, and `lengths` by their lengths. `take_memory` is asked for the
    /// bytes of `out` before they are taken.
    pub fn read_all(
        mut self,
        lengths: &mut Vec<i32>,
        out: &mut Vec<u8>,
        take_memory: impl FnOnce(usize) -> Result<()>,
    ) -> Result<()> {
        let total = self.bytes();
        take_memory(total.saturating_add(2 * SHORT))?;
        out.resize(total + 2 * SHORT, 0);
        lengths.clear();
        lengths.reserve(self.prefixes.len());
        let suffixes = self.suffixes.lengths().len();
        let suffix_lengths: Vec<i32> = self.suffixes.lengths().to_vec();
        let bytes = self.suffixes.take(suffixes)?;
        let (mut before, mut at, mut next) = (0, 0, 0);
        for (prefix, suffix) in self.prefixes.zip(suffix_lengths) {
            let (prefix, suffix) = (prefix as usize, suffix as usize);
            if prefix > at - before {
                return Err(Error::corrupt(format!("a prefix of {prefix} bytes of a value of {}", at - before)));
            }
            let middle = at + prefix;
            let end = middle + suffix;
            match out.get(before..).and_then(<[u8]>::first_chunk::<SHORT>).copied() {
                Some(chunk) if prefix <= SHORT => put(out, at, &chunk),
                _ => out.copy_within(before..before + prefix, at),
            }
            put_string(out, middle, bytes, next, suffix);
            let length = i32::try_from(prefix + suffix);
            lengths.push(length.map_err(|_| Error::corrupt(format!("a value of {} bytes", prefix + suffix)))?);
            (before, at, next) = (at, end, next + suffix);
        }
        out.truncate(at);
        Ok(())
    }

    /// The next value; it lives until the one after it is read.
    pub fn read(&mut self) -> Result<&[u8]> {
        let Some(prefix) = self.prefixes.next() else {
            return Err(Error::corrupt("1 value wanted, 0 are left"));
        };
        let prefix = prefix as usize;
        if prefix > self.last.len() {
            return Err(Error::corrupt(format!("a prefix of {prefix} bytes of a value of {}", self.last.len())));
        }
        self.last.truncate(prefix);
        self.last.extend_from_slice(self.suffixes.read()?);
        Ok(&self.last)
    }

    /// Passes over `n` values.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        for _ in 0..n {
            self.read()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_specifications_own_example() {
        // axis, axle, babble, babyhood: prefixes 0, 2, 0, 3; suffixes axis, le, babble, yhood.
        let values: [&[u8]; 4] = [b"axis", b"axle", b"babble", b"babyhood"];
        let mut out = Vec::new();
        encode(values.into_iter(), &mut out);
        let mut want = Vec::new();
        delta::encode(&[0i32, 2, 0, 3], &mut want);
        delta::encode(&[4i32, 2, 6, 5], &mut want);
        want.extend(b"axislebabbleyhood");
        assert_eq!(out, want);
    }

    #[test]
    fn a_prefix_of_what_is_not_there_is_corrupt() {
        let mut out = Vec::new();
        delta::encode(&[0i32, 5], &mut out);
        delta_length::encode([&b"abc"[..], b"d"].into_iter(), &mut out);
        let mut d = Decoder::new(&out, 2).expect("lengths");
        assert_eq!(d.read().expect("first"), b"abc");
        assert_eq!(d.read().expect_err("second").to_string(), "a prefix of 5 bytes of a value of 3");
    }

    proptest! {
        #[test]
        fn round_trips(values in prop::collection::vec(prop::collection::vec(0u8..3, 0..12), 0..300), cut in 0usize..300) {
            let mut out = Vec::new();
            encode(values.iter().map(|v| &v[..]), &mut out);
            let cut = cut.min(values.len());
            let mut d = Decoder::new(&out, values.len()).expect("lengths");
            prop_assert_eq!(d.bytes(), values.iter().map(Vec::len).sum::<usize>());
            let (mut lengths, mut all) = (vec![7], vec![7]);
            d.clone().read_all(&mut lengths, &mut all, |_| Ok(())).expect("reads");
            prop_assert_eq!(&all, &values.concat());
            prop_assert_eq!(lengths, values.iter().map(|v| v.len() as i32).collect::<Vec<_>>());
            d.skip(cut).expect("skips");
            for v in &values[cut..] {
                prop_assert_eq!(d.read().expect("reads"), &v[..]);
            }
            prop_assert!(d.read().is_err());
        }

        #[test]
        fn any_bytes_end_in_values_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(mut d) = Decoder::new(&bytes, 1000) {
                for _ in 0..d.remaining() {
                    if d.read().is_err() { break; }
                }
            }
        }
    }
}
