//! What a scan has read, and what it did not need to.

use super::*;

#[test]
fn row_numbers_are_places_in_the_file_whatever_is_left_out() {
    let (_, file) = regular();
    let all = |options: ScanOptions| rows_of(&read(&file, options.with_row_numbers("row")).0);
    let none = ScanOptions::default().with_columns([] as [&str; 0]);
    assert_eq!(all(none.clone()), (0..10_000).collect::<Vec<_>>());
    assert_eq!(all(none.clone().with_row_groups([1, 0])), (5000..10_000).chain(0..5000).collect::<Vec<_>>());
    let some = none.clone().with_predicate(sql::parse("id between 7123 and 7125 or id = 3").unwrap());
    assert_eq!(all(some), [3, 7123, 7124, 7125]);
    let middle = file.row_group_start(1).unwrap().unwrap();
    assert_eq!(all(none.clone().with_byte_range(middle..u64::MAX)), (5000..10_000).collect::<Vec<_>>());
    assert_eq!(all(none.clone().with_offset(4998).with_limit(4)), [4998, 4999, 5000, 5001]);

    let among = ScanOptions::default().with_columns(["row", "id"]).with_row_numbers("row").with_limit(1);
    assert_eq!(read(&file, among).0.schema().field(0).name(), "row");
    let e = file.scan(ScanOptions::default().with_row_numbers("id")).unwrap_err();
    assert!(e.to_string().contains("row numbers as id: there is a column of that name"), "{e}");
}

#[test]
fn an_offset_passes_over_groups_and_sure_rows_without_reading_them() {
    let (_, file) = regular();
    let ids = |batch: &RecordBatch| batch["id"].as_primitive::<Int64Type>().values().to_vec();
    let options = ScanOptions::default().with_columns(["id"]).with_offset(9990);
    let (batch, counts) = read(&file, options);
    assert_eq!(ids(&batch), (9990..10_000).collect::<Vec<_>>());
    assert!(counts.bytes_read < counts.bytes_skipped / 10 && counts.rows_read == 10, "{counts:?}");
    // Bounds say of all pages but one that each row matches.
    let options = ScanOptions::default().with_columns(["id"]).with_predicate(col("id").gt(50)).with_offset(4049);
    let (batch, counts) = read(&file, options.with_limit(3));
    assert_eq!(ids(&batch), [4100, 4101, 4102]);
    assert_eq!((counts.rows_read, counts.pages_read), (100, 2), "{counts:?}");
    assert_eq!(read(&file, ScanOptions::default().with_offset(10_000)).0.num_rows(), 0);
    assert_eq!(read(&file, ScanOptions::default().with_offset(u64::MAX)).0.num_rows(), 0);
}

#[test]
fn what_bounds_are_sure_of_is_not_evaluated() {
    let (batch, file) = regular();
    let predicate = sql::parse("id >= 2050 and id < 9999").unwrap();
    let options = ScanOptions::default().with_columns(["few"]).with_predicate(predicate.clone());
    let (got, counts) = read(&file, options);
    let names = [batch.schema().index_of("few").unwrap()];
    assert_eq!(got, filtered(&batch, &predicate).project(&names).unwrap());
    // The page that holds 2050, and the last one.
    assert_eq!(counts.rows_read, 200, "{counts:?}");
}

#[test]
fn a_condition_that_bounds_decide_is_not_read() {
    let (_, file) = regular();
    // True of the second group as a whole.
    let predicate = sql::parse("id >= 5000 and word = 'w1'").unwrap();
    let one = |text: &str| ScanOptions::default().with_columns(["word"]).with_predicate(sql::parse(text).unwrap());
    let both = read(&file, one("id >= 5000 and word = 'w1'")).1;
    let word = read(&file, one("word = 'w1'").with_row_groups([1])).1;
    assert_eq!((both.bytes_read, both.pages_read), (word.bytes_read, word.pages_read), "{predicate}");
}

#[test]
fn the_order_of_conditions_is_learned() {
    let rows = 60_000;
    let batch = {
        let texts = (0..rows).map(|r| format!("{:x}{:x}{:x}", noise(1, r), noise(2, r), noise(3, r)));
        let text: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        // Rare, in 4 runs; a number that bounds do not decide.
        let kind: ArrayRef = Arc::new(Int64Array::from_iter_values(
            (0..rows).map(|r| i64::from(r % 15_000 == 7_777) + (r as i64 % 2) * 2),
        ));
        RecordBatch::try_from_iter([("text", text), ("kind", kind)]).unwrap()
    };
    let options = WriterOptions::default().with_page_rows(500).with_statistics(true);
    let plain = ColumnOptions { dictionary: Some(false), ..ColumnOptions::default() };
    let storage = write(&batch, options.with_column("text", plain).with_column("kind", plain));
    let file = open(&storage, ReaderOptions::default().with_batch_rows(2000));
    // The wide column is named first, and rules nothing out.
    for text in ["text <> 'x' and kind = 1", "kind = 1 and text <> 'x'", "text like '%' and kind = 1"] {
        let predicate = sql::parse(text).unwrap();
        let options = ScanOptions::default().with_columns(["kind"]).with_predicate(predicate.clone());
        let (got, counts) = read(&file, options);
        assert_eq!(got.num_rows(), filtered(&batch, &predicate).num_rows(), "{text}");
        // All 120 pages of `kind`; of `text`, some of the first window and those with a row of that kind.
        assert!((120..=128).contains(&counts.pages_read), "{text}: {counts:?}");
    }
}

