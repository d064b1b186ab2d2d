//! Which Arrow type a column gets back: the one it was written from, where that agrees with what is stored.

use arrow_schema::{DataType, Field, TimeUnit};

use super::{EXTENSION_NAME_KEY, Leaf};
use crate::parquet::format::{LogicalType, Type};

/// `field` with the type and metadata of `hint`, if the values of `leaf` can be held by that type.
///
/// The Parquet schema keeps the last word: a hint that does not fit, or is of another name, changes nothing,
/// and nullability is never taken from it.
pub(super) fn restore(field: Field, leaf: &mut Leaf, hint: &Field) -> Field {
    if hint.name() != field.name() || leaf.refusal.is_some() {
        return field;
    }
    let is_ordered = hint.dict_is_ordered().unwrap_or(false);
    let data_type = match hint.data_type() {
        DataType::Dictionary(key, value) if fits(leaf, field.data_type(), value) && key.is_dictionary_key_type() => {
            hint.data_type().clone()
        }
        other if fits(leaf, field.data_type(), other) => other.clone(),
        _ => return field,
    };
    let mut metadata = hint.metadata().clone();
    for (key, value) in field.metadata() {
        // An extension is a name with its metadata: both of the same field.
        if !(key.starts_with("ARROW:extension:") && metadata.contains_key(EXTENSION_NAME_KEY)) {
            metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    leaf.data_type = data_type.clone();
    field.with_data_type(data_type).with_dict_is_ordered(is_ordered).with_metadata(metadata)
}

/// Whether values of `leaf`, which are `own` by the Parquet schema alone, can be held by the type `asked`.
fn fits(leaf: &Leaf, own: &DataType, asked: &DataType) -> bool {
    use DataType as D;
    use TimeUnit as U;
    if own == asked {
        return true;
    }
    match (own, asked) {
        (D::Utf8, D::LargeUtf8 | D::Utf8View) => true,
        // Whether bytes are strings is checked when they are read.
        (D::Binary, D::LargeBinary | D::BinaryView | D::Utf8 | D::LargeUtf8 | D::Utf8View) => {
            leaf.physical == Type::ByteArray
        }
        (D::Decimal128(p, s) | D::Decimal256(p, s), asked) => match asked {
            // A longer array or a variable one may hold numbers beyond the precision.
            D::Decimal32(ap, as_) => (ap, as_) == (p, s) && *p <= 9 && leaf.physical == Type::Int32,
            D::Decimal64(ap, as_) => {
                (ap, as_) == (p, s) && *p <= 18 && matches!(leaf.physical, Type::Int32 | Type::Int64)
            }
            D::Decimal256(ap, as_) => (ap, as_) == (p, s),
            _ => false,
        },
        (D::Date32, D::Date64) => true,
        (D::Time32(U::Millisecond), D::Time32(U::Second)) => true,
        // The zone's name; that there is one is told by the Parquet schema.
        (D::Timestamp(unit, Some(_)), D::Timestamp(asked, Some(zone))) => !zone.is_empty() && may_be(unit, asked),
        (D::Timestamp(unit, None), D::Timestamp(asked, None)) => leaf.physical == Type::Int64 && may_be(unit, asked),
        // INT96 tells neither.
        (D::Timestamp(U::Nanosecond, None), D::Timestamp(U::Nanosecond, Some(zone))) => {
            leaf.physical == Type::Int96 && !zone.is_empty()
        }
        // Types that some writers store as bare integers.
        (D::Int64, D::Duration(_) | D::Timestamp(_, _) | D::Time64(_) | D::Date64) => is_bare(leaf),
        (D::Int32, D::Time32(_)) => is_bare(leaf),
        _ => false,
    }
}

/// Seconds are stored as milliseconds; every other unit is stored as itself.
fn may_be(stored: &TimeUnit, asked: &TimeUnit) -> bool {
    stored == asked || (*stored == TimeUnit::Millisecond && *asked == TimeUnit::Second)
}

fn is_bare(leaf: &Leaf) -> bool {
    !matches!(leaf.logical, Some(LogicalType::Integer(_)))
}
