//! Bloom filters: may a value be in a column chunk?
//!
//! Spec: BloomFilter.md; parquet.thrift, `BloomFilterHeader`.
//!
//! ```text
//! BloomFilterHeader, thrift compact | blocks of 8 words of 32 bits, little-endian
//! ```
//!
//! A value's XXH64 (seed 0, over its PLAIN bytes, a byte array's without the length) chooses a block by its upper
//! half; its lower half, multiplied by eight salts, one bit in each word of that block.

use super::schema::Empty;
use super::thrift::{self, choice, record};
use crate::error::{Error, Result};

choice! {
    pub enum Algorithm {
        1: Block(Empty),
    }
}

choice! {
    pub enum Hash {
        1: XxHash(Empty),
    }
}

choice! {
    pub enum Compression {
        1: Uncompressed(Empty),
    }
}

record! {
    pub struct BloomFilterHeader {
        /// Bytes of the blocks.
        1: required num_bytes: i32,
        2: required algorithm: Algorithm,
        3: required hash: Hash,
        4: required compression: Compression,
    }
}

/// Bytes of a block.
const BLOCK_BYTES: usize = 32;

/// The format's multipliers, one a word of a block.
const SALTS: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// A split-block Bloom filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BloomFilter {
    blocks: Vec<[u32; 8]>,
}

impl BloomFilter {
    /// An empty filter of about `bytes`: rounded up to a power of two, from one block to 128 MiB.
    pub fn with_bytes(bytes: usize) -> BloomFilter {
        let blocks = bytes.clamp(BLOCK_BYTES, 128 << 20).div_ceil(BLOCK_BYTES).next_power_of_two();
        BloomFilter { blocks: vec![[0; 8]; blocks] }
    }

    /// An empty filter that answers wrongly yes with a probability of at most `false_positives` (0 to 1) once it
    /// holds `values` distinct ones.
    pub fn with_rate(values: u64, false_positives: f64) -> BloomFilter {
        let rate = false_positives.clamp(1e-9, 0.999_999);
        let bits_per_value = -8.0 / (1.0 - rate.powf(1.0 / 8.0)).ln();
        BloomFilter::with_bytes((values as f64 * bits_per_value / 8.0) as usize)
    }

    /// The hash of a value's PLAIN bytes.
    pub fn hash(value: &[u8]) -> u64 {
        twox_hash::XxHash64::oneshot(0, value)
    }

    /// Bytes of the blocks.
    pub fn bytes(&self) -> usize {
        self.blocks.len() * BLOCK_BYTES
    }

    /// Adds a value by its [`hash`](Self::hash).
    pub fn insert(&mut self, hash: u64) {
        let index = self.index(hash);
        if let Some(block) = self.blocks.get_mut(index) {
            for (word, mask) in block.iter_mut().zip(masks(hash)) {
                *word |= mask;
            }
        }
    }

    /// False only if no value of this [`hash`](Self::hash) was added.
    pub fn may_contain(&self, hash: u64) -> bool {
        self.blocks.get(self.index(hash)).is_none_or(|block| block.iter().zip(masks(hash)).all(|(w, m)| w & m != 0))
    }

    /// Halves the filter while it stays within `false_positives`, judged by the bits that are set.
    ///
    /// A filter made for more values than came is mostly zeros; two neighbouring blocks can be one, since a
    /// value's block in the smaller filter is half its block in the larger.
    pub fn fold(&mut self, false_positives: f64) {
        while self.blocks.len() > 1 && self.blocks.len().is_multiple_of(2) {
            let folded: Vec<[u32; 8]> = self
                .blocks
                .chunks_exact(2)
                .map(|pair| {
                    let mut merged = [0; 8];
                    for (i, word) in merged.iter_mut().enumerate() {
                        *word = pair.iter().filter_map(|b| b.get(i)).fold(0, |a, b| a | b);
                    }
                    merged
                })
                .collect();
            if rate(&folded) > false_positives {
                return;
            }
            self.blocks = folded;
        }
    }

    /// Header and blocks, as they stand in a file.
    pub fn encode(&self) -> Vec<u8> {
        [self.encode_header(), self.encode_bits()].concat()
    }

    /// The header alone.
    pub fn encode_header(&self) -> Vec<u8> {
        thrift::encode(&BloomFilterHeader {
            num_bytes: self.bytes() as i32,
            algorithm: Algorithm::Block(Empty {}),
            hash: Hash::XxHash(Empty {}),
            compression: Compression::Uncompressed(Empty {}),
        })
    }

