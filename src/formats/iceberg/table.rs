//! The table and its versions, as operations see them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::ready;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::manifest_list::ManifestFile;
use super::metadata::Metadata;
use super::pointer::Pointer;
use super::scan::Scan;
use super::spec::partition_key;
use super::{
    features, history, holdings, output, reach, reshape, retention, rewrite_manifests, rivals, row_deletes, rules, travel, upkeep,
};
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::formats::{Defaults, Destination, FormatName, OutputWishes, Reference, Table, TableVersion, TakeHoldings};
use crate::location::Location;
use crate::model::{
    At, Bookkeeping, Change, DataFile, DeleteKind, FileList, FindingSink, Forget, HistoryEntry, Holding, ListPlan, ListWishes, LiveCount,
    OperationId, OutputSpec, Partition, PlaceSet, Reach, ReadSpec, Released, Retention, RowDeletes, Snapshot, UnusedRules, Upkeep, Version,
};
use crate::store::Store;
use crate::units::Timestamp;

/// An Iceberg table.
#[derive(Clone)]
pub struct IcebergTable {
    store: Store,
    root: Location,
    pointer: Arc<dyn Pointer>,
    reference: Option<String>,
}

impl std::fmt::Debug for IcebergTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IcebergTable").field("root", &self.root).finish_non_exhaustive()
    }
}

impl IcebergTable {
    /// The table at `root` whose current metadata `pointer` knows.
    pub fn new(store: Store, root: Location, pointer: Arc<dyn Pointer>) -> Self {
        Self { store, root, pointer, reference: None }
    }

    /// The same table seen from the branch or tag `name`: commits move that branch and no other, and a tag cannot be changed.
    #[must_use]
    pub fn on(self, name: &str) -> Self {
        Self { reference: Some(name.to_string()), ..self }
    }

    /// Reads the newest version.
    pub(crate) async fn version(&self) -> Result<IcebergVersion> {
        self.of(self.metadata().await?)
    }

    async fn metadata(&self) -> Result<Metadata> {
        let file = self.pointer.current().await?;
        let bytes = self.store.get(&file).await?;
        let metadata = Metadata::parse(&bytes, &file, self.pointer.opened_at())?;
        match &self.reference {
            Some(name) => metadata.on(name),
            None => Ok(metadata),
        }
    }

    fn of(&self, metadata: Metadata) -> Result<IcebergVersion> {
        let metadata = Arc::new(metadata);
        let snapshot = snapshot(&metadata, &self.root)?;
        Ok(IcebergVersion { scan: Scan::new(self.store.clone(), metadata), snapshot, pointer: Arc::clone(&self.pointer) })
    }

    /// Where its current metadata is known.
    #[cfg(test)]
    pub(crate) fn pointer(&self) -> &dyn Pointer {
        &*self.pointer
    }
}

#[async_trait]
impl Table for IcebergTable {
    fn format(&self) -> FormatName {
        FormatName::Iceberg
    }

    fn location(&self) -> &Location {
        &self.root
    }

    async fn load(&self) -> Result<Arc<dyn TableVersion>> {
        Ok(Arc::new(self.version().await?))
    }

    async fn load_at(&self, at: &At) -> Result<Arc<dyn TableVersion>> {
        let metadata = self.metadata().await?;
        Ok(Arc::new(self.of(metadata.pinned(travel::find(&metadata, at)?)?)?))
    }

    async fn settle(&self, _version: Version) -> Vec<Error> {
        self.pointer.settle().await
    }
}

fn snapshot(metadata: &Metadata, root: &Location) -> Result<Snapshot> {
    let current = metadata.current()?;
    let spec = metadata.spec(metadata.default_spec)?;
    Ok(Snapshot {
        location: root.clone(),
        version: current.and_then(super::metadata::SnapshotView::version),
        time: current.and_then(super::metadata::SnapshotView::time),
        schema: metadata.schema.clone(),
        partitioning: spec.fields.iter().map(|field| field.name.clone()).collect(),
        properties: metadata.properties.clone(),
        protocol: format!("v{}", metadata.format_version),
        features: features::in_use(metadata),
        versions_kept: Some(metadata.snapshots().count() as u64),
    })
}

