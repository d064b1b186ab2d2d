//! Rows appended to Arrow's builders, one a column.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};

use super::{Cell, Row};
use crate::error::{Error, Result};
use crate::ingest::schema::{FieldType, RowSchema};

/// The rows of a window that are not yet with its writer.
pub(crate) struct Columns {
    arrow: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    /// Of values; what the builders hold is at most twice as much.
    bytes: usize,
    row_bytes: usize,
}

enum Column {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Utf8(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Decimal(Decimal128Builder),
    Binary(BinaryBuilder),
}

impl Columns {
    /// For the columns of `schema`; `arrow` is its Arrow form.
    pub(crate) fn new(schema: &RowSchema, arrow: SchemaRef) -> Result<Columns> {
        let columns =
            schema.fields().iter().map(|field| Column::new(field.kind)).collect::<Result<Vec<_>, ArrowError>>()?;
        let row_bytes = schema.fields().iter().map(|field| cell_bytes(field.kind)).sum();
        Ok(Columns { arrow, columns, rows: 0, bytes: 0, row_bytes })
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// What the builders may hold.
    pub(crate) fn memory_bytes(&self) -> usize {
        if self.rows == 0 { 0 } else { self.bytes * 2 + self.columns.len() * BUILDER_BYTES }
    }

    pub(crate) fn push(&mut self, row: &Row<'_>) -> Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(row.cells()) {
            self.bytes += column.push(*cell, row)?;
        }
        self.rows += 1;
        self.bytes += self.row_bytes;
        Ok(())
    }

    /// All rows as a batch; none are left.
    pub(crate) fn take(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        self.rows = 0;
        self.bytes = 0;
        Ok(RecordBatch::try_new(Arc::clone(&self.arrow), arrays)?)
    }
}

/// Of a builder with a few values.
const BUILDER_BYTES: usize = 512;

/// Of a value, without what has no fixed size.
fn cell_bytes(kind: FieldType) -> usize {
    match kind {
        FieldType::Bool | FieldType::Int8 => 2,
        FieldType::Int16 => 3,
        FieldType::Int32 | FieldType::Float32 | FieldType::Date => 5,
        FieldType::Utf8 | FieldType::Binary | FieldType::Json => 5,
        FieldType::Int64 | FieldType::Float64 | FieldType::Timestamp { .. } => 9,
        FieldType::Decimal { .. } => 17,
    }
}

impl Column {
    /// Without room for values at first: there may be thousands of windows with a few rows each.
    fn new(kind: FieldType) -> Result<Column, ArrowError> {
        Ok(match kind {
            FieldType::Bool => Column::Bool(BooleanBuilder::with_capacity(0)),
            FieldType::Int8 => Column::Int8(Int8Builder::with_capacity(0)),
            FieldType::Int16 => Column::Int16(Int16Builder::with_capacity(0)),
            FieldType::Int32 => Column::Int32(Int32Builder::with_capacity(0)),
            FieldType::Int64 => Column::Int64(Int64Builder::with_capacity(0)),
            FieldType::Float32 => Column::Float32(Float32Builder::with_capacity(0)),
            FieldType::Float64 => Column::Float64(Float64Builder::with_capacity(0)),
            FieldType::Utf8 | FieldType::Json => Column::Utf8(StringBuilder::with_capacity(0, 0)),
            FieldType::Timestamp { .. } => {
                Column::Timestamp(TimestampMicrosecondBuilder::with_capacity(0).with_timezone("UTC"))
            }
            FieldType::Date => Column::Date(Date32Builder::with_capacity(0)),
            FieldType::Decimal { precision, scale } => {
                Column::Decimal(Decimal128Builder::with_capacity(0).with_precision_and_scale(precision, scale)?)
            }
            FieldType::Binary => Column::Binary(BinaryBuilder::with_capacity(0, 0)),
        })
    }

    /// Appends a cell; gives how many bytes it has beyond the fixed ones.
    #[expect(clippy::cast_possible_truncation, reason = "the decoder has checked that it fits")]
    fn push(&mut self, cell: Cell<'_>, row: &Row<'_>) -> Result<usize> {
        match (self, cell) {
            (Column::Bool(b), Cell::Bool(v)) => b.append_value(v),
            (Column::Int8(b), Cell::Int(v)) => b.append_value(v as i8),
            (Column::Int16(b), Cell::Int(v)) => b.append_value(v as i16),
            (Column::Int32(b), Cell::Int(v)) => b.append_value(v as i32),
            (Column::Int64(b), Cell::Int(v)) => b.append_value(v),
            (Column::Float32(b), Cell::Float(v)) => b.append_value(v as f32),
            (Column::Float64(b), Cell::Float(v)) => b.append_value(v),
            (Column::Timestamp(b), Cell::Int(v)) => b.append_value(v),
            (Column::Date(b), Cell::Int(v)) => b.append_value(v as i32),
            (Column::Decimal(b), Cell::Decimal(v)) => b.append_value(v),
            (Column::Utf8(b), Cell::Str(v)) => {
                b.append_value(v);
                return Ok(v.len());
            }
            (Column::Utf8(b), Cell::Own(start, end)) => {
                let text = std::str::from_utf8(row.own(start, end));
                b.append_value(text.map_err(|e| Error::invalid(e.to_string()))?);
                return Ok(end - start);
            }
            (Column::Binary(b), Cell::Own(start, end)) => {
                b.append_value(row.own(start, end));
                return Ok(end - start);
            }
            (column, Cell::Null | Cell::Missing) => column.push_null(),
            (_, cell) => return Err(Error::invalid(format!("the decoder gave {cell:?} to a column of another type"))),
        }
        Ok(0)
    }

