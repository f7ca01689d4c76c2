//! Restoring, references and manifests beside other writers, and what they say of themselves (P1, P5, P8, P9).

use std::sync::Arc;

use object_store::ObjectStore;
use otf::error::Kind;
use otf::formats::Table;
use otf::model::{At, ListWishes, Version};
use otf::ops::document::Outcome;
use otf::ops::references::plan::{Action, Request, Wanted};
use otf::store::faulty::{Fault, Faults};
use otf::units::{Bytes, Timestamp};
use serde_json::json;

use crate::support::NOON;
use crate::support::rivals::{self, Deed};
use crate::support::upkeep::{Deeds, Ended, after, create, drop_reference, history, wanted};
use crate::support::workbench::{Original, objects, over, runtime};

/// A table that lies somewhere, with its versions, oldest first.
struct Bench {
    original: Original,
    table: Arc<dyn ObjectStore>,
    versions: Vec<Version>,
}

impl Bench {
    async fn of(original: Original) -> Self {
        let table = original.lay_out().await;
        let opened = original.open(&over(&table)).await.unwrap();
        let versions = history(&*opened.load().await.unwrap()).await.iter().map(|entry| entry.version).collect();
        Self { original, table, versions }
    }

    /// 60 rows in three files, of which 15 were deleted by position.
    async fn iceberg() -> Self {
        Self::of(Original::iceberg("iceberg_v2_posdeletes").await).await
    }

    async fn open(&self) -> Box<dyn Table> {
        self.original.open(&over(&self.table)).await.unwrap()
    }

    async fn run(&self, deed: Deeds) -> Ended {
        self.try_run(deed).await.unwrap()
    }

    async fn try_run(&self, deed: Deeds) -> otf::error::Result<Ended> {
        deed.run(&self.original, &self.table, 1, "an-operation").await
    }

    async fn plan(&self, deed: Deeds) -> Ended {
        let store = over(&self.table);
        deed.run_on(&*self.original.open(&store).await.unwrap(), &store, (1, "an-operation"), false).await.unwrap()
    }

    /// The version that a branch or tag names.
    async fn named(&self, name: &str) -> Option<Version> {
        let references = self.open().await.load().await.unwrap().references();
        references.into_iter().find(|reference| reference.name == name).map(|reference| reference.version)
    }

    async fn current(&self) -> Version {
        self.open().await.load().await.unwrap().snapshot().version.unwrap()
    }

    async fn rows(&self) -> Vec<String> {
        self.original.read(&self.table).await
    }

    /// Does `deed`, letting `rival` commit just before the new metadata is put in place.
    async fn run_beside(&self, deed: Deeds, rival: Deed) -> otf::error::Result<Ended> {
        let rehearsal = Faults::none();
        let copy = self.original.lay_out().await;
        // Deeds that came before the race are part of the table.
        for (name, bytes) in objects(&self.table, &self.original.root).await {
            over(&copy).put(&self.original.root.child(&name), bytes).await.unwrap();
        }
        deed.run(&self.original, &rehearsal.over(copy), 1, "an-operation").await.unwrap();
        let claims = rehearsal.calls().into_iter().rposition(|call| call.operation == "claim" && call.key.ends_with(".metadata.json"));
        let faults = Faults::at(claims.unwrap() as u64 + 1, Fault::Hold);
        let held = faults.over(Arc::clone(&self.table));
        let other = async {
            faults.until_held().await;
            rivals::commit(&self.original, &self.table, rival).await;
            faults.release();
        };
        futures::future::join(deed.run(&self.original, &held, 1, "an-operation"), other).await.0
    }
}

