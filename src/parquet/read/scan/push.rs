//! A scan that is planned before anything is fetched, and one that is fed.
//!
//! Whoever fetches by other means than [`Input`] (async, from an object store, many ranges at once) asks a
//! [`ScanPlan`] for its byte ranges, fetches them as it likes, and feeds a [`PushDecoder`], which decodes by the very code
//! of a [`Scan`]:
//!
//! ```text
//! FileReader::plan ─> ScanPlan ─ ranges ─> somebody fetches ─ bytes ─> PushDecoder ─> batches
//! ```

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;

use super::{Next, Scan, Step};
use crate::budget::Reservation;
use crate::error::{Error, Result};
use crate::parquet::read::ScanCounts;
use crate::storage::Input;

/// Ranges nearer to each other than this are fetched together.
const GAP_BYTES: u64 = 16 << 10;

/// What a scan will read: which row groups, and which of the file's bytes.
///
/// ```
/// # use hypostyle::parquet::read::{FileReader, PushStep, ScanOptions};
/// # use hypostyle::predicate::col;
/// # fn fetch(_: std::ops::Range<u64>) -> bytes::Bytes { bytes::Bytes::new() }
/// # fn example(file: &FileReader) -> hypostyle::Result<()> {
/// let plan = file.plan(ScanOptions::default().with_predicate(col("carrier").eq("UA")))?;
/// println!("{} bytes in {} requests", plan.bytes(), plan.ranges().len());
/// let mut decoder = plan.into_decoder();
/// loop {
///     match decoder.next_batch()? {
///         PushStep::Batch(batch) => println!("{} rows", batch.num_rows()),
///         PushStep::Needs(ranges) => {
///             for range in ranges {
///                 decoder.push(range.start, fetch(range))?;
///             }
///         }
///         PushStep::End => break,
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ScanPlan {
    scan: Scan,
    groups: Vec<PlannedGroup>,
    gap_bytes: u64,
}

/// A row group of a [`ScanPlan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedGroup {
    /// Its number in the file.
    pub row_group: usize,
    /// Rows of it that can match.
    pub rows: u64,
    /// The bytes of each column to fetch for these, by the column's name: those of its pages, neighbours together.
    pub columns: Vec<(String, Vec<Range<u64>>)>,
    /// The same of all columns, in ascending order; what is between ranges near each other is fetched with them.
    pub ranges: Vec<Range<u64>>,
}

/// What came of [`PushDecoder::next_batch`].
#[derive(Debug)]
pub enum PushStep {
    /// The next rows.
    Batch(RecordBatch),
    /// These bytes are missing to go on: of the next row group, all that have not been given yet.
    Needs(Vec<Range<u64>>),
    /// There are no more.
    End,
}

/// A scan that does not fetch: it is given the bytes that it asks for. Any order will do, and more than it asks for at a
/// time. What it holds is taken of [`memory_bytes`](crate::parquet::read::ReaderOptions::memory_bytes) until its row group has
/// been read. See [`ScanPlan`].
#[derive(Debug)]
pub struct PushDecoder {
    scan: Scan,
    fed: Arc<Fed>,
    /// What is to be fetched for groups that were not begun yet.
    groups: VecDeque<PlannedGroup>,
    /// The one that is being read.
    begun: Option<PlannedGroup>,
}

impl ScanPlan {
    pub(in crate::parquet::read) fn new(mut scan: Scan) -> Result<ScanPlan> {
        let request = Arc::clone(&scan.request);
        let mut plans = Vec::new();
        for next in std::mem::take(&mut scan.groups) {
            plans.extend(match next {
                Next::Number(number) => request.plan_group(number, &mut scan.counts)?,
                Next::Planned(plan) => Some(plan),
            });
        }
        scan.reader.make_decoders()?;
        let mut groups = Vec::with_capacity(plans.len());
        for plan in &plans {
            let columns = scan.reader.ranges(plan)?;
            let (row_group, rows) = (plan.number, plan.candidates.rows() as u64);
            groups.push(PlannedGroup { row_group, rows, columns, ranges: Vec::new() });
        }
        scan.groups = plans.into_iter().map(Next::Planned).collect();
        Ok(ScanPlan { scan, groups, gap_bytes: GAP_BYTES }.with_gap_bytes(GAP_BYTES))
    }

