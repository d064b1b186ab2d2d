//! Which row groups, and which rows inside them, can match at all.
//!
//! Spec: PageIndex.md. Row groups are judged by their chunks' statistics, then stretches of rows between page
//! borders by the page index, where there is one that can be believed; one that cannot is passed over. Bloom filters are
//! asked after that, dictionaries last. Each step costs more than the one before, and is taken only for what those before
//! it leave open; the later ones know all that the earlier ones do.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;

use crate::error::{Error, Result};
use crate::parquet::arrow::node::{Kind, Node};
use crate::parquet::arrow::{FieldSchema, ValueOrder};
use crate::parquet::format::bloom_filter::BloomFilter;
use crate::predicate::{
    BoundPredicate, Bounds, ColumnBounds, ColumnPath, Predicate, Reason, Step as PathStep, Verdict,
};

use super::bloom;
use super::bounds::{self, PageBounds};
use super::column_chunk::{self, PageSpan};
use super::dictionary::{self, Dictionary};
use super::evolve::{Found, Origin};
use super::file::FileParts;
use super::selection::Selection;
use super::{Pruning, ScanCounts};

/// What a predicate is about: its path, its leaf (if it is in the file) and where its values come from.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub path: ColumnPath,
    pub leaf: Option<usize>,
    pub origin: Origin,
}

impl Named {
    /// What `path` is in a column that was found; inside of one that is read as another type than it has in the file,
    /// nothing is known.
    pub(super) fn new(file: &FileParts, path: &ColumnPath, steps: &[PathStep], found: &Found) -> Named {
        let origin = found.origin.clone();
        let leaf = match (&origin, steps) {
            (_, []) if !found.field.data_type().is_nested() => found.leaf,
            (Origin::File(number, None), _) => file.field(*number).and_then(|FieldSchema { node, .. }| {
                let is_same = node.field.data_type() == found.field.data_type();
                is_same.then(|| leaf_at(node, steps)).flatten()
            }),
            _ => None,
        };
        // A constant's bounds are those of the whole column.
        let origin = match origin {
            Origin::Constant(_) if !steps.is_empty() => Origin::File(found.number, None),
            other => other,
        };
        Named { path: path.clone(), leaf, origin }
    }
}

fn leaf_at(node: &Node, steps: &[PathStep]) -> Option<usize> {
    match (&node.kind, steps) {
        (Kind::Leaf(leaf), []) => Some(*leaf),
        (Kind::Struct(fields), [PathStep::Field(at), rest @ ..]) => leaf_at(fields.get(*at)?, rest),
        (Kind::List(element), [PathStep::Elements, rest @ ..]) => leaf_at(element, rest),
        _ => None,
    }
}

/// What is asked of a row group.
#[derive(Debug)]
pub(super) struct Question<'a> {
    pub file: &'a FileParts,
    pub columns: &'a [Named],
    pub predicate: &'a BoundPredicate,
    pub pruning: Pruning,
    pub verify_crc: bool,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Answer {
    /// The rows that can match.
    pub selection: Selection,
    /// Those of them that do.
    pub sure: Selection,
    /// The step that left no row.
    pub dropped_by: Option<Step>,
    /// Bytes of the chunks that were fetched to find out.
    pub bytes_fetched: u64,
}

/// A step of [`Pruning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The statistics of column chunks.
    Statistics,
    /// The bounds of pages.
    PageIndex,
    /// Bloom filters.
    BloomFilter,
    /// Dictionary pages.
    Dictionary,
}

