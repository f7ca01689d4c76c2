//! A Delta table's files go by one clock and its log entries by another (VACUUM and log clean-up): a version may be listed and no longer be
//! readable. Whatever the history and wherever a run is struck, what is promised can be read, and a second run finds nothing to do (X1–X4).

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::{ObjectStore, ObjectStoreExt};
use otf::error::Kind;
use otf::formats::Table;
use otf::model::{At, Version};
use otf::ops::document::Outcome;
use otf::ops::expire::plan::{Cutoff, Wishes};
use otf::ops::expire::{Finished, Options};
use otf::store::faulty::Faults;
use serde_json::json;

use crate::crash::Mishap;
use crate::support::NOON;
use crate::support::delta_history::{DeltaHistory, Made, ROOT, delta, expire_delta, keys};
use crate::support::expiry::dry_run_of;
use crate::support::timeline::DAY;
use crate::support::workbench::{objects, over, runtime};

pub(crate) const STATE: &str = "_otf/emptied.state";

/// Eight versions of 50 to 1 days: at the format's own durations the log goes up to 3, files up to 6.
fn history() -> DeltaHistory {
    let mut history = DeltaHistory::new(json!({"delta.checkpointInterval": "4"}), 51);
    let first = history.commit(50, &[], false);
    let second = history.commit(40, &[&first], true);
    let third = history.commit(31, &[&second], true);
    let fourth = history.commit(20, &[&third], true);
    history.commit(12, &[&fourth], true);
    let kept = history.commit(8, &[], false);
    history.commit(5, &[&kept], true);
    history
}

fn names(files: &[&str]) -> BTreeSet<String> {
    files.iter().map(|name| (*name).to_string()).collect()
}

pub(crate) fn options(wishes: Wishes) -> Options {
    Options { wishes, files_named: 10_000, ..Options::default() }
}

/// Every file that `version` needs is there, and it can be loaded.
pub(crate) async fn is_whole(history: &DeltaHistory, store: &Arc<dyn ObjectStore>, version: usize) -> bool {
    let (data, _) = keys(store).await;
    let at = At::Version(Version(i64::try_from(version).unwrap()));
    let loaded = delta(store).load_at(&at).await.unwrap_or_else(|error| panic!("{version}: {error:?}"));
    let files: Vec<_> = futures::TryStreamExt::try_collect(loaded.files(false)).await.unwrap();
    let files: BTreeSet<String> = files.iter().map(|file: &otf::model::DataFile| file.path().to_string()).collect();
    assert_eq!(files, history.live(version), "{version}");
    files.is_subset(&data)
}