    /// Ranges nearer to each other than this are fetched together; 16 KiB by default. What is far away is best fetched in
    /// few and large pieces.
    #[must_use]
    pub fn with_gap_bytes(mut self, bytes: u64) -> ScanPlan {
        self.gap_bytes = bytes;
        for group in &mut self.groups {
            group.ranges = joined(group.columns.iter().flat_map(|(_, ranges)| ranges).cloned().collect(), bytes);
        }
        self
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        self.scan.schema()
    }

    /// The row groups that have to be read, in the order in which they are.
    pub fn row_groups(&self) -> &[PlannedGroup] {
        &self.groups
    }

    /// All bytes to fetch, row group by row group.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        self.groups.iter().flat_map(|group| &group.ranges).cloned().collect()
    }

    /// How many bytes these are.
    pub fn bytes(&self) -> u64 {
        self.groups.iter().flat_map(|group| &group.ranges).map(|range| range.end - range.start).sum()
    }

    /// What planning has left out.
    pub fn counts(&self) -> ScanCounts {
        self.scan.counts()
    }

    /// Reads by the file's own input.
    pub fn into_scan(self) -> Scan {
        self.scan
    }

    /// Reads what it is given.
    pub fn into_decoder(self) -> PushDecoder {
        let ScanPlan { mut scan, groups, .. } = self;
        let input = &scan.request.file.input;
        let memory = scan.request.file.budget.memory();
        let ahead_max = memory.limit() / 2;
        let pieces = Mutex::new(Pieces { pieces: Vec::new(), memory: memory.reservation() });
        let fed = Arc::new(Fed { name: input.name().to_owned(), bytes: input.bytes(), ahead_max, pieces });
        scan.data = Arc::clone(&fed) as Arc<dyn Input>;
        // There is one to feed.
        scan.threads.count = 1;
        PushDecoder { scan, fed, groups: groups.into(), begun: None }
    }
}

impl PushDecoder {
    /// The schema of the batches.
    pub fn schema(&self) -> &SchemaRef {
        self.scan.schema()
    }

    /// What has been read so far.
    pub fn counts(&self) -> ScanCounts {
        self.scan.counts()
    }

    /// Takes bytes of the file, from byte `start` on.
    ///
    /// # Errors
    /// [`Error::Invalid`] where they reach past the file's end. [`Error::Limit`] where they have no room in
    /// [`memory_bytes`](crate::parquet::read::ReaderOptions::memory_bytes): bytes that are not asked for yet have half of it, and
    /// can be given again when batches have been taken. The decoder is as it was before.
    pub fn push(&mut self, start: u64, bytes: Bytes) -> Result<()> {
        let end = start.checked_add(bytes.len() as u64).filter(|&end| end <= self.fed.bytes);
        if end.is_none() {
            return Err(Error::invalid(format!(
                "{} bytes from byte {start} on are given, the file has {}",
                bytes.len(),
                self.fed.bytes
            )));
        }
        // That of the row group that is read, and of the next one.
        let range = start..start + bytes.len() as u64;
        let mut asked = self.begun.iter().chain(self.groups.front()).flat_map(|group| &group.ranges);
        let is_asked = asked.any(|asked| touch(asked, &range));
        self.fed.add(start, bytes, is_asked).map_err(|e| e.in_file(&self.fed.name))
    }

    /// The next rows, if the bytes for them are there.
    pub fn next_batch(&mut self) -> Result<PushStep> {
        loop {
            // Groups are begun in the plan's order, each when all of its bytes are there.
            while self.groups.len() > self.scan.groups.len() {
                self.begun = self.groups.pop_front();
                let wanted = self.begun.iter().chain(&self.groups).flat_map(|group| &group.ranges);
                self.fed.keep_only(|piece| wanted.clone().any(|range| touch(range, piece)))?;
            }
            let missing = self.groups.front().map_or_else(Vec::new, |group| self.fed.missing(&group.ranges));
            self.scan.may_open = usize::from(missing.is_empty());
            match self.scan.step()? {
                Step::Batch(batch) => return Ok(PushStep::Batch(batch)),
                Step::End => return Ok(PushStep::End),
                Step::Wait if missing.is_empty() => {}
                Step::Wait => return Ok(PushStep::Needs(missing)),
            }
        }
    }
}

