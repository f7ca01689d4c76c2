//! Which files are a table's own to delete.
//!
//! Metadata may name files of others: a table made from another's files, files taken in from elsewhere, a second format over the same files. What
//! lies outside the table's folders, or below a folder that is itself a table, is never deleted.

use std::collections::HashMap;

use futures::StreamExt;
use serde::Serialize;

use crate::error::Result;
use crate::formats::{FormatName, Table, TableVersion};
use crate::location::Location;
use crate::model::FileKind;
use crate::store::Store;

/// What tells that a folder is a table.
const MARKS: [&str; 3] = ["_delta_log", "metadata", ".hoodie"];
/// So many folders are looked at; files below further ones stay.
const MOST_FOLDERS: usize = 100_000;

/// Why a file is not deleted although nothing of this table needs it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Foreign {
    /// It lies outside the table's folders.
    OutsideTheTable,
    /// It lies below a folder that is a table itself.
    InAnotherTable,
    /// A table of another format lies over the same files.
    SharedWithAnotherFormat,
    /// There are too many folders to look into all of them.
    NotLookedAt,
}

/// The folders of one table.
#[derive(Debug)]
pub struct Territory<'a> {
    store: &'a Store,
    roots: Vec<Location>,
    /// Folders of the table's own metadata: no table lies in them.
    own: Vec<Location>,
    is_shared: bool,
    /// Whether a folder is a table, as far as was asked.
    tables: HashMap<Location, bool>,
}

impl<'a> Territory<'a> {
    /// Looks at what lies beside the metadata of `table`.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub async fn of(table: &dyn Table, version: &dyn TableVersion, store: &'a Store) -> Result<Self> {
        let root = table.location().clone();
        let is_shared = match table.format() {
            FormatName::Iceberg => has_any(store, &root.child("_delta_log")).await?,
            FormatName::Delta => is_iceberg(store, &root).await?,
        };
        let own = version.metadata_folders();
        let mut roots = vec![root];
        roots.extend(own.iter().cloned());
        roots.extend(version.data_folders());
        Ok(Self { store, roots, own, is_shared, tables: HashMap::new() })
    }

    /// Whether `place` lies in the table's folders.
    pub fn holds(&self, place: &Location) -> bool {
        self.roots.iter().any(|root| place.is_below(root))
    }

    /// Why the file must stay, if it must.
    ///
    /// # Errors
    ///
    /// `Unavailable` if storage did not answer.
    pub async fn objection(&mut self, place: &Location, kind: FileKind) -> Result<Option<Foreign>> {
        // The longest root: a folder for data may lie within the table's.
        let Some(root) = self.roots.iter().filter(|root| place.is_below(root)).max_by_key(|root| root.path().len()).cloned() else {
            return Ok(Some(Foreign::OutsideTheTable));
        };
        let holds_rows = matches!(
            kind,
            FileKind::Data | FileKind::PositionDeletes | FileKind::EqualityDeletes | FileKind::DeletionVectors | FileKind::Cdf
        );
        if holds_rows && self.is_shared {
            return Ok(Some(Foreign::SharedWithAnotherFormat));
        }
        let mut folder = place.parent();
        while let Some(inner) = folder.filter(|folder| *folder != root && folder.is_below(&root)) {
            if self.tables.len() >= MOST_FOLDERS && !self.tables.contains_key(&inner) {
                return Ok(Some(Foreign::NotLookedAt));
            }
            if self.is_table(&inner).await? {
                return Ok(Some(Foreign::InAnotherTable));
            }
            folder = inner.parent();
        }
        Ok(None)
    }

    async fn is_table(&mut self, folder: &Location) -> Result<bool> {
        // Folders of partitions and of hashed names hold files, not tables: there may be very many.
        let is_plain = !folder.name().contains('=') && !folder.name().chars().all(|c| matches!(c, '0' | '1'));
        if !is_plain || self.own.contains(folder) || MARKS.contains(&folder.name()) {
            return Ok(false);
        }
        if let Some(known) = self.tables.get(folder) {
            return Ok(*known);
        }
        let found = has_any(self.store, &folder.child("_delta_log")).await?
            || has_any(self.store, &folder.child(".hoodie")).await?
            || is_iceberg(self.store, folder).await?;
        self.tables.insert(folder.clone(), found);
        Ok(found)
    }
}

async fn has_any(store: &Store, folder: &Location) -> Result<bool> {
    Ok(store.list(folder).next().await.transpose()?.is_some())
}

async fn is_iceberg(store: &Store, folder: &Location) -> Result<bool> {
    let mut files = store.list(&folder.child("metadata"));
    while let Some(file) = files.next().await {
        if file?.location.name().contains(".metadata.json") {
            return Ok(true);
        }
    }
    Ok(false)
}
