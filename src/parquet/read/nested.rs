//! A column below lists or structs: each of its leaves entry by entry, put together at the end of a batch.
//!
//! A row of a leaf is any number of entries; where the next row begins is known when its first entry (of
//! repetition level 0) is seen. So entries are decoded a little ahead, and pages need not end with a row.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_schema::DataType;

use super::budget::{Budget, Reservation};
use super::column::{ChunkCounts, outer_place, page_bytes};
use super::column_chunk::ChunkPages;
use super::decoded::bytes_of;
use super::levels::Validity;
use super::page::{Page, PageOpener};
use super::selection::Wanted;
use super::target::{self, Target};
use crate::error::{Error, Result};
use crate::parquet::arrow::assemble::{LeafSlots, assemble};
use crate::parquet::arrow::level_bits::{BLOCK, bits, compress, select};
use crate::parquet::arrow::{Leaf, Node};

/// Entries that are decoded ahead.
const AHEAD: usize = 2048;

/// A field of any nesting.
#[derive(Debug)]
pub(super) struct NestedColumn {
    node: Node,
    /// By the leaf's number in the file.
    leaves: Vec<(usize, NestedLeaf)>,
    /// Rows in the batch.
    rows: usize,
    /// Bytes of values made, of all chunks.
    decoded: u64,
}

impl NestedColumn {
    /// `leaves` are all those of `node`, by number.
    pub(super) fn new(
        node: Node,
        leaves: impl IntoIterator<Item = (usize, Arc<Leaf>)>,
        budget: &Budget,
        verify_crc: bool,
    ) -> Result<NestedColumn> {
        let leaves = leaves
            .into_iter()
            .map(|(number, leaf)| Ok((number, NestedLeaf::new(leaf, budget, verify_crc)?)))
            .collect::<Result<_>>()?;
        Ok(NestedColumn { node, leaves, rows: 0, decoded: 0 })
    }

    /// Goes to the start of the next chunks, one a leaf in order.
    pub(super) fn start_chunks(&mut self, chunks: impl IntoIterator<Item = ChunkPages>) {
        for ((_, leaf), chunk) in self.leaves.iter_mut().zip(chunks) {
            leaf.start_chunk(chunk);
        }
    }

    /// Ends the chunks, whose rows are all read or skipped if `is_whole`; what they took.
    pub(super) fn end_chunks(&mut self, is_whole: bool) -> Result<ChunkCounts> {
        let mut sum = ChunkCounts::default();
        for (_, leaf) in &mut self.leaves {
            sum += leaf.end_chunk(is_whole)?;
        }
        Ok(sum)
    }

    /// What decoding it took so far: bytes of pages that were opened.
    pub(super) fn work(&self) -> u64 {
        self.leaves.iter().map(|(_, leaf)| leaf.work).sum()
    }

    /// Bytes of the values made so far.
    pub(super) fn decoded(&self) -> u64 {
        self.decoded
    }

    /// Passes over the next `rows` rows.
    pub(super) fn skip(&mut self, rows: usize) {
        self.leaves.iter_mut().for_each(|(_, leaf)| leaf.skip += rows);
    }

    /// Appends the next `rows` rows to the batch.
    pub(super) fn read(&mut self, rows: usize) -> Result<()> {
        self.rows += rows;
        self.leaves.iter_mut().try_for_each(|(_, leaf)| leaf.read(rows))
    }

    /// The batch's array; the batch is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        let mut slots = Vec::with_capacity(self.leaves.len());
        for (number, leaf) in &mut self.leaves {
            slots.push((*number, Some(leaf.finish()?)));
        }
        let array = assemble(&self.node, rows, &mut |wanted| {
            slots.iter_mut().find(|(number, _)| *number == wanted).and_then(|(_, slots)| slots.take())
        })?;
        self.decoded += bytes_of(&array);
        Ok(array)
    }
}

