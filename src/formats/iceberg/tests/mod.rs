//! Tiny tables of our own making, changed through the face that operations use.

mod branches;
mod commits;
mod deletes;
mod equality;
mod manifests;
mod row_delta;
mod specs;

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

use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::location::Location;
use crate::model::DataFile;
use crate::store::{Resolve, Store};

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

    async fn swap(&self, base: &Location, new: &NewMetadata) -> Swap {
        match self.says {
            Says::Yes if *self.current.lock().unwrap() != *base => Swap::Taken,
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
            file.extend(nulls(8));
            file.push(if *content == 2 { Datum::Array(vec![Datum::Long(1)]) } else { Datum::Null });
            entry.extend([Datum::Long(*sequence), Datum::Long(*sequence)]);
        } else {
            file.push(Datum::Long(64 << 20));
            file.extend(nulls(8));
        }
        // Sorted by some order of the table.
        file.push(Datum::Long(5));
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