impl Question<'_> {
    /// Judges a row group, step by step.
    pub(super) fn ask(&self, group: usize) -> Result<Answer> {
        let rows = self.file.group_rows(group)?;
        let dropped = |by, bytes_fetched| Answer {
            selection: Selection::default(),
            sure: Selection::default(),
            dropped_by: Some(by),
            bytes_fetched,
        };
        let mut answer =
            Answer { selection: Selection::all(rows), sure: Selection::default(), dropped_by: None, bytes_fetched: 0 };
        if rows == 0 {
            return Ok(answer);
        }
        let mut known = Known {
            rows: rows as u64,
            columns: of_group(self.file, group, rows, self.columns, self.pruning.statistics)?,
            filters: None,
            dictionaries: None,
        };
        match self.predicate.prune(&known) {
            Verdict::Drop => return Ok(dropped(Step::Statistics, 0)),
            Verdict::AllMatch => return Ok(Answer { sure: Selection::all(rows), ..answer }),
            Verdict::Keep => {}
        }
        if self.pruning.page_index {
            (answer.selection, answer.sure) = pages(self.file, group, self.columns, self.predicate, &known.columns)?;
            if answer.selection.is_empty() {
                return Ok(dropped(Step::PageIndex, 0));
            }
            if answer.sure == answer.selection {
                return Ok(answer);
            }
        }
        if self.pruning.bloom_filters {
            known.filters = Some(Filters { question: self, group, fetched: RefCell::default() });
            if self.predicate.prune(&known) == Verdict::Drop {
                return Ok(dropped(Step::BloomFilter, 0));
            }
            known.filters.as_ref().map_or(Ok(()), |filters| filters.failure())?;
        }
        if self.pruning.dictionaries {
            let selected_rows = answer.selection.rows();
            known.dictionaries =
                Some(Dictionaries { question: self, group, selected_rows, fetched: RefCell::default() });
            let verdict = self.predicate.prune(&known);
            if let Some(dictionaries) = known.dictionaries {
                let bytes_fetched = dictionaries.bytes()?;
                match verdict {
                    Verdict::Drop => return Ok(dropped(Step::Dictionary, bytes_fetched)),
                    Verdict::AllMatch => answer.sure = answer.selection.clone(),
                    Verdict::Keep => {}
                }
                answer.bytes_fetched = bytes_fetched;
            }
        }
        Ok(answer)
    }

    /// Whether statistics say that all rows of a group match.
    pub(super) fn is_sure(&self, group: usize) -> Result<bool> {
        let rows = self.file.group_rows(group)?;
        let columns = of_group(self.file, group, rows, self.columns, self.pruning.statistics)?;
        let known = Known { rows: rows as u64, columns, filters: None, dictionaries: None };
        Ok(self.predicate.prune(&known) == Verdict::AllMatch)
    }

    /// Why `step` left no row of the group, by the conditions of `predicate`, from which the question's is bound.
    pub(super) fn reasons(&self, group: usize, step: Step, predicate: &Predicate) -> Result<Vec<Reason>> {
        if step == Step::PageIndex {
            return Ok(vec![Reason { condition: predicate.to_string(), evidence: Vec::new() }]);
        }
        let rows = self.file.group_rows(group)?;
        let with_filters = self.pruning.bloom_filters && step != Step::Statistics;
        let filters = with_filters.then(|| Filters { question: self, group, fetched: RefCell::default() });
        let dictionaries = (step == Step::Dictionary).then(|| Dictionaries {
            question: self,
            group,
            selected_rows: rows,
            fetched: RefCell::default(),
        });
        let columns = of_group(self.file, group, rows, self.columns, self.pruning.statistics)?;
        let known = Known { rows: rows as u64, columns, filters, dictionaries };
        Ok(self.predicate.reasons(predicate, &known))
    }

    fn column(&self, path: &ColumnPath) -> Option<&Named> {
        self.columns.iter().find(|c| c.path == *path)
    }
}

impl ScanCounts {
    /// What pruning made of a row group of `rows` rows.
    pub(super) fn count(&mut self, answer: &Answer, rows: usize) {
        self.bytes_read_to_prune += answer.bytes_fetched;
        match answer.dropped_by {
            Some(Step::Statistics) => self.row_groups_skipped_by_statistics += 1,
            Some(Step::PageIndex) => self.row_groups_skipped_by_page_index += 1,
            Some(Step::BloomFilter) => self.row_groups_skipped_by_bloom_filter += 1,
            Some(Step::Dictionary) => self.row_groups_skipped_by_dictionary += 1,
            None => self.rows_skipped_by_page_index += (rows - answer.selection.rows()) as u64,
        }
    }
}

/// What is known of some rows, by the names of the predicate's columns.
struct Known<'a> {
    rows: u64,
    columns: Vec<(&'a ColumnPath, ColumnBounds)>,
    /// Asked where bounds leave it open, if at all.
    filters: Option<Filters<'a>>,
    /// Asked last, if at all.
    dictionaries: Option<Dictionaries<'a>>,
}

/// What was fetched of a leaf when it was asked for first. What cannot be read is as good as not there, but for a disk that
/// fails.
type Fetched<T> = RefCell<Vec<(usize, Result<Option<T>>)>>;

fn fetch<T, A>(
    fetched: &Fetched<T>,
    leaf: usize,
    get: impl FnOnce() -> Result<Option<T>>,
    ask: impl FnOnce(&T) -> A,
) -> Option<A> {
    let mut fetched = fetched.borrow_mut();
    if !fetched.iter().any(|(of, _)| *of == leaf) {
        fetched.push((leaf, get()));
    }
    fetched.iter().find(|(of, _)| *of == leaf).and_then(|(_, got)| got.as_ref().ok()?.as_ref()).map(ask)
}

fn failure<T>(fetched: &Fetched<T>) -> Result<()> {
    let mut fetched = fetched.borrow_mut();
    let failed = fetched.iter().position(|(_, got)| matches!(got, Err(Error::Io(_))));
    match failed.map(|at| fetched.swap_remove(at)) {
        Some((_, Err(e))) => Err(e),
        _ => Ok(()),
    }
}

