//! Merged and appended files: the same rows, indexes and filters that are right in their new place, and nothing else when
//! a file cannot be moved.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use generate::{Nulls, Random};
use hypostyle::parquet::format::{ColumnOrder, Empty, FileMetaData, KeyValue, footer};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::splice::{MergeOptions, MergedFile, merge};
use hypostyle::parquet::write::{Encryption, FileWriter, WriterOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{FaultPlan, Faulty, Input, Memory, Storage};
use hypostyle::{Error, Result};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use proptest::prelude::*;

/// Rows `from..to` of an endless stream, the ids in order.
fn rows(from: usize, to: usize) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((from..to).map(|n| n as i64)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter((from..to).map(|n| (n % 5 > 0).then(|| text(n)))));
    RecordBatch::try_new(schema(), vec![ids, texts]).unwrap()
}

fn text(n: usize) -> String {
    format!("text {}", n % 97)
}

fn schema() -> SchemaRef {
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)];
    Arc::new(Schema::new(fields))
}

fn options() -> WriterOptions {
    WriterOptions::default().with_page_rows(50).with_row_group_rows(400)
}

fn written(batch: &RecordBatch, options: WriterOptions) -> Bytes {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    memory.get("f").unwrap()
}

/// By the `parquet` crate, with Bloom filters.
fn of_arrow_rs(batch: &RecordBatch) -> Bytes {
    let properties = WriterProperties::builder()
        .set_bloom_filter_enabled(true)
        .set_max_row_group_row_count(Some(300))
        .set_data_page_row_count_limit(40)
        .set_write_batch_size(40)
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    out.into()
}

fn inputs(files: &[Bytes]) -> Vec<Arc<dyn Input>> {
    let memory = Memory::new();
    let put = |(number, bytes): (usize, &Bytes)| {
        memory.put(&format!("{number}.parquet"), bytes.clone()).unwrap();
        memory.open(&format!("{number}.parquet")).unwrap()
    };
    files.iter().enumerate().map(put).collect()
}

fn merged_by(files: &[Bytes], options: &MergeOptions) -> Result<(Bytes, MergedFile)> {
    let memory = Memory::new();
    let merged = merge(&inputs(files), memory.create("m").unwrap(), options)?;
    let bytes = memory.get("m").unwrap();
    assert_eq!(merged.bytes, bytes.len() as u64);
    Ok((bytes, merged))
}

fn merged(files: &[Bytes]) -> Bytes {
    merged_by(files, &MergeOptions::default()).unwrap().0
}

fn refused(files: &[Bytes]) -> Error {
    merged_by(files, &MergeOptions::default()).unwrap_err()
}

fn open(bytes: &Bytes) -> FileReader {
    FileReader::open(inputs(std::slice::from_ref(bytes)).remove(0), ReaderOptions::default()).unwrap()
}

fn read(bytes: &Bytes) -> RecordBatch {
    let file = open(bytes);
    let batches: Vec<RecordBatch> = file.scan(ScanOptions::default()).unwrap().collect::<Result<_>>().unwrap();
    concat_batches(file.schema(), &batches).unwrap()
}

/// The same, as the other crate reads it, with page index and Bloom filters where there are any.
fn check_by_arrow_rs(bytes: &Bytes, expected: &RecordBatch) -> usize {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options).unwrap();
    let metadata = builder.metadata().clone();
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(|b| b.unwrap()).collect();
    let found = concat_batches(&batches[0].schema(), &batches).unwrap();
    assert_eq!(found.columns(), expected.columns());

    // By the offset index: every 7th row, which reads each page by its place.
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options).unwrap();
    let picked: Vec<usize> = (0..expected.num_rows()).step_by(7).collect();
    let ranges = picked.iter().map(|n| *n..n + 1);
    let selection = parquet::arrow::arrow_reader::RowSelection::from_consecutive_ranges(ranges, expected.num_rows());
    let mask = ProjectionMask::all();
    let reader = builder.with_row_selection(selection).with_projection(mask).build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(|b| b.unwrap()).collect();
    let found = concat_batches(&batches[0].schema(), &batches).unwrap();
    let picked = arrow_array::UInt64Array::from_iter_values(picked.into_iter().map(|n| n as u64));
    for (found, all) in found.columns().iter().zip(expected.columns()) {
        assert_eq!(found, &arrow_select::take::take(all, &picked, None).unwrap());
    }

    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let mut filters = 0;
    let mut row = 0;
    for group in 0..metadata.num_row_groups() {
        let first = expected.column(0).slice(row, 1);
        if let Some(filter) = builder.get_row_group_column_bloom_filter(group, 0).unwrap()
            && let Some(ids) = first.as_any().downcast_ref::<Int64Array>()
        {
            assert!(filter.check(&ids.value(0)));
            assert!((1 << 40..(1 << 40) + 64).filter(|n: &i64| filter.check(n)).count() < 32, "it is a filter");
            filters += 1;
        }
        row += metadata.row_group(group).num_rows() as usize;
    }
    filters
}

