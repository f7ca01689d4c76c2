//! A version made for tests.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use roaring::RoaringTreemap;

use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::formats::{Defaults, Destination, OutputWishes, Reference, TableVersion};
use crate::location::Location;
use crate::model::{Change, DataFile, HistoryEntry, OperationId, OutputSpec, Partition, ReadSpec, RowDeletes, Schema, Snapshot, Version};
use crate::units::{Bytes, Timestamp};

/// A version that holds `files`, in each of which `deleted` rows are deleted where its deletes have to be read, and files of `old_spec` are
/// rewritten under another one.
pub(super) struct Fixed {
    pub(super) files: Vec<DataFile>,
    pub(super) deleted: Option<u64>,
    pub(super) old_spec: Option<i32>,
    pub(super) history: Vec<HistoryEntry>,
    pub(super) references: Vec<Reference>,
    pub(super) snapshot: Snapshot,
}

impl Default for Fixed {
    fn default() -> Self {
        let snapshot = Snapshot {
            location: Location::parse("/t").unwrap(),
            version: None,
            time: None,
            schema: Schema::default(),
            partitioning: vec!["region".into()],
            properties: [].into(),
            protocol: String::new(),
            features: Vec::new(),
            versions_kept: None,
        };
        Self { files: Vec::new(), deleted: None, old_spec: None, history: Vec::new(), references: Vec::new(), snapshot }
    }
}

#[async_trait]
impl TableVersion for Fixed {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
    fn references(&self) -> Vec<Reference> {
        self.references.clone()
    }
    fn history(&self) -> BoxStream<'_, Result<HistoryEntry>> {
        futures::stream::iter(self.history.iter().cloned().map(Ok)).boxed()
    }
    fn destination(&self, file: &DataFile, _wishes: &OutputWishes) -> Result<Destination> {
        let old = self.old_spec == Some(file.partition.spec_id);
        Ok(if old { Destination::Other(Arc::default()) } else { Destination::Same })
    }
    fn defaults(&self) -> Defaults {
        Defaults { target_file_size: Bytes(1000), commit_attempts: 1, min_wait_ms: 0, max_wait_ms: 0, total_wait_ms: 0 }
    }
    fn rewritable(&self) -> Result<()> {
        Ok(())
    }
    fn files(&self, _with_stats: bool) -> BoxStream<'_, Result<DataFile>> {
        futures::stream::iter(self.files.iter().cloned().map(Ok)).boxed()
    }
    async fn row_deletes(&self, files: &[DataFile]) -> Result<Vec<RowDeletes>> {
        let deleted = self.deleted.ok_or_else(|| Error::unsupported("deletes by value"))?;
        let rows = |file: &DataFile| {
            let some = RowDeletes::Positions(Arc::new((0..deleted).collect::<RoaringTreemap>()));
            if file.deletes.is_empty() { RowDeletes::None } else { some }
        };
        Ok(files.iter().map(rows).collect())
    }
    fn reading(&self) -> Result<ReadSpec> {
        Err(Error::bug("not asked"))
    }
    fn output(&self, _partition: &Arc<Partition>, _wishes: &OutputWishes) -> Result<OutputSpec> {
        Err(Error::bug("not asked"))
    }
    async fn still_holds(&self, _change: &Change) -> Result<Vec<bool>> {
        Err(Error::bug("not asked"))
    }
    async fn offer(&self, _change: &Change, _now: Timestamp) -> Answer {
        Answer::Taken
    }
    async fn find(&self, _operation: &OperationId, _part: u32, _since: Option<Version>) -> Result<Option<Version>> {
        Ok(None)
    }
    fn metadata_folders(&self) -> Vec<Location> {
        Vec::new()
    }
    fn data_folders(&self) -> Vec<Location> {
        Vec::new()
    }
}
