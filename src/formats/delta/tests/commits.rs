//! Offering changes and what comes of them.

use serde_json::json;

use super::*;
use crate::commit::Answer;
use crate::error::Kind;
use crate::model::Version;
use crate::units::Timestamp;

const NOW: Timestamp = Timestamp(9_000);

fn made(protocol: Json, configuration: &Json) -> Made {
    let tagged = with(add("p=%2541%20é/a"), "add", "tags", json!({"INSERTION_TIME": "1"}));
    let first = with(tagged, "add", "partitionValues", json!({"p": "%41 é", "more": null}));
    let second = with(add("p=%2541%20é/b"), "add", "partitionValues", json!({"p": "%41 é", "more": null}));
    Made::new(&[vec![info(5), protocol, metadata(&["p"], configuration), first, second]])
}

fn plan(version: &dyn TableVersion) -> Change {
    let mut files = block(all_files(version)).unwrap();
    files.sort_by(|a, b| a.path().cmp(b.path()));
    change(version, files, 10)
}

#[test]
fn a_commit_repeats_paths_byte_for_byte() {
    let made = made(plain_protocol(), &json!({}));
    let version = made.load().unwrap();
    let change = plan(&*version);
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Ours(Version(1))));
    let lines = made.read_commit(1);
    let [info, first, second, added] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(info["commitInfo"]["txnId"], "op-0");
    assert_eq!(info["commitInfo"]["operation"], "OPTIMIZE");
    assert_eq!(info["commitInfo"]["readVersion"], 0);
    assert_eq!(info["commitInfo"]["operationMetrics"]["numRemovedBytes"], "20");
    let values = json!({"p": "%41 é", "more": null});
    let removed = json!({"path": "p=%2541%20é/a", "deletionTimestamp": 9000, "dataChange": false, "extendedFileMetadata": true,
        "partitionValues": values, "size": 10, "tags": {"INSERTION_TIME": "1"}});
    assert_eq!(first["remove"], removed);
    assert_eq!(second["remove"]["path"], "p=%2541%20é/b");
    let stats = r#"{"numRecords":10,"minValues":{},"maxValues":{},"nullCount":{}}"#;
    let expected = json!({"path": "p=%252541%20é/new%20file.parquet", "partitionValues": values, "size": 20,
        "modificationTime": 9000, "dataChange": false, "stats": stats});
    assert_eq!(added["add"], expected);
    assert_eq!(made.paths(), ["p=%252541%20é/new%20file.parquet"]);
}

#[test]
fn a_commit_is_found_again_by_its_operation() {
    let made = made(plain_protocol(), &json!({}));
    let version = made.load().unwrap();
    let change = plan(&*version);
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Ours(Version(1))));
    let newer = made.load().unwrap();
    let file = &block(all_files(&*newer)).unwrap()[0];
    assert_eq!(file.location, change.groups[0].adds[0].location);
    assert_eq!(block(newer.find(&change.operation, 0, Some(Version(0)))).unwrap(), Some(Version(1)));
    assert_eq!(block(newer.find(&change.operation, 0, None)).unwrap(), Some(Version(1)));
    assert_eq!(block(newer.find(&change.operation, 1, None)).unwrap(), None);
    assert_eq!(block(newer.find(&change.operation, 0, Some(Version(1)))).unwrap(), None);
}

#[test]
fn history_with_a_commit_missing_proves_nothing() {
    let made = made(plain_protocol(), &json!({}));
    let change = plan(&*made.load().unwrap());
    for version in 1..4 {
        made.commit(version, &[info(1)]);
    }
    let newer = made.load().unwrap();
    assert_eq!(block(newer.find(&change.operation, 0, Some(Version(0)))).unwrap(), None);
    std::fs::remove_file(made.commit_path(2)).unwrap();
    assert_eq!(block(newer.find(&change.operation, 0, Some(Version(0)))).unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(block(newer.find(&change.operation, 0, Some(Version(2)))).unwrap(), None);
}

#[test]
fn a_taken_version_is_told_from_our_own() {
    let made = made(plain_protocol(), &json!({}));
    let version = made.load().unwrap();
    let change = plan(&*version);
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Ours(Version(1))));
    // The same change again, as after a lost answer.
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Ours(Version(1))));
    let other = Change { part: 1, ..change.clone() };
    assert!(matches!(block(version.offer(&other, NOW)), Answer::Taken));
    // On top of the newer version the files are gone.
    let Answer::Rejected(error) = block(made.load().unwrap().offer(&other, NOW)) else { panic!() };
    assert_eq!(error.kind(), Kind::Conflict);
    std::fs::write(made.commit_path(1), "no log").unwrap();
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Silence(_)), "a damaged commit may be anybody's");
}

