//! Every file that the table refers to, and which of some files it does.

use std::collections::HashSet;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::lines::Action;
use super::log::{self, Checkpoint, Listing};
use super::log_files::{self, LogFile};
use super::reach::{self, AHEAD};
use super::version::DeltaVersion;
use super::{checkpoint_read, retention};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::Holding;

/// Every file of the log; what every version reaches that can still be rebuilt, and what commits name that are newer than `newest`; files that are
/// gone, as long as the table promises to keep them for readers.
pub(super) fn holdings(newest: &DeltaVersion) -> BoxStream<'_, Result<Holding>> {
    let files = async move {
        newest.state().protocol.check_rewritable()?;
        let young = retention::youngest_expired(newest.state())?;
        let listing = Listing::read(newest.store(), newest.root(), None).await?;
        let earliest = listing.earliest().ok_or_else(|| listing.gap(newest.root(), newest.state().version))?;
        let log = log_files::all(newest.store(), newest.root()).map_ok(|(file, meta)| log_files::holding(file, meta));
        let is_young = move |action: &Action| match action {
            Action::Remove(remove) => young.is_none_or(|young| remove.deletion_timestamp.unwrap_or_default() > young),
            _ => true,
        };
        let tombstones = checkpoints(&listing, earliest);
        let tombstones = stream::iter(tombstones).then(move |checkpoint| async move {
            let mut named = Vec::new();
            let mut take = |action: &Action, holding| {
                if is_young(action) {
                    named.push(holding);
                }
            };
            reach::of_checkpoint(newest, &checkpoint, &mut take).await?;
            Ok::<_, Error>(stream::iter(named).map(Ok))
        });
        let mut commits = listing.commits_between(-1, i64::MAX);
        commits.retain(|version| *version >= earliest);
        Ok::<_, Error>(log.chain(live(newest)).chain(of_commits(newest, commits)).chain(tombstones.try_flatten()))
    };
    stream::once(files).try_flatten().boxed()
}

fn live(newest: &DeltaVersion) -> BoxStream<'_, Result<Holding>> {
    let files = newest.state().files.iter().map(|add| {
        let named = reach::of_file(newest.root(), &add.path, add.deletion_vector.as_deref(), Some(add.size))?;
        Ok::<_, Error>(stream::iter(named).map(Ok))
    });
    stream::iter(files).try_flatten().boxed()
}

/// A commit that was cleaned up meanwhile began no version that can still be rebuilt.
fn of_commits(newest: &DeltaVersion, commits: Vec<i64>) -> BoxStream<'_, Result<Holding>> {
    let named = stream::iter(commits).map(move |version| reach::of_commit(newest, version, |_| true)).buffered(AHEAD);
    named.map_ok(|named| stream::iter(named.unwrap_or_default()).map(Ok)).try_flatten().boxed()
}

/// The checkpoints that name what commits and the newest version do not: the newest, for its tombstones; all of them where commits are missing.
fn checkpoints(listing: &Listing, earliest: i64) -> Vec<Checkpoint> {
    let mut all: Vec<Checkpoint> = listing.checkpoints().cloned().collect();
    if listing.is_whole(earliest.saturating_add(1), listing.latest().unwrap_or(earliest))
        && let Some(newest) = all.pop()
    {
        return vec![newest];
    }
    all
}

/// Of `places`, those that `newest`, an older version that can still be rebuilt, or a newer commit refers to. Files that are gone from all of them
/// are not, however young they are.
///
/// # Errors
///
/// `Unavailable` if storage did not answer, `Corrupt` for what cannot be understood.
pub(super) async fn referenced(newest: &DeltaVersion, places: HashSet<Location>) -> Result<HashSet<Location>> {
    let listing = Listing::read(newest.store(), newest.root(), None).await?;
    let earliest = listing.earliest().ok_or_else(|| listing.gap(newest.root(), newest.state().version))?;
    let mut found = of_log(newest, earliest, &places).await?;
    let mut note = |holding: Holding| {
        if places.contains(&holding.location) {
            found.insert(holding.location);
        }
    };
    let mut named = live(newest);
    while let Some(holding) = named.try_next().await? {
        note(holding);
    }
    let mut commits = of_commits(newest, listing.commits_between(earliest, i64::MAX));
    while let Some(holding) = commits.try_next().await? {
        note(holding);
    }
    if !listing.is_whole(earliest.saturating_add(1), listing.latest().unwrap_or(earliest)) {
        for checkpoint in listing.checkpoints() {
            let mut take = |action: &Action, holding| {
                if matches!(action, Action::Add(_)) {
                    note(holding);
                }
            };
            reach::of_checkpoint(newest, checkpoint, &mut take).await?;
        }
    }
    Ok(found)
}

/// Of `places`, the files of the log that a version from `earliest` on is rebuilt from.
async fn of_log(newest: &DeltaVersion, earliest: i64, places: &HashSet<Location>) -> Result<HashSet<Location>> {
    let folder = log::folder(newest.root());
    let (mut found, mut sidecars) = (HashSet::new(), false);
    for place in places {
        let Some(file) = place.relative_to(&folder).and_then(LogFile::of) else { continue };
        let stays = match file {
            LogFile::Commit(version) | LogFile::Checksum(version) | LogFile::Checkpoint(version) => version >= earliest,
            LogFile::Compacted(version) | LogFile::Staged(version) => earliest == 0 || version > earliest,
            LogFile::Hint => true,
            LogFile::Sidecar => {
                sidecars = true;
                false
            }
        };
        if stays {
            found.insert(place.clone());
        }
    }
    if !sidecars {
        return Ok(found);
    }
    let mut files = log_files::all(newest.store(), newest.root());
    while let Some((file, meta)) = files.try_next().await? {
        if matches!(file, LogFile::Checkpoint(version) if version >= earliest) {
            let named = checkpoint_read::sidecars(newest.store(), newest.root(), &meta).await?;
            found.extend(named.into_iter().filter(|place| places.contains(place)));
        }
    }
    Ok(found)
}
