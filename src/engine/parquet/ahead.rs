//! Bytes fetched before it is their turn: storage answers slowly, but many questions at once.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes as Buffer;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Store;

/// Requests under way at once.
const MOST: usize = 16;

/// Fetches ranges of files side by side and hands them out in order.
pub(super) struct Ahead<I> {
    store: Store,
    runtime: Handle,
    /// What is still to be asked for; `None` for a turn that needs nothing.
    wanted: I,
    /// The next one in turn that there was no room for yet.
    delayed: Wanted,
    under_way: VecDeque<Option<Fetch>>,
    held: u64,
    budget: u64,
}

/// A range of a file, or nothing.
pub(super) type Wanted = Option<(Location, Range<u64>)>;

struct Fetch {
    bytes: u64,
    answer: JoinHandle<Result<Buffer>>,
}

impl<I: Iterator<Item = Wanted>> Ahead<I> {
    /// Fetches what `wanted` names, in turn. At most `budget` bytes wait to be handed out, or one range if it alone is larger.
    pub(super) fn new(store: Store, runtime: Handle, wanted: I, budget: u64) -> Self {
        Self { store, runtime, wanted, delayed: None, under_way: VecDeque::new(), held: 0, budget }
    }

    /// The bytes of the next turn; `None` if it needs none. Blocks: for blocking threads only.
    pub(super) fn take(&mut self) -> Option<Result<Buffer>> {
        self.start();
        let mut fetch = self.under_way.pop_front()??;
        self.held -= fetch.bytes;
        let answer = self.runtime.block_on(&mut fetch.answer);
        self.start();
        Some(answer.unwrap_or_else(|broken| Err(Error::bug("a read broke off").because(broken))))
    }

    fn start(&mut self) {
        while self.under_way.len() < MOST {
            let Some(wanted) = self.delayed.take().map(Some).or_else(|| self.wanted.next()) else { return };
            let Some((location, range)) = wanted else {
                self.under_way.push_back(None);
                continue;
            };
            let bytes = range.end.saturating_sub(range.start);
            if !self.under_way.is_empty() && self.held.saturating_add(bytes) > self.budget {
                self.delayed = Some((location, range));
                return;
            }
            self.held += bytes;
            let store = self.store.clone();
            let answer = self.runtime.spawn(async move { store.get_range(&location, range).await });
            self.under_way.push_back(Some(Fetch { bytes, answer }));
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.answer.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions,
        PutOptions, PutPayload, PutResult, Result as StoreResult,
    };
    use tokio::sync::Barrier;

    use super::*;
    use crate::store::Resolve;

    /// Answers none of the first reads before all of them wait together.
    #[derive(Debug)]
    struct Gated {
        inner: InMemory,
        gate: Barrier,
        first: usize,
        asked: AtomicUsize,
        waiting: AtomicUsize,
        most: AtomicUsize,
    }

    impl std::fmt::Display for Gated {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Gated")
        }
    }

    #[async_trait]
    impl ObjectStore for Gated {
        async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
            self.inner.put_opts(location, payload, options).await
        }
        async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> StoreResult<Box<dyn MultipartUpload>> {
            self.inner.put_multipart_opts(location, options).await
        }
        async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
            self.most.fetch_max(self.waiting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            if self.asked.fetch_add(1, Ordering::SeqCst) < self.first {
                self.gate.wait().await;
            }
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            self.inner.get_opts(location, options).await
        }
        fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
            self.inner.delete_stream(locations)
        }
        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
            self.inner.list(prefix)
        }
        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
            self.inner.list_with_delimiter(prefix).await
        }
        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
            self.inner.copy_opts(from, to, options).await
        }
    }

    struct One(Arc<Gated>);

    impl Resolve for One {
        fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
            Ok((Arc::clone(&self.0) as Arc<dyn ObjectStore>, Path::parse(location.path()).unwrap()))
        }
    }

    /// Fetches 64 objects of 4 bytes; returns them and the most requests that waited together.
    async fn fetch(first: usize, budget: u64) -> (Vec<Buffer>, usize) {
        let (asked, waiting, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let gated = Gated { inner: InMemory::new(), gate: Barrier::new(first), first, asked, waiting, most };
        for n in 0u32..64 {
            gated.inner.put(&Path::from(format!("o{n}")), PutPayload::from(n.to_le_bytes().to_vec())).await.unwrap();
        }
        let gated = Arc::new(gated);
        let (store, runtime) = (Store::new(Arc::new(One(Arc::clone(&gated)))), Handle::current());
        let all = tokio::task::spawn_blocking(move || {
            // Every third turn needs nothing.
            let place = |n: u32| (n % 3 != 2).then(|| (Location::parse(&format!("/o{}", n / 3 * 2 + n % 3)).unwrap(), 0..4));
            let mut ahead = Ahead::new(store, runtime, (0u32..96).map(place), budget);
            (0u32..96).filter_map(|_| ahead.take()).map(|bytes| bytes.unwrap()).collect()
        });
        let all = all.await.unwrap();
        (all, gated.most.load(Ordering::SeqCst))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn requests_wait_together_and_answers_come_in_order() {
        let wanted: Vec<Buffer> = (0u32..64).map(|n| Buffer::from(n.to_le_bytes().to_vec())).collect();
        // Of sixteen turns, a third needs nothing: with fewer than ten requests under way at once, none would ever be answered.
        let (all, most) = fetch(10, u64::MAX).await;
        assert_eq!(all, wanted);
        assert!((10..=MOST).contains(&most), "{most}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_bytes_wait_than_the_budget_allows() {
        assert_eq!(fetch(2, 9).await.1, 2);
        // What is larger than the budget is fetched alone.
        assert_eq!(fetch(1, 3).await.1, 1);
    }
}
