//! What a commit says of a file's values: rows, nulls, bounds, as Delta's JSON.
//!
//! Spec: PROTOCOL.md, "Per-file Statistics".
//!
//! ```json
//! {"numRecords":3,"minValues":{"a":1},"maxValues":{"a":9},"nullCount":{"a":0},"tightBounds":true}
//! ```
//!
//! Written are bounds of numbers, strings, dates, timestamps (with microseconds, where the protocol only asks for
//! milliseconds) and decimals, of the first [`COLUMNS_MAX`] columns. Floats have none when one would be infinite, or
//! when a value is NaN. Read are the
//! same; whatever cannot be understood counts as not known, since statistics are a help and no content.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Schema, TimeUnit};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::actions::AddFile;
use super::columns::is_same;
use super::partition::PartitionValues;
use super::{now_ms, value};
use crate::error::{Error, Result};
use crate::parquet::arrow::from_parquet;
use crate::parquet::format::{ColumnMetaData, FileMetaData, Type};
use crate::parquet::write::WrittenFile;
use crate::predicate::ColumnBounds;

/// Of how many columns there are statistics, as is the default elsewhere: the log is read whole by everyone.
const COLUMNS_MAX: usize = 32;

impl AddFile {
    /// Describes a data file that was just written. `schema` is the table's.
    pub fn from_written(
        written: &WrittenFile,
        schema: &Schema,
        path: impl Into<String>,
        partition_values: PartitionValues,
    ) -> Result<AddFile> {
        let stats = Stats::from_footer(&written.metadata, schema)?;
        let stats = serde_json::to_string(&stats).map_err(|e| Error::invalid(e.to_string()))?;
        Ok(AddFile {
            path: path.into(),
            partition_values,
            bytes: written.bytes,
            modified_ms: now_ms(),
            stats: Some(stats),
            tags: BTreeMap::new(),
        })
    }

    /// How many rows it has, if the commit says.
    pub fn rows(&self) -> Option<u64> {
        self.statistics().and_then(|stats| stats.num_records)
    }

    /// What the commit says of its values, if it says anything that can be understood.
    pub(super) fn statistics(&self) -> Option<Stats> {
        serde_json::from_str(self.stats.as_deref()?).ok()
    }
}

/// Delta's statistics of one file. Values stay JSON until somebody asks for a column.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Stats {
    pub num_records: Option<u64>,
    min_values: BTreeMap<String, Box<RawValue>>,
    max_values: BTreeMap<String, Box<RawValue>>,
    null_count: BTreeMap<String, Box<RawValue>>,
    tight_bounds: Option<bool>,
}

impl Stats {
    /// What is known of a column.
    pub fn column(&self, name: &str, data_type: &DataType) -> ColumnBounds {
        let nulls = self.null_count.get(name).and_then(|json| json.get().parse().ok());
        ColumnBounds {
            min: self.min_values.get(name).and_then(|json| bound(json, data_type, false)),
            max: self.max_values.get(name).and_then(|json| bound(json, data_type, true)),
            // Of a file with deleted rows only "none" and "all" say something.
            null_count: nulls.filter(|n| self.tight_bounds != Some(false) || *n == 0 || Some(*n) == self.num_records),
            ..ColumnBounds::default()
        }
    }

    /// Whether bounds of this type are values of the file. Others are rounded by some writers: strings cut short,
    /// timestamps to milliseconds, decimals to binary fractions, and a NaN is beyond the bounds of floats.
    pub fn are_bounds_exact(&self, data_type: &DataType) -> bool {
        use DataType::{Date32, Int8, Int16, Int32, Int64};
        self.tight_bounds != Some(false) && matches!(data_type, Int8 | Int16 | Int32 | Int64 | Date32)
    }

    fn from_footer(footer: &FileMetaData, schema: &Schema) -> Result<Stats> {
        let rows =
            u64::try_from(footer.num_rows).map_err(|_| Error::corrupt("the footer has a negative number of rows"))?;
        let mut stats = Stats { num_records: Some(rows), tight_bounds: Some(true), ..Stats::default() };
        for (at, leaf) in from_parquet(footer)?.leaves.iter().enumerate().take(COLUMNS_MAX) {
            // What a file encrypts, the log must not tell.
            let chunks = footer.row_groups.iter().map(|group| {
                let chunk = group.columns.get(at).filter(|chunk| chunk.crypto_metadata.is_none())?;
                chunk.meta_data.as_ref()
            });
            let Some(chunks) = chunks.collect::<Option<Vec<_>>>() else { continue };
            let [name] = leaf.path.as_slice() else { continue };
            let Ok(field) = schema.field_with_name(name) else { continue };
            if !is_same(&leaf.data_type, field.data_type()) {
                continue;
            }
            if let Some(nulls) = chunks.iter().map(|c| c.statistics.as_ref()?.null_count).sum::<Option<i64>>() {
                stats.null_count.insert(name.clone(), raw(nulls.to_string())?);
            }
            if let Some((min, max)) = bounds(&chunks, field.data_type()) {
                stats.min_values.insert(name.clone(), raw(min)?);
                stats.max_values.insert(name.clone(), raw(max)?);
            }
        }
        Ok(stats)
    }
}

fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|e| Error::invalid(e.to_string()))
}

/// Least and greatest value over the chunks of a column, as JSON; `None` if one has no bounds (and is not all null).
fn bounds(chunks: &[&ColumnMetaData], data_type: &DataType) -> Option<(String, String)> {
    let (mut min, mut max) = (None::<Bound>, None::<Bound>);
    for chunk in chunks {
        let statistics = chunk.statistics.as_ref()?;
        if statistics.null_count == Some(chunk.num_values) {
            continue;
        }
        // Bounds leave NaN out; to engines that hold NaN for the greatest number they would be wrong.
        if matches!(chunk.type_, Type::Float | Type::Double) && statistics.nan_count != Some(0) {
            return None;
        }
        let low = Bound::decode(statistics.min_value.as_deref()?, chunk.type_, data_type)?;
        let high = Bound::decode(statistics.max_value.as_deref()?, chunk.type_, data_type)?;
        min = Some(min.map_or(low.clone(), |min| min.least(low)));
        max = Some(max.map_or(high.clone(), |max| max.greatest(high)));
    }
    Some((min?.json(data_type)?, max?.json(data_type)?))
}

/// A bound from a footer, comparable.
#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Integer(i128),
    Float(f64),
    Text(String),
}

impl Bound {
    fn decode(bytes: &[u8], physical: Type, data_type: &DataType) -> Option<Bound> {
        let integer = match physical {
            Type::Int32 => i128::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            Type::Int64 => i128::from(i64::from_le_bytes(bytes.try_into().ok()?)),
            Type::FixedLenByteArray | Type::ByteArray if matches!(data_type, DataType::Decimal128(..)) => {
                let negative = bytes.first()? & 0x80 != 0;
                let start = if negative { -1_i128 } else { 0 };
                (bytes.len() <= 16).then(|| bytes.iter().fold(start, |n, b| n << 8 | i128::from(*b)))?
            }
            Type::Float => return Bound::float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
            Type::Double => return Bound::float(f64::from_le_bytes(bytes.try_into().ok()?)),
            Type::ByteArray => return Some(Bound::Text(std::str::from_utf8(bytes).ok()?.to_owned())),
            _ => return None,
        };
        Some(Bound::Integer(integer))
    }

    fn float(value: f64) -> Option<Bound> {
        value.is_finite().then_some(Bound::Float(value))
    }

    fn least(self, other: Bound) -> Bound {
        if self.compare(&other) == Ordering::Greater { other } else { self }
    }

    fn greatest(self, other: Bound) -> Bound {
        if self.compare(&other) == Ordering::Less { other } else { self }
    }

    fn compare(&self, other: &Bound) -> Ordering {
        match (self, other) {
            (Bound::Integer(a), Bound::Integer(b)) => a.cmp(b),
            (Bound::Float(a), Bound::Float(b)) => a.total_cmp(b),
            (Bound::Text(a), Bound::Text(b)) => a.cmp(b),
            // Chunks of one column have one type.
            _ => Ordering::Equal,
        }
    }

    fn json(&self, data_type: &DataType) -> Option<String> {
        let quoted = |text: &str| serde_json::to_string(text).ok();
        match (self, data_type) {
            (Bound::Integer(n), DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64) => {
                Some(n.to_string())
            }
            (Bound::Integer(n), DataType::Decimal128(_, scale)) => Some(decimal_json(*n, u32::try_from(*scale).ok()?)),
            (Bound::Integer(n), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
                quoted(&value::print_timestamp(i64::try_from(*n).ok()?, zone.is_some())?)
            }
            (Bound::Integer(n), DataType::Date32) => quoted(&value::print_date(i32::try_from(*n).ok()?)?),
            (Bound::Float(f), DataType::Float32 | DataType::Float64) => Some(format!("{f:?}")),
            (Bound::Text(text), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => quoted(text),
            _ => None,
        }
    }
}

fn decimal_json(unscaled: i128, scale: u32) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale as usize + 1);
    match digits.split_at_checked(digits.len() - scale as usize) {
        Some((whole, fraction)) if !fraction.is_empty() => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{digits}"),
    }
}

