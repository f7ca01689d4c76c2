//! The local disk as an object store that keeps its word: what it says is written survives a power failure.
//!
//! `object_store`'s own `LocalFileSystem` neither syncs files nor folders, cannot hold a name ending in `#1`, and reports a full disk
//! and a forbidden folder alike. Open files are not cached: opening costs less than handing the read to another thread does, and a
//! cached handle would go on serving a file that has been deleted.

mod staged;
#[cfg(test)]
mod tests;
mod upload;
mod walk;

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use staged::{Staged, sync_folder_of};
use upload::Upload;
use walk::Walk;

use crate::location::Location;

pub use staged::{is_unfinished, is_unfinished_of};

/// Reads up to this size are answered in one piece, larger ones in pieces of it.
const PIECE: u64 = 8 << 20;
/// How many entries one turn of a listing reads.
const LISTED_AT_ONCE: usize = 1024;
/// How many threads walk below one folder: a disk's own work is most of it, and a disk across a network takes its time for each.
const WALKERS: usize = 2;
/// How many turns a listing reads ahead.
const TURNS_AHEAD: usize = 2;
/// How many files one turn of a deletion removes before it syncs their folders.
const DELETED_AT_ONCE: usize = 256;

/// The whole file system; keys are absolute paths without the leading slash, taken literally.
///
/// Objects appear whole or not at all, and everything is synced (file, folder, and folders newly made) before a call returns.
/// An object that is being written is a hidden file beside its final name, see [`is_unfinished`]; listings show it, so that what a
/// killed process left behind can be found.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl std::fmt::Display for LocalDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalDisk")
    }
}

