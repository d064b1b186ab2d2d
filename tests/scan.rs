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

/// One long row group: threads divide it.
#[test]
fn a_row_group_is_divided_among_threads() {
    let rows = 300_000;
    let few = Int64Array::from_iter_values((0..rows).map(|r| (noise(5, r) % 10) as i64));
    let words = StringArray::from_iter_values((0..rows).map(|r| format!("word {}", noise(6, r) % 50_000)));
    let columns: [(&str, ArrayRef); 2] = [("few", Arc::new(few)), ("word", Arc::new(words))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let storage = write(&batch, WriterOptions::default());
    let memory = MemoryBudget::new(64 << 20);
    let file = open(&storage, ReaderOptions::default().with_memory(memory.clone()));
    assert_eq!(file.footer().groups.len(), 1);
    for predicate in [None, Some(sql::parse("few = 3 and word like '%7'").unwrap())] {
        let options = ScanOptions { predicate, ..ScanOptions::default() };
        let (one, counts_of_one) = read(&file, options.clone());
        let (many, counts) = read(&file, options.clone().with_threads(3));
        assert_eq!(one, many);
        assert_eq!((counts.row_groups_read, counts.rows_read), (1, counts_of_one.rows_read));
        // Pages at the borders are decoded by both sides.
        assert!(counts.pages_read >= counts_of_one.pages_read && counts.pages_read <= counts_of_one.pages_read + 8);
        let cut = options.with_threads(2).with_offset(10).with_limit(20_000);
        assert_eq!(read(&file, cut).0, cut_of(&one, 10, 20_000));
    }
    assert!(memory.peak() > 0 && memory.used() < memory.peak());
}

fn cut_of(batch: &RecordBatch, offset: u64, limit: u64) -> RecordBatch {
    cut(batch, offset, Some(limit))
}

/// However little memory there is: where one thread has enough, many have, and they keep to it.
#[test]
fn threads_keep_to_the_budget_of_one() {
    let batch = data(20_000, 11);
    let storage = write(&batch, WriterOptions::default().with_row_group_rows(1000).with_dictionary(false));
    // Threads have rows each with a predicate, columns each without.
    for predicate in [Some(sql::parse("few > 0 or few is null").unwrap()), None] {
        keep_to_the_budget_of_one(&storage, &predicate);
    }
}

fn keep_to_the_budget_of_one(storage: &Memory, predicate: &Option<Predicate>) {
    let scan = |bytes: usize, threads: usize| -> Result<RecordBatch, Error> {
        let memory = MemoryBudget::new(bytes);
        let reader = ReaderOptions::default().with_batch_rows(500).with_memory(memory.clone());
        let file = FileReader::open(storage.open("f").unwrap(), reader)?;
        let options = ScanOptions { predicate: predicate.clone(), ..ScanOptions::default() };
        let scan = file.scan(options.with_threads(threads))?;
        let schema = scan.schema().clone();
        let batches = scan.collect::<Result<Vec<_>, _>>()?;
        assert!(memory.peak() <= bytes);
        Ok(concat_batches(&schema, &batches).unwrap())
    };
    let want = scan(64 << 20, 1).unwrap();
    // The least that one thread can do with.
    let (mut low, mut high) = (1 << 10, 64 << 20);
    while high - low > 1 << 10 {
        let middle = (low + high) / 2;
        match scan(middle, 1) {
            Ok(_) => high = middle,
            Err(e) => {
                assert!(matches!(e, Error::Limit(_)), "{e}");
                low = middle;
            }
        }
    }
    // A few columns' buffers differ in when they grow.
    for bytes in [high + high / 4, high * 2, high * 4] {
        for threads in [2, 4] {
            let got = scan(bytes, threads).unwrap();
            assert_eq!(got, want, "{bytes} bytes, {threads} threads");
        }
    }
    assert!(matches!(scan(low / 2, 4), Err(Error::Limit(_))));
}

/// Several columns of about the same weight: threads divide these, and each page is opened once, as by one thread.
#[test]
fn columns_are_divided_among_threads() {
    let rows = 100_000;
    let number =
        |seed| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..rows).map(|r| noise(seed, r) as i64))) };
    let few: ArrayRef = Arc::new(Int64Array::from_iter((0..rows).map(|r| (r % 7 != 0).then_some((r % 90) as i64))));
    let words = (0..rows).map(|r| format!("{}", noise(9, r) % 300));
    let mut columns: Vec<(String, ArrayRef)> = (0..5).map(|n| (format!("n{n}"), number(n))).collect();
    columns.extend([("few".into(), few), ("word".into(), Arc::new(StringArray::from_iter_values(words)))]);
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let storage = write(&batch, WriterOptions::default().with_row_group_rows(30_000));
    for batch_rows in [700, 8192, 64 << 10] {
        let memory = MemoryBudget::new(64 << 20);
        let file = open(&storage, ReaderOptions::default().with_memory(memory.clone()).with_batch_rows(batch_rows));
        for (offset, limit) in [(0, None), (10, Some(60_000)), (31_000, None), (200_000, None), (0, Some(30_000))] {
            let options = ScanOptions { offset, limit, row_numbers: Some("at".into()), ..ScanOptions::default() };
            let scan = |threads: usize| {
                let mut scan = file.scan(options.clone().with_threads(threads)).unwrap();
                let batches: Vec<RecordBatch> = scan.by_ref().collect::<Result<_, _>>().unwrap();
                (batches, scan.counts(), scan.column_counts())
            };
            let (one, mut counts_of_one, columns_of_one) = scan(1);
            for threads in [2, 3] {
                let (many, counts, columns) = scan(threads);
                assert_eq!(one, many, "{offset} {limit:?} on {threads}");
                // Row groups before the offset are not begun at all; pages behind the limit not fetched.
                if offset == 0 && limit.is_none() {
                    assert_eq!((counts, &columns), (counts_of_one, &columns_of_one), "on {threads}");
                }
                counts_of_one.row_groups_read = counts.row_groups_read;
                assert_eq!(counts.rows_returned, counts_of_one.rows_returned);
            }
        }
        // One that nobody reads to its end lets go of everything.
        let mut scan = file.scan(ScanOptions::default().with_threads(2)).unwrap();
        assert_eq!(scan.next().unwrap().unwrap().num_rows(), batch_rows.min(rows));
        assert!(memory.used() > 0);
        drop((scan, file));
        assert_eq!(memory.used(), 0);
    }
}

