//! Files that move to another partition spec.

use std::sync::Arc;

use serde_json::json;

use super::commits::{current_document, landed, replacing};
use super::{Fixture, Row, files};
use crate::formats::iceberg::IcebergTable;
use crate::formats::iceberg::manifest_list::Content;
use crate::formats::{Destination, OutputWishes, Table, TableVersion};
use crate::model::{Change, Value};

/// The table of `fixture` with a current spec that no file has yet.
async fn evolved(fixture: Fixture) -> IcebergTable {
    let (table, store) = fixture.build().await;
    let mut doc = current_document(&table, &store).await;
    doc["partition-specs"] = json!([{"spec-id": 0, "fields": []},
        {"spec-id": 1, "fields": [{"name": "x_bucket", "transform": "bucket[2]", "source-id": 1, "field-id": 1000}]}]);
    doc["default-spec-id"] = json!(1);
    store.put(&table.pointer().current().await.unwrap(), doc.to_string().into()).await.unwrap();
    table
}

/// Moves the files called `a` and `b` to bucket 1.
async fn moving(version: &dyn TableVersion) -> Change {
    let mut change = replacing(version, &["a", "b"]).await;
    let wishes = OutputWishes::default();
    let Destination::Other(spec) = version.destination(&change.groups[0].removes[0], &wishes).unwrap() else { panic!("it has to move") };
    let routing = version.output(&spec, &wishes).unwrap().routing.unwrap();
    let (partition, folder) = routing.partitions.partition(vec![Some(Value::Int(1))]).unwrap();
    for file in &mut change.groups[0].adds {
        (file.partition, file.location) = (Arc::clone(&partition), folder.child("new"));
    }
    change
}

#[tokio::test]
async fn moved_rows_are_younger_than_every_equality_delete_of_their_new_spec() {
    let table = evolved(Fixture::default()).await;
    let version = table.load().await.unwrap();
    landed(&*version, &moving(&*version).await).await;
    let version = table.version().await.unwrap();
    let mut added = Vec::new();
    for manifest in version.scan.manifests().await.unwrap().iter().filter(|manifest| manifest.content == Content::Data) {
        let reader = version.scan.open(manifest).await.unwrap();
        let spec = reader.spec_id;
        added.extend(
            reader.map(Result::unwrap).filter(|entry| entry.path.ends_with("/new")).map(|entry| (spec, entry.sequence, entry.path)),
        );
    }
    assert_eq!(added, [(1, 4, "/t/data/x_bucket=1/new".to_string())]);
    let summary = version.scan.metadata.current().unwrap().unwrap();
    assert_eq!(summary.count("changed-partition-count"), Some(2));
}

#[tokio::test]
async fn an_equality_delete_that_came_meanwhile_is_a_conflict_for_rows_that_move() {
    let change = moving(&*evolved(Fixture::default()).await.load().await.unwrap()).await;
    let table = evolved(Fixture { deletes: vec![Row(1, 2, "/t/data/eq", 4, 1)], ..Fixture::default() }).await;
    let version = table.load().await.unwrap();
    assert_eq!(files(&*version).await[0].deletes.len(), 1);
    assert_eq!(version.still_holds(&change).await.unwrap(), [false]);
}
