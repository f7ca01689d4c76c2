//! The snapshots that the metadata lists, as a history (Iceberg spec, "Snapshots").

use std::collections::HashSet;

use serde_json::Value as Json;

use super::metadata::{Metadata, SnapshotView};
use crate::error::Result;
use crate::model::{HistoryEntry, Version};

/// Every listed snapshot, oldest first. Snapshots of one millisecond are in the order of their sequence numbers.
///
/// # Errors
///
/// `Corrupt` if the current snapshot is not listed.
pub(super) fn history(metadata: &Metadata) -> Result<Vec<HistoryEntry>> {
    let ancestors = ancestors(metadata, metadata.current()?.and_then(SnapshotView::id));
    let mut snapshots: Vec<SnapshotView<'_>> = metadata.snapshots().filter(|snapshot| snapshot.id().is_some()).collect();
    snapshots.sort_by_key(|snapshot| (snapshot.time(), snapshot.sequence(), snapshot.id()));
    Ok(snapshots.into_iter().filter_map(|snapshot| entry(snapshot, &ancestors)).collect())
}

fn entry(snapshot: SnapshotView<'_>, ancestors: &HashSet<i64>) -> Option<HistoryEntry> {
    let id = snapshot.id()?;
    let summary = snapshot.0.get("summary").and_then(Json::as_object).into_iter().flatten();
    let summary = summary.filter(|(key, _)| *key != "operation").filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_string())));
    Some(HistoryEntry {
        version: Version(id),
        time: snapshot.time(),
        parent: snapshot.parent().map(Version),
        operation: snapshot.summary("operation").map(str::to_string),
        summary: summary.collect(),
        is_ancestor: ancestors.contains(&id),
    })
}

/// `head` and the listed snapshots it descends from. Parents that are no longer listed end the line.
pub(super) fn ancestors(metadata: &Metadata, head: Option<i64>) -> HashSet<i64> {
    let parents: std::collections::HashMap<i64, Option<i64>> =
        metadata.snapshots().filter_map(|snapshot| Some((snapshot.id()?, snapshot.parent()))).collect();
    let mut line = HashSet::new();
    let mut next = head;
    while let Some(id) = next {
        let Some(parent) = parents.get(&id) else { break };
        if !line.insert(id) {
            break;
        }
        next = *parent;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    #[test]
    fn history_is_in_order_and_knows_what_the_current_snapshot_descends_from() {
        let doc = serde_json::json!({"format-version": 2, "location": "/t", "current-schema-id": 0, "current-snapshot-id": 4,
            "schemas": [{"schema-id": 0, "type": "struct", "fields": []}],
            "snapshots": [
                {"snapshot-id": 4, "parent-snapshot-id": 2, "timestamp-ms": 30, "summary": {"operation": "replace", "otf.operation-id": "x"}},
                {"snapshot-id": 3, "parent-snapshot-id": 2, "timestamp-ms": 20, "sequence-number": 3},
                {"snapshot-id": 9, "parent-snapshot-id": 2, "timestamp-ms": 20, "sequence-number": 2},
                {"snapshot-id": 2, "parent-snapshot-id": 1, "timestamp-ms": 10}]});
        let file = Location::parse("/t/metadata/v1.metadata.json").unwrap();
        let metadata = Metadata::parse(doc.to_string().as_bytes(), &file, None).unwrap();
        let found = history(&metadata).unwrap();
        let told: Vec<_> = found.iter().map(|entry| (entry.version.0, entry.parent.map(|parent| parent.0), entry.is_ancestor)).collect();
        assert_eq!(told, [(2, Some(1), true), (9, Some(2), false), (3, Some(2), false), (4, Some(2), true)]);
        let last = found.last().unwrap();
        assert_eq!((last.operation.as_deref(), last.summary.len()), (Some("replace"), 1));
    }
}
