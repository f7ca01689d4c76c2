//! What orphans look like for people.

use crate::cli::commands::upkeep::{line, plural};
use crate::cli::ui::{Paint, count, elapsed, table};
use crate::ops::document::{Document, Outcome};
use crate::ops::orphans::plan::Why;
use crate::ops::orphans::{PlanDocument, Report, Skipped, Treated};
use crate::units::Bytes;

/// How many files people are shown.
const SHOWN: usize = 20;

/// A document of this verb.
pub(super) type OrphansDocument = Document<PlanDocument, Report>;

/// The document for people.
pub(super) fn text(document: &OrphansDocument, paint: Paint) -> String {
    let version = document.base_version.as_deref().map_or_else(|| "no version yet".to_string(), |version| format!("version {version}"));
    let mut text = format!("{} {} ({}, {version})\n\n", paint.bold("orphans"), document.table, document.format.as_str());
    plan(&mut text, &document.plan, paint);
    let stay = document.report.as_ref().map_or(&document.plan.skipped, |report| &report.skipped);
    skipped(&mut text, stay);
    match &document.report {
        Some(report) => ended(&mut text, document, report, paint),
        None if document.plan.found == 0 => text.push_str(&paint.good("nothing to do\n")),
        None => {}
    }
    text
}

fn plan(text: &mut String, plan: &PlanDocument, paint: Paint) {
    let held = if plan.held > 0 { format!("; {} are referred to", plural(plan.held, "file")) } else { String::new() };
    line(text, &format!("searched {}{held}", plan.searched.join(", ")));
    for folder in &plan.not_searched {
        line(text, &format!("{} {}: {}", paint.warn("not searched"), folder.location, folder.why));
    }
    for met in &plan.tables {
        let what = match (met.treated, &met.error) {
            (Treated::Held, _) => "what it refers to stays".to_string(),
            (Treated::LeftAlone, error) => format!("its folder is left alone: {}", error.as_deref().unwrap_or("it cannot be read")),
        };
        line(text, &format!("{} {} table {}: {what}", paint.warn("met"), met.format, met.location));
    }
    if plan.found > 0 {
        let what = match plan.older_than.0 {
            0 => "that were set aside".to_string(),
            _ => format!("that nothing refers to, written before {}", plan.older_than),
        };
        line(text, &format!("\n{} {}, {}, {what}", paint.bold("found"), plural(plan.found, "file"), plan.bytes));
        for file in plan.files.iter().take(SHOWN) {
            line(text, &format!("  {file}"));
        }
        let more = plan.found.saturating_sub(plan.files.len().min(SHOWN) as u64);
        if more > 0 {
            line(text, &format!("  {}", paint.dim(&format!("… and {} more (with --output json: as many as --limit)", count(more)))));
        }
    }
    text.push('\n');
}

fn skipped(text: &mut String, skipped: &[Skipped]) {
    if !skipped.is_empty() {
        let rows: Vec<Vec<String>> = skipped.iter().map(|skipped| vec![why(skipped.why).to_string(), count(skipped.count)]).collect();
        text.push_str(&table(&["left alone, though nothing refers to them", "files"], &rows, 1));
        text.push('\n');
    }
}

fn ended(text: &mut String, document: &OrphansDocument, report: &Report, paint: Paint) {
    for error in &report.errors {
        line(text, &format!("{} {error}", paint.bad("failed:")));
    }
    if let Some(why) = &report.stopped_by {
        line(text, &format!("{} {why}", paint.bad("stopped:")));
    }
    if document.outcome == Outcome::NothingToDo {
        text.push_str(&paint.good("nothing to do\n"));
        return;
    }
    let what = match (&report.quarantine, report.restored) {
        (Some(place), 1..) => format!("brought back from {place}:"),
        (Some(place), 0) => format!("moved to {place}:"),
        (None, _) => "deleted".to_string(),
    };
    let word = if document.outcome == Outcome::Landed { paint.good(&what) } else { paint.warn(&what) };
    let memory = Bytes(document.peak_memory_bytes);
    let time = elapsed(document.elapsed_ms);
    let (number, bytes) = if report.restored > 0 {
        (report.restored, document.plan.bytes)
    } else {
        (report.deleted, report.bytes_freed.plus(report.bytes_noncurrent))
    };
    if !report.bytes_noncurrent.is_zero() {
        line(text, &format!("{} {}: the bucket keeps them as noncurrent versions", paint.warn("not freed"), report.bytes_noncurrent));
    }
    line(text, &format!("{word} {}, {bytes}, in {time}, peak memory {memory}", plural(number, "file")));
}

const fn why(why: Why) -> &'static str {
    match why {
        Why::Young => "too young: a writer may be about to commit them",
        Why::UnknownAge => "of unknown age",
        Why::Future => "written in the future: clocks disagree",
        Why::Hidden => "of names that readers pass over",
        Why::OtherTable => "below another table's folder",
        Why::UnfinishedRun => "of a run of otf that has not ended",
        Why::PrefixMismatch => "referred to on a storage of another name",
        Why::Spelling => "perhaps another spelling of a file that is referred to",
        Why::Link => "reached through a link",
        Why::Outside => "outside the folders that were searched",
        Why::Meanwhile => "referred to, changed or gone by the time it was their turn",
    }
}
