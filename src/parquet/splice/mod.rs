//! Row groups copied as they are, from finished files into a new one: nothing is decoded, compressed or encoded.
//!
//! ```text
//! "PAR1" | row groups of file 1, of file 2, … | Bloom filters | column indexes | offset indexes | footer
//! ```
//!
//! Pages, Bloom filters and column indexes are the same bytes in another place; offset indexes and the footer name places and
//! are written anew. What a file says that does not hold in the new one is left out and never changed: bounds in
//! another order than the new file's, indexes that cannot be right.
//!
//! Memory is bounded by the footers of all files and a piece of 4 MiB.

mod chunk;
mod source;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

pub use source::Source;

use self::chunk::Moved;
pub(crate) use self::chunk::settle_bounds;
use crate::error::{Error, Result};
use crate::parquet::arrow::{ARROW_SCHEMA_KEY, ParquetSchema, check_same};
use crate::parquet::format::{ColumnOrder, Empty, FileMetaData, KeyValue, RowGroup, footer};
use crate::storage::{Input, Output};

/// What is copied at a time.
const PIECE_BYTES: u64 = 4 << 20;

/// What the footer of a merged file says wrote it.
const CREATED_BY: &str = concat!("hypostyle version ", env!("CARGO_PKG_VERSION"));

/// How files are merged.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct MergeOptions {
    /// What the footer says besides, by key; before what the files say of the same key.
    pub key_values: Vec<(String, String)>,
    /// What the footer of each file may take in memory, in bytes; 1 GiB.
    pub memory_bytes: Option<usize>,
}

impl MergeOptions {
    /// With another [`memory_bytes`](Self::memory_bytes).
    #[must_use]
    pub fn with_memory_bytes(mut self, bytes: usize) -> MergeOptions {
        self.memory_bytes = Some(bytes);
        self
    }

    /// Adds a pair to [`key_values`](Self::key_values).
    #[must_use]
    pub fn with_key_value(mut self, key: impl Into<String>, value: impl Into<String>) -> MergeOptions {
        self.key_values.push((key.into(), value.into()));
        self
    }
}

/// A merged file that is there.
#[derive(Debug, Clone)]
pub struct MergedFile {
    /// Its footer.
    pub metadata: FileMetaData,
    /// Its length.
    pub bytes: u64,
    /// Keys that the files give different values, and that are left out.
    pub left_out: Vec<String>,
}

/// Copies the row groups of these numbers into a file of their own, without decoding them; of a file whose other groups
/// are broken, say. Where `keeps` says no of a group and leaf, its bounds, page indexes and Bloom filter are left out.
///
/// # Errors
/// As those of [`merge`], as far as these groups go.
pub fn salvage(
    input: &Arc<dyn Input>,
    row_groups: &[usize],
    keeps: &dyn Fn(usize, usize) -> bool,
    out: Box<dyn Output>,
) -> Result<MergedFile> {
    let source = Source::part(Arc::clone(input), row_groups, keeps).map_err(|e| e.in_file(input.name()))?;
    write(&[source], out, &MergeOptions::default())
}

/// Copies the row groups that `metadata` tells of, all of which lie before byte `end`, from a file that has no footer itself.
///
/// # Errors
/// As those of [`merge`].
pub fn rebuild(input: &Arc<dyn Input>, metadata: FileMetaData, end: u64, out: Box<dyn Output>) -> Result<MergedFile> {
    let source = Source::of(Arc::clone(input), metadata, end).map_err(|e| e.in_file(input.name()))?;
    write(&[source], out, &MergeOptions::default())
}

