//! Sums of commits: what several commits in a row come to, in one file that readers may read in their place (protocol, "Log Compaction Files").
//!
//! A sum holds the newest word of its commits on every file, rule, transaction and domain, removals included, each line as its commit has it.
//! Commits stay where they are: whoever wants to know who did what reads those.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::value::RawValue;

use super::actions::{Domain, FileKey, Transaction, Vector};
use super::log::{self, Listing};
use super::reach::AHEAD;
use super::replay::{self, Keep};
use super::version::DeltaVersion;
use super::{check, forget};
use crate::commit::Answer;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::model::Version;
use crate::store::{Put, Store};

/// A file of the log that a replay reads: a commit, or a sum of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The first commit in it.
    pub(super) from: i64,
    /// The last one.
    pub(super) to: i64,
}

impl Piece {
    /// The commit `version` itself.
    pub(super) const fn commit(version: i64) -> Self {
        Self { from: version, to: version }
    }

    /// Whether it stands for more than one commit.
    pub(super) const fn is_sum(self) -> bool {
        self.from < self.to
    }

    /// Where it lies in a table at `root`.
    pub(super) fn file(self, root: &Location) -> Location {
        if self.is_sum() { log::compacted_file(root, self.from, self.to) } else { log::commit_file(root, self.to) }
    }
}

/// The fewest pieces that hold the commits after `since` up to `to`, newest first: at each place the sum that reaches back farthest.
pub(super) fn pieces(listing: &Listing, since: i64, to: i64) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut next = to;
    while next > since {
        let piece = listing.sum_up_to(next, since).map_or(Piece::commit(next), |from| Piece { from, to: next });
        next = piece.from.saturating_sub(1);
        found.push(piece);
    }
    found
}

/// Sums up the commits after the newest checkpoint of `newest`.
pub(super) async fn offer(newest: &DeltaVersion) -> Answer {
    let done = Answer::Ours(Version(newest.state().version));
    match prepare(newest).await {
        Ok(Prepared::Outdated) => Answer::Taken,
        Ok(Prepared::Done) => done,
        Ok(Prepared::Sum { file, text }) => match put(newest.store(), &file, text).await {
            Ok(()) => done,
            Err(answer) => answer,
        },
        Err(error) => Answer::Rejected(error),
    }
}

/// What there is to write.
enum Prepared {
    /// Others have committed since.
    Outdated,
    Done,
    Sum {
        file: Location,
        text: Bytes,
    },
}

/// The sum, held against the commits that it stands for before anybody can read it.
async fn prepare(newest: &DeltaVersion) -> Result<Prepared> {
    newest.state().protocol.check_rewritable()?;
    let (version, root, store) = (newest.state().version, newest.root(), newest.store());
    let listing = Listing::read(store, root, None).await?;
    if listing.latest().is_some_and(|latest| latest > version) {
        return Ok(Prepared::Outdated);
    }
    let prepared = sum_up(newest, &listing).await;
    listing.or_outdated(store, root, prepared, Prepared::Outdated).await
}

async fn sum_up(newest: &DeltaVersion, listing: &Listing) -> Result<Prepared> {
    let (version, root, store) = (newest.state().version, newest.root(), newest.store());
    let start = listing.starts(version).first().copied().ok_or_else(|| listing.gap(root, version))?;
    let since = start.map_or(-1, |checkpoint| checkpoint.version);
    if pieces(listing, since, version).len() < 2 {
        return Ok(Prepared::Done);
    }
    let sum = Piece { from: since.saturating_add(1), to: version };
    let (file, text) = (sum.file(root), text(newest, sum).await?);
    let commits = replay::replay(store, root, listing, start, version, Keep::Counts).await?;
    let back = replay::replay_sum(store, listing, start, (&text, &file), (version, root)).await;
    let same = back.and_then(|back| {
        forget::agree(&back, &commits)?;
        forget::same_files(&back, &commits)
    });
    match same {
        Ok(()) => Ok(Prepared::Sum { file, text: text.into() }),
        Err(error) if check::is_damage(&error) => {
            Err(Error::bug("a sum of commits says something else than they do; it was not written").because(error))
        }
        Err(error) => Err(error),
    }
}

