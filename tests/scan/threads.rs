//! Scans by several threads, and scans that are planned and fed.

use super::*;

/// One long row group: threads divide it.
#[test]
fn a_row_group_is_divided_among_threads() {
    let rows = 300_000;
    let few = Int64Array::from_iter_values((0..rows).map(|r| (noise(5, r) % 10) as i64));
    let words = StringArray::from_iter_values((0..rows).map(|r| format!("word {}", noise(6, r) % 50_000)));
    let columns: [(&str, ArrayRef); 2] = [("few", Arc::new(few)), ("word", Arc::new(words))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let storage = write(&batch, WriterOptions::default());
    let memory = MemoryBudget::new(64 << 20);
    let file = open(&storage, ReaderOptions::default().with_memory(memory.clone()));
    assert_eq!(file.footer().groups.len(), 1);
    for predicate in [None, Some(sql::parse("few = 3 and word like '%7'").unwrap())] {
        let options = ScanOptions { predicate, ..ScanOptions::default() };
        let (one, counts_of_one) = read(&file, options.clone());
        let (many, counts) = read(&file, options.clone().with_threads(3));
        assert_eq!(one, many);
        assert_eq!((counts.row_groups_read, counts.rows_read), (1, counts_of_one.rows_read));
        // Pages at the borders are decoded by both sides.
        assert!(counts.pages_read >= counts_of_one.pages_read && counts.pages_read <= counts_of_one.pages_read + 8);
        let cut = options.with_threads(2).with_offset(10).with_limit(20_000);
        assert_eq!(read(&file, cut).0, cut_of(&one, 10, 20_000));
    }
    assert!(memory.peak() > 0 && memory.used() < memory.peak());
}

fn cut_of(batch: &RecordBatch, offset: u64, limit: u64) -> RecordBatch {
    cut(batch, offset, Some(limit))
}

/// However little memory there is: where one thread has enough, many have, and they keep to it.
#[test]
fn threads_keep_to_the_budget_of_one() {
    let batch = data(20_000, 11);
    let storage = write(&batch, WriterOptions::default().with_row_group_rows(1000).with_dictionary(false));
    // Threads have rows each with a predicate, columns each without.
    for predicate in [Some(sql::parse("few > 0 or few is null").unwrap()), None] {
        keep_to_the_budget_of_one(&storage, &predicate);
    }
}

fn keep_to_the_budget_of_one(storage: &Memory, predicate: &Option<Predicate>) {
    let scan = |bytes: usize, threads: usize| -> Result<RecordBatch, Error> {
        let memory = MemoryBudget::new(bytes);
        let reader = ReaderOptions::default().with_batch_rows(500).with_memory(memory.clone());
        let file = FileReader::open(storage.open("f").unwrap(), reader)?;
        let options = ScanOptions { predicate: predicate.clone(), ..ScanOptions::default() };
        let scan = file.scan(options.with_threads(threads))?;
        let schema = scan.schema().clone();
        let batches = scan.collect::<Result<Vec<_>, _>>()?;
        assert!(memory.peak() <= bytes);
        Ok(concat_batches(&schema, &batches).unwrap())
    };
    let want = scan(64 << 20, 1).unwrap();
    // The least that one thread can do with.
    let (mut low, mut high) = (1 << 10, 64 << 20);
    while high - low > 1 << 10 {
        let middle = (low + high) / 2;
        match scan(middle, 1) {
            Ok(_) => high = middle,
            Err(e) => {
                assert!(matches!(e, Error::Limit(_)), "{e}");
                low = middle;
            }
        }
    }
    // A few columns' buffers differ in when they grow.
    for bytes in [high + high / 4, high * 2, high * 4] {
        for threads in [2, 4] {
            let got = scan(bytes, threads).unwrap();
            assert_eq!(got, want, "{bytes} bytes, {threads} threads");
        }
    }
    assert!(matches!(scan(low / 2, 4), Err(Error::Limit(_))));
}

/// Several columns of about the same weight: threads divide these, and each page is opened once, as by one thread.
#[test]
fn columns_are_divided_among_threads() {
    let rows = 100_000;
    let number =
        |seed| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..rows).map(|r| noise(seed, r) as i64))) };
    let few: ArrayRef = Arc::new(Int64Array::from_iter((0..rows).map(|r| (r % 7 != 0).then_some((r % 90) as i64))));
    let words = (0..rows).map(|r| format!("{}", noise(9, r) % 300));
    let mut columns: Vec<(String, ArrayRef)> = (0..5).map(|n| (format!("n{n}"), number(n))).collect();
    columns.extend([("few".into(), few), ("word".into(), Arc::new(StringArray::from_iter_values(words)))]);
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let storage = write(&batch, WriterOptions::default().with_row_group_rows(30_000));
    for batch_rows in [700, 8192, 64 << 10] {
        let memory = MemoryBudget::new(64 << 20);
        let file = open(&storage, ReaderOptions::default().with_memory(memory.clone()).with_batch_rows(batch_rows));
        for (offset, limit) in [(0, None), (10, Some(60_000)), (31_000, None), (200_000, None), (0, Some(30_000))] {
            let options = ScanOptions { offset, limit, row_numbers: Some("at".into()), ..ScanOptions::default() };
            let scan = |threads: usize| {
                let mut scan = file.scan(options.clone().with_threads(threads)).unwrap();
                let batches: Vec<RecordBatch> = scan.by_ref().collect::<Result<_, _>>().unwrap();
                (batches, scan.counts(), scan.column_counts())
            };
            let (one, mut counts_of_one, columns_of_one) = scan(1);
            for threads in [2, 3] {
                let (many, counts, columns) = scan(threads);
                assert_eq!(one, many, "{offset} {limit:?} on {threads}");
                // Row groups before the offset are not begun at all; pages behind the limit not fetched.
                if offset == 0 && limit.is_none() {
                    assert_eq!((counts, &columns), (counts_of_one, &columns_of_one), "on {threads}");
                }
                counts_of_one.row_groups_read = counts.row_groups_read;
                assert_eq!(counts.rows_returned, counts_of_one.rows_returned);
            }
        }
        // One that nobody reads to its end lets go of everything.
        let mut scan = file.scan(ScanOptions::default().with_threads(2)).unwrap();
        assert_eq!(scan.next().unwrap().unwrap().num_rows(), batch_rows.min(rows));
        assert!(memory.used() > 0);
        drop((scan, file));
        assert_eq!(memory.used(), 0);
    }
}

