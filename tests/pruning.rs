//! What is not read: the textbook's examples, with counts of what each step left out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::*;
use arrow_select::concat::concat_batches;
use hypostyle::Error;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::read::{Decryption, FileReader, Pruning, ReaderOptions, ScanCounts, ScanOptions};
use hypostyle::parquet::write::{BloomFilters, Encryption, FileWriter, WriterOptions};
use hypostyle::predicate::{Predicate, col, sql};
use hypostyle::storage::{Input, Local, Memory, Output, Storage};

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

/// A file with a row group for each batch. Uncompressed, since compression makes up for dictionaries in files this small.
fn write(groups: &[RecordBatch], options: WriterOptions) -> Vec<u8> {
    let options = options.with_compression(Compression::Uncompressed);
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let mut writer = FileWriter::new(Box::new(Shared(bytes.clone())), groups[0].schema(), options).unwrap();
    for group in groups {
        writer.write(group).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    std::mem::take(&mut *bytes.lock().unwrap())
}

fn open(bytes: &[u8], options: ReaderOptions) -> FileReader {
    let storage = Memory::new();
    let mut out = storage.create("it.parquet").unwrap();
    out.append(bytes).unwrap();
    out.finish().unwrap();
    FileReader::open(storage.open("it.parquet").unwrap(), options).unwrap()
}

fn scan(file: &FileReader, predicate: Predicate, pruning: Pruning) -> hypostyle::Result<(RecordBatch, ScanCounts)> {
    let mut scan = file.scan(ScanOptions::default().with_predicate(predicate).with_pruning(pruning))?;
    let schema = scan.schema().clone();
    let batches = scan.by_ref().collect::<hypostyle::Result<Vec<_>>>()?;
    Ok((concat_batches(&schema, &batches).unwrap(), scan.counts()))
}

fn read(file: &FileReader, condition: &str) -> (RecordBatch, ScanCounts) {
    scan(file, sql::parse(condition).unwrap(), Pruning::default()).unwrap()
}

/// Row groups read, and skipped by statistics, page index, Bloom filter and dictionary.
fn groups(counts: &ScanCounts) -> [u64; 5] {
    [
        counts.row_groups_read,
        counts.row_groups_skipped_by_statistics,
        counts.row_groups_skipped_by_page_index,
        counts.row_groups_skipped_by_bloom_filter,
        counts.row_groups_skipped_by_dictionary,
    ]
}

fn names(names: &[&str]) -> RecordBatch {
    let names: StringArray = (0..600).map(|row| Some(names[row % names.len()])).collect();
    let rows: Int64Array = (0..600).collect();
    RecordBatch::try_from_iter([("name", Arc::new(names) as ArrayRef), ("row", Arc::new(rows))]).unwrap()
}

/// Three row groups, and the name could by its bounds be in each.
fn terms() -> Vec<RecordBatch> {
    vec![
        names(&["Amy", "Leonard", "Penny", "Wil"]),
        names(&["Amy", "Sheldon", "Howard", "Zack"]),
        names(&["Bernadette", "Raj", "Stuart"]),
    ]
}

#[test]
fn a_term_is_found_in_one_of_three_row_groups_by_dictionary() {
    let batches = terms();
    let file = open(&write(&batches, WriterOptions::default()), ReaderOptions::default());
    let (found, counts) = read(&file, "name = 'Sheldon'");
    assert_eq!(found.num_rows(), 150);
    assert_eq!(groups(&counts), [1, 0, 0, 0, 2]);
    assert_eq!(counts.row_groups_skipped, 2);
    // Any condition of one column, not only equality; each set of them that is about one column together.
    for (condition, rows, expected) in [
        ("name like '%eld%'", 150, [1, 0, 0, 0, 2]),
        ("name ilike 'SHELDON'", 150, [1, 0, 0, 0, 2]),
        ("name in ('Sheldon', 'Kripke')", 150, [1, 0, 0, 0, 2]),
        ("name between 'Q' and 'S'", 200, [1, 0, 0, 0, 2]),
        ("name > 'Q' and name <= 'S' and row >= 0", 200, [1, 0, 0, 0, 2]),
        ("not (name < 'Q' or name > 'S')", 200, [1, 0, 0, 0, 2]),
        ("name = 'Sheldon' or name = 'Raj'", 350, [2, 0, 0, 0, 1]),
        ("name = 'Sheldon' and row < 10", 3, [1, 0, 0, 0, 2]),
        ("name = 'Sheldon' or row > 1000", 150, [1, 0, 0, 0, 2]),
        ("name = 'Aaron'", 0, [0, 3, 0, 0, 0]),
        ("name = 'Zack'", 150, [1, 2, 0, 0, 0]),
        ("name = 'Kripke'", 0, [0, 0, 0, 0, 3]),
    ] {
        let (found, counts) = read(&file, condition);
        assert_eq!((found.num_rows(), groups(&counts)), (rows, expected), "{condition}");
    }
}

#[test]
fn only_the_group_whose_maximum_is_80_is_read() {
    let ratings = |ratings: &[i64]| {
        RecordBatch::try_from_iter([("rating", Arc::new(Int64Array::from(ratings.to_vec())) as ArrayRef)]).unwrap()
    };
    let batches = [ratings(&[10, 30, 20]), ratings(&[5, 80, 50]), ratings(&[1, 50, 2])];
    let file = open(&write(&batches, WriterOptions::default()), ReaderOptions::default());
    let (found, counts) = read(&file, "rating > 50");
    assert_eq!(found, batches[1].slice(1, 1));
    assert_eq!(groups(&counts), [1, 2, 0, 0, 0]);
    let (_, counts) = scan(&file, col("rating").gt(50), Pruning { statistics: false, ..Pruning::default() }).unwrap();
    assert_eq!(groups(&counts), [1, 0, 2, 0, 0], "the page index has the same bounds");
    let only = Pruning { dictionaries: true, ..Pruning::NONE };
    assert_eq!(groups(&scan(&file, col("rating").gt(50), only).unwrap().1)[0], 3, "there are no dictionaries");
}

#[test]
fn each_step_is_asked_for_what_the_ones_before_leave_open() {
    let options = WriterOptions::default().with_bloom_filter(BloomFilters::Rate(0.0001));
    let file = open(&write(&terms(), options), ReaderOptions::default());
    let all = Pruning::default();
    for (pruning, expected) in [
        (all, [1, 0, 0, 2, 0]),
        (Pruning { bloom_filters: false, ..all }, [1, 0, 0, 0, 2]),
        (Pruning { bloom_filters: false, dictionaries: false, ..all }, [3, 0, 0, 0, 0]),
        (Pruning::NONE, [3, 0, 0, 0, 0]),
        (Pruning { dictionaries: true, ..Pruning::NONE }, [1, 0, 0, 0, 2]),
    ] {
        let (found, counts) = scan(&file, col("name").eq("Sheldon"), pruning).unwrap();
        assert_eq!((found.num_rows(), groups(&counts)), (150, expected), "{pruning:?}");
    }
    let (_, counts) = scan(&file, col("name").eq("Sheldon"), Pruning::NONE).unwrap();
    assert_eq!((counts.rows_read, counts.row_groups_skipped), (1800, 0));
}

#[test]
fn a_dictionary_all_of_whose_values_match_spares_the_column() {
    let file = open(&write(&terms(), WriterOptions::default()), ReaderOptions::default());
    // Bounds cannot know it: there could be a name without these letters between them.
    let predicate = || sql::parse("name like '%a%' or name like '%e%' or name like '%i%'").unwrap();
    let count = |pruning| {
        let options = ScanOptions::default().with_columns(["row"]).with_predicate(predicate()).with_pruning(pruning);
        let mut scan = file.scan(options).unwrap();
        let rows: usize = scan.by_ref().map(|batch| batch.unwrap().num_rows()).sum();
        (rows, scan.counts().rows_read)
    };
    let without = Pruning { dictionaries: false, ..Pruning::default() };
    assert_eq!((count(Pruning::default()), count(without)), ((1500, 1200), (1500, 1800)));
}

#[test]
fn nulls_are_kept_apart_from_a_dictionarys_values() {
    let with_null = |values: &[Option<&str>]| {
        let values: StringArray = (0..300).map(|row| values[row % values.len()]).collect();
        RecordBatch::try_from_iter_with_nullable([("v", Arc::new(values) as ArrayRef, true)]).unwrap()
    };
    let batches = [with_null(&[Some("a"), Some("c"), None]), with_null(&[Some("b"), Some("d")])];
    let file = open(&write(&batches, WriterOptions::default()), ReaderOptions::default());
    for (condition, rows, read_groups) in [
        ("v = 'c'", 100, 1),
        ("v <> 'c'", 400, 2),
        ("v is null", 100, 1),
        ("(v = 'b') is unknown", 100, 1),
        ("(v = 'b') is not true", 450, 2),
        ("not v = 'c'", 400, 2),
        ("v like '_' and v <> 'a' and v <> 'c'", 300, 1),
    ] {
        let (found, counts) = read(&file, condition);
        assert_eq!((found.num_rows(), counts.row_groups_read), (rows, read_groups), "{condition}");
    }
}

#[test]
fn what_is_not_all_dictionary_is_read() {
    // Too many different values after a while: the writer goes on without the dictionary.
    let mixed: StringArray = (0..60_000)
        .map(|row| Some(if row < 30_000 { format!("{}", row % 10) } else { format!("value {row}") }))
        .collect();
    let batch = RecordBatch::try_from_iter([("v", Arc::new(mixed) as ArrayRef)]).unwrap();
    let options = WriterOptions::default().with_row_group_rows(60_000);
    let file = open(&write(&[batch], options), ReaderOptions::default());
    assert_eq!(read(&file, "v = 'value 59999'").0.num_rows(), 1);
    let plain = open(&write(&terms(), WriterOptions::default().with_dictionary(false)), ReaderOptions::default());
    assert_eq!(groups(&read(&plain, "name = 'Sheldon'").1), [3, 0, 0, 0, 0]);
}

/// Pages with values of their own stand behind those of a dictionary that grew too large; who reads only these does without it.
#[test]
fn a_dictionary_is_fetched_by_the_first_page_that_has_indices() {
    let ids: Int64Array = (0..60_000).map(Some).collect();
    let mixed: StringArray = (0..60_000)
        .map(|row| Some(if row < 30_000 { format!("value {}", row % 100) } else { format!("other value {row}") }))
        .collect();
    let columns: [(_, ArrayRef); 2] = [("id", Arc::new(ids)), ("v", Arc::new(mixed))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for compression in [Compression::Uncompressed, Compression::Snappy] {
        let local = Local::new(folder.path()).unwrap();
        let options = WriterOptions::default().with_row_group_rows(60_000).with_page_rows(2000);
        let options = options.with_compression(compression);
        let mut writer = FileWriter::new(local.create("f").unwrap(), batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        for storage in [local.clone(), local.without_map()] {
            let file = FileReader::open(storage.open("f").unwrap(), ReaderOptions::default()).unwrap();
            let meta = file.column_metadata(0, 1).unwrap();
            let dictionary = (meta.data_page_offset - meta.dictionary_page_offset.unwrap()) as u64;
            let index = file.offset_index(0, 1).unwrap().unwrap();
            let page = |row: usize| {
                let page = index.page_locations.iter().rfind(|page| page.first_row_index <= row as i64).unwrap();
                page.compressed_page_size as u64
            };
            // From end to end, and there and back: the pages before the dictionary's last use and those behind.
            let cases = [(100, true), (59_000, false), (29_000, true), (45_000, false)];
            for (row, with_dictionary) in cases {
                let predicate = col("id").eq(row as i64);
                let mut scan = file.scan(ScanOptions::default().with_predicate(predicate)).unwrap();
                let found: Vec<RecordBatch> = scan.by_ref().collect::<Result<_, _>>().unwrap();
                assert_eq!(found, [batch.slice(row, 1)], "row {row}, {compression:?}");
                let want = page(row) + if with_dictionary { dictionary } else { 0 };
                assert_eq!(scan.column_counts()[1].bytes_fetched, want, "row {row}, {compression:?}");
            }
            // Rows of both kinds, which come in one fetch or several.
            let ids = [5i64, 4_000, 29_999, 30_000, 59_999];
            let predicate = ids.iter().map(|id| col("id").eq(*id)).reduce(|a, b| a.or(b)).unwrap();
            let (found, _) = scan(&file, predicate, Pruning::default()).unwrap();
            let want: Vec<RecordBatch> = ids.iter().map(|id| batch.slice(*id as usize, 1)).collect();
            assert_eq!(found, concat_batches(&batch.schema(), &want).unwrap());
        }
    }
}

#[test]
fn encrypted_dictionaries_are_read_by_their_keys() {
    let key = *b"0123456789012345";
    let options =
        WriterOptions::default().with_encryption(Encryption::new(key).with_column_key("name", *b"1234567890123450"));
    let keys = Decryption::new().with_footer_key(key).with_column_key("name", *b"1234567890123450");
    let file = open(&write(&terms(), options), ReaderOptions::default().with_decryption(keys));
    let (found, counts) = read(&file, "name = 'Sheldon'");
    assert_eq!((found.num_rows(), groups(&counts)), (150, [1, 0, 0, 0, 2]));
}

#[test]
fn a_dictionary_that_cannot_be_read_drops_nothing() {
    let bytes = write(&terms(), WriterOptions::default());
    let file = open(&bytes, ReaderOptions::default());
    let meta = file.column_metadata(2, 0).unwrap();
    let (start, end) = (meta.dictionary_page_offset.unwrap() as usize, meta.data_page_offset as usize);
    let mut broken = bytes.clone();
    broken[start..end].fill(0xff);
    let file = open(&broken, ReaderOptions::default());
    // The other groups go as before; this one is read, which says what is wrong.
    let e = scan(&file, col("name").eq("Sheldon"), Pruning::default()).unwrap_err();
    assert!(matches!(e, Error::Corrupt(_)) && e.to_string().contains("column name"), "{e}");
    // One that is larger than the budget is not read to prune by it.
    let names: StringArray = (0..50_000).map(|row| Some(format!("{:0>20}", row % 20_000))).collect();
    let batch = RecordBatch::try_from_iter([("name", Arc::new(names) as ArrayRef)]).unwrap();
    let file = open(&write(&[batch], WriterOptions::default()), ReaderOptions::default().with_memory_bytes(200_000));
    let refused = scan(&file, col("name").eq("00000000000000000007x"), Pruning::default()).unwrap_err();
    assert!(matches!(refused, Error::Limit(_)), "{refused}");
}

/// A file that fails once when it is read from these bytes on.
#[derive(Debug)]
struct Failing(Arc<dyn Input>, Range<u64>, AtomicBool);

impl Input for Failing {
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
    fn read(&self, range: Range<u64>) -> hypostyle::Result<bytes::Bytes> {
        if self.1.contains(&range.start) && range.start > 0 && !self.2.swap(true, Ordering::Relaxed) {
            return Err(Error::io("the disk is gone"));
        }
        self.0.read(range)
    }
    fn name(&self) -> &str {
        self.0.name()
    }
}

#[test]
fn a_disk_that_fails_is_an_error() {
    let storage = Memory::new();
    let mut out = storage.create("it.parquet").unwrap();
    out.append(&write(&terms(), WriterOptions::default())).unwrap();
    out.finish().unwrap();
    let input = storage.open("it.parquet").unwrap();
    let meta = FileReader::open(input.clone(), ReaderOptions::default()).unwrap().column_metadata(0, 0).unwrap();
    let dictionary = meta.dictionary_page_offset.unwrap() as u64..meta.data_page_offset as u64;
    // The file's tail, which is guessed, may hold all of a small file: only reads that begin in the dictionary fail.
    let file = FileReader::open(Arc::new(Failing(input, dictionary, AtomicBool::new(false))), ReaderOptions::default())
        .unwrap();
    let e = scan(&file, col("name").eq("Sheldon"), Pruning::default()).unwrap_err();
    assert!(matches!(e, Error::Io(_)) && e.to_string().contains("the disk is gone"), "{e}");
    assert_eq!(scan(&file, col("name").eq("Sheldon"), Pruning::default()).unwrap().0.num_rows(), 150);
}
