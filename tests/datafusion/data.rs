//! The same rows as Parquet files, as a table and in memory.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::*;
use arrow_buffer::NullBuffer;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Memory, Storage};
use hypostyle::table::{AddFile, CreateOptions, PartitionValues, Table};

pub const ROWS: usize = 3_000;
/// Rows of a file, of which there are three.
const FILE_ROWS: usize = 1_000;

/// A number that looks random, the same each time.
fn mixed(row: usize, salt: u64) -> u64 {
    let mut x = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd1b5_4a32_d192_ed03);
    x ^= x >> 32;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^ (x >> 29)
}

fn some<T>(row: usize, salt: u64, value: impl FnOnce(u64) -> T) -> Option<T> {
    let n = mixed(row, salt);
    (!n.is_multiple_of(9)).then(|| value(n >> 8))
}

const SPECIAL: [f64; 8] = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1.5, -2.25, 1e300];

fn special(n: u64) -> f64 {
    match n % 4 {
        // A NaN with a sign, as dividing zero by zero makes it.
        0 if n & 64 == 0 => SPECIAL[(n >> 8) as usize % SPECIAL.len()],
        0 => -f64::NAN,
        _ => (n % 200) as f64 / 8.0 - 10.0,
    }
}

const CITIES: [&str; 6] = ["Paris", "Łódź", "São Paulo", "", "New York", "Paris "];

/// Sorted by `id`; `grp` comes in stretches; all else is mixed, and NULL now and then.
pub fn rows() -> RecordBatch {
    let all = 0..ROWS;
    let city = |n: u64| CITIES[n as usize % CITIES.len()];
    let of_struct: Fields =
        vec![Field::new("city", DataType::Utf8, true), Field::new("floor", DataType::Int32, true)].into();
    // Below a struct that is NULL nothing is there, as in a file.
    let there = |r: usize| some(r, 22, |_| ());
    let cities = all.clone().map(|r| there(r).and_then(|()| some(r, 20, city)));
    let floors = all.clone().map(|r| there(r).and_then(|()| some(r, 21, |n| (n % 40) as i32 - 3)));
    let home = StructArray::new(
        of_struct.clone(),
        vec![Arc::new(StringArray::from_iter(cities)), Arc::new(Int32Array::from_iter(floors))],
        Some(NullBuffer::from_iter(all.clone().map(|r| there(r).is_some()))),
    );
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in all.clone() {
        if let Some(n) = some(row, 23, |n| n) {
            (0..n % 4)
                .for_each(|at| tags.values().append_option(some(row, 30 + at, |n| ["a", "b", "late"][n as usize % 3])));
            tags.append(true);
        } else {
            tags.append(false);
        }
    }
    let tags = tags.finish();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(all.clone().map(|r| r as i64)))),
        ("grp", Arc::new(Int32Array::from_iter_values(all.clone().map(|r| (r / 100) as i32)))),
        ("small", Arc::new(Int16Array::from_iter(all.clone().map(|r| some(r, 1, |n| (n % 100) as i16 - 50))))),
        ("f", Arc::new(Float64Array::from_iter(all.clone().map(|r| some(r, 2, special))))),
        ("g", Arc::new(Float32Array::from_iter(all.clone().map(|r| some(r, 3, |n| (n % 77) as f32 / 7.0))))),
        ("price", {
            let values = all.clone().map(|r| some(r, 4, |n| i128::from(n % 100_000) - 20_000));
            Arc::new(Decimal128Array::from_iter(values).with_precision_and_scale(12, 2).unwrap())
        }),
        ("at", {
            let values = all.clone().map(|r| some(r, 5, |n| 1_356_998_400_000_000 + (n % 86_400_000) as i64 * 1_000));
            Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
        }),
        ("day", Arc::new(Date32Array::from_iter(all.clone().map(|r| some(r, 7, |n| 15_700 + (n % 30) as i32))))),
        ("city", Arc::new(StringArray::from_iter(all.clone().map(|r| some(r, 8, city))))),
        (
            "name",
            Arc::new(StringArray::from_iter(all.clone().map(|r| some(r, 9, |n| format!("n{}_%{}", n % 1000, n % 7))))),
        ),
        ("ok", Arc::new(BooleanArray::from_iter(all.clone().map(|r| some(r, 10, |n| n % 3 == 0))))),
        ("raw", {
            let values = all.clone().map(|r| some(r, 11, |n| n.to_be_bytes()[5..].to_vec()));
            Arc::new(BinaryArray::from_iter(values))
        }),
        ("home", Arc::new(home)),
        ("tags", Arc::new(tags)),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), !matches!(*name, "id" | "grp")))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// The types that a table does not have.
