//! A scan without a predicate on several threads: each column is a lane, driven a few batches at a time by whoever is free.
//!
//! ```text
//! batch      0   1   2   3   4   5   6   7
//! column a   ========######## thread 1        done, and being read
//! column b   ########         thread 2
//! column c   ----                             waits for a thread; no lane is ahead of the others by much
//!            ^ due: taken by the consumer when every lane has it
//! ```
//!
//! Columns are decoded once, as on one thread, no page or dictionary twice, and what waits is a few batches: memory that is
//! used again at once. Whoever has fewer columns than threads, or one that outweighs the others, divides the rows instead:
//! see [`parallel`](super::parallel).
//!
//! Batches that wait are counted by the scan's budget. Where it has no room for a lane's next batch, the lane has failed, and
//! when that batch is due, the scan goes on from there on one thread.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow_array::{Array, ArrayRef, RecordBatch};

use super::Next;
use super::group::Quota;
use super::plan::{GroupPlan, Output, Request};
use crate::error::{Error, Result};
use crate::parquet::read::budget::{Budget, Reservation};
use crate::parquet::read::column::ChunkCounts;
use crate::parquet::read::evolve::ColumnReader;
use crate::parquet::read::selection::Selection;
use crate::parquet::read::{ColumnCounts, ScanCounts};

/// A thread reads about so many rows of a column before it takes another one.
const UNIT_ROWS: usize = 16 << 10;
/// A lane is ahead of the batch that is due by so many of these at most.
const UNITS_AHEAD: usize = 2;
/// Threads divide columns of which the heaviest makes at most so much of one thread's share.
const SHARE_MAX: f64 = 1.25;

/// The consumer's side.
#[derive(Debug)]
pub(super) struct Lanes {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// The row group in which the batch that is due begins.
    group: usize,
    /// Its rows that were not taken.
    todo: Selection,
    rows_left: usize,
    counts: ScanCounts,
}

#[derive(Debug)]
struct Shared {
    request: Arc<Request>,
    budget: Budget,
    groups: Vec<GroupPlan>,
    /// How many there will be.
    batches: usize,
    state: Mutex<State>,
    /// A lane has come back, or may go on.
    work: Condvar,
    /// The batch that is due may be there.
    ready: Condvar,
}

#[derive(Debug)]
struct State {
    lanes: Vec<Slot>,
    /// Lanes that nobody drives, by the thread that drove them last: what it has of them is in its processor's caches.
    idle: Vec<BinaryHeap<Idle>>,
    /// How many are being driven.
    busy: usize,
    /// How many have nothing for the consumer.
    missing: usize,
    /// The batch that the consumer takes next.
    due: usize,
    waiting_bytes: usize,
    is_over: bool,
}

/// The batch that is next, the lane's weight, its number: the one furthest behind goes first, of these the heaviest.
type Idle = (Reverse<usize>, u64, Reverse<usize>);

/// A lane's place.
#[derive(Debug)]
struct Slot {
    /// None while somebody drives it, and when it has arrived.
    lane: Option<Lane>,
    weight: u64,
    ready: VecDeque<Result<Waiting>>,
    counts: ChunkCounts,
    decoded: u64,
}

/// A column of a batch that waits for the others.
type Waiting = (ArrayRef, Reservation);

/// A column, read from row group to row group.
#[derive(Debug)]
struct Lane {
    decoder: ColumnReader,
    /// The batch to read next.
    next: usize,
    /// The row group that is open.
    open: Option<usize>,
    /// Its rows to read yet.
    todo: Selection,
    /// The decoder stands before this row of it.
    at: usize,
    counts: ChunkCounts,
}

impl Lanes {
    /// Whether this is how `threads` should read a scan whose first row group this is.
    pub(super) fn suit(request: &Request, groups: &VecDeque<Next>, threads: usize) -> bool {
        let columns = request.columns.len();
        if request.condition.is_some() || columns < threads.max(2) {
            return false;
        }
        let Some(weights) = groups.front().map(|next| request.weights(next.number())) else { return false };
        let heaviest = weights.iter().copied().max().unwrap_or(0);
        let all: u64 = weights.iter().fold(0, |sum, weight| sum.saturating_add(*weight));
        heaviest as f64 * threads as f64 <= SHARE_MAX * all as f64
    }