    fn push_null(&mut self) {
        match self {
            Column::Bool(b) => b.append_null(),
            Column::Int8(b) => b.append_null(),
            Column::Int16(b) => b.append_null(),
            Column::Int32(b) => b.append_null(),
            Column::Int64(b) => b.append_null(),
            Column::Float32(b) => b.append_null(),
            Column::Float64(b) => b.append_null(),
            Column::Utf8(b) => b.append_null(),
            Column::Timestamp(b) => b.append_null(),
            Column::Date(b) => b.append_null(),
            Column::Decimal(b) => b.append_null(),
            Column::Binary(b) => b.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Bool(b) => Arc::new(b.finish()),
            Column::Int8(b) => Arc::new(b.finish()),
            Column::Int16(b) => Arc::new(b.finish()),
            Column::Int32(b) => Arc::new(b.finish()),
            Column::Int64(b) => Arc::new(b.finish()),
            Column::Float32(b) => Arc::new(b.finish()),
            Column::Float64(b) => Arc::new(b.finish()),
            Column::Utf8(b) => Arc::new(b.finish()),
            Column::Timestamp(b) => Arc::new(b.finish()),
            Column::Date(b) => Arc::new(b.finish()),
            Column::Decimal(b) => Arc::new(b.finish()),
            Column::Binary(b) => Arc::new(b.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::rows::RowDecoder;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Int8Type, Int64Type, TimestampMicrosecondType};

    const SCHEMA: &str = r#"{"fields":[{"name":"a","type":"bool"},{"name":"b","type":"int8"},{"name":"c","type":"int64"},
        {"name":"d","type":"float32"},{"name":"e","type":"float64"},{"name":"f","type":"utf8"},{"name":"g","type":"timestamp"},
        {"name":"h","type":"timestamp","unit":"s"},{"name":"i","type":"date"},{"name":"j","type":"decimal(5,2)"},
        {"name":"k","type":"binary"},{"name":"l","type":"json"},{"name":"m","type":"int16"},{"name":"n","type":"int32"}]}"#;

    fn batch(records: &[&str]) -> RecordBatch {
        let schema = RowSchema::from_json(SCHEMA).unwrap();
        let decoder = RowDecoder::new(&schema, false);
        let mut columns = Columns::new(&schema, schema.to_arrow()).unwrap();
        for record in records {
            let mut row = Row::default();
            decoder.decode(record, &mut row).unwrap_or_else(|e| panic!("{record}: {e}"));
            columns.push(&row).unwrap();
        }
        assert_eq!(columns.rows(), records.len());
        assert!(columns.memory_bytes() >= 2 * columns.row_bytes * records.len());
        let batch = columns.take().unwrap();
        assert_eq!((columns.rows(), columns.memory_bytes()), (0, 0));
        batch
    }

    #[test]
    fn every_type_with_its_value_and_with_null() {
        let full = r#"{"a":true,"b":-128,"c":9223372036854775807,"d":1.5,"e":-3,"f":"a\n\u00e9","g":"2013-01-01T05:15:00.25Z",
            "h":-1,"i":"1970-01-02","j":"12.3","k":"AAEC","l":{"x": [1, null]},"m":-0,"n":2147483647}"#;
        let nulls = r#"{"a":null,"b":null,"c":null,"d":null,"e":null,"f":null,"g":null,"h":null,"i":null,"j":null,"k":null,
            "l":null,"m":null,"n":null}"#;
        let batch = batch(&[full, nulls, "{}"]);
        for column in batch.columns() {
            assert_eq!((column.null_count(), column.is_null(0)), (2, false), "{}", column.data_type());
        }
        let column = |i: usize| batch.column(i);
        assert!(column(0).as_boolean().value(0));
        assert_eq!(column(1).as_primitive::<Int8Type>().value(0), -128);
        assert_eq!(column(2).as_primitive::<Int64Type>().value(0), i64::MAX);
        assert_eq!(column(3).as_primitive::<Float32Type>().value(0), 1.5);
        assert_eq!(column(4).as_primitive::<arrow_array::types::Float64Type>().value(0), -3.0);
        assert_eq!(column(5).as_string::<i32>().value(0), "a\né");
        assert_eq!(column(6).as_primitive::<TimestampMicrosecondType>().value(0), 1_357_017_300_250_000);
        assert_eq!(column(7).as_primitive::<TimestampMicrosecondType>().value(0), -1_000_000);
        assert_eq!(column(8).as_primitive::<Date32Type>().value(0), 1);
        assert_eq!(column(9).as_primitive::<Decimal128Type>().value(0), 1230);
        assert_eq!(column(10).as_binary::<i32>().value(0), [0, 1, 2]);
        assert_eq!(column(11).as_string::<i32>().value(0), r#"{"x": [1, null]}"#);
    }

