//! The bytes of the metadata: thrift compact protocol, footer, schema, page headers, page index.
//!
//! Encode and decode come from one table per struct; nothing here reads a file.

#![allow(
    missing_docs,
    reason = "the names are parquet.thrift's, which documents them; here stands what it does not say"
)]

pub mod bloom_filter;
pub mod chunk_place;
pub mod encryption;
pub mod footer;
pub mod index;
pub mod lazy;
pub mod metadata;
pub mod page;
pub mod page_head;
pub mod place;
pub mod schema;
mod skip;
pub(crate) mod thrift;

pub use chunk_place::{ChunkPlace, EncodingSet};
pub use index::{BoundaryOrder, ColumnIndex, OffsetIndex, PageLocation};
pub use lazy::{Footer, FooterLimits, Group};
pub use metadata::{
    BoundingBox, Codec, ColumnChunk, ColumnMetaData, ColumnOrder, Encoding, FileMetaData, GeospatialStatistics,
    KeyValue, PageEncodingStats, PageType, RowGroup, SizeStatistics, SortingColumn, Statistics,
};
pub use page::{DataPageHeader, DataPageHeaderV2, DictionaryPageHeader, PageHeader};
pub use page_head::{DataPageHead, DataPageHeadV2, DictionaryPageHead, PageHead};
pub use schema::{ConvertedType, Empty, LogicalType, Repetition, SchemaElement, TimeUnit, Type};
