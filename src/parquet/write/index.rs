//! The page index of a chunk: where its pages lie and what bounds they have.
//!
//! Spec: PageIndex.md.

use std::cmp::Ordering;

use super::statistics::{Bound, Comparison, PageStatistics};
use crate::parquet::format::{BoundaryOrder, ColumnIndex, OffsetIndex, PageLocation};

/// One data page, as the index has it.
#[derive(Debug, Clone)]
pub(super) struct PageEntry {
    /// Bytes before its header in the chunk's data pages.
    pub offset: u64,
    /// Bytes of header and page.
    pub bytes: i32,
    /// Its first row in the row group.
    pub first_row: u64,
    pub statistics: PageStatistics,
    /// How often each repetition and definition level stands in the chunk up to the page's end; of a flat column none.
    pub levels: [Vec<i64>; 2],
}

/// The offset index of a chunk whose data pages begin at `base` in the file.
pub(super) fn offset_index(pages: &[PageEntry], base: u64) -> OffsetIndex {
    OffsetIndex {
        page_locations: pages
            .iter()
            .map(|page| PageLocation {
                offset: (base + page.offset) as i64,
                compressed_page_size: page.bytes,
                first_row_index: page.first_row as i64,
            })
            .collect(),
        unencoded_byte_array_data_bytes: pages
            .iter()
            .map(|page| page.statistics.byte_array_bytes.map(|n| n as i64))
            .collect(),
    }
}

/// The column index of a chunk; None when a page with values has no bounds, since the format has no place
/// for "not known".
pub(super) fn column_index(pages: &[PageEntry], order: Comparison) -> Option<ColumnIndex> {
    let mut bounds = Vec::with_capacity(pages.len());
    for PageEntry { statistics, .. } in pages {
        bounds.push(match (&statistics.min, &statistics.max) {
            _ if statistics.values == 0 => None,
            (Some(min), Some(max)) => Some((min, max)),
            _ => return None,
        });
    }
    let [repetition_level_histograms, definition_level_histograms] = [0, 1].map(|of| histograms(pages, of));
    let side = |pick: fn((&Bound, &Bound)) -> Vec<u8>| bounds.iter().map(|b| b.map(pick).unwrap_or_default()).collect();
    Some(ColumnIndex {
        null_pages: bounds.iter().map(Option::is_none).collect(),
        min_values: side(|(min, _)| min.bytes.clone()),
        max_values: side(|(_, max)| max.bytes.clone()),
        boundary_order: boundary_order(bounds.iter().flatten(), order),
        null_counts: Some(pages.iter().map(|page| page.statistics.nulls as i64).collect()),
        repetition_level_histograms,
        definition_level_histograms,
        nan_counts: pages.iter().map(|page| page.statistics.nans.map(|n| n as i64)).collect(),
    })
}

/// The counts of each level, page after page. None of a flat column, whose null counts say the same, and where there is one level.
fn histograms(pages: &[PageEntry], of: usize) -> Option<Vec<i64>> {
    let counts = |page: &PageEntry| page.levels.get(of).cloned().unwrap_or_default();
    let mut before = vec![0; pages.first().map_or(0, |page| counts(page).len())];
    if before.len() < 2 {
        return None;
    }
    let mut all = Vec::with_capacity(before.len() * pages.len());
    for page in pages {
        let until = counts(page);
        all.extend(until.iter().zip(&before).map(|(until, before)| until - before));
        before = until;
    }
    Some(all)
}

