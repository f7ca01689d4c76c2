//! Commits to Iceberg tables in folders: Avro records are taken over as they are, with the members changed that a commit changes.

use std::sync::Arc;

use apache_avro::types::Value as Avro;
use apache_avro::{Reader, Schema as AvroSchema, Writer};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes as Buffer;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};

use super::{Deed, NEW_ROWS, new_file, parquet_of};
use crate::support::workbench::Objects;

type Puts = Vec<(String, Vec<u8>)>;

/// The files that `deed` puts, the metadata file last.
pub(super) fn commit(now: &Objects, deed: Deed) -> Puts {
    let number = |name: &String| name.strip_prefix("metadata/v")?.strip_suffix(".metadata.json")?.parse::<u64>().ok();
    let newest = now.keys().filter_map(number).max().unwrap();
    let doc: Json = serde_json::from_slice(&now[&format!("metadata/v{newest}.metadata.json")]).unwrap();
    let mut rival = Rival { now, doc, id: i64::try_from(newest).unwrap() + 1_000, puts: Vec::new() };
    match deed {
        Deed::Append => rival.rows(0, true),
        Deed::RemoveFile => rival.rows(1, false),
        Deed::Overwrite => rival.rows(usize::MAX, true),
        Deed::Update => rival.rows(1, true),
        Deed::MarkRow => rival.mark(),
        Deed::Schema | Deed::Rules | Deed::Spec | Deed::Property => rival.describe(deed),
    }
    let Rival { doc, mut puts, .. } = rival;
    puts.push((format!("metadata/v{}.metadata.json", newest + 1), doc.to_string().into_bytes()));
    puts
}

struct Rival<'a> {
    now: &'a Objects,
    doc: Json,
    /// The new snapshot's id.
    id: i64,
    puts: Puts,
}

/// An Avro file: schema, what is said of it, records.
struct Records {
    schema: AvroSchema,
    about: Vec<(String, Vec<u8>)>,
    rows: Vec<Avro>,
}

impl Records {
    fn read(bytes: &Buffer) -> Self {
        let reader = Reader::new(&bytes[..]).unwrap();
        let schema = reader.writer_schema().clone();
        let about = reader.user_metadata().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Self { schema, about, rows: reader.map(Result::unwrap).collect() }
    }

    fn write(&self, content: Option<&str>) -> Vec<u8> {
        let mut writer = Writer::new(&self.schema, Vec::new());
        for (key, value) in &self.about {
            let value = content.filter(|_| key == "content").map_or(value.as_slice(), str::as_bytes);
            writer.add_user_metadata(key.clone(), value).unwrap();
        }
        for row in &self.rows {
            writer.append(row.clone()).unwrap();
        }
        writer.into_inner().unwrap()
    }
}

fn field<'a>(record: &'a mut Avro, name: &str) -> Option<&'a mut Avro> {
    let Avro::Record(fields) = record else { panic!("no record") };
    fields.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Sets a member, wrapped as it is; members that the record lacks are left out.
fn set(record: &mut Avro, name: &str, to: Avro) {
    if let Some(value) = field(record, name) {
        let nullable = matches!(value, Avro::Union(..));
        let place = u32::from(to != Avro::Null);
        *value = if nullable { Avro::Union(place, Box::new(to)) } else { to };
    }
}

fn get(record: &Avro, name: &str) -> Avro {
    let Avro::Record(fields) = record else { panic!("no record") };
    match fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()) {
        Some(Avro::Union(_, inner)) => *inner,
        Some(value) => value,
        None => Avro::Null,
    }
}

fn number(record: &Avro, name: &str) -> i64 {
    match get(record, name) {
        Avro::Int(number) => number.into(),
        Avro::Long(number) => number,
        other => panic!("{name} is {other:?}"),
    }
}

fn text(record: &Avro, name: &str) -> String {
    match get(record, name) {
        Avro::String(text) => text,
        other => panic!("{name} is {other:?}"),
    }
}

