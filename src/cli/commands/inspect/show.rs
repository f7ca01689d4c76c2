//! A table's description for people.

use super::{InspectArgs, Report, types};
use crate::cli::ui::{Paint, count, elapsed, span, table, visible};
use crate::formats::Reference;
use crate::model::Bookkeeping;
use crate::ops::inspect::gather::{Order, top};
use crate::ops::inspect::{PartitionSummary, SizeClass};

/// How many partitions are shown where not all were asked for.
const SHOWN: usize = 10;

/// The description for people.
pub(super) fn text(report: &Report<'_>, args: &InspectArgs, paint: Paint) -> String {
    let mut text = String::new();
    if !args.health {
        summary(&mut text, report, args, paint);
        sizes(&mut text, &report.census.sizes, paint);
        partitions(&mut text, report, args, paint);
    }
    health(&mut text, report, paint);
    text
}

fn summary(text: &mut String, report: &Report<'_>, args: &InspectArgs, paint: Paint) {
    let snapshot = report.snapshot;
    text.push_str(&format!("{}\n", paint.bold(&visible(&snapshot.location.to_string()))));
    for (name, fact) in facts(report).into_iter().chain([("took", elapsed(report.elapsed_ms))]) {
        text.push_str(&format!("  {name:<15}{fact}\n"));
    }
    let columns: Vec<Vec<String>> = snapshot
        .schema
        .fields
        .iter()
        .map(|field| {
            vec![visible(&field.name).into_owned(), visible(&types::text(&field.ty)).into_owned(), types::nullability(field).to_string()]
        })
        .collect();
    text.push_str(&format!("\n{}", table(&["column", "type", ""], &columns, 3)));
    if args.refs {
        refs(text, report);
    }
    if args.properties {
        let shown = |text: &String| visible(text).into_owned();
        let rows: Vec<Vec<String>> = snapshot.properties.iter().map(|(key, value)| vec![shown(key), shown(value)]).collect();
        text.push_str(&format!("\n{}", table(&["property", "value"], &rows, 2)));
    }
}

/// What is known of the table in a line each: a name and the fact.
pub(super) fn facts(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let (snapshot, totals) = (report.snapshot, report.census.totals);
    let version = snapshot.version.map_or_else(|| "none yet".to_string(), |version| version.to_string());
    let time = snapshot.time.map_or_else(String::new, |time| format!(" of {time}"));
    let kept = report.versions.map_or_else(String::new, |kept| format!(", {} kept", count(kept)));
    let rows = match &report.census.rows_uncertain {
        Some(_) => format!("{} stored; live ones cannot be counted here", count(report.census.stored_rows)),
        None => count(totals.rows),
    };
    let or_none = |list: &[String]| if list.is_empty() { "none".to_string() } else { visible(&list.join(", ")).into_owned() };
    let version = report.reference.map_or_else(|| version.clone(), |reference| format!("{version} on {}", visible(reference)));
    let mut facts = vec![
        ("format", format!("{} ({})", report.format.as_str(), snapshot.protocol)),
        ("features", or_none(&snapshot.features)),
        ("version", format!("{version}{time}{kept}")),
        ("partitioned by", or_none(&snapshot.partitioning)),
        ("files", format!("{} with {}", count(totals.files), totals.bytes)),
        ("rows", rows),
        ("delete files", count(totals.delete_files)),
    ];
    facts.extend(metadata(&report.bookkeeping));
    facts
}

/// What readers open before they see a row.
fn metadata(bookkeeping: &Bookkeeping) -> Option<(&'static str, String)> {
    let plural = |number: u64, what: &str| format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" });
    if let (Some(manifests), Some(bytes)) = (bookkeeping.manifests, bookkeeping.manifest_bytes) {
        let own = bookkeeping.metadata_bytes.map_or_else(String::new, |own| format!("; metadata file of {own}"));
        return Some(("metadata", format!("{} with {bytes}{own}", plural(manifests, "manifest"))));
    }
    let (entries, since) = (bookkeeping.log_entries?, bookkeeping.since_checkpoint?);
    Some(("log", format!("{}, {} since the newest checkpoint", plural(entries, "commit"), count(since))))
}

