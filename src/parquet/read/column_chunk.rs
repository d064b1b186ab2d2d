//! A column chunk: where its pages lie, which bytes to fetch, one page after another.
//!
//! Spec: README.md, "Column chunks"; PageIndex.md.
//!
//! ```text
//! [dictionary page] data page 0, data page 1, …         each a header (thrift) and its body
//! ```
//!
//! Without an offset index, pages are found one behind the other, so the chunk is fetched whole (when its first
//! page is needed). With one, only the pages that hold selected rows are, neighbours together.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::parquet::format::encryption::ChunkCipher;
pub(super) use crate::parquet::format::place::{byte_range, index_range, overrun};
use crate::parquet::format::{ChunkPlace, Codec, ColumnChunk, ColumnMetaData, Encoding, OffsetIndex, PageType};
use crate::storage::Input;

use super::budget::{Budget, Idle, Reservation};
use super::raw_page::{RawPage, data_values, split_page};
use super::selection::{Selection, Wanted};
use super::spare::Spare;

/// Pages this near each other are fetched together, with what lies between.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// A fetch of several pages is not made longer than this.
const FETCH_BYTES_MAX: u64 = 8 << 20;

/// Where a data page lies and which rows it holds, as the offset index says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageSpan {
    pub bytes: Range<u64>,
    pub rows: Range<usize>,
}

/// The pages of one chunk, from where the last call ended.
#[derive(Debug)]
pub(super) struct ChunkPages {
    input: Arc<dyn Input>,
    pub codec: Codec,
    range: Range<u64>,
    /// Bytes that the last page may reach past the chunk.
    overrun: u64,
    /// Whether a value is a row.
    is_flat: bool,
    /// Of an encrypted chunk.
    cipher: Option<Arc<ChunkCipher>>,
    /// Whether headers are decoded whole.
    with_statistics: bool,
    way: Way,
    /// Data pages given or passed over.
    ordinal: u64,
    dictionary: Option<RawPage>,
    has_dictionary: bool,
    /// Whether the footer names the encoding of indices into one.
    pub may_be_dictionary: bool,
    /// Bytes fetched so far.
    pub bytes_fetched: u64,
    /// Data pages passed over.
    pub pages_skipped: u64,
    copies: Option<Copies>,
}

/// Where few pages of a chunk are copied to, because they are then had for less: a page that is not decompressed is better left
/// where it is.
#[derive(Debug)]
struct Copies {
    spare: Spare<u8, Option<Idle>>,
    idle: Idle,
    memory: Reservation,
    /// What was copied before, which may be in use yet.
    bytes_before: usize,
}

/// A chunk's pages are few where they are no more than this part of it.
const COPIED_PART: u64 = 4;
const COPIED_BYTES_MAX: u64 = 1 << 20;

impl Copies {
    /// The bytes of `range`; none where the budget has no room for them.
    fn read(&mut self, input: &dyn Input, range: &Range<u64>) -> Result<Option<Bytes>> {
        let wanted = (range.end - range.start) as usize;
        if self.memory.resize(wanted + self.bytes_before).is_err() {
            return Ok(None);
        }
        self.bytes_before = wanted;
        let mut bytes = self.spare.take();
        if bytes.capacity() < wanted {
            bytes = self.idle.take(wanted);
        }
        // Of what came back, only what is beyond its length is filled twice.
        bytes.resize(wanted, 0);
        input.read_into(range.start, &mut bytes)?;
        Ok(Some(self.spare.lend(bytes)))
    }
}

#[derive(Debug)]
enum Way {
    /// One behind the other; the bytes from `at` on, once fetched.
    Whole { bytes: Option<Bytes>, at: u64 },
    /// By the offset index.
    Indexed { spans: Arc<[PageSpan]>, next: usize, fetches: Vec<Range<u64>>, fetched: Option<(u64, Bytes)> },
}

