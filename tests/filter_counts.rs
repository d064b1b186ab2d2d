//! What filtering takes in the cases of `benches/filter.rs`, on a smaller file of the same columns: row groups, pages, rows judged
//! and bytes decoded, not times.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::read::{ColumnCounts, FileReader, ReaderOptions, ScanCounts, ScanOptions};
use hypostyle::parquet::write::{ColumnOptions, FileWriter, WriterOptions};
use hypostyle::predicate::{Predicate, col, sql};
use hypostyle::storage::{Memory, Storage};

const ROWS: usize = 80_000;
const PAGE_ROWS: u64 = 1000;
const COLUMNS: u64 = 16;

/// A number without a pattern for each row.
fn noise(row: usize) -> u64 {
    let mixed = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 8
}

fn data() -> RecordBatch {
    let integers = |of: &dyn Fn(usize) -> u64| {
        Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| of(row) as i64))) as ArrayRef
    };
    let strings = |of: &dyn Fn(usize) -> String| Arc::new(StringArray::from_iter_values((0..ROWS).map(of))) as ArrayRef;
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("key".into(), integers(&|row| row as u64)),
        ("percent".into(), integers(&|row| noise(row) % 100)),
        ("cluster".into(), integers(&|row| noise(row / 4000) % 10)),
        ("id".into(), integers(&noise)),
        ("word".into(), strings(&|row| format!("https://example.org/{}", noise(row) % 500))),
        ("url".into(), strings(&|row| format!("https://example.org/{}/{}", noise(row) % 977, noise(row + ROWS)))),
    ];
    for number in 0..5 {
        columns.push((format!("n{number}"), integers(&|row| noise(row * 5 + number))));
        columns.push((format!("t{number}"), strings(&|row| format!("text {}", noise(row * 7 + number) % 100_000))));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

fn file(batch: &RecordBatch) -> FileReader {
    file_with(batch, ReaderOptions::default())
}

fn file_with(batch: &RecordBatch, reader: ReaderOptions) -> FileReader {
    let plain = ColumnOptions { dictionary: Some(false), ..ColumnOptions::default() };
    let options = WriterOptions::default()
        .with_compression(Compression::Snappy)
        .with_row_group_rows(ROWS / 4)
        .with_page_rows(PAGE_ROWS as usize)
        .with_column("word", ColumnOptions { dictionary: Some(true), ..ColumnOptions::default() })
        .with_column("url", plain);
    let storage = Memory::new();
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    FileReader::open(storage.open("f").unwrap(), reader).unwrap()
}

struct Seen {
    counts: ScanCounts,
    columns: Vec<ColumnCounts>,
}

impl Seen {
    fn of(file: &FileReader, predicate: impl Into<Option<Predicate>>, columns: &[&str]) -> Seen {
        let mut options = ScanOptions { predicate: predicate.into(), ..ScanOptions::default() };
        if !columns.is_empty() {
            options = options.with_columns(columns.iter().copied());
        }
        let mut scan = file.scan(options).unwrap();
        let rows: usize = scan.by_ref().map(|batch| batch.unwrap().num_rows()).sum();
        let (counts, columns) = (scan.counts(), scan.column_counts());
        assert_eq!(rows as u64, counts.rows_returned);
        Seen { counts, columns }
    }

    fn pages_of(&self, name: &str) -> u64 {
        self.columns.iter().find(|column| column.name == name).map_or(0, |column| column.pages_read)
    }

    fn decoded_of(&self, name: &str) -> u64 {
        self.columns.iter().find(|column| column.name == name).map_or(0, |column| column.bytes_decoded)
    }
}

#[test]
fn each_case_of_the_bench_reads_what_it_needs() {
    let batch = data();
    let file = file(&batch);
    let sql = |text: &str| sql::parse(text).unwrap();
    let two = ["n0", "t1"];
    let all_rows = ROWS as u64;
    let all_pages = COLUMNS * all_rows / PAGE_ROWS;
    let whole = Seen::of(&file, None, &[]);
    assert_eq!((whole.counts.pages_read, whole.counts.rows_read), (all_pages, all_rows));

    // Of each column the page with the row.
    let seen = Seen::of(&file, sql("key = 70001"), &[]).counts;
    assert_eq!((seen.rows_returned, seen.row_groups_read, seen.row_groups_skipped), (1, 1, 3));
    assert_eq!((seen.rows_read, seen.pages_read), (PAGE_ROWS, COLUMNS));
    let seen = Seen::of(&file, sql("key between 50000 and 50500"), &[]).counts;
    assert_eq!((seen.rows_returned, seen.rows_read, seen.pages_read), (501, PAGE_ROWS, COLUMNS));

    // Where every page has matches each is opened, once; what lies between them is not made in full.
    for percent in [1, 10, 50, 99] {
        let seen = Seen::of(&file, sql(&format!("percent < {percent}")), &[]).counts;
        assert_eq!((seen.rows_read, seen.pages_read), (all_rows, all_pages), "{percent} %");
        assert!(seen.rows_returned.abs_diff(all_rows * percent / 100) < all_rows / 50, "{percent} %");
        let most = if percent == 1 { whole.counts.bytes_decoded / 4 } else { whole.counts.bytes_decoded * 11 / 10 };
        assert!(seen.bytes_decoded <= most, "{percent} %: {}", seen.bytes_decoded);
    }
    let seen = Seen::of(&file, sql("percent < 10"), &two);
    assert_eq!(seen.counts.pages_read, 3 * all_pages / COLUMNS);
    assert_eq!(seen.decoded_of("t0"), 0);

    // Pages without a match are passed over; those that match whole are not judged.
    let seen = Seen::of(&file, sql("cluster < 4"), &[]).counts;
    assert!(seen.rows_returned > 0 && seen.rows_returned < all_rows, "{}", seen.rows_returned);
    assert_eq!((seen.rows_read, seen.pages_read), (0, COLUMNS * seen.rows_returned / PAGE_ROWS));

    // By the dictionary's entries: nothing of the column is made but what is wanted.
    let word = "word = 'https://example.org/432'";
    let seen = Seen::of(&file, sql(word), &[]);
    assert_eq!((seen.counts.rows_read, seen.pages_of("word")), (all_rows, all_rows / PAGE_ROWS));
    assert!(seen.counts.pages_read < all_pages, "{}", seen.counts.pages_read);
    assert!(seen.counts.bytes_decoded < whole.counts.bytes_decoded / 20, "{}", seen.counts.bytes_decoded);
    let seen = Seen::of(&file, sql(word), &two);
    assert_eq!(seen.columns.iter().filter(|column| column.pages_read > 0).count(), 3);
    assert!(
        seen.decoded_of("word") <= 4 * (500 * 32 + 4 * 501),
        "the entries of each group: {}",
        seen.decoded_of("word")
    );

    // Of plain strings all are made, of the others those of matches.
    for columns in [&[][..], &two] {
        let seen = Seen::of(&file, sql("url like 'https://example.org/321/%'"), columns);
        // But for the offsets that each batch has one more of.
        let made = seen.decoded_of("url").abs_diff(whole.decoded_of("url"));
        assert!(seen.pages_of("url") == 80 && made < 1000, "{made}");
        assert!(seen.counts.rows_returned > 0 && seen.pages_of("t1") <= seen.counts.rows_returned);
        assert!(seen.decoded_of("t1") < whole.decoded_of("t1") / 20);
    }
    let ids = (0..100).map(|n| noise(n * 79) as i64);
    let seen = Seen::of(&file, col("id").is_in(ids), &[]);
    assert_eq!((seen.counts.rows_returned, seen.pages_of("id")), (100, all_rows / PAGE_ROWS));
    assert!(seen.pages_of("t1") <= 80 && seen.decoded_of("t1") < whole.decoded_of("t1") / 20);

    // What both leave is read of the others.
    let seen = Seen::of(&file, sql("url like '%/3_1/%' and percent < 5"), &two);
    assert!(seen.decoded_of("t1") < whole.decoded_of("t1") / 10);
    // The cheap one is judged first, and stays so; rows between those that it leaves are decoded where they are few.
    let (made, all) = (seen.decoded_of("url"), whole.decoded_of("url"));
    assert!(made < all / 3 * 2, "{made} of {all}");
}

/// However many rows match, and in however small pieces, they come in their order, in whole batches; few rows hold little memory.
#[test]
fn what_is_left_of_windows_is_put_together() {
    let data = data();
    let batch_rows = 512;
    let file = file_with(&data, ReaderOptions::default().with_batch_rows(batch_rows));
    let ids = data.column_by_name("id").unwrap().as_primitive::<Int64Type>();
    let mut ascending: Vec<i64> = ids.values().to_vec();
    ascending.sort_unstable();
    for count in [0, 1, 5, 31, 32, 33, 100, 511, 512, 513, 600, 3000, 30_000, ROWS] {
        let below = ascending.get(count).copied().unwrap_or(i64::MAX);
        let predicate = col("id").lt(below);
        let batches: Vec<RecordBatch> =
            file.scan(ScanOptions::default().with_predicate(predicate)).unwrap().map(Result::unwrap).collect();
        let got: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec())
            .collect();
        let want: Vec<i64> = ids.values().iter().copied().filter(|&id| id < below).collect();
        assert!(got == want && want.len() == count, "{} of {count}", got.len());
        if count < 3000 {
            let (last, whole) = batches.split_last().map_or((0, &[][..]), |(last, whole)| (last.num_rows(), whole));
            assert!(whole.iter().all(|batch| batch.num_rows() == batch_rows) && last <= batch_rows, "{count}");
        }
        let bytes: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        if (1..32).contains(&count) {
            // A batch has room for 16 columns of 512 rows: of 8 bytes, of an offset and a text.
            assert!(bytes < 16 * batch_rows * 8 / 4, "{count} rows hold {bytes} bytes");
        }
    }
}
