//! Counts the live files of a table as they stream by.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{StreamExt, TryStreamExt};

use super::{Census, MAX_PARTITIONS, PartitionSummary, SizeClass};
use crate::engine::Rewriter;
use crate::error::{Kind, Result};
use crate::formats::TableVersion;
use crate::model::DataFile;
use crate::units::Bytes;

/// Files whose deletes or row counts have to be read are read together in so many.
const BATCH: usize = 256;
/// How many footers are read at the same time.
const FOOTERS: usize = 16;
/// So many small files of a partition are joined by a compaction that has no other wishes.
const WORTH_JOINING: u64 = 5;
/// Upper ends of the size classes.
const CLASSES: [Bytes; 6] = [Bytes::mib(1), Bytes::mib(8), Bytes::mib(32), Bytes::mib(128), Bytes::mib(512), Bytes::mib(1024)];

/// Counts the files of `version`; `target` is the size files should have.
///
/// # Errors
///
/// As [`TableVersion::files`]; `Corrupt` or `NotFound` for delete files and footers that had to be read.
pub async fn gather(version: &dyn TableVersion, engine: &dyn Rewriter, target: Bytes) -> Result<Census> {
    let mut tally = Tally::new(target);
    let mut pending: Vec<DataFile> = Vec::new();
    let mut files = version.files(false);
    while let Some(file) = files.next().await {
        let file = file?;
        tally.file(&file);
        match known_rows(&file) {
            Some((stored, deleted)) => tally.rows(stored, deleted),
            None => pending.push(file),
        }
        if pending.len() >= BATCH {
            tally.read(version, engine, &std::mem::take(&mut pending)).await?;
        }
    }
    tally.read(version, engine, &pending).await?;
    Ok(tally.finish())
}

/// Stored and deleted rows, where the metadata says both.
fn known_rows(file: &DataFile) -> Option<(u64, u64)> {
    let stored = file.rows?;
    match file.deletes.as_ref() {
        [] => Some((stored, 0)),
        // One vector is the whole truth of its file; several deletes may name the same row.
        [only] => Some((stored, only.rows?)),
        _ => None,
    }
}

struct Tally {
    census: Census,
    target: Bytes,
    small: Bytes,
    /// Hashes of the deletes' keys: enough to count distinct ones without keeping their names.
    deletes: HashSet<u64>,
    sizes: [(u64, Bytes); CLASSES.len() + 1],
}

impl Tally {
    fn new(target: Bytes) -> Self {
        Self {
            census: Census::default(),
            target,
            small: target.percent(75),
            deletes: HashSet::new(),
            sizes: [(0, Bytes(0)); CLASSES.len() + 1],
        }
    }

    fn file(&mut self, file: &DataFile) {
        let census = &mut self.census;
        census.totals.files += 1;
        census.totals.bytes = census.totals.bytes.plus(file.size);
        census.files_with_deletes += u64::from(!file.deletes.is_empty());
        for delete in file.deletes.iter() {
            let mut hasher = DefaultHasher::new();
            delete.key.hash(&mut hasher);
            self.deletes.insert(hasher.finish());
        }
        let class = CLASSES.iter().position(|end| file.size < *end).unwrap_or(CLASSES.len());
        if let Some((files, bytes)) = self.sizes.get_mut(class) {
            *files += 1;
            *bytes = bytes.plus(file.size);
        }
        let name = file.partition.display();
        let known = census.partitions.contains_key(&name);
        if !known && census.partitions.len() >= MAX_PARTITIONS {
            census.files_beyond += 1;
            return;
        }
        let partition = census.partitions.entry(name).or_default();
        partition.files += 1;
        partition.bytes = partition.bytes.plus(file.size);
        if file.size < self.small {
            partition.small_files += 1;
            partition.small_bytes = partition.small_bytes.plus(file.size);
        }
    }

    const fn rows(&mut self, stored: u64, deleted: u64) {
        self.census.stored_rows = self.census.stored_rows.saturating_add(stored);
        self.census.totals.rows = self.census.totals.rows.saturating_add(stored.saturating_sub(deleted));
    }

    /// Counts rows that only footers and delete files know.
    async fn read(&mut self, version: &dyn TableVersion, engine: &dyn Rewriter, files: &[DataFile]) -> Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let stored = futures::stream::iter(files).map(|file| async move {
            match file.rows {
                Some(rows) => Ok(rows),
                None => engine.stored_rows(file).await,
            }
        });
        let stored: Vec<u64> = stored.buffered(FOOTERS).try_collect().await?;
        let located = async {
            let deletes = version.row_deletes(files).await?;
            let inputs: Vec<_> = files.iter().cloned().zip(deletes).collect();
            engine.locate_deletes(&inputs).await
        };
        let deleted: Vec<u64> = match located.await {
            Ok(deletes) => deletes.iter().map(|deletes| deletes.len().unwrap_or_default()).collect(),
            // Deletes that are not understood: the table can still be described, its rows not be counted.
            Err(error) if error.kind() == Kind::Unsupported => {
                self.census.rows_uncertain = Some(error.to_string());
                vec![0; files.len()]
            }
            Err(error) => return Err(error),
        };
        for (stored, deleted) in stored.into_iter().zip(deleted) {
            self.rows(stored, deleted);
        }
        Ok(())
    }

    fn finish(mut self) -> Census {
        self.census.totals.delete_files = self.deletes.len() as u64;
        let joins = |partition: &PartitionSummary| {
            partition.small_files >= WORTH_JOINING || (partition.small_files > 1 && partition.small_bytes > self.target)
        };
        let joinable = |partition: &PartitionSummary| if joins(partition) { partition.small_files } else { 0 };
        self.census.joinable_files = self.census.partitions.values().map(joinable).sum();
        let starts = std::iter::once(Bytes(0)).chain(CLASSES);
        let ends = CLASSES.into_iter().map(Some).chain(std::iter::once(None));
        let sizes = starts.zip(ends).zip(self.sizes).map(|((from, below), (files, bytes))| SizeClass { from, below, files, bytes });
        self.census.sizes = sizes.collect();
        self.census
    }
}

