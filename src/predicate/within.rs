//! `IN` with many values: a sorted array to search bounds in, a hash set to look rows up in.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, BooleanArray, downcast_primitive_array};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, i256};
use arrow_ord::ord::make_comparator;
use arrow_ord::sort::sort;
use arrow_schema::{DataType, SortOptions};
use arrow_select::concat::concat;
use arrow_select::take::take;
use hashbrown::HashSet;

use super::evaluate::plain;
use crate::error::Result;

/// From so many values on a set is quicker than one comparison after the other.
pub(super) const VALUES_MIN: usize = 9;

/// The values of an `IN`, none of them NULL.
#[derive(Debug, Clone)]
pub(super) struct Set {
    /// Ascending, each once; of floats, zero is 0.0.
    sorted: ArrayRef,
    lookup: Lookup,
    /// There was a NULL among them: what is not one of the others is unknown.
    pub(super) has_null: bool,
}

#[derive(Debug, Clone)]
enum Lookup {
    Numbers(HashSet<i128>),
    Wide(HashSet<i256>),
    Bytes(HashSet<Box<[u8]>>),
}

impl Set {
    /// Of arrays of one element each, of a column's type.
    pub(super) fn new(values: &[ArrayRef], has_null: bool) -> Result<Option<Set>> {
        let all: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
        if all.is_empty() {
            return Ok(None);
        }
        let all = positive_zeros(plain(&concat(&all)?)?);
        let sorted = sort(&all, Some(SortOptions { descending: false, nulls_first: true }))?;
        let sorted = distinct(&sorted)?;
        let Some(lookup) = Lookup::of(&sorted) else { return Ok(None) };
        Ok(Some(Set { sorted, lookup, has_null }))
    }

    /// Which elements are in it; NULL is unknown.
    pub(super) fn contains(&self, array: &ArrayRef) -> Result<BooleanArray> {
        let array = plain(array)?;
        let is_in = match &self.lookup {
            Lookup::Numbers(set) => {
                numbers(&array, &mut |len, get| BooleanBuffer::collect_bool(len, |at| set.contains(&get(at))))
            }
            Lookup::Wide(set) => {
                let values = array.as_primitive::<Decimal256Type>().values();
                Some(values.iter().map(|value| set.contains(value)).collect())
            }
            Lookup::Bytes(set) => {
                byte_strings(&array, &mut |len, get| BooleanBuffer::collect_bool(len, |at| set.contains(get(at))))
            }
        };
        let is_in = is_in.unwrap_or_else(|| BooleanBuffer::new_unset(array.len()));
        Ok(BooleanArray::new(is_in, array.logical_nulls()))
    }

    /// Its values between two of the same type, either of which may not be known.
    pub(super) fn between(&self, min: Option<&ArrayRef>, max: Option<&ArrayRef>) -> ArrayRef {
        let len = self.sorted.len();
        // As many as are below a bound, or at most at it.
        let below = |edge: Option<&ArrayRef>, or_at: bool, unknown: usize| {
            let Some(edge) = edge else { return unknown };
            let edge = positive_zeros(edge.clone());
            let Ok(compare) = make_comparator(&self.sorted, &edge, SortOptions::default()) else { return unknown };
            let places: Vec<usize> = (0..len).collect();
            places.partition_point(|&at| if or_at { compare(at, 0).is_le() } else { compare(at, 0).is_lt() })
        };
        let (start, end) = (below(min, false, 0), below(max, true, len));
        self.sorted.slice(start, end.saturating_sub(start))
    }
}

impl Lookup {
    fn of(values: &ArrayRef) -> Option<Lookup> {
        if values.data_type().is_primitive() && matches!(values.data_type(), DataType::Decimal256(..)) {
            return Some(Lookup::Wide(values.as_primitive::<Decimal256Type>().values().iter().copied().collect()));
        }
        let mut set = HashSet::new();
        let filled = numbers(values, &mut |len, get| {
            set.extend((0..len).map(get));
            BooleanBuffer::new_unset(0)
        });
        if filled.is_some() {
            return Some(Lookup::Numbers(set));
        }
        let mut set: HashSet<Box<[u8]>> = HashSet::new();
        byte_strings(values, &mut |len, get| {
            set.extend((0..len).map(|at| Box::from(get(at))));
            BooleanBuffer::new_unset(0)
        })?;
        Some(Lookup::Bytes(set))
    }
}

