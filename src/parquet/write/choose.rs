//! Which encoding the pages of a chunk take: by type, by who shall read the file, and by the values seen.
//!
//! When the first page closes, its first values are put into each encoding that the type and the
//! [`Compatibility`] allow, and compressed as the page will be: what comes out shortest is the chunk's encoding for values
//! outside of the dictionary. So are the indices, as wide as they must be and in whole bytes. The dictionary goes on while it
//! pays against that: over the page that closes and, because a dictionary costs most where it begins, over a few more, of
//! which the last two tell what they will add.
//!
//! Where the codec has several ways to look for matches, what it makes of one page tells which it takes for those that follow.

use super::options::{ChunkOptions, Compatibility};
use crate::error::Result;
use crate::parquet::compress::{Compressor, Search};
use crate::parquet::encoding::dictionary;
use crate::parquet::format::{Encoding, Type};

/// Values of a page that are tried, at most, and their bytes in PLAIN.
pub(super) const SAMPLE_VALUES: usize = 8192;
pub(super) const SAMPLE_BYTES: usize = 128 << 10;
/// A sample of fewer bytes is compared without compressing it.
const COMPRESS_MIN: usize = 512;
/// A later candidate, which is slower to read, must save one byte in so many.
const MARGIN: f64 = 128.0;
/// Values to come over which a dictionary may earn what it costs now.
const VALUES_AHEAD: usize = 256 << 10;

/// A page of this many indices closes when the next entry of the dictionary would make them a bit wider.
const INDICES_LEAST: usize = 4096;
/// The same of the first page, which is to tell as much as it can.
const FIRST_INDICES_LEAST: usize = 16 << 10;
/// Indices of the first page after which a dictionary may be given up.
const HOPELESS_LEAST: usize = 8192;
/// Values that are put into a dictionary at a time, so that this is seen.
pub(super) const INDICES_AT_ONCE: usize = 1024;

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
        // Polars 2.1 reads no deltas of fixed bytes.
        (Type::FixedLenByteArray, Modern | Preview) => &[Plain, DeltaByteArray, ByteStreamSplit],
        _ => &[Plain],
    }
}

/// Where encodings are tried: the column's compressor, and buffers.
pub(super) struct Trial<'a> {
    pub compressor: &'a mut Compressor,
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
        self.compressor.is_none()
    }
}

/// The searches to try, and what each byte must weigh to be worth the time.
const SEARCHES: [(Search, f64); 3] =
    [(Search::Fast { least: 6 }, 1.0), (Search::Level, 1.008), (Search::Fast { least: 4 }, 1.03)];
/// The same for long pages.
const LONG_SEARCHES: [(Search, f64); 4] =
    [(Search::Fast { least: 6 }, 1.0), (Search::Level, 1.008), (Search::Wide, 1.02), (Search::Fast { least: 4 }, 1.03)];
/// Bytes of a page that searches are tried on, at most; of a long page, in whose first bytes one finds about what another does.
const SEARCHED_BYTES: usize = 64 << 10;
const LONG_SEARCHED_BYTES: usize = 256 << 10;
/// A chunk's pages of fewer bytes, before compression, are not worth the trial.
const SEARCHED_BYTES_LEAST: u64 = 512 << 10;
/// The same where the page is a long one.
const LONG_SEARCHED_LEAST: u64 = 2 << 20;
/// The same of other pages where values stand in PLAIN: searches differ most where they are.
const SEARCHED_PLAIN_LEAST: u64 = 128 << 10;
/// The same of a dictionary, which is all in one page.
const SEARCHED_DICTIONARY_LEAST: usize = 32 << 10;

/// How the codec finds the most in the pages of a chunk: by what it found in one of them, once these are many bytes.
#[derive(Debug, Default)]
pub(super) struct SearchChoice {
    /// Found with pages of this encoding; and with long ones.
    found: [Option<(Encoding, Search)>; 2],
}

