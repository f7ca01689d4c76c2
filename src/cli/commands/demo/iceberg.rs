//! An Iceberg table (format version 2, path layout) with a history of small appends (Iceberg spec, "Table Metadata" and "Manifests").

use apache_avro::types::Value as Avro;
use futures::StreamExt;
use serde_json::{Value, json};

use super::avro::{self, ManifestEntry};
use super::data::{Bounds, Column, Content, DemoFile, write};
use crate::error::{Error, Result};
use crate::formats::FormatName;
use crate::location::Location;
use crate::store::Store;
use crate::units::Timestamp;

/// So many files are appended by one snapshot.
const FILES_PER_SNAPSHOT: usize = 10;

/// Makes the table `id` at `root`.
///
/// # Errors
///
/// As [`Store::put`].
pub(super) async fn make(store: &Store, root: &Location, content: Content, id: &str, now: Timestamp) -> Result<()> {
    let columns = content.columns();
    let schema = schema(&columns)?;
    let mut table = Table { root, now, manifests: Vec::new(), snapshots: Vec::new(), rows: 0, files: 0, bytes: 0 };
    let mut batches = futures::stream::iter(content.batches().enumerate()).chunks(FILES_PER_SNAPSHOT);
    while let Some(chunk) = batches.next().await {
        let mut files = Vec::with_capacity(chunk.len());
        for (number, batch) in chunk {
            let batch = batch.map_err(|error| Error::bug("demo rows cannot be made").because(error))?;
            files.push(write(store, root.child(&format!("data/part-{number:05}.parquet")), &columns, &batch).await?);
        }
        table.append(store, &files, &schema).await?;
    }
    let last_column = columns.len();
    let metadata = table.metadata(id, &schema, last_column)?;
    store.put(&root.child("metadata/v1.metadata.json"), metadata.to_string().into()).await?;
    store.put(&root.child("metadata/version-hint.text"), "1".into()).await
}

fn schema(columns: &[Column]) -> Result<Value> {
    let field = |column: &Column| {
        Ok(json!({"id": column.id, "name": column.name, "required": true, "type": column.type_name(FormatName::Iceberg)?}))
    };
    let fields: Vec<Value> = columns.iter().map(field).collect::<Result<_>>()?;
    Ok(json!({"type": "struct", "schema-id": 0, "fields": fields}))
}

/// A table being made: one manifest and one snapshot for every append.
struct Table<'a> {
    root: &'a Location,
    now: Timestamp,
    manifests: Vec<Avro>,
    snapshots: Vec<Value>,
    rows: u64,
    files: u64,
    bytes: u64,
}

impl Table<'_> {
    async fn append(&mut self, store: &Store, files: &[DemoFile], schema: &Value) -> Result<()> {
        let sequence = number(self.snapshots.len() as u64 + 1)?;
        // Snapshot ids need only differ within the table.
        let snapshot = 1_000_000 + sequence;
        let entries: Vec<ManifestEntry<'_>> = files.iter().map(|file| ManifestEntry { file, bounds: encoded(file) }).collect();
        let manifest = avro::manifest(&entries, snapshot, sequence, schema)?;
        let place = self.root.child(&format!("metadata/{sequence:05}-m0.avro"));
        let (rows, bytes) = (files.iter().map(|file| file.rows).sum::<u64>(), files.iter().map(|file| file.size).sum::<u64>());
        self.manifests.push(avro::listed(&place, manifest.len(), snapshot, sequence, files.len(), rows)?);
        store.put(&place, manifest.into()).await?;
        let list = self.root.child(&format!("metadata/snap-{snapshot}.avro"));
        store.put(&list, avro::manifest_list(&self.manifests, snapshot, sequence)?.into()).await?;
        self.rows += rows;
        self.files += files.len() as u64;
        self.bytes += bytes;
        let mut made = json!({
            "snapshot-id": snapshot, "sequence-number": sequence, "timestamp-ms": self.now.0 + sequence, "manifest-list": list.to_string(), "schema-id": 0,
            "summary": {
                "operation": "append",
                "added-data-files": files.len().to_string(), "added-records": rows.to_string(), "added-files-size": bytes.to_string(),
                "total-data-files": self.files.to_string(), "total-records": self.rows.to_string(), "total-files-size": self.bytes.to_string(),
                "total-delete-files": "0", "total-position-deletes": "0", "total-equality-deletes": "0"
            }
        });
        if let Some(parent) = self.snapshots.last() {
            made["parent-snapshot-id"] = parent["snapshot-id"].clone();
        }
        self.snapshots.push(made);
        Ok(())
    }

    fn metadata(&self, id: &str, schema: &Value, last_column: usize) -> Result<Value> {
        let last = self.snapshots.last().ok_or_else(|| Error::bug("the demo table is empty"))?;
        let log = |snapshot: &Value| json!({"snapshot-id": snapshot["snapshot-id"], "timestamp-ms": snapshot["timestamp-ms"]});
        Ok(json!({
            "format-version": 2, "table-uuid": id, "location": self.root.to_string(),
            "last-sequence-number": last["sequence-number"], "last-updated-ms": last["timestamp-ms"], "last-column-id": last_column,
            "current-schema-id": 0, "schemas": [schema],
            "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}], "last-partition-id": 999,
            "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}],
            "properties": {"write.format.default": "parquet"},
            "current-snapshot-id": last["snapshot-id"],
            "refs": {"main": {"snapshot-id": last["snapshot-id"], "type": "branch"}},
            "snapshots": self.snapshots,
            "snapshot-log": self.snapshots.iter().map(log).collect::<Vec<_>>(),
            "metadata-log": []
        }))
    }
}

/// Bounds in single-value serialisation (Iceberg spec, Appendix D): little-endian.
fn encoded(file: &DemoFile) -> Vec<(i32, Vec<u8>, Vec<u8>)> {
    let bytes = |bounds: &Bounds| match *bounds {
        Bounds::Long(low, high) => (low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec()),
        Bounds::Int(low, high) | Bounds::Date(low, high) => (low.to_le_bytes().to_vec(), high.to_le_bytes().to_vec()),
    };
    let entry = |(id, bounds): &(i32, Bounds)| {
        let (low, high) = bytes(bounds);
        (*id, low, high)
    };
    file.bounds.iter().map(entry).collect()
}

/// An unsigned number as Avro's signed one.
pub(super) fn number(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|_| Error::bug("a demo number is out of range"))
}
