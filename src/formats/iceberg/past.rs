//! Files that the metadata document itself names: earlier documents, statistics.

use serde_json::Value as Json;

use super::document;
use super::metadata::Metadata;
use crate::error::Result;
use crate::location::Location;
use crate::model::{FileKind, Holding};
use crate::units::Bytes;

fn items<'a>(metadata: &'a Metadata, key: &str) -> impl Iterator<Item = &'a Json> {
    metadata.doc.get(key).and_then(Json::as_array).into_iter().flatten()
}

/// The table and partition statistics files of snapshots that `wanted` chooses. A file whose snapshot is not said is nobody's: it is told for
/// every choice.
///
/// # Errors
///
/// `Unsupported` for a path that means nothing here.
pub(super) fn statistics(metadata: &Metadata, wanted: impl Fn(i64) -> bool) -> Result<Vec<Holding>> {
    let all = ["statistics", "partition-statistics"].into_iter().flat_map(|key| items(metadata, key));
    let chosen = all.filter(|file| file.get("snapshot-id").and_then(Json::as_i64).is_none_or(&wanted));
    let holding = |file: &Json| {
        let path = file.get("statistics-path").and_then(Json::as_str)?;
        let size = file.get("file-size-in-bytes").and_then(Json::as_u64).map(Bytes);
        Some(metadata.place(path).map(|location| Holding { location, kind: FileKind::Statistics, size }))
    };
    chosen.filter_map(holding).collect()
}

/// The current document and those of the metadata log.
///
/// # Errors
///
/// As [`statistics`].
pub(super) fn metadata_files(metadata: &Metadata) -> Result<Vec<Holding>> {
    let mut files = vec![Holding { location: metadata.file.clone(), kind: FileKind::Metadata, size: None }];
    for path in log(metadata) {
        files.push(Holding { location: metadata.place(path)?, kind: FileKind::Metadata, size: None });
    }
    Ok(files)
}

/// The documents that fall off the metadata log with the next commit and may then be deleted
/// (`write.metadata.delete-after-commit.enabled`); not the one that is `spared`.
///
/// # Errors
///
/// As [`statistics`].
pub(super) fn falling_off(metadata: &Metadata, spared: Option<&Location>) -> Result<Vec<Holding>> {
    let enabled = metadata.properties.get("write.metadata.delete-after-commit.enabled");
    if !enabled.is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
        return Ok(Vec::new());
    }
    let log: Vec<&str> = log(metadata).collect();
    let falling = (log.len() + 1).saturating_sub(document::documents_kept(metadata)).min(log.len());
    let (gone, kept) = log.split_at(falling);
    let gone = gone.iter().filter(|path| !kept.contains(path));
    let places = gone.map(|path| metadata.place(path)).filter(|place| place.as_ref().ok().is_none_or(|place| Some(place) != spared));
    places.map(|place| Ok(Holding { location: place?, kind: FileKind::Metadata, size: None })).collect()
}

fn log(metadata: &Metadata) -> impl Iterator<Item = &str> {
    items(metadata, "metadata-log").filter_map(|entry| entry.get("metadata-file").and_then(Json::as_str))
}
