//! How long a table keeps its past, and what the protocol forbids to clean (protocol, "Metadata Cleanup", "VACUUM Protocol Check",
//! "Checkpoint Protection").

use super::log::Listing;
use super::replay::State;
use super::settings;
use crate::error::{Error, Result};
use crate::model::Retention;

/// The property that says before which version checkpoints are protected.
const PROTECTED_BEFORE: &str = "delta.requireCheckpointProtectionBeforeVersion";

/// What the properties say, where the table may be cleaned at all: whoever removes files must know every feature that writers must
/// (`vacuumProtocolCheck` demands it, and it is right for every table). Files that were removed go after the one duration, as VACUUM has it; a log
/// entry after the other, and never before the files it tells of.
///
/// # Errors
///
/// `Unsupported`, naming a feature; `Corrupt` for a duration that cannot be understood.
pub(super) fn of(state: &State) -> Result<Retention> {
    state.protocol.check_rewritable()?;
    let properties = &state.metadata.configuration;
    let file_age = settings::retention_ms(properties).ok_or_else(|| unclear("delta.deletedFileRetentionDuration"))?;
    let log_age = settings::log_retention_ms(properties).ok_or_else(|| unclear("delta.logRetentionDuration"))?;
    let cleans = properties.text("delta.enableExpiredLogCleanup").is_none_or(|text| !text.trim().eq_ignore_ascii_case("false"));
    let log_age = if cleans { log_age } else { i64::MAX };
    Ok(Retention {
        // Tables over files of others say so, as Iceberg's do.
        collectable: properties.text("gc.enabled").is_none_or(|text| !text.trim().eq_ignore_ascii_case("false")),
        max_age_ms: file_age.max(log_age),
        min_versions: 1,
        max_ref_age_ms: None,
        max_file_age_ms: Some(file_age),
        max_log_age_ms: Some(log_age),
    })
}

fn unclear(key: &'static str) -> Error {
    Error::corrupt("how long the table keeps its past cannot be understood").about("property", key)
}

/// The time, in milliseconds since 1970-01-01, up to which removed files are promised to nobody: the table's retention before its newest version.
/// `None` where that version has no time: then every one is kept.
///
/// # Errors
///
/// `Corrupt` for a duration that cannot be understood.
pub(super) fn youngest_expired(state: &State) -> Result<Option<i64>> {
    let keep = settings::retention_ms(&state.metadata.configuration);
    let keep = keep.ok_or_else(|| unclear("delta.deletedFileRetentionDuration"))?;
    let info = state.commit_info.as_ref();
    let now = info.and_then(|info| info.in_commit_timestamp.or(info.timestamp));
    Ok(now.map(|now| now.saturating_sub(keep)))
}

/// Whether the log may be cleaned so that `oldest` is the oldest version that stays: up to the protected version in one go, or without making a
/// checkpoint.
///
/// # Errors
///
/// `Refused`, naming the feature; `Corrupt` for a property that is no version.
pub(super) fn check_protection(state: &State, listing: &Listing, oldest: i64) -> Result<()> {
    if !state.protocol.writes("checkpointProtection") {
        return Ok(());
    }
    let Some(text) = state.metadata.configuration.text(PROTECTED_BEFORE) else { return Ok(()) };
    let wrong = || Error::corrupt("the version before which checkpoints are protected is none").about("property", PROTECTED_BEFORE);
    let protected: i64 = text.trim().parse().map_err(|_| wrong())?;
    if oldest >= protected || listing.has_checkpoint(oldest) {
        return Ok(());
    }
    Err(Error::refused("the log cannot be cleaned up to this version: feature 'checkpointProtection' forbids to make a checkpoint there")
        .about("feature", "checkpointProtection")
        .about("oldest_kept", oldest)
        .about("protected_before", protected)
        .hint("forget every version before the protected one, or up to a version that has a checkpoint"))
}
