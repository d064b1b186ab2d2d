//! Which rows of a row group to read: ranges in ascending order, none touching the next.

use std::ops::Range;

/// Rows of one row group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selection {
    ranges: Vec<Range<usize>>,
}

impl Selection {
    /// All of `rows` rows.
    pub(super) fn all(rows: usize) -> Selection {
        let mut all = Selection::default();
        all.push(0..rows);
        all
    }

    /// Adds rows behind those that are there.
    pub(super) fn push(&mut self, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if last.end >= rows.start => last.end = last.end.max(rows.end),
            _ => self.ranges.push(rows),
        }
    }

    /// How many rows.
    pub(super) fn rows(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(super) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Whether any row of `rows` is selected.
    pub(super) fn touches(&self, rows: &Range<usize>) -> bool {
        let at = self.ranges.partition_point(|r| r.end <= rows.start);
        self.ranges.get(at).is_some_and(|r| r.start < rows.end)
    }

    /// Whether `row` is selected, and the first row after it of which that is not so.
    pub(super) fn stretch(&self, row: usize) -> (bool, usize) {
        let at = self.ranges.partition_point(|r| r.end <= row);
        match self.ranges.get(at) {
            Some(range) if range.start <= row => (true, range.end),
            Some(range) => (false, range.start),
            None => (false, usize::MAX),
        }
    }

    /// The rows of it that lie in `rows`.
    pub(super) fn within(&self, rows: &Range<usize>) -> Selection {
        let mut inside = Selection::default();
        for range in self.ranges.iter().skip(self.ranges.partition_point(|r| r.end <= rows.start)) {
            if range.start >= rows.end {
                break;
            }
            inside.push(range.start.max(rows.start)..range.end.min(rows.end));
        }
        inside
    }

    /// Takes the first `rows` rows away.
    pub(super) fn split_front(&mut self, rows: usize) -> Selection {
        self.split_front_before(rows, usize::MAX)
    }

    /// Takes the first `rows` rows away, as far as they lie before row `before`.
    pub(super) fn split_front_before(&mut self, rows: usize, before: usize) -> Selection {
        let mut front = Selection::default();
        let mut left = rows;
        let mut whole = 0;
        for range in &mut self.ranges {
            let take = left.min(before.saturating_sub(range.start));
            if range.len() > take {
                if take > 0 {
                    front.push(range.start..range.start + take);
                    range.start += take;
                }
                break;
            }
            left -= range.len();
            front.push(range.clone());
            whole += 1;
        }
        self.ranges.drain(..whole);
        front
    }
}

/// Which rows of a row group are read next, of those that no window has passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// In ascending order.
    pub ranges: &'a [Range<usize>],
    /// Of rows from this one on, nothing is known.
    pub end: usize,
}

impl Wanted<'_> {
    /// Nothing is known of any row.
    pub(super) const UNKNOWN: Wanted<'static> = Wanted { ranges: &[], end: 0 };

    /// Whether some of `rows` may be read.
    pub(super) fn touches(&self, rows: &Range<usize>) -> bool {
        let at = self.ranges.partition_point(|r| r.end <= rows.start);
        rows.end > self.end || self.ranges.get(at).is_some_and(|r| r.start < rows.end)
    }

    /// How many of the first of `rows` hold all that may be read of them.
    pub(super) fn first_of(&self, rows: &Range<usize>) -> usize {
        if rows.end > self.end {
            return rows.len();
        }
        let last = self.ranges.partition_point(|r| r.start < rows.end).checked_sub(1);
        let last = last.and_then(|last| self.ranges.get(last));
        last.map_or(0, |last| last.end.min(rows.end).saturating_sub(rows.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut s = Selection::default();
        s.push(0..3);
        s.push(3..5);
        s.push(7..7);
        s.push(8..10);
        assert_eq!(s.ranges(), [0..5, 8..10]);
        assert_eq!(s.rows(), 7);
        assert!(s.touches(&(4..8)) && s.touches(&(9..20)) && !s.touches(&(5..8)) && !s.touches(&(10..11)));
        assert!(Selection::all(0).is_empty());
    }

    #[test]
    fn rows_that_nobody_wants_are_known_up_to_an_end() {
        let wanted = Wanted { ranges: &[2..5, 8..10], end: 20 };
        assert_eq!(
            [0..2, 0..3, 4..6, 5..8, 9..20, 10..20].map(|r| wanted.touches(&r)),
            [false, true, true, false, true, false]
        );
        assert_eq!([0..20, 4..9, 0..8, 5..8, 0..2, 10..20].map(|r| wanted.first_of(&r)), [10, 5, 5, 0, 0, 0]);
        assert!(wanted.touches(&(15..21)));
        assert_eq!(wanted.first_of(&(0..21)), 21);
        assert_eq!((Wanted::UNKNOWN.touches(&(0..1)), Wanted::UNKNOWN.first_of(&(0..1))), (true, 1));
    }

    #[test]
    fn stretches_are_of_one_kind() {
        let mut s = Selection::default();
        s.push(2..5);
        s.push(8..10);
        assert_eq!(
            [0, 2, 4, 5, 9, 10].map(|row| s.stretch(row)),
            [(false, 2), (true, 5), (true, 5), (false, 8), (true, 10), (false, usize::MAX)]
        );
        assert_eq!(s.within(&(3..9)).ranges(), [3..5, 8..9]);
        assert!(s.within(&(5..8)).is_empty() && s.within(&(10..20)).is_empty());
        assert_eq!(s.split_front_before(9, 9).ranges(), [2..5, 8..9]);
        assert!(s.split_front_before(9, 9).is_empty());
        assert_eq!(s.ranges(), std::slice::from_ref(&(9..10)));
    }

    #[test]
    fn the_front_is_taken_row_by_row() {
        let mut s = Selection::default();
        s.push(0..5);
        s.push(8..10);
        s.push(20..30);
        assert_eq!(s.split_front(6).ranges(), [0..5, 8..9]);
        assert_eq!(s.split_front(1), Selection { ranges: std::iter::once(9..10).collect() });
        assert_eq!(s.rows(), 10);
        assert_eq!(s.split_front(100).ranges().first(), Some(&(20..30)));
        assert!(s.is_empty());
    }
}
