//! A column chunk's metadata without what takes memory: enough to find and decode its pages.
//!
//! Spec: parquet.thrift, `ColumnChunk`, `ColumnMetaData`.
//!
//! A full scan of many small chunks reads nothing else of them, and statistics are decoded by those who ask for them.

use super::metadata::{Codec, ColumnMetaData, Encoding};
use super::skip::{self, Walk};
use super::thrift::{Kind, Reader, missing};
use crate::error::Result;

/// Where a column chunk lies, and how its pages are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkPlace {
    pub codec: Codec,
    pub encodings: EncodingSet,
    pub num_values: i64,
    pub total_uncompressed_size: i64,
    pub total_compressed_size: i64,
    pub data_page_offset: i64,
    pub dictionary_page_offset: Option<i64>,
}

/// The encodings that a chunk names; all that are not known count as one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodingSet(u32);

impl EncodingSet {
    const UNKNOWN: u32 = 31;

    fn insert(&mut self, number: i32) {
        self.0 |= 1 << u32::try_from(number).map_or(Self::UNKNOWN, |n| n.min(Self::UNKNOWN));
    }

    /// Whether it is one of them.
    pub fn contains(self, encoding: Encoding) -> bool {
        let number = u32::try_from(i32::from(encoding)).map_or(Self::UNKNOWN, |n| n.min(Self::UNKNOWN));
        self.0 >> number & 1 == 1
    }
}

impl From<&ColumnMetaData> for ChunkPlace {
    fn from(meta: &ColumnMetaData) -> ChunkPlace {
        let mut encodings = EncodingSet::default();
        meta.encodings.iter().for_each(|&encoding| encodings.insert(encoding.into()));
        ChunkPlace {
            codec: meta.codec,
            encodings,
            num_values: meta.num_values,
            total_uncompressed_size: meta.total_uncompressed_size,
            total_compressed_size: meta.total_compressed_size,
            data_page_offset: meta.data_page_offset,
            dictionary_page_offset: meta.dictionary_page_offset,
        }
    }
}

/// Reads a `ColumnChunk`; none where its metadata is not in the clear, or its pages are in another file.
pub(super) fn read(r: &mut Reader<'_>) -> Result<Option<ChunkPlace>> {
    let at = r.cursor.position();
    match walk(r.cursor.all(), at) {
        Some((place, end)) => r.cursor.skip(end - at).map(|()| place),
        None => read_slowly(r),
    }
}

/// Passes over a `ColumnChunk`; whether it is one of those that [`read_regular`] is for.
pub(super) fn pass_over(r: &mut Reader<'_>) -> Result<bool> {
    let at = r.cursor.position();
    match walk_over(r.cursor.all(), at) {
        Some((end, is_regular)) => r.cursor.skip(end - at).map(|()| is_regular),
        None => r.skip(Kind::Struct).map(|()| false),
    }
}

fn walk_over(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    let mut walk = Walk::new(bytes, at);
    let (mut has_metadata, mut is_regular, mut last, mut before) = (false, true, 0, 0);
    while let Some((id, kind)) = walk.field(&mut last)? {
        is_regular &= id > before;
        before = id;
        match (id, kind) {
            (3, skip::STRUCT) => {
                is_regular &= walk.skip_struct()?;
                has_metadata = true;
            }
            _ => {
                is_regular &= !matches!((id, kind), (1, skip::BINARY) | (8, skip::STRUCT));
                walk.skip(kind)?;
            }
        }
    }
    Some((walk.at(), is_regular && has_metadata))
}

/// The place of the chunk that `bytes` begin with, whose metadata is once in it, in the clear, with fields whose ids ascend: so nothing behind
/// those that are wanted is looked at. None where something is wrong.
pub(super) fn read_regular(bytes: &[u8]) -> Option<ChunkPlace> {
    let mut walk = Walk::new(bytes, 0);
    let mut last = 0;
    while let Some((id, kind)) = walk.field(&mut last)? {
        match (id, kind) {
            (3, skip::STRUCT) => return walk_metadata(&mut walk).map(|(place, _)| place),
            _ => walk.skip(kind)?,
        }
    }
    None
}

/// The same of the chunk at `at`, and the place behind it; none where something is wrong or rare.
fn walk(bytes: &[u8], at: usize) -> Option<(Option<ChunkPlace>, usize)> {
    let mut walk = Walk::new(bytes, at);
    let (mut place, mut is_elsewhere, mut last) = (None, false, 0);
    while let Some((id, kind)) = walk.field(&mut last)? {
        match (id, kind) {
            (3, skip::STRUCT) => {
                let (found, is_over) = walk_metadata(&mut walk)?;
                if !is_over && !walk.skip_struct()? {
                    return None;
                }
                place = Some(found);
            }
            _ => {
                is_elsewhere |= matches!((id, kind), (1, skip::BINARY) | (8, skip::STRUCT));
                walk.skip(kind)?;
            }
        }
    }
    Some((place.filter(|_| !is_elsewhere), walk.at()))
}

