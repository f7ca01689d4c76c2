//! The deleted rows of data files, ready to apply.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures::TryStreamExt;
use roaring::RoaringTreemap;

use super::deletes::{DeleteFile, DeleteIndex};
use super::metadata::Metadata;
use super::scan::Scan;
use super::{equality, positions, puffin};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{DataFile, DeleteKind, RowDeletes, ValueDeletes, ValueRule};
use crate::store::Store;

/// A delete meant for `place`, which names a wanted file with another scheme or authority.
type Foreign = (usize, Location, RoaringTreemap);

/// Reads the deletes of `files`.
///
/// # Errors
///
/// `Unsupported` for position-delete files that are not Parquet; `Corrupt` for damaged ones, and where a delete may mean either of
/// two files.
pub(crate) async fn read(scan: &Scan, index: &DeleteIndex, files: &[DataFile]) -> Result<Vec<RowDeletes>> {
    let (store, metadata) = (&scan.store, &scan.metadata);
    let mut found: Vec<RoaringTreemap> = vec![RoaringTreemap::new(); files.len()];
    let mut foreign: Vec<Foreign> = Vec::new();
    let mut wanted_by: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, file) in files.iter().enumerate() {
        let mut vectors = 0;
        for reference in file.deletes.iter() {
            let delete =
                index.get(&reference.key).ok_or_else(|| Error::bug("a delete of another version").about("file", &file.location))?;
            match reference.kind {
                DeleteKind::Equality => {}
                DeleteKind::Positions => wanted_by.entry(&reference.key).or_default().push(at),
                DeleteKind::Vector => {
                    vectors += 1;
                    let positions = vector(store, delete, file).await?;
                    match &delete.target {
                        Some(target) if *target != file.location => foreign.push((at, target.clone(), positions)),
                        _ => set(&mut found, at, positions),
                    }
                }
            }
        }
        if vectors > 1 {
            return Err(Error::corrupt("a data file has two deletion vectors").about("file", &file.location));
        }
    }
    for (key, wanted) in wanted_by {
        let delete = index.get(key).ok_or_else(|| Error::bug("a delete file has vanished from the index"))?;
        position_file(store, metadata, delete, (files, &wanted), &mut found, &mut foreign).await?;
    }
    settle_foreign(scan, files, foreign, &mut found).await?;
    let rules = equality::rules(index, metadata, files)?;
    let matching = equality::matching(metadata)?;
    let ready = |(positions, rules): (RoaringTreemap, Vec<ValueRule>)| {
        if rules.is_empty() {
            return RowDeletes::at(positions);
        }
        RowDeletes::Values(Arc::new(ValueDeletes { positions: Arc::new(positions), rules, matching: matching.clone() }))
    };
    Ok(found.into_iter().zip(rules).map(ready).collect())
}

fn set(found: &mut [RoaringTreemap], at: usize, positions: RoaringTreemap) {
    if let Some(mine) = found.get_mut(at) {
        *mine |= positions;
    }
}

async fn vector(store: &Store, delete: &DeleteFile, file: &DataFile) -> Result<RoaringTreemap> {
    let (offset, size) = delete.blob.ok_or_else(|| Error::corrupt("a deletion vector has no place in its file"))?;
    let end = offset.checked_add(size).ok_or_else(|| Error::corrupt("a deletion vector has no place in its file"))?;
    let blob = store.get_range(&delete.location, offset..end).await?;
    let positions = puffin::decode(&blob, delete.records).map_err(|e| e.about("delete_file", &delete.location))?;
    match (positions.max(), file.rows) {
        (Some(last), Some(rows)) if last >= rows => {
            Err(Error::corrupt("a deletion vector deletes rows that its data file does not have").about("file", &file.location))
        }
        _ => Ok(positions),
    }
}

/// Reads one position-delete file for the files in `wanted` that it may apply to.
async fn position_file(
    store: &Store,
    metadata: &Metadata,
    delete: &DeleteFile,
    (files, wanted): (&[DataFile], &[usize]),
    found: &mut [RoaringTreemap],
    foreign: &mut Vec<Foreign>,
) -> Result<()> {
    let file = |at: &usize| files.get(*at).map(|file| (*at, file));
    let exact: HashMap<&Location, usize> = wanted.iter().filter_map(file).map(|(at, file)| (&file.location, at)).collect();
    let mut by_path: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, file) in wanted.iter().filter_map(file) {
        by_path.entry(file.location.path()).or_default().push(at);
    }
    let mut strangers: HashMap<Location, RoaringTreemap> = HashMap::new();
    let mut last: Option<(String, Meant)> = None;
    positions::read(store, delete, |path, position| {
        if last.as_ref().is_none_or(|(known, _)| known != path) {
            let place = metadata.place(path)?;
            let meant = match exact.get(&place) {
                Some(at) => Meant::File(*at),
                None if by_path.contains_key(place.path()) => Meant::Stranger(place),
                None => Meant::Other,
            };
            last = Some((path.to_string(), meant));
        }
        match last.as_ref().map(|(_, meant)| meant) {
            Some(Meant::File(at)) => {
                // Positions behind the last row delete nothing.
                let rows = files.get(*at).and_then(|file| file.rows).unwrap_or(u64::MAX);
                if let Some(mine) = found.get_mut(*at).filter(|_| position < rows) {
                    mine.insert(position);
                }
            }
            Some(Meant::Stranger(place)) => {
                strangers.entry(place.clone()).or_default().insert(position);
            }
            Some(Meant::Other) | None => {}
        }
        Ok(())
    })
    .await?;
    for (place, positions) in strangers {
        for at in by_path.get(place.path()).into_iter().flatten() {
            foreign.push((*at, place.clone(), positions.clone()));
        }
    }
    Ok(())
}

enum Meant {
    File(usize),
    Stranger(Location),
    Other,
}

/// Applies deletes that name a file with another scheme or authority, if no other data file of the table can be meant.
async fn settle_foreign(scan: &Scan, files: &[DataFile], foreign: Vec<Foreign>, found: &mut [RoaringTreemap]) -> Result<()> {
    if foreign.is_empty() {
        return Ok(());
    }
    let paths: HashSet<&str> = foreign.iter().map(|(_, place, _)| place.path()).collect();
    let mut live: HashMap<String, HashSet<Location>> = HashMap::new();
    let mut all = scan.locations();
    while let Some(location) = all.try_next().await? {
        if paths.contains(location.path()) {
            live.entry(location.path().to_string()).or_default().insert(location);
        }
    }
    for (at, place, positions) in &foreign {
        let same_path = live.get(place.path());
        if same_path.is_some_and(|same| same.contains(place)) {
            continue;
        }
        let file = files.get(*at).ok_or_else(|| Error::bug("a delete for a file that was not asked for"))?;
        if same_path.is_none_or(|same| same.len() != 1 || !same.contains(&file.location)) {
            return Err(Error::corrupt("a delete may mean either of two data files").about("file", &file.location).about("named", place));
        }
        let rows = file.rows.unwrap_or(u64::MAX);
        let mut positions = positions.clone();
        positions.remove_range(rows..);
        set(found, *at, positions);
    }
    Ok(())
}