fn refs(text: &mut String, report: &Report<'_>) {
    let row = |reference: &Reference| {
        let time = report.past.times.get(&reference.version);
        vec![
            visible(&reference.name).into_owned(),
            kind(reference).to_string(),
            reference.version.to_string(),
            time.map_or_else(String::new, |time| span(report.now.0.saturating_sub(time.0))),
            keeps(reference),
        ]
    };
    let rows: Vec<Vec<String>> = report.references.iter().map(row).collect();
    text.push_str(&format!("\n{}", table(&["name", "type", "version", "age", "keeps"], &rows, 5)));
}

/// What a reference says of how long it and its versions stay.
pub(super) fn keeps(reference: &Reference) -> String {
    let mut rules = Vec::new();
    rules.extend(reference.max_ref_age_ms.map(|age| format!("itself {}", span(age))));
    rules.extend(reference.max_snapshot_age_ms.map(|age| format!("versions {}", span(age))));
    rules.extend(reference.min_snapshots_to_keep.map(|least| format!("at least {least}")));
    rules.join(", ")
}

/// What a reference is, in a word.
pub(super) const fn kind(reference: &Reference) -> &'static str {
    if reference.is_branch { "branch" } else { "tag" }
}

/// The share of a partition's rows that are deleted: `12.5 %`; nothing for none.
pub(super) fn deleted(partition: &PartitionSummary) -> String {
    match (partition.deleted_rows, partition.deleted_per_mille()) {
        (0, _) => String::new(),
        (_, 0) => "<0.1 %".to_string(),
        (_, share) => format!("{}.{} %", share / 10, share % 10),
    }
}

/// A histogram: how many files of which size.
fn sizes(text: &mut String, sizes: &[SizeClass], paint: Paint) {
    let most = sizes.iter().map(|class| class.files).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    text.push_str(&format!("\n{}\n", paint.bold("file sizes")));
    for class in sizes.iter().filter(|class| class.files > 0) {
        let range = match class.below {
            Some(below) => format!("below {below}"),
            None => format!("{} and more", class.from),
        };
        let width = usize::try_from((u128::from(class.files) * 40).div_ceil(u128::from(most))).unwrap_or(40);
        text.push_str(&format!("  {range:<20}{:>9}  {}\n", count(class.files), "█".repeat(width)));
    }
}

fn partitions(text: &mut String, report: &Report<'_>, args: &InspectArgs, paint: Paint) {
    let partitions = &report.census.partitions;
    if partitions.len() < 2 && !args.partitions {
        return;
    }
    let most = if args.partitions { usize::MAX } else { SHOWN };
    let rows: Vec<Vec<String>> = top(partitions, Order::SmallFiles, most)
        .into_iter()
        .map(|(name, partition)| {
            let name = if name.is_empty() { "(all)".into() } else { visible(name) };
            vec![
                name.into_owned(),
                count(partition.files),
                partition.bytes.to_string(),
                count(partition.small_files),
                count(partition.stored_rows),
                deleted(partition),
            ]
        })
        .collect();
    let left_out = partitions.len().saturating_sub(rows.len());
    text.push_str(&format!("\n{} ({}, most small files first)\n", paint.bold("partitions"), count(partitions.len() as u64)));
    text.push_str(&table(&["partition", "files", "bytes", "small files", "stored rows", "deleted"], &rows, 1));
    if left_out > 0 {
        text.push_str(&paint.dim(&format!("… and {} more (--partitions lists them)\n", count(left_out as u64))));
    }
    let beyond = report.census.files_beyond;
    if beyond > 0 {
        text.push_str(&paint.dim(&format!("… and {} files of further partitions, which are not told apart\n", count(beyond))));
    }
}

fn health(text: &mut String, report: &Report<'_>, paint: Paint) {
    let score = report.health.score;
    let shown = match score {
        80.. => paint.good(&score.to_string()),
        50.. => paint.warn(&score.to_string()),
        _ => paint.bad(&score.to_string()),
    };
    text.push_str(&format!("\n{} {shown} of 100\n", paint.bold("health")));
    for finding in &report.health.findings {
        text.push_str(&format!("  -{:<3} {}\n", finding.points, visible(&finding.why)));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("       {} {}\n", paint.dim("mend:"), visible(mend)));
        }
    }
}
