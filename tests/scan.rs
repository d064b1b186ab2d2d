//! Scans with a predicate give what filtering everything gives: any data, options and predicates; and they read no more
//! than they need.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_array::{FixedSizeBinaryArray, ListArray, StringViewArray};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::read::{FileReader, PushDecoder, PushStep, ReaderOptions, ScanCounts, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, WriterOptions};
use hypostyle::predicate::{Predicate, col, sql};
use hypostyle::storage::{Input, Memory, Storage};
use hypostyle::{Error, MemoryBudget};
use proptest::prelude::*;

#[path = "scan/counts.rs"]
mod counts;
#[path = "scan/threads.rs"]
mod threads;

/// A number without a pattern for each row.
fn noise(seed: u64, row: usize) -> u64 {
    let mixed = (row as u64 ^ seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}

/// A column of each kind that decodes in its own way.
fn data(rows: usize, seed: u64) -> RecordBatch {
    let n = |row| noise(seed, row);
    let some = |row: usize, every: u64| !noise(seed + 1, row).is_multiple_of(every);
    let rows = 0..rows;
    let words = rows.clone().map(|r| some(r, 6).then(|| format!("w{}", n(r) % 5)));
    let views = rows.clone().map(|r| some(r, 5).then(|| format!("a value that is too long for its view {}", n(r) % 9)));
    let fixed = rows.clone().map(|r| some(r, 4).then(|| [n(r) as u8 % 3, 1, 2]));
    let lists = rows.clone().map(|r| some(r, 7).then(|| (0..n(r) % 4).map(|i| Some(i as i64)).collect::<Vec<_>>()));
    let float = |r: usize| match n(r) % 9 {
        0 => f64::NAN,
        1 => -0.0,
        2 => 0.0,
        value => value as f64 - 5.0,
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(rows.clone().map(|r| r as i64)))),
        ("cluster", Arc::new(rows.clone().map(|r| some(r, 11).then_some(r as i32 / 37)).collect::<Int32Array>())),
        ("few", Arc::new(rows.clone().map(|r| some(r, 3).then_some((n(r) % 7) as i64)).collect::<Int64Array>())),
        ("word", Arc::new(words.collect::<StringArray>())),
        ("text", Arc::new(StringArray::from_iter_values(rows.clone().map(|r| format!("t{}", n(r)))))),
        ("view", Arc::new(views.collect::<StringViewArray>())),
        ("float", Arc::new(rows.clone().map(|r| some(r, 8).then(|| float(r))).collect::<Float64Array>())),
        ("flag", Arc::new(rows.map(|r| some(r, 9).then(|| n(r) % 2 == 0)).collect::<BooleanArray>())),
        ("fixed", Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed, 3).unwrap())),
        ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn write(batch: &RecordBatch, options: WriterOptions) -> Memory {
    let storage = Memory::new();
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    storage
}

fn open(storage: &Memory, options: ReaderOptions) -> FileReader {
    FileReader::open(storage.open("f").unwrap(), options).unwrap()
}

fn read(file: &FileReader, options: ScanOptions) -> (RecordBatch, ScanCounts) {
    let mut scan = file.scan(options).unwrap();
    let batches: Vec<RecordBatch> = scan.by_ref().collect::<Result<_, _>>().unwrap();
    assert!(batches.iter().all(|batch| batch.num_rows() > 0));
    (concat_batches(scan.schema(), &batches).unwrap(), scan.counts())
}

/// The rows that match, by filtering everything.
fn filtered(batch: &RecordBatch, predicate: &Predicate) -> RecordBatch {
    let answers = predicate.bind(&batch.schema()).unwrap().evaluate(batch).unwrap();
    filter_record_batch(batch, &answers).unwrap()
}

/// The same with each row's number.
fn numbered(batch: &RecordBatch) -> RecordBatch {
    let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(0..batch.num_rows() as i64));
    let mut columns: Vec<(String, ArrayRef, bool)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| (field.name().clone(), array.clone(), field.is_nullable()))
        .collect();
    columns.push(("row".to_owned(), rows, false));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn cut(batch: &RecordBatch, offset: u64, limit: Option<u64>) -> RecordBatch {
    let offset = (offset as usize).min(batch.num_rows());
    let left = batch.num_rows() - offset;
    batch.slice(offset, limit.map_or(left, |limit| left.min(limit as usize)))
}

