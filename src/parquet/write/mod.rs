//! Batches → row group → column chunk → page → bytes.
//!
//! ```text
//! file           batches, in strips            row groups, page index, footer → Output
//! row_group      a strip, column by column     chunks back to back
//! column_chunk   rows of one column            pages, compressed, and what is known of them
//! kernel: primitive, byte_array, boolean       values of one page: dictionary indices, or as `choose` says
//! page           levels and values             compressed, with header and CRC
//! ```
//!
//! Memory is bounded by the pages of the open row group, compressed, and by one open page and dictionary a column.

mod append;
mod bloom;
mod boolean;
mod byte_array;
mod byte_page;
mod choose;
mod column_chunk;
mod convert;
mod dictionary;
mod file;
mod finished_chunk;
mod geospatial;
mod index;
mod kernel;
mod memory;
mod options;
mod orders;
mod page;
mod pause;
mod pending;
mod primitive;
mod row_group;
mod rows;
mod seal;
mod sink;
mod source;
mod statistics;
mod strip;
mod threads;
mod validity;

pub use file::{FileWriter, WrittenFile};
pub use memory::WriterMemory;
pub use options::{BloomFilters, ColumnOptions, Compatibility, FloatOrder, PageVersion, WriterOptions};
pub use pause::PauseToken;
pub use seal::{Encryption, EncryptionCipher};
