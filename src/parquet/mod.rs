//! Parquet, from scratch: [`FileWriter`] and [`FileReader`] over Arrow record batches.

pub mod arrow;
pub mod compress;
pub mod encoding;
pub mod format;
pub mod read;
pub mod splice;
pub mod write;

pub use read::{FileReader, ReaderOptions, Scan, ScanOptions};
pub use write::{ColumnOptions, Compatibility, FileWriter, PageVersion, WriterOptions, WrittenFile};
