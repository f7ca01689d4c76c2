//! The versions whose commits are still in the log, as a history (protocol, "Commit Provenance Information").

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::lines::CommitInfo;
use super::log::Listing;
use super::version::DeltaVersion;
use super::{replay, travel};
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
        let since = travel::in_commit_since(newest.state());
        let commits: Vec<(i64, Timestamp)> = travel::file_times(&listing)
            .filter(|(version, _)| *version >= earliest)
            .take_while(|(version, _)| *version <= newest.state().version)
            .collect();
        let reads = futures::stream::iter(commits).map(move |(version, by_file)| async move {
            let info = replay::read_commit_info(newest.store(), newest.root(), version).await?;
            let keeps_times = since.is_some_and(|since| version >= since);
            Ok(info.map(|info| entry(version, info, by_file, keeps_times)))
        });
        Ok::<_, crate::error::Error>(reads.buffered(AHEAD).try_filter_map(|entry| async move { Ok(entry) }))
    };
    futures::stream::once(entries).try_flatten().boxed()
}

/// The time of a version is the one that time travel goes by. Without in-commit timestamps that is when its file was written, whatever the writer's
/// clock said.
fn entry(version: i64, info: CommitInfo, by_file: Timestamp, keeps_times: bool) -> HistoryEntry {
    HistoryEntry {
        version: Version(version),
        time: Some(info.in_commit_timestamp.filter(|_| keeps_times).map_or(by_file, Timestamp)),
        parent: version.checked_sub(1).filter(|parent| *parent >= 0).map(Version),
        operation: info.operation,
        summary: info.metrics,
        is_ancestor: true,
    }
}
