//! Replacing files.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{Fixture, Row, Says, files, place};
use crate::commit::Answer;
use crate::error::Kind;
use crate::formats::iceberg::IcebergTable;
use crate::formats::iceberg::avro::Datum;
use crate::formats::iceberg::manifest_list::Content;
use crate::formats::{OutputWishes, Table, TableVersion};
use crate::model::{Change, DataFile, DeleteKind, FileStats, GroupChange, Intent, NewFile, OperationId, Version};
use crate::store::Store;
use crate::units::{Bytes, Timestamp};

/// Replaces the files called `names` by one with as many rows.
pub(super) async fn replacing(version: &dyn TableVersion, names: &[&str]) -> Change {
    let removes: Vec<DataFile> = files(version).await.into_iter().filter(|file| names.contains(&file.location.name())).collect();
    let rows = removes.iter().map(|file| file.rows.unwrap()).sum();
    let partition = Arc::clone(&removes[0].partition);
    let location = version.output(&partition, &OutputWishes::default()).unwrap().directory.child("new");
    let adds = vec![NewFile { location, size: Bytes(50), rows, partition, stats: FileStats::default(), split_offsets: vec![4] }];
    let groups = vec![GroupChange { removes, live_rows: rows, adds, ..GroupChange::default() }];
    Change { operation: OperationId("op".into()), part: 2, base: None, intent: Intent::Rearrange, groups, drop_dangling_deletes: false }
}

