//! What a table keeps of its past, and the files that hold it.

use std::collections::BTreeMap;

use super::snapshot::Version;
use crate::location::Location;
use crate::units::{Bytes, Timestamp};

/// One version in a table's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The version.
    pub version: Version,
    /// When it was made, as the table says (Delta without commit info: when its commit file was written).
    pub time: Option<Timestamp>,
    /// The version it was made from.
    pub parent: Option<Version>,
    /// What made it, in the format's own word (`append`, `replace`; `WRITE`, `OPTIMIZE`).
    pub operation: Option<String>,
    /// What else the writer said: an Iceberg summary, a Delta commit's metrics. Never values of rows.
    pub summary: BTreeMap<String, String>,
    /// Whether the newest version of the main line descends from it (or is it).
    pub is_ancestor: bool,
}

/// What a file is to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Rows.
    Data,
    /// Positions of deleted rows in other files (Iceberg v2).
    PositionDeletes,
    /// Deleted keys (Iceberg).
    EqualityDeletes,
    /// Deletion vectors: Puffin files (Iceberg v3) or `deletion_vector_*.bin` (Delta).
    DeletionVectors,
    /// Lists of files (Iceberg).
    Manifests,
    /// Lists of manifests (Iceberg).
    ManifestLists,
    /// Table and partition statistics (Iceberg).
    Statistics,
    /// Metadata files and version hints (Iceberg).
    Metadata,
    /// Commits, compacted commits and checksums (Delta).
    Log,
    /// Checkpoints, their parts and sidecars (Delta).
    Checkpoints,
    /// Change data files (Delta).
    Cdf,
}

impl FileKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 11] = [
        Self::Data,
        Self::PositionDeletes,
        Self::EqualityDeletes,
        Self::DeletionVectors,
        Self::Manifests,
        Self::ManifestLists,
        Self::Statistics,
        Self::Metadata,
        Self::Log,
        Self::Checkpoints,
        Self::Cdf,
    ];
}

/// A file that a table refers to. The same file may be told several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Where it lies.
    pub location: Location,
    /// What it is.
    pub kind: FileKind,
    /// Its size, where what refers to it says so.
    pub size: Option<Bytes>,
}

/// A file that nothing needs any more once versions are forgotten or emptied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// It may be deleted.
    Free(Holding),
    /// It stays for now: what removed it says that this was not long enough ago.
    TooYoung(Holding),
}

/// A list of files that a version is made of (Iceberg: a manifest). Counts are of added, existing and deleted files, where the table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileList {
    /// Where it lies, as the table spells it.
    pub path: String,
    /// Its bytes.
    pub size: Bytes,
    /// The partition spec of its files.
    pub spec_id: Option<i32>,
    /// Whether it lists delete files; else data files.
    pub of_deletes: bool,
    /// The version it was added in.
    pub added_version: Option<Version>,
    /// When it was added, as a sequence number.
    pub sequence: Option<i64>,
    /// The least sequence number of its live files.
    pub min_sequence: Option<i64>,
    /// Added, existing and deleted files.
    pub files: [Option<i64>; 3],
    /// Their rows.
    pub rows: [Option<i64>; 3],
}

/// How long a table keeps its past: its properties, else its format's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Whether files of the past may be deleted at all (Iceberg `gc.enabled`).
    pub collectable: bool,
    /// A version older than this may go, in milliseconds (Iceberg `history.expire.max-snapshot-age-ms`; Delta
    /// the longer of `delta.deletedFileRetentionDuration` and `delta.logRetentionDuration`, counted from when it was replaced).
    pub max_age_ms: i64,
    /// So many of the newest versions of each branch stay whatever their age.
    pub min_versions: u64,
    /// A branch or tag whose head is older than this may go, in milliseconds; `None` is never (Iceberg `history.expire.max-ref-age-ms`).
    pub max_ref_age_ms: Option<i64>,
    /// Files that were removed longer ago than this may go although versions that need them stay listed, in milliseconds; `None` where files go with
    /// their versions alone (Delta `delta.deletedFileRetentionDuration`).
    pub max_file_age_ms: Option<i64>,
    /// Log entries older than this may go, in milliseconds; `None` where the format has no log (Delta `delta.logRetentionDuration`).
    pub max_log_age_ms: Option<i64>,
}
