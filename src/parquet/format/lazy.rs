//! The footer, read once over: what every scan needs, and where the rest stands.
//!
//! Spec: parquet.thrift, `FileMetaData`.
//!
//! Most of a footer are its column chunks. Of each, only the place is kept; [`Footer::chunk`] decodes the one that is
//! asked for. So one column of ten thousand costs a walk over the bytes, and not ten thousand structs.

use std::sync::OnceLock;

use bytes::Bytes;

use super::chunk_place::{self, ChunkPlace};
use super::encryption::EncryptionAlgorithm;
use super::metadata::{ColumnChunk, ColumnOrder, FileMetaData, KeyValue, SortingColumn};
use super::schema::SchemaElement;
use super::thrift::{self, Kind, Reader, Value, missing};
use crate::error::{Error, Result};

/// A footer whose column chunks are decoded when they are asked for.
#[derive(Debug)]
pub struct Footer {
    pub version: i32,
    pub num_rows: i64,
    pub groups: Vec<Group>,
    pub key_value_metadata: Option<Vec<KeyValue>>,
    pub created_by: Option<String>,
    pub column_orders: Option<Vec<ColumnOrder>>,
    pub encryption_algorithm: Option<EncryptionAlgorithm>,
    pub footer_signing_key_metadata: Option<Vec<u8>>,
    bytes: Bytes,
    /// File position of the first of `bytes`.
    base: u64,
    chunks: Chunks,
    /// What the fields above take in memory, and what all of the footer may take besides.
    memory_bytes: usize,
    memory_left: usize,
    whole: OnceLock<FileMetaData>,
}

/// The column chunks, row group after row group.
#[derive(Debug)]
struct Chunks {
    /// Where in the footer's bytes each begins.
    starts: Vec<u32>,
    /// The place of each in the file, if all were asked for.
    places: Option<Vec<Option<ChunkPlace>>>,
    /// Whether [`chunk_place::read_regular`] is for each.
    are_regular: bool,
}

/// What a footer may take in memory: a few of its bytes can stand for a large struct.
#[derive(Debug, Clone, Copy)]
pub struct FooterLimits {
    /// Bytes, of what is decoded of it.
    pub memory_bytes: usize,
    /// Elements of the schema.
    pub schema_elements: usize,
    /// Whether the places of all column chunks are read at once.
    pub places: bool,
}

/// A row group, its column chunks aside.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub total_byte_size: i64,
    pub num_rows: i64,
    pub sorting_columns: Option<Vec<SortingColumn>>,
    pub file_offset: Option<i64>,
    pub total_compressed_size: Option<i64>,
    pub ordinal: Option<i16>,
    /// How many column chunks it has.
    pub columns: usize,
    /// The place of the first of them in [`Chunks::starts`].
    first: usize,
}

