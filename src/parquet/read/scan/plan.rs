//! What a scan asks for, against what the file has: columns, conditions, and of each row group the rows to read.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::group::Quota;
use super::parts::{self, Leaves};
use crate::error::{Error, Result};
use crate::parquet::arrow::node::Node;
use crate::parquet::format::{Codec, Type};
use crate::parquet::read::bounds;
use crate::parquet::read::budget::Budget;
use crate::parquet::read::evolve::{ColumnReader, Columns, Found, Origin};
use crate::parquet::read::file::FileParts;
use crate::parquet::read::prune::{Answer, Named, Question};
use crate::parquet::read::selection::Selection;
use crate::parquet::read::{Pruning, ReaderOptions, ScanCounts, ScanOptions};
use crate::predicate::{BoundPredicate, ColumnBounds, ColumnPath, Predicate, Step};
use crate::storage::Input;

/// What is asked for. Those who read parts of the file share it.
#[derive(Debug)]
pub(super) struct Request {
    pub file: Arc<FileParts>,
    pub verify_crc: bool,
    pub pruning: Pruning,
    pub batch_rows: usize,
    /// Of the batches.
    pub schema: SchemaRef,
    /// The columns that are decoded; those of the predicate come first.
    pub columns: Vec<Wanted>,
    /// What the batches hold.
    pub output: Vec<Output>,
    /// Columns of the batches that are read in parts.
    divided: Vec<Divided>,
    pub condition: Option<Condition>,
}

/// A column that is put together of parts.
#[derive(Debug)]
struct Divided {
    node: Arc<Node>,
    /// Their places among [`Request::columns`].
    parts: Vec<usize>,
}

/// A column of the batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Of this place among [`Request::columns`].
    Column(usize),
    /// What [`Request::merge`] makes of the parts of one.
    Parts(usize),
    /// The rows' places in the file.
    RowNumbers,
}

/// What statistics say of a column in a row group.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub bounds: ColumnBounds,
    /// Whether both bounds are values of the column, and no NaN is beyond them.
    pub is_exact: bool,
}

/// A column that is decoded.
#[derive(Debug)]
pub(super) struct Wanted {
    found: Found,
    pub is_output: bool,
}

impl Wanted {
    pub(super) fn name(&self) -> &str {
        self.found.field.name()
    }
}

/// What must be true of a row.
#[derive(Debug)]
pub(super) struct Condition {
    /// The whole, to be judged by what is known of rows.
    predicate: BoundPredicate,
    named: Vec<Named>,
    /// The same in parts, all of which must be true.
    pub conjuncts: Vec<Conjunct>,
}

/// A condition on columns that no other one has as its own.
#[derive(Debug)]
pub(super) struct Conjunct {
    pub predicate: BoundPredicate,
    named: Vec<Named>,
    /// Their places among [`Request::columns`], in the order of `schema`.
    pub columns: Vec<usize>,
    pub schema: SchemaRef,
    /// The part of rows that is expected to match before any was seen.
    pub share: f64,
}

/// What to read of a row group.
#[derive(Debug, Clone)]
pub(super) struct GroupPlan {
    pub number: usize,
    pub rows: usize,
    /// The place in the file of its first row.
    pub first_row: u64,
    /// Rows that may match.
    pub candidates: Selection,
    /// Those of them that match for sure.
    pub sure: Selection,
    /// The conjuncts that are true for all rows of the group.
    pub decided: Vec<bool>,
}

