//! Tables that are damaged on purpose: every byte of them is at hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use apache_avro::types::Value as Avro;
use apache_avro::{Reader, Writer};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes as Buffer;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};

use super::delta_table::inline_vector;

/// A table's files by their names below its root.
pub(crate) struct Damaged {
    pub(crate) root: String,
    pub(crate) objects: BTreeMap<String, Buffer>,
}

/// A record of an Avro file.
#[derive(Clone)]
pub(crate) struct Record(Avro);

impl Damaged {
    /// A table of `fixtures/`, where its metadata says that it lies.
    pub(crate) fn fixture(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
        let mut objects = BTreeMap::new();
        collect(&folder, &folder, &mut objects);
        Self { root: format!("/tmp/otf-fixtures/0000000000000000/db/{name}"), objects }
    }

    /// A Delta table of one file with a column `id` of these values and the statistics `stats`; rows at `deleted` are deleted.
    pub(crate) fn delta_of(ids: [Option<i64>; 3], nullable: bool, stats: &str, deleted: Option<&[u64]>) -> Self {
        let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        let bytes = parquet(&RecordBatch::try_from_iter_with_nullable([("id", ids, true)]).unwrap());
        let schema = json!({"type": "struct", "fields": [{"name": "id", "type": "long", "nullable": nullable, "metadata": {}}]});
        let mut add = json!({"path": "file.parquet", "partitionValues": {}, "size": bytes.len(), "modificationTime": 0, "dataChange": true,
            "stats": stats});
        if let Some(deleted) = deleted {
            add["deletionVector"] = inline_vector(deleted);
        }
        let lines = [
            json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"]}}),
            json!({"metaData": {"id": "t", "format": {"provider": "parquet", "options": {}}, "schemaString": schema.to_string(),
                "partitionColumns": [], "configuration": {}, "createdTime": 0}}),
            json!({"add": add}),
        ];
        let log: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let objects = [("_delta_log/00000000000000000000.json".to_string(), log.into()), ("file.parquet".to_string(), bytes.into())];
        Self { root: "/t".into(), objects: objects.into() }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.objects.remove(name).unwrap_or_else(|| panic!("there is no {name}"));
    }

    pub(crate) fn edit(&mut self, name: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.objects.get(name).unwrap_or_else(|| panic!("there is no {name}")).to_vec();
        damage(&mut bytes);
        self.objects.insert(name.into(), bytes.into());
    }

    /// Replaces the first `from`, which must be there.
    pub(crate) fn replace(&mut self, name: &str, from: &str, to: &str) {
        self.edit(name, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            assert!(text.contains(from), "{name} does not hold {from}: {text}");
            *bytes = text.replacen(from, to, 1).into_bytes();
        });
    }

    pub(crate) fn append(&mut self, name: &str, text: &str) {
        self.edit(name, |bytes| bytes.extend_from_slice(text.as_bytes()));
    }

    pub(crate) fn document(&mut self, name: &str, damage: impl FnOnce(&mut Json)) {
        self.edit(name, |bytes| {
            let mut doc: Json = serde_json::from_slice(bytes).unwrap();
            damage(&mut doc);
            *bytes = serde_json::to_vec(&doc).unwrap();
        });
    }

    /// Changes the manifest list `name`.
    pub(crate) fn list(&mut self, name: &str, damage: impl FnOnce(&mut Vec<Record>)) {
        self.edit(name, |bytes| *bytes = edited(bytes, damage));
    }

    /// Changes the entries of the manifest whose name starts with `id`; the list and the summary of the current snapshot go along.
    pub(crate) fn entries(&mut self, id: &str, damage: impl FnOnce(&mut Vec<Record>)) {
        let name =
            self.objects.keys().find(|name| name.starts_with(&format!("metadata/{id}")) && name.ends_with("-m0.avro")).unwrap().clone();
        self.edit(&name, |bytes| *bytes = edited(bytes, damage));
        self.settle();
    }

    /// Adds `by` to every position of a file of position deletes, which the manifest `id` names.
    pub(crate) fn lengthen_deletes(&mut self, name: &str, id: &str, by: i64) {
        let mut size = 0;
        self.edit(name, |bytes| {
            let batches: Vec<RecordBatch> = ParquetRecordBatchReaderBuilder::try_new(Buffer::from(bytes.clone()))
                .unwrap()
                .build()
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let batch = &batches[0];
            let paths = batch.column_by_name("file_path").unwrap().as_any().downcast_ref::<StringArray>().unwrap().clone();
            let positions = batch.column_by_name("pos").unwrap().as_any().downcast_ref::<Int64Array>().unwrap();
            let positions: Int64Array = positions.iter().map(|position| position.map(|position| position + by)).collect();
            let columns: [(&str, ArrayRef); 2] = [("file_path", Arc::new(paths)), ("pos", Arc::new(positions))];
            *bytes = parquet(&RecordBatch::try_from_iter(columns).unwrap());
            size = i64::try_from(bytes.len()).unwrap();
        });
        self.entries(id, |entries| {
            let entry = entries.iter_mut().find(|entry| entry.text(&["data_file", "file_path"]).ends_with(name)).unwrap();
            entry.set_long(&["data_file", "file_size_in_bytes"], size);
        });
    }

    /// Makes the current snapshot's list and summary say what its manifests hold.
    fn settle(&mut self) {
        let metadata = "metadata/v3.metadata.json";
        let doc: Json = serde_json::from_slice(&self.objects[metadata]).unwrap();
        let snapshot = doc["snapshots"].as_array().unwrap().iter().position(|s| s["snapshot-id"] == doc["current-snapshot-id"]).unwrap();
        let list = self.below(doc["snapshots"][snapshot]["manifest-list"].as_str().unwrap());
        let mut totals = [0_i64; 5];
        let mut records = records_of(&self.objects[&list]);
        for record in &mut records {
            let name = self.below(&record.text(&["manifest_path"]));
            let entries = records_of(&self.objects[&name]);
            let rows: i64 = entries.iter().map(|entry| entry.long(&["data_file", "record_count"])).sum();
            let bytes: i64 = entries.iter().map(|entry| entry.long(&["data_file", "file_size_in_bytes"])).sum();
            let own: i64 = entries.iter().map(|entry| entry.optional(&["data_file", "content_size_in_bytes"]).unwrap_or(0)).sum();
            let files = i64::try_from(entries.len()).unwrap();
            record.set_long(&["manifest_length"], i64::try_from(self.objects[&name].len()).unwrap());
            record.set_int(&["added_files_count", "added_data_files_count"], files);
            record.set_long(&["added_rows_count"], rows);
            let is_deletes = record.optional(&["content"]) == Some(1);
            let (files_at, rows_at) = if is_deletes { (2, 3) } else { (0, 1) };
            totals[files_at] += files;
            totals[rows_at] += rows;
            totals[4] += if own > 0 { own } else { bytes };
        }
        let bytes = written(&self.objects[&list], &records);
        self.objects.insert(list, bytes.into());
        let keys = ["total-data-files", "total-records", "total-delete-files", "total-position-deletes", "total-files-size"];
        self.document(metadata, |doc| {
            for (key, total) in keys.into_iter().zip(totals) {
                doc["snapshots"][snapshot]["summary"][key] = json!(total.to_string());
            }
        });
    }

    fn below(&self, spelled: &str) -> String {
        let at = spelled.find(&self.root).unwrap();
        spelled[at + self.root.len()..].trim_start_matches('/').to_string()
    }
}

