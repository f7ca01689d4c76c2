//! Tiny tables of our own making, changed through the face that operations use.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde_json::{Value as Json, json};

use super::avro::{Datum, Writer};
use super::manifest_list::{self, Content, ListHeader, ManifestFile};
use super::metadata::Metadata;
use super::{IcebergTable, NewMetadata, Pointer, Swap, manifest_schema};
use crate::commit::Answer;
use crate::error::{Error, Kind, Result};
use crate::formats::{OutputWishes, Table, TableVersion};
use crate::location::Location;
use crate::model::{Change, DataFile, DeleteKind, FileStats, GroupChange, Intent, NewFile, OperationId, Version};
use crate::store::{Resolve, Store};
use crate::units::{Bytes, Timestamp};

struct Memory(Arc<InMemory>);

impl Resolve for Memory {
    fn resolve(&self, location: &Location) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
        Ok((Arc::clone(&self.0) as Arc<dyn ObjectStore>, object_store::path::Path::parse(location.path()).unwrap()))
    }
}

/// What the catalog of a test answers.
#[derive(Clone, Copy)]
enum Says {
    Yes,
    Taken,
    Nothing,
}

struct TestPointer {
    store: Store,
    current: Mutex<Location>,
    says: Says,
}

#[async_trait]
impl Pointer for TestPointer {
    async fn current(&self) -> Result<Location> {
        Ok(self.current.lock().unwrap().clone())
    }

    async fn swap(&self, _base: &Location, new: &NewMetadata) -> Swap {
        match self.says {
            Says::Yes => {
                let place = new.folder.child(&format!("{}.metadata.json", new.operation));
                self.store.put(&place, new.bytes.clone()).await.unwrap();
                *self.current.lock().unwrap() = place;
                Swap::Landed
            }
            Says::Taken => Swap::Taken,
            Says::Nothing => Swap::Unknown(Error::unavailable("no answer")),
        }
    }
}

fn place(text: &str) -> Location {
    Location::parse(text).unwrap()
}

