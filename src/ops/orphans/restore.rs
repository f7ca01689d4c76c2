//! Brings back what was set aside.

use super::folders::Folders;
use super::{Finished, PlanDocument, Report, quarantine};
use crate::error::Result;
use crate::formats::Table;
use crate::location::Location;
use crate::ops::Parts;
use crate::ops::document::Outcome;
use crate::ops::totals::totals;

/// Brings files of `table` back from `place`, where they were set aside by any run; only says what it would do unless `agreed`.
///
/// # Errors
///
/// What kept every file from being brought back; those of storage.
pub async fn restore(table: &dyn Table, place: &Location, shown: usize, agreed: bool, parts: Parts<'_>) -> Result<Finished> {
    let base = table.load_counts().await?;
    let folders = Folders::new(table.location(), &*base, None)?;
    let before = totals(&*base, parts.engine).await?;
    let restored = quarantine::restore(parts.store, place, &folders.own, shown, agreed).await?;
    let plan = PlanDocument {
        searched: vec![place.to_string()],
        found: restored.files,
        bytes: restored.bytes,
        files_not_shown: restored.files.saturating_sub(restored.names.len() as u64),
        files: restored.names.into_iter().collect(),
        ..PlanDocument::default()
    };
    let report = Report {
        found: restored.files,
        restored: restored.files,
        quarantine: Some(place.to_string()),
        failed: restored.failed,
        errors: restored.errors.iter().map(ToString::to_string).collect(),
        ..Report::default()
    };
    let outcome = match (agreed, report.restored, report.failed) {
        (false, _, _) => Outcome::Planned,
        (true, 0, 0) => Outcome::NothingToDo,
        (true, 0, _) => match restored.errors.into_iter().next() {
            Some(error) => return Err(error),
            None => Outcome::NothingToDo,
        },
        (true, _, 0) => Outcome::Landed,
        (true, _, _) => Outcome::Partial,
    };
    Ok(Finished { outcome, base_version: base.snapshot().version, before, plan, report })
}
