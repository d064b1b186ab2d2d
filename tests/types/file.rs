//! Files in memory: written, opened, changed.

use std::sync::Arc;

use arrow_array::*;
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use hypostyle::Error;
use hypostyle::parquet::format::{FileMetaData, footer};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions, WrittenFile};
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub fn write(batch: &RecordBatch, options: WriterOptions) -> (Bytes, WrittenFile) {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    (memory.get("f").unwrap(), written)
}

pub fn open(bytes: &Bytes, options: ReaderOptions) -> Result<FileReader, Error> {
    let memory = Memory::new();
    memory.put("f", bytes.clone()).unwrap();
    FileReader::open(memory.open("f").unwrap(), options)
}

pub fn scan(bytes: &Bytes, options: ReaderOptions, what: ScanOptions) -> Result<RecordBatch, Error> {
    let scan = open(bytes, options)?.scan(what)?;
    let schema = scan.schema().clone();
    let batches = scan.collect::<Result<Vec<_>, _>>()?;
    Ok(arrow_select::concat::concat_batches(&schema, &batches).unwrap())
}

pub fn read(bytes: &Bytes) -> RecordBatch {
    scan(bytes, ReaderOptions::default(), ScanOptions::default()).unwrap()
}

pub fn one(field: Field, array: ArrayRef) -> RecordBatch {
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap()
}

pub fn plain(array: impl Array + 'static) -> RecordBatch {
    one(Field::new("a", array.data_type().clone(), true), Arc::new(array))
}

/// The file with another footer.
pub fn with_footer(bytes: &Bytes, change: impl FnOnce(&mut FileMetaData)) -> Bytes {
    let mut metadata = open(bytes, ReaderOptions::default()).unwrap().metadata().unwrap().clone();
    let tail: [u8; 8] = bytes[bytes.len() - 8..].try_into().unwrap();
    let (place, _) = footer::locate(tail, bytes.len() as u64).unwrap();
    change(&mut metadata);
    let mut out = bytes[..place.start as usize].to_vec();
    out.extend(footer::encode(&metadata).unwrap());
    out.into()
}

pub fn without_arrow_schema(bytes: &Bytes) -> Bytes {
    with_footer(bytes, |metadata| metadata.key_value_metadata = None)
}

pub fn judged_by_the_other_crate(bytes: &Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap();
    reader.map(Result::unwrap).next().unwrap()
}

pub fn bytes_of(values: &[Option<&[u8]>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<BinaryArray>())
}

pub fn text(array: &ArrayRef) -> Vec<String> {
    let options = arrow_cast::display::FormatOptions::default().with_null("NULL");
    let formatter = arrow_cast::display::ArrayFormatter::try_new(array.as_ref(), &options).unwrap();
    (0..array.len()).map(|row| formatter.value(row).to_string()).collect()
}