/// One leaf of it.
#[derive(Debug)]
struct NestedLeaf {
    leaf: Arc<Leaf>,
    name: String,
    target: Box<dyn Target>,
    validity: Validity,
    mask: BooleanBufferBuilder,
    chunk: Option<ChunkPages>,
    page: Page,
    opener: PageOpener,
    /// Entries of the open page that are decoded, from `at` on not taken.
    ahead: Entries,
    at: usize,
    /// Rows of the open page that are not taken, where the offset index tells.
    page_rows_left: Option<usize>,
    /// Whether the chunk's first entry is yet to come.
    is_at_start: bool,
    /// Rows to pass over before the next one that is read.
    skip: usize,
    /// The levels of the batch.
    taken: Entries,
    memory: Reservation,
    pages_read: u64,
    /// Bytes of pages opened in this chunk.
    decompressed: u64,
    /// Bytes of pages that were opened, of all chunks.
    work: u64,
}

#[derive(Debug, Default)]
struct Entries {
    rep: Vec<u16>,
    def: Vec<u16>,
}

impl Drop for NestedLeaf {
    fn drop(&mut self) {
        self.opener.end(&mut self.page, self.target.clear_dictionary());
    }
}

impl NestedLeaf {
    fn new(leaf: Arc<Leaf>, budget: &Budget, verify_crc: bool) -> Result<NestedLeaf> {
        leaf.check()?;
        let target = target::new(&leaf, budget)?;
        Ok(NestedLeaf {
            name: leaf.name(),
            opener: PageOpener::new(verify_crc, budget).with(target.takes()),
            target,
            validity: Validity::default(),
            mask: BooleanBufferBuilder::new(0),
            chunk: None,
            page: Page::new(budget),
            ahead: Entries::default(),
            at: 0,
            page_rows_left: None,
            is_at_start: true,
            skip: 0,
            taken: Entries::default(),
            memory: budget.reservation(),
            pages_read: 0,
            decompressed: 0,
            work: 0,
            leaf,
        })
    }

    fn start_chunk(&mut self, chunk: ChunkPages) {
        self.chunk = Some(chunk);
        self.opener.give_back_dictionary(self.target.clear_dictionary());
        self.drop_page();
        self.is_at_start = true;
        self.skip = 0;
        self.pages_read = 0;
        self.decompressed = 0;
    }

    fn end_chunk(&mut self, is_whole: bool) -> Result<ChunkCounts> {
        let is_left = self.at < self.ahead.rep.len() || self.page.rows_left > 0;
        let Some(mut chunk) = self.chunk.take() else { return Ok(ChunkCounts::default()) };
        if is_whole && self.skip == 0 && self.pages_read > 0 && (is_left || chunk.has_more_values()) {
            return Err(Error::corrupt("the chunk has more rows than the row group").in_column(&self.name));
        }
        self.drop_page();
        Ok(ChunkCounts {
            pages_read: self.pages_read,
            pages_skipped: chunk.pages_skipped + chunk.pages_left(),
            bytes_read: chunk.bytes_fetched,
            bytes_decompressed: self.decompressed,
        })
    }

    fn drop_page(&mut self) {
        self.page.rows_left = 0;
        self.page_rows_left = None;
        self.ahead.rep.clear();
        self.ahead.def.clear();
        self.at = 0;
    }

    fn read(&mut self, rows: usize) -> Result<()> {
        while self.skip > 0 {
            let is_between_pages = self.at == self.ahead.rep.len() && self.page.rows_left == 0;
            let is_indexed = self.chunk.as_ref().is_some_and(ChunkPages::is_indexed);
            // Whole pages by their index, the rest entry by entry.
            match self.page_rows_left.or((is_indexed && is_between_pages).then_some(0)) {
                Some(left) if left <= self.skip => {
                    let mut skip = self.skip - left;
                    self.drop_page();
                    if !self.next_page(&mut skip)? {
                        return Err(self.missing(rows));
                    }
                    self.skip = skip;
                }
                _ => {
                    let skip = std::mem::take(&mut self.skip);
                    self.advance(skip, false)?;
                }
            }
        }
        self.advance(rows, true)
    }

