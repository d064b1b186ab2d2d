//! What every storage promises, and what the faulty disk takes away.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]
use std::sync::Arc;
use std::thread;

use hypostyle::Error;
use hypostyle::storage::{Fault, FaultPlan, Faulty, Local, Memory, Paused, Published, Storage, is_not_found};

fn each_storage(test: impl Fn(Arc<dyn Storage>)) {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::new(folder.path().join("not/yet/there")).unwrap();
    test(Arc::new(local));
    let local = Local::new(folder.path().join("unmapped")).unwrap().without_map();
    test(Arc::new(local));
    test(Arc::new(Memory::new()));
    test(Arc::new(Faulty::new(&Memory::new(), FaultPlan::default())));
}

fn read(storage: &dyn Storage, path: &str) -> Vec<u8> {
    let input = storage.open(path).unwrap();
    input.read(0..input.bytes()).unwrap().to_vec()
}

fn write(storage: &dyn Storage, path: &str, bytes: &[u8]) {
    let mut output = storage.create(path).unwrap();
    output.append(bytes).unwrap();
    output.finish().unwrap();
}

fn paths(storage: &dyn Storage, prefix: &str) -> Vec<String> {
    storage.list(prefix).unwrap().into_iter().map(|entry| entry.path).collect()
}

#[test]
fn a_file_appears_whole_when_finished_and_never_when_dropped() {
    each_storage(|storage| {
        let mut output = storage.create("day=2013-01-01T00%3A00/a.bin").unwrap();
        output.append(b"abc").unwrap();
        output.append(&[7; 100_000]).unwrap();
        output.append(b"xyz").unwrap();
        assert_eq!(paths(&*storage, ""), Vec::<String>::new());
        output.finish().unwrap();
        let mut dropped = storage.create("b.bin").unwrap();
        dropped.append(&[1; 100_000]).unwrap();
        drop(dropped);

        assert_eq!(paths(&*storage, ""), ["day=2013-01-01T00%3A00/a.bin"]);
        assert_eq!(storage.list_unfinished().unwrap(), []);
        let bytes = read(&*storage, "day=2013-01-01T00%3A00/a.bin");
        assert_eq!(bytes.len(), 100_006);
        assert_eq!((&bytes[..4], &bytes[100_002..]), (&b"abc\x07"[..], &b"\x07xyz"[..]));
        write(&*storage, "day=2013-01-01T00%3A00/a.bin", b"replaced");
        assert_eq!(read(&*storage, "day=2013-01-01T00%3A00/a.bin"), b"replaced");
    });
}

#[test]
fn ranges_past_the_end_are_errors_that_name_file_and_byte() {
    each_storage(|storage| {
        write(&*storage, "f", b"0123456789");
        let input = storage.open("f").unwrap();
        assert_eq!(&input.read(3..5).unwrap()[..], b"34");
        assert_eq!(input.read(10..10).unwrap().len(), 0);
        #[expect(clippy::reversed_empty_ranges, reason = "a hostile range")]
        for bad in [5..11, 11..11, 6..5, 0..u64::MAX] {
            let e = input.read(bad.clone()).unwrap_err();
            assert!(matches!(e, Error::Corrupt(_)), "{e}");
            assert_eq!(e.place().byte, Some(bad.start));
            assert_eq!(e.place().file.as_deref(), Some(input.name()));
        }
        write(&*storage, "empty", b"");
        assert_eq!(storage.open("empty").unwrap().bytes(), 0);
    });
}

