//! Files in memory: written by this crate and another, merged, read, changed.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use hypostyle::parquet::format::{FileMetaData, footer};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::splice::{MergeOptions, MergedFile, merge};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Input, Memory, Storage};
use hypostyle::{Error, Result};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

/// Rows `from..to` of an endless stream, the ids in order.
pub fn rows(from: usize, to: usize) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values((from..to).map(|n| n as i64)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter((from..to).map(|n| (n % 5 > 0).then(|| text(n)))));
    RecordBatch::try_new(schema(), vec![ids, texts]).unwrap()
}

pub fn text(n: usize) -> String {
    format!("text {}", n % 97)
}

pub fn schema() -> SchemaRef {
    let fields = vec![Field::new("id", DataType::Int64, false), Field::new("text", DataType::Utf8, true)];
    Arc::new(Schema::new(fields))
}

pub fn options() -> WriterOptions {
    WriterOptions::default().with_page_rows(50).with_row_group_rows(400)
}

pub fn written(batch: &RecordBatch, options: WriterOptions) -> Bytes {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    memory.get("f").unwrap()
}

/// By the `parquet` crate, with Bloom filters.
pub fn of_arrow_rs(batch: &RecordBatch) -> Bytes {
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

pub fn inputs(files: &[Bytes]) -> Vec<Arc<dyn Input>> {
    let memory = Memory::new();
    let put = |(number, bytes): (usize, &Bytes)| {
        memory.put(&format!("{number}.parquet"), bytes.clone()).unwrap();
        memory.open(&format!("{number}.parquet")).unwrap()
    };
    files.iter().enumerate().map(put).collect()
}

pub fn merged_by(files: &[Bytes], options: &MergeOptions) -> Result<(Bytes, MergedFile)> {
    let memory = Memory::new();
    let merged = merge(&inputs(files), memory.create("m").unwrap(), options)?;
    let bytes = memory.get("m").unwrap();
    assert_eq!(merged.bytes, bytes.len() as u64);
    Ok((bytes, merged))
}

pub fn merged(files: &[Bytes]) -> Bytes {
    merged_by(files, &MergeOptions::default()).unwrap().0
}

pub fn refused(files: &[Bytes]) -> Error {
    merged_by(files, &MergeOptions::default()).unwrap_err()
}

pub fn open(bytes: &Bytes) -> FileReader {
    FileReader::open(inputs(std::slice::from_ref(bytes)).remove(0), ReaderOptions::default()).unwrap()
}

pub fn read(bytes: &Bytes) -> RecordBatch {
    let file = open(bytes);
    let batches: Vec<RecordBatch> = file.scan(ScanOptions::default()).unwrap().collect::<Result<_>>().unwrap();
    concat_batches(file.schema(), &batches).unwrap()
}

/// The same, as the other crate reads it, with page index and Bloom filters where there are any.
pub fn check_by_arrow_rs(bytes: &Bytes, expected: &RecordBatch) -> usize {
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
pub fn with_footer(bytes: &Bytes, change: impl FnOnce(&mut FileMetaData)) -> Bytes {
    let (range, _) = footer::locate(*bytes.last_chunk().unwrap(), bytes.len() as u64).unwrap();
    let mut metadata = footer::decode(&bytes[range.start as usize..range.end as usize], range.start).unwrap();
    change(&mut metadata);
    let mut out = bytes[..range.start as usize].to_vec();
    out.extend(footer::encode(&metadata).unwrap());
    out.into()
}

pub fn goldens() -> Vec<(String, Bytes)> {
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

/// Dictionaries may be of another layout, and NaN is not equal to itself.
pub fn same_values(a: &ArrayRef, b: &ArrayRef) -> bool {
    let plain = |array: &ArrayRef| match array.data_type() {
        DataType::Dictionary(_, value) => arrow_cast::cast(array, value).unwrap(),
        _ => array.clone(),
    };
    format!("{:?}", plain(a)) == format!("{:?}", plain(b)) || plain(a) == plain(b)
}
