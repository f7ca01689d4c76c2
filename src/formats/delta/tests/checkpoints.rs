//! Checkpoints of every kind.

use serde_json::json;

use super::*;
use crate::model::Version;

const CHECKPOINT: &str = "00000000000000000002.checkpoint.parquet";
const DAY: i64 = 86_400_000;

/// A table at version 2 with one of everything that a checkpoint keeps.
fn made(writer: &[&str]) -> Made {
    let vector = json!({"storageType": "u", "pathOrInlineDv": "ab^-aqEH.-t@S}K{vb[*k^", "offset": 1, "sizeInBytes": 44, "cardinality": 6});
    let full = json!({"add": {"path": "p=x%20y/é", "partitionValues": {"p": "x y", "z": null}, "size": 11, "modificationTime": 12, "dataChange": true,
        "stats": "{\"numRecords\":5}", "tags": {"t": "1", "u": null}, "deletionVector": vector, "baseRowId": 40,
        "defaultRowCommitVersion": 1, "clusteringProvider": "liquid"}});
    let old = with(remove("old"), "remove", "deletionTimestamp", json!(DAY));
    let young = json!({"remove": {"path": "young", "deletionTimestamp": 9 * DAY, "dataChange": true, "extendedFileMetadata": true,
        "partitionValues": {"p": "1"}, "size": 3, "deletionVector": vector, "baseRowId": 1, "defaultRowCommitVersion": 0, "tags": {"a": "b"}}});
    let domain = |name: &str, removed: bool| json!({"domainMetadata": {"domain": name, "configuration": "{\"a\":1}", "removed": removed}});
    let txn = json!({"txn": {"appId": "app", "version": 4, "lastUpdated": 6}});
    let configuration = json!({"delta.checkpointInterval": "2", "x": "y"});
    let at = |path: &str| with(add(path), "add", "partitionValues", json!({"p": ""}));
    Made::new(&[
        vec![
            protocol(&["deletionVectors"], writer),
            metadata(&["p"], &configuration),
            at("a"),
            domain("gone", false),
            domain("kept", false),
        ],
        vec![full, old, domain("gone", true), txn],
        vec![info(10 * DAY), young, at("again"), remove("again-not"), at("b")],
    ])
}

fn state(made: &Made) -> super::super::replay::State {
    block(table(made.root()).state(None, Keep::All)).unwrap().0
}

/// Everything a state holds, as text.
fn describe(state: &super::super::replay::State) -> String {
    let mut adds: Vec<_> = state
        .files
        .iter()
        .map(|add| {
            let mut anywhere = add.clone();
            anywhere.partition = 0;
            (add.path().to_string(), format!("{anywhere:?} {:?}", state.files.values(add)))
        })
        .collect();
    adds.sort();
    let removes: Vec<_> = state.tombstones.iter().filter(|remove| &*remove.path == "young").collect();
    format!("{adds:?}\n{removes:?}\n{:?}\n{:?}\n{:?}\n{:?}", state.protocol, state.metadata, state.transactions, state.domains)
}

#[test]
fn a_checkpoint_keeps_every_field_and_drops_only_what_has_expired() {
    for writer in [&["deletionVectors"][..], &["deletionVectors", "v2Checkpoint"]] {
        let made = made(writer);
        let before = state(&made);
        assert_eq!(before.tombstones.len(), 3);
        assert!(block(table(made.root()).settle(Version(2))).is_empty());
        let hint: Json = serde_json::from_slice(&std::fs::read(made.log("_last_checkpoint")).unwrap()).unwrap();
        let bytes = std::fs::metadata(made.log(CHECKPOINT)).unwrap().len();
        let actions = 2 + 1 + 1 + 4 + 1 + u64::from(writer.len() == 2);
        assert_eq!(hint, json!({"version": 2, "size": actions, "sizeInBytes": bytes, "numOfAddFiles": 4}));
        for version in 0..2 {
            std::fs::remove_file(made.commit_path(version)).unwrap();
        }
        let after = state(&made);
        assert_eq!(describe(&after), describe(&before));
        assert_eq!(after.tombstones.iter().map(|remove| &*remove.path).collect::<Vec<_>>(), ["young"]);
        assert_eq!((after.start, after.commit_info.clone().and_then(|info| info.timestamp)), (Some(2), Some(10 * DAY)));
        assert_eq!(made.load().unwrap().snapshot().time.map(|time| time.0), Some(10 * DAY));
    }
}

#[test]
fn checkpoints_are_written_at_the_interval_alone() {
    let made = made(&["deletionVectors"]);
    made.commit(3, &[info(11 * DAY)]);
    assert!(block(table(made.root()).settle(Version(3))).is_empty());
    assert!(!made.log("00000000000000000003.checkpoint.parquet").exists() && !made.log("_last_checkpoint").exists());
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    let hint = || std::fs::read_to_string(made.log("_last_checkpoint")).unwrap();
    assert!(hint().contains("\"version\":2"));
}

