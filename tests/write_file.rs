//! What the writer promises of its files: where pages and row groups end, what statistics say, how it fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use generate::Random;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::{ColumnMetaData, Encoding, PageType, SortingColumn, Statistics};
use hypostyle::parquet::read::{FileReader, ReaderOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, WriterOptions, WrittenFile};
use hypostyle::storage::{Memory, Output, Storage};
use hypostyle::{Error, Result};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

fn one(array: impl Array + 'static) -> RecordBatch {
    let field = Field::new("a", array.data_type().clone(), array.is_nullable());
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(array)]).unwrap()
}

fn write(batch: &RecordBatch, options: WriterOptions) -> (Bytes, WrittenFile) {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    (memory.get("f").unwrap(), written)
}

fn chunk(written: &WrittenFile) -> ColumnMetaData {
    written.metadata.row_groups[0].columns[0].meta_data.clone().unwrap()
}

fn statistics(batch: &RecordBatch, options: WriterOptions) -> Statistics {
    chunk(&write(batch, options).1).statistics.unwrap()
}

/// Bytes and first row of each page of a column in all row groups, as the other crate reads the index.
fn pages(bytes: &Bytes, column: usize) -> Vec<(i32, i64)> {
    let metadata = index(bytes);
    let groups = metadata.offset_index().unwrap();
    groups
        .iter()
        .flat_map(|g| g[column].page_locations())
        .map(|l| (l.compressed_page_size, l.first_row_index))
        .collect()
}

fn index(bytes: &Bytes) -> Arc<ParquetMetaData> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options).unwrap().metadata().clone()
}

fn numbers(rows: usize, distinct: u64) -> RecordBatch {
    let mut random = Random::new(1);
    one(Int64Array::from_iter_values((0..rows).map(|_| random.below(distinct) as i64)))
}

fn uncompressed() -> WriterOptions {
    WriterOptions::default().with_compression(Compression::Uncompressed)
}

#[test]
fn a_dictionary_is_kept_while_it_pays() {
    let encodings = |c: &ColumnMetaData| -> Vec<(PageType, Encoding, i32)> {
        c.encoding_stats.iter().flatten().map(|s| (s.page_type, s.encoding, s.count)).collect()
    };
    let uncompressed = || uncompressed().with_page_rows(20_000);
    let few = chunk(&write(&numbers(50_000, 100), uncompressed()).1);
    assert_eq!(
        encodings(&few),
        [(PageType::DictionaryPage, Encoding::Plain, 1), (PageType::DataPage, Encoding::RleDictionary, 3)]
    );
    assert_eq!(few.statistics.unwrap().distinct_count, Some(100));
    // 7 bits a value and 800 bytes of dictionary.
    assert!(few.total_compressed_size < 50_000 * 7 / 8 + 1500);
    assert!(few.dictionary_page_offset.unwrap() < few.data_page_offset);

    let many = chunk(&write(&numbers(50_000, u64::MAX), uncompressed()).1);
    assert_eq!(encodings(&many), [(PageType::DataPage, Encoding::Plain, 3)]);
    assert_eq!((many.dictionary_page_offset, many.statistics.unwrap().distinct_count), (None, None));
    assert!(many.total_compressed_size < 50_000 * 8 + 300);

    let off = chunk(&write(&numbers(50_000, 100), uncompressed().with_dictionary(false)).1);
    assert_eq!(encodings(&off), [(PageType::DataPage, Encoding::DeltaBinaryPacked, 3)]);

    // It pays at first, and no more later.
    let mut random = Random::new(3);
    let mut mixed = |rows: usize| {
        Int64Array::from_iter_values((0..rows).map(|r| if r < 42_000 { r as i64 % 10 } else { random.next() as i64 }))
    };
    let mixed = chunk(&write(&one(mixed(100_000)), uncompressed()).1);
    assert_eq!(
        encodings(&mixed),
        [
            (PageType::DictionaryPage, Encoding::Plain, 1),
            (PageType::DataPage, Encoding::RleDictionary, 2),
            // As the first page told, which knew of small numbers only; of these one more, as the dictionary grew.
            (PageType::DataPage, Encoding::DeltaBinaryPacked, 4)
        ]
    );
    // The page that did not pay took its values out of the dictionary again.
    assert!(mixed.total_compressed_size < 60_000 * 8 + 40_000 / 2 + 1000, "{}", mixed.total_compressed_size);

    // It pays all along, but grows beyond its bound.
    let word = |n: u64| (0..6).map(|i| format!("{:016x}", Random::new(n * 6 + i).next())).collect::<String>();
    let words = StringArray::from_iter_values((0..60_000).map(|r| word(r / 3)));
    let large = chunk(&write(&one(words), uncompressed()).1);
    let stats = encodings(&large);
    assert_eq!(stats.len(), 3, "{stats:?}");
    assert!(large.data_page_offset - large.dictionary_page_offset.unwrap() <= (1 << 20) + 100);
}

