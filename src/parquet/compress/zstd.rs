//! ZSTD: frames of Zstandard. Spec: Compression.md, "ZSTD".

use zstd::bulk;

use super::broken;
use crate::error::{Error, Result};

/// The usual level.
pub(super) const LEVEL_DEFAULT: i32 = 3;

pub(super) struct Compressor {
    context: bulk::Compressor<'static>,
    /// What the context has grown to: it keeps its tables from page to page.
    pub memory_bytes: usize,
}

impl Compressor {
    pub(super) fn new(level: i32) -> Result<Compressor> {
        let range = zstd::compression_level_range();
        let level = level.clamp(*range.start(), *range.end());
        // Level 0 would mean the default to the library.
        let level = if level == 0 { LEVEL_DEFAULT } else { level };
        Ok(Compressor { context: bulk::Compressor::new(level)?, memory_bytes: 0 })
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.resize(start + zstd::zstd_safe::compress_bound(input.len()), 0);
        let tail = out.get_mut(start..).unwrap_or_default();
        let written = self.context.compress_to_buffer(input, tail).map_err(|e| Error::limit(format!("zstd: {e}")))?;
        out.truncate(start + written);
        self.memory_bytes = self.context.context_mut().sizeof();
        Ok(())
    }
}

pub(super) struct Decompressor {
    context: bulk::Decompressor<'static>,
}

impl Decompressor {
    pub(super) fn new() -> Result<Decompressor> {
        Ok(Decompressor { context: bulk::Decompressor::new()? })
    }

    /// Frames one after another are one output; the whole goes into `out` in one call, so no window is kept.
    pub(super) fn decompress(&mut self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        self.context.decompress_to_buffer(input, out).map_err(|e| broken("zstd", e))
    }
}
