//! Writes an Arrow IPC file as Parquet with the `parquet` crate's defaults, for `benches/sizes/run` to measure.
//!
//! `parquet_rs IN.arrow OUT.parquet zstd|snappy`
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a bench may panic")]

use std::fs::File;

use arrow_ipc::reader::FileReader;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, codec] = arguments.as_slice() else { panic!("parquet_rs IN.arrow OUT.parquet CODEC") };
    let compression = match codec.as_str() {
        "zstd" => Compression::ZSTD(ZstdLevel::try_new(3).unwrap()),
        "snappy" => Compression::SNAPPY,
        other => panic!("codec {other}"),
    };
    let reader = FileReader::try_new(File::open(from).unwrap(), None).unwrap();
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut writer = ArrowWriter::try_new(File::create(to).unwrap(), reader.schema(), Some(properties)).unwrap();
    for batch in reader {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
}
