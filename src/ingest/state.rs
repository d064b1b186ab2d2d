//! What a sink knows of one source partition, and how a commit changes it. No I/O: all of "exactly once" is here.
//!
//! ```text
//!            resume                 a            b      position
//!   ───────────┼────────────────────┼────────────┼──────────┼─────────── offsets of the partition
//!   all is in  │ of window v, whose file is open since `resume`: nothing is committed
//!   committed  │ of window w: committed below a = done[w], not from a on
//!   files      │ of window x: committed below b = done[x], and there is no more so far
//! ```
//!
//! - Every record below `resume` is in a committed file, or a dead letter, or dropped by rule.
//! - A record of window `w` at `offset < done[w]` is in a committed file as well.
//! - After a restart reading goes on at `resume`, and a record is passed over iff `offset < done[its window]`.
//! - The books: `position_records == written + dead_lettered + dropped + pending`, at each commit. `position` is the
//!   furthest that any commit has seen: in a replay it stands still until reading has caught up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::log::{Identity, Offset};

/// The state of a partition as commits keep it, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionState {
    /// Of this format.
    pub version: u32,
    /// Counts the commits that changed this state.
    pub epoch: u64,
    pub resume: Offset,
    /// How many records are before `resume`.
    pub resume_records: u64,
    pub position: Offset,
    /// How many records are before `position`.
    pub position_records: u64,
    /// By the window's start, in microseconds since 1970.
    pub done: BTreeMap<i64, Offset>,
    pub books: Books,
    pub rules: Rules,
    pub identity: Identity,
}

/// What became of the records before a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Books {
    pub written: u64,
    pub dead_lettered: u64,
    pub dropped: u64,
    /// Read, and not committed: in files that were open.
    pub pending: u64,
}

/// What decides which row a record becomes, and its window. A sink keeps to it until all that it has read is committed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Rules {
    pub event_time: String,
    pub event_time_unit: Option<String>,
    pub window_us: i64,
    pub window_column: String,
    pub unknown_fields: String,
    /// What the log's own options decide.
    pub log: String,
    /// Hash of the columns.
    pub schema: String,
}

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admit {
    Write,
    /// A commit has it already.
    Skip,
}

/// The state of a partition while it is read.
#[derive(Debug)]
pub(super) struct Ledger {
    stored: PartitionState,
    position: Offset,
    records: u64,
    /// What is read and not committed, by window; few.
    open: Vec<OpenPart>,
    /// Where in `open` the last record was found.
    last: usize,
    /// Bad records that no commit has counted yet.
    new_dead_letters: u64,
    /// Of those that were pending in the stored state, how many have not been read again. Below 0 only if the source
    /// gives other records than before.
    replay: i64,
}

/// The uncommitted rows of a window.
#[derive(Debug, Clone, Copy)]
struct OpenPart {
    window: i64,
    first: Offset,
    /// How many records are before `first`.
    first_records: u64,
    rows: u64,
}

impl PartitionState {
    /// Before anything was read.
    pub(super) fn new(rules: Rules) -> PartitionState {
        PartitionState {
            version: STATE_VERSION,
            epoch: 0,
            resume: Offset(0),
            resume_records: 0,
            position: Offset(0),
            position_records: 0,
            done: BTreeMap::new(),
            books: Books::default(),
            rules,
            identity: Identity::default(),
        }
    }

    /// What a commit kept; [`Error::Corrupt`] if it contradicts itself.
    pub(super) fn from_json(text: &str) -> Result<PartitionState> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let fault = |e: serde_json::Error| Error::corrupt(format!("the sink's state is no state: {e}")).with_source(e);
        let Versioned { version } = serde_json::from_str(text).map_err(fault)?;
        if version != STATE_VERSION {
            return Err(Error::unsupported(format!(
                "the sink's state has version {version}, this program knows {STATE_VERSION}; use a newer one"
            )));
        }
        let state: PartitionState = serde_json::from_str(text).map_err(fault)?;
        let sound = state.resume <= state.position
            && state.resume_records <= state.position_records
            && state.identity.position <= state.resume
            && state.done.values().all(|done| state.resume < *done && *done <= state.position)
            && state.books.records() == Some(state.position_records);
        if sound { Ok(state) } else { Err(Error::corrupt("the sink's state contradicts itself")) }
    }

    pub(super) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::invalid(e.to_string()).with_source(e))
    }

    /// Whether all that was read is committed, so that the rules may change.
    pub(super) fn is_drained(&self) -> bool {
        self.resume == self.position && self.done.is_empty()
    }
}

