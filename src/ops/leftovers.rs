//! What runs that died left behind.
//!
//! Before a run writes its first file it announces itself in `<table>/_otf/<operation id>.json`, and withdraws the note when it is done. A note
//! whose run is gone leads the next run to its files: their names hold the operation id, or a UUID made from it. They are deleted only if that operation is not in the
//! table's history and can no longer come to be there, and if no version refers to them: a table forgets old versions and keeps their files.

use std::collections::HashSet;

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::formats::TableVersion;
use crate::location::Location;
use crate::model::{OperationId, digest};
use crate::ops::{Parts, deletion};
use crate::store::Meta;
use crate::units::Timestamp;

/// The folder of notes below the table's root. Readers of both formats pass over names that begin with `_`.
const FOLDER: &str = "_otf";
/// What names of files end with that are no notes of runs: they stay.
pub(super) const STATE: &str = ".state";
/// A run elsewhere is taken for dead when its note is this old.
const LEASE_MS: i64 = 24 * 60 * 60 * 1000;
/// On storage across a network a request of a dead process may still be under way for so long.
const LATE_REQUEST_MS: i64 = 10 * 60 * 1000;

/// The folder of notes of the table at `root`.
pub(super) fn folder(root: &Location) -> Location {
    root.child(FOLDER)
}

/// A process: what tells whether it still runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The machine.
    pub host: String,
    /// The process id.
    pub process: u32,
    /// Tells processes with the same id apart: when it started, in the machine's own ticks.
    pub started: u64,
}

impl Owner {
    /// What the name of a note ends with, so that half of a note, too, tells whose it is: `<machine>-<process>-<started>`.
    pub(super) fn mark(&self) -> String {
        let machine: String = digest(&[&self.host]).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("{machine}-{}-{}", self.process, self.started)
    }

    /// The owner that the name of half a note tells, if it is a process of the machine of `here`.
    fn of_half(name: &str, here: &Self) -> Option<Self> {
        let name = name.strip_prefix('.')?;
        let (note, _) = name.rsplit_once(".json.").or_else(|| name.rsplit_once(".journal."))?;
        let (_, mark) = note.rsplit_once('.')?;
        let mut parts = mark.rsplit('-');
        let started = parts.next()?.parse().ok()?;
        let process = parts.next()?.parse().ok()?;
        let owner = Self { host: here.host.clone(), process, started };
        (owner.mark() == mark).then_some(owner)
    }
}

/// Knows this process and others on this machine.
pub trait Processes: Send + Sync {
    /// This process.
    fn current(&self) -> Owner;
    /// Whether `owner` still runs; `None` where that cannot be known from here.
    fn is_running(&self, owner: &Owner) -> Option<bool>;
}

/// The note of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    operation: String,
    part: u32,
    owner: Owner,
    announced_ms: i64,
    /// Folders that may hold files of the run.
    folders: Vec<String>,
    /// Folders that may hold such files at any depth: the partitions of new files are not known beforehand.
    #[serde(default)]
    trees: Vec<String>,
}

impl Note {
    fn operation(&self) -> OperationId {
        OperationId(self.operation.clone())
    }

    /// What names of the run's files contain. An id so short that other names could hold it by chance gives none.
    fn marks(&self) -> Vec<String> {
        let operation = self.operation();
        if self.operation.len() < 8 { Vec::new() } else { vec![operation.file_mark(self.part), operation.uuid_mark(self.part)] }
    }
}

/// Where a run is about to write.
#[derive(Debug, Clone, Default)]
pub struct Places {
    folders: Vec<Location>,
    trees: Vec<Location>,
}

impl Places {
    /// Files directly in `folders`, and at any depth below `trees`.
    pub fn new(mut folders: Vec<Location>, mut trees: Vec<Location>) -> Self {
        for places in [&mut folders, &mut trees] {
            places.sort();
            places.dedup();
        }
        Self { folders, trees }
    }
}

/// A note that has been written and must be withdrawn.
#[derive(Debug)]
pub struct Announced {
    place: Location,
    root: Location,
    note: Note,
}

