//! What the snapshots that a table still lists refer to.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;

use super::holdings;
use super::metadata_files::Document;
use super::scan::Scan;
use crate::error::Result;
use crate::location::Location;

/// Of `places`, those that a listed snapshot refers to, as its manifest list, a manifest or a file of a manifest, and the statistics and metadata
/// files that the table knows of.
///
/// # Errors
///
/// Those of any manifest list or manifest: without all of them nothing can be said.
pub(crate) async fn among(scan: &Scan, places: HashSet<Location>) -> Result<HashSet<Location>> {
    let mut told = holdings::walk(scan.store.clone(), vec![Document::certain(Arc::clone(&scan.metadata))], None);
    let mut found = HashSet::new();
    while let Some(holding) = told.try_next().await? {
        if places.contains(&holding.location) {
            found.insert(holding.location);
        }
    }
    Ok(found)
}