impl ChunkPages {
    /// For the chunk `meta`, past which its last page may reach by `overrun` bytes. With `spans`, only bytes of
    /// pages that `selection` touches are fetched. In a flat column a value is a row.
    pub(super) fn new(
        input: Arc<dyn Input>,
        meta: &ChunkPlace,
        overrun: u64,
        is_flat: bool,
        spans: Option<Arc<[PageSpan]>>,
        selection: &Selection,
    ) -> Result<ChunkPages> {
        let range = byte_range(meta, input.bytes())?;
        let way = match spans {
            Some(spans) => {
                let fetches = fetches(&spans, selection);
                Way::Indexed { spans, next: 0, fetches, fetched: None }
            }
            None => Way::Whole { bytes: None, at: range.start },
        };
        Ok(ChunkPages {
            input,
            codec: meta.codec,
            range,
            overrun,
            is_flat,
            cipher: None,
            with_statistics: false,
            way,
            ordinal: 0,
            dictionary: None,
            has_dictionary: false,
            may_be_dictionary: DICTIONARY_ENCODINGS.iter().any(|&e| meta.encodings.contains(e)),
            bytes_fetched: 0,
            pages_skipped: 0,
            copies: None,
        })
    }

    /// The same, whose pages are copied into memory of `budget` where they are few.
    pub(super) fn with_copies(mut self, budget: &Budget) -> ChunkPages {
        if let Way::Indexed { fetches, .. } = &self.way
            && self.codec != Codec::Uncompressed
            && fetches.iter().all(|fetch| fetch.end - fetch.start <= COPIED_BYTES_MAX)
            && fetches.iter().map(|fetch| fetch.end - fetch.start).sum::<u64>()
                <= (self.range.end - self.range.start) / COPIED_PART
            && self.input.prefers_copies()
        {
            let idle = budget.idle().clone();
            self.copies =
                Some(Copies { spare: Spare::before(&idle), idle, memory: budget.reservation(), bytes_before: 0 });
        }
        self
    }

    /// The same of an encrypted chunk.
    pub(super) fn with_cipher(mut self, cipher: Option<ChunkCipher>) -> ChunkPages {
        self.cipher = cipher.map(Arc::new);
        self
    }

    /// The same, whose pages come with the statistics in their headers.
    pub(super) fn with_statistics(mut self) -> ChunkPages {
        self.with_statistics = true;
        self
    }

