//! The columns of a file as the table has them: in the table's types, constants for partition columns, nulls for
//! columns that the file is too old to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::take::take;

use super::partition::{self, PartitionValues};
use crate::error::{Error, Result};
use crate::parquet::read::{Change, Matching, Rules};

/// Where each column of the result comes from.
pub(super) struct Columns {
    schema: SchemaRef,
    from: Vec<From>,
}

enum From {
    /// The file's column of the same name, its values changed where the types differ.
    File(Option<Change>),
    /// The same value in every row: an array of one, and one of as many rows as a batch ever had.
    Constant(ArrayRef, ArrayRef),
}

impl Columns {
    /// `schema` is that of the result; the file's schema must have its columns in the same types, or in ones that
    /// lose nothing on the way.
    pub(super) fn new(
        schema: SchemaRef,
        partition_columns: &[String],
        partition_values: &PartitionValues,
        file: &Schema,
    ) -> Result<Columns> {
        // Writers differ in the units of instants, and say of INT96 nothing.
        let defaults = BTreeMap::new();
        let rules = Rules { matching: Matching::Name, defaults: &defaults, rounds: true, is_int96: false };
        let from = |field: &Arc<Field>| {
            if partition_columns.contains(field.name()) {
                let text = partition_values.get(field.name()).and_then(Option::as_deref);
                let value = partition::from_text(text, field.data_type()).map_err(|e| e.in_column(field.name()))?;
                return Ok(From::Constant(Arc::clone(&value), value));
            }
            let Ok(found) = file.field_with_name(field.name()) else {
                let null = new_null_array(field.data_type(), 1);
                return Ok(From::Constant(Arc::clone(&null), null));
            };
            let change = Change::new(found, field, &rules, field.name()).map_err(|e| {
                let message = format!("the file has type {}, the table {}", found.data_type(), field.data_type());
                Error::corrupt(message).with_source(e).in_column(field.name())
            })?;
            Ok(From::File(change))
        };
        let from = schema.fields().iter().map(from).collect::<Result<_>>()?;
        Ok(Columns { schema, from })
    }

    /// Names of the columns to read from the file.
    pub(super) fn in_file(&self) -> Vec<String> {
        let fields = self.schema.fields().iter().zip(&self.from);
        fields.filter(|(_, from)| matches!(from, From::File(_))).map(|(field, _)| field.name().clone()).collect()
    }

    /// A batch of the file as one of the table.
    pub(super) fn of_table(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut columns = Vec::with_capacity(self.from.len());
        for (field, from) in self.schema.fields().iter().zip(&mut self.from) {
            columns.push(match from {
                From::File(change) => {
                    let missing =
                        || Error::corrupt("the file's reader did not give the column").in_column(field.name());
                    let column = batch.column_by_name(field.name()).ok_or_else(missing)?;
                    match change {
                        Some(change) => change.apply(column).map_err(|e| {
                            Error::corrupt(e.message().to_owned()).with_source(e).in_column(field.name())
                        })?,
                        None => Arc::clone(column),
                    }
                }
                From::Constant(value, many) => repeat(value, many, batch.num_rows())?,
            });
        }
        self.batch(columns, batch.num_rows())
    }