/// Whether both bounds of the pages go one way; pages of nulls are passed over.
fn boundary_order<'a>(
    bounds: impl Iterator<Item = &'a (&'a Bound, &'a Bound)> + Clone,
    order: Comparison,
) -> BoundaryOrder {
    let goes = |wrong: Ordering| {
        bounds.clone().zip(bounds.clone().skip(1)).all(|((min, max), (next_min, next_max))| {
            order.compare(&min.bytes, &next_min.bytes) != wrong && order.compare(&max.bytes, &next_max.bytes) != wrong
        })
    };
    if goes(Ordering::Greater) {
        BoundaryOrder::Ascending
    } else if goes(Ordering::Less) {
        BoundaryOrder::Descending
    } else {
        BoundaryOrder::Unordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::arrow::to_parquet;
    use arrow_schema::{DataType, Field, Schema};

    fn order() -> Comparison {
        let schema = Schema::new(vec![Field::new("a", DataType::Int32, true)]);
        Comparison::of(&to_parquet(&schema).expect("flat").leaves[0])
    }

    fn page(bounds: Option<(i32, i32)>) -> PageEntry {
        let bound = |v: i32| Bound::exact(v.to_le_bytes().to_vec());
        PageEntry {
            offset: 100,
            bytes: 50,
            first_row: 7,
            statistics: PageStatistics {
                values: usize::from(bounds.is_some()),
                nulls: 2,
                min: bounds.map(|b| bound(b.0)),
                max: bounds.map(|b| bound(b.1)),
                ..PageStatistics::default()
            },
            levels: [vec![], vec![]],
        }
    }

    #[test]
    fn levels_are_counted_by_page() {
        let with = |rep: Vec<i64>, def: Vec<i64>| PageEntry { levels: [rep, def], ..page(None) };
        let pages = [with(vec![5, 2], vec![1, 2, 4]), with(vec![9, 2], vec![1, 3, 7]), with(vec![9, 9], vec![8, 3, 7])];
        let index = column_index(&pages, order()).expect("known");
        assert_eq!(index.repetition_level_histograms, Some(vec![5, 2, 4, 0, 0, 7]));
        assert_eq!(index.definition_level_histograms, Some(vec![1, 2, 4, 0, 1, 3, 7, 0, 0]));
        let of_struct = column_index(&[with(vec![3], vec![1, 2])], order()).expect("known");
        assert_eq!(of_struct.repetition_level_histograms, None);
        assert_eq!(of_struct.definition_level_histograms, Some(vec![1, 2]));
        let flat = column_index(&[page(None)], order()).expect("known");
        assert_eq!((flat.repetition_level_histograms, flat.definition_level_histograms), (None, None));
    }

    #[test]
    fn the_order_of_the_pages_is_found() {
        let of = |pages: &[Option<(i32, i32)>]| {
            let pages: Vec<_> = pages.iter().map(|p| page(*p)).collect();
            column_index(&pages, order()).expect("known").boundary_order
        };
        assert_eq!(of(&[Some((-5, 1)), None, Some((-5, 2)), Some((300, 301))]), BoundaryOrder::Ascending);
        assert_eq!(of(&[Some((300, 301)), None, Some((-5, 2))]), BoundaryOrder::Descending);
        assert_eq!(of(&[Some((0, 9)), Some((1, 8))]), BoundaryOrder::Unordered);
        assert_eq!(of(&[None, None]), BoundaryOrder::Ascending);
    }

    #[test]
    fn pages_of_nulls_are_told_and_unknown_bounds_leave_no_index() {
        let index = column_index(&[page(Some((1, 2))), page(None)], order()).expect("known");
        assert_eq!(index.null_pages, [false, true]);
        assert_eq!(index.min_values, [vec![1, 0, 0, 0], vec![]]);
        assert_eq!(index.max_values, [vec![2, 0, 0, 0], vec![]]);
        assert_eq!((index.null_counts, index.nan_counts), (Some(vec![2, 2]), None));
        let mut unknown = page(Some((1, 2)));
        unknown.statistics.max = None;
        assert_eq!(column_index(&[page(None), unknown], order()), None);
    }

    #[test]
    fn locations_are_in_the_file() {
        let mut strings = page(None);
        strings.statistics.byte_array_bytes = Some(9);
        let index = offset_index(&[strings.clone()], 1000);
        assert_eq!(index.page_locations, [PageLocation { offset: 1100, compressed_page_size: 50, first_row_index: 7 }]);
        assert_eq!(index.unencoded_byte_array_data_bytes, Some(vec![9]));
        assert_eq!(offset_index(&[page(None)], 0).unencoded_byte_array_data_bytes, None);
    }
}
