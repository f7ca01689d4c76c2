//! The only way to alter a table.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringTreemap;

use super::file::{DataFile, DeleteKind, DeleteRef};
use super::operation::OperationId;
use super::output::NewFile;
use super::snapshot::Version;
use crate::error::{Error, Result};
use crate::location::Location;

/// What a change means for the table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// The same rows in other files.
    Rearrange,
    /// Rows are gone: files stay and more of their positions are marked as deleted ([`GroupChange::marks`]).
    DeleteRows,
}

/// Files that go and files that come, together or not at all.
#[derive(Debug, Clone)]
pub struct Change {
    /// The operation; one operation may make several changes (partial progress).
    pub operation: OperationId,
    /// Number of the change within the operation, from 0.
    pub part: u32,
    /// The version the groups were planned on; what the change depends on (schema, protocol) is what it was there.
    pub base: Option<Version>,
    /// What it means for the rows.
    pub intent: Intent,
    /// Independent parts: a conflict drops only the groups it hits.
    pub groups: Vec<GroupChange>,
    /// Whether delete files that apply to no live file after the change go too, beyond those that belong to removed files alone.
    pub drop_dangling_deletes: bool,
}

/// Files of one partition that are replaced by others, or whose rows are marked as deleted.
#[derive(Debug, Clone, Default)]
pub struct GroupChange {
    /// The files that go, as they were when the group was planned.
    pub removes: Vec<DataFile>,
    /// Live rows in `removes`.
    pub live_rows: u64,
    /// The files that come, already written.
    pub adds: Vec<NewFile>,
    /// Files that stay with more of their rows deleted ([`Intent::DeleteRows`] alone).
    pub marks: Vec<Marked>,
}

/// A live file more rows of which are to be deleted.
#[derive(Debug, Clone)]
pub struct Marked {
    /// The file as it was when the deletion was planned, with the deletes that applied then.
    pub file: DataFile,
    /// Every position that is deleted afterwards: those deleted before and the new ones.
    pub deleted: Arc<RoaringTreemap>,
}

impl Change {
    /// Checks the rules a change must keep whatever the format: every group does something, no file twice, a rearrangement keeps the row count
    /// of every group, and a deletion marks positions that its files have, more of them than before.
    ///
    /// # Errors
    ///
    /// [`crate::error::Kind::Bug`]: a planner or an engine broke a promise; nothing has been committed. `Corrupt` where the table lists one file as
    /// two that differ in their deletes.
    pub fn check(&self) -> Result<()> {
        let mut seen: HashMap<&Location, &[DeleteRef]> = HashMap::new();
        for group in &self.groups {
            match self.intent {
                Intent::Rearrange => group.check_rearranged()?,
                Intent::DeleteRows => group.check_marked()?,
            }
            for file in group.removes.iter().chain(group.marks.iter().map(|marked| &marked.file)) {
                match seen.insert(&file.location, &file.deletes) {
                    Some(deletes) if deletes == &*file.deletes => {
                        return Err(Error::bug("a file is removed twice").about("file", &file.location));
                    }
                    Some(_) => {
                        return Err(
                            Error::corrupt("the table lists one data file as two, with different deletes").about("file", &file.location)
                        );
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }
}

impl GroupChange {
    fn check_rearranged(&self) -> Result<()> {
        let after: u64 = self.adds.iter().map(|file| file.rows).sum();
        if after != self.live_rows {
            return Err(Error::bug("the rewrite would change the row count").about("before", self.live_rows).about("after", after));
        }
        if !self.marks.is_empty() {
            return Err(Error::bug("a rearrangement would delete rows"));
        }
        if self.removes.is_empty() {
            return Err(Error::bug("a group replaces no file"));
        }
        Ok(())
    }

    fn check_marked(&self) -> Result<()> {
        if self.marks.is_empty() || !self.removes.is_empty() || !self.adds.is_empty() {
            return Err(Error::bug("a deletion of rows marks files and does nothing else"));
        }
        for Marked { file, deleted } in &self.marks {
            let beyond = deleted.max().zip(file.rows).is_some_and(|(last, rows)| last >= rows);
            // Files of positions may name one row twice: only a vector's count is exact.
            let vectors = file.deletes.iter().filter(|delete| delete.kind == DeleteKind::Vector);
            let before: u64 = vectors.filter_map(|delete| delete.rows).fold(0, u64::saturating_add);
            if beyond || deleted.len() <= before {
                return Err(
                    Error::bug("a deletion of rows marks rows the file does not have, or no new ones").about("file", &file.location)
                );
            }
        }
        Ok(())
    }
}
