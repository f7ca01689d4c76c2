//! Finds orphans, and deletes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::known::Known;
use super::plan::{Held, Listed, Rules, Why};
use super::search::{Links, search, sift};
use super::spool::Spool;
use super::{Counts, FLOOR_MS, Finished, Neighbours, NotSearched, Options, PlanDocument, Report, skipped};
use crate::error::{Error, Kind, Result};
use crate::formats::{Table, TableVersion};
use crate::location::Location;
use crate::model::{OperationId, Totals};
use crate::ops::document::Outcome;
use crate::ops::totals::totals;
use crate::ops::{Parts, leftovers};
use crate::units::Timestamp;

/// So many files are deleted at once: what S3 takes in one request.
const BATCH: usize = 1000;
/// How many reasons for failures are told.
const ERRORS: usize = 10;

/// A table's orphans, found.
pub struct Survey<'a> {
    /// The version that was looked at first.
    pub base: Arc<dyn TableVersion>,
    /// Sums over its live files.
    pub before: Totals,
    /// What was found.
    pub plan: PlanDocument,
    known: Known<'a>,
    links: Links<'a>,
    candidates: Spool,
    stay: Counts,
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
    let base = table.load().await?;
    check_collectable(&*base)?;
    let folders = Folders::new(table.location(), &*base, options)?;
    let rules = rules(table.location(), &*base, options, &folders, parts).await?;
    let (now, older_than) = (rules.now, rules.cutoff);
    let mut known = Known::new(parts.store, Held::new(options.equal.clone()), rules);
    known.hold_own(table, &*base).await?;
    known.hold_around(table.location(), table.format(), around).await?;
    for between in folders.between(table.location()) {
        known.hold_below(&between, around).await?;
    }
    let stem = options.temp.child(&format!("otf-orphans-{operation}-{}", now.0));
    let found = search(&folders.searched, &folders.metadata, &known, parts.store, Spool::new(parts.store.clone(), stem)).await?;
    for root in &found.tables {
        known.hold_below(root, around).await?;
    }
    known.refresh().await?;
    let links = Links::new(parts.store, &folders.searched).await?;
    let before = totals(&*base, parts.engine).await?;
    let document = PlanDocument {
        older_than,
        searched: folders.searched.iter().map(ToString::to_string).collect(),
        not_searched: folders.left_out(),
        ..PlanDocument::default()
    };
    let mut survey = Survey { base, before, plan: document, known, links, candidates: found.candidates, stay: found.stay };
    survey.count(options.shown).await?;
    Ok(survey)
}

