//! CSV, read: RFC 4180 with a header. An empty field is NULL, in quotes or not.
//!
//! Without a schema, all rows are looked at first. A column is of the first of these types that all its fields fit (empty
//! ones apart): bool (`true`, `false`), int64, float64, timestamp (RFC 3339 with a zone), date (`2013-01-31`), utf8. Numbers
//! with leading zeros are text: they are codes.

use std::io::Cursor;
use std::str::FromStr;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, PrimitiveArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_csv::reader::{Format, ReaderBuilder};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::Batches;
use crate::error::{Error, Result};
use crate::ingest::rows::parse_decimal;
use crate::ingest::time::{from_unit, parse_date, parse_rfc3339};
use crate::ingest::{FieldType, RowField, RowSchema};
use crate::storage::Input;

/// Opens a file; without a schema, reads it once to infer one.
pub(super) fn open(input: &Arc<dyn Input>, schema: Option<RowSchema>) -> Result<Batches> {
    let bytes = input.read(0..input.bytes())?;
    let mark = b"\xef\xbb\xbf";
    let bytes = if bytes.starts_with(mark) { bytes.slice(mark.len()..) } else { bytes };
    let names = header(&bytes)?;
    let kinds = match &schema {
        Some(schema) => kinds_of(schema, &names)?,
        None => infer(&bytes, &names)?,
    };
    let fields = names.iter().zip(&kinds).map(|(name, kind)| {
        let nullable = schema.as_ref().and_then(|s| s.fields().get(s.index_of(name)?)).is_none_or(|f| f.nullable);
        RowField { name: name.clone(), kind: *kind, nullable }
    });
    let arrow = RowSchema::new(fields.collect())?.to_arrow();
    let out = Arc::clone(&arrow);
    let mut first_row = 1;
    let batches = texts(&bytes, &names)?.map(move |batch| {
        let batch = batch?;
        let typed = typed(&batch, &kinds, &out, first_row);
        first_row += batch.num_rows() as u64;
        typed
    });
    Ok(Batches { schema: arrow, batches: Box::new(batches) })
}

fn header(bytes: &Bytes) -> Result<Vec<String>> {
    let (schema, _) =
        Format::default().with_header(true).infer_schema(Cursor::new(bytes.clone()), Some(0)).map_err(bad)?;
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    if names.is_empty() {
        return Err(Error::invalid("the file is empty; CSV begins with the names of its columns"));
    }
    if let Some(twice) = names.iter().enumerate().find_map(|(at, name)| names.iter().take(at).find(|n| *n == name)) {
        return Err(Error::invalid(format!("two columns are named {twice}")));
    }
    Ok(names)
}

/// All rows, each field as text.
fn texts(bytes: &Bytes, names: &[String]) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let reader = ReaderBuilder::new(Arc::new(Schema::new(fields))).with_header(true).with_batch_size(BATCH_ROWS);
    let mut reader = reader.build_buffered(Cursor::new(bytes.clone())).map_err(bad)?;
    let mut done = false;
    Ok(std::iter::from_fn(move || {
        if done {
            return None;
        }
        let next = reader.next().map(|batch| batch.map_err(bad));
        done = !matches!(next, Some(Ok(_)));
        next
    }))
}

const BATCH_ROWS: usize = 8192;

fn bad(e: arrow_schema::ArrowError) -> Error {
    let message = match &e {
        arrow_schema::ArrowError::CsvError(message) => message.clone(),
        other => other.to_string(),
    };
    Error::corrupt(format!("not valid as CSV: {message}")).with_source(e)
}

fn kinds_of(schema: &RowSchema, names: &[String]) -> Result<Vec<FieldType>> {
    if let Some(missing) = schema.fields().iter().find(|f| !names.contains(&f.name)) {
        return Err(Error::invalid("the schema has the column, but the file lacks it").in_column(&missing.name));
    }
    let kind = |name: &String| {
        let field = schema.index_of(name).and_then(|at| schema.fields().get(at));
        field
            .map(|f| f.kind)
            .ok_or_else(|| Error::invalid("the file has the column, but the schema lacks it").in_column(name))
    };
    names.iter().map(kind).collect()
}

