//! The open page of a column of numbers: indices while the dictionary pays, then the numbers.

use super::choose::{Choice, DictionaryPage, INDICES_AT_ONCE, SAMPLE_BYTES, SAMPLE_VALUES, Trial};
use super::dictionary::Numbers;
use super::kernel::{Finished, Kernel};
use super::options::ChunkOptions;
use super::statistics::{Bound, PageStatistics};
use crate::error::{Error, Result};
use crate::parquet::arrow::{Leaf, ValueOrder};
use crate::parquet::encoding::extremes::Extreme as _;
use crate::parquet::encoding::{alp, bit_pack, byte_stream_split, delta_binary_packed, delta_byte_array, plain};
use crate::parquet::format::Encoding;

/// A number as Parquet stores it.
pub(super) trait Native: Copy + Default + 'static {
    const BYTES: usize;
    /// Of each value its own.
    fn bits(self) -> u64;
    /// Appends the values in PLAIN.
    fn put(values: &[Self], out: &mut Vec<u8>);
    /// Appends the values in an encoding that only some types have.
    fn put_as(encoding: Encoding, values: &[Self], out: &mut Vec<u8>) -> Result<()>;
    /// Takes the values into the range.
    fn widen_range(range: &mut Range<Self>, values: &[Self], is_unsigned: bool);
    /// The same by IEEE 754 total order; numbers that are no floats have no other order.
    fn widen_total(range: &mut Range<Self>, values: &[Self]);
    /// The range's ends as bounds of statistics; with `is_total`, zeros keep their signs.
    fn bounds(low: Self, high: Self, is_total: bool) -> (Vec<u8>, Vec<u8>);
    /// Whether there can be a NaN.
    const IS_FLOAT: bool;
}

/// The least and the greatest value of a page, and how many NaN stand aside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range<T> {
    ends: Option<(T, T)>,
    nans: usize,
    /// The least and the greatest NaN, where these are ordered.
    nan_ends: Option<(T, T)>,
}

impl<T> Default for Range<T> {
    fn default() -> Range<T> {
        Range { ends: None, nans: 0, nan_ends: None }
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
            fn put_as(encoding: Encoding, values: &[$t], out: &mut Vec<u8>) -> Result<()> {
                match encoding {
                    Encoding::DeltaBinaryPacked => delta_binary_packed::encode(values, out),
                    other => return Err(not_for_numbers(other)),
                }
                Ok(())
            }
            fn widen_range(range: &mut Range<$t>, values: &[$t], is_unsigned: bool) {
                // The top bit flipped, unsigned numbers order as signed ones.
                let flip = if is_unsigned { <$t>::MIN } else { 0 };
                let Some(&first) = values.first() else { return };
                let (low, high) = range.ends.unwrap_or((first, first));
                let (low, high, _) = <$t>::extremes(values, (low ^ flip, high ^ flip), flip);
                range.ends = Some((low ^ flip, high ^ flip));
            }
            fn widen_total(range: &mut Range<$t>, values: &[$t]) {
                <$t>::widen_range(range, values, false);
            }
            fn bounds(low: $t, high: $t, _: bool) -> (Vec<u8>, Vec<u8>) {
                (low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec())
            }
        }
    };
}
integer!(i32, u32);
integer!(i64, u64);

macro_rules! float {
    ($t:ty, $zero:expr, $first:expr, $put:expr, $put_as:expr) => {
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
            fn put_as(encoding: Encoding, values: &[$t], out: &mut Vec<u8>) -> Result<()> {
                ($put_as)(encoding, values, out)
            }
            fn widen_range(range: &mut Range<$t>, values: &[$t], _: bool) {
                if values.is_empty() {
                    return;
                }
                let (low, high, has_nan) = <$t>::extremes(values, range.ends.unwrap_or($first), $zero);
                if has_nan {
                    range.nans += values.iter().filter(|v| v.is_nan()).count();
                }
                range.ends = Some((low, high));
            }
            fn widen_total(range: &mut Range<$t>, values: &[$t]) {
                for &value in values {
                    let ends = match value.is_nan() {
                        true => &mut range.nan_ends,
                        false => &mut range.ends,
                    };
                    range.nans += usize::from(value.is_nan());
                    let (low, high) = ends.unwrap_or((value, value));
                    let low = if value.total_cmp(&low).is_lt() { value } else { low };
                    *ends = Some((low, if value.total_cmp(&high).is_gt() { value } else { high }));
                }
            }
            fn bounds(low: $t, high: $t, is_total: bool) -> (Vec<u8>, Vec<u8>) {
                if is_total {
                    return (low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec());
                }
                // Spec: parquet.thrift, `ColumnOrder`: the sign of a zero is not known to readers.
                let low = if low == $zero { -$zero } else { low };
                let high = if high == $zero { $zero } else { high };
                (low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec())
            }
        }
    };
}
float!(f32, 0.0, (f32::INFINITY, f32::NEG_INFINITY), <f32 as plain::Fixed>::encode, put_alp);
float!(f64, 0.0, (f64::INFINITY, f64::NEG_INFINITY), <f64 as plain::Fixed>::encode, put_alp);
float!(
    half::f16,
    half::f16::ZERO,
    (half::f16::INFINITY, half::f16::NEG_INFINITY),
    |values: &[half::f16], out: &mut Vec<u8>| out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
    |encoding, values: &[half::f16], out: &mut Vec<u8>| match encoding {
        Encoding::DeltaByteArray => {
            let bytes: Vec<_> = values.iter().map(|v| v.to_le_bytes()).collect();
            delta_byte_array::encode(bytes.iter().map(<[u8; 2]>::as_slice), out);
            Ok(())
        }
        other => Err(not_for_numbers(other)),
    }
);

