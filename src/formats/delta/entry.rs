//! The bytes of a commit (protocol, "Actions", "Commit Provenance Information").

use serde_json::{Map, Value as Json, json};

use super::actions::{Add, Domain, FileKey, TextMap};
use super::row_tracking::RowIds;
use super::stats_write::StatsWriter;
use super::version::DeltaVersion;
use super::{path, row_tracking};
use crate::error::{Error, Result};
use crate::model::{Change, DataFile, GroupChange, NewFile, OperationId, Version};
use crate::units::Timestamp;

/// The name of a commit in the log: part `part` of `operation`.
pub(super) fn txn_id(operation: &OperationId, part: u32) -> String {
    format!("{operation}-{part}")
}

/// The commit of `change` as version `next` on top of `base`, one action a line.
///
/// # Errors
///
/// `Conflict` if a removed file is not live in `base`; `Unsupported` if the table has a feature that the commit could not keep.
pub(super) fn build(base: &DeltaVersion, change: &Change, now: Timestamp, next: Version) -> Result<Vec<u8>> {
    let time = commit_time(base, now)?;
    let mut lines = Lines { bytes: Vec::new() };
    let mut sizes = Sizes::default();
    let mut files = Lines { bytes: Vec::new() };
    let stats = base.stats_writer()?;
    let mut ids = if row_tracking::assigns(base.state()) { Some(RowIds::after(base.state())?) } else { None };
    for group in &change.groups {
        let mut values = None;
        for removed in &group.removes {
            let gone = live(base, removed)?;
            values.get_or_insert_with(|| base.state().files.values(gone));
            sizes.remove(gone);
            files.line("remove", remove(base.state().files.values(gone), gone, now)?)?;
        }
        let values = values.ok_or_else(|| Error::bug("a group replaces no file"))?;
        for added in &group.adds {
            sizes.added.push(added.size.0);
            files.line("add", add(base, added, values, now, &stats, ids.as_mut(), next)?)?;
        }
    }
    lines.line("commitInfo", commit_info(base, change, now, time, &sizes))?;
    lines.bytes.append(&mut files.bytes);
    if let Some(ids) = ids.filter(|_| !sizes.added.is_empty()) {
        lines.line("domainMetadata", domain(&ids.domain()?))?;
    }
    Ok(lines.bytes)
}

/// The add of `file` in `base`, if it is live there with the same deletes.
///
/// # Errors
///
/// `Conflict` if it is not.
fn live<'a>(base: &'a DeltaVersion, file: &DataFile) -> Result<&'a Add> {
    let found = base.state().files.find(base.root(), key(file))?;
    found.ok_or_else(|| Error::conflict("a file to be replaced is no longer live").about("file", &file.location))
}

/// The identity of a model file among those of the log.
pub(super) fn key(file: &DataFile) -> FileKey {
    FileKey::new(&file.location, file.deletes.first().map(|delete| delete.key.as_str()))
}

