use super::*;
use crate::error::Kind;

const DAY: i64 = 24 * 60 * 60 * 1000;
const NOW: i64 = 100 * DAY;

/// A version that is so many days old, with what it was made from.
fn made(version: i64, days: i64, parent: Option<i64>) -> Entry {
    Entry { version: Version(version), time: Some(Timestamp(NOW - days * DAY)), parent: parent.map(Version), consumer: None }
}

fn line(name: &str, head: i64, is_branch: bool) -> Line {
    Line {
        name: name.into(),
        head: Version(head),
        is_branch,
        is_main: name == "main",
        max_ref_age_ms: None,
        max_age_ms: None,
        min_versions: None,
    }
}

/// Five versions in a row, 50, 40, 30, 20 and 10 days old.
fn row() -> Past {
    let versions = (1..=5).map(|id| made(id, 60 - 10 * id, (id > 1).then_some(id - 1))).collect();
    let retention = Retention {
        collectable: true,
        max_age_ms: 5 * DAY,
        min_versions: 1,
        max_ref_age_ms: None,
        max_file_age_ms: None,
        max_log_age_ms: None,
    };
    Past {
        versions,
        current: Some(Version(5)),
        lines: vec![line("main", 5, true)],
        retention,
        emptied_before: None,
        held_elsewhere: BTreeSet::new(),
        now: Timestamp(NOW),
    }
}

fn expired(past: &Past, wishes: &Wishes) -> Vec<i64> {
    plan(past, wishes).unwrap().expired.into_iter().map(|(version, _)| version.0).collect()
}

fn days(days: i64) -> Wishes {
    Wishes { older_than: Some(Cutoff::Age(days * DAY)), ..Wishes::default() }
}

fn unsafely(wishes: Wishes) -> Wishes {
    Wishes { unsafe_retention: true, ..wishes }
}

#[test]
fn what_is_older_than_the_cutoff_goes_and_the_head_stays() {
    assert_eq!(expired(&row(), &Wishes::default()), [1, 2, 3, 4]);
    assert_eq!(expired(&row(), &days(30)), [1, 2]);
    assert_eq!(expired(&row(), &days(31)), [1, 2]);
    assert_eq!(expired(&row(), &days(60)), [0; 0]);
    let since = Wishes { older_than: Some(Cutoff::Since(Timestamp(NOW - 20 * DAY))), ..Wishes::default() };
    assert_eq!(expired(&row(), &since), [1, 2, 3]);
}

#[test]
fn a_version_stays_while_age_or_count_keeps_it() {
    assert_eq!(expired(&row(), &Wishes { retain_last: Some(2), ..Wishes::default() }), [1, 2, 3]);
    assert_eq!(expired(&row(), &Wishes { retain_last: Some(9), ..Wishes::default() }), [0; 0]);
    assert_eq!(expired(&row(), &Wishes { retain_last: Some(2), ..days(45) }), [1]);
    let mut past = row();
    past.retention.min_versions = 3;
    past.retention.max_age_ms = 15 * DAY;
    assert_eq!(expired(&past, &Wishes::default()), [1, 2]);
    let kept = plan(&past, &Wishes::default()).unwrap().kept;
    assert_eq!(kept, [(Keep::Named, 1), (Keep::AmongTheLast, 2)].into());
}

#[test]
fn each_branch_is_judged_by_its_own_settings_and_what_any_keeps_stays() {
    let mut past = row();
    // 3 -> 6 -> 7 on a branch of its own.
    past.versions.extend([made(6, 9, Some(3)), made(7, 8, Some(6))]);
    past.lines.push(Line { min_versions: Some(3), max_age_ms: Some(DAY), ..line("dev", 7, true) });
    assert_eq!(expired(&past, &Wishes::default()), [1, 2, 4]);
    past.lines[1] = Line { max_age_ms: Some(45 * DAY), ..line("dev", 7, true) };
    assert_eq!(expired(&past, &Wishes::default()), [1, 4]);
    past.lines[1] = line("dev", 7, true);
    assert_eq!(expired(&past, &Wishes::default()), [1, 2, 3, 4, 6]);
}

#[test]
fn a_tag_keeps_its_version_and_not_its_parents() {
    let mut past = row();
    past.lines.push(line("v1", 2, false));
    assert_eq!(expired(&past, &Wishes::default()), [1, 3, 4]);
}

#[test]
fn what_no_branch_leads_to_goes_by_age_alone() {
    let mut past = row();
    past.versions.extend([made(8, 3, Some(1)), made(9, 7, Some(1))]);
    assert_eq!(expired(&past, &Wishes { retain_last: Some(5), ..Wishes::default() }), [9]);
}

