//! Restoring, references and manifests are struck at every storage call, in every way a call can go wrong. The table stays readable with the rows of
//! before or after, what is told is true, and the next run brings the table to its goal and leaves nothing behind (P1, P2).

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use otf::error::Result;
use otf::model::{At, ListWishes, Version};
use otf::ops::document::Outcome;
use otf::ops::references::plan::{Action, Request};
use otf::store::faulty::Faults;

use crate::crash::Mishap;
use crate::support::rivals::Deed;
use crate::support::upkeep::{Deeds, Ended, after, create, drop_reference, history, wanted};
use crate::support::workbench::{Original, objects, over, runtime};

const ALL: [Mishap; 6] =
    [Mishap::KilledBefore, Mishap::KilledAfter, Mishap::AnswerLost, Mishap::Fails, Mishap::FailsTwice, Mishap::AnswerLostThenFails];

/// A table, what is done to it, and its rows afterwards.
struct Case {
    original: Original,
    deed: Deeds,
    rows: Vec<String>,
}

impl Case {
    async fn sweep(&self, least: u64) {
        for mishap in ALL {
            let mut call = 1;
            while self.strike(mishap, call).await {
                call += 1;
            }
            assert!(call > least, "{mishap:?}: {call} calls");
        }
    }

    /// Strikes at `call` and judges what follows; whether there was such a call.
    async fn strike(&self, mishap: Mishap, call: u64) -> bool {
        let table = self.original.lay_out().await;
        let faults = mishap.at(call);
        let process = std::process::id();
        let ended = self.deed.run(&self.original, &faults.over(Arc::clone(&table)), process, "struck-operation").await;
        let calls = faults.calls();
        let Some(struck) = usize::try_from(call - 1).ok().and_then(|at| calls.get(at)) else {
            assert_eq!(ended.unwrap().outcome, Outcome::Landed);
            assert_eq!(self.original.read(&table).await, self.rows);
            return false;
        };
        let case = format!("{mishap:?} at call {call}, {} of {}", struck.operation, struck.key);
        let landed = self.nothing_is_lost(&table, &case).await;
        if !faults.is_dead() {
            tells_the_truth(&ended, landed, &case);
        }
        if ended.as_ref().is_ok_and(|ended| ended.outcome == Outcome::Unknown) {
            let deleted = calls.iter().any(|call| call.operation == "delete" && !call.key.contains("/_otf/"));
            assert!(!deleted, "{case}: files were deleted although the outcome is unknown");
        }
        self.the_next_run_finishes(&table, &case).await;
        true
    }

    /// The table has the rows of before or after, and every file it had; returns how many commits were added.
    async fn nothing_is_lost(&self, table: &Arc<dyn ObjectStore>, case: &str) -> usize {
        let now = objects(table, &self.original.root).await;
        let landed = self.original.versions_and_states(&now).await;
        let expected = if landed == 0 { &self.original.rows } else { &self.rows };
        assert_eq!(&self.original.read(table).await, expected, "{case}");
        for (name, bytes) in &self.original.objects {
            let same = now.get(name).is_some_and(|found| found == bytes || name.ends_with("version-hint.text"));
            assert!(same, "{case}: {name} is gone or changed");
        }
        landed
    }

    /// Another process finishes what is left to do, a third finds nothing to do, and every file is one that the table names.
    async fn the_next_run_finishes(&self, table: &Arc<dyn ObjectStore>, case: &str) {
        let process = std::process::id();
        let second = self.deed.run(&self.original, table, process + 1, "second-operation").await;
        let second = second.unwrap_or_else(|error| panic!("{case}: {error:?}"));
        assert!(matches!(second.outcome, Outcome::Landed | Outcome::NothingToDo), "{case}: {second:?}");
        assert_eq!(self.original.read(table).await, self.rows, "{case}");
        let faults = Faults::none();
        let third = self.deed.run(&self.original, &faults.over(Arc::clone(table)), process + 2, "third-operation").await.unwrap();
        assert_eq!((third.outcome, &third.report["leftovers_removed"]), (Outcome::NothingToDo, &0.into()), "{case}");
        let writes = faults.calls().into_iter().find(|call| !matches!(call.operation, "get" | "head" | "ranges" | "list"));
        assert_eq!(writes, None, "{case}: there was nothing to do");
        let now = objects(table, &self.original.root).await;
        let there: BTreeSet<String> = now.keys().cloned().collect();
        let named = self.original.named(&now).await;
        let unlike: Vec<&String> = there.symmetric_difference(&named).collect();
        assert!(unlike.is_empty(), "{case}: there and not named by the table, or named and not there: {unlike:?}");
    }
}

