//! Which encoding the pages of a chunk take: by type, by who shall read the file, and by the values seen.
//!
//! When the first page closes, its first values are put into each encoding that the type and the
//! [`Compatibility`] allow, and compressed as the page will be: what comes out shortest is the chunk's encoding for values
//! outside of the dictionary. The dictionary goes on while it pays against that: over the page that closes and, because a
//! dictionary costs most where it begins, over a few more like it.

use super::options::{ChunkOptions, Compatibility};
use crate::error::Result;
use crate::parquet::compress::{Compression, Compressor};
use crate::parquet::format::{Encoding, Type};

/// Values of a page that are tried, at most, and their bytes in PLAIN.
pub(super) const SAMPLE_VALUES: usize = 8192;
pub(super) const SAMPLE_BYTES: usize = 128 << 10;
/// A sample of fewer bytes is compared without compressing it.
const COMPRESS_MIN: usize = 512;
/// A later candidate, which is slower to read, must save one byte in so many.
const MARGIN: f64 = 32.0;
/// Pages to come over which a dictionary may earn what it costs now.
const PAGES_AHEAD: usize = 8;

/// The encodings that values of a type can take.
pub(super) fn allowed(physical: Type) -> &'static [Encoding] {
    use Encoding::*;
    match physical {
        Type::Boolean => &[Plain, Rle],
        Type::Int32 | Type::Int64 => &[Plain, RleDictionary, DeltaBinaryPacked, ByteStreamSplit],
        Type::Float | Type::Double => &[Plain, RleDictionary, ByteStreamSplit, Alp],
        Type::ByteArray => &[Plain, RleDictionary, DeltaLengthByteArray, DeltaByteArray],
        Type::FixedLenByteArray => &[Plain, RleDictionary, DeltaByteArray, ByteStreamSplit],
        _ => &[Plain, RleDictionary],
    }
}

/// The encodings to try for values outside of the dictionary, the plainest first.
fn candidates(physical: Type, compatibility: Compatibility) -> &'static [Encoding] {
    use Compatibility::{Modern, Preview, Universal};
    use Encoding::*;
    match (physical, compatibility) {
        (Type::Boolean, Modern | Preview) => &[Plain, Rle],
        (Type::Int32 | Type::Int64, Universal) => &[Plain, DeltaBinaryPacked],
        (Type::Int32 | Type::Int64, _) => &[Plain, DeltaBinaryPacked, ByteStreamSplit],
        (Type::Float | Type::Double, Modern) => &[Plain, ByteStreamSplit],
        (Type::Float | Type::Double, Preview) => &[Plain, ByteStreamSplit, Alp],
        (Type::ByteArray, _) => &[Plain, DeltaLengthByteArray, DeltaByteArray],
        (Type::FixedLenByteArray, Universal) => &[Plain, DeltaByteArray],
        (Type::FixedLenByteArray, _) => &[Plain, DeltaByteArray, ByteStreamSplit],
        _ => &[Plain],
    }
}

/// Where encodings are tried: the column's compressor, and buffers.
pub(super) struct Trial<'a> {
    pub compressor: &'a mut Compressor,
    pub compression: Compression,
    pub encoded: &'a mut Vec<u8>,
    pub compressed: &'a mut Vec<u8>,
    /// Whether the chunk ends with the page.
    pub is_last: bool,
}

impl Trial<'_> {
    /// How long the bytes are that `put` appends, compressed.
    fn bytes(&mut self, put: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<usize> {
        self.encoded.clear();
        put(self.encoded)?;
        if self.is_raw() || self.encoded.len() < COMPRESS_MIN {
            return Ok(self.encoded.len());
        }
        self.compressed.clear();
        self.compressor.compress(self.encoded, self.compressed)?;
        Ok(self.compressed.len())
    }

    fn is_raw(&self) -> bool {
        self.compression == Compression::Uncompressed
    }
}

/// What one chunk's pages have told of its encodings.
#[derive(Debug)]
pub(super) struct Choice {
    candidates: Vec<Encoding>,
    /// For values outside of the dictionary; None: no page has closed yet.
    chosen: Option<Encoding>,
    /// The caller wants the dictionary for as long as it has room.
    dictionary_always: bool,
    rates: Rates,
    /// Bytes that the page before added to the dictionary.
    new_before: Option<f64>,
}

/// Bytes in the file for each byte: of values in PLAIN, encoded as chosen; of the dictionary; of indices.
#[derive(Debug, Clone, Copy)]
struct Rates {
    values: f64,
    dictionary: f64,
    indices: f64,
}

/// A page that could stand as indices.
#[derive(Debug)]
pub(super) struct DictionaryPage<'a> {
    /// Its indices, and as they are encoded.
    pub indices: &'a [u32],
    pub encoded: &'a [u8],
    /// Entries that the dictionary has.
    pub entries: usize,
    /// Bytes of the dictionary, and of those entries that the page added.
    pub bytes: usize,
    pub new_bytes: usize,
    /// Bytes of the page's values in PLAIN.
    pub plain_bytes: usize,
}

impl Choice {
    pub fn new(physical: Type, options: &ChunkOptions) -> Choice {
        let candidates = match options.encoding {
            None => candidates(physical, options.compatibility).to_vec(),
            Some(Encoding::RleDictionary) => vec![Encoding::Plain],
            Some(encoding) => vec![encoding],
        };
        Choice {
            candidates,
            chosen: None,
            dictionary_always: options.encoding == Some(Encoding::RleDictionary),
            rates: Rates { values: 1.0, dictionary: 1.0, indices: 1.0 },
            new_before: None,
        }
    }

