//! A window: the rows that are judged at a time, and what is read of them.
//!
//! Rows of a window are counted from 0, whatever their places in the row group. Those that may still match are `alive`;
//! each column is read for them when its turn comes, together with rows between them where passing these over would take
//! longer than decoding them:
//!
//! ```text
//! alive      0 0 1 1 0 1 0 0 0 0 0 0 0 0 0 0 1 0 1
//! runs           |-----|                     |---|      read; what is not alive is filtered out afterwards
//! ```

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_select::filter::{FilterBuilder, FilterPredicate};

use crate::error::Result;
use crate::parquet::read::column::{Column, Judge, Kept};
use crate::parquet::read::evolve::ColumnReader;
use crate::parquet::read::selection::Selection;

/// Where this part of a window's rows is alive, or less, they are taken by themselves where that can be done.
const PICKED_PART: usize = 16;

/// The rows of a window that a column is read for: ranges in ascending order, none touching the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runs {
    runs: Vec<Range<usize>>,
    rows: usize,
}

impl Runs {
    pub(super) fn all(rows: usize) -> Runs {
        Runs { runs: std::iter::once(0..rows).filter(|r| !r.is_empty()).collect(), rows }
    }

    /// The rows that are set, with gaps between them that are shorter than `gap` rows; if that is more than 1, gaps inside a
    /// byte of bits are among them whatever their length.
    pub(super) fn around(alive: &BooleanBuffer, gap: usize) -> Runs {
        if gap <= 1 {
            let runs = alive.set_slices().map(|(start, end)| start..end).collect();
            return Runs { runs, rows: alive.count_set_bits() };
        }
        let mut runs: Vec<Range<usize>> = Vec::new();
        // A part of so many rows with none set is a gap.
        let mut add = |from: usize, bits: u64| {
            if bits == 0 {
                return;
            }
            let first = from + bits.trailing_zeros() as usize;
            let end = from + 64 - bits.leading_zeros() as usize;
            match runs.last_mut() {
                Some(last) if first - last.end < gap => last.end = end,
                _ => runs.push(first..end),
            }
        };
        for (at, word) in alive.bit_chunks().iter_padded().enumerate() {
            if gap >= 64 {
                add(at * 64, word);
            } else {
                for byte in 0..8 {
                    add(at * 64, word & 0xff << (byte * 8));
                }
            }
        }
        let rows = runs.iter().map(ExactSizeIterator::len).sum();
        Runs { runs, rows }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn ranges(&self) -> &[Range<usize>] {
        &self.runs
    }

    /// Bits of the window's rows → those of these rows.
    pub(super) fn narrow(&self, bits: &BooleanBuffer) -> BooleanBuffer {
        if self.rows == bits.len() {
            return bits.clone();
        }
        let mut out = BooleanBufferBuilder::new(self.rows);
        self.runs.iter().for_each(|run| out.append_buffer(&bits.slice(run.start, run.len())));
        out.finish()
    }

    /// Bits of these rows → bits of the window's `rows` rows; of others, none is set.
    pub(super) fn widen(&self, bits: &BooleanBuffer, rows: usize) -> BooleanBuffer {
        if self.rows == rows {
            return bits.clone();
        }
        let mut out = BooleanBufferBuilder::new(rows);
        let mut at = 0;
        for run in &self.runs {
            out.append_n(run.start - out.len(), false);
            out.append_buffer(&bits.slice(at, run.len()));
            at += run.len();
        }
        out.append_n(rows - out.len(), false);
        out.finish()
    }
}

/// What is read of a column in the window.
#[derive(Debug)]
pub(super) enum Slot {
    Unread,
    /// For these rows.
    Read(ArrayRef, Arc<Runs>),
    /// These rows were judged; their values can be had.
    Judged(Kept, Runs),
    /// These rows were judged, nobody wants their values.
    Done,
}

#[derive(Debug)]
pub(super) struct Window {
    /// Its rows in the row group.
    selection: Selection,
    /// Columns stand before this row of the group, and go to that one.
    start: usize,
    end: usize,
    rows: usize,
    pub alive: BooleanBuffer,
    pub alive_rows: usize,
    /// One a column.
    slots: Vec<Slot>,
    /// Those that are alive, by themselves, since a column was read for them; and their places in the row group.
    picked: Option<(Arc<Runs>, Selection)>,
    /// What makes of these rows those that are alive at the end.
    filters: Vec<(Arc<Runs>, FilterPredicate)>,
}

impl Window {
    /// The rows of `selection`, of columns that stand before row `start`, of which there are `columns`, and then go to row
    /// `end`.
    pub(super) fn new(selection: Selection, start: usize, end: usize, columns: usize) -> Window {
        let rows = selection.rows();
        let alive = BooleanBuffer::new_set(rows);
        let slots = std::iter::repeat_with(|| Slot::Unread).take(columns).collect();
        Window { selection, start, end, rows, alive, alive_rows: rows, slots, picked: None, filters: Vec::new() }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The row of the group at which columns stand after it.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    pub(super) fn is_unread(&self, column: usize) -> bool {
        matches!(self.slots.get(column), Some(Slot::Unread))
    }

    /// Reads a column for the rows that are alive, if it is not yet.
    pub(super) fn read(&mut self, column: usize, decoder: &mut ColumnReader) -> Result<()> {
        let few = self.are_few_alive();
        let is_picked = decoder.as_flat().is_some_and(|flat| {
            flat.expect(few);
            few && flat.picks()
        });
        let read = match self.slots.get_mut(column) {
            Some(Slot::Unread) if is_picked => {
                let (start, end) = (self.start, self.end);
                let (runs, rows) = self.picked();
                if let Some(flat) = decoder.as_flat() {
                    flat.pick(start, rows.ranges(), end)?;
                }
                let array = decoder.finish()?;
                decoder.release()?;
                (array, Arc::clone(runs))
            }
            Some(Slot::Unread) => {
                let runs = self.runs(decoder.gap_rows());
                match decoder.as_flat().filter(|_| few) {
                    Some(flat) => {
                        flat.read_ranges(self.start, rows_of(&self.selection, runs.ranges()).ranges(), self.end)?;
                    }
                    None => self.each_range(ColumnReader::skip, &runs, decoder, ColumnReader::read)?,
                }
                let array = decoder.finish()?;
                decoder.release()?;
                (array, Arc::new(runs))
            }
            Some(Slot::Judged(kept, runs)) => {
                let Some(flat) = decoder.as_flat() else { return Ok(()) };
                let array = flat.read_judged(std::mem::take(kept), &runs.narrow(&self.alive))?;
                (array, Arc::clone(&self.picked().0))
            }
            Some(Slot::Read(..) | Slot::Done) | None => return Ok(()),
        };
        if let Some(slot) = self.slots.get_mut(column) {
            *slot = Slot::Read(read.0, read.1);
        }
        Ok(())
    }

    /// Whether rows are better taken one by one than read with those between them, of which most are thrown away.
    fn are_few_alive(&self) -> bool {
        self.alive_rows <= self.rows / PICKED_PART
    }

    /// Judges a column that is not read yet for the rows that are alive; those stay for which the answer is true. With
    /// `keep`, it can be read afterwards.
    pub(super) fn judge(&mut self, column: usize, decoder: &mut Column, judge: &mut Judge, keep: bool) -> Result<()> {
        decoder.expect(self.are_few_alive());
        let runs = self.runs(decoder.gap_rows());
        let mut answers = BooleanBufferBuilder::new(runs.rows());
        let mut kept = keep.then(Kept::default);
        decoder.begin_judging()?;
        self.each_range(Column::skip, &runs, decoder, |decoder, rows| {
            decoder.judge(rows, judge, kept.as_mut(), &mut answers)
        })?;
        decoder.release()?;
        self.keep(&runs, &answers.finish());
        if let Some(slot) = self.slots.get_mut(column) {
            *slot = kept.map_or(Slot::Done, |kept| Slot::Judged(kept, runs));
        }
        Ok(())
    }

    /// Passes over all rows of a column that was not read.
    pub(super) fn pass_over(&self, column: usize, decoder: &mut ColumnReader) {
        if self.is_unread(column) {
            decoder.skip(self.end - self.start);
        }
    }

    /// What a column has been read for, and for which rows.
    pub(super) fn read_of(&self, column: usize) -> Option<(&ArrayRef, &Runs)> {
        match self.slots.get(column)? {
            Slot::Read(array, runs) => Some((array, runs)),
            Slot::Unread | Slot::Judged(..) | Slot::Done => None,
        }
    }

    /// Only those of the rows that are alive stay, for which `answers` are true: of the rows of `runs`.
    pub(super) fn keep(&mut self, runs: &Runs, answers: &BooleanBuffer) {
        let wide = runs.widen(answers, self.rows);
        self.set_alive(if self.alive_rows == self.rows { wide } else { &self.alive & &wide });
    }

    /// The same with an answer for each row that is alive.
    pub(super) fn keep_alive(&mut self, answers: &BooleanBuffer) {
        let mut alive = BooleanBufferBuilder::new(self.rows);
        alive.append_n(self.rows, false);
        for (at, _) in self.alive.set_indices().zip(answers).filter(|(_, answer)| *answer) {
            alive.set_bit(at, true);
        }
        self.set_alive(alive.finish());
    }

    /// Of the rows that are alive, those after the first `skip` stay, at most `left` of them.
    pub(super) fn cut(&mut self, skip: usize, left: usize) {
        if skip == 0 && left >= self.alive_rows {
            return;
        }
        let mut indices = self.alive.set_indices().skip(skip);
        let first = indices.next().filter(|_| left > 0).unwrap_or(self.rows);
        let end = if left == 0 { self.rows } else { indices.nth(left - 1).unwrap_or(self.rows) };
        let mut alive = BooleanBufferBuilder::new(self.rows);
        alive.append_n(first, false);
        alive.append_buffer(&self.alive.slice(first, end.saturating_sub(first)));
        alive.append_n(self.rows - alive.len(), false);
        self.set_alive(alive.finish());
    }

    /// A column for the rows that are alive at the end, once it has been read.
    pub(super) fn take_last(&mut self, column: usize) -> Result<Option<ArrayRef>> {
        let slot = self.slots.get_mut(column).map(|slot| std::mem::replace(slot, Slot::Done));
        let Some(Slot::Read(array, runs)) = slot else { return Ok(None) };
        if runs.rows() == self.alive_rows {
            return Ok(Some(array));
        }
        // Most columns are read for the same rows.
        if let Some((_, filter)) = self.filters.iter().find(|(of, _)| *of == runs) {
            return Ok(Some(filter.filter(&array)?));
        }
        let mask = BooleanArray::new(runs.narrow(&self.alive), None);
        let filter = FilterBuilder::new(&mask).optimize().build();
        let array = filter.filter(&array)?;
        self.filters.push((runs, filter));
        Ok(Some(array))
    }

    /// A column for the rows that are alive, once it has been read.
    pub(super) fn take(&mut self, column: usize) -> Result<Option<ArrayRef>> {
        let Some(Slot::Read(array, runs)) = self.slots.get(column) else { return Ok(None) };
        if runs.rows() == self.alive_rows {
            return Ok(Some(Arc::clone(array)));
        }
        let mask = BooleanArray::new(runs.narrow(&self.alive), None);
        let array = FilterBuilder::new(&mask).optimize().build().filter(array)?;
        let runs = Arc::clone(&self.picked().0);
        if let Some(slot) = self.slots.get_mut(column) {
            *slot = Slot::Read(Arc::clone(&array), runs);
        }
        Ok(Some(array))
    }

    /// The places in the row group of the rows that are alive.
    pub(super) fn alive_in_group(&mut self) -> Selection {
        match self.alive_rows == self.rows {
            true => self.selection.clone(),
            false => self.picked().1.clone(),
        }
    }

    /// The rows that are alive, and their places in the row group.
    fn picked(&mut self) -> &(Arc<Runs>, Selection) {
        self.picked.get_or_insert_with(|| {
            let runs = Runs::around(&self.alive, 1);
            let rows = rows_of(&self.selection, runs.ranges());
            (Arc::new(runs), rows)
        })
    }

    fn set_alive(&mut self, alive: BooleanBuffer) {
        self.picked = None;
        self.alive_rows = alive.count_set_bits();
        self.alive = alive;
    }

    /// The rows to read a column for.
    fn runs(&self, gap_rows: usize) -> Runs {
        match self.alive_rows == self.rows {
            true => Runs::all(self.rows),
            false => Runs::around(&self.alive, gap_rows),
        }
    }

    /// Gives the decoder, standing at the start, each run of rows; it stands at the end afterwards.
    fn each_range<D>(
        &self,
        mut skip: impl FnMut(&mut D, usize),
        runs: &Runs,
        decoder: &mut D,
        mut read: impl FnMut(&mut D, usize) -> Result<()>,
    ) -> Result<()> {
        let picked;
        let ranges = match runs.rows() == self.rows {
            true => self.selection.ranges(),
            false => {
                picked = rows_of(&self.selection, runs.ranges());
                picked.ranges()
            }
        };
        let mut at = self.start;
        for range in ranges {
            skip(decoder, range.start - at);
            read(decoder, range.len())?;
            at = range.end;
        }
        skip(decoder, self.end - at);
        Ok(())
    }
}

/// The rows of `window` at `runs`, which count its rows from 0.
fn rows_of(window: &Selection, runs: &[Range<usize>]) -> Selection {
    let mut rows = Selection::default();
    let mut ranges = window.ranges().iter();
    let mut range = ranges.next().cloned().unwrap_or_default();
    // What the window's rows before `range` are.
    let mut before = 0;
    for run in runs {
        let mut at = run.start;
        while at < run.end {
            while before + range.len() <= at {
                before += range.len();
                match ranges.next() {
                    Some(next) => range = next.clone(),
                    None => return rows,
                }
            }
            let first = range.start + (at - before);
            let count = (run.end - at).min(range.end - first);
            rows.push(first..first + count);
            at += count;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_of_a_window_are_rows_of_the_group() {
        let mut window = Selection::default();
        window.push(10..15);
        window.push(20..22);
        window.push(30..40);
        let rows = rows_of(&window, &[0..1, 3..8, 16..17]);
        assert_eq!(rows.ranges(), [10..11, 13..15, 20..22, 30..31, 39..40]);
        assert!(rows_of(&window, std::slice::from_ref(&(17..20))).is_empty());
    }

    #[test]
    fn a_limit_keeps_the_first_matches_after_those_passed_over() {
        let kept = |skip, left| {
            let mut window = Window::new(Selection::all(5), 0, 5, 0);
            window.keep(&Runs::all(5), &BooleanBuffer::from(vec![false, true, true, false, true]));
            window.cut(skip, left);
            (window.alive.set_indices().collect::<Vec<_>>(), window.alive_rows)
        };
        assert_eq!(kept(0, 9), (vec![1, 2, 4], 3));
        assert_eq!(kept(0, 2), (vec![1, 2], 2));
        assert_eq!(kept(1, 1), (vec![2], 1));
        assert_eq!(kept(2, 9), (vec![4], 1));
        assert_eq!(kept(3, 9), (vec![], 0));
        assert_eq!(kept(0, 0), (vec![], 0));
    }

    proptest! {
        #[test]
        fn runs_hold_what_is_set_and_no_long_gap(parts in prop::collection::vec((any::<bool>(), 1usize..100), 0..20)) {
            let bits: Vec<bool> = parts.iter().flat_map(|&(b, n)| std::iter::repeat_n(b, n)).collect();
            let alive = BooleanBuffer::from(bits.clone());
            for gap in [1, 8, 20, 64, 128] {
                let runs = Runs::around(&alive, gap);
                prop_assert_eq!(runs.rows(), runs.ranges().iter().map(ExactSizeIterator::len).sum::<usize>());
                for run in runs.ranges() {
                    prop_assert!(bits[run.start] && bits[run.end - 1]);
                    let longest = bits[run.clone()].split(|b| *b).map(<[bool]>::len).max().unwrap_or(0);
                    prop_assert!(longest < gap.max(7), "a gap of {longest} with {gap}");
                    prop_assert!(gap > 1 || longest == 0);
                }
                for pair in runs.ranges().windows(2) {
                    prop_assert!(pair[1].start - pair[0].end >= gap);
                }
                let narrow = runs.narrow(&alive);
                prop_assert_eq!(narrow.count_set_bits(), alive.count_set_bits());
                prop_assert_eq!(runs.widen(&narrow, bits.len()), alive.clone());
            }
        }
    }
}
