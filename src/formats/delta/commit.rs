//! Offering a change, checking whether it still holds, and finding it again.

use super::lines::Action;
use super::log::{self, Listing};
use super::version::DeltaVersion;
use super::{entry, lines, replay};
use crate::commit::Answer;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::model::{Change, OperationId, Version};
use crate::store::Put;
use crate::units::Timestamp;

/// Tries `change` once, as the version after `base`.
pub(super) async fn offer(base: &DeltaVersion, change: &Change, now: Timestamp) -> Answer {
    let Some(next) = base.state().version.checked_add(1).map(Version) else {
        return Answer::Rejected(Error::corrupt("the log has no version left"));
    };
    let entry = match change.check().and_then(|()| base.rewritable_state()).and_then(|()| entry::build(base, change, now, next)) {
        Ok(entry) => entry,
        Err(error) => return Answer::Rejected(error),
    };
    let mut written = Vec::new();
    for (place, bytes) in entry.vectors {
        // An earlier try of this very commit may have written it: the name says so, and the contents are the same.
        match base.store().put_if_absent(&place, bytes.into()).await {
            Ok(_) => written.push(place),
            Err(error) => {
                written.push(place);
                return discard(base, written, Answer::Rejected(error)).await;
            }
        }
    }
    let answer = put(base, next, entry.bytes, entry::txn_id(&change.operation, change.part)).await;
    discard(base, written, answer).await
}

/// Claims version `next`, the one after `base`, with the commit `bytes` that `txn_id` names.
pub(super) async fn put(base: &DeltaVersion, next: Version, bytes: Vec<u8>, txn_id: String) -> Answer {
    let file = log::commit_file(base.root(), next.0);
    match base.store().put_if_absent(&file, bytes.into()).await {
        Ok(Put::Created) => Answer::Ours(next),
        Ok(Put::Exists) => whose(base, txn_id, next).await,
        Err(error) if error.kind() == Kind::Unavailable => Answer::Silence(error),
        Err(error) => Answer::Rejected(error),
    }
}

/// Removes the files of a commit that can never land; what cannot be removed is left to the clean-up of dead runs.
async fn discard(base: &DeltaVersion, written: Vec<Location>, answer: Answer) -> Answer {
    if matches!(answer, Answer::Taken | Answer::Rejected(_)) {
        base.store().delete_all(written).await;
    }
    answer
}

/// Who made version `next`: after a lost answer, a retry beneath us may have met our own commit. One that cannot be read is nobody's: that is
/// no certainty.
async fn whose(base: &DeltaVersion, txn_id: String, next: Version) -> Answer {
    match replay::read_commit_info(base.store(), base.root(), next.0).await {
        Ok(Some(info)) if info.txn_id.as_ref() == Some(&txn_id) => Answer::Ours(next),
        Ok(Some(_)) => Answer::Taken,
        Ok(None) => Answer::Silence(Error::unavailable("a commit that was there is gone").about("version", next)),
        Err(error) => Answer::Silence(error),
    }
}

/// For each group, whether it holds in `now`: its files are live with the same deletes, and neither schema, properties nor protocol have changed
/// since it was planned. What others add, remove or mark elsewhere does not matter: the same rows in other files disturb nobody, and rows that
/// come are not among those a deletion was planned for.
///
/// # Errors
///
/// `Unavailable` if storage did not answer, `Corrupt` for a log that cannot be understood.
pub(super) async fn still_holds(now: &DeltaVersion, change: &Change) -> Result<Vec<bool>> {
    let same_rules = match change.base {
        Some(base) => !rules_changed_since(now, base.0).await?,
        None => false,
    };
    change.groups.iter().map(|group| Ok(same_rules && entry::is_live(now, group)?)).collect()
}

async fn rules_changed_since(now: &DeltaVersion, base: i64) -> Result<bool> {
    let state = now.state();
    if state.rules_changed.is_some_and(|version| version > base) || base > state.version {
        return Ok(true);
    }
    // The replay has seen the commits after its checkpoint; those before it are asked one by one.
    let Some(start) = state.start else { return Ok(false) };
    for version in base + 1..=start {
        let file = log::commit_file(now.root(), version);
        let Some(pieces) = now.store().pieces_if_exists(&file).await? else { return Ok(true) };
        let mut changed = false;
        let note = |action| {
            changed |= matches!(action, Action::Metadata(_) | Action::Protocol(_));
            Ok(())
        };
        lines::read_pieces(pieces, &file, note).await?;
        if changed {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The version up to `newest` that part `part` of `operation` made. That there is none is certain only where every commit after `since` is there.
///
/// # Errors
///
/// `Unavailable` if one of them is gone or storage did not answer, `Corrupt` for a damaged commit.
pub(super) async fn find(newest: &DeltaVersion, operation: &OperationId, part: u32, since: Option<Version>) -> Result<Option<Version>> {
    let wanted = Some(entry::txn_id(operation, part));
    let listing = Listing::read(newest.store(), newest.root(), since.map(|version| version.0)).await?;
    let from = since.map_or(-1, |version| version.0);
    let mut read = 0;
    for version in listing.commits_between(from, newest.state().version) {
        let Some(info) = replay::read_commit_info(newest.store(), newest.root(), version).await? else { continue };
        if info.txn_id == wanted {
            return Ok(Some(Version(version)));
        }
        read += 1;
    }
    match since {
        Some(since) if read < newest.state().version.saturating_sub(from) => {
            Err(Error::unavailable("commits made since the run began are no longer in the log").about("since", since))
        }
        _ => Ok(None),
    }
}