#[test]
fn a_restore_says_what_comes_back_and_what_goes_and_does_it_once() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let [first, last] = bench.versions[..] else { panic!("{:?}", bench.versions) };
        let deed = Deeds::Restore(At::Version(first));
        let before = objects(&bench.table, &bench.original.root).await;
        let planned = bench.plan(deed.clone()).await;
        assert_eq!((planned.outcome, planned.after, planned.report), (Outcome::Planned, None, json!(null)));
        assert_eq!(objects(&bench.table, &bench.original.root).await, before, "a plan writes nothing");
        let made = planned.plan["made"].clone();
        let share = |files: u64, rows: Option<u64>| json!({"files": files, "bytes": if files == 0 { 0 } else { 2712 }, "rows": rows});
        let expected = json!({"to": first.to_string(), "made": made, "is_ancestor": true, "versions_undone": 1,
            "result": {"files": 3, "bytes": 2712, "rows": 60, "delete_files": 0},
            "goes": share(3, None), "comes_back": share(3, Some(60)), "stays": 0, "rules_differ": false});
        assert_eq!(planned.plan, expected);
        let done = bench.run(deed.clone()).await;
        assert_eq!((done.outcome, done.versions, &done.plan), (Outcome::Landed, vec![], &expected));
        assert_eq!((done.before.rows, done.after.unwrap().rows, done.after.unwrap().delete_files), (45, 60, 0));
        assert_eq!(done.report, json!({"files_checked": 3, "leftovers_removed": 0}));
        assert_eq!((bench.current().await, bench.rows().await.len()), (first, 60));
        assert_eq!(bench.run(deed).await.outcome, Outcome::NothingToDo);
        // And forward again: the version that was current descends from this one.
        let forward = bench.run(Deeds::Restore(At::Version(last))).await;
        assert_eq!(
            (forward.outcome, &forward.plan["is_ancestor"], &forward.plan["versions_undone"]),
            (Outcome::Landed, &json!(false), &json!(0))
        );
        assert_eq!(bench.rows().await, bench.original.rows);
    });
}

#[test]
fn a_restore_to_a_time_means_what_was_current_then() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let table = bench.open().await;
        let time = history(&*table.load().await.unwrap()).await[0].time.unwrap();
        let done = bench.run(Deeds::Restore(At::Time(Timestamp(time.0 + 1)))).await;
        assert_eq!((done.outcome, bench.current().await), (Outcome::Landed, bench.versions[0]));
        assert_eq!(bench.run(Deeds::Restore(At::Time(Timestamp(time.0 + 1)))).await.outcome, Outcome::NothingToDo);
        let unknown = bench.try_run(Deeds::Restore(At::Version(Version(7)))).await.unwrap_err();
        let keys: Vec<&str> = unknown.context().iter().map(|(key, _)| *key).collect();
        assert_eq!((unknown.kind(), keys.contains(&"oldest_kept") && keys.contains(&"newest_kept")), (Kind::NotFound, true), "{unknown}");
    });
}

#[test]
fn a_version_whose_files_are_gone_is_not_restored() {
    runtime().block_on(async {
        let bench = Bench::of(after(Original::iceberg("iceberg_v2_posdeletes").await, &[Deed::Overwrite]).await).await;
        let then = bench.open().await.load_at(&At::Version(bench.versions[0])).await.unwrap();
        let files: Vec<otf::model::DataFile> = futures::TryStreamExt::try_collect(then.files(false)).await.unwrap();
        let name = files[0].location.relative_to(&bench.original.root).unwrap().to_string();
        bench.original.remove(&bench.table, &name).await;
        let before = objects(&bench.table, &bench.original.root).await;
        let error = bench.try_run(Deeds::Restore(At::Version(bench.versions[0]))).await.unwrap_err();
        assert_eq!((error.kind(), error.context()[0].clone()), (Kind::Refused, ("missing", "1".to_string())), "{error}");
        let list = before.keys().find(|key| key.contains(&format!("snap-{}-", bench.versions[1]))).unwrap();
        bench.original.remove(&bench.table, list).await;
        let error = bench.try_run(Deeds::Restore(At::Version(bench.versions[1]))).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused, "{error}");
        assert_eq!(objects(&bench.table, &bench.original.root).await.len(), before.len() - 1);
    });
}