fn infer(bytes: &Bytes, names: &[String]) -> Result<Vec<FieldType>> {
    const CANDIDATES: [FieldType; 5] =
        [FieldType::Bool, FieldType::Int64, FieldType::Float64, FieldType::Timestamp { unit: None }, FieldType::Date];
    let mut left: Vec<(Vec<FieldType>, bool)> = vec![(CANDIDATES.to_vec(), false); names.len()];
    for batch in texts(bytes, names)? {
        for ((kinds, seen), column) in left.iter_mut().zip(batch?.columns()) {
            for text in column.as_string::<i32>().iter().flatten() {
                *seen = true;
                kinds.retain(|kind| fits(*kind, text));
            }
        }
    }
    let kind =
        |(kinds, seen): (Vec<FieldType>, bool)| kinds.first().copied().filter(|_| seen).unwrap_or(FieldType::Utf8);
    Ok(left.into_iter().map(kind).collect())
}

fn fits(kind: FieldType, text: &str) -> bool {
    match kind {
        FieldType::Bool => parse_bool(text).is_some(),
        FieldType::Int64 => parse_int::<i64>(text).is_some() && !is_code(text),
        FieldType::Float64 => parse_float::<f64>(text).is_some() && !is_code(text),
        FieldType::Timestamp { .. } => parse_rfc3339(text).is_some(),
        FieldType::Date => parse_date(text).is_some(),
        _ => false,
    }
}

/// `007` is a number only for those who do not know what it stands for.
fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
}

/// The texts as values of their columns' types.
fn typed(batch: &RecordBatch, kinds: &[FieldType], schema: &SchemaRef, first_row: u64) -> Result<RecordBatch> {
    let mut arrays = Vec::with_capacity(kinds.len());
    for ((column, kind), field) in batch.columns().iter().zip(kinds).zip(schema.fields()) {
        let texts = column.as_string::<i32>();
        let place = |row: usize, what: String| {
            Error::corrupt(format!("row {}: {what}", first_row + row as u64)).in_column(field.name())
        };
        let array = values(texts, *kind).map_err(|row| {
            let text = crate::cli::display::fit(texts.value(row));
            place(row, format!("{text:?} is not of type {}", kind.name()))
        })?;
        if !field.is_nullable()
            && let Some(row) = (0..array.len()).find(|row| array.is_null(*row))
        {
            return Err(place(row, "empty, and it may not be null".into()));
        }
        arrays.push(array);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), arrays)?)
}