/// Changes what a file's footer says.
fn with_footer(bytes: &Bytes, change: impl FnOnce(&mut FileMetaData)) -> Bytes {
    let (range, _) = footer::locate(*bytes.last_chunk().unwrap(), bytes.len() as u64).unwrap();
    let mut metadata = footer::decode(&bytes[range.start as usize..range.end as usize], range.start).unwrap();
    change(&mut metadata);
    let mut out = bytes[..range.start as usize].to_vec();
    out.extend(footer::encode(&metadata).unwrap());
    out.into()
}

fn goldens() -> Vec<(String, Bytes)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "parquet") {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read(path).unwrap().into()));
        }
    }
    found.sort();
    assert!(found.len() > 30);
    found
}

#[test]
fn merged_rows_are_those_of_all_files_in_order_with_indexes_and_filters_that_are_right() {
    let files = [
        written(&rows(0, 1000), options()),
        of_arrow_rs(&rows(1000, 1700)),
        written(&rows(1700, 1700), options()),
        written(&rows(1700, 1701), options()),
        of_arrow_rs(&rows(1701, 2000)),
    ];
    let merged = merged(&files);
    assert_eq!(read(&merged), rows(0, 2000));
    assert_eq!(check_by_arrow_rs(&merged, &rows(0, 2000)), 4, "the filters of the other crate's four row groups");
    let file = open(&merged);
    let groups = &file.metadata().unwrap().row_groups;
    assert_eq!(groups.iter().map(|g| g.num_rows).collect::<Vec<_>>(), [400, 400, 200, 300, 300, 100, 1, 299]);
    assert!(groups.iter().zip(0..).all(|(group, number)| group.ordinal == Some(number)));
    // A pruned scan finds the row by the page index.
    for wanted in [3, 999, 1000, 1345, 1700, 1850] {
        let scan = ScanOptions::default().with_predicate(col("id").eq(wanted as i64));
        let mut scan = file.scan(scan).unwrap();
        let found: Vec<RecordBatch> = scan.by_ref().collect::<Result<_>>().unwrap();
        assert_eq!(found, [rows(wanted, wanted + 1)]);
        assert!(scan.counts().rows_read <= 50, "{wanted}: {:?}", scan.counts());
    }
    // The chunks are the same bytes: verbatim is the point.
    for (bytes, group, of) in [(&files[0], 1, 1), (&files[1], 2, 5), (&files[4], 0, 7)] {
        let from = open(bytes);
        let chunk = |file: &FileReader, bytes: &Bytes, group: usize| {
            let meta = file.metadata().unwrap().row_groups[group].columns[1].meta_data.clone().unwrap();
            let start = meta.dictionary_page_offset.unwrap_or(meta.data_page_offset) as usize;
            bytes.slice(start..start + meta.total_compressed_size as usize)
        };
        assert_eq!(chunk(&from, bytes, group), chunk(&file, &merged, of));
    }
}

#[test]
fn every_type_and_every_file_of_pyarrow_merges_with_itself() {
    let mut random = Random::new(5);
    for nulls in [Nulls::None, Nulls::Some] {
        let types = generate::every_type();
        let schema = generate::schema_of(&types, nulls == Nulls::Some);
        let nulls = |t: &DataType| if *t == DataType::Null { Nulls::All } else { nulls };
        let columns = types.iter().map(|t| generate::array(t, 300, nulls(t), None, &mut random)).collect();
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        let bytes = written(&batch, options());
        check_doubled("every type", &bytes);
    }
    for (name, bytes) in goldens() {
        check_doubled(&name, &bytes);
    }
}

