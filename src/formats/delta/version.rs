//! A Delta table at one version.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::live::LiveFile;
use super::replay::State;
use super::stats_write::{self, StatsWriter};
use super::{
    check, clustering, commit, compat, dv, entry, history, holdings, lists, mark, output, partition, released, retention, row_tracking,
    schema, settings, stats_read, upkeep,
};
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::formats::{Defaults, OutputWishes, TableVersion};
use crate::location::{Location, Spelling};
use crate::model::{
    Bookkeeping, Change, DataFile, DeleteKind, DeleteRef, FileFormat, FindingSink, Forget, HistoryEntry, Holding, Lineage, ListPlan,
    ListWishes, OperationId, OutputSpec, Partition, PlaceSet, Reach, ReadSpec, Released, Retention, RowDeletes, Snapshot, Type, Upkeep,
    Value, Version,
};
use crate::store::Store;
use crate::units::{Bytes, Timestamp};

/// How many deletion vectors are read at a time.
const VECTORS_AT_A_TIME: usize = 8;

/// A Delta table at one version: the replayed log.
#[derive(Debug)]
pub struct DeltaVersion {
    store: Store,
    state: State,
    snapshot: Snapshot,
    /// By the number in [`LiveFile::partition`].
    partitions: Vec<Arc<Partition>>,
    no_deletes: Arc<[DeleteRef]>,
    /// Whether a time was asked for, and when files of the log were written told which version was the newest then.
    by_file_times: bool,
}

impl DeltaVersion {
    /// The version that `state` of the table at `root` is. `versions_kept` and `modified` (when the newest commit was written) are what the
    /// listing says.
    pub(super) fn new(store: Store, root: Location, state: State, versions_kept: Option<u64>, modified: Option<Timestamp>) -> Result<Self> {
        state.protocol.check_readable()?;
        let metadata = &state.metadata;
        let provider = metadata.format.provider.as_str();
        if !(provider.is_empty() || provider.eq_ignore_ascii_case("parquet")) {
            return Err(Error::unsupported("data files are not Parquet").about("provider", provider));
        }
        if metadata.configuration.0.iter().any(|(key, _)| key.starts_with("delta.coordinatedCommits.commitCoordinator")) {
            return Err(Error::unsupported("the table cannot be read: a commit coordinator decides which commits count")
                .about("property", "delta.coordinatedCommits.commitCoordinator"));
        }
        let schema = schema::parse(&metadata.schema_string, state.mapping()?)?;
        let columns = partition::columns(&schema, &metadata.partition_columns)?;
        let partitions = state.files.partitions(|values| partition::model(values, &columns))?;
        let info = state.commit_info.as_ref();
        let time = info.and_then(|info| info.in_commit_timestamp.or(info.timestamp)).map(Timestamp).or(modified);
        let snapshot = Snapshot {
            location: root,
            version: Some(Version(state.version)),
            time,
            partitioning: metadata.partition_columns.clone(),
            properties: properties(&state),
            protocol: format!("reader {}, writer {}", state.protocol.min_reader_version, state.protocol.min_writer_version),
            features: state.protocol.features(),
            versions_kept,
            schema,
        };
        Ok(Self { store, state, snapshot, partitions, no_deletes: Arc::new([]), by_file_times: false })
    }

    /// The same, found by the times of the log's files or not.
    pub(super) fn found(self, by_file_times: bool) -> Self {
        Self { by_file_times, ..self }
    }

    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    pub(super) const fn root(&self) -> &Location {
        &self.snapshot.location
    }

    pub(super) const fn state(&self) -> &State {
        &self.state
    }

    /// Whether everything the table promises can be kept by a rewrite.
    pub(super) fn rewritable_state(&self) -> Result<()> {
        self.state.protocol.check_rewritable()?;
        compat::check(&self.state, &self.snapshot.schema)?;
        let schema = &self.snapshot.schema;
        if schema.fields.is_empty() || schema.leaves_and_groups().any(|field| field.ty == Type::Struct(Vec::new())) {
            return Err(Error::unsupported(
                "the table cannot be rewritten: files cannot hold a struct or a table without columns of a type",
            ));
        }
        row_tracking::check(&self.state)
    }

    /// How statistics of new files are written.
    pub(super) fn stats_writer(&self) -> Result<StatsWriter<'_>> {
        let fields = output::stored(&self.snapshot.schema, &self.state.metadata.partition_columns);
        let mut indexed = stats_write::leaves(&fields, &settings::indexed(&self.state.metadata.configuration));
        indexed.extend(clustering::columns(&self.state, &fields)?);
        Ok(StatsWriter { fields, indexed, tightness: self.state.protocol.has_vectors() })
    }

    fn file(&self, add: &LiveFile, with_stats: bool) -> Result<DataFile> {
        let partition = self.partitions.get(add.partition as usize).ok_or_else(|| Error::bug("a file without a partition"))?;
        let deletes: Arc<[DeleteRef]> = match add.vector() {
            None => Arc::clone(&self.no_deletes),
            Some(vector) => Arc::new([DeleteRef { kind: DeleteKind::Vector, key: vector.id(), rows: Some(vector.cardinality) }]),
        };
        let columns =
            add.stats().filter(|_| with_stats).and_then(|text| stats_read::read(text, &self.snapshot.schema, !deletes.is_empty()));
        let lineage = add.default_row_commit_version().filter(|_| self.state.protocol.writes("rowTracking"));
        Ok(DataFile {
            location: add.location.clone(),
            spelling: Spelling::of(&add.location, add.path()),
            format: FileFormat::Parquet,
            size: Bytes(add.size),
            rows: add.rows(),
            partition: Arc::clone(partition),
            deletes,
            lineage: lineage.map(|sequence| Box::new(Lineage { first_row_id: add.base_row_id(), sequence })),
            stats: columns.map(Box::new),
        })
    }

    async fn deletes_of(&self, file: &DataFile) -> Result<RowDeletes> {
        if file.deletes.is_empty() {
            return Ok(RowDeletes::None);
        }
        let add = self.state.files.find(entry::key(file));
        let vector = add.and_then(LiveFile::vector);
        let vector = vector.ok_or_else(|| Error::bug("deletes were asked for a file of another version").about("file", &file.location))?;
        dv::read(&self.store, self.root(), vector, file.rows).await.map_err(|error| error.about("file", &file.location))
    }
}