    #[test]
    fn floats_are_the_nearest_ones() {
        for text in ["0.1", "1.7976931348623157e308", "2.2250738585072011e-308", "123456789.123456789"] {
            let batch = batch(&[&format!("{{\"e\":{text}}}")]);
            let value = batch.column(4).as_primitive::<arrow_array::types::Float64Type>().value(0);
            assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
    }

    #[test]
    fn bad_records_say_why_in_one_line() {
        let schema = RowSchema::from_json(
            r#"{"fields":[{"name":"t","type":"timestamp","nullable":false},{"name":"i","type":"int8"},{"name":"d","type":"date"},
                {"name":"u","type":"timestamp","unit":"s"},{"name":"f","type":"float32"},{"name":"m","type":"decimal(3,1)"},
                {"name":"b","type":"binary"},{"name":"s","type":"utf8"},{"name":"q","type":"bool"}]}"#,
        )
        .unwrap();
        let decoder = RowDecoder::new(&schema, false);
        let bad = |rest: &str| {
            let record = format!("{{\"t\":\"2013-01-01T00:00:00Z\"{rest}}}");
            decoder.decode(&record, &mut Row::default()).unwrap_err()
        };
        for (rest, says) in [
            (",\"i\":128", "column i: 128 is out of range for int8"),
            (",\"i\":1.0", "column i: invalid type: floating point"),
            (",\"i\":18446744073709551615", "column i: 18446744073709551615 is out of range"),
            (",\"i\":\"1\"", "column i: invalid type: string \"1\", expected a value of type int8"),
            (",\"i\":[1]", "column i: invalid type: sequence"),
            (",\"i\":1,\"i\":1", "column i: the record has it twice"),
            (",\"i\":null,\"i\":1", "column i: the record has it twice"),
            (",\"d\":\"2013-02-30\"", "column d: \"2013-02-30\" is no date"),
            (",\"u\":\"2013-01-01T00:00:00Z\"", "column u: invalid type: string"),
            (",\"u\":9223372036854775807", "column u: 9223372036854775807 is out of the years"),
            (",\"f\":1e39", "column f: 1000000000000000000000000000000000000000 is out of range for float32"),
            (",\"f\":true", "column f: invalid type: boolean"),
            (",\"m\":1.25", "column m: 1.25 is no decimal(3,1)"),
            (",\"m\":{}", "column m: {} is no decimal"),
            (",\"b\":\"*\"", "column b: no base64"),
            (",\"s\":1", "column s: invalid type: integer"),
            (",\"s\":\"\\ud800\"", "column s: "),
            (",\"q\":0", "column q: invalid type: integer"),
            (",\"nope\":0", "the schema has no field \"nope\""),
            (",\"f\":1e400", "column f: number out of range"),
            (",", "trailing comma"),
            ("} {", "trailing characters"),
        ] {
            let reason = bad(rest);
            assert!(reason.starts_with(says), "{rest}: {reason}");
            assert!(!reason.contains('\n'), "{reason}");
        }
        let of = |record: &str| decoder.decode(record, &mut Row::default()).unwrap_err();
        assert!(of("[1]").contains("expected an object"), "{}", of("[1]"));
        assert!(of("{\"t\":null}").starts_with("column t: null, and"), "{}", of("{\"t\":null}"));
        assert!(of("{}").starts_with("column t: missing, and"), "{}", of("{}"));
        assert!(of("{\"t\":\"2013-01-01\"}").contains("no RFC 3339"), "{}", of("{\"t\":\"2013-01-01\"}"));
        assert!(of("").contains("EOF"), "{}", of(""));
        let long = of(&format!("{{\"t\":\"{}\"}}", "x\\n".repeat(100_000)));
        assert!(long.len() < 1_000 && !long.contains('\n'), "{long}");
    }

    #[test]
    fn unknown_fields_can_be_passed_over() {
        let schema = RowSchema::from_json(r#"{"fields":[{"name":"a","type":"int64"}]}"#).unwrap();
        let decoder = RowDecoder::new(&schema, true);
        let mut row = Row::default();
        decoder.decode(r#"{"x":{"y":[1,"z"]},"a":7,"w":null}"#, &mut row).unwrap();
        assert_eq!(row.cells(), [Cell::Int(7)]);
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        // However deep: nothing recurses.
        decoder.decode(&deep, &mut row).unwrap();
        assert_eq!(row.cells(), [Cell::Missing]);
    }
}
