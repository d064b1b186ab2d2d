//! Rows here and there of a column: what lies between them is passed over without being made into values, and without starting
//! anew for each of them.

use std::ops::Range;

use arrow_buffer::bit_chunk_iterator::UnalignedBitChunk;
use arrow_buffer::builder::BooleanBufferBuilder;

use super::Column;
use crate::error::Result;
use crate::parquet::read::page::Coding;
use crate::parquet::read::selection::Wanted;

/// Rows that are gone over at a time: what is noted of them (a bit each) is in no budget, and a page can claim to have any number.
const SPAN_ROWS_MAX: usize = 1 << 16;

/// Rows of a page to be picked, and what they hold.
#[derive(Debug, Default)]
pub(super) struct Picks {
    /// Counted from where the page stands.
    rows: Vec<Range<usize>>,
    /// Of those that are there, the places among the values.
    values: Vec<Range<usize>>,
}

impl Column {
    /// Whether [`pick`](Self::pick) takes rows here and there faster than reading runs that also hold the rows between them.
    pub(in crate::parquet::read) fn picks(&self) -> bool {
        self.target.picks()
    }

    /// Appends the rows of `ranges` to the batch, which ascend and of which none is empty. The column stands at row `at` of the
    /// row group, and then at row `end`.
    pub(in crate::parquet::read) fn pick(&mut self, mut at: usize, ranges: &[Range<usize>], end: usize) -> Result<()> {
        let mut picks = std::mem::take(&mut self.picks);
        let mut next = 0;
        while let Some(first) = ranges.get(next) {
            let start = first.start.max(at);
            self.skip += start - at;
            at = start;
            if self.page.rows_left == 0 || self.skip >= self.page.rows_left {
                self.next_page(first.end - start, start, Wanted { ranges, end })?;
            }
            if self.skip >= SPAN_ROWS_MAX {
                self.skip_in_page().map_err(|e| self.at_page(e))?;
            }
            let page_start = at - self.skip;
            let span_end = page_start + self.page.rows_left.min(SPAN_ROWS_MAX);
            picks.rows.clear();
            while let Some(range) = ranges.get(next)
                && range.start < span_end
            {
                picks.rows.push(range.start.max(at) - page_start..range.end.min(span_end) - page_start);
                if range.end > span_end {
                    break;
                }
                next += 1;
            }
            let span = picks.rows.last().map_or(0, |last| last.end);
            self.pick_from_page(&mut picks, span).map_err(|e| self.at_page(e))?;
            at = page_start + span;
        }
        self.skip += end - at;
        self.picks = picks;
        Ok(())
    }

    /// Appends rows of the next `span` of the open page, and passes over the others.
    fn pick_from_page(&mut self, picks: &mut Picks, span: usize) -> Result<()> {
        let count: usize = picks.rows.iter().map(ExactSizeIterator::len).sum();
        self.work += count as u64;
        if matches!(self.page.values.coding, Coding::Prefixes) {
            return self.read_each(&picks.rows);
        }
        self.skip = 0;
        let page = &mut self.page;
        let present = page.levels.read(span, &mut self.mask)?;
        if present == span {
            self.target.pick(&mut page.values, &picks.rows, span, None)?;
            self.validity.push_present(count);
        } else {
            let mut mask = BooleanBufferBuilder::new(count);
            picks.find_values(&self.mask, &mut mask);
            self.target.pick(&mut page.values, &picks.values, present, Some(&mask))?;
            self.validity.push_mask(&mask);
        }
        page.rows_left -= span;
        Ok(())
    }

    /// The same, one range after the other.
    fn read_each(&mut self, ranges: &[Range<usize>]) -> Result<()> {
        self.skip = 0;
        let mut at = 0;
        for range in ranges {
            self.skip += range.start - at;
            let mut left = range.len();
            while left > 0 {
                left -= self.read_from_page(left)?;
            }
            at = range.end;
        }
        Ok(())
    }
}

impl Picks {
    /// Finds the places of the values among the rows that are set in `present`; which of the rows have one, in `mask`.
    fn find_values(&mut self, present: &BooleanBufferBuilder, mask: &mut BooleanBufferBuilder) {
        let bits = present.as_slice();
        let ones = |rows: Range<usize>| UnalignedBitChunk::new(bits, rows.start, rows.len()).count_ones();
        self.values.clear();
        let (mut row, mut value) = (0, 0);
        for range in &self.rows {
            value += ones(row..range.start);
            let count = ones(range.clone());
            if count > 0 {
                self.values.push(value..value + count);
            }
            mask.append_packed_range(range.clone(), bits);
            (row, value) = (range.end, value + count);
        }
    }
}
