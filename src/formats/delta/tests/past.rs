//! What old versions hold on to, and what goes with them.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::commit::Answer;
use crate::error::Kind;
use crate::model::{At, FileKind, Forget, Holding, ListWishes, Upkeep, UpkeepKind, Version};
use crate::units::Timestamp;

const DAY: i64 = 86_400_000;
const NOW: Timestamp = Timestamp(100 * DAY);
/// A vector in `ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin`, and one beside the data.
const PREFIXED: &str = "ab^-aqEH.-t@S}K{vb[*k^";
const PLAIN: &str = "^-aqEH.-t@S}K{vb[*k^";
const VECTOR: &str = "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin";

pub(super) fn upkeep(kind: UpkeepKind) -> Upkeep {
    Upkeep { operation: OperationId("0c1d8dd9-8b2e-4b23-a1b1-a2f2b0e5a111".into()), part: 0, kind }
}

pub(super) fn versions(from: i64, to: i64) -> BTreeSet<Version> {
    (from..to).map(Version).collect()
}

pub(super) fn forget(version: &dyn TableVersion, gone: &BTreeSet<Version>) -> Answer {
    let wanted = Forget { versions: gone.clone(), ..Forget::default() };
    block(version.offer_upkeep(&upkeep(UpkeepKind::Forget(wanted)), NOW))
}

/// Places below the root, sorted, each with its kind; elsewhere, the whole place.
pub(super) fn told(made: &Made, found: Vec<Holding>) -> Vec<(String, FileKind)> {
    let root = Location::parse(made.root().to_str().unwrap()).unwrap();
    let name = |place: &Location| place.relative_to(&root).map_or_else(|| place.to_string(), str::to_string);
    let mut told: Vec<_> = found.iter().map(|holding| (name(&holding.location), holding.kind)).collect();
    told.sort();
    told
}

pub(super) fn released(made: &Made, gone: &BTreeSet<Version>) -> Result<Vec<(String, FileKind)>> {
    let version = made.load()?;
    let found: Vec<Holding> = block(version.released(gone).try_collect())?;
    Ok(told(made, found))
}

fn holdings(made: &Made) -> Result<Vec<(String, FileKind)>> {
    let version = made.load()?;
    let mut told = told(made, block(version.holdings().try_collect())?);
    told.dedup();
    Ok(told)
}

fn data(names: &[&str]) -> Vec<(String, FileKind)> {
    names.iter().map(|name| ((*name).to_string(), FileKind::Data)).collect()
}

fn without_log(found: Vec<(String, FileKind)>) -> Vec<(String, FileKind)> {
    found.into_iter().filter(|(name, _)| !name.starts_with("_delta_log/")).collect()
}

fn start(configuration: &Json) -> Vec<Json> {
    vec![
        info(DAY),
        protocol(&["deletionVectors"], &["deletionVectors", "changeDataFeed"]),
        metadata(&[], configuration),
        add("a"),
        add("b"),
    ]
}

fn vector(text: &str) -> Json {
    json!({"storageType": "u", "pathOrInlineDv": text, "offset": 1, "sizeInBytes": 34, "cardinality": 1})
}

#[test]
fn retention_is_what_the_properties_say() {
    let of = |configuration: Json| Made::new(&[start(&configuration)]).load().unwrap().retention();
    let plain = of(json!({})).unwrap();
    assert_eq!((plain.collectable, plain.max_age_ms, plain.min_versions), (true, 30 * DAY, 1), "a version goes with its log");
    assert_eq!((plain.max_ref_age_ms, plain.max_log_age_ms), (None, Some(30 * DAY)));
    let told = of(json!({"delta.deletedFileRetentionDuration": "interval 2 days", "delta.logRetentionDuration": "interval 36 hours",
        "gc.enabled": "false"}))
    .unwrap();
    assert_eq!((told.collectable, told.max_age_ms, told.max_log_age_ms), (false, 2 * DAY, Some(DAY + DAY / 2)));
    assert_eq!(of(json!({"delta.enableExpiredLogCleanup": "false"})).unwrap().max_log_age_ms, Some(i64::MAX));
    for key in ["delta.deletedFileRetentionDuration", "delta.logRetentionDuration"] {
        assert_eq!(of(json!({key: "a while"})).unwrap_err().kind(), Kind::Corrupt, "{key}");
    }
}

/// `vacuumProtocolCheck` demands it of tables that have it; it is right for all.
#[test]
fn nothing_is_said_of_a_table_with_a_writer_feature_we_do_not_know() {
    let made = Made::new(&[vec![protocol(&[], &["teleport"]), metadata(&[], &json!({})), add("a")], vec![remove("a")]]);
    let version = made.load().unwrap();
    let error = version.retention().unwrap_err();
    assert!(error.kind() == Kind::Unsupported && error.message().contains("'teleport'"), "{error}");
    assert_eq!(released(&made, &versions(0, 1)).unwrap_err().kind(), Kind::Unsupported);
    assert_eq!(holdings(&made).unwrap_err().kind(), Kind::Unsupported);
    assert!(matches!(forget(&*version, &versions(0, 1)), Answer::Rejected(error) if error.kind() == Kind::Unsupported));
}

