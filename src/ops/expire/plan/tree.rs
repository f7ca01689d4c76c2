//! Lines of descent.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Entry, Keep, Past};
use crate::error::{Error, Result};
use crate::model::Version;
use crate::units::Timestamp;

/// Versions by what they were made from.
pub(super) struct Tree<'a> {
    entries: HashMap<Version, &'a Entry>,
    /// When each version was replaced by the next one.
    replaced: HashMap<Version, Option<Timestamp>>,
}

impl<'a> Tree<'a> {
    pub(super) fn of(past: &'a Past) -> Self {
        let entries = past.versions.iter().map(|entry| (entry.version, entry)).collect();
        let next = past.versions.iter().skip(1);
        let replaced = past.versions.iter().zip(next).map(|(entry, next)| (entry.version, next.time)).collect();
        Self { entries, replaced }
    }

    pub(super) fn lists(&self, version: Version) -> bool {
        self.entries.contains_key(&version)
    }

    pub(super) fn time(&self, version: Version) -> Option<Timestamp> {
        self.entries.get(&version)?.time
    }

    /// What a version's age is counted from.
    pub(super) fn aged(&self, version: Version, from_replacement: bool) -> Option<Timestamp> {
        if from_replacement { self.replaced.get(&version).copied().flatten() } else { self.time(version) }
    }

    /// `head` and the listed versions it descends from, newest first.
    pub(super) fn ancestors(&self, head: Version) -> impl Iterator<Item = Version> {
        let mut seen = HashSet::new();
        let mut next = Some(head);
        std::iter::from_fn(move || {
            let entry = self.entries.get(&next?)?;
            // Damaged metadata may go round in circles.
            if !seen.insert(entry.version) {
                return None;
            }
            next = entry.parent;
            Some(entry.version)
        })
    }

    /// `wanted`, if all of them are listed.
    pub(super) fn known(&self, wanted: &BTreeSet<Version>) -> Result<Vec<Version>> {
        match wanted.iter().find(|version| !self.entries.contains_key(version)) {
            Some(unknown) => Err(Error::not_found("the table lists no such version")
                .about("version", unknown)
                .hint("otf inspect TABLE --history lists those there are")),
            None => Ok(wanted.iter().copied().collect()),
        }
    }

    /// Keeps `roots` and what descends from them: whoever goes on from a version reads everything since.
    pub(super) fn keep_from(&self, past: &Past, roots: &[Version], why: Keep, keep: &mut HashMap<Version, Keep>) {
        if roots.is_empty() {
            return;
        }
        let mut verdicts: HashMap<Version, bool> = roots.iter().map(|root| (*root, true)).collect();
        for entry in &past.versions {
            let path: Vec<Version> = self.ancestors(entry.version).take_while(|version| !verdicts.contains_key(version)).collect();
            let end = path.last().copied().unwrap_or(entry.version);
            let parent = if path.is_empty() { Some(end) } else { self.entries.get(&end).and_then(|entry| entry.parent) };
            let verdict = parent.and_then(|parent| verdicts.get(&parent).copied()).unwrap_or(false);
            verdicts.extend(path.into_iter().map(|version| (version, verdict)));
            if verdicts.get(&entry.version) == Some(&true) {
                let known = keep.entry(entry.version).or_insert(why);
                if *known != Keep::Named {
                    *known = why;
                }
            }
        }
    }
}
