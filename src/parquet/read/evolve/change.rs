//! Values of one type as values of a wider one; nested types field by field.
//!
//! ```text
//! from                                 to, without loss
//! ---------------------------------------------------------------------------------------------
//! Int8, 16, 32; UInt8, 16, 32, 64      a wider integer that holds all values
//! Int8, 16, 32; UInt8, 16, 32          Float64
//! integers                             Decimal(p, s) where p - s digits hold all values
//! Float16, Float32                     Float32, Float64
//! Decimal(p, s)                        Decimal(p', s') where s' >= s and p' - s' >= p - s, in any width
//! Date32                               Timestamp without a zone, Date64
//! Timestamp, Time, Duration            a finer unit; overflow is an error. A zone may get another name, not come or go
//! Utf8, LargeUtf8, Utf8View            each other; Binary, LargeBinary, BinaryView
//! Binary, LargeBinary, BinaryView      each other
//! FixedSizeBinary                      Binary, LargeBinary, BinaryView
//! Dictionary(_, v), v                  what v may become, with a dictionary or without
//! Null                                 anything that may be null
//! Struct                               Struct: by name or id, fields may be missing, more, or in another order
//! List, LargeList, FixedSizeList, …    List, LargeList, … of changed elements; Map: of changed keys and values
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, GenericListArray, Int64Array, MapArray, OffsetSizeTrait, StructArray,
    UInt64Array, make_array, new_null_array,
};
use arrow_cast::{CastOptions, can_cast_types, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use arrow_select::take::take;

use super::Matching;
use crate::error::{Error, Result};
use crate::parquet::arrow::FIELD_ID_KEY;
use crate::parquet::arrow::node::{element, with_element};
use crate::predicate::ColumnBounds;

/// What makes values of the type asked for of those in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// They are.
    None,
    /// By Arrow's cast, which is exact between these types.
    Cast(DataType),
    /// Counts of a unit, times this factor.
    Scale(i64, DataType),
    /// Instants in microseconds, rounded down; the unit's parts of a microsecond.
    Round(i64, DataType),
    /// Days to counts of a unit, so many a day.
    Days(i64, DataType),
    /// One after another.
    Both(Box<Change>, Box<Change>),
    /// Field by field.
    Struct(Fields, Vec<Part>),
    /// A list of any layout: its elements, then its layout.
    List(FieldRef, Box<Change>, DataType),
    /// A map's entries.
    Map(FieldRef, Box<Change>, bool),
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// The file's field of this number.
    File(usize, Change),
    /// The same value in each row.
    Constant(ArrayRef),
}

impl PartialEq for Part {
    fn eq(&self, other: &Part) -> bool {
        match (self, other) {
            (Part::File(a, x), Part::File(b, y)) => (a, x) == (b, y),
            (Part::Constant(a), Part::Constant(b)) => a == b,
            _ => false,
        }
    }
}

/// What a change goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub matching: Matching,
    /// The values of fields that are missing, by path.
    pub defaults: &'a BTreeMap<String, ArrayRef>,
    /// Whether instants of any unit, with a zone or without, become microseconds, rounded down: what Delta tables hold.
    pub rounds: bool,
    /// Whether the column is stored as INT96, which means UTC and does not say so.
    pub is_int96: bool,
}

/// The one that was found, if any.
pub(super) fn only(mut found: impl Iterator<Item = usize>, path: impl Fn() -> String) -> Result<Option<usize>> {
    let first = found.next();
    if found.next().is_some() {
        return Err(Error::invalid("the file has more than one such column").in_column(path()));
    }
    Ok(first)
}

impl Rules<'_> {
    /// The place of the file's field that is `asked` for.
    pub(crate) fn position(&self, asked: &Field, there: &Fields, above: &str) -> Result<Option<usize>> {
        let path = || join(above, asked.name());
        let found: Box<dyn Iterator<Item = usize>> = match self.matching {
            Matching::Name => {
                let same = there.iter().enumerate().filter(|(_, field)| field.name() == asked.name());
                Box::new(same.map(|(at, _)| at))
            }
            Matching::FieldId => {
                let id = |field: &Field| field.metadata().get(FIELD_ID_KEY).and_then(|id| id.parse::<i32>().ok());
                let Some(wanted) = id(asked) else {
                    let message = format!("columns are matched by field id, and it has none in {FIELD_ID_KEY}");
                    return Err(Error::invalid(message).in_column(path()));
                };
                let same = there.iter().enumerate().filter(move |(_, field)| id(field) == Some(wanted));
                Box::new(same.map(|(at, _)| at))
            }
        };
        only(found, path)
    }

    /// The value of a field that the file does not have.
    pub(crate) fn constant(&self, asked: &Field, path: &str) -> Result<ArrayRef> {
        match self.defaults.get(path) {
            Some(value) if value.len() != 1 || value.data_type() != asked.data_type() => {
                let (count, data_type) = (value.len(), value.data_type());
                let message = format!("its default is {count} of {data_type}, wanted is one {}", asked.data_type());
                Err(Error::invalid(message).in_column(path))
            }
            Some(value) if value.is_null(0) && !asked.is_nullable() => {
                Err(Error::invalid("its default is null, and it may not be").in_column(path))
            }
            Some(value) => Ok(Arc::clone(value)),
            None if asked.is_nullable() => Ok(new_null_array(asked.data_type(), 1)),
            None => {
                let message = "the file does not have it, it may not be null, and it has no default";
                Err(Error::invalid(message).in_column(path))
            }
        }
    }
}

