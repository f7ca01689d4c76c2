//! Manifest lists: which manifests a snapshot has (Iceberg spec, "Manifest Lists").

use bytes::Bytes as Buffer;
use serde_json::{Value as Json, json};

use super::avro::{Datum, Reader, RecordShape, Writer};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{FileList, Version};
use crate::units::Bytes;

/// What a manifest's entries are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// data files
    Data,
    /// delete files
    Deletes,
}

impl Content {
    /// The word for it in the header of a manifest.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Deletes => "deletes",
        }
    }
}

/// What a manifest holds of one partition field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FieldSummary {
    /// Whether a null.
    pub(crate) contains_null: bool,
    /// Whether a NaN.
    pub(crate) contains_nan: Option<bool>,
    /// Nothing below this.
    pub(crate) lower: Option<Vec<u8>>,
    /// Nothing above this.
    pub(crate) upper: Option<Vec<u8>>,
}

/// One manifest of a snapshot. Counts are `None` where an old writer left them out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ManifestFile {
    /// Where it lies, as the list spells it.
    pub(crate) path: String,
    /// Its bytes.
    pub(crate) length: i64,
    /// The spec of its entries; `None` in an inline manifest, whose own header says it.
    pub(crate) spec_id: Option<i32>,
    /// What its entries are.
    pub(crate) content: Content,
    /// When it was added.
    pub(crate) sequence: i64,
    /// The least data sequence number of its live entries.
    pub(crate) min_sequence: i64,
    /// The snapshot that added it.
    pub(crate) added_snapshot: Option<i64>,
    /// Added, existing and deleted files.
    pub(crate) files: [Option<i64>; 3],
    /// Rows of added, existing and deleted files.
    pub(crate) rows: [Option<i64>; 3],
    /// Summaries of partition fields, in the spec's order.
    pub(crate) partitions: Option<Vec<FieldSummary>>,
    /// How it is encrypted.
    pub(crate) key_metadata: Option<Vec<u8>>,
    /// The first row id of entries without one.
    pub(crate) first_row_id: Option<i64>,
}

impl ManifestFile {
    /// A manifest a v1 snapshot names without saying anything about it.
    pub(crate) fn inline(path: &str) -> Self {
        Self {
            path: path.to_string(),
            length: 0,
            spec_id: None,
            content: Content::Data,
            sequence: 0,
            min_sequence: 0,
            added_snapshot: None,
            files: [None; 3],
            rows: [None; 3],
            partitions: None,
            key_metadata: None,
            first_row_id: None,
        }
    }

    /// The same without what only the format knows.
    pub(crate) fn listed(&self) -> FileList {
        FileList {
            path: self.path.clone(),
            size: Bytes(u64::try_from(self.length).unwrap_or_default()),
            spec_id: self.spec_id,
            of_deletes: self.content == Content::Deletes,
            added_version: self.added_snapshot.map(Version),
            sequence: Some(self.sequence),
            min_sequence: Some(self.min_sequence),
            files: self.files,
            rows: self.rows,
        }
    }

    /// Whether it is known to have no live entry.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.files, [Some(0), Some(0), _])
    }

    /// Live files, where the list says.
    pub(crate) fn live_files(&self) -> Option<i64> {
        self.files[0]?.checked_add(self.files[1]?)
    }

    /// Rows of live files, where the list says.
    pub(crate) fn live_rows(&self) -> Option<i64> {
        self.rows[0]?.checked_add(self.rows[1]?)
    }
}

/// Where each field of a list's records is.
struct Columns {
    fields: Vec<Option<usize>>,
    summary: [Option<usize>; 4],
}

const NAMES: [&[&str]; 15] = [
    &["manifest_path"],
    &["manifest_length"],
    &["partition_spec_id"],
    &["content"],
    &["sequence_number"],
    &["min_sequence_number"],
    &["added_snapshot_id"],
    &["added_files_count", "added_data_files_count"],
    &["existing_files_count", "existing_data_files_count"],
    &["deleted_files_count", "deleted_data_files_count"],
    &["added_rows_count"],
    &["existing_rows_count"],
    &["deleted_rows_count"],
    &["partitions"],
    &["key_metadata"],
];

impl Columns {
    fn of(shape: &RecordShape) -> Self {
        let first_row_id = shape.index("first_row_id");
        let found = NAMES.iter().map(|names| names.iter().find_map(|name| shape.index(name)));
        let items = shape.index("partitions").and_then(|at| shape.fields.get(at)).and_then(|(_, shape)| shape.item_record());
        let summary = ["contains_null", "contains_nan", "lower_bound", "upper_bound"].map(|name| items.and_then(|shape| shape.index(name)));
        Self { fields: found.chain([first_row_id]).collect(), summary }
    }