/// Writes the row groups of all files, in order, into one.
///
/// The files must hold the same columns ([`check_same`]); the new file has the schema of the first. Its key-values are
/// those that no file contradicts, `ARROW:schema` as in the first file (absent if it is absent there).
///
/// # Errors
/// [`Error::Invalid`] naming file and column where the schema is another, or when there is no file;
/// [`Error::Unsupported`] for encrypted files and what else cannot be moved; [`Error::Corrupt`] for files whose metadata
/// contradicts itself.
pub fn merge(inputs: &[Arc<dyn Input>], out: Box<dyn Output>, options: &MergeOptions) -> Result<MergedFile> {
    if options.key_values.iter().any(|(key, _)| key == ARROW_SCHEMA_KEY) {
        return Err(Error::invalid(format!("the key {ARROW_SCHEMA_KEY} is the first file's own")));
    }
    let memory_bytes = options.memory_bytes.unwrap_or(source::MEMORY_BYTES);
    let open = |input: &Arc<dyn Input>| Source::open_within(Arc::clone(input), memory_bytes);
    let sources = inputs.iter().map(open).collect::<Result<Vec<_>>>()?;
    write(&sources, out, options)
}

fn write(sources: &[Source], out: Box<dyn Output>, options: &MergeOptions) -> Result<MergedFile> {
    let Some(first) = sources.first() else { return Err(Error::invalid("there is no file to merge")) };
    for source in sources {
        check_same(&first.schema, &source.schema).map_err(|e| e.in_file(source.input.name()))?;
    }
    let orders = orders(sources);
    let mut copy = Copy { out, position: 0 };
    copy.append(&footer::MAGIC)?;
    let mut row_groups = Vec::new();
    let mut moved = Vec::new();
    for source in sources {
        for group in &source.metadata.row_groups {
            let ordinal = row_groups.len();
            let placed = row_group(source, group, &first.schema, orders.as_deref(), ordinal, &mut copy, &mut moved);
            row_groups.push(placed.map_err(|e| e.in_file(source.input.name()))?);
        }
    }
    write_indexes(&mut row_groups, &mut moved, &mut copy)?;
    let (key_values, left_out) = key_values(sources, options);
    let rows = sources.iter().try_fold(0i64, |sum, source| sum.checked_add(source.metadata.num_rows));
    let metadata = FileMetaData {
        version: sources.iter().map(|source| source.metadata.version).max().unwrap_or(2),
        schema: first.schema.elements.clone(),
        num_rows: rows.ok_or_else(|| Error::limit("more than 2^63 rows"))?,
        row_groups,
        key_value_metadata: (!key_values.is_empty()).then_some(key_values),
        created_by: Some(CREATED_BY.into()),
        column_orders: orders,
        encryption_algorithm: None,
        footer_signing_key_metadata: None,
    };
    copy.append(&footer::encode(&metadata)?)?;
    copy.out.finish()?;
    Ok(MergedFile { metadata, bytes: copy.position, left_out })
}

/// Copies the chunks of a group; gives the group as it stands in the new file.
fn row_group<'a>(
    source: &'a Source,
    group: &RowGroup,
    schema: &ParquetSchema,
    orders: Option<&[ColumnOrder]>,
    ordinal: usize,
    copy: &mut Copy,
    moved: &mut Vec<Moved<'a>>,
) -> Result<RowGroup> {
    let start = copy.position;
    let mut columns = Vec::with_capacity(group.columns.len());
    for ((number, chunk), leaf) in group.columns.iter().enumerate().zip(&schema.leaves) {
        let place = |e: Error| e.in_column(leaf.name());
        let range = source.range(chunk).map_err(place)?;
        let keeps_bounds = source.order(number) == orders.and_then(|orders| orders.get(number));
        let (chunk, there) = chunk::moved(source, chunk, leaf, range.clone(), copy.position, keeps_bounds);
        copy.copy(source.input.as_ref(), range).map_err(place)?;
        columns.push(chunk);
        moved.push(there);
    }
    let bytes = columns.iter().filter_map(|chunk| chunk.meta_data.as_ref()).map(|meta| meta.total_compressed_size);
    Ok(RowGroup {
        total_byte_size: group.total_byte_size,
        total_compressed_size: Some(bytes.sum()),
        num_rows: group.num_rows,
        sorting_columns: group.sorting_columns.clone(),
        file_offset: i64::try_from(start).ok(),
        ordinal: i16::try_from(ordinal).ok(),
        columns,
    })
}

