//! The versions whose commits are still in the log, as a history (protocol, "Commit Provenance Information").

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::commit_info::has_commit_times;
use super::lines::CommitInfo;
use super::log::Listing;
use super::replay;
use super::version::DeltaVersion;
use crate::error::Result;
use crate::model::{HistoryEntry, Version};
use crate::units::Timestamp;

/// How many commits are read at a time.
const AHEAD: usize = 16;

/// Every version up to `newest` that can still be read, oldest first. Commits whose beginnings were cleaned up, so that they lead to no version,
/// are left out; so is a version that only a checkpoint still holds.
pub(super) fn history(newest: &DeltaVersion) -> BoxStream<'_, Result<HistoryEntry>> {
    let entries = async move {
        let listing = Listing::read(newest.store(), newest.root(), None).await?;
        let earliest = listing.earliest().unwrap_or(i64::MAX);
        let known = has_commit_times(newest.state());
        let commits: Vec<(i64, Timestamp)> = listing
            .commits_from(earliest)
            .take_while(|version| *version <= newest.state().version)
            .filter_map(|version| Some((version, listing.commit(version)?.modified)))
            .collect();
        let reads = futures::stream::iter(commits).map(move |(version, modified)| async move {
            let info = replay::read_commit_info(newest.store(), newest.root(), version).await?;
            Ok(info.map(|info| entry(version, info, modified, known)))
        });
        Ok::<_, crate::error::Error>(reads.buffered(AHEAD).try_filter_map(|entry| async move { Ok(entry) }))
    };
    futures::stream::once(entries).try_flatten().boxed()
}

/// Without in-commit timestamps the time of a version is when its file was written, whatever the writer's clock said (as for time travel).
fn entry(version: i64, info: CommitInfo, modified: Timestamp, keeps_times: bool) -> HistoryEntry {
    HistoryEntry {
        version: Version(version),
        time: Some(info.in_commit_timestamp.filter(|_| keeps_times).map_or(modified, Timestamp)),
        parent: version.checked_sub(1).filter(|parent| *parent >= 0).map(Version),
        operation: info.operation,
        summary: info.metrics,
        is_ancestor: true,
    }
}