#[test]
fn what_another_commits_during_a_restore_is_not_undone_unseen() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let ended = bench.run_beside(Deeds::Restore(At::Version(bench.versions[0])), Deed::Append).await.unwrap();
        assert_eq!((ended.outcome, ended.error.unwrap().kind()), (Outcome::Lost, Kind::Conflict));
        assert_eq!(bench.rows().await.len(), 47);
        // A change that leaves the rows alone is none.
        let bench = Bench::iceberg().await;
        let ended = bench.run_beside(Deeds::Restore(At::Version(bench.versions[0])), Deed::Property).await.unwrap();
        assert_eq!((ended.outcome, bench.rows().await.len()), (Outcome::Landed, 60));
    });
}

#[test]
fn references_are_made_moved_and_dropped_beside_other_writers() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let [first, last] = bench.versions[..] else { panic!("{:?}", bench.versions) };
        let ended = bench.run_beside(create(false, "eod", first), Deed::Append).await.unwrap();
        assert_eq!((ended.outcome, ended.versions, bench.named("eod").await), (Outcome::Landed, vec![], Some(first)));
        assert_eq!(bench.rows().await.len(), 47);
        bench.run(create(true, "dev", first)).await;
        let forward = Request { is_branch: true, name: "dev".into(), action: Action::FastForward(last) };
        bench.run_beside(Deeds::Reference(forward.clone()), Deed::Append).await.unwrap();
        assert_eq!(bench.named("dev").await, Some(last));
        assert_eq!(bench.run(Deeds::Reference(forward)).await.outcome, Outcome::NothingToDo);
        for name in ["dev", "eod"] {
            let is_branch = name == "dev";
            assert_eq!(bench.try_run(drop_reference(!is_branch, name)).await.unwrap_err().kind(), Kind::Refused);
            assert_eq!(bench.run(drop_reference(is_branch, name)).await.outcome, Outcome::Landed);
            assert_eq!(bench.run(drop_reference(is_branch, name)).await.outcome, Outcome::NothingToDo);
        }
    });
}

#[test]
fn a_branch_that_another_moved_since_the_plan_is_neither_replaced_nor_dropped() {
    runtime().block_on(async {
        for action in [Action::Drop, Action::Replace(wanted(Version(0)))] {
            let bench = Bench::iceberg().await;
            let [first, last] = bench.versions[..] else { panic!("{:?}", bench.versions) };
            bench.run(create(true, "dev", last)).await;
            let action = if action == Action::Drop { action } else { Action::Replace(wanted(first)) };
            let deed = Deeds::Reference(Request { is_branch: true, name: "dev".into(), action });
            // The last read before the change is put in place sees the branch where it was; another moves it then.
            let faults = Faults::at(claim_of(&bench, &deed).await, Fault::Hold);
            let held = faults.over(Arc::clone(&bench.table));
            let other = async {
                faults.until_held().await;
                let moved = Deeds::Reference(Request { is_branch: true, name: "dev".into(), action: Action::Replace(wanted(first)) });
                let moved = if matches!(&deed, Deeds::Reference(request) if request.action == Action::Drop) {
                    moved
                } else {
                    let newer = rivals::commit(&bench.original, &bench.table, Deed::Append);
                    newer.await;
                    let head = bench.current().await;
                    Deeds::Reference(Request { is_branch: true, name: "dev".into(), action: Action::FastForward(head) })
                };
                moved.run(&bench.original, &bench.table, 2, "another-operation").await.unwrap();
                faults.release();
            };
            let (ended, ()) = futures::future::join(deed.run(&bench.original, &held, 1, "an-operation"), other).await;
            let ended = ended.unwrap();
            assert_eq!((ended.outcome, ended.error.unwrap().kind()), (Outcome::Lost, Kind::Conflict));
            assert!(bench.named("dev").await.is_some_and(|version| version != last));
        }
    });
}

/// The number of the call by which `deed` would put its metadata in place.
async fn claim_of(bench: &Bench, deed: &Deeds) -> u64 {
    let copy = bench.original.lay_out().await;
    for (name, bytes) in objects(&bench.table, &bench.original.root).await {
        over(&copy).put(&bench.original.root.child(&name), bytes).await.unwrap();
    }
    let rehearsal = Faults::none();
    deed.run(&bench.original, &rehearsal.over(copy), 1, "an-operation").await.unwrap();
    let calls = rehearsal.calls();
    calls.iter().rposition(|call| call.operation == "claim" && call.key.ends_with(".metadata.json")).unwrap() as u64 + 1
}

