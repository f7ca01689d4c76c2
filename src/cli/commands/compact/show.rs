//! What a compaction's plan and report look like for people.

use crate::cli::commands::upkeep::{line, measures, plural};
use crate::cli::ui::{Paint, count, elapsed, table};
use crate::ops::compact::plan::{Leave, Why};
use crate::ops::compact::{PlanDocument, Report};
use crate::ops::document::{Document, Outcome};
use crate::units::Bytes;

/// How many groups of a plan people are shown.
const SHOWN: usize = 20;

/// A document of this verb.
pub(crate) type CompactDocument = Document<PlanDocument, Report>;

/// The document for people.
pub(super) fn text(document: &CompactDocument, paint: Paint) -> String {
    let version = document.base_version.as_deref().map_or_else(|| "no version yet".to_string(), |version| format!("version {version}"));
    let mut text = format!("{} {} ({}, {version})\n\n", paint.bold("compact"), document.table, document.format.as_str());
    plan(&mut text, &document.plan, paint);
    match (document.outcome, &document.report) {
        (Outcome::Planned, _) | (_, None) => {}
        (Outcome::NothingToDo, _) => text.push_str(&paint.good("nothing to do\n")),
        (outcome, Some(report)) => {
            if let Some(after) = document.after {
                text.push_str(&measures(document.before, after));
            }
            ended(&mut text, document, report, outcome, paint);
        }
    }
    text
}

fn plan(text: &mut String, plan: &PlanDocument, paint: Paint) {
    let files: u64 = plan.groups.iter().map(|group| group.files).sum();
    let bytes: Bytes = plan.groups.iter().map(|group| group.bytes).sum();
    if !plan.groups.is_empty() {
        let groups = plural(plan.groups.len() as u64, "group");
        line(text, &format!("{} {} in {groups}, {bytes}", paint.bold("rewrite"), plural(files, "file")));
        let shown = plan.groups.iter().take(SHOWN).map(|group| {
            let partition = if group.partition.is_empty() { "(all)" } else { &group.partition };
            vec![partition.to_string(), why(group.why).to_string(), count(group.files), group.bytes.to_string()]
        });
        text.push_str(&table(&["partition", "why", "files", "bytes"], &shown.collect::<Vec<_>>(), 2));
        if let Some(more) = plan.groups.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            line(text, &paint.dim(&format!("… and {} more (all of them with --output json)", plural(more as u64, "group"))));
        }
    }
    for left in &plan.left {
        line(text, &format!("{} {}: {}", paint.bold("leave"), plural(left.files, "file"), leave(left.why)));
    }
    text.push('\n');
}

fn ended(text: &mut String, document: &CompactDocument, report: &Report, outcome: Outcome, paint: Paint) {
    for failed in &report.groups_failed {
        let partition = document.plan.groups.get(failed.group).map_or("", |group| group.partition.as_str());
        let partition = if partition.is_empty() { String::new() } else { format!(" ({partition})") };
        line(text, &format!("{} group {}{partition}: {}", paint.bad("failed"), failed.group + 1, failed.error));
    }
    if let Some(why) = &report.stopped_by {
        line(text, &format!("{} {why}", paint.bad("stopped:")));
    }
    let word = match outcome {
        Outcome::Landed => paint.good(outcome.as_str()),
        Outcome::Partial => paint.warn(outcome.as_str()),
        _ => paint.bad(outcome.as_str()),
    };
    let versions = match document.versions.as_slice() {
        [] => String::new(),
        [version] => format!(" as version {version}"),
        several => format!(" as versions {}", several.join(", ")),
    };
    let ways = &report.row_groups;
    line(
        text,
        &format!(
            "{word}{versions} in {}: {} copied ({}), {} encoded ({}), peak memory {}",
            elapsed(document.elapsed_ms),
            plural(ways.copied, "row group"),
            report.bytes_copied,
            plural(ways.encoded, "row group"),
            report.bytes_encoded,
            Bytes(document.peak_memory_bytes),
        ),
    );
}

const fn why(why: Why) -> &'static str {
    match why {
        Why::SmallFiles => "many small files",
        Why::EnoughContent => "small files worth a whole one",
        Why::LargeFile => "a file that is too large",
        Why::Deletes => "many deleted rows",
        Why::Asked => "everything was asked for",
    }
}

const fn leave(why: Leave) -> &'static str {
    match why {
        Leave::RightSize => "the right size",
        Leave::FewNeighbours => "too few others in their partition",
        Leave::FilteredOut => "ruled out by --where",
        Leave::OverLimit => "beyond --max-files",
        Leave::UnknownSpec => "of a partition spec that is not understood",
        Leave::RowGroupTooLarge => "too large, but copying their row groups would not split them",
    }
}