#[test]
fn a_change_holds_as_long_as_its_files_and_the_rules_are_the_same() {
    let made = made(plain_protocol(), &json!({}));
    let version = made.load().unwrap();
    let change = plan(&*version);
    let holds = |change: &Change| block(made.load().unwrap().still_holds(change)).unwrap();
    let appended = with(add("c"), "add", "partitionValues", json!({"p": "x"}));
    made.commit(1, &[appended]);
    assert_eq!(holds(&change), [true]);
    assert_eq!(holds(&Change { base: None, ..change.clone() }), [false]);
    made.commit(2, &[metadata(&["p"], &json!({"a": "b"}))]);
    assert_eq!(holds(&change), [false]);
    let later = Change { base: Some(Version(2)), ..change };
    assert_eq!(holds(&later), [true]);
    let vector = json!({"storageType": "u", "pathOrInlineDv": "^-aqEH.-t@S}K{vb[*k^", "offset": 1, "sizeInBytes": 44, "cardinality": 6});
    let marked = with(add("p=%2541%20é/a"), "add", "partitionValues", json!({"p": "%41 é"}));
    made.commit(3, &[remove("p=%2541 é/a"), with(marked, "add", "deletionVector", vector)]);
    assert_eq!(holds(&later), [false]);
}

#[test]
fn rules_that_changed_before_a_checkpoint_are_seen_too() {
    let made = made(plain_protocol(), &json!({"delta.checkpointInterval": "2"}));
    let change = plan(&*made.load().unwrap());
    made.commit(1, &[metadata(&["p"], &json!({"delta.checkpointInterval": "2", "a": "b"}))]);
    made.commit(2, &[info(6)]);
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    assert!(made.log("00000000000000000002.checkpoint.parquet").exists());
    let holds = |change: &Change| block(made.load().unwrap().still_holds(change)).unwrap();
    assert_eq!(holds(&change), [false]);
    let later = Change { base: Some(Version(1)), ..change };
    assert_eq!(holds(&later), [true]);
    std::fs::remove_file(made.commit_path(2)).unwrap();
    assert_eq!(holds(&later), [false], "a commit that is gone may have changed anything");
}

#[test]
fn in_commit_timestamps_grow_whatever_the_clock_says() {
    for suffix in ["", "-preview"] {
        let feature = format!("inCommitTimestamp{suffix}");
        let made = made(protocol(&[], &[feature.as_str()]), &json!({format!("delta.enableInCommitTimestamps{suffix}"): "true"}));
        let without = made.load().unwrap();
        let Answer::Rejected(error) = block(without.offer(&plan(&*without), NOW)) else { panic!() };
        assert_eq!(error.kind(), Kind::Unsupported);
        made.commit(1, &[json!({"commitInfo": {"inCommitTimestamp": 20_000, "timestamp": 3}})]);
        let version = made.load().unwrap();
        assert_eq!(version.snapshot().time, Some(Timestamp(20_000)));
        assert!(matches!(block(version.offer(&plan(&*version), NOW)), Answer::Ours(Version(2))));
        let line = std::fs::read_to_string(made.commit_path(2)).unwrap();
        assert!(line.starts_with("{\"commitInfo\":{\"inCommitTimestamp\":20001,"), "{line}");
    }
}

#[test]
fn new_files_get_row_ids_above_all_others() {
    let features = protocol(&[], &["rowTracking", "domainMetadata"]);
    let names = json!({"delta.enableRowTracking": "true", "delta.rowTracking.materializedRowIdColumnName": "_r",
        "delta.rowTracking.materializedRowCommitVersionColumnName": "_v"});
    let made = made(features, &names);
    let error = made.load().unwrap().rewritable().unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    let tracked = |path: &str, first: i64| {
        let add = with(with(add(path), "add", "partitionValues", json!({"p": "x"})), "add", "baseRowId", json!(first));
        with(add, "add", "defaultRowCommitVersion", json!(1))
    };
    let mark = |mark: i64| json!({"domainMetadata": {"domain": "delta.rowTracking", "configuration": format!("{{\"rowIdHighWaterMark\":{mark}}}"), "removed": false}});
    made.commit(1, &[remove("p=%2541%20é/a"), remove("p=%2541%20é/b"), tracked("a", 0), tracked("b", 5), mark(20)]);
    let version = made.load().unwrap();
    version.rewritable().unwrap();
    let change = plan(&*version);
    assert_eq!(change.groups[0].removes[1].lineage.as_ref().unwrap().first_row_id, Some(5));
    let output = version.output(&change.groups[0].removes[0].partition, &crate::formats::OutputWishes::default()).unwrap();
    assert_eq!(output.row_ids.unwrap().row_id, "_r");
    assert!(matches!(block(version.offer(&change, NOW)), Answer::Ours(Version(2))));
    let lines = made.read_commit(2);
    assert_eq!(lines[0]["commitInfo"]["tags"], json!({"delta.rowTracking.preserved": "true"}));
    assert_eq!((&lines[1]["remove"]["baseRowId"], &lines[1]["remove"]["defaultRowCommitVersion"]), (&json!(0), &json!(1)));
    assert_eq!((&lines[3]["add"]["baseRowId"], &lines[3]["add"]["defaultRowCommitVersion"]), (&json!(21), &json!(2)));
    assert_eq!(lines[4], mark(30));
}

#[test]
fn a_table_that_cannot_be_kept_intact_is_never_written() {
    let made = made(protocol(&[], &["teleport"]), &json!({"delta.checkpointInterval": "1"}));
    let version = made.load().unwrap();
    let Answer::Rejected(error) = block(version.offer(&plan(&*version), NOW)) else { panic!() };
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(!made.commit_path(1).exists());
    made.commit(1, &[info(1)]);
    let remarks = block(table(made.root()).settle(Version(1)));
    assert_eq!(remarks[0].kind(), Kind::Unsupported);
    assert!(!made.log("00000000000000000001.checkpoint.parquet").exists());
}