pub(crate) async fn quiet_run(store: &Arc<dyn ObjectStore>, options: &Options) -> (Finished, Vec<(&'static str, String)>) {
    let faults = Faults::none();
    let finished = expire_delta(&faults.over(Arc::clone(store)), 3, "third-operation", options).await.unwrap();
    (finished, faults.calls().into_iter().map(|call| (call.operation, call.key)).collect())
}

#[test]
fn by_default_files_go_after_a_week_and_log_entries_after_a_month() {
    runtime().block_on(async {
        let history = history();
        let (store, options) = (history.lay_out().await, Options::default());
        let done = expire_delta(&store, 1, "an-operation", &options).await.unwrap();
        assert_eq!(done.outcome, Outcome::Landed, "{done:?}");
        assert_eq!((done.report.expired.join(","), done.report.emptied.join(",")), ("0,1,2".into(), "3,4,5".into()));
        let (data, others) = keys(&store).await;
        let live = ["file-5.parquet", "file-6.parquet", "file-7.parquet", "_change_data/cdc-7.parquet"];
        assert_eq!(data, names(&live));
        let log = others.iter().filter_map(|name| name.strip_prefix("_delta_log/").filter(|name| name.ends_with(".json")));
        let log: Vec<i64> = log.map(|name| name.split('.').next().unwrap().parse().unwrap()).collect();
        assert_eq!(log, [3, 4, 5, 6, 7]);
        assert!(others.contains("_delta_log/00000000000000000003.checkpoint.parquet") && others.contains(STATE), "{others:?}");
        assert!(is_whole(&history, &store, 6).await && is_whole(&history, &store, 7).await);
        assert!(!is_whole(&history, &store, 4).await, "what was replaced more than a week ago is listed and empty");
        let (again, calls) = quiet_run(&store, &options).await;
        assert_eq!((again.outcome, again.report.emptied.len()), (Outcome::NothingToDo, 0));
        let looked: Vec<_> = calls.iter().filter(|(operation, _)| !matches!(*operation, "get" | "list" | "ranges")).collect();
        assert!(looked.iter().all(|(_, key)| !key.contains("file-")), "files that are known to be gone are not looked for: {looked:?}");
    });
}

/// Another tool's VACUUM leaves nothing for us but the log; what it did is noted once it is seen.
#[test]
fn after_a_vacuum_by_another_tool_no_file_is_left_to_go() {
    runtime().block_on(async {
        let mut history = history();
        history.configuration["delta.logRetentionDuration"] = json!("interval 100 days");
        let (store, options) = (history.lay_out().await, Options::default());
        let kept = history.files_kept(6, NOON - 7 * DAY);
        for gone in history.all_files().difference(&kept) {
            store.delete(&object_store::path::Path::parse(format!("{ROOT}/{gone}")).unwrap()).await.unwrap();
        }
        let (first, _) = quiet_run(&store, &options).await;
        assert_eq!((first.outcome, first.plan.emptied.len()), (Outcome::NothingToDo, 0), "{first:?}");
        assert!(keys(&store).await.1.contains(STATE));
        let (second, calls) = quiet_run(&store, &options).await;
        assert_eq!(second.outcome, Outcome::NothingToDo);
        assert_eq!(calls.iter().find(|(operation, key)| *operation == "head" && key.contains("file-")), None);
    });
}

/// Where the log was cleaned up before the files went, by another tool or by `--metadata-only`, what was removed is only in a checkpoint: it goes by its
/// own clock, although no version that is listed loses anything. Change data is named by commits alone; `orphans` finds it.
#[test]
fn files_that_only_a_checkpoint_still_calls_removed_go_too() {
    runtime().block_on(async {
        let mut history = history();
        history.configuration =
            json!({"delta.checkpointInterval": "4", "delta.logRetentionDuration": "interval 100 days", "delta.deletedFileRetentionDuration": "interval 100 days"});
        let wishes = || Wishes { older_than: Some(Cutoff::Age(15 * DAY)), unsafe_retention: true, ..Wishes::default() };
        for by_us in [false, true] {
            let store = history.lay_out().await;
            if by_us {
                let only_metadata = Options { metadata_only: true, ..options(wishes()) };
                let done = expire_delta(&store, 1, "an-operation", &only_metadata).await.unwrap();
                assert_eq!((done.report.expired.join(","), done.report.emptied.len()), ("0,1,2,3".into(), 0));
            } else {
                for version in 0..4 {
                    let commit = format!("{ROOT}/_delta_log/{version:020}.json");
                    store.delete(&object_store::path::Path::parse(commit).unwrap()).await.unwrap();
                }
            }
            assert_eq!(keys(&store).await.0, history.all_files());
            let plan = dry_run_of(&delta(&store), &store, &options(wishes())).await.unwrap();
            assert!(!plan.is_empty() && plan.expired.is_empty() && plan.emptied.is_empty(), "{plan:?}");
            assert_eq!(plan.files.len(), 4, "{:?}", plan.files);
            let done = expire_delta(&store, 1, "an-operation", &options(wishes())).await.unwrap();
            assert_eq!((done.outcome, done.report.expired.len(), done.report.emptied.len()), (Outcome::Landed, 0, 0), "{done:?}");
            let mut kept = history.files_kept(4, NOON - 15 * DAY);
            kept.extend(names(&["_change_data/cdc-2.parquet", "_change_data/cdc-3.parquet"]));
            assert_eq!(keys(&store).await.0, kept, "{done:?}");
            for version in 4..=7 {
                assert!(is_whole(&history, &store, version).await, "{version}");
            }
            let (again, calls) = quiet_run(&store, &options(wishes())).await;
            assert_eq!(again.outcome, Outcome::NothingToDo);
            let others = calls.iter().find(|(operation, _)| !matches!(*operation, "get" | "list" | "ranges"));
            assert!(others.is_none_or(|(_, key)| key.ends_with(STATE)), "neither a write nor a look at a file: {others:?}");
        }
    });
}

#[test]
fn the_last_versions_keep_their_files_and_a_pinned_one_too() {
    runtime().block_on(async {
        let history = history();
        let store = history.lay_out().await;
        let last = options(Wishes { retain_last: Some(4), ..Wishes::default() });
        let done = expire_delta(&store, 1, "an-operation", &last).await.unwrap();
        assert_eq!((done.report.expired.join(","), done.report.emptied.join(",")), ("0,1,2".into(), "3".into()));
        assert!(is_whole(&history, &store, 4).await && is_whole(&history, &store, 5).await);
        let store = history.lay_out().await;
        let pinned = options(Wishes { pins: [Version(4)].into(), ..Wishes::default() });
        let done = expire_delta(&store, 1, "an-operation", &pinned).await.unwrap();
        assert_eq!((done.report.expired.join(","), done.report.emptied.join(",")), ("0,1,2".into(), "3".into()));
        let everything = Options { metadata_only: true, ..Options::default() };
        let store = history.lay_out().await;
        let done = expire_delta(&store, 1, "an-operation", &everything).await.unwrap();
        assert_eq!((done.report.expired.join(","), done.report.emptied.len()), ("0,1,2".into(), 0));
        assert_eq!(keys(&store).await.0, history.all_files(), "only metadata was to go");
    });
}

/// Incident vacuum-longwriter (delta-rs PR #3835): files that a long job has written or reads are not put in danger by a short retention.
#[test]
fn vacuum_longwriter_less_than_the_table_or_a_week_asks_for_is_refused() {
    runtime().block_on(async {
        let wishes = |days: i64, unsafely: bool| {
            options(Wishes { older_than: Some(Cutoff::Age(days * DAY)), unsafe_retention: unsafely, ..Wishes::default() })
        };
        let mut history = history();
        let store = history.lay_out().await;
        for days in [0, 6, 29] {
            let error = expire_delta(&store, 1, "an-operation", &wishes(days, false)).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Refused, "{days}");
        }
        assert_eq!(keys(&store).await.0, history.all_files());
        let done = expire_delta(&store, 1, "an-operation", &wishes(30, false)).await.unwrap();
        assert_eq!((done.report.expired.join(","), done.report.emptied.len()), ("0,1,2".into(), 0), "an age that is given moves both");
        // A table that keeps files for a day keeps them for a week unless somebody says that it is meant.
        history.configuration = json!({"delta.deletedFileRetentionDuration": "interval 1 day"});
        let store = history.lay_out().await;
        let careful = expire_delta(&store, 1, "an-operation", &Options::default()).await.unwrap();
        assert_eq!(careful.report.emptied.join(","), "3,4,5");
        let meant = options(Wishes { unsafe_retention: true, ..Wishes::default() });
        let done = expire_delta(&store, 1, "an-operation", &meant).await.unwrap();
        assert_eq!((done.outcome, done.report.emptied.join(",")), (Outcome::Landed, "6".into()));
        assert_eq!(keys(&store).await.0, history.live(7), "change data that leads from an empty version goes with it");
    });
}