#[test]
fn the_main_branch_is_published_by_a_fast_forward_and_dropped_by_nobody() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let [first, last] = bench.versions[..] else { panic!("{:?}", bench.versions) };
        bench.run(Deeds::Restore(At::Version(first))).await;
        let main = |action| Deeds::Reference(Request { is_branch: true, name: "main".into(), action });
        let done = bench.run(main(Action::FastForward(last))).await;
        assert_eq!(
            (done.outcome, &done.plan["from"], &done.plan["to"]),
            (Outcome::Landed, &json!(first.to_string()), &json!(last.to_string()))
        );
        assert_eq!((bench.current().await, done.before.rows, done.after.unwrap().rows), (last, 60, 45));
        assert_eq!(bench.try_run(main(Action::FastForward(first))).await.unwrap_err().kind(), Kind::Refused);
        assert_eq!(bench.try_run(main(Action::Drop)).await.unwrap_err().kind(), Kind::Refused);
    });
}

#[test]
fn how_long_a_branch_is_kept_is_what_was_said_last() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let [first, last] = bench.versions[..] else { panic!("{:?}", bench.versions) };
        let request = |action| Deeds::Reference(Request { is_branch: true, name: "dev".into(), action });
        let kept = Wanted { max_ref_age_ms: Some(1_000), min_snapshots_to_keep: Some(3), ..wanted(first) };
        bench.run(request(Action::Create(kept))).await;
        let moved = bench.run(request(Action::Replace(Wanted { max_snapshot_age_ms: Some(9), ..wanted(last) }))).await;
        let expected = json!({"action": "replace", "kind": "branch", "name": "dev", "from": first.to_string(), "to": last.to_string(),
            "max_ref_age_ms": 1_000, "max_snapshot_age_ms": 9, "min_snapshots_to_keep": 3});
        assert_eq!(moved.plan, expected);
        let found = bench.open().await.load().await.unwrap().references();
        let dev = found.iter().find(|reference| reference.name == "dev").unwrap();
        assert_eq!((dev.max_ref_age_ms, dev.max_snapshot_age_ms, dev.min_snapshots_to_keep), (Some(1_000), Some(9), Some(3)));
    });
}

/// Incident expire-branches, as far as references are made and dropped here: whatever happens to one, every other is readable after.
#[test]
fn every_other_reference_is_readable_after_one_is_made_moved_or_dropped() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let [first, last] = bench.versions[..] else { panic!("{:?}", bench.versions) };
        for (at, version) in [first, last, first, last].into_iter().enumerate() {
            bench.run(create(at % 2 == 0, &format!("r{at}"), version)).await;
        }
        bench.run(Deeds::Restore(At::Version(first))).await;
        bench.run(drop_reference(false, "r1")).await;
        bench.run(Deeds::Reference(Request { is_branch: true, name: "r0".into(), action: Action::Replace(wanted(last)) })).await;
        bench.run(Deeds::Manifests(ListWishes { all: true, ..ListWishes::default() })).await;
        let table = bench.open().await;
        for (name, version) in [("r0", last), ("r2", first), ("r3", last)] {
            let seen = table.load_at(&At::Ref(name.into())).await.unwrap();
            let files: Vec<otf::model::DataFile> = futures::TryStreamExt::try_collect(seen.files(false)).await.unwrap();
            assert_eq!((seen.snapshot().version, files.len()), (Some(version), 3), "{name}");
        }
    });
}

