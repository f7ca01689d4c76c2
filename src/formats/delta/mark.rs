//! Deleting rows by deletion vectors: what a table must allow, and the actions that mark a file (protocol, "Deletion Vectors").

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use super::actions::{TextMap, Vector};
use super::entry::to_json;
use super::live::LiveFile;
use super::version::DeltaVersion;
use super::{compat, settings};
use crate::error::{Error, Result};

/// Whether rows of the table may be deleted by new deletion vectors.
///
/// # Errors
///
/// `Unsupported` or `Refused`, naming the feature or property that is in the way.
pub(super) fn check(version: &DeltaVersion) -> Result<()> {
    version.rewritable_state()?;
    let state = version.state();
    let on = |key: &str| settings::on(&state.metadata.configuration, key);
    let refuse = |why: &'static str, feature: &'static str| {
        let message = format!("rows of the table cannot be marked as deleted: {why}");
        Err(Error::refused(message).about("feature", feature).hint("rewrite the files without these rows instead; nothing was changed"))
    };
    if !state.protocol.has_vectors() || !state.protocol.writes("deletionVectors") {
        return refuse("it does not have deletion vectors", "deletionVectors");
    }
    if !on("delta.enableDeletionVectors") {
        return refuse("new deletion vectors are switched off (delta.enableDeletionVectors)", "deletionVectors");
    }
    if compat::forbids_vectors(state) {
        return refuse("its Iceberg compatibility forbids deletion vectors", "deletionVectors");
    }
    if on("delta.appendOnly") {
        return refuse("it only takes new rows (delta.appendOnly)", "appendOnly");
    }
    if on("delta.enableChangeDataFeed") {
        return refuse("its change feed would need the deleted rows written into change files", "changeDataFeed");
    }
    Ok(())
}

/// The statistics of a file some rows of which are deleted: as `text` says, but with its stored `rows`, and bounds that need not be reached.
///
/// # Errors
///
/// `Corrupt` for statistics that cannot be understood or count other rows.
pub(super) fn stats(text: Option<&str>, rows: u64) -> Result<String> {
    let wrong = || Error::corrupt("the statistics of a file cannot be understood").about("part", "stats");
    // Numbers keep their digits: what is not ours to change stays text.
    let mut members: BTreeMap<&str, &RawValue> = match text.filter(|text| !text.trim().is_empty()) {
        Some(text) => serde_json::from_str(text).map_err(|_| wrong())?,
        None => BTreeMap::new(),
    };
    let count = rows.to_string();
    if let Some(told) = members.get("numRecords").filter(|told| !matches!(told.get(), "null"))
        && told.get() != count
    {
        return Err(wrong());
    }
    let raw = |text: String| RawValue::from_string(text).map_err(|e| Error::bug("a number cannot be written").because(e));
    let (count, loose) = (raw(count)?, raw("false".into())?);
    members.insert("numRecords", &count);
    members.insert("tightBounds", &loose);
    serde_json::to_string(&members).map_err(|e| Error::bug("statistics cannot be written").because(e))
}

/// Adds `file` again with this deletion vector and these statistics: everything else is as it was.
///
/// # Errors
///
/// `Bug` if JSON cannot hold it.
pub(super) fn add_again(values: &TextMap, file: &LiveFile, vector: Option<&Vector>, stats: Option<&str>) -> Result<Map<String, Json>> {
    let mut out = Map::new();
    out.insert("path".into(), json!(file.path()));
    out.insert("partitionValues".into(), to_json(values)?);
    out.insert("size".into(), json!(file.size));
    out.insert("modificationTime".into(), json!(file.modification_time));
    out.insert("dataChange".into(), json!(true));
    if let Some(stats) = stats {
        out.insert("stats".into(), json!(stats));
    }
    if let Some(tags) = file.tags() {
        out.insert("tags".into(), to_json(tags)?);
    }
    if let Some(vector) = vector {
        out.insert("deletionVector".into(), to_json(vector)?);
    }
    if let Some(id) = file.base_row_id() {
        out.insert("baseRowId".into(), json!(id));
    }
    if let Some(version) = file.default_row_commit_version() {
        out.insert("defaultRowCommitVersion".into(), json!(version));
    }
    if let Some(provider) = file.clustering_provider() {
        out.insert("clusteringProvider".into(), json!(provider));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_keep_their_digits_and_say_that_bounds_are_wide() {
        let text = r#"{"numRecords":7,"minValues":{"a":1.10},"tightBounds":true,"maxValues":{"a":12345678901234567890.5}}"#;
        let fresh = r#"{"maxValues":{"a":12345678901234567890.5},"minValues":{"a":1.10},"numRecords":7,"tightBounds":false}"#;
        assert_eq!(stats(Some(text), 7).unwrap(), fresh);
        for none in [None, Some(""), Some("{}")] {
            assert_eq!(stats(none, 3).unwrap(), r#"{"numRecords":3,"tightBounds":false}"#);
        }
        assert!(stats(Some(text), 8).is_err() && stats(Some("[1]"), 8).is_err());
    }
}
