//! The encodings of levels and values: one file each, encoder above decoder above tests.
//!
//! They see slices, never schemas.
