//! The fuzz targets without a fuzzer: what was found before is replayed, and seeds are changed at random for a while.
//!
//! `HYPOSTYLE_FUZZ_SECONDS=600 cargo test --test fuzzing` gives each target that long and prints what it did;
//! `HYPOSTYLE_FUZZ_TARGET` names one; `HYPOSTYLE_FUZZ_SEED` begins elsewhere. An input that fails is written to the folder
//! `HYPOSTYLE_FUZZ_OUT`, if there is one, and printed. `HYPOSTYLE_FUZZ_CORPUS` is a folder that takes each target's seeds, for another
//! fuzzer. See `fuzz/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use bytes::Bytes;
use generate::Random;
use hypostyle::fuzzing::{TARGETS, Target};
use hypostyle::parquet::format::{Encoding, Footer, Type, footer};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Inputs a target in `cargo test`.
const INPUTS: u64 = 100;
/// Bytes of an input at most.
const BYTES_MAX: usize = 24 << 10;

/// Those of the crate, and the one that needs the `parquet` crate.
fn targets() -> Vec<(&'static str, Target)> {
    TARGETS.iter().copied().chain([("arrow_rs", arrow_rs as Target)]).collect()
}

/// What both readers accept, they read alike.
fn arrow_rs(bytes: &[u8]) {
    let storage = Memory::new();
    storage.put("f", bytes.to_vec()).unwrap();
    let options = ReaderOptions::default().with_memory_bytes(64 << 20);
    let Ok(file) = FileReader::open(storage.open("f").unwrap(), options) else { return };
    // INT96 of more nanoseconds than a day has is nothing that readers agree on.
    let is_odd = file.parquet_schema().leaves.iter().any(|leaf| leaf.physical == Type::Int96);
    if file.rows() > 20_000 || is_odd {
        return;
    }
    let Ok(ours) = file.scan(ScanOptions::default()).and_then(Iterator::collect::<hypostyle::Result<Vec<_>>>) else {
        return;
    };
    // It is known to panic on some broken files.
    let theirs = std::panic::catch_unwind(|| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).ok()?.build().ok()?;
        reader.collect::<Result<Vec<_>, _>>().ok()
    });
    let Ok(Some(theirs)) = theirs else { return };
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    let (ours_rows, theirs_rows) = (rows(&ours), rows(&theirs));
    assert_eq!(ours_rows as u64, file.rows(), "the rows that the footer tells of");
    // Where the pages hold others, it goes by these.
    if ours_rows != theirs_rows {
        return;
    }
    let Some(schema) = theirs.first().map(RecordBatch::schema) else { return };
    let whole =
        |schema: &Arc<Schema>, batches: &[RecordBatch]| arrow_select::concat::concat_batches(schema, batches).unwrap();
    let (ours, theirs) = (whole(file.schema(), &ours), whole(&schema, &theirs));
    for (at, field) in schema.fields().iter().enumerate() {
        // Where types differ, they were read by different rules, not wrongly.
        if ours.column(at).data_type() == theirs.column(at).data_type() {
            let is_known = || may_differ(field.data_type()) || has_bit_packed_levels(&file);
            assert!(ours.column(at) == theirs.column(at) || is_known(), "column {}", field.name());
        }
    }
}

/// The deprecated packing begins with the highest bit by its specification, and with the lowest one in the parquet crate and PyArrow.
fn has_bit_packed_levels(file: &FileReader) -> bool {
    let chunks = (0..file.footer().groups.len())
        .flat_map(|group| (0..file.parquet_schema().leaves.len()).map(move |column| (group, column)));
    chunks
        .flat_map(|(group, column)| file.pages(group, column).unwrap_or_default())
        .any(|page| page.definition_level_encoding == Some(Encoding::BitPacked))
}

/// NaN is not equal to itself; of an integer that is beyond its annotation the parquet crate makes a null, where the low bits are kept
/// here, as by PyArrow.
fn may_differ(data_type: &DataType) -> bool {
    let is_narrow = matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16);
    is_narrow || data_type.is_floating() || data_type.is_nested()
}

#[test]
fn what_was_found_before_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/regressions");
    let mut replayed = 0;
    for (name, target) in targets() {
        let Ok(entries) = std::fs::read_dir(folder.join(name)) else { continue };
        for entry in entries {
            let input = std::fs::read(entry.unwrap().path()).unwrap();
            target(&input);
            replayed += 1;
        }
    }
    assert!(replayed > 0, "there are inputs in {}", folder.display());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(targets().iter().any(|(target, _)| *target == name), "{name} is no target");
    }
}

