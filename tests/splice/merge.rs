//! Merged files: the same rows, with indexes and filters that are right.

use crate::generate::{self, Nulls, Random};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use bytes::Bytes;
use hypostyle::parquet::format::{ColumnOrder, Empty};
use hypostyle::parquet::read::{FileReader, ScanOptions};
use hypostyle::parquet::splice::MergeOptions;
use hypostyle::parquet::write::WriterOptions;
use hypostyle::predicate::col;
use hypostyle::{Error, Result};

use super::file::*;

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

/// Were each key compared with all others, this would hold up all other tests for minutes.
#[test]
fn very_many_key_values_are_merged() {
    let mut options = options();
    for number in 0..300_000 {
        options = options.with_key_value(format!("{number:06}"), "");
    }
    let file = written(&rows(0, 10), options);
    let (_, merged) = merged_by(&[file.clone(), file], &MergeOptions::default()).unwrap();
    assert_eq!(merged.metadata.key_value_metadata.unwrap().len(), 300_001);
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