fn put_alp<T: alp::Float>(encoding: Encoding, values: &[T], out: &mut Vec<u8>) -> Result<()> {
    match encoding {
        Encoding::Alp => alp::encode(values, out),
        other => Err(not_for_numbers(other)),
    }
}

/// Options are checked, so this is never seen.
#[cold]
fn not_for_numbers(encoding: Encoding) -> Error {
    Error::invalid(format!("{encoding} is not for the column's values"))
}

/// Appends the values as they stand in a page.
fn encode<T: Native>(encoding: Encoding, values: &[T], out: &mut Vec<u8>) -> Result<()> {
    match encoding {
        Encoding::Plain => T::put(values, out),
        Encoding::ByteStreamSplit => {
            let mut plain = Vec::with_capacity(values.len() * T::BYTES);
            T::put(values, &mut plain);
            byte_stream_split::encode(&plain, T::BYTES, out);
        }
        other => return T::put_as(other, values, out),
    }
    Ok(())
}

/// The kernel of numbers.
#[derive(Debug)]
pub(super) struct Primitives<T> {
    dictionary: Option<Numbers<T>>,
    /// Whether the dictionary still takes values.
    is_open: bool,
    /// How long it was when the page began.
    dictionary_start: usize,
    indices: Vec<u32>,
    /// Values of the page that are not in the dictionary.
    values: Vec<T>,
    choice: Choice,
    range: Range<T>,
    order: ValueOrder,
    statistics: bool,
}

/// Values that are taken at least before the dictionary's size is looked at: it may exceed its bound by so many.
const DICTIONARY_STRIDE: usize = 1024;

impl<T: Native> Primitives<T> {
    pub fn new(leaf: &Leaf, options: &ChunkOptions) -> Primitives<T> {
        Primitives {
            dictionary: options.dictionary.then(Numbers::new),
            is_open: options.dictionary,
            dictionary_start: 0,
            indices: Vec::new(),
            values: Vec::new(),
            choice: Choice::new(leaf.physical, options),
            range: Range::default(),
            order: leaf.order,
            statistics: options.statistics,
        }
    }

    /// How many rows may come next without the page or the dictionary growing far beyond its limit.
    pub fn room(&self, limits: &ChunkOptions) -> usize {
        let page = limits.page_bytes / T::BYTES;
        match &self.dictionary {
            Some(dictionary) if self.is_open => {
                let new = limits.dictionary_bytes.saturating_sub(dictionary.len() * T::BYTES);
                let room = page.saturating_sub(self.indices.len());
                room.min((new / T::BYTES).max(DICTIONARY_STRIDE)).clamp(1, INDICES_AT_ONCE)
            }
            _ => page.saturating_sub(self.values.len()).max(1),
        }
    }

    /// Takes values into the page; true when it must close.
    pub fn push(&mut self, values: &[T], limits: &ChunkOptions) -> bool {
        if self.statistics {
            match self.order {
                ValueOrder::FloatTotal => T::widen_total(&mut self.range, values),
                order => T::widen_range(&mut self.range, values, order == ValueOrder::Unsigned),
            }
        }
        match &mut self.dictionary {
            Some(dictionary) if self.is_open => {
                let before = dictionary.len();
                dictionary.indices(values, &mut self.indices);
                if self.choice.is_hopeless(self.indices.len(), dictionary.len()) {
                    let indices = std::mem::take(&mut self.indices);
                    self.values.extend(dictionary.get(indices.iter()));
                    (self.dictionary, self.is_open) = (None, false);
                    return self.values.len() * T::BYTES >= limits.page_bytes;
                }
                let is_full = dictionary.len() * T::BYTES >= limits.dictionary_bytes;
                let widens = self.choice.widens(self.indices.len(), dictionary.len(), dictionary.len() - before);
                is_full || widens || self.indices.len() * T::BYTES >= limits.page_bytes
            }
            _ => {
                self.values.extend_from_slice(values);
                self.values.len() * T::BYTES >= limits.page_bytes
            }
        }
    }

