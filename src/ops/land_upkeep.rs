//! Performs the effects of the commit state machine for changes of history, references and metadata.
//!
//! Such a change is decided anew on every version it is offered on: what others committed meanwhile (a branch on a version that was to be forgotten)
//! may forbid it. And it can be recognised by what it leaves behind: where nothing is left to do, it has landed, or another did the same.

use std::sync::Arc;

use async_trait::async_trait;

use crate::commit::{Answer, Effect, State};
use crate::error::{Error, Result};
use crate::formats::{Table, TableVersion};
use crate::model::{Upkeep, Version};
use crate::ops::Parts;
use crate::ops::land::{Patience, conflict, reason_of, unknown, unknown_because};

/// Decides what is to change on a version.
#[async_trait]
pub trait Decide: Send + Sync {
    /// The change to offer on `version`; `None` if the table is as it should be.
    ///
    /// # Errors
    ///
    /// Whatever forbids it there: then nothing is offered.
    async fn decide(&self, version: &dyn TableVersion) -> Result<Option<Upkeep>>;
}

/// How a change ended.
pub struct UpkeepLanding {
    /// The end: landed, lost or unknown.
    pub end: State,
    /// The version that is current after it landed; a new one if the change makes versions.
    pub version: Option<Version>,
    /// What was last offered, and the version it was offered on.
    pub offered: Option<(Upkeep, Arc<dyn TableVersion>)>,
    /// Why, unless it landed.
    pub error: Option<Error>,
}

impl std::fmt::Debug for UpkeepLanding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpkeepLanding").field("end", &self.end).finish_non_exhaustive()
    }
}

/// Brings what `decide` decides into the table, first on `base`. Landed with nothing offered means there was nothing to do.
pub async fn land_upkeep(
    table: &dyn Table,
    base: Arc<dyn TableVersion>,
    decide: &dyn Decide,
    patience: Patience,
    parts: Parts<'_>,
) -> UpkeepLanding {
    let since = base.snapshot().version;
    let started = parts.clock.now();
    let mut run = Run { table, current: base, since, decide, offered: None, parts };
    let mut state = State::first();
    let mut answer = run.offer().await;
    loop {
        let attempts = patience.attempts_at(started, parts.clock.now());
        let (next, effect) = state.on(&answer, attempts);
        let reason = reason_of(answer);
        state = next;
        answer = match effect {
            // A format removes what it wrote for an attempt that is lost; nothing else was written.
            Effect::Stop | Effect::DeleteWritten => return run.end(state, reason),
            Effect::ReadHistory => run.read_history(reason).await,
            Effect::Rebase => match run.rebase(state, patience).await {
                Ok(()) => run.offer().await,
                Err(error) => Answer::Rejected(error),
            },
        };
    }
}

struct Run<'a> {
    table: &'a dyn Table,
    current: Arc<dyn TableVersion>,
    since: Option<Version>,
    decide: &'a dyn Decide,
    offered: Option<(Upkeep, Arc<dyn TableVersion>)>,
    parts: Parts<'a>,
}

impl Run<'_> {
    async fn offer(&mut self) -> Answer {
        match self.decide.decide(&*self.current).await {
            Err(error) => Answer::Rejected(error),
            Ok(None) => Answer::Ours(self.version()),
            Ok(Some(upkeep)) => {
                let answer = self.current.offer_upkeep(&upkeep, self.parts.clock.now()).await;
                self.offered = Some((upkeep, Arc::clone(&self.current)));
                answer
            }
        }
    }

    /// The current version; tables without one have nothing that could be named.
    fn version(&self) -> Version {
        self.current.snapshot().version.unwrap_or(Version(-1))
    }

    /// Whether our change is in the table. Not finding it means nothing while the place is still free: a late request may land yet.
    async fn read_history(&self, silence: Option<Error>) -> Answer {
        let error = |fallback: Error| silence.unwrap_or(fallback);
        let Some((upkeep, on)) = &self.offered else { return Answer::Silence(error(unknown())) };
        let newest = match self.table.load_counts().await {
            Ok(newest) => newest,
            Err(e) => return Answer::Silence(error(e)),
        };
        let found = match upkeep.kind.makes_version() {
            true => newest.find(&upkeep.operation, upkeep.part, self.since).await,
            false => Ok(None),
        };
        if let Ok(Some(version)) = found {
            return Answer::Ours(version);
        }
        // Some changes leave no version behind, in some formats. What they leave behind tells as much.
        match (self.decide.decide(&*newest).await, found) {
            (Ok(None), _) => Answer::Ours(newest.snapshot().version.unwrap_or(Version(-1))),
            (Ok(Some(_)), Ok(_)) if newest.state_id() != on.state_id() => Answer::Taken,
            (Ok(Some(_)), Ok(_)) => Answer::Silence(error(unknown())),
            (Ok(Some(_)), Err(e)) | (Err(e), _) => Answer::Silence(error(e)),
        }
    }

    /// Moves to the newest version.
    async fn rebase(&mut self, state: State, patience: Patience) -> Result<()> {
        if let State::Offered { attempt } = state {
            self.parts.clock.wait_ms(patience.wait_before(attempt)).await;
        }
        self.parts.progress.remark("another writer committed first; checking what it changed");
        self.current = self.table.load_counts().await?;
        Ok(())
    }

    fn end(self, end: State, error: Option<Error>) -> UpkeepLanding {
        let version = if let State::Landed(version) = end { Some(version) } else { None };
        let error = match end {
            State::Landed(_) => None,
            State::Unknown => Some(unknown_because(error)),
            _ => Some(error.unwrap_or_else(conflict)),
        };
        UpkeepLanding { end, version, offered: self.offered, error }
    }
}
