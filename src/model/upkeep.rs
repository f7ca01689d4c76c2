//! Changes of a table's history, references and metadata: the rows of files stay where they are.

use std::collections::BTreeSet;

use super::operation::OperationId;
use super::snapshot::Version;
use crate::units::{Bytes, Timestamp};

/// One commit of such a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    /// The operation.
    pub operation: OperationId,
    /// Number of the commit within the operation, from 0.
    pub part: u32,
    /// What is to be changed.
    pub kind: UpkeepKind,
}

/// What an [`Upkeep`] changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpkeepKind {
    /// Versions and references are forgotten. Files are deleted afterwards, by the operation.
    Forget(Forget),
    /// A branch or tag is made or changed.
    SetReference(NewReference),
    /// The branch or tag of this name goes; its versions stay until they are forgotten.
    DropReference(String),
    /// The table's rows, and where the format says so its columns, are again those of this version.
    Restore(Version),
    /// The lists of files are written anew: the same files in fewer lists, in the order of their partitions.
    RewriteManifests(ListWishes),
}

impl UpkeepKind {
    /// Whether the commit may make a version that carries the operation's id, so that the table's history tells whether it landed.
    pub const fn makes_version(&self) -> bool {
        matches!(self, Self::Restore(_) | Self::RewriteManifests(_))
    }
}

/// How lists of files are to be written anew; what is not asked for is up to the table and its format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListWishes {
    /// About how large lists should be.
    pub target: Option<Bytes>,
    /// Only lists of this partition spec, where the format has several.
    pub spec: Option<i32>,
    /// Names of partition fields in whose order files are listed; those not named follow in the spec's order.
    pub order: Vec<String>,
    /// Every list, whatever its size and order.
    pub all: bool,
    /// The commits since the last checkpoint are summed up in a file of their own; no checkpoint is written (Delta log compaction).
    pub sums: bool,
}

/// What is to become of a table's lists of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct ListPlan {
    /// What is written anew, in its order.
    pub groups: Vec<ListGroup>,
    /// How many lists there are.
    pub lists: u64,
    /// Their bytes.
    pub bytes: Bytes,
    /// Lists that stay although they are not as they should be, by the reason.
    pub left: Vec<LeftLists>,
}

/// Lists that are written anew together.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListGroup {
    /// What they list.
    pub content: ListContent,
    /// The partition spec of their files, where the format has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<i32>,
    /// How many there are.
    pub lists: u64,
    /// Their bytes.
    pub bytes: Bytes,
    /// Live files in them; `null` where nobody says.
    pub files: Option<u64>,
    /// Why.
    pub why: ListWhy,
}

/// What a list of files lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListContent {
    /// Data files (Iceberg).
    Data,
    /// Delete files (Iceberg).
    Deletes,
    /// Everything: the commits since the last checkpoint (Delta).
    Log,
}

/// Why lists are written anew: the first that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListWhy {
    /// It was asked for.
    Asked,
    /// They are larger than a list should be.
    Large,
    /// Files of the same partitions are spread over several of them.
    Unordered,
    /// They are smaller than lists should be.
    Small,
    /// They list files that are gone, and none that lives.
    Dead,
    /// Readers replay them one by one (Delta).
    NoCheckpoint,
}

/// Lists that stay for one reason.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LeftLists {
    /// The reason.
    pub why: LeaveList,
    /// How many.
    pub lists: u64,
}

/// Why a list stays as it is although it is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaveList {
    /// Its partition spec is not understood: partitions could not be told in the new list.
    UnknownSpec,
    /// Its partition spec is not the one that was asked for.
    OtherSpec,
}

/// What a table is to forget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forget {
    /// Versions that can no longer be read afterwards.
    pub versions: BTreeSet<Version>,
    /// Branches and tags that go.
    pub references: BTreeSet<String>,
    /// Whether schemas and partition specs go that nothing that stays refers to.
    pub unused_rules: bool,
    /// Versions that stay listed and lose their files.
    pub emptied: Option<Emptied>,
}

impl Forget {
    /// Whether nothing is to go.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.references.is_empty() && !self.unused_rules && self.emptied.is_none()
    }
}

/// Which versions lose the files that only they needed while the table goes on listing them (Delta: what VACUUM does).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emptied {
    /// This version and later ones keep every file; older ones keep what those need.
    pub before: Version,
    /// Versions before this one lost theirs already; `None` where nobody knows.
    pub since: Option<Version>,
    /// Files stay whose removal says that it was made at this time or later.
    pub removed_before: Timestamp,
}

/// Schemas and partition specs that nothing of a table refers to, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct UnusedRules {
    /// Schemas that are neither current nor those of a version.
    pub schemas: Vec<i64>,
    /// Partition specs that are neither current nor those of a file.
    pub specs: Vec<i64>,
}

impl UnusedRules {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.schemas.is_empty() && self.specs.is_empty()
    }
}

/// A branch or tag as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReference {
    /// Its name.
    pub name: String,
    /// The version it names.
    pub version: Version,
    /// A branch, moved by commits; else a tag.
    pub is_branch: bool,
    /// Whether one of this name may be there already and is changed.
    pub replace: bool,
    /// How old its head may become before the reference may go, in milliseconds.
    pub max_ref_age_ms: Option<i64>,
    /// How old its versions may become before they may go, in milliseconds (branches).
    pub max_snapshot_age_ms: Option<i64>,
    /// How many of its versions stay whatever their age (branches).
    pub min_snapshots_to_keep: Option<u64>,
}
