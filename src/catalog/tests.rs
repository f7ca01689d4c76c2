//! Pointers against each other's metadata files and rows.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;
use sqlx::sqlite::SqlitePoolOptions;

use super::{ExactPointer, PathPointer, SqlCatalog, TableName};
use crate::error::{Kind, Result};
use crate::formats::iceberg::{NewMetadata, Pointer, Swap};
use crate::location::Location;
use crate::model::OperationId;
use crate::store::{Resolve, Store};

struct Memory(Arc<InMemory>);

impl Resolve for Memory {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
        Ok((Arc::clone(&self.0) as Arc<dyn ObjectStore>, object_store::path::Path::parse(location.path()).unwrap()))
    }
}

fn place(text: &str) -> Location {
    Location::parse(text).unwrap()
}

fn document(updated: i64) -> Vec<u8> {
    let schema = serde_json::json!({"type": "struct", "schema-id": 0, "fields": []});
    serde_json::json!({"format-version": 1, "location": "/t", "last-updated-ms": updated, "schema": schema, "partition-spec": []})
        .to_string()
        .into_bytes()
}

async fn store_with(names: &[&str]) -> Store {
    let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
    for (updated, name) in (0..).zip(names) {
        store.put(&place(&format!("/t/metadata/{name}")), document(-updated).into()).await.unwrap();
    }
    store
}

fn new_metadata(text: &str, gzip: bool) -> NewMetadata {
    let bytes = text.as_bytes().to_vec().into();
    NewMetadata { bytes, gzip, table_uuid: "u".into(), folder: place("/t/metadata"), operation: OperationId("op".into()), part: 0 }
}

async fn current(store: &Store) -> String {
    PathPointer::new(store.clone(), place("/t")).current().await.unwrap().name().to_string()
}

async fn hint(store: &Store, text: &str) {
    store.put(&place("/t/metadata/version-hint.text"), text.as_bytes().to_vec().into()).await.unwrap();
}

