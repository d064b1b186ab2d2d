//! The rows that a column is given, and what levels they have.

use std::ops::Range;

use arrow_buffer::NullBuffer;

use crate::parquet::arrow::shred::LeafEntries;

/// The rows of one strip of one column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rows<'a> {
    /// One entry a row, a value or null.
    Flat {
        rows: usize,
        /// None: none is null.
        nulls: Option<&'a NullBuffer>,
    },
    /// Any number of entries a row.
    Nested(&'a RowLevels<'a>),
}

impl Rows<'_> {
    pub fn len(&self) -> usize {
        match self {
            Rows::Flat { rows, .. } => *rows,
            Rows::Nested(levels) => levels.starts.len() - 1,
        }
    }
}

/// Levels, and where each row begins among them and among the values.
#[derive(Debug)]
pub(super) struct RowLevels<'a> {
    pub rep: Option<&'a [u16]>,
    pub def: Option<&'a [u16]>,
    /// Entries and values before each row, and in all.
    starts: Vec<(usize, usize)>,
}

impl<'a> RowLevels<'a> {
    /// `def_max` is the definition level of an entry with a value.
    pub fn new(entries: &'a LeafEntries, def_max: u16) -> RowLevels<'a> {
        let (rep, def) = (entries.rep.as_deref(), entries.def.as_deref());
        let rows = rep.map_or(entries.entries, |rep| rep.iter().filter(|&&level| level == 0).count());
        let mut starts = vec![(0, 0); rows + 1];
        let (mut row, mut values) = (0, 0);
        for entry in 0..entries.entries {
            // Where an entry continues its row, the next row's start is written over: a branch would not be foretold.
            if let Some(start) = starts.get_mut(row) {
                *start = (entry, values);
            }
            row += usize::from(rep.is_none_or(|r| r.get(entry) == Some(&0)));
            values += usize::from(def.is_none_or(|d| d.get(entry) == Some(&def_max)));
        }
        if let Some(end) = starts.last_mut() {
            *end = (entries.entries, values);
        }
        RowLevels { rep, def, starts }
    }

    /// The entries of these rows.
    pub fn entries(&self, rows: Range<usize>) -> Range<usize> {
        self.start(rows.start).0..self.start(rows.end).0
    }

    /// The values of these rows.
    pub fn values(&self, rows: Range<usize>) -> Range<usize> {
        self.start(rows.start).1..self.start(rows.end).1
    }

    /// How many rows from `at` on have no more than `values` values together.
    pub fn rows_of(&self, at: usize, values: usize) -> usize {
        let most = self.start(at).1.saturating_add(values);
        let later = self.starts.get(at + 1..).unwrap_or_default();
        later.partition_point(|&(_, before)| before <= most)
    }

    fn start(&self, row: usize) -> (usize, usize) {
        self.starts.get(row).or(self.starts.last()).copied().unwrap_or_default()
    }
}

/// Adds to each level's count how often it stands.
pub(super) fn count_levels(levels: &[u16], histogram: &mut [i64]) {
    /// So few are counted one by one, with a vector of levels at a time.
    const FEW: usize = 8;
    if histogram.len() > FEW {
        for &level in levels {
            if let Some(count) = histogram.get_mut(usize::from(level)) {
                *count += 1;
            }
        }
        return;
    }
    // A count of so many has no more bits than a level.
    for levels in levels.chunks(usize::from(u16::MAX)) {
        for (level, count) in (0..).zip(histogram.iter_mut()) {
            *count += i64::from(levels.iter().fold(0u16, |n, &l| n + u16::from(l == level)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::Int32Array;

    #[test]
    fn rows_begin_where_nothing_repeats() {
        // [1, null], null, [], [3]
        let entries = LeafEntries {
            leaf: 0,
            rep: Some(vec![0, 1, 0, 0, 0]),
            def: Some(vec![3, 2, 0, 1, 3]),
            values: Arc::new(Int32Array::from(vec![1, 3])),
            entries: 5,
        };
        let levels = RowLevels::new(&entries, 3);
        assert_eq!(Rows::Nested(&levels).len(), 4);
        assert_eq!((levels.entries(0..1), levels.values(0..1)), (0..2, 0..1));
        assert_eq!((levels.entries(1..4), levels.values(1..4)), (2..5, 1..2));
        assert_eq!(
            (levels.rows_of(0, 0), levels.rows_of(0, 1), levels.rows_of(0, 2), levels.rows_of(3, 0)),
            (0, 3, 4, 0)
        );
    }

    #[test]
    fn each_level_is_counted_however_many_there_are() {
        for levels in [3u16, 8, 9, 40] {
            let mut counts = vec![5; usize::from(levels)];
            let stand: Vec<u16> = (0..200_000u64).map(|i| (i * i % 7919) as u16 % levels).collect();
            count_levels(&stand, &mut counts);
            for (level, count) in (0..).zip(counts) {
                assert_eq!(count, 5 + stand.iter().filter(|&&l| l == level).count() as i64, "{level} of {levels}");
            }
        }
        let mut counts = [0];
        count_levels(&vec![0; 200_000], &mut counts);
        assert_eq!(counts, [200_000]);
    }
}
