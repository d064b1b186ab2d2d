//! Row groups of a file that has lost its footer, found by their pages.
//!
//! ```text
//! PAR1, column 0: [dictionary page] data pages, column 1: …, next row group: column 0: …, whatever was torn
//! ```
//!
//! Page headers tell sizes and counts of values, but not where a column ends: a dictionary page begins one, and all columns
//! of a group have the same rows: as many as in the sibling's first group, or as one is told, but for the last one, which may be shorter. A
//! guess counts only if the whole group then decodes, every page with its checksum and all rows in all columns; and a short
//! last group only if its pages could not be the beginning of a long one instead.
//!
//! Rows of a nested column are counted by its repetition levels, and where its levels are not those of the schema, nothing
//! decodes. But pages of several columns may look alike (of numbers of one width without dictionaries, say). They are told apart
//! by the rows of a group alone, and nothing shows whether these are right: so it is said which other number of rows would
//! fit as well.

use std::ops::Range;
use std::sync::Arc;

use arrow_schema::Schema;
use bytes::Bytes;

use super::budget::{Budget, Reservation};
use super::file::FileReader;
use super::page::{Page, PageOpener};
use super::raw_page::{RawPage, data_values};
use super::{Harm, ReaderOptions};
use crate::error::{Error, Result};
use crate::parquet::arrow::{Leaf, ParquetSchema, arrow_schema_metadata, to_parquet};
use crate::parquet::compress::Compression;
use crate::parquet::format::footer::{self, MAGIC};
use crate::parquet::format::{
    Codec, ColumnChunk, ColumnMetaData, Encoding, FileMetaData, PageHead, PageType, RowGroup, SchemaElement,
};
use crate::storage::Input;

/// A page's header takes no more than this, but for long bounds.
const HEADER_BYTES: u64 = 1 << 20;
/// What the writer says of itself.
const FORMAT_VERSION: i32 = 2;
/// Guesses at the rows of a group.
const GUESSES_MAX: usize = 12;

/// What a file without a footer still holds.
#[derive(Debug)]
pub struct Recovered {
    /// A footer for the row groups that are complete; it tells no bounds.
    pub metadata: FileMetaData,
    /// Where the last of them ends: what follows is lost.
    pub end: u64,
    /// Another number of rows that the first row group may have as far as its pages tell. If it is the right one, columns have
    /// each other's values.
    pub fits_too: Option<usize>,
}

/// What is known of a file that lacks its footer: how it was written.
#[derive(Debug, Clone)]
pub struct WrittenLike {
    leaves: Vec<Leaf>,
    /// Of each leaf.
    codecs: Vec<Codec>,
    /// Of a row group that is not the last.
    rows: usize,
    /// A footer without row groups.
    metadata: FileMetaData,
}

impl WrittenLike {
    /// As another file was: with its schema, codecs and, most likely, its number of rows in a group.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it has no row group to learn from; [`Error::Unsupported`] when it is encrypted.
    pub fn file(file: &FileReader) -> Result<WrittenLike> {
        let learned = file.metadata()?;
        let Some(group) = learned.row_groups.first() else {
            return Err(Error::invalid("it has no row group to learn from").in_file(file.name()));
        };
        let codecs = group.columns.iter().map(|chunk| chunk.meta_data.as_ref().map(|meta| meta.codec));
        let codecs = codecs.collect::<Option<Vec<Codec>>>();
        Ok(WrittenLike {
            leaves: file.parquet_schema().leaves.clone(),
            codecs: codecs.ok_or_else(|| Error::unsupported("it is encrypted").in_file(file.name()))?,
            rows: usize::try_from(group.num_rows).unwrap_or(0),
            metadata: FileMetaData { row_groups: Vec::new(), num_rows: 0, ..learned.clone() },
        })
    }

    /// By this crate's writer, or one with the same types for these columns: all of them compressed by one codec, in row groups
    /// of so many rows, but for the last.
    ///
    /// # Errors
    /// Those of a schema that cannot be written.
    pub fn schema(schema: &Schema, compression: Compression, row_group_rows: usize) -> Result<WrittenLike> {
        let ParquetSchema { elements, leaves, .. } = to_parquet(schema)?;
        let metadata = FileMetaData {
            version: FORMAT_VERSION,
            schema: elements,
            num_rows: 0,
            row_groups: Vec::new(),
            key_value_metadata: Some(vec![arrow_schema_metadata(schema)]),
            created_by: None,
            column_orders: None,
            encryption_algorithm: None,
            footer_signing_key_metadata: None,
        };
        Ok(WrittenLike { codecs: vec![compression.codec(); leaves.len()], leaves, rows: row_group_rows, metadata })
    }
}

