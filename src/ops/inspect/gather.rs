//! Counts the live files of a table as they stream by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{StreamExt, TryStreamExt};

use super::{Census, MAX_NAME, MAX_PARTITIONS, PartitionSummary, SizeClass};
use crate::engine::Rewriter;
use crate::error::{Kind, Result};
use crate::formats::{Destination, OutputWishes, TableVersion};
use crate::model::{ColumnStats, DataFile};
use crate::units::Bytes;

/// Files whose deletes or row counts have to be read are read together in so many.
const BATCH: usize = 256;
/// How many footers are read at the same time.
const FOOTERS: usize = 16;
/// So many small files of a partition are joined by a compaction that has no other wishes.
const WORTH_JOINING: u64 = 5;
/// In how many files column statistics are looked for: the first that the table lists.
const SAMPLE: usize = 1_000;
/// Upper ends of the size classes.
const CLASSES: [Bytes; 6] = [Bytes::mib(1), Bytes::mib(8), Bytes::mib(32), Bytes::mib(128), Bytes::mib(512), Bytes::mib(1024)];

/// Counts the files of `version`; `target` is the size files should have. The first files are looked at twice, for their statistics.
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
        tally.spec(version, &file)?;
        match known_rows(&file) {
            Some((stored, deleted)) => tally.rows(&file, stored, deleted),
            None => pending.push(file),
        }
        if pending.len() >= BATCH {
            tally.read(version, engine, &std::mem::take(&mut pending)).await?;
        }
    }
    tally.read(version, engine, &pending).await?;
    drop(files);
    let mut sample = version.files(true).take(SAMPLE);
    while let Some(file) = sample.next().await {
        tally.census.sampled_files += 1;
        tally.census.without_statistics += u64::from(!has_statistics(&file?));
    }
    drop(sample);
    Ok(tally.finish())
}

/// Whether a query could skip `file` by what the metadata says of any column. A file that is known to be empty is skipped anyway.
fn has_statistics(file: &DataFile) -> bool {
    let tells = |column: &ColumnStats| column.lower.is_some() || column.upper.is_some() || column.is_all_null();
    file.rows == Some(0) || file.stats.as_ref().is_some_and(|stats| stats.columns.values().any(tells))
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
    /// Files and bytes by how many binary digits the size has.
    digits: [(u64, Bytes); 65],
    /// Whether files of a partition spec go to another one when they are rewritten.
    moving: HashMap<i32, bool>,
}

impl Tally {
    fn new(target: Bytes) -> Self {
        Self {
            census: Census::default(),
            target,
            small: target.percent(75),
            deletes: HashSet::new(),
            sizes: [(0, Bytes(0)); CLASSES.len() + 1],
            digits: [(0, Bytes(0)); 65],
            moving: HashMap::new(),
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
        let digits = usize::try_from(u64::BITS - file.size.0.leading_zeros()).unwrap_or(0);
        for (files, bytes) in self.sizes.get_mut(class).into_iter().chain(self.digits.get_mut(digits)) {
            *files += 1;
            *bytes = bytes.plus(file.size);
        }
        let name = name_of(file);
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

    /// Counts `file` if a rewrite would move its rows to another partition spec.
    fn spec(&mut self, version: &dyn TableVersion, file: &DataFile) -> Result<()> {
        let id = file.partition.spec_id;
        let moving = match self.moving.get(&id) {
            Some(known) => *known,
            None => {
                let moving = matches!(version.destination(file, &OutputWishes::default())?, Destination::Other(_));
                self.moving.insert(id, moving);
                moving
            }
        };
        self.census.old_spec_files += u64::from(moving);
        Ok(())
    }

    fn rows(&mut self, file: &DataFile, stored: u64, deleted: u64) {
        let deleted = deleted.min(stored);
        self.census.stored_rows = self.census.stored_rows.saturating_add(stored);
        self.census.totals.rows = self.census.totals.rows.saturating_add(stored - deleted);
        if let Some(partition) = self.census.partitions.get_mut(&name_of(file)) {
            partition.stored_rows = partition.stored_rows.saturating_add(stored);
            partition.deleted_rows = partition.deleted_rows.saturating_add(deleted);
        }
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
        for ((file, stored), deleted) in files.iter().zip(stored).zip(deleted) {
            self.rows(file, stored, deleted);
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
        self.census.histogram = histogram(&self.digits);
        self.census
    }
}

/// The classes that hold files and those between them. A size of `n` binary digits lies between 2^(n-1) and 2^n.
fn histogram(digits: &[(u64, Bytes); 65]) -> Vec<SizeClass> {
    let power = |n: usize| u32::try_from(n).ok().and_then(|n| 1u64.checked_shl(n)).map(Bytes);
    let classes = digits.iter().enumerate().map(|(n, (files, bytes))| {
        let from = n.checked_sub(1).and_then(power).unwrap_or_default();
        SizeClass { from, below: power(n), files: *files, bytes: *bytes }
    });
    let classes: Vec<SizeClass> = classes.skip_while(|class| class.files == 0).collect();
    let end = classes.iter().rposition(|class| class.files > 0).map_or(0, |last| last + 1);
    classes.into_iter().take(end).collect()
}

/// What the partition of `file` is called: names have a limit, so that their number bounds the memory they take.
fn name_of(file: &DataFile) -> String {
    let name = file.partition.display();
    if name.len() <= MAX_NAME {
        return name;
    }
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let end = (0..=MAX_NAME).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…#{:016x}", name.get(..end).unwrap_or_default(), hasher.finish())
}

/// What partitions are ordered by, the greatest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Small files, then files: what a compaction would help most.
    SmallFiles,
    /// Files.
    Files,
    /// Bytes.
    Bytes,
    /// The share of rows that are deleted.
    Deleted,
}

/// The first `most` partitions in this order; those that are equal by name.
pub fn top(partitions: &BTreeMap<String, PartitionSummary>, order: Order, most: usize) -> Vec<(&str, &PartitionSummary)> {
    let key = |partition: &PartitionSummary| match order {
        Order::SmallFiles => (partition.small_files, partition.files),
        Order::Files => (partition.files, partition.bytes.0),
        Order::Bytes => (partition.bytes.0, partition.files),
        Order::Deleted => (partition.deleted_per_mille(), partition.deleted_rows),
    };
    let mut sorted: Vec<(&str, &PartitionSummary)> = partitions.iter().map(|(name, partition)| (name.as_str(), partition)).collect();
    // The map's own order is that of names, and the sort is stable.
    sorted.sort_by_key(|(_, partition)| std::cmp::Reverse(key(partition)));
    sorted.truncate(most);
    sorted
}

#[cfg(test)]
mod tests;