/// All Bloom filters, then all column indexes, then all offset indexes.
fn write_indexes(row_groups: &mut [RowGroup], moved: &mut [Moved<'_>], copy: &mut Copy) -> Result<()> {
    let chunks = |row_groups: &mut [RowGroup], place: &mut dyn FnMut(&mut _, &mut Moved<'_>) -> Result<()>| {
        let columns = row_groups.iter_mut().flat_map(|group| &mut group.columns);
        columns
            .zip(moved.iter_mut())
            .try_for_each(|(chunk, moved)| place(chunk, moved).map_err(|e| e.in_file(moved.source.input.name())))
    };
    let mut chunks = chunks;
    chunks(row_groups, &mut |chunk: &mut crate::parquet::format::ColumnChunk, moved| {
        let (Some(range), Some(meta)) = (moved.bloom_filter()?, &mut chunk.meta_data) else { return Ok(()) };
        meta.bloom_filter_offset = Some(copy.position as i64);
        meta.bloom_filter_length = i32::try_from(range.end - range.start).ok();
        copy.copy(moved.source.input.as_ref(), range)
    })?;
    chunks(row_groups, &mut |chunk, moved| {
        // Without the pages' places it is of no use.
        moved.settle_offset_index()?;
        let Some(range) = moved.column_index.clone() else { return Ok(()) };
        chunk.column_index_offset = Some(copy.position as i64);
        chunk.column_index_length = i32::try_from(range.end - range.start).ok();
        copy.copy(moved.source.input.as_ref(), range)
    })?;
    chunks(row_groups, &mut |chunk, moved| {
        let Some(bytes) = moved.offset_index()? else { return Ok(()) };
        chunk.offset_index_offset = Some(copy.position as i64);
        chunk.offset_index_length = i32::try_from(bytes.len()).ok();
        copy.append(&bytes)
    })
}

/// The order of each column's bounds: the first that a file states. None where no file states one.
fn orders(sources: &[Source]) -> Option<Vec<ColumnOrder>> {
    let columns = sources.first()?.schema.leaves.len();
    let stated = |column| sources.iter().find_map(|source| source.order(column).cloned());
    let orders: Vec<Option<ColumnOrder>> = (0..columns).map(stated).collect();
    if orders.iter().all(Option::is_none) {
        return None;
    }
    Some(orders.into_iter().map(|order| order.unwrap_or(ColumnOrder::TypeOrder(Empty {}))).collect())
}

/// The pairs of the new file, and the keys that are left out.
fn key_values(sources: &[Source], options: &MergeOptions) -> (Vec<KeyValue>, Vec<String>) {
    let given = options.key_values.iter();
    let given: Vec<KeyValue> =
        given.map(|(key, value)| KeyValue { key: key.clone(), value: Some(value.clone()) }).collect();
    let settled: HashSet<&str> = given.iter().map(|pair| pair.key.as_str()).collect();
    // What the files say, none where they contradict each other; and where each key stands.
    let mut said: Vec<Option<&KeyValue>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut left_out: Vec<String> = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        for pair in source.metadata.key_value_metadata.iter().flatten() {
            if settled.contains(pair.key.as_str()) || (pair.key == ARROW_SCHEMA_KEY && number > 0) {
                continue;
            }
            match places.get(pair.key.as_str()).and_then(|&at| said.get_mut(at)) {
                None => {
                    places.insert(&pair.key, said.len());
                    said.push(Some(pair));
                }
                Some(known) if known.is_some_and(|known| known != pair) => {
                    *known = None;
                    left_out.push(pair.key.clone());
                }
                Some(_) => {}
            }
        }
    }
    let said: Vec<KeyValue> = said.into_iter().flatten().cloned().collect();
    ([given, said].concat(), left_out)
}

/// An output, and how much is in it.
pub(crate) struct Copy {
    pub out: Box<dyn Output>,
    pub position: u64,
}

impl Copy {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.append(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Appends a range of a file, piece by piece.
    pub fn copy(&mut self, input: &dyn Input, range: Range<u64>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + PIECE_BYTES);
            self.append(&input.read(at..end)?)?;
            at = end;
        }
        Ok(())
    }
}
