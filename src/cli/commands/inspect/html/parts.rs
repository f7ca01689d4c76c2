//! The parts of a page that hold words and numbers.

use super::frame::fraction;
use super::text::{command, name, passage, text};
use crate::cli::commands::inspect::show::{deleted, keeps, kind};
use crate::cli::commands::inspect::{Report, types};
use crate::cli::ui::{count, span};
use crate::ops::inspect::gather::{Order, top};
use crate::ops::inspect::past::NEWEST;
use crate::ops::inspect::{Finding, PartitionSummary, Step};

/// Partitions in each table.
const PARTITIONS: usize = 20;
/// Branches and tags in their table.
const REFERENCES: usize = 50;
/// Columns in their table.
const COLUMNS: usize = 200;

/// What lowers the score.
pub(super) fn findings(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "<p>Nothing to mend.</p>\n".to_string();
    }
    let item = |finding: &Finding| {
        let mend = finding.mend.as_deref().map_or_else(String::new, |mend| format!("<code class=\"command\">{}</code>", command(mend)));
        let (points, what) = (finding.points, text(finding.what));
        format!("<li><span class=\"points\">−{points}</span> <span class=\"what\">{what}</span>: {}{mend}</li>\n", passage(&finding.why))
    };
    format!("<ol class=\"findings\">\n{}</ol>\n", findings.iter().map(item).collect::<String>())
}

/// Live and deleted rows as two parts of one bar.
pub(super) fn rows(report: &Report<'_>) -> String {
    let (stored, live) = (report.census.stored_rows, report.census.totals.rows);
    if report.census.rows_uncertain.is_some() {
        return format!(
            "<p>{} rows are stored. How many of them live cannot be told without reading deletes of a kind that was not read.</p>\n",
            count(stored)
        );
    }
    if stored == 0 {
        return "<p>The table has no rows.</p>\n".to_string();
    }
    let deleted = stored.saturating_sub(live);
    let split = 1_000.0 * fraction(live, stored);
    let share = 100.0 * fraction(deleted, stored);
    let swatch =
        |class: &str| format!("<svg viewBox=\"0 0 24 16\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"24\" height=\"16\"/></svg>");
    format!(
        "<svg class=\"ratio\" viewBox=\"0 0 1000 20\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Live and deleted rows\">\
         <rect class=\"append\" width=\"{split:.1}\" height=\"20\"/><rect class=\"overwrite\" x=\"{split:.1}\" width=\"{:.1}\" height=\"20\"/></svg>\n\
         <ul class=\"legend\"><li>{}{} live rows</li><li>{}{} deleted rows ({share:.1} %), in {} of {} files</li></ul>\n",
        1_000.0 - split,
        swatch("append"),
        count(live),
        swatch("overwrite"),
        count(deleted),
        count(report.census.files_with_deletes),
        count(report.census.totals.files)
    )
}

/// The largest partitions in four orders, one of which is shown at a time; no script is needed to choose.
pub(super) fn partitions(report: &Report<'_>) -> String {
    let orders = [
        ("small", "small files", Order::SmallFiles),
        ("files", "files", Order::Files),
        ("bytes", "bytes", Order::Bytes),
        ("deleted", "deleted rows", Order::Deleted),
    ];
    let mut inputs = String::new();
    let mut labels = String::new();
    let mut tables = String::new();
    for (at, (id, words, order)) in orders.into_iter().enumerate() {
        let checked = if at == 0 { " checked" } else { "" };
        inputs.push_str(&format!("<input class=\"pick\" type=\"radio\" name=\"by\" id=\"by-{id}\"{checked}>"));
        labels.push_str(&format!("<label for=\"by-{id}\">{words}</label>"));
        tables.push_str(&format!("<div class=\"sorted in-{id}\">{}</div>\n", ordered(report, order)));
    }
    format!("{inputs}<div class=\"picks\"><span>Most</span>{labels}</div>\n{tables}")
}

