#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hypostyle::fuzzing::run("mapped_file", data));
