//! Runs the verb.

use super::ExpireArgs;
use super::show::{self, ExpireDocument};
use crate::cli::commands::upkeep::open;
use crate::cli::session::Session;
use crate::error::Result;
use crate::formats::Table;
use crate::model::Version;
use crate::ops::Parts;
use crate::ops::document::Outcome;
use crate::ops::expire::plan::{Cutoff, Wishes};
use crate::ops::expire::run::{execute, plan};
use crate::ops::expire::{Finished, Options};
use crate::units::{parse_duration, parse_time};
use crate::wiring::processes::LocalProcesses;
use crate::wiring::system::{operation_id, peak_memory_bytes};

/// So many files of a plan are named, where names are wanted.
const NAMED: usize = 1_000;

/// Shows the plan, or carries it out where `--yes` agreed to it.
///
/// # Errors
///
/// As the operation: nothing has been committed, or the outcome in the document says what has.
pub async fn run(args: &ExpireArgs, session: &Session) -> Result<u8> {
    let names = session.ui.is_json() || session.settings.level >= tracing::level_filters::LevelFilter::INFO;
    let options = options(args, if names { NAMED } else { 0 })?;
    let store = session.store()?;
    let agreed = session.settings.yes && !session.settings.dry_run;
    let opened = open(&args.table, session, &store, agreed).await?;
    let (engine, progress) = (session.engine(&store)?, session.progress());
    let parts = Parts {
        store: &store,
        engine: engine.as_ref(),
        clock: session.system.clock.as_ref(),
        progress: progress.as_ref(),
        processes: &LocalProcesses::new(),
    };
    let document = expire(opened.table.as_ref(), &options, agreed, parts).await?;
    drop(progress);
    show::show(&document, agreed, session)
}

fn options(args: &ExpireArgs, files_named: usize) -> Result<Options> {
    let versions = |ids: &[i64]| ids.iter().map(|id| Version(*id)).collect();
    Ok(Options {
        wishes: Wishes {
            older_than: args.older_than.as_deref().map(|text| cutoff(text, args.tz.as_deref())).transpose()?,
            retain_last: args.retain_last.map(std::num::NonZeroU64::get),
            versions: versions(&args.snapshot_id),
            max_ref_age_ms: args.max_ref_age.as_deref().map(milliseconds).transpose()?,
            pins: versions(&args.pin),
            unsafe_retention: args.unsafe_retention,
        },
        metadata_only: args.metadata_only,
        clean_metadata: args.clean_metadata,
        files_named,
    })
}

fn milliseconds(text: &str) -> Result<i64> {
    parse_duration(text).map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

/// An age or a point in time.
fn cutoff(text: &str, zone: Option<&str>) -> Result<Cutoff> {
    if let Ok(age) = milliseconds(text) {
        return Ok(Cutoff::Age(age));
    }
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('-') {
        return parse_time(text, zone).map(Cutoff::Since);
    }
    milliseconds(text).map(Cutoff::Age)
}

/// Plans what `table` forgets and, if `agreed`, carries the plan out.
///
/// # Errors
///
/// As the operation.
async fn expire(table: &dyn Table, options: &Options, agreed: bool, parts: Parts<'_>) -> Result<ExpireDocument> {
    let start = parts.clock.now();
    let operation = operation_id();
    let finished = if agreed { Some(execute(table, &operation, options, parts).await?) } else { None };
    let (base_version, before, plan) = match finished {
        Some(finished) => return Ok(ended(table, &operation.to_string(), finished, elapsed(start.0, parts))),
        None => plan(table, options, parts).await.map(|(base, before, plan)| (base.snapshot().version, before, plan))?,
    };
    Ok(ExpireDocument {
        command: "expire",
        table: table.location().to_string(),
        format: table.format(),
        operation_id: operation.to_string(),
        outcome: Outcome::Planned,
        base_version: base_version.map(|version| version.to_string()),
        versions: Vec::new(),
        before,
        after: None,
        plan,
        report: None,
        error: None,
        elapsed_ms: elapsed(start.0, parts),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn elapsed(start: i64, parts: Parts<'_>) -> u64 {
    u64::try_from(parts.clock.now().0.saturating_sub(start)).unwrap_or(0)
}

fn ended(table: &dyn Table, operation: &str, finished: Finished, elapsed_ms: u64) -> ExpireDocument {
    ExpireDocument {
        command: "expire",
        table: table.location().to_string(),
        format: table.format(),
        operation_id: operation.to_string(),
        outcome: finished.outcome,
        base_version: finished.base_version.map(|version| version.to_string()),
        versions: Vec::new(),
        before: finished.before,
        after: finished.error.is_none().then_some(finished.after),
        plan: finished.plan,
        report: Some(finished.report),
        error: finished.error,
        elapsed_ms,
        peak_memory_bytes: peak_memory_bytes(),
    }
}
