//! Scans of tables: real files, written and read back through the log.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use hypostyle::Error;
use hypostyle::parquet::read::{self, FileReader, ReaderOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::predicate::{Predicate, col, sql};
use hypostyle::storage::{Memory, Storage};
use hypostyle::table::{AddFile, CreateOptions, PartitionValues, ScanOptions, Table, TableScan};

const DAY_US: i64 = 86_400_000_000;

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The partition column stands first, so that its place is made and not found.
fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("window_start", utc(), true),
        Field::new("carrier", DataType::Utf8, true),
        Field::new("delay", DataType::Int64, true),
        Field::new("at", utc(), false),
    ]))
}

fn window(day: Option<i64>) -> PartitionValues {
    let text = day.map(|day| format!("2013-01-{:02}T00:00:00.000000Z", day + 1));
    PartitionValues::from([("window_start".to_owned(), text)])
}

/// Rows of a file: carriers in turn, delays from `from` with every fifth null.
fn rows(day: i64, from: i64, count: i64) -> RecordBatch {
    let delays = (from..from + count).map(|n| (n % 5 != 4).then_some(n));
    let carriers = (0..count).map(|n| [Some("UA"), Some("B6"), None][n as usize % 3]);
    let start = 1_356_998_400_000_000 + day * DAY_US;
    let at =
        TimestampMicrosecondArray::from_iter_values((0..count).map(|n| start + n * 1_000_001)).with_timezone("UTC");
    let columns: Vec<ArrayRef> =
        vec![Arc::new(StringArray::from_iter(carriers)), Arc::new(Int64Array::from_iter(delays)), Arc::new(at)];
    let fields = schema().fields().iter().skip(1).cloned().collect::<Vec<_>>();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn add(table: &mut Table, values: PartitionValues, batch: &RecordBatch) -> String {
    let path = table.data_path(&values);
    let options = WriterOptions::default().with_row_group_rows(50).with_page_rows(10);
    let mut writer = FileWriter::new(table.storage().create(&path).unwrap(), batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    let written = writer.finish().unwrap();
    let file = AddFile::from_written(&written, &table.snapshot().schema, &path, values).unwrap();
    let mut transaction = table.transaction();
    transaction.add(file);
    transaction.commit().unwrap();
    path
}

/// Three days of 120 rows, delays 0 to 359, and a file without a window.
fn flights() -> (Memory, Table) {
    let memory = Memory::new();
    let options = CreateOptions::default().with_partition_columns(["window_start"]);
    let mut table = Table::create(Arc::new(memory.clone()), schema(), options).unwrap();
    assert_eq!(table.snapshot().file_schema(), rows(0, 0, 1).schema());
    for day in 0..3 {
        add(&mut table, window(Some(day)), &rows(day, day * 120, 120));
    }
    add(&mut table, window(None), &rows(9, 1000, 7));
    (memory, table)
}

fn collect(scan: &mut TableScan) -> RecordBatch {
    let batches: Vec<RecordBatch> = scan.by_ref().collect::<Result<_, _>>().unwrap();
    concat_batches(scan.schema(), &batches).unwrap()
}

fn scan(table: &Table, predicate: Option<Predicate>, columns: Option<&[&str]>) -> (RecordBatch, TableScan) {
    let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let mut scan = table.scan(ScanOptions { columns, predicate, ..ScanOptions::default() }).unwrap();
    (collect(&mut scan), scan)
}

#[test]
fn row_numbers_name_a_row_of_a_file_whatever_is_left_out() {
    let (memory, table) = flights();
    let read = |options: ScanOptions| {
        let options = options.with_columns(["at"]).with_row_numbers("row");
        let mut scan = table.scan(options).unwrap();
        let rows = collect(&mut scan);
        let names: Vec<String> = rows.schema().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["at", "row", "row_file"]);
        let numbers = rows["row"].as_primitive::<Int64Type>().values().to_vec();
        let paths: Vec<String> = rows["row_file"].as_string::<i32>().iter().map(|p| p.unwrap().to_owned()).collect();
        // What stands there in the file is what came.
        for path in table.snapshot().files.keys() {
            let file = FileReader::open(memory.open(path).unwrap(), ReaderOptions::default()).unwrap();
            let there: Vec<RecordBatch> =
                file.scan(read::ScanOptions::default().with_columns(["at"])).unwrap().map(Result::unwrap).collect();
            let there = concat_batches(there[0].schema_ref(), &there).unwrap();
            let of_file: Vec<usize> = (0..paths.len()).filter(|&row| paths[row] == *path).collect();
            for row in of_file {
                let value =
                    |of: &RecordBatch, row: usize| of["at"].as_primitive::<TimestampMicrosecondType>().value(row);
                assert_eq!(value(&rows, row), value(&there, numbers[row] as usize));
            }
        }
        paths.into_iter().zip(numbers).collect::<Vec<_>>()
    };
    let all = read(ScanOptions::default());
    assert_eq!((all.len(), all[..120].iter().map(|(_, n)| *n).collect()), (367, (0..120).collect::<Vec<_>>()));
    assert_eq!(read(ScanOptions::default().with_threads(3)), all);
    let parts: Vec<_> = (0..3).flat_map(|n| read(ScanOptions::default().with_part(n, 3))).collect();
    assert_eq!(parts, all);
    let mut last = ScanOptions::default().with_limit(5);
    last.offset = 362;
    assert_eq!(read(last), all[362..]);
    // The file's reader evaluates the first, the second is about the table's own column, the third about both.
    for (condition, count) in [
        ("delay between 130 and 133", 4),
        ("window_start = timestamp '2013-01-02 00:00:00Z'", 120),
        ("delay < 3 or window_start is null", 10),
    ] {
        let some = read(ScanOptions::default().with_predicate(sql::parse(condition).unwrap()));
        assert_eq!(some.len(), count, "{condition}");
        assert!(some.iter().all(|place| all.contains(place)), "{condition}");
    }
    for taken in ["at", "delay"] {
        let e = table.scan(ScanOptions::default().with_row_numbers(taken)).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains(&format!("the name {taken}")), "{e}");
    }
}

