//! Delete files that apply to no live data file.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::TryStreamExt;

use super::deletes::DeleteIndex;
use super::positions;
use super::scan::Scan;
use crate::error::Result;
use crate::location::Location;
use crate::model::DeleteKind;

/// Paths alone tell, whatever the scheme: a delete is kept where in doubt. Places are kept as hashes: two that collide only keep a delete.
pub(crate) fn path_hash(place: &Location) -> u64 {
    let mut hasher = DefaultHasher::new();
    place.path().hash(&mut hasher);
    hasher.finish()
}

/// Keys of position deletes and vectors that apply to no data file that stays live once those for which `removed` holds are gone.
///
/// # Errors
///
/// Those of manifests and delete files.
pub(crate) async fn find(scan: &Scan, index: &DeleteIndex, removed: &(dyn Fn(&Location) -> bool + Sync)) -> Result<HashSet<String>> {
    let mut dead = HashSet::new();
    if index.is_empty() {
        return Ok(dead);
    }
    let mut live = HashSet::new();
    let mut all = scan.locations();
    while let Some(place) = all.try_next().await? {
        if !removed(&place) {
            live.insert(path_hash(&place));
        }
    }
    for file in index.files().iter().filter(|file| file.reference.kind != DeleteKind::Equality) {
        let applies = match &file.target {
            Some(target) => live.contains(&path_hash(target)),
            None => names_a_live_file(scan, file, &live).await?,
        };
        if !applies {
            dead.insert(file.reference.key.clone());
        }
    }
    Ok(dead)
}

async fn names_a_live_file(scan: &Scan, file: &super::deletes::DeleteFile, live: &HashSet<u64>) -> Result<bool> {
    let mut last = String::new();
    let mut found = false;
    positions::read(&scan.store, file, |path, _| {
        if !found && last != path {
            found = live.contains(&path_hash(&scan.metadata.place(path)?));
            last = path.to_string();
        }
        Ok(())
    })
    .await?;
    Ok(found)
}
