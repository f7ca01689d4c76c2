//! Files of the log itself: cleaned behind a checkpoint that was looked at, and summed up in one.

use std::collections::BTreeSet;

use serde_json::json;

use super::past::{DAY, NOW, data, forget, released, start, upkeep, versions};
use super::*;
use crate::commit::Answer;
use crate::error::Kind;
use crate::model::{At, FileKind, ListWishes, UpkeepKind, Version};

/// Incident vacuum-log: the log is cleaned at every boundary; every version that stays is then rebuilt from what is left alone.
#[test]
fn vacuum_log() {
    let history = || {
        let files = |n: usize| vec![info(DAY), add(&format!("x{n}")), remove(&format!("x{}", n.saturating_sub(2)))];
        let made = Made::new(&[
            start(&json!({"delta.checkpointInterval": "3"})),
            files(1),
            files(2),
            files(3),
            files(4),
            files(5),
            files(6),
            files(7),
        ]);
        for version in [3, 6] {
            assert!(block(table(made.root()).settle(Version(version))).is_empty());
        }
        for version in 0..8 {
            std::fs::write(made.log(&format!("{version:020}.crc")), "{}").unwrap();
        }
        std::fs::write(made.log("00000000000000000001.00000000000000000004.compacted.json"), "").unwrap();
        std::fs::write(made.log("00000000000000000005.00000000000000000007.compacted.json"), "").unwrap();
        made
    };
    let paths = |made: &Made, version: i64| -> Vec<String> {
        let version = block(table(made.root()).load_at(&At::Version(Version(version)))).unwrap();
        let mut paths: Vec<_> = block(all_files(&*version)).unwrap().iter().map(|file| file.path().to_string()).collect();
        paths.sort();
        paths
    };
    for oldest in 1..8 {
        let made = history();
        let before: Vec<_> = (oldest..8).map(|version| paths(&made, version)).collect();
        let gone = versions(0, oldest);
        let planned = released(&made, &gone).unwrap();
        assert!(matches!(forget(&*made.load().unwrap(), &gone), Answer::Ours(Version(7))));
        assert_eq!(released(&made, &gone).unwrap(), planned, "the plan is what is then deleted");
        for (name, kind) in planned.iter().filter(|(name, _)| name.starts_with("_delta_log/")) {
            assert!(matches!(kind, FileKind::Log | FileKind::Checkpoints));
            std::fs::remove_file(made.root().join(name)).unwrap();
        }
        let after: Vec<_> = (oldest..8).map(|version| paths(&made, version)).collect();
        assert_eq!(after, before, "{oldest}");
        assert_eq!(block(table(made.root()).load_at(&At::Version(Version(oldest - 1)))).err().unwrap().kind(), Kind::NotFound);
        let mut left: Vec<_> = std::fs::read_dir(made.log("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut expected: Vec<String> = (oldest..8).flat_map(|v| [format!("{v:020}.json"), format!("{v:020}.crc")]).collect();
        expected.extend(
            [3, 6, oldest].iter().filter(|v| **v >= oldest).collect::<BTreeSet<_>>().iter().map(|v| format!("{v:020}.checkpoint.parquet")),
        );
        expected.push("_last_checkpoint".into());
        expected.extend((oldest < 5).then(|| "00000000000000000005.00000000000000000007.compacted.json".to_string()));
        expected.sort();
        assert_eq!(left, expected, "{oldest}");
        let hint: Json = serde_json::from_slice(&std::fs::read(made.log("_last_checkpoint")).unwrap()).unwrap();
        assert_eq!(hint["version"], json!(oldest.max(6)), "{oldest}");
    }
}

#[test]
fn a_checkpoint_that_says_something_else_than_the_commits_keeps_the_log() {
    let made = Made::new(&[start(&json!({"delta.checkpointInterval": "2"})), vec![add("c")], vec![remove("a")], vec![add("d")]]);
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    made.commit(1, &[add("c"), add("forgotten")]);
    let before = std::fs::read_dir(made.log("")).unwrap().count();
    let Answer::Rejected(error) = forget(&*made.load().unwrap(), &versions(0, 2)) else { panic!() };
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("1 live files are missing"), "{error}");
    assert_eq!(std::fs::read_dir(made.log("")).unwrap().count(), before);
}

/// A cleaning that was interrupted left holes: what is left of the versions that were to go goes the next time.
#[test]
fn what_an_interrupted_cleaning_left_goes() {
    let made = Made::new(&[start(&json!({})), vec![remove("a"), add("c")], vec![add("d")], vec![remove("b")], vec![add("e")]]);
    assert!(matches!(forget(&*made.load().unwrap(), &versions(0, 3)), Answer::Ours(Version(4))));
    for version in 1..3 {
        std::fs::remove_file(made.commit_path(version)).unwrap();
    }
    for name in ["a", "b"] {
        std::fs::write(made.root().join(name), "").unwrap();
    }
    let gone = released(&made, &versions(0, 1)).unwrap();
    let log = ("_delta_log/00000000000000000000.json".to_string(), FileKind::Log);
    assert_eq!(gone, [vec![log], data(&["a", "b"])].concat());
    assert!(matches!(forget(&*made.load().unwrap(), &versions(0, 1)), Answer::Ours(Version(4))));
}

#[test]
fn protected_checkpoints_are_kept_unless_everything_before_them_goes_at_once() {
    let configuration = json!({"delta.requireCheckpointProtectionBeforeVersion": "3"});
    let writer = ["checkpointProtection"];
    let first = vec![info(DAY), protocol(&[], &writer), metadata(&[], &configuration), add("a")];
    let made = Made::new(&[first, vec![add("b")], vec![remove("a")], vec![add("c")], vec![add("d")]]);
    let error = released(&made, &versions(0, 2)).unwrap_err();
    assert!(error.kind() == Kind::Refused && error.message().contains("checkpointProtection"), "{error}");
    assert!(matches!(forget(&*made.load().unwrap(), &versions(0, 2)), Answer::Rejected(error) if error.kind() == Kind::Refused));
    assert!(matches!(forget(&*made.load().unwrap(), &versions(0, 3)), Answer::Ours(_)));
}

#[test]
fn sidecars_go_with_the_last_checkpoint_that_names_them() {
    let made = Made::new(&[
        vec![info(DAY), protocol(&["v2Checkpoint"], &["v2Checkpoint"]), metadata(&[], &json!({})), add("a")],
        vec![info(DAY), add("b")],
        vec![info(DAY), add("c")],
        vec![info(DAY), add("d")],
    ]);
    std::fs::create_dir(made.log("_sidecars")).unwrap();
    let rules = &made.read_commit(0)[1..3];
    let checkpoint = |version: i64, sidecars: &[&str]| {
        let mut lines = vec![json!({"checkpointMetadata": {"version": version}})];
        lines.extend(rules.iter().cloned());
        for name in sidecars {
            std::fs::write(made.log(&format!("_sidecars/{name}.parquet")), "").unwrap();
            lines.push(json!({"sidecar": {"path": format!("{name}.parquet"), "sizeInBytes": 0, "modificationTime": 1}}));
        }
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(made.log(&format!("{version:020}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a1{version}.json")), text).unwrap();
    };
    checkpoint(1, &["one", "shared"]);
    checkpoint(2, &["shared", "two"]);
    std::fs::write(made.log("_sidecars/nobody.parquet"), "").unwrap();
    let of_checkpoints = |oldest: i64| -> Vec<String> {
        let gone = released(&made, &versions(0, oldest)).unwrap();
        let gone = gone.into_iter().filter(|(_, kind)| *kind == FileKind::Checkpoints);
        gone.map(|(name, _)| name.trim_start_matches("_delta_log/").to_string()).collect()
    };
    let first = "00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json";
    let second = "00000000000000000002.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a12.json";
    assert_eq!(of_checkpoints(1), [""; 0]);
    assert_eq!(of_checkpoints(2), [first, "_sidecars/one.parquet"]);
    assert_eq!(of_checkpoints(3), [first, second, "_sidecars/one.parquet", "_sidecars/shared.parquet", "_sidecars/two.parquet"]);
}

#[test]
fn manifests_of_a_delta_table_are_a_checkpoint_of_its_newest_version() {
    let made = Made::new(&[start(&json!({})), vec![add("c")]]);
    let rewrite = || block(made.load().unwrap().offer_upkeep(&upkeep(UpkeepKind::RewriteManifests(ListWishes::default())), NOW));
    assert!(matches!(rewrite(), Answer::Ours(Version(1))));
    let checkpoint = made.log("00000000000000000001.checkpoint.parquet");
    let written = std::fs::read(&checkpoint).unwrap();
    let plan = || block(made.load().unwrap().lists(&ListWishes::default())).unwrap();
    assert_eq!((plan().groups, plan().lists), (Vec::new(), 1));
    std::fs::write(made.log("_last_checkpoint"), "stale").unwrap();
    assert_eq!(plan().groups.iter().map(|group| group.lists).collect::<Vec<_>>(), [2], "who follows the hint finds commits alone");
    assert!(matches!(rewrite(), Answer::Ours(Version(1))));
    assert_eq!(std::fs::read(&checkpoint).unwrap(), written, "what is there stays");
    let hint: Json = serde_json::from_slice(&std::fs::read(made.log("_last_checkpoint")).unwrap()).unwrap();
    assert_eq!(hint, json!({"version": 1, "size": 5}));
    assert_eq!(plan().groups, []);
    std::fs::remove_file(made.commit_path(0)).unwrap();
    assert_eq!(made.paths(), ["a", "b", "c"]);
}

#[test]
fn what_a_reader_replays_is_what_a_checkpoint_sums_up() {
    let plan = |made: &Made, wishes: &ListWishes| block(made.load().unwrap().lists(wishes));
    let first = Made::new(&[start(&json!({}))]);
    assert_eq!(plan(&first, &ListWishes::default()).unwrap().groups, [], "one commit is as good as a checkpoint");
    let made = Made::new(&[start(&json!({"delta.checkpointInterval": "1"})), vec![add("c")], vec![add("d")]]);
    assert!(block(table(made.root()).settle(Version(1))).is_empty());
    let found = plan(&made, &ListWishes::default()).unwrap();
    let bytes = std::fs::metadata(made.commit_path(2)).unwrap().len();
    let group = &found.groups[0];
    assert_eq!((found.groups.len(), group.lists, group.bytes, group.files, found.lists), (1, 1, Bytes(bytes), Some(4), 2));
    let wishes = ListWishes { target: Some(Bytes(1)), ..ListWishes::default() };
    assert_eq!(plan(&made, &wishes).unwrap_err().kind(), Kind::Usage);
}
