//! Files of a table read by several threads, each file by one.
//!
//! ```text
//! todo ── file 3 ─> thread 1 ─> batches of file 3 ┐
//!   ├──── file 2 ─> thread 2 ─> batches of file 2 ┼─> in the order of the files, or as they come
//!   └─ …                                          ┘
//! ```
//!
//! All readers share the memory that one would have. Batches that wait take at most half of it; a thread with a batch that has
//! no room waits, unless its file is due. Where threads have no room together, they end, and the caller's reads what is left
//! alone: so a scan that fits its memory on one thread fits it on many.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;

use super::file::{Job, Planned};
use crate::budget::Reservation;
use crate::error::{Error, Result};
use crate::parquet::read::{ColumnCounts, ScanCounts};

/// What comes next.
pub(super) enum Next {
    Batch(RecordBatch),
    End,
    /// The rest is to be read by the caller.
    Alone(Vec<Planned>),
}

/// The consumer's side.
pub(super) struct Parallel {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    job: Arc<Job>,
    files: Vec<Planned>,
    /// That read each file.
    threads_of_file: usize,
    is_ordered: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The file to be begun next.
    next: usize,
    /// What was read of files that were begun and not taken whole.
    done: BTreeMap<usize, Done>,
    waiting_bytes: usize,
    workers: usize,
    is_cancelled: bool,
    /// Somebody had no room.
    is_full: bool,
    files_read: u64,
    counts: ScanCounts,
    columns: Vec<ColumnCounts>,
}

#[derive(Default)]
struct Done {
    batches: VecDeque<(Result<RecordBatch>, Option<Reservation>)>,
    is_whole: bool,
    /// Rows of it that the caller has.
    rows_taken: u64,
}

