//! Storage that fails on purpose: for crash sweeps and drills.
//!
//! A sweep runs an operation again and again, with a fault at call 1, 2, 3 …, until a run makes fewer calls than that. Calls made by
//! several tasks at once are numbered in the order they begin, which may differ from run to run.

mod control;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

pub use control::{Call, Fault, Faults};

/// A store under faults.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn ObjectStore>,
    faults: Faults,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

impl Faulty {
    /// A listing that counts as a call when it is first asked for an entry.
    fn listing(&self, prefix: Option<&Path>, entries: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (faults, prefix) = (self.faults.clone(), prefix.cloned().unwrap_or_default());
        let counted = async move { faults.call("list", &prefix, async { Ok(entries) }).await };
        stream::once(counted).try_flatten().boxed()
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let operation = if options.mode == PutMode::Create { "claim" } else { "put" };
        self.faults.call(operation, location, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let start = async {
            let inner = Some(self.inner.put_multipart_opts(location, options).await?);
            Ok(FaultyUpload { inner, faults: self.faults.clone(), key: location.clone() })
        };
        Ok(Box::new(self.faults.call("upload", location, start).await?))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let operation = if options.head { "head" } else { "get" };
        let mut answer = self.faults.call(operation, location, self.inner.get_opts(location, options)).await?;
        if let GetResultPayload::Stream(bytes) = answer.payload {
            let (faults, key) = (self.faults.clone(), location.clone());
            let watched = bytes.map(move |piece| faults.check(operation, &key).and(piece));
            answer.payload = GetResultPayload::Stream(watched.boxed());
        }
        Ok(answer)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.faults.call("ranges", location, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (faults, inner) = (self.faults.clone(), Arc::clone(&self.inner));
        // One at a time, though storage may take many at once: the process may die between any two.
        let deleted = locations.and_then(move |key| {
            let (faults, inner) = (faults.clone(), Arc::clone(&inner));
            async move { faults.call("delete", &key, inner.delete(&key)).await.map(|()| key) }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.faults.call("list", &prefix.cloned().unwrap_or_default(), self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.faults.call("copy", to, self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.faults.call("rename", to, self.inner.rename_opts(from, to, options)).await
    }
}

/// An upload under faults.
#[derive(Debug)]
struct FaultyUpload {
    /// Taken only when dropped.
    inner: Option<Box<dyn MultipartUpload>>,
    faults: Faults,
    key: Path,
}

impl FaultyUpload {
    fn gone(&self) -> object_store::Error {
        object_store::Error::Generic { store: "Faulty", source: format!("the upload of {} is over", self.key).into() }
    }
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(inner) = &mut self.inner else { return std::future::ready(Err(self.gone())).boxed() };
        let (part, faults, key) = (inner.put_part(data), self.faults.clone(), self.key.clone());
        async move { faults.call("part", &key, part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let gone = self.gone();
        let Some(inner) = &mut self.inner else { return Err(gone) };
        self.faults.call("complete", &self.key, inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let gone = self.gone();
        let Some(inner) = &mut self.inner else { return Err(gone) };
        self.faults.call("abort", &self.key, inner.abort()).await
    }
}

impl Drop for FaultyUpload {
    fn drop(&mut self) {
        if self.faults.is_dead() {
            // The dead clean up nothing.
            mem::forget(self.inner.take());
        }
    }
}