#[test]
fn one_column_may_do_without_a_dictionary() {
    let batch = RecordBatch::try_from_iter([
        ("a", Arc::new(Int64Array::from(vec![7; 1000])) as ArrayRef),
        ("b", Arc::new(Int64Array::from(vec![7; 1000])) as ArrayRef),
    ])
    .unwrap();
    let otherwise = ColumnOptions {
        dictionary: Some(false),
        statistics: Some(false),
        compression: Some(Compression::Snappy),
        ..ColumnOptions::default()
    };
    let (_, written) = write(&batch, WriterOptions::default().with_column("b", otherwise));
    let columns = &written.metadata.row_groups[0].columns;
    let (a, b) = (columns[0].meta_data.as_ref().unwrap(), columns[1].meta_data.as_ref().unwrap());
    assert!(a.dictionary_page_offset.is_some() && b.dictionary_page_offset.is_none());
    assert!(a.statistics.is_some() && b.statistics.is_none());
    assert_eq!((i32::from(a.codec), i32::from(b.codec)), (6, 1));
    assert!(columns[0].offset_index_offset.is_some() && columns[1].offset_index_offset.is_none());
}

#[test]
fn pages_end_by_rows_or_bytes() {
    let by_rows = pages(&write(&numbers(50_000, u64::MAX), uncompressed().with_page_rows(20_000)).0, 0);
    assert_eq!(by_rows.iter().map(|p| p.1).collect::<Vec<_>>(), [0, 20_000, 40_000]);
    let by_bytes = pages(&write(&numbers(50_000, u64::MAX), uncompressed().with_page_bytes(80_000)).0, 0);
    assert_eq!(by_bytes.iter().map(|p| p.1).collect::<Vec<_>>(), [0, 10_000, 20_000, 30_000, 40_000]);
    let booleans = BooleanArray::from_iter((0..1000).map(|i| (i % 3 > 0).then_some(i % 2 == 0)));
    let bits = pages(&write(&one(booleans), uncompressed().with_page_bytes(50)).0, 0);
    assert_eq!(bits.len(), 2, "{bits:?}");

    // Long strings: a page ends before it would exceed its bytes; one value alone may.
    let long = |n: usize| "x".repeat(n);
    let lengths = [10, 400, 400, 400, 5000, 10, 10, 600, 600];
    let strings = StringArray::from_iter_values(lengths.iter().map(|&n| long(n)));
    for dictionary in [true, false] {
        let options = uncompressed().with_page_bytes(1000).with_dictionary(dictionary);
        let found = pages(&write(&one(strings.clone()), options).0, 0);
        assert_eq!(found.iter().map(|p| p.1).collect::<Vec<_>>(), [0, 3, 4, 5, 8], "dictionary {dictionary}");
        assert!(dictionary || found.iter().all(|p| p.0 < 1100 || p.0 > 5000));
    }
}

#[test]
fn row_groups_end_by_bytes_and_memory_follows() {
    let schema = numbers(1, 1).schema();
    let memory = Memory::new();
    let options = uncompressed().with_row_group_bytes(1 << 20);
    let mut writer = FileWriter::new(memory.create("f").unwrap(), schema, options).unwrap();
    let all = numbers(1_000_000, u64::MAX);
    let mut estimate_error = 0;
    for i in 0..1000 {
        writer.write(&all.slice(i * 1000, 1000)).unwrap();
        assert!(writer.memory_bytes() < (1 << 20) + (2 << 20), "{}", writer.memory_bytes());
        estimate_error = estimate_error.max(writer.file_bytes().abs_diff(writer.rows() * 8));
    }
    assert!(estimate_error < 100_000, "{estimate_error}");
    let written = writer.finish().unwrap();
    let groups = &written.metadata.row_groups;
    assert_eq!(groups.iter().map(|g| g.num_rows).sum::<i64>(), 1_000_000);
    for group in &groups[..groups.len() - 1] {
        let bytes = group.total_compressed_size.unwrap();
        assert!((1 << 20..(1 << 20) + 140_000).contains(&bytes), "{bytes}");
    }
    // Groups follow each other without a gap, and say so.
    let mut at = 4;
    for (i, group) in groups.iter().enumerate() {
        assert_eq!((group.file_offset, group.ordinal), (Some(at), Some(i as i16)));
        assert_eq!(group.columns[0].file_offset, Some(0));
        at += group.total_compressed_size.unwrap();
    }
}

