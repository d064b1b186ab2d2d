//! What reading allocates, counted: never more than the budget and a few fixed buffers, and of bytes that promise much
//! no more than a multiple of the file before that much was decoded. Files are sound ones and ones with one thing changed.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic, and an allocator that counts is unsafe to write"
)]

#[path = "../generate/mod.rs"]
mod generate;
#[path = "../mutations/mutate.rs"]
#[allow(dead_code, reason = "only its bytes are of use here")]
mod mutate;
#[path = "../mutations/seeds.rs"]
mod seeds;
#[path = "../mutations/thrift.rs"]
mod thrift;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use generate::Random;
use hypostyle::parquet::compress::Compression;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Input, Memory, Storage};
use hypostyle::{Error, MemoryBudget};
use seeds::Seed;

/// The system's allocator, which knows how much is out and how much was at most.
struct Counting;

static OUT: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// In pieces of more than a few KiB.
static FRESH: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    let out = OUT.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(out, Ordering::Relaxed);
    if bytes >= 16 << 10 {
        FRESH.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: all work is the system allocator's; the counters touch no memory of anybody.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        OUT.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a reading came to.
#[derive(Debug, Default)]
struct Reading {
    /// The most that was allocated at a time beyond what was before, in bytes.
    peak: usize,
    /// What was allocated in large pieces, all together.
    fresh: usize,
    /// What batches took, in bytes.
    decoded: usize,
    /// The largest of them, in bytes: who reads has it while the next one is decoded.
    batch: usize,
    error: Option<Error>,
}

/// Opens the file and reads all of it, a batch at a time.
fn read(input: &Arc<dyn Input>, options: ReaderOptions) -> Reading {
    let before = OUT.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let fresh_before = FRESH.load(Ordering::Relaxed);
    let mut reading = Reading::default();
    let run = || -> Result<(), Error> {
        let file = FileReader::open(input.clone(), options)?;
        for batch in file.scan(ScanOptions::default())? {
            let bytes = batch?.get_array_memory_size();
            reading.decoded += bytes;
            reading.batch = reading.batch.max(bytes);
        }
        Ok(())
    };
    reading.error = run().err();
    reading.peak = PEAK.load(Ordering::Relaxed) - before;
    reading.fresh = FRESH.load(Ordering::Relaxed) - fresh_before;
    reading
}

fn input(bytes: &[u8]) -> Arc<dyn Input> {
    let memory = Memory::new();
    memory.put("f", bytes.to_vec()).unwrap();
    memory.open("f").unwrap()
}

fn options(seed: &Seed) -> ReaderOptions {
    let mut options = ReaderOptions::default().with_batch_rows(200);
    options.decryption = seed.keys.clone();
    options
}

/// Contexts of codecs, which no budget counts: those of one thread, for codecs that these files have.
const FIXED: usize = 256 << 10;
/// Bytes for each byte of the file: the footer's structures, the schema, column readers.
const PER_BYTE: usize = 16;

fn mutants(seeds: &[Seed], count: usize) -> impl Iterator<Item = (&Seed, Vec<u8>)> {
    let mut random = Random::new(7);
    let sound = seeds.iter().map(|seed| (seed, seed.bytes.clone()));
    let mut broken = move || {
        let seed = &seeds[random.below(seeds.len() as u64) as usize];
        mutate::mutant(seed, &mut random).map(|mutant| (seed, mutant.bytes))
    };
    sound.chain((0..count).filter_map(move |_| broken()))
}

/// One test: the counters are the process's.
#[test]
fn allocations_are_bounded() {
    bounded_by_the_file_and_the_budget();
    less_with_a_budget_that_is_shared();
}

/// Who shares a budget shares the buffers of pages and dictionaries.
fn less_with_a_budget_that_is_shared() {
    let id = |row: i64| row * 7919 % 30_000 * 1_000_003;
    let ids = Int64Array::from_iter_values((0..200_000).map(id));
    let batch = RecordBatch::try_from_iter([("id", Arc::new(ids) as ArrayRef)]).unwrap();
    let storage = Memory::new();
    let options = WriterOptions::default().with_compression(Compression::Snappy).with_row_group_rows(100_000);
    let mut writer = FileWriter::new(storage.create("f").unwrap(), batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let input = storage.open("f").unwrap();
    let options = || ReaderOptions::default().with_batch_rows(200);
    // The dictionary and a page of one row group, which the next one takes over.
    let (dictionary, page) = (30_000 * 8, 32 << 10);
    let alone = read(&input, options()).fresh;
    assert!((dictionary + page..2 * dictionary).contains(&alone), "{alone}");
    let memory = MemoryBudget::new(1 << 30);
    let first = read(&input, options().with_memory(memory.clone()));
    assert!(first.fresh.abs_diff(alone) < page, "{first:?}");
    let second = read(&input, options().with_memory(memory.clone()));
    assert!(second.fresh + dictionary + page <= first.fresh, "{first:?} {second:?}");
    assert_eq!(memory.used(), 0);
}

fn bounded_by_the_file_and_the_budget() {
    let seeds = seeds::seeds();
    let (mut worst, mut refused, mut limited) = ((0.0, String::new()), 0, 0);
    for (number, (seed, bytes)) in mutants(&seeds, 4000).enumerate() {
        let input = input(&bytes);
        // Sound ones come first.
        let views = number >= seeds.len() && number % 2 == 1;
        let options = |seed| options(seed).with_views(views);
        let reading = read(&input, options(seed));
        let bound = FIXED + PER_BYTE * bytes.len() + 4 * reading.decoded;
        let share = reading.peak as f64 / bound as f64;
        if share > worst.0 {
            worst = (share, format!("{}: {reading:?}, of {} bytes", seed.name, bytes.len()));
        }
        refused += usize::from(reading.error.is_some());
        for budget in [16 << 10, 256 << 10] {
            let reading = read(&input, options(seed).with_memory_bytes(budget));
            let is_limited = matches!(reading.error, Some(Error::Limit(_)));
            limited += usize::from(is_limited);
            let bound = FIXED + PER_BYTE * bytes.len() + budget + reading.batch;
            assert!(reading.peak <= bound, "{}: {reading:?}, with {budget}, of {} bytes", seed.name, bytes.len());
        }
    }
    assert!(worst.0 <= 1.0, "{}", worst.1);
    assert!(refused > 1000 && limited > 1000, "{refused} refused, {limited} limited");
}
