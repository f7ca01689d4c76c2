//! Sums of commits: read in place of their commits, written from them.

use serde_json::json;

use super::past::{NOW, start, upkeep};
use super::*;
use crate::commit::Answer;
use crate::error::Kind;
use crate::model::{At, ListWishes, UpkeepKind, Version};

const WISHES: fn() -> ListWishes = || ListWishes { sums: true, ..ListWishes::default() };

fn sum_up(made: &Made) -> Answer {
    block(made.load().unwrap().offer_upkeep(&upkeep(UpkeepKind::RewriteManifests(WISHES())), NOW))
}

fn lines(made: &Made, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(made.log(name)).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    lines.sort();
    lines
}

fn txn(app: &str, version: i64) -> Json {
    json!({"txn": {"appId": app, "version": version}})
}

fn domain(name: &str, removed: bool) -> Json {
    json!({"domainMetadata": {"domain": name, "configuration": "{}", "removed": removed}})
}

fn history() -> Made {
    Made::new(&[
        start(&json!({})),
        vec![info(1), add("c"), txn("x", 1), txn("y", 1), domain("d", false)],
        vec![
            remove("a"),
            add("d"),
            txn("x", 2),
            json!({"cdc": {"path": "_change_data/z", "partitionValues": {}, "size": 1, "dataChange": false}}),
        ],
        vec![remove("c"), domain("d", true), with(add("e"), "add", "news", json!([1]))],
        vec![remove("e"), add("e"), add("a")],
    ])
}

#[test]
fn a_sum_holds_the_newest_word_on_everything_and_each_line_as_it_was() {
    let made = history();
    assert!(matches!(sum_up(&made), Answer::Ours(Version(4))));
    let found = lines(&made, "00000000000000000000.00000000000000000004.compacted.json");
    let first = made.read_commit(0);
    let mut expected: Vec<String> = [
        first[1].clone(),
        first[2].clone(),
        txn("x", 2),
        txn("y", 1),
        domain("d", true),
        add("a"),
        add("b"),
        add("d"),
        add("e"),
        remove("c"),
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(matches!(sum_up(&made), Answer::Ours(Version(4))));
    assert_eq!(block(made.load().unwrap().lists(&WISHES())).unwrap().groups, [], "there is nothing more to sum up");
}

#[test]
fn readers_take_sums_for_their_commits() {
    let made = history();
    let before: Vec<Vec<String>> = (0..5).map(|version| paths_at(&made, version)).collect();
    assert!(matches!(sum_up(&made), Answer::Ours(_)));
    // What readers do not open may be anything: it is there, and that is all they ask.
    let commits: Vec<Vec<u8>> = (0..5).map(|version| std::fs::read(made.commit_path(version)).unwrap()).collect();
    for version in 0..4 {
        std::fs::write(made.commit_path(version), "damaged").unwrap();
    }
    assert_eq!(made.paths(), before[4]);
    made.commit(5, &[add("f")]);
    assert_eq!(made.paths().len(), before[4].len() + 1);
    for (version, bytes) in commits.iter().enumerate() {
        std::fs::write(made.commit_path(version), bytes).unwrap();
    }
    let after: Vec<Vec<String>> = (0..5).map(|version| paths_at(&made, version)).collect();
    assert_eq!(after, before, "versions inside a sum are read from their commits");
    std::fs::write(made.log("00000000000000000000.00000000000000000004.compacted.json"), "damaged").unwrap();
    assert_eq!(made.paths().len(), before[4].len() + 1, "a damaged sum says nothing that its commits do not say");
}

fn paths_at(made: &Made, version: i64) -> Vec<String> {
    let version = block(table(made.root()).load_at(&At::Version(Version(version)))).unwrap();
    let mut paths: Vec<_> = block(all_files(&*version)).unwrap().iter().map(|file| file.path().to_string()).collect();
    paths.sort();
    paths
}

/// A sum of sums' commits stands for all since the checkpoint, and the one that holds most is read.
#[test]
fn commits_after_a_checkpoint_are_summed_up_again_when_there_are_more() {
    let made = history();
    made.commit(5, &[info(1), add("f")]);
    assert!(matches!(
        block(made.load().unwrap().offer_upkeep(&upkeep(UpkeepKind::RewriteManifests(ListWishes::default())), NOW)),
        Answer::Ours(_)
    ));
    made.commit(6, &[add("g")]);
    assert_eq!(block(made.load().unwrap().lists(&WISHES())).unwrap().groups, [], "one commit is as good as a sum of it");
    made.commit(7, &[remove("g"), add("h")]);
    let plan = block(made.load().unwrap().lists(&WISHES())).unwrap();
    assert_eq!((plan.groups[0].lists, plan.lists), (2, 3));
    assert!(matches!(sum_up(&made), Answer::Ours(Version(7))));
    made.commit(8, &[add("i")]);
    let plan = block(made.load().unwrap().lists(&WISHES())).unwrap();
    assert_eq!((plan.groups[0].lists, plan.lists), (2, 3), "the sum and the commit after it");
    assert!(matches!(sum_up(&made), Answer::Ours(Version(8))));
    for version in 6..8 {
        std::fs::write(made.commit_path(version), "damaged").unwrap();
    }
    assert_eq!(made.paths(), ["a", "b", "d", "e", "f", "h", "i"]);
}

#[test]
fn what_is_not_understood_is_not_summed_up() {
    let made = Made::new(&[start(&json!({})), vec![add("c")], vec![json!({"news": {"a": 1}})]]);
    let Answer::Rejected(error) = sum_up(&made) else { panic!() };
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("action=news"), "{error}");
    assert!(std::fs::read_dir(made.log("")).unwrap().all(|entry| !entry.unwrap().file_name().to_string_lossy().contains("compacted")));
    made.commit(3, &[add("d")]);
    let old = block(table(made.root()).load_at(&At::Version(Version(1)))).unwrap();
    assert!(matches!(block(old.offer_upkeep(&upkeep(UpkeepKind::RewriteManifests(WISHES())), NOW)), Answer::Taken));
}
