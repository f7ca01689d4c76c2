//! Replaying the log, newest first (protocol, "Action Reconciliation").

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt, TryStreamExt};

use super::actions::{Domain, FileKey, Metadata, Protocol, Remove, Transaction, Vector};
use super::compacted::Piece;
use super::lines::{self, Action, CommitInfo};
use super::live::LiveFiles;
use super::log::{self, Checkpoint, Listing};
use super::{checkpoint_read, path, schema::Mapping};
use crate::error::{Error, Result};
use crate::location::Location;
use crate::store::Store;

/// How many commits are fetched ahead.
const AHEAD: usize = 8;

/// What a state keeps of that which is large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Everything: for what is written down again.
    All,
    /// Not the files that are gone.
    Live,
    /// Neither these nor the statistics of columns.
    Counts,
}

/// The state of a table at a version.
#[derive(Debug)]
pub(super) struct State {
    pub(super) version: i64,
    pub(super) protocol: Protocol,
    pub(super) metadata: Metadata,
    pub(super) files: LiveFiles,
    pub(super) transactions: BTreeMap<String, Transaction>,
    pub(super) domains: BTreeMap<String, Domain>,
    /// Files that are gone, where they were asked for.
    pub(super) tombstones: Vec<Remove>,
    /// What the version's own commit says of itself, where its commit is still there.
    pub(super) commit_info: Option<CommitInfo>,
    /// The newest commit after `start` that changed schema, properties or protocol.
    pub(super) rules_changed: Option<i64>,
    /// The checkpoint the replay began with.
    pub(super) start: Option<i64>,
}

impl State {
    /// The column mapping that counts.
    pub(super) fn mapping(&self) -> Result<Mapping> {
        let mode = self.metadata.configuration.text("delta.columnMapping.mode").filter(|_| self.protocol.has_column_mapping());
        match mode {
            None | Some("none") => Ok(Mapping::None),
            Some("name") => Ok(Mapping::Name),
            Some("id") => Ok(Mapping::Id),
            Some(other) => Err(Error::unsupported("the column mapping mode is unknown").about("mode", other)),
        }
    }
}

/// Rebuilds `version` from `start` (the empty table if `None`) and the commits after it.
///
/// # Errors
///
/// `Corrupt`, naming the damaged file; `Unavailable` if storage did not answer.
pub(super) async fn replay(
    store: &Store,
    root: &Location,
    listing: &Listing,
    start: Option<&Checkpoint>,
    version: i64,
    keep: Keep,
) -> Result<State> {
    let from = start.map_or(-1, |checkpoint| checkpoint.version);
    let commits: Vec<Piece> = (from + 1..=version).rev().map(Piece::commit).collect();
    replay_pieces(store, root, listing, start, commits, (version, keep)).await
}

/// Rebuilds `version` from `start` and `pieces`, newest first, which hold every commit after it.
///
/// # Errors
///
/// As [`replay`].
pub(super) async fn replay_pieces(
    store: &Store,
    root: &Location,
    listing: &Listing,
    start: Option<&Checkpoint>,
    pieces: Vec<Piece>,
    (version, keep): (i64, Keep),
) -> Result<State> {
    let mut replay = Replay::new(root, keep);
    // Checkpoints and sums leave out what commits say of themselves.
    let is_left_out = pieces.first().is_none_or(|newest| newest.is_sum());
    let reads = pieces.into_iter().map(|piece| async move {
        let file = piece.file(root);
        Ok::<_, Error>((piece, store.pieces(&file).await?, file))
    });
    let mut reads = futures::stream::iter(reads).buffered(AHEAD);
    while let Some((piece, bytes, file)) = reads.try_next().await? {
        // Of a sum only its last commit is known: what changed in it changed then, or before.
        replay.commit = Some(piece.to);
        replay.in_sum = piece.is_sum().then(HashSet::new);
        lines::read_pieces(bytes, &file, |action| replay.take(action).map_err(|error| error.about("file", &file))).await?;
        replay.end_of_commit();
    }
    replay.take_start(store, start).await?;
    if is_left_out {
        replay.own_info(store, listing, version).await?;
    }
    replay.finish(version, start.map(|checkpoint| checkpoint.version))
}

/// `version` as `start` and `text`, the sum of every commit after it, lead to it, counts alone.
///
/// # Errors
///
/// As [`replay`]; `file` is how the sum is named in them.
pub(super) async fn replay_sum(
    store: &Store,
    listing: &Listing,
    start: Option<&Checkpoint>,
    (text, file): (&[u8], &Location),
    (version, root): (i64, &Location),
) -> Result<State> {
    let mut replay = Replay::new(root, Keep::Counts);
    replay.commit = Some(version);
    replay.in_sum = Some(HashSet::new());
    lines::read(text, file, |action| replay.take(action))?;
    replay.end_of_commit();
    replay.take_start(store, start).await?;
    replay.own_info(store, listing, version).await?;
    replay.finish(version, start.map(|checkpoint| checkpoint.version))
}

/// The commit info of commit `version`; `None` if the commit is gone.
///
/// # Errors
///
/// `Corrupt` for a damaged commit, `Unavailable` if storage did not answer.
pub(super) async fn read_commit_info(store: &Store, root: &Location, version: i64) -> Result<Option<CommitInfo>> {
    let file = log::commit_file(root, version);
    let Some(pieces) = store.pieces_if_exists(&file).await? else { return Ok(None) };
    let mut found = CommitInfo::default();
    let take = |action| {
        if let Action::CommitInfo(info) = action {
            found = info;
        }
        Ok(())
    };
    lines::read_pieces(pieces, &file, take).await?;
    Ok(Some(found))
}

