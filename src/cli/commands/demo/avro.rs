//! Manifests and manifest lists of the demo's Iceberg table (Iceberg spec, "Manifests" and "Manifest Lists").

use apache_avro::types::Value as Avro;
use apache_avro::{Codec, DeflateSettings, Schema, Writer};
use serde_json::{Value, json};

use super::data::DemoFile;
use super::iceberg::number;
use crate::error::{Error, Result};
use crate::location::Location;

/// A live file of a manifest.
pub(super) struct ManifestEntry<'a> {
    /// The file.
    pub file: &'a DemoFile,
    /// Column ids with the serialised least and greatest value.
    pub bounds: Vec<(i32, Vec<u8>, Vec<u8>)>,
}

/// The bytes of a manifest of added files.
///
/// # Errors
///
/// `Bug`: the schema below does not fit the values below.
pub(super) fn manifest(entries: &[ManifestEntry<'_>], snapshot: i64, sequence: i64, table_schema: &Value) -> Result<Vec<u8>> {
    let header = [
        ("schema", table_schema.to_string()),
        ("schema-id", "0".to_string()),
        ("partition-spec", "[]".to_string()),
        ("partition-spec-id", "0".to_string()),
        ("format-version", "2".to_string()),
        ("content", "data".to_string()),
    ];
    let records = entries.iter().map(|entry| record(entry, snapshot, sequence)).collect::<Result<Vec<_>>>()?;
    container(&manifest_schema(), &header, records)
}

/// The bytes of a manifest list.
///
/// # Errors
///
/// As [`manifest`].
pub(super) fn manifest_list(manifests: &[Avro], snapshot: i64, sequence: i64) -> Result<Vec<u8>> {
    let header = [
        ("snapshot-id", snapshot.to_string()),
        ("parent-snapshot-id", "null".to_string()),
        ("sequence-number", sequence.to_string()),
        ("format-version", "2".to_string()),
    ];
    container(&list_schema(), &header, manifests.to_vec())
}

/// A manifest as its list has it.
///
/// # Errors
///
/// `Bug` for numbers out of range.
pub(super) fn listed(place: &Location, length: usize, snapshot: i64, sequence: i64, files: usize, rows: u64) -> Result<Avro> {
    let files = i32::try_from(files).map_err(|_| Error::bug("a demo manifest has too many files"))?;
    Ok(fields(vec![
        ("manifest_path", Avro::String(place.to_string())),
        ("manifest_length", Avro::Long(number(length as u64)?)),
        ("partition_spec_id", Avro::Int(0)),
        ("content", Avro::Int(0)),
        ("sequence_number", Avro::Long(sequence)),
        ("min_sequence_number", Avro::Long(sequence)),
        ("added_snapshot_id", Avro::Long(snapshot)),
        ("added_files_count", Avro::Int(files)),
        ("existing_files_count", Avro::Int(0)),
        ("deleted_files_count", Avro::Int(0)),
        ("added_rows_count", Avro::Long(number(rows)?)),
        ("existing_rows_count", Avro::Long(0)),
        ("deleted_rows_count", Avro::Long(0)),
    ]))
}

fn record(entry: &ManifestEntry<'_>, snapshot: i64, sequence: i64) -> Result<Avro> {
    let pair = |id: i32, bytes: &[u8]| fields(vec![("key", Avro::Int(id)), ("value", Avro::Bytes(bytes.to_vec()))]);
    let lower = entry.bounds.iter().map(|(id, low, _)| pair(*id, low)).collect();
    let upper = entry.bounds.iter().map(|(id, _, high)| pair(*id, high)).collect();
    let file = fields(vec![
        ("content", Avro::Int(0)),
        ("file_path", Avro::String(entry.file.location.to_string())),
        ("file_format", Avro::String("PARQUET".to_string())),
        ("partition", fields(vec![])),
        ("record_count", Avro::Long(number(entry.file.rows)?)),
        ("file_size_in_bytes", Avro::Long(number(entry.file.size)?)),
        ("lower_bounds", some(Avro::Array(lower))),
        ("upper_bounds", some(Avro::Array(upper))),
    ]);
    Ok(fields(vec![
        ("status", Avro::Int(1)),
        ("snapshot_id", some(Avro::Long(snapshot))),
        ("sequence_number", some(Avro::Long(sequence))),
        ("file_sequence_number", some(Avro::Long(sequence))),
        ("data_file", file),
    ]))
}

fn fields(fields: Vec<(&str, Avro)>) -> Avro {
    Avro::Record(fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
}

/// A value of an optional field: the second branch of a union with null.
fn some(value: Avro) -> Avro {
    Avro::Union(1, Box::new(value))
}

fn container(schema: &Value, header: &[(&str, String)], records: Vec<Avro>) -> Result<Vec<u8>> {
    let broken = |error: apache_avro::Error| Error::bug("demo metadata does not fit its schema").because(error);
    let schema = Schema::parse(schema).map_err(broken)?;
    let mut writer = Writer::with_codec(&schema, Vec::new(), Codec::Deflate(DeflateSettings::default()));
    for (key, value) in header {
        writer.add_user_metadata((*key).to_string(), value).map_err(broken)?;
    }
    for record in records {
        writer.append(record).map_err(broken)?;
    }
    writer.into_inner().map_err(broken)
}

fn field(id: i32, name: &str, ty: &Value) -> Value {
    json!({"name": name, "type": ty, "field-id": id})
}

fn optional(id: i32, name: &str, ty: &Value) -> Value {
    json!({"name": name, "type": ["null", ty], "default": null, "field-id": id})
}

/// A map from column ids to bytes: an array of pairs, since Avro's maps have text keys.
fn bounds(key: i32, value: i32) -> Value {
    let pair = [field(key, "key", &json!("int")), field(value, "value", &json!("bytes"))];
    json!({"type": "array", "logicalType": "map", "items": {"type": "record", "name": format!("k{key}_v{value}"), "fields": pair}})
}

fn manifest_schema() -> Value {
    let (int, long, string) = (json!("int"), json!("long"), json!("string"));
    let file = json!({"type": "record", "name": "r2", "fields": [
        field(134, "content", &int),
        field(100, "file_path", &string),
        field(101, "file_format", &string),
        field(102, "partition", &json!({"type": "record", "name": "r102", "fields": []})),
        field(103, "record_count", &long),
        field(104, "file_size_in_bytes", &long),
        optional(125, "lower_bounds", &bounds(126, 127)),
        optional(128, "upper_bounds", &bounds(129, 130)),
    ]});
    json!({"type": "record", "name": "manifest_entry", "fields": [
        field(0, "status", &int),
        optional(1, "snapshot_id", &long),
        optional(3, "sequence_number", &long),
        optional(4, "file_sequence_number", &long),
        field(2, "data_file", &file),
    ]})
}

fn list_schema() -> Value {
    let (int, long) = (json!("int"), json!("long"));
    json!({"type": "record", "name": "manifest_file", "fields": [
        field(500, "manifest_path", &json!("string")),
        field(501, "manifest_length", &long),
        field(502, "partition_spec_id", &int),
        field(517, "content", &int),
        field(515, "sequence_number", &long),
        field(516, "min_sequence_number", &long),
        field(503, "added_snapshot_id", &long),
        field(504, "added_files_count", &int),
        field(505, "existing_files_count", &int),
        field(506, "deleted_files_count", &int),
        field(512, "added_rows_count", &long),
        field(513, "existing_rows_count", &long),
        field(514, "deleted_rows_count", &long),
    ]})
}
