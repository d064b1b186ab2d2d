//! Nested columns: levels, schemas and files are all come back from.
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
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, ListArray, RecordBatch, UInt32Array, new_null_array};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use generate::Random;
use generate::nested::{array, data_type};
use hypostyle::parquet::arrow::assemble::{LeafSlots, assemble};
use hypostyle::parquet::arrow::node::Node;
use hypostyle::parquet::arrow::shred::{LeafEntries, shred};
use hypostyle::parquet::arrow::{ParquetSchema, arrow_schema_metadata, from_parquet, to_parquet};
use hypostyle::parquet::format::{Encoding, FileMetaData, Type};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, PageVersion, WriterOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;

/// What a reader makes of a leaf's entries: a slot for each that has one.
fn slots(entries: &LeafEntries, node: &Node) -> LeafSlots {
    let mut leaf = None;
    node.leaves(&mut |l, n| {
        if n == entries.leaf {
            leaf = Some((l.slot, l.present, l.field.clone()));
        }
    });
    let (slot, present, field) = leaf.expect("the leaf");
    let mut next = 0u32;
    let def = entries.def.clone().unwrap_or_else(|| vec![present; entries.entries]);
    let picks: UInt32Array = def
        .iter()
        .filter(|&&d| d >= slot)
        .map(|&d| {
            (d >= present).then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let slots = if entries.values.is_empty() {
        new_null_array(field.data_type(), picks.len())
    } else {
        arrow_select::take::take(&entries.values, &picks, None).expect("takes")
    };
    LeafSlots {
        rep: entries.rep.clone().unwrap_or_default(),
        def: entries.def.clone().unwrap_or_default(),
        slots: Some(slots),
    }
}

fn round_trip(field: &FieldRef, array: &ArrayRef) -> ArrayRef {
    let (node, leaves) = Node::of_arrow(field, 0).expect("a tree");
    let entries = shred(&node, array).expect("shreds");
    assert_eq!(entries.len(), leaves);
    let mut slots: Vec<Option<LeafSlots>> = entries.iter().map(|e| Some(slots(e, &node))).collect();
    assemble(&node, array.len(), &mut |n| slots[n].take()).expect("assembles")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn assemble_undoes_shred(data_type in data_type(), nullable: bool, len in 0usize..30, seed: u64, cut in 0usize..10) {
        let field: FieldRef = Arc::new(Field::new("x", data_type, nullable));
        let whole = array(&field, len, &mut Random::new(seed));
        let cut = cut.min(len);
        // A slice too: offsets do not begin at 0 there.
        for array in [whole.clone(), whole.slice(cut, len - cut)] {
            let back = round_trip(&field, &array);
            prop_assert_eq!(back.len(), array.len());
            let comparator = arrow_cast::display::ArrayFormatter::try_new(&array, &Default::default()).expect("formats");
            let other = arrow_cast::display::ArrayFormatter::try_new(&back, &Default::default()).expect("formats");
            for row in 0..array.len() {
                prop_assert_eq!(array.is_null(row), back.is_null(row));
                prop_assert_eq!(comparator.value(row).to_string(), other.value(row).to_string());
            }
        }
    }
}

/// The levels of [[1, null], null, [], [3]] as the specification has them.
#[test]
fn the_levels_of_a_list() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
        Some(vec![Some(3)]),
    ]);
    let field: FieldRef = Arc::new(Field::new("a", list.data_type().clone(), true));
    let (node, _) = Node::of_arrow(&field, 0).expect("a tree");
    let entries = shred(&node, &(Arc::new(list) as ArrayRef)).expect("shreds").remove(0);
    assert_eq!(entries.rep, Some(vec![0, 1, 0, 0, 0]));
    assert_eq!(entries.def, Some(vec![3, 2, 0, 1, 3]));
    assert_eq!(entries.values.as_primitive::<Int32Type>().values(), &[1, 3]);
}

#[test]
fn a_null_where_none_may_be_is_the_callers_mistake() {
    let field: FieldRef = Arc::new(Field::new("a", DataType::Int32, false));
    let (node, _) = Node::of_arrow(&field, 0).expect("a tree");
    let array: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let e = shred(&node, &array).expect_err("a null");
    assert_eq!(e.to_string(), "column a: a null in \"a\", which the schema calls not nullable");
}

