//! Delete files as a whole: whether they delete anything, and nothing that is not there.

use std::collections::{HashMap, HashSet};

use futures::StreamExt;

use super::is_damage;
use crate::error::{Kind, Result};
use crate::formats::iceberg::dangling::path_hash;
use crate::formats::iceberg::deletes::{DeleteFile, DeleteIndex};
use crate::formats::iceberg::positions;
use crate::formats::iceberg::scan::Scan;
use crate::location::Location;
use crate::model::{DataFile, DeleteKind, Fault, Finding, FindingSink};

/// Checks the delete files of the current snapshot; returns how many were read as a whole. `listed` are their places.
///
/// Memory: an entry for each data file that a file of positions names.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn check(scan: &Scan, listed: &HashMap<Location, u64>, found: FindingSink<'_>) -> Result<u64> {
    if listed.is_empty() {
        return Ok(0);
    }
    let index = match scan.deletes().await {
        Ok(index) => index,
        // Told where the manifests were read, and again where data files are.
        Err(error) if is_damage(&error) || error.kind() == Kind::Unsupported => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut named = Named::default();
    let mut read = 0;
    for (at, file) in index.files().iter().enumerate().filter(|(_, file)| file.reference.kind == DeleteKind::Positions) {
        read += 1;
        named.read(scan, at, file, found).await?;
    }
    named.places.sort_unstable();
    let mut applied = Applied { index: &index, named: &named, used: HashSet::new(), naming: HashSet::new(), beyond: HashSet::new() };
    let mut files = scan.files(false);
    let mut whole = true;
    while let Some(file) = files.next().await {
        match file {
            Ok(file) => applied.file(&file),
            // A damaged manifest is told elsewhere; what its files have deleted is not known.
            Err(error) if is_damage(&error) || error.kind() == Kind::Unsupported => {
                whole = false;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    applied.tell(whole, found);
    Ok(read)
}

/// What files of positions name: hash of the path, number of the delete file, last position.
#[derive(Default)]
struct Named {
    places: Vec<(u64, usize, u64)>,
    /// Delete files that could not be read.
    unread: HashSet<usize>,
}

impl Named {
    async fn read(&mut self, scan: &Scan, at: usize, file: &DeleteFile, found: FindingSink<'_>) -> Result<()> {
        let mut last: Option<(String, u64)> = None;
        let mut furthest: HashMap<u64, u64> = HashMap::new();
        let mut rows = 0u64;
        let read = positions::read(&scan.store, file, |path, position| {
            rows += 1;
            let hash = match &last {
                Some((known, hash)) if known == path => *hash,
                _ => path_hash(&scan.metadata.place(path)?),
            };
            if last.as_ref().is_none_or(|(known, _)| known != path) {
                last = Some((path.to_string(), hash));
            }
            let end = furthest.entry(hash).or_insert(position);
            *end = position.max(*end);
            Ok(())
        });
        match read.await {
            Ok(()) if rows != file.records => {
                let what = format!("the metadata says {} deletes, the file holds {rows}", file.records);
                found(Finding::new(Fault::CountWrong, &file.location, what));
            }
            Ok(()) => {}
            Err(error) => {
                self.unread.insert(at);
                found(match error.kind() {
                    // Told where sizes were asked for.
                    Kind::NotFound => return Ok(()),
                    Kind::Corrupt => Finding::new(Fault::DeletesWrong, &file.location, error.message()),
                    Kind::Unsupported => Finding::new(Fault::NotExamined, &file.location, error.message()),
                    _ => return Err(error),
                });
            }
        }
        self.places.extend(furthest.into_iter().map(|(hash, end)| (hash, at, end)));
        Ok(())
    }

    fn of(&self, place: &Location) -> impl Iterator<Item = &(u64, usize, u64)> {
        let hash = path_hash(place);
        let from = self.places.partition_point(|(known, ..)| *known < hash);
        self.places.iter().skip(from).take_while(move |(known, ..)| *known == hash)
    }
}

/// Which deletes apply to live data files.
struct Applied<'a> {
    index: &'a DeleteIndex,
    named: &'a Named,
    /// Keys of deletes that may apply to a live data file by what the manifests say.
    used: HashSet<String>,
    /// Files of positions that name a live data file.
    naming: HashSet<usize>,
    /// Files of positions that name positions behind the last row of one.
    beyond: HashSet<usize>,
}

impl Applied<'_> {
    fn file(&mut self, file: &DataFile) {
        for delete in file.deletes.iter() {
            if !self.used.contains(&delete.key) {
                self.used.insert(delete.key.clone());
            }
        }
        for (_, at, end) in self.named.of(&file.location) {
            let key = self.index.files().get(*at).map(|delete| delete.reference.key.as_str());
            if file.deletes.iter().any(|delete| Some(delete.key.as_str()) == key) {
                self.naming.insert(*at);
                if file.rows.is_some_and(|rows| *end >= rows) {
                    self.beyond.insert(*at);
                }
            }
        }
    }

    fn tell(&self, whole: bool, found: FindingSink<'_>) {
        for (at, delete) in self.index.files().iter().enumerate() {
            if self.beyond.contains(&at) {
                let what = "it names positions behind the last row of a data file: they delete nothing";
                found(Finding::new(Fault::PositionsBeyondFile, &delete.location, what));
            }
            let read = delete.reference.kind == DeleteKind::Positions && !self.named.unread.contains(&at);
            let applies = self.used.contains(&delete.reference.key) && (!read || self.naming.contains(&at));
            if whole && !applies {
                let place = delete.blob.map_or_else(|| delete.location.to_string(), |(offset, _)| format!("{}#{offset}", delete.location));
                found(Finding::new(Fault::DeletesDangling, place, "it applies to no live data file"));
            }
        }
    }
}