impl Change {
    /// From the file's field to the one asked for; none where the types are the same.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the column and both types where values could be lost.
    pub(crate) fn new(from: &Field, to: &Field, rules: &Rules<'_>, path: &str) -> Result<Option<Change>> {
        Ok(match Change::of(from.data_type(), to.data_type(), rules, path)? {
            Change::None => None,
            change => Some(change),
        })
    }

    fn of(from: &DataType, to: &DataType, rules: &Rules<'_>, path: &str) -> Result<Change> {
        if from == to && rules.matching == Matching::Name {
            return Ok(Change::None);
        }
        let lossy = || {
            let message = format!("the file has {from}, {to} is asked for, which cannot hold all of its values");
            Error::invalid(message).in_column(path)
        };
        match (from, to) {
            (DataType::Struct(there), DataType::Struct(asked)) => {
                let part = |field: &FieldRef| {
                    let position = rules.position(field, there, path)?;
                    let path = join(path, field.name());
                    Ok(match position.and_then(|at| Some((at, there.get(at)?))) {
                        Some((at, from)) => {
                            Part::File(at, Change::of(from.data_type(), field.data_type(), rules, &path)?)
                        }
                        None => Part::Constant(rules.constant(field, &path)?),
                    })
                };
                Ok(Change::Struct(asked.clone(), asked.iter().map(part).collect::<Result<_>>()?))
            }
            (DataType::Map(there, _), DataType::Map(asked, sorted)) => {
                let (DataType::Struct(pair), DataType::Struct(asked_pair)) = (there.data_type(), asked.data_type())
                else {
                    return Err(lossy());
                };
                // Keys and values go by their place.
                let part = |((at, name), (from, to)): ((usize, &str), (&FieldRef, &FieldRef))| {
                    let change = Change::of(from.data_type(), to.data_type(), rules, &join(path, name))?;
                    Ok(Part::File(at, change))
                };
                let parts = [(0, "key"), (1, "value")].into_iter().zip(pair.iter().zip(asked_pair)).map(part);
                let entries = Change::Struct(asked_pair.clone(), parts.collect::<Result<_>>()?);
                Ok(Change::Map(Arc::clone(asked), Box::new(entries), *sorted))
            }
            (DataType::Map(..), _) | (_, DataType::Map(..)) => Err(lossy()),
            _ => match (element(from), element(to)) {
                (Some(there), Some(asked)) => {
                    let path = join(path, "element");
                    let inner = Change::of(there.data_type(), asked.data_type(), rules, &path)?;
                    let is_kept = layout(from) == layout(to);
                    let changed = with_element(from, Arc::clone(asked));
                    match (from, to) {
                        // Lists of a length that must be the same for all.
                        (_, DataType::FixedSizeList(..)) if !is_kept => Err(lossy()),
                        _ if !is_kept && !can_cast_types(&changed, to) => Err(lossy()),
                        _ => Ok(Change::List(Arc::clone(asked), Box::new(inner), to.clone())),
                    }
                }
                (None, None) => leaf(from, to, rules).ok_or_else(lossy),
                _ => Err(lossy()),
            },
        }
    }

