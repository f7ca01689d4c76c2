//! Storage: every byte the tool reads or writes goes through [`Store`].
//!
//! The store knows places and bytes, nothing of tables. It is a thin face over `object_store`; counting and failing are decorators beneath it.

mod answer;
mod apart;
pub mod counting;
mod deletion;
pub mod faulty;
pub mod local;
pub mod moved;
mod pieces;
pub mod resolve;
mod writer;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes as Buffer;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::units::Timestamp;

use answer::write_error;
use moved::Moves;

pub use answer::storage_error;
pub use apart::apart;
pub use pieces::Pieces;
pub use writer::Writer;

/// Larger objects are not copied in one request: S3 takes no more.
const MOST_COPIED: u64 = 5 << 30;

/// So many objects of a listing are handed on at once.
const PAGE: usize = 1024;

/// Finds the object store that holds a place. Implemented by wiring (and by tests).
pub trait Resolve: Send + Sync {
    /// The store and the key of `location` in it.
    ///
    /// # Errors
    ///
    /// `Usage` for a scheme this build does not know or settings that do not fit.
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)>;

    /// Which places lie elsewhere than their names say, if any do.
    fn moves(&self) -> Option<&Moves> {
        None
    }
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

/// What came of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The object is deleted. Storage that does not tell (S3) may mean one that was not there.
    Now,
    /// There was none.
    Before,
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

    /// Which places lie elsewhere than their names say, if any do.
    pub fn moves(&self) -> Option<&Moves> {
        self.resolver.moves()
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
        let wanted = range
            .end
            .checked_sub(range.start)
            .ok_or_else(|| Error::corrupt("a byte range ends before it starts").about("file", location))?;
        if wanted == 0 {
            return Ok(Buffer::new());
        }
        let (store, path) = self.resolver.resolve(location)?;
        let too_short = || Error::corrupt("file is shorter than its metadata says").about("file", location);
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let answer = match store.get_opts(&path, options).await {
            Ok(answer) => answer.bytes().await.map_err(|e| storage_error(e, location))?,
            // Stores word a range beyond the end in many ways; the size tells.
            Err(error @ object_store::Error::Generic { .. }) => match store.head(&path).await {
                Ok(meta) if meta.size < range.end => return Err(too_short()),
                _ => return Err(storage_error(error, location)),
            },
            Err(error) => return Err(storage_error(error, location)),
        };
        if answer.len() as u64 == wanted { Ok(answer) } else { Err(too_short()) }
    }

    /// Writes the object unless there is one: the only way to claim a version.
    ///
    /// # Errors
    ///
    /// `Unavailable` means *unknown*: the object may have been written, or may yet be. Every other kind means it was not.
    pub async fn put_if_absent(&self, location: &Location, bytes: Buffer) -> Result<Put> {
        let (store, path) = self.resolver.resolve(location)?;
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match store.put_opts(&path, PutPayload::from_bytes(bytes), options).await {
            Ok(_) => Ok(Put::Created),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(Put::Exists),
            Err(error) => Err(write_error(error, location)),
        }
    }

    /// Writes the object, replacing any. For hints, and for new files with names of their own.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer; `Refused` if it does not let us write.
    pub async fn put(&self, location: &Location, bytes: Buffer) -> Result<()> {
        let (store, path) = self.resolver.resolve(location)?;
        store.put(&path, PutPayload::from_bytes(bytes)).await.map_err(|e| write_error(e, location))?;
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

    /// Every object below `prefix`, at any depth, in no particular order. A folder that does not exist is empty.
    ///
    /// Objects still being written are no objects; see [`Self::unfinished`].
    pub fn list(&self, prefix: &Location) -> BoxStream<'static, Result<Meta>> {
        finished(self.list_resolved(prefix, None))
    }

    /// As [`Self::list`], many objects at a time, as they come: what is done for each of millions is to be little.
    pub fn list_pages(&self, prefix: &Location) -> BoxStream<'static, Result<Vec<Meta>>> {
        let (store, path) = match self.resolver.resolve(prefix) {
            Ok(found) => found,
            Err(error) => return futures::stream::once(async { Err(error) }).boxed(),
        };
        let (prefix, listing) = (prefix.clone(), store.list(Some(&path)));
        let page = move |page: Vec<object_store::Result<ObjectMeta>>| {
            let metas = page.into_iter().map(|entry| entry.map(|meta| found(&prefix, &path, meta)).map_err(|e| storage_error(e, &prefix)));
            metas.filter(|meta| !meta.as_ref().is_ok_and(|meta| local::is_unfinished(meta.location.name()))).collect()
        };
        listing.ready_chunks(PAGE).map(page).boxed()
    }

    /// Files below `prefix`, at any depth, that were being written as objects when a process was killed, or are being written now.
    /// Their names contain the name the object was to have (see [`local::is_unfinished`]). Local storage only: elsewhere unfinished uploads
    /// have no names, and the bucket's lifecycle rules remove them.
    pub fn unfinished(&self, prefix: &Location) -> BoxStream<'static, Result<Meta>> {
        let all = self.list_resolved(prefix, None);
        all.try_filter(|meta| std::future::ready(local::is_unfinished(meta.location.name()))).boxed()
    }

    /// Every object below `prefix` whose name sorts after `name`, where storage can tell; a superset otherwise.
    pub fn list_after(&self, prefix: &Location, name: &str) -> BoxStream<'static, Result<Meta>> {
        finished(self.list_resolved(prefix, Some(name)))
    }

    fn list_resolved(&self, prefix: &Location, after: Option<&str>) -> BoxStream<'static, Result<Meta>> {
        let (store, path) = match self.resolver.resolve(prefix) {
            Ok(found) => found,
            Err(error) => return futures::stream::once(async { Err(error) }).boxed(),
        };
        let stream = match after.map(|name| Path::parse(format!("{path}/{name}"))) {
            Some(Ok(after)) => store.list_with_offset(Some(&path), &after),
            Some(Err(error)) => {
                let error = storage_error(error.into(), prefix);
                return futures::stream::once(async { Err(error) }).boxed();
            }
            None => store.list(Some(&path)),
        };
        let prefix = prefix.clone();
        stream.map(move |entry| entry.map(|meta| found(&prefix, &path, meta)).map_err(|e| storage_error(e, &prefix))).boxed()
    }

    /// Names of folders and objects directly below `prefix`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer. A folder that does not exist is empty.
    pub async fn children(&self, prefix: &Location) -> Result<Vec<Location>> {
        self.entries(prefix, |name| !local::is_unfinished(name)).await
    }

    /// Objects directly in `folder` whose names contain one of `marks`, unfinished ones included: what a dead run left there.
    ///
    /// # Errors
    ///
    /// As [`Self::children`].
    pub async fn leftovers(&self, folder: &Location, marks: &[String]) -> Result<Vec<Location>> {
        self.entries(folder, |name| marks.iter().any(|mark| name.contains(mark.as_str()))).await
    }

    /// Files directly in `folder` that the process with this number of this machine was writing as objects. Local storage only, as
    /// [`Self::unfinished`].
    ///
    /// # Errors
    ///
    /// As [`Self::children`].
    pub async fn unfinished_of(&self, folder: &Location, process: u32) -> Result<Vec<Location>> {
        self.entries(folder, |name| local::is_unfinished_of(name, process)).await
    }

    /// As [`Self::leftovers`], at any depth below `folder`.
    ///
    /// # Errors
    ///
    /// As [`Self::children`].
    pub async fn leftovers_below(&self, folder: &Location, marks: &[String]) -> Result<Vec<Location>> {
        let all = self.list_resolved(folder, None).map_ok(|meta| meta.location);
        let wanted = |place: &Location| marks.iter().any(|mark| place.name().contains(mark.as_str()));
        all.try_filter(|place| std::future::ready(wanted(place))).try_collect().await
    }

    async fn entries(&self, prefix: &Location, wanted: impl Fn(&str) -> bool + Send) -> Result<Vec<Location>> {
        let (store, path) = self.resolver.resolve(prefix)?;
        let listing = store.list_with_delimiter(Some(&path)).await.map_err(|e| storage_error(e, prefix))?;
        let keys = listing.common_prefixes.into_iter().chain(listing.objects.into_iter().map(|o| o.location));
        Ok(keys.filter_map(|key| key.filename().filter(|name| wanted(name)).map(|name| prefix.child(name))).collect())
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

    /// Copies the object at `from`, of `size` bytes, to `to`, replacing any that is there: within storage where it can, else by way of this process.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none; `Unavailable` if storage did not answer; `Refused` if it does not let us write.
    pub async fn copy(&self, from: &Location, to: &Location, size: u64) -> Result<()> {
        let (store, key) = self.resolver.resolve(from)?;
        let is_near = from.scheme() == to.scheme() && from.authority() == to.authority();
        if is_near && size <= MOST_COPIED {
            let (_, target) = self.resolver.resolve(to)?;
            return store.copy(&key, &target).await.map_err(|e| write_error(e, from));
        }
        let mut writer = self.writer(to).await?;
        let mut bytes = store.get(&key).await.map_err(|e| storage_error(e, from))?.into_stream();
        while let Some(piece) = bytes.try_next().await.map_err(|e| storage_error(e, from))? {
            writer.write(piece).await?;
        }
        writer.finish().await.map(|_| ())
    }

    /// Where the folder `folder` lies if a link leads to it; `None` if it lies where its name says, is not there, or storage has no links.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the disk did not answer.
    pub async fn behind_links(&self, folder: &Location) -> Result<Option<Location>> {
        let (store, folder) = (self.clone(), folder.clone());
        apart(move || store.behind_links_now(&folder)).await
    }

    /// The same on this thread, which may wait for the disk.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn behind_links_now(&self, folder: &Location) -> Result<Option<Location>> {
        let place = self.moves().map_or_else(|| folder.clone(), |moves| moves.place_of(folder));
        if place.scheme() != "file" {
            return Ok(None);
        }
        let lies = local::behind_links(&place)?.filter(|lies| *lies != place);
        Ok(lies.map(|lies| self.moves().map_or_else(|| lies.clone(), |moves| moves.name_of(&lies))))
    }

    /// Removes `folder` where folders are things of their own (local disks) and nothing is in it. One that cannot be removed stays.
    pub async fn remove_empty_folder(&self, folder: &Location) {
        let place = self.moves().map_or_else(|| folder.clone(), |moves| moves.place_of(folder));
        if place.scheme() == "file" {
            local::remove_empty_folder(&place).await;
        }
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

/// The object `meta` of a listing of the key `folder`, which is the place `prefix`.
fn found(prefix: &Location, folder: &Path, meta: ObjectMeta) -> Meta {
    let modified = Timestamp(meta.last_modified.timestamp_millis());
    // Nearly everything lies where its name says: then its key is its path.
    let location = if prefix.path() == folder.as_ref() {
        prefix.with_path(meta.location.as_ref())
    } else {
        let key = meta.location.as_ref();
        prefix.child(key.strip_prefix(folder.as_ref()).unwrap_or(key).trim_start_matches('/'))
    };
    Meta { location, size: meta.size, modified }
}

fn finished(all: BoxStream<'static, Result<Meta>>) -> BoxStream<'static, Result<Meta>> {
    all.try_filter(|meta| std::future::ready(!local::is_unfinished(meta.location.name()))).boxed()
}