/// What the first short read copies and what all others take from a map are the same bytes; and a file that was made shorter
/// since it was opened is an error where only its end was asked for.
#[test]
fn the_first_read_is_as_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::new(folder.path()).unwrap();
    let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    write(&local, "f", &bytes);
    let (end, short) = (bytes.len() as u64, 64 << 10);
    let ranges = [0..0, 0..1, end - 8..end, end - short..end, 5..5 + short, 5..6 + short, 0..end];
    for first in &ranges {
        let input = local.open("f").unwrap();
        for range in std::iter::once(first).chain(&ranges) {
            assert_eq!(
                input.read(range.clone()).unwrap(),
                bytes[range.start as usize..range.end as usize],
                "{first:?}"
            );
        }
        assert!(input.read(end..end + 1).is_err());
    }
    let input = local.open("f").unwrap();
    std::fs::OpenOptions::new().write(true).open(folder.path().join("f")).unwrap().set_len(100).unwrap();
    let e = input.read(end - 8..end).unwrap_err();
    assert!(matches!(e, Error::Io(_)) && e.place().byte == Some(end - 8), "{e}");
}

#[test]
fn what_is_copied_is_what_is_read() {
    let bytes: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    each_storage(|storage| {
        write(&*storage, "f", &bytes);
        let input = storage.open("f").unwrap();
        let copy = |at: usize, count: usize| {
            let mut out = vec![9; count];
            input.read_into(at as u64, &mut out).map(|()| out)
        };
        // Before the first read and behind it.
        for _ in 0..2 {
            for (at, count) in [(0, 0), (3, 1), (70_001, 100_000), (0, bytes.len()), (bytes.len(), 0)] {
                assert_eq!(copy(at, count).unwrap(), bytes[at..at + count], "{at}, {count}");
            }
            for (at, count) in [(bytes.len(), 1), (bytes.len() - 5, 6), (usize::MAX, 7)] {
                let e = copy(at, count).unwrap_err();
                assert!(matches!(e, Error::Corrupt(_)) && e.place().byte == Some(at as u64), "{e}");
            }
            input.read(0..10).unwrap();
        }
    });
}

/// A mapped file stays open to copy from it, but not each of very many.
#[test]
fn only_so_many_mapped_files_stay_open() {
    let folder = tempfile::tempdir().unwrap();
    let local = Local::new(folder.path()).unwrap();
    write(&local, "f", &[7; 10_000]);
    let open = || {
        let input = local.open("f").unwrap();
        assert!(!input.prefers_copies(), "nobody knows yet how much is wanted");
        input.read(9_000..10_000).unwrap();
        input
    };
    let inputs: Vec<_> = (0..300).map(|_| open()).collect();
    let staying = inputs.iter().filter(|input| input.prefers_copies()).count();
    assert!((1..=64).contains(&staying), "{staying}");
    #[cfg(target_os = "linux")]
    assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() < 200, "the others are closed");
    for input in &inputs {
        let mut out = [0; 100];
        input.read_into(5, &mut out).unwrap();
        assert_eq!(out, [7; 100]);
    }
    // What a file does not have any more is told where it is copied, and the process goes on.
    let first = inputs.iter().find(|input| input.prefers_copies()).unwrap();
    std::fs::OpenOptions::new().write(true).open(folder.path().join("f")).unwrap().set_len(100).unwrap();
    let e = first.read_into(9_000, &mut [0; 100]).unwrap_err();
    assert!(matches!(e, Error::Io(_)) && e.place().byte == Some(9_000), "{e}");
    drop(inputs);
    write(&local, "f", &[7; 10_000]);
    assert!(open().prefers_copies(), "there is room again");
}

#[test]
fn listing_is_by_prefix_and_sorted() {
    each_storage(|storage| {
        for path in ["b/2", "a", "b/10/x", "bc", "b/1"] {
            write(&*storage, path, path.as_bytes());
        }
        assert_eq!(paths(&*storage, ""), ["a", "b/1", "b/10/x", "b/2", "bc"]);
        assert_eq!(paths(&*storage, "b/"), ["b/1", "b/10/x", "b/2"]);
        assert_eq!(paths(&*storage, "b/1"), ["b/1", "b/10/x"]);
        assert_eq!(paths(&*storage, "b"), ["b/1", "b/10/x", "b/2", "bc"]);
        assert_eq!(paths(&*storage, "none/"), Vec::<String>::new());
        let entry = storage.list("b/10/").unwrap().remove(0);
        assert_eq!(entry.bytes, 6);
        assert!(entry.modified_ms > 1_600_000_000_000);
        storage.remove("b/1").unwrap();
        storage.remove("b/1").unwrap();
        storage.remove("no/such/folder").unwrap();
        assert_eq!(paths(&*storage, "b/"), ["b/10/x", "b/2"]);
    });
}

