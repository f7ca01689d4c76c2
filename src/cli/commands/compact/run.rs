//! Runs the verb.

use super::show::{self, CompactDocument};
use super::{CompactArgs, settings};
use crate::cli::commands::upkeep::open;
use crate::cli::filter;
use crate::cli::session::Session;
use crate::error::Result;
use crate::formats::Table;
use crate::model::OperationId;
use crate::ops::Parts;
use crate::ops::compact::run::{execute, plan};
use crate::ops::compact::{Finished, Options, PlanDocument};
use crate::ops::document::Outcome;
use crate::wiring::processes::LocalProcesses;
use crate::wiring::system::{operation_id, peak_memory_bytes};

/// Shows the plan, or carries it out where `--yes` agreed to it.
///
/// # Errors
///
/// As the operation: nothing has been committed, or the outcome in the document says what has.
pub async fn run(args: &CompactArgs, session: &Session) -> Result<u8> {
    let asked = settings::asked(args, &session.settings.config.compact)?;
    let store = session.store()?;
    let agreed = session.settings.yes && !session.settings.dry_run;
    let opened = open(&args.table, session, &store, agreed).await?;
    let filter = match &args.filter {
        Some(text) => Some(filter::parse(text, &opened.table.load().await?.snapshot().schema)?),
        None => None,
    };
    let options = settings::options(&asked, filter);
    let (engine, progress) = (session.engine(&store)?, session.progress());
    let parts = Parts {
        store: &store,
        engine: engine.as_ref(),
        clock: session.system.clock.as_ref(),
        progress: progress.as_ref(),
        processes: &LocalProcesses::new(),
    };
    let document = compact(opened.table.as_ref(), &options, agreed, parts).await?;
    drop(progress);
    show(&document, agreed, session)
}

/// Plans `table`'s compaction and, if `agreed`, carries the plan out.
///
/// # Errors
///
/// As the operation.
pub(crate) async fn compact(table: &dyn Table, options: &Options, agreed: bool, parts: Parts<'_>) -> Result<CompactDocument> {
    let start = parts.clock.now();
    let operation = operation_id();
    let document = if agreed {
        ended(table, &operation, execute(table, &operation, options, parts).await?)
    } else {
        let (version, survey) = plan(table, options, parts).await?;
        let base_version = version.snapshot().version.map(|version| version.to_string());
        CompactDocument {
            command: "compact",
            table: table.location().to_string(),
            format: table.format(),
            operation_id: operation.to_string(),
            outcome: Outcome::Planned,
            base_version,
            versions: Vec::new(),
            before: survey.before,
            after: None,
            plan: PlanDocument::from(&survey.plan),
            report: None,
            error: None,
            elapsed_ms: 0,
            peak_memory_bytes: 0,
        }
    };
    let elapsed_ms = u64::try_from(parts.clock.now().0.saturating_sub(start.0)).unwrap_or(0);
    Ok(CompactDocument { elapsed_ms, peak_memory_bytes: peak_memory_bytes(), ..document })
}

fn ended(table: &dyn Table, operation: &OperationId, finished: Finished) -> CompactDocument {
    CompactDocument {
        command: "compact",
        table: table.location().to_string(),
        format: table.format(),
        operation_id: operation.to_string(),
        outcome: finished.outcome,
        base_version: finished.base_version.map(|version| version.to_string()),
        versions: finished.versions.iter().map(ToString::to_string).collect(),
        before: finished.before,
        after: finished.error.is_none().then_some(finished.after),
        plan: finished.plan,
        report: Some(finished.report),
        error: finished.error,
        elapsed_ms: 0,
        peak_memory_bytes: 0,
    }
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
