//! Encrypted files: what this crate and the `parquet` crate write, each reads of the other; what was moved or changed, or is
//! asked for without its key, does not open.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use hypostyle::Error;
use hypostyle::parquet::format::{Encoding, PageType};
use hypostyle::parquet::read::{Decryption, FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, Encryption, EncryptionCipher, FileWriter, PageVersion, WriterOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{Memory, Output, Storage};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::PageIndexPolicy;
use parquet::file::properties::WriterProperties;

const FOOTER_KEY: &[u8] = b"0123456789012345";
const ID_KEY: &[u8] = b"1234567890123450";
const LIST_KEY: &[u8] = b"12345678901234567890123456789012";

/// Numbers, texts with nulls, and lists; many pages and some row groups of them.
fn batch(rows: usize) -> RecordBatch {
    let mut lists = ListBuilder::new(Int32Builder::new()).with_field(Field::new("element", DataType::Int32, true));
    for row in 0..rows {
        for i in 0..row % 4 {
            lists.values().append_value((row * 10 + i) as i32);
        }
        lists.append(row % 7 != 0);
    }
    let lists = lists.finish();
    let texts: StringArray = (0..rows).map(|r| (r % 5 != 0).then(|| format!("text {}", r / 3))).collect();
    let schema = Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
        Field::new("list", lists.data_type().clone(), true),
    ]);
    let ids = Int64Array::from_iter_values((0..rows as i64).map(|r| r * 3));
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(texts), Arc::new(lists)]).unwrap()
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Output for Shared {
    fn append(&mut self, bytes: &[u8]) -> hypostyle::Result<()> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> hypostyle::Result<()> {
        Ok(())
    }
}

fn options(encryption: Encryption) -> WriterOptions {
    WriterOptions::default().with_page_rows(100).with_row_group_rows(700).with_encryption(encryption)
}

