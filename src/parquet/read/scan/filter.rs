//! A predicate on a window: its parts one after another, each on the rows that the former ones left.
//!
//! Which part is next is learned. Of each one that was judged, what it took (bytes and values decoded, a row) and the
//! share of rows that it left are remembered, recent windows more than older ones. Next is always the one that takes the
//! least for each row that it rules out; a column that another part has read already takes nothing more. What is counted
//! is work and not time, so the same scan reads the same bytes each time, and the rows are the same in any order.

use arrow_array::{RecordBatch, RecordBatchOptions};

use super::plan::{Condition, Conjunct, GroupPlan, Request};
use super::window::Window;
use crate::error::Result;
use crate::parquet::read::column::{Judge, is_true};
use crate::parquet::read::evolve::ColumnReader;

/// How much the last window counts among all.
const RECENT: f64 = 0.25;
/// What a row is taken to cost in a column of which nothing is known.
const WORK_UNKNOWN: f64 = 8.0;
/// What judging a row costs, on top of decoding it.
const WORK_JUDGE: f64 = 1.0;

/// What was learned.
#[derive(Debug)]
pub(super) struct Filter {
    /// One a conjunct: the share of rows that it leaves.
    shares: Vec<Learned>,
    /// One a conjunct, if it is about one column.
    judges: Vec<Option<Judge>>,
    /// One a column: the work for a row.
    work: Vec<Learned>,
    /// The share that all conjuncts leave.
    pub share: Learned,
}

/// A mean in which new values count more than old ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Learned {
    mean: f64,
    is_seen: bool,
}

impl Learned {
    fn expected(mean: f64) -> Learned {
        Learned { mean, is_seen: false }
    }

    fn add(&mut self, value: f64) {
        let weight = if self.is_seen { RECENT } else { 1.0 };
        self.mean += (value - self.mean) * weight;
        self.is_seen = true;
    }

    /// The mean, once there was a value.
    pub(super) fn seen(self) -> Option<f64> {
        self.is_seen.then_some(self.mean)
    }
}

impl Filter {
    pub(super) fn new(request: &Request, condition: &Condition) -> Filter {
        let judge = |conjunct: &Conjunct| match conjunct.columns.len() {
            1 => Judge::new(&conjunct.predicate, &conjunct.schema).ok(),
            _ => None,
        };
        Filter {
            judges: condition.conjuncts.iter().map(judge).collect(),
            shares: condition.conjuncts.iter().map(|c| Learned::expected(c.share)).collect(),
            work: request.columns.iter().map(|_| Learned::expected(WORK_UNKNOWN)).collect(),
            share: Learned::expected(1.0),
        }
    }

    /// Goes to another row group.
    pub(super) fn start(&mut self, plan: &GroupPlan) {
        let rows = plan.candidates.rows();
        self.judges.iter_mut().flatten().for_each(|judge| judge.rows_to_come = rows);
    }

    /// Leaves those rows of the window alive for which the condition is true.
    pub(super) fn judge(
        &mut self,
        request: &Request,
        condition: &Condition,
        plan: &GroupPlan,
        window: &mut Window,
        decoders: &mut [ColumnReader],
    ) -> Result<()> {
        let mut left: Vec<usize> = (0..condition.conjuncts.len()).filter(|&at| !plan.is_decided(at)).collect();
        while window.alive_rows > 0
            && let Some(next) = self.next(condition, &left, window)
        {
            left.retain(|&at| at != next);
            let before = window.alive_rows;
            let is_judged = self.judge_indices(request, condition, next, &left, window, decoders)?;
            if !is_judged {
                self.judge_values(condition, next, window, decoders)?;
            }
            if let Some(share) = self.shares.get_mut(next) {
                share.add(window.alive_rows as f64 / before as f64);
            }
        }
        if window.rows() > 0 {
            self.share.add(window.alive_rows as f64 / window.rows() as f64);
        }
        Ok(())
    }