/// The partitions with the most small files, worst first.
pub fn worst(partitions: &BTreeMap<String, PartitionSummary>, most: usize) -> Vec<(&str, &PartitionSummary)> {
    let mut sorted: Vec<(&str, &PartitionSummary)> = partitions.iter().map(|(name, partition)| (name.as_str(), partition)).collect();
    sorted.sort_by(|a, b| b.1.small_files.cmp(&a.1.small_files).then(b.1.files.cmp(&a.1.files)).then(a.0.cmp(b.0)));
    sorted.truncate(most);
    sorted
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use roaring::RoaringTreemap;

    use super::*;
    use crate::commit::Answer;
    use crate::engine::{RewriteTask, Rewritten};
    use crate::error::Error;
    use crate::formats::{Defaults, OutputWishes};
    use crate::location::Location;
    use crate::model::{
        Change, DeleteKind, DeleteRef, FileFormat, OperationId, OutputSpec, Partition, PartitionField, ReadSpec, RowDeletes, Schema,
        Snapshot, Version,
    };
    use crate::units::Timestamp;

    /// A version that holds `files`, in each of which `deleted` rows are deleted where its deletes have to be read.
    struct Fixed {
        files: Vec<DataFile>,
        deleted: Option<u64>,
        snapshot: Snapshot,
    }

    #[async_trait]
    impl TableVersion for Fixed {
        fn snapshot(&self) -> &Snapshot {
            &self.snapshot
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

    /// An engine that knows footers of 40 rows.
    struct Footers;

    #[async_trait]
    impl Rewriter for Footers {
        async fn rewrite(&self, _task: RewriteTask) -> Result<Rewritten> {
            Err(Error::bug("not asked"))
        }
        async fn stored_rows(&self, _file: &DataFile) -> Result<u64> {
            Ok(40)
        }
    }

    fn delete(key: &str, rows: Option<u64>) -> DeleteRef {
        DeleteRef { kind: DeleteKind::Positions, key: key.into(), rows }
    }

    fn file(number: usize, region: &str, size: u64, rows: Option<u64>, deletes: &[DeleteRef]) -> DataFile {
        let field = PartitionField { name: "region".into(), value: None, text: region.into() };
        DataFile {
            location: Location::parse(&format!("/t/{number}")).unwrap(),
            path: format!("{number}").into(),
            format: FileFormat::Parquet,
            size: Bytes(size),
            rows,
            partition: Arc::new(Partition { spec_id: 0, fields: vec![field], constants: Vec::new() }),
            deletes: deletes.into(),
            lineage: None,
            stats: None,
        }
    }

    async fn census(files: Vec<DataFile>, deleted: Option<u64>) -> Census {
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
        gather(&Fixed { files, deleted, snapshot }, &Footers, Bytes(1000)).await.unwrap()
    }

    #[tokio::test]
    async fn rows_come_from_metadata_then_from_footers_and_delete_files() {
        let files = vec![
            file(0, "eu", 10, Some(100), &[]),
            file(1, "eu", 10, Some(100), &[delete("vector", Some(7))]),
            file(2, "eu", 10, None, &[]),
            file(3, "eu", 10, Some(100), &[delete("shared", None)]),
            file(4, "eu", 10, Some(100), &[delete("shared", None), delete("more", Some(1))]),
        ];
        let census = census(files, Some(5)).await;
        assert_eq!((census.stored_rows, census.totals.rows), (440, 440 - 7 - 5 - 5));
        assert_eq!((census.totals.files, census.totals.bytes, census.totals.delete_files), (5, Bytes(50), 3));
        assert_eq!((census.files_with_deletes, census.rows_uncertain), (3, None));
    }

    #[tokio::test]
    async fn deletes_that_cannot_be_applied_leave_the_row_count_uncertain() {
        let census = census(vec![file(0, "eu", 10, Some(100), &[delete("values", None)])], None).await;
        assert_eq!((census.totals.rows, census.rows_uncertain.as_deref()), (100, Some("deletes by value")));
    }

    #[tokio::test]
    async fn only_partitions_that_a_compaction_would_touch_count_as_joinable() {
        let mut files: Vec<DataFile> = (0..5).map(|n| file(n, "eu", 10, Some(1), &[])).collect();
        files.extend((5..9).map(|n| file(n, "us", 10, Some(1), &[])));
        files.extend((9..11).map(|n| file(n, "asia", 600, Some(1), &[])));
        files.push(file(11, "asia", 800, Some(1), &[]));
        let census = census(files, Some(0)).await;
        assert_eq!(census.joinable_files, 5 + 2);
        let names: Vec<(&str, u64)> = worst(&census.partitions, 2).into_iter().map(|(name, p)| (name, p.small_files)).collect();
        assert_eq!(names, [("region=eu", 5), ("region=us", 4)]);
        assert_eq!(census.sizes[0].files, 12);
    }
}
