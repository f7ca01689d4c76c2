//! The only way to alter a table.

use std::collections::HashSet;

use super::file::DataFile;
use super::operation::OperationId;
use super::output::NewFile;
use super::snapshot::Version;
use crate::error::{Error, Result};

/// What a change means for the table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// The same rows in other files.
    Rearrange,
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

/// Files of one partition that are replaced by others.
#[derive(Debug, Clone)]
pub struct GroupChange {
    /// The files that go, as they were when the group was planned.
    pub removes: Vec<DataFile>,
    /// Live rows in `removes`.
    pub live_rows: u64,
    /// The files that come, already written.
    pub adds: Vec<NewFile>,
}

impl Change {
    /// Checks the rules a change must keep whatever the format: something is removed, no file twice, and a rearrangement keeps the row count
    /// of every group.
    ///
    /// # Errors
    ///
    /// [`crate::error::Kind::Bug`]: a planner or an engine broke a promise; nothing has been committed.
    pub fn check(&self) -> Result<()> {
        let mut seen = HashSet::new();
        for group in &self.groups {
            let after: u64 = group.adds.iter().map(|file| file.rows).sum();
            if self.intent == Intent::Rearrange && after != group.live_rows {
                return Err(Error::bug("the rewrite would change the row count").about("before", group.live_rows).about("after", after));
            }
            if group.removes.is_empty() {
                return Err(Error::bug("a group replaces no file"));
            }
            for file in &group.removes {
                if !seen.insert(&file.location) {
                    return Err(Error::bug("a file is removed twice").about("file", &file.location));
                }
            }
        }
        Ok(())
    }
}
