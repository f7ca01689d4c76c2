//! What a table's own metadata comes to.

use crate::units::Bytes;

/// The size and state of a table's metadata, as far as that is cheap to know. `None`: the format has no such thing, or nobody says.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Bookkeeping {
    /// Lists of files that a reader of this version opens (Iceberg manifests).
    pub manifests: Option<u64>,
    /// Their bytes.
    pub manifest_bytes: Option<Bytes>,
    /// How many would hold the same entries at the size that the table wants them to have.
    pub manifests_needed: Option<u64>,
    /// The metadata file's bytes: every commit writes that much anew (Iceberg).
    pub metadata_bytes: Option<Bytes>,
    /// Metadata files that the metadata lists, its own included (Iceberg).
    pub metadata_files: Option<u64>,
    /// Whether metadata files that are no longer listed are deleted by commits (Iceberg `write.metadata.delete-after-commit.enabled`).
    pub metadata_cleaned: Option<bool>,
    /// Commits in the log (Delta).
    pub log_entries: Option<u64>,
    /// Commits that a reader replays on top of the newest checkpoint, or from the beginning where there is none (Delta).
    pub since_checkpoint: Option<u64>,
    /// Every how many versions a checkpoint is due (Delta `delta.checkpointInterval`).
    pub checkpoint_interval: Option<u64>,
    /// What is wrong with the hint that leads readers to the newest state, if it leads elsewhere.
    pub stale_hint: Option<String>,
}