/// Finds the complete row groups of `input`, a file written like `like`. Encrypted files cannot be recovered.
///
/// # Errors
/// [`Error::Corrupt`] when the file does not begin as Parquet, [`Error::Limit`] when there are more pages than the memory of
/// `options` holds headers of.
pub fn recover(input: &Arc<dyn Input>, like: &WrittenLike, options: &ReaderOptions) -> Result<Recovered> {
    let in_file = |e: Error| e.in_file(input.name());
    let head = input.read(0..input.bytes().min(4)).map_err(in_file)?;
    if *head != MAGIC {
        return Err(in_file(Error::corrupt("the file does not begin with PAR1").at_byte(0)));
    }
    let budget = Budget::of(options);
    let mut memory = budget.reservation();
    let mut found = Found {
        input,
        options,
        pages: pages(input.as_ref(), &mut memory).map_err(in_file)?,
        budget: &budget,
        leaves: like.leaves.iter().zip(like.codecs.iter().copied()).collect(),
        metadata: like.metadata.clone(),
    };
    let mut at = 0;
    let mut fits_too = None;
    while let Some((group, next)) = found.group(at, like.rows) {
        if at == 0 {
            fits_too = found.fits_too(usize::try_from(group.num_rows).unwrap_or(0));
        }
        found.metadata.num_rows += group.num_rows;
        found.metadata.row_groups.push(group);
        at = next;
    }
    let end =
        at.checked_sub(1).and_then(|last| found.pages.get(last)).map_or(MAGIC.len() as u64, |page| page.range.end);
    Ok(Recovered { metadata: found.metadata, end, fits_too })
}

#[derive(Debug)]
struct Found<'a> {
    input: &'a Arc<dyn Input>,
    options: &'a ReaderOptions,
    budget: &'a Budget,
    pages: Vec<Placed>,
    leaves: Vec<(&'a Leaf, Codec)>,
    metadata: FileMetaData,
}

/// A page, and where it stands.
#[derive(Debug)]
struct Placed {
    raw: RawPage,
    range: Range<u64>,
}

/// The pages from the file's first byte on, until something is none.
fn pages(input: &dyn Input, memory: &mut Reservation) -> Result<Vec<Placed>> {
    let bytes = input.bytes();
    let mut pages = Vec::new();
    let mut at = MAGIC.len() as u64;
    while at < bytes {
        let head = input.read(at..bytes.min(at + HEADER_BYTES))?;
        let Ok((header, header_bytes)) = PageHead::decode(&head, at) else { break };
        let start = at + header_bytes as u64;
        let size = u64::try_from(header.compressed_page_size).ok().filter(|size| *size <= bytes - start);
        let Some(size) = size else { break };
        let is_page = match header.type_ {
            PageType::DictionaryPage => header.dictionary_page_header.is_some(),
            _ => data_values(&header).is_some_and(|values| values > 0),
        };
        // What a writer gives the first page, it gives all. The indexes behind the last group may look like pages.
        let has_crc = pages.first().is_none_or(|first: &Placed| first.raw.header.crc.is_some() == header.crc.is_some());
        if !is_page || !has_crc {
            break;
        }
        let body = input.read(start..start + size)?;
        if header.crc.is_some_and(|crc| crc.cast_unsigned() != crc32fast::hash(&body)) {
            break;
        }
        let range = at..start + size;
        memory.grow(size_of::<Placed>())?;
        let raw =
            RawPage { header, statistics: None, ordinal: 0, offset: at, header_bytes, body, cipher: None, rows: None };
        pages.push(Placed { raw, range: range.clone() });
        at = range.end;
    }
    Ok(pages)
}