    /// Takes the entries of the next `rows` rows, into the batch if `keep`.
    fn advance(&mut self, rows: usize, keep: bool) -> Result<()> {
        let mut begun = 0;
        loop {
            // Without lists a row is an entry, and a page that the index names ends with a row: nothing ahead must be seen,
            // and perhaps fetched, that nobody asked for.
            let is_taken = self.at == self.ahead.rep.len();
            let is_page_end = is_taken && self.page.rows_left == 0 && self.page_rows_left == Some(0);
            if begun == rows && (self.leaf.rep_max == 0 || rows == 0 || is_page_end) {
                return Ok(());
            }
            if is_taken && !self.fill()? {
                return if begun == rows { Ok(()) } else { Err(self.missing(rows - begun)) };
            }
            let ahead = self.ahead.rep.get(self.at..).unwrap_or_default();
            if self.is_at_start && ahead.first().is_some_and(|&rep| rep > 0) {
                let e = Error::corrupt("the first repetition level of the chunk is not 0");
                return Err(self.at_page(e));
            }
            self.is_at_start = false;
            let begun_before = begun;
            let mut count = ahead.len();
            if self.leaf.rep_max == 0 {
                count = count.min(rows - begun);
                begun += count;
            } else {
                let (taken, rows_begun) = entries_of(ahead, rows - begun);
                count = taken;
                begun += rows_begun;
            }
            let is_row_end = count < ahead.len();
            self.take(count, keep).map_err(|e| self.at_page(e))?;
            if let Some(left) = &mut self.page_rows_left {
                *left = left.saturating_sub(begun - begun_before);
            }
            if is_row_end && begun == rows {
                return Ok(());
            }
        }
    }

    /// Takes the next `count` entries that are decoded.
    fn take(&mut self, count: usize, keep: bool) -> Result<()> {
        let range = self.at..self.at + count;
        let rep = self.ahead.rep.get(range.clone()).unwrap_or_default();
        let def = self.ahead.def.get(range.clone()).unwrap_or_default();
        self.at = range.end;
        let (slot, present_at) = (self.leaf.slot, self.leaf.def_max);
        if !keep {
            let present = def.iter().filter(|&&d| d == present_at).count();
            return self.target.skip(&mut self.page.values, present);
        }
        self.mask.truncate(0);
        let mut present = 0;
        for levels in def.chunks(BLOCK) {
            let is_slot = bits(levels, |d| d >= slot);
            let is_present = bits(levels, |d| d == present_at);
            present += is_present.count_ones() as usize;
            let slots = is_slot.count_ones() as usize;
            self.mask.append_packed_range(0..slots, &compress(is_present, is_slot).to_le_bytes());
        }
        if present == self.mask.len() {
            self.target.read(&mut self.page.values, present)?;
            self.validity.push_present(present);
        } else {
            self.target.read_spaced(&mut self.page.values, present, &self.mask)?;
            self.validity.push_mask(&self.mask);
        }
        let entries = self.taken.def.len() + count;
        self.memory.resize(entries * 2 * size_of::<u16>())?;
        if self.leaf.rep_max > 0 {
            self.taken.rep.extend_from_slice(rep);
        }
        self.taken.def.extend_from_slice(def);
        Ok(())
    }

    /// Decodes entries ahead, opening the next page where one ends; false at the chunk's end.
    fn fill(&mut self) -> Result<bool> {
        if self.page.rows_left == 0 && !self.next_page(&mut 0)? {
            return Ok(false);
        }
        let count = self.page.rows_left.min(AHEAD);
        self.ahead.rep.clear();
        self.ahead.def.clear();
        self.at = 0;
        let levels = &mut self.page.nested;
        let read =
            levels.rep.read(count, &mut self.ahead.rep).and_then(|()| levels.def.read(count, &mut self.ahead.def));
        read.map_err(|e| self.at_page(e))?;
        self.page.rows_left -= count;
        Ok(true)
    }