fn write(batch: &RecordBatch, options: WriterOptions) -> Vec<u8> {
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let mut writer = FileWriter::new(Box::new(Shared(bytes.clone())), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    let bytes = std::mem::take(&mut *bytes.lock().unwrap());
    assert_eq!(written.bytes, bytes.len() as u64);
    bytes
}

fn open(bytes: &[u8], keys: Option<Decryption>) -> hypostyle::Result<FileReader> {
    let storage = Memory::new();
    let mut out = storage.create("it.parquet").unwrap();
    out.append(bytes).unwrap();
    out.finish().unwrap();
    let mut options = ReaderOptions::default();
    options.decryption = keys;
    FileReader::open(storage.open("it.parquet").unwrap(), options)
}

fn read(file: &FileReader, options: ScanOptions) -> hypostyle::Result<RecordBatch> {
    let scan = file.scan(options)?;
    let schema = scan.schema().clone();
    let batches = scan.collect::<hypostyle::Result<Vec<_>>>()?;
    Ok(concat_batches(&schema, &batches).unwrap())
}

fn all_keys() -> Decryption {
    Decryption::new().with_footer_key(FOOTER_KEY).with_column_key("id", ID_KEY).with_column_key("list", LIST_KEY)
}

/// Whether the AAD prefix stands in the file, and how pages are written.
const PREFIXES_AND_PAGES: [(bool, PageVersion); 4] =
    [(true, PageVersion::V1), (false, PageVersion::V1), (true, PageVersion::V2), (false, PageVersion::V2)];

/// Each way to encrypt, by a name.
fn ways() -> Vec<(String, Encryption)> {
    let mut ways = Vec::new();
    for cipher in [EncryptionCipher::AesGcmV1, EncryptionCipher::AesGcmCtrV1] {
        for plain_footer in [false, true] {
            let uniform = Encryption::new(FOOTER_KEY).with_cipher(cipher).with_plain_footer(plain_footer);
            let columns = uniform.clone().with_column_key("id", ID_KEY).with_column_key("list", LIST_KEY);
            ways.push((format!("{cipher:?}, plain footer: {plain_footer}, one key"), uniform));
            ways.push((format!("{cipher:?}, plain footer: {plain_footer}, column keys"), columns));
        }
    }
    ways
}

#[test]
fn what_is_encrypted_every_way_comes_back() {
    let batch = batch(2000);
    for (name, encryption) in ways() {
        for (keep_prefix, version) in PREFIXES_AND_PAGES {
            let encryption = encryption.clone().with_aad_prefix("staff").with_stored_aad_prefix(keep_prefix);
            let bytes = write(&batch, options(encryption).with_page_version(Some(version)));
            let is_plain = name.contains("footer: true");
            assert_eq!(&bytes[..4], if is_plain { b"PAR1" } else { b"PARE" }, "{name}");
            assert_eq!(bytes[..4], bytes[bytes.len() - 4..], "{name}");
            let file = open(&bytes, Some(all_keys().with_aad_prefix("staff"))).unwrap();
            assert_eq!(read(&file, ScanOptions::default()).unwrap(), batch, "{name}");
            assert_eq!(file.metadata().unwrap().row_groups.len(), 3);
            let kind = if version == PageVersion::V2 { PageType::DataPageV2 } else { PageType::DataPage };
            assert!(
                file.pages(1, 2).unwrap().iter().all(|page| page.kind == kind || page.kind == PageType::DictionaryPage)
            );
            let other = open(&bytes, Some(all_keys().with_aad_prefix("stuff")));
            let other = other.and_then(|file| read(&file, ScanOptions::default()));
            assert!(other.is_err(), "{name}");
            let none = open(&bytes, Some(all_keys())).and_then(|file| read(&file, ScanOptions::default()));
            assert_eq!(none.is_ok(), keep_prefix, "{name}");
        }
    }
}

#[test]
fn no_value_stands_in_the_clear() {
    let batch = batch(2000);
    for (name, encryption) in ways() {
        let plain = ColumnOptions { encoding: Some(Encoding::Plain), ..ColumnOptions::default() };
        let options = options(encryption).with_compression("none".parse().unwrap());
        let bytes = write(&batch, options.with_column("id", plain).with_column("text", plain));
        let has = |what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
        let is_plain = name.contains("footer: true");
        // Texts are encrypted with the footer's key, or not at all.
        assert_eq!(has(b"text 555"), name.contains("column keys"), "{name}");
        // The least and greatest id stand in pages, statistics and indexes, if anywhere.
        assert!(!has(&(5997i64).to_le_bytes()), "{name}");
        assert_eq!(has(b"element"), is_plain, "{name}");
    }
}

#[test]
fn pages_are_skipped_by_their_encrypted_index() {
    let batch = batch(2000);
    for (name, encryption) in ways() {
        let bytes = write(&batch, options(encryption));
        let file = open(&bytes, Some(all_keys())).unwrap();
        // Rows 1250..1260 lie in the sixth page of the second row group.
        let predicate = col("id").ge(3750).and(col("id").lt(3780));
        let mut scan = file.scan(ScanOptions::default().with_predicate(predicate)).unwrap();
        let batches: Vec<RecordBatch> = scan.by_ref().map(Result::unwrap).collect();
        let got = concat_batches(&batch.schema(), &batches).unwrap();
        assert_eq!(got, batch.slice(1250, 10), "{name}");
        let counts = scan.counts();
        assert_eq!((counts.row_groups_read, counts.row_groups_skipped), (1, 2), "{name}");
        assert_eq!((counts.pages_read, counts.pages_skipped), (3, 18), "{name}");
    }
}

#[test]
fn a_column_without_its_key_is_named_when_it_is_asked_for() {
    let batch = batch(300);
    for (name, encryption) in ways().into_iter().filter(|(name, _)| name.contains("column keys")) {
        let encryption = encryption.with_column_key_metadata("id", "key of ids");
        let is_plain = name.contains("footer: true");
        let bytes = write(&batch, options(encryption));
        let keys = Decryption::new().with_footer_key(FOOTER_KEY).with_column_key("list", LIST_KEY);
        let mut openings = vec![Some(keys)];
        if is_plain {
            openings.extend([None, Some(Decryption::new().with_column_key("list", LIST_KEY))]);
        } else {
            let e = open(&bytes, None).unwrap_err();
            assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("the footer is encrypted"), "{e}");
        }
        for keys in openings {
            let has_list = keys.is_some();
            let file = open(&bytes, keys).unwrap();
            let text = read(&file, ScanOptions::default().with_columns(["text"])).unwrap();
            assert_eq!(text, batch.project(&[1]).unwrap(), "{name}");
            let list = read(&file, ScanOptions::default().with_columns(["list"]));
            assert_eq!(list.is_ok(), has_list, "{name}");
            for asked in
                [ScanOptions::default(), ScanOptions::default().with_columns(["text"]).with_predicate(col("id").gt(5))]
            {
                let e = read(&file, asked).unwrap_err();
                assert!(matches!(e, Error::Invalid(_)), "{name}: {e}");
                let says = "column id: it is encrypted, and its key is not given (key metadata \"key of ids\")";
                assert!(e.to_string().contains(says), "{name}: {e}");
            }
            assert!(file.column_metadata(0, 0).is_err());
        }
    }
}

