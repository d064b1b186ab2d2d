//! Nested values as JSON text: `[1,null]`, `{"a":1}`. A map with texts for keys is an object, any other one a list of
//! `{"key":…,"value":…}`.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};

use super::cells::{Cells, Form, cells};
use crate::error::Result;

/// How the values of a nested column are written; `None` when it is not one of those that are.
pub(super) fn nested_cells(array: &ArrayRef) -> Result<Option<Cells<'_>>> {
    Ok(Some(match array.data_type() {
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let (items, offsets) = (Items::of(item, list.values())?, list.value_offsets());
            Box::new(move |i, out| items.write(offset(offsets, i)..offset(offsets, i + 1), out))
        }
        DataType::LargeList(item) => {
            let list = array.as_list::<i64>();
            let (items, offsets) = (Items::of(item, list.values())?, list.value_offsets());
            Box::new(move |i, out| items.write(offset(offsets, i)..offset(offsets, i + 1), out))
        }
        DataType::FixedSizeList(item, size) => {
            let list = array.as_fixed_size_list();
            let items = Items::of(item, list.values())?;
            let size = usize::try_from(*size).unwrap_or(0);
            Box::new(move |i, out| {
                let start = usize::try_from(list.value_offset(i)).unwrap_or(0);
                items.write(start..start + size, out);
            })
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            let parts = columns.map(|(f, a)| Ok((key(f.name()), Items::of(f, a)?))).collect::<Result<Vec<_>>>()?;
            Box::new(move |i, out| {
                out.push('{');
                for (at, (key, part)) in parts.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(key);
                    part.one(i, out);
                }
                out.push('}');
            })
        }
        DataType::Map(entry, _) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entry.data_type() else { return Ok(None) };
            let [key_field, value_field] = fields.as_ref() else { return Ok(None) };
            let (keys, values) = (Items::of(key_field, map.keys())?, Items::of(value_field, map.values())?);
            let is_text = matches!(key_field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            let offsets = map.value_offsets();
            Box::new(move |i, out| {
                out.push(if is_text { '{' } else { '[' });
                for (at, entry) in (offset(offsets, i)..offset(offsets, i + 1)).enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(if is_text { "" } else { "{\"key\":" });
                    keys.one(entry, out);
                    out.push_str(if is_text { ":" } else { ",\"value\":" });
                    values.one(entry, out);
                    out.push_str(if is_text { "" } else { "}" });
                }
                out.push(if is_text { '}' } else { ']' });
            })
        }
        _ => return Ok(None),
    }))
}

/// A name as the key of a JSON object, with its colon.
pub(super) fn key(name: &str) -> String {
    format!("{}:", serde_json::Value::from(name))
}

/// The values inside.
struct Items<'a> {
    cells: Cells<'a>,
    nulls: Option<NullBuffer>,
}

impl<'a> Items<'a> {
    fn of(field: &Field, array: &'a ArrayRef) -> Result<Items<'a>> {
        Ok(Items { cells: cells(field, array, Form::Json)?, nulls: array.logical_nulls() })
    }

    fn one(&self, at: usize, out: &mut String) {
        match self.nulls.as_ref().is_some_and(|n| n.is_null(at)) {
            true => out.push_str("null"),
            false => (self.cells)(at, out),
        }
    }

    fn write(&self, range: std::ops::Range<usize>, out: &mut String) {
        out.push('[');
        for (n, at) in range.enumerate() {
            if n > 0 {
                out.push(',');
            }
            self.one(at, out);
        }
        out.push(']');
    }
}

/// Arrow has checked that offsets are neither negative nor too large.
fn offset<T: Copy + TryInto<usize>>(offsets: &[T], at: usize) -> usize {
    offsets.get(at).and_then(|o| (*o).try_into().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{Int32Builder, MapBuilder, StringBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::*;

    use super::*;

    fn texts(array: ArrayRef) -> Vec<Option<String>> {
        let field = Field::new("x", array.data_type().clone(), true);
        let cells = cells(&field, &array, Form::Json).unwrap();
        let text = |i| {
            let mut out = String::new();
            cells(i, &mut out);
            out
        };
        (0..array.len()).map(|i| array.is_valid(i).then(|| text(i))).collect()
    }

    #[test]
    fn lists_structs_and_maps_are_json() {
        let rows = [Some(vec![Some(1), None]), None, Some(vec![])];
        let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows.clone()));
        assert_eq!(texts(list.clone()), [Some("[1,null]".into()), None, Some("[]".into())]);
        assert_eq!(texts(list.slice(2, 1)), [Some("[]".into())]);
        let name: ArrayRef = Arc::new(StringArray::from(vec![Some("a\"b"), None, Some("c")]));
        let both = StructArray::from(vec![
            (Arc::new(Field::new("n", name.data_type().clone(), true)), name),
            (Arc::new(Field::new("l", list.data_type().clone(), true)), list),
        ]);
        assert_eq!(
            texts(Arc::new(both)),
            [
                Some(r#"{"n":"a\"b","l":[1,null]}"#.into()),
                Some(r#"{"n":null,"l":null}"#.into()),
                Some(r#"{"n":"c","l":[]}"#.into())
            ]
        );
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        map.keys().append_value("k");
        map.values().append_null();
        map.append(true).unwrap();
        map.append(false).unwrap();
        assert_eq!(texts(Arc::new(map.finish())), [Some(r#"{"k":null}"#.into()), None]);
        let mut map = MapBuilder::new(None, Int32Builder::new(), Int32Builder::new());
        map.keys().append_value(1);
        map.values().append_value(2);
        map.append(true).unwrap();
        assert_eq!(texts(Arc::new(map.finish())), [Some(r#"[{"key":1,"value":2}]"#.into())]);
        let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
            [Some([Some(1), Some(2)]), Some([None, None])],
            2,
        );
        assert_eq!(texts(Arc::new(fixed)), [Some("[1,2]".into()), Some("[null,null]".into())]);
    }
}