impl Request {
    pub(super) fn new(file: Arc<FileParts>, reader: &ReaderOptions, options: &mut ScanOptions) -> Result<Request> {
        let named = Columns::new(options);
        let numbers = options.row_numbers.take();
        if let Some(name) = numbers.as_ref().filter(|name| named.names(&file).any(|of| of == *name)) {
            return Err(Error::invalid(format!("row numbers as {name}: there is a column of that name")));
        }
        let mut columns: Vec<Wanted> = Vec::new();
        let predicate = options.predicate.take();
        let division = predicate.iter().map(|predicate| Division::new(predicate, &named, &file)).next();
        let division = division.transpose()?.unwrap_or_default();
        // Where each field of the schema stands among them, wide files have many, and each part of one.
        let mut whole: Vec<Option<usize>> = vec![None; named.count(&file)];
        let mut parts: HashMap<(usize, usize), usize> = HashMap::new();
        let mut add = |number: usize, part: Option<usize>, is_output: bool| -> Result<Place> {
            let found = division.part(named.find(&file, number)?, part, &file);
            let place = match part {
                None => whole.get(number).copied().flatten(),
                Some(part) => parts.get(&(number, part)).copied(),
            };
            let at = place.unwrap_or(columns.len());
            if place.is_none() {
                columns.push(Wanted { found: found.clone(), is_output: false });
                match (part, whole.get_mut(number)) {
                    (None, Some(whole)) => *whole = Some(at),
                    (part, _) => _ = parts.insert((number, part.unwrap_or_default()), at),
                }
            }
            if let Some(column) = columns.get_mut(at) {
                column.is_output |= is_output;
            }
            Ok((at, found))
        };
        let condition = predicate.map(|p| Condition::new(p, &named, &file, &division, &mut add)).transpose()?;
        let mut output = Vec::new();
        let mut fields = Vec::new();
        let mut divided = Vec::new();
        let mut hold = |number: usize| -> Result<()> {
            let is_divided = division.parts.contains_key(&number);
            let found = is_divided.then(|| named.find(&file, number)).transpose()?;
            let Some((node, count)) = found.as_ref().and_then(|found| division.parts_of(found, &file)) else {
                let (at, found) = add(number, None, true)?;
                output.push(Output::Column(at));
                fields.push(found.field);
                return Ok(());
            };
            let parts = (0..count).map(|part| Ok(add(number, Some(part), true)?.0)).collect::<Result<_>>()?;
            output.push(Output::Parts(divided.len()));
            fields.push(named.find(&file, number)?.field);
            divided.push(Divided { node: Arc::new(node.clone()), parts });
            Ok(())
        };
        let mut numbers_at = Vec::new();
        match options.columns.take() {
            None => (0..named.count(&file)).try_for_each(&mut hold)?,
            Some(names) => {
                let by_name = (names.len() > FEW).then(|| by_name(named.names(&file)));
                for (at, name) in names.iter().enumerate() {
                    match by_name.as_ref().and_then(|by_name| by_name.get(name.as_str())) {
                        Some(&number) => hold(number)?,
                        None if numbers.as_ref() == Some(name) => numbers_at.push(at),
                        None => hold(named.number(&file, name)?)?,
                    }
                }
            }
        }
        if let Some(name) = &numbers {
            if numbers_at.is_empty() {
                numbers_at.push(output.len());
            }
            for at in numbers_at {
                output.insert(at, Output::RowNumbers);
                fields.insert(at, Arc::new(Field::new(name, DataType::Int64, false)));
            }
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, named.metadata(&file)));
        let (verify_crc, batch_rows, pruning) = (reader.verify_crc, reader.batch_rows, options.pruning);
        Ok(Request { file, verify_crc, pruning, batch_rows, schema, columns, output, divided, condition })
    }

    /// Whether all rows of the group are wanted, as one batch.
    pub(super) fn is_batch(&self, group: usize, quota: Quota) -> bool {
        let rows = self.file.group_rows(group).unwrap_or(usize::MAX);
        self.condition.is_none()
            && (1..=self.batch_rows).contains(&rows)
            && quota.skip == 0
            && rows as u64 <= quota.left
    }

    /// Whether there can be one for each column.
    pub(super) fn check(&self, budget: &Budget) -> Result<()> {
        self.columns.iter().try_for_each(|column| ColumnReader::check(&self.file, &column.found, budget))
    }

    /// A decoder for each column.
    pub(super) fn decoders(&self, budget: &Budget) -> Result<Vec<ColumnReader>> {
        self.columns.iter().map(|column| self.decoder(column, budget)).collect()
    }

    /// The decoder for one of them.
    pub(super) fn decoder(&self, column: &Wanted, budget: &Budget) -> Result<ColumnReader> {
        ColumnReader::new(&self.file, &column.found, budget, self.verify_crc)
    }

    /// A column that is read in parts, of the arrays of all that is read.
    pub(super) fn merge(&self, divided: usize, arrays: &[Option<ArrayRef>]) -> Result<ArrayRef> {
        let missing = || Error::corrupt("a part of a column was not read");
        let Divided { node, parts } = self.divided.get(divided).ok_or_else(missing)?;
        let part = |&at: &usize| {
            let node = self.columns.get(at).and_then(|column| column.found.part.as_deref());
            node.zip(arrays.get(at).cloned().flatten()).ok_or_else(missing)
        };
        parts::merge(node, &parts.iter().map(part).collect::<Result<Vec<_>>>()?)
    }

    /// What to read of a row group; none where nothing can match, which is counted.
    pub(super) fn plan_group(&self, number: usize, counts: &mut ScanCounts) -> Result<Option<GroupPlan>> {
        let rows = self.file.group_rows(number)?;
        let first_row = if self.output.contains(&Output::RowNumbers) { self.file.first_row(number) } else { 0 };
        let mut decided = Vec::new();
        let Some(Condition { predicate, named, conjuncts }) = &self.condition else {
            let all = Selection::all(rows);
            return Ok(Some(GroupPlan { number, rows, first_row, candidates: all.clone(), sure: all, decided }));
        };
        let answer = self.question(predicate, named).ask(number)?;
        counts.count(&answer, rows);
        let Answer { selection: candidates, sure, .. } = answer;
        if candidates.is_empty() && rows > 0 {
            counts.row_groups_skipped += 1;
            return Ok(None);
        }
        // Of a single one that is known by now.
        if conjuncts.len() > 1 && sure != candidates {
            for conjunct in conjuncts {
                decided.push(self.question(&conjunct.predicate, &conjunct.named).is_sure(number)?);
            }
        }
        Ok(Some(GroupPlan { number, rows, first_row, candidates, sure, decided }))
    }

    fn question<'a>(&'a self, predicate: &'a BoundPredicate, columns: &'a [Named]) -> Question<'a> {
        let Request { file, pruning, verify_crc, .. } = self;
        Question { file, columns, predicate, pruning: *pruning, verify_crc: *verify_crc }
    }

    /// What statistics say of a column, of this place among those that are decoded, if it is as the file has it.
    pub(super) fn known(&self, column: usize, group: usize) -> Result<Known> {
        let found = self.columns.get(column).map(|column| &column.found);
        let Some(Found { leaf: Some(number), origin: Origin::File(_, None), .. }) = found else {
            return Ok(Known::default());
        };
        let leaf = self.file.leaf(*number)?;
        let chunk = self.file.open_chunk(group, *number);
        let (true, true, Ok((meta, _))) = (leaf.is_flat(), self.pruning.statistics, chunk) else {
            return Ok(Known::default());
        };
        let order = bounds::order(&self.file.footer, leaf, *number);
        let rows = self.file.group_rows(group)?;
        let bounds = bounds::of_statistics(meta.statistics.as_ref(), leaf, order, rows);
        // Values of a fixed width are cut short by nobody; those of INT96 may run over.
        let by_default = !matches!(leaf.physical, Type::ByteArray | Type::FixedLenByteArray | Type::Int96);
        let is_exact = meta.statistics.as_ref().is_some_and(|statistics| {
            let flags = [statistics.is_min_value_exact, statistics.is_max_value_exact];
            flags.iter().all(|flag| flag.unwrap_or(by_default))
        });
        let may_be_nan = leaf.data_type.is_floating() && bounds.nan_count != Some(0);
        Ok(Known { bounds, is_exact: is_exact && !may_be_nan })
    }

    /// A batch of the columns that were read.
    pub(super) fn batch(&self, arrays: &[Option<ArrayRef>], row_numbers: Vec<i64>, rows: usize) -> Result<RecordBatch> {
        let row_numbers: ArrayRef = Arc::new(Int64Array::from(row_numbers));
        let array = |output: &Output| match output {
            Output::Column(at) => Ok(arrays.get(*at).cloned().flatten()),
            Output::Parts(divided) => self.merge(*divided, arrays).map(Some),
            Output::RowNumbers => Ok(Some(Arc::clone(&row_numbers))),
        };
        let columns = self.output.iter().filter_map(|output| array(output).transpose());
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// What it takes to read each column of a row group, beside the others, about.
    pub(super) fn weights(&self, group: usize) -> Vec<u64> {
        let of_leaf = |leaf: usize| {
            // One that cannot be read is an error where its column is.
            let Ok((chunk, _)) = self.file.open_chunk(group, leaf) else { return 0 };
            let bytes = u64::try_from(chunk.total_uncompressed_size).unwrap_or(0);
            // As fast as bytes are moved; decompressing one takes as long as moving one to four.
            let times = match chunk.codec {
                Codec::Uncompressed => 1,
                Codec::Snappy | Codec::Lz4 | Codec::Lz4Raw | Codec::Lzo => 2,
                _ => 3,
            };
            bytes.saturating_mul(times).saturating_add(u64::try_from(chunk.num_values).unwrap_or(0).saturating_mul(4))
        };
        let of_column = |column: &Wanted| match column.found.node(&self.file) {
            Some(node) => {
                let mut sum = 0u64;
                node.leaves(&mut |_, leaf| sum = sum.saturating_add(of_leaf(leaf)));
                sum
            }
            None => column.found.leaf.map_or(0, of_leaf),
        };
        self.columns.iter().map(of_column).collect()
    }

    /// Which columns have to be read for a row group.
    pub(super) fn needed(&self, plan: &GroupPlan) -> Vec<bool> {
        let mut needed: Vec<bool> = self.columns.iter().map(|c| c.is_output).collect();
        if plan.sure == plan.candidates {
            return needed;
        }
        let conjuncts = self.condition.iter().flat_map(|c| c.conjuncts.iter());
        let open = conjuncts.enumerate().filter(|(at, _)| !plan.is_decided(*at));
        for &column in open.flat_map(|(_, conjunct)| &conjunct.columns) {
            if let Some(needed) = needed.get_mut(column) {
                *needed = true;
            }
        }
        needed
    }

    /// Bytes of all column chunks of a group.
    pub(super) fn group_bytes(&self, number: usize) -> u64 {
        // These are counts: a chunk that cannot be read is an error where its column is.
        self.file.footer.stored_bytes(number).flatten().fold(0, u64::saturating_add)
    }
}

