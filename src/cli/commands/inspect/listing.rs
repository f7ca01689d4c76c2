//! Listings of data files, streamed: a table may have more of them than fit in memory.

use futures::StreamExt;
use serde_json::{Value, json};

use crate::cli::ui::{Ui, count};
use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::model::DataFile;

/// Prints `summary` with a further member `files`, as one JSON document.
pub(super) async fn json(summary: &Value, version: &dyn TableVersion, ui: &Ui) -> Result<()> {
    let summary = serde_json::to_string(summary).map_err(|error| Error::bug("a result has no JSON form").because(error))?;
    let open = summary.strip_suffix('}').ok_or_else(|| Error::bug("a summary is no JSON object"))?;
    ui.text(&format!("{open},\"files\":["))?;
    let mut files = version.files(false);
    let mut separator = "\n";
    while let Some(file) = files.next().await {
        ui.text(&format!("{separator}{}", entry(&file?)))?;
        separator = ",\n";
    }
    ui.text("\n]}\n")
}

fn entry(file: &DataFile) -> Value {
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

/// Prints a line for every file.
pub(super) async fn text(version: &dyn TableVersion, ui: &Ui) -> Result<()> {
    ui.text(&format!("\n{}\n", ui.paint.bold(&format!("{:>12} {:>14} {:>8}  file", "bytes", "stored rows", "deletes"))))?;
    let mut files = version.files(false);
    while let Some(file) = files.next().await {
        let file = file?;
        let rows = file.rows.map_or_else(|| "?".to_string(), count);
        ui.text(&format!("{:>12} {rows:>14} {:>8}  {}\n", file.size.to_string(), file.deletes.len(), file.location))?;
    }
    Ok(())
}
