//! A table's description as one page of HTML that needs nothing else: no script, no font, no network.
//!
//! The page forbids itself scripts and anything from elsewhere, so that a name that got through as markup could do nothing. Its size is bounded:
//! every list in it has an end, every name is cut off where it is long.

mod frame;
mod parts;
mod sizes;
mod text;
mod timeline;

use super::{Report, show};
use crate::cli::ui::count;
use text::{name, passage, text};

/// How everything looks.
const STYLE: &str = include_str!("style.css");

/// The page.
pub(super) fn page(report: &Report<'_>) -> String {
    let location = report.snapshot.location.to_string();
    let mut page = String::with_capacity(64 << 10);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n");
    page.push_str(
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n",
    );
    page.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.push_str(&format!("<title>{} – otf inspect</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n", text(&location)));
    page.push_str(&header(report, &location, report.snapshot.location.name()));
    page.push_str(&section("What lowers the score", &parts::findings(&report.health.findings)));
    page.push_str(&sizes(report));
    page.push_str(&section("Live and deleted rows", &parts::rows(report)));
    page.push_str(&partitions(report));
    page.push_str(&history(report));
    if !report.references.is_empty() {
        page.push_str(&section("Branches and tags", &parts::references(report)));
    }
    page.push_str(&section("Columns", &parts::columns(report)));
    page.push_str(&footer(report));
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn section(title: &str, inside: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{inside}</section>\n")
}

fn header(report: &Report<'_>, location: &str, called: &str) -> String {
    let facts = show::facts(report).into_iter().map(|(what, fact)| format!("<div><dt>{what}</dt><dd>{}</dd></div>\n", passage(&fact)));
    let facts: String = facts.collect();
    format!(
        "<header>\n<div><h1>{}</h1><p class=\"soft\">{}</p></div>\n{}<dl>\n{facts}</dl>\n</header>\n",
        name(if called.is_empty() { location } else { called }),
        name(location),
        score(report.health.score)
    )
}

/// The score, as a number, a word, a colour and a ring.
fn score(score: u32) -> String {
    let (class, word) = match score {
        80.. => ("good", "good"),
        50.. => ("fair", "needs care"),
        _ => ("poor", "poor"),
    };
    // The ring is 2π·42 ≈ 263.9 long.
    let arc = 263.9 * f64::from(score.min(100)) / 100.0;
    let ring = if score == 0 {
        String::new()
    } else {
        format!("<circle class=\"arc\" cx=\"50\" cy=\"50\" r=\"42\" stroke-dasharray=\"{arc:.1} 263.9\" transform=\"rotate(-90 50 50)\"/>")
    };
    format!(
        "<div class=\"score {class}\"><svg viewBox=\"0 0 100 100\" role=\"img\" aria-label=\"score {score} of 100\">\
         <circle class=\"track\" cx=\"50\" cy=\"50\" r=\"42\"/>{ring}<text x=\"50\" y=\"61\">{score}</text></svg><b>{word}</b></div>\n"
    )
}

fn sizes(report: &Report<'_>) -> String {
    let census = &report.census;
    if census.totals.files == 0 {
        return section("File sizes", "<p>The table has no files.</p>\n");
    }
    let caption = format!(
        "<p class=\"soft\">{} files with {}; the target size is {}.</p>\n",
        count(census.totals.files),
        census.totals.bytes,
        report.target
    );
    section("File sizes", &format!("{caption}{}", sizes::chart(&census.histogram, report.target)))
}

fn partitions(report: &Report<'_>) -> String {
    if report.snapshot.partitioning.is_empty() && report.census.partitions.len() < 2 {
        return section("Partitions", "<p>The table is not partitioned.</p>\n");
    }
    let fields: Vec<String> = report.snapshot.partitioning.iter().take(20).map(|field| name(field)).collect();
    let number = report.census.partitions.len() as u64;
    let by = if fields.is_empty() { String::new() } else { format!(" by {}", fields.join(", ")) };
    let caption = format!(
        "<p class=\"soft\">{}{} partitions{by}.</p>\n",
        if report.census.files_beyond > 0 { "More than " } else { "" },
        count(number)
    );
    section("Partitions", &format!("{caption}{}", parts::partitions(report)))
}

fn history(report: &Report<'_>) -> String {
    let past = &report.past;
    if past.versions == 0 {
        return section("Versions over time", "<p>The table lists no versions.</p>\n");
    }
    let untimed = past.versions.saturating_sub(past.acts.len() as u64);
    let untimed = if untimed == 0 { String::new() } else { format!(", {} of them without a time", count(untimed)) };
    let caption = format!("<p class=\"soft\">{} versions are listed{untimed}; times are UTC.</p>\n", count(past.versions));
    section("Versions over time", &format!("{caption}{}{}", timeline::chart(past, &report.references), parts::versions(report)))
}

fn footer(report: &Report<'_>) -> String {
    format!(
        "<footer>Made by otf {} at {}, from the table’s metadata. Names of partitions hold values of their columns: share this page as you would share those.</footer>\n",
        env!("CARGO_PKG_VERSION"),
        report.now
    )
}

#[cfg(test)]
mod tests;
