//! Rows deleted by deletion vectors.

use roaring::RoaringTreemap;
use serde_json::json;

use super::*;
use crate::commit::Answer;
use crate::error::Kind;
use crate::model::{DeleteKind, DeleteRef, Marked, Version};
use crate::units::Timestamp;

const NOW: Timestamp = Timestamp(9_000);
const FEATURE: [&str; 1] = ["deletionVectors"];

fn on() -> Json {
    json!({"delta.enableDeletionVectors": "true"})
}

fn made(protocol: Json, configuration: &Json) -> Made {
    let tagged = with(add("a%20b"), "add", "tags", json!({"t": "1"}));
    let tracked = with(with(tagged, "add", "baseRowId", json!(7)), "add", "defaultRowCommitVersion", json!(0));
    let bare = with(with(add("c"), "add", "stats", json!(null)), "add", "clusteringProvider", json!("liquid"));
    Made::new(&[vec![info(5), protocol, metadata(&[], configuration), tracked, bare, add("d")]])
}

/// Marks `deleted` of the files whose paths are given.
fn marks(version: &dyn TableVersion, deleted: &[(&str, &[u64])]) -> Change {
    let files = block(all_files(version)).unwrap();
    let marked = deleted.iter().map(|(path, positions)| {
        let file = files.iter().find(|file| file.path() == *path).unwrap().clone();
        Marked { file: DataFile { rows: Some(5), ..file }, deleted: Arc::new(RoaringTreemap::from_iter(positions.iter().copied())) }
    });
    let groups = marked.map(|marked| GroupChange { marks: vec![marked], ..GroupChange::default() }).collect();
    let operation = OperationId("0c1d8dd9-8b2e-4b23-a1b1-a2f2b0e5a111".into());
    Change { operation, part: 0, base: version.snapshot().version, intent: Intent::DeleteRows, groups, drop_dangling_deletes: false }
}

fn vector_files(made: &Made) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(made.root()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("deletion_vector_")).collect()
}

/// P1: what is marked is gone, what is not marked stays, and the log says so in the protocol's words.
#[test]
fn marked_rows_are_gone_and_the_file_stays_with_its_numbers() {
    let made = made(protocol(&FEATURE, &FEATURE), &on());
    let version = made.load().unwrap();
    version.markable().unwrap();
    let change = marks(&*version, &[("a%20b", &[0, 2]), ("c", &[4]), ("d", &[0, 1, 2, 3, 4])]);
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Ours(Version(1))));
    let lines = made.read_commit(1);
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert_eq!((&lines[0]["commitInfo"]["operation"], &lines[0]["commitInfo"]["isBlindAppend"]), (&json!("DELETE"), &json!(false)));
    assert_eq!(lines[0]["commitInfo"]["operationMetrics"]["numDeletedRows"], "8");
    assert_eq!((&lines[1]["remove"]["path"], &lines[1]["remove"]["dataChange"]), (&json!("a%20b"), &json!(true)));
    let vector = lines[2]["add"]["deletionVector"].clone();
    assert_eq!((&vector["storageType"], &vector["offset"], &vector["cardinality"]), (&json!("u"), &json!(1), &json!(2)));
    let stats = r#"{"maxValues":{"n":3},"minValues":{"n":1},"nullCount":{"n":0},"numRecords":5,"tightBounds":false}"#;
    let expected = json!({"path": "a%20b", "partitionValues": {}, "size": 10, "modificationTime": 1, "dataChange": true, "stats": stats,
        "tags": {"t": "1"}, "deletionVector": vector, "baseRowId": 7, "defaultRowCommitVersion": 0});
    assert_eq!(lines[2]["add"], expected);
    assert_eq!(lines[4]["add"]["stats"], r#"{"numRecords":5,"tightBounds":false}"#);
    assert_eq!(lines[4]["add"]["clusteringProvider"], "liquid");
    assert_eq!(lines[5]["remove"]["path"], "d");
    assert_eq!(vector_files(&made).len(), 1, "vectors of one commit share a file");
    let newer = made.load().unwrap();
    let files = block(all_files(&*newer)).unwrap();
    let of = |path: &str| {
        let file = files.iter().find(|file| file.path() == path).unwrap();
        let RowDeletes::Positions(rows) = block(newer.row_deletes(std::slice::from_ref(file))).unwrap().remove(0) else { panic!() };
        rows.iter().collect::<Vec<_>>()
    };
    assert_eq!((of("a%20b"), of("c"), files.len()), (vec![0, 2], vec![4], 2));
    assert!(files.iter().all(|file| file.stats.as_ref().is_none_or(|stats| stats.columns.values().all(|column| !column.exact))));
}

#[test]
fn nothing_is_marked_on_a_version_that_would_lose_the_statistics() {
    let made = made(protocol(&FEATURE, &FEATURE), &on());
    let counts = block(table(made.root()).load_counts()).unwrap();
    let Answer::Rejected(error) = block(counts.offer(&marks(&*counts, &[("d", &[0])]), NOW)) else { panic!() };
    assert_eq!((error.kind(), made.load().unwrap().snapshot().version), (Kind::Bug, Some(Version(0))));
}

