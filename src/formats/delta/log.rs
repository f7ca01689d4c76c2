//! What lies in `_delta_log`: commits, checkpoints, and where a replay may start (protocol, "Delta Log Entries", "Checkpoints").

use std::collections::BTreeMap;
use std::ops::Bound;

use futures::TryStreamExt;

use super::compacted::Piece;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{Meta, Store};

/// The folder of the log in a table at `root`.
pub(super) fn folder(root: &Location) -> Location {
    root.child("_delta_log")
}

/// The file of commit `version`.
pub(super) fn commit_file(root: &Location, version: i64) -> Location {
    folder(root).child(&format!("{version:020}.json"))
}

/// The file of the classic checkpoint of `version`.
pub(super) fn checkpoint_file(root: &Location, version: i64) -> Location {
    folder(root).child(&format!("{version:020}.checkpoint.parquet"))
}

/// The checksum of `version`.
pub(super) fn checksum_file(root: &Location, version: i64) -> Location {
    folder(root).child(&format!("{version:020}.crc"))
}

/// The sum of the commits `from` to `to`.
pub(super) fn compacted_file(root: &Location, from: i64, to: i64) -> Location {
    folder(root).child(&format!("{from:020}.{to:020}.compacted.json"))
}

/// The hint that names a recent checkpoint.
pub(super) fn hint_file(root: &Location) -> Location {
    folder(root).child("_last_checkpoint")
}

#[derive(serde::Deserialize)]
struct Hint {
    version: i64,
}

/// The version that the hint `text` names; `None` for one that cannot be understood.
pub(super) fn hinted(text: &[u8]) -> Option<i64> {
    serde_json::from_slice::<Hint>(text).ok().map(|hint| hint.version).filter(|version| *version >= 0)
}

/// A complete checkpoint: its version and its files.
#[derive(Debug, Clone)]
pub(super) struct Checkpoint {
    pub(super) version: i64,
    pub(super) files: Vec<Meta>,
}

/// The commits and complete checkpoints that a listing found.
#[derive(Debug, Default)]
pub(super) struct Listing {
    commits: BTreeMap<i64, Meta>,
    checkpoints: BTreeMap<i64, Checkpoint>,
    /// Sums of commits: last and first.
    sums: BTreeMap<(i64, i64), Meta>,
    /// Whether nothing older was left out.
    pub(super) whole: bool,
    /// Versions with a checkpoint in parts of which some are missing.
    pub(super) incomplete: Vec<i64>,
}

/// What a name in the log folder is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Commit(i64),
    Checkpoint(i64),
    Part { version: i64, part: u32, parts: u32 },
    Compacted { from: i64, to: i64 },
}

