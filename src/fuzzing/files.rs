//! Whole files: any bytes, a valid one that is edited, and a scan that prunes against one that does not.

use std::sync::{Arc, OnceLock};

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};

use super::Input;
use crate::error::{Error, Result};
use crate::parquet::compress::Compression;
use crate::parquet::read::{FileReader, Pruning, ReaderOptions, ScanOptions};
use crate::parquet::write::{BloomFilters, Compatibility, FileWriter, WriterOptions};
use crate::predicate::{Predicate, col};
use crate::storage::{Local, Memory, Storage};

/// Rows that a scan may give: a run of nulls is cheap to claim.
const ROWS_MAX: u64 = 20_000;

fn open(bytes: &[u8], views: bool) -> Result<FileReader> {
    let storage = Memory::new();
    storage.put("f", bytes.to_vec())?;
    open_in(&storage, "f", views)
}

fn open_in(storage: &dyn Storage, name: &str, views: bool) -> Result<FileReader> {
    let options = ReaderOptions::default().with_memory_bytes(64 << 20).with_batch_rows(100).with_views(views);
    FileReader::open(storage.open(name)?, options)
}

/// Reads a file in every way.
fn read(bytes: &[u8]) {
    let told = |e: &Error| assert!(e.to_string().starts_with("memory:f"), "an error without the file: {e}");
    let (plain, with_views) = (open(bytes, false), open(bytes, true));
    assert_eq!(plain.is_ok(), with_views.is_ok(), "strings as views decide whether a file opens");
    let (file, with_views) = match (plain, with_views) {
        (Ok(file), Ok(with_views)) => (file, with_views),
        (Err(e), _) | (_, Err(e)) => return told(&e),
    };
    let fields = file.schema().fields().clone();
    let mut scans = vec![ScanOptions::default().with_limit(ROWS_MAX)];
    if let Some(field) = fields.iter().find(|f| !f.data_type().is_nested()) {
        let condition = match field.data_type() {
            DataType::Int64 => col(field.name().as_str()).gt(7),
            _ => col(field.name().as_str()).is_not_null(),
        };
        let columns = fields.iter().rev().take(2).map(|f| f.name().clone());
        scans.push(ScanOptions::default().with_limit(ROWS_MAX).with_predicate(condition).with_columns(columns));
    }
    for (file, options) in scans.into_iter().flat_map(|options| [(&file, options.clone()), (&with_views, options)]) {
        let scan = match file.scan(options) {
            Ok(scan) => scan,
            Err(e) => {
                told(&e);
                continue;
            }
        };
        for batch in scan {
            match batch {
                Ok(batch) => assert!(batch.columns().iter().all(|c| c.to_data().validate_full().is_ok())),
                Err(e) => told(&e),
            }
        }
    }
    if file.rows() <= ROWS_MAX {
        file.verify().findings.iter().for_each(|f| told(&f.error));
    }
    for column in 0..file.parquet_schema().leaves.len().min(16) {
        let _ = file.pages(0, column);
        let _ = file.bloom_filter(0, column);
    }
}

/// Any bytes.
pub(super) fn file(bytes: &[u8]) {
    read(bytes);
}

/// A valid file with bytes of it changed.
pub(super) fn edited(bytes: &[u8]) {
    if let Some(changed) = edit(bytes) {
        read(&changed);
    }
}

/// The same on a disk, through a memory map: its batches are those of the bytes in memory, and outlive the file.
pub(super) fn mapped(bytes: &[u8]) {
    let Some(changed) = edit(bytes) else { return };
    let batches =
        |file: FileReader| file.scan(ScanOptions::default().with_limit(ROWS_MAX))?.collect::<Result<Vec<_>>>();
    let name = format!("hypostyle-fuzzing-{}-{:?}", std::process::id(), std::thread::current().id());
    let on_disk = || -> Result<Result<Vec<RecordBatch>>> {
        let disk = Local::new(std::env::temp_dir())?;
        let mut file = disk.create(&name)?;
        file.append(&changed)?;
        file.finish()?;
        let mapped = open_in(&disk, &name, true).and_then(batches);
        disk.remove(&name)?;
        Ok(mapped)
    };
    let mapped = on_disk();
    assert!(mapped.is_ok(), "the folder for temporary files: {:?}", mapped.err());
    match (mapped, open(&changed, true).and_then(batches)) {
        (Ok(Ok(mapped)), Ok(whole)) => assert_eq!(mapped, whole),
        (Ok(Err(mapped)), Err(whole)) => assert_eq!(mapped.message(), whole.message()),
        (mapped, whole) => assert!(mapped.is_err(), "mapped {mapped:?}, in memory {whole:?}"),
    }
}

