//! Threads that encode rows, beside the one that reads and decodes records.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::error::{Error, Result};

/// Threads that take what there is to do in its order.
pub(super) struct Encoders {
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

/// What will come of a job.
pub(super) struct Coming<T>(Receiver<T>);

impl<T> Coming<T> {
    /// Waits for it.
    pub(super) fn wait(self) -> Result<T> {
        self.0.recv().map_err(|_| Error::io("the thread that encoded rows has panicked"))
    }
}

impl Encoders {
    pub(super) fn new(count: usize) -> Result<Encoders> {
        // As many wait as are done: whoever has more to do waits, and what waits stays small.
        let (jobs, queue) = sync_channel::<Job>(count);
        let queue = Arc::new(Mutex::new(queue));
        let mut encoders = Encoders { jobs: Some(jobs), threads: Vec::new() };
        for number in 0..count {
            let queue = Arc::clone(&queue);
            let work = move || {
                loop {
                    let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = job else { return };
                    job();
                }
            };
            let thread = std::thread::Builder::new().name(format!("ingest-encode {number}")).spawn(work);
            let thread = thread.map_err(|e| Error::io(format!("cannot start a thread: {e}")).with_source(e))?;
            encoders.threads.push(thread);
        }
        Ok(encoders)
    }

    /// Has it done by a thread that is free; waits until one is about to be.
    pub(super) fn start<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Coming<T> {
        let (done, coming) = sync_channel(1);
        let job: Job = Box::new(move || {
            // Who waited for it may be gone.
            let _ = done.send(work());
        });
        if let Some(jobs) = &self.jobs {
            // Fails where all threads have panicked: the job is dropped, and whoever waits for it is told.
            let _ = jobs.send(job);
        }
        Coming(coming)
    }
}

impl Drop for Encoders {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_is_done_and_a_panic_is_told() {
        let encoders = Encoders::new(2).unwrap();
        let all: Vec<Coming<usize>> = (0..100).map(|n| encoders.start(move || n * 2)).collect();
        for (n, coming) in all.into_iter().enumerate() {
            assert_eq!(coming.wait().unwrap(), n * 2);
        }
        for _ in 0..2 {
            let e = encoders.start(|| -> usize { panic!("on purpose") }).wait().unwrap_err();
            assert!(matches!(e, Error::Io(_)), "{e}");
        }
        // Nobody is left.
        assert!(encoders.start(|| 1).wait().is_err());
    }
}
