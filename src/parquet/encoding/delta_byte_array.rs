//! DELTA_BYTE_ARRAY: how much of the value before is kept, then what follows it.
//!
//! Spec: Encodings.md, "Delta Strings (DELTA_BYTE_ARRAY = 7)".
//!
//! ```text
//! prefix lengths as int32 in DELTA_BINARY_PACKED | suffixes in DELTA_LENGTH_BYTE_ARRAY
//! ```

use super::plain::{SHORT, put, put_short, put_string};
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
    let shorter = a.len().min(b.len());
    let (a, b) = (a.get(..shorter).unwrap_or_default(), b.get(..shorter).unwrap_or_default());
    let differ = |a: &[u8; 8], b: &[u8; 8]| u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
    let bytes = |differ: u64| (differ.trailing_zeros() / 8) as usize;
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    for (number, (a, b)) in words.enumerate() {
        if differ(a, b) != 0 {
            return number * 8 + bytes(differ(a, b));
        }
    }
    match (a.last_chunk(), b.last_chunk()) {
        // What the words left out lies within the last ones; all before these is the same.
        (Some(a), Some(b)) => shorter - 8 + bytes(differ(a, b)),
        _ => a.iter().zip(b).take_while(|(a, b)| a == b).count(),
    }
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
                Some(chunk) if prefix <= SHORT => put_short(out, at, &chunk),
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

/// Reads some of the values: those between them are not made, but for what the next one has of them.
///
/// ```text
/// value      0 "axis"   1 ax|"le"   2 "babble"   3 bab|"yhood"   4 babyh|"ive"
/// wanted                                                               x        "babyh" = 3's "yh" behind 2's "bab"
/// ```
#[derive(Debug, Default)]
pub struct Picker {
    prefixes: Vec<i32>,
    suffixes: Vec<i32>,
    /// Where the suffixes begin in the page.
    start: usize,
    /// The value that comes next, and where its suffix begins behind `start`.
    next: usize,
    at: usize,
    /// What was read last: the value before this one.
    last: Vec<u8>,
    last_end: usize,
}

impl Picker {
    /// Goes to another page's first value; of more than `values_max`, it is corrupt.
    pub fn start(&mut self, bytes: &[u8], values_max: usize) -> Result<()> {
        let rest = delta_length::read_lengths(bytes, values_max, &mut self.prefixes)?;
        let rest = delta_length::read_lengths(rest, values_max, &mut self.suffixes)?;
        if self.prefixes.len() != self.suffixes.len() {
            let (prefixes, suffixes) = (self.prefixes.len(), self.suffixes.len());
            return Err(Error::corrupt(format!("{prefixes} prefixes for {suffixes} suffixes")));
        }
        self.start = bytes.len() - rest.len();
        (self.next, self.at, self.last_end) = (0, 0, 0);
        self.last.clear();
        Ok(())
    }

