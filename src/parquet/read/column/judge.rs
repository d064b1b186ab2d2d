//! A condition on one column, judged by the dictionary: once for each of its entries, not for each row.
//!
//! ```text
//! dictionary   "ua" "b6" "aa"     condition = 'b6'     table  0 1 0
//! indices       0  0  1  2  1  -  1                    answers  0 0 1 0 1 - 1
//! ```
//!
//! The rows' values are not made: rows are judged by their indices. Where the column is wanted for the rows that are left,
//! too, the indices are kept (in [`Kept`]) and the values of those rows made from them, so that no page is opened twice.
//! Pages with another encoding are decoded and judged by their values, so a chunk may have both.
//!
//! The targets know nothing of this: what they are given to gather are indices as they stand in a page.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat;
use arrow_select::filter::filter;

use super::Column;
use crate::cursor::put_varint;
use crate::error::Result;
use crate::null;
use crate::parquet::encoding::{dictionary, rle};
use crate::parquet::read::page::{Coding, PageBytes, Values};
use crate::parquet::read::selection::Wanted;
use crate::predicate::BoundPredicate;

/// Indices that are judged at a time: they stay in the nearest cache.
const CHUNK: usize = 1024;

/// A condition on one column.
#[derive(Debug)]
pub(in crate::parquet::read) struct Judge {
    predicate: BoundPredicate,
    /// Of the column alone; it may be null.
    schema: SchemaRef,
    /// Whether it is true of null.
    of_null: bool,
    /// The dictionary's number, and the answers for its entries.
    table: Option<(u64, Table)>,
    /// Rows that may be judged in the row group: a longer dictionary is not worth it.
    pub rows_to_come: usize,
}

/// Which entries of a dictionary the condition is true for.
#[derive(Debug)]
enum Table {
    None,
    All,
    /// This one only.
    One(u32),
    /// Those with true.
    Some(Vec<bool>),
}

/// What rows that were judged have in the column.
#[derive(Debug, Default)]
pub(in crate::parquet::read) struct Kept {
    segments: Vec<Segment>,
}

#[derive(Debug)]
enum Segment {
    /// Into the chunk's dictionary; with nulls, of the rows that are set.
    Indices(Vec<u32>, Option<BooleanBuffer>),
    Values(ArrayRef),
}

impl Judge {
    /// `schema` has the predicate's only column. [`Error::Limit`](crate::error::Error::Limit) where a null of it would take more
    /// memory than anybody has asked for.
    pub(in crate::parquet::read) fn new(predicate: &BoundPredicate, schema: &Schema) -> Result<Judge> {
        let nullable: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(nullable));
        let mut judge = Judge { predicate: predicate.clone(), schema, of_null: false, table: None, rows_to_come: 0 };
        let nulls = judge.schema.fields().iter().map(|f| null::one(f.data_type())).collect::<Result<_>>()?;
        judge.of_null = judge.answers(nulls)?.value(0);
        Ok(judge)
    }

    /// The rows for which it is true.
    fn answers(&self, columns: Vec<ArrayRef>) -> Result<BooleanBuffer> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(is_true(&self.predicate.evaluate(&batch)?))
    }
}

/// The rows for which the answer is true.
pub(in crate::parquet::read) fn is_true(answers: &BooleanArray) -> BooleanBuffer {
    match answers.nulls() {
        Some(nulls) => answers.values() & nulls.inner(),
        None => answers.values().clone(),
    }
}

impl Table {
    fn new(answers: &BooleanBuffer) -> Table {
        match answers.count_set_bits() {
            0 => Table::None,
            n if n == answers.len() => Table::All,
            // There is one.
            1 => Table::One(answers.set_indices().next().unwrap_or(0) as u32),
            _ => Table::Some(answers.iter().collect()),
        }
    }