#[test]
fn contradicting_leaves_are_corrupt() {
    let fields = vec![Field::new("b", DataType::Int32, false), Field::new("c", DataType::Int32, false)];
    let element = Field::new("element", DataType::Struct(fields.into()), false);
    let field: FieldRef = Arc::new(Field::new("a", DataType::List(Arc::new(element)), false));
    let (node, _) = Node::of_arrow(&field, 0).expect("a tree");
    let leaf = |rep: Vec<u16>, def: Vec<u16>, n: i32| {
        let slots: ArrayRef = Arc::new(Int32Array::from_iter_values(0..n));
        Some(LeafSlots { rep, def, slots: Some(slots) })
    };
    let mut good = [leaf(vec![0, 1, 0], vec![1, 1, 1], 3), leaf(vec![0, 1, 0], vec![1, 1, 1], 3)];
    assert!(assemble(&node, 2, &mut |n| good[n].take()).is_ok());
    let mut short = [leaf(vec![0, 1, 0], vec![1, 1, 1], 3), leaf(vec![0, 0], vec![1, 1], 2)];
    let e = assemble(&node, 2, &mut |n| short[n].take()).expect_err("lengths differ");
    assert!(e.to_string().contains("2 values of \"c\" in 3 structs"), "{e}");
    let mut headless = [leaf(vec![1, 1, 0], vec![1, 1, 1], 3), leaf(vec![1, 1, 0], vec![1, 1, 1], 3)];
    let e = assemble(&node, 1, &mut |n| headless[n].take()).expect_err("no first row");
    assert!(e.to_string().contains("the first repetition level is not 0"), "{e}");
    let mut rows = [leaf(vec![0, 1, 0], vec![1, 1, 1], 3), leaf(vec![0, 1, 0], vec![1, 1, 1], 3)];
    assert!(assemble(&node, 5, &mut |n| rows[n].take()).is_err());
}

proptest! {
    #[test]
    fn nested_schemas_come_back(types in prop::collection::vec((data_type(), any::<bool>()), 1..4)) {
        let fields = types.into_iter().enumerate();
        let arrow = Schema::new(fields.map(|(i, (t, n))| Field::new(format!("c{i}"), t, n)).collect::<Vec<_>>());
        let written = to_parquet(&arrow).expect("written");
        let metadata = FileMetaData {
            version: 2,
            schema: written.elements.clone(),
            num_rows: 0,
            row_groups: vec![],
            key_value_metadata: Some(vec![arrow_schema_metadata(&arrow)]),
            created_by: None,
            column_orders: None,
            encryption_algorithm: None,
            footer_signing_key_metadata: None,
        };
        let read = from_parquet(&metadata).expect("read");
        prop_assert_eq!(read.arrow.as_ref(), &arrow);
        prop_assert_eq!(&read.nodes, &written.nodes);
        let levels = |s: &ParquetSchema| -> Vec<_> {
            s.leaves.iter().map(|l| (l.path.clone(), l.def_max, l.rep_max, l.slot, l.field, l.data_type.clone())).collect()
        };
        prop_assert_eq!(levels(&read), levels(&written));
    }
}

/// Values as text, row by row: layouts and what stands below nulls do not count.
fn text(array: &dyn Array) -> Vec<String> {
    let options = arrow_cast::display::FormatOptions::default().with_null("null");
    let shown = arrow_cast::display::ArrayFormatter::try_new(array, &options).expect("formats");
    (0..array.len()).map(|row| shown.value(row).to_string()).collect()
}

fn write(batches: &[RecordBatch], options: WriterOptions) -> bytes::Bytes {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    memory.get("f").unwrap()
}

/// With data pages of the version, and each leaf in an encoding of its type.
fn encoded(schema: &Schema, delta: bool, v2: bool, mut options: WriterOptions) -> WriterOptions {
    options.page_version = v2.then_some(PageVersion::V2);
    for leaf in to_parquet(schema).unwrap().leaves.iter().filter(|_| delta) {
        let encoding = match leaf.physical {
            Type::Int32 => Encoding::DeltaBinaryPacked,
            _ => Encoding::DeltaByteArray,
        };
        let column = ColumnOptions { encoding: Some(encoding), ..ColumnOptions::default() };
        options = options.with_column(leaf.name(), column);
    }
    options
}

