//! Table metadata: the JSON document as it is, with typed views (Iceberg spec, "Table Metadata").
//!
//! The document is kept whole, so that members we do not know survive a commit.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use serde_json::Value as Json;

use super::schemas::{current_schema, every_column};
use super::spec::Spec;
use super::travel::Pin;
use super::types;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{Field, Schema, Version};
use crate::units::Timestamp;

/// Metadata larger than this once unpacked is refused: a small hostile file must not fill the memory.
const MAX_DOCUMENT: u64 = 1 << 30;
/// What a packed document may become in any case, and how many times its size if that is more: text that says something is packed to a tenth.
const LEAST_BOUND: u64 = 32 << 20;
const MOST_UNPACKED: u64 = 128;

/// One metadata file.
#[derive(Debug, Clone)]
pub(crate) struct Metadata {
    /// The whole document.
    pub(crate) doc: Json,
    /// Where the document lies.
    pub(crate) file: Location,
    /// The table's location as the document says.
    pub(crate) location: Location,
    /// What relative paths mean, where the document has such.
    base: Option<Relative>,
    /// The branch or tag that the table is seen from; `None` is `main`.
    pub(crate) reference: Option<String>,
    /// 1, 2 or 3.
    pub(crate) format_version: u8,
    /// The current schema.
    pub(crate) schema: Schema,
    /// Its JSON form.
    pub(crate) schema_json: Json,
    /// Its id (0 where the document has none).
    pub(crate) schema_id: i64,
    /// Every partition spec by id.
    pub(crate) specs: BTreeMap<i32, Arc<Spec>>,
    /// The spec new files would get.
    pub(crate) default_spec: i32,
    /// Table properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// The snapshot that is read instead of the main branch's. What is pinned can only be read.
    pub(super) pin: Option<Pin>,
}

/// One snapshot of the document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotView<'a>(pub(crate) &'a Json);

/// Metadata is damaged in the way that `what` says.
pub(super) fn wrong(what: &'static str) -> Error {
    Error::corrupt(format!("table metadata is damaged: {what}"))
}

fn id32(value: Option<&Json>) -> Option<i32> {
    value.and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok())
}

/// The text of a metadata file, unpacked if its first bytes are gzip's.
fn unpack(bytes: &[u8]) -> Result<Json> {
    let parse = |text: &[u8]| serde_json::from_slice(text).map_err(|e| wrong("not JSON").because(e));
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return parse(bytes);
    }
    let mut text = Vec::new();
    let most = (bytes.len() as u64).saturating_mul(MOST_UNPACKED).clamp(LEAST_BOUND, MAX_DOCUMENT);
    let mut reader = flate2::read::MultiGzDecoder::new(bytes).take(most + 1);
    let size = reader.read_to_end(&mut text).map_err(|e| wrong("gzip data cannot be unpacked").because(e))?;
    if size as u64 > most {
        return Err(wrong("it is too large"));
    }
    parse(&text)
}

impl Metadata {
    /// Reads the metadata file `bytes` that lies at `file`; `root` is where the table was opened, if it was by place.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the document is damaged; `Unsupported` for format versions and types we do not know.
    pub(crate) fn parse(bytes: &[u8], file: &Location, root: Option<&Location>) -> Result<Self> {
        Self::from_json(unpack(bytes).map_err(|e| e.about("file", file))?, file, root).map_err(|e| e.about("file", file))
    }

