//! Streams, a stop in the middle, incomplete last lines.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hypostyle::Error;
use hypostyle::ingest::{Ingest, IngestOptions};
use hypostyle::log::{NdjsonLog, NdjsonOptions, Source};

use crate::read_back::{World, options, records};

fn open(world: &World, reader: impl Read + Send + 'static, options: IngestOptions) -> hypostyle::Result<Ingest> {
    let log = NdjsonLog::new(vec![Source::stream("stdin", reader)], NdjsonOptions::default()).unwrap();
    Ingest::new(Box::new(log), Arc::new(world.table.clone()), Arc::new(world.dead.clone()), options)
}

#[test]
fn the_same_stream_again_adds_nothing_and_a_longer_one_adds_the_rest() {
    let text = records(0, (0..30_000).map(|at| at / 100));
    let world = World::default();
    let run = |text: &str| {
        let text = std::io::Cursor::new(text.as_bytes().to_vec());
        open(&world, text, options()).and_then(|mut ingest| ingest.run(&AtomicBool::new(false), &mut |_| {}))
    };
    assert_eq!(run(&text).unwrap().rows_written, 30_000);
    assert_eq!(run(&text).unwrap().commits, 0);
    let longer = format!("{text}{}", records(30_000, 0..10));
    assert_eq!(run(&longer).unwrap().rows_written, 10);
    assert_eq!(world.rows().len(), 30_010);
    let e = run(&records(7, 0..30_000)).unwrap_err();
    assert!(matches!(e, Error::Invalid(_)) && e.to_string().contains("replaced"), "{e}");
    let e = run("").unwrap_err();
    assert!(e.to_string().contains("truncated"), "{e}");
}

#[test]
fn a_stop_commits_what_was_read_and_the_next_run_goes_on() {
    let world = World::new(&[("a.ndjson", &records(0, (0..100_000).map(|at| at / 100)))]);
    let stop = AtomicBool::new(false);
    let mut ingest = world.open(options()).unwrap();
    // Set before the first block is read, as by a very quick hand.
    stop.store(true, Ordering::Relaxed);
    let summary = ingest.run(&stop, &mut |_| {}).unwrap();
    assert!(summary.stopped && summary.records == 0);
    assert_eq!(world.run_all(options()).records, 100_000);
}

#[test]
fn a_stream_that_stalls_can_be_stopped() {
    struct Stalling(Vec<u8>, std::sync::mpsc::Receiver<()>);
    impl Read for Stalling {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            if self.0.is_empty() {
                let _ = self.1.recv();
                return Ok(0);
            }
            let bytes = self.0.len().min(out.len());
            out[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0.drain(..bytes);
            Ok(bytes)
        }
    }
    let world = World::default();
    let (sender, receiver) = std::sync::mpsc::channel();
    let text = records(0, 0..100) + "{\"t\":";
    let mut ingest = open(&world, Stalling(text.into_bytes(), receiver), options()).unwrap();
    let stop = AtomicBool::new(false);
    // Progress is told while the stream is stalled, too: that is when it is stopped here.
    let summary = ingest.run(&stop, &mut |progress| stop.store(progress.records == 100, Ordering::Relaxed)).unwrap();
    assert!(summary.stopped);
    assert_eq!((summary.rows_written, world.rows().len()), (100, 100));
    drop(sender);
}

#[test]
fn closed_windows_of_a_stalled_stream_are_committed_by_the_clock() {
    let world = World::default();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    struct Held(std::io::Cursor<Vec<u8>>, std::sync::mpsc::Receiver<()>);
    impl Read for Held {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(out)? {
                0 => Ok(self.1.recv().map_or(0, |()| 0)),
                bytes => Ok(bytes),
            }
        }
    }
    let text = std::io::Cursor::new(records(0, 0..100).into_bytes());
    let mut quick = options();
    quick.commit_interval = std::time::Duration::ZERO;
    quick.max_open_age = Some(std::time::Duration::ZERO);
    let mut ingest = open(&world, Held(text, receiver), quick).unwrap();
    let stop = AtomicBool::new(false);
    let mut committed = 0;
    ingest
        .run(&stop, &mut |progress| {
            committed = committed.max(progress.rows_committed);
            // All is committed while the stream is still open.
            stop.store(committed == 100, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(committed, 100);
    drop(sender);
}

#[test]
fn an_incomplete_last_line_is_left_for_the_next_run() {
    let text = records(0, 0..10);
    let world = World::new(&[("a.ndjson", &(text.clone() + "{\"t\":\"2024"))]);
    let summary = world.run(options()).unwrap();
    assert_eq!(summary.rows_written, 10);
    assert_eq!(summary.incomplete_tails.len(), 1);
    assert_eq!(summary.incomplete_tails[0].offset, text.len() as u64);
    assert_eq!(world.run(options()).unwrap().commits, 0);
    world.set("a.ndjson", &records(0, 0..11));
    assert_eq!(world.run_all(options()).rows_written, 1);
}

#[test]
fn a_stalled_stream_does_not_starve_another() {
    struct Silent(std::sync::mpsc::Receiver<()>);
    impl Read for Silent {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(self.0.recv().map_or(0, |()| 0))
        }
    }
    /// Each read waits for its text.
    struct Piecewise(std::sync::mpsc::Receiver<String>);
    impl Read for Piecewise {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let Ok(text) = self.0.recv() else { return Ok(0) };
            out[..text.len()].copy_from_slice(text.as_bytes());
            Ok(text.len())
        }
    }
    let world = World::default();
    let ((hold, silent), (send, pieces)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    send.send(records(0, 0..10)).unwrap();
    let sources = vec![Source::stream("a", Silent(silent)), Source::stream("b", Piecewise(pieces))];
    let log = NdjsonLog::new(sources, NdjsonOptions::default()).unwrap();
    let mut ingest =
        Ingest::new(Box::new(log), Arc::new(world.table.clone()), Arc::new(world.dead.clone()), options()).unwrap();
    let stop = AtomicBool::new(false);
    let mut sent = 10;
    let summary = ingest
        .run(&stop, &mut |progress| {
            // Only when all that was sent has come out is more sent, so that the stream is idle in between.
            if progress.records == sent && sent < 40 {
                send.send(records(sent as i64, 0..10)).unwrap();
                sent += 10;
            }
            stop.store(progress.records == 40, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(summary.rows_written, 40);
    drop(hold);
}