#[test]
fn versions_go_from_the_oldest_on_and_the_newest_stays() {
    let made = Made::new(&[start(&json!({})), vec![remove("a")], vec![remove("b")], vec![add("c")]]);
    for (gone, kind) in [(versions(0, 4), Kind::Refused), (versions(1, 2), Kind::Refused), ([Version(0), Version(2)].into(), Kind::Refused)]
    {
        assert_eq!(released(&made, &gone).unwrap_err().kind(), kind, "{gone:?}");
        assert!(matches!(forget(&*made.load().unwrap(), &gone), Answer::Rejected(error) if error.kind() == kind), "{gone:?}");
    }
    assert_eq!(released(&made, &versions(0, 0)).unwrap(), []);
    assert_eq!(without_log(released(&made, &versions(0, 2)).unwrap()), data(&["a", "b"]));
}

/// Incident vacuum-dv: vectors are files of the table, in folders of their own too, shared by several data files, and old ones are live.
#[test]
fn vacuum_dv() {
    let marked = |path: &str, text: &str| with(add(path), "add", "deletionVector", vector(text));
    let unmarked = |path: &str, text: &str| with(remove(path), "remove", "deletionVector", vector(text));
    let made = Made::new(&[
        start(&json!({})),
        vec![info(2 * DAY), remove("a"), marked("a", PREFIXED), remove("b"), marked("b", PREFIXED)],
        vec![info(50 * DAY), unmarked("a", PREFIXED), marked("a", PLAIN)],
        vec![info(99 * DAY), unmarked("b", PREFIXED)],
    ]);
    let prefixed = (format!("ab/{VECTOR}"), FileKind::DeletionVectors);
    let plain = (VECTOR.to_string(), FileKind::DeletionVectors);
    assert_eq!(without_log(released(&made, &versions(0, 1)).unwrap()), [], "both files and the vector are live at version 1");
    assert_eq!(without_log(released(&made, &versions(0, 2)).unwrap()), [], "the vector is still that of b");
    assert_eq!(without_log(released(&made, &versions(0, 3)).unwrap()), [prefixed.clone(), ("b".into(), FileKind::Data)]);
    let held = without_log(holdings(&made).unwrap());
    assert_eq!(held, [("a".into(), FileKind::Data), prefixed, ("b".into(), FileKind::Data), plain]);
}

/// Incident vacuum-cdf: change data leads from one version to the next, and goes with the earlier one.
#[test]
fn vacuum_cdf() {
    let cdc = |path: &str| json!({"cdc": {"path": path, "partitionValues": {}, "size": 3, "dataChange": false}});
    let made =
        Made::new(&[start(&json!({})), vec![remove("a"), add("c"), cdc("_change_data/x%201")], vec![add("d"), cdc("_change_data/y")]]);
    let changes = |name: &str| (format!("_change_data/{name}"), FileKind::Cdf);
    assert_eq!(without_log(released(&made, &versions(0, 1)).unwrap()), [changes("x 1"), ("a".into(), FileKind::Data)]);
    assert_eq!(without_log(released(&made, &versions(0, 2)).unwrap()), [changes("x 1"), changes("y"), ("a".into(), FileKind::Data)]);
    let held = holdings(&made).unwrap();
    assert!(held.contains(&changes("x 1")) && held.contains(&changes("y")), "{held:?}");
}

/// Incident vacuum-lite-miss: a tombstone that only a checkpoint still has.
#[test]
fn vacuum_lite_miss() {
    let made =
        Made::new(&[start(&json!({"delta.checkpointInterval": "2"})), vec![add("c")], vec![info(2 * DAY), remove("a")], vec![add("d")]]);
    let old = with(remove("a"), "remove", "deletionTimestamp", json!(2 * DAY));
    made.commit(2, &[info(2 * DAY), old]);
    assert!(block(table(made.root()).settle(Version(2))).is_empty());
    for version in 0..=2 {
        std::fs::remove_file(made.commit_path(version)).unwrap();
    }
    assert_eq!(without_log(released(&made, &versions(2, 3)).unwrap()), [], "its file went with it");
    std::fs::write(made.root().join("a"), "").unwrap();
    assert_eq!(without_log(released(&made, &versions(2, 3)).unwrap()), data(&["a"]));
    let held = without_log(holdings(&made).unwrap());
    assert_eq!(held, data(&["a", "b", "c", "d"]), "and it is held while it is young");
    made.commit(4, &[info(20 * DAY), add("e")]);
    assert_eq!(without_log(holdings(&made).unwrap()), data(&["b", "c", "d", "e"]));
}

