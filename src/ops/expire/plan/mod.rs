//! Which versions and references go: pure thought over what the table says of itself.
//!
//! The rules are those of the Iceberg specification ("Snapshot Retention Policy"): every branch is judged by its own age and count, a tag keeps its
//! version and nothing else, a version that no line of history leads to goes by age alone, and what any line keeps is kept.

mod policy;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::model::{Emptied, Retention, Version};
use crate::units::Timestamp;
use policy::Policy;
use tree::Tree;

/// A consumer that left no mark for so long is taken for gone.
const CONSUMER_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// What a table says of its past.
#[derive(Debug, Clone)]
pub struct Past {
    /// Every version that is listed, oldest first.
    pub versions: Vec<Entry>,
    /// The version that is current.
    pub current: Option<Version>,
    /// Branches and tags, the main line among them where the format names it.
    pub lines: Vec<Line>,
    /// What the table keeps.
    pub retention: Retention,
    /// Versions before this one lost their files already; `None` where nobody knows.
    pub emptied_before: Option<Version>,
    /// Versions that others may hold as current or by name.
    pub held_elsewhere: BTreeSet<Version>,
    /// Now.
    pub now: Timestamp,
}

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The version.
    pub version: Version,
    /// When it was made.
    pub time: Option<Timestamp>,
    /// What it was made from.
    pub parent: Option<Version>,
    /// The consumer that left its mark in it, if one did.
    pub consumer: Option<String>,
}

/// A line of history that leads to a version: a branch or tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its newest version.
    pub head: Version,
    /// Whether its head's ancestors belong to it.
    pub is_branch: bool,
    /// Whether it is the main line, which never goes.
    pub is_main: bool,
    /// Its own limit on its head's age, in milliseconds.
    pub max_ref_age_ms: Option<i64>,
    /// Its own limit on its versions' age, in milliseconds.
    pub max_age_ms: Option<i64>,
    /// Its own least number of versions.
    pub min_versions: Option<u64>,
}

/// From when on versions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cutoff {
    /// Younger than so many milliseconds.
    Age(i64),
    /// Made since.
    Since(Timestamp),
}

/// What the user asked for; `None` leaves it to the table.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// What is older goes.
    pub older_than: Option<Cutoff>,
    /// So many versions of every line stay.
    pub retain_last: Option<u64>,
    /// These go, whatever age and count say; nothing else does unless age or count are given too.
    pub versions: BTreeSet<Version>,
    /// A branch or tag whose head is older goes, in milliseconds.
    pub max_ref_age_ms: Option<i64>,
    /// These stay, and all that descends from them.
    pub pins: BTreeSet<Version>,
    /// Keep less than the table and prudence demand.
    pub unsafe_retention: bool,
}

/// Why a version stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// A branch or tag names it.
    Named,
    /// It is young enough.
    Young,
    /// One of the last versions of a branch.
    AmongTheLast,
    /// It was pinned, or descends from one that was.
    Pinned,
    /// A streaming job goes on from it, or from one it descends from.
    Consumer,
    /// A catalog may hold it as current or by name: it was not told of later commits.
    HeldElsewhere,
    /// Nobody knows how old it is.
    NoTime,
    /// An older version stays, and the format forgets the oldest first.
    BehindKept,
    /// It was not asked for.
    NotAskedFor,
}

/// A branch or tag that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedLine {
    /// Its name.
    pub name: String,
    /// The version it named.
    pub head: Version,
    /// Whether it is a branch.
    pub is_branch: bool,
}

/// Versions that lose the files that only they needed: those that stay listed, and those that the log leads to no more while a checkpoint still
/// names what was removed from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emptying {
    /// Those that are listed and of which it is not known that they lost them already, oldest first, with their times.
    pub versions: Vec<(Version, Option<Timestamp>)>,
    /// Which files go.
    pub bounds: Emptied,
    /// When the oldest version was made that keeps its files.
    pub made: Option<Timestamp>,
}

impl Emptying {
    /// Whether every version before the oldest that is whole is known to have lost its files, or there is none.
    pub fn is_done(&self) -> bool {
        self.bounds.before.0 <= 0 || self.bounds.since.is_some_and(|since| since >= self.bounds.before)
    }
}

/// What goes and what stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Versions that go, oldest first, with their times.
    pub expired: Vec<(Version, Option<Timestamp>)>,
    /// Branches and tags that go.
    pub references: Vec<DroppedLine>,
    /// Versions that lose their files, where the format keeps files for another time than its log.
    pub emptied: Option<Emptying>,
    /// How many versions stay, by the first reason that was found.
    pub kept: BTreeMap<Keep, u64>,
    /// Versions that were named and are not listed: they are gone already, or never were.
    pub unknown: Vec<Version>,
}

impl Plan {
    /// Whether nothing goes, and no file has to be looked for.
    pub fn is_empty(&self) -> bool {
        self.expired.is_empty() && self.references.is_empty() && self.emptied.as_ref().is_none_or(Emptying::is_done)
    }
}

