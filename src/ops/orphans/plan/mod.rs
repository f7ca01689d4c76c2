//! What becomes of a listed file. Pure: everything is an argument.
//!
//! # What a verdict promises
//!
//! - **O1** a file that is held, under whatever spelling, is never an orphan;
//! - **O2** in doubt (age, spelling, another table's folder, a run that may still be under way) a file stays, with exactly one reason;
//! - **O3** deciding again after the orphans are gone finds none.

mod fold;
mod held;

use std::collections::BTreeSet;

use serde::Serialize;

pub use held::{Equal, Held, Hold, Prefix, Told};

use crate::location::Location;
use crate::units::{Bytes, Timestamp};

/// What is done with a file whose path is held on another storage, as far as names tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnMismatch {
    /// Nothing is deleted at all: somebody has to say whether the two names mean one storage.
    #[default]
    Error,
    /// It stays.
    Ignore,
    /// They are different storages: it may be deleted.
    Delete,
}

/// Why a file that nothing refers to stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is younger than what was asked for: a writer may be about to commit it.
    Young,
    /// Storage does not say how old it is.
    UnknownAge,
    /// Its time lies in the future: the clocks disagree.
    Future,
    /// Its name, or that of a folder it lies in, is one that readers pass over.
    Hidden,
    /// It lies below another table's folder.
    OtherTable,
    /// Its name is that of a run of otf that has not ended, or whose remains are cleaned up by the next run.
    UnfinishedRun,
    /// A held file has this path on another storage.
    PrefixMismatch,
    /// A held file's name may be another spelling of this one.
    Spelling,
    /// It is reached through a link: the file itself lies elsewhere.
    Link,
    /// It lies outside the folders that were searched (inventories).
    Outside,
    /// It was referred to, changed or gone by the time it was its turn.
    Meanwhile,
}

/// What becomes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is part of a table.
    Held,
    /// Nothing refers to it, and it is old enough.
    Orphan,
    /// Nothing refers to it, and it stays.
    Stays(Why),
    /// A held file has this path on another storage, and nobody has said what that means.
    Conflict(Prefix),
}

/// A file as a listing or an inventory has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The place.
    pub location: Location,
    /// Bytes.
    pub size: Bytes,
    /// When it was last written; `None` if that is not known.
    pub modified: Option<Timestamp>,
}

/// Folders of a format whose names begin like hidden ones and that are not: change data (Delta).
const NOT_HIDDEN: &[&str] = &["_change_data"];

/// What verdicts go by.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Now.
    pub now: Timestamp,
    /// Files that were written before this may go.
    pub cutoff: Timestamp,
    /// What is done where names of storages differ.
    pub on_mismatch: OnMismatch,
    /// Folders that names are judged below, the deepest one counts: the table's root, and those of its data and metadata.
    pub roots: Vec<Location>,
    /// Folders of other tables: whatever lies there stays.
    pub others: Vec<Location>,
    /// Names of partition fields: folders called `_name=…` are not hidden.
    pub partition_fields: BTreeSet<String>,
    /// What names of files of unfinished runs contain.
    pub marks: Vec<String>,
}

impl Rules {
    /// What becomes of `file`, where `held` is everything that is referred to.
    pub fn verdict(&self, file: &Listed, held: &Held) -> Verdict {
        let hold = held.of(&file.location);
        if hold == Hold::Held {
            return Verdict::Held;
        }
        if let Some(why) = self.stays(file) {
            return Verdict::Stays(why);
        }
        match (hold, self.on_mismatch) {
            (Hold::Elsewhere(prefix), OnMismatch::Error) => Verdict::Conflict(prefix),
            (Hold::Elsewhere(_), OnMismatch::Ignore) => Verdict::Stays(Why::PrefixMismatch),
            (Hold::Alike, _) => Verdict::Stays(Why::Spelling),
            _ => Verdict::Orphan,
        }
    }

    /// Why `file` stays although nothing refers to it, as far as the file itself tells.
    fn stays(&self, file: &Listed) -> Option<Why> {
        if self.others.iter().any(|table| file.location.is_below(table)) {
            return Some(Why::OtherTable);
        }
        let Some(below) = self.below(&file.location) else { return Some(Why::Outside) };
        if self.is_hidden(below) {
            return Some(Why::Hidden);
        }
        let name = file.location.name();
        if self.marks.iter().any(|mark| name.contains(mark.as_str())) {
            return Some(Why::UnfinishedRun);
        }
        match file.modified {
            // Storage that knows no times says 0.
            None | Some(Timestamp(..=0)) => Some(Why::UnknownAge),
            Some(time) if time > self.now => Some(Why::Future),
            Some(time) if time >= self.cutoff => Some(Why::Young),
            Some(_) => None,
        }
    }

    /// Whether a file at `place` would never be an orphan: it lies outside the table's folders, or has a hidden name.
    pub fn passes_over(&self, place: &Location) -> bool {
        self.below(place).is_none_or(|below| self.is_hidden(below))
    }

    /// The path below the deepest root.
    fn below<'a>(&self, place: &'a Location) -> Option<&'a str> {
        self.roots.iter().filter_map(|root| place.relative_to(root)).min_by_key(|below| below.len())
    }

    /// Whether readers pass over a file because of its name or a folder's: names that begin with `_` or `.`, unless they are those of partitions.
    fn is_hidden(&self, below: &str) -> bool {
        let (folders, name) = below.rsplit_once('/').unwrap_or(("", below));
        let hides = |name: &str| name.starts_with(['_', '.']);
        let is_partition = |folder: &str| folder.split_once('=').is_some_and(|(field, _)| self.partition_fields.contains(field));
        let mut hidden = folders.split('/').filter(|folder| hides(folder) && !is_partition(folder));
        hides(name) || hidden.any(|folder| !NOT_HIDDEN.contains(&folder))
    }
}

/// The partition field in the name of a hidden-looking folder that the held file at `below` lies in.
pub fn hidden_field(below: &str) -> Option<&str> {
    let folders = below.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders
        .split('/')
        .find(|folder| folder.starts_with(['_', '.']) && folder.contains('='))
        .and_then(|folder| Some(folder.split_once('=')?.0))
}

/// Folders of metadata that tell a table, as they are found in paths.
const LOGS: [&str; 2] = ["/_delta_log/", "/.hoodie/"];

/// The root of the table that the file at `place` is a piece of metadata of, as its path tells: a Delta or Hudi log, or Iceberg metadata.
pub fn root_of_metadata(place: &Location) -> Option<Location> {
    let path = place.path();
    let found = |log: &str| if log.get(1..).is_some_and(|log| path.starts_with(log)) { Some(0) } else { path.find(log) };
    if let Some(at) = LOGS.into_iter().find_map(found) {
        let depth = path.get(at..)?.trim_matches('/').split('/').count();
        return (0..depth).try_fold(place.clone(), |folder, _| folder.parent());
    }
    let name = place.name();
    if !(name.ends_with(".metadata.json") || name.ends_with(".metadata.json.gz")) {
        return None;
    }
    place.parent().filter(|folder| folder.name() == "metadata")?.parent()
}

#[cfg(test)]
mod tests;
