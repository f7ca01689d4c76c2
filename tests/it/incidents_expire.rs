//! Incidents of other tools' expiry, by name. What is covered elsewhere: several references on random histories in `expire_property.rs`, kills and
//! lost answers in `expire_crash.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use otf::error::Kind;
use otf::location::Location;
use otf::ops::document::Outcome;
use otf::ops::expire::plan::Wishes;
use otf::ops::expire::{Finished, LeftFiles, Options};
use otf::store::faulty::{Fault, Faults};
use serde_json::{Value as Json, json};

use crate::support::expiry::{everything, expire, expire_table, keys, older_than_days, table, versions};
use crate::support::timeline::{ROOT, Says, Timeline, list_key, path};
use crate::support::workbench::{objects, runtime};

/// Three snapshots; the first two have a file each that the last has no more.
fn three() -> (Timeline, [i64; 3]) {
    let mut timeline = Timeline::default();
    let first = timeline.append(None, 30);
    let second = timeline.append(Some(first), 20);
    let gone: Vec<String> = timeline.live(second).into_iter().collect();
    let rewritten = timeline.rewrite(second, 10, &gone);
    timeline.name("main", rewritten, true);
    (timeline, [first, second, rewritten])
}

async fn there(store: &Arc<dyn ObjectStore>, keys_of: &BTreeSet<String>) -> bool {
    let now = keys(store).await;
    keys_of.iter().all(|key| now.contains(key))
}

fn left(left: &[LeftFiles]) -> Vec<(String, u64)> {
    left.iter().map(|left| (serde_json::to_value(left.why).unwrap().as_str().unwrap().to_string(), left.files)).collect()
}

#[test]
fn expire_branches_every_reference_has_its_files_afterwards() {
    runtime().block_on(async {
        let (mut timeline, [first, second, last]) = three();
        let ahead = timeline.append(Some(first), 15);
        timeline.name("audit", ahead, true);
        timeline.name("v1", second, false);
        let store = timeline.lay_out().await;
        let finished = expire(&store, &everything()).await.unwrap();
        assert_eq!(finished.report.expired, [first.to_string()]);
        assert!(there(&store, &timeline.reach(&[second, last, ahead])).await);
        for id in [ahead, second] {
            let error = expire(&store, &versions(&[id])).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused);
        }
    });
}

#[test]
fn expire_leftover_nothing_unreachable_remains() {
    runtime().block_on(async {
        let (timeline, [.., last]) = three();
        let store = timeline.lay_out().await;
        expire(&store, &everything()).await.unwrap();
        let metadata = ["metadata/v1.metadata.json", "metadata/v2.metadata.json", "metadata/version-hint.text"].map(str::to_string);
        let expected: BTreeSet<String> = timeline.reach(&[last]).into_iter().chain(metadata).collect();
        assert_eq!(keys(&store).await, expected);
    });
}

/// The file `place` becomes one of the first snapshot's; what of it stays is told.
async fn with_a_file_of_others(place: &str, more: &[&str]) -> (bool, Vec<(String, u64)>) {
    let mut timeline = Timeline::default();
    let own = timeline.file();
    let manifest = timeline.manifest(vec![(Says::Added, own.clone()), (Says::Added, place.to_string())]);
    let first = timeline.snapshot(None, 20, vec![manifest]);
    let second = timeline.rewrite(first, 10, &[own.clone(), place.to_string()]);
    timeline.name("main", second, true);
    let store = timeline.lay_out().await;
    for place in more.iter().copied().chain([place]) {
        store.put(&Path::parse(path(place).trim_start_matches('/')).unwrap(), PutPayload::from_static(b"x")).await.unwrap();
    }
    let finished = expire(&store, &everything()).await.unwrap();
    assert_eq!(finished.outcome, Outcome::Landed);
    assert!(store.head(&Path::parse(path(place).trim_start_matches('/')).unwrap()).await.is_ok(), "{place} was deleted");
    (keys(&store).await.contains(&own), left(&finished.report.left))
}

