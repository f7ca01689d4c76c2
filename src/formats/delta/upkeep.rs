//! Changes of what a table keeps, without new rows.
//!
//! Forgetting and rewriting the lists of files make checkpoints, not versions: nothing of theirs can land late and be harmful, so they are never in
//! doubt. Restoring is a commit like any other.

use super::version::DeltaVersion;
use super::{compacted, forget, lists, restore};
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::model::{Upkeep, UpkeepKind, Version};
use crate::units::Timestamp;

/// Tries `upkeep` once on top of `base`.
pub(super) async fn offer(base: &DeltaVersion, upkeep: &Upkeep, now: Timestamp) -> Answer {
    match &upkeep.kind {
        UpkeepKind::Forget(wanted) => without_a_version(base, forget::forget(base, wanted).await),
        UpkeepKind::RewriteManifests(wishes) if wishes.sums => compacted::offer(base).await,
        UpkeepKind::RewriteManifests(_) => without_a_version(base, lists::checkpoint_newest(base).await),
        UpkeepKind::Restore(version) => restore::offer(base, upkeep, *version, now).await,
        UpkeepKind::SetReference(_) | UpkeepKind::DropReference(_) => {
            Answer::Rejected(Error::unsupported("Delta tables have no branches and no tags"))
        }
    }
}

/// What a change comes to that is in the table as soon as its files are: `done` is whether `base` is still the newest version.
fn without_a_version(base: &DeltaVersion, done: Result<bool>) -> Answer {
    match done {
        Ok(true) => Answer::Ours(Version(base.state().version)),
        Ok(false) => Answer::Taken,
        Err(error) => Answer::Rejected(error),
    }
}
