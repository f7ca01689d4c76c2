//! Runs the verb.

use super::show::{self, OrphansDocument};
use super::{OrphansArgs, settings};
use crate::cli::session::Session;
use crate::error::{Error, Result};
use crate::formats::Table;
use crate::location::Location;
use crate::model::{OperationId, Totals};
use crate::ops::Parts;
use crate::ops::document::Outcome;
use crate::ops::orphans::restore::restore;
use crate::ops::orphans::run::{execute, plan};
use crate::ops::orphans::{Finished, Neighbours, Options, PlanDocument};
use crate::units::Timestamp;
use crate::wiring::neighbours::TablesAt;
use crate::wiring::processes::LocalProcesses;
use crate::wiring::system::{operation_id, peak_memory_bytes};

/// Shows the orphans, or deletes them where `--yes` agreed to it.
///
/// # Errors
///
/// As the operation: nothing has been deleted, or the document says what has.
pub async fn run(args: &OrphansArgs, session: &Session) -> Result<u8> {
    let temp =
        session.settings.temp_dir.to_str().ok_or_else(|| Error::usage("the folder for temporary files has a name that is not Unicode"))?;
    let here = session.system.here()?;
    let options = settings::options(args, &here, Location::parse_below(temp, &here)?)?;
    let store = session.store()?;
    let opened = session.open(&args.table, &store).await?;
    if opened.read_only {
        return Err(Error::refused("a metadata file is one exact state of a table: newer states may refer to other files")
            .about("location", opened.table.location())
            .hint("name the table's folder, or its name in a catalog"));
    }
    let (engine, progress) = (session.engine(&store)?, session.progress());
    let parts = Parts {
        store: &store,
        engine: engine.as_ref(),
        clock: session.system.clock.as_ref(),
        progress: progress.as_ref(),
        processes: &LocalProcesses::new(),
    };
    let agreed = session.settings.yes && !session.settings.dry_run;
    let table = opened.table.as_ref();
    let document = match (&options.quarantine, args.restore) {
        (Some(place), true) => brought_back(table, place, options.shown, agreed, parts).await?,
        _ => orphans(table, &options, &TablesAt { store: &store }, agreed, parts).await?,
    };
    drop(progress);
    show(&document, agreed, session)
}

/// Finds the orphans of `table` and, if `agreed`, deletes them.
async fn orphans(table: &dyn Table, options: &Options, around: &dyn Neighbours, agreed: bool, parts: Parts<'_>) -> Result<OrphansDocument> {
    let start = parts.clock.now();
    let operation = operation_id();
    let document = if agreed {
        ended(table, &operation, execute(table, &operation, options, around, parts).await?)
    } else {
        let survey = plan(table, &operation, options, around, parts).await?;
        let base_version = survey.base.snapshot().version.map(|version| version.to_string());
        let (before, plan) = (survey.before, survey.plan.clone());
        survey.clear().await;
        OrphansDocument { base_version, before, plan, ..blank(table, &operation) }
    };
    Ok(timed(document, start, parts))
}

/// Brings back to `table` what was set aside at `place`, or says what would be.
async fn brought_back(table: &dyn Table, place: &Location, shown: usize, agreed: bool, parts: Parts<'_>) -> Result<OrphansDocument> {
    let start = parts.clock.now();
    let done = restore(table, place, shown, agreed, parts).await?;
    Ok(timed(ended(table, &operation_id(), done), start, parts))
}

fn timed(document: OrphansDocument, start: Timestamp, parts: Parts<'_>) -> OrphansDocument {
    let elapsed_ms = u64::try_from(parts.clock.now().0.saturating_sub(start.0)).unwrap_or(0);
    OrphansDocument { elapsed_ms, peak_memory_bytes: peak_memory_bytes(), ..document }
}

fn ended(table: &dyn Table, operation: &OperationId, done: Finished) -> OrphansDocument {
    let ran = done.outcome != Outcome::Planned;
    OrphansDocument {
        outcome: done.outcome,
        base_version: done.base_version.map(|version| version.to_string()),
        before: done.before,
        after: ran.then_some(done.before),
        plan: done.plan,
        report: ran.then_some(done.report),
        ..blank(table, operation)
    }
}

fn blank(table: &dyn Table, operation: &OperationId) -> OrphansDocument {
    OrphansDocument {
        command: "orphans",
        table: table.location().to_string(),
        format: table.format(),
        operation_id: operation.to_string(),
        outcome: Outcome::Planned,
        base_version: None,
        versions: Vec::new(),
        before: Totals::default(),
        after: None,
        plan: PlanDocument::default(),
        report: None,
        error: None,
        elapsed_ms: 0,
        peak_memory_bytes: 0,
    }
}

fn show(document: &OrphansDocument, agreed: bool, session: &Session) -> Result<u8> {
    if session.ui.is_json() {
        session.ui.json(document)?;
    } else {
        session.ui.text(&show::text(document, session.ui.paint))?;
        if !agreed && document.plan.found > 0 {
            let hint = if session.settings.dry_run { " (--dry-run)" } else { "; add --yes to carry this plan out" };
            session.ui.text(&format!("nothing was touched{hint}\n"))?;
        }
    }
    Ok(document.outcome.exit_status())
}
