//! Tables made what they were.

use serde_json::json;

use super::past::upkeep;
use super::*;
use crate::commit::Answer;
use crate::error::{Error, Kind};
use crate::model::{ListWishes, UpkeepKind, Version};
use crate::units::Timestamp;

const NOW: Timestamp = Timestamp(9_000);

/// The table with its data files, as far as adds name them plainly.
fn made(commits: &[Vec<Json>]) -> Made {
    let made = Made::new(commits);
    for action in commits.iter().flatten() {
        if let Some(path) = action["add"]["path"].as_str() {
            std::fs::write(made.root().join(path), "").unwrap();
        }
    }
    made
}

fn restore(made: &Made, to: i64) -> Answer {
    block(made.load().unwrap().offer_upkeep(&upkeep(UpkeepKind::Restore(Version(to))), NOW))
}

fn refused(answer: Answer) -> Error {
    let Answer::Rejected(error) = answer else { panic!("{answer:?}") };
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    error
}

fn plain(configuration: &Json) -> Vec<Json> {
    vec![plain_protocol(), metadata(&[], configuration), add("a"), add("b")]
}

#[test]
fn files_come_back_and_go_as_the_version_says_and_what_is_in_both_stays() {
    let vector = json!({"storageType": "i", "pathOrInlineDv": "0000000000", "sizeInBytes": 8, "cardinality": 1});
    let marked = |mut action: Json, kind: &str| {
        action[kind]["deletionVector"] = vector.clone();
        action
    };
    let tagged = with(with(add("c"), "add", "tags", json!({"t": null})), "add", "partitionValues", json!({"p": "1"}));
    let first = vec![protocol(&["deletionVectors"], &["deletionVectors"]), metadata(&["p"], &json!({})), tagged];
    let at = |path: &str| with(add(path), "add", "partitionValues", json!({"p": ""}));
    let mut first_files = first;
    first_files.extend([at("a"), at("b")]);
    let made = made(&[first_files, vec![remove("a"), marked(at("a"), "add")], vec![remove("c"), at("d")]]);
    assert!(matches!(restore(&made, 0), Answer::Ours(Version(3))));
    let lines = made.read_commit(3);
    let info = &lines[0]["commitInfo"];
    assert_eq!((&info["operation"], &info["operationParameters"]), (&json!("RESTORE"), &json!({"version": 0, "timestamp": null})));
    assert_eq!((&info["readVersion"], &info["txnId"]), (&json!(2), &json!("0c1d8dd9-8b2e-4b23-a1b1-a2f2b0e5a111-0")));
    let metrics = json!({"tableSizeAfterRestore": "30", "numOfFilesAfterRestore": "3", "numRemovedFiles": "2", "numRestoredFiles": "2",
        "removedFilesSize": "20", "restoredFilesSize": "20"});
    assert_eq!(info["operationMetrics"], metrics);
    let mut removed: Vec<_> = lines[1..3].iter().map(|line| line["remove"].clone()).collect();
    removed.sort_by_key(|remove| remove["path"].to_string());
    assert_eq!((&removed[0]["path"], &removed[0]["deletionVector"]), (&json!("a"), &vector));
    assert_eq!(
        (&removed[1]["path"], &removed[1]["dataChange"], &removed[1]["deletionTimestamp"]),
        (&json!("d"), &json!(true), &json!(9_000))
    );
    let mut added: Vec<_> = lines[3..].iter().map(|line| line["add"].clone()).collect();
    added.sort_by_key(|add| add["path"].to_string());
    assert_eq!((added.len(), &added[0]["path"], &added[0].get("deletionVector")), (2, &json!("a"), &None));
    assert_eq!(
        (&added[1]["tags"], &added[1]["partitionValues"], &added[1]["dataChange"]),
        (&json!({"t": null}), &json!({"p": "1"}), &json!(true))
    );
    assert_eq!(made.paths(), ["a", "b", "c"]);
    assert!(matches!(restore(&made, 0), Answer::Ours(Version(3))), "nothing is left to change");
    assert!(!made.commit_path(4).exists());
    let found =
        block(made.load().unwrap().find(&upkeep(UpkeepKind::RewriteManifests(ListWishes::default())).operation, 0, Some(Version(2))))
            .unwrap();
    assert_eq!(found, Some(Version(3)));
}

