//! Every encoding of every type, in data pages of both versions: chosen, written as asked, named in the footer, read back.
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
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use generate::{Nulls, Random, array};
use hypostyle::parquet::arrow::to_parquet;
use hypostyle::parquet::format::{ColumnMetaData, Encoding, PageType, Type};
use hypostyle::parquet::{
    ColumnOptions, Compatibility, FileReader, FileWriter, PageVersion, ReaderOptions, ScanOptions, WriterOptions,
};
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

fn write(batch: &RecordBatch, options: WriterOptions) -> (Bytes, Vec<ColumnMetaData>) {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    let columns = written.metadata.row_groups.iter().flat_map(|g| &g.columns);
    (memory.get("f").unwrap(), columns.map(|c| c.meta_data.clone().unwrap()).collect())
}

fn open(bytes: &Bytes) -> FileReader {
    let memory = Memory::new();
    memory.put("f", bytes.clone()).unwrap();
    FileReader::open(memory.open("f").unwrap(), ReaderOptions::default().with_batch_rows(101)).unwrap()
}

fn read(bytes: &Bytes) -> RecordBatch {
    let reader = open(bytes);
    let batches: Vec<_> = reader.scan(ScanOptions::default()).unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(reader.schema(), &batches).unwrap()
}

fn read_by_the_parquet_crate(bytes: &Bytes) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.with_batch_size(97).build().unwrap().map(Result::unwrap).collect();
    arrow_select::concat::concat_batches(&schema, &batches).unwrap()
}

/// Data pages and their encodings, of one chunk.
fn data_pages(chunk: &ColumnMetaData) -> Vec<(PageType, Encoding, i32)> {
    let stats = chunk.encoding_stats.iter().flatten();
    stats.filter(|s| s.page_type != PageType::DictionaryPage).map(|s| (s.page_type, s.encoding, s.count)).collect()
}

fn encodings_of(physical: Type) -> Vec<Encoding> {
    use Encoding::*;
    match physical {
        Type::Boolean => vec![Plain, Rle],
        Type::Int32 | Type::Int64 => vec![Plain, RleDictionary, DeltaBinaryPacked, ByteStreamSplit],
        Type::Float | Type::Double => vec![Plain, RleDictionary, ByteStreamSplit, Alp],
        Type::ByteArray => vec![Plain, RleDictionary, DeltaLengthByteArray, DeltaByteArray],
        _ => vec![Plain, RleDictionary, DeltaByteArray, ByteStreamSplit],
    }
}

/// A type of each kind of value that is stored in its own way, alone and below lists and structs.
fn types() -> Vec<DataType> {
    let list = |t: DataType| DataType::List(Arc::new(Field::new_list_field(t, true)));
    let leaves = [
        DataType::Boolean,
        DataType::Int16,
        DataType::Int64,
        DataType::UInt64,
        DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(30, 4),
        DataType::Utf8,
        DataType::Binary,
        DataType::FixedSizeBinary(5),
    ];
    let nested = leaves.iter().cloned().map(list);
    let structs = leaves.iter().cloned().map(|t| DataType::Struct(vec![Field::new("x", t, true)].into()));
    leaves.iter().cloned().chain(nested).chain(structs).collect()
}

/// Values of a type, those below lists and structs made of the same.
fn values(data_type: &DataType, rows: usize, nulls: Nulls, random: &mut Random) -> ArrayRef {
    match data_type {
        DataType::List(field) => {
            let lengths: Vec<usize> = (0..rows).map(|_| random.below(4) as usize).collect();
            let child = values(field.data_type(), lengths.iter().sum(), nulls, random);
            let offsets = arrow_buffer::OffsetBuffer::from_lengths(lengths.iter().copied());
            let valid = (nulls == Nulls::Some).then(|| (0..rows).map(|i| lengths[i] > 0 || i % 2 == 0).collect());
            Arc::new(ListArray::new(field.clone(), offsets, child, valid))
        }
        DataType::Struct(fields) => {
            let child = values(fields[0].data_type(), rows, nulls, random);
            let valid = (nulls == Nulls::Some).then(|| (0..rows).map(|i| i % 5 > 0).collect());
            Arc::new(arrow_array::StructArray::new(fields.clone(), vec![child], valid))
        }
        _ => array(data_type, rows, nulls, None, random),
    }
}

