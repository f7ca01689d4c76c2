//! Looking back, on histories made for it.

use super::*;
use crate::formats::Reference;
use crate::ops::inspect::fixed::Fixed;

/// Versions 1 to `count`, made at 10, 20 … ms.
fn history(count: i64) -> Vec<HistoryEntry> {
    let entry = |number: i64| HistoryEntry {
        version: Version(number),
        time: Some(Timestamp(number * 10)),
        parent: Some(Version(number - 1)),
        operation: Some("append".into()),
        summary: BTreeMap::new(),
        is_ancestor: true,
    };
    (1..=count).map(entry).collect()
}

fn reference(name: &str, version: i64) -> Reference {
    Reference {
        name: name.into(),
        version: Version(version),
        is_branch: name == "main",
        max_ref_age_ms: None,
        max_snapshot_age_ms: None,
        min_snapshots_to_keep: None,
    }
}

fn keeping(max_age_ms: i64, min_versions: u64) -> Option<Retention> {
    Some(Retention { collectable: true, max_age_ms, min_versions, max_ref_age_ms: None, max_file_age_ms: None, max_log_age_ms: None })
}

async fn seen(history: Vec<HistoryEntry>, references: Vec<Reference>, retention: Option<Retention>, now: i64) -> Past {
    look_back(&Fixed { history, references, ..Fixed::default() }, retention, Timestamp(now)).await.unwrap()
}

#[tokio::test]
async fn the_newest_versions_are_kept_newest_first_and_all_are_counted() {
    let past = seen(history(150), vec![reference("v1", 7)], None, 2_000).await;
    assert_eq!((past.versions, past.acts.len(), past.newest.len(), past.outlived), (150, 150, NEWEST, None));
    assert_eq!((past.newest[0].version, past.newest[NEWEST - 1].version), (Version(150), Version(51)));
    assert_eq!(past.times, [(Version(7), Timestamp(70))].into());
}

#[tokio::test]
async fn versions_outlive_their_age_unless_something_holds_them() {
    let outlived = async |retention, references: Vec<Reference>| seen(history(10), references, retention, 100).await.outlived;
    // Made before 60: the versions 1 to 5.
    assert_eq!(outlived(keeping(40, 1), vec![]).await, Some(5));
    assert_eq!(outlived(keeping(40, 1), vec![reference("v1", 2)]).await, Some(4));
    assert_eq!(outlived(keeping(40, 8), vec![]).await, Some(2));
    assert_eq!(outlived(keeping(40, u64::MAX), vec![]).await, Some(0));
    let main = Reference { max_snapshot_age_ms: Some(80), min_snapshots_to_keep: Some(1), ..reference("main", 10) };
    assert_eq!(outlived(keeping(0, 10), vec![main]).await, Some(1), "the main branch has rules of its own");
}

#[tokio::test]
async fn versions_beside_the_main_line_and_without_a_time_are_not_called_old() {
    let mut history = history(3);
    history[0].is_ancestor = false;
    history[1].time = None;
    let past = seen(history, vec![], keeping(0, 0), 1_000).await;
    assert_eq!((past.outlived, past.acts.len()), (Some(1), 2));
}

#[test]
fn operations_of_both_formats_have_a_kind() {
    let kinds = [Some("append"), Some("replace"), Some("OPTIMIZE"), Some("MERGE"), Some("DELETE"), Some("SET TBLPROPERTIES"), None];
    assert_eq!(kinds.map(Act::of), [Act::Append, Act::Rewrite, Act::Rewrite, Act::Overwrite, Act::Delete, Act::Other, Act::Other]);
}

#[test]
fn what_writers_counted_is_read_in_either_formats_words() {
    let effect = |pairs: &[(&str, &str)]| Effect::of(&pairs.iter().map(|(key, text)| ((*key).to_string(), (*text).to_string())).collect());
    let iceberg = effect(&[("added-data-files", "2"), ("deleted-data-files", "5"), ("added-records", "10"), ("deleted-records", "11")]);
    assert_eq!(iceberg, Effect { files_added: Some(2), files_removed: Some(5), rows_added: Some(10), rows_removed: Some(11) });
    let merge =
        effect(&[("numTargetFilesAdded", "1"), ("numOutputRows", "100"), ("numTargetRowsInserted", "3"), ("numTargetRowsDeleted", "x")]);
    assert_eq!(merge, Effect { files_added: Some(1), files_removed: None, rows_added: Some(3), rows_removed: None });
}
