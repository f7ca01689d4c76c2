//! Compaction is struck at every storage call, in every way a call can go wrong. Whatever happens, no row is lost, doubled or brought back,
//! nothing that a version names is deleted, and the next run brings the table to its goal and leaves nothing behind (P1, P2).

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use otf::error::Result;
use otf::ops::compact::{Finished, Options};
use otf::ops::document::Outcome;
use otf::store::faulty::{Fault, Faults};
use otf::store::local::LocalDisk;

use crate::support::workbench::{Original, objects, runtime};

/// The run that is struck.
const STRUCK: &str = "struck-operation";

/// What goes wrong at a storage call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mishap {
    /// The process dies before the call has an effect.
    KilledBefore,
    /// The process dies after the call had its effect.
    KilledAfter,
    /// The call has its effect and nobody hears of it.
    AnswerLost,
    /// The call fails without an effect.
    Fails,
    /// It and the call after it fail: the second is often the first step of cleaning up.
    FailsTwice,
    /// Its answer is lost, and the call after it fails.
    AnswerLostThenFails,
}

impl Mishap {
    pub(crate) fn at(self, call: u64) -> Faults {
        match self {
            Self::KilledBefore => Faults::at(call, Fault::KillBefore),
            Self::KilledAfter => Faults::at(call, Fault::KillAfter),
            Self::AnswerLost => Faults::at(call, Fault::LoseAnswer),
            Self::Fails => Faults::at(call, Fault::Fail),
            Self::FailsTwice => Faults::at(call, Fault::Fail).and(call + 1, Fault::Fail),
            Self::AnswerLostThenFails => Faults::at(call, Fault::LoseAnswer).and(call + 1, Fault::Fail),
        }
    }
}

/// Two commits and a checkpoint: both partitions of four files.
fn delta_options() -> Options {
    Options { min_input_files: Some(2), max_concurrent_groups: Some(1), partial_progress: Some(2), ..Options::default() }
}

pub(crate) fn iceberg_options() -> Options {
    Options { min_input_files: Some(2), max_concurrent_groups: Some(1), ..Options::default() }
}

/// Strikes at call 1, 2, 3 … until a run makes fewer calls. Returns how many calls were struck.
pub(crate) async fn sweep(original: &Original, options: &Options, mishap: Mishap) -> u64 {
    let mut call = 0;
    loop {
        call += 1;
        let table = original.lay_out().await;
        if !strike(original, &table, options, mishap, call).await {
            return call - 1;
        }
    }
}

/// Strikes at `call` and judges what follows; whether there was such a call.
async fn strike(original: &Original, table: &Arc<dyn ObjectStore>, options: &Options, mishap: Mishap, call: u64) -> bool {
    let faults = mishap.at(call);
    let outcome = original.compact(&faults.over(Arc::clone(table)), std::process::id(), STRUCK, options).await;
    let calls = faults.calls();
    let Some(struck) = usize::try_from(call - 1).ok().and_then(|at| calls.get(at)) else {
        assert_eq!(outcome.unwrap().outcome, Outcome::Landed);
        return false;
    };
    let case = format!("{mishap:?} at call {call}, {} of {}", struck.operation, struck.key);
    let landed = nothing_is_lost(original, table, &case).await;
    if !faults.is_dead() {
        tells_the_truth(&outcome, landed, &case);
    }
    if is_unknown(&outcome) {
        let deleted = calls.iter().any(|call| call.operation == "delete" && !call.key.contains("/_otf/"));
        assert!(!deleted, "{case}: files were deleted although the outcome is unknown");
    }
    the_next_run_finishes(original, table, options, &case).await;
    true
}

/// The table is readable, has its rows, and every file it had; returns how many commits were added.
async fn nothing_is_lost(original: &Original, table: &Arc<dyn ObjectStore>, case: &str) -> usize {
    assert_eq!(original.read(table).await, original.rows, "{case}");
    let now = objects(table, &original.root).await;
    for (name, bytes) in &original.objects {
        let same = now.get(name).is_some_and(|found| found == bytes || name.ends_with("version-hint.text"));
        assert!(same, "{case}: {name} is gone or changed");
    }
    original.versions(&now).await - original.versions_at_first()
}

/// A run that lives says what it did: what landed is reported, a failure means that nothing did, and an unknown end that it may have.
fn tells_the_truth(outcome: &Result<Finished>, landed: usize, case: &str) {
    let reported = outcome.as_ref().map_or(0, |finished| finished.versions.len());
    match outcome {
        _ if is_unknown(outcome) => assert!((reported..=reported + 1).contains(&landed), "{case}: {outcome:?}"),
        Ok(finished) => assert_eq!(finished.versions.len(), landed, "{case}: {finished:?}"),
        Err(error) => assert_eq!(landed, 0, "{case}: {error:?}"),
    }
}