/// Incident vacuum-default (delta-rs #3911): who only asks is told what would go, and nothing is written.
#[test]
fn vacuum_default_nothing_is_written_without_consent() {
    runtime().block_on(async {
        let store = history().lay_out().await;
        let before = keys(&store).await;
        let faults = Faults::none();
        let struck = faults.over(Arc::clone(&store));
        let plan = dry_run_of(&delta(&struck), &struck, &options(Wishes::default())).await.unwrap();
        assert_eq!((plan.expired.len(), plan.emptied.len()), (3, 3));
        assert!(plan.files.iter().any(|name| name.ends_with("/file-4.parquet")), "{:?}", plan.files);
        let writes = faults.calls().into_iter().find(|call| !matches!(call.operation, "get" | "head" | "ranges" | "list"));
        assert_eq!((writes, keys(&store).await), (None, before));
    });
}

/// Incident vacuum-commit (delta-rs #3534): a version that is committed meanwhile is whole.
#[test]
fn vacuum_commit_a_version_committed_meanwhile_is_whole() {
    runtime().block_on(async {
        let before = history().lay_out().await;
        for call in calls_worth_striking(&before).await {
            let (mut history, store) = (history(), copy(&before).await);
            let faults = Faults::at(call, otf::store::faulty::Fault::KillBefore);
            drop(expire_delta(&faults.over(Arc::clone(&store)), 1, "an-operation", &Options::default()).await);
            // Another writer brings back what was removed five days ago, while the run that died may be anywhere.
            history.versions.push(Made { time: NOON, adds: vec!["file-6.parquet".into()], ..Made::default() });
            history.lay_commit(&store, 8).await;
            let done = expire_delta(&store, 2, "second-operation", &Options::default()).await.unwrap();
            assert!(matches!(done.outcome, Outcome::Landed | Outcome::NothingToDo), "{call}: {done:?}");
            for version in 6..=8 {
                assert!(is_whole(&history, &store, version).await, "{call}: {version}");
            }
        }
    });
}

async fn copy(from: &Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
    let memory: Arc<dyn ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let root = otf::location::Location::parse(ROOT).unwrap();
    for (name, bytes) in objects(from, &root).await {
        over(&memory).put(&root.child(&name), bytes).await.unwrap();
    }
    memory
}