/// So many names are looked for one by one.
const FEW: usize = 16;

/// The first column of each name.
fn by_name<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut numbers = HashMap::new();
    for (number, name) in names.enumerate() {
        numbers.entry(name).or_insert(number);
    }
    numbers
}

/// Where a column stands among those that are decoded, and what it is.
type Place = (usize, Found);

/// Adds a column, or a part of one, to those that are decoded.
type Add<'a> = &'a mut dyn FnMut(usize, Option<usize>, bool) -> Result<Place>;

impl Condition {
    fn new(
        predicate: Predicate,
        columns: &Columns,
        file: &FileParts,
        division: &Division,
        add: Add<'_>,
    ) -> Result<Condition> {
        let bound = predicate.bind(&columns.of(file, &predicate.columns())?)?;
        let named = named(&bound, columns, file)?;
        let mut parts = Vec::new();
        for part in conjuncts(predicate) {
            parts.push(Conjunct::new(&part, columns, file, division, add)?);
        }
        Ok(Condition { predicate: bound, named, conjuncts: parts })
    }
}

impl Conjunct {
    fn new(
        predicate: &Predicate,
        all: &Columns,
        file: &FileParts,
        division: &Division,
        add: Add<'_>,
    ) -> Result<Conjunct> {
        let share = expected_share(predicate);
        let bound = predicate.bind(&all.of(file, &predicate.columns())?)?;
        let named = named(&bound, all, file)?;
        let (mut columns, mut fields) = (Vec::new(), Vec::new());
        for name in bound.columns() {
            let number = all.number(file, &name)?;
            let steps = bound.paths().find(|(path, _)| path.name() == name).map(|(_, steps)| steps);
            let part = division.part_with(&all.find(file, number)?, steps.unwrap_or_default(), file);
            let (at, found) = add(number, part, false)?;
            columns.push(at);
            fields.push(found.field);
        }
        let schema = Arc::new(Schema::new(fields));
        // Fields stand elsewhere in a part.
        let predicate = predicate.bind(&schema)?;
        Ok(Conjunct { predicate, named, columns, schema, share })
    }
}

