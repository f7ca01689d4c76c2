//! Reads what the plan is made from, and the files that go with it.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::emptied::Noted;
use super::plan::{Entry, Line, Past, Plan};
use super::{MetadataOnly, Options, Recent, WhyLeft};
use crate::error::Result;
use crate::formats::TableVersion;
use crate::model::{FileKind, Forget, HistoryEntry, Holding, Released, Version};
use crate::ops::deletion::Tally;
use crate::ops::territory::Territory;
use crate::units::Timestamp;

/// The line that a table is read from unless another is named.
const MAIN: &str = "main";
/// Flink's Iceberg sink finds out by these what it has committed: it goes back from the newest version to the one with its job's id.
const FLINK: [&str; 2] = ["flink.job-id", "flink.max-committed-checkpoint-id"];

/// What `version` says of the table's past; `known` is what an earlier run noted of files that are gone.
///
/// # Errors
///
/// Those of reading the history; `Corrupt` for retention that cannot be understood.
pub(super) async fn past(version: &dyn TableVersion, known: Option<Noted>, now: Timestamp) -> Result<Past> {
    let retention = version.retention()?;
    let versions: Vec<Entry> = version.history().map_ok(entry).try_collect().await?;
    let emptied_before = known.and_then(|known| known.among(&versions));
    let held_elsewhere = version.held_elsewhere().await?;
    let current = version.snapshot().version;
    let mut lines: Vec<Line> = version
        .references()
        .into_iter()
        .map(|known| Line {
            is_main: known.name == MAIN,
            name: known.name,
            head: known.version,
            is_branch: known.is_branch,
            max_ref_age_ms: known.max_ref_age_ms,
            max_age_ms: known.max_snapshot_age_ms,
            min_versions: known.min_snapshots_to_keep,
        })
        .collect();
    if let Some(head) = current.filter(|_| lines.iter().all(|line| !line.is_main)) {
        let name = MAIN.to_string();
        lines.push(Line { name, head, is_branch: true, is_main: true, max_ref_age_ms: None, max_age_ms: None, min_versions: None });
    }
    Ok(Past { versions, current, lines, retention, emptied_before, held_elsewhere, now })
}

fn entry(version: HistoryEntry) -> Entry {
    let [job, checkpoint] = FLINK.map(|key| version.summary.get(key).cloned());
    Entry { version: version.version, time: version.time, parent: version.parent, consumer: job.filter(|_| checkpoint.is_some()) }
}

/// The versions of a plan.
pub(super) fn gone(plan: &Plan) -> BTreeSet<Version> {
    plan.expired.iter().map(|(version, _)| *version).collect()
}

/// What was seen of the files that versions leave behind.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Files that go.
    pub(super) go: Tally,
    /// Files that stay all the same.
    pub(super) left: BTreeMap<WhyLeft, Tally>,
    /// The first of those that go.
    pub(super) named: Vec<String>,
}

/// What is to be forgotten by a plan. With `metadata_only` files with rows stay, whatever their age.
pub(super) fn forget(plan: &Plan, options: &Options) -> Forget {
    let emptied = plan.emptied.as_ref().filter(|emptied| !(options.metadata_only || plan.expired.is_empty() && emptied.is_done()));
    let references = plan.references.iter().map(|line| line.name.clone()).collect();
    Forget { versions: gone(plan), references, unused_rules: false, emptied: emptied.map(|emptied| emptied.bounds) }
}

/// The files that go with `forget`. What is told is counted in `seen`.
pub(super) fn files<'a>(
    version: &'a dyn TableVersion,
    forget: &'a Forget,
    options: &'a Options,
    territory: &'a mut Territory<'_>,
    seen: &'a mut Seen,
) -> BoxStream<'a, Result<Holding>> {
    if forget.versions.is_empty() && forget.emptied.is_none() {
        return futures::stream::empty().boxed();
    }
    let state = (version.released(forget), territory, seen);
    let judged = futures::stream::try_unfold(state, move |(mut released, territory, seen)| async move {
        while let Some(told) = released.try_next().await? {
            let (Released::Free(file) | Released::TooYoung(file)) = &told;
            let objection = if matches!(told, Released::TooYoung(_)) {
                Some(WhyLeft::Recent(Recent::RemovedTooRecently))
            } else if options.metadata_only && holds_rows(file.kind) {
                Some(WhyLeft::Asked(MetadataOnly::MetadataOnly))
            } else {
                territory.objection(&file.location, file.kind).await?.map(WhyLeft::Foreign)
            };
            match objection {
                Some(why) => seen.left.entry(why).or_default().add(file),
                None => {
                    seen.go.add(file);
                    if seen.named.len() < options.files_named {
                        seen.named.push(file.location.to_string());
                    }
                    return Ok(Some((file.clone(), (released, territory, seen))));
                }
            }
        }
        Ok(None)
    });
    judged.boxed()
}

const fn holds_rows(kind: FileKind) -> bool {
    matches!(kind, FileKind::Data | FileKind::PositionDeletes | FileKind::EqualityDeletes | FileKind::DeletionVectors | FileKind::Cdf)
}
