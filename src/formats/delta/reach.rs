//! Which files versions reach: data, deletion vectors, change data (protocol, "Add File and Remove File", "Add CDC File").
//!
//! A version that can be rebuilt begins at a checkpoint or at the empty table. What is live in it is live in the newest version, or is removed
//! by a commit in between: the newest version and the commits after the oldest one name all that any of them reaches. Change data leads from one
//! version to the next and goes with the earlier one.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::actions::Vector;
use super::lines::{self, Action};
use super::live::LiveFile;
use super::log::{self, Checkpoint, Listing};
use super::version::DeltaVersion;
use super::{checkpoint_read, dv, path};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{FileKind, Holding, PlaceSet, Version};
use crate::units::Bytes;

/// How many files of the log are read at a time.
pub(super) const AHEAD: usize = 8;

/// The files of the logical file at `path` with the deletion vector `vector`.
///
/// # Errors
///
/// `Corrupt` for a path that cannot be understood.
fn of_file(root: &Location, path: &str, vector: Option<&Vector>, size: Option<u64>) -> Result<Vec<Holding>> {
    at(root, path::resolve(root, path)?, vector, size)
}

/// The files of a live one.
///
/// # Errors
///
/// `Corrupt` for the name of a vector that cannot be understood.
pub(super) fn of_live(root: &Location, file: &LiveFile) -> Result<Vec<Holding>> {
    at(root, file.location.clone(), file.vector(), Some(file.size))
}

fn at(root: &Location, location: Location, vector: Option<&Vector>, size: Option<u64>) -> Result<Vec<Holding>> {
    let mut found = vec![Holding { location, kind: FileKind::Data, size: size.map(Bytes) }];
    if let Some(vector) = vector.filter(|vector| &*vector.storage_type != "i") {
        found.push(Holding { location: dv::place(root, vector)?, kind: FileKind::DeletionVectors, size: None });
    }
    Ok(found)
}

/// The files that `action` names.
///
/// # Errors
///
/// As [`of_file`].
pub(super) fn of_action(root: &Location, action: &Action) -> Result<Vec<Holding>> {
    match action {
        Action::Add(add) => of_file(root, &add.path, add.deletion_vector.as_deref(), Some(add.size)),
        Action::Remove(remove) => of_file(root, &remove.path, remove.deletion_vector.as_deref(), remove.size),
        Action::Change(cdc) => {
            Ok(vec![Holding { location: path::resolve(root, &cdc.path)?, kind: FileKind::Cdf, size: cdc.size.map(Bytes) }])
        }
        _ => Ok(Vec::new()),
    }
}

/// The files that commit `version` names and `wanted` asks for; `None` if the commit is gone.
///
/// # Errors
///
/// `Corrupt` for a damaged commit, `Unavailable` if storage did not answer.
pub(super) async fn of_commit(
    newest: &DeltaVersion,
    version: i64,
    wanted: impl Fn(&Holding) -> bool + Send + Sync,
) -> Result<Option<Vec<Holding>>> {
    let mut found = Vec::new();
    let mut take = |_: &Action, holding: Holding| {
        if wanted(&holding) {
            found.push(holding);
        }
    };
    let is_there = each_of_commit(newest, version, &mut take).await?;
    Ok(is_there.then_some(found))
}

/// Hands the files that commit `version` names to `each`, with the action that names them; whether the commit is there.
///
/// # Errors
///
/// As [`of_commit`].
pub(super) async fn each_of_commit(newest: &DeltaVersion, version: i64, each: &mut (dyn FnMut(&Action, Holding) + Send)) -> Result<bool> {
    let file = log::commit_file(newest.root(), version);
    let Some(pieces) = newest.store().pieces_if_exists(&file).await? else { return Ok(false) };
    let take = |action| {
        let named = of_action(newest.root(), &action).map_err(|error| error.about("file", &file))?;
        named.into_iter().for_each(|holding| each(&action, holding));
        Ok(())
    };
    lines::read_pieces(pieces, &file, take).await?;
    Ok(true)
}