#[test]
fn an_error_ends_a_scan_of_many_threads_where_its_rows_would_be() {
    let batch = data(10_000, 5);
    let storage = write(&batch, WriterOptions::default().with_row_group_rows(1000).with_crc(true));
    let file = open(&storage, ReaderOptions::default());
    let broken_at = file.row_group_start(6).unwrap().unwrap();
    let input = storage.open("f").unwrap();
    let mut bytes = input.read(0..input.bytes()).unwrap().to_vec();
    bytes[broken_at as usize + 60..][..40].fill(0xff);
    storage.put("f", bytes).unwrap();
    let file = open(&storage, ReaderOptions::default().with_batch_rows(500));
    let mut scan = file.scan(ScanOptions::default().with_threads(3)).unwrap();
    let mut rows = 0;
    let e = loop {
        match scan.next().unwrap() {
            Ok(batch) => rows += batch.num_rows(),
            Err(e) => break e,
        }
    };
    assert_eq!(rows, 6000);
    assert!(matches!(e, Error::Corrupt(_)) && e.place().byte >= Some(broken_at), "{e}");
    assert!(scan.next().is_none());
}

#[test]
fn a_scan_is_planned_before_anything_is_fetched() {
    let (_, file) = regular();
    let options = ScanOptions::default().with_columns(["few", "word"]);
    let plan = file.plan(options.clone().with_predicate(sql::parse("id between 6010 and 6080").unwrap())).unwrap();
    let [group] = plan.row_groups() else { unreachable!("one group can match") };
    assert_eq!((group.row_group, group.rows), (1, 100));
    let names: Vec<&str> = group.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["id", "few", "word"]);
    // A page, and where there is one the dictionary.
    assert!(group.columns.iter().all(|(_, ranges)| (1..=2).contains(&ranges.len())), "{group:?}");
    assert!(plan.bytes() < file.bytes() / 10);
    assert_eq!((plan.counts().row_groups_skipped, plan.counts().bytes_read), (1, 0));
    let far = plan.with_gap_bytes(u64::MAX);
    assert_eq!(far.ranges().len(), 1);
    let mut decoder = far.into_decoder();
    let e = decoder.push(u64::MAX - 1, vec![0; 3].into()).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)), "{e}");
}

