//! Which row groups, and which rows inside them, can match at all.
//!
//! Spec: PageIndex.md. Row groups are judged by their chunks' statistics, then stretches of rows between page
//! borders by the page index, where there is one that can be believed; one that cannot is passed over. Bloom filters are
//! asked last.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;

use crate::error::{Error, Result};
use crate::parquet::format::bloom_filter::BloomFilter;
use crate::predicate::{BoundPredicate, Bounds, ColumnBounds, Verdict};

use super::bloom;
use super::bounds::{self, PageBounds};
use super::column_chunk::{self, PageSpan};
use super::evolve::Origin;
use super::file::FileParts;
use super::selection::Selection;

/// A column by name, leaf (if it is in the file) and where its values come from.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub name: String,
    pub leaf: Option<usize>,
    pub origin: Origin,
}

/// What is known of some rows, by the names of the predicate's columns.
struct Known<'a> {
    rows: u64,
    columns: Vec<(&'a str, ColumnBounds)>,
    /// Asked last, where it is asked at all.
    filters: Option<Filters<'a>>,
}

/// The Bloom filters of a row group, each fetched when it is asked first.
struct Filters<'a> {
    file: &'a FileParts,
    group: usize,
    columns: &'a [Named],
    fetched: RefCell<Vec<(usize, Option<BloomFilter>)>>,
    failure: RefCell<Option<Error>>,
}

impl Filters<'_> {
    fn may_contain(&self, name: &str, value: &ArrayRef) -> bool {
        // Of a column that is read as another type than it is stored in, a filter says nothing.
        let Some(leaf) = self.columns.iter().find(|c| c.name == name).and_then(|c| c.leaf) else { return true };
        let mut fetched = self.fetched.borrow_mut();
        if !fetched.iter().any(|(of, _)| *of == leaf) {
            let filter = match bloom::filter(self.file, self.group, leaf) {
                Ok(filter) => filter,
                Err(e) => {
                    if matches!(e, Error::Io(_)) {
                        *self.failure.borrow_mut() = Some(e);
                    }
                    // A filter that cannot be read is as good as none.
                    None
                }
            };
            fetched.push((leaf, filter));
        }
        let filter = fetched.iter().find(|(of, _)| *of == leaf).and_then(|(_, filter)| filter.as_ref());
        match (filter, self.file.leaf(leaf)) {
            (Some(filter), Ok(leaf)) => bloom::may_contain(filter, leaf, value),
            _ => true,
        }
    }
}

impl Bounds for Known<'_> {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn column(&self, name: &str) -> ColumnBounds {
        self.columns.iter().find(|(n, _)| *n == name).map(|(_, b)| b.clone()).unwrap_or_default()
    }

    fn may_contain(&self, name: &str, value: &ArrayRef) -> bool {
        self.filters.as_ref().is_none_or(|filters| filters.may_contain(name, value))
    }
}

/// Judges a row group by its statistics.
pub(super) fn row_group(
    file: &FileParts,
    group: usize,
    columns: &[Named],
    predicate: &BoundPredicate,
) -> Result<Verdict> {
    let rows = file.group_rows(group)?;
    let known = Known { rows: rows as u64, columns: of_group(file, group, rows, columns)?, filters: None };
    Ok(predicate.prune(&known))
}

/// Whether Bloom filters prove that no row of the group matches, with all that statistics say of it. Only for a group
/// that those alone do not decide.
pub(super) fn is_filtered_out(
    file: &FileParts,
    group: usize,
    columns: &[Named],
    predicate: &BoundPredicate,
) -> Result<bool> {
    let rows = file.group_rows(group)?;
    let (fetched, failure) = (RefCell::default(), RefCell::default());
    let filters = Some(Filters { file, group, columns, fetched, failure });
    let known = Known { rows: rows as u64, columns: of_group(file, group, rows, columns)?, filters };
    let verdict = predicate.prune(&known);
    match known.filters.and_then(|filters| filters.failure.into_inner()) {
        Some(e) => Err(e),
        None => Ok(verdict == Verdict::Drop),
    }
}

