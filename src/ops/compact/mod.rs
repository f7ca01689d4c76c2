//! Many small files become few right-sized ones; deletes are applied on the way.
//!
//! # What a plan promises
//!
//! - **C1** every live file is in exactly one group or left with exactly one reason;
//! - **C2** a group never crosses a partition, unless its rows are sorted into the partitions of another spec;
//! - **C3** a group's inputs hold no more bytes than the policy's `max_group_size`, unless it is a single file;
//! - **C4** planning again after the plan has run finds nothing to do (save under `rewrite_all`, which asks for everything).

pub mod bins;
pub mod plan;
pub mod run;
pub mod survey;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::{RewritePath, Rewritten};
use crate::error::Error;
use crate::formats::OutputWishes;
use crate::model::predicate::Predicate;
use crate::model::{GroupChange, Totals, Version};
use crate::ops::document::Outcome;
use crate::units::Bytes;
use plan::{Leave, Plan, Why, Wishes};

/// What the user asked for; `None` leaves it to the table and to the format's defaults.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only files that may hold rows matching this.
    pub filter: Option<Predicate>,
    /// Target size and compression of new files.
    pub output: OutputWishes,
    /// Smaller files are rewritten. Default: 75 % of the target.
    pub min_file_size: Option<Bytes>,
    /// Larger files are rewritten. Default: 180 % of the target.
    pub max_file_size: Option<Bytes>,
    /// A group needs this many files to be worth it. Default: 5.
    pub min_input_files: Option<usize>,
    /// A group's inputs hold no more than this. Default: 100 GiB.
    pub max_group_size: Option<Bytes>,
    /// How many groups are rewritten at the same time. Default: what memory allows, at most 5.
    pub max_concurrent_groups: Option<usize>,
    /// Commit in at most this many parts instead of once.
    pub partial_progress: Option<usize>,
    /// Files with at least this many deletes are rewritten whatever their size. Default: never.
    pub delete_file_threshold: Option<usize>,
    /// Files with at least this share of deleted rows are rewritten whatever their size. Default: 0.3.
    pub delete_ratio: Option<f64>,
    /// Rewrite every file.
    pub rewrite_all: bool,
    /// Also drop delete files that apply to nothing any more.
    pub remove_dangling_deletes: bool,
    /// How row groups may reach the output.
    pub path: RewritePath,
    /// Plan no more than this many files.
    pub max_files: Option<usize>,
    /// How many times a commit is tried. Default: the table's property.
    pub commit_attempts: Option<u32>,
}

impl Options {
    /// The part of the options that decides what is planned.
    pub const fn wishes(&self) -> Wishes {
        Wishes {
            target: self.output.target_file_size,
            min: self.min_file_size,
            max: self.max_file_size,
            min_input_files: self.min_input_files,
            max_group: self.max_group_size,
            delete_file_threshold: self.delete_file_threshold,
            delete_ratio: self.delete_ratio,
            rewrite_all: self.rewrite_all,
            max_files: self.max_files,
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Finished {
    /// Every end but planned.
    pub outcome: Outcome,
    /// The version that was planned on.
    pub base_version: Option<Version>,
    /// The versions that were made.
    pub versions: Vec<Version>,
    /// The table before.
    pub before: Totals,
    /// The table after; what it was before, where nothing of the run is known to be in it.
    pub after: Totals,
    /// What was planned at first.
    pub plan: PlanDocument,
    /// What was done.
    pub report: Report,
    /// Why it was lost or is unknown.
    pub error: Option<Error>,
}

/// What was done: the `report` of cli.md.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Groups that landed.
    pub groups_done: u64,
    /// Groups that failed, by their number in the plan.
    pub groups_failed: Vec<Failure>,
    /// Groups that other writers hit; they were planned again.
    pub groups_conflicted: u64,
    /// Data files that are no longer live.
    pub files_removed: u64,
    /// New data files.
    pub files_added: u64,
    /// Bytes of the removed files.
    pub bytes_removed: Bytes,
    /// Bytes of the new files.
    pub bytes_added: Bytes,
    /// Delete files and deletion vectors that are no longer live.
    pub delete_files_removed: u64,
    /// Row groups in new files, by how they came there.
    pub row_groups: RowGroups,
    /// Bytes of row groups that were moved as they are.
    pub bytes_copied: Bytes,
    /// Bytes of row groups that were encoded anew.
    pub bytes_encoded: Bytes,
    /// Files of dead runs that were deleted.
    pub leftovers_removed: u64,
    /// What ended the run early, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
}

/// Row groups by how they came into new files.
#[derive(Debug, Default, Serialize)]
pub struct RowGroups {
    /// Moved as bytes.
    pub copied: u64,
    /// Joined page by page.
    pub spliced: u64,
    /// Decoded and encoded.
    pub encoded: u64,
}

/// A group that could not be rewritten.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Its number in the plan.
    pub group: usize,
    /// Why.
    pub error: String,
    #[serde(skip)]
    cause: Error,
}

impl Failure {
    fn new(group: usize, cause: Error) -> Self {
        Self { group, error: cause.to_string(), cause }
    }

    fn into_error(self) -> Error {
        self.cause
    }
}

impl Report {
    fn rewritten(&mut self, done: &Rewritten) {
        self.row_groups.copied += done.row_groups_copied;
        self.row_groups.encoded += done.row_groups_encoded;
        self.bytes_copied = self.bytes_copied.plus(done.bytes_copied);
        self.bytes_encoded = self.bytes_encoded.plus(done.bytes_encoded);
    }

    fn landed(&mut self, groups: &[GroupChange]) {
        self.groups_done += groups.len() as u64;
        for group in groups {
            self.files_removed += group.removes.len() as u64;
            self.files_added += group.adds.len() as u64;
            self.bytes_removed = self.bytes_removed.plus(group.removes.iter().map(|file| file.size).sum());
            self.bytes_added = self.bytes_added.plus(group.adds.iter().map(|file| file.size).sum());
        }
    }
}

/// The `plan` of cli.md.
#[derive(Debug, Serialize)]
pub struct PlanDocument {
    /// The groups, in the order they are rewritten.
    pub groups: Vec<GroupDocument>,
    /// What is left alone.
    pub left: Vec<LeftDocument>,
}

/// A group, for people and scripts.
#[derive(Debug, Serialize)]
pub struct GroupDocument {
    /// The partition; empty if there is none, or if rows are sorted into partitions of another spec.
    pub partition: String,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: Bytes,
    /// Why.
    pub why: Why,
}

/// Files left alone for one reason.
#[derive(Debug, Serialize)]
pub struct LeftDocument {
    /// The reason.
    pub why: Leave,
    /// How many files.
    pub files: u64,
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        let left: &BTreeMap<Leave, u64> = &plan.left;
        Self {
            groups: plan
                .groups
                .iter()
                .map(|group| GroupDocument {
                    partition: group.partition.display(),
                    files: group.files.len() as u64,
                    bytes: group.bytes(),
                    why: group.why,
                })
                .collect(),
            left: left.iter().map(|(why, files)| LeftDocument { why: *why, files: *files }).collect(),
        }
    }
}
