//! What a reader of the newest version opens besides data files: the newest checkpoint and the commits since then (protocol, "Checkpoints").

use super::log::Listing;
use super::version::DeltaVersion;
use crate::error::{Error, Result};
use crate::model::{ListContent, ListGroup, ListPlan, ListWhy, ListWishes};
use crate::units::Bytes;

/// Whether the version of `newest` needs a checkpoint. A table of a single commit needs none: it would be no less to read.
///
/// # Errors
///
/// `Usage` for wishes that only manifests can meet; `Unavailable` if storage did not answer.
pub(super) async fn plan(newest: &DeltaVersion, wishes: &ListWishes) -> Result<ListPlan> {
    if wishes.target.is_some() || wishes.spec.is_some() || !wishes.order.is_empty() {
        return Err(Error::usage("a Delta log has no manifests whose size, spec or order could be chosen")
            .hint("leave out --target-size, --spec-id and --sort-by: the newest version gets a checkpoint"));
    }
    let version = newest.state().version;
    let listing = Listing::read(newest.store(), newest.root(), None).await?;
    let start = listing.starts(version).into_iter().next().flatten();
    let since = start.map_or(-1, |checkpoint| checkpoint.version);
    let commits = listing.commits_between(since, version);
    let bytes_of_commits: Bytes = commits.iter().filter_map(|commit| listing.commit(*commit)).map(|meta| Bytes(meta.size)).sum();
    let bytes_of_checkpoint: Bytes = start.into_iter().flat_map(|checkpoint| &checkpoint.files).map(|meta| Bytes(meta.size)).sum();
    let lists = (commits.len() as u64).saturating_add(u64::from(start.is_some()));
    let bytes = bytes_of_commits.plus(bytes_of_checkpoint);
    let is_due = version > 0 && !listing.has_checkpoint(version);
    let group = ListGroup { content: ListContent::Log, spec: None, lists, bytes, files: None, why: ListWhy::NoCheckpoint };
    Ok(ListPlan { groups: if is_due { vec![group] } else { Vec::new() }, lists, bytes, left: Vec::new() })
}
