//! For any data, written with any options: a scan that prunes gives what filtering everything gives, whichever steps it takes,
//! and whatever is wrong with the file's statistics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use generate::Random;
use generate::nested::array;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::{Encoding, FileMetaData, Statistics, Type, footer};
use hypostyle::parquet::read::{FileReader, Pruning, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{BloomFilters, ColumnOptions, Compatibility, FileWriter, PageVersion, WriterOptions};
use hypostyle::predicate::{Predicate, sql};
use hypostyle::storage::{Memory, Storage};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["c0", "c1", "c2"];

/// A column of values of this type, in a struct or a list or both or neither; its type, and how one asks for the values.
fn column(name: &str, leaf: DataType, shape: u64) -> (Field, String) {
    let list = |t| DataType::List(Arc::new(Field::new("element", t, true)));
    let group = |t| DataType::Struct(vec![Field::new("f", t, true)].into());
    let (data_type, path) = match shape {
        0..6 => (leaf, name.to_owned()),
        6 => (group(leaf), format!("{name}.f")),
        7 => (list(leaf), format!("any({name})")),
        8 => (list(group(leaf)), format!("any({name}.f)")),
        _ => (group(list(leaf)), format!("any({name}.f)")),
    };
    (Field::new(name, data_type, true), path)
}

/// The values at the end of lists and structs.
fn leaves(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::List(_) => leaves(array.as_list::<i32>().values()),
        DataType::Struct(_) => leaves(array.as_struct().column(0)),
        _ => Arc::clone(array),
    }
}

/// A value, as the condition has it.
fn literal(values: &ArrayRef, random: &mut Random) -> Option<String> {
    let at = random.below(values.len() as u64) as usize;
    if values.is_empty() || values.is_null(at) || random.below(20) == 0 {
        return Some("NULL".to_owned());
    }
    let text = arrow_cast::display::array_value_to_string(values, at).ok()?;
    Some(match values.data_type() {
        DataType::Boolean => text,
        t if t.is_floating() && !text.parse::<f64>().ok()?.is_finite() => format!("'{text}'"),
        t if t.is_numeric() => text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            format!("X'{text}'")
        }
        _ => format!("'{}'", text.replace('\'', "''")),
    })
}

/// A condition on a column.
fn condition(path: &str, values: &ArrayRef, random: &mut Random) -> Option<String> {
    let is_text = matches!(values.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    Some(match random.below(if is_text { 12 } else { 9 }) {
        0 => format!("{path} is null"),
        1 => format!("{path} between {} and {}", literal(values, random)?, literal(values, random)?),
        2 => {
            let count = 1 + random.below(14);
            let list = (0..count).map(|_| literal(values, random)).collect::<Option<Vec<_>>>()?;
            let not = if random.below(2) == 0 { "not " } else { "" };
            format!("{path} {not}in ({})", list.join(", "))
        }
        n @ 3..9 => {
            format!("{path} {} {}", ["=", "<>", "<", "<=", ">", ">="][n as usize - 3], literal(values, random)?)
        }
        n => {
            let text: String = literal(values, random)?.trim_matches('\'').chars().take(1 + n as usize % 3).collect();
            let text = text.replace(['%', '_', '\\', '\''], "");
            format!("{path} like '{}'", [format!("{text}%"), format!("%{text}%"), format!("{text}_%")][n as usize - 9])
        }
    })
}

fn tree(columns: &[(String, ArrayRef)], depth: u32, random: &mut Random) -> Option<String> {
    if depth == 0 || random.below(3) == 0 {
        let (path, values) = &columns[random.below(columns.len() as u64) as usize];
        return condition(path, values, random);
    }
    let mut below = || tree(columns, depth - 1, random);
    let (left, right) = (below()?, below()?);
    Some(match random.below(8) {
        0 => format!("not ({left})"),
        1 => format!("({left}) is not true"),
        2 => format!("({left}) is unknown"),
        3..6 => format!("({left}) and ({right})"),
        _ => format!("({left}) or ({right})"),
    })
}

fn options(random: &mut Random) -> WriterOptions {
    let mut one = |all: u64| random.below(all) as usize;
    let bloom_filter = [BloomFilters::Never, BloomFilters::Rate(0.01), BloomFilters::Bytes(32)][one(3)];
    let mut options = WriterOptions {
        compression: [Compression::Uncompressed, Compression::Snappy][one(2)],
        compatibility: [Compatibility::Universal, Compatibility::Modern][one(2)],
        page_version: [None, Some(PageVersion::V1), Some(PageVersion::V2)][one(3)],
        row_group_rows: 1 + one(60),
        page_rows: 1 + one(20),
        page_bytes: 20 + one(2000),
        dictionary: one(4) > 0,
        dictionary_bytes: 20 + one(3000),
        statistics: one(3) > 0,
        bounds_bytes_max: 1 + one(20),
        bloom_filter,
        int96: one(6) == 0,
        ..WriterOptions::default()
    };
    for name in NAMES {
        // Where it is asked for, there is one, whether it pays or not.
        let dictionary = [None, Some(true), Some(false)][one(3)];
        for path in [name.to_owned(), format!("{name}.f"), format!("{name}.list.element")] {
            options = options.with_column(path, ColumnOptions { dictionary, ..ColumnOptions::default() });
        }
    }
    options
}

fn write(batch: &RecordBatch, options: WriterOptions) -> Option<Bytes> {
    let memory = Memory::new();
    // Options for columns that are not there are refused.
    let schema = batch.schema();
    let there = |path: &str| schema.fields().iter().any(|f| f.name() == path && !f.data_type().is_nested());
    let options = WriterOptions { columns: options.columns.into_iter().filter(|(p, _)| there(p)).collect(), ..options };
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).ok()?;
    writer.write(batch).ok()?;
    writer.finish().unwrap();
    Some(memory.get("f").unwrap())
}

