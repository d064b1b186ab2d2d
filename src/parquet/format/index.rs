//! The page index: where each page lies, and bounds of its values.
//!
//! Spec: PageIndex.md; parquet.thrift, `OffsetIndex`, `ColumnIndex`.

use super::thrift::{open_enum, record};

record! {
    pub struct PageLocation {
        /// File position of the page's header.
        1: required offset: i64,
        /// Bytes of header and page together.
        2: required compressed_page_size: i32,
        /// The page's first row, counted in the row group.
        3: required first_row_index: i64,
    }
}

record! {
    /// One entry a data page, in order.
    pub struct OffsetIndex {
        1: required page_locations: Vec<PageLocation>,
        2: optional unencoded_byte_array_data_bytes: Vec<i64>,
    }
}

open_enum! {
    /// Whether the pages' bounds are sorted.
    pub enum BoundaryOrder {
        Unordered = 0,
        Ascending = 1,
        Descending = 2,
    }
}

record! {
    /// Lists of one entry a data page. Bounds of a page of nulls are empty and mean nothing.
    pub struct ColumnIndex {
        1: required null_pages: Vec<bool>,
        2: required min_values: Vec<Vec<u8>>,
        3: required max_values: Vec<Vec<u8>>,
        4: required boundary_order: BoundaryOrder,
        5: optional null_counts: Vec<i64>,
        6: optional repetition_level_histograms: Vec<i64>,
        7: optional definition_level_histograms: Vec<i64>,
        8: optional nan_counts: Vec<i64>,
    }
}