/// Whether every file that `group` replaces is live in `base`.
///
/// # Errors
///
/// `Corrupt` for a log that cannot be understood.
pub(super) fn is_live(base: &DeltaVersion, group: &GroupChange) -> Result<bool> {
    for file in &group.removes {
        if base.state().files.find(base.root(), key(file))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The in-commit timestamp, where the table has them: it grows from version to version whatever the clocks say.
fn commit_time(base: &DeltaVersion, now: Timestamp) -> Result<Option<i64>> {
    if !base.has_commit_times() {
        return Ok(None);
    }
    let before = base.state().commit_info.as_ref().and_then(|info| info.in_commit_timestamp);
    let before = before.ok_or_else(|| {
        Error::unsupported("the newest commit has no in-commit timestamp to go on from").about("feature", "inCommitTimestamp")
    })?;
    Ok(Some(now.0.max(before.saturating_add(1))))
}

struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    fn line(&mut self, name: &str, action: Map<String, Json>) -> Result<()> {
        let line = Json::Object(Map::from_iter([(name.to_string(), Json::Object(action))]));
        serde_json::to_writer(&mut self.bytes, &line).map_err(|e| Error::bug("an action cannot be written").because(e))?;
        self.bytes.push(b'\n');
        Ok(())
    }
}

/// Sizes of files, for the metrics of the commit.
#[derive(Default)]
struct Sizes {
    removed: Vec<u64>,
    added: Vec<u64>,
    vectors: u64,
}

impl Sizes {
    fn remove(&mut self, add: &Add) {
        self.removed.push(add.size);
        self.vectors += u64::from(add.deletion_vector.is_some());
    }
}

fn commit_info(base: &DeltaVersion, change: &Change, now: Timestamp, time: Option<i64>, sizes: &Sizes) -> Map<String, Json> {
    let mut info = Map::new();
    // First, as the protocol wants it.
    if let Some(time) = time {
        info.insert("inCommitTimestamp".into(), json!(time));
    }
    info.insert("timestamp".into(), json!(time.unwrap_or(now.0)));
    info.insert("operation".into(), json!("OPTIMIZE"));
    info.insert("operationParameters".into(), json!({"predicate": "[]", "auto": false, "clusterBy": "[]", "zOrderBy": "[]"}));
    info.insert("readVersion".into(), json!(base.state().version));
    info.insert("isolationLevel".into(), json!("SnapshotIsolation"));
    info.insert("isBlindAppend".into(), json!(false));
    info.insert("operationMetrics".into(), Json::Object(metrics(sizes)));
    info.insert("engineInfo".into(), json!(concat!("otf/", env!("CARGO_PKG_VERSION"))));
    info.insert("txnId".into(), json!(txn_id(&change.operation, change.part)));
    info
}

/// The metrics that Spark's OPTIMIZE reports, as texts.
fn metrics(sizes: &Sizes) -> Map<String, Json> {
    let sum = |sizes: &[u64]| sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
    let mut sorted = sizes.added.clone();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len().saturating_sub(1)) * percent / 100).copied().unwrap_or_default();
    let values = [
        ("numRemovedFiles", sizes.removed.len() as u64),
        ("numRemovedBytes", sum(&sizes.removed)),
        ("numAddedFiles", sizes.added.len() as u64),
        ("numAddedBytes", sum(&sizes.added)),
        ("minFileSize", at(0)),
        ("p25FileSize", at(25)),
        ("p50FileSize", at(50)),
        ("p75FileSize", at(75)),
        ("maxFileSize", at(100)),
        ("numDeletionVectorsRemoved", sizes.vectors),
    ];
    values.into_iter().map(|(name, value)| (name.to_string(), json!(value.to_string()))).collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<Json> {
    serde_json::to_value(value).map_err(|e| Error::bug("an action cannot be written").because(e))
}

/// Removes `add`: everything that names the file is repeated byte for byte.
fn remove(values: &TextMap, add: &Add, now: Timestamp) -> Result<Map<String, Json>> {
    let mut out = Map::new();
    out.insert("path".into(), json!(add.path));
    out.insert("deletionTimestamp".into(), json!(now.0));
    out.insert("dataChange".into(), json!(false));
    out.insert("extendedFileMetadata".into(), json!(true));
    out.insert("partitionValues".into(), to_json(values)?);
    out.insert("size".into(), json!(add.size));
    if let Some(tags) = &add.tags {
        out.insert("tags".into(), to_json(tags)?);
    }
    if let Some(vector) = &add.deletion_vector {
        out.insert("deletionVector".into(), to_json(vector)?);
    }
    if let Some(id) = add.base_row_id {
        out.insert("baseRowId".into(), json!(id));
    }
    if let Some(version) = add.default_row_commit_version {
        out.insert("defaultRowCommitVersion".into(), json!(version));
    }
    Ok(out)
}

#[expect(clippy::too_many_arguments, reason = "everything an add is made of, called once")]
fn add(
    base: &DeltaVersion,
    file: &NewFile,
    values: &TextMap,
    now: Timestamp,
    stats: &StatsWriter<'_>,
    ids: Option<&mut RowIds>,
    next: Version,
) -> Result<Map<String, Json>> {
    let mut out = Map::new();
    out.insert("path".into(), json!(path::spell(base.root(), &file.location)));
    out.insert("partitionValues".into(), to_json(values)?);
    out.insert("size".into(), json!(file.size.0));
    out.insert("modificationTime".into(), json!(now.0));
    out.insert("dataChange".into(), json!(false));
    out.insert("stats".into(), json!(stats.write(file)?));
    if let Some(ids) = ids {
        out.insert("baseRowId".into(), json!(ids.take(file.rows)?));
        out.insert("defaultRowCommitVersion".into(), json!(next.0));
    }
    Ok(out)
}

fn domain(domain: &Domain) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("domain".into(), json!(domain.domain));
    out.insert("configuration".into(), json!(domain.configuration));
    out.insert("removed".into(), json!(domain.removed));
    out
}
