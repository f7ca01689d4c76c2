//! Deletes orphans, or sets them aside.

use super::plan::{Listed, Why};
use super::quarantine::Quarantine;
use super::run::Survey;
use super::{Report, skipped};
use crate::error::{Error, Result};
use crate::ops::Parts;
use crate::store::{Gone, Store};

/// So many files are deleted at once: what S3 takes in one request.
const BATCH: usize = 1000;
/// How many reasons for failures are told.
const ERRORS: usize = 10;

/// How orphans go.
pub(super) enum Way<'a> {
    /// For good.
    Delete(&'a Store),
    /// Into a quarantine.
    SetAside(Quarantine<'a>),
}

impl Way<'_> {
    async fn take(&mut self, files: &[Listed]) -> Vec<Result<Gone>> {
        match self {
            Self::Delete(store) => store.delete_each(files.iter().map(|file| file.location.clone()).collect()).await,
            Self::SetAside(quarantine) => quarantine.take(files).await,
        }
    }
}

/// What has been done so far.
struct Done<'a> {
    report: &'a mut Report,
    first: Option<Error>,
    way: Way<'a>,
    /// Whether storage keeps what is deleted as older versions, once that was asked.
    keeps_versions: Option<bool>,
}

/// Deletes what `survey` found; what was done is in `report` even where this ends with an error.
///
/// # Errors
///
/// Those of reading the tables again, and what kept every orphan from being deleted.
pub(super) async fn delete_all(mut survey: Survey<'_>, way: Way<'_>, report: &mut Report, parts: Parts<'_>) -> Result<()> {
    let chunks = survey.candidates.chunks();
    parts.progress.planned(chunks, survey.plan.bytes);
    let planned = std::mem::take(&mut survey.stay);
    let mut done = Done { report, first: None, way, keeps_versions: None };
    let mut ended = Ok(());
    for chunk in 0..chunks {
        ended = done.chunk(&mut survey, chunk, parts).await;
        if ended.is_err() {
            break;
        }
    }
    let Done { first, report, .. } = done;
    // What was an orphan in the plan and is none any more counts besides what stayed then.
    let meanwhile = report.found.saturating_sub(report.deleted).saturating_sub(report.failed);
    let mut stay = planned;
    if meanwhile > 0 && ended.is_ok() {
        *stay.entry(Why::Meanwhile).or_default() += meanwhile;
    }
    report.skipped = skipped(&stay);
    survey.clear().await;
    ended?;
    match first {
        Some(error) if report.deleted == 0 => Err(error),
        _ => Ok(()),
    }
}

impl Done<'_> {
    /// Deletes the orphans among the candidates of a chunk. The tables are read again before, if they have changed.
    async fn chunk(&mut self, survey: &mut Survey<'_>, chunk: usize, parts: Parts<'_>) -> Result<()> {
        survey.known.refresh().await?;
        let files = survey.candidates.read(chunk).await?;
        let orphans = survey.orphans(files).await?;
        if let (Way::Delete(store), None, Some(file)) = (&self.way, self.keeps_versions, orphans.first()) {
            self.keeps_versions = store.keeps_versions(&file.location).await.ok();
        }
        for batch in orphans.chunks(BATCH) {
            let results = self.way.take(batch).await;
            book(batch, results, self.keeps_versions == Some(true), self.report, &mut self.first);
            parts.progress.group_done(batch.iter().map(|file| file.size).sum());
        }
        Ok(())
    }
}

fn book(batch: &[Listed], results: Vec<Result<Gone>>, keeps_versions: bool, report: &mut Report, first: &mut Option<Error>) {
    for (file, result) in batch.iter().zip(results) {
        match result {
            // It counts with what was no orphan any more when it was its turn.
            Ok(Gone::Before) => {}
            Ok(Gone::Now) => {
                report.deleted += 1;
                let bytes = if keeps_versions { &mut report.bytes_noncurrent } else { &mut report.bytes_freed };
                *bytes = bytes.plus(file.size);
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