fn ordered(report: &Report<'_>, order: Order) -> String {
    let all = &report.census.partitions;
    let shown = top(all, order, PARTITIONS);
    let most_files = shown.iter().map(|(_, partition)| partition.files).max().unwrap_or(0);
    let most_bytes = shown.iter().map(|(_, partition)| partition.bytes.0).max().unwrap_or(0);
    let row = |(called, partition): &(&str, &PartitionSummary)| {
        format!(
            "<tr><td>{}</td><td class=\"n\" data-label=\"files\">{}{}</td><td class=\"n\" data-label=\"bytes\">{}{}</td>\
             <td class=\"n\" data-label=\"small\">{}</td><td class=\"n\" data-label=\"rows\">{}</td><td class=\"n\" data-label=\"deleted\">{}</td></tr>\n",
            if called.is_empty() { "(all)".to_string() } else { name(called) },
            count(partition.files),
            bar(partition.files, most_files),
            partition.bytes,
            bar(partition.bytes.0, most_bytes),
            count(partition.small_files),
            count(partition.stored_rows),
            text(&deleted(partition))
        )
    };
    let rows: String = shown.iter().map(row).collect();
    let (mut files, mut bytes) = (report.census.totals.files, report.census.totals.bytes.0);
    for (_, partition) in &shown {
        files = files.saturating_sub(partition.files);
        bytes = bytes.saturating_sub(partition.bytes.0);
    }
    let others = all.len().saturating_sub(shown.len()) as u64;
    let more = if report.census.files_beyond > 0 { "more than " } else { "" };
    let rest = format!(
        "<tr class=\"rest\"><td>{more}{} other partitions</td><td class=\"n\" data-label=\"files\">{}</td><td class=\"n\" data-label=\"bytes\">{}</td><td></td><td></td><td></td></tr>\n",
        count(others),
        count(files),
        crate::units::Bytes(bytes)
    );
    let rest = if files == 0 { "" } else { &rest };
    let head = ["files", "bytes", "small files", "rows", "deleted"].map(|word| format!("<th class=\"n\">{word}</th>")).concat();
    format!("<table><thead><tr><th>partition</th>{head}</tr></thead><tbody>\n{rows}{rest}</tbody></table>")
}

fn bar(part: u64, whole: u64) -> String {
    format!("<span class=\"bar\"><i style=\"width:{:.1}%\"></i></span>", 100.0 * fraction(part, whole))
}

/// The newest versions.
pub(super) fn versions(report: &Report<'_>) -> String {
    let said = |number: Option<u64>| number.map_or_else(String::new, count);
    let row = |step: &Step| {
        let named = report.references.iter().filter(|reference| reference.version == step.version).take(5);
        let names: Vec<String> = named.map(|reference| name(&reference.name)).collect();
        let beside = if step.is_ancestor { "" } else { " (beside the main line)" };
        format!(
            "<tr><td>{} {}{beside}</td><td data-label=\"made\">{}</td><td data-label=\"by\">{}</td><td class=\"n\" data-label=\"+files\">{}</td>\
             <td class=\"n\" data-label=\"−files\">{}</td><td class=\"n\" data-label=\"+rows\">{}</td><td class=\"n\" data-label=\"−rows\">{}</td></tr>\n",
            step.version,
            names.join(" "),
            step.time.map(|time| time.to_string()).unwrap_or_default(),
            text(&step.operation),
            said(step.effect.files_added),
            said(step.effect.files_removed),
            said(step.effect.rows_added),
            said(step.effect.rows_removed)
        )
    };
    let rows: String = report.past.newest.iter().map(row).collect();
    let shown = if report.past.versions > NEWEST as u64 { format!("The newest {NEWEST} versions") } else { "All versions".to_string() };
    let head = ["+files", "−files", "+rows", "−rows"].map(|word| format!("<th class=\"n\">{word}</th>")).concat();
    format!(
        "<details><summary>{shown}</summary><table><thead><tr><th>version</th><th>made</th><th>by</th>{head}</tr></thead><tbody>\n{rows}</tbody></table></details>\n"
    )
}

/// Branches and tags.
pub(super) fn references(report: &Report<'_>) -> String {
    let rows = report.references.iter().take(REFERENCES).map(|reference| {
        let time = report.past.times.get(&reference.version);
        let age = time.map_or_else(String::new, |time| format!("{} ago", span(report.now.0.saturating_sub(time.0))));
        format!(
            "<tr><td>{}</td><td data-label=\"type\">{}</td><td data-label=\"version\">{}</td><td data-label=\"made\">{age}</td><td data-label=\"keeps\">{}</td></tr>\n",
            name(&reference.name),
            kind(reference),
            reference.version,
            keeps(reference)
        )
    });
    let rows: String = rows.collect();
    let others = report.references.len().saturating_sub(REFERENCES);
    let rest = if others == 0 { String::new() } else { format!("<p class=\"soft\">… and {} more.</p>\n", count(others as u64)) };
    format!(
        "<table><thead><tr><th>name</th><th>type</th><th>version</th><th>made</th><th>keeps</th></tr></thead><tbody>\n{rows}</tbody></table>\n{rest}"
    )
}

/// The columns.
pub(super) fn columns(report: &Report<'_>) -> String {
    let fields = &report.snapshot.schema.fields;
    let row = |field: &crate::model::Field| {
        let (called, ty, nulls) = (name(&field.name), text(&types::text(&field.ty)), types::nullability(field));
        format!("<tr><td>{called}</td><td data-label=\"type\">{ty}</td><td data-label=\"nulls\">{nulls}</td></tr>\n")
    };
    let rows: String = fields.iter().take(COLUMNS).map(row).collect();
    let others = fields.len().saturating_sub(COLUMNS);
    let rest = if others == 0 { String::new() } else { format!("<p class=\"soft\">… and {} more.</p>\n", count(others as u64)) };
    format!(
        "<details><summary>{} columns</summary><table><thead><tr><th>column</th><th>type</th><th></th></tr></thead><tbody>\n{rows}</tbody></table>\n{rest}</details>\n",
        count(fields.len() as u64)
    )
}
