//! Old versions go, and every file that only they reached.
//!
//! # What a run promises
//!
//! - **X1** every version that a branch, tag, age, count, pin or streaming job keeps whole can be read afterwards, byte for byte;
//! - **X2** a file is deleted only if no version that stays refers to it, it lies in the table's own folders, and the commit that forgets its
//!   versions has landed;
//! - **X3** every file that only forgotten versions reached is gone, or the report says why it is not;
//! - **X4** planning again after a run finds nothing to do.

mod emptied;
pub mod plan;
pub mod run;
mod survey;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::model::{FileKind, Forget, Totals, UnusedRules, Version};
use crate::ops::deletion::Tally;
use crate::ops::document::Outcome;
use crate::ops::territory::Foreign;
use crate::units::{Bytes, Timestamp};
use plan::{Keep, Plan, Wishes};

/// What the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which versions and references go.
    pub wishes: Wishes,
    /// Data and delete files stay; manifests, lists and statistics go.
    pub metadata_only: bool,
    /// Schemas and partition specs go too that nothing refers to any more.
    pub clean_metadata: bool,
    /// How many files a plan names, of all that it counts.
    pub files_named: usize,
}

/// The files that a plan would delete, or that a run has deleted, by kind: the `deleted` of cli.md.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByKind(pub BTreeMap<FileKind, u64>);

impl Serialize for ByKind {
    /// Every kind has its place, also where there is none of it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(FileKind::ALL.map(|kind| (kind, self.0.get(&kind).copied().unwrap_or(0))))
    }
}

/// Files that stay although no version that stays needs them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftFiles {
    /// Why.
    pub why: WhyLeft,
    /// How many.
    pub files: u64,
    /// Their bytes, as far as metadata says.
    pub bytes: Bytes,
}

/// Why a file stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum WhyLeft {
    /// It may not be the table's own.
    Foreign(Foreign),
    /// Only metadata was to go.
    Asked(MetadataOnly),
    /// Its removal is younger than the versions it went with.
    Recent(Recent),
}

/// The word for files whose removal says of itself that it is young.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recent {
    /// They were removed too recently.
    RemovedTooRecently,
}

/// The word for files with rows that were to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataOnly {
    /// Only metadata was to go.
    MetadataOnly,
}

/// A version that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiredVersion {
    /// The version.
    pub version: String,
    /// When it was made.
    pub time: Option<String>,
}

/// A branch or tag that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiredReference {
    /// Its name.
    pub name: String,
    /// `branch` or `tag`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The version it named.
    pub version: String,
}

/// How many versions stay for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptVersions {
    /// The reason.
    pub why: Keep,
    /// How many.
    pub versions: u64,
}

/// The `plan` of cli.md.
#[derive(Debug, Default, Serialize)]
pub struct PlanDocument {
    /// Versions that go, oldest first.
    pub expired: Vec<ExpiredVersion>,
    /// Versions that stay listed and can no longer be read, because their files go, oldest first (Delta).
    pub emptied: Vec<ExpiredVersion>,
    /// Branches and tags that go.
    pub references: Vec<ExpiredReference>,
    /// Why the other versions stay.
    pub keep: Vec<KeptVersions>,
    /// Versions that were named and are not listed (any more).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// Schemas and specs that go.
    pub unused: UnusedRules,
    /// Files that go, by kind.
    pub delete: ByKind,
    /// Their bytes, as far as metadata says.
    pub bytes: Bytes,
    /// The first of them by name.
    pub files: Vec<String>,
    /// Files that stay all the same.
    pub left: Vec<LeftFiles>,
}

impl PlanDocument {
    fn new(plan: &Plan, forget: &Forget, unused: UnusedRules) -> Self {
        let time = |time: &Option<Timestamp>| time.map(|time| time.to_string());
        let version = |(version, at): &(Version, Option<Timestamp>)| ExpiredVersion { version: version.to_string(), time: time(at) };
        let expired = plan.expired.iter().map(version);
        let emptied = plan.emptied.as_ref().filter(|_| forget.emptied.is_some());
        let references = plan.references.iter().map(|line| ExpiredReference {
            name: line.name.clone(),
            kind: if line.is_branch { "branch" } else { "tag" },
            version: line.head.to_string(),
        });
        let keep = plan.kept.iter().map(|(why, versions)| KeptVersions { why: *why, versions: *versions });
        Self {
            expired: expired.collect(),
            emptied: emptied.map(|emptied| emptied.versions.iter().map(version).collect()).unwrap_or_default(),
            references: references.collect(),
            keep: keep.collect(),
            unknown: plan.unknown.iter().map(ToString::to_string).collect(),
            unused,
            ..Self::default()
        }
    }

    fn counted(&mut self, go: &Tally, left: &BTreeMap<WhyLeft, Tally>, files: Vec<String>) {
        self.delete = ByKind(go.files.clone());
        self.bytes = go.bytes;
        self.files = files;
        self.left = left.iter().map(|(why, tally)| LeftFiles { why: *why, files: tally.count(), bytes: tally.bytes }).collect();
    }

    /// Whether nothing goes.
    pub fn is_empty(&self) -> bool {
        self.only_empties() && self.emptied.is_empty() && self.delete.0.values().all(|files| *files == 0)
    }

    /// Whether nothing goes but files of versions that stay listed, or that were forgotten before.
    const fn only_empties(&self) -> bool {
        self.expired.is_empty() && self.references.is_empty() && self.unused.is_empty()
    }
}

/// What was done: the `report` of cli.md.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Versions that are forgotten.
    pub expired: Vec<String>,
    /// Versions that are still listed and can no longer be read, because their files are gone (Delta).
    pub emptied: Vec<String>,
    /// Branches and tags that are gone.
    pub refs_removed: Vec<String>,
    /// Schemas and specs that are gone.
    pub unused_removed: UnusedRules,
    /// Files that are gone, by kind.
    pub deleted: ByKind,
    /// Their bytes, as far as metadata says.
    pub bytes_freed: Bytes,
    /// Bytes of deleted files that the bucket keeps as noncurrent versions; they are not freed.
    #[serde(skip_serializing_if = "Bytes::is_zero")]
    pub bytes_noncurrent: Bytes,
    /// Files that stay although no version needs them, and why.
    pub left: Vec<LeftFiles>,
    /// Files that were not there any more, as far as storage tells.
    pub already_gone: u64,
    /// Files that others took into use meanwhile.
    pub spared: u64,
    /// Files that could not be deleted; the next run tries again.
    pub failed: u64,
    /// Why, for the first of them.
    pub failures: Vec<String>,
    /// Files of dead runs that were deleted.
    pub leftovers_removed: u64,
}

/// What a run came to.
#[derive(Debug)]
pub struct Finished {
    /// Every end but planned.
    pub outcome: Outcome,
    /// The version that was planned on.
    pub base_version: Option<Version>,
    /// The table before.
    pub before: Totals,
    /// The table after.
    pub after: Totals,
    /// What was planned.
    pub plan: PlanDocument,
    /// What was done.
    pub report: Report,
    /// Why it was lost or is unknown.
    pub error: Option<Error>,
}
