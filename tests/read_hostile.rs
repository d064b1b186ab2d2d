//! Whatever the bytes are, reading ends in batches or an error: files cut short, with bytes flipped or
//! overwritten, thousands of times, each read in every way.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Instant;

use arrow_array::*;
use arrow_schema::DataType;
use bytes::Bytes;
use hypostyle::Error;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};

/// Rows that a scan of broken bytes may claim: a run of nulls is cheap to claim and true of some files.
const ROWS_MAX: u64 = 200_000;

fn batch(rows: usize) -> RecordBatch {
    let is_there = |i: usize| i % 7 != 3;
    let text: StringArray = (0..rows).map(|i| is_there(i).then(|| format!("värde {}", i % 40))).collect();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("id", Arc::new((0..rows as i64).map(Some).collect::<Int64Array>()), false),
        ("small", Arc::new((0..rows).map(|i| is_there(i).then_some(i as i8)).collect::<Int8Array>()), true),
        ("flag", Arc::new((0..rows).map(|i| is_there(i).then_some(i % 3 == 0)).collect::<BooleanArray>()), true),
        ("price", Arc::new((0..rows).map(|i| Some(i as f64 / 3.0)).collect::<Float64Array>()), false),
        ("view", arrow_cast::cast(&text, &DataType::Utf8View).unwrap(), true),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_iter((0..rows).map(|i| (i as u64).to_be_bytes())).unwrap()),
            false,
        ),
        ("decimal", Arc::new((0..rows).map(|i| Some(i as i128 * 1000 - 7)).collect::<Decimal128Array>()), true),
        ("text", Arc::new(text), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn files() -> Vec<Vec<u8>> {
    let batch = batch(300);
    let mut files = Vec::new();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())] {
            let properties = WriterProperties::builder()
                .set_writer_version(version)
                .set_compression(codec)
                .set_max_row_group_row_count(Some(200))
                .set_data_page_row_count_limit(50)
                .set_write_batch_size(50)
                .set_column_dictionary_enabled("id".into(), false)
                .set_column_dictionary_enabled("fixed".into(), false);
            let mut bytes = Vec::new();
            let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            files.push(bytes);
        }
    }
    files
}

/// Reads the file in every way; whether all of them ended in batches.
fn read_all(bytes: Vec<u8>) -> bool {
    let storage = Memory::new();
    storage.put("f", Bytes::from(bytes)).unwrap();
    let options = ReaderOptions::default().with_memory_bytes(64 << 20).with_batch_rows(128).with_verify_crc(false);
    let file = match FileReader::open(storage.open("f").unwrap(), options) {
        Ok(file) => file,
        Err(e) => return broken(&e),
    };
    let mut is_whole = true;
    let predicate = col("id").gt(100).and(col("text").is_not_null());
    for options in [ScanOptions::default(), ScanOptions::default().with_predicate(predicate)] {
        let scan = match file.scan(options.with_limit(ROWS_MAX)) {
            Ok(scan) => scan,
            Err(e) => {
                is_whole = broken(&e);
                continue;
            }
        };
        for batch in scan {
            match batch {
                // What comes out is sound all through, not only at its surface.
                Ok(batch) => batch.columns().iter().for_each(|c| c.to_data().validate_full().unwrap()),
                Err(e) => is_whole = broken(&e),
            }
        }
    }
    let _ = file.metadata().map_err(|e| broken(&e));
    for group in 0..file.footer().groups.len().min(4) {
        for column in 0..file.parquet_schema().leaves.len() {
            let _ = file.pages(group, column).map_err(|e| broken(&e));
            let _ = file.column_index(group, column).map_err(|e| broken(&e));
            let _ = file.offset_index(group, column).map_err(|e| broken(&e));
        }
    }
    is_whole
}

fn broken(e: &Error) -> bool {
    if std::env::var("SHOW").is_ok() {
        eprintln!("{e}");
    }
    assert!(!matches!(e, Error::Io(_) | Error::Conflict(_)), "the disk is not at fault: {e}");
    assert!(e.to_string().starts_with("memory:f"), "{e}");
    false
}

#[test]
fn files_cut_short_are_errors() {
    for file in files() {
        for cut in (0..file.len()).step_by(11) {
            assert!(!read_all(file[..cut].to_vec()), "cut to {cut} of {}", file.len());
        }
        assert!(read_all(file));
    }
}

#[test]
fn any_byte_may_be_any_other() {
    let started = Instant::now();
    let mut broken = 0;
    let mut total = 0;
    for (seed, file) in files().into_iter().enumerate() {
        let mut x = 0x9E37_79B9_7F4A_7C15u64 + seed as u64;
        let mut random = || {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x
        };
        for at in (0..file.len()).step_by(7) {
            let mut bytes = file.clone();
            bytes[at] ^= 1 << (random() % 8);
            total += 1;
            broken += usize::from(!read_all(bytes));
        }
        for round in 0..250 {
            let mut bytes = file.clone();
            // The second half of the rounds works on the footer and the indexes.
            let from = if round % 2 == 0 { 0 } else { bytes.len() * 2 / 3 };
            for _ in 0..1 + random() % 4 {
                let at = from + random() as usize % (bytes.len() - from);
                bytes[at] = [0, 0xff, 0x7f, 0x80, random() as u8][random() as usize % 5];
            }
            if round % 10 == 0 {
                let at = random() as usize % bytes.len();
                let end = (at + random() as usize % 40).min(bytes.len());
                bytes.drain(at..end);
            }
            total += 1;
            broken += usize::from(!read_all(bytes));
        }
    }
    assert!(broken * 5 > total, "{broken} of {total}: much of what is broken is noticed, even without checksums");
    assert!(started.elapsed().as_secs() < 600, "no input takes long");
}