#[test]
fn every_target_returns_whatever_it_is_given() {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let seconds = number("HYPOSTYLE_FUZZ_SECONDS");
    let only = std::env::var("HYPOSTYLE_FUZZ_TARGET").ok();
    let seed = number("HYPOSTYLE_FUZZ_SEED").unwrap_or(1);
    if seconds.is_some() {
        println!("{:<26}{:>12}{:>10}", "target", "executions", "seconds");
    }
    let goldens = goldens();
    for (name, target) in targets() {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        // Each has its own, so that what one takes of the time changes nothing for the others.
        let mut random = Random::new(seed ^ u64::from(crc32fast::hash(name.as_bytes())) << 32);
        // Two readers may differ on what is broken without one of them being wrong, so by the clock only where somebody looks.
        let seconds = seconds.filter(|_| name != "arrow_rs" || only.is_some());
        let mut corpus = seeds(name, &goldens);
        assert!(!corpus.is_empty(), "{name} has seeds");
        if let Ok(folder) = std::env::var("HYPOSTYLE_FUZZ_CORPUS") {
            corpus.iter().for_each(|seed| keep(Path::new(&folder), name, seed));
        }
        corpus.iter().for_each(|seed| run(name, target, seed));
        let started = Instant::now();
        let mut executions = corpus.len() as u64;
        let first = corpus.len();
        loop {
            let goes_on = match seconds {
                Some(seconds) => started.elapsed() < Duration::from_secs(seconds),
                None => executions < first as u64 + INPUTS,
            };
            if !goes_on {
                break;
            }
            let input = change(&corpus, &mut random);
            run(name, target, &input);
            executions += 1;
            // A change on a change now and then; there is no feedback that says which are worth it.
            if random.below(50) == 0 && input.len() <= BYTES_MAX {
                let at = first + random.below(64) as usize;
                if at < corpus.len() { corpus[at] = input } else { corpus.push(input) }
            }
        }
        if seconds.is_some() {
            println!("{name:<26}{executions:>12}{:>10}", started.elapsed().as_secs());
        }
    }
}

/// Writes an input to the target's part of the folder.
fn keep(folder: &Path, name: &str, input: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join(format!("{:08x}", crc32fast::hash(input))), input).unwrap();
}

/// Runs a target; keeps the input if it fails.
fn run(name: &str, target: Target, input: &[u8]) {
    if std::panic::catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        if let Ok(folder) = std::env::var("HYPOSTYLE_FUZZ_OUT") {
            keep(Path::new(&folder), name, input);
        }
        let hex: String = input.iter().take(2000).map(|b| format!("{b:02x}")).collect();
        panic!("target {name} fails on {} bytes: {hex}", input.len());
    }
}

/// An input of the corpus, changed in some places.
fn change(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len() as u64) as usize].clone();
    for _ in 0..1 + random.below(4) {
        let length = input.len() as u64;
        let at = random.below(length + 1) as usize;
        match random.below(9) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.next() as u8,
            2 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5) as usize],
            3 => input.truncate(at),
            4 => input.insert(at, random.next() as u8),
            5 => {
                let end = (at + 1 + random.below(16) as usize).min(input.len());
                input.drain(at..end);
            }
            6 => {
                // A piece of the input, or of another, once more.
                let from = &corpus[random.below(corpus.len() as u64) as usize];
                let start = random.below(from.len() as u64 + 1) as usize;
                let end = (start + random.below(64) as usize).min(from.len());
                input.splice(at..at, from[start..end].iter().copied());
            }
            7 => {
                // A number of 32 bits.
                let value = [0, 1, i32::MAX, -1, i32::MIN, length as i32][random.below(6) as usize];
                let end = (at + 4).min(input.len());
                input.splice(at..end, value.to_le_bytes());
            }
            _ => {
                let end = (at + random.below(32) as usize).min(input.len());
                input[at..end].fill(random.next() as u8);
            }
        }
    }
    input.truncate(BYTES_MAX * 2);
    input
}

/// The small golden files.
fn goldens() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let mut files = Vec::new();
    for folder in [folder.clone(), folder.join("others"), folder.join("encrypted")] {
        let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "parquet"));
        paths.sort();
        files.extend(paths.iter().map(|path| std::fs::read(path).unwrap()).filter(|bytes| bytes.len() <= BYTES_MAX));
    }
    files
}