#[test]
fn keys_are_asked_for_once_and_only_when_needed() {
    let encryption = Encryption::new(FOOTER_KEY)
        .with_footer_key_metadata("f")
        .with_column_key("id", ID_KEY)
        .with_column_key_metadata("id", "i")
        .with_column_key("list", LIST_KEY)
        .with_column_key_metadata("list", "l")
        .with_plain_footer(true);
    let batch = batch(2000);
    let bytes = write(&batch, options(encryption));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let keys = Decryption::new().with_retriever(Arc::new(move |metadata| {
        log.lock().unwrap().push(String::from_utf8(metadata.to_vec()).unwrap());
        match metadata {
            b"f" => Ok(FOOTER_KEY.to_vec()),
            b"i" => Ok(ID_KEY.to_vec()),
            _ => Err(Error::io("the key store is closed")),
        }
    }));
    let file = open(&bytes, Some(keys)).unwrap();
    read(&file, ScanOptions::default().with_columns(["text"])).unwrap();
    assert_eq!(*asked.lock().unwrap(), ["f"]);
    let ids = read(&file, ScanOptions::default().with_columns(["id"])).unwrap();
    assert_eq!(ids, batch.project(&[0]).unwrap());
    assert_eq!(*asked.lock().unwrap(), ["f", "i"]);
    let e = read(&file, ScanOptions::default()).unwrap_err();
    assert!(
        matches!(e, Error::Io(_)) && e.to_string().contains("column list.list.element: the key store is closed"),
        "{e}"
    );
    let calls = AtomicUsize::new(0);
    let refusing = Decryption::new().with_retriever(Arc::new(move |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        Err(Error::io("no"))
    }));
    assert!(open(&bytes, Some(refusing.clone())).is_err(), "the footer cannot be verified");
    open(&bytes, Some(refusing.with_unverified_footers(true))).unwrap();
}

#[test]
fn wrong_keys_open_nothing() {
    let batch = batch(300);
    for (name, encryption) in ways() {
        let bytes = write(&batch, options(encryption));
        let wrong = Decryption::new().with_footer_key(b"5432109876543210".as_slice());
        assert!(open(&bytes, Some(wrong)).is_err(), "{name}");
        if name.contains("column keys") {
            let wrong = all_keys().with_column_key("id", b"5432109876543210".as_slice());
            let file = open(&bytes, Some(wrong)).unwrap();
            let e = read(&file, ScanOptions::default()).unwrap_err();
            assert!(e.to_string().contains("column id: an encrypted module does not open"), "{name}: {e}");
        }
    }
    let e =
        open(&write(&batch, options(Encryption::new(FOOTER_KEY))), Some(Decryption::new().with_footer_key(*b"short")));
    assert!(matches!(e.unwrap_err(), Error::Invalid(_)));
    // In an encrypted file's place, a plain one is refused unless that is allowed.
    let plain = write(&batch, WriterOptions::default());
    assert!(matches!(open(&plain, Some(all_keys())).unwrap_err(), Error::Invalid(_)));
    let file = open(&plain, Some(all_keys().with_plain_files(true))).unwrap();
    assert_eq!(read(&file, ScanOptions::default()).unwrap(), batch);
}

