//! Tests of NDJSON as a log.

use std::io::Write;
use std::sync::Arc;

use super::*;
use crate::log::RecordBlock;
use crate::storage::Memory;

const TEXT: &[u8] = b"{\"a\":1}\n\n{\"a\":22}\r\n  \n{\"a\":333}\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

fn log_of(files: &[(&str, Vec<u8>)]) -> NdjsonLog {
    log_with(files, NdjsonOptions::default()).unwrap()
}

fn log_with(files: &[(&str, Vec<u8>)], options: NdjsonOptions) -> Result<NdjsonLog> {
    let memory = Memory::new();
    for (path, bytes) in files {
        memory.put(path, bytes.clone()).unwrap();
    }
    let storage: Arc<dyn Storage> = Arc::new(memory);
    NdjsonLog::new(Source::folder(&storage)?, options)
}

fn id(name: &str) -> PartitionId {
    PartitionId(name.to_owned())
}

/// A record: offset, next, whole, text.
type Seen = (u64, u64, bool, String);

/// Every record from where the log is, and the error that ended it, if one did.
fn drain(log: &mut NdjsonLog, name: &str, bytes_max: usize) -> (Vec<Seen>, Result<()>) {
    let mut records = Vec::new();
    let mut next = None;
    loop {
        match log.poll(&id(name), bytes_max) {
            Ok(Poll::Records(block)) => {
                assert!(next.is_none_or(|n| n < block.next), "a block goes on");
                next = Some(block.next);
                let of = |block: &RecordBlock| {
                    let text = |span| String::from_utf8_lossy(block.record(span)).into_owned();
                    block.records.iter().map(|s| (s.offset.0, s.next.0, s.whole, text(s))).collect::<Vec<_>>()
                };
                records.extend(of(&block));
            }
            Ok(Poll::Idle) => {}
            Ok(Poll::End) => return (records, Ok(())),
            Err(e) => return (records, Err(e)),
        }
    }
}

fn texts(log: &mut NdjsonLog, name: &str, bytes_max: usize) -> Vec<String> {
    let (records, end) = drain(log, name, bytes_max);
    end.unwrap();
    records.into_iter().map(|r| r.3).collect()
}

