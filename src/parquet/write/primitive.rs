//! The open page of a column of numbers: indices while the dictionary pays, then PLAIN bytes.

use super::column_chunk::{Finished, Kernel};
use super::dictionary::Numbers;
use super::options::ChunkOptions;
use super::statistics::{Bound, PageStatistics};
use crate::parquet::arrow::ValueOrder;
use crate::parquet::encoding::{dictionary, plain};
use crate::parquet::format::Encoding;

/// A number as Parquet stores it.
pub(super) trait Native: Copy + Default + 'static {
    const BYTES: usize;
    /// Of each value its own.
    fn bits(self) -> u64;
    /// Appends the values in PLAIN.
    fn put(values: &[Self], out: &mut Vec<u8>);
    /// Takes the values into the range.
    fn widen(range: &mut Range<Self>, values: &[Self], is_unsigned: bool);
    /// The range's ends as bounds of statistics.
    fn bounds(low: Self, high: Self) -> (Vec<u8>, Vec<u8>);
    /// Whether there can be a NaN.
    const IS_FLOAT: bool;
}

/// The least and the greatest value of a page, and how many NaN stand aside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<T> {
    ends: Option<(T, T)>,
    nans: usize,
}

impl<T> Default for Range<T> {
    fn default() -> Range<T> {
        Range { ends: None, nans: 0 }
    }
}

macro_rules! integer {
    ($t:ty, $unsigned:ty) => {
        impl Native for $t {
            const BYTES: usize = size_of::<$t>();
            const IS_FLOAT: bool = false;
            #[inline]
            fn bits(self) -> u64 {
                u64::from(self as $unsigned)
            }
            #[inline]
            fn put(values: &[$t], out: &mut Vec<u8>) {
                <$t as plain::Fixed>::encode(values, out);
            }
            fn widen(range: &mut Range<$t>, values: &[$t], is_unsigned: bool) {
                // The top bit flipped, unsigned numbers order as signed ones.
                let flip = if is_unsigned { <$t>::MIN } else { 0 };
                let Some(&first) = values.first() else { return };
                let (low, high) = range.ends.unwrap_or((first, first));
                let (low, high) = values
                    .iter()
                    .fold((low ^ flip, high ^ flip), |(low, high), &v| (low.min(v ^ flip), high.max(v ^ flip)));
                range.ends = Some((low ^ flip, high ^ flip));
            }
            fn bounds(low: $t, high: $t) -> (Vec<u8>, Vec<u8>) {
                (low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec())
            }
        }
    };
}
integer!(i32, u32);
integer!(i64, u64);

macro_rules! float {
    ($t:ty, $zero:expr, $first:expr, $put:expr) => {
        impl Native for $t {
            const BYTES: usize = size_of::<$t>();
            const IS_FLOAT: bool = true;
            #[inline]
            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }
            #[inline]
            fn put(values: &[$t], out: &mut Vec<u8>) {
                ($put)(values, out);
            }
            fn widen(range: &mut Range<$t>, values: &[$t], _: bool) {
                if values.is_empty() {
                    return;
                }
                // Lanes side by side, so that the comparisons of one need not wait for those of the other.
                const LANES: usize = 8;
                let (none_low, none_high): ($t, $t) = $first;
                let (low, high) = range.ends.unwrap_or((none_low, none_high));
                let (mut lows, mut highs, mut nans) = ([low; LANES], [high; LANES], [0u32; LANES]);
                for block in values.chunks(LANES) {
                    lows.iter_mut().zip(block).for_each(|(low, v)| *low = if v < low { *v } else { *low });
                    highs.iter_mut().zip(block).for_each(|(high, v)| *high = if v > high { *v } else { *high });
                    nans.iter_mut().zip(block).for_each(|(nans, v)| *nans += u32::from(v.is_nan()));
                }
                let low = lows.into_iter().fold(low, |a, b| if b < a { b } else { a });
                let high = highs.into_iter().fold(high, |a, b| if b > a { b } else { a });
                range.nans += nans.iter().map(|&n| n as usize).sum::<usize>();
                range.ends = Some((low, high));
            }
            fn bounds(low: $t, high: $t) -> (Vec<u8>, Vec<u8>) {
                // Spec: parquet.thrift, `ColumnOrder`: the sign of a zero is not known to readers.
                let low = if low == $zero { -$zero } else { low };
                let high = if high == $zero { $zero } else { high };
                (low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec())
            }
        }
    };
}
float!(f32, 0.0, (f32::INFINITY, f32::NEG_INFINITY), <f32 as plain::Fixed>::encode);
float!(f64, 0.0, (f64::INFINITY, f64::NEG_INFINITY), <f64 as plain::Fixed>::encode);
float!(
    half::f16,
    half::f16::ZERO,
    (half::f16::INFINITY, half::f16::NEG_INFINITY),
    |values: &[half::f16], out: &mut Vec<u8>| out.extend(values.iter().flat_map(|v| v.to_le_bytes()))
);

