//! Any schema, written with any options, in any batches, comes back; and so it does through the `parquet` crate, both ways.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use bytes::Bytes;
use generate::Random;
use generate::nested::{any_type, array};
use hypostyle::parquet::arrow::to_parquet;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::{Encoding, Type};
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, Compatibility, FileWriter, PageVersion, WriterOptions};
use hypostyle::storage::{Memory, Storage};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic as theirs;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

/// Columns of any types, and the batches in which they come.
fn batches() -> impl Strategy<Value = Vec<RecordBatch>> {
    let columns = prop::collection::vec((any_type(), any::<bool>()), 1..4);
    (columns, prop::collection::vec(0usize..60, 1..4), any::<u64>()).prop_map(|(columns, rows, seed)| {
        let fields = columns.into_iter().enumerate().map(|(i, (data_type, nullable))| {
            let nullable = nullable || data_type == DataType::Null;
            Field::new(format!("c{i}"), data_type, nullable)
        });
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut random = Random::new(seed);
        let batch = |rows: usize| {
            let columns = schema.fields().iter().map(|field| array(field, rows + 2, &mut random)).collect();
            // Sliced, so that offsets do not begin at 0.
            RecordBatch::try_new(schema.clone(), columns).unwrap().slice(1, rows)
        };
        rows.into_iter().map(batch).collect()
    })
}

fn options() -> impl Strategy<Value = WriterOptions> {
    use Compression::*;
    let codecs = vec![Uncompressed, Snappy, Gzip(1), Brotli(1), Zstd(1), Lz4Raw];
    let levels = vec![Compatibility::Universal, Compatibility::Modern, Compatibility::Preview];
    let versions = vec![None, Some(PageVersion::V1), Some(PageVersion::V2)];
    let small = || prop_oneof![1usize..40, 40usize..2000];
    (
        (prop::sample::select(codecs), prop::sample::select(levels), prop::sample::select(versions)),
        (small(), small(), small(), small(), small(), 1usize..80),
        (any::<bool>(), any::<bool>(), any::<bool>()),
    )
        .prop_map(|((compression, compatibility, page_version), sizes, (dictionary, statistics, crc))| {
            WriterOptions {
                compression,
                compatibility,
                page_version,
                row_group_rows: sizes.0,
                row_group_bytes: sizes.1 * 40,
                page_rows: sizes.2,
                page_bytes: sizes.3,
                dictionary,
                dictionary_bytes: sizes.4,
                statistics,
                crc,
                bounds_bytes_max: sizes.5,
                ..WriterOptions::default()
            }
        })
}

/// An encoding for each leaf, or none, by a number.
fn encodings(schema: &Schema, seed: u64, with_alp: bool) -> Vec<(Vec<String>, Option<Encoding>)> {
    use Encoding::*;
    let mut random = Random::new(seed);
    let leaves = to_parquet(schema).unwrap().leaves;
    let of = |physical: Type, random: &mut Random| {
        let all: &[Encoding] = match physical {
            Type::Boolean => &[Plain, Rle],
            Type::Int32 | Type::Int64 => &[Plain, DeltaBinaryPacked, ByteStreamSplit],
            Type::Float | Type::Double if with_alp => &[Plain, ByteStreamSplit, Alp],
            Type::Float | Type::Double => &[Plain, ByteStreamSplit],
            Type::ByteArray => &[Plain, DeltaLengthByteArray, DeltaByteArray],
            _ => &[Plain, DeltaByteArray, ByteStreamSplit],
        };
        all.get(random.below(all.len() as u64 + 1) as usize).copied()
    };
    leaves.iter().map(|leaf| (leaf.path.clone(), of(leaf.physical, &mut random))).collect()
}

fn with_encodings(mut options: WriterOptions, schema: &Schema, seed: u64, with_alp: bool) -> WriterOptions {
    let mut random = Random::new(seed ^ 1);
    for (path, encoding) in encodings(schema, seed, with_alp) {
        let dictionary = [None, Some(true), Some(false)][random.below(3) as usize];
        options =
            options.with_column(path.join("."), ColumnOptions { encoding, dictionary, ..ColumnOptions::default() });
    }
    options
}

fn write(batches: &[RecordBatch], options: WriterOptions) -> Bytes {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    memory.get("f").unwrap()
}

fn read(file: Bytes, batch_rows: usize) -> RecordBatch {
    let memory = Memory::new();
    memory.put("f", file).unwrap();
    let reader = FileReader::open(memory.open("f").unwrap(), ReaderOptions::default().with_batch_rows(batch_rows));
    let reader = reader.unwrap();
    let batches: Vec<_> = reader.scan(ScanOptions::default()).unwrap().map(Result::unwrap).collect();
    assert!(batches.iter().all(|batch| (1..=batch_rows).contains(&batch.num_rows())));
    arrow_select::concat::concat_batches(reader.schema(), &batches).unwrap()
}

/// Views of lists have no equality of their own.
fn assert_same(found: &RecordBatch, wanted: &[RecordBatch]) {
    let wanted = arrow_select::concat::concat_batches(&wanted[0].schema(), wanted).unwrap();
    assert_eq!(found.schema().fields(), wanted.schema().fields());
    assert_eq!(found.num_rows(), wanted.num_rows());
    for (found, wanted) in found.columns().iter().zip(wanted.columns()) {
        let as_lists = plain_lists(wanted.data_type());
        let of = |array: &Arc<dyn Array>| arrow_cast::cast(array, &as_lists).unwrap();
        assert_eq!(&of(found), &of(wanted), "{}", wanted.data_type());
    }
}