#[tokio::test]
async fn the_hint_is_a_hint_and_names_of_all_kinds_are_known() {
    let store =
        store_with(&["v1.metadata.json", "v2.gz.metadata.json", "v3.metadata.json.gz", "v1.gc_disabled.metadata.json", "x.avro"]).await;
    assert_eq!(current(&store).await, "v3.metadata.json.gz");
    for text in ["1", "2\n", "9", "nonsense", ""] {
        hint(&store, text).await;
        assert_eq!(current(&store).await, "v3.metadata.json.gz", "hint {text}");
    }
    let gap = store_with(&["v1.metadata.json", "v3.metadata.json"]).await;
    hint(&gap, "1").await;
    assert_eq!(current(&gap).await, "v1.metadata.json");
    let nothing = PathPointer::new(store_with(&[]).await, place("/t")).current().await;
    assert_eq!(nothing.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn of_two_files_with_one_number_the_newest_is_current() {
    let store = store_with(&["00001-a.metadata.json", "00002-b.metadata.json", "00002-c.metadata.json"]).await;
    assert_eq!(current(&store).await, "00002-b.metadata.json");
}

#[tokio::test]
async fn one_of_two_writers_gets_the_next_number() {
    for (first, next) in [("v7.metadata.json", "v8.metadata.json"), ("00007-a.metadata.json", "00008-")] {
        let store = store_with(&[first]).await;
        let base = place("/t/metadata").child(first);
        let (mine, theirs) = (PathPointer::new(store.clone(), place("/t")), PathPointer::new(store.clone(), place("/t")));
        assert!(matches!(mine.swap(&base, &new_metadata("mine", false)).await, Swap::Landed));
        assert!(matches!(theirs.swap(&base, &new_metadata("theirs", true)).await, Swap::Taken));
        let name = current(&store).await;
        assert!(name.starts_with(next), "{name}");
        assert_eq!(store.get(&place("/t/metadata").child(&name)).await.unwrap(), "mine");
    }
}

#[tokio::test]
async fn both_runs_claim_the_same_numbered_name() {
    let names: Vec<String> = futures::future::join_all([1, 2].map(|_| async {
        let store = store_with(&["00007-a.metadata.json"]).await;
        let base = place("/t/metadata/00007-a.metadata.json");
        PathPointer::new(store.clone(), place("/t")).swap(&base, &new_metadata("x", false)).await;
        current(&store).await
    }))
    .await;
    assert_eq!(names[0], names[1]);
}

#[tokio::test]
async fn nothing_is_written_behind_a_gap() {
    let store = store_with(&["v1.metadata.json", "v3.metadata.json"]).await;
    let pointer = PathPointer::new(store.clone(), place("/t"));
    let swap = pointer.swap(&place("/t/metadata/v1.metadata.json"), &new_metadata("x", false)).await;
    assert!(matches!(swap, Swap::Rejected(error) if error.kind() == Kind::Refused));
    assert!(store.get_if_exists(&place("/t/metadata/v2.metadata.json")).await.unwrap().is_none());
}

#[tokio::test]
async fn nothing_is_written_on_one_of_two_files_with_one_number() {
    let store = store_with(&["00001-a.metadata.json", "00002-b.metadata.json", "00002-c.metadata.json"]).await;
    let pointer = PathPointer::new(store.clone(), place("/t"));
    let swap = pointer.swap(&place("/t/metadata/00002-b.metadata.json"), &new_metadata("x", false)).await;
    assert!(matches!(swap, Swap::Rejected(error) if error.kind() == Kind::Refused));
    assert_eq!(store.list_all(&place("/t/metadata")).await.unwrap().len(), 3);
}

#[tokio::test]
async fn names_that_catalogs_give_are_told_from_ours() {
    let store = store_with(&["00007-a.metadata.json"]).await;
    let pointer = PathPointer::new(store.clone(), place("/t"));
    let first = place("/t/metadata/00007-a.metadata.json");
    pointer.swap(&first, &new_metadata("x", false)).await;
    let ours = place("/t/metadata").child(&current(&store).await);
    let uuid = &new_metadata("x", false).table_uuid;
    let told = [&first, &ours, &place("/t/metadata/v8.metadata.json")].map(|file| pointer.may_be_a_catalogs(file, uuid));
    assert_eq!(told, [true, false, false]);
}

#[tokio::test]
async fn the_hint_moves_on_in_the_form_it_has() {
    let cases = [
        ("v7.metadata.json", Some("7"), Some("8")),
        ("v7.metadata.json", None, Some("8")),
        ("00007-a.metadata.json", None, None),
        ("00007-a.metadata.json", Some("7"), Some("8")),
        ("00007-a.metadata.json", Some("00007-a"), Some("00008-")),
    ];
    for (first, before, after) in cases {
        let store = store_with(&[first]).await;
        if let Some(before) = before {
            hint(&store, before).await;
        }
        let pointer = PathPointer::new(store.clone(), place("/t"));
        pointer.swap(&place("/t/metadata").child(first), &new_metadata("x", false)).await;
        // Without a hint only a catalog could tell readers, and none was told: that is said once.
        assert_eq!(pointer.settle().await.len(), usize::from(after.is_none()));
        assert!(pointer.settle().await.is_empty());
        let text = store.get_if_exists(&place("/t/metadata/version-hint.text")).await.unwrap();
        let text = text.map(|text| String::from_utf8(text.to_vec()).unwrap());
        assert_eq!(text.is_some(), after.is_some());
        assert!(text.unwrap_or_default().starts_with(after.unwrap_or_default()));
    }
}

#[tokio::test]
async fn a_table_opened_by_its_metadata_file_is_read_only() {
    let pointer = ExactPointer::new(place("/t/metadata/v1.metadata.json"));
    let base = pointer.current().await.unwrap();
    assert!(matches!(pointer.swap(&base, &new_metadata("x", false)).await, Swap::Rejected(error) if error.kind() == Kind::Refused));
}

/// A catalog `c` with the table `a.b.t` at `/t`, and the same in another catalog; of schema V0 without the column for the type.
async fn sql(typed: bool) -> (SqlCatalog, Store) {
    let store = store_with(&["00003-x.metadata.json"]).await;
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    let column = if typed { ", iceberg_type VARCHAR(5)" } else { "" };
    let create = format!(
        "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255), table_namespace VARCHAR(255), table_name VARCHAR(255), \
         metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000){column}, PRIMARY KEY (catalog_name, table_namespace, table_name))"
    );
    sqlx::query(&create).execute(&pool).await.unwrap();
    for (catalog, name, kind) in [("c", "t", "'TABLE'"), ("c", "v", "'VIEW'"), ("d", "t", "NULL")] {
        if !typed && name == "v" {
            continue;
        }
        let kind = if typed { format!(", {kind}") } else { String::new() };
        let insert =
            format!("INSERT INTO iceberg_tables VALUES ('{catalog}', 'a.b', '{name}', '/t/metadata/00003-x.metadata.json', NULL{kind})");
        sqlx::query(&insert).execute(&pool).await.unwrap();
    }
    (SqlCatalog::with_pool(pool, "c").await.unwrap(), store)
}

#[tokio::test]
async fn a_row_is_swapped_once_and_other_catalogs_stay() {
    for typed in [true, false] {
        let (catalog, store) = sql(typed).await;
        let name = TableName::parse("a.b.t").unwrap();
        assert_eq!(catalog.list().await.unwrap(), std::slice::from_ref(&name));
        let (root, pointer) = catalog.table(&store, &name).await.unwrap();
        assert_eq!(root, place("/t"));
        let base = pointer.current().await.unwrap();
        assert!(matches!(pointer.swap(&base, &new_metadata("mine", false)).await, Swap::Landed));
        let name = pointer.current().await.unwrap().name().to_string();
        assert!(name.starts_with(&format!("00004-{}", OperationId("op".into()).uuid_mark(0))), "{name}");
        assert!(matches!(pointer.swap(&base, &new_metadata("theirs", false)).await, Swap::Taken));
        assert_eq!(store.get(&pointer.current().await.unwrap()).await.unwrap(), "mine");
        assert_eq!(store.list_all(&place("/t/metadata")).await.unwrap().len(), 2);
        let missing = catalog.metadata_file(&TableName::parse("a.b.v").unwrap()).await;
        assert_eq!(missing.unwrap_err().kind(), Kind::NotFound);
    }
}
