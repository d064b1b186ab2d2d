//! A file checked whole: every page, and whatever the metadata says of them.
//!
//! | checked | against |
//! |---|---|
//! | where chunks lie | the file's length, the footer, each other |
//! | pages | their checksums; what decodes; the chunk's counts and sizes; the offset index |
//! | values | statistics of chunk and page, the column index, the Bloom filter, the sorting columns |
//! | rows | the row group's and the footer's counts |
//!
//! A scan trusts what it cannot check without reading more than it needs: bounds that lie, for one, make it skip rows that
//! match. Here nothing is trusted, and a fault does not end the work: what can be read besides it is.

mod chunk;
mod order;
mod values;

use std::ops::Range;

use super::file::{FileParts, FileReader};
use crate::error::{Error, Result};
use crate::parquet::arrow::Node;
use crate::parquet::format::footer::{self, MAGIC, MAGIC_ENCRYPTED, TAIL_BYTES};
use crate::parquet::format::place;

/// What a fault does to readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// Nothing is known to be wrong, but it could not be checked: the budget is too small, or a key is missing.
    Unchecked,
    /// A count or size is wrong that no reader needs to find rows.
    Counts,
    /// Bounds, indexes or filters are wrong: a scan with a condition may miss rows.
    Pruning,
    /// Rows cannot be read, or come out wrong.
    Rows,
}

/// One fault.
#[derive(Debug)]
pub struct Finding {
    /// What it does.
    pub harm: Harm,
    /// The row group that it is in.
    pub row_group: Option<usize>,
    /// The leaf column that it is in.
    pub column: Option<usize>,
    /// What is wrong, and where: file, column, page, byte.
    pub error: Error,
}

/// What became of a row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// Its rows, counted in the file.
    pub rows: Range<u64>,
    /// Those of them that cannot be read in all columns, in order.
    pub broken: Vec<Range<u64>>,
}

/// What [`FileReader::verify`] found.
#[derive(Debug, Default)]
pub struct Verification {
    /// All faults, in the order of the file.
    pub findings: Vec<Finding>,
    /// One a row group.
    pub groups: Vec<GroupState>,
    /// Pages that were read.
    pub pages: u64,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// The rows, counted in the file, that can be read in all columns.
    pub fn safe_rows(&self) -> Vec<Range<u64>> {
        let mut safe: Vec<Range<u64>> = Vec::new();
        for group in &self.groups {
            let mut at = group.rows.start;
            let ends = group.broken.iter().cloned().chain(std::iter::once(group.rows.end..group.rows.end));
            for broken in ends {
                match safe.last_mut() {
                    _ if broken.start <= at => {}
                    Some(last) if last.end == at => last.end = broken.start,
                    _ => safe.push(at..broken.start),
                }
                at = at.max(broken.end);
            }
        }
        safe
    }

    /// Row groups whose rows can all be read.
    pub fn whole_groups(&self) -> Vec<usize> {
        let whole = self.groups.iter().enumerate().filter(|(_, group)| group.broken.is_empty());
        whole.map(|(number, _)| number).collect()
    }

    /// Whether what the metadata of a chunk says beside its pages (bounds, indexes, filter) can be relied on.
    pub fn can_prune(&self, row_group: usize, column: usize) -> bool {
        let is_here = |f: &&Finding| f.row_group == Some(row_group) && f.column.is_none_or(|c| c == column);
        !self.findings.iter().filter(is_here).any(|f| f.harm == Harm::Pruning)
    }

    /// The harm of an error that ended the reading of rows.
    fn harm(e: &Error) -> Harm {
        if matches!(e, Error::Corrupt(_)) { Harm::Rows } else { Harm::Unchecked }
    }

    fn add(&mut self, harm: Harm, row_group: Option<usize>, column: Option<usize>, error: Error) {
        self.findings.push(Finding { harm, row_group, column, error });
    }