/// The type with lists that the `parquet` crate can read.
fn plain_lists(data_type: &DataType) -> DataType {
    let field = |f: &FieldRef| Arc::new(f.as_ref().clone().with_data_type(plain_lists(f.data_type())));
    match data_type {
        DataType::List(f) | DataType::ListView(f) | DataType::FixedSizeList(f, _) => DataType::List(field(f)),
        DataType::LargeList(f) => DataType::LargeList(field(f)),
        DataType::Map(f, sorted) => DataType::Map(field(f), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn the_parquet_crate_reads_what_is_written(
        data_type in data_type().prop_map(|t| plain_lists(&t)), nullable: bool, len in 0usize..80, seed: u64,
        page_rows in 1usize..30, page_bytes in 1usize..400, group_rows in 1usize..60, dictionary: bool, delta: bool, v2: bool,
    ) {
        let schema = Arc::new(Schema::new(vec![
            Field::new("x", data_type, nullable),
            Field::new("n", DataType::Int32, true),
        ]));
        let mut random = Random::new(seed);
        let columns = schema.fields().iter().map(|f| array(f, len, &mut random)).collect();
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        let cut = len / 3;
        let options = WriterOptions::default().with_page_rows(page_rows).with_page_bytes(page_bytes)
            .with_row_group_rows(group_rows).with_dictionary(dictionary).with_dictionary_bytes(60);
        let options = encoded(&batch.schema(), delta, v2, options);
        let file = write(&[batch.slice(0, cut), batch.slice(cut, len - cut)], options);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(
            file, ArrowReaderOptions::new().with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Required),
        ).unwrap();
        let metadata = reader.metadata().clone();
        let batches: Vec<RecordBatch> = reader.with_batch_size(1000).build().unwrap().map(Result::unwrap).collect();
        for column in 0..2 {
            let back: Vec<String> = batches.iter().flat_map(|b| text(b.column(column))).collect();
            prop_assert_eq!(back, text(batch.column(column)));
        }
        // Every page begins with a row, and no page but one of a single row has more than its limit.
        for group in metadata.offset_index().into_iter().flatten() {
            for chunk in group {
                let firsts: Vec<i64> = chunk.page_locations().iter().map(|p| p.first_row_index).collect();
                prop_assert!(firsts.windows(2).all(|w| w[0] < w[1] && w[1] - w[0] <= page_rows as i64), "{:?}", firsts);
            }
        }
    }
}

fn read(file: bytes::Bytes, batch_rows: usize, options: ScanOptions) -> hypostyle::Result<Vec<RecordBatch>> {
    let memory = Memory::new();
    memory.put("f", file)?;
    let reader = FileReader::open(memory.open("f")?, ReaderOptions::default().with_batch_rows(batch_rows))?;
    reader.scan(options)?.collect()
}

fn texts(batches: &[RecordBatch], column: usize) -> Vec<String> {
    batches.iter().flat_map(|b| text(b.column(column))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn what_is_written_is_read_back(
        data_type in data_type(), nullable: bool, len in 0usize..80, seed: u64, cut in 0usize..80,
        page_rows in 1usize..30, page_bytes in 1usize..400, group_rows in 1usize..60, dictionary: bool, delta: bool, v2: bool,
        batch_rows in 1usize..50, least in -5i32..1000, limit in 0u64..90,
    ) {
        let schema = Arc::new(Schema::new(vec![
            Field::new("x", data_type, nullable),
            Field::new("n", DataType::Int32, true),
        ]));
        let mut random = Random::new(seed);
        let columns = schema.fields().iter().map(|f| array(f, len, &mut random)).collect();
        let batch = RecordBatch::try_new(schema.clone(), columns).unwrap();
        let cut = cut.min(len);
        let options = WriterOptions::default().with_page_rows(page_rows).with_page_bytes(page_bytes)
            .with_row_group_rows(group_rows).with_dictionary(dictionary).with_dictionary_bytes(60);
        let options = encoded(&batch.schema(), delta, v2, options);
        let file = write(&[batch.slice(0, cut), batch.slice(cut, len - cut)], options);

        let whole = read(file.clone(), batch_rows, ScanOptions::default()).unwrap();
        prop_assert!(whole.iter().all(|b| b.schema().fields() == schema.fields()));
        prop_assert_eq!(texts(&whole, 0), text(batch.column(0)));
        prop_assert_eq!(texts(&whole, 1), text(batch.column(1)));

        // Rows that a predicate leaves, which skips pages and rows of the nested column, and the first of them.
        let n = batch.column(1).as_primitive::<Int32Type>();
        let rows: UInt32Array = (0..len as u32).filter(|&i| n.is_valid(i as usize) && n.value(i as usize) > least).collect();
        let want = text(&arrow_select::take::take(batch.column(0), &rows, None).unwrap());
        let some = ScanOptions::default().with_columns(["x"]).with_predicate(col("n").gt(least));
        let got = read(file.clone(), batch_rows, some.clone()).unwrap();
        prop_assert_eq!(texts(&got, 0), want.clone());
        let got = read(file, batch_rows, some.with_limit(limit)).unwrap();
        prop_assert_eq!(texts(&got, 0), want.into_iter().take(limit as usize).collect::<Vec<_>>());
    }

    #[test]
    fn what_the_parquet_crate_writes_is_read(
        data_type in data_type().prop_map(|t| plain_lists(&t)), nullable: bool, len in 1usize..80, seed: u64,
        page_rows in 1usize..30, v2: bool, dictionary: bool, batch_rows in 1usize..50, keep_schema: bool,
    ) {
        let schema = Arc::new(Schema::new(vec![Field::new("x", data_type, nullable)]));
        let column = array(schema.field(0), len, &mut Random::new(seed));
        let batch = RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
        let version = if v2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
        let properties = WriterProperties::builder().set_writer_version(version).set_dictionary_enabled(dictionary)
            .set_data_page_row_count_limit(page_rows).set_write_batch_size(page_rows).build();
        let mut file = Vec::new();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(!keep_schema);
        let mut writer = ArrowWriter::try_new_with_options(&mut file, schema, options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let whole = read(file.into(), batch_rows, ScanOptions::default()).unwrap();
        prop_assert_eq!(texts(&whole, 0), text(batch.column(0)));
    }
}
