//! What the snapshots that a table still lists refer to.

use std::collections::HashSet;

use super::manifest_list::{self, ManifestFile};
use super::metadata::SnapshotView;
use super::scan::Scan;
use crate::error::{Error, Result};
use crate::location::Location;

/// Of `places`, those that a listed snapshot refers to, as its manifest list, a manifest or a file of a manifest, and the metadata files that the
/// table knows of.
///
/// # Errors
///
/// Those of any manifest list or manifest: without all of them nothing can be said.
pub(crate) async fn among(scan: &Scan, places: HashSet<Location>) -> Result<HashSet<Location>> {
    let mut search = Search { scan, places, found: HashSet::new(), manifests: HashSet::new() };
    search.note(scan.metadata.file.clone());
    let log = scan.metadata.doc.get("metadata-log").and_then(serde_json::Value::as_array).into_iter().flatten();
    for file in log.filter_map(|entry| entry.get("metadata-file").and_then(serde_json::Value::as_str)) {
        search.note(scan.metadata.place(file)?);
    }
    for snapshot in scan.metadata.snapshots() {
        search.snapshot(snapshot).await?;
    }
    Ok(search.found)
}

struct Search<'a> {
    scan: &'a Scan,
    places: HashSet<Location>,
    found: HashSet<Location>,
    /// Manifests that were read: snapshots share most of them.
    manifests: HashSet<String>,
}

impl Search<'_> {
    fn note(&mut self, place: Location) {
        if self.places.contains(&place) {
            self.found.insert(place);
        }
    }

    async fn snapshot(&mut self, snapshot: SnapshotView<'_>) -> Result<()> {
        if snapshot.is_encrypted() {
            return Err(Error::unsupported("encrypted tables are not understood"));
        }
        let listed = match snapshot.manifest_list() {
            None => snapshot.inline_manifests().into_iter().map(ManifestFile::inline).collect(),
            Some(path) => {
                let place = self.scan.metadata.place(path)?;
                let listed = manifest_list::read(&self.scan.store.get(&place).await?, &place)?;
                self.note(place);
                listed
            }
        };
        for manifest in listed {
            if self.manifests.insert(manifest.path.clone()) {
                self.manifest(&manifest).await?;
            }
        }
        Ok(())
    }

    async fn manifest(&mut self, manifest: &ManifestFile) -> Result<()> {
        self.note(self.scan.metadata.place(&manifest.path)?);
        // Entries of deleted files count too: in doubt a file is referred to.
        for entry in self.scan.open(manifest).await? {
            self.note(self.scan.metadata.place(&entry?.path)?);
        }
        Ok(())
    }
}
