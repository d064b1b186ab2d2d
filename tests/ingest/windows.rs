//! Windows: which rows they get, when their files are closed, and that running again adds what is new and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use hypostyle::Error;

use crate::read_back::{World, options, record, records};

/// Minutes of five hours, each record up to `disorder` minutes away from its place.
fn shuffled(count: i64, disorder: i64) -> impl Iterator<Item = i64> {
    (0..count).map(move |at| (at * 300 / count - (at * 7919) % (disorder + 1)).max(0))
}

#[test]
fn running_again_adds_nothing_and_more_records_are_added_once() {
    let world = World::new(&[("a.ndjson", &records(0, shuffled(500, 90)))]);
    let first = world.run_all(options());
    assert_eq!((first.records, first.rows_written, first.skipped, first.dead_lettered), (500, 500, 0, 0));
    assert_eq!(first.windows, 5);
    let version = world.version();
    assert_eq!(first.version, Some(version));

    let again = world.run_all(options());
    assert_eq!((again.records, again.rows_written, again.commits, again.version), (0, 0, 0, Some(version)));
    assert_eq!(world.version(), version);

    // Late ones too, whose windows are long closed.
    world.append("a.ndjson", &records(1_000, shuffled(100, 300)));
    let more = world.run_all(options());
    assert_eq!((more.records, more.rows_written), (100, 100));
}

#[test]
fn several_partitions_each_go_on_where_they_are() {
    let world = World::new(&[
        ("a.ndjson", &records(0, shuffled(300, 30))),
        ("b.ndjson", &records(10_000, shuffled(200, 200))),
        ("d/c.ndjson", ""),
    ]);
    world.run_all(options());
    world.append("d/c.ndjson", &records(20_000, shuffled(50, 10)));
    world.append("b.ndjson", &records(30_000, shuffled(50, 10)));
    world.set("e.ndjson", &records(40_000, shuffled(70, 10)));
    let more = world.run_all(options());
    assert_eq!((more.records, more.rows_written), (170, 170));
    assert_eq!(world.run_all(options()).commits, 0);
    // One that was rotated away is told, and no fault.
    let kept = World { source: Default::default(), ..world.clone() };
    kept.set("a.ndjson", core::str::from_utf8(&world.source.get("a.ndjson").unwrap()).unwrap());
    let summary = kept.run(options()).unwrap();
    assert_eq!(summary.gone, ["b.ndjson", "d/c.ndjson", "e.ndjson"]);
    assert_eq!(summary.commits, 0);
}

#[test]
fn a_window_is_closed_when_event_time_has_passed_it_by_the_lateness() {
    // Minutes 0 to 299 in order: without lateness each window closes with the first record of the next.
    let world = World::new(&[("a.ndjson", &records(0, 0..3_000))]);
    let mut eager = options();
    eager.commit_windows = 1;
    let summary = world.run_all(eager);
    assert_eq!((summary.windows, summary.files), (50, 50));
    assert!(summary.commits > 1, "{}", summary.commits);
    // A quarter of the window unless said otherwise; then the watermark is behind the last record by that much.
    let world = World::new(&[("a.ndjson", &records(0, 0..300))]);
    let mut late = options();
    late.lateness = None;
    let summary = world.run_all(late);
    let last: jiff::Timestamp = "2024-01-01T04:59:00Z".parse().unwrap();
    assert_eq!(summary.watermark_us, Some(last.as_microsecond() - 15 * 60_000_000));
}

#[test]
fn late_records_get_a_file_of_their_own_but_not_one_each() {
    // Each tenth record is for the first window, which is closed by then.
    let minutes = (0..3_000).map(|at| if at % 10 == 0 { 5 } else { at });
    let world = World::new(&[("a.ndjson", &records(0, minutes))]);
    let mut eager = options();
    eager.commit_windows = 1;
    let summary = world.run_all(eager);
    assert_eq!(summary.windows, 50);
    assert!(summary.files <= 52, "{}", summary.files);
}

#[test]
fn no_more_windows_are_open_than_allowed() {
    // Every record is for another of 24 windows.
    let world = World::new(&[("a.ndjson", &records(0, (0..480).map(|at| at * 61 % 1_440)))]);
    for (max_open, sink) in [(1, "one"), (3, "three"), (24, "all")] {
        let world = World { source: world.source.clone(), ..World::default() };
        let mut tight = options();
        tight.max_open = max_open;
        tight.sink = sink.into();
        tight.lateness = Some(Duration::from_secs(86_400 * 2));
        let mut ingest = world.open(tight).unwrap();
        let mut most = 0;
        ingest.run(&false.into(), &mut |p| most = most.max(p.open_windows)).unwrap();
        assert_eq!(world.rows(), world.expected());
        world.check_books();
    }
}

#[test]
fn a_straggler_is_committed_before_it_costs_too_much_to_read_again() {
    // The first record's window would stay open for ever.
    let text = format!("{}{}", record(0, 0), records(1, (0..20_000).map(|at| 60 + at / 100)));
    let world = World::new(&[("a.ndjson", &text)]);
    let mut capped = options();
    capped.lateness = Some(Duration::from_secs(86_400));
    capped.replay_bytes_max = 100_000;
    let summary = world.run_all(capped);
    assert!(summary.commits > 1, "{}", summary.commits);
}

