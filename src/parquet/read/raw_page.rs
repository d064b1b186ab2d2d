//! A page as it stands in the file: its header taken from its body, decrypted where it must be.
//!
//! Spec: README.md, "Data Pages"; Encryption.md.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};

use crate::error::{Error, Result};
use crate::parquet::format::encryption::{self, ChunkCipher, ModuleType};
use crate::parquet::format::thrift;
use crate::parquet::format::{PageHead, PageHeader, PageType, Statistics};

/// One page as it stands in the file.
#[derive(Debug, Clone)]
pub(super) struct RawPage {
    pub header: PageHead,
    /// Those in the header, if they were asked for.
    pub statistics: Option<Box<Statistics>>,
    /// Its number among the chunk's data pages.
    pub ordinal: u64,
    /// File position of the header.
    pub offset: u64,
    pub header_bytes: usize,
    /// Encrypted where there is a cipher.
    pub body: Bytes,
    pub cipher: Option<Arc<ChunkCipher>>,
    /// Rows in it, where an offset index tells.
    pub rows: Option<usize>,
}

/// Level entries of a data page, as its header says; none for other pages.
pub(super) fn data_values(header: &PageHead) -> Option<usize> {
    let values = match header.type_ {
        PageType::DataPage => header.data_page_header.as_ref()?.num_values,
        PageType::DataPageV2 => header.data_page_header_v2.as_ref()?.num_values,
        _ => return None,
    };
    usize::try_from(values).ok()
}

/// The first page of a chunk, of which at least that much was fetched: `bytes`, which begin at `offset` in the file.
pub(super) fn first_page(mut bytes: Bytes, offset: u64, cipher: Option<ChunkCipher>) -> Result<RawPage> {
    split_page(&mut bytes, offset, 0, cipher.map(Arc::new).as_ref(), true, false)
}

/// Takes the page at the start of `bytes`, which begin at `offset` in the file. Only the `first` one of a chunk may be a
/// dictionary.
pub(super) fn split_page(
    bytes: &mut Bytes,
    offset: u64,
    ordinal: u64,
    cipher: Option<&Arc<ChunkCipher>>,
    first: bool,
    with_statistics: bool,
) -> Result<RawPage> {
    let place = |e: Error| e.at_byte(offset).in_page(ordinal);
    let (header, header_bytes, statistics) = match cipher {
        None if !with_statistics => PageHead::decode(bytes, offset).map(|(header, used)| (header, used, None)),
        None => thrift::decode(bytes, offset).map(|(header, used)| whole_header(header, used)),
        Some(cipher) => open_header(bytes, ordinal, cipher, first),
    }
    .map_err(place)?;
    let left = bytes.len() - header_bytes;
    let body = usize::try_from(header.compressed_page_size).ok().filter(|&n| n <= left).ok_or_else(|| {
        place(Error::corrupt(format!("a page of {} bytes, {left} are left of the chunk", header.compressed_page_size)))
    })?;
    let is_whole = match header.type_ {
        PageType::DataPage => header.data_page_header.as_ref().is_some_and(|h| h.num_values >= 0),
        PageType::DataPageV2 => header.data_page_header_v2.as_ref().is_some_and(|h| h.num_values >= 0),
        PageType::DictionaryPage => header.dictionary_page_header.as_ref().is_some_and(|h| h.num_values >= 0),
        _ => true,
    };
    if !is_whole {
        return Err(place(Error::corrupt(format!("a {:?} without the count of its values", header.type_))));
    }
    bytes.advance(header_bytes);
    let body = bytes.split_to(body);
    Ok(RawPage { header, statistics, ordinal, offset, header_bytes, body, cipher: cipher.cloned(), rows: None })
}

/// A header, the bytes that it took, and its statistics.
type Opened = (PageHead, usize, Option<Box<Statistics>>);

fn whole_header(header: PageHeader, used: usize) -> Opened {
    let head = PageHead::from(&header);
    let statistics = match header.type_ {
        PageType::DataPage => header.data_page_header.and_then(|h| h.statistics),
        PageType::DataPageV2 => header.data_page_header_v2.and_then(|h| h.statistics),
        _ => None,
    };
    (head, used, statistics.map(Box::new))
}

/// The header at the start of `bytes`, encrypted.
fn open_header(bytes: &[u8], ordinal: u64, cipher: &ChunkCipher, first: bool) -> Result<Opened> {
    // It is copied to be decrypted, which no budget counts.
    const HEADER_BYTES_MAX: usize = 16 << 20;
    let module_bytes = encryption::module_bytes(bytes)?;
    if module_bytes > HEADER_BYTES_MAX {
        return Err(Error::limit(format!(
            "an encrypted page header of {module_bytes} bytes, at most {HEADER_BYTES_MAX}"
        )));
    }
    let as_data = || cipher.open(ModuleType::DataPageHeader, ordinal, bytes);
    // The key tells which of both it is, since not all writers say where a dictionary is.
    let (plain, used) = match first {
        true => cipher.open(ModuleType::DictionaryPageHeader, 0, bytes).or_else(|_| as_data())?,
        false => as_data()?,
    };
    let (header, _) = thrift::decode(&plain, 0)
        .map_err(|e| Error::corrupt(format!("{} (in a decrypted page header)", e.message())))?;
    Ok(whole_header(header, used))
}

impl RawPage {
    /// Its body as it was before encryption. `take_memory` is asked before it is copied.
    pub(super) fn open(&self, take_memory: impl FnOnce(usize) -> Result<()>) -> Result<Cow<'_, Bytes>> {
        let Some(cipher) = &self.cipher else { return Ok(Cow::Borrowed(&self.body)) };
        take_memory(self.body.len())?;
        let kind = match self.header.type_ {
            PageType::DictionaryPage => ModuleType::DictionaryPage,
            _ => ModuleType::DataPage,
        };
        let (levels, sealed) = self.body.split_at_checked(self.levels_in_the_clear()).unwrap_or((&[], &self.body));
        let (mut plain, used) = cipher.open(kind, self.ordinal, sealed)?;
        if used != sealed.len() {
            return Err(Error::corrupt(format!("an encrypted page of {used} bytes in one of {}", sealed.len())));
        }
        if !levels.is_empty() {
            plain.splice(..0, levels.iter().copied());
        }
        Ok(Cow::Owned(plain.into()))
    }

    /// How many bytes stand before the encrypted ones: of pages v2 parquet-java encrypts the values alone. By the specification, as
    /// everybody else has it, it is all of the page. The length before what is encrypted tells which.
    fn levels_in_the_clear(&self) -> usize {
        let Some(v2) = self.header.data_page_header_v2.as_ref().filter(|_| self.header.type_ == PageType::DataPageV2)
        else {
            return 0;
        };
        let size = |n: i32| usize::try_from(n).unwrap_or(0);
        let levels = size(v2.repetition_levels_byte_length).saturating_add(size(v2.definition_levels_byte_length));
        let ends_with_page = |from: usize| {
            let sealed = self.body.get(from..).unwrap_or_default();
            encryption::module_bytes(sealed).is_ok_and(|bytes| bytes == sealed.len())
        };
        if !ends_with_page(0) && ends_with_page(levels) { levels } else { 0 }
    }
}