/// Values as text, row by row: what stands below nulls does not count.
fn text(array: &ArrayRef) -> Vec<String> {
    let options = arrow_cast::display::FormatOptions::default().with_null("null");
    let shown = arrow_cast::display::ArrayFormatter::try_new(array, &options).unwrap();
    (0..array.len()).map(|row| shown.value(row).to_string()).collect()
}

#[test]
fn each_encoding_of_each_type_comes_back() {
    let mut random = Random::new(11);
    for (number, data_type) in types().into_iter().enumerate() {
        for nulls in [Nulls::None, Nulls::Some, Nulls::All] {
            let schema = Arc::new(Schema::new(vec![Field::new("c", data_type.clone(), nulls != Nulls::None)]));
            let batch =
                RecordBatch::try_new(schema.clone(), vec![values(&data_type, 500, nulls, &mut random)]).unwrap();
            let leaf = to_parquet(&schema).unwrap().leaves.remove(0);
            for encoding in encodings_of(leaf.physical) {
                for version in [PageVersion::V1, PageVersion::V2] {
                    let column = ColumnOptions { encoding: Some(encoding), ..ColumnOptions::default() };
                    let codec = ["none", "zstd:1", "snappy"][number % 3].parse().unwrap();
                    let options = WriterOptions::default()
                        .with_page_version(Some(version))
                        .with_page_rows(123)
                        .with_compression(codec)
                        .with_column(leaf.name(), column);
                    let (bytes, chunks) = write(&batch, options);
                    let what = format!("{data_type} {nulls:?} {encoding} {version:?}");
                    let back = read(&bytes);
                    assert_eq!(back.schema(), schema);
                    assert_eq!(text(back.column(0)), text(batch.column(0)), "{what}");
                    if encoding != Encoding::Alp {
                        let theirs = read_by_the_parquet_crate(&bytes);
                        assert_eq!(text(theirs.column(0)), text(batch.column(0)), "{what}");
                    }
                    let kind = if version == PageVersion::V1 { PageType::DataPage } else { PageType::DataPageV2 };
                    let pages = data_pages(&chunks[0]);
                    assert!(pages.iter().all(|p| p.0 == kind), "{what}: {pages:?}");
                    assert_eq!(pages.iter().map(|p| p.2).sum::<i32>(), 5, "{what}: {pages:?}");
                    // Only pages without a value are PLAIN.
                    let expected = if nulls == Nulls::All { Encoding::Plain } else { encoding };
                    assert!(pages.iter().any(|p| p.1 == expected), "{what}: {pages:?}");
                    assert!(chunks[0].encodings.contains(&expected), "{what}: {:?}", chunks[0].encodings);
                    let seen = open(&bytes).pages(0, 0).unwrap();
                    assert!(seen.iter().all(|p| p.kind == PageType::DictionaryPage || p.kind == kind));
                }
            }
        }
    }
}

fn one(array: impl Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter([("a", Arc::new(array) as ArrayRef)]).unwrap()
}