fn check_doubled(name: &str, bytes: &Bytes) {
    let once = read(bytes);
    let doubled = merged(&[bytes.clone(), bytes.clone()]);
    let twice = read(&doubled);
    assert_eq!(twice.schema(), once.schema(), "{name}");
    for (twice, once) in twice.columns().iter().zip(once.columns()) {
        for half in [twice.slice(0, once.len()), twice.slice(once.len(), once.len())] {
            assert!(same_values(&half, once), "{name}");
        }
    }
    let (old, new) = (open(bytes), open(&doubled));
    let groups = old.metadata().unwrap().row_groups.len();
    for group in 0..2 * groups {
        for column in 0..old.parquet_schema().leaves.len() {
            let at = group % groups;
            assert_eq!(new.column_index(group, column).unwrap(), old.column_index(at, column).unwrap(), "{name}");
            if old.metadata().unwrap().row_groups[at].num_rows == 0 {
                continue;
            }
            let pages = |file: &FileReader, group| {
                let pages = file.pages(group, column).unwrap();
                pages.into_iter().map(|p| (p.kind, p.values, p.compressed_bytes)).collect::<Vec<_>>()
            };
            assert_eq!(pages(&new, group), pages(&old, at), "{name}");
            let Some(index) = old.offset_index(at, column).unwrap() else {
                assert_eq!(new.offset_index(group, column).unwrap(), None, "{name}");
                continue;
            };
            let moved = new.offset_index(group, column).unwrap().expect("an offset index");
            assert_eq!(moved.page_locations.len(), index.page_locations.len(), "{name}");
            let data: Vec<u64> = new
                .pages(group, column)
                .unwrap()
                .iter()
                .filter(|p| p.values > 0 && format!("{:?}", p.kind).starts_with("Data"))
                .map(|p| p.offset)
                .collect();
            let places: Vec<u64> = moved.page_locations.iter().map(|l| l.offset as u64).collect();
            if data.len() == places.len() {
                assert_eq!(places, data, "{name}");
            }
        }
    }
}

/// Dictionaries may be of another layout, and NaN is not equal to itself.
fn same_values(a: &ArrayRef, b: &ArrayRef) -> bool {
    let plain = |array: &ArrayRef| match array.data_type() {
        DataType::Dictionary(_, value) => arrow_cast::cast(array, value).unwrap(),
        _ => array.clone(),
    };
    format!("{:?}", plain(a)) == format!("{:?}", plain(b)) || plain(a) == plain(b)
}

#[test]
fn key_values_stay_that_nobody_contradicts() {
    let file = |pairs: &[(&str, &str)]| {
        let mut options = options();
        for (key, value) in pairs {
            options = options.with_key_value(*key, *value);
        }
        written(&rows(0, 10), options)
    };
    let files = [file(&[("a", "1"), ("b", "1")]), file(&[("b", "2"), ("c", "3")]), file(&[("a", "1"), ("b", "1")])];
    let options = MergeOptions::default().with_key_value("c", "mine");
    let (_, merged) = merged_by(&files, &options).unwrap();
    let pairs: Vec<(String, Option<String>)> =
        merged.metadata.key_value_metadata.unwrap().into_iter().map(|p| (p.key, p.value)).collect();
    let pairs: Vec<(&str, Option<&str>)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
    assert_eq!(pairs[0], ("c", Some("mine")));
    assert_eq!(pairs[1], ("a", Some("1")));
    assert_eq!((pairs[2].0, pairs.len()), ("ARROW:schema", 3));
    assert_eq!(merged.left_out, ["b"]);
    let options = MergeOptions::default().with_key_value("ARROW:schema", "x");
    assert!(matches!(merged_by(&files, &options), Err(Error::Invalid(_))));

    // Arrow's types are those of the first file.
    let large = arrow_cast::cast(rows(0, 5).column(1), &DataType::LargeUtf8).unwrap();
    let large = RecordBatch::try_from_iter([("id", rows(0, 5).column(0).clone()), ("text", large)]).unwrap();
    let large = written(&large, WriterOptions::default());
    assert_eq!(*open(&self::merged(&[file(&[]), large.clone()])).schema(), schema());
    assert_eq!(*open(&self::merged(&[large.clone(), file(&[])])).schema().field(1).data_type(), DataType::LargeUtf8);
    let plain = written(&rows(5, 9), WriterOptions::default());
    let without = with_footer(&plain, |m| m.key_value_metadata = None);
    assert_eq!(merged_by(&[without, plain], &MergeOptions::default()).unwrap().1.metadata.key_value_metadata, None);
}