#[test]
fn all_rows_come_back_with_their_partition_values_in_the_order_of_the_schema() {
    let (_, table) = flights();
    let (all, counts) = scan(&table, None, None);
    assert_eq!(all.schema(), schema());
    assert_eq!(all.num_rows(), 367);
    let mut delays: Vec<Option<i64>> = all["delay"].as_primitive::<Int64Type>().iter().collect();
    delays.sort_unstable();
    let mut wanted: Vec<Option<i64>> = (0..360).chain(1000..1007).map(|n| (n % 5 != 4).then_some(n)).collect();
    wanted.sort_unstable();
    assert_eq!(delays, wanted);
    let windows = all["window_start"].as_primitive::<arrow_array::types::TimestampMicrosecondType>();
    let at = all["at"].as_primitive::<arrow_array::types::TimestampMicrosecondType>();
    assert_eq!(windows.null_count(), 7);
    for row in 0..all.num_rows() {
        assert!(windows.is_null(row) || windows.value(row) == at.value(row) - at.value(row).rem_euclid(DAY_US));
    }
    let counts = counts.counts();
    assert_eq!((counts.files_total, counts.files_read, counts.files_skipped), (4, 4, 0));
    assert_eq!((counts.rows_returned, counts.scan.rows_returned, counts.scan.row_groups_read), (367, 367, 10));
    assert_eq!(table.snapshot().stats().rows, Some(367));
}

#[test]
fn columns_are_given_as_asked_and_unknown_ones_refused() {
    let (_, table) = flights();
    let (some, _) = scan(&table, Some(col("at").is_not_null()), Some(&["delay", "window_start"]));
    let names: Vec<String> = some.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["delay", "window_start"]);
    assert_eq!(some.num_rows(), 367);
    // Partition columns alone, and no columns at all.
    assert_eq!(scan(&table, None, Some(&["window_start"])).0.num_rows(), 367);
    assert_eq!(scan(&table, None, Some(&[])).0.num_rows(), 367);
    let (counted, counts) = scan(&table, None, Some(&[]));
    assert_eq!((counted.num_columns(), counts.counts().scan.bytes_read), (0, 0));
    assert_eq!(scan(&table, Some(col("delay").lt(10)), Some(&[])).0.num_rows(), 8);
    let error = |columns: &[&str], predicate| {
        let columns = Some(columns.iter().map(|name| (*name).to_owned()).collect());
        table.scan(ScanOptions { columns, predicate, ..ScanOptions::default() }).unwrap_err()
    };
    let e = error(&["nope"], None);
    assert!(matches!(e, Error::Invalid(_)), "{e}");
    assert_eq!(e.to_string(), "memory:: there is no column nope; there are window_start, carrier, delay, at");
    assert!(matches!(error(&["delay", "delay"], None), Error::Invalid(_)));
    assert!(matches!(error(&["delay"], Some(col("nope").gt(1))), Error::Invalid(_)));
}

