//! What old versions hold on to, and what goes with them.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::commit::Answer;
use crate::error::Kind;
use crate::model::{Emptied, FileKind, Forget, Holding, ListWishes, Released, Upkeep, UpkeepKind, Version};
use crate::units::Timestamp;

pub(super) const DAY: i64 = 86_400_000;
pub(super) const NOW: Timestamp = Timestamp(100 * DAY);
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

/// What goes once `wanted` is forgotten, and what only goes later.
pub(super) fn judged(version: &dyn TableVersion, wanted: &Forget) -> Result<(Vec<Holding>, Vec<Holding>)> {
    let found: Vec<Released> = block(version.released(wanted).try_collect())?;
    let (mut free, mut young) = (Vec::new(), Vec::new());
    for file in found {
        match file {
            Released::Free(file) => free.push(file),
            Released::TooYoung(file) => young.push(file),
        }
    }
    Ok((free, young))
}

/// What goes with versions `gone`. Files that are not there need not go: it sees to it that all are.
pub(super) fn released(made: &Made, gone: &BTreeSet<Version>) -> Result<Vec<(String, FileKind)>> {
    made.lay_files()?;
    released_of_those_there(made, gone)
}

pub(super) fn released_of_those_there(made: &Made, gone: &BTreeSet<Version>) -> Result<Vec<(String, FileKind)>> {
    let (free, young) = judged(&*made.load()?, &Forget { versions: gone.clone(), ..Forget::default() })?;
    assert_eq!(young, [], "no time was asked for");
    Ok(told(made, free))
}

fn holdings(made: &Made) -> Result<Vec<(String, FileKind)>> {
    let version = made.load()?;
    let mut told = told(made, block(version.holdings().try_collect())?);
    told.dedup();
    Ok(told)
}

pub(super) fn data(names: &[&str]) -> Vec<(String, FileKind)> {
    names.iter().map(|name| ((*name).to_string(), FileKind::Data)).collect()
}

pub(super) fn without_log(found: Vec<(String, FileKind)>) -> Vec<(String, FileKind)> {
    found.into_iter().filter(|(name, _)| !name.starts_with("_delta_log/")).collect()
}

pub(super) fn start(configuration: &Json) -> Vec<Json> {
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
    assert_eq!(without_log(released_of_those_there(&made, &versions(2, 3)).unwrap()), [], "its file went with it");
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

#[test]
fn a_commit_that_came_meanwhile_is_looked_at_first() {
    let made = Made::new(&[start(&json!({})), vec![remove("a")], vec![add("c")]]);
    let version = made.load().unwrap();
    made.commit(3, &[add("a")]);
    assert!(matches!(forget(&*version, &versions(0, 1)), Answer::Taken));
    assert!(matches!(block(version.offer_upkeep(&upkeep(UpkeepKind::RewriteManifests(ListWishes::default())), NOW)), Answer::Taken));
    assert!(!made.log("_last_checkpoint").exists());
    made.lay_files().unwrap();
    let (found, _) = judged(&*version, &Forget { versions: versions(0, 2), ..Forget::default() }).unwrap();
    assert_eq!(without_log(told(&made, found)), [], "what newer commits name is held, whoever asks");
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

/// VACUUM's rule: a removal that says of itself that it is young keeps its file, whatever the version's time.
#[test]
fn versions_are_emptied_and_a_young_removal_keeps_its_file() {
    let made = Made::new(&[
        start(&json!({})),
        vec![info(2 * DAY), with(remove("a"), "remove", "deletionTimestamp", json!(2 * DAY)), add("c")],
        vec![info(3 * DAY), with(remove("b"), "remove", "deletionTimestamp", json!(90 * DAY)), add("d")],
        vec![info(4 * DAY), with(remove("c"), "remove", "deletionTimestamp", json!(4 * DAY))],
    ]);
    made.lay_files().unwrap();
    let emptied = |before: i64, since: Option<i64>| {
        let emptied = Emptied { before: Version(before), since: since.map(Version), removed_before: Timestamp(50 * DAY) };
        let wanted = Forget { emptied: Some(emptied), ..Forget::default() };
        let version = made.load().unwrap();
        assert!(matches!(block(version.offer_upkeep(&upkeep(UpkeepKind::Forget(wanted.clone())), NOW)), Answer::Ours(Version(3))));
        let (free, young) = judged(&*version, &wanted)?;
        Ok::<_, crate::error::Error>((told(&made, free), told(&made, young)))
    };
    assert_eq!(emptied(3, None).unwrap(), (data(&["a", "c"]), data(&["b"])), "no file of the log");
    assert_eq!(emptied(2, None).unwrap(), (data(&["a"]), data(&["b"])));
    assert_eq!(emptied(3, Some(1)).unwrap(), (data(&["c"]), data(&["b"])));
    assert_eq!(emptied(3, Some(3)).unwrap(), (data(&[]), data(&[])));
    assert_eq!(emptied(4, None).unwrap_err().kind(), Kind::Refused);
    let both = Forget {
        versions: versions(0, 1),
        emptied: Some(Emptied { before: Version(3), since: None, removed_before: Timestamp(i64::MAX) }),
        ..Forget::default()
    };
    let (free, _) = judged(&*made.load().unwrap(), &both).unwrap();
    let log = ("_delta_log/00000000000000000000.json".to_string(), FileKind::Log);
    assert_eq!(told(&made, free), [vec![log], data(&["a", "b", "c"])].concat());
    std::fs::remove_file(made.root().join("a")).unwrap();
    assert_eq!(emptied(3, None).unwrap().0, data(&["c"]), "what another deleted need not go again");
}