#[test]
fn a_long_value_in_every_row_does_not_blow_up() {
    // 2 GB, if it stood there at once.
    let keys = PrimitiveArray::<Int32Type>::from_iter_values(std::iter::repeat_n(0, 20_000));
    let values = Arc::new(StringArray::from(vec!["x".repeat(100_000)]));
    let batch = one(DictionaryArray::new(keys, values));
    let options = WriterOptions::default()
        .with_column("a", ColumnOptions { encoding: Some(Encoding::Plain), ..ColumnOptions::default() })
        .with_compression(Compression::Snappy)
        .with_row_group_bytes(10 << 20);
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    assert!(writer.memory_bytes() < 30 << 20, "{}", writer.memory_bytes());
    let written = writer.finish().unwrap();
    assert!(written.metadata.row_groups.len() > 5);
    for group in &written.metadata.row_groups {
        assert!(group.total_compressed_size.unwrap() < 20 << 20);
    }
}

#[test]
fn bounds_of_floats_are_careful() {
    let of = |values: Vec<f64>| statistics(&one(Float64Array::from(values)), WriterOptions::default());
    let bits = |bound: Option<Vec<u8>>| bound.map(|b| f64::from_le_bytes(b.try_into().unwrap()).to_bits());
    let s = of(vec![1.5, -2.0, f64::INFINITY]);
    assert_eq!((bits(s.min_value), bits(s.max_value)), (Some((-2f64).to_bits()), Some(f64::INFINITY.to_bits())));
    assert_eq!(s.nan_count, Some(0));
    let s = of(vec![0.0, 0.0]);
    assert_eq!((bits(s.min_value), bits(s.max_value)), (Some((-0f64).to_bits()), Some(0f64.to_bits())));
    let s = of(vec![-0.0, -1.0]);
    assert_eq!(bits(s.max_value), Some(0f64.to_bits()));
    let s = of(vec![1.0, f64::NAN, 2.0]);
    assert_eq!((s.min_value, s.max_value, s.min, s.max, s.nan_count), (None, None, None, None, Some(1)));
    let s = of(vec![f64::NAN; 3]);
    assert_eq!((s.min_value, s.nan_count), (None, Some(3)));

    let half = |v: f32| half::f16::from_f32(v);
    let s = statistics(&one(Float16Array::from(vec![half(0.0), half(3.0)])), WriterOptions::default());
    assert_eq!(s.min_value, Some(half(-0.0).to_le_bytes().to_vec()));
    assert_eq!(s.max_value, Some(half(3.0).to_le_bytes().to_vec()));

    // A page with NaN has no bounds, so its chunk has no column index; where its pages lie is told all the same.
    let batch = one(Float32Array::from(vec![1.0, f32::NAN, 2.0, 3.0]));
    let (_, written) = write(&batch, WriterOptions::default().with_page_rows(2));
    let column = &written.metadata.row_groups[0].columns[0];
    assert!(column.column_index_offset.is_none() && column.offset_index_offset.is_some());
    let (_, written) = write(&batch.slice(2, 2), WriterOptions::default().with_page_rows(1));
    assert!(written.metadata.row_groups[0].columns[0].column_index_offset.is_some());
}

#[test]
fn bounds_follow_the_type() {
    let options = WriterOptions::default;
    let s = statistics(&one(UInt32Array::from(vec![1, u32::MAX, 5])), options());
    assert_eq!((s.min_value, s.max_value), (Some(vec![1, 0, 0, 0]), Some(vec![0xff; 4])));
    // The deprecated pair is compared as signed, which is wrong here.
    assert_eq!((s.min, s.max), (None, None));
    let s = statistics(&one(Int16Array::from(vec![Some(-3), None, Some(5)])), options());
    assert_eq!((s.min_value.clone(), s.null_count), (Some((-3i32).to_le_bytes().to_vec()), Some(1)));
    assert_eq!((s.min, s.is_min_value_exact), (s.min_value, Some(true)));
    let s = statistics(&one(BooleanArray::from(vec![false, true])), options());
    assert_eq!((s.min_value, s.max_value), (Some(vec![0]), Some(vec![1])));
    let decimal = Decimal128Array::from(vec![-1, 1, -300]).with_precision_and_scale(30, 2).unwrap();
    let s = statistics(&one(decimal), options());
    let width = s.min_value.as_ref().unwrap().len();
    assert_eq!(width, 13);
    assert_eq!(s.min_value.unwrap(), (-300i128).to_be_bytes()[16 - width..]);
    assert_eq!(s.max_value.unwrap(), 1i128.to_be_bytes()[16 - width..]);
    assert_eq!((s.min, s.max), (None, None));
    let s = statistics(&one(StringArray::from(vec![Some("ab"), None, Some("é")])), options().with_bounds_bytes_max(1));
    assert_eq!((s.min_value, s.is_min_value_exact), (Some(b"a".to_vec()), Some(false)));
    // No character of one byte is above é.
    assert_eq!((s.max_value, s.is_max_value_exact), (None, None));
    let s = statistics(&one(NullArray::new(3)), options());
    assert_eq!((s.min_value, s.max_value, s.null_count), (None, None, Some(3)));
}

