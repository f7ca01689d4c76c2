//! Metadata that a catalog may hold as current while a table is opened by its folder.
//!
//! `00007-<uuid>.metadata.json` is how every catalog names metadata files. A folder of such files does not tell which of them the catalog points at:
//! commits by folder are not told to it, and of two of its writers the one that lost may leave its file behind. What one of them may still need is
//! not deleted.

use std::collections::{BTreeMap, BTreeSet};

use super::metadata::{Metadata, SnapshotView};
use super::metadata_files::{Why, number};
use super::past;
use super::table::IcebergVersion;
use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::location::Location;
use crate::model::Version;

/// Snapshots that branches and tags name in the metadata file that a catalog may hold as current: of the files that we did not name ourselves, those
/// with the greatest number. None if that is the current one, or if a catalog told which one is current.
///
/// # Errors
///
/// `Unavailable` if storage did not answer; those of such a file that cannot be read.
pub(super) async fn heads(version: &IcebergVersion) -> Result<BTreeSet<Version>> {
    let Some(root) = version.pointer.opened_at() else { return Ok(BTreeSet::new()) };
    let (current, store) = (&version.scan.metadata, &version.scan.store);
    let mut foreign: BTreeMap<u64, Vec<Location>> = BTreeMap::new();
    for folder in version.metadata_folders() {
        for place in store.children(&folder).await? {
            if let Some(number) = number(place.name()).filter(|_| version.pointer.may_be_a_catalogs(&place, current.uuid())) {
                foreign.entry(number).or_default().push(place);
            }
        }
    }
    for files in foreign.into_values().rev() {
        let (mut heads, mut is_found) = (BTreeSet::new(), false);
        for file in files {
            if file == current.file {
                is_found = true;
                continue;
            }
            let Some(bytes) = store.get_if_exists(&file).await? else { continue };
            let wrong = |error: Error| error.about("metadata", &file).hint(Why::Rival.hint());
            let rival = Metadata::parse(&bytes, &file, Some(root)).map_err(wrong)?;
            if rival.uuid().is_empty() || rival.uuid() == current.uuid() {
                is_found = true;
                heads.extend(rival.refs().map(|named| Version(named.snapshot)));
                heads.extend(rival.current()?.and_then(SnapshotView::id).map(Version));
            }
        }
        if is_found {
            return Ok(heads);
        }
    }
    Ok(BTreeSet::new())
}

/// The newest metadata file in the table's own log that a catalog may hold as current: it is not deleted when it falls off the log.
///
/// # Errors
///
/// `Unsupported` for a path that means nothing here.
pub(super) fn newest_logged(version: &IcebergVersion) -> Result<Option<Location>> {
    let metadata = &version.scan.metadata;
    let mut logged = past::metadata_files(metadata)?;
    // The current one comes first, then the log from the oldest on.
    logged.rotate_left(1);
    let places = logged.into_iter().map(|file| file.location);
    Ok(places.rev().find(|place| version.pointer.may_be_a_catalogs(place, metadata.uuid())))
}