/// Every call of an expiry that changes something, and some of the others.
async fn calls_worth_striking(before: &Arc<dyn ObjectStore>) -> Vec<u64> {
    let rehearsal = Faults::none();
    expire_delta(&rehearsal.over(copy(before).await), 1, "an-operation", &Options::default()).await.unwrap();
    let is_reading = |operation: &str| matches!(operation, "get" | "head" | "ranges" | "list");
    let calls = (1..).zip(rehearsal.calls()).filter(|(call, known)| !is_reading(known.operation) || call % 13 == 0);
    calls.map(|(call, _)| call).collect()
}

/// Other writers' sums may hold all that their commits say, one after the other. They are passed over: which word on a file counts cannot be told.
#[test]
fn a_sum_that_says_two_things_of_a_file_is_not_read() {
    runtime().block_on(async {
        let mut history = history();
        history.configuration["delta.checkpointInterval"] = json!("100");
        let store = history.lay_out().await;
        let root = otf::location::Location::parse(ROOT).unwrap();
        let all = objects(&store, &root).await;
        let text: Vec<u8> = (0..=7).rev().flat_map(|version| all[&format!("_delta_log/{version:020}.json")].to_vec()).collect();
        let sum = root.child("_delta_log").child(&format!("{:020}.{:020}.compacted.json", 0, 7));
        over(&store).put(&sum, text.into()).await.unwrap();
        assert!(is_whole(&history, &store, 7).await);
        let done = expire_delta(&store, 1, "an-operation", &Options::default()).await.unwrap();
        assert_eq!((done.outcome, done.report.emptied.join(",")), (Outcome::Landed, "3,4,5".into()));
        assert_eq!(keys(&store).await.0, history.files_kept(6, NOON - 7 * DAY));
    });
}

/// Strikes at `call` and judges what follows.
async fn strike(
    (history, before): (&DeltaHistory, &Arc<dyn ObjectStore>),
    mishap: Mishap,
    call: u64,
    expected: &(BTreeSet<String>, BTreeSet<String>),
) {
    let (store, faults, process) = (copy(before).await, mishap.at(call), std::process::id());
    let options = Options::default();
    let outcome = expire_delta(&faults.over(Arc::clone(&store)), process, "struck-operation", &options).await;
    let calls = faults.calls();
    drop(outcome);
    let Some(struck) = usize::try_from(call - 1).ok().and_then(|at| calls.get(at)) else { return };
    let case = format!("{mishap:?} at call {call}, {} of {}", struck.operation, struck.key);
    kept_are_whole(history, &store, &case).await;
    let second = expire_delta(&store, process + 1, "second-operation", &options).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert!(matches!(second.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {second:?}");
    kept_are_whole(history, &store, &case).await;
    assert_eq!(&keys(&store).await, expected, "{case}");
    nothing_is_left_to_do(&store, &case).await;
}

async fn kept_are_whole(history: &DeltaHistory, store: &Arc<dyn ObjectStore>, case: &str) {
    for version in 6..=7 {
        assert!(is_whole(history, store, version).await, "{case}: {version}");
    }
}

/// Another run finds nothing to do, and writes nothing.
async fn nothing_is_left_to_do(store: &Arc<dyn ObjectStore>, case: &str) {
    let (third, calls) = quiet_run(store, &Options::default()).await;
    assert_eq!((third.outcome, third.report.leftovers_removed), (Outcome::NothingToDo, 0), "{case}");
    let writes = calls.iter().find(|(operation, _)| !matches!(*operation, "get" | "head" | "ranges" | "list"));
    assert_eq!(writes, None, "{case}: there was nothing to do");
}

fn sweep(mishap: Mishap) {
    runtime().block_on(async {
        let history = history();
        let before = history.lay_out().await;
        let store = copy(&before).await;
        expire_delta(&store, 1, "an-operation", &Options::default()).await.unwrap();
        let (expected, calls) = (keys(&store).await, calls_worth_striking(&before).await);
        assert!(calls.len() > 20, "{calls:?}");
        for call in calls {
            strike((&history, &before), mishap, call, &expected).await;
        }
    });
}

#[test]
fn emptying_survives_a_kill_at_any_call() {
    // To die after a call is to die before the next.
    sweep(Mishap::KilledBefore);
}

#[test]
fn emptying_survives_the_loss_of_any_answer() {
    sweep(Mishap::AnswerLostThenFails);
}

#[test]
fn emptying_survives_the_failure_of_any_call() {
    sweep(Mishap::FailsTwice);
}