struct Replay<'a> {
    root: &'a Location,
    /// The commit being read; `None` while a checkpoint is.
    commit: Option<i64>,
    /// Files that newer entries have decided.
    seen: HashSet<FileKey>,
    /// Files that the commit being read removes: they count only after its own adds.
    removed: Vec<FileKey>,
    /// The files that the sum of commits being read names; `None` while a commit or a checkpoint is.
    in_sum: Option<HashSet<FileKey>>,
    protocol: Option<Protocol>,
    metadata: Option<Metadata>,
    files: LiveFiles,
    transactions: BTreeMap<String, Transaction>,
    domains: BTreeMap<String, Domain>,
    tombstones: Option<Vec<Remove>>,
    infos: BTreeMap<i64, CommitInfo>,
    rules_changed: Option<i64>,
}

impl<'a> Replay<'a> {
    fn new(root: &'a Location, keep: Keep) -> Self {
        Self {
            root,
            commit: None,
            seen: HashSet::new(),
            removed: Vec::new(),
            in_sum: None,
            protocol: None,
            metadata: None,
            files: LiveFiles::new(keep != Keep::Counts),
            transactions: BTreeMap::new(),
            domains: BTreeMap::new(),
            tombstones: (keep == Keep::All).then(Vec::new),
            infos: BTreeMap::new(),
            rules_changed: None,
        }
    }

    fn take(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Add(add) => {
                let place = path::resolve(self.root, &add.path)?;
                let key = FileKey::new(&place, add.deletion_vector.as_deref().map(Vector::id).as_deref());
                self.once_in_a_sum(key)?;
                if self.seen.insert(key) {
                    self.files.push(*add, place)?;
                }
            }
            Action::Remove(remove) => self.take_remove(*remove)?,
            Action::Metadata(metadata) => {
                self.note_rules();
                self.metadata.get_or_insert(*metadata);
            }
            Action::Protocol(protocol) => {
                self.note_rules();
                self.protocol.get_or_insert(protocol);
            }
            Action::Transaction(txn) => {
                self.transactions.entry(txn.app_id.clone()).or_insert(txn);
            }
            Action::Domain(domain) => {
                self.domains.entry(domain.domain.clone()).or_insert(domain);
            }
            Action::CommitInfo(info) => {
                if let Some(version) = self.commit {
                    self.infos.entry(version).or_insert(info);
                }
            }
            Action::Sidecar(_) | Action::Change(_) => {}
        }
        Ok(())
    }

    fn take_remove(&mut self, remove: Remove) -> Result<()> {
        let key = FileKey::of(self.root, &remove.path, remove.deletion_vector.as_deref())?;
        self.once_in_a_sum(key)?;
        if self.commit.is_some() {
            self.removed.push(key);
        }
        if let Some(tombstones) = &mut self.tombstones
            && !self.seen.contains(&key)
        {
            tombstones.push(remove);
            // A checkpoint names a file once; in commits the newest entry decides.
            if self.commit.is_none() {
                self.seen.insert(key);
            }
        }
        Ok(())
    }

    /// Some writers put what commits say one after the other into a sum; which word on a file counts cannot be told then.
    fn once_in_a_sum(&mut self, key: FileKey) -> Result<()> {
        match self.in_sum.as_mut().is_none_or(|named| named.insert(key)) {
            true => Ok(()),
            false => Err(Error::corrupt("a sum of commits says two things of one file")),
        }
    }

    fn end_of_commit(&mut self) {
        self.in_sum = None;
        self.seen.extend(self.removed.drain(..));
    }

    async fn take_start(&mut self, store: &Store, start: Option<&Checkpoint>) -> Result<()> {
        let Some(checkpoint) = start else { return Ok(()) };
        self.commit = None;
        let root = self.root;
        checkpoint_read::read(store, root, checkpoint, &mut |action| self.take(action)).await?;
        self.end_of_commit();
        Ok(())
    }

    /// What the commit `version` says of itself, where it was not read.
    async fn own_info(&mut self, store: &Store, listing: &Listing, version: i64) -> Result<()> {
        if listing.commit(version).is_some() {
            self.infos.insert(version, read_commit_info(store, self.root, version).await?.unwrap_or_default());
        }
        Ok(())
    }

    fn note_rules(&mut self) {
        self.rules_changed = self.rules_changed.max(self.commit);
    }

    fn finish(mut self, version: i64, start: Option<i64>) -> Result<State> {
        let missing = |what: &'static str| Error::corrupt("the log says nothing of the table's rules").about("missing", what);
        self.domains.retain(|_, domain| !domain.removed);
        Ok(State {
            version,
            protocol: self.protocol.ok_or_else(|| missing("protocol"))?,
            metadata: self.metadata.ok_or_else(|| missing("metaData"))?,
            files: self.files,
            transactions: self.transactions,
            domains: self.domains,
            tombstones: self.tombstones.unwrap_or_default(),
            commit_info: self.infos.remove(&version),
            rules_changed: self.rules_changed,
            start,
        })
    }
}