impl Survey<'_> {
    /// Counts the orphans and fills in the plan.
    async fn count(&mut self, shown: usize) -> Result<()> {
        let mut first: BTreeSet<String> = BTreeSet::new();
        for chunk in 0..self.candidates.chunks() {
            let sifted = sift(self.candidates.read(chunk).await?, &self.known, &mut self.links).await?;
            for (why, count) in sifted.stay {
                *self.stay.entry(why).or_default() += count;
            }
            for file in sifted.orphans {
                self.plan.found += 1;
                self.plan.bytes = self.plan.bytes.plus(file.size);
                first.insert(file.location.to_string());
                if first.len() > shown {
                    first.pop_last();
                }
            }
        }
        self.plan.held = self.known.held.len() as u64;
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
    let ended = delete_all(survey, &mut report, parts).await;
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

async fn delete_all(mut survey: Survey<'_>, report: &mut Report, parts: Parts<'_>) -> Result<()> {
    let chunks = survey.candidates.chunks();
    parts.progress.planned(chunks, survey.plan.bytes);
    let mut first = None;
    let mut ended = Ok(());
    for chunk in 0..chunks {
        ended = delete_chunk(&mut survey, chunk, report, &mut first, parts).await;
        if ended.is_err() {
            break;
        }
    }
    report.skipped = skipped(&survey.stay);
    survey.clear().await;
    ended?;
    match first {
        Some(error) if report.deleted == 0 => Err(error),
        _ => Ok(()),
    }
}

/// Deletes the orphans among the candidates of a chunk. The tables are read again before, if they have changed.
async fn delete_chunk(
    survey: &mut Survey<'_>,
    chunk: usize,
    report: &mut Report,
    first: &mut Option<Error>,
    parts: Parts<'_>,
) -> Result<()> {
    let files = survey.candidates.read(chunk).await?;
    let orphans_before = sift(files, &survey.known, &mut survey.links).await?.orphans;
    survey.known.refresh().await?;
    let expected = orphans_before.len();
    let sifted = sift(orphans_before, &survey.known, &mut survey.links).await?;
    let meanwhile = expected.saturating_sub(sifted.orphans.len()) as u64;
    if meanwhile > 0 {
        *survey.stay.entry(Why::Meanwhile).or_default() += meanwhile;
    }
    for batch in sifted.orphans.chunks(BATCH) {
        let results = parts.store.delete_each(batch.iter().map(|file| file.location.clone()).collect()).await;
        book(batch, results, report, first);
        parts.progress.group_done(batch.iter().map(|file| file.size).sum());
    }
    Ok(())
}

fn book(batch: &[Listed], results: Vec<Result<()>>, report: &mut Report, first: &mut Option<Error>) {
    for (file, result) in batch.iter().zip(results) {
        match result {
            Ok(()) => {
                report.deleted += 1;
                report.bytes_freed = report.bytes_freed.plus(file.size);
            }
            Err(error) => {
                report.failed += 1;
                if report.errors.len() < ERRORS {
                    report.errors.push(error.to_string());
                }
                first.get_or_insert(error);
            }
        }
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
    let off = base.snapshot().properties.get("gc.enabled").is_some_and(|value| !value.trim().eq_ignore_ascii_case("true"));
    if off {
        return Err(Error::refused("the table's property gc.enabled says that its files are not to be deleted")
            .about("property", "gc.enabled")
            .hint("another table may share them; set the property to true only if none does"));
    }
    Ok(())
}

/// The table's folders, and which of them are searched.
struct Folders {
    /// Everything that is the table's: its root, and those of data and metadata.
    own: Vec<Location>,
    /// Those of metadata.
    metadata: Vec<Location>,
    searched: Vec<Location>,
    asked: bool,
}

impl Folders {
    fn new(root: &Location, base: &dyn TableVersion, options: &Options) -> Result<Self> {
        let metadata = base.metadata_folders();
        let mut own = vec![root.clone()];
        for folder in base.data_folders().into_iter().chain(metadata.iter().cloned()) {
            if !own.contains(&folder) {
                own.push(folder);
            }
        }
        let searched = match &options.location {
            None => root.clone(),
            Some(place) if own.iter().any(|folder| place.is_below(folder)) => place.clone(),
            Some(place) => {
                return Err(Error::refused("a folder that is not the table's is not searched: its files may be those of others")
                    .about("location", place)
                    .about("table", root)
                    .hint("name the table's folder, its write.data.path or its write.metadata.path, or a folder below one of these"));
            }
        };
        Ok(Self { own, metadata, searched: vec![searched], asked: options.location.is_some() })
    }

    /// Folders between the table's and the one that is searched: tables there would not be met by the search.
    fn between(&self, root: &Location) -> Vec<Location> {
        let mut folders = Vec::new();
        for place in self.searched.iter().filter(|place| **place != *root && place.is_below(root)) {
            let mut next = Some(place.clone());
            while let Some(folder) = next.filter(|folder| folder != root) {
                next = folder.parent();
                folders.push(folder);
            }
        }
        folders
    }

    /// Folders outside the table's own may be shared with others: they are searched only where they are asked for by name.
    fn left_out(&self) -> Vec<NotSearched> {
        if self.asked {
            return Vec::new();
        }
        let outside = self.own.iter().filter(|folder| !self.searched.iter().any(|searched| folder.is_below(searched)));
        let told = |folder: &Location| NotSearched {
            location: folder.to_string(),
            why: "it lies outside the table's folder and other tables may share it: search it with --location",
        };
        outside.map(told).collect()
    }
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