#[test]
fn what_cannot_be_moved_is_refused_by_name() {
    let good = written(&rows(0, 1000), options());
    let change = |change: &dyn Fn(&mut FileMetaData)| {
        let bad = with_footer(&good, change);
        // The file itself stays as it was.
        let e = refused(&[good.clone(), bad]);
        assert_eq!(e.place().file.as_deref(), Some("memory:1.parquet"), "{e}");
        e
    };
    let meta = |m: &mut FileMetaData, what: &dyn Fn(&mut hypostyle::parquet::format::ColumnMetaData)| {
        what(m.row_groups[1].columns[1].meta_data.as_mut().unwrap());
    };
    let e = change(&|m| m.created_by = Some("parquet-mr version 1.2.8 (build x)".into()));
    assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("parquet-mr before 1.2.9"), "{e}");
    let e = change(&|m| m.row_groups[0].columns[0].file_path = Some("other.parquet".into()));
    assert_eq!(e.to_string(), "memory:1.parquet: column id: the chunk lies in another file, other.parquet");
    let e = change(&|m| m.row_groups[0].columns[1].encrypted_column_metadata = Some(vec![1]));
    assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("column text: encrypted"), "{e}");
    let e = change(&|m| meta(m, &|c| c.dictionary_page_offset = Some(c.data_page_offset + (1 << 20))));
    assert!(e.to_string().contains("column text, at byte"), "{e}");
    assert!(e.to_string().ends_with("its dictionary page lies outside of the chunk"), "{e}");
    let e = change(&|m| meta(m, &|c| c.total_compressed_size = 1 << 40));
    assert!(matches!(e, Error::Corrupt(_)), "{e}");
    // Copying a megabyte a thousand times over is no merge.
    let e = change(&|m| {
        let group = m.row_groups[0].clone();
        m.num_rows += 50 * group.num_rows;
        m.row_groups.extend(vec![group; 50]);
    });
    assert!(matches!(e, Error::Corrupt(_)) && e.to_string().contains("column chunks of "), "{e}");
    let e = change(&|m| m.num_rows += 1);
    assert!(e.to_string().contains("the footer tells of 1001 rows, its row groups of 1000"), "{e}");
    let mut pare = good.to_vec();
    let end = pare.len();
    pare[end - 4..].copy_from_slice(b"PARE");
    let e = refused(&[pare.into()]);
    assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("memory:0.parquet: encrypted"), "{e}");
    assert!(matches!(refused(&[]), Error::Invalid(_)));
    for cut in [0, 3, 7, 8, 100, good.len() - 1] {
        assert!(matches!(refused(&[good.slice(..cut)]), Error::Corrupt(_)), "{cut}");
    }

    let other = |data_type: DataType, name: &str| {
        let field = Field::new(name, data_type.clone(), true);
        let array = generate::array(&data_type, 3, Nulls::Some, None, &mut Random::new(1));
        written(&RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap(), options())
    };
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let naive = DataType::Timestamp(TimeUnit::Millisecond, None);
    for (a, b, says) in [
        (
            other(DataType::Int32, "x"),
            other(DataType::Int64, "x"),
            "column x: another schema: Int64, where it is Int32",
        ),
        (
            other(DataType::Int32, "x"),
            other(DataType::Int32, "y"),
            "column x: another schema: \"y\" stands in its place",
        ),
        (other(utc, "x"), other(naive, "x"), "column x: another schema: Int64 Timestamp("),
        (other(DataType::Int32, "x"), good.clone(), "column x: another schema: \"id\" stands in its place"),
    ] {
        let e = refused(&[a, b]);
        assert!(
            matches!(e, Error::Invalid(_)) && e.to_string().starts_with(&format!("memory:1.parquet: {says}")),
            "{e}"
        );
    }
}

