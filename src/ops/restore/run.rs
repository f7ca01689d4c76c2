//! Compares the version that is asked for with the current one, looks for its files, and makes it current.

use std::collections::HashMap;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};

use super::plan::{Comparison, PlanDocument, is_restored, line, undone};
use super::{Options, Report};
use crate::error::{Error, Kind, Result};
use crate::formats::{FormatName, Table, TableVersion};
use crate::location::Location;
use crate::model::{DataFile, OperationId, RowDeletes, Totals, Upkeep, UpkeepKind, Version};
use crate::ops::Parts;
use crate::ops::document::{Finished, Outcome};
use crate::ops::land_upkeep::Decide;
use crate::ops::totals::{Counter, known_live_rows, totals};
use crate::ops::upkeep::{Carried, carry_out};

/// Files are looked for in portions of this many.
const PORTION: usize = 256;
/// Files looked for at the same time.
const LOOKS: usize = 16;
/// How many missing files are named.
const NAMED: usize = 5;

/// Plans the restore and, if `agreed`, carries it out.
///
/// # Errors
///
/// `NotFound` for a version that the table does not keep; `Refused` if files of it are gone; those of reading the table.
pub async fn run(
    table: &dyn Table,
    operation: &OperationId,
    options: &Options,
    agreed: bool,
    parts: Parts<'_>,
) -> Result<Finished<PlanDocument, Report>> {
    let base = table.load_counts().await?;
    base.rewritable()?;
    let target = match table.load_at(&options.to).await {
        Ok(target) => target,
        Err(error) if error.kind() == Kind::NotFound => return Err(what_is_left(error, &*base).await),
        Err(error) => return Err(error),
    };
    let nothing = |table: &dyn Table| Error::not_found("the table has no version yet").about("table", table.location());
    let from = base.snapshot().version.ok_or_else(|| nothing(table))?;
    let to = target.snapshot().version.ok_or_else(|| nothing(table))?;
    let parents = parents(&*base).await?;
    let survey = Survey::of(&*base, &*target, options, parts).await?;
    let rules_differ = rules_differ(&*base, &*target);
    let is_there = from == to || (survey.comparison.is_same() && !rules_differ && !can_be_pointed_at(table));
    let plan = PlanDocument {
        to: to.to_string(),
        made: target.snapshot().time.map(|time| time.to_string()),
        is_ancestor: line(&parents, from).contains(&to),
        versions_undone: undone(&parents, from, to),
        result: survey.result,
        goes: survey.comparison.goes(),
        comes_back: survey.comparison.comes_back(),
        stays: survey.comparison.stays(),
        rules_differ,
    };
    let (before, base_version) = (survey.before, Some(from));
    if !agreed {
        return Ok(Finished::planned(base_version, before, plan));
    }
    let decide = Restore { operation, from, to, is_there };
    let Carried { outcome, versions, after, error, leftovers_removed, newest } =
        carry_out(table, &base, operation, &decide, (before, parts)).await?;
    // Some rules never go back (ids given to columns, features of the log): where nothing else differs, the format makes no commit.
    let is_as_it_was = newest.is_some_and(|newest| newest.state_id() == base.state_id());
    let outcome = if is_as_it_was { Outcome::NothingToDo } else { outcome };
    let report = Some(Report { files_checked: survey.checked, leftovers_removed });
    Ok(Finished { outcome, base_version, versions, before, after, plan, report, error })
}

/// Whether restoring makes no version: an old one becomes current as it is.
fn can_be_pointed_at(table: &dyn Table) -> bool {
    table.format() == FormatName::Iceberg
}

fn rules_differ(base: &dyn TableVersion, target: &dyn TableVersion) -> bool {
    let (now, then) = (base.snapshot(), target.snapshot());
    now.schema != then.schema || now.partitioning != then.partitioning || now.properties != then.properties
}

async fn parents(version: &dyn TableVersion) -> Result<HashMap<Version, Option<Version>>> {
    let mut parents = HashMap::new();
    let mut history = version.history();
    while let Some(entry) = history.try_next().await? {
        parents.insert(entry.version, entry.parent);
    }
    Ok(parents)
}

/// The error of a version that is not kept, with what is.
async fn what_is_left(error: Error, base: &dyn TableVersion) -> Error {
    let (mut oldest, mut newest) = (None, None);
    let mut history = base.history();
    while let Ok(Some(entry)) = history.try_next().await {
        let told = entry.time.map_or_else(|| entry.version.to_string(), |time| format!("{} of {time}", entry.version));
        oldest.get_or_insert_with(|| told.clone());
        newest = Some(told);
    }
    let named = [("oldest_kept", oldest), ("newest_kept", newest)].into_iter();
    named.fold(error, |error, (key, told)| told.into_iter().fold(error, |error, told| error.about(key, told)))
}

