//! A bound predicate over rows: Arrow's kernels at the leaves, whole words of bits above them.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, Scalar};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_cast::cast;
use arrow_ord::cmp;
use arrow_schema::DataType;
use half::f16;

use super::Comparison;
use super::bind::{BoundPredicate, Node};
use super::nested;
use crate::error::{Error, Result};

/// SQL's three truth values, a bit of each kind per row: in neither set, a row is unknown.
pub(super) struct Truth {
    pub(super) yes: BooleanBuffer,
    pub(super) no: BooleanBuffer,
}

impl BoundPredicate {
    /// For each row of `batch`: true, false or (null) unknown; only rows with true match. Columns are found in
    /// the batch by name and must have the types of the schema that the predicate was bound to, but that a
    /// dictionary may stand for its values and the other way round.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut columns = Vec::with_capacity(self.columns.len());
        for bound in &self.columns {
            let name = bound.path.name();
            let array = batch.column_by_name(name).ok_or_else(|| {
                Error::invalid("the condition asks for the column, but the batch lacks it").in_column(name)
            })?;
            let (steps, has) = nested::steps(&bound.path, array.data_type())?;
            if (&steps, &has) != (&bound.steps, &bound.data_type) {
                let wants = &bound.data_type;
                return Err(Error::invalid(format!("the condition was bound to type {wants}, the batch has {has}"))
                    .in_column(name));
            }
            columns.push(match bound.path.is_any() {
                // Its elements are asked list by list.
                true => Arc::clone(array),
                false => nested::inside(array, &steps).map_err(|e| e.in_column(name))?,
            });
        }
        let columns: Vec<&ArrayRef> = columns.iter().collect();
        let truth = self.root.truth(&columns, batch.num_rows())?;
        let known = &truth.yes | &truth.no;
        Ok(BooleanArray::new(truth.yes, Some(NullBuffer::new(known)).filter(|n| n.null_count() > 0)))
    }
}

impl Node {
    fn truth(&self, columns: &[&ArrayRef], rows: usize) -> Result<Truth> {
        let column = |index: usize| -> Result<&ArrayRef> {
            columns.get(index).copied().ok_or_else(|| Error::invalid("the condition names a column it has not bound"))
        };
        Ok(match self {
            Node::Constant(value) => Truth::constant(*value, rows),
            Node::Known { column: c, value } => {
                let valid = valid(column(*c)?);
                let none = BooleanBuffer::new_unset(rows);
                if *value { Truth { yes: valid, no: none } } else { Truth { yes: none, no: valid } }
            }
            Node::Compare { column: c, op, value } => Truth::from(compare_scalar(column(*c)?, *op, value)?),
            Node::CompareColumns { left, op, right, common } => {
                let left = common.widen(&plain(column(*left)?)?)?;
                let right = common.widen(&plain(column(*right)?)?)?;
                Truth::from(compare(&left, *op, &right)?)
            }
            Node::In { column: c, set } => {
                let mut truth = Truth::from(over_values(column(*c)?, &|array| set.contains(array))?);
                if set.has_null {
                    truth.no = BooleanBuffer::new_unset(rows);
                }
                truth
            }
            Node::Any { column: c, steps, condition } => nested::any(column(*c)?, steps, &|elements| {
                let columns = vec![elements; *c + 1];
                condition.truth(&columns, elements.len())
            })?,
            Node::IsNull { column: c } => {
                let valid = valid(column(*c)?);
                Truth { yes: !&valid, no: valid }
            }
            Node::Like { column: c, pattern } => Truth::from(over_values(column(*c)?, &|a| pattern.matches(a))?),
            Node::Is { condition, value } => {
                let inner = condition.truth(columns, rows)?;
                let yes = match value {
                    Some(true) => inner.yes,
                    Some(false) => inner.no,
                    None => !&(&inner.yes | &inner.no),
                };
                Truth { no: !&yes, yes }
            }
            Node::Not(inner) => {
                let inner = inner.truth(columns, rows)?;
                Truth { yes: inner.no, no: inner.yes }
            }
            Node::And(all) => {
                let mut truth = Truth::constant(Some(true), rows);
                for node in all {
                    truth = truth.and(&node.truth(columns, rows)?);
                }
                truth
            }
            Node::Or(any) => {
                let mut truth = Truth::constant(Some(false), rows);
                for node in any {
                    truth = truth.or(&node.truth(columns, rows)?);
                }
                truth
            }
        })
    }
}

