//! What the snapshots that a table still lists refer to.

use std::collections::HashSet;
use std::sync::Arc;

use futures::TryStreamExt;

use super::holdings;
use super::metadata_files::Document;
use super::scan::Scan;
use crate::error::Result;
use crate::location::Location;
use crate::model::Holding;

/// Of `places`, those that a listed snapshot refers to, as its manifest list, a manifest or a file of a manifest, and the statistics and metadata
/// files that the table knows of.
///
/// # Errors
///
/// Those of any manifest list or manifest: without all of them nothing can be said.
pub(crate) async fn among(scan: &Scan, places: HashSet<Location>) -> Result<HashSet<Location>> {
    let among = move |files: Vec<Holding>| Ok(files.into_iter().map(|file| file.location).filter(|place| places.contains(place)).collect());
    let documents = vec![Document::certain(Arc::clone(&scan.metadata))];
    holdings::walk::<Vec<Location>>(scan.store.clone(), documents, None, Arc::new(among)).try_concat().await.map(HashSet::from_iter)
}
