//! A table as it was at one version: what operations ask of it, and what they offer on top.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::{Defaults, Destination, OutputWishes, Reference};
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::{
    Bookkeeping, Change, DataFile, FileList, FindingSink, Forget, HistoryEntry, Holding, ListPlan, ListWishes, LiveCount, OperationId,
    OutputSpec, Partition, PlaceSet, Reach, ReadSpec, Released, Retention, RowDeletes, Snapshot, UnusedRules, Upkeep, Value, Version,
};
use crate::store::apart;
use crate::units::Timestamp;

/// So many files are worth another thread's time.
const PAGE: usize = 2048;
/// One page is taken while the next is read.
const PAGES_AT_ONCE: usize = 2;

/// Takes files that a table refers to, on any thread.
pub type TakeHoldings = Arc<dyn Fn(Vec<Holding>) -> Result<()> + Send + Sync>;

/// A table as it was at one version: an immutable view that changes can be offered on top of.
#[async_trait]
pub trait TableVersion: Send + Sync {
    /// What is known without reading the list of files.
    fn snapshot(&self) -> &Snapshot;

    /// The branch or tag that this is a version of, where it is not the main line of history.
    fn reference(&self) -> Option<&str> {
        None
    }

    /// Every branch and tag of the table, by name; none where the format has no such thing.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// The exact state of the table that this is: two are equal only if nothing was committed between them, not even a commit that makes no
    /// version (an expiry, a new tag).
    fn state_id(&self) -> String {
        self.snapshot().version.map(|version| version.to_string()).unwrap_or_default()
    }

