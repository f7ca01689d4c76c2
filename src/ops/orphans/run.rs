//! Finds orphans, and deletes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::delete::{Way, delete_all};
use super::folders::Folders;
use super::inventory::Inventory;
use super::known::Known;
use super::plan::{Held, Listed, Rules, Why};
use super::quarantine::Quarantine;
use super::search::{Found, Links, search, search_inventory, sift, verify};
use super::spool::Spool;
use super::{Counts, FLOOR_MS, Finished, Neighbours, Options, PlanDocument, Report, skipped};
use crate::error::{Error, Kind, Result};
use crate::formats::{Table, TableVersion};
use crate::location::Location;
use crate::model::{LiveCount, OperationId, Totals};
use crate::ops::document::Outcome;
use crate::ops::totals::totals;
use crate::ops::{Parts, leftovers};
use crate::units::Timestamp;

/// A table's orphans, found.
pub struct Survey<'a> {
    /// The version that was looked at first.
    pub base: Arc<dyn TableVersion>,
    /// Sums over its live files.
    pub before: Totals,
    /// What was found.
    pub plan: PlanDocument,
    pub(super) known: Known<'a>,
    links: Links<'a>,
    pub(super) candidates: Spool,
    pub(super) stay: Counts,
    /// Whether files were not listed by us and have to be looked at.
    verify: bool,
}

impl std::fmt::Debug for Survey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Survey<'_> {
    /// Lets go of what was kept for deleting.
    pub async fn clear(self) {
        self.candidates.clear().await;
    }
}

/// Finds the orphans of `table`. Writes nothing but temporary files.
///
/// # Errors
///
/// `Refused` where deleting would be unsafe, naming the way out; those of reading everything that tables refer to: without all of it nothing can be
/// said of any file.
pub async fn plan<'a>(
    table: &'a dyn Table,
    operation: &OperationId,
    options: &Options,
    around: &dyn Neighbours,
    parts: Parts<'a>,
) -> Result<Survey<'a>> {
    check_age(options)?;
    let base = table.load_counts().await?;
    check_collectable(&*base)?;
    let folders = Folders::new(table.location(), &*base, options.location.as_ref())?;
    let rules = rules(table.location(), &*base, options, &folders, parts).await?;
    if let Some(quarantine) = &options.quarantine {
        check_quarantine(quarantine, &rules)?;
    }
    let (now, older_than) = (rules.now, rules.cutoff);
    let mut known = Known::new(parts.store, Held::new(options.equal.clone()), rules);
    let live = LiveCount::default();
    known.hold_own(table, &*base, &live).await?;
    known.hold_around(table.location(), table.format(), around).await?;
    for between in folders.between(table.location()) {
        known.hold_if_table(&between, around).await?;
    }
    let stem = options.temp.child(&format!("otf-orphans-{operation}-{}", now.0));
    let found = look(options, &folders, &mut known, around, Spool::new(parts.store.clone(), stem)).await?;
    known.refresh().await?;
    let links = Links::new(parts.store, &folders.searched).await?;
    let before = match live.totals() {
        Some(before) => before,
        None => totals(&*base, parts.engine).await?,
    };
    let document = PlanDocument {
        older_than,
        searched: folders.searched.iter().map(ToString::to_string).collect(),
        not_searched: folders.left_out(),
        ..PlanDocument::default()
    };
    let verify = options.inventory.is_some();
    let mut survey = Survey { base, before, plan: document, known, links, candidates: found.candidates, stay: found.stay, verify };
    survey.count(options.shown).await?;
    Ok(survey)
}

/// Lists files, or reads a list of them; then everything that tables met on the way refer to is known too.
async fn look(options: &Options, folders: &Folders, known: &mut Known<'_>, around: &dyn Neighbours, spool: Spool) -> Result<Found> {
    let (searched, metadata, store) = (&folders.searched, &folders.metadata, known.store);
    let found = match (&options.inventory, searched.first()) {
        (Some(file), Some(home)) => {
            let inventory = Inventory::open(store, file, home).await?;
            search_inventory(inventory, searched, metadata, known, spool).await?
        }
        _ => search(searched, metadata, known, store, spool).await?,
    };
    for root in &found.tables {
        known.hold_below(root, around).await?;
    }
    if options.inventory.is_some() {
        for folder in found.folders(searched).await? {
            known.hold_if_table(&folder, around).await?;
        }
    }
    Ok(found)
}

