//! An element of an array → the constant that means its value.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef};
use arrow_cast::display::array_value_to_string;
use arrow_schema::{DataType, TimeUnit};

use super::{Literal, Number};

impl Literal {
    /// The value of an array's first element; none where it is NULL, or where no constant means a value of its type.
    pub fn from_array(array: &ArrayRef) -> Option<Literal> {
        use DataType as D;
        if array.is_empty() || array.is_null(0) {
            return None;
        }
        let nanoseconds = |unit: &TimeUnit| match unit {
            TimeUnit::Second => 1_000_000_000,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1000,
            TimeUnit::Nanosecond => 1i64,
        };
        let number = || Number::parse(&array_value_to_string(array, 0).ok()?).map(Literal::Number);
        match array.data_type() {
            D::Boolean => Some(Literal::Boolean(array.as_boolean().value(0))),
            D::Float16 => Some(array.as_primitive::<Float16Type>().value(0).to_f32().into()),
            D::Float32 => Some(array.as_primitive::<Float32Type>().value(0).into()),
            D::Float64 => Some(array.as_primitive::<Float64Type>().value(0).into()),
            other if other.is_integer() => number(),
            D::Decimal32(_, scale) | D::Decimal64(_, scale) | D::Decimal128(_, scale) | D::Decimal256(_, scale) => {
                (*scale >= 0).then(number).flatten()
            }
            D::Utf8 => Some(array.as_string::<i32>().value(0).into()),
            D::LargeUtf8 => Some(array.as_string::<i64>().value(0).into()),
            D::Utf8View => Some(array.as_string_view().value(0).into()),
            D::Binary => Some(array.as_binary::<i32>().value(0).to_vec().into()),
            D::LargeBinary => Some(array.as_binary::<i64>().value(0).to_vec().into()),
            D::BinaryView => Some(array.as_binary_view().value(0).to_vec().into()),
            D::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(0).to_vec().into()),
            D::Date32 => Some(Literal::Date(array.as_primitive::<Date32Type>().value(0))),
            D::Timestamp(unit, _) => {
                let value = match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(0),
                    TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(0),
                    TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(0),
                    TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(0),
                };
                Some(Literal::Timestamp(i128::from(value) * i128::from(nanoseconds(unit))))
            }
            D::Time32(TimeUnit::Second) => {
                let value = array.as_primitive::<Time32SecondType>().value(0);
                Some(Literal::Time(i64::from(value) * nanoseconds(&TimeUnit::Second)))
            }
            D::Time32(_) => {
                let value = array.as_primitive::<Time32MillisecondType>().value(0);
                Some(Literal::Time(i64::from(value) * nanoseconds(&TimeUnit::Millisecond)))
            }
            D::Time64(TimeUnit::Microsecond) => {
                let value = array.as_primitive::<Time64MicrosecondType>().value(0);
                value.checked_mul(nanoseconds(&TimeUnit::Microsecond)).map(Literal::Time)
            }
            D::Time64(_) => Some(Literal::Time(array.as_primitive::<Time64NanosecondType>().value(0))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::col;
    use arrow_array::*;
    use arrow_buffer::i256;
    use std::sync::Arc;

    #[test]
    fn a_constant_equals_the_value_that_it_comes_from() {
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(BooleanArray::from(vec![true])),
            Arc::new(Int8Array::from(vec![-128])),
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            Arc::new(Float32Array::from(vec![0.1])),
            Arc::new(Float64Array::from(vec![1e300])),
            Arc::new(Float64Array::from(vec![f64::NAN])),
            Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])),
            Arc::new(Decimal128Array::from(vec![-12_345]).with_precision_and_scale(9, 2).unwrap()),
            Arc::new(Decimal256Array::from(vec![i256::from_i128(5)]).with_precision_and_scale(70, 9).unwrap()),
            Arc::new(StringArray::from(vec!["it's"])),
            Arc::new(StringViewArray::from(vec![""])),
            Arc::new(BinaryArray::from_vec(vec![&[0, 0xff]])),
            Arc::new(FixedSizeBinaryArray::try_from_iter([[1u8, 2]].into_iter()).unwrap()),
            Arc::new(Date32Array::from(vec![-7])),
            Arc::new(TimestampSecondArray::from(vec![i64::MAX])),
            Arc::new(TimestampMicrosecondArray::from(vec![-5]).with_timezone("UTC")),
            Arc::new(Time32SecondArray::from(vec![86_399])),
            Arc::new(Time64NanosecondArray::from(vec![5])),
        ];
        for array in arrays {
            let literal = Literal::from_array(&array).expect("a value");
            let batch = RecordBatch::try_from_iter([("x", array.clone())]).unwrap();
            let answer = col("x").eq(literal).bind(&batch.schema()).unwrap().evaluate(&batch).unwrap();
            assert!(answer.is_valid(0) && answer.value(0), "{array:?}");
        }
        let null: ArrayRef = Arc::new(Int8Array::from(vec![None]));
        assert_eq!(Literal::from_array(&null), None);
    }
}
