//! One column of a scan: from page to page and row group to row group, into the array of the batch.

mod judge;
mod pick;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_schema::DataType;

use crate::error::{Error, Result};
use crate::parquet::arrow::Leaf;
use crate::parquet::format::PageHead;

pub(super) use self::judge::{Judge, Kept, is_true};
use self::pick::Picks;
use super::ColumnCounts;
use super::budget::{Budget, Reservation};
use super::column_chunk::ChunkPages;
use super::decoded::bytes_of;
use super::levels::Validity;
use super::page::{Coding, Page, PageBytes, PageOpener, Values};
use super::raw_page::data_values;
use super::selection::Wanted;
use super::target::{self, Layout, Target};

#[derive(Debug)]
pub(super) struct Column {
    leaf: Arc<Leaf>,
    target: Box<dyn Target>,
    validity: Validity,
    chunk: Option<ChunkPages>,
    /// Rows of the row group that no opened page holds yet.
    rows_ahead: usize,
    page: Page,
    opener: PageOpener,
    /// Rows to pass over before the next one that is read.
    skip: usize,
    mask: BooleanBufferBuilder,
    /// Data pages decoded in this chunk.
    pages_read: u64,
    /// Bytes of pages opened in this chunk.
    decompressed: u64,
    /// Bytes of values made, of all chunks.
    decoded: u64,
    /// Bytes of pages and rows decoded, of all chunks.
    work: u64,
    /// Entries of the open chunk's dictionary, once it is read; its number among all.
    dictionary_len: usize,
    dictionary_number: u64,
    /// For what is kept of rows that were judged.
    kept_memory: Reservation,
    /// Values that were picked from a page and are not in the target yet.
    picked: Option<Box<Picked>>,
    picks: Picks,
    /// Whether rows of the chunk are likely passed over.
    is_selective: bool,
    array_type: DataType,
}

/// Byte arrays that were put together from a page in which they share their beginnings.
#[derive(Debug)]
struct Picked {
    values: Values,
    present: usize,
    mask: BooleanBufferBuilder,
    memory: Reservation,
}

/// What a column read of one chunk.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ChunkCounts {
    pub pages_read: u64,
    pub pages_skipped: u64,
    pub bytes_read: u64,
    pub bytes_decompressed: u64,
}

impl ChunkCounts {
    /// As those of a column of which so many bytes of values were made.
    pub(super) fn of_column(self, name: &str, bytes_decoded: u64) -> ColumnCounts {
        let ChunkCounts { pages_read, pages_skipped, bytes_read: bytes_fetched, bytes_decompressed } = self;
        ColumnCounts { name: name.into(), pages_read, pages_skipped, bytes_fetched, bytes_decompressed, bytes_decoded }
    }
}

impl std::ops::AddAssign for ChunkCounts {
    fn add_assign(&mut self, more: ChunkCounts) {
        self.pages_read += more.pages_read;
        self.pages_skipped += more.pages_skipped;
        self.bytes_read += more.bytes_read;
        self.bytes_decompressed += more.bytes_decompressed;
    }
}

impl Column {
    pub(super) fn new(leaf: Arc<Leaf>, budget: &Budget, verify_crc: bool) -> Result<Column> {
        leaf.check()?;
        let target = target::new(&leaf, budget)?;
        Ok(Column {
            opener: PageOpener::new(verify_crc, budget).with(target.takes()),
            target,
            validity: Validity::default(),
            chunk: None,
            rows_ahead: 0,
            page: Page::new(budget),
            skip: 0,
            mask: BooleanBufferBuilder::new(0),
            pages_read: 0,
            decompressed: 0,
            decoded: 0,
            work: 0,
            dictionary_len: 0,
            dictionary_number: 0,
            kept_memory: budget.reservation(),
            picked: None,
            picks: Picks::default(),
            is_selective: false,
            array_type: leaf.data_type.clone(),
            leaf,
        })
    }

