//! Parquet files → Arrow record batches.
//!
//! ```text
//! footer ──> prune ──────> column_chunk ──> page ──────────> target ───> scan
//! (file)     (row groups,  (byte ranges,    (checksum,       (values ->  (predicate columns
//!             row ranges)   page headers)    decompression,   Arrow       first, then the
//!                                            levels)          buffers)    rest; batches)
//! ```
//!
//! Planning names byte ranges, fetching takes them from a [`storage::Input`](crate::storage::Input), decoding
//! works on the bytes alone. A page that holds no row that is asked for is never decoded; with an offset
//! index it is not even fetched.
//!
//! Nothing in the file is trusted: sizes are checked against the bytes that are there and against
//! [`ReaderOptions::memory_bytes`] before they are taken, and whatever the bytes are, the end is batches or an
//! [`Error`](crate::Error) that names column, page and byte.

mod bloom;
mod bounds;
mod budget;
mod column;
mod column_chunk;
mod decryption;
mod dictionary;
mod evolve;
mod explain;
mod field;
mod file;
mod inspect;
mod levels;
mod nested;
mod nested_levels;
mod page;
mod prune;
mod recover;
mod scan;
mod selection;
mod split;
mod target;
mod transcode;
mod verify;

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::ArrayRef;
use arrow_schema::{SchemaRef, TimeUnit};

use crate::budget::MemoryBudget;
use crate::parquet::arrow::node::DEPTH_MAX;
use crate::predicate::Predicate;

pub use decryption::{Decryption, KeyRetriever};
pub use evolve::Matching;
pub(crate) use evolve::{Change, Rules};
pub use explain::{Decision, Explanation, RowGroupExplanation};
pub use file::FileReader;
pub use inspect::PageInfo;
pub use prune::Step;
pub use recover::{Recovered, recover};
