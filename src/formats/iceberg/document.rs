//! The next metadata document: the last one with exactly the members changed that a commit changes.

use std::io::Write;

use bytes::Bytes as Buffer;
use serde_json::{Map, Value as Json, json};

use super::metadata::{Metadata, wrong};
use super::refs::MAIN;
use crate::error::{Error, Result};

/// A new snapshot on the branch the table is seen from.
#[derive(Debug)]
pub(crate) struct NewSnapshot {
    /// Its id.
    pub(crate) id: i64,
    /// Its parent.
    pub(crate) parent: i64,
    /// Its sequence number (0 in format version 1).
    pub(crate) sequence: i64,
    /// When it is made, in ms.
    pub(crate) time: i64,
    /// Its summary.
    pub(crate) summary: Json,
    /// Where its manifest list lies, as the table spells it.
    pub(crate) manifest_list: String,
    /// In format version 3: its first row id and how many it gives out.
    pub(crate) rows: Option<(i64, i64)>,
}

/// Whether new metadata is to be packed.
pub(crate) fn is_packed(metadata: &Metadata) -> bool {
    metadata.properties.get("write.metadata.compression-codec").is_some_and(|codec| codec.eq_ignore_ascii_case("gzip"))
}

/// The list under `key`, made where it is missing.
///
/// # Errors
///
/// `Corrupt` if something else is there.
pub(super) fn list<'a>(doc: &'a mut Map<String, Json>, key: &str) -> Result<&'a mut Vec<Json>> {
    let entry = doc.entry(key).or_insert_with(|| Json::Array(Vec::new()));
    if entry.is_null() {
        *entry = Json::Array(Vec::new());
    }
    entry.as_array_mut().ok_or_else(|| wrong("a list is none"))
}

/// The document with `snapshot` as the head of the branch the table is seen from.
///
/// # Errors
///
/// `Corrupt` if lists of the document are none.
pub(crate) fn next(metadata: &Metadata, snapshot: &NewSnapshot) -> Result<Json> {
    let mut doc = metadata.doc.clone();
    let members = doc.as_object_mut().ok_or_else(|| wrong("it is no object"))?;
    list(members, "snapshots")?.push(snapshot_json(metadata, snapshot));
    let refs = members.entry("refs").or_insert_with(|| json!({}));
    let refs = refs.as_object_mut().ok_or_else(|| wrong("its refs are no object"))?;
    let branch = refs.entry(metadata.reference.as_deref().unwrap_or(MAIN)).or_insert_with(|| json!({"type": "branch"}));
    branch.as_object_mut().ok_or_else(|| wrong("a branch is no object"))?.insert("snapshot-id".into(), snapshot.id.into());
    // Other branches have a head alone: what is current, and the log of what was, are the main branch's.
    if metadata.reference.is_none() {
        members.insert("current-snapshot-id".into(), snapshot.id.into());
        list(members, "snapshot-log")?.push(json!({"timestamp-ms": snapshot.time, "snapshot-id": snapshot.id}));
    }
    succeed(metadata, members, snapshot.time)?;
    if metadata.format_version > 1 {
        members.insert("last-sequence-number".into(), snapshot.sequence.into());
    }
    if let Some((first, added)) = snapshot.rows {
        let next = first.checked_add(added).ok_or_else(|| wrong("its row ids are used up"))?;
        members.insert("next-row-id".into(), next.into());
    }
    Ok(doc)
}

/// How many earlier documents the metadata log keeps.
pub(super) fn documents_kept(metadata: &Metadata) -> usize {
    metadata.properties.get("write.metadata.previous-versions-max").and_then(|n| n.parse().ok()).unwrap_or(100usize).max(1)
}

/// Makes `members` the document that follows the one of `metadata` at `time`: the old file joins the metadata log, which keeps as many as the
/// table asks for.
///
/// # Errors
///
/// `Corrupt` if the log is no list.
pub(crate) fn succeed(metadata: &Metadata, members: &mut Map<String, Json>, time: i64) -> Result<()> {
    let last_updated = metadata.number("last-updated-ms").unwrap_or(time);
    let log = list(members, "metadata-log")?;
    log.push(json!({"timestamp-ms": last_updated, "metadata-file": metadata.spell(&metadata.file)}));
    log.drain(..log.len().saturating_sub(documents_kept(metadata)));
    members.insert("last-updated-ms".into(), time.into());
    Ok(())
}

fn snapshot_json(metadata: &Metadata, snapshot: &NewSnapshot) -> Json {
    let mut out = Map::new();
    if metadata.format_version > 1 {
        out.insert("sequence-number".into(), snapshot.sequence.into());
    }
    out.insert("snapshot-id".into(), snapshot.id.into());
    out.insert("parent-snapshot-id".into(), snapshot.parent.into());
    out.insert("timestamp-ms".into(), snapshot.time.into());
    out.insert("summary".into(), snapshot.summary.clone());
    out.insert("manifest-list".into(), snapshot.manifest_list.clone().into());
    out.insert("schema-id".into(), metadata.schema_id.into());
    if let Some((first, added)) = snapshot.rows {
        out.insert("first-row-id".into(), first.into());
        out.insert("added-rows".into(), added.into());
    }
    Json::Object(out)
}

/// The bytes of a document. A second reader must accept it if it accepted the last one.
///
/// # Errors
///
/// `Bug` if it does not.
pub(crate) fn bytes(before: &Json, after: &Json, packed: bool) -> Result<Buffer> {
    let text = serde_json::to_vec(after).map_err(|e| Error::bug("new metadata cannot be written").because(e))?;
    let accepts = |text: &[u8]| serde_json::from_slice::<iceberg::spec::TableMetadata>(text);
    if let Err(error) = accepts(&text)
        && serde_json::to_vec(before).is_ok_and(|before| accepts(&before).is_ok())
    {
        return Err(Error::bug("new metadata is not valid").because(error));
    }
    if !packed {
        return Ok(text.into());
    }
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let packed = packer.write_all(&text).and_then(|()| packer.finish());
    packed.map(Buffer::from).map_err(|e| Error::bug("new metadata cannot be packed").because(e))
}