    /// Passes over `n` values.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        let suffixes = self.of_next(&self.suffixes, n)?;
        self.at += suffixes.iter().map(|&n| n as usize).sum::<usize>();
        self.next += n;
        Ok(())
    }

    /// Bytes of the next `n` values.
    pub fn bytes(&self, n: usize) -> Result<usize> {
        // No more than 2^31 of them, none of which is longer.
        let sum = |lengths: &[i32]| lengths.iter().map(|&n| n as u64).sum::<u64>();
        let total = sum(self.of_next(&self.prefixes, n)?) + sum(self.of_next(&self.suffixes, n)?);
        Ok(usize::try_from(total).unwrap_or(usize::MAX))
    }

    /// Appends the next `n` values of the page to `out`, back to back, and their lengths to `lengths`.
    pub fn read(&mut self, page: &[u8], n: usize, lengths: &mut Vec<i32>, out: &mut Vec<u8>) -> Result<()> {
        let total = self.bytes(n)?;
        if n == 0 {
            return Ok(());
        }
        let page = page.get(self.start..).unwrap_or_default();
        let whole: usize = self.of_next(&self.suffixes, n)?.iter().map(|&n| n as usize).sum();
        if page.get(self.at..).is_none_or(|rest| rest.len() < whole) {
            return Err(Error::corrupt(format!("the suffixes of {n} values reach past the page")));
        }
        let mut at = out.len();
        let mut before = at;
        out.resize(at.saturating_add(total).saturating_add(2 * SHORT), 0);
        lengths.reserve(n);
        self.first_prefix(page, out, at)?;
        let (prefixes, suffixes) = (self.of_next(&self.prefixes, n)?, self.of_next(&self.suffixes, n)?);
        let mut next = self.at;
        for (number, (&prefix, &suffix)) in prefixes.iter().zip(suffixes).enumerate() {
            let (prefix, suffix) = (prefix as usize, suffix as usize);
            // That of the first one stands there.
            if number > 0 {
                if prefix > at - before {
                    return Err(Error::corrupt(format!("a prefix of {prefix} bytes of a value of {}", at - before)));
                }
                match out.get(before..).and_then(<[u8]>::first_chunk::<SHORT>).copied() {
                    Some(chunk) if prefix <= SHORT => put_short(out, at, &chunk),
                    _ => out.copy_within(before..before + prefix, at),
                }
            }
            put_string(out, at + prefix, page, next, suffix);
            let length = i32::try_from(prefix + suffix);
            lengths.push(length.map_err(|_| Error::corrupt(format!("a value of {} bytes", prefix + suffix)))?);
            (before, at, next) = (at, at + prefix + suffix, next + suffix);
        }
        out.truncate(at);
        self.last.clear();
        self.last.extend_from_slice(out.get(before..).unwrap_or_default());
        (self.next, self.at) = (self.next + n, next);
        self.last_end = self.next;
        Ok(())
    }

    /// Writes what the next value has of those before it to byte `to` of `out`: from its end on, of the nearest value each.
    fn first_prefix(&self, page: &[u8], out: &mut [u8], to: usize) -> Result<()> {
        let of = |lengths: &[i32], number: usize| lengths.get(number).map_or(0, |&n| n as usize);
        let mut wanted = of(&self.prefixes, self.next);
        let (mut number, mut suffix_at) = (self.next, self.at);
        while wanted > 0 {
            if number == self.last_end {
                // Before the first value there is an empty one.
                let known = self.last.get(..wanted).ok_or_else(|| {
                    Error::corrupt(format!("a prefix of {wanted} bytes of a value of {}", self.last.len()))
                })?;
                put(out, to, known);
                return Ok(());
            }
            number -= 1;
            let (prefix, suffix) = (of(&self.prefixes, number), of(&self.suffixes, number));
            suffix_at -= suffix;
            if wanted > prefix + suffix {
                return Err(Error::corrupt(format!("a prefix of {wanted} bytes of a value of {}", prefix + suffix)));
            }
            if wanted > prefix {
                let from = page
                    .get(suffix_at..)
                    .and_then(|rest| rest.get(..wanted - prefix))
                    .ok_or_else(|| Error::corrupt(format!("the suffix of value {number} reaches past the page")))?;
                put(out, to + prefix, from);
                wanted = prefix;
            }
        }
        Ok(())
    }

    fn of_next<'l>(&self, lengths: &'l [i32], n: usize) -> Result<&'l [i32]> {
        lengths.get(self.next..).and_then(|left| left.get(..n)).ok_or_else(|| {
            let left = self.prefixes.len().saturating_sub(self.next);
            Error::corrupt(format!("{n} values wanted, {left} are left"))
        })
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
        for skipped in [0, 1] {
            let (mut picker, mut lengths, mut bytes) = (Picker::default(), Vec::new(), Vec::new());
            picker.start(&out, 2).expect("lengths");
            picker.skip(skipped).expect("skips");
            let e = picker.read(&out, 2 - skipped, &mut lengths, &mut bytes).expect_err("second");
            assert_eq!(e.to_string(), "a prefix of 5 bytes of a value of 3");
        }
    }

    proptest! {
        #[test]
        fn a_prefix_is_as_long_as_it_can_be(
            start in prop::collection::vec(0u8..2, 0..40),
            ends in prop::array::uniform2(prop::collection::vec(0u8..2, 0..10)),
        ) {
            let [a, b] = ends.map(|end| [&start[..], &end].concat());
            prop_assert_eq!(common_prefix(&a, &b), a.iter().zip(&b).take_while(|(a, b)| a == b).count());
        }

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
        fn some_are_read_as_all_are(
            values in prop::collection::vec(prop_oneof![prop::collection::vec(0u8..3, 0..12), prop::collection::vec(0u8..2, 30..80)], 0..200),
            parts in prop::collection::vec((0usize..40, 0usize..20), 0..20),
        ) {
            let mut page = Vec::new();
            encode(values.iter().map(|v| &v[..]), &mut page);
            let mut picker = Picker::default();
            // What a page before it left does not matter.
            picker.start(&page, values.len()).expect("lengths");
            picker.read(&page, values.len(), &mut Vec::new(), &mut Vec::new()).expect("reads");
            picker.start(&page, values.len()).expect("lengths");
            let (mut lengths, mut out, mut want, mut at) = (Vec::new(), vec![9], vec![9], 0);
            for (skip, count) in parts {
                if at + skip + count > values.len() {
                    prop_assert!(picker.bytes(values.len() - at + 1).is_err());
                    prop_assert!(picker.skip(values.len() - at + 1).is_err());
                    break;
                }
                picker.skip(skip).expect("skips");
                at += skip;
                let picked = &values[at..at + count];
                prop_assert_eq!(picker.bytes(count).expect("are left"), picked.concat().len());
                let first = lengths.len();
                picker.read(&page, count, &mut lengths, &mut out).expect("reads");
                prop_assert_eq!(&lengths[first..], &picked.iter().map(|v| v.len() as i32).collect::<Vec<_>>()[..]);
                want.extend(picked.concat());
                prop_assert_eq!(&out, &want);
                at += count;
            }
        }

        #[test]
        fn any_bytes_are_picked_from_or_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), parts in prop::collection::vec((0usize..9, 0usize..9), 0..9)) {
            let (mut picker, mut out) = (Picker::default(), Vec::new());
            if picker.start(&bytes, 1000).is_err() { return Ok(()); }
            for (skip, count) in parts {
                let fits = |picker: &Picker| picker.bytes(count).is_ok_and(|n| n < 1 << 20);
                if picker.skip(skip).is_err() || !fits(&picker) || picker.read(&bytes, count, &mut Vec::new(), &mut out).is_err() { break; }
            }
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