#[test]
fn a_window_without_a_match_decodes_no_other_column() {
    let (_, file) = regular();
    let options = ScanOptions::default().with_predicate(sql::parse("few = 9 or text = 'none'").unwrap());
    let (got, counts) = read(&file, options.with_columns(["view", "word", "list"]));
    assert_eq!(got.num_rows(), 0);
    let alone = ScanOptions::default().with_predicate(sql::parse("few = 9 or text = 'none'").unwrap());
    let few = read(&file, alone.with_columns([] as [&str; 0])).1;
    assert_eq!((counts.pages_read, counts.bytes_read), (few.pages_read, few.bytes_read));
}

/// Rows that are scattered, in runs, rare and frequent.
#[test]
fn each_way_of_reading_what_is_left_gives_the_same() {
    let rows = 20_000;
    let groups: [fn(usize) -> bool; 5] = [
        |r| noise(9, r).is_multiple_of(1000),
        |r| noise(9, r).is_multiple_of(10),
        |r| !noise(9, r).is_multiple_of(100),
        |r| r % 4000 < 40,
        |r| r / 9000 == 1,
    ];
    for (number, matches) in groups.into_iter().enumerate() {
        let batch = data(rows, 3);
        let mark: ArrayRef = Arc::new((0..rows).map(|r| Some(matches(r))).collect::<BooleanArray>());
        let mut columns: Vec<(String, ArrayRef)> =
            batch.schema().fields().iter().map(|f| f.name().clone()).zip(batch.columns().iter().cloned()).collect();
        columns.push(("mark".to_owned(), mark));
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let storage = write(&batch, WriterOptions::default().with_page_rows(3000));
        let file = open(&storage, ReaderOptions::default().with_batch_rows(1000));
        let predicate = col("mark").is_true();
        let (got, _) = read(&file, ScanOptions::default().with_predicate(predicate.clone()));
        assert_eq!(got, filtered(&batch, &predicate), "{number}");
    }
}

#[test]
fn a_group_that_is_a_batch_is_read_as_others_are() {
    let batch = data(700, 11);
    for dictionary in [true, false] {
        let storage = write(&batch, WriterOptions::default().with_page_rows(300).with_dictionary(dictionary));
        for columns in [vec!["list", "row", "word", "id"], vec!["flag", "row"], vec!["row"]] {
            let options = ScanOptions::default().with_columns(columns).with_row_numbers("row");
            let one = open(&storage, ReaderOptions::default().with_batch_rows(700));
            // Column after column; as a decoder that is fed does it; in two batches.
            let alone = one.scan(options.clone()).unwrap();
            let planned = one.plan(options.clone()).unwrap().into_scan();
            let two = open(&storage, ReaderOptions::default().with_batch_rows(699)).scan(options).unwrap();
            let mut all = Vec::new();
            for mut scan in [alone, planned, two] {
                let batches: Vec<RecordBatch> = scan.by_ref().collect::<Result<_, _>>().unwrap();
                let read = concat_batches(scan.schema(), &batches).unwrap();
                assert!(scan.next().is_none());
                all.push((read, scan.counts(), scan.column_counts()));
            }
            let (read, counts, of_columns) = &all[0];
            assert_eq!((counts.rows_read, counts.rows_returned, counts.row_groups_read), (700, 700, 1));
            assert_eq!(rows_of(read), (0..700).collect::<Vec<_>>());
            assert_eq!((read, counts, of_columns), (&all[1].0, &all[1].1, &all[1].2));
            assert_eq!(
                (read, counts.bytes_read, counts.pages_read),
                (&all[2].0, all[2].1.bytes_read, all[2].1.pages_read)
            );
        }
        let part = open(&storage, ReaderOptions::default());
        for (offset, limit) in [(0, 700), (0, 699), (1, 700), (0, 0)] {
            let got = read(&part, ScanOptions::default().with_offset(offset).with_limit(limit)).0;
            assert_eq!(got, cut(&batch, offset, Some(limit)));
        }
    }
}