/// What a predicate is about.
fn named(predicate: &BoundPredicate, columns: &Columns, file: &FileParts) -> Result<Vec<Named>> {
    let of = |(path, steps): (&ColumnPath, &[Step])| {
        Ok(Named::new(file, path, steps, &columns.find(file, columns.number(file, path.name())?)?))
    };
    predicate.paths().map(of).collect()
}

/// Which columns are read in parts: nested ones of which conditions name single leaves.
#[derive(Debug, Default)]
struct Division {
    /// By the field's number in the schema. Leaves that no condition names are a last part.
    parts: HashMap<usize, Vec<Leaves>>,
}

impl Division {
    fn new(predicate: &Predicate, columns: &Columns, file: &FileParts) -> Result<Division> {
        // What each conjunct needs of each column.
        let mut wanted: HashMap<usize, Vec<Leaves>> = HashMap::new();
        let schema = columns.of(file, &predicate.columns())?;
        if !schema.fields().iter().any(|field| field.data_type().is_nested()) {
            return Ok(Division::default());
        }
        for conjunct in conjuncts(predicate.clone()) {
            let mut of_conjunct: HashMap<usize, Leaves> = HashMap::new();
            for (path, steps) in conjunct.bind(&schema)?.paths() {
                let number = columns.number(file, path.name())?;
                let found = columns.find(file, number)?;
                if let Some(leaf) = divisible(&found, file).and_then(|node| parts::leaf(node, steps)) {
                    of_conjunct.entry(number).or_default().push(leaf);
                }
            }
            for (number, leaves) in of_conjunct {
                wanted.entry(number).or_default().push(leaves);
            }
        }
        let mut parts = HashMap::new();
        for (number, wanted) in wanted {
            let Some(node) = divisible(&columns.find(file, number)?, file).cloned() else { continue };
            let mut of = parts::divide(&wanted);
            let rest = parts::leaves_of(&node).into_iter().filter(|leaf| !of.iter().any(|part| part.contains(leaf)));
            let rest: Leaves = rest.collect();
            if !rest.is_empty() {
                of.push(rest);
            }
            if of.len() > 1 {
                parts.insert(number, of);
            }
        }
        Ok(Division { parts })
    }

