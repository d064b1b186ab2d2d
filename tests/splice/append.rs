//! Appended rows, and crashes between.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use hypostyle::Result;
use hypostyle::parquet::format::{KeyValue, footer};
use hypostyle::parquet::read::ScanOptions;
use hypostyle::parquet::write::{FileWriter, WriterOptions};
use hypostyle::predicate::col;
use hypostyle::storage::{FaultPlan, Faulty, Memory, Storage};
use proptest::prelude::*;

use super::file::*;

#[test]
fn appended_rows_follow_the_old_bytes() {
    for old in [written(&rows(0, 700), options()), of_arrow_rs(&rows(0, 700))] {
        let memory = Memory::new();
        memory.put("f", old.clone()).unwrap();
        let mut writer =
            FileWriter::append_to(&memory, "f", schema(), options().with_key_value("added", "yes")).unwrap();
        assert_eq!(writer.rows(), 700);
        writer.write(&rows(700, 1300)).unwrap();
        assert_eq!(memory.get("f").unwrap(), old, "nothing before the end");
        let written = writer.finish().unwrap();
        let new = memory.get("f").unwrap();
        assert_eq!(written.bytes, new.len() as u64);
        assert_eq!(read(&new), rows(0, 1300));
        check_by_arrow_rs(&new, &rows(0, 1300));
        let (footer, _) = footer::locate(*old.last_chunk().unwrap(), old.len() as u64).unwrap();
        assert_eq!(new[..footer.start as usize], old[..footer.start as usize]);
        let keys: Vec<String> = open(&new)
            .metadata()
            .unwrap()
            .key_value_metadata
            .iter()
            .flatten()
            .map(|p: &KeyValue| p.key.clone())
            .collect();
        assert_eq!(keys, ["added", "ARROW:schema"]);
        // Once more, and merged with another.
        let mut writer =
            FileWriter::append_to(&memory, "f", schema(), options().with_key_value("added", "no")).unwrap();
        writer.write(&rows(1300, 1301)).unwrap();
        writer.finish().unwrap();
        let new = memory.get("f").unwrap();
        let pairs = open(&new).metadata().unwrap().key_value_metadata.clone().unwrap();
        assert_eq!((pairs.len(), pairs[0].value.as_deref()), (2, Some("no")));
        check_by_arrow_rs(&new, &rows(0, 1301));
        let both = merged(&[new, self::written(&rows(1301, 1400), options())]);
        check_by_arrow_rs(&both, &rows(0, 1400));
    }
    let memory = Memory::new();
    memory.put("f", written(&rows(0, 7), options())).unwrap();
    let other =
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("text", DataType::Utf8, true)]));
    let e = FileWriter::append_to(&memory, "f", other, options()).unwrap_err();
    assert_eq!(e.to_string(), "memory:f: column id: another schema: optional, where it is required");
}

#[test]
fn files_of_pyarrow_are_appended_to() {
    for (name, bytes) in goldens() {
        let old = read(&bytes);
        let memory = Memory::new();
        memory.put("f", bytes).unwrap();
        let appended = FileWriter::append_to(&memory, "f", old.schema(), WriterOptions::default());
        let mut writer = match appended {
            Ok(writer) => writer,
            // What is read and not written.
            Err(e) if name == "int96.parquet" => {
                assert!(e.to_string().contains("another schema"), "{e}");
                continue;
            }
            Err(e) => panic!("{name}: {e}"),
        };
        writer.write(&old).unwrap();
        writer.finish().unwrap();
        let new = read(&memory.get("f").unwrap());
        assert_eq!((new.num_rows(), new.schema()), (2 * old.num_rows(), old.schema()), "{name}");
        for (new, old) in new.columns().iter().zip(old.columns()) {
            for half in [new.slice(0, old.len()), new.slice(old.len(), old.len())] {
                assert!(same_values(&half, old), "{name}");
            }
        }
    }
}

#[test]
fn a_crash_at_any_operation_of_an_append_leaves_the_old_file_or_the_new_one() {
    let memory = Memory::new();
    memory.put("day/f", written(&rows(0, 500), options())).unwrap();
    let append = |disk: &Faulty| -> Result<()> {
        let mut writer = FileWriter::append_to(disk, "day/f", schema(), options())?;
        writer.write(&rows(500, 900))?;
        writer.finish().map(|_| ())
    };
    let whole = Faulty::new(&memory, FaultPlan::default());
    append(&whole).unwrap();
    let (mut old, mut new) = (0, 0);
    for crash_at in 1..=whole.operations() + 1 {
        for seed in 0..20 {
            let disk = Faulty::new(&memory, FaultPlan { seed, crash_at: Some(crash_at), faults: vec![] });
            let acknowledged = append(&disk).is_ok();
            let found = read(&disk.after_crash(seed ^ 0x5555).get("day/f").expect("the file is there"));
            if found.num_rows() == 500 {
                assert!(!acknowledged, "lost: crash at {crash_at}, seed {seed}");
                assert_eq!(found, rows(0, 500));
                old += 1;
            } else {
                assert_eq!(found, rows(0, 900));
                new += 1;
            }
        }
    }
    assert!(old > 40 && new > 20, "{old} old, {new} new");
}

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Pause,
    Append,
    Merge,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_way_to_the_rows_gives_the_same_rows(
        steps in proptest::collection::vec(
            prop_oneof![
                (0..500usize).prop_map(Step::Write),
                Just(Step::Pause),
                Just(Step::Append),
                Just(Step::Merge),
            ],
            1..12,
        ),
    ) {
        let memory = Memory::new();
        let mut parts: Vec<Bytes> = Vec::new();
        let begin = || FileWriter::new(memory.create("f").unwrap(), schema(), options()).unwrap();
        let mut writer = begin();
        let mut at = 0;
        for step in steps {
            match step {
                Step::Write(more) => {
                    writer.write(&rows(at, at + more)).unwrap();
                    at += more;
                }
                Step::Pause => {
                    let token = writer.pause().unwrap();
                    drop(writer);
                    writer = FileWriter::resume(&memory, &token, schema(), options()).unwrap();
                }
                Step::Append => {
                    writer.finish().unwrap();
                    writer = FileWriter::append_to(&memory, "f", schema(), options()).unwrap();
                }
                Step::Merge => {
                    writer.finish().unwrap();
                    parts.push(memory.get("f").unwrap());
                    parts = vec![merged(&parts)];
                    writer = begin();
                }
            }
        }
        writer.finish().unwrap();
        parts.push(memory.get("f").unwrap());
        let all = merged(&parts);
        prop_assert_eq!(read(&all), rows(0, at));
        if at > 0 {
            check_by_arrow_rs(&all, &rows(0, at));
            let file = open(&all);
            let wanted = (at / 3) as i64;
            let scan = file.scan(ScanOptions::default().with_predicate(col("id").gt(wanted))).unwrap();
            let found: Vec<RecordBatch> = scan.collect::<Result<_>>().unwrap();
            prop_assert_eq!(concat_batches(&schema(), &found).unwrap(), rows(at / 3 + 1, at));
        }
    }
}
