//! The pages of a chunk, one behind the other: checksums, counts, sizes, places.

use std::ops::Range;

use super::{Harm, Verification};
use crate::error::{Error, Result};
use crate::parquet::format::{ColumnMetaData, PageType};
use crate::parquet::read::bounds::{self, PageBounds};
use crate::parquet::read::column_chunk::ChunkPages;
use crate::parquet::read::file::FileParts;
use crate::parquet::read::raw_page::{RawPage, data_values};
use crate::parquet::read::selection::Selection;

/// What was found of a chunk's pages.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Its data pages.
    pub pages: Vec<DataPage>,
    /// All of them were found, and what is broken is one of a column where a value is a row.
    pub is_whole: bool,
}

/// A data page.
#[derive(Debug, Clone)]
pub(super) struct DataPage {
    pub offset: u64,
    pub bytes: u64,
    /// Its rows in the group, of a column where a value is a row.
    pub rows: Range<usize>,
    pub is_broken: bool,
}

/// Reads all pages of a chunk without decoding them.
pub(super) fn walk(file: &FileParts, group: usize, leaf: usize, found: &mut Verification) -> Walk {
    let mut walk = Walk { is_whole: true, ..Walk::default() };
    let name = file.leaf(leaf).map(|leaf| leaf.name()).unwrap_or_default();
    let mut add = |harm, rows: Option<Range<usize>>, e: Error| {
        if matches!(harm, Harm::Rows | Harm::Unchecked) {
            found.break_rows(group, rows.map(|rows| rows.start as u64..rows.end as u64));
        }
        found.add(harm, Some(group), Some(leaf), e.in_column(name.clone()));
    };
    if let Err(e) = pages(file, group, leaf, &mut walk, &mut add) {
        walk.is_whole = false;
        add(Verification::harm(&e), None, e);
        return walk;
    }
    if let Err(e) = indexes(file, group, leaf, &walk.pages).and_then(|()| required(file, group, leaf)) {
        add(Harm::Pruning, None, e);
    }
    walk
}

fn pages(
    file: &FileParts,
    group: usize,
    leaf: usize,
    walk: &mut Walk,
    add: &mut impl FnMut(Harm, Option<Range<usize>>, Error),
) -> Result<()> {
    let (meta, cipher) = file.open_chunk(group, leaf)?;
    let rows = file.group_rows(group)?;
    let is_flat = file.leaf(leaf)?.is_flat();
    if meta.num_values == 0 && rows == 0 {
        // Of a chunk without values, some writers tell of a place that nothing is at.
        return Ok(());
    }
    let chunk =
        ChunkPages::new(file.input.clone(), &(&meta).into(), file.overrun, is_flat, None, &Selection::all(rows))?;
    let mut chunk = chunk.with_cipher(cipher).with_statistics();
    let (mut row, mut values) = (0usize, 0u64);
    let (mut stored, mut plain) = (0u64, 0u64);
    while let Some(page) = chunk.next_page()? {
        let at_page = |e: Error| e.at_byte(page.offset).in_page(page.ordinal);
        let head = page.header_bytes as u64;
        stored += head + page.body.len() as u64;
        match u64::try_from(page.header.uncompressed_page_size) {
            Ok(bytes) => plain = plain.saturating_add(head + bytes),
            Err(_) => {
                let size = page.header.uncompressed_page_size;
                add(Harm::Counts, None, at_page(Error::corrupt(format!("a page of {size} bytes, decompressed"))));
            }
        }
        let count = data_values(&page.header);
        let rows = row..row.saturating_add(count.unwrap_or(0));
        let checked = crc(&page);
        if let Some(count) = count {
            values += count as u64;
            row = rows.end;
            let bytes = head + page.body.len() as u64;
            let is_broken = checked.is_err();
            walk.pages.push(DataPage { offset: page.offset, bytes, rows: rows.clone(), is_broken });
        }
        if let Err(e) = checked {
            // A dictionary is all pages' own.
            let broken = if page.header.type_ == PageType::DictionaryPage || !is_flat { None } else { Some(rows) };
            walk.is_whole &= broken.is_some();
            add(Harm::Rows, broken, at_page(e));
        }
    }
    sums(&meta, values, stored, plain, file.overrun, add);
    Ok(())
}

fn crc(page: &RawPage) -> Result<()> {
    let Some(crc) = page.header.crc else { return Ok(()) };
    let found = crc32fast::hash(&page.body);
    match crc.cast_unsigned() {
        promised if promised == found => Ok(()),
        promised => Err(Error::corrupt(format!("the page's checksum is {found:08x}, {promised:08x} is promised"))),
    }
}

/// What the chunk's metadata says of its pages together.
fn sums(
    meta: &ColumnMetaData,
    values: u64,
    stored: u64,
    plain: u64,
    overrun: u64,
    add: &mut impl FnMut(Harm, Option<Range<usize>>, Error),
) {
    let mut same = |told: i64, is: u64, what: &str| {
        if u64::try_from(told) != Ok(is) {
            let message = format!("the chunk's metadata tells of {told} {what}, its pages of {is}");
            add(Harm::Counts, None, Error::corrupt(message));
        }
    };
    same(meta.num_values, values, "values");
    if overrun == 0 {
        same(meta.total_compressed_size, stored, "bytes");
        same(meta.total_uncompressed_size, plain, "bytes before compression");
    }
}

/// Whether a column that has no nulls is said to have some.
fn required(file: &FileParts, group: usize, leaf: usize) -> Result<()> {
    let (meta, _) = file.open_chunk(group, leaf)?;
    let nulls = meta.statistics.and_then(|s| s.null_count).unwrap_or(0);
    if nulls != 0 && file.leaf(leaf)?.def_max == 0 {
        return Err(Error::corrupt(format!("{nulls} nulls are told of in a required column")));
    }
    Ok(())
}

/// Whether the page index says where the pages are, and has an entry for each.
fn indexes(file: &FileParts, group: usize, leaf: usize, pages: &[DataPage]) -> Result<()> {
    let about = file.leaf(leaf)?;
    if let Some(index) = file.offset_index(group, leaf)? {
        let locations = &index.page_locations;
        // Pages without values need not be named.
        let named: Vec<&DataPage> =
            pages.iter().filter(|p| locations.len() == pages.len() || !p.rows.is_empty()).collect();
        if locations.len() != named.len() {
            let message = format!("the offset index tells of {} pages, the chunk has {}", locations.len(), pages.len());
            return Err(Error::corrupt(message));
        }
        for (number, (told, is)) in locations.iter().zip(named).enumerate() {
            let is_there = u64::try_from(told.offset) == Ok(is.offset);
            let is_long = u64::try_from(told.compressed_page_size) == Ok(is.bytes);
            let is_first = !about.is_flat() || usize::try_from(told.first_row_index) == Ok(is.rows.start);
            if !is_there || !is_long || !is_first {
                let message = format!(
                    "the offset index has {} bytes from byte {} and row {} on",
                    told.compressed_page_size, told.offset, told.first_row_index
                );
                return Err(Error::corrupt(message).at_byte(is.offset).in_page(number as u64));
            }
        }
    }
    if let Some(index) = file.column_index(group, leaf)? {
        let rows: Vec<usize> = pages.iter().map(|p| p.rows.len()).collect();
        let order = bounds::order(&file.footer, about, leaf);
        if PageBounds::new(&index, about, order, &rows).is_none() {
            let (entries, pages) = (index.null_pages.len(), pages.len());
            return Err(Error::corrupt(format!("the column index has {entries} entries for {pages} pages")));
        }
    }
    Ok(())
}
