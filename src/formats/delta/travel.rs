//! Older versions of a table: which can be rebuilt, and which was the newest at a time (protocol, "In-Commit Timestamps").

use super::log::Listing;
use super::replay::{self, Keep};
use super::settings;
use super::table::DeltaTable;
use super::version::DeltaVersion;
use crate::error::{Error, Kind, Result};
use crate::model::At;
use crate::units::Timestamp;

/// The version of `table` that `at` names.
///
/// # Errors
///
/// `NotFound` if there is none, or if the log no longer leads to it; else as loading the newest version.
pub(super) async fn load(table: &DeltaTable, at: &At) -> Result<DeltaVersion> {
    let (version, by_file_times) = match at {
        At::Version(version) => (version.0, false),
        At::Time(time) => version_at(table, *time).await?,
        At::Ref(name) => {
            return Err(Error::not_found("Delta tables have no branches and no tags")
                .about("asked_for", name)
                .hint("give a version number, or a time as RFC 3339 writes it"));
        }
    };
    match table.state(Some(version), Keep::Live).await {
        Ok((state, listing)) => Ok(table.version(state, &listing)?.found(by_file_times)),
        Err(error) if matches!(error.kind(), Kind::Corrupt | Kind::NotFound) => Err(explain(table, version).await?.unwrap_or(error)),
        Err(error) => Err(error),
    }
}

/// Why `version` is not there, if the log says that it is not; a version that should be there is damaged.
async fn explain(table: &DeltaTable, version: i64) -> Result<Option<Error>> {
    let listing = Listing::read(table.store(), table.root(), None).await?;
    let (Some(earliest), Some(latest)) = (listing.earliest(), listing.latest()) else { return Ok(None) };
    let missing = |message: &'static str| {
        Error::not_found(message)
            .about("table", table.root())
            .about("version", version)
            .about("earliest", earliest)
            .about("latest", latest)
            .hint("ask for a version from the earliest to the latest")
    };
    Ok(match version {
        _ if version > latest || version < 0 => Some(missing("the table has no such version")),
        _ if version < earliest => Some(missing("the version can no longer be read: the log before it was cleaned up")),
        _ => None,
    })
}

/// The newest version that was there at `time`, and whether the times of the log's files told it.
async fn version_at(table: &DeltaTable, time: Timestamp) -> Result<(i64, bool)> {
    let (state, _) = table.state(None, Keep::Counts).await?;
    let listing = Listing::read(table.store(), table.root(), None).await?;
    let enabled = state.metadata.configuration.text("delta.inCommitTimestampEnablementTimestamp");
    let since_time = enabled.and_then(|text| text.trim().parse().ok()).unwrap_or(i64::MIN);
    let since = in_commit_since(&state);
    let by_files = since.is_none() || time.0 < since_time;
    let found = match since.filter(|_| !by_files) {
        Some(since) => by_commit_times(table, &listing, since, time).await?,
        None => by_file_times(&listing, since.unwrap_or(i64::MAX), time),
    };
    found.map(|version| (version, by_files)).ok_or_else(|| {
        let first = listing.earliest().and_then(|version| listing.commit(version)).map(|meta| meta.modified);
        let error = Error::not_found("no version of the table is as old as that").about("table", table.root()).about("time", time);
        let error =
            first.map(|first| error.about("first_commit", first)).unwrap_or_else(|| Error::not_found("the log has no commits left"));
        error.hint("ask for a later time, or for a version")
    })
}

/// By halves: in-commit timestamps grow from version to version.
async fn by_commit_times(table: &DeltaTable, listing: &Listing, since: i64, time: Timestamp) -> Result<Option<i64>> {
    let versions: Vec<i64> = listing.commits_from(since).collect();
    let (mut from, mut to) = (0, versions.len());
    while from < to {
        let middle = from.midpoint(to);
        let Some(version) = versions.get(middle).copied() else { break };
        let info = replay::read_commit_info(table.store(), table.root(), version).await?.unwrap_or_default();
        let made = info.in_commit_timestamp.ok_or_else(|| {
            Error::corrupt("a commit has no in-commit timestamp though the table keeps them")
                .about("table", table.root())
                .about("version", version)
        })?;
        if made <= time.0 {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from.checked_sub(1).and_then(|last| versions.get(last).copied()))
}

/// By when commit files below `until` were written.
fn by_file_times(listing: &Listing, until: i64, time: Timestamp) -> Option<i64> {
    let known = file_times(listing).take_while(|(version, at)| *version < until && *at <= time);
    known.last().map(|(version, _)| version)
}

/// When each commit counts as made where its file's time tells, oldest first. Clocks may step back: a commit counts as later than the one before it.
pub(super) fn file_times(listing: &Listing) -> impl Iterator<Item = (i64, Timestamp)> + '_ {
    let mut last = i64::MIN;
    listing.commits_from(0).filter_map(move |version| {
        let modified = listing.commit(version)?.modified.0;
        last = modified.max(last.saturating_add(1));
        Some((version, Timestamp(last)))
    })
}

/// The first version whose in-commit timestamp counts; `None` where the table keeps none.
pub(super) fn in_commit_since(state: &replay::State) -> Option<i64> {
    let properties = &state.metadata.configuration;
    let keeps_times = state.protocol.writes("inCommitTimestamp") && settings::on(properties, "delta.enableInCommitTimestamps");
    // Without the property, they are there from the first commit on.
    let since = properties.text("delta.inCommitTimestampEnablementVersion").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    keeps_times.then_some(since)
}

impl DeltaTable {
    /// The version that `state` is, found in `listing`.
    pub(super) fn version(&self, state: replay::State, listing: &Listing) -> Result<DeltaVersion> {
        let modified = listing.commit(state.version).map(|meta| meta.modified);
        let kept = listing.whole.then(|| listing.versions());
        DeltaVersion::new(self.store().clone(), self.root().clone(), state, kept, modified)
    }
}
