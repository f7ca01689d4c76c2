//! Random histories of a Delta table whose files go by one clock and whose log entries by another: what an expiry leaves is what an oracle says that
//! knows nothing of logs.

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::ObjectStore;
use otf::ops::document::Outcome;
use otf::ops::expire::Options;
use otf::ops::expire::plan::{Cutoff, Wishes};
use proptest::prelude::*;
use serde_json::json;

use crate::delta_emptied::{STATE, is_whole, options, quiet_run};
use crate::support::NOON;
use crate::support::delta_history::{DeltaHistory, Made, expire_delta, keys};
use crate::support::timeline::DAY;
use crate::support::workbench::runtime;

/// Something that happens to a table, so many days after what happened before.
#[derive(Debug, Clone)]
enum Step {
    Append,
    /// A live file goes and another comes, with change data.
    Update(usize),
    /// A live file goes; its removal says that this was so many days later than it was.
    Remove(usize, i64),
    /// A file that was removed comes back.
    BringBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Append),
        3 => any::<usize>().prop_map(Step::Update),
        2 => (any::<usize>(), prop_oneof![9 => Just(0i64), 1 => 1..30i64]).prop_map(|(file, late)| Step::Remove(file, late)),
        2 => any::<usize>().prop_map(Step::BringBack),
    ]
}

fn nth(all: &BTreeSet<String>, n: usize) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().nth(n % all.len()).unwrap().clone())
}

fn build(steps: &[(Step, i64)], configuration: serde_json::Value) -> DeltaHistory {
    let mut days = 70;
    let mut history = DeltaHistory::new(configuration, days);
    for (step, passed) in steps {
        days = (days - passed).max(0);
        let live = history.live(history.latest());
        let data: BTreeSet<String> = history.all_files().into_iter().filter(|name| name.starts_with("file-")).collect();
        let time = NOON - days * DAY;
        match step {
            Step::Append => drop(history.commit(days, &[], false)),
            Step::Update(n) => {
                let gone = nth(&live, *n);
                history.commit(days, &gone.iter().map(String::as_str).collect::<Vec<_>>(), true);
            }
            Step::Remove(n, late) => {
                let removes = nth(&live, *n).map(|name| (name, time + late * DAY)).into_iter().collect();
                history.versions.push(Made { time, removes, ..Made::default() });
            }
            Step::BringBack(n) => {
                let adds = nth(&data.difference(&live).cloned().collect(), *n).into_iter().collect();
                history.versions.push(Made { time, adds, ..Made::default() });
            }
        }
    }
    // Times grow from version to version, and no age is just at a limit.
    for (number, made) in history.versions.iter_mut().enumerate() {
        let shift = i64::try_from(number).unwrap() * 1000 - DAY / 2;
        made.time += shift;
        made.removes.iter_mut().for_each(|(_, time)| *time += shift);
    }
    history
}

/// What two runs leave, the second with a shorter age, is what the oracle says.
async fn judge(history: &DeltaHistory, (files, log): (i64, i64), last: usize, then: i64) {
    let store = history.lay_out().await;
    let wishes = Wishes { retain_last: Some(last as u64), unsafe_retention: true, ..Wishes::default() };
    let ages = [(files, files.max(log), None), (then, then, Some(Cutoff::Age(then * DAY)))];
    let mut kept = history.all_files();
    for (files, log, older_than) in ages {
        let options = options(Wishes { older_than, ..wishes.clone() });
        let (oldest, whole) = (history.oldest_kept(log * DAY, last), history.oldest_kept(files * DAY, last));
        let before = kept.clone();
        kept = kept.intersection(&history.files_kept(whole, NOON - files * DAY)).cloned().collect();
        let done = expire_delta(&store, 1, "an-operation", &options).await.unwrap();
        let (data, others) = keys(&store).await;
        assert_eq!(data, kept, "{done:?}");
        let commits = others.iter().filter(|name| name.starts_with("_delta_log/") && name.ends_with(".json"));
        let first = commits.filter_map(|name| name[11..31].parse::<usize>().ok()).min();
        assert_eq!(first, Some(oldest), "{done:?}");
        let worked = before != kept || !done.report.expired.is_empty();
        assert_eq!(done.outcome, if worked { Outcome::Landed } else { Outcome::NothingToDo }, "{done:?}");
        for version in whole.max(oldest)..=history.latest() {
            assert!(is_whole(history, &store, version).await, "{version}: {done:?}");
        }
        another_run_finds_nothing_to_do(&store, &options).await;
    }
}

async fn another_run_finds_nothing_to_do(store: &Arc<dyn ObjectStore>, options: &Options) {
    let (again, calls) = quiet_run(store, options).await;
    assert_eq!(again.outcome, Outcome::NothingToDo, "{again:?}");
    let writes = calls.iter().find(|(operation, _)| !matches!(*operation, "get" | "head" | "ranges" | "list"));
    assert!(writes.is_none_or(|(_, key)| key.ends_with(STATE)), "{writes:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_history_files_and_log_entries_go_by_their_own_clocks(
        steps in prop::collection::vec((step(), 0..8i64), 1..18),
        files in 0..40i64,
        log in 0..60i64,
        last in 1..5usize,
        interval in 2..9u32,
        shorter in 0..40i64,
    ) {
        let configuration = json!({
            "delta.deletedFileRetentionDuration": format!("interval {files} days"),
            "delta.logRetentionDuration": format!("interval {log} days"),
            "delta.checkpointInterval": interval.to_string(),
        });
        let then = files.min(shorter);
        runtime().block_on(judge(&build(&steps, configuration), (files, log), last, then));
    }
}

/// The removal in the fifth version is dated nineteen days late: the run that forgets that version finds the file removed too recently. The next one to which
/// it is old enough takes it, although no version is left to forget or to empty.
#[test]
fn a_file_whose_removal_is_dated_late_goes_when_that_is_old_enough() {
    let appends = [(Step::Append, 6), (Step::Append, 2), (Step::Append, 2), (Step::Append, 3)];
    let rest = [(Step::Remove(0, 19), 7), (Step::Append, 0), (Step::Append, 0), (Step::Update(293), 3)];
    let configuration = json!({
        "delta.deletedFileRetentionDuration": "interval 32 days",
        "delta.logRetentionDuration": "interval 41 days",
        "delta.checkpointInterval": "6",
    });
    let steps: Vec<(Step, i64)> = appends.into_iter().chain(rest).collect();
    let history = build(&steps, configuration);
    runtime().block_on(async {
        judge(&history, (32, 41), 4, 17).await;
        let store = history.lay_out().await;
        expire_delta(&store, 1, "an-operation", &options(Wishes { retain_last: Some(4), unsafe_retention: true, ..Wishes::default() }))
            .await
            .unwrap();
        assert!(keys(&store).await.0.contains("file-1.parquet"));
        let shorter = Wishes { retain_last: Some(4), older_than: Some(Cutoff::Age(17 * DAY)), unsafe_retention: true, ..Wishes::default() };
        expire_delta(&store, 1, "an-operation", &options(shorter)).await.unwrap();
        assert!(!keys(&store).await.0.contains("file-1.parquet"));
    });
}