#[test]
fn sizes_and_sorting_are_told() {
    let batch = one(StringArray::from(vec![Some("ab"), None, Some("é"), Some("")]));
    let sorting = SortingColumn { column_idx: 0, descending: true, nulls_first: false };
    let (_, written) = write(&batch, WriterOptions::default().with_sorting_columns(vec![sorting.clone()]));
    let sizes = chunk(&written).size_statistics.unwrap();
    assert_eq!(sizes.unencoded_byte_array_data_bytes, Some(4));
    assert_eq!(sizes.definition_level_histogram, Some(vec![1, 3]));
    assert_eq!(written.metadata.row_groups[0].sorting_columns, Some(vec![sorting]));
    let (_, written) = write(&one(StringArray::from(vec!["a", "b"])), WriterOptions::default());
    assert_eq!(chunk(&written).num_values, 2);
}

#[test]
fn levels_of_nested_columns_are_counted_by_page() {
    let rows = [Some(vec![Some(1), Some(2)]), None, Some(vec![]), Some(vec![Some(3)]), Some(vec![None])];
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(rows);
    let (bytes, written) = write(&one(lists), WriterOptions::default().with_page_rows(2));
    let memory = Memory::new();
    memory.put("f", bytes).unwrap();
    let file = FileReader::open(memory.open("f").unwrap(), ReaderOptions::default()).unwrap();
    let index = file.column_index(0, 0).unwrap().unwrap();
    // Three pages: how many entries begin a row, and how many go on in a list.
    assert_eq!(index.repetition_level_histograms, Some(vec![2, 1, 2, 0, 1, 0]));
    // Null, empty, a null in it, a value.
    assert_eq!(index.definition_level_histograms, Some(vec![1, 0, 0, 2, 0, 1, 0, 1, 0, 0, 1, 0]));
    let sizes = chunk(&written).size_statistics.unwrap();
    assert_eq!(sizes.repetition_level_histogram, Some(vec![5, 1]));
    assert_eq!(sizes.definition_level_histogram, Some(vec![1, 1, 1, 3]));
}

#[test]
fn indexes_stand_behind_the_row_groups_and_know_their_order() {
    use parquet::basic::BoundaryOrder;
    let sorted = one(Int64Array::from_iter_values(0..1000));
    let (bytes, written) = write(&sorted, WriterOptions::default().with_page_rows(100).with_row_group_rows(500));
    let end = written.metadata.row_groups.iter().map(|g| g.total_compressed_size.unwrap()).sum::<i64>() + 4;
    let mut at = end;
    let columns: Vec<_> = written.metadata.row_groups.iter().map(|g| g.columns[0].clone()).collect();
    for column in &columns {
        assert_eq!(column.column_index_offset, Some(at));
        at += i64::from(column.column_index_length.unwrap());
    }
    for column in &columns {
        assert_eq!(column.offset_index_offset, Some(at));
        at += i64::from(column.offset_index_length.unwrap());
    }
    let metadata = index(&bytes);
    let order = |column: usize| metadata.column_index().unwrap()[0][column].get_boundary_order();
    assert_eq!(order(0), Some(BoundaryOrder::ASCENDING));
}

fn writer(schema: &SchemaRef) -> (Memory, FileWriter) {
    let memory = Memory::new();
    let writer = FileWriter::new(memory.create("f").unwrap(), schema.clone(), WriterOptions::default()).unwrap();
    (memory, writer)
}

