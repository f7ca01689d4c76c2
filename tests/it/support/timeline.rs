//! Iceberg tables with any history one likes, written by hand: snapshots, branches, tags, manifests that are shared, merged and rewritten. Files
//! hold no rows worth reading. It remembers what it wrote, so that what a version reaches is known without reading any of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use apache_avro::types::Value as Avro;
use apache_avro::{Schema, Writer};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Value as Json, json};

use super::NOON;
use super::workbench::Objects;

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;
/// Where the table lies.
pub(crate) const ROOT: &str = "/lake/t";

/// What an entry of a manifest says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    Existing,
    Added,
    Deleted,
}

#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) parent: Option<i64>,
    pub(crate) time: i64,
    pub(crate) manifests: Vec<String>,
    pub(crate) summary: Json,
}

/// A branch or tag.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) head: i64,
    pub(crate) is_branch: bool,
    pub(crate) own: Json,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    pub(crate) objects: Objects,
    pub(crate) snapshots: BTreeMap<i64, Snapshot>,
    pub(crate) refs: BTreeMap<String, Named>,
    pub(crate) manifests: BTreeMap<String, Vec<(Says, String)>>,
    pub(crate) properties: BTreeMap<String, String>,
    /// Members of the metadata besides the usual ones.
    pub(crate) more: Json,
    files: usize,
}

impl Timeline {
    /// A new data file, by its key.
    pub(crate) fn file(&mut self) -> String {
        self.files += 1;
        let key = format!("data/f{}.parquet", self.files);
        self.put(&key, key.as_bytes().to_vec());
        key
    }

    /// Adds an object.
    pub(crate) fn put(&mut self, key: &str, bytes: Vec<u8>) {
        self.objects.insert(key.to_string(), bytes.into());
    }

