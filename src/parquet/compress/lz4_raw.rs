//! LZ4_RAW: the LZ4 block format, without a frame. Spec: Compression.md, "LZ4_RAW".

use lz4_flex::block::{self, CompressTable};

use super::broken;
use crate::error::{Error, Result};

/// The hash table is kept.
pub(super) struct Compressor {
    table: CompressTable,
}

impl Compressor {
    pub(super) fn new() -> Compressor {
        Compressor { table: CompressTable::default() }
    }

    pub(super) fn compress(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        out.resize(start + block::get_maximum_output_size(input.len()), 0);
        let tail = out.get_mut(start..).unwrap_or_default();
        let written = block::compress_into_with_table(input, tail, &mut self.table)
            .map_err(|e| Error::limit(format!("lz4: {e}")))?;
        out.truncate(start + written);
        Ok(())
    }
}

pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Result<usize> {
    block::decompress_into(input, out).map_err(|e| broken("an LZ4 block", e))
}
