//! SNAPPY: the raw format, without a frame. Spec: Compression.md, "SNAPPY".

use super::broken;
use crate::error::{Error, Result};

/// The encoder's hash table is kept.
pub(super) struct Compressor {
    encoder: snap::raw::Encoder,
}

impl Compressor {
    pub(super) fn new() -> Compressor {
        Compressor { encoder: snap::raw::Encoder::new() }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.resize(start + snap::raw::max_compress_len(input.len()), 0);
        let tail = out.get_mut(start..).unwrap_or_default();
        let written = self.encoder.compress(input, tail).map_err(|e| Error::limit(format!("snappy: {e}")))?;
        out.truncate(start + written);
        Ok(())
    }
}

pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Result<usize> {
    snap::raw::Decoder::new().decompress(input, out).map_err(|e| broken("snappy", e))
}
