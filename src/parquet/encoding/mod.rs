//! The encodings of levels and values: one file each, encoder above decoder above tests.
//!
//! They see slices, never schemas.

pub mod bit_pack;
pub mod dictionary;
pub mod plain;
pub mod rle;