    /// The conjunct of `left` that rules rows out with the least work; of equals, the first.
    fn next(&self, condition: &Condition, left: &[usize], window: &Window) -> Option<usize> {
        let rank = |at: usize| {
            let columns = condition.conjuncts.get(at).map_or(&[][..], |c| &c.columns);
            let unread = columns.iter().filter(|&&column| window.is_unread(column));
            let work: f64 = unread.filter_map(|&column| self.work.get(column)).map(|work| work.mean).sum();
            let share = self.shares.get(at).map_or(1.0, |share| share.mean);
            // What rules out nothing comes last, the dearest of them at the end.
            (work + WORK_JUDGE) / (1.0 - share).max(1e-6)
        };
        left.iter().copied().map(|at| (at, rank(at))).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
    }

    /// Judges a conjunct by the indices of its column's rows, where it has only one and they are indices.
    fn judge_indices(
        &mut self,
        request: &Request,
        condition: &Condition,
        at: usize,
        left: &[usize],
        window: &mut Window,
        decoders: &mut [ColumnReader],
    ) -> Result<bool> {
        let of = |at: usize| condition.conjuncts.get(at).map_or(&[][..], |c| &c.columns);
        let (&[column], Some(Some(judge))) = (of(at), self.judges.get_mut(at)) else { return Ok(false) };
        let decoder = decoders.get_mut(column).and_then(ColumnReader::as_flat);
        let Some(decoder) = decoder.filter(|d| window.is_unread(column) && d.is_dictionary_next()) else {
            return Ok(false);
        };
        let is_output = request.columns.get(column).is_some_and(|c| c.is_output);
        let keep = is_output || left.iter().any(|&other| of(other).contains(&column));
        let work = decoder.work();
        window.judge(column, decoder, judge, keep)?;
        let work = decoder.work() - work;
        self.learn_work(column, work, window.rows());
        Ok(true)
    }

    fn judge_values(
        &mut self,
        condition: &Condition,
        at: usize,
        window: &mut Window,
        decoders: &mut [ColumnReader],
    ) -> Result<()> {
        let Some(conjunct) = condition.conjuncts.get(at) else { return Ok(()) };
        for &column in &conjunct.columns {
            let Some(decoder) = decoders.get_mut(column) else { continue };
            let is_new = window.is_unread(column);
            let before = decoder.work();
            window.read(column, decoder)?;
            if is_new {
                self.learn_work(column, decoder.work() - before, window.rows());
            }
        }
        let of_all = conjunct.columns.iter().map(|&column| window.read_of(column)).collect::<Option<Vec<_>>>();
        // Where all were read for the same rows, these are judged; else those that are alive.
        let together = of_all.as_deref().and_then(|all| {
            let (&(_, runs), rest) = all.split_first()?;
            rest.iter().all(|(_, other)| *other == runs).then_some(runs)
        });
        if let Some((of_all, runs)) = of_all.as_ref().zip(together) {
            let (arrays, runs) = (of_all.iter().map(|(array, _)| (*array).clone()).collect(), runs.clone());
            let options = RecordBatchOptions::new().with_row_count(Some(runs.rows()));
            let batch = RecordBatch::try_new_with_options(conjunct.schema.clone(), arrays, &options)?;
            let answers = is_true(&conjunct.predicate.evaluate(&batch)?);
            window.keep(&runs, &answers);
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(conjunct.columns.len());
        for &column in &conjunct.columns {
            arrays.extend(window.take(column)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(window.alive_rows));
        let batch = RecordBatch::try_new_with_options(conjunct.schema.clone(), arrays, &options)?;
        let answers = is_true(&conjunct.predicate.evaluate(&batch)?);
        window.keep_alive(&answers);
        Ok(())
    }

    /// Of `work` in a window of so many rows. Not a row that was alive: a page is opened for one as for all, so that a column
    /// that was judged after another one would seem dear, and be judged first the next time.
    fn learn_work(&mut self, column: usize, work: u64, rows: usize) {
        if let Some(learned) = self.work.get_mut(column) {
            learned.add(work as f64 / rows.max(1) as f64);
        }
    }
}
