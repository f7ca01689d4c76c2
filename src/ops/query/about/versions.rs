//! `$history`, `$snapshots` and `$refs`: the versions that a table keeps, and their names.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{BooleanBuilder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_schema::{DataType, SchemaRef};
use futures::StreamExt;
use futures::stream::BoxStream;

use super::cells::{self, Texts};
use super::rows::{BATCH, To};
use crate::error::Result;
use crate::formats::{FormatName, TableVersion};
use crate::model::{HistoryEntry, Version};
use crate::units::Timestamp;

/// Iceberg: what was current since when, along the snapshot log, rollbacks included. Delta: the versions of the log.
pub(super) fn history_schema(format: FormatName) -> SchemaRef {
    cells::schema(match format {
        FormatName::Iceberg => vec![
            ("made_current_at", cells::instant()),
            ("snapshot_id", DataType::Int64),
            ("parent_id", DataType::Int64),
            ("is_current_ancestor", DataType::Boolean),
        ],
        FormatName::Delta => vec![
            ("version", DataType::Int64),
            ("timestamp", cells::instant()),
            ("operation", DataType::Utf8),
            ("operation_metrics", cells::texts()),
        ],
    })
}

/// Every version that is still listed.
pub(super) fn snapshots_schema() -> SchemaRef {
    cells::schema(vec![
        ("committed_at", cells::instant()),
        ("snapshot_id", DataType::Int64),
        ("parent_id", DataType::Int64),
        ("operation", DataType::Utf8),
        ("summary", cells::texts()),
    ])
}

/// Branches and tags.
pub(super) fn refs_schema() -> SchemaRef {
    cells::schema(vec![
        ("name", DataType::Utf8),
        ("type", DataType::Utf8),
        ("snapshot_id", DataType::Int64),
        ("max_reference_age_in_ms", DataType::Int64),
        ("min_snapshots_to_keep", DataType::Int64),
        ("max_snapshot_age_in_ms", DataType::Int64),
    ])
}

/// The rows of `$history`.
pub(super) async fn history(version: Arc<dyn TableVersion>, schema: SchemaRef, to: To) -> Result<()> {
    let line = version.timeline();
    if schema.index_of("made_current_at").is_err() {
        return each(version.history(), |entries| versions(&schema, entries), &to).await;
    }
    let mut known: HashMap<Version, (Option<Version>, bool)> = HashMap::new();
    let mut entries = version.history();
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        known.insert(entry.version, (entry.parent, entry.is_ancestor));
    }
    for part in line.chunks(BATCH) {
        if !to.send(made_current(&schema, part, &known)?).await {
            break;
        }
    }
    Ok(())
}

fn made_current(
    schema: &SchemaRef,
    line: &[(Timestamp, Version)],
    known: &HashMap<Version, (Option<Version>, bool)>,
) -> Result<arrow_array::RecordBatch> {
    let (mut times, mut ids, mut parents, mut ancestors) =
        (cells::instants(), Int64Builder::new(), Int64Builder::new(), BooleanBuilder::new());
    for (time, id) in line {
        let (parent, ancestor) = known.get(id).copied().unwrap_or_default();
        times.append_option(cells::micros(Some(*time)));
        ids.append_value(id.0);
        parents.append_option(parent.map(|parent| parent.0));
        ancestors.append_value(ancestor);
    }
    let columns = vec![
        Arc::new(times.finish()) as _,
        Arc::new(ids.finish()) as _,
        Arc::new(parents.finish()) as _,
        Arc::new(ancestors.finish()) as _,
    ];
    cells::batch(schema, columns)
}

/// The rows of `$snapshots`.
pub(super) async fn snapshots(version: Arc<dyn TableVersion>, schema: SchemaRef, to: To) -> Result<()> {
    each(version.history(), |entries| committed(&schema, entries), &to).await
}

/// Sends the entries that `batch` makes of `history`, many at a time.
async fn each(
    history: BoxStream<'_, Result<HistoryEntry>>,
    batch: impl Fn(&[HistoryEntry]) -> Result<arrow_array::RecordBatch>,
    to: &To,
) -> Result<()> {
    let mut parts = history.chunks(BATCH);
    while let Some(part) = parts.next().await {
        let part = part.into_iter().collect::<Result<Vec<_>>>()?;
        if !to.send(batch(&part)?).await {
            break;
        }
    }
    Ok(())
}

/// What both formats say of a version.
struct Common {
    times: TimestampMicrosecondBuilder,
    ids: Int64Builder,
    parents: Int64Builder,
    operations: StringBuilder,
    summaries: Texts,
}

impl Common {
    fn of(entries: &[HistoryEntry]) -> Result<Self> {
        let mut all = Self {
            times: cells::instants(),
            ids: Int64Builder::new(),
            parents: Int64Builder::new(),
            operations: StringBuilder::new(),
            summaries: cells::texts_builder(),
        };
        for entry in entries {
            all.times.append_option(cells::micros(entry.time));
            all.ids.append_value(entry.version.0);
            all.parents.append_option(entry.parent.map(|parent| parent.0));
            all.operations.append_option(entry.operation.as_deref());
            cells::append(&mut all.summaries, entry.summary.iter().map(|(key, text)| (key.as_str(), Some(text.as_str()))))?;
        }
        Ok(all)
    }
}

fn versions(schema: &SchemaRef, entries: &[HistoryEntry]) -> Result<arrow_array::RecordBatch> {
    let mut all = Common::of(entries)?;
    let columns = vec![
        Arc::new(all.ids.finish()) as _,
        Arc::new(all.times.finish()) as _,
        Arc::new(all.operations.finish()) as _,
        Arc::new(all.summaries.finish()) as _,
    ];
    cells::batch(schema, columns)
}

fn committed(schema: &SchemaRef, entries: &[HistoryEntry]) -> Result<arrow_array::RecordBatch> {
    let mut all = Common::of(entries)?;
    let columns = vec![
        Arc::new(all.times.finish()) as _,
        Arc::new(all.ids.finish()) as _,
        Arc::new(all.parents.finish()) as _,
        Arc::new(all.operations.finish()) as _,
        Arc::new(all.summaries.finish()) as _,
    ];
    cells::batch(schema, columns)
}

/// The rows of `$refs`.
pub(super) async fn refs(version: Arc<dyn TableVersion>, schema: SchemaRef, to: To) -> Result<()> {
    let (mut names, mut types, mut ids) = (StringBuilder::new(), StringBuilder::new(), Int64Builder::new());
    let mut rules: [Int64Builder; 3] = std::array::from_fn(|_| Int64Builder::new());
    for reference in version.references() {
        names.append_value(&reference.name);
        types.append_value(if reference.is_branch { "BRANCH" } else { "TAG" });
        ids.append_value(reference.version.0);
        let keep = reference.min_snapshots_to_keep.map(cells::count);
        let values = [reference.max_ref_age_ms, keep, reference.max_snapshot_age_ms];
        rules.iter_mut().zip(values).for_each(|(column, value)| column.append_option(value));
    }
    let mut columns: Vec<ArrayRef> = vec![Arc::new(names.finish()), Arc::new(types.finish()), Arc::new(ids.finish())];
    columns.extend(rules.into_iter().map(|mut column| Arc::new(column.finish()) as ArrayRef));
    to.send(cells::batch(&schema, columns)?).await;
    Ok(())
}