    /// Goes to the start of another chunk, of `rows` rows; what is in the batch stays. With `is_selective`, some of them are
    /// likely passed over.
    pub(super) fn start_chunk(&mut self, chunk: ChunkPages, rows: usize, is_selective: bool) {
        self.opener.picks = is_selective;
        self.is_selective = is_selective;
        self.chunk = Some(chunk);
        self.opener.give_back_dictionary(self.target.clear_dictionary());
        self.dictionary_len = 0;
        self.rows_ahead = rows;
        self.page.close();
        self.skip = 0;
        self.pages_read = 0;
        self.decompressed = 0;
    }

    /// Of the pages that are opened next, few rows are wanted, or more.
    pub(super) fn expect(&mut self, few: bool) {
        self.opener.picks = self.is_selective && few;
    }

    /// Ends the chunk, whose rows are all read or skipped if `is_whole`; what it took.
    pub(super) fn end_chunk(&mut self, is_whole: bool) -> Result<ChunkCounts> {
        let Some(chunk) = &mut self.chunk else { return Ok(ChunkCounts::default()) };
        // Page headers that were not looked at are not looked for, unless all rows have been read.
        let has_more = is_whole && self.skip == 0 && self.pages_read > 0 && chunk.has_more_values();
        let counts = ChunkCounts {
            pages_read: self.pages_read,
            pages_skipped: chunk.pages_skipped + chunk.pages_left(),
            bytes_read: chunk.bytes_fetched,
            bytes_decompressed: self.decompressed,
        };
        self.chunk = None;
        self.page.close();
        if has_more {
            return Err(
                Error::corrupt("the chunk has more values than the row group has rows").in_column(self.leaf.name())
            );
        }
        Ok(counts)
    }

    /// What decoding it took so far: bytes of pages that were opened, and rows.
    pub(super) fn work(&self) -> u64 {
        self.work
    }

    /// Bytes of the values made so far.
    pub(super) fn decoded(&self) -> u64 {
        self.decoded
    }

    /// So many rows are read about as fast as they are passed over and the column is taken up again behind them: that
    /// takes about 0.1 µs.
    pub(super) fn gap_rows(&self) -> usize {
        match self.target.layout() {
            // Others are not taken as they stand, but made: decimals of seven bytes.
            Layout::Fixed(4 | 8) => 128,
            Layout::Fixed(_) | Layout::Variable => 40,
            Layout::Bits | Layout::Nothing => 1024,
        }
    }

    /// Lets others have what it has of a page of which nothing more is read.
    pub(super) fn release(&mut self) -> Result<()> {
        if self.page.rows_left > self.skip || self.chunk.is_none() {
            return Ok(());
        }
        self.skip -= self.page.close();
        self.opener.give_back(&mut self.page.values.bytes)
    }

    /// Passes over the next `rows` rows, when the ones behind are read.
    pub(super) fn skip(&mut self, rows: usize) {
        self.skip += rows;
    }

    /// Appends the next `rows` rows to the batch.
    pub(super) fn read(&mut self, rows: usize) -> Result<()> {
        self.read_with(rows, rows, Wanted::UNKNOWN)
    }

    /// Appends the rows of `ranges`, which ascend. The column stands at row `at` of the row group, and then at row `end`.
    pub(super) fn read_ranges(&mut self, mut at: usize, ranges: &[Range<usize>], end: usize) -> Result<()> {
        for range in ranges {
            self.skip += range.start - at;
            at = range.end;
            self.read_with(range.len(), at, Wanted { ranges, end })?;
        }
        self.skip += end - at;
        Ok(())
    }

