//! Older states of a table: by snapshot, by time, by branch or tag (Iceberg spec, "Snapshots", "Snapshot References").

use serde_json::Value as Json;

use super::metadata::{Metadata, wrong};
use super::schemas::schema_id;
use super::types;
use crate::error::{Error, Result};
use crate::model::{At, Version};
use crate::units::Timestamp;

/// What to read: a snapshot (none: the table was still empty), and whether with the columns it had when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) snapshot: Option<i64>,
    pub(super) own_schema: bool,
}

impl Metadata {
    /// The same table at the snapshot of `pin`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a damaged schema; `Unsupported` for one with types we do not know.
    pub(super) fn pinned(&self, pin: Pin) -> Result<Self> {
        let id = pin.snapshot.and_then(|id| self.snapshot(id)).and_then(|snapshot| snapshot.0.get("schema-id")?.as_i64());
        let mut pinned = self.clone();
        pinned.pin = Some(pin);
        // Old documents do not say which schema a snapshot was made with, or keep none but the current one.
        let listed = self.doc.get("schemas").and_then(Json::as_array);
        let (Some(id), Some(listed)) = (id.filter(|_| pin.own_schema), listed) else { return Ok(pinned) };
        let schema = listed.iter().find(|schema| schema_id(schema) == id);
        pinned.schema_json = schema.ok_or_else(|| wrong("the schema of a snapshot is not listed").about("file", &self.file))?.clone();
        pinned.schema = types::schema(&pinned.schema_json).map_err(|e| e.about("file", &self.file))?;
        pinned.schema_id = id;
        Ok(pinned)
    }
}

/// Finds the state that `at` names.
///
/// # Errors
///
/// `NotFound` if there is none or it has expired.
pub(super) fn find(metadata: &Metadata, at: &At) -> Result<Pin> {
    match at {
        // A branch or tag may have a number for a name.
        At::Version(Version(id)) => match listed(metadata, *id) {
            Ok(snapshot) => Ok(Pin { snapshot, own_schema: true }),
            Err(error) if is_reference(metadata, &id.to_string()) => by_name(metadata, &id.to_string()).map_err(|_| error),
            Err(error) => Err(error),
        },
        At::Time(time) => {
            let id = at_time(metadata, *time).ok_or_else(|| no_time(metadata, *time))?;
            listed(metadata, id).map(|snapshot| Pin { snapshot, own_schema: true })
        }
        At::Ref(name) => by_name(metadata, name),
    }
}

fn listed(metadata: &Metadata, id: i64) -> Result<Option<i64>> {
    if metadata.snapshot(id).is_some() {
        return Ok(Some(id));
    }
    let count = metadata.snapshots().count();
    Err(Error::not_found("the table has no such snapshot")
        .about("table", &metadata.location)
        .about("snapshot", id)
        .about("snapshots_kept", count)
        .hint("it has expired or never was: ask for a snapshot that the table still lists, or for a branch or tag of that name"))
}

fn is_reference(metadata: &Metadata, name: &str) -> bool {
    metadata.doc.get("refs").and_then(|refs| refs.get(name)).is_some()
}

/// A branch shows the table's current columns, a tag those of its snapshot, as the Java library does it.
fn by_name(metadata: &Metadata, name: &str) -> Result<Pin> {
    let reference = metadata.doc.get("refs").and_then(|refs| refs.get(name));
    let id = reference.and_then(|reference| reference.get("snapshot-id")).and_then(Json::as_i64);
    match (reference, id) {
        (Some(reference), Some(id)) => {
            let own_schema = reference.get("type").and_then(Json::as_str) == Some("tag");
            Ok(Pin { snapshot: listed(metadata, id)?, own_schema })
        }
        (Some(_), None) => {
            Err(Error::corrupt("a branch or tag of the table has no snapshot").about("ref", name).about("file", &metadata.file))
        }
        // Tables from before there were references have the main branch all the same.
        (None, _) if name == "main" => {
            Ok(Pin { snapshot: metadata.current()?.and_then(super::metadata::SnapshotView::id), own_schema: false })
        }
        (None, _) => {
            let known = metadata.doc.get("refs").and_then(Json::as_object);
            let names: Vec<&str> = known.into_iter().flat_map(serde_json::Map::keys).map(String::as_str).collect();
            let names = if names.is_empty() { "main".to_string() } else { names.join(", ") };
            Err(Error::not_found("the table has no branch or tag of this name").about("ref", name).about("known", names))
        }
    }
}

/// What was current at `time`: the last entry of the snapshot log until then. A rollback is an entry of its own.
fn at_time(metadata: &Metadata, time: Timestamp) -> Option<i64> {
    log(metadata).into_iter().filter(|(made, _)| *made <= time.0).max_by_key(|(made, _)| *made).map(|(_, id)| id)
}