    /// Starts threads on those of the row groups that are within `quota`; they are taken off `groups`.
    pub(super) fn new(
        request: &Arc<Request>,
        groups: &mut VecDeque<Next>,
        threads: usize,
        quota: &mut Quota,
    ) -> Result<Lanes> {
        let mut counts = ScanCounts::default();
        let mut plans = Vec::new();
        let mut rows = 0usize;
        while quota.left > 0
            && let Some(next) = groups.pop_front()
        {
            let plan = match next {
                Next::Number(number) => request.plan_group(number, &mut counts)?,
                Next::Planned(plan) => Some(plan),
            };
            let Some(mut plan) = plan else { continue };
            let skipped = plan.candidates.split_front(usize::try_from(quota.skip).unwrap_or(usize::MAX)).rows();
            quota.skip -= skipped as u64;
            if skipped > 0 && plan.candidates.is_empty() {
                counts.row_groups_skipped += 1;
                continue;
            }
            plan.candidates = plan.candidates.split_front(usize::try_from(quota.left).unwrap_or(usize::MAX));
            quota.left -= plan.candidates.rows() as u64;
            rows = rows.saturating_add(plan.candidates.rows());
            plans.push(plan);
        }
        let weights = plans.first().map_or_else(Vec::new, |plan| request.weights(plan.number));
        let budget = request.file.budget.for_scan(threads);
        let lane = |(decoder, weight)| Slot {
            lane: Some(Lane {
                decoder,
                next: 0,
                open: None,
                todo: Selection::default(),
                at: 0,
                counts: ChunkCounts::default(),
            }),
            weight,
            ready: VecDeque::new(),
            counts: ChunkCounts::default(),
            decoded: 0,
        };
        let decoders = request.decoders(&budget)?.into_iter();
        let lanes: Vec<Slot> = decoders.zip(weights.into_iter().chain(std::iter::repeat(0))).map(lane).collect();
        let threads = threads.min(lanes.len());
        let state = State {
            idle: divide(&lanes, threads),
            busy: 0,
            missing: lanes.len(),
            due: 0,
            waiting_bytes: 0,
            is_over: false,
            lanes,
        };
        let todo = plans.first().map_or_else(Selection::default, |plan| plan.candidates.clone());
        counts.row_groups_read += u64::from(!plans.is_empty());
        let shared = Arc::new(Shared {
            request: Arc::clone(request),
            budget,
            groups: plans,
            batches: rows.div_ceil(request.batch_rows),
            state: Mutex::new(state),
            work: Condvar::new(),
            ready: Condvar::new(),
        });
        let mut lanes = Lanes { shared, threads: Vec::new(), group: 0, todo, rows_left: rows, counts };
        for number in 0..threads {
            let shared = Arc::clone(&lanes.shared);
            let thread = std::thread::Builder::new().name(format!("scan {number}"));
            let started = thread.spawn(move || Driver { shared: &shared, number }.run());
            // Those that were started end when the lanes are dropped.
            let started = started.map_err(|e| Error::io(format!("cannot start a thread: {e}")).with_source(e))?;
            lanes.threads.push(started);
        }
        Ok(lanes)
    }