#[test]
fn the_encoding_is_chosen_by_the_values() {
    use Compatibility::{Modern, Preview, Universal};
    let mut random = Random::new(5);
    let rows = 40_000;
    let ids = one(Int64Array::from_iter_values((0..rows).map(|r| r * 3 + r % 2)));
    let noise = one(Int64Array::from_iter_values((0..rows).map(|_| random.next() as i64)));
    let wave = one(Float64Array::from_iter_values((0..rows).map(|r| (r as f64 / 1e4).sin())));
    let prices = one(Float64Array::from_iter_values((0..rows).map(|_| random.below(1_000_000) as f64 / 100.0)));
    let runs = one(BooleanArray::from_iter((0..rows).map(|r| Some(r % 9000 < 40))));
    let paths = one(StringArray::from_iter_values((0..rows).map(|r| format!("/some/where/far/away/{:08}", r * 7))));
    let few = one(StringArray::from_iter_values((0..rows).map(|_| format!("word {}", random.below(40)))));
    let keys: Vec<[u8; 16]> =
        (0..rows).map(|_| std::array::from_fn(|i| if i < 8 { random.next() as u8 } else { i as u8 })).collect();
    let keys = one(FixedSizeBinaryArray::try_from_iter(keys.iter()).unwrap());
    for (name, batch, compatibility, expected) in [
        ("ids", &ids, Universal, Encoding::DeltaBinaryPacked),
        ("noise", &noise, Universal, Encoding::Plain),
        ("wave", &wave, Universal, Encoding::Plain),
        ("runs", &runs, Universal, Encoding::Plain),
        ("paths", &paths, Universal, Encoding::DeltaByteArray),
        ("few", &few, Universal, Encoding::RleDictionary),
        ("few", &few, Preview, Encoding::RleDictionary),
        ("ids", &ids, Modern, Encoding::DeltaBinaryPacked),
        ("wave", &wave, Modern, Encoding::ByteStreamSplit),
        ("prices", &prices, Preview, Encoding::Alp),
        ("keys", &keys, Modern, Encoding::ByteStreamSplit),
    ] {
        let (bytes, chunks) = write(batch, WriterOptions::default().with_compatibility(compatibility));
        let found = data_pages(&chunks[0]);
        assert!(found.iter().all(|p| p.1 == expected), "{name}, {compatibility:?}: {found:?}");
        assert_eq!(&read(&bytes), batch, "{name}, {compatibility:?}");
    }
    // What was chosen is shorter than what was not.
    for batch in [&ids, &paths, &few] {
        let plain = ColumnOptions { encoding: Some(Encoding::Plain), ..ColumnOptions::default() };
        let chosen = write(batch, WriterOptions::default()).0.len();
        assert!(chosen * 2 < write(batch, WriterOptions::default().with_column("a", plain)).0.len());
    }
    let pages = |o: WriterOptions| data_pages(&write(&runs, o.with_compression("none".parse().unwrap())).1[0]);
    assert!(pages(WriterOptions::default().with_compatibility(Modern)).iter().all(|p| p.1 == Encoding::Rle));
}

#[test]
fn a_dictionary_that_fills_over_several_pages_is_kept() {
    // Of 60,000 different values a page of 32,768 meets most for the first time; all in all each comes 16 times.
    let mut random = Random::new(8);
    let words: Vec<u64> = (0..60_000).map(|_| random.next()).collect();
    let numbers = one(Int64Array::from_iter_values((0..960_000).map(|_| words[random.below(60_000) as usize] as i64)));
    let options = WriterOptions::default().with_compression("snappy".parse().unwrap());
    let (bytes, chunks) = write(&numbers, options);
    let pages = data_pages(&chunks[0]);
    assert!(pages.len() == 1 && pages[0].1 == Encoding::RleDictionary, "{pages:?}");
    assert!(bytes.len() < 960_000 * 16 / 8 + 60_000 * 8 + 20_000, "{}", bytes.len());
    // Where nothing comes again it is given up with the first page, and nothing of it stays.
    let all = one(Int64Array::from_iter_values((0..200_000).map(|_| random.next() as i64)));
    let (_, chunks) = write(&all, WriterOptions::default());
    assert!(
        data_pages(&chunks[0]).iter().all(|p| p.1 == Encoding::Plain) && chunks[0].dictionary_page_offset.is_none()
    );
}

#[test]
fn a_dictionary_of_some_megabytes_is_kept_where_it_pays() {
    // Sessions: each comes a few times, and there are more of them than a megabyte holds.
    let mut random = Random::new(8);
    let words: Vec<String> = (0..60_000).map(|_| format!("{:016x}{:016x}", random.next(), random.next())).collect();
    let sessions =
        StringArray::from_iter_values((0..300_000).map(|_| &words[random.below(words.len() as u64) as usize]));
    let batch = one(sessions);
    let (bytes, chunks) = write(&batch, WriterOptions::default());
    assert!(data_pages(&chunks[0]).iter().all(|(_, encoding, _)| *encoding == Encoding::RleDictionary));
    assert_eq!(read(&bytes), batch);
    let (small, _) = write(&batch, WriterOptions::default().with_dictionary_bytes(1 << 20));
    assert!(bytes.len() * 2 < small.len(), "{} bytes, {} with a small dictionary", bytes.len(), small.len());
}

