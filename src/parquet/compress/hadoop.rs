//! Hadoop's framing of a block codec: the deprecated LZ4 (codec 5) and LZO. Spec: Compression.md, "LZ4", "LZO".
//!
//! ```text
//! block = length before compression (4, big-endian) chunk…      until the chunks give that length
//! chunk = compressed length (4, big-endian) compressed bytes
//! ```

use crate::cursor::Cursor;
use crate::error::Result;

/// Fills `out` from the blocks of `input`, each chunk by `chunk`, which fills a part and says how much; how much in all.
pub(super) fn decompress(
    input: &[u8],
    out: &mut [u8],
    mut chunk: impl FnMut(&[u8], &mut [u8]) -> Result<usize>,
) -> Result<usize> {
    let mut input = Cursor::new(input);
    let mut written = 0;
    while !input.is_empty() {
        let end = written + u32::from_be_bytes(input.array()?) as usize;
        if end > out.len() {
            return Err(input.corrupt(format!("a block that ends at byte {end} of {}", out.len())));
        }
        while written < end {
            let compressed = u32::from_be_bytes(input.array()?) as usize;
            let compressed = input.take(compressed)?;
            let n = chunk(compressed, out.get_mut(written..end).unwrap_or_default())?;
            // A chunk takes its length's bytes at least, so the loop ends even where chunks are empty.
            written += n;
        }
    }
    Ok(written)
}