#[test]
fn offsets_are_of_the_text_however_it_is_stored_and_cut() {
    let expected = vec![
        (0, 8, true, r#"{"a":1}"#.to_owned()),
        (9, 19, true, r#"{"a":22}"#.to_owned()),
        (22, 32, true, r#"{"a":333}"#.to_owned()),
    ];
    // Two members, two frames: one text.
    let (first, second) = TEXT.split_at(12);
    let packed = [
        ("x.ndjson", TEXT.to_vec()),
        ("x.ndjson.gz", [gzip(first), gzip(second)].concat()),
        ("x.ndjson.zst", [zstd(first), zstd(second)].concat()),
    ];
    for (path, bytes) in packed {
        for bytes_max in [1, 7, 8, 9, 20, 1 << 20] {
            let mut log = log_of(&[(path, bytes.clone())]);
            let (records, end) = drain(&mut log, "x.ndjson", bytes_max);
            end.unwrap();
            assert_eq!(records, expected, "{path} by {bytes_max}");
        }
    }
    let mut log = NdjsonLog::new(vec![Source::stream("s", TEXT)], NdjsonOptions::default()).unwrap();
    assert_eq!(drain(&mut log, "s", 8).0, expected);
}

#[test]
fn reading_goes_on_at_any_position_of_any_packing() {
    let text: String = (0..20_000).map(|i| format!("{{\"n\":{i}}}\n")).collect();
    for (path, bytes) in [
        ("x.jsonl", text.clone().into_bytes()),
        ("x.jsonl.gz", gzip(text.as_bytes())),
        ("x.jsonl.zst", zstd(text.as_bytes())),
    ] {
        let mut log = log_of(&[(path, bytes.clone())]);
        let Poll::Records(block) = log.poll(&id("x.jsonl"), 100_000).unwrap() else { panic!("records") };
        let identity = log.identity(&id("x.jsonl"), block.next).unwrap();
        assert_eq!(identity.position, block.next, "{path}");
        let mut again = log_of(&[(path, bytes)]);
        again.seek(&id("x.jsonl"), block.next, Some(&identity)).unwrap();
        let rest = texts(&mut again, "x.jsonl", 50_000);
        assert_eq!(rest.len() + block.records.len(), 20_000, "{path}");
        assert_eq!(rest[0], format!("{{\"n\":{}}}", block.records.len()));
        assert_eq!(rest.last().unwrap(), "{\"n\":19999}");
    }
}

#[test]
fn the_last_line_is_a_record_only_as_a_whole_object() {
    for (tail, record) in [
        (&b"{\"a\":2}"[..], true),
        (b"{\"a\":2}  ", true),
        (b"{\"a\":2", false),
        (b"{\"a\":2} {", false),
        (b"17", false),
    ] {
        let mut log = log_of(&[("x.ndjson", [b"{\"a\":1}\n", tail].concat())]);
        let (records, end) = drain(&mut log, "x.ndjson", 100);
        end.unwrap();
        assert_eq!(records.len(), 1 + usize::from(record), "{}", String::from_utf8_lossy(tail));
        let tails = if record { vec![] } else { vec![(id("x.ndjson"), Offset(8))] };
        assert_eq!(log.incomplete_tails(), tails);
    }
    let mut blank = log_of(&[("x.ndjson", b"{\"a\":1}\n  ".to_vec())]);
    assert_eq!(texts(&mut blank, "x.ndjson", 100).len(), 1);
    assert_eq!(blank.incomplete_tails(), vec![]);
}

#[test]
fn a_last_line_that_was_a_record_is_not_one_again_when_its_newline_comes() {
    let mut log = log_of(&[("x.ndjson", b"{\"a\":1}".to_vec())]);
    let (records, _) = drain(&mut log, "x.ndjson", 100);
    let position = Offset(records[0].1);
    let identity = log.identity(&id("x.ndjson"), position).unwrap();
    let mut log = log_of(&[("x.ndjson", b"{\"a\":1}\n{\"a\":2}\n".to_vec())]);
    log.seek(&id("x.ndjson"), position, Some(&identity)).unwrap();
    assert_eq!(texts(&mut log, "x.ndjson", 100), [r#"{"a":2}"#]);
}

#[test]
fn a_line_that_is_too_long_is_one_record_however_it_is_read() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let text = format!("{{\"a\":1}}\n{long}\n{{\"a\":2}}\n{long}");
    let options = NdjsonOptions { line_bytes_max: 20_000 };
    let mut seen = Vec::new();
    for (path, bytes) in [("x.ndjson", text.clone().into_bytes()), ("x.ndjson.gz", gzip(text.as_bytes()))] {
        for bytes_max in [10, 30_000, 1 << 20] {
            let mut log = log_with(&[(path, bytes.clone())], options.clone()).unwrap();
            let (records, end) = drain(&mut log, "x.ndjson", bytes_max);
            end.unwrap();
            assert_eq!(log.incomplete_tails(), vec![(id("x.ndjson"), Offset(8 + long.len() as u64 + 1 + 8))]);
            seen.push(records);
        }
    }
    let first_bytes = long[..4096].to_owned();
    let next = 8 + long.len() as u64 + 1;
    let expected = vec![
        (0, 8, true, r#"{"a":1}"#.to_owned()),
        (8, next, false, first_bytes),
        (next, next + 8, true, r#"{"a":2}"#.to_owned()),
    ];
    seen.iter().for_each(|records| assert_eq!(*records, expected));
}

#[test]
fn a_byte_order_mark_is_passed_over_at_the_start_only() {
    let mut log = log_of(&[("x.ndjson", b"\xEF\xBB\xBF{\"a\":1}\n\xEF\xBB\xBF{}\n".to_vec())]);
    let (records, _) = drain(&mut log, "x.ndjson", 100);
    assert_eq!(records[0], (0, 11, true, r#"{"a":1}"#.to_owned()));
    assert_eq!(records[1].3, "\u{feff}{}");
    let mut unterminated = log_of(&[("x.ndjson", b"\xEF\xBB\xBF{\"a\":1}".to_vec())]);
    assert_eq!(texts(&mut unterminated, "x.ndjson", 100), [r#"{"a":1}"#]);
}

#[test]
fn a_cut_stream_gives_what_is_whole_then_names_the_place() {
    let text: String =
        (0..50_000u64).map(|i| format!("{{\"n\":{}}}\n", i.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    for (path, bytes) in [("x.ndjson.gz", gzip(text.as_bytes())), ("x.ndjson.zst", zstd(text.as_bytes()))] {
        let cut = bytes[..bytes.len() * 2 / 3].to_vec();
        let length = cut.len() as u64;
        let mut log = log_of(&[(path, cut)]);
        let (records, end) = drain(&mut log, "x.ndjson", 65_536);
        let e = end.unwrap_err();
        assert!(matches!(e, Error::Corrupt(_)), "{e}");
        assert!(e.to_string().contains(path) && e.to_string().contains("cut off"), "{e}");
        assert_eq!(e.place().byte, Some(length));
        assert!(records.len() > 20_000 && records.len() < 50_000, "{path}: {}", records.len());
        assert!(text.starts_with(&records.iter().map(|r| format!("{}\n", r.3)).collect::<String>()));
    }
    let mut broken = gzip(text.as_bytes());
    let middle = broken.len() / 2;
    broken[middle..middle + 40].fill(0xFF);
    let (_, end) = drain(&mut log_of(&[("x.ndjson.gz", broken)]), "x.ndjson", 65_536);
    assert!(matches!(end.unwrap_err(), Error::Corrupt(_)));
}

#[test]
fn a_truncated_or_replaced_text_is_refused() {
    let text: String = (0..1_000).map(|i| format!("{{\"n\":{i}}}\n")).collect();
    let replaced = text.replace("{\"n\":7}", "{\"n\":8}");
    for (ending, pack) in [("", (|t: &[u8]| t.to_vec()) as fn(&[u8]) -> Vec<u8>), (".gz", gzip), (".zst", zstd)] {
        let path = format!("x.ndjson{ending}");
        let at = |text: &str| log_of(&[(&path, pack(text.as_bytes()))]);
        let mut log = at(&text);
        drain(&mut log, "x.ndjson", 1_000).1.unwrap();
        let position = Offset(text.len() as u64 - 100);
        let identity = log.identity(&id("x.ndjson"), position).unwrap();
        assert!(identity.position > Offset(5_000) && identity.position <= position);

        let resume = |text: &str| {
            let mut log = at(text);
            log.seek(&id("x.ndjson"), position, Some(&identity)).unwrap();
            drain(&mut log, "x.ndjson", 1_000)
        };
        let e = resume(&text[..6_000]).1.unwrap_err();
        assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("truncated"), "{e}");
        let e = resume(&replaced).1.unwrap_err();
        assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("replaced"), "{e}");
        assert!(e.to_string().contains(&path) && e.to_string().contains("--sink"), "{e}");
        let (records, end) = resume(&format!("{text}{{\"n\":1000}}\n"));
        end.unwrap();
        assert_eq!(records.last().unwrap().3, "{\"n\":1000}");
    }
}

#[test]
fn partitions_are_files_by_their_name_without_the_packing() {
    let one = || b"{}\n".to_vec();
    let files = [
        ("b.ndjson.gz", gzip(b"{}\n")),
        ("a.jsonl", one()),
        ("d/c.ndjson", one()),
        (".h.ndjson", one()),
        ("e.txt", one()),
    ];
    let mut log = log_of(&files);
    let ids: Vec<String> = log.partitions().unwrap().into_iter().map(|p| p.id.0).collect();
    assert_eq!(ids, ["a.jsonl", "b.ndjson", "d/c.ndjson"]);
    let e = log_with(&[("a.ndjson", one()), ("a.ndjson.gz", gzip(b"{}\n"))], NdjsonOptions::default()).err().unwrap();
    assert!(e.to_string().contains("a.ndjson.gz") && e.to_string().contains("partition a.ndjson"), "{e}");
}

#[test]
fn a_stream_that_has_nothing_is_idle_and_then_goes_on() {
    let (sender, receiver) = std::sync::mpsc::channel::<Vec<u8>>();
    struct Pipe(std::sync::mpsc::Receiver<Vec<u8>>);
    impl Read for Pipe {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Ok(bytes) = self.0.recv() else { return Ok(0) };
            out[..bytes.len()].copy_from_slice(&bytes);
            Ok(bytes.len())
        }
    }
    let mut log = NdjsonLog::new(vec![Source::stream("s", Pipe(receiver))], NdjsonOptions::default()).unwrap();
    assert!(matches!(log.poll(&id("s"), 100).unwrap(), Poll::Idle));
    sender.send(b"{\"a\":1}\n{\"a\"".to_vec()).unwrap();
    loop {
        match log.poll(&id("s"), 100).unwrap() {
            Poll::Idle => {}
            Poll::Records(block) => {
                assert_eq!((block.records.len(), block.next), (1, Offset(8)));
                break;
            }
            Poll::End => panic!("it has not ended"),
        }
    }
    sender.send(b":2}\n".to_vec()).unwrap();
    drop(sender);
    assert_eq!(texts(&mut log, "s", 100), [r#"{"a":2}"#]);
}