fn open(bytes: Bytes) -> FileReader {
    let memory = Memory::new();
    memory.put("f", bytes).unwrap();
    FileReader::open(memory.open("f").unwrap(), ReaderOptions::default().with_batch_rows(37)).unwrap()
}

fn read(file: &FileReader, options: ScanOptions) -> RecordBatch {
    let scan = file.scan(options).unwrap();
    let schema = scan.schema().clone();
    let batches: Vec<RecordBatch> = scan.map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn subsets() -> impl Iterator<Item = Pruning> {
    (0..16u8).map(|bits| Pruning {
        statistics: bits & 1 != 0,
        page_index: bits & 2 != 0,
        bloom_filters: bits & 4 != 0,
        dictionaries: bits & 8 != 0,
    })
}

/// Every subset of steps gives the rows that filtering gives; how many there are.
fn judge(file: &FileReader, text: &str) -> Option<usize> {
    let predicate: Predicate = sql::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    // Some types have no constants.
    let bound = predicate.bind(file.schema()).ok()?;
    let all = read(file, ScanOptions::default());
    let wanted = filter_record_batch(&all, &bound.evaluate(&all).unwrap()).unwrap();
    for pruning in subsets() {
        let options = ScanOptions::default().with_predicate(predicate.clone()).with_pruning(pruning);
        assert_eq!(read(file, options), wanted, "{text} with {pruning:?}");
    }
    Some(wanted.num_rows())
}

/// Columns of any types with few values, and a file of them.
fn file(types: &[(DataType, u64)], rows: usize, random: &mut Random) -> Option<(Bytes, Vec<(String, ArrayRef)>)> {
    let columns: Vec<(Field, String)> =
        types.iter().zip(NAMES).map(|((leaf, shape), name)| column(name, leaf.clone(), *shape)).collect();
    let schema = Schema::new(columns.iter().map(|(field, _)| field.clone()).collect::<Vec<_>>());
    let arrays: Vec<ArrayRef> = columns.iter().map(|(field, _)| array(field, rows, random)).collect();
    let batch = RecordBatch::try_new(Arc::new(schema), arrays.clone()).unwrap();
    // In order, bounds say more.
    let batch = match random.below(2) {
        0 if !batch.column(0).data_type().is_nested() => {
            let order = arrow_ord::sort::sort_to_indices(batch.column(0), None, None).ok()?;
            arrow_select::take::take_record_batch(&batch, &order).unwrap()
        }
        _ => batch,
    };
    let mut options = options(random);
    for field in batch.schema().fields() {
        if random.below(3) > 0 {
            continue;
        }
        let encodings: &[Encoding] = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                &[Encoding::DeltaByteArray, Encoding::DeltaByteArray, Encoding::DeltaLengthByteArray]
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => &[Encoding::DeltaByteArray],
            DataType::Int32 | DataType::Int64 => &[Encoding::DeltaBinaryPacked],
            _ => continue,
        };
        let encoding = Some(encodings[random.below(encodings.len() as u64) as usize]);
        let column = ColumnOptions { dictionary: Some(false), encoding, ..ColumnOptions::default() };
        options = options.with_column(field.name().clone(), column);
    }
    let bytes = write(&batch, options)?;
    Some((bytes, columns.into_iter().map(|(_, path)| path).zip(arrays.iter().map(leaves)).collect()))
}

fn types() -> impl Strategy<Value = Vec<(DataType, u64)>> {
    let all: Vec<DataType> =
        generate::every_type().into_iter().filter(|t| !matches!(t, DataType::Dictionary(..))).collect();
    prop::collection::vec((prop::sample::select(all), 0u64..10), 1..=3)
}

