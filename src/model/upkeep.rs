//! Changes of a table's history, references and metadata: the rows of files stay where they are.

use std::collections::BTreeSet;

use super::operation::OperationId;
use super::snapshot::Version;

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
    RewriteManifests,
}

impl UpkeepKind {
    /// Whether the commit makes a version that carries the operation's id, so that the table's history tells whether it landed.
    pub const fn makes_version(&self) -> bool {
        matches!(self, Self::Restore(_) | Self::RewriteManifests)
    }
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
    pub min_snapshots_to_keep: Option<u32>,
}
