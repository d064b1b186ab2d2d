//! Reads the Parquet files in `goldens/`, which PyArrow and others wrote, and compares each with its contents: types, nulls and values,
//! bit by bit. See `goldens/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use hypostyle::parquet::read::{FileReader, ReaderOptions, ScanOptions};
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::storage::{Local, Memory, Storage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Manifest {
    files: Vec<Golden>,
}

#[derive(Deserialize)]
struct Golden {
    file: String,
    contents: String,
    rows: u64,
}

#[test]
fn every_file_reads_as_its_contents() {
    let mut faults = Vec::new();
    let goldens = goldens();
    for golden in &goldens {
        match golden.read(ReaderOptions::default(), ScanOptions::default()) {
            Ok(batch) => faults.extend(differences(&golden.file, &batch, &golden.expected())),
            Err(error) => faults.push(format!("{}: {error}", golden.file)),
        }
    }
    assert!(faults.is_empty(), "{} faults in {} files:\n{}", faults.len(), goldens.len(), faults.join("\n"));
}

#[test]
fn small_batches_hold_the_same_rows() {
    for golden in goldens() {
        let options = ReaderOptions::default().with_batch_rows(7);
        let batch = golden.read(options, ScanOptions::default()).unwrap();
        assert_eq!(differences(&golden.file, &batch, &golden.expected()), Vec::<String>::new());
    }
}

#[test]
fn a_projection_reads_its_columns_in_the_order_asked() {
    for golden in goldens().iter().filter(|golden| golden.file.contains(".dictionary-v1")) {
        let expected = golden.expected();
        let last = expected.num_columns() - 1;
        let wanted = [last, 0, last / 2];
        let columns = wanted.iter().map(|at| expected.schema().field(*at).name().clone()).collect();
        let scan = ScanOptions { columns: Some(columns), limit: Some(70), ..ScanOptions::default() };
        let batch = golden.read(ReaderOptions::default(), scan).unwrap();
        let expected = expected.project(&wanted).unwrap().slice(0, 70);
        assert_eq!(differences(&golden.file, &batch, &expected), Vec::<String>::new());
    }
}

#[test]
fn every_file_is_found_sound() {
    for golden in goldens() {
        let file =
            FileReader::open(Local::new(folder()).unwrap().open(&golden.file).unwrap(), ReaderOptions::default());
        let found = file.unwrap().verify();
        assert!(found.is_sound(), "{:?}", found.findings);
        let all = 0..golden.rows;
        assert_eq!(found.safe_rows(), if all.is_empty() { vec![] } else { vec![all] });
    }
}

#[test]
fn the_contents_survive_our_own_writer() {
    let mut faults = Vec::new();
    for golden in goldens() {
        let expected = golden.expected();
        let memory = Memory::new();
        let options = WriterOptions { page_rows: 33, row_group_rows: 71, ..WriterOptions::default() };
        let mut writer = FileWriter::new(memory.create("a.parquet").unwrap(), expected.schema(), options).unwrap();
        writer.write(&expected).unwrap();
        writer.finish().unwrap();
        let reader = FileReader::open(memory.open("a.parquet").unwrap(), ReaderOptions::default()).unwrap();
        let batches = reader.scan(ScanOptions::default()).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        let batch = concat_batches(reader.schema(), &batches).unwrap();
        faults.extend(differences(&golden.contents, &batch, &expected));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn boxes_around_geometries_are_read() {
    for version in [1, 2] {
        let name = format!("others/parquet-java.extensions-v{version}.parquet");
        let file =
            FileReader::open(Local::new(folder()).unwrap().open(&name).unwrap(), ReaderOptions::default()).unwrap();
        assert_eq!(file.parquet_schema().leaves[0].name(), "geometry");
        let found = file.column_metadata(0, 0).unwrap().geospatial_statistics.unwrap();
        let bbox = found.bbox.unwrap();
        // Of the rows 0 to 39: points at (i - 20.5, 3.25 i), and lines from (i, -i) to (i + 0.5, 90) for each third.
        assert_eq!((bbox.xmin, bbox.xmax, bbox.ymin, bbox.ymax), (-19.5, 39.5, -39.0, 123.5));
        assert_eq!(found.geospatial_types, Some(vec![1, 2]));
    }
}

impl Golden {
    fn read(&self, options: ReaderOptions, scan: ScanOptions) -> hypostyle::Result<RecordBatch> {
        let reader = FileReader::open(Local::new(folder())?.open(&self.file)?, options)?;
        assert_eq!(reader.rows(), self.rows, "{}", self.file);
        let mut scan = reader.scan(scan)?;
        let schema: SchemaRef = scan.schema().clone();
        let batches = scan.by_ref().collect::<hypostyle::Result<Vec<_>>>()?;
        Ok(concat_batches(&schema, &batches).unwrap())
    }

    fn expected(&self) -> RecordBatch {
        let file = File::open(folder().join(&self.contents)).unwrap();
        let reader = arrow_ipc::reader::FileReader::try_new(file, None).unwrap();
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>().unwrap();
        let batch = concat_batches(&schema, &batches).unwrap();
        assert_eq!(batch.num_rows() as u64, self.rows, "{}", self.contents);
        batch
    }
}

/// What PyArrow wrote, and what others wrote.
fn goldens() -> Vec<Golden> {
    [(folder(), 50), (folder().join("others"), 10)]
        .into_iter()
        .flat_map(|(folder, at_least)| {
            let manifest: Manifest =
                serde_json::from_reader(File::open(folder.join("manifest.json")).unwrap()).unwrap();
            let named = manifest.files.len();
            let entries = std::fs::read_dir(&folder).unwrap();
            let there = entries.filter(|entry| is_parquet(&entry.as_ref().unwrap().path())).count();
            assert!(named > at_least, "the manifest names {named} files");
            assert_eq!(named, there, "manifest.json and the folder disagree");
            manifest.files
        })
        .collect()
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "parquet")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// One line for each column that is not what it should be.
fn differences(file: &str, found: &RecordBatch, expected: &RecordBatch) -> Vec<String> {
    let names = |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if names(&found.schema()) != names(&expected.schema()) || found.num_rows() != expected.num_rows() {
        return vec![format!("{file}: {} rows of {:?}", found.num_rows(), names(&found.schema()))];
    }
    let mut faults = Vec::new();
    for (at, wanted) in expected.schema().fields().iter().enumerate() {
        let place = format!("{file}: column {}", wanted.name());
        let schema = found.schema();
        let field = schema.field(at);
        let mut column = found.column(at).clone();
        // What elements and entries are called is the file's to say ("key_value", "bag"); PyArrow gives them names of its own.
        if wanted.data_type().is_nested() && renamed(column.data_type()) == renamed(wanted.data_type()) {
            column = arrow_cast::cast(&column, wanted.data_type()).unwrap();
        }
        let extension = |field: &arrow_schema::Field| field.metadata().get("ARROW:extension:name").cloned();
        if column.data_type() != wanted.data_type() {
            faults.push(format!("{place}: type {} for {}", column.data_type(), wanted.data_type()));
        } else if field.is_nullable() != wanted.is_nullable() {
            faults.push(format!("{place}: nullable {} for {}", field.is_nullable(), wanted.is_nullable()));
        } else if extension(field) != extension(wanted) {
            faults.push(format!("{place}: extension {:?} for {:?}", extension(field), extension(wanted)));
        } else if column.to_data() != expected.column(at).to_data() {
            let one = |array: &ArrayRef, row: usize| array.slice(row, 1);
            let row = (0..expected.num_rows())
                .find(|row| one(&column, *row).to_data() != one(expected.column(at), *row).to_data());
            let show = |array: &ArrayRef| row.map(|row| format!("{:?}", one(array, row)));
            faults.push(format!("{place}: row {row:?} is {:?} for {:?}", show(&column), show(expected.column(at))));
        }
    }
    faults
}

/// The type with names of our own for elements and entries.
fn renamed(data_type: &DataType) -> DataType {
    let named = |field: &FieldRef, name: &str| {
        Arc::new(
            Field::new(name, renamed(field.data_type()), field.is_nullable()).with_metadata(field.metadata().clone()),
        )
    };
    match data_type {
        DataType::List(element) => DataType::List(named(element, "element")),
        DataType::LargeList(element) => DataType::LargeList(named(element, "element")),
        DataType::FixedSizeList(element, size) => DataType::FixedSizeList(named(element, "element"), *size),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(parts) => {
                let parts = parts.iter().zip(["key", "value"]).map(|(part, name)| named(part, name)).collect();
                DataType::Map(Arc::new(Field::new("entries", DataType::Struct(parts), false)), *sorted)
            }
            other => other.clone(),
        },
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| named(field, field.name())).collect()),
        other => other.clone(),
    }
}
