//! Expiry is struck at every storage call, in every way a call can go wrong. Whatever happens, every version that stays has all its files, nothing
//! is deleted before the commit is certain, and the next run finishes what was begun and leaves nothing behind (P1, P2).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use otf::error::Result;
use otf::location::Location;
use otf::model::{At, Version};
use otf::ops::document::Outcome;
use otf::ops::expire::Finished;
use otf::store::faulty::{Fault, Faults};

use crate::crash::Mishap;
use crate::support::expiry::{everything, expire_table, keys, table, versions};
use crate::support::timeline::{ROOT, Timeline};
use crate::support::workbench::{Original, objects, over, runtime};

const STRUCK: &str = "struck-operation";

/// Five snapshots, a tag and a branch; 1, 3 and 4 are to go with a data file, manifests and lists.
fn timeline() -> Timeline {
    let mut timeline = Timeline::default();
    let first = timeline.append(None, 50);
    let tagged = timeline.append(Some(first), 40);
    let gone: Vec<String> = timeline.live(first).into_iter().collect();
    let third = timeline.rewrite(tagged, 30, &gone);
    let fourth = timeline.append(Some(third), 20);
    let added: Vec<String> = timeline.live(fourth).difference(&timeline.live(third)).cloned().collect();
    let last = timeline.rewrite(fourth, 10, &added);
    timeline.name("main", last, true);
    timeline.name("v1", tagged, false);
    timeline
}

const GONE: [i64; 3] = [1, 3, 4];
const KEPT: [i64; 2] = [2, 5];

/// Every version that stays has its files, with the bytes they had.
async fn what_stays_is_whole(timeline: &Timeline, store: &Arc<dyn ObjectStore>, case: &str) {
    let now = objects(store, &Location::parse(ROOT).unwrap()).await;
    for key in timeline.reach(&KEPT) {
        assert!(now.get(&key) == timeline.objects.get(&key), "{case}: {key} is gone or changed");
    }
    let table = table(store);
    for id in KEPT {
        let version = table.load_at(&At::Version(Version(id))).await.unwrap();
        let files: Vec<_> = version.files(false).try_collect().await.unwrap();
        let files: BTreeSet<String> = files.iter().map(|file| file.path().strip_prefix(&format!("{ROOT}/")).unwrap().to_string()).collect();
        assert_eq!(files, timeline.live(id), "{case}");
    }
}

fn is_unknown(outcome: &Result<Finished>) -> bool {
    outcome.as_ref().is_ok_and(|finished| finished.outcome == Outcome::Unknown)
}

async fn run(store: &Arc<dyn ObjectStore>, process: u32, operation: &str) -> Result<Finished> {
    expire_table(&*table(store), store, (process, operation), &everything()).await.map(|(finished, _)| finished)
}

