//! Commits on branches.

use serde_json::json;

use super::commits::{current_document, landed, replacing};
use super::{Fixture, files};
use crate::commit::Answer;
use crate::error::Kind;
use crate::formats::iceberg::IcebergTable;
use crate::formats::{Table, TableVersion};
use crate::model::OperationId;
use crate::store::Store;
use crate::units::Timestamp;

/// The table of the fixture with a branch and a tag at its only snapshot.
async fn with_refs() -> (IcebergTable, Store) {
    let (table, store) = Fixture::default().build().await;
    let mut doc = current_document(&table, &store).await;
    doc["refs"] = json!({"main": {"type": "branch", "snapshot-id": 9}, "dev": {"type": "branch", "snapshot-id": 9, "max-ref-age-ms": 7},
        "v1": {"type": "tag", "snapshot-id": 9}});
    doc["statistics"] = json!([{"snapshot-id": 9, "statistics-path": "/t/metadata/x.stats"}]);
    doc["partition-statistics"] = json!([{"snapshot-id": 9, "statistics-path": "/t/metadata/p.parquet"}]);
    store.put(&table.pointer().current().await.unwrap(), doc.to_string().into()).await.unwrap();
    (table, store)
}

async fn names(version: &dyn TableVersion) -> Vec<String> {
    files(version).await.iter().map(|file| file.location.name().to_string()).collect()
}

#[tokio::test]
async fn a_commit_on_a_branch_moves_that_branch_alone() {
    let (main, store) = with_refs().await;
    let before = current_document(&main, &store).await;
    let dev = main.clone().on("dev");
    let version = dev.load().await.unwrap();
    assert_eq!(version.reference(), Some("dev"));
    let id = landed(&*version, &replacing(&*version, &["a", "b"]).await).await;
    let after = current_document(&main, &store).await;
    let refs = json!({"main": {"type": "branch", "snapshot-id": 9}, "dev": {"type": "branch", "snapshot-id": id.0, "max-ref-age-ms": 7},
        "v1": {"type": "tag", "snapshot-id": 9}});
    assert_eq!(after["refs"], refs);
    assert_eq!((&after["current-snapshot-id"], &after["snapshot-log"]), (&json!(9), &before["snapshot-log"]));
    let (dev, main) = (dev.load().await.unwrap(), main.load().await.unwrap());
    assert_eq!((names(&*dev).await, names(&*main).await), (vec!["new".into(), "c".into()], vec!["a".into(), "b".into(), "c".into()]));
    let operation = OperationId("op".into());
    // Where it landed is not asked: an operation is in the table or it is not.
    assert_eq!(dev.find(&operation, 2, None).await.unwrap(), Some(id));
    assert_eq!(main.find(&operation, 2, None).await.unwrap(), Some(id));
}

#[tokio::test]
async fn a_tag_is_read_and_never_changed() {
    let (main, _) = with_refs().await;
    let tag = main.on("v1").load().await.unwrap();
    assert_eq!(names(&*tag).await, ["a", "b", "c"]);
    let refused = tag.rewritable().unwrap_err();
    assert_eq!((refused.kind(), refused.context()[0].clone()), (Kind::Refused, ("tag", "v1".to_string())));
}

#[tokio::test]
async fn statistics_stay_with_their_snapshot_and_the_new_one_claims_none() {
    let (table, store) = with_refs().await;
    let before = current_document(&table, &store).await;
    let version = table.load().await.unwrap();
    landed(&*version, &replacing(&*version, &["a"]).await).await;
    let after = current_document(&table, &store).await;
    for list in ["statistics", "partition-statistics"] {
        assert_eq!(after[list], before[list], "{list}");
    }
}

#[tokio::test]
async fn a_commit_to_main_costs_a_branch_another_attempt_and_nothing_else() {
    let (main, store) = with_refs().await;
    let dev = main.clone().on("dev");
    let stale = dev.load().await.unwrap();
    let change = replacing(&*stale, &["a", "b"]).await;
    let version = main.load().await.unwrap();
    let mut first = replacing(&*version, &["c"]).await;
    first.operation = OperationId("other".into());
    first.groups[0].adds[0].location = super::place("/t/data/newer");
    let head = landed(&*version, &first).await;
    assert!(matches!(stale.offer(&change, Timestamp(500)).await, Answer::Taken));
    let fresh = dev.load().await.unwrap();
    assert_eq!(fresh.still_holds(&change).await.unwrap(), [true]);
    let id = landed(&*fresh, &change).await;
    let refs = current_document(&main, &store).await["refs"].clone();
    assert_eq!((&refs["main"]["snapshot-id"], &refs["dev"]["snapshot-id"]), (&json!(head.0), &json!(id.0)));
    let (dev, main) = (dev.load().await.unwrap(), main.load().await.unwrap());
    assert_eq!(names(&*dev).await, ["new", "c"]);
    assert_eq!(names(&*main).await, ["newer", "a", "b"]);
}
