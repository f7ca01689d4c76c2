//! Whether the metadata tree holds together: document, manifest lists, manifests, delete files.

mod deletes;
mod history;
mod manifests;
mod snapshots;

use std::collections::HashMap;

use futures::StreamExt;

use super::features;
use super::table::IcebergVersion;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::model::{Fault, Finding, FindingSink, Reach};
use crate::store::Store;

/// How many places are asked for at the same time.
const HEADS: usize = 16;

/// Checks the metadata of `version`; returns how many metadata and delete files were read.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(crate) async fn check(version: &IcebergVersion, reach: Reach, found: FindingSink<'_>) -> Result<u64> {
    let scan = &version.scan;
    version.pointer.check(found).await?;
    if features::located(&scan.metadata, version.pointer.opened_at()).is_err() {
        let what = format!("it says that the table lies at {}: that is what was checked, and not what lies here", scan.metadata.location);
        found(Finding::new(Fault::LocatedElsewhere, &scan.metadata.file, what));
    }
    history::check(&scan.metadata, found);
    history::files(scan, found).await?;
    let mut read = 1 + snapshots::check(scan, reach, found).await?;
    let Some(survey) = manifests::check(scan, found).await? else { return Ok(read) };
    read += survey.manifests + 1;
    if let Some(current) = scan.metadata.current()? {
        manifests::summary(scan, current, &survey, found);
    }
    sizes(&scan.store, &survey.deletes, found).await?;
    read += deletes::check(scan, &survey.deletes, found).await?;
    Ok(read)
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), Kind::Corrupt | Kind::NotFound)
}

/// What an error of reading a metadata file means; an error again if storage did not answer.
fn unread(error: Error, place: &Location) -> Result<Finding> {
    match error.kind() {
        Kind::NotFound => Ok(Finding::new(Fault::ManifestMissing, place, "it is not there")),
        Kind::Corrupt => Ok(Finding::new(Fault::ManifestUnreadable, place, error.message())),
        Kind::Unsupported => Ok(Finding::new(Fault::NotExamined, place, error.message())),
        _ => Err(error),
    }
}

/// Holds the sizes of files on storage against what the metadata says.
async fn sizes(store: &Store, files: &HashMap<Location, u64>, found: FindingSink<'_>) -> Result<()> {
    let heads = files.iter().map(|(place, said)| async move {
        match store.head(place).await {
            Ok(meta) if meta.size == *said => Ok(None),
            Ok(meta) => {
                Ok(Some(Finding::new(Fault::SizeWrong, place, format!("the metadata says {said} bytes, storage has {}", meta.size))))
            }
            Err(error) if is_damage(&error) => Ok(Some(Finding::new(Fault::FileMissing, place, "a live delete file is not there"))),
            Err(error) => Err(error),
        }
    });
    let heads: Vec<_> = heads.collect();
    let mut heads = futures::stream::iter(heads).buffer_unordered(HEADS);
    while let Some(finding) = heads.next().await {
        finding?.into_iter().for_each(&mut *found);
    }
    Ok(())
}
