//! Runs the verb.

use super::ExpireArgs;
use super::show::{self, ExpireDocument};
use crate::cli::commands::upkeep::{Verb, open};
use crate::cli::session::Session;
use crate::error::Result;
use crate::formats::Table;
use crate::model::Version;
use crate::ops::Parts;
use crate::ops::document::Finished;
use crate::ops::expire::plan::{Cutoff, Wishes};
use crate::ops::expire::run::{execute, plan};
use crate::ops::expire::{self, Options};
use crate::units::{parse_duration, parse_time};
use crate::wiring::system::operation_id;

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
    let agreed = session.agreed();
    let opened = open(&args.table, session, &store, agreed).await?;
    let workshop = session.workshop(store)?;
    let parts = workshop.parts();
    let document = expire(opened.table.as_ref(), &options, agreed, parts).await?;
    drop(workshop);
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
    let operation = operation_id();
    let verb = Verb { name: "expire", table, operation: &operation, start: parts.clock.now() };
    let finished = if agreed {
        let expire::Finished { outcome, base_version, before, after, plan, report, error } =
            execute(table, &operation, options, parts).await?;
        let after = error.is_none().then_some(after);
        Finished { outcome, base_version, versions: Vec::new(), before, after, plan, report: Some(report), error }
    } else {
        let (base, before, plan) = plan(table, options, parts).await?;
        Finished::planned(base.snapshot().version, before, plan)
    };
    Ok(verb.document(finished, parts))
}
