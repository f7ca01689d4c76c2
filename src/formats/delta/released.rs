//! What may be deleted once old versions are forgotten or emptied (protocol, "Metadata Cleanup"; VACUUM): read from the log, without listing data.

use std::cmp::Reverse;
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
use crate::model::{Forget, Holding, PlaceSet, Released};
use crate::units::Bytes;

/// How many files are looked for at a time.
const LOOKS: usize = 32;

/// Where names of files are found.
enum Source {
    Checkpoint(Checkpoint),
    Commit(i64),
}

/// What goes: log entries before one version, files before another one.
#[derive(Clone, Copy)]
struct Cut {
    /// The oldest version that the log still leads to.
    oldest: i64,
    /// The oldest version that keeps all its files.
    whole: i64,
    /// Files of versions before this one are known to be gone.
    done: Option<i64>,
    /// Removals of this time or later keep their files.
    removed_before: Option<i64>,
}

/// The files that the versions of `forget` reach and no later version does, as far as they are still there; files of the log last. That a
/// checkpoint of the oldest version that stays is there is for [`super::forget`] to see to: the files of the log are those that nobody needs
/// beside it.
pub(super) fn released<'a>(newest: &'a DeltaVersion, forget: &'a Forget) -> BoxStream<'a, Result<Released>> {
    let files = async move {
        newest.state().protocol.check_rewritable()?;
        let listing = Listing::read(newest.store(), newest.root(), None).await?;
        let cut = Cut::of(newest, &listing, forget)?;
        if !forget.versions.is_empty() {
            retention::check_protection(newest.state(), &listing, cut.oldest)?;
        }
        let kept = Arc::new(reach::since(newest, &listing, cut.whole).await?);
        let data = of_data(newest, &listing, cut, kept);
        if forget.versions.is_empty() {
            return Ok::<_, Error>(data);
        }
        let sidecars = sidecars(newest, cut.oldest).await?;
        Ok(data.chain(of_log(newest, cut.oldest, sidecars).map_ok(Released::Free)).boxed())
    };
    stream::once(files).try_flatten().boxed()
}

impl Cut {
    fn of(newest: &DeltaVersion, listing: &Listing, forget: &Forget) -> Result<Self> {
        let oldest = reach::oldest_kept(newest, listing, &forget.versions)?;
        let Some(emptied) = forget.emptied else { return Ok(Self { oldest, whole: oldest, done: None, removed_before: None }) };
        let whole = emptied.before.0.max(oldest);
        if whole > newest.state().version {
            return Err(Error::refused("the newest version of a Delta table keeps its files").about("version", newest.state().version));
        }
        // What is known is of use only where every commit since is there to tell the rest.
        let is_whole = |done: &i64| listing.is_whole(done.saturating_add(1), whole);
        let done = emptied.since.map(|since| since.0.min(whole)).filter(is_whole);
        Ok(Self { oldest, whole, done, removed_before: Some(emptied.removed_before.0) })
    }

    /// Whether `action` takes a file away and did so too late.
    fn is_too_young(self, action: &Action) -> bool {
        let Action::Remove(remove) = action else { return false };
        self.removed_before.is_some_and(|before| remove.deletion_timestamp.unwrap_or_default() >= before)
    }
}

/// Where the files are named that versions before `cut.whole` reach, newest first: the newest word on a file counts.
fn sources(listing: &Listing, cut: Cut) -> Vec<Source> {
    let commits = listing.commits_between(cut.done.unwrap_or(-1), cut.whole).into_iter();
    if cut.done.is_some() {
        return commits.map(Source::Commit).collect();
    }
    let checkpoints = reach::checkpoints_up_to(listing, cut.whole).into_iter().map(|known| (known.version, Source::Checkpoint(known)));
    let mut all: Vec<(i64, Source)> = commits.map(|version| (version, Source::Commit(version))).chain(checkpoints).collect();
    all.sort_by_key(|(version, source)| (Reverse(*version), matches!(source, Source::Checkpoint(_))));
    all.into_iter().map(|(_, source)| source).collect()
}

/// Data, vectors and change data, each told once.
fn of_data<'a>(newest: &'a DeltaVersion, listing: &Listing, cut: Cut, kept: Arc<PlaceSet>) -> BoxStream<'a, Result<Released>> {
    let named = stream::iter(sources(listing, cut)).map(move |source| {
        let kept = Arc::clone(&kept);
        async move {
            let (mut live, mut gone) = (Vec::new(), Vec::new());
            let mut take = |action: &Action, holding: Holding| {
                if !kept.contains(&holding.location) {
                    let told = if cut.is_too_young(action) { Released::TooYoung(holding) } else { Released::Free(holding) };
                    if matches!(action, Action::Remove(_)) { &mut gone } else { &mut live }.push(told);
                }
            };
            match source {
                Source::Checkpoint(checkpoint) => reach::of_checkpoint(newest, &checkpoint, &mut take).await?,
                Source::Commit(version) => {
                    reach::each_of_commit(newest, version, &mut take).await?;
                }
            }
            gone.append(&mut live);
            Ok::<_, Error>(gone)
        }
    });
    let mut told = PlaceSet::default();
    let fresh = named.buffered(AHEAD).map_ok(move |mut named| {
        named.retain(|(Released::Free(holding) | Released::TooYoung(holding))| told.insert(&holding.location));
        stream::iter(named).map(Ok)
    });
    let looks = fresh.try_flatten().map(move |told| async move {
        match told? {
            Released::Free(holding) => Ok(if_there(newest, holding).await?.map(Released::Free)),
            Released::TooYoung(holding) => Ok(if_there(newest, holding).await?.map(Released::TooYoung)),
        }
    });
    looks.buffered(LOOKS).try_filter_map(|told| future::ready(Ok(told))).boxed()
}

/// `holding`, unless its file went already: with a version that is forgotten, or by VACUUM. Elsewhere nobody looks.
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
