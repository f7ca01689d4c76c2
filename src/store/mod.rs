//! Storage: every byte the tool reads or writes goes through [`Store`].
//!
//! The store knows places and bytes, nothing of tables. It is a thin face over `object_store`; counting and failing are decorators beneath it.

pub mod counting;
pub mod faulty;
pub mod local;
pub mod resolve;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use futures::stream::BoxStream;

use crate::error::Result;
use crate::location::Location;
use crate::units::Timestamp;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};

use crate::error::{Error, Kind};

/// Finds the object store that holds a place. Implemented by wiring (and by tests).
pub trait Resolve: Send + Sync {
    /// The store and the key of `location` in it.
    ///
    /// # Errors
    ///
    /// `Usage` for a scheme this build does not know or settings that do not fit.
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)>;
}

/// An object: where it is, how large, when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The place.
    pub location: Location,
    /// Bytes.
    pub size: u64,
    /// When it was last written, by the storage's clock.
    pub modified: Timestamp,
}

/// What came of [`Store::put_if_absent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is ours.
    Created,
    /// There was one already. After a lost answer it may be our own: read it back to know.
    Exists,
}

/// All storage the tool can reach.
#[derive(Clone)]
pub struct Store {
    resolver: Arc<dyn Resolve>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// A store over what `resolver` finds.
    pub fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver }
    }

    /// Size and time of the object at `location`.
    ///
    /// # Errors
    ///
    /// `NotFound`, or `Unavailable` if storage did not answer.
    pub async fn head(&self, location: &Location) -> Result<Meta> {
        let (store, path) = self.resolver.resolve(location)?;
        let meta = store.head(&path).await.map_err(|e| storage_error(e, location))?;
        Ok(Meta { location: location.clone(), size: meta.size, modified: Timestamp(meta.last_modified.timestamp_millis()) })
    }

    /// The whole object. For small objects only: metadata, manifests, log entries.
    ///
    /// # Errors
    ///
    /// `NotFound`, or `Unavailable` if storage did not answer.
    pub async fn get(&self, location: &Location) -> Result<Buffer> {
        let (store, path) = self.resolver.resolve(location)?;
        let answer = store.get(&path).await.map_err(|e| storage_error(e, location))?;
        answer.bytes().await.map_err(|e| storage_error(e, location))
    }

    /// The whole object, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub async fn get_if_exists(&self, location: &Location) -> Result<Option<Buffer>> {
        match self.get(location).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of `range`.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Corrupt` if the object is shorter; `Unavailable` if storage did not answer.
    pub async fn get_range(&self, location: &Location, range: Range<u64>) -> Result<Buffer> {
        let (store, path) = self.resolver.resolve(location)?;
        let wanted = range.end.saturating_sub(range.start);
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let answer = store.get_opts(&path, options).await.map_err(|e| storage_error(e, location))?;
        let bytes = answer.bytes().await.map_err(|e| storage_error(e, location))?;
        if (bytes.len() as u64) < wanted {
            return Err(Error::corrupt("file is shorter than its metadata says").about("file", location));
        }
        Ok(bytes)
    }

    /// Writes the object unless there is one: the only way to claim a version.
    ///
    /// # Errors
    ///
    /// `Unavailable` means *unknown*: the object may have been written, or may yet be. `Refused` means it was not.
    pub async fn put_if_absent(&self, location: &Location, bytes: Buffer) -> Result<Put> {
        let (store, path) = self.resolver.resolve(location)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match store.put_opts(&path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(Put::Created),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(Put::Exists),
            Err(error) => Err(storage_error(error, location)),
        }
    }

    /// Writes the object, replacing any. For hints, and for new files with names of their own.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer; `Refused` if it does not let us write.
    pub async fn put(&self, location: &Location, bytes: Buffer) -> Result<()> {
        let (store, path) = self.resolver.resolve(location)?;
        store.put(&path, PutPayload::from_bytes(bytes)).await.map_err(|e| storage_error(e, location))?;
        Ok(())
    }

    /// Starts a new object that is written in parts and appears whole when finished.
    ///
    /// # Errors
    ///
    /// As [`Self::put`].
    pub async fn writer(&self, location: &Location) -> Result<Writer> {
        let (store, path) = self.resolver.resolve(location)?;
        let upload = store.put_multipart(&path).await.map_err(|e| storage_error(e, location))?;
        Ok(Writer::new(location.clone(), upload))
    }

    /// Every object below `prefix`, at any depth, in no particular order.
    pub fn list(&self, prefix: &Location) -> BoxStream<'static, Result<Meta>> {
        self.list_resolved(prefix, None)
    }

    /// Every object below `prefix` whose name sorts after `name`, where storage can tell; a superset otherwise.
    pub fn list_after(&self, prefix: &Location, name: &str) -> BoxStream<'static, Result<Meta>> {
        self.list_resolved(prefix, Some(name))
    }

    fn list_resolved(&self, prefix: &Location, after: Option<&str>) -> BoxStream<'static, Result<Meta>> {
        let (store, path) = match self.resolver.resolve(prefix) {
            Ok(found) => found,
            Err(error) => return futures::stream::once(async { Err(error) }).boxed(),
        };
        let stream = match after {
            Some(name) => store.list_with_offset(Some(&path), &path.clone().join(name)),
            None => store.list(Some(&path)),
        };
        let prefix = prefix.clone();
        stream
            .map(move |entry| {
                let meta = entry.map_err(|e| storage_error(e, &prefix))?;
                let key = meta.location.as_ref();
                let below = key.strip_prefix(path.as_ref()).unwrap_or(key).trim_start_matches('/');
                let modified = Timestamp(meta.last_modified.timestamp_millis());
                Ok(Meta { location: prefix.child(below), size: meta.size, modified })
            })
            .boxed()
    }

    /// Names of folders and objects directly below `prefix`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer. A folder that does not exist is empty.
    pub async fn children(&self, prefix: &Location) -> Result<Vec<Location>> {
        let (store, path) = self.resolver.resolve(prefix)?;
        let listing = store.list_with_delimiter(Some(&path)).await.map_err(|e| storage_error(e, prefix))?;
        let keys = listing.common_prefixes.into_iter().chain(listing.objects.into_iter().map(|o| o.location));
        Ok(keys.filter_map(|key| key.filename().map(|name| prefix.child(name))).collect())
    }

    /// Deletes the object; one that is not there is deleted already.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer; `Refused` if it does not let us.
    pub async fn delete(&self, location: &Location) -> Result<()> {
        let (store, path) = self.resolver.resolve(location)?;
        match store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(storage_error(error, location)),
        }
    }

    /// Deletes every one of `locations`, and says which could not be.
    pub async fn delete_all(&self, locations: Vec<Location>) -> Vec<Error> {
        let results = futures::stream::iter(locations).map(|place| async move { self.delete(&place).await });
        results.buffer_unordered(16).filter_map(|result| async { result.err() }).collect().await
    }

    /// Objects directly in `folder` whose names contain `part`, unfinished ones included.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer. A folder that does not exist is empty.
    pub async fn leftovers(&self, folder: &Location, part: &str) -> Result<Vec<Location>> {
        let mut found: Vec<Location> = self.children(folder).await?;
        found.retain(|place| place.name().contains(part));
        Ok(found)
    }

    /// Everything below `prefix`, collected. For small folders only.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub async fn list_all(&self, prefix: &Location) -> Result<Vec<Meta>> {
        self.list(prefix).try_collect().await
    }
}

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
    /// Parts of this size are sent while more is being written.
    const PART: usize = 8 << 20;
    /// How many parts may be under way.
    const PARTS_IN_FLIGHT: usize = 2;

    fn new(location: Location, upload: Box<dyn MultipartUpload>) -> Self {
        Self { location, upload: WriteMultipart::new_with_chunk_size(upload, Self::PART), written: 0 }
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
        self.upload.finish().await.map_err(|e| storage_error(e, &self.location))?;
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

/// What an object store's error means for the reader.
pub fn storage_error(error: object_store::Error, location: &Location) -> Error {
    use object_store::Error as E;
    let base = match &error {
        E::NotFound { .. } => Error::not_found("no such file"),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => Error::new(Kind::Refused, "storage denied access")
            .hint("check the credentials and the permissions of this place; nothing was changed"),
        E::InvalidPath { .. } => Error::usage("storage cannot hold such a name"),
        E::NotSupported { .. } | E::NotImplemented { .. } => Error::unsupported("storage cannot do this"),
        _ => Error::unavailable("storage did not answer as expected"),
    };
    base.about("place", location).because(error)
}
