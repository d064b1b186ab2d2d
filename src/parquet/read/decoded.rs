//! How much was decoded: the bytes that values take as Arrow has them.

use arrow_array::cast::AsArray;
use arrow_array::types::ByteArrayType;
use arrow_array::types::{BinaryType, LargeBinaryType, LargeUtf8Type, Utf8Type};
use arrow_array::{Array, GenericByteArray, OffsetSizeTrait};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

/// Bytes of an array: values, offsets and validity. Of views, not what they point to, as nobody has copied it; of
/// dictionaries, the keys.
pub(super) fn bytes_of(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    let validity = if array.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    let values = match array.data_type() {
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 => strings::<Utf8Type>(array.as_bytes()),
        DataType::LargeUtf8 => strings::<LargeUtf8Type>(array.as_bytes()),
        DataType::Binary => strings::<BinaryType>(array.as_bytes()),
        DataType::LargeBinary => strings::<LargeBinaryType>(array.as_bytes()),
        DataType::Utf8View | DataType::BinaryView => rows * 16,
        DataType::FixedSizeBinary(width) => rows * u64::try_from(*width).unwrap_or(0),
        DataType::Struct(_) => array.as_struct().columns().iter().map(bytes_of_column).sum(),
        DataType::List(_) => lists::<i32>(rows, array.as_list::<i32>().values()),
        DataType::LargeList(_) => lists::<i64>(rows, array.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => bytes_of(array.as_fixed_size_list().values()),
        DataType::ListView(_) => rows * 4 + lists::<i32>(rows, array.as_list_view::<i32>().values()),
        DataType::LargeListView(_) => rows * 8 + lists::<i64>(rows, array.as_list_view::<i64>().values()),
        DataType::Map(..) => rows * 4 + bytes_of(array.as_map().entries()),
        DataType::Dictionary(keys, _) => rows * keys.primitive_width().unwrap_or(0) as u64,
        other => rows * other.primitive_width().unwrap_or(0) as u64,
    };
    validity + values
}

fn bytes_of_column(array: &arrow_array::ArrayRef) -> u64 {
    bytes_of(array)
}

fn strings<T: ByteArrayType>(array: &GenericByteArray<T>) -> u64 {
    let offsets = array.value_offsets();
    let edge = |offset: Option<&T::Offset>| -> u64 { offset.map_or(0, |offset| offset.as_usize() as u64) };
    edge(offsets.last()).saturating_sub(edge(offsets.first())) + size_of_val(offsets) as u64
}

fn lists<O: OffsetSizeTrait>(rows: u64, values: &dyn Array) -> u64 {
    rows * size_of::<O>() as u64 + bytes_of(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BooleanArray, Int32Array, ListArray, StringArray, StringViewArray, StructArray};
    use std::sync::Arc;

    #[test]
    fn bytes_are_those_of_values_offsets_and_validity() {
        let numbers = Int32Array::from(vec![1, 2, 3]);
        assert_eq!(bytes_of(&numbers), 12);
        assert_eq!(bytes_of(&numbers.slice(1, 2)), 8);
        assert_eq!(bytes_of(&Int32Array::from(vec![Some(1), None])), 9);
        assert_eq!(bytes_of(&BooleanArray::from(vec![true; 9])), 2);
        assert_eq!(bytes_of(&StringArray::from(vec!["ab", "c"])), 3 + 12);
        assert_eq!(bytes_of(&StringViewArray::from(vec!["a string that is not in its view"])), 16);
        let list = ListArray::from_iter_primitive::<arrow_array::types::Int32Type, _, _>([Some([Some(1), Some(2)])]);
        assert_eq!(bytes_of(&list), 4 + 8 + u64::from(list.values().nulls().is_some()));
        let pair = StructArray::try_from(vec![("a", Arc::new(numbers) as arrow_array::ArrayRef)]).unwrap();
        assert_eq!(bytes_of(&pair), 12);
    }
}
