//! Ages and counts: what is kept by each branch, and what by age alone.

use std::collections::{HashMap, HashSet};

use super::tree::Tree;
use super::{Cutoff, DroppedLine, Keep, Line, Past, Plan, Wishes};
use crate::error::{Error, Result};
use crate::model::{Retention, Version};
use crate::units::Timestamp;

/// A retention below this needs to be asked for: running writers and readers may hold on to what is younger.
const FLOOR_MS: i64 = 24 * 60 * 60 * 1000;
/// The same where versions are found again by their log: jobs of a week are usual there.
const LOG_FLOOR_MS: i64 = 7 * FLOOR_MS;

/// Ages and counts in force.
pub(super) struct Policy {
    /// What was made before may go.
    cutoff: Timestamp,
    /// What was removed before may go although versions that need it stay listed.
    file_cutoff: Option<Timestamp>,
    min_versions: u64,
    max_ref_age_ms: Option<i64>,
    now: Timestamp,
    /// Whether versions are found by their log: they age from when they were replaced, and the oldest go first.
    has_log: bool,
}

impl Policy {
    pub(super) fn resolve(past: &Past, wishes: &Wishes, by_name: bool) -> Result<Self> {
        let Retention { collectable, max_age_ms, min_versions, max_ref_age_ms, max_file_age_ms, max_log_age_ms } = past.retention;
        if !collectable {
            return Err(Error::refused("the table's files may belong to another table (gc.enabled is false): nothing is expired")
                .hint("set gc.enabled to true once no other table uses its files"));
        }
        let now = past.now;
        let cutoff = match wishes.older_than {
            None => now.0.saturating_sub(max_age_ms),
            Some(Cutoff::Age(age)) => now.0.saturating_sub(age),
            Some(Cutoff::Since(time)) => time.0.min(now.0),
        };
        let has_log = max_log_age_ms.is_some();
        let age_floor = if has_log { LOG_FLOOR_MS } else { FLOOR_MS };
        // A table that keeps files for less than is safe needs to be told that it is meant now.
        let least = if wishes.unsafe_retention { 0 } else { age_floor };
        let file_cutoff = match wishes.older_than {
            None => max_file_age_ms.map(|age| Timestamp(now.0.saturating_sub(age.max(least)))),
            Some(_) => max_file_age_ms.map(|_| Timestamp(cutoff)),
        };
        let policy = Self {
            cutoff: Timestamp(cutoff),
            file_cutoff,
            min_versions: wishes.retain_last.unwrap_or(min_versions).max(1),
            max_ref_age_ms: wishes.max_ref_age_ms.or(max_ref_age_ms),
            now,
            has_log,
        };
        let floor = max_age_ms.max(age_floor);
        if !wishes.unsafe_retention {
            if !by_name && now.0.saturating_sub(cutoff) < floor {
                return Err(too_little("versions would be kept for less than the table asks for or is safe beside running jobs", floor));
            }
            if wishes.retain_last.is_some_and(|count| count < min_versions) {
                return Err(override_hint(
                    Error::refused("fewer versions would be kept than the table asks for").about("table_keeps", min_versions),
                ));
            }
            let ref_floor = max_ref_age_ms.unwrap_or(0).max(FLOOR_MS);
            if wishes.max_ref_age_ms.is_some_and(|age| age < ref_floor) {
                return Err(too_little("branches and tags would be kept for less than the table asks for or is safe", ref_floor));
            }
        }
        Ok(policy)
    }

    /// The same ages and counts for files, where those go before their versions.
    pub(super) fn of_files(&self) -> Option<Self> {
        self.file_cutoff.map(|cutoff| Self { cutoff, ..*self })
    }

    /// What was made before may go.
    pub(super) const fn cutoff(&self) -> Timestamp {
        self.cutoff
    }

    /// The lines that stay, and those that go by the age of their heads.
    pub(super) fn lines<'a>(&self, past: &'a Past, tree: &Tree<'_>) -> (Vec<&'a Line>, Vec<DroppedLine>) {
        let stays = |line: &&Line| {
            let age = tree.time(line.head).map(|time| self.now.0.saturating_sub(time.0));
            let most = line.max_ref_age_ms.or(self.max_ref_age_ms);
            line.is_main || age.zip(most).is_none_or(|(age, most)| age <= most)
        };
        let (kept, gone): (Vec<&Line>, Vec<&Line>) = past.lines.iter().partition(stays);
        let dropped = gone.into_iter().map(|line| DroppedLine { name: line.name.clone(), head: line.head, is_branch: line.is_branch });
        (kept, dropped.collect())
    }

    pub(super) fn keep_branches(&self, lines: &[&Line], tree: &Tree<'_>, keep: &mut HashMap<Version, Keep>) {
        for line in lines.iter().filter(|line| line.is_branch) {
            let cutoff = line.max_age_ms.map_or(self.cutoff, |age| Timestamp(self.now.0.saturating_sub(age)));
            let least = line.min_versions.unwrap_or(self.min_versions).max(1);
            for (count, version) in (0u64..).zip(tree.ancestors(line.head)) {
                let time = tree.aged(version, self.has_log);
                let why = match time {
                    _ if count < least => Keep::AmongTheLast,
                    None => Keep::NoTime,
                    Some(time) if time >= cutoff => Keep::Young,
                    Some(_) => break,
                };
                keep.entry(version).or_insert(why);
            }
        }
    }

    /// What no branch leads to goes by age alone.
    pub(super) fn keep_unreferenced(&self, past: &Past, lines: &[&Line], tree: &Tree<'_>, keep: &mut HashMap<Version, Keep>) {
        let mut referenced: HashSet<Version> = HashSet::new();
        for line in lines.iter().filter(|line| line.is_branch) {
            // Where another line went on, so did its walk.
            for version in tree.ancestors(line.head) {
                if !referenced.insert(version) {
                    break;
                }
            }
        }
        for entry in past.versions.iter().filter(|entry| !referenced.contains(&entry.version)) {
            let why = match entry.time {
                None => Keep::NoTime,
                Some(time) if time >= self.cutoff => Keep::Young,
                Some(_) => continue,
            };
            keep.entry(entry.version).or_insert(why);
        }
    }

    pub(super) fn finish(&self, past: &Past, keep: &HashMap<Version, Keep>, references: Vec<DroppedLine>) -> Plan {
        let mut plan = Plan { references, ..Plan::default() };
        let mut is_behind = false;
        for entry in &past.versions {
            let why = keep.get(&entry.version).copied().or((is_behind && self.has_log).then_some(Keep::BehindKept));
            match why {
                Some(why) => {
                    is_behind = true;
                    *plan.kept.entry(why).or_default() += 1;
                }
                None => plan.expired.push((entry.version, entry.time)),
            }
        }
        plan
    }
}

fn too_little(what: &'static str, floor: i64) -> Error {
    override_hint(Error::refused(what).about("least_hours", floor / 3_600_000))
}

fn override_hint(error: Error) -> Error {
    error.hint("keep more, or add --unsafe-retention if no reader, writer or streaming job needs what goes")
}
