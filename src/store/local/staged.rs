//! A file in the making, and how it becomes an object.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::{Error, PutResult, Result};

use super::{entity_tag, failure};

/// How names of unfinished files end.
const SUFFIX: &str = ".unfinished";
/// What file systems commonly allow in a name, in bytes (POSIX `NAME_MAX`).
const NAME_MAX: usize = 255;

/// How often the folder of a new file is made: another run may take an empty one away before its first file is in it.
const TRIES: u32 = 3;

/// Numbers the unfinished files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Whether `name` is that of a file in the making: `.<final name>.<process>-<number>.unfinished`.
///
/// The leading dot hides it from readers that list folders. A final name too long for the addition is cut at its end.
pub fn is_unfinished(name: &str) -> bool {
    writer_of(name).is_some()
}

/// Whether `name` is that of a file in the making which the process with this number writes or wrote.
pub fn is_unfinished_of(name: &str, process: u32) -> bool {
    writer_of(name).is_some_and(|number| number.parse() == Ok(process))
}

/// The number of the process in the name of an unfinished file.
fn writer_of(name: &str) -> Option<&str> {
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (_, id) = name.strip_prefix('.')?.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    let (process, number) = id.split_once('-')?;
    Some(process).filter(is_number).filter(|_| is_number(&number))
}

fn staging_name(name: &str) -> String {
    let id = format!(".{}-{}{SUFFIX}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut room = NAME_MAX.saturating_sub(id.len() + 1).min(name.len());
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    let (head, _) = name.split_at(room);
    format!(".{head}{id}")
}

/// A file being written beside its final place. Dropped before it got there, it is removed.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    staging: PathBuf,
    place: PathBuf,
    size: u64,
    /// Whether the staging name is gone. It may then belong to another process already: it is never removed twice.
    placed: bool,
}

impl Staged {
    /// Opens a new file for the object at `place`, making the folders it needs.
    pub(super) fn create(place: &Path) -> Result<Self> {
        let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.is_empty() {
            return Err(failure(ErrorKind::IsADirectory.into(), place));
        }
        if name.len() > NAME_MAX {
            // Found out now rather than after everything has been written.
            return Err(failure(ErrorKind::InvalidFilename.into(), place));
        }
        let mut tries = TRIES;
        loop {
            let staging = place.with_file_name(staging_name(name));
            match OpenOptions::new().read(true).write(true).create_new(true).open(&staging) {
                Ok(file) => return Ok(Self { file, staging, place: place.to_path_buf(), size: 0, placed: false }),
                // A few times only: there are folders that exist and take no files, and say so with this very error.
                Err(error) if error.kind() == ErrorKind::NotFound && tries > 0 => {
                    tries -= 1;
                    make_parents(place).or_else(|error| if tries > 0 { Ok(()) } else { Err(error) })?;
                }
                // A process with our number left it behind.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failure(error, place)),
            }
        }
    }

    /// Adds bytes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_at(self.size, bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Adds all that `source` has.
    pub(super) fn append_from(&mut self, source: &mut File) -> Result<()> {
        self.size += io::copy(source, &mut self.file).map_err(|e| failure(e, &self.place))?;
        Ok(())
    }

    /// Writes bytes anywhere.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|e| failure(e, &self.place))
    }

    /// Makes the object appear, in place of any other.
    pub(super) fn replace(mut self) -> Result<PutResult> {
        let result = self.sync()?;
        if fs::symlink_metadata(&self.place).is_ok_and(|found| found.is_dir()) {
            return Err(Error::NotSupported { source: "a folder has this name".into() });
        }
        fs::rename(&self.staging, &self.place).map_err(|e| failure(e, &self.place))?;
        self.placed = true;
        sync_folder_of(&self.place)?;
        Ok(result)
    }

    /// Makes the object appear unless there is one: exclusive among all processes.
    pub(super) fn claim(mut self) -> Result<PutResult> {
        let result = self.sync()?;
        link(&self.staging, &self.place)?;
        // The name is ours from here on. Should the second name stay, it is a leftover like any other.
        self.placed = true;
        drop(fs::remove_file(&self.staging));
        sync_folder_of(&self.place)?;
        Ok(result)
    }

    fn sync(&self) -> Result<PutResult> {
        (&self.file).flush().and_then(|()| self.file.sync_all()).map_err(|e| failure(e, &self.place))?;
        let metadata = self.file.metadata().map_err(|e| failure(e, &self.place))?;
        Ok(PutResult { e_tag: Some(entity_tag(&metadata)), version: None })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.placed {
            // A failure leaves a file that can be found by its name.
            drop(fs::remove_file(&self.staging));
        }
    }
}

/// Gives the file `from` a second name unless that name is taken.
pub(super) fn link(from: &Path, to: &Path) -> Result<()> {
    fs::hard_link(from, to).map_err(|error| match error.kind() {
        // The folder takes new files, as `from` shows: what is refused is the link (`EPERM`, see link(2)).
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => Error::NotSupported {
            source: io::Error::new(ErrorKind::Unsupported, "this file system has no hard links, so no version can be claimed on it").into(),
        },
        _ => failure(error, to),
    })
}

/// Makes the folders above `place`, each durable before the next is made.
pub(super) fn make_parents(place: &Path) -> Result<()> {
    match place.parent() {
        Some(folder) => make_folder(folder).map_err(|e| failure(e, folder)),
        None => Ok(()),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Ok(()) => sync_parent(folder),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let Some(parent) = folder.parent() else { return Err(error) };
            make_folder(parent)?;
            match fs::create_dir(folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                made => made.and_then(|()| sync_parent(folder)),
            }
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(ErrorKind::NotADirectory.into()),
        Err(error) => Err(error),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes the names in `folder` durable. Whatever prevents it is an outcome unknown, never a refusal: the change has been made.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    sync(folder).map_err(|error| {
        let why = format!("the change was made but {} could not be synced: {error}", folder.display());
        Error::Generic { store: "LocalDisk", source: why.into() }
    })
}

/// Makes the name of `place` durable.
pub(super) fn sync_folder_of(place: &Path) -> Result<()> {
    place.parent().map_or(Ok(()), sync_folder)
}
