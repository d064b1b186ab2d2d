//! PLAIN: values back to back, little-endian.
//!
//! Spec: Encodings.md, "Plain (PLAIN = 0)".
//!
//! ```text
//! BOOLEAN              bit-packed, least significant bit first
//! INT32, FLOAT         4 bytes          INT64, DOUBLE   8 bytes          INT96   12 bytes
//! BYTE_ARRAY           length (4 bytes, little-endian), then the bytes
//! FIXED_LEN_BYTE_ARRAY the bytes
//! ```

use half::f16;

use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// A number of fixed width with a little-endian form.
pub trait Fixed: Copy + Default + Send + Sync + 'static {
    /// Bytes of a value.
    const BYTES: usize;
    /// A value as it stands in PLAIN.
    type Plain: Copy;
    /// The values of a part of a page, as they stand; bytes of a part of a value are left out.
    fn plain(bytes: &[u8]) -> &[Self::Plain];
    /// The value that stands so.
    fn of(plain: Self::Plain) -> Self;
    /// Appends the values in PLAIN.
    fn encode(values: &[Self], out: &mut Vec<u8>);
    /// Appends the values of `bytes`; bytes of a part of a value are left out.
    fn decode(bytes: &[u8], out: &mut Vec<Self>);
}

macro_rules! fixed {
    ($($t:ty),*) => {$(
        impl Fixed for $t {
            const BYTES: usize = size_of::<$t>();
            type Plain = [u8; size_of::<$t>()];
            #[inline]
            fn plain(bytes: &[u8]) -> &[Self::Plain] {
                bytes.as_chunks().0
            }
            #[inline]
            fn of(plain: Self::Plain) -> $t {
                <$t>::from_le_bytes(plain)
            }
            #[inline]
            fn encode(values: &[$t], out: &mut Vec<u8>) {
                let start = out.len();
                out.resize(start + size_of_val(values), 0);
                let (slots, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<{ size_of::<$t>() }>();
                for (slot, value) in slots.iter_mut().zip(values) {
                    *slot = value.to_le_bytes();
                }
            }
            #[inline]
            fn decode(bytes: &[u8], out: &mut Vec<$t>) {
                out.extend(<$t>::plain(bytes).iter().map(|v| <$t>::of(*v)));
            }
        }
    )*};
}
fixed!(i32, i64, u32, u64, f16, f32, f64, i128);

/// Appends `count` values from `bytes`; too few bytes are corrupt. The rest of `bytes`.
pub fn decode_fixed<'a, T: Fixed>(bytes: &'a [u8], count: usize, out: &mut Vec<T>) -> Result<&'a [u8]> {
    let (values, rest) = split(bytes, count, T::BYTES)?;
    T::decode(values, out);
    Ok(rest)
}

/// The bytes of `count` values of `width` bytes each, and what follows them.
pub fn split(bytes: &[u8], count: usize, width: usize) -> Result<(&[u8], &[u8])> {
    count.checked_mul(width).and_then(|n| bytes.split_at_checked(n)).ok_or_else(|| {
        Error::corrupt(format!("{count} values of {width} bytes wanted, {} bytes are left", bytes.len()))
    })
}

/// Appends byte strings, each behind its length.
///
/// A string beyond 4 GiB is the caller's to refuse.
#[inline]
pub fn encode_byte_array(value: &[u8], out: &mut Vec<u8>) {
    debug_assert!(u32::try_from(value.len()).is_ok());
    let length = (value.len() as u32).to_le_bytes();
    // Two halves that overlap: copies of a fixed length, each a few instructions, where one of any length is a call.
    if let (8..=16, Some(first), Some(last)) = (value.len(), value.first_chunk::<8>(), value.last_chunk::<8>()) {
        append_halves(length, *first, *last, value.len(), out);
    } else if let (17..=32, Some(first), Some(last)) =
        (value.len(), value.first_chunk::<16>(), value.last_chunk::<16>())
    {
        append_halves(length, *first, *last, value.len(), out);
    } else {
        out.extend_from_slice(&length);
        out.extend_from_slice(value);
    }
}

/// Appends byte strings of these lengths that stand back to back in `bytes`, each behind its length.
pub fn encode_joined(lengths: &[i32], bytes: &[u8], out: &mut Vec<u8>) {
    let (start, total) = (out.len(), bytes.len() + 4 * lengths.len());
    out.resize(start + total + SHORT, 0);
    let (mut from, mut to) = (0, start);
    for &length in lengths {
        put(out, to, &length.to_le_bytes());
        to += 4;
        let length = length as usize;
        put_string(out, to, bytes, from, length);
        (from, to) = (from + length, to + length);
    }
    out.truncate(to);
}

/// Strings up to this long are copied as so many bytes, where there are as many: what is too much is written over by the next one.
pub(super) const SHORT: usize = 32;

/// Writes the `length` bytes of `bytes` that begin at `from` into `out`, which has room for [`SHORT`] more.
#[inline(always)]
pub(super) fn put_string(out: &mut [u8], at: usize, bytes: &[u8], from: usize, length: usize) {
    match bytes.get(from..).and_then(<[u8]>::first_chunk::<SHORT>) {
        Some(chunk) if length <= SHORT => put_short(out, at, chunk),
        _ => put(out, at, bytes.get(from..from + length).unwrap_or_default()),
    }
}

