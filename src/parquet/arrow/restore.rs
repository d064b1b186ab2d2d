//! Which Arrow type a column gets back: the one it was written from, where that agrees with what is stored.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, TimeUnit};

use super::node::{self, Kind, Node};
use super::{EXTENSION_NAME_KEY, Leaf};
use crate::parquet::format::{LogicalType, Type};

/// Gives `node` the type and metadata of `hint`, if its values can be held by that type.
///
/// The Parquet schema keeps the last word: a hint that does not fit, or is of another name, changes nothing,
/// and nullability is never taken from it.
///
/// `keeps_int96`: the unit of timestamps in INT96 was asked for, and is not the hint's business.
pub(super) fn restore(node: &mut Node, leaves: &mut [Leaf], hint: &Field, keeps_int96: bool) {
    if hint.name() == node.field.name() {
        apply(node, leaves, hint, keeps_int96);
    }
}

/// The same below the top, where elements, entries, keys and values go by place and not by name.
fn apply(node: &mut Node, leaves: &mut [Leaf], hint: &Field, keeps_int96: bool) {
    // Most columns of most files are what their Parquet schema says.
    let is_leaf = matches!(node.kind, Kind::Leaf(number) if leaves.get(number).is_some_and(|l| !l.runs_over));
    if is_leaf && node.field.data_type() == hint.data_type() && hint.metadata().is_empty() {
        return;
    }
    let own = node.field.data_type().clone();
    let asked = match node.kind {
        Kind::Leaf(_) => hint.data_type(),
        // Arrow has kernels for few of them: read as their values.
        _ => node::unpacked(hint.data_type()),
    };
    let data_type = match (&mut node.kind, asked) {
        (Kind::Leaf(number), asked) => match leaves.get_mut(*number) {
            Some(leaf) => leaf_type(leaf, &own, asked, keeps_int96),
            None => None,
        },
        (Kind::Struct(children), DataType::Struct(asked)) if children.len() == asked.len() => {
            for (child, asked) in children.iter_mut().zip(asked) {
                restore(child, leaves, asked, keeps_int96);
            }
            Some(node::struct_of(children.iter().map(|c| Arc::clone(&c.field)).collect()))
        }
        (Kind::List(entries), DataType::Map(asked, sorted)) if matches!(own, DataType::Map(..)) => {
            restore_entries(entries, leaves, asked, keeps_int96);
            Some(DataType::Map(Arc::clone(&entries.field), *sorted))
        }
        (Kind::List(element), asked) if !matches!(own, DataType::Map(..)) && !matches!(asked, DataType::Map(..)) => {
            node::element(asked).map(|hint| {
                apply(element, leaves, hint, keeps_int96);
                element.field = node::renamed(&element.field, hint.name());
                node::with_element(asked, Arc::clone(&element.field))
            })
        }
        _ => None,
    };
    let Some(data_type) = data_type else { return };
    let is_ordered = hint.dict_is_ordered().unwrap_or(false);
    let metadata = merged(hint.metadata(), node.field.metadata());
    let field = node.field.as_ref().clone().with_data_type(data_type);
    node.field = Arc::new(field.with_dict_is_ordered(is_ordered).with_metadata(metadata));
}

/// A map's entries: Arrow leaves the names of the three to the writer.
fn restore_entries(entries: &mut Node, leaves: &mut [Leaf], hint: &FieldRef, keeps_int96: bool) {
    let (Kind::Struct(children), DataType::Struct(asked)) = (&mut entries.kind, hint.data_type()) else { return };
    if children.len() != asked.len() {
        return;
    }
    for (child, asked) in children.iter_mut().zip(asked) {
        apply(child, leaves, asked, keeps_int96);
        child.field = node::renamed(&child.field, asked.name());
    }
    let fields = children.iter().map(|c| Arc::clone(&c.field)).collect();
    entries.field =
        Arc::new(Field::new(hint.name(), node::struct_of(fields), false).with_metadata(hint.metadata().clone()));
}

fn leaf_type(leaf: &mut Leaf, own: &DataType, asked: &DataType, keeps_int96: bool) -> Option<DataType> {
    let value = match asked {
        DataType::Dictionary(_, value) => value,
        other => other,
    };
    let is_fit = match asked {
        DataType::Dictionary(key, value) => fits(leaf, own, value) && key.is_dictionary_key_type() && packs(value),
        other => fits(leaf, own, other),
    };
    let is_kept = match (own, value) {
        (DataType::Timestamp(unit, _), DataType::Timestamp(asked, _)) => unit == asked,
        _ => false,
    };
    if !is_fit || leaf.refusal.is_some() || (leaf.physical == Type::Int96 && keeps_int96 && !is_kept) {
        return None;
    }
    leaf.data_type = asked.clone();
    leaf.runs_over = false;
    Some(asked.clone())
}