/// Valid inputs of a target, and some that are nothing.
fn seeds(name: &str, goldens: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let text = |lines: &[&str]| lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
    let pages = |kind: fn(&[u8], std::ops::Range<usize>, usize) -> Vec<u8>| {
        let mut seeds = Vec::new();
        for bytes in goldens {
            let storage = Memory::new();
            storage.put("f", bytes.clone()).unwrap();
            let Ok(file) = FileReader::open(storage.open("f").unwrap(), ReaderOptions::default()) else { continue };
            for column in 0..file.parquet_schema().leaves.len() {
                for page in file.pages(0, column).unwrap_or_default().iter().take(2) {
                    let start = page.offset as usize;
                    seeds.push(kind(bytes, start..start + page.header_bytes, page.compressed_bytes));
                }
            }
        }
        seeds
    };
    let mut seeds = match name {
        "footer" => goldens
            .iter()
            .filter_map(|bytes| {
                let (range, _) = footer::locate(*bytes.last_chunk()?, bytes.len() as u64).ok()?;
                Some(bytes[range.start as usize..range.end as usize].to_vec())
            })
            .collect(),
        "page_header" => pages(|bytes, header, _| bytes[header].to_vec()),
        "page_index" | "bloom_filter" => indexes(goldens),
        "file" | "arrow_rs" => goldens.to_vec(),
        "condition" => text(&[
            "a = 1",
            "carrier = 'UA' and dep_delay > 60",
            "a in (1, 2, 3) or not (b like 'x%' and c is not null)",
            "t >= timestamp '2013-01-01T00:00:00Z' and d between date '2013-01-01' and date '2013-02-01'",
            "\"odd name\" <> -1.5e3 and a.b.c is null",
        ]),
        "table_log" => text(&[concat!(
            r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
            "\n",
            r#"{"metaData":{"id":"a","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"x\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{}}}"#,
            "\n",
            r#"{"add":{"path":"a.parquet","partitionValues":{},"size":10,"modificationTime":0,"dataChange":true,"stats":"{\"numRecords\":1}"}}"#,
            "\n",
            r#"{"txn":{"appId":"a","version":1}}"#,
            "\n\0",
            r#"{"remove":{"path":"a.parquet","deletionTimestamp":1,"dataChange":true}}"#,
            "\n",
            r#"{"domainMetadata":{"domain":"d","configuration":"{}","removed":false}}"#,
            "\n",
        )]),
        "table_checkpoint" => {
            let parquet = include_bytes!("data/delta-rs.checkpoint.parquet");
            let json = [
                r#"{"checkpointMetadata":{"version":4}}"#,
                r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
                r#"{"metaData":{"id":"a","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"kind\",\"type\":\"string\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{}}}"#,
                &format!(r#"{{"sidecar":{{"path":"s","sizeInBytes":{},"modificationTime":1}}}}"#, parquet.len()),
            ];
            vec![parquet.to_vec(), [json.join("\n").as_bytes(), b"\0", parquet].concat()]
        }
        "ndjson_log" => text(&["{\"a\":1}\n{\"a\":2}\r\n\n{\"b\":\"x\\n\"}\n", "\u{feff}{}\n[1]\nnull"]),
        "ingest_state" => text(&[
            r#"{"version":1,"epoch":3,"resume":10,"resume_records":2,"position":20,"position_records":4,"done":{"5":15},"books":{},"rules":{},"identity":{}}"#,
        ]),
        _ => {
            let mut seeds = pages(|bytes, header, body| bytes[header.end..header.end + body].to_vec());
            // The target's choices stand before what it works on.
            for first in [0u8, 1, 2, 3, 4, 6, 7, 8, 17, 32] {
                seeds.push([&[first, 16, 1][..], &[first; 40]].concat());
            }
            seeds
        }
    };
    seeds.push(Vec::new());
    seeds.push((0..=255).collect());
    seeds.retain(|seed| seed.len() <= BYTES_MAX);
    seeds
}

/// The bytes of page indexes and Bloom filters.
fn indexes(goldens: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for bytes in goldens {
        let storage = Memory::new();
        storage.put("f", bytes.clone()).unwrap();
        let Ok(file) = FileReader::open(storage.open("f").unwrap(), ReaderOptions::default()) else { continue };
        let footer: &Footer = file.footer();
        for column in 0..footer.groups.first().map_or(0, |group| group.columns) {
            let Ok(chunk) = file.chunk(0, column) else { continue };
            let mut push = |offset: Option<i64>, length: Option<i32>| {
                if let (Some(offset), Some(length)) = (offset, length) {
                    seeds.extend(bytes.get(offset as usize..(offset + i64::from(length)) as usize).map(<[u8]>::to_vec));
                }
            };
            push(chunk.column_index_offset, chunk.column_index_length);
            push(chunk.offset_index_offset, chunk.offset_index_length);
            if let Some(meta) = &chunk.meta_data {
                push(meta.bloom_filter_offset, meta.bloom_filter_length);
            }
        }
    }
    seeds
}
