//! Whether the log holds together: gaps, checkpoints against the commits before them, hints, checksums, spellings.

use std::collections::HashSet;

use super::actions::{FileKey, Metadata, Protocol};
use super::lines;
use super::live::LiveFile;
use super::log::{self, Checkpoint, Listing};
use super::replay::{self, Keep, State};
use super::version::DeltaVersion;
use super::{checksum, spelling};
use crate::error::{Error, Kind, Result};
use crate::model::{Fault, Finding, FindingSink, Reach};

/// Checks the log of `version`; returns how many of its files were read.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn check(version: &DeltaVersion, reach: Reach, found: FindingSink<'_>) -> Result<u64> {
    let (store, root, state) = (version.store(), version.root(), version.state());
    let listing = Listing::read(store, root, None).await?;
    gaps(version, &listing, found);
    let mut read = hint(version, &listing, found).await?;
    read += checkpoints(version, &listing, reach, found).await?;
    let start = listing.starts(state.version).into_iter().find(|start| start.map(|checkpoint| checkpoint.version) == state.start);
    if let Some(start) = start {
        read += spelling::check(version, start, found).await?;
    }
    read += checksum::check(version, found).await?;
    if reach == Reach::EveryVersion {
        read += commits(version, &listing, found).await?;
    }
    Ok(read)
}

fn gaps(version: &DeltaVersion, listing: &Listing, found: FindingSink<'_>) {
    let folder = log::folder(version.root());
    let commits = listing.commits_between(-1, i64::MAX);
    for pair in commits.windows(2) {
        if let [newer, older] = *pair
            && newer - older > 1
        {
            let what = format!("the commits {} to {} are missing between others", older + 1, newer - 1);
            found(Finding::new(Fault::LogGap, &folder, what));
        }
    }
    for version in &listing.incomplete {
        if !listing.has_checkpoint(*version) {
            found(Finding::new(Fault::CheckpointIncomplete, &folder, format!("the checkpoint of version {version} lacks parts")));
        }
    }
}

#[derive(serde::Deserialize)]
struct Hint {
    version: i64,
}

async fn hint(version: &DeltaVersion, listing: &Listing, found: FindingSink<'_>) -> Result<u64> {
    let file = log::hint_file(version.root());
    let Some(bytes) = version.store().get_if_exists(&file).await? else { return Ok(0) };
    let what = match serde_json::from_slice::<Hint>(&bytes) {
        Err(_) => Some("it cannot be understood".to_string()),
        Ok(Hint { version }) if !listing.has_checkpoint(version) => {
            Some(format!("it names version {version}, which has no complete checkpoint"))
        }
        Ok(_) => None,
    };
    what.into_iter().for_each(|what| found(Finding::new(Fault::HintStale, &file, what)));
    Ok(1)
}

/// Holds checkpoints against the state that the oldest start leads to: the whole log where it is still there.
async fn checkpoints(version: &DeltaVersion, listing: &Listing, reach: Reach, found: FindingSink<'_>) -> Result<u64> {
    let latest = version.state().version;
    let mut starts = listing.starts(latest);
    let Some(oldest) = starts.pop() else { return Ok(0) };
    if reach == Reach::Newest {
        starts.truncate(1);
    }
    let mut read = 0;
    // Without another start to compare with, the state that was loaded is all there is.
    let base = if starts.is_empty() { None } else { replayed(version, listing, oldest, found).await? };
    for start in starts {
        read += files_from(start, latest);
        let Some(state) = replayed(version, listing, start, found).await? else { continue };
        let (Some(base), Some(checkpoint)) = (&base, start) else { continue };
        for what in differences(&state, base) {
            let place = checkpoint.files.first().map_or_else(|| log::folder(version.root()), |meta| meta.location.clone());
            found(Finding::new(Fault::CheckpointWrong, place, what));
        }
    }
    Ok(read + files_from(oldest, latest))
}

fn files_from(start: Option<&Checkpoint>, latest: i64) -> u64 {
    let since = start.map_or(-1, |checkpoint| checkpoint.version);
    let files = start.map_or(0, |checkpoint| checkpoint.files.len() as u64);
    files.saturating_add(u64::try_from(latest.saturating_sub(since)).unwrap_or(0))
}