#[test]
fn a_limit_stops_reading() {
    let (_, table) = flights();
    for (limit, predicate, rows, files) in [
        (0, None, 0, 0),
        (1, None, 1, 1),
        (130, None, 130, 2),
        (1000, None, 367, 4),
        (3, Some(col("carrier").eq("UA")), 3, 1),
        // With a part that the files' readers cannot check.
        (3, Some(col("carrier").eq("UA").and(col("window_start").is_not_null().or(col("delay").gt(0)))), 3, 1),
    ] {
        let mut scan = table.scan(ScanOptions { limit: Some(limit), predicate, ..ScanOptions::default() }).unwrap();
        assert_eq!(collect(&mut scan).num_rows(), rows);
        assert_eq!(scan.counts().files_read, files, "limit {limit}");
    }
}

#[test]
fn files_are_left_out_by_partition_values_and_statistics() {
    let (_, table) = flights();
    for (predicate, skipped, rows) in [
        ("window_start = timestamp '2013-01-02T00:00:00Z'", 3, 120),
        ("window_start >= '2013-01-02'", 2, 240),
        ("window_start is null", 3, 7),
        ("delay < 50", 3, 40),
        ("delay > 5000", 4, 0),
        ("at < timestamp '2013-01-01T00:00:10Z'", 3, 10),
        ("window_start = '2013-01-02' and delay < 50", 4, 0),
        ("window_start = '2013-01-02' or delay < 50", 2, 160),
    ] {
        let (batch, scan) = scan(&table, Some(sql::parse(predicate).unwrap()), None);
        assert_eq!(batch.num_rows(), rows, "{predicate}");
        let counts = scan.counts();
        assert_eq!((counts.files_skipped, counts.files_read), (skipped, 4 - skipped), "{predicate}");
    }
    // A condition on the window alone holds for all rows of a file: nothing is evaluated, no column is read for it.
    let (_, scan) = scan(&table, Some(col("window_start").is_null()), Some(&[]));
    assert_eq!(scan.counts().scan.bytes_read, 0);
}

#[test]
fn statistics_inside_the_files_are_used_too() {
    let (_, table) = flights();
    let (batch, scan) =
        scan(&table, Some(sql::parse("window_start = '2013-01-01' and delay between 52 and 53").unwrap()), None);
    assert_eq!(batch.num_rows(), 2);
    let counts = scan.counts().scan;
    assert_eq!((counts.row_groups_read, counts.row_groups_skipped), (1, 2));
    assert!(counts.pages_skipped > 0, "{counts:?}");
}

