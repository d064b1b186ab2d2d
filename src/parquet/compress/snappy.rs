//! SNAPPY: the raw format, without a frame. Spec: Compression.md, "SNAPPY".

use super::{broken, resize_exact};
use crate::cursor::put_varint;
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

/// Of more compressed bytes, no start is decompressed: so many are copied.
const START_BODY_MAX: usize = 1 << 20;

/// Puts the first bytes of what `input` was before compression into `out`, `wanted` of them or somewhat less: how many. None
/// where they are not had for less than all of them, `exact_bytes`. `scratch` is for a copy of what they are made of.
///
/// The library decodes whole blocks alone, but tells how much room was left where something does not fit. So it is given a
/// block that promises `wanted` bytes.
pub(super) fn decompress_start(
    input: &[u8],
    out: &mut Vec<u8>,
    exact_bytes: usize,
    wanted: usize,
    scratch: &mut Vec<u8>,
) -> Option<usize> {
    if wanted >= exact_bytes || snap::raw::decompress_len(input).ok()? != exact_bytes {
        return None;
    }
    let body = input.get(input.iter().position(|byte| byte & 0x80 == 0)? + 1..)?;
    // Where it is compressed less than behind, what is had of it may not do, so it is decoded whole.
    let likely = (body.len() as u128 * wanted as u128 / exact_bytes as u128) as usize;
    let body = body.get(..body.len().min(likely + likely / 8 + 256)).filter(|body| body.len() <= START_BODY_MAX)?;
    scratch.clear();
    put_varint(scratch, wanted as u64);
    scratch.extend_from_slice(body);
    resize_exact(out, wanted);
    let room_left = match snap::raw::Decoder::new().decompress(scratch, out) {
        Ok(_) => 0,
        Err(snap::Error::Literal { dst_len, .. } | snap::Error::CopyWrite { dst_len, .. }) => dst_len,
        Err(_) => return None,
    };
    wanted.checked_sub(usize::try_from(room_left).ok()?)
}
