//! What a scan would read, and why not the rest, without reading rows.

use std::sync::Arc;

use crate::error::Result;
use crate::predicate::{Predicate, Reason};

use super::evolve::Columns;
use super::file::FileParts;
use super::prune::{Answer, Named, Question, Step};
use super::{ReaderOptions, ScanOptions, split};

/// What a scan makes of a file's row groups; see [`FileReader::explain`](super::FileReader::explain).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The row groups asked for, in the order of the scan.
    pub row_groups: Vec<RowGroupExplanation>,
}

/// What a scan makes of a row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroupExplanation {
    /// Its number in the file, from 0 on.
    pub number: usize,
    /// Its rows.
    pub rows: u64,
    /// Bytes of all its column chunks.
    pub bytes: u64,
    /// Bytes of them that were fetched to decide.
    pub bytes_fetched: u64,
    /// What is done with it.
    pub decision: Decision,
}

/// What is done with a row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is not read, as no row matches.
    Skip {
        /// The step that found this out; those before it could not.
        step: Step,
        /// The conditions that no row meets. Pages are each left out for their own reasons: for them, the whole condition.
        reasons: Vec<Reason>,
    },
    /// Rows are read, and the predicate evaluated for them.
    Read {
        /// How many: those that page indexes leave.
        rows: u64,
        /// How many of them match for sure: for these the predicate is not evaluated.
        sure: u64,
    },
    /// All rows match, for sure: the predicate is not evaluated. So without one.
    AllMatch,
}

pub(super) fn explain(file: &Arc<FileParts>, reader: &ReaderOptions, mut options: ScanOptions) -> Result<Explanation> {
    let named = Columns::new(&mut options);
    for name in options.columns.iter().flatten() {
        named.find(file, named.number(file, name)?)?;
    }
    let bind = |p: Predicate| -> Result<_> {
        let bound = p.bind(&named.of(file, &p.columns())?)?;
        Ok((p, bound))
    };
    let predicate = options.predicate.take().map(bind).transpose()?;
    let mut columns = Vec::new();
    for (path, steps) in predicate.iter().flat_map(|(_, bound)| bound.paths()) {
        columns.push(Named::new(file, path, steps, &named.find(file, named.number(file, path.name())?)?));
    }
    let numbers = split::groups(&file.footer, options.row_groups, options.byte_range, options.start_offsets)?;
    let mut row_groups = Vec::with_capacity(numbers.len());
    for number in numbers {
        let (decision, bytes_fetched) = match &predicate {
            None => (Decision::AllMatch, 0),
            Some((predicate, bound)) => {
                let question = Question {
                    file,
                    columns: &columns,
                    predicate: bound,
                    pruning: options.pruning,
                    verify_crc: reader.verify_crc,
                };
                let answer = question.ask(number)?;
                (decision(&question, number, &answer, predicate)?, answer.bytes_fetched)
            }
        };
        row_groups.push(RowGroupExplanation {
            number,
            rows: file.group_rows(number)? as u64,
            bytes: file.footer.stored_bytes(number).flatten().fold(0, u64::saturating_add),
            bytes_fetched,
            decision,
        });
    }
    Ok(Explanation { row_groups })
}

fn decision(question: &Question<'_>, group: usize, answer: &Answer, predicate: &Predicate) -> Result<Decision> {
    Ok(match answer.dropped_by {
        Some(step) => Decision::Skip { step, reasons: question.reasons(group, step, predicate)? },
        None if answer.sure.rows() == question.file.group_rows(group)? => Decision::AllMatch,
        None => Decision::Read { rows: answer.selection.rows() as u64, sure: answer.sure.rows() as u64 },
    })
}