fn properties(state: &State) -> BTreeMap<String, String> {
    let all = state.metadata.configuration.0.iter();
    all.filter_map(|(key, text)| Some((key.to_string(), text.as_ref()?.to_string()))).collect()
}

#[async_trait]
impl TableVersion for DeltaVersion {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn remark(&self) -> Option<&'static str> {
        self.by_file_times.then_some(
            "the version was found by when files of the log were written, for the table kept no in-commit timestamps then: where the log was \
             copied, those are the times of the copy",
        )
    }

    fn history(&self) -> BoxStream<'_, Result<HistoryEntry>> {
        history::history(self)
    }

    fn retention(&self) -> Result<Retention> {
        retention::of(&self.state)
    }

    async fn bookkeeping(&self) -> Result<Bookkeeping> {
        super::bookkeeping::of(self).await
    }

    fn defaults(&self) -> Defaults {
        let target = settings::target_file_size(&self.state.metadata.configuration).ok().flatten();
        Defaults {
            target_file_size: target.unwrap_or(output::TARGET_FILE_SIZE),
            commit_attempts: 15,
            min_wait_ms: 100,
            max_wait_ms: 10_000,
            total_wait_ms: 1_800_000,
        }
    }

    fn rewritable(&self) -> Result<()> {
        self.rewritable_state()
    }

    fn markable(&self) -> Result<()> {
        mark::check(self)
    }

    fn files(&self, with_stats: bool) -> BoxStream<'_, Result<DataFile>> {
        futures::stream::iter(self.state.files.iter().map(move |add| self.file(add, with_stats))).boxed()
    }

    async fn row_deletes(&self, files: &[DataFile]) -> Result<Vec<RowDeletes>> {
        let reads: Vec<_> = files.iter().map(|file| self.deletes_of(file)).collect();
        futures::stream::iter(reads).buffered(VECTORS_AT_A_TIME).try_collect().await
    }

    fn reading(&self) -> Result<ReadSpec> {
        let mapping = self.state.mapping()?;
        let schema = schema::parse_with_void(&self.state.metadata.schema_string, mapping)?;
        Ok(ReadSpec { schema, matching: output::matching(mapping) })
    }

    fn constants(&self, partition: &Partition) -> Result<Vec<(i32, Option<Value>)>> {
        partition::constants(partition, &partition::columns(&self.snapshot.schema, &self.state.metadata.partition_columns)?)
    }

    fn output(&self, partition: &Arc<Partition>, wishes: &OutputWishes) -> Result<OutputSpec> {
        output::spec(self.root(), &self.state, &self.snapshot.schema, partition, wishes)
    }

    async fn still_holds(&self, change: &Change) -> Result<Vec<bool>> {
        commit::still_holds(self, change).await
    }

    async fn offer(&self, change: &Change, now: Timestamp) -> Answer {
        commit::offer(self, change, now).await
    }

    async fn offer_upkeep(&self, upkeep: &Upkeep, now: Timestamp) -> Answer {
        upkeep::offer(self, upkeep, now).await
    }

    async fn find(&self, operation: &OperationId, part: u32, since: Option<Version>) -> Result<Option<Version>> {
        commit::find(self, operation, part, since).await
    }

    fn metadata_folders(&self) -> Vec<Location> {
        // Names in the log are the protocol's: only halves of files can be left behind there.
        vec![super::log::folder(self.root())]
    }

    fn data_folders(&self) -> Vec<Location> {
        vec![self.snapshot.location.clone()]
    }

    async fn referenced(&self, places: HashSet<Location>) -> Result<HashSet<Location>> {
        let mut found = HashSet::new();
        let mut note = |holding: Holding| {
            if places.contains(&holding.location) {
                found.insert(holding.location);
            }
        };
        holdings::in_use(self, &mut note).await?;
        Ok(found)
    }

    async fn lists(&self, wishes: &ListWishes) -> Result<ListPlan> {
        lists::plan(self, wishes).await
    }

    async fn spare(&self, candidates: &mut PlaceSet) -> Result<()> {
        let mut spare = |holding: Holding| {
            candidates.remove(&holding.location);
        };
        holdings::in_use(self, &mut spare).await
    }

    fn holdings(&self) -> BoxStream<'_, Result<Holding>> {
        holdings::holdings(self)
    }

    fn released<'a>(&'a self, forget: &'a Forget) -> BoxStream<'a, Result<Released>> {
        released::released(self, forget)
    }

    async fn check(&self, reach: Reach, found: FindingSink<'_>) -> Result<u64> {
        check::check(self, reach, found).await
    }
}
