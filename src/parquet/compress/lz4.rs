//! The deprecated LZ4 (codec 5): Hadoop's framing, or what else writers of old put there. Read only.
//!
//! Spec: Compression.md, "LZ4". Its meaning was never agreed on: parquet-java writes Hadoop's framing, Arrow C++ before
//! 0.16 the frame format, others bare blocks. Each is tried, the likeliest first; the promised size tells which it was.

use std::io::Read;

use super::{broken, hadoop, lz4_raw};
use crate::error::Result;

/// The first bytes of the frame format, little-endian 0x184D2204.
const FRAME_MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];

pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Result<usize> {
    // Arrow's Rust writer puts a chunk into a block of no bytes, which the framing has no place for.
    if out.is_empty() && input.starts_with(&[0; 4]) {
        return Ok(0);
    }
    if input.starts_with(&FRAME_MAGIC) {
        return frame(input, out);
    }
    match hadoop::decompress(input, out, lz4_raw::decompress) {
        Ok(n) if n == out.len() => Ok(n),
        framed => lz4_raw::decompress(input, out).or(framed),
    }
}

fn frame(input: &[u8], out: &mut [u8]) -> Result<usize> {
    let mut decoder = lz4_flex::frame::FrameDecoder::new(input);
    let mut written = 0;
    while let Some(rest) = out.get_mut(written..).filter(|r| !r.is_empty()) {
        match decoder.read(rest).map_err(|e| broken("an LZ4 frame", e))? {
            0 => break,
            n => written += n,
        }
    }
    // More than was promised is as wrong as less.
    match decoder.read(&mut [0]).map_err(|e| broken("an LZ4 frame", e))? {
        0 => Ok(written),
        _ => Err(broken("an LZ4 frame", "it holds more")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"the quick brown fox jumps over the quick brown fox and over it again";

    fn block(input: &[u8]) -> Vec<u8> {
        lz4_flex::block::compress(input)
    }

    fn framed(blocks: &[&[&[u8]]]) -> Vec<u8> {
        let mut out = Vec::new();
        for chunks in blocks {
            let total: usize = chunks.iter().map(|c| c.len()).sum();
            out.extend((total as u32).to_be_bytes());
            for chunk in *chunks {
                let compressed = block(chunk);
                out.extend((compressed.len() as u32).to_be_bytes());
                out.extend(compressed);
            }
        }
        out
    }

    #[test]
    fn all_three_forms_are_read() {
        let (a, b) = TEXT.split_at(30);
        let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
        frame.write_all(TEXT).expect("writes");
        let forms =
            [framed(&[&[TEXT]]), framed(&[&[a, b]]), framed(&[&[a], &[b]]), block(TEXT), frame.finish().expect("ends")];
        for form in forms {
            let mut out = vec![0; TEXT.len()];
            assert_eq!(decompress(&form, &mut out).expect("reads"), TEXT.len());
            assert_eq!(out, TEXT);
        }
    }

    #[test]
    fn another_size_is_refused() {
        let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
        frame.write_all(TEXT).expect("writes");
        for form in [framed(&[&[TEXT]]), block(TEXT), frame.finish().expect("ends")] {
            for size in [0, 1, TEXT.len() - 1, TEXT.len() + 1] {
                let mut out = vec![0; size];
                assert!(decompress(&form, &mut out).map_or(true, |n| n != size), "{size}");
            }
        }
    }
}
