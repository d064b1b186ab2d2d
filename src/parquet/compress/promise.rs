//! Whether so few bytes can become so many, asked before room is made for them.
//!
//! Spec: each codec's own: Snappy's and LZ4's formats, RFC 1951 (DEFLATE), RFC 8878 (Zstandard), RFC 7932 (Brotli).
//!
//! A page's header promises the size of what it decompresses to. Of codecs that cannot grow their input without bound,
//! the bound tells; of a ZSTD frame its blocks do, none of which holds more than 128 KiB; a Brotli stream is read once
//! into nothing. So a page that lies takes no memory, and one that does not lie is a bomb that ends at the budget.

use super::{BROTLI, GZIP, LZ4_HADOOP, LZ4_RAW, LZO, SNAPPY, ZSTD, broken, brotli};
use crate::cursor::Cursor;
use crate::error::{Error, Result};

/// A page of so many bytes is believed: that much is there to be taken.
const BELIEVED_BYTES: usize = 1 << 20;

/// [`Error::Corrupt`] when `input` cannot decompress to `exact_bytes`.
pub(super) fn check(codec: i32, input: &[u8], exact_bytes: usize) -> Result<()> {
    if exact_bytes <= BELIEVED_BYTES || exact_bytes / 16 <= input.len() {
        return Ok(());
    }
    let most = match codec {
        // A copy of 64 bytes takes 3.
        SNAPPY => input.len().saturating_mul(22),
        // A byte of a length stands for 255.
        LZ4_RAW | LZ4_HADOOP | LZO => input.len().saturating_mul(256),
        // A copy of 258 bytes takes 2 bits.
        GZIP => input.len().saturating_mul(1032),
        ZSTD => zstd_most(input).map_err(|e| broken("zstd", e))?,
        BROTLI => brotli::count(input, exact_bytes)?,
        _ => return Ok(()),
    };
    if most < exact_bytes {
        let bytes = input.len();
        return Err(Error::corrupt(format!("{exact_bytes} bytes are promised of {bytes}, which hold {most} at most")));
    }
    Ok(())
}

/// The most that the frames can hold, by the headers of their blocks.
fn zstd_most(input: &[u8]) -> Result<usize> {
    const MAGIC: u32 = 0xfd2f_b528;
    const BLOCK_BYTES_MAX: usize = 128 << 10;
    let mut input = Cursor::new(input);
    let mut most = 0usize;
    while !input.is_empty() {
        let magic = input.u32_le()?;
        if magic & 0xffff_fff0 == 0x184d_2a50 {
            let skipped = input.u32_le()?;
            input.skip(skipped as usize)?;
            continue;
        }
        if magic != MAGIC {
            return Err(input.corrupt("no frame"));
        }
        let descriptor = input.u8()?;
        let is_one_segment = descriptor & 0x20 != 0;
        let has_checksum = descriptor & 4 != 0;
        let size_bytes = match descriptor >> 6 {
            0 => usize::from(is_one_segment),
            power => 1 << power,
        };
        let dictionary_bytes = match descriptor & 3 {
            3 => 4,
            n => usize::from(n),
        };
        input.skip(usize::from(!is_one_segment) + dictionary_bytes + size_bytes)?;
        loop {
            let [a, b, c] = input.array()?;
            let head = u32::from_le_bytes([a, b, c, 0]);
            let size = (head >> 3) as usize;
            let (stored, held) = match head >> 1 & 3 {
                0 => (size, size),
                1 => (1, size),
                _ => (size, BLOCK_BYTES_MAX),
            };
            input.skip(stored)?;
            most = most.saturating_add(held.min(BLOCK_BYTES_MAX));
            if head & 1 != 0 {
                break;
            }
        }
        input.skip(if has_checksum { 4 } else { 0 })?;
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::super::{Compression, Compressor, Decompressor};
    use super::*;

    #[test]
    fn what_is_true_is_believed_and_what_is_not_takes_nothing() {
        let page = vec![7u8; 24 << 20];
        for compression in [
            Compression::Snappy,
            Compression::Gzip(9),
            Compression::Brotli(5),
            Compression::Brotli(11),
            Compression::Zstd(1),
            Compression::Zstd(19),
            Compression::Lz4Raw,
        ] {
            let mut compressed = Vec::new();
            Compressor::new(compression).expect("context").compress(&page, &mut compressed).expect("compresses");
            let mut out = Vec::new();
            let codec = compression.codec::<i32>();
            check(codec, &compressed, page.len()).unwrap_or_else(|e| panic!("{compression}: {e}"));
            let lie = page.len() * 80;
            let e = Decompressor::new().decompress(codec, &compressed, &mut out, lie).expect_err("a lie");
            assert!(matches!(e, Error::Corrupt(_)) && out.capacity() == 0, "{compression}: {e}");
        }
    }

    #[test]
    fn frames_of_every_shape_are_walked() {
        let mut frames = Vec::new();
        for (bytes, level) in [(10, 1), (300, 3), (70_000, 19), (1 << 20, 1)] {
            let mut one = Vec::new();
            Compressor::new(Compression::Zstd(level))
                .expect("context")
                .compress(&vec![9; bytes], &mut one)
                .expect("fits");
            assert!(zstd_most(&one).expect("walks") >= bytes);
            assert!(zstd_most(&one[..one.len() - 1]).is_err());
            frames.extend(one);
        }
        // And one to skip.
        frames.extend([0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2]);
        assert!(zstd_most(&frames).expect("walks") >= 70_310 + (1 << 20));
        assert!(zstd_most(b"none").is_err());
    }
}