#[inline(always)]
pub(super) fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(to) = out.get_mut(at..at + bytes.len()) {
        to.copy_from_slice(bytes);
    }
}

/// In two words: the compiler would make one call of a copy of so many bytes and one of any number beside it.
#[inline(always)]
pub(super) fn put_short(out: &mut [u8], at: usize, bytes: &[u8; SHORT]) {
    let to = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<SHORT>);
    if let (Some(to), ([first, last], _)) = (to, bytes.as_chunks::<16>()) {
        let words = [u128::from_le_bytes(*first), u128::from_le_bytes(*last)];
        to.as_chunks_mut::<16>().0.iter_mut().zip(words).for_each(|(to, word)| *to = word.to_le_bytes());
    }
}

/// Appends `head`, then `len` bytes that begin with `first` and end with `last`, and are no longer than both.
#[inline(always)]
fn append_halves<const H: usize>(head: [u8; 4], first: [u8; H], last: [u8; H], len: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&head);
    out.extend_from_slice(&first);
    out.extend_from_slice(&[0; H]);
    let end = start + head.len() + len;
    if let Some(to) = out.get_mut(end - H..end) {
        to.copy_from_slice(&last);
    }
    out.truncate(end);
}

/// Reads byte strings one after another.
#[derive(Debug, Clone)]
pub struct ByteArrays<'a> {
    cursor: Cursor<'a>,
}

impl<'a> ByteArrays<'a> {
    /// From the start of a page's values.
    pub fn new(bytes: &'a [u8]) -> ByteArrays<'a> {
        ByteArrays { cursor: Cursor::new(bytes) }
    }

    /// The next string; corrupt when its length reaches past the page.
    #[inline]
    pub fn read(&mut self) -> Result<&'a [u8]> {
        let n = self.cursor.u32_le()?;
        self.cursor.take(n as usize)
    }

    /// Passes over `n` strings.
    pub fn skip(&mut self, n: usize) -> Result<()> {
        for _ in 0..n {
            self.read()?;
        }
        Ok(())
    }

    /// Where the next string's length stands, counted from the start.
    pub fn position(&self) -> usize {
        self.cursor.position()
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.cursor.remaining()
    }
}

/// Appends booleans, eight to a byte.
pub fn encode_booleans(values: impl IntoIterator<Item = bool>, out: &mut Vec<u8>) {
    let mut byte = 0;
    let mut bits = 0;
    for value in values {
        byte |= u8::from(value) << bits;
        bits += 1;
        if bits == 8 {
            out.push(byte);
            (byte, bits) = (0, 0);
        }
    }
    if bits > 0 {
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let mut out = Vec::new();
        i32::encode(&[1, -2, i32::MAX], &mut out);
        assert_eq!(out, [1, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        let mut back = vec![9i32];
        assert!(decode_fixed(&out, 3, &mut back).expect("decodes").is_empty());
        assert_eq!(back, [9, 1, -2, i32::MAX]);
        assert_eq!(decode_fixed::<i64>(&out, 1, &mut Vec::new()).expect("decodes").len(), 4);
    }

    #[test]
    fn too_few_bytes_are_an_error() {
        let e = decode_fixed::<f64>(&[0; 15], 2, &mut Vec::new()).expect_err("one byte is missing");
        assert_eq!(e.to_string(), "2 values of 8 bytes wanted, 15 bytes are left");
        assert!(split(&[0; 8], usize::MAX, 8).is_err());
    }

    #[test]
    fn byte_arrays_round_trip_and_end_at_the_page() {
        let mut out = Vec::new();
        encode_byte_array(b"", &mut out);
        encode_byte_array(b"abc", &mut out);
        let mut values = ByteArrays::new(&out);
        assert_eq!(values.read().expect("first"), b"");
        assert_eq!(values.read().expect("second"), b"abc");
        assert!(values.read().is_err());
        assert!(ByteArrays::new(&[0xff, 0xff, 0xff, 0xff, 1]).read().is_err());
    }

    #[test]
    fn byte_arrays_of_all_lengths_are_written_whole() {
        let all: Vec<Vec<u8>> = (0..70u8).map(|n| (0..n).collect()).collect();
        let mut out = Vec::new();
        all.iter().for_each(|value| encode_byte_array(value, &mut out));
        let lengths: Vec<i32> = all.iter().map(|value| value.len() as i32).collect();
        let mut joined = vec![7];
        encode_joined(&lengths, &all.concat(), &mut joined);
        assert_eq!(joined[1..], out);
        let mut values = ByteArrays::new(&out);
        for value in &all {
            assert_eq!(values.read().expect("reads"), value);
        }
        assert_eq!(values.remaining(), 0);
    }

    #[test]
    fn booleans_fill_bytes_from_the_lowest_bit() {
        let mut out = Vec::new();
        encode_booleans([true, false, true, false, false, false, false, false, true], &mut out);
        assert_eq!(out, [0b101, 1]);
    }
}