type OverNumbers<'a> = dyn FnMut(usize, &dyn Fn(usize) -> i128) -> BooleanBuffer + 'a;

/// Calls `over` with how many numbers there are, and what gives the number of a place that stands for all equal to it.
fn numbers(array: &ArrayRef, over: &mut OverNumbers<'_>) -> Option<BooleanBuffer> {
    macro_rules! floats {
        ($t:ty, $zero:expr) => {{
            let values = array.as_primitive::<$t>().values();
            let key = |at: usize| match values.get(at) {
                Some(v) if v.is_nan() => i128::MAX,
                Some(v) if *v == $zero => 0,
                Some(v) => i128::from(v.to_bits()),
                None => i128::MIN,
            };
            Some(over(values.len(), &key))
        }};
    }
    match array.data_type() {
        DataType::Float16 => floats!(Float16Type, half::f16::ZERO),
        DataType::Float32 => floats!(Float32Type, 0.0),
        DataType::Float64 => floats!(Float64Type, 0.0),
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>().values();
            Some(over(values.len(), &|at| values.get(at).copied().unwrap_or(i128::MIN)))
        }
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().values();
            Some(over(values.len(), &|at| values.get(at).map_or(i128::MIN, |&v| v.into())))
        }
        DataType::Decimal256(..) | DataType::Interval(_) => None,
        _ => downcast_primitive_array!(
            array => {
                let values = array.values();
                Some(over(values.len(), &|at| values.get(at).and_then(|v| v.to_i64()).map_or(i128::MIN, i128::from)))
            },
            _ => None,
        ),
    }
}

type OverBytes<'a> = dyn FnMut(usize, &dyn Fn(usize) -> &'a [u8]) -> BooleanBuffer + 'a;

fn byte_strings<'a>(array: &'a ArrayRef, over: &mut OverBytes<'a>) -> Option<BooleanBuffer> {
    macro_rules! each {
        ($array:expr) => {{
            let array = $array;
            Some(over(array.len(), &|at| array.value(at).as_ref()))
        }};
    }
    match array.data_type() {
        DataType::Utf8 => each!(array.as_string::<i32>()),
        DataType::LargeUtf8 => each!(array.as_string::<i64>()),
        DataType::Utf8View => each!(array.as_string_view()),
        DataType::Binary => each!(array.as_binary::<i32>()),
        DataType::LargeBinary => each!(array.as_binary::<i64>()),
        DataType::BinaryView => each!(array.as_binary_view()),
        _ => None,
    }
}

/// Of floats, -0.0 as 0.0 and each NaN as the same one: Arrow's order tells them apart.
fn positive_zeros(array: ArrayRef) -> ArrayRef {
    macro_rules! floats {
        ($t:ty, $zero:expr, $nan:expr) => {
            std::sync::Arc::new(array.as_primitive::<$t>().unary::<_, $t>(|v| match v {
                v if v.is_nan() => $nan,
                v if v == $zero => $zero,
                v => v,
            }))
        };
    }
    match array.data_type() {
        DataType::Float16 => floats!(Float16Type, half::f16::ZERO, half::f16::NAN),
        DataType::Float32 => floats!(Float32Type, 0.0, f32::NAN),
        DataType::Float64 => floats!(Float64Type, 0.0, f64::NAN),
        _ => array,
    }
}

/// Each value of a sorted array once.
fn distinct(sorted: &ArrayRef) -> Result<ArrayRef> {
    let compare = make_comparator(sorted, sorted, SortOptions::default())?;
    let first = |at: &u32| *at == 0 || compare(*at as usize - 1, *at as usize).is_ne();
    let firsts: arrow_array::UInt32Array = (0..sorted.len() as u32).filter(first).collect();
    Ok(take(sorted, &firsts, None)?)
}