#[test]
fn more_rows_of_a_marked_file_replace_its_vector() {
    let made = made(protocol(&FEATURE, &FEATURE), &on());
    let version = made.load().unwrap();
    assert!(matches!(block(version.offer(&marks(&*version, &[("a%20b", &[1])]), NOW)), Answer::Ours(_)));
    let first = made.read_commit(1)[2]["add"]["deletionVector"].clone();
    let version = made.load().unwrap();
    let change = marks(&*version, &[("a%20b", &[1, 3])]);
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Ours(Version(2))));
    let lines = made.read_commit(2);
    assert_eq!(lines[1]["remove"]["deletionVector"], first);
    assert_eq!(lines[2]["add"]["deletionVector"]["cardinality"], 2);
    assert_ne!(lines[2]["add"]["deletionVector"]["pathOrInlineDv"], first["pathOrInlineDv"]);
    assert_eq!(lines[0]["commitInfo"]["operationMetrics"]["numDeletedRows"], "1");
    assert_eq!(block(live_rows(&*made.load().unwrap())).unwrap(), None, "one file does not say how many rows it has");
    let used =
        vector_files(&made).iter().map(|path| Location::parse(path.to_str().unwrap()).unwrap()).collect::<std::collections::HashSet<_>>();
    assert_eq!(block(made.load().unwrap().referenced(used.clone())).unwrap(), used, "older versions need the older vector");
}

/// P1: a file that others have marked, replaced or removed meanwhile is no longer the one the deletion was planned for.
#[test]
fn a_deletion_holds_as_long_as_its_files_have_the_same_vector() {
    let made = made(protocol(&FEATURE, &FEATURE), &on());
    let version = made.load().unwrap();
    let change = marks(&*version, &[("a%20b", &[0]), ("c", &[0])]);
    assert!(matches!(block(version.offer(&marks(&*version, &[("a%20b", &[4])]), NOW)), Answer::Ours(Version(1))));
    made.commit(2, &[add("e")]);
    let newer = made.load().unwrap();
    assert_eq!(block(newer.still_holds(&change)).unwrap(), [false, true]);
    let Answer::Rejected(error) = block(newer.offer(&change, NOW)) else { panic!() };
    assert_eq!(error.kind(), Kind::Conflict);
}

/// P2: after a lost race nothing of ours is left, after our own commit everything is.
#[test]
fn vectors_of_a_lost_commit_are_removed() {
    let made = made(protocol(&FEATURE, &FEATURE), &on());
    let version = made.load().unwrap();
    let change = marks(&*version, &[("c", &[0])]);
    made.commit(1, &[info(6)]);
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Taken));
    assert_eq!(vector_files(&made), Vec::<PathBuf>::new());
    let newer = made.load().unwrap();
    assert!(matches!(block(newer.offer(&change, NOW)), Answer::Ours(Version(2))));
    assert!(matches!(block(newer.offer(&change, NOW)), Answer::Ours(Version(2))), "the same commit again");
    assert_eq!(vector_files(&made).len(), 1);
}

#[test]
fn tables_that_do_not_allow_new_vectors_are_refused_by_name_and_nothing_is_written() {
    let plus = |key: &str| json!({"delta.enableDeletionVectors": "true", key: "true"});
    let listed = |more: &'static str| protocol(&FEATURE, &["deletionVectors", more]);
    for (made, named) in [
        (made(plain_protocol(), &on()), "does not have deletion vectors"),
        (made(protocol(&FEATURE, &FEATURE), &json!({})), "delta.enableDeletionVectors"),
        (made(listed("appendOnly"), &plus("delta.appendOnly")), "delta.appendOnly"),
        (made(listed("changeDataFeed"), &plus("delta.enableChangeDataFeed")), "change feed"),
    ] {
        let version = made.load().unwrap();
        let error = version.markable().unwrap_err();
        assert!(error.message().contains(named), "{error}");
        let Answer::Rejected(again) = block(version.offer(&marks(&*version, &[("c", &[0])]), NOW)) else { panic!() };
        assert_eq!(again.message(), error.message());
        assert!(vector_files(&made).is_empty() && !made.commit_path(1).exists());
    }
}

#[test]
fn a_deletion_that_deletes_nothing_new_or_rows_that_are_not_there_is_a_bug_of_the_planner() {
    let made = made(protocol(&FEATURE, &FEATURE), &on());
    let version = made.load().unwrap();
    for positions in [&[][..], &[5]] {
        let Answer::Rejected(error) = block(version.offer(&marks(&*version, &[("c", positions)]), NOW)) else { panic!() };
        assert_eq!(error.kind(), Kind::Bug);
    }
    let mut both = marks(&*version, &[("c", &[0])]);
    both.groups.extend(marks(&*version, &[("c", &[1])]).groups);
    assert_eq!(both.check().unwrap_err().kind(), Kind::Bug, "one file twice");
    // A log may list one file as two.
    both.groups[1].marks[0].file.deletes = Arc::new([DeleteRef { kind: DeleteKind::Vector, key: "another".into(), rows: None }]);
    assert_eq!(both.check().unwrap_err().kind(), Kind::Corrupt, "one file with two kinds of deletes");
    let rearranged = Change { intent: Intent::Rearrange, ..marks(&*version, &[("c", &[0])]) };
    assert_eq!(rearranged.check().unwrap_err().kind(), Kind::Bug);
}
