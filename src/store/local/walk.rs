//! Listing folders.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry, Metadata, ReadDir};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use object_store::path::{Path, PathPart};
use object_store::{Error, ListResult, ObjectMeta, Result};

use super::{disk_path, failure, object_meta};

/// Folders that are to be read, shared by those who read them.
#[derive(Debug)]
struct Folders {
    left: Mutex<Left>,
    /// There are more, or nobody reads any more.
    changed: Condvar,
}

#[derive(Debug)]
struct Left {
    folders: Vec<Path>,
    /// How many are being read: more may be found in them.
    open: usize,
}

impl Folders {
    fn change(&self, change: impl FnOnce(&mut Left)) {
        change(&mut self.left.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// The next one; waits while others may still find some, and is `None` at the end.
    fn next(&self) -> Option<Path> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(folder) = left.folders.pop() {
                left.open += 1;
                return Some(folder);
            }
            if left.open == 0 {
                return None;
            }
            left = self.changed.wait(left).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Every file below a folder, at any depth, in no particular order. Holds one open folder, however deep the tree: open files are few. Several may
/// share the work, each on a thread of its own.
#[derive(Debug)]
pub(super) struct Walk {
    after: Option<Path>,
    open: Option<(Path, ReadDir)>,
    folders: Arc<Folders>,
}

/// What an entry of a folder is.
enum Found {
    Folder(Path),
    File(Path, Metadata),
}

impl Walk {
    /// Below `folder`, only keys that sort after `after`.
    pub(super) fn new(folder: Path, after: Option<Path>) -> Self {
        let left = Mutex::new(Left { folders: vec![folder], open: 0 });
        Self { after, open: None, folders: Arc::new(Folders { left, changed: Condvar::new() }) }
    }

    /// Another that takes part in the same walk: what one finds the others do not.
    pub(super) fn another(&self) -> Self {
        Self { after: self.after.clone(), open: None, folders: Arc::clone(&self.folders) }
    }
}

impl Drop for Walk {
    /// Whoever stops in the middle of a folder leaves nothing for others to wait for: the walk is over.
    fn drop(&mut self) {
        if self.open.is_some() {
            self.folders.change(|left| {
                left.folders.clear();
                left.open -= 1;
            });
        }
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
                let folder = self.folders.next()?;
                match open_folder(&folder) {
                    Ok(Some(entries)) => self.open = Some((folder, entries)),
                    Ok(None) => self.folders.change(|left| left.open -= 1),
                    Err(error) => {
                        self.folders.change(|left| left.open -= 1);
                        return Some(Err(error));
                    }
                }
                continue;
            };
            let Some(entry) = entries.next() else {
                self.open = None;
                self.folders.change(|left| left.open -= 1);
                continue;
            };
            match take(folder, entry, self.after.as_ref()) {
                Ok(Some(Found::File(key, metadata))) => return Some(Ok(object_meta(key, &metadata, None))),
                Ok(Some(Found::Folder(key))) => self.folders.change(|left| left.folders.push(key)),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    /// A tree of 200 files in 40 folders at two depths, and their keys.
    fn tree() -> (tempfile::TempDir, Path, BTreeSet<String>) {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::parse(folder.path().to_str().unwrap()).unwrap();
        let mut keys = BTreeSet::new();
        for n in 0..200 {
            let below = if n % 2 == 0 { format!("a={}", n % 20) } else { format!("b/c={}/d", n % 20) };
            fs::create_dir_all(folder.path().join(&below)).unwrap();
            fs::write(folder.path().join(&below).join(n.to_string()), "").unwrap();
            keys.insert(format!("{root}/{below}/{n}"));
        }
        (folder, root, keys)
    }

    #[test]
    fn those_who_share_a_walk_find_every_file_once() {
        let (_folder, root, keys) = tree();
        for walkers in [1, 2, 5] {
            let walk = Walk::new(root.clone(), None);
            let others: Vec<Walk> = (1..walkers).map(|_| walk.another()).collect();
            let walking = others
                .into_iter()
                .chain([walk])
                .map(|walk| thread::spawn(move || walk.map(|meta| meta.unwrap().location.to_string()).collect::<Vec<_>>()));
            let walking: Vec<_> = walking.collect();
            let found: Vec<String> = walking.into_iter().flat_map(|one| one.join().unwrap()).collect();
            assert_eq!(found.len(), keys.len());
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), keys);
        }
    }

    #[test]
    fn a_walk_that_one_breaks_off_ends_for_all() {
        let (_folder, root, _) = tree();
        let mut walk = Walk::new(root, None);
        assert!(walk.next().unwrap().is_ok());
        let other = walk.another();
        let ends = thread::spawn(move || other.count());
        drop(walk);
        ends.join().unwrap();
    }
}