impl Found<'_> {
    /// The row group that begins at page `at`, and the page behind it. Those of the file have `like` rows.
    fn group(&self, at: usize, like: usize) -> Option<(RowGroup, usize)> {
        if let Some((group, next)) = self.guess(at, like)
            && self.decodes(group.clone(), None)
        {
            return Some((group, next));
        }
        // The last one may be shorter: every place where the first column may end, the furthest first.
        let guesses = self.ends(at).into_iter().rev().filter(|sum| (1..like).contains(sum)).take(GUESSES_MAX);
        let (group, next) = guesses.filter_map(|rows| self.guess(at, rows)).find(|(group, next)| {
            *next == self.pages.len() && self.decodes(group.clone(), None) && !self.may_be_torn(at, like)
        })?;
        Some((group, next))
    }

    /// The rows of the first column up to each place where it may end, if it begins at page `at`.
    fn ends(&self, at: usize) -> Vec<usize> {
        let mut sums = Vec::new();
        let mut sum = 0usize;
        let Some(first) = self.leaves.first().copied() else { return sums };
        for (number, page) in self.pages.get(at..).unwrap_or_default().iter().enumerate() {
            if number > 0 && page.raw.header.type_ == PageType::DictionaryPage {
                break;
            }
            let Some(rows) = self.rows(page, first) else { break };
            sum += rows;
            sums.push(sum);
        }
        sums.dedup();
        sums
    }

    /// Whether the first group may have another number of rows than `known`, by the columns that its pages may be of.
    fn fits_too(&self, known: usize) -> Option<usize> {
        if self.leaves.len() == 1 {
            // However its pages are grouped, they are that column's.
            return None;
        }
        let ends = self.ends(0);
        // The fewest and the most: what fits has as many rows as several pages, or several columns together.
        let (few, many) = ends.split_at(ends.len().min(GUESSES_MAX / 2));
        let guesses = few.iter().chain(many.iter().rev().take(GUESSES_MAX / 2)).filter(|&&sum| sum > 0 && sum != known);
        let fits = |rows: &usize| self.guess(0, *rows).is_some_and(|(group, _)| self.decodes(group, None));
        guesses.copied().find(fits)
    }

    /// Whether all pages from `at` on may be the first column's, of a group that was to have `like` rows.
    fn may_be_torn(&self, at: usize, like: usize) -> bool {
        let Some((first, codec)) = self.leaves.first().copied() else { return true };
        let pages = self.pages.get(at..).unwrap_or_default();
        let is_dictionary = |page: &Placed| page.raw.header.type_ == PageType::DictionaryPage;
        if self.leaves.len() == 1 || pages.iter().skip(1).any(is_dictionary) {
            return false;
        }
        let sum = pages.iter().try_fold(0usize, |sum, page| sum.checked_add(self.rows(page, (first, codec))?));
        let Some(sum) = sum.filter(|sum| *sum <= like) else { return false };
        let chunk = chunk(pages, first, codec);
        let group = chunk.and_then(|chunk| {
            let num_rows = i64::try_from(sum).ok()?;
            let columns = vec![chunk];
            Some(RowGroup {
                columns,
                total_byte_size: 0,
                num_rows,
                sorting_columns: None,
                file_offset: None,
                total_compressed_size: None,
                ordinal: None,
            })
        });
        group.is_none_or(|group| self.decodes(group, Some(first)))
    }

    /// The group from page `at` on, if all columns can have so many rows.
    fn guess(&self, at: usize, wanted: usize) -> Option<(RowGroup, usize)> {
        let mut next = at;
        let mut columns = Vec::with_capacity(self.leaves.len());
        for leaf in &self.leaves {
            let first = next;
            let mut sum = 0usize;
            while let Some(page) = self.pages.get(next) {
                let is_dictionary = page.raw.header.type_ == PageType::DictionaryPage;
                if is_dictionary && next > first {
                    break;
                }
                // A page whose levels are not this column's is the next one's.
                let Some(rows) = self.rows(page, *leaf) else { break };
                // A row of a list may reach over the page's end, so that a page can begin none.
                if sum + rows > wanted || (sum == wanted && (leaf.0.is_flat() || rows > 0)) {
                    break;
                }
                sum += rows;
                next += 1;
            }
            if sum != wanted {
                return None;
            }
            columns.push(chunk(self.pages.get(first..next)?, leaf.0, leaf.1)?);
        }
        let sizes =
            |size: fn(&ColumnMetaData) -> i64| columns.iter().filter_map(|c| c.meta_data.as_ref()).map(size).sum();
        let group = RowGroup {
            total_byte_size: sizes(|meta| meta.total_uncompressed_size),
            total_compressed_size: Some(sizes(|meta| meta.total_compressed_size)),
            num_rows: i64::try_from(wanted).ok()?,
            sorting_columns: None,
            file_offset: i64::try_from(self.pages.get(at)?.range.start).ok(),
            ordinal: None,
            columns,
        };
        Some((group, next))
    }

    /// Whether all rows of the group can be read; of one that has this column alone.
    fn decodes(&self, group: RowGroup, alone: Option<&Leaf>) -> bool {
        let mut metadata = FileMetaData { num_rows: group.num_rows, row_groups: vec![group], ..self.metadata.clone() };
        if let Some(leaf) = alone {
            metadata.schema = path_to(&metadata.schema, leaf.element);
            (metadata.key_value_metadata, metadata.column_orders) = (None, None);
        }
        let Ok(footer) = footer::encode(&metadata) else { return false };
        let whole = WithFooter { input: Arc::clone(self.input), footer: footer.into() };
        let file = FileReader::open(Arc::new(whole), self.options.clone());
        file.is_ok_and(|file| file.verify().findings.iter().all(|f| f.harm == Harm::Counts))
    }

    /// Rows that begin in a page, if it can be one of the column.
    fn rows(&self, page: &Placed, (leaf, codec): (&Leaf, Codec)) -> Option<usize> {
        let header = &page.raw.header;
        if header.type_ == PageType::DictionaryPage {
            return Some(0);
        }
        let values = data_values(header)?;
        if leaf.is_flat() {
            return Some(values);
        }
        let mut open = Page::default();
        PageOpener::new(false, self.budget).open(&page.raw, leaf, codec, usize::MAX, usize::MAX, &mut open).ok()?;
        let mut left = values;
        let mut rows = 0;
        let mut levels = Vec::new();
        while left > 0 {
            let count = left.min(4096);
            levels.clear();
            open.nested.def.read(count, &mut levels).ok()?;
            levels.clear();
            open.nested.rep.read(count, &mut levels).ok()?;
            rows += levels.iter().filter(|&&level| level == 0).count();
            left -= count;
        }
        if !open.nested.def.is_used_up() || !open.nested.rep.is_used_up() {
            return None;
        }
        let told = header.data_page_header_v2.as_ref().map(|v2| usize::try_from(v2.num_rows).ok());
        told.is_none_or(|told| told == Some(rows)).then_some(rows)
    }
}