/// Entries of the snapshot log, oldest first. It is about the main branch: elsewhere, and where a writer kept none, it is the ancestors of the
/// current snapshot.
pub(super) fn log(metadata: &Metadata) -> Vec<(i64, i64)> {
    let entries = metadata.doc.get("snapshot-log").and_then(Json::as_array).into_iter().flatten();
    let entry = |json: &Json| Some((json.get("timestamp-ms")?.as_i64()?, json.get("snapshot-id")?.as_i64()?));
    let entries: Vec<(i64, i64)> = entries.filter_map(entry).collect();
    if !entries.is_empty() && metadata.reference.is_none() {
        return entries;
    }
    let mut ancestors = Vec::new();
    let mut next = metadata.current().ok().flatten();
    // As many steps as there are snapshots: damaged metadata may go round in circles.
    for _ in metadata.snapshots() {
        let Some(snapshot) = next else { break };
        ancestors.extend(snapshot.time().map(|time| time.0).zip(snapshot.id()));
        next = snapshot.parent().and_then(|parent| metadata.snapshot(parent));
    }
    ancestors.reverse();
    ancestors
}

fn no_time(metadata: &Metadata, time: Timestamp) -> Error {
    let error = Error::not_found("the table has no snapshot as old as that").about("table", &metadata.location).about("time", time);
    let first = log(metadata).into_iter().map(|(made, _)| made).min();
    first.into_iter().fold(error, |error, first| error.about("first", Timestamp(first)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::Kind;
    use crate::location::Location;

    fn metadata(refs: &Json) -> Metadata {
        let column = |id: i32, name: &str| json!({"id": id, "name": name, "required": false, "type": "int"});
        let snapshot = |id: i64, made: i64, parent: i64, schema: i64| json!({"snapshot-id": id, "timestamp-ms": made, "parent-snapshot-id": parent, "schema-id": schema, "manifest-list": "/w/t/l.avro"});
        let doc = json!({"format-version": 2, "location": "/w/t", "current-schema-id": 1, "current-snapshot-id": 3,
            "schemas": [{"type": "struct", "schema-id": 0, "fields": [column(1, "a")]},
                        {"type": "struct", "schema-id": 1, "fields": [column(1, "a"), column(2, "b")]}],
            "partition-specs": [{"spec-id": 0, "fields": []}],
            "snapshots": [snapshot(1, 100, -1, 0), snapshot(2, 200, 1, 0), snapshot(3, 300, 1, 1)],
            "snapshot-log": [{"timestamp-ms": 100, "snapshot-id": 1}, {"timestamp-ms": 200, "snapshot-id": 2},
                             {"timestamp-ms": 250, "snapshot-id": 1}, {"timestamp-ms": 300, "snapshot-id": 3}],
            "refs": refs});
        Metadata::parse(doc.to_string().as_bytes(), &Location::parse("/w/t/metadata/v1.metadata.json").unwrap(), None).unwrap()
    }

    fn snapshot(metadata: &Metadata, at: &At) -> Option<i64> {
        find(metadata, at).unwrap().snapshot
    }

    #[test]
    fn a_time_means_what_was_current_then_rollbacks_included() {
        let metadata = metadata(&json!({}));
        for (time, id) in [(100, 1), (199, 1), (200, 2), (260, 1), (300, 3), (9_999, 3)] {
            assert_eq!(snapshot(&metadata, &At::Time(Timestamp(time))), Some(id), "{time}");
        }
        let error = find(&metadata, &At::Time(Timestamp(99))).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains("first=1970-01-01T00:00:00.100Z"), "{error}");
    }

    #[test]
    fn a_snapshot_and_a_tag_have_the_columns_of_their_time_and_a_branch_has_todays() {
        let metadata = metadata(&json!({"dev": {"snapshot-id": 2, "type": "branch"}, "v1": {"snapshot-id": 2, "type": "tag"}}));
        let columns = |at: &At| {
            let pin = find(&metadata, at).unwrap();
            let pinned = metadata.pinned(pin).unwrap();
            assert_eq!(pinned.current().unwrap().and_then(crate::formats::iceberg::metadata::SnapshotView::id), pin.snapshot);
            pinned.schema.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(columns(&At::Version(Version(2))), ["a"]);
        assert_eq!(columns(&At::Ref("v1".into())), ["a"]);
        assert_eq!(columns(&At::Ref("dev".into())), ["a", "b"]);
        assert_eq!(columns(&At::Version(Version(3))), ["a", "b"]);
    }

    #[test]
    fn a_number_is_a_snapshot_first_and_then_the_name_of_a_branch_or_tag() {
        let metadata = metadata(&json!({"20261122": {"snapshot-id": 2, "type": "tag"}, "1": {"snapshot-id": 3, "type": "tag"}}));
        assert_eq!(snapshot(&metadata, &At::Version(Version(20_261_122))), Some(2));
        assert_eq!(snapshot(&metadata, &At::Version(Version(1))), Some(1));
        assert!(find(&metadata, &At::Version(Version(12))).unwrap_err().next_step().contains("branch or tag"));
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let metadata = metadata(&json!({"dev": {"snapshot-id": 7, "type": "branch"}}));
        let kind = |at: At| find(&metadata, &at).unwrap_err().kind();
        assert_eq!(kind(At::Version(Version(7))), Kind::NotFound);
        assert_eq!(kind(At::Ref("dev".into())), Kind::NotFound);
        assert_eq!(kind(At::Ref("other".into())), Kind::NotFound);
        assert_eq!(snapshot(&metadata, &At::Ref("main".into())), Some(3));
    }
}
