//! One page: levels and values, compressed, behind its header.
//!
//! Spec: parquet.thrift, `PageHeader`; README.md of parquet-format, "Data Pages", "Checksumming".
//!
//! ```text
//! page header   thrift compact
//! v1, compressed as a whole
//!               repetition levels, of columns below lists: length (4 bytes, little-endian), RLE hybrid
//!               definition levels, of columns that may be null: the same
//!               values
//! v2            repetition levels, definition levels: RLE hybrid, their lengths in the header
//!               values, compressed if that makes them shorter
//! ```

use super::memory::Segments;
use crate::error::{Error, Result};
use crate::parquet::compress::{Compressor, Search};
use crate::parquet::format::encryption::{ChunkCipher, ModuleType};
use crate::parquet::format::{
    DataPageHeader, DataPageHeaderV2, DictionaryPageHeader, Encoding, PageHeader, PageType, thrift,
};

/// The kind of a page and what its header says of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Data {
        /// Level entries, nulls included.
        entries: usize,
        encoding: Encoding,
    },
    DataV2 {
        entries: usize,
        encoding: Encoding,
        /// Entries without a value.
        nulls: usize,
        rows: usize,
        /// Bytes of the levels, which the body begins with.
        rep_bytes: usize,
        def_bytes: usize,
    },
    Dictionary {
        entries: usize,
    },
}

/// Bytes of a page that was written, its header included.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PageBytes {
    /// Before compression.
    pub raw: u64,
    /// As in the file.
    pub stored: i32,
}

/// How the page of an encrypted chunk is sealed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal<'a> {
    pub cipher: &'a ChunkCipher,
    /// Its number among the chunk's data pages.
    pub page: u64,
}

/// Compresses `body` by the search, seals it where asked to, and appends header and page to `out`.
pub(super) fn write(
    kind: Kind,
    body: &[u8],
    crc: bool,
    seal: Option<Seal<'_>>,
    (compressor, search): (&mut Compressor, Search),
    scratch: &mut Vec<u8>,
    out: &mut Segments,
) -> Result<PageBytes> {
    let levels_bytes = match kind {
        Kind::DataV2 { rep_bytes, def_bytes, .. } => rep_bytes + def_bytes,
        Kind::Data { .. } | Kind::Dictionary { .. } => 0,
    };
    let (levels, values) = body.split_at_checked(levels_bytes).unwrap_or((&[], body));
    let page = if compressor.is_none() {
        body
    } else {
        scratch.clear();
        scratch.extend_from_slice(levels);
        compressor.compress_by(search, values, scratch)?;
        scratch.as_slice()
    };
    let is_compressed = page.len() < body.len();
    let page = match kind {
        // Only a v2 page can say that it is not compressed.
        Kind::DataV2 { .. } if !is_compressed => body,
        _ => page,
    };
    let (of_page, of_header) = match kind {
        Kind::Data { .. } | Kind::DataV2 { .. } => (ModuleType::DataPage, ModuleType::DataPageHeader),
        Kind::Dictionary { .. } => (ModuleType::DictionaryPage, ModuleType::DictionaryPageHeader),
    };
    let sealed;
    let page = match seal {
        // Sizes and checksum are those of the bytes in the file.
        Some(Seal { cipher, page: number }) => {
            sealed = cipher.seal(of_page, number, page)?;
            sealed.as_slice()
        }
        None => page,
    };
    let mut header = PageHeader {
        type_: PageType::DataPage,
        uncompressed_page_size: size(body.len())?,
        compressed_page_size: size(page.len())?,
        crc: crc.then(|| crc32fast::hash(page).cast_signed()),
        data_page_header: None,
        index_page_header: None,
        dictionary_page_header: None,
        data_page_header_v2: None,
    };
    match kind {
        Kind::Data { entries, encoding } => {
            header.data_page_header = Some(DataPageHeader {
                num_values: size(entries)?,
                encoding,
                definition_level_encoding: Encoding::Rle,
                repetition_level_encoding: Encoding::Rle,
                // Readers take them from the page index.
                statistics: None,
            });
        }
        Kind::DataV2 { entries, encoding, nulls, rows, rep_bytes, def_bytes } => {
            header.type_ = PageType::DataPageV2;
            header.data_page_header_v2 = Some(DataPageHeaderV2 {
                num_values: size(entries)?,
                num_nulls: size(nulls)?,
                num_rows: size(rows)?,
                encoding,
                definition_levels_byte_length: size(def_bytes)?,
                repetition_levels_byte_length: size(rep_bytes)?,
                is_compressed: Some(is_compressed),
                statistics: None,
            });
        }
        Kind::Dictionary { entries } => {
            header.type_ = PageType::DictionaryPage;
            header.dictionary_page_header =
                Some(DictionaryPageHeader { num_values: size(entries)?, encoding: Encoding::Plain, is_sorted: None });
        }
    }
    let mut header = thrift::encode(&header);
    if let Some(Seal { cipher, page: number }) = seal {
        header = cipher.seal(of_header, number, &header)?;
    }
    let stored = size(header.len() + page.len())?;
    out.append(&header);
    out.append(page);
    Ok(PageBytes { raw: (header.len() + body.len()) as u64, stored })
}

fn size(n: usize) -> Result<i32> {
    i32::try_from(n)
        .map_err(|_| Error::limit(format!("a page of {n} bytes: 2147483647 is the most, values are too long")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::compress::Compression;
    use crate::parquet::write::memory::WriterMemory;

    #[test]
    fn a_page_says_what_it_holds() {
        let body = vec![7u8; 1000];
        for (compression, crc) in [(Compression::Uncompressed, true), (Compression::Snappy, false)] {
            let mut out = Segments::new(&WriterMemory::new(0));
            let mut compressor = Compressor::new(compression).expect("a compressor");
            let kind = Kind::Data { entries: 250, encoding: Encoding::Plain };
            let by = (&mut compressor, Search::Level);
            let bytes = write(kind, &body, crc, None, by, &mut Vec::new(), &mut out).expect("written");
            let file: Vec<u8> = out.iter().flatten().copied().collect();
            assert_eq!((file.len() as i32, out.bytes()), (bytes.stored, file.len() as u64));
            let (header, header_bytes) = thrift::decode::<PageHeader>(&file, 0).expect("a header");
            let page = &file[header_bytes..];
            assert_eq!(header.compressed_page_size as usize, page.len());
            assert_eq!(header.uncompressed_page_size, 1000);
            assert_eq!(bytes.raw, header_bytes as u64 + 1000);
            assert_eq!(header.crc, crc.then(|| crc32fast::hash(page) as i32));
            let data = header.data_page_header.expect("a data page");
            assert_eq!((data.num_values, data.encoding), (250, Encoding::Plain));
            assert!(compression != Compression::Uncompressed || page == body);
        }
    }
}