    /// The next batch; [`Error::Limit`] where it may be that one thread has memory enough for it.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows_left == 0 {
            self.begin_groups();
            return Ok(None);
        }
        let arrays = self.shared.take()?;
        self.batch(&arrays).map(Some)
    }

    fn batch(&mut self, arrays: &[Option<ArrayRef>]) -> Result<RecordBatch> {
        let shared = Arc::clone(&self.shared);
        let request = &shared.request;
        let rows = request.batch_rows.min(self.rows_left);
        let has_numbers = request.output.contains(&Output::RowNumbers);
        let mut row_numbers = Vec::new();
        let mut taken = 0;
        while taken < rows {
            if self.todo.is_empty() && !self.next_group() {
                break;
            }
            let part = self.todo.split_front(rows - taken);
            taken += part.rows();
            if let Some(plan) = shared.groups.get(self.group).filter(|_| has_numbers) {
                row_numbers.extend(plan.row_numbers(&part));
            }
        }
        self.rows_left -= taken;
        self.counts.rows_read += taken as u64;
        request.batch(arrays, row_numbers, taken)
    }

    /// Goes to the row group after this one, if there is one.
    fn next_group(&mut self) -> bool {
        let Some(plan) = self.shared.groups.get(self.group + 1) else { return false };
        self.group += 1;
        self.todo = plan.candidates.clone();
        self.counts.row_groups_read += 1;
        true
    }

    /// Passes over the row groups without rows at the end.
    fn begin_groups(&mut self) {
        while self.todo.is_empty() && self.next_group() {}
    }

    /// Ends the threads; what of the row groups was not taken.
    pub(super) fn stop(&mut self) -> (VecDeque<Next>, u64) {
        self.end();
        let rest = self.shared.groups.iter().skip(self.group + 1).cloned();
        let open = self.shared.groups.get(self.group).map(|plan| {
            self.counts.row_groups_read -= 1;
            GroupPlan { candidates: self.todo.clone(), ..plan.clone() }
        });
        (open.into_iter().chain(rest).map(Next::Planned).collect(), self.rows_left as u64)
    }

    fn end(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.lanes.iter_mut().for_each(|slot| slot.ready.clear());
        drop(state);
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
        for slot in &mut self.shared.lock().lanes {
            slot.lane = None;
        }
    }

    /// What was read so far.
    pub(super) fn counts(&self) -> ScanCounts {
        let mut counts = self.counts;
        for slot in &self.shared.lock().lanes {
            counts.pages_read += slot.counts.pages_read;
            counts.pages_skipped += slot.counts.pages_skipped;
            counts.bytes_read += slot.counts.bytes_read;
            counts.bytes_decompressed += slot.counts.bytes_decompressed;
            counts.bytes_decoded += slot.decoded;
        }
        counts
    }

    /// The same by column.
    pub(super) fn column_counts(&self) -> Vec<ColumnCounts> {
        let state = self.shared.lock();
        let of = self.shared.request.columns.iter().zip(&state.lanes);
        of.map(|(column, slot)| slot.counts.of_column(column.name(), slot.decoded)).collect()
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked did not do so while it changed the state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns of the batch that is due, once they are there.
    fn take(&self) -> Result<Vec<Option<ArrayRef>>> {
        let mut state = self.lock();
        while state.missing > 0 {
            if state.is_over {
                return Err(Error::io("a thread of the scan has ended before its work"));
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let State { lanes, missing, due, waiting_bytes, .. } = &mut *state;
        let failed = lanes.iter_mut().find(|slot| matches!(slot.ready.front(), Some(Err(_))));
        if let Some(Err(e)) = failed.and_then(|slot| slot.ready.pop_front()) {
            return Err(e);
        }
        let mut arrays = Vec::with_capacity(lanes.len());
        for slot in lanes {
            let waiting = slot.ready.pop_front().and_then(Result::ok);
            *missing += usize::from(slot.ready.is_empty());
            if let Some((_, memory)) = &waiting {
                *waiting_bytes -= memory.bytes();
            }
            arrays.push(waiting.map(|(array, _)| array));
        }
        *due += 1;
        self.work.notify_all();
        Ok(arrays)
    }

    /// Batches that are read of a column at a time.
    fn unit(&self) -> usize {
        (UNIT_ROWS / self.request.batch_rows.max(1)).max(1)
    }
}

/// A thread.
struct Driver<'a> {
    shared: &'a Shared,
    number: usize,
}

/// One that panics has taken its lane with it.
impl Drop for Driver<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.lock().is_over = true;
            self.shared.ready.notify_all();
            self.shared.work.notify_all();
        }
    }
}

impl Driver<'_> {
    fn run(self) {
        let shared = self.shared;
        let mut state = shared.lock();
        loop {
            if state.is_over || (state.has_no_idle() && state.busy == 0) {
                return;
            }
            let Some((number, mut lane)) = self.take(&mut state) else {
                state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let (read, has_failed) = lane.drive(shared);
            state = shared.lock();
            state.busy -= 1;
            let State { lanes, idle, missing, due, waiting_bytes, is_over, .. } = &mut *state;
            let Some(slot) = lanes.get_mut(number) else { return };
            (slot.counts, slot.decoded) = (lane.counts, lane.decoder.decoded());
            let was_missing = slot.ready.is_empty();
            if !*is_over {
                *waiting_bytes += read.iter().flatten().map(|(_, memory)| memory.bytes()).sum::<usize>();
                slot.ready.extend(read);
            }
            *missing -= usize::from(was_missing && !slot.ready.is_empty());
            let is_due = *missing == 0;
            if !has_failed && lane.next < shared.batches {
                if let Some(idle) = idle.get_mut(self.number) {
                    idle.push((Reverse(lane.next), slot.weight, Reverse(number)));
                }
                // This thread goes on; another one may have waited for it.
                if lane.next <= *due + 1 {
                    shared.work.notify_one();
                }
                slot.lane = Some(lane);
            } else if state.has_no_idle() && state.busy == 0 {
                shared.work.notify_all();
            }
            if is_due {
                shared.ready.notify_one();
            }
        }
    }

    /// The lane that is furthest behind of those that this thread drove, or of the others, if it may go on.
    fn take(&self, state: &mut State) -> Option<(usize, Lane)> {
        let ahead = match state.waiting_bytes < self.shared.budget.memory().limit() / 4 {
            true => self.shared.unit() * UNITS_AHEAD,
            false => 1,
        };
        let end = state.due + ahead;
        let next = |idle: &BinaryHeap<Idle>| idle.peek().map(|(Reverse(next), ..)| *next).filter(|next| *next < end);
        let own = state.idle.get(self.number).and_then(next).map(|_| self.number);
        let others = || (0..state.idle.len()).filter_map(|at| Some((next(state.idle.get(at)?)?, at))).min();
        let from = own.or_else(|| others().map(|(_, at)| at))?;
        let (.., Reverse(number)) = state.idle.get_mut(from)?.pop()?;
        let lane = state.lanes.get_mut(number)?.lane.take()?;
        state.busy += 1;
        Some((number, lane))
    }
}