fn plain_lists(data_type: &DataType) -> DataType {
    let field = |f: &FieldRef| Arc::new(f.as_ref().clone().with_data_type(plain_lists(f.data_type())));
    match data_type {
        DataType::List(f) | DataType::ListView(f) => DataType::List(field(f)),
        DataType::FixedSizeList(f, n) => DataType::FixedSizeList(field(f), *n),
        DataType::LargeList(f) => DataType::LargeList(field(f)),
        DataType::Map(f, sorted) => DataType::Map(field(f), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

/// What the `parquet` crate writes and reads back: no views of lists, and lists of a fixed size only as lists.
fn is_theirs(data_type: &DataType) -> bool {
    match data_type {
        DataType::ListView(_) | DataType::FixedSizeList(..) => false,
        DataType::List(f) | DataType::LargeList(f) | DataType::Map(f, _) => is_theirs(f.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_theirs(f.data_type())),
        _ => true,
    }
}

fn all_theirs(batches: &[RecordBatch]) -> bool {
    batches[0].schema().fields().iter().all(|f| is_theirs(f.data_type()))
}

/// All rows of a file, as the `parquet` crate reads them.
fn their_rows(file: Bytes, batch_rows: usize) -> Result<RecordBatch, ArrowError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = reader.schema().clone();
    let found = reader.with_batch_size(batch_rows).build()?.collect::<Result<Vec<_>, _>>()?;
    arrow_select::concat::concat_batches(&schema, &found)
}

/// The same rows in a file of the `parquet` crate.
fn their_file(batches: &[RecordBatch], group_rows: usize) -> Bytes {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batches[0].schema(), Some(properties)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
    file.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read(
        batches in batches(), options in options(), batch_rows in 1usize..100, seed in prop::option::of(any::<u64>()),
    ) {
        let schema = batches[0].schema();
        let options = seed.into_iter().fold(options, |options, seed| with_encodings(options, &schema, seed, true));
        assert_same(&read(write(&batches, options), batch_rows), &batches);
    }

    #[test]
    fn the_parquet_crate_reads_it(
        batches in batches().prop_filter("read by it", |b| all_theirs(b)), options in options(), batch_rows in 1usize..100,
        seed in prop::option::of(any::<u64>()),
    ) {
        let schema = batches[0].schema();
        let mut options = seed.into_iter().fold(options, |options, seed| with_encodings(options, &schema, seed, false));
        if options.compatibility == Compatibility::Preview {
            options.compatibility = Compatibility::Modern;
        }
        let group_rows = options.row_group_rows;
        let found = match their_rows(write(&batches, options), batch_rows) {
            Ok(found) => found,
            Err(e) => {
                // It cannot put some structs together, whoever wrote the file.
                prop_assert!(their_rows(their_file(&batches, group_rows), batch_rows).is_err(), "{}", e);
                return Ok(());
            }
        };
        // Inside lists it leaves seconds the milliseconds that are stored.
        let as_written = |(column, field): (&ArrayRef, &FieldRef)| arrow_cast::cast(column, field.data_type()).unwrap();
        let columns = found.columns().iter().zip(schema.fields()).map(as_written).collect();
        assert_same(&RecordBatch::try_new(schema, columns).unwrap(), &batches);
    }

    #[test]
    fn what_the_parquet_crate_writes_is_read(
        batches in batches().prop_filter("written by it", |b| all_theirs(b)), batch_rows in 1usize..100, v2: bool,
        codec in prop::sample::select(vec![
            theirs::Compression::UNCOMPRESSED, theirs::Compression::SNAPPY, theirs::Compression::LZ4, theirs::Compression::LZ4_RAW,
            theirs::Compression::ZSTD(Default::default()), theirs::Compression::GZIP(Default::default()),
        ]),
        sizes in (1usize..60, 1usize..600, 1usize..600, 1usize..60, 1usize..100), dictionary: bool, seed in prop::option::of(any::<u64>()),
        statistics in prop::sample::select(vec![EnabledStatistics::None, EnabledStatistics::Chunk, EnabledStatistics::Page]),
    ) {
        let schema = batches[0].schema();
        let version = if v2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
        let mut properties = WriterProperties::builder().set_writer_version(version).set_compression(codec)
            .set_dictionary_enabled(dictionary).set_data_page_row_count_limit(sizes.0).set_data_page_size_limit(sizes.1)
            .set_dictionary_page_size_limit(sizes.2).set_write_batch_size(sizes.3).set_max_row_group_row_count(Some(sizes.4))
            .set_statistics_enabled(statistics);
        if let Some(seed) = seed {
            for (path, encoding) in encodings(&schema, seed, false) {
                if let Some(encoding) = encoding {
                    let encoding = format!("{encoding:?}");
                    let encoding = [
                        ("Plain", theirs::Encoding::PLAIN), ("Rle", theirs::Encoding::RLE),
                        ("DeltaBinaryPacked", theirs::Encoding::DELTA_BINARY_PACKED),
                        ("DeltaLengthByteArray", theirs::Encoding::DELTA_LENGTH_BYTE_ARRAY),
                        ("DeltaByteArray", theirs::Encoding::DELTA_BYTE_ARRAY),
                        ("ByteStreamSplit", theirs::Encoding::BYTE_STREAM_SPLIT),
                    ].into_iter().find(|(name, _)| *name == encoding).unwrap().1;
                    properties = properties.set_column_encoding(ColumnPath::new(path), encoding);
                }
            }
        }
        let mut file = Vec::new();
        let options = ArrowWriterOptions::new().with_properties(properties.build());
        let mut writer = ArrowWriter::try_new_with_options(&mut file, schema.clone(), options).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.close().unwrap();
        assert_same(&read(file.into(), batch_rows), &batches);
    }
}