#[test]
fn an_error_ends_a_scan_of_many_threads_where_its_rows_would_be() {
    let batch = data(10_000, 5);
    let storage = write(&batch, WriterOptions::default().with_row_group_rows(1000).with_crc(true));
    let file = open(&storage, ReaderOptions::default());
    let broken_at = file.row_group_start(6).unwrap().unwrap();
    let input = storage.open("f").unwrap();
    let mut bytes = input.read(0..input.bytes()).unwrap().to_vec();
    bytes[broken_at as usize + 60..][..40].fill(0xff);
    storage.put("f", bytes).unwrap();
    let file = open(&storage, ReaderOptions::default().with_batch_rows(500));
    let mut scan = file.scan(ScanOptions::default().with_threads(3)).unwrap();
    let mut rows = 0;
    let e = loop {
        match scan.next().unwrap() {
            Ok(batch) => rows += batch.num_rows(),
            Err(e) => break e,
        }
    };
    assert_eq!(rows, 6000);
    assert!(matches!(e, Error::Corrupt(_)) && e.place().byte >= Some(broken_at), "{e}");
    assert!(scan.next().is_none());
}

#[test]
fn a_scan_is_planned_before_anything_is_fetched() {
    let (_, file) = regular();
    let options = ScanOptions::default().with_columns(["few", "word"]);
    let plan = file.plan(options.clone().with_predicate(sql::parse("id between 6010 and 6080").unwrap())).unwrap();
    let [group] = plan.row_groups() else { unreachable!("one group can match") };
    assert_eq!((group.row_group, group.rows), (1, 100));
    let names: Vec<&str> = group.columns.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["id", "few", "word"]);
    // A page, and where there is one the dictionary.
    assert!(group.columns.iter().all(|(_, ranges)| (1..=2).contains(&ranges.len())), "{group:?}");
    assert!(plan.bytes() < file.bytes() / 10);
    assert_eq!((plan.counts().row_groups_skipped, plan.counts().bytes_read), (1, 0));
    let far = plan.with_gap_bytes(u64::MAX);
    assert_eq!(far.ranges().len(), 1);
    let mut decoder = far.into_decoder();
    let e = decoder.push(u64::MAX - 1, vec![0; 3].into()).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)), "{e}");
}

