//! Expiry on hand-written histories: exactly the files go that only forgotten versions reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectStore;
use otf::error::Kind;
use otf::location::Location;
use otf::model::FileKind;
use otf::ops::document::Outcome;
use otf::ops::expire::{Finished, LeftFiles, Options};
use serde_json::{Value as Json, json};

use crate::support::expiry::{dry_run, everything, expire, keys, older_than_days, versions};
use crate::support::timeline::{ROOT, Says, Timeline, list_key, path};
use crate::support::workbench::{objects, runtime};

/// What a run is to leave: everything but these, and the new metadata file.
fn without(timeline: &Timeline, gone: &BTreeSet<String>) -> BTreeSet<String> {
    let all: BTreeSet<String> = timeline.objects().into_keys().collect();
    let mut left: BTreeSet<String> = all.difference(gone).cloned().collect();
    left.insert("metadata/v2.metadata.json".into());
    left
}

/// What only `gone` reach, of all snapshots.
fn only(timeline: &Timeline, gone: &[i64]) -> BTreeSet<String> {
    let kept = timeline.snapshots.keys().filter(|id| !gone.contains(id));
    timeline.reach(gone).difference(&timeline.reach(kept)).cloned().collect()
}

async fn document(store: &Arc<dyn ObjectStore>, version: u32) -> Json {
    let all = objects(store, &Location::parse(ROOT).unwrap()).await;
    serde_json::from_slice(&all[&format!("metadata/v{version}.metadata.json")]).unwrap()
}

/// Runs, and holds the run to the versions that were to go; a second run finds nothing.
async fn expires(timeline: &Timeline, options: &Options, gone: &[i64]) -> (Arc<dyn ObjectStore>, Finished) {
    let store = timeline.lay_out().await;
    let planned = dry_run(&store, options).await.unwrap();
    assert_eq!(keys(&store).await, timeline.objects().into_keys().collect(), "a dry run writes nothing");
    let finished = expire(&store, options).await.unwrap();
    assert_eq!(finished.report.expired, gone.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!((finished.outcome, finished.before), (Outcome::Landed, finished.after));
    let expected = only(timeline, gone);
    assert_eq!(keys(&store).await, without(timeline, &expected));
    assert_eq!((&planned.delete, planned.bytes), (&finished.report.deleted, finished.report.bytes_freed));
    let named: BTreeSet<String> = planned.files.iter().map(|file| file.strip_prefix(&format!("file://{ROOT}/")).unwrap().into()).collect();
    assert_eq!(named, expected, "a dry run names what the run deletes");
    let again = expire(&store, options).await.unwrap();
    assert_eq!((again.outcome, keys(&store).await), (Outcome::NothingToDo, without(timeline, &expected)));
    (store, finished)
}

fn counts(finished: &Finished) -> BTreeMap<FileKind, u64> {
    finished.report.deleted.0.clone()
}

#[test]
fn of_two_appends_the_older_list_goes_and_nothing_else() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let second = timeline.append(Some(first), 10);
        timeline.name("main", second, true);
        let (store, finished) = expires(&timeline, &everything(), &[first]).await;
        assert_eq!(counts(&finished), [(FileKind::ManifestLists, 1)].into());
        assert_eq!(finished.report.bytes_freed.0, timeline.objects()[&list_key(first)].len() as u64, "the list that was read");
        let doc = document(&store, 2).await;
        assert_eq!((doc["snapshots"].as_array().unwrap().len(), &doc["current-snapshot-id"]), (1, &json!(second)));
    });
}

#[test]
fn a_file_that_was_deleted_goes_with_the_version_that_had_it() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let second = timeline.append(Some(first), 15);
        let gone: Vec<String> = timeline.live(first).into_iter().collect();
        let third = timeline.rewrite(second, 10, &gone);
        timeline.name("main", third, true);
        let (_, finished) = expires(&timeline, &everything(), &[first, second]).await;
        assert_eq!(counts(&finished), [(FileKind::Data, 1), (FileKind::Manifests, 2), (FileKind::ManifestLists, 2)].into());
        assert!(finished.report.bytes_freed.0 > 10);
    });
}

