//! Copies of golden tables, and stores that find files wherever a table's metadata says they lie.

use std::fs;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use otf::error::{Error, Result};
use otf::location::Location;
use otf::store::Resolve;
use otf::store::local::LocalDisk;
use serde_json::Value;

/// The folder of golden tables, if there is one.
#[expect(clippy::disallowed_methods, reason = "tests are told by the environment where golden tables lie")]
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var("OTF_GOLDEN").ok().map(PathBuf::from)?;
    Some(folder.canonicalize().expect("OTF_GOLDEN names a folder"))
}

/// Every folder below `top` in which `mark` accepts a folder's entries, by name, sorted.
pub(crate) fn tables(top: &FsPath, mark: &dyn Fn(&FsPath) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![top.to_path_buf()];
    while let Some(folder) = open.pop() {
        if mark(&folder) {
            found.push(folder);
            continue;
        }
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        open.extend(entries.filter(|path| path.is_dir()));
    }
    found.sort();
    found
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &FsPath, to: &FsPath) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            // Not fs::copy: golden files are read-only, their copies must not be.
            fs::write(&target, fs::read(&path).unwrap()).unwrap();
        }
    }
}

/// Finds files of a table that was moved: below its folder by the place its metadata gives, else by the longest end of the path that exists.
pub(crate) struct Moved {
    folder: PathBuf,
    /// The place the table's metadata gives for itself.
    home: Option<Location>,
}

impl Moved {
    pub(crate) fn new(folder: &FsPath) -> Self {
        Self { folder: folder.to_path_buf(), home: home_of(folder) }
    }

    /// The place the table's metadata gives for itself.
    pub(crate) fn home(&self) -> Option<&Location> {
        self.home.as_ref()
    }

    fn find(&self, location: &Location) -> PathBuf {
        let absolute = PathBuf::from(format!("/{}", location.path()));
        if absolute.starts_with(&self.folder) {
            return absolute;
        }
        if let Some(below) = self.home.as_ref().and_then(|home| location.relative_to(home)) {
            return self.folder.join(below);
        }
        let mut rest = location.path();
        while let Some((_, tail)) = rest.split_once('/') {
            let candidate = self.folder.join(tail);
            if candidate.exists() {
                return candidate;
            }
            rest = tail;
        }
        absolute
    }
}

/// The `location` of the newest Iceberg metadata file below `folder`.
fn home_of(folder: &FsPath) -> Option<Location> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("metadata")).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".metadata.json"));
    files.sort();
    let text = fs::read(files.last()?).ok()?;
    let metadata: Value = serde_json::from_slice(&text).ok()?;
    Location::parse(metadata.get("location")?.as_str()?).ok()
}

impl Resolve for Moved {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, Path)> {
        let found = self.find(location);
        let text = found.to_str().unwrap().trim_start_matches('/');
        let path = Path::parse(text).map_err(|e| Error::usage("no such name").because(e))?;
        Ok((Arc::new(LocalDisk), path))
    }
}
