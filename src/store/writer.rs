//! Objects written in parts.

use bytes::Bytes as Buffer;
use object_store::{MultipartUpload, WriteMultipart};

use super::answer::write_error;
use super::storage_error;
use crate::error::Result;
use crate::location::Location;

/// An object being written. Dropped without [`Self::finish`], it never appears.
pub struct Writer {
    location: Location,
    upload: WriteMultipart,
    written: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("location", &self.location).field("written", &self.written).finish()
    }
}

impl Writer {
    /// Parts of this size are sent while more is being written: S3 wants 5 MiB at least, and takes 10,000 parts at most.
    const PART: usize = 8 << 20;
    /// On the local disk nothing is gained by holding more than this before writing it.
    const LOCAL_PART: usize = 1 << 20;
    /// How many parts may be under way.
    const PARTS_IN_FLIGHT: usize = 2;

    pub(super) fn new(location: Location, upload: Box<dyn MultipartUpload>) -> Self {
        let part = if location.scheme() == "file" { Self::LOCAL_PART } else { Self::PART };
        Self { location, upload: WriteMultipart::new_with_chunk_size(upload, part), written: 0 }
    }

    /// Adds bytes; waits while too many parts are under way.
    ///
    /// # Errors
    ///
    /// `Unavailable` if a part could not be written.
    pub async fn write(&mut self, bytes: Buffer) -> Result<()> {
        self.upload.wait_for_capacity(Self::PARTS_IN_FLIGHT).await.map_err(|e| storage_error(e, &self.location))?;
        self.written += bytes.len() as u64;
        self.upload.put(bytes);
        Ok(())
    }

    /// Bytes added so far.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The place.
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Makes the object appear, durable, and returns its size.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer: the object may or may not be there.
    pub async fn finish(self) -> Result<u64> {
        self.upload.finish().await.map_err(|e| write_error(e, &self.location))?;
        Ok(self.written)
    }

    /// Gives the object up.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub async fn abort(self) -> Result<()> {
        self.upload.abort().await.map_err(|e| storage_error(e, &self.location))
    }
}