/// The values of one column, or the row whose text is none.
fn values(texts: &StringArray, kind: FieldType) -> Result<ArrayRef, usize> {
    fn each<T>(texts: &StringArray, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<Option<T>>, usize> {
        let one = |(row, text): (usize, Option<&str>)| text.map(|text| parse(text).ok_or(row)).transpose();
        texts.iter().enumerate().map(one).collect()
    }
    fn primitive<T: ArrowPrimitiveType>(
        texts: &StringArray,
        parse: impl Fn(&str) -> Option<T::Native>,
    ) -> Result<ArrayRef, usize> {
        Ok(Arc::new(PrimitiveArray::<T>::from_iter(each(texts, parse)?)))
    }
    Ok(match kind {
        FieldType::Bool => Arc::new(BooleanArray::from(each(texts, parse_bool)?)),
        FieldType::Int8 => primitive::<Int8Type>(texts, parse_int)?,
        FieldType::Int16 => primitive::<Int16Type>(texts, parse_int)?,
        FieldType::Int32 => primitive::<Int32Type>(texts, parse_int)?,
        FieldType::Int64 => primitive::<Int64Type>(texts, parse_int)?,
        FieldType::Float32 => primitive::<Float32Type>(texts, parse_float)?,
        FieldType::Float64 => primitive::<Float64Type>(texts, parse_float)?,
        FieldType::Utf8 | FieldType::Json => Arc::new(texts.clone()),
        FieldType::Timestamp { unit } => {
            let parse = |text: &str| match unit {
                None => parse_rfc3339(text),
                Some(unit) => from_unit(parse_int(text)?, unit),
            };
            Arc::new(TimestampMicrosecondArray::from(each(texts, parse)?).with_timezone("UTC"))
        }
        FieldType::Date => primitive::<Date32Type>(texts, parse_date)?,
        FieldType::Decimal { precision, scale } => {
            let values = Decimal128Array::from(each(texts, |text| parse_decimal(text, precision, scale))?);
            Arc::new(values.with_precision_and_scale(precision, scale).map_err(|_| 0_usize)?)
        }
        FieldType::Binary => {
            let values = each(texts, |text| BASE64.decode(text).ok())?;
            Arc::new(values.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
    })
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Rust takes a `+` too, which nobody writes before what is meant as a number.
fn parse_int<T: FromStr>(text: &str) -> Option<T> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// Digits, or one of the three values without; Rust takes many more words.
fn parse_float<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
    if is_number || matches!(text, "NaN" | "Infinity" | "-Infinity") { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Memory, Storage};

    fn read(text: &str, schema: Option<&str>) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let memory = Memory::new();
        memory.put("x.csv", text.as_bytes().to_vec())?;
        let schema = schema.map(RowSchema::from_json).transpose()?;
        let Batches { schema, batches } = open(&memory.open("x.csv")?, schema)?;
        Ok((schema, batches.collect::<Result<_>>()?))
    }

    #[test]
    fn types_are_inferred_from_all_rows() {
        let text = "\u{feff}b,i,f,t,d,s,code,none,\"a,b\"\n\
                    true,1,1,2013-01-01T00:00:00+01:00,2013-01-31,1,007,,\"x\"\"y\"\n\
                    ,-5,NaN,2013-01-01T00:00:00.5Z,,true,1,,\n";
        let (schema, batches) = read(text, None).unwrap();
        let types: Vec<String> = schema.fields().iter().map(|f| crate::cli::cells::type_name(f.data_type())).collect();
        let expected = ["bool", "int64", "float64", "timestamp(us, UTC)", "date32", "utf8", "utf8", "utf8", "utf8"];
        assert_eq!(types, expected);
        assert_eq!(batches.len(), 1);
        let columns = batches[0].columns();
        assert_eq!(columns[1].as_primitive::<Int64Type>().values(), &[1, -5]);
        assert!(columns[2].as_primitive::<Float64Type>().value(1).is_nan());
        let times = columns[3].as_primitive::<TimestampMicrosecondType>().values();
        assert_eq!(times, &[1_356_994_800_000_000, 1_356_998_400_500_000]);
        assert_eq!(columns[4].as_primitive::<Date32Type>().value(0), 15_736);
        assert_eq!(columns[6].as_string::<i32>().value(0), "007");
        assert_eq!(columns[8].as_string::<i32>().value(0), "x\"y");
        assert_eq!(columns.iter().map(|c| c.null_count()).collect::<Vec<_>>(), [1, 0, 0, 0, 1, 0, 0, 2, 1]);
    }

    #[test]
    fn a_schema_is_kept_to() {
        let schema = r#"{"fields":[{"name":"a","type":"decimal(5,2)"},{"name":"b","type":"binary","nullable":false}]}"#;
        let (arrow, batches) = read("a,b\n1.5,D6A=\n,AA==\n", Some(schema)).unwrap();
        assert_eq!(arrow.field(0).data_type(), &DataType::Decimal128(5, 2));
        assert_eq!(batches[0].column(0).as_primitive::<Decimal128Type>().value(0), 150);
        assert_eq!(batches[0].column(1).as_binary::<i32>().value(0), [0x0f, 0xa0]);
        let fails = |text: &str| read(text, Some(schema)).unwrap_err().to_string();
        assert_eq!(fails("a,b\n1,AA==\n1.555,AA==\n"), "column a: row 2: \"1.555\" is not of type decimal(5,2)");
        assert_eq!(fails("a,b\n1,\n"), "column b: row 1: empty, and it may not be null");
        assert_eq!(fails("a\n1\n"), "column b: the schema has the column, but the file lacks it");
        assert_eq!(fails("a,b,c\n1,AA==,2\n"), "column c: the file has the column, but the schema lacks it");
    }

    #[test]
    fn what_is_no_csv_is_refused() {
        let fails = |text: &str| read(text, None).unwrap_err().to_string();
        assert!(fails("").contains("empty"));
        assert!(fails("a,a\n1,2\n").contains("two columns are named a"));
        let e = fails("a,b\n1,2\n1\n");
        assert!(e.starts_with("not valid as CSV: ") && !e.contains('\n'), "{e}");
        let (schema, batches) = read("a,b\n", None).unwrap();
        assert_eq!((schema.fields().len(), batches.len()), (2, 0));
    }
}