/// Writes the sum and reads it back. What storage keeps silent about may be there.
async fn put(store: &Store, file: &Location, text: Bytes) -> Result<(), Answer> {
    let written = store.put_if_absent(file, text.clone()).await;
    match (written, store.get_if_exists(file).await) {
        // What another wrote of the same commits meanwhile stays.
        (Ok(Put::Exists), _) => Ok(()),
        (_, Ok(Some(back))) if back == text => Ok(()),
        (Ok(Put::Created), Ok(Some(_))) => {
            // Readers would take it for the truth.
            store.delete(file).await.map_err(Answer::Silence)?;
            Err(Answer::Rejected(Error::bug("a sum of commits was read back other than it was written; it was removed again")))
        }
        (Ok(Put::Created), _) => Ok(()),
        (Err(error), Ok(None)) => Err(Answer::Rejected(error)),
        (Err(error), _) => Err(Answer::Silence(error)),
    }
}

/// The lines of the sum of the commits of `sum`.
async fn text(newest: &DeltaVersion, sum: Piece) -> Result<Vec<u8>> {
    let mut lines = Sum { root: newest.root(), files: HashSet::new(), others: HashSet::new(), rules: Vec::new(), actions: Vec::new() };
    let reads = stream::iter((sum.from..=sum.to).rev()).map(|version| async move {
        let file = log::commit_file(newest.root(), version);
        Ok::<_, Error>((newest.store().get(&file).await?, file))
    });
    let mut reads = reads.buffered(AHEAD);
    while let Some((bytes, file)) = reads.try_next().await? {
        lines.commit(&bytes).map_err(|error| error.about("file", &file))?;
    }
    lines.rules.append(&mut lines.actions);
    Ok(lines.rules)
}

/// What names a file in an add or a remove.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    path: String,
    #[serde(default)]
    deletion_vector: Option<Vector>,
}

/// Lines of commits, newest first, of which the newest on anything is kept.
struct Sum<'a> {
    root: &'a Location,
    files: HashSet<FileKey>,
    /// Rules, transactions and domains that newer lines have decided.
    others: HashSet<(&'static str, String)>,
    rules: Vec<u8>,
    actions: Vec<u8>,
}

impl Sum<'_> {
    fn commit(&mut self, bytes: &[u8]) -> Result<()> {
        let mut removes = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace)) {
            let members: BTreeMap<String, &RawValue> = serde_json::from_slice(line).map_err(|_| damaged())?;
            for (name, action) in members.into_iter().filter(|(_, action)| action.get() != "null") {
                match name.as_str() {
                    "add" => {
                        if self.files.insert(self.key(action)?) {
                            push(&mut self.actions, &name, action);
                        }
                    }
                    "remove" => removes.push((self.key(action)?, action)),
                    "metaData" => self.rule("metaData", String::new(), action),
                    "protocol" => self.rule("protocol", String::new(), action),
                    "txn" => self.rule("txn", parsed::<Transaction>(action)?.app_id, action),
                    "domainMetadata" => self.rule("domainMetadata", parsed::<Domain>(action)?.domain, action),
                    // Who did it, and what changed from one version to the next, is in the commits alone.
                    "commitInfo" | "cdc" => {}
                    _ => return Err(Error::unsupported("commits cannot be summed up: an action is not understood").about("action", name)),
                }
            }
        }
        // A commit that removes and adds one file adds it.
        for (key, action) in removes {
            if self.files.insert(key) {
                push(&mut self.actions, "remove", action);
            }
        }
        Ok(())
    }

    fn key(&self, action: &RawValue) -> Result<FileKey> {
        let named: Named = parsed(action)?;
        FileKey::of(self.root, &named.path, named.deletion_vector.as_ref())
    }

    fn rule(&mut self, name: &'static str, of: String, action: &RawValue) {
        if self.others.insert((name, of)) {
            push(&mut self.rules, name, action);
        }
    }
}

fn push(lines: &mut Vec<u8>, name: &str, action: &RawValue) {
    lines.extend(format!("{{\"{name}\":").into_bytes());
    lines.extend_from_slice(action.get().as_bytes());
    lines.extend_from_slice(b"}\n");
}

/// The parser's own words are left out: they may quote values.
fn parsed<T: serde::de::DeserializeOwned>(action: &RawValue) -> Result<T> {
    serde_json::from_str(action.get()).map_err(|_| damaged())
}

fn damaged() -> Error {
    Error::corrupt("log entry is damaged").hint("otf fsck TABLE tells more; nothing was changed")
}