fn of_group<'a>(
    file: &FileParts,
    group: usize,
    rows: usize,
    columns: &'a [Named],
) -> Result<Vec<(&'a str, ColumnBounds)>> {
    let known = columns.iter().map(|column| {
        let stored = || {
            let Some(number) = column.leaf else { return Ok(ColumnBounds::default()) };
            let leaf = file.leaf(number)?;
            let order = bounds::order(&file.footer, leaf, number);
            // What keeps the chunk from being read is said when it is read.
            Ok(match file.open_chunk(group, number) {
                Ok((meta, _)) => bounds::of_statistics(meta.statistics.as_ref(), leaf, order, rows),
                Err(_) => ColumnBounds::default(),
            })
        };
        Ok((column.name.as_str(), column.origin.bounds(rows as u64, stored)?))
    });
    known.collect()
}

/// One column's pages and their bounds.
struct Indexed {
    spans: Arc<[PageSpan]>,
    bounds: PageBounds,
    origin: Origin,
}

impl Indexed {
    /// What is known of a page's values, as those of the scan's column.
    fn page(&self, page: usize) -> Option<(ColumnBounds, u64)> {
        let rows = self.spans.get(page)?.rows.len() as u64;
        Some((self.origin.bounds(rows, || Ok(self.bounds.page(page))).ok()?, rows))
    }
}

/// The rows of the group that can match, by the page index.
pub(super) fn pages(
    file: &FileParts,
    group: usize,
    columns: &[Named],
    predicate: &BoundPredicate,
) -> Result<Selection> {
    let rows = file.group_rows(group)?;
    let mut indexed = Vec::with_capacity(columns.len());
    for column in columns {
        indexed.push(indexed_of(file, group, column).map_err(|e| e.in_column(&column.name))?);
    }
    if indexed.iter().all(Option::is_none) {
        return Ok(Selection::all(rows));
    }
    let whole = of_group(file, group, rows, columns)?;
    let mut borders: Vec<usize> = indexed.iter().flatten().flat_map(|i| i.spans.iter().map(|s| s.rows.start)).collect();
    borders.push(rows);
    borders.sort_unstable();
    borders.dedup();
    let mut selection = Selection::default();
    for border in borders.windows(2) {
        let &[start, end] = border else { continue };
        let stretch = start..end;
        let known = Known {
            rows: stretch.len() as u64,
            columns: whole
                .iter()
                .zip(&indexed)
                .map(|((name, whole), indexed)| (*name, of_stretch(&stretch, rows, whole, indexed.as_ref())))
                .collect(),
            filters: None,
        };
        if predicate.prune(&known) != Verdict::Drop {
            selection.push(stretch);
        }
    }
    Ok(selection)
}

/// What is known of a column in a stretch that no page border divides.
fn of_stretch(stretch: &Range<usize>, rows: usize, whole: &ColumnBounds, indexed: Option<&Indexed>) -> ColumnBounds {
    let part_rows = stretch.len() as u64;
    let page = indexed.and_then(|i| i.page(i.spans.partition_point(|s| s.rows.end <= stretch.start)));
    match page {
        Some((bounds, page_rows)) => bounds::of_part(bounds, page_rows, part_rows),
        None => bounds::of_part(whole.clone(), rows as u64, part_rows),
    }
}

fn indexed_of(file: &FileParts, group: usize, column: &Named) -> Result<Option<Indexed>> {
    let Some(number) = column.leaf else { return Ok(None) };
    let Some(spans) = spans(file, group, number)? else { return Ok(None) };
    let Some(index) = believed(file.column_index(group, number))?.flatten() else { return Ok(None) };
    let leaf = file.leaf(number)?;
    let order = bounds::order(&file.footer, leaf, number);
    let rows: Vec<usize> = spans.iter().map(|s| s.rows.len()).collect();
    let origin = column.origin.clone();
    Ok(PageBounds::new(&index, leaf, order, &rows).map(|bounds| Indexed { spans, bounds, origin }))
}

/// Where the pages of a chunk lie, if it has an offset index that can be believed.
pub(super) fn spans(file: &FileParts, group: usize, leaf: usize) -> Result<Option<Arc<[PageSpan]>>> {
    let Some(index) = believed(file.offset_index(group, leaf))?.flatten() else { return Ok(None) };
    let (meta, _) = file.open_chunk(group, leaf)?;
    Ok(column_chunk::spans(&index, &meta, file.input.bytes(), file.group_rows(group)?))
}

/// A broken index is as good as none; a disk that fails is not.
fn believed<T>(index: Result<T>) -> Result<Option<T>> {
    match index {
        Ok(index) => Ok(Some(index)),
        Err(Error::Corrupt(_) | Error::Limit(_)) => Ok(None),
        Err(e) => Err(e),
    }
}