#[test]
fn small_manifests_become_one_beside_another_writer_and_a_second_run_finds_nothing() {
    runtime().block_on(async {
        let original = after(Original::iceberg("iceberg_v3_dv").await, &[Deed::Append, Deed::Append]).await;
        let bench = Bench::of(original).await;
        let wishes = ListWishes::default();
        let planned = bench.plan(Deeds::Manifests(wishes.clone())).await;
        let group = &planned.plan["groups"][0];
        assert_eq!(
            (&group["content"], &group["lists"], &group["files"], &group["why"]),
            (&json!("data"), &json!(3), &json!(5), &json!("small"))
        );
        let ended = bench.run_beside(Deeds::Manifests(wishes.clone()), Deed::Append).await.unwrap();
        assert_eq!((ended.outcome, ended.versions.len()), (Outcome::Landed, 1));
        assert_eq!((&ended.report["lists_removed"], &ended.report["lists_kept"]), (&json!(3), &json!(1)));
        let rows = bench.rows().await;
        assert_eq!(rows.len(), bench.original.rows.len() + 2);
        assert!(bench.original.rows.iter().all(|row| rows.contains(row)), "row ids are part of the rows");
        let again = bench.run(Deeds::Manifests(wishes)).await;
        assert_eq!((again.outcome, again.plan["lists"].as_u64()), (Outcome::NothingToDo, Some(2)));
        assert_eq!((again.before, again.after), (ended.after.unwrap(), ended.after));
    });
}

#[test]
fn wishes_that_do_not_fit_end_before_anything_is_written() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        let before = objects(&bench.table, &bench.original.root).await;
        for wishes in [
            ListWishes { target: Some(Bytes(1)), ..ListWishes::default() },
            ListWishes { spec: Some(5), ..ListWishes::default() },
            ListWishes { order: vec!["nobody".into()], ..ListWishes::default() },
        ] {
            assert_eq!(bench.try_run(Deeds::Manifests(wishes)).await.unwrap_err().kind(), Kind::Usage);
        }
        let tag = Request { is_branch: false, name: "a\nb".into(), action: Action::Create(wanted(bench.versions[0])) };
        assert_eq!(bench.try_run(Deeds::Reference(tag)).await.unwrap_err().kind(), Kind::Usage);
        assert_eq!(objects(&bench.table, &bench.original.root).await, before);
    });
}

#[test]
fn delta_tables_have_no_branches_or_tags() {
    runtime().block_on(async {
        let bench = Bench::of(Original::delta("/t", 2).await).await;
        let error = bench.try_run(create(false, "eod", bench.versions[0])).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Unsupported, "Delta tables have no branches or tags"));
    });
}

/// Ids given to columns are never given out again: their counter stays, and is no reason for a commit.
#[test]
fn a_delta_version_that_differs_in_nothing_that_goes_back_is_there_already() {
    runtime().block_on(async {
        let bench = Bench::of(Original::delta("/t", 2).await).await;
        let log = bench.original.root.child("_delta_log");
        let first = over(&bench.table).get(&log.child(&format!("{:020}.json", 0))).await.unwrap();
        let lines = std::str::from_utf8(&first).unwrap().lines();
        let mut rules: serde_json::Value = serde_json::from_str(lines.into_iter().find(|line| line.contains("metaData")).unwrap()).unwrap();
        rules["metaData"]["configuration"]["delta.columnMapping.maxColumnId"] = json!("9");
        let (before, rows) = (bench.current().await, bench.rows().await);
        bench.original.put_new(&bench.table, &format!("_delta_log/{:020}.json", before.0 + 1), rules.to_string()).await;
        let ended = bench.run(Deeds::Restore(At::Version(before))).await;
        assert_eq!((ended.outcome, ended.versions), (Outcome::NothingToDo, Vec::new()));
        assert_eq!((bench.current().await, bench.rows().await), (Version(before.0 + 1), rows));
    });
}

#[test]
fn commits_of_ours_are_not_older_than_those_before_them() {
    runtime().block_on(async {
        let bench = Bench::iceberg().await;
        bench.run(Deeds::Manifests(ListWishes { all: true, ..ListWishes::default() })).await;
        let history = history(&*bench.open().await.load().await.unwrap()).await;
        assert!(history.windows(2).all(|pair| pair[0].time <= pair[1].time) && history[0].time.unwrap().0 > NOON, "{history:?}");
    });
}