    /// The column stands at row `end` of the row group afterwards, as `wanted` counts rows.
    fn read_with(&mut self, rows: usize, end: usize, wanted: Wanted<'_>) -> Result<()> {
        let mut left = rows;
        self.work += rows as u64;
        while left > 0 {
            if self.page.rows_left == 0 || self.skip >= self.page.rows_left {
                self.next_page(left, end - left, wanted)?;
            }
            let read = self.read_from_page(left);
            left -= read.map_err(|e| self.at_page(e))?;
        }
        Ok(())
    }

    /// The batch's array; the batch is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        self.move_picked().map_err(|e| e.in_column(self.leaf.name()))?;
        let array = self.target.finish(self.validity.finish()).map_err(|e| e.in_column(self.leaf.name()))?;
        self.decoded += bytes_of(&array);
        match &self.array_type {
            DataType::Dictionary(..) => arrow_cast::cast(&array, &self.array_type)
                .map_err(|e| Error::limit(format!("{e}: lower batch_rows")).in_column(self.leaf.name())),
            _ => Ok(array),
        }
    }

    /// Reads at most `rows` rows of the open page; how many.
    fn read_from_page(&mut self, rows: usize) -> Result<usize> {
        self.skip_in_page()?;
        let page = &mut self.page;
        let count = rows.min(page.rows_left);
        let present = page.levels.read(count, &mut self.mask)?;
        if matches!(page.values.coding, Coding::Prefixes) {
            let picked = self.picked.get_or_insert_with(|| Box::new(Picked::new(self.kept_memory.another())));
            picked.add(&mut page.values, present, count, &self.mask)?;
            match present == count {
                true => self.validity.push_present(count),
                false => self.validity.push_mask(&self.mask),
            }
        } else if present == count {
            self.target.read(&mut page.values, count)?;
            self.validity.push_present(count);
        } else {
            self.target.read_spaced(&mut page.values, present, &self.mask)?;
            self.validity.push_mask(&self.mask);
        }
        page.rows_left -= count;
        Ok(count)
    }

    /// Gives the target what was picked.
    fn move_picked(&mut self) -> Result<()> {
        match &mut self.picked {
            Some(picked) => picked.move_to(&mut *self.target),
            None => Ok(()),
        }
    }

    /// Passes over the rows to be skipped, which are less than the page has left.
    fn skip_in_page(&mut self) -> Result<()> {
        if self.skip > 0 {
            let page = &mut self.page;
            let present = page.levels.skip(self.skip)?;
            self.target.skip(&mut page.values, present)?;
            page.rows_left -= self.skip;
            self.skip = 0;
        }
        Ok(())
    }

    /// Opens the page of the next row that is wanted, which is row `at` of the row group, as `wanted` counts them.
    fn next_page(&mut self, missing: usize, at: usize, wanted: Wanted<'_>) -> Result<()> {
        self.move_picked().map_err(|e| self.at_page(e))?;
        self.skip -= self.page.close();
        let skipped_before = self.skip;
        let Some(chunk) = &mut self.chunk else {
            return Err(Error::corrupt(format!("{missing} rows are missing")).in_column(self.leaf.name()));
        };
        let raw = chunk.next_data_page(&mut self.skip, wanted).map_err(|e| e.in_column(self.leaf.name()))?;
        self.rows_ahead = self.rows_ahead.saturating_sub(skipped_before - self.skip);
        let Some(raw) = raw else {
            return Err(Error::corrupt(format!("the chunk ends, {} rows are missing", missing + self.skip))
                .in_column(self.leaf.name()));
        };
        if let Some(dictionary) = chunk.take_dictionary(&raw) {
            let place = |e: Error| outer_place(e, dictionary.offset).in_column(self.leaf.name());
            let (mut bytes, count) = self.opener.open_dictionary(&dictionary, chunk.codec).map_err(place)?;
            self.target.set_dictionary(&mut bytes, count, self.opener.picks).map_err(place)?;
            self.opener.give_back(&mut bytes)?;
            self.decompressed += page_bytes(&dictionary.header);
            (self.dictionary_len, self.dictionary_number) = (count, self.dictionary_number + 1);
        }
        let start = at.saturating_sub(self.skip);
        let rows_wanted = wanted.first_of(&(start..start + data_values(&raw.header).unwrap_or(0)));
        let opened = self.opener.open(&raw, &self.leaf, chunk.codec, self.rows_ahead, rows_wanted, &mut self.page);
        opened.map_err(|e| self.at_page(e))?;
        self.rows_ahead -= self.page.rows_left + self.page.rows_cut;
        let bytes = match self.page.rows_cut {
            0 => page_bytes(&raw.header),
            _ => self.page.values.bytes.len() as u64,
        };
        self.pages_read += 1;
        // Of a part of it, too: the work of other windows is to be told from it.
        self.work += page_bytes(&raw.header);
        self.decompressed += bytes;
        Ok(())
    }

    #[cold]
    fn at_page(&self, e: Error) -> Error {
        outer_place(e, self.page.offset).in_page(self.page.ordinal).in_column(self.leaf.name())
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        self.opener.end(&mut self.page, self.target.clear_dictionary());
    }
}