#[test]
fn the_hint_is_set_back_only_where_it_is_wrong() {
    let made = made(&["deletionVectors"]);
    made.commit(3, &[info(11 * DAY)]);
    made.commit(4, &[info(11 * DAY)]);
    let settle = |version| assert!(block(table(made.root()).settle(Version(version))).is_empty());
    let hint = || std::fs::read_to_string(made.log("_last_checkpoint")).unwrap();
    settle(4);
    settle(2);
    assert!(made.log(CHECKPOINT).exists() && hint().contains("\"version\":4"));
    std::fs::write(made.log("_last_checkpoint"), "{\"version\":77}").unwrap();
    std::fs::remove_file(made.log(CHECKPOINT)).unwrap();
    settle(2);
    assert!(hint().contains("\"version\":2"), "{}", hint());
}

#[test]
fn a_damaged_checkpoint_or_missing_parts_are_passed_over() {
    let made = made(&["deletionVectors"]);
    let before = describe(&state(&made));
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    let good = std::fs::read(made.log(CHECKPOINT)).unwrap();
    std::fs::write(made.log(CHECKPOINT), &good[..good.len() / 2]).unwrap();
    assert_eq!(describe(&state(&made)), before);
    std::fs::remove_file(made.commit_path(1)).unwrap();
    assert_eq!(made.load().err().unwrap().kind(), crate::error::Kind::Corrupt);
    std::fs::remove_file(made.log(CHECKPOINT)).unwrap();
    let part = |number: u32| made.log(&format!("00000000000000000002.checkpoint.{number:010}.0000000002.parquet"));
    std::fs::write(part(1), &good).unwrap();
    assert_eq!(made.load().err().unwrap().kind(), crate::error::Kind::Corrupt, "half of the parts");
    std::fs::write(part(2), &good).unwrap();
    assert_eq!(describe(&state(&made)), before);
}

#[test]
fn v2_checkpoints_are_read_with_their_sidecars() {
    let made = made(&["deletionVectors", "v2Checkpoint"]);
    let before = describe(&state(&made));
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    std::fs::create_dir(made.log("_sidecars")).unwrap();
    std::fs::rename(made.log(CHECKPOINT), made.log("_sidecars/s 1.parquet")).unwrap();
    std::fs::remove_file(made.commit_path(0)).unwrap();
    let lines = [
        json!({"checkpointMetadata": {"version": 2}}),
        json!({"sidecar": {"path": "s%201.parquet", "sizeInBytes": 1, "modificationTime": 1}}),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(made.log("00000000000000000002.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"), text).unwrap();
    assert_eq!(describe(&state(&made)), before);
}

#[test]
fn a_checkpoint_with_any_damaged_byte_of_its_footer_is_an_error_or_harmless() {
    let made = made(&["deletionVectors"]);
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    std::fs::remove_file(made.commit_path(0)).unwrap();
    let good = std::fs::read(made.log(CHECKPOINT)).unwrap();
    let footer = good.len() - 8 - usize::try_from(u32::from_le_bytes(*good[..good.len() - 4].last_chunk().unwrap())).unwrap();
    let mut refused = 0;
    for at in (footer..good.len()).step_by(9) {
        let mut bad = good.clone();
        bad[at] ^= 0x1f;
        std::fs::write(made.log(CHECKPOINT), bad).unwrap();
        refused += usize::from(made.load().is_err());
    }
    assert!(refused > 40, "{refused}");
}

/// The protocol allows no checkpoint of another form than the table asks for.
#[test]
fn statistics_go_into_checkpoints_as_the_table_asks_for() {
    let with_property = |key: &str, value: &str| {
        let made = made(&["deletionVectors"]);
        let mut lines = made.read_commit(0);
        lines[1]["metaData"]["configuration"][key] = json!(value);
        made.commit(0, &lines);
        made
    };
    let neither = with_property("delta.checkpoint.writeStatsAsJson", "false");
    assert!(block(table(neither.root()).settle(Version(2))).is_empty());
    std::fs::remove_file(neither.commit_path(0)).unwrap();
    std::fs::remove_file(neither.commit_path(1)).unwrap();
    assert!(state(&neither).files.iter().all(|add| add.stats().is_none()));
}

#[test]
fn a_checksum_follows_a_commit_where_the_version_before_has_one() {
    let made = made(&["deletionVectors"]);
    let crc = |version: u32| made.log(&format!("{version:020}.crc"));
    assert!(block(table(made.root()).settle(Version(1))).is_empty());
    assert!(!crc(1).exists(), "the table has none");
    std::fs::write(crc(1), "damaged").unwrap();
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    let written: Json = serde_json::from_slice(&std::fs::read(crc(2)).unwrap()).unwrap();
    let lines = made.read_commit(0);
    let expected = json!({"tableSizeBytes": 41, "numFiles": 4, "numMetadata": 1, "numProtocol": 1, "metadata": lines[1]["metaData"],
        "protocol": lines[0]["protocol"]});
    assert_eq!(written, expected);
    std::fs::write(crc(2), "another writer's").unwrap();
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    assert_eq!(std::fs::read_to_string(crc(2)).unwrap(), "another writer's", "never overwritten");
}