/// A file of a manifest: status, content, path, data sequence number, rows.
struct Row(i64, i64, &'static str, i64, i64);

struct Fixture {
    version: u8,
    /// The version of the manifests, where it is older.
    manifests: u8,
    data: Vec<Row>,
    deletes: Vec<Row>,
    first_row_id: Option<i64>,
    says: Says,
}

impl Default for Fixture {
    fn default() -> Self {
        let data = vec![
            Row(1, 0, "/t/data/a", 3, 10),
            Row(0, 0, "/t/data/b", 2, 5),
            Row(2, 0, "/t/data/gone", 1, 7),
            Row(0, 0, "/t/data/c", 1, 4),
        ];
        Self { version: 2, manifests: 2, data, deletes: Vec::new(), first_row_id: None, says: Says::Yes }
    }
}

impl Fixture {
    fn record(&self, row: &Row) -> Datum {
        let Row(status, content, path, sequence, rows) = row;
        let mut file = vec![Datum::Text((*path).into()), Datum::Text("PARQUET".into()), Datum::Record(Vec::new()), Datum::Long(*rows)];
        file.push(Datum::Long(100));
        let nulls = |count: usize| std::iter::repeat_n(Datum::Null, count);
        let mut entry = vec![Datum::Long(*status), Datum::Long(9)];
        if self.manifests > 1 {
            file.insert(0, Datum::Long(*content));
            file.extend(nulls(10));
            entry.extend([Datum::Long(*sequence), Datum::Long(*sequence)]);
        } else {
            file.push(Datum::Long(64 << 20));
            file.extend(nulls(9));
        }
        if self.manifests > 2 {
            file.extend(nulls(4));
        }
        // A member that nobody knows.
        file.push(Datum::Long(4711));
        entry.push(Datum::Record(file));
        Datum::Record(entry)
    }

    fn schema(&self, metadata: &Metadata) -> Json {
        let mut schema = manifest_schema::entries(&metadata.specs[&0], self.manifests);
        let fields = schema["fields"].as_array_mut().unwrap();
        fields.last_mut().unwrap()["type"]["fields"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "unheard_of", "type": "long", "field-id": 999}));
        schema
    }

    fn document(&self) -> Json {
        let mut doc = json!({"format-version": self.version, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": "/t",
            "last-updated-ms": 1000, "last-column-id": 1, "last-sequence-number": 3, "last-partition-id": 999,
            "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "x", "required": false, "type": "long"}]}],
            "current-schema-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "default-spec-id": 0, "sort-orders": [{"order-id": 0, "fields": []}],
            "default-sort-order-id": 0, "properties": {}, "current-snapshot-id": 9, "unheard-of": {"kept": true},
            "snapshots": [{"snapshot-id": 9, "sequence-number": 3, "timestamp-ms": 1000, "manifest-list": "/t/metadata/list.avro",
                "summary": {"operation": "append"}, "schema-id": 0}]});
        if self.version > 2 {
            doc["next-row-id"] = 200.into();
            doc["snapshots"][0]["first-row-id"] = 100.into();
            doc["snapshots"][0]["added-rows"] = 100.into();
        }
        doc
    }

    async fn build(self) -> (IcebergTable, Store) {
        let store = Store::new(Arc::new(Memory(Arc::new(InMemory::new()))));
        let file = place("/t/metadata/v1.metadata.json");
        let doc = self.document();
        store.put(&file, doc.to_string().into_bytes().into()).await.unwrap();
        let metadata = Metadata::parse(doc.to_string().as_bytes(), &file, None).unwrap();
        let mut listed = Vec::new();
        for (name, content, rows) in [("data", Content::Data, &self.data), ("deletes", Content::Deletes, &self.deletes)] {
            let path = format!("/t/metadata/{name}.avro");
            let mut writer = Writer::new(&self.schema(&metadata), "null", &[("content".into(), name.into())], [0; 16]).unwrap();
            for row in rows {
                writer.append(&self.record(row)).unwrap();
            }
            let bytes = writer.finish().unwrap();
            let length = i64::try_from(bytes.len()).unwrap();
            store.put(&place(&path), bytes).await.unwrap();
            let count = |status| i64::try_from(rows.iter().filter(|row| row.0 == status).count()).unwrap();
            let sum = |status| rows.iter().filter(|row| row.0 == status).map(|row| row.4).sum::<i64>();
            let first_row_id = self.first_row_id.filter(|_| content == Content::Data);
            let (files, rows) = ([count(1), count(0), count(2)].map(Some), [sum(1), sum(0), sum(2)].map(Some));
            let sequence = if self.manifests > 1 { 3 } else { 0 };
            let inline = ManifestFile::inline(&path);
            listed.push(ManifestFile {
                length,
                spec_id: Some(0),
                content,
                sequence,
                added_snapshot: Some(9),
                files,
                rows,
                first_row_id,
                ..inline
            });
        }
        let header = ListHeader { format_version: self.version, snapshot: 9, parent: None, sequence: 3, first_row_id: None };
        store.put(&place("/t/metadata/list.avro"), manifest_list::write(&listed, header, "null", [0; 16]).unwrap()).await.unwrap();
        let pointer = TestPointer { store: store.clone(), current: Mutex::new(file), says: self.says };
        (IcebergTable::new(store.clone(), place("/t"), Arc::new(pointer)), store)
    }
}

async fn files(version: &dyn TableVersion) -> Vec<DataFile> {
    version.files(false).try_collect().await.unwrap()
}

/// Replaces the files called `names` by one with as many rows.
async fn replacing(version: &dyn TableVersion, names: &[&str]) -> Change {
    let removes: Vec<DataFile> = files(version).await.into_iter().filter(|file| names.contains(&file.location.name())).collect();
    let rows = removes.iter().map(|file| file.rows.unwrap()).sum();
    let partition = Arc::clone(&removes[0].partition);
    let location = version.output(&partition, &OutputWishes::default()).unwrap().directory.child("new");
    let adds = vec![NewFile { location, size: Bytes(50), rows, partition, stats: FileStats::default(), split_offsets: vec![4] }];
    let groups = vec![GroupChange { removes, live_rows: rows, adds }];
    Change { operation: OperationId("op".into()), part: 2, intent: Intent::Rearrange, groups, drop_dangling_deletes: false }
}

