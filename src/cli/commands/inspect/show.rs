//! A table's description, in JSON and for people.

use serde_json::{Value, json};

use super::{InspectArgs, Report, types};
use crate::cli::ui::{Paint, count, elapsed, table};
use crate::formats::Reference;
use crate::ops::inspect::gather::worst;
use crate::ops::inspect::{PartitionSummary, SizeClass};

/// How many partitions are shown where not all were asked for.
const SHOWN: usize = 10;

/// The description as one JSON object.
pub(super) fn json(report: &Report<'_>, args: &InspectArgs) -> Value {
    let (snapshot, census) = (report.snapshot, &report.census);
    let mut document = json!({
        "command": "inspect",
        "table": snapshot.location.to_string(),
        "format": report.format,
        "version": snapshot.version.map(|version| version.to_string()),
    });
    if let Some(reference) = report.reference {
        document["reference"] = json!(reference);
    }
    if !args.health {
        document["time"] = json!(snapshot.time.map(|time| time.to_string()));
        document["protocol"] = json!(snapshot.protocol);
        document["features"] = json!(snapshot.features);
        document["versions_kept"] = json!(snapshot.versions_kept);
        document["partitioning"] = json!(snapshot.partitioning);
        let column = |field: &crate::model::Field| json!({"id": field.id, "name": field.name, "type": types::text(&field.ty), "required": field.required});
        document["schema"] = snapshot.schema.fields.iter().map(column).collect();
        if args.refs {
            document["refs"] =
                report.references.iter().map(|r| json!({"name": r.name, "type": kind(r), "version": r.version.to_string()})).collect();
        }
        if args.properties {
            document["properties"] = json!(snapshot.properties);
        }
    }
    document["target_file_size"] = json!(report.target);
    document["totals"] = json!(census.totals);
    document["totals"]["stored_rows"] = json!(census.stored_rows);
    document["totals"]["rows_uncertain"] = json!(census.rows_uncertain);
    if !args.health {
        document["sizes"] = json!(census.sizes);
        let most = if args.partitions { usize::MAX } else { SHOWN };
        let entry = |(name, partition): (&str, &PartitionSummary)| json!({"partition": name, "files": partition.files, "bytes": partition.bytes, "small_files": partition.small_files});
        let listed: Vec<Value> = worst(&census.partitions, most).into_iter().map(entry).collect();
        document["partitions"] = json!({"count": census.partitions.len(), "files_beyond": census.files_beyond, "worst": listed});
    }
    document["health"] = json!(report.health);
    document["elapsed_ms"] = json!(report.elapsed_ms);
    document["peak_memory_bytes"] = json!(report.peak_memory_bytes);
    document
}

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
    let (snapshot, totals) = (report.snapshot, report.census.totals);
    let version = snapshot.version.map_or_else(|| "none yet".to_string(), |version| version.to_string());
    let time = snapshot.time.map_or_else(String::new, |time| format!(" of {time}"));
    let kept = snapshot.versions_kept.map_or_else(String::new, |kept| format!(", {} kept", count(kept)));
    let rows = match &report.census.rows_uncertain {
        Some(_) => format!("{} stored; live ones cannot be counted here", count(report.census.stored_rows)),
        None => count(totals.rows),
    };
    let or_none = |list: &[String]| if list.is_empty() { "none".to_string() } else { list.join(", ") };
    let version = report.reference.map_or_else(|| version.clone(), |reference| format!("{version} on {reference}"));
    let facts = [
        ("format", format!("{} ({})", report.format.as_str(), snapshot.protocol)),
        ("features", or_none(&snapshot.features)),
        ("version", format!("{version}{time}{kept}")),
        ("partitioned by", or_none(&snapshot.partitioning)),
        ("files", format!("{} with {}", count(totals.files), totals.bytes)),
        ("rows", rows),
        ("delete files", count(totals.delete_files)),
        ("took", elapsed(report.elapsed_ms)),
    ];
    text.push_str(&format!("{}\n", paint.bold(&snapshot.location.to_string())));
    for (name, fact) in facts {
        text.push_str(&format!("  {name:<15}{fact}\n"));
    }
    let columns: Vec<Vec<String>> = snapshot
        .schema
        .fields
        .iter()
        .map(|field| vec![field.name.clone(), types::text(&field.ty), types::nullability(field).to_string()])
        .collect();
    text.push_str(&format!("\n{}", table(&["column", "type", ""], &columns, 3)));
    if args.refs {
        let row = |r: &Reference| vec![r.name.clone(), kind(r).to_string(), r.version.to_string()];
        text.push_str(&format!("\n{}", table(&["name", "type", "version"], &report.references.iter().map(row).collect::<Vec<_>>(), 3)));
    }
    if args.properties {
        let rows: Vec<Vec<String>> = snapshot.properties.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect();
        text.push_str(&format!("\n{}", table(&["property", "value"], &rows, 2)));
    }
}

/// What a reference is, in a word.
const fn kind(reference: &Reference) -> &'static str {
    if reference.is_branch { "branch" } else { "tag" }
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
    let rows: Vec<Vec<String>> = worst(partitions, most)
        .into_iter()
        .map(|(name, partition)| {
            let name = if name.is_empty() { "(all)" } else { name };
            vec![name.to_string(), count(partition.files), partition.bytes.to_string(), count(partition.small_files)]
        })
        .collect();
    let left_out = partitions.len().saturating_sub(rows.len());
    text.push_str(&format!("\n{} ({}, most small files first)\n", paint.bold("partitions"), count(partitions.len() as u64)));
    text.push_str(&table(&["partition", "files", "bytes", "small files"], &rows, 1));
    if left_out > 0 {
        text.push_str(&paint.dim(&format!("… and {} more (--partitions lists them)\n", count(left_out as u64))));
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
        text.push_str(&format!("  -{:<3} {}\n", finding.points, finding.why));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("       {} {mend}\n", paint.dim("mend:")));
        }
    }
}