#[test]
fn encrypted_files_stay_as_they_are() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/encrypted");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "parquet") {
            continue;
        }
        let bytes: Bytes = std::fs::read(&path).unwrap().into();
        let e = refused(std::slice::from_ref(&bytes));
        let says = "encrypted: its pages are bound to their places in the file and cannot be moved";
        assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains(says), "{}: {e}", path.display());
        let memory = Memory::new();
        memory.put("f", bytes).unwrap();
        let e = FileWriter::append_to(&memory, "f", schema(), options()).unwrap_err();
        assert!(e.to_string().contains(says), "{e}");
        seen += 1;
    }
    assert!(seen >= 8);
    let memory = Memory::new();
    memory.put("f", written(&rows(0, 7), options())).unwrap();
    let sealed = || options().with_encryption(Encryption::new(b"0123456789012345".to_vec()));
    let mut writer = FileWriter::new(memory.create("g").unwrap(), schema(), sealed()).unwrap();
    for e in [writer.pause().unwrap_err(), FileWriter::append_to(&memory, "f", schema(), sealed()).unwrap_err()] {
        assert_eq!(e.to_string(), "an encrypted file is written in one go: it cannot be paused or appended to");
    }
}

#[test]
fn chunks_that_lie_oddly_are_read_as_before() {
    let good = written(&rows(0, 1000), options());
    // No dictionary offset, or 0, over a chunk that begins with its dictionary: as writers of old have it.
    for offset in [None, Some(0)] {
        let odd = with_footer(&good, |m| {
            for chunk in m.row_groups.iter_mut().flat_map(|g| &mut g.columns) {
                let meta = chunk.meta_data.as_mut().unwrap();
                meta.data_page_offset = meta.dictionary_page_offset.unwrap_or(meta.data_page_offset);
                meta.dictionary_page_offset = offset;
            }
        });
        let merged = merged(&[good.clone(), odd]);
        assert_eq!(read(&merged).slice(1000, 1000), rows(0, 1000));
        let meta = open(&merged).metadata().unwrap().row_groups[4].columns[1].meta_data.clone().unwrap();
        assert_eq!(meta.dictionary_page_offset, None);
    }
    // Row groups in another order than in the file.
    let turned = with_footer(&good, |m| m.row_groups.reverse());
    let expected = read(&turned);
    assert_eq!(read(&merged(&[turned])), expected);
}

