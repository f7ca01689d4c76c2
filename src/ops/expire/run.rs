//! Carries an expiry out: journal, commit, deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio::sync::Mutex;

use super::emptied::Noted;
use super::plan::{Plan, plan as decide_plan};
use super::survey::{Seen, files, forget, gone, past};
use super::{ByKind, Finished, LeftFiles, Options, PlanDocument, Report, WhyLeft};
use crate::commit::State;
use crate::error::{Error, Kind, Result};
use crate::formats::{Table, TableVersion};
use crate::model::{Emptied, Forget, OperationId, Totals, UnusedRules, Upkeep, UpkeepKind, Version};
use crate::ops::Parts;
use crate::ops::deletion::{self, Deleted, Journal, Tally};
use crate::ops::document::Outcome;
use crate::ops::land::Patience;
use crate::ops::land_upkeep::{Decide, UpkeepLanding, land_upkeep};
use crate::ops::leftovers::{self, Announced, Places};
use crate::ops::territory::Territory;
use crate::ops::totals::totals;
use crate::units::Timestamp;

/// How often files are written down anew because the table changed meanwhile, where nothing but files is taken away.
const ROUNDS: u32 = 5;

/// A table, read and planned.
struct Planned {
    base: Arc<dyn TableVersion>,
    plan: Plan,
    forget: Forget,
    noted: Option<Noted>,
    unused: UnusedRules,
    before: Totals,
    now: Timestamp,
}

/// Reads the table and works out what a run would do. Writes nothing.
///
/// # Errors
///
/// `Refused` where the table or prudence forbids it; `Unsupported` where the table has something we cannot keep intact, by name.
pub async fn plan(table: &dyn Table, options: &Options, parts: Parts<'_>) -> Result<(Arc<dyn TableVersion>, Totals, PlanDocument)> {
    let planned = examine(table, options, parts).await?;
    let mut seen = Seen::default();
    let mut territory = Territory::of(table, &*planned.base, parts.store).await?;
    {
        let mut files = files(&*planned.base, &planned.forget, options, &mut territory, &mut seen);
        while files.try_next().await?.is_some() {}
    }
    let mut document = PlanDocument::new(&planned.plan, &planned.forget, planned.unused);
    if document.only_empties() && seen.go.count() == 0 {
        document.emptied.clear();
    }
    document.counted(&seen.go, &seen.left, seen.named);
    Ok((planned.base, planned.before, document))
}

async fn examine(table: &dyn Table, options: &Options, parts: Parts<'_>) -> Result<Planned> {
    let base = table.load_counts().await?;
    if let Some(name) = base.reference() {
        return Err(Error::usage("versions are expired on all branches at once").about("reference", name).hint("name the table alone"));
    }
    let now = parts.clock.now();
    // What may not be collected is refused as such, whatever else is in the way.
    let noted = if base.retention()?.max_file_age_ms.is_some() { Noted::read(parts, table.location()).await? } else { None };
    let plan = decide_plan(&past(&*base, noted, now).await?, &options.wishes)?;
    base.rewritable()?;
    let forget = forget(&plan, options);
    let unused = if options.clean_metadata { base.unused_rules(&gone(&plan)).await? } else { UnusedRules::default() };
    let before = totals(&*base, parts.engine).await?;
    Ok(Planned { base, plan, forget, noted, unused, before, now })
}

/// Whether there is no file to delete: another deleted them, or nothing was in the versions that others do not need. Then that is noted, so that the
/// next run need not look for each of them again.
async fn nothing_goes(table: &dyn Table, planned: &Planned, options: &Options, parts: Parts<'_>) -> Result<bool> {
    let mut seen = Seen::default();
    let mut territory = Territory::of(table, &*planned.base, parts.store).await?;
    let first = files(&*planned.base, &planned.forget, options, &mut territory, &mut seen).try_next().await?;
    if first.is_none()
        && let Some(emptied) = &planned.plan.emptied
    {
        note(parts, table, &seen, (emptied.bounds.before, emptied.made)).await;
    }
    Ok(first.is_none())
}

