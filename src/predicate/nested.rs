//! Fields inside structs and elements of lists, of a schema and of arrays.
//!
//! ```text
//! path                  type                            steps                           of a row that
//! ---------------------------------------------------------------------------------------------------------
//! a.b                   Struct{b}                       Field(b)                        has no a: no b either
//! any(tags)             List<Utf8>                      Elements                        has no tags: unknown
//! any(people.name)      List<Struct{name}>              Elements, Field(name)           has no people: unknown
//! any(list.element)     List<Int64>                     Elements (the name is the element's own)
//! any(m.key)            Map<Utf8, _>                    Elements, Field(0)
//! ```

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Fields};
use arrow_select::nullif::nullif;

use super::ColumnPath;
use super::evaluate::Truth;
use crate::error::{Error, Result};

/// From an array to one inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The struct's field of this number.
    Field(usize),
    /// The elements of the list; the entries of the map.
    Elements,
}

/// The steps of a path that begins at a column of type `data_type`, and the type of what it leads to.
pub(super) fn steps(path: &ColumnPath, mut data_type: &DataType) -> Result<(Vec<Step>, DataType)> {
    let mut steps = Vec::new();
    let invalid = |message: String| Err(Error::invalid(message).in_column(path.plain()));
    for name in path.fields() {
        // The name of a list's element may stand for it.
        let mut own_name = None;
        while let Some(element) = element(data_type) {
            if !path.is_any() {
                return invalid(format!("{name} is in a list: any(…) around the path asks for one of its elements"));
            }
            steps.push(Step::Elements);
            let is_map = matches!(data_type, DataType::Map(..));
            data_type = element.data_type();
            if is_map {
                break;
            }
            own_name = Some(element.name());
        }
        let is_own = own_name.is_some_and(|own| name == own || matches!(name.as_str(), "element" | "item"));
        match data_type {
            DataType::Struct(fields) => match place(fields, name, steps.last()) {
                Some(at) => {
                    steps.push(Step::Field(at));
                    data_type = fields.get(at).map_or(&DataType::Null, |field| field.data_type());
                }
                None if is_own => {}
                None => {
                    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                    return invalid(format!("there is no field {name}; those there are {}", names.join(", ")));
                }
            },
            _ if is_own => {}
            other => return invalid(format!("there is no field {name} in values of type {other}")),
        }
    }
    if path.is_any() {
        while let Some(element) = element(data_type) {
            if matches!(data_type, DataType::Map(..)) {
                return invalid("it is a map: ask for its key or its value, as in any(m.key)".to_owned());
            }
            steps.push(Step::Elements);
            data_type = element.data_type();
        }
        if !steps.contains(&Step::Elements) {
            return invalid("there is no list in it: leave any(…) out".to_owned());
        }
    }
    while let DataType::Dictionary(_, values) = data_type {
        data_type = values;
    }
    Ok((steps, data_type.clone()))
}

/// The place of a field; of a map's entries, key and value go by their place, too.
fn place(fields: &Fields, name: &str, above: Option<&Step>) -> Option<usize> {
    let mut named = fields.iter().enumerate().filter(|(_, field)| field.name() == name).map(|(at, _)| at);
    match (named.next(), named.next()) {
        (Some(at), None) => Some(at),
        (None, _) if above == Some(&Step::Elements) && fields.len() == 2 => match name {
            "key" => Some(0),
            "value" => Some(1),
            _ => None,
        },
        _ => None,
    }
}

fn element(data_type: &DataType) -> Option<&Arc<Field>> {
    match data_type {
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::ListView(f)
        | DataType::LargeListView(f)
        | DataType::FixedSizeList(f, _)
        | DataType::Map(f, _) => Some(f),
        _ => None,
    }
}

/// What `array` holds at the end of `steps`, none of which goes through a list.
pub(super) fn inside(array: &ArrayRef, steps: &[Step]) -> Result<ArrayRef> {
    let mut array = Arc::clone(array);
    for step in steps {
        array = match step {
            Step::Field(at) => field(&array, *at)?,
            Step::Elements => return Err(other_type(&array)),
        };
    }
    Ok(array)
}

/// For each row, whether `ask` finds an element at the end of `steps` to be true. Without one, a row is unknown if an
/// element is, or if a list on the way is NULL; else false.
pub(super) fn any(array: &ArrayRef, steps: &[Step], ask: &dyn Fn(&ArrayRef) -> Result<Truth>) -> Result<Truth> {
    match steps.split_first() {
        None => ask(array),
        Some((Step::Field(at), rest)) => any(&field(array, *at)?, rest, ask),
        Some((Step::Elements, rest)) => {
            // Views of lists may overlap: one list behind the other is simpler to go through.
            let as_lists = match array.data_type() {
                DataType::ListView(f) => Some(cast(array, &DataType::List(Arc::clone(f)))?),
                DataType::LargeListView(f) => Some(cast(array, &DataType::LargeList(Arc::clone(f)))?),
                _ => None,
            };
            let array = as_lists.as_ref().unwrap_or(array);
            let rows = array.len();
            let (elements, ends): (ArrayRef, Vec<usize>) = match array.data_type() {
                DataType::List(_) => {
                    let list = array.as_list::<i32>();
                    (Arc::clone(list.values()), list.value_offsets().iter().map(|&end| end as usize).collect())
                }
                DataType::LargeList(_) => {
                    let list = array.as_list::<i64>();
                    (Arc::clone(list.values()), list.value_offsets().iter().map(|&end| end as usize).collect())
                }
                DataType::FixedSizeList(_, size) => {
                    let list = array.as_fixed_size_list();
                    let size = usize::try_from(*size).unwrap_or(0);
                    (Arc::clone(list.values()), (0..=rows).map(|row| row * size).collect())
                }
                DataType::Map(..) => {
                    let map = array.as_map();
                    let entries: ArrayRef = Arc::new(map.entries().clone());
                    (entries, map.value_offsets().iter().map(|&end| end as usize).collect())
                }
                _ => return Err(other_type(array)),
            };
            let (first, last) = (ends.first().copied().unwrap_or(0), ends.last().copied().unwrap_or(0));
            let answers = any(&elements.slice(first, last - first), rest, ask)?;
            let lists = || {
                ends.windows(2).map(|pair| match pair {
                    [start, end] => start - first..end - first,
                    _ => 0..0,
                })
            };
            let yes: BooleanBuffer = lists().map(|mut list| list.any(|at| answers.yes.value(at))).collect();
            let no: BooleanBuffer = lists().map(|mut list| list.all(|at| answers.no.value(at))).collect();
            Ok(match array.nulls() {
                Some(nulls) => Truth { yes: &yes & nulls.inner(), no: &no & nulls.inner() },
                None => Truth { yes, no },
            })
        }
    }
}

/// A struct's field, NULL where the struct is.
fn field(array: &ArrayRef, at: usize) -> Result<ArrayRef> {
    let structs = array.as_struct_opt().ok_or_else(|| other_type(array))?;
    let field = structs.columns().get(at).ok_or_else(|| other_type(array))?;
    match structs.nulls().filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) if *field.data_type() != DataType::Null => Ok(nullif(field, &absent(nulls))?),
        _ => Ok(Arc::clone(field)),
    }
}

fn absent(nulls: &NullBuffer) -> BooleanArray {
    BooleanArray::new(!nulls.inner(), None)
}

fn other_type(array: &ArrayRef) -> Error {
    Error::invalid(format!("the condition was bound to another type than the batch's {}", array.data_type()))
}