pub(super) async fn landed(version: &dyn TableVersion, change: &Change) -> Version {
    match version.offer(change, Timestamp(500)).await {
        Answer::Ours(version) => version,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn current_document(table: &IcebergTable, store: &Store) -> Json {
    let file = table.pointer().current().await.unwrap();
    serde_json::from_slice(&store.get(&file).await.unwrap()).unwrap()
}

pub(super) async fn names_in_metadata(store: &Store) -> Vec<String> {
    let mut names: Vec<String> =
        store.list_all(&place("/t/metadata")).await.unwrap().into_iter().map(|meta| meta.location.name().to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_replacement_changes_exactly_what_a_commit_changes() {
    let (table, store) = Fixture::default().build().await;
    let before = current_document(&table, &store).await;
    let version = table.load().await.unwrap();
    let id = landed(&*version, &replacing(&*version, &["a", "b"]).await).await;
    let mut after = current_document(&table, &store).await;
    assert_eq!(after["snapshots"][1]["snapshot-id"], json!(id.0));
    assert_eq!(after["snapshots"][1]["timestamp-ms"], json!(1000), "time does not run backwards");
    assert_eq!(after["metadata-log"], json!([{"timestamp-ms": 1000, "metadata-file": "/t/metadata/v1.metadata.json"}]));
    assert_eq!(after["refs"], json!({"main": {"type": "branch", "snapshot-id": id.0}}));
    let summary = after["snapshots"][1]["summary"].clone();
    for (key, value) in
        [("operation", "replace"), ("added-records", "15"), ("deleted-data-files", "2"), ("total-data-files", "2"), ("total-records", "19")]
    {
        assert_eq!(summary[key], json!(value), "{key}");
    }
    for key in ["refs", "metadata-log", "snapshot-log"] {
        after.as_object_mut().unwrap().remove(key);
    }
    after["snapshots"].as_array_mut().unwrap().pop();
    after["current-snapshot-id"] = 9.into();
    after["last-sequence-number"] = 3.into();
    assert_eq!(after, before);
}

#[tokio::test]
async fn rewritten_entries_keep_all_they_had_and_new_ones_are_unsorted_with_the_greatest_sequence_they_replace() {
    for (version, manifests) in [(2, 2), (2, 1), (3, 2), (3, 3), (1, 1)] {
        let (table, _) = Fixture { version, manifests, ..Fixture::default() }.build().await;
        let before = table.load().await.unwrap();
        landed(&*before, &replacing(&*before, &["a", "b"]).await).await;
        let version = table.version().await.unwrap();
        let mut seen = Vec::new();
        for manifest in version.scan.manifests().await.unwrap().iter().filter(|manifest| manifest.content == Content::Data) {
            let reader = version.scan.open(manifest).await.unwrap();
            let columns = reader.columns.clone();
            for entry in reader {
                let entry = entry.unwrap();
                let kept = columns.file_field(&entry, "unheard_of").and_then(Datum::as_long);
                let sequence = if manifests == 1 { 0 } else { entry.sequence };
                let sorted_by = columns.file_field(&entry, "sort_order_id").and_then(Datum::as_long);
                seen.push((
                    place(&entry.path).name().to_string(),
                    format!("{:?}", entry.status),
                    entry.snapshot == Some(9),
                    sequence,
                    sorted_by,
                    kept,
                ));
            }
        }
        let sequence = |number| if manifests == 1 { 0 } else { number };
        let wanted = [
            ("new", "Added", false, sequence(3), Some(0), None),
            ("a", "Deleted", false, sequence(3), Some(5), Some(4711)),
            ("b", "Deleted", false, sequence(2), Some(5), Some(4711)),
            ("c", "Existing", true, sequence(1), Some(5), Some(4711)),
        ];
        let wanted =
            wanted.map(|(name, status, own, sequence, order, kept)| (name.to_string(), status.to_string(), own, sequence, order, kept));
        assert_eq!(seen, wanted, "manifests of version {manifests}");
    }
}

#[tokio::test]
async fn row_ids_are_inherited_in_order_and_survive_a_rewritten_manifest() {
    let (table, store) = Fixture { version: 3, manifests: 3, first_row_id: Some(100), ..Fixture::default() }.build().await;
    let ids = |files: Vec<DataFile>| -> Vec<(String, Option<i64>)> {
        files.into_iter().map(|file| (file.location.name().to_string(), file.lineage.unwrap().first_row_id)).collect()
    };
    let version = table.load().await.unwrap();
    let named = |name: &str, id| (name.to_string(), Some(id));
    assert_eq!(ids(files(&*version).await), [named("a", 100), named("b", 110), named("c", 115)]);
    landed(&*version, &replacing(&*version, &["a"]).await).await;
    let after = table.load().await.unwrap();
    assert_eq!(ids(files(&*after).await), [named("new", 200), named("b", 110), named("c", 115)]);
    let doc = current_document(&table, &store).await;
    // Ten new rows, and nine in the rewritten manifest, whose ids stay unused.
    assert_eq!(
        (&doc["snapshots"][1]["first-row-id"], &doc["snapshots"][1]["added-rows"], &doc["next-row-id"]),
        (&json!(200), &json!(19), &json!(219))
    );
}

#[tokio::test]
async fn an_equality_delete_that_came_meanwhile_still_applies_to_the_new_file() {
    let (plain, _) = Fixture::default().build().await;
    let change = replacing(&*plain.load().await.unwrap(), &["a", "c"]).await;
    let deletes = vec![Row(1, 2, "/t/data/eq", 4, 1)];
    let (table, _) = Fixture { deletes, ..Fixture::default() }.build().await;
    let version = table.load().await.unwrap();
    assert_eq!(version.still_holds(&change).await.unwrap(), [true]);
    landed(&*version, &change).await;
    let after = files(&*table.load().await.unwrap()).await;
    assert!(after.iter().all(|file| file.deletes.len() == 1 && file.deletes[0].kind == DeleteKind::Equality));
}

#[tokio::test]
async fn a_file_that_gained_position_deletes_or_went_is_a_conflict() {
    let (plain, _) = Fixture::default().build().await;
    let change = replacing(&*plain.load().await.unwrap(), &["a", "c"]).await;
    let deleted = Fixture { deletes: vec![Row(1, 1, "/t/data/pos", 4, 1)], ..Fixture::default() };
    let gone = Fixture { data: vec![Row(1, 0, "/t/data/a", 3, 10)], ..Fixture::default() };
    for fixture in [deleted, gone] {
        let (table, store) = fixture.build().await;
        let version = table.load().await.unwrap();
        let names = names_in_metadata(&store).await;
        assert_eq!(version.still_holds(&change).await.unwrap(), [false]);
        let Answer::Rejected(error) = version.offer(&change, Timestamp(0)).await else { panic!("it must not land") };
        assert_eq!(error.kind(), Kind::Conflict);
        assert_eq!(names_in_metadata(&store).await, names);
    }
}

#[tokio::test]
async fn what_was_written_goes_when_the_place_is_taken_and_stays_when_nobody_answers() {
    for (says, stays) in [(Says::Taken, false), (Says::Nothing, true)] {
        let (table, store) = Fixture { says, ..Fixture::default() }.build().await;
        let names = names_in_metadata(&store).await;
        let version = table.load().await.unwrap();
        let change = replacing(&*version, &["a"]).await;
        let answer = version.offer(&change, Timestamp(0)).await;
        assert!(matches!((says, answer), (Says::Taken, Answer::Taken) | (Says::Nothing, Answer::Silence(_))));
        let after = names_in_metadata(&store).await;
        assert_eq!(after.len() > names.len(), stays);
        assert!(after.iter().filter(|name| !names.contains(name)).all(|name| name.contains("op")));
    }
}

#[tokio::test]
async fn manifests_without_live_files_are_not_carried_on() {
    let (table, _) = Fixture::default().build().await;
    for (names, manifests) in [(["a", "b", "c"].as_slice(), 2), (["new"].as_slice(), 2)] {
        let version = table.load().await.unwrap();
        let mut change = replacing(&*version, names).await;
        change.groups[0].adds[0].location = place(&format!("/t/data/{}", if names.len() > 1 { "new" } else { "newer" }));
        landed(&*version, &change).await;
        assert_eq!(table.version().await.unwrap().scan.manifests().await.unwrap().len(), manifests);
    }
}