#[async_trait]
impl ObjectStore for LocalDisk {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        check_attributes(&options.attributes)?;
        let place = disk_path(location);
        blocking(move || {
            let mut staged = Staged::create(&place)?;
            for part in &payload {
                staged.append(part)?;
            }
            match options.mode {
                PutMode::Overwrite => staged.replace(),
                PutMode::Create => staged.claim(),
                PutMode::Update(_) => Err(not_implemented("put of an update")),
            }
        })
        .await
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        check_attributes(&options.attributes)?;
        let place = disk_path(location);
        let staged = blocking(move || Staged::create(&place)).await?;
        Ok(Box::new(Upload::new(staged)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let location = location.clone();
        blocking(move || read(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let (location, ranges) = (location.clone(), ranges.to_vec());
        blocking(move || {
            let (file, _) = open(&location)?;
            ranges.into_iter().map(|range| read_range(&file, &location, range)).collect()
        })
        .await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let chunks = locations.ready_chunks(DELETED_AT_ONCE);
        let deleted = chunks.then(|chunk| async { blocking(move || Ok(delete(chunk))).await.unwrap_or_else(|error| vec![Err(error)]) });
        deleted.map(stream::iter).flatten().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        list(prefix, None)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        list(prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = prefix.cloned().unwrap_or_default();
        blocking(move || walk::children(&folder)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        blocking(move || {
            let (mut source, _) = open(&from)?;
            let mut staged = Staged::create(&disk_path(&to))?;
            staged.append_from(&mut source)?;
            match options.mode {
                CopyMode::Overwrite => staged.replace(),
                CopyMode::Create => staged.claim(),
            }
        })
        .await
        .map(|_| ())
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let (from, to) = (disk_path(from), disk_path(to));
        blocking(move || {
            fs::symlink_metadata(&from).map_err(|e| failure(e, &from))?;
            staged::make_parents(&to)?;
            match options.target_mode {
                RenameTargetMode::Overwrite => fs::rename(&from, &to).map_err(|e| failure(e, &to))?,
                RenameTargetMode::Create => {
                    staged::link(&from, &to)?;
                    sync_folder_of(&to)?;
                    fs::remove_file(&from).map_err(|e| failure(e, &from))?;
                }
            }
            sync_folder_of(&to)?;
            sync_folder_of(&from)
        })
        .await
    }
}

/// Runs `work` where it may wait for the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await?,
        Err(_) => work(),
    }
}

/// The file that holds `key`. Keys have no `.` and `..` segments: [`Path`] refuses them.
fn disk_path(key: &Path) -> PathBuf {
    std::path::Path::new("/").join(key.as_ref())
}

fn check_attributes(attributes: &Attributes) -> Result<()> {
    if attributes.is_empty() { Ok(()) } else { Err(not_implemented("attributes")) }
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_string(), implementer: "LocalDisk".to_string() }
}

/// What an error of the disk means in the words of `object_store`; the error itself stays inside.
fn failure(error: io::Error, place: &std::path::Path) -> Error {
    let path = place.display().to_string();
    match error.kind() {
        // A folder is no object, and below a file there are none.
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => Error::NotFound { path, source: error.into() },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::PermissionDenied { path, source: error.into() },
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        ErrorKind::InvalidFilename | ErrorKind::Unsupported => Error::NotSupported { source: error.into() },
        _ => Error::Generic { store: "LocalDisk", source: error.into() },
    }
}

fn open(key: &Path) -> Result<(File, Metadata)> {
    let place = disk_path(key);
    let file = File::open(&place).map_err(|e| failure(e, &place))?;
    let metadata = file.metadata().map_err(|e| failure(e, &place))?;
    if metadata.is_dir() {
        return Err(failure(ErrorKind::IsADirectory.into(), &place));
    }
    Ok((file, metadata))
}

fn read(location: Path, options: GetOptions) -> Result<GetResult> {
    let (file, metadata) = open(&location)?;
    let meta = object_meta(location, &metadata, Some(entity_tag(&metadata)));
    options.check_preconditions(&meta)?;
    let invalid = |e| Error::Generic { store: "LocalDisk", source: Box::new(io::Error::new(ErrorKind::UnexpectedEof, format!("{e}"))) };
    let range = match &options.range {
        Some(range) => range.as_range(meta.size).map_err(invalid)?,
        None => 0..meta.size,
    };
    let payload = if options.head {
        stream::empty().boxed()
    } else if range.end - range.start <= PIECE {
        let bytes = read_range(&file, &meta.location, range.clone())?;
        stream::once(async { Ok(bytes) }).boxed()
    } else {
        pieces(file, meta.location.clone(), range.clone())
    };
    Ok(GetResult { payload: GetResultPayload::Stream(payload), meta, range, attributes: Attributes::default() })
}

/// The bytes of `range` of an open file, read piece by piece as they are asked for.
fn pieces(file: File, location: Path, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    stream::try_unfold((file, range.start), move |(file, start)| {
        let (location, stop) = (location.clone(), range.end);
        async move {
            let end = stop.min(start.saturating_add(PIECE));
            if start >= end {
                return Ok(None);
            }
            blocking(move || read_range(&file, &location, start..end).map(|bytes| Some((bytes, (file, end))))).await
        }
    })
    .boxed()
}

/// Exactly the bytes of `range`; a file that is shorter is an error.
fn read_range(file: &File, location: &Path, range: Range<u64>) -> Result<Bytes> {
    let place = disk_path(location);
    let length = range.end.saturating_sub(range.start);
    // A range is checked against the file before memory is set aside for it: its bounds may come from a damaged file.
    let size = file.metadata().map_err(|e| failure(e, &place))?.len();
    if range.end > size {
        return Err(failure(ErrorKind::UnexpectedEof.into(), &place));
    }
    let length = usize::try_from(length).map_err(|_| failure(ErrorKind::FileTooLarge.into(), &place))?;
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, range.start).map_err(|e| failure(e, &place))?;
    Ok(buffer.into())
}

/// Where `place` truly lies, links followed; `None` if it is not there.
///
/// # Errors
///
/// `Unavailable` if the disk did not answer, `Unsupported` if the true name is not text.
pub(super) fn behind_links(place: &Location) -> crate::error::Result<Option<Location>> {
    let folder = std::path::Path::new("/").join(place.path());
    let path = match folder.canonicalize() {
        Ok(path) => path,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(super::storage_error(failure(error, &folder), place)),
    };
    let text = path.to_str().ok_or_else(|| crate::error::Error::unsupported("a folder's name is not Unicode").about("place", place))?;
    Location::parse(text).map(Some)
}

/// Removes the folder `place` if nothing is in it. A link to a folder is none.
pub(super) async fn remove_empty_folder(place: &Location) {
    let folder = std::path::Path::new("/").join(place.path());
    // The system removes no folder that holds anything. One that stays does no harm.
    drop(blocking(move || fs::remove_dir(&folder).map_err(|e| failure(e, &folder))).await);
}

/// Removes files, then syncs every folder they were in, once.
fn delete(keys: Vec<Result<Path>>) -> Vec<Result<Path>> {
    let mut folders = std::collections::BTreeMap::new();
    let removed: Vec<_> = keys.into_iter().map(|key| key.and_then(|key| remove(key, &mut folders))).collect();
    for (folder, outcome) in &mut folders {
        *outcome = staged::sync_folder(folder).err().map(|e| e.to_string());
    }
    let synced = |key: Path| match disk_path(&key).parent().and_then(|folder| folders.get(folder)) {
        Some(Some(error)) => Err(Error::Generic { store: "LocalDisk", source: error.clone().into() }),
        _ => Ok(key),
    };
    removed.into_iter().map(|result| result.and_then(synced)).collect()
}

fn remove(key: Path, folders: &mut std::collections::BTreeMap<PathBuf, Option<String>>) -> Result<Path> {
    let place = disk_path(&key);
    fs::remove_file(&place).map_err(|e| failure(e, &place))?;
    if let Some(folder) = place.parent() {
        folders.insert(folder.to_path_buf(), None);
    }
    Ok(key)
}

fn list(prefix: Option<&Path>, offset: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
    let walk = Walk::new(prefix.cloned().unwrap_or_default(), offset.cloned());
    let started = async move {
        match Handle::try_current() {
            Ok(runtime) => walk_ahead(&runtime, walk),
            Err(_) => stream::iter(walk).boxed(),
        }
    };
    stream::once(started).flatten().boxed()
}

/// Walks on threads of its own, a few turns ahead of whoever takes what they find.
fn walk_ahead(runtime: &Handle, walk: Walk) -> BoxStream<'static, Result<ObjectMeta>> {
    let (sender, receiver) = mpsc::channel::<Vec<Result<ObjectMeta>>>(TURNS_AHEAD);
    let others: Vec<Walk> = (1..WALKERS).map(|_| walk.another()).collect();
    let walking = others.into_iter().chain([walk]).map(|mut walk| {
        let sender = sender.clone();
        runtime.spawn_blocking(move || {
            loop {
                let turn: Vec<_> = walk.by_ref().take(LISTED_AT_ONCE).collect();
                // Nobody may want the rest.
                if turn.is_empty() || sender.blocking_send(turn).is_err() {
                    return;
                }
            }
        })
    });
    let walking: Vec<JoinHandle<()>> = walking.collect();
    drop(sender);
    let turns = stream::unfold((receiver, walking), |(mut receiver, mut walking)| async move {
        if let Some(turn) = receiver.recv().await {
            return Some((turn, (receiver, walking)));
        }
        // A walk that broke off has not seen everything.
        while let Some(one) = walking.pop() {
            if let Err(broke) = one.await {
                return Some((vec![Err(broke.into())], (receiver, walking)));
            }
        }
        None
    });
    turns.map(stream::iter).flatten().boxed()
}

/// A listing of millions leaves the tag out: nobody reads it there.
fn object_meta(location: Path, metadata: &Metadata, e_tag: Option<String>) -> ObjectMeta {
    let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    // A time out of reach counts as the newest there is: what decides by age must not take the file for an old one.
    let last_modified = DateTime::from_timestamp(metadata.mtime(), nanos).unwrap_or(DateTime::<Utc>::MAX_UTC);
    ObjectMeta { location, last_modified, size: metadata.len(), e_tag, version: None }
}

/// Tells versions of a file apart: a new one is always another inode.
fn entity_tag(metadata: &Metadata) -> String {
    format!("{:x}-{:x}.{:x}-{:x}", metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), metadata.len())
}