#[test]
fn what_is_fed_is_of_the_budget_until_its_group_has_been_read() {
    let (batch, options) = (data(10_000, 7), WriterOptions::default().with_row_group_rows(2_000).with_page_rows(100));
    let storage = write(&batch, options);
    let input = storage.open("f").unwrap();
    let budget = MemoryBudget::new(64 << 20);
    let whole = usize::try_from(input.bytes()).unwrap();
    // Of five groups, two are not too many to be given ahead.
    let memory_bytes = 2 << 20;
    let options = ReaderOptions::default().with_memory_bytes(memory_bytes).with_memory(budget.clone());
    let file = open(&storage, options.with_batch_rows(500));
    let before = budget.used();
    let plan = file.plan(ScanOptions::default()).unwrap();
    let ranges: Vec<Vec<Range<u64>>> = plan.row_groups().iter().map(|group| group.ranges.clone()).collect();
    let mut decoder = plan.into_decoder();
    let push = |decoder: &mut PushDecoder, range: &Range<u64>| decoder.push(range.start, input.read(range.clone())?);
    let bytes = |group: usize| ranges[group].iter().map(|r| (r.end - r.start) as usize).sum::<usize>();
    assert_eq!(ranges.len(), 5);
    ranges[0].iter().for_each(|range| push(&mut decoder, range).unwrap());
    assert_eq!(budget.used() - before, bytes(0));
    // Bytes that nobody asked for, again and again, until half of the budget is full.
    let mut given = 0;
    let e = loop {
        match push(&mut decoder, &ranges[3][0]) {
            Ok(()) => given += ranges[3][0].end - ranges[3][0].start,
            Err(e) => break e,
        }
    };
    assert!(matches!(e, Error::Limit(_)) && e.to_string().contains("take batches first"), "{e}");
    let used = budget.used() - before;
    assert_eq!(used, bytes(0) + given as usize);
    assert!(used <= memory_bytes / 2 && used + whole > memory_bytes / 2, "{used}");
    // What is asked for has the other half, and the decoder is none the worse.
    let mut rows = 0;
    loop {
        match decoder.next_batch().unwrap() {
            PushStep::Batch(batch) => rows += batch.num_rows(),
            PushStep::Needs(ranges) => ranges.iter().for_each(|range| push(&mut decoder, range).unwrap()),
            PushStep::End => break,
        }
    }
    assert_eq!(rows, 10_000);
    drop(decoder);
    assert_eq!(budget.used(), before);

    // What is asked for has to have room, too.
    assert!(whole > 64 << 10);
    let file = open(&storage, ReaderOptions::default().with_memory_bytes(64 << 10));
    let mut decoder = file.plan(ScanOptions::default()).unwrap().into_decoder();
    let e = push(&mut decoder, &(0..input.bytes())).unwrap_err();
    assert!(matches!(e, Error::Limit(_)) && e.to_string().contains("raise memory_bytes"), "{e}");
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

#[test]
fn row_numbers_are_places_in_the_file_whatever_is_left_out() {
    let (_, file) = regular();
    let all = |options: ScanOptions| rows_of(&read(&file, options.with_row_numbers("row")).0);
    let none = ScanOptions::default().with_columns([] as [&str; 0]);
    assert_eq!(all(none.clone()), (0..10_000).collect::<Vec<_>>());
    assert_eq!(all(none.clone().with_row_groups([1, 0])), (5000..10_000).chain(0..5000).collect::<Vec<_>>());
    let some = none.clone().with_predicate(sql::parse("id between 7123 and 7125 or id = 3").unwrap());
    assert_eq!(all(some), [3, 7123, 7124, 7125]);
    let middle = file.row_group_start(1).unwrap().unwrap();
    assert_eq!(all(none.clone().with_byte_range(middle..u64::MAX)), (5000..10_000).collect::<Vec<_>>());
    assert_eq!(all(none.clone().with_offset(4998).with_limit(4)), [4998, 4999, 5000, 5001]);

    let among = ScanOptions::default().with_columns(["row", "id"]).with_row_numbers("row").with_limit(1);
    assert_eq!(read(&file, among).0.schema().field(0).name(), "row");
    let e = file.scan(ScanOptions::default().with_row_numbers("id")).unwrap_err();
    assert!(e.to_string().contains("row numbers as id: there is a column of that name"), "{e}");
}

#[test]
fn an_offset_passes_over_groups_and_sure_rows_without_reading_them() {
    let (_, file) = regular();
    let ids = |batch: &RecordBatch| batch["id"].as_primitive::<Int64Type>().values().to_vec();
    let options = ScanOptions::default().with_columns(["id"]).with_offset(9990);
    let (batch, counts) = read(&file, options);
    assert_eq!(ids(&batch), (9990..10_000).collect::<Vec<_>>());
    assert!(counts.bytes_read < counts.bytes_skipped / 10 && counts.rows_read == 10, "{counts:?}");
    // Bounds say of all pages but one that each row matches.
    let options = ScanOptions::default().with_columns(["id"]).with_predicate(col("id").gt(50)).with_offset(4049);
    let (batch, counts) = read(&file, options.with_limit(3));
    assert_eq!(ids(&batch), [4100, 4101, 4102]);
    assert_eq!((counts.rows_read, counts.pages_read), (100, 2), "{counts:?}");
    assert_eq!(read(&file, ScanOptions::default().with_offset(10_000)).0.num_rows(), 0);
    assert_eq!(read(&file, ScanOptions::default().with_offset(u64::MAX)).0.num_rows(), 0);
}

#[test]
fn what_bounds_are_sure_of_is_not_evaluated() {
    let (batch, file) = regular();
    let predicate = sql::parse("id >= 2050 and id < 9999").unwrap();
    let options = ScanOptions::default().with_columns(["few"]).with_predicate(predicate.clone());
    let (got, counts) = read(&file, options);
    let names = [batch.schema().index_of("few").unwrap()];
    assert_eq!(got, filtered(&batch, &predicate).project(&names).unwrap());
    // The page that holds 2050, and the last one.
    assert_eq!(counts.rows_read, 200, "{counts:?}");
}

#[test]
fn a_condition_that_bounds_decide_is_not_read() {
    let (_, file) = regular();
    // True of the second group as a whole.
    let predicate = sql::parse("id >= 5000 and word = 'w1'").unwrap();
    let one = |text: &str| ScanOptions::default().with_columns(["word"]).with_predicate(sql::parse(text).unwrap());
    let both = read(&file, one("id >= 5000 and word = 'w1'")).1;
    let word = read(&file, one("word = 'w1'").with_row_groups([1])).1;
    assert_eq!((both.bytes_read, both.pages_read), (word.bytes_read, word.pages_read), "{predicate}");
}

#[test]
fn the_order_of_conditions_is_learned() {
    let rows = 60_000;
    let batch = {
        let texts = (0..rows).map(|r| format!("{:x}{:x}{:x}", noise(1, r), noise(2, r), noise(3, r)));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        // Rare, in 4 runs; a number that bounds do not decide.
        let kind: ArrayRef = Arc::new(Int64Array::from_iter_values(
            (0..rows).map(|r| i64::from(r % 15_000 == 7_777) + (r as i64 % 2) * 2),
        ));
        RecordBatch::try_from_iter([("text", text), ("kind", kind)]).unwrap()
    };
    let options = WriterOptions::default().with_page_rows(500).with_statistics(true);
    let plain = ColumnOptions { dictionary: Some(false), ..ColumnOptions::default() };
    let storage = write(&batch, options.with_column("text", plain).with_column("kind", plain));
    let file = open(&storage, ReaderOptions::default().with_batch_rows(2000));
    // The wide column is named first, and rules nothing out.
    for text in ["text <> 'x' and kind = 1", "kind = 1 and text <> 'x'", "text like '%' and kind = 1"] {
        let predicate = sql::parse(text).unwrap();
        let options = ScanOptions::default().with_columns(["kind"]).with_predicate(predicate.clone());
        let (got, counts) = read(&file, options);
        assert_eq!(got.num_rows(), filtered(&batch, &predicate).num_rows(), "{text}");
        // All 120 pages of `kind`; of `text`, some of the first window and those with a row of that kind.
        assert!((120..=128).contains(&counts.pages_read), "{text}: {counts:?}");
    }
}

#[test]
fn a_window_without_a_match_decodes_no_other_column() {
    let (_, file) = regular();
    let options = ScanOptions::default().with_predicate(sql::parse("few = 9 or text = 'none'").unwrap());
    let (got, counts) = read(&file, options.with_columns(["view", "word", "list"]));
    assert_eq!(got.num_rows(), 0);
    let alone = ScanOptions::default().with_predicate(sql::parse("few = 9 or text = 'none'").unwrap());
    let few = read(&file, alone.with_columns([] as [&str; 0])).1;
    assert_eq!((counts.pages_read, counts.bytes_read), (few.pages_read, few.bytes_read));
}

/// Rows that are scattered, in runs, rare and frequent.
#[test]
fn each_way_of_reading_what_is_left_gives_the_same() {
    let rows = 20_000;
    let groups: [fn(usize) -> bool; 5] = [
        |r| noise(9, r).is_multiple_of(1000),
        |r| noise(9, r).is_multiple_of(10),
        |r| !noise(9, r).is_multiple_of(100),
        |r| r % 4000 < 40,
        |r| r / 9000 == 1,
    ];
    for (number, matches) in groups.into_iter().enumerate() {
        let batch = data(rows, 3);
        let mark: ArrayRef = Arc::new((0..rows).map(|r| Some(matches(r))).collect::<BooleanArray>());
        let mut columns: Vec<(String, ArrayRef)> =
            batch.schema().fields().iter().map(|f| f.name().clone()).zip(batch.columns().iter().cloned()).collect();
        columns.push(("mark".to_owned(), mark));
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let storage = write(&batch, WriterOptions::default().with_page_rows(3000));
        let file = open(&storage, ReaderOptions::default().with_batch_rows(1000));
        let predicate = col("mark").is_true();
        let (got, _) = read(&file, ScanOptions::default().with_predicate(predicate.clone()));
        assert_eq!(got, filtered(&batch, &predicate), "{number}");
    }
}