    /// The changed values.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a value is beyond the new type (an instant in a finer unit), or null where it may not be.
    pub(crate) fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        match self {
            Change::None => Ok(Arc::clone(array)),
            Change::Cast(to) => exact(array, to),
            Change::Scale(factor, to) => {
                let scaled = counts(array)?.try_unary::<_, Int64Type, _>(|count| {
                    count.checked_mul(*factor).ok_or_else(|| beyond(count, array.data_type(), to))
                })?;
                of_counts(scaled, to)
            }
            Change::Round(parts, to) => of_counts(counts(array)?.unary(|count| count.div_euclid(*parts)), to),
            Change::Days(per_day, to) => {
                let days = array.as_primitive::<Date32Type>();
                let counts = days.try_unary::<_, Int64Type, _>(|day| {
                    let day = i64::from(day);
                    day.checked_mul(*per_day).ok_or_else(|| beyond(day, array.data_type(), to))
                })?;
                of_counts(counts, to)
            }
            Change::Both(first, second) => second.apply(&first.apply(array)?),
            Change::Struct(fields, parts) => {
                let there = array.as_struct();
                let column = |part: &Part| match part {
                    Part::File(at, change) => match there.columns().get(*at) {
                        Some(column) => change.apply(column),
                        None => Err(Error::invalid("a field of the struct is not there")),
                    },
                    Part::Constant(value) => Ok(take(value, &UInt64Array::from(vec![0; array.len()]), None)?),
                };
                let columns = parts.iter().map(column).collect::<Result<Vec<_>>>()?;
                let nulls = there.nulls().cloned();
                let made = StructArray::try_new_with_length(fields.clone(), columns, nulls, array.len());
                Ok(Arc::new(made?))
            }
            Change::List(field, inner, to) => {
                let changed = list(array, field, inner)?;
                if changed.data_type() == to { Ok(changed) } else { exact(&changed, to) }
            }
            Change::Map(field, inner, sorted) => {
                let map = array.as_map();
                let entries: ArrayRef = Arc::new(map.entries().clone());
                let entries = inner.apply(&entries)?.as_struct().clone();
                let (field, nulls) = (Arc::clone(field), map.nulls().cloned());
                Ok(Arc::new(MapArray::try_new(field, map.offsets().clone(), entries, nulls, *sorted)?))
            }
        }
    }

    /// What holds of the changed values. All changes keep the order of values.
    pub(crate) fn bounds(&self, stored: ColumnBounds) -> ColumnBounds {
        let edge = |edge: Option<ArrayRef>| edge.and_then(|edge| self.apply(&edge).ok());
        let was_float = [&stored.min, &stored.max].into_iter().flatten().any(|e| e.data_type().is_floating());
        let (min, max) = (edge(stored.min), edge(stored.max));
        let is_float = [&min, &max].into_iter().flatten().any(|e| e.data_type().is_floating());
        // What was no float has no NaN.
        let nan_count = if is_float && !was_float { Some(0) } else { stored.nan_count };
        ColumnBounds { min, max, null_count: stored.null_count, nan_count }
    }
}

/// The change of values that are not nested; none where there is none without loss.
fn leaf(from: &DataType, to: &DataType, rules: &Rules<'_>) -> Option<Change> {
    use DataType as D;
    if from == to {
        return Some(Change::None);
    }
    let cast = || can_cast_types(from, to).then(|| Change::Cast(to.clone()));
    let both = |first: Change, second: Change| match (first, second) {
        (Change::None, only) | (only, Change::None) => only,
        (first, second) => Change::Both(Box::new(first), Box::new(second)),
    };
    match (from, to) {
        (D::Dictionary(_, value), to) => {
            let rest = leaf(value, to, rules)?;
            Some(both(Change::Cast(value.as_ref().clone()), rest))
        }
        (from, D::Dictionary(_, value)) => Some(both(leaf(from, value, rules)?, Change::Cast(to.clone()))),
        (D::Null, _) => cast(),
        (D::Float16, D::Float32 | D::Float64) | (D::Float32, D::Float64) | (D::Date32, D::Date64) => cast(),
        (D::Date32, D::Timestamp(unit, None)) => Some(Change::Days(86_400 * per_second(*unit), to.clone())),
        (D::Timestamp(unit, _), D::Timestamp(TimeUnit::Microsecond, _)) if rules.rounds => {
            Some(match per_second(*unit) / 1_000_000 {
                0 => Change::Scale(1_000_000 / per_second(*unit), to.clone()),
                parts => Change::Round(parts, to.clone()),
            })
        }
        (D::Timestamp(a, zone), D::Timestamp(b, asked))
            if zone.is_some() == asked.is_some() || (rules.is_int96 && zone.is_none()) =>
        {
            finer(*a, *b, to)
        }
        (D::Time32(a) | D::Time64(a), D::Time32(b) | D::Time64(b)) | (D::Duration(a), D::Duration(b)) => {
            finer(*a, *b, to)
        }
        (D::FixedSizeBinary(_), D::Binary) => cast(),
        (D::FixedSizeBinary(_), D::LargeBinary | D::BinaryView) => {
            Some(both(Change::Cast(D::Binary), Change::Cast(to.clone())))
        }
        (from, to) if is_text(from) && (is_text(to) || is_bytes(to)) => match cast() {
            Some(cast) => Some(cast),
            None => Some(both(Change::Cast(D::Binary), Change::Cast(to.clone()))),
        },
        (from, to) if is_bytes(from) && is_bytes(to) => cast(),
        (from, to) => {
            let fits = match (integer(from), integer(to), decimal(from), decimal(to)) {
                (Some((signed, bits)), Some((to_signed, to_bits)), ..) => to_bits > bits && (to_signed || !signed),
                (Some((_, bits)), None, _, None) => *to == D::Float64 && bits <= 32,
                (Some((signed, bits)), None, _, Some((precision, scale))) => {
                    let digits = match bits {
                        8 => 3,
                        16 => 5,
                        32 => 10,
                        _ => 19 + i16::from(!signed),
                    };
                    precision - scale >= digits && scale >= 0
                }
                (.., Some((p, s)), Some((to_p, to_s))) => to_s >= s && to_p - to_s >= p - s,
                _ => false,
            };
            if fits { cast() } else { None }
        }
    }
}

