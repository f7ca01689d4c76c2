//! Compares two versions of a table file by file, in 16 bytes a file.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::model::{DataFile, Totals, Version, digest};
use crate::units::Bytes;

/// Files of one side of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: Bytes,
    /// Their live rows; `null` where the metadata does not say.
    pub rows: Option<u64>,
}

/// The `plan` of the document.
#[derive(Debug, Clone, Serialize)]
pub struct PlanDocument {
    /// The version that becomes current again.
    pub to: String,
    /// When it was made, as RFC 3339 has it.
    pub made: Option<String>,
    /// Whether the current version descends from it. If not, it lies on another line of history: a branch, or what an earlier restore left.
    pub is_ancestor: bool,
    /// Versions of the current line that are no longer part of it afterwards.
    pub versions_undone: u64,
    /// The table as it will be.
    pub result: Totals,
    /// Files that are live now and will not be.
    pub goes: Share,
    /// Files that are not live now and will be.
    pub comes_back: Share,
    /// Files that stay live.
    pub stays: u64,
    /// Whether the version has other columns, another partitioning or other properties than the table has now. Iceberg keeps those of the table.
    pub rules_differ: bool,
}

/// Sums of files and their rows.
#[derive(Debug, Clone, Copy)]
struct Sum {
    files: u64,
    bytes: Bytes,
    rows: Option<u64>,
}

impl Default for Sum {
    fn default() -> Self {
        Self { files: 0, bytes: Bytes(0), rows: Some(0) }
    }
}

impl Sum {
    fn add(&mut self, file: &DataFile, live_rows: Option<u64>) {
        self.files += 1;
        self.bytes = self.bytes.plus(file.size);
        self.rows = self.rows.zip(live_rows).map(|(sum, rows)| sum.saturating_add(rows));
    }

    fn less(self, other: Self) -> Share {
        Share {
            files: self.files.saturating_sub(other.files),
            bytes: Bytes(self.bytes.0.saturating_sub(other.bytes.0)),
            rows: self.rows.zip(other.rows).and_then(|(all, common)| all.checked_sub(common)),
        }
    }
}

/// What two versions have in common. First every file of the current one is told, then every file of the other.
#[derive(Debug, Default)]
pub struct Comparison {
    now: HashSet<[u8; 16]>,
    all_now: Sum,
    common: Sum,
    back: Sum,
}

impl Comparison {
    /// A file that is live now, with its live rows where they are known.
    pub fn now(&mut self, file: &DataFile, live_rows: Option<u64>) {
        self.all_now.add(file, live_rows);
        self.now.insert(identity(file));
    }

    /// A file of the other version. Returns whether it is one that comes back.
    pub fn then(&mut self, file: &DataFile, live_rows: Option<u64>) -> bool {
        if self.now.contains(&identity(file)) {
            self.common.add(file, live_rows);
            return false;
        }
        self.back.add(file, live_rows);
        true
    }

    /// Whether both versions have the same files with the same deletes.
    pub const fn is_same(&self) -> bool {
        self.back.files == 0 && self.common.files == self.all_now.files
    }

    /// Files that go.
    pub fn goes(&self) -> Share {
        self.all_now.less(self.common)
    }

    /// Files that come back.
    pub const fn comes_back(&self) -> Share {
        Share { files: self.back.files, bytes: self.back.bytes, rows: self.back.rows }
    }

    /// How many files stay.
    pub const fn stays(&self) -> u64 {
        self.common.files
    }
}

/// A file and the deletes that apply to it.
fn identity(file: &DataFile) -> [u8; 16] {
    let id = file.id();
    let place = id.location.to_string();
    let parts: Vec<&str> = std::iter::once(place.as_str()).chain(id.deletes.iter().map(String::as_str)).collect();
    digest(&parts)
}

/// The line of history that `head` stands on, newest first, as far as `parents` tell.
pub fn line(parents: &HashMap<Version, Option<Version>>, head: Version) -> Vec<Version> {
    let mut seen = HashSet::new();
    let mut line = Vec::new();
    let mut next = Some(head);
    // Damaged metadata may go round in circles.
    while let Some(at) = next.filter(|at| seen.insert(*at)) {
        line.push(at);
        next = parents.get(&at).copied().flatten();
    }
    line
}

