//! Least and greatest values, as statistics and page indexes hold them, as Arrow values of the column.
//!
//! Spec: parquet.thrift, `Statistics`, `ColumnOrder`, `ColumnIndex`; PageIndex.md.
//!
//! A bound that is missing, of a wrong length, NaN, not of the column's type or of an unknown order is no
//! bound: it is never a reason to drop a row. One that was cut short (strings) still is a bound.

use arrow_array::ArrayRef;
use arrow_buffer::builder::BooleanBufferBuilder;
use arrow_schema::DataType;
use half::f16;

use crate::parquet::arrow::{Leaf, ValueOrder};
use crate::parquet::encoding::plain;
use crate::parquet::format::{ColumnIndex, ColumnOrder, Footer, Statistics, Type};
use crate::predicate::ColumnBounds;

use super::ReaderOptions;
use super::budget::Budget;
use super::levels::Validity;
use super::page::{PageBytes, Values};
use super::target;

/// The order of leaf `index`, if bounds by it can be relied on.
pub(super) fn order(footer: &Footer, leaf: &Leaf, index: usize) -> ValueOrder {
    // Without an entry, the specification leaves open what the bounds mean.
    match footer.column_orders.as_ref().and_then(|orders| orders.get(index)) {
        Some(ColumnOrder::TypeOrder(_)) => leaf.order,
        // What runs over comes out in another order.
        Some(ColumnOrder::Int96TimestampOrder(_)) if leaf.physical == Type::Int96 && !leaf.runs_over => {
            ValueOrder::Chronological
        }
        // Total order differs from it in the zeros, which are equal here, and in NaN, which is no bound here.
        Some(ColumnOrder::Ieee754TotalOrder(_)) if leaf.order == ValueOrder::Float => leaf.order,
        _ => ValueOrder::Undefined,
    }
}

/// What a chunk's statistics say of its `rows` rows.
pub(super) fn of_statistics(
    statistics: Option<&Statistics>,
    leaf: &Leaf,
    order: ValueOrder,
    rows: usize,
) -> ColumnBounds {
    let Some(statistics) = statistics else {
        return ColumnBounds { null_count: (leaf.def_max == 0).then_some(0), ..ColumnBounds::default() };
    };
    let (mut min, mut max) = (None, None);
    if order != ValueOrder::Undefined {
        (min, max) = (statistics.min_value.as_deref(), statistics.max_value.as_deref());
    }
    if min.is_none() && max.is_none() && matches!(leaf.order, ValueOrder::Signed | ValueOrder::Boolean) {
        // The fields of old were compared as signed numbers, whatever the type said.
        (min, max) = (statistics.min.as_deref(), statistics.max.as_deref());
    }
    let one = |bound: Option<&[u8]>| Some(values(leaf, &[Some(bound?)])?.slice(0, 1));
    ColumnBounds {
        min: one(min),
        max: one(max),
        null_count: null_count(statistics.null_count, leaf, rows),
        nan_count: statistics.nan_count.and_then(|n| u64::try_from(n).ok()),
    }
}

/// What a column index says of the pages of one chunk.
#[derive(Debug)]
pub(super) struct PageBounds {
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    counts: Vec<(Option<u64>, Option<u64>)>,
}

impl PageBounds {
    /// None if the index contradicts itself or the `rows` of each page.
    pub(super) fn new(index: &ColumnIndex, leaf: &Leaf, order: ValueOrder, rows: &[usize]) -> Option<PageBounds> {
        let pages = rows.len();
        let fits = |n: usize| n == pages;
        if !fits(index.null_pages.len())
            || !fits(index.min_values.len())
            || !fits(index.max_values.len())
            || index.null_counts.as_ref().is_some_and(|n| !fits(n.len()))
            || index.nan_counts.as_ref().is_some_and(|n| !fits(n.len()))
        {
            return None;
        }
        let edges = |bounds: &[Vec<u8>]| {
            if order == ValueOrder::Undefined {
                return None;
            }
            let known = bounds.iter().zip(&index.null_pages).map(|(b, &is_null)| (!is_null).then_some(b.as_slice()));
            values(leaf, &known.collect::<Vec<_>>())
        };
        let at = |counts: &Option<Vec<i64>>, page: usize| counts.as_ref().and_then(|c| c.get(page).copied());
        let counts = rows.iter().zip(&index.null_pages).enumerate().map(|(page, (&rows, &is_null))| {
            let nulls = if is_null { i64::try_from(rows).ok() } else { at(&index.null_counts, page) };
            (null_count(nulls, leaf, rows), at(&index.nan_counts, page).and_then(|n| u64::try_from(n).ok()))
        });
        Some(PageBounds { min: edges(&index.min_values), max: edges(&index.max_values), counts: counts.collect() })
    }