impl Footer {
    /// Walks over the footer's bytes, which begin at `base` in the file (or in what was decrypted); also its schema.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where they are no `FileMetaData`; what stands inside of column chunks is not judged yet.
    /// [`Error::Limit`] beyond `limits`.
    pub fn decode(bytes: Bytes, base: u64, limits: FooterLimits) -> Result<(Footer, Vec<SchemaElement>)> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Error::limit(format!("a footer of {} bytes: a file's has 32 bits of length", bytes.len())));
        }
        let mut version = None;
        let mut schema = None;
        let mut num_rows = None;
        let mut groups = None;
        let mut key_value_metadata = None;
        let mut created_by = None;
        let mut column_orders = None;
        let mut encryption_algorithm = None;
        let mut footer_signing_key_metadata = None;
        let none = || Chunks { starts: Vec::new(), places: limits.places.then(Vec::new), are_regular: true };
        let mut chunks = none();
        let mut r = Reader::within(&bytes, base, limits.memory_bytes);
        r.fields(|r, id, kind| {
            match (id, kind) {
                (1, _) => version = r.value(kind)?.or(version),
                (2, Kind::List) => schema = Some(elements(r, limits.schema_elements)?),
                (3, _) => num_rows = r.value(kind)?.or(num_rows),
                (4, Kind::List) => {
                    chunks = none();
                    groups = Some(row_groups(r, &mut chunks)?);
                }
                (5, _) => key_value_metadata = r.value(kind)?.or(key_value_metadata.take()),
                (6, _) => created_by = r.value(kind)?.or(created_by.take()),
                (7, _) => column_orders = r.value(kind)?.or(column_orders.take()),
                (8, _) => encryption_algorithm = r.value(kind)?.or(encryption_algorithm.take()),
                (9, _) => footer_signing_key_metadata = r.value(kind)?.or(footer_signing_key_metadata.take()),
                _ => r.skip(kind)?,
            }
            Ok(())
        })?;
        let none = |field| missing(&r, "FileMetaData", field);
        let schema = schema.ok_or_else(|| none("schema"))?;
        let memory_bytes = limits.memory_bytes - r.memory_left();
        let footer = Footer {
            version: version.ok_or_else(|| none("version"))?,
            num_rows: num_rows.ok_or_else(|| none("num_rows"))?,
            groups: groups.ok_or_else(|| none("row_groups"))?,
            key_value_metadata,
            created_by,
            column_orders,
            encryption_algorithm,
            footer_signing_key_metadata,
            base,
            chunks,
            memory_bytes,
            memory_left: r.memory_left(),
            whole: OnceLock::new(),
            bytes,
        };
        Ok((footer, schema))
    }

    /// Decodes a column chunk; [`Error::Invalid`] for one that is not there.
    pub fn chunk(&self, group: usize, column: usize) -> Result<ColumnChunk> {
        let (bytes, base) = self.chunk_bytes(group, column)?;
        thrift::decode(bytes, base).map(|(chunk, _)| chunk)
    }

    /// The bytes from a column chunk on, and the file position of the first.
    fn chunk_bytes(&self, group: usize, column: usize) -> Result<(&[u8], u64)> {
        let groups = self.groups.len();
        let Some(found) = self.groups.get(group) else {
            return Err(Error::invalid(format!("there is no row group {group}: the file has {groups}, from 0 on")));
        };
        let Some(&at) = self.chunks.starts.get(found.first + column).filter(|_| column < found.columns) else {
            let columns = found.columns;
            return Err(Error::invalid(format!("there is no column {column}: the file has {columns}, from 0 on")));
        };
        Ok((self.bytes.get(at as usize..).unwrap_or_default(), self.base + u64::from(at)))
    }

    /// Where a column chunk lies: what [`chunk`](Self::chunk) says of it but for all that takes memory. None where its metadata
    /// is encrypted or not here, or its pages are in another file.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn place(&self, group: usize, column: usize) -> Result<Option<ChunkPlace>> {
        if let (Some(places), Some(found)) = (&self.chunks.places, self.groups.get(group))
            && let Some(place) = places.get(found.first + column).filter(|_| column < found.columns)
        {
            return Ok(place.clone());
        }
        let (bytes, base) = self.chunk_bytes(group, column)?;
        if self.chunks.are_regular
            && let Some(place) = chunk_place::read_regular(bytes)
        {
            return Ok(Some(place));
        }
        chunk_place::read(&mut Reader::new(bytes, base))
    }

    /// Bytes that the chunks of a row group take as they are stored: their sum where the group tells it, as writers of old do
    /// not, else chunk by chunk. One whose metadata is encrypted tells nothing and counts as 0.
    pub(crate) fn stored_bytes(&self, group: usize) -> impl Iterator<Item = Result<u64>> + '_ {
        let bytes = |n: i64| u64::try_from(n).ok();
        let found = self.groups.get(group);
        let told = found.and_then(|group| group.total_compressed_size).and_then(bytes);
        let untold = found.filter(|_| told.is_none()).map_or(0, |group| group.columns);
        let of_chunk = move |column| {
            let place = self.place(group, column)?;
            Ok(place.and_then(|place| bytes(place.total_compressed_size)).unwrap_or(0))
        };
        told.map(Ok).into_iter().chain((0..untold).map(of_chunk))
    }

    /// All of it, decoded once.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where some column chunk is broken, [`Error::Limit`] where all of them take too much memory.
    pub fn whole(&self) -> Result<&FileMetaData> {
        match self.whole.get() {
            Some(whole) => Ok(whole),
            None => {
                let mut r = Reader::within(&self.bytes, self.base, self.memory_left);
                let whole = FileMetaData::read(&mut r, Kind::Struct)?;
                Ok(self.whole.get_or_init(|| whole))
            }
        }
    }

    /// Whether [`whole`](Self::whole) has been asked for.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.get().is_some()
    }

    /// What was decoded of it takes in memory, in bytes, [`whole`](Self::whole) aside.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// What [`whole`](Self::whole) takes in memory about, in bytes.
    pub(crate) fn whole_memory_bytes(&self) -> usize {
        self.chunks.starts.len().saturating_mul(size_of::<ColumnChunk>()).saturating_add(self.bytes.len())
    }

    /// Bytes that the footer takes in the file.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

