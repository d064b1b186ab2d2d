//! How much of a batch is taken at once.
//!
//! A batch may be of any size, and a dictionary or a view may repeat one long value in every row. So that no
//! row group runs far beyond its bytes, a batch is taken in strips, bounded by what their values take in PLAIN.

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryType, BinaryViewType, ByteArrayType, ByteViewType, StringViewType};
use arrow_array::types::{LargeBinaryType, LargeUtf8Type, Utf8Type};
use arrow_array::{Array, GenericByteArray, GenericByteViewArray, RecordBatch};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

/// Rows of a strip at most: their converted values stay in the processor's caches.
const ROWS_MAX: usize = 16 << 10;

/// The next strip from row `at` on: at least one row, and not more than `rows_max`; with what its values take in PLAIN, about.
pub(super) fn next(batch: &RecordBatch, at: usize, rows_max: usize, bytes_max: usize) -> (RecordBatch, usize) {
    let mut count = (batch.num_rows() - at).min(rows_max).min(ROWS_MAX);
    loop {
        let bytes = bytes(batch, at, count);
        if count < 2 || bytes <= bytes_max {
            return (batch.slice(at, count), bytes);
        }
        count /= 2;
    }
}

fn bytes(batch: &RecordBatch, at: usize, count: usize) -> usize {
    batch.columns().iter().map(|column| value_bytes(&column.slice(at, count))).fold(0, usize::saturating_add)
}

/// Bytes that the values of an array take in PLAIN, about.
fn value_bytes(array: &dyn Array) -> usize {
    match array.data_type() {
        DataType::Utf8 => offsets(array.as_bytes::<Utf8Type>()),
        DataType::LargeUtf8 => offsets(array.as_bytes::<LargeUtf8Type>()),
        DataType::Binary => offsets(array.as_bytes::<BinaryType>()),
        DataType::LargeBinary => offsets(array.as_bytes::<LargeBinaryType>()),
        DataType::Utf8View => views(array.as_byte_view::<StringViewType>()),
        DataType::BinaryView => views(array.as_byte_view::<BinaryViewType>()),
        DataType::FixedSizeBinary(width) => array.len().saturating_mul(width.unsigned_abs() as usize),
        DataType::Dictionary(_, value) => match value.primitive_width() {
            Some(width) => array.len() * width,
            None => dictionary(array),
        },
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            columns.iter().map(|c| value_bytes(c)).fold(array.len(), usize::saturating_add)
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            elements(list.values(), list.value_offsets())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            elements(list.values(), list.value_offsets())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            elements(map.entries(), map.value_offsets())
        }
        DataType::FixedSizeList(..) => value_bytes(array.as_fixed_size_list().values()).saturating_add(array.len()),
        // Views may share their elements: by the average of one.
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            average(list.values()).saturating_mul(list.value_sizes().iter().map(|s| s.as_usize()).sum())
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            average(list.values()).saturating_mul(list.value_sizes().iter().map(|s| s.as_usize()).sum())
        }
        other => array.len() * other.primitive_width().unwrap_or(1),
    }
}

/// Of the elements between the first offset and the last.
fn elements<O: ArrowNativeType>(values: &dyn Array, offsets: &[O]) -> usize {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => {
            let (first, last) = (first.as_usize(), last.as_usize());
            value_bytes(&values.slice(first, last - first)).saturating_add(offsets.len())
        }
        _ => 0,
    }
}

fn average(values: &dyn Array) -> usize {
    value_bytes(values) / values.len().max(1) + 1
}

fn offsets<T: ByteArrayType>(array: &GenericByteArray<T>) -> usize {
    let offsets = array.value_offsets();
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => last.as_usize() - first.as_usize() + array.len() * size_of::<u32>(),
        _ => 0,
    }
}

/// A view's length stands in its low 32 bits.
fn views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> usize {
    array.views().iter().map(|&view| view as u32 as usize + size_of::<u32>()).fold(0, usize::saturating_add)
}

/// Of the keys' values, not of the dictionary: few long values may stand in many rows.
fn dictionary(array: &dyn Array) -> usize {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return 0 };
    let values = dictionary.values();
    if values.is_empty() {
        return 0;
    }
    let length = length_of(values);
    dictionary.normalized_keys().iter().map(|&key| length(key)).fold(0, usize::saturating_add)
}

/// The length of a value by its index, which is within the array.
fn length_of(values: &dyn Array) -> Box<dyn Fn(usize) -> usize + '_> {
    fn strings<T: ByteArrayType>(array: &GenericByteArray<T>) -> Box<dyn Fn(usize) -> usize + '_> {
        Box::new(|index| array.value_length(index).as_usize() + size_of::<u32>())
    }
    fn views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> Box<dyn Fn(usize) -> usize + '_> {
        Box::new(|index| array.views().get(index).map_or(0, |&view| view as u32 as usize) + size_of::<u32>())
    }
    match values.data_type() {
        DataType::Utf8 => strings(values.as_bytes::<Utf8Type>()),
        DataType::LargeUtf8 => strings(values.as_bytes::<LargeUtf8Type>()),
        DataType::Binary => strings(values.as_bytes::<BinaryType>()),
        DataType::LargeBinary => strings(values.as_bytes::<LargeBinaryType>()),
        DataType::Utf8View => views(values.as_byte_view::<StringViewType>()),
        DataType::BinaryView => views(values.as_byte_view::<BinaryViewType>()),
        DataType::FixedSizeBinary(width) => {
            let width = width.unsigned_abs() as usize;
            Box::new(move |_| width)
        }
        _ => Box::new(|_| 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow_array::{DictionaryArray, Int32Array, StringArray, StringViewArray};

    fn next(array: impl Array + 'static, at: usize, bytes_max: usize) -> usize {
        let batch = RecordBatch::try_from_iter([("a", Arc::new(array) as _)]).expect("a batch");
        let (strip, bytes) = super::next(&batch, at, usize::MAX, bytes_max);
        assert_eq!(strip, batch.slice(at, strip.num_rows()));
        assert!(bytes <= bytes_max || strip.num_rows() == 1);
        strip.num_rows()
    }

    #[test]
    fn a_strip_is_bounded_by_what_its_values_take() {
        let long = "x".repeat(1000);
        let strings = StringArray::from_iter_values((0..100).map(|i| if i < 50 { "a" } else { &long }));
        assert_eq!(next(strings.clone(), 0, 1_000_000), 100);
        assert_eq!(next(strings.clone(), 0, 30_000), 50);
        assert_eq!(next(strings.clone(), 0, 1), 1);
        assert_eq!(next(strings.slice(50, 50), 0, 30_000), 25);
        assert_eq!(next(strings, 99, 1), 1);
        assert_eq!(next(Int32Array::from_iter_values(0..100_000), 0, 1 << 20), ROWS_MAX);
    }

    #[test]
    fn repeated_values_count_each_time() {
        let long = "x".repeat(1000);
        let keys = Int32Array::from((0..1000).map(|i| (i % 2 == 0).then_some(1)).collect::<Vec<_>>());
        let dictionary = DictionaryArray::new(keys, Arc::new(StringArray::from(vec!["a", &long])));
        assert!((100..=250).contains(&next(dictionary, 0, 150_000)));
        let views = StringViewArray::from_iter_values(std::iter::repeat_n(&long, 1000));
        assert_eq!(next(views, 0, 150_000), 125);
    }
}