impl SearchChoice {
    /// For a page, behind so many bytes of the chunk's; `scratch` is for what is compressed.
    pub fn of_page(
        &mut self,
        (encoding, body): (Encoding, &[u8]),
        bytes_before: u64,
        compressor: &mut Compressor,
        scratch: &mut Vec<u8>,
    ) -> Result<Search> {
        let unsearched = Search::of_page(body.len());
        let least = match (unsearched, encoding) {
            (Search::Wide, _) => LONG_SEARCHED_LEAST,
            (_, Encoding::Plain) => SEARCHED_PLAIN_LEAST,
            _ => SEARCHED_BYTES_LEAST,
        };
        let [of_short, of_long] = &mut self.found;
        let found = if unsearched == Search::Wide { of_long } else { of_short };
        match *found {
            Some((of, search)) if of == encoding => Ok(search),
            // A page of hardly more than nulls tells nothing, and what another one has told stays.
            _ if body.len() < COMPRESS_MIN || bytes_before + (body.len() as u64) < least => Ok(unsearched),
            _ => {
                let search = search(body, compressor, scratch)?;
                *found = Some((encoding, search));
                Ok(search)
            }
        }
    }
}

/// For a dictionary page.
pub(super) fn search_of_dictionary(page: &[u8], compressor: &mut Compressor, scratch: &mut Vec<u8>) -> Result<Search> {
    if page.len() < SEARCHED_DICTIONARY_LEAST { Ok(Search::Level) } else { search(page, compressor, scratch) }
}

/// The search that makes the least of the first bytes, the time that it takes weighed in.
fn search(bytes: &[u8], compressor: &mut Compressor, scratch: &mut Vec<u8>) -> Result<Search> {
    if !compressor.can_search() {
        return Ok(Search::Level);
    }
    let (searches, most): (&[_], _) = match Search::of_page(bytes.len()) {
        Search::Wide => (&LONG_SEARCHES, LONG_SEARCHED_BYTES),
        _ => (&SEARCHES, SEARCHED_BYTES),
    };
    let sample = bytes.get(..most).unwrap_or(bytes);
    let mut best = (f64::INFINITY, Search::Level);
    for &(search, weight) in searches {
        scratch.clear();
        compressor.compress_by(search, sample, scratch)?;
        let weighed = scratch.len() as f64 * weight;
        if weighed < best.0 {
            best = (weighed, search);
        }
        if scratch.len() >= sample.len() {
            // What does not compress at all is soonest found to be so by the first.
            break;
        }
    }
    Ok(best.1)
}

/// What one chunk's pages have told of its encodings.
#[derive(Debug)]
pub(super) struct Choice {
    candidates: Vec<Encoding>,
    /// For values outside of the dictionary; None: no page has closed yet.
    chosen: Option<Encoding>,
    /// The caller wants the dictionary for as long as it has room.
    dictionary_always: bool,
    /// Whether indices take whole bytes: a codec that counts bytes makes less of bits that straddle them.
    whole_bytes: bool,
    rates: Rates,
    /// Bytes that the page before added to the dictionary.
    new_before: Option<f64>,
}

/// Bytes in the file for each byte: of values in PLAIN, encoded as chosen; of the dictionary; of indices.
#[derive(Debug, Clone, Copy)]
struct Rates {
    values: f64,
    /// The same before compression.
    encoded: f64,
    dictionary: f64,
    indices: f64,
}

