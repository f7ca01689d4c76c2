//! Files are deleted by way of a journal.
//!
//! Before a commit that makes files superfluous, they are written down in `<table>/_otf/<operation>.journal`: a line a file. Once the commit has
//! landed they are deleted in batches, and then the journal goes. A run that was killed in between leaves the journal, and the next run at the
//! table deletes those of its files that nothing refers to any more, whether or not the commit landed.

use std::collections::BTreeMap;

use bytes::Bytes as Buffer;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::formats::TableVersion;
use crate::location::Location;
use crate::model::{FileKind, Holding, OperationId, PlaceSet};
use crate::ops::Parts;
use crate::ops::leftovers::{self, Owner};
use crate::store::{Gone, Meta};
use crate::units::Bytes;

/// What names of journals end with.
const ENDING: &str = ".journal";
/// Journals are written and read in pieces of about this size.
const PIECE: usize = 1 << 20;
/// So many files are deleted in one go: what S3 takes in one request.
const BATCH: usize = 1_000;
/// If not one file of so many could be deleted, storage is not asked further.
const HOPELESS: usize = 16;
/// So many failures are told in words.
const FAILURES: usize = 5;

/// How many files of each kind, and their bytes as far as metadata says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files by kind.
    pub files: BTreeMap<FileKind, u64>,
    /// Their bytes.
    pub bytes: Bytes,
}

impl Tally {
    /// Counts a file.
    pub fn add(&mut self, file: &Holding) {
        *self.files.entry(file.kind).or_default() += 1;
        self.bytes = self.bytes.plus(file.size.unwrap_or_default());
    }

    /// All files.
    pub fn count(&self) -> u64 {
        self.files.values().sum()
    }
}

/// Files that are to be deleted, written down.
#[derive(Debug, Clone)]
pub struct Journal {
    place: Location,
    /// What it lists.
    pub tally: Tally,
}

/// What came of deleting the files of a journal.
#[derive(Debug, Default)]
pub struct Deleted {
    /// What is gone.
    pub tally: Tally,
    /// Whether the table's storage keeps what is deleted as older versions.
    pub keeps_versions: bool,
    /// Files that were not there any more, as far as storage tells.
    pub absent: u64,
    /// Files that are in use after all, and stay.
    pub spared: u64,
    /// Files that could not be deleted; the journal stays for the next run.
    pub failed: u64,
    /// Why, for the first of them.
    pub failures: Vec<String>,
}

/// The first line of a journal.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    operation: String,
    owner: Owner,
}

/// A file of a journal.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    kind: FileKind,
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<Bytes>,
}

/// Writes down `files`, which are to be deleted by `operation` after its commit. `attempt` tells journals of one operation apart.
///
/// # Errors
///
/// Those of `files`, and of writing at the table. Then there is no journal.
pub async fn write(
    parts: Parts<'_>,
    root: &Location,
    operation: &OperationId,
    attempt: u32,
    mut files: BoxStream<'_, Result<Holding>>,
) -> Result<Journal> {
    let owner = parts.processes.current();
    let place = leftovers::folder(root).child(&format!("{}.{}{ENDING}", operation.file_mark(attempt), owner.mark()));
    let mut writer = parts.store.writer(&place).await?;
    let mut tally = Tally::default();
    let mut piece = line(&Header { operation: operation.0.clone(), owner })?;
    while let Some(file) = files.try_next().await? {
        tally.add(&file);
        piece.extend(line(&Line { kind: file.kind, place: file.location.to_string(), size: file.size })?);
        if piece.len() >= PIECE {
            writer.write(Buffer::from(std::mem::take(&mut piece))).await?;
        }
    }
    writer.write(piece.into()).await?;
    writer.finish().await?;
    Ok(Journal { place, tally })
}

