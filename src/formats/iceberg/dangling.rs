//! Delete files that apply to no live data file.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};

use super::deletes::DeleteFile;
use super::positions;
use super::scan::Scan;
use crate::error::Result;
use crate::location::Location;
use crate::model::DeleteKind;

/// So many delete files are read at the same time.
const AHEAD: usize = 16;

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

    /// Whether the equality delete `file` applies to one of them.
    fn feels(&self, file: &DeleteFile) -> bool {
        self.has_older(file.partition.as_ref(), file.sequence)
    }

    /// Whether one of them in `partition` (`None` for all) is older than `sequence`.
    fn has_older(&self, partition: Option<&Arc<str>>, sequence: i64) -> bool {
        let older = |known: Option<i64>| known.is_some_and(|known| known < sequence);
        match partition {
            Some(partition) => older(self.partitions.get(partition).copied()) || older(self.unknown),
            None => older(self.anywhere),
        }
    }
}

/// Keys of those of `candidates` that apply to no data file that stays live once those for which `removed` holds are gone, and `added` (keys of
/// partitions, and data sequence numbers) are there.
///
/// # Errors
///
/// Those of manifests and delete files.
pub(crate) async fn find(
    scan: &Scan,
    candidates: &[&DeleteFile],
    removed: &(dyn Fn(&Location) -> bool + Sync),
    added: Vec<(String, i64)>,
) -> Result<HashSet<String>> {
    if candidates.is_empty() {
        return Ok(HashSet::new());
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
    let judged: Vec<_> = candidates.iter().map(|file| judge(scan, file, (&live, &oldest))).collect();
    stream::iter(judged).buffer_unordered(AHEAD).try_filter_map(|dead| ready(Ok(dead))).try_collect().await
}

/// The key of `file` if it applies to none of the files that stay.
async fn judge(scan: &Scan, file: &DeleteFile, (live, oldest): (&HashSet<u64>, &Oldest)) -> Result<Option<String>> {
    let applies = match (&file.target, file.reference.kind) {
        (_, DeleteKind::Equality) => oldest.feels(file),
        (Some(target), _) => live.contains(&path_hash(target)),
        (None, _) => names_a_live_file(scan, file, live).await?,
    };
    Ok((!applies).then(|| file.reference.key.clone()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iceberg_suite_65_and_66_equality_deletes_of_a_partition_are_held_by_older_files_of_it_alone() {
        let mut oldest = Oldest::default();
        let key = |name: &str| Arc::<str>::from(name);
        for (partition, sequence) in [("p=1", 5), ("p=1", 7), ("p=2", 2)] {
            oldest.add(Some(key(partition)), sequence);
        }
        let held = |oldest: &Oldest, partition: &str, sequence| oldest.has_older(Some(&key(partition)), sequence);
        assert!(!held(&oldest, "p=1", 4) && !held(&oldest, "p=1", 5) && held(&oldest, "p=1", 6), "of the same age is not older");
        assert!(held(&oldest, "p=2", 3) && !held(&oldest, "p=3", 9), "no file is in that partition");
        assert!(oldest.has_older(None, 3) && !oldest.has_older(None, 2), "without partitions the whole table counts");
        // A file whose partition is not understood may lie in any.
        oldest.add(None, 1);
        assert!(held(&oldest, "p=3", 2) && !held(&oldest, "p=3", 1));
    }
}
