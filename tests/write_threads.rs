//! Columns written by several threads: the file is the same to the byte, and errors name their column.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod generate;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use arrow_array::{Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Fields, Schema};
use bytes::Bytes;
use generate::nested::array;
use generate::{Random, every_type};
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::write::{BloomFilters, ColumnOptions, FileWriter, WriterMemory, WriterOptions};
use hypostyle::storage::{Memory, Output, Storage};
use hypostyle::{Error, Result};

/// A column of every type, plain and in a list, and a struct of several; enough rows that threads are worth while.
fn batches(seed: u64) -> Vec<RecordBatch> {
    let mut fields: Vec<Field> = Vec::new();
    for (number, data_type) in every_type().into_iter().enumerate() {
        if number % 5 == 0 {
            let item = Arc::new(Field::new("item", data_type.clone(), true));
            fields.push(Field::new(format!("list {number}"), DataType::List(item), true));
        }
        fields.push(Field::new(format!("c{number}"), data_type, true));
    }
    let inside = [DataType::Int32, DataType::Utf8, DataType::Float64];
    let inside: Fields = inside.into_iter().enumerate().map(|(i, t)| Field::new(format!("f{i}"), t, true)).collect();
    fields.push(Field::new("struct", DataType::Struct(inside), true));
    let schema = Arc::new(Schema::new(fields));
    let mut random = Random::new(seed);
    let batch = |rows: usize| {
        let columns = schema.fields().iter().map(|field| array(field, rows, &mut random)).collect();
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    [700, 3, 1500, 2000].map(batch).into()
}

fn write(batches: &[RecordBatch], options: WriterOptions) -> Bytes {
    let memory = Memory::new();
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    memory.get("f").unwrap()
}

#[test]
fn the_file_is_the_same_with_any_number_of_threads() {
    let batches = batches(1);
    for options in [
        WriterOptions::default(),
        WriterOptions::default()
            .with_row_group_rows(1100)
            .with_compression(Compression::Snappy)
            .with_bloom_filter(BloomFilters::Rate(0.05))
            .with_column("c7", ColumnOptions { compression: Some(Compression::Gzip(1)), ..ColumnOptions::default() }),
    ] {
        let one = write(&batches, options.clone());
        for threads in [0, 2, 3, 200] {
            assert!(one == write(&batches, options.clone().with_threads(threads)), "{threads} threads");
        }
    }
}

/// Files side by side and one after another, of pieces that others had before.
#[test]
fn the_file_is_the_same_of_shared_memory() {
    let batches = batches(2);
    let options = WriterOptions::default().with_row_group_rows(1100).with_page_rows(100);
    let alone = write(&batches, options.clone());
    let memory = WriterMemory::new(2 << 20);
    let options = options.with_memory(memory.clone());
    std::thread::scope(|scope| {
        for threads in [1, 1, 2] {
            let (batches, alone, options) = (&batches, &alone, options.clone().with_threads(threads));
            scope.spawn(move || (0..3).for_each(|_| assert!(write(batches, options.clone()) == *alone)));
        }
    });
    let free = memory.free_bytes();
    assert!((1..=2 << 20).contains(&free), "{free}");

    // A file that is given up gives its pieces back as well.
    memory.release();
    let mut writer = FileWriter::new(Memory::new().create("f").unwrap(), batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.flush().unwrap();
    let rest = memory.free_bytes();
    batches[..1].iter().for_each(|batch| writer.write(batch).unwrap());
    assert!(memory.free_bytes() < rest, "{rest}");
    drop(writer);
    assert!(memory.free_bytes() >= rest, "{rest}");
}

/// Rows wait until there are enough for threads, but never beyond where a row group closes.
#[test]
fn row_groups_close_with_the_same_rows_with_any_number_of_threads() {
    let mut random = Random::new(3);
    let batch = |rows: usize| {
        let noise: Vec<i64> = (0..rows).map(|_| random.next() as i64).collect();
        let text: StringArray = noise.iter().map(|n| (n % 7 != 0).then(|| format!("{:x}", n % 5000))).collect();
        let few: Int64Array = noise.iter().map(|n| n % 3).collect();
        let columns: [(_, Arc<dyn Array>); 3] =
            [("noise", Arc::new(Int64Array::from(noise))), ("text", Arc::new(text)), ("few", Arc::new(few))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let batches: Vec<RecordBatch> = [100_000, 1, 30_000, 8192, 8192, 8192, 350_000, 5].map(batch).into();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    for (bytes, group_rows) in [(600 << 10, 1 << 20), (128 << 20, 123_456), (128 << 20, 1 << 20)] {
        let options = WriterOptions::default().with_row_group_bytes(bytes).with_row_group_rows(group_rows);
        let one = write(&batches, options.clone());
        for threads in [2, 3] {
            assert!(one == write(&batches, options.clone().with_threads(threads)), "{bytes} bytes, {threads} threads");
        }
    }

    let memory = Memory::new();
    let options = WriterOptions::default().with_threads(2);
    let mut writer = FileWriter::new(memory.create("f").unwrap(), batches[0].schema(), options).unwrap();
    for (at, batch) in batches.iter().enumerate() {
        writer.write(batch).unwrap();
        let written: usize = batches[..=at].iter().map(RecordBatch::num_rows).sum();
        assert_eq!(writer.rows(), written as u64);
    }
    writer.flush().unwrap();
    assert_eq!(writer.finish().unwrap().metadata.row_groups[0].num_rows, rows as i64);
}

/// Of strings that take a dictionary of several megabytes, and numbers.
fn large_dictionary(rows: usize, random: &mut Random, with_null: bool) -> RecordBatch {
    let text = (0..rows).map(|_| Some(format!("a string of some length, number {:08}", random.next() % 50_000)));
    let number = (0..rows).map(|row| (!with_null || row != 7).then_some(row as i64));
    let columns: [(_, Arc<dyn Array>); 2] =
        [("text", Arc::new(text.collect::<StringArray>())), ("number", Arc::new(number.collect::<Int64Array>()))];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// With one thread rows wait for the sake of large dictionaries: none is left out, row groups are the same, and so are errors.
#[test]
fn rows_that_wait_for_large_dictionaries_come_in_their_order() {
    let mut random = Random::new(4);
    let batches: Vec<RecordBatch> = (0..30).map(|_| large_dictionary(8192, &mut random, false)).collect();
    for (bytes, group_rows) in [(3 << 20, 1 << 20), (128 << 20, 123_456), (128 << 20, 1 << 20)] {
        let options = WriterOptions::default()
            .with_row_group_bytes(bytes)
            .with_row_group_rows(group_rows)
            .with_compression(Compression::Uncompressed);
        let one = write(&batches, options.clone());
        for threads in [2, 3] {
            assert!(one == write(&batches, options.clone().with_threads(threads)), "{bytes} bytes, {threads} threads");
        }
    }

    let schema =
        Schema::new(vec![Field::new("text", DataType::Utf8, false), Field::new("number", DataType::Int64, false)]);
    let output = Memory::new().create("f").unwrap();
    let mut writer = FileWriter::new(output, Arc::new(schema), WriterOptions::default()).unwrap();
    let mut most = 0;
    for batch in &batches {
        let before = writer.memory_bytes();
        writer.write(batch).unwrap();
        most = most.max(writer.memory_bytes().saturating_sub(before));
    }
    assert!(most > 200_000, "no rows have waited: {most}");
    let message = writer.write(&large_dictionary(100, &mut random, true)).unwrap_err().to_string();
    assert!(message.contains("number") && message.contains("not nullable"), "{message}");
}

#[test]
fn a_value_that_does_not_fit_is_told_by_column() {
    let rows = 20_000;
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, false),
        Field::new("c", DataType::Utf8, true),
    ]);
    let good = Int64Array::from_iter_values(0..rows);
    let bad: Int64Array = (0..rows).map(|n| (n != 19_000).then_some(n)).collect();
    let names = StringArray::from_iter_values((0..rows).map(|n| format!("name {n}")));
    let nullable =
        Schema::new(schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>());
    let columns: Vec<Arc<dyn Array>> = vec![Arc::new(good), Arc::new(bad), Arc::new(names)];
    let batch = RecordBatch::try_new(Arc::new(nullable), columns).unwrap();
    for threads in [1, 2, 4] {
        let memory = Memory::new();
        let options = WriterOptions::default().with_threads(threads);
        let mut writer = FileWriter::new(memory.create("f").unwrap(), Arc::new(schema.clone()), options).unwrap();
        // With threads, rows wait for more of them.
        let e = writer.write(&batch).and_then(|()| writer.flush()).unwrap_err();
        assert_eq!(e.place().column.as_deref(), Some("b"), "{e}");
        assert!(writer.finish().is_err(), "nothing more is written");
        assert!(memory.get("f").is_none());
    }
}

/// What an output does with bytes before it keeps them.
type Before = Box<dyn FnMut(usize) -> Result<()> + Send>;

/// Keeps what it is given.
struct Slow {
    bytes: Arc<Mutex<Vec<u8>>>,
    before: Before,
    is_finished: Arc<AtomicBool>,
    is_dropped: Arc<AtomicBool>,
}

impl Slow {
    fn new(before: impl FnMut(usize) -> Result<()> + Send + 'static) -> Slow {
        Slow {
            bytes: Arc::default(),
            before: Box::new(before),
            is_finished: Arc::default(),
            is_dropped: Arc::default(),
        }
    }

    fn writer(self, options: &WriterOptions) -> FileWriter {
        FileWriter::new(Box::new(self), noise(0).schema(), options.clone()).unwrap()
    }
}

impl Output for Slow {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        (self.before)(bytes.len())?;
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> Result<()> {
        self.is_finished.store(true, SeqCst);
        Ok(())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.is_dropped.store(true, SeqCst);
    }
}

/// Sixteen bytes a row that do not get smaller.
fn noise(rows: usize) -> RecordBatch {
    let mut random = Random::new(rows as u64);
    let mut column = || Arc::new((0..rows).map(|_| Some(random.next() as i64)).collect::<Int64Array>()) as _;
    RecordBatch::try_from_iter([("a", column()), ("b", column())]).unwrap()
}

/// Row groups of 2 MB.
fn groups() -> WriterOptions {
    WriterOptions::default().with_row_group_rows(125_000).with_compression(Compression::Uncompressed)
}

#[test]
fn a_row_group_is_encoded_while_the_one_before_is_appended() {
    let batches = [noise(125_000), noise(60_000), noise(200_000)];
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (of_output, timed_out) = (Arc::clone(&gate), Arc::new(AtomicBool::new(false)));
    let has_timed_out = Arc::clone(&timed_out);
    let out = Slow::new(move |bytes| {
        let (is_open, changed) = &*of_output;
        if bytes > 4 {
            let is_shut = |is_open: &mut bool| !*is_open;
            let wait = changed.wait_timeout_while(is_open.lock().unwrap(), Duration::from_secs(20), is_shut);
            has_timed_out.fetch_or(wait.unwrap().1.timed_out(), SeqCst);
        }
        Ok(())
    });
    let bytes = Arc::clone(&out.bytes);
    let mut writer = out.writer(&groups().with_threads(2));
    writer.write(&batches[0]).unwrap();
    assert!(writer.memory_bytes() > 2_000_000, "what waits is in memory: {}", writer.memory_bytes());
    writer.write(&batches[1]).unwrap();
    assert!(bytes.lock().unwrap().len() == 4, "nothing but the magic could be appended");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    writer.write(&batches[2]).unwrap();
    writer.finish().unwrap();
    assert!(!timed_out.load(SeqCst), "the writer waited for its output");
    assert!(write(&batches, groups()) == *bytes.lock().unwrap());
}

#[test]
fn an_output_that_fails_behind_the_writer_is_told_by_a_later_call() {
    let batch = noise(125_000 * 3 + 10);
    let whole = write(std::slice::from_ref(&batch), groups()).len();
    let pieces = [whole, whole - 1, whole - 5000, whole / 2, whole / 3 + 1, 3_000_000, 1_000_000, 5000, 4];
    for (room, rows) in pieces.into_iter().flat_map(|room| [(room, batch.num_rows()), (room, 50_000)]) {
        let mut left = room;
        let out = Slow::new(move |bytes| {
            left = left.checked_sub(bytes).ok_or_else(|| Error::io("no space left on device"))?;
            Ok(())
        });
        let is_finished = Arc::clone(&out.is_finished);
        let mut writer = out.writer(&groups().with_threads(2));
        let result = (0..batch.num_rows()).step_by(rows).try_for_each(|at| {
            let written = writer.write(&batch.slice(at, rows.min(batch.num_rows() - at)));
            if written.is_err() {
                assert!(writer.write(&batch).is_err() && writer.flush().is_err(), "nothing more is written");
            }
            written
        });
        let result = result.and_then(|()| writer.finish());
        assert_eq!(result.as_ref().map(|w| w.bytes).ok(), (room == whole).then_some(whole as u64), "{room}, {rows}");
        assert!(result.is_ok() || result.is_err_and(|e| e.to_string().contains("no space left")));
        assert_eq!(is_finished.load(SeqCst), room == whole, "{room}, {rows}");
    }
}

#[test]
fn an_output_that_panics_behind_the_writer_is_an_error() {
    let out = Slow::new(|bytes| if bytes > 4 { panic!("as asked for") } else { Ok(()) });
    let is_finished = Arc::clone(&out.is_finished);
    let mut writer = out.writer(&groups().with_threads(2));
    let result = writer.write(&noise(130_000)).and_then(|()| writer.flush());
    assert_eq!(result.unwrap_err().kind(), "io");
    assert!(writer.finish().is_err() && !is_finished.load(SeqCst));
}

#[test]
fn a_writer_that_is_dropped_appends_no_more() {
    let out = Slow::new(|bytes| {
        if bytes > 4 {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    });
    let (bytes, is_dropped) = (Arc::clone(&out.bytes), Arc::clone(&out.is_dropped));
    let mut writer = out.writer(&groups().with_threads(2));
    writer.write(&noise(130_000)).unwrap();
    drop(writer);
    assert!(is_dropped.load(SeqCst), "the output goes with its writer");
    assert!(bytes.lock().unwrap().len() < 2_000_000, "what was under way is not waited for");
}

/// A slow output has no second row group pile up beside the one that is open.
#[test]
fn no_more_than_one_row_group_is_in_memory_however_slow_the_output_is() {
    let batches: Vec<RecordBatch> = (0..80).map(|_| noise(25_000)).collect();
    let options = WriterOptions::default().with_row_group_bytes(8 << 20).with_compression(Compression::Uncompressed);
    let peak = |sleep: Duration| {
        let behind = Arc::new(AtomicUsize::new(0));
        let of_output = Arc::clone(&behind);
        let out = Slow::new(move |bytes| {
            std::thread::sleep(sleep.mul_f64(bytes as f64 / f64::from(1 << 20)));
            of_output.fetch_add(bytes, SeqCst);
            Ok(())
        });
        let mut writer = out.writer(&options.clone().with_threads(2));
        let mut peak = 0;
        for batch in &batches {
            writer.write(batch).unwrap();
            peak = peak.max(writer.memory_bytes());
        }
        assert_eq!(writer.finish().unwrap().bytes, behind.load(SeqCst) as u64);
        peak
    };
    let (fast, slow) = (peak(Duration::ZERO), peak(Duration::from_millis(60)));
    assert!(slow < fast + (3 << 20), "{slow} bytes with a slow output, {fast} with a fast one");
}
