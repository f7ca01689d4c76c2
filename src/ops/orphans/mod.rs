//! Files below a table that nothing refers to: found, shown, and deleted or set aside.
//!
//! Tools of this kind have deleted live data because a path was spelled in two ways, because a hint was stale, because a writer was slow, because two
//! tables shared a folder. Here a file goes only if it is certain that no table needs it; in doubt it stays, and the report says why.
//!
//! The order is what keeps it safe: first everything that is referred to is read, then the files are listed, and before anything is deleted the table
//! is read again if it has changed. A file that is listed and was committed meanwhile is held by the later reading.

mod delete;
mod folders;
mod gather;
mod inventory;
mod known;
pub mod plan;
mod quarantine;
pub mod restore;
pub mod run;
mod search;
mod spool;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;

use crate::error::Result;
use crate::formats::Table;
use crate::location::Location;
use crate::model::{Totals, Version};
use crate::ops::document::Outcome;
use crate::units::{Bytes, Timestamp};
use plan::{Equal, OnMismatch, Why};

/// Younger files stay, unless the user says otherwise: three days, as Spark's procedure has it.
pub const OLDER_THAN_MS: i64 = 3 * 24 * 60 * 60 * 1000;
/// Below this a run is refused: a writer that is still at work has files that nothing refers to yet.
pub const FLOOR_MS: i64 = 24 * 60 * 60 * 1000;

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Younger files stay, in milliseconds.
    pub older_than_ms: i64,
    /// Whether an age below the floor is what the user wants.
    pub unsafe_retention: bool,
    /// Search here alone.
    pub location: Option<Location>,
    /// A list of files to look at instead of listing.
    pub inventory: Option<Location>,
    /// Where orphans are moved instead of being deleted.
    pub quarantine: Option<Location>,
    /// What is done where names of storages differ.
    pub on_mismatch: OnMismatch,
    /// Names of storages that count as one.
    pub equal: Equal,
    /// How many names of files the plan shows.
    pub shown: usize,
    /// A local folder for what does not fit into memory.
    pub temp: Location,
}

/// A table found at a place.
pub struct Neighbour {
    /// Its format's name.
    pub format: &'static str,
    /// The table, unless this version does not read its format.
    pub table: Option<Box<dyn Table>>,
}

impl std::fmt::Debug for Neighbour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Neighbour").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Finds tables by their place.
#[async_trait]
pub trait Neighbours: Send + Sync {
    /// The tables whose root is `root`, one a format; none where no metadata lies.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    async fn at(&self, root: &Location) -> Result<Vec<Neighbour>>;
}

/// What a run came to.
#[derive(Debug)]
pub struct Finished {
    /// Every end but planned.
    pub outcome: Outcome,
    /// The version that was looked at first.
    pub base_version: Option<Version>,
    /// The table before, and after: its live files are untouched.
    pub before: Totals,
    /// What was planned.
    pub plan: PlanDocument,
    /// What was done.
    pub report: Report,
}

/// The `plan` of cli.md.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PlanDocument {
    /// Files written before this time may go.
    #[serde(serialize_with = "as_text")]
    pub older_than: Timestamp,
    /// The folders that were searched.
    pub searched: Vec<String>,
    /// Folders of the table that were not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_searched: Vec<NotSearched>,
    /// Other tables that were met, and what was done about them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Met>,
    /// How many files tables refer to.
    pub held: u64,
    /// Orphans.
    pub found: u64,
    /// Their bytes.
    pub bytes: Bytes,
    /// The first of them by name.
    pub files: Vec<String>,
    /// How many more there are.
    pub files_not_shown: u64,
    /// Files that nothing refers to and that stay.
    pub skipped: Vec<Skipped>,
}

fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// A folder that belongs to the table and was not searched.
#[derive(Debug, Clone, Serialize)]
pub struct NotSearched {
    /// The folder.
    pub location: String,
    /// Why.
    pub why: &'static str,
}

/// Another table over the same files or below the table's folder.
#[derive(Debug, Clone, Serialize)]
pub struct Met {
    /// Its root.
    pub location: String,
    /// Its format.
    pub format: &'static str,
    /// What was done: its files are held, or (where it cannot be read) its folder is left alone.
    pub treated: Treated,
    /// Why it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What is done about another table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Treated {
    /// Everything it refers to stays, wherever it lies; so does its own folder, unless that is the table's.
    Held,
    /// It cannot be read: its folder stays as a whole.
    LeftAlone,
}

/// Files that stay for one reason.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Skipped {
    /// The reason.
    pub why: Why,
    /// How many.
    pub count: u64,
}

/// What was done: the `report` of cli.md.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Orphans.
    pub found: u64,
    /// Of these, deleted (or moved to the quarantine).
    pub deleted: u64,
    /// The folder they were moved to, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// Files that were brought back from a quarantine.
    #[serde(skip_serializing_if = "is_zero")]
    pub restored: u64,
    /// Their bytes.
    pub bytes_freed: Bytes,
    /// Bytes of deleted files that the bucket keeps as noncurrent versions; they are not freed.
    #[serde(skip_serializing_if = "Bytes::is_zero")]
    pub bytes_noncurrent: Bytes,
    /// Files that nothing refers to and that stay.
    pub skipped: Vec<Skipped>,
    /// Orphans that could not be deleted.
    pub failed: u64,
    /// Why not: the first few reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
    /// Files of dead runs of otf that were deleted besides.
    pub leftovers_removed: u64,
    /// What ended the run early, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
}

const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Counts by reason.
type Counts = BTreeMap<Why, u64>;

fn skipped(counts: &Counts) -> Vec<Skipped> {
    counts.iter().map(|(why, count)| Skipped { why: *why, count: *count }).collect()
}