    /// Opens the next page that `skip` rows do not cover; false at the chunk's end. Only an index tells rows, so without
    /// one `skip` must be 0.
    fn next_page(&mut self, skip: &mut usize) -> Result<bool> {
        let Some(chunk) = &mut self.chunk else { return Ok(false) };
        let Some(raw) = chunk.next_data_page(skip, Wanted::UNKNOWN).map_err(|e| e.in_column(&self.name))? else {
            return Ok(false);
        };
        if let Some(dictionary) = chunk.take_dictionary(&raw) {
            let place = |e: Error| outer_place(e, dictionary.offset).in_column(&self.name);
            let (mut bytes, count) = self.opener.open_dictionary(&dictionary, chunk.codec).map_err(place)?;
            self.target.set_dictionary(&mut bytes, count, false).map_err(place)?;
            self.opener.give_back(&mut bytes)?;
            self.decompressed += page_bytes(&dictionary.header);
        }
        let opened = self.opener.open(&raw, &self.leaf, chunk.codec, usize::MAX, usize::MAX, &mut self.page);
        opened.map_err(|e| self.at_page(e))?;
        self.work += page_bytes(&raw.header);
        self.decompressed += page_bytes(&raw.header);
        self.page_rows_left = raw.rows;
        if raw.rows.is_some() {
            // A page that the index names begins a row.
            self.is_at_start = true;
        }
        self.pages_read += 1;
        Ok(true)
    }

    fn finish(&mut self) -> Result<LeafSlots> {
        let array = self.target.finish(self.validity.finish()).map_err(|e| e.in_column(&self.name))?;
        let slots = match &self.leaf.data_type {
            DataType::Dictionary(..) => arrow_cast::cast(&array, &self.leaf.data_type)
                .map_err(|e| Error::limit(format!("{e}: lower batch_rows")).in_column(&self.name))?,
            _ => array,
        };
        let Entries { rep, def } = std::mem::take(&mut self.taken);
        self.memory.resize(0)?;
        Ok(LeafSlots { rep, def, slots: Some(slots) })
    }

    #[cold]
    fn missing(&self, rows: usize) -> Error {
        Error::corrupt(format!("the chunk ends, {} rows are missing", rows + self.skip)).in_column(&self.name)
    }

    #[cold]
    fn at_page(&self, e: Error) -> Error {
        outer_place(e, self.page.offset).in_page(self.page.ordinal).in_column(&self.name)
    }
}

/// The entries at the start of `levels` (repetition levels) that belong to `rows` rows, those of the row before them among
/// these; and how many rows they begin.
fn entries_of(levels: &[u16], rows: usize) -> (usize, usize) {
    let (mut taken, mut begun) = (0, 0);
    for block in levels.chunks(BLOCK) {
        let begins = bits(block, |rep| rep == 0);
        let count = begins.count_ones() as usize;
        if begun + count > rows {
            let end = select(begins, (rows - begun) as u32).unwrap_or(0);
            return (taken + end, rows);
        }
        (taken, begun) = (taken + block.len(), begun + count);
    }
    (taken, begun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_by_rows() {
        for (every, count) in [(1, 200), (2, 200), (3, 64), (70, 300), (5, 1)] {
            let levels: Vec<u16> = (0..count).map(|i| u16::from(i % every != 0)).collect();
            for rows in 0..count {
                let begins: Vec<usize> = (0..count).filter(|i| i % every == 0).collect();
                let want = match begins.get(rows) {
                    Some(&next) => (next, rows),
                    None => (count, begins.len()),
                };
                assert_eq!(entries_of(&levels, rows), want, "{rows} rows of {count} entries, one begins every {every}");
            }
        }
        assert_eq!(entries_of(&[1, 1, 0, 1], 0), (2, 0), "the rest of the row before");
    }
}
