//! What a query would read, and why not the rest: for people and for machines.

use serde_json::{Value, json};

use crate::cli::ui::{Ui, count, table};
use crate::error::Result;
use crate::ops::query::{Explained, Files, Preview, ScanReport};
use crate::units::Bytes;

/// Prints `explained`.
///
/// # Errors
///
/// `Unavailable` if standard output cannot be written.
pub(super) fn show(explained: &Explained, elapsed_ms: u64, ui: &Ui) -> Result<()> {
    if ui.is_json() {
        return ui.json(&document(explained, elapsed_ms));
    }
    for scan in &explained.scans {
        ui.text(&text(scan, ui))?;
    }
    ui.text(&format!("{}\n{}", ui.paint.bold("plan"), explained.plan))
}

fn document(explained: &Explained, elapsed_ms: u64) -> Value {
    let tables: Vec<Value> = explained.scans.iter().map(scan_document).collect();
    let plan: Vec<&str> = explained.plan.lines().collect();
    json!({"command": "query", "outcome": "planned", "tables": tables, "plan": plan, "elapsed_ms": elapsed_ms})
}

fn scan_document(scan: &ScanReport) -> Value {
    let named: Vec<Value> = scan.skipped.named.iter().map(|(file, why)| json!({"file": file.to_string(), "why": why})).collect();
    let inside = &scan.inside;
    json!({
        "table": scan.table,
        "columns": scan.columns,
        "filters": scan.filters,
        "files": {
            "read": scan.read,
            "skipped": {"partition": scan.skipped.by_partition, "statistics": scan.skipped.by_statistics},
            "enough_before": scan.skipped.enough,
            "skipped_files": named,
        },
        "row_groups": {
            "total": inside.row_groups,
            "skipped": {
                "deleted": inside.deleted,
                "statistics": inside.by_statistics,
                "bloom_filter": inside.by_bloom_filter,
                "page_index": inside.by_page_index,
            },
        },
        "rows": {"read": inside.rows, "skipped_by_page_index": inside.rows_by_page_index},
    })
}

fn text(scan: &ScanReport, ui: &Ui) -> String {
    let Files { files, bytes } = scan.read;
    let mut rows = vec![line("files read", files, bytes)];
    let skipped = &scan.skipped;
    rows.push(line("files skipped by partition", skipped.by_partition.files, skipped.by_partition.bytes));
    rows.push(line("files skipped by statistics", skipped.by_statistics.files, skipped.by_statistics.bytes));
    rows.extend(inside(&scan.inside));
    let mut text = format!("{}\n{}", ui.paint.bold(&scan.table), table(&["", "count", "bytes"], &rows, 1));
    if skipped.enough {
        text.push_str("more files were not listed: those above hold enough rows\n");
    }
    text.push('\n');
    text
}

fn inside(inside: &Preview) -> Vec<Vec<String>> {
    let row_groups = [
        ("row groups in them", inside.row_groups),
        ("row groups skipped: all rows deleted", inside.deleted),
        ("row groups skipped by statistics", inside.by_statistics),
        ("row groups skipped by bloom filters", inside.by_bloom_filter),
        ("row groups skipped by the page index", inside.by_page_index),
    ];
    let mut rows: Vec<Vec<String>> = row_groups.iter().map(|(what, share)| line(what, share.row_groups, share.bytes)).collect();
    rows.push(vec!["rows skipped by the page index".into(), count(inside.rows_by_page_index), String::new()]);
    rows.push(vec!["rows read".into(), count(inside.rows), String::new()]);
    rows
}

fn line(what: &str, number: u64, bytes: u64) -> Vec<String> {
    vec![what.into(), count(number), Bytes(bytes).to_string()]
}