    fn from_json(doc: Json, file: &Location, root: Option<&Location>) -> Result<Self> {
        let format_version = match doc.get("format-version").and_then(Json::as_i64) {
            Some(1) => 1,
            Some(2) => 2,
            Some(3) => 3,
            Some(other) => return Err(Error::unsupported(format!("Iceberg format version {other} is not understood"))),
            None => return Err(wrong("it has no format version")),
        };
        let text = doc.get("location").and_then(Json::as_str).ok_or_else(|| wrong("it has no location"))?;
        let (location, base) = locate(text, file, root)?;
        let (schema_json, schema_id) = current_schema(&doc)?;
        let schema = types::schema(&schema_json)?;
        let columns = every_column(&doc, &schema);
        let specs = specs(&doc, &columns)?;
        let default_spec = id32(doc.get("default-spec-id")).unwrap_or(0);
        let properties = strings(doc.get("properties"));
        Ok(Self {
            file: file.clone(),
            location,
            base,
            reference: None,
            format_version,
            schema,
            schema_json,
            schema_id,
            specs,
            default_spec,
            properties,
            pin: None,
            doc,
        })
    }

    /// The place a path of this table's metadata means.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a relative path in a table that has no relative location.
    pub(crate) fn place(&self, path: &str) -> Result<Location> {
        let parsed = match &self.base {
            Some(base) => base.place(path, &self.location),
            None => Location::parse(path),
        };
        let hint = match &self.base {
            Some(_) => "it does not begin with the table's own location: --map-location OLD=NEW says where its beginning lies",
            None => {
                "the table's location is absolute, so nothing says what the path begins at: let the engine that wrote it write whole paths"
            }
        };
        let error =
            |e| Error::unsupported("a path in the table's metadata has no absolute meaning").about("path", path).because(e).hint(hint);
        parsed.map_err(error)
    }

    /// The snapshot that is read: the pinned one, else the one that is current on the main branch, or on the branch or tag the table is seen from.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is not in the document.
    pub(crate) fn current(&self) -> Result<Option<SnapshotView<'_>>> {
        if let Some(pin) = self.pin {
            return Ok(pin.snapshot.and_then(|id| self.snapshot(id)));
        }
        let head = self.seen_from().map(|reference| reference.snapshot);
        match head.or_else(|| self.number("current-snapshot-id")) {
            None | Some(-1) => Ok(None),
            Some(id) => self.snapshot(id).map(Some).ok_or_else(|| wrong("the current snapshot is not listed").about("snapshot", id)),
        }
    }

    /// The snapshot `id`.
    pub(crate) fn snapshot(&self, id: i64) -> Option<SnapshotView<'_>> {
        self.snapshots().find(|snapshot| snapshot.id() == Some(id))
    }

    /// Every snapshot.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = SnapshotView<'_>> {
        self.doc.get("snapshots").and_then(Json::as_array).into_iter().flatten().map(SnapshotView)
    }

    /// A whole number of the document.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.doc.get(key).and_then(Json::as_i64)
    }

    /// The table's uuid; empty where an old document has none.
    pub(crate) fn uuid(&self) -> &str {
        self.doc.get("table-uuid").and_then(Json::as_str).unwrap_or("")
    }

    /// The spec `id`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the document has no such spec.
    pub(crate) fn spec(&self, id: i32) -> Result<&Arc<Spec>> {
        self.specs.get(&id).ok_or_else(|| wrong("a partition spec is missing").about("spec", id).about("file", &self.file))
    }

    /// The folder for manifests and manifest lists (`write.metadata.path`, else `metadata` below the table).
    ///
    /// # Errors
    ///
    /// As [`Self::place`].
    pub(crate) fn metadata_folder(&self) -> Result<Location> {
        match self.properties.get("write.metadata.path") {
            Some(path) => self.place(path),
            None => Ok(self.location.child("metadata")),
        }
    }

    /// The place written out as this table's metadata spells places below its location.
    pub(crate) fn spell(&self, place: &Location) -> String {
        let own = self.doc.get("location").and_then(Json::as_str).unwrap_or("");
        match place.relative_to(&self.location) {
            Some(below) if self.base.is_none() => format!("{}/{below}", own.trim_end_matches('/')),
            _ if place.scheme() == "file" && own.starts_with('/') => format!("/{}", place.path()),
            _ => place.to_string(),
        }
    }
}