fn elements(r: &mut Reader<'_>, count_max: usize) -> Result<Vec<SchemaElement>> {
    let (kind, count) = r.list()?;
    structs(r, kind, count)?;
    if count > count_max {
        return Err(Error::limit(format!("a schema of {count} elements, {count_max} are the most that is asked for")));
    }
    r.take_memory(count.saturating_mul(size_of::<SchemaElement>()))?;
    let mut elements = Vec::with_capacity(r.ahead::<SchemaElement>(count));
    for _ in 0..count {
        elements.push(SchemaElement::read(r, Kind::Struct)?);
    }
    Ok(elements)
}

fn row_groups(r: &mut Reader<'_>, chunks: &mut Chunks) -> Result<Vec<Group>> {
    let (kind, count) = r.list()?;
    structs(r, kind, count)?;
    // The count is bounded by the bytes, not by what the groups take in memory.
    r.take_memory(count.saturating_mul(size_of::<Group>()))?;
    let mut groups = Vec::with_capacity(r.ahead::<Group>(count));
    for left in (1..=count).rev() {
        groups.push(row_group(r, chunks, left)?);
    }
    Ok(groups)
}

/// The first of the row groups that are `left`.
fn row_group(r: &mut Reader<'_>, chunks: &mut Chunks, left: usize) -> Result<Group> {
    let first = chunks.starts.len();
    let mut columns = None;
    let (mut total_byte_size, mut num_rows, mut total_compressed_size) = (None, None, None);
    let (mut sorting_columns, mut file_offset, mut ordinal) = (None, None, None);
    r.fields(|r, id, kind| {
        match (id, kind) {
            (1, Kind::List) => {
                let (kind, count) = r.list()?;
                structs(r, kind, count)?;
                r.take_memory(count.saturating_mul(size_of::<u32>()))?;
                chunks.starts.truncate(first);
                if let Some(places) = &mut chunks.places {
                    r.take_memory(count.saturating_mul(size_of::<Option<ChunkPlace>>()))?;
                    places.truncate(first);
                }
                // The others have as many columns.
                let all = count.saturating_mul(left);
                if chunks.starts.capacity() < first + count {
                    chunks.starts.reserve(r.ahead::<u32>(all));
                }
                if let Some(places) = &mut chunks.places
                    && places.capacity() < first + count
                {
                    places.reserve(r.ahead::<Option<ChunkPlace>>(all));
                }
                for _ in 0..count {
                    chunks.starts.push(u32::try_from(r.cursor.position()).unwrap_or(u32::MAX));
                    match &mut chunks.places {
                        Some(places) => places.push(chunk_place::read(r)?),
                        None => chunks.are_regular &= chunk_place::pass_over(r)?,
                    }
                }
                columns = Some(count);
            }
            (2, _) => total_byte_size = r.value(kind)?.or(total_byte_size),
            (3, _) => num_rows = r.value(kind)?.or(num_rows),
            (4, _) => sorting_columns = r.value(kind)?.or(sorting_columns.take()),
            (5, _) => file_offset = r.value(kind)?.or(file_offset),
            (6, _) => total_compressed_size = r.value(kind)?.or(total_compressed_size),
            (7, _) => ordinal = r.value(kind)?.or(ordinal),
            _ => r.skip(kind)?,
        }
        Ok(())
    })?;
    let none = |field| missing(r, "RowGroup", field);
    Ok(Group {
        total_byte_size: total_byte_size.ok_or_else(|| none("total_byte_size"))?,
        num_rows: num_rows.ok_or_else(|| none("num_rows"))?,
        sorting_columns,
        file_offset,
        total_compressed_size,
        ordinal,
        columns: columns.ok_or_else(|| none("columns"))?,
        first,
    })
}

