//! Where the bytes of a file go: at once, or behind the writer's back where it has threads.
//!
//! ```text
//! one thread   chunk n ─> output, then chunk n + 1 is finished
//! several      chunks of row group n ─> a thread of their own ─> output
//!              meanwhile, columns of row group n + 1 are encoded
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::memory::Segments;
use crate::error::{Error, Result};
use crate::storage::Output;

/// An output, and what is on its way there.
pub(super) struct Sink {
    /// Not here while a thread has it.
    out: Option<Box<dyn Output>>,
    /// What comes next, where there are threads.
    waiting: Vec<Segments>,
    behind: Option<Behind>,
    has_threads: bool,
}

/// A thread that appends.
struct Behind {
    thread: JoinHandle<Option<Appended>>,
    progress: Arc<Progress>,
}

/// The output, and whether all could be appended.
type Appended = (Box<dyn Output>, Result<()>);

#[derive(Default)]
struct Progress {
    /// Bytes that are not appended yet.
    left: AtomicU64,
    is_cancelled: AtomicBool,
}

impl Sink {
    pub fn new(out: Box<dyn Output>, has_threads: bool) -> Sink {
        Sink { out: Some(out), waiting: Vec::new(), behind: None, has_threads }
    }

    /// Takes what comes next. With one thread it is appended on return.
    pub fn take(&mut self, segments: Segments) -> Result<()> {
        self.waiting.push(segments);
        if self.has_threads { Ok(()) } else { self.settle().map(drop) }
    }

    /// Begins to append what was taken; where that takes long, on a thread, and a later call tells whether it could be done.
    pub fn start(&mut self) -> Result<()> {
        let bytes = self.waiting.iter().map(Segments::bytes).sum();
        if bytes < BYTES_MIN {
            return self.settle().map(drop);
        }
        // One at a time, or a slow disk would have row groups pile up.
        let waiting = std::mem::take(&mut self.waiting);
        self.settle()?;
        let out = self.out.take().ok_or_else(failed_before)?;
        let progress = Arc::new(Progress { left: AtomicU64::new(bytes), is_cancelled: AtomicBool::new(false) });
        let job = Arc::new(Mutex::new(Some((out, waiting))));
        let of_thread = (Arc::clone(&job), Arc::clone(&progress));
        let thread = std::thread::Builder::new().name("append".into()).spawn(move || {
            let (job, progress) = of_thread;
            take(&job).map(|(out, waiting)| append_all(out, waiting, &progress))
        });
        match thread {
            Ok(thread) => self.behind = Some(Behind { thread, progress }),
            // Where none can be had, there is this thread.
            Err(_) => {
                let (out, waiting) = take(&job).ok_or_else(failed_before)?;
                (self.out, self.waiting) = (Some(out), waiting);
                self.settle()?;
            }
        }
        Ok(())
    }

    /// The output, once all that was taken is appended.
    ///
    /// # Errors
    /// That of the first append that failed since the last call.
    pub fn settle(&mut self) -> Result<&mut Box<dyn Output>> {
        if let Some(Behind { thread, .. }) = self.behind.take() {
            let ended = thread.join().ok().flatten();
            let (out, result) = ended.ok_or_else(|| Error::io("the thread that writes the file has panicked"))?;
            self.out = Some(out);
            result?;
        }
        let out = self.out.as_mut().ok_or_else(failed_before)?;
        for segments in self.waiting.drain(..) {
            segments.iter().try_for_each(|piece| out.append(piece))?;
        }
        Ok(out)
    }

    /// Appends bytes behind all that was taken.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.settle()?.append(bytes)
    }

    /// Makes the file durable and visible.
    pub fn finish(mut self) -> Result<()> {
        self.settle()?;
        self.out.take().ok_or_else(failed_before)?.finish()
    }

    /// Bytes in memory that were taken and are not appended.
    pub fn bytes(&self) -> u64 {
        let behind = self.behind.as_ref().map_or(0, |behind| behind.progress.left.load(Ordering::Relaxed));
        behind + self.waiting.iter().map(Segments::bytes).sum::<u64>()
    }
}

/// What is dropped appends no more: the file that was begun is gone on return.
impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(Behind { thread, progress }) = self.behind.take() {
            progress.is_cancelled.store(true, Ordering::Relaxed);
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

type Job = (Box<dyn Output>, Vec<Segments>);

/// What there is to do, for the one who comes first.
fn take(job: &Mutex<Option<Job>>) -> Option<Job> {
    job.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn append_all(mut out: Box<dyn Output>, waiting: Vec<Segments>, progress: &Progress) -> Appended {
    for segments in waiting {
        for piece in segments.iter() {
            if progress.is_cancelled.load(Ordering::Relaxed) {
                return (out, Ok(()));
            }
            if let Err(e) = out.append(piece) {
                return (out, Err(e));
            }
            progress.left.fetch_sub(piece.len() as u64, Ordering::Relaxed);
        }
    }
    (out, Ok(()))
}

/// What every later call is told.
pub(super) fn failed_before() -> Error {
    Error::invalid("the file cannot be written on: writing it has failed before")
}

/// Fewer bytes are appended before a thread has begun.
const BYTES_MIN: u64 = 1 << 20;