pub fn others() -> RecordBatch {
    let all = 0..ROWS;
    let id = Int64Array::from_iter_values(all.clone().map(|r| r as i64));
    let nano = all.clone().map(|r| some(r, 6, |n| (n % 1_000_000_000_007) as i64 - 500_000));
    let time = all.clone().map(|r| some(r, 12, |n| (n % 86_400_000_000) as i64));
    let big = all.clone().map(|r| some(r, 13, |n| u64::MAX - n % 1000));
    let half = all.clone().map(|r| some(r, 14, |n| half::f16::from_f64(special(n))));
    let long = all.clone().map(|r| some(r, 15, |n| i128::from(n) * 1_000_000_000_000_000));
    let text: DictionaryArray<types::Int32Type> =
        all.clone().map(|r| some(r, 16, |n| CITIES[n as usize % CITIES.len()])).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(id)),
        ("nano", Arc::new(TimestampNanosecondArray::from_iter(nano))),
        ("time", Arc::new(Time64MicrosecondArray::from_iter(time))),
        ("big", Arc::new(UInt64Array::from_iter(big))),
        ("half", Arc::new(Float16Array::from_iter(half))),
        ("long", Arc::new(Decimal128Array::from_iter(long).with_precision_and_scale(38, 10).unwrap())),
        ("text", Arc::new(text)),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), *name != "id")).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

pub fn options() -> WriterOptions {
    WriterOptions::default().with_row_group_rows(400).with_page_rows(50)
}

fn write(storage: &Memory, name: &str, batch: &RecordBatch) -> hypostyle::parquet::write::WrittenFile {
    let mut writer = FileWriter::new(storage.create(name).unwrap(), batch.schema(), options()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap()
}

/// Files 0.parquet, 1.parquet and 2.parquet, which have the rows in order.
pub fn files(batch: &RecordBatch) -> Memory {
    let storage = Memory::new();
    for (number, start) in (0..batch.num_rows()).step_by(FILE_ROWS).enumerate() {
        let part = batch.slice(start, FILE_ROWS.min(batch.num_rows() - start));
        write(&storage, &format!("{number}.parquet"), &part);
    }
    storage
}

/// A table partitioned by `part`, which is the tens of `grp`; the file of tens 1 has no statistics.
pub fn table(batch: &RecordBatch) -> (Table, SchemaRef) {
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("part", DataType::Int32, true)));
    let schema = Arc::new(Schema::new(fields));
    let storage = Memory::new();
    let options = CreateOptions::default().with_partition_columns(["part"]);
    let mut table = Table::create(Arc::new(storage.clone()), schema.clone(), options).unwrap();
    for part in 0..3 {
        let values = PartitionValues::from([("part".to_owned(), Some(part.to_string()))]);
        let path = table.data_path(&values);
        let written = write(&storage, &path, &batch.slice(part * FILE_ROWS, FILE_ROWS));
        let mut file = AddFile::from_written(&written, &schema, &path, values).unwrap();
        if part == 1 {
            file.stats = None;
        }
        let mut transaction = table.transaction();
        transaction.add(file);
        transaction.commit().unwrap();
    }
    (table, schema)
}

/// The rows of the table, with the column that partitions it.
pub fn with_part(batch: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(Int32Array::from_iter_values((0..batch.num_rows()).map(|r| (r / FILE_ROWS) as i32))));
    let of_table = schema.fields().iter().zip(&columns).map(|(field, column)| cast(column, field.data_type()).unwrap());
    RecordBatch::try_new(schema.clone(), of_table.collect()).unwrap()
}
