//! A column chunk's pages, for people.

use crate::error::Result;
use crate::parquet::format::{Encoding, PageType};
use crate::predicate::ColumnBounds;

use super::bounds::{self, PageBounds};
use super::column_chunk::ChunkPages;
use super::file::FileParts;
use super::raw_page::data_values;
use super::selection::Selection;

/// One page of a column chunk, as its header tells.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PageInfo {
    /// What kind of page it is.
    pub kind: PageType,
    /// How its values are encoded, for pages that have values.
    pub encoding: Option<Encoding>,
    /// How the definition levels of a data page are encoded.
    pub definition_level_encoding: Option<Encoding>,
    /// File position of its header.
    pub offset: u64,
    /// Bytes of the header.
    pub header_bytes: usize,
    /// Bytes of the page in the file, without the header.
    pub compressed_bytes: usize,
    /// Bytes of the page before compression, as the header says.
    pub uncompressed_bytes: i64,
    /// Values, nulls included; of a dictionary page its entries.
    pub values: u64,
    /// Whether it has a checksum.
    pub has_crc: bool,
    /// What the column index, else the page's own statistics, say of its values; nothing for dictionary pages.
    pub bounds: ColumnBounds,
}

pub(super) fn chunk_bounds(file: &FileParts, group: usize, column: usize) -> Result<ColumnBounds> {
    let (meta, _) = file.open_chunk(group, column)?;
    let leaf = file.leaf(column)?;
    let order = bounds::order(&file.footer, leaf, column);
    Ok(bounds::of_statistics(meta.statistics.as_ref(), leaf, order, file.group_rows(group)?))
}

pub(super) fn pages(file: &FileParts, group: usize, column: usize) -> Result<Vec<PageInfo>> {
    let (meta, cipher) = file.open_chunk(group, column)?;
    let leaf = file.leaf(column)?;
    let rows = file.group_rows(group)?;
    let order = bounds::order(&file.footer, leaf, column);
    let chunk_pages =
        ChunkPages::new(file.input.clone(), &(&meta).into(), file.overrun, true, None, &Selection::all(rows))?;
    let mut chunk_pages = chunk_pages.with_cipher(cipher).with_statistics();
    let mut pages = Vec::new();
    let mut data_rows = Vec::new();
    while let Some(page) = chunk_pages.next_page()? {
        let header = &page.header;
        let encoding = match header.type_ {
            PageType::DataPage => header.data_page_header.map(|h| h.encoding),
            PageType::DataPageV2 => header.data_page_header_v2.map(|h| h.encoding),
            PageType::DictionaryPage => header.dictionary_page_header.map(|h| h.encoding),
            _ => None,
        };
        let definition_level_encoding = match header.type_ {
            PageType::DataPage => header.data_page_header.map(|h| h.definition_level_encoding),
            PageType::DataPageV2 => Some(Encoding::Rle),
            _ => None,
        };
        let data_values = data_values(header);
        let dictionary_values = header.dictionary_page_header.as_ref().and_then(|h| usize::try_from(h.num_values).ok());
        let mut known = match data_values {
            Some(values) => bounds::of_statistics(page.statistics.as_deref(), leaf, order, values),
            None => ColumnBounds::default(),
        };
        if let Some(v2) = &header.data_page_header_v2 {
            known.null_count = u64::try_from(v2.num_nulls).ok();
        }
        data_rows.extend(data_values);
        pages.push(PageInfo {
            kind: header.type_,
            encoding,
            definition_level_encoding,
            offset: page.offset,
            header_bytes: page.header_bytes,
            compressed_bytes: page.body.len(),
            uncompressed_bytes: i64::from(header.uncompressed_page_size),
            values: data_values.or(dictionary_values).unwrap_or(0) as u64,
            has_crc: header.crc.is_some(),
            bounds: known,
        });
    }
    let indexed = file.column_index(group, column)?.and_then(|i| PageBounds::new(&i, leaf, order, &data_rows));
    if let Some(indexed) = indexed {
        let data = pages.iter_mut().filter(|p| matches!(p.kind, PageType::DataPage | PageType::DataPageV2));
        for (number, page) in data.enumerate() {
            page.bounds = indexed.page(number);
        }
    }
    Ok(pages)
}