/// What relative paths of a table with a relative location mean: the location has no place of its own, so that the table lies where it was opened.
#[derive(Debug, Clone)]
struct Relative {
    /// The location as a path.
    own: String,
    /// What all paths are relative to, where the place the table was opened at ends like its location.
    folder: Option<Location>,
}

impl Relative {
    fn new(text: &str, opened: &Location) -> Option<Self> {
        let own = Location::parse(&format!("/{text}")).ok()?.path().to_string();
        let parents = own.split('/').filter(|segment| !segment.is_empty()).count();
        let folder = (0..parents).try_fold(opened.clone(), |folder, _| folder.parent());
        let folder = folder.filter(|folder| folder.join(text).ok().as_ref() == Some(opened));
        Some(Self { own, folder })
    }

    fn place(&self, path: &str, table: &Location) -> Result<Location> {
        let absolute = Location::parse(path);
        if absolute.is_ok() {
            return absolute;
        }
        let plain = Location::parse(&format!("/{path}"))?;
        match (plain.path().strip_prefix(&self.own).and_then(|rest| rest.strip_prefix('/')), &self.folder) {
            (Some(below), _) => table.join(below),
            (None, Some(folder)) => folder.join(path),
            (None, None) => absolute,
        }
    }
}

/// The table's location, and what relative paths mean.
fn locate(text: &str, file: &Location, root: Option<&Location>) -> Result<(Location, Option<Relative>)> {
    if let Ok(location) = Location::parse(text) {
        return Ok((location, None));
    }
    let opened = root.cloned().or_else(|| file.parent().and_then(|folder| folder.parent()));
    let wrong = || Error::unsupported("the table's location is relative and means nothing here").about("location", text);
    let opened = opened.ok_or_else(wrong)?;
    let base = Relative::new(text, &opened).ok_or_else(wrong)?;
    Ok((opened, Some(base)))
}

fn specs(doc: &Json, columns: &BTreeMap<i32, Field>) -> Result<BTreeMap<i32, Arc<Spec>>> {
    let mut specs = BTreeMap::new();
    for spec in doc.get("partition-specs").and_then(Json::as_array).into_iter().flatten() {
        let id = id32(spec.get("spec-id")).ok_or_else(|| wrong("a partition spec has no id"))?;
        specs.insert(id, Arc::new(Spec::parse(id, spec.get("fields"), columns)?));
    }
    if specs.is_empty() {
        specs.insert(0, Arc::new(Spec::parse(0, doc.get("partition-spec"), columns)?));
    }
    Ok(specs)
}

fn strings(json: Option<&Json>) -> BTreeMap<String, String> {
    let members = json.and_then(Json::as_object).into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
}

impl<'a> SnapshotView<'a> {
    /// Its id.
    pub(crate) fn id(self) -> Option<i64> {
        self.0.get("snapshot-id").and_then(Json::as_i64)
    }

    /// Its id as a version.
    pub(crate) fn version(self) -> Option<Version> {
        self.id().map(Version)
    }

    /// The snapshot it was made from.
    pub(crate) fn parent(self) -> Option<i64> {
        self.0.get("parent-snapshot-id").and_then(Json::as_i64).filter(|id| *id != -1)
    }

    /// When it was made.
    pub(crate) fn time(self) -> Option<Timestamp> {
        self.0.get("timestamp-ms").and_then(Json::as_i64).map(Timestamp)
    }

    /// Its sequence number.
    pub(crate) fn sequence(self) -> Option<i64> {
        self.0.get("sequence-number").and_then(Json::as_i64)
    }