impl Parallel {
    pub(super) fn new(job: &Arc<Job>, files: Vec<Planned>, threads: usize, is_ordered: bool) -> Result<Parallel> {
        let workers = threads.min(files.len());
        let shared = Arc::new(Shared {
            job: Arc::clone(job),
            threads_of_file: threads / workers.max(1),
            files,
            is_ordered,
            state: Mutex::new(State { workers, ..State::default() }),
            changed: Condvar::new(),
        });
        let start = |number: usize| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("scan of files {number}"));
            thread.spawn(move || Worker { shared: &shared }.run())
        };
        match (0..workers).map(start).collect::<std::io::Result<Vec<_>>>() {
            Ok(threads) => Ok(Parallel { shared, threads }),
            Err(e) => {
                shared.lock().is_cancelled = true;
                Err(Error::io(format!("cannot start a thread: {e}")).with_source(e))
            }
        }
    }

    /// The next rows that match.
    pub(super) fn next(&mut self) -> Result<Next> {
        let mut state = self.shared.lock();
        loop {
            if state.is_full {
                drop(state);
                return Ok(self.alone());
            }
            let first = state.done.iter().next().map(|(number, _)| *number);
            let number = match self.shared.is_ordered {
                true => first,
                false => state.done.iter().find(|(_, done)| !done.batches.is_empty()).map(|(number, _)| *number),
            };
            if let Some(done) = number.and_then(|number| state.done.get_mut(&number))
                && let Some((batch, memory)) = done.batches.pop_front()
            {
                done.rows_taken += batch.as_ref().map_or(0, RecordBatch::num_rows) as u64;
                state.waiting_bytes -= memory.map_or(0, |memory| memory.bytes());
                self.shared.changed.notify_all();
                return batch.map(Next::Batch);
            }
            let is_ended = |done: &Done| done.is_whole && done.batches.is_empty();
            if let Some(number) = first.filter(|number| state.done.get(number).is_some_and(is_ended)) {
                state.done.remove(&number);
                self.shared.changed.notify_all();
                continue;
            }
            if state.done.is_empty() && state.next == self.shared.files.len() {
                return Ok(Next::End);
            }
            if state.workers == 0 {
                return Err(Error::io("a thread of the scan has ended before its work"));
            }
            state = self.shared.wait(state);
        }
    }

    /// Ends the threads; what nobody has taken of files is to be read again.
    fn alone(&mut self) -> Next {
        self.stop();
        let mut state = self.shared.lock();
        let files = &self.shared.files;
        let mut left = Vec::new();
        for (number, Done { batches, is_whole, rows_taken }) in std::mem::take(&mut state.done) {
            if !is_whole || !batches.is_empty() {
                left.extend(files.get(number).map(|planned| Planned { rows_taken, ..planned.clone() }));
            }
        }
        left.extend(files.get(state.next..).unwrap_or_default().iter().cloned());
        state.next = files.len();
        Next::Alone(left)
    }

    /// How many files were opened, and what was read of them.
    pub(super) fn counts(&self) -> (u64, ScanCounts, Vec<ColumnCounts>) {
        let state = self.shared.lock();
        (state.files_read, state.counts, state.columns.clone())
    }

    /// The same, at the end.
    pub(super) fn ended(mut self) -> (u64, ScanCounts, Vec<ColumnCounts>) {
        self.stop();
        self.counts()
    }

    fn stop(&mut self) {
        self.shared.lock().is_cancelled = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Parallel {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked did not do so while it changed the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread.
struct Worker<'a> {
    shared: &'a Shared,
}

/// One that panics leaves, too.
impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.workers -= 1;
        // Nobody else reads its file.
        state.is_cancelled |= std::thread::panicking();
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Worker<'_> {
    fn run(self) {
        loop {
            let number = {
                let mut state = self.shared.lock();
                if state.is_cancelled || state.is_full || state.next == self.shared.files.len() {
                    return;
                }
                let number = state.next;
                state.next += 1;
                state.done.insert(number, Done::default());
                number
            };
            let read = self.read(number);
            let mut state = self.shared.lock();
            match read {
                Ok(true) => {}
                Ok(false) => return,
                Err(Error::Limit(_)) if !state.is_cancelled => {
                    // It may be that there is room for one.
                    state.is_full = true;
                    drop(state);
                    self.shared.changed.notify_all();
                    return;
                }
                Err(e) => {
                    let done = state.done.entry(number).or_default();
                    done.batches.push_back((Err(e), None));
                }
            }
            state.done.entry(number).or_default().is_whole = true;
            drop(state);
            self.shared.changed.notify_all();
        }
    }

    /// Reads a file; false if nobody wants more.
    fn read(&self, number: usize) -> Result<bool> {
        let Some(planned) = self.shared.files.get(number) else { return Ok(true) };
        let mut open = self.shared.job.open(planned, None, self.shared.threads_of_file)?;
        self.shared.lock().files_read += 1;
        let read = loop {
            match open.next_batch() {
                Ok(Some(batch)) => {
                    if !self.give(number, batch) {
                        break Ok(false);
                    }
                }
                Ok(None) => break Ok(true),
                Err(e) => break Err(e),
            }
        };
        let mut state = self.shared.lock();
        state.counts += open.counts();
        ColumnCounts::merge(&mut state.columns, open.column_counts());
        read
    }

    /// Hands a batch over, when there is room for it; false if nobody wants it.
    fn give(&self, number: usize, batch: RecordBatch) -> bool {
        let bytes = batch.get_array_memory_size();
        let mut memory = self.shared.job.memory.reservation();
        let mut state = self.shared.lock();
        loop {
            if state.is_cancelled || state.is_full {
                return false;
            }
            let fits = state.waiting_bytes.saturating_add(bytes) <= self.shared.job.memory.limit() / 2;
            if fits && memory.resize(bytes).is_ok() {
                state.waiting_bytes += bytes;
                break;
            }
            let is_next = match self.shared.is_ordered {
                true => {
                    state.done.iter().next().is_some_and(|(first, done)| *first == number && done.batches.is_empty())
                }
                false => state.waiting_bytes == 0,
            };
            if is_next {
                // It is as good as taken.
                break;
            }
            state = self.shared.wait(state);
        }
        let memory = Some(memory).filter(|memory| memory.bytes() > 0);
        state.done.entry(number).or_default().batches.push_back((Ok(batch), memory));
        drop(state);
        self.shared.changed.notify_all();
        true
    }
}
