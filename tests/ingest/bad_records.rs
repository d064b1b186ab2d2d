//! Bad records: exactly once among the dead letters, or the end of the run.

use hypostyle::Error;
use hypostyle::ingest::{OnBad, UnknownFields};

use crate::read_back::{World, options, record, records};

const BAD: &[&str] =
    &["not json", "{\"t\":null,\"n\":1}", "{\"n\":1}", "{\"t\":\"2024-13-01T00:00:00Z\",\"n\":1}", "[]"];

fn mixed() -> String {
    let mut text = String::new();
    for (at, bad) in BAD.iter().enumerate() {
        text += &record(at as i64 * 50, at as i64);
        text += bad;
        text.push('\n');
    }
    text
}

#[test]
fn each_is_a_dead_letter_once_with_its_place_and_bytes() {
    let world = World::new(&[("a.ndjson", &mixed()), ("b.ndjson", &records(100, 0..10))]);
    let first = world.run(options()).unwrap();
    assert_eq!((first.records, first.rows_written, first.dead_lettered), (20, 15, 5));
    let letters = world.dead_letters();
    let text = mixed();
    assert_eq!(letters.len(), BAD.len());
    for ((partition, offset, raw), bad) in letters.iter().zip(BAD) {
        assert_eq!((partition.as_str(), raw.as_str()), ("a.ndjson", *bad));
        assert!(text[*offset as usize..].starts_with(bad));
    }
    assert_eq!(world.run(options()).unwrap().commits, 0);
    world.append("a.ndjson", "worse\n");
    world.append("b.ndjson", "worst\n");
    let more = world.run(options()).unwrap();
    assert_eq!((more.records, more.dead_lettered, more.files), (2, 2, 0));
    assert_eq!(world.dead_letters().len(), 7);
    assert_eq!(world.run(options()).unwrap().commits, 0);
}

#[test]
fn a_run_that_is_to_stop_commits_what_is_before_and_says_where_it_stopped() {
    let text = format!("{}oops\n{}", records(0, 0..100), records(100, 0..100));
    let world = World::new(&[("a.ndjson", &text)]);
    let mut stop = options();
    stop.on_bad = OnBad::Stop;
    for _ in 0..2 {
        let e = world.run(stop.clone()).unwrap_err();
        assert!(matches!(e, Error::Invalid(_)), "{e}");
        assert_eq!(e.place().byte, Some(records(0, 0..100).len() as u64));
        assert!(e.to_string().contains("a.ndjson") && e.to_string().contains("bad record"), "{e}");
        assert_eq!(world.rows().len(), 100);
        world.check_books();
    }
    assert!(world.dead_letters().is_empty());
    // Mended by letting it go to the dead letters after all; then stopping does not mind it any more.
    let summary = world.run(options()).unwrap();
    assert_eq!((summary.rows_written, summary.dead_lettered), (100, 1));
    world.append("a.ndjson", &records(200, 0..10));
    assert_eq!(world.run(stop).unwrap().rows_written, 10);
    assert_eq!(world.rows().len(), 210);
}

#[test]
fn unknown_fields_are_bad_or_passed_over_as_asked() {
    let text = format!("{}{}", record(0, 0), record(1, 1).replace("}", ",\"new\":{\"x\":[]}}"));
    let world = World::new(&[("a.ndjson", &record(0, 0))]);
    world.run(options()).unwrap();
    world.set("a.ndjson", &text);
    let passing = World { source: world.source.clone(), ..World::default() };
    world.run(options()).unwrap();
    assert_eq!((world.rows().len(), world.dead_letters().len()), (1, 1));

    let mut ignore = options();
    ignore.unknown_fields = UnknownFields::Ignore;
    ignore.schema = Some(
        hypostyle::ingest::RowSchema::from_json(
            r#"{"fields":[{"name":"t","type":"timestamp","nullable":false},{"name":"n","type":"int64"}]}"#,
        )
        .unwrap(),
    );
    passing.run(ignore).unwrap();
    assert_eq!((passing.rows().len(), passing.dead_letters().len()), (2, 0));
}

#[test]
fn a_table_that_is_none_of_dead_letters_is_left_alone() {
    let world = World::new(&[("a.ndjson", &mixed())]);
    let other = World { dead: world.table.clone(), ..world.clone() };
    world.run(options()).unwrap();
    // The dead letters of another run are to go where a table of records is.
    let wrong = World { table: Default::default(), dead: other.dead, ..world };
    let e = wrong.run(options()).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("dead letters"), "{e}");
}
