//! Carries a plan out: rewrites its groups, commits them, and plans again what other writers hit.

use std::sync::Arc;

use futures::StreamExt;

use super::plan::{Group, Policy, Why, largest_roll, roll_size};
use super::survey::{Scope, Survey, survey};
use super::{Failure, Finished, Options, PlanDocument, Report};
use crate::commit::State;
use crate::engine::{RewritePath, RewriteTask, Rewritten};
use crate::error::{Error, Kind, Result};
use crate::formats::{OutputWishes, Table, TableVersion};
use crate::location::Location;
use crate::model::{Change, DataFile, GroupChange, Intent, OperationId, OutputSpec, Partition, Totals, Version};
use crate::ops::Parts;
use crate::ops::document::Outcome;
use crate::ops::land::{Landing, Patience, land};
use crate::ops::leftovers;
use crate::ops::totals::{live, totals};
use crate::units::Bytes;

/// Groups under way at the same time, unless the user says otherwise: Iceberg's default.
const CONCURRENT_GROUPS: usize = 5;

/// Reads the table and works out what a run would do. Writes nothing.
///
/// # Errors
///
/// `Unsupported` or `Refused` where the table has something we cannot keep intact, by name.
pub async fn plan(table: &dyn Table, options: &Options, parts: Parts<'_>) -> Result<(Arc<dyn TableVersion>, Survey)> {
    let version = load(table, options).await?;
    let survey = examine(&*version, options, &Scope::Everything, parts).await?;
    Ok((version, survey))
}

/// Plans and carries the plan out.
///
/// # Errors
///
/// As [`plan`], and whatever kept everything from landing. Where a part landed, the failures are in the report instead.
pub async fn execute(table: &dyn Table, operation: &OperationId, options: &Options, parts: Parts<'_>) -> Result<Finished> {
    let (base, Survey { before, plan }) = plan(table, options, parts).await?;
    let shown = PlanDocument::from(&plan);
    let policy = policy(&*base, options)?;
    let root = table.location();
    let leftovers =
        if plan.groups.is_empty() { clean_quietly(parts, root, &*base).await } else { leftovers::clean(parts, root, &*base).await? };
    let mut run = Run {
        table,
        operation,
        options,
        policy,
        parts,
        report: Report::default(),
        versions: Vec::new(),
        next_part: 0,
        groups_begun: 0,
        offered: false,
        end: None,
    };
    run.report.leftovers_removed = leftovers;
    let first = run.groups(Arc::clone(&base), plan.groups).await;
    let mut hit = run.or_stop(first);
    let mut rounds = run.attempts(&*base);
    while !hit.is_empty() && rounds > 1 && run.end.is_none() {
        rounds -= 1;
        let next = run.again(hit).await;
        hit = run.or_stop(next);
    }
    run.finish(&*base, before, shown, hit.is_empty()).await
}

/// The newest version, with what choosing files under these options takes.
async fn load(table: &dyn Table, options: &Options) -> Result<Arc<dyn TableVersion>> {
    if options.filter.is_some() { table.load().await } else { table.load_counts().await }
}

/// What came of reading the table under these options.
async fn examine(version: &dyn TableVersion, options: &Options, scope: &Scope, parts: Parts<'_>) -> Result<Survey> {
    version.rewritable()?;
    survey(version, options, &policy(version, options)?, scope, parts.engine).await
}

fn policy(version: &dyn TableVersion, options: &Options) -> Result<Policy> {
    Policy::resolve(&options.wishes(), version.defaults().target_file_size)
}

/// Where there is nothing else to do, a place we may not write to is no failure.
async fn clean_quietly(parts: Parts<'_>, root: &Location, version: &dyn TableVersion) -> u64 {
    match leftovers::clean(parts, root, version).await {
        Ok(count) => count,
        Err(error) => {
            parts.progress.remark(&format!("what an earlier run left behind could not be removed: {error}"));
            0
        }
    }
}

