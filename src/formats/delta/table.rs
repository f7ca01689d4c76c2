//! A Delta table at a place.

use std::sync::Arc;

use async_trait::async_trait;

use super::log::{self, Checkpoint, Listing};
use super::replay::{self, Keep, State};
use super::{check, checkpoint_write, checksum_write, compacted, settings, travel};
use crate::error::{Error, Kind, Result};
use crate::formats::{FormatName, Table, TableVersion};
use crate::location::Location;
use crate::model::{At, Version};
use crate::store::Store;

/// A Delta table at a place.
#[derive(Debug)]
pub struct DeltaTable {
    store: Store,
    root: Location,
}

/// How often the log is listed for one load, where somebody cleans it up meanwhile.
const LISTINGS: u32 = 3;

impl DeltaTable {
    /// The table whose `_delta_log` lies below `root`.
    pub const fn new(store: Store, root: Location) -> Self {
        Self { store, root }
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn root(&self) -> &Location {
        &self.root
    }

    /// The version the newest checkpoint may have. Only a hint: it may be damaged, stale or missing.
    async fn hint(&self) -> Result<Option<i64>> {
        let bytes = self.store.get_if_exists(&log::hint_file(&self.root)).await?;
        Ok(bytes.and_then(|bytes| log::hinted(&bytes)))
    }

    /// Rebuilds `version` (the newest if `None`) from the first start that works, together with the listing it was found in.
    pub(super) async fn state(&self, version: Option<i64>, keep: Keep) -> Result<(State, Listing)> {
        if let Some(hint) = self.hint().await?.filter(|hint| version.is_none_or(|version| *hint <= version)) {
            let listing = Listing::read(&self.store, &self.root, Some(hint)).await?;
            if let Some(wanted) = version.or_else(|| listing.latest())
                && let Some(Ok(state)) = self.replay(&listing, wanted, keep).await
            {
                return Ok((state, listing));
            }
        }
        let mut tries = LISTINGS;
        loop {
            let listing = Listing::read(&self.store, &self.root, None).await?;
            let Some(latest) = listing.latest() else {
                return Err(Error::not_found("there is no Delta table here").about("table", &self.root));
            };
            let wanted = version.unwrap_or(latest);
            let error = match self.replay(&listing, wanted, keep).await {
                Some(Ok(state)) => return Ok((state, listing)),
                Some(Err(error)) => error,
                None => return Err(listing.gap(&self.root, wanted)),
            };
            tries -= 1;
            if tries == 0 || !check::is_damage(&error) || !listing.is_outdated(&self.store, &self.root).await? {
                return Err(error);
            }
        }
    }

    /// `None` if the listing has no start; the first error if none of them works.
    async fn replay(&self, listing: &Listing, version: i64, keep: Keep) -> Option<Result<State>> {
        let mut first: Option<Error> = None;
        for start in listing.starts(version) {
            match self.replay_from(listing, start, version, keep).await {
                Ok(state) => return Some(Ok(state)),
                // A damaged checkpoint says nothing that older entries do not say too.
                Err(error) if matches!(error.kind(), Kind::Corrupt | Kind::NotFound) => {
                    first.get_or_insert(error);
                }
                Err(error) => return Some(Err(error)),
            }
        }
        first.map(Err)
    }

    /// Sums of commits are read in their place where there are any; a damaged one says nothing that its commits do not say too.
    async fn replay_from(&self, listing: &Listing, start: Option<&Checkpoint>, version: i64, keep: Keep) -> Result<State> {
        let pieces = compacted::pieces(listing, start.map_or(-1, |checkpoint| checkpoint.version), version);
        let has_sums = pieces.iter().any(|piece| piece.is_sum());
        let state = replay::replay_pieces(&self.store, &self.root, listing, start, pieces, (version, keep)).await;
        match state {
            Err(error) if matches!(error.kind(), Kind::Corrupt | Kind::NotFound) && has_sums => {
                replay::replay(&self.store, &self.root, listing, start, version, keep).await
            }
            state => state,
        }
    }

    async fn write_checkpoint(&self, state: &State, listing: &Listing) -> Result<()> {
        let version = state.version;
        let interval = settings::checkpoint_interval(&state.metadata.configuration);
        if version == 0 || version % interval != 0 || listing.has_checkpoint(version) {
            return Ok(());
        }
        let hint = checkpoint_write::write(&self.store, &self.root, state).await?;
        // A hint that is ahead of us and true stays.
        if self.hint().await?.is_some_and(|known| known > version && listing.has_checkpoint(known)) {
            return Ok(());
        }
        self.store.put(&log::hint_file(&self.root), hint.into()).await
    }
}

#[async_trait]
impl Table for DeltaTable {
    fn format(&self) -> FormatName {
        FormatName::Delta
    }

    fn location(&self) -> &Location {
        &self.root
    }

    async fn load(&self) -> Result<Arc<dyn TableVersion>> {
        let (state, listing) = self.state(None, Keep::Live).await?;
        Ok(Arc::new(self.version(state, &listing)?))
    }

    async fn load_counts(&self) -> Result<Arc<dyn TableVersion>> {
        let (state, listing) = self.state(None, Keep::Counts).await?;
        Ok(Arc::new(self.version(state, &listing)?))
    }

    async fn load_at(&self, at: &At) -> Result<Arc<dyn TableVersion>> {
        Ok(Arc::new(travel::load(self, at).await?))
    }

    async fn settle(&self, version: Version) -> Vec<Error> {
        let (state, listing) = match self.state(Some(version.0), Keep::All).await {
            Ok(found) => found,
            Err(error) => return vec![error.about("version", version)],
        };
        let checkpoint = self.write_checkpoint(&state, &listing).await.map_err(|error| error.about("checkpoint", version));
        let checksum = checksum_write::write(&self.store, &self.root, &state).await.map_err(|error| error.about("checksum", version));
        [checkpoint, checksum].into_iter().filter_map(Result::err).collect()
    }
}