impl Survey<'_> {
    /// Those of `files` that are orphans by what is known now; the others are counted.
    ///
    /// # Errors
    ///
    /// `Refused` where names of storages differ; `Unavailable` if storage did not answer.
    pub(super) async fn orphans(&mut self, files: Vec<Listed>) -> Result<Vec<Listed>> {
        let sifted = sift(files, &self.known, &mut self.links).await?;
        for (why, count) in sifted.stay {
            *self.stay.entry(why).or_default() += count;
        }
        // Object stores list the marks of folders (`data/`) as empty objects of the folder's name, which are not there under that name.
        let is_doubtful = |file: &Listed| self.verify || (file.size.is_zero() && file.location.scheme() != "file");
        let (doubtful, mut orphans): (Vec<Listed>, Vec<Listed>) = sifted.orphans.into_iter().partition(is_doubtful);
        let (verified, others) = verify(doubtful, &self.known, self.known.store).await?;
        orphans.extend(verified);
        if others > 0 {
            *self.stay.entry(Why::Meanwhile).or_default() += others;
        }
        Ok(orphans)
    }

    /// Counts the orphans and fills in the plan.
    async fn count(&mut self, shown: usize) -> Result<()> {
        let mut first: BTreeSet<String> = BTreeSet::new();
        for chunk in 0..self.candidates.chunks() {
            let files = self.candidates.read(chunk).await?;
            for file in self.orphans(files).await? {
                self.plan.found += 1;
                self.plan.bytes = self.plan.bytes.plus(file.size);
                first.insert(file.location.to_string());
                if first.len() > shown {
                    first.pop_last();
                }
            }
        }
        self.plan.held = self.known.held().len() as u64;
        self.plan.tables = self.known.met.clone();
        self.plan.files_not_shown = self.plan.found.saturating_sub(first.len() as u64);
        self.plan.files = first.into_iter().collect();
        self.plan.skipped = skipped(&self.stay);
        Ok(())
    }
}

/// Finds the orphans of `table` and deletes them.
///
/// # Errors
///
/// As [`plan`], and what kept every orphan from being deleted. Where some are deleted, the failures are in the report instead.
pub async fn execute(
    table: &dyn Table,
    operation: &OperationId,
    options: &Options,
    around: &dyn Neighbours,
    parts: Parts<'_>,
) -> Result<Finished> {
    let survey = plan(table, operation, options, around, parts).await?;
    let base_version = survey.base.snapshot().version;
    let (before, document) = (survey.before, survey.plan.clone());
    let mut report = Report { found: document.found, ..Report::default() };
    report.leftovers_removed = clean_leftovers(table, &*survey.base, document.found, parts).await?;
    let way = match &options.quarantine {
        None => Way::Delete(parts.store),
        Some(place) => {
            report.quarantine = Some(place.child(&operation.0).to_string());
            Way::SetAside(Quarantine::new(parts.store, place, operation))
        }
    };
    let ended = delete_all(survey, way, &mut report, parts).await;
    if let Err(error) = ended {
        if report.deleted == 0 {
            return Err(error);
        }
        parts.progress.remark(&error.to_string());
        report.stopped_by = Some(error.to_string());
    }
    let outcome = match (report.deleted, report.failed > 0 || report.stopped_by.is_some()) {
        (0, _) => Outcome::NothingToDo,
        (_, true) => Outcome::Partial,
        (_, false) => Outcome::Landed,
    };
    Ok(Finished { outcome, base_version, before, plan: document, report })
}

/// What dead runs left is cleaned up first. Where nothing else is to be done, a place we may not write to is no failure.
async fn clean_leftovers(table: &dyn Table, base: &dyn TableVersion, found: u64, parts: Parts<'_>) -> Result<u64> {
    match leftovers::clean(parts, table.location(), base).await {
        Err(error) if found == 0 => {
            parts.progress.remark(&format!("what an earlier run left behind could not be removed: {error}"));
            Ok(0)
        }
        cleaned => cleaned,
    }
}

fn check_age(options: &Options) -> Result<()> {
    if options.older_than_ms >= FLOOR_MS || options.unsafe_retention {
        return Ok(());
    }
    Err(Error::refused("files younger than 24 hours may be those of writers that are still at work")
        .hint("ask for --older-than 24h or more; --unsafe-retention overrides this where nobody writes to the table"))
}

/// The owner of a table may have switched off that files are ever deleted: because another table shares them.
fn check_collectable(base: &dyn TableVersion) -> Result<()> {
    if !base.retention()?.collectable {
        return Err(Error::refused("the table's property gc.enabled says that its files are not to be deleted")
            .about("property", "gc.enabled")
            .hint("another table may share them; set the property to true only if none does"));
    }
    Ok(())
}

/// What is set aside must not be found again.
fn check_quarantine(quarantine: &Location, rules: &Rules) -> Result<()> {
    if rules.passes_over(&quarantine.child("file")) {
        return Ok(());
    }
    Err(Error::refused("what is set aside below the table's folders would be found again")
        .about("quarantine", quarantine)
        .hint("name a folder elsewhere, or one whose name begins with _"))
}

async fn rules(root: &Location, base: &dyn TableVersion, options: &Options, folders: &Folders, parts: Parts<'_>) -> Result<Rules> {
    let now = parts.clock.now();
    let marks = match leftovers::marks(parts, root).await {
        Ok(marks) => marks,
        Err(error) if error.kind() == Kind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Rules {
        now,
        cutoff: Timestamp(now.0.saturating_sub(options.older_than_ms)),
        on_mismatch: options.on_mismatch,
        roots: folders.own.clone(),
        others: Vec::new(),
        partition_fields: base.snapshot().partitioning.iter().cloned().collect(),
        marks,
    })
}