impl Listing {
    /// Lists the log; with `from`, only what belongs to that version and later ones.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub(super) async fn read(store: &Store, root: &Location, from: Option<i64>) -> Result<Self> {
        let folder = folder(root);
        let mut found = match from {
            Some(version) => store.list_after(&folder, &format!("{version:020}")),
            None => store.list(&folder),
        };
        let mut listing = Self { whole: from.is_none(), ..Self::default() };
        let mut parts: BTreeMap<(i64, u32), BTreeMap<u32, Meta>> = BTreeMap::new();
        while let Some(meta) = found.try_next().await? {
            let entry = meta.location.relative_to(&folder).and_then(classify);
            match entry {
                Some(Entry::Commit(version)) => {
                    listing.commits.insert(version, meta);
                }
                Some(Entry::Checkpoint(version)) => listing.add_checkpoint(version, vec![meta]),
                Some(Entry::Compacted { from, to }) => {
                    listing.sums.insert((to, from), meta);
                }
                Some(Entry::Part { version, part, parts: total }) => {
                    parts.entry((version, total)).or_default().insert(part, meta);
                }
                None => {}
            }
        }
        for ((version, total), files) in parts {
            if u32::try_from(files.len()) == Ok(total) {
                listing.add_checkpoint(version, files.into_values().collect());
            } else {
                listing.incomplete.push(version);
            }
        }
        if let Some(from) = from {
            // Storage that cannot seek lists everything: what is older has no place in a partial listing.
            listing.commits.retain(|version, _| *version >= from);
            listing.checkpoints.retain(|version, _| *version >= from);
        }
        Ok(listing)
    }

    /// Any complete checkpoint of a version is as good as another; a file of one piece is preferred.
    fn add_checkpoint(&mut self, version: i64, files: Vec<Meta>) {
        let known = self.checkpoints.get(&version);
        if known.is_none_or(|known| known.files.len() > files.len()) {
            self.checkpoints.insert(version, Checkpoint { version, files });
        }
    }

    /// The newest version.
    pub(super) fn latest(&self) -> Option<i64> {
        let commit = self.commits.last_key_value().map(|(version, _)| *version);
        commit.max(self.checkpoints.last_key_value().map(|(version, _)| *version))
    }

    /// The earliest version that can be rebuilt.
    pub(super) fn earliest(&self) -> Option<i64> {
        let first = self.commits.first_key_value().map(|(version, _)| *version).filter(|version| *version == 0);
        first.or_else(|| self.checkpoints.first_key_value().map(|(version, _)| *version))
    }

    /// The versions from `since` on that have a commit, oldest first.
    pub(super) fn commits_from(&self, since: i64) -> impl Iterator<Item = i64> + '_ {
        self.commits.range(since..).map(|(version, _)| *version)
    }

    /// The commit file of `version`, where there is one.
    pub(super) fn commit(&self, version: i64) -> Option<&Meta> {
        self.commits.get(&version)
    }

    /// What came of work that went by this listing: `outdated` instead of an error where what was listed is gone by now.
    ///
    /// # Errors
    ///
    /// Those of `done`, and of [`Self::read`].
    pub(super) async fn or_outdated<T>(&self, store: &Store, root: &Location, done: Result<T>, outdated: T) -> Result<T> {
        match done {
            Err(error) if error.kind() != Kind::Unavailable && self.is_outdated(store, root).await? => Ok(outdated),
            done => done,
        }
    }

    /// Whether a commit or checkpoint of this listing is gone by now: somebody cleans the log up, and what was listed says nothing of what is left.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub(super) async fn is_outdated(&self, store: &Store, root: &Location) -> Result<bool> {
        let now = Self::read(store, root, None).await?;
        let is_gone = self.commits.keys().any(|version| !now.commits.contains_key(version));
        Ok(is_gone || self.checkpoints.keys().any(|version| !now.checkpoints.contains_key(version)))
    }

    /// Whether a complete checkpoint of `version` is there.
    pub(super) fn has_checkpoint(&self, version: i64) -> bool {
        self.checkpoints.contains_key(&version)
    }

    /// The first version after `version` that has a commit or a complete checkpoint.
    pub(super) fn next_after(&self, version: i64) -> Option<i64> {
        let after = (Bound::Excluded(version), Bound::Unbounded);
        let commit = self.commits.range(after).next().map(|(version, _)| *version);
        let checkpoint = self.checkpoints.range(after).next().map(|(version, _)| *version);
        commit.into_iter().chain(checkpoint).min()
    }

    /// The complete checkpoints, oldest first.
    pub(super) fn checkpoints(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.values()
    }

    /// Whether every commit from `from` to `to` is there; so it is where there is none between them.
    pub(super) fn is_whole(&self, from: i64, to: i64) -> bool {
        let wanted = i128::from(to) - i128::from(from) + 1;
        wanted <= 0 || i128::try_from(self.commits.range(from..=to).count()) == Ok(wanted)
    }

    /// Where the sum of commits begins that ends with `to`, begins after `since` and holds most.
    pub(super) fn sum_up_to(&self, to: i64, since: i64) -> Option<i64> {
        self.sums.range((to, since.saturating_add(1))..(to, to)).next().map(|((_, from), _)| *from)
    }

    /// The file that `piece` is.
    pub(super) fn piece(&self, piece: Piece) -> Option<&Meta> {
        if piece.is_sum() { self.sums.get(&(piece.to, piece.from)) } else { self.commits.get(&piece.to) }
    }

    /// How many versions have a commit.
    pub(super) fn versions(&self) -> u64 {
        self.commits.len() as u64
    }

    /// The commits in the listing that are newer than `since` and not newer than `version`, newest first.
    pub(super) fn commits_between(&self, since: i64, version: i64) -> Vec<i64> {
        self.commits.keys().rev().copied().filter(|v| *v > since && *v <= version).collect()
    }

    /// The checkpoints from which `version` can be rebuilt because every commit after them is there, newest first; the last one is `None`, the
    /// empty table, where the log goes back to its beginning.
    pub(super) fn starts(&self, version: i64) -> Vec<Option<&Checkpoint>> {
        // The oldest version that commits lead back to from `version` without a gap.
        let mut oldest = version;
        while oldest >= 0 && self.commits.contains_key(&oldest) {
            oldest -= 1;
        }
        let checkpoints = self.checkpoints.values().rev().filter(|c| c.version <= version && c.version >= oldest);
        let mut starts: Vec<_> = checkpoints.map(Some).collect();
        if oldest < 0 {
            starts.push(None);
        }
        starts
    }

    /// Why `version` cannot be rebuilt.
    pub(super) fn gap(&self, root: &Location, version: i64) -> Error {
        let mut missing = version;
        while missing > 0 && self.commits.contains_key(&missing) {
            missing -= 1;
        }
        Error::corrupt("the log has a gap and no checkpoint after it")
            .about("table", root)
            .about("version", version)
            .about("missing", missing)
            .hint("restore the missing commit or a checkpoint after it from a backup; nothing was changed")
    }
}