/// Leaves a note at the table before anything else is written there.
///
/// # Errors
///
/// `Refused` or `Unavailable` if the table's folder cannot be written: then nothing else could be either.
pub async fn announce(parts: Parts<'_>, root: &Location, operation: &OperationId, part: u32, places: &Places) -> Result<Announced> {
    let note = Note {
        operation: operation.0.clone(),
        part,
        owner: parts.processes.current(),
        announced_ms: parts.clock.now().0,
        folders: places.folders.iter().map(ToString::to_string).collect(),
        trees: places.trees.iter().map(ToString::to_string).collect(),
    };
    let place = folder(root).child(&format!("{}.{}.json", operation.file_mark(part), note.owner.mark()));
    let bytes = serde_json::to_vec(&note).map_err(|e| Error::bug("a note could not be written as JSON").because(e))?;
    parts.store.put(&place, bytes.into()).await?;
    Ok(Announced { place, root: root.clone(), note })
}

/// Takes the note back: nothing of the run is left behind. After an unknown outcome it must stay.
pub async fn withdraw(parts: Parts<'_>, announced: Announced) {
    match parts.store.delete(&announced.place).await {
        Ok(()) => parts.store.remove_empty_folder(&folder(&announced.root)).await,
        Err(error) => parts.progress.remark(&format!("a note of this run could not be removed: {error}")),
    }
}

/// After a part of which nothing is in the table nor can come to be there: deletes what is left of it and takes the note back. Most files are
/// gone by now; what remains are those whose writing or deletion got no answer. Where that fails again, the note stays for the next run.
pub async fn undo(parts: Parts<'_>, announced: Announced, base: &dyn TableVersion) {
    match delete_files(parts, &announced.root, &announced.note, base).await {
        Ok(_) => withdraw(parts, announced).await,
        Err(error) => parts.progress.remark(&format!("files of this run are left behind; the next run will remove them: {error}")),
    }
}

/// What the names of files contain that runs write, or wrote before they died, whose notes lie at the table. Whoever else deletes files there leaves
/// those alone: they are cleaned up by [`clean`] once it is certain that their run is dead.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub async fn marks(parts: Parts<'_>, root: &Location) -> Result<Vec<String>> {
    let mut marks = Vec::new();
    let mut notes = parts.store.list(&root.child(FOLDER));
    while let Some(meta) = notes.try_next().await? {
        let Some(bytes) = parts.store.get_if_exists(&meta.location).await? else { continue };
        // Half a note is all its run ever wrote.
        if let Ok(note) = serde_json::from_slice::<Note>(&bytes) {
            marks.extend(note.marks());
        }
    }
    Ok(marks)
}