#[test]
fn a_file_is_closed_at_its_size() {
    let text: String =
        (0..60_000i64).map(|n| record(n % 60, n.wrapping_mul(0x9E37_79B9_7F4A_7C15u64 as i64))).collect();
    let world = World::new(&[("a.ndjson", &text)]);
    let mut small = options();
    small.target_file_bytes = 100_000;
    let summary = world.run_all(small);
    assert_eq!(summary.windows, 1);
    assert!(summary.files >= 4, "{}", summary.files);
}

/// Two windows, each of many batches, from one thread to several.
#[test]
fn threads_encode_what_one_would() {
    let text: String =
        (0..60_000i64).map(|n| record(n % 120, n.wrapping_mul(0x9E37_79B9_7F4A_7C15u64 as i64))).collect();
    let world = World::new(&[("a.ndjson", &text)]);
    for (sort_by, target, files) in [(None, 128 << 20, 2..=2), (None, 100_000, 4..=20), (Some("t"), 128 << 20, 2..=2)] {
        for threads in [1, 2, 4] {
            let world = World { source: world.source.clone(), ..World::default() };
            let mut options = options();
            options.threads = threads;
            options.sort_by = sort_by.map(str::to_owned);
            options.target_file_bytes = target;
            options.lateness = Some(Duration::from_secs(86_400));
            let summary = world.run_all(options);
            assert!(files.contains(&summary.files), "{} files on {threads} threads", summary.files);
            assert_eq!(world.rows(), world.expected(), "{sort_by:?} {target} on {threads} threads");
            world.check_books();
        }
    }
}

#[test]
fn rows_are_sorted_in_each_row_group_if_asked() {
    let world = World::new(&[("a.ndjson", &records(0, (0..5_000).map(|at| at * 37 % 60)))]);
    let mut sorting = options();
    sorting.sort_by = Some("t".into());
    world.run_all(sorting);
    for (_, batch) in crate::read_back::batches_of(&world.table) {
        use arrow_array::cast::AsArray;
        let times = batch["t"].as_primitive::<arrow_array::types::TimestampMicrosecondType>();
        assert!(times.values().is_sorted());
        let numbers = batch["n"].as_primitive::<arrow_array::types::Int64Type>();
        // Of one minute, in the order in which they came.
        let of_first: Vec<i64> =
            (0..batch.num_rows()).filter(|i| times.value(*i) == times.value(0)).map(|i| numbers.value(i)).collect();
        assert!(of_first.len() > 10 && of_first.is_sorted());
    }
    let mut wrong = options();
    wrong.sort_by = Some("x".into());
    wrong.sink = "other".into();
    let e = world.run(wrong).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("column x"), "{e}");
}

#[test]
fn memory_stays_within_its_bound() {
    // 40 windows at once, 16 MiB for all of them.
    let pad = "x".repeat(400);
    let noisy = |n: i64| {
        (0..pad.len())
            .map(|i| char::from(b'a' + (n.wrapping_mul(i as i64 * 31 + 7) >> 3).rem_euclid(26) as u8))
            .collect::<String>()
    };
    let text: String = (0..100_000i64)
        .map(|n| record((n * 61) % 2_400, n).replace("}\n", &format!(",\"s\":\"{}\"}}\n", noisy(n))))
        .collect();
    let world = World::new(&[("a.ndjson", &text)]);
    for threads in [1, 3] {
        let world = World { source: world.source.clone(), ..World::default() };
        let mut tight = options();
        tight.threads = threads;
        tight.memory_bytes = 16 << 20;
        tight.lateness = Some(Duration::from_secs(86_400 * 7));
        let mut most = 0;
        let mut ingest = world.open(tight).unwrap();
        let summary = ingest.run(&false.into(), &mut |p| most = most.max(p.memory_bytes)).unwrap();
        assert_eq!(world.rows().len(), 100_000);
        assert_eq!(world.rows(), world.expected());
        assert!(most > 4 << 20 && most < 16 << 20, "{most} on {threads} threads");
        // Row groups end for it, not files.
        assert!(summary.files < 80, "{} on {threads} threads", summary.files);
    }
}

#[test]
fn windows_have_folders_and_a_column_that_every_reader_finds() {
    let world = World::new(&[("a.ndjson", &records(0, [0, 70]))]);
    world.run_all(options());
    use hypostyle::storage::Storage;
    let folders: BTreeSet<String> = world
        .table
        .list("window_start")
        .unwrap()
        .into_iter()
        .map(|entry| entry.path.split('/').next().unwrap().to_owned())
        .collect();
    let expected = ["window_start=2024-01-01T00%3A00%3A00Z", "window_start=2024-01-01T01%3A00%3A00Z"];
    assert_eq!(folders, expected.map(str::to_owned).into());
}
