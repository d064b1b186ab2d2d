//! The entries of a dictionary of values of a fixed width, made into values all at once or as they are asked for: where few
//! rows are read, most of a large dictionary is not.

use std::ops::Range;

use super::super::page::PageBytes;
use crate::error::Result;
use crate::parquet::encoding::dictionary;
use crate::parquet::encoding::plain::{self, Fixed};

/// Appends `count` values from the start of the bytes (each so many wide, where that is not known from the
/// type); the bytes that they took.
pub(super) type Decode<T> = fn(bytes: &[u8], width: usize, count: usize, out: &mut Vec<T>) -> Result<usize>;

type Gather<T> = fn(page: &[u8], indices: &mut dictionary::Decoder, count: usize, out: &mut Vec<T>) -> Result<()>;
type ValuesAt<T> = fn(page: &[u8], indices: &[u32], out: &mut Vec<T>) -> Result<()>;

/// How values are taken from a dictionary page as it stands, where each is in the array what it is in PLAIN.
#[derive(Debug)]
pub(super) struct AsStands<T> {
    gather: Gather<T>,
    values_at: ValuesAt<T>,
}

impl<T> Clone for AsStands<T> {
    fn clone(&self) -> AsStands<T> {
        *self
    }
}

impl<T> Copy for AsStands<T> {}

impl<T: Fixed> AsStands<T> {
    pub(super) fn new() -> AsStands<T> {
        AsStands {
            gather: |page, indices, count, out| indices.gather_plain(page, count, out),
            values_at: dictionary::plain_values_at,
        }
    }
}

#[derive(Debug)]
pub(super) struct Entries<T> {
    /// The dictionary page: of values that are taken from it as they stand, else until values are made of all of it.
    raw: Option<PageBytes>,
    as_stands: Option<AsStands<T>>,
    count: usize,
    width: usize,
    /// Entries that were made one by one.
    picked: usize,
    values: Vec<T>,
    indices: Vec<u32>,
}

/// A dictionary of so many entries is made at once.
const SMALL: usize = 256;
/// So many are made one by one, at a time and, as a part of all, altogether: that takes several times as long for each, and
/// where longer runs are read, all are needed soon.
const FEW: usize = 32;
const PICKED_PART: usize = 8;

impl<T: Copy + Default> Entries<T> {
    /// `count` entries in PLAIN, each `width` bytes; 0 for those that tell their width. What is kept of `bytes` is taken. Values
    /// that are made go to `values`, which is empty.
    pub(super) fn new(
        bytes: &mut PageBytes,
        width: usize,
        count: usize,
        is_sparse: bool,
        decode: Decode<T>,
        as_stands: Option<AsStands<T>>,
        values: Vec<T>,
    ) -> Result<Entries<T>> {
        let mut entries = Entries { raw: None, as_stands, count, width, picked: 0, values, indices: Vec::new() };
        if (is_sparse || as_stands.is_some()) && width > 0 && count > SMALL {
            plain::split(bytes, count, width)?;
            entries.raw = Some(std::mem::take(bytes));
        } else {
            // No value takes less than a byte, so this bounds a count that the bytes cannot hold.
            entries.values.reserve_exact(count.min(bytes.len()));
            decode(bytes, width, count, &mut entries.values)?;
        }
        Ok(entries)
    }

    /// What it has of the dictionary's page, and the buffer for values, if that is small and may be kept for the next ones.
    pub(super) fn into_parts(self) -> (PageBytes, Option<Vec<T>>) {
        let mut values = self.values;
        values.clear();
        (self.raw.unwrap_or_default(), Some(values).filter(|values| values.capacity() <= SMALL))
    }