/// Both versions, compared and summed up.
struct Survey {
    comparison: Comparison,
    before: Totals,
    result: Totals,
    checked: u64,
}

impl Survey {
    async fn of(base: &dyn TableVersion, target: &dyn TableVersion, options: &Options, parts: Parts<'_>) -> Result<Self> {
        let mut comparison = Comparison::default();
        let mut counter = Counter::default();
        let mut files = base.files(false);
        while let Some(file) = files.try_next().await? {
            comparison.now(&file, known_live_rows(&file));
            counter.add(base, parts.engine, &file).await?;
        }
        drop(files);
        let before = counter.finish(base, parts.engine).await?;
        let mut look = Look { target, parts, portion: Vec::new(), checked: 0, missing: 0, named: Vec::new() };
        let mut files = target.files(false);
        while let Some(file) = files.try_next().await.map_err(unreadable)? {
            let comes_back = comparison.then(&file, known_live_rows(&file));
            if comes_back || options.verify {
                look.at(file).await?;
            }
        }
        let checked = look.finish().await?;
        // Sums may need to read deletes and footers: only now is it certain that they are there.
        let result = totals(target, parts.engine).await.map_err(unreadable)?;
        Ok(Self { comparison, before, result, checked })
    }
}

/// A version whose lists are gone cannot be restored, whatever else the error says.
fn unreadable(error: Error) -> Error {
    match error.kind() {
        Kind::NotFound => Error::refused("files of that version are gone: it cannot be restored")
            .hint("restore another version: otf inspect TABLE --history lists those there are")
            .because(error),
        _ => error,
    }
}

/// Looks for files and their deletes.
struct Look<'a> {
    target: &'a dyn TableVersion,
    parts: Parts<'a>,
    portion: Vec<DataFile>,
    checked: u64,
    missing: u64,
    named: Vec<Location>,
}

impl Look<'_> {
    async fn at(&mut self, file: DataFile) -> Result<()> {
        self.portion.push(file);
        if self.portion.len() >= PORTION { self.take().await } else { Ok(()) }
    }

    async fn take(&mut self) -> Result<()> {
        let files = std::mem::take(&mut self.portion);
        let store = self.parts.store;
        let looks = futures::stream::iter(&files).map(|file| async move {
            match store.head(&file.location).await {
                Ok(_) => Ok(None),
                Err(error) if error.kind() == Kind::NotFound => Ok(Some(&file.location)),
                Err(error) => Err(error),
            }
        });
        let gone: Vec<&Location> = looks.buffered(LOOKS).try_filter_map(|gone| async move { Ok(gone) }).try_collect().await?;
        self.checked += files.len() as u64;
        self.missing += gone.len() as u64;
        self.named.extend(gone.into_iter().take(NAMED.saturating_sub(self.named.len())).cloned());
        let deletes: Vec<RowDeletes> = self.target.row_deletes(&files).await.map_err(unreadable)?;
        drop(deletes);
        Ok(())
    }

    async fn finish(mut self) -> Result<u64> {
        self.take().await?;
        if self.missing == 0 {
            return Ok(self.checked);
        }
        let error = Error::refused("data files of that version are gone: it cannot be restored").about("missing", self.missing);
        let error = self.named.iter().fold(error, |error, place| error.about("file", place));
        Err(error.hint("restore another version, or bring the files back from a backup first"))
    }
}

/// Restores `to` in a table that was at `from` when the plan was made.
struct Restore<'a> {
    operation: &'a OperationId,
    from: Version,
    to: Version,
    /// Whether the table is as it was then already.
    is_there: bool,
}

#[async_trait]
impl Decide for Restore<'_> {
    async fn decide(&self, version: &dyn TableVersion) -> Result<Option<Upkeep>> {
        let now = version.snapshot().version;
        if now == Some(self.to) || (now == Some(self.from) && self.is_there) {
            return Ok(None);
        }
        if now == Some(self.from) {
            return Ok(Some(Upkeep { operation: self.operation.clone(), part: 0, kind: UpkeepKind::Restore(self.to) }));
        }
        let parents = parents(version).await?;
        if now.is_some_and(|now| is_restored(&parents, (self.from, self.to), now)) {
            return Ok(None);
        }
        Err(Error::conflict("another writer changed the table since the plan was made: its rows would be lost")
            .about("planned_on", self.from)
            .about("current", now.map_or_else(|| "none".to_string(), |now| now.to_string())))
    }
}