#[test]
fn expire_shared_files_that_are_not_the_tables_own_stay() {
    runtime().block_on(async {
        let outside = |files| vec![("outside-the-table".to_string(), files)];
        assert_eq!(with_a_file_of_others("/elsewhere/source/f.parquet", &[]).await, (false, outside(1)));
        assert_eq!(with_a_file_of_others("/lake/t_2/data/f.parquet", &[]).await, (false, outside(1)));
        let inner = vec![("in-another-table".to_string(), 1)];
        for mark in ["inner/metadata/v1.metadata.json", "inner/_delta_log/00000000000000000000.json"] {
            assert_eq!(with_a_file_of_others("inner/data/p=1/f.parquet", &[mark]).await, (false, inner.clone()));
        }
        let shared = vec![("shared-with-another-format".to_string(), 2)];
        assert_eq!(with_a_file_of_others("data/f.parquet", &["_delta_log/00000000000000000000.json"]).await, (true, shared));
    });
}

#[test]
fn gc_disabled_is_refused_whatever_else_is_asked() {
    runtime().block_on(async {
        let (mut timeline, [first, ..]) = three();
        timeline.properties.insert("gc.enabled".into(), "false".into());
        for options in [everything(), versions(&[first]), Options { metadata_only: true, ..everything() }] {
            let store = timeline.lay_out().await;
            let error = expire(&store, &options).await.unwrap_err();
            assert_eq!((error.kind(), error.message().contains("gc.enabled")), (Kind::Refused, true));
            assert_eq!(keys(&store).await, timeline.objects().into_keys().collect());
        }
    });
}

#[test]
fn expire_stream_a_job_finds_the_snapshot_it_goes_on_from() {
    runtime().block_on(async {
        let (mut timeline, [first, second, last]) = three();
        timeline.snapshots.get_mut(&second).unwrap().summary =
            json!({"operation": "append", "flink.job-id": "j", "flink.max-committed-checkpoint-id": "7"});
        let store = timeline.lay_out().await;
        let options = Options { wishes: Wishes { unsafe_retention: false, ..older_than_days(6).wishes }, ..Options::default() };
        assert_eq!(expire(&store, &options).await.unwrap().report.expired, [first.to_string()]);
        assert!(there(&store, &timeline.reach(&[second, last])).await);
        assert_eq!(expire(&store, &options).await.unwrap().outcome, Outcome::NothingToDo);
        let pinned = Wishes { pins: [otf::model::Version(second)].into(), ..everything().wishes };
        assert_eq!(expire(&store, &Options { wishes: pinned, ..Options::default() }).await.unwrap().outcome, Outcome::NothingToDo);
        assert_eq!(expire(&store, &everything()).await.unwrap().report.expired, [second.to_string()]);
    });
}

/// When the other writer's turn comes.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Claiming,
    Claimed,
    Unheard,
}

/// Expires while another writer, at `moment`, writes `deed` of the newest metadata as the next.
async fn race(timeline: &Timeline, moment: Moment, deed: impl Fn(&mut Json), new: &Timeline) -> (Arc<dyn ObjectStore>, Finished) {
    let run = |store: Arc<dyn ObjectStore>| async move {
        expire_table(&*table(&store), &store, (1, "first-operation"), &everything()).await.map(|(finished, _)| finished)
    };
    let rehearsal = Faults::none();
    run(rehearsal.over(timeline.lay_out().await)).await.unwrap();
    let claim = rehearsal.calls().iter().position(|call| call.operation == "claim" && call.key.ends_with(".metadata.json")).unwrap();
    let fault = match moment {
        Moment::Claiming => Fault::Hold,
        Moment::Claimed => Fault::HoldAnswer,
        Moment::Unheard => Fault::HoldAndLoseAnswer,
    };
    let (store, faults) = (timeline.lay_out().await, Faults::at(claim as u64 + 1, fault));
    let theirs = async {
        faults.until_held().await;
        let now = objects(&store, &Location::parse(ROOT).unwrap()).await;
        let number = (1..).find(|number| !now.contains_key(&format!("metadata/v{}.metadata.json", number + 1))).unwrap();
        let mut doc: Json = serde_json::from_slice(&now[&format!("metadata/v{number}.metadata.json")]).unwrap();
        deed(&mut doc);
        let puts = new.objects.iter().filter(|(key, _)| !timeline.objects.contains_key(*key));
        let puts = puts.map(|(key, bytes)| (key.clone(), bytes.clone()));
        let metadata = (format!("metadata/v{}.metadata.json", number + 1), doc.to_string().into_bytes().into());
        for (key, bytes) in puts.chain([metadata]) {
            store.put(&Path::parse(path(&key).trim_start_matches('/')).unwrap(), PutPayload::from_bytes(bytes)).await.unwrap();
        }
        faults.release();
    };
    let (finished, ()) = futures::future::join(run(faults.over(Arc::clone(&store))), theirs).await;
    (store, finished.unwrap())
}