    /// Appends an answer for each index.
    fn judge(&self, indices: &[u32], out: &mut BooleanBufferBuilder) {
        match self {
            Table::None => out.append_n(indices.len(), false),
            Table::All => out.append_n(indices.len(), true),
            Table::One(entry) => append_bits(indices, |index| index == *entry, out),
            Table::Some(table) => append_bits(indices, |index| table.get(index as usize) == Some(&true), out),
        }
    }
}

impl Column {
    /// Whether it is likely that the next rows are judged by a dictionary.
    pub(in crate::parquet::read) fn is_dictionary_next(&self) -> bool {
        if self.page.rows_left > self.skip || self.pages_read > 0 {
            return matches!(self.page.values.coding, Coding::Dictionary(_));
        }
        self.chunk.as_ref().is_some_and(|chunk| chunk.may_be_dictionary)
    }

    /// Forgets what was kept before.
    pub(in crate::parquet::read) fn begin_judging(&mut self) -> Result<()> {
        self.kept_memory.resize(0)
    }

    /// Appends an answer for each of the next `rows` rows; what it takes to have their values later goes to `kept`.
    pub(in crate::parquet::read) fn judge(
        &mut self,
        rows: usize,
        judge: &mut Judge,
        mut kept: Option<&mut Kept>,
        answers: &mut BooleanBufferBuilder,
    ) -> Result<()> {
        let mut left = rows;
        self.work += rows as u64 / 2;
        while left > 0 {
            if self.page.rows_left == 0 || self.skip >= self.page.rows_left {
                self.next_page(left, 0, Wanted::UNKNOWN)?;
            }
            let is_by_dictionary = matches!(self.page.values.coding, Coding::Dictionary(_))
                && self.know_dictionary(judge).map_err(|e| self.at_page(e))?;
            left -= if is_by_dictionary {
                let judged = self.judge_indices(left, judge, kept.as_deref_mut(), answers);
                judged.map_err(|e| self.at_page(e))?
            } else {
                let read = self.read_from_page(left).map_err(|e| self.at_page(e))?;
                let array = self.finish()?;
                answers.append_buffer(&judge.answers(vec![Arc::clone(&array)])?);
                if let Some(kept) = &mut kept {
                    kept.segments.push(Segment::Values(array));
                }
                read
            };
        }
        Ok(())
    }

    /// The values of rows that were judged, of those that are set in `wanted`.
    pub(in crate::parquet::read) fn read_judged(&mut self, kept: Kept, wanted: &BooleanBuffer) -> Result<ArrayRef> {
        let mut parts = Vec::new();
        let mut at = 0;
        let mut is_empty = true;
        for segment in kept.segments {
            match segment {
                Segment::Indices(indices, present) => {
                    let rows = present.as_ref().map_or(indices.len(), BooleanBuffer::len);
                    self.gather(indices, present, &wanted.slice(at, rows))?;
                    is_empty = false;
                    at += rows;
                }
                Segment::Values(array) => {
                    if !std::mem::replace(&mut is_empty, true) {
                        parts.push(self.finish()?);
                    }
                    let mask = BooleanArray::new(wanted.slice(at, array.len()), None);
                    at += array.len();
                    parts.push(filter(&array, &mask)?);
                }
            }
        }
        self.kept_memory.resize(0)?;
        if !is_empty || parts.is_empty() {
            parts.push(self.finish()?);
        }
        match parts.as_slice() {
            [only] => Ok(Arc::clone(only)),
            many => Ok(concat(&many.iter().map(AsRef::as_ref).collect::<Vec<_>>())?),
        }
    }

    /// Makes sure that the answers for the open chunk's dictionary are known; false where they are not worth it.
    fn know_dictionary(&mut self, judge: &mut Judge) -> Result<bool> {
        if judge.table.as_ref().is_some_and(|(of, _)| *of == self.dictionary_number) {
            return Ok(true);
        }
        if self.dictionary_len == 0 || self.dictionary_len > judge.rows_to_come {
            return Ok(false);
        }
        let all: Vec<u32> = (0..self.dictionary_len as u32).collect();
        self.target.read(&mut indices_as_values(&all), all.len())?;
        self.validity.push_present(all.len());
        let entries = self.finish()?;
        judge.table = Some((self.dictionary_number, Table::new(&judge.answers(vec![entries])?)));
        Ok(true)
    }