#[test]
fn what_a_rollback_left_behind_goes_and_what_it_had_deleted_stays() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let gone: Vec<String> = timeline.live(first).into_iter().collect();
        let deleted = timeline.rewrite(first, 15, &gone);
        let added = timeline.append(Some(deleted), 12);
        let last = timeline.append(Some(first), 10);
        timeline.name("main", last, true);
        expires(&timeline, &everything(), &[first, deleted, added]).await;
    });
}

#[test]
fn a_file_that_was_taken_in_again_stays() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let file: Vec<String> = timeline.live(first).into_iter().collect();
        let deleted = timeline.rewrite(first, 15, &file);
        let again = timeline.manifest(vec![(Says::Added, file[0].clone())]);
        let last = timeline.snapshot(Some(deleted), 10, vec![again]);
        timeline.name("main", last, true);
        let (store, _) = expires(&timeline, &everything(), &[first, deleted]).await;
        assert!(keys(&store).await.contains(&file[0]));
    });
}

#[test]
fn data_rewritten_again_and_again_leaves_what_the_last_version_reaches() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let mut head = timeline.append(None, 50);
        for round in 1..10 {
            let gone: Vec<String> = timeline.live(head).into_iter().collect();
            head = timeline.rewrite(head, 50 - round, &gone);
            head = timeline.append(Some(head), 50 - round);
        }
        timeline.name("main", head, true);
        let gone: Vec<i64> = timeline.snapshots.keys().copied().filter(|id| *id != head).collect();
        expires(&timeline, &everything(), &gone).await;
    });
}

#[test]
fn a_version_that_is_named_goes_alone() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let second = timeline.rewrite(first, 15, &[]);
        let third = timeline.append(Some(second), 10);
        timeline.name("main", third, true);
        expires(&timeline, &Options { files_named: 9, ..versions(&[second]) }, &[second]).await;
        let store = timeline.lay_out().await;
        assert_eq!(expire(&store, &versions(&[third])).await.unwrap_err().kind(), Kind::Refused);
        assert_eq!(keys(&store).await, timeline.objects().into_keys().collect());
    });
}

#[test]
fn statistics_go_with_their_snapshot_unless_another_has_them_too() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let second = timeline.append(Some(first), 10);
        timeline.name("main", second, true);
        let statistics = |id: i64, name: &str| {
            json!({"snapshot-id": id, "statistics-path": path(name), "file-size-in-bytes": 7,
            "file-footer-size-in-bytes": 1, "blob-metadata": []})
        };
        timeline.more = json!({"statistics": [statistics(first, "metadata/a.stats"), statistics(first, "metadata/b.stats"),
            statistics(second, "metadata/b.stats")], "partition-statistics": [{"snapshot-id": first,
            "statistics-path": path("metadata/p.parquet"), "file-size-in-bytes": 5}]});
        for name in ["metadata/a.stats", "metadata/b.stats", "metadata/p.parquet"] {
            timeline.put(name, b"x".to_vec());
        }
        let store = timeline.lay_out().await;
        let finished = expire(&store, &everything()).await.unwrap();
        let list = timeline.objects()[&list_key(first)].len() as u64;
        assert_eq!((counts(&finished)[&FileKind::Statistics], finished.report.bytes_freed.0), (2, 12 + list));
        let gone = ["metadata/a.stats", "metadata/p.parquet", &list_key(first)].map(str::to_string).into();
        assert_eq!(keys(&store).await, without(&timeline, &gone));
        assert_eq!(document(&store, 2).await["statistics"], json!([statistics(second, "metadata/b.stats")]));
    });
}

#[test]
fn metadata_alone_goes_where_files_with_rows_are_to_stay() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let gone: Vec<String> = timeline.live(first).into_iter().collect();
        let second = timeline.rewrite(first, 10, &gone);
        timeline.name("main", second, true);
        let store = timeline.lay_out().await;
        let finished = expire(&store, &Options { metadata_only: true, ..everything() }).await.unwrap();
        assert_eq!(counts(&finished), [(FileKind::Manifests, 1), (FileKind::ManifestLists, 1)].into());
        assert_eq!(left(&finished.report.left), [("\"metadata-only\"".to_string(), 1)]);
        assert!(keys(&store).await.contains(&gone[0]));
    });
}

fn left(left: &[LeftFiles]) -> Vec<(String, u64)> {
    left.iter().map(|left| (serde_json::to_string(&left.why).unwrap(), left.files)).collect()
}

