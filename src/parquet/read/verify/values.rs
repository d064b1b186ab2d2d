//! The values of a field, against all that is said of them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Scalar};
use arrow_schema::DataType;

use super::chunk::DataPage;
use super::{Harm, Verification};
use crate::error::{Error, Result};
use crate::parquet::arrow::Node;
use crate::parquet::arrow::node::Kind;
use crate::parquet::format::bloom_filter::BloomFilter;
use crate::parquet::format::{PageType, Type};
use crate::parquet::read::field::FieldReader;
use crate::parquet::read::file::FileParts;
use crate::parquet::read::selection::Selection;
use crate::parquet::read::{bloom, inspect};
use crate::predicate::ColumnBounds;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 4096;
/// Each page that does not decode is left out and the others are read again; more of them than this are not told apart.
const BROKEN_PAGES_MAX: usize = 16;

/// Decodes the field's rows in the group, but for pages that are broken.
pub(super) fn check(
    file: &FileParts,
    group: usize,
    field: usize,
    node: &Node,
    leaves: &[usize],
    pages: &[DataPage],
    found: &mut Verification,
) {
    let is_flat = matches!(node.kind, Kind::Leaf(number) if file.leaf(number).is_ok_and(|leaf| leaf.is_flat()));
    let mut known: Vec<Known> = leaves.iter().map(|&leaf| Known::of(file, group, leaf, is_flat, found)).collect();
    let mut pages = pages.to_vec();
    for _ in 0..=BROKEN_PAGES_MAX {
        let ranges: Vec<(Option<usize>, std::ops::Range<usize>)> = match is_flat {
            true => {
                pages.iter().enumerate().filter(|(_, p)| !p.is_broken).map(|(n, p)| (Some(n), p.rows.clone())).collect()
            }
            false => vec![(None, 0..file.group_rows(group).unwrap_or(0))],
        };
        known.iter_mut().for_each(Known::begin);
        let is_whole = pages.iter().all(|p| !p.is_broken);
        let Err(e) = read(file, group, field, node, &ranges, is_whole, &mut known) else {
            for one in &known {
                one.finish(group, is_whole, found);
            }
            return;
        };
        if e.kind() == "unsupported" {
            // Not the file's fault.
            return;
        }
        let at = e.place().page.and_then(|page| usize::try_from(page).ok()).filter(|_| is_flat);
        let broken = at.and_then(|at| pages.get_mut(at)).filter(|page| !page.is_broken);
        let rows = broken.map(|page| {
            page.is_broken = true;
            page.rows.start as u64..page.rows.end as u64
        });
        let goes_on = rows.is_some();
        found.break_rows(group, rows);
        let harm = Verification::harm(&e);
        found.add(harm, Some(group), leaves.first().copied(), e.in_column(node.field.name()));
        if !goes_on {
            return;
        }
    }
    found.break_rows(group, None);
}

fn read(
    file: &FileParts,
    group: usize,
    field: usize,
    node: &Node,
    ranges: &[(Option<usize>, std::ops::Range<usize>)],
    is_whole: bool,
    known: &mut [Known],
) -> Result<()> {
    let rows = file.group_rows(group)?;
    let mut reader = FieldReader::new(file, field, &file.budget, false)?;
    reader.start(file, &file.input, group, rows, &Selection::all(rows), false)?;
    let mut at = 0;
    for (page, range) in ranges {
        reader.skip(range.start.saturating_sub(at));
        at = range.start;
        while at < range.end {
            let count = BATCH_ROWS.min(range.end - at);
            reader.read(count)?;
            let array = reader.finish()?;
            for one in known.iter_mut() {
                if let Some(values) = leaf_of(node, &array, one.leaf) {
                    one.add(file, *page, &values)?;
                }
            }
            at += count;
        }
    }
    // Only where all was read, it is known that nothing is left over.
    let is_all = is_whole && at == rows;
    if is_whole && at != rows {
        let message = format!("the chunk ends, {} rows are missing", rows.saturating_sub(at));
        return Err(Error::corrupt(message).in_column(node.field.name()));
    }
    reader.end(is_all).map(|_| ())
}

/// What is said of a leaf's values in one group, and what they are.
struct Known {
    leaf: usize,
    /// A value is a row, so that pages and nulls can be told.
    is_flat: bool,
    chunk: ColumnBounds,
    pages: Vec<ColumnBounds>,
    filter: Option<BloomFilter>,
    nulls: u64,
    page_nulls: Vec<u64>,
    name: String,
    /// The first fault of the bounds, the first of the filter; and the page that it is in.
    faults: Vec<(String, Option<u64>)>,
}

impl Known {
    fn of(file: &FileParts, group: usize, leaf: usize, is_flat: bool, found: &mut Verification) -> Known {
        let name = file.leaf(leaf).map(|leaf| leaf.name()).unwrap_or_default();
        let chunk = inspect::chunk_bounds(file, group, leaf).unwrap_or_default();
        let filter = bloom::filter(file, group, leaf).unwrap_or_else(|e| {
            found.add(Harm::Pruning, Some(group), Some(leaf), e.in_column(name.clone()));
            None
        });
        let infos = inspect::pages(file, group, leaf).unwrap_or_default();
        let data = infos.into_iter().filter(|p| matches!(p.kind, PageType::DataPage | PageType::DataPageV2));
        let pages: Vec<ColumnBounds> = data.map(|p| p.bounds).collect();
        let page_nulls = vec![0; pages.len()];
        Known { leaf, is_flat, chunk, pages, filter, nulls: 0, page_nulls, name, faults: Vec::new() }
    }