    fn batch(&self, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        for (field, column) in self.schema.fields().iter().zip(&columns) {
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::corrupt("has nulls, which the table's schema forbids").in_column(field.name()));
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

fn repeat(value: &ArrayRef, many: &mut ArrayRef, rows: usize) -> Result<ArrayRef> {
    if many.len() < rows {
        *many = take(value, &UInt64Array::from(vec![0; rows]), None)?;
    }
    Ok(many.slice(0, rows))
}

/// Whether both types hold the same values, so that a predicate means the same on both.
pub(super) fn is_same(a: &DataType, b: &DataType) -> bool {
    a == b || (is_string(a) && is_string(b)) || (is_binary(a) && is_binary(b))
}

fn is_string(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_binary(t: &DataType) -> bool {
    matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;
    use arrow_array::{
        DictionaryArray, Int32Array, Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray,
        TimestampNanosecondArray,
    };
    use arrow_schema::TimeUnit;

    use super::*;

    #[test]
    fn a_file_of_another_writer_becomes_the_tables() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let table = Arc::new(Schema::new(vec![
            Field::new("day", DataType::Date32, true),
            Field::new("n", DataType::Int64, true),
            Field::new("later", DataType::Int64, true),
            Field::new("s", DataType::Utf8, true),
            Field::new("d", DataType::Utf8, true),
            Field::new("at", utc.clone(), true),
        ]));
        let dictionary: DictionaryArray<Int32Type> = vec![Some("x"), None, Some("x")].into_iter().collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("at", Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None, Some(1999)]))),
            ("d", Arc::new(dictionary)),
            ("s", Arc::new(StringViewArray::from(vec![Some("a"), None, Some("b")]))),
            ("n", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        ];
        let file = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        let values = PartitionValues::from([("day".to_owned(), Some("1970-01-02".to_owned()))]);
        let mut columns = Columns::new(Arc::clone(&table), &["day".to_owned()], &values, file.schema_ref()).unwrap();
        assert_eq!(columns.in_file(), ["n", "s", "d", "at"]);
        let batch = columns.of_table(&file).unwrap();
        assert_eq!(batch.schema(), table);
        assert_eq!(batch.column(0).as_primitive::<arrow_array::types::Date32Type>().values(), &[1, 1, 1]);
        assert_eq!(**batch.column(1), Int64Array::from(vec![Some(1), None, Some(3)]));
        assert_eq!(batch.column(2).null_count(), 3);
        assert_eq!(**batch.column(3), StringArray::from(vec![Some("a"), None, Some("b")]));
        assert_eq!(**batch.column(4), StringArray::from(vec![Some("x"), None, Some("x")]));
        let at = TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1)]).with_timezone("UTC");
        assert_eq!(**batch.column(5), at);
        // A shorter batch after a longer one.
        assert_eq!(columns.of_table(&file.slice(0, 1)).unwrap().num_rows(), 1);
    }

    #[test]
    fn a_struct_of_a_file_that_is_too_old_becomes_the_tables() {
        let of = |fields: Vec<Field>| DataType::Struct(fields.into());
        let wide = of(vec![Field::new("b", DataType::Utf8, true), Field::new("a", DataType::Int64, true)]);
        let narrow = vec![Field::new("a", DataType::Int32, true)];
        let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        let array = arrow_array::StructArray::new(narrow.into(), vec![a], Some(vec![true, false].into()));
        let file = RecordBatch::try_from_iter_with_nullable([("s", Arc::new(array) as ArrayRef, true)]).unwrap();
        let table = Arc::new(Schema::new(vec![Field::new("s", wide, true)]));
        let mut columns = Columns::new(table, &[], &PartitionValues::new(), file.schema_ref()).unwrap();
        let batch = columns.of_table(&file).unwrap();
        let s = batch.column(0).as_struct();
        assert_eq!((s.is_valid(0), s.is_valid(1), s.column(0).null_count()), (true, false, 2));
        assert_eq!(**s.column(1), Int64Array::from(vec![Some(1), None]));
    }

    #[test]
    fn what_would_lose_values_is_refused_with_the_column() {
        let of = |from: DataType, to: DataType| {
            let (table, file) =
                (Schema::new(vec![Field::new("c", to, true)]), Schema::new(vec![Field::new("c", from, true)]));
            Columns::new(Arc::new(table), &[], &PartitionValues::new(), &file).map(|_| ()).map_err(|e| e.to_string())
        };
        let e = of(DataType::Int64, DataType::Int32).unwrap_err();
        assert_eq!(e, "column c: the file has type Int64, the table Int32");
        assert!(of(DataType::Utf8, DataType::Int64).is_err());
        assert!(of(DataType::Decimal128(10, 3), DataType::Decimal128(10, 2)).is_err());
        assert!(of(DataType::Decimal128(9, 2), DataType::Decimal128(10, 2)).is_ok());

        let required = Arc::new(Schema::new(vec![Field::new("c", DataType::Int64, false)]));
        let file =
            RecordBatch::try_from_iter([("c", Arc::new(Int64Array::from(vec![None, Some(1)])) as ArrayRef)]).unwrap();
        for (schema, batch) in [(file.schema(), &file), (Arc::new(Schema::empty()), &file)] {
            let mut columns = Columns::new(Arc::clone(&required), &[], &PartitionValues::new(), &schema).unwrap();
            let e = columns.of_table(batch).unwrap_err();
            assert_eq!(e.to_string(), "column c: has nulls, which the table's schema forbids");
        }
    }
}
