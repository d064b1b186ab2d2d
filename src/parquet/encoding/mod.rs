//! The encodings of levels and values: one file each, encoder above decoder above tests.
//!
//! They see slices, never schemas.

pub mod alp;
pub mod bit_pack;
pub mod byte_stream_split;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod cpu;
pub mod delta_binary_packed;
pub mod delta_byte_array;
pub mod delta_length_byte_array;
pub mod dictionary;
pub mod extremes;
mod gather;
pub mod plain;
pub mod rle;