    fn begin(&mut self) {
        self.nulls = 0;
        self.page_nulls.fill(0);
        self.faults.clear();
    }

    /// Judges values of page `page`, where pages can be told.
    fn add(&mut self, file: &FileParts, page: Option<usize>, values: &ArrayRef) -> Result<()> {
        let leaf = file.leaf(self.leaf)?;
        let values = match values.data_type() {
            DataType::Dictionary(_, to) => &arrow_cast::cast(values, to)?,
            _ => values,
        };
        if values.data_type() == &DataType::Null && leaf.physical != Type::Int32 {
            // What cannot be shown is read as null.
            self.is_flat = false;
        }
        let nulls = values.logical_null_count() as u64;
        self.nulls += nulls;
        if let Some(sum) = page.and_then(|page| self.page_nulls.get_mut(page)) {
            *sum += nulls;
        }
        if self.faults.is_empty() {
            let of_page = page.and_then(|page| Some((Some(page as u64), self.pages.get(page)?)));
            for (page, bounds) in [(None, &self.chunk)].into_iter().chain(of_page) {
                if let Some(message) = outside(values, bounds) {
                    self.faults.push((message, page));
                    break;
                }
            }
        }
        if let Some(filter) = &self.filter {
            for row in (0..values.len()).filter(|&row| values.is_valid(row)) {
                if !bloom::may_contain(filter, leaf, &values.slice(row, 1), false) {
                    self.faults.push(("the Bloom filter says that a value is not there which is".into(), None));
                    self.filter = None;
                    break;
                }
            }
        }
        Ok(())
    }

    fn finish(&self, group: usize, is_whole: bool, found: &mut Verification) {
        let mut fault = |message: String, page: Option<u64>| {
            let mut e = Error::corrupt(message).in_column(self.name.clone());
            if let Some(page) = page {
                e = e.in_page(page);
            }
            found.add(Harm::Pruning, Some(group), Some(self.leaf), e);
        };
        self.faults.iter().for_each(|(message, page)| fault(message.clone(), *page));
        // Where a page is broken, its nulls are not counted.
        if !self.is_flat || !is_whole {
            return;
        }
        let counts = self.pages.iter().zip(&self.page_nulls).enumerate();
        let counts = counts.map(|(page, (bounds, &nulls))| (bounds.null_count, nulls, Some(page as u64)));
        for (told, is, page) in std::iter::once((self.chunk.null_count, self.nulls, None)).chain(counts) {
            if let Some(told) = told.filter(|&told| told != is) {
                fault(format!("{told} nulls are told of, there are {is}"), page);
            }
        }
    }
}

/// Says which bound a value is beyond; nothing where none is, or values of the type do not compare.
fn outside(values: &ArrayRef, bounds: &ColumnBounds) -> Option<String> {
    let beyond = |bound: &Option<ArrayRef>, is_min: bool| -> Option<String> {
        let bound = bound.as_ref().filter(|b| b.len() == 1 && b.is_valid(0) && b.data_type() == values.data_type())?;
        let answers = match values.data_type() {
            // NaN is beyond no bound, and zeros of both signs are equal.
            DataType::Float16 | DataType::Float32 | DataType::Float64 => floats(values, bound, is_min),
            _ if is_min => arrow_ord::cmp::lt(values, &Scalar::new(bound.clone())).ok()?,
            _ => arrow_ord::cmp::gt(values, &Scalar::new(bound.clone())).ok()?,
        };
        let side = if is_min { "below the least" } else { "above the greatest" };
        (answers.true_count() > 0).then(|| format!("a value is {side} that the statistics tell of"))
    };
    beyond(&bounds.min, true).or_else(|| beyond(&bounds.max, false))
}

fn floats(values: &ArrayRef, bound: &ArrayRef, is_min: bool) -> BooleanArray {
    macro_rules! compare {
        ($t:ty) => {{
            let bound = bound.as_primitive::<$t>().value(0);
            let values = values.as_primitive::<$t>();
            values.iter().map(|v| v.map(|v| if is_min { v < bound } else { v > bound })).collect()
        }};
    }
    match values.data_type() {
        DataType::Float16 => compare!(Float16Type),
        DataType::Float32 => compare!(Float32Type),
        _ => compare!(Float64Type),
    }
}

/// The values of one leaf in a field's array; none where some of them are not the file's.
fn leaf_of(node: &Node, array: &ArrayRef, leaf: usize) -> Option<ArrayRef> {
    match &node.kind {
        Kind::Leaf(number) => (*number == leaf).then(|| array.clone()),
        Kind::Struct(children) => {
            let parts = array.as_struct_opt()?;
            children.iter().zip(parts.columns()).find_map(|(child, array)| leaf_of(child, array, leaf))
        }
        Kind::List(element) => {
            let elements: ArrayRef = match array.data_type() {
                DataType::List(_) => {
                    let list = array.as_list_opt::<i32>()?;
                    let (first, last) = (*list.value_offsets().first()?, *list.value_offsets().last()?);
                    list.values().slice(first as usize, (last - first) as usize)
                }
                DataType::LargeList(_) => {
                    let list = array.as_list_opt::<i64>()?;
                    let (first, last) = (*list.value_offsets().first()?, *list.value_offsets().last()?);
                    list.values().slice(first as usize, (last - first) as usize)
                }
                DataType::Map(..) => std::sync::Arc::new(array.as_map_opt()?.entries().clone()),
                // Lists of a fixed size have elements of our own below nulls.
                _ => return None,
            };
            leaf_of(element, &elements, leaf)
        }
    }
}