#[test]
fn another_schema_is_refused_by_column() {
    let schema = |fields: &[(&str, DataType)]| -> SchemaRef {
        Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
    };
    let (a, b) = (("a", DataType::Int32), ("b", DataType::Utf8));
    let mine = schema(&[a.clone(), b.clone()]);
    for (other, says) in [
        (schema(&[a.clone(), ("b", DataType::LargeUtf8)]), "column b: LargeUtf8 in the batch, Utf8 in the file"),
        (schema(&[a.clone(), ("c", DataType::Utf8)]), "column b: the batch has \"c\" in its place"),
        (schema(std::slice::from_ref(&a)), "column b: the batch does not have it"),
        (schema(&[a.clone(), b.clone(), ("c", DataType::Int8)]), "column c: the file does not have it"),
    ] {
        let (memory, mut writer) = writer(&mine);
        let e = writer.write(&RecordBatch::new_empty(other)).unwrap_err();
        assert_eq!((e.kind(), e.to_string().as_str()), ("invalid", says));
        // Nothing was written, so the right batch may still come.
        writer.write(&RecordBatch::new_empty(mine.clone())).unwrap();
        writer.finish().unwrap();
        assert!(memory.get("f").is_some());
    }
}

#[test]
fn values_that_do_not_fit_are_refused_and_leave_no_file() {
    let decimal = |v: i128| Decimal128Array::from(vec![v]).with_precision_and_scale(5, 0).unwrap();
    let wide = |v: i128| Decimal128Array::from(vec![v]).with_precision_and_scale(20, 0).unwrap();
    let batches = [
        (one(decimal(100_000)), "the decimal 100000 has more than the type's 5 digits"),
        (one(wide(-(10i128.pow(20)))), "has more than the type's 20 digits"),
        (one(Date64Array::from(vec![86_400_001])), "not a whole day"),
        (one(TimestampSecondArray::from(vec![i64::MAX])), "milliseconds of a timestamp"),
    ];
    for (batch, says) in batches {
        let (memory, mut writer) = writer(&batch.schema());
        let e = writer.write(&batch).unwrap_err();
        assert!(e.kind() == "invalid" && e.to_string().contains(says), "{e}");
        assert_eq!(e.place().column.as_deref(), Some("a"));
        assert_eq!(writer.finish().unwrap_err().kind(), "invalid");
        assert!(memory.get("f").is_none());
    }
    // Where it is null, whatever lies there is no value.
    let garbage = PrimitiveArray::<types::Date64Type>::new(vec![5, 86_400_000].into(), Some(vec![false, true].into()));
    write(&one(garbage), WriterOptions::default());
}

#[test]
fn a_null_where_none_may_be_is_refused() {
    // The batch cannot see it: it hides among the dictionary's values.
    let values = Arc::new(StringArray::from(vec![Some("a"), None]));
    let array = DictionaryArray::<Int32Type>::new(vec![0, 1].into(), values);
    let nullable: SchemaRef = Arc::new(Schema::new(vec![Field::new("a", array.data_type().clone(), true)]));
    let required: SchemaRef = Arc::new(Schema::new(vec![Field::new("a", array.data_type().clone(), false)]));
    let batch = RecordBatch::try_new(nullable, vec![Arc::new(array)]).unwrap();
    let (_, mut writer) = writer(&required);
    let e = writer.write(&batch).unwrap_err();
    assert_eq!(e.to_string(), "column a: a null in a column that is not nullable");
}

/// Fails when it would grow beyond its bytes; tells whether it was finished.
struct Full {
    left: usize,
    finished: Arc<std::sync::atomic::AtomicBool>,
}

impl Output for Full {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| Error::io("no space left on device"))?;
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<()> {
        self.finished.store(true, std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_is_finished() {
    let batch = numbers(5000, u64::MAX);
    let (whole, _) = write(&batch, uncompressed().with_row_group_rows(1000));
    for left in (0..whole.len()).step_by(997).chain([whole.len() - 1, whole.len()]) {
        let finished = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let out = Box::new(Full { left, finished: finished.clone() });
        let result =
            FileWriter::new(out, batch.schema(), uncompressed().with_row_group_rows(1000)).and_then(|mut writer| {
                let first = writer.write(&batch);
                if first.is_err() {
                    assert!(writer.write(&batch).is_err() && writer.flush().is_err());
                }
                first.and_then(|()| writer.finish())
            });
        let fits = left == whole.len();
        assert_eq!(result.as_ref().map(|w| w.bytes).ok(), fits.then_some(whole.len() as u64));
        assert!(fits || result.is_err_and(|e| e.kind() == "io"));
        assert_eq!(finished.load(std::sync::atomic::Ordering::SeqCst), fits);
    }
}
