//! What a reader opens besides data files: a checkpoint and the commits after it, which another checkpoint sums up (protocol, "Checkpoints").

use super::bookkeeping;
use super::log::{self, Listing};
use super::version::DeltaVersion;
use super::{checkpoint_read, compacted, forget};
use crate::error::{Error, Result};
use crate::model::{ListContent, ListGroup, ListPlan, ListWhy, ListWishes};
use crate::units::Bytes;

/// What [`checkpoint_newest`] would do: sum up the commits after the newest checkpoint, or lead readers to it. One commit is as good as a checkpoint
/// of it. A log has no sizes and no order to choose.
///
/// # Errors
///
/// `Usage` for wishes that mean nothing here, `Unavailable` if storage did not answer.
pub(super) async fn plan(version: &DeltaVersion, wishes: &ListWishes) -> Result<ListPlan> {
    if wishes.target.is_some() || wishes.spec.is_some() || !wishes.order.is_empty() {
        return Err(Error::usage("a Delta table has no manifests that have a size, an order or a partition spec")
            .hint("leave these options out: a checkpoint of the newest version is written"));
    }
    let listing = Listing::read(version.store(), version.root(), None).await?;
    if wishes.sums {
        return sums(version, &listing);
    }
    let newest = version.state().version;
    let start = listing.starts(newest).first().copied().ok_or_else(|| listing.gap(version.root(), newest))?;
    let commits = listing.commits_between(start.map_or(-1, |checkpoint| checkpoint.version), newest);
    let size = |of: &[i64]| Bytes(of.iter().filter_map(|commit| listing.commit(*commit)).map(|meta| meta.size).sum());
    let parts = start.map(|checkpoint| checkpoint.files.as_slice()).unwrap_or_default();
    let read_anew = match (commits.len(), start) {
        (0, Some(_)) if is_hint_stale(version, &listing).await? => listing.commits_between(-1, newest),
        (1, None) => Vec::new(),
        _ => commits.clone(),
    };
    let group = ListGroup {
        content: ListContent::Log,
        spec: None,
        lists: read_anew.len() as u64,
        bytes: size(&read_anew),
        files: Some(version.state().files.len() as u64),
        why: ListWhy::NoCheckpoint,
    };
    Ok(ListPlan {
        lists: (commits.len() + parts.len()) as u64,
        bytes: Bytes(size(&commits).0.saturating_add(parts.iter().map(|meta| meta.size).sum())),
        groups: Some(group).filter(|group| group.lists > 0).into_iter().collect(),
        left: Vec::new(),
    })
}

/// What [`compacted::offer`] would do: one file for the commits after the newest checkpoint, sums among them counted as they are read.
fn sums(version: &DeltaVersion, listing: &Listing) -> Result<ListPlan> {
    let newest = version.state().version;
    let start = listing.starts(newest).first().copied().ok_or_else(|| listing.gap(version.root(), newest))?;
    let pieces = compacted::pieces(listing, start.map_or(-1, |checkpoint| checkpoint.version), newest);
    let bytes: u64 = pieces.iter().filter_map(|piece| listing.piece(*piece)).map(|meta| meta.size).sum();
    let parts = start.map(|checkpoint| checkpoint.files.as_slice()).unwrap_or_default();
    let why = ListWhy::NoCheckpoint;
    let group = ListGroup { content: ListContent::Log, spec: None, lists: pieces.len() as u64, bytes: Bytes(bytes), files: None, why };
    Ok(ListPlan {
        lists: (pieces.len() + parts.len()) as u64,
        bytes: Bytes(parts.iter().map(|meta| meta.size).fold(bytes, u64::saturating_add)),
        groups: Some(group).filter(|group| group.lists > 1).into_iter().collect(),
        left: Vec::new(),
    })
}

async fn is_hint_stale(version: &DeltaVersion, listing: &Listing) -> Result<bool> {
    let hint = version.store().get_if_exists(&log::hint_file(version.root())).await?;
    Ok(hint.is_some_and(|hint| bookkeeping::stale(&hint, listing, Some(version.state().version)).is_some()))
}

/// Writes a checkpoint of `newest` unless it has one, and sees to it that the hint leads there. Whether `newest` is still the newest version:
/// otherwise nothing was done.
///
/// # Errors
///
/// As [`forget::forget`].
pub(super) async fn checkpoint_newest(newest: &DeltaVersion) -> Result<bool> {
    let version = newest.state().version;
    let listing = Listing::read(newest.store(), newest.root(), None).await?;
    if listing.latest().is_some_and(|latest| latest > version) {
        return Ok(false);
    }
    let done = checkpoint(newest, &listing).await.map(|()| true);
    listing.or_outdated(newest.store(), newest.root(), done, false).await
}

async fn checkpoint(newest: &DeltaVersion, listing: &Listing) -> Result<()> {
    let version = newest.state().version;
    match listing.checkpoints().find(|checkpoint| checkpoint.version == version) {
        None => forget::write(newest, listing, version).await,
        Some(known) if is_hint_stale(newest, listing).await? => {
            let text = checkpoint_read::hint(newest.store(), newest.root(), known).await?;
            newest.store().put(&log::hint_file(newest.root()), text.into()).await
        }
        Some(_) => Ok(()),
    }
}
