//! Listings of versions and data files, streamed: a table may have more of them than fit in memory.

use std::collections::BTreeMap;

use futures::StreamExt;
use serde_json::{Value, json};

use super::{InspectArgs, Report};
use crate::cli::ui::{Ui, count, visible};
use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::model::{DataFile, HistoryEntry, Version};
use crate::ops::inspect::Effect;

/// Prints `summary` with the listings that were asked for as further members, as one JSON document.
pub(super) async fn json(summary: &Value, version: &dyn TableVersion, args: &InspectArgs, ui: &Ui) -> Result<()> {
    if !args.history && !args.files {
        return ui.json(summary);
    }
    let summary = serde_json::to_string(summary).map_err(|error| Error::bug("a result has no JSON form").because(error))?;
    let open = summary.strip_suffix('}').ok_or_else(|| Error::bug("a summary is no JSON object"))?;
    ui.json_part(open)?;
    if args.history {
        ui.json_part(",\"history\":[")?;
        let mut entries = version.history();
        let mut separator = "\n";
        while let Some(entry) = entries.next().await {
            ui.json_part(&format!("{separator}{}", versioned(&entry?)))?;
            separator = ",\n";
        }
        ui.json_part("\n]")?;
    }
    if args.files {
        ui.json_part(",\"files\":[")?;
        let mut files = version.files(false);
        let mut separator = "\n";
        while let Some(file) = files.next().await {
            ui.json_part(&format!("{separator}{}", filed(&file?)))?;
            separator = ",\n";
        }
        ui.json_part("\n]")?;
    }
    ui.json_part("}\n")
}

fn versioned(entry: &HistoryEntry) -> Value {
    json!({
        "version": entry.version.to_string(),
        "time": entry.time.map(|time| time.to_string()),
        "parent": entry.parent.map(|parent| parent.to_string()),
        "operation": entry.operation,
        "is_ancestor": entry.is_ancestor,
        "summary": entry.summary,
    })
}

fn filed(file: &DataFile) -> Value {
    json!({
        "path": file.location.to_string(),
        "format": file.format.as_str(),
        "bytes": file.size,
        "rows": file.rows,
        "partition": file.partition.display(),
        "spec_id": file.partition.spec_id,
        "deletes": file.deletes.len(),
    })
}

/// Prints a line for every version and every file, as far as they were asked for.
pub(super) async fn text(report: &Report<'_>, version: &dyn TableVersion, args: &InspectArgs, ui: &Ui) -> Result<()> {
    if args.history {
        versions(report, version, ui).await?;
    }
    if args.files {
        files(version, ui).await?;
    }
    Ok(())
}

async fn versions(report: &Report<'_>, version: &dyn TableVersion, ui: &Ui) -> Result<()> {
    let mut names: BTreeMap<Version, Vec<String>> = BTreeMap::new();
    for reference in &report.references {
        names.entry(reference.version).or_default().push(visible(&reference.name).into_owned());
    }
    let header =
        format!("{:>20}  {:<24}  {:<18} {:>8} {:>8} {:>13} {:>13}", "version", "time", "operation", "+files", "-files", "+rows", "-rows");
    ui.text(&format!("\n{}\n", ui.paint.bold(&header)))?;
    let said = |number: Option<u64>| number.map_or_else(String::new, count);
    let mut entries = version.history();
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        let effect = Effect::of(&entry.summary);
        let time = entry.time.map(|time| time.to_string()).unwrap_or_default();
        let operation = visible(entry.operation.as_deref().unwrap_or("unknown")).into_owned();
        let mut notes = names.get(&entry.version).map(|names| names.join(", ")).unwrap_or_default();
        if !entry.is_ancestor {
            notes.push_str(if notes.is_empty() { "(beside the main line)" } else { " (beside the main line)" });
        }
        let line = format!(
            "{:>20}  {time:<24}  {operation:<18} {:>8} {:>8} {:>13} {:>13}  {notes}",
            entry.version.to_string(),
            said(effect.files_added),
            said(effect.files_removed),
            said(effect.rows_added),
            said(effect.rows_removed)
        );
        ui.text(&format!("{}\n", line.trim_end()))?;
    }
    Ok(())
}

async fn files(version: &dyn TableVersion, ui: &Ui) -> Result<()> {
    ui.text(&format!("\n{}\n", ui.paint.bold(&format!("{:>12} {:>14} {:>8}  file", "bytes", "stored rows", "deletes"))))?;
    let mut files = version.files(false);
    while let Some(file) = files.next().await {
        let file = file?;
        let rows = file.rows.map_or_else(|| "?".to_string(), count);
        let place = file.location.to_string();
        ui.text(&format!("{:>12} {rows:>14} {:>8}  {}\n", file.size.to_string(), file.deletes.len(), visible(&place)))?;
    }
    Ok(())
}