    /// Closes a page that stands as indices so far: they go to `body`, or the values come back from the dictionary.
    /// Whether they stay indices.
    fn finish_indices(
        &mut self,
        dictionary: &mut Numbers<T>,
        limits: &ChunkOptions,
        body: &mut Vec<u8>,
        trial: &mut Trial<'_>,
    ) -> Result<bool> {
        let new = dictionary.values().get(self.dictionary_start..).unwrap_or_default();
        // A page without values costs nothing either way.
        let mut stays = true;
        if !self.indices.is_empty() && !self.choice.is_settled() {
            let sample: Vec<T> = dictionary.get(self.indices.iter().take(sample_len::<T>())).collect();
            self.settle(&sample, trial)?;
            let mut entries = Vec::new();
            T::put(new.get(..sample_len::<T>()).unwrap_or(new), &mut entries);
            self.choice.weigh(&entries, &self.indices, dictionary.len(), trial)?;
        }
        let encoded = self.choice.encode_indices(&self.indices, dictionary.len());
        if !self.indices.is_empty() {
            let page = DictionaryPage {
                indices: &self.indices,
                encoded_bytes: encoded.len(),
                entries: dictionary.len(),
                bytes: dictionary.len() * T::BYTES,
                new_bytes: new.len() * T::BYTES,
                plain_bytes: self.indices.len() * T::BYTES,
            };
            stays = self.choice.keeps_dictionary(&page, limits, trial.is_last);
        }
        if stays {
            body.extend_from_slice(&encoded);
            self.dictionary_start = dictionary.len();
        } else {
            self.values.extend(dictionary.get(self.indices.iter()));
        }
        self.is_open = stays && dictionary.len() * T::BYTES < limits.dictionary_bytes;
        self.indices.clear();
        if !self.is_open {
            self.indices = Vec::new();
            dictionary.freeze(self.dictionary_start);
        }
        Ok(stays)
    }

    fn settle(&mut self, values: &[T], trial: &mut Trial<'_>) -> Result<()> {
        let values = values.get(..sample_len::<T>()).unwrap_or(values);
        self.choice.settle(values.len() * T::BYTES, trial, |encoding, out| encode(encoding, values, out))
    }
}

/// Values of a sample.
const fn sample_len<T: Native>() -> usize {
    let most = SAMPLE_BYTES / T::BYTES;
    if most < SAMPLE_VALUES { most } else { SAMPLE_VALUES }
}

impl<T: Native> Kernel for Primitives<T> {
    fn finish_page(&mut self, limits: &ChunkOptions, body: &mut Vec<u8>, trial: &mut Trial<'_>) -> Result<Finished> {
        let mut statistics =
            PageStatistics { nans: T::IS_FLOAT.then_some(self.range.nans), ..PageStatistics::default() };
        let is_total = self.order == ValueOrder::FloatTotal;
        let ends = match self.range.nans {
            _ if is_total => self.range.ends.or(self.range.nan_ends),
            0 => self.range.ends,
            _ => None,
        };
        if let Some((low, high)) = ends {
            let (min, max) = T::bounds(low, high, is_total);
            (statistics.min, statistics.max) = (Some(Bound::exact(min)), Some(Bound::exact(max)));
        }
        self.range = Range::default();

        if let Some(mut dictionary) = self.dictionary.take_if(|d| self.is_open && d.len() > 0) {
            statistics.values = self.indices.len();
            let stays = self.finish_indices(&mut dictionary, limits, body, trial);
            self.dictionary = Some(dictionary);
            if stays? {
                return Ok(Finished { encoding: Encoding::RleDictionary, statistics });
            }
        }
        statistics.values = self.values.len();
        let values = std::mem::take(&mut self.values);
        if !self.choice.is_settled() && !values.is_empty() {
            self.settle(&values, trial)?;
        }
        // Readers expect a page of nothing but nulls to be empty, whatever comes later.
        let encoding = if values.is_empty() { Encoding::Plain } else { self.choice.encoding() };
        encode(encoding, &values, body)?;
        self.values = values;
        self.values.clear();
        Ok(Finished { encoding, statistics })
    }

    fn dictionary_page<'a>(&'a self, body: &'a mut Vec<u8>) -> (&'a [u8], usize) {
        let values = self.dictionary.as_ref().map(Numbers::values).unwrap_or_default();
        T::put(values, body);
        (body, values.len())
    }

    fn page_bytes(&self) -> usize {
        let entries = self.dictionary.as_ref().map_or(0, Numbers::len);
        let indices = bit_pack::packed_bytes(self.indices.len(), self.choice.index_width(entries));
        indices + self.choice.encoded_bytes(self.values.len() * T::BYTES)
    }

    fn open_bytes(&self) -> usize {
        let dictionary = self.dictionary.as_ref().map_or(0, |d| d.len() * T::BYTES);
        self.values.len() * T::BYTES + self.indices.len() * 2 + dictionary
    }

    fn dictionary_bytes(&self) -> usize {
        self.dictionary.as_ref().filter(|_| self.is_open).map_or(0, Numbers::memory_bytes)
    }

    fn memory_bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>()
            + self.indices.capacity() * 4
            + self.dictionary.as_ref().map_or(0, Numbers::memory_bytes)
    }
}