#[test]
fn files_that_were_deleted_refuse_the_version_with_their_number() {
    let made = made(&[plain(&json!({})), vec![remove("a"), remove("b"), add("c")]]);
    std::fs::remove_file(made.root().join("a")).unwrap();
    std::fs::remove_file(made.root().join("b")).unwrap();
    let error = refused(restore(&made, 0));
    assert!(error.to_string().contains("files_missing=2"), "{error}");
    assert!(!made.commit_path(2).exists());
}

#[test]
fn a_version_that_is_not_there_is_not_found() {
    let made = made(&[plain(&json!({})), vec![remove("a")]]);
    for version in [-1, 2, 9] {
        assert!(matches!(restore(&made, version), Answer::Rejected(error) if error.kind() == Kind::NotFound), "{version}");
    }
    assert!(matches!(restore(&made, 1), Answer::Ours(Version(1))), "the newest is what it is");
}

#[test]
fn columns_and_properties_come_back_and_promises_of_the_log_stay() {
    let promises = json!({"x": "new", "delta.enableInCommitTimestamps": "true", "delta.inCommitTimestampEnablementVersion": "1",
        "delta.inCommitTimestampEnablementTimestamp": "20", "delta.columnMapping.maxColumnId": "9"});
    let mut newer = metadata(&[], &promises);
    newer["metaData"]["schemaString"] = json!(r#"{"type":"struct","fields":[{"name":"z","type":"long","nullable":true,"metadata":{}}]}"#);
    newer["metaData"]["name"] = json!("renamed");
    let at = |ms: i64| json!({"commitInfo": {"inCommitTimestamp": ms, "timestamp": 3}});
    let made = made(&[
        plain(&json!({"x": "old", "delta.columnMapping.maxColumnId": "2"})),
        vec![at(20), protocol(&[], &["appendOnly", "invariants", "inCommitTimestamp"]), newer],
        vec![at(50_000), remove("a")],
    ]);
    assert!(matches!(restore(&made, 0), Answer::Ours(Version(3))));
    let lines = made.read_commit(3);
    assert_eq!(lines[0]["commitInfo"]["inCommitTimestamp"], json!(50_001), "later than the commit before");
    let restored = &lines[1]["metaData"];
    assert_eq!(restored["schemaString"], made.read_commit(0)[1]["metaData"]["schemaString"]);
    assert_eq!((&restored["name"], &restored["configuration"]["x"]), (&json!("a table"), &json!("old")));
    for (key, value) in promises.as_object().unwrap().iter().filter(|(key, _)| *key != "x") {
        assert_eq!(&restored["configuration"][key], value, "{key}");
    }
    assert!(lines.iter().all(|line| line.get("protocol").is_none()), "the protocol has all that version 0 had");
    assert_eq!(made.load().unwrap().snapshot().schema.fields.len(), 2);
}

#[test]
fn the_protocol_never_goes_back_and_grows_where_the_version_needs_more() {
    let made = made(&[
        vec![protocol(&["deletionVectors"], &["deletionVectors"]), metadata(&[], &json!({})), add("a")],
        vec![plain_protocol(), remove("a")],
    ]);
    assert!(matches!(restore(&made, 0), Answer::Ours(Version(2))));
    let expected = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
        "writerFeatures": ["appendOnly", "deletionVectors", "invariants"]});
    assert_eq!(made.read_commit(2)[1]["protocol"], expected);
}