#[test]
fn indexes_and_bounds_that_cannot_be_relied_on_are_left_out() {
    let good = written(&rows(0, 1000), options());
    // The offset index of one chunk is another one's.
    let crossed = with_footer(&good, |m| {
        let of = m.row_groups[0].columns[1].clone();
        let chunk = &mut m.row_groups[0].columns[0];
        (chunk.offset_index_offset, chunk.offset_index_length) = (of.offset_index_offset, of.offset_index_length);
    });
    let file = open(&merged(&[crossed]));
    assert_eq!((file.offset_index(0, 0).unwrap(), file.column_index(0, 0).unwrap()), (None, None));
    assert!(file.offset_index(0, 1).unwrap().is_some() && file.column_index(1, 0).unwrap().is_some());

    // A file that does not say how its bounds compare.
    let unordered = with_footer(&good, |m| m.column_orders = None);
    let alone = open(&merged(std::slice::from_ref(&unordered)));
    assert_eq!(alone.metadata().unwrap().column_orders, None);
    let file = open(&merged(&[unordered, good.clone()]));
    let order = Some(vec![ColumnOrder::TypeOrder(Empty {}); 2]);
    assert_eq!(file.metadata().unwrap().column_orders, order);
    let has_bounds = |group: usize| {
        let statistics =
            file.metadata().unwrap().row_groups[group].columns[0].meta_data.clone().unwrap().statistics.unwrap();
        (statistics.min_value.is_some(), file.column_index(group, 0).unwrap().is_some())
    };
    assert_eq!((has_bounds(0), has_bounds(3)), ((false, false), (true, true)));
    let found = file.scan(ScanOptions::default().with_predicate(col("id").eq(5))).unwrap();
    assert_eq!(found.map(|b| b.unwrap().num_rows()).sum::<usize>(), 2);

    // The old fields, in a file whose writer compared strings as signed bytes.
    let old = with_footer(&good, |m| {
        for chunk in m.row_groups.iter_mut().flat_map(|g| &mut g.columns) {
            let statistics = chunk.meta_data.as_mut().unwrap().statistics.as_mut().unwrap();
            (statistics.min, statistics.max) = (Some(vec![1; 8]), Some(vec![2; 8]));
        }
    });
    let metadata = open(&merged(&[old])).metadata().unwrap().clone();
    let min = |column: usize| metadata.row_groups[0].columns[column].meta_data.clone().unwrap().statistics.unwrap().min;
    assert_eq!((min(0), min(1)), (Some(vec![1; 8]), None));

    // A filter whose header cannot be one.
    let filtered = of_arrow_rs(&rows(0, 300));
    let bad = with_footer(&filtered, |m| {
        m.row_groups[0].columns[0].meta_data.as_mut().unwrap().bloom_filter_offset = Some(4);
    });
    let metadata = open(&merged(&[bad])).metadata().unwrap().clone();
    let filters =
        metadata.row_groups[0].columns.iter().map(|c| c.meta_data.clone().unwrap().bloom_filter_offset.is_some());
    assert_eq!(filters.collect::<Vec<_>>(), [false, true]);
    // One whose length is not told.
    let untold = with_footer(&filtered, |m| {
        m.row_groups[0].columns.iter_mut().for_each(|c| c.meta_data.as_mut().unwrap().bloom_filter_length = None);
    });
    assert_eq!(check_by_arrow_rs(&merged(&[untold]), &rows(0, 300)), 1);
}

#[test]
fn appended_rows_follow_the_old_bytes() {
    for old in [written(&rows(0, 700), options()), of_arrow_rs(&rows(0, 700))] {
        let memory = Memory::new();
        memory.put("f", old.clone()).unwrap();
        let mut writer =
            FileWriter::append_to(&memory, "f", schema(), options().with_key_value("added", "yes")).unwrap();
        assert_eq!(writer.rows(), 700);
        writer.write(&rows(700, 1300)).unwrap();
        assert_eq!(memory.get("f").unwrap(), old, "nothing before the end");
        let written = writer.finish().unwrap();
        let new = memory.get("f").unwrap();
        assert_eq!(written.bytes, new.len() as u64);
        assert_eq!(read(&new), rows(0, 1300));
        check_by_arrow_rs(&new, &rows(0, 1300));
        let (footer, _) = footer::locate(*old.last_chunk().unwrap(), old.len() as u64).unwrap();
        assert_eq!(new[..footer.start as usize], old[..footer.start as usize]);
        let keys: Vec<String> = open(&new)
            .metadata()
            .unwrap()
            .key_value_metadata
            .iter()
            .flatten()
            .map(|p: &KeyValue| p.key.clone())
            .collect();
        assert_eq!(keys, ["added", "ARROW:schema"]);
        // Once more, and merged with another.
        let mut writer =
            FileWriter::append_to(&memory, "f", schema(), options().with_key_value("added", "no")).unwrap();
        writer.write(&rows(1300, 1301)).unwrap();
        writer.finish().unwrap();
        let new = memory.get("f").unwrap();
        let pairs = open(&new).metadata().unwrap().key_value_metadata.clone().unwrap();
        assert_eq!((pairs.len(), pairs[0].value.as_deref()), (2, Some("no")));
        check_by_arrow_rs(&new, &rows(0, 1301));
        let both = merged(&[new, self::written(&rows(1301, 1400), options())]);
        check_by_arrow_rs(&both, &rows(0, 1400));
    }
    let memory = Memory::new();
    memory.put("f", written(&rows(0, 7), options())).unwrap();
    let other =
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("text", DataType::Utf8, true)]));
    let e = FileWriter::append_to(&memory, "f", other, options()).unwrap_err();
    assert_eq!(e.to_string(), "memory:f: column id: another schema: optional, where it is required");
}