    /// A new manifest, by its key.
    pub(crate) fn manifest(&mut self, entries: Vec<(Says, String)>) -> String {
        let key = format!("metadata/m{}.avro", self.manifests.len());
        let schema = Schema::parse_str(&entry_schema().to_string()).unwrap();
        let mut writer = Writer::new(&schema, Vec::new());
        for (key, value) in
            [("schema", "{\"type\":\"struct\",\"schema-id\":0,\"fields\":[]}"), ("partition-spec", "[]"), ("content", "data")]
        {
            writer.add_user_metadata(key.to_string(), value).unwrap();
        }
        for (says, file) in &entries {
            let status = [Says::Existing, Says::Added, Says::Deleted].iter().position(|known| known == says).unwrap();
            writer.append(entry(i32::try_from(status).unwrap(), &path(file))).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        self.put(&key, bytes);
        self.manifests.insert(key.clone(), entries);
        key
    }

    /// A new snapshot that is so many days old.
    pub(crate) fn snapshot(&mut self, parent: Option<i64>, days: i64, manifests: Vec<String>) -> i64 {
        let id = i64::try_from(self.snapshots.len()).unwrap() + 1;
        let schema = Schema::parse_str(&list_schema().to_string()).unwrap();
        let mut writer = Writer::new(&schema, Vec::new());
        for key in &manifests {
            let count = |says| i32::try_from(self.manifests[key].iter().filter(|entry| entry.0 == says).count()).unwrap();
            let length = i64::try_from(self.objects[key].len()).unwrap();
            let counts = [Says::Added, Says::Existing, Says::Deleted].map(count);
            writer.append(listed(&path(key), length, id, counts)).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        self.put(&list_key(id), bytes);
        let summary = json!({"operation": "append"});
        self.snapshots.insert(id, Snapshot { parent, time: NOON - days * DAY, manifests, summary });
        id
    }

    /// An append to `parent` of one file in a manifest of its own.
    pub(crate) fn append(&mut self, parent: Option<i64>, days: i64) -> i64 {
        let file = self.file();
        let manifest = self.manifest(vec![(Says::Added, file)]);
        let mut manifests = parent.map(|parent| self.snapshots[&parent].manifests.clone()).unwrap_or_default();
        manifests.push(manifest);
        self.snapshot(parent, days, manifests)
    }

    /// What `parent` has in one manifest, without `gone`.
    pub(crate) fn rewrite(&mut self, parent: i64, days: i64, gone: &[String]) -> i64 {
        let says = |file: &String| if gone.contains(file) { Says::Deleted } else { Says::Existing };
        let entries = self.live(parent).iter().map(|file| (says(file), file.clone())).collect();
        let manifest = self.manifest(entries);
        self.snapshot(Some(parent), days, vec![manifest])
    }

    /// Points a branch or tag at a snapshot.
    pub(crate) fn name(&mut self, name: &str, head: i64, is_branch: bool) {
        self.refs.insert(name.into(), Named { head, is_branch, own: json!({}) });
    }

    /// The live files of a snapshot.
    pub(crate) fn live(&self, snapshot: i64) -> BTreeSet<String> {
        let entries = self.snapshots[&snapshot].manifests.iter().flat_map(|key| &self.manifests[key]);
        entries.filter(|(says, _)| *says != Says::Deleted).map(|(_, file)| file.clone()).collect()
    }

    /// Everything that `snapshots` reach.
    pub(crate) fn reach<'a>(&self, snapshots: impl IntoIterator<Item = &'a i64>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for id in snapshots {
            found.insert(list_key(*id));
            found.extend(self.snapshots[id].manifests.iter().cloned());
            found.extend(self.live(*id));
        }
        found
    }

    /// The metadata document.
    pub(crate) fn document(&self) -> Json {
        let snapshot = |(id, snapshot): (&i64, &Snapshot)| {
            let mut json = json!({"snapshot-id": id, "sequence-number": id, "timestamp-ms": snapshot.time, "schema-id": 0,
                "manifest-list": path(&list_key(*id)), "summary": snapshot.summary});
            if let Some(parent) = snapshot.parent {
                json["parent-snapshot-id"] = parent.into();
            }
            json
        };
        let named = |(name, named): (&String, &Named)| {
            let mut json = json!({"snapshot-id": named.head, "type": if named.is_branch { "branch" } else { "tag" }});
            json.as_object_mut().unwrap().extend(named.own.as_object().unwrap().clone());
            (name.clone(), json)
        };
        let mut doc = json!({"format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": ROOT,
            "last-updated-ms": NOON - 1, "last-column-id": 1, "last-sequence-number": self.snapshots.len(), "last-partition-id": 999,
            "schemas": [{"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "x", "required": false, "type": "long"}]}],
            "current-schema-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "default-spec-id": 0,
            "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0, "properties": self.properties,
            "current-snapshot-id": self.refs.get("main").map_or(-1, |main| main.head),
            "snapshots": self.snapshots.iter().map(snapshot).collect::<Vec<_>>(),
            "refs": self.refs.iter().map(named).collect::<serde_json::Map<_, _>>()});
        if let Some(more) = self.more.as_object() {
            doc.as_object_mut().unwrap().extend(more.clone());
        }
        doc
    }

    /// All objects, the metadata file with them.
    pub(crate) fn objects(&self) -> Objects {
        let mut all = self.objects.clone();
        all.insert("metadata/v1.metadata.json".into(), self.document().to_string().into_bytes().into());
        all.insert("metadata/version-hint.text".into(), b"1".to_vec().into());
        all
    }

    /// A copy in memory.
    pub(crate) async fn lay_out(&self) -> Arc<dyn ObjectStore> {
        let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for (key, bytes) in self.objects() {
            memory.put(&Path::parse(format!("{ROOT}/{key}")).unwrap(), PutPayload::from_bytes(bytes)).await.unwrap();
        }
        memory
    }
}

/// Where a snapshot's list lies.
pub(crate) fn list_key(snapshot: i64) -> String {
    format!("metadata/snap-{snapshot}.avro")
}

/// How the table spells a key; what begins with a slash is a path already.
pub(crate) fn path(key: &str) -> String {
    if key.starts_with('/') { key.to_string() } else { format!("{ROOT}/{key}") }
}

fn entry_schema() -> Json {
    json!({"type": "record", "name": "manifest_entry", "fields": [
        {"name": "status", "type": "int", "field-id": 0}, {"name": "snapshot_id", "type": "long", "field-id": 1},
        {"name": "sequence_number", "type": "long", "field-id": 3}, {"name": "file_sequence_number", "type": "long", "field-id": 4},
        {"name": "data_file", "field-id": 2, "type": {"type": "record", "name": "r2", "fields": [
            {"name": "content", "type": "int", "field-id": 134}, {"name": "file_path", "type": "string", "field-id": 100},
            {"name": "file_format", "type": "string", "field-id": 101},
            {"name": "partition", "type": {"type": "record", "name": "r102", "fields": []}, "field-id": 102},
            {"name": "record_count", "type": "long", "field-id": 103}, {"name": "file_size_in_bytes", "type": "long", "field-id": 104}]}}]})
}

fn record(fields: Vec<(&str, Avro)>) -> Avro {
    Avro::Record(fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

fn entry(status: i32, path: &str) -> Avro {
    let file = record(vec![
        ("content", Avro::Int(0)),
        ("file_path", Avro::String(path.into())),
        ("file_format", Avro::String("PARQUET".into())),
        ("partition", record(Vec::new())),
        ("record_count", Avro::Long(3)),
        ("file_size_in_bytes", Avro::Long(10)),
    ]);
    let long = |name| (name, Avro::Long(1));
    record(vec![
        ("status", Avro::Int(status)),
        long("snapshot_id"),
        long("sequence_number"),
        long("file_sequence_number"),
        ("data_file", file),
    ])
}

const LONGS: [&str; 3] = ["sequence_number", "min_sequence_number", "added_snapshot_id"];
const FILES: [&str; 3] = ["added_files_count", "existing_files_count", "deleted_files_count"];
const ROWS: [&str; 3] = ["added_rows_count", "existing_rows_count", "deleted_rows_count"];

fn list_schema() -> Json {
    let field = |name: &str, kind: &str, id: i32| json!({"name": name, "type": kind, "field-id": id});
    let mut fields = vec![field("manifest_path", "string", 500), field("manifest_length", "long", 501)];
    fields.extend([field("partition_spec_id", "int", 502), field("content", "int", 517)]);
    fields.extend(LONGS.into_iter().zip([515, 516, 503]).map(|(name, id)| field(name, "long", id)));
    fields.extend(FILES.into_iter().zip([504, 505, 506]).map(|(name, id)| field(name, "int", id)));
    fields.extend(ROWS.into_iter().zip([512, 513, 514]).map(|(name, id)| field(name, "long", id)));
    json!({"type": "record", "name": "manifest_file", "fields": fields})
}

fn listed(path: &str, length: i64, snapshot: i64, counts: [i32; 3]) -> Avro {
    let mut fields = vec![("manifest_path", Avro::String(path.into())), ("manifest_length", Avro::Long(length))];
    fields.extend([("partition_spec_id", Avro::Int(0)), ("content", Avro::Int(0))]);
    fields.extend(LONGS.into_iter().zip([1, 1, snapshot]).map(|(name, value)| (name, Avro::Long(value))));
    fields.extend(FILES.into_iter().zip(counts).map(|(name, count)| (name, Avro::Int(count))));
    fields.extend(ROWS.into_iter().zip(counts).map(|(name, count)| (name, Avro::Long(i64::from(count) * 3))));
    record(fields)
}