impl Picked {
    fn new(memory: Reservation) -> Picked {
        let values = Values { coding: Coding::Lengths(0, 0), ..Values::default() };
        Picked { values, present: 0, mask: BooleanBufferBuilder::new(0), memory }
    }

    /// Adds the next `rows` rows of a page, of which `present` have a value: those in `mask`, if these are fewer.
    fn add(&mut self, from: &mut Values, present: usize, rows: usize, mask: &BooleanBufferBuilder) -> Result<()> {
        let mut bytes = self.values.bytes.reclaim();
        let mut picker = from.picker.take().unwrap_or_default();
        let all = bytes.len().saturating_add(picker.bytes(present)?);
        let lengths = (self.present + present).saturating_mul(size_of::<i32>());
        // It doubles where it grows.
        let room = if all > bytes.capacity() { all.max(bytes.capacity().saturating_mul(2)) } else { bytes.capacity() };
        self.memory.resize(room.saturating_add(lengths.saturating_mul(2)))?;
        let read = picker.read(from.bytes(), present, &mut self.values.lengths, &mut bytes);
        from.picker = Some(picker);
        self.values.bytes = PageBytes::Own(bytes);
        read?;
        self.present += present;
        match present == rows {
            true => self.mask.append_n(rows, true),
            false => self.mask.append_packed_range(0..rows, mask.as_slice()),
        }
        Ok(())
    }

    /// Gives them to the target.
    fn move_to(&mut self, target: &mut dyn Target) -> Result<()> {
        if self.mask.is_empty() {
            return Ok(());
        }
        match self.present == self.mask.len() {
            true => target.read(&mut self.values, self.present)?,
            false => target.read_spaced(&mut self.values, self.present, &self.mask)?,
        }
        let mut bytes = self.values.bytes.reclaim();
        if bytes.capacity() == 0 {
            bytes = self.values.spare.take();
        }
        bytes.clear();
        self.memory.resize(bytes.capacity())?;
        self.values.bytes = PageBytes::Own(bytes);
        self.values.lengths.clear();
        self.values.coding = Coding::Lengths(0, 0);
        self.present = 0;
        self.mask.truncate(0);
        Ok(())
    }
}

/// Bytes of a page after decompression.
pub(super) fn page_bytes(header: &PageHead) -> u64 {
    u64::try_from(header.uncompressed_page_size).unwrap_or(0)
}

/// The error at byte `offset` of the file; a byte that it names already is one of the decompressed page.
#[cold]
pub(super) fn outer_place(e: Error, offset: u64) -> Error {
    match (&e, e.place().byte) {
        (Error::Corrupt(_), Some(byte)) => {
            Error::corrupt(format!("{} (at byte {byte} of a part of the page)", e.message())).at_byte(offset)
        }
        _ => e.at_byte(offset),
    }
}