    /// What holds for every part of page `page`.
    pub(super) fn page(&self, page: usize) -> ColumnBounds {
        let one = |edges: &Option<ArrayRef>| {
            edges.as_ref().filter(|e| page < e.len()).map(|e| e.slice(page, 1)).filter(|e| !e.is_null(0))
        };
        let (null_count, nan_count) = self.counts.get(page).copied().unwrap_or_default();
        ColumnBounds { min: one(&self.min), max: one(&self.max), null_count, nan_count }
    }
}

/// The bounds of a part, from those of the whole of `whole_rows` rows: counts are known where none or all is counted.
pub(super) fn of_part(whole: ColumnBounds, whole_rows: u64, part_rows: u64) -> ColumnBounds {
    let part = |count: Option<u64>| match count {
        Some(0) => Some(0),
        Some(n) if n == whole_rows => Some(part_rows),
        _ => None,
    };
    ColumnBounds { null_count: part(whole.null_count), nan_count: part(whole.nan_count), ..whole }
}

fn null_count(count: Option<i64>, leaf: &Leaf, rows: usize) -> Option<u64> {
    if leaf.def_max == 0 {
        return Some(0);
    }
    count.and_then(|n| u64::try_from(n).ok()).filter(|&n| n <= rows as u64)
}

/// What bounds may take in memory: those that take more, as where a width of gigabytes is claimed, are not known.
const MEMORY_BYTES: usize = 64 << 20;

/// Values in the form of statistics (PLAIN, but strings without their lengths) as an array of the leaf's value
/// type; what is unknown or not sound is null. None if the type has no such values.
fn values(leaf: &Leaf, bounds: &[Option<&[u8]>]) -> Option<ArrayRef> {
    let mut target = target::new(leaf, &Budget::of(&ReaderOptions::default().with_memory_bytes(MEMORY_BYTES))).ok()?;
    let mut mask = BooleanBufferBuilder::new(bounds.len());
    let mut plain = Vec::new();
    let mut bits = Vec::new();
    let mut present = 0;
    for bound in bounds {
        let bound = bound.filter(|b| is_sound(b, leaf));
        mask.append(bound.is_some());
        let Some(bound) = bound else { continue };
        present += 1;
        match leaf.physical {
            Type::Boolean => bits.push(bound == [1]),
            Type::ByteArray => plain::encode_byte_array(bound, &mut plain),
            _ => plain.extend_from_slice(bound),
        }
    }
    plain::encode_booleans(bits, &mut plain);
    let mut values = Values { bytes: PageBytes::Own(plain), ..Values::default() };
    target.read_spaced(&mut values, present, &mask).ok()?;
    let mut validity = Validity::default();
    validity.push_mask(&mask);
    target.finish(validity.finish()).ok()
}