/// Notes that versions before `whole` have lost their files, unless some are only to go later. The next run can do without the note.
async fn note(parts: Parts<'_>, table: &dyn Table, seen: &Seen, whole: (Version, Option<Timestamp>)) {
    let (version, Some(time)) = whole else { return };
    if seen.left.keys().any(|why| matches!(why, WhyLeft::Recent(_))) {
        return;
    }
    if let Err(error) = Noted::new(version, time).write(parts, table.location()).await {
        parts.progress.remark(&format!("the next run will look for deleted files again: {error}"));
    }
}

/// Plans and carries the plan out.
///
/// # Errors
///
/// As [`plan`], and whatever kept the commit from landing. What could not be deleted after it landed is in the report.
pub async fn execute(table: &dyn Table, operation: &OperationId, options: &Options, parts: Parts<'_>) -> Result<Finished> {
    let planned = examine(table, options, parts).await?;
    let root = table.location();
    let mut shown = PlanDocument::new(&planned.plan, &planned.forget, planned.unused.clone());
    let has_files = planned.forget.emptied.is_some();
    let is_idle = shown.only_empties() && (!has_files || nothing_goes(table, &planned, options, parts).await?);
    if is_idle {
        shown.emptied.clear();
    }
    let leftovers_removed = match leftovers::clean(parts, root, &*planned.base).await {
        Ok(count) => count,
        Err(error) if is_idle => {
            parts.progress.remark(&format!("what an earlier run left behind could not be removed: {error}"));
            0
        }
        Err(error) => return Err(error),
    };
    let base_version = planned.base.snapshot().version;
    let report = Report { leftovers_removed, ..Report::default() };
    let before = planned.before;
    let mut finished = Finished { outcome: Outcome::NothingToDo, base_version, before, after: before, plan: shown, report, error: None };
    if is_idle {
        return Ok(finished);
    }
    let folders = Places::new(planned.base.metadata_folders(), Vec::new());
    let announced = leftovers::announce(parts, root, operation, 0, &folders).await?;
    let forgetting = Forgetting::new(table, operation, options, &planned, parts);
    let patience = Patience::from(planned.base.defaults());
    let landing = land_upkeep(table, Arc::clone(&planned.base), &forgetting, patience, parts).await;
    let written = forgetting.written.lock().await.take();
    if let Some(written) = &written {
        finished.plan.counted(&written.seen.go, &written.seen.left, written.seen.named.clone());
    }
    let run = Landed { table, parts, base: &*planned.base, forgetting: &forgetting };
    match landing.end {
        State::Landed(_) => run.clean_up(written, &mut finished, announced).await?,
        _ => run.give_up(landing, written, &mut finished, announced).await?,
    }
    Ok(finished)
}

/// What is to be forgotten, decided anew on every version: never more than was planned, and less where others made something of it.
struct Forgetting<'a> {
    table: &'a dyn Table,
    operation: &'a OperationId,
    options: &'a Options,
    versions: BTreeSet<Version>,
    references: BTreeSet<String>,
    /// The oldest version that was planned to keep its files.
    whole: Option<(Version, Option<Timestamp>)>,
    noted: Option<Noted>,
    now: Timestamp,
    parts: Parts<'a>,
    written: Mutex<Option<Written>>,
}

/// What of the plan is still to be done.
struct Still {
    forget: Forget,
    unused: UnusedRules,
    /// Versions that stay listed and lose their files.
    emptied: Vec<Version>,
    /// The oldest version that keeps its files, and when it was made.
    whole: Option<(Version, Option<Timestamp>)>,
}

/// What was last decided, with its files written down.
struct Written {
    attempt: u32,
    /// The state of the table it was decided on, its current version, and every version it lists.
    state: String,
    current: Option<Version>,
    listed: BTreeSet<Version>,
    still: Still,
    journal: Journal,
    seen: Seen,
}

impl<'a> Forgetting<'a> {
    fn new(table: &'a dyn Table, operation: &'a OperationId, options: &'a Options, planned: &Planned, parts: Parts<'a>) -> Self {
        let Forget { versions, references, .. } = planned.forget.clone();
        let whole = planned.plan.emptied.as_ref().map(|emptied| (emptied.bounds.before, emptied.made));
        let noted = planned.noted;
        Self { table, operation, options, versions, references, whole, noted, now: planned.now, parts, written: Mutex::new(None) }
    }