#[test]
fn what_is_not_there_and_what_leads_out_are_told_apart() {
    each_storage(|storage| {
        let e = storage.open("none.parquet").unwrap_err();
        assert!(is_not_found(&e), "{e}");
        assert!(e.to_string().contains("none.parquet: cannot open it: "), "{e}");
        for bad in ["../x", "/etc/passwd", "a/../../x", ""] {
            assert!(matches!(storage.open(bad), Err(Error::Invalid(_))), "{bad}");
            assert!(matches!(storage.create(bad), Err(Error::Invalid(_))), "{bad}");
            assert!(matches!(storage.publish_if_absent(bad, b""), Err(Error::Invalid(_))), "{bad}");
            assert!(matches!(storage.remove(bad), Err(Error::Invalid(_))), "{bad}");
        }
        assert!(matches!(storage.list("../"), Err(Error::Invalid(_))));
    });
}

#[test]
fn of_many_publishers_one_wins() {
    each_storage(|storage| {
        for round in 0..20 {
            let path = format!("_log/{round}.json");
            let winners: Vec<u8> = thread::scope(|scope| {
                let publish = |writer: u8| {
                    let (storage, path) = (&storage, &path);
                    scope.spawn(move || {
                        let published = storage.publish_if_absent(path, &[writer; 10]).unwrap();
                        (published == Published::Done).then_some(writer)
                    })
                };
                let threads: Vec<_> = (0..4).map(publish).collect();
                threads.into_iter().filter_map(|t| t.join().unwrap()).collect()
            });
            assert_eq!(winners.len(), 1);
            assert_eq!(read(&*storage, &path), [winners[0]; 10]);
        }
        assert_eq!(storage.list("").unwrap().len(), 20);
        assert_eq!(storage.list_unfinished().unwrap(), []);
    });
}

#[cfg(unix)]
#[test]
fn a_linked_folder_is_not_entered_and_a_linked_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("secret"), "s").unwrap();
    let storage = Local::new(folder.path().join("in")).unwrap();
    write(&storage, "a", b"a");
    std::os::unix::fs::symlink(&outside, folder.path().join("in/way")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), folder.path().join("in/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("in/dangling")).unwrap();
    assert_eq!(paths(&storage, ""), ["a", "link"]);
    assert_eq!(read(&storage, "link"), b"s");
    for e in [
        storage.open("way/secret").unwrap_err(),
        storage.create("way/new").err().unwrap(),
        storage.remove("way/secret").unwrap_err(),
        storage.list("way/").unwrap_err(),
    ] {
        assert!(e.to_string().contains("the folder way is a symbolic link"), "{e}");
    }
    storage.remove("link").unwrap();
    assert!(outside.join("secret").exists());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_without_waiting_for_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    // Not by a command: between fork and exec, a child holds the locks of files that other tests have open.
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    );
    made.unwrap();
    let (storage, name) = Local::file(folder.path().join("pipe")).unwrap();
    assert_eq!(name, "pipe");
    let e = storage.open(&name).unwrap_err();
    assert!(e.to_string().ends_with("not a regular file; give what comes through a pipe on standard input"), "{e}");
    assert_eq!(paths(&storage, ""), Vec::<String>::new());
}

#[test]
fn a_file_where_a_folder_is_wanted_is_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let (storage, name) = Local::file(folder.path().join("f")).unwrap();
    write(&storage, &name, b"x");
    assert!(matches!(Local::new(folder.path().join("f")), Err(Error::Invalid(_))));
    let e = storage.create("f/below").err().unwrap();
    assert!(matches!(e, Error::Io(_)), "{e}");
    assert!(e.to_string().contains("f/below: ") || e.to_string().contains("/f: "), "{e}");
    assert!(matches!(Local::file(folder.path().join("..")), Err(Error::Invalid(_))));
}