    /// Bytes that it takes, at most, once all entries are made.
    pub(super) fn bytes(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, |bytes| bytes.len());
        let made = if self.standing().is_some() { 0 } else { self.count.saturating_mul(size_of::<T>()) };
        raw.saturating_add(made)
    }

    /// The page, without what may stand behind its entries, if values are taken from it.
    fn standing(&self) -> Option<(&[u8], AsStands<T>)> {
        let (raw, as_stands) = self.raw.as_ref().zip(self.as_stands)?;
        Some((raw.get(..self.count.checked_mul(self.width)?)?, as_stands))
    }

    /// Appends the values of the next `count` indices.
    pub(super) fn gather(
        &mut self,
        indices: &mut dictionary::Decoder,
        count: usize,
        decode: Decode<T>,
        out: &mut Vec<T>,
    ) -> Result<()> {
        if let Some((page, as_stands)) = self.standing() {
            return (as_stands.gather)(page, indices, count, out);
        }
        if !self.are_few(count) {
            self.make_all(decode)?;
            return indices.gather(&self.values, count, out);
        }
        self.indices.clear();
        indices.read(self.count, count, &mut self.indices)?;
        self.make_few(decode, out)
    }

    /// Appends the values of the indices at `ranges` of the next `span`, and passes over the others.
    pub(super) fn pick(
        &mut self,
        indices: &mut dictionary::Decoder,
        ranges: &[Range<usize>],
        span: usize,
        decode: Decode<T>,
        out: &mut Vec<T>,
    ) -> Result<()> {
        self.indices.clear();
        indices.pick(ranges, span, &mut self.indices)?;
        if let Some((page, as_stands)) = self.standing() {
            return (as_stands.values_at)(page, &self.indices, out);
        }
        dictionary::check(&self.indices, self.count)?;
        if self.are_few(self.indices.len()) {
            return self.make_few(decode, out);
        }
        self.make_all(decode)?;
        dictionary::values_at(&self.values, &self.indices, out)
    }

    /// Whether the next `count` values are made one by one.
    fn are_few(&self, count: usize) -> bool {
        self.raw.is_some() && count <= FEW && self.picked + count <= self.count / PICKED_PART
    }

    fn make_all(&mut self, decode: Decode<T>) -> Result<()> {
        if let Some(raw) = self.raw.take() {
            self.values.reserve_exact(self.count);
            decode(&raw, self.width, self.count, &mut self.values)?;
        }
        Ok(())
    }

    /// Appends those of `indices`, which are within the dictionary, one by one.
    fn make_few(&mut self, decode: Decode<T>, out: &mut Vec<T>) -> Result<()> {
        self.picked += self.indices.len();
        let raw = self.raw.as_deref().unwrap_or_default();
        for &index in &self.indices {
            let entry = raw.get(index as usize * self.width..).unwrap_or_default();
            decode(entry, self.width, 1, out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::parquet::encoding::dictionary::{Decoder, encode};

    fn decode(bytes: &[u8], width: usize, count: usize, out: &mut Vec<u32>) -> Result<usize> {
        let (values, _) = plain::split(bytes, count, width)?;
        for value in values.chunks(width) {
            let value: [u8; 4] = value.try_into().map_err(|_| Error::corrupt("another width"))?;
            out.push(u32::from_le_bytes(value));
        }
        Ok(count * width)
    }

    #[test]
    fn few_are_made_one_by_one_and_many_at_once() {
        let values: Vec<u32> = (0..5000).map(|n| n * 7).collect();
        let page: Vec<u8> = values.iter().flat_map(|n| n.to_le_bytes()).collect();
        for is_sparse in [false, true] {
            let mut bytes = PageBytes::Own(page.clone());
            let mut entries = Entries::new(&mut bytes, 4, 5000, is_sparse, decode, None, Vec::new()).expect("entries");
            assert_eq!(bytes.is_empty(), is_sparse, "what is read later is kept");
            let indices: Vec<u32> = (0..3000).map(|n| n * 37 % 5000).collect();
            let coded = encode(&indices, 13);
            let mut decoder = Decoder::new(&coded).expect("width");
            let mut out = vec![1];
            for count in std::iter::repeat_n(32, 19).chain([1, 17, 20, 300, 2000, 54]) {
                let is_raw = entries.raw.is_some();
                entries.gather(&mut decoder, count, decode, &mut out).expect("values");
                let few = is_sparse && out.len() <= 1 + 5000 / PICKED_PART;
                assert_eq!(entries.raw.is_some(), few && is_raw, "{} values", out.len());
            }
            assert_eq!(out[1..], indices.iter().map(|&n| values[n as usize]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_not_there_is_corrupt() {
        let page = || PageBytes::Own(vec![0; 4 * 999]);
        for is_sparse in [false, true] {
            assert!(Entries::new(&mut page(), 4, 1000, is_sparse, decode, None, Vec::new()).is_err());
            let mut entries = Entries::new(&mut page(), 4, 999, is_sparse, decode, None, Vec::new()).expect("entries");
            let coded = encode(&[0, 999], 10);
            let mut decoder = Decoder::new(&coded).expect("width");
            assert!(entries.gather(&mut decoder, 2, decode, &mut Vec::new()).is_err());
        }
    }
}