    /// Where its manifest list lies, as the metadata spells it.
    pub(crate) fn manifest_list(self) -> Option<&'a str> {
        self.0.get("manifest-list").and_then(Json::as_str)
    }

    /// The manifests a v1 snapshot lists itself.
    pub(crate) fn inline_manifests(self) -> Vec<&'a str> {
        self.0.get("manifests").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
    }

    /// A value of its summary.
    pub(crate) fn summary(self, key: &str) -> Option<&'a str> {
        self.0.get("summary")?.get(key)?.as_str()
    }

    /// A number of its summary.
    pub(crate) fn count(self, key: &str) -> Option<u64> {
        self.summary(key)?.parse().ok()
    }

    /// Where the manifest list lies (or what the snapshot lists itself) is not encrypted.
    pub(crate) fn is_encrypted(self) -> bool {
        self.0.get("key-id").is_some_and(|key| !key.is_null())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Json {
        serde_json::json!({"format-version": 1, "location": "/w/t", "schema": {"type": "struct", "fields": [
            {"id": 1, "name": "a", "required": false, "type": "int"}]}, "partition-spec": [{"name": "a", "transform": "identity", "source-id": 1}],
            "properties": {"k": "v"}, "current-snapshot-id": -1, "x": 1})
    }

    fn parse(doc: &Json, file: &str) -> Result<Metadata> {
        Metadata::parse(doc.to_string().as_bytes(), &Location::parse(file).unwrap(), None)
    }

    #[test]
    fn an_old_document_without_ids_is_understood() {
        let metadata = parse(&document(), "/w/t/metadata/v1.metadata.json").unwrap();
        assert_eq!(metadata.spec(0).unwrap().fields[0].field_id, 1000);
        assert!(metadata.current().unwrap().is_none());
        assert_eq!((metadata.schema_id, metadata.uuid()), (0, ""));
    }

    #[test]
    fn packed_documents_are_told_by_their_first_bytes() {
        use std::io::Write;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(document().to_string().as_bytes()).unwrap();
        let file = Location::parse("/w/t/metadata/v1.metadata.json").unwrap();
        assert_eq!(Metadata::parse(&packer.finish().unwrap(), &file, None).unwrap().doc, document());
    }

    #[test]
    fn a_packed_document_that_becomes_too_large_is_refused() {
        use std::io::Write;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let blank = vec![b' '; 1 << 20];
        (0..33).for_each(|_| packer.write_all(&blank).unwrap());
        packer.write_all(document().to_string().as_bytes()).unwrap();
        let packed = packer.finish().unwrap();
        assert!(packed.len() < 100_000);
        let file = Location::parse("/w/t/metadata/v1.metadata.json").unwrap();
        assert!(Metadata::parse(&packed, &file, None).unwrap_err().message().contains("too large"));
    }

    #[test]
    fn a_relative_location_is_where_the_table_was_opened() {
        let mut doc = document();
        doc["location"] = "data/t".into();
        let metadata = parse(&doc, "/home/x/data/t/metadata/v1.metadata.json").unwrap();
        assert_eq!(metadata.place("data/t/f.parquet").unwrap(), Location::parse("/home/x/data/t/f.parquet").unwrap());
        let moved = parse(&doc, "/home/x/other/metadata/v1.metadata.json").unwrap();
        assert_eq!(moved.place("./data/t/d/f.parquet").unwrap(), Location::parse("/home/x/other/d/f.parquet").unwrap());
        assert_eq!(moved.place("/abs/f").unwrap(), Location::parse("/abs/f").unwrap());
        assert!(moved.place("data/tt/f.parquet").is_err());
        assert_eq!(metadata.place("data/tt/f.parquet").unwrap(), Location::parse("/home/x/data/tt/f.parquet").unwrap());
    }

    #[test]
    fn damaged_and_newer_documents_are_refused() {
        let mut doc = document();
        doc["format-version"] = 4.into();
        assert_eq!(parse(&doc, "/w/f").unwrap_err().kind(), crate::error::Kind::Unsupported);
        assert_eq!(parse(&serde_json::json!({"format-version": 2}), "/w/f").unwrap_err().kind(), crate::error::Kind::Corrupt);
        doc["format-version"] = 2.into();
        doc["current-snapshot-id"] = 7.into();
        assert!(parse(&doc, "/w/f").unwrap().current().is_err());
    }
}