fn is_text(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(t: &DataType) -> bool {
    matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

/// Whether an integer is signed, and its bits.
fn integer(t: &DataType) -> Option<(bool, u8)> {
    Some(match t {
        DataType::Int8 => (true, 8),
        DataType::Int16 => (true, 16),
        DataType::Int32 => (true, 32),
        DataType::Int64 => (true, 64),
        DataType::UInt8 => (false, 8),
        DataType::UInt16 => (false, 16),
        DataType::UInt32 => (false, 32),
        DataType::UInt64 => (false, 64),
        _ => return None,
    })
}

fn decimal(t: &DataType) -> Option<(i16, i16)> {
    match t {
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => Some((i16::from(*p), i16::from(*s))),
        _ => None,
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn finer(from: TimeUnit, to: TimeUnit, data_type: &DataType) -> Option<Change> {
    match per_second(to) / per_second(from) {
        0 => None,
        factor => Some(Change::Scale(factor, data_type.clone())),
    }
}

/// A list type but for its element.
fn layout(list: &DataType) -> Option<DataType> {
    let nothing = Arc::new(Field::new("", DataType::Null, true));
    element(list).map(|_| with_element(list, nothing))
}

/// Dates and times as the numbers that they are.
fn counts(array: &ArrayRef) -> Result<Int64Array> {
    let counts = match array.data_type() {
        DataType::Time32(_) => exact(array, &DataType::Int32)?,
        _ => Arc::clone(array),
    };
    Ok(exact(&counts, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn of_counts(counts: Int64Array, to: &DataType) -> Result<ArrayRef> {
    let counts: ArrayRef = Arc::new(counts);
    match to {
        DataType::Time32(_) => exact(&exact(&counts, &DataType::Int32)?, to),
        // Arrow's cast to a zone may move the instant.
        DataType::Timestamp(..) => Ok(make_array(counts.to_data().into_builder().data_type(to.clone()).build()?)),
        _ => exact(&counts, to),
    }
}

/// Not "safe" in Arrow's word, which turns what does not fit into nulls.
fn exact(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    Ok(cast_with_options(array, to, &options)?)
}

/// A list of the same layout with changed elements.
fn list(array: &ArrayRef, field: &FieldRef, inner: &Change) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::List(_) => of_offsets(array.as_list::<i32>(), field, inner),
        DataType::LargeList(_) => of_offsets(array.as_list::<i64>(), field, inner),
        DataType::FixedSizeList(_, n) => {
            let list = array.as_fixed_size_list();
            let (values, nulls) = (inner.apply(list.values())?, list.nulls().cloned());
            let made = FixedSizeListArray::try_new_with_length(Arc::clone(field), *n, values, nulls, list.len());
            Ok(Arc::new(made?))
        }
        // Views are lists by another layout.
        other => {
            let plain = match other {
                DataType::LargeListView(f) => DataType::LargeList(Arc::clone(f)),
                DataType::ListView(f) => DataType::List(Arc::clone(f)),
                other => return Err(Error::invalid(format!("{other} is no list"))),
            };
            let changed = list(&exact(array, &plain)?, field, inner)?;
            exact(&changed, &with_element(other, Arc::clone(field)))
        }
    }
}

fn of_offsets<O: OffsetSizeTrait>(list: &GenericListArray<O>, field: &FieldRef, inner: &Change) -> Result<ArrayRef> {
    let (values, nulls) = (inner.apply(list.values())?, list.nulls().cloned());
    Ok(Arc::new(GenericListArray::<O>::try_new(Arc::clone(field), list.offsets().clone(), values, nulls)?))
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") }
}

#[cold]
fn beyond(count: i64, from: &DataType, to: &DataType) -> Error {
    Error::invalid(format!("the {from} {count} is beyond what {to} holds"))
}
