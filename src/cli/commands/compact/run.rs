//! Runs the verb.

use super::show::{self, CompactDocument};
use super::{CompactArgs, settings};
use crate::cli::commands::upkeep::{Verb, open};
use crate::cli::filter;
use crate::cli::session::Session;
use crate::error::Result;
use crate::formats::Table;
use crate::ops::Parts;
use crate::ops::compact::run::{execute, plan};
use crate::ops::compact::{self, Options, PlanDocument};
use crate::ops::document::Finished;
use crate::wiring::system::operation_id;

/// Shows the plan, or carries it out where `--yes` agreed to it.
///
/// # Errors
///
/// As the operation: nothing has been committed, or the outcome in the document says what has.
pub async fn run(args: &CompactArgs, session: &Session) -> Result<u8> {
    let asked = settings::asked(args, &session.settings.config.compact)?;
    let store = session.store()?;
    let agreed = session.agreed();
    let opened = open(&args.table, session, &store, agreed).await?;
    let filter = match &args.filter {
        Some(text) => Some(filter::parse(text, &opened.table.load().await?.snapshot().schema)?),
        None => None,
    };
    let options = settings::options(&asked, filter);
    let workshop = session.workshop(store)?;
    let parts = workshop.parts();
    let document = compact(opened.table.as_ref(), &options, agreed, parts).await?;
    drop(workshop);
    show(&document, agreed, session)
}

/// Plans `table`'s compaction and, if `agreed`, carries the plan out.
///
/// # Errors
///
/// As the operation.
pub(crate) async fn compact(table: &dyn Table, options: &Options, agreed: bool, parts: Parts<'_>) -> Result<CompactDocument> {
    let operation = operation_id();
    let verb = Verb { name: "compact", table, operation: &operation, start: parts.clock.now() };
    let finished = if agreed {
        let compact::Finished { outcome, base_version, versions, before, after, plan, report, error } =
            execute(table, &operation, options, parts).await?;
        let after = error.is_none().then_some(after);
        Finished { outcome, base_version, versions, before, after, plan, report: Some(report), error }
    } else {
        let (version, survey) = plan(table, options, parts).await?;
        Finished::planned(version.snapshot().version, survey.before, PlanDocument::from(&survey.plan))
    };
    Ok(verb.document(finished, parts))
}

fn show(document: &CompactDocument, agreed: bool, session: &Session) -> Result<u8> {
    if session.ui.is_json() {
        session.ui.json(document)?;
    } else {
        session.ui.text(&show::text(document, session.ui.paint))?;
        if !agreed && !document.plan.groups.is_empty() {
            let hint = if session.settings.dry_run {
                "nothing was written (--dry-run)"
            } else {
                "nothing was written; add --yes to carry this plan out"
            };
            session.ui.text(&format!("{hint}\n"))?;
        } else if !agreed {
            session.ui.text("nothing to do\n")?;
        }
        if let Some(error) = &document.error {
            session.ui.error(error);
        }
    }
    Ok(document.outcome.exit_status())
}
