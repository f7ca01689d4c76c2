//! Delete files that apply to no live data file.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures::TryStreamExt;

use super::deletes::{DeleteFile, DeleteIndex};
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

/// The oldest data file of each partition and of the whole table, by data sequence number.
#[derive(Default)]
struct Oldest {
    anywhere: Option<i64>,
    /// The oldest of those whose partition is not understood: they may lie in any.
    unknown: Option<i64>,
    partitions: HashMap<Arc<str>, i64>,
}

impl Oldest {
    fn add(&mut self, partition: Option<Arc<str>>, sequence: i64) {
        let least = |known: Option<i64>| Some(known.map_or(sequence, |known| known.min(sequence)));
        self.anywhere = least(self.anywhere);
        match partition {
            Some(partition) => {
                self.partitions.entry(partition).and_modify(|known| *known = (*known).min(sequence)).or_insert(sequence);
            }
            None => self.unknown = least(self.unknown),
        }
    }

    /// Whether the equality delete `file` applies to one of them: to an older one that it reaches.
    fn feels(&self, file: &DeleteFile) -> bool {
        let older = |sequence: Option<i64>| sequence.is_some_and(|sequence| sequence < file.sequence);
        match &file.partition {
            Some(partition) => older(self.partitions.get(partition).copied()) || older(self.unknown),
            None => older(self.anywhere),
        }
    }
}

/// Keys of deletes that apply to no data file that stays live once those for which `removed` holds are gone, and `added` (keys of partitions,
/// and data sequence numbers) are there.
///
/// # Errors
///
/// Those of manifests and delete files.
pub(crate) async fn find(
    scan: &Scan,
    index: &DeleteIndex,
    removed: &(dyn Fn(&Location) -> bool + Sync),
    added: Vec<(String, i64)>,
) -> Result<HashSet<String>> {
    let mut dead = HashSet::new();
    if index.is_empty() {
        return Ok(dead);
    }
    let (mut live, mut oldest) = (HashSet::new(), Oldest::default());
    for (partition, sequence) in added {
        oldest.add(Some(partition.into()), sequence);
    }
    let mut all = scan.ages();
    while let Some((place, partition, sequence)) = all.try_next().await? {
        if !removed(&place) {
            live.insert(path_hash(&place));
            oldest.add(partition, sequence);
        }
    }
    for file in index.files() {
        let applies = match (&file.target, file.reference.kind) {
            (_, DeleteKind::Equality) => oldest.feels(file),
            (Some(target), _) => live.contains(&path_hash(target)),
            (None, _) => names_a_live_file(scan, file, &live).await?,
        };
        if !applies {
            dead.insert(file.reference.key.clone());
        }
    }
    Ok(dead)
}

async fn names_a_live_file(scan: &Scan, file: &DeleteFile, live: &HashSet<u64>) -> Result<bool> {
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