#[test]
fn earlier_metadata_goes_only_where_the_table_says_so() {
    runtime().block_on(async {
        for (enabled, gone) in [("true", vec!["metadata/old-1.metadata.json", "metadata/old-2.metadata.json"]), ("false", Vec::new())] {
            let mut timeline = Timeline::default();
            let first = timeline.append(None, 20);
            let second = timeline.append(Some(first), 10);
            timeline.name("main", second, true);
            timeline.properties.insert("write.metadata.delete-after-commit.enabled".into(), enabled.into());
            timeline.properties.insert("write.metadata.previous-versions-max".into(), "2".into());
            let names = ["metadata/old-1.metadata.json", "metadata/old-2.metadata.json", "metadata/old-3.metadata.json"];
            names.iter().for_each(|name| timeline.put(name, b"{}".to_vec()));
            let log: Vec<Json> = names.iter().map(|name| json!({"timestamp-ms": 1, "metadata-file": path(name)})).collect();
            timeline.more = json!({"metadata-log": log});
            let store = timeline.lay_out().await;
            let finished = expire(&store, &everything()).await.unwrap();
            let mut expected: BTreeSet<String> = gone.iter().map(ToString::to_string).collect();
            expected.insert(list_key(first));
            assert_eq!(keys(&store).await, without(&timeline, &expected));
            assert_eq!(counts(&finished).get(&FileKind::Metadata).copied().unwrap_or(0), gone.len() as u64);
        }
    });
}

#[test]
fn unused_schemas_and_specs_go_where_that_was_asked_for() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let second = timeline.append(Some(first), 10);
        timeline.name("main", second, true);
        let schema =
            |id: i32| json!({"type": "struct", "schema-id": id, "fields": [{"id": 1, "name": "x", "required": false, "type": "long"}]});
        let spec = |id: i32| json!({"spec-id": id, "fields": []});
        timeline.more = json!({"schemas": [schema(0), schema(1), schema(2)], "current-schema-id": 2,
            "partition-specs": [spec(0), spec(1), spec(2)], "default-spec-id": 2});
        let rules = |doc: &Json| {
            let ids = |key: &str, id: &str| doc[key].as_array().unwrap().iter().map(|rule| rule[id].as_i64().unwrap()).collect::<Vec<_>>();
            (ids("schemas", "schema-id"), ids("partition-specs", "spec-id"))
        };
        let store = timeline.lay_out().await;
        expire(&store, &everything()).await.unwrap();
        assert_eq!(rules(&document(&store, 2).await), (vec![0, 1, 2], vec![0, 1, 2]));
        let clean = Options { clean_metadata: true, ..everything() };
        let finished = expire(&store, &clean).await.unwrap();
        assert_eq!((finished.outcome, finished.report.unused_removed.schemas), (Outcome::Landed, vec![1]));
        assert_eq!(rules(&document(&store, 3).await), (vec![0, 2], vec![0, 2]));
        assert_eq!(expire(&store, &clean).await.unwrap().outcome, Outcome::NothingToDo);
    });
}

#[test]
fn a_table_without_a_snapshot_has_nothing_to_expire() {
    runtime().block_on(async {
        let timeline = Timeline::default();
        let store = timeline.lay_out().await;
        let finished = expire(&store, &Options { clean_metadata: true, ..everything() }).await.unwrap();
        assert_eq!((finished.outcome, finished.base_version), (Outcome::NothingToDo, None));
        assert_eq!(keys(&store).await, timeline.objects().into_keys().collect());
    });
}

#[test]
fn a_version_whose_files_are_gone_already_can_be_forgotten_and_one_that_stays_cannot_lack_any() {
    runtime().block_on(async {
        let mut timeline = Timeline::default();
        let first = timeline.append(None, 20);
        let second = timeline.rewrite(first, 15, &[]);
        let third = timeline.append(Some(second), 10);
        timeline.name("main", third, true);
        timeline.objects.remove(&list_key(first));
        let store = timeline.lay_out().await;
        assert_eq!(expire(&store, &everything()).await.unwrap().report.expired, ["1", "2"]);
        timeline.name("kept", first, false);
        let store = timeline.lay_out().await;
        let error = expire(&store, &older_than_days(12)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains("snap-1.avro"), "{error}");
        assert_eq!(keys(&store).await, timeline.objects().into_keys().collect());
    });
}