    /// The encoding of values outside of the dictionary, once it is settled.
    pub fn encoding(&self) -> Encoding {
        self.chosen.or(self.candidates.first().copied()).unwrap_or(Encoding::Plain)
    }

    pub fn is_settled(&self) -> bool {
        self.chosen.is_some()
    }

    /// Takes the encoding that stores a sample in the fewest bytes; `plain_bytes` are the sample's in PLAIN.
    pub fn settle(
        &mut self,
        plain_bytes: usize,
        trial: &mut Trial<'_>,
        mut encode: impl FnMut(Encoding, &mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let mut best: Option<(f64, Encoding)> = None;
        for &encoding in &self.candidates {
            let is_known = encoding == Encoding::Plain && trial.is_raw();
            let bytes = if is_known { plain_bytes } else { trial.bytes(|out| encode(encoding, out))? } as f64;
            if best.is_none_or(|(least, _)| bytes < least - least / MARGIN) {
                best = Some((bytes, encoding));
            }
        }
        if let Some((bytes, encoding)) = best {
            self.rates.values = bytes / plain_bytes.max(1) as f64;
            self.chosen = Some(encoding);
        }
        Ok(())
    }

    /// Learns how far the dictionary's entries and the indices of a page compress.
    pub fn weigh(&mut self, entries: &[u8], indices: &[u8], trial: &mut Trial<'_>) -> Result<()> {
        let mut rate = |bytes: &[u8]| -> Result<f64> {
            let bytes = bytes.get(..SAMPLE_BYTES).unwrap_or(bytes);
            let stored = trial.bytes(|out| {
                out.extend_from_slice(bytes);
                Ok(())
            })?;
            Ok(stored as f64 / bytes.len().max(1) as f64)
        };
        self.rates.dictionary = rate(entries)?;
        self.rates.indices = rate(indices)?;
        Ok(())
    }

    /// Whether the page shall stand as indices: the dictionary pays over it and, unless it is the last, some pages ahead.
    pub fn keeps_dictionary(&mut self, page: &DictionaryPage<'_>, options: &ChunkOptions, is_last: bool) -> bool {
        let mut new = page.new_bytes as f64;
        // How many new entries a page has of those that the one before it had.
        let decay = match self.new_before {
            Some(before) => (new / before.max(1.0)).min(1.0),
            None => decay(page.indices, page.entries),
        };
        self.new_before = Some(new);
        if self.dictionary_always {
            return true;
        }
        let pages = if is_last { 1 } else { 1 + PAGES_AHEAD };
        let (mut bytes, mut cost, mut otherwise) = (page.bytes as f64, 0.0, 0.0);
        for _ in 0..pages {
            cost += new * self.rates.dictionary + page.encoded.len() as f64 * self.rates.indices;
            otherwise += page.plain_bytes as f64 * self.rates.values;
            if cost < otherwise {
                return true;
            }
            new *= decay;
            bytes += new;
            if bytes > options.dictionary_bytes as f64 {
                break;
            }
        }
        false
    }
}

/// How many new entries a second page would have for each one of the first, if values come by chance.
///
/// By the estimate of Chao: those that came once and twice tell how many have not come yet.
fn decay(indices: &[u32], entries: usize) -> f64 {
    let mut counts = vec![0u8; entries];
    for &index in indices {
        if let Some(count) = counts.get_mut(index as usize) {
            *count = count.saturating_add(1);
        }
    }
    let of = |n: u8| counts.iter().filter(|&&count| count == n).count() as f64;
    let (once, twice, drawn) = (of(1), of(2), indices.len() as f64);
    let unseen = if twice > 0.0 { once * once / (2.0 * twice) } else { once * (once - 1.0).max(0.0) / 2.0 };
    if unseen < 1.0 {
        return 0.0;
    }
    // The chance that one draw is among the unseen falls with each of them that comes.
    let next = unseen * (1.0 - (1.0 - once / (drawn * unseen + once)).powf(drawn));
    (next / entries.max(1) as f64).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_next_is_told_by_what_came_once() {
        // A draw with a period longer than the page: every entry once, and nothing known of the end.
        let distinct: Vec<u32> = (0..1000).collect();
        assert!(decay(&distinct, 1000) > 0.9);
        let few: Vec<u32> = (0..1000).map(|i| i % 50).collect();
        assert_eq!(decay(&few, 50), 0.0);
        // 1000 draws from 1000: 632 come, of the others two of three in the next page.
        let mut seen = std::collections::HashMap::new();
        let mut x = 1u64;
        let draws: Vec<u32> = (0..1000)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let next = seen.len() as u32;
                *seen.entry((x >> 33) % 1000).or_insert(next)
            })
            .collect();
        let found = decay(&draws, seen.len());
        assert!((0.25..0.5).contains(&found), "{found}");
    }

    #[test]
    fn every_candidate_is_allowed() {
        for n in 0..8 {
            for compatibility in [Compatibility::Universal, Compatibility::Modern, Compatibility::Preview] {
                let physical = Type::from(n);
                assert!(candidates(physical, compatibility).iter().all(|e| allowed(physical).contains(e)));
            }
        }
    }
}