/// The newest version as `start` leads to it; `None` (and a finding) if it does not.
async fn replayed(version: &DeltaVersion, listing: &Listing, start: Option<&Checkpoint>, found: FindingSink<'_>) -> Result<Option<State>> {
    let replayed = replay::replay(version.store(), version.root(), listing, start, version.state().version, Keep::Counts).await;
    match (replayed, start) {
        (Ok(state), _) => Ok(Some(state)),
        (Err(error), _) if !is_damage(&error) => Err(error),
        (Err(error), Some(checkpoint)) => {
            let place = checkpoint.files.first().map_or_else(|| log::folder(version.root()), |meta| meta.location.clone());
            found(Finding::new(Fault::CheckpointUnreadable, place, error.message()));
            Ok(None)
        }
        (Err(error), None) => {
            found(Finding::new(Fault::VersionUnreadable, file_of(&error, version), error.message()));
            Ok(None)
        }
    }
}

/// Whether `error` says that something is damaged or gone, and not that it could not be asked for.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), Kind::Corrupt | Kind::NotFound)
}

fn file_of(error: &Error, version: &DeltaVersion) -> String {
    let named = error.context().iter().find(|(key, _)| matches!(*key, "file" | "place"));
    named.map_or_else(|| log::folder(version.root()).to_string(), |(_, file)| file.clone())
}

/// In what the state of a checkpoint differs from that of the commits. Transactions may have expired in checkpoints.
pub(super) fn differences(checkpoint: &State, commits: &State) -> Vec<String> {
    let keys = |state: &State| -> HashSet<FileKey> { state.files.iter().map(LiveFile::key).collect() };
    let (theirs, ours) = (keys(checkpoint), keys(commits));
    let (lacks, adds) = (ours.difference(&theirs).count(), theirs.difference(&ours).count());
    let mut found = Vec::new();
    if lacks > 0 {
        found.push(format!("with it {lacks} live files are missing that the commits have"));
    }
    if adds > 0 {
        found.push(format!("with it {adds} files are live that the commits do not have"));
    }
    if !same_protocol(&checkpoint.protocol, &commits.protocol) {
        found.push("its protocol is not that of the commits".into());
    }
    if !same_metadata(&checkpoint.metadata, &commits.metadata) {
        found.push("its schema or properties are not those of the commits".into());
    }
    let moved = |id: &String, version: i64| commits.transactions.get(id).is_none_or(|txn| txn.version != version);
    if checkpoint.transactions.iter().any(|(id, txn)| moved(id, txn.version)) {
        found.push("its application transactions are not those of the commits".into());
    }
    if checkpoint.domains != commits.domains {
        found.push("its domains are not those of the commits".into());
    }
    found
}

/// Whether two protocols ask for the same.
pub(super) fn same_protocol(a: &Protocol, b: &Protocol) -> bool {
    let features = |list: &Option<Vec<String>>| list.iter().flatten().cloned().collect::<HashSet<String>>();
    (a.min_reader_version, a.min_writer_version) == (b.min_reader_version, b.min_writer_version)
        && features(&a.reader_features) == features(&b.reader_features)
        && features(&a.writer_features) == features(&b.writer_features)
}

/// Whether two metadata actions mean the same table.
pub(super) fn same_metadata(a: &Metadata, b: &Metadata) -> bool {
    let settings = |metadata: &Metadata| {
        let mut settings: Vec<_> = metadata.configuration.0.clone();
        settings.sort();
        settings
    };
    (&a.id, &a.schema_string, &a.partition_columns) == (&b.id, &b.schema_string, &b.partition_columns) && settings(a) == settings(b)
}

/// Reads every commit that is still there.
async fn commits(version: &DeltaVersion, listing: &Listing, found: FindingSink<'_>) -> Result<u64> {
    let commits = listing.commits_between(-1, i64::MAX);
    for commit in &commits {
        let file = log::commit_file(version.root(), *commit);
        let read = match version.store().pieces(&file).await {
            Ok(pieces) => lines::read_pieces(pieces, &file, |_| Ok(())).await,
            Err(error) => Err(error),
        };
        match read {
            Err(error) if is_damage(&error) => found(Finding::new(Fault::VersionUnreadable, &file, error.message())),
            other => other?,
        }
    }
    Ok(commits.len() as u64)
}
