//! A null as an array, for those who ask what a type's null means or need a value to stand where none is.

use arrow_array::{ArrayRef, new_null_array};
use arrow_schema::DataType;

use crate::error::{Error, Result};

/// Bytes. A null takes as much as any value of its type: of a width that a file has made up, it may be anything.
const WIDTH_MAX: u64 = 1 << 20;

/// One null of the type; [`Error::Limit`] for one of fixed widths that take more than [`WIDTH_MAX`] together.
pub(crate) fn one(data_type: &DataType) -> Result<ArrayRef> {
    match width(data_type) > WIDTH_MAX {
        true => Err(Error::limit(format!("a null of {data_type}, whose values take more than {WIDTH_MAX} bytes"))),
        false => Ok(new_null_array(data_type, 1)),
    }
}

/// What a null takes of what the type says of widths and counts, in bytes, about.
fn width(of: &DataType) -> u64 {
    // Below zero they are refused where arrays are made.
    let count = |n: &i32| u64::try_from(*n).unwrap_or(0);
    match of {
        DataType::FixedSizeBinary(width) => count(width),
        DataType::Struct(fields) => fields.iter().fold(0, |sum, field| sum.saturating_add(width(field.data_type()))),
        DataType::FixedSizeList(item, items) => count(items).saturating_mul(width(item.data_type())),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Array;
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn a_null_is_no_wider_than_anybody_asked_for() {
        let binary = |width| DataType::FixedSizeBinary(width);
        let below = |of: DataType| DataType::Struct(vec![Field::new("a", of, true)].into());
        let list = |of: DataType, count| DataType::FixedSizeList(Arc::new(Field::new("item", of, true)), count);
        for of in [DataType::Int8, binary(1 << 20), below(binary(3)), list(binary(3), 2)] {
            let null = one(&of).expect("narrow");
            assert!(null.len() == 1 && null.is_null(0), "{of}");
        }
        let many = list(binary(1 << 11), 1 << 11);
        for of in [binary(i32::MAX), below(binary(i32::MAX)), list(DataType::Int8, i32::MAX), list(many, 2)] {
            assert!(matches!(one(&of), Err(Error::Limit(_))), "{of}");
        }
    }
}