/// Takes a snapshot of `of` into the document as the head of main.
fn commit(doc: &mut Json, of: &Timeline, id: i64) {
    let all = of.document();
    let snapshot = all["snapshots"].as_array().unwrap().iter().find(|one| one["snapshot-id"] == id).unwrap().clone();
    doc["snapshots"].as_array_mut().unwrap().push(snapshot);
    doc["current-snapshot-id"] = id.into();
    doc["refs"]["main"]["snapshot-id"] = id.into();
}

#[test]
fn expire_race_a_tag_set_meanwhile_keeps_its_version() {
    runtime().block_on(async {
        let (timeline, [first, second, last]) = three();
        let tag = |doc: &mut Json| doc["refs"]["new"] = json!({"type": "tag", "snapshot-id": first});
        let (store, finished) = race(&timeline, Moment::Claiming, tag, &timeline).await;
        assert_eq!((finished.outcome, finished.report.expired), (Outcome::Landed, vec![second.to_string()]));
        assert!(there(&store, &timeline.reach(&[first, last])).await);
        assert!(!there(&store, &timeline.reach(&[second])).await);
    });
}

#[test]
fn expire_race_a_version_committed_meanwhile_is_whole_and_stays() {
    runtime().block_on(async {
        for moment in [Moment::Claiming, Moment::Claimed, Moment::Unheard] {
            let (timeline, [first, second, last]) = three();
            let mut rival = timeline.clone();
            let new = rival.append(Some(last), 0);
            let (store, finished) = race(&timeline, moment, |doc| commit(doc, &rival, new), &rival).await;
            assert_eq!(finished.outcome, Outcome::Landed, "{moment:?}");
            assert_eq!(finished.report.expired, [first, second].map(|id| id.to_string()), "{moment:?}");
            assert!(there(&store, &rival.reach(&[last, new])).await, "{moment:?}");
            assert!(!there(&store, &BTreeSet::from([list_key(first)])).await, "{moment:?}");
            assert_eq!(finished.after.files, finished.before.files + 1);
        }
    });
}

#[test]
fn expire_race_a_file_taken_into_use_again_meanwhile_stays() {
    runtime().block_on(async {
        for moment in [Moment::Claiming, Moment::Claimed, Moment::Unheard] {
            let (timeline, [first, _, last]) = three();
            let file: Vec<String> = timeline.live(first).into_iter().collect();
            let mut rival = timeline.clone();
            let manifest = rival.manifest(vec![(Says::Added, file[0].clone())]);
            let new = rival.snapshot(Some(last), 0, vec![manifest]);
            let (store, finished) = race(&timeline, moment, |doc| commit(doc, &rival, new), &rival).await;
            assert_eq!(finished.outcome, Outcome::Landed, "{moment:?}");
            assert!(there(&store, &rival.reach(&[last, new])).await, "{moment:?}");
            assert_eq!(finished.report.spared, u64::from(!matches!(moment, Moment::Claiming)), "{moment:?}");
        }
    });
}

/// iceberg #18132, #17219: what lists share is read once, whatever the number of versions.
#[test]
fn expire_slow_twice_the_versions_are_at_most_twice_the_calls() {
    runtime().block_on(async {
        let mut calls = Vec::new();
        for versions in [40, 80] {
            let mut timeline = Timeline::default();
            let first = timeline.append(None, 100);
            // All of them share a manifest, and every tenth has a file that the next one has no more.
            let head = (1..versions).fold(first, |head, n| {
                let added: Vec<String> = timeline.live(head).difference(&timeline.live(first)).cloned().collect();
                if n % 10 == 0 { timeline.append(Some(head), 90) } else { timeline.rewrite(head, 90, &added) }
            });
            timeline.name("main", head, true);
            timeline.name("kept", first, false);
            let faults = Faults::none();
            let finished = expire(&faults.over(timeline.lay_out().await), &everything()).await.unwrap();
            assert_eq!(finished.report.expired.len(), versions - 2);
            let read =
                |key: &str| faults.calls().iter().filter(|call| call.key.ends_with(key) && call.operation.starts_with("get")).count();
            assert!((0..versions).all(|n| read(&format!("/m{n}.avro")) <= 3), "a manifest is read over and over");
            calls.push(faults.calls().len());
        }
        assert!(calls[1] <= 2 * calls[0], "{calls:?}");
    });
}