/// Whether a table whose current version is `now` has `to` restored already, if the restore began when `base` was current: directly, or with
/// commits of others on top. These stand on `to`, and none of them is of the line of `base`.
pub fn is_restored(parents: &HashMap<Version, Option<Version>>, (base, to): (Version, Version), now: Version) -> bool {
    let before: HashSet<Version> = line(parents, base).into_iter().collect();
    let stands = line(parents, now);
    stands.contains(&to) && stands.into_iter().take_while(|version| *version != to).all(|version| !before.contains(&version))
}

/// How many versions of the line of `now` are not on that of `to`.
pub fn undone(parents: &HashMap<Version, Option<Version>>, now: Version, to: Version) -> u64 {
    let kept: HashSet<Version> = line(parents, to).into_iter().collect();
    line(parents, now).into_iter().take_while(|version| !kept.contains(version)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::model::{DeleteKind, DeleteRef, FileFormat};

    fn file(name: &str, deletes: &[&str]) -> DataFile {
        let delete = |key: &&str| DeleteRef { kind: DeleteKind::Positions, key: (*key).to_string(), rows: None };
        let place = Location::parse(&format!("/t/{name}")).unwrap();
        let deletes = deletes.iter().map(delete).collect();
        DataFile { rows: Some(7), deletes, ..DataFile::bare(place, FileFormat::Parquet, Bytes(10)) }
    }

    #[test]
    fn files_are_told_apart_by_place_and_deletes() {
        let mut comparison = Comparison::default();
        for (file, rows) in [(file("a", &[]), Some(7)), (file("b", &["d1"]), None), (file("c", &[]), Some(7))] {
            comparison.now(&file, rows);
        }
        assert!(!comparison.then(&file("a", &[]), Some(7)));
        assert!(comparison.then(&file("b", &[]), Some(7)));
        assert!(comparison.then(&file("old", &[]), Some(7)));
        assert_eq!(comparison.goes(), Share { files: 2, bytes: Bytes(20), rows: None });
        assert_eq!(comparison.comes_back(), Share { files: 2, bytes: Bytes(20), rows: Some(14) });
        assert_eq!((comparison.stays(), comparison.is_same()), (1, false));
    }

    #[test]
    fn the_same_files_are_nothing_to_restore() {
        let mut comparison = Comparison::default();
        comparison.now(&file("a", &["x", "y"]), None);
        assert!(!comparison.is_same());
        assert!(!comparison.then(&file("a", &["y", "x"]), None));
        assert!(comparison.is_same());
    }

    /// 1 ← 2 ← 3 ← 5, 2 ← 8, 3 ← 9.
    fn parents() -> HashMap<Version, Option<Version>> {
        let pairs = [(1, None), (2, Some(1)), (3, Some(2)), (5, Some(3)), (8, Some(2)), (9, Some(3))];
        pairs.map(|(version, parent)| (Version(version), parent.map(Version))).into()
    }

    #[test]
    fn a_restore_is_recognised_under_commits_that_came_after_it() {
        let restored = |base: i64, to: i64, now: i64| is_restored(&parents(), (Version(base), Version(to)), Version(now));
        // Back from 5 to 2: 8 was committed on top of 2; 9 was not.
        assert_eq!([5, 2, 8, 9].map(|now| restored(5, 2, now)), [false, true, true, false]);
        // Forward from 2 to 3: 9 stands on 3; 8 on 2 alone.
        assert_eq!([2, 3, 9, 8].map(|now| restored(2, 3, now)), [false, true, true, false]);
        // From one line to another.
        assert_eq!([5, 8, 9].map(|now| restored(5, 8, now)), [false, true, false]);
    }

    #[test]
    fn what_is_undone_is_counted_along_the_line() {
        let count = |now: i64, to: i64| undone(&parents(), Version(now), Version(to));
        assert_eq!([count(5, 2), count(5, 8), count(2, 5), count(5, 5)], [2, 2, 0, 0]);
    }

    #[test]
    fn a_line_that_goes_round_ends() {
        let round = [(1, Some(2)), (2, Some(1))].map(|(version, parent)| (Version(version), parent.map(Version))).into();
        assert_eq!(line(&round, Version(1)), [Version(1), Version(2)]);
    }
}