    /// Marks rows of the group as broken; all of them without `rows`, which count from the group's first.
    fn break_rows(&mut self, group: usize, rows: Option<Range<u64>>) {
        let Some(state) = self.groups.get_mut(group) else { return };
        let base = state.rows.start;
        let within = |at: u64| base.saturating_add(at).min(state.rows.end);
        let broken = rows.map_or(state.rows.clone(), |rows| within(rows.start)..within(rows.end));
        state.broken.push(broken);
        state.broken.sort_by_key(|range| range.start);
        let mut merged: Vec<Range<u64>> = Vec::with_capacity(state.broken.len());
        for range in state.broken.drain(..) {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        state.broken = merged;
    }
}

impl FileReader {
    /// Reads and checks all of the file. Faults are findings, not errors; columns that this crate cannot read are checked
    /// as far as their pages' checksums and counts go.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use hypostyle::parquet::read::{FileReader, ReaderOptions};
    /// # use hypostyle::storage::Input;
    /// # fn example(input: Arc<dyn Input>) -> hypostyle::Result<()> {
    /// let found = FileReader::open(input, ReaderOptions::default())?.verify();
    /// for finding in &found.findings {
    ///     println!("{}", finding.error);
    /// }
    /// println!("rows that can be read: {:?}", found.safe_rows());
    /// # Ok(())
    /// # }
    /// ```
    pub fn verify(&self) -> Verification {
        let file = &*self.parts;
        let mut found = Verification::default();
        let mut row = 0u64;
        for group in &file.footer.groups {
            // Opening has checked the counts and their sum.
            let end = row.saturating_add(u64::try_from(group.num_rows).unwrap_or(0));
            found.groups.push(GroupState { rows: row..end, broken: Vec::new() });
            row = end;
        }
        let told = file.footer.num_rows;
        if u64::try_from(told) != Ok(row) {
            let error = Error::corrupt(format!("the footer tells of {told} rows, its row groups of {row}"));
            found.add(Harm::Counts, None, None, error);
        }
        if let Err(e) = magic(file) {
            found.add(Harm::Counts, None, None, e);
        }
        places(file, &mut found);
        for group in 0..file.footer.groups.len() {
            for (number, field) in (0..file.schema.fields()).filter_map(|number| Some((number, file.field(number)?))) {
                check_field(file, group, number, &field.node, &mut found);
            }
            if let Err(e) = order::check(file, group) {
                found.add(Harm::Pruning, Some(group), None, e);
            }
        }
        for finding in &mut found.findings {
            let error = std::mem::replace(&mut finding.error, Error::corrupt(""));
            finding.error = error.in_file(self.name());
        }
        found
    }
}

fn magic(file: &FileParts) -> Result<()> {
    let head = file.input.read(0..file.input.bytes().min(4))?;
    if *head == MAGIC || *head == MAGIC_ENCRYPTED {
        return Ok(());
    }
    Err(Error::corrupt("the file does not begin with PAR1").at_byte(0))
}

/// Chunks that reach into the footer, or lie on each other.
fn places(file: &FileParts, found: &mut Verification) {
    let bytes = file.input.bytes();
    let tail = file.input.read(bytes.saturating_sub(TAIL_BYTES)..bytes).ok();
    let located = tail.and_then(|tail| footer::locate(*tail.last_chunk()?, bytes).ok());
    let Some((footer, _)) = located else { return };
    let mut ranges = Vec::new();
    for (number, group) in file.footer.groups.iter().enumerate() {
        for column in 0..group.columns {
            // One that cannot be opened is found where it is read.
            let Ok((meta, _)) = file.open_chunk(number, column) else { continue };
            let Ok(range) = place::byte_range(&(&meta).into(), bytes) else { continue };
            // Of a chunk without values, some writers tell of a place that nothing is at.
            if !range.is_empty() && meta.num_values > 0 {
                ranges.push((range, number, column));
            }
        }
    }
    ranges.sort_by_key(|(range, ..)| (range.start, range.end));
    let mut end = MAGIC.len() as u64;
    for (range, group, column) in ranges {
        let wrong = match range {
            _ if range.end > footer.start => Some("reaches into the footer"),
            _ if range.start < end => Some("lies on another, or on the file's first bytes"),
            _ => None,
        };
        if let Some(wrong) = wrong {
            let name = file.leaf(column).map(|leaf| leaf.name()).unwrap_or_default();
            let message = format!("the column chunk of {} bytes {wrong}", range.end - range.start);
            let error = Error::corrupt(message).at_byte(range.start).in_column(name);
            found.add(Harm::Counts, Some(group), Some(column), error);
        }
        end = end.max(range.end);
    }
}

/// Checks the chunks of a top-level field, and then their values.
fn check_field(file: &FileParts, group: usize, field: usize, node: &Node, found: &mut Verification) {
    let mut leaves = Vec::new();
    node.leaves(&mut |_, number| leaves.push(number));
    let mut is_whole = true;
    let mut pages = Vec::new();
    for &leaf in &leaves {
        let walk = chunk::walk(file, group, leaf, found);
        found.pages += walk.pages.len() as u64;
        is_whole &= walk.is_whole;
        pages = walk.pages;
    }
    // Nothing is decoded behind a page that could not be found, nor below lists where one is broken.
    if is_whole {
        values::check(file, group, field, node, &leaves, &pages, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
    fn safe_rows_are_what_is_left() {
        let group = |rows, broken| GroupState { rows, broken };
        let mut found = Verification {
            groups: vec![
                group(0..100, vec![]),
                group(100..200, vec![]),
                group(200..300, vec![]),
                group(300..300, vec![]),
            ],
            ..Verification::default()
        };
        assert_eq!(found.safe_rows(), [0..300]);
        found.break_rows(1, Some(20..40));
        found.break_rows(1, Some(30..50));
        found.break_rows(1, Some(90..1000));
        assert_eq!(found.groups[1].broken, [120..150, 190..200]);
        assert_eq!(found.safe_rows(), [0..120, 150..190, 200..300]);
        assert_eq!(found.whole_groups(), [0, 2, 3]);
        found.break_rows(0, None);
        assert_eq!(found.safe_rows(), [100..120, 150..190, 200..300]);
    }
}
