//! Every file that the table refers to, and those that its versions cannot do without.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::check::is_damage;
use super::lines::Action;
use super::log::{Checkpoint, Listing};
use super::log_files::{self, LogFile};
use super::reach::{self, AHEAD};
use super::version::DeltaVersion;
use super::{checkpoint_read, retention};
use crate::error::{Error, Result};
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
        let named = reach::of_live(newest.root(), add)?;
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

/// Hands `each` what `newest`, an older version that can still be rebuilt, or a newer commit refers to, files of the log among it. Files that are
/// gone from all of them are not told, however young they are.
///
/// # Errors
///
/// `Unavailable` if storage did not answer, `Corrupt` for what cannot be understood.
pub(super) async fn in_use(newest: &DeltaVersion, each: &mut (dyn FnMut(Holding) + Send)) -> Result<()> {
    let listing = Listing::read(newest.store(), newest.root(), None).await?;
    let earliest = listing.earliest().ok_or_else(|| listing.gap(newest.root(), newest.state().version))?;
    log_in_use(newest, earliest, each).await?;
    let mut named = live(newest);
    while let Some(holding) = named.try_next().await? {
        each(holding);
    }
    let mut commits = of_commits(newest, listing.commits_between(earliest, i64::MAX));
    while let Some(holding) = commits.try_next().await? {
        each(holding);
    }
    if listing.is_whole(earliest.saturating_add(1), listing.latest().unwrap_or(earliest)) {
        return Ok(());
    }
    for checkpoint in listing.checkpoints() {
        let mut take = |action: &Action, holding| {
            if matches!(action, Action::Add(_)) {
                each(holding);
            }
        };
        reach::of_checkpoint(newest, checkpoint, &mut take).await?;
    }
    Ok(())
}

/// The files of the log that a version from `earliest` on is rebuilt from.
async fn log_in_use(newest: &DeltaVersion, earliest: i64, each: &mut (dyn FnMut(Holding) + Send)) -> Result<()> {
    let mut unknown = false;
    let mut files = log_files::all(newest.store(), newest.root());
    while let Some((file, meta)) = files.try_next().await? {
        let is_used = match file {
            LogFile::Commit(version) | LogFile::Checksum(version) | LogFile::Checkpoint(version) => version >= earliest,
            LogFile::Compacted(version) | LogFile::Staged(version) => earliest == 0 || version > earliest,
            LogFile::Hint => true,
            LogFile::Sidecar => false,
        };
        if !is_used {
            continue;
        }
        if matches!(file, LogFile::Checkpoint(_)) {
            match checkpoint_read::sidecars(newest.store(), newest.root(), &meta).await {
                Ok(named) => {
                    named.into_iter().for_each(|location| each(Holding { location, kind: LogFile::Sidecar.kind(), size: None }));
                }
                // Whatever it named may be any of them.
                Err(error) if is_damage(&error) => unknown = true,
                Err(error) => return Err(error),
            }
        }
        each(log_files::holding(file, meta));
    }
    if !unknown {
        return Ok(());
    }
    let mut files = log_files::all(newest.store(), newest.root());
    while let Some((file, meta)) = files.try_next().await? {
        if file == LogFile::Sidecar {
            each(log_files::holding(file, meta));
        }
    }
    Ok(())
}