#[test]
fn what_a_predicate_gives_is_what_it_says_of_each_row() {
    let (memory, mut table) = flights();
    // A file that holds the partition column too, wrongly: the log counts.
    let lies: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0; 10]).with_timezone("UTC"));
    let physical = rows(2, 200, 10);
    let columns = [("window_start", lies), ("delay", physical["delay"].clone()), ("at", physical["at"].clone())];
    add(
        &mut table,
        window(Some(2)),
        &RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, n != "at"))).unwrap(),
    );
    // A file from before the column `carrier`, one without statistics, one in another width.
    let old = rows(1, 40, 30).project(&[1, 2]).unwrap();
    add(&mut table, window(Some(1)), &old);
    let path = add(&mut table, window(Some(2)), &rows(2, 300, 60));
    let narrow = RecordBatch::try_from_iter_with_nullable([
        ("at", rows(0, 0, 4).column(2).clone(), false),
        ("delay", Arc::new(Int32Array::from(vec![Some(1), None, Some(60), Some(-5)])) as ArrayRef, true),
        ("unknown", Arc::new(Int32Array::from(vec![1, 2, 3, 4])) as ArrayRef, true),
    ]);
    add(&mut table, window(Some(0)), &narrow.unwrap());
    let version = table.snapshot().version - 1;
    let commit = format!("_delta_log/{version:020}.json");
    let text = String::from_utf8(memory.get(&commit).unwrap().to_vec()).unwrap();
    let start = text.find(",\"stats\":").unwrap();
    let end = start + text[start..].find("\"}}").unwrap();
    memory.put(&commit, format!("{}{}", &text[..start], &text[end + 1..])).unwrap();
    let table = Table::open(Arc::new(memory)).unwrap();
    assert_eq!(table.snapshot().files[&path].rows(), None, "the statistics are gone");
    assert_eq!(table.snapshot().stats().rows, None);

    let (all, _) = scan(&table, None, None);
    assert_eq!(all.num_rows(), 367 + 30 + 60 + 4 + 10);
    let mut nonempty = 0;
    for text in [
        "carrier = 'UA'",
        "carrier is null",
        "carrier is null and delay > 50",
        "not (carrier = 'UA')",
        "carrier = 'UA' and delay > 60",
        "carrier like 'B%' or window_start is null",
        "delay in (60, 301, 1003) and window_start < '2013-01-03'",
        "delay = -5",
        "delay is null and carrier is null",
        "window_start = '2013-01-02' and carrier is null and delay < 100",
        "window_start <> '2013-01-02' and (carrier = 'UA' or delay = 60)",
        "at > window_start",
        "at = window_start",
        "window_start < '2000-01-01'",
        "window_start > '2013-01-05' or delay > 100",
        "(delay > 100 or window_start is null) and carrier is not null",
        "true",
        "false",
        "delay > 60 and false",
    ] {
        let predicate = sql::parse(text).unwrap();
        let matches = predicate.bind(&table.snapshot().schema).unwrap().evaluate(&all).unwrap();
        let wanted = filter_record_batch(&all, &matches).unwrap();
        let (found, _) = scan(&table, Some(predicate.clone()), None);
        assert_eq!(found, wanted, "{text}");
        let mut few = table.scan(ScanOptions::default().with_predicate(predicate.clone()).with_limit(3)).unwrap();
        assert_eq!(collect(&mut few), wanted.slice(0, wanted.num_rows().min(3)), "{text}");
        let (found, _) = scan(&table, Some(predicate), Some(&["delay"]));
        assert_eq!(found, wanted.project(&[2]).unwrap(), "{text}");
        nonempty += usize::from(wanted.num_rows() > 0);
    }
    assert_eq!(nonempty, 16, "all but those that are false");
}

#[test]
fn a_live_file_that_is_gone_is_an_error_with_its_name_and_the_version() {
    let (memory, table) = flights();
    let path = table.snapshot().files.keys().next().unwrap().clone();
    memory.remove(&path).unwrap();
    let mut scan = table.scan(ScanOptions::default()).unwrap();
    let e = scan.next().unwrap().unwrap_err();
    assert!(matches!(e, Error::Io(_)), "{e}");
    assert!(
        e.to_string().starts_with(&format!("memory:{path}: version 4: a data file of the table is not there")),
        "{e}"
    );
    assert!(scan.next().is_none(), "an error ends the scan");
    // What does not need the file goes on.
    assert_eq!(self::scan(&table, Some(col("delay").eq(1000)), None).0.num_rows(), 1);
}

#[test]
fn a_broken_file_is_an_error_with_its_name() {
    let (memory, table) = flights();
    let path = table.snapshot().files.keys().next().unwrap().clone();
    let bytes = memory.get(&path).unwrap();
    memory.put(&path, bytes.slice(..bytes.len() / 2)).unwrap();
    let e = table.scan(ScanOptions::default()).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(e, Error::Corrupt(_)) && e.to_string().contains(&path), "{e}");
    let text =
        memory.put(&path, "").and_then(|()| table.scan(ScanOptions::default())).unwrap().next().unwrap().unwrap_err();
    assert!(text.to_string().contains(&path), "{text}");
}