impl State {
    fn has_no_idle(&self) -> bool {
        self.idle.iter().all(BinaryHeap::is_empty)
    }
}

/// Lanes for each thread, of about the same weight.
fn divide(lanes: &[Slot], threads: usize) -> Vec<BinaryHeap<Idle>> {
    let mut heaviest: Vec<(u64, usize)> = lanes.iter().map(|slot| slot.weight).zip(0..).collect();
    heaviest.sort_by_key(|&(weight, at)| (Reverse(weight), at));
    let mut divided = vec![(0u64, BinaryHeap::new()); threads];
    for (weight, at) in heaviest {
        if let Some((sum, idle)) = divided.iter_mut().min_by_key(|(sum, _)| *sum) {
            *sum = sum.saturating_add(weight.max(1));
            idle.push((Reverse(0), weight, Reverse(at)));
        }
    }
    divided.into_iter().map(|(_, idle)| idle).collect()
}

impl Lane {
    /// Reads the next batches; whether that failed, which is then the last of them.
    fn drive(&mut self, shared: &Shared) -> (Vec<Result<Waiting>>, bool) {
        let count = shared.unit().min(shared.batches - self.next);
        let mut read = Vec::with_capacity(count);
        for _ in 0..count {
            let array = self.read(shared).and_then(|array| {
                let mut memory = shared.budget.reservation();
                memory.resize(array.get_array_memory_size())?;
                Ok((array, memory))
            });
            let has_failed = array.is_err();
            read.push(array);
            if has_failed {
                return (read, true);
            }
            self.next += 1;
            if !shared.budget.is_mostly_free() {
                break;
            }
        }
        (read, false)
    }

    /// The column of the next batch.
    fn read(&mut self, shared: &Shared) -> Result<ArrayRef> {
        let Shared { request, groups, .. } = shared;
        let mut wanted = request.batch_rows;
        while wanted > 0 {
            if self.todo.is_empty() && !self.next_group(request, groups)? {
                break;
            }
            let part = self.todo.split_front(wanted);
            for range in part.ranges() {
                self.decoder.skip(range.start - self.at);
                self.decoder.read(range.len())?;
                self.at = range.end;
            }
            wanted -= part.rows();
        }
        let array = self.decoder.finish()?;
        if self.next + 1 == shared.batches {
            while self.todo.is_empty() && self.next_group(request, groups)? {}
            self.end(groups)?;
        }
        Ok(array)
    }

    fn next_group(&mut self, request: &Request, groups: &[GroupPlan]) -> Result<bool> {
        let next = self.open.map_or(0, |open| open + 1);
        let Some(plan) = groups.get(next) else { return Ok(false) };
        self.end(groups)?;
        let is_selective = plan.is_selective(request);
        let file = &request.file;
        self.decoder.start(file, &file.input, plan.number, plan.rows, &plan.candidates, is_selective)?;
        (self.open, self.at, self.todo) = (Some(next), 0, plan.candidates.clone());
        Ok(true)
    }

    fn end(&mut self, groups: &[GroupPlan]) -> Result<()> {
        if let Some(plan) = self.open.and_then(|open| groups.get(open)) {
            self.counts += self.decoder.end(self.at == plan.rows)?;
        }
        Ok(())
    }
}