/// Incident vacuum-clone/abs: files of another table are told by their whole place, so that they are not taken for the table's own.
#[test]
fn vacuum_clone() {
    let made = Made::new(&[
        vec![plain_protocol(), metadata(&[], &json!({})), add("/other/table/a"), add("file:/other/table/b")],
        vec![remove("file:///other/table/a"), remove("/other/table/b"), add("own")],
    ]);
    let places: Vec<String> = without_log(released(&made, &versions(0, 1)).unwrap()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(places, ["file:///other/table/a", "file:///other/table/b"]);
}

/// Incident vacuum-uniform: what lies in `metadata/` is another format's, and no file of this log.
#[test]
fn vacuum_uniform() {
    let made = Made::new(&[start(&json!({})), vec![remove("a"), add("c")]]);
    std::fs::create_dir(made.root().join("metadata")).unwrap();
    std::fs::write(made.root().join("metadata/v1.metadata.json"), "{}").unwrap();
    assert!(released(&made, &versions(0, 1)).unwrap().iter().all(|(name, _)| !name.starts_with("metadata/")));
}

/// A file that a restore brought back after the versions that go is live.
#[test]
fn what_comes_back_later_is_held() {
    let made = Made::new(&[start(&json!({})), vec![remove("a")], vec![add("c")], vec![add("a")], vec![remove("c")]]);
    assert_eq!(without_log(released(&made, &versions(0, 3)).unwrap()), []);
    assert_eq!(without_log(released(&made, &versions(0, 4)).unwrap()), data(&["c"]));
}

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
        let mut paths: Vec<_> = block(all_files(&*version)).unwrap().iter().map(|file| file.path.to_string()).collect();
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

#[test]
fn a_commit_that_came_meanwhile_is_looked_at_first() {
    let made = Made::new(&[start(&json!({})), vec![remove("a")], vec![add("c")]]);
    let version = made.load().unwrap();
    made.commit(3, &[add("a")]);
    assert!(matches!(forget(&*version, &versions(0, 1)), Answer::Taken));
    assert!(matches!(block(version.offer_upkeep(&upkeep(UpkeepKind::RewriteManifests(ListWishes::default())), NOW)), Answer::Taken));
    assert!(!made.log("_last_checkpoint").exists());
    let found: Vec<Holding> = block(version.released(&versions(0, 2)).try_collect()).unwrap();
    assert_eq!(without_log(told(&made, found)), [], "what newer commits name is held, whoever asks");
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
    std::fs::remove_file(made.log("00000000000000000003.checkpoint.parquet")).unwrap();
    assert_eq!(released(&made, &versions(0, 1)).unwrap_err().kind(), Kind::Refused, "nothing that stays could be rebuilt");
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
    let plan = |wishes: &ListWishes| block(made.load().unwrap().lists(wishes));
    let found = plan(&ListWishes::default()).unwrap();
    assert_eq!((found.lists, found.groups.len(), found.groups[0].lists, found.groups[0].bytes), (2, 1, 2, found.bytes));
    assert_eq!(plan(&ListWishes { spec: Some(0), ..ListWishes::default() }).unwrap_err().kind(), crate::error::Kind::Usage);
    assert!(matches!(rewrite(), Answer::Ours(Version(1))));
    let found = plan(&ListWishes::default()).unwrap();
    assert_eq!((found.lists, found.groups), (1, Vec::new()));
    let checkpoint = made.log("00000000000000000001.checkpoint.parquet");
    let written = std::fs::read(&checkpoint).unwrap();
    std::fs::write(made.log("_last_checkpoint"), "stale").unwrap();
    assert!(matches!(rewrite(), Answer::Ours(Version(1))));
    assert_eq!(std::fs::read(&checkpoint).unwrap(), written);
    assert_eq!(std::fs::read_to_string(made.log("_last_checkpoint")).unwrap(), "stale", "what is there stays");
    std::fs::remove_file(made.commit_path(0)).unwrap();
    assert_eq!(made.paths(), ["a", "b", "c"]);
}

#[test]
fn files_of_forgotten_versions_are_no_longer_referred_to() {
    let made = Made::new(&[start(&json!({})), vec![remove("a"), add("c")], vec![add("d")]]);
    let root = Location::parse(made.root().to_str().unwrap()).unwrap();
    let places = ["a", "b", "stranger", "_delta_log/00000000000000000000.json", "_delta_log/00000000000000000001.json"];
    let referenced = || {
        let version = made.load().unwrap();
        let mut found: Vec<String> = block(version.referenced(places.iter().map(|name| root.child(name)).collect()))
            .unwrap()
            .iter()
            .map(|place| place.relative_to(&root).unwrap().to_string())
            .collect();
        found.sort();
        found
    };
    assert_eq!(referenced(), [places[3], places[4], "a", "b"]);
    assert!(matches!(forget(&*made.load().unwrap(), &versions(0, 1)), Answer::Ours(Version(2))));
    assert_eq!(referenced(), [places[3], places[4], "a", "b"], "version 0 can still be rebuilt");
    std::fs::remove_file(made.commit_path(0)).unwrap();
    assert_eq!(referenced(), [places[4], "b"]);
}
