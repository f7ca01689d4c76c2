//! What a table went through: its history, summed up as it streams by.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::StreamExt;

use crate::error::Result;
use crate::formats::TableVersion;
use crate::model::{HistoryEntry, Retention, Version};
use crate::units::Timestamp;

/// How many of the newest versions are kept in full.
pub const NEWEST: usize = 100;
/// Longer names of operations are cut off: they are free text.
const LONGEST_OPERATION: usize = 40;

/// What kind of change a version was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// Rows came.
    Append,
    /// Rows were replaced or changed.
    Overwrite,
    /// Rows went.
    Delete,
    /// The same rows in other files.
    Rewrite,
    /// Anything else: properties, schema, checkpoints of streams.
    Other,
}

impl Act {
    /// Every kind, in the order they are shown in.
    pub const ALL: [Self; 5] = [Self::Append, Self::Overwrite, Self::Delete, Self::Rewrite, Self::Other];

    /// The kind of an operation, by the format's own word for it.
    pub fn of(operation: Option<&str>) -> Self {
        let word = operation.unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "append" | "write" | "streaming update" | "create table as select" | "copy into" | "clone" | "convert" => Self::Append,
            "overwrite" | "merge" | "update" | "restore" | "replace table as select" | "create or replace table as select" => {
                Self::Overwrite
            }
            "delete" | "truncate" => Self::Delete,
            "replace" | "optimize" | "reorg" => Self::Rewrite,
            _ => Self::Other,
        }
    }

    /// A word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Overwrite => "overwrite",
            Self::Delete => "delete",
            Self::Rewrite => "rewrite",
            Self::Other => "other",
        }
    }
}

/// What a version changed, as far as its writer said so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// Data files that came.
    pub files_added: Option<u64>,
    /// Data files that went.
    pub files_removed: Option<u64>,
    /// Rows in files that came, or written.
    pub rows_added: Option<u64>,
    /// Rows in files that went, or rows that were deleted or marked so.
    pub rows_removed: Option<u64>,
}

impl Effect {
    /// Reads what the summary (Iceberg) or the metrics (Delta: Spark's names, then those of delta-rs) say.
    pub fn of(summary: &BTreeMap<String, String>) -> Self {
        let first = |keys: &[&str]| keys.iter().find_map(|key| summary.get(*key)?.trim().parse().ok());
        Self {
            files_added: first(&[
                "added-data-files",
                "numTargetFilesAdded",
                "numAddedFiles",
                "numFiles",
                "num_target_files_added",
                "num_added_files",
            ]),
            files_removed: first(&[
                "deleted-data-files",
                "numTargetFilesRemoved",
                "numRemovedFiles",
                "num_target_files_removed",
                "num_removed_files",
            ]),
            rows_added: first(&["added-records", "numTargetRowsInserted", "numOutputRows", "num_target_rows_inserted", "num_added_rows"]),
            rows_removed: first(&[
                "deleted-records",
                "added-position-deletes",
                "numTargetRowsDeleted",
                "numDeletedRows",
                "num_target_rows_deleted",
                "num_deleted_rows",
            ]),
        }
    }
}

/// A version, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version.
    pub version: Version,
    /// When it was made.
    pub time: Option<Timestamp>,
    /// The format's own word for what made it, cut off where it is long.
    pub operation: String,
    /// What it changed.
    pub effect: Effect,
    /// Whether the newest version of the main line descends from it (or is it).
    pub is_ancestor: bool,
}

impl Step {
    fn of(entry: &HistoryEntry) -> Self {
        let operation = entry.operation.as_deref().unwrap_or("unknown");
        Self {
            version: entry.version,
            time: entry.time,
            operation: operation.chars().take(LONGEST_OPERATION).collect(),
            effect: Effect::of(&entry.summary),
            is_ancestor: entry.is_ancestor,
        }
    }
}

/// A table's history, summed up. Takes 16 bytes a version and room for the newest ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// How many versions are listed.
    pub versions: u64,
    /// When versions were made and what kind they were, in the order of the history; those without a time are left out.
    pub acts: Vec<(Timestamp, Act)>,
    /// The newest versions, newest first, at most [`NEWEST`].
    pub newest: Vec<Step>,
    /// When the versions that branches and tags name were made.
    pub times: BTreeMap<Version, Timestamp>,
    /// How many versions of the main line are older than the table keeps them and held by nothing else; `None` where it does not say how long.
    pub outlived: Option<u64>,
}

/// How long a table keeps versions, seen from a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Keeping {
    /// Versions made before this may go …
    before: Timestamp,
    /// … unless they are among so many of the newest.
    newest: usize,
}

/// Reads the history of `version` once. `retention` is how long versions are kept and `now` what ages are counted from.
///
/// # Errors
///
/// As [`TableVersion::history`].
pub async fn look_back(version: &dyn TableVersion, retention: Option<Retention>, now: Timestamp) -> Result<Past> {
    let references = version.references();
    let held: BTreeSet<Version> = references.iter().map(|reference| reference.version).chain(version.snapshot().version).collect();
    // The main branch may have rules of its own.
    let main = references.iter().find(|reference| reference.name == "main");
    let keeping = retention.map(|retention| {
        let age = main.and_then(|main| main.max_snapshot_age_ms).unwrap_or(retention.max_age_ms);
        let newest = main.and_then(|main| main.min_snapshots_to_keep).map_or(retention.min_versions, u64::from);
        Keeping { before: Timestamp(now.0.saturating_sub(age)), newest: usize::try_from(newest).unwrap_or(usize::MAX) }
    });
    let mut past = Past { outlived: keeping.map(|_| 0), ..Past::default() };
    let mut newest: VecDeque<Step> = VecDeque::new();
    // Of the newest ancestors that stay whatever their age, whether each would go by its age.
    let mut spared: VecDeque<bool> = VecDeque::new();
    let mut history = version.history();
    while let Some(entry) = history.next().await {
        let entry = entry?;
        past.versions += 1;
        if let Some(time) = entry.time {
            past.acts.push((time, Act::of(entry.operation.as_deref())));
            if held.contains(&entry.version) {
                past.times.insert(entry.version, time);
            }
        }
        if let (Some(keeping), Some(outlived), true) = (keeping, past.outlived.as_mut(), entry.is_ancestor) {
            spared.push_back(entry.time.is_some_and(|time| time < keeping.before) && !held.contains(&entry.version));
            if spared.len() > keeping.newest {
                *outlived += u64::from(spared.pop_front().unwrap_or(false));
            }
        }
        if newest.len() == NEWEST {
            newest.pop_front();
        }
        newest.push_back(Step::of(&entry));
    }
    past.newest = newest.into_iter().rev().collect();
    Ok(past)
}

#[cfg(test)]
mod tests;