    fn get<'a>(&self, values: &'a [Datum], place: usize) -> Option<&'a Datum> {
        values.get((*self.fields.get(place)?)?)
    }

    fn long(&self, values: &[Datum], place: usize) -> Option<i64> {
        self.get(values, place)?.as_long()
    }

    fn summary(&self, item: &Datum) -> FieldSummary {
        let values = item.as_record().unwrap_or_default();
        let [null, nan, lower, upper] = self.summary.map(|place| place.and_then(|place| values.get(place)));
        let flag = |datum: &Datum| match datum.plain() {
            Datum::Bool(value) => Some(*value),
            _ => None,
        };
        let bytes = |datum: &Datum| datum.as_bytes().map(<[u8]>::to_vec);
        FieldSummary {
            contains_null: null.and_then(flag).unwrap_or(true),
            contains_nan: nan.and_then(flag),
            lower: lower.and_then(bytes),
            upper: upper.and_then(bytes),
        }
    }

    fn manifest(&self, values: &[Datum]) -> Result<ManifestFile> {
        let long = |place| self.long(values, place);
        let path = self.get(values, 0).and_then(Datum::as_text).ok_or_else(|| wrong("a manifest has no path"))?;
        let spec_id = long(2).map(|id| i32::try_from(id).map_err(|_| wrong("a spec id is out of range"))).transpose()?;
        let content = match long(3) {
            None | Some(0) => Content::Data,
            Some(1) => Content::Deletes,
            Some(_) => return Err(Error::unsupported("a manifest holds neither data nor deletes")),
        };
        Ok(ManifestFile {
            path: path.to_string(),
            length: long(1).ok_or_else(|| wrong("a manifest has no length"))?,
            spec_id,
            content,
            sequence: long(4).unwrap_or(0),
            min_sequence: long(5).unwrap_or(0),
            added_snapshot: long(6),
            files: [long(7), long(8), long(9)],
            rows: [long(10), long(11), long(12)],
            partitions: self.get(values, 13).and_then(Datum::as_items).map(|items| items.iter().map(|item| self.summary(item)).collect()),
            key_metadata: self.get(values, 14).and_then(Datum::as_bytes).map(<[u8]>::to_vec),
            first_row_id: long(15),
        })
    }
}

fn wrong(what: &'static str) -> Error {
    Error::corrupt(format!("a manifest list is damaged: {what}"))
}

/// Reads the manifest list `bytes`, which lies at `place`.
///
/// # Errors
///
/// `Corrupt` naming the file.
pub(crate) fn read(bytes: &Buffer, place: &Location) -> Result<Vec<ManifestFile>> {
    let reader = Reader::open(bytes, place)?;
    let shape = reader.shape.record().cloned().ok_or_else(|| wrong("not records").about("file", place))?;
    let columns = Columns::of(&shape);
    let manifest = |record: Result<Datum>| columns.manifest(record?.as_record().unwrap_or_default()).map_err(|e| e.about("file", place));
    reader.map(manifest).collect()
}

/// What a new manifest list says of its snapshot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListHeader {
    /// The table's format version.
    pub(crate) format_version: u8,
    /// The snapshot.
    pub(crate) snapshot: i64,
    /// Its parent.
    pub(crate) parent: Option<i64>,
    /// Its sequence number.
    pub(crate) sequence: i64,
    /// In format version 3 the first row id the snapshot may give out.
    pub(crate) first_row_id: Option<i64>,
}

/// Writes a manifest list.
///
/// # Errors
///
/// `Bug` if a manifest does not fit; `Unsupported` for an unknown compression.
pub(crate) fn write(manifests: &[ManifestFile], header: ListHeader, codec: &str, sync: [u8; 16]) -> Result<Buffer> {
    let mut entries = vec![("format-version", header.format_version.to_string()), ("snapshot-id", header.snapshot.to_string())];
    entries.push(("parent-snapshot-id", header.parent.map_or_else(|| "null".to_string(), |id| id.to_string())));
    if header.format_version > 1 {
        entries.push(("sequence-number", header.sequence.to_string()));
    }
    if let Some(first) = header.first_row_id {
        entries.push(("first-row-id", first.to_string()));
    }
    let entries: Vec<(String, Vec<u8>)> = entries.into_iter().map(|(key, value)| (key.to_string(), value.into_bytes())).collect();
    let mut writer = Writer::new(&schema(header.format_version), codec, &entries, sync)?;
    for manifest in manifests {
        writer.append(&record(manifest, header.format_version))?;
    }
    writer.finish()
}

