//! Listing folders.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, Metadata, ReadDir};
use std::io::{self, ErrorKind};

use object_store::path::{Path, PathPart};
use object_store::{Error, ListResult, ObjectMeta, Result};

use super::{disk_path, failure, object_meta};

/// Every file below a folder, at any depth, in no particular order. Holds one open folder, however deep the tree: open files are few.
#[derive(Debug)]
pub(super) struct Walk {
    after: Option<Path>,
    open: Option<(Path, ReadDir)>,
    /// Folders that are still to be read.
    pending: Vec<Path>,
}

/// What an entry of a folder is.
enum Found {
    Folder(Path),
    File(Path, Metadata),
}

impl Walk {
    /// Below `folder`, only keys that sort after `after`.
    pub(super) fn new(folder: Path, after: Option<Path>) -> Self {
        Self { after, open: None, pending: vec![folder] }
    }
}

/// Whether no key at or below `key` can sort after `after`.
fn is_before(key: &Path, is_folder: bool, after: &Path) -> bool {
    let (key, after): (&str, &str) = (key.as_ref(), after.as_ref());
    if !is_folder {
        return key <= after;
    }
    let below = format!("{key}/");
    below.as_str() <= after && !after.starts_with(&below)
}

/// What an entry of `folder` is, if it is wanted.
fn take(folder: &Path, entry: io::Result<DirEntry>, after: Option<&Path>) -> Result<Option<Found>> {
    let entry = entry.map_err(|e| failure(e, &disk_path(folder)))?;
    let key = child(folder, &entry)?;
    let is_before = |key: &Path, is_folder| after.is_some_and(|after| is_before(key, is_folder, after));
    if after.is_some() && is_before(&key, entry.file_type().map_or(true, |kind| !kind.is_file())) {
        return Ok(None);
    }
    let found = look(key, &entry)?;
    Ok(found.filter(|found| !matches!(found, Found::File(key, _) if is_before(key, false))))
}

impl Iterator for Walk {
    type Item = Result<ObjectMeta>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((folder, entries)) = &mut self.open else {
                let folder = self.pending.pop()?;
                match open_folder(&folder) {
                    Ok(entries) => self.open = entries.map(|entries| (folder, entries)),
                    Err(error) => return Some(Err(error)),
                }
                continue;
            };
            let Some(entry) = entries.next() else {
                self.open = None;
                continue;
            };
            match take(folder, entry, self.after.as_ref()) {
                Ok(Some(Found::File(key, metadata))) => return Some(Ok(object_meta(key, &metadata, None))),
                Ok(Some(Found::Folder(key))) => self.pending.push(key),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Folders and files directly in `folder`.
pub(super) fn children(folder: &Path) -> Result<ListResult> {
    let (mut folders, mut objects) = (BTreeSet::new(), Vec::new());
    for entry in open_folder(folder)?.into_iter().flatten() {
        let entry = entry.map_err(|e| failure(e, &disk_path(folder)))?;
        match look(child(folder, &entry)?, &entry)? {
            Some(Found::Folder(key)) => drop(folders.insert(key)),
            Some(Found::File(key, metadata)) => objects.push(object_meta(key, &metadata, None)),
            None => {}
        }
    }
    Ok(ListResult { common_prefixes: folders.into_iter().collect(), objects })
}

/// The entries of a folder; `None` if there is no such folder.
fn open_folder(key: &Path) -> Result<Option<ReadDir>> {
    let place = disk_path(key);
    match fs::read_dir(&place) {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(failure(error, &place)),
    }
}

/// The key of `entry`. A name that no key can spell is an error: passing over it would make the listing say too little.
fn child(folder: &Path, entry: &DirEntry) -> Result<Path> {
    let unspeakable = || {
        let why = format!("a file in {} has a name that is not UTF-8 or holds control characters", disk_path(folder).display());
        Error::NotSupported { source: io::Error::new(ErrorKind::InvalidFilename, why).into() }
    };
    let name = entry.file_name();
    let name = name.to_str().ok_or_else(unspeakable)?;
    // The folder is a key already: only what is new is looked at.
    PathPart::parse(name).map(|part| folder.clone().join(part)).map_err(|_| unspeakable())
}

/// What `entry` is, links followed; `None` if it is neither file nor folder, leads nowhere or back upwards, or is gone by now.
fn look(key: Path, entry: &DirEntry) -> Result<Option<Found>> {
    let kind = match entry.file_type() {
        Ok(kind) => kind,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(error, &entry.path())),
    };
    if kind.is_dir() {
        return Ok(Some(Found::Folder(key)));
    }
    // A plain file is looked at by its name in the open folder: following its whole path again takes longer than everything else.
    let metadata = if kind.is_file() { entry.metadata() } else { fs::metadata(entry.path()) };
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failure(error, &entry.path())),
    };
    if metadata.is_file() {
        return Ok(Some(Found::File(key, metadata)));
    }
    Ok((metadata.is_dir() && !leads_upwards(&entry.path())).then_some(Found::Folder(key)))
}

/// Whether the link `place` leads to a folder that it lies in: following it would never end.
fn leads_upwards(place: &std::path::Path) -> bool {
    let target = place.canonicalize();
    let here = place.parent().map(std::path::Path::canonicalize);
    matches!((target, here), (Ok(target), Some(Ok(here))) if here.starts_with(&target))
}