#[test]
fn files_of_pyarrow_are_appended_to() {
    for (name, bytes) in goldens() {
        let old = read(&bytes);
        let memory = Memory::new();
        memory.put("f", bytes).unwrap();
        let appended = FileWriter::append_to(&memory, "f", old.schema(), WriterOptions::default());
        let mut writer = match appended {
            Ok(writer) => writer,
            // What is read and not written.
            Err(e) if name == "int96.parquet" => {
                assert!(e.to_string().contains("another schema"), "{e}");
                continue;
            }
            Err(e) => panic!("{name}: {e}"),
        };
        writer.write(&old).unwrap();
        writer.finish().unwrap();
        let new = read(&memory.get("f").unwrap());
        assert_eq!((new.num_rows(), new.schema()), (2 * old.num_rows(), old.schema()), "{name}");
        for (new, old) in new.columns().iter().zip(old.columns()) {
            for half in [new.slice(0, old.len()), new.slice(old.len(), old.len())] {
                assert!(same_values(&half, old), "{name}");
            }
        }
    }
}

#[test]
fn a_crash_at_any_operation_of_an_append_leaves_the_old_file_or_the_new_one() {
    let memory = Memory::new();
    memory.put("day/f", written(&rows(0, 500), options())).unwrap();
    let append = |disk: &Faulty| -> Result<()> {
        let mut writer = FileWriter::append_to(disk, "day/f", schema(), options())?;
        writer.write(&rows(500, 900))?;
        writer.finish().map(|_| ())
    };
    let whole = Faulty::new(&memory, FaultPlan::default());
    append(&whole).unwrap();
    let (mut old, mut new) = (0, 0);
    for crash_at in 1..=whole.operations() + 1 {
        for seed in 0..20 {
            let disk = Faulty::new(&memory, FaultPlan { seed, crash_at: Some(crash_at), faults: vec![] });
            let acknowledged = append(&disk).is_ok();
            let found = read(&disk.after_crash(seed ^ 0x5555).get("day/f").expect("the file is there"));
            if found.num_rows() == 500 {
                assert!(!acknowledged, "lost: crash at {crash_at}, seed {seed}");
                assert_eq!(found, rows(0, 500));
                old += 1;
            } else {
                assert_eq!(found, rows(0, 900));
                new += 1;
            }
        }
    }
    assert!(old > 40 && new > 20, "{old} old, {new} new");
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Pause,
    Append,
    Merge,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_way_to_the_rows_gives_the_same_rows(
        steps in proptest::collection::vec(
            prop_oneof![
                (0..500usize).prop_map(Step::Write),
                Just(Step::Pause),
                Just(Step::Append),
                Just(Step::Merge),
            ],
            1..12,
        ),
    ) {
        let memory = Memory::new();
        let mut parts: Vec<Bytes> = Vec::new();
        let begin = || FileWriter::new(memory.create("f").unwrap(), schema(), options()).unwrap();
        let mut writer = begin();
        let mut at = 0;
        for step in steps {
            match step {
                Step::Write(more) => {
                    writer.write(&rows(at, at + more)).unwrap();
                    at += more;
                }
                Step::Pause => {
                    let token = writer.pause().unwrap();
                    drop(writer);
                    writer = FileWriter::resume(&memory, &token, schema(), options()).unwrap();
                }
                Step::Append => {
                    writer.finish().unwrap();
                    writer = FileWriter::append_to(&memory, "f", schema(), options()).unwrap();
                }
                Step::Merge => {
                    writer.finish().unwrap();
                    parts.push(memory.get("f").unwrap());
                    parts = vec![merged(&parts)];
                    writer = begin();
                }
            }
        }
        writer.finish().unwrap();
        parts.push(memory.get("f").unwrap());
        let all = merged(&parts);
        prop_assert_eq!(read(&all), rows(0, at));
        if at > 0 {
            check_by_arrow_rs(&all, &rows(0, at));
            let file = open(&all);
            let wanted = (at / 3) as i64;
            let scan = file.scan(ScanOptions::default().with_predicate(col("id").gt(wanted))).unwrap();
            let found: Vec<RecordBatch> = scan.collect::<Result<_>>().unwrap();
            prop_assert_eq!(concat_batches(&schema(), &found).unwrap(), rows(at / 3 + 1, at));
        }
    }
}