/// Plans.
///
/// # Errors
///
/// `Refused` where the table forbids it, where less would be kept than it asks for, or where a version that was named is held; `NotFound` for
/// a pinned one that it does not list.
pub fn plan(past: &Past, wishes: &Wishes) -> Result<Plan> {
    let by_name = !wishes.versions.is_empty() && wishes.older_than.is_none() && wishes.retain_last.is_none();
    let policy = Policy::resolve(past, wishes, by_name)?;
    let tree = Tree::of(past);
    if !wishes.unsafe_retention && past.held_elsewhere.iter().any(|version| !tree.lists(*version)) {
        return Err(Error::refused("another metadata file, which a catalog may hold as current, names versions that are not in this one").hint(
            "name the table by its catalog; or, if it is in none, remove that metadata file; --unsafe-retention expires versions all the same",
        ));
    }
    let (lines, dropped) = if by_name { (past.lines.iter().collect(), Vec::new()) } else { policy.lines(past, &tree) };
    let kept = |policy: &Policy| {
        let mut keep = HashMap::new();
        for head in lines.iter().map(|line| line.head).chain(past.current) {
            keep.insert(head, Keep::Named);
        }
        if by_name {
            for entry in past.versions.iter().filter(|entry| !wishes.versions.contains(&entry.version)) {
                keep.entry(entry.version).or_insert(Keep::NotAskedFor);
            }
        } else {
            policy.keep_branches(&lines, &tree, &mut keep);
            policy.keep_unreferenced(past, &lines, &tree, &mut keep);
        }
        tree.keep_from(past, &tree.known(&wishes.pins)?, Keep::Pinned, &mut keep);
        if !wishes.unsafe_retention {
            tree.keep_from(past, &consumers(past), Keep::Consumer, &mut keep);
            for version in &past.held_elsewhere {
                keep.entry(*version).or_insert(Keep::HeldElsewhere);
            }
        }
        name(past, wishes, &lines, &mut keep)?;
        Ok::<_, Error>(keep)
    };
    let keep = kept(&policy)?;
    let whole = match policy.of_files().filter(|_| !by_name) {
        Some(of_files) => Some((kept(&of_files)?, of_files.cutoff())),
        None => None,
    };
    let unknown = wishes.versions.iter().copied().filter(|version| !tree.lists(*version)).collect();
    let plan = policy.finish(past, &keep, dropped);
    let emptied = whole.and_then(|(whole, cutoff)| emptied(past, &plan, &whole, cutoff));
    Ok(Plan { unknown, emptied, ..plan })
}

/// The versions that are listed and not kept whole: those before the oldest of `whole`.
fn emptied(past: &Past, plan: &Plan, whole: &HashMap<Version, Keep>, cutoff: Timestamp) -> Option<Emptying> {
    let Entry { version: before, time: made, .. } = *past.versions.iter().find(|entry| whole.contains_key(&entry.version))?;
    let is_left = |entry: &&Entry| entry.version < before && past.emptied_before.is_none_or(|since| entry.version >= since);
    let listed = past.versions.iter().skip(plan.expired.len());
    let versions = listed.filter(is_left).map(|entry| (entry.version, entry.time)).collect();
    Some(Emptying { versions, bounds: Emptied { before, since: past.emptied_before, removed_before: cutoff }, made })
}

/// Takes the versions that were named out of what is kept.
fn name(past: &Past, wishes: &Wishes, lines: &[&Line], keep: &mut HashMap<Version, Keep>) -> Result<()> {
    for version in wishes.versions.iter().copied() {
        let held = |why: &'static str| Error::refused(why).about("version", version);
        match keep.get(&version) {
            Some(Keep::Named) if past.current == Some(version) => {
                return Err(held("the current version cannot go").hint("name an older version"));
            }
            Some(Keep::Named) => {
                let names: Vec<&str> = lines.iter().filter(|line| line.head == version).map(|line| line.name.as_str()).collect();
                return Err(held("a branch or tag holds a version that was to go")
                    .about("references", names.join(", "))
                    .hint("drop it first"));
            }
            Some(Keep::Pinned) => return Err(held("a version was both pinned and named to go").hint("leave one of them out")),
            Some(Keep::HeldElsewhere) => {
                return Err(held("a catalog may hold a version that was to go: it was not told of later commits")
                    .hint("name the table by its catalog, or add --unsafe-retention to expire it all the same"));
            }
            Some(Keep::Consumer) => {
                return Err(
                    held("a streaming job goes on from a version that was to go").hint("add --unsafe-retention to expire it all the same")
                );
            }
            _ => {
                keep.remove(&version);
            }
        }
    }
    Ok(())
}

/// The newest version in which each consumer that is not gone left its mark.
fn consumers(past: &Past) -> Vec<Version> {
    let mut newest: HashMap<&str, Version> = HashMap::new();
    for entry in &past.versions {
        let is_recent = entry.time.is_none_or(|time| past.now.0.saturating_sub(time.0) <= CONSUMER_MS);
        if let Some(consumer) = entry.consumer.as_deref().filter(|_| is_recent) {
            newest.insert(consumer, entry.version);
        }
    }
    newest.into_values().collect()
}

#[cfg(test)]
mod tests;