fn line(record: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(record).map_err(|e| Error::bug("a journal cannot be written as JSON").because(e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Takes the journal back: its files stay.
pub async fn discard(parts: Parts<'_>, journal: &Journal) {
    if let Err(error) = parts.store.delete(&journal.place).await {
        parts.progress.remark(&format!("a journal of this run could not be removed: {error}"));
    }
}

/// Deletes the files of `journal`: files with rows first, then manifests, then what leads to those. With `guard`, the newest version of the
/// table, files that it refers to stay. Where every file is gone, so is the journal. What was done is counted in `deleted`, also before an error.
///
/// # Errors
///
/// Those of reading the journal and what `guard` refers to: then the journal stays. Files that cannot be deleted are no error: they are counted.
pub async fn carry_out(parts: Parts<'_>, journal: &Journal, guard: Option<&dyn TableVersion>, deleted: &mut Deleted) -> Result<()> {
    let free = match guard {
        Some(version) => Some(unused(parts, &journal.place, version).await?),
        None => None,
    };
    // The journal lies where most of its files do.
    deleted.keeps_versions = parts.store.keeps_versions(&journal.place).await?;
    for rank in 0..3 {
        let mut pages = Pages::open(parts, &journal.place).await?;
        while let Some(files) = pages.next().await? {
            let of_rank = files.into_iter().filter(|file| self::rank(file.kind) == rank);
            let (go, stay): (Vec<Holding>, Vec<Holding>) =
                of_rank.partition(|file| free.as_ref().is_none_or(|free| free.contains(&file.location)));
            deleted.spared += stay.len() as u64;
            delete(parts, go, deleted).await?;
        }
    }
    if deleted.failed == 0 {
        discard(parts, journal).await;
    }
    Ok(())
}

/// What leads to others goes after them: whoever finds it can still find them.
const fn rank(kind: FileKind) -> u8 {
    match kind {
        FileKind::Data | FileKind::PositionDeletes | FileKind::EqualityDeletes | FileKind::DeletionVectors | FileKind::Cdf => 0,
        FileKind::Manifests | FileKind::Statistics => 1,
        FileKind::ManifestLists | FileKind::Metadata | FileKind::Log | FileKind::Checkpoints => 2,
    }
}

/// The files of a journal that `version` does not refer to.
async fn unused(parts: Parts<'_>, journal: &Location, version: &dyn TableVersion) -> Result<PlaceSet> {
    let mut candidates = PlaceSet::default();
    let mut pages = Pages::open(parts, journal).await?;
    while let Some(files) = pages.next().await? {
        files.iter().for_each(|file| {
            candidates.insert(&file.location);
        });
    }
    if !candidates.is_empty() {
        version.spare(&mut candidates).await?;
    }
    Ok(candidates)
}

async fn delete(parts: Parts<'_>, files: Vec<Holding>, deleted: &mut Deleted) -> Result<()> {
    for batch in files.chunks(BATCH) {
        let places = batch.iter().map(|file| file.location.clone()).collect();
        let answers = parts.store.delete_each(places).await;
        let mut failures = Vec::new();
        for (file, answer) in batch.iter().zip(answers) {
            match answer {
                Ok(Gone::Now) => deleted.tally.add(file),
                Ok(Gone::Before) => deleted.absent += 1,
                Err(error) => failures.push(error),
            }
        }
        deleted.failed += failures.len() as u64;
        let room = FAILURES.saturating_sub(deleted.failures.len());
        deleted.failures.extend(failures.iter().take(room).map(ToString::to_string));
        if failures.len() == batch.len() && batch.len() >= HOPELESS {
            return Err(Error::unavailable("storage deletes nothing").about("files", batch.len()));
        }
    }
    Ok(())
}

/// Whether a file of the notes' folder is a journal.
pub(super) fn is_journal(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// Deletes what the journal of a dead run lists and `version`, the newest, does not refer to; returns how many of its files are gone now.
///
/// # Errors
///
/// `Unavailable` if storage did not answer. What cannot be read or judged is left for later.
pub(super) async fn resume(parts: Parts<'_>, root: &Location, meta: &Meta, version: &dyn TableVersion) -> Result<u64> {
    let Some(owner) = owner(parts, meta).await? else {
        if leftovers::is_forgotten(parts, meta) {
            parts.store.delete(&meta.location).await?;
        }
        return Ok(0);
    };
    if !leftovers::is_dead(parts, &owner, meta) {
        return Ok(0);
    }
    if !version.retention()?.collectable {
        return Err(Error::refused("the table's files may not be deleted (gc.enabled is false)"));
    }
    let own = own_folders(root, version);
    let mut pages = Pages::open(parts, &meta.location).await?;
    while let Some(files) = pages.next().await? {
        // A journal is a file anybody could have written: it never leads outside the folders the table itself names.
        if let Some(file) = files.iter().find(|file| !own.iter().any(|folder| file.location.is_below(folder))) {
            return Err(Error::refused("a journal names a file outside the table's folders").about("file", &file.location));
        }
    }
    let journal = Journal { place: meta.location.clone(), tally: Tally::default() };
    let mut deleted = Deleted::default();
    carry_out(parts, &journal, Some(version), &mut deleted).await?;
    Ok(deleted.tally.count())
}

fn own_folders(root: &Location, version: &dyn TableVersion) -> Vec<Location> {
    let mut folders = vec![root.clone()];
    folders.extend(version.metadata_folders());
    folders.extend(version.data_folders());
    folders
}

/// Whose journal it is; `None` if it is none.
async fn owner(parts: Parts<'_>, meta: &Meta) -> Result<Option<Owner>> {
    let bytes = parts.store.get_range(&meta.location, 0..meta.size.min(PIECE as u64)).await?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(serde_json::from_slice::<Header>(first).ok().map(|header| header.owner))
}

/// A journal being read, piece by piece.
struct Pages<'a> {
    parts: Parts<'a>,
    place: Location,
    size: u64,
    at: u64,
    rest: Vec<u8>,
    is_first: bool,
}

impl<'a> Pages<'a> {
    async fn open(parts: Parts<'a>, place: &Location) -> Result<Self> {
        let size = parts.store.head(place).await?.size;
        Ok(Self { parts, place: place.clone(), size, at: 0, rest: Vec::new(), is_first: true })
    }

    /// The files of the next piece; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<Holding>>> {
        if self.at >= self.size {
            return if self.rest.is_empty() { Ok(None) } else { Err(self.wrong()) };
        }
        let end = self.size.min(self.at.saturating_add(PIECE as u64));
        self.rest.extend_from_slice(&self.parts.store.get_range(&self.place, self.at..end).await?);
        self.at = end;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let files: Result<Vec<Holding>> = lines.skip(usize::from(self.is_first)).map(|line| self.file(line)).collect();
        self.is_first &= whole == 0;
        files.map(Some)
    }

    fn file(&self, line: &[u8]) -> Result<Holding> {
        let Line { kind, place, size } = serde_json::from_slice(line).map_err(|e| self.wrong().because(e))?;
        Ok(Holding { location: Location::parse(&place).map_err(|e| self.wrong().because(e))?, kind, size })
    }

    fn wrong(&self) -> Error {
        Error::new(Kind::Corrupt, "a journal of files to delete is damaged")
            .about("file", &self.place)
            .hint("nothing is deleted by it; remove it, and find unused files with otf orphans")
    }
}
