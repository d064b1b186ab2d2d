//! A scan on several threads: row groups, or parts of them, decoded by whoever is free.
//!
//! ```text
//!              todo ── part 3 ─> thread 1 ─> batches of part 3 ┐
//! parts 0, 1, … ├───── part 2 ─> thread 2 ─> batches of part 2 ┼─> in the file's order, or as they come
//!               └─ …                                           ┘
//! ```
//!
//! Memory is bounded by the one budget that all threads share:
//! - A batch that waits to be taken is counted. A thread that has no room for another one waits, unless it reads the part
//!   that is due: that one always goes on, so the scan does.
//! - A thread whose decoding the budget has no room for gives its part back, with the rows that it has not read, and
//!   ends. The last thread cannot; it waits until batches have been taken, and fails only where it began with nothing held
//!   by anybody and got no batch further.
//!   So a scan that fits the budget on one thread fits it on many.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use arrow_array::RecordBatch;

use super::group::{GroupReader, Quota};
use super::plan::{GroupPlan, Request};
use super::{Batches, Next};
use crate::error::{Error, Result};
use crate::parquet::read::budget::{Budget, Reservation};
use crate::parquet::read::{ColumnCounts, ScanCounts};

/// Parts are not made of fewer rows.
const PART_ROWS_MIN: usize = 64 << 10;
/// Parts for each thread, so that none has much to do when the others have nothing.
const PARTS_PER_THREAD: usize = 2;

/// Who reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Threads {
    /// So many; up to 1, the caller's own.
    pub count: usize,
    /// Whether batches come in the file's order.
    pub is_ordered: bool,
}

/// The consumer's side.
#[derive(Debug)]
pub(super) struct Parallel {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    request: Arc<Request>,
    budget: Budget,
    /// Batches that wait may take so much of the budget.
    waiting_bytes_max: usize,
    is_ordered: bool,
    state: Mutex<State>,
    /// Something happened that somebody may wait for.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    todo: VecDeque<Part>,
    /// All parts, as they were at first.
    parts: Vec<Part>,
    /// What was read of parts, by number.
    done: BTreeMap<usize, Done>,
    /// The part whose batches are next, in order; all parts before it are taken.
    due: usize,
    /// Threads at work.
    workers: usize,
    waiting_bytes: usize,
    /// Batches that threads have handed over.
    given: u64,
    counts: ScanCounts,
    columns: Vec<ColumnCounts>,
    is_cancelled: bool,
}

/// A part of a row group.
#[derive(Debug, Clone)]
struct Part {
    number: usize,
    group: Group,
    /// Which of how many parts of the group.
    share: (usize, usize),
    /// Whether it was begun before.
    is_again: bool,
}

/// What is to be read for a part.
#[derive(Debug, Clone)]
enum Group {
    /// What there is of this row group.
    Number(usize),
    Planned(Arc<GroupPlan>),
    /// What is left of one that was given back.
    Left(Arc<GroupPlan>),
}

#[derive(Debug, Default)]
struct Done {
    batches: VecDeque<(Result<RecordBatch>, Option<Reservation>)>,
    is_whole: bool,
}

/// What came of a part.
enum Ending {
    Whole,
    /// Nobody wants more.
    Cancelled,
    /// This is left, and another part is due before it.
    Yielded(GroupPlan),
    /// This is left, the budget had no room to read it.
    NoRoom(GroupPlan, Error),
    Failed(Error),
}

