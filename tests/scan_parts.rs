//! Conditions on fields of structs and elements of lists read the leaves that they are about.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use generate::Random;
use hypostyle::parquet::read::{ColumnCounts, FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::predicate::{ColumnPath, Predicate, sql};
use hypostyle::storage::{Memory, Storage};
use proptest::prelude::*;

const ROWS: usize = 4000;

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// `id` and `a: struct { b: int, c: list<struct { d: int, e: string }>, s: string }`.
fn rows() -> RecordBatch {
    let of_c: Fields = vec![field("d", DataType::Int32), field("e", DataType::Utf8)].into();
    let mut c = ListBuilder::new(StructBuilder::from_fields(of_c, 0));
    for row in 0..ROWS {
        for at in 0..row % 4 {
            let entry = c.values();
            entry.field_builder::<Int32Builder>(0).unwrap().append_value((row * 7 + at) as i32 % 1000);
            entry.field_builder::<StringBuilder>(1).unwrap().append_option((at != 1).then(|| format!("e{row}")));
            entry.append(at != 2);
        }
        c.append(row % 11 != 0);
    }
    let b = Int64Array::from_iter((0..ROWS).map(|row| (row % 13 != 5).then_some((row * 31 % 4000) as i64)));
    let s = StringArray::from_iter_values((0..ROWS).map(|row| format!("a text that is long and of row {row}")));
    let columns: Vec<ArrayRef> = vec![Arc::new(b), Arc::new(c.finish()), Arc::new(s)];
    let names = ["b", "c", "s"];
    let fields: Fields = names.iter().zip(&columns).map(|(name, c)| field(name, c.data_type().clone())).collect();
    let there = NullBuffer::from_iter((0..ROWS).map(|row| row % 17 != 3));
    let a = StructArray::new(fields, columns, Some(there));
    let id = Int64Array::from_iter_values(0..ROWS as i64);
    let schema = Schema::new(vec![field("id", DataType::Int64), field("a", a.data_type().clone())]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(id), Arc::new(a)]).unwrap()
}

fn file(batch: &RecordBatch, options: WriterOptions) -> FileReader {
    let storage = Memory::new();
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    FileReader::open(storage.open("f").unwrap(), ReaderOptions::default().with_batch_rows(700)).unwrap()
}

fn options() -> WriterOptions {
    WriterOptions::default().with_row_group_rows(1500).with_page_rows(100)
}

/// The rows of a scan, and what was read of column `a`.
fn scan(file: &FileReader, predicate: Option<&Predicate>, columns: &[&str]) -> (RecordBatch, ColumnCounts) {
    let mut options = ScanOptions::default().with_columns(columns.iter().copied());
    options.predicate = predicate.cloned();
    let mut scan = file.scan(options).unwrap();
    let batches: Vec<RecordBatch> = scan.by_ref().collect::<Result<_, _>>().unwrap();
    let rows = concat_batches(scan.schema(), &batches).unwrap();
    let counts = scan.column_counts();
    assert!(counts.iter().filter(|c| c.name == "a").count() <= 1, "parts of a column are one: {counts:?}");
    (rows, counts.into_iter().find(|c| c.name == "a").unwrap_or_default())
}

fn filtered(all: &RecordBatch, predicate: &Predicate) -> RecordBatch {
    filter_record_batch(all, &predicate.bind(&all.schema()).unwrap().evaluate(all).unwrap()).unwrap()
}

