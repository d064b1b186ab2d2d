//! Work on columns, divided among threads.

use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};

/// Runs each task once, on as many threads as there are workers, the caller's among them; a worker does one task at a time.
/// Tasks are begun in their order.
///
/// # Errors
/// That of the first of the tasks that failed; none is begun after it.
pub(super) fn run<W: Send, T: Send>(
    workers: &mut [W],
    tasks: Vec<T>,
    run: impl Fn(&mut W, T) -> Result<()> + Sync,
) -> Result<()> {
    let Some((own, others)) = workers.split_first_mut() else {
        return Err(Error::invalid("no thread to work on"));
    };
    if others.is_empty() || tasks.len() < 2 {
        return tasks.into_iter().try_for_each(|task| run(own, task));
    }
    let queue = Mutex::new(Queue { tasks: tasks.into_iter().enumerate(), failed: None });
    let work = |worker: &mut W| {
        loop {
            let mut state = queue.lock().unwrap_or_else(PoisonError::into_inner);
            if state.failed.is_some() {
                return;
            }
            let Some((number, task)) = state.tasks.next() else { return };
            drop(state);
            if let Err(e) = run(worker, task) {
                let mut state = queue.lock().unwrap_or_else(PoisonError::into_inner);
                if state.failed.as_ref().is_none_or(|(first, _)| number < *first) {
                    state.failed = Some((number, e));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for worker in others {
            // Where none can be had, there is this thread.
            let _ = std::thread::Builder::new().spawn_scoped(scope, || work(worker));
        }
        work(own);
    });
    match queue.into_inner().unwrap_or_else(PoisonError::into_inner).failed {
        Some((_, e)) => Err(e),
        None => Ok(()),
    }
}

struct Queue<T> {
    tasks: std::iter::Enumerate<std::vec::IntoIter<T>>,
    failed: Option<(usize, Error)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_runs_once() {
        for workers in 1..5 {
            let mut sums = vec![0u64; workers];
            run(&mut sums, (0..1000u64).collect(), |sum, n| {
                *sum += n;
                Ok(())
            })
            .expect("none fails");
            assert_eq!(sums.iter().sum::<u64>(), 499_500, "{workers} workers");
        }
        assert!(run(&mut [(); 0], vec![1], |(), _| Ok(())).is_err());
    }

    #[test]
    fn the_first_failure_is_told_and_ends_the_work() {
        for workers in 1..5 {
            let e = run(&mut vec![0u32; workers], (0..100_000).collect(), |done, n| {
                *done += 1;
                match n {
                    7.. => Err(Error::invalid(format!("task {n}"))),
                    _ => Ok(()),
                }
            });
            let message = e.expect_err("fails").to_string();
            let number: u32 = message.strip_prefix("task ").and_then(|n| n.parse().ok()).expect("a number");
            assert!((7..7 + workers as u32).contains(&number), "{workers} workers: {message}");
        }
    }
}