/// The Bloom filters of a row group, each fetched when it is asked first.
struct Filters<'a> {
    question: &'a Question<'a>,
    group: usize,
    fetched: Fetched<BloomFilter>,
}

impl Filters<'_> {
    fn may_contain(&self, path: &ColumnPath, value: &ArrayRef, is_in_range: bool) -> bool {
        // Of a column that is read as another type than it is stored in, a filter says nothing.
        let Some(leaf) = self.question.column(path).and_then(|c| c.leaf) else { return true };
        let file = self.question.file;
        let get = || bloom::filter(file, self.group, leaf);
        let ask = |filter: &BloomFilter| {
            file.leaf(leaf).map_or(true, |leaf| bloom::may_contain(filter, leaf, value, is_in_range))
        };
        fetch(&self.fetched, leaf, get, ask).unwrap_or(true)
    }

    fn failure(&self) -> Result<()> {
        failure(&self.fetched)
    }
}

/// The dictionaries of a row group, each fetched when it is asked first.
struct Dictionaries<'a> {
    question: &'a Question<'a>,
    group: usize,
    selected_rows: usize,
    fetched: Fetched<Dictionary>,
}

impl Dictionaries<'_> {
    fn values(&self, path: &ColumnPath) -> Option<ArrayRef> {
        let column = self.question.column(path)?;
        let (leaf, question) = (column.leaf?, self.question);
        let get = || {
            let Question { file, verify_crc, .. } = question;
            dictionary::of_chunk(file, self.group, leaf, self.selected_rows, *verify_crc)
        };
        let values = fetch(&self.fetched, leaf, get, |dictionary| Arc::clone(&dictionary.values))?;
        column.origin.values(values)
    }

    /// Bytes fetched, if none of it failed.
    fn bytes(&self) -> Result<u64> {
        failure(&self.fetched)?;
        Ok(self.fetched.borrow().iter().filter_map(|(_, got)| got.as_ref().ok()?.as_ref()).map(|d| d.bytes).sum())
    }
}

impl Bounds for Known<'_> {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn column(&self, path: &ColumnPath) -> ColumnBounds {
        self.columns.iter().find(|(of, _)| *of == path).map(|(_, b)| b.clone()).unwrap_or_default()
    }

    fn may_contain(&self, path: &ColumnPath, value: &ArrayRef) -> bool {
        let Some(filters) = &self.filters else { return true };
        // A bound that is no value of the column's type is not known.
        let bounds = self.column(path);
        filters.may_contain(path, value, bounds.min.is_some() && bounds.max.is_some())
    }

    fn values(&self, path: &ColumnPath) -> Option<ArrayRef> {
        self.dictionaries.as_ref()?.values(path)
    }
}

fn of_group<'a>(
    file: &FileParts,
    group: usize,
    rows: usize,
    columns: &'a [Named],
    with_statistics: bool,
) -> Result<Vec<(&'a ColumnPath, ColumnBounds)>> {
    let known = columns.iter().map(|column| {
        let stored = || {
            let Some(number) = column.leaf else { return Ok(ColumnBounds::default()) };
            let leaf = file.leaf(number)?;
            if !with_statistics {
                return Ok(bounds::of_statistics(None, leaf, ValueOrder::Undefined, rows));
            }
            let order = bounds::order(&file.footer, leaf, number);
            // What keeps the chunk from being read is said when it is read.
            Ok(match file.open_chunk(group, number) {
                Ok((meta, _)) => bounds::of_statistics(meta.statistics.as_ref(), leaf, order, rows),
                Err(_) => ColumnBounds::default(),
            })
        };
        Ok((&column.path, column.origin.bounds(rows as u64, stored)?))
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

/// The rows of the group that can match, by the page index and what is known of the `whole` group, and those of them that
/// match for sure.
fn pages(
    file: &FileParts,
    group: usize,
    columns: &[Named],
    predicate: &BoundPredicate,
    whole: &[(&ColumnPath, ColumnBounds)],
) -> Result<(Selection, Selection)> {
    let rows = file.group_rows(group)?;
    let mut indexed = Vec::with_capacity(columns.len());
    for column in columns {
        indexed.push(indexed_of(file, group, column).map_err(|e| e.in_column(column.path.plain()))?);
    }
    if indexed.iter().all(Option::is_none) {
        return Ok((Selection::all(rows), Selection::default()));
    }
    let mut borders: Vec<usize> = indexed.iter().flatten().flat_map(|i| i.spans.iter().map(|s| s.rows.start)).collect();
    borders.push(rows);
    borders.sort_unstable();
    borders.dedup();
    let (mut selection, mut sure) = (Selection::default(), Selection::default());
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
            dictionaries: None,
        };
        let verdict = predicate.prune(&known);
        if verdict == Verdict::AllMatch {
            sure.push(stretch.clone());
        }
        if verdict != Verdict::Drop {
            selection.push(stretch);
        }
    }
    Ok((selection, sure))
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
