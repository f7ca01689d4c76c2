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
    small: Bytes,
    /// Hashes of the deletes' keys: enough to count distinct ones without keeping their names.
    deletes: HashSet<u64>,
    sizes: [(u64, Bytes); CLASSES.len() + 1],
}

impl Tally {
    fn new(target: Bytes) -> Self {
        Self { census: Census::default(), small: target.percent(75), deletes: HashSet::new(), sizes: [(0, Bytes(0)); CLASSES.len() + 1] }
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
        partition.small_files += u64::from(file.size < self.small);
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
        let deleted: Vec<u64> = match version.row_deletes(files).await {
            Ok(deletes) => deletes.iter().map(crate::model::RowDeletes::len).collect(),
            // Deletes by value: the table can still be described, its rows not be counted.
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
        let joinable = |partition: &PartitionSummary| if partition.small_files > 1 { partition.small_files } else { 0 };
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