#[test]
fn what_is_fed_is_of_the_budget_until_its_group_has_been_read() {
    let (batch, options) = (data(10_000, 7), WriterOptions::default().with_row_group_rows(2_000).with_page_rows(100));
    let storage = write(&batch, options);
    let input = storage.open("f").unwrap();
    let budget = MemoryBudget::new(64 << 20);
    let whole = usize::try_from(input.bytes()).unwrap();
    // Of five groups, two are not too many to be given ahead.
    let memory_bytes = 2 << 20;
    let options = ReaderOptions::default().with_memory_bytes(memory_bytes).with_memory(budget.clone());
    let file = open(&storage, options.with_batch_rows(500));
    let before = budget.used();
    let plan = file.plan(ScanOptions::default()).unwrap();
    let ranges: Vec<Vec<Range<u64>>> = plan.row_groups().iter().map(|group| group.ranges.clone()).collect();
    let mut decoder = plan.into_decoder();
    let push = |decoder: &mut PushDecoder, range: &Range<u64>| decoder.push(range.start, input.read(range.clone())?);
    let bytes = |group: usize| ranges[group].iter().map(|r| (r.end - r.start) as usize).sum::<usize>();
    assert_eq!(ranges.len(), 5);
    ranges[0].iter().for_each(|range| push(&mut decoder, range).unwrap());
    assert_eq!(budget.used() - before, bytes(0));
    // Bytes that nobody asked for, again and again, until half of the budget is full.
    let mut given = 0;
    let e = loop {
        match push(&mut decoder, &ranges[3][0]) {
            Ok(()) => given += ranges[3][0].end - ranges[3][0].start,
            Err(e) => break e,
        }
    };
    assert!(matches!(e, Error::Limit(_)) && e.to_string().contains("take batches first"), "{e}");
    let used = budget.used() - before;
    assert_eq!(used, bytes(0) + given as usize);
    assert!(used <= memory_bytes / 2 && used + whole > memory_bytes / 2, "{used}");
    // What is asked for has the other half, and the decoder is none the worse.
    let mut rows = 0;
    loop {
        match decoder.next_batch().unwrap() {
            PushStep::Batch(batch) => rows += batch.num_rows(),
            PushStep::Needs(ranges) => ranges.iter().for_each(|range| push(&mut decoder, range).unwrap()),
            PushStep::End => break,
        }
    }
    assert_eq!(rows, 10_000);
    drop(decoder);
    assert_eq!(budget.used(), before);

    // What is asked for has to have room, too.
    assert!(whole > 64 << 10);
    let file = open(&storage, ReaderOptions::default().with_memory_bytes(64 << 10));
    let mut decoder = file.plan(ScanOptions::default()).unwrap().into_decoder();
    let e = push(&mut decoder, &(0..input.bytes())).unwrap_err();
    assert!(matches!(e, Error::Limit(_)) && e.to_string().contains("raise memory_bytes"), "{e}");
}
