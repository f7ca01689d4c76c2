//! Storage whose files are as old as a test says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::DateTime;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

use super::NOON;

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

/// Files are ten days older than noon unless told otherwise.
#[derive(Debug)]
pub(crate) struct Aged {
    inner: Arc<dyn ObjectStore>,
    times: Mutex<BTreeMap<String, i64>>,
}

impl Aged {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self { inner, times: Mutex::default() })
    }

    /// The file `key` was written at `time`, in ms.
    pub(crate) fn set(&self, key: &str, time: i64) {
        self.times.lock().unwrap().insert(key.to_string(), time);
    }

    fn aged(&self, meta: ObjectMeta) -> ObjectMeta {
        let time = self.times.lock().unwrap().get(meta.location.as_ref()).copied().unwrap_or(NOON - 10 * DAY);
        ObjectMeta { last_modified: DateTime::from_timestamp_millis(time).unwrap(), ..meta }
    }
}

impl fmt::Display for Aged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aged({})", self.inner)
    }
}

/// Hands on what a listing has, with other times.
struct Listing(Arc<dyn ObjectStore>, BTreeMap<String, i64>);

#[async_trait]
impl ObjectStore for Aged {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut answer = self.inner.get_opts(location, options).await?;
        answer.meta = self.aged(answer.meta);
        Ok(answer)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listing = Listing(Arc::clone(&self.inner), self.times.lock().unwrap().clone());
        let stream = listing.0.list(prefix);
        stream
            .map(move |meta| {
                let meta = meta?;
                let time = listing.1.get(meta.location.as_ref()).copied().unwrap_or(NOON - 10 * DAY);
                Ok(ObjectMeta { last_modified: DateTime::from_timestamp_millis(time).unwrap(), ..meta })
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
