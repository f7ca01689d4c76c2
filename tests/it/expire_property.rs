//! Whatever the history: what a run leaves is told by an oracle that shares nothing with it. The oracle knows what was written, and reads the
//! retention policy of the specification the slow way.

use std::collections::{BTreeMap, BTreeSet};

use otf::location::Location;
use otf::ops::document::Outcome;
use otf::ops::expire::Options;
use otf::ops::expire::plan::{Cutoff, Wishes};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::support::NOON;
use crate::support::expiry::{dry_run, expire, keys};
use crate::support::timeline::{DAY, ROOT, Says, Timeline};
use crate::support::workbench::{objects, runtime};

/// Something that happens to a table.
#[derive(Debug, Clone)]
enum Step {
    /// A file more on this branch.
    Append,
    /// One of its files is deleted, the rest rewritten into one manifest.
    Delete(usize),
    /// Its manifests become one.
    Merge,
    /// A file that somebody has, or had, is taken in (again).
    TakeIn(usize),
    /// A branch of any snapshot.
    Branch(usize),
    /// A tag of any snapshot.
    Tag(usize),
    /// The branch goes back to any snapshot.
    Reset(usize),
    /// A snapshot that no branch leads to.
    Stage,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Append),
        2 => any::<usize>().prop_map(Step::Delete),
        2 => Just(Step::Merge),
        1 => any::<usize>().prop_map(Step::TakeIn),
        2 => any::<usize>().prop_map(Step::Branch),
        2 => any::<usize>().prop_map(Step::Tag),
        1 => any::<usize>().prop_map(Step::Reset),
        1 => Just(Step::Stage),
    ]
}

/// Settings of a branch or tag, or of none: age of the reference, age and count of its versions.
type Own = (Option<i64>, Option<i64>, Option<u64>);

fn own() -> impl Strategy<Value = Own> {
    (prop::option::weighted(0.3, 1..90i64), prop::option::weighted(0.3, 1..90i64), prop::option::weighted(0.3, 1..4u64))
}

fn nth<T: Clone>(all: &[T], n: usize) -> Option<T> {
    (!all.is_empty()).then(|| all[n % all.len()].clone())
}

fn build(steps: &[(Step, usize, i64, Own)]) -> Timeline {
    let mut timeline = Timeline::default();
    let (mut days, mut files) = (120, Vec::new());
    for (number, (step, branch, passed, own)) in steps.iter().enumerate() {
        days = (days - passed).max(0);
        let branches: Vec<String> = timeline.refs.iter().filter(|(_, named)| named.is_branch).map(|(name, _)| name.clone()).collect();
        let branch = nth(&branches, *branch).unwrap_or_else(|| "main".into());
        let head = timeline.refs.get(&branch).map(|named| named.head);
        let all: Vec<i64> = timeline.snapshots.keys().copied().collect();
        let made = match (step, head) {
            (Step::Append, _) | (_, None) => Some(timeline.append(head, days)),
            (Step::Delete(n), Some(head)) => {
                let live: Vec<String> = timeline.live(head).into_iter().collect();
                let gone: Vec<String> = nth(&live, *n).into_iter().collect();
                Some(timeline.rewrite(head, days, &gone))
            }
            (Step::Merge, Some(head)) => Some(timeline.rewrite(head, days, &[])),
            (Step::TakeIn(n), Some(head)) => {
                let file: String = nth(&files, *n).unwrap();
                let mut manifests = timeline.snapshots[&head].manifests.clone();
                manifests.push(timeline.manifest(vec![(Says::Added, file)]));
                Some(timeline.snapshot(Some(head), days, manifests))
            }
            (Step::Stage, Some(head)) => {
                timeline.append(Some(head), days);
                None
            }
            (Step::Reset(n), Some(_)) => nth(&all, *n),
            (Step::Branch(n) | Step::Tag(n), Some(_)) => {
                let is_branch = matches!(step, Step::Branch(_));
                let name = format!("ref{number}");
                timeline.name(&name, nth(&all, *n).unwrap(), is_branch);
                timeline.refs.get_mut(&name).unwrap().own = settings(own, is_branch);
                None
            }
        };
        if let Some(made) = made {
            let own = timeline.refs.get(&branch).map_or_else(|| settings(own, true), |named| named.own.clone());
            timeline.name(&branch, made, true);
            timeline.refs.get_mut(&branch).unwrap().own = own;
        }
        files = timeline.manifests.values().flatten().map(|(_, file)| file.clone()).collect();
    }
    // Half a day off, so that no age is just at a limit.
    timeline.snapshots.values_mut().for_each(|snapshot| snapshot.time -= DAY / 2);
    timeline
}