#[test]
fn a_paused_file_stays_hidden_until_it_is_gone_on_with() {
    each_storage(|storage| {
        let mut output = storage.create("day/f").unwrap();
        output.append(&[1; 70_000]).unwrap();
        let first = output.pause().unwrap();
        assert_eq!((first.path.as_str(), first.bytes, &first.tail[..]), ("day/f", 70_000, &[1; 64][..]));
        output.append(b"abc").unwrap();
        let paused = output.pause().unwrap();
        assert_eq!((paused.bytes, &paused.hidden), (70_003, &first.hidden));
        output.append(&[2; 70_000]).unwrap();
        drop(output);
        assert_eq!(paths(&*storage, ""), Vec::<String>::new());
        assert_eq!(storage.list_unfinished().unwrap().len(), 1);

        let mut output = storage.resume(&paused).unwrap();
        output.append(b"xyz").unwrap();
        output.finish().unwrap();
        let bytes = read(&*storage, "day/f");
        assert_eq!((bytes.len(), &bytes[69_999..]), (70_006, &b"\x01abcxyz"[..]));
        assert_eq!(storage.list_unfinished().unwrap(), []);
        let e = storage.resume(&paused).err().unwrap();
        assert!(
            is_not_found(&e) && e.to_string().contains("day/f: cannot go on with it (was it finished, or removed?)"),
            "{e}"
        );
    });
}

#[test]
fn only_the_paused_file_itself_is_cut() {
    each_storage(|storage| {
        write(&*storage, "day/g", &[3; 100]);
        let mut output = storage.create("day/f").unwrap();
        output.append(&[1; 100]).unwrap();
        let paused = output.pause().unwrap();
        drop(output);
        for hidden in ["day/g", "day/../day/f", paused.hidden.strip_prefix("day/").unwrap(), ""] {
            let e = storage.resume(&Paused { hidden: hidden.to_owned(), ..paused.clone() }).err().unwrap();
            assert!(matches!(e, Error::Invalid(_)), "{e}");
        }
        for (bytes, tail) in [(101, vec![1; 64]), (u64::MAX, vec![1; 64]), (100, vec![2; 64]), (50, vec![1; 40])] {
            let e = storage.resume(&Paused { bytes, tail, ..paused.clone() }).err();
            match bytes {
                // What lies before the end is the file's, too.
                50 => assert!(e.is_none()),
                _ => assert!(matches!(e, Some(Error::Invalid(_))), "{e:?}"),
            }
        }
        assert_eq!(read(&*storage, "day/g"), [3; 100]);
    });
}

/// What a plan does to `create` + `finish` of a file of 50,000 bytes in a new folder, and whether it was acknowledged.
fn faulty_create(plan: FaultPlan) -> (Faulty, bool) {
    let disk = Faulty::new(&Memory::new(), plan);
    let written = disk.create("folder/f").and_then(|mut output| {
        output.append(&[7; 50_000])?;
        output.finish()
    });
    (disk, written.is_ok())
}

#[test]
fn after_a_crash_a_file_is_whole_or_not_there_and_an_acknowledged_one_is_there() {
    let operations = faulty_create(FaultPlan::default()).0.operations();
    assert_eq!(operations, 7, "make folder, sync top, create, append, sync, rename, sync folder");
    let (mut whole, mut absent) = (0, 0);
    for crash_at in 1..=operations + 1 {
        for seed in 0..40 {
            let (disk, acknowledged) = faulty_create(FaultPlan { seed, crash_at: Some(crash_at), faults: vec![] });
            let after = disk.after_crash(seed ^ 0xabcd);
            match after.get("folder/f") {
                Some(bytes) => {
                    assert_eq!(&bytes[..], [7; 50_000], "crash at {crash_at}, seed {seed}");
                    whole += 1;
                }
                None => {
                    assert!(!acknowledged, "lost: crash at {crash_at}, seed {seed}");
                    absent += 1;
                }
            }
        }
    }
    assert!(whole > 40 && absent > 40, "{whole} whole, {absent} absent: the model shows both");
}

