//! What a commit says of a file's values: rows, nulls, bounds, as Delta's JSON.
//!
//! Spec: PROTOCOL.md, "Per-file Statistics".
//!
//! ```json
//! {"numRecords":3,"minValues":{"a":1},"maxValues":{"a":9},"nullCount":{"a":0},"tightBounds":true}
//! ```
//!
//! Written are bounds of numbers, strings, dates, timestamps (with microseconds, where the protocol only asks for
//! milliseconds) and decimals, of the first [`COLUMNS_MAX`] columns. Floats have none when one would be infinite. Read are the
//! same; whatever cannot be understood counts as not known, since statistics are a help and no content.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, Schema, TimeUnit};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::actions::AddFile;
use super::partition::PartitionValues;
use super::{now_ms, value};
use crate::error::{Error, Result};
use crate::parquet::format::{ColumnMetaData, FileMetaData, Type};
use crate::predicate::ColumnBounds;

/// Of how many columns there are statistics, as is the default elsewhere: the log is read whole by everyone.
const COLUMNS_MAX: usize = 32;

impl AddFile {
    /// Describes a data file that was written with this footer and is `bytes` long. `schema` is the table's.
    pub fn from_footer(
        path: impl Into<String>,
        footer: &FileMetaData,
        bytes: u64,
        schema: &Schema,
        partition_values: PartitionValues,
    ) -> Result<AddFile> {
        let stats =
            serde_json::to_string(&Stats::from_footer(footer, schema)?).map_err(|e| Error::invalid(e.to_string()))?;
        let (path, tags) = (path.into(), BTreeMap::new());
        Ok(AddFile { path, partition_values, bytes, modified_ms: now_ms(), stats: Some(stats), tags })
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

    fn from_footer(footer: &FileMetaData, schema: &Schema) -> Result<Stats> {
        let rows =
            u64::try_from(footer.num_rows).map_err(|_| Error::corrupt("the footer has a negative number of rows"))?;
        let mut stats = Stats { num_records: Some(rows), tight_bounds: Some(true), ..Stats::default() };
        let columns = footer.row_groups.first().map_or(0, |group| group.columns.len());
        for at in 0..columns.min(COLUMNS_MAX) {
            let mut chunks = footer.row_groups.iter().map(|group| group.columns.get(at)?.meta_data.as_ref());
            let Some(chunks) = chunks.by_ref().collect::<Option<Vec<_>>>() else { continue };
            let Some([name]) = chunks.first().map(|chunk| chunk.path_in_schema.as_slice()) else { continue };
            let Ok(field) = schema.field_with_name(name) else { continue };
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
