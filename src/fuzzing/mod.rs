//! The bodies of the fuzz targets: each takes any bytes and must return. What they find wrong is an assertion that fails.
//!
//! They live in the crate so that what a fuzzer finds is replayed by `cargo test`, and since they reach what is not public.
//! `fuzz/README.md` says how they are run.

mod encodings;
mod files;
mod metadata;
mod text;

/// A body: asserts what must hold of any bytes.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("footer", metadata::footer),
    ("page_header", metadata::page_header),
    ("page_index", metadata::page_index),
    ("bloom_filter", metadata::bloom_filter),
    ("nested", metadata::nested),
    ("plain", encodings::plain),
    ("rle", encodings::rle),
    ("dictionary", encodings::dictionary),
    ("delta_binary_packed", encodings::delta_binary_packed),
    ("delta_length_byte_array", encodings::delta_length_byte_array),
    ("delta_byte_array", encodings::delta_byte_array),
    ("byte_stream_split", encodings::byte_stream_split),
    ("alp", encodings::alp),
    ("codecs", encodings::codecs),
    ("file", files::file),
    ("edited_file", files::edited),
    ("mapped_file", files::mapped),
    ("pruned_scan", files::pruned),
    ("condition", text::condition),
    ("table_log", text::table_log),
    ("table_checkpoint", text::table_checkpoint),
    ("ndjson_log", text::ndjson_log),
    ("ingest_state", text::ingest_state),
];

/// Runs the target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    assert!(target.is_some(), "there is no target {name}");
    if let Some((_, target)) = target {
        target(bytes);
    }
}

/// Takes numbers and bytes off the front of the input; zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// The next `n` bytes, or as many as there are.
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