/// Where the modules of a chunk lie, by their lengths.
fn modules(bytes: &[u8], start: usize, end: usize) -> Vec<std::ops::Range<usize>> {
    let mut at = start;
    let mut modules = Vec::new();
    while at < end {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize + 4;
        modules.push(at..at + length);
        at += length;
    }
    assert_eq!(at, end);
    modules
}

#[test]
fn moved_pages_and_swapped_columns_do_not_open() {
    // Two columns, two row groups and many pages of the very same bytes: only their places differ.
    let ids = || Arc::new(Int64Array::from(vec![7; 400])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", ids()), ("b", ids())]).unwrap();
    let encryption = Encryption::new(FOOTER_KEY);
    // Without checksums, which the headers hold in more or fewer bytes.
    let options =
        options(encryption).with_row_group_rows(200).with_page_rows(50).with_dictionary(false).with_crc(false);
    let bytes = write(&batch, options);
    let keys = || Some(Decryption::new().with_footer_key(FOOTER_KEY));
    let file = open(&bytes, keys()).unwrap();
    let chunk = |group: usize, column: usize| {
        let meta = file.column_metadata(group, column).unwrap();
        let start = meta.data_page_offset as usize;
        modules(&bytes, start, start + meta.total_compressed_size as usize)
    };
    let (a, b, later) = (chunk(0, 0), chunk(0, 1), chunk(1, 0));
    // Header and page, four times.
    assert_eq!((a.len(), b.len(), later.len()), (8, 8, 8));
    let swapped = |one: &std::ops::Range<usize>, other: &std::ops::Range<usize>| {
        assert_eq!(one.len(), other.len());
        let mut changed = bytes.clone();
        changed[one.clone()].copy_from_slice(&bytes[other.clone()]);
        changed[other.clone()].copy_from_slice(&bytes[one.clone()]);
        open(&changed, keys()).and_then(|file| read(&file, ScanOptions::default()))
    };
    assert_eq!(swapped(&a[0], &a[0]).unwrap(), batch);
    for (one, other) in [(&a[1], &a[3]), (&a[0], &a[2]), (&a[1], &b[1]), (&a[0], &b[0]), (&a[1], &later[1])] {
        let e = swapped(one, other).unwrap_err();
        assert!(matches!(e, Error::Corrupt(_)), "{e}");
        assert!(e.to_string().contains("does not open") || e.to_string().contains("checksum"), "{e}");
    }
    // Header and page together.
    let e = swapped(&(a[0].start..a[1].end), &(a[2].start..a[3].end)).unwrap_err();
    assert!(e.to_string().contains("column a, page 0") && e.to_string().contains("does not open"), "{e}");
    // Whole chunks.
    let e = swapped(&(a[0].start..a[7].end), &(b[0].start..b[7].end)).unwrap_err();
    assert!(e.to_string().contains("does not open"), "{e}");
}

#[test]
fn every_changed_byte_is_an_error() {
    let batch = batch(30);
    for (name, encryption) in ways().into_iter().filter(|(name, _)| name.contains("AesGcmV1")) {
        let everything = encryption.clone().with_column("text");
        let encryption = if name.contains("column keys") { everything } else { encryption };
        let bytes = write(&batch, options(encryption).with_crc(false));
        assert_eq!(read(&open(&bytes, Some(all_keys())).unwrap(), ScanOptions::default()).unwrap(), batch);
        // All but the magic at the start, and page indexes, which a full scan does not read.
        let file = open(&bytes, Some(all_keys())).unwrap();
        let chunks = &file.metadata().unwrap().row_groups[0].columns;
        let indexes = chunks.iter().map(|c| c.column_index_offset.unwrap()).min().unwrap() as usize;
        let last = chunks.last().unwrap();
        let footer = (last.offset_index_offset.unwrap() + i64::from(last.offset_index_length.unwrap())) as usize;
        for at in (4..indexes).chain(footer..bytes.len()) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            let result = open(&changed, Some(all_keys())).and_then(|file| read(&file, ScanOptions::default()));
            assert!(result.is_err(), "{name}: byte {at} of {}", bytes.len());
        }
        // An index that was changed is not believed.
        for at in indexes..footer {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            let file = open(&changed, Some(all_keys())).unwrap();
            let got = read(&file, ScanOptions::default().with_predicate(col("id").ge(0))).unwrap();
            assert_eq!(got, batch, "{name}: byte {at}");
        }
    }
}

