//! Writing classic checkpoints (protocol, "Checkpoints", "Checkpoint Schema").
//!
//! Every field of every action that we know is kept; tables with features we do not know get no checkpoint from us. Rows are written in batches.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use bytes::Bytes as Buffer;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::actions::{FileKey, Remove, TextMap};
use super::checkpoint_columns::{self as columns, StatsForm};
use super::live::LiveFile;
use super::replay::State;
use super::stats_columns::StatsColumns;
use super::{log, settings};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::{Store, Writer};

/// Actions per batch.
const BATCH: usize = 8192;
/// Encoded bytes held before they are written out as a row group.
const ROW_GROUP: usize = 16 << 20;

/// Writes the checkpoint of `state`; returns the text of the hint that names it.
///
/// # Errors
///
/// `Unsupported` for a table with a feature we cannot keep; `Unavailable` if storage did not answer. Nothing depends on either: other writers
/// write checkpoints, too.
pub(super) async fn write(store: &Store, root: &Location, state: &State) -> Result<String> {
    state.protocol.check_rewritable()?;
    let properties = &state.metadata.configuration;
    let without_text = properties.text("delta.checkpoint.writeStatsAsJson").is_some_and(|text| text.trim().eq_ignore_ascii_case("false"));
    let form = StatsForm { text: !without_text, columns: StatsColumns::of(state)? };
    let file = log::checkpoint_file(root, state.version);
    let size = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let sink = Sink { writer: Some(store.writer(&file).await?), size: Arc::clone(&size) };
    let schema = schema(state, &form).map_err(|error| damaged(error.into()))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let writer = AsyncArrowWriter::try_new(sink, Arc::clone(&schema), Some(properties)).map_err(damaged)?;
    let mut checkpoint = CheckpointWriter { writer, schema, actions: 0 };
    checkpoint.state(root, state, &form).await?;
    checkpoint.writer.finish().await.map_err(damaged)?;
    let hint = serde_json::json!({
        "version": state.version,
        "size": checkpoint.actions,
        "sizeInBytes": size.load(std::sync::atomic::Ordering::Relaxed),
        "numOfAddFiles": state.files.len(),
    });
    Ok(hint.to_string())
}

/// Storage errors come back as they were.
fn damaged(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<Error>() {
            Ok(error) => *error,
            Err(inner) => Error::bug("a checkpoint cannot be encoded").because(inner),
        },
        error => Error::bug("a checkpoint cannot be encoded").because(error),
    }
}

/// The columns; the last one makes it a V2 checkpoint where the table has those.
fn schema(state: &State, form: &StatsForm) -> Result<SchemaRef, ArrowError> {
    let mut kinds = vec![
        ("txn", columns::transactions(&[])?),
        ("add", columns::adds(&[], form)?),
        ("remove", columns::removes(&[])?),
        ("metaData", columns::metadata(&[])?),
        ("protocol", columns::protocols(&[])?),
        ("domainMetadata", columns::domains(&[])?),
    ];
    if state.protocol.writes("v2Checkpoint") {
        kinds.push(("checkpointMetadata", columns::checkpoint_metadata(&[])?));
    }
    let fields: Vec<Field> = kinds.into_iter().map(|(name, rows)| Field::new(name, rows.data_type().clone(), true)).collect();
    Ok(Arc::new(Schema::new(fields)))
}

struct CheckpointWriter {
    writer: AsyncArrowWriter<Sink>,
    schema: SchemaRef,
    actions: u64,
}

impl CheckpointWriter {
    async fn state(&mut self, root: &Location, state: &State, form: &StatsForm) -> Result<()> {
        self.rows("protocol", columns::protocols(&[&state.protocol])).await?;
        self.rows("metaData", columns::metadata(&[&state.metadata])).await?;
        if state.protocol.writes("v2Checkpoint") {
            self.rows("checkpointMetadata", columns::checkpoint_metadata(&[state.version])).await?;
        }
        let transactions: Vec<_> = state.transactions.values().collect();
        self.rows("txn", columns::transactions(&transactions)).await?;
        let domains: Vec<_> = state.domains.values().collect();
        self.rows("domainMetadata", columns::domains(&domains)).await?;
        let mut adds: Vec<(&LiveFile, &TextMap)> = Vec::with_capacity(BATCH);
        for add in state.files.with_stats()?.iter() {
            adds.push((add, state.files.values(add)));
            if adds.len() == BATCH {
                self.rows("add", columns::adds(&adds, form)).await?;
                adds.clear();
            }
        }
        self.rows("add", columns::adds(&adds, form)).await?;
        for removes in kept(root, state)?.chunks(BATCH) {
            self.rows("remove", columns::removes(removes)).await?;
        }
        Ok(())
    }

    async fn rows(&mut self, kind: &str, rows: Result<ArrayRef, ArrowError>) -> Result<()> {
        let rows = rows.map_err(|error| damaged(error.into()))?;
        if rows.is_empty() {
            return Ok(());
        }
        self.actions += rows.len() as u64;
        let all = self.schema.fields().iter();
        let columns = all.map(|f| if f.name() == kind { Arc::clone(&rows) } else { new_null_array(f.data_type(), rows.len()) });
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns.collect()).map_err(|error| damaged(error.into()))?;
        self.writer.write(&batch).await.map_err(damaged)?;
        if self.writer.in_progress_size() >= ROW_GROUP {
            self.writer.flush().await.map_err(damaged)?;
        }
        Ok(())
    }
}

/// The removed files that a vacuum may still ask for: those younger than the table's retention, by the time of the version itself.
fn kept<'a>(root: &Location, state: &'a State) -> Result<Vec<&'a Remove>> {
    let info = state.commit_info.as_ref();
    let now = info.and_then(|info| info.in_commit_timestamp.or(info.timestamp));
    // Without a time or a retention to go by, everything is kept.
    let oldest = now.zip(settings::retention_ms(&state.metadata.configuration)).map(|(now, keep)| now.saturating_sub(keep));
    let mut kept = Vec::new();
    for remove in &state.tombstones {
        let young = oldest.is_none_or(|oldest| remove.deletion_timestamp.unwrap_or_default() > oldest);
        let key = FileKey::of(root, &remove.path, remove.deletion_vector.as_deref())?;
        if young && state.files.find(key).is_none() {
            kept.push(remove);
        }
    }
    Ok(kept)
}

/// The object the checkpoint becomes. Dropped before its end, nothing appears.
struct Sink {
    writer: Option<Writer>,
    size: Arc<std::sync::atomic::AtomicU64>,
}

impl AsyncFileWriter for Sink {
    fn write(&mut self, bytes: Buffer) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move {
            let writer = self.writer.as_mut().ok_or_else(|| ParquetError::General("the file is closed".into()))?;
            writer.write(bytes).await.map_err(|e| ParquetError::External(Box::new(e)))
        }
        .boxed()
    }

    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        async move {
            let writer = self.writer.take().ok_or_else(|| ParquetError::General("the file is closed".into()))?;
            let size = writer.finish().await.map_err(|e| ParquetError::External(Box::new(e)))?;
            self.size.store(size, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        }
        .boxed()
    }
}