fn merged(hint: &HashMap<String, String>, own: &HashMap<String, String>) -> HashMap<String, String> {
    let mut metadata = hint.clone();
    for (key, value) in own {
        // An extension is a name with its metadata: both of the same field.
        if !(key.starts_with("ARROW:extension:") && metadata.contains_key(EXTENSION_NAME_KEY)) {
            metadata.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    metadata
}

/// The field with views in place of strings and binary values, at any depth; none where it has none of these.
pub(super) fn with_views(field: &FieldRef) -> Option<FieldRef> {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Struct(fields) => {
            let with: Vec<_> = fields.iter().map(with_views).collect();
            if with.iter().all(Option::is_none) {
                return None;
            }
            node::struct_of(with.into_iter().zip(fields).map(|(w, f)| w.unwrap_or_else(|| Arc::clone(f))).collect())
        }
        DataType::Map(entries, sorted) => DataType::Map(with_views(entries)?, *sorted),
        other => node::with_element(other, with_views(node::element(other)?)?),
    };
    Some(Arc::new(field.as_ref().clone().with_data_type(data_type)))
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
        // Of a field that was given its large type before.
        (D::LargeUtf8, D::Utf8View) | (D::LargeBinary, D::BinaryView) => true,
        // Whether bytes are strings is checked when they are read.
        (D::Binary, D::LargeBinary | D::BinaryView | D::Utf8 | D::LargeUtf8 | D::Utf8View) => {
            leaf.physical == Type::ByteArray
        }
        (D::Decimal128(p, s) | D::Decimal256(p, s), asked) => match asked {
            // A longer array or a variable one may hold numbers beyond the precision.
            D::Decimal32(ap, as_) => (ap, as_) == (p, s) && *p <= 9 && stored_bytes(leaf).is_some_and(|n| n <= 4),
            D::Decimal64(ap, as_) => (ap, as_) == (p, s) && *p <= 18 && stored_bytes(leaf).is_some_and(|n| n <= 8),
            D::Decimal256(ap, as_) => (ap, as_) == (p, s),
            _ => false,
        },
        (D::Date32, D::Date64) => true,
        (D::Time32(U::Millisecond), D::Time32(U::Second)) => true,
        // The zone's name; that there is one is told by the Parquet schema.
        (D::Timestamp(unit, Some(_)), D::Timestamp(asked, Some(zone))) => !zone.is_empty() && may_be(unit, asked),
        (D::Timestamp(unit, None), D::Timestamp(asked, None)) => leaf.physical == Type::Int96 || may_be(unit, asked),
        // INT96 tells neither unit nor zone.
        (D::Timestamp(_, None), D::Timestamp(_, Some(zone))) => leaf.physical == Type::Int96 && !zone.is_empty(),
        // That a value has no parts which the type lacks is checked when it is read.
        (D::Interval(_), D::Interval(_)) => true,
        // Types that some writers store as bare integers.
        (D::Int64, D::Duration(_) | D::Timestamp(_, _) | D::Time64(_) | D::Date64) => is_bare(leaf),
        (D::Int32, D::Time32(_)) => is_bare(leaf),
        _ => false,
    }
}

/// Whether Arrow's kernels make dictionaries of such values.
fn packs(value: &DataType) -> bool {
    value.is_numeric()
        || value.is_string()
        || value.is_binary()
        || matches!(
            value,
            DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Timestamp(..)
                | DataType::FixedSizeBinary(_)
        )
}

/// The bytes of each value, if all values have as many.
fn stored_bytes(leaf: &Leaf) -> Option<usize> {
    match leaf.physical {
        Type::Int32 => Some(4),
        Type::Int64 => Some(8),
        Type::FixedLenByteArray => Some(leaf.type_length),
        _ => None,
    }
}

/// Seconds are stored as milliseconds; every other unit is stored as itself.
fn may_be(stored: &TimeUnit, asked: &TimeUnit) -> bool {
    stored == asked || (*stored == TimeUnit::Millisecond && *asked == TimeUnit::Second)
}

fn is_bare(leaf: &Leaf) -> bool {
    !matches!(leaf.logical, Some(LogicalType::Integer(_)))
}