#[test]
fn a_hostile_length_takes_no_memory() {
    let bytes = write(&batch(30), options(Encryption::new(FOOTER_KEY)));
    let keys = || Some(Decryption::new().with_footer_key(FOOTER_KEY));
    let start = 4;
    for length in [0, 11, 27, 1 << 30, u32::MAX] {
        let mut changed = bytes.clone();
        changed[start..start + 4].copy_from_slice(&length.to_le_bytes());
        let e = open(&changed, keys()).and_then(|file| read(&file, ScanOptions::default())).unwrap_err();
        assert!(matches!(e, Error::Corrupt(_) | Error::Limit(_)), "{length}: {e}");
    }
    for cut in 0..bytes.len() {
        assert!(open(&bytes[..cut], keys()).is_err());
    }
}

#[test]
fn what_cannot_be_encrypted_so_is_named() {
    let schema = batch(1).schema();
    for (encryption, says) in [
        (Encryption::new(*b"short"), "an AES key has 16, 24 or 32 bytes"),
        (Encryption::new(FOOTER_KEY).with_column_key("id", *b"short"), "column id: an AES key"),
        (Encryption::new(FOOTER_KEY).with_column_key("di", ID_KEY), "a key for column di: there is none"),
        (Encryption::new(FOOTER_KEY).with_column_key_metadata("id", "x"), "key metadata for column id"),
        (Encryption::new(FOOTER_KEY).with_stored_aad_prefix(false), "an AAD prefix that is not stored"),
    ] {
        let out = Box::new(Shared(Arc::default()));
        let e = FileWriter::new(out, schema.clone(), options(encryption)).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains(says), "{e}");
    }
}

#[test]
fn the_parquet_crate_reads_what_is_encrypted() {
    let batch = batch(2000);
    for (name, encryption) in ways().into_iter().filter(|(name, _)| name.contains("AesGcmV1")) {
        for (keep_prefix, version) in PREFIXES_AND_PAGES {
            let encryption = encryption.clone().with_aad_prefix("staff").with_stored_aad_prefix(keep_prefix);
            let bytes = write(&batch, options(encryption).with_page_version(Some(version)));
            let mut keys = FileDecryptionProperties::builder(FOOTER_KEY.to_vec()).with_aad_prefix(b"staff".to_vec());
            if name.contains("column keys") {
                keys =
                    keys.with_column_key("id", ID_KEY.to_vec()).with_column_key("list.list.element", LIST_KEY.to_vec());
            }
            let read = ArrowReaderOptions::new()
                .with_page_index_policy(PageIndexPolicy::Required)
                .with_file_decryption_properties(keys.build().unwrap());
            let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(Bytes::from(bytes), read).unwrap();
            let schema = reader.schema().clone();
            let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
            let got = concat_batches(&schema, &batches).unwrap();
            assert_eq!(got.columns(), batch.columns(), "{name}");
        }
    }
}

