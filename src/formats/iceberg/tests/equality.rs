//! Equality deletes that were applied, that came meanwhile, and that apply to nothing any more.

use serde_json::json;

use super::commits::{current_document, landed, replacing};
use super::{Fixture, Row, files};
use crate::commit::Answer;
use crate::error::Kind;
use crate::formats::{Table, TableVersion};
use crate::model::{Change, RowDeletes, Version};
use crate::units::Timestamp;

/// A delete file of values of the only column: path, data sequence number.
const fn equality(path: &'static str, sequence: i64) -> Row {
    Row(1, 2, path, sequence, 2)
}

fn fixture(deletes: Vec<Row>) -> Fixture {
    Fixture { deletes, ..Fixture::default() }
}

async fn planned(version: &dyn TableVersion, names: &[&str]) -> Change {
    Change { base: Some(Version(9)), ..replacing(version, names).await }
}

/// Names of the delete files that apply to the file called `name`.
async fn deletes_of(table: &dyn Table, name: &str) -> Vec<String> {
    let version = table.load().await.unwrap();
    let file = files(&*version).await.into_iter().find(|file| file.location.name() == name).unwrap();
    file.deletes.iter().map(|delete| delete.key.rsplit('/').next().unwrap().to_string()).collect()
}

#[tokio::test]
async fn each_file_has_the_delete_files_that_are_younger_than_itself() {
    let (table, _) = fixture(vec![equality("/t/data/two", 2), equality("/t/data/three", 3)]).build().await;
    let version = table.load().await.unwrap();
    let all = files(&*version).await;
    let deletes = version.row_deletes(&all).await.unwrap();
    let rules = |deletes: &RowDeletes| match deletes {
        RowDeletes::Values(values) => {
            assert!(values.positions.is_empty() && values.rules.len() == 1);
            let rule = &values.rules[0];
            let files = rule.set.files.iter().filter(|file| file.sequence >= rule.since);
            files.map(|file| (file.file.location.name().to_string(), file.file.rows, file.columns.fields[0].id)).collect()
        }
        _ => Vec::new(),
    };
    let (two, three) = (("two".to_string(), Some(2), 1), ("three".to_string(), Some(2), 1));
    assert_eq!(deletes.iter().map(rules).collect::<Vec<_>>(), [vec![], vec![three.clone()], vec![three, two]]);
}

#[tokio::test]
async fn deletes_that_were_applied_do_not_apply_to_the_new_file_and_later_ones_do() {
    let deletes = || vec![equality("/t/data/applied", 2), equality("/t/data/also", 3)];
    let (plain, _) = fixture(deletes()).build().await;
    let change = planned(&*plain.load().await.unwrap(), &["c"]).await;
    let mut with_later = deletes();
    with_later.push(equality("/t/data/later", 4));
    let (table, _) = fixture(with_later).build().await;
    let version = table.load().await.unwrap();
    assert_eq!(version.still_holds(&change).await.unwrap(), [true]);
    landed(&*version, &change).await;
    assert_eq!(deletes_of(&table, "new").await, ["later"]);
    assert_eq!(deletes_of(&table, "b").await, ["also", "later"]);
}

#[tokio::test]
async fn a_delete_that_was_applied_and_is_gone_is_a_conflict() {
    let (plain, _) = fixture(vec![equality("/t/data/eq", 2)]).build().await;
    let change = planned(&*plain.load().await.unwrap(), &["c"]).await;
    let (table, _) = Fixture::default().build().await;
    let version = table.load().await.unwrap();
    assert_eq!(version.still_holds(&change).await.unwrap(), [false]);
    let Answer::Rejected(error) = version.offer(&change, Timestamp(0)).await else { panic!("it must not land") };
    assert_eq!(error.kind(), Kind::Conflict);
}

#[tokio::test]
async fn a_delete_that_came_late_with_an_old_number_is_a_conflict() {
    let (plain, _) = fixture(vec![equality("/t/data/eq", 2)]).build().await;
    let change = planned(&*plain.load().await.unwrap(), &["c"]).await;
    let (table, _) = fixture(vec![equality("/t/data/eq", 2), equality("/t/data/odd", 3)]).build().await;
    let Answer::Rejected(error) = table.load().await.unwrap().offer(&change, Timestamp(0)).await else { panic!("it must not land") };
    assert_eq!(error.kind(), Kind::Conflict);
}

#[tokio::test]
async fn delete_files_go_only_if_asked_for_and_only_if_no_older_file_is_left() {
    for (names, drop, left) in [
        (["c"].as_slice(), false, vec!["three", "two"]),
        // Two reaches no file any more, but three reaches the second one.
        (["c"].as_slice(), true, vec!["three"]),
        (["b", "c"].as_slice(), true, vec![]),
        (["a"].as_slice(), true, vec!["three", "two"]),
    ] {
        let (table, store) = fixture(vec![equality("/t/data/two", 2), equality("/t/data/three", 3)]).build().await;
        let version = table.load().await.unwrap();
        let change = Change { drop_dangling_deletes: drop, ..planned(&*version, names).await };
        landed(&*version, &change).await;
        let after = table.version().await.unwrap();
        let index = after.scan.deletes().await.unwrap();
        let mut found: Vec<&str> = index.files().iter().map(|file| file.location.name()).collect();
        found.sort_unstable();
        assert_eq!(found, left, "{names:?}");
        let summary = current_document(&table, &store).await["snapshots"][1]["summary"].clone();
        let gone = 2 - left.len();
        let counted = |count: usize| if count > 0 { json!(count.to_string()) } else { json!(null) };
        let counts = ["removed-equality-delete-files", "removed-equality-deletes", "removed-delete-files", "removed-position-deletes"];
        assert_eq!(counts.map(|key| summary[key].clone()), [counted(gone), counted(gone * 2), counted(gone), json!(null)]);
    }
}
