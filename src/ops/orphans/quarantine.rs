//! Files are set aside instead of being deleted, and can be brought back.
//!
//! Below the quarantine's folder each run has one of its own: `<operation>/moved-<n>.json` says, a line a file, what was moved from where to where. It
//! is written before the files it names are touched, so that a killed run can be undone too.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::plan::Listed;
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::model::OperationId;
use crate::store::{Gone, Store};
use crate::units::Bytes;

/// What names of lists of moved files begin with.
const LIST: &str = "moved-";
/// How many files are copied at the same time.
const COPIES: usize = 8;

/// How many reasons for failures are told.
const ERRORS: usize = 10;

/// A file that was moved: a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    /// Where it was.
    from: String,
    /// Where it is.
    to: String,
    /// Its bytes.
    size: Bytes,
}

/// The folder of one run in a quarantine.
#[derive(Debug)]
pub(super) struct Quarantine<'a> {
    store: &'a Store,
    folder: Location,
    lists: usize,
}

impl<'a> Quarantine<'a> {
    /// For the files of `operation`.
    pub(super) fn new(store: &'a Store, quarantine: &Location, operation: &OperationId) -> Self {
        Self { store, folder: quarantine.child(&operation.0), lists: 0 }
    }

    /// Moves `files`; the answers are in their order. A file is deleted only once its copy is there.
    pub(super) async fn take(&mut self, files: &[Listed]) -> Vec<Result<Gone>> {
        let moves: Vec<(&Location, Location, Bytes)> =
            files.iter().map(|file| (&file.location, self.folder.child("files").child(file.location.path()), file.size)).collect();
        if let Err(error) = self.note(&moves).await {
            let why = error.to_string();
            let others = files.iter().skip(1).map(|file| Err(Error::unavailable(why.clone()).about("place", &file.location)));
            return std::iter::once(Err(error)).chain(others).collect();
        }
        let copies = moves.iter().map(|(from, to, size)| copied(self.store, from, to, *size));
        let copied: Vec<Result<()>> = futures::stream::iter(copies).buffered(COPIES).collect().await;
        let safe = moves.iter().zip(&copied).filter(|(_, copied)| copied.is_ok()).map(|((from, _, _), _)| (*from).clone()).collect();
        let mut deleted = self.store.delete_each(safe).await.into_iter();
        copied.into_iter().map(|copied| copied.and_then(|()| deleted.next().unwrap_or(Ok(Gone::Now)))).collect()
    }

    async fn note(&mut self, moves: &[(&Location, Location, Bytes)]) -> Result<()> {
        let mut lines = Vec::new();
        for (from, to, size) in moves {
            let line = Moved { from: from.to_string(), to: to.to_string(), size: *size };
            serde_json::to_writer(&mut lines, &line).map_err(|e| Error::bug("a list of moved files has no JSON form").because(e))?;
            lines.push(b'\n');
        }
        let place = self.folder.child(&format!("{LIST}{:05}.json", self.lists));
        self.lists += 1;
        self.store.put(&place, lines.into()).await
    }
}

async fn copied(store: &Store, from: &Location, to: &Location, size: Bytes) -> Result<()> {
    store.copy(from, to, size.0).await
}

/// What came of bringing files back.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// Files that are back (or would be brought back), and their bytes.
    pub(super) files: u64,
    /// Their bytes.
    pub(super) bytes: Bytes,
    /// Their names, the first by name.
    pub(super) names: BTreeSet<String>,
    /// Files that could not be brought back, most often because their place is taken.
    pub(super) failed: u64,
    /// Why, for the first of them.
    pub(super) errors: Vec<Error>,
}

/// Brings back to below one of `roots` what any run moved to `quarantine`; only says what it would do unless `agreed`.
///
/// # Errors
///
/// `Corrupt` for a damaged list; `Unavailable` if storage did not answer.
pub(super) async fn restore(store: &Store, quarantine: &Location, roots: &[Location], shown: usize, agreed: bool) -> Result<Restored> {
    let mut restored = Restored::default();
    let mut lists = BTreeMap::new();
    let mut files = store.list(quarantine);
    while let Some(file) = files.try_next().await? {
        let name = file.location.name();
        if name.starts_with(LIST) && name.ends_with(".json") && !file.location.path().contains("/files/") {
            lists.insert(file.location, file.size);
        }
    }
    for list in lists.into_keys() {
        let mut complete = true;
        for line in store.get(&list).await?.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let damaged = |error: Error| Error::corrupt("a list of moved files is damaged").about("file", &list).because(error);
            let moved: Moved = serde_json::from_slice(line).map_err(|e| damaged(Error::corrupt(e.to_string())))?;
            let (from, to) = (Location::parse(&moved.from).map_err(damaged)?, Location::parse(&moved.to).map_err(damaged)?);
            // A list is a file anybody could have written: it never leads outside the quarantine, nor outside the table's folders.
            if !to.is_below(quarantine) || !roots.iter().any(|root| from.is_below(root)) {
                complete = false;
                continue;
            }
            match bring_back(store, &from, &to, moved.size, agreed).await {
                Ok(false) => {}
                Ok(true) => {
                    restored.files += 1;
                    restored.bytes = restored.bytes.plus(moved.size);
                    restored.names.insert(from.to_string());
                    if restored.names.len() > shown {
                        restored.names.pop_last();
                    }
                }
                Err(error) => {
                    complete = false;
                    restored.failed += 1;
                    if restored.errors.len() < ERRORS {
                        restored.errors.push(error);
                    }
                }
            }
        }
        if complete && agreed {
            store.delete(&list).await?;
        }
    }
    Ok(restored)
}

/// Whether there is a copy to bring back.
async fn bring_back(store: &Store, from: &Location, to: &Location, size: Bytes, agreed: bool) -> Result<bool> {
    let exists = |place: Location| async move {
        match store.head(&place).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == Kind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    };
    if !exists(to.clone()).await? {
        return Ok(false);
    }
    if exists(from.clone()).await? {
        return Err(Error::refused("a file is there again: the one that was set aside stays where it is").about("place", from));
    }
    if agreed {
        store.copy(to, from, size.0).await?;
        store.delete(to).await?;
    }
    Ok(true)
}