/// Deletes what dead runs left at the table, and returns how many files that were.
///
/// # Errors
///
/// `Unavailable` if storage did not answer. What cannot be read or judged is left for later.
pub async fn clean(parts: Parts<'_>, root: &Location, version: &dyn TableVersion) -> Result<u64> {
    let folder = folder(root);
    let notes: Vec<Meta> = match parts.store.list_all(&folder).await {
        Ok(notes) => notes,
        Err(error) if error.kind() == Kind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let notes: Vec<Meta> = notes.into_iter().filter(|meta| !meta.location.name().ends_with(STATE)).collect();
    let mut deleted = 0;
    let (journals, notes): (Vec<Meta>, Vec<Meta>) = notes.into_iter().partition(|meta| deletion::is_journal(meta.location.name()));
    for meta in journals {
        match deletion::resume(parts, root, &meta, version).await {
            Ok(count) => deleted += count,
            Err(error) if error.kind() == Kind::Unavailable => return Err(error),
            Err(error) => parts.progress.remark(&format!("files that an earlier run was to delete stay: {error}")),
        }
    }
    for meta in notes {
        let Some(bytes) = parts.store.get_if_exists(&meta.location).await? else { continue };
        let Ok(note) = serde_json::from_slice::<Note>(&bytes) else {
            // Half a note is all its run ever wrote: data comes after the note.
            if is_forgotten(parts, &meta) {
                parts.store.delete(&meta.location).await?;
            }
            continue;
        };
        if !is_dead(parts, &note.owner, &meta) {
            continue;
        }
        match clean_after(parts, root, &note, version).await {
            Ok(count) => deleted += count,
            Err(error) if error.kind() == Kind::Unavailable => return Err(error),
            Err(error) => {
                parts.progress.remark(&format!("what an earlier run left behind stays: {error}"));
                continue;
            }
        }
        parts.store.delete(&meta.location).await?;
    }
    deleted += halves_of_notes(parts, &folder).await?;
    parts.store.remove_empty_folder(&folder).await;
    Ok(deleted)
}

/// Deletes what the dead run of `note` left behind. After a commit that landed, that is at most half of what it wrote for its successors.
async fn clean_after(parts: Parts<'_>, root: &Location, note: &Note, version: &dyn TableVersion) -> Result<u64> {
    let landed = version.find(&note.operation(), note.part, None).await?.is_some();
    let files = if landed { 0 } else { delete_files(parts, root, note, version).await? };
    Ok(files + delete_halves(parts, note, version).await?)
}

/// Deletes files that the dead process was writing in the table's metadata folders: their names hold its number, not the operation's id. Should
/// a process elsewhere with the same number write there, its one write fails as any other may; no object is touched.
async fn delete_halves(parts: Parts<'_>, note: &Note, version: &dyn TableVersion) -> Result<u64> {
    if parts.processes.is_running(&note.owner) != Some(false) {
        return Ok(0);
    }
    let mut halves = Vec::new();
    for folder in version.metadata_folders().iter().filter(|folder| folder.scheme() == "file") {
        halves.extend(parts.store.unfinished_of(folder, note.owner.process).await?);
    }
    delete(parts, halves).await
}

/// Deletes halves of notes whose process is known to run no more; of those of other machines only their age tells that nobody writes them.
async fn halves_of_notes(parts: Parts<'_>, folder: &Location) -> Result<u64> {
    if folder.scheme() != "file" {
        return Ok(0);
    }
    let halves: Vec<Meta> = parts.store.unfinished(folder).try_collect().await?;
    let here = parts.processes.current();
    let is_dead = |half: &Meta| {
        let running = Owner::of_half(half.location.name(), &here).and_then(|owner| parts.processes.is_running(&owner));
        running == Some(false) || is_older_than(parts, half.modified, LEASE_MS)
    };
    let dead = halves.into_iter().filter(is_dead);
    delete(parts, dead.map(|half| half.location).collect()).await
}

async fn delete(parts: Parts<'_>, files: Vec<Location>) -> Result<u64> {
    let count = files.len() as u64;
    match parts.store.delete_all(files).await.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(count),
    }
}

fn is_older_than(parts: Parts<'_>, time: Timestamp, ms: i64) -> bool {
    parts.clock.now().0.saturating_sub(time.0) > ms
}

/// Whether a file of the notes' folder is so old that nobody can still be writing it.
pub(super) fn is_forgotten(parts: Parts<'_>, meta: &Meta) -> bool {
    is_older_than(parts, meta.modified, LEASE_MS)
}

/// Whether the run that wrote `meta` is over, and nothing that it sent can still arrive.
pub(super) fn is_dead(parts: Parts<'_>, owner: &Owner, meta: &Meta) -> bool {
    match parts.processes.is_running(owner) {
        Some(true) => false,
        Some(false) => meta.location.scheme() == "file" || is_older_than(parts, meta.modified, LATE_REQUEST_MS),
        None => is_older_than(parts, meta.modified, LEASE_MS),
    }
}

async fn delete_files(parts: Parts<'_>, root: &Location, note: &Note, version: &dyn TableVersion) -> Result<u64> {
    let marks = note.marks();
    let mut found: HashSet<Location> = HashSet::new();
    let places = note.folders.iter().map(|folder| (folder, false)).chain(note.trees.iter().map(|tree| (tree, true)));
    for (folder, is_tree) in places {
        let folder = Location::parse(folder)?;
        // A note is a file anybody could have written: it never leads outside the folders the table itself names.
        let known = folder.is_below(root)
            || version.metadata_folders().contains(&folder)
            || version.data_folders().iter().any(|f| folder.is_below(f));
        if known {
            let entries =
                if is_tree { parts.store.leftovers_below(&folder, &marks).await? } else { parts.store.leftovers(&folder, &marks).await? };
            found.extend(entries);
        }
    }
    if found.is_empty() {
        return Ok(0);
    }
    // History forgets: an operation that is not in it may have landed long ago. What a version refers to is never deleted.
    for used in version.referenced(found.clone()).await? {
        found.remove(&used);
    }
    delete(parts, found.into_iter().collect()).await
}