    /// What of the plan is still to be done on `version`, and may be.
    async fn still(&self, version: &dyn TableVersion) -> Result<Still> {
        let plan = decide_plan(&past(version, self.noted, self.now).await?, &self.options.wishes)?;
        let mut forget = forget(&plan, self.options);
        forget.versions.retain(|version| self.versions.contains(version));
        forget.references.retain(|name| self.references.contains(name));
        let now = plan.emptied.as_ref().map(|emptied| (emptied.bounds.before, emptied.made));
        let whole = now.into_iter().chain(self.whole).min_by_key(|(version, _)| *version);
        forget.emptied = forget.emptied.zip(whole).map(|(emptied, (before, _))| Emptied { before, ..emptied });
        let unused = if self.options.clean_metadata { version.unused_rules(&forget.versions).await? } else { UnusedRules::default() };
        forget.unused_rules = !unused.is_empty();
        let emptied = plan.emptied.map(|emptied| emptied.versions.into_iter().map(|(version, _)| version)).into_iter().flatten();
        let emptied = emptied.filter(|version| whole.is_some_and(|(whole, _)| *version < whole) && forget.emptied.is_some()).collect();
        Ok(Still { forget, unused, emptied, whole })
    }

    fn upkeep(&self, forget: Forget) -> Upkeep {
        Upkeep { operation: self.operation.clone(), part: 0, kind: UpkeepKind::Forget(forget) }
    }

    /// Writes down the files that go with `forget`.
    async fn write(&self, version: &dyn TableVersion, attempt: u32, still: Still) -> Result<Written> {
        let mut seen = Seen::default();
        let mut territory = Territory::of(self.table, version, self.parts.store).await?;
        let files = files(version, &still.forget, self.options, &mut territory, &mut seen);
        let journal = deletion::write(self.parts, self.table.location(), self.operation, attempt, files).await?;
        let (state, current, listed) = (version.state_id(), version.snapshot().version, listed(version).await?);
        Ok(Written { attempt, state, current, listed, still, journal, seen })
    }
}

#[async_trait]
impl Decide for Forgetting<'_> {
    async fn decide(&self, version: &dyn TableVersion) -> Result<Option<Upkeep>> {
        let mut written = self.written.lock().await;
        let state = version.state_id();
        if let Some(known) = written.as_ref().filter(|known| known.state == state) {
            return Ok(Some(self.upkeep(known.still.forget.clone())));
        }
        let still = self.still(version).await?;
        let forget = still.forget.clone();
        if forget.is_empty() {
            return Ok(None);
        }
        let attempt = written.as_ref().map_or(0, |known| known.attempt + 1);
        let next = self.write(version, attempt, still).await?;
        // The attempt before can no longer land: this is another version, and what was to go is still there.
        if let Some(before) = written.replace(next) {
            deletion::discard(self.parts, &before.journal).await;
        }
        Ok(Some(self.upkeep(forget)))
    }
}

/// What follows on the commit.
struct Landed<'a> {
    table: &'a dyn Table,
    parts: Parts<'a>,
    base: &'a dyn TableVersion,
    forgetting: &'a Forgetting<'a>,
}

