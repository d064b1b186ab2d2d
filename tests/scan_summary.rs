//! Counts, least and greatest values, first rows: the same as from all rows, and from metadata where that tells.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Date32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use hypostyle::Error;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions, TopK};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::predicate::{Predicate, col, sql};
use hypostyle::storage::{Input, Memory, Storage};
use hypostyle::table::{self, AddFile, CreateOptions, PartitionValues, Table};
use proptest::prelude::*;

/// Counts what is read.
#[derive(Debug)]
struct Counted(Arc<dyn Input>, AtomicU64);

impl Input for Counted {
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    fn read(&self, range: Range<u64>) -> hypostyle::Result<Bytes> {
        self.1.fetch_add(range.end - range.start, Ordering::Relaxed);
        self.0.read(range)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

fn noise(seed: u64, row: usize) -> u64 {
    let mixed = (row as u64 ^ seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7
}

fn data(rows: usize, seed: u64, with_nan: bool) -> RecordBatch {
    let n = |row| noise(seed, row);
    let float = |row: usize| match n(row) % 12 {
        0 if with_nan => f64::from_bits(0xfff8_0000_0000_0001),
        1 => -0.0,
        value => value as f64 - 6.0,
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values((0..rows).map(|r| r as i64)))),
        ("n", Arc::new((0..rows).map(|r| (n(r) % 5 != 0).then_some((n(r) % 1000) as i64)).collect::<Int64Array>())),
        ("x", Arc::new((0..rows).map(|r| (n(r) % 7 != 0).then(|| float(r))).collect::<Float64Array>())),
        ("text", Arc::new(StringArray::from_iter_values((0..rows).map(|r| format!("{:0>80}", n(r) % 500))))),
        ("day", Arc::new(Date32Array::from_iter_values((0..rows).map(|r| r as i32 / 10)))),
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

/// The file, and what was read of it since it was opened.
fn open(storage: &Memory) -> (FileReader, Arc<Counted>) {
    let input = Arc::new(Counted(storage.open("f").unwrap(), AtomicU64::new(0)));
    let file = FileReader::open(Arc::clone(&input) as Arc<dyn Input>, ReaderOptions::default()).unwrap();
    input.1.store(0, Ordering::Relaxed);
    (file, input)
}

fn matching(batch: &RecordBatch, predicate: Option<&Predicate>) -> RecordBatch {
    let Some(predicate) = predicate else { return batch.clone() };
    filter_record_batch(batch, &predicate.bind(&batch.schema()).unwrap().evaluate(batch).unwrap()).unwrap()
}

/// What a value is in the order of predicates: greater for greater ones; none for null.
fn rank(array: &ArrayRef, at: usize) -> Option<(u8, i64, String)> {
    if array.is_null(at) {
        return None;
    }
    if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
        let value = floats.value(at);
        return Some(if value.is_nan() { (1, 0, String::new()) } else { (0, value as i64, String::new()) });
    }
    if let Some(text) = array.as_string_opt::<i32>() {
        return Some((0, 0, text.value(at).to_owned()));
    }
    let wide = arrow_cast::cast(array, &arrow_schema::DataType::Int64).unwrap();
    Some((0, wide.as_primitive::<Int64Type>().value(at), String::new()))
}

fn ranks(array: &ArrayRef) -> Vec<Option<(u8, i64, String)>> {
    (0..array.len()).map(|at| rank(array, at)).collect()
}

fn predicate() -> impl Strategy<Value = Option<Predicate>> {
    const TEXTS: &[&str] = &[
        "id >= 100",
        "id < 300 and n > 500",
        "x > 0",
        "n is null",
        "text like '%7'",
        "n = -1",
        "id between 90 and 110",
    ];
    prop::option::of(prop::sample::select(TEXTS).prop_map(|text| sql::parse(text).unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn answers_are_those_of_all_rows(
        rows in 0usize..700,
        seed in any::<u32>(),
        with_nan in any::<bool>(),
        group_rows in 20usize..400,
        page_rows in 10usize..100,
        statistics in any::<bool>(),
        predicate in predicate(),
        k in 0usize..30,
        descending in any::<bool>(),
    ) {
        let batch = data(rows, u64::from(seed), with_nan);
        let written = WriterOptions::default().with_row_group_rows(group_rows).with_page_rows(page_rows);
        let (file, _) = open(&write(&batch, written.with_statistics(statistics)));
        let options = ScanOptions { predicate: predicate.clone(), ..ScanOptions::default() };
        let want = matching(&batch, predicate.as_ref());
        prop_assert_eq!(file.count(options.clone()).unwrap(), want.num_rows() as u64);
        let cut = options.clone().with_offset(5).with_limit(50);
        prop_assert_eq!(file.count(cut).unwrap(), want.num_rows().saturating_sub(5).min(50) as u64);
        for name in ["id", "n", "x", "text", "day"] {
            let mut all: Vec<_> = ranks(&want[name]).into_iter().flatten().collect();
            all.sort();
            let got = file.min_max(name, options.clone()).unwrap();
            let got = got.map(|found| (rank(&found.min, 0).unwrap(), rank(&found.max, 0).unwrap()));
            prop_assert_eq!(got, all.first().cloned().zip(all.last().cloned()), "{}", name);

            let top = TopK { column: name.to_owned(), descending, rows: k };
            let columns = if name == "id" { vec!["id"] } else { vec!["id", name] };
            let got = file.top_k(&top, options.clone().with_columns(columns).with_row_numbers("row")).unwrap();
            if descending {
                all.reverse();
            }
            let nulls = want.num_rows() - all.len();
            let first: Vec<_> = all.into_iter().map(Some).chain(vec![None; nulls]).take(k).collect();
            prop_assert_eq!(ranks(&got[name]), first, "{}", name);
            prop_assert_eq!(got["id"].as_primitive::<Int64Type>(), got["row"].as_primitive::<Int64Type>());
            for (at, id) in got["id"].as_primitive::<Int64Type>().values().iter().enumerate() {
                prop_assert_eq!(rank(&got[name], at), rank(&batch[name], *id as usize));
            }
        }
    }
}

#[test]
fn metadata_answers_where_it_is_exact() {
    let batch = data(10_000, 3, false);
    let (file, input) = open(&write(&batch, WriterOptions::default().with_row_group_rows(1000).with_page_rows(100)));
    let read = || input.1.swap(0, Ordering::Relaxed);
    assert_eq!(file.count(ScanOptions::default()).unwrap(), 10_000);
    assert_eq!(file.count(ScanOptions::default().with_predicate(col("id").lt(6000))).unwrap(), 6000);
    let ids = file.min_max("id", ScanOptions::default()).unwrap().unwrap();
    assert_eq!((ids.min.as_primitive::<Int64Type>().value(0), ids.max.as_primitive::<Int64Type>().value(0)), (0, 9999));
    let some = ScanOptions::default().with_predicate(col("id").gt(3999));
    assert_eq!(file.min_max("day", some).unwrap().unwrap().min.len(), 1);
    assert_eq!(read(), 0);
    // Its bounds are cut short.
    let text = file.min_max("text", ScanOptions::default()).unwrap().unwrap();
    assert_eq!(text.min.as_string::<i32>().value(0).len(), 80);
    assert!(read() > 0);
    // Of one group, neither all nor no rows match.
    let some = ScanOptions::default().with_predicate(col("id").lt(4500));
    assert_eq!(file.min_max("id", some.clone()).unwrap().unwrap().max.as_primitive::<Int64Type>().value(0), 4499);
    assert!(read() < file.bytes() / 10);
    for wrong in [some.clone().with_limit(3), some.with_offset(1)] {
        assert!(matches!(file.min_max("id", wrong.clone()), Err(Error::Invalid(_))));
        assert!(matches!(file.top_k(&TopK::least("id", 1), wrong), Err(Error::Invalid(_))));
    }
    let none = file.min_max("id", ScanOptions::default().with_predicate(col("id").lt(0))).unwrap();
    assert!(none.is_none());
}

#[test]
fn the_first_rows_are_looked_for_where_they_can_be() {
    let batch = data(10_000, 3, false);
    let (file, input) = open(&write(&batch, WriterOptions::default().with_row_group_rows(1000).with_page_rows(100)));
    let top = file.top_k(&TopK::greatest("id", 5), ScanOptions::default()).unwrap();
    assert_eq!(top["id"].as_primitive::<Int64Type>().values(), &[9999, 9998, 9997, 9996, 9995]);
    assert_eq!(top.schema().fields().len(), 5);
    let read = input.1.swap(0, Ordering::Relaxed);
    assert!(read < file.bytes() / 4, "{read} of {}", file.bytes());
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
    let nested = RecordBatch::try_from_iter([("list", Arc::new(list) as ArrayRef)]).unwrap();
    let (file, _) = open(&write(&nested, WriterOptions::default()));
    let e = file.top_k(&TopK::greatest("list", 5), ScanOptions::default()).unwrap_err();
    assert!(matches!(e, Error::Unsupported(_)), "{e}");
    assert!(matches!(file.min_max("list", ScanOptions::default()), Err(Error::Unsupported(_))));
}

#[test]
fn a_table_has_first_rows_an_offset_and_threads() {
    let memory = Memory::new();
    let all = data(3000, 9, false);
    let mut table = Table::create(Arc::new(memory.clone()), all.schema(), CreateOptions::default()).unwrap();
    for from in (0..3000).step_by(500) {
        let path = table.data_path(&PartitionValues::new());
        let part = all.slice(from, 500);
        let options = WriterOptions::default().with_row_group_rows(200).with_page_rows(50);
        let mut writer = FileWriter::new(memory.create(&path).unwrap(), part.schema(), options).unwrap();
        writer.write(&part).unwrap();
        let written = writer.finish().unwrap();
        let add = AddFile::from_written(&written, &all.schema(), &path, PartitionValues::new()).unwrap();
        let mut transaction = table.transaction();
        transaction.add(add);
        transaction.commit().unwrap();
        table.refresh().unwrap();
    }
    let options = table::ScanOptions::default;
    let top = table.top_k(&TopK::greatest("id", 3), options().with_columns(["n"])).unwrap();
    assert_eq!(top.num_columns(), 1);
    let last: Vec<_> = all["n"].as_primitive::<Int64Type>().iter().rev().take(3).collect();
    assert_eq!(top["n"].as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), last);
    let top = table.top_k(&TopK::least("text", 4), options().with_predicate(col("id").gt(1000))).unwrap();
    let mut texts: Vec<String> =
        all["text"].as_string::<i32>().iter().skip(1001).map(|text| text.unwrap().to_owned()).collect();
    texts.sort();
    let got: Vec<&str> = top["text"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(got, texts[..4]);

    let ids = |options: table::ScanOptions| -> Vec<i64> {
        let batches = table.scan(options.with_columns(["id"])).unwrap().map(Result::unwrap);
        batches.flat_map(|batch| batch["id"].as_primitive::<Int64Type>().values().to_vec()).collect()
    };
    let whole = ids(options());
    assert_eq!(ids(options().with_threads(3)), whole);
    assert_eq!(ids(options().with_offset(1234).with_limit(700)), whole[1234..1934]);
    assert_eq!(ids(options().with_offset(2999)), whole[2999..]);
    assert_eq!(ids(options().with_offset(5000)), [0i64; 0]);
    let mut scan = table.scan(options().with_offset(1200)).unwrap();
    assert_eq!(scan.by_ref().map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 1800);
    assert_eq!(scan.counts().files_skipped, 2, "whole files are passed over by the log");
}