impl Books {
    fn records(&self) -> Option<u64> {
        self.written.checked_add(self.dead_lettered)?.checked_add(self.dropped)?.checked_add(self.pending)
    }
}

impl Rules {
    /// What differs, in words; nothing if nothing does.
    pub(super) fn differences(&self, now: &Rules) -> Vec<String> {
        let unit = |unit: &Option<String>| unit.clone().unwrap_or_else(|| "none".into());
        let parts = [
            ("the event time's column", self.event_time.clone(), now.event_time.clone()),
            ("the event time's unit", unit(&self.event_time_unit), unit(&now.event_time_unit)),
            ("the window's length in microseconds", self.window_us.to_string(), now.window_us.to_string()),
            ("the window's column", self.window_column.clone(), now.window_column.clone()),
            ("what is done with unknown fields", self.unknown_fields.clone(), now.unknown_fields.clone()),
            ("how the source is read", self.log.clone(), now.log.clone()),
            ("the columns (by their hash)", self.schema.clone(), now.schema.clone()),
        ];
        let differ = parts.into_iter().filter(|(_, was, is)| was != is);
        differ.map(|(what, was, is)| format!("{what} was {was} and is {is}")).collect()
    }
}

impl Ledger {
    /// Reading goes on from `stored.resume`.
    pub(super) fn new(stored: PartitionState) -> Ledger {
        Ledger {
            position: stored.resume,
            records: stored.resume_records,
            open: Vec::new(),
            last: 0,
            new_dead_letters: 0,
            replay: i64::try_from(stored.books.pending).unwrap_or(i64::MAX),
            stored,
        }
    }

    /// Takes a good record, which is the next one.
    pub(super) fn record(&mut self, window: i64, offset: Offset, next: Offset) -> Admit {
        let before = self.records;
        self.advance(next, 1);
        if !self.stored.done.is_empty() && self.stored.done.get(&window).is_some_and(|done| offset < *done) {
            return Admit::Skip;
        }
        if offset < self.stored.position {
            self.replay -= 1;
        }
        if self.open.get(self.last).is_none_or(|part| part.window != window) {
            self.last = self.open.iter().position(|part| part.window == window).unwrap_or_else(|| {
                self.open.push(OpenPart { window, first: offset, first_records: before, rows: 0 });
                self.open.len() - 1
            });
        }
        if let Some(part) = self.open.get_mut(self.last) {
            part.rows += 1;
        }
        Admit::Write
    }

    /// Takes a bad record, which is the next one. Whether it is a dead letter already is for their own table to know.
    pub(super) fn bad(&mut self, offset: Offset, next: Offset) {
        self.advance(next, 1);
        if offset >= self.stored.position {
            self.new_dead_letters += 1;
        }
    }

    /// Goes on over what is no record.
    pub(super) fn pass(&mut self, next: Offset) {
        self.advance(next, 0);
    }

    fn advance(&mut self, next: Offset, records: u64) {
        self.position = self.position.max(next);
        self.records += records;
    }

    /// How far back the first uncommitted record is.
    pub(super) fn behind_bytes(&self) -> u64 {
        let first = self.open.iter().map(|part| part.first).min();
        first.map_or(0, |first| self.position.0.saturating_sub(first.0))
    }

    /// The windows whose first uncommitted record is at least so far back.
    pub(super) fn open_behind(&self, bytes: u64) -> impl Iterator<Item = i64> {
        let behind = move |part: &&OpenPart| self.position.0.saturating_sub(part.first.0) >= bytes;
        self.open.iter().filter(behind).map(|part| part.window)
    }