    /// The blocks alone.
    pub fn encode_bits(&self) -> Vec<u8> {
        self.blocks.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads header and blocks from the start of `bytes`, which stand at `base` in the file.
    pub fn decode(bytes: &[u8], base: u64) -> Result<BloomFilter> {
        let (wanted, used) = decode_header(bytes, base)?;
        let bits = bytes.get(used..).unwrap_or_default();
        let Some(bits) = bits.get(..wanted) else {
            let left = bits.len();
            return Err(Error::corrupt(format!("a Bloom filter of {wanted} bytes, {left} are left")).at_byte(base));
        };
        BloomFilter::from_bits(bits)
    }

    /// From its blocks.
    pub fn from_bits(bits: &[u8]) -> Result<BloomFilter> {
        let (blocks, rest) = bits.as_chunks::<BLOCK_BYTES>();
        if blocks.is_empty() || !rest.is_empty() {
            return Err(Error::corrupt(format!("a Bloom filter of {} bytes: blocks have {BLOCK_BYTES}", bits.len())));
        }
        let word = |block: &[u8; BLOCK_BYTES], i: usize| {
            block.get(4 * i..).and_then(<[u8]>::first_chunk).map_or(0, |w| u32::from_le_bytes(*w))
        };
        Ok(BloomFilter { blocks: blocks.iter().map(|b| std::array::from_fn(|i| word(b, i))).collect() })
    }

    fn index(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

/// Reads the header at the start of `bytes`, which stand at `base` in the file: the bytes of the blocks, and its own.
pub fn decode_header(bytes: &[u8], base: u64) -> Result<(usize, usize)> {
    let (header, used) = thrift::decode::<BloomFilterHeader>(bytes, base)?;
    let known = (&header.algorithm, &header.hash, &header.compression);
    if !matches!(known, (Algorithm::Block(_), Hash::XxHash(_), Compression::Uncompressed(_))) {
        return Err(Error::unsupported("a Bloom filter of an unknown algorithm, hash or compression"));
    }
    let bits = usize::try_from(header.num_bytes).ok().filter(|n| *n > 0 && n.is_multiple_of(BLOCK_BYTES));
    let wrong = || Error::corrupt(format!("a Bloom filter of {} bytes", header.num_bytes)).at_byte(base);
    bits.map(|bits| (bits, used)).ok_or_else(wrong)
}

fn masks(hash: u64) -> impl Iterator<Item = u32> {
    let key = hash as u32;
    SALTS.into_iter().map(move |salt| 1 << (key.wrapping_mul(salt) >> 27))
}

/// How often a filter of these blocks says yes to a value that it does not hold.
fn rate(blocks: &[[u32; 8]]) -> f64 {
    let of_block = |block: &[u32; 8]| block.iter().map(|w| f64::from(w.count_ones()) / 32.0).product::<f64>();
    blocks.iter().map(of_block).sum::<f64>() / blocks.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(mut filter: BloomFilter, values: std::ops::Range<u64>) -> BloomFilter {
        values.for_each(|v| filter.insert(BloomFilter::hash(&v.to_le_bytes())));
        filter
    }

    fn false_positives(filter: &BloomFilter) -> usize {
        (1_000_000..1_100_000u64).filter(|v| filter.may_contain(BloomFilter::hash(&v.to_le_bytes()))).count()
    }

    #[test]
    fn what_was_added_is_found_and_little_else() {
        let filter = filled(BloomFilter::with_rate(10_000, 0.01), 0..10_000);
        assert!((0..10_000u64).all(|v| filter.may_contain(BloomFilter::hash(&v.to_le_bytes()))));
        assert!(false_positives(&filter) < 1_200, "{}", false_positives(&filter));
        assert_eq!(BloomFilter::decode(&filter.encode(), 0).expect("decodes"), filter);
    }

    #[test]
    fn a_folded_filter_is_the_one_made_for_what_came() {
        let mut folded = filled(BloomFilter::with_rate(1_000_000, 0.01), 0..1_000);
        folded.fold(0.01);
        let direct = filled(BloomFilter::with_bytes(folded.bytes()), 0..1_000);
        assert_eq!(folded, direct);
        assert!(folded.bytes() <= 2048, "{} bytes", folded.bytes());
        assert!(false_positives(&folded) < 1_200);
    }

    #[test]
    fn the_bits_are_the_formats() {
        // XXH64 of no bytes is ef46db3751d8e999: of one block, the lower half 51d8e999 × each salt >> 27.
        let mut filter = BloomFilter::with_bytes(1);
        assert_eq!(BloomFilter::hash(b""), 0xef46_db37_51d8_e999);
        filter.insert(BloomFilter::hash(b""));
        let want = SALTS.map(|salt| 1u32 << (0x51d8_e999u32.wrapping_mul(salt) >> 27));
        assert_eq!(filter.blocks, [want]);
    }

    #[test]
    fn broken_filters_are_refused() {
        let whole = filled(BloomFilter::with_bytes(64), 0..3).encode();
        for n in 0..whole.len() {
            assert!(BloomFilter::decode(whole.get(..n).unwrap_or_default(), 0).is_err());
        }
        // No algorithm that is known.
        let header = thrift::encode(&BloomFilterHeader {
            num_bytes: 32,
            algorithm: Algorithm::Unknown(0),
            hash: Hash::XxHash(Empty {}),
            compression: Compression::Uncompressed(Empty {}),
        });
        assert!(matches!(BloomFilter::decode(&header, 0), Err(Error::Unsupported(_))));
    }
}