#[test]
fn what_cannot_be_taken_back_refuses() {
    let only_new = made(&[plain(&json!({"delta.appendOnly": "true"})), vec![add("c")]]);
    assert!(refused(restore(&only_new, 0)).message().contains("delta.appendOnly"));
    let mapped = |mode: &str| metadata(&[], &json!({"delta.columnMapping.mode": mode}));
    let features = protocol(&["columnMapping"], &["columnMapping"]);
    let remapped = made(&[vec![features, mapped("none"), add("a")], vec![mapped("name")]]);
    let schema = r#"{"type":"struct","fields":[{"name":"z","type":"long","nullable":true,"metadata":{"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"z"}}]}"#;
    remapped.commit(1, &[with(mapped("name"), "metaData", "schemaString", json!(schema))]);
    assert!(refused(restore(&remapped, 0)).message().contains("mapped in another way"));
    let tracked = protocol(&[], &["rowTracking", "domainMetadata"]);
    let dropped = made(&[vec![tracked, metadata(&[], &json!({})), add("a")], vec![protocol(&[], &["domainMetadata"])]]);
    assert!(refused(restore(&dropped, 0)).to_string().contains("rowTracking"));
}

#[test]
fn rows_without_an_id_get_one_and_the_mark_moves_on() {
    let tracked = protocol(&[], &["rowTracking", "domainMetadata"]);
    let mark = |n: i64| {
        let text = format!("{{\"rowIdHighWaterMark\":{n}}}");
        json!({"domainMetadata": {"domain": "delta.rowTracking", "configuration": text, "removed": false}})
    };
    let with_id =
        |path: &str, first: i64| with(with(add(path), "add", "baseRowId", json!(first)), "add", "defaultRowCommitVersion", json!(1));
    let made =
        made(&[plain(&json!({})), vec![tracked, with_id("c", 0), remove("a"), mark(4)], vec![with_id("d", 5), remove("c"), mark(9)]]);
    assert!(matches!(restore(&made, 1), Answer::Ours(Version(3))));
    let lines = made.read_commit(3);
    let added: Vec<&Json> = lines.iter().filter_map(|line| line.get("add")).collect();
    assert_eq!((added.len(), &added[0]["baseRowId"], &added[0]["defaultRowCommitVersion"]), (1, &json!(0), &json!(1)), "as it was");
    assert!(lines.iter().all(|line| line.get("domainMetadata").is_none()));
    assert!(matches!(restore(&made, 0), Answer::Ours(Version(4))));
    let lines = made.read_commit(4);
    let added: Vec<&Json> = lines.iter().filter_map(|line| line.get("add")).collect();
    assert_eq!((added.len(), &added[0]["path"]), (1, &json!("a")));
    assert_eq!((&added[0]["baseRowId"], &added[0]["defaultRowCommitVersion"]), (&json!(10), &json!(4)), "fresh ids");
    assert_eq!(lines.last().unwrap(), &mark(14));
    assert_eq!(lines[0]["commitInfo"]["tags"], json!({"delta.rowTracking.preserved": "false"}));
}

#[test]
fn clustering_columns_come_back_and_other_domains_stay() {
    let domain = |name: &str, text: &str| json!({"domainMetadata": {"domain": name, "configuration": text, "removed": false}});
    let clustered = protocol(&[], &["clustering", "domainMetadata"]);
    let by = |column: &str| domain("delta.clustering", &format!("{{\"clusteringColumns\":[[\"{column}\"]]}}"));
    let made = made(&[
        vec![clustered, metadata(&[], &json!({})), add("a"), by("n"), domain("mine", "1")],
        vec![by("p"), domain("mine", "2")],
        vec![json!({"domainMetadata": {"domain": "delta.clustering", "configuration": "", "removed": true}})],
    ]);
    assert!(matches!(restore(&made, 0), Answer::Ours(Version(3))));
    assert_eq!(made.read_commit(3)[1..], [by("n")]);
    assert!(matches!(restore(&made, 2), Answer::Ours(Version(4))));
    assert_eq!(made.read_commit(4)[1]["domainMetadata"]["removed"], json!(true));
}

#[test]
fn a_place_that_is_taken_is_told_apart_from_our_own() {
    let made = made(&[plain(&json!({})), vec![remove("a")]]);
    let version = made.load().unwrap();
    let offer = || block(version.offer_upkeep(&upkeep(UpkeepKind::Restore(Version(0))), NOW));
    assert!(matches!(offer(), Answer::Ours(Version(2))));
    assert!(matches!(offer(), Answer::Ours(Version(2))), "it is there already, and it is ours");
    made.commit(2, &[info(1)]);
    assert!(matches!(offer(), Answer::Taken));
}