#[test]
fn pages_of_huge_strings_keep_their_limits() {
    // One of 10 MiB among small ones, and a list of three of 2 MiB: each has a page of its own, and begins with a row.
    let huge = |n: usize| "x".repeat(n << 20);
    let strings =
        StringArray::from_iter_values((0..9000).map(|i| if i == 4500 { huge(10) } else { format!("small {i}") }));
    let mut lists = arrow_array::builder::ListBuilder::new(arrow_array::builder::StringBuilder::new());
    for i in 0..9000 {
        let values =
            if i == 4500 { vec![Some(huge(2)), Some(huge(2)), None, Some(huge(2))] } else { vec![Some(i.to_string())] };
        lists.append_value(values);
    }
    let batch =
        RecordBatch::try_from_iter([("s", Arc::new(strings) as ArrayRef), ("l", Arc::new(lists.finish()) as _)])
            .unwrap();
    for version in [PageVersion::V1, PageVersion::V2] {
        for dictionary in [true, false] {
            let options = WriterOptions::default()
                .with_page_version(Some(version))
                .with_dictionary(dictionary)
                .with_compression("none".parse().unwrap());
            let (bytes, _) = write(&batch, options);
            assert_eq!(read(&bytes), batch);
            for (column, large) in [(0, 10 << 20), (1, 6 << 20)] {
                let pages = open(&bytes).pages(0, column).unwrap();
                let (over, under): (Vec<_>, Vec<_>) =
                    pages.iter().partition(|p| p.uncompressed_bytes > (1 << 20) + 100_000);
                assert_eq!(over.len(), 1, "{version:?} {column}: {pages:?}");
                assert!(over[0].uncompressed_bytes < large + 100 && over[0].values <= 4, "{:?}", over[0]);
                assert!(under.iter().map(|p| p.values).sum::<u64>() >= 8999);
            }
        }
    }
}

#[test]
fn rows_that_a_page_limit_names_are_the_most() {
    let flags = one(BooleanArray::from_iter((0..100_000).map(|i| Some(i % 3 == 0))));
    let rows = |options: WriterOptions| -> Vec<u64> {
        open(&write(&flags, options).0).pages(0, 0).unwrap().iter().map(|p| p.values).collect()
    };
    assert_eq!(rows(WriterOptions::default().with_page_rows(30_000)), [30_000, 30_000, 30_000, 10_000]);
    // Pages of few bytes go on; of how many is settable.
    assert_eq!(rows(WriterOptions::default()), [100_000]);
    assert_eq!(rows(WriterOptions::default().with_page_bytes_least(0)), [32_768, 32_768, 32_768, 1696]);
    let column = ColumnOptions { page_rows: Some(60_000), ..ColumnOptions::default() };
    assert_eq!(rows(WriterOptions::default().with_column("a", column)), [60_000, 40_000]);
}

#[test]
fn a_page_that_does_not_shrink_stands_as_it_is() {
    let mut random = Random::new(2);
    let noise = one(Int64Array::from_iter((0..5000).map(|i| (i % 10 > 0).then(|| random.next() as i64))));
    let options =
        WriterOptions::default().with_page_version(Some(PageVersion::V2)).with_compression("snappy".parse().unwrap());
    let (bytes, _) = write(&noise, options);
    let pages = open(&bytes).pages(0, 0).unwrap();
    assert!(pages.iter().all(|p| p.compressed_bytes as i64 == p.uncompressed_bytes), "{pages:?}");
    assert_eq!(pages[0].bounds.null_count, Some(500));
    assert_eq!((read(&bytes), read_by_the_parquet_crate(&bytes)), (noise.clone(), noise));
}

#[test]
fn lists_of_numbers_take_delta_pages() {
    let values = (0..50_000).map(|i| Some((0..i % 4).map(|k| Some(i * 5 + k)).collect::<Vec<_>>()));
    let lists = one(ListArray::from_iter_primitive::<Int32Type, _, _>(values));
    let (bytes, chunks) = write(&lists, WriterOptions::default());
    assert!(data_pages(&chunks[0]).iter().all(|p| p.1 == Encoding::DeltaBinaryPacked));
    assert_eq!(read(&bytes), lists);
    assert_eq!(
        read_by_the_parquet_crate(&bytes).column(0).as_list::<i32>().values(),
        lists.column(0).as_list::<i32>().values()
    );
}