/// Hands the files that `checkpoint` names, live and gone, to `each`, with the action that names them.
///
/// # Errors
///
/// `Corrupt` for a damaged checkpoint, `NotFound` for a missing sidecar, `Unavailable` if storage did not answer.
pub(super) async fn of_checkpoint(
    newest: &DeltaVersion,
    checkpoint: &Checkpoint,
    each: &mut (dyn FnMut(&Action, Holding) + Send),
) -> Result<()> {
    let mut take = |action: Action| {
        of_action(newest.root(), &action)?.into_iter().for_each(|holding| each(&action, holding));
        Ok(())
    };
    checkpoint_read::read(newest.store(), newest.root(), checkpoint, &mut take).await
}

/// What every version from `oldest` on reaches, up to the newest that `listing` knows.
///
/// # Errors
///
/// `Corrupt` if a commit after `oldest` is missing or damaged, `Unavailable` if storage did not answer.
pub(super) async fn since(newest: &DeltaVersion, listing: &Listing, oldest: i64) -> Result<PlaceSet> {
    let mut places = PlaceSet::default();
    for add in newest.state().files.iter() {
        for holding in of_live(newest.root(), add)? {
            places.insert(&holding.location);
        }
    }
    let latest = listing.latest().unwrap_or(newest.state().version).max(newest.state().version);
    let first = oldest.checked_add(1).ok_or_else(|| listing.gap(newest.root(), oldest))?;
    if !listing.is_whole(first, latest) {
        return Err(listing.gap(newest.root(), latest));
    }
    let mut commits = stream::iter(first..=latest)
        .map(|version| async move { Ok((version, of_commit(newest, version, |_| true).await?)) })
        .buffered(AHEAD);
    while let Some((version, named)) = commits.try_next().await? {
        let named = named.ok_or_else(|| Error::unavailable("a commit that was there is gone").about("version", version))?;
        named.iter().for_each(|holding| {
            places.insert(&holding.location);
        });
    }
    Ok(places)
}

/// The checkpoints that have to be read beside the commits to know every file that a version up to `last` names: those before commits that are
/// there without those before them.
pub(super) fn checkpoints_up_to(listing: &Listing, last: i64) -> Vec<Checkpoint> {
    let mut known: Vec<Checkpoint> = listing.checkpoints().filter(|checkpoint| checkpoint.version <= last).cloned().collect();
    if listing.is_whole(0, last) {
        known.clear();
    } else if known.first().is_some_and(|first| listing.is_whole(first.version.saturating_add(1), last)) {
        known.truncate(1);
    }
    known
}

/// The oldest version that stays when `gone` go; the earliest that can be rebuilt where none of them is there.
///
/// # Errors
///
/// `Refused` unless they are all versions up to one, and a newer one stays that can be rebuilt.
pub(super) fn oldest_kept(newest: &DeltaVersion, listing: &Listing, gone: &BTreeSet<Version>) -> Result<i64> {
    let latest = newest.state().version;
    let earliest = listing.earliest().ok_or_else(|| listing.gap(newest.root(), latest))?;
    let Some(last) = gone.last().map(|version| version.0).filter(|last| *last >= earliest) else { return Ok(earliest) };
    if last >= latest {
        return Err(Error::refused("the newest version of a Delta table cannot be forgotten").about("version", last));
    }
    if let Some(between) = listing.commits_from(earliest).take_while(|version| *version <= last).find(|v| !gone.contains(&Version(*v))) {
        return Err(Error::refused("a Delta table forgets its oldest versions first, and a version between was to stay")
            .about("version", between)
            .hint("forget every version up to one, or fewer"));
    }
    // Cleaning that was interrupted may have left some of the versions that go, and holes between them.
    let oldest = listing.next_after(last).unwrap_or(latest);
    if listing.starts(oldest).is_empty() {
        return Err(Error::refused("the oldest version that would stay cannot be rebuilt from the log")
            .about("version", oldest)
            .hint("otf fsck TABLE says what is missing; nothing was changed"));
    }
    Ok(oldest)
}
