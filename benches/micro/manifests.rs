//! Reading Iceberg manifests.

use std::ops::Range;

use apache_avro::types::{Record, Value};
use apache_avro::{Codec, DeflateSettings, Schema, Writer};
use divan::Bencher;
use otf::catalog::path_table;
use serde_json::{Value as Json, json};

use crate::places::Place;

/// Entries of one manifest, as many as engines put into 8 MiB of them, about.
const ENTRIES: usize = 10_000;

fn field(id: i32, name: &str, ty: &Json) -> Json {
    json!({"name": name, "type": ty, "field-id": id})
}

/// Bounds: a map by column id, which Avro has as an array of pairs.
fn bounds(id: i32, name: &str, keys: [i32; 2]) -> Json {
    let pair = json!({"type": "record", "name": format!("k{}_v{}", keys[0], keys[1]),
        "fields": [field(keys[0], "key", &json!("int")), field(keys[1], "value", &json!("bytes"))]});
    field(id, name, &json!({"type": "array", "logicalType": "map", "items": pair}))
}

fn entries() -> Schema {
    let file = json!({"type": "record", "name": "r2", "fields": [
        field(134, "content", &json!("int")), field(100, "file_path", &json!("string")), field(101, "file_format", &json!("string")),
        field(102, "partition", &json!({"type": "record", "name": "r102", "fields": []})),
        field(103, "record_count", &json!("long")), field(104, "file_size_in_bytes", &json!("long")),
        bounds(125, "lower_bounds", [126, 127]), bounds(128, "upper_bounds", [129, 130])]});
    let entry = json!({"type": "record", "name": "manifest_entry", "fields": [
        field(0, "status", &json!("int")), field(1, "snapshot_id", &json!("long")), field(3, "sequence_number", &json!("long")),
        field(4, "file_sequence_number", &json!("long")), field(2, "data_file", &file)]});
    Schema::parse(&entry).unwrap()
}

fn list() -> Schema {
    let longs = [(501, "manifest_length"), (515, "sequence_number"), (516, "min_sequence_number"), (503, "added_snapshot_id")];
    let ints = [
        (502, "partition_spec_id"),
        (517, "content"),
        (504, "added_files_count"),
        (505, "existing_files_count"),
        (506, "deleted_files_count"),
    ];
    let rows = [(512, "added_rows_count"), (513, "existing_rows_count"), (514, "deleted_rows_count")];
    let mut fields = vec![field(500, "manifest_path", &json!("string"))];
    fields.extend(longs.iter().chain(&rows).map(|(id, name)| field(*id, name, &json!("long"))));
    fields.extend(ints.iter().map(|(id, name)| field(*id, name, &json!("int"))));
    Schema::parse(&json!({"type": "record", "name": "manifest_file", "fields": fields})).unwrap()
}

fn record<'a>(schema: &'a Schema, values: Vec<(&'a str, Value)>) -> Record<'a> {
    let mut record = Record::new(schema).unwrap();
    values.into_iter().for_each(|(name, value)| record.put(name, value));
    record
}

fn bound(n: usize) -> Value {
    let pair = |column: i32| {
        Value::Record(vec![("key".into(), Value::Int(column)), ("value".into(), Value::Bytes((n as u64).to_le_bytes().to_vec()))])
    };
    Value::Array((1..=8).map(pair).collect())
}

/// Where the file `n` of the benches' tables lies.
fn file_name(n: usize) -> String {
    format!("t/data/part-{n:07}-0d6a4d3b7a11.parquet")
}

/// A manifest of the files `numbers`, each of `size` bytes, whose names `name` gives.
fn manifest(place: &Place, numbers: Range<usize>, size: i64, name: impl Fn(usize) -> String) -> Vec<u8> {
    let schema = entries();
    let mut writer = Writer::with_codec(&schema, Vec::new(), Codec::Deflate(DeflateSettings::default()));
    writer.add_user_metadata("content".into(), "data").unwrap();
    for n in numbers {
        let path = place.location(&name(n)).to_string();
        let file = vec![
            ("content".into(), Value::Int(0)),
            ("file_path".into(), Value::String(path)),
            ("file_format".into(), Value::String("PARQUET".into())),
            ("partition".into(), Value::Record(Vec::new())),
            ("record_count".into(), Value::Long(1000)),
            ("file_size_in_bytes".into(), Value::Long(size)),
            ("lower_bounds".into(), bound(n * 1000)),
            ("upper_bounds".into(), bound(n * 1000 + 999)),
        ];
        let one = |name: &'static str| (name, Value::Long(1));
        let values = vec![("status", Value::Int(1)), one("snapshot_id"), one("sequence_number"), one("file_sequence_number")];
        let mut entry = record(&schema, values);
        entry.put("data_file", Value::Record(file));
        writer.append(entry).unwrap();
    }
    writer.into_inner().unwrap()
}

/// A table of `count` files of `size` bytes, `each` of them in a manifest, without the files themselves.
fn table(place: &Place, count: usize, each: usize, size: i64, name: impl Fn(usize) -> String) {
    let schema = list();
    let mut writer = Writer::new(&schema, Vec::new());
    for start in (0..count).step_by(each) {
        let path = format!("t/metadata/m{start}.avro");
        let bytes = manifest(place, start..(start + each).min(count), size, &name);
        let long = |name: &'static str, n: usize| (name, Value::Long(i64::try_from(n).unwrap()));
        let int = |name: &'static str, n: usize| (name, Value::Int(i32::try_from(n).unwrap()));
        let mut values = vec![("manifest_path", Value::String(place.location(&path).to_string()))];
        values.extend([long("manifest_length", bytes.len()), long("sequence_number", 1), long("min_sequence_number", 1)]);
        values.extend([long("added_snapshot_id", 1), int("partition_spec_id", 0), int("content", 0)]);
        values.extend([int("added_files_count", each), int("existing_files_count", 0), int("deleted_files_count", 0)]);
        values.extend([long("added_rows_count", each * 1000), long("existing_rows_count", 0), long("deleted_rows_count", 0)]);
        writer.append(record(&schema, values)).unwrap();
        place.write(&path, bytes);
    }
    place.write("t/metadata/list.avro", writer.into_inner().unwrap());
    let columns: Vec<Json> = (1..=8).map(|id| json!({"id": id, "name": format!("c{id}"), "required": false, "type": "long"})).collect();
    let metadata = json!({"format-version": 2, "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1", "location": place.location("t").to_string(),
        "last-updated-ms": 1000, "last-column-id": 8, "last-sequence-number": 1, "last-partition-id": 999,
        "schemas": [{"type": "struct", "schema-id": 0, "fields": columns}], "current-schema-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": []}], "default-spec-id": 0,
        "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0, "properties": {}, "current-snapshot-id": 1,
        "snapshots": [{"snapshot-id": 1, "sequence-number": 1, "timestamp-ms": 1000, "schema-id": 0,
            "manifest-list": place.location("t/metadata/list.avro").to_string(), "summary": {"operation": "append"}}]});
    place.write("t/metadata/v1.metadata.json", metadata.to_string());
}

#[divan::bench(args = [10_000, 100_000], sample_count = 10, sample_size = 1)]
fn iceberg_manifests(bencher: Bencher<'_, '_>, count: usize) {
    let place = Place::new();
    table(&place, count, ENTRIES, 1_000_000, file_name);
    bencher.bench(|| place.count_files(&path_table(&place.store, place.location("t")), count));
}