    /// The node of a column and the number of its parts, if it is read in parts.
    fn parts_of<'a>(&self, found: &Found, file: &'a FileParts) -> Option<(&'a Node, usize)> {
        Some((found.node(file)?, self.parts.get(&found.number)?.len()))
    }

    /// The part in which the leaf is that `steps` lead to, if the column is read in parts.
    fn part_with(&self, found: &Found, steps: &[Step], file: &FileParts) -> Option<usize> {
        let leaf = parts::leaf(found.node(file)?, steps)?;
        self.parts.get(&found.number)?.iter().position(|part| part.contains(&leaf))
    }

    /// The column of this part only.
    fn part(&self, mut found: Found, part: Option<usize>, file: &FileParts) -> Found {
        let leaves = part.and_then(|part| self.parts.get(&found.number)?.get(part));
        if let Some(node) = leaves.and_then(|leaves| parts::part(found.node(file)?, leaves)) {
            found.leaf = node.first_leaf();
            found.field = Arc::clone(&node.field);
            found.part = Some(Arc::new(node));
        }
        found
    }
}

/// The node of a column that may be read in parts.
fn divisible<'a>(found: &Found, file: &'a FileParts) -> Option<&'a Node> {
    found.node(file).filter(|node| found.field.data_type().is_nested() && parts::is_divisible(node))
}

