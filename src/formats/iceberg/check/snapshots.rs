//! Snapshots besides the current one: whether their manifest lists can be read and their manifests are there.

use std::collections::{BTreeMap, HashSet};

use futures::StreamExt;
use serde_json::Value as Json;

use super::{HEADS, is_damage, unread};
use crate::error::{Error, Kind, Result};
use crate::formats::iceberg::manifest_list;
use crate::formats::iceberg::metadata::SnapshotView;
use crate::formats::iceberg::scan::Scan;
use crate::location::Location;
use crate::model::{Fault, Finding, FindingSink, Reach};

/// Checks the heads of branches and tags, or every listed snapshot; returns how many manifest lists were read.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn check(scan: &Scan, reach: Reach, found: FindingSink<'_>) -> Result<u64> {
    let metadata = &scan.metadata;
    let refs = metadata.doc.get("refs").and_then(Json::as_object).into_iter().flatten();
    let refs = refs.filter_map(|(name, json)| Some((json.get("snapshot-id")?.as_i64()?, name.clone())));
    let mut named: BTreeMap<i64, String> = refs.collect();
    let current = metadata.current()?.and_then(SnapshotView::id);
    current.and_then(|id| named.remove(&id));
    let wanted = metadata.snapshots().filter(|snapshot| {
        let id = snapshot.id();
        id != current && (reach == Reach::EveryVersion || id.is_some_and(|id| named.contains_key(&id)))
    });
    let mut seen: HashSet<Location> = HashSet::new();
    let mut read = 0;
    for snapshot in wanted {
        let name = snapshot.id().and_then(|id| named.get(&id)).map(String::as_str);
        read += 1;
        for (place, error) in damaged(scan, snapshot, &mut seen).await? {
            found(match (name, error.kind()) {
                (_, Kind::Unsupported) => Finding::new(Fault::NotExamined, place, error.message()),
                (Some(name), _) => {
                    let mut finding = unread(error, &place)?;
                    finding.what.push_str(&format!(": the ref {name} cannot be read"));
                    finding
                }
                (None, _) => {
                    let id = snapshot.id().unwrap_or_default();
                    Finding::new(Fault::VersionUnreadable, place, format!("snapshot {id} cannot be read: {}", error.message()))
                }
            });
        }
    }
    Ok(read)
}

/// The files of a snapshot's metadata that are not there or cannot be read, save those seen before.
async fn damaged(scan: &Scan, snapshot: SnapshotView<'_>, seen: &mut HashSet<Location>) -> Result<Vec<(Location, Error)>> {
    let metadata = &scan.metadata;
    let paths: Vec<String> = match snapshot.manifest_list() {
        None => snapshot.inline_manifests().into_iter().map(str::to_string).collect(),
        Some(path) => {
            let place = match metadata.place(path) {
                Ok(place) => place,
                Err(error) => return Ok(vec![(metadata.file.clone(), error)]),
            };
            if snapshot.is_encrypted() {
                return Ok(vec![(place, Error::unsupported("encrypted tables are not understood"))]);
            }
            let listed = scan.store.get(&place).await.and_then(|bytes| manifest_list::read(&bytes, &place));
            match listed {
                Ok(listed) => listed.into_iter().map(|manifest| manifest.path).collect(),
                Err(error) if is_damage(&error) || error.kind() == Kind::Unsupported => return Ok(vec![(place, error)]),
                Err(error) => return Err(error),
            }
        }
    };
    let places: Vec<Location> =
        paths.iter().filter_map(|path| metadata.place(path).ok()).filter(|place| seen.insert(place.clone())).collect();
    let heads: Vec<_> = places.into_iter().map(|place| async move { (scan.store.head(&place).await, place) }).collect();
    let mut heads = futures::stream::iter(heads).buffered(HEADS);
    let mut damaged = Vec::new();
    while let Some((answer, place)) = heads.next().await {
        match answer {
            Ok(_) => {}
            Err(error) if is_damage(&error) => damaged.push((place, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(damaged)
}
