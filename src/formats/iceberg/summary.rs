//! The summary of a snapshot (Iceberg spec, appendix F "Snapshot Summary").

use serde_json::{Map, Value as Json};

use super::manifest_list::{Content, ManifestFile};
use super::metadata::SnapshotView;
use crate::model::{Intent, OperationId};

/// Key of the operation's id in our snapshots.
pub(crate) const OPERATION_ID: &str = "otf.operation-id";
/// Key of the part within the operation.
pub(crate) const OPERATION_PART: &str = "otf.operation-part";

/// What a commit adds and removes.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    /// New data files.
    pub(crate) added_files: u64,
    /// Their rows.
    pub(crate) added_rows: u64,
    /// Bytes of all new files, delete files included.
    pub(crate) added_bytes: u64,
    /// New position-delete files, vectors not included.
    pub(crate) added_position_files: u64,
    /// New vectors.
    pub(crate) added_vectors: u64,
    /// Position deletes in both.
    pub(crate) added_positions: u64,
    /// Data files that go.
    pub(crate) removed_files: u64,
    /// Their stored rows.
    pub(crate) removed_rows: u64,
    /// Bytes of all files that go, delete files included.
    pub(crate) removed_bytes: u64,
    /// Position-delete files that go, vectors not included.
    pub(crate) removed_position_files: u64,
    /// Vectors that go.
    pub(crate) removed_vectors: u64,
    /// Position deletes in both.
    pub(crate) removed_positions: u64,
    /// Equality-delete files that go.
    pub(crate) removed_equality_files: u64,
    /// Equality deletes in them.
    pub(crate) removed_equality_deletes: u64,
    /// Partitions with files that go or come, or lose rows.
    pub(crate) changed_partitions: u64,
}

/// The summary of our snapshot. Totals are those of the parent moved on; where the parent's contradict its manifests, or are missing, only
/// what the manifests say is written.
pub(crate) fn summary(
    intent: Intent,
    tally: &Tally,
    parent: SnapshotView<'_>,
    after: &[ManifestFile],
    (operation, part): (&OperationId, u32),
) -> Json {
    let mut out = Map::new();
    let mut text = |key: &str, value: String| out.insert(key.to_string(), Json::String(value));
    let name = match intent {
        Intent::Rearrange => "replace",
        // The specification's word also for files of deletes that are added.
        Intent::DeleteRows => "delete",
    };
    text("operation", name.to_string());
    let changes = [
        ("added-data-files", tally.added_files),
        ("deleted-data-files", tally.removed_files),
        ("added-records", tally.added_rows),
        ("deleted-records", tally.removed_rows),
        ("added-files-size", tally.added_bytes),
        ("added-delete-files", tally.added_position_files + tally.added_vectors),
        ("added-position-delete-files", tally.added_position_files),
        ("added-dvs", tally.added_vectors),
        ("added-position-deletes", tally.added_positions),
        ("removed-files-size", tally.removed_bytes),
        ("removed-delete-files", tally.removed_position_files + tally.removed_vectors + tally.removed_equality_files),
        ("removed-position-delete-files", tally.removed_position_files),
        ("removed-dvs", tally.removed_vectors),
        ("removed-position-deletes", tally.removed_positions),
        ("removed-equality-delete-files", tally.removed_equality_files),
        ("removed-equality-deletes", tally.removed_equality_deletes),
        ("changed-partition-count", tally.changed_partitions),
    ];
    for (key, count) in changes {
        if count > 0 {
            text(key, count.to_string());
        }
    }
    for (key, total) in totals(tally, parent, after) {
        if let Some(total) = total {
            text(key, total.to_string());
        }
    }
    text(OPERATION_ID, operation.0.clone());
    text(OPERATION_PART, part.to_string());
    text("engine-name", "otf".to_string());
    text("engine-version", env!("CARGO_PKG_VERSION").to_string());
    Json::Object(out)
}

fn totals(tally: &Tally, parent: SnapshotView<'_>, after: &[ManifestFile]) -> [(&'static str, Option<u64>); 6] {
    let sum = |content: Content, count: fn(&ManifestFile) -> Option<i64>| {
        let counts = after.iter().filter(|manifest| manifest.content == content).map(count);
        counts.sum::<Option<i64>>().and_then(|total| u64::try_from(total).ok())
    };
    let moved = |key: &str, added: u64, removed: u64| parent.count(key)?.checked_add(added)?.checked_sub(removed);
    let files = sum(Content::Data, ManifestFile::live_files);
    let deletes = sum(Content::Deletes, ManifestFile::live_files);
    // Where the parent's totals fit its manifests, its other totals are believed too.
    let believed = files.is_some() && files == moved("total-data-files", tally.added_files, tally.removed_files);
    let sizes = moved("total-files-size", tally.added_bytes, tally.removed_bytes).filter(|_| believed);
    let equality = if deletes == Some(0) { Some(0) } else { moved("total-equality-deletes", 0, tally.removed_equality_deletes) };
    let delete_rows = sum(Content::Deletes, ManifestFile::live_rows);
    [
        ("total-records", sum(Content::Data, ManifestFile::live_rows)),
        ("total-files-size", sizes),
        ("total-data-files", files),
        ("total-delete-files", deletes),
        ("total-position-deletes", delete_rows.zip(equality).and_then(|(rows, equality)| rows.checked_sub(equality))),
        ("total-equality-deletes", equality),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_come_from_the_manifests_and_wrong_ones_of_the_parent_are_not_carried_on() {
        let mut manifest = ManifestFile::inline("/m");
        manifest.files = [Some(1), Some(4), Some(2)];
        manifest.rows = [Some(10), Some(40), Some(20)];
        let tally = Tally { added_files: 1, added_bytes: 7, removed_files: 2, removed_bytes: 9, ..Tally::default() };
        let total = |claimed: &str, key: &str| {
            let parent = serde_json::json!({"summary": {"total-data-files": claimed, "total-files-size": "100"}});
            let out =
                summary(Intent::Rearrange, &tally, SnapshotView(&parent), std::slice::from_ref(&manifest), (&OperationId("x".into()), 3));
            out.get(key).and_then(Json::as_str).map(str::to_string)
        };
        assert_eq!(total("6", "total-data-files").as_deref(), Some("5"));
        assert_eq!(total("6", "total-records").as_deref(), Some("50"));
        assert_eq!(total("6", "total-files-size").as_deref(), Some("98"));
        assert_eq!(total("99", "total-data-files").as_deref(), Some("5"));
        assert_eq!(total("99", "total-files-size"), None);
        assert_eq!(total("6", OPERATION_PART).as_deref(), Some("3"));
    }
}