    /// Judges at most `rows` rows of the open page by their indices; how many.
    fn judge_indices(
        &mut self,
        rows: usize,
        judge: &Judge,
        kept: Option<&mut Kept>,
        answers: &mut BooleanBufferBuilder,
    ) -> Result<usize> {
        let Some((_, table)) = &judge.table else { return Ok(0) };
        self.skip_in_page()?;
        let page = &mut self.page;
        let Coding::Dictionary(position) = page.values.coding else { return Ok(0) };
        let count = rows.min(page.rows_left);
        let present = page.levels.read(count, &mut self.mask)?;
        let mut decoder = dictionary::Decoder::resume(page.values.bytes(), position)?;
        let has_nulls = present < count;
        let mut dense = BooleanBufferBuilder::new(if has_nulls { present } else { 0 });
        let out = if has_nulls { &mut dense } else { &mut *answers };
        let mut all = Vec::new();
        if kept.is_some() {
            self.kept_memory.grow(present.saturating_mul(size_of::<u32>()))?;
            all.reserve_exact(present);
        }
        if kept.is_none() && matches!(table, Table::None | Table::All) {
            decoder.skip(present)?;
            out.append_n(present, matches!(table, Table::All));
        } else {
            let mut left = present;
            while left > 0 {
                let n = left.min(CHUNK);
                let from = if kept.is_some() { all.len() } else { 0 };
                all.truncate(from);
                decoder.read(self.dictionary_len, n, &mut all)?;
                table.judge(all.get(from..).unwrap_or_default(), out);
                left -= n;
            }
        }
        page.values.coding = Coding::Dictionary(decoder.position());
        page.rows_left -= count;
        if has_nulls {
            append_spread(&dense.finish(), &self.mask, judge.of_null, answers);
        }
        if let Some(kept) = kept {
            let mask = has_nulls.then(|| self.mask.finish());
            kept.segments.push(Segment::Indices(all, mask));
        }
        Ok(count)
    }

    /// Appends the rows of a segment that are set in `wanted` to the batch.
    fn gather(&mut self, indices: Vec<u32>, present: Option<BooleanBuffer>, wanted: &BooleanBuffer) -> Result<()> {
        let is_all = wanted.count_set_bits() == wanted.len();
        let Some(present) = present else {
            let picked = match is_all {
                true => indices,
                false => wanted.set_indices().filter_map(|at| indices.get(at).copied()).collect(),
            };
            self.target.read(&mut indices_as_values(&picked), picked.len())?;
            self.validity.push_present(picked.len());
            return Ok(());
        };
        let (mut picked, mut dense) = (Vec::new(), indices.into_iter());
        self.mask.truncate(0);
        for (is_wanted, is_there) in wanted.iter().zip(&present) {
            let index = if is_there { dense.next() } else { None };
            if is_wanted {
                self.mask.append(is_there);
                picked.extend(index);
            }
        }
        if picked.len() == self.mask.len() {
            self.target.read(&mut indices_as_values(&picked), picked.len())?;
            self.validity.push_present(picked.len());
        } else {
            self.target.read_spaced(&mut indices_as_values(&picked), picked.len(), &self.mask)?;
            self.validity.push_mask(&self.mask);
        }
        Ok(())
    }
}