/// The bytes that were given.
#[derive(Debug)]
struct Fed {
    name: String,
    /// Of the file.
    bytes: u64,
    /// What may be held when bytes come that are not asked for yet.
    ahead_max: usize,
    pieces: Mutex<Pieces>,
}

#[derive(Debug)]
struct Pieces {
    /// In ascending order of their starts.
    pieces: Vec<(u64, Bytes)>,
    /// What they take.
    memory: Reservation,
}

impl Fed {
    fn add(&self, start: u64, bytes: Bytes, is_asked: bool) -> Result<()> {
        let mut held = self.lock();
        let Pieces { pieces, memory } = &mut *held;
        let all = memory.bytes().saturating_add(bytes.len());
        if !is_asked && all > self.ahead_max {
            return Err(Error::limit(format!(
                "{} bytes that are not asked for yet, {} are held and {} may be: take batches first, or raise memory_bytes",
                bytes.len(),
                memory.bytes(),
                self.ahead_max
            )));
        }
        memory.resize(all)?;
        let at = pieces.partition_point(|(other, _)| *other <= start);
        pieces.insert(at, (start, bytes));
        Ok(())
    }

    fn keep_only(&self, mut is_needed: impl FnMut(&Range<u64>) -> bool) -> Result<()> {
        let mut held = self.lock();
        let Pieces { pieces, memory } = &mut *held;
        pieces.retain(|(start, bytes)| is_needed(&(*start..*start + bytes.len() as u64)));
        memory.resize(pieces.iter().map(|(_, bytes)| bytes.len()).sum())
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        // Nothing panics while it is held.
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of these ranges was not given yet.
    fn missing(&self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        let Pieces { pieces, .. } = &*self.lock();
        let mut missing = Vec::new();
        for range in ranges {
            let mut at = range.start;
            for (start, bytes) in pieces.iter() {
                let end = *start + bytes.len() as u64;
                if *start >= range.end {
                    break;
                }
                if end <= at {
                    continue;
                }
                if *start > at {
                    missing.push(at..*start);
                }
                at = end;
            }
            if at < range.end {
                missing.push(at..range.end);
            }
        }
        missing
    }
}

impl Input for Fed {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Without a copy where one piece has all of it.
    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if let Some(missing) = self.missing(std::slice::from_ref(&range)).first() {
            let (from, to) = (missing.start, missing.end);
            return Err(Error::io(format!("bytes {from} to {to} have not been given")).in_file(&self.name));
        }
        let Pieces { pieces, .. } = &*self.lock();
        let cut = |start: u64, bytes: &Bytes, range: &Range<u64>| {
            let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
            let to = usize::try_from(range.end.checked_sub(start)?).ok()?;
            (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
        };
        if let Some(whole) = pieces.iter().find_map(|(start, bytes)| cut(*start, bytes, &range)) {
            return Ok(whole);
        }
        let mut out = Vec::new();
        let mut at = range.start;
        for (start, bytes) in pieces.iter() {
            let end = (*start + bytes.len() as u64).min(range.end);
            if end > at && *start <= at {
                out.extend_from_slice(&cut(*start, bytes, &(at..end)).unwrap_or_default());
                at = end;
            }
        }
        Ok(out.into())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn touch(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// In ascending order, those nearer to each other than `gap` joined.
fn joined(mut ranges: Vec<Range<u64>>, gap: u64) -> Vec<Range<u64>> {
    ranges.sort_unstable_by_key(|r| (r.start, r.end));
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges.into_iter().filter(|r| !r.is_empty()) {
        match out.last_mut() {
            Some(last) if range.start <= last.end || range.start - last.end < gap => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}