fn is_unknown(outcome: &Result<Finished>) -> bool {
    let Ok(finished) = outcome else { return false };
    let stopped_by = finished.report.stopped_by.as_ref().is_some_and(|why| why.contains("outcome of the commit is unknown"));
    finished.outcome == Outcome::Unknown || stopped_by
}

/// Another process finishes what is left to do, a third finds nothing to do, and every file is one that a version names.
async fn the_next_run_finishes(original: &Original, table: &Arc<dyn ObjectStore>, options: &Options, case: &str) {
    let process = std::process::id();
    let second =
        original.compact(table, process + 1, "second-operation", options).await.unwrap_or_else(|error| panic!("{case}: {error:?}"));
    assert!(matches!(second.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {second:?}");
    assert_eq!(original.read(table).await, original.rows, "{case}");
    let faults = Faults::none();
    let third = original.compact(&faults.over(Arc::clone(table)), process + 2, "third-operation", options).await.unwrap();
    assert_eq!((third.outcome, third.report.leftovers_removed), (Outcome::NothingToDo, 0), "{case}");
    let writes = faults.calls().into_iter().find(|call| !matches!(call.operation, "get" | "head" | "ranges" | "list"));
    assert_eq!(writes, None, "{case}: there was nothing to do");
    let now = objects(table, &original.root).await;
    let there: BTreeSet<String> = now.keys().cloned().collect();
    let named = original.named(&now).await;
    let unlike: Vec<&String> = there.symmetric_difference(&named).collect();
    assert!(unlike.is_empty(), "{case}: there and not named by any version, or named and not there: {unlike:?}");
}

fn sweep_delta(mishap: Mishap) {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let calls = sweep(&original, &delta_options(), mishap).await;
        assert!(calls > 40, "{calls}");
    });
}

fn sweep_iceberg(fixture: &str, mishap: Mishap) {
    runtime().block_on(async {
        let original = Original::iceberg(fixture).await;
        let calls = sweep(&original, &iceberg_options(), mishap).await;
        assert!(calls > 30, "{calls}");
    });
}

#[test]
fn a_delta_table_survives_a_kill_before_any_call() {
    sweep_delta(Mishap::KilledBefore);
}

#[test]
fn a_delta_table_survives_a_kill_after_any_call() {
    sweep_delta(Mishap::KilledAfter);
}

#[test]
fn a_delta_table_survives_the_loss_of_any_answer() {
    sweep_delta(Mishap::AnswerLost);
    sweep_delta(Mishap::AnswerLostThenFails);
}

#[test]
fn a_delta_table_survives_the_failure_of_any_call() {
    sweep_delta(Mishap::Fails);
    sweep_delta(Mishap::FailsTwice);
}

#[test]
fn an_iceberg_table_with_position_deletes_survives_a_kill_before_any_call() {
    sweep_iceberg("iceberg_v2_posdeletes", Mishap::KilledBefore);
}

#[test]
fn an_iceberg_table_with_position_deletes_survives_a_kill_after_any_call() {
    sweep_iceberg("iceberg_v2_posdeletes", Mishap::KilledAfter);
}

#[test]
fn an_iceberg_table_with_position_deletes_survives_the_loss_of_any_answer() {
    sweep_iceberg("iceberg_v2_posdeletes", Mishap::AnswerLost);
    sweep_iceberg("iceberg_v2_posdeletes", Mishap::AnswerLostThenFails);
}

#[test]
fn an_iceberg_table_with_position_deletes_survives_the_failure_of_any_call() {
    sweep_iceberg("iceberg_v2_posdeletes", Mishap::Fails);
    sweep_iceberg("iceberg_v2_posdeletes", Mishap::FailsTwice);
}

#[test]
fn an_iceberg_table_with_deletion_vectors_survives_a_kill_before_any_call() {
    sweep_iceberg("iceberg_v3_dv", Mishap::KilledBefore);
}

#[test]
fn an_iceberg_table_with_deletion_vectors_survives_a_kill_after_any_call() {
    sweep_iceberg("iceberg_v3_dv", Mishap::KilledAfter);
}

#[test]
fn an_iceberg_table_with_deletion_vectors_survives_the_loss_of_any_answer() {
    sweep_iceberg("iceberg_v3_dv", Mishap::AnswerLost);
}

#[test]
fn an_iceberg_table_with_deletion_vectors_survives_the_failure_of_any_call() {
    sweep_iceberg("iceberg_v3_dv", Mishap::Fails);
}

