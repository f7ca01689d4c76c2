//! What has to be true before files of the log may go: a checkpoint of the oldest version that stays, read back and compared (protocol, "Metadata
//! Cleanup").

use std::collections::BTreeMap;

use super::check::{differences, is_damage};
use super::live::LiveFile;
use super::log::{self, Checkpoint, Listing};
use super::replay::{self, Keep, State};
use super::version::DeltaVersion;
use super::{checkpoint_read, checkpoint_write, reach, retention};
use crate::error::{Error, Result};
use crate::model::Forget;

/// Sees to it that what stays can be rebuilt without what goes. Whether `newest` is still the newest version: otherwise nothing was done.
///
/// # Errors
///
/// `Refused` for versions that cannot go; `Corrupt` if a checkpoint and the commits before it differ; `Unsupported` for a table that no checkpoint of
/// ours could keep; `Unavailable` if storage did not answer.
pub(super) async fn forget(newest: &DeltaVersion, forget: &Forget) -> Result<bool> {
    if let Some(name) = forget.references.first() {
        return Err(Error::not_found("Delta tables have no branches and no tags").about("reference", name));
    }
    retention::of(newest.state())?;
    let listing = Listing::read(newest.store(), newest.root(), None).await?;
    if listing.latest().is_some_and(|latest| latest > newest.state().version) {
        return Ok(false);
    }
    let oldest = reach::oldest_kept(newest, &listing, &forget.versions)?;
    if forget.versions.is_empty() {
        return Ok(true);
    }
    retention::check_protection(newest.state(), &listing, oldest)?;
    // Another run may forget the same: what is left to do is then to be seen anew.
    let done = secure(newest, &listing, oldest).await.map(|()| true);
    listing.or_outdated(newest.store(), newest.root(), done, false).await
}

/// Makes certain that `version` has a checkpoint that says what the log before it says, and that the hint leads to one that stays.
async fn secure(newest: &DeltaVersion, listing: &Listing, version: i64) -> Result<()> {
    let known = listing.checkpoints().find(|checkpoint| checkpoint.version == version);
    let Some(known) = known else { return write(newest, listing, version).await };
    let own = replayed(newest, listing, Some(known), version, Keep::Counts).await?;
    own.protocol.check_rewritable()?;
    let others = listing.starts(version).into_iter().filter(|start| start.is_none_or(|start| start.version != version));
    if let Some(other) = first_working(newest, listing, others.collect(), version, Keep::Counts).await? {
        agree(&own, &other)?;
    }
    if hint(newest).await?.is_none_or(|hint| hint < version || !listing.has_checkpoint(hint)) {
        let text = checkpoint_read::hint(newest.store(), newest.root(), known).await?;
        newest.store().put(&log::hint_file(newest.root()), text.into()).await?;
    }
    Ok(())
}

/// Writes the checkpoint of `version`, reads it back and compares.
///
/// # Errors
///
/// As [`forget`].
pub(super) async fn write(newest: &DeltaVersion, listing: &Listing, version: i64) -> Result<()> {
    let (store, root) = (newest.store(), newest.root());
    let state = first_working(newest, listing, listing.starts(version), version, Keep::All).await?;
    let state = state.ok_or_else(|| listing.gap(root, version))?;
    let text = checkpoint_write::write(store, root, &state).await?;
    let file = store.head(&log::checkpoint_file(root, version)).await?;
    let checkpoint = Checkpoint { version, files: vec![file] };
    let read = replayed(newest, listing, Some(&checkpoint), version, Keep::Counts).await;
    let same = read.and_then(|back| agree(&back, &state).and_then(|()| same_files(&back, &state)));
    if let Err(error) = same {
        if !is_damage(&error) {
            return Err(error);
        }
        // Readers would take it for the truth.
        store.delete(&log::checkpoint_file(root, version)).await?;
        return Err(Error::bug("a checkpoint was read back other than it was written; it was removed again").because(error));
    }
    if hint(newest).await?.is_none_or(|hint| hint < version || !listing.has_checkpoint(hint)) {
        store.put(&log::hint_file(root), text.into()).await?;
    }
    Ok(())
}

async fn replayed(newest: &DeltaVersion, listing: &Listing, start: Option<&Checkpoint>, version: i64, keep: Keep) -> Result<State> {
    replay::replay(newest.store(), newest.root(), listing, start, version, keep).await
}

/// `version` as the first of `starts` leads to it that is not damaged; `None` if there is none.
async fn first_working(
    newest: &DeltaVersion,
    listing: &Listing,
    starts: Vec<Option<&Checkpoint>>,
    version: i64,
    keep: Keep,
) -> Result<Option<State>> {
    let mut damage = None;
    for start in starts {
        match replayed(newest, listing, start, version, keep).await {
            Ok(state) => return Ok(Some(state)),
            Err(error) if is_damage(&error) => damage = damage.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    damage.map_or(Ok(None), Err)
}

/// Whether two states of a version are the same.
///
/// # Errors
///
/// `Corrupt` if they are not.
pub(super) fn agree(checkpoint: &State, commits: &State) -> Result<()> {
    match differences(checkpoint, commits).into_iter().next() {
        None => Ok(()),
        Some(what) => Err(Error::corrupt("a checkpoint and the log before it say different things: nothing of the log can go")
            .about("version", checkpoint.version)
            .about("difference", what)
            .hint("otf fsck TABLE tells more; nothing was changed")),
    }
}

/// Whether every file came back as it was written, statistics aside.
///
/// # Errors
///
/// `Corrupt`, naming a file that did not.
pub(super) fn same_files(back: &State, written: &State) -> Result<()> {
    let mut partitions: BTreeMap<u32, u32> = BTreeMap::new();
    for add in written.files.iter() {
        let same = back.files.find(add.key()).is_some_and(|found| {
            // Each partition is compared once, by the first file that is in it.
            let known = partitions.insert(add.partition, found.partition);
            let same_values = known == Some(found.partition) || back.files.values(found) == written.files.values(add);
            same_values && is_same(found, add)
        });
        if !same {
            return Err(Error::corrupt("a file is another").about("file", add.path()));
        }
    }
    Ok(())
}

fn is_same(a: &LiveFile, b: &LiveFile) -> bool {
    (a.size, a.modification_time) == (b.size, b.modification_time) && (a.path(), a.vector(), a.extra()) == (b.path(), b.vector(), b.extra())
}

/// The version that the hint names.
async fn hint(newest: &DeltaVersion) -> Result<Option<i64>> {
    let bytes = newest.store().get_if_exists(&log::hint_file(newest.root())).await?;
    Ok(bytes.and_then(|bytes| log::hinted(&bytes)))
}
