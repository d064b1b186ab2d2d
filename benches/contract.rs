//! A command that reads, filters, writes or opens one file and prints how long it took, so that a harness can time this
//! crate beside others. Built by `cargo build --release --example bench`.
//!
//! ```text
//! bench read     --file F [--columns a,b] [timing]
//! bench filter   --file F [--columns a,b] (--range COL:LO:HI | --eq COL:VALUE) [timing]
//! bench write    --file F --codec none|snappy|zstd|lz4 [--rows N] [--out PATH] [timing]
//! bench metadata --file F [timing]
//! timing:        [--repeats 5] [--max-s 2]
//! all:           [--threads 1]
//! ```
//!
//! One thread where nothing else is said, one warm-up, then the calls that are timed; one line of JSON.
//! No data is kept between calls; they share one memory budget, as the readers of a program do, and with it the memory of
//! buffers that are done with; and so do writers the memory of their pages.
#![allow(missing_docs, reason = "a program")]

use std::error::Error;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, TimeUnit};
use hypostyle::MemoryBudget;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::read::{FileReader, ReaderOptions, Scan, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterMemory, WriterOptions};
use hypostyle::predicate::{Literal, Predicate, col};
use hypostyle::storage::{Local, Storage};
use nix::time::{ClockId, clock_gettime};

type Done<T> = Result<T, Box<dyn Error>>;

struct Task {
    file: PathBuf,
    columns: Option<Vec<String>>,
    range: Option<(String, i64, i64)>,
    equal: Option<(String, String)>,
    codec: String,
    rows: Option<usize>,
    threads: usize,
    out: PathBuf,
    repeats: usize,
    seconds_max: f64,
    /// Strings as views; what is written comes with offsets, as most programs have it.
    views: bool,
    memory: MemoryBudget,
    pages: WriterMemory,
}

fn parse(mut words: impl Iterator<Item = String>) -> Done<Task> {
    let mut task = Task {
        file: PathBuf::new(),
        columns: None,
        range: None,
        equal: None,
        codec: "none".into(),
        rows: None,
        threads: 1,
        out: PathBuf::from(format!("/dev/shm/hypostyle-bench-{}.parquet", std::process::id())),
        repeats: 5,
        seconds_max: 2.0,
        views: true,
        memory: MemoryBudget::new(1 << 30),
        pages: WriterMemory::new(128 << 20),
    };
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--file" => task.file = value.into(),
            "--columns" => task.columns = Some(value.split(',').map(str::to_owned).collect()),
            "--range" => {
                let (rest, high) = value.rsplit_once(':').ok_or("--range COL:LO:HI")?;
                let (column, low) = rest.rsplit_once(':').ok_or("--range COL:LO:HI")?;
                task.range = Some((column.into(), low.parse()?, high.parse()?));
            }
            "--eq" => {
                let (column, value) = value.split_once(':').ok_or("--eq COL:VALUE")?;
                task.equal = Some((column.into(), value.into()));
            }
            "--codec" => task.codec = value,
            "--rows" => task.rows = Some(value.parse()?),
            "--threads" => task.threads = value.parse()?,
            "--out" => task.out = value.into(),
            "--repeats" => task.repeats = value.parse()?,
            "--max-s" => task.seconds_max = value.parse()?,
            _ => return Err(format!("unknown option {name}").into()),
        }
    }
    Ok(task)
}

/// Seconds of processor time that the process has taken.
fn cpu_seconds() -> Done<f64> {
    // By the C library: valgrind hides from the process what rustix reads the clock by.
    let now = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(now.tv_sec() as f64 + now.tv_nsec() as f64 * 1e-9)
}

/// Calls `work` as the contract says; it gives rows and bytes, the bytes only when its argument is true.
fn measure(task: &Task, operation: &str, mut work: impl FnMut(bool) -> Done<(u64, u64)>) -> Done<()> {
    let mut timed = |first: bool| -> Done<(f64, f64, (u64, u64))> {
        let (wall, cpu) = (Instant::now(), cpu_seconds()?);
        let counts = work(first)?;
        Ok((wall.elapsed().as_secs_f64(), cpu_seconds()? - cpu, counts))
    };
    let (wall, cpu, (rows, bytes)) = timed(true)?;
    let (mut walls, mut cpus) = (vec![wall], vec![cpu]);
    if task.seconds_max > 0.0 {
        (walls, cpus) = (Vec::new(), Vec::new());
        let start = Instant::now();
        while walls.is_empty() || (walls.len() < task.repeats && start.elapsed().as_secs_f64() < task.seconds_max) {
            let (wall, cpu, (again, _)) = timed(false)?;
            if again != rows {
                return Err(format!("{rows} rows the first time, {again} now").into());
            }
            walls.push(wall);
            cpus.push(cpu);
        }
    }
    let mut sorted = walls.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let least = sorted.first().copied().unwrap_or_default();
    println!(
        "{{\"engine\":\"hypostyle\",\"op\":\"{operation}\",\"rows\":{rows},\"bytes\":{bytes},\"median_s\":{median},\
         \"min_s\":{least},\"times_s\":{walls:?},\"cpu_s\":{cpus:?}}}"
    );
    Ok(())
}

