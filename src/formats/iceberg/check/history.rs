//! The metadata document: refs, logs, ids, and the files it names besides snapshots.

use std::collections::HashSet;

use futures::StreamExt;
use serde_json::Value as Json;

use super::{HEADS, is_damage};
use crate::error::Result;
use crate::formats::iceberg::metadata::{Metadata, SnapshotView};
use crate::formats::iceberg::scan::Scan;
use crate::model::{Fault, Finding, FindingSink, Severity};

/// Entries of the snapshot log may be this much out of order: clocks differ (Java library, one minute).
const SLACK_MS: i64 = 60_000;

fn items<'a>(doc: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
    doc.get(key).and_then(Json::as_array).into_iter().flatten()
}

fn long(json: &Json, key: &str) -> Option<i64> {
    json.get(key).and_then(Json::as_i64)
}

/// Checks what the document says of itself.
pub(super) fn check(metadata: &Metadata, found: FindingSink<'_>) {
    let ids: Vec<i64> = metadata.snapshots().filter_map(SnapshotView::id).collect();
    let known: HashSet<i64> = ids.iter().copied().collect();
    let mut tell = |fault, what: String| found(Finding::new(fault, &metadata.file, what));
    if known.len() < ids.len() {
        tell(Fault::HistoryBroken, "a snapshot is listed twice".into());
    }
    let current = metadata.number("current-snapshot-id").filter(|id| *id != -1);
    for (name, json) in metadata.doc.get("refs").and_then(Json::as_object).into_iter().flatten() {
        let head = long(json, "snapshot-id");
        if head.is_none_or(|id| !known.contains(&id)) {
            tell(Fault::RefBroken, format!("the ref {name} names a snapshot that is not listed"));
        } else if name == "main" && head != current {
            tell(Fault::RefBroken, "the main branch and the current snapshot are two different ones".into());
        }
    }
    for what in snapshot_log(metadata, current, &known) {
        tell(Fault::HistoryBroken, what);
    }
    let schemas: HashSet<i64> = items(&metadata.doc, "schemas").filter_map(|schema| long(schema, "schema-id")).collect();
    let without = metadata.snapshots().filter(|s| long(s.0, "schema-id").is_some_and(|id| !schemas.is_empty() && !schemas.contains(&id)));
    match without.count() {
        0 => {}
        count => tell(Fault::HistoryBroken, format!("{count} snapshots have a schema that is not listed")),
    }
    for what in counters(metadata) {
        found(Finding::new(Fault::HistoryBroken, &metadata.file, what).with(Severity::Error));
    }
}

fn snapshot_log(metadata: &Metadata, current: Option<i64>, known: &HashSet<i64>) -> Vec<String> {
    let mut wrong = Vec::new();
    let log: Vec<(Option<i64>, Option<i64>)> =
        items(&metadata.doc, "snapshot-log").map(|entry| (long(entry, "snapshot-id"), long(entry, "timestamp-ms"))).collect();
    if let Some((last, _)) = log.last()
        && *last != current
    {
        wrong.push("the snapshot log does not end with the current snapshot".into());
    }
    match log.iter().filter(|(id, _)| id.is_none_or(|id| !known.contains(&id))).count() {
        0 => {}
        count => wrong.push(format!("{count} entries of the snapshot log name snapshots that are not listed")),
    }
    let backwards = |pair: &&[(Option<i64>, Option<i64>)]| match pair {
        [(_, Some(before)), (_, Some(after))] => before.saturating_sub(*after) > SLACK_MS,
        _ => false,
    };
    if log.windows(2).any(|pair| backwards(&pair)) {
        wrong.push("times of the snapshot log go back".into());
    }
    wrong
}

/// Counters that are behind what was given out already: the next writer would give it out again.
fn counters(metadata: &Metadata) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut behind = |what: &str, counter: &str, used: Option<i64>| {
        if let (Some(said), Some(used)) = (metadata.number(counter), used)
            && said < used
        {
            wrong.push(format!("{counter} is {said}, but {what} {used} is in use"));
        }
    };
    let column = metadata.schema.leaves_and_groups().map(|field| i64::from(field.id)).max();
    behind("column id", "last-column-id", column);
    behind("sequence number", "last-sequence-number", metadata.snapshots().filter_map(|s| long(s.0, "sequence-number")).max());
    let field = metadata.specs.values().flat_map(|spec| &spec.fields).map(|field| i64::from(field.field_id)).max();
    behind("partition field id", "last-partition-id", field);
    let end = |s: SnapshotView<'_>| long(s.0, "first-row-id")?.checked_add(long(s.0, "added-rows")?);
    behind("row id", "next-row-id", metadata.snapshots().filter_map(end).max());
    let orders: Vec<i64> = items(&metadata.doc, "sort-orders").filter_map(|order| long(order, "order-id")).collect();
    if let Some(id) = metadata.number("default-sort-order-id").filter(|id| !orders.is_empty() && !orders.contains(id)) {
        wrong.push(format!("the default sort order {id} is not listed"));
    }
    wrong
}

/// Whether earlier metadata files and statistics files are where the document says.
///
/// # Errors
///
/// `Unavailable` if storage did not answer.
pub(super) async fn files(scan: &Scan, found: FindingSink<'_>) -> Result<()> {
    let metadata = &scan.metadata;
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_string);
    let earlier: Vec<String> = items(&metadata.doc, "metadata-log").filter_map(|entry| text(entry, "metadata-file")).collect();
    let gone = missing(scan, earlier.clone()).await?.len();
    if gone > 0 {
        let what = format!("{gone} of {} earlier metadata files of the metadata log are not there", earlier.len());
        found(Finding::new(Fault::HistoryBroken, &metadata.file, what));
    }
    let statistics = ["statistics", "partition-statistics"].into_iter().flat_map(|key| items(&metadata.doc, key));
    for place in missing(scan, statistics.filter_map(|entry| text(entry, "statistics-path")).collect()).await? {
        found(Finding::new(Fault::StatisticsMissing, place, "a statistics file is not there: planners do without it"));
    }
    Ok(())
}

/// Those of `paths` where nothing lies.
async fn missing(scan: &Scan, paths: Vec<String>) -> Result<Vec<String>> {
    let heads = paths.into_iter().map(|path| async move {
        let answer = match scan.metadata.place(&path) {
            Ok(place) => scan.store.head(&place).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match answer {
            Err(error) if is_damage(&error) => Ok(Some(path)),
            // A place that has no meaning here cannot be looked at.
            Err(error) if error.kind() == crate::error::Kind::Unsupported => Ok(None),
            Err(error) => Err(error),
            Ok(()) => Ok(None),
        }
    });
    let heads: Vec<_> = heads.collect();
    let answers: Vec<Result<Option<String>>> = futures::stream::iter(heads).buffered(HEADS).collect().await;
    answers.into_iter().filter_map(Result::transpose).collect()
}
