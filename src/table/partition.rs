//! Partition values: in the log as text, in folder names as Hive has them.
//!
//! Spec: PROTOCOL.md, "Partition Value Serialization". Folder names mean nothing to the protocol; they are there for
//! people, and for readers that look at files alone.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::{DataType, Schema};

use super::{path, value};
use crate::error::{Error, Result};

/// The values of a file's partition columns by name, as text; `None` is null.
pub type PartitionValues = BTreeMap<String, Option<String>>;

/// What Hive calls the folder of a null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The text of a value, for [`AddFile::partition_values`](super::AddFile). A timestamp is
/// `2013-01-01T00:00:00.000000Z`. An empty string has no text of its own (the protocol reads it as null):
/// [`Error::Invalid`], as is a type that cannot partition.
pub fn to_text(array: &dyn Array, row: usize) -> Result<Option<String>> {
    if row >= array.len() {
        return Err(Error::invalid(format!("row {row} of {} has no partition value", array.len())));
    }
    if array.is_null(row) {
        return Ok(None);
    }
    match value::print(array, row) {
        Some(text) if text.is_empty() => {
            Err(Error::invalid("an empty string cannot be a partition value; Delta reads it as null"))
        }
        Some(text) => Ok(Some(text)),
        None if can_partition(array.data_type()) => {
            Err(Error::invalid("the partition value is not within the years 0001 to 9999"))
        }
        None => Err(Error::invalid(format!("a column of type {} cannot partition a table", array.data_type()))),
    }
}

/// The value of a text as an array of one; [`Error::Corrupt`] when it is none of the type.
pub fn from_text(text: Option<&str>, data_type: &DataType) -> Result<ArrayRef> {
    match text {
        None | Some("") => Ok(new_null_array(data_type, 1)),
        Some(text) => value::parse(text, data_type)
            .ok_or_else(|| Error::corrupt(format!("the partition value {text:?} is no {data_type}"))),
    }
}

/// The folder of a file with these values: `day=2013-01-01/hour=7`, in the order of `columns`, percent-encoded. Of
/// timestamps, a fraction of zero is left out (`2013-01-01T00%3A00%3A00Z`).
pub fn folder(columns: &[String], values: &PartitionValues) -> String {
    let part = |column: &String| {
        let text = values.get(column).and_then(Option::as_deref);
        let text = text.map_or_else(|| HIVE_NULL.to_owned(), |text| path::encode_part(&without_zero_fraction(text)));
        format!("{}={text}", path::encode_part(column))
    };
    columns.iter().map(part).collect::<Vec<_>>().join("/")
}

fn without_zero_fraction(text: &str) -> String {
    text.strip_suffix(".000000Z").map_or_else(|| text.to_owned(), |start| format!("{start}Z"))
}

/// Whether a column of this type can partition a table.
pub(super) fn can_partition(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, LargeBinary, List, Map, Null, Struct};
    !matches!(data_type, Binary | LargeBinary | BinaryView | Null | Struct(_) | List(_) | Map(..))
}

/// Checks that there is a value for each partition column, of the column's type, and no other.
pub(super) fn check(columns: &[String], values: &PartitionValues, schema: &Schema) -> Result<()> {
    for column in columns {
        let text = values.get(column).ok_or_else(|| Error::invalid("has no partition value").in_column(column))?;
        if text.as_deref() == Some("") {
            let message = "an empty string cannot be a partition value; Delta reads it as null";
            return Err(Error::invalid(message).in_column(column));
        }
        let field = schema.field_with_name(column)?;
        from_text(text.as_deref(), field.data_type()).map_err(|e| Error::invalid(e.message()).in_column(column))?;
        if text.is_none() && !field.is_nullable() {
            return Err(Error::invalid("the partition value is null, and the column forbids it").in_column(column));
        }
    }
    match values.keys().find(|name| !columns.contains(name)) {
        Some(name) => Err(Error::invalid("has a partition value, and is no partition column").in_column(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryArray, Int32Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn folders_are_hives() {
        let columns: Vec<String> = ["window start", "k", "n"].map(str::to_owned).into();
        let window = TimestampMicrosecondArray::from(vec![1_356_998_400_000_000]).with_timezone("UTC");
        let values = PartitionValues::from([
            ("window start".to_owned(), to_text(&window, 0).unwrap()),
            ("k".to_owned(), to_text(&StringArray::from(vec!["a/b=c ü"]), 0).unwrap()),
            ("n".to_owned(), to_text(&Int32Array::from(vec![None]), 0).unwrap()),
        ]);
        assert_eq!(values["window start"].as_deref(), Some("2013-01-01T00:00:00.000000Z"));
        assert_eq!(
            folder(&columns, &values),
            "window%20start=2013-01-01T00%3A00%3A00Z/k=a%2Fb%3Dc%20%C3%BC/n=__HIVE_DEFAULT_PARTITION__"
        );
        assert_eq!(folder(&[], &PartitionValues::new()), "");
    }

    #[test]
    fn values_that_the_log_cannot_hold_are_refused() {
        assert!(matches!(to_text(&StringArray::from(vec![""]), 0), Err(Error::Invalid(_))));
        assert!(matches!(to_text(&BinaryArray::from(vec![&b"x"[..]]), 0), Err(Error::Invalid(_))));
        assert!(matches!(to_text(&Int32Array::from(vec![1]), 1), Err(Error::Invalid(_))));
        assert!(matches!(from_text(Some("x"), &DataType::Int32), Err(Error::Corrupt(_))));
        assert!(from_text(Some(""), &DataType::Int32).unwrap().is_null(0));
    }
}