/// Strikes at `call` and judges what follows; whether there was such a call.
#[expect(clippy::cognitive_complexity, reason = "every assertion counts as a branch")]
async fn strike(timeline: &Timeline, mishap: Mishap, call: u64) -> bool {
    let (store, faults, process) = (timeline.lay_out().await, mishap.at(call), std::process::id());
    let outcome = run(&faults.over(Arc::clone(&store)), process, STRUCK).await;
    let calls = faults.calls();
    let Some(struck) = usize::try_from(call - 1).ok().and_then(|at| calls.get(at)) else {
        assert_eq!(outcome.unwrap().outcome, Outcome::Landed);
        return false;
    };
    let case = format!("{mishap:?} at call {call}, {} of {}", struck.operation, struck.key);
    what_stays_is_whole(timeline, &store, &case).await;
    let now = keys(&store).await;
    let landed = now.contains("metadata/v2.metadata.json");
    if !landed || is_unknown(&outcome) {
        assert!(timeline.objects.keys().all(|key| now.contains(key)), "{case}: something was deleted before the commit was certain");
    }
    if let Ok(finished) = &outcome {
        let done = matches!(finished.outcome, Outcome::Landed | Outcome::Partial);
        assert!(done == landed || is_unknown(&outcome), "{case}: {finished:?}");
    }
    let second = run(&store, process + 1, "second-operation").await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert!(matches!(second.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {second:?}");
    what_stays_is_whole(timeline, &store, &case).await;
    let quiet = Faults::none();
    let third = run(&quiet.over(Arc::clone(&store)), process + 2, "third-operation").await.unwrap();
    assert_eq!((third.outcome, third.report.leftovers_removed), (Outcome::NothingToDo, 0), "{case}");
    let writes = quiet.calls().into_iter().find(|call| !matches!(call.operation, "get" | "head" | "ranges" | "list"));
    assert_eq!(writes, None, "{case}: there was nothing to do");
    let lost: BTreeSet<String> = timeline.reach(&GONE).difference(&timeline.reach(&KEPT)).cloned().collect();
    let mut expected: BTreeSet<String> = timeline.objects().into_keys().filter(|key| !lost.contains(key)).collect();
    expected.insert("metadata/v2.metadata.json".into());
    assert_eq!(keys(&store).await, expected, "{case}");
    true
}

fn sweep(mishap: Mishap) {
    runtime().block_on(async {
        let (timeline, mut call) = (timeline(), 1);
        while strike(&timeline, mishap, call).await {
            call += 1;
        }
        assert!(call > 40, "{call}");
    });
}

#[test]
fn an_expiry_survives_a_kill_before_any_call() {
    sweep(Mishap::KilledBefore);
}

#[test]
fn an_expiry_survives_a_kill_after_any_call() {
    sweep(Mishap::KilledAfter);
}

#[test]
fn an_expiry_survives_the_loss_of_any_answer() {
    sweep(Mishap::AnswerLost);
    sweep(Mishap::AnswerLostThenFails);
}

#[test]
fn an_expiry_survives_the_failure_of_any_call() {
    sweep(Mishap::Fails);
    sweep(Mishap::FailsTwice);
}

/// In a catalog a killed run also leaves a metadata file that never became current.
#[test]
fn an_expiry_in_a_catalog_survives_a_kill_at_any_call() {
    runtime().block_on(async {
        let original = Original::iceberg_in_sql("iceberg_v2_posdeletes").await;
        let metadata: serde_json::Value = serde_json::from_slice(&original.objects["metadata/v3.metadata.json"]).unwrap();
        let first = metadata["snapshots"][0]["snapshot-id"].as_i64().unwrap();
        for mishap in [Mishap::KilledBefore, Mishap::KilledAfter] {
            let mut call = 0;
            loop {
                call += 1;
                let (store, faults) = (original.lay_out().await, mishap.at(call));
                let struck = faults.over(Arc::clone(&store));
                let (process, options) = (std::process::id(), versions(&[first]));
                let opened = original.open(&over(&struck)).await;
                let ended = match &opened {
                    Ok(table) => expire_table(&**table, &struck, (process, STRUCK), &options).await.map(|_| ()),
                    Err(_) => Ok(()),
                };
                if faults.calls().len() < usize::try_from(call).unwrap() {
                    ended.unwrap();
                    break;
                }
                let case = format!("{mishap:?} at call {call}");
                assert_eq!(original.read(&store).await, original.rows, "{case}");
                let table = original.open(&over(&store)).await.unwrap();
                let (second, _) = expire_table(&*table, &store, (process + 1, "second-operation"), &options).await.unwrap();
                assert!(matches!(second.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {second:?}");
                assert_eq!(original.read(&store).await, original.rows, "{case}");
                let now = objects(&store, &original.root).await;
                let there: BTreeSet<String> = now.keys().cloned().collect();
                let named = original.named(&now).await;
                let strangers: Vec<&String> = there.difference(&named).collect();
                assert!(strangers.is_empty(), "{case}: {strangers:?}");
                assert_eq!(original.versions(&now).await, 1, "{case}");
            }
            assert!(call > 20, "{call}");
        }
    });
}

/// What cannot be deleted is told, and the next run deletes it; the expiry has landed all the same.
#[test]
fn a_file_that_cannot_be_deleted_is_reported_and_left_to_the_next_run() {
    runtime().block_on(async {
        let timeline = timeline();
        let rehearsal = Faults::none();
        let struck_by_nothing = timeline.lay_out().await;
        run(&rehearsal.over(Arc::clone(&struck_by_nothing)), 1, STRUCK).await.unwrap();
        let calls = rehearsal.calls();
        let at = calls.iter().position(|call| call.operation == "delete" && call.key.contains("/data/")).unwrap() as u64 + 1;
        let store = timeline.lay_out().await;
        let faults = Faults::at(at, Fault::Fail);
        let finished = run(&faults.over(Arc::clone(&store)), 1, STRUCK).await.unwrap();
        assert_eq!((finished.outcome, finished.report.failed, finished.report.failures.len()), (Outcome::Partial, 1, 1));
        let second = run(&store, 2, "second-operation").await.unwrap();
        assert_eq!((second.outcome, second.report.leftovers_removed > 0), (Outcome::NothingToDo, true));
        assert_eq!(keys(&store).await, keys(&struck_by_nothing).await);
    });
}