/// The kernel of numbers.
#[derive(Debug)]
pub(super) struct Primitives<T> {
    dictionary: Option<Numbers<T>>,
    /// Whether the dictionary still takes values.
    is_open: bool,
    /// How long it was when the page began.
    dictionary_start: usize,
    indices: Vec<u32>,
    plain: Vec<u8>,
    range: Range<T>,
    order: ValueOrder,
    statistics: bool,
}

/// Values that are taken at least before the dictionary's size is looked at: it may exceed its bound by so many.
const DICTIONARY_STRIDE: usize = 1024;

impl<T: Native> Primitives<T> {
    pub fn new(order: ValueOrder, dictionary: bool, statistics: bool) -> Primitives<T> {
        Primitives {
            dictionary: dictionary.then(Numbers::new),
            is_open: dictionary,
            dictionary_start: 0,
            indices: Vec::new(),
            plain: Vec::new(),
            range: Range::default(),
            order,
            statistics,
        }
    }

    /// How many rows may come next without the page or the dictionary growing far beyond its limit.
    pub fn room(&self, limits: &ChunkOptions) -> usize {
        match &self.dictionary {
            Some(dictionary) if self.is_open => {
                let bytes = limits.page_bytes.saturating_sub(self.indices.len() * T::BYTES);
                let new = limits.dictionary_bytes.saturating_sub(dictionary.len() * T::BYTES);
                (bytes / T::BYTES).min((new / T::BYTES).max(DICTIONARY_STRIDE)).max(1)
            }
            _ => (limits.page_bytes.saturating_sub(self.plain.len()) / T::BYTES).max(1),
        }
    }

    /// Takes values into the page; true when it must close.
    pub fn push(&mut self, values: &[T], limits: &ChunkOptions) -> bool {
        if self.statistics {
            T::widen(&mut self.range, values, self.order == ValueOrder::Unsigned);
        }
        match &mut self.dictionary {
            Some(dictionary) if self.is_open => {
                dictionary.indices(values, &mut self.indices);
                let is_full = dictionary.len() * T::BYTES >= limits.dictionary_bytes;
                is_full || self.indices.len() * T::BYTES >= limits.page_bytes
            }
            _ => {
                T::put(values, &mut self.plain);
                self.plain.len() >= limits.page_bytes
            }
        }
    }
}

impl<T: Native> Kernel for Primitives<T> {
    fn finish_page(&mut self, limits: &ChunkOptions, body: &mut Vec<u8>) -> Finished {
        let mut statistics =
            PageStatistics { nans: T::IS_FLOAT.then_some(self.range.nans), ..PageStatistics::default() };
        if let (Some((low, high)), 0) = (self.range.ends, self.range.nans) {
            let (min, max) = T::bounds(low, high);
            (statistics.min, statistics.max) = (Some(Bound::exact(min)), Some(Bound::exact(max)));
        }
        self.range = Range::default();

        let mut encoding = Encoding::Plain;
        let mut values = self.plain.len() / T::BYTES;
        if let Some(dictionary) = self.dictionary.as_mut().filter(|d| self.is_open && d.len() > 0) {
            values = self.indices.len();
            let encoded = dictionary::encode(&self.indices, dictionary.len());
            let new_bytes = (dictionary.len() - self.dictionary_start) * T::BYTES;
            // A page without values costs nothing either way.
            if values == 0 || new_bytes + encoded.len() < values * T::BYTES {
                body.extend_from_slice(&encoded);
                encoding = Encoding::RleDictionary;
                self.is_open = dictionary.len() * T::BYTES < limits.dictionary_bytes;
                self.dictionary_start = dictionary.len();
            } else {
                let all = dictionary.values();
                let page: Vec<T> = self.indices.iter().filter_map(|&i| all.get(i as usize).copied()).collect();
                T::put(&page, &mut self.plain);
                self.is_open = false;
            }
            self.indices.clear();
            if !self.is_open {
                self.indices = Vec::new();
                dictionary.freeze(self.dictionary_start);
            }
        }
        body.extend_from_slice(&self.plain);
        self.plain.clear();
        statistics.values = values;
        Finished { encoding, statistics }
    }

    fn dictionary_page(&self, body: &mut Vec<u8>) -> usize {
        let values = self.dictionary.as_ref().map(Numbers::values).unwrap_or_default();
        T::put(values, body);
        values.len()
    }

    fn open_bytes(&self) -> usize {
        let dictionary = self.dictionary.as_ref().map_or(0, |d| d.len() * T::BYTES);
        self.plain.len() + self.indices.len() * 2 + dictionary
    }

    fn memory_bytes(&self) -> usize {
        self.plain.capacity() + self.indices.capacity() * 4 + self.dictionary.as_ref().map_or(0, Numbers::memory_bytes)
    }
}