const ATOMS: &[&str] = &[
    "id < 150",
    "id between 100 and 400",
    "id >= 37",
    "cluster = 3",
    "cluster <> 2",
    "few in (1, 3)",
    "few is null",
    "few > 0",
    "word = 'w1'",
    "word <> 'w2'",
    "word like 'w%'",
    "word = 'nowhere'",
    "word is not null",
    "word in ('w0', 'w3', 'w4')",
    "(word = 'w1') is unknown",
    "text like '%7'",
    "text > 't5'",
    "view = 'a value that is too long for its view 4'",
    "view like '%3'",
    "float > 0",
    "float = 0",
    "flag",
    "not flag",
    "few = id",
    "cluster < few",
    "word < text",
];

fn atom() -> impl Strategy<Value = String> {
    prop::sample::select(ATOMS).prop_map(str::to_owned)
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let part = prop_oneof![
        5 => atom(),
        1 => (atom(), atom()).prop_map(|(a, b)| format!("({a} or {b})")),
        1 => (atom(), atom()).prop_map(|(a, b)| format!("not ({a} and {b})")),
    ];
    prop::collection::vec(part, 1..5).prop_map(|parts| sql::parse(&parts.join(" and ")).unwrap())
}

/// Small pages and groups, so that there are many in few rows.
fn writer_options() -> impl Strategy<Value = WriterOptions> {
    (20usize..700, 5usize..200, any::<bool>(), 50usize..3000, any::<bool>(), any::<bool>()).prop_map(
        |(group_rows, page_rows, dictionary, dictionary_bytes, statistics, compressed)| {
            WriterOptions::default()
                .with_row_group_rows(group_rows)
                .with_page_rows(page_rows)
                .with_dictionary(dictionary)
                .with_dictionary_bytes(dictionary_bytes)
                .with_statistics(statistics)
                .with_compression(if compressed { Compression::Snappy } else { Compression::Uncompressed })
        },
    )
}

#[derive(Debug, Clone)]
struct Wanted {
    predicate: Option<Predicate>,
    columns: Option<Vec<String>>,
    offset: u64,
    limit: Option<u64>,
    batch_rows: usize,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    const NAMES: &[&str] = &["id", "cluster", "few", "word", "text", "view", "float", "flag", "fixed", "list"];
    let columns = prop::sample::subsequence(NAMES, 0..=NAMES.len()).prop_shuffle();
    (
        prop::option::weighted(0.9, predicate()),
        prop::option::weighted(0.7, columns),
        prop_oneof![3 => Just(0u64), 1 => 0u64..200],
        prop::option::weighted(0.3, 0u64..300),
        prop_oneof![1usize..60, Just(8192)],
    )
        .prop_map(|(predicate, columns, offset, limit, batch_rows)| {
            let columns = columns.map(|names| names.into_iter().map(str::to_owned).collect());
            Wanted { predicate, columns, offset, limit, batch_rows }
        })
}

impl Wanted {
    fn options(&self) -> ScanOptions {
        let Wanted { predicate, columns, offset, limit, .. } = self.clone();
        ScanOptions { predicate, columns, offset, limit, ..ScanOptions::default() }.with_row_numbers("row")
    }