#[test]
fn references_go_by_the_age_of_their_heads_and_main_never_does() {
    let mut past = row();
    past.lines.extend([line("old", 1, false), line("young", 4, false), line("dev", 2, true)]);
    past.lines.push(Line { max_ref_age_ms: Some(60 * DAY), ..line("kept", 1, true) });
    let names = |past: &Past, wishes: &Wishes| plan(past, wishes).unwrap().references.into_iter().map(|l| l.name).collect::<Vec<_>>();
    assert_eq!(names(&past, &Wishes::default()), Vec::<String>::new());
    assert_eq!(names(&past, &Wishes { max_ref_age_ms: Some(25 * DAY), ..Wishes::default() }), ["old", "dev"]);
    past.retention.max_ref_age_ms = Some(2 * DAY);
    assert_eq!(names(&past, &Wishes::default()), ["old", "young", "dev"]);
    assert_eq!(expired(&past, &Wishes::default()), [2, 3, 4]);
    past.lines.pop();
    assert_eq!(expired(&past, &Wishes::default()), [1, 2, 3, 4]);
}

#[test]
fn named_versions_go_alone_unless_age_or_count_are_given_too() {
    let named = |ids: &[i64]| Wishes { versions: ids.iter().map(|id| Version(*id)).collect(), ..Wishes::default() };
    assert_eq!(expired(&row(), &named(&[2, 4])), [2, 4]);
    assert_eq!(expired(&row(), &Wishes { retain_last: Some(3), ..named(&[4]) }), [1, 2, 4]);
    let mut past = row();
    past.lines.push(line("v1", 2, false));
    for (ids, word) in [(&[2][..], "v1"), (&[5], "version=5")] {
        let error = plan(&past, &named(ids)).unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains(word), "{error}");
    }
    let planned = plan(&past, &named(&[1, 77])).unwrap();
    assert_eq!((planned.expired.len(), planned.unknown), (1, vec![Version(77)]));
}

#[test]
fn a_table_that_forbids_it_and_a_retention_that_is_too_short_are_refused() {
    let mut past = row();
    let refused = |past: &Past, wishes: &Wishes| plan(past, wishes).is_err_and(|error| error.kind() == Kind::Refused);
    assert!(refused(&past, &days(4)) && !refused(&past, &days(5)) && !refused(&past, &unsafely(days(0))));
    past.retention.max_age_ms = 0;
    assert!(refused(&past, &Wishes::default()) && !refused(&past, &days(1)));
    past.retention.min_versions = 3;
    let last = |count| Wishes { retain_last: Some(count), ..days(1) };
    assert!(refused(&past, &last(2)) && !refused(&past, &last(3)) && !refused(&past, &unsafely(last(1))));
    let refs = |hours: i64| Wishes { max_ref_age_ms: Some(hours * 60 * 60 * 1000), ..days(1) };
    assert!(refused(&past, &refs(23)) && !refused(&past, &refs(24)));
    past.retention.max_log_age_ms = Some(30 * DAY);
    assert!(refused(&past, &days(6)) && !refused(&past, &days(7)));
    past.retention.collectable = false;
    assert!(refused(&past, &unsafely(days(7))));
}