/// A valid file with bytes of it changed, and the checksums of its pages made right: numbers of two bytes say where, one what.
fn edit(bytes: &[u8]) -> Option<Vec<u8>> {
    static VALID: OnceLock<Vec<Valid>> = OnceLock::new();
    let valid = VALID.get_or_init(|| {
        [Compatibility::Universal, Compatibility::Modern, Compatibility::Preview].map(Valid::new).into()
    });
    let mut input = Input(bytes);
    let valid = valid.get(usize::from(input.byte()) % valid.len())?;
    let mut changed = valid.bytes.clone();
    while !input.is_empty() {
        let (at, value) = (usize::from(input.short()), input.byte());
        let length = changed.len();
        if let Some(byte) = changed.get_mut(at % length) {
            *byte = value;
        }
    }
    for (body, crc) in &valid.pages {
        let sum = crc32fast::hash(changed.get(body.clone()).unwrap_or_default());
        // Checksums of 32 bits take five bytes as they are written here, whatever they are.
        if let Some(place) = changed.get_mut(crc.clone()) {
            place.copy_from_slice(&five_bytes(sum));
        }
    }
    Some(changed)
}

/// A file, with the places of its pages' bodies and of their checksums.
struct Valid {
    bytes: Vec<u8>,
    pages: Vec<(std::ops::Range<usize>, std::ops::Range<usize>)>,
}

impl Valid {
    fn new(compatibility: Compatibility) -> Valid {
        let mut options = WriterOptions::default().with_page_rows(20).with_row_group_rows(50);
        options.compatibility = compatibility;
        options.compression = Compression::Uncompressed;
        options.bloom_filter = BloomFilters::Bytes(64);
        let bytes = write(&batch(&(0..100).collect::<Vec<u8>>()), options).unwrap_or_default();
        let mut pages = Vec::new();
        if let Ok(file) = open(&bytes, false) {
            for group in 0..file.footer().groups.len() {
                for column in 0..file.parquet_schema().leaves.len() {
                    for page in file.pages(group, column).unwrap_or_default() {
                        let start = page.offset as usize;
                        let body = start + page.header_bytes;
                        let range = body..body + page.compressed_bytes;
                        let sum = five_bytes(crc32fast::hash(bytes.get(range.clone()).unwrap_or_default()));
                        let header = bytes.get(start..body).unwrap_or_default();
                        if let Some(at) = header.windows(5).position(|w| w == sum) {
                            pages.push((range, start + at..start + at + 5));
                        }
                    }
                }
            }
        }
        Valid { bytes, pages }
    }
}

/// The zigzag varint of a checksum, filled up to five bytes.
fn five_bytes(sum: u32) -> [u8; 5] {
    let signed = sum.cast_signed();
    let zigzag = ((signed << 1) ^ (signed >> 31)).cast_unsigned();
    let mut bytes = [0u8; 5];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (zigzag >> (7 * at)) as u8 & 0x7f | if at < 4 { 0x80 } else { 0 };
    }
    bytes
}

