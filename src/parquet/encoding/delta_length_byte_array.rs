//! DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes.
//!
//! Spec: Encodings.md, "Delta-length byte array (DELTA_LENGTH_BYTE_ARRAY = 6)".
//!
//! ```text
//! lengths as int32 in DELTA_BINARY_PACKED | the bytes of all values, back to back
//! ```

use super::delta_binary_packed as delta;
use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// Appends `values`, encoded. A value beyond 2 GiB is the caller's to refuse.
pub fn encode<'v>(values: impl Iterator<Item = &'v [u8]> + Clone, out: &mut Vec<u8>) {
    let lengths: Vec<i32> = values.clone().map(|v| v.len() as i32).collect();
    delta::encode(&lengths, out);
    values.for_each(|v| out.extend_from_slice(v));
}

/// Appends values of these lengths that stand back to back in `bytes`, encoded.
pub fn encode_joined(lengths: &[i32], bytes: &[u8], out: &mut Vec<u8>) {
    delta::encode(lengths, out);
    out.extend_from_slice(bytes);
}

/// Decodes the values one after another, borrowed from the page.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    lengths: std::vec::IntoIter<i32>,
    bytes: Cursor<'a>,
}

impl<'a> Decoder<'a> {
    /// Reads the lengths; more than `values_max` of them are corrupt.
    pub fn new(bytes: &'a [u8], values_max: usize) -> Result<Decoder<'a>> {
        let mut lengths = Vec::new();
        let rest = read_lengths(bytes, values_max, &mut lengths)?;
        Ok(Decoder { lengths: lengths.into_iter(), bytes: Cursor::with_base(rest, (bytes.len() - rest.len()) as u64) })
    }

    /// Values that are left.
    pub fn remaining(&self) -> usize {
        self.lengths.len()
    }

    /// The lengths of the values that are left, in bytes; none is negative.
    pub fn lengths(&self) -> &[i32] {
        self.lengths.as_slice()
    }

    /// The next `n` values' bytes, back to back; their lengths were the next `n` of [`lengths`](Self::lengths).
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let Some(lengths) = self.lengths.as_slice().get(..n) else {
            return Err(self.bytes.corrupt(format!("{n} values wanted, {} are left", self.lengths.len())));
        };
        let total = lengths.iter().map(|&l| l as usize).sum();
        let taken = self.bytes.take(total)?;
        if let Some(last) = n.checked_sub(1) {
            self.lengths.nth(last);
        }
        Ok(taken)
    }

    /// The next value.
    pub fn read(&mut self) -> Result<&'a [u8]> {
        self.take(1)
    }
}

/// Replaces `lengths` by the page's (at most `values_max` are there, none is negative); the bytes behind them: of
/// DELTA_LENGTH_BYTE_ARRAY, the values back to back.
pub fn read_lengths<'a>(bytes: &'a [u8], values_max: usize, lengths: &mut Vec<i32>) -> Result<&'a [u8]> {
    lengths.clear();
    let mut decoder = delta::Decoder::<i32>::new(bytes)?;
    let count = decoder.remaining();
    if count > values_max {
        return Err(Error::corrupt(format!("{count} lengths for at most {values_max} values")));
    }
    // The count is what the header says; the bytes may hold fewer.
    lengths.reserve(count.min(bytes.len().saturating_mul(8)));
    decoder.read(count, lengths)?;
    // Of all together the sign tells enough, and takes less than to find the least.
    match lengths.iter().fold(0, |signs, &length| signs | length) {
        0.. => Ok(decoder.rest()),
        _ => Err(Error::corrupt(format!("a length of {}", lengths.iter().min().copied().unwrap_or_default()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_specifications_own_example() {
        // "Hello", "World", "Foobar", "ABCDEF": lengths 5, 5, 6, 6, then the text.
        let values: [&[u8]; 4] = [b"Hello", b"World", b"Foobar", b"ABCDEF"];
        let mut out = Vec::new();
        encode(values.into_iter(), &mut out);
        let mut lengths = Vec::new();
        delta::encode(&[5i32, 5, 6, 6], &mut lengths);
        assert_eq!(out, [&lengths[..], b"HelloWorldFoobarABCDEF"].concat());
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let mut out = Vec::new();
        delta::encode(&[3i32, -1], &mut out);
        out.extend(b"abc");
        assert_eq!(Decoder::new(&out, 2).expect_err("negative").to_string(), "a length of -1");
        let mut out = Vec::new();
        delta::encode(&[i32::MAX; 2], &mut out);
        assert!(Decoder::new(&out, 2).expect("lengths").take(2).is_err());
        assert!(Decoder::new(&out, 1).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..300), cut in 0usize..300) {
            let mut out = Vec::new();
            encode(values.iter().map(|v| &v[..]), &mut out);
            let cut = cut.min(values.len());
            let mut d = Decoder::new(&out, values.len()).expect("lengths");
            prop_assert_eq!(d.take(cut).expect("takes"), values[..cut].concat());
            for v in &values[cut..] {
                prop_assert_eq!(d.read().expect("reads"), &v[..]);
            }
            prop_assert!(d.read().is_err());
        }
    }
}
