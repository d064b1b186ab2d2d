//! BROTLI: one stream of RFC 7932. Spec: Compression.md, "BROTLI".

use std::io::Write as _;

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter};

use super::broken;
use crate::error::Result;

pub(super) const LEVEL_MAX: u32 = 11;
/// Bits of the window: 4 MiB, which holds a page of the usual size.
const WINDOW_BITS: u32 = 22;
const BUFFER_BYTES: usize = 64 << 10;

/// The library has no context to keep.
pub(super) struct Compressor {
    level: u32,
}

impl Compressor {
    pub(super) fn new(level: u32) -> Compressor {
        Compressor { level: level.min(LEVEL_MAX) }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut writer = CompressorWriter::new(&mut *out, BUFFER_BYTES, self.level, WINDOW_BITS);
        writer.write_all(input)?;
        writer.flush()?;
        // The last block is written when the writer gives its output back.
        writer.into_inner();
        Ok(())
    }
}

/// How many bytes the stream holds; more than `most` are not counted.
pub(super) fn count(input: &[u8], most: usize) -> Result<usize> {
    let alloc = brotli::enc::StandardAlloc::default;
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let (mut input_left, mut read, mut total) = (input.len(), 0, 0);
    let mut nowhere = vec![0; BUFFER_BYTES];
    while total <= most {
        let (mut out_left, mut written) = (nowhere.len(), 0);
        match BrotliDecompressStream(
            &mut input_left,
            &mut read,
            input,
            &mut out_left,
            &mut written,
            &mut nowhere,
            &mut total,
            &mut state,
        ) {
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::ResultSuccess => break,
            BrotliResult::ResultFailure => return Err(broken("brotli", "the stream is broken")),
            BrotliResult::NeedsMoreInput => return Err(broken("brotli", "the stream is cut short")),
        }
    }
    Ok(total)
}

pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Result<usize> {
    let alloc = brotli::enc::StandardAlloc::default;
    // `new` is without large windows, so the stream's own window is 16 MiB at most.
    let mut state = BrotliState::new(alloc(), alloc(), alloc());
    let (mut input_left, mut read) = (input.len(), 0);
    let (mut out_left, mut written, mut total) = (out.len(), 0, 0);
    let result = BrotliDecompressStream(
        &mut input_left,
        &mut read,
        input,
        &mut out_left,
        &mut written,
        out,
        &mut total,
        &mut state,
    );
    match result {
        BrotliResult::ResultSuccess if input_left > 0 => Err(broken("brotli", format!("{input_left} bytes follow it"))),
        BrotliResult::ResultSuccess => Ok(written),
        BrotliResult::ResultFailure => Err(broken("brotli", "the stream is broken")),
        BrotliResult::NeedsMoreInput => Err(broken("brotli", "the stream is cut short")),
        BrotliResult::NeedsMoreOutput => Err(broken("brotli", "the stream holds more")),
    }
}