#[test]
fn rows_are_counted_by_the_log_by_footers_and_only_then_by_reading() {
    let (memory, table) = flights();
    let options = |text: &str| match text {
        "" => ScanOptions::default(),
        text => ScanOptions::default().with_predicate(sql::parse(text).unwrap()),
    };
    let count = |text: &str| table.count(options(text)).unwrap();
    assert_eq!(count(""), 367);
    assert_eq!(table.count(options("").with_offset(100).with_limit(50)).unwrap(), 50);
    assert_eq!(table.count(options("").with_offset(360)).unwrap(), 7);
    assert_eq!(count("window_start = '2013-01-02'"), 120);
    assert_eq!(count("window_start is null and carrier = 'UA'"), 3);
    for text in ["delay > 100", "delay is null", "carrier = 'B6' and delay between 7 and 130"] {
        let read: usize = table.scan(options(text)).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(count(text), read as u64, "{text}");
        let parts = (0..4).map(|part| table.count(options(text).with_part(part, 4)).unwrap());
        assert_eq!(parts.sum::<u64>(), read as u64, "{text} in parts");
    }
    // What the log tells is not looked for in files.
    for path in table.snapshot().files.keys() {
        memory.remove(path).unwrap();
    }
    assert_eq!((count(""), count("window_start = '2013-01-02'")), (367, 120));
    assert_eq!(table.min_max("delay", options("")).unwrap().unwrap().max.as_primitive::<Int64Type>().value(0), 1006);
    let days = table.min_max("window_start", options("delay < 0 or true")).unwrap_err();
    assert!(matches!(days, Error::Io(_)), "{days}");
    assert!(matches!(table.count(options("delay > 100")), Err(Error::Io(_))));
}

/// A value as text; of a timestamp, its number.
fn shown(array: &ArrayRef, row: usize) -> String {
    let array = match array.data_type() {
        DataType::Timestamp(..) => cast(array, &DataType::Int64).unwrap(),
        _ => array.clone(),
    };
    array_value_to_string(&array, row).unwrap()
}

#[test]
fn extremes_are_those_of_the_rows() {
    let (memory, table) = flights();
    // A copy whose log tells nothing of values.
    let mut bare = Table::create(Arc::new(memory.clone()), schema(), CreateOptions::default()).unwrap_err();
    assert!(matches!(bare, Error::Conflict(_)), "{bare}");
    let other = Memory::new();
    let options = CreateOptions::default().with_partition_columns(["window_start"]);
    let mut untold = Table::create(Arc::new(other.clone()), schema(), options).unwrap();
    for file in table.snapshot().files.values() {
        let bytes = memory.open(&file.path).unwrap();
        let mut out = other.create(&file.path).unwrap();
        out.append(&bytes.read(0..bytes.bytes()).unwrap()).unwrap();
        out.finish().unwrap();
        let mut transaction = untold.transaction();
        transaction.add(AddFile { stats: None, ..AddFile::clone(file) });
        transaction.commit().unwrap();
    }
    bare = untold.min_max("delay", ScanOptions::default().with_limit(1)).unwrap_err();
    assert!(matches!(bare, Error::Invalid(_)), "{bare}");
    for text in ["", "delay > 17", "carrier = 'B6'", "window_start = '2013-01-02'", "window_start is null", "delay < 0"]
    {
        for column in ["delay", "carrier", "at", "window_start"] {
            let options = match text {
                "" => ScanOptions::default(),
                text => ScanOptions::default().with_predicate(sql::parse(text).unwrap()),
            };
            let all = collect(&mut table.scan(options.clone().with_columns([column])).unwrap());
            let values: Vec<String> = (0..all.num_rows())
                .filter(|&row| all.column(0).is_valid(row))
                .map(|row| shown(all.column(0), row))
                .collect();
            // Numbers of four digits at most, all positive.
            let key = |text: &String| (if column == "delay" { text.len() } else { 0 }, text.clone());
            let want = values.iter().min_by_key(|v| key(v)).zip(values.iter().max_by_key(|v| key(v)));
            for table in [&table, &untold] {
                let found = table.min_max(column, options.clone()).unwrap();
                let found = found.map(|found| {
                    let text = |array: &ArrayRef| shown(array, 0);
                    (text(&found.min), text(&found.max))
                });
                let found = found.as_ref().map(|(min, max)| (min, max));
                assert_eq!(found, want, "{column} where {text}");
            }
        }
    }
}