    /// What a scan must give.
    fn of(&self, batch: &RecordBatch) -> RecordBatch {
        let all = numbered(batch);
        let matching = self.predicate.as_ref().map_or(all.clone(), |predicate| filtered(&all, predicate));
        let matching = cut(&matching, self.offset, self.limit);
        match &self.columns {
            None => matching,
            Some(names) => {
                let places = names.iter().map(String::as_str).chain(["row"]).map(|n| all.schema().index_of(n).unwrap());
                matching.project(&places.collect::<Vec<_>>()).unwrap()
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_scan_gives_what_filtering_everything_gives(
        rows in 0usize..1500,
        seed in any::<u32>(),
        written in writer_options(),
        wanted in wanted(),
    ) {
        let batch = data(rows, u64::from(seed));
        let storage = write(&batch, written);
        let file = open(&storage, ReaderOptions::default().with_batch_rows(wanted.batch_rows));
        let (got, counts) = read(&file, wanted.options());
        prop_assert_eq!(&got, &wanted.of(&batch));
        prop_assert_eq!(counts.rows_returned, got.num_rows() as u64);
    }
}

/// Reads by feeding: of each request, the ranges in the order and in the pieces that `mix` makes of them.
fn fed(file: &FileReader, input: &dyn Input, options: ScanOptions, ahead: bool, mix: u64) -> (RecordBatch, u64) {
    let plan = file.plan(options).unwrap();
    let planned = plan.ranges();
    let is_planned = |range: &Range<u64>| planned.iter().any(|p| p.start <= range.start && range.end <= p.end);
    for group in plan.row_groups() {
        for range in group.columns.iter().flat_map(|(_, ranges)| ranges) {
            assert!(group.ranges.iter().any(|r| r.start <= range.start && range.end <= r.end));
        }
    }
    let mut decoder = plan.into_decoder();
    let mut given = 0;
    let mut feed = |decoder: &mut PushDecoder, mut ranges: Vec<Range<u64>>| {
        ranges.sort_by_key(|range| noise(mix, range.start as usize));
        for range in ranges {
            let cut = range.start + noise(mix + 1, range.start as usize) % (range.end - range.start);
            for piece in [cut..range.end, range.start..cut] {
                given += piece.end - piece.start;
                decoder.push(piece.start, input.read(piece.clone()).unwrap()).unwrap();
            }
        }
    };
    if ahead {
        feed(&mut decoder, planned.clone());
    }
    let mut batches = Vec::new();
    loop {
        match decoder.next_batch().unwrap() {
            PushStep::Batch(batch) => batches.push(batch),
            PushStep::Needs(ranges) => {
                assert!(!ahead && !ranges.is_empty() && ranges.iter().all(is_planned), "{ranges:?} of {planned:?}");
                feed(&mut decoder, ranges);
            }
            PushStep::End => break,
        }
    }
    assert!(matches!(decoder.next_batch(), Ok(PushStep::End)));
    (concat_batches(decoder.schema(), &batches).unwrap(), given)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_scan_that_is_fed_gives_the_same_and_asks_for_what_is_planned(
        rows in 0usize..1500,
        seed in any::<u32>(),
        written in writer_options(),
        wanted in wanted(),
        ahead in any::<bool>(),
        mix in 0u64..1000,
    ) {
        let batch = data(rows, u64::from(seed));
        let storage = write(&batch, written);
        let input = storage.open("f").unwrap();
        let file = open(&storage, ReaderOptions::default().with_batch_rows(wanted.batch_rows));
        let (got, given) = fed(&file, &*input, wanted.options(), ahead, mix);
        prop_assert_eq!(&got, &wanted.of(&batch));
        prop_assert!(given <= input.bytes());
        let planned = file.plan(wanted.options()).unwrap();
        if wanted.limit.is_none() && wanted.offset == 0 {
            prop_assert_eq!(given, planned.bytes());
        }
        let same: Vec<RecordBatch> = planned.into_scan().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(same.iter().map(RecordBatch::num_rows).sum::<usize>(), got.num_rows());
    }

    #[test]
    fn many_threads_give_what_one_gives(
        rows in 0usize..3000,
        seed in any::<u32>(),
        written in writer_options(),
        wanted in wanted(),
        threads in 2usize..5,
        unordered in any::<bool>(),
    ) {
        let batch = data(rows, u64::from(seed));
        let storage = write(&batch, written);
        let file = open(&storage, ReaderOptions::default().with_batch_rows(wanted.batch_rows));
        let options = wanted.options().with_threads(threads);
        let want = wanted.of(&batch);
        if !unordered {
            let (got, counts) = read(&file, options);
            prop_assert_eq!(&got, &want);
            prop_assert_eq!(counts.rows_returned, got.num_rows() as u64);
            return Ok(());
        }
        let (got, _) = read(&file, options.with_unordered(true));
        prop_assert_eq!(got.num_rows(), want.num_rows());
        let numbers = rows_of(&got);
        if wanted.limit.is_none() && wanted.offset == 0 {
            let order = arrow_ord::sort::sort_to_indices(&got["row"], None, None).unwrap();
            prop_assert_eq!(arrow_select::take::take_record_batch(&got, &order).unwrap(), want);
        } else {
            let all = Wanted { offset: 0, limit: None, ..wanted };
            let all = rows_of(&all.of(&batch));
            prop_assert!(numbers.iter().all(|number| all.contains(number)));
        }
    }
}

/// 10,000 rows in two groups, each of pages of 100.
fn regular() -> (RecordBatch, FileReader) {
    let batch = data(10_000, 7);
    let options = WriterOptions::default().with_row_group_rows(5_000).with_page_rows(100);
    let storage = write(&batch, options);
    (batch, open(&storage, ReaderOptions::default().with_batch_rows(1000)))
}

fn rows_of(batch: &RecordBatch) -> Vec<i64> {
    batch["row"].as_primitive::<Int64Type>().values().to_vec()
}