/// A run that lives says what it did.
fn tells_the_truth(ended: &Result<Ended>, landed: usize, case: &str) {
    match ended {
        Ok(ended) if ended.outcome == Outcome::Unknown => assert!(landed <= 1 && ended.error.is_some(), "{case}: {ended:?}"),
        Ok(ended) if ended.outcome == Outcome::Lost => assert!(landed == 0 && ended.error.is_some(), "{case}: {ended:?}"),
        Ok(ended) => assert_eq!((landed, ended.outcome), (1, Outcome::Landed), "{case}: {ended:?}"),
        Err(error) => assert_eq!(landed, 0, "{case}: {error:?}"),
    }
}

/// The versions of the table, oldest first.
async fn versions(original: &Original) -> Vec<Version> {
    let table = original.open(&over(&original.lay_out().await)).await.unwrap();
    let version = table.load().await.unwrap();
    history(&*version).await.iter().map(|entry| entry.version).collect()
}

/// Back to before the rows were deleted.
async fn restoring(original: Original) -> Case {
    let first = versions(&original).await[0];
    let before = Original::iceberg_before_its_delete("iceberg_v2_posdeletes").await;
    Case { deed: Deeds::Restore(At::Version(first)), rows: before.rows, original }
}

#[test]
fn a_restore_survives_whatever_happens_at_any_call() {
    runtime().block_on(async {
        restoring(Original::iceberg("iceberg_v2_posdeletes").await).await.sweep(15).await;
        restoring(Original::iceberg_in_sql("iceberg_v2_posdeletes").await).await.sweep(12).await;
    });
}

/// Version 2 of a Delta table had one file, half of one row less; the newest has four.
#[test]
fn a_restore_of_a_delta_table_survives_whatever_happens_at_any_call() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let rows = Original::delta("/t", 2).await.rows;
        Case { original, deed: Deeds::Restore(At::Version(Version(2))), rows }.sweep(15).await;
    });
}

#[test]
fn a_sum_of_commits_survives_whatever_happens_at_any_call() {
    runtime().block_on(async {
        let original = Original::delta("/t", 4).await;
        let rows = original.rows.clone();
        let wishes = ListWishes { sums: true, ..ListWishes::default() };
        Case { original, deed: Deeds::Manifests(wishes), rows }.sweep(15).await;
    });
}

#[test]
fn a_new_tag_survives_whatever_happens_at_any_call() {
    runtime().block_on(async {
        for original in [Original::iceberg("iceberg_v3_dv").await, Original::iceberg_in_sql("iceberg_v2_posdeletes").await] {
            let deed = create(false, "first", versions(&original).await[0]);
            Case { rows: original.rows.clone(), original, deed }.sweep(12).await;
        }
    });
}

/// The table with a branch at its first version.
async fn with_branch() -> (Original, Vec<Version>) {
    let mut original = Original::iceberg("iceberg_v2_posdeletes").await;
    let versions = versions(&original).await;
    let table = original.lay_out().await;
    create(true, "dev", versions[0]).run(&original, &table, 1, "earlier-operation").await.unwrap();
    original.objects = objects(&table, &original.root).await;
    (original, versions)
}

#[test]
fn a_branch_that_moves_or_goes_survives_whatever_happens_at_any_call() {
    runtime().block_on(async {
        let (original, versions) = with_branch().await;
        let forward = Request { is_branch: true, name: "dev".into(), action: Action::FastForward(versions[1]) };
        let replace = Request { is_branch: true, name: "dev".into(), action: Action::Replace(wanted(versions[1])) };
        let rows = original.rows.clone();
        let mut case = Case { rows, original, deed: drop_reference(true, "dev") };
        case.sweep(12).await;
        for request in [forward, replace] {
            case.deed = Deeds::Reference(request);
            case.sweep(12).await;
        }
    });
}

#[test]
fn new_manifests_survive_whatever_happens_at_any_call() {
    runtime().block_on(async {
        for (fixture, deeds) in [("iceberg_v3_dv", [Deed::Append, Deed::Append]), ("iceberg_v2_posdeletes", [Deed::MarkRow, Deed::Update])]
        {
            let original = after(Original::iceberg(fixture).await, &deeds).await;
            let rows = original.rows.clone();
            Case { rows, original, deed: Deeds::Manifests(ListWishes::default()) }.sweep(25).await;
        }
    });
}
