//! What an expiry's plan and report look like for people.

use crate::cli::commands::upkeep::{line, plural};
use crate::cli::session::Session;
use crate::cli::ui::{Paint, elapsed, table};
use crate::error::Result;
use crate::model::FileKind;
use crate::ops::document::{Document, Outcome};
use crate::ops::expire::plan::Keep;
use crate::ops::expire::{ByKind, LeftFiles, PlanDocument, Report, WhyLeft};
use crate::ops::territory::Foreign;
use crate::units::Bytes;

/// How many versions of a plan people are shown.
const SHOWN: usize = 10;

/// A document of this verb.
pub(super) type ExpireDocument = Document<PlanDocument, Report>;

/// Prints the document; returns the exit status.
///
/// # Errors
///
/// `Unavailable` if standard output cannot be written.
pub(super) fn show(document: &ExpireDocument, agreed: bool, session: &Session) -> Result<u8> {
    if session.ui.is_json() {
        session.ui.json(document)?;
    } else {
        let mut text = text(document, session.ui.paint);
        text.push_str(match (agreed, document.plan.is_empty(), session.settings.dry_run) {
            (true, ..) => "",
            (_, true, _) => "nothing to do\n",
            (.., true) => "nothing was written (--dry-run)\n",
            _ => "nothing was written; add --yes to carry this plan out\n",
        });
        session.ui.text(&text)?;
        if let Some(error) = &document.error {
            session.ui.error(error);
        }
    }
    Ok(document.outcome.exit_status())
}

fn text(document: &ExpireDocument, paint: Paint) -> String {
    let version = document.base_version.as_deref().map_or_else(|| "no version yet".to_string(), |version| format!("version {version}"));
    let mut text = format!("{} {} ({}, {version})\n\n", paint.bold("expire"), document.table, document.format.as_str());
    plan(&mut text, &document.plan, document.outcome, paint);
    match (document.outcome, &document.report) {
        (Outcome::Planned, _) | (_, None) => {}
        (Outcome::NothingToDo, _) => text.push_str(&paint.good("nothing to do\n")),
        (outcome, Some(report)) => ended(&mut text, document, report, outcome, paint),
    }
    text
}

fn plan(text: &mut String, plan: &PlanDocument, outcome: Outcome, paint: Paint) {
    if !plan.expired.is_empty() {
        line(text, &format!("{} {}", paint.bold("forget"), plural(plan.expired.len() as u64, "version")));
        let rows = plan.expired.iter().take(SHOWN).map(|gone| vec![gone.version.clone(), gone.time.clone().unwrap_or_default()]);
        text.push_str(&table(&["version", "made"], &rows.collect::<Vec<_>>(), 2));
        more(text, plan.expired.len(), paint);
    }
    if let (Some(first), Some(last)) = (plan.emptied.first(), plan.emptied.last()) {
        let which = if first.version == last.version { first.version.clone() } else { format!("{} to {}", first.version, last.version) };
        let of = plural(plan.emptied.len() as u64, "version");
        line(text, &format!("{} {of} ({which}): still listed, and no longer readable", paint.bold("empty")));
    }
    for gone in &plan.references {
        line(text, &format!("{} the {} {} (version {})", paint.bold("drop"), gone.kind, gone.name, gone.version));
    }
    for (what, ids) in [("schema", &plan.unused.schemas), ("partition spec", &plan.unused.specs)] {
        if !ids.is_empty() {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            line(text, &format!("{} {what} {}: nothing refers to it", paint.bold("drop"), ids.join(", ")));
        }
    }
    if !plan.unknown.is_empty() {
        line(text, &format!("{} {}: not listed (any more)", paint.warn("pass over"), plan.unknown.join(", ")));
    }
    for kept in &plan.keep {
        line(text, &format!("{} {}: {}", paint.bold("keep"), plural(kept.versions, "version"), keep(kept.why)));
    }
    if outcome == Outcome::Planned && !plan.is_empty() {
        line(text, &format!("{} {}", paint.bold("delete"), kinds(&plan.delete, plan.bytes)));
        for file in &plan.files {
            line(text, &format!("  {file}"));
        }
        let total: u64 = plan.delete.0.values().sum();
        if !plan.files.is_empty() && total > plan.files.len() as u64 {
            line(text, &paint.dim(&format!("  … and {}", plural(total - plan.files.len() as u64, "more file"))));
        }
        left(text, &plan.left, paint);
    }
    text.push('\n');
}

