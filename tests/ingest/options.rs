//! Options that contradict the table, the source, or what an earlier run left half-way.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow_schema::TimeUnit;
use hypostyle::Error;
use hypostyle::ingest::{IngestOptions, RowSchema, Summary};
use hypostyle::storage::{Memory, Storage};

use crate::read_back::{World, options, records};

fn refused(result: hypostyle::Result<Summary>, says: &[&str]) {
    let e = result.expect_err("it should be refused");
    assert!(matches!(e, Error::Invalid(_)), "{e}");
    for part in says {
        assert!(e.to_string().contains(part), "{part:?} in: {e}");
    }
}

fn with(change: impl FnOnce(&mut IngestOptions)) -> IngestOptions {
    let mut options = options();
    change(&mut options);
    options
}

#[test]
fn nothing_is_made_when_the_event_time_cannot_be() {
    let world = World::new(&[("a.ndjson", "{\"n\":1,\"s\":\"x\",\"i\":5}\n")]);
    refused(world.run(options()), &["column t", "n, s, i"]);
    refused(world.run(with(|o| o.event_time = "s".into())), &["column s", "utf8"]);
    refused(world.run(with(|o| o.event_time = "i".into())), &["column i", "s, ms, us or ns"]);
    refused(World::new(&[("a.ndjson", "")]).run(options()), &["no record"]);
    refused(World::new(&[]).run(options()), &["nothing to read"]);
    refused(world.run(with(|o| o.sink = "a.b".into())), &["sink"]);
    refused(world.run(with(|o| o.window = Duration::ZERO)), &["window"]);
    let clash = with(|o| {
        o.event_time = "i".into();
        o.event_time_unit = Some(TimeUnit::Second);
        o.window_column = "n".into();
    });
    refused(world.run(clash), &["column n"]);
    assert!(world.table.list("").unwrap().is_empty() && world.dead.list("").unwrap().is_empty());
}

#[test]
fn integers_count_in_the_unit_given_and_stay_integers() {
    let world = World::new(&[("a.ndjson", "{\"i\":3600,\"t\":\"x\"}\n{\"i\":-1,\"t\":\"y\"}\n{\"i\":9e30}\n")]);
    let summary = world.run(with(|o| {
        o.event_time = "i".into();
        o.event_time_unit = Some(TimeUnit::Second);
    }));
    let summary = summary.unwrap();
    assert_eq!((summary.rows_written, summary.windows, summary.dead_lettered), (2, 2, 1));
    let windows: Vec<String> =
        crate::read_back::batches_of(&world.table).into_iter().map(|(w, _)| w.unwrap()).collect();
    assert_eq!(windows, ["1969-12-31T23:00:00.000000Z", "1970-01-01T01:00:00.000000Z"]);
}

#[test]
fn rules_change_only_where_nothing_is_open() {
    // A source that ends in a fault leaves nothing half-way; so at first a change of the window is taken over.
    let world = World::new(&[("a.ndjson", &records(0, 0..100))]);
    world.run_all(options());
    world.append("a.ndjson", &records(100, 100..200));
    let summary = world.run(with(|o| o.window = Duration::from_secs(86_400))).unwrap();
    assert_eq!((summary.rows_written, summary.windows), (100, 1));
    assert_eq!(world.rows().len(), 200);
}

#[test]
fn a_schema_other_than_the_tables_is_refused() {
    let world = World::new(&[("a.ndjson", &records(0, 0..10))]);
    world.run_all(options());
    let schema = |text: &str| with(|o| o.schema = Some(RowSchema::from_json(text).unwrap()));
    let same = r#"{"fields":[{"name":"t","type":"timestamp","nullable":false},{"name":"n","type":"int64"}]}"#;
    assert_eq!(world.run(schema(same)).unwrap().commits, 0);
    refused(world.run(schema(&same.replace("int64", "int32"))), &["column n", "another schema"]);
    refused(world.run(with(|o| o.window_column = "w".into())), &["partitioned by window_start", "not by"]);
}

