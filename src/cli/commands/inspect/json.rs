//! A table's description in JSON.

use serde_json::{Value, json};

use super::show::kind;
use super::{InspectArgs, Report, types};
use crate::formats::Reference;
use crate::ops::inspect::PartitionSummary;
use crate::ops::inspect::gather::{Order, top};

/// How many partitions are told where not all were asked for.
const TOLD: usize = 10;

/// The description as one JSON object; listings of versions and files are not in it.
pub(super) fn document(report: &Report<'_>, args: &InspectArgs) -> Value {
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
        about(&mut document, report, args);
    }
    document["target_file_size"] = json!(report.target);
    document["totals"] = json!(census.totals);
    document["totals"]["stored_rows"] = json!(census.stored_rows);
    document["totals"]["rows_uncertain"] = json!(census.rows_uncertain);
    if !args.health {
        document["metadata"] = json!(report.bookkeeping);
        document["sizes"] = json!(census.sizes);
        let most = if args.partitions { usize::MAX } else { TOLD };
        let listed: Vec<Value> = top(&census.partitions, Order::SmallFiles, most).into_iter().map(partition).collect();
        document["partitions"] = json!({"count": census.partitions.len(), "files_beyond": census.files_beyond, "worst": listed});
    }
    document["health"] = json!(report.health);
    if let Some(file) = &report.html {
        document["html"] = json!(file);
    }
    document["elapsed_ms"] = json!(report.elapsed_ms);
    document["peak_memory_bytes"] = json!(report.peak_memory_bytes);
    document
}

fn about(document: &mut Value, report: &Report<'_>, args: &InspectArgs) {
    let snapshot = report.snapshot;
    document["time"] = json!(snapshot.time.map(|time| time.to_string()));
    document["protocol"] = json!(snapshot.protocol);
    document["features"] = json!(snapshot.features);
    document["versions_kept"] = json!(report.versions);
    document["partitioning"] = json!(snapshot.partitioning);
    let column = |field: &crate::model::Field| json!({"id": field.id, "name": field.name, "type": types::text(&field.ty), "required": field.required});
    document["schema"] = snapshot.schema.fields.iter().map(column).collect();
    if args.refs {
        document["refs"] = report.references.iter().map(|reference| named(reference, report)).collect();
    }
    if args.properties {
        document["properties"] = json!(snapshot.properties);
    }
}

fn named(reference: &Reference, report: &Report<'_>) -> Value {
    json!({
        "name": reference.name,
        "type": kind(reference),
        "version": reference.version.to_string(),
        "time": report.past.times.get(&reference.version).map(ToString::to_string),
        "max_ref_age_ms": reference.max_ref_age_ms,
        "max_snapshot_age_ms": reference.max_snapshot_age_ms,
        "min_snapshots_to_keep": reference.min_snapshots_to_keep,
    })
}

fn partition((name, partition): (&str, &PartitionSummary)) -> Value {
    json!({
        "partition": name,
        "files": partition.files,
        "bytes": partition.bytes,
        "small_files": partition.small_files,
        "stored_rows": partition.stored_rows,
        "deleted_rows": partition.deleted_rows,
    })
}
