//! What a commit says of itself (protocol, "Commit Provenance Information", "In-Commit Timestamps").

use serde_json::{Map, Value as Json, json};

use super::entry::txn_id;
use super::live::LiveFile;
use super::replay::State;
use super::settings;
use super::version::DeltaVersion;
use crate::error::{Error, Result};
use crate::model::{Change, Intent};
use crate::units::Timestamp;

/// Whether the table keeps in-commit timestamps: the feature and the property are both there. The preview differs by its names alone.
pub(super) fn has_commit_times(state: &State) -> bool {
    ["", "-preview"].iter().any(|suffix| {
        state.protocol.writes(&format!("inCommitTimestamp{suffix}"))
            && settings::on(&state.metadata.configuration, &format!("delta.enableInCommitTimestamps{suffix}"))
    })
}

/// The in-commit timestamp, where the table has them: it grows from version to version whatever the clocks say.
///
/// # Errors
///
/// `Unsupported` if the commit before has none.
pub(super) fn commit_time(base: &DeltaVersion, now: Timestamp) -> Result<Option<i64>> {
    if !has_commit_times(base.state()) {
        return Ok(None);
    }
    let before = base.state().commit_info.as_ref().and_then(|info| info.in_commit_timestamp);
    let before = before.ok_or_else(|| {
        Error::unsupported("the newest commit has no in-commit timestamp to go on from").about("feature", "inCommitTimestamp")
    })?;
    Ok(Some(now.0.max(before.saturating_add(1))))
}

/// Sizes of files, for the metrics of the commit.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// Bytes of each file that goes.
    pub(super) removed: Vec<u64>,
    /// Bytes of each file that comes.
    pub(super) added: Vec<u64>,
    /// Deletion vectors that are no longer in use.
    pub(super) vectors: u64,
    /// Deletion vectors that are new.
    pub(super) vectors_added: u64,
    /// Rows that were live before.
    pub(super) deleted_rows: u64,
}

impl Sizes {
    /// Counts `add` among the files that go.
    pub(super) fn remove(&mut self, add: &LiveFile) {
        self.removed.push(add.size);
        self.vectors += u64::from(add.vector().is_some());
    }
}

/// What a commit was for, in the words of other writers.
pub(super) struct Purpose {
    pub(super) operation: &'static str,
    pub(super) parameters: Json,
    pub(super) isolation: &'static str,
    pub(super) metrics: Map<String, Json>,
    /// Whether every row keeps its id.
    pub(super) keeps_row_ids: bool,
}

/// What the commit of `change` says of itself.
pub(super) fn commit_info(base: &DeltaVersion, change: &Change, now: Timestamp, time: Option<i64>, sizes: &Sizes) -> Map<String, Json> {
    let purpose = match change.intent {
        Intent::Rearrange => Purpose {
            operation: "OPTIMIZE",
            parameters: json!({"predicate": "[]", "auto": false, "clusterBy": "[]", "zOrderBy": "[]"}),
            isolation: "SnapshotIsolation",
            metrics: optimize_metrics(sizes),
            // Without the promise to keep them, rewritten rows have fresh ids.
            keeps_row_ids: settings::on(&base.state().metadata.configuration, "delta.enableRowTracking"),
        },
        Intent::DeleteRows => Purpose {
            operation: "DELETE",
            // What chose the rows is not told: it may name a person.
            parameters: json!({"predicate": "[]"}),
            isolation: "Serializable",
            metrics: delete_metrics(sizes),
            keeps_row_ids: true,
        },
    };
    provenance(base, purpose, (now, time), &txn_id(&change.operation, change.part))
}

/// What the commit that `txn_id` names says of itself; `time` is its in-commit timestamp, where the table has them.
pub(super) fn provenance(base: &DeltaVersion, purpose: Purpose, (now, time): (Timestamp, Option<i64>), txn_id: &str) -> Map<String, Json> {
    let mut info = Map::new();
    // First, as the protocol wants it.
    if let Some(time) = time {
        info.insert("inCommitTimestamp".into(), json!(time));
    }
    info.insert("timestamp".into(), json!(time.unwrap_or(now.0)));
    info.insert("operation".into(), json!(purpose.operation));
    info.insert("operationParameters".into(), purpose.parameters);
    info.insert("readVersion".into(), json!(base.state().version));
    info.insert("isolationLevel".into(), json!(purpose.isolation));
    info.insert("isBlindAppend".into(), json!(false));
    info.insert("operationMetrics".into(), Json::Object(purpose.metrics));
    if base.state().protocol.writes("rowTracking") {
        info.insert("tags".into(), json!({"delta.rowTracking.preserved": purpose.keeps_row_ids.to_string()}));
    }
    info.insert("engineInfo".into(), json!(concat!("otf/", env!("CARGO_PKG_VERSION"))));
    info.insert("txnId".into(), json!(txn_id));
    info
}

/// The metrics that Spark's DELETE reports, as texts.
fn delete_metrics(sizes: &Sizes) -> Map<String, Json> {
    let values = [
        ("numDeletedRows", sizes.deleted_rows),
        ("numRemovedFiles", sizes.removed.len() as u64),
        ("numAddedFiles", 0),
        ("numCopiedRows", 0),
        ("numDeletionVectorsAdded", sizes.vectors_added),
        ("numDeletionVectorsRemoved", sizes.vectors),
    ];
    values.into_iter().map(|(name, value)| (name.to_string(), json!(value.to_string()))).collect()
}

/// The metrics that Spark's OPTIMIZE reports, as texts.
fn optimize_metrics(sizes: &Sizes) -> Map<String, Json> {
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
