//! The files that are mutated: goldens of other writers, and our own of every feature.

use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::format::{Encoding, PageType};
use hypostyle::parquet::read::{Decryption, FileReader, ReaderOptions};
use hypostyle::parquet::write::{
    BloomFilters, ColumnOptions, Compatibility, Encryption, EncryptionCipher, FileWriter, FloatOrder, PageVersion,
    WriterOptions,
};
use hypostyle::storage::{Memory, Storage};

use super::generate::{self, Nulls, Random};

/// A valid file.
pub struct Seed {
    pub name: String,
    pub bytes: Vec<u8>,
    pub keys: Option<Decryption>,
    pub pages: Vec<Page>,
}

/// Where a page stands.
#[derive(Debug, Clone)]
pub struct Page {
    pub header: std::ops::Range<usize>,
    pub body: std::ops::Range<usize>,
    pub has_crc: bool,
}

impl Seed {
    fn new(name: impl Into<String>, bytes: Vec<u8>, keys: Option<Decryption>) -> Seed {
        let name = name.into();
        let file = open(&bytes, keys.clone(), false).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut pages = Vec::new();
        for group in 0..file.footer().groups.len() {
            for column in 0..file.parquet_schema().leaves.len() {
                for page in file.pages(group, column).unwrap_or_default() {
                    let (start, header) = (page.offset as usize, page.header_bytes);
                    pages.push(Page {
                        header: start..start + header,
                        body: start + header..start + header + page.compressed_bytes,
                        has_crc: page.has_crc && page.kind != PageType::IndexPage,
                    });
                }
            }
        }
        Seed { name, bytes, keys, pages }
    }
}

pub fn open(bytes: &[u8], keys: Option<Decryption>, views: bool) -> hypostyle::Result<FileReader> {
    let storage = Memory::new();
    storage.put("f", bytes.to_vec())?;
    let mut options = ReaderOptions::default().with_batch_rows(200).with_views(views);
    options.decryption = keys;
    FileReader::open(storage.open("f")?, options)
}

/// All of them. The larger goldens are left out: a mutation of them says no more and takes longer.
pub fn seeds() -> Vec<Seed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    let mut seeds = Vec::new();
    for folder in [folder.clone(), folder.join("others")] {
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|f| f.extension().is_some_and(|e| e == "parquet"));
        files.sort();
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            if bytes.len() <= 40 << 10 {
                seeds.push(Seed::new(file.file_name().unwrap().to_str().unwrap(), bytes, None));
            }
        }
    }
    seeds.extend(ours());
    assert!(seeds.len() >= 30, "{} files", seeds.len());
    seeds
}

fn write(batch: &RecordBatch, options: WriterOptions) -> Vec<u8> {
    let storage = Memory::new();
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    let input = storage.open("f").unwrap();
    input.read(0..input.bytes()).unwrap().to_vec()
}

fn ours() -> Vec<Seed> {
    let small = || WriterOptions::default().with_page_rows(60).with_row_group_rows(150);
    let mut seeds = Vec::new();
    let types = types();
    for (name, compatibility, version, codec) in [
        ("v1", Compatibility::Universal, PageVersion::V1, Compression::Zstd(3)),
        ("v2", Compatibility::Modern, PageVersion::V2, Compression::Snappy),
        ("alp", Compatibility::Preview, PageVersion::V2, Compression::Uncompressed),
        ("plain", Compatibility::Universal, PageVersion::V1, Compression::Uncompressed),
    ] {
        let mut options =
            small().with_compatibility(compatibility).with_page_version(Some(version)).with_compression(codec);
        options.dictionary = name != "plain";
        options.bloom_filter = BloomFilters::Rate(0.05);
        options.float_order = if name == "v2" { FloatOrder::Total } else { FloatOrder::Value };
        seeds.push(Seed::new(format!("ours.{name}"), write(&types, options), None));
    }
    for codec in [Compression::Gzip(6), Compression::Brotli(5), Compression::Lz4Raw, Compression::Zstd(1)] {
        let options = small().with_compression(codec).with_page_version(Some(PageVersion::V2));
        seeds.push(Seed::new(format!("ours.{codec}"), write(&nested(), options), None));
    }
    seeds.push(Seed::new(
        "ours.nested-v1",
        write(&nested(), small().with_compression(Compression::Uncompressed)),
        None,
    ));
    seeds.push(Seed::new("ours.encodings", write(&encodings().0, encodings().1), None));
    let mut int96 = small();
    int96.int96 = true;
    seeds.push(Seed::new("ours.int96", write(&types, int96), None));
    seeds.push(Seed::new("ours.geospatial", write(&geospatial(), small()), None));
    for cipher in [EncryptionCipher::AesGcmV1, EncryptionCipher::AesGcmCtrV1] {
        for plain_footer in [false, true] {
            let key: &[u8] = b"0123456789012345";
            let encryption = Encryption::new(key)
                .with_cipher(cipher)
                .with_plain_footer(plain_footer)
                .with_column_key("list", b"1234567890123450");
            let keys = Decryption::new().with_footer_key(key).with_column_key("list", b"1234567890123450");
            let mut options = small();
            options.bloom_filter = BloomFilters::Rate(0.05);
            let bytes = write(&nested(), options.with_encryption(encryption));
            seeds.push(Seed::new(format!("ours.{cipher:?}.plain-footer-{plain_footer}"), bytes, Some(keys)));
        }
    }
    seeds
}

