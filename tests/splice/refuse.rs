//! What cannot be moved.

use std::sync::Arc;

use crate::generate::{self, Nulls, Random};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use bytes::Bytes;
use hypostyle::Error;
use hypostyle::parquet::format::FileMetaData;
use hypostyle::parquet::write::{Encryption, FileWriter};
use hypostyle::storage::{Memory, Storage};

use super::file::*;

#[test]
fn what_cannot_be_moved_is_refused_by_name() {
    let good = written(&rows(0, 1000), options());
    let change = |change: &dyn Fn(&mut FileMetaData)| {
        let bad = with_footer(&good, change);
        // The file itself stays as it was.
        let e = refused(&[good.clone(), bad]);
        assert_eq!(e.place().file.as_deref(), Some("memory:1.parquet"), "{e}");
        e
    };
    let meta = |m: &mut FileMetaData, what: &dyn Fn(&mut hypostyle::parquet::format::ColumnMetaData)| {
        what(m.row_groups[1].columns[1].meta_data.as_mut().unwrap());
    };
    let e = change(&|m| m.created_by = Some("parquet-mr version 1.2.8 (build x)".into()));
    assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("parquet-mr before 1.2.9"), "{e}");
    let e = change(&|m| m.row_groups[0].columns[0].file_path = Some("other.parquet".into()));
    assert_eq!(e.to_string(), "memory:1.parquet: column id: the chunk lies in another file, other.parquet");
    let e = change(&|m| m.row_groups[0].columns[1].encrypted_column_metadata = Some(vec![1]));
    assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("column text: encrypted"), "{e}");
    let e = change(&|m| meta(m, &|c| c.dictionary_page_offset = Some(c.data_page_offset + (1 << 20))));
    assert!(e.to_string().contains("column text, at byte"), "{e}");
    assert!(e.to_string().ends_with("its dictionary page lies outside of the chunk"), "{e}");
    let e = change(&|m| meta(m, &|c| c.total_compressed_size = 1 << 40));
    assert!(matches!(e, Error::Corrupt(_)), "{e}");
    // Copying a megabyte a thousand times over is no merge.
    let e = change(&|m| {
        let group = m.row_groups[0].clone();
        m.num_rows += 50 * group.num_rows;
        m.row_groups.extend(vec![group; 50]);
    });
    assert!(matches!(e, Error::Corrupt(_)) && e.to_string().contains("column chunks of "), "{e}");
    let e = change(&|m| m.num_rows += 1);
    assert!(e.to_string().contains("the footer tells of 1001 rows, its row groups of 1000"), "{e}");
    let mut pare = good.to_vec();
    let end = pare.len();
    pare[end - 4..].copy_from_slice(b"PARE");
    let e = refused(&[pare.into()]);
    assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains("memory:0.parquet: encrypted"), "{e}");
    assert!(matches!(refused(&[]), Error::Invalid(_)));
    for cut in [0, 3, 7, 8, 100, good.len() - 1] {
        assert!(matches!(refused(&[good.slice(..cut)]), Error::Corrupt(_)), "{cut}");
    }

    let other = |data_type: DataType, name: &str| {
        let field = Field::new(name, data_type.clone(), true);
        let array = generate::array(&data_type, 3, Nulls::Some, None, &mut Random::new(1));
        written(&RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap(), options())
    };
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let naive = DataType::Timestamp(TimeUnit::Millisecond, None);
    for (a, b, says) in [
        (
            other(DataType::Int32, "x"),
            other(DataType::Int64, "x"),
            "column x: another schema: Int64, where it is Int32",
        ),
        (
            other(DataType::Int32, "x"),
            other(DataType::Int32, "y"),
            "column x: another schema: \"y\" stands in its place",
        ),
        (other(utc, "x"), other(naive, "x"), "column x: another schema: Int64 Timestamp("),
        (other(DataType::Int32, "x"), good.clone(), "column x: another schema: \"id\" stands in its place"),
    ] {
        let e = refused(&[a, b]);
        assert!(
            matches!(e, Error::Invalid(_)) && e.to_string().starts_with(&format!("memory:1.parquet: {says}")),
            "{e}"
        );
    }
}

#[test]
fn encrypted_files_stay_as_they_are() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/encrypted");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "parquet") {
            continue;
        }
        let bytes: Bytes = std::fs::read(&path).unwrap().into();
        let e = refused(std::slice::from_ref(&bytes));
        let says = "encrypted: its pages are bound to their places in the file and cannot be moved";
        assert!(matches!(e, Error::Unsupported(_)) && e.to_string().contains(says), "{}: {e}", path.display());
        let memory = Memory::new();
        memory.put("f", bytes).unwrap();
        let e = FileWriter::append_to(&memory, "f", schema(), options()).unwrap_err();
        assert!(e.to_string().contains(says), "{e}");
        seen += 1;
    }
    assert!(seen >= 8);
    let memory = Memory::new();
    memory.put("f", written(&rows(0, 7), options())).unwrap();
    let sealed = || options().with_encryption(Encryption::new(b"0123456789012345".to_vec()));
    let mut writer = FileWriter::new(memory.create("g").unwrap(), schema(), sealed()).unwrap();
    for e in [writer.pause().unwrap_err(), FileWriter::append_to(&memory, "f", schema(), sealed()).unwrap_err()] {
        assert_eq!(e.to_string(), "an encrypted file is written in one go: it cannot be paused or appended to");
    }
}