/// A row a byte.
fn batch(rows: &[u8]) -> RecordBatch {
    let numbers: Int64Array = rows.iter().map(|&b| (b % 7 != 3).then_some(i64::from(b))).collect();
    let texts: StringArray = rows.iter().map(|&b| (b % 5 != 1).then(|| format!("text {}", b % 30))).collect();
    let floats: Float64Array =
        rows.iter().map(|&b| Some(if b == 255 { f64::NAN } else { f64::from(b) / 4.0 })).collect();
    let flags: BooleanArray = rows.iter().map(|&b| (b % 3 != 2).then_some(b % 2 == 0)).collect();
    let lists = ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>(
        rows.iter()
            .map(|&b| (b % 11 != 4).then(|| (0..b % 4).map(|i| (i != 1).then_some(i32::from(b)))).map(Vec::from_iter)),
    );
    let columns: [ArrayRef; 5] =
        [Arc::new(numbers), Arc::new(texts), Arc::new(floats), Arc::new(flags), Arc::new(lists)];
    let fields: Vec<Field> = ["n", "t", "f", "b", "l"]
        .into_iter()
        .zip(&columns)
        .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
        .collect();
    let schema = Arc::new(arrow_schema::Schema::new(fields));
    RecordBatch::try_new(Arc::clone(&schema), columns.into()).unwrap_or_else(|_| RecordBatch::new_empty(schema))
}

fn write(batch: &RecordBatch, options: WriterOptions) -> Result<Vec<u8>> {
    let storage = Memory::new();
    let mut writer = FileWriter::new(storage.create("f")?, batch.schema(), options)?;
    writer.write(batch)?;
    writer.finish()?;
    let input = storage.open("f")?;
    Ok(input.read(0..input.bytes())?.to_vec())
}

/// Rows and a condition of the input's making: what pruning leaves out does not match.
pub(super) fn pruned(bytes: &[u8]) {
    let mut input = Input(bytes);
    let condition = condition(&mut input, 3);
    let mut options = WriterOptions::default()
        .with_page_rows(1 + usize::from(input.byte() % 40))
        .with_row_group_rows(1 + usize::from(input.byte()));
    options.dictionary = input.byte() % 2 == 0;
    if input.byte() % 2 == 0 {
        options.bloom_filter = BloomFilters::Bytes(32);
    }
    let Ok(file) = write(&batch(input.0), options).and_then(|bytes| open(&bytes, false)) else {
        assert!(input.0.is_empty(), "what can be written can be read");
        return;
    };
    let rows = |pruning: Pruning| -> Result<Vec<RecordBatch>> {
        file.scan(ScanOptions::default().with_predicate(condition.clone()).with_pruning(pruning))?.collect()
    };
    let (with, without) = (rows(Pruning::default()), rows(Pruning::NONE));
    match (with, without) {
        (Ok(with), Ok(without)) => {
            let all = |batches: &[RecordBatch]| arrow_select::concat::concat_batches(file.schema(), batches).ok();
            let (with, without) = (all(&with), all(&without));
            assert!(with.is_some() && same(with.as_ref(), without.as_ref()), "{condition}: {with:?} for {without:?}");
        }
        (Err(_), Err(_)) => {}
        (with, without) => assert!(with.is_ok() == without.is_ok(), "{condition}: {with:?} for {without:?}"),
    }
}

/// By bytes, so that NaN is NaN.
fn same(left: Option<&RecordBatch>, right: Option<&RecordBatch>) -> bool {
    let text = |batch: Option<&RecordBatch>| format!("{:?}", batch.map(RecordBatch::columns));
    text(left) == text(right)
}

fn condition(input: &mut Input<'_>, depth: u32) -> Predicate {
    let value = i64::from(input.byte());
    let kind = input.byte() % if depth == 0 { 9 } else { 12 };
    match kind {
        0 => col("n").gt(value),
        1 => col("n").le(value),
        2 => col("n").eq(value),
        3 => col("t").eq(format!("text {}", value % 32)),
        4 => col("t").lt(format!("text {}", value % 32)),
        5 => col("f").ge(value as f64 / 4.0),
        6 => col("b").eq(value % 2 == 0),
        7 => col("t").is_null(),
        8 => col("f").lt(value as f64 / 3.0),
        9 => condition(input, depth - 1).and(condition(input, depth - 1)),
        10 => condition(input, depth - 1).or(condition(input, depth - 1)),
        _ => !condition(input, depth - 1),
    }
}
