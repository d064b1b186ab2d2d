//! The Bloom filter of a column chunk, while its values come.
//!
//! Spec: BloomFilter.md.
//!
//! How many different values come is known at the end. Until then their hashes are kept, each once; when these would take
//! more than the largest filter, they go into one of that size, which is folded down at the end.

use super::options::{BloomFilters, ChunkOptions};
use super::primitive::Native;
use super::rows::Rows;
use super::source::Source;
use crate::parquet::format::Type;
use crate::parquet::format::bloom_filter::BloomFilter;

/// Hashes of the values of one chunk.
#[derive(Debug)]
pub(super) struct BloomBuilder {
    size: BloomFilters,
    /// Different values that a filter by rate is made for at most.
    values_max: u64,
    hashes: Vec<u64>,
    /// Hashes at which those that came twice are looked for.
    tidy_at: usize,
    filter: Option<BloomFilter>,
}

/// Hashes that are kept before any are looked for twice.
const TIDY_MIN: usize = 1024;

impl BloomBuilder {
    /// None where the options ask for no filter, or the values cannot have one.
    pub fn new(physical: Type, options: &ChunkOptions) -> Option<BloomBuilder> {
        if options.bloom_filter == BloomFilters::Never || !can_have(physical) {
            return None;
        }
        Some(BloomBuilder {
            size: options.bloom_filter,
            values_max: options.row_group_rows as u64,
            hashes: Vec::new(),
            tidy_at: TIDY_MIN,
            filter: None,
        })
    }

    /// Adds numbers by their PLAIN bytes.
    pub fn add_numbers<T: Native>(&mut self, values: &[T]) {
        for value in values {
            self.add(BloomFilter::hash(value.bits().to_le_bytes().get(..T::BYTES).unwrap_or_default()));
        }
    }

    /// Adds the byte strings of rows.
    pub fn add_bytes(&mut self, source: impl Source, rows: Rows<'_>) {
        match rows {
            Rows::Flat { rows, nulls } => {
                for row in (0..rows).filter(|&row| nulls.is_none_or(|nulls| nulls.is_valid(row))) {
                    self.add(BloomFilter::hash(source.get(row)));
                }
            }
            Rows::Nested(levels) => {
                for at in levels.values(0..rows.len()) {
                    self.add(BloomFilter::hash(source.get(at)));
                }
            }
        }
    }

    fn add(&mut self, hash: u64) {
        if let Some(filter) = &mut self.filter {
            filter.insert(hash);
            return;
        }
        self.hashes.push(hash);
        if self.hashes.len() >= self.tidy_at {
            self.tidy();
        }
    }

    /// Keeps each hash once, and makes the filter when they take as much as it.
    fn tidy(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let largest = self.largest();
        if self.hashes.len() * size_of::<u64>() < largest.bytes() {
            // Looked for again when there are twice as many, so that sorting costs little in all.
            self.tidy_at = (2 * self.hashes.len()).max(TIDY_MIN);
            return;
        }
        self.filter = Some(filled(largest, &std::mem::take(&mut self.hashes)));
    }

    fn largest(&self) -> BloomFilter {
        match self.size {
            BloomFilters::Never => BloomFilter::with_bytes(0),
            BloomFilters::Bytes(bytes) => BloomFilter::with_bytes(bytes),
            BloomFilters::Rate(rate) => BloomFilter::with_rate(self.values_max, rate),
        }
    }

    /// Bytes that it takes in memory.
    pub fn memory_bytes(&self) -> usize {
        self.hashes.capacity() * size_of::<u64>() + self.filter.as_ref().map_or(0, BloomFilter::bytes)
    }

    /// The filter, no larger than what came needs.
    pub fn finish(mut self) -> BloomFilter {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        let of_hashes = match self.size {
            BloomFilters::Rate(rate) => BloomFilter::with_rate(self.hashes.len() as u64, rate),
            BloomFilters::Never | BloomFilters::Bytes(_) => self.largest(),
        };
        let mut filter = self.filter.take().unwrap_or_else(|| filled(of_hashes, &self.hashes));
        if let BloomFilters::Rate(rate) = self.size {
            filter.fold(rate);
        }
        filter
    }
}

/// Whether values of a physical type can have a Bloom filter; of a boolean it would say nothing.
pub(super) fn can_have(physical: Type) -> bool {
    !matches!(physical, Type::Boolean | Type::Int96 | Type::Unknown(_))
}

fn filled(mut filter: BloomFilter, hashes: &[u64]) -> BloomFilter {
    hashes.iter().for_each(|&hash| filter.insert(hash));
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(size: BloomFilters) -> BloomBuilder {
        BloomBuilder { size, values_max: 1 << 20, hashes: Vec::new(), tidy_at: TIDY_MIN, filter: None }
    }

    #[test]
    fn a_filter_is_as_large_as_what_came() {
        for distinct in [0, 1, 1000, 100_000, 600_000] {
            let mut bloom = builder(BloomFilters::Rate(0.01));
            for i in 0..1_000_000i64 {
                bloom.add_numbers(&[if distinct == 0 { continue } else { i % distinct }]);
            }
            assert!(bloom.memory_bytes() <= 4 << 20, "{distinct}: {}", bloom.memory_bytes());
            let filter = bloom.finish();
            let has = |v: i64| filter.may_contain(BloomFilter::hash(&v.to_le_bytes()));
            assert!((0..distinct).all(has));
            // 9.7 bits a value, then up to twice that for a power of two.
            let bytes = (distinct as f64 * 9.7 / 8.0 * 2.0).max(32.0);
            assert!(filter.bytes() as f64 <= bytes, "{distinct}: {}", filter.bytes());
            let wrong = (2_000_000..2_100_000).filter(|&v| has(v)).count();
            assert!(wrong < 1300, "{distinct}: {wrong}");
        }
    }

    #[test]
    fn few_values_take_little_memory() {
        let mut bloom = builder(BloomFilters::Rate(0.01));
        (0..1_000_000i64).for_each(|i| bloom.add_numbers(&[i % 50]));
        assert!(bloom.memory_bytes() <= 16 << 10, "{}", bloom.memory_bytes());
    }

    #[test]
    fn a_size_is_kept() {
        for values in [0, 10, 100_000i64] {
            let mut bloom = builder(BloomFilters::Bytes(4096));
            (0..values).for_each(|i| bloom.add_numbers(&[i]));
            let filter = bloom.finish();
            assert_eq!(filter.bytes(), 4096);
            assert!((0..values).all(|v| filter.may_contain(BloomFilter::hash(&v.to_le_bytes()))));
        }
    }
}
