//! Performs the effects of the commit state machine: offers, reads history, rebases, and deletes what was lost.

use std::sync::Arc;

use crate::commit::{Answer, Effect, State};
use crate::error::{Error, Kind};
use crate::formats::{Defaults, Table, TableVersion};
use crate::model::{Change, GroupChange, Intent, Version};
use crate::ops::Parts;
use crate::units::Timestamp;

/// How a change ended.
pub struct Landing {
    /// The end: landed, lost or unknown.
    pub end: State,
    /// The version our change made, if it landed.
    pub version: Option<Version>,
    /// Groups that were part of the change to the end.
    pub groups: Vec<GroupChange>,
    /// Groups that another writer's commit made impossible; their new files have been deleted.
    pub hit: Vec<GroupChange>,
    /// Why, unless it landed.
    pub error: Option<Error>,
}

impl std::fmt::Debug for Landing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Landing").field("end", &self.end).field("hit", &self.hit.len()).finish_non_exhaustive()
    }
}

/// How often and how patiently to try.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// The first wait, in milliseconds; it doubles.
    pub min_wait_ms: u64,
    /// The longest wait, in milliseconds.
    pub max_wait_ms: u64,
    /// After so many milliseconds no further attempt is begun.
    pub total_wait_ms: u64,
}

impl Patience {
    /// How many attempts may be made in all, as far as time allows. A clock that was set back gives no more time than one that stands still.
    pub(super) fn attempts_at(self, started: Timestamp, now: Timestamp) -> u32 {
        let waited = u64::try_from(now.0.saturating_sub(started.0)).unwrap_or(0);
        if waited > self.total_wait_ms { 1 } else { self.attempts.max(1) }
    }

    /// How long to wait before attempt number `attempt` (from 1), in milliseconds.
    pub(super) fn wait_before(self, attempt: u32) -> u64 {
        let doubled = self.min_wait_ms.saturating_mul(1u64.checked_shl(attempt.saturating_sub(2)).unwrap_or(u64::MAX));
        doubled.min(self.max_wait_ms)
    }
}

impl From<Defaults> for Patience {
    fn from(defaults: Defaults) -> Self {
        let Defaults { commit_attempts: attempts, min_wait_ms, max_wait_ms, total_wait_ms, .. } = defaults;
        Self { attempts, min_wait_ms, max_wait_ms, total_wait_ms }
    }
}

/// Brings `change`, planned on `base`, into the table, or says why not.
///
/// New files are deleted only when they can never become part of the table (P2).
pub async fn land(table: &dyn Table, base: Arc<dyn TableVersion>, change: Change, patience: Patience, parts: Parts<'_>) -> Landing {
    let since = base.snapshot().version;
    let mut run = Run { table, current: base, since, change, hit: Vec::new(), patience, started: parts.clock.now(), parts };
    if let Err(error) = run.change.check() {
        run.delete_written().await;
        return run.end(State::Lost, Some(error));
    }
    let mut state = State::first();
    let mut answer = run.offer().await;
    loop {
        let (next, effect) = state.on(&answer, run.attempts());
        let reason = reason_of(answer);
        state = next;
        answer = match effect {
            Effect::Stop => return run.end(state, reason),
            Effect::ReadHistory => run.read_history(reason).await,
            Effect::DeleteWritten => {
                run.delete_written().await;
                return run.end(state, reason);
            }
            Effect::Rebase => match run.rebase(state).await {
                Ok(()) if run.change.groups.is_empty() => return run.end(State::Lost, Some(conflict())),
                Ok(()) => run.offer().await,
                // The last offer can never land and no other was made: nothing of ours is in the table.
                Err(error) => Answer::Rejected(error),
            },
        };
    }
}

struct Run<'a> {
    table: &'a dyn Table,
    current: Arc<dyn TableVersion>,
    since: Option<Version>,
    change: Change,
    hit: Vec<GroupChange>,
    patience: Patience,
    started: Timestamp,
    parts: Parts<'a>,
}

impl Run<'_> {
    fn attempts(&self) -> u32 {
        self.patience.attempts_at(self.started, self.parts.clock.now())
    }

    async fn offer(&self) -> Answer {
        self.current.offer(&self.change, self.parts.clock.now()).await
    }

    /// The newest version, as it takes to offer the change on top of it.
    async fn load(&self) -> crate::error::Result<Arc<dyn TableVersion>> {
        match self.change.intent {
            Intent::Rearrange => self.table.load_counts().await,
            Intent::DeleteRows => self.table.load().await,
        }
    }

    /// Looks for our commit in the table. Not finding it means nothing while the place is still free: a late request may land yet.
    async fn read_history(&self, silence: Option<Error>) -> Answer {
        let error = |fallback: Error| silence.unwrap_or(fallback);
        let newest = match self.load().await {
            Ok(newest) => newest,
            Err(e) => return Answer::Silence(error(e)),
        };
        match newest.find(&self.change.operation, self.change.part, self.since).await {
            Ok(Some(version)) => Answer::Ours(version),
            Ok(None) if newest.state_id() != self.current.state_id() => Answer::Taken,
            Ok(None) => Answer::Silence(error(unknown())),
            Err(e) => Answer::Silence(error(e)),
        }
    }

    /// Moves to the newest version and gives up the groups that no longer hold there.
    async fn rebase(&mut self, state: State) -> crate::error::Result<()> {
        if let State::Offered { attempt } = state {
            self.parts.clock.wait_ms(self.patience.wait_before(attempt)).await;
        }
        self.parts.progress.remark("another writer committed first; checking what it changed");
        self.current = self.load().await?;
        let holds = self.current.still_holds(&self.change).await?;
        let mut verdicts = holds.into_iter();
        let (kept, hit): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.change.groups).into_iter().partition(|_| verdicts.next().unwrap_or(false));
        self.change.groups = kept;
        self.delete_files_of(&hit).await;
        self.hit.extend(hit);
        Ok(())
    }

    async fn delete_written(&self) {
        self.delete_files_of(&self.change.groups).await;
    }

    async fn delete_files_of(&self, groups: &[GroupChange]) {
        let files = groups.iter().flat_map(|group| &group.adds).map(|file| file.location.clone()).collect();
        for error in self.parts.store.delete_all(files).await {
            self.parts.progress.remark(&format!("a file of a lost commit could not be deleted: {error}"));
        }
    }

    fn end(self, end: State, error: Option<Error>) -> Landing {
        let version = if let State::Landed(version) = end { Some(version) } else { None };
        let error = match end {
            State::Landed(_) => None,
            State::Unknown => Some(unknown_because(error)),
            _ => Some(error.unwrap_or_else(conflict)),
        };
        Landing { end, version, groups: self.change.groups, hit: self.hit, error }
    }
}

/// Why an answer is no success, where it says.
pub(super) fn reason_of(answer: Answer) -> Option<Error> {
    match answer {
        Answer::Silence(error) | Answer::Rejected(error) => Some(error),
        Answer::Ours(_) | Answer::Taken => None,
    }
}

/// Others were always faster.
pub(super) fn conflict() -> Error {
    Error::conflict("other writers kept committing first")
}

/// No answer, and no trace.
pub(super) fn unknown() -> Error {
    Error::unavailable("the commit got no answer and is not in the table's history")
}

/// The error of an unknown outcome, with its cause.
pub(super) fn unknown_because(error: Option<Error>) -> Error {
    let base = Error::new(Kind::Unavailable, "the outcome of the commit is unknown; nothing was deleted")
        .hint("run the command again: it reads the table's history, and cleans up if the commit did not land");
    match error {
        Some(error) => base.because(error),
        None => base,
    }
}