fn structs(r: &Reader<'_>, kind: Kind, count: usize) -> Result<()> {
    if count > 0 && kind != Kind::Struct {
        return Err(r.cursor.corrupt(format!("list of {kind:?} where structs belong")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::format::metadata::{Codec, ColumnMetaData, RowGroup, Statistics};
    use crate::parquet::format::schema::Type;

    fn chunk(number: i64) -> ColumnChunk {
        let statistics = Statistics {
            max: None,
            min: None,
            null_count: Some(number),
            distinct_count: None,
            max_value: Some(vec![0xff; 40]),
            min_value: Some(vec![]),
            is_max_value_exact: Some(false),
            is_min_value_exact: Some(true),
            nan_count: None,
        };
        ColumnChunk {
            file_path: None,
            file_offset: Some(0),
            meta_data: Some(ColumnMetaData {
                type_: Type::Int64,
                encodings: vec![],
                path_in_schema: vec![format!("column {number}")],
                codec: Codec::Zstd,
                num_values: number,
                total_uncompressed_size: 1 << 40,
                total_compressed_size: 100,
                key_value_metadata: None,
                data_page_offset: number * 100,
                index_page_offset: None,
                dictionary_page_offset: None,
                statistics: Some(statistics),
                encoding_stats: None,
                bloom_filter_offset: None,
                bloom_filter_length: None,
                size_statistics: None,
                geospatial_statistics: None,
            }),
            offset_index_offset: Some(1 << 33),
            offset_index_length: Some(9),
            column_index_offset: None,
            column_index_length: None,
            crypto_metadata: None,
            encrypted_column_metadata: None,
        }
    }

    fn metadata() -> FileMetaData {
        let group = |g: i64| RowGroup {
            columns: (0..20).map(|c| chunk(g * 20 + c)).collect(),
            total_byte_size: 5,
            num_rows: g,
            sorting_columns: Some(vec![SortingColumn { column_idx: 1, descending: true, nulls_first: false }]),
            file_offset: None,
            total_compressed_size: Some(7),
            ordinal: Some(g as i16),
        };
        FileMetaData {
            version: 2,
            schema: vec![],
            num_rows: 3,
            row_groups: (0..3).map(group).collect(),
            key_value_metadata: Some(vec![KeyValue { key: "k".into(), value: None }]),
            created_by: Some("someone".into()),
            column_orders: None,
            encryption_algorithm: None,
            footer_signing_key_metadata: Some(vec![1, 2]),
        }
    }

    const LIMITS: FooterLimits = FooterLimits { memory_bytes: 1 << 20, schema_elements: 100, places: false };

    #[test]
    fn what_it_takes_in_memory_is_bounded() {
        let element = |n: usize| SchemaElement {
            type_: None,
            type_length: None,
            repetition: None,
            name: n.to_string(),
            num_children: None,
            converted_type: None,
            scale: None,
            precision: None,
            field_id: None,
            logical_type: None,
            vector_length: None,
        };
        let bytes: Bytes = thrift::encode(&FileMetaData { schema: (0..9).map(element).collect(), ..metadata() }).into();
        let of = |memory_bytes, schema_elements| {
            Footer::decode(bytes.clone(), 0, FooterLimits { memory_bytes, schema_elements, ..LIMITS })
        };
        assert_eq!(of(1 << 20, 8).expect_err("too many").kind(), "limit");
        assert_eq!(of(400, 9).expect_err("three groups").kind(), "limit");
        let (footer, _) = of(4000, 9).expect("few bytes");
        assert_eq!(footer.whole().expect_err("sixty chunks").kind(), "limit");
        assert!(of(1 << 20, 9).expect("enough").0.whole().is_ok());
    }

    #[test]
    fn a_chunk_is_found_without_the_others() {
        let metadata = metadata();
        let (footer, schema) = Footer::decode(thrift::encode(&metadata).into(), 1000, LIMITS).expect("decodes");
        assert_eq!(schema, metadata.schema);
        let at_once = FooterLimits { places: true, ..LIMITS };
        let (placed, _) = Footer::decode(thrift::encode(&metadata).into(), 1000, at_once).expect("decodes");
        assert_eq!((footer.version, footer.num_rows, footer.created_by.as_deref()), (2, 3, Some("someone")));
        assert_eq!(footer.key_value_metadata, metadata.key_value_metadata);
        assert_eq!(footer.footer_signing_key_metadata, Some(vec![1, 2]));
        for (g, group) in metadata.row_groups.iter().enumerate() {
            let lean = &footer.groups[g];
            assert_eq!((lean.columns, lean.num_rows, lean.ordinal), (20, group.num_rows, group.ordinal));
            assert_eq!((lean.total_byte_size, lean.total_compressed_size), (5, Some(7)));
            assert_eq!(lean.sorting_columns, group.sorting_columns);
            for (c, chunk) in group.columns.iter().enumerate() {
                assert_eq!(footer.chunk(g, c).expect("decodes"), *chunk);
                let place = footer.place(g, c).expect("decodes");
                assert_eq!(place, chunk.meta_data.as_ref().map(ChunkPlace::from));
                assert_eq!(placed.place(g, c).expect("decoded"), place);
            }
        }
        assert_eq!(footer.whole().expect("decodes"), &metadata);
        assert_eq!(footer.chunk(1, 20).expect_err("not there").kind(), "invalid");
        assert_eq!(placed.place(1, 20).expect_err("not there").kind(), "invalid");
        assert_eq!(footer.chunk(3, 0).expect_err("not there").kind(), "invalid");
    }

    /// The later of two fields of one id counts, wherever it stands; and so does what says that pages are elsewhere.
    #[test]
    fn a_rare_chunk_is_placed_as_it_is_decoded() {
        let metadata = metadata();
        let bytes = thrift::encode(&metadata);
        let mut changed = 0;
        let mut assert_alike = |bytes: Vec<u8>| {
            let (footer, _) = Footer::decode(bytes.into(), 1000, LIMITS).expect("decodes");
            for (group, column) in (0..3).flat_map(|g| (0..20).map(move |c| (g, c))) {
                let chunk = footer.chunk(group, column).expect("decodes");
                let is_here = chunk.file_path.is_none() && chunk.crypto_metadata.is_none();
                let place = chunk.meta_data.as_ref().filter(|_| is_here).map(ChunkPlace::from);
                assert_eq!(footer.place(group, column).expect("decodes"), place);
                let before = metadata.row_groups[group].columns[column].meta_data.as_ref().map(ChunkPlace::from);
                changed += usize::from(place != before);
            }
        };
        assert_alike(bytes.clone());
        let of = |chunk: &ColumnChunk| {
            let chunk = thrift::encode(chunk);
            let at = bytes.windows(chunk.len()).position(|w| w == chunk).expect("the chunk");
            (at, chunk.len())
        };
        let chunk = &metadata.row_groups[1].columns[3];
        let (at, length) = of(chunk);
        let inner = thrift::encode(chunk.meta_data.as_ref().expect("metadata"));
        let inner_at = at + bytes[at..].windows(inner.len()).position(|w| w == inner).expect("its metadata");
        // In the long form: data_page_offset 77, behind all others; file_path "x"; metadata once more, with another offset;
        // crypto_metadata.
        let mut second = inner.clone();
        second.splice(inner.len() - 1..inner.len() - 1, [0x06, 18, 154, 1]);
        for (place, added) in [
            (inner_at + inner.len() - 1, vec![0x06, 18, 154, 1]),
            (at + length - 1, vec![0x08, 2, 1, b'x']),
            (at + length - 1, [&[0x0c, 6], &second[..]].concat()),
            (at + length - 1, vec![0x0c, 16, 0x1c, 0, 0]),
        ] {
            let mut bytes = bytes.clone();
            bytes.splice(place..place, added);
            assert_alike(bytes);
        }
        assert_eq!(changed, 4);
    }

    #[test]
    fn a_broken_chunk_harms_no_other() {
        let metadata = metadata();
        let mut bytes = thrift::encode(&metadata);
        // The path of column 21 becomes a list of numbers: the walk goes on, the chunk is refused.
        let name = bytes.windows(9).position(|w| w == b"column 21").expect("its name");
        assert_eq!(bytes[name - 2..name], [0x18, 9]);
        bytes[name - 2] = 0x95;
        bytes[name - 1] = 0x01;
        bytes[name..name + 8].fill(0x01);
        let (footer, _) = Footer::decode(bytes.into(), 1000, LIMITS).expect("decodes");
        assert_eq!(footer.chunk(1, 0).expect("decodes"), chunk(20));
        assert_eq!(footer.chunk(1, 2).expect("decodes"), chunk(22));
        let e = footer.chunk(1, 1).expect_err("no path");
        assert_eq!(e.place().byte, Some(1000 + name as u64 - 1));
        assert!(footer.whole().is_err());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = Bytes::from(thrift::encode(&metadata()));
        for n in 0..bytes.len() {
            assert!(Footer::decode(bytes.slice(..n), 0, LIMITS).is_err(), "{n} of {} bytes", bytes.len());
        }
    }
}
