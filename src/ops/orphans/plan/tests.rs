//! Verdicts, one by one.

use super::*;

const DAY: i64 = 86_400_000;
const NOW: Timestamp = Timestamp(100 * DAY);

fn place(text: &str) -> Location {
    Location::parse(text).unwrap()
}

fn rules() -> Rules {
    Rules {
        now: NOW,
        cutoff: Timestamp(97 * DAY),
        roots: vec![place("/w/t"), place("/w/t/data")],
        others: vec![place("/w/t/inner")],
        partition_fields: ["_p".to_string()].into(),
        marks: vec!["0123-p0".into()],
        ..Rules::default()
    }
}

fn aged(text: &str, modified: Option<i64>) -> Listed {
    Listed { location: place(text), size: Bytes(1), modified: modified.map(Timestamp) }
}

fn old(text: &str) -> Listed {
    aged(text, Some(90 * DAY))
}

fn held(places: &[&str]) -> Held {
    let mut held = Held::default();
    let places: Vec<Location> = places.iter().map(|text| place(text)).collect();
    held.add(Told::of(places.iter(), held.equal())).unwrap();
    held
}

#[test]
fn a_file_is_an_orphan_only_if_it_is_known_to_be_old() {
    let (rules, held) = (rules(), Held::default());
    let verdict = |modified| rules.verdict(&aged("/w/t/data/f", modified), &held);
    assert_eq!(verdict(Some(97 * DAY - 1)), Verdict::Orphan);
    assert_eq!(verdict(Some(97 * DAY)), Verdict::Stays(Why::Young));
    assert_eq!(verdict(Some(100 * DAY + 1)), Verdict::Stays(Why::Future));
    for unknown in [None, Some(0), Some(-1)] {
        assert_eq!(verdict(unknown), Verdict::Stays(Why::UnknownAge));
    }
}

#[test]
fn names_that_readers_pass_over_stay_and_partitions_are_none() {
    let (rules, held) = (rules(), Held::default());
    let verdict = |below: &str| rules.verdict(&old(&format!("/w/t/{below}")), &held);
    for below in ["_f", ".f.crc", "data/._f", "_temporary/0/f", "data/.tmp/f", "_q=1/f", "_delta_log/0.json", "data/_p=1/_f"] {
        assert_eq!(verdict(below), Verdict::Stays(Why::Hidden), "{below}");
    }
    for below in ["f", "data/f", "data/_p=1/f", "_change_data/cdc-0.parquet", "metadata/old.avro"] {
        assert_eq!(verdict(below), Verdict::Orphan, "{below}");
    }
}

#[test]
fn a_hidden_data_folder_is_judged_from_within() {
    let rules = Rules { roots: vec![place("/w/t"), place("/w/t/_data")], ..rules() };
    assert_eq!(rules.verdict(&old("/w/t/_data/f"), &Held::default()), Verdict::Orphan);
    assert_eq!(rules.verdict(&old("/w/t/_data/_x/f"), &Held::default()), Verdict::Stays(Why::Hidden));
}

#[test]
fn other_tables_unfinished_runs_and_places_outside_stay() {
    let (rules, held) = (rules(), Held::default());
    assert_eq!(rules.verdict(&old("/w/t/inner/data/f"), &held), Verdict::Stays(Why::OtherTable));
    assert_eq!(rules.verdict(&old("/w/t/innermost/f"), &held), Verdict::Orphan);
    assert_eq!(rules.verdict(&old("/w/t/data/part-0-0123-p0.parquet"), &held), Verdict::Stays(Why::UnfinishedRun));
    assert_eq!(rules.verdict(&old("/w/t_2/f"), &held), Verdict::Stays(Why::Outside));
}

#[test]
fn what_a_differing_storage_means_is_for_the_user_to_say() {
    let held = held(&["hdfs://nn:8020/w/t/f", "hdfs://nn/w/t/g"]);
    let root = vec![place("hdfs://nn/w/t")];
    let verdict = |on_mismatch, name: &str| {
        let file = old(&format!("hdfs://nn/w/t/{name}"));
        Rules { on_mismatch, roots: root.clone(), ..rules() }.verdict(&file, &held)
    };
    let Verdict::Conflict(prefix) = verdict(OnMismatch::Error, "f") else { unreachable!() };
    assert_eq!(prefix.to_string(), "hdfs://nn:8020");
    assert_eq!(verdict(OnMismatch::Ignore, "f"), Verdict::Stays(Why::PrefixMismatch));
    assert_eq!(verdict(OnMismatch::Delete, "f"), Verdict::Orphan);
    assert_eq!(verdict(OnMismatch::Delete, "g"), Verdict::Held);
}

#[test]
fn tables_are_told_by_their_metadata() {
    let root = |text: &str| root_of_metadata(&place(text)).map(|root| root.path().to_string());
    for (file, table) in [
        ("/w/t/_delta_log/0.json", "w/t"),
        ("/w/t/_delta_log/_sidecars/x.parquet", "w/t"),
        ("/w/t/.hoodie/hoodie.properties", "w/t"),
        ("/w/t/metadata/v1.metadata.json", "w/t"),
        ("/w/t/metadata/0-x.gz.metadata.json", "w/t"),
        ("/_delta_log/0.json", ""),
    ] {
        assert_eq!(root(file).as_deref(), Some(table), "{file}");
    }
    for file in ["/w/t/metadata/snap-1.avro", "/w/t/data/f", "/w/t/x.metadata.json", "/w/my_delta_log/f"] {
        assert_eq!(root(file), None, "{file}");
    }
}

#[test]
fn held_files_teach_which_hidden_looking_folders_are_partitions() {
    assert_eq!(hidden_field("data/_p=1/q=2/f"), Some("_p"));
    assert_eq!(hidden_field("data/p=1/_f=1"), None);
}