    /// Every version the table still lists, oldest first.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer, `Corrupt` for what cannot be understood.
    fn history(&self) -> BoxStream<'_, Result<HistoryEntry>> {
        no_stream("the table's history cannot be listed")
    }

    /// What was the newest version of the main line since when, oldest first, where the format keeps such a log besides its versions (Iceberg): a
    /// roll-back is an entry of its own. A time means the last entry until then.
    fn timeline(&self) -> Vec<(Timestamp, Version)> {
        Vec::new()
    }

    /// What whoever reads this version ought to know of how it was found.
    fn remark(&self) -> Option<&'static str> {
        None
    }

    /// The lists of files that this version is made of; none where the format has no such thing.
    fn file_lists(&self) -> BoxStream<'_, Result<FileList>> {
        futures::stream::empty().boxed()
    }

    /// How long the table keeps its past.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a property that is none of its kind: nothing may then be deleted.
    fn retention(&self) -> Result<Retention> {
        Err(Error::unsupported("how long the table keeps its past is not known"))
    }

    /// The size and state of the metadata that readers of this version depend on.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer, `Corrupt` or `NotFound` for metadata that had to be read.
    async fn bookkeeping(&self) -> Result<Bookkeeping> {
        Ok(Bookkeeping::default())
    }

    /// Defaults from the table's properties.
    fn defaults(&self) -> Defaults;

    /// Whether files of this table may be replaced by others with the same rows.
    ///
    /// # Errors
    ///
    /// `Unsupported` or `Refused`, naming the feature that we cannot keep intact (P4).
    fn rewritable(&self) -> Result<()>;

    /// Whether rows of this table's files may be deleted by marking their positions ([`crate::model::Intent::DeleteRows`]).
    ///
    /// # Errors
    ///
    /// `Unsupported` or `Refused`, naming what is in the way.
    fn markable(&self) -> Result<()> {
        Err(Error::unsupported("rows of this table cannot be marked as deleted"))
    }

    /// The live data files, each with the deletes that may apply to it. `with_stats` also fills [`DataFile::stats`].
    fn files(&self, with_stats: bool) -> BoxStream<'_, Result<DataFile>>;

    /// The deletes of `files` (of this version), ready to apply, in the same order. Checked: checksums, counts, positions below the row count
    /// where that is known.
    ///
    /// # Errors
    ///
    /// `Unsupported` for deletes we cannot apply; `Corrupt` for a damaged or missing delete file.
    async fn row_deletes(&self, files: &[DataFile]) -> Result<Vec<RowDeletes>>;

    /// How the rows of data files are read: all columns that users see.
    ///
    /// # Errors
    ///
    /// `Corrupt` for rules of the table that cannot be understood.
    fn reading(&self) -> Result<ReadSpec>;

    /// The columns whose value is the same in every row of `partition`, which data files may leave out: column id and value (`None` is null).
    ///
    /// # Errors
    ///
    /// `Corrupt` for a value that is none of the column's type.
    fn constants(&self, partition: &Partition) -> Result<Vec<(i32, Option<Value>)>> {
        Ok(partition.constants.clone())
    }

    /// Where rows of `file` go when they are written again.
    ///
    /// # Errors
    ///
    /// `Usage` or `Unsupported` for a partition spec that was asked for and does not exist or cannot be written.
    fn destination(&self, _file: &DataFile, _wishes: &OutputWishes) -> Result<Destination> {
        Ok(Destination::Same)
    }

    /// How files of `partition`, which is a file's or a [`Destination`], are to be written.
    ///
    /// # Errors
    ///
    /// `Unsupported` or `Usage` for properties or wishes that cannot be met.
    fn output(&self, partition: &Arc<Partition>, wishes: &OutputWishes) -> Result<OutputSpec>;

    /// For each group of `change` (planned on an earlier version): whether it still holds here. It does if every file it removes is live with the
    /// same identity ([`DataFile::id`]) and nothing it depends on (schema, protocol) has changed.
    async fn still_holds(&self, change: &Change) -> Result<Vec<bool>>;

    /// Tries `change` once on top of this version; `now` is the time to write into it. Files of its own (manifests …) are removed again unless the
    /// answer is `Ours` or `Silence`.
    async fn offer(&self, change: &Change, now: Timestamp) -> Answer;

    /// Tries `upkeep` once on top of this version, as [`Self::offer`]. Where no version is made, [`Answer::Ours`] names the one that is current.
    async fn offer_upkeep(&self, _upkeep: &Upkeep, _now: Timestamp) -> Answer {
        Answer::Rejected(Error::unsupported("the table's format has no such change"))
    }

    /// What [`crate::model::UpkeepKind::RewriteManifests`] would do here: nothing, if no group is told.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the format has no such change; `Usage` for wishes that do not fit; those of reading the lists.
    async fn lists(&self, _wishes: &ListWishes) -> Result<ListPlan> {
        Err(Error::unsupported("lists of files cannot be written anew in this table's format"))
    }

    /// The version that part `part` of `operation` made, if it is in this version's history. Looks only at versions after `since`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if history after `since` is incomplete, so that not finding it would mean nothing; those of reading it.
    async fn find(&self, operation: &OperationId, part: u32, since: Option<Version>) -> Result<Option<Version>>;

    /// The folders, besides those of data files, where an unfinished [`Self::offer`] or [`super::Table::settle`] may leave files whose names hold the
    /// operation id, or halves of files.
    fn metadata_folders(&self) -> Vec<Location>;

    /// The folders below which data files are written.
    fn data_folders(&self) -> Vec<Location>;

    /// Of `places`, those that this version, or an older one that can still be read, refers to as data, deletes or metadata. Formats that
    /// cannot tell say all of them.
    ///
    /// # Errors
    ///
    /// Those of reading everything the table still knows of its history.
    async fn referenced(&self, places: HashSet<Location>) -> Result<HashSet<Location>> {
        Ok(places)
    }

    /// Every file that this version, an older one that can still be read, or the table itself refers to, each told at least once. What is listed is
    /// read once. A file that is not told is none of the table's: whoever deletes it must be certain that the stream ended without an error.
    ///
    /// # Errors
    ///
    /// Those of reading anything the table still knows; `Unsupported` where that cannot be told.
    fn holdings(&self) -> BoxStream<'_, Result<Holding>> {
        no_stream("what the table refers to cannot be told")
    }

    /// What [`Self::holdings`] tells, given to `take` on whatever threads it was read. Where what is read also tells this version's live files, they
    /// are counted in `live` on the way.
    ///
    /// # Errors
    ///
    /// As there, and those of `take`.
    async fn give_holdings(&self, _live: LiveCount, take: TakeHoldings) -> Result<()> {
        let pages = self.holdings().ready_chunks(PAGE).map(|page| {
            let take = Arc::clone(&take);
            apart(move || take(page.into_iter().collect::<Result<_>>()?))
        });
        pages.buffered(PAGES_AT_ONCE).try_for_each(|()| std::future::ready(Ok(()))).await
    }

    /// Versions that others may hold as current or by name although this version's own references do not: to forget one would take it from them.
    /// Some may not be listed here.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer; `Corrupt` where what others hold cannot be read.
    async fn held_elsewhere(&self) -> Result<BTreeSet<Version>> {
        Ok(BTreeSet::new())
    }

    /// The files that the versions of `forget` reach (of this table, to be forgotten or emptied) and nothing else of the table does: what may be
    /// deleted once that is done.
    ///
    /// # Errors
    ///
    /// As [`Self::holdings`].
    fn released<'a>(&'a self, _forget: &'a Forget) -> BoxStream<'a, Result<Released>> {
        no_stream("what only old versions refer to cannot be told")
    }

    /// Removes from `candidates` every file that this version, an older one that can still be read, or the table itself refers to: what is left may
    /// be deleted. Files that the newest metadata only remembers as deleted are not referred to where the format can tell.
    ///
    /// # Errors
    ///
    /// As [`Self::holdings`]: nothing may then be deleted.
    async fn spare(&self, candidates: &mut PlaceSet) -> Result<()> {
        let mut holdings = self.holdings();
        while let Some(holding) = holdings.next().await {
            candidates.remove(&holding?.location);
        }
        Ok(())
    }

    /// Schemas and partition specs that nothing refers to once `gone` are forgotten; none where the format keeps one of each.
    ///
    /// # Errors
    ///
    /// Those of reading what stays.
    async fn unused_rules(&self, _gone: &BTreeSet<Version>) -> Result<UnusedRules> {
        Ok(UnusedRules::default())
    }

    /// Looks for damage in the metadata itself, and in what only the format understands (delete files as a whole). Data files are not opened.
    /// What is damaged is told to `found` and does not end the check. Returns how many metadata and delete files were read.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer, `Unsupported` for what has to be understood to go on.
    async fn check(&self, _reach: Reach, _found: FindingSink<'_>) -> Result<u64> {
        Ok(0)
    }
}

fn no_stream<T: Send + 'static>(why: &'static str) -> BoxStream<'static, Result<T>> {
    futures::stream::once(async move { Err(Error::unsupported(why)) }).boxed()
}