    /// What will be fetched, at most: each range at once.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        match &self.way {
            Way::Whole { .. } => std::iter::once(self.range.start..self.whole_end()).collect(),
            Way::Indexed { fetches, .. } if fetches.is_empty() => Vec::new(),
            Way::Indexed { spans, fetches, .. } => {
                let first = spans.first().map_or(self.range.start, |s| s.bytes.start);
                let dictionary = (self.range.start < first).then_some(self.range.start..first);
                dictionary.into_iter().chain(fetches.iter().cloned()).collect()
            }
        }
    }

    /// Where a chunk ends whose pages are found one behind the other.
    fn whole_end(&self) -> u64 {
        self.range.end.saturating_add(self.overrun).min(self.input.bytes())
    }

    /// Whether pages are found by an offset index.
    pub(super) fn is_indexed(&self) -> bool {
        matches!(self.way, Way::Indexed { .. })
    }

    /// The next data page that is not covered by `skip` rows; `skip` becomes what is to be skipped inside it.
    /// None at the chunk's end. Of a nested column without an index, nothing tells the rows of a page: `skip` must be 0.
    /// Pages behind the last one that is `wanted` are not fetched with it, though they were planned to be.
    pub(super) fn next_data_page(&mut self, skip: &mut usize, wanted: Wanted<'_>) -> Result<Option<RawPage>> {
        match self.way {
            Way::Whole { .. } => self.next_of_whole(skip),
            Way::Indexed { .. } => self.next_by_index(skip, wanted),
        }
    }

    /// The dictionary page, once, if the data page `of` has indices into it; it is known when the first data page is given.
    /// Pages with values of their own, behind those of a dictionary that grew too large, need none of it.
    pub(super) fn take_dictionary(&mut self, of: &RawPage) -> Option<RawPage> {
        self.dictionary.take_if(|_| has_indices(of))
    }

    /// The next page of any kind; none at the chunk's end. Only for chunks without spans.
    pub(super) fn next_page(&mut self) -> Result<Option<RawPage>> {
        let end = self.whole_end();
        let Way::Whole { bytes, at } = &mut self.way else { return Ok(None) };
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => {
                let fetched = self.input.read(self.range.start..end)?;
                self.bytes_fetched += fetched.len() as u64;
                bytes.insert(fetched)
            }
        };
        if *at >= self.range.end {
            return Ok(None);
        }
        let first = *at == self.range.start;
        let page = split_page(bytes, *at, self.ordinal, self.cipher.as_ref(), first, self.with_statistics)?;
        *at += (page.header_bytes + page.body.len()) as u64;
        if matches!(page.header.type_, PageType::DataPage | PageType::DataPageV2) {
            self.ordinal += 1;
        }
        Ok(Some(page))
    }

    /// Whether another data page with values follows; bytes that are no page do not count.
    pub(super) fn has_more_values(&mut self) -> bool {
        match &self.way {
            Way::Whole { bytes: None, .. } | Way::Indexed { .. } => false,
            Way::Whole { .. } => loop {
                match self.next_page() {
                    Ok(Some(page)) if data_values(&page.header).is_some_and(|n| n > 0) => return true,
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return false,
                }
            },
        }
    }

    /// Data pages that were neither given nor passed over yet, as far as they are known.
    pub(super) fn pages_left(&self) -> u64 {
        match &self.way {
            Way::Whole { .. } => 0,
            Way::Indexed { spans, next, .. } => (spans.len() - next) as u64,
        }
    }

    fn next_of_whole(&mut self, skip: &mut usize) -> Result<Option<RawPage>> {
        // Every page takes bytes, so the loop ends.
        while let Some(page) = self.next_page()? {
            match page.header.type_ {
                PageType::DictionaryPage => self.keep_dictionary(page)?,
                PageType::DataPage | PageType::DataPageV2 => {
                    let values = data_values(&page.header).unwrap_or(0);
                    if values == 0 {
                        continue;
                    }
                    if values <= *skip {
                        *skip -= values;
                        self.pages_skipped += 1;
                        continue;
                    }
                    return Ok(Some(page));
                }
                // Index pages, and kinds of the future.
                _ => {}
            }
        }
        Ok(None)
    }

    fn next_by_index(&mut self, skip: &mut usize, wanted: Wanted<'_>) -> Result<Option<RawPage>> {
        let Way::Indexed { spans, next, .. } = &mut self.way else { return Ok(None) };
        let spans = Arc::clone(spans);
        let span = loop {
            let Some(span) = spans.get(*next) else { return Ok(None) };
            *next += 1;
            self.ordinal += 1;
            if span.rows.is_empty() {
                continue;
            }
            if span.rows.len() > *skip {
                break span;
            }
            *skip -= span.rows.len();
            self.pages_skipped += 1;
        };
        let ordinal = self.ordinal - 1;
        let mut bytes = self.fetch(span.bytes.clone(), wanted)?;
        let page = split_page(&mut bytes, span.bytes.start, ordinal, self.cipher.as_ref(), false, false)?;
        let values = data_values(&page.header).ok_or_else(|| {
            Error::corrupt(format!("a {:?} where the offset index has a data page", page.header.type_))
                .at_byte(page.offset)
                .in_page(ordinal)
        })?;
        if self.is_flat && values != span.rows.len() {
            return Err(Error::corrupt(format!(
                "a page of {values} values, the offset index says {}",
                span.rows.len()
            ))
            .at_byte(page.offset)
            .in_page(ordinal));
        }
        let first = spans.first().map_or(self.range.start, |s| s.bytes.start);
        if !self.has_dictionary && self.range.start < first && has_indices(&page) {
            // Not before a page wants it: those with values of their own do without.
            let range = self.range.start..first;
            let mut bytes = self.read(&range)?;
            let page = split_page(&mut bytes, range.start, 0, self.cipher.as_ref(), true, false)?;
            if page.header.type_ == PageType::DictionaryPage {
                self.keep_dictionary(page)?;
            }
        }
        Ok(Some(RawPage { rows: Some(span.rows.len()), ..page }))
    }

    /// The bytes of the page at `range`, fetched together with those behind it that were planned together, up to the last one
    /// that is wanted.
    fn fetch(&mut self, range: Range<u64>, wanted: Wanted<'_>) -> Result<Bytes> {
        let Way::Indexed { spans, next, fetches, fetched } = &mut self.way else { return Ok(Bytes::new()) };
        if let Some((start, bytes)) = fetched
            && let Some(from) = range.start.checked_sub(*start)
            && range.end - *start <= bytes.len() as u64
        {
            return Ok(bytes.slice(from as usize..(range.end - *start) as usize));
        }
        let at = fetches.partition_point(|f| f.end < range.end);
        let planned_end = fetches.get(at).filter(|f| f.start <= range.start).map_or(range.end, |f| f.end);
        let behind = spans.iter().skip(*next).take_while(|span| span.bytes.end <= planned_end);
        let last = behind.filter(|span| !span.rows.is_empty() && wanted.touches(&span.rows)).last();
        let end = last.map_or(range.end, |span| span.bytes.end);
        let bytes = self.read(&(range.start..end))?;
        let found =
            (bytes.len() as u64 == end - range.start).then(|| bytes.slice(..(range.end - range.start) as usize));
        if let Way::Indexed { fetched, .. } = &mut self.way {
            *fetched = Some((range.start, bytes));
        }
        found.ok_or_else(|| Error::io("the storage gave other bytes than were asked for").at_byte(range.start))
    }

    fn read(&mut self, range: &Range<u64>) -> Result<Bytes> {
        let is_short = range.end - range.start <= COPIED_BYTES_MAX;
        let copies = self.copies.as_mut().filter(|_| is_short);
        let copy = copies.map(|copies| copies.read(self.input.as_ref(), range)).transpose()?.flatten();
        let bytes = copy.map_or_else(|| self.input.read(range.clone()), Ok)?;
        self.bytes_fetched += bytes.len() as u64;
        Ok(bytes)
    }

    fn keep_dictionary(&mut self, page: RawPage) -> Result<()> {
        if self.has_dictionary {
            return Err(Error::corrupt("a second dictionary page").at_byte(page.offset));
        }
        self.has_dictionary = true;
        self.dictionary = Some(page);
        Ok(())
    }
}