/// Compacts `table`; the last note of the run cannot be taken back.
async fn compact_and_leave_a_note(original: &Original, table: &Arc<dyn ObjectStore>, options: &Options) {
    let rehearsal = Faults::none();
    original.compact(&rehearsal.over(original.lay_out().await), 1, STRUCK, options).await.unwrap();
    let calls = rehearsal.calls();
    let withdrawn = calls.iter().rposition(|call| call.operation == "delete" && call.key.contains("/_otf/")).unwrap();
    let faults = Faults::at(withdrawn as u64 + 1, Fault::Fail);
    let finished = original.compact(&faults.over(Arc::clone(table)), 1, STRUCK, options).await.unwrap();
    assert_eq!(finished.outcome, Outcome::Landed);
    assert!(objects(table, &original.root).await.keys().any(|name| name.starts_with("_otf/")));
}

/// Compacts as another process: the note goes, and nothing else does.
async fn only_the_note_goes(original: &Original, table: &Arc<dyn ObjectStore>, options: &Options) {
    let before = objects(table, &original.root).await;
    let finished = original.compact(table, 2, "second-operation", options).await.unwrap();
    assert_eq!((finished.outcome, finished.report.leftovers_removed), (Outcome::NothingToDo, 0));
    let after = objects(table, &original.root).await;
    let gone: Vec<&String> = before.keys().filter(|name| !after.contains_key(*name)).collect();
    assert!(gone.iter().all(|name| name.starts_with("_otf/")) && gone.len() == 1, "{gone:?}");
}

/// The snapshot of a run expires while the manifests that it wrote live on: a note that is still there must not lead to them.
#[test]
fn a_note_of_a_run_whose_snapshot_has_expired_leads_to_no_deletion() {
    runtime().block_on(async {
        let original = Original::iceberg("iceberg_v2_posdeletes").await;
        let (table, options) = (original.lay_out().await, iceberg_options());
        compact_and_leave_a_note(&original, &table, &options).await;
        let now = objects(&table, &original.root).await;
        let mut metadata: serde_json::Value = serde_json::from_slice(&now["metadata/v4.metadata.json"]).unwrap();
        let mut next = metadata["snapshots"].as_array().unwrap().last().unwrap().clone();
        let list = next["manifest-list"].as_str().unwrap().to_string();
        let name = list.rsplit('/').next().unwrap();
        original.put_new(&table, "metadata/snap-77.avro", now[&format!("metadata/{name}")].clone()).await;
        original.remove(&table, &format!("metadata/{name}")).await;
        next["manifest-list"] = list.replace(name, "snap-77.avro").into();
        next["snapshot-id"] = 77.into();
        next["summary"] = serde_json::json!({"operation": "replace"});
        metadata["snapshots"] = serde_json::json!([next]);
        metadata["current-snapshot-id"] = 77.into();
        metadata["refs"]["main"]["snapshot-id"] = 77.into();
        metadata["snapshot-log"] = serde_json::json!([]);
        original.put_new(&table, "metadata/v5.metadata.json", metadata.to_string().into_bytes()).await;
        assert_eq!(original.read(&table).await, original.rows);
        only_the_note_goes(&original, &table, &options).await;
        assert_eq!(original.read(&table).await, original.rows);
    });
}

/// The commit of a run is cleaned out of the log while a checkpoint still leads to its files: the same.
#[test]
fn a_note_of_a_run_whose_commit_was_cleaned_up_leads_to_no_deletion() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let (table, options) = (original.lay_out().await, delta_options());
        compact_and_leave_a_note(&original, &table, &options).await;
        let added = "p=b/part-00000-struck-operation-p1-00000.parquet";
        let live = original.live_files(&table).await;
        assert!(live.iter().any(|file| file == added), "{live:?}");
        let remove = serde_json::json!({"remove": {"path": added, "deletionTimestamp": 0, "dataChange": true}});
        original.put_new(&table, "_delta_log/00000000000000000007.json", format!("{remove}\n")).await;
        for version in 0..=6 {
            original.remove(&table, &format!("_delta_log/{version:020}.json")).await;
        }
        only_the_note_goes(&original, &table, &options).await;
    });
}

/// On a real disk a killed process also leaves halves of files; every third call is enough there.
#[test]
fn a_delta_table_on_disk_survives_a_kill_at_any_call() {
    runtime().block_on(async {
        let disk: Arc<dyn ObjectStore> = Arc::new(LocalDisk);
        let mut call = 1;
        loop {
            let folder = tempfile::tempdir().unwrap();
            let original = Original::delta(folder.path().join("t").to_str().unwrap(), 4).await;
            original.lay_out_on(&disk).await;
            let mishap = if call % 2 == 0 { Mishap::KilledBefore } else { Mishap::KilledAfter };
            if !strike(&original, &disk, &delta_options(), mishap, call).await {
                break;
            }
            call += 3;
        }
        assert!(call > 40, "{call}");
    });
}
