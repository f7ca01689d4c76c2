//! Threads that encode columns, shared by all rewrites.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads; they end when the last handle goes.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    jobs: Sender<Job>,
}

impl Pool {
    /// A pool of `threads`, one at least.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the system gives no thread.
    pub(super) fn new(threads: usize) -> Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let work = move || {
                while let Some(job) = next(&queue) {
                    job();
                }
            };
            thread::Builder::new()
                .name(format!("encode-{number}"))
                .spawn(work)
                .map_err(|e| Error::unavailable("the system gives no more threads").because(e))?;
        }
        Ok(Self { jobs })
    }

    /// Runs `work` on some thread and sends what it returns, with `tag`, to `answers`. A panic is an error of that work alone.
    pub(super) fn run<T: Send + 'static>(
        &self,
        tag: usize,
        answers: &Sender<(usize, Result<T>)>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<()> {
        let answers = answers.clone();
        let job = move || {
            let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::bug("a column could not be encoded")));
            // Nobody waits for the answer any more if the rewrite has failed elsewhere.
            drop(answers.send((tag, result)));
        };
        self.jobs.send(Box::new(job)).map_err(|_| Error::bug("the encoding threads have ended"))
    }
}

fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_fails_its_own_work_and_no_other() {
        let pool = Pool::new(1).unwrap();
        let (sender, answers) = channel();
        pool.run(0, &sender, || panic!("broken")).unwrap();
        pool.run(1, &sender, || Ok(7)).unwrap();
        let (tag, result) = answers.recv().unwrap();
        assert_eq!((tag, result.unwrap_err().kind()), (0, crate::error::Kind::Bug));
        assert!(matches!(answers.recv().unwrap(), (1, Ok(7))));
    }
}