fn record(manifest: &ManifestFile, version: u8) -> Datum {
    let long = |value: Option<i64>| value.map_or(Datum::Null, Datum::Long);
    let mut values =
        vec![Datum::Text(manifest.path.clone()), Datum::Long(manifest.length), Datum::Long(i64::from(manifest.spec_id.unwrap_or(0)))];
    if version > 1 {
        values.push(Datum::Long(i64::from(manifest.content == Content::Deletes)));
        values.extend([Datum::Long(manifest.sequence), Datum::Long(manifest.min_sequence)]);
    }
    values.push(long(manifest.added_snapshot));
    values.extend(manifest.files.map(long));
    values.extend(manifest.rows.map(long));
    let bytes = |value: &Option<Vec<u8>>| value.clone().map_or(Datum::Null, Datum::Bytes);
    let summary = |summary: &FieldSummary| {
        let nan = summary.contains_nan.map_or(Datum::Null, Datum::Bool);
        Datum::Record(vec![Datum::Bool(summary.contains_null), nan, bytes(&summary.lower), bytes(&summary.upper)])
    };
    let summaries = manifest.partitions.as_ref().map(|fields| Datum::Array(fields.iter().map(summary).collect()));
    values.extend([summaries.unwrap_or(Datum::Null), bytes(&manifest.key_metadata)]);
    if version > 2 {
        values.push(long(manifest.first_row_id));
    }
    Datum::Record(values)
}

/// The Avro schema of a manifest list (field ids from the spec's table "manifest_file").
fn schema(version: u8) -> Json {
    let required = |id: i32, name: &str, ty: Json| json!({"name": name, "type": ty, "field-id": id});
    let optional = |id: i32, name: &str, ty: Json| json!({"name": name, "type": ["null", ty], "default": null, "field-id": id});
    let count = |id: i32, name: &str, ty: &str| if version > 1 { required(id, name, json!(ty)) } else { optional(id, name, json!(ty)) };
    let summary = json!({"type": "array", "element-id": 508, "items": {"type": "record", "name": "r508", "fields": [
        required(509, "contains_null", json!("boolean")), optional(518, "contains_nan", json!("boolean")),
        optional(510, "lower_bound", json!("bytes")), optional(511, "upper_bound", json!("bytes"))]}});
    let mut fields = vec![
        required(500, "manifest_path", json!("string")),
        required(501, "manifest_length", json!("long")),
        required(502, "partition_spec_id", json!("int")),
    ];
    if version > 1 {
        fields.push(required(517, "content", json!("int")));
        fields.push(required(515, "sequence_number", json!("long")));
        fields.push(required(516, "min_sequence_number", json!("long")));
    }
    fields.push(required(503, "added_snapshot_id", json!("long")));
    fields.push(count(504, "added_files_count", "int"));
    fields.push(count(505, "existing_files_count", "int"));
    fields.push(count(506, "deleted_files_count", "int"));
    fields.push(count(512, "added_rows_count", "long"));
    fields.push(count(513, "existing_rows_count", "long"));
    fields.push(count(514, "deleted_rows_count", "long"));
    fields.push(optional(507, "partitions", summary));
    fields.push(optional(519, "key_metadata", json!("bytes")));
    if version > 2 {
        fields.push(optional(520, "first_row_id", json!("long")));
    }
    json!({"type": "record", "name": "manifest_file", "fields": fields})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> ManifestFile {
        let summary = FieldSummary { contains_null: true, contains_nan: Some(false), lower: Some(vec![1]), upper: None };
        ManifestFile {
            path: "/t/metadata/m0.avro".into(),
            length: 9,
            spec_id: Some(1),
            content: Content::Data,
            sequence: 4,
            min_sequence: 2,
            added_snapshot: Some(77),
            files: [Some(1), Some(2), Some(3)],
            rows: [Some(10), Some(20), Some(30)],
            partitions: Some(vec![summary]),
            key_metadata: Some(vec![3]),
            first_row_id: Some(100),
        }
    }

    #[test]
    fn a_list_is_read_back_as_it_was_written() {
        let place = Location::parse("/t/metadata/snap.avro").unwrap();
        for version in [1, 2, 3] {
            let header = ListHeader { format_version: version, snapshot: 5, parent: None, sequence: 4, first_row_id: None };
            let bytes = write(&[manifest()], header, "deflate", [1; 16]).unwrap();
            let mut wanted = manifest();
            if version < 3 {
                wanted.first_row_id = None;
            }
            if version < 2 {
                (wanted.sequence, wanted.min_sequence) = (0, 0);
            }
            assert_eq!(read(&bytes, &place).unwrap(), [wanted]);
        }
    }
}