#[test]
fn only_the_leaves_of_a_condition_are_fetched_and_each_is_opened_once() {
    let all = rows();
    let file = file(&all, options());
    let groups = 0..file.footer().groups.len();
    // The bytes of these leaves: 0 is id, then b, d, e, s.
    let bytes = |leaves: &[usize]| -> u64 {
        let chunks = groups.clone().flat_map(|group| leaves.iter().map(move |leaf| (group, *leaf)));
        chunks.map(|(group, leaf)| file.column_metadata(group, leaf).unwrap().total_compressed_size as u64).sum()
    };
    let (_, whole) = scan(&file, None, &["a"]);
    assert_eq!(whole.bytes_fetched, bytes(&[1, 2, 3, 4]));
    for (text, leaves) in [
        ("a.b between 100 and 3000", &[1][..]),
        ("any(a.c.d) > 500", &[2]),
        ("any(a.c.e) like 'e3%'", &[3]),
        ("a.s like '%7'", &[4]),
        ("a is null", &[1]),
        ("a.c is not null", &[2]),
        ("a.b > 100 and a.s like '%3%'", &[1, 4]),
        ("a.b > 100 or any(a.c.d) = 7", &[1, 2]),
        ("a.b > 100 and (a.s like '%3%' or a.b < 2000)", &[1, 4]),
        ("id > 300 and a.b < 3500", &[1]),
        ("a.b <> id", &[1]),
    ] {
        let predicate = sql::parse(text).unwrap();
        let want = filtered(&all, &predicate);
        assert!(want.num_rows() > 0 && want.num_rows() < ROWS, "{text}: {}", want.num_rows());
        let (found, of_a) = scan(&file, Some(&predicate), &["id"]);
        assert_eq!(found, want.project(&[0]).unwrap(), "{text}");
        // By the index, each page that is not passed over.
        assert!(of_a.bytes_fetched <= bytes(leaves) && of_a.bytes_fetched > 0, "{text}: {of_a:?}, {}", bytes(leaves));
        let others: Vec<usize> = (1..5).filter(|leaf| !leaves.contains(leaf)).collect();
        assert!(of_a.bytes_fetched < bytes(&others) + bytes(leaves), "{text}");
        let (found, of_a) = scan(&file, Some(&predicate), &["a", "id"]);
        assert_eq!(found, want.project(&[1, 0]).unwrap(), "{text}");
        assert!(of_a.pages_read <= whole.pages_read, "{text}: {of_a:?}, {whole:?}");
        let planned = file.plan(ScanOptions::default().with_predicate(predicate.clone())).unwrap();
        for group in planned.row_groups() {
            assert_eq!(group.columns.iter().filter(|(name, _)| name == "a").count(), 1, "{text}");
        }
        let threads = ScanOptions::default().with_predicate(predicate).with_threads(2);
        let batches: Vec<RecordBatch> = file.scan(threads).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(concat_batches(&all.schema(), &batches).unwrap(), want, "{text}");
    }
    // Of one row, the leaves that the condition is not about are read for its page only.
    let one = sql::parse("a.b = 31").unwrap();
    let (found, of_a) = scan(&file, Some(&one), &["a"]);
    assert_eq!((found.num_rows(), found.slice(0, 1)), (1, filtered(&all, &one).project(&[1]).unwrap()));
    assert!(of_a.bytes_fetched * 2 < whole.bytes_fetched, "{of_a:?} {whole:?}");
}