fn open(task: &Task) -> Done<FileReader> {
    let (storage, name) = Local::file(&task.file)?;
    let options = ReaderOptions::default().with_views(task.views).with_memory(task.memory.clone());
    Ok(FileReader::open(storage.open(&name)?, options)?)
}

fn options(task: &Task) -> ScanOptions {
    let options = ScanOptions::default().with_threads(task.threads);
    match &task.columns {
        Some(columns) => options.with_columns(columns),
        None => options,
    }
}

fn drain(scan: Scan, first: bool) -> Done<(u64, u64)> {
    let (mut rows, mut bytes) = (0, 0);
    for batch in scan {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        if first {
            bytes += batch.get_array_memory_size() as u64;
        }
        black_box(&batch);
    }
    Ok((rows, bytes))
}

/// A number as a value of the column: of days, of instants in the column's unit, or as it stands.
fn literal(data_type: &DataType, value: i64) -> Literal {
    let nanoseconds = |each: i128| Literal::Timestamp(i128::from(value) * each);
    match data_type {
        DataType::Date32 => i32::try_from(value).map_or(Literal::from(value), Literal::Date),
        DataType::Timestamp(TimeUnit::Second, _) => nanoseconds(1_000_000_000),
        DataType::Timestamp(TimeUnit::Millisecond, _) => nanoseconds(1_000_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => nanoseconds(1_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => nanoseconds(1),
        _ => Literal::from(value),
    }
}

fn predicate(task: &Task, file: &FileReader) -> Done<Predicate> {
    let data_type = |name: &str| -> Done<DataType> { Ok(file.schema().field_with_name(name)?.data_type().clone()) };
    if let Some((name, low, high)) = &task.range {
        let of = data_type(name)?;
        return Ok(col(name).ge(literal(&of, *low)).and(col(name).lt(literal(&of, *high))));
    }
    let (name, value) = task.equal.as_ref().ok_or("filter needs --range or --eq")?;
    Ok(match data_type(name)? {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => col(name).eq(value.as_str()),
        of => col(name).eq(literal(&of, value.parse()?)),
    })
}

fn read(task: &Task, first: bool) -> Done<(u64, u64)> {
    drain(open(task)?.scan(options(task))?, first)
}

fn filter(task: &Task, first: bool) -> Done<(u64, u64)> {
    let file = open(task)?;
    let options = options(task).with_predicate(predicate(task, &file)?);
    drain(file.scan(options)?, first)
}

fn metadata(task: &Task) -> Done<(u64, u64)> {
    let (storage, name) = Local::file(&task.file)?;
    let input = storage.open(&name)?;
    let footer = FileReader::read_footer(&*input, &ReaderOptions::default())?;
    black_box(&footer);
    Ok((u64::try_from(footer.num_rows)?, input.bytes()))
}

/// The first rows of the file, in memory.
fn load(task: &Task) -> Done<Vec<RecordBatch>> {
    let mut options = options(task);
    if let Some(rows) = task.rows {
        options = options.with_limit(rows as u64);
    }
    Ok(open(task)?.scan(options)?.collect::<Result<Vec<_>, _>>()?)
}

fn write(task: &Task, batches: &[RecordBatch]) -> Done<(u64, u64)> {
    let compression = match task.codec.as_str() {
        "none" => Compression::Uncompressed,
        "snappy" => Compression::Snappy,
        "zstd" => Compression::default(),
        "lz4" => Compression::Lz4Raw,
        other => return Err(format!("no codec {other}: none, snappy, zstd or lz4").into()),
    };
    let (storage, name) = Local::file(&task.out)?;
    let schema = batches.first().ok_or("the file has no rows")?.schema();
    let options = WriterOptions::default()
        .with_compression(compression)
        .with_threads(task.threads)
        .with_memory(task.pages.clone());
    let mut writer = FileWriter::new(storage.create(&name)?, Arc::clone(&schema), options)?;
    for batch in batches {
        writer.write(batch)?;
    }
    let written = writer.finish()?;
    Ok((written.metadata.num_rows as u64, written.bytes))
}

fn main() -> Done<()> {
    let mut words = std::env::args().skip(1);
    let operation = words.next().unwrap_or_default();
    let mut task = parse(words)?;
    task.views = operation != "write";
    match operation.as_str() {
        "read" => measure(&task, "read", |first| read(&task, first)),
        "filter" => measure(&task, "filter", |first| filter(&task, first)),
        "metadata" => measure(&task, "metadata", |_| metadata(&task)),
        "write" => {
            let batches = load(&task)?;
            let done = measure(&task, "write", |_| write(&task, &batches));
            let _ = std::fs::remove_file(&task.out);
            done
        }
        other => Err(format!("no operation {other}: read, filter, write or metadata").into()),
    }
}