/// A bound that a commit names. Times may be cut to milliseconds, so an upper one is taken to the millisecond's end.
fn bound(json: &RawValue, data_type: &DataType, is_upper: bool) -> Option<ArrayRef> {
    let text = json.get();
    let is_number = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    match data_type {
        DataType::Utf8 => value::parse(&serde_json::from_str::<String>(text).ok()?, data_type),
        DataType::Timestamp(..) => {
            let text: String = serde_json::from_str(text).ok()?;
            value::parse_time_bound(&text, data_type, is_upper)
        }
        DataType::Date32 => value::parse(&serde_json::from_str::<String>(text).ok()?, data_type),
        DataType::Boolean => None,
        _ if is_number => value::parse(text, data_type),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Array, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    };
    use arrow_schema::SchemaRef;

    use super::*;
    use crate::parquet::write::{FileWriter, WriterOptions};
    use crate::storage::{Memory, Storage};

    fn written(batches: &[RecordBatch]) -> WrittenFile {
        let out = Memory::new().create("f").unwrap();
        let mut writer = FileWriter::new(out, batches[0].schema(), WriterOptions::default()).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap()
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    fn rows(from: i64) -> RecordBatch {
        let decimals = Decimal128Array::from(vec![Some(-i128::from(from)), None]).with_precision_and_scale(20, 2);
        batch(vec![
            ("n", Arc::new(Int64Array::from(vec![Some(from), None]))),
            ("s", Arc::new(StringArray::from(vec![Some(format!("é\"{from}")), None]))),
            ("f", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(from), None]).with_timezone("UTC"))),
            ("day", Arc::new(Date32Array::from(vec![Some(1), None]))),
            ("d", Arc::new(decimals.unwrap())),
            ("inf", Arc::new(Float64Array::from(vec![Some(f64::INFINITY), Some(1.0)]))),
            ("nan", Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(1.0)]))),
            ("none", Arc::new(Int64Array::from(vec![None, None]))),
        ])
    }

    #[test]
    fn statistics_of_a_written_file_are_deltas_json_and_come_back_as_bounds() {
        let schema: SchemaRef = rows(0).schema();
        let file = AddFile::from_written(&written(&[rows(7), rows(5)]), &schema, "f", PartitionValues::new()).unwrap();
        assert_eq!(file.rows(), Some(4));
        let json: serde_json::Value = serde_json::from_str(file.stats.as_deref().unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "numRecords": 4,
                "minValues": {
                    "n": 5, "s": "é\"5", "f": f64::from(0.1_f32), "at": "1970-01-01T00:00:00.000005Z", "day": "1970-01-02", "d": -0.07
                },
                "maxValues": {
                    "n": 7, "s": "é\"7", "f": f64::from(0.1_f32), "at": "1970-01-01T00:00:00.000007Z", "day": "1970-01-02", "d": -0.05
                },
                "nullCount": {"n": 2, "s": 2, "f": 2, "at": 2, "day": 2, "d": 2, "inf": 0, "nan": 0, "none": 4},
                "tightBounds": true
            })
        );
        let stats = file.statistics().unwrap();
        for field in schema.fields() {
            let bounds = stats.column(field.name(), field.data_type());
            let values = rows(5);
            let values = values.column_by_name(field.name()).unwrap();
            assert!(bounds.null_count.is_some());
            if !["inf", "nan", "none"].contains(&field.name().as_str()) {
                // The row of 5 is the least of all but the decimals, where it is the greatest.
                let bound = if field.name() == "d" { bounds.max } else { bounds.min };
                assert_eq!(&bound.unwrap(), &values.slice(0, 1), "{}", field.name());
            }
        }
    }

    #[test]
    fn a_file_in_other_types_than_the_table_gets_no_bounds_of_those() {
        let millis = batch(vec![("at", Arc::new(arrow_array::TimestampMillisecondArray::from(vec![5])))]);
        let file = AddFile::from_written(&written(&[millis]), &rows(0).schema(), "f", PartitionValues::new()).unwrap();
        assert_eq!(
            file.stats.unwrap(),
            r#"{"numRecords":1,"minValues":{},"maxValues":{},"nullCount":{},"tightBounds":true}"#
        );
    }

    #[test]
    fn what_others_write_is_understood_or_not_known() {
        let of = |json: &str| AddFile { stats: Some(json.to_owned()), ..AddFile::default() }.statistics();
        assert!(of("{").is_none());
        let stats = of(
            r#"{"numRecords":3,"minValues":{"a":"x","b":{"c":1},"t":"1970-01-01T00:00:00.001Z","f":"NaN","d":1.20,"i":1.5},
                "maxValues":{"t":"1970-01-01T00:00:00.001Z","d":100000},"nullCount":{"a":1,"b":{"c":0}},"tightBounds":false}"#,
        )
        .unwrap();
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let time = |micros| Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC")) as ArrayRef;
        let bounds = stats.column("t", &utc);
        assert_eq!((bounds.min.unwrap(), bounds.max.unwrap()), (time(1000), time(1999)));
        let decimal = DataType::Decimal128(5, 2);
        let bounds = stats.column("d", &decimal);
        let least = Decimal128Array::from(vec![120]).with_precision_and_scale(5, 2).unwrap();
        assert_eq!(&*bounds.min.unwrap(), &least as &dyn Array);
        assert!(bounds.max.is_none(), "100000 does not fit");
        for (name, data_type) in
            [("b", DataType::Int64), ("f", DataType::Float64), ("i", DataType::Int64), ("x", DataType::Utf8)]
        {
            assert!(stats.column(name, &data_type).min.is_none(), "{name}");
        }
        assert_eq!(stats.column("a", &DataType::Utf8).null_count, None, "one of three, of a file with deleted rows");
    }
}