impl GroupPlan {
    /// Part `number` of `of`, by rows; none where nothing of it is a candidate, but the first one if there is no other.
    pub(super) fn part(mut self, (number, of): (usize, usize)) -> Option<GroupPlan> {
        if of < 2 {
            return Some(self);
        }
        let border = |number: usize| (self.rows as u128 * number as u128 / of as u128) as usize;
        let rows = border(number)..border(number + 1);
        self.candidates = self.candidates.within(&rows);
        self.sure = self.sure.within(&rows);
        Some(self).filter(|part| !part.candidates.is_empty())
    }

    /// Whether pages are to be found by their index, since some need not be read.
    pub(super) fn is_selective(&self, request: &Request) -> bool {
        request.condition.is_some() || self.candidates.rows() < self.rows
    }

    /// Takes a column to the start of its chunk, whose pages are in `data`.
    pub(super) fn start(&self, request: &Request, column: &mut ColumnReader, data: &Arc<dyn Input>) -> Result<()> {
        column.start(&request.file, data, self.number, self.rows, &self.candidates, self.is_selective(request))
    }

    /// The places in the file of some of its rows.
    pub(super) fn row_numbers(&self, rows: &Selection) -> impl Iterator<Item = i64> {
        let first = self.first_row;
        let rows = rows.ranges().to_vec().into_iter().flatten();
        // A file has at most 2^63 rows.
        rows.map(move |row| (first + row as u64) as i64)
    }

    pub(super) fn is_decided(&self, conjunct: usize) -> bool {
        self.decided.get(conjunct).copied().unwrap_or(false)
    }
}

/// The conditions that must all be true, those on the same columns together.
fn conjuncts(predicate: Predicate) -> Vec<Predicate> {
    let mut flat = Vec::new();
    flatten(predicate, &mut flat);
    let mut parts: Vec<(Vec<String>, Vec<Predicate>)> = Vec::new();
    for part in flat {
        let mut columns: Vec<String> = part.paths().into_iter().map(ToString::to_string).collect();
        columns.sort_unstable();
        match parts.iter_mut().find(|(of, _)| *of == columns) {
            Some((_, together)) => together.push(part),
            None => parts.push((columns, vec![part])),
        }
    }
    let together = |mut parts: Vec<Predicate>| match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => Predicate::all(parts.into_iter().chain(last)),
    };
    parts.into_iter().map(|(_, parts)| together(parts)).collect()
}

fn flatten(predicate: Predicate, out: &mut Vec<Predicate>) {
    match predicate {
        Predicate::And(all) => all.into_iter().for_each(|part| flatten(part, out)),
        other => out.push(other),
    }
}

/// How large a part of the rows a condition is taken to match, until that is seen.
fn expected_share(predicate: &Predicate) -> f64 {
    use crate::predicate::Comparison::{Eq, NotEq};
    match predicate {
        Predicate::Compare { op: Eq, .. } | Predicate::CompareColumns { op: Eq, .. } => 0.1,
        Predicate::Compare { op: NotEq, .. } => 0.9,
        Predicate::In { values, .. } => (0.1 * values.len() as f64).min(0.5),
        Predicate::Like { .. } => 0.2,
        Predicate::IsNull { .. } => 0.1,
        Predicate::Not(inner) => 1.0 - expected_share(inner),
        Predicate::And(all) => all.iter().map(expected_share).product(),
        Predicate::Or(any) => 1.0 - any.iter().map(|p| 1.0 - expected_share(p)).product::<f64>(),
        _ => 0.3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::sql;

    #[test]
    fn what_is_about_the_same_columns_stays_together() {
        let parts = |text| -> Vec<String> {
            conjuncts(sql::parse(text).expect("parses")).iter().map(ToString::to_string).collect()
        };
        assert_eq!(parts("a > 1 and (b = 2 and a < 5)"), ["a > 1 AND a < 5", "b = 2"]);
        assert_eq!(parts("a = b and b <> a and a > 1"), ["a = b AND b <> a", "a > 1"]);
        assert_eq!(parts("a = 1 or b = 2"), ["a = 1 OR b = 2"]);
        assert!(conjuncts(Predicate::all([])).is_empty());
    }
}