async fn landed(version: &dyn TableVersion, change: &Change) -> Version {
    match version.offer(change, Timestamp(500)).await {
        Answer::Ours(version) => version,
        other => panic!("{other:?}"),
    }
}

async fn current_document(table: &IcebergTable, store: &Store) -> Json {
    let file = table.pointer().current().await.unwrap();
    serde_json::from_slice(&store.get(&file).await.unwrap()).unwrap()
}

async fn names_in_metadata(store: &Store) -> Vec<String> {
    let mut names: Vec<String> =
        store.list_all(&place("/t/metadata")).await.unwrap().into_iter().map(|meta| meta.location.name().to_string()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_replacement_changes_exactly_what_a_commit_changes() {
    let (table, store) = Fixture::default().build().await;
    let before = current_document(&table, &store).await;
    let version = table.load().await.unwrap();
    let id = landed(&*version, &replacing(&*version, &["a", "b"]).await).await;
    let mut after = current_document(&table, &store).await;
    assert_eq!(after["snapshots"][1]["snapshot-id"], json!(id.0));
    assert_eq!(after["snapshots"][1]["timestamp-ms"], json!(1000), "time does not run backwards");
    assert_eq!(after["metadata-log"], json!([{"timestamp-ms": 1000, "metadata-file": "/t/metadata/v1.metadata.json"}]));
    assert_eq!(after["refs"], json!({"main": {"type": "branch", "snapshot-id": id.0}}));
    let summary = after["snapshots"][1]["summary"].clone();
    for (key, value) in
        [("operation", "replace"), ("added-records", "15"), ("deleted-data-files", "2"), ("total-data-files", "2"), ("total-records", "19")]
    {
        assert_eq!(summary[key], json!(value), "{key}");
    }
    for key in ["refs", "metadata-log", "snapshot-log"] {
        after.as_object_mut().unwrap().remove(key);
    }
    after["snapshots"].as_array_mut().unwrap().pop();
    after["current-snapshot-id"] = 9.into();
    after["last-sequence-number"] = 3.into();
    assert_eq!(after, before);
}

#[tokio::test]
async fn rewritten_entries_keep_all_they_had_and_new_ones_the_greatest_sequence_they_replace() {
    for (version, manifests) in [(2, 2), (2, 1), (3, 2), (3, 3), (1, 1)] {
        let (table, _) = Fixture { version, manifests, ..Fixture::default() }.build().await;
        let before = table.load().await.unwrap();
        landed(&*before, &replacing(&*before, &["a", "b"]).await).await;
        let version = table.version().await.unwrap();
        let mut seen = Vec::new();
        for manifest in version.scan.manifests().await.unwrap().iter().filter(|manifest| manifest.content == Content::Data) {
            let reader = version.scan.open(manifest).await.unwrap();
            let columns = reader.columns.clone();
            for entry in reader {
                let entry = entry.unwrap();
                let kept = columns.file_field(&entry, "unheard_of").and_then(Datum::as_long);
                let sequence = if manifests == 1 { 0 } else { entry.sequence };
                seen.push((
                    place(&entry.path).name().to_string(),
                    format!("{:?}", entry.status),
                    entry.snapshot == Some(9),
                    sequence,
                    kept,
                ));
            }
        }
        let sequence = |number| if manifests == 1 { 0 } else { number };
        let wanted = [
            ("new", "Added", false, sequence(3), None),
            ("a", "Deleted", false, sequence(3), Some(4711)),
            ("b", "Deleted", false, sequence(2), Some(4711)),
            ("c", "Existing", true, sequence(1), Some(4711)),
        ];
        let wanted = wanted.map(|(name, status, own, sequence, kept)| (name.to_string(), status.to_string(), own, sequence, kept));
        assert_eq!(seen, wanted, "manifests of version {manifests}");
    }
}

#[tokio::test]
async fn row_ids_are_inherited_in_order_and_survive_a_rewritten_manifest() {
    let (table, store) = Fixture { version: 3, manifests: 3, first_row_id: Some(100), ..Fixture::default() }.build().await;
    let ids = |files: Vec<DataFile>| -> Vec<(String, Option<i64>)> {
        files.into_iter().map(|file| (file.location.name().to_string(), file.lineage.unwrap().first_row_id)).collect()
    };
    let version = table.load().await.unwrap();
    let named = |name: &str, id| (name.to_string(), Some(id));
    assert_eq!(ids(files(&*version).await), [named("a", 100), named("b", 110), named("c", 115)]);
    landed(&*version, &replacing(&*version, &["a"]).await).await;
    let after = table.load().await.unwrap();
    assert_eq!(ids(files(&*after).await), [named("new", 200), named("b", 110), named("c", 115)]);
    let doc = current_document(&table, &store).await;
    // Ten new rows, and nine in the rewritten manifest, whose ids stay unused.
    assert_eq!(
        (&doc["snapshots"][1]["first-row-id"], &doc["snapshots"][1]["added-rows"], &doc["next-row-id"]),
        (&json!(200), &json!(19), &json!(219))
    );
}

#[tokio::test]
async fn an_equality_delete_that_came_meanwhile_still_applies_to_the_new_file() {
    let (plain, _) = Fixture::default().build().await;
    let change = replacing(&*plain.load().await.unwrap(), &["a", "c"]).await;
    let deletes = vec![Row(1, 2, "/t/data/eq", 4, 1)];
    let (table, _) = Fixture { deletes, ..Fixture::default() }.build().await;
    let version = table.load().await.unwrap();
    assert_eq!(version.still_holds(&change).await.unwrap(), [true]);
    landed(&*version, &change).await;
    let after = files(&*table.load().await.unwrap()).await;
    assert!(after.iter().all(|file| file.deletes.len() == 1 && file.deletes[0].kind == DeleteKind::Equality));
    let refused = table.load().await.unwrap().row_deletes(&after).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unsupported);
}

#[tokio::test]
async fn a_file_that_gained_position_deletes_or_went_is_a_conflict() {
    let (plain, _) = Fixture::default().build().await;
    let change = replacing(&*plain.load().await.unwrap(), &["a", "c"]).await;
    let deleted = Fixture { deletes: vec![Row(1, 1, "/t/data/pos", 4, 1)], ..Fixture::default() };
    let gone = Fixture { data: vec![Row(1, 0, "/t/data/a", 3, 10)], ..Fixture::default() };
    for fixture in [deleted, gone] {
        let (table, store) = fixture.build().await;
        let version = table.load().await.unwrap();
        let names = names_in_metadata(&store).await;
        assert_eq!(version.still_holds(&change).await.unwrap(), [false]);
        let Answer::Rejected(error) = version.offer(&change, Timestamp(0)).await else { panic!("it must not land") };
        assert_eq!(error.kind(), Kind::Conflict);
        assert_eq!(names_in_metadata(&store).await, names);
    }
}

#[tokio::test]
async fn what_was_written_goes_when_the_place_is_taken_and_stays_when_nobody_answers() {
    for (says, stays) in [(Says::Taken, false), (Says::Nothing, true)] {
        let (table, store) = Fixture { says, ..Fixture::default() }.build().await;
        let names = names_in_metadata(&store).await;
        let version = table.load().await.unwrap();
        let change = replacing(&*version, &["a"]).await;
        let answer = version.offer(&change, Timestamp(0)).await;
        assert!(matches!((says, answer), (Says::Taken, Answer::Taken) | (Says::Nothing, Answer::Silence(_))));
        let after = names_in_metadata(&store).await;
        assert_eq!(after.len() > names.len(), stays);
        assert!(after.iter().filter(|name| !names.contains(name)).all(|name| name.contains("op")));
    }
}
