//! Everything that lies in `_delta_log`, by what it is (protocol, "Delta Table Specification").

use futures::TryStreamExt;
use futures::stream::BoxStream;
use futures::{StreamExt, future};

use super::log::{self, Entry};
use crate::error::Result;
use crate::location::Location;
use crate::model::{FileKind, Holding};
use crate::store::{Meta, Store};
use crate::units::Bytes;

const SIDECARS: &str = "_sidecars/";
const STAGED: &str = "_staged_commits/";

/// A file of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFile {
    /// The commit of this version.
    Commit(i64),
    /// The checksum of this version.
    Checksum(i64),
    /// The sum of the commits from this version on.
    Compacted(i64),
    /// A checkpoint of this version, or a part of one.
    Checkpoint(i64),
    /// File actions of a checkpoint, or of several.
    Sidecar,
    /// A commit that was proposed for this version.
    Staged(i64),
    /// The hint that names a recent checkpoint.
    Hint,
}

impl LogFile {
    /// What `relative`, the path in the log folder, is; `None` for what is none of the protocol's files.
    pub(super) fn of(relative: &str) -> Option<Self> {
        let plain = |name: &str, ending: &str| name.ends_with(ending) && !name.contains('/');
        if let Some(name) = relative.strip_prefix(SIDECARS) {
            return plain(name, ".parquet").then_some(Self::Sidecar);
        }
        if let Some(name) = relative.strip_prefix(STAGED) {
            return version_of(name).filter(|_| plain(name, ".json")).map(Self::Staged);
        }
        if relative == "_last_checkpoint" {
            return Some(Self::Hint);
        }
        match log::classify(relative) {
            Some(Entry::Commit(version)) => Some(Self::Commit(version)),
            Some(Entry::Checkpoint(version) | Entry::Part { version, .. }) => Some(Self::Checkpoint(version)),
            Some(Entry::Compacted { from, .. }) => Some(Self::Compacted(from)),
            None => {
                let (first, rest) = relative.split_once('.')?;
                log::number(first, 20).filter(|_| rest == "crc").map(Self::Checksum)
            }
        }
    }

    /// What it is to the table.
    pub(super) const fn kind(self) -> FileKind {
        match self {
            Self::Checkpoint(_) | Self::Sidecar => FileKind::Checkpoints,
            _ => FileKind::Log,
        }
    }
}

fn version_of(name: &str) -> Option<i64> {
    log::number(name.split_once('.')?.0, 20)
}

/// Every file of the log of the table at `root`.
pub(super) fn all(store: &Store, root: &Location) -> BoxStream<'static, Result<(LogFile, Meta)>> {
    let folder = log::folder(root);
    let found = store.list(&folder);
    found
        .try_filter_map(move |meta| {
            let file = meta.location.relative_to(&folder).and_then(LogFile::of);
            future::ready(Ok(file.map(|file| (file, meta))))
        })
        .boxed()
}

/// `file` of a listing as something that the table holds.
pub(super) fn holding(file: LogFile, meta: Meta) -> Holding {
    Holding { kind: file.kind(), size: Some(Bytes(meta.size)), location: meta.location }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_log_is_known_by_its_name_and_nothing_else_is() {
        let v = "00000000000000000012";
        let uuid = "80a083e8-7026-4e79-81be-64bd76c43a11";
        let known = [
            (format!("{v}.json"), LogFile::Commit(12)),
            (format!("{v}.crc"), LogFile::Checksum(12)),
            (format!("{v}.00000000000000000014.compacted.json"), LogFile::Compacted(12)),
            (format!("{v}.checkpoint.parquet"), LogFile::Checkpoint(12)),
            (format!("{v}.checkpoint.{uuid}.json"), LogFile::Checkpoint(12)),
            (format!("{v}.checkpoint.0000000001.0000000002.parquet"), LogFile::Checkpoint(12)),
            (format!("_sidecars/{uuid}.parquet"), LogFile::Sidecar),
            (format!("_staged_commits/{v}.{uuid}.json"), LogFile::Staged(12)),
            ("_last_checkpoint".to_string(), LogFile::Hint),
        ];
        for (name, file) in known {
            assert_eq!(LogFile::of(&name), Some(file), "{name}");
        }
        for other in [".json.crc", "12.json", "_sidecars/x/y.parquet", "_sidecars/x.json", "_staged_commits/x.json", "_commits/x"] {
            assert_eq!(LogFile::of(other), None, "{other}");
        }
        assert_eq!(LogFile::of(&format!(".{v}.json.crc")), None);
        assert_eq!(LogFile::of(&format!("{v}.x.compacted.json")), None);
    }
}