impl Parallel {
    /// Starts threads on row groups. Of those that `quota` passes over without a predicate, none is begun.
    pub(super) fn new(
        request: &Arc<Request>,
        mut groups: VecDeque<Next>,
        threads: Threads,
        quota: &mut Quota,
    ) -> Result<Parallel> {
        let mut counts = ScanCounts::default();
        while request.condition.is_none()
            && let Some(next) = groups.front()
            && let rows = request.file.group_rows(next.number())? as u64
            && rows <= quota.skip
        {
            quota.skip -= rows;
            counts.row_groups_skipped += 1;
            groups.pop_front();
        }
        let per_group = (threads.count * PARTS_PER_THREAD).div_ceil(groups.len().max(1));
        let mut parts = Vec::new();
        for next in groups {
            let rows = request.file.group_rows(next.number())?;
            let of = per_group.min(rows / PART_ROWS_MIN).max(1);
            let group = match next {
                Next::Number(number) => Group::Number(number),
                Next::Planned(plan) => Group::Planned(Arc::new(plan)),
            };
            for part in 0..of {
                let (number, group) = (parts.len(), group.clone());
                parts.push(Part { number, group, share: (part, of), is_again: false });
            }
        }
        let workers = threads.count.min(parts.len());
        let budget = request.file.budget.clone();
        let state = State {
            todo: parts.iter().cloned().collect(),
            parts,
            done: BTreeMap::new(),
            due: 0,
            workers,
            waiting_bytes: 0,
            given: 0,
            counts,
            columns: Vec::new(),
            is_cancelled: false,
        };
        let shared = Arc::new(Shared {
            request: Arc::clone(request),
            waiting_bytes_max: budget.memory().limit() / 2,
            budget,
            is_ordered: threads.is_ordered,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let start = |number: usize| {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("scan {number}"));
            thread.spawn(move || Worker { shared: &shared, has_left: false }.run())
        };
        let threads = (0..workers).map(start).collect::<std::io::Result<Vec<_>>>();
        match threads {
            Ok(threads) => Ok(Parallel { shared, threads }),
            Err(e) => {
                shared.lock().is_cancelled = true;
                Err(Error::io(format!("cannot start a thread: {e}")).with_source(e))
            }
        }
    }

    /// The next batch: of the part that is due, or of any.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        loop {
            let number = match shared.is_ordered {
                true => Some(state.due),
                false => state.done.iter().find(|(_, done)| !done.batches.is_empty()).map(|(number, _)| *number),
            };
            let done = number.and_then(|number| state.done.get_mut(&number));
            if let Some((batch, memory)) = done.and_then(|done| done.batches.pop_front()) {
                state.waiting_bytes -= memory.map_or(0, |memory| memory.bytes());
                shared.changed.notify_all();
                return batch.map(Some);
            }
            let due = state.due;
            if state.done.get(&due).is_some_and(|done| done.is_whole && done.batches.is_empty()) {
                state.done.remove(&due);
                state.due += 1;
                shared.changed.notify_all();
                continue;
            }
            if state.due == state.parts.len() {
                return Ok(None);
            }
            if state.workers == 0 {
                return Err(Error::io("a thread of the scan has ended before its work"));
            }
            state = shared.wait(state);
        }
    }

    /// What threads have read so far.
    pub(super) fn counts(&self) -> ScanCounts {
        self.shared.lock().counts
    }

    /// The same by column.
    pub(super) fn column_counts(&self) -> Vec<ColumnCounts> {
        self.shared.lock().columns.clone()
    }

    /// Ends the threads; row groups that were not begun are skipped.
    pub(super) fn finish(&mut self) {
        let mut state = self.shared.lock();
        state.is_cancelled = true;
        let groups = state.todo.drain(..).filter(|part| part.share.0 == 0 && !part.is_again).count();
        state.counts.row_groups_skipped += groups as u64;
        state.done.clear();
        drop(state);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Parallel {
    fn drop(&mut self) {
        self.finish();
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

impl State {
    /// Another try, later.
    fn give_back(&mut self, part: Part) {
        let part = Part { is_again: true, ..part };
        let at = self.todo.partition_point(|other| other.number < part.number);
        self.todo.insert(at, part);
    }
}

/// A thread.
struct Worker<'a> {
    shared: &'a Shared,
    /// Whether it has left [`State::workers`].
    has_left: bool,
}

/// One that panics leaves, too.
impl Drop for Worker<'_> {
    fn drop(&mut self) {
        if !self.has_left {
            self.shared.lock().workers -= 1;
        }
        self.shared.changed.notify_all();
    }
}

impl Worker<'_> {
    fn run(mut self) {
        let mut reader = None;
        loop {
            // Nobody but this thread holds memory, and what it has had is given back: so many batches were handed over then.
            let alone_since;
            let part = {
                let mut state = self.shared.lock();
                match state.todo.pop_front() {
                    Some(part) if !state.is_cancelled => {
                        let is_alone = state.workers == 1 && state.waiting_bytes == 0 && reader.is_none();
                        alone_since = is_alone.then_some(state.given);
                        part
                    }
                    // In the same breath, or two could each leave what there is to the other. Who is alone then counts on
                    // memory that is free.
                    _ => {
                        drop(reader);
                        state.workers -= 1;
                        self.has_left = true;
                        return;
                    }
                }
            };
            let ending = self.read(&part, &mut reader);
            let mut state = self.shared.lock();
            if let Some(reader) = &mut reader {
                let (counts, columns) = reader.take_counts();
                state.counts += counts;
                ColumnCounts::merge(&mut state.columns, columns);
            }
            match ending {
                Ending::Whole => state.done.entry(part.number).or_default().is_whole = true,
                Ending::Cancelled => return,
                Ending::Yielded(left) => state.give_back(Part { group: Group::Left(Arc::new(left)), ..part }),
                Ending::NoRoom(left, e) => {
                    reader = None;
                    let is_last = state.workers == 1;
                    // What failed while others held memory, or batches waited, may succeed now.
                    if alone_since == Some(state.given) {
                        state.fail(part.number, e);
                    } else {
                        state.give_back(Part { group: Group::Left(Arc::new(left)), ..part });
                        self.shared.changed.notify_all();
                        if !is_last {
                            state.workers -= 1;
                            drop(state);
                            self.has_left = true;
                            return;
                        }
                        if self.shared.is_ordered {
                            state.drop_ahead();
                        }
                        while state.waiting_bytes > 0 && !state.is_cancelled {
                            state = self.shared.wait(state);
                        }
                    }
                }
                Ending::Failed(e) => {
                    // It may hold what it read before.
                    reader = None;
                    state.fail(part.number, e);
                }
            }
            self.shared.changed.notify_all();
        }
    }

    /// Reads a part, with the reader of the one before.
    fn read(&self, part: &Part, reader: &mut Option<GroupReader>) -> Ending {
        let request = &self.shared.request;
        let mut counts = ScanCounts::default();
        let plan = match &part.group {
            Group::Left(plan) => Ok(Some(GroupPlan::clone(plan))),
            Group::Planned(plan) => Ok(Some(GroupPlan::clone(plan))),
            Group::Number(number) => request.plan_group(*number, &mut counts),
        };
        // Of several parts and tries, the first one counts the group.
        if part.share.0 == 0 && !part.is_again {
            counts.row_groups_read += u64::from(matches!(plan, Ok(Some(_))));
            self.shared.lock().counts += counts;
        }
        let plan = plan.map(|plan| match part.group {
            Group::Left(_) => plan,
            _ => plan.and_then(|plan| plan.part(part.share)),
        });
        let plan = match plan {
            Ok(Some(plan)) => plan,
            Ok(None) => return Ending::Whole,
            Err(e) => return Ending::Failed(e),
        };
        let mut left = plan.clone();
        let mut batches = Batches::new(Arc::clone(&request.schema), request.batch_rows);
        match self.read_plan(part, plan, reader, &mut left, &mut batches) {
            Ok(ending) => ending,
            Err(e @ Error::Limit(_)) => {
                *reader = None;
                match self.give_all(part.number, &mut batches, true) {
                    Ok(Given::Cancelled) => Ending::Cancelled,
                    Ok(_) => Ending::NoRoom(left, e),
                    Err(e) => Ending::Failed(e),
                }
            }
            Err(e) => Ending::Failed(e),
        }
    }

    /// Reads what `plan` says, into `batches`; `left` is what is not in them yet, nor given out.
    fn read_plan(
        &self,
        part: &Part,
        plan: GroupPlan,
        reader: &mut Option<GroupReader>,
        left: &mut GroupPlan,
        batches: &mut Batches,
    ) -> Result<Ending> {
        let request = &self.shared.request;
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(GroupReader::new(request, &self.shared.budget)?),
        };
        reader.start(plan, &request.file.input)?;
        while !reader.is_done() {
            if request.condition.is_some() {
                if let Some(batch) = reader.window(&mut Quota::ALL.clone())? {
                    batches.push(batch)?;
                }
            } else {
                let rows = reader.append(request.batch_rows)?;
                batches.push(reader.finish(rows)?)?;
            }
            left.candidates = reader.left();
            match self.give_all(part.number, batches, false)? {
                Given::More => {}
                Given::Cancelled => return Ok(Ending::Cancelled),
                Given::Yield => {
                    self.give_all(part.number, batches, true)?;
                    reader.end()?;
                    return Ok(Ending::Yielded(left.clone()));
                }
            }
        }
        reader.end()?;
        Ok(match self.give_all(part.number, batches, true)? {
            Given::Cancelled => Ending::Cancelled,
            // Nothing of it is left.
            Given::More | Given::Yield => Ending::Whole,
        })
    }

    /// Hands over what is ready; at the `is_end`, small pieces too.
    fn give_all(&self, number: usize, batches: &mut Batches, is_end: bool) -> Result<Given> {
        if is_end {
            batches.flush()?;
        }
        let mut given = Given::More;
        while let Some(batch) = batches.next() {
            match self.give(number, batch) {
                Given::Cancelled => return Ok(Given::Cancelled),
                Given::Yield => given = Given::Yield,
                Given::More => {}
            }
        }
        Ok(given)
    }

    /// Hands a batch over, when there is room for it.
    fn give(&self, number: usize, batch: RecordBatch) -> Given {
        let bytes = batch.get_array_memory_size();
        let mut memory = self.shared.budget.reservation();
        let mut state = self.shared.lock();
        let mut given = Given::More;
        loop {
            if state.is_cancelled {
                return Given::Cancelled;
            }
            let is_next = match self.shared.is_ordered {
                true => state.due == number && state.done.get(&number).is_none_or(|done| done.batches.is_empty()),
                false => state.waiting_bytes == 0,
            };
            let fits = state.waiting_bytes.saturating_add(bytes) <= self.shared.waiting_bytes_max;
            if fits && memory.resize(bytes).is_ok() {
                state.waiting_bytes += bytes;
                break;
            }
            if is_next {
                // It is as good as taken.
                break;
            }
            if state.todo.front().is_some_and(|part| part.number < number) && self.shared.is_ordered {
                // What is due was given back, and everybody waits for it: this one goes there.
                given = Given::Yield;
                break;
            }
            state = self.shared.wait(state);
        }
        let memory = Some(memory).filter(|memory| memory.bytes() > 0);
        state.done.entry(number).or_default().batches.push_back((Ok(batch), memory));
        state.given += 1;
        drop(state);
        self.shared.changed.notify_all();
        given
    }
}

enum Given {
    More,
    /// There is a part to read before this one.
    Yield,
    Cancelled,
}

impl State {
    /// Drops what was read of parts that are not due, which are then read again: for whoever is alone at work.
    fn drop_ahead(&mut self) {
        let ahead = self.done.split_off(&(self.due + 1));
        for (number, done) in ahead {
            let bytes = done.batches.iter().filter_map(|(_, memory)| memory.as_ref()).map(Reservation::bytes);
            self.waiting_bytes -= bytes.sum::<usize>();
            self.todo.retain(|part| part.number != number);
            if let Some(part) = self.parts.get(number).cloned() {
                self.give_back(part);
            }
        }
    }

    fn fail(&mut self, number: usize, e: Error) {
        let done = self.done.entry(number).or_default();
        done.batches.push_back((Err(e), None));
        done.is_whole = true;
    }
}