/// The schema that has one leaf alone, under groups of the same levels, which mean nothing.
fn path_to(elements: &[SchemaElement], leaf: usize) -> Vec<SchemaElement> {
    // Each with the children that are still to come.
    let mut above: Vec<(SchemaElement, i32)> = Vec::new();
    for element in elements.iter().take(leaf.saturating_add(1)) {
        while above.pop_if(|(_, left)| *left == 0).is_some() {}
        if let Some((_, left)) = above.last_mut() {
            *left -= 1;
        }
        above.push((element.clone(), element.num_children.unwrap_or(0)));
    }
    let mut path: Vec<SchemaElement> = above.into_iter().map(|(element, _)| element).collect();
    if let Some((_, groups)) = path.split_last_mut() {
        for group in groups {
            (group.num_children, group.logical_type, group.converted_type) = (Some(1), None, None);
        }
    }
    path
}

/// The metadata of the chunk that these pages are.
fn chunk(pages: &[Placed], leaf: &Leaf, codec: Codec) -> Option<ColumnChunk> {
    let is_dictionary = |page: &&Placed| page.raw.header.type_ == PageType::DictionaryPage;
    let dictionary = pages.iter().find(is_dictionary).map(|page| page.range.start as i64);
    let data = pages.iter().find(|page| !is_dictionary(page))?;
    let mut encodings = vec![Encoding::Rle];
    let mut values = 0i64;
    let (mut stored, mut plain) = (0i64, 0i64);
    for page in pages {
        let header = &page.raw.header;
        let v1 = header.data_page_header.as_ref().map(|h| h.encoding);
        let v2 = header.data_page_header_v2.as_ref().map(|h| h.encoding);
        let of_dictionary = header.dictionary_page_header.as_ref().map(|h| h.encoding);
        for encoding in [v1, v2, of_dictionary].into_iter().flatten() {
            if !encodings.contains(&encoding) {
                encodings.push(encoding);
            }
        }
        values += data_values(header).unwrap_or(0) as i64;
        stored += (page.range.end - page.range.start) as i64;
        plain += page.raw.header_bytes as i64 + i64::from(header.uncompressed_page_size);
    }
    let meta = ColumnMetaData {
        type_: leaf.physical,
        encodings,
        path_in_schema: leaf.path.clone(),
        codec,
        num_values: values,
        total_uncompressed_size: plain,
        total_compressed_size: stored,
        key_value_metadata: None,
        data_page_offset: data.range.start as i64,
        index_page_offset: None,
        dictionary_page_offset: dictionary,
        statistics: None,
        encoding_stats: None,
        bloom_filter_offset: None,
        bloom_filter_length: None,
        size_statistics: None,
        geospatial_statistics: None,
    };
    Some(ColumnChunk::of(Some(meta)))
}

/// A file with a footer put behind it.
#[derive(Debug)]
struct WithFooter {
    input: Arc<dyn Input>,
    footer: Bytes,
}

impl Input for WithFooter {
    fn bytes(&self) -> u64 {
        self.input.bytes() + self.footer.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let border = self.input.bytes();
        if range.end <= border {
            return self.input.read(range);
        }
        let part = |from: u64, to: u64| {
            let range =
                usize::try_from(from.saturating_sub(border)).ok()?..usize::try_from(to.checked_sub(border)?).ok()?;
            (range.start <= range.end && range.end <= self.footer.len()).then(|| self.footer.slice(range))
        };
        let beyond = || Error::corrupt("bytes beyond the file's end").at_byte(range.start);
        let tail = part(range.start.max(border), range.end).ok_or_else(beyond)?;
        if range.start >= border {
            return Ok(tail);
        }
        let head = self.input.read(range.start..border)?;
        Ok([head.as_ref(), tail.as_ref()].concat().into())
    }

    fn name(&self) -> &str {
        self.input.name()
    }
}
