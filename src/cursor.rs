//! Bounds-checked reading of bytes that come from outside, and the writing side beside it.
//!
//! Every read either yields what it promises or an [`Error::Corrupt`] that names the byte; none panics.
//! Integers are little-endian; varints are ULEB128 of at most ten bytes; zigzag is Thrift's and
//! Parquet's (`0, -1, 1, -2, …` as `0, 1, 2, 3, …`).

use crate::error::{Error, Result};

/// A position in borrowed bytes. `base` is where the bytes begin in their file, for errors.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
}

impl<'a> Cursor<'a> {
    /// Reads from the start of `bytes`, whose first byte is byte 0 for errors.
    pub fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor::with_base(bytes, 0)
    }

    /// Reads from the start of `bytes`, whose first byte is byte `base` of the file.
    pub fn with_base(bytes: &'a [u8], base: u64) -> Cursor<'a> {
        Cursor { bytes, at: 0, base }
    }

    /// Bytes read so far.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Whether nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// All bytes, those read already too.
    #[inline]
    pub fn all(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes that are left, without reading them.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// An [`Error::Corrupt`] at the current byte.
    #[cold]
    pub fn corrupt(&self, message: impl Into<String>) -> Error {
        Error::corrupt(message).at_byte(self.base + self.at as u64)
    }

    /// The next `n` bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        match self.at.checked_add(n).and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => Err(self.corrupt(format!("{n} bytes wanted, {} are left", self.remaining()))),
        }
    }

    /// Skips `n` bytes.
    #[inline]
    pub fn skip(&mut self, n: usize) -> Result<()> {
        self.take(n).map(|_| ())
    }

    /// The next byte.
    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        match self.bytes.get(self.at) {
            Some(&b) => {
                self.at += 1;
                Ok(b)
            }
            None => Err(self.corrupt("1 byte wanted, 0 are left")),
        }
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest().first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.corrupt(format!("{N} bytes wanted, {} are left", self.remaining()))),
        }
    }

    /// A little-endian `u32`.
    #[inline]
    pub fn u32_le(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A little-endian `u64`.
    #[inline]
    pub fn u64_le(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A ULEB128 varint of at most 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64> {
        let first = self.u8()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.u8()?;
            // The tenth byte holds the 64th bit alone.
            if shift == 63 && byte > 1 {
                return Err(self.corrupt("varint is longer than 64 bits"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// A zigzag varint.
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64> {
        self.varint().map(|v| (v >> 1) as i64 ^ -((v & 1) as i64))
    }
}

/// Appends a ULEB128 varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a zigzag varint.
#[inline]
pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_length() {
        for value in (0..64).flat_map(|s| [1u64 << s, (1u64 << s) - 1, u64::MAX >> s]) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut c = Cursor::new(&out);
            assert_eq!(c.varint().ok(), Some(value));
            assert!(c.is_empty());
        }
    }

    #[test]
    fn zigzag_round_trips() {
        for value in [0, -1, 1, i64::MIN, i64::MAX, 1 << 40, -(1 << 40)] {
            let mut out = Vec::new();
            put_zigzag(&mut out, value);
            assert_eq!(Cursor::new(&out).zigzag().ok(), Some(value));
        }
    }

    #[test]
    fn what_is_not_there_is_an_error_with_its_byte() {
        let mut c = Cursor::with_base(&[1, 2, 3], 100);
        assert_eq!(c.take(2).ok(), Some(&[1u8, 2][..]));
        let e = c.take(usize::MAX).err().map(|e| e.to_string());
        assert_eq!(e.as_deref(), Some("at byte 102: 18446744073709551615 bytes wanted, 1 are left"));
        assert!(c.u32_le().is_err());
        assert_eq!(c.u8().ok(), Some(3));
        assert!(c.u8().is_err());
    }

    #[test]
    fn a_varint_without_end_or_beyond_64_bits_is_refused() {
        assert!(Cursor::new(&[0xff; 9]).varint().is_err());
        assert!(Cursor::new(&[0xff; 20]).varint().is_err());
        let mut ten = [0x80; 10];
        ten[9] = 2;
        assert!(Cursor::new(&ten).varint().is_err());
        ten[9] = 1;
        assert_eq!(Cursor::new(&ten).varint().ok(), Some(1 << 63));
    }
}