/// A page that could stand as indices.
#[derive(Debug)]
pub(super) struct DictionaryPage<'a> {
    pub indices: &'a [u32],
    /// Bytes of the indices as they are encoded.
    pub encoded_bytes: usize,
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
            None if options.is_plain => vec![Encoding::Plain],
            None => candidates(physical, options.compatibility).to_vec(),
            Some(Encoding::RleDictionary) => vec![Encoding::Plain],
            Some(encoding) => vec![encoding],
        };
        Choice {
            candidates,
            chosen: None,
            dictionary_always: options.encoding == Some(Encoding::RleDictionary),
            whole_bytes: false,
            rates: Rates { values: 1.0, encoded: 1.0, dictionary: 1.0, indices: 1.0 },
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
        let mut least = f64::INFINITY;
        for &encoding in &self.candidates {
            let bytes = trial.bytes(|out| encode(encoding, out))? as f64;
            if self.chosen.is_none() || bytes < least - least / MARGIN {
                least = bytes;
                self.chosen = Some(encoding);
                self.rates.values = bytes / plain_bytes.max(1) as f64;
                self.rates.encoded = trial.encoded.len() as f64 / plain_bytes.max(1) as f64;
            }
        }
        Ok(())
    }

    /// Bytes of so many in PLAIN, encoded as chosen but not compressed, about.
    pub fn encoded_bytes(&self, plain_bytes: usize) -> usize {
        (plain_bytes as f64 * self.rates.encoded) as usize
    }

    /// Indices into a dictionary of `entries`, as the page has them.
    pub fn encode_indices(&self, indices: &[u32], entries: usize) -> Vec<u8> {
        dictionary::encode(indices, self.index_width(entries))
    }

    /// Whether so many indices into so many entries tell enough to do without the dictionary: hardly a value came again, so it
    /// would outgrow its bound before it pays.
    #[inline]
    pub fn is_hopeless(&self, indices: usize, entries: usize) -> bool {
        indices >= HOPELESS_LEAST
            && !self.is_settled()
            && !self.dictionary_always
            && indices - entries.min(indices) < indices / 64
    }

    /// Whether a page of so many indices shall close because the next value, or `coming` more entries of the dictionary,
    /// would make all of its indices wider.
    #[inline]
    pub fn widens(&self, indices: usize, entries: usize, coming: usize) -> bool {
        let least = if self.is_settled() { INDICES_LEAST } else { FIRST_INDICES_LEAST };
        indices >= least && self.index_width(entries + coming) > self.index_width(entries)
    }

    /// Bits of an index.
    pub fn index_width(&self, entries: usize) -> u32 {
        let width = dictionary::width(entries);
        if self.whole_bytes { whole_bytes(width) } else { width }
    }

    /// Learns how far the dictionary's entries and the first page's indices compress, and how wide to make these.
    pub fn weigh(&mut self, new: &[u8], indices: &[u32], entries: usize, trial: &mut Trial<'_>) -> Result<()> {
        let new = new.get(..SAMPLE_BYTES).unwrap_or(new);
        let mut bytes = |bytes: &[u8]| {
            trial.bytes(|out| {
                out.extend_from_slice(bytes);
                Ok(())
            })
        };
        self.rates.dictionary = bytes(new)? as f64 / new.len().max(1) as f64;
        let encoded = self.encode_indices(indices, entries);
        let mut stored = bytes(&encoded)? as f64;
        let mut length = encoded.len();
        let (width, wide) = (self.index_width(entries), whole_bytes(self.index_width(entries)));
        if wide != width && length >= COMPRESS_MIN {
            let encoded = dictionary::encode(indices, wide);
            let stored_wide = bytes(&encoded)? as f64;
            if stored_wide < stored - stored / MARGIN {
                (self.whole_bytes, stored, length) = (true, stored_wide, encoded.len());
            }
        }
        self.rates.indices = stored / length.max(1) as f64;
        Ok(())
    }

    /// Whether the page shall stand as indices: the dictionary pays over it and, unless it is the last, some pages ahead.
    pub fn keeps_dictionary(&mut self, page: &DictionaryPage<'_>, options: &ChunkOptions, is_last: bool) -> bool {
        let mut new = page.new_bytes as f64;
        // Bytes that the pages to come add, and how many of them the page behind each.
        let (mut coming, decay) = match self.new_before {
            // Values that wander come in bursts: one page alone would tell too much of what is new.
            Some(before) => ((new + before) / 2.0, (new / before.max(1.0)).min(1.0)),
            None => (new, decay(page.indices, page.entries)),
        };
        self.new_before = Some(new);
        if self.dictionary_always {
            return true;
        }
        let pages = if is_last { 1 } else { 1 + VALUES_AHEAD / page.indices.len().max(1) };
        let (mut bytes, mut cost, mut otherwise) = (page.bytes as f64, 0.0, 0.0);
        for _ in 0..pages {
            cost += new * self.rates.dictionary + page.encoded_bytes as f64 * self.rates.indices;
            otherwise += page.plain_bytes as f64 * self.rates.values;
            if cost < otherwise {
                return true;
            }
            coming *= decay;
            new = coming;
            bytes += new;
            if bytes > options.dictionary_bytes as f64 {
                break;
            }
        }
        false
    }
}