/// Whether the values of a data page are indices into a dictionary.
fn has_indices(page: &RawPage) -> bool {
    let v1 = page.header.data_page_header.as_ref().map(|h| h.encoding);
    let encoding = v1.or(page.header.data_page_header_v2.as_ref().map(|h| h.encoding));
    encoding.is_some_and(|encoding| DICTIONARY_ENCODINGS.contains(&encoding))
}

/// The pages of an offset index, if it can be believed: in the chunk, in order, and all rows in them.
pub(super) fn spans(
    index: &OffsetIndex,
    meta: &ColumnMetaData,
    file_bytes: u64,
    rows: usize,
) -> Option<Arc<[PageSpan]>> {
    let chunk = byte_range(&meta.into(), file_bytes).ok()?;
    let pages = &index.page_locations;
    let firsts = pages.iter().map(|p| usize::try_from(p.first_row_index).ok());
    let ends = firsts.clone().skip(1).chain([Some(rows)]);
    let mut spans = Vec::with_capacity(pages.len());
    let (mut byte, mut row) = (chunk.start, 0);
    for ((page, first), end) in pages.iter().zip(firsts).zip(ends) {
        let start = u64::try_from(page.offset).ok()?;
        let bytes = start..start.checked_add(u64::try_from(page.compressed_page_size).ok()?)?;
        let rows = first?..end?;
        if bytes.start < byte || bytes.end > chunk.end || rows.start != row || rows.end < rows.start {
            return None;
        }
        (byte, row) = (bytes.end, rows.end);
        spans.push(PageSpan { bytes, rows });
    }
    (row == rows).then(|| spans.into())
}

/// The chunk's metadata, which must stand in this file.
pub(super) fn metadata(chunk: ColumnChunk) -> Result<ColumnMetaData> {
    if let Some(path) = &chunk.file_path {
        return Err(Error::unsupported(format!("the chunk lies in another file, {path}")));
    }
    chunk.meta_data.ok_or_else(|| Error::unsupported("the chunk's metadata is not in the footer"))
}

/// Those of indices into a dictionary.
pub(super) const DICTIONARY_ENCODINGS: [Encoding; 2] = [Encoding::PlainDictionary, Encoding::RleDictionary];

