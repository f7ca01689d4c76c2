//! Rows made by an asynchronous loop, as a stream: the loop runs only as far as somebody reads.

use std::future::Future;

use arrow_array::RecordBatch;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, future};
use tokio::sync::mpsc;

use crate::error::Result;

/// Rows of one batch.
pub(super) const BATCH: usize = 1_024;

/// Where rows go.
#[derive(Debug)]
pub(super) struct To(mpsc::Sender<Result<RecordBatch>>);

impl To {
    /// Hands `batch` over; says whether more are wanted.
    pub(super) async fn send(&self, batch: RecordBatch) -> bool {
        self.0.send(Ok(batch)).await.is_ok()
    }
}

/// The batches that `make` sends; its error ends them.
pub(super) fn made<F>(make: impl FnOnce(To) -> F) -> BoxStream<'static, Result<RecordBatch>>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(1);
    let making = make(To(sender.clone()));
    // The error takes the same way as the rows, and so comes after them.
    let run = async move {
        if let Err(error) = making.await {
            // Whoever no longer listens does not want to know.
            let told = sender.send(Err(error)).await;
            drop(told);
        }
    };
    let run = stream::once(run).filter_map(|()| future::ready(None));
    let sent = stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|batch| (batch, receiver)) });
    stream::select(sent, run).boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int32Array;

    use super::*;
    use crate::error::Error;

    fn batch(number: i32) -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![number])) as arrow_array::ArrayRef)]).unwrap()
    }

    #[tokio::test]
    async fn every_batch_comes_in_order_and_an_error_comes_after_them() {
        let rows = made(|to| async move {
            for number in 0..5 {
                to.send(batch(number)).await;
            }
            Err(Error::unavailable("gone"))
        });
        let all: Vec<_> = rows.collect().await;
        assert_eq!(all.iter().filter(|batch| batch.is_ok()).count(), 5);
        assert!(all.last().unwrap().is_err());
    }

    #[tokio::test]
    async fn a_reader_that_stops_stops_the_making() {
        let made = made(|to| async move {
            let mut number = 0;
            while to.send(batch(number)).await {
                number += 1;
            }
            Ok(())
        });
        assert_eq!(made.take(3).count().await, 3);
    }
}