#[test]
fn every_type_of_a_schema_comes_back_from_the_table() {
    let text = r#"{"fields":[{"name":"t","type":"timestamp","unit":"ms","nullable":false},{"name":"n","type":"int16"},
        {"name":"d","type":"date"},{"name":"m","type":"decimal(10,2)"},{"name":"b","type":"binary"},{"name":"j","type":"json"},
        {"name":"f","type":"float32"},{"name":"q","type":"bool"}]}"#;
    let line = |t: i64| {
        format!(
            "{{\"t\":{t},\"n\":7,\"d\":\"2024-02-29\",\"m\":\"1.50\",\"b\":\"AAE=\",\"j\":{{\"x\":1}},\"f\":1.5,\"q\":true}}\n"
        )
    };
    let world = World::new(&[("a.ndjson", &line(0))]);
    world.run(with(|o| o.schema = Some(RowSchema::from_json(text).unwrap()))).unwrap();
    // Without the schema given again: the table has all of it, the unit and what is JSON too.
    world.append("a.ndjson", &line(3_600_000));
    let summary = world.run(options()).unwrap();
    assert_eq!((summary.rows_written, summary.dead_lettered), (1, 0));
    for (_, batch) in crate::read_back::batches_of(&world.table) {
        use arrow_array::cast::AsArray;
        assert_eq!(batch["j"].as_string::<i32>().value(0), "{\"x\":1}");
        assert_eq!(batch["m"].as_primitive::<arrow_array::types::Decimal128Type>().value(0), 150);
        assert_eq!(batch["b"].as_binary::<i32>().value(0), [0, 1]);
    }
}

#[test]
fn a_truncated_or_replaced_source_is_refused_and_another_sink_takes_it() {
    let text = records(0, 0..500);
    let world = World::new(&[("a.ndjson", &text)]);
    world.run_all(options());
    let version = world.version();
    world.set("a.ndjson", &text[..1_000]);
    refused(world.run(options()), &["a.ndjson", "truncated", "--sink"]);
    world.set("a.ndjson", &records(500, 0..600));
    refused(world.run(options()), &["a.ndjson", "replaced", "--sink"]);
    assert_eq!(world.version(), version);
    assert_eq!(world.run(with(|o| o.sink = "second".into())).unwrap().rows_written, 600);
    assert_eq!(world.rows().len(), 1_100);
}

#[test]
fn a_rotated_file_goes_on_where_it_was_when_it_is_compressed() {
    let text = records(0, 0..500);
    let world = World::new(&[("a.ndjson", &text)]);
    world.run_all(options());
    let more = format!("{text}{}", records(500, 0..50));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(more.as_bytes()).unwrap();
    world.source.remove("a.ndjson").unwrap();
    world.source.put("a.ndjson.gz", gzip.finish().unwrap()).unwrap();
    let summary = world.run(options()).unwrap();
    assert_eq!((summary.records, summary.rows_written), (50, 50));
    assert_eq!(world.rows().len(), 550);
}

#[test]
fn a_cut_source_gives_what_is_whole_and_then_the_fault() {
    let text = records(0, (0..20_000).map(|at| (at * 7919) % 600));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let whole = gzip.finish().unwrap();
    let world = World::default();
    world.source.put("a.ndjson.gz", whole[..whole.len() / 2].to_vec()).unwrap();
    let e = world.run(options()).unwrap_err();
    assert!(matches!(e, Error::Corrupt(_)) && e.to_string().contains("cut off"), "{e}");
    let before = world.rows().len();
    assert!(before > 5_000 && before < 20_000, "{before}");
    world.check_books();
    world.source.put("a.ndjson.gz", whole).unwrap();
    let summary = world.run(options()).unwrap();
    assert_eq!(summary.rows_written as usize, 20_000 - before);
    let rows = world.rows();
    world.source.remove("a.ndjson.gz").unwrap();
    world.set("a.ndjson", &text);
    assert_eq!(rows, world.expected());
}

#[test]
fn a_table_that_is_not_ours_is_refused() {
    use arrow_schema::{DataType, Field, Schema};
    use hypostyle::table::{CreateOptions, Table};
    let world = World::new(&[("a.ndjson", &records(0, 0..10))]);
    let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Int64, true)]));
    let table = Memory::new();
    Table::create(Arc::new(table.clone()), schema, CreateOptions::default()).unwrap();
    let world = World { table, ..world };
    refused(world.run(options()), &["partitioned by nothing"]);
}