/// The ranges to fetch for the pages that are touched, neighbours joined.
fn fetches(spans: &[PageSpan], selection: &Selection) -> Vec<Range<u64>> {
    let mut fetches: Vec<Range<u64>> = Vec::new();
    for span in spans.iter().filter(|s| selection.touches(&s.rows)) {
        match fetches.last_mut() {
            Some(last)
                if span.bytes.start - last.end <= GAP_BYTES_MAX && span.bytes.end - last.start <= FETCH_BYTES_MAX =>
            {
                last.end = span.bytes.end;
            }
            _ => fetches.push(span.bytes.clone()),
        }
    }
    fetches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::format::{PageLocation, Type};

    fn meta(dictionary: Option<i64>, data: i64, size: i64) -> ColumnMetaData {
        ColumnMetaData {
            type_: Type::Int32,
            encodings: vec![],
            path_in_schema: vec![],
            codec: Codec::Uncompressed,
            num_values: 0,
            total_uncompressed_size: size,
            total_compressed_size: size,
            key_value_metadata: None,
            data_page_offset: data,
            index_page_offset: None,
            dictionary_page_offset: dictionary,
            statistics: None,
            encoding_stats: None,
            bloom_filter_offset: None,
            bloom_filter_length: None,
            size_statistics: None,
            geospatial_statistics: None,
        }
    }

    fn place(dictionary: Option<i64>, data: i64, size: i64) -> ChunkPlace {
        ChunkPlace::from(&meta(dictionary, data, size))
    }

    #[test]
    fn a_chunk_starts_at_its_first_page() {
        assert_eq!(byte_range(&place(None, 4, 96), 100).expect("fits"), 4..100);
        assert_eq!(byte_range(&place(Some(0), 40, 10), 100).expect("fits"), 40..50);
        assert_eq!(byte_range(&place(Some(30), 40, 20), 100).expect("fits"), 30..50);
        assert_eq!(byte_range(&place(Some(60), 40, 20), 100).expect("fits"), 40..60);
        for wrong in [meta(None, 4, 97), meta(None, -4, 9), meta(None, 4, -9), meta(None, i64::MAX, i64::MAX)] {
            assert!(byte_range(&ChunkPlace::from(&wrong), 100).is_err());
        }
    }

    #[test]
    fn only_the_writer_of_old_overruns_its_chunks() {
        for (by, is_old) in [
            (None, false),
            (Some("parquet-mr"), true),
            (Some("parquet-mr version 1.2.8"), true),
            (Some("parquet-mr version 1.2.8-cdh (build x)"), true),
            (Some("parquet-mr version 1.2.9"), false),
            (Some("parquet-mr version 1.13.1 (build db4183109d5b734ec5930d870cdae161e408ddba)"), false),
            (Some("parquet-cpp version 1.0.0"), false),
        ] {
            assert_eq!(overrun(by) > 0, is_old, "{by:?}");
        }
    }

    fn index(pages: &[(i64, i32, i64)]) -> OffsetIndex {
        let page_locations = pages
            .iter()
            .map(|&(offset, compressed_page_size, first_row_index)| PageLocation {
                offset,
                compressed_page_size,
                first_row_index,
            })
            .collect();
        OffsetIndex { page_locations, unencoded_byte_array_data_bytes: None }
    }

    #[test]
    fn only_an_index_in_order_is_believed() {
        let meta = meta(None, 10, 90);
        let good = spans(&index(&[(10, 20, 0), (30, 20, 5), (60, 40, 5)]), &meta, 100, 9).expect("in order");
        assert_eq!(good.iter().map(|s| s.rows.clone()).collect::<Vec<_>>(), [0..5, 5..5, 5..9]);
        assert_eq!(good[2].bytes, 60..100);
        for wrong in [
            &[(10, 20, 1)][..],
            &[(9, 20, 0)],
            &[(10, 91, 0)],
            &[(10, -1, 0)],
            &[(10, 20, 0), (29, 20, 5)],
            &[(10, 20, 0), (30, 20, 10)],
            &[(10, 20, 0), (30, 20, 6), (50, 20, 5)],
            &[],
        ] {
            assert!(spans(&index(wrong), &meta, 100, 9).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn neighbours_are_fetched_together() {
        let span = |bytes, rows| PageSpan { bytes, rows };
        let spans = [
            span(0..10_000, 0..10),
            span(10_000..20_000, 10..20),
            span(20_000..30_000, 20..30),
            span(30_000..100_000, 30..40),
            span(100_000..110_000, 40..50),
            span(110_000..(110_000 + FETCH_BYTES_MAX), 50..60),
        ];
        let mut selection = Selection::default();
        selection.push(5..6);
        selection.push(25..26);
        selection.push(45..60);
        let big = 110_000 + FETCH_BYTES_MAX;
        assert_eq!(fetches(&spans, &selection), [0..30_000, 100_000..110_000, 110_000..big]);
    }
}