fn settings((reference, age, count): &Own, is_branch: bool) -> Json {
    let mut own = json!({});
    if let Some(days) = reference {
        own["max-ref-age-ms"] = (days * DAY).into();
    }
    if let (Some(days), true) = (age, is_branch) {
        own["max-snapshot-age-ms"] = (days * DAY).into();
    }
    if let (Some(count), true) = (count, is_branch) {
        own["min-snapshots-to-keep"] = (*count).into();
    }
    own
}

/// What is to stay: references and snapshots.
fn oracle(timeline: &Timeline, age: i64, last: u64, reference: Option<i64>) -> (BTreeSet<String>, BTreeSet<i64>) {
    let time = |id: i64| timeline.snapshots[&id].time;
    let stays = |(name, named): &(&String, &crate::support::timeline::Named)| {
        let most = named.own["max-ref-age-ms"].as_i64().or(reference.map(|days| days * DAY));
        name.as_str() == "main" || most.is_none_or(|most| NOON - time(named.head) <= most)
    };
    let refs: BTreeMap<_, _> = timeline.refs.iter().filter(stays).collect();
    let line = |head: i64| -> Vec<i64> { std::iter::successors(Some(head), |id| timeline.snapshots[id].parent).collect() };
    let kept_by_branch = |named: &crate::support::timeline::Named, id: i64| {
        let age = named.own["max-snapshot-age-ms"].as_i64().unwrap_or(age * DAY);
        let last = named.own["min-snapshots-to-keep"].as_u64().unwrap_or(last);
        let line = line(named.head);
        let place = line.iter().position(|known| *known == id);
        place.is_some_and(|place| (0..=place).all(|at| (at as u64) < last || NOON - time(line[at]) <= age))
    };
    let stays = |id: &i64| {
        let is_named = refs.values().any(|named| named.head == *id);
        let mut branches = refs.values().filter(|named| named.is_branch);
        let on_a_branch = refs.values().any(|named| named.is_branch && line(named.head).contains(id));
        is_named || branches.any(|named| kept_by_branch(named, *id)) || (!on_a_branch && NOON - time(*id) <= age * DAY)
    };
    let snapshots = timeline.snapshots.keys().copied().filter(stays).collect();
    (refs.keys().map(|name| (*name).clone()).collect(), snapshots)
}

#[expect(clippy::cognitive_complexity, reason = "every assertion counts as a branch")]
async fn judge(timeline: &Timeline, age: i64, last: u64, reference: Option<i64>) {
    let (refs, kept) = oracle(timeline, age, last, reference);
    let gone: BTreeSet<i64> = timeline.snapshots.keys().copied().filter(|id| !kept.contains(id)).collect();
    let wishes = Wishes {
        older_than: Some(Cutoff::Age(age * DAY)),
        retain_last: Some(last),
        max_ref_age_ms: reference.map(|days| days * DAY),
        unsafe_retention: true,
        ..Wishes::default()
    };
    let options = Options { wishes, files_named: 10_000, ..Options::default() };
    let store = timeline.lay_out().await;
    let planned = dry_run(&store, &options).await.unwrap();
    let finished = expire(&store, &options).await.unwrap();
    assert_eq!(finished.report.expired, gone.iter().map(ToString::to_string).collect::<Vec<_>>());
    let lost: BTreeSet<String> = timeline.reach(&gone).difference(&timeline.reach(&kept)).cloned().collect();
    let before: BTreeSet<String> = timeline.objects().into_keys().collect();
    let mut expected: BTreeSet<String> = before.difference(&lost).cloned().collect();
    let changes = !gone.is_empty() || refs.len() < timeline.refs.len();
    if changes {
        expected.insert("metadata/v2.metadata.json".into());
    }
    assert_eq!(finished.outcome, if changes { Outcome::Landed } else { Outcome::NothingToDo });
    assert_eq!(keys(&store).await, expected);
    assert_eq!(planned.files.len(), lost.len());
    if changes {
        let all = objects(&store, &Location::parse(ROOT).unwrap()).await;
        let doc: Json = serde_json::from_slice(&all["metadata/v2.metadata.json"]).unwrap();
        let named: BTreeSet<String> = doc["refs"].as_object().unwrap().keys().cloned().collect();
        let listed: BTreeSet<i64> = doc["snapshots"].as_array().unwrap().iter().map(|one| one["snapshot-id"].as_i64().unwrap()).collect();
        assert_eq!((named, listed), (refs, kept));
    }
    assert_eq!(expire(&store, &options).await.unwrap().outcome, Outcome::NothingToDo);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expire_multiref_exactly_what_only_forgotten_versions_reach_is_gone(
        steps in prop::collection::vec((step(), any::<usize>(), 0..12i64, own()), 1..30),
        age in 0..100i64,
        last in 1..5u64,
        reference in prop::option::weighted(0.4, 5..100i64),
    ) {
        runtime().block_on(judge(&build(&steps), age, last, reference));
    }
}