/// Which answers (true, false, unknown) all (or any) of the conditions give over the elements of `array`, which is the
/// only column that they ask for.
pub(super) fn answers_over(
    nodes: &[&Node],
    is_and: bool,
    column: usize,
    array: &ArrayRef,
) -> Result<(bool, bool, bool)> {
    let columns = vec![array; column + 1];
    let rows = array.len();
    let mut all = Truth::constant(Some(is_and), rows);
    for node in nodes {
        let next = node.truth(&columns, rows)?;
        all = if is_and { all.and(&next) } else { all.or(&next) };
    }
    let (yes, no) = (all.yes.count_set_bits(), all.no.count_set_bits());
    Ok((yes > 0, no > 0, yes + no < rows))
}

impl Truth {
    fn and(&self, next: &Truth) -> Truth {
        Truth { yes: &self.yes & &next.yes, no: &self.no | &next.no }
    }

    fn or(&self, next: &Truth) -> Truth {
        Truth { yes: &self.yes | &next.yes, no: &self.no & &next.no }
    }

    fn constant(value: Option<bool>, rows: usize) -> Truth {
        let bits = |set: bool| if set { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
        Truth { yes: bits(value == Some(true)), no: bits(value == Some(false)) }
    }
}

impl From<BooleanArray> for Truth {
    fn from(array: BooleanArray) -> Truth {
        let (values, nulls) = array.into_parts();
        match nulls.filter(|n| n.null_count() > 0) {
            Some(nulls) => Truth { yes: &values & nulls.inner(), no: &!&values & nulls.inner() },
            None => Truth { no: !&values, yes: values },
        }
    }
}

/// A type with a dictionary's values instead of the dictionary.
pub(super) fn value_type(mut data_type: &DataType) -> &DataType {
    while let DataType::Dictionary(_, values) = data_type {
        data_type = values;
    }
    data_type
}

/// The array without its dictionary, and values of a fixed size as binary, since that is how they are compared.
pub(super) fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let values = cast(array, value_type(array.data_type()))?;
            plain(&values)
        }
        DataType::FixedSizeBinary(_) => Ok(cast(array, &DataType::Binary)?),
        _ => Ok(Arc::clone(array)),
    }
}

/// Each element against the one element of `value`.
pub(super) fn compare_scalar(array: &ArrayRef, op: Comparison, value: &ArrayRef) -> Result<BooleanArray> {
    over_values(array, &|array| {
        let array = plain(array)?;
        match value.data_type() {
            DataType::Float16 => Ok(float_scalar::<Float16Type>(&array, op, value, f16::is_nan)),
            DataType::Float32 => Ok(float_scalar::<Float32Type>(&array, op, value, f32::is_nan)),
            DataType::Float64 => Ok(float_scalar::<Float64Type>(&array, op, value, f64::is_nan)),
            _ => kernel(&array, op, &Scalar::new(Arc::clone(value))),
        }
    })
}

/// Each element against the one in the same place; both of one type, without dictionaries.
pub(super) fn compare(left: &ArrayRef, op: Comparison, right: &ArrayRef) -> Result<BooleanArray> {
    match (left.data_type(), right.data_type()) {
        (DataType::Float16, DataType::Float16) => Ok(float_columns::<Float16Type>(left, op, right, f16::is_nan)),
        (DataType::Float32, DataType::Float32) => Ok(float_columns::<Float32Type>(left, op, right, f32::is_nan)),
        (DataType::Float64, DataType::Float64) => Ok(float_columns::<Float64Type>(left, op, right, f64::is_nan)),
        (DataType::FixedSizeBinary(_), DataType::FixedSizeBinary(_)) => kernel(&plain(left)?, op, &plain(right)?),
        _ => kernel(left, op, right),
    }
}