/// Makes the statistics of a chunk worse in one way, but not wrong.
fn spoil(statistics: &mut Statistics, physical: Type, is_signed: bool, random: &mut Random) {
    let is_fixed = physical != Type::ByteArray;
    let flip_zero = |bound: &mut Option<Vec<u8>>| {
        if let Some(bytes) = bound.as_mut().filter(|b| matches!(physical, Type::Float | Type::Double) && !b.is_empty())
        {
            let (last, rest) = bytes.split_last_mut().unwrap();
            if rest.iter().all(|&b| b == 0) && matches!(*last, 0 | 0x80) {
                *last ^= 0x80;
            }
        }
    };
    match random.below(9) {
        0 => statistics.min_value = None,
        1 => statistics.max_value = None,
        2 => statistics.null_count = None,
        3 => statistics.null_count = Some([-1, i64::MAX][random.below(2) as usize]),
        4 if is_fixed => statistics.max_value.iter_mut().for_each(|b| b.push(0)),
        5 if is_fixed => statistics.min_value.iter_mut().for_each(|b| b.truncate(b.len() - 1)),
        // One bound alone in the place of the other would be wrong, and nobody could tell.
        6 if statistics.min_value.is_some()
            && statistics.max_value.is_some()
            && statistics.min_value != statistics.max_value =>
        {
            std::mem::swap(&mut statistics.min_value, &mut statistics.max_value);
        }
        7 => {
            flip_zero(&mut statistics.min_value);
            flip_zero(&mut statistics.max_value);
            let nan = f64::NAN.to_le_bytes().to_vec();
            if physical == Type::Double && random.below(2) == 0 {
                (statistics.min_value, statistics.max_value) = (Some(nan.clone()), Some(nan));
            }
        }
        _ if !is_signed => {
            // The fields of old mean nothing in a column that is not of signed numbers.
            (statistics.min_value, statistics.max_value) = (None, None);
            (statistics.min, statistics.max) = (Some(vec![0; 4]), Some(vec![0; 4]));
        }
        _ => {
            (statistics.min, statistics.max) = (statistics.min_value.take(), statistics.max_value.take());
        }
    }
}

/// The file with other metadata.
fn with_metadata(bytes: &Bytes, metadata: &FileMetaData) -> Bytes {
    let tail: [u8; 4] = bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap();
    let mut changed = bytes[..bytes.len() - 8 - u32::from_le_bytes(tail) as usize].to_vec();
    changed.extend(footer::encode(metadata).unwrap());
    changed.into()
}

fn spoiled(bytes: &Bytes, random: &mut Random) -> Bytes {
    let file = open(bytes.clone());
    let mut metadata = file.metadata().unwrap().clone();
    let no_order = random.below(6) == 0;
    for group in &mut metadata.row_groups {
        for (at, chunk) in group.columns.iter_mut().enumerate() {
            let leaf = &file.parquet_schema().leaves[at];
            let is_signed = leaf.order == hypostyle::parquet::arrow::ValueOrder::Signed;
            let meta = chunk.meta_data.as_mut().unwrap();
            match (&mut meta.statistics, no_order) {
                (Some(statistics), true) => {
                    // Of an unknown order, bounds may be anything.
                    statistics.min_value = Some(vec![7; 4]);
                    statistics.max_value = Some(vec![9; 4]);
                }
                (Some(statistics), false) => spoil(statistics, meta.type_, is_signed, random),
                (None, _) => {}
            }
            if random.below(8) == 0 {
                meta.encoding_stats = None;
            }
        }
    }
    if no_order {
        metadata.column_orders = None;
    }
    with_metadata(bytes, &metadata)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pruning_changes_no_row(types in types(), rows in 1usize..150, seed in any::<u64>()) {
        let mut random = Random::new(seed);
        if let Some((bytes, columns)) = file(&types, rows, &mut random) {
            let file = open(bytes);
            for _ in 0..4 {
                if let Some(text) = tree(&columns, 2, &mut random) {
                    judge(&file, &text);
                }
            }
        }
    }

    #[test]
    fn spoiled_statistics_drop_nothing(types in types(), rows in 1usize..100, seed in any::<u64>()) {
        let mut random = Random::new(seed);
        if let Some((bytes, columns)) = file(&types, rows, &mut random) {
            let file = open(spoiled(&bytes, &mut random));
            for _ in 0..4 {
                if let Some(text) = tree(&columns, 2, &mut random) {
                    judge(&file, &text);
                }
            }
        }
    }
}

#[test]
fn the_model_finds_rows_in_nested_columns_too() {
    let mut random = Random::new(42);
    let mut found = [0; 10];
    for shape in 0..10 {
        for _ in 0..6 {
            let types = [(DataType::Utf8, shape), (DataType::Int64, (shape + 5) % 10)];
            let (bytes, columns) = file(&types, 120, &mut random).unwrap();
            let file = open(bytes);
            let (path, values) = &columns[0];
            let equal = literal(values, &mut random).unwrap();
            found[shape as usize] += judge(&file, &format!("{path} = {equal} or {path} like 's1%'")).unwrap();
        }
    }
    assert!(found.iter().all(|&rows| rows > 0), "{found:?}");
}
