//! Cases of Iceberg's own suites for snapshot expiry, by their numbers in `docs/tests/peer-suites.md`. Those that other tests hold are named there.

use std::collections::BTreeSet;

use otf::model::FileKind;
use otf::ops::compact;
use otf::ops::document::Outcome;
use otf::ops::expire::Options;
use otf::ops::expire::plan::Wishes;
use serde_json::json;

use crate::cli::{document, otf, status};
use crate::support::expiry::{everything, expire, expire_table, keys, older_than_days, versions};
use crate::support::golden::copy;
use crate::support::timeline::{DAY, Says, Timeline};
use crate::support::upkeep::history;
use crate::support::workbench::{Original, objects, over, runtime};

/// Snapshots of these ages in days on main, each with a file more.
fn row(days: &[i64]) -> Timeline {
    let mut timeline = Timeline::default();
    let head = days.iter().fold(None, |head, days| Some(timeline.append(head, *days)));
    timeline.name("main", head.unwrap(), true);
    timeline
}

async fn expired(timeline: &Timeline, options: &Options) -> Vec<String> {
    expire(&timeline.lay_out().await, options).await.unwrap().report.expired
}

fn all(timeline: &Timeline) -> BTreeSet<String> {
    timeline.objects().into_keys().collect()
}

#[test]
fn iceberg_suite_73_where_more_versions_are_kept_than_there_are_there_is_no_commit() {
    runtime().block_on(async {
        let timeline = row(&[30, 20, 10]);
        let store = timeline.lay_out().await;
        let options = Options { wishes: Wishes { retain_last: Some(9), ..everything().wishes }, ..everything() };
        let finished = expire(&store, &options).await.unwrap();
        assert_eq!((finished.outcome, finished.report.expired.len()), (Outcome::NothingToDo, 0));
        assert_eq!(keys(&store).await, all(&timeline));
    });
}

#[test]
fn iceberg_suite_75_and_76_an_option_given_twice_and_counts_and_ages_below_nothing_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    copy(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/delta_plain"), &folder.path().join("t"));
    for words in [
        &["--older-than", "8d", "--older-than", "9d"][..],
        &["--retain-last", "2", "--retain-last", "3"],
        &["--retain-last", "0"],
        &["--retain-last=-1"],
        &["--older-than=-1h", "--unsafe-retention"],
    ] {
        let output = otf(folder.path(), &[&["expire", "t", "--yes", "--output", "json"], words].concat());
        assert_eq!((status(&output), &document(&output)["error"]["kind"]), (2, &json!("usage")), "{words:?}");
    }
}

#[test]
fn iceberg_suite_78_without_arguments_the_tables_own_age_and_count_are_followed() {
    runtime().block_on(async {
        let mut timeline = row(&[40, 30, 20, 10]);
        assert_eq!(expired(&timeline, &Options::default()).await, ["1", "2", "3"]);
        timeline.properties.insert("history.expire.max-snapshot-age-ms".into(), (25 * DAY).to_string());
        assert_eq!(expired(&timeline, &Options::default()).await, ["1", "2"]);
        timeline.properties.insert("history.expire.min-snapshots-to-keep".into(), "3".into());
        assert_eq!(expired(&timeline, &Options::default()).await, ["1"]);
    });
}

#[test]
fn iceberg_suite_79_delete_files_that_a_rewrite_applied_go_with_their_data_and_manifests() {
    runtime().block_on(async {
        for (fixture, kind) in [("iceberg_v2_posdeletes", FileKind::PositionDeletes), ("iceberg_v3_dv", FileKind::DeletionVectors)] {
            let original = Original::iceberg(fixture).await;
            let table = original.lay_out().await;
            let options = compact::Options { rewrite_all: true, ..compact::Options::default() };
            let store = over(&table);
            let opened = original.open(&store).await.unwrap();
            let old: Vec<i64> = history(&*opened.load().await.unwrap()).await.iter().map(|entry| entry.version.0).collect();
            original.compact(&table, 1, "an-operation", &options).await.unwrap();
            let before = objects(&table, &original.root).await;
            let (finished, _) = expire_table(&*opened, &table, (1, "an-expiry"), &versions(&old)).await.unwrap();
            let after = objects(&table, &original.root).await;
            let gone: Vec<&String> = before.keys().filter(|key| !after.contains_key(*key)).collect();
            // Everything that the table had before it was compacted but its metadata files, and nothing of what it has now.
            let expected: Vec<&String> =
                original.objects.keys().filter(|key| !key.ends_with(".json") && !key.ends_with("version-hint.text")).collect();
            assert_eq!(gone, expected, "{fixture}");
            let deleted = finished.report.deleted.0;
            let data = original.objects.keys().filter(|key| key.starts_with("data/") && !key.contains("delete")).count() as u64;
            assert_eq!(deleted.get(&FileKind::ManifestLists), Some(&2), "{fixture}");
            assert!(deleted[&kind] > 0 && deleted[&FileKind::Data] <= data, "{fixture}: {deleted:?}");
            assert_eq!(original.read(&table).await, original.rows, "{fixture}");
        }
    });
}

#[test]
fn iceberg_suite_80_tags_and_branches_go_by_an_age_of_their_own_and_main_never_does() {
    runtime().block_on(async {
        let mut timeline = row(&[40, 30, 20]);
        timeline.name("old-tag", 1, false);
        timeline.name("old-branch", 2, true);
        timeline.name("kept", 2, false);
        timeline.name("main", 3, true);
        for (name, days) in [("old-tag", 35), ("old-branch", 25), ("main", 1)] {
            timeline.refs.get_mut(name).unwrap().own = json!({"max-ref-age-ms": days * DAY});
        }
        let store = timeline.lay_out().await;
        let finished = expire(&store, &everything()).await.unwrap();
        assert_eq!(
            (finished.report.refs_removed, finished.report.expired),
            (vec!["old-branch".into(), "old-tag".into()], vec!["1".into()])
        );
        let now = keys(&store).await;
        assert!(timeline.reach(&[2, 3]).is_subset(&now));
    });
}

#[test]
fn iceberg_suite_82_a_staged_snapshots_own_files_go_unless_one_that_was_picked_from_it_has_them() {
    runtime().block_on(async {
        for picked in [false, true] {
            let mut timeline = Timeline::default();
            let first = timeline.append(None, 30);
            let staged = timeline.append(Some(first), 20);
            timeline.snapshots.get_mut(&staged).unwrap().summary = json!({"operation": "append", "wap.id": "w"});
            let file: Vec<String> = timeline.live(staged).difference(&timeline.live(first)).cloned().collect();
            let mut manifests = timeline.snapshots[&first].manifests.clone();
            let added = if picked { file[0].clone() } else { timeline.file() };
            manifests.push(timeline.manifest(vec![(Says::Added, added)]));
            let head = timeline.snapshot(Some(first), 10, manifests);
            timeline.name("main", head, true);
            assert_eq!(expired(&timeline, &older_than_days(25)).await, [first.to_string()], "it is young yet");
            let store = timeline.lay_out().await;
            let finished = expire(&store, &everything()).await.unwrap();
            assert_eq!(finished.report.expired, [first, staged].map(|id| id.to_string()));
            assert_eq!(keys(&store).await.contains(&file[0]), picked);
            assert!(timeline.reach(&[head]).is_subset(&keys(&store).await));
        }
    });
}
