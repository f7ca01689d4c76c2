//! Objects written in parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::blocking;
use super::staged::Staged;

/// An upload: parts are written where they belong in one unfinished file, several at a time.
#[derive(Debug)]
pub(super) struct Upload {
    parts: Option<Arc<Parts>>,
    expected: u64,
}

#[derive(Debug)]
struct Parts {
    staged: Staged,
    written: AtomicU64,
}

impl Upload {
    pub(super) fn new(staged: Staged) -> Self {
        Self { parts: Some(Arc::new(Parts { staged, written: AtomicU64::new(0) })), expected: 0 }
    }

    fn take(&mut self) -> Result<Parts> {
        let parts = self.parts.take().ok_or_else(|| broken("upload was finished already"))?;
        Arc::into_inner(parts).ok_or_else(|| broken("a part is still being written"))
    }
}

fn broken(why: &'static str) -> Error {
    Error::Generic { store: "LocalDisk", source: why.into() }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let mut offset = self.expected;
        self.expected += data.content_length() as u64;
        let parts = self.parts.clone();
        blocking(move || {
            let parts = parts.ok_or_else(|| broken("upload was finished already"))?;
            for bytes in &data {
                parts.staged.write_at(offset, bytes)?;
                offset += bytes.len() as u64;
            }
            parts.written.fetch_add(data.content_length() as u64, Ordering::Relaxed);
            Ok(())
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts = self.take()?;
        // A part that failed has left a hole.
        if parts.written.load(Ordering::Relaxed) != self.expected {
            return Err(broken("a part was not written"));
        }
        blocking(move || parts.staged.replace()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let parts = self.parts.take();
        blocking(move || {
            drop(parts);
            Ok(())
        })
        .await
    }
}