impl Landed<'_> {
    /// Deletes what was written down, now that nothing leads to it any more.
    async fn clean_up(&self, written: Option<Written>, finished: &mut Finished, announced: Announced) -> Result<()> {
        let Some(mut written) = written else {
            // Another run did the same before anything was offered.
            leftovers::withdraw(self.parts, announced).await;
            return Ok(());
        };
        finished.outcome = Outcome::Landed;
        let report = &mut finished.report;
        report.expired = written.still.forget.versions.iter().map(ToString::to_string).collect();
        report.emptied = written.still.emptied.iter().map(ToString::to_string).collect();
        report.refs_removed = written.still.forget.references.iter().cloned().collect();
        report.unused_removed = written.still.unused.clone();
        let mut deleted = Deleted::default();
        if let Err(error) = self.delete(&mut written, &mut deleted).await {
            let done = deleted.tally.count().saturating_add(deleted.spared).saturating_add(deleted.absent);
            deleted.failed = written.journal.tally.count().saturating_sub(done).max(1);
            deleted.failures.push(error.to_string());
        }
        report.left = left(&written.seen.left);
        report.deleted = ByKind(deleted.tally.files);
        if deleted.keeps_versions {
            report.bytes_noncurrent = deleted.tally.bytes;
        } else {
            report.bytes_freed = deleted.tally.bytes;
        }
        (report.already_gone, report.spared) = (deleted.absent, deleted.spared);
        (report.failed, report.failures) = (deleted.failed, deleted.failures);
        if deleted.failed > 0 {
            finished.outcome = Outcome::Partial;
        } else if let Some(whole) = written.still.whole.filter(|_| written.still.forget.emptied.is_some()) {
            note(self.parts, self.table, &written.seen, whole).await;
        }
        leftovers::withdraw(self.parts, announced).await;
        for error in self.table.settle(finished.base_version.unwrap_or(Version(-1))).await {
            self.parts.progress.remark(&format!("left undone after the commit: {error}"));
        }
        finished.after = self.totals_after(finished.before).await;
        Ok(())
    }

    /// Deletes the files of the journal. Where the table is not just what it was less what was forgotten, they are held against what it is.
    async fn delete(&self, written: &mut Written, deleted: &mut Deleted) -> Result<()> {
        for _ in 0..ROUNDS {
            let newest = self.table.load_counts().await?;
            if newest.state_id() == written.state {
                return deletion::carry_out(self.parts, &written.journal, None, deleted).await;
            }
            let listed = listed(&*newest).await?;
            // Whoever empties versions or cleans a log leaves them listed: then what goes is written down anew below.
            if written.still.forget.emptied.is_none() && listed.is_disjoint(&written.still.forget.versions) {
                let expected = written.listed.difference(&written.still.forget.versions);
                let is_expected = newest.snapshot().version == written.current && listed.iter().eq(expected);
                let guard = (!is_expected).then_some(&*newest);
                return deletion::carry_out(self.parts, &written.journal, guard, deleted).await;
            }
            // Nothing but files is taken away here, and others have committed since they were written down.
            let still = self.forgetting.still(&*newest).await?;
            let next = self.forgetting.write(&*newest, written.attempt + 1, still).await?;
            deletion::discard(self.parts, &written.journal).await;
            *written = next;
        }
        Err(Error::conflict("other writers kept changing the table while its files were to be deleted"))
    }

    /// The commit is lost for good, or nobody knows: then everything stays as it is, and the next run finds the journal.
    async fn give_up(&self, landing: UpkeepLanding, written: Option<Written>, finished: &mut Finished, announced: Announced) -> Result<()> {
        let error = landing.error.unwrap_or_else(|| Error::bug("a commit ended without a version or a reason"));
        let is_unknown = landing.end == State::Unknown;
        if !is_unknown {
            if let Some(written) = &written {
                deletion::discard(self.parts, &written.journal).await;
            }
            leftovers::undo(self.parts, announced, self.base).await;
        }
        match error.kind() {
            Kind::Conflict | Kind::Unavailable if landing.offered.is_some() => {
                finished.outcome = if is_unknown { Outcome::Unknown } else { Outcome::Lost };
                finished.error = Some(error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Expiring changes no row: the table is read again only if others changed it.
    async fn totals_after(&self, before: Totals) -> Totals {
        let read = async {
            let newest = self.table.load_counts().await?;
            if newest.snapshot().version == self.base.snapshot().version {
                return Ok(before);
            }
            totals(&*newest, self.parts.engine).await
        };
        read.await.unwrap_or_else(|error: Error| {
            self.parts.progress.remark(&format!("the table could not be read after the commit; its size before is told: {error}"));
            before
        })
    }
}

fn left(left: &BTreeMap<WhyLeft, Tally>) -> Vec<LeftFiles> {
    left.iter().map(|(why, tally)| LeftFiles { why: *why, files: tally.count(), bytes: tally.bytes }).collect()
}

async fn listed(version: &dyn TableVersion) -> Result<BTreeSet<Version>> {
    version.history().map_ok(|entry| entry.version).try_collect().await
}