    /// Whether a commit of these windows must have this partition's state.
    pub(super) fn is_touched_by(&self, is_committed: impl Fn(i64) -> bool) -> bool {
        self.new_dead_letters > 0 || self.open.iter().any(|part| is_committed(part.window))
    }

    /// Whether something was read that the stored state does not have.
    pub(super) fn is_ahead(&self) -> bool {
        self.position > self.stored.position
            || self.new_dead_letters > 0
            || (self.open.is_empty() && self.position > self.stored.resume)
    }

    /// The state when the open files of these windows are committed, all that there are of them. The identity is left as it
    /// was: the log knows it, for the new `resume`.
    pub(super) fn after(&self, is_committed: impl Fn(i64) -> bool, rules: &Rules) -> Result<PartitionState> {
        let mut done = self.stored.done.clone();
        let mut resume = (self.position, self.records);
        let Books { mut written, dead_lettered, dropped, .. } = self.stored.books;
        let mut pending = u64::try_from(self.replay).unwrap_or(u64::MAX);
        for part in &self.open {
            if is_committed(part.window) {
                done.insert(part.window, self.position);
                written += part.rows;
            } else {
                resume = resume.min((part.first, part.first_records));
                pending = pending.saturating_add(part.rows);
            }
        }
        done.retain(|_, done| *done > resume.0);
        let ahead = self.position >= self.stored.position;
        let is_replayed = !ahead || self.replay == 0;
        let state = PartitionState {
            version: STATE_VERSION,
            epoch: self.stored.epoch + 1,
            resume: resume.0,
            resume_records: resume.1,
            position: if ahead { self.position } else { self.stored.position },
            position_records: if ahead { self.records } else { self.stored.position_records },
            done,
            books: Books { written, dead_lettered: dead_lettered + self.new_dead_letters, dropped, pending },
            rules: rules.clone(),
            identity: self.stored.identity.clone(),
        };
        if is_replayed && state.books.records() == Some(state.position_records) {
            return Ok(state);
        }
        // Either a mistake here, or the source gave other records when it was read again.
        Err(Error::corrupt(format!(
            "the books do not balance: {} records were read up to byte {}, and {:?} says what became of them; the source gave \
             other records than before, nothing is committed",
            state.position_records, state.position, state.books
        )))
    }

    /// Takes over a state that was committed.
    pub(super) fn committed(&mut self, state: PartitionState, is_committed: impl Fn(i64) -> bool) {
        self.open.retain(|part| !is_committed(part.window));
        self.last = 0;
        self.new_dead_letters = 0;
        self.stored = state;
    }
}

