//! GZIP: members of RFC 1952, one after another; written as one. Spec: Compression.md, "GZIP".
//!
//! ```text
//! member = 1f 8b 08 flags(1) time(4) extra-flags(1) system(1)
//!          [length(2) extra] [name 00] [comment 00] [header-crc(2)]     as the flags say
//!          deflate stream, crc-32(4), length modulo 2^32 (4)            little-endian
//! ```

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::broken;
use crate::cursor::Cursor;
use crate::error::{Error, Result};

pub(super) const LEVEL_MAX: u32 = 9;

const FLAG_HEADER_CRC: u8 = 2;
const FLAG_EXTRA: u8 = 4;
const FLAG_NAME: u8 = 8;
const FLAG_COMMENT: u8 = 16;

pub(super) struct Compressor {
    deflate: Compress,
}

impl Compressor {
    pub(super) fn new(level: u32) -> Compressor {
        Compressor { deflate: Compress::new(Compression::new(level.min(LEVEL_MAX)), false) }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        self.deflate.reset();
        // No time and system 255, "unknown": the same input gives the same bytes everywhere.
        out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        let mut rest = input;
        loop {
            // `compress_vec` fills the capacity that is there and no more.
            out.reserve(rest.len() / 2 + 1024);
            let before = self.deflate.total_in();
            let status = self
                .deflate
                .compress_vec(rest, out, FlushCompress::Finish)
                .map_err(|e| Error::io(format!("gzip: {e}")))?;
            let read = usize::try_from(self.deflate.total_in() - before).unwrap_or(0);
            rest = rest.get(read..).unwrap_or_default();
            if status == Status::StreamEnd {
                break;
            }
        }
        out.extend_from_slice(&crc32fast::hash(input).to_le_bytes());
        out.extend_from_slice(&(input.len() as u32).to_le_bytes());
        Ok(())
    }
}

pub(super) struct Decompressor {
    inflate: Decompress,
}

impl Decompressor {
    pub(super) fn new() -> Decompressor {
        Decompressor { inflate: Decompress::new(false) }
    }

    pub(super) fn decompress(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let mut input = Cursor::new(input);
        let mut written = 0;
        // A member takes bytes at least for its header, so the loop ends.
        loop {
            written += self.member(&mut input, out.get_mut(written..).unwrap_or_default())?;
            if input.is_empty() {
                return Ok(written);
            }
        }
    }

    fn member(&mut self, input: &mut Cursor<'_>, out: &mut [u8]) -> Result<usize> {
        header(input).map_err(|e| broken("gzip", e))?;
        self.inflate.reset(false);
        let status =
            self.inflate.decompress(input.rest(), out, FlushDecompress::Finish).map_err(|e| broken("gzip", e))?;
        if status != Status::StreamEnd {
            return Err(broken("gzip", "the stream is cut short, or holds more"));
        }
        // Both counts are within slices.
        let (read, written) = (self.inflate.total_in() as usize, self.inflate.total_out() as usize);
        input.skip(read)?;
        let (crc, length) = (input.u32_le()?, input.u32_le()?);
        let member = out.get(..written).unwrap_or_default();
        if length != written as u32 || crc != crc32fast::hash(member) {
            return Err(broken("gzip", "the checksum differs"));
        }
        Ok(written)
    }
}

fn header(input: &mut Cursor<'_>) -> Result<()> {
    if input.array::<3>()? != [0x1f, 0x8b, 8] {
        return Err(Error::corrupt("no gzip header"));
    }
    let flags = input.u8()?;
    input.skip(6)?;
    if flags & FLAG_EXTRA != 0 {
        let length = u16::from_le_bytes(input.array()?);
        input.skip(usize::from(length))?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            while input.u8()? != 0 {}
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        input.skip(2)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Compressor::new(6).compress(input, &mut out).expect("compresses");
        out
    }

    #[test]
    fn members_one_after_another_are_one_output() {
        let mut members = compress(b"one, ");
        members.extend(compress(b""));
        members.extend(compress(b"two"));
        let mut out = [0; 8];
        assert_eq!(Decompressor::new().decompress(&members, &mut out).expect("both"), 8);
        assert_eq!(&out, b"one, two");
        members.push(0x1f);
        assert!(Decompressor::new().decompress(&members, &mut out).is_err(), "a third is cut short");
    }

    #[test]
    fn the_optional_parts_of_a_header_are_passed_over() {
        let plain = compress(b"abc");
        let mut member = plain[..10].to_vec();
        member[3] = FLAG_HEADER_CRC | FLAG_EXTRA | FLAG_NAME | FLAG_COMMENT;
        member.extend(b"\x02\x00xyname\0comment\0cc");
        member.extend(&plain[10..]);
        let mut out = [0; 3];
        assert_eq!(Decompressor::new().decompress(&member, &mut out).expect("reads"), 3);
        assert_eq!(&out, b"abc");
    }

    #[test]
    fn a_wrong_checksum_is_corrupt() {
        let mut member = compress(b"abc");
        let crc = member.len() - 8;
        member[crc] ^= 1;
        let e = Decompressor::new().decompress(&member, &mut [0; 3]).expect_err("checksum");
        assert!(e.to_string().contains("checksum"), "{e}");
    }
}