#[test]
fn a_pinned_version_stays_with_all_that_came_of_it() {
    let pinned = |ids: &[i64]| Wishes { pins: ids.iter().map(|id| Version(*id)).collect(), ..Wishes::default() };
    assert_eq!(expired(&row(), &pinned(&[3])), [1, 2]);
    let both = Wishes { versions: [Version(3)].into(), ..pinned(&[3]) };
    assert_eq!(plan(&row(), &both).unwrap_err().kind(), Kind::Refused);
    assert_eq!(plan(&row(), &pinned(&[77])).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn a_streaming_job_keeps_what_it_goes_on_from_until_it_is_gone() {
    let mut past = row();
    past.versions[1].consumer = Some("job".into());
    past.versions[3].consumer = Some("job".into());
    assert_eq!(expired(&past, &Wishes::default()), [1, 2, 3]);
    assert_eq!(expired(&past, &unsafely(Wishes::default())), [1, 2, 3, 4]);
    // The mark of another job is older than a job may be away.
    past.versions[0].consumer = Some("gone".into());
    assert_eq!(expired(&past, &Wishes::default()), [1, 2, 3]);
}

#[test]
fn where_a_log_leads_to_versions_they_age_from_their_replacement_and_the_oldest_go_first() {
    let mut past = row();
    past.retention.max_log_age_ms = Some(30 * DAY);
    assert_eq!(expired(&past, &days(29)), [1, 2]);
    assert_eq!(expired(&past, &days(30)), [1]);
    past.versions[2].time = None;
    assert_eq!(expired(&past, &days(29)), [1]);
    let named = Wishes { versions: [Version(2)].into(), ..Wishes::default() };
    assert_eq!(plan(&past, &named).unwrap().kept.get(&Keep::BehindKept), Some(&1));
}

/// Each branch lists its own versions, and what they share is walked through once: a walk for each would be a hundred million steps.
#[test]
fn expire_slow_200000_versions_on_a_thousand_branches_are_judged_in_one_walk() {
    const SHARED: i64 = 100_000;
    let mut past = row();
    past.versions = (1..=SHARED).map(|id| made(id, 50, (id > 1).then_some(id - 1))).collect();
    past.lines = vec![line("main", SHARED, true)];
    for branch in 0..1_000 {
        let first = SHARED + branch * 100;
        past.versions.extend((1..=100).map(|n| made(first + n, 40, Some(if n > 1 { first + n - 1 } else { SHARED }))));
        past.lines.push(line(&format!("b{branch}"), first + 100, true));
    }
    past.current = Some(Version(SHARED));
    assert_eq!(expired(&past, &Wishes::default()).len(), 200_000 - 1_001);
    assert_eq!(expired(&past, &Wishes { retain_last: Some(50), ..Wishes::default() }).len(), 200_000 - 1_001 * 50);
}

#[test]
fn damaged_histories_end_and_keep_what_has_no_time() {
    let mut past = row();
    past.versions[0].parent = Some(Version(3));
    past.versions[1].time = None;
    past.lines.push(line("lost", 99, true));
    assert_eq!(expired(&past, &Wishes::default()), [1, 2, 3, 4]);
    past.lines.push(line("at", 2, false));
    assert_eq!(expired(&past, &Wishes::default()), [1, 3, 4]);
}

#[test]
fn planning_after_the_plan_was_carried_out_finds_nothing() {
    let mut past = row();
    past.lines.push(line("v1", 2, false));
    let gone = expired(&past, &Wishes::default());
    past.versions.retain(|entry| !gone.contains(&entry.version.0));
    assert!(plan(&past, &Wishes::default()).unwrap().is_empty());
}

fn emptied(past: &Past, wishes: &Wishes) -> Option<(Vec<i64>, i64, i64)> {
    let emptied = plan(past, wishes).unwrap().emptied?;
    let versions = emptied.versions.iter().map(|(version, _)| version.0).collect();
    Some((versions, emptied.bounds.before.0, (NOW - emptied.bounds.removed_before.0) / DAY))
}

#[test]
fn files_of_versions_that_stay_listed_go_by_an_age_of_their_own() {
    let mut past = row();
    assert_eq!(emptied(&past, &Wishes::default()), None, "without a log, files go with their versions");
    past.retention.max_log_age_ms = Some(35 * DAY);
    past.retention.max_age_ms = 35 * DAY;
    past.retention.max_file_age_ms = Some(15 * DAY);
    assert_eq!(expired(&past, &Wishes::default()), [1]);
    assert_eq!(emptied(&past, &Wishes::default()), Some((vec![2, 3], 4, 15)));
    past.emptied_before = Some(Version(3));
    assert_eq!(emptied(&past, &Wishes::default()), Some((vec![3], 4, 15)), "what is known to be done is not done again");
    past.emptied_before = Some(Version(4));
    assert!(plan(&past, &Wishes { retain_last: Some(5), ..Wishes::default() }).unwrap().is_empty());
    past.emptied_before = None;
    assert_eq!(emptied(&past, &Wishes { retain_last: Some(3), ..Wishes::default() }), Some((vec![2], 3, 15)));
    assert_eq!(emptied(&past, &Wishes { pins: [Version(2)].into(), ..Wishes::default() }), Some((vec![], 2, 15)));
    assert_eq!(emptied(&past, &unsafely(days(25))), Some((vec![], 3, 25)), "an age that is given moves both");
    let named = Wishes { versions: [Version(1)].into(), ..Wishes::default() };
    assert_eq!(emptied(&past, &named), None, "versions that are named go, no other loses anything");
    past.retention.max_file_age_ms = Some(0);
    assert_eq!(emptied(&past, &Wishes::default()), Some((vec![2, 3, 4], 5, 7)), "less than a week has to be asked for");
    assert_eq!(emptied(&past, &unsafely(Wishes::default())), Some((vec![2, 3, 4], 5, 0)));
}

#[test]
fn what_was_removed_from_versions_that_are_listed_no_more_is_looked_for_once() {
    let mut past = row();
    past.retention.max_log_age_ms = Some(100 * DAY);
    past.retention.max_age_ms = 100 * DAY;
    past.retention.max_file_age_ms = Some(100 * DAY);
    assert_eq!(emptied(&past, &Wishes::default()), Some((vec![], 1, 100)));
    assert!(!plan(&past, &Wishes::default()).unwrap().is_empty(), "a version that is not listed had files, as far as is known");
    past.emptied_before = Some(Version(1));
    assert!(plan(&past, &Wishes::default()).unwrap().is_empty());
    past.emptied_before = None;
    past.versions.iter_mut().for_each(|entry| {
        entry.version.0 -= 1;
        entry.parent = entry.parent.map(|parent| Version(parent.0 - 1));
    });
    past.lines.iter_mut().for_each(|line| line.head.0 -= 1);
    past.current = past.current.map(|version| Version(version.0 - 1));
    assert!(plan(&past, &Wishes::default()).unwrap().is_empty(), "nothing is older than the first version");
}
