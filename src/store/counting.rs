//! Counting what is asked of storage.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// What has been asked of storage up to a moment. Calls count when they are made, whatever comes of them; retries inside a store do not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads of an object or of one range of it.
    pub gets: u64,
    /// Questions for size and time.
    pub heads: u64,
    /// Writes of a whole object.
    pub puts: u64,
    /// Of these, writes that must not replace.
    pub claims: u64,
    /// Uploads in parts that were started.
    pub uploads: u64,
    /// Parts of uploads.
    pub parts: u64,
    /// Listings.
    pub lists: u64,
    /// Objects to be deleted.
    pub deletes: u64,
    /// Objects to be copied or moved within storage.
    pub copies: u64,
    /// Bytes storage said it would send.
    pub bytes_read: u64,
    /// Bytes sent to storage.
    pub bytes_written: u64,
}

#[derive(Debug, Default)]
struct Counters {
    gets: AtomicU64,
    heads: AtomicU64,
    puts: AtomicU64,
    claims: AtomicU64,
    uploads: AtomicU64,
    parts: AtomicU64,
    lists: AtomicU64,
    deletes: AtomicU64,
    copies: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

/// A handle on counters that any number of stores share.
#[derive(Debug, Clone, Default)]
pub struct Count {
    counters: Arc<Counters>,
}

impl Count {
    /// Counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been counted so far. Read while calls are under way, its members may be of slightly different moments.
    pub fn snapshot(&self) -> Counts {
        let c = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            gets: read(&c.gets),
            heads: read(&c.heads),
            puts: read(&c.puts),
            claims: read(&c.claims),
            uploads: read(&c.uploads),
            parts: read(&c.parts),
            lists: read(&c.lists),
            deletes: read(&c.deletes),
            copies: read(&c.copies),
            bytes_read: read(&c.bytes_read),
            bytes_written: read(&c.bytes_written),
        }
    }

    /// `inner`, counted.
    pub fn over(&self, inner: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        Arc::new(Counting { inner, counters: Arc::clone(&self.counters) })
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// A store whose calls are counted.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn ObjectStore>,
    counters: Arc<Counters>,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counting({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        add(&self.counters.puts, 1);
        add(&self.counters.claims, u64::from(options.mode == PutMode::Create));
        add(&self.counters.bytes_written, payload.content_length() as u64);
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        add(&self.counters.uploads, 1);
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(CountingUpload { inner, counters: Arc::clone(&self.counters) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let head = options.head;
        add(if head { &self.counters.heads } else { &self.counters.gets }, 1);
        let answer = self.inner.get_opts(location, options).await?;
        if !head {
            add(&self.counters.bytes_read, answer.range.end.saturating_sub(answer.range.start));
        }
        Ok(answer)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        add(&self.counters.gets, ranges.len() as u64);
        let answers = self.inner.get_ranges(location, ranges).await?;
        add(&self.counters.bytes_read, answers.iter().map(|bytes| bytes.len() as u64).sum());
        Ok(answers)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let counters = Arc::clone(&self.counters);
        self.inner.delete_stream(locations.inspect(move |_| add(&counters.deletes, 1)).boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        add(&self.counters.lists, 1);
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        add(&self.counters.lists, 1);
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        add(&self.counters.lists, 1);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        add(&self.counters.copies, 1);
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        add(&self.counters.copies, 1);
        self.inner.rename_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    counters: Arc<Counters>,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        add(&self.counters.parts, 1);
        add(&self.counters.bytes_written, data.content_length() as u64);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;

    use super::*;
    use crate::location::Location;
    use crate::store::Store;
    use crate::store::resolve::{Settings, Stores};

    #[tokio::test]
    async fn every_call_and_every_byte_is_counted_once() {
        let count = Count::new();
        let layer = count.clone();
        let stores = Stores::new(&Settings::new(), &Settings::new()).unwrap().decorated(move |inner| layer.over(inner));
        let store = Store::new(Arc::new(stores));
        let root = Location::parse("memory://m/t").unwrap();
        let (a, b) = (root.child("a"), root.child("b"));

        store.put(&a, "12345".into()).await.unwrap();
        store.put_if_absent(&a, "123".into()).await.unwrap();
        let mut writer = store.writer(&b).await.unwrap();
        writer.write(vec![0; 9 << 20].into()).await.unwrap();
        writer.finish().await.unwrap();
        store.get(&a).await.unwrap();
        store.get_range(&a, 1..3).await.unwrap();
        store.get_if_exists(&root.child("missing")).await.unwrap();
        store.head(&b).await.unwrap();
        store.list_all(&root).await.unwrap();
        assert_eq!(store.list_after(&root, "a").count().await, 1);
        store.children(&root).await.unwrap();
        assert!(store.delete_all(vec![a, b]).await.is_empty());

        let expected = Counts {
            gets: 3,
            heads: 1,
            puts: 2,
            claims: 1,
            uploads: 1,
            parts: 2,
            lists: 3,
            deletes: 2,
            copies: 0,
            bytes_read: 7,
            bytes_written: 8 + (9 << 20),
        };
        assert_eq!(count.snapshot(), expected);
    }

    #[tokio::test]
    async fn copies_moves_and_ranges_are_counted_too() {
        let count = Count::new();
        let store = count.over(Arc::new(object_store::memory::InMemory::new()));
        let [a, b, c] = ["a", "b", "c"].map(Path::from);
        store.put(&a, "12345".into()).await.unwrap();
        store.copy(&a, &b).await.unwrap();
        store.rename(&b, &c).await.unwrap();
        store.get_ranges(&c, &[0..1, 3..5]).await.unwrap();
        let Counts { copies, gets, bytes_read, .. } = count.snapshot();
        assert_eq!((copies, gets, bytes_read), (2, 2, 3));
    }
}