/// Up to the first field behind those that are wanted, if there is one: whether the struct is over.
fn walk_metadata(walk: &mut Walk<'_>) -> Option<(ChunkPlace, bool)> {
    let (mut codec, mut encodings) = (None, None);
    let (mut num_values, mut uncompressed, mut compressed) = (None, None, None);
    let (mut data, mut dictionary, mut last) = (None, None, 0);
    let mut next = walk.at();
    let is_over = loop {
        let Some((id, kind)) = walk.field(&mut last)? else { break true };
        match (id, kind) {
            (2, skip::LIST) => {
                let mut set = EncodingSet::default();
                for _ in 0..walk.list_of_i32()? {
                    set.insert(i32::try_from(walk.integer()?).unwrap_or(i32::MAX));
                }
                encodings = Some(set);
            }
            (4, kind) => codec = walk.i32(kind, codec)?,
            (5, kind) => num_values = walk.i64(kind, num_values)?,
            (6, kind) => uncompressed = walk.i64(kind, uncompressed)?,
            (7, kind) => compressed = walk.i64(kind, compressed)?,
            (9, kind) => data = walk.i64(kind, data)?,
            (11, kind) => dictionary = walk.i64(kind, dictionary)?,
            (12.., _) => {
                walk.go_back(next);
                break false;
            }
            (_, kind) => walk.skip(kind)?,
        }
        next = walk.at();
    };
    let place = ChunkPlace {
        codec: Codec::from(codec?),
        encodings: encodings?,
        num_values: num_values?,
        total_uncompressed_size: uncompressed?,
        total_compressed_size: compressed?,
        data_page_offset: data?,
        dictionary_page_offset: dictionary,
    };
    Some((place, is_over))
}

/// The same with an error that says what is wrong where.
#[cold]
fn read_slowly(r: &mut Reader<'_>) -> Result<Option<ChunkPlace>> {
    let (mut place, mut is_elsewhere) = (None, false);
    r.fields(|r, id, kind| {
        match (id, kind) {
            (1, Kind::Binary) | (8, Kind::Struct) => {
                is_elsewhere = true;
                r.skip(kind)?;
            }
            (3, Kind::Struct) => place = Some(metadata(r)?),
            _ => r.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(place.filter(|_| !is_elsewhere))
}

fn metadata(r: &mut Reader<'_>) -> Result<ChunkPlace> {
    let (mut codec, mut encodings) = (None, None);
    let (mut num_values, mut uncompressed, mut compressed) = (None, None, None);
    let (mut data, mut dictionary) = (None, None);
    r.fields(|r, id, kind| {
        match (id, kind) {
            (2, Kind::List) => encodings = Some(encoding_set(r)?),
            (4, _) => codec = r.value::<i32>(kind)?.or(codec),
            (5, _) => num_values = r.value(kind)?.or(num_values),
            (6, _) => uncompressed = r.value(kind)?.or(uncompressed),
            (7, _) => compressed = r.value(kind)?.or(compressed),
            (9, _) => data = r.value(kind)?.or(data),
            (11, _) => dictionary = r.value(kind)?.or(dictionary),
            _ => r.skip(kind)?,
        }
        Ok(())
    })?;
    let none = |field| missing(r, "ColumnMetaData", field);
    Ok(ChunkPlace {
        codec: Codec::from(codec.ok_or_else(|| none("codec"))?),
        encodings: encodings.ok_or_else(|| none("encodings"))?,
        num_values: num_values.ok_or_else(|| none("num_values"))?,
        total_uncompressed_size: uncompressed.ok_or_else(|| none("total_uncompressed_size"))?,
        total_compressed_size: compressed.ok_or_else(|| none("total_compressed_size"))?,
        data_page_offset: data.ok_or_else(|| none("data_page_offset"))?,
        dictionary_page_offset: dictionary,
    })
}

fn encoding_set(r: &mut Reader<'_>) -> Result<EncodingSet> {
    let (kind, count) = r.list()?;
    if count > 0 && kind != Kind::I32 {
        return Err(r.cursor.corrupt(format!("list of {kind:?} where encodings belong")));
    }
    let mut encodings = EncodingSet::default();
    for _ in 0..count {
        let number = r.cursor.zigzag()?;
        encodings.insert(i32::try_from(number).unwrap_or(i32::MAX));
    }
    Ok(encodings)
}