/// One version of an Iceberg table.
pub(crate) struct IcebergVersion {
    pub(crate) scan: Scan,
    snapshot: Snapshot,
    pub(crate) pointer: Arc<dyn Pointer>,
}

#[async_trait]
impl TableVersion for IcebergVersion {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn reference(&self) -> Option<&str> {
        self.scan.metadata.reference.as_deref()
    }

    fn references(&self) -> Vec<Reference> {
        retention::references(&self.scan.metadata)
    }

    fn state_id(&self) -> String {
        self.scan.metadata.file.to_string()
    }

    fn history(&self) -> BoxStream<'_, Result<HistoryEntry>> {
        let entries = history::history(&self.scan.metadata);
        stream::once(async { entries.map(|entries| stream::iter(entries.into_iter().map(Ok))) }).try_flatten().boxed()
    }

    fn retention(&self) -> Result<Retention> {
        retention::retention(&self.scan.metadata)
    }

    fn timeline(&self) -> Vec<(Timestamp, Version)> {
        travel::log(&self.scan.metadata).into_iter().map(|(made, id)| (Timestamp(made), Version(id))).collect()
    }

    fn file_lists(&self) -> BoxStream<'_, Result<FileList>> {
        let lists = |manifests: Arc<Vec<ManifestFile>>| {
            let list = move |at: usize| manifests.get(at).map(ManifestFile::listed);
            stream::iter((0..).map_while(list).map(Ok))
        };
        stream::once(self.scan.manifests()).map_ok(lists).try_flatten().boxed()
    }

    async fn bookkeeping(&self) -> Result<Bookkeeping> {
        super::bookkeeping::of(self).await
    }

    fn defaults(&self) -> Defaults {
        output::defaults(&self.scan.metadata)
    }

    fn rewritable(&self) -> Result<()> {
        if self.scan.metadata.pin.is_some() {
            return Err(Error::refused("an earlier state of the table can only be read"));
        }
        self.scan.metadata.check_main()?;
        features::rewritable(&self.scan.metadata, self.pointer.opened_at())
    }

    fn markable(&self) -> Result<()> {
        if self.scan.metadata.format_version < 2 {
            return Err(Error::unsupported("tables of format version 1 cannot have deleted rows in files that stay"));
        }
        self.rewritable()
    }

    fn files(&self, with_stats: bool) -> BoxStream<'_, Result<DataFile>> {
        self.scan.files(with_stats)
    }

    async fn row_deletes(&self, files: &[DataFile]) -> Result<Vec<RowDeletes>> {
        let index = self.scan.deletes().await?;
        row_deletes::read(&self.scan, &index, files).await
    }

    fn reading(&self) -> Result<ReadSpec> {
        if self.scan.metadata.pin.is_none() {
            self.scan.metadata.check_main()?;
        }
        Ok(ReadSpec { schema: self.scan.metadata.schema.clone(), matching: output::matching(&self.scan.metadata)? })
    }

    fn destination(&self, file: &DataFile, wishes: &OutputWishes) -> Result<Destination> {
        reshape::destination(&self.scan.metadata, file.partition.spec_id, wishes.spec)
    }

    fn output(&self, partition: &Arc<Partition>, wishes: &OutputWishes) -> Result<OutputSpec> {
        output::output(&self.scan.metadata, partition, wishes)
    }

    async fn still_holds(&self, change: &Change) -> Result<Vec<bool>> {
        let mut wanted: HashMap<&Location, (usize, &DataFile)> = HashMap::new();
        let mut missing: Vec<usize> = change.groups.iter().map(|group| group.removes.len() + group.marks.len()).collect();
        for (at, group) in change.groups.iter().enumerate() {
            let files = group.removes.iter().chain(group.marks.iter().map(|marked| &marked.file));
            wanted.extend(files.map(|file| (&file.location, (at, file))));
        }
        let mut files = self.scan.files(false);
        while let Some(file) = files.try_next().await? {
            if let Some((at, planned)) = wanted.get(&file.location)
                && change.groups.get(*at).is_some_and(|group| reshape::still_replaces(group, planned, &file))
                && let Some(count) = missing.get_mut(*at)
            {
                *count = count.saturating_sub(1);
            }
        }
        Ok(missing.into_iter().map(|count| count == 0).collect())
    }

    async fn offer(&self, change: &Change, now: Timestamp) -> Answer {
        if self.scan.metadata.pin.is_some() {
            return Answer::Rejected(Error::bug("a change was offered on top of an old version"));
        }
        super::commit::offer(self, change, now).await
    }

    async fn offer_upkeep(&self, upkeep: &Upkeep, now: Timestamp) -> Answer {
        if self.scan.metadata.pin.is_some() {
            return Answer::Rejected(Error::bug("a change was offered on top of an old version"));
        }
        upkeep::offer(self, upkeep, now).await
    }

    async fn lists(&self, wishes: &ListWishes) -> Result<ListPlan> {
        rewrite_manifests::plan(self, wishes).await
    }

    async fn find(&self, operation: &OperationId, part: u32, since: Option<Version>) -> Result<Option<Version>> {
        super::commit::find(&self.scan.metadata, operation, part, since)
    }

    fn metadata_folders(&self) -> Vec<Location> {
        let mut folders: Vec<Location> = self.scan.metadata.metadata_folder().into_iter().collect();
        folders.extend(self.scan.metadata.file.parent());
        folders.dedup();
        folders
    }

    fn data_folders(&self) -> Vec<Location> {
        output::data_root(&self.scan.metadata).into_iter().collect()
    }

    async fn referenced(&self, places: HashSet<Location>) -> Result<HashSet<Location>> {
        super::references::among(&self.scan, places).await
    }

    fn holdings(&self) -> BoxStream<'_, Result<Holding>> {
        holdings::holdings(self)
    }

    async fn give_holdings(&self, live: LiveCount, take: TakeHoldings) -> Result<()> {
        holdings::pages(self, Some(live), take).try_for_each(|()| ready(Ok(()))).await
    }

    fn released<'a>(&'a self, forget: &'a Forget) -> BoxStream<'a, Result<Released>> {
        let released = move |spared| reach::released(&self.scan, &forget.versions, spared).map_ok(Released::Free);
        stream::once(ready(rivals::newest_logged(self))).map_ok(released).try_flatten().boxed()
    }

    async fn held_elsewhere(&self) -> Result<BTreeSet<Version>> {
        rivals::heads(self).await
    }

    async fn spare(&self, candidates: &mut PlaceSet) -> Result<()> {
        reach::spare(&self.scan, candidates).await
    }

    async fn unused_rules(&self, gone: &BTreeSet<Version>) -> Result<UnusedRules> {
        rules::unused(&self.scan, gone).await
    }

    async fn check(&self, reach: Reach, found: FindingSink<'_>) -> Result<u64> {
        super::check::check(self, reach, found).await
    }
}

/// Whether a file is as it was when a change was planned. Equality deletes that came since do no harm: what replaces the file has a data sequence
/// number below theirs, so that they apply to it too. Those that were applied must not have gone: their rows would live again. The same rows must
/// still be numbered in the same way.
pub(crate) fn same_file(planned: &DataFile, now: &DataFile) -> bool {
    let keys = |file: &DataFile, equality: bool| {
        let of_kind = file.deletes.iter().filter(|delete| (delete.kind == DeleteKind::Equality) == equality);
        of_kind.map(|delete| delete.key.clone()).collect::<BTreeSet<String>>()
    };
    let partition = |file: &DataFile| partition_key(&file.partition);
    let numbering = |file: &DataFile| file.lineage.as_ref()?.first_row_id;
    keys(planned, true).is_subset(&keys(now, true))
        && keys(planned, false) == keys(now, false)
        && numbering(planned) == numbering(now)
        && partition(planned) == partition(now)
}