#[test]
fn what_the_parquet_crate_encrypts_is_read() {
    let batch = batch(2000);
    for plain_footer in [false, true] {
        for column_keys in [false, true] {
            let mut encryption = FileEncryptionProperties::builder(FOOTER_KEY.to_vec())
                .with_plaintext_footer(plain_footer)
                .with_aad_prefix(b"staff".to_vec())
                .with_aad_prefix_storage(column_keys);
            if column_keys {
                encryption = encryption
                    .with_column_key("id", ID_KEY.to_vec())
                    .with_column_key("list.list.element", LIST_KEY.to_vec());
            }
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(700))
                .set_data_page_row_count_limit(100)
                .set_write_batch_size(100)
                .with_file_encryption_properties(encryption.build().unwrap())
                .build();
            let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            let bytes = writer.into_inner().unwrap();
            let file = open(&bytes, Some(all_keys().with_aad_prefix("staff"))).unwrap();
            let got = read(&file, ScanOptions::default()).unwrap();
            assert_eq!(got.columns(), batch.columns(), "{plain_footer} {column_keys}");
            let some = col("id").ge(3750).and(col("id").lt(3780));
            let mut scan = file.scan(ScanOptions::default().with_predicate(some)).unwrap();
            let batches: Vec<RecordBatch> = scan.by_ref().map(Result::unwrap).collect();
            let got = concat_batches(&batch.schema(), &batches).unwrap();
            assert_eq!(got.columns(), batch.slice(1250, 10).columns());
            assert!(scan.counts().pages_skipped > 10, "{:?}", scan.counts());
        }
    }
}

#[derive(serde::Deserialize)]
struct Manifest {
    files: Vec<Golden>,
}

#[derive(serde::Deserialize)]
struct Golden {
    file: String,
    keys: GoldenKeys,
}

#[derive(serde::Deserialize)]
struct GoldenKeys {
    footer_key: String,
    column_keys: BTreeMap<String, String>,
    aad_prefix: Option<String>,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_pyarrow_and_parquet_java_encrypt_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/encrypted");
    let contents = arrow_ipc::reader::FileReader::try_new(File::open(folder.join("contents.arrow")).unwrap(), None);
    let contents: Vec<RecordBatch> = contents.unwrap().map(Result::unwrap).collect();
    let contents = concat_batches(&contents[0].schema(), &contents).unwrap();
    let manifest =
        |name: &str| -> Manifest { serde_json::from_reader(File::open(folder.join(name)).unwrap()).unwrap() };
    let mut files = manifest("manifest.json").files;
    files.extend(manifest("java.json").files);
    assert_eq!(files.len(), 16);
    for Golden { file: name, keys } in files {
        let mut decryption = Decryption::new().with_footer_key(unhex(&keys.footer_key));
        for (path, key) in &keys.column_keys {
            decryption = decryption.with_column_key(path, unhex(key));
        }
        if let Some(prefix) = &keys.aad_prefix {
            decryption = decryption.with_aad_prefix(prefix.as_bytes());
        }
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        let file = open(&bytes, Some(decryption)).unwrap();
        // parquet-java knows no Arrow schema, and has another name for a list's elements.
        let cast = |batch: RecordBatch| -> Vec<ArrayRef> {
            let pairs = batch.columns().iter().zip(contents.columns());
            pairs.map(|(column, like)| arrow_cast::cast(column, like.data_type()).unwrap()).collect()
        };
        assert_eq!(cast(read(&file, ScanOptions::default()).unwrap()), contents.columns(), "{name}");
        let some = ScanOptions::default().with_predicate(col("id").ge(150).and(col("id").lt(170)));
        let mut scan = file.scan(some).unwrap();
        let batches: Vec<RecordBatch> = scan.by_ref().map(Result::unwrap).collect();
        let got = concat_batches(scan.schema(), &batches).unwrap();
        assert_eq!(cast(got), contents.slice(50, 7).columns(), "{name}");
        assert_eq!(scan.counts().row_groups_skipped, 1, "{name}");
        assert!(open(&bytes, Some(Decryption::new().with_footer_key([7; 16]))).is_err(), "{name}");
    }
}
