//! An earlier version becomes current again.
//!
//! # What a run promises
//!
//! - The plan says which files come back and which go; what another writer commits meanwhile is never undone unseen.
//! - A version some of whose files are gone is refused before anything is written.
//! - Nothing is deleted: the version that was current can be restored in its turn for as long as the table keeps it.

pub mod plan;
pub mod run;

use serde::Serialize;

use crate::model::At;

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// The version, time, branch or tag.
    pub to: At,
    /// Look for every file of the version, not only for those that come back.
    pub verify: bool,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Files whose presence was checked.
    pub files_checked: u64,
    /// Files of dead runs that were deleted.
    pub leftovers_removed: u64,
}