/// A dictionary's values are asked once each, and its keys take the answers.
fn over_values(array: &ArrayRef, ask: &dyn Fn(&ArrayRef) -> Result<BooleanArray>) -> Result<BooleanArray> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) => {
            let answers = over_values(dictionary.values(), ask)?;
            Ok(arrow_select::take::take(&answers, dictionary.keys(), None)?.as_boolean().clone())
        }
        None => ask(array),
    }
}

fn kernel(left: &dyn arrow_array::Datum, op: Comparison, right: &dyn arrow_array::Datum) -> Result<BooleanArray> {
    Ok(match op {
        Comparison::Eq => cmp::eq(left, right)?,
        Comparison::NotEq => cmp::neq(left, right)?,
        Comparison::Lt => cmp::lt(left, right)?,
        Comparison::LtEq => cmp::lt_eq(left, right)?,
        Comparison::Gt => cmp::gt(left, right)?,
        Comparison::GtEq => cmp::gt_eq(left, right)?,
    })
}

/// Arrow's kernels order floats by sign bit first: -0.0 below 0.0, a negative NaN below everything. So floats
/// have their own, on the machine's comparisons, in which each one with NaN is false.
fn float_scalar<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    op: Comparison,
    value: &ArrayRef,
    is_nan: impl Fn(T::Native) -> bool,
) -> BooleanArray
where
    T::Native: PartialOrd,
{
    let array = array.as_primitive::<T>();
    let (a, b) = (array.values(), value.as_primitive::<T>().value(0));
    let bits = match (op, is_nan(b)) {
        (Comparison::Eq, false) => bits(a, |a| a == b),
        (Comparison::NotEq, false) => bits(a, |a| a != b),
        (Comparison::Lt, false) => bits(a, |a| a < b),
        (Comparison::LtEq, false) => bits(a, |a| a <= b),
        (Comparison::Gt, false) => !&bits(a, |a| a <= b),
        (Comparison::GtEq, false) => !&bits(a, |a| a < b),
        (Comparison::Eq | Comparison::GtEq, true) => bits(a, is_nan),
        (Comparison::NotEq | Comparison::Lt, true) => !&bits(a, is_nan),
        (Comparison::LtEq, true) => BooleanBuffer::new_set(a.len()),
        (Comparison::Gt, true) => BooleanBuffer::new_unset(a.len()),
    };
    BooleanArray::new(bits, array.nulls().cloned())
}

fn float_columns<T: ArrowPrimitiveType>(
    left: &ArrayRef,
    op: Comparison,
    right: &ArrayRef,
    is_nan: impl Fn(T::Native) -> bool + Copy,
) -> BooleanArray
where
    T::Native: PartialOrd,
{
    let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
    let equal = move |a: T::Native, b| a == b || (is_nan(a) && is_nan(b));
    let less = move |a: T::Native, b| a < b || (is_nan(b) && !is_nan(a));
    let pairs = || left.values().iter().copied().zip(right.values().iter().copied());
    let bits: BooleanBuffer = match op {
        Comparison::Eq => pairs().map(|(a, b)| equal(a, b)).collect(),
        Comparison::NotEq => pairs().map(|(a, b)| !equal(a, b)).collect(),
        Comparison::Lt => pairs().map(|(a, b)| less(a, b)).collect(),
        Comparison::LtEq => pairs().map(|(a, b)| !less(b, a)).collect(),
        Comparison::Gt => pairs().map(|(a, b)| less(b, a)).collect(),
        Comparison::GtEq => pairs().map(|(a, b)| !less(a, b)).collect(),
    };
    BooleanArray::new(bits, NullBuffer::union(left.nulls(), right.nulls()))
}

fn bits<T: Copy>(values: &[T], is: impl Fn(T) -> bool) -> BooleanBuffer {
    let word = |chunk: &[T]| chunk.iter().rev().fold(0u64, |word, v| word << 1 | u64::from(is(*v)));
    let words: Vec<u64> = values.chunks(64).map(|chunk| word(chunk).to_le()).collect();
    BooleanBuffer::new(Buffer::from_vec(words), 0, values.len())
}

/// Which elements are not NULL, also by a NULL among a dictionary's values.
fn valid(array: &ArrayRef) -> BooleanBuffer {
    match array.logical_nulls() {
        Some(nulls) => nulls.into_inner(),
        None => BooleanBuffer::new_set(array.len()),
    }
}
