//! LZO1X in Hadoop's framing. Read only. Spec: Compression.md, "LZO".
//!
//! A stream is instructions, each of which copies bytes from the output (a match) and then up to three literals; what
//! an instruction below 16 means depends on the literals before it.
//!
//! ```text
//! 0000LLLL               after a match without literals: 3 + L literals (L = 0: 18 + 255 per zero byte + the next)
//! 0000DDSS H             after 1 to 3 literals: 2 bytes from H << 2 + D + 1 back
//! 0000DDSS H             after more literals: 3 bytes from H << 2 + D + 2049 back
//! 0001HLLL DDDDDDDD DDDDDDSS   2 + L bytes (L = 0: longer) from 16384 + H << 14 + D back; none back: the end
//! 001LLLLL DDDDDDDD DDDDDDSS   2 + L bytes (L = 0: longer) from D + 1 back
//! 01LDDDSS H             3 + L bytes from H << 3 + D + 1 back
//! 1LLDDDSS H             5 + L bytes from H << 3 + D + 1 back
//! ```
//!
//! SS is how many literals follow the match; a first byte above 17 is that many less 17.

use super::{broken, hadoop};
use crate::cursor::Cursor;
use crate::error::{Error, Result};

pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Result<usize> {
    hadoop::decompress(input, out, block)
}

/// The output so far, in a buffer that does not grow.
struct Output<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Output<'_> {
    fn literals(&mut self, from: &mut Cursor<'_>, n: usize) -> Result<()> {
        let literals = from.take(n)?;
        let to = self.len.checked_add(n).and_then(|end| self.bytes.get_mut(self.len..end)).ok_or_else(full)?;
        to.copy_from_slice(literals);
        self.len += n;
        Ok(())
    }

    fn copy(&mut self, back: usize, n: usize) -> Result<()> {
        let start = self
            .len
            .checked_sub(back)
            .ok_or_else(|| broken("LZO", format!("a match {back} bytes back of {}", self.len)))?;
        if n > self.bytes.len() - self.len {
            return Err(full());
        }
        // A match may reach into what it writes: byte by byte, so that it repeats itself.
        for i in start..start + n {
            let byte = self.bytes.get(i).copied().unwrap_or(0);
            if let Some(to) = self.bytes.get_mut(self.len) {
                *to = byte;
            }
            self.len += 1;
        }
        Ok(())
    }
}

fn full() -> Error {
    broken("LZO", "it holds more")
}

/// A length whose bits in the instruction were 0: 255 for each zero byte, and the byte behind them.
fn long(from: &mut Cursor<'_>, base: usize) -> Result<usize> {
    let mut n = base;
    loop {
        match from.u8()? {
            0 => n += 255,
            last => return Ok(n + usize::from(last)),
        }
    }
}

fn block(input: &[u8], out: &mut [u8]) -> Result<usize> {
    let mut from = Cursor::new(input);
    let mut out = Output { bytes: out, len: 0 };
    // Literals of the instruction before; 4 stands for more than three.
    let mut before = 0;
    if let Some(&first) = input.first().filter(|&&b| b > 17) {
        from.skip(1)?;
        let n = usize::from(first) - 17;
        out.literals(&mut from, n)?;
        before = n.min(4);
    }
    loop {
        let code = usize::from(from.u8()?);
        let (back, length, literals) = match code {
            64.. => {
                let high = usize::from(from.u8()?);
                ((high << 3) + ((code >> 2) & 7) + 1, (code >> 5) + 1, code & 3)
            }
            32.. => {
                let length = if code & 31 == 0 { long(&mut from, 31)? } else { code & 31 };
                let low = usize::from(u16::from_le_bytes(from.array()?));
                ((low >> 2) + 1, length + 2, low & 3)
            }
            16.. => {
                let length = if code & 7 == 0 { long(&mut from, 7)? } else { code & 7 };
                let low = usize::from(u16::from_le_bytes(from.array()?));
                let back = ((code & 8) << 11) + (low >> 2);
                if back == 0 {
                    return if from.is_empty() { Ok(out.len) } else { Err(broken("LZO", "bytes behind its end")) };
                }
                (back + 0x4000, length + 2, low & 3)
            }
            _ if before == 0 => {
                let n = if code == 0 { long(&mut from, 15)? } else { code };
                out.literals(&mut from, n + 3)?;
                before = 4;
                continue;
            }
            _ => {
                let high = usize::from(from.u8()?);
                let near = (high << 2) + (code >> 2);
                if before == 4 { (near + 2049, 3, code & 3) } else { (near + 1, 2, code & 3) }
            }
        };
        out.copy(back, length)?;
        out.literals(&mut from, literals)?;
        before = literals;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"the quick brown fox jumps over the quick brown fox and over it again";
    /// What LZO 2.10 (LZO1X-1) makes of it.
    const COMPRESSED: &[u8] = &[
        0, 13, 116, 104, 101, 32, 113, 117, 105, 99, 107, 32, 98, 114, 111, 119, 110, 32, 102, 111, 120, 32, 106, 117,
        109, 112, 115, 32, 111, 118, 101, 114, 32, 50, 120, 0, 14, 97, 110, 100, 32, 111, 118, 101, 114, 32, 105, 116,
        32, 97, 103, 97, 105, 110, 17, 0, 0,
    ];

    #[test]
    fn what_lzo_itself_wrote_is_read() {
        let mut out = vec![0; TEXT.len()];
        assert_eq!(block(COMPRESSED, &mut out).expect("reads"), TEXT.len());
        assert_eq!(out, TEXT);
        for n in 0..COMPRESSED.len() {
            assert!(block(&COMPRESSED[..n], &mut out).is_err(), "cut to {n}");
        }
        assert!(block(COMPRESSED, &mut out[1..]).is_err());
    }

    #[test]
    fn each_kind_of_match_copies_what_it_says() {
        // Four literals; 01LDDDSS: 4 bytes from 4 back, one literal; then 0000DDSS: 2 bytes from 1 back; the end.
        let stream = [17 + 4, b'a', b'b', b'c', b'd', 0b0110_1101, 0, b'x', 0, 0, 0x11, 0, 0];
        let mut out = [0; 11];
        assert_eq!(block(&stream, &mut out).expect("reads"), 11);
        assert_eq!(&out, b"abcdabcdxxx");
        // 001LLLLL with a long length: 33 + 255 + 7 bytes from 1 back.
        let stream = [17 + 1, b'z', 0b0010_0000, 0, 7, 0, 0, 0x11, 0, 0];
        let mut out = [0; 1 + 33 + 255 + 7];
        assert_eq!(block(&stream, &mut out).expect("reads"), out.len());
        assert!(out.iter().all(|&b| b == b'z'));
        // A match beyond the start.
        assert!(block(&[17 + 1, b'z', 0b0010_0001, 4, 0, 0x11, 0, 0], &mut [0; 9]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_result(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 0usize..2000) {
            let mut out = vec![0; size];
            if let Ok(n) = decompress(&bytes, &mut out) { prop_assert!(n <= size); }
            if let Ok(n) = block(&bytes, &mut out) { prop_assert!(n <= size); }
        }
    }
}
