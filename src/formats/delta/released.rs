//! What may be deleted once old versions are forgotten (protocol, "Metadata Cleanup"; VACUUM): read from the log, without listing data.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future, stream};

use super::check::is_damage;
use super::lines::Action;
use super::log::{Checkpoint, Listing};
use super::log_files::{self, LogFile};
use super::reach::{self, AHEAD};
use super::version::DeltaVersion;
use super::{checkpoint_read, retention};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::model::{Holding, PlaceSet, Version};
use crate::units::Bytes;

/// How many files are looked for at a time.
const LOOKS: usize = 32;

/// Where names of files are found.
enum Source {
    Checkpoint(Checkpoint),
    Commit(i64),
}

/// The files that `gone`, every version up to one, reach and no later version does; files of the log last. That a checkpoint of the oldest version
/// that stays is there is for [`super::forget`] to see to: the files of the log are those that nobody needs beside it.
pub(super) fn released<'a>(newest: &'a DeltaVersion, gone: &'a BTreeSet<Version>) -> BoxStream<'a, Result<Holding>> {
    let files = async move {
        newest.state().protocol.check_rewritable()?;
        let listing = Listing::read(newest.store(), newest.root(), None).await?;
        let oldest = reach::oldest_kept(newest, &listing, gone)?;
        retention::check_protection(newest.state(), &listing, oldest)?;
        let kept = Arc::new(reach::since(newest, &listing, oldest).await?);
        let sidecars = sidecars(newest, oldest).await?;
        Ok::<_, Error>(of_data(newest, &listing, oldest, kept).chain(of_log(newest, oldest, sidecars)))
    };
    stream::once(files).try_flatten().boxed()
}

/// Data, vectors and change data, each told once.
fn of_data<'a>(newest: &'a DeltaVersion, listing: &Listing, oldest: i64, kept: Arc<PlaceSet>) -> BoxStream<'a, Result<Holding>> {
    let earliest = listing.earliest().unwrap_or(oldest);
    let checkpoints = reach::checkpoints_up_to(listing, oldest).into_iter().map(Source::Checkpoint);
    let mut commits = listing.commits_between(-1, oldest);
    commits.reverse();
    let sources: Vec<Source> = checkpoints.chain(commits.into_iter().map(Source::Commit)).collect();
    let named = stream::iter(sources).map(move |source| {
        let kept = Arc::clone(&kept);
        async move {
            let is_free = |holding: &Holding| !kept.contains(&holding.location);
            match source {
                Source::Checkpoint(checkpoint) => {
                    let (mut live, mut gone) = (Vec::new(), Vec::new());
                    let mut take = |action: &Action, holding: Holding| {
                        if is_free(&holding) {
                            if matches!(action, Action::Remove(_)) { &mut gone } else { &mut live }.push(holding);
                        }
                    };
                    reach::of_checkpoint(newest, &checkpoint, &mut take).await?;
                    Ok::<_, Error>((live, gone))
                }
                Source::Commit(version) => {
                    let named = reach::of_commit(newest, version, is_free).await?.unwrap_or_default();
                    let is_old = version <= earliest && earliest > 0;
                    Ok(if is_old { (Vec::new(), named) } else { (named, Vec::new()) })
                }
            }
        }
    });
    let mut told = PlaceSet::default();
    let fresh = named.buffered(AHEAD).map_ok(move |(mut named, mut old)| {
        named.retain(|holding| told.insert(&holding.location));
        old.retain(|holding| told.insert(&holding.location));
        let old = stream::iter(old).map(move |holding| if_there(newest, holding)).buffered(LOOKS);
        stream::iter(named).map(Ok).chain(old.try_filter_map(|holding| future::ready(Ok(holding))))
    });
    fresh.try_flatten().boxed()
}

/// `holding`, which went with a version that is forgotten already, unless its file went, too. Elsewhere nobody looks.
async fn if_there(newest: &DeltaVersion, holding: Holding) -> Result<Option<Holding>> {
    if !holding.location.is_below(newest.root()) {
        return Ok(Some(holding));
    }
    match newest.store().head(&holding.location).await {
        Ok(meta) => Ok(Some(Holding { size: Some(Bytes(meta.size)), ..holding })),
        Err(error) if error.kind() == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Files of the log that no version from `oldest` on needs, which has a checkpoint.
fn of_log(newest: &DeltaVersion, oldest: i64, sidecars: Sidecars) -> BoxStream<'_, Result<Holding>> {
    let all = log_files::all(newest.store(), newest.root());
    all.try_filter_map(move |(file, meta)| {
        let goes = match file {
            LogFile::Commit(version) | LogFile::Checksum(version) | LogFile::Checkpoint(version) => version < oldest,
            // The sum of commits that begins before the checkpoint's successor helps nobody.
            LogFile::Compacted(from) => oldest > 0 && from <= oldest,
            LogFile::Staged(version) => oldest > 0 && version <= oldest,
            LogFile::Sidecar => sidecars.freed.contains(&meta.location) && !sidecars.held.contains(&meta.location),
            LogFile::Hint => false,
        };
        future::ready(Ok(goes.then(|| log_files::holding(file, meta))))
    })
    .boxed()
}

/// Sidecars of checkpoints that go, and of those that stay.
#[derive(Default)]
struct Sidecars {
    freed: PlaceSet,
    held: PlaceSet,
}

/// Reads which sidecars the checkpoints before `oldest` and from it on have.
async fn sidecars(newest: &DeltaVersion, oldest: i64) -> Result<Sidecars> {
    let mut found = Sidecars::default();
    let mut files = log_files::all(newest.store(), newest.root());
    while let Some((file, meta)) = files.try_next().await? {
        let LogFile::Checkpoint(version) = file else { continue };
        match checkpoint_read::sidecars(newest.store(), newest.root(), &meta).await {
            Ok(named) => {
                let places = if version < oldest { &mut found.freed } else { &mut found.held };
                named.iter().for_each(|place: &Location| {
                    places.insert(place);
                });
            }
            // What a damaged checkpoint that goes named stays where it is.
            Err(error) if version < oldest && is_damage(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