#[test]
fn lists_of_any_layout_and_maps_are_read_by_the_leaf() {
    let entry: Fields = vec![Field::new("key", DataType::Int64, false), field("value", DataType::Utf8)].into();
    let rows = 3000;
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2 * rows));
    let values = (0..2 * rows).map(|n| (n % 9 != 4).then(|| format!("a value that has the number {n}")));
    let values: ArrayRef = Arc::new(StringArray::from_iter(values));
    let entries = StructArray::new(entry.clone(), vec![keys, values], None);
    let element = Arc::new(Field::new("entries", DataType::Struct(entry), false));
    let nulls = NullBuffer::from_iter((0..rows).map(|row| row % 7 != 2));
    // Two in each list.
    let lengths = || OffsetBuffer::<i32>::from_lengths(std::iter::repeat_n(2, rows as usize));
    let map = MapArray::new(element.clone(), lengths(), entries.clone(), Some(nulls.clone()), false);
    let list = ListArray::new(element.clone(), lengths(), Arc::new(entries.clone()), Some(nulls.clone()));
    let view = arrow_cast::cast(&list, &DataType::ListView(element.clone())).unwrap();
    let fixed = FixedSizeListArray::new(element, 2, Arc::new(entries), Some(nulls));
    for array in [Arc::new(map) as ArrayRef, Arc::new(fixed), view, Arc::new(list)] {
        let schema = Schema::new(vec![field("id", DataType::Int64), field("a", array.data_type().clone())]);
        let id = Arc::new(Int64Array::from_iter_values(0..rows));
        let batch = RecordBatch::try_new(Arc::new(schema), vec![id, array]).unwrap();
        let file = file(&batch, WriterOptions::default().with_row_group_rows(1000).with_page_rows(100));
        let (all, whole) = scan(&file, None, &["id", "a"]);
        let bytes =
            |leaf| (0..3).map(|group| file.column_metadata(group, leaf).unwrap().total_compressed_size as u64).sum();
        for (text, leaf) in [("any(a.key) < 2500", 1), ("any(a.value) like '%77%'", 2), ("a is null", 1)] {
            let predicate = sql::parse(text).unwrap();
            let want = filtered(&all, &predicate);
            assert!(want.num_rows() > 0 && want.num_rows() < rows as usize, "{text}");
            let (found, of_a) = scan(&file, Some(&predicate), &["id"]);
            assert_eq!(found, want.project(&[0]).unwrap(), "{text}");
            let most: u64 = bytes(leaf);
            assert!(
                of_a.bytes_fetched > 0 && of_a.bytes_fetched <= most,
                "{text} of {}: {of_a:?}",
                batch["a"].data_type()
            );
            let (found, of_a) = scan(&file, Some(&predicate), &["id", "a"]);
            assert_eq!(found, want, "{text}");
            assert!(of_a.pages_read <= whole.pages_read, "{text}: {of_a:?}");
        }
    }
}

/// The paths of fields inside a column, through lists too, and whether there is a list on the way.
fn paths(path: ColumnPath, data_type: &DataType, found: &mut Vec<ColumnPath>) {
    found.push(path.clone());
    match data_type {
        DataType::Struct(fields) => {
            fields.iter().for_each(|field| paths(path.clone().field(field.name()), field.data_type(), found));
        }
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::Map(element, _) => paths(path.any(), element.data_type(), found),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_nesting_in_parts_is_the_whole(
        types in prop::collection::vec(generate::nested::data_type(), 2..4),
        seed in any::<u64>(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<bool>()), 1..4),
    ) {
        let mut random = Random::new(seed);
        let fields: Fields = types.into_iter().enumerate().map(|(at, t)| field(&format!("f{at}"), t)).collect();
        let column = field("a", DataType::Struct(fields));
        let array = generate::nested::array(&column, 60, &mut random);
        let id = Int64Array::from_iter_values(0..60);
        let schema = Arc::new(Schema::new(vec![field("id", DataType::Int64), column.clone()]));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(id), array]).unwrap();
        let mut all = Vec::new();
        paths(ColumnPath::from("a"), column.data_type(), &mut all);
        let mut predicate: Option<Predicate> = None;
        for (pick, is_not, is_or) in picks {
            let null = Predicate::IsNull { column: pick.get(&all).clone() };
            // Some paths cannot be asked, such as those into maps.
            if null.bind(&schema).is_err() {
                continue;
            }
            let next = if is_not { !null } else { null };
            predicate = Some(match predicate {
                None => next,
                Some(before) if is_or => before.or(next),
                Some(before) => before.and(next),
            });
        }
        let file = file(&batch, WriterOptions::default().with_row_group_rows(25).with_page_rows(7));
        let stored = concat_batches(file.schema(), &file.scan(ScanOptions::default()).unwrap().collect::<Result<Vec<_>, _>>().unwrap()).unwrap();
        if let Some(predicate) = predicate {
            let want = filtered(&stored, &predicate);
            let (found, _) = scan(&file, Some(&predicate), &["id", "a"]);
            prop_assert_eq!(found, want, "{}", predicate);
        }
    }
}