/// A group whose files have been written.
struct Written {
    index: usize,
    change: GroupChange,
    done: Rewritten,
}

struct Run<'a> {
    table: &'a dyn Table,
    operation: &'a OperationId,
    options: &'a Options,
    policy: Policy,
    parts: Parts<'a>,
    report: Report,
    versions: Vec<Version>,
    next_part: u32,
    /// Groups of earlier parts: numbers of groups go on over the parts of a run.
    groups_begun: usize,
    /// Whether a commit was ever tried.
    offered: bool,
    /// Set when a commit was lost for good or its outcome is unknown: nothing more is tried.
    end: Option<(State, Error)>,
}

impl Run<'_> {
    fn attempts(&self, base: &dyn TableVersion) -> u32 {
        self.options.commit_attempts.unwrap_or_else(|| base.defaults().commit_attempts)
    }

    /// What landed stays landed: an error ends the run and is told in its report.
    fn or_stop(&mut self, round: Result<Vec<Partition>>) -> Vec<Partition> {
        round.unwrap_or_else(|error| {
            self.end = Some((State::Lost, error));
            Vec::new()
        })
    }

    /// Plans anew what others changed, in their partitions alone, and carries that out.
    async fn again(&mut self, hit: Vec<Partition>) -> Result<Vec<Partition>> {
        let version = load(self.table, self.options).await?;
        let survey = examine(&*version, self.options, &Scope::Partitions(hit), self.parts).await?;
        self.groups(version, survey.plan.groups).await
    }

    /// Rewrites and commits `groups`; returns the partitions of groups that other writers hit.
    async fn groups(&mut self, base: Arc<dyn TableVersion>, groups: Vec<Group>) -> Result<Vec<Partition>> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        self.parts.progress.planned(groups.len(), groups.iter().map(Group::bytes).sum());
        let commits = self.options.partial_progress.unwrap_or(1).clamp(1, groups.len());
        let per_commit = groups.len().div_ceil(commits);
        let mut base = base;
        let mut hit = Vec::new();
        let mut rest = groups.into_iter();
        loop {
            let batch: Vec<Group> = rest.by_ref().take(per_commit).collect();
            if batch.is_empty() || self.end.is_some() {
                return Ok(hit);
            }
            if !self.versions.is_empty() {
                base = self.table.load_counts().await?;
            }
            hit.extend(self.batch(&base, batch).await?);
        }
    }

    /// One commit: announce, rewrite, land, withdraw.
    async fn batch(&mut self, base: &Arc<dyn TableVersion>, groups: Vec<Group>) -> Result<Vec<Partition>> {
        let part = self.next_part;
        self.next_part += 1;
        let outputs: Vec<_> = groups.iter().map(|group| self.output(&**base, group)).collect::<Result<_>>()?;
        let mut folders = base.metadata_folders();
        let (sorted, plain): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.routing.is_some());
        folders.extend(plain.into_iter().map(|output| output.directory.clone()));
        let trees = sorted.into_iter().map(|output| output.directory.clone()).collect();
        let places = leftovers::Places::new(folders, trees);
        let note = leftovers::announce(self.parts, self.table.location(), self.operation, part, &places).await?;
        let written = self.rewrite_all(&**base, groups.into_iter().zip(outputs), part).await;
        if written.is_empty() {
            leftovers::undo(self.parts, note, &**base).await;
            return Ok(Vec::new());
        }
        let landing = self.land(Arc::clone(base), part, written).await;
        match landing.end {
            State::Landed(version) => {
                // The note leads to half a checkpoint too, should this process die over it.
                self.settle(version).await;
                leftovers::withdraw(self.parts, note).await;
            }
            State::Lost => leftovers::undo(self.parts, note, &**base).await,
            // It may land yet: its files and the note that leads to them stay.
            State::Unknown | State::Offered { .. } | State::Asking { .. } => {}
        }
        Ok(self.account(landing))
    }

    /// Every version is settled: the table's checkpoint may be due at any of them.
    async fn settle(&self, version: Version) {
        for error in self.table.settle(version).await {
            self.parts.progress.remark(&format!("left undone after the commit: {error}"));
        }
    }

    fn output(&self, base: &dyn TableVersion, group: &Group) -> Result<OutputSpec> {
        let roll = roll_size(group.bytes(), &self.policy);
        base.output(&group.partition, &OutputWishes { target_file_size: Some(roll), ..self.options.output.clone() })
    }

    /// Rewrites groups side by side. A group that fails fails alone: its files are gone and the report names it.
    async fn rewrite_all(&mut self, base: &dyn TableVersion, groups: impl Iterator<Item = (Group, OutputSpec)>, part: u32) -> Vec<Written> {
        let limit = self.options.max_concurrent_groups.unwrap_or(CONCURRENT_GROUPS).max(1);
        let (this, stem) = (&*self, self.operation.file_mark(part));
        let results: Vec<(usize, Result<Written>)> = futures::stream::iter(groups.enumerate())
            .map(|(index, (group, output))| {
                let name_stem = format!("part-{index:05}-{stem}");
                async move {
                    let bytes = group.bytes();
                    let result = this.rewrite(base, index, group, output, name_stem).await;
                    this.parts.progress.group_done(bytes);
                    (index, result)
                }
            })
            .buffer_unordered(limit)
            .collect()
            .await;
        let mut written = Vec::new();
        let earlier = self.groups_begun;
        self.groups_begun += results.len();
        for (index, result) in results {
            match result {
                Ok(group) => written.push(group),
                Err(error) => self.report.groups_failed.push(Failure::new(earlier + index, error)),
            }
        }
        // Commits list groups in plan order whatever order they finished in.
        written.sort_by_key(|group| group.index);
        written
    }

    async fn rewrite(&self, base: &dyn TableVersion, index: usize, group: Group, output: OutputSpec, name_stem: String) -> Result<Written> {
        let path = self.path(&group).await?;
        let files: Vec<DataFile> = group.files.into_iter().collect();
        let deletes = base.row_deletes(&files).await?;
        let mut inputs: Vec<_> = files.iter().cloned().zip(deletes).collect();
        let deletes = self.parts.engine.locate_deletes(&inputs).await?;
        let mut live_rows = 0;
        for (file, deleted) in files.iter().zip(&deletes) {
            let stored = match file.rows {
                Some(rows) => rows,
                None => self.parts.engine.stored_rows(file).await?,
            };
            live_rows += live(stored, deleted)
                .ok_or_else(|| Error::corrupt("more rows are deleted than the file has").about("file", &file.location))?;
        }
        inputs.iter_mut().zip(deletes).for_each(|(input, located)| input.1 = located);
        let done = self.parts.engine.rewrite(RewriteTask { inputs, output, name_stem, path }).await?;
        let change = GroupChange { removes: files, live_rows, adds: done.files.clone(), ..GroupChange::default() };
        Ok(Written { index, change, done })
    }

    /// How row groups may reach the output. Where the choice is ours, large files are not copied as they are: the next run would find them again.
    async fn path(&self, group: &Group) -> Result<RewritePath> {
        if self.options.path == RewritePath::Auto && group.why == Why::LargeFile {
            for file in group.files.iter().filter(|file| file.size > self.policy.max) {
                if self.parts.engine.files_if_copied(file, largest_roll(&self.policy)).await? <= 1 {
                    return Ok(RewritePath::Encode);
                }
            }
        }
        Ok(self.options.path)
    }

    async fn land(&mut self, base: Arc<dyn TableVersion>, part: u32, written: Vec<Written>) -> Landing {
        let defaults = base.defaults();
        let patience = Patience { attempts: self.attempts(&*base), ..Patience::from(defaults) };
        let mut groups = Vec::with_capacity(written.len());
        for group in written {
            self.report.rewritten(&group.done);
            groups.push(group.change);
        }
        let change = Change {
            operation: self.operation.clone(),
            part,
            base: base.snapshot().version,
            intent: Intent::Rearrange,
            groups,
            drop_dangling_deletes: self.options.remove_dangling_deletes,
        };
        self.offered = true;
        land(self.table, base, change, patience, self.parts).await
    }

    /// Books a landing; returns the partitions to plan again.
    fn account(&mut self, landing: Landing) -> Vec<Partition> {
        // A group that moves to another spec has files of many partitions.
        let mut hit: Vec<Partition> = Vec::new();
        for file in landing.hit.iter().flat_map(|group| &group.removes) {
            if !hit.contains(&file.partition) {
                hit.push((*file.partition).clone());
            }
        }
        self.report.groups_conflicted += landing.hit.len() as u64;
        match (landing.version, landing.error) {
            (Some(version), _) => {
                self.versions.push(version);
                self.report.landed(&landing.groups);
            }
            // Every group was hit: they are planned again, nothing is over yet.
            (None, _) if landing.groups.is_empty() => {}
            (None, error) => {
                self.end = Some((landing.end, error.unwrap_or_else(|| Error::bug("a commit ended without a version or a reason"))));
            }
        }
        hit
    }

    async fn finish(mut self, base: &dyn TableVersion, before: Totals, plan: PlanDocument, all_settled: bool) -> Result<Finished> {
        self.report.groups_failed.sort_by_key(|failure| failure.group);
        let end = self
            .end
            .take()
            .or_else(|| (!all_settled).then(|| (State::Lost, Error::conflict("other writers kept changing the same files"))));
        if self.versions.is_empty() {
            if let Some((state, error)) = end {
                let outcome = if state == State::Unknown { Outcome::Unknown } else { Outcome::Lost };
                // A document tells of a run that came to its commit and that may be tried again; everything else is an error like any other.
                return match error.kind() {
                    Kind::Conflict | Kind::Unavailable if self.offered => Ok(self.ended(outcome, base, before, plan, Some(error))),
                    _ => Err(error),
                };
            }
            if !self.report.groups_failed.is_empty() {
                return Err(self.report.groups_failed.swap_remove(0).into_error());
            }
        }
        let failed = end.is_some() || !self.report.groups_failed.is_empty();
        if let Some((_, error)) = end {
            self.parts.progress.remark(&error.to_string());
            self.report.stopped_by = Some(error.to_string());
        }
        let outcome = match (self.versions.is_empty(), failed) {
            (true, _) => Outcome::NothingToDo,
            (false, true) => Outcome::Partial,
            (false, false) => Outcome::Landed,
        };
        let after = match outcome {
            Outcome::NothingToDo => before,
            _ => self.totals_after(before).await,
        };
        self.report.delete_files_removed = before.delete_files.saturating_sub(after.delete_files);
        Ok(Finished { after, ..self.ended(outcome, base, before, plan, None) })
    }

    fn ended(self, outcome: Outcome, base: &dyn TableVersion, before: Totals, plan: PlanDocument, error: Option<Error>) -> Finished {
        let base_version = base.snapshot().version;
        Finished { outcome, base_version, versions: self.versions, before, after: before, plan, report: self.report, error }
    }
}

impl Run<'_> {
    /// The table after the run. If it cannot be read, what landed is no less landed: the sums are worked out from what was done.
    async fn totals_after(&self, before: Totals) -> Totals {
        let read = async { totals(&*self.table.load_counts().await?, self.parts.engine).await };
        read.await.unwrap_or_else(|error| {
            self.parts.progress.remark(&format!("the table could not be read after the commit; its new size is reckoned: {error}"));
            let report = &self.report;
            Totals {
                files: before.files.saturating_sub(report.files_removed).saturating_add(report.files_added),
                bytes: Bytes(before.bytes.0.saturating_sub(report.bytes_removed.0).saturating_add(report.bytes_added.0)),
                ..before
            }
        })
    }
}