impl Rival<'_> {
    /// The key of a path.
    fn key(&self, path: &str) -> String {
        let name = self.doc["location"].as_str().unwrap().rsplit('/').next().unwrap().to_string();
        path.split_once(&format!("/{name}/")).unwrap().1.to_string()
    }

    /// How the table spells a key.
    fn path(&self, key: &str) -> String {
        format!("{}/{key}", self.doc["location"].as_str().unwrap())
    }

    fn next_sequence(&self) -> i64 {
        self.doc["last-sequence-number"].as_i64().unwrap() + 1
    }

    fn list(&self) -> Records {
        let current = &self.doc["current-snapshot-id"];
        let snapshot = self.doc["snapshots"].as_array().unwrap().iter().find(|snapshot| snapshot["snapshot-id"] == *current).unwrap();
        Records::read(&self.now[&self.key(snapshot["manifest-list"].as_str().unwrap())])
    }

    fn manifest(&self, listed: &Avro) -> Records {
        Records::read(&self.now[&self.key(&text(listed, "manifest_path"))])
    }

    /// Removes the first `fewer` live data files, and adds one if `more`.
    fn rows(&mut self, fewer: usize, more: bool) {
        let mut list = self.list();
        let template = list.rows.iter().find(|listed| number(listed, "content") == 0).unwrap().clone();
        let (mut left, mut listed) = (fewer, Vec::new());
        for entry in std::mem::take(&mut list.rows) {
            let is_data = number(&entry, "content") == 0;
            listed.extend(if is_data && left > 0 { Some(self.without(entry, &mut left)) } else { Some(entry) });
        }
        let mut added_rows = 0;
        if more {
            added_rows = 2;
            let bytes = new_file("v");
            let key = format!("data/rival-{}.parquet", self.id);
            let entry = self.entry(&template, &key, bytes.len(), NEW_ROWS.len());
            self.puts.push((key, bytes));
            listed.insert(0, self.listed(&template, entry, "data"));
        }
        list.rows = listed;
        self.snapshot(&list, if fewer == 0 { "append" } else { "overwrite" }, added_rows);
    }

    /// The manifest again, with up to `left` of its live files deleted.
    fn without(&mut self, mut listed: Avro, left: &mut usize) -> Avro {
        let mut records = self.manifest(&listed);
        let (sequence, added_by) = (number(&listed, "sequence_number"), number(&listed, "added_snapshot_id"));
        let mut next_row = get(&listed, "first_row_id");
        let (mut kept, mut gone) = ((0, 0), (0, 0));
        records.rows.retain(|entry| number(entry, "status") != 2);
        for entry in &mut records.rows {
            for (name, inherited) in [("snapshot_id", added_by), ("sequence_number", sequence), ("file_sequence_number", sequence)] {
                let known = get(entry, name);
                set(entry, name, if known == Avro::Null { Avro::Long(inherited) } else { known });
            }
            let count = number(field(entry, "data_file").unwrap(), "record_count");
            if let (Avro::Long(next), Avro::Null) = (&next_row, get(field(entry, "data_file").unwrap(), "first_row_id")) {
                let first = *next;
                set(field(entry, "data_file").unwrap(), "first_row_id", Avro::Long(first));
                next_row = Avro::Long(first + count);
            }
            let deleted = *left > 0;
            if deleted {
                *left -= 1;
                set(entry, "snapshot_id", Avro::Long(self.id));
                gone = (gone.0 + 1, gone.1 + count);
            } else {
                kept = (kept.0 + 1, kept.1 + count);
            }
            set(entry, "status", Avro::Int(if deleted { 2 } else { 0 }));
        }
        let key = format!("metadata/rival-{}-{}.avro", self.id, self.puts.len());
        let bytes = records.write(None);
        set(&mut listed, "manifest_path", Avro::String(self.path(&key)));
        set(&mut listed, "manifest_length", Avro::Long(i64::try_from(bytes.len()).unwrap()));
        set(&mut listed, "sequence_number", Avro::Long(self.next_sequence()));
        set(&mut listed, "added_snapshot_id", Avro::Long(self.id));
        for (name, (files, rows)) in [("added", (0, 0)), ("existing", kept), ("deleted", gone)] {
            set(&mut listed, &format!("{name}_files_count"), Avro::Int(files));
            set(&mut listed, &format!("{name}_rows_count"), Avro::Long(rows));
        }
        self.puts.push((key, bytes));
        listed
    }

    /// An entry for a new file, after the pattern of one in the manifest `template`, and the records to write it among.
    fn entry(&self, template: &Avro, key: &str, size: usize, rows: usize) -> Records {
        let mut records = self.manifest(template);
        let mut entry = records.rows.swap_remove(0);
        set(&mut entry, "status", Avro::Int(1));
        set(&mut entry, "snapshot_id", Avro::Long(self.id));
        for name in ["sequence_number", "file_sequence_number"] {
            set(&mut entry, name, Avro::Null);
        }
        let file = field(&mut entry, "data_file").unwrap();
        set(file, "file_path", Avro::String(self.path(key)));
        set(file, "record_count", Avro::Long(i64::try_from(rows).unwrap()));
        set(file, "file_size_in_bytes", Avro::Long(i64::try_from(size).unwrap()));
        for name in ["column_sizes", "value_counts", "null_value_counts", "nan_value_counts", "lower_bounds", "upper_bounds"] {
            set(file, name, Avro::Null);
        }
        for name in ["split_offsets", "first_row_id", "sort_order_id"] {
            set(file, name, Avro::Null);
        }
        records.rows = vec![entry];
        records
    }

    /// Puts the manifest of one entry; returns how it is listed.
    fn listed(&mut self, template: &Avro, records: Records, content: &str) -> Avro {
        let rows = number(&get(&records.rows[0], "data_file"), "record_count");
        let key = format!("metadata/rival-{}-{}.avro", self.id, self.puts.len());
        let bytes = records.write(Some(content));
        let mut listed = template.clone();
        set(&mut listed, "manifest_path", Avro::String(self.path(&key)));
        set(&mut listed, "manifest_length", Avro::Long(i64::try_from(bytes.len()).unwrap()));
        set(&mut listed, "content", Avro::Int(i32::from(content == "deletes")));
        set(&mut listed, "added_snapshot_id", Avro::Long(self.id));
        for name in ["sequence_number", "min_sequence_number"] {
            set(&mut listed, name, Avro::Long(self.next_sequence()));
        }
        for (name, (files, rows)) in [("added", (1, rows)), ("existing", (0, 0)), ("deleted", (0, 0))] {
            set(&mut listed, &format!("{name}_files_count"), Avro::Int(files));
            set(&mut listed, &format!("{name}_rows_count"), Avro::Long(rows));
        }
        let first = self.doc["next-row-id"].as_i64().filter(|_| content == "data");
        set(&mut listed, "first_row_id", first.map_or(Avro::Null, Avro::Long));
        self.puts.push((key, bytes));
        listed
    }

    /// Deletes a row of the first live data file by its position (format version 2): one that the fixtures' own deletes, of ids that 4 divides,
    /// have left alive.
    fn mark(&mut self) {
        let mut list = self.list();
        let template = list.rows.iter().find(|listed| number(listed, "content") == 0).unwrap().clone();
        let live = self.manifest(&template).rows.into_iter().find(|entry| number(entry, "status") != 2).unwrap();
        let target = get(&live, "data_file");
        let path = text(&target, "file_path");
        let bytes = position_delete(&path, undivided(&self.now[&self.key(&path)]));
        let key = format!("data/rival-{}-deletes.parquet", self.id);
        let mut records = self.entry(&template, &key, bytes.len(), 1);
        set(field(&mut records.rows[0], "data_file").unwrap(), "content", Avro::Int(1));
        self.puts.push((key, bytes));
        let listed = self.listed(&template, records, "deletes");
        list.rows.push(listed);
        self.snapshot(&list, "delete", 0);
    }

    /// A new snapshot with these manifests.
    fn snapshot(&mut self, list: &Records, operation: &str, added_rows: i64) {
        let key = format!("metadata/snap-{}.avro", self.id);
        let (sequence, time) = (self.next_sequence(), self.doc["last-updated-ms"].as_i64().unwrap() + 1);
        let mut snapshot = json!({"snapshot-id": self.id, "parent-snapshot-id": self.doc["current-snapshot-id"], "sequence-number": sequence,
            "timestamp-ms": time, "summary": {"operation": operation}, "manifest-list": self.path(&key), "schema-id": self.doc["current-schema-id"]});
        self.puts.push((key, list.write(None)));
        if let Some(next) = self.doc["next-row-id"].as_i64() {
            snapshot["first-row-id"] = next.into();
            snapshot["added-rows"] = added_rows.into();
            self.doc["next-row-id"] = (next + added_rows).into();
        }
        self.doc["snapshots"].as_array_mut().unwrap().push(snapshot);
        self.doc["snapshot-log"].as_array_mut().unwrap().push(json!({"timestamp-ms": time, "snapshot-id": self.id}));
        self.doc["last-sequence-number"] = sequence.into();
        self.doc["last-updated-ms"] = time.into();
        self.doc["current-snapshot-id"] = self.id.into();
        self.doc["refs"]["main"]["snapshot-id"] = self.id.into();
    }

    /// Changes what the metadata says, and no file.
    fn describe(&mut self, deed: Deed) {
        let doc = &mut self.doc;
        match deed {
            Deed::Schema => {
                let mut schema = doc["schemas"][0].clone();
                schema["schema-id"] = 1.into();
                schema["fields"].as_array_mut().unwrap().push(json!({"id": 3, "name": "added", "required": false, "type": "long"}));
                doc["schemas"].as_array_mut().unwrap().push(schema);
                doc["current-schema-id"] = 1.into();
                doc["last-column-id"] = 3.into();
            }
            Deed::Spec => {
                let field = json!({"source-id": 1, "field-id": 1000, "name": "id_bucket", "transform": "bucket[4]"});
                doc["partition-specs"].as_array_mut().unwrap().push(json!({"spec-id": 1, "fields": [field]}));
                doc["default-spec-id"] = 1.into();
                doc["last-partition-id"] = 1000.into();
            }
            Deed::Rules => {
                doc["format-version"] = 3.into();
                doc["next-row-id"] = 0.into();
            }
            _ => doc["properties"]["comment"] = "changed".into(),
        }
        doc["last-updated-ms"] = (doc["last-updated-ms"].as_i64().unwrap() + 1).into();
    }
}

/// The position of the last row whose id 4 does not divide.
fn undivided(file: &Buffer) -> i64 {
    let mut ids = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap().build().unwrap() {
        ids.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    ids.iter().rposition(|id| id % 4 != 0).unwrap().try_into().unwrap()
}

/// A position-delete file (Iceberg spec, "Position Delete Files").
fn position_delete(path: &str, position: i64) -> Vec<u8> {
    let field = |name: &str, kind: DataType, id: i32| {
        Field::new(name, kind, false).with_metadata([("PARQUET:field_id".to_string(), id.to_string())].into())
    };
    let schema = Schema::new(vec![field("file_path", DataType::Utf8, 2_147_483_546), field("pos", DataType::Int64, 2_147_483_545)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec![path])), Arc::new(Int64Array::from(vec![position]))];
    parquet_of(&RecordBatch::try_new(Arc::new(schema), columns).unwrap())
}