/// The values of a page with these indices: one bit-packed run, 32 bits wide.
fn indices_as_values(indices: &[u32]) -> Values {
    let groups = indices.len().div_ceil(8);
    let mut bytes = Vec::with_capacity(groups * 32 + 11);
    bytes.push(32);
    put_varint(&mut bytes, (groups as u64) << 1 | 1);
    bytes.extend(indices.iter().flat_map(|index| index.to_le_bytes()));
    bytes.resize(bytes.len() + (groups * 8 - indices.len()) * 4, 0);
    Values { bytes: PageBytes::Own(bytes), coding: Coding::Dictionary(rle::Position::default()), ..Values::default() }
}

fn append_bits(indices: &[u32], is: impl Fn(u32) -> bool, out: &mut BooleanBufferBuilder) {
    for chunk in indices.chunks(64) {
        let word = chunk.iter().rev().fold(0u64, |word, &index| word << 1 | u64::from(is(index)));
        out.append_packed_range(0..chunk.len(), &word.to_le_bytes());
    }
}

/// Appends a bit for each bit of `mask`: the next of `dense` where it is set, else `of_null`.
fn append_spread(dense: &BooleanBuffer, mask: &BooleanBufferBuilder, of_null: bool, out: &mut BooleanBufferBuilder) {
    let mut taken = 0;
    for (at, bytes) in mask.as_slice().chunks(8).enumerate() {
        let bits = (mask.len() - at * 64).min(64);
        let mut present = bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        if bits < 64 {
            present &= (1 << bits) - 1;
        }
        let count = present.count_ones() as usize;
        let values = dense.slice(taken, count).bit_chunks().iter_padded().next().unwrap_or(0);
        taken += count;
        let mut word = if of_null { !present } else { 0 };
        if count == bits {
            word = values;
        } else {
            let (mut places, mut values) = (present, values);
            // As long as there is a value that is true.
            while values != 0 {
                let lowest = places & places.wrapping_neg();
                word |= lowest * (values & 1);
                places ^= lowest;
                values >>= 1;
            }
        }
        out.append_packed_range(0..bits, &word.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn answers_stand_where_values_are(runs in prop::collection::vec((any::<bool>(), 1usize..90), 0..12), seed in any::<u64>(), of_null in any::<bool>()) {
            let there: Vec<bool> = runs.iter().flat_map(|&(b, n)| std::iter::repeat_n(b, n)).collect();
            let mut mask = BooleanBufferBuilder::new(0);
            mask.append_slice(&there);
            let count = there.iter().filter(|b| **b).count();
            let dense: Vec<bool> = (0..count).map(|i| seed.rotate_left(i as u32 * 7) & 1 == 1).collect();
            let mut next = dense.iter();
            let want: Vec<bool> = there.iter().map(|&b| if b { *next.next().expect("one each") } else { of_null }).collect();
            let mut got = BooleanBufferBuilder::new(0);
            got.append(true);
            append_spread(&BooleanBuffer::from(dense), &mask, of_null, &mut got);
            prop_assert_eq!(&got.finish().iter().collect::<Vec<_>>()[1..], &want[..]);
        }
    }

    #[test]
    fn tables_answer_by_index() {
        for answers in [vec![false; 3], vec![true; 3], vec![false, true, false], vec![true, false, true]] {
            let table = Table::new(&BooleanBuffer::from(answers.clone()));
            let indices: Vec<u32> = (0..200).map(|i| i * i % 3).collect();
            let mut got = BooleanBufferBuilder::new(0);
            table.judge(&indices, &mut got);
            let want: Vec<bool> = indices.iter().map(|&i| answers[i as usize]).collect();
            assert_eq!(got.finish().iter().collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn indices_come_back_from_a_made_up_page() {
        for count in [0usize, 1, 8, 1000] {
            let indices: Vec<u32> = (0..count as u32).map(|i| i * 7919).collect();
            let values = indices_as_values(&indices);
            let mut got = Vec::new();
            dictionary::Decoder::new(values.bytes()).expect("width").read(1 << 30, count, &mut got).expect("reads");
            assert_eq!(got, indices);
        }
    }
}