/// The next width that is one or two bytes; beyond, and where there are no bits at all, the width itself.
fn whole_bytes(width: u32) -> u32 {
    match width {
        1..=8 => 8,
        9..=16 => 16,
        _ => width,
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
    use crate::parquet::compress::Compression;

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

    /// After how many pages of 32,768 values of four bytes the dictionary is given up, where it has so many entries after each.
    fn pages_kept(entries: impl Iterator<Item = usize>) -> usize {
        let options = crate::parquet::write::WriterOptions::default().of_column("a");
        let mut choice = Choice::new(Type::Float, &options);
        let indices: Vec<u32> = (0..32768).map(|i| (i * 5 / 8) as u32).collect();
        let mut before = 0;
        let kept = entries.take_while(|&entries| {
            let page = DictionaryPage {
                indices: &indices,
                encoded_bytes: indices.len() * dictionary::width(entries) as usize / 8,
                entries,
                bytes: entries * 4,
                new_bytes: (entries - std::mem::replace(&mut before, entries)) * 4,
                plain_bytes: indices.len() * 4,
            };
            choice.keeps_dictionary(&page, &options, false)
        });
        kept.count()
    }

    #[test]
    fn a_dictionary_of_values_that_wander_goes_on() {
        // What a random walk had after each page.
        let wandering = [20_480, 25_600, 32_500, 41_000, 49_500, 68_000, 68_500, 73_000, 86_000, 90_000];
        assert_eq!(pages_kept(wandering.into_iter()), 10);
        // Most values are new from the second page on, or from the ninth.
        let new: Vec<usize> = (0..10).map(|page| 20_480 + page * 30_000).collect();
        assert!(pages_kept(new.into_iter()) <= 2);
        let later: Vec<usize> = (0..20usize).map(|page| 20_480 + page.saturating_sub(8) * 30_000).collect();
        let kept = pages_kept(later.into_iter());
        assert!((9..=10).contains(&kept), "{kept}");
    }

    #[test]
    fn a_search_is_found_for_each_kind_of_page() {
        let mut x = 1u64;
        let mut random = || {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            x >> 32
        };
        let mut at = 101_325.0f64;
        let mut step = || {
            at += random() as f64 / f64::from(u32::MAX) - 0.5;
            at.to_le_bytes()
        };
        let long_walk: Vec<u8> = (0..65_536).flat_map(|_| step()).collect();
        let walk = &long_walk[..8192 * 8];
        let noise: Vec<u8> = (0..16384).flat_map(|_| (random() as u32).to_le_bytes()).collect();
        let of = |compression, page: &[u8], before| {
            let mut compressor = Compressor::new(compression).expect("a compressor");
            let page = (Encoding::Plain, page);
            SearchChoice::default().of_page(page, before, &mut compressor, &mut Vec::new()).expect("a search")
        };
        let zstd = Compression::default();
        assert_eq!(of(zstd, walk, SEARCHED_BYTES_LEAST), Search::Fast { least: 4 });
        assert_eq!(of(zstd, &noise, SEARCHED_BYTES_LEAST), Search::Fast { least: 6 });
        let of_dictionary = |page: &[u8]| {
            let mut compressor = Compressor::new(zstd).expect("a compressor");
            search_of_dictionary(page, &mut compressor, &mut Vec::new()).expect("a search")
        };
        assert_eq!(of_dictionary(walk), Search::Fast { least: 4 });
        assert_eq!(of_dictionary(&walk[..SEARCHED_DICTIONARY_LEAST - 1]), Search::Level);
        assert_eq!(of_dictionary(&long_walk), Search::Fast { least: 4 });
        // Too few to try; codecs and levels with one search.
        assert_eq!(of(zstd, walk, 0), Search::Level);
        for compression in [Compression::Zstd(1), Compression::Zstd(9), Compression::Snappy, Compression::Lz4Raw] {
            assert_eq!(of(compression, walk, SEARCHED_BYTES_LEAST), Search::Level);
        }
    }

    #[test]
    fn more_is_looked_at_in_long_pages_where_more_is_found() {
        let mut x = 1u64;
        let mut random = |most: u64| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (x >> 32) % most
        };
        let words: Vec<Vec<u8>> =
            (0..20_000).map(|_| (0..2 + random(10)).map(|_| b'a' + random(26) as u8).collect()).collect();
        let mut text = |words: &[Vec<u8>], bytes: usize| {
            let mut text = Vec::new();
            while text.len() < bytes {
                text.extend_from_slice(&words[random(words.len() as u64) as usize]);
                text.push(b' ');
            }
            text
        };
        let (rich, poor) = (text(&words, 600_000), text(&words[..50], 600_000));
        let mut compressor = Compressor::new(Compression::default()).expect("a compressor");
        let mut of = |page: &[u8], before| {
            let page = (Encoding::DeltaLengthByteArray, page);
            SearchChoice::default().of_page(page, before, &mut compressor, &mut Vec::new()).expect("a search")
        };
        assert_eq!((of(&rich, LONG_SEARCHED_LEAST), of(&rich, 0)), (Search::Wide, Search::Wide));
        assert_eq!(of(&rich[..SEARCHED_BYTES], SEARCHED_BYTES_LEAST), Search::Level);
        assert_ne!(of(&poor, LONG_SEARCHED_LEAST), Search::Wide);
        // Long and short pages have a search each.
        let mut choice = SearchChoice::default();
        let of = |page: &[u8]| {
            let page = (Encoding::DeltaLengthByteArray, page);
            choice.of_page(page, LONG_SEARCHED_LEAST, &mut compressor, &mut Vec::new()).expect("a search")
        };
        let pages = [&rich, &rich[..SEARCHED_BYTES], &poor].map(of);
        assert_eq!(pages, [Search::Wide, Search::Level, Search::Wide]);
    }

    #[test]
    fn a_search_holds_for_the_encoding_it_was_found_with() {
        let mut compressor = Compressor::new(Compression::default()).expect("a compressor");
        let mut choice = SearchChoice::default();
        let noise: Vec<u8> =
            (0..4096u64).flat_map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i << 7).to_le_bytes()).collect();
        let mut of = |encoding, page: &[u8], before| {
            choice.of_page((encoding, page), before, &mut compressor, &mut Vec::new()).expect("a search")
        };
        let found = of(Encoding::Plain, &noise, SEARCHED_BYTES_LEAST);
        assert_eq!(of(Encoding::Plain, b"another page", SEARCHED_BYTES_LEAST), found);
        assert_ne!(found, Search::Level);
        assert_eq!(of(Encoding::RleDictionary, b"short", SEARCHED_BYTES_LEAST), Search::Level);
        assert_eq!(of(Encoding::Plain, b"short", SEARCHED_BYTES_LEAST), found);
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
