//! Sums over the live files of a table: the `before` and `after` of every document.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt};

use crate::engine::Rewriter;
use crate::error::{Error, Result};
use crate::formats::TableVersion;
use crate::model::{DataFile, DeleteKind, RowDeletes, Totals};

/// Files whose deletes or row counts have to be read are looked at in portions of this many, to bound memory.
const PORTION: usize = 256;
/// Footers read at the same time.
const FOOTERS: usize = 16;

/// Sums over the live files of `version`.
///
/// # Errors
///
/// What the format or, for files without a row count, the engine reports.
pub(super) async fn totals(version: &dyn TableVersion, engine: &dyn Rewriter) -> Result<Totals> {
    let mut counter = Counter::default();
    let mut files = version.files(false);
    while let Some(file) = files.try_next().await? {
        counter.add(version, engine, &file).await?;
    }
    counter.finish(version, engine).await
}

/// Counts live rows. Files whose metadata tells the count are summed up at once, others are read in portions.
#[derive(Debug, Default)]
pub(super) struct Counter {
    totals: Totals,
    deletes: HashSet<String>,
    unsure: Vec<DataFile>,
}

impl Counter {
    /// Counts `file` of `version` in.
    ///
    /// # Errors
    ///
    /// As [`totals`].
    pub(super) async fn add(&mut self, version: &dyn TableVersion, engine: &dyn Rewriter, file: &DataFile) -> Result<()> {
        self.totals.files += 1;
        self.totals.bytes = self.totals.bytes.plus(file.size);
        for delete in &*file.deletes {
            if !self.deletes.contains(&delete.key) {
                self.deletes.insert(delete.key.clone());
            }
        }
        match known_live_rows(file) {
            Some(rows) => self.totals.rows += rows,
            None => self.unsure.push(DataFile { stats: None, ..file.clone() }),
        }
        if self.unsure.len() >= PORTION {
            self.read_unsure(version, engine).await?;
        }
        Ok(())
    }

    async fn read_unsure(&mut self, version: &dyn TableVersion, engine: &dyn Rewriter) -> Result<()> {
        let files = std::mem::take(&mut self.unsure);
        let deletes = version.row_deletes(&files).await?;
        let inputs: Vec<_> = files.iter().cloned().zip(deletes).collect();
        let deletes = engine.locate_deletes(&inputs).await?;
        let stored: Vec<u64> = futures::stream::iter(&files)
            .map(|file| async move {
                match file.rows {
                    Some(rows) => Ok(rows),
                    None => engine.stored_rows(file).await,
                }
            })
            .buffered(FOOTERS)
            .try_collect()
            .await?;
        for ((file, deleted), stored) in files.iter().zip(&deletes).zip(stored) {
            let rows = live(stored, deleted)
                .ok_or_else(|| Error::corrupt("more rows are deleted than the file has").about("file", &file.location))?;
            self.totals.rows += rows;
        }
        Ok(())
    }

    /// The sums.
    ///
    /// # Errors
    ///
    /// As [`totals`].
    pub(super) async fn finish(mut self, version: &dyn TableVersion, engine: &dyn Rewriter) -> Result<Totals> {
        self.read_unsure(version, engine).await?;
        self.totals.delete_files = self.deletes.len() as u64;
        Ok(self.totals)
    }
}

/// Live rows as far as metadata alone tells: a deletion vector's cardinality is exact, files of positions may name rows twice or not at all.
pub(super) fn known_live_rows(file: &DataFile) -> Option<u64> {
    let mut rows = file.rows?;
    for delete in &*file.deletes {
        if delete.kind != DeleteKind::Vector {
            return None;
        }
        rows = rows.checked_sub(delete.rows?)?;
    }
    Some(rows)
}

/// Rows that live: stored ones less deleted ones; `None` if more are deleted than stored, or if the deletes were not located.
pub(super) fn live(stored: u64, deletes: &RowDeletes) -> Option<u64> {
    stored.checked_sub(deletes.len()?)
}
