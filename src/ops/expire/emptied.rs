//! What a run notes of files that are gone while the versions that needed them stay listed (Delta): the next run need not look for them again.
//!
//! The note lies beside those of runs, in `<table>/_otf/emptied.state`, and names the oldest version that kept its files. It counts only where the
//! table lists that version with that time, so that it says nothing of another table that came to lie there. Whoever loses it looks for
//! every file once more; nothing is ever deleted because of it.

use serde::{Deserialize, Serialize};

use super::plan::Entry;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::model::Version;
use crate::ops::{Parts, leftovers};
use crate::units::Timestamp;

/// A note is a few words long.
const MOST: u64 = 4096;

/// What was noted: versions before this one have lost their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    whole_since: i64,
    made_ms: i64,
}

impl Noted {
    /// That versions before `version`, which was made at `time`, have lost their files.
    pub(super) const fn new(version: Version, time: Timestamp) -> Self {
        Self { whole_since: version.0, made_ms: time.0 }
    }

    /// The version it names, where that is one of `versions`.
    pub(super) fn among(self, versions: &[Entry]) -> Option<Version> {
        let is_it = |entry: &&Entry| entry.version.0 == self.whole_since && entry.time == Some(Timestamp(self.made_ms));
        versions.iter().find(is_it).map(|entry| entry.version)
    }

    /// What an earlier run noted at the table; nothing where that cannot be understood.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub(super) async fn read(parts: Parts<'_>, root: &Location) -> Result<Option<Self>> {
        match parts.store.head(&place(root)).await {
            Ok(meta) if meta.size <= MOST => {
                let bytes = parts.store.get_if_exists(&place(root)).await?;
                Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == Kind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes it at the table.
    ///
    /// # Errors
    ///
    /// `Refused` or `Unavailable` if that cannot be written.
    pub(super) async fn write(self, parts: Parts<'_>, root: &Location) -> Result<()> {
        let bytes = serde_json::to_vec(&self).map_err(|e| Error::bug("a note could not be written as JSON").because(e))?;
        parts.store.put(&place(root), bytes.into()).await
    }
}

fn place(root: &Location) -> Location {
    leftovers::folder(root).child(&format!("emptied{}", leftovers::STATE))
}