/// Whether the bytes are a value of the leaf that compares as such.
fn is_sound(bound: &[u8], leaf: &Leaf) -> bool {
    let value_type = match &leaf.data_type {
        DataType::Dictionary(_, value) => value.as_ref(),
        other => other,
    };
    let int = |range: std::ops::RangeInclusive<i32>| {
        bound.first_chunk().is_some_and(|v| bound.len() == 4 && range.contains(&i32::from_le_bytes(*v)))
    };
    match leaf.physical {
        Type::Boolean => matches!(bound, [0 | 1]),
        // A value beyond its annotation is cut when it is read, so its bounds say nothing of what is read.
        Type::Int32 => match value_type {
            DataType::Int8 => int(-128..=127),
            DataType::Int16 => int(-32_768..=32_767),
            DataType::UInt8 => int(0..=255),
            DataType::UInt16 => int(0..=65_535),
            _ => bound.len() == 4,
        },
        Type::Int64 => bound.len() == 8,
        Type::Float => bound.try_into().is_ok_and(|v| !f32::from_le_bytes(v).is_nan()),
        Type::Double => bound.try_into().is_ok_and(|v| !f64::from_le_bytes(v).is_nan()),
        Type::FixedLenByteArray if leaf.order == ValueOrder::Float => {
            bound.try_into().is_ok_and(|v| !f16::from_le_bytes(v).is_nan())
        }
        Type::FixedLenByteArray => bound.len() == leaf.type_length,
        Type::ByteArray => match value_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => std::str::from_utf8(bound).is_ok(),
            DataType::Decimal128(..) => bound.len() <= 16,
            DataType::Decimal256(..) => bound.len() <= 32,
            _ => u32::try_from(bound.len()).is_ok(),
        },
        Type::Int96 => bound.len() == 12,
        Type::Unknown(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;
    use arrow_array::types::*;

    fn leaf(physical: Type, type_length: usize, data_type: DataType, order: ValueOrder) -> Leaf {
        Leaf { def_max: 1, data_type, order, ..Leaf::required(physical, type_length) }
    }

    fn statistics() -> Statistics {
        Statistics {
            max: None,
            min: None,
            null_count: None,
            distinct_count: None,
            max_value: None,
            min_value: None,
            is_max_value_exact: None,
            is_min_value_exact: None,
            nan_count: None,
        }
    }

    #[test]
    fn bounds_become_values_of_the_columns_type() {
        let int8 = leaf(Type::Int32, 0, DataType::Int8, ValueOrder::Signed);
        let minus = (-7i32).to_le_bytes();
        let wide = 300i32.to_le_bytes();
        let array = values(&int8, &[Some(&minus), None, Some(&wide), Some(&[1])]).expect("an array");
        let got: Vec<_> = array.as_primitive::<Int8Type>().iter().collect();
        assert_eq!(got, [Some(-7), None, None, None]);

        let text = leaf(Type::ByteArray, 0, DataType::Utf8, ValueOrder::Bytes);
        let array = values(&text, &[Some(b"abc"), Some(&[0xff]), Some(b"")]).expect("an array");
        assert_eq!(array.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("abc"), None, Some("")]);

        let float = leaf(Type::Double, 0, DataType::Float64, ValueOrder::Float);
        let nan = f64::NAN.to_le_bytes();
        assert!(values(&float, &[Some(&nan)]).expect("an array").is_null(0));

        let flag = leaf(Type::Boolean, 0, DataType::Boolean, ValueOrder::Boolean);
        let array = values(&flag, &[Some(&[1]), Some(&[0]), Some(&[])]).expect("an array");
        assert_eq!(array.as_boolean().iter().collect::<Vec<_>>(), [Some(true), Some(false), None]);
    }

    #[test]
    fn fields_of_old_count_for_signed_numbers_only() {
        let five = 5i32.to_le_bytes().to_vec();
        let old = Statistics { min: Some(five.clone()), max: Some(five.clone()), ..statistics() };
        let signed = leaf(Type::Int32, 0, DataType::Int32, ValueOrder::Signed);
        let known = of_statistics(Some(&old), &signed, ValueOrder::Undefined, 9);
        assert_eq!(known.min.expect("known").as_primitive::<Int32Type>().value(0), 5);
        assert_eq!(known.null_count, None, "not counted is not none");
        let unsigned = leaf(Type::Int32, 0, DataType::UInt32, ValueOrder::Unsigned);
        assert!(of_statistics(Some(&old), &unsigned, ValueOrder::Unsigned, 9).min.is_none());
        // The new ones need an order.
        let new = Statistics { min_value: Some(five.clone()), max_value: Some(five), ..statistics() };
        assert!(of_statistics(Some(&new), &unsigned, ValueOrder::Undefined, 9).max.is_none());
        assert!(of_statistics(Some(&new), &unsigned, ValueOrder::Unsigned, 9).max.is_some());
    }

    #[test]
    fn counts_that_cannot_be_are_not_known() {
        let column = leaf(Type::Int32, 0, DataType::Int32, ValueOrder::Signed);
        for (count, want) in [(Some(3), Some(3)), (Some(10), None), (Some(-1), None), (None, None)] {
            let s = Statistics { null_count: count, ..statistics() };
            assert_eq!(of_statistics(Some(&s), &column, ValueOrder::Signed, 9).null_count, want);
        }
        let known = |n| ColumnBounds { null_count: Some(n), ..ColumnBounds::default() };
        assert_eq!(of_part(known(0), 10, 4).null_count, Some(0));
        assert_eq!(of_part(known(10), 10, 4).null_count, Some(4));
        assert_eq!(of_part(known(5), 10, 4).null_count, None);
    }
}