#[test]
fn threads_read_files_beside_each_other_with_the_rows_of_one() {
    let (_, table) = flights();
    let condition = |text: &str| (!text.is_empty()).then(|| sql::parse(text).unwrap());
    let text = |rows: &RecordBatch| -> Vec<String> {
        let row = |row| rows.columns().iter().map(|c| shown(c, row)).collect::<Vec<_>>().join("|");
        (0..rows.num_rows()).map(row).collect()
    };
    for predicate in
        ["", "delay > 100", "carrier = 'B6' and window_start > '2013-01-01'", "delay is null"].map(condition)
    {
        for (offset, limit) in [(0, None), (17, None), (130, Some(150)), (0, Some(3)), (400, None)] {
            let options = ScanOptions { predicate: predicate.clone(), offset, limit, ..ScanOptions::default() };
            let mut reader = options.reader.clone();
            reader.batch_rows = 20;
            let options = ScanOptions { reader, ..options };
            let mut one = table.scan(options.clone()).unwrap();
            let want = text(&collect(&mut one));
            for threads in [2, 3, 9] {
                let mut scan = table.scan(options.clone().with_threads(threads)).unwrap();
                assert_eq!(text(&collect(&mut scan)), want, "{predicate:?} {offset} {limit:?} on {threads}");
                assert_eq!(scan.counts().rows_returned, want.len() as u64);
                if limit.is_none() {
                    assert_eq!(scan.counts().files_read, one.counts().files_read);
                    assert_eq!(scan.counts().scan.bytes_read, one.counts().scan.bytes_read);
                }
                let unordered = options.clone().with_threads(threads).with_unordered(true);
                let mut found = text(&collect(&mut table.scan(unordered).unwrap()));
                assert_eq!(found.len(), want.len());
                if offset == 0 && limit.is_none() {
                    let mut want = want.clone();
                    want.sort();
                    found.sort();
                    assert_eq!(found, want);
                }
            }
        }
    }
    // One that is given up is given up.
    let mut scan = table.scan(ScanOptions::default().with_threads(3)).unwrap();
    assert!(scan.next().unwrap().is_ok());
    drop(scan);
}

#[test]
fn threads_over_files_share_the_memory_of_one() {
    // Columns whose dictionaries and pages take room.
    let memory = Memory::new();
    let fields = vec![Field::new("n", DataType::Int64, true), Field::new("s", DataType::Utf8, true)];
    let schema = Arc::new(Schema::new(fields));
    let mut table = Table::create(Arc::new(memory.clone()), schema.clone(), CreateOptions::default()).unwrap();
    for file in 0..5i64 {
        let n = Int64Array::from_iter_values(file * 10_000..(file + 1) * 10_000);
        let s = StringArray::from_iter_values((0..10_000).map(|n| format!("text {} of {file}", n * 7919 % 10_007)));
        let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(n), Arc::new(s)]).unwrap();
        let path = table.data_path(&PartitionValues::new());
        let mut writer =
            FileWriter::new(memory.create(&path).unwrap(), schema.clone(), WriterOptions::default()).unwrap();
        writer.write(&batch).unwrap();
        let added = AddFile::from_written(&writer.finish().unwrap(), &schema, &path, PartitionValues::new()).unwrap();
        let mut transaction = table.transaction();
        transaction.add(added);
        transaction.commit().unwrap();
    }
    let rows = |bytes: usize, threads: usize, unordered: bool| -> Result<usize, Error> {
        let mut options = ScanOptions::default().with_threads(threads).with_unordered(unordered);
        options.reader = options.reader.with_memory_bytes(bytes).with_batch_rows(1000);
        let mut numbers = Vec::new();
        for batch in table.scan(options)? {
            let batch = batch?;
            numbers.extend(batch["n"].as_primitive::<Int64Type>().values().iter().copied());
        }
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "no row twice");
        Ok(numbers.len())
    };
    // The least that one thread can do with.
    let (mut low, mut high) = (1_000, 16 << 20);
    while high - low > 1_000 {
        let middle = (low + high) / 2;
        match rows(middle, 1, false) {
            Ok(found) => {
                assert_eq!(found, 50_000);
                high = middle;
            }
            Err(e) => {
                assert!(matches!(e, Error::Limit(_)), "{e}");
                low = middle;
            }
        }
    }
    for bytes in [high, high * 3 / 2, high * 2, high * 4] {
        for (threads, unordered) in [(2, false), (5, false), (3, true)] {
            assert_eq!(rows(bytes, threads, unordered).unwrap(), 50_000, "{bytes} on {threads}");
        }
    }
    assert!(matches!(rows(low / 2, 4, false), Err(Error::Limit(_))));
}