fn collect(top: &Path, folder: &Path, objects: &mut BTreeMap<String, Buffer>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(top, &path, objects);
        } else {
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_string();
            objects.insert(name, std::fs::read(&path).unwrap().into());
        }
    }
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn records_of(bytes: &[u8]) -> Vec<Record> {
    Reader::new(bytes).unwrap().map(|record| Record(record.unwrap())).collect()
}

fn edited(bytes: &[u8], damage: impl FnOnce(&mut Vec<Record>)) -> Vec<u8> {
    let mut records = records_of(bytes);
    damage(&mut records);
    written(bytes, &records)
}

/// An Avro file with the header of `like`.
fn written(like: &[u8], records: &[Record]) -> Vec<u8> {
    let reader = Reader::new(like).unwrap();
    let (schema, header) = (reader.writer_schema().clone(), reader.user_metadata().clone());
    let mut writer = Writer::new(&schema, Vec::new());
    for (key, value) in header {
        writer.add_user_metadata(key, value).unwrap();
    }
    for record in records {
        writer.append(record.0.clone()).unwrap();
    }
    writer.into_inner().unwrap()
}

/// The field at `path`: names of nested records, then alternatives for the name of the field where only one is there.
fn find<'a>(value: &'a mut Avro, path: &[&str]) -> Option<&'a mut Avro> {
    let (name, rest) = path.split_first()?;
    let Avro::Record(fields) = &*value else { return None };
    let Some(at) = fields.iter().position(|(field, _)| field == name) else { return find(value, rest) };
    let Avro::Record(fields) = value else { return None };
    let inner = plain(&mut fields[at].1);
    if matches!(inner, Avro::Record(_)) { find(inner, rest) } else { Some(inner) }
}

fn plain(value: &mut Avro) -> &mut Avro {
    match value {
        Avro::Union(_, inner) => plain(inner),
        other => other,
    }
}

impl Record {
    fn at(&mut self, path: &[&str]) -> Option<&mut Avro> {
        find(&mut self.0, path)
    }

    pub(crate) fn optional(&self, path: &[&str]) -> Option<i64> {
        match self.clone().at(path)? {
            Avro::Long(value) => Some(*value),
            Avro::Int(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    fn long(&self, path: &[&str]) -> i64 {
        self.optional(path).unwrap()
    }

    pub(crate) fn text(&self, path: &[&str]) -> String {
        let Some(Avro::String(text)) = self.clone().at(path).cloned() else { panic!("{path:?} is no text") };
        text
    }

    pub(crate) fn set_text(&mut self, path: &[&str], value: &str) {
        *self.at(path).unwrap() = Avro::String(value.into());
    }

    pub(crate) fn set_long(&mut self, path: &[&str], value: i64) {
        *self.at(path).unwrap() = Avro::Long(value);
    }

    pub(crate) fn set_int(&mut self, path: &[&str], value: i64) {
        *self.at(path).unwrap() = Avro::Int(i32::try_from(value).unwrap());
    }

    pub(crate) fn add_long(&mut self, path: &[&str], value: i64) {
        let before = self.long(path);
        self.set_long(path, before + value);
    }

    pub(crate) fn add_int(&mut self, path: &[&str], value: i64) {
        let before = self.long(path);
        self.set_int(path, before + value);
    }
}