/// What `name` in the log folder is, if it is a commit or belongs to a checkpoint.
pub(super) fn classify(name: &str) -> Option<Entry> {
    let (digits, rest) = name.split_once('.')?;
    let version = number(digits, 20)?;
    match rest.split('.').collect::<Vec<_>>()[..] {
        ["json"] => Some(Entry::Commit(version)),
        ["checkpoint", "parquet"] => Some(Entry::Checkpoint(version)),
        ["checkpoint", id, "json" | "parquet"] if is_uuid(id) => Some(Entry::Checkpoint(version)),
        ["checkpoint", part, parts, "parquet"] => {
            let part = u32::try_from(number(part, 10)?).ok()?;
            let parts = u32::try_from(number(parts, 10)?).ok()?;
            (part >= 1 && part <= parts).then_some(Entry::Part { version, part, parts })
        }
        [last, "compacted", "json"] => {
            let to = number(last, 20)?;
            (version < to).then_some(Entry::Compacted { from: version, to })
        }
        _ => None,
    }
}

/// The number that exactly `width` digits say. The last one there is counts as none: nothing can follow it.
pub(super) fn number(digits: &str, width: usize) -> Option<i64> {
    let number = (digits.len() == width && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse::<i64>().ok()).flatten();
    number.filter(|number| *number < i64::MAX)
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    fn listing(commits: &[i64], checkpoints: &[i64]) -> Listing {
        let meta = || Meta { location: Location::parse("/t").unwrap(), size: 0, modified: Timestamp(0) };
        let mut listing = Listing::default();
        for version in commits {
            listing.commits.insert(*version, meta());
        }
        for version in checkpoints {
            listing.add_checkpoint(*version, vec![meta()]);
        }
        listing
    }

    fn starts(listing: &Listing, version: i64) -> Vec<Option<i64>> {
        listing.starts(version).into_iter().map(|start| start.map(|c| c.version)).collect()
    }

    #[test]
    fn names_of_the_log_are_told_apart() {
        let v = "00000000000000000012";
        assert_eq!(classify(&format!("{v}.json")), Some(Entry::Commit(12)));
        assert_eq!(classify(&format!("{v}.checkpoint.parquet")), Some(Entry::Checkpoint(12)));
        let uuid = "80a083e8-7026-4e79-81be-64bd76c43a11";
        assert_eq!(classify(&format!("{v}.checkpoint.{uuid}.json")), Some(Entry::Checkpoint(12)));
        let sum = classify(&format!("{v}.00000000000000000014.compacted.json"));
        assert_eq!(sum, Some(Entry::Compacted { from: 12, to: 14 }));
        let part = classify(&format!("{v}.checkpoint.0000000002.0000000003.parquet"));
        assert_eq!(part, Some(Entry::Part { version: 12, part: 2, parts: 3 }));
        for other in [
            ".crc",
            ".00000000000000000012.compacted.json",
            ".14.compacted.json",
            ".json.tmp",
            ".checkpoint.x.json",
            ".checkpoint.0000000000.0000000003.parquet",
        ] {
            assert_eq!(classify(&format!("{v}{other}")), None, "{other}");
        }
        assert_eq!(classify("99999999999999999999.json"), None);
        assert_eq!(classify("09223372036854775807.checkpoint.parquet"), None, "no version can follow it");
        assert_eq!(classify("09223372036854775806.json"), Some(Entry::Commit(i64::MAX - 1)));
        assert_eq!(classify("_sidecars/x.parquet"), None);
    }

    #[test]
    fn a_replay_starts_where_no_commit_is_missing_after() {
        assert_eq!(starts(&listing(&[0, 1, 2], &[]), 2), [None]);
        assert_eq!(starts(&listing(&[0, 1, 2, 3], &[1, 2]), 3), [Some(2), Some(1), None]);
        assert_eq!(starts(&listing(&[3, 4], &[2]), 4), [Some(2)]);
        assert_eq!(starts(&listing(&[0, 1, 3], &[1]), 3), []);
        assert_eq!(starts(&listing(&[], &[5]), 5), [Some(5)]);
        assert_eq!(starts(&listing(&[1, 2], &[]), 2), []);
    }
}