fn more(text: &mut String, all: usize, paint: Paint) {
    if let Some(more) = all.checked_sub(SHOWN).filter(|more| *more > 0) {
        line(text, &paint.dim(&format!("… and {} (all of them with --output json)", plural(more as u64, "more version"))));
    }
}

fn left(text: &mut String, left: &[LeftFiles], paint: Paint) {
    for left in left {
        line(text, &format!("{} {} ({}): {}", paint.warn("leave"), plural(left.files, "file"), left.bytes, why_left(left.why)));
    }
}

fn ended(text: &mut String, document: &ExpireDocument, report: &Report, outcome: Outcome, paint: Paint) {
    let word = match outcome {
        Outcome::Landed => paint.good(outcome.as_str()),
        Outcome::Partial => paint.warn(outcome.as_str()),
        _ => paint.bad(outcome.as_str()),
    };
    line(text, &format!("{word} in {}", elapsed(document.elapsed_ms)));
    if matches!(outcome, Outcome::Landed | Outcome::Partial) {
        line(text, &format!("{} {}", paint.bold("deleted"), kinds(&report.deleted, report.bytes_freed.plus(report.bytes_noncurrent))));
    }
    if !report.bytes_noncurrent.is_zero() {
        line(text, &format!("{} {}: the bucket keeps them as noncurrent versions", paint.warn("not freed"), report.bytes_noncurrent));
    }
    left(text, &report.left, paint);
    if report.already_gone > 0 {
        line(text, &format!("{} {}: not there any more", paint.warn("not found"), plural(report.already_gone, "file")));
    }
    if report.spared > 0 {
        line(text, &format!("{} {}: in use again", paint.warn("leave"), plural(report.spared, "file")));
    }
    if report.failed > 0 {
        line(text, &format!("{} to delete {}; the next run tries again", paint.bad("failed"), plural(report.failed, "file")));
        report.failures.iter().for_each(|why| line(text, &format!("  {why}")));
    }
    if report.leftovers_removed > 0 {
        line(text, &format!("{} of earlier runs removed", plural(report.leftovers_removed, "file")));
    }
}

/// `3 data files, 1 manifest (2.0 KiB)`.
fn kinds(deleted: &ByKind, bytes: Bytes) -> String {
    let parts: Vec<String> = deleted.0.iter().filter(|(_, files)| **files > 0).map(|(kind, files)| plural(*files, word(*kind))).collect();
    if parts.is_empty() { "no file".to_string() } else { format!("{} ({bytes})", parts.join(", ")) }
}

const fn word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Data => "data file",
        FileKind::PositionDeletes => "position-delete file",
        FileKind::EqualityDeletes => "equality-delete file",
        FileKind::DeletionVectors => "deletion-vector file",
        FileKind::Manifests => "manifest",
        FileKind::ManifestLists => "manifest list",
        FileKind::Statistics => "statistics file",
        FileKind::Metadata => "metadata file",
        FileKind::Log => "log entry file",
        FileKind::Checkpoints => "checkpoint file",
        FileKind::Cdf => "change-data file",
    }
}

const fn keep(why: Keep) -> &'static str {
    match why {
        Keep::Named => "current, or held by a branch or tag",
        Keep::Young => "young enough",
        Keep::AmongTheLast => "among the last of a branch",
        Keep::Pinned => "pinned, or made from a pinned one",
        Keep::Consumer => "a streaming job goes on from there",
        Keep::HeldElsewhere => "a catalog may hold it",
        Keep::NoTime => "of unknown age",
        Keep::BehindKept => "made after one that stays",
        Keep::NotAskedFor => "not asked for",
    }
}

const fn why_left(why: WhyLeft) -> &'static str {
    match why {
        WhyLeft::Foreign(Foreign::OutsideTheTable) => "outside the table's folders",
        WhyLeft::Foreign(Foreign::InAnotherTable) => "in the folder of another table",
        WhyLeft::Foreign(Foreign::SharedWithAnotherFormat) => "a table of another format lies over the same files",
        WhyLeft::Foreign(Foreign::NotLookedAt) => "in one of too many folders to look at",
        WhyLeft::Asked(_) => "only metadata was to go",
        WhyLeft::Recent(_) => "removed too recently, by the time in the log",
    }
}
