//! What the log of a version comes to: how much a reader replays (protocol, "Checkpoints", "Last Checkpoint File").

use super::log::{self, Listing};
use super::settings;
use super::version::DeltaVersion;
use crate::error::Result;
use crate::model::Bookkeeping;

#[derive(serde::Deserialize)]
struct Hint {
    version: i64,
}

/// Counts commits and finds the newest checkpoint of `version`, by one listing of the log.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn of(version: &DeltaVersion) -> Result<Bookkeeping> {
    let state = version.state();
    let listing = Listing::read(version.store(), version.root(), None).await?;
    // Where no start leads here any more (the log was cleaned up meanwhile), the one that did is known.
    let newest = listing.starts(state.version).first().map_or(state.start, |start| start.map(|checkpoint| checkpoint.version));
    let since = state.version.saturating_sub(newest.unwrap_or(-1));
    let hint = version.store().get_if_exists(&log::hint_file(version.root())).await?;
    Ok(Bookkeeping {
        log_entries: Some(listing.versions()),
        since_checkpoint: u64::try_from(since).ok(),
        checkpoint_interval: u64::try_from(settings::checkpoint_interval(&state.metadata.configuration)).ok(),
        stale_hint: hint.and_then(|hint| stale(&hint, &listing, newest)),
        ..Bookkeeping::default()
    })
}

/// What is wrong with a hint where `newest` is the newest checkpoint.
pub(super) fn stale(hint: &[u8], listing: &Listing, newest: Option<i64>) -> Option<String> {
    match serde_json::from_slice::<Hint>(hint) {
        Err(_) => Some("it cannot be understood".to_string()),
        Ok(Hint { version }) if !listing.has_checkpoint(version) => {
            Some(format!("it names version {version}, which has no complete checkpoint"))
        }
        Ok(Hint { version }) => {
            let newest = newest.filter(|newest| version < *newest)?;
            Some(format!(
                "it names the checkpoint of version {version}, the newest is that of {newest}: readers replay the commits between them"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_that_leads_nowhere_is_stale() {
        let listing = Listing::default();
        assert_eq!(stale(b"{", &listing, None).as_deref(), Some("it cannot be understood"));
        assert_eq!(stale(br#"{"version": 7}"#, &listing, None).as_deref(), Some("it names version 7, which has no complete checkpoint"));
    }
}
