//! Runs the verb.

use super::show::{self, OrphansDocument};
use super::{OrphansArgs, settings};
use crate::cli::commands::upkeep::Verb;
use crate::cli::session::Session;
use crate::error::{Error, Result};
use crate::formats::Table;
use crate::location::Location;
use crate::ops::Parts;
use crate::ops::document::{Finished, Outcome};
use crate::ops::orphans::restore::restore;
use crate::ops::orphans::run::{execute, plan};
use crate::ops::orphans::{self, Neighbours, Options, PlanDocument, Report};
use crate::wiring::neighbours::TablesAt;
use crate::wiring::system::operation_id;

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
    let workshop = session.workshop(store.clone())?;
    let parts = workshop.parts();
    let agreed = session.agreed();
    let table = opened.table.as_ref();
    let document = match (&options.quarantine, args.restore) {
        (Some(place), true) => brought_back(table, place, options.shown, agreed, parts).await?,
        _ => orphans(table, &options, &TablesAt { store: &store }, agreed, parts).await?,
    };
    drop(workshop);
    show(&document, agreed, session)
}

/// Finds the orphans of `table` and, if `agreed`, deletes them.
async fn orphans(table: &dyn Table, options: &Options, around: &dyn Neighbours, agreed: bool, parts: Parts<'_>) -> Result<OrphansDocument> {
    let operation = operation_id();
    let verb = Verb { name: "orphans", table, operation: &operation, start: parts.clock.now() };
    let finished = if agreed {
        finished(execute(table, &operation, options, around, parts).await?)
    } else {
        let survey = plan(table, &operation, options, around, parts).await?;
        let finished = Finished::planned(survey.base.snapshot().version, survey.before, survey.plan.clone());
        survey.clear().await;
        finished
    };
    Ok(verb.document(finished, parts))
}

/// Brings back to `table` what was set aside at `place`, or says what would be.
async fn brought_back(table: &dyn Table, place: &Location, shown: usize, agreed: bool, parts: Parts<'_>) -> Result<OrphansDocument> {
    let operation = operation_id();
    let verb = Verb { name: "orphans", table, operation: &operation, start: parts.clock.now() };
    Ok(verb.document(finished(restore(table, place, shown, agreed, parts).await?), parts))
}

fn finished(done: orphans::Finished) -> Finished<PlanDocument, Report> {
    let orphans::Finished { outcome, base_version, before, plan, report } = done;
    let ran = outcome != Outcome::Planned;
    let (after, report) = (ran.then_some(before), ran.then_some(report));
    Finished { outcome, base_version, versions: Vec::new(), before, after, plan, report, error: None }
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