#[test]
fn published_bytes_survive_and_are_never_torn() {
    for crash_at in 1..=9 {
        for seed in 0..40 {
            let disk = Faulty::new(&Memory::new(), FaultPlan { seed, crash_at: Some(crash_at), faults: vec![] });
            let first = disk.publish_if_absent("_log/0", b"first");
            let after = disk.after_crash(seed);
            match after.get("_log/0") {
                Some(bytes) => assert_eq!(&bytes[..], b"first"),
                None => assert!(first.is_err(), "lost: crash at {crash_at}, seed {seed}"),
            }
            // The reboot's disk goes on; leftovers are known as such.
            let rebooted = Faulty::new(&after, FaultPlan::default());
            assert!(paths(&rebooted, "").len() <= 1);
            for leftover in rebooted.list_unfinished().unwrap() {
                rebooted.remove(&leftover.path).unwrap();
            }
            let expected = if after.get("_log/0").is_some() { Published::Exists } else { Published::Done };
            assert_eq!(rebooted.publish_if_absent("_log/0", b"second").unwrap(), expected);
        }
    }
}

#[test]
fn a_process_that_dies_between_link_and_sync_leaves_a_name_that_the_next_publisher_makes_durable() {
    // The sync of the folder is operation 7; its answer is an error, as if the process had died before it.
    let plan = FaultPlan { seed: 1, crash_at: None, faults: vec![(7, Fault::Io)] };
    let disk = Faulty::new(&Memory::new(), plan);
    assert!(disk.publish_if_absent("_log/0", b"first").is_err());
    assert!((0..64).any(|seed| disk.after_crash(seed).get("_log/0").is_none()), "not durable yet");
    assert_eq!(disk.publish_if_absent("_log/0", b"second").unwrap(), Published::Exists);
    assert!((0..64).all(|seed| disk.after_crash(seed).get("_log/0").is_some_and(|b| b == "first")));
}

#[test]
fn a_failed_write_is_never_finished_and_a_short_one_goes_on() {
    let operations = faulty_create(FaultPlan::default()).0.operations();
    for at in 1..=operations {
        for fault in [Fault::NoSpace, Fault::Io, Fault::AnswerLost] {
            let (disk, acknowledged) = faulty_create(FaultPlan { seed: at, crash_at: None, faults: vec![(at, fault)] });
            assert!(!acknowledged, "{fault:?} at {at}");
            // A file whose creation was done and denied is known to nobody; it stays, listed as unfinished.
            let left = usize::from(at == 3 && fault == Fault::AnswerLost);
            assert_eq!(disk.list_unfinished().unwrap().len(), left, "the temporary file goes: {fault:?} at {at}");
            // If the name is there after all, then with all its bytes.
            if let Ok(input) = disk.open("folder/f") {
                assert_eq!(&input.read(0..input.bytes()).unwrap()[..], [7; 50_000]);
            }
        }
    }
    let (disk, acknowledged) =
        faulty_create(FaultPlan { seed: 3, crash_at: None, faults: vec![(4, Fault::ShortWrite)] });
    assert!(acknowledged);
    assert_eq!(disk.operations(), operations + 1, "a second append wrote the rest");
    assert_eq!(disk.after_crash(0).get("folder/f").unwrap(), &[7; 50_000][..]);
}

#[test]
fn no_space_left_says_what_to_do_and_keeps_its_kind() {
    let plan = FaultPlan { seed: 0, crash_at: None, faults: vec![(4, Fault::NoSpace)] };
    let disk = Faulty::new(&Memory::new(), plan);
    let mut output = disk.create("folder/f").unwrap();
    let e = output.append(&[0; 40_000]).unwrap_err();
    assert_eq!(e.to_string(), "faulty:folder/f: cannot write it: no storage space; free some space, then run it again");
    let source = std::error::Error::source(&e).unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert!(output.finish().is_err());
}