/// Each type once.
fn types() -> RecordBatch {
    let mut random = Random::new(7);
    let wanted = [0, 1, 2, 4, 5, 9, 10, 11, 12, 13, 15, 16, 18, 20, 22, 23, 25, 26, 28, 31, 33, 37, 38, 41];
    let types: Vec<DataType> = wanted.iter().filter_map(|&n| generate::every_type().get(n).cloned()).collect();
    let schema = generate::schema_of(&types, true);
    let columns = types.iter().map(|t| generate::array(t, 200, Nulls::Some, Some(30), &mut random)).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Lists, structs and maps, and flat columns beside them.
fn nested() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..200).map(|r| (r % 7 != 2).then(|| (0..r % 4).map(move |i| (i != 1).then_some(r * 10 + i)))),
    );
    let id = Int64Array::from_iter_values((0..200).map(|r| r * 3));
    let text: StringArray = (0..200).map(|r| (r % 5 != 0).then(|| format!("text {}", r / 9))).collect();
    let parts = StructArray::from(vec![
        (Arc::new(Field::new("list", list.data_type().clone(), true)), Arc::new(list.clone()) as ArrayRef),
        (Arc::new(Field::new("text", DataType::Utf8, true)), Arc::new(text.clone()) as ArrayRef),
    ]);
    let mut map = builder::MapBuilder::new(None, builder::StringBuilder::new(), builder::Int32Builder::new());
    for r in 0..200 {
        for i in 0..r % 3 {
            map.keys().append_value(format!("k{i}"));
            map.values().append_option((i != 1).then_some(r));
        }
        map.append(r % 11 != 4).unwrap();
    }
    let map = map.finish();
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("list", list.data_type().clone(), true),
        Field::new("parts", parts.data_type().clone(), false),
        Field::new("map", map.data_type().clone(), true),
        Field::new("text", DataType::Utf8, true),
    ]);
    let columns: Vec<ArrayRef> = vec![Arc::new(id), Arc::new(list), Arc::new(parts), Arc::new(map), Arc::new(text)];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// A column of each encoding, without compression, so that its own bytes are what changes.
fn encodings() -> (RecordBatch, WriterOptions) {
    let numbers = || Arc::new((0..200i64).map(|r| (r % 13 != 5).then_some(r * 37 % 1000)).collect::<Int64Array>());
    let texts =
        || Arc::new((0..200).map(|r| (r % 9 != 4).then(|| format!("word {}", r * 7 % 100))).collect::<StringArray>());
    let floats = || Arc::new((0..200).map(|r| Some(f64::from(r) / 8.0)).collect::<Float64Array>());
    let flags = || Arc::new((0..200).map(|r| Some(r % 3 == 0)).collect::<BooleanArray>());
    let columns: Vec<(&str, ArrayRef, Encoding)> = vec![
        ("delta", numbers(), Encoding::DeltaBinaryPacked),
        ("split", floats(), Encoding::ByteStreamSplit),
        ("alp", floats(), Encoding::Alp),
        ("lengths", texts(), Encoding::DeltaLengthByteArray),
        ("prefixes", texts(), Encoding::DeltaByteArray),
        ("dictionary", texts(), Encoding::RleDictionary),
        ("plain", texts(), Encoding::Plain),
        ("rle", flags(), Encoding::Rle),
        ("bits", flags(), Encoding::Plain),
    ];
    let mut options = WriterOptions::default()
        .with_page_rows(70)
        .with_row_group_rows(150)
        .with_compatibility(Compatibility::Preview)
        .with_compression(Compression::Uncompressed);
    for (name, _, encoding) in &columns {
        let column = ColumnOptions { encoding: Some(*encoding), ..ColumnOptions::default() };
        options.columns.insert((*name).into(), column);
    }
    (RecordBatch::try_from_iter(columns.into_iter().map(|(name, array, _)| (name, array))).unwrap(), options)
}

/// Points, as bytes that the file knows for geometries.
fn geospatial() -> RecordBatch {
    let point = |r: i32| {
        let mut bytes = vec![1, 1, 0, 0, 0];
        bytes.extend(f64::from(r).to_le_bytes());
        bytes.extend(f64::from(-r).to_le_bytes());
        bytes
    };
    let points: BinaryArray = (0..200).map(|r| (r % 6 != 1).then(|| point(r))).collect();
    let metadata = [("ARROW:extension:name", "geoarrow.wkb"), ("ARROW:extension:metadata", "{}")];
    let field = Field::new("point", DataType::Binary, true)
        .with_metadata(metadata.into_iter().map(|(k, v)| (k.into(), v.into())).collect());
    RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(points)]).unwrap()
}