const STATE_VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    /// A sink of several partitions whose "table" is a list of what was committed.
    struct Model {
        /// By partition: each record's window, or none for a bad one. Its offset is ten times its place.
        logs: Vec<Vec<Option<i64>>>,
        ledgers: Vec<Ledger>,
        /// What the table holds.
        stored: Vec<PartitionState>,
        committed: Vec<(usize, u64)>,
        /// What open files hold, by window.
        open: BTreeMap<i64, Vec<(usize, u64)>>,
        bad: Vec<BTreeSet<u64>>,
    }

    #[derive(Debug, Clone)]
    enum Step {
        Read { partition: usize, records: usize },
        Commit { windows: BTreeSet<i64> },
        Crash,
    }

    impl Model {
        fn new(logs: Vec<Vec<Option<i64>>>) -> Model {
            let stored: Vec<_> = logs.iter().map(|_| PartitionState::new(Rules::default())).collect();
            let ledgers = stored.iter().cloned().map(Ledger::new).collect();
            let bad = logs.iter().map(|_| BTreeSet::new()).collect();
            Model { logs, ledgers, stored, committed: Vec::new(), open: BTreeMap::new(), bad }
        }

        fn read(&mut self, partition: usize, records: usize) {
            let partition = partition % self.logs.len();
            let ledger = &mut self.ledgers[partition];
            for _ in 0..records {
                let offset = ledger.position.0;
                let Some(record) = self.logs[partition].get(offset as usize / 10) else { return };
                match record {
                    None => {
                        ledger.bad(Offset(offset), Offset(offset + 10));
                        self.bad[partition].insert(offset);
                    }
                    Some(window) => {
                        if ledger.record(*window, Offset(offset), Offset(offset + 10)) == Admit::Write {
                            self.open.entry(*window).or_default().push((partition, offset));
                        }
                    }
                }
            }
        }

        fn commit(&mut self, windows: &BTreeSet<i64>, all: bool) {
            let is_committed = |window| all || windows.contains(&window);
            for (ledger, stored) in self.ledgers.iter_mut().zip(&mut self.stored) {
                if !(ledger.is_touched_by(is_committed) || all && ledger.is_ahead()) {
                    continue;
                }
                let state = ledger.after(is_committed, &Rules::default()).unwrap();
                let again = PartitionState::from_json(&state.to_json().unwrap()).unwrap();
                assert_eq!(again, state);
                assert_eq!(state.epoch, stored.epoch + 1);
                *stored = state.clone();
                ledger.committed(state, is_committed);
            }
            self.open.retain(|window, rows| {
                let commit = is_committed(*window);
                self.committed.extend(rows.iter().filter(|_| commit));
                !commit
            });
        }

        fn crash(&mut self) {
            self.open.clear();
            self.ledgers = self.stored.iter().cloned().map(Ledger::new).collect();
        }

        fn check(&self) {
            let expected: Vec<(usize, u64)> = (0..self.logs.len())
                .flat_map(|p| {
                    self.logs[p].iter().enumerate().filter(|(_, w)| w.is_some()).map(move |(i, _)| (p, i as u64 * 10))
                })
                .collect();
            let mut committed = self.committed.clone();
            committed.sort_unstable();
            assert_eq!(committed, expected, "every record exactly once");
            for (p, state) in self.stored.iter().enumerate() {
                let bad = self.logs[p].iter().filter(|w| w.is_none()).count();
                assert_eq!(self.bad[p].len(), bad);
                assert_eq!(state.books.dead_lettered, bad as u64);
                assert_eq!(state.books.written, (self.logs[p].len() - bad) as u64);
                assert_eq!(state.resume, Offset(self.logs[p].len() as u64 * 10));
                assert!(state.is_drained() && state.books.pending == 0);
            }
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..3, 1usize..12).prop_map(|(partition, records)| Step::Read { partition, records }),
            3 => proptest::collection::btree_set(0i64..6, 0..4).prop_map(|windows| Step::Commit { windows }),
            1 => Just(Step::Crash),
        ]
    }

    /// Takes the steps, then reads and commits all, and checks that every record is committed once.
    fn plays_out(logs: Vec<Vec<Option<i64>>>, steps: &[Step]) {
        let mut model = Model::new(logs);
        for step in steps {
            match step {
                Step::Read { partition, records } => model.read(*partition, *records),
                Step::Commit { windows } => model.commit(windows, false),
                Step::Crash => model.crash(),
            }
        }
        for partition in 0..model.logs.len() {
            model.read(partition, usize::MAX);
        }
        model.commit(&BTreeSet::new(), true);
        model.check();
        // And nothing is ahead any more.
        assert!(model.ledgers.iter().all(|ledger| !ledger.is_ahead()));
        model.crash();
        for partition in 0..model.logs.len() {
            model.read(partition, usize::MAX);
        }
        assert!(model.open.is_empty() && model.ledgers.iter().all(|ledger| !ledger.is_ahead()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_record_is_committed_exactly_once(
            logs in proptest::collection::vec(proptest::collection::vec(proptest::option::weighted(0.9, 0i64..6), 1..40), 1..4),
            steps in proptest::collection::vec(step(), 0..60),
        ) {
            plays_out(logs, &steps);
        }
    }

    #[test]
    fn what_failed_once() {
        let read = |partition, records| Step::Read { partition, records };
        let commit = || Step::Commit { windows: BTreeSet::from([3]) };
        let logs = vec![vec![Some(3), None, None, None, Some(0), Some(3)], vec![None]];
        plays_out(logs, &[read(2, 5), commit()]);
        plays_out(vec![vec![Some(0), Some(3)]], &[read(0, 2), commit(), Step::Crash]);
    }

    #[test]
    fn a_straggler_pins_resume_and_done_says_what_is_committed_ahead_of_it() {
        let mut ledger = Ledger::new(PartitionState::new(Rules::default()));
        for (at, window) in [1, 2, 2, 1, 3].into_iter().enumerate() {
            let offset = at as u64 * 10;
            assert_eq!(ledger.record(window, Offset(offset), Offset(offset + 10)), Admit::Write);
        }
        assert_eq!(ledger.behind_bytes(), 50);
        assert_eq!(ledger.open_behind(40).collect::<Vec<_>>(), [1, 2]);
        let state = ledger.after(|w| w == 2, &Rules::default()).unwrap();
        assert_eq!((state.resume, state.position), (Offset(0), Offset(50)));
        assert_eq!(state.done, BTreeMap::from([(2, Offset(50))]));
        assert_eq!(state.books, Books { written: 2, pending: 3, ..Books::default() });
        let mut again = Ledger::new(state);
        let admits: Vec<Admit> = [1, 2, 2, 1, 3, 2]
            .into_iter()
            .enumerate()
            .map(|(at, window)| again.record(window, Offset(at as u64 * 10), Offset(at as u64 * 10 + 10)))
            .collect();
        use Admit::{Skip, Write};
        assert_eq!(admits, [Write, Skip, Skip, Write, Write, Write]);
        let state = again.after(|_| true, &Rules::default()).unwrap();
        assert_eq!((state.resume, state.done.len(), state.is_drained()), (Offset(60), 0, true));
        assert_eq!(state.books, Books { written: 6, ..Books::default() });
    }

    #[test]
    fn a_source_that_gives_other_records_is_noticed() {
        let mut ledger = Ledger::new(PartitionState::new(Rules::default()));
        ledger.record(1, Offset(0), Offset(10));
        ledger.record(2, Offset(10), Offset(20));
        let state = ledger.after(|w| w == 2, &Rules::default()).unwrap();
        let mut again = Ledger::new(state);
        // The first record is bad by now.
        again.bad(Offset(0), Offset(10));
        again.record(2, Offset(10), Offset(20));
        again.record(2, Offset(20), Offset(30));
        let e = again.after(|_| true, &Rules::default()).unwrap_err();
        assert!(matches!(e, Error::Corrupt(_)) && e.to_string().contains("do not balance"), "{e}");
    }

    #[test]
    fn a_state_that_contradicts_itself_is_refused() {
        let good = PartitionState::new(Rules::default()).to_json().unwrap();
        PartitionState::from_json(&good).unwrap();
        for (from, to, says) in [
            ("\"version\":1", "\"version\":2", "version 2"),
            ("\"resume\":0", "\"resume\":7", "contradicts"),
            ("\"written\":0", "\"written\":7", "contradicts"),
            ("\"written\":0", "\"written\":18446744073709551615,\"x\":0", "contradicts"),
            ("\"done\":{}", "\"done\":{\"5\":3}", "contradicts"),
            ("\"resume\":0", "\"resume\":-1", "no state"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            let e = PartitionState::from_json(&bad).unwrap_err();
            assert!(e.to_string().contains(says), "{to}: {e}");
        }
    }

    #[test]
    fn what_changed_is_said() {
        let was = Rules { window_us: 1, event_time: "a".into(), ..Rules::default() };
        let now = Rules { window_us: 2, event_time: "a".into(), ..Rules::default() };
        assert_eq!(was.differences(&now), ["the window's length in microseconds was 1 and is 2"]);
        assert!(was.differences(&was).is_empty());
    }
}
